//! `.gistfs`: the mount tells of itself, in the words of the command.

use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use gistfs::demo::{Fault, FaultKind};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::shape::Shape;
use crate::world::{AMPLE, World, said, wait_until};

/// What `gistfs` prints with these arguments and the mount point.
#[track_caller]
fn printed(world: &World, arguments: &[&str]) -> String {
    let out = world.gistfs(arguments).arg(world.point()).output().expect("gistfs runs");
    assert!(out.status.success(), "{}", said(&out));
    String::from_utf8(out.stdout).expect("text")
}

/// Somebody who reads `.gistfs/events`.
struct Listener {
    child: Child,
    lines: Receiver<Value>,
}

impl Listener {
    #[track_caller]
    fn of(world: &World) -> Self {
        let mut command = world.program("cat");
        Self::started(command.arg(world.path(".gistfs/events")))
    }

    #[track_caller]
    fn started(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it runs");
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        let fd = format!("/proc/{}/fd", child.id());
        wait_until("it has the file open", || {
            let open = std::fs::read_dir(&fd).into_iter().flatten().flatten();
            let mut open = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
            open.any(|path| path.ends_with(".gistfs/events"))
        });
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in out.lines() {
                let line = line.expect("a line");
                if sender.send(serde_json::from_str(&line).expect("JSON")).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    #[track_caller]
    fn hears(&self) -> Value {
        self.lines.recv_timeout(AMPLE).expect("something happens")
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn what_is_read_there_is_what_the_command_prints() {
    let mut world = World::empty();
    world.seed("Notes", &[("a.txt", "alpha\n")]);
    world.seed("Other", &[("b.txt", "beta\n")]);
    world.mount(&["--write-back", "600", "--git", "none"]);
    world.sh("echo omega > Notes/a.txt; printf ' ' > Notes/blank; echo x > 'Other/b.txt'");
    assert_eq!(world.read(".gistfs/status"), printed(&world, &["status"]));
    assert_eq!(world.read(".gistfs/pending"), printed(&world, &["status", "--only", "pending"]));
    let limits = printed(&world, &["status", "--only", "rate-limit"]);
    assert_eq!(world.read(".gistfs/rate_limit"), limits);
    if world.shape == Shape::GitHub {
        assert!(limits.starts_with("quota: ") && limits.contains("\nchanges: 0 sent"), "{limits}");
    } else {
        assert_eq!(limits, "quota: no limit known\n");
    }
    let pending = world.read(".gistfs/pending");
    assert!(pending.starts_with("\"Other\": pending (changed since "), "{pending}");
    assert!(pending.contains("  added    \"blank\"  local: blank"), "{pending}");
    let out = world.gistfs(&["--version"]).output().expect("gistfs runs");
    assert_eq!(world.read(".gistfs/version").as_bytes(), out.stdout);
    let before = world.server.requests().len();
    world.sh("ls -la .gistfs > /dev/null; cat .gistfs/{pending,status,version} > /dev/null");
    assert_eq!(world.server.requests().len(), before, "it costs nothing to look");
}

#[test]
fn it_is_hidden_and_nothing_in_it_can_be_changed() {
    let (world, _) = World::notes(&[("a.txt", "alpha\n")]);
    assert_eq!(world.list(""), ["Notes"]);
    let names = ["events", "pending", "rate_limit", "status", "version"];
    assert_eq!(world.list(".gistfs"), names);
    for script in [
        "echo x > .gistfs/status",
        "echo x > .gistfs/new",
        "rm .gistfs/status",
        "mv .gistfs/status .gistfs/other",
        "rmdir .gistfs",
    ] {
        assert!(world.fails(script).contains("Read-only file system"), "{script}");
    }
    assert!(world.fails("cat .gistfs/other").contains("No such file"));
    assert!(world.fails("ls .gistfs/status/x").contains("Not a directory"));
}

#[test]
fn a_reader_of_events_hears_of_what_is_sent_and_what_changes_elsewhere() {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "alpha\n"), ("b.txt", "beta\n")]);
    world.mount(&["--refresh", "0.3"]);
    let listener = Listener::of(&world);
    world.write("Notes/a.txt", "omega\n");
    let line = listener.hears();
    assert_eq!(line["event"], "upload", "{line}");
    assert_eq!((&line["gist"], &line["id"]), (&json!("Notes"), &json!(id)), "{line}");
    assert_eq!((&line["files"], &line["change"]), (&json!(["a.txt"]), &json!("changed")));
    assert!(line["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
    world.server.commit(&id, &[("b.txt", Some(b"theirs\n")), ("c.txt", Some(b"new\n"))]);
    let line = listener.hears();
    assert_eq!((&line["event"], &line["change"]), (&json!("remote"), &json!("changed")), "{line}");
    assert_eq!(line["files"], json!(["b.txt", "c.txt"]), "{line}");
    let other = world.seed("Other", &[("o.txt", "other\n")]);
    let line = listener.hears();
    assert_eq!((&line["event"], &line["change"]), (&json!("remote"), &json!("added")), "{line}");
    assert_eq!((&line["id"], &line["files"]), (&json!(other), &json!(["o.txt"])), "{line}");
    world.sh("rm -r Notes");
    let line = listener.hears();
    assert_eq!((&line["event"], &line["change"]), (&json!("upload"), &json!("deleted")), "{line}");
    assert_eq!(line["gist"], "Notes", "{line}");
    assert_eq!(line["files"], json!(["a.txt", "b.txt", "c.txt"]), "{line}");
    world.server.remove(&other);
    // It is looked for before it is changed.
    world.write("Other/o.txt", "ours\n");
    let line = listener.hears();
    assert_eq!((&line["event"], &line["change"]), (&json!("remote"), &json!("deleted")), "{line}");
    assert_eq!((&line["gist"], &line["files"]), (&json!("Other"), &json!(["o.txt"])), "{line}");
}

#[test]
fn a_reader_of_events_hears_of_conflicts_and_errors() {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "alpha\n")]);
    world.mount(&["--write-back", "600", "--refresh", "600"]);
    let listener = Listener::of(&world);
    world.write("Notes/a.txt", "ours\n");
    world.server.commit(&id, &[("a.txt", Some(b"theirs\n"))]);
    let refused = FaultKind::Status { status: 422, headers: vec![], body: "{}".into() };
    let fault = Fault { method: Some("PATCH".into()), times: 2, ..Fault::once(refused) };
    world.server.inject(fault);
    let out = world.gistfs(&["sync"]).arg(world.point()).output().expect("gistfs runs");
    assert_eq!(out.status.code(), Some(1), "{}", said(&out));
    let lines = [listener.hears(), listener.hears(), listener.hears()];
    let named: Vec<&str> = lines.iter().filter_map(|line| line["event"].as_str()).collect();
    assert_eq!(named, ["remote", "conflict", "error"], "{lines:?}");
    let aside = lines[1]["files"][0].as_str().expect("a name");
    assert!(aside.starts_with("a.conflict-") && world.list("Notes").contains(&aside.to_owned()));
    assert!(lines[2]["why"].as_str().is_some_and(|why| why.contains("422")), "{lines:?}");
}

