//! A copy of a gist goes to GitHub only while somebody waits for it, and only once.

use super::*;
use crate::exit::{Exit, Failure as Said};
use crate::model::Snapshot;
use crate::store::gist::{Content, LocalFile};
use crate::store::placeholder;

/// A world with a secret gist that GitHub has, all of it stored here.
fn world() -> (World, GistKey) {
    with(Options::default())
}

fn with(options: Options) -> (World, GistKey) {
    let world = World::with(options);
    world.api.unchanged.store(true, Ordering::Relaxed);
    let body = Bytes::from_static(b"text");
    world.syncer.store.keep(BlobId::of(&body), &body).unwrap();
    let key = world.syncer.store.new_key();
    let gist = Gist::of_remote(key, sample::snapshot(&[("a", "text")]));
    world.syncer.store.put_all(vec![(key, Some(gist))]).unwrap();
    (world, key)
}

/// A copy of `old` that was never sent, as somebody left it.
fn left(world: &World, old: GistKey) -> Gist {
    let now = world.syncer.now();
    let key = world.syncer.store.new_key();
    let mut copy = Gist::new(key, "d".into(), true, now);
    let content = Content::Bytes { blob: BlobId::of(b"text"), size: 4 };
    copy.files.insert(sample::name("a"), LocalFile::with(content, None, now));
    copy.copy_of = Some(old);
    copy.changed(now);
    world.syncer.store.put_all(vec![(key, Some(copy.clone()))]).unwrap();
    copy
}

fn publish(world: &World, old: GistKey) -> Said {
    world.syncer.copy_as(old, true, &|| true).unwrap_err()
}

fn creates(world: &World) -> i64 {
    world.api.creates.load(Ordering::Relaxed)
}

#[test]
fn a_copy_nobody_waits_for_is_taken_back_unsent() {
    let (world, old) = world();
    world.syncer.copy_as(old, true, &|| false).unwrap_err();
    assert_eq!((world.syncer.store.keys(), creates(&world)), (vec![old], 0));
    world.syncer.stop();
    publish(&world, old);
    assert_eq!((world.syncer.store.keys(), creates(&world)), (vec![old], 0), "at the end, too");
}

#[test]
fn an_unsent_copy_is_sent_by_nobody_else_is_not_owed_and_ends_with_the_process() {
    let (world, old) = world();
    left(&world, old);
    assert_eq!(
        world.syncer.send_what_is_due(world.syncer.now().after(Duration::from_secs(9))),
        None
    );
    assert_eq!(world.syncer.drain(world.syncer.now().after(Duration::from_secs(9)), true), vec![]);
    assert_eq!((world.syncer.report().gists, creates(&world)), (1, 0));
    let World { syncer, _state: state, .. } = world;
    let opened = || Store::open(state.path(), "/mnt", 1 << 20);
    drop(syncer);
    // A thread that has just ended may hold the store for a moment more.
    let store = loop {
        match opened() {
            Err(Error::Local { errno: libc::EBUSY, .. }) => std::thread::yield_now(),
            store => break store.unwrap(),
        }
    };
    assert_eq!(store.keys(), [old]);
    assert!(std::fs::read_dir(state.path().join("owed")).unwrap().all(|entry| {
        entry.unwrap().path().extension().is_none_or(|extension| extension != "json")
    }));
}

#[test]
fn what_changed_while_a_copy_waited_for_its_turn_is_not_sent() {
    let (world, old) = world();
    let copy = left(&world, old);
    let now = world.syncer.now();
    assert!(world.syncer.look_at_original(&copy, now).is_ok());
    let other = sample::snapshot(&[("a", "other")]);
    let other = Gist::of_remote(old, other);
    world.syncer.store.put_all(vec![(old, Some(other))]).unwrap();
    assert!(world.syncer.look_at_original(&copy, now).is_err());
    world.syncer.store.put_all(vec![(old, None)]).unwrap();
    assert!(world.syncer.look_at_original(&copy, now).is_err(), "nor is what is gone");
}

