//! `gistfs demo`: a gist server with samples and a mount of it, for as long as one looks.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::out::say;
use crate::api::host::Endpoint;
use crate::api::token::Token;
use crate::auth::{Found, Source};
use crate::cli::DemoArgs;
use crate::config::{Config, absolute, demo_data};
use crate::demo::{Server, ServerOptions, samples};
use crate::exit::{Exit, Failure};
use crate::mount::{Mount, background};
use crate::sync::selection::Selection;

/// Whose gists the demo shows.
const TOKEN: &str = "demo-token";

/// Runs the demo until Ctrl-C.
pub(super) fn run(args: &DemoArgs) -> Result<ExitCode, Failure> {
    background::start_log(args.verbose, None)?;
    let data = demo_data(args.data.as_deref())?;
    let (mountpoint, made) = mountpoint(args.mountpoint.as_deref())?;
    let options = ServerOptions { data: Some(data.join("server")), ..ServerOptions::default() };
    let server = Server::start(options).map_err(|error| {
        Failure::new(
            Exit::State,
            format!("cannot keep the demo's gists in {}: {error}", data.display()),
            "name another directory with --data",
        )
    })?;
    fill(&server)?;
    let shown = mountpoint.display().to_string();
    let config = config(&server, &data, mountpoint.clone())?;
    let mount = Mount::start(&config)?;
    print_welcome(&shown);
    let left = mount.run();
    if made && let Err(error) = std::fs::remove_dir(&mountpoint) {
        log::debug!("{shown} stays: {error}");
    }
    say!();
    if left.is_empty() {
        say!("Unmounted. Your changes are in {}.", data.display());
    } else {
        say!("Unmounted. What a gist cannot hold is kept in {} too.", data.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Puts the samples into a server that has no gist yet.
pub(super) fn fill(server: &Server) -> Result<(), Failure> {
    if !server.is_empty() {
        return Ok(());
    }
    samples::fill(server).map_err(|error| {
        Failure::new(
            Exit::State,
            format!("cannot make the sample gists: {error}"),
            "is there room on the disk?",
        )
    })
}

fn config(server: &Server, data: &Path, mountpoint: PathBuf) -> Result<Config, Failure> {
    let broken = |what: String| Failure::new(Exit::Failed, what, "please report this");
    let endpoint =
        Endpoint::of_url(&server.api_url()).map_err(|error| broken(error.to_string()))?;
    let token = Token::parse(TOKEN).ok_or_else(|| broken("the demo's token is none".into()))?;
    Ok(Config {
        mountpoint,
        endpoint,
        // The server's port changes; what is kept for it must not move with it.
        state_name: "demo".into(),
        token: Some(Found { token, source: Source::Variable("GH_TOKEN") }),
        selection: Selection::Own,
        read_only: false,
        public: false,
        names_by_id: false,
        through: false,
        write_back: std::time::Duration::from_secs(1),
        write_interval: None,
        trash_keep: std::time::Duration::from_secs(30 * 24 * 3600),
        delete_limit: 10,
        refresh: std::time::Duration::from_secs(10),
        read_lag: std::time::Duration::from_secs(20),
        state_base: data.join("state"),
        git: Some("git".into()),
        largest: 100 << 20,
        memory: 64 << 20,
        cache_size: 1 << 30,
        parallel: 16,
        umask: 0,
        allow_other: false,
        xattr: false,
        show_hidden: false,
        nonempty: false,
    })
}

/// Where to mount, and whether that directory was made for the demo.
fn mountpoint(given: Option<&Path>) -> Result<(PathBuf, bool), Failure> {
    let path = match given {
        Some(given) => absolute(given)?,
        None => {
            let home = directories::UserDirs::new().map(|user| user.home_dir().join("gistfs-demo"));
            home.ok_or_else(|| {
                Failure::new(Exit::MountPoint, "there is no home directory", "name a mount point")
            })?
        }
    };
    match std::fs::create_dir(&path) {
        Ok(()) => Ok((path, true)),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok((path, false)),
        // A dead mount cannot even be looked at; preparing the mount point deals with it.
        Err(error) if error.raw_os_error() == Some(nix::libc::ENOTCONN) => Ok((path, false)),
        Err(error) => Err(Failure::new(
            Exit::MountPoint,
            format!("cannot make {}: {error}", path.display()),
            "name another mount point",
        )),
    }
}

fn print_welcome(mountpoint: &str) {
    say!("The demo's gists are mounted on {mountpoint}");
    say!();
    say!("Try in another terminal:");
    say!("  ls -l {mountpoint}");
    say!("  grep -rn TODO {mountpoint}");
    say!("  echo '- [ ] one more thing' >> {mountpoint}/TODO/todo.md");
    say!("  mkdir {mountpoint}/Hello && cp /etc/hostname {mountpoint}/Hello/");
    say!();
    say!("Ctrl-C sends what is not sent yet and unmounts.");
}
