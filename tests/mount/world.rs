//! A server, a mount of it, a home, and the few words the tests are written in.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use gistfs::demo::{Seed, Server, ServerOptions};
use gistfs::store::scratch;
use tempfile::TempDir;

use crate::mounted::{self, GISTFS, Mount};
use crate::outcome::{names_sent, shown};
use crate::shape::Shape;

/// Patience enough for a busy machine.
pub(crate) const AMPLE: Duration = Duration::from_secs(40);

/// The option of a mount that has REST alone: what that cannot carry stays.
pub(crate) const WITHOUT_GIT: [&str; 2] = ["--git", "none"];

/// How long the mounts of most tests wait before they send a change.
const WRITE_BACK: &str = "0.5";

pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) shape: Shape,
    mount: Option<Mount>,
    /// HOME, XDG_RUNTIME_DIR, TMPDIR and gistfs' state. Short: sockets live in it.
    home: TempDir,
    /// The mount point, and a directory beside it. Not where editors keep no backups.
    place: TempDir,
    mounts: u32,
    pub(crate) canaries: u32,
    /// What GH_TOKEN says.
    pub(crate) token: &'static str,
    /// How much mounts log.
    pub(crate) verbosity: &'static [&'static str],
    /// Mounts that went to the background.
    background: Vec<nix::unistd::Pid>,
    /// Names that look like scratch may be sent: the server had them before.
    pub(crate) scratch_is_known: bool,
}

/// Waits until `condition` holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < AMPLE, "not within {AMPLE:?}: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

impl World {
    /// An empty server and nothing mounted.
    pub(crate) fn empty() -> Self {
        Self::with(ServerOptions::default())
    }

    /// A server with these options, of the shape that the environment says, and nothing mounted.
    pub(crate) fn with(options: ServerOptions) -> Self {
        Self::shaped(options, Shape::of_environment())
    }

    /// Nothing mounted, and a server that has bodies at their raw addresses: for tests of how
    /// single bodies come.
    pub(crate) fn open(options: ServerOptions) -> Self {
        Self::shaped(options, Shape::of_environment().open())
    }

    /// Nothing mounted, and a server like github.com: for tests of its limits.
    pub(crate) fn github(options: ServerOptions) -> Self {
        Self::shaped(options, Shape::GitHub)
    }

    /// A server with these options and of this shape, and nothing mounted.
    pub(crate) fn shaped(options: ServerOptions, shape: Shape) -> Self {
        let fuse = std::fs::metadata("/dev/fuse");
        assert!(fuse.is_ok(), "these tests need /dev/fuse: {fuse:?}");
        let home = tempfile::Builder::new().prefix("gistfs-").tempdir().expect("a home");
        for directory in ["run", "tmp"] {
            std::fs::create_dir(home.path().join(directory)).expect("a directory");
        }
        let place = tempfile::Builder::new()
            .prefix("mount-")
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .expect("a place to mount");
        for directory in ["m", "work"] {
            std::fs::create_dir(place.path().join(directory)).expect("a directory");
        }
        Self {
            server: shape.start(options),
            shape,
            mount: None,
            home,
            place,
            mounts: 0,
            canaries: 0,
            token: "demo-token",
            verbosity: &["-v"],
            background: Vec::new(),
            scratch_is_known: false,
        }
    }

    /// A mount of one gist, `Notes`, with these files; and the gist's id.
    #[track_caller]
    pub(crate) fn notes(files: &[(&str, &str)]) -> (Self, String) {
        let mut world = Self::empty();
        let id = world.seed("Notes", files);
        world.mount(&[]);
        (world, id)
    }

    /// The same without git.
    #[track_caller]
    pub(crate) fn notes_without_git(files: &[(&str, &str)]) -> (Self, String) {
        let (mut world, id) = Self::notes(files);
        world.mount_again(&WITHOUT_GIT);
        (world, id)
    }

    pub(crate) fn seed(&self, description: &str, files: &[(&str, &str)]) -> String {
        self.server.seed("octo", Seed::new(description, files))
    }

