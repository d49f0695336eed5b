//! Who gets in: tokens, scopes, versions, limits.

use std::time::Duration;

use gistfs::demo::{Account, Limits, ServerOptions};
use serde_json::json;

use crate::world::{Send as _, World, texts};

fn limited(limits: Limits) -> World {
    World::with(ServerOptions { limits, ..ServerOptions::default() })
}

/// Row 1.
#[test]
fn a_request_without_a_user_agent_is_refused() {
    let world = World::new();
    let answer = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    let answer = answer.get(format!("{}/gists", world.server.api_url())).send().unwrap();
    assert_eq!(answer.status(), 403);
    assert!(answer.text().unwrap().contains("User-Agent"));
}

/// Row 2.
#[test]
fn a_wrong_token_is_refused_even_for_what_needs_none() {
    let world = World::new();
    let id = world.seed(&[("a.txt", "a")]);
    for token in ["wrong", ""] {
        let answer = world.anonymous("GET", &format!("/gists/{id}")).bearer_auth(token).answer();
        assert_eq!(answer.message(), "Bad credentials");
        assert_eq!(answer.json()["status"], "401");
        answer.expect(401);
    }
    world.anonymous("GET", &format!("/gists/{id}")).answer().expect(200);
}

/// Row 3.
#[test]
fn nobody_may_write_without_a_token() {
    let world = World::new();
    let id = world.seed(&[("a.txt", "a")]);
    for (method, path) in [
        ("POST", "/gists"),
        ("PATCH", &format!("/gists/{id}")),
        ("DELETE", &format!("/gists/{id}")),
    ] {
        let answer = world.anonymous(method, path).body("{}").answer().expect(401);
        assert_eq!(answer.message(), "Requires authentication");
    }
    assert!(world.server.files(&id).is_some());
}

/// Row 4.
#[test]
fn a_token_without_the_scope_finds_nothing_to_write() {
    let world = World::new();
    let id = world.seed(&[("a.txt", "a")]);
    for (method, path) in [
        ("POST", "/gists"),
        ("PATCH", &format!("/gists/{id}")),
        ("DELETE", &format!("/gists/{id}")),
    ] {
        let body = json!({"files": {"b.txt": {"content": "b"}}}).to_string();
        let request = world.anonymous(method, path).bearer_auth("noscope-token").body(body);
        let answer = request.answer().expect(404);
        assert_eq!(answer.message(), "Not Found");
        assert_eq!(answer.header("x-oauth-scopes"), Some(""));
        assert_eq!(answer.header("x-accepted-oauth-scopes"), Some(""));
    }
    assert_eq!(world.get("/gists").header("x-oauth-scopes"), Some("gist"));
}

/// Row 5.
#[test]
fn somebody_elses_gist_is_not_found_when_written() {
    let world = World::new();
    let id = world.seed(&[("a.txt", "a")]);
    let path = format!("/gists/{id}");
    let body = json!({"files": {"a.txt": {"content": "b"}}}).to_string();
    world.hubot("PATCH", &path).body(body).answer().expect(404);
    world.hubot("DELETE", &path).answer().expect(404);
    world.hubot("GET", &path).answer().expect(200);
}

/// Row 6.
#[test]
fn a_fine_grained_token_without_the_permission_is_told_so() {
    let mut options = ServerOptions::default();
    options.accounts.push(Account {
        login: "octo".to_owned(),
        token: "writing-token".to_owned(),
        scopes: None,
        fine_grained_write: true,
    });
    let world = World::with(options);
    let body = json!({"files": {"a.txt": {"content": "a"}}}).to_string();
    let post = |token: &str| {
        world.anonymous("POST", "/gists").bearer_auth(token).body(body.clone()).answer()
    };
    let answer = post("finegrained-token").expect(403);
    assert_eq!(answer.message(), "Resource not accessible by personal access token");
    assert_eq!(answer.header("x-oauth-scopes"), None);
    post("writing-token").expect(201);
}

