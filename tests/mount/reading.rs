//! Looking around and reading: what is seen, and what that fetches.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gistfs::demo::{Fault, FaultKind, Origin, ServerOptions, samples};
use serde_json::Value;

use crate::world::{World, wait_until};

/// The sample account, and its gists as the API lists them.
fn samples() -> (World, Vec<Value>) {
    let world = World::open(ServerOptions::default());
    samples::fill(&world.server).expect("the samples");
    let client = reqwest::blocking::Client::builder().no_proxy().build().expect("a client");
    let request = client.get(format!("{}/gists?per_page=100", world.server.api_url()));
    let request = request.bearer_auth("demo-token").header("user-agent", "gistfs-test");
    let answer = request.send().expect("an answer").bytes().expect("a body");
    let gists: Vec<Value> = serde_json::from_slice(&answer).expect("JSON");
    world.server.forget_requests();
    (world, gists)
}

/// The body of `name` in whichever gist of `gists` has it.
fn body(world: &World, gists: &[Value], name: &str) -> Vec<u8> {
    let id = |gist: &Value| gist["id"].as_str().expect("an id").to_owned();
    let mut bodies = gists.iter().filter_map(|gist| world.server.files(&id(gist))?.remove(name));
    bodies.next().expect("a file of that name")
}

#[test]
fn looking_around_shows_every_gist_and_file_and_fetches_no_body() {
    let (mut world, gists) = samples();
    world.mount(&[]);
    // Name and size of every file, as often as there are such files.
    let mut expected: Vec<(String, u64)> = Vec::new();
    for gist in &gists {
        for (name, file) in gist["files"].as_object().expect("files") {
            expected.push((name.clone(), file["size"].as_u64().expect("a size")));
        }
    }
    expected.sort();
    assert!(gists.len() >= 10 && expected.len() > gists.len(), "the samples are a small account");
    let found = world.sh("find . -type f -printf '%f\\t%s\\n'");
    let mut found: Vec<(String, u64)> = found
        .lines()
        .map(|line| line.split_once('\t').expect("two columns"))
        .map(|(name, size)| (name.to_owned(), size.parse().expect("a size")))
        .collect();
    found.sort();
    assert_eq!(found, expected);
    let directories = world.list("");
    assert_eq!(directories.len(), gists.len());
    for gist in &gists {
        let title = gist["description"].as_str().filter(|title| !title.is_empty());
        let first = gist["files"].as_object().expect("files").keys().next().expect("a file");
        let title = title.unwrap_or(first);
        assert!(directories.iter().any(|name| name.starts_with(title)), "{title}: {directories:?}");
    }
    let listing = world.sh("ls -lR");
    let tree = world.sh("tree -a");
    let usage = world.sh("du -ab");
    let total: u64 = expected.iter().map(|(_, size)| size).sum();
    for (name, size) in &expected {
        assert!(listing.contains(name) || name.starts_with('.'), "{name} in {listing}");
        assert!(tree.contains(name), "{name} in {tree}");
        assert!(usage.contains(&format!("{size}\t./")), "{name} in {usage}");
    }
    assert!(tree.contains(&format!("{} files", expected.len())), "{tree}");
    assert_eq!(usage.lines().last(), Some(&*format!("{total}\t.")));
    assert_eq!(world.fetches(), 0, "no body was read, so none was fetched");
    let by_api = |r: &gistfs::demo::LoggedRequest| r.path.starts_with("/gists/");
    assert!(!world.server.requests().iter().any(by_api));
}

#[test]
fn sizes_and_bytes_are_those_of_github() {
    let (mut world, gists) = samples();
    world.mount(&[]);
    let mut bodies: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for gist in &gists {
        for (_, bytes) in world.server.files(gist["id"].as_str().expect("an id")).expect("files") {
            *bodies.entry(bytes).or_default() += 1;
        }
    }
    for path in world.sh("find . -type f").lines() {
        let bytes = std::fs::read(world.path(path)).expect("it reads");
        assert_eq!(std::fs::metadata(world.path(path)).expect("a size").len(), bytes.len() as u64);
        let left = bodies.get_mut(&bytes).unwrap_or_else(|| panic!("{path} is in no gist"));
        *left -= 1;
    }
    assert!(bodies.values().all(|left| *left == 0));
    assert_eq!(world.fetches(), bodies.len(), "every body once");
    let before = world.fetches();
    world.sh("grep -r --binary-files=without-match -c e . > /dev/null; cat */* > /dev/null");
    assert_eq!(world.fetches(), before);
}

