//! A mount: `gistfs mount --foreground` as a child process, ended whatever happens.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::world::{AMPLE, wait_until};

/// Nothing in a test takes that long. A mount that hangs then ends, and with it the test.
const TOO_LONG: Duration = Duration::from_secs(120);

/// The program under test.
pub(crate) const GISTFS: &str = env!("CARGO_BIN_EXE_gistfs");

pub(crate) struct Mount {
    point: PathBuf,
    child: Child,
    log: PathBuf,
    /// Dropped to call the watchdog off.
    _watched: Sender<()>,
    /// The mount point is left as it is.
    left: bool,
}

impl Mount {
    /// Starts `command`, which mounts on `point`, and waits until the mount answers.
    #[track_caller]
    pub(crate) fn start(command: &mut Command, point: &Path, log: PathBuf) -> Self {
        let mut mount = Self::begin(command, point, log);
        wait_until("the mount is ready", || {
            let ended = mount.child.try_wait().expect("a child of ours");
            assert!(ended.is_none(), "gistfs ended, {ended:?}");
            mount.log().contains("mounted on ")
        });
        assert!(is_mounted(point));
        mount
    }

    /// Starts `command` and waits for nothing.
    pub(crate) fn begin(command: &mut Command, point: &Path, log: PathBuf) -> Self {
        let out = File::create(&log).expect("a file for the log");
        let both = out.try_clone().expect("a second handle");
        command.stdin(Stdio::null()).stdout(both).stderr(out);
        let child = command.spawn().expect("gistfs starts");
        let pid = pid(&child);
        let (watched, called_off) = mpsc::channel::<()>();
        std::thread::spawn(move || {
            if called_off.recv_timeout(TOO_LONG) == Err(mpsc::RecvTimeoutError::Timeout) {
                // Whoever waits for the mount gets ENOTCONN.
                kill(pid, Signal::SIGKILL).ok();
            }
        });
        Self { point: point.to_owned(), child, log, _watched: watched, left: false }
    }

    /// Waits until the mount answers or the process has ended; tells whether it answers.
    #[track_caller]
    pub(crate) fn is_ready_or_ended(&mut self) -> bool {
        let mut ended = false;
        wait_until("the mount is ready or dead", || {
            ended = self.child.try_wait().expect("a child of ours").is_some();
            ended || self.log().contains("mounted on ")
        });
        !ended
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub(crate) fn pid(&self) -> Pid {
        pid(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("the process is there");
    }

    /// Forgets a process that has ended, and leaves what it mounted.
    pub(crate) fn leave(mut self) {
        self.left = true;
    }

    /// Waits for the process to end by itself.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("gistfs ends", || {
            status = self.child.try_wait().expect("a child of ours");
            status.is_some()
        });
        status.expect("it ended")
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("a process id"))
}

/// Whether a process that is no child of ours is there and does something.
pub(crate) fn is_alive(pid: Pid) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // A zombie is whoever inherited it's to bury.
    status.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Lets a mount in the background end, and makes it if it does not.
pub(crate) fn end(pid: Pid) {
    let start = std::time::Instant::now();
    while is_alive(pid) && start.elapsed() < Duration::from_secs(5) {
        std::thread::park_timeout(Duration::from_millis(10));
    }
    if is_alive(pid) {
        kill(pid, Signal::SIGKILL).ok();
    }
}

/// Takes whatever is mounted on `point` out of the way.
pub(crate) fn detach(point: &Path) {
    if is_mounted(point) {
        let mut command = Command::new("fusermount3");
        command.arg("-uz").arg(point).stderr(Stdio::null());
        if let Err(error) = command.status() {
            eprintln!("fusermount3: {error}");
        }
    }
}

/// Whether anything is mounted there, dead or alive.
pub(crate) fn is_mounted(point: &Path) -> bool {
    let table = std::fs::read_to_string("/proc/self/mounts").expect("/proc");
    let point = point.to_str().expect("a path of ours");
    table.lines().any(|line| line.split(' ').nth(1) == Some(point))
}

impl Drop for Mount {
    fn drop(&mut self) {
        if !self.left {
            detach(&self.point);
        }
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.child.kill().ok();
        }
        self.child.wait().ok();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(250)..];
            eprintln!("--- the end of the log of gistfs ---\n{}\n---", last.join("\n"));
        }
    }
}

/// Waits for what `gistfs` does after an end that nobody waits for.
#[track_caller]
pub(crate) fn wait_unmounted(point: &Path) {
    wait_until(&format!("{} is unmounted within {AMPLE:?}", point.display()), || {
        !is_mounted(point)
    });
}
