use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};

use tempfile::TempDir;

use super::*;
use crate::api::absent::Absent;
use crate::api::git::{GitApi, Repository, TakeBody};
use crate::api::social::SocialApi;
use crate::api::{
    Account, Api, ApiError, Fetched, FullGist, GistApi, NewGist, Page, PageRequest, Patch, Quota,
    TakePiece,
};
use crate::model::{CommitId, Time};
use crate::store::{SMALL, Store};
use crate::sync::prefetch::{Prefetched, Wanted};
use crate::sync::{Committed, GistChange, Options, Upcoming, Watcher, sample};

const TWO: usize = 2 << 20;

/// What a raw host does with one request.
enum Raw {
    /// Gives the bytes before this one, and the others when it is told to.
    Held(usize, Receiver<()>),
    /// Gives the bytes before this one and is cut off.
    Cut(usize),
    /// The same, but is cut off when it is told to.
    HeldCut(usize, Receiver<()>),
    /// Gives the bytes before this one, and has no room for others when it is told to.
    Full(usize, Receiver<()>),
    /// Gives another body of the same length.
    Wrong,
    /// Gives the bytes before this one, and others than the others when it is told to.
    Spoilt(usize, Receiver<()>),
    /// Gives nothing.
    Fails(ApiError),
}

/// GitHub with one body. What is not in the script goes well.
struct Fake {
    body: Vec<u8>,
    raw: Mutex<VecDeque<Raw>>,
    /// From where each request to the raw host began.
    asked: Mutex<Vec<u64>>,
    /// What becomes of a request by git; `None` if there is no git.
    git: Mutex<Option<Result<(), ApiError>>>,
    fetches: Mutex<Vec<String>>,
    /// What the API has of the gist, how often it was asked, and what is left of its quota.
    inline: Mutex<BTreeMap<BlobId, Bytes>>,
    gets: Mutex<usize>,
    quota: Mutex<Option<Quota>>,
}

impl Fake {
    fn lost() -> ApiError {
        ApiError::Lost { host: "raw".into(), detail: "cut".into() }
    }

    fn full() -> ApiError {
        ApiError::Local { errno: libc::ENOSPC, message: "no room".into() }
    }
}

impl GistApi for Fake {
    fn account(&self) -> Result<Account, ApiError> {
        Err(ApiError::NotFound)
    }

    fn list(&self, _: &PageRequest) -> Result<Fetched<Page>, ApiError> {
        Err(ApiError::NotFound)
    }

    /// The gist, cut off before the body.
    fn get(&self, _: &GistId, _: Option<&str>) -> Result<Fetched<FullGist>, ApiError> {
        let snapshot = (*sample::snapshot(&[("other", "text")])).clone();
        *self.gets.lock().unwrap() += 1;
        let (bodies, history) = (self.inline.lock().unwrap().clone(), vec![]);
        Ok(Fetched::New(FullGist { snapshot, bodies, history }))
    }

    fn revision(&self, _: &GistId, _: &CommitId) -> Result<FullGist, ApiError> {
        Err(ApiError::NotFound)
    }

