//! GitHub as far as the network lets us: every request goes through here, so it is known whether
//! the network is there, since when it is not, and when to try again.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::Clock;
use crate::api::git::GitApi;
use crate::api::{
    Account, Api, ApiError, Fetched, FullGist, GistApi, NewGist, Page, PageRequest, Patch, Quota,
    TakePiece,
};
use crate::error::Error;
use crate::model::{CommitId, GistId, RemoteFile, Time};

mod social;

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
    api: Arc<dyn Api>,
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
    /// How often there was trouble.
    troubles: u64,
}

/// Requests fail for lack of network.
struct Trouble {
    first: Time,
    last: Time,
    /// More than one request that happened to be unlucky, or several that were so at one moment:
    /// one that began after another had failed.
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
    pub(super) fn new(api: Arc<dyn Api>, clock: Clock, refresh: Duration) -> Self {
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

    /// The repositories behind gists. They are at another host than the API, so what it does says
    /// nothing of that one.
    pub(super) fn git(&self) -> &dyn GitApi {
        self.api.git()
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
        state.raw.as_ref().filter(|(at, _)| at.is_within(DETOUR, now)).map(|(_, e)| e.clone())
    }

    /// Why no body can be had just now, if somebody has just waited for one in vain.
    pub(super) fn hush(&self) -> Option<Error> {
        let now = (self.clock)();
        let state = self.state();
        state.hush.as_ref().filter(|(at, _)| at.is_within(HUSH, now)).map(|(_, e)| e.clone())
    }

    /// Notes that somebody waited for a body in vain. Any answer to anything ends it.
    pub(super) fn note_hush(&self, error: Error) {
        self.state().hush = Some(((self.clock)(), error));
    }

    /// Something came from the host of bodies: it is there, whatever became of earlier answers.
    fn raw_heard(&self) {
        let mut state = self.state();
        if state.hush.is_some() || state.raw.is_some() {
            (state.raw, state.hush) = (None, None);
        }
    }

    /// Notes what comes of a request to the API.
    fn note<T>(
        &self,
        asks: Asks,
        request: impl FnOnce() -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let begun_in = {
            let state = self.state();
            state.trouble.as_ref().map(|_| state.troubles)
        };
        let result = request();
        match &result {
            Err(error) if error.is_network() => self.failed(asks, error, begun_in),
            Err(ApiError::Nonsense { .. }) => self.puzzled(),
            Ok(_) | Err(_) => self.answered(),
        }
        result
    }

    /// Notes what came of a request to the host of bodies.
    fn note_raw<T>(&self, result: Result<T, ApiError>) -> Result<T, ApiError> {
        match &result {
            Err(error) if error.is_network() => {
                self.state().raw = Some(((self.clock)(), error.clone()));
            }
            // It says nothing of the network that there is no room here.
            Err(ApiError::Local { .. }) => {}
            Ok(_) | Err(_) => self.raw_heard(),
        }
        result
    }

    /// `begun_in`: the trouble there was already when the request began.
    fn failed(&self, asks: Asks, error: &ApiError, begun_in: Option<u64>) {
        let unreachable = matches!(error, ApiError::Unreachable { .. });
        if asks == Asks::Changes && !unreachable {
            return;
        }
        let now = (self.clock)();
        let words = error.to_string();
        let mut guard = self.state();
        let state = &mut *guard;
        let again = begun_in == Some(state.troubles);
        let trouble = state.trouble.get_or_insert_with(|| {
            state.troubles += 1;
            Trouble { first: now, last: now, certain: false, words: words.clone() }
        });
        trouble.last = now;
        let before = trouble.certain;
        trouble.certain |= unreachable || again;
        let begins = trouble.certain && !before;
        drop(guard);
        if begins {
            log::warn!("{words}; what is stored stays readable and writable");
        }
        self.turn(false);
    }

    /// A login page in a hotel: neither GitHub nor nothing. A try it was all the same.
    fn puzzled(&self) {
        if let Some(trouble) = &mut self.state().trouble {
            trouble.last = (self.clock)();
        }
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

impl GistApi for Reach {
    fn account(&self) -> Result<Account, ApiError> {
        self.note(Asks::Reads, || self.api.account())
    }

    fn list(&self, page: &PageRequest) -> Result<Fetched<Page>, ApiError> {
        self.note(Asks::Reads, || self.api.list(page))
    }

    fn get(&self, id: &GistId, etag: Option<&str>) -> Result<Fetched<FullGist>, ApiError> {
        self.note(Asks::Reads, || self.api.get(id, etag))
    }

    fn get_base64(&self, id: &GistId, commit: Option<&CommitId>) -> Result<FullGist, ApiError> {
        self.note(Asks::Reads, || self.api.get_base64(id, commit))
    }

    fn revision(&self, id: &GistId, commit: &CommitId) -> Result<FullGist, ApiError> {
        self.note(Asks::Reads, || self.api.revision(id, commit))
    }

    /// Another host than the API's: what it does says nothing of that one.
    fn body(&self, file: &RemoteFile, heard: &dyn Fn()) -> Result<Bytes, ApiError> {
        let all_heard = || {
            self.raw_heard();
            heard();
        };
        self.note_raw(self.api.body(file, &all_heard))
    }

    fn stream(&self, file: &RemoteFile, from: u64, take: TakePiece<'_>) -> Result<(), ApiError> {
        let mut heard_and_taken = |piece: &[u8]| {
            self.raw_heard();
            take(piece)
        };
        self.note_raw(self.api.stream(file, from, &mut heard_and_taken))
    }

    fn create(&self, gist: &NewGist) -> Result<FullGist, ApiError> {
        self.note(Asks::Changes, || self.api.create(gist))
    }

    fn update(&self, id: &GistId, patch: &Patch) -> Result<FullGist, ApiError> {
        self.note(Asks::Changes, || self.api.update(id, patch))
    }

    fn delete(&self, id: &GistId) -> Result<(), ApiError> {
        self.note(Asks::Changes, || self.api.delete(id))
    }

    fn quota(&self) -> Option<Quota> {
        self.api.quota()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::sync::atomic::{AtomicI64, Ordering};

    use crate::api::absent::Absent;
    use crate::api::social::SocialApi;
    use crate::model::{BlobId, FileName};

    /// Answers every request with the next of its results, then well.
    #[derive(Default)]
    struct Canned(Mutex<VecDeque<ApiError>>);

    impl Canned {
        fn next<T>(&self, good: Option<T>) -> Result<T, ApiError> {
            match (self.0.lock().unwrap().pop_front(), good) {
                (Some(error), _) => Err(error),
                (None, Some(good)) => Ok(good),
                (None, None) => Err(ApiError::NotFound),
            }
        }
    }

    impl GistApi for Canned {
        fn account(&self) -> Result<Account, ApiError> {
            self.next(Some(Account { login: "me".into(), number: None, scopes: None }))
        }

        fn list(&self, _: &PageRequest) -> Result<Fetched<Page>, ApiError> {
            self.next(Some(Fetched::NotModified))
        }

        fn get(&self, _: &GistId, _: Option<&str>) -> Result<Fetched<FullGist>, ApiError> {
            self.next(Some(Fetched::NotModified))
        }

        fn revision(&self, _: &GistId, _: &CommitId) -> Result<FullGist, ApiError> {
            self.next(None)
        }

        fn body(&self, _: &RemoteFile, heard: &dyn Fn()) -> Result<Bytes, ApiError> {
            heard();
            self.next(Some(Bytes::new()))
        }

        fn create(&self, _: &NewGist) -> Result<FullGist, ApiError> {
            self.next(None)
        }

        fn update(&self, _: &GistId, _: &Patch) -> Result<FullGist, ApiError> {
            self.next(None)
        }

        fn delete(&self, _: &GistId) -> Result<(), ApiError> {
            self.next(Some(()))
        }

        fn quota(&self) -> Option<Quota> {
            None
        }
    }

    impl Api for Canned {
        fn social(&self) -> &dyn SocialApi {
            &Absent
        }
    }

    struct World {
        api: Arc<Canned>,
        now: Arc<AtomicI64>,
        reach: Reach,
        turns: Arc<Mutex<Vec<bool>>>,
    }

    impl World {
        fn new(refresh: u64) -> Self {
            let (api, now) = (Arc::new(Canned::default()), Arc::new(AtomicI64::new(0)));
            let seconds = Arc::clone(&now);
            let clock: Clock = Arc::new(move || Time::new(seconds.load(Ordering::Relaxed), 0));
            let canned: Arc<dyn Api> = Arc::clone(&api) as _;
            let reach = Reach::new(canned, clock, Duration::from_secs(refresh));
            let turns = Arc::new(Mutex::default());
            let heard: Arc<Mutex<Vec<bool>>> = Arc::clone(&turns);
            reach.on_turn(Box::new(move |back| heard.lock().unwrap().push(back)));
            Self { api, now, reach, turns }
        }

        fn at(&self, second: i64) {
            self.now.store(second, Ordering::Relaxed);
        }

        fn fails(&self, error: ApiError) {
            self.api.0.lock().unwrap().push_back(error);
        }

        fn retry(&self) -> Option<i64> {
            self.reach.retry_at().map(|at| at.seconds())
        }
    }

    fn unreachable() -> ApiError {
        ApiError::Unreachable { host: "h".into(), detail: "no route".into() }
    }

    fn late() -> ApiError {
        ApiError::TimedOut { host: "h".into() }
    }

    #[test]
    fn pauses_between_tries_double_up_to_the_refresh() {
        let world = World::new(20);
        assert_eq!(world.retry(), None);
        let mut at = 0;
        let mut pauses = Vec::new();
        for _ in 0..8 {
            world.at(at);
            world.fails(unreachable());
            assert!(world.reach.account().is_err());
            let next = world.retry().unwrap();
            pauses.push(next - at);
            at = next;
        }
        assert_eq!(pauses, [1, 1, 2, 4, 8, 16, 20, 20]);
        world.at(-1000);
        assert_eq!(world.retry(), Some(-980), "a clock set back makes nobody wait for ever");
        assert_eq!(*world.turns.lock().unwrap(), [false; 8]);
        assert!(world.reach.account().is_ok());
        assert_eq!((world.retry(), world.turns.lock().unwrap().last()), (None, Some(&true)));
    }

    #[test]
    fn one_answer_that_does_not_come_is_no_trouble_yet_and_any_answer_ends_it() {
        let world = World::new(60);
        world.fails(late());
        assert!(world.reach.account().is_err());
        assert_eq!((world.reach.trouble(), world.retry()), (None, Some(1)));
        world.fails(late());
        assert!(world.reach.account().is_err());
        assert!(world.reach.trouble().is_some_and(|words| words.contains("in time")));
        // Nonsense may come from anybody on the way.
        world.fails(ApiError::Nonsense { host: "h".into(), detail: "a login page".into() });
        assert!(world.reach.account().is_err() && world.reach.trouble().is_some());
        world.fails(ApiError::Server(503));
        assert!(world.reach.account().is_err());
        assert_eq!((world.reach.trouble(), world.retry()), (None, None));
    }

    #[test]
    fn several_answers_that_do_not_come_at_one_moment_are_no_trouble_yet() {
        let world = World::new(60);
        let fail = || Err::<(), _>(late());
        // Eight requests under way at one time: each begins before any of them has failed.
        fn together(reach: &Reach, left: usize, fail: &dyn Fn() -> Result<(), ApiError>) {
            let request = || {
                if left > 1 {
                    together(reach, left - 1, fail);
                }
                fail()
            };
            assert!(reach.note(Asks::Reads, request).is_err());
        }
        together(&world.reach, 8, &fail);
        assert_eq!((world.reach.trouble(), world.retry()), (None, Some(1)));
        // That one began in trouble that is over says nothing of the next.
        let outlived = || {
            assert!(world.reach.account().is_ok());
            together(&world.reach, 1, &fail);
            fail()
        };
        assert!(world.reach.note(Asks::Reads, outlived).is_err());
        assert_eq!(world.reach.trouble(), None);
        together(&world.reach, 1, &fail);
        assert!(world.reach.trouble().is_some());
    }

    #[test]
    fn answers_that_make_no_sense_are_asked_for_ever_more_rarely_too() {
        let world = World::new(60);
        world.fails(unreachable());
        assert!(world.reach.account().is_err());
        let mut asked = 0;
        let mut at = 0;
        while at < 300 {
            at = world.retry().unwrap();
            world.at(at);
            world.fails(ApiError::Nonsense { host: "h".into(), detail: "a login page".into() });
            assert!(world.reach.account().is_err());
            asked += 1;
            assert!(asked < 20, "{asked} requests in {at} s");
        }
        assert!(world.reach.account().is_ok() && world.retry().is_none());
    }

    #[test]
    fn a_change_without_an_answer_says_nothing_of_the_network() {
        let world = World::new(60);
        let id = GistId::parse("1").unwrap();
        for _ in 0..3 {
            world.fails(late());
            assert!(world.reach.delete(&id).is_err());
        }
        assert_eq!(world.retry(), None);
        world.fails(unreachable());
        assert!(world.reach.delete(&id).is_err() && world.reach.trouble().is_some());
    }

    #[test]
    fn who_waited_in_vain_spares_others_that_for_two_seconds_or_until_anything_comes() {
        let world = World::new(60);
        let waited = || world.reach.note_hush(Error::TimedOut("nothing came".into()));
        waited();
        assert!(world.reach.hush().is_some());
        world.at(2);
        assert!(world.reach.hush().is_none());
        waited();
        assert!(world.reach.account().is_ok() && world.reach.hush().is_none());
        waited();
        world.at(-5);
        assert!(world.reach.hush().is_none(), "a clock set back silences nobody");
    }

    #[test]
    fn a_host_of_bodies_out_of_reach_is_left_alone_for_a_while_and_is_not_the_api() {
        let world = World::new(60);
        let name = FileName::parse("f").unwrap();
        let raw_url = format!("https://raw/{name}");
        let file = RemoteFile { blob: BlobId::of(b"x"), size: 1, raw_url, language: None };
        world.fails(unreachable());
        assert!(world.reach.body(&file, &|| {}).is_err());
        assert_eq!((world.reach.raw_trouble(), world.retry()), (Some(unreachable()), None));
        world.at(30);
        assert_eq!(world.reach.raw_trouble(), None);
        world.fails(late());
        assert!(world.reach.body(&file, &|| {}).is_err() && world.reach.raw_trouble().is_some());
        // Something of a body is enough: an answer that was cut off goes on, and may do so for long.
        world.fails(late());
        let heard = || assert_eq!(world.reach.raw_trouble(), None);
        assert!(world.reach.body(&file, &heard).is_err() && world.reach.raw_trouble().is_some());
        assert!(world.reach.body(&file, &|| {}).is_ok());
        assert_eq!(world.reach.raw_trouble(), None);
    }
}