#[test]
fn a_body_is_fetched_when_it_is_read_and_never_again() {
    let (mut world, gists) = samples();
    world.mount(&[]);
    let text = String::from_utf8(body(&world, &gists, "garden.md")).expect("text");
    assert_eq!(world.sh("cat Garden/garden.md"), text);
    assert_eq!(world.fetches(), 1);
    assert_eq!(world.sh("cat Garden/garden.md; tail -c 1 Garden/garden.md > $W/x"), text);
    assert_eq!(world.fetches(), 1);
    world.unmount();
    world.mount(&[]);
    assert_eq!(world.sh("cat Garden/garden.md"), text);
    assert_eq!(world.fetches(), 1);
    world.unmount();
    world.mount(&["--memory", "0"]);
    assert_eq!(world.sh("cat Garden/garden.md"), text);
    assert_eq!(world.fetches(), 1);
}

#[test]
fn many_who_read_the_same_file_at_once_share_one_fetch() {
    let (mut world, gists) = samples();
    world.mount(&[]);
    let slow = FaultKind::Delay(Duration::from_millis(300));
    world.server.inject(Fault { origin: Some(Origin::Raw), ..Fault::once(slow) });
    let path = world.sh("find . -name access.log").trim().to_owned();
    let whole = body(&world, &gists, "access.log");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert!(std::fs::read(world.path(&path)).expect("it reads") == whole));
        }
    });
    assert_eq!(world.fetches(), 1);
}

#[test]
fn a_body_that_hangs_delays_nobody_else() {
    let mut world = World::empty();
    let other = [("a.txt", "alpha\n"), ("slow.txt", "slow\n")];
    world.seed("Notes", &other);
    world.seed("Other", &[("b.txt", "beta\n")]);
    world.mount(&[]);
    world.server.inject(Fault {
        path: "slow.txt".into(),
        times: 9,
        ..Fault::once(FaultKind::Hang)
    });
    let mut readers: Vec<_> = (0..6)
        .map(|_| {
            let mut cat = world.program("cat");
            cat.arg(world.path("Notes/slow.txt")).stdout(std::process::Stdio::null());
            cat.spawn().expect("cat runs")
        })
        .collect();
    wait_until("the body is asked for", || world.fetches() == 1);
    let start = Instant::now();
    world.sh("timeout 20 ls -lR . > /dev/null && timeout 20 stat Notes/slow.txt > /dev/null");
    assert_eq!(world.sh("timeout 20 cat Notes/a.txt Other/b.txt"), "alpha\nbeta\n");
    world.sh(
        "timeout 20 bash -c 'echo more >> Other/b.txt; mkdir New; mv Notes/slow.txt Notes/s.txt'",
    );
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    for cat in &mut readers {
        // With an error, or with the body if that came along with something else.
        cat.wait().expect("it ends");
    }
    assert!(start.elapsed() < Duration::from_secs(7), "{:?}", start.elapsed());
}

#[test]
fn without_a_network_what_was_read_still_reads_and_what_was_not_says_so() {
    let mut world = World::open(ServerOptions::default());
    let id = world.seed("Notes", &[("a.txt", "alpha\n"), ("b.txt", "beta\n")]);
    world.mount(&[]);
    world.sh("cat Notes/a.txt");
    world.server.inject(Fault { times: 1_000_000, ..Fault::once(FaultKind::Drop) });
    assert_eq!(world.sh("cat Notes/a.txt; ls Notes"), "alpha\na.txt\nb.txt\n");
    let start = Instant::now();
    let complaint = world.fails("cat Notes/b.txt");
    let unreachable = complaint.contains("No route to host") || complaint.contains("timed out");
    assert!(unreachable, "{complaint}");
    assert!(start.elapsed() < Duration::from_secs(6));
    world.sh("echo offline > Notes/a.txt; mkdir New; echo new > New/n.txt; rm Notes/b.txt");
    world.server.clear_faults();
    let out = world.gistfs(&["sync"]).arg(world.point()).output().expect("gistfs runs");
    assert!(out.status.success(), "{}", crate::world::said(&out));
    world.saved();
    world.same_on_both_sides(&id, "Notes");
}
