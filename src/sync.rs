//! When and what to send, and what came from elsewhere: the traffic between [`Store`] and GitHub.
//!
//! [`plan`] and [`merge`] are pure and decide; [`upload`], [`refresh`] and [`bodies`] carry out.
//! Requests that change something go one at a time. No lock of the store is held while one is
//! under way: what is sent is a snapshot, and what the user does meanwhile is the next request.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use self::alone::Alone;
use self::bodies::Bodies;
pub use self::drain::Progress;
use self::queue::Queue;
use self::reach::Reach;
use self::selection::Selection;
use self::turn::Limit;
use crate::api::Api;
use crate::api::pace::Pace;
use crate::error::Error;
use crate::model::{BlobId, FileName, GistId, Time};
use crate::store::Store;
use crate::store::gist::{Gist, GistKey};

mod alone;
pub mod aside;
mod asked;
pub mod bodies;
mod bury;
mod classes;
pub mod comments;
pub mod conflicts;
mod drain;
pub mod due;
pub mod errand;
pub mod events;
mod forks;
pub mod history;
pub mod hold;
pub mod lines;
mod lost;
pub mod merge;
pub mod others;
mod overwritten;
pub mod owed;
mod pages;
pub mod plan;
pub mod prefetch;
mod push;
mod queue;
mod reach;
pub mod refresh;
pub mod report;
mod republish;
pub mod restore;
#[cfg(test)]
mod rounds_tests;
#[cfg(test)]
mod sample;
pub mod selection;
mod send;
pub mod show;
pub mod social;
pub mod standing;
mod stars;
pub mod status;
mod take;
mod texts;
pub mod trash;
pub mod turn;
pub mod upload;
mod whole;

/// How syncing behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// How old the last change of a gist must be before it is sent.
    pub write_back: Duration,
    /// How often GitHub is asked what is new.
    pub refresh: Duration,
    /// How often the whole list is read, which alone shows deletions.
    pub refresh_all: Duration,
    /// The least time between two changes; `None`: 1 s, or none where the host has no rate limit.
    pub write_interval: Option<Duration>,
    /// For how long after a write GitHub's reads may show the time before it.
    pub read_lag: Duration,
    /// Which gists there are.
    pub selection: Selection,
    /// Requests are few: what is not asked for is asked less often.
    pub scarce: bool,
    /// Nothing is ever sent.
    pub read_only: bool,
    /// Bodies fetched at one time, and pages of the list.
    pub parallel: usize,
    /// How many bytes of bodies stay on disk.
    pub cache_size: u64,
    /// For how long what was removed stays in the trash; zero keeps nothing.
    pub trash_keep: Duration,
    /// More gists removed within a minute than this, and the deletions are held; 0 is no limit.
    pub delete_limit: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            write_back: Duration::from_secs(1),
            refresh: Duration::from_secs(60),
            refresh_all: Duration::from_secs(600),
            write_interval: None,
            read_lag: Duration::from_secs(20),
            selection: Selection::Own,
            scarce: false,
            read_only: false,
            parallel: 16,
            cache_size: 1 << 30,
            trash_keep: Duration::from_secs(30 * 24 * 3600),
            delete_limit: 10,
        }
    }
}

/// Another try at the network is no sooner than this after the last round began.
const SHORTEST_ROUND: Duration = Duration::from_secs(1);

/// The pause before everything that is owed is looked at again, for each gist that owes something:
/// some ten times what the look takes. Who changes ten thousand files in a row, offline, pokes with
/// every close of them.
const LOOK: Duration = Duration::from_micros(10);

/// Where requests are few the whole list, which alone shows deletions, is read this often.
const RARELY: Duration = Duration::from_secs(3600);

/// The setting that holds the gists deleted of late.
const DELETED: &str = "deleted";

