//! `PATCH /gists/ID` with all its turns.

use std::thread;
use std::time::Duration;

use gistfs::demo::{Fault, FaultKind, Seed};
use gistfs::model::{BlobId, Time};
use serde_json::{Value, json};

use crate::world::{Answer, Send as _, World, texts};

fn versions(gist: &Value) -> usize {
    gist["history"].as_array().expect("a history").len()
}

/// A gist made long ago, so that a moved `updated_at` shows.
fn old(world: &World, files: &[(&str, &str)]) -> String {
    let created_at = Time::parse("2020-01-01T00:00:00Z");
    world.server.seed("octo", Seed { created_at, ..Seed::new("old", files) })
}

/// Row 24.
#[test]
fn an_unknown_name_makes_a_file() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    let answer = world.patch_files(&id, &json!({"b": {"content": "b"}})).expect(200);
    assert!(answer.header("etag").unwrap().starts_with("W/"));
    assert_eq!(answer.header("last-modified"), None);
    assert_eq!(versions(&answer.json()), 2);
    assert_eq!(answer.json()["files"]["b"]["content"], "b");
    assert_eq!(world.texts(&id), texts(&[("a", "a"), ("b", "b")]));
}

/// Row 25.
#[test]
fn a_rename_keeps_the_blob_and_counts_no_line() {
    let world = World::new();
    let id = world.seed(&[("a", "1\n2\n"), ("z", "z")]);
    let gist = world.patch_files(&id, &json!({"a": {"filename": "b"}})).expect(200).json();
    let url = gist["files"]["b"]["raw_url"].as_str().unwrap();
    assert!(url.ends_with(&format!("/raw/{}/b", BlobId::of(b"1\n2\n"))), "{url}");
    let change = json!({"total": 0, "additions": 0, "deletions": 0});
    assert_eq!(gist["history"][0]["change_status"], change);
    assert_eq!(world.texts(&id), texts(&[("b", "1\n2\n"), ("z", "z")]));
}

/// Row 25.
#[test]
fn one_request_of_all_kinds_is_one_commit() {
    let world = World::new();
    let id = world.seed(&[("delete", "d"), ("edit", "e"), ("rename", "r"), ("both", "b")]);
    let change = json!({
        "delete": null,
        "edit": {"content": "E"},
        "rename": {"filename": "renamed"},
        "both": {"filename": "both2", "content": "B"},
        "new": {"content": "n"},
    });
    let gist = world.patch_files(&id, &change).expect(200).json();
    assert_eq!(versions(&gist), 2);
    let expected = [("both2", "B"), ("edit", "E"), ("new", "n"), ("renamed", "r")];
    assert_eq!(world.texts(&id), texts(&expected));
}

#[test]
fn a_rename_onto_another_file_is_refused_unless_that_one_goes() {
    let world = World::new();
    let id = world.seed(&[("a", "a"), ("b", "b")]);
    world.patch_files(&id, &json!({"a": {"filename": "b"}})).expect_missing_files();
    assert_eq!(world.texts(&id), texts(&[("a", "a"), ("b", "b")]));
    world.patch_files(&id, &json!({"b": {"content": "a"}, "a": null})).expect(200);
    assert_eq!(world.texts(&id), texts(&[("b", "a")]));
}

#[test]
fn two_files_can_swap_their_names() {
    let world = World::new();
    let id = world.seed(&[("a", "a"), ("b", "b")]);
    let change = json!({"a": {"filename": "b"}, "b": {"filename": "a"}});
    world.patch_files(&id, &change).expect(200);
    assert_eq!(world.texts(&id), texts(&[("a", "b"), ("b", "a")]));
}

#[test]
fn null_inside_a_change_is_refused_in_three_ways() {
    let world = World::new();
    let id = world.seed(&[("a", "a"), ("b", "b")]);
    let filename = world.patch_files(&id, &json!({"a": {"filename": null}})).expect(422);
    assert_eq!(
        filename.message(),
        "Invalid request.\n\nFor 'properties/filename', nil is not a string."
    );
    world.patch_files(&id, &json!({"a": {"content": null}})).expect(404);
    world.patch(&id, &json!({"description": null})).expect(422);
    world.patch_files(&id, &json!({"none": {"filename": "x"}})).expect_missing_files();
    world.patch(&id, &json!({})).expect_missing_files();
}

/// Row 26.
#[test]
fn null_and_an_empty_object_delete() {
    let world = World::new();
    let id = world.seed(&[("a", "a"), ("b", "b"), ("c", "c")]);
    world.patch_files(&id, &json!({"a": null})).expect(200);
    assert_eq!(world.texts(&id), texts(&[("b", "b"), ("c", "c")]));
    world.patch_files(&id, &json!({"b": {}})).expect(200);
    assert_eq!(world.texts(&id), texts(&[("c", "c")]));
}

/// Row 27.
#[test]
fn deleting_what_is_not_there_refuses_the_whole_request() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    let change = json!({"none": null, "a": {"content": "A"}, "b": {"content": "b"}});
    world.patch_files(&id, &change).expect_missing_files();
    world
        .patch(&id, &json!({"description": "new", "files": {"none": null}}))
        .expect_missing_files();
    assert_eq!(world.texts(&id), texts(&[("a", "a")]));
    assert_eq!(world.server.description(&id).as_deref(), Some("a gist"));
}

