//! Git goes wrong in every way it can: nothing is lost, it is said, and it goes when it can.

use std::process::Command;

use gistfs::demo::{Account, Fault, FaultKind, Gate, Origin, ServerOptions};

use crate::pushed::{Files, expect_same, files_in};
use crate::world::{World, said, wait_until};

const WHEN_ASKED: &[&str] = &["--write-back", "600", "--refresh", "3600"];

/// `Notes` with `a.txt`, `Other` with `o.txt`, and the id of `Notes`.
fn notes(options: &[&str]) -> (World, String) {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "alpha\n")]);
    world.seed("Other", &[("o.txt", "other\n")]);
    world.mount(options);
    (world, id)
}

fn of_git(path: &str, kind: FaultKind) -> Fault {
    Fault { origin: Some(Origin::Git), path: path.to_owned(), ..Fault::once(kind) }
}

fn all_of_git(kind: FaultKind) -> Fault {
    Fault { times: 1_000_000, ..of_git("", kind) }
}

fn files(files: &[(&str, &[u8])]) -> Files {
    files.iter().map(|&(name, bytes)| (name.to_owned(), bytes.to_vec())).collect()
}

/// `gistfs sync`, in the background.
fn syncing(world: &World) -> std::process::Child {
    let mut sync: Command = world.gistfs(&["sync"]);
    sync.arg(world.point()).stdout(std::process::Stdio::null());
    sync.stderr(std::process::Stdio::null()).spawn().expect("gistfs runs")
}

/// `gistfs sync` that cannot send all, and what it says.
#[track_caller]
fn cannot_sync(world: &World, options: &[&str]) -> String {
    let out = world.gistfs(&["sync"]).args(options).arg(world.point()).output();
    let out = out.expect("gistfs runs");
    assert_eq!(out.status.code(), Some(1), "{}", said(&out));
    said(&out)
}

/// What `gistfs status` prints.
fn told(world: &World) -> String {
    said(&world.gistfs(&["status"]).arg(world.point()).output().expect("gistfs runs"))
}

/// The gist moves while the push waits to be acted on: both changes are there afterwards, each in a
/// commit on top of the other.
#[track_caller]
fn moved_during_a_push(moves: impl Fn(&World, &str)) -> (World, String) {
    let (world, id) = notes(WHEN_ASKED);
    let gate = Gate::default();
    world.server.inject(of_git("/git-receive-pack?", FaultKind::Hold(gate.clone())));
    world.sh("printf 'a\\0b' > Notes/nul.dat");
    let mut sync = syncing(&world);
    world.wait_for_git("POST", "/git-receive-pack?");
    let ours_is_not_there = |world: &World| {
        let files = world.server.files(&id).expect("the gist");
        files.values().all(|bytes| bytes != b"a\0b")
    };
    assert!(ours_is_not_there(&world));
    moves(&world, &id);
    assert!(ours_is_not_there(&world));
    let theirs = world.server.commits(&id);
    gate.open();
    assert!(sync.wait().expect("it ends").success());
    let commits = world.server.commits(&id);
    assert_eq!(commits.len(), theirs.len() + 1);
    assert_eq!(commits[1..], theirs, "nothing that was there is rewritten");
    world.expect_tidy();
    (world, id)
}

#[test]
fn a_push_that_the_api_overtakes_is_made_again_on_top() {
    let (mut world, id) = moved_during_a_push(|world, id| {
        world.server.commit(id, &[("theirs.txt", Some(b"theirs\n")), ("a.txt", Some(b"omega\n"))]);
    });
    let wanted = files(&[("a.txt", b"omega\n"), ("nul.dat", b"a\0b"), ("theirs.txt", b"theirs\n")]);
    world.same_everywhere(&id, "Notes", &wanted);
}

#[test]
fn a_push_that_another_push_overtakes_is_made_again_on_top() {
    let (mut world, id) = moved_during_a_push(|world, id| {
        let clone = world.clone_of(id);
        std::fs::write(clone.path().join("theirs.bin"), b"\xff\xfe").expect("it is written");
        world.git(clone.path(), &["add", "-A"]);
        world.git(clone.path(), &["commit", "-qm", "theirs"]);
        world.git(clone.path(), &["push", "-q"]);
    });
    let wanted = files(&[("a.txt", b"alpha\n"), ("nul.dat", b"a\0b"), ("theirs.bin", b"\xff\xfe")]);
    world.same_everywhere(&id, "Notes", &wanted);
}

