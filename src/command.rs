//! The subcommands: what each does, and what it prints.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::auth;
use crate::cli::{Command, MountArgs, ServeArgs, StatusArgs, SyncArgs, UnmountArgs};
use crate::config::Config;
use crate::demo::{Server, ServerOptions};
use crate::exit::{Exit, Failure};
use crate::mount::control::{self, Ask, Reply, Status};
use crate::mount::{Mount, background, point};
use crate::sync::hold::HeldDeletions;
use crate::sync::report::Owing;

mod demo;
mod trash;
mod wanted;

/// Does what the user asked for.
pub fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Mount(args) => mount(*args),
        Command::Unmount(args) => unmount(&args),
        Command::Status(args) => status(&args),
        Command::Sync(args) => sync(&args),
        Command::Trash(command) => trash::run(&command),
        Command::Demo(args) => demo::run(&args),
        Command::Serve(args) => serve(&args),
    }
}

fn mount(args: MountArgs) -> Result<ExitCode, Failure> {
    let args = args.with_mount_options().unwrap_or_else(|error| error.exit());
    let background = background::is_background();
    if !args.foreground && !background {
        return background::start();
    }
    if background {
        background::leave_terminal();
    }
    let log_file = match (&args.log_file, background) {
        (Some(file), _) => Some(crate::config::absolute(file)?),
        (None, true) => Some(crate::config::state_base(args.state_dir.as_deref())?.join("log")),
        (None, false) => None,
    };
    background::start_log(args.verbose, log_file.as_deref())?;
    let config = Config::resolve(&args, &auth::System::default())?;
    let mount = Mount::start(&config)?;
    if background {
        // The log is in a file; that nothing can be changed is for whoever mounts to know.
        if let Some(why) = mount.read_only() {
            eprintln!("gistfs: mounted read-only: {why}");
        }
        crate::mount::say_ready(&config.mountpoint);
        background::let_go().map_err(|error| {
            Failure::new(
                Exit::Failed,
                format!("cannot let go of the terminal: {error}"),
                "use --foreground",
            )
        })?;
    } else {
        log::info!("mounted on {}", config.mountpoint.display());
    }
    let left = mount.run();
    Ok(if left.iter().any(Owing::is_pending) { Exit::Failed.into() } else { ExitCode::SUCCESS })
}

fn unmount(args: &UnmountArgs) -> Result<ExitCode, Failure> {
    let mountpoint = crate::config::absolute(&args.mountpoint)?;
    let ask = Ask::Unmount(args.timeout.as_secs_f64());
    match control::ask(&mountpoint, &ask).map_err(|error| unheard(&mountpoint, &error))? {
        Some(Reply { error: Some(error), .. }) => {
            Err(Failure::new(Exit::MountPoint, error, "close it and try again"))
        }
        Some(reply) => {
            print_left(&reply.left, "It is kept here and will be sent by the next mount.");
            print_held(reply.held.as_ref());
            Ok(ExitCode::SUCCESS)
        }
        // A dead mount has nobody to ask; what it owed is in its state.
        None if point::is_dead(&mountpoint) || point::is_gistfs(&mountpoint) => {
            point::unmount(&mountpoint, true)
                .map_err(|error| Failure::new(Exit::MountPoint, error, "try fusermount3 -uz"))?;
            Ok(ExitCode::SUCCESS)
        }
        None => Err(not_mounted(&mountpoint)),
    }
}

fn status(args: &StatusArgs) -> Result<ExitCode, Failure> {
    let all = replies(args.mountpoint.as_deref(), Ask::Status)?;
    let all: Vec<Status> = all.into_iter().filter_map(|reply| reply.status).collect();
    if args.json {
        let text = serde_json::to_string_pretty(&all)
            .map_err(|error| Failure::new(Exit::Failed, error.to_string(), "please report this"))?;
        println!("{text}");
    } else if all.is_empty() {
        println!("Nothing is mounted.");
    } else {
        all.iter().for_each(print_status);
    }
    Ok(ExitCode::SUCCESS)
}

