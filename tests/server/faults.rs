//! Faults on order do what they say, as often as they say.

use std::thread;
use std::time::{Duration, Instant};

use gistfs::demo::{Fault, FaultKind, Origin, ServerOptions};
use serde_json::json;

use crate::world::{OCTO, Send as _, World};

/// Another file for the gist, as text.
fn change() -> String {
    json!({"files": {"b": {"content": "b"}}}).to_string()
}

#[test]
fn a_status_is_answered_as_ordered_and_nothing_is_done() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    world.server.inject(Fault::once(FaultKind::Status {
        status: 503,
        headers: vec![("retry-after".to_owned(), "7".to_owned())],
        body: "{\"message\":\"busy\"}".to_owned(),
    }));
    let answer = world.octo("PATCH", &format!("/gists/{id}")).body(change()).answer().expect(503);
    assert_eq!(answer.header("retry-after"), Some("7"));
    assert_eq!(answer.message(), "busy");
    assert_eq!(world.server.files(&id).unwrap().len(), 1);
    world.get(&format!("/gists/{id}")).expect(200);
}

#[test]
fn a_delay_makes_a_request_last() {
    let world = World::new();
    world.server.inject(Fault::once(FaultKind::Delay(Duration::from_millis(120))));
    let start = Instant::now();
    world.get("/gists").expect(200);
    assert!(start.elapsed() >= Duration::from_millis(120));
}

#[test]
fn latency_delays_every_answer() {
    let latency = Duration::from_millis(40);
    let world = World::with(ServerOptions { latency, ..ServerOptions::default() });
    let start = Instant::now();
    world.get("/gists").expect(200);
    world.get("/gists").expect(200);
    assert!(start.elapsed() >= latency * 3);
}

/// A connection takes a round trip to make: who makes one for every request pays for it.
#[test]
fn the_first_answer_of_a_connection_is_late_once_more() {
    let latency = Duration::from_millis(300);
    let world = World::with(ServerOptions { latency, ..ServerOptions::default() });
    let timed = |close: bool| {
        let start = Instant::now();
        let request = world.octo("GET", "/gists");
        let request = if close { request.header("connection", "close") } else { request };
        request.answer().expect(200);
        start.elapsed()
    };
    assert!(timed(false) >= latency * 2);
    let kept = (0..4).map(|_| timed(false)).min().unwrap();
    assert!((latency..latency * 2).contains(&kept), "{kept:?}");
    timed(true);
    assert!(timed(false) >= latency * 2);
}

#[test]
fn a_hanging_request_ends_when_the_client_gives_up() {
    let world = World::new();
    world.server.inject(Fault::once(FaultKind::Hang));
    let given_up = world.octo("GET", "/gists").timeout(Duration::from_secs(1)).send();
    assert!(given_up.unwrap_err().is_timeout());
    // Nothing is under way any more but the request that asks.
    world.wait_until(|server| {
        world.get("/gists").expect(200);
        server.requests().last().unwrap().in_flight == 1
    });
    assert_eq!(world.server.requests()[0].status, 0);
}

#[test]
fn a_hanging_request_ends_when_the_server_does() {
    let World { server, .. } = World::new();
    server.inject(Fault::once(FaultKind::Hang));
    let url = format!("{}/gists", server.api_url());
    let client = thread::spawn(move || {
        let http = reqwest::blocking::Client::builder().no_proxy().user_agent("x").build().unwrap();
        http.get(url).bearer_auth(OCTO).send().is_err()
    });
    while server.requests().is_empty() {
        thread::yield_now();
    }
    let start = Instant::now();
    drop(server);
    assert!(client.join().unwrap());
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_dropped_request_has_no_answer_and_no_effect() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    world.server.inject(Fault::once(FaultKind::Drop));
    let lost = world.octo("PATCH", &format!("/gists/{id}")).body(change()).send();
    assert!(!lost.unwrap_err().is_timeout());
    assert_eq!(world.server.files(&id).unwrap().len(), 1);
    assert_eq!(world.server.requests()[0].status, 0);
}

#[test]
fn a_lost_answer_has_its_effect() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    world.server.inject(Fault::once(FaultKind::LoseAnswer));
    let lost = world.octo("PATCH", &format!("/gists/{id}")).body(change()).send();
    assert!(!lost.unwrap_err().is_timeout());
    assert_eq!(world.server.files(&id).unwrap().len(), 2);
    assert_eq!(world.server.requests()[0].status, 0);
}

