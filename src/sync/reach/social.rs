//! What comes of requests around a gist's files tells of the network too.

use bytes::Bytes;

use super::{Asks, Reach};
use crate::api::social::{Comment, Commit, Fork, Sheet, SheetRequest, Single, SocialApi};
use crate::api::{ApiError, Fetched};
use crate::model::{CommentId, GistId, Snapshot};

impl SocialApi for Reach {
    fn is_starred(&self, id: &GistId) -> Result<bool, ApiError> {
        self.note(Asks::Reads, || self.api.social().is_starred(id))
    }

    fn star(&self, id: &GistId, on: bool) -> Result<(), ApiError> {
        self.note(Asks::Changes, || self.api.social().star(id, on))
    }

    fn fork(&self, id: &GistId) -> Result<Snapshot, ApiError> {
        self.note(Asks::Changes, || self.api.social().fork(id))
    }

    fn forks(&self, id: &GistId, page: &SheetRequest) -> Result<Fetched<Sheet<Fork>>, ApiError> {
        self.note(Asks::Reads, || self.api.social().forks(id, page))
    }

    fn commits(
        &self,
        id: &GistId,
        page: &SheetRequest,
    ) -> Result<Fetched<Sheet<Commit>>, ApiError> {
        self.note(Asks::Reads, || self.api.social().commits(id, page))
    }

    fn comments(
        &self,
        id: &GistId,
        page: &SheetRequest,
    ) -> Result<Fetched<Sheet<Comment>>, ApiError> {
        self.note(Asks::Reads, || self.api.social().comments(id, page))
    }

    fn comment(
        &self,
        id: &GistId,
        comment: CommentId,
        etag: Option<&str>,
    ) -> Result<Fetched<Single<Comment>>, ApiError> {
        self.note(Asks::Reads, || self.api.social().comment(id, comment, etag))
    }

    fn add_comment(&self, id: &GistId, body: &str) -> Result<Comment, ApiError> {
        self.note(Asks::Changes, || self.api.social().add_comment(id, body))
    }

    fn edit_comment(
        &self,
        id: &GistId,
        comment: CommentId,
        body: &str,
    ) -> Result<Comment, ApiError> {
        self.note(Asks::Changes, || self.api.social().edit_comment(id, comment, body))
    }

    fn delete_comment(&self, id: &GistId, comment: CommentId) -> Result<(), ApiError> {
        self.note(Asks::Changes, || self.api.social().delete_comment(id, comment))
    }

    fn gist_json(
        &self,
        id: &GistId,
        etag: Option<&str>,
    ) -> Result<Fetched<Single<Bytes>>, ApiError> {
        self.note(Asks::Reads, || self.api.social().gist_json(id, etag))
    }
}