/// Row 43.
#[test]
fn every_answer_tells_the_quota_and_at_its_end_all_is_refused() {
    for status in [403, 429] {
        let world = limited(Limits { primary: Some(2), status, ..Limits::default() });
        let first = world.get("/gists").expect(200);
        assert_eq!(first.header("x-ratelimit-limit"), Some("2"));
        assert_eq!(first.header("x-ratelimit-remaining"), Some("1"));
        assert_eq!(first.header("x-ratelimit-used"), Some("1"));
        assert_eq!(first.header("x-ratelimit-resource"), Some("core"));
        assert!(first.header("x-ratelimit-reset").is_some());
        world.get("/gists/none").expect(404);
        let refused = world.get("/gists").expect(status);
        assert_eq!(refused.header("x-ratelimit-remaining"), Some("0"));
        assert!(refused.message().starts_with("API rate limit exceeded for"));
        let free = world.get("/rate_limit").expect(200).json();
        assert_eq!(free["resources"]["core"]["remaining"], 0);
        world.hubot("GET", "/gists").answer().expect(200);
    }
}

/// Row 43.
#[test]
fn the_quota_comes_back_with_the_next_hour() {
    let hour = Duration::from_millis(300);
    let world = limited(Limits { primary: Some(1), hour, ..Limits::default() });
    world.get("/gists").expect(200);
    world.wait_until(|_| world.get("/gists").status == 200);
}

/// Row 43.
#[test]
fn nobody_shares_the_small_quota_with_all_other_nobodies() {
    let world = limited(Limits { anonymous: Some(1), ..Limits::default() });
    let first = world.anonymous("GET", "/gists/public").answer().expect(200);
    assert_eq!(first.header("x-ratelimit-limit"), Some("1"));
    let refused = world.anonymous("GET", "/gists/public").answer().expect(403);
    assert!(refused.message().contains("Authenticated requests get a higher rate limit"));
}

/// Row 43.
#[test]
fn creating_too_much_in_a_minute_is_blocked_with_and_without_retry_after() {
    for retry_after in [true, false] {
        let content_per_minute = Some(2);
        let world = limited(Limits { content_per_minute, retry_after, ..Limits::default() });
        let id = world.seed(&[("a.txt", "a")]);
        world.patch(&id, &json!({"description": "1"})).expect(200);
        world.patch(&id, &json!({"description": "2"})).expect(200);
        let refused = world.patch(&id, &json!({"description": "3"})).expect(403);
        assert!(refused.message().contains("secondary rate limit"));
        assert_eq!(refused.header("retry-after").is_some(), retry_after);
        assert_ne!(refused.header("x-ratelimit-remaining"), Some("0"));
        assert_eq!(world.server.description(&id).as_deref(), Some("2"));
        world.get("/gists").expect(200);
    }
}

/// Row 43.
#[test]
fn creating_too_much_in_an_hour_is_blocked_too() {
    let world =
        limited(Limits { content_per_hour: Some(1), minute: Duration::ZERO, ..Limits::default() });
    let id = world.seed(&[("a.txt", "a")]);
    world.patch(&id, &json!({"description": "1"})).expect(200);
    let refused = world.patch(&id, &json!({"description": "2"})).expect(403);
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() > 3000);
}

/// Row 43.
#[test]
fn a_write_costs_five_points_and_a_read_one() {
    let world = limited(Limits { points_per_minute: Some(11), ..Limits::default() });
    let id = world.seed(&[("a.txt", "a")]);
    world.patch(&id, &json!({"description": "1"})).expect(200);
    world.patch(&id, &json!({"description": "2"})).expect(200);
    world.get("/gists").expect(200);
    let refused = world.get("/gists").expect(403);
    assert!(refused.message().starts_with("You have exceeded a secondary rate limit. Please wait"));
}

#[test]
fn an_enterprise_server_speaks_of_no_limits() {
    let world = World::with(ServerOptions { enterprise: true, ..ServerOptions::default() });
    let answer = world.get("/gists").expect(200);
    assert_eq!(answer.header("x-ratelimit-limit"), None);
    world.get("/rate_limit").expect(404);
}