/// Both sides changed the same bytes, which no merge by lines can join.
#[test]
fn a_binary_changed_on_both_sides_during_a_push_is_kept_twice() {
    let (world, id) = moved_during_a_push(|world, id| {
        world.server.commit(id, &[("nul.dat", Some(b"their\0s"))]);
    });
    let found = world.server.files(&id).expect("the gist");
    assert_eq!(found["nul.dat"], b"their\0s");
    let ours: Vec<&String> =
        found.keys().filter(|name| name.starts_with("nul.conflict-")).collect();
    assert_eq!(ours.len(), 1, "{:?}", found.keys());
    assert_eq!(found[ours[0]], b"a\0b");
    expect_same("the mount", &files_in(&world.path("Notes")), &found);
}

#[test]
fn a_declined_push_is_told_in_the_server_s_words_and_goes_when_it_may() {
    let (mut world, id) = notes(&["--refresh", "3600"]);
    let no = "Nothing is taken on Sundays.";
    world.server.with_switches(|switches| switches.refuse_push = Some(no.to_owned()));
    world.sh("printf 'a\\0b' > Notes/nul.dat; echo more >> Other/o.txt");
    let complaint = cannot_sync(&world, &[]);
    assert!(complaint.contains(no), "{complaint}");
    assert!(told(&world).contains(no), "{}", told(&world));
    assert!(world.read("Notes/.gist/sync").contains(no), "{}", world.read("Notes/.gist/sync"));
    assert!(world.owed("Other").is_none(), "other gists go on");
    assert_eq!(world.server.commits(&id).len(), 1);
    assert_eq!(std::fs::read(world.path("Notes/nul.dat")).expect("it reads"), b"a\0b");
    // It is not tried again by itself.
    let pushes = world.pushes();
    world.canary();
    assert_eq!(world.pushes(), pushes);
    world.server.with_switches(|switches| switches.refuse_push = None);
    world.synced();
    world.expect_tidy();
    world.same_everywhere(&id, "Notes", &files(&[("a.txt", b"alpha\n"), ("nul.dat", b"a\0b")]));
}

/// Longer than GitHub takes, which a mount with the usual limit would not have let in.
#[test]
fn a_file_that_the_server_finds_too_long_is_told_in_its_words() {
    let (world, id) = notes(WHEN_ASKED);
    world.server.with_switches(|switches| switches.push_ceiling = 1 << 20);
    world.sh("head -c 2097152 /dev/urandom > Notes/big.bin");
    let complaint = cannot_sync(&world, &[]);
    assert!(complaint.contains("big.bin is 2.00 MB"), "{complaint}");
    assert_eq!(world.server.commits(&id).len(), 1);
    world.sh("truncate -s 1M Notes/big.bin");
    world.synced();
    assert_eq!(world.server.commits(&id).len(), 2);
}

/// A mount without git keeps what it cannot send and says why; one with git sends it.
#[track_caller]
fn stays_until_there_is_git(options: &[&str], environment: (&str, &str), why: &str) {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "alpha\n")]);
    assert!(world.try_mount(options, (environment.0, environment.1.to_owned())), "{}", world.log());
    assert!(world.log().contains(why), "it is said: {}", world.log());
    world.sh("printf 'a\\0b' > Notes/nul.dat; > Notes/empty; echo omega > Notes/a.txt; mkdir New; printf '\\377' > New/n");
    let complaint = cannot_sync(&world, &[]);
    assert!(complaint.contains("git"), "{complaint}");
    assert!(told(&world).contains("git"), "{}", told(&world));
    for name in ["empty", "nul.dat"] {
        let sync = world.read("Notes/.gist/sync");
        let line = sync.lines().find(|line| line.contains(name));
        assert!(line.is_some_and(|line| line.contains("  local: ")), "{sync}");
    }
    assert_eq!(world.asked_of_git(), Vec::<String>::new());
    assert_eq!(world.texts(&id)["a.txt"], "omega\n", "what REST carries goes");
    assert_eq!(world.server.gist_ids("octo").len(), 1, "and no placeholder is made for the rest");
    world.mount_again(WHEN_ASKED);
    world.synced();
    let wanted = files(&[("a.txt", b"omega\n"), ("empty", b""), ("nul.dat", b"a\0b")]);
    expect_same("GitHub", &world.server.files(&id).expect("the gist"), &wanted);
    assert_eq!(world.server.gist_ids("octo").len(), 2);
    world.same_everywhere(&id, "Notes", &wanted);
    expect_same("New", &files_in(&world.path("New")), &files(&[("n", b"\xff")]));
}

