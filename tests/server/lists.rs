//! Lists: what is in them, in which order, and how their pages hang together.

use gistfs::demo::Seed;
use gistfs::model::{BlobId, Time};
use serde_json::{Value, json};

use crate::world::{Answer, Send as _, World};

fn ids(answer: &Answer) -> Vec<String> {
    let list = answer.json();
    let gists = list.as_array().expect("a list").iter();
    gists.map(|gist| gist["id"].as_str().expect("an id").to_owned()).collect()
}

/// The target of a relation in a `Link` header.
fn link(answer: &Answer, rel: &str) -> Option<String> {
    let links = answer.header("link")?.split(", ");
    let wanted = format!("; rel=\"{rel}\"");
    let mut found = links.filter_map(|link| link.strip_suffix(&wanted));
    found.next().map(|link| link.trim_matches(['<', '>']).to_owned())
}

fn dated(world: &World, login: &str, public: bool, date: &str) -> String {
    let created_at = Some(Time::parse(date).expect("a date"));
    world.server.seed(login, Seed { created_at, public, ..Seed::new(date, &[("a.md", "a")]) })
}

/// Row 20.
#[test]
fn a_list_has_no_contents_but_blob_ids_and_is_sorted_by_creation() {
    let world = World::new();
    let middle = dated(&world, "octo", false, "2021-01-01T00:00:00Z");
    let oldest = dated(&world, "octo", false, "2020-01-01T00:00:00Z");
    let newest = dated(&world, "octo", true, "2022-01-01T00:00:00Z");
    dated(&world, "hubot", true, "2023-01-01T00:00:00Z");
    world.server.commit(&oldest, &[("a.md", Some(b"changed"))]);
    let answer = world.get("/gists").expect(200);
    assert_eq!(ids(&answer), [newest, middle, oldest.clone()]);
    assert!(answer.header("etag").is_some());
    assert_eq!(answer.header("last-modified"), None);
    let list = answer.json();
    for key in ["history", "forks", "fork_of"] {
        assert!(list[2].get(key).is_none(), "{key}");
    }
    assert_eq!(list[2]["truncated"], false);
    let blob = BlobId::of(b"changed");
    assert_eq!(
        list[2]["files"]["a.md"],
        json!({
            "filename": "a.md", "type": "text/markdown", "language": "Markdown", "size": 7,
            "raw_url": format!("{}/octo/{oldest}/raw/{blob}/a.md", world.server.raw_url()),
        })
    );
}

/// Row 16, for lists.
#[test]
fn an_unchanged_list_is_304() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    let etag = world.get("/gists").header("etag").unwrap().to_owned();
    let again = || world.octo("GET", "/gists").header("If-None-Match", &etag).answer();
    assert_eq!(again().expect(304).header("x-ratelimit-used"), Some("1"));
    world.server.describe(&id, "new");
    again().expect(200);
}

/// Row 21.
#[test]
fn pages_hang_together_by_links() {
    let world = World::new();
    for _ in 0..5 {
        world.seed(&[("a", "a")]);
    }
    let api = world.server.api_url();
    let first = world.get("/gists?per_page=2").expect(200);
    assert_eq!(link(&first, "next"), Some(format!("{api}/gists?per_page=2&page=2")));
    assert_eq!(link(&first, "last"), Some(format!("{api}/gists?per_page=2&page=3")));
    assert_eq!((link(&first, "prev"), link(&first, "first")), (None, None));
    let second = world.get("/gists?per_page=2&page=2");
    assert_eq!(link(&second, "prev"), Some(format!("{api}/gists?per_page=2&page=1")));
    assert_eq!(link(&second, "first"), Some(format!("{api}/gists?per_page=2&page=1")));
    let third = world.octo("GET", &link(&second, "next").unwrap()).answer();
    assert_eq!((link(&third, "next"), link(&third, "last")), (None, None));
    let all = [ids(&first), ids(&second), ids(&third)].concat();
    assert_eq!(all, world.server.gist_ids("octo"));
    let enterprise = world.get("/api/v3/gists?per_page=2");
    assert_eq!(link(&enterprise, "next"), Some(format!("{api}/api/v3/gists?per_page=2&page=2")));
    assert_eq!(world.get("/gists?page=9").json(), json!([]));
    assert_eq!(world.get("/gists").header("link"), None);
}