/// Row 28.
#[test]
fn the_last_file_cannot_be_deleted() {
    let world = World::new();
    let id = world.seed(&[("a", "a"), ("b", "b")]);
    world.patch_files(&id, &json!({"a": null, "b": null})).expect_missing_files();
    assert_eq!(world.texts(&id), texts(&[("a", "a"), ("b", "b")]));
    world.patch_files(&id, &json!({"a": null, "b": null, "c": {"content": "c"}})).expect(200);
    assert_eq!(world.texts(&id), texts(&[("c", "c")]));
}

/// Row 29.
#[test]
fn a_duplicates_deletion_alone_sticks_until_it_has_company() {
    let world = World::new();
    let id = world.seed(&[("a", "same"), ("b", "same"), ("c", "other")]);
    world.server.with_switches(|switches| switches.sticky_duplicate_delete = true);
    world.patch_files(&id, &json!({"a": null})).expect_missing_files();
    world.patch_files(&id, &json!({"a": null})).expect_missing_files();
    world.patch_files(&id, &json!({"c": null})).expect(200);
    world.patch(&id, &json!({"description": "x", "files": {"a": null}})).expect(200);
    assert_eq!(world.texts(&id), texts(&[("b", "same")]));
}

/// Row 30.
#[test]
fn blank_content_deletes_or_is_refused() {
    let world = World::new();
    let id = world.seed(&[("a", "a"), ("b", "b")]);
    world.patch_files(&id, &json!({"new": {"content": ""}})).expect_missing_files();
    world.patch_files(&id, &json!({"a": {"content": ""}})).expect(200);
    assert_eq!(world.texts(&id), texts(&[("b", "b")]));
    world.patch_files(&id, &json!({"b": {"content": ""}})).expect_missing_files();
    assert_eq!(world.texts(&id), texts(&[("b", "b")]));
}

/// Row 30.
#[test]
fn blank_content_stays_as_an_empty_file_where_switched_so() {
    let world = World::new();
    let id = world.seed(&[("a", "a"), ("b", "b")]);
    world.server.with_switches(|switches| switches.blank_keeps = true);
    world.patch_files(&id, &json!({"a": {"content": ""}})).expect(200);
    assert_eq!(world.texts(&id), texts(&[("a", ""), ("b", "b")]));
}

/// Row 31.
#[test]
fn identical_content_makes_no_version_and_moves_updated_at_only_where_switched_so() {
    let world = World::new();
    let id = old(&world, &[("a", "a")]);
    let same = || world.patch_files(&id, &json!({"a": {"content": "a"}})).expect(200).json();
    let gist = same();
    assert_eq!((versions(&gist), &gist["updated_at"]), (1, &json!("2020-01-01T00:00:00Z")));
    world.server.with_switches(|switches| switches.identical_bumps = true);
    let gist = same();
    assert_eq!(versions(&gist), 1);
    assert_ne!(gist["updated_at"], "2020-01-01T00:00:00Z");
}

/// Row 32.
#[test]
fn a_description_moves_updated_at_and_no_history() {
    let world = World::new();
    let id = old(&world, &[("a", "a")]);
    let gist = world.patch(&id, &json!({"description": "new"})).expect(200).json();
    assert_eq!((versions(&gist), &gist["description"]), (1, &json!("new")));
    assert_ne!(gist["updated_at"], "2020-01-01T00:00:00Z");
    assert_eq!(gist["history"][0]["committed_at"], "2020-01-01T00:00:00Z");
}

/// Row 33.
#[test]
fn public_cannot_be_patched() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    let gist = world.patch(&id, &json!({"public": true, "description": "x"})).expect(200).json();
    assert_eq!(gist["public"], false);
    assert!(!world.server.public(&id));
    world.patch(&id, &json!({"public": true})).expect(200);
    assert!(!world.server.public(&id));
}

/// Row 34.
#[test]
fn conditions_on_a_write_are_refused() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    let path = format!("/gists/{id}");
    for (name, value) in [
        ("If-Match", "\"x\""),
        ("If-None-Match", "\"x\""),
        ("If-Modified-Since", "Sat, 01 Jan 2022 00:00:00 GMT"),
        ("If-Unmodified-Since", "Sat, 01 Jan 2022 00:00:00 GMT"),
    ] {
        let body = json!({"description": "x"}).to_string();
        let answer = world.octo("PATCH", &path).header(name, value).body(body).answer();
        assert!(answer.message().starts_with("Conditional request headers are not allowed"));
        answer.expect(400);
    }
    assert_eq!(world.server.description(&id).as_deref(), Some("a gist"));
}

/// Two updates of one gist at once: what the first and the second one got.
fn overlap(world: &World, id: &str) -> (Answer, Answer) {
    world.server.inject(Fault::once(FaultKind::Delay(Duration::from_secs(1))));
    thread::scope(|scope| {
        let first = scope.spawn(|| world.patch_files(id, &json!({"a": {"content": "1"}})));
        world.wait_until(|server| !server.requests().is_empty());
        let second = world.patch_files(id, &json!({"b": {"content": "2"}}));
        (first.join().expect("an answer"), second)
    })
}

