//! Sending what is owed: look, plan, send, and make the answer the new base.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::bodies::Source;
use super::due::due;
use super::hold::not_before;
use super::plan::{Class, Hold, LARGEST_BODY, Outside, Plan, Step, plan};
use super::push::{Looked, Pushed};
use super::report::title_of;
use super::turn::{Barrier, Patience};
use super::{Syncer, owed};
use crate::api::retry::{self, Repeatable};
use crate::api::{ApiError, GistApi};
use crate::error::Error;
use crate::model::{BlobId, FileName, Time};
use crate::store::gist::{Gist, GistKey};

/// How long a program waits for GitHub's answer to its own change.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often whoever waits is asked whether it still is to be sent.
const STILL: Duration = Duration::from_millis(100);

/// The first pause after trouble on our side, and the longest.
const SOON: Duration = Duration::from_secs(5);
const SELDOM: Duration = Duration::from_secs(300);

/// Requests one push may take before it lets others have their turn.
const STEPS: usize = 64;

/// A gist that owes something sendable.
struct Due {
    /// When it may go.
    at: Time,
    /// When it was last changed.
    changed: Time,
    key: GistKey,
}

/// What a push left behind.
pub type Left = BTreeMap<FileName, Hold>;

impl Syncer {
    /// Sends every gist that is due at `now`, as far as pace and limits allow, and says when to call
    /// again. Each gist has one turn a call.
    pub fn send_what_is_due(self: &Arc<Self>, now: Time) -> Option<Time> {
        self.bury_local();
        let mut tried = HashSet::new();
        while self.held_until().is_none() {
            let due = self.due_gists(self.now()).into_iter();
            let waiting: Vec<(Time, GistKey)> = due
                .filter(|due| due.at <= now && !tried.contains(&due.key))
                .map(|due| (due.changed, due.key))
                .collect();
            let turn = self.shared().queue.next(&waiting);
            let Some(key) = turn else { break };
            tried.insert(key);
            // The failure is recorded with the gist, and logged there.
            drop(self.push(key, false, None));
        }
        let next = self.due_gists(self.now()).into_iter().map(|due| due.at).min()?;
        Some(self.held_until().map_or(next, |until| next.max(until)))
    }

    /// Until when nothing is to be sent at all: pace or a limit say so, or there is no network and
    /// the next try has its time.
    fn held_until(&self) -> Option<Time> {
        let now = self.now();
        let barrier = self.barrier(now, false).map(|barrier| barrier.until);
        barrier.max(self.api.retry_at()).filter(|until| *until > now)
    }

    /// Every gist that owes something sendable. Deletions that are held are due when they go.
    fn due_gists(&self, now: Time) -> Vec<Due> {
        let mut found = Vec::new();
        let held = self.held_deletions(now);
        let mut waits = false;
        self.store.look_at_busy(|gist| {
            if let Some(due) = due(gist, self.options.write_back) {
                // That it waits is said when it would have gone, and the removing is over.
                let at = if due > now { due } else { not_before(gist, due, held.as_ref()) };
                waits |= at > due;
                found.push(Due { at, changed: owed::last_change(gist), key: gist.key });
            }
        });
        if let Some(held) = held.filter(|_| waits) {
            self.say_held(&held);
        }
        found
    }

    /// Sends what the gist owes, now, files that are open for writing included, for a program that
    /// waits: at most a minute, then [`Error::TimedOut`], and the change goes out later.
    pub fn push_waited_for(self: &Arc<Self>, key: GistKey) -> Result<Left, Error> {
        self.push_while(key, &|| true).unwrap_or_else(|| {
            Err(Error::TimedOut("GitHub has not answered yet; the change is kept".into()))
        })
    }