#[test]
fn without_git_by_choice_it_stays_local_and_goes_when_mounted_with_git() {
    stays_until_there_is_git(&["--git", "none"], ("UNUSED", ""), "because --git none says so");
}

#[test]
fn without_git_installed_it_stays_local_and_goes_when_there_is_git() {
    // fusermount3 and nothing else.
    let bin = tempfile::tempdir().expect("a directory");
    let found = ["/usr/bin/fusermount3", "/bin/fusermount3"].into_iter();
    let program = found.map(std::path::Path::new).find(|path| path.exists()).expect("fuse3");
    std::os::unix::fs::symlink(program, bin.path().join("fusermount3")).expect("a link");
    let path = bin.path().to_str().expect("a path");
    stays_until_there_is_git(&[], ("PATH", path), "because the git program is not installed");
}

#[test]
fn while_git_hangs_everything_else_goes_on_and_sync_says_so() {
    let (mut world, id) = notes(&["--refresh", "3600"]);
    world.server.inject(all_of_git(FaultKind::Hang));
    world.sh("printf 'a\\0b' > Notes/nul.dat");
    world.wait_for_git("GET", "info/refs");
    assert_eq!(world.sh("cat Notes/a.txt Other/o.txt"), "alpha\nother\n");
    world.sh("echo more >> Other/o.txt; echo omega > Notes/a.txt");
    wait_until("another gist goes", || world.owed("Other").is_none());
    let complaint = cannot_sync(&world, &["--timeout", "1"]);
    assert!(complaint.contains("Notes"), "{complaint}");
    assert_eq!(world.server.commits(&id).len(), 1);
    world.server.clear_faults();
    // The next mount's git does not hang.
    world.mounted().signal(nix::sys::signal::Signal::SIGTERM);
    world.forget_mount();
    world.mount(WHEN_ASKED);
    world.synced();
    world.expect_tidy();
    world.same_everywhere(&id, "Notes", &files(&[("a.txt", b"omega\n"), ("nul.dat", b"a\0b")]));
}

/// What git is refused with, and a word that is said about it.
#[test]
fn credentials_that_git_is_refused_with_lose_nothing() {
    for status in [401, 403] {
        let (mut world, id) = notes(&["--refresh", "3600"]);
        let refusal = FaultKind::Status { status, headers: vec![], body: "no\n".to_owned() };
        world.server.inject(all_of_git(refusal));
        world.sh("printf 'a\\0b' > Notes/nul.dat; echo more >> Other/o.txt");
        let complaint = cannot_sync(&world, &[]);
        assert!(complaint.contains("Notes"), "{status}: {complaint}");
        assert!(world.owed("Notes").is_some() && world.owed("Other").is_none(), "{status}");
        // A refusal is not asked for again and again.
        let asked = world.asked_of_git().len();
        world.canary();
        assert_eq!(world.asked_of_git().len(), asked, "{status}");
        assert_eq!(world.server.commits(&id).len(), 1);
        world.server.clear_faults();
        world.synced();
        let wanted = files(&[("a.txt", b"alpha\n"), ("nul.dat", b"a\0b")]);
        world.same_everywhere(&id, "Notes", &wanted);
    }
}