/// Hears what changed without the user's doing, so that tree and kernel can follow.
pub trait Watcher: Send + Sync {
    /// Runs `change`, which changes the store and tells what changed in it, and follows. Nobody sees
    /// the one without the other: who opened a file in between would write into another one. For that
    /// `change` calls what it is handed when it has committed, before it lets anybody see it.
    ///
    /// Called with no lock held; `change` takes no other lock than the store's.
    fn follow(&self, change: &mut dyn FnMut(Committed<'_>) -> Vec<GistChange>);

    /// Parts of the body `blob` were served that are not proved and will not be: whoever has them is
    /// to forget them.
    fn unproved(&self, blob: BlobId);

    /// Does what is due by time alone (see `GistFs::tick`) and says when to call again.
    fn tick(&self, now: Time) -> Option<Time>;

    /// A body that somebody may read soon and that is not here, each once.
    fn next_ahead(&self) -> Option<Upcoming> {
        None
    }

    /// A body that [`Watcher::next_ahead`] told of does not come.
    fn left_ahead(&self, ticket: u64) {
        log::trace!("{ticket} is not read ahead");
    }
}

/// Hears that a change is committed and about to be seen.
pub type Committed<'a> = &'a mut dyn FnMut();

/// A body that somebody may read soon.
#[derive(Clone, Debug)]
pub struct Upcoming {
    /// Names it to whoever told of it.
    pub ticket: u64,
    /// Where it can be had.
    pub source: bodies::Source,
}

/// What changed in one gist. Which files came and went is for the hearer to see in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GistChange {
    /// The gist; it may be gone.
    pub key: GistKey,
    /// Files that have another name now.
    pub moved: Vec<(FileName, FileName)>,
    /// Files whose content is another now.
    pub taken: Vec<FileName>,
}

/// Where the time comes from; tests bring their own.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// How time is waited out; the sleep of tests moves their clock.
pub type Sleep = Arc<dyn Fn(Duration) + Send + Sync>;

/// The traffic of one account.
///
/// Its methods are told the time at which they begin. A clock of its own it needs for what follows
/// an answer: a request takes up to half a minute, and a back-off or a lag counts from its end.
pub struct Syncer {
    store: Arc<Store>,
    api: Reach,
    options: Options,
    clock: Clock,
    sleep: Sleep,
    bodies: Bodies,
    classes: classes::Classes,
    others: others::Others,
    history: history::History,
    stars: stars::Stars,
    forks: forks::Forks,
    events: Arc<events::Events>,
    comments: comments::Comments,
    watcher: OnceLock<Weak<dyn Watcher>>,
    /// Held by whoever changes something on GitHub: one at a time. Before every other lock.
    mutation: Alone,
    /// Held while gists that GitHub never had go into the trash. Nothing there waits for the network.
    burying: Mutex<()>,
    shared: Mutex<Shared>,
    /// Signalled when there may be something to do.
    wake: Condvar,
}

/// What all threads of the syncer share. A leaf: held for a moment, never across anything.
#[derive(Default)]
struct Shared {
    /// When changes were sent and when the next one may be.
    pace: Pace,
    /// The wait that GitHub asked for last.
    limit: Option<Limit>,
    /// The quota's reset until which its last tenth is the user's, and since when.
    reserve: Option<(Time, Time)>,
    /// Whose turn it is among the gists that are due.
    queue: Queue,
    /// The gist whose request is under way.
    uploading: Option<GistKey>,
    /// Gists that somebody waits for a copy of, with the other visibility.
    copying: std::collections::HashSet<GistKey>,
    /// In this round of refreshing git has met a network that does not work.
    git_cut: bool,
    /// The gist whose files could not all be read and that was told of; until all could be.
    incomplete: Option<GistKey>,
    /// Gists whose remote change has to wait for a writer to finish.
    postponed: std::collections::HashSet<GistKey>,
    /// What the last refresh failed with, in words, if not for lack of network.
    trouble: Option<String>,
    /// The network is back: what is new is asked for without delay.
    back: bool,
    /// When the whole list was last read in this process or, where requests are few, in any.
    listed: Option<Time>,
    /// When the trash was last looked through for what is too old.
    trash_looked_at: Option<Time>,
    /// What was deleted of late, and what is held.
    deletions: hold::Deletions,
    /// A whole list is wanted before its time.
    list_again: bool,
    stopping: bool,
    /// What is not sent is left to another mount that waits.
    gives_way: bool,
    /// Counts pokes, so that none is lost between a look and the wait.
    pokes: u64,
    /// Changes from call to call; spreads back-offs.
    seed: u64,
}

/// What a round of refreshing asks for.
enum Refresh {
    Not,
    New,
    Whole,
}

impl Syncer {
    /// Joins a store and an API. Nothing runs until [`Syncer::start`].
    pub fn new(store: Arc<Store>, api: Arc<dyn Api>, options: Options) -> Self {
        let bodies = Bodies::new(options.parallel);
        let clock: Clock = Arc::new(Time::now);
        let api = Reach::new(api, Arc::clone(&clock), options.refresh);
        let mut shared = turn::remembered(&store, &options);
        shared.listed = refresh::listed_before(&store, &options, clock());
        let shared = Mutex::new(shared);
        Self {
            store,
            api,
            options,
            clock,
            sleep: Arc::new(std::thread::sleep),
            bodies,
            classes: classes::Classes::default(),
            others: others::Others::default(),
            history: history::History::default(),
            stars: stars::Stars::default(),
            forks: forks::Forks::default(),
            events: Arc::default(),
            comments: comments::Comments::default(),
            watcher: OnceLock::new(),
            mutation: Alone::default(),
            burying: Mutex::default(),
            shared,
            wake: Condvar::new(),
        }
    }

