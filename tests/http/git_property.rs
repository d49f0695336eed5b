//! Whatever a tree was and whatever it is to be: what is pushed is local truth, entry by entry.

use std::collections::BTreeMap;

use gistfs::model::BlobId;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

use gistfs::api::git::GitApi as _;

use crate::git_world::{Entry, Wanted, World, bodies_of};

/// Few names and few bodies, so that renames, copies and swaps are common.
const NAMES: [&str; 14] = [
    "a",
    "b",
    "c.txt",
    "-d",
    "e f",
    " g",
    "h\ni",
    "j\"k",
    "l\\m",
    "\u{e9}",
    "e\u{301}",
    "\u{1f600}",
    "A",
    "a.b",
];
const RAW_NAMES: [&[u8]; 3] = [b"\xff", b"a\xff", b"\xc3\x28"];
const MODES: [&str; 3] = ["100644", "100755", "120000"];

type Before = BTreeMap<Vec<u8>, (&'static str, Vec<u8>)>;

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => select(vec![&b""[..], b"x", b"a", b"\r\n", b"\0\xff", b" "]).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..200),
    ]
}

/// A tree as somebody's git may have left it; never empty, because no gist is.
fn before() -> impl Strategy<Value = Before> {
    let text = select(&NAMES[..]).prop_map(|name| name.as_bytes().to_vec());
    let raw = select(&RAW_NAMES[..]).prop_map(<[u8]>::to_vec);
    let name = prop_oneof![6 => text, 1 => raw];
    prop::collection::btree_map(name, (select(&MODES[..]), body()), 1..12)
}

/// What the user made of it: files kept, edited, moved, copied and new.
fn after(before: &Before) -> impl Strategy<Value = BTreeMap<String, Vec<u8>>> + use<> {
    let known: Vec<Vec<u8>> = before.values().map(|(_, body)| body.clone()).collect();
    let kept: BTreeMap<String, Vec<u8>> = before
        .iter()
        .filter_map(|(name, (_, body))| Some((String::from_utf8(name.clone()).ok()?, body.clone())))
        .collect();
    let change = prop::collection::btree_map(
        select(&NAMES[..]),
        prop::option::weighted(0.7, prop_oneof![select(known), body()]),
        0..8,
    );
    (any::<bool>(), change).prop_map(move |(afresh, change)| {
        let mut files = if afresh { BTreeMap::new() } else { kept.clone() };
        for (name, body) in change {
            match body {
                Some(body) => files.insert(name.to_owned(), body),
                None => files.remove(name),
            };
        }
        files
    })
}

/// The tree that is promised.
fn promised(before: &Before, after: &BTreeMap<String, Vec<u8>>) -> BTreeMap<Vec<u8>, Entry> {
    let mut tree = BTreeMap::new();
    let mut gone: Vec<(&[u8], &str)> = Vec::new();
    for (name, (mode, body)) in before {
        match std::str::from_utf8(name) {
            Err(_) => {
                tree.insert(name.clone(), ((*mode).to_owned(), BlobId::of(body)));
            }
            Ok(text) if !after.contains_key(text) => gone.push((body, mode)),
            Ok(_) => {}
        }
    }
    for (name, body) in after {
        let mode = match before.get(name.as_bytes()) {
            Some(("120000", old)) if old != body => "100644",
            Some((mode, _)) => mode,
            // It takes the mode of the first that went with the same body.
            None => match gone.iter().position(|(old, _)| old == body) {
                Some(at) => gone.remove(at).1,
                None => "100644",
            },
        };
        tree.insert(name.clone().into_bytes(), (mode.to_owned(), BlobId::of(body)));
    }
    tree
}

#[test]
fn nothing_is_ever_pushed_that_differs_from_local_truth() {
    let world = World::new();
    let id = world.seed(&[("first", b"first")]);
    let cases = before().prop_flat_map(|before| {
        let after = after(&before);
        (Just(before), after)
    });
    let config =
        Config { cases: 40, max_shrink_iters: 200, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&cases, |(before, after)| {
        let entries: Vec<(&[u8], &str, &[u8])> =
            before.iter().map(|(name, (mode, body))| (&name[..], *mode, &body[..])).collect();
        world.commit_tree(&id, &entries);
        let parent = world.head(&id);
        let repository = world.git.fetch(&world.url(&id), &|| {}).unwrap();
        let files: Vec<_> = after.iter().collect();
        let wanted = Wanted::of(&files);
        let commit = wanted.push(&*repository).unwrap();
        let expected = promised(&before, &after);
        prop_assert_eq!(world.tree(&id), expected.clone());
        prop_assert_eq!(world.head(&id), commit.as_str());
        let same = entries.iter().all(|(name, mode, body)| {
            expected.get(*name) == Some(&((*mode).to_owned(), BlobId::of(body)))
        });
        let unchanged = same && expected.len() == entries.len();
        prop_assert_eq!(commit.as_str() == parent, unchanged);
        // And the bodies are there, byte for byte.
        let again = world.git.fetch(&world.url(&id), &|| {}).unwrap();
        prop_assert_eq!(&again.head().files, &wanted.files);
        let ids: Vec<BlobId> = wanted.bodies.keys().copied().collect();
        prop_assert_eq!(bodies_of(&*again, &ids).unwrap(), wanted.bodies);
        Ok(())
    });
    assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
    assert_eq!(world.left_behind().len(), 0);
}
