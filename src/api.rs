//! What gistfs asks of GitHub, as a trait: the real client is [`github`], tests bring others.
//!
//! Every call is one request and blocks its thread; apart from redirects, and from a question that
//! a connection kept from before left unanswered, which is asked once more over a new one. Nothing
//! here retries, waits or remembers: when to ask again is decided by [`retry`], by whom is
//! [`crate::sync`]'s.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use crate::error::Error;
use crate::model::{BlobId, CommitId, FileName, GistId, RemoteFile, Snapshot, Time};

use self::git::GitApi;
use self::social::SocialApi;

pub mod absent;
pub mod git;
pub mod github;
pub mod host;
mod http;
mod link;
mod network;
pub mod pace;
mod pool;
pub mod retry;
pub mod social;
mod status;
pub mod token;
mod wire;

/// The Gist API, one method an endpoint.
pub trait GistApi: Send + Sync {
    /// Whose token this is (`GET /user`) and what it may do.
    fn account(&self) -> Result<Account, ApiError>;

    /// One page of a list. Follow [`Page::next`] as given; never build the next address.
    ///
    /// A gist whose listed files name no blob, as odd Enterprise Servers tell them, costs a request
    /// more; if that does not help either it is marked as [`Snapshot::truncated`].
    fn list(&self, page: &PageRequest) -> Result<Fetched<Page>, ApiError>;

    /// One gist with its contents; `etag` makes the request conditional.
    fn get(&self, id: &GistId, etag: Option<&str>) -> Result<Fetched<FullGist>, ApiError>;

    /// One gist, or what it was after a commit, with its contents in base64: an older server mangles
    /// what is not text otherwise.
    fn get_base64(&self, id: &GistId, commit: Option<&CommitId>) -> Result<FullGist, ApiError> {
        match commit {
            Some(commit) => self.revision(id, commit),
            None => match self.get(id, None)? {
                Fetched::New(gist) => Ok(gist),
                Fetched::NotModified => Err(ApiError::NotFound),
            },
        }
    }

    /// The gist as it was after one of its commits; only the files and their bodies count.
    fn revision(&self, id: &GistId, commit: &CommitId) -> Result<FullGist, ApiError>;

    /// A body from its `raw_url`, which is another origin: no token goes there.
    ///
    /// Length and blob id are checked before a byte is returned; a login page, a stale copy or
    /// a cut-off answer is [`ApiError::Nonsense`]. `heard` is called whenever a part of it came, so
    /// that whoever waits can tell slow from dead.
    fn body(&self, file: &RemoteFile, heard: &dyn Fn()) -> Result<Bytes, ApiError>;

    /// The same for a body too large to be held in memory: `take` gets it piece by piece, from byte
    /// `from` on.
    ///
    /// An answer that says of itself that it has another length is [`ApiError::Nonsense`] before
    /// `take` gets anything; the blob id is for whoever has all pieces to check. An empty piece says
    /// that something has come that is no news. An error of `take` ends it as [`ApiError::Local`].
    /// After [`ApiError::is_network`] it can be asked to go on where it stopped.
    fn stream(&self, file: &RemoteFile, from: u64, take: TakePiece<'_>) -> Result<(), ApiError> {
        let body = self.body(file, &|| {})?;
        let rest = usize::try_from(from).ok().and_then(|from| body.get(from..)).unwrap_or_default();
        take(rest).map_err(|error| ApiError::local("cannot store a body", &error))
    }

    /// Makes a gist of all the given files. The answer is the authoritative state afterwards.
    fn create(&self, gist: &NewGist) -> Result<FullGist, ApiError>;

    /// Applies `patch` in one commit. The answer is the authoritative state afterwards.
    fn update(&self, id: &GistId, patch: &Patch) -> Result<FullGist, ApiError>;

    /// Deletes the gist for good. A gist already gone is [`ApiError::NotFound`].
    fn delete(&self, id: &GistId) -> Result<(), ApiError>;

    /// The quota as the newest answer told it; `None` where the host has no limit or none is known.
    fn quota(&self) -> Option<Quota>;
}

/// Takes in the next piece of a body.
pub type TakePiece<'a> = &'a mut dyn FnMut(&[u8]) -> std::io::Result<()>;

/// All of the Gist API.
pub trait Api: GistApi {
    /// What there is around a gist's files. Who has nothing of it lends [`absent::Absent`].
    fn social(&self) -> &dyn SocialApi;

    /// The repositories behind gists. Who has no way to them lends [`absent::Absent`].
    fn git(&self) -> &dyn GitApi {
        &absent::Absent
    }
}

