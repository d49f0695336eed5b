use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use tempfile::TempDir;

use super::bodies::Source;
use super::upload::Failure;
use super::*;
use crate::api::absent::Absent;
use crate::api::git::GitApi;
use crate::api::retry::Repeatable;
use crate::api::social::SocialApi;
use crate::api::{
    Account, ApiError, Fetched, FullGist, GistApi, NewGist, Page, PageAddress, PageRequest, Patch,
    Quota,
};
use crate::model::{CommitId, RemoteFile};
use crate::store::StoredPage;

mod git;
mod others;
mod republish;
mod social;
mod take;

/// Answers lists with the next of its errors, then well and empty.
#[derive(Default)]
struct Canned {
    errors: Mutex<VecDeque<ApiError>>,
    /// For ever, once there are no more errors of the kind above.
    always: Mutex<Option<ApiError>>,
    /// What becomes of the question whose token it is.
    account: Mutex<Option<ApiError>>,
    /// Every page names a next one, and it is the same.
    circle: std::sync::atomic::AtomicBool,
    lists: AtomicI64,
    gets: AtomicI64,
    /// Every gist is as it was known.
    unchanged: std::sync::atomic::AtomicBool,
    creates: AtomicI64,
    /// Every deletion is acted on.
    deletes: std::sync::atomic::AtomicBool,
    /// What every gist is, where it is not as it was known.
    gist: Mutex<Option<FullGist>>,
    /// What becomes of a gist that is to be made.
    create: Mutex<Option<ApiError>>,
    repositories: git::Repositories,
    quota: Mutex<Option<Quota>>,
}

impl GistApi for Canned {
    fn account(&self) -> Result<Account, ApiError> {
        match self.account.lock().unwrap().clone() {
            Some(error) => Err(error),
            None => Ok(Account { login: "me".into(), number: None, scopes: None }),
        }
    }

    fn list(&self, _: &PageRequest) -> Result<Fetched<Page>, ApiError> {
        self.lists.fetch_add(1, Ordering::Relaxed);
        let error = self.errors.lock().unwrap().pop_front();
        match error.or_else(|| self.always.lock().unwrap().clone()) {
            Some(error) => Err(error),
            None => {
                let next = self.circle.load(Ordering::Relaxed).then(|| "again".to_owned());
                Ok(Fetched::New(Page { gists: vec![], next, last: None, etag: None }))
            }
        }
    }

    fn get(&self, _: &GistId, _: Option<&str>) -> Result<Fetched<FullGist>, ApiError> {
        self.gets.fetch_add(1, Ordering::Relaxed);
        if self.unchanged.load(Ordering::Relaxed) {
            return Ok(Fetched::NotModified);
        }
        if let Some(full) = self.gist.lock().unwrap().clone() {
            return Ok(Fetched::New(full));
        }
        Err(self.errors.lock().unwrap().pop_front().unwrap_or(ApiError::NotFound))
    }

    fn revision(&self, _: &GistId, _: &CommitId) -> Result<FullGist, ApiError> {
        Err(ApiError::NotFound)
    }

    fn body(&self, _: &RemoteFile, _: &dyn Fn()) -> Result<Bytes, ApiError> {
        Err(ApiError::NotFound)
    }

    fn create(&self, _: &NewGist) -> Result<FullGist, ApiError> {
        self.creates.fetch_add(1, Ordering::Relaxed);
        Err(self.create.lock().unwrap().clone().unwrap_or(ApiError::NotFound))
    }

    fn update(&self, _: &GistId, _: &Patch) -> Result<FullGist, ApiError> {
        Err(ApiError::NotFound)
    }

    fn delete(&self, _: &GistId) -> Result<(), ApiError> {
        self.deletes.load(Ordering::Relaxed).then_some(()).ok_or(ApiError::NotFound)
    }

    fn quota(&self) -> Option<Quota> {
        *self.quota.lock().unwrap()
    }
}

impl Api for Canned {
    fn social(&self) -> &dyn SocialApi {
        &Absent
    }

    fn git(&self) -> &dyn GitApi {
        &self.repositories
    }
}

struct World {
    api: Arc<Canned>,
    now: Arc<AtomicI64>,
    syncer: Arc<Syncer>,
    _state: TempDir,
}

impl World {
    fn new() -> Self {
        Self::with(Options::default())
    }