fn sync(args: &SyncArgs) -> Result<ExitCode, Failure> {
    let all = replies(args.mountpoint.as_deref(), Ask::Sync(args.timeout.as_secs_f64()))?;
    let left: Vec<Owing> = all.into_iter().flat_map(|reply| reply.left).collect();
    print_left(&left, "");
    Ok(if left.is_empty() { ExitCode::SUCCESS } else { Exit::Failed.into() })
}

fn replies(mountpoint: Option<&Path>, ask: Ask) -> Result<Vec<Reply>, Failure> {
    match mountpoint {
        Some(mountpoint) => {
            let mountpoint = crate::config::absolute(mountpoint)?;
            let reply =
                control::ask(&mountpoint, &ask).map_err(|error| unheard(&mountpoint, &error))?;
            reply.map(|reply| vec![reply]).ok_or_else(|| not_mounted(&mountpoint))
        }
        None => control::ask_all(&ask).map_err(|error| unheard(Path::new("the mounts"), &error)),
    }
}

fn unheard(what: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        Exit::Failed,
        format!("cannot talk to {}: {error}", what.display()),
        "is XDG_RUNTIME_DIR the same as when it was mounted?",
    )
}

fn not_mounted(mountpoint: &Path) -> Failure {
    Failure::new(
        Exit::MountPoint,
        format!("no gistfs of yours is mounted on {}", mountpoint.display()),
        "see gistfs status",
    )
}

fn print_status(status: &Status) {
    println!("{}: {} gists of {}", status.mountpoint, status.report.gists, status.account);
    match &status.report.quota {
        Some(quota) => println!(
            "  quota: {} of {} requests left until {}",
            quota.remaining, quota.limit, quota.reset
        ),
        None => println!("  quota: no limit known"),
    }
    if let Some(trouble) = &status.report.trouble {
        println!("  GitHub: {trouble}");
    }
    print_held(status.report.held.as_ref());
    if status.report.owing.is_empty() {
        println!("  everything is on GitHub");
    }
    for gist in &status.report.owing {
        print_owing(gist);
    }
    for conflict in &status.report.conflicts {
        if let Some(file) = &conflict.file {
            println!("  {:?}: conflict: {file:?} is a version of its own", conflict.title);
        }
        if let Some(description) = &conflict.description {
            println!("  {:?}: conflict: also described as {description:?}", conflict.title);
        }
    }
}

fn print_held(held: Option<&HeldDeletions>) {
    if let Some(held) = held {
        println!("  {held}");
    }
}

fn print_owing(gist: &Owing) {
    println!("  {:?}: {}", gist.title, gist.state);
    for (name, state) in &gist.files {
        println!("    {name:?}: {state}");
    }
}

fn print_left(left: &[Owing], then: &str) {
    if left.is_empty() {
        return;
    }
    println!("Not on GitHub as it is here:");
    left.iter().for_each(print_owing);
    if !then.is_empty() {
        println!("{then}");
    }
}

fn serve(args: &ServeArgs) -> Result<ExitCode, Failure> {
    background::start_log(0, None)?;
    let server = Server::start(ServerOptions {
        data: args.data.as_deref().map(crate::config::absolute).transpose()?,
        port: args.port,
        raw_port: args.raw_port.unwrap_or(if args.port == 0 {
            0
        } else {
            args.port.saturating_add(1)
        }),
        latency: Duration::from_millis(args.latency),
        enterprise: args.enterprise,
        ..ServerOptions::default()
    })
    .map_err(|error| {
        Failure::new(
            Exit::Failed,
            format!("cannot start the server: {error}"),
            "name other ports with --port and --raw-port, or another directory with --data",
        )
    })?;
    if args.samples {
        demo::fill(&server)?;
    }
    println!("API:          {}", server.api_url());
    println!("raw and git:  {}", server.raw_url());
    println!("token:        demo-token (of octo)");
    println!("mount it:     GH_TOKEN=demo-token gistfs mount --api-url {} DIR", server.api_url());
    wait_for_end()?;
    Ok(ExitCode::SUCCESS)
}

/// Waits for Ctrl-C or its like.
fn wait_for_end() -> Result<(), Failure> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let signals = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM]);
    let mut signals = signals.map_err(|error| {
        Failure::new(
            Exit::Failed,
            format!("cannot watch for signals: {error}"),
            "please report this",
        )
    })?;
    signals.forever().next();
    Ok(())
}
