//! No GitHub at all: for whoever works on local state without a mount.

use bytes::Bytes;

use super::git::{GitApi, Repository, TakeBody};
use super::social::{Comment, Commit, Fork, Sheet, SheetRequest, Single, SocialApi};
use super::{
    Account, Api, ApiError, Fetched, FullGist, GistApi, NewGist, Page, PageRequest, Patch, Quota,
};
use crate::model::{BlobId, CommentId, CommitId, GistId, RemoteFile, Snapshot};

/// Answers every question with [`ApiError::Unreachable`].
pub struct Absent;

fn nobody<T>() -> Result<T, ApiError> {
    let (host, detail) = ("GitHub".into(), "nothing is mounted; mount first".into());
    Err(ApiError::Unreachable { host, detail })
}

impl GistApi for Absent {
    fn account(&self) -> Result<Account, ApiError> {
        nobody()
    }

    fn list(&self, _: &PageRequest) -> Result<Fetched<Page>, ApiError> {
        nobody()
    }

    fn get(&self, _: &GistId, _: Option<&str>) -> Result<Fetched<FullGist>, ApiError> {
        nobody()
    }

    fn revision(&self, _: &GistId, _: &CommitId) -> Result<FullGist, ApiError> {
        nobody()
    }

    fn body(&self, _: &RemoteFile, _: &dyn Fn()) -> Result<Bytes, ApiError> {
        nobody()
    }

    fn create(&self, _: &NewGist) -> Result<FullGist, ApiError> {
        nobody()
    }

    fn update(&self, _: &GistId, _: &Patch) -> Result<FullGist, ApiError> {
        nobody()
    }

    fn delete(&self, _: &GistId) -> Result<(), ApiError> {
        nobody()
    }

    fn quota(&self) -> Option<Quota> {
        None
    }
}

impl Api for Absent {
    fn social(&self) -> &dyn SocialApi {
        self
    }
}

impl GitApi for Absent {
    fn missing(&self) -> Option<&str> {
        Some("there is no way to the repositories of gists")
    }

    fn fetch(&self, _: &str, _: &dyn Fn()) -> Result<Box<dyn Repository>, ApiError> {
        nobody()
    }

    fn bodies(&self, _: &str, _: &[BlobId], _: TakeBody<'_>, _: &dyn Fn()) -> Result<(), ApiError> {
        nobody()
    }
}

impl SocialApi for Absent {
    fn is_starred(&self, _: &GistId) -> Result<bool, ApiError> {
        nobody()
    }

    fn star(&self, _: &GistId, _: bool) -> Result<(), ApiError> {
        nobody()
    }

    fn fork(&self, _: &GistId) -> Result<Snapshot, ApiError> {
        nobody()
    }

    fn forks(&self, _: &GistId, _: &SheetRequest) -> Result<Fetched<Sheet<Fork>>, ApiError> {
        nobody()
    }

    fn commits(&self, _: &GistId, _: &SheetRequest) -> Result<Fetched<Sheet<Commit>>, ApiError> {
        nobody()
    }

    fn comments(&self, _: &GistId, _: &SheetRequest) -> Result<Fetched<Sheet<Comment>>, ApiError> {
        nobody()
    }

    fn comment(
        &self,
        _: &GistId,
        _: CommentId,
        _: Option<&str>,
    ) -> Result<Fetched<Single<Comment>>, ApiError> {
        nobody()
    }

    fn add_comment(&self, _: &GistId, _: &str) -> Result<Comment, ApiError> {
        nobody()
    }

    fn edit_comment(&self, _: &GistId, _: CommentId, _: &str) -> Result<Comment, ApiError> {
        nobody()
    }

    fn delete_comment(&self, _: &GistId, _: CommentId) -> Result<(), ApiError> {
        nobody()
    }

    fn gist_json(&self, _: &GistId, _: Option<&str>) -> Result<Fetched<Single<Bytes>>, ApiError> {
        nobody()
    }
}
