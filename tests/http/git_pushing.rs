//! What is pushed is what was meant, on top of what was fetched, or nothing.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use gistfs::api::ApiError;
use gistfs::api::git::GitApi as _;
use gistfs::api::token::Token;
use gistfs::demo::{Fault, FaultKind};
use gistfs::model::BlobId;

use crate::git_world::{Wanted, World, bodies_of, script};
use crate::support::name;

#[test]
fn one_commit_as_github_would_make_it() {
    let world = World::new();
    let id = world.seed(&[("a", b"a"), ("b", b"b")]);
    let before = world.head(&id);
    let repository = world.fetch(&id);
    let binary: Vec<u8> = (0..=255).collect();
    let wanted = Wanted::of(&[
        ("a", &b"a"[..]),
        ("empty", b""),
        ("blank", b" \n"),
        ("crlf", b"x\r\ny\r\n"),
        ("binary", &binary),
    ]);
    let commit = wanted.push(&*repository).unwrap();
    assert_eq!(world.server.commits(&id), [commit.as_str(), &before]);
    let files = world.server.files(&id).unwrap();
    let expected: BTreeMap<String, Vec<u8>> =
        wanted.files.iter().map(|(n, id)| (n.to_string(), wanted.bodies[id].clone())).collect();
    assert_eq!(files, expected);
    // "a" is there already.
    assert_eq!(wanted.opened.get(), 4);
    let about = world.there(&id, &["cat-file", "commit", "HEAD"], b"");
    let about = String::from_utf8(about).unwrap();
    let who = "octo <7+octo@users.noreply.127.0.0.1> 1800000000 +0000";
    let parent = format!("\nparent {before}\nauthor {who}\ncommitter {who}\n\n");
    assert!(about.ends_with(&parent), "{about}");
    // A plain clone has the same bytes.
    let desk = tempfile::tempdir().unwrap();
    let clone = Command::new("git")
        .args(["clone", "-q", &world.url(&id), "clone"])
        .current_dir(desk.path())
        .status()
        .unwrap();
    assert!(clone.success());
    for (name, body) in expected {
        assert_eq!(fs::read(desk.path().join("clone").join(&name)).unwrap(), body, "{name}");
    }
    assert_eq!(world.left_behind().len(), 1);
}

#[test]
fn what_is_the_same_already_is_not_pushed() {
    let world = World::new();
    let id = world.seed(&[("a", b"a")]);
    let repository = world.fetch(&id);
    world.server.forget_requests();
    let commit = Wanted::of(&[("a", "a")]).push(&*repository).unwrap();
    assert_eq!(commit.as_str(), world.head(&id));
    assert_eq!(world.server.requests().len(), 0);
}

#[test]
fn names_are_kept_whatever_they_are() {
    let world = World::new();
    let id = world.seed(&[("a", b"a")]);
    let long = "n".repeat(250);
    let names = [
        "-rf",
        "--all",
        "a b",
        " lead",
        "trail ",
        "q\"uote",
        "new\nline",
        "tab\t",
        "\\back",
        "é",
        "*",
        "e\u{301}",
        "C:x",
        "aux",
        ".gitmodules",
        ":(top)x",
        "a\u{7f}b",
        "\u{1f600}",
        "~",
        "@{0}",
        &long,
    ];
    let files: Vec<_> = names.iter().map(|name| (*name, format!("body of {name}"))).collect();
    Wanted::of(&files).push(&*world.fetch(&id)).unwrap();
    let tree = world.tree(&id);
    let expected: BTreeMap<Vec<u8>, _> = files
        .iter()
        .map(|(n, body)| (n.as_bytes().to_vec(), ("100644".into(), BlobId::of(body.as_bytes()))))
        .collect();
    assert_eq!(tree, expected);
    let repository = world.fetch(&id);
    assert_eq!(repository.head().files, Wanted::of(&files).files);
    let ids: Vec<BlobId> = repository.head().files.values().copied().collect();
    assert_eq!(bodies_of(&*repository, &ids).unwrap(), Wanted::of(&files).bodies);
}

#[test]
fn a_name_that_no_tree_can_hold_is_declined_and_nothing_is_pushed() {
    let world = World::new();
    let id = world.seed(&[("a", b"a")]);
    let repository = world.fetch(&id);
    world.server.forget_requests();
    for odd in ["a/b", "a\0b"] {
        let declined = Wanted::of(&[("a", "a"), (odd, "x")]).push(&*repository);
        assert!(matches!(&declined, Err(ApiError::Declined(words)) if words.contains("name")));
    }
    assert_eq!(world.server.requests().len(), 0);
}

