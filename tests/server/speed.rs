//! A server that sends slowly, and one that sends parts.

use std::io::Read as _;
use std::thread;
use std::time::{Duration, Instant};

use gistfs::demo::Switches;

use crate::desk::{Desk, remote};
use crate::world::{OCTO, Send as _, World};

fn slow(world: &World, speed: u64) {
    world.server.with_switches(|switches| switches.speed = Some(speed));
}

/// The raw address of `a`.
fn raw(world: &World, id: &str) -> String {
    world.gist(id)["files"]["a"]["raw_url"].as_str().expect("an address").to_owned()
}

#[test]
fn a_slow_body_begins_at_once_and_ends_in_its_time() {
    let world = World::new();
    let id = world.seed(&[("a", &"x".repeat(400_000))]);
    let url = raw(&world, &id);
    slow(&world, 400_000);
    let start = Instant::now();
    let mut answer = world.anonymous("GET", &url).send().unwrap();
    assert_eq!(answer.content_length(), Some(400_000));
    answer.read_exact(&mut [0; 4096]).unwrap();
    let first = start.elapsed();
    let mut rest = Vec::new();
    answer.read_to_end(&mut rest).unwrap();
    let whole = start.elapsed();
    assert_eq!(rest.len(), 400_000 - 4096);
    assert!(whole >= Duration::from_millis(900), "{whole:?}");
    assert!(first < whole / 3, "{first:?} {whole:?}");
    // The connection is as fast as before for what is not a body.
    world.gist(&id);
    world.server.with_switches(|switches| switches.speed = None);
    assert_eq!(world.anonymous("GET", &url).answer().body.len(), 400_000);
}

#[test]
fn git_is_slow_too_and_the_api_is_not() {
    let world = World::new();
    let noise: String =
        (0..60_000_u32).map(|n| format!("{:x}", n.wrapping_mul(0x9e37_79b9))).collect();
    let id = world.seed(&[("a", &noise)]);
    slow(&world, 150_000);
    let start = Instant::now();
    Desk::new().must(&["clone", "-q", &remote(&world, &id, OCTO), "clone"]);
    let clone = start.elapsed();
    assert!(clone >= Duration::from_millis(900), "{clone:?}");
    slow(&world, 1_000);
    world.gist(&id);
    assert!(start.elapsed() < Duration::from_secs(100), "the API's answer took minutes");
}

/// There are two workers; more bodies than that may be under way.
#[test]
fn slow_bodies_hold_nobody_else_up() {
    let world = World::new();
    let id = world.seed(&[("a", &"x".repeat(100_000))]);
    let url = raw(&world, &id);
    slow(&world, 50_000);
    thread::scope(|scope| {
        let bodies: Vec<_> =
            (0..5).map(|_| scope.spawn(|| world.anonymous("GET", &url).answer())).collect();
        world.wait_until(|server| server.requests().len() >= 6);
        world.gist(&id);
        assert!(bodies.iter().all(|body| !body.is_finished()));
        assert!(bodies.into_iter().all(|body| body.join().unwrap().body.len() == 100_000));
    });
}

/// Row 56.
#[test]
fn a_part_of_a_raw_body_can_be_had() {
    let world = World::new();
    let id = world.seed(&[("a", "0123456789")]);
    let url = raw(&world, &id);
    let get = |range: &str| world.anonymous("GET", &url).header("Range", range);
    let part = get("bytes=2-4").answer().expect(206);
    assert_eq!(part.body, b"234");
    assert_eq!(part.header("content-range"), Some("bytes 2-4/10"));
    assert_eq!(part.header("content-encoding"), None);
    let etag = part.header("etag").unwrap().to_owned();
    assert_eq!(get("bytes=-3").header("If-Range", &etag).answer().expect(206).body, b"789");
    assert_eq!(get("bytes=7-").answer().expect(206).body, b"789");
    assert_eq!(get("bytes=2-4").header("If-Range", "\"x\"").answer().expect(200).body.len(), 10);
    let beyond = get("bytes=10-").answer().expect(416);
    assert_eq!(beyond.header("content-range"), Some("bytes */10"));
    let plain = world.anonymous("GET", &url).header("Accept-Encoding", "identity");
    let whole = plain.answer().expect(200);
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    assert!(Switches::default().ranges);
    world.server.with_switches(|switches| switches.ranges = false);
    let whole = get("bytes=2-4").answer().expect(200);
    assert_eq!((whole.header("accept-ranges"), whole.body.len()), (None, 10));
}
