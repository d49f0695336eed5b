//! The real git program against the server.

use std::fs;
use std::path::Path;

use gistfs::demo::{Origin, Seed, ServerOptions};
use serde_json::json;

use crate::desk::Desk;
use crate::world::{OCTO, World, texts};

fn read(path: &Path, name: &str) -> Vec<u8> {
    fs::read(path.join(name)).expect("a file")
}

/// Row 48.
#[test]
fn a_clone_has_all_files_byte_for_byte() {
    let world = World::new();
    let binary: Vec<u8> = (0..=255).collect();
    let files = vec![("b.bin".to_owned(), binary.clone()), ("c".to_owned(), b"x\r\ny".to_vec())];
    let id = world.server.seed("octo", Seed { files, ..Seed::default() });
    world.server.commit(&id, &[("d", Some(b"d"))]);
    let desk = Desk::new();
    desk.must(&["clone", "-q", world.gist(&id)["git_pull_url"].as_str().unwrap(), "clone"]);
    assert_eq!(read(&desk.path(), "b.bin"), binary);
    assert_eq!(read(&desk.path(), "c"), b"x\r\ny");
    let log = desk.must(&["log", "--format=%H"]);
    assert_eq!(log.lines().collect::<Vec<_>>(), world.server.commits(&id));
    assert!(world.server.requests().iter().any(|request| request.origin == Origin::Git));
}

/// Row 48.
#[test]
fn a_push_arrives_byte_for_byte_and_counts_as_an_update() {
    let world = World::new();
    let id = world.seed(&[("a", "a\n")]);
    let desk = Desk::clone_of(&world, &id, OCTO);
    let binary: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    desk.write("b.bin", &binary);
    desk.write("crlf", b"x\r\ny\r\n");
    desk.write("empty", b"");
    fs::remove_file(desk.path().join("a")).unwrap();
    desk.commit_all();
    desk.must(&["push", "-q"]);
    let files = world.server.files(&id).unwrap();
    assert_eq!(files.keys().collect::<Vec<_>>(), ["b.bin", "crlf", "empty"]);
    assert_eq!((&files["b.bin"], &*files["crlf"]), (&binary, &b"x\r\ny\r\n"[..]));
    let gist = world.gist(&id);
    assert_eq!(gist["history"][0]["version"], *desk.must(&["rev-parse", "HEAD"]));
    assert_eq!(gist["history"].as_array().unwrap().len(), 2);
    assert_eq!(gist["files"]["empty"]["content"], "");
    assert_eq!(gist["files"]["empty"]["size"], 0);
    world.patch_files(&id, &json!({"b.bin": null, "empty": null})).expect(200);
    desk.must(&["pull", "-q"]);
    assert_eq!(read(&desk.path(), "crlf"), b"x\r\ny\r\n");
    assert!(!desk.path().join("b.bin").exists());
}

/// Row 48.
#[test]
fn a_push_with_a_directory_is_refused_in_githubs_words() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    let desk = Desk::clone_of(&world, &id, OCTO);
    desk.write("folder/b", b"b");
    desk.commit_all();
    let refused = desk.git(&["push"]);
    assert!(!refused.status.success());
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    for line in [
        "remote: Gist does not support directories.",
        "remote: These are the directories that are causing problems:",
        "remote: folder",
        "(pre-receive hook declined)",
    ] {
        assert!(words.contains(line), "{words}");
    }
    assert_eq!(world.texts(&id), texts(&[("a", "a")]));
    assert_eq!(world.server.commits(&id).len(), 1);
    // Only the tip is looked at.
    desk.must(&["rm", "-rq", "folder"]);
    desk.write("b", b"b");
    desk.commit_all();
    desk.must(&["push", "-q"]);
    assert_eq!(world.server.commits(&id).len(), 3);
}

/// Row 48.
#[test]
fn head_is_main_or_in_older_gists_master() {
    let world = World::new();
    let new = world.seed(&[("a", "a")]);
    world.server.with_switches(|switches| switches.default_branch = "master".to_owned());
    let old = world.seed(&[("a", "a")]);
    for (id, branch) in [(new, "main"), (old, "master")] {
        let desk = Desk::clone_of(&world, &id, OCTO);
        assert_eq!(desk.must(&["branch", "--show-current"]), branch);
    }
}

/// Row 48.
#[test]
fn only_the_owner_pushes() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    for token in ["hubot-token", "noscope-token", "finegrained-token", "wrong"] {
        // Reading needs no token, and git sends none before it is asked.
        let desk = Desk::clone_of(&world, &id, token);
        desk.write("b", b"b");
        desk.commit_all();
        assert!(!desk.git(&["push"]).status.success(), "{token}");
    }
    assert_eq!(world.server.commits(&id).len(), 1);
}

#[test]
fn a_private_server_lets_nobody_clone_without_a_token() {
    let world = World::with(ServerOptions { private_raw: true, ..ServerOptions::default() });
    let id = world.seed(&[("a", "a")]);
    let desk = Desk::new();
    let url = format!("{}/{id}.git", world.server.raw_url());
    assert!(!desk.git(&["clone", "-q", &url, "clone"]).status.success());
    Desk::clone_of(&world, &id, OCTO);
}

#[test]
fn a_gist_unknown_to_the_api_is_unknown_to_git() {
    let world = World::new();
    let desk = Desk::new();
    for id in ["none", "../hooks", ".."] {
        let url = format!("{}/{id}.git", world.server.raw_url());
        assert!(!desk.git(&["clone", "-q", &url, "clone"]).status.success(), "{id}");
    }
}