#[test]
fn modes_links_and_names_of_others_stay() {
    let world = World::new();
    let id = world.seed(&[("a", b"a")]);
    world.commit_tree(
        &id,
        &[
            (b"script", "100755", b"#!/bin/sh\n"),
            (b"moved", "100755", b"moved"),
            (b"link", "120000", b"script"),
            (b"link2", "120000", b"plain"),
            (b"plain", "100644", b"plain"),
            (b"not \xff text", "100755", b"theirs"),
        ],
    );
    let repository = world.fetch(&id);
    assert_eq!(repository.head().files.len(), 5);
    let wanted = Wanted::of(&[
        ("script", "#!/bin/sh\necho\n"),
        ("has moved", "moved"),
        ("link", "no longer a link"),
        ("link2", "plain"),
        ("plain", "edited"),
    ]);
    wanted.push(&*repository).unwrap();
    let entry = |mode: &str, body: &str| (mode.to_owned(), BlobId::of(body.as_bytes()));
    let expected = BTreeMap::from([
        (b"script".to_vec(), entry("100755", "#!/bin/sh\necho\n")),
        (b"has moved".to_vec(), entry("100755", "moved")),
        (b"link".to_vec(), entry("100644", "no longer a link")),
        (b"link2".to_vec(), entry("120000", "plain")),
        (b"plain".to_vec(), entry("100644", "edited")),
        (b"not \xff text".to_vec(), entry("100755", "theirs")),
    ]);
    assert_eq!(world.tree(&id), expected);
}

#[test]
fn three_hundred_and_fifty_files_go_and_come() {
    let world = World::new();
    let id = world.seed(&[("0", b"first")]);
    let files: Vec<_> =
        (0..350).map(|number| (format!("{number:03}"), format!("body {number}"))).collect();
    let wanted = Wanted::of(&files);
    let commit = wanted.push(&*world.fetch(&id)).unwrap();
    let repository = world.fetch(&id);
    assert_eq!(repository.head().commit.as_ref(), Some(&commit));
    assert_eq!(repository.head().files, wanted.files);
    let ids: Vec<BlobId> = wanted.bodies.keys().copied().collect();
    assert_eq!(bodies_of(&*repository, &ids).unwrap(), wanted.bodies);
}

#[test]
fn a_remote_that_moved_is_a_conflict_and_stays_as_it_is() {
    let world = World::new();
    let id = world.seed(&[("a", b"1")]);
    let first = world.head(&id);
    world.server.commit(&id, &[("a", Some(b"2"))]);
    let behind = world.fetch(&id);
    let second = world.head(&id);
    world.server.commit(&id, &[("a", Some(b"3"))]);
    let ours = Wanted::of(&[("a", "ours")]);
    assert!(matches!(ours.push(&*behind), Err(ApiError::Conflict(_))));
    assert_eq!(world.server.commits(&id).len(), 3);
    // Set back, our commit would be a fast-forward that brings back what somebody took away.
    world.there(&id, &["update-ref", "HEAD", &first], b"");
    assert!(matches!(ours.push(&*behind), Err(ApiError::Conflict(_))));
    assert_eq!(world.head(&id), first);
    // And where it was when it was fetched, it takes it.
    world.there(&id, &["update-ref", "HEAD", &second], b"");
    let commit = ours.push(&*behind).unwrap();
    assert_eq!(world.head(&id), commit.as_str());
    world.there(&id, &["update-ref", "-d", "HEAD"], b"");
    let unborn = world.fetch(&id);
    world.there(&id, &["update-ref", "HEAD", &first], b"");
    assert!(matches!(ours.push(&*unborn), Err(ApiError::Conflict(_))));
    assert_eq!(world.head(&id), first);
}