    /// The same, but waits only while `wanted`; `None` if there was no answer so long.
    pub(super) fn push_while(
        self: &Arc<Self>,
        key: GistKey,
        wanted: &dyn Fn() -> bool,
    ) -> Option<Result<Left, Error>> {
        if !wanted() {
            return None;
        }
        let (answer, wait) = mpsc::channel();
        let syncer = Arc::clone(self);
        let begun = std::thread::Builder::new().name("gistfs-push".into()).spawn(move || {
            let until = syncer.now().after(PATIENCE);
            let patience = Patience { until, limits: false, tell: &|_| {} };
            if answer.send(syncer.push(key, true, Some(&patience))).is_err() {
                log::debug!("whoever waited for GitHub's answer did not wait so long");
            }
        });
        if let Err(error) = begun {
            return Some(Err(Error::local("cannot start a thread", &error)));
        }
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match wait.recv_timeout(left.min(STILL)) {
                Ok(done) => return Some(done),
                Err(RecvTimeoutError::Timeout) if !left.is_zero() && wanted() => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// Sends what the gist owes, now. `even_open` includes files that are open for writing; with
    /// `patience` the user waits, and waits for pace and limits too.
    ///
    /// What cannot be sent is told, not an error. An error is recorded with the gist, which is
    /// then tried again later if trying again can help. [`Error::Limited`] says that it is not this
    /// gist's turn yet; that is nobody's failure.
    pub(super) fn push(
        self: &Arc<Self>,
        key: GistKey,
        even_open: bool,
        patience: Option<&Patience<'_>>,
    ) -> Result<Left, Error> {
        if self.options.read_only {
            return Err(Error::ReadOnly("nothing is sent"));
        }
        self.holds_back(key)?;
        if patience.is_some() {
            // What git refused once may go now.
            self.store.note(key, |gist| gist.upload.refusal = None);
        }
        let done = self.push_until_done(key, even_open, patience);
        if patience.is_some() {
            // While somebody else was at it the gist was not due, and now it may be.
            self.poke();
        }
        done
    }

    fn push_until_done(
        self: &Arc<Self>,
        key: GistKey,
        even_open: bool,
        patience: Option<&Patience<'_>>,
    ) -> Result<Left, Error> {
        loop {
            let (later, changes, error) = {
                let _alone = self.mutation.enter();
                match self.push_alone(key, even_open, patience.is_some()) {
                    Ok(left) => return Ok(left),
                    // Whoever has the next turn must know of it.
                    Err(failure) => {
                        let (later, changes) = (failure.is_not_now(), failure.changes());
                        (later, changes, self.record_failure(key, failure))
                    }
                }
            };
            // Waited for without the lock: others may have something that can go at once.
            let waits = |patience| self.wait_for_turn(patience, changes);
            if !(later && patience.is_some_and(waits)) {
                return Err(error);
            }
        }
    }

    fn push_alone(
        self: &Arc<Self>,
        key: GistKey,
        even_open: bool,
        asked: bool,
    ) -> Result<Left, Failure> {
        // Whoever was first may have sent it meanwhile, or found out that it has to wait.
        let still =
            |gist: &Gist| due(gist, self.options.write_back).is_some_and(|due| due <= self.now());
        if !asked && self.store.look(key, still) == Some(false) {
            return Ok(Left::new());
        }
        let done = self.push_steps(key, self.now(), even_open, asked);
        self.shared().uploading = None;
        let left = done?;
        self.store.note(key, |gist| {
            (gist.upload.tries, gist.upload.failed) = (0, 0);
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
        key: GistKey,
        now: Time,
        even_open: bool,
        asked: bool,
    ) -> Result<Left, Failure> {
        let mut looked = false;
        let mut rejected = None;
        for _ in 0..STEPS {
            // Before the look at what there is: what the user does from now on unsettles it again.
            self.store.note(key, |gist| {
                gist.upload.settled = true;
                gist.upload.first_since_push = None;
            });
            let Some(gist) = self.store.get(key) else { return Ok(Left::new()) };
            if gist.is_unsent_copy() && !self.is_copying(&gist) {
                // It was not made after all, and nobody waits for it any more.
                self.store.remove_if(key, Gist::is_unsent_copy).map_err(Failure::Ours)?;
                return Ok(Left::new());
            }
            let plan = self.plan(&gist, even_open);
            match &plan.step {
                Step::Nothing => return self.left_behind(&gist, plan, even_open),
                Step::Fetch(blobs) => {
                    for blob in blobs {
                        self.fetch_for(&gist, *blob)?;
                    }
                    continue;
                }
                Step::Complete => {
                    self.complete(&gist, now)?;
                    continue;
                }
                Step::Create { .. }
                | Step::Update { .. }
                | Step::Push { .. }
                | Step::Withdraw(_)
                | Step::Delete(_) => {
                    // Before the look: that one is not free if it has to be repeated.
                    let changes = plan.step.changes();
                    if let Some(barrier) = self.room_for(changes, self.now(), asked) {
                        return Err(Failure::NotNow(barrier, changes));
                    }
                    self.shared().uploading = Some(key);
                }
            }
            match &plan.step {
                Step::Nothing | Step::Fetch(_) | Step::Complete => {}
                Step::Create { .. } if gist.attempt.is_some() => {
                    self.look_for_lost_create(&gist, now)?;
                    continue;
                }
                Step::Create { .. } if gist.is_unsent_copy() => {
                    self.look_at_original(&gist, now)?;
                }
                // What has no look before it would be lost in a network that is silent.
                Step::Create { .. } if self.api.retry_at().is_some() => self.probe()?,
                Step::Create { .. } => {}
                Step::Update { .. } | Step::Push { .. } | Step::Withdraw(_) | Step::Delete(_)
                    if !looked =>
                {
                    looked = true;
                    // What it learnt, as addresses, is not to be lost by going on with the old copy.
                    if self.look(&gist, now)? || !self.is_still(&gist) {
                        continue;
                    }
                }
                Step::Update { .. } | Step::Push { .. } | Step::Withdraw(_) | Step::Delete(_) => {}
            }
            let repository = if matches!(plan.step, Step::Push { .. }) {
                match self.look_by_git(&gist, rejected.as_ref(), now) {
                    Ok(Looked::Ready(repository)) => Some(repository),
                    Ok(Looked::Moved) => continue,
                    Err(failure) => {
                        self.note_refusal(key, failure)?;
                        continue;
                    }
                }
            } else {
                None
            };
            if matches!(plan.step, Step::Delete(_)) {
                // More were removed while it waited for its turn.
                if self.holds_back(key).is_err() {
                    self.store.note(key, |gist| gist.upload.settled = false);
                    return Ok(plan.held);
                }
                self.bury(&gist)?;
                // Fetching what the trash needs takes a while, in which it may be taken back.
                if self.store.look(key, |gist| gist.removed) != Some(true) {
                    continue;
                }
            }
            self.count_change();
            let left = self.now();
            if let Some(repository) = repository {
                match self.send_push(&gist, &plan, &*repository, now) {
                    Ok(Pushed::Done) => {}
                    Ok(Pushed::Rejected(commit)) => {
                        rejected = Some(commit);
                        continue;
                    }
                    Err(failure) => {
                        self.note_refusal(key, failure)?;
                        continue;
                    }
                }
            } else {
                self.send(&gist, &plan, now)?;
            }
            self.limit_is_over(left);
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

    /// What a turn ends with when nothing more goes: without what git refused, that is no success.
    fn left_behind(&self, gist: &Gist, plan: Plan, even_open: bool) -> Result<Left, Failure> {
        let refusal = self.store.look(gist.key, |gist| gist.upload.refusal.clone()).flatten();
        match refusal {
            Some(words) if self.plan_with(gist, even_open, true).step != Step::Nothing => {
                Err(Failure::Refused(words))
            }
            Some(_) | None => Ok(plan.held),
        }
    }

    /// Notes that git refused for good, so that the next plan is one without it. Every other failure
    /// is handed back.
    fn note_refusal(&self, key: GistKey, failure: Failure) -> Result<(), Failure> {
        let for_good = |error: &ApiError| {
            matches!(
                error,
                ApiError::Declined(_) | ApiError::Unauthorized(_) | ApiError::Forbidden(_)
            )
        };
        if let Failure::Theirs(error, _) = &failure
            && for_good(error)
        {
            let words = error.to_string();
            self.store.note(key, |gist| gist.upload.refusal = Some(words));
            return Ok(());
        }
        Err(failure)
    }

    /// Whether what is known of GitHub's gist, and of requests without an answer, is as in `seen`.
    fn is_still(&self, seen: &Gist) -> bool {
        let same = |gist: &Gist| gist.base == seen.base && gist.attempt == seen.attempt;
        self.store.look(seen.key, same) == Some(true)
    }

    /// Asks something cheap, to learn whether there is a network again that leads to GitHub.
    fn probe(&self) -> Result<(), Failure> {
        match self.api.account() {
            Err(error) if error.is_network() || matches!(error, ApiError::Nonsense { .. }) => {
                Err(Failure::Theirs(error, Repeatable::Yes))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// The plan for `gist`, with the answers it needs from the stores.
    pub(super) fn plan(&self, gist: &Gist, even_open: bool) -> Plan {
        self.plan_with(gist, even_open, gist.upload.refusal.is_none())
    }

    /// The same; what the API cannot carry goes by git only if git `may`.
    fn plan_with(&self, gist: &Gist, even_open: bool, may: bool) -> Plan {
        let git = self.has_git();
        let class = |blob, size| match self.class(blob, size) {
            Ok(class) => class,
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
            !wanted && !self.store.get(to).is_some_and(|to| owes_sendable(&to, class, git))
        };
        plan(gist, &Outside { class: &class, arrived: &arrived, even_open, git: git && may })
    }

    /// What a stored body is. One that is too large in any case is not read.
    fn class(&self, blob: BlobId, size: u64) -> Result<Option<Class>, Error> {
        if size > LARGEST_BODY {
            return Ok(self.store.blobs.contains(blob).then_some(Class::TooLarge));
        }
        if let Some(class) = self.classes.get(blob).filter(|_| self.store.blobs.contains(blob)) {
            return Ok(Some(class));
        }
        let class = self.store.body(blob)?.map(|body| Class::of(&body));
        if let Some(class) = class {
            self.classes.note(blob, class);
        }
        Ok(class)
    }

    fn fetch_for(self: &Arc<Self>, gist: &Gist, blob: BlobId) -> Result<(), Failure> {
        let Some(source) = Source::of(gist, blob) else {
            return Err(Failure::Ours(Error::Nonsense(format!(
                "body {blob} is neither stored here nor on GitHub"
            ))));
        };
        self.store_body(&source).map_err(Failure::Ours)
    }

    /// Notes a failed push with the gist and tells the error to raise.
    pub(super) fn record_failure(&self, key: GistKey, failure: Failure) -> Error {
        let failed = self.store.look(key, |gist| gist.upload.failed).unwrap_or(0);
        let cut = self.api.trouble().is_some();
        // A network that is not there says nothing about how often the gist itself fails.
        let counts;
        let (error, wait) = match failure {
            Failure::NotNow(barrier, changes) => {
                self.store.note(key, |gist| {
                    gist.upload.settled = false;
                    if changes > 1 {
                        // Nothing keeps others back: only this one has to wait.
                        gist.upload.not_before = Some(barrier.until);
                    }
                });
                return Error::Limited(format!("{}; until {}", barrier.why, barrier.until));
            }
            Failure::Theirs(error @ ApiError::Limited { .. }, _) => {
                // It holds for everything we send and says nothing about this gist.
                self.store.note(key, |gist| gist.upload.settled = false);
                return self.heard(error);
            }
            Failure::Ours(error @ Error::Limited(_)) => {
                // Met while a body was fetched.
                self.store.note(key, |gist| gist.upload.settled = false);
                return error;
            }
            Failure::NotKnown(error) => {
                counts = false;
                (error, Some(SOON))
            }
            Failure::Refused(words) => {
                counts = true;
                (Error::Denied(words), None)
            }
            Failure::Ours(error) => {
                counts = !(cut && matches!(error, Error::Unreachable(_) | Error::TimedOut(_)));
                let wait = SOON.saturating_mul(2_u32.saturating_pow(failed)).min(SELDOM);
                (error, Some(wait))
            }
            Failure::Theirs(error, repeatable) => {
                // A login page in GitHub's place is no network either.
                let nobody = error.is_network() || matches!(error, ApiError::Nonsense { .. });
                counts = !(cut && nobody);
                let wait = retry::wait(failed, repeatable, &error, self.seed());
                // No back-off of its own: it is due when the network is there again.
                let wait = if counts { wait } else { Some(Duration::ZERO) };
                (Error::from(error), wait)
            }
        };
        let now = self.now();
        let until = wait.map(|wait| now.after(wait));
        // First what it failed with: who is told of a try is told of that too.
        self.record_error(key, Some(error.to_string()));
        self.store.note(key, |gist| {
            gist.upload.tries = gist.upload.tries.saturating_add(1);
            gist.upload.failed = gist.upload.failed.saturating_add(u32::from(counts));
            gist.upload.not_before = until;
            gist.upload.settled = false;
            gist.upload.refused = until.is_none();
        });
        error
    }

    /// Keeps the newest error with the gist; logs it when it begins and when it ends, and what
    /// comes in between only for those who want to know everything.
    pub(super) fn record_error(&self, key: GistKey, error: Option<String>) {
        let look = |gist: &Gist| (gist.upload.error.clone(), title_of(gist));
        let Some((before, title)) = self.store.look(key, look) else { return };
        if before == error {
            return;
        }
        if let Some(error) = &error {
            self.tell_failure(key, error);
        }
        match (&before, &error) {
            (None, Some(error)) => log::warn!("{title:?} is not sent: {error}"),
            (Some(_), Some(error)) => log::debug!("{title:?} is still not sent: {error}"),
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
fn owes_sendable(gist: &Gist, class: impl Fn(BlobId, u64) -> Option<Class>, git: bool) -> bool {
    gist.files.iter().any(|(name, file)| {
        let Some(blob) = file.blob() else { return false };
        let goes = || {
            let class = class(blob, file.size());
            git || class.is_none_or(|class| matches!(class, Class::Text { .. }))
        };
        !gist.is_scratch(name)
            && gist.remote(name).is_none_or(|remote| remote.blob != blob)
            && goes()
    })
}

/// Why a push failed: on GitHub's side, and then maybe only for now, or on ours; or why it is not
/// its turn.
pub(super) enum Failure {
    /// With how many changes have to have room.
    NotNow(Barrier, usize),
    Theirs(ApiError, Repeatable),
    Ours(Error),
    /// Only a later look can tell what came of an earlier request. It is known when that will be, so
    /// it is not asked ever more rarely.
    NotKnown(Error),
    /// Git refused for good, in these words, what the API cannot carry; the rest went.
    Refused(String),
}

impl Failure {
    /// For how many changes there has to be room before it is tried again.
    fn changes(&self) -> usize {
        match self {
            Self::NotNow(_, changes) => *changes,
            Self::Theirs(..) | Self::Ours(_) | Self::NotKnown(_) | Self::Refused(_) => 1,
        }
    }

    /// Whether nothing was wrong but the time.
    fn is_not_now(&self) -> bool {
        matches!(
            self,
            Self::NotNow(..)
                | Self::Theirs(ApiError::Limited { .. }, _)
                | Self::Ours(Error::Limited(_))
        )
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotNow(barrier, _) => Self::Limited(barrier.why.to_string()),
            Failure::Refused(words) => Self::Denied(words),
            Failure::Theirs(error, _) => error.into(),
            Failure::Ours(error) | Failure::NotKnown(error) => error,
        }
    }
}