#[test]
fn a_cut_answer_has_its_head_and_half_of_its_body() {
    use std::io::Read as _;
    let world = World::new();
    let id = world.seed(&[("a", &"x".repeat(300_000))]);
    world.server.inject(Fault::once(FaultKind::CutShort));
    let mut answer = world.octo("GET", &format!("/gists/{id}")).send().unwrap();
    let length = answer.content_length().unwrap() as usize;
    let mut body = Vec::new();
    assert!(answer.read_to_end(&mut body).is_err());
    assert_eq!(body.len(), length / 2);
    world.get(&format!("/gists/{id}")).expect(200);
}

#[test]
fn a_login_page_is_200_and_no_json() {
    let world = World::new();
    world.server.inject(Fault::once(FaultKind::Html));
    let answer = world.get("/gists").expect(200);
    assert!(answer.header("content-type").unwrap().starts_with("text/html"));
    assert!(answer.body.starts_with(b"<!DOCTYPE html>"));
}

#[test]
fn the_primary_limit_says_when_it_ends() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    let reset_in = Duration::from_secs(90);
    world.server.inject(Fault::once(FaultKind::PrimaryLimit { reset_in }));
    let refused = world.octo("PATCH", &format!("/gists/{id}")).body(change()).answer().expect(403);
    assert_eq!(refused.header("x-ratelimit-remaining"), Some("0"));
    let reset: i64 = refused.header("x-ratelimit-reset").unwrap().parse().unwrap();
    let wait = reset - gistfs::model::Time::now().seconds();
    assert!((80..=91).contains(&wait), "{wait}");
    assert!(refused.message().starts_with("API rate limit exceeded"));
    assert_eq!(world.server.files(&id).unwrap().len(), 1);
}

#[test]
fn the_secondary_limit_may_say_when_to_come_back() {
    let world = World::new();
    for retry_after in [Some(Duration::from_secs(3)), None] {
        world.server.inject(Fault::once(FaultKind::SecondaryLimit { retry_after }));
        let refused = world.get("/gists").expect(403);
        assert_eq!(refused.header("retry-after"), retry_after.map(|_| "3"));
        assert!(refused.message().contains("secondary rate limit"));
        assert_ne!(refused.header("x-ratelimit-remaining"), Some("0"));
    }
}

#[test]
fn a_wrong_body_has_the_right_length_or_the_wrong_shape() {
    let world = World::new();
    let id = world.seed(&[("a", "text\n")]);
    let url = world.gist(&id)["files"]["a"]["raw_url"].as_str().unwrap().to_owned();
    let wrong = |path: &str| {
        world.server.inject(Fault::once(FaultKind::WrongBody));
        world.octo("GET", path).answer().expect(200)
    };
    let raw = wrong(&url).body;
    assert_eq!(raw.len(), 5);
    assert_ne!(raw, b"text\n");
    assert!(wrong(&format!("/gists/{id}")).json().is_array());
    assert!(wrong("/gists").json().is_object());
}

#[test]
fn a_fault_picks_its_requests_by_origin_method_and_path() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    let path = format!("/gists/{id}");
    let fault = |status| {
        Fault::once(FaultKind::Status { status, headers: Vec::new(), body: "{}".to_owned() })
    };
    world.server.inject(Fault { origin: Some(Origin::Raw), ..fault(501) });
    world.server.inject(Fault { method: Some("PATCH".to_owned()), ..fault(502) });
    world.server.inject(Fault { path: "page=2".to_owned(), ..fault(503) });
    world.get(&path).expect(200);
    world.patch(&path[7..], &json!({"description": "x"})).expect(502);
    world.get("/gists?page=2").expect(503);
    let url = world.gist(&id)["files"]["a"]["raw_url"].as_str().unwrap().to_owned();
    world.anonymous("GET", &url).answer().expect(501);
    world.anonymous("GET", &url).answer().expect(200);
}