/// The user behind a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The login.
    pub login: String,
    /// The account's number, which stays when the login changes; odd servers have none.
    pub number: Option<u64>,
    /// The classic token's scopes (`X-OAuth-Scopes`); `None` for tokens that have no scopes.
    pub scopes: Option<Vec<String>>,
}

/// What is left of the primary rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Requests an hour.
    pub limit: u64,
    /// Requests left until `reset`.
    pub remaining: u64,
    /// When `remaining` becomes `limit` again.
    pub reset: Time,
}

/// An answer to a conditional request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched<T> {
    /// 304: what the ETag stood for is still true. Costs no quota.
    NotModified,
    /// 200.
    New(T),
}

/// Which page of which list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// The address.
    pub from: PageAddress,
    /// Makes the request conditional.
    pub etag: Option<String>,
}

/// Where a page is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PageAddress {
    /// The first page of the token's own gists, all of them or those updated after an instant.
    Own {
        /// Only gists whose `updated_at` is later.
        since: Option<Time>,
    },
    /// The first page of a user's public gists.
    User {
        /// The login.
        login: String,
        /// Only gists whose `updated_at` is later.
        since: Option<Time>,
    },
    /// The first page of the gists that the token's user has starred.
    Starred {
        /// Only gists whose `updated_at` is later.
        since: Option<Time>,
    },
    /// No list, but a page of one gist, or of none if there is no such gist.
    One(GistId),
    /// The first page of everybody's public gists; GitHub shows no more than 3,000 in all.
    Public {
        /// Only gists whose `updated_at` is later.
        since: Option<Time>,
    },
    /// What a `Link` header named, within the API's origin.
    Next(String),
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The gists as listed: no revision, no ETag of their own.
    pub gists: Vec<Snapshot>,
    /// Where the next page is, exactly as the `Link` header said.
    pub next: Option<String>,
    /// Where the last page is, as the `Link` header said. It tells which pages there are; whether
    /// there is a next one, only `next` does.
    pub last: Option<String>,
    /// The validator of this page.
    pub etag: Option<String>,
}

/// The addresses of the pages behind `next` up to `last`, at most `most`, where the two differ in
/// the number of the page alone; else none is known before the page before it names it.
pub fn pages_after(next: &str, last: &str, most: usize) -> Vec<String> {
    link::between(next, last, most)
}

/// One gist as a single answer tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullGist {
    /// The state.
    pub snapshot: Snapshot,
    /// Bodies that came with it: complete, and proved by their blob id. Others must be fetched.
    pub bodies: BTreeMap<BlobId, Bytes>,
    /// The commits the answer names, newest first. GitHub may cut the list.
    pub history: Vec<CommitId>,
}

/// What a new gist consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewGist {
    /// The description, possibly empty.
    pub description: String,
    /// Listed for everybody, for good: the API cannot change it later.
    pub public: bool,
    /// At least one file, none blank.
    pub files: BTreeMap<FileName, String>,
}

/// A change of one gist: one request, one commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    /// The new description, if it changes.
    pub description: Option<String>,
    /// The changes by the files' current names.
    pub files: BTreeMap<FileName, FileChange>,
}

/// What happens to one file in a [`Patch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileChange {
    /// The file has this content afterwards, whether it existed or not.
    Write(String),
    /// The file is called so afterwards; its content changes only where one is given.
    Rename(FileName, Option<String>),
    /// The file is gone afterwards. It must exist, or GitHub refuses the whole patch.
    Delete,
}