    fn with(options: Options) -> Self {
        let state = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(state.path(), "/mnt", 1 << 20).unwrap());
        let (api, now) = (Arc::new(Canned::default()), Arc::new(AtomicI64::new(1_790_000_000)));
        let (seconds, sleeping) = (Arc::clone(&now), Arc::clone(&now));
        let syncer = Syncer::new(store, Arc::clone(&api) as _, options)
            .with_clock(Arc::new(move || Time::new(seconds.load(Ordering::Relaxed), 0)))
            .with_sleep(Arc::new(move |_| {
                sleeping.fetch_add(1, Ordering::Relaxed);
            }));
        Self { api, now, syncer: Arc::new(syncer), _state: state }
    }

    fn fails(&self, errors: impl IntoIterator<Item = ApiError>) {
        self.api.errors.lock().unwrap().extend(errors);
    }

    fn passes(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::Relaxed);
    }

    /// One round now; whether it went well.
    fn round(&self) -> bool {
        self.syncer.refresh_round(self.syncer.now())
    }

    /// A gist on GitHub that has another description here.
    fn gist(&self) -> GistKey {
        let key = self.syncer.store.new_key();
        let mut gist = Gist::of_remote(key, sample::snapshot(&[("a", "text")]));
        gist.description = "new".into();
        self.syncer.store.put_all(vec![(key, Some(gist))]).unwrap();
        key
    }

    /// Notes a failure now; after how many seconds the gist is tried again.
    fn pause(&self, key: GistKey, failure: Failure) -> u64 {
        let now = self.syncer.now();
        drop(self.syncer.record_failure(key, failure));
        let at = self.syncer.store.look(key, |gist| gist.upload.not_before).flatten();
        at.unwrap_or(now).since(now).as_secs()
    }

    fn limited(&self, wait: Option<u64>) {
        let wait = wait.map(Duration::from_secs);
        let message = "slow down".into();
        drop(self.syncer.heard(ApiError::Limited { message, wait, secondary: true }));
    }

    /// For how many seconds from now a limit is in force.
    fn limit(&self) -> u64 {
        let now = self.syncer.now();
        self.syncer.limit_ends(now).map_or(0, |until| until.since(now).as_secs())
    }

    fn lists(&self) -> i64 {
        self.api.lists.load(Ordering::Relaxed)
    }
}

fn unreachable() -> ApiError {
    ApiError::Unreachable { host: "h".into(), detail: "no route".into() }
}

fn nonsense() -> ApiError {
    ApiError::Nonsense { host: "h".into(), detail: "a login page".into() }
}

#[test]
fn a_network_that_says_nothing_sensible_is_asked_ever_more_rarely() {
    let world = World::new();
    world.fails([unreachable()]);
    *world.api.always.lock().unwrap() = Some(nonsense());
    let start = world.syncer.now();
    while world.syncer.now().since(start) < Duration::from_secs(300) {
        let began = world.syncer.now();
        assert!(!world.round());
        let next = world.syncer.next_round(began, began.after(world.syncer.options.refresh));
        assert!(next.since(began) >= SHORTEST_ROUND);
        world.passes(next.since(began).as_secs() as i64);
        assert!(world.lists() < 20, "{} lists", world.lists());
    }
}

#[test]
fn however_long_ago_the_network_was_to_be_tried_a_round_takes_a_second() {
    let world = World::new();
    world.fails([unreachable()]);
    assert!(!world.round());
    world.passes(1000);
    let began = world.syncer.now();
    assert!(world.syncer.api.retry_at().is_some_and(|at| at < began));
    assert_eq!(
        world.syncer.next_round(began, began.after(SHORTEST_ROUND * 60)),
        began.after(SHORTEST_ROUND)
    );
    assert_eq!(world.syncer.next_round(began, began), began, "or as long as the refresh");
}

#[test]
fn a_whole_list_that_is_wanted_and_fails_stays_wanted() {
    let world = World::new();
    assert!(world.round());
    world.syncer.shared().list_again = true;
    world.fails([ApiError::Server(502)]);
    assert!(!world.round() && world.syncer.shared().list_again);
    assert!(world.round() && !world.syncer.shared().list_again);
    assert_eq!(world.lists(), 3);
    assert!(world.round());
    assert_eq!(world.lists(), 3, "the list is new");
}

#[test]
fn where_requests_are_few_a_list_is_not_asked_for_again_by_another_process() {
    let refresh = Duration::from_secs(600);
    let options = Options { scarce: true, refresh, ..Options::default() };
    let world = World::with(options.clone());
    assert!(world.round() && world.round());
    assert_eq!(world.lists(), 1);
    let again = |options: &Options| {
        let (store, api) = (Arc::clone(world.syncer.store()), Arc::clone(&world.api) as _);
        let now = world.syncer.now();
        let listed = refresh::listed_before(&store, options, now);
        let syncer = Syncer::new(store, api, options.clone()).with_clock(Arc::new(move || now));
        syncer.shared().listed = listed;
        assert!(Arc::new(syncer).refresh_round(now));
        world.lists()
    };
    world.passes(599);
    assert_eq!(again(&options), 1);
    world.passes(1);
    assert_eq!(again(&options), 2, "after a while it asks what is new");
    assert_eq!(again(&Options::default()), 3, "where requests are many it asks at once");
    // A clock that was set back does not make it wait for the old time.
    world.passes(-100_000);
    assert_eq!(again(&options), 4);
}

