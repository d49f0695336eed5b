//! What is fetched through git is what the repository holds.

use std::cell::Cell;
use std::collections::BTreeMap;

use gistfs::api::ApiError;
use gistfs::api::git::GitApi as _;
use gistfs::demo::{Origin, ServerOptions};
use gistfs::model::{BlobId, CommitId};

use crate::git_world::{Wanted, World, bodies_at, bodies_of};
use crate::github::options;
use crate::support::name;

fn all_bytes() -> Vec<u8> {
    (0..=255).collect()
}

/// How often the server was asked for objects.
fn fetches(world: &World) -> usize {
    let requests = world.server.requests();
    let wants = |body: &[u8]| body.windows(13).any(|part| part == b"command=fetch");
    let asked = requests.iter().filter(|request| request.path.ends_with("/git-upload-pack"));
    asked
        .filter(|request| wants(&request.body) || request.header("content-encoding").is_some())
        .count()
}

#[test]
fn a_fetch_tells_branch_commit_and_files_and_leaves_nothing() {
    let world = World::new();
    let new = world.seed(&[("a", b"a"), ("b c.bin", &all_bytes())]);
    world.server.with_switches(|switches| switches.default_branch = "master".into());
    let old = world.seed(&[("a", b"a"), ("b c.bin", &all_bytes())]);
    for (id, branch) in [(&new, "main"), (&old, "master")] {
        let heard = Cell::new(0);
        let repository = world.git.fetch(&world.url(id), &|| heard.set(heard.get() + 1)).unwrap();
        let head = repository.head();
        assert_eq!(head.branch, branch);
        assert_eq!(head.commit, CommitId::parse(&world.server.commits(id)[0]));
        let files = [(name("a"), BlobId::of(b"a")), (name("b c.bin"), BlobId::of(&all_bytes()))];
        assert_eq!(head.files, BTreeMap::from(files));
        assert!(heard.get() > 0);
        assert_eq!(world.left_behind().len(), 1);
    }
    assert_eq!(world.left_behind().len(), 0);
    let asked = world.server.requests();
    assert!(asked.iter().all(|request| request.origin == Origin::Git && !request.has_token()));
}

#[test]
fn bodies_come_byte_for_byte_in_one_go_and_only_those_that_are_wanted() {
    for filters in [true, false] {
        let world = World::new();
        world.server.with_switches(|switches| switches.git_filters = filters);
        let large: Vec<u8> = (0..400_000_u32).flat_map(u32::to_le_bytes).collect();
        let bodies: [&[u8]; 6] =
            [b"", &all_bytes(), b"a\r\nb\r\n", b"\r", b"\xef\xbb\xbfx", &large];
        let names = ["0", "1", "2", "3", "4", "5"];
        let files: Vec<_> = names.into_iter().zip(bodies).collect();
        let id = world.seed(&files);
        world.server.commit(&id, &[("more", Some(b"more"))]);
        let repository = world.fetch(&id);
        assert_eq!(fetches(&world), 1);
        let wanted: Vec<BlobId> = bodies.into_iter().map(BlobId::of).collect();
        let twice = [&wanted[..], &wanted[..1]].concat();
        let got = bodies_of(&*repository, &twice).unwrap();
        let expected: BTreeMap<_, _> =
            bodies.into_iter().map(|body| (BlobId::of(body), body.to_vec())).collect();
        assert_eq!(got, expected);
        // Without filters all came with the commit.
        assert_eq!(fetches(&world), if filters { 2 } else { 1 });
        assert_eq!(bodies_of(&*repository, &wanted).unwrap(), expected);
        assert_eq!(fetches(&world), if filters { 2 } else { 1 });
        assert_eq!(bodies_at(&world.git, &world.url(&id), &wanted).unwrap(), expected);
        assert_eq!(bodies_at(&world.git, &world.url(&id), &[]).unwrap(), BTreeMap::new());
    }
}

