//! Without a network, and back: nobody hangs, nothing known is missed, and what waits goes out.

use std::process::Output;
use std::time::{Duration, Instant};

use gistfs::demo::{Limits, ServerOptions};

use crate::outcome::shown;
use crate::proxy::{Network, Weather};
use crate::world::{World, said, wait_until};

/// A body that cannot be had says so within this time.
const BOUND: Duration = Duration::from_secs(6);

fn unlimited() -> ServerOptions {
    ServerOptions { limits: Limits::none(), ..ServerOptions::default() }
}

/// Two hundred gists of five files and one gist of two, mounted; the body of `Notes/known.txt` is
/// stored.
fn world() -> (World, Network, String) {
    let (mut world, network) = World::behind_a_network(unlimited());
    for number in 0..200 {
        let text = |name: &str| format!("{name} of {number}\n");
        let bodies: Vec<(String, String)> =
            ["a", "b", "c", "d", "e"].map(|name| (name.to_owned(), text(name))).into();
        let files: Vec<(&str, &str)> = bodies.iter().map(|(n, t)| (&**n, &**t)).collect();
        world.seed(&format!("Gist {number}"), &files);
    }
    let id = world.seed("Notes", &[("known.txt", "known\n"), ("other.txt", "other\n")]);
    world.mount(&["--refresh", "10"]);
    assert_eq!(world.read("Notes/known.txt"), "known\n");
    (world, network, id)
}

fn timed(run: impl FnOnce() -> Output) -> (Output, Duration) {
    let start = Instant::now();
    let out = run();
    (out, start.elapsed())
}

/// Runs `script`, which must fail with one of `words` and not take longer than the bound.
#[track_caller]
fn fails_soon(world: &World, script: &str, words: &[&str]) {
    let (out, took) = timed(|| world.try_sh(script));
    assert!(!out.status.success(), "{}", said(&out));
    let complaint = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(words.iter().any(|words| complaint.contains(words)), "{script}: {complaint}");
    assert!(took < BOUND, "{script}: {took:?}");
    println!("{script}: {} after {took:.1?}", complaint.trim());
}

/// Everything but a body that is not stored goes on, and all that was written goes out by itself
/// when the network is back.
fn offline_and_back(weather: Weather, words: &[&str]) {
    let (world, network, id) = world();
    network.turns(weather);
    fails_soon(&world, "cat Notes/other.txt", words);
    let (out, took) = timed(|| world.try_sh("grep -rc of . > $W/found; ls -lR > $W/list"));
    println!("grep -r over 1,000 bodies that are not stored, then ls -lR: {took:.1?}");
    assert!(took < Duration::from_secs(25), "{took:?} {}", said(&out));
    let (out, took) = timed(|| world.try_sh("ls -lR | grep -c '^-'"));
    assert_eq!(String::from_utf8_lossy(&out.stdout), "1002\n");
    assert!(took < Duration::from_secs(1), "{took:?}");
    println!("ls -lR: {took:.2?}");
    let (out, took) = timed(|| {
        world.try_sh(
            "set -e; cat Notes/known.txt; echo more >> Notes/known.txt; mkdir New
            echo new > New/n.txt; mv 'Gist 1' 'Gist one'; rm -r 'Gist 2'; rm 'Gist 3/a'",
        )
    });
    assert!(out.status.success() && took < Duration::from_secs(2), "{took:?} {}", said(&out));
    wait_until("status tells of it", || {
        let status = world.status();
        status["trouble"].is_string() && status["owing"].as_array().map(Vec::len) == Some(5)
    });
    println!("{}", world.status()["trouble"]);

    network.turns(Weather::Fine);
    let start = Instant::now();
    wait_until("all goes out by itself", || world.status()["owing"] == serde_json::json!([]));
    println!("drained {:.1?} after the network was back", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(25), "{:?}", start.elapsed());
    assert_eq!(world.texts(&id)["known.txt"], "known\nmore\n");
    assert_eq!(world.server.gist_ids("octo").len(), 201);
    let changes: Vec<String> = world.changes().iter().map(shown).collect();
    assert_eq!(changes.len(), 5, "{changes:#?}");
    assert_eq!(world.read("Notes/other.txt"), "other\n");
    wait_until("the trouble is over", || world.status()["trouble"].is_null());
    let log = world.log();
    let count = |words: &str| log.matches(words).count();
    assert_eq!(count("what is stored stays readable and writable"), 1, "said when it begins");
    assert_eq!(count("GitHub answers again"), 1, "and when it ends");
}

