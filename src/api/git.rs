//! A gist as the git repository it is, for all that the API's window is too narrow for.
//!
//! Every call blocks its thread. Nothing here retries, merges or decides; nothing is ever forced.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};

use super::ApiError;
use crate::model::{BlobId, CommitId, FileName, Time};

pub use self::program::{GitOptions, GitProgram};
pub use self::watch::Patience;

mod bodies;
mod child;
mod environment;
mod fetch;
mod program;
mod push;
mod remote;
mod tree;
mod watch;
mod words;

/// The way to the repositories behind gists.
pub trait GitApi: Send + Sync {
    /// Why nothing goes this way, in words that can follow "because"; `None` if something does.
    fn missing(&self) -> Option<&str>;

    /// Fetches the newest commit of the default branch of `git_url` with its tree, without any body
    /// where the server can leave them out. `heard` is called whenever something comes.
    fn fetch(&self, git_url: &str, heard: &dyn Fn()) -> Result<Box<dyn Repository>, ApiError>;

    /// Fetches bodies, of the newest commit or, where the server gives what no branch names, of any.
    /// One that cannot be had is an error: [`ApiError::NotFound`].
    fn bodies(
        &self,
        git_url: &str,
        wanted: &[BlobId],
        take: TakeBody<'_>,
        heard: &dyn Fn(),
    ) -> Result<(), ApiError>;
}

/// Takes in a body as it comes: its id, its length and its bytes. The id is git's word, not proved.
pub type TakeBody<'a> = &'a mut dyn FnMut(BlobId, u64, &mut dyn Read) -> io::Result<()>;

/// A fetched commit, in a repository of its own that goes when this is dropped.
pub trait Repository: Send {
    /// What was fetched.
    fn head(&self) -> &Head;

    /// Whether `commit` is [`Head::commit`] or one of those before it. False also where that cannot
    /// be known because the server does not show so much of the history.
    fn descends_from(&self, commit: &CommitId, heard: &dyn Fn()) -> Result<bool, ApiError>;

    /// Fetches bodies of this commit that were left out, and hands them and those that came along to
    /// `take`.
    fn bodies(
        &self,
        wanted: &[BlobId],
        take: TakeBody<'_>,
        heard: &dyn Fn(),
    ) -> Result<(), ApiError>;

    /// Puts one commit on top of [`Head::commit`] and pushes it, never by force.
    ///
    /// [`ApiError::Conflict`] says that the remote has moved: fetch again. [`ApiError::Declined`] has
    /// the server's own words. What no file of ours can be, as names that are not UTF-8, stays.
    fn push(&self, commit: &NewCommit<'_>, heard: &dyn Fn()) -> Result<CommitId, ApiError>;
}

/// The newest commit of the default branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The branch: `main`, `master` or whatever `HEAD` is.
    pub branch: String,
    /// The commit; `None` where the branch has none yet.
    pub commit: Option<CommitId>,
    /// The files at the top of its tree; no directories, and no names that are not UTF-8.
    pub files: BTreeMap<FileName, BlobId>,
}

/// What a pushed commit holds.
pub struct NewCommit<'a> {
    /// Every file afterwards. One that keeps its name, or its body under a new one, keeps its mode.
    pub files: &'a BTreeMap<FileName, BlobId>,
    /// When it was made.
    pub at: Time,
    /// Opens a body that the remote may not have.
    pub body: &'a dyn Fn(BlobId) -> io::Result<File>,
}
