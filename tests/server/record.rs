//! The record of what gistfs asks, which GitHub's own description of its API is held against.

use std::path::Path;

use gistfs::demo::ServerOptions;
use serde_json::{Value, json};

use crate::world::{OCTO, Send as _, World};

fn recorded(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("a record");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Two servers write one record; the token is not in it, nor is what anybody else asks.
#[test]
fn the_record_has_what_gistfs_asks_of_every_server_and_no_token() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("record");
    let options = || ServerOptions { record: Some(path.clone()), ..ServerOptions::default() };
    let (first, second) = (World::with(options()), World::with(options()));
    let id = first.seed(&[("a", "1")]);
    let long = "x".repeat(1 << 20);
    let files = json!({"files": {"a": {"content": long}}}).to_string();
    let change = first.octo("PATCH", &format!("/api/v3/gists/{id}"));
    change.header("user-agent", "gistfs/0").body(files.clone()).answer().expect(200);
    let list = second.octo("GET", "/gists?per_page=100");
    list.header("user-agent", "gistfs/0").answer().expect(200);
    first.octo("GET", "/gists").answer().expect(200);
    let raw = format!("{}/octo/{id}/raw/a", first.server.raw_url());
    first.anonymous("GET", &raw).header("user-agent", "gistfs/0").answer().expect(200);
    let odd = first.octo("POST", "/gists").header("user-agent", "gistfs/0");
    odd.body(&b"\xff"[..]).answer().expect(400);

    let entries = recorded(&path);
    let field = |name: &str| -> Vec<&Value> { entries.iter().map(|entry| &entry[name]).collect() };
    assert_eq!(field("method"), ["PATCH", "GET", "POST"]);
    assert_eq!(field("path"), [&format!("/api/v3/gists/{id}"), "/gists", "/gists"]);
    assert_eq!(field("query"), ["", "per_page=100", ""]);
    assert_eq!(field("body"), [&json!(files), &json!(""), &Value::Null]);
    assert_eq!(field("body_base64"), [&Value::Null, &Value::Null, &json!("/w==")]);
    let headers = entries[1]["headers"].as_array().unwrap();
    assert!(headers.contains(&json!(["authorization", "Bearer"])), "{headers:?}");
    assert!(!std::fs::read_to_string(&path).unwrap().contains(OCTO));
}