#[test]
fn a_reader_of_events_hears_of_the_network_and_of_limits() {
    let (world, _) = World::notes(&[("a.txt", "alpha\n")]);
    let listener = Listener::of(&world);
    let limit = FaultKind::SecondaryLimit { retry_after: Some(Duration::from_secs(1)) };
    world.server.inject(Fault { method: Some("PATCH".into()), ..Fault::once(limit) });
    world.write("Notes/a.txt", "omega\n");
    let line = listener.hears();
    assert_eq!((&line["event"], &line["gist"]), (&json!("error"), &Value::Null), "{line}");
    assert!(line["why"].as_str().is_some_and(|why| why.contains("rate limit")), "{line}");
    assert_eq!(listener.hears()["event"], "upload");
    world.server.inject(Fault { times: usize::MAX, ..Fault::once(FaultKind::Drop) });
    world.write("Notes/a.txt", "more\n");
    let words = |line: &Value| line["why"].as_str().unwrap_or_default().to_owned();
    let mut line = listener.hears();
    while !words(&line).contains("127.0.0.1") {
        line = listener.hears();
    }
    assert_eq!(line["event"], "error", "{line}");
    world.server.clear_faults();
    while line["event"] != "upload" {
        line = listener.hears();
    }
    assert_eq!(line["files"], json!(["a.txt"]), "{line}");
}