    /// The same, but nothing is ever sent.
    pub fn reading_only(mut self) -> Self {
        self.options.read_only = true;
        self
    }

    /// The same by another clock than the machine's.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.api = self.api.with_clock(Arc::clone(&clock));
        self.clock = clock;
        self
    }

    /// The same with another way to wait for a turn.
    pub fn with_sleep(mut self, sleep: Sleep) -> Self {
        self.sleep = sleep;
        self
    }

    fn now(&self) -> Time {
        (self.clock)()
    }

    /// Names the one who hears of changes; the first to be named stays.
    pub fn watch(&self, watcher: Weak<dyn Watcher>) {
        if self.watcher.set(watcher).is_err() {
            log::debug!("a second watcher was not taken");
        }
    }

    fn watcher(&self) -> Option<Arc<dyn Watcher>> {
        self.watcher.get()?.upgrade()
    }

    fn tell(&self, changes: &[GistChange]) {
        if !changes.is_empty()
            && let Some(watcher) = self.watcher()
        {
            watcher.follow(&mut |_| changes.to_vec());
        }
    }

    /// Updates a gist, and lets the watcher follow what `told` finds in the outcome at once.
    fn update_and_tell<T>(
        &self,
        key: GistKey,
        edit: impl FnOnce(&mut Gist) -> Result<T, Error>,
        told: impl Fn(&T) -> Option<GistChange>,
    ) -> Result<T, Error> {
        let mut edit = Some(edit);
        let mut done = None;
        let mut change = |committed: Committed<'_>| {
            let Some(edit) = edit.take() else { return Vec::new() };
            let outcome = self.store.update_under(key, edit, committed).map(|(done, ())| done);
            let changes = outcome.as_ref().ok().and_then(&told).into_iter().collect();
            done = Some(outcome);
            changes
        };
        if let Some(watcher) = self.watcher() {
            watcher.follow(&mut change);
        }
        // Without a watcher, or with one that did not run it.
        drop(change(&mut || {}));
        done.unwrap_or(Err(Error::NotFound))
    }

    /// The options in force.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The store it works on.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that something changed: whoever waits looks again at what is due.
    pub fn poke(&self) {
        self.shared().pokes += 1;
        self.wake.notify_all();
    }

    /// Starts the threads that send and ask. They end after [`Syncer::stop`].
    pub fn start(self: &Arc<Self>) -> std::io::Result<Vec<JoinHandle<()>>> {
        let weak = Arc::downgrade(self);
        self.api.on_turn(Box::new(move |back| {
            if let Some(syncer) = weak.upgrade() {
                syncer.shared().back |= back;
                syncer.tell_network(syncer.api.trouble());
                syncer.poke();
            }
        }));
        let mut threads = vec![self.spawn("gistfs-refresh", Self::run_refresh)?];
        if !self.options.read_only {
            threads.push(self.spawn("gistfs-upload", Self::run_upload)?);
        }
        Ok(threads)
    }

    fn spawn(self: &Arc<Self>, name: &str, run: fn(&Arc<Self>)) -> std::io::Result<JoinHandle<()>> {
        let syncer = Arc::clone(self);
        std::thread::Builder::new().name(name.into()).spawn(move || run(&syncer))
    }

    /// Lets the threads end after what they are doing.
    pub fn stop(&self) {
        self.shared().stopping = true;
        self.wake.notify_all();
    }

    fn is_stopping(&self) -> bool {
        self.shared().stopping
    }

    /// After [`Syncer::stop`]: begins no more requests, because the next mount waits for our end.
    pub fn give_way(&self) {
        let mut shared = self.shared();
        shared.gives_way = shared.stopping;
    }

    /// Waits until `until`, a poke after the one counted as `seen`, or the end; says whether to go on.
    fn wait(&self, seen: u64, until: Option<Time>) -> bool {
        let mut shared = self.shared();
        loop {
            if shared.stopping {
                return false;
            }
            if shared.pokes != seen {
                return true;
            }
            let now = self.now();
            let left = until.map(|until| until.since(now));
            if left.is_some_and(|left| left.is_zero()) {
                return true;
            }
            // Not for ever: a suspended machine's clock runs on, its timeouts do not.
            let left = left.unwrap_or(Duration::from_secs(3600)).min(Duration::from_secs(30));
            shared = match self.wake.wait_timeout(shared, left) {
                Ok((shared, _)) => shared,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    fn run_upload(self: &Arc<Self>) {
        loop {
            let seen = self.shared().pokes;
            let now = self.now();
            let ticked = self.watcher().and_then(|watcher| watcher.tick(now));
            let next = self.send_what_is_due(now);
            let until = [ticked, next].into_iter().flatten().min();
            if !self.wait(seen, until) || !self.rest(LOOK.saturating_mul(self.store.busy_count())) {
                return;
            }
        }
    }

    /// Lets so much time pass, whatever is poked meanwhile; says whether to go on.
    fn rest(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut shared = self.shared();
        while !shared.stopping {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            shared = match self.wake.wait_timeout(shared, left) {
                Ok((shared, _)) => shared,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        false
    }

    fn run_refresh(self: &Arc<Self>) {
        loop {
            let seen = self.shared().pokes;
            let began = self.now();
            let went = self.refresh_round(began);
            if let Err(error) = self.store.tidy(self.options.cache_size) {
                log::warn!("{error}");
            }
            if let Err(error) = self.expire_trash(self.now()) {
                log::warn!("{error}");
            }
            self.others.forget(self.now());
            if !self.wait_out(seen, began, went) {
                return;
            }
        }
    }

    /// Asks what is to be asked at `now`; false if that failed.
    fn refresh_round(&self, now: Time) -> bool {
        let asked = match self.next_refresh(now) {
            Refresh::Whole => self.refresh_all(now).inspect_err(|_| {
                self.shared().list_again = true;
            }),
            Refresh::New => self.refresh_new(now),
            Refresh::Not => return true,
        };
        // The answer to this very question may have shown that the network is back.
        self.shared().back = false;
        self.note_trouble(asked.as_ref().err());
        asked.is_ok()
    }

    /// Whether requests that nobody waits for may go at `now`.
    fn may_ask(&self, now: Time) -> bool {
        let probe = self.api.retry_at().is_some();
        self.limit_ends(now).is_none() && (probe || !self.spares_quota(now))
    }

    /// What to ask at `now`. The list that the mount began with is not asked for again at once.
    fn next_refresh(&self, now: Time) -> Refresh {
        if !self.may_ask(now) {
            return Refresh::Not;
        }
        let probe = self.api.retry_at().is_some();
        let whole = match (self.options.selection.tells_changes(), self.options.scarce) {
            (false, _) => Duration::ZERO,
            (true, true) => RARELY,
            (true, false) => self.options.refresh_all,
        };
        let mut shared = self.shared();
        let again = std::mem::take(&mut shared.list_again);
        let probe = std::mem::take(&mut shared.back) || probe;
        match shared.listed.map(|at| now.since(at)) {
            Some(age) if age < self.options.refresh && !again && !probe => Refresh::Not,
            Some(age) if age < whole && !again => Refresh::New,
            Some(_) | None => Refresh::Whole,
        }
    }

    /// Waits, after the round that `began` then and `went` well or not, until the next one,
    /// whatever is poked meanwhile; says whether to go on.
    fn wait_out(&self, mut seen: u64, began: Time, went: bool) -> bool {
        let until = self.now().after(self.options.refresh);
        loop {
            let until = self.next_round(began, until);
            if self.now() >= until {
                return true;
            }
            if !self.wait(seen, Some(until)) {
                return false;
            }
            let wanted = {
                let shared = self.shared();
                seen = shared.pokes;
                // What has just failed has its time, and not with every poke.
                shared.back || (shared.list_again && went)
            };
            if wanted && self.may_ask(self.now()) {
                return true;
            }
        }
    }

    /// When the round after the one that `began` then is to be: at `until`, or sooner if the network
    /// is worth another try.
    fn next_round(&self, began: Time, until: Time) -> Time {
        let retry = self.api.retry_at().max(self.limit_ends(self.now()));
        // Whatever went wrong: rounds without a pause would be a storm of requests.
        retry.map_or(until, |retry| retry.max(began.after(SHORTEST_ROUND)).min(until))
    }

    /// Logs a change between trouble and none, once each. Where the network is to blame, that is
    /// [`Reach`]'s to say; a limit is told where it is noted.
    fn note_trouble(&self, error: Option<&Error>) {
        if let Some(Error::Unreachable(_) | Error::TimedOut(_) | Error::Limited(_)) = error {
            return;
        }
        let here = matches!(error, Some(Error::Local { .. }));
        let text = error.map(ToString::to_string);
        let before = std::mem::replace(&mut self.shared().trouble, text.clone());
        if let (None, Some(text)) = (&before, &text) {
            self.tell_trouble(text);
        }
        match (before, text) {
            (None, Some(text)) if here => log::warn!("{text}; what is new on GitHub has to wait"),
            (None, Some(text)) => log::warn!("{text}; what is stored stays readable and writable"),
            (Some(_), None) => log::info!("what is new on GitHub is taken over again"),
            (Some(_), Some(_)) | (None, None) => {}
        }
    }

    /// Whether `then` is so shortly before `began`, or since then, that what GitHub was asked at
    /// `began` may show what was before.
    fn is_recent(&self, then: Time, began: Time) -> bool {
        // A clock that was set back must not make us blind until the old time returns.
        then <= began.max(self.now()) && began.since(then) < self.options.read_lag
    }

    /// Whether an answer to a question asked at `began` may show `key` as it was before our last
    /// change: reads lag, and a change may have been made while the question was under way.
    pub(crate) fn reads_may_lag(&self, key: GistKey, began: Time) -> bool {
        let wrote = self.store.look(key, |gist| gist.wrote).flatten();
        wrote.is_some_and(|then| self.is_recent(then, began))
    }

    /// The gists we deleted so lately that lists may still show them, and when that was.
    fn deleted(&self, now: Time) -> Result<Vec<(String, Time)>, Error> {
        let kept = self.store.setting(DELETED)?.unwrap_or_default();
        let parsed = kept.split_terminator(';').filter_map(|entry| {
            let (id, at) = entry.split_once(' ')?;
            Some((id.to_owned(), Time(at.parse().ok()?)))
        });
        Ok(parsed.filter(|(_, at)| self.is_recent(*at, now)).collect())
    }

    /// Whether lists may still show a gist that we deleted.
    fn was_deleted(&self, id: &GistId, now: Time) -> Result<bool, Error> {
        Ok(self.deleted(now)?.iter().any(|(deleted, _)| deleted == id.as_str()))
    }

    /// Remembers, over a restart too, that we have deleted a gist.
    fn note_deleted(&self, id: &GistId) -> Result<(), Error> {
        let now = self.now();
        let mut deleted = self.deleted(now)?;
        deleted.push((id.to_string(), now));
        let entries = deleted.iter().map(|(id, at)| format!("{id} {};", at.0));
        self.store.set_setting(DELETED, &entries.collect::<String>())
    }

    fn seed(&self) -> u64 {
        let mut shared = self.shared();
        shared.seed = shared.seed.wrapping_add(1);
        shared.seed ^ (self.now().0 as u64)
    }
}
