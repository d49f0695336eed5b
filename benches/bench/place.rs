//! Where a run keeps its files, and the processes it starts.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use tempfile::TempDir;

/// Two directories, on the disk and in memory, gone at the end.
pub(crate) struct Place {
    disk: TempDir,
    memory: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let mut name = tempfile::Builder::new();
        name.prefix("bench-");
        let disk = name.tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory in target");
        let memory = name.tempdir_in("/dev/shm").expect("a directory in /dev/shm");
        clear_up_when_told_to_end([disk.path().to_owned(), memory.path().to_owned()]);
        Self { disk, memory }
    }

    /// A new directory on the disk.
    pub(crate) fn on_disk(&self, name: &str) -> PathBuf {
        made(self.disk.path(), name)
    }

    /// A new directory in a tmpfs.
    pub(crate) fn in_memory(&self, name: &str) -> PathBuf {
        made(self.memory.path(), name)
    }

    /// What the file system on the disk is called.
    pub(crate) fn disk_name(&self) -> String {
        said(Command::new("findmnt").args(["-no", "FSTYPE", "-T"]).arg(self.disk.path()))
            .unwrap_or_else(|| "disk".to_owned())
    }
}

/// Somebody wants this program to end.
static ENDING: AtomicBool = AtomicBool::new(false);

/// Does not return when the program was told to end, which happens meanwhile.
pub(crate) fn stay_if_told_to_end() {
    while ENDING.load(Ordering::Relaxed) {
        std::thread::park();
    }
}

/// Ctrl-C ends the children too, and they unmount; what they leave is removed.
fn clear_up_when_told_to_end(directories: [PathBuf; 2]) {
    let signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP]);
    let mut signals = signals.expect("signals can be watched for");
    std::thread::spawn(move || {
        signals.forever().next();
        ENDING.store(true, Ordering::Relaxed);
        std::thread::sleep(Duration::from_secs(2));
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        for directory in &directories {
            // Removing what is below a mount would remove gists.
            let mounted = directory.to_str().is_none_or(|path| mounts.contains(path));
            if mounted || std::fs::remove_dir_all(directory).is_err() {
                eprintln!("bench: {} stays", directory.display());
            }
        }
        std::process::exit(130);
    });
}

fn made(parent: &Path, name: &str) -> PathBuf {
    let path = parent.join(name);
    std::fs::create_dir_all(&path).expect("a directory of ours");
    path
}

/// A program with an environment of ours alone; nothing it says is shown.
pub(crate) fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "C.UTF-8")
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// The first line that a program says; `None` if there is no such program or it fails.
pub(crate) fn said(command: &mut Command) -> Option<String> {
    let out = command.stderr(Stdio::null()).output().ok().filter(|out| out.status.success())?;
    Some(String::from_utf8_lossy(&out.stdout).lines().next()?.trim().to_owned())
}

/// Runs a program that must succeed.
pub(crate) fn must(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}

/// Waits for what other processes bring about.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(120), "it never happened: {what}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// A process that ends with this.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = i32::try_from(self.0.id()).expect("a process id");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).expect("a child of ours");
    }

    /// A line of `/proc/PID/status` in bytes, such as `VmRSS`.
    pub(crate) fn memory(&self, name: &str) -> u64 {
        let path = format!("/proc/{}/status", self.0.id());
        let status = std::fs::read_to_string(path).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kilobytes.expect("Linux tells") << 10
    }

    /// How long it has computed, in ticks of the kernel's (10 ms).
    pub(crate) fn ticks(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id()));
        let text = text.expect("a child of ours");
        // Behind the name, which may have any character: user and system time are 14 and 15.
        let (_, fields) = text.rsplit_once(") ").expect("Linux tells");
        let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u64>);
        ticks.map(|ticks| ticks.expect("Linux tells")).sum()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.0.kill().and_then(|()| self.0.wait()) {
            eprintln!("bench: a process stays: {error}");
        }
    }
}