    // --- the mount

    /// Mounts, with these options besides the usual ones.
    #[track_caller]
    pub(crate) fn mount(&mut self, options: &[&str]) {
        let mut command = self.mount_command(options);
        self.mount_with(&mut command);
    }

    /// Mounts by a command that is more than [`World::mount_command`].
    #[track_caller]
    pub(crate) fn mount_with(&mut self, command: &mut Command) {
        assert!(self.mount.is_none(), "it is mounted");
        let log = self.next_log();
        self.mount = Some(Mount::start(command, &self.point(), log));
    }

    /// Unmounts and mounts with these options.
    #[track_caller]
    pub(crate) fn mount_again(&mut self, options: &[&str]) {
        self.unmount();
        self.mount(options);
    }

    /// Mounts while the last mount, unmounted already, may still be at work.
    #[track_caller]
    pub(crate) fn remount(&mut self, options: &[&str]) {
        let last = self.mount.take();
        self.mount(options);
        if let Some(mut last) = last {
            last.ended();
            last.leave();
        }
    }

    /// Mounts with this in the environment; false if the process ended before the mount was ready.
    pub(crate) fn try_mount(&mut self, options: &[&str], environment: (&str, String)) -> bool {
        let mut command = self.mount_command(options);
        command.env(environment.0, environment.1);
        let log = self.next_log();
        let mut mount = Mount::begin(&mut command, &self.point(), log);
        let ready = mount.is_ready_or_ended();
        self.mount = Some(mount);
        ready
    }

    /// What [`World::mount`] runs.
    pub(crate) fn mount_command(&self, options: &[&str]) -> Command {
        let mut command = self.gistfs(&["mount", "--foreground", "--write-interval", "0"]);
        command.args(self.verbosity).args(["--write-back", WRITE_BACK]);
        command.args(["--api-url", &self.server.api_url()]);
        command.arg("--state-dir").arg(self.state()).args(options).arg(self.point());
        command
    }

    /// Mounts as most people do: without `--foreground`.
    pub(crate) fn mount_in_background(&mut self, options: &[&str]) -> Output {
        let mut command = self.gistfs(&["mount", "--api-url", &self.server.api_url()]);
        command.arg("--state-dir").arg(self.state()).args(options).arg(self.point());
        let out = command.output().expect("gistfs runs");
        if out.status.success() {
            let pid = self.status()["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
            self.background.push(nix::unistd::Pid::from_raw(pid.expect("a process id")));
        }
        out
    }

    /// Waits for the end of all mounts in the background.
    #[track_caller]
    pub(crate) fn background_ended(&mut self) {
        for pid in std::mem::take(&mut self.background) {
            wait_until("the background process ends", || !mounted::is_alive(pid));
        }
    }

    pub(crate) fn next_log(&mut self) -> PathBuf {
        self.mounts += 1;
        self.home.path().join(format!("log-{}", self.mounts))
    }

    pub(crate) fn mounted(&mut self) -> &mut Mount {
        self.mount.as_mut().expect("it is mounted")
    }

    pub(crate) fn log(&self) -> String {
        self.mount.as_ref().map(Mount::log).unwrap_or_default()
    }

    /// Sends what is owed and unmounts, as a user would.
    #[track_caller]
    pub(crate) fn unmount(&mut self) {
        let mut unmount = self.gistfs(&["unmount"]);
        unmount.arg(self.point());
        wait_until("nobody has a file open there", || {
            let out = unmount.output().expect("gistfs runs");
            // A program that another test has just forked has our files until it begins.
            let busy = out.status.code() == Some(3) && said(&out).contains("is in use");
            assert!(busy || out.status.success(), "{}", said(&out));
            !busy
        });
        self.mounted().ended();
        self.mount = None;
    }

    /// The process has ended; the next mount can begin.
    pub(crate) fn forget_mount(&mut self) {
        self.mounted().ended();
        self.mount = None;
    }

    /// Ends the mount as a crash would; the dead mount stays.
    pub(crate) fn crash(&mut self) {
        self.mounted().signal(nix::sys::signal::Signal::SIGKILL);
        self.crashed();
    }

    /// The mount has crashed by itself, or is about to.
    #[track_caller]
    pub(crate) fn crashed(&mut self) {
        self.mounted().ended();
        // What it left mounted is for the next one to deal with.
        if let Some(mount) = self.mount.take() {
            mount.leave();
        }
    }

    /// `gistfs` with the environment of this world and nothing else.
    pub(crate) fn gistfs(&self, arguments: &[&str]) -> Command {
        let mut command = self.program(GISTFS);
        command.env("GH_TOKEN", self.token).args(arguments);
        command
    }

    /// Any program with the environment of this world and nothing else, in the mount's root.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        let home = self.home.path();
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin")
            .env("HOME", home)
            .env("XDG_RUNTIME_DIR", home.join("run"))
            .env("TMPDIR", home.join("tmp"))
            .env("TMUX_TMPDIR", home.join("tmp"))
            .env("LC_ALL", "C.UTF-8")
            .env("TERM", "xterm");
        command
    }

