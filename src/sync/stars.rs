//! Stars: whether the token's user has starred a gist, and starring it.

use super::Syncer;
use super::asked::Asked;
use crate::api::social::SocialApi;
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
        let error = match self.social_change(&|api| api.star(id, on)) {
            Ok(()) => {
                self.stars.0.note(id, self.now(), on);
                return Ok(());
            }
            Err(error) => error,
        };
        if error.outcome_unknown() {
            let look = |api: &dyn SocialApi| api.is_starred(id);
            match self.social_read(&look) {
                Ok(starred) => {
                    self.stars.0.note(id, self.now(), starred);
                    if starred == on {
                        log::info!("{id}: the answer to the star was lost, but it was acted on");
                        return Ok(());
                    }
                }
                Err(doubt) => log::warn!("{id}: not known whether it is starred now: {doubt}"),
            }
        }
        Err(error.into())
    }
}