/// Each hears all of it, from the moment it opened the file.
#[test]
fn many_read_the_events_and_can_be_ended_while_nothing_happens() {
    let (mut world, _) = World::notes(&[("a.txt", "alpha\n")]);
    let first = Listener::of(&world);
    world.write("Notes/a.txt", "one\n");
    assert_eq!(first.hears()["event"], "upload");
    let mut byte_by_byte = world.program("/bin/bash");
    byte_by_byte.arg("-c").arg("while read -r line; do echo \"$line\"; done < .gistfs/events");
    let second = Listener::started(byte_by_byte.current_dir(world.point()));
    world.write("Notes/a.txt", "two\n");
    for listener in [&first, &second] {
        let line = listener.hears();
        assert_eq!(line["files"], json!(["a.txt"]), "{line}");
    }
    assert!(second.lines.try_recv().is_err(), "what was before is not told");
    let start = Instant::now();
    drop((first, second));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    world.unmount();
}

/// As event loops read: told that there is something, until there is nothing more.
#[test]
fn who_polls_the_events_is_woken_by_them_and_waits_in_no_read() {
    let (world, _) = World::notes(&[("a.txt", "alpha\n")]);
    let mut options = File::options();
    let options = options.read(true).custom_flags(libc::O_NONBLOCK);
    let mut events = options.open(world.path(".gistfs/events")).expect("it opens");
    let epoll = Epoll::new(EpollCreateFlags::empty()).expect("an epoll");
    let edges = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, 0);
    epoll.add(&events, edges).expect("added");
    let mut found = [EpollEvent::empty()];
    assert_eq!(epoll.wait(&mut found, EpollTimeout::ZERO), Ok(0), "nothing has happened");
    for text in ["one\n", "two\n"] {
        let mut lines = String::new();
        let nothing = events.read_to_string(&mut lines).expect_err("nothing has happened");
        assert_eq!((nothing.kind(), lines.as_str()), (ErrorKind::WouldBlock, ""));
        world.write("Notes/a.txt", text);
        let patience = EpollTimeout::try_from(AMPLE).expect("so long");
        assert_eq!(epoll.wait(&mut found, patience), Ok(1), "{text}");
        events.read_to_string(&mut lines).expect_err("nothing more has happened");
        let line: Value = serde_json::from_str(&lines).expect("one line");
        assert_eq!(line["files"], json!(["a.txt"]), "{line}");
    }
    let file = options.open(world.path("Notes/a.txt")).expect("it opens");
    let both = PollFlags::POLLIN | PollFlags::POLLOUT;
    let mut asked = [PollFd::new(file.as_fd(), both)];
    assert_eq!(poll(&mut asked, PollTimeout::ZERO), Ok(1), "of a file there always is more");
    assert_eq!(asked[0].revents(), Some(both));
}

/// Nobody could end it but by ending the reader.
#[test]
fn who_reads_the_events_of_a_mount_that_was_detached_holds_up_no_other() {
    let (mut world, _) = World::notes(&[("a.txt", "alpha\n")]);
    let mut listener = Listener::of(&world);
    let out = world.program("fusermount3").arg("-uz").arg(world.point()).output();
    assert!(out.as_ref().is_ok_and(|out| out.status.success()), "{out:?}");
    world.remount(&[]);
    assert_eq!(world.read("Notes/a.txt"), "alpha\n");
    assert!(listener.child.wait().expect("a child of ours").success(), "it came to an end");
}

#[test]
fn a_signal_to_the_mount_is_the_end_of_the_events() {
    let (mut world, _) = World::notes(&[("a.txt", "alpha\n")]);
    let mut listener = Listener::of(&world);
    world.write("Notes/a.txt", "omega\n");
    world.mounted().signal(Signal::SIGTERM);
    assert_eq!(listener.hears()["event"], "upload", "what the end sends is told");
    assert!(listener.child.wait().expect("a child of ours").success(), "it came to an end");
    world.mounted().ended();
    assert!(!world.log().contains("still in use"), "{}", world.log());
}

/// `--show-hidden` shows all of it to programs that walk the mount, but for what has no end.
#[test]
fn a_search_through_everything_does_not_wait_for_what_happens() {
    let mut world = World::empty();
    world.seed("Notes", &[("a.txt", "alpha\n")]);
    world.mount(&["--show-hidden"]);
    assert_eq!(world.list(".gistfs"), ["pending", "rate_limit", "status", "version"]);
    assert_eq!(
        world.sh("timeout 30 grep -rl everything .gistfs | sort"),
        ".gistfs/pending\n.gistfs/status\n"
    );
    let listener = Listener::of(&world);
    world.write("Notes/a.txt", "omega\n");
    assert_eq!(listener.hears()["event"], "upload");
}
