//! A push goes onto what is known to be the newest, is written down first, and is not hammered.

use std::collections::BTreeMap;

use super::*;
use crate::api::git::{Head, NewCommit, Repository, TakeBody};
use crate::model::Snapshot;
use crate::store::gist::{Content, LocalFile};
use crate::sync::plan::{Plan, Step};

/// Repositories that all hold the same: none unless a head is put there.
#[derive(Default)]
pub(super) struct Repositories(Arc<Kept>);

#[derive(Default)]
struct Kept {
    head: Mutex<Option<Head>>,
    /// Every commit is said to be before the head.
    descends: std::sync::atomic::AtomicBool,
    /// Fetches fail.
    cut: std::sync::atomic::AtomicBool,
    fetches: AtomicI64,
    /// What becomes of pushes, the first one first; then they are made.
    answers: Mutex<VecDeque<ApiError>>,
    pushed: Mutex<Vec<BTreeMap<FileName, BlobId>>>,
    /// Looks at things while a push is under way.
    meanwhile: Mutex<Option<Box<dyn Fn() + Send>>>,
}

struct Fetch(Arc<Kept>, Head);

impl GitApi for Repositories {
    fn missing(&self) -> Option<&str> {
        self.0.head.lock().unwrap().is_none().then_some("the test has none")
    }

    fn fetch(&self, _: &str, _: &dyn Fn()) -> Result<Box<dyn Repository>, ApiError> {
        self.0.fetches.fetch_add(1, Ordering::Relaxed);
        if self.0.cut.load(Ordering::Relaxed) {
            return Err(unreachable());
        }
        let head = self.0.head.lock().unwrap().clone().ok_or(ApiError::NotFound)?;
        Ok(Box::new(Fetch(Arc::clone(&self.0), head)))
    }

    fn bodies(&self, _: &str, _: &[BlobId], _: TakeBody<'_>, _: &dyn Fn()) -> Result<(), ApiError> {
        Err(ApiError::NotFound)
    }
}

impl Repository for Fetch {
    fn head(&self) -> &Head {
        &self.1
    }

    fn descends_from(&self, _: &CommitId, _: &dyn Fn()) -> Result<bool, ApiError> {
        Ok(self.0.descends.load(Ordering::Relaxed))
    }

    fn bodies(&self, wanted: &[BlobId], take: TakeBody<'_>, _: &dyn Fn()) -> Result<(), ApiError> {
        for blob in wanted {
            let body = [b"text".as_slice(), b"theirs"].into_iter().find(|b| BlobId::of(b) == *blob);
            let mut body = body.ok_or(ApiError::NotFound)?;
            take(*blob, body.len() as u64, &mut body).unwrap();
        }
        Ok(())
    }

    fn push(&self, commit: &NewCommit<'_>, _: &dyn Fn()) -> Result<CommitId, ApiError> {
        self.0.pushed.lock().unwrap().push(commit.files.clone());
        if let Some(look) = &*self.0.meanwhile.lock().unwrap() {
            look();
        }
        match self.0.answers.lock().unwrap().pop_front() {
            Some(error) => Err(error),
            None => Ok(commit_of('c')),
        }
    }
}

fn commit_of(digit: char) -> CommitId {
    CommitId::parse(&digit.to_string().repeat(40)).unwrap()
}

fn head(digit: char, files: &[(&str, &str)]) -> Head {
    let file = |(name, text): &(&str, &str)| (sample::name(name), BlobId::of(text.as_bytes()));
    let commit = Some(commit_of(digit));
    Head { branch: "main".into(), commit, files: files.iter().map(file).collect() }
}

