//! `gistfs prefetch`: everything is here before the network goes.

use std::process::{Output, Stdio};
use std::time::Duration;

use gistfs::demo::{Fault, FaultKind, Origin, ServerOptions};

use crate::mounted::GISTFS;
use crate::terminal::Terminal;
use crate::world::{World, said, wait_until};

/// Two gists with a large file and two files of the same bytes among theirs, mounted.
fn world(options: &[&str]) -> World {
    let mut world = World::open(ServerOptions::default());
    let large = "a line of a large file\n".repeat(100_000);
    world.seed("Notes", &[("a.txt", "alpha\n"), ("b.txt", "beta\n"), ("same.txt", "alpha\n")]);
    world.seed("Large", &[("large.txt", &large), ("small.txt", "small\n")]);
    world.mount(options);
    world.server.forget_requests();
    world
}

fn prefetch(world: &World, paths: &[&str]) -> Output {
    let mut command = world.gistfs(&["prefetch"]);
    command.current_dir(world.point()).args(paths).output().expect("gistfs runs")
}

#[track_caller]
fn done(out: &Output) -> String {
    assert!(out.status.success(), "{}", said(out));
    said(out)
}

/// Nobody answers any more.
fn cut_off(world: &World) {
    world.server.inject(Fault { times: 1_000_000, ..Fault::once(FaultKind::Drop) });
}

#[test]
fn after_a_prefetch_everything_reads_without_a_network_and_no_body_was_asked_for_twice() {
    let world = world(&[]);
    world.sh("cat Notes/b.txt > /dev/null");
    let said = done(&prefetch(&world, &["."]));
    assert!(said.contains("5 of 5 files") && said.contains("3 bodies fetched now"), "{said}");
    let raw = world.server.requests();
    assert!(raw.iter().all(|r| r.origin == Origin::Raw) && raw.len() == 4, "four bodies");
    cut_off(&world);
    assert_eq!(world.sh("cat Notes/*; wc -c < Large/large.txt"), "alpha\nbeta\nalpha\n2300000\n");
    let said = done(&prefetch(&world, &["."]));
    assert!(said.contains("0 bodies fetched now"), "{said}");
}

#[test]
fn a_gist_or_a_file_can_be_named_and_the_rest_stays_where_it_is() {
    let world = world(&[]);
    done(&prefetch(&world, &["Notes/a.txt"]));
    assert_eq!(world.fetches(), 1);
    done(&prefetch(&world, &["Large", "Notes/a.txt"]));
    assert_eq!(world.fetches(), 3);
    cut_off(&world);
    world.sh("cat Large/* Notes/same.txt > /dev/null");
    world.fails("cat Notes/b.txt");
}

#[test]
fn what_cannot_be_had_is_named_and_the_rest_comes() {
    let world = world(&["--git", "none"]);
    let lost = Fault { path: "b.txt".into(), times: 9, ..Fault::once(FaultKind::Html) };
    world.server.inject(lost);
    let refused = Fault {
        origin: Some(Origin::Api),
        path: "/gists/".into(),
        times: 9,
        ..Fault::once(FaultKind::Html)
    };
    world.server.inject(refused);
    let out = prefetch(&world, &["."]);
    let words = said(&out);
    assert_eq!(out.status.code(), Some(1), "{words}");
    assert!(
        words.contains("4 of 5 files can be read") && words.contains("\"Notes/b.txt\": "),
        "{words}"
    );
    cut_off(&world);
    world.sh("cat Notes/a.txt Notes/same.txt Large/* > /dev/null");
}

#[test]
fn without_a_network_it_ends_soon_and_says_so() {
    let world = world(&["--git", "none"]);
    cut_off(&world);
    let out = prefetch(&world, &["."]);
    let words = said(&out);
    assert_eq!(out.status.code(), Some(1), "{words}");
    assert!(words.contains("0 of 5 files") && words.contains("offline"), "{words}");
}

