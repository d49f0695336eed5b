//! Finding the user's token, and saying where it was found.
//!
//! Only looks; whether the token is any good is for GitHub to say. What belongs to another host is
//! not looked at, so that no host is ever offered a token meant for a different one. One variable
//! belongs to no host: what is in `GITHUB_GIST_CREATE_TOKEN` is for whichever host is asked for.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::api::host::Endpoint;
use crate::api::token::Token;

mod ask;

pub use ask::System;

/// A token and where it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The token.
    pub token: Token,
    /// Where it was.
    pub source: Source,
}

/// Where a token came from. Its text goes into "the token from …".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The file that the user named.
    File(PathBuf),
    /// An environment variable.
    Variable(&'static str),
    /// GitHub's command line tool.
    Gh,
    /// git's credential helper.
    GitCredential,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file {path:?}"),
            Self::Variable(name) => write!(f, "the environment variable {name}"),
            Self::Gh => f.write_str("`gh auth token`"),
            Self::GitCredential => f.write_str("`git credential fill`"),
        }
    }
}

/// Why looking for a token ended without an answer. Never holds what was found.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The file that the user named cannot be read.
    #[error("cannot read the token file {path:?}: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        error: io::Error,
    },
    /// The file that the user named holds nothing.
    ///
    /// Looking on elsewhere would mount another account than the one asked for.
    #[error("the token file {0:?} is empty")]
    Empty(PathBuf),
    /// What was found cannot be a token.
    #[error("the token from {0} has spaces, line breaks or other characters that no token has")]
    Malformed(Source),
}

/// What [`find`] asks of the world besides files; [`System`] is the real one.
pub trait Environment {
    /// The value of an environment variable.
    fn variable(&self, name: &str) -> Option<OsString>;

    /// What a program prints when given `input`; `None` if it is missing, fails or takes too long.
    fn ask(&self, program: &str, arguments: &[&str], input: &str) -> Option<String>;
}

/// Variables that mean github.com and its tenants.
const FOR_GITHUB: &[&str] = &["GH_TOKEN", "GITHUB_TOKEN"];
/// Variables that mean an Enterprise Server.
const FOR_ENTERPRISE: &[&str] = &["GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"];
/// A variable that older gist tools read, whatever the host: who sets it means the host they name.
const FOR_ANY: &[&str] = &["GITHUB_GIST_CREATE_TOKEN"];
/// No token is that long; whatever the user named by mistake is not read into memory.
const LONGEST: u64 = 64 << 10;

/// Looks for a token for `endpoint`; the first found counts, `None` means that there is none.
///
/// The order is: `file`, the host's environment variables, `gh`, git's credential helper. A blank
/// value counts as absent, except in `file`. For a server on this machine the two programs are
/// not asked: what they know belongs to other hosts.
pub fn find(
    endpoint: &Endpoint,
    file: Option<&Path>,
    environment: &dyn Environment,
) -> Result<Option<Found>, AuthError> {
    if let Some(path) = file {
        return from_file(path).map(Some);
    }
    let own: &[&[&str]] = if endpoint.is_github() {
        &[FOR_GITHUB]
    } else if endpoint.is_loopback() {
        // Whoever points gistfs at a server of their own machine sets what they always set.
        &[FOR_ENTERPRISE, FOR_GITHUB]
    } else {
        &[FOR_ENTERPRISE]
    };
    for name in own.iter().copied().flatten().chain(FOR_ANY) {
        let value = environment.variable(name).unwrap_or_default();
        // What is not UTF-8 is no token either, and says so below by its replacement character.
        if let Some(found) = checked(&value.to_string_lossy(), Source::Variable(name))? {
            return Ok(Some(found));
        }
    }
    if endpoint.is_loopback() {
        return Ok(None);
    }
    let host = endpoint.host();
    let token = environment.ask("gh", &["auth", "token", "--hostname", host], "");
    if let Some(found) = checked(&token.unwrap_or_default(), Source::Gh)? {
        return Ok(Some(found));
    }
    let question = format!("protocol=https\nhost={host}\n\n");
    let answer = environment.ask("git", &["credential", "fill"], &question).unwrap_or_default();
    let password = answer.lines().find_map(|line| line.strip_prefix("password="));
    checked(password.unwrap_or_default(), Source::GitCredential)
}

fn from_file(path: &Path) -> Result<Found, AuthError> {
    let unreadable = |error| AuthError::Unreadable { path: path.to_owned(), error };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(LONGEST).read_to_end(&mut bytes).map_err(unreadable)?;
    let source = Source::File(path.to_owned());
    checked(&String::from_utf8_lossy(&bytes), source)?.ok_or(AuthError::Empty(path.to_owned()))
}

/// The token in `text`, less the space around it; `None` if there is nothing but space.
fn checked(text: &str, source: Source) -> Result<Option<Found>, AuthError> {
    match (text.trim(), Token::parse(text.trim())) {
        ("", _) => Ok(None),
        (_, Some(token)) => Ok(Some(Found { token, source })),
        (_, None) => Err(AuthError::Malformed(source)),
    }
}

#[cfg(test)]
mod tests;
