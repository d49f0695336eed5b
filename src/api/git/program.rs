//! The git program: found once, then started for every single step.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use super::child::{Broken, Ended, Running};
use super::environment::{self, Talk};
use super::fetch::Fetched;
use super::remote::Remote;
use super::watch::{Patience, Stop, Watch};
use super::words::{self, With};
use super::{GitApi, Repository, TakeBody, bodies};
use crate::api::ApiError;
use crate::api::host::Endpoint;
use crate::api::token::Token;
use crate::model::BlobId;

/// The oldest git that is used: 2.31 brought configuration by numbered variables, without which the
/// token could only be given in a file or an argument.
const OLDEST: (u32, u32) = (2, 31);

/// How long the program may take to tell its version.
const GREETING: Patience = Patience {
    silence: Duration::from_secs(10),
    answer: Duration::from_secs(10),
    whole: Duration::from_secs(10),
    slowest: u64::MAX,
};

/// Who pushes, and where things are.
#[derive(Clone, Debug)]
pub struct GitOptions {
    /// The program, looked up on `PATH` unless it has a slash; `None` is no git at all.
    pub program: Option<PathBuf>,
    /// Whose repositories.
    pub endpoint: Endpoint,
    /// What opens them.
    pub token: Option<Token>,
    /// The login behind the token, which is the author of what is pushed.
    pub login: Option<String>,
    /// Its number, where the API told it.
    pub number: Option<u64>,
    /// Where repositories are kept for as long as they are used. What is in it is removed.
    pub directory: PathBuf,
    /// How long git may take.
    pub patience: Patience,
}

/// [`GitApi`] by the git program, one process for every step.
///
/// Its processes see nothing of the user's configuration, and none outlives the call that began it:
/// only where gistfs itself is killed they end a little later by themselves.
pub struct GitProgram {
    options: GitOptions,
    program: PathBuf,
    missing: Option<String>,
    stop: Stop,
}

impl GitProgram {
    /// Finds the program and asks for its version. That there is none is no error:
    /// [`GitApi::missing`] tells it.
    pub fn find(options: GitOptions) -> Self {
        clear(&options.directory);
        let program = options.program.clone().unwrap_or_default();
        let mut found = Self { options, program, missing: None, stop: Stop::default() };
        found.missing = found.problem();
        found
    }

    /// Ends what runs, lets nothing begin any more, and clears the directory.
    pub fn stop(&self) {
        self.stop.stop(Duration::from_secs(2));
        clear(&self.options.directory);
    }

    fn problem(&self) -> Option<String> {
        if self.options.program.is_none() {
            return Some("--git none says so".into());
        }
        let shown = self.program.display();
        let mut command = Command::new(&self.program);
        command.arg("--version").env_clear().current_dir("/").env("LC_ALL", "C");
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        let watch = Watch::new(GREETING, &self.stop, &|| {});
        let ended = match Running::start(&mut command, watch).and_then(Running::end) {
            Ok(ended) => ended,
            Err(Broken::System(error)) if error.kind() == io::ErrorKind::NotFound => {
                return Some(if self.program == Path::new("git") {
                    "the git program is not installed".into()
                } else {
                    format!("there is no program {shown}")
                });
            }
            Err(Broken::System(error)) => return Some(format!("{shown} cannot be run: {error}")),
            Err(Broken::TimedOut | Broken::Stopped) => {
                return Some(format!("{shown} does not answer"));
            }
        };
        let text = String::from_utf8_lossy(&ended.output);
        let told = text.strip_prefix("git version ").filter(|_| ended.code == Some(0));
        let numbers = told.and_then(|told| {
            let mut parts = told.trim().split(['.', ' ', '-']);
            let numbers = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            Some((numbers, told.trim().chars().take(40).collect::<String>()))
        });
        match numbers {
            None => Some(format!("{shown} is no git")),
            Some((numbers, told)) if numbers < OLDEST => {
                let told = told.escape_default();
                Some(format!("{shown} is too old: {told}; 2.31 is needed"))
            }
            Some((_, told)) => {
                log::debug!("git is {shown}, {}", told.escape_default());
                None
            }
        }
    }