#[test]
fn a_cache_that_is_too_small_is_named() {
    let world = world(&["--cache-size", "1M"]);
    let out = prefetch(&world, &["."]);
    let words = said(&out);
    assert_eq!(out.status.code(), Some(1), "{words}");
    assert!(words.contains("--cache-size is 1048 KB: 1 file left out"), "{words}");
    assert_eq!(world.fetches(), 3, "what has room came");
}

#[test]
fn without_a_mount_it_says_what_to_do() {
    let mut world = world(&[]);
    let beside = world.work();
    let out = prefetch(&world, &[beside.to_str().expect("a path")]);
    assert_eq!(out.status.code(), Some(3), "{}", said(&out));
    assert!(said(&out).contains("gistfs mount DIR"), "{}", said(&out));
    let out = prefetch(&world, &["Notes/.gist/id"]);
    assert_eq!(out.status.code(), Some(2), "{}", said(&out));
    world.unmount();
    let out = prefetch(&world, &["."]);
    assert_eq!(out.status.code(), Some(3), "{}", said(&out));
}

#[test]
fn who_reads_meanwhile_goes_first_and_a_terminal_shows_how_far_it_is() {
    let mut world = World::open(ServerOptions::default());
    for number in 0..30 {
        world.seed(&format!("G{number:02}"), &[("a.txt", &format!("a {number}\n"))]);
    }
    world.mount(&["--parallel", "2"]);
    world.server.forget_requests();
    let slow = FaultKind::Delay(Duration::from_millis(300));
    let slow = Fault { origin: Some(Origin::Raw), times: 1000, ..Fault::once(slow) };
    world.server.inject(slow);
    let terminal = Terminal::run(&world, &format!("{GISTFS} prefetch .; echo code $?; exec cat"));
    terminal.shows("/30");
    wait_until("it has begun", || world.fetches() > 1);
    world.sh("cat G29/a.txt > /dev/null");
    let before = world.fetches();
    assert!(before < 15, "{before} others were fetched first");
    world.server.clear_faults();
    terminal.shows("code 0");
    assert_eq!(world.fetches(), 30);
}

#[test]
fn who_goes_away_ends_it() {
    let mut world = World::open(ServerOptions::default());
    for number in 0..40 {
        world.seed(&format!("G{number:02}"), &[("a.txt", &format!("a {number}\n"))]);
    }
    world.mount(&["--parallel", "2"]);
    world.server.forget_requests();
    let slow = FaultKind::Delay(Duration::from_millis(300));
    let slow = Fault { origin: Some(Origin::Raw), times: 1000, ..Fault::once(slow) };
    world.server.inject(slow);
    let mut asks = world.gistfs(&["prefetch"]).arg(world.point()).spawn().expect("gistfs runs");
    wait_until("it has begun", || world.fetches() > 2);
    let pid = nix::unistd::Pid::from_raw(i32::try_from(asks.id()).expect("a number"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).expect("a signal");
    asks.wait().expect("it ends");
    // What is under way comes; then nothing more does.
    let mut seen = usize::MAX;
    wait_until("no more is asked for", || {
        std::thread::park_timeout(Duration::from_millis(1000));
        std::mem::replace(&mut seen, world.fetches()) == world.fetches()
    });
    assert!(seen < 20, "{seen} were fetched for nobody");
}

#[test]
fn a_mount_that_ends_meanwhile_says_that_not_all_came() {
    let mut world = world(&["--parallel", "1"]);
    let hangs = Fault { origin: Some(Origin::Raw), times: 1000, ..Fault::once(FaultKind::Hang) };
    world.server.inject(hangs);
    let mut asks = world.gistfs(&["prefetch"]);
    let asks = asks.arg(world.point()).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let asks = asks.expect("gistfs runs");
    wait_until("it has begun", || world.fetches() > 0);
    world.unmount();
    let out = asks.wait_with_output().expect("it ends");
    let words = said(&out);
    assert_eq!(out.status.code(), Some(1), "{words}");
    assert!(words.contains("ended before all") || words.contains("Broken off"), "{words}");
}
