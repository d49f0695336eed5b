//! Gists that are not this mount's own, as views show them: known while they are looked at.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::Syncer;
use crate::api::{Fetched, GistApi};
use crate::error::Error;
use crate::model::{GistId, Snapshot};

/// What is known of other people's gists. A leaf.
#[derive(Default)]
pub(super) struct Others {
    known: Mutex<HashMap<GistId, Arc<Snapshot>>>,
}

impl Syncer {
    /// Somebody's gist as it was last told, if it is still remembered.
    pub fn known_other(&self, id: &GistId) -> Option<Arc<Snapshot>> {
        let known = self.others.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(id).map(Arc::clone)
    }

    /// Somebody's gist as GitHub has it now; a gist that is not there is [`Error::NotFound`].
    pub fn ask_other(&self, id: &GistId) -> Result<Arc<Snapshot>, Error> {
        let known = self.known_other(id);
        let etag = known.as_ref().and_then(|known| known.etag.as_deref());
        let full = match (self.api.get(id, etag), known) {
            (Ok(Fetched::New(full)), _) => full,
            (Ok(Fetched::NotModified), Some(known)) => return Ok(known),
            (Ok(Fetched::NotModified), None) => {
                return Err(Error::Nonsense(format!("{id}: not modified since never")));
            }
            (Err(crate::api::ApiError::NotFound), _) => return Err(Error::NotFound),
            (Err(error), _) => return Err(error.into()),
        };
        let snapshot = Arc::new(full.snapshot);
        let mut known = self.others.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(id.clone(), Arc::clone(&snapshot));
        Ok(snapshot)
    }
}
