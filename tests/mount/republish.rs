//! `gistfs publish`, when something else happens meanwhile.

use std::process::{Child, Output, Stdio};

use gistfs::demo::{Fault, FaultKind};
use nix::sys::signal::Signal;

use crate::mounted::GISTFS;
use crate::terminal::Terminal;
use crate::world::{World, said, wait_until};

/// Begins `gistfs publish --yes Notes`.
fn begin(world: &World) -> Child {
    let mut command = world.gistfs(&["publish", "--yes"]);
    // Nothing in the mount is in use: it can be unmounted.
    command.arg(world.path("Notes")).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("gistfs runs")
}

fn publish(world: &World) -> Output {
    begin(world).wait_with_output().expect("it ends")
}

/// It failed with this code; what it complained of.
#[track_caller]
fn failed(out: &Output, code: i32) -> String {
    assert_eq!(out.status.code(), Some(code), "{}", said(out));
    String::from_utf8_lossy(&out.stderr).into_owned()
}

/// Whether something unsent is kept.
fn owes(world: &World) -> bool {
    let output = std::process::Command::new("find")
        .arg(world.state())
        .args(["-path", "*/owed/*.json"])
        .output()
        .expect("find runs");
    !output.stdout.is_empty()
}

/// A mount with a gist, and a command that waits for its turn to publish that.
fn waiting() -> (World, Child) {
    let mut world = World::empty();
    world.seed("Notes", &[("a.txt", "alpha\n")]);
    world.mount(&["--refresh", "600", "--write-interval", "50"]);
    world.sh(&format!("{GISTFS} star Notes"));
    let child = begin(&world);
    wait_until("the copy waits for its turn", || owes(&world));
    (world, child)
}

/// Nothing was sent but the star.
#[track_caller]
fn made_nothing(world: &World) {
    let methods: Vec<String> = world.changes().iter().map(|r| r.method.clone()).collect();
    assert_eq!(methods, ["PUT"]);
    assert!(!world.list("").iter().any(|name| name.starts_with("Notes (")));
}

#[test]
fn what_changed_on_github_meanwhile_is_published_as_it_is_there_now() {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "password\n")]);
    world.mount(&["--refresh", "600"]);
    world.read("Notes/a.txt");
    world.server.commit(&id, &[("a.txt", Some(b"nothing\n"))]);
    let out = publish(&world);
    assert!(out.status.success(), "{}", said(&out));
    world.saved();
    let all = world.server.gist_ids("octo");
    let made: Vec<&String> = all.iter().filter(|id| world.server.public(id)).collect();
    assert_eq!(made.len(), 1);
    assert_eq!(world.texts(made[0])["a.txt"], "nothing\n");
    assert!(!all.contains(&id), "and the old one does not come back");
    assert_eq!(world.list("").iter().filter(|name| name.starts_with("Notes")).count(), 1);
}

#[test]
fn a_copy_that_was_not_sent_when_the_mount_was_killed_is_never_sent() {
    let (mut world, child) = waiting();
    world.crash();
    let words = failed(&child.wait_with_output().expect("it ends"), 1);
    assert!(words.contains("not known whether") && words.contains("say it again"), "{words}");
    world.mount(&[]);
    world.saved();
    made_nothing(&world);
}

#[test]
fn a_copy_that_was_not_sent_is_not_sent_because_the_mount_ends() {
    let (mut world, child) = waiting();
    world.unmount();
    failed(&child.wait_with_output().expect("it ends"), 1);
    world.mount(&[]);
    world.saved();
    made_nothing(&world);
}

#[test]
fn who_stops_the_command_before_the_copy_is_sent_has_stopped_it() {
    let (mut world, child) = waiting();
    let pid = nix::unistd::Pid::from_raw(child.id() as i32);
    nix::sys::signal::kill(pid, Signal::SIGINT).expect("it runs");
    child.wait_with_output().expect("it ends");
    wait_until("the copy is taken back", || !owes(&world));
    world.unmount();
    world.mount(&[]);
    made_nothing(&world);
}

#[test]
fn said_again_it_goes_on_with_the_copy_there_is() {
    let (mut world, id) = World::notes(&[("a.txt", "alpha\n")]);
    {
        let terminal = Terminal::run(&world, &format!("{GISTFS} publish Notes; exec cat"));
        terminal.shows("[y/N]");
        terminal.types("n\n");
        terminal.shows("Both stay.");
    }
    let out = publish(&world);
    assert!(out.status.success(), "{}", said(&out));
    world.saved();
    let methods: Vec<String> = world.changes().iter().map(|r| r.method.clone()).collect();
    assert_eq!(methods, ["POST", "DELETE"], "one copy is enough");
    assert!(!world.server.gist_ids("octo").contains(&id));
}

#[test]
fn the_old_one_stays_if_the_new_one_does_not_or_is_another() {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "alpha\n")]);
    world.mount(&["--write-back", "600"]);
    for (change, why) in [
        ("echo more >> \"$new/a.txt\"", "of the new one"),
        ("rm -r \"$new\"", "not there any more"),
    ] {
        let command = format!("{GISTFS} publish Notes; echo code $?; exec cat");
        let terminal = Terminal::run(&world, &command);
        terminal.shows("[y/N]");
        world.sh(&format!("new=$(ls -d Notes\\ \\(*); {change}"));
        terminal.types("y\n");
        terminal.shows("code 1");
        terminal.shows("the old one stays: ");
        terminal.shows(why);
        drop(terminal);
        world.sh("ls -d Notes\\ \\(* | xargs -d '\\n' -r rm -r");
        assert_eq!(world.read("Notes/a.txt"), "alpha\n");
    }
    assert!(world.server.gist_ids("octo").contains(&id));
}

#[test]
fn what_changes_on_github_while_publishing_asks_is_not_removed() {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "alpha\n")]);
    world.mount(&["--refresh", "600"]);
    {
        let command = format!("{GISTFS} publish Notes; echo code $?; exec cat");
        let terminal = Terminal::run(&world, &command);
        terminal.shows("[y/N]");
        world.server.commit(&id, &[("a.txt", Some(b"omega\n"))]);
        terminal.types("y\n");
        terminal.shows("code 1");
        terminal.shows("not the same any more");
    }
    world.saved();
    let methods: Vec<String> = world.changes().iter().map(|r| r.method.clone()).collect();
    assert_eq!(methods, ["POST"], "nothing is deleted");
    assert_eq!(world.read("Notes/a.txt"), "omega\n");
}

#[test]
fn what_is_gone_from_github_is_not_published() {
    let (world, id) = World::notes(&[("a.txt", "alpha\n")]);
    world.server.remove(&id);
    let words = failed(&publish(&world), 1);
    assert!(words.contains("not there any more"), "{words}");
    assert!(world.changes().is_empty());
}

#[test]
fn while_it_cannot_be_seen_what_github_has_nothing_is_published() {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "alpha\n")]);
    world.mount(&["--refresh", "600"]);
    world.server.inject(Fault { times: usize::MAX, ..Fault::once(FaultKind::Drop) });
    let words = failed(&publish(&world), 5);
    assert!(words.contains("cannot be seen") && words.contains("nothing has changed"), "{words}");
    world.server.clear_faults();
    assert!(world.changes().is_empty() && world.server.gist_ids("octo") == [id]);
}
