//! [`SocialApi`] over HTTP.

use bytes::Bytes;
use reqwest::{Method, StatusCode, Url};

use super::{GitHub, MOST_OF_A_GIST, MOST_OF_A_LIST, PAGE, etag, incomplete, linked};
use crate::api::social::{
    Comment, Commit, Fork, Sheet, SheetAddress, SheetRequest, Single, SocialApi,
};
use crate::api::wire::{self, Malformed};
use crate::api::{ApiError, Fetched};
use crate::model::{CommentId, GistId, Snapshot};

/// How the entries of a page are read, and whether all of them were.
type Read<T> = fn(&[u8]) -> Result<(Vec<T>, bool), Malformed>;

impl GitHub {
    fn of_gist(&self, id: &GistId, rest: &[&str]) -> Url {
        let segments: Vec<&str> = ["gists", id.as_str()].iter().chain(rest).copied().collect();
        self.endpoint().address(&segments)
    }

    fn of_comment(&self, id: &GistId, comment: CommentId) -> Url {
        self.of_gist(id, &["comments", &comment.to_string()])
    }

    fn sheet<T>(
        &self,
        id: &GistId,
        what: &str,
        page: &SheetRequest,
        read: Read<T>,
    ) -> Result<Fetched<Sheet<T>>, ApiError> {
        let url = match &page.from {
            SheetAddress::First => {
                let mut url = self.of_gist(id, &[what]);
                url.query_pairs_mut().append_pair("per_page", PAGE);
                url
            }
            SheetAddress::Next(link) => self.next_url(link)?,
        };
        // A hundred comments of the greatest length are more than a page of gists.
        let answer = self.read(url, page.etag.as_deref(), MOST_OF_A_GIST)?;
        if answer.status == StatusCode::NOT_MODIFIED {
            return Ok(Fetched::NotModified);
        }
        let (items, all) = read(&answer.body).map_err(|problem| self.nonsense(problem))?;
        let (next, etag) = (linked(&answer.headers, "next"), etag(&answer.headers).filter(|_| all));
        Ok(Fetched::New(Sheet { items, next, etag }))
    }

    /// Reads the answer for one comment, which must be `asked` if that was the question.
    fn told(&self, body: &[u8], asked: Option<CommentId>) -> Result<Comment, ApiError> {
        let comment = wire::social::comment(body).map_err(|problem| self.nonsense(problem))?;
        match asked.filter(|asked| *asked != comment.id) {
            None => Ok(comment),
            Some(asked) => {
                let other = comment.id;
                Err(self.nonsense(format!("asked for comment {asked} it tells of {other}")))
            }
        }
    }
}

impl SocialApi for GitHub {
    fn is_starred(&self, id: &GistId) -> Result<bool, ApiError> {
        self.signed_in()?;
        match self.read(self.of_gist(id, &["star"]), None, MOST_OF_A_LIST) {
            Ok(answer) => self.done(&answer).map(|()| true),
            Err(ApiError::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn star(&self, id: &GistId, on: bool) -> Result<(), ApiError> {
        let method = if on { Method::PUT } else { Method::DELETE };
        self.done(&self.write(method, self.of_gist(id, &["star"]), None)?)
    }

    fn fork(&self, id: &GistId) -> Result<Snapshot, ApiError> {
        let answer = self.write(Method::POST, self.of_gist(id, &["forks"]), None)?;
        let told = wire::social::forked(&answer.body).map_err(|problem| self.nonsense(problem))?;
        let fork = incomplete(told).snapshot;
        if fork.id == *id {
            return Err(self.nonsense(format!("{id} is no fork of itself")));
        }
        Ok(fork)
    }

    fn forks(&self, id: &GistId, page: &SheetRequest) -> Result<Fetched<Sheet<Fork>>, ApiError> {
        self.sheet(id, "forks", page, wire::social::forks)
    }

    fn commits(
        &self,
        id: &GistId,
        page: &SheetRequest,
    ) -> Result<Fetched<Sheet<Commit>>, ApiError> {
        self.sheet(id, "commits", page, wire::social::commits)
    }

    fn comments(
        &self,
        id: &GistId,
        page: &SheetRequest,
    ) -> Result<Fetched<Sheet<Comment>>, ApiError> {
        self.sheet(id, "comments", page, wire::social::comments)
    }

    fn comment(
        &self,
        id: &GistId,
        comment: CommentId,
        etag: Option<&str>,
    ) -> Result<Fetched<Single<Comment>>, ApiError> {
        let answer = self.read(self.of_comment(id, comment), etag, MOST_OF_A_LIST)?;
        if answer.status == StatusCode::NOT_MODIFIED {
            return Ok(Fetched::NotModified);
        }
        let item = self.told(&answer.body, Some(comment))?;
        Ok(Fetched::New(Single { item, etag: super::etag(&answer.headers) }))
    }

    fn add_comment(&self, id: &GistId, body: &str) -> Result<Comment, ApiError> {
        let sent = Some(wire::social::comment_body(body));
        let answer = self.write(Method::POST, self.of_gist(id, &["comments"]), sent)?;
        self.told(&answer.body, None)
    }

    fn edit_comment(
        &self,
        id: &GistId,
        comment: CommentId,
        body: &str,
    ) -> Result<Comment, ApiError> {
        let sent = Some(wire::social::comment_body(body));
        let answer = self.write(Method::PATCH, self.of_comment(id, comment), sent)?;
        self.told(&answer.body, Some(comment))
    }

    fn delete_comment(&self, id: &GistId, comment: CommentId) -> Result<(), ApiError> {
        self.done(&self.write(Method::DELETE, self.of_comment(id, comment), None)?)
    }

    fn gist_json(
        &self,
        id: &GistId,
        etag: Option<&str>,
    ) -> Result<Fetched<Single<Bytes>>, ApiError> {
        let answer = self.read(self.of_gist(id, &[]), etag, MOST_OF_A_GIST)?;
        if answer.status == StatusCode::NOT_MODIFIED {
            return Ok(Fetched::NotModified);
        }
        let told = wire::social::id_of(&answer.body).map_err(|problem| self.nonsense(problem))?;
        if told != *id {
            return Err(self.nonsense(format!("asked for gist {id} it tells of {told}")));
        }
        let etag = super::etag(&answer.headers);
        Ok(Fetched::New(Single { item: answer.body, etag }))
    }
}