    fn ready(&self) -> Result<(), ApiError> {
        match &self.missing {
            Some(why) => Err(ApiError::Local {
                errno: libc::ENOENT,
                message: format!("git cannot be used, because {why}"),
            }),
            None => Ok(()),
        }
    }
}

/// Removes what a process left that ended in the middle. Nobody else uses the directory: it belongs to
/// the state, which is locked.
fn clear(directory: &Path) {
    match fs::remove_dir_all(directory) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => log::warn!("cannot clear {}: {error}", directory.display()),
    }
}

fn stopped(host: String, what: &str) -> ApiError {
    ApiError::Lost { host, detail: format!("{what} was stopped at the mount's end") }
}

impl fmt::Debug for GitProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitProgram").field("program", &self.program).finish_non_exhaustive()
    }
}

/// [`GitApi`] is for handles, because what is fetched keeps the program.
impl GitApi for Arc<GitProgram> {
    fn missing(&self) -> Option<&str> {
        self.missing.as_deref()
    }

    fn fetch(&self, git_url: &str, heard: &dyn Fn()) -> Result<Box<dyn Repository>, ApiError> {
        let place = Place::make(self, git_url)?;
        Ok(Box::new(Fetched::fetch(place, heard)?))
    }

    fn bodies(
        &self,
        git_url: &str,
        wanted: &[BlobId],
        take: TakeBody<'_>,
        heard: &dyn Fn(),
    ) -> Result<(), ApiError> {
        let place = Place::make(self, git_url)?;
        place.lay_out(heard)?;
        bodies::bring(&place, wanted, take, heard)
    }
}

/// A directory for one repository, which goes when this is dropped.
pub(super) struct Place {
    git: Arc<GitProgram>,
    pub(super) remote: Remote,
    home: tempfile::TempDir,
}

impl Place {
    fn make(git: &Arc<GitProgram>, git_url: &str) -> Result<Self, ApiError> {
        git.ready()?;
        let remote = Remote::of(git_url, &git.options.endpoint)?;
        Self::beside(git, remote)
    }

    fn beside(git: &Arc<GitProgram>, remote: Remote) -> Result<Self, ApiError> {
        let directory = &git.options.directory;
        let make = || {
            fs::create_dir_all(directory)?;
            tempfile::Builder::new().prefix("").tempdir_in(directory)
        };
        // Else it could come after the last clearing, and stay.
        let made = git.stop.unless_stopped(make).ok_or_else(|| stopped(remote.host(), "git"))?;
        let home =
            made.map_err(|error| ApiError::local("cannot make a directory for git", &error))?;
        Ok(Self { git: Arc::clone(git), remote, home })
    }

    /// An empty place for the same remote.
    pub(super) fn another(&self) -> Result<Self, ApiError> {
        Self::beside(&self.git, self.remote.clone())
    }

    /// Makes an empty repository.
    pub(super) fn lay_out(&self, heard: &dyn Fn()) -> Result<(), ApiError> {
        let words = ["init", "--bare", "--quiet", "--template=", "--initial-branch=none"];
        self.here(&words, b"", heard).map(drop)
    }

    pub(super) fn options(&self) -> &GitOptions {
        &self.git.options
    }

    pub(super) fn repository(&self) -> PathBuf {
        self.home.path().join("repo")
    }

    /// Runs a command that talks to nobody, and returns what it prints.
    pub(super) fn here(
        &self,
        words: &[&str],
        input: &[u8],
        heard: &dyn Fn(),
    ) -> Result<Vec<u8>, ApiError> {
        let ended = self.start(words, None, &[], heard).and_then(|mut running| {
            running.say(input)?;
            running.end()
        });
        let ended = ended.map_err(|broken| self.broken(words, broken, false))?;
        self.checked(words, ended)
    }

