//! The subcommands: what each does, and what it prints.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use self::out::{complain, say};
use crate::auth;
use crate::cli::{Command, MountArgs, ServeArgs};
use crate::config::Config;
use crate::demo::{Server, ServerOptions};
use crate::exit::{Exit, Failure};
use crate::mount::{Mount, background};
use crate::sync::report::Owing;

mod confirm;
mod demo;
mod gist;
mod hands;
mod meant;
mod out;
mod prefetch;
mod progress;
mod republish;
mod show;
mod status;
mod sync;
mod trash;
mod wanted;

/// Does what the user asked for.
pub fn run(command: Command) -> Result<ExitCode, Failure> {
    let done = run_one(command)?;
    out::finish()?;
    Ok(done)
}

fn run_one(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Mount(args) => mount(*args),
        Command::Unmount(args) => sync::unmount(&args),
        Command::Status(args) => status::run(&args),
        Command::Sync(args) => sync::sync(&args),
        Command::Prefetch(args) => prefetch::run(&args),
        Command::Fork(args) => gist::fork(&args),
        Command::Star(args) => gist::star(&args, true),
        Command::Unstar(args) => gist::star(&args, false),
        Command::Open(args) => gist::open(&args),
        Command::Publish(args) => republish::run(&args, true),
        Command::Hide(args) => republish::run(&args, false),
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
            complain!("gistfs: mounted read-only: {why}");
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
    Ok(if left.iter().any(Owing::is_missing) { Exit::Failed.into() } else { ExitCode::SUCCESS })
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
        journal: args.log.as_deref().map(crate::config::absolute).transpose()?,
        ..ServerOptions::default()
    })
    .map_err(|error| {
        Failure::new(
            Exit::Failed,
            format!("cannot start the server: {error}"),
            "name other ports with --port and --raw-port, or another directory with --data",
        )
    })?;
    server.with_switches(|switches| switches.speed = args.speed);
    if args.samples {
        demo::fill(&server)?;
    }
    say!("API:          {}", server.api_url());
    say!("raw and git:  {}", server.raw_url());
    say!("token:        demo-token (of octo)");
    say!("mount it:     GH_TOKEN=demo-token gistfs mount --api-url {} DIR", server.api_url());
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