#[test]
fn a_body_of_an_older_commit_comes_where_the_server_gives_it() {
    let world = World::new();
    let id = world.seed(&[("a", b"old"), ("b", b"kept")]);
    world.server.commit(&id, &[("a", Some(b"new"))]);
    let (old, kept) = (BlobId::of(b"old"), BlobId::of(b"kept"));
    let got = bodies_at(&world.git, &world.url(&id), &[old]).unwrap();
    assert_eq!(got, BTreeMap::from([(old, b"old".to_vec())]));
    // An old server gives whole commits only.
    world.server.with_switches(|switches| {
        (switches.git_protocol_2, switches.git_any_object) = (false, false);
    });
    assert!(matches!(bodies_at(&world.git, &world.url(&id), &[old]), Err(ApiError::NotFound)));
    let repository = world.fetch(&id);
    for got in [bodies_at(&world.git, &world.url(&id), &[kept]), bodies_of(&*repository, &[kept])] {
        assert_eq!(got.unwrap(), BTreeMap::from([(kept, b"kept".to_vec())]));
    }
}

#[test]
fn what_is_not_there_is_not_found() {
    let world = World::new();
    let id = world.seed(&[("a", b"a")]);
    let none = BlobId::of(b"nowhere");
    let repository = world.fetch(&id);
    assert_eq!(bodies_of(&*repository, &[none]), Err(ApiError::NotFound));
    assert_eq!(bodies_at(&world.git, &world.url(&id), &[none]), Err(ApiError::NotFound));
    let gone = world.url("0123456789abcdef");
    assert_eq!(world.git.fetch(&gone, &|| {}).err(), Some(ApiError::NotFound));
    assert_eq!(bodies_at(&world.git, &gone, &[none]), Err(ApiError::NotFound));
}

#[test]
fn a_body_that_cannot_be_stored_ends_the_reading_with_that_error() {
    let world = World::new();
    let id = world.seed(&[("a", &vec![7; 3 << 20])]);
    let repository = world.fetch(&id);
    let wanted = [BlobId::of(&vec![7; 3 << 20])];
    let full = || std::io::Error::from_raw_os_error(libc::ENOSPC);
    let refused = repository.bodies(&wanted, &mut |_, _, _| Err(full()), &|| {});
    assert!(matches!(refused, Err(ApiError::Local { errno: libc::ENOSPC, .. })), "{refused:?}");
    // Who reads only a part of a body gets the next one all the same.
    let mut seen = Vec::new();
    let both = [wanted[0], BlobId::EMPTY];
    world.server.commit(&id, &[("b", Some(b""))]);
    let repository = world.fetch(&id);
    let mut take = |id: BlobId, length: u64, body: &mut dyn std::io::Read| {
        let mut byte = [0];
        let read = body.read(&mut byte)?;
        seen.push((id, length, read));
        Ok(())
    };
    repository.bodies(&both, &mut take, &|| {}).unwrap();
    assert_eq!(seen, [(both[0], 3 << 20, 1), (both[1], 0, 0)]);
}

#[test]
fn a_branch_without_a_commit_is_no_error_and_takes_the_first_one() {
    let world = World::new();
    for branch in ["main", "master"] {
        world.server.with_switches(|switches| switches.default_branch = branch.into());
        let id = world.seed(&[("a", b"a")]);
        world.there(&id, &["update-ref", "-d", "HEAD"], b"");
        let repository = world.fetch(&id);
        let head = repository.head();
        assert_eq!((&head.commit, head.files.len()), (&None, 0));
        assert_eq!(head.branch, branch);
        let commit = Wanted::of(&[("first", "file")]).push(&*repository).unwrap();
        assert_eq!(world.head(&id), commit.as_str());
    }
}

#[test]
fn a_head_that_leads_nowhere_is_no_gist_without_files() {
    let world = World::new();
    let id = world.seed(&[("a", b"a")]);
    world.there(&id, &["branch", "-m", "main", "aside"], b"");
    world.there(&id, &["symbolic-ref", "HEAD", "refs/heads/elsewhere"], b"");
    let error = world.git.fetch(&world.url(&id), &|| {}).err();
    assert!(matches!(error, Some(ApiError::Nonsense { .. })), "{error:?}");
}

