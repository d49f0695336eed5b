//! Stars, forks and comments.

use gistfs::demo::Seed;
use gistfs::model::Time;
use serde_json::json;

use crate::world::{Send as _, World, texts};

/// Row 40.
#[test]
fn a_star_is_set_seen_and_taken_back() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    let star = format!("/gists/{id}/star");
    let unstarred = world.get(&star).expect(404);
    assert_eq!(unstarred.json(), json!({}));
    world.octo("PUT", &star).answer().expect(204);
    world.octo("PUT", &star).answer().expect(204);
    world.get(&star).expect(204);
    assert_eq!(world.get("/gists/starred").json()[0]["id"], *id);
    assert_eq!(world.hubot("GET", "/gists/starred").answer().json(), json!([]));
    world.octo("DELETE", &star).answer().expect(204);
    world.get(&star).expect(404);
    assert_eq!(world.get("/gists/starred").json(), json!([]));
}

/// Row 41.
#[test]
fn ones_own_gist_cannot_be_forked() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    let answer = world.octo("POST", &format!("/gists/{id}/forks")).answer().expect(422);
    assert!(answer.message().to_lowercase().contains("cannot fork your own gist"));
}

/// Row 41.
#[test]
fn a_fork_is_a_copy_and_there_is_one_of_it() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    world.server.commit(&id, &[("a", Some(b"b"))]);
    let path = format!("/gists/{id}/forks");
    let answer = world.hubot("POST", &path).answer().expect(201);
    let fork = answer.json();
    let fork_id = fork["id"].as_str().unwrap();
    assert!(answer.header("location").unwrap().ends_with(fork_id));
    for key in ["history", "forks"] {
        assert!(fork.get(key).is_none(), "{key}");
    }
    assert!(fork["files"]["a"].get("content").is_none());
    assert_eq!(fork["owner"]["login"], "hubot");
    assert_eq!(world.texts(fork_id), texts(&[("a", "b")]));
    assert_eq!(world.server.commits(fork_id), world.server.commits(&id));
    assert_eq!(world.gist(fork_id)["fork_of"]["id"], *id);
    assert_eq!(world.gist(&id)["forks"][0]["id"], *fork_id);
    let listed = world.get(&path).json();
    assert_eq!((&listed[0]["id"], &listed[0]["files"]), (&json!(fork_id), &json!({})));
    assert!(listed[0].get("truncated").is_none());
    let again = world.hubot("POST", &path).answer().expect(201).json();
    assert_eq!(again["id"], *fork_id);
    let change = json!({"files": {"a": {"content": "c"}}}).to_string();
    world.hubot("PATCH", &format!("/gists/{fork_id}")).body(change).answer().expect(200);
    assert_eq!(world.texts(&id), texts(&[("a", "b")]));
}

/// Row 42.
#[test]
fn stars_forks_and_comments_move_updated_at_and_no_version() {
    for bumps in [true, false] {
        let world = World::new();
        world.server.with_switches(|switches| switches.social_bumps = bumps);
        let created_at = Time::parse("2020-01-01T00:00:00Z");
        let text = json!({"body": "nice"}).to_string();
        for (method, path) in [("PUT", "star"), ("POST", "forks"), ("POST", "comments")] {
            let seed = Seed { created_at, ..Seed::new("old", &[("a", "a")]) };
            let id = world.server.seed("octo", seed);
            let request = world.hubot(method, &format!("/gists/{id}/{path}"));
            assert!(request.body(text.clone()).answer().status < 300);
            assert_eq!(world.server.updated_at(&id) != created_at, bumps, "{path}");
            assert_eq!(world.server.commits(&id).len(), 1);
        }
    }
}

#[test]
fn a_comment_is_made_changed_and_removed() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    let path = format!("/gists/{id}/comments");
    let body = |text: &str| json!({"body": text}).to_string();
    let made = world.hubot("POST", &path).body(body("first")).answer().expect(201);
    let comment = made.json();
    let one = format!("{path}/{}", comment["id"]);
    assert!(made.header("location").unwrap().ends_with(&one));
    assert_eq!(
        (&comment["body"], &comment["author_association"]),
        (&json!("first"), &json!("NONE"))
    );
    assert_eq!(world.get(&one).expect(200).json(), comment);
    assert_eq!(world.get(&path).json(), json!([comment]));
    assert_eq!(world.gist(&id)["comments"], 1);
    world.hubot("PATCH", &one).body(body("second")).answer().expect(200);
    assert_eq!(world.get(&one).json()["body"], "second");
    world.octo("POST", &path).body(body(" ")).answer().expect(422);
    world.octo("POST", &path).body(body(&"x".repeat(65_536))).answer().expect(422);
    world.anonymous("POST", &path).body(body("x")).answer().expect(401);
    world.hubot("DELETE", &one).answer().expect(204);
    world.get(&one).expect(404);
    let next = world.hubot("POST", &path).body(body("third")).answer().expect(201).json();
    assert_ne!(next["id"], comment["id"], "a number comes once only");
}
