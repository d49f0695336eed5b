//! Stars: whether the token's user has starred a gist, and starring it.

use super::Syncer;
use super::asked::Asked;
use super::errand::Way;
use super::social::SocialError;
use crate::error::Error;
use crate::model::GistId;

/// So many gists' stars are remembered.
const MOST: usize = 1000;

/// What is known of stars.
pub(super) struct Stars(Asked<bool>);

impl Default for Stars {
    fn default() -> Self {
        Self(Asked::new(MOST))
    }
}

impl Syncer {
    /// Whether the gist is starred, if that was asked within the last moments.
    pub fn known_star(&self, id: &GistId) -> Option<bool> {
        self.stars.0.lately(id, self.now())
    }

    /// Whether the gist is starred; without a network, whether it was when last asked.
    pub fn ask_star(&self, id: &GistId) -> Result<bool, Error> {
        let asked = self.social_read(&|api| api.is_starred(id));
        if let Ok(starred) = &asked {
            self.stars.0.note(id, self.now(), *starred);
        }
        self.stars.0.or_known(id, asked)
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
        if let Some(starred) = starred {
            self.stars.0.note(id, self.now(), starred);
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