/// A world whose gist has the commit `a` and a binary file that GitHub does not know.
fn world() -> (World, GistKey) {
    let world = World::new();
    world.api.unchanged.store(true, Ordering::Relaxed);
    *world.api.repositories.0.head.lock().unwrap() = Some(head('a', &[("a", "text")]));
    let base = Snapshot::clone(&sample::snapshot(&[("a", "text")]));
    let base = Snapshot { revision: Some("a".repeat(40)), ..base };
    let key = world.syncer.store.new_key();
    let mut gist = Gist::of_remote(key, Arc::new(base));
    let body = Bytes::from_static(b"\xff\0");
    world.syncer.store.keep(BlobId::of(&body), &body).unwrap();
    let content = Content::Bytes { blob: BlobId::of(&body), size: 2 };
    let file = LocalFile::with(content, None, world.syncer.now());
    gist.files.insert(sample::name("bin"), file);
    world.syncer.store.put_all(vec![(key, Some(gist))]).unwrap();
    (world, key)
}

fn pushes(world: &World) -> usize {
    world.api.repositories.0.pushed.lock().unwrap().len()
}

fn names(world: &World, key: GistKey) -> Vec<String> {
    let files = |gist: &Gist| gist.files.keys().map(ToString::to_string).collect();
    world.syncer.store.look(key, files).unwrap()
}

#[test]
fn a_push_is_written_down_before_it_leaves_and_its_commit_is_the_new_base() {
    let (world, key) = world();
    let seen = Arc::new(Mutex::new(None));
    let (syncer, noted) = (Arc::clone(&world.syncer), Arc::clone(&seen));
    *world.api.repositories.0.meanwhile.lock().unwrap() = Some(Box::new(move || {
        *noted.lock().unwrap() = syncer.store.get(key).unwrap().attempt;
    }));
    world.syncer.push(key, false, None).unwrap();
    let attempt = seen.lock().unwrap().clone().expect("an attempt");
    assert_eq!((attempt.description.as_str(), attempt.files.len()), ("d", 2));
    let gist = world.syncer.store.get(key).unwrap();
    let base = gist.base.clone().unwrap();
    assert_eq!((gist.attempt.as_ref(), gist.differs()), (None, false));
    assert_eq!((base.revision.clone(), &base.etag), (Some("c".repeat(40)), &None));
    let addresses = ["a", "bin"].map(|name| base.files[&sample::name(name)].raw_url.is_empty());
    assert_eq!(addresses, [false, true], "what GitHub had keeps its address");
    assert_eq!(world.api.gets.load(Ordering::Relaxed), 1, "no look after it");
    *world.api.repositories.0.meanwhile.lock().unwrap() = None;
}

#[test]
fn what_git_shows_shortly_after_our_own_change_is_no_news_unless_it_has_that_change_before_it() {
    let (world, key) = world();
    *world.api.repositories.0.head.lock().unwrap() = Some(head('0', &[("a", "theirs")]));
    let now = world.syncer.now();
    world.syncer.store.note(key, |gist| gist.wrote = Some(now));
    let pushed = world.syncer.push(key, false, None);
    assert!(matches!(pushed, Err(Error::Conflict(_))), "{pushed:?}");
    let gist = world.syncer.store.get(key).unwrap();
    let wait = gist.upload.not_before.unwrap().since(now).as_secs();
    assert_eq!((names(&world, key).len(), pushes(&world), wait), (2, 0, 5));
    assert_eq!(gist.files[&sample::name("a")].blob(), Some(BlobId::of(b"text")), "no revert");
    world.api.repositories.0.descends.store(true, Ordering::Relaxed);
    world.passes(5);
    // Taken over, and looked at again: the push goes onto it.
    world.syncer.push(key, false, None).unwrap();
    let gist = world.syncer.store.get(key).unwrap();
    assert_eq!(gist.files[&sample::name("a")].blob(), Some(BlobId::of(b"theirs")));
    assert_eq!(pushes(&world), 1);
}