/// Row 21.
#[test]
fn a_page_has_thirty_gists_and_never_more_than_a_hundred() {
    let world = World::new();
    for _ in 0..101 {
        world.seed(&[("a", "a")]);
    }
    assert_eq!(ids(&world.get("/gists")).len(), 30);
    assert_eq!(ids(&world.get("/gists?per_page=100")).len(), 100);
    let answer = world.get("/gists?per_page=1000");
    assert_eq!(ids(&answer).len(), 100);
    assert!(link(&answer, "next").is_some());
}

/// Row 21.
#[test]
fn the_links_of_a_users_list_go_by_number() {
    let world = World::new();
    let public = [
        dated(&world, "hubot", true, "2020-01-01T00:00:00Z"),
        dated(&world, "hubot", true, "2021-01-01T00:00:00Z"),
    ];
    dated(&world, "hubot", false, "2022-01-01T00:00:00Z");
    let first = world.get("/users/hubot/gists?per_page=1").expect(200);
    assert_eq!(ids(&first), public[1..], "secret gists are not listed");
    let number = first.json()[0]["owner"]["id"].clone();
    let next = link(&first, "next").unwrap();
    let expected = format!("{}/user/{number}/gists?per_page=1&page=2", world.server.api_url());
    assert_eq!(next, expected);
    assert_eq!(ids(&world.octo("GET", &next).answer().expect(200)), public[..1]);
    world.get("/users/nobody/gists").expect(404);
    world.get("/user/1/gists").expect(404);
}

/// Row 22.
#[test]
fn since_asks_for_what_was_updated_later() {
    let world = World::new();
    let changed = dated(&world, "octo", false, "2020-01-01T00:00:00Z");
    let second = dated(&world, "octo", false, "2021-01-01T00:00:00Z");
    let since = |since: &str| ids(&world.get(&format!("/gists?since={since}")).expect(200));
    assert_eq!(since("2020-12-31T23:59:59Z"), std::slice::from_ref(&second));
    assert!(since("2021-01-01T00:00:00Z").is_empty(), "later means later");
    world.server.commit(&changed, &[("a.md", Some(b"new"))]);
    assert_eq!(since("2021-01-01T00%3A00%3A00Z"), [changed]);
    world.get("/gists?since=yesterday").expect(422);
}

#[test]
fn nobodys_own_list_is_everybodys_public_one() {
    let world = World::new();
    let public = [
        dated(&world, "octo", true, "2021-01-01T00:00:00Z"),
        dated(&world, "hubot", true, "2020-01-01T00:00:00Z"),
    ];
    dated(&world, "octo", false, "2022-01-01T00:00:00Z");
    for path in ["/gists", "/gists/public"] {
        assert_eq!(ids(&world.anonymous("GET", path).answer().expect(200)), public);
    }
    assert_eq!(ids(&world.get("/gists/public")), public);
    let scopeless = world.anonymous("GET", "/gists").bearer_auth("noscope-token").answer();
    assert_eq!(ids(&scopeless), public[..1]);
    world.anonymous("GET", "/gists/starred").answer().expect(401);
}

#[test]
fn a_list_of_files_ends_at_three_hundred_too() {
    let world = World::new();
    let files = (0..301).map(|n| (format!("{n:03}"), b"x".to_vec())).collect();
    world.server.seed("octo", Seed { files, ..Seed::default() });
    let list = world.get("/gists").json();
    assert_eq!(list[0]["truncated"], true);
    assert_eq!(list[0]["files"].as_object().map(serde_json::Map::len), Some(300));
    assert_eq!(list[0]["description"], Value::Null);
}