/// Row 50.
#[test]
fn an_unknown_version_is_400_and_a_trailing_slash_404() {
    let world = World::new();
    let version = |version: &str| {
        world.octo("GET", "/gists").header("X-GitHub-Api-Version", version).answer()
    };
    version("2022-11-28").expect(200);
    version("2026-03-10").expect(200);
    version("1999-01-01").expect(400);
    world.get("/gists/").expect(404);
    world.get("/user/").expect(404);
}

#[test]
fn the_token_tells_the_user() {
    let world = World::new();
    assert_eq!(world.get("/user").expect(200).json()["login"], "octo");
    assert_eq!(world.hubot("GET", "/user").answer().json()["login"], "hubot");
    world.anonymous("GET", "/user").answer().expect(401);
    let basic = world.anonymous("GET", "/user").basic_auth("x", Some("demo-token")).answer();
    assert_eq!(basic.json()["login"], "octo");
    assert_eq!(world.get("/api/v3/user").expect(200).json()["login"], "octo");
}

#[test]
fn nothing_a_client_sends_breaks_the_server() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    let raw = world.server.raw_url();
    for path in [
        "/gists?page=18446744073709551615&per_page=18446744073709551615",
        "/gists?page=-1&per_page=0&since=&&=&page",
        "/gists/%ff%00%2e%2e%2f",
        "/gists/..%2f..%2fetc",
        "//gists",
        "/api/v3",
        "/api/v33/gists",
        &format!("/gists/{id}/%ff"),
        &format!("/gists/{id}/comments/99999999999999999999"),
        &format!("{raw}/"),
        &format!("{raw}/octo/{id}/raw"),
        &format!("{raw}/octo/{id}/raw/%ff%00/%ff"),
        &format!("{raw}/.git/info/refs"),
        &format!("{raw}/{id}.git/"),
        &format!("{raw}/{id}.git/../config"),
        &format!("{raw}/{id}.git/info/refs?service=%00"),
    ] {
        for method in ["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS", "BREW"] {
            let status = world.octo(method, path).body("{\"files\":[0]}").answer().status;
            assert!(status < 500, "{method} {path}: {status}");
        }
    }
    for body in [
        "{\"files\":5}",
        "{\"files\":{\"a\":5}}",
        "{\"files\":{\"\":{\"content\":\"x\"}}}",
        "{\"files\":{\"a\":{\"content\":[]}}}",
        "{\"public\":{}}",
        "[[[[",
        "{\"description\":1}",
    ] {
        for (method, path) in [("POST", "/gists".to_owned()), ("PATCH", format!("/gists/{id}"))] {
            let status = world.octo(method, &path).body(body).answer().status;
            assert!((200..500).contains(&status), "{method} {body}: {status}");
        }
    }
    for value in ["Basic", "Basic !!!", "Bearer", "x", "token  ", "Basic eA=="] {
        let request = world.anonymous("GET", "/gists").header("Authorization", value);
        request.answer().expect(401);
    }
    assert_eq!(world.texts(&id), texts(&[("a", "a")]));
}

#[test]
fn an_enterprise_server_has_its_api_below_api_v3_only() {
    let world = World::with(ServerOptions { enterprise: true, ..ServerOptions::default() });
    assert!(world.server.api_url().ends_with("/api/v3"));
    world.seed(&[("a", "1")]);
    let listed = world.get("/gists").expect(200).json();
    assert!(listed[0]["url"].as_str().expect("an address").starts_with(&world.server.api_url()));
    let bare = world.server.api_url().replace("/api/v3", "/gists");
    let page = world.octo("GET", &bare).answer().expect(404);
    assert!(page.header("content-type").expect("a type").starts_with("text/html"));
}

#[test]
fn a_server_may_know_no_version_of_the_api() {
    let world = World::new();
    world.server.with_switches(|switches| switches.no_versions = true);
    let named = world.octo("GET", "/gists").header("X-GitHub-Api-Version", "2022-11-28").answer();
    assert!(named.expect(400).message().contains("version"));
    world.get("/gists").expect(200);
}
