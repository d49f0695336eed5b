//! Reading ahead: what is fetched before anybody asks for it, and who goes first.

use std::time::{Duration, Instant};

use gistfs::demo::{Fault, FaultKind, LoggedRequest, Origin, Seed, ServerOptions};
use gistfs::model::Time;

use crate::outcome::shown;
use crate::world::{World, said, wait_until};

/// The time to the server and back.
const ROUND_TRIP: Duration = Duration::from_millis(80);

/// A mount of so many gists of so many files of 2 KB each, all different, at a distance.
fn far(gists: usize, files: usize, options: &[&str]) -> World {
    let latency = ROUND_TRIP;
    let mut world = World::open(ServerOptions { latency, ..ServerOptions::default() });
    for number in 0..gists {
        let file = |at: usize| (name(at), format!("{number} {at} ").repeat(300).into_bytes());
        let created_at = Some(Time((1_600_000_000 + number as i64 * 60) * 1_000_000_000));
        let files = (0..files).map(file).collect();
        world.server.seed("octo", Seed { files, created_at, ..Seed::new(&title(number), &[]) });
    }
    world.mount(options);
    world.server.forget_requests();
    world
}

fn title(number: usize) -> String {
    format!("G{number:03}")
}

fn name(number: usize) -> String {
    format!("f{number:02}.txt")
}

/// The requests for bodies; there must be no other.
#[track_caller]
fn bodies(world: &World) -> Vec<LoggedRequest> {
    let requests = world.server.requests();
    let shown: Vec<String> = requests.iter().map(shown).collect();
    assert!(requests.iter().all(|r| r.origin == Origin::Raw), "{shown:#?}");
    requests
}

fn most_in_flight(requests: &[LoggedRequest]) -> usize {
    requests.iter().map(|r| r.in_flight).max().unwrap_or_default()
}

#[test]
fn a_first_grep_asks_for_every_body_once_and_for_many_at_a_time() {
    let world = far(40, 3, &[]);
    assert_eq!(world.sh("grep -rl '^[0-9]' . | wc -l"), "120\n");
    let requests = bodies(&world);
    let most = most_in_flight(&requests);
    assert_eq!(requests.len(), 120);
    assert!((8..=16).contains(&most), "{most} at one time");
    // One by one every one of them is the only one.
    let alone = requests.iter().filter(|r| r.in_flight == 1).count();
    assert!(alone < 30, "{alone} of 120 went alone");
    world.sh("grep -rl '^[0-9]' . > /dev/null; cat */* > /dev/null");
    assert_eq!(bodies(&world).len(), 120);
}

#[test]
fn one_file_is_one_request_and_of_two_neighbours_no_more_is_read_ahead_than_was_read() {
    let world = far(3, 20, &[]);
    world.sh("cat G001/f05.txt > /dev/null");
    // What came ahead would have come by now.
    world.sh("cat G002/f19.txt > /dev/null");
    assert_eq!(bodies(&world).len(), 2);
    world.sh("cat G001/f06.txt > /dev/null");
    wait_until("the two behind them come", || bodies(&world).len() == 5);
    world.sh("cat G000/f00.txt > /dev/null");
    assert_eq!(bodies(&world).len(), 6);
    world.sh("cat G001/f07.txt G001/f08.txt > /dev/null");
    wait_until("as many as four come", || bodies(&world).len() == 10);
}

#[test]
fn with_one_place_nothing_is_read_ahead() {
    let world = far(6, 3, &["--parallel", "1"]);
    assert_eq!(world.sh("grep -rl '^[0-9]' . | wc -l"), "18\n");
    let requests = bodies(&world);
    assert_eq!((requests.len(), most_in_flight(&requests)), (18, 1));
}

#[test]
fn looking_into_the_files_of_one_directory_fetches_nothing_of_others() {
    let world = far(12, 10, &[]);
    world.sh("for f in G003/*; do head -c 16 $f; done > /dev/null");
    world.sh("cat G011/f09.txt > /dev/null");
    let requests = bodies(&world);
    assert_eq!(requests.len(), 11, "ten of the directory, and the one asked for last");
}

