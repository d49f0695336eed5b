//! Asking other programs for what they know, without letting them ask the user.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::Environment;

use std::os::unix::process::CommandExt as _;

/// This process's environment and the programs on its `PATH`.
#[derive(Clone, Copy, Debug)]
pub struct System {
    /// How long a program may take. A credential helper may have to unlock something.
    pub patience: Duration,
}

impl Default for System {
    fn default() -> Self {
        Self { patience: Duration::from_secs(5) }
    }
}

/// What keeps `gh`, git and git's helpers from asking in a terminal or a window that nobody sees.
const QUIET: &[(&str, &str)] = &[
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_ASKPASS", ""),
    ("SSH_ASKPASS", ""),
    ("GCM_INTERACTIVE", "never"),
    ("GH_PROMPT_DISABLED", "1"),
    ("NO_COLOR", "1"),
];
/// Far more than a credential is long.
const LONGEST: u64 = 64 << 10;

impl Environment for System {
    fn variable(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name)
    }

    fn ask(&self, program: &str, arguments: &[&str], input: &str) -> Option<String> {
        let mut child = Command::new(program)
            .args(arguments)
            .envs(QUIET.iter().copied())
            // The repository one happens to stand in must not choose the helper.
            .current_dir("/")
            // A group of its own, so that helpers of the program can be stopped with it.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .inspect_err(|error| log::debug!("{program}: {error}"))
            .ok()?;
        let answer = self.converse(&mut child, input);
        if answer.is_none() {
            log::debug!("{program} gave no answer within {:?}", self.patience);
            stop(&child);
        }
        let status = child.wait().ok()?;
        answer.filter(|_| status.success())
    }
}

impl System {
    /// Says `input` and hears the child out, or `None` when patience ends. The question is short
    /// enough for any pipe, so saying it cannot block.
    fn converse(&self, child: &mut Child, input: &str) -> Option<String> {
        let mut stdin = child.stdin.take()?;
        // A program that does not listen may still have something to say.
        if let Err(error) = stdin.write_all(input.as_bytes()) {
            log::debug!("unheard question: {error}");
        }
        drop(stdin);
        let stdout = child.stdout.take()?;
        let (sender, receiver) = mpsc::channel();
        // Ends when the pipe does, at the latest when the group is stopped.
        thread::spawn(move || {
            let mut heard = Vec::new();
            let complete = stdout.take(LONGEST).read_to_end(&mut heard).is_ok();
            // Nobody listens any more if patience has ended.
            sender.send(complete.then_some(heard)).ok();
        });
        String::from_utf8(receiver.recv_timeout(self.patience).ok()??).ok()
    }
}

fn stop(child: &Child) {
    // Not yet waited for, so the number is still this child's.
    if let Ok(group) = i32::try_from(child.id())
        && let Err(error) = killpg(Pid::from_raw(group), Signal::SIGKILL)
    {
        log::debug!("cannot stop process group {group}: {error}");
    }
}
