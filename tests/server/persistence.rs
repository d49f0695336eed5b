//! A data directory outlives its server.

use std::path::Path;

use gistfs::demo::{Limits, Server, ServerOptions};
use serde_json::json;

use crate::world::{Send as _, World, texts};

fn world(data: &Path) -> World {
    let data = Some(data.to_owned());
    World::with(ServerOptions { data, limits: Limits::none(), ..ServerOptions::default() })
}

#[test]
fn everything_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let first = world(directory.path());
    let id = first.seed(&[("a", "1"), ("odd/\0", "x")]);
    let deleted = first.seed(&[("a", "1")]);
    first.patch_files(&id, &json!({"a": {"content": "2"}})).expect(200);
    first.patch(&id, &json!({"description": "new"})).expect(200);
    first.hubot("PUT", &format!("/gists/{id}/star")).answer().expect(204);
    let fork = first.hubot("POST", &format!("/gists/{id}/forks")).answer().expect(201).json();
    let comment = json!({"body": "nice"}).to_string();
    first.hubot("POST", &format!("/gists/{id}/comments")).body(comment).answer().expect(201);
    first.octo("DELETE", &format!("/gists/{deleted}")).answer().expect(204);
    let commits = first.server.commits(&id);
    let newer = first.seed(&[("a", "1")]);
    drop(first);

    let second = world(directory.path());
    assert_eq!(second.server.gist_ids("octo"), [newer, id.clone()]);
    assert_eq!(second.texts(&id), texts(&[("a", "2"), ("odd/\0", "x")]));
    assert_eq!(second.server.description(&id).as_deref(), Some("new"));
    assert_eq!(second.server.commits(&id), commits);
    assert_eq!(second.hubot("GET", "/gists/starred").answer().json()[0]["id"], *id);
    assert_eq!(second.gist(&id)["forks"][0]["id"], fork["id"]);
    assert_eq!(second.get(&format!("/gists/{id}/comments")).json()[0]["body"], "nice");
    second.patch_files(&id, &json!({"a": {"content": "3"}})).expect(200);
    assert_eq!(second.server.commits(&id).len(), 3);
}

/// The server died after the commit and before it wrote its index.
#[test]
fn a_commit_the_index_missed_is_found_at_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let first = world(directory.path());
    let id = first.seed(&[("a", "1")]);
    let index = directory.path().join("gists").join(format!("{id}.json"));
    let before = std::fs::read(&index).unwrap();
    first.server.commit(&id, &[("a", Some(b"2")), ("b", Some(b"b"))]);
    let commits = first.server.commits(&id);
    drop(first);
    std::fs::write(&index, before).unwrap();

    let second = world(directory.path());
    assert_eq!(second.texts(&id), texts(&[("a", "2"), ("b", "b")]));
    assert_eq!(second.server.commits(&id), commits);
}

#[test]
fn a_broken_index_costs_one_gist_only() {
    let directory = tempfile::tempdir().unwrap();
    let first = world(directory.path());
    let broken = first.seed(&[("a", "1")]);
    let whole = first.seed(&[("a", "1")]);
    drop(first);
    std::fs::write(directory.path().join("gists").join(format!("{broken}.json")), "{").unwrap();
    assert_eq!(world(directory.path()).server.gist_ids("octo"), [whole]);
}

#[test]
fn the_port_is_free_after_the_end_and_the_temporary_directory_gone() {
    let first = World::new();
    let port: u16 = first.server.api_url().rsplit(':').next().unwrap().parse().unwrap();
    first.get("/gists").expect(200);
    let directory = first.server.directory().to_owned();
    assert!(directory.join("gists").is_dir());
    drop(first);
    assert!(!directory.exists());
    let again = World::with(ServerOptions { port, ..ServerOptions::default() });
    assert!(again.server.api_url().ends_with(&format!(":{port}")));
    again.get("/gists").expect(200);
}

#[test]
fn a_directory_has_one_server_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let first = world(directory.path());
    let data = Some(directory.path().to_owned());
    let second = || Server::start(ServerOptions { data: data.clone(), ..ServerOptions::default() });
    assert!(second().err().unwrap().to_string().contains("in use by another server"));
    drop(first);
    second().unwrap();
}

#[test]
fn without_limits_there_are_no_headers_about_them() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(world(directory.path()).get("/gists").header("x-ratelimit-limit"), None);
}

#[test]
fn the_sample_gists_are_worth_mounting_and_are_made_once() {
    let world = World::new();
    gistfs::demo::samples::fill(&world.server).unwrap();
    let list = world.get("/gists?per_page=100").json();
    let gists = list.as_array().unwrap();
    let described = |text: &str| gists.iter().filter(|gist| gist["description"] == text).count();
    assert_eq!(described("TODO"), 2);
    assert_eq!(gists.iter().filter(|gist| gist["description"].is_null()).count(), 1);
    assert!(gists.iter().any(|gist| gist["files"]["access.log"]["size"].as_u64() > Some(1 << 20)));
    let ids = world.server.gist_ids("octo");
    assert!(ids.iter().any(|id| world.server.commits(id).len() == 3));
    assert_eq!(world.get("/users/hubot/gists").json().as_array().unwrap().len(), 1);
    assert_eq!(world.get("/gists/starred").json().as_array().unwrap().len(), 1);
    let stars = world.hubot("GET", "/gists/starred").answer().json();
    assert_eq!(stars.as_array().unwrap().len(), 2);
    gistfs::demo::samples::fill(&world.server).unwrap();
    assert_eq!(world.server.gist_ids("octo"), ids);
}
