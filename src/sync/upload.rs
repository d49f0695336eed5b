//! Sending what is owed: look, plan, send, and make the answer the new base.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use super::bodies::Source;
use super::due::due;
use super::hold::not_before;
use super::plan::{Class, Hold, Outside, Plan, Step, plan};
use super::{Pacing, Syncer};
use crate::api::ApiError;
use crate::api::retry::{self, Repeatable};
use crate::error::Error;
use crate::model::{BlobId, FileName, Time};
use crate::store::gist::{Gist, GistKey};

/// How long a program waits for GitHub's answer to its own change.
const PATIENCE: Duration = Duration::from_secs(60);

/// Requests one push may take before it lets others have their turn.
const STEPS: usize = 64;

/// What a push left behind.
pub type Left = BTreeMap<FileName, Hold>;

impl Syncer {
    /// Sends every gist that is due at `now` and says when the next one will be.
    pub fn send_what_is_due(self: &Arc<Self>, now: Time) -> Option<Time> {
        self.bury_local();
        let limited = self.shared().limited_until.filter(|until| *until > now);
        if limited.is_none() {
            for (_, key) in self.due_times().into_iter().filter(|(at, _)| *at <= now) {
                // The failure is recorded with the gist, and logged there.
                let failed = self.push(key, self.now(), false).is_err();
                if failed && self.shared().limited_until.is_some_and(|until| until > now) {
                    break;
                }
            }
        }
        let limited = self.shared().limited_until.filter(|until| *until > now);
        let next = self.due_times().into_iter().map(|(at, _)| at).min()?;
        Some(limited.map_or(next, |until| next.max(until)))
    }

    /// Every gist that owes something sendable, by when it is due.
    fn due_times(&self) -> Vec<(Time, GistKey)> {
        let mut found = Vec::new();
        let now = self.now();
        let held = self.held_deletions(now);
        let mut waits = false;
        self.store.look_at_busy(|gist| {
            if let Some(at) = due(gist, self.options.write_back) {
                // That it waits is said when it would have gone, and the removing is over.
                let later = if at > now { at } else { not_before(gist, at, held.as_ref()) };
                waits |= later > at;
                found.push((later, gist.key));
            }
        });
        if let Some(held) = held.filter(|_| waits) {
            self.say_held(&held);
        }
        found.sort();
        found
    }

    /// Sends what the gist owes, now, files that are open for writing included, for a program that
    /// waits: at most a minute, then [`Error::TimedOut`], and the change goes out later.
    pub fn push_waited_for(self: &Arc<Self>, key: GistKey) -> Result<Left, Error> {
        let (answer, wait) = std::sync::mpsc::channel();
        let syncer = Arc::clone(self);
        std::thread::Builder::new()
            .name("gistfs-push".into())
            .spawn(move || {
                if answer.send(syncer.push(key, syncer.now(), true)).is_err() {
                    log::debug!("whoever waited for GitHub's answer did not wait so long");
                }
            })
            .map_err(|error| Error::local("cannot start a thread", &error))?;
        let late = || Error::TimedOut("GitHub has not answered yet; the change is kept".into());
        wait.recv_timeout(PATIENCE).unwrap_or_else(|_| Err(late()))
    }

    /// Sends what the gist owes, now. `even_open` includes files that are open for writing.
    ///
    /// What cannot be sent is told, not an error. An error is recorded with the gist, which is
    /// then tried again later if trying again can help.
    pub fn push(self: &Arc<Self>, key: GistKey, now: Time, even_open: bool) -> Result<Left, Error> {
        if self.options.read_only {
            return Err(Error::ReadOnly("nothing is sent"));
        }
        self.holds_back(key)?;
        let mut pacing = self.mutation.lock().unwrap_or_else(PoisonError::into_inner);
        match self.push_steps(&mut pacing, key, now, even_open) {
            Ok(left) => {
                self.store.note(key, |gist| {
                    gist.upload.tries = 0;
                    gist.upload.not_before = None;
                    if !gist.differs() {
                        gist.upload.first_change = None;
                        gist.upload.last_change = None;
                    }
                });
                self.record_error(key, None);
                self.unsettle_movers(key);
                Ok(left)
            }
            Err(failure) => Err(self.record_failure(key, failure)),
        }
    }

    /// Gists that wait for a file to arrive in `key` look again: it arrived, or `key` is no more.
    pub fn unsettle_movers(&self, key: GistKey) {
        let mut waiting = Vec::new();
        self.store.look_at_busy(|gist| {
            // Not only those that moved a file to `key` itself: it may have been moved on.
            if gist.key != key && !gist.moved_to.is_empty() {
                waiting.push(gist.key);
            }
        });
        for gist in waiting {
            self.store.note(gist, |gist| gist.upload.settled = false);
        }
    }

