//! `POST /gists` and `DELETE`.

use gistfs::model::BlobId;
use serde_json::json;

use crate::world::{Send as _, World, texts};

/// Row 7.
#[test]
fn a_creation_answers_with_the_whole_gist() {
    let world = World::new();
    let answer = world.post(&json!({"files": {"a.md": {"content": "# A\n"}}})).expect(201);
    let gist = answer.json();
    let id = gist["id"].as_str().unwrap();
    assert_eq!(answer.header("location"), Some(&*format!("{}/gists/{id}", world.server.api_url())));
    let etag = answer.header("etag").unwrap();
    assert!(etag.starts_with('"'), "{etag}");
    assert_eq!(id.len(), 32);
    assert_eq!(gist["public"], false);
    assert_eq!(gist["history"].as_array().unwrap().len(), 1);
    assert_eq!(gist["files"]["a.md"]["content"], "# A\n");
    assert_eq!(gist["files"]["a.md"]["language"], "Markdown");
    assert_eq!(gist["owner"]["login"], "octo");
    let read = world.get(&format!("/gists/{id}"));
    assert_eq!(read.header("etag"), Some(&*format!("W/{etag}")), "the opaque part is the same");
    assert_eq!(read.json(), gist);
}

/// Row 7.
#[test]
fn public_may_be_a_word() {
    let world = World::new();
    for (given, expected) in [(json!(true), true), (json!("true"), true), (json!("false"), false)] {
        let body = json!({"public": given, "description": "d", "files": {"a": {"content": "a"}}});
        let gist = world.post(&body).expect(201).json();
        assert_eq!(gist["public"], expected);
        assert_eq!(gist["description"], "d");
    }
}

/// Row 8.
#[test]
fn one_blank_file_spoils_the_whole_creation() {
    let world = World::new();
    for blank in ["", " ", " \t\n", "\r\n\r\n"] {
        let body = json!({"files": {"good": {"content": "x"}, "blank": {"content": blank}}});
        world.post(&body).expect_missing_files();
    }
    assert!(world.server.gist_ids("octo").is_empty());
}

/// Row 9.
#[test]
fn a_gist_without_files_is_refused() {
    let world = World::new();
    for body in [json!({"files": {}}), json!({"description": "d"}), json!({})] {
        world.post(&body).expect_missing_files();
    }
}

/// Row 10.
#[test]
fn null_where_text_belongs_fails_the_schema() {
    let world = World::new();
    let content = world.post(&json!({"files": {"a": {"content": null}}})).expect(422);
    assert_eq!(
        content.message(),
        "Invalid request.\n\nFor 'properties/content', nil is not a string."
    );
    assert!(content.json().get("errors").is_none());
    let body = json!({"description": null, "files": {"a": {"content": "a"}}});
    let description = world.post(&body).expect(422);
    assert_eq!(description.message(), "Invalid request.\n\nnil is not a string.");
    assert!(world.server.gist_ids("octo").is_empty());
}

/// Row 11.
#[test]
fn a_slash_in_a_name_is_refused() {
    let world = World::new();
    for name in ["a/b", "/", "..", "x\0y", &"x".repeat(256)] {
        world.post(&json!({"files": {name: {"content": "x"}}})).expect_missing_files();
    }
    let id = world.seed(&[("a", "a")]);
    world.patch_files(&id, &json!({"b/c": {"content": "x"}})).expect_missing_files();
    world.patch_files(&id, &json!({"a": {"filename": "b/c"}})).expect_missing_files();
    assert_eq!(world.texts(&id), texts(&[("a", "a")]));
}

/// Row 12.
#[test]
fn cr_lf_becomes_lf_and_a_lone_cr_stays() {
    let world = World::new();
    let answer = world.post(&json!({"files": {"a": {"content": "line\r\n"}}})).expect(201);
    let gist = answer.json();
    let file = &gist["files"]["a"];
    assert_eq!(file["content"], "line\n");
    assert_eq!(file["size"], 5);
    assert!(file["raw_url"].as_str().unwrap().contains(&BlobId::of(b"line\n").to_string()));
    let id = gist["id"].as_str().unwrap();
    let patched = world.patch_files(id, &json!({"a": {"content": "x\ry\r\nz"}})).expect(200);
    assert_eq!(patched.json()["files"]["a"]["content"], "x\ry\nz");
}

/// Row 13.
#[test]
fn broken_json_and_broken_utf_8_cannot_be_parsed() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    let bodies: [&[u8]; 2] = [b"{\"files\":", b"{\"files\":{\"a\":{\"content\":\"\xff\"}}}"];
    for body in bodies {
        for (method, path) in [("POST", "/gists".to_owned()), ("PATCH", format!("/gists/{id}"))] {
            let answer = world.octo(method, &path).body(body.to_vec()).answer().expect(400);
            assert_eq!(answer.message(), "Problems parsing JSON");
        }
    }
}

/// Row 14.
#[test]
fn a_body_that_is_no_object_is_refused() {
    let world = World::new();
    for body in ["[]", "1", "\"x\"", "null"] {
        let answer = world.octo("POST", "/gists").body(body).answer().expect(400);
        assert_eq!(answer.message(), "Body should be a JSON object");
    }
}

/// Row 49.
#[test]
fn a_deleted_gist_is_gone() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    let path = format!("/gists/{id}");
    let answer = world.octo("DELETE", &path).answer().expect(204);
    assert!(answer.body.is_empty());
    assert_eq!(world.get(&path).expect(404).message(), "Not Found");
    world.octo("DELETE", &path).answer().expect(404);
    assert_eq!(world.get("/gists").json(), json!([]));
    assert!(world.server.files(&id).is_none());
}