#[test]
fn who_waits_for_another_file_is_served_while_much_is_read_ahead() {
    let world = far(60, 3, &[]);
    let mut grep = world.program("grep");
    grep.args(["-rc", "^[0-9]", "."]).current_dir(world.point());
    let grep = grep.stdout(std::process::Stdio::piped()).spawn().expect("grep runs");
    wait_until("much is on its way", || most_in_flight(&world.server.requests()) >= 15);
    // One of them grep comes to last.
    for wanted in ["G000/f02.txt", "G059/f02.txt"] {
        let before = world.server.requests().len();
        world.sh(&format!("cat {wanted} > /dev/null"));
        let between = world.server.requests().len() - before;
        // Each of the 15 under way may end and be followed by others while the program starts.
        assert!(between < 90, "{between} others were asked for before {wanted}");
    }
    let out = grep.wait_with_output().expect("it ends");
    assert!(out.status.success(), "{}", said(&out));
    let requests = bodies(&world);
    assert_eq!(requests.len(), 180);
    assert!(most_in_flight(&requests) <= 16);
}

#[test]
fn two_who_read_in_different_places_are_both_read_ahead_of() {
    let world = far(40, 3, &[]);
    world.sh("cat G00*/* G01[0-4]/* > /dev/null & cat G02*/* G03[0-4]/* > /dev/null; wait");
    let requests = bodies(&world);
    // Without it the two have one each under way.
    let more = requests.iter().filter(|r| r.in_flight > 2).count();
    assert!(more > requests.len() / 4, "{more} of {}", requests.len());
    assert!(requests.len() <= 120 && most_in_flight(&requests) <= 16);
}

#[test]
fn when_the_network_goes_away_reading_ahead_stops_and_goes_on_when_it_is_back() {
    let world = far(40, 3, &["--git", "none"]);
    let mut grep = world.program("grep");
    grep.args(["-rc", "^[0-9]", "."]).current_dir(world.point());
    let grep = grep.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let grep = grep.spawn().expect("grep runs");
    wait_until("much is on its way", || most_in_flight(&world.server.requests()) >= 12);
    world.server.inject(Fault { times: 1_000_000, ..Fault::once(FaultKind::Drop) });
    let start = Instant::now();
    let out = grep.wait_with_output().expect("it ends");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert_eq!(out.status.code(), Some(2), "{}", said(&out));
    world.server.clear_faults();
    wait_until("bodies come again", || world.try_sh("cat G039/f02.txt").status.success());
    assert_eq!(world.sh("grep -rl '^[0-9]' . | wc -l"), "120\n");
    let good = |r: &&LoggedRequest| r.origin == Origin::Raw && r.status == 200;
    assert!(world.server.requests().iter().filter(good).count() <= 120, "none came twice");
}

#[test]
fn where_the_cache_is_full_nothing_is_read_ahead() {
    let world = far(10, 3, &["--cache-size", "10K"]);
    assert_eq!(world.sh("grep -rl '^[0-9]' . | wc -l"), "30\n");
    let requests = bodies(&world);
    assert_eq!((requests.len(), most_in_flight(&requests)), (30, 1));
}

#[test]
fn many_who_wait_at_once_have_no_more_threads_and_connections_than_places() {
    let mut world = far(20, 5, &["--parallel", "4"]);
    let pid = world.mounted().pid();
    let tasks = format!("/proc/{pid}/task");
    let fetching = || {
        let tasks = std::fs::read_dir(&tasks).expect("the mount's threads");
        let name = |task: std::io::Result<std::fs::DirEntry>| {
            std::fs::read_to_string(task.ok()?.path().join("comm")).ok()
        };
        tasks.filter_map(name).filter(|name| name.trim() == "gistfs-body").count()
    };
    let mut cats: Vec<_> = (0..100)
        .map(|at| {
            let mut cat = world.program("cat");
            cat.arg(world.path(&format!("{}/{}", title(at / 5), name(at % 5))));
            cat.stdout(std::process::Stdio::null()).spawn().expect("cat runs")
        })
        .collect();
    let mut most = 0;
    wait_until("all are read", || {
        most = most.max(fetching());
        bodies(&world).len() == 100
    });
    for cat in &mut cats {
        assert!(cat.wait().expect("it ends").success());
    }
    assert!(most <= 4 && most_in_flight(&bodies(&world)) <= 4, "{most} threads");
    assert_eq!(bodies(&world).len(), 100);
}