    fn push_steps(
        self: &Arc<Self>,
        pacing: &mut MutexGuard<'_, Pacing>,
        key: GistKey,
        now: Time,
        even_open: bool,
    ) -> Result<Left, Failure> {
        let mut looked = false;
        for _ in 0..STEPS {
            // Before the look at what there is: what the user does from now on unsettles it again.
            self.store.note(key, |gist| {
                gist.upload.settled = true;
                gist.upload.first_since_push = None;
            });
            let Some(gist) = self.store.get(key) else { return Ok(Left::new()) };
            let plan = self.plan(&gist, even_open);
            match &plan.step {
                Step::Nothing => return Ok(plan.held),
                Step::Fetch(blobs) => {
                    for blob in blobs {
                        self.fetch_for(&gist, *blob)?;
                    }
                    continue;
                }
                Step::Create { .. } if gist.attempt.is_some() => {
                    self.look_for_lost_create(&gist, now)?;
                    continue;
                }
                Step::Create { .. } => {}
                Step::Update { .. } | Step::Delete(_) if !looked => {
                    looked = true;
                    if self.look(&gist, now)? {
                        continue;
                    }
                }
                Step::Update { .. } | Step::Delete(_) => {}
            }
            let deletes = matches!(plan.step, Step::Delete(_));
            if deletes {
                self.bury(&gist)?;
            }
            self.keep_pace(pacing)?;
            // Fetching what the trash needs takes a while, in which it may be taken back.
            if deletes && self.store.look(key, |gist| gist.removed) != Some(true) {
                continue;
            }
            self.send(&gist, &plan, now)?;
            if !plan.more
                && plan.held.is_empty()
                && !self.store.look(key, Gist::differs).unwrap_or(false)
            {
                return Ok(Left::new());
            }
        }
        self.store.note(key, |gist| gist.upload.settled = false);
        Ok(Left::new())
    }

    /// The plan for `gist`, with the answers it needs from the stores.
    pub(super) fn plan(&self, gist: &Gist, even_open: bool) -> Plan {
        let class = |blob| match self.store.body(blob) {
            Ok(body) => body.map(|body| Class::of(&body)),
            Err(error) => {
                log::warn!("{error}");
                None
            }
        };
        let arrived = |to, blob| {
            let mut wanted = false;
            // Who removes the whole gist does not mean to keep it for a backup somewhere else.
            let backups = !gist.removed;
            self.store.look_at_all(|other| {
                wanted |= other.source(blob).is_none()
                    && other.files.iter().any(|(name, file)| {
                        file.blob() == Some(blob) && (backups || !other.is_scratch(name))
                    });
            });
            !wanted && !self.store.get(to).is_some_and(|to| owes_text(&to, class))
        };
        plan(gist, &Outside { class: &class, arrived: &arrived, even_open })
    }

    fn fetch_for(self: &Arc<Self>, gist: &Gist, blob: BlobId) -> Result<(), Failure> {
        let Some(source) = Source::of(gist, blob) else {
            return Err(Failure::Ours(Error::Nonsense(format!(
                "body {blob} is neither stored here nor on GitHub"
            ))));
        };
        self.body(&source).map(drop).map_err(Failure::Ours)
    }

    /// Notes a failed push with the gist and tells the error to raise.
    fn record_failure(&self, key: GistKey, failure: Failure) -> Error {
        let mut unknown = false;
        let (error, wait, limited) = match failure {
            Failure::Ours(error) => (error, Some(Duration::from_secs(5)), false),
            Failure::Theirs(error, repeatable) => {
                let tries = self.store.look(key, |gist| gist.upload.tries).unwrap_or(0);
                let wait = retry::wait(tries, repeatable, &error, self.seed());
                let limited = matches!(error, ApiError::Limited { .. });
                unknown = error.outcome_unknown();
                (Error::from(error), wait, limited)
            }
        };
        let now = self.now();
        if unknown {
            let noted = self.store.update(key, |gist| {
                gist.wrote = Some(now);
                Ok(())
            });
            if let Err(error) = noted {
                log::warn!("{error}");
            }
        }
        let until = wait.map(|wait| now.after(wait));
        if limited {
            self.shared().limited_until = until;
        }
        self.store.note(key, |gist| {
            gist.upload.tries = gist.upload.tries.saturating_add(1);
            gist.upload.not_before = until;
            gist.upload.settled = false;
            gist.upload.refused = until.is_none();
        });
        self.record_error(key, Some(error.to_string()));
        error
    }

    /// Keeps the newest error with the gist; logs it when it begins and when it ends.
    pub(super) fn record_error(&self, key: GistKey, error: Option<String>) {
        let look = |gist: &Gist| (gist.upload.error.clone(), gist.description.clone());
        let Some((before, title)) = self.store.look(key, look) else { return };
        if before == error {
            return;
        }
        match (&before, &error) {
            (_, Some(error)) => log::warn!("{title:?} is not sent: {error}"),
            (Some(_), None) => log::info!("{title:?} is sent again"),
            (None, None) => {}
        }
        let kept = self.store.update(key, |gist| {
            gist.upload.error = error;
            Ok(())
        });
        if let Err(error) = kept {
            log::warn!("{error}");
        }
    }

    /// Gists whose remote change waited for a writer look again, now that one is done.
    pub fn writer_done(&self, key: GistKey) {
        if self.shared().postponed.remove(&key) {
            self.store.note(key, |gist| {
                gist.upload.settled = false;
                gist.upload.not_before = None;
            });
            self.shared().list_again = true;
        }
        self.poke();
    }
}

/// Whether something of the gist can go to GitHub and is not there yet. It may be a file that was
/// moved there and edited since.
fn owes_text(gist: &Gist, class: impl Fn(BlobId) -> Option<Class>) -> bool {
    gist.files.iter().any(|(name, file)| {
        let Some(blob) = file.blob() else { return false };
        !gist.is_scratch(name)
            && gist.remote(name).is_none_or(|remote| remote.blob != blob)
            && class(blob).is_none_or(|class| matches!(class, Class::Text { .. }))
    })
}

/// Why a push failed: on GitHub's side, and then maybe only for now, or on ours.
pub(super) enum Failure {
    Theirs(ApiError, Repeatable),
    Ours(Error),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Theirs(error, _) => error.into(),
            Failure::Ours(error) => error,
        }
    }
}