    /// What a command that talks to nobody printed, if it came to a good end.
    pub(super) fn checked(&self, words: &[&str], ended: Ended) -> Result<Vec<u8>, ApiError> {
        let name = words.first().copied().unwrap_or_default();
        if ended.code == Some(0) {
            return Ok(ended.output);
        }
        let errno = if words::is_disk_full(&ended.words) { libc::ENOSPC } else { libc::EIO };
        let reason = self.scrubbed(&words::reason(&ended.words));
        Err(ApiError::Local { errno, message: format!("git {name} failed: {reason}") })
    }

    /// Runs a command that talks to the remote. What is not a good end is told by `failed`.
    pub(super) fn there(
        &self,
        words: &[&str],
        filter: Option<&str>,
        input: &[u8],
        heard: &dyn Fn(),
    ) -> Result<Ended, ApiError> {
        let (remote, token) = (&self.remote, self.options().token.as_ref());
        let talk = Talk { remote, token, filter };
        let ended = self.start(words, Some(talk), &[], heard).and_then(|mut running| {
            running.say(input)?;
            running.end()
        });
        let mut ended = ended.map_err(|broken| self.broken(words, broken, true))?;
        for line in &mut ended.words {
            *line = self.scrubbed(line);
        }
        Ok(ended)
    }

    /// Starts a command that talks to nobody, with more in its environment.
    pub(super) fn begin<'a>(
        &'a self,
        words: &[&str],
        more: &[(&str, &OsStr)],
        heard: &'a dyn Fn(),
    ) -> Result<Running<'a>, ApiError> {
        self.start(words, None, more, heard).map_err(|broken| self.broken(words, broken, false))
    }

    fn start<'a>(
        &'a self,
        words: &[&str],
        talk: Option<Talk<'_>>,
        more: &[(&str, &OsStr)],
        heard: &'a dyn Fn(),
    ) -> Result<Running<'a>, Broken> {
        log::trace!("git {}", words.first().copied().unwrap_or_default());
        let mut command = environment::command(&self.git.program, self.home.path(), talk);
        command.args(words).envs(more.iter().copied());
        let mut watch = Watch::new(self.options().patience, &self.git.stop, heard);
        if talk.is_some() {
            // What else git writes says nothing of the server.
            watch = watch.of_growth(&self.repository().join("objects"));
            watch = match words.first() {
                Some(&"push") => watch.of_giving(),
                Some(_) | None => watch.of_asking(),
            };
        }
        Running::start(&mut command, watch)
    }

    /// Why a command did not come to its end.
    pub(super) fn broken(&self, words: &[&str], broken: Broken, talks: bool) -> ApiError {
        let name = words.first().copied().unwrap_or_default();
        let host = self.remote.host();
        match broken {
            Broken::TimedOut if talks => ApiError::TimedOut { host },
            Broken::TimedOut => ApiError::Local {
                errno: libc::ETIMEDOUT,
                message: format!("git {name} does not come to its end"),
            },
            Broken::Stopped => stopped(host, &format!("git {name}")),
            Broken::System(error) => ApiError::local(&format!("git {name} failed"), &error),
        }
    }

    /// Why a command that talked to the remote failed.
    pub(super) fn failed(&self, words: &[String]) -> ApiError {
        words::error(words, self.with(&self.remote.host()))
    }

    /// Whom git talked to.
    pub(super) fn with<'a>(&self, host: &'a str) -> With<'a> {
        With { host, signed_in: self.options().token.is_some() }
    }

    /// Something that the program said and that no git says.
    pub(super) fn nonsense(&self, detail: &str) -> ApiError {
        let detail = format!("git says of it what makes no sense: {detail}");
        ApiError::Nonsense { host: self.remote.host(), detail }
    }

    /// A line without what nobody should read: the token, which a server may have repeated, and where
    /// on this machine the repository is.
    fn scrubbed(&self, line: &str) -> String {
        let home = self.home.path().to_string_lossy();
        let line = line.replace(&format!("{home}/repo/"), "").replace(&*home, "…");
        match &self.options().token {
            Some(token) => line.replace(token.secret(), "***"),
            None => line,
        }
    }
}