#[test]
fn a_copy_whose_answer_is_lost_is_looked_for_and_never_sent_again_by_itself() {
    let (world, old) = world();
    let lost = ApiError::Lost { host: "h".into(), detail: "cut".into() };
    *world.api.create.lock().unwrap() = Some(lost);
    for _ in 0..2 {
        let said = publish(&world, old);
        assert!(said.message.contains("not known whether"), "{said}");
        assert_eq!((said.exit, creates(&world)), (Exit::Network, 1), "the second goes on with it");
        assert_eq!(world.syncer.report().owing.len(), 1);
    }
    world.passes(30);
    world.syncer.send_what_is_due(world.syncer.now());
    assert_eq!((world.syncer.store.keys(), creates(&world)), (vec![old], 1));
}

#[test]
fn one_command_at_a_time_makes_a_copy_of_a_gist() {
    let (world, old) = world();
    let first = world.syncer.copying(old).unwrap();
    assert!(publish(&world, old).message.contains("another command"));
    drop(first);
    let said = publish(&world, old);
    assert!(said.message.contains("was not made"), "{said}");
    assert_eq!((world.syncer.store.keys(), creates(&world)), (vec![old], 1));
}

#[test]
fn a_mount_that_sends_nothing_makes_no_copy() {
    let (world, old) = with(Options { read_only: true, ..Options::default() });
    let said = publish(&world, old);
    assert!(said.message.contains("read-only") && said.hint.contains("can be written"), "{said}");
    assert_eq!(world.api.gets.load(Ordering::Relaxed), 0);
}

#[test]
fn what_is_removed_is_gone_and_no_copy_is_made_of_it() {
    let (world, old) = world();
    let remove = |gist: &mut Gist| {
        gist.removed = true;
        gist.files.clear();
        Ok(())
    };
    world.syncer.store.update(old, remove).unwrap();
    let id = GistId::parse("1234").unwrap();
    for said in [publish(&world, old), world.syncer.replace_by(old, &id).unwrap_err()] {
        assert_eq!(said.message, "it is not there any more");
    }
    assert_eq!(creates(&world), 0);
}

/// A copy that GitHub has as nothing but our placeholder, and that was edited since.
fn made_of_a_placeholder(world: &World, old: GistKey) -> GistKey {
    let mut copy = left(world, old);
    let (placeholder, body) = (sample::name("gistfs-upload-1"), Bytes::from_static(b"\xff\0"));
    let line = placeholder::text(copy.key, &placeholder);
    let base = Snapshot::clone(&sample::snapshot(&[(placeholder.as_str(), &line)]));
    let id = GistId::parse("1235").unwrap();
    copy.base = Some(Arc::new(Snapshot { id, ..base }));
    copy.files.clear();
    world.syncer.store.keep(BlobId::of(&body), &body).unwrap();
    let content = Content::Bytes { blob: BlobId::of(&body), size: 2 };
    copy.files.insert(sample::name("bin"), LocalFile::with(content, None, world.syncer.now()));
    assert!(copy.is_only_placeholder());
    let key = copy.key;
    world.syncer.store.put_all(vec![(key, Some(copy))]).unwrap();
    key
}

#[test]
fn a_copy_of_which_only_a_placeholder_was_made_keeps_its_files_whoever_deletes_that() {
    for by_us in [true, false] {
        let (world, old) = world();
        let key = made_of_a_placeholder(&world, old);
        world.api.unchanged.store(by_us, Ordering::Relaxed);
        world.api.deletes.store(true, Ordering::Relaxed);
        for _ in 0..3 {
            drop(world.syncer.push(key, false, None));
            world.passes(60);
        }
        let gist = world.syncer.store.get(key).expect("the user's files");
        assert_eq!((gist.base.clone(), gist.files.len()), (None, 1), "by us: {by_us}");
        assert!(gist.is_shown() && gist.differs(), "it is a gist like any other");
    }
}