/// What passes by itself is tried again by itself.
#[test]
fn errors_of_the_network_and_the_server_pass() {
    let broken = |status| FaultKind::Status { status, headers: vec![], body: "no\n".to_owned() };
    let faults =
        [broken(503), FaultKind::Drop, FaultKind::CutShort, FaultKind::Html, FaultKind::LoseAnswer];
    for path in [
        "info/refs?service=git-upload",
        "/git-upload-pack?",
        "info/refs?service=git-receive",
        "/git-receive-pack?",
    ] {
        let (mut world, id) = notes(&["--refresh", "3600"]);
        let mut wanted = files(&[("a.txt", b"alpha\n")]);
        for (number, kind) in faults.iter().enumerate() {
            // curl asks twice where a connection it used before ends without an answer.
            world.server.inject(Fault { times: 2, ..of_git(path, kind.clone()) });
            let bytes = format!("{number}\0").into_bytes();
            wanted.insert("nul.dat".to_owned(), bytes.clone());
            std::fs::write(world.path("Notes/nul.dat"), bytes).expect("it is written");
            wait_until(&format!("{path} {kind:?} passes"), || {
                let out = world.gistfs(&["sync"]).arg(world.point()).output();
                out.expect("gistfs runs").status.success()
            });
            world.server.clear_faults();
            expect_same(path, &world.server.files(&id).expect("the gist"), &wanted);
            assert_eq!(world.server.commits(&id).len(), number + 2, "{path} {kind:?}: one commit");
        }
        world.expect_tidy();
        world.same_everywhere(&id, "Notes", &wanted);
    }
}

/// An older Enterprise Server: no filters, no single objects, protocol 0.
#[test]
fn a_server_that_offers_git_little_is_enough() {
    let mut world = World::empty();
    world.server.with_switches(|switches| {
        switches.git_filters = false;
        switches.git_any_object = false;
        switches.git_protocol_2 = false;
        switches.ranges = false;
    });
    let big = crate::pushed::noise(11 << 20, 1);
    let id = world.seed("Notes", &[("a.txt", "alpha\n")]);
    world.server.commit(&id, &[("big.bin", Some(&big))]);
    world.mount(WHEN_ASKED);
    assert!(std::fs::read(world.path("Notes/big.bin")).expect("it reads") == big);
    world.sh("printf 'a\\0b' > Notes/nul.dat");
    world.synced();
    let mut wanted = files(&[("a.txt", b"alpha\n"), ("nul.dat", b"a\0b")]);
    wanted.insert("big.bin".to_owned(), big);
    world.same_everywhere(&id, "Notes", &wanted);
}

/// Easy to find wherever it should not be.
const TOKEN: &str = "ghp_HuntForMe0123456789abcdefghijklmnop";

/// Every program that is started below gistfs is recorded with all its arguments.
#[test]
fn the_token_is_in_no_argument_and_in_no_file() {
    let accounts = vec![Account::classic("octo", TOKEN, &["gist"])];
    let mut world = World::with(ServerOptions { accounts, ..ServerOptions::default() });
    world.token = TOKEN;
    world.verbosity = &["-vv"];
    let id = world.seed("Notes", &[("a.txt", "alpha\n")]);
    let trace = world.home().join("trace");
    let mount = world.mount_command(WHEN_ASKED);
    let mut command = world.program("strace");
    command.env("GH_TOKEN", TOKEN);
    command.args(["-f", "-qq", "-s", "100000", "-e", "trace=execve", "-o"]).arg(&trace);
    command.arg(mount.get_program()).args(mount.get_args());
    world.mount_with(&mut command);
    world.server.with_switches(|switches| switches.refuse_push = Some("no".to_owned()));
    world.sh("printf 'a\\0b' > Notes/nul.dat");
    let complaint = cannot_sync(&world, &[]);
    assert!(!complaint.contains("HuntForMe"), "{complaint}");
    world.server.with_switches(|switches| switches.refuse_push = None);
    world.synced();
    assert_eq!(world.server.commits(&id).len(), 2);
    let executed = std::fs::read_to_string(&trace).expect("a trace");
    assert!(executed.contains("git-remote-http"), "{executed}");
    for part in ["HuntForMe", "ghijklmnop"] {
        assert!(!executed.contains(part), "a command line tells the token:\n{executed}");
        assert!(!world.log().contains(part), "the log tells the token:\n{}", world.log());
    }
    for request in world.server.requests() {
        let address = format!("{}?{}", request.path, request.query);
        assert!(!address.contains("HuntForMe"), "{address}");
        assert!(request.origin != Origin::Raw || !request.has_token());
    }
    crate::secrets::expect_no_secret_below(&world.state());
    world.unmount();
    crate::secrets::expect_no_secret_below(&world.state());
}
