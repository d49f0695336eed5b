//! Stars: whether the token's user has starred a gist, and starring it.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use super::Syncer;
use super::asked::Asked;
use super::errand::Way;
use super::others::Belief;
use super::social::SocialError;
use crate::error::Error;
use crate::model::GistId;

/// So many gists' stars are remembered.
const MOST: usize = 1000;

/// What is known of stars.
pub(super) struct Stars {
    asked: Asked<bool>,
    /// How often one was given or taken back from here.
    changes: AtomicU64,
}

impl Default for Stars {
    fn default() -> Self {
        Self { asked: Asked::new(MOST), changes: AtomicU64::new(0) }
    }
}

impl Syncer {
    /// Whether the gist is starred, if that was asked within the last moments.
    pub fn known_star(&self, id: &GistId) -> Option<bool> {
        self.stars.asked.lately(id, self.now(), self.span(Belief::Fresh))
    }

    /// Whether the gist is starred; without a network, whether it was when last asked.
    pub fn ask_star(&self, id: &GistId) -> Result<bool, Error> {
        let before = self.stars.changes.load(Relaxed);
        let asked = self.social_read(&|api| api.is_starred(id));
        // A change made meanwhile is newer than the answer.
        if let Ok(starred) = &asked {
            let holds = || self.stars.changes.load(Relaxed) == before;
            self.stars.asked.note_if(id, self.now(), *starred, holds);
        }
        self.stars.asked.or_known(id, asked)
    }

    /// Stars the gist or takes the star back, when pace and limits allow it.
    ///
    /// Where the answer is lost GitHub is asked whether it is so now.
    pub fn star(&self, id: &GistId, on: bool) -> Result<(), Error> {
        Ok(star(self, id, on)?)
    }

    /// Notes what came of starring a gist; `None`: nobody knows. The list of starred gists may be
    /// another one.
    pub(super) fn note_star(&self, id: &GistId, starred: Option<bool>) {
        self.stars.changes.fetch_add(1, Relaxed);
        if let Some(starred) = starred {
            self.stars.asked.note(id, self.now(), starred);
        }
        self.stars_changed();
    }
}

/// Stars the gist or takes the star back, and looks whether it is so where the answer is lost.
pub(super) fn star(way: &impl Way, id: &GistId, on: bool) -> Result<(), SocialError> {
    let outcome = way.change(&|api| api.star(id, on));
    way.starred(id, outcome.is_ok().then_some(on));
    let Err(error) = outcome else { return Ok(()) };
    if error.outcome_unknown() {
        match way.ask(&|api| api.is_starred(id)) {
            Ok(starred) => {
                way.starred(id, Some(starred));
                if starred == on {
                    log::info!("{id}: the answer to the star was lost, but it was acted on");
                    return Ok(());
                }
            }
            Err(doubt) => log::warn!("{id}: not known whether it is starred now: {doubt}"),
        }
    }
    Err(error)
}