#[test]
fn where_requests_are_few_no_page_is_asked_for_before_it_is_known_to_be_there() {
    let world = World::with(Options { scarce: true, ..Options::default() });
    let address = |number: usize| match number {
        0 => "own".to_owned(),
        _ => format!("page {number}"),
    };
    let page = |number: usize| {
        let next = (number < 19).then(|| address(number + 1));
        (address(number), StoredPage { etag: None, next, ids: vec![] })
    };
    world.syncer.store().set_pages(&(0..20).map(page).collect::<Vec<_>>()).unwrap();
    world.syncer.refresh_all(world.syncer.now()).unwrap();
    assert_eq!(world.lists(), 1, "the list ends with its first page now");
}

#[test]
fn a_list_that_cannot_tell_what_is_new_is_read_whole_each_time() {
    let id = GistId::parse("1").unwrap();
    let kinds = [(Selection::Starred, true), (Selection::One(id), true), (Selection::Own, false)];
    for (selection, whole) in kinds {
        let world = World::with(Options { selection, ..Options::default() });
        assert!(world.round());
        world.passes(60);
        let next = world.syncer.next_refresh(world.syncer.now());
        assert_eq!(matches!(next, Refresh::Whole), whole);
    }
}

#[test]
fn when_the_network_is_back_what_is_new_is_asked_for_however_new_the_list_is() {
    let world = World::new();
    assert!(world.round());
    world.syncer.shared().back = true;
    assert!(world.round());
    assert_eq!((world.lists(), world.syncer.shared().back), (2, false));
}

#[test]
fn a_wanted_list_waits_for_the_end_of_a_limit_and_wakes_nobody_before() {
    let world = World::new();
    assert!(world.round());
    world.limited(Some(100));
    world.syncer.shared().list_again = true;
    let now = world.syncer.now();
    assert!(!world.syncer.may_ask(now) && world.round() && world.syncer.shared().list_again);
    assert_eq!((world.lists(), &world.syncer.shared().trouble), (1, &None));
    world.passes(102);
    assert!(world.syncer.may_ask(world.syncer.now()) && world.round());
    assert_eq!(world.lists(), 2);
    let reset = world.syncer.now().after(Duration::from_secs(1800));
    *world.api.quota.lock().unwrap() = Some(Quota { limit: 5000, remaining: 10, reset });
    assert!(!world.syncer.may_ask(world.syncer.now()), "the last tenth is the user's");
}

#[test]
fn a_limit_is_no_trouble_and_what_fails_here_is_not_called_github_s() {
    let world = World::new();
    world.syncer.note_trouble(Some(&Error::Limited("slow down".into())));
    assert_eq!(world.syncer.shared().trouble, None);
    world.syncer.note_trouble(Some(&Error::Local { errno: 28, message: "disk full".into() }));
    let trouble = world.syncer.shared().trouble.clone();
    assert_eq!(trouble.as_deref(), Some("local state: disk full"));
    world.syncer.note_trouble(None);
    assert_eq!(world.syncer.shared().trouble, None);
}

#[test]
fn a_list_that_leads_in_circles_is_not_followed_for_ever() {
    let world = World::new();
    world.api.circle.store(true, Ordering::Relaxed);
    let id = GistId::parse("1234").unwrap();
    let found = world.syncer.is_listed(&id);
    assert!(matches!(found, Err(ApiError::Nonsense { .. })), "{found:?}");
    assert_eq!(world.lists(), 2);
    assert!(!world.round());
    assert_eq!(world.lists(), 4);
}

#[test]
fn requests_that_meet_one_limit_together_make_it_no_longer() {
    let world = World::new();
    for _ in 0..5 {
        world.limited(None);
        assert!((60..=66).contains(&world.limit()), "{}", world.limit());
    }
    world.passes(70);
    world.limited(None);
    assert!((120..=132).contains(&world.limit()), "{}", world.limit());
    world.limited(Some(10));
    assert!((120..=132).contains(&world.limit()), "a shorter one ends no longer one");
    world.limited(Some(500));
    assert!((500..=501).contains(&world.limit()));
}