#[test]
fn a_commit_without_files_is_one_too() {
    let world = World::new();
    let id = world.seed(&[("a", b"a")]);
    world.server.commit(&id, &[("a", None)]);
    let repository = world.fetch(&id);
    assert_eq!(repository.head().files.len(), 0);
    Wanted::of(&[("b", "b")]).push(&*repository).unwrap();
    assert_eq!(world.server.files(&id).unwrap(), BTreeMap::from([("b".into(), b"b".to_vec())]));
}

#[test]
fn what_a_commit_descends_from_is_found_out_step_by_step() {
    for filters in [true, false] {
        let world = World::new();
        world.server.with_switches(|switches| switches.git_filters = filters);
        let id = world.seed(&[("a", b"0")]);
        for number in 1..=60 {
            world.server.commit(&id, &[("a", Some(number.to_string().as_bytes()))]);
        }
        let commits = world.server.commits(&id);
        let commit = |at: usize| CommitId::parse(&commits[at]).unwrap();
        let repository = world.fetch(&id);
        let from = |commit| repository.descends_from(&commit, &|| {}).unwrap();
        assert!(from(commit(0)) && from(commit(1)) && from(commit(40)) && from(commit(60)));
        assert!(!from(CommitId::parse(&"1".repeat(40)).unwrap()));
        // Taken back by somebody, and gone on with from there.
        world.there(&id, &["update-ref", "HEAD", &commits[30]], b"");
        world.server.commit(&id, &[("b", Some(b"elsewhere"))]);
        let repository = world.fetch(&id);
        let from = |commit| repository.descends_from(&commit, &|| {}).unwrap();
        assert!(from(commit(30)) && from(commit(60)) && !from(commit(29)) && !from(commit(0)));
        // And bodies come all the same.
        let body = BlobId::of(b"elsewhere");
        assert_eq!(bodies_of(&*repository, &[body]).unwrap().len(), 1);
    }
}

#[test]
fn a_server_that_lets_nobody_in_is_shown_the_token() {
    let world = World::with(ServerOptions { private_raw: true, ..options() });
    let id = world.seed(&[("a", b"a")]);
    assert_eq!(world.fetch(&id).head().files.len(), 1);
    assert!(world.server.requests().iter().any(|request| request.has_token()));
    let stranger = world.another(|options| options.token = None);
    let refused = stranger.fetch(&world.url(&id), &|| {}).err();
    assert!(matches!(refused, Some(ApiError::Anonymous(_))), "{refused:?}");
    let wrong = world.another(|options| options.token = gistfs::api::token::Token::parse("wrong"));
    let refused = wrong.fetch(&world.url(&id), &|| {}).err();
    assert!(matches!(refused, Some(ApiError::Unauthorized(_))), "{refused:?}");
}

#[test]
fn a_head_that_leads_nowhere_is_main_or_else_master() {
    let world = World::new();
    for (branches, branch) in [
        (&["main"][..], "main"),
        (&["aside", "master"], "master"),
        (&["aside", "main", "master"], "main"),
    ] {
        let id = world.seed(&[("a", b"a")]);
        let commit = world.head(&id);
        for name in branches {
            world.there(&id, &["update-ref", &format!("refs/heads/{name}"), &commit], b"");
        }
        world.there(&id, &["symbolic-ref", "HEAD", "refs/heads/gone"], b"");
        if !branches.contains(&"main") {
            world.there(&id, &["update-ref", "-d", "refs/heads/main"], b"");
        }
        let repository = world.fetch(&id);
        let head = repository.head();
        assert_eq!(head.branch, branch);
        assert_eq!(head.commit.as_ref().map(CommitId::as_str), Some(&*commit));
        assert_eq!(head.files.get(&name("a")), Some(&BlobId::of(b"a")));
        Wanted::of(&[("b", "b")]).push(&*repository).unwrap();
        let tip = world.there(&id, &["rev-parse", &format!("{branch}~1")], b"");
        assert_eq!(String::from_utf8(tip).unwrap().trim(), commit);
        drop(repository);
        assert!(world.left_behind().is_empty());
    }
}
