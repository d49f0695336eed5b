//! What a machine may lack, and a user who is not root.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use gistfs::demo::{Seed, Server, ServerOptions};
use nix::unistd::geteuid;
use tempfile::TempDir;

use crate::mounted::{GISTFS, Mount, detach, is_mounted};
use crate::world::{World, said, wait_until};

/// `nobody`, who is on every machine.
const NOBODY: u32 = 65534;

/// A home that an ordinary user owns, with gistfs in it and a place to mount.
struct Ordinary {
    server: Server,
    home: TempDir,
}

impl Ordinary {
    fn new() -> Self {
        let home = tempfile::Builder::new().prefix("gistfs-").tempdir().expect("a home");
        let world =
            Self { server: Server::start(ServerOptions::default()).expect("a server"), home };
        // The build may lie where this user cannot look.
        // Copied by a child: what this process has open for writing, another test's child may
        // inherit, and then it cannot be run.
        let copied = Command::new("cp").arg(GISTFS).arg(world.path("gistfs")).status();
        assert!(copied.is_ok_and(|status| status.success()), "a copy of gistfs");
        for directory in ["m", "run", "state"] {
            std::fs::create_dir(world.path(directory)).expect("a directory");
        }
        if geteuid().is_root() {
            let all = std::fs::Permissions::from_mode(0o666);
            std::fs::set_permissions("/dev/fuse", all).expect("a device for all");
            for path in ["", "m", "run", "state", "gistfs"] {
                chown(world.path(path), Some(NOBODY), Some(NOBODY)).expect("it is given away");
            }
        }
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Runs a program as that user.
    fn program(&self, name: &Path) -> Command {
        let mut command = if geteuid().is_root() {
            let mut command = Command::new("/usr/bin/setpriv");
            let id = NOBODY.to_string();
            command.args([&format!("--reuid={id}"), &format!("--regid={id}"), "--clear-groups"]);
            command.arg("--").arg(name);
            command
        } else {
            Command::new(name)
        };
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.home.path())
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env("GH_TOKEN", "demo-token")
            .current_dir(self.home.path());
        command
    }

    fn mount(&self) -> Command {
        let mut command = self.program(&self.path("gistfs"));
        command.args(["mount", "-f", "-v", "--write-back", "600", "--state-dir"]);
        command.arg(self.path("state")).args(["--api-url", &self.server.api_url()]);
        command.arg(self.path("m"));
        command
    }

    fn sh(&self, script: &str) -> std::process::Output {
        self.program(Path::new("/bin/sh")).arg("-c").arg(script).output().expect("a shell")
    }
}

impl Drop for Ordinary {
    fn drop(&mut self) {
        detach(&self.path("m"));
        if is_mounted(&self.path("m")) {
            self.home.disable_cleanup(true);
        }
    }
}

#[test]
fn an_ordinary_user_mounts_writes_and_unmounts() {
    let world = Ordinary::new();
    let id = world.server.seed("octo", Seed::new("Notes", &[("a.txt", "alpha\n")]));
    let mut mount = Mount::start(&mut world.mount(), &world.path("m"), world.path("log"));
    let out = world.sh("cat m/Notes/a.txt && sed -i s/alpha/omega/ m/Notes/a.txt && ls -l m/Notes");
    assert!(out.status.success() && said(&out).contains("alpha\n"), "{}", said(&out));
    let out = world.sh("chmod 640 m/Notes/a.txt && touch m/Notes/a.txt && chown 0:0 m/Notes/a.txt");
    assert!(said(&out).contains("Operation not permitted"), "{}", said(&out));
    if geteuid().is_root() {
        // Others, root among them, are kept out.
        let other = std::fs::read(world.path("m/Notes/a.txt"));
        assert_eq!(other.expect_err("it is private").raw_os_error(), Some(nix::libc::EACCES));
    }
    let out = world.sh("./gistfs status && ./gistfs unmount m");
    assert!(out.status.success() && said(&out).contains("pending"), "{}", said(&out));
    assert_eq!(mount.ended().code(), Some(0));
    assert!(!is_mounted(&world.path("m")));
    assert_eq!(world.server.files(&id).expect("the gist")["a.txt"], b"omega\n");
}

#[test]
fn an_ordinary_user_s_dead_mount_is_taken_over() {
    let world = Ordinary::new();
    let id = world.server.seed("octo", Seed::new("Notes", &[("a.txt", "alpha\n")]));
    let mut mount = Mount::start(&mut world.mount(), &world.path("m"), world.path("log"));
    let out = world.sh("echo omega > m/Notes/a.txt");
    assert!(out.status.success(), "{}", said(&out));
    mount.signal(nix::sys::signal::Signal::SIGKILL);
    mount.ended();
    mount.leave();
    let mut mount = Mount::start(&mut world.mount(), &world.path("m"), world.path("log-2"));
    mount.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(mount.ended().code(), Some(0), "{}", mount.log());
    assert_eq!(world.server.files(&id).expect("the gist")["a.txt"], b"omega\n");
    wait_until("it is unmounted", || !is_mounted(&world.path("m")));
}

#[test]
fn without_fusermount_an_ordinary_user_hears_what_to_install() {
    let world = Ordinary::new();
    let mut command = world.mount();
    command.env("PATH", world.path("run"));
    let out = command.output().expect("gistfs runs");
    assert_eq!(out.status.code(), Some(6), "{}", said(&out));
    assert!(said(&out).contains("fusermount3 is not installed"), "{}", said(&out));
    assert!(said(&out).contains("install fuse3"), "{}", said(&out));
}

#[test]
fn without_the_device_one_hears_what_to_do() {
    let world = World::empty();
    let mut command = world.program("unshare");
    // A namespace of its own, in which /dev is empty.
    command.arg(if geteuid().is_root() { "-m" } else { "-rm" });
    let mount = world.mount_command(&[]);
    let arguments = mount.get_args().map(|argument| argument.to_str().expect("text"));
    let quoted: Vec<String> = arguments.map(|argument| format!("'{argument}'")).collect();
    let script = format!("mount -t tmpfs none /dev && exec {GISTFS} {}", quoted.join(" "));
    command.env("GH_TOKEN", "demo-token").args(["sh", "-c", &script]);
    let out = command.output().expect("unshare runs");
    assert_eq!(out.status.code(), Some(6), "{}", said(&out));
    assert!(said(&out).contains("cannot open /dev/fuse"), "{}", said(&out));
    assert!(said(&out).contains("modprobe fuse"), "{}", said(&out));
}
