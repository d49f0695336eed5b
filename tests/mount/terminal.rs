//! A terminal with a person's hands: programs run in tmux and get real key presses.

use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::world::{World, said, wait_until};

/// A program in a terminal of its own.
pub(crate) struct Terminal<'a> {
    world: &'a World,
    socket: String,
}

impl<'a> Terminal<'a> {
    /// Runs `program` in the mount's root.
    #[track_caller]
    pub(crate) fn run(world: &'a World, program: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let terminal = Self { world, socket: format!("gistfs-{}-{number}", std::process::id()) };
        let root = world.point();
        let root = root.to_str().expect("a path of ours");
        let new = ["new-session", "-d", "-x", "80", "-y", "24", "-c", root, program];
        let out = terminal.tmux(&new);
        assert!(out.status.success(), "tmux: {}", said(&out));
        terminal
    }

    fn command(&self) -> Command {
        let mut command = self.world.program("tmux");
        command.args(["-L", &self.socket, "-f", "/dev/null"]);
        command
    }

    fn tmux(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().expect("tmux runs")
    }

    /// Types text as it is.
    #[track_caller]
    pub(crate) fn types(&self, text: &str) {
        let out = self.tmux(&["send-keys", "-l", "--", text]);
        assert!(out.status.success(), "tmux: {}", said(&out));
    }

    /// Presses keys by their names.
    #[track_caller]
    pub(crate) fn press(&self, keys: &[&str]) {
        let out = self.tmux(&[&["send-keys"], keys].concat());
        assert!(out.status.success(), "tmux: {}", said(&out));
    }

    /// Waits until the screen shows `text`.
    #[track_caller]
    pub(crate) fn shows(&self, text: &str) {
        let mut screen = String::new();
        let start = std::time::Instant::now();
        while !screen.contains(text) {
            assert!(start.elapsed() < crate::world::AMPLE, "no {text:?} on the screen:\n{screen}");
            let out = self.tmux(&["capture-pane", "-p"]);
            screen = String::from_utf8_lossy(&out.stdout).into_owned();
            std::thread::park_timeout(std::time::Duration::from_millis(10));
        }
    }

    /// Waits for the program's end.
    #[track_caller]
    pub(crate) fn ended(&self) {
        wait_until("the program ends", || !self.tmux(&["has-session"]).status.success());
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        drop(self.tmux(&["kill-server"]));
    }
}
