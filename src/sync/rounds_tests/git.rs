//! A push goes onto what is known to be the newest, is written down first, and is not hammered.

use std::collections::BTreeMap;

use super::*;
use crate::api::git::{Head, NewCommit, Repository, TakeBody};
use crate::model::Snapshot;
use crate::store::gist::{Content, LocalFile};

/// Repositories that all hold the same: none unless a head is put there.
#[derive(Default)]
pub(super) struct Repositories(Arc<Kept>);

#[derive(Default)]
struct Kept {
    head: Mutex<Option<Head>>,
    /// Every commit is said to be before the head.
    descends: std::sync::atomic::AtomicBool,
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
