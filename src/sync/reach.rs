//! GitHub as far as the network lets us: every request goes through here, so it is known whether
//! the network is there, since when it is not, and when to try again.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::Clock;
use crate::api::{
    Account, ApiError, Fetched, FullGist, GistApi, NewGist, Page, PageRequest, Patch, Quota,
};
use crate::error::Error;
use crate::model::{GistId, RemoteFile, Time};

/// The first pause between two tries while there is no network.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest, where the refresh is not more frequent.
const LONGEST: Duration = Duration::from_secs(30);
/// For so long after a body could not be had, others are not even asked for.
const HUSH: Duration = Duration::from_secs(2);
/// For so long a host of bodies that was out of reach is not asked for another one.
const DETOUR: Duration = Duration::from_secs(30);

/// A [`GistApi`] that remembers how it went.
pub(super) struct Reach {
    api: Arc<dyn GistApi>,
    clock: Clock,
    longest: Duration,
    /// A leaf: held to look and to note, never across a request.
    state: Mutex<State>,
    turned: OnceLock<Turned>,
}

/// Hears, with no lock held, that the network went (`false`) or came back (`true`).
pub(super) type Turned = Box<dyn Fn(bool) + Send + Sync>;

#[derive(Default)]
struct State {
    trouble: Option<Trouble>,
    /// When the host of bodies was last out of reach, and how that looked.
    raw: Option<(Time, ApiError)>,
    /// When somebody last waited for a body in vain, and why.
    hush: Option<(Time, Error)>,
}

/// Requests fail for lack of network, one after the other.
struct Trouble {
    first: Time,
    last: Time,
    failures: u32,
    /// More than one request that happened to be unlucky.
    certain: bool,
    words: String,
}

/// What a request does; a lost answer to a change may have to do with the change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asks {
    Reads,
    Changes,
}

impl Reach {
    /// What `api` offers; while there is no network, at least every `refresh` is tried again.
    pub(super) fn new(api: Arc<dyn GistApi>, clock: Clock, refresh: Duration) -> Self {
        let longest = refresh.min(LONGEST).max(SHORTEST);
        Self { api, clock, longest, state: Mutex::default(), turned: OnceLock::new() }
    }

    /// The same by another clock.
    pub(super) fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Names the one who hears of the network; the first to be named stays.
    pub(super) fn on_turn(&self, turned: Turned) {
        if self.turned.set(turned).is_err() {
            log::debug!("a second listener for the network was not taken");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is wrong with the network, in words, if something certainly is.
    pub(super) fn trouble(&self) -> Option<String> {
        let state = self.state();
        state.trouble.as_ref().filter(|trouble| trouble.certain).map(|found| found.words.clone())
    }

    /// When to try again, if the newest request failed for lack of network: the pauses double.
    pub(super) fn retry_at(&self) -> Option<Time> {
        let now = (self.clock)();
        let state = self.state();
        let trouble = state.trouble.as_ref()?;
        let pause = trouble.last.since(trouble.first).clamp(SHORTEST, self.longest);
        // A clock that was set back must not make us wait for the old time to return.
        Some(trouble.last.min(now).after(pause))
    }

    /// Why the host of bodies is not worth asking now, if so.
    pub(super) fn raw_trouble(&self) -> Option<ApiError> {
        let now = (self.clock)();
        let state = self.state();
        state.raw.as_ref().filter(|(at, _)| is_within(*at, DETOUR, now)).map(|(_, e)| e.clone())
    }

    /// Why no body can be had just now, if somebody has just waited for one in vain.
    pub(super) fn hush(&self) -> Option<Error> {
        let now = (self.clock)();
        let state = self.state();
        state.hush.as_ref().filter(|(at, _)| is_within(*at, HUSH, now)).map(|(_, e)| e.clone())
    }

    /// Notes that somebody waited for a body in vain. Any answer to anything ends it.
    pub(super) fn note_hush(&self, error: Error) {
        self.state().hush = Some(((self.clock)(), error));
    }

    /// Something came from the network, whoever asked for it.
    fn heard(&self) {
        let mut state = self.state();
        if state.hush.is_some() {
            state.hush = None;
        }
    }

    /// Notes what came of a request to the API.
    fn note<T>(&self, asks: Asks, result: Result<T, ApiError>) -> Result<T, ApiError> {
        match &result {
            Err(error) if error.is_network() => self.failed(asks, error),
            // A login page in a hotel: neither GitHub nor nothing.
            Err(ApiError::Nonsense { .. }) => {}
            Ok(_) | Err(_) => self.answered(),
        }
        result
    }

    fn failed(&self, asks: Asks, error: &ApiError) {
        let unreachable = matches!(error, ApiError::Unreachable { .. });
        if asks == Asks::Changes && !unreachable {
            return;
        }
        let now = (self.clock)();
        let words = error.to_string();
        let mut state = self.state();
        let trouble = state.trouble.get_or_insert_with(|| Trouble {
            first: now,
            last: now,
            failures: 0,
            certain: false,
            words: words.clone(),
        });
        trouble.last = now;
        trouble.failures += 1;
        let before = trouble.certain;
        trouble.certain |= unreachable || trouble.failures > 1;
        let begins = trouble.certain && !before;
        drop(state);
        if begins {
            log::warn!("{words}; what is stored stays readable and writable");
        }
        self.turn(false);
    }

    fn answered(&self) {
        let mut state = self.state();
        state.hush = None;
        let Some(trouble) = state.trouble.take() else { return };
        state.raw = None;
        drop(state);
        if trouble.certain {
            log::info!("GitHub answers again");
        }
        self.turn(true);
    }

    fn turn(&self, back: bool) {
        if let Some(turned) = self.turned.get() {
            turned(back);
        }
    }
}

/// Whether `at` is so short a time ago, by a clock that may have been set back.
fn is_within(at: Time, span: Duration, now: Time) -> bool {
    at <= now && now.since(at) < span
}

impl GistApi for Reach {
    fn account(&self) -> Result<Account, ApiError> {
        self.note(Asks::Reads, self.api.account())
    }

    fn list(&self, page: &PageRequest) -> Result<Fetched<Page>, ApiError> {
        self.note(Asks::Reads, self.api.list(page))
    }

    fn get(&self, id: &GistId, etag: Option<&str>) -> Result<Fetched<FullGist>, ApiError> {
        self.note(Asks::Reads, self.api.get(id, etag))
    }

    fn revision(&self, id: &GistId, commit: &str) -> Result<FullGist, ApiError> {
        self.note(Asks::Reads, self.api.revision(id, commit))
    }

    /// Another host than the API's: what it does says nothing of that one.
    fn body(&self, file: &RemoteFile, heard: &dyn Fn()) -> Result<Bytes, ApiError> {
        let all_heard = || {
            self.heard();
            heard();
        };
        let result = self.api.body(file, &all_heard);
        match &result {
            Err(error) if error.is_network() => {
                self.state().raw = Some(((self.clock)(), error.clone()));
            }
            Ok(_) | Err(_) => {
                let mut state = self.state();
                (state.raw, state.hush) = (None, None);
            }
        }
        result
    }

    fn create(&self, gist: &NewGist) -> Result<FullGist, ApiError> {
        self.note(Asks::Changes, self.api.create(gist))
    }

    fn update(&self, id: &GistId, patch: &Patch) -> Result<FullGist, ApiError> {
        self.note(Asks::Changes, self.api.update(id, patch))
    }

    fn delete(&self, id: &GistId) -> Result<(), ApiError> {
        self.note(Asks::Changes, self.api.delete(id))
    }

    fn quota(&self) -> Option<Quota> {
        self.api.quota()
    }
}