#[test]
fn a_push_that_is_rejected_for_what_git_does_not_show_yet_is_not_hammered() {
    let (world, key) = world();
    let conflicts = (0..9).map(|_| ApiError::Conflict("fetch first".into()));
    world.api.repositories.0.answers.lock().unwrap().extend(conflicts);
    assert!(world.syncer.push(key, false, None).is_err());
    assert_eq!(pushes(&world), 1);
    assert_eq!(world.api.repositories.0.fetches.load(Ordering::Relaxed), 2);
    let gist = world.syncer.store.get(key).unwrap();
    assert_eq!((gist.attempt.as_ref(), gist.upload.refused), (None, false));
}

#[test]
fn a_repository_without_a_commit_says_nothing_of_the_gist() {
    let (world, key) = world();
    let empty = Head { commit: None, ..head('a', &[]) };
    *world.api.repositories.0.head.lock().unwrap() = Some(empty);
    assert!(matches!(world.syncer.push(key, false, None), Err(Error::Nonsense(_))));
    assert_eq!((names(&world, key), pushes(&world)), (vec!["a".into(), "bin".into()], 0));
}

#[test]
fn a_push_without_an_answer_is_found_by_the_next_fetch_and_not_made_again() {
    let (world, key) = world();
    let lost = ApiError::Lost { host: "h".into(), detail: "cut".into() };
    world.api.repositories.0.answers.lock().unwrap().push_back(lost);
    assert!(world.syncer.push(key, false, None).is_err());
    assert!(world.syncer.store.get(key).unwrap().attempt.is_some());
    *world.api.repositories.0.head.lock().unwrap() =
        Some(Head { commit: Some(commit_of('b')), ..head('b', &[("a", "text")]) });
    let bin = BlobId::of(b"\xff\0");
    let mut kept = world.api.repositories.0.head.lock().unwrap();
    kept.as_mut().unwrap().files.insert(sample::name("bin"), bin);
    drop(kept);
    world.api.repositories.0.descends.store(true, Ordering::Relaxed);
    world.passes(5);
    world.syncer.push(key, false, None).unwrap();
    let gist = world.syncer.store.get(key).unwrap();
    assert_eq!((pushes(&world), gist.differs(), gist.files.len()), (1, false, 2));
    assert_eq!(gist.base.unwrap().revision, Some("b".repeat(40)));
}

#[test]
fn a_commit_without_the_one_we_know_is_believed_only_when_the_api_names_it_as_its_newest() {
    let (world, key) = world();
    *world.api.repositories.0.head.lock().unwrap() = Some(head('0', &[("a", "theirs")]));
    let now = world.syncer.now();
    let gist = world.syncer.store.get(key).unwrap();
    // Nothing of ours was sent of late: it may be older than somebody else's change.
    let says = |digit: char| {
        let snapshot = Snapshot::clone(gist.base.as_ref().unwrap());
        let history = vec![commit_of(digit)];
        let full = FullGist { snapshot, bodies: BTreeMap::new(), history };
        *world.api.gist.lock().unwrap() = Some(full);
    };
    world.api.unchanged.store(false, Ordering::Relaxed);
    says('a');
    let looked = world.syncer.look_by_git(&gist, None, now);
    assert!(matches!(looked, Err(Failure::NotKnown(_))));
    assert_eq!(names(&world, key), ["a", "bin"]);
    // Somebody rewrote the history.
    says('0');
    assert!(world.syncer.look_by_git(&gist, None, now).is_ok());
    let taken = world.syncer.store.get(key).unwrap();
    assert_eq!(taken.files[&sample::name("a")].blob(), Some(BlobId::of(b"theirs")));
}

