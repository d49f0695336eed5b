//! Mounts: gistfs, the bare file system, rclone. All are undone when they are dropped.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::place::{Process, program, wait_until};
use crate::server::{GISTFS, TOKEN};

/// A mount and the process that serves it.
pub(crate) struct Mount {
    /// Where it is.
    pub(crate) point: PathBuf,
    /// Who serves it.
    pub(crate) process: Process,
}

impl Mount {
    /// `gistfs mount` of what the server at `api` has, ready when this returns. What it keeps and logs is
    /// in `home`.
    pub(crate) fn gistfs(api: &str, home: &Path, options: &[&str]) -> Self {
        let point = directory(home, "gists");
        let mut command = gistfs(home);
        command.args(["mount", "--foreground", "--api-url", api, "--refresh", "3600"]);
        command.arg("--state-dir").arg(home.join("state"));
        command.arg("--log-file").arg(home.join("log")).args(options).arg(&point);
        Self::ready(command, point)
    }

    /// The bare file system with the files of a directory.
    pub(crate) fn bare(source: &Path, home: &Path) -> Self {
        let point = directory(home, "bare");
        let own = std::env::current_exe().expect("this program");
        let mut command = program(own.to_str().expect("a path in UTF-8"));
        // It ends when the other end of its input is gone.
        command.arg("bare").arg(source).arg(&point).stdin(Stdio::piped());
        Self::ready(command, point)
    }

    /// `rclone mount` of a WebDAV server.
    pub(crate) fn rclone(url: &str, home: &Path) -> Self {
        let point = directory(home, "rclone");
        let mut command = program("rclone");
        command.env("RCLONE_CONFIG", home.join("rclone.conf"));
        command.args(["mount", ":webdav:"]).arg(&point).args(["--webdav-url", url]);
        command.args(["--vfs-cache-mode", "full", "--dir-cache-time", "1h"]);
        command.args(["--attr-timeout", "1h", "--read-only"]);
        command.arg("--cache-dir").arg(home.join("rclone-cache"));
        Self::ready(command, point)
    }

    fn ready(mut command: Command, point: PathBuf) -> Self {
        let mut mount = Self { process: Process::start(&mut command), point };
        wait_until("it is mounted", || {
            let ended = mount.process.0.try_wait().expect("a child of ours");
            assert!(ended.is_none(), "{command:?} ended: {ended:?}");
            is_mounted(&mount.point)
        });
        mount
    }

    /// Sends what is owed and unmounts, as a user would.
    pub(crate) fn unmount(mut self) {
        let home = self.point.parent().expect("it is in a home").to_owned();
        let status = gistfs(&home).arg("unmount").arg(&self.point).status();
        assert!(status.is_ok_and(|status| status.success()), "gistfs unmount failed");
        self.process.0.wait().expect("a child of ours");
    }

    /// Sends what is owed and waits for it.
    pub(crate) fn sync(&self) {
        let home = self.point.parent().expect("it is in a home");
        let status = gistfs(home).arg("sync").arg(&self.point).status();
        assert!(status.is_ok_and(|status| status.success()), "gistfs sync failed");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if is_mounted(&self.point) {
            let mut command = program("fusermount3");
            if let Err(error) = command.arg("-uz").arg(&self.point).status() {
                eprintln!("bench: {} stays mounted: {error}", self.point.display());
            }
        }
    }
}

fn gistfs(home: &Path) -> Command {
    let mut command = program(GISTFS);
    command.env("HOME", home).env("XDG_RUNTIME_DIR", home).env("GH_TOKEN", TOKEN);
    command
}

fn directory(home: &Path, name: &str) -> PathBuf {
    let point = home.join(name);
    std::fs::create_dir_all(&point).expect("a mount point");
    point
}

fn is_mounted(point: &Path) -> bool {
    let table = std::fs::read_to_string("/proc/self/mounts").expect("/proc");
    let point = point.to_str().expect("a path in UTF-8");
    table.lines().any(|line| line.split(' ').nth(1) == Some(point))
}
