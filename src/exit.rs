//! How the command ends: a code for scripts, a sentence for people, and what to do about it.

use std::fmt;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

/// The exit codes, all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exit {
    /// Something could not be done, or not all of it.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// The mount point cannot be used.
    MountPoint = 3,
    /// There is no token, or GitHub does not accept it.
    Token = 4,
    /// GitHub cannot be reached, and that is needed.
    Network = 5,
    /// FUSE is missing on this machine.
    Fuse = 6,
    /// Local state cannot be used: locked by another mount, unreadable, no room.
    State = 7,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why the command fails. Printed as two lines: what, and what to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// The code.
    pub exit: Exit,
    /// What is wrong, without a full stop.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl Failure {
    /// A failure with its way out.
    pub fn new(exit: Exit, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: hint.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gistfs: {}", self.message)?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, "\n  {}", self.hint) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_saying_what_and_one_saying_what_to_do() {
        let failure = Failure::new(Exit::Token, "there is no token", "set GH_TOKEN");
        assert_eq!(failure.to_string(), "gistfs: there is no token\n  set GH_TOKEN");
    }
}