#[test]
fn a_push_that_is_refused_has_the_server_s_own_words() {
    let world = World::new();
    let id = world.seed(&[("a", b"a")]);
    let before = world.head(&id);
    let repository = world.fetch(&id);
    world.server.with_switches(|switches| switches.refuse_push = Some("Not on a Sunday.".into()));
    let refused = Wanted::of(&[("b", "b")]).push(&*repository);
    let words = "Not on a Sunday. (pre-receive hook declined)";
    assert_eq!(refused, Err(ApiError::Declined(words.into())));
    world.server.with_switches(|switches| {
        (switches.refuse_push, switches.push_ceiling) = (None, 1000);
    });
    let refused = Wanted::of(&[("b", "b".repeat(1001))]).push(&*repository);
    assert!(matches!(&refused, Err(ApiError::Declined(words)) if words.contains("GH001")));
    // A directory that somebody brought in past the rules stays, and is refused as ever.
    world.commit_tree(&id, &[(b"d/f", "100644", b"x"), (b"a", "100644", b"a")]);
    let repository = world.fetch(&id);
    assert_eq!(repository.head().files.keys().collect::<Vec<_>>(), [&name("a")]);
    let refused = Wanted::of(&[("a", "b")]).push(&*repository);
    let directories = "Gist does not support directories.";
    assert!(matches!(&refused, Err(ApiError::Declined(words)) if words.contains(directories)));
    assert_ne!(world.head(&id), before);
}

#[test]
fn who_may_not_push_is_told_why() {
    let world = World::new();
    let id = world.seed(&[("a", b"a")]);
    let push = |token: Option<&str>| {
        let git = world.another(|options| options.token = token.and_then(Token::parse));
        let repository = git.fetch(&world.url(&id), &|| {}).unwrap();
        Wanted::of(&[("b", "b")]).push(&*repository).unwrap_err()
    };
    assert!(matches!(push(None), ApiError::Anonymous(_)));
    assert!(matches!(push(Some("wrong")), ApiError::Unauthorized(_)));
    let forbidden = push(Some("hubot-token"));
    assert!(matches!(&forbidden, ApiError::Forbidden(why) if why.contains("denied to hubot")));
    assert!(matches!(push(Some("noscope-token")), ApiError::Forbidden(_)));
    assert_eq!(world.server.commits(&id).len(), 1);
}

#[test]
fn a_body_that_is_not_what_its_id_says_is_not_pushed() {
    let world = World::new();
    let id = world.seed(&[("a", b"a")]);
    let repository = world.fetch(&id);
    world.server.forget_requests();
    let mut wanted = Wanted::of(&[("b", "good")]);
    for wrong in [&b"evil"[..], b"goo", b"good2", b""] {
        wanted.bodies.insert(BlobId::of(b"good"), wrong.to_vec());
        let refused = wanted.push(&*repository);
        assert!(matches!(refused, Err(ApiError::Local { .. })), "{refused:?}");
    }
    wanted.bodies.clear();
    assert!(matches!(wanted.push(&*repository), Err(ApiError::Local { .. })));
    assert_eq!(world.server.requests().len(), 0);
}

#[test]
fn a_tree_that_is_not_what_was_meant_does_not_leave() {
    let world = World::new();
    let id = world.seed(&[("a", b"a")]);
    // It forgets what it is told and makes the empty tree.
    let text = "if test \"$1\" = mktree; then exec git mktree </dev/null; fi; exec git \"$@\"";
    let liar = script(world.state.path(), text);
    let git = world.another(|options| options.program = Some(liar));
    let repository = git.fetch(&world.url(&id), &|| {}).unwrap();
    world.server.forget_requests();
    let refused = Wanted::of(&[("a", "b")]).push(&*repository);
    assert!(matches!(refused, Err(ApiError::Nonsense { .. })), "{refused:?}");
    assert_eq!(world.server.requests().len(), 0);
}

#[test]
fn a_lost_answer_to_a_push_is_one_and_the_next_fetch_shows_what_came_of_it() {
    let world = World::new();
    let id = world.seed(&[("a", b"a")]);
    let repository = world.fetch(&id);
    // Over a connection that was kept the program asks once more.
    let fault =
        Fault { path: "/git-receive-pack".into(), times: 2, ..Fault::once(FaultKind::LoseAnswer) };
    world.server.inject(fault.clone());
    let lost = Wanted::of(&[("b", "b")]).push(&*repository).unwrap_err();
    assert!(lost.outcome_unknown(), "{lost}");
    let fetched = world.fetch(&id);
    assert_eq!(fetched.head().files, Wanted::of(&[("b", "b")]).files);
    // Where the second one is answered, our own commit is in its way.
    world.server.clear_faults();
    world.server.inject(Fault { times: 1, ..fault });
    let raced = Wanted::of(&[("c", "c")]).push(&*fetched).unwrap_err();
    assert!(matches!(raced, ApiError::Conflict(_)), "{raced}");
    assert_eq!(world.fetch(&id).head().files, Wanted::of(&[("c", "c")]).files);
}
