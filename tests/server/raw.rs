//! Raw bodies, at their own address.

use std::time::Duration;

use gistfs::demo::{Origin, Seed, ServerOptions};
use gistfs::model::BlobId;

use crate::world::{Send as _, World};

/// The raw address of a file.
fn url(world: &World, id: &str, name: &str) -> String {
    world.gist(id)["files"][name]["raw_url"].as_str().expect("an address").to_owned()
}

/// Row 44.
#[test]
fn a_pinned_address_serves_exact_bytes_to_anybody() {
    let world = World::new();
    let bytes: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    let files = vec![
        ("crlf ü.txt".to_owned(), b"a\r\nb".to_vec()),
        ("b.bin".to_owned(), bytes.clone()),
        ("a/b?#%".to_owned(), b"odd".to_vec()),
    ];
    let id = world.server.seed("octo", Seed { files, ..Seed::default() });
    let text = world.anonymous("GET", &url(&world, &id, "crlf ü.txt")).answer().expect(200);
    assert_eq!(text.body, b"a\r\nb");
    assert_eq!(text.header("content-type"), Some("text/plain; charset=utf-8"));
    assert!(text.header("cache-control").unwrap().contains("immutable"));
    assert_eq!(world.anonymous("GET", &url(&world, &id, "b.bin")).answer().body, bytes);
    let odd = url(&world, &id, "a/b?#%");
    assert!(odd.ends_with("/a%2Fb%3F%23%25"), "{odd}");
    assert_eq!(world.anonymous("GET", &odd).answer().expect(200).body, b"odd");
}

/// Row 44.
#[test]
fn a_pinned_address_still_serves_what_was_replaced_since() {
    let world = World::new();
    let id = world.seed(&[("a", "1")]);
    let pinned = url(&world, &id, "a");
    let first = world.server.commits(&id).remove(0);
    world.server.commit(&id, &[("a", Some(b"2"))]);
    assert_eq!(world.anonymous("GET", &pinned).answer().body, b"1");
    let raw = format!("{}/octo/{id}/raw", world.server.raw_url());
    let by_commit = world.anonymous("GET", &format!("{raw}/{first}/a")).answer().expect(200);
    assert_eq!(by_commit.body, b"1");
    let unknown = BlobId::of(b"never");
    for path in
        [format!("{unknown}/a"), format!("{first}/b"), "zzz/a".to_owned(), "none".to_owned()]
    {
        world.anonymous("GET", &format!("{raw}/{path}")).answer().expect(404);
    }
    let stranger = format!("{}/hubot/{id}/raw/a", world.server.raw_url());
    world.anonymous("GET", &stranger).answer().expect(404);
}

/// Row 44.
#[test]
fn an_unpinned_address_may_be_stale() {
    let world = World::new();
    let id = world.seed(&[("a", "1")]);
    let unpinned = format!("{}/octo/{id}/raw/a", world.server.raw_url());
    let read = || world.anonymous("GET", &unpinned).answer().expect(200);
    assert_eq!(read().header("cache-control"), Some("max-age=300"));
    world.server.with_switches(|switches| switches.stale_raw_for = Duration::from_secs(300));
    world.server.commit(&id, &[("a", Some(b"2"))]);
    assert_eq!(read().body, b"1");
    world.server.with_switches(|switches| switches.stale_raw_for = Duration::ZERO);
    assert_eq!(read().body, b"2");
}

/// Row 44.
#[test]
fn more_than_ten_megabytes_are_refused() {
    let world = World::new();
    let files = vec![("big".to_owned(), vec![b'x'; (10 << 20) + 1])];
    let id = world.server.seed("octo", Seed { files, ..Seed::default() });
    world.anonymous("GET", &url(&world, &id, "big")).answer().expect(403);
}

/// Row 45.
#[test]
fn a_private_server_answers_with_a_login_page_and_200() {
    let world = World::with(ServerOptions { private_raw: true, ..ServerOptions::default() });
    let id = world.seed(&[("a", "secret")]);
    let url = url(&world, &id, "a");
    let page = world.anonymous("GET", &url).answer().expect(200);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    assert!(!page.body.windows(6).any(|bytes| bytes == b"secret"));
    assert_eq!(world.octo("GET", &url).answer().body, b"secret");
}

#[test]
fn the_log_tells_when_a_token_went_to_the_raw_address() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    let url = url(&world, &id, "a");
    world.server.forget_requests();
    assert_eq!(world.octo("GET", &url).answer().expect(200).body, b"a");
    world.anonymous("GET", &url).bearer_auth("wrong").answer().expect(200);
    world.anonymous("GET", &url).answer().expect(200);
    let log = world.server.requests();
    assert!(log.iter().all(|request| request.origin == Origin::Raw));
    let tokens: Vec<bool> = log.iter().map(gistfs::demo::LoggedRequest::has_token).collect();
    assert_eq!(tokens, [true, true, false]);
}

#[test]
fn a_raw_body_revalidates_by_its_blob_id() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    let url = url(&world, &id, "a");
    let etag = world.anonymous("GET", &url).answer().header("etag").unwrap().to_owned();
    let again = world.anonymous("GET", &url).header("If-None-Match", etag).answer();
    assert!(again.expect(304).body.is_empty());
}

/// Without subdomain isolation everything about gists is below `/gist` at the one origin.
#[test]
fn raw_bodies_may_be_at_the_api_s_origin() {
    let options = ServerOptions { enterprise: true, isolated: false, ..ServerOptions::default() };
    let world = World::with(options);
    let id = world.seed(&[("a b", "alpha")]);
    let url = url(&world, &id, "a b");
    let origin = world.server.api_url().replace("/api/v3", "");
    assert!(url.starts_with(&format!("{origin}/gist/octo/{id}/raw/")), "{url}");
    assert_eq!(world.anonymous("GET", &url).answer().expect(200).body, b"alpha");
    assert_eq!(world.server.requests().last().expect("a request").origin, Origin::Raw);
    let gist = world.gist(&id);
    assert_eq!(gist["git_pull_url"], format!("{origin}/gist/{id}.git"));
    let refs = format!("{origin}/gist/{id}.git/info/refs?service=git-upload-pack");
    world.octo("GET", &refs).answer().expect(200);
}

/// Row 45.
#[test]
fn a_private_server_s_addresses_may_bring_what_opens_them() {
    let options = ServerOptions { private_raw: true, raw_tokens: true, ..ServerOptions::default() };
    let world = World::with(options);
    let id = world.seed(&[("a", "secret")]);
    let url = url(&world, &id, "a");
    assert_eq!(world.anonymous("GET", &url).answer().expect(200).body, b"secret");
    let (bare, token) = url.split_once("?token=").expect("a token in the address");
    for shut in [bare.to_owned(), format!("{bare}?token=x{token}")] {
        let page = world.anonymous("GET", &shut).answer().expect(200);
        assert!(page.header("content-type").unwrap().starts_with("text/html"));
    }
}
