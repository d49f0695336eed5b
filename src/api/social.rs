//! What the Gist API offers around a gist's files: stars, forks, commits, comments.
//!
//! As with [`GistApi`](super::GistApi) every call is one request, and nothing here retries. Making a
//! comment or a fork twice makes two or may: where [`ApiError::outcome_unknown`] says so, whoever
//! asked has to look before asking again.

use bytes::Bytes;

use super::{ApiError, Fetched};
use crate::model::{CommentId, CommitId, GistId, Snapshot, Time};

/// What the Gist API offers around a gist's files, one method an endpoint.
pub trait SocialApi: Send + Sync {
    /// Whether the token's user has starred the gist.
    ///
    /// The one answer to "not starred" and "no such gist" is 404, so the latter is `false` too.
    fn is_starred(&self, id: &GistId) -> Result<bool, ApiError>;

    /// Stars the gist or takes the star back; the same again changes nothing.
    fn star(&self, id: &GistId, on: bool) -> Result<(), ApiError>;

    /// Makes the token's user a fork, or answers with the one there is.
    ///
    /// The answer has neither contents nor history, and of an old server not even files: then it is
    /// [`Snapshot::truncated`]. One's own gist is [`ApiError::Refused`] with 422.
    fn fork(&self, id: &GistId) -> Result<Snapshot, ApiError>;

    /// One page of the gist's forks, newest first.
    fn forks(&self, id: &GistId, page: &SheetRequest) -> Result<Fetched<Sheet<Fork>>, ApiError>;

    /// One page of the gist's commits, newest first.
    fn commits(&self, id: &GistId, page: &SheetRequest)
    -> Result<Fetched<Sheet<Commit>>, ApiError>;

    /// One page of the comments on the gist, oldest first.
    fn comments(
        &self,
        id: &GistId,
        page: &SheetRequest,
    ) -> Result<Fetched<Sheet<Comment>>, ApiError>;

    /// One comment; `etag` makes the request conditional.
    fn comment(
        &self,
        id: &GistId,
        comment: CommentId,
        etag: Option<&str>,
    ) -> Result<Fetched<Single<Comment>>, ApiError>;

    /// Comments on the gist. A blank `body` and one of more than 65,535 characters is
    /// [`ApiError::Refused`] with 422.
    fn add_comment(&self, id: &GistId, body: &str) -> Result<Comment, ApiError>;

    /// Gives a comment another text. Somebody else's is [`ApiError::NotFound`].
    fn edit_comment(
        &self,
        id: &GistId,
        comment: CommentId,
        body: &str,
    ) -> Result<Comment, ApiError>;

    /// Deletes a comment for good. One already gone is [`ApiError::NotFound`].
    fn delete_comment(&self, id: &GistId, comment: CommentId) -> Result<(), ApiError>;

    /// The answer to `GET /gists/ID` as it is: one JSON object that tells of this very gist.
    fn gist_json(
        &self,
        id: &GistId,
        etag: Option<&str>,
    ) -> Result<Fetched<Single<Bytes>>, ApiError>;
}

/// Something that comes with the validator of its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Single<T> {
    /// What was asked for.
    pub item: T,
    /// Makes the next request for it conditional.
    pub etag: Option<String>,
}

/// Which page of the forks, commits or comments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SheetRequest {
    /// The address.
    pub from: SheetAddress,
    /// Makes the request conditional.
    pub etag: Option<String>,
}

/// Where a page of forks, commits or comments is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SheetAddress {
    /// The first page.
    First,
    /// What a `Link` header named, within the API's origin.
    Next(String),
}

/// One page of forks, commits or comments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sheet<T> {
    /// At most a hundred, in GitHub's order.
    pub items: Vec<T>,
    /// Where the next page is, exactly as the `Link` header said.
    pub next: Option<String>,
    /// The validator of this page; none where something on it could not be read.
    pub etag: Option<String>,
}

/// One commit of a gist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its id, by which [`GistApi::revision`](super::GistApi::revision) has the files.
    pub version: CommitId,
    /// When it was made, to the second.
    pub committed_at: Time,
}

/// One comment on a gist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// Its number, unique on the host.
    pub id: CommentId,
    /// The login of who wrote it; nobody's once the account is gone.
    pub author: Option<String>,
    /// The text as it was written, Markdown.
    pub body: String,
    /// When it was made.
    pub created_at: Time,
    /// When it was last edited.
    pub updated_at: Time,
}

/// One fork of a gist, without its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fork {
    /// The fork, a gist of its own.
    pub id: GistId,
    /// The login of whose it is.
    pub owner: Option<String>,
    /// When it was made.
    pub created_at: Time,
    /// The fork's page for people.
    pub html_url: String,
}
