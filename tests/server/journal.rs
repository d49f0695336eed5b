//! The log of requests that others measure by.

use std::path::Path;

use gistfs::demo::{Fault, FaultKind, ServerOptions};
use serde_json::{Value, json};

use crate::desk::{Desk, remote};
use crate::world::{OCTO, Send as _, World};

/// The lines, once there are so many.
#[track_caller]
fn lines(world: &World, path: &Path, count: usize) -> Vec<Value> {
    let read = || std::fs::read_to_string(path).expect("a log");
    world.wait_until(|_| read().lines().count() >= count);
    read().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn logged() -> (World, tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("log");
    let journal = Some(path.clone());
    (World::with(ServerOptions { journal, ..ServerOptions::default() }), directory, path)
}

#[test]
fn every_request_is_a_line_with_its_times_and_its_outcome() {
    let (world, _directory, path) = logged();
    let id = world.seed(&[("a", "12345")]);
    let url = world.gist(&id)["files"]["a"]["raw_url"].as_str().unwrap().to_owned();
    world.anonymous("GET", &url).header("accept-encoding", "identity").answer().expect(200);
    world.octo("GET", "/api/v3/gists?per_page=2").answer().expect(200);
    world.octo("DELETE", "/gists/none").answer().expect(404);
    world.server.inject(Fault::once(FaultKind::Drop));
    world.octo("GET", "/gists").send().unwrap_err();

    let lines = lines(&world, &path, 5);
    let field = |name: &str| -> Vec<&Value> { lines.iter().map(|line| &line[name]).collect() };
    assert_eq!(field("method"), ["GET", "GET", "GET", "DELETE", "GET"]);
    assert_eq!(field("origin"), ["api", "raw", "api", "api", "api"]);
    assert_eq!(field("status"), [&json!(200), &json!(200), &json!(200), &json!(404), &json!(0)]);
    assert_eq!((&lines[1]["bytes"], &lines[4]["bytes"]), (&json!(5), &json!(0)));
    let path = url.strip_prefix(&world.server.raw_url()).unwrap();
    assert_eq!((&lines[1]["path"], &lines[3]["path"]), (&json!(path), &json!("/gists/none")));
    assert_eq!(lines[2]["path"], "/api/v3/gists?per_page=2");
    let mut last = 0.0;
    for line in &lines {
        let (begin, end) = (line["begin"].as_f64().unwrap(), line["end"].as_f64().unwrap());
        assert!(begin > last && end >= begin, "{line}");
        last = begin;
    }
    assert!(!lines.iter().any(|line| line.to_string().contains(OCTO)));
}

/// What git says comes piece by piece; the line comes when all of it is sent.
#[test]
fn a_clone_is_logged_with_all_its_bytes() {
    let (world, _directory, path) = logged();
    let noise: String =
        (0..60_000_u32).map(|n| format!("{:x}", n.wrapping_mul(0x9e37_79b9))).collect();
    let id = world.seed(&[("a", &noise)]);
    Desk::new().must(&["clone", "-q", &remote(&world, &id, OCTO), "clone"]);
    // What there is, which of it, and its bytes.
    let lines = lines(&world, &path, 3);
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines.iter().all(|line| line["origin"] == "git"), "{lines:?}");
    let bytes: Vec<u64> = lines.iter().map(|line| line["bytes"].as_u64().unwrap()).collect();
    assert!(bytes.iter().sum::<u64>() > 100_000, "{lines:?}");
}