    // --- places

    pub(crate) fn point(&self) -> PathBuf {
        self.place.path().join("m")
    }

    /// A directory beside the mount, on the ordinary disk.
    pub(crate) fn work(&self) -> PathBuf {
        self.place.path().join("work")
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.home.path().join("state")
    }

    /// A path in the mount.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.point().join(name)
    }

    #[track_caller]
    pub(crate) fn read(&self, name: &str) -> String {
        let bytes = std::fs::read(self.path(name));
        String::from_utf8(bytes.unwrap_or_else(|error| panic!("{name}: {error}"))).expect("text")
    }

    #[track_caller]
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// The names in a directory of the mount, sorted.
    #[track_caller]
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(name));
        let entries = entries.unwrap_or_else(|error| panic!("{name}: {error}"));
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            entry.expect("an entry").file_name().into_string().expect("a name in UTF-8")
        };
        let mut names: Vec<String> = entries.map(name).collect();
        names.sort();
        names
    }

    // --- programs

    /// Runs a script in the mount's root, with `$W` for the directory beside it. It must succeed.
    #[track_caller]
    pub(crate) fn sh(&self, script: &str) -> String {
        let out = self.try_sh(script);
        assert!(out.status.success(), "{script}\n{}", said(&out));
        String::from_utf8(out.stdout).expect("text")
    }

    /// Runs a script that may fail.
    pub(crate) fn try_sh(&self, script: &str) -> Output {
        let mut command = self.program("/bin/bash");
        command.arg("-c").arg(script).env("W", self.work()).current_dir(self.point());
        command.output().expect("a shell")
    }

    /// Runs a script that must fail, and returns what it complained of.
    #[track_caller]
    pub(crate) fn fails(&self, script: &str) -> String {
        let out = self.try_sh(script);
        assert!(!out.status.success(), "it succeeded: {script}\n{}", said(&out));
        String::from_utf8_lossy(&out.stderr).into_owned()
    }
}

/// What a program said, all of it.
pub(crate) fn said(out: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}{}", out.status, text(&out.stdout), text(&out.stderr))
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.mount.take());
        let point = self.point();
        mounted::detach(&point);
        if mounted::is_mounted(&point) {
            // Removing what lies under the mount point would remove gists.
            eprintln!("{} cannot be unmounted", point.display());
            self.place.disable_cleanup(true);
        }
        for pid in self.background.drain(..) {
            mounted::end(pid);
        }
        if std::thread::panicking() {
            let requests: Vec<String> = self.server.requests().iter().map(shown).collect();
            let last = &requests[requests.len().saturating_sub(60)..];
            eprintln!("--- the last requests ---\n{}\n---", last.join("\n"));
        } else if !self.scratch_is_known {
            for request in self.server.requests() {
                for name in names_sent(&request) {
                    assert!(!scratch::matches(&name), "scratch was sent: {}", shown(&request));
                }
            }
        }
    }
}
