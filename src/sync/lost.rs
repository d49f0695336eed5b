//! Creates whose answer was lost: is a gist that a list shows the one that was made?

use std::time::Duration;

use super::Syncer;
use crate::api::{ApiError, Fetched, GistApi};
use crate::model::{Snapshot, Time};
use crate::store::gist::{Attempt, GistKey};

/// So much earlier than by our clock a gist may seem to have been made by GitHub's.
const CLOCKS_APART: Duration = Duration::from_secs(600);

/// A create that may have been acted on.
pub(super) struct Doubt {
    pub(super) key: GistKey,
    attempt: Attempt,
    sent: Time,
}

impl Syncer {
    /// Every create that may have been acted on.
    pub(super) fn doubtful_creates(&self) -> Vec<Doubt> {
        let mut found = Vec::new();
        self.store.look_at_unmade(|gist| {
            if let Some(attempt) = gist.attempt.clone() {
                let sent = gist.wrote.unwrap_or_default();
                found.push(Doubt { key: gist.key, attempt, sent });
            }
        });
        found
    }

    /// The gist whose create made the one that is now as `seen`, and what that was at first.
    ///
    /// Somebody may have changed it since. Its oldest commit tells, which costs two requests; they
    /// are spent on young gists only, and only while a create is in doubt.
    pub(super) fn made_by_us(
        &self,
        doubts: &[Doubt],
        seen: &Snapshot,
    ) -> Result<Option<(GistKey, Snapshot)>, ApiError> {
        if let Some(doubt) = doubts.iter().find(|doubt| doubt.attempt.made(seen)) {
            return Ok(Some((doubt.key, seen.clone())));
        }
        let young = |doubt: &&Doubt| seen.created_at >= doubt.sent.before(CLOCKS_APART);
        let doubts: Vec<&Doubt> = doubts.iter().filter(young).collect();
        if doubts.is_empty() {
            return Ok(None);
        }
        let full = match self.api.get(&seen.id, None) {
            Ok(Fetched::New(full)) => full,
            Ok(Fetched::NotModified) | Err(ApiError::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(first) = full.history.last() else { return Ok(None) };
        let first = match self.api.revision(&seen.id, first) {
            Ok(first) => first.snapshot,
            Err(ApiError::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        // A commit has no description.
        let made = doubts.iter().find(|doubt| doubt.attempt.made_files(&first));
        Ok(made.map(|doubt| {
            let description = doubt.attempt.description.clone();
            (doubt.key, Snapshot { description, etag: None, ..first })
        }))
    }
}
