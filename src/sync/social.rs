//! Requests around a gist's files, for somebody who waits: changes in GitHub's pace, questions while
//! no limit is in force. Nothing here is sent twice.

use std::time::{Duration, Instant};

use super::Syncer;
use super::turn::{Barrier, Patience};
use crate::api::social::SocialApi;
use crate::api::{ApiError, GistApi};
use crate::error::Error;
use crate::model::Time;

/// How long a program waits until its own change may go.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why something that a program waited for was not done, or is not known to be.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SocialError {
    /// It was not sent: a limit is in force, its turn did not come, there is no network.
    #[error(transparent)]
    NotSent(Error),
    /// It was sent, and this came of it.
    #[error(transparent)]
    Sent(ApiError),
}

impl SocialError {
    /// Whether the change may have been made all the same: look before asking again.
    pub fn outcome_unknown(&self) -> bool {
        match self {
            Self::NotSent(_) => false,
            Self::Sent(error) => error.outcome_unknown(),
        }
    }

    /// Whether GitHub said that there is no such thing, or not for this token.
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::NotSent(_) => false,
            Self::Sent(error) => *error == ApiError::NotFound,
        }
    }
}

/// What a program sees of it.
impl From<SocialError> for Error {
    fn from(error: SocialError) -> Self {
        match error {
            SocialError::NotSent(error) => error,
            SocialError::Sent(error) => error.into(),
        }
    }
}

impl Syncer {
    /// What there is around gists' files; what comes of it is known to be the network's doing or not.
    pub(crate) fn social(&self) -> &dyn SocialApi {
        &self.api
    }

    /// Sends one change, when pace and limits allow it and no other change is under way.
    ///
    /// Waits a minute for that, and not while GitHub's own limit is in force: then it is
    /// [`Error::Limited`]. `what` is called once at most and must be one request; nothing is sent
    /// again, and what came of a request that was not answered is for the caller to find out.
    pub fn social_change<T>(
        &self,
        what: &dyn Fn(&dyn SocialApi) -> Result<T, ApiError>,
    ) -> Result<T, SocialError> {
        if self.options.read_only {
            return Err(SocialError::NotSent(Error::ReadOnly("nothing is sent")));
        }
        let until = self.now().after(PATIENCE);
        let patience = Patience { until, limits: false, tell: &|_| {} };
        loop {
            let barrier = match self.change_alone(what, until) {
                Ok(outcome) => return outcome,
                Err(barrier) => barrier,
            };
            // Waited for without the lock: others may have something that can go at once.
            if !self.wait_for_turn(&patience, 1) {
                let text = format!("{}; until {}", barrier.why, barrier.until);
                return Err(SocialError::NotSent(Error::Limited(text)));
            }
        }
    }

    /// The outcome of the change, or what keeps it from going now. Others have until `until`.
    fn change_alone<T>(
        &self,
        what: &dyn Fn(&dyn SocialApi) -> Result<T, ApiError>,
        until: Time,
    ) -> Result<Result<T, SocialError>, Barrier> {
        let Some(_alone) = self.mutation.enter_within(until.since(self.now())) else {
            let late = "other changes are under way and take long; this one was not sent";
            return Ok(Err(SocialError::NotSent(Error::TimedOut(late.into()))));
        };
        if let Some(barrier) = self.barrier(self.now(), true) {
            return Err(barrier);
        }
        // In a network that is silent nobody would know whether it was done.
        if self.api.retry_at().is_some()
            && let Err(error) = self.api.account()
            && (error.is_network() || matches!(error, ApiError::Nonsense { .. }))
        {
            return Ok(Err(SocialError::NotSent(error.into())));
        }
        self.count_change();
        let left = self.now();
        let outcome = self.noted(what(self.social()));
        if outcome.is_ok() {
            self.limit_is_over(left);
        }
        Ok(outcome)
    }

    /// Asks something around a gist's files for somebody who waits, unless GitHub wants to hear
    /// nothing now ([`Error::Limited`]) or somebody has just waited in vain.
    pub fn social_read<T>(
        &self,
        what: &dyn Fn(&dyn SocialApi) -> Result<T, ApiError>,
    ) -> Result<T, SocialError> {
        self.read(|| what(self.social()))
    }

    /// The same for gists themselves: those that are not in the store.
    pub fn gist_read<T>(
        &self,
        what: &dyn Fn(&dyn GistApi) -> Result<T, ApiError>,
    ) -> Result<T, SocialError> {
        self.read(|| what(&self.api))
    }

    fn read<T>(&self, ask: impl FnOnce() -> Result<T, ApiError>) -> Result<T, SocialError> {
        if let Some(error) = self.api.hush().or_else(|| self.limited(self.now())) {
            return Err(SocialError::NotSent(error));
        }
        let began = Instant::now();
        let outcome = self.noted(ask());
        // One answer that did not come says little; more of them, and others need not wait as long.
        if let Err(SocialError::Sent(error)) = &outcome
            && error.is_network()
            && self.api.trouble().is_some()
        {
            self.waited_in_vain(began, &error.clone().into(), None);
        }
        outcome
    }

    /// If it is a limit, nothing is asked for until it ends.
    fn noted<T>(&self, outcome: Result<T, ApiError>) -> Result<T, SocialError> {
        outcome.map_err(|error| {
            if matches!(error, ApiError::Limited { .. }) {
                drop(self.heard(error.clone()));
            }
            SocialError::Sent(error)
        })
    }
}
