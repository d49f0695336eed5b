//! No GitHub at all: for whoever works on local state without a mount.

use bytes::Bytes;

use super::{
    Account, ApiError, Fetched, FullGist, GistApi, NewGist, Page, PageRequest, Patch, Quota,
};
use crate::model::{GistId, RemoteFile};

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

    fn revision(&self, _: &GistId, _: &str) -> Result<FullGist, ApiError> {
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
