//! What git may do at GitHub and what not, and servers that allow less.

use std::fs;

use gistfs::demo::{Server, Switches};
use serde_json::{Value, json};

use crate::desk::{Desk, remote};
use crate::world::{OCTO, World};

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> =
        std::iter::repeat_with(&mut next).take(length / 8 + 1).flatten().collect();
    bytes.truncate(length);
    bytes
}

fn words(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Row 51.
#[test]
fn a_file_past_the_limit_is_declined_in_githubs_words() {
    assert_eq!(Switches::default().push_ceiling, 100 << 20);
    let world = World::new();
    world.server.with_switches(|switches| switches.push_ceiling = 2 << 20);
    let id = world.seed(&[("a", "a")]);
    let desk = Desk::clone_of(&world, &id, OCTO);
    desk.write("just right", &vec![b'x'; 2 << 20]);
    desk.commit_all();
    let taken = desk.git(&["push"]);
    let warning = "remote: warning: File just right is 2.00 MB; this is larger than GitHub's recommended \
                   maximum file size of 1.00 MB";
    assert!(taken.status.success() && words(&taken).contains(warning), "{}", words(&taken));
    desk.write("too long.bin", &vec![b'x'; 5 << 19]);
    desk.commit_all();
    let refused = desk.git(&["push"]);
    assert!(!refused.status.success());
    for line in [
        "remote: error: File too long.bin is 2.50 MB; this exceeds GitHub's file size limit of 2.00 MB",
        "remote: error: GH001: Large files detected.",
        "(pre-receive hook declined)",
    ] {
        assert!(words(&refused).contains(line), "{}", words(&refused));
    }
    assert_eq!(world.server.commits(&id).len(), 2);
    // Taking it back in a later commit does not help.
    desk.must(&["rm", "-q", "too long.bin"]);
    desk.commit_all();
    assert!(!desk.git(&["push"]).status.success());
}

#[test]
fn a_push_can_be_declined_with_words() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    let desk = Desk::clone_of(&world, &id, OCTO);
    desk.write("b", b"b");
    desk.commit_all();
    let no = "GH013: Repository rule violations found for refs/heads/main.";
    world.server.with_switches(|switches| switches.refuse_push = Some(no.to_owned()));
    let refused = desk.git(&["push"]);
    assert!(!refused.status.success());
    assert!(words(&refused).contains(&format!("remote: {no}")), "{}", words(&refused));
    assert_eq!(world.server.files(&id).unwrap().len(), 1);
    world.server.with_switches(|switches| switches.refuse_push = None);
    desk.must(&["push", "-q"]);
    assert_eq!(world.server.files(&id).unwrap().len(), 2);
}

/// Row 52.
#[test]
fn a_push_built_on_what_is_old_is_rejected_and_only_force_rewrites() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    let desk = Desk::clone_of(&world, &id, OCTO);
    world.server.commit(&id, &[("theirs", Some(b"t"))]);
    desk.write("ours", b"o");
    desk.commit_all();
    let rejected = desk.git(&["push"]);
    assert!(!rejected.status.success());
    assert!(words(&rejected).contains("[rejected]"), "{}", words(&rejected));
    assert_eq!(world.server.commits(&id).len(), 2);
    desk.must(&["push", "-q", "--force"]);
    assert_eq!(world.server.commits(&id)[0], desk.must(&["rev-parse", "HEAD"]));
    let names: Vec<String> = world.server.files(&id).unwrap().into_keys().collect();
    assert_eq!(names, ["a", "ours"]);
    assert_eq!(world.gist(&id)["history"].as_array().unwrap().len(), 2);
}

/// Row 52.
#[test]
fn other_branches_come_and_go_and_the_gist_is_the_one_of_head() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    let desk = Desk::clone_of(&world, &id, OCTO);
    desk.must(&["checkout", "-qb", "other"]);
    desk.write("b", b"b");
    desk.commit_all();
    let before = world.gist(&id);
    desk.must(&["push", "-q", "origin", "other"]);
    assert_eq!(world.gist(&id), before);
    desk.must(&["push", "-q", "origin", ":other"]);
    assert!(!desk.git(&["push", "origin", ":main"]).status.success());
    assert_eq!(world.gist(&id), before);
}

/// Row 53.
#[test]
fn a_pushed_commit_is_whose_address_the_author_has() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    let octo = world.get("/user").expect(200).json()["id"].as_u64().expect("a number");
    let desk = Desk::clone_of(&world, &id, OCTO);
    let authors = [
        ("octo@users.noreply.github.com".to_owned(), json!("octo")),
        (format!("{octo}+octo@users.noreply.github.com"), json!("octo")),
        ("hubot@users.noreply.github.example".to_owned(), json!("hubot")),
        ("1+octo@users.noreply.github.com".to_owned(), Value::Null),
        ("nobody@users.noreply.github.com".to_owned(), Value::Null),
        ("octo@example.com".to_owned(), Value::Null),
        ("octo".to_owned(), Value::Null),
    ];
    for (number, (address, _)) in authors.iter().enumerate() {
        desk.write("a", number.to_string().as_bytes());
        let author = format!("--author=Somebody <{address}>");
        desk.must(&["commit", "-qam", "change", &author]);
    }
    desk.must(&["push", "-q"]);
    let history = world.gist(&id)["history"].as_array().unwrap().clone();
    assert_eq!(history.len(), authors.len() + 1);
    for ((address, login), entry) in authors.iter().rev().zip(&history) {
        assert_eq!(&entry["user"]["login"], login, "{address}");
        assert_eq!(entry["user"].is_null(), login.is_null(), "{address}");
    }
}

