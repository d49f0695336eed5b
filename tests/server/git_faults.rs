//! Faults hit the real git program too, at each of its requests.

use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

use gistfs::demo::{Fault, FaultKind, Gate, Origin};

use crate::desk::{Desk, remote};
use crate::world::{OCTO, World};

/// The four requests, by what only their address has.
const READING: [&str; 2] = ["info/refs?service=git-upload-pack", "/git-upload-pack?"];
const PUSHING: [&str; 2] = ["info/refs?service=git-receive-pack", "/git-receive-pack?"];

/// A gist, and a clone of it with a commit more.
fn ready() -> (World, String, Desk) {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    let desk = Desk::clone_of(&world, &id, OCTO);
    // Else the first request of a push brings no token, and is not the one that counts.
    desk.must(&["config", "http.extraHeader", "Authorization: Basic eDpkZW1vLXRva2Vu"]);
    desk.write("b", b"b");
    desk.commit_all();
    world.server.forget_requests();
    (world, id, desk)
}

/// Hits a request twice: where a connection that was used before ends without an answer, curl
/// asks once more on another one, pushes too.
fn inject(world: &World, path: &str, kind: FaultKind) {
    let (origin, path) = (Some(Origin::Git), path.to_owned());
    world.server.inject(Fault { origin, path, times: 2, ..Fault::once(kind) });
}

/// Fetches or pushes, whichever has this request; gives up when nothing comes for a second.
fn run(world: &World, id: &str, desk: &Desk, path: &str) -> Output {
    let patience = ["-c", "http.lowSpeedLimit=1", "-c", "http.lowSpeedTime=1"];
    let url = remote(world, id, OCTO);
    if READING.contains(&path) {
        world.server.commit(id, &[("theirs", Some(path.as_bytes()))]);
        return desk.git(&[&patience[..], &["fetch", "-q", &url, "HEAD"]].concat());
    }
    desk.git(&[&patience[..], &["push", "-q"]].concat())
}

fn pushed(world: &World, id: &str) -> bool {
    world.server.files(id).expect("the gist").contains_key("b")
}

#[track_caller]
fn fails_without_effect(kind: &FaultKind) {
    for path in READING.into_iter().chain(PUSHING) {
        let (world, id, desk) = ready();
        inject(&world, path, kind.clone());
        assert!(!run(&world, &id, &desk, path).status.success(), "{kind:?} {path}");
        assert!(!pushed(&world, &id), "{kind:?} {path}");
        world.server.clear_faults();
        assert!(run(&world, &id, &desk, path).status.success(), "{kind:?} {path}");
        assert_eq!(pushed(&world, &id), PUSHING.contains(&path), "{kind:?} {path}");
    }
}

#[test]
fn a_status_ends_it() {
    for status in [403, 429, 503] {
        let (headers, body) = (Vec::new(), "busy".to_owned());
        fails_without_effect(&FaultKind::Status { status, headers, body });
    }
}

#[test]
fn a_dropped_request_ends_it() {
    fails_without_effect(&FaultKind::Drop);
    fails_without_effect(&FaultKind::Reset);
}

#[test]
fn a_hanging_request_lasts_until_git_gives_up() {
    thread::scope(|scope| {
        for path in READING.into_iter().chain(PUSHING) {
            scope.spawn(move || {
                let (world, id, desk) = ready();
                inject(&world, path, FaultKind::Hang);
                assert!(!run(&world, &id, &desk, path).status.success(), "{path}");
                assert!(!pushed(&world, &id), "{path}");
            });
        }
    });
}

#[test]
fn a_delay_makes_it_last() {
    for path in READING.into_iter().chain(PUSHING) {
        let (world, id, desk) = ready();
        inject(&world, path, FaultKind::Delay(Duration::from_millis(300)));
        let start = Instant::now();
        assert!(run(&world, &id, &desk, path).status.success(), "{path}");
        assert!(start.elapsed() >= Duration::from_millis(300), "{path}");
    }
}

/// Only a push has an effect to outlive its answer.
#[test]
fn a_lost_or_cut_answer_ends_it_and_a_push_is_done() {
    for kind in [FaultKind::LoseAnswer, FaultKind::CutShort] {
        for path in READING.into_iter().chain(PUSHING) {
            let (world, id, desk) = ready();
            inject(&world, path, kind.clone());
            assert!(!run(&world, &id, &desk, path).status.success(), "{kind:?} {path}");
            let done = path == PUSHING[1];
            assert_eq!(pushed(&world, &id), done, "{kind:?} {path}");
            assert_eq!(world.server.commits(&id)[0] == desk.must(&["rev-parse", "HEAD"]), done);
        }
    }
}

/// What moves the gist while a push waits to be acted on makes the push fail.
#[test]
fn a_held_push_begins_when_the_gate_opens() {
    let (world, id, desk) = ready();
    let gate = Gate::default();
    inject(&world, PUSHING[1], FaultKind::Hold(gate.clone()));
    thread::scope(|scope| {
        let push = scope.spawn(|| desk.git(&["push"]));
        world.wait_until(|server| {
            server.requests().iter().any(|request| request.path.ends_with("/git-receive-pack"))
        });
        world.server.commit(&id, &[("theirs", Some(b"theirs"))]);
        gate.open();
        let output = push.join().unwrap();
        assert!(!output.status.success());
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(words.contains("[remote rejected]"), "{words}");
    });
    assert!(!pushed(&world, &id));
    assert_eq!(world.server.commits(&id).len(), 2);
}

#[test]
fn a_held_answer_comes_after_its_effect_when_the_gate_opens() {
    let (world, id, desk) = ready();
    let gate = Gate::default();
    inject(&world, PUSHING[1], FaultKind::HoldAnswer(gate.clone()));
    thread::scope(|scope| {
        let push = scope.spawn(|| desk.git(&["push", "-q"]));
        world.wait_until(|server| server.files(&id).unwrap().contains_key("b"));
        let answered = |request: &gistfs::demo::LoggedRequest| request.status != 0;
        assert!(!world.server.requests().last().is_some_and(answered));
        gate.open();
        assert!(push.join().unwrap().status.success());
    });
}