/// Row 35.
#[test]
fn of_two_overlapping_updates_one_wins() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    let (first, second) = overlap(&world, &id);
    // The log shows a request before it is begun, so either may be the one that came first.
    let first_won = first.status == 200;
    let (won, lost) = if first_won { (first, second) } else { (second, first) };
    won.expect(200);
    assert_eq!(lost.expect(409).message(), "Gist cannot be updated.");
    let written = if first_won { texts(&[("a", "1")]) } else { texts(&[("a", "a"), ("b", "2")]) };
    assert_eq!(world.texts(&id), written);
    world.patch_files(&id, &json!({"b": {"content": "2"}})).expect(200);
}

/// Row 35.
#[test]
fn overlapping_updates_may_both_be_taken() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    world.server.with_switches(|switches| switches.last_write_wins = true);
    let (first, second) = overlap(&world, &id);
    first.expect(200);
    second.expect(200);
    assert_eq!(world.texts(&id), texts(&[("a", "1"), ("b", "2")]));
}

/// Row 35.
#[test]
fn updates_of_different_gists_do_not_overlap() {
    let world = World::new();
    let ids = [world.seed(&[("a", "a")]), world.seed(&[("a", "a")])];
    world.server.inject(Fault::once(FaultKind::Delay(Duration::from_secs(1))));
    thread::scope(|scope| {
        scope.spawn(|| world.patch(&ids[0], &json!({"description": "x"})).expect(200));
        world.wait_until(|server| !server.requests().is_empty());
        world.patch(&ids[1], &json!({"description": "x"})).expect(200);
    });
}

/// Row 36.
#[test]
fn updates_in_quick_succession_sometimes_conflict() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    world.server.with_switches(|s| s.rapid_conflict = Some(Duration::from_secs(60)));
    let patch = |text: &str| world.patch_files(&id, &json!({"a": {"content": text}}));
    patch("1").expect(200);
    assert_eq!(patch("2").expect(409).message(), "Gist cannot be updated.");
    patch("2").expect(200);
    assert_eq!(world.texts(&id), texts(&[("a", "2")]));
}

/// Row 37.
#[test]
fn an_update_too_large_is_a_conflict() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    let big = "x".repeat((8 << 20) + 1);
    let answer = world.patch_files(&id, &json!({"a": {"content": big}})).expect(409);
    assert_eq!(answer.message(), "Gist cannot be updated.");
    assert_eq!(world.texts(&id), texts(&[("a", "a")]));
}

/// Row 37.
#[test]
fn far_too_large_ends_at_the_gateway_with_or_without_effect() {
    for applies in [false, true] {
        let world = World::new();
        let id = world.seed(&[("a", "a")]);
        world.server.with_switches(|switches| {
            switches.gateway_ceiling = 1000;
            switches.gateway_applies = applies;
        });
        let big = "x".repeat(1000);
        world.patch_files(&id, &json!({"a": {"content": big}})).expect(502);
        assert_eq!(world.texts(&id)[0].1 == big, applies);
        world.post(&json!({"files": {"a": {"content": big}}})).expect(502);
        assert_eq!(world.server.gist_ids("octo").len(), 1 + usize::from(applies));
    }
}

/// Row 37.
#[test]
fn a_slow_request_ends_at_the_gateway_with_or_without_effect() {
    for applies in [false, true] {
        let world = World::new();
        let id = world.seed(&[("a", "a")]);
        world.server.with_switches(|switches| {
            switches.deadline = Some(Duration::from_millis(20));
            switches.gateway_applies = applies;
        });
        world.server.inject(Fault::once(FaultKind::Delay(Duration::from_secs(3600))));
        world.patch_files(&id, &json!({"a": {"content": "new"}})).expect(502);
        assert_eq!(world.texts(&id)[0].1 == "new", applies);
        world.patch_files(&id, &json!({"a": {"content": "new"}})).expect(200);
    }
}

/// Row 38.
#[test]
fn post_is_another_word_for_patch() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    let body = json!({"files": {"a": {"content": "new"}}}).to_string();
    let answer = world.octo("POST", &format!("/gists/{id}")).body(body).answer().expect(200);
    assert_eq!(versions(&answer.json()), 2);
    assert_eq!(world.texts(&id), texts(&[("a", "new")]));
}

#[test]
fn a_hostile_name_can_be_read_deleted_and_renamed() {
    let world = World::new();
    let names = ["a/b", "..", "c\0d", ".git"];
    let id = world.seed(&names.map(|name| (name, name)));
    assert_eq!(world.gist(&id)["files"]["c\0d"]["content"], "YwBk");
    world.patch_files(&id, &json!({"a/b": null, "..": {"filename": "dots"}})).expect(200);
    assert_eq!(world.texts(&id), texts(&[(".git", ".git"), ("c\0d", "c\0d"), ("dots", "..")]));
}
