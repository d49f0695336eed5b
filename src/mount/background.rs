//! Going to the background: the command starts itself again, and waits until the mount answers.
//!
//! A new process rather than a bare fork: no thread, lock or open connection of the parent can be
//! half-way through something, and the standard library does the delicate part.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use crate::exit::{Exit, Failure};

/// Set in the environment of the process that serves in the background.
const MARK: &str = "GISTFS_IN_BACKGROUND";

/// A log file larger than this is begun anew at the next start.
const LARGEST_LOG: u64 = 10 << 20;

/// Whether this process was started by [`start`].
pub fn is_background() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Starts this command again in the background and waits until it says that it is ready; what it
/// says, the mount point, is passed on.
///
/// Its errors appear on this process's standard error, and its exit code is returned.
pub fn start() -> Result<ExitCode, Failure> {
    let fail = |error: std::io::Error| {
        Failure::new(
            Exit::Failed,
            format!("cannot go to the background: {error}"),
            "use --foreground",
        )
    };
    let program = std::env::current_exe().map_err(fail)?;
    let mut child = Command::new(program)
        .args(std::env::args_os().skip(1))
        .env(MARK, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(fail)?;
    let mut line = String::new();
    if let Some(out) = child.stdout.take() {
        BufReader::new(out).read_line(&mut line).map_err(fail)?;
    }
    if !line.is_empty() {
        super::say_ready(Path::new(line.trim_end_matches('\n')));
        return Ok(ExitCode::SUCCESS);
    }
    let status = child.wait().map_err(fail)?;
    match status.code().and_then(|code| u8::try_from(code).ok()) {
        Some(0) | None => Err(Failure::new(
            Exit::Failed,
            format!("the background process ended early ({status})"),
            "use --foreground to see more",
        )),
        Some(code) => Ok(ExitCode::from(code)),
    }
}

/// Leaves the terminal's session; called before any thread exists.
pub fn leave_terminal() {
    if let Err(error) = nix::unistd::setsid() {
        log::debug!("setsid: {error}");
    }
}

/// Lets go of the terminal and the working directory, once the parent has its answer.
pub fn let_go() -> std::io::Result<()> {
    std::env::set_current_dir("/")?;
    let nothing = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    nix::unistd::dup2_stdin(&nothing)?;
    nix::unistd::dup2_stdout(&nothing)?;
    nix::unistd::dup2_stderr(&nothing)?;
    Ok(())
}

/// Starts the log: on standard error or, in the background or where asked for, in a file.
///
/// Only gistfs' own lines are ever written: what libraries would log may hold headers.
pub fn start_log(verbose: u8, file: Option<&Path>) -> Result<(), Failure> {
    let level = match verbose {
        0 => log::LevelFilter::Info,
        1 => log::LevelFilter::Debug,
        _ => log::LevelFilter::Trace,
    };
    let mut builder = env_logger::Builder::new();
    builder.filter_module("gistfs", level);
    if let Some(path) = file {
        let fail = |error: std::io::Error| {
            Failure::new(
                Exit::State,
                format!("cannot write the log {}: {error}", path.display()),
                "name another with --log-file",
            )
        };
        if let Some(directory) = path.parent() {
            use std::os::unix::fs::DirBuilderExt as _;
            let mut builder = std::fs::DirBuilder::new();
            builder.recursive(true).mode(0o700).create(directory).map_err(fail)?;
        }
        let too_large = std::fs::metadata(path).is_ok_and(|data| data.len() > LARGEST_LOG);
        let mut options = OpenOptions::new();
        options.create(true).append(true).mode(0o600);
        let log = options.open(path).map_err(fail)?;
        if too_large {
            log.set_len(0).map_err(fail)?;
        }
        builder.target(env_logger::Target::Pipe(Box::new(log)));
    }
    builder.try_init().map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot start the log: {error}"), "please report this")
    })
}
