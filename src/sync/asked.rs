//! What was asked of late about a gist, and is not kept in the store: believed for a moment, and
//! remembered for when there is no network.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::social::SocialError;
use crate::error::Error;
use crate::model::{GistId, Time};

/// Answers by gist, the most recent ones only. A leaf: held for a look.
pub(super) struct Asked<T> {
    most: usize,
    answers: Mutex<HashMap<GistId, (Time, T)>>,
}

impl<T: Clone> Asked<T> {
    /// Remembers the answers about `most` gists.
    pub(super) fn new(most: usize) -> Self {
        Self { most, answers: Mutex::default() }
    }

    fn answers(&self) -> MutexGuard<'_, HashMap<GistId, (Time, T)>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last answer, if at `now` no more than `span` went by since it came.
    pub(super) fn lately(&self, id: &GistId, now: Time, span: Duration) -> Option<T> {
        let answers = self.answers();
        let (at, answer) = answers.get(id)?;
        at.is_within(span, now).then(|| answer.clone())
    }

    /// The last answer, however old.
    pub(super) fn known(&self, id: &GistId) -> Option<T> {
        self.answers().get(id).map(|(_, answer)| answer.clone())
    }

    /// Remembers an answer; the oldest one makes room for it.
    pub(super) fn note(&self, id: &GistId, now: Time, answer: T) {
        self.note_if(id, now, answer, || true);
    }

    /// Remembers an answer if it still is one: nobody else notes anything between.
    pub(super) fn note_if(&self, id: &GistId, now: Time, answer: T, holds: impl FnOnce() -> bool) {
        let mut answers = self.answers();
        if !holds() {
            return;
        }
        answers.insert(id.clone(), (now, answer));
        if answers.len() > self.most {
            let oldest = answers.iter().min_by_key(|(_, (at, _))| *at).map(|(id, _)| id.clone());
            oldest.and_then(|id| answers.remove(&id));
        }
    }

    /// What `asked` found, or what was known before if it failed for a reason that passes.
    pub(super) fn or_known(&self, id: &GistId, asked: Result<T, SocialError>) -> Result<T, Error> {
        let error = match asked {
            Ok(answer) => return Ok(answer),
            // ENOENT would say that the file read is not there.
            Err(error) if error.is_not_found() => {
                return Err(Error::Denied(format!("GitHub knows nothing of {id} (404)")));
            }
            Err(error) => error,
        };
        let passes = match &error {
            SocialError::NotSent(_) => true,
            SocialError::Sent(error) => error.passes(),
        };
        match self.known(id).filter(|_| passes) {
            Some(known) => {
                log::info!("{id}: shown as it was last told: {error}");
                Ok(known)
            }
            None => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ApiError;

    fn id(text: &str) -> GistId {
        GistId::parse(text).unwrap()
    }

    #[test]
    fn an_answer_is_believed_for_a_span_and_never_by_a_clock_set_back() {
        let asked = Asked::new(2);
        asked.note(&id("a"), Time::new(100, 0), 1);
        let lately = |now| asked.lately(&id("a"), now, Duration::from_secs(5));
        assert_eq!(lately(Time::new(104, 999)), Some(1));
        assert_eq!(lately(Time::new(105, 0)), None);
        assert_eq!(lately(Time::new(99, 0)), None);
        assert_eq!(asked.known(&id("a")), Some(1));
    }

    #[test]
    fn the_oldest_answer_makes_room_for_a_new_one() {
        let asked = Asked::new(2);
        for (second, name) in ["a", "b", "a", "c"].into_iter().enumerate() {
            asked.note(&id(name), Time::new(second as i64, 0), second);
        }
        let known = ["a", "b", "c"].map(|name| asked.known(&id(name)));
        assert_eq!(known, [Some(2), None, Some(3)]);
    }

    #[test]
    fn what_was_known_stands_in_for_an_answer_only_while_asking_again_may_help() {
        let asked = Asked::new(2);
        asked.note(&id("a"), Time::new(1, 0), 1);
        let sent = |error| Err(SocialError::Sent(error));
        assert_eq!(asked.or_known(&id("a"), Ok(2)).ok(), Some(2));
        assert_eq!(asked.or_known(&id("a"), sent(ApiError::Server(502))).ok(), Some(1));
        let gone = asked.or_known(&id("a"), sent(ApiError::NotFound));
        assert!(matches!(gone, Err(Error::Denied(_))), "{gone:?}");
        let refused = asked.or_known(&id("a"), sent(ApiError::Unauthorized("bad".into())));
        assert!(matches!(refused, Err(Error::Denied(_))), "{refused:?}");
        let unknown = asked.or_known(&id("b"), sent(ApiError::Server(502)));
        assert!(matches!(unknown, Err(Error::Nonsense(_))), "{unknown:?}");
    }
}