#[test]
fn a_description_answered_before_its_push_is_seen_gets_no_earlier_time() {
    let (world, key) = world();
    let now = world.syncer.now();
    let describe = |gist: &mut Gist| {
        gist.description = "new".into();
        gist.wrote = Some(now);
        Ok(())
    };
    world.syncer.store.update(key, describe).unwrap();
    let base = world.syncer.store.get(key).unwrap().base.unwrap();
    let updated_at = base.updated_at.after(Duration::from_secs(7));
    let snapshot = Snapshot { description: "new".into(), updated_at, ..Snapshot::clone(&base) };
    // The commit that we know is not in it yet.
    let history = vec![commit_of('9')];
    let answer = FullGist { snapshot, bodies: BTreeMap::new(), history };
    let description = Some("new".to_owned());
    let step = Step::Update { id: base.id.clone(), description, files: BTreeMap::new() };
    let plan = Plan { step, held: BTreeMap::new(), more: false };
    world.syncer.finish(key, &plan, answer, now).unwrap_or_else(|_| panic!("not taken"));
    let after = world.syncer.store.get(key).unwrap().base.unwrap();
    assert_eq!((after.revision.clone(), after.updated_at), (base.revision.clone(), updated_at));
}

#[test]
fn without_a_network_one_gist_that_is_not_shown_whole_is_tried_in_a_round() {
    let world = World::new();
    *world.api.repositories.0.head.lock().unwrap() = Some(head('a', &[("a", "text")]));
    for number in 1..5 {
        let key = world.syncer.store.new_key();
        let base = Snapshot::clone(&sample::snapshot(&[("a", "text")]));
        let id = GistId::parse(&format!("12{number}")).unwrap();
        let gist = Gist::of_remote(key, Arc::new(Snapshot { id, truncated: true, ..base }));
        world.syncer.store.put_all(vec![(key, Some(gist))]).unwrap();
    }
    let fetches = || world.api.repositories.0.fetches.load(Ordering::Relaxed);
    let now = world.syncer.now();
    world.api.repositories.0.cut.store(true, Ordering::Relaxed);
    world.syncer.complete_all(now);
    world.syncer.complete_all(now);
    assert_eq!(fetches(), 1);
    world.api.repositories.0.cut.store(false, Ordering::Relaxed);
    world.syncer.shared().git_cut = false;
    world.syncer.complete_all(now);
    assert_eq!(fetches(), 5, "and all of them in the next");
}

#[test]
fn a_placeholder_is_not_made_without_room_for_the_push_that_removes_it() {
    let (world, key) = world();
    let gist = Gist { base: None, ..world.syncer.store.get(key).unwrap() };
    let mut gist = gist;
    gist.files.retain(|name, _| name.as_str() == "bin");
    world.syncer.store.put_all(vec![(key, Some(gist))]).unwrap();
    let reset = world.syncer.now().after(Duration::from_secs(3600));
    *world.api.quota.lock().unwrap() = Some(Quota { limit: 5000, remaining: 4000, reset });
    for _ in 0..79 {
        world.syncer.count_change();
    }
    world.passes(2);
    assert!(world.syncer.barrier(world.syncer.now(), false).is_none(), "one change may go");
    assert!(matches!(world.syncer.push(key, false, None), Err(Error::Limited(_))));
    let creates = || world.api.creates.load(Ordering::Relaxed);
    assert_eq!(creates(), 0);
    let next = world.syncer.store.look(key, |gist| gist.upload.not_before).unwrap();
    assert!(next.is_some_and(|next| next > world.syncer.now()), "nor is it tried all the time");
    world.passes(60);
    drop(world.syncer.push(key, false, None));
    assert_eq!(creates(), 1);
}

#[test]
fn what_the_api_altered_and_git_carried_is_altered_no_more() {
    let (world, key) = world();
    let alter = |gist: &mut Gist| {
        gist.files.get_mut(&sample::name("bin")).unwrap().altered = Some(BlobId::of(b"\xff\0"));
        Ok(())
    };
    world.syncer.store.update(key, alter).unwrap();
    world.syncer.push(key, false, None).unwrap();
    let gist = world.syncer.store.get(key).unwrap();
    assert_eq!((gist.differs(), gist.files[&sample::name("bin")].altered), (false, None));
}