#[test]
fn in_a_black_hole_everything_known_works_and_later_all_goes_out() {
    // Over a connection kept from before it is silence.
    offline_and_back(Weather::BlackHole, &["No route to host", "Connection timed out"]);
}

#[test]
fn where_nobody_listens_everything_known_works_and_later_all_goes_out() {
    offline_and_back(Weather::Refused, &["No route to host"]);
}

#[test]
fn where_connections_are_silent_everything_known_works_and_later_all_goes_out() {
    offline_and_back(Weather::Silent, &["Connection timed out"]);
}

#[test]
fn a_slow_download_that_goes_on_is_waited_for() {
    let (mut world, network) = World::behind_a_network(unlimited());
    // Nothing that could be compressed.
    let mut seed = 1_u32;
    let mut letter = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'!' + (seed >> 24) as u8 % 94)
    };
    let text: String = (0..100_000).map(|_| letter()).collect();
    world.seed("Notes", &[("a.txt", &text)]);
    world.mount(&[]);
    network.raw.turns(Weather::Slow(1200));
    let start = Instant::now();
    assert!(world.read("Notes/a.txt") == text);
    assert!(start.elapsed() > Duration::from_secs(5), "it was not slow: {:?}", start.elapsed());
    assert_eq!(world.fetches(), 1);
}

#[test]
fn a_kept_connection_that_died_unnoticed_is_replaced_while_somebody_waits() {
    let (mut world, network) = World::behind_a_network(unlimited());
    world.seed("Notes", &[("a.txt", "alpha\n"), ("b.txt", "beta\n")]);
    world.mount(&[]);
    assert_eq!(world.read("Notes/a.txt"), "alpha\n");
    network.api.forget_connections();
    network.raw.forget_connections();
    let start = Instant::now();
    assert_eq!(world.read("Notes/b.txt"), "beta\n");
    assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
}

#[test]
fn a_host_of_bodies_out_of_reach_is_gone_round_by_way_of_the_api() {
    let (mut world, network) = World::behind_a_network(unlimited());
    world.seed("Notes", &[("a.txt", "alpha\n"), ("b.txt", "beta\n")]);
    world.seed("Other", &[("c.txt", "gamma\n")]);
    world.mount(&[]);
    network.raw.turns(Weather::BlackHole);
    let start = Instant::now();
    assert_eq!(world.read("Notes/a.txt"), "alpha\n");
    assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
    let start = Instant::now();
    assert_eq!(world.read("Other/c.txt"), "gamma\n");
    assert!(start.elapsed() < Duration::from_secs(2), "once is enough to know");
    assert!(!world.log().contains("what is stored stays"), "the API is there");
}

#[test]
fn a_long_queue_delays_no_mount_and_goes_out_when_the_network_is_back() {
    let (mut world, network) = World::behind_a_network(unlimited());
    world.seed("Notes", &[("a.txt", "alpha\n")]);
    world.mount(&[]);
    network.turns(Weather::BlackHole);
    world.sh("for i in $(seq 300); do mkdir New$i; echo $i > New$i/n.txt; done");
    world.crash();
    let start = Instant::now();
    world.mount(&["--refresh", "10"]);
    println!("mounted with 300 unsent gists and no network after {:.2?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(world.sh("cat New*/n.txt | sort -n | tail -1; ls | wc -l"), "300\n301\n");
    world.sh("echo more >> New7/n.txt; timeout 2 ls -lR > /dev/null");
    wait_until("the trouble is noticed", || world.status()["trouble"].is_string());
    assert_eq!(world.status()["owing"].as_array().map(Vec::len), Some(300));
    network.turns(Weather::Fine);
    wait_until("all goes out by itself", || world.status()["owing"] == serde_json::json!([]));
    assert_eq!(world.server.gist_ids("octo").len(), 301, "none twice");
    assert_eq!(world.changes().len(), 300, "one request each");
    let owner = world.server.gist_ids("octo");
    let seventh = owner.iter().find(|id| world.server.description(id).as_deref() == Some("New7"));
    assert_eq!(world.texts(seventh.expect("it is there"))["n.txt"], "7\nmore\n");
}
