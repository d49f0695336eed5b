//! The socket of a running mount, and those who come to it and do not behave.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use serde_json::Value;

use crate::world::{World, said, wait_until};

fn socket(world: &World) -> PathBuf {
    let sockets = std::fs::read_dir(world.home().join("run/gistfs")).expect("the directory");
    sockets.map(|entry| entry.expect("an entry").path()).next().expect("a socket")
}

/// So many who come and say nothing.
fn silent(world: &World, count: usize) -> Vec<UnixStream> {
    let socket = socket(world);
    let come = |_| UnixStream::connect(&socket).expect("somebody listens");
    (0..count).map(come).collect()
}

/// What somebody is told who says nothing, until the mount hangs up.
fn told(stream: UnixStream) -> String {
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    lines.read_line(&mut line).expect("a line");
    let mut rest = String::new();
    lines.read_to_string(&mut rest).expect("an end");
    assert_eq!(rest, "");
    let answer: Value = serde_json::from_str(&line).expect("JSON");
    answer["error"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_mount_without_a_free_descriptor_answers_when_it_has_one_again() {
    let (mut world, _) = World::notes(&[("a.txt", "alpha\n")]);
    let pid = world.mounted().pid().to_string();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("/proc").count();
    let mut command = world.program("prlimit");
    let out = command.args(["--pid", &pid, &format!("--nofile={}:", open + 8)]).output();
    assert!(out.as_ref().is_ok_and(|out| out.status.success()), "{out:?}");
    let many = silent(&world, 40);
    wait_until("the mount has no descriptor left", || {
        world.log().contains("nobody can ask on the control socket for now")
    });
    drop(many);
    let out = world.gistfs(&["status"]).arg(world.point()).output().expect("gistfs runs");
    assert!(out.status.success(), "{}", said(&out));
    assert!(said(&out).contains("everything is on GitHub"), "{}", said(&out));
    let warnings = world.log().matches("nobody can ask").count();
    assert!(warnings < 5, "{}", world.log());
}

#[test]
fn who_comes_and_asks_nothing_is_sent_away() {
    let (world, _) = World::notes(&[("a.txt", "alpha\n")]);
    let first = silent(&world, 1).remove(0);
    assert_eq!(told(first), "no question came within 5s");
}

#[test]
fn no_more_than_a_number_are_heard_at_one_time() {
    let (world, _) = World::notes(&[("a.txt", "alpha\n")]);
    let mut many = silent(&world, 65);
    let last = many.remove(64);
    assert_eq!(told(last), "too many ask this mount at one time");
    drop(many);
    wait_until("the mount answers again", || {
        let out = world.gistfs(&["status"]).arg(world.point()).output().expect("gistfs runs");
        said(&out).contains("everything is on GitHub")
    });
}
