//! The real git program, as somebody at a desk runs it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::world::World;

/// A directory to clone into.
pub(crate) struct Desk(TempDir);

impl Desk {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("clone")
    }

    /// Runs git in the clone, or beside it while there is none.
    pub(crate) fn git(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("git")
    }

    /// Git, yet to be run.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let directory = if self.path().exists() { self.path() } else { self.0.path().to_owned() };
        let mut command = Command::new("git");
        command
            .args(arguments)
            .current_dir(directory)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").expect("a PATH"))
            .env("HOME", self.0.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .envs([("GIT_AUTHOR_NAME", "Octo"), ("GIT_AUTHOR_EMAIL", "octo@example.com")])
            .envs([("GIT_COMMITTER_NAME", "Octo"), ("GIT_COMMITTER_EMAIL", "octo@example.com")]);
        command
    }

    #[track_caller]
    pub(crate) fn must(&self, arguments: &[&str]) -> String {
        let output = self.git(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    #[track_caller]
    pub(crate) fn clone_of(world: &World, id: &str, token: &str) -> Self {
        let desk = Self::new();
        desk.must(&["clone", "-q", &remote(world, id, token), "clone"]);
        desk
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, bytes).expect("a file");
    }

    #[track_caller]
    pub(crate) fn commit_all(&self) {
        self.must(&["add", "-A"]);
        self.must(&["commit", "-qm", "change"]);
    }
}

/// The address to clone from, with a token as the password.
pub(crate) fn remote(world: &World, id: &str, token: &str) -> String {
    let raw = world.server.raw_url();
    format!("{}/{id}.git", raw.replace("http://", &format!("http://x:{token}@")))
}