    fn body(&self, file: &RemoteFile, _: &dyn Fn()) -> Result<Bytes, ApiError> {
        assert!(file.size <= SMALL, "a large body in memory");
        let mut body = Vec::new();
        self.stream(file, 0, &mut |piece| {
            body.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(body.into())
    }

    fn stream(&self, _: &RemoteFile, from: u64, take: TakePiece<'_>) -> Result<(), ApiError> {
        self.asked.lock().unwrap().push(from);
        let mut give = |bytes: &[u8]| {
            let mut pieces = bytes.chunks(64 << 10);
            let given = pieces.try_for_each(&mut *take);
            given.map_err(|error| ApiError::local("cannot store a body", &error))
        };
        let from = from as usize;
        let next = self.raw.lock().unwrap().pop_front();
        match next {
            None => give(&self.body[from..]),
            Some(Raw::Held(at, released)) => {
                give(&self.body[from..at])?;
                released.recv().unwrap();
                give(&self.body[at..])
            }
            Some(Raw::HeldCut(at, released)) => {
                give(&self.body[from..at])?;
                released.recv().unwrap();
                Err(Self::lost())
            }
            Some(Raw::Full(at, released)) => {
                give(&self.body[from..at])?;
                released.recv().unwrap();
                Err(Self::full())
            }
            Some(Raw::Cut(at)) => give(&self.body[from..at]).and(Err(Self::lost())),
            Some(Raw::Spoilt(at, released)) => {
                give(&self.body[from..at])?;
                released.recv().unwrap();
                give(&vec![0; self.body.len() - at])
            }
            Some(Raw::Wrong) => give(&self.body[from..self.body.len() - 1]).and(give(b"?")),
            Some(Raw::Fails(error)) => Err(error),
        }
    }

    fn create(&self, _: &NewGist) -> Result<FullGist, ApiError> {
        Err(ApiError::NotFound)
    }

    fn update(&self, _: &GistId, _: &Patch) -> Result<FullGist, ApiError> {
        Err(ApiError::NotFound)
    }

    fn delete(&self, _: &GistId) -> Result<(), ApiError> {
        Err(ApiError::NotFound)
    }

    fn quota(&self) -> Option<Quota> {
        *self.quota.lock().unwrap()
    }
}

impl Api for Fake {
    fn social(&self) -> &dyn SocialApi {
        &Absent
    }

    fn git(&self) -> &dyn GitApi {
        self
    }
}

impl GitApi for Fake {
    fn missing(&self) -> Option<&str> {
        self.git.lock().unwrap().is_none().then_some("it is not installed")
    }

    fn fetch(&self, _: &str, _: &dyn Fn()) -> Result<Box<dyn Repository>, ApiError> {
        Err(ApiError::NotFound)
    }

    fn bodies(
        &self,
        git_url: &str,
        wanted: &[BlobId],
        take: TakeBody<'_>,
        heard: &dyn Fn(),
    ) -> Result<(), ApiError> {
        self.fetches.lock().unwrap().push(git_url.to_owned());
        heard();
        self.git.lock().unwrap().clone().unwrap()?;
        let other = b"beside";
        let handed = take(BlobId::of(other), 6, &mut &other[..]).and_then(|()| {
            let length = self.body.len() as u64;
            wanted.iter().try_for_each(|blob| take(*blob, length, &mut &self.body[..]))
        });
        handed.map_err(|error| ApiError::local("cannot store a body", &error))
    }
}

/// Passes on what it is told to forget, and tells of what may be read soon.
struct Ears(Mutex<Sender<BlobId>>, Mutex<VecDeque<Source>>);

impl Watcher for Ears {
    fn follow(&self, change: &mut dyn FnMut(Committed<'_>) -> Vec<GistChange>) {
        drop(change(&mut || {}));
    }

    fn unproved(&self, blob: BlobId) {
        self.0.lock().unwrap().send(blob).unwrap();
    }

    fn tick(&self, _: Time) -> Option<Time> {
        None
    }

    fn next_ahead(&self) -> Option<Upcoming> {
        Some(Upcoming { ticket: 0, source: self.1.lock().unwrap().pop_front()? })
    }
}

struct World {
    fake: Arc<Fake>,
    ears: Arc<Ears>,
    unproved: Mutex<Receiver<BlobId>>,
    syncer: Arc<Syncer>,
    source: Source,
    state: TempDir,
}

impl World {
    /// A body of `length` bytes, no git, and a raw host that does `raw`.
    fn new(length: usize, raw: impl IntoIterator<Item = Raw>) -> Self {
        let body: Vec<u8> = (0..length).map(|at| (at / 1000 + at) as u8).collect();
        let file = RemoteFile {
            blob: BlobId::of(&body),
            size: length as u64,
            raw_url: "https://raw/x".into(),
            language: None,
        };
        let id = GistId::parse("1234").unwrap();
        let source = Source { id, git_url: "https://gist/1234.git".into(), file };
        let fake = Arc::new(Fake {
            body,
            raw: Mutex::new(raw.into_iter().collect()),
            asked: Mutex::default(),
            git: Mutex::default(),
            fetches: Mutex::default(),
            inline: Mutex::default(),
            gets: Mutex::default(),
            quota: Mutex::default(),
        });
        let state = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(state.path(), "/mnt", 64 << 20).unwrap());
        let syncer = Syncer::new(store, Arc::clone(&fake) as _, Options::default());
        let syncer = Arc::new(syncer.with_sleep(Arc::new(|_| {})));
        let (ears, unproved) = channel();
        let ears = Arc::new(Ears(Mutex::new(ears), Mutex::default()));
        let watcher: Arc<dyn Watcher> = Arc::clone(&ears) as _;
        syncer.watch(Arc::downgrade(&watcher));
        Self { fake, ears, unproved: Mutex::new(unproved), syncer, source, state }
    }

    fn with_git(self, outcome: Result<(), ApiError>) -> Self {
        *self.fake.git.lock().unwrap() = Some(outcome);
        self
    }

    fn read(&self, offset: usize, size: u32) -> Result<Bytes, Error> {
        self.syncer.body_part(&self.source, offset as u64, size, &Trust::default())
    }

    #[track_caller]
    fn reads(&self, offset: usize, size: usize) {
        let end = self.fake.body.len().min(offset + size);
        assert!(self.read(offset, size as u32).unwrap() == self.fake.body[offset..end]);
    }

    #[track_caller]
    fn reads_all(&self) {
        (0..self.fake.body.len()).step_by(128 << 10).for_each(|at| self.reads(at, 128 << 10));
    }

    /// The fetch of the body that is under way.
    fn flight(&self) -> Arc<Flight> {
        Arc::clone(&lock(&self.syncer.bodies.flights)[&self.source.file.blob])
    }

    fn is_stored(&self) -> bool {
        self.syncer.store.blobs.contains(self.source.file.blob)
    }

    fn asked(&self) -> Vec<u64> {
        self.fake.asked.lock().unwrap().clone()
    }

    fn fetches(&self) -> usize {
        self.fake.fetches.lock().unwrap().len()
    }

    fn works(&self) -> usize {
        std::fs::read_dir(self.state.path().join("work")).unwrap().count()
    }

    /// Waits until parts of the body are to be forgotten.
    #[track_caller]
    fn is_forgotten(&self) {
        let told = lock(&self.unproved).recv_timeout(Duration::from_secs(30));
        assert_eq!(told, Ok(self.source.file.blob));
    }
}

fn held(at: usize) -> (Sender<()>, Raw) {
    let (release, released) = channel();
    (release, Raw::Held(at, released))
}

#[test]
fn the_first_bytes_are_read_before_the_rest_has_come_and_the_last_when_all_is_proved() {
    let (release, raw) = held(TWO - 1);
    let world = World::new(TWO, [raw]);
    world.reads(0, 4096);
    world.reads(TWO - (129 << 10), 1 << 10);
    assert_eq!(world.works(), 1);
    let (blob, here) = (world.source.file.blob, |offset: usize, size| {
        world.syncer.part_here(world.source.file.blob, offset as u64, size, &Trust::default())
    });
    assert!(here(4096, 4096).is_some_and(|part| part.unwrap() == world.fake.body[4096..8192]));
    // Here, but for one byte; and part of what is served last.
    assert!(here(TWO - (128 << 10), 1).is_none() && here(TWO - 1, 1).is_none());
    assert!(here(0, TWO as u32).is_none() && !world.is_stored());
    std::thread::scope(|scope| {
        let last = scope.spawn(|| world.reads(TWO - 100, 4096));
        release.send(()).unwrap();
        last.join().unwrap();
    });
    world.reads_all();
    assert_eq!((world.works(), world.asked().len(), world.is_stored()), (0, 1, true));
    assert_eq!(world.syncer.store.hot_body(blob), None, "it is in no memory");
    assert!(lock(&world.unproved).try_recv().is_err());
}

#[test]
fn many_readers_of_a_body_on_its_way_make_one_request() {
    let (release, raw) = held(TWO / 2);
    let world = World::new(TWO, [raw]);
    std::thread::scope(|scope| {
        for reader in 0..8 {
            let world = &world;
            scope.spawn(move || world.reads(reader * (TWO / 8), TWO / 8));
        }
        world.reads(0, 4096);
        release.send(()).unwrap();
    });
    assert_eq!(world.asked(), [0]);
}

#[test]
fn a_wrong_body_of_the_right_length_is_an_error_at_its_end_and_is_not_stored() {
    let world = World::new(TWO, [Raw::Wrong]);
    let end = world.read(TWO - 10, 10);
    assert!(matches!(end, Err(Error::Nonsense(_))), "{end:?}");
    world.is_forgotten();
    assert_eq!((world.is_stored(), world.works()), (false, 0));
    // The next time it comes as it is.
    world.reads_all();
}

#[test]
fn after_a_wrong_body_git_is_asked_first() {
    let world = World::new(TWO, [Raw::Wrong]).with_git(Ok(()));
    assert!(matches!(world.syncer.store_body(&world.source), Err(Error::Nonsense(_))));
    assert_eq!(world.fetches(), 0);
    world.reads_all();
    assert_eq!((world.asked().len(), world.fetches()), (1, 1));
}

#[test]
fn a_body_that_is_cut_off_again_and_again_goes_on_where_it_stopped() {
    let cuts = [1 << 20, 1 << 20, (1 << 20) + 5, TWO - 1].map(Raw::Cut);
    let world = World::new(TWO, cuts);
    world.syncer.store_body(&world.source).unwrap();
    world.reads_all();
    let mib = 1 << 20;
    assert_eq!(world.asked(), [0, mib, mib, mib + 5, TWO as u64 - 1]);
}

#[test]
fn a_body_that_gets_no_further_is_left_off_and_the_next_who_wants_it_goes_on_there() {
    let (cut, told) = channel();
    let cuts = (0..4).map(|_| Raw::Cut(1 << 20)).chain([Raw::HeldCut(1 << 20, told)]);
    let world = World::new(TWO, cuts);
    let trust = Trust::default();
    world.syncer.body_part(&world.source, 0, 4096, &trust).unwrap();
    let flight = world.flight();
    cut.send(()).unwrap();
    let error = flight.landed().unwrap_err();
    drop(flight);
    assert!(matches!(error, Error::Unreachable(_)), "{error}");
    assert_eq!(world.asked().len(), 5, "four more tries after the one that brought something");
    assert_eq!((world.works(), world.is_stored()), (1, false));
    let wanted = world.syncer.body_part(&world.source, TWO as u64 - 10, 10, &trust);
    assert!(wanted.unwrap() == world.fake.body[TWO - 10..]);
    assert_eq!((world.asked()[5], world.works(), world.is_stored()), (1 << 20, 0, true));
    world.reads_all();
    assert!(trust.broken().is_none() && lock(&world.unproved).try_recv().is_err());
}

#[test]
fn whoever_was_given_a_part_of_a_wrong_body_gets_no_other_part_of_any() {
    let (release, released) = channel();
    let world = World::new(TWO, [Raw::Spoilt(TWO / 2, released)]);
    let (trust, other) = (Trust::default(), Trust::default());
    let read = |at: usize, trust| world.syncer.body_part(&world.source, at as u64, 4096, trust);
    read(0, &trust).unwrap();
    release.send(()).unwrap();
    assert!(matches!(read(TWO - 4096, &other), Err(Error::Nonsense(_))));
    world.is_forgotten();
    // Meanwhile it has come as it is, for everybody else.
    world.reads_all();
    read(0, &other).unwrap();
    for at in [0, 4096, TWO - 4096] {
        let error = read(at, &trust).unwrap_err();
        assert!(error.to_string().contains("that are not blob"), "{error}");
    }
}

#[test]
fn what_the_raw_host_does_not_finish_comes_by_git_without_being_read_twice() {
    let cuts = (0..9).map(|_| Raw::Cut(1 << 20));
    let world = World::new(TWO, cuts).with_git(Ok(()));
    world.reads_all();
    assert_eq!((world.asked().len(), world.fetches()), (5, 1));
    assert!(lock(&world.unproved).try_recv().is_err());
}

#[test]
fn what_raw_hosts_refuse_comes_by_git_at_once_and_what_came_along_is_stored() {
    let world = World::new((10 << 20) + 1, []).with_git(Ok(()));
    world.reads(0, 4096);
    world.syncer.store_body(&world.source).unwrap();
    world.reads(10 << 20, 4096);
    assert_eq!((world.asked().len(), world.fetches()), (0, 1));
    assert!(world.syncer.store.blobs.holds(BlobId::of(b"beside")));
}

#[test]
fn what_no_listing_has_shown_yet_comes_by_git_large_and_small() {
    for length in [10, TWO] {
        let mut world = World::new(length, []).with_git(Ok(()));
        world.source.file.raw_url.clear();
        world.reads_all();
        assert_eq!((world.asked().len(), world.fetches()), (0, 1), "{length}");
        assert_eq!(*world.fake.fetches.lock().unwrap(), ["https://gist/1234.git"]);
    }
}

#[test]
fn without_git_a_very_large_body_is_asked_of_the_raw_host_and_the_reason_named() {
    let forbidden = || Raw::Fails(ApiError::Forbidden("too large".into()));
    let world = World::new((10 << 20) + 1, [forbidden()]);
    let error = world.syncer.store_body(&world.source).unwrap_err();
    assert!(matches!(error, Error::OutOfReach(_)), "{error}");
    let why = "git is not asked because it is not installed";
    assert!(error.to_string().ends_with(why), "{error}");
    world.syncer.store_body(&world.source).unwrap();
    assert_eq!((world.asked().len(), world.fetches()), (2, 0));
}

#[test]
fn what_neither_the_raw_host_nor_the_api_gives_comes_by_git() {
    for length in [10, TWO] {
        let login = || Raw::Fails(ApiError::Nonsense { host: "raw".into(), detail: "page".into() });
        let world = World::new(length, [login()]).with_git(Ok(()));
        world.reads_all();
        assert_eq!((world.asked().len(), world.fetches()), (1, 1), "{length}");
    }
}

#[test]
fn a_body_that_is_nowhere_is_told_from_one_that_cannot_be_had_now() {
    let gone = || Raw::Fails(ApiError::NotFound);
    for length in [10, TWO] {
        let world = World::new(length, [gone(), gone()]).with_git(Err(ApiError::NotFound));
        let error = world.read(0, 10).unwrap_err();
        assert!(matches!(error, Error::Denied(_)), "{length}: {error}");
    }
    let refused = || Raw::Fails(ApiError::Forbidden("too large".into()));
    let world = World::new((10 << 20) + 1, [refused()]).with_git(Err(Fake::lost()));
    let error = world.read(0, 10).unwrap_err();
    assert!(matches!(error, Error::Unreachable(_)), "{error}");
}

#[test]
fn who_waits_in_any_case_joins_a_fetch_under_way() {
    let (release, raw) = held(TWO / 2);
    let world = World::new(TWO, [raw]);
    world.reads(0, 4096);
    std::thread::scope(|scope| {
        let stored = scope.spawn(|| world.syncer.store_now(&world.source));
        release.send(()).unwrap();
        stored.join().unwrap().unwrap();
    });
    assert_eq!((world.asked().len(), world.is_stored()), (1, true));
}

#[test]
fn git_that_gives_another_body_is_not_believed() {
    let mut world = World::new(TWO, []).with_git(Ok(()));
    world.source.file.raw_url.clear();
    world.source.file.blob = BlobId::of(b"another");
    let error = world.syncer.store_body(&world.source).unwrap_err();
    assert!(matches!(error, Error::Nonsense(_)), "{error}");
    world.source.file.size += 1;
    assert!(world.syncer.store_body(&world.source).is_err());
    assert_eq!((world.works(), world.is_stored()), (0, false));
}

#[test]
fn a_body_of_which_no_byte_is_missing_is_not_asked_for_again() {
    let world = World::new(TWO, [Raw::Cut(TWO)]).with_git(Ok(()));
    world.syncer.store_body(&world.source).unwrap();
    assert_eq!((world.asked(), world.fetches(), world.is_stored()), (vec![0], 0, true));
    // Nor when it was left off so.
    let world = World::new(TWO, []);
    let mut arrival = world.syncer.store.blobs.arrival(world.source.file.blob, TWO as u64).unwrap();
    arrival.push(&world.fake.body).unwrap();
    assert!(world.syncer.bodies.put_aside(arrival).is_empty());
    world.reads_all();
    assert_eq!((world.asked().len(), world.is_stored()), (0, true));
}

#[test]
fn where_there_is_no_room_no_other_way_is_tried_and_who_reads_hears_why() {
    let (full, told) = channel();
    let world = World::new(TWO, [Raw::Full(TWO / 2, told)]).with_git(Ok(()));
    let trust = Trust::default();
    world.syncer.body_part(&world.source, 0, 4096, &trust).unwrap();
    let flight = world.flight();
    full.send(()).unwrap();
    let no_room =
        |error: &Error| matches!(error, Error::Local { errno, .. } if *errno == libc::ENOSPC);
    assert!(no_room(&flight.landed().unwrap_err()));
    assert!(trust.broken().as_ref().is_some_and(no_room));
    assert_eq!(world.fetches(), 0);
    for (length, asked) in [((10 << 20) + 1, 0), (TWO, 1)] {
        let login = Raw::Fails(ApiError::Nonsense { host: "raw".into(), detail: "page".into() });
        let world = World::new(length, [login]).with_git(Err(Fake::full()));
        assert!(no_room(&world.syncer.store_body(&world.source).unwrap_err()), "{length}");
        assert_eq!((world.asked().len(), world.fetches()), (asked, 1), "{length}");
    }
}

#[test]
fn what_somebody_has_open_is_kept_however_many_large_bodies_were_left_off() {
    let world = World::new(TWO, []);
    let (bodies, blobs) = (&world.syncer.bodies, &world.syncer.store.blobs);
    let left_off = |n: u8| blobs.arrival(BlobId::of(&[n]), TWO as u64).unwrap();
    let gone = |gone: Vec<Arrival>| gone.iter().map(Arrival::blob).collect::<Vec<_>>();
    let mut held = VecDeque::new();
    for n in 0..6 {
        let arrival = left_off(n);
        held.push_back(arrival.fate());
        assert_eq!(gone(bodies.put_aside(arrival)), []);
    }
    held.pop_front();
    held.pop_front();
    assert!(held.iter().all(|fate| fate.broken().is_none()));
    let two = [0, 1].map(|n: u8| BlobId::of(&[n]));
    assert_eq!(gone(bodies.put_aside(left_off(6))), two);
    assert!(held.iter().all(|fate| fate.broken().is_none()));
}

#[test]
fn what_breaks_once_is_broken_for_who_has_a_part_of_it_whatever_comes_later() {
    let world = World::new(TWO, []);
    let arrival = || world.syncer.store.blobs.arrival(world.source.file.blob, TWO as u64).unwrap();
    let (mut old, mut new, trust) = (arrival(), arrival(), Trust::default());
    let part = |arrival: &mut Arrival| {
        arrival.push(b"x").unwrap();
        Landed::Part(Arc::new(arrival.reader().unwrap()), arrival.fate())
    };
    part(&mut old).part(0, 1, &trust).unwrap();
    let new = part(&mut new);
    new.part(0, 1, &trust).unwrap();
    old.give_up(Error::TooLarge);
    assert!(matches!(new.part(0, 1, &trust), Err(Error::TooLarge)));
    assert!(matches!(trust.broken(), Some(Error::TooLarge)));
}

#[test]
fn who_waits_is_served_while_more_large_ones_are_fetched_for_later_than_there_are_places() {
    let (release, raws): (Vec<_>, Vec<_>) = (0..16).map(|_| held(TWO / 2)).unzip();
    let world = World::new(TWO, raws);
    for n in 0..16 {
        let mut large = world.source.clone();
        large.file.blob = BlobId::of(&[n]);
        world.syncer.begin_fetching(&large).unwrap();
    }
    while world.asked().len() < 3 {
        std::thread::yield_now();
    }
    for size in [10, TWO as u64] {
        let (at_once, raw) = held(TWO);
        at_once.send(()).unwrap();
        world.fake.raw.lock().unwrap().push_front(raw);
        let mut other = world.source.clone();
        if size == 10 {
            (other.file.blob, other.file.size) = (BlobId::of(b"small"), size);
        }
        let part = world.syncer.body_part(&other, 0, 10, &Trust::default());
        assert!(part.unwrap() == world.fake.body[..10], "{size}");
    }
    assert_eq!(world.asked().len(), 5);
    release.iter().for_each(|release| release.send(()).unwrap());
}

impl World {
    /// Somebody may read the body soon.
    fn comes_ahead(&self) {
        self.syncer.bodies.raw_is_well.store(true, Ordering::Relaxed);
        self.ears.1.lock().unwrap().push_back(self.source.clone());
        self.syncer.read_ahead();
    }

    fn is_asked(&self, times: usize) {
        while self.asked().len() < times {
            std::thread::yield_now();
        }
    }
}

#[test]
fn what_did_not_come_ahead_is_not_tried_ahead_again() {
    let world = World::new(10, [Raw::Fails(ApiError::NotFound)]);
    assert!(world.syncer.may_come_ahead(&world.source));
    world.comes_ahead();
    world.is_asked(1);
    while !lock(&world.syncer.bodies.flights).is_empty() {
        std::thread::yield_now();
    }
    assert!(!world.syncer.may_come_ahead(&world.source) && !world.syncer.bodies.is_limited());
    world.reads_all();
    assert_eq!(world.asked().len(), 2);
}

#[test]
fn a_raw_host_that_asks_to_wait_is_not_asked_ahead_until_then() {
    let limited = |wait| ApiError::Limited { message: "slow".into(), wait, secondary: true };
    let hour = Raw::Fails(limited(Some(Duration::from_secs(3600))));
    let world = World::new(10, [hour, Raw::Fails(limited(Some(Duration::ZERO)))]).with_git(Ok(()));
    world.reads_all();
    world.syncer.bodies.raw_is_well.store(true, Ordering::Relaxed);
    assert!(!world.syncer.is_time_to_read_ahead());
    let world = World::new(10, [Raw::Fails(limited(Some(Duration::ZERO)))]).with_git(Ok(()));
    world.reads_all();
    world.syncer.bodies.raw_is_well.store(true, Ordering::Relaxed);
    assert!(world.syncer.is_time_to_read_ahead());
}

#[test]
fn who_prefetches_what_is_read_ahead_gets_it_by_every_way_there_is() {
    let (cut, told) = channel();
    let world = World::new(10, [Raw::HeldCut(5, told)]).with_git(Ok(()));
    world.comes_ahead();
    world.is_asked(1);
    let fetching = world.syncer.fetching(&world.source).unwrap();
    cut.send(()).unwrap();
    fetching.0.landed().unwrap();
    assert!(world.is_stored() && world.fetches() == 1);
}

impl World {
    /// Files of one gist that only the API has, as they are to be prefetched.
    fn only_inline(&self, count: u8) -> Vec<Wanted> {
        let file = |n: u8| {
            let body = Bytes::from(vec![n; 10]);
            let mut source = self.source.clone();
            (source.file.blob, source.file.size) = (BlobId::of(&body), 10);
            self.fake.inline.lock().unwrap().insert(source.file.blob, body);
            self.fake.raw.lock().unwrap().push_back(Raw::Fails(ApiError::Forbidden("no".into())));
            let (blob, source) = (source.file.blob, Some(source));
            Wanted { path: format!("G/{n}"), size: 10, blob, source }
        };
        (0..count).map(file).collect()
    }

    fn prefetch(&self, wanted: &[Wanted]) -> Prefetched {
        self.syncer.prefetch(wanted, &|| true, &mut |_| {})
    }
}

#[test]
fn the_api_is_asked_once_for_all_bodies_of_a_gist_that_its_answer_has() {
    let world = World::new(10, []);
    let done = world.prefetch(&world.only_inline(9));
    assert_eq!((done.here, done.fetched, *world.fake.gets.lock().unwrap()), (9, 9, 1));
}

#[test]
fn prefetch_leaves_the_last_tenth_of_the_quota_to_who_waits() {
    let world = World::new(10, []);
    let reset = Time::now().after(Duration::from_secs(3000));
    *world.fake.quota.lock().unwrap() = Some(Quota { limit: 5000, remaining: 499, reset });
    let wanted = world.only_inline(40);
    let done = world.prefetch(&wanted);
    assert_eq!((done.here, done.missing_count, *world.fake.gets.lock().unwrap()), (0, 40, 0));
    assert!(done.missing.iter().all(|(_, why)| why.contains("last tenth")), "{done:?}");
    let refused = Raw::Fails(ApiError::Forbidden("no".into()));
    world.fake.raw.lock().unwrap().push_front(refused);
    let source = wanted[3].source.as_ref().unwrap();
    let part = world.syncer.body_part(source, 0, 10, &Trust::default());
    assert_eq!((part.unwrap(), *world.fake.gets.lock().unwrap()), (vec![3; 10].into(), 1));
}