#[test]
fn a_limit_that_says_now_is_asked_again_ever_more_rarely() {
    let world = World::new();
    let mut waits = Vec::new();
    for _ in 0..9 {
        world.limited(Some(0));
        waits.push(world.limit());
        world.passes(waits.last().map_or(0, |wait| *wait as i64));
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
}

#[test]
fn a_change_that_left_before_a_limit_was_noted_does_not_end_it() {
    let world = World::new();
    let left = world.syncer.now();
    world.passes(1);
    world.limited(Some(100));
    world.syncer.limit_is_over(left);
    assert!(world.limit() >= 100);
    world.passes(102);
    world.syncer.limit_is_over(world.syncer.now());
    assert!(world.syncer.shared().limit.is_none());
}

#[test]
fn while_a_limit_is_in_force_no_body_is_asked_for_by_way_of_the_api() {
    let world = World::new();
    let gist = world.syncer.store.get(world.gist()).unwrap();
    let source = Source::of(&gist, gist.remote(&sample::name("a")).unwrap().blob).unwrap();
    world.limited(Some(100));
    let body = world.syncer.fetch_now(&source);
    assert!(matches!(body, Err(Error::Limited(_))), "{body:?}");
    world.passes(102);
    assert!(matches!(world.syncer.fetch_now(&source), Err(Error::Denied(_))));
    assert_eq!(world.api.gets.load(Ordering::Relaxed), 1);
}

#[test]
fn a_limit_met_while_a_body_is_fetched_is_no_failure_of_the_gist() {
    let world = World::new();
    let key = world.gist();
    assert_eq!(world.pause(key, Failure::Ours(Error::Limited("slow down".into()))), 0);
    let upload = world.syncer.store.get(key).unwrap().upload;
    assert_eq!((upload.tries, upload.error, upload.settled), (0, None, false));
}

#[test]
fn trouble_on_our_side_is_tried_again_ever_more_rarely() {
    let world = World::new();
    let key = world.gist();
    let failure = || Failure::Ours(Error::Local { errno: 28, message: "disk full".into() });
    let pauses: Vec<u64> = (0..9).map(|_| world.pause(key, failure())).collect();
    assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
    let unknown = || Failure::NotKnown(Error::Conflict("who knows".into()));
    assert_eq!(world.pause(key, unknown()), 5);
}

#[test]
fn tries_without_a_network_do_not_make_later_pauses_longer() {
    let world = World::new();
    let key = world.gist();
    for _ in 0..20 {
        world.fails([unreachable()]);
        assert!(!world.round());
        let failure = Failure::Theirs(unreachable(), Repeatable::Yes);
        assert_eq!(world.pause(key, failure), 0, "its time is that of the network");
        let body = Failure::Ours(Error::Unreachable("no body".into()));
        assert_eq!(world.pause(key, body), 5);
    }
    assert!(world.round());
    assert!(world.pause(key, Failure::Theirs(ApiError::Server(502), Repeatable::Yes)) < 2);
    assert_eq!(world.syncer.store.get(key).unwrap().upload.tries, 41);
}

#[test]
fn a_question_without_an_answer_is_no_change_whose_outcome_is_unknown() {
    let world = World::new();
    let key = world.gist();
    world.fails([ApiError::Lost { host: "h".into(), detail: "cut".into() }]);
    assert!(world.syncer.push(key, false, None).is_err());
    let gist = world.syncer.store.get(key).unwrap();
    assert_eq!((gist.upload.tries, gist.wrote), (1, None));
}

#[test]
fn nothing_is_created_through_a_network_that_answers_nonsense() {
    let world = World::new();
    let now = world.syncer.now();
    let key = world.syncer.store.new_key();
    let mut gist = Gist::new(key, "d".into(), false, now);
    let body = Bytes::from_static(b"text");
    let blob = crate::model::BlobId::of(&body);
    world.syncer.store.keep(blob, &body).unwrap();
    let mut file = crate::store::gist::LocalFile::new(now);
    file.content = crate::store::gist::Content::Bytes { blob, size: 4 };
    gist.files.insert(sample::name("a"), file);
    world.syncer.store.put_all(vec![(key, Some(gist))]).unwrap();
    world.fails([unreachable()]);
    assert!(!world.round());
    *world.api.account.lock().unwrap() = Some(nonsense());
    let pushed = world.syncer.push(key, false, None);
    assert!(matches!(pushed, Err(Error::Nonsense(_))), "{pushed:?}");
    let gist = world.syncer.store.get(key).unwrap();
    assert_eq!((gist.attempt, gist.upload.failed), (None, 0));
    assert!(world.syncer.api.retry_at().is_some_and(|at| at > now), "its time is the network's");
}