/// Why a request did not do what it should. Its text never holds a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// No connection: no route, refused, name not found. The request was not acted on.
    #[error("cannot reach {host}: {detail}")]
    Unreachable {
        /// Whom we tried to reach.
        host: String,
        /// The cause in the network's words.
        detail: String,
    },
    /// The answer did not come, or not whole. The request may have been acted on.
    #[error("no complete answer from {host}: {detail}")]
    Lost {
        /// Who did not answer.
        host: String,
        /// The cause in the network's words.
        detail: String,
    },
    /// The time for the request ran out. It may have been acted on.
    #[error("{host} did not answer in time")]
    TimedOut {
        /// Who did not answer.
        host: String,
    },
    /// 401: the token is wrong, revoked or missing.
    #[error("GitHub does not accept the token (401): {0}")]
    Unauthorized(String),
    /// 401 to a request without a token, or a request that was not sent for want of one.
    #[error("GitHub answers this only with a token (401): {0}")]
    Anonymous(String),
    /// 403 that is no limit: the token may not do this.
    #[error("GitHub refuses this (403): {0}")]
    Forbidden(String),
    /// 403 or 429 for a rate limit. The request was not acted on.
    #[error("GitHub's rate limit is used up: {message}")]
    Limited {
        /// GitHub's words.
        message: String,
        /// How long to wait, where the answer said it (`Retry-After`, else until the reset).
        wait: Option<Duration>,
        /// The secondary limit (pace), not the primary one (quota).
        secondary: bool,
    },
    /// 404: gone, or hidden from a token without the scope.
    #[error("GitHub knows no such gist, or the token may not see it (404)")]
    NotFound,
    /// 409: another change of the gist was under way.
    #[error("GitHub could not update the gist just now (409): {0}")]
    Conflict(String),
    /// Another 4xx: asking again without a change is useless.
    #[error("GitHub refuses the request ({status}): {message}")]
    Refused {
        /// The status.
        status: u16,
        /// GitHub's words and, where given, its error list.
        message: String,
    },
    /// 5xx. The request may have been acted on.
    #[error("GitHub has an error of its own ({0})")]
    Server(u16),
    /// An answer that cannot be understood or does not match what was asked for.
    #[error("an answer from {host} makes no sense: {detail}")]
    Nonsense {
        /// Who said it.
        host: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The server took no push, in its own words: asking again without a change is useless.
    #[error("GitHub refuses the push: {0}")]
    Declined(String),
    /// Something on this machine: a full disk, a program that cannot be run. Nothing was changed.
    #[error("{message}")]
    Local {
        /// What the system said.
        errno: i32,
        /// What failed, with the cause.
        message: String,
    },
}

impl ApiError {
    /// What failed on this machine, and why.
    pub fn local(what: &str, error: &std::io::Error) -> Self {
        let errno = error.raw_os_error().unwrap_or(libc::EIO);
        Self::Local { errno, message: format!("{what}: {error}") }
    }

    /// Whether the request may have changed something although no good answer came.
    pub fn outcome_unknown(&self) -> bool {
        match self {
            Self::Lost { .. } | Self::TimedOut { .. } | Self::Server(_) | Self::Nonsense { .. } => {
                true
            }
            Self::Unreachable { .. }
            | Self::Unauthorized(_)
            | Self::Anonymous(_)
            | Self::Forbidden(_)
            | Self::Limited { .. }
            | Self::NotFound
            | Self::Conflict(_)
            | Self::Refused { .. }
            | Self::Declined(_)
            | Self::Local { .. } => false,
        }
    }

    /// Whether the network is to blame: there was no answer, or not the whole of one.
    pub fn is_network(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Lost { .. } | Self::TimedOut { .. } => true,
            Self::Unauthorized(_)
            | Self::Anonymous(_)
            | Self::Forbidden(_)
            | Self::Limited { .. }
            | Self::NotFound
            | Self::Conflict(_)
            | Self::Refused { .. }
            | Self::Server(_)
            | Self::Nonsense { .. }
            | Self::Declined(_)
            | Self::Local { .. } => false,
        }
    }

    /// Whether the same request may succeed later without anybody doing anything.
    pub fn passes(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Lost { .. }
            | Self::TimedOut { .. }
            | Self::Limited { .. }
            | Self::Conflict(_)
            | Self::Server(_)
            | Self::Nonsense { .. }
            | Self::Local { .. } => true,
            Self::Unauthorized(_)
            | Self::Anonymous(_)
            | Self::Forbidden(_)
            | Self::NotFound
            | Self::Refused { .. }
            | Self::Declined(_) => false,
        }
    }
}

/// What a program sees of an API error while it uses the mount.
impl From<ApiError> for Error {
    fn from(error: ApiError) -> Self {
        let text = error.to_string();
        match error {
            // An answer cut off on its way is no answer that makes no sense.
            ApiError::Unreachable { .. } | ApiError::Lost { .. } => Self::Unreachable(text),
            ApiError::TimedOut { .. } => Self::TimedOut(text),
            ApiError::Unauthorized(_)
            | ApiError::Anonymous(_)
            | ApiError::Forbidden(_)
            | ApiError::NotFound
            | ApiError::Declined(_) => Self::Denied(text),
            ApiError::Local { errno, message } => Self::Local { errno, message },
            ApiError::Limited { .. } => Self::Limited(text),
            ApiError::Conflict(_) => Self::Conflict(text),
            ApiError::Refused { .. } | ApiError::Server(_) | ApiError::Nonsense { .. } => {
                Self::Nonsense(text)
            }
        }
    }
}
