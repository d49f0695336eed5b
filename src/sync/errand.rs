//! Errands to GitHub about one gist: forks, stars, addresses. A mount does them, or nobody's mount.

use std::time::Duration;

use super::social::SocialError;
use super::{Syncer, stars};
use crate::api::social::{Fork, SheetAddress, SheetRequest, SocialApi};
use crate::api::{Api, ApiError, Fetched, GistApi};
use crate::error::Error;
use crate::exit::{Exit, Failure};
use crate::model::{GistId, Snapshot};

/// So many pages of forks are looked through for one's own, which is among the newest.
const MOST_PAGES: usize = 30;

/// When to look for a fork whose answer was lost: reads lag behind writes.
const LOOKS: [Duration; 4] =
    [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// How requests get to GitHub.
pub trait Way {
    /// Sends one change, once.
    fn change<T>(
        &self,
        what: &dyn Fn(&dyn SocialApi) -> Result<T, ApiError>,
    ) -> Result<T, SocialError>;

    /// Asks something around a gist's files.
    fn ask<T>(
        &self,
        what: &dyn Fn(&dyn SocialApi) -> Result<T, ApiError>,
    ) -> Result<T, SocialError>;

    /// Asks something about gists themselves.
    fn ask_gist<T>(
        &self,
        what: &dyn Fn(&dyn GistApi) -> Result<T, ApiError>,
    ) -> Result<T, SocialError>;

    /// Lets time pass.
    fn pause(&self, time: Duration);

    /// Hears whether a gist is starred after a change of that; `None`: nobody knows.
    fn starred(&self, _id: &GistId, _on: Option<bool>) {}
}

/// In the pace and the limits of a mount.
impl Way for Syncer {
    fn change<T>(
        &self,
        what: &dyn Fn(&dyn SocialApi) -> Result<T, ApiError>,
    ) -> Result<T, SocialError> {
        self.social_change(what)
    }

    fn ask<T>(
        &self,
        what: &dyn Fn(&dyn SocialApi) -> Result<T, ApiError>,
    ) -> Result<T, SocialError> {
        self.social_read(what)
    }

    fn ask_gist<T>(
        &self,
        what: &dyn Fn(&dyn GistApi) -> Result<T, ApiError>,
    ) -> Result<T, SocialError> {
        self.gist_read(what)
    }

    fn pause(&self, time: Duration) {
        (self.sleep)(time);
    }

    fn starred(&self, id: &GistId, on: Option<bool>) {
        self.note_star(id, on);
    }
}

/// Without a mount: nothing else is under way that would have to be waited for.
pub struct Direct<A>(pub A);

impl<A: Api> Way for Direct<A> {
    fn change<T>(
        &self,
        what: &dyn Fn(&dyn SocialApi) -> Result<T, ApiError>,
    ) -> Result<T, SocialError> {
        what(self.0.social()).map_err(SocialError::Sent)
    }

    fn ask<T>(
        &self,
        what: &dyn Fn(&dyn SocialApi) -> Result<T, ApiError>,
    ) -> Result<T, SocialError> {
        what(self.0.social()).map_err(SocialError::Sent)
    }

    fn ask_gist<T>(
        &self,
        what: &dyn Fn(&dyn GistApi) -> Result<T, ApiError>,
    ) -> Result<T, SocialError> {
        what(&self.0).map_err(SocialError::Sent)
    }

    fn pause(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// A fork of one's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forked {
    /// The fork.
    pub id: GistId,
    /// Its page for people.
    pub url: String,
    /// All that the answer told of it; none where the answer was lost.
    pub snapshot: Option<Snapshot>,
}

/// Forks a gist, or finds the fork there is. Where the answer is lost it is looked for.
pub fn fork(way: &impl Way, id: &GistId) -> Result<Forked, Failure> {
    match way.change(&|api| api.fork(id)) {
        Ok(made) => {
            Ok(Forked { id: made.id.clone(), url: made.html_url.clone(), snapshot: Some(made) })
        }
        Err(SocialError::Sent(ApiError::Refused { status: 422, message })) => Err(Failure::new(
            Exit::Failed,
            format!("GitHub does not fork {id}: {message}"),
            "a gist of your own is copied with cp -r, in a mount",
        )),
        Err(error) if error.outcome_unknown() => look_for_fork(way, id, error),
        Err(error) => Err(undone(id, error)),
    }
}

/// The fork that was made although no answer came; else the error.
fn look_for_fork(way: &impl Way, id: &GistId, error: SocialError) -> Result<Forked, Failure> {
    let mut login = None;
    for pause in LOOKS {
        way.pause(pause);
        if login.is_none() {
            login = way.ask_gist(&|api| Ok(api.account()?.login)).ok();
        }
        let Some(login) = &login else { continue };
        if let Ok(Some(found)) = find_fork(way, id, login) {
            return Ok(Forked { id: found.id, url: found.html_url, snapshot: None });
        }
    }
    Err(undone(id, error))
}

/// The fork of `id` that belongs to `login`, if the list shows it.
fn find_fork(way: &impl Way, id: &GistId, login: &str) -> Result<Option<Fork>, SocialError> {
    let mut from = SheetAddress::First;
    for _ in 0..MOST_PAGES {
        let page = SheetRequest { from, etag: None };
        let Fetched::New(sheet) = way.ask(&|api| api.forks(id, &page))? else { return Ok(None) };
        let mut forks = sheet.items.into_iter();
        let owns = |owner: &String| owner.eq_ignore_ascii_case(login);
        if let Some(found) = forks.find(|fork| fork.owner.as_ref().is_some_and(owns)) {
            return Ok(Some(found));
        }
        let Some(next) = sheet.next else { return Ok(None) };
        from = SheetAddress::Next(next);
    }
    Ok(None)
}

/// Stars a gist, or takes the star back.
pub fn star(way: &impl Way, id: &GistId, on: bool) -> Result<(), Failure> {
    stars::star(way, id, on).map_err(|error| undone(id, error))
}

/// The gist as GitHub has it.
pub fn look_up(way: &impl Way, id: &GistId) -> Result<Snapshot, Failure> {
    match way.ask_gist(&|api| api.get(id, None)) {
        Ok(Fetched::New(full)) => Ok(full.snapshot),
        Ok(Fetched::NotModified) => {
            Err(Failure::new(Exit::Network, format!("GitHub says nothing of {id}"), "try again"))
        }
        Err(error) => Err(failure(id, error)),
    }
}

/// What went wrong with a change of `id`, and what to do.
fn undone(id: &GistId, error: SocialError) -> Failure {
    if !error.outcome_unknown() {
        return failure(id, error);
    }
    Failure::new(
        Exit::Network,
        format!("it is not known whether it was done to {id}: {error}"),
        "say it again: done twice it is the same",
    )
}

/// What went wrong with an errand about `id` that changed nothing, and what to do.
fn failure(id: &GistId, error: SocialError) -> Failure {
    let words = error.to_string();
    let (exit, message, hint) = match error {
        SocialError::Sent(ApiError::NotFound) => (
            Exit::Failed,
            format!("GitHub knows no gist {id}, or not for this token"),
            "check it; to change anything the token needs the scope \"gist\"",
        ),
        SocialError::Sent(
            ApiError::Unauthorized(_) | ApiError::Anonymous(_) | ApiError::Forbidden(_),
        ) => (Exit::Token, words, "use a token with the scope \"gist\""),
        SocialError::Sent(ApiError::Limited { .. }) | SocialError::NotSent(Error::Limited(_)) => {
            (Exit::Failed, words, "try again then; gistfs status says when")
        }
        SocialError::NotSent(Error::ReadOnly(_)) => (
            Exit::Failed,
            "the mount is read-only".into(),
            "use another mount, or give a --token-file",
        ),
        SocialError::Sent(
            ApiError::Unreachable { .. }
            | ApiError::Lost { .. }
            | ApiError::TimedOut { .. }
            | ApiError::Server(_)
            | ApiError::Nonsense { .. },
        )
        | SocialError::NotSent(Error::Unreachable(_) | Error::TimedOut(_)) => {
            (Exit::Network, words, "try again when GitHub answers")
        }
        SocialError::Sent(
            ApiError::Conflict(_)
            | ApiError::Refused { .. }
            | ApiError::Declined(_)
            | ApiError::Local { .. },
        )
        | SocialError::NotSent(_) => (Exit::Failed, words, "see the gist's page in a browser"),
    };
    Failure::new(exit, message, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_change_may_have_been_made_without_an_answer() {
        let id = GistId::parse("deadbeef").unwrap();
        let silence = || SocialError::Sent(ApiError::TimedOut { host: "api.github.com".into() });
        let (asked, changed) = (failure(&id, silence()), undone(&id, silence()));
        assert_eq!((asked.exit, changed.exit), (Exit::Network, Exit::Network));
        assert!(!asked.to_string().contains("done"), "{asked}");
        assert!(asked.hint.contains("when GitHub answers"), "{asked}");
        assert!(changed.message.contains("not known whether it was done to deadbeef"), "{changed}");
        let refused = undone(&id, SocialError::Sent(ApiError::NotFound));
        assert!(refused.message.contains("knows no gist"), "{refused}");
    }
}