/// Row 54.
#[test]
fn a_fetch_may_leave_bodies_out_unless_the_server_is_old() {
    let world = World::new();
    let id = world.seed(&[("a", "alpha"), ("b", "beta")]);
    let url = remote(&world, &id, OCTO);
    let missing = |server: &Server, filters: bool| {
        server.with_switches(|switches| switches.git_filters = filters);
        let desk = Desk::new();
        desk.must(&["clone", "-q", "--bare", "--depth=1", "--filter=blob:none", &url, "clone"]);
        let all = desk.must(&["rev-list", "--objects", "--missing=print", "HEAD"]);
        all.lines().filter(|line| line.starts_with('?')).count()
    };
    assert_eq!(missing(&world.server, true), 2);
    assert_eq!(missing(&world.server, false), 0);
}

/// Row 54.
#[test]
fn any_object_is_given_by_its_id_unless_the_server_is_old() {
    let world = World::new();
    let id = world.seed(&[("a", "old")]);
    let first = world.server.commits(&id).remove(0);
    let old = gistfs::model::BlobId::of(b"old").to_string();
    world.server.commit(&id, &[("a", Some(b"new"))]);
    let desk = Desk::new();
    desk.must(&["init", "-q", "--bare", "clone"]);
    let url = remote(&world, &id, OCTO);
    let fetch = |object: &str| {
        desk.git(&["-c", "protocol.version=0", "fetch", "-q", "--depth=1", &url, object])
    };
    world.server.with_switches(|switches| switches.git_any_object = false);
    let refused = fetch(&first);
    assert!(words(&refused).contains("unadvertised"), "{}", words(&refused));
    world.server.with_switches(|switches| switches.git_any_object = true);
    for object in [first, old] {
        let output = fetch(&object);
        assert!(output.status.success(), "{}", words(&output));
        desk.must(&["cat-file", "-e", &object]);
    }
}

/// Row 54.
#[test]
fn git_speaks_protocol_2_unless_the_server_is_old() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    let url = remote(&world, &id, OCTO);
    let desk = Desk::new();
    for (two, expected) in [(true, true), (false, false)] {
        world.server.with_switches(|switches| switches.git_protocol_2 = two);
        let mut listing = desk.command(&["-c", "protocol.version=2", "ls-remote", &url]);
        let output = listing.env("GIT_TRACE_PACKET", "1").output().expect("git");
        assert!(output.status.success());
        assert_eq!(words(&output).contains("version 2"), expected, "{}", words(&output));
        assert!(String::from_utf8_lossy(&output.stdout).contains("refs/heads/main"));
    }
}

/// Rows 17, 48, 55: what only a push can bring, and how the API tells of it.
#[test]
fn what_a_push_brings_is_told_by_the_api_as_it_is() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    let desk = Desk::clone_of(&world, &id, OCTO);
    let files: [(&str, &[u8], &str, &str); 8] = [
        ("bom", b"\xef\xbb\xbfx", "utf-8", "\u{feff}x"),
        ("cr", b"a\rb", "utf-8", "a\rb"),
        ("crlf", b"a\r\nb", "utf-8", "a\r\nb"),
        ("empty", b"", "utf-8", ""),
        ("latin", b"\xe9", "base64", "6Q=="),
        ("nul", b"a\0b", "base64", "YQBi"),
        ("png", b"\x89PNG\r\n\x1a\n", "base64", "iVBORw0KGgo="),
        ("space", b" \n\t", "utf-8", " \n\t"),
    ];
    for (name, bytes, _, _) in files {
        desk.write(name, bytes);
    }
    desk.commit_all();
    desk.must(&["push", "-q"]);
    let gist = world.gist(&id);
    for (name, bytes, encoding, content) in files {
        let file = &gist["files"][name];
        assert_eq!((&file["encoding"], &file["content"]), (&json!(encoding), &json!(content)));
        assert_eq!((&file["size"], &file["truncated"]), (&json!(bytes.len()), &json!(false)));
    }
    for number in 0..350 {
        desk.write(&format!("{number:03}"), format!("{number}\n").as_bytes());
    }
    desk.commit_all();
    desk.must(&["push", "-q"]);
    let list = world.get("/gists").expect(200).json()[0].clone();
    let changed = world.patch(&id, &json!({"description": "many"})).expect(200).json();
    for answer in [world.gist(&id), list, changed] {
        assert_eq!(answer["truncated"], true);
        let names: Vec<&String> = answer["files"].as_object().unwrap().keys().collect();
        assert_eq!((names.len(), &**names[0], &**names[299]), (300, "000", "299"));
    }
    assert_eq!(world.server.files(&id).unwrap().len(), 359);
}

/// A body that neither end can afford to copy about, and the log not to keep.
#[test]
fn sixty_megabytes_are_pushed_and_cloned() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    let desk = Desk::clone_of(&world, &id, OCTO);
    let bytes = noise(60 << 20);
    desk.write("big", &bytes);
    desk.must(&["config", "core.compression", "0"]);
    desk.commit_all();
    desk.must(&["push", "-q"]);
    let pushed =
        world.server.requests().into_iter().filter(|r| r.path.ends_with("/git-receive-pack"));
    assert!(pushed.map(|request| request.body.len()).all(|logged| logged <= 64 << 10));
    let file = &world.gist(&id)["files"]["big"];
    assert_eq!((&file["size"], &file["truncated"]), (&json!(bytes.len()), &json!(true)));
    let again = Desk::clone_of(&world, &id, OCTO);
    assert!(fs::read(again.path().join("big")).unwrap() == bytes);
}