#[test]
fn a_fault_skips_some_hits_some_and_is_over() {
    let world = World::new();
    let kind = FaultKind::Status { status: 500, headers: Vec::new(), body: String::new() };
    world.server.inject(Fault { skip: 1, times: 2, ..Fault::once(kind.clone()) });
    let statuses: Vec<u16> = (0..4).map(|_| world.get("/gists").status).collect();
    assert_eq!(statuses, [200, 500, 500, 200]);
    world.server.inject(Fault { times: 100, ..Fault::once(kind) });
    world.server.clear_faults();
    world.get("/gists").expect(200);
}

#[test]
fn the_log_tells_what_came_and_how_it_was_answered() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    world.patch(&id, &json!({"description": "x"})).expect(200);
    world.get("/api/v3/gists?per_page=1").expect(200);
    world.anonymous("GET", "/gists/none").answer().expect(404);
    let log = world.server.requests();
    let lines: Vec<_> = log.iter().map(|r| (&*r.method, &*r.path, &*r.query, r.status)).collect();
    let path = format!("/gists/{id}");
    assert_eq!(
        lines,
        [
            ("PATCH", &*path, "", 200),
            ("GET", "/gists", "per_page=1", 200),
            ("GET", "/gists/none", "", 404)
        ]
    );
    assert_eq!(log[0].json(), json!({"description": "x"}));
    assert!(log[0].has_token() && !log[2].has_token());
    assert_eq!(log[0].header("User-Agent"), Some("gistfs-test"));
    assert_eq!(log[0].in_flight, 1);
    world.server.forget_requests();
    assert!(world.server.requests().is_empty());
}

#[test]
fn the_log_counts_what_is_under_way_at_once() {
    let world = World::new();
    world.server.inject(Fault::once(FaultKind::Delay(Duration::from_secs(1))));
    thread::scope(|scope| {
        scope.spawn(|| world.get("/gists").expect(200));
        world.wait_until(|server| !server.requests().is_empty());
        world.get("/gists").expect(200);
    });
    let in_flight: Vec<usize> = world.server.requests().iter().map(|r| r.in_flight).collect();
    assert_eq!(in_flight, [1, 2]);
}

#[test]
fn a_reset_is_heard_of_and_has_no_effect() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    world.server.inject(Fault::once(FaultKind::Reset));
    let lost = world.octo("PATCH", &format!("/gists/{id}")).body(change()).send().unwrap_err();
    let words = format!("{lost:?}");
    assert!(words.contains("ConnectionReset"), "{words}");
    assert_eq!(world.server.files(&id).unwrap().len(), 1);
}

#[test]
fn an_answer_of_wrong_length_lacks_its_end_and_says_so_nowhere() {
    let world = World::new();
    let id = world.seed(&[("a", "text\n")]);
    let url = world.gist(&id)["files"]["a"]["raw_url"].as_str().unwrap().to_owned();
    world.server.inject(Fault::once(FaultKind::WrongLength));
    let raw = world.anonymous("GET", &url).answer().expect(200);
    assert_eq!(&raw.body[..], b"text");
    world.server.inject(Fault::once(FaultKind::WrongLength));
    let cut = world.patch(&id, &json!({"description": "x"})).expect(200).body;
    assert!(serde_json::from_slice::<serde_json::Value>(&cut).unwrap_err().is_eof());
    assert_eq!(world.server.description(&id).as_deref(), Some("x"));
}

#[test]
fn json_can_be_broken_stripped_or_full_of_nulls() {
    let world = World::new();
    let id = world.seed(&[("a", "text\n")]);
    let path = format!("/gists/{id}");
    let hit = |path: &str, kind| {
        world.server.inject(Fault::once(kind));
        world.octo("GET", path).answer().expect(200)
    };
    let broken = hit(&path, FaultKind::InvalidJson).body;
    assert!(serde_json::from_slice::<serde_json::Value>(&broken).unwrap_err().is_syntax());
    assert_eq!(hit(&path, FaultKind::MissingFields).json(), json!({ "id": id }));
    assert_eq!(hit("/gists", FaultKind::MissingFields).json(), json!([{ "id": id }]));
    let nulls = hit(&path, FaultKind::NullFields).json();
    let file = &nulls["files"]["a"];
    for null in [&nulls["owner"], &nulls["history"], &file["content"], &file["language"]] {
        assert!(null.is_null(), "{nulls}");
    }
    assert_eq!(file["size"], 5);
    assert_eq!(world.gist(&id)["files"]["a"]["content"], "text\n");
}
