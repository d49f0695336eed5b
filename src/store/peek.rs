//! A look into the state of an account that is not mounted, or not by us. Changes nothing there.

use std::path::{Path, PathBuf};

use super::blobs;
use super::db;
use super::gist::Gist;
use crate::error::Error;
use crate::model::BlobId;

/// What was in the state when it was looked at.
pub struct Peek {
    /// Every gist.
    pub gists: Vec<Gist>,
    directory: PathBuf,
}

impl Peek {
    /// Reads the state in `directory`, which must be there. Takes no lock and makes no file of ours;
    /// a layout this version does not know is an error.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        let mut gists = db::peek(&directory.join("state.db"))?;
        gists.retain(|gist| !gist.is_unsent_copy());
        Ok(Self { gists, directory: directory.to_owned() })
    }

    /// A stored body, not checked: good for saying what kind it is. `None` if it is not there.
    pub fn body(&self, id: BlobId) -> Option<Vec<u8>> {
        if id == BlobId::EMPTY {
            return Some(Vec::new());
        }
        std::fs::read(blobs::path_in(&self.directory, id)).ok()
    }
}
