//! Killed at every step of the way by git: nothing is lost, nothing is doubled, no placeholder stays,
//! and nothing is left lying about.

use std::process::Stdio;

use gistfs::demo::{Fault, FaultKind, Gate, LoggedRequest, Origin, Seed};

use crate::matrix::in_parallel;
use crate::pushed::{Files, expect_same, files_in, noise};
use crate::world::{World, wait_until};

const WHEN_ASKED: &[&str] = &["--write-back", "600", "--refresh", "3600", "--read-lag", "1"];

/// A request on the way, and when it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum When {
    /// The server has not acted on it.
    Before,
    /// It has, and its answer has not come.
    After,
}

/// The requests by which a change goes, in order: the name, the method, what only its address has.
const STEPS: [(&str, &str, &str); 6] = [
    ("create", "POST", "/gists?"),
    ("look", "GET", "/gists/"),
    ("refs to fetch", "GET", "info/refs?service=git-upload-pack"),
    ("fetch", "POST", "/git-upload-pack?"),
    ("refs to push", "GET", "info/refs?service=git-receive-pack"),
    ("push", "POST", "/git-receive-pack?"),
];

/// What is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    /// A gist that GitHub has gets a binary file and another text.
    Known,
    /// A new gist of text and of what REST cannot carry.
    New,
    /// A new gist of which REST can carry nothing.
    NewWithoutText,
}

impl Change {
    fn script(self) -> &'static str {
        match self {
            Self::Known => "printf 'a\\0b' > Notes/nul.dat; echo omega > Notes/a.txt",
            Self::New => {
                "mkdir New; echo text > New/t.txt; printf 'a\\0b' > New/nul.dat; > New/empty"
            }
            Self::NewWithoutText => "mkdir New; printf 'a\\0b' > New/nul.dat; > New/empty",
        }
    }

    fn directory(self) -> &'static str {
        match self {
            Self::Known => "Notes",
            Self::New | Self::NewWithoutText => "New",
        }
    }

    fn files(self) -> Files {
        let files: &[(&str, &[u8])] = match self {
            Self::Known => &[("a.txt", b"omega\n"), ("nul.dat", b"a\0b")],
            Self::New => &[("empty", b""), ("nul.dat", b"a\0b"), ("t.txt", b"text\n")],
            Self::NewWithoutText => &[("empty", b""), ("nul.dat", b"a\0b")],
        };
        files.iter().map(|&(name, bytes)| (name.to_owned(), bytes.to_vec())).collect()
    }

    /// Whether a change of this kind takes that step.
    fn takes(self, step: &str) -> bool {
        match self {
            Self::Known => step != "create",
            Self::New | Self::NewWithoutText => step != "look",
        }
    }
}

/// Kills the mount at a step and looks at what the next one makes of it.
fn killed_at(step: &str, change: Change, when: When) {
    let (_, method, path) = STEPS.into_iter().find(|(name, ..)| *name == step).expect("a step");
    let mut world = World::empty();
    let notes = world.seed("Notes", &[("a.txt", "alpha\n")]);
    world.mount(WHEN_ASKED);
    world.server.forget_requests();
    world.sh(change.script());
    let gate = Gate::default();
    let kind = match when {
        When::Before => FaultKind::Hang,
        When::After => FaultKind::HoldAnswer(gate.clone()),
    };
    let origin = if path.starts_with("/gists") { Origin::Api } else { Origin::Git };
    let fault =
        Fault { origin: Some(origin), method: Some(method.to_owned()), ..Fault::once(kind) };
    // Whatever is asked twice by itself must not get through.
    world.server.inject(Fault { path: path.to_owned(), times: 2, ..fault });
    let mut sync = world.gistfs(&["sync"]).arg(world.point()).spawn().expect("gistfs runs");
    let asked = |r: &LoggedRequest| {
        r.origin == origin && r.method == method && format!("{}?{}", r.path, r.query).contains(path)
    };
    wait_until(&format!("{step} is asked for"), || world.server.requests().iter().any(asked));
    if when == When::After {
        wait_until(&format!("{step} is acted on"), || acted_on(&world, &notes, step, change));
    }
    world.crash();
    sync.wait().expect("it ends");
    world.server.clear_faults();
    gate.open();

    world.mount(WHEN_ASKED);
    let (directory, files) = (change.directory(), change.files());
    expect_same("the next mount", &files_in(&world.path(directory)), &files);
    // Whether a gist was made is not known for as long as lists may lag.
    wait_until("all is sent", || {
        let out = world.gistfs(&["sync"]).arg(world.point()).output();
        out.expect("gistfs runs").status.success()
    });
    expect_same("the next mount, synced", &files_in(&world.path(directory)), &files);
    world.expect_tidy();
    let mut ids = world.server.gist_ids("octo");
    ids.retain(|id| change == Change::Known || *id != notes);
    assert_eq!(ids.len(), 1, "{step}, {change:?}, {when:?}: made once");
    expect_same("GitHub", &world.server.files(&ids[0]).expect("the gist"), &files);
    let commits = world.server.commits(&ids[0]).len();
    assert_eq!(commits, 2, "{step}, {change:?}, {when:?}: each change is made once");
    assert_eq!(world.texts(&notes).len(), if change == Change::Known { 2 } else { 1 });
    world.same_everywhere(&ids[0], directory, &files);
}

/// Whether the server has done what the step asks for.
fn acted_on(world: &World, notes: &str, step: &str, change: Change) -> bool {
    let has =
        |id: &String| world.server.files(id).is_some_and(|files| files.contains_key("nul.dat"));
    match step {
        "create" => world.server.gist_ids("octo").len() == 2,
        _ if change == Change::Known => has(&notes.to_owned()),
        _ => world.server.gist_ids("octo").iter().any(has),
    }
}

#[test]
fn killed_at_every_step_of_the_way_by_git() {
    let mut tasks = Vec::new();
    for (step, ..) in STEPS {
        for change in [Change::Known, Change::New, Change::NewWithoutText] {
            if change.takes(step) {
                tasks.push((step, (change, When::Before)));
                if matches!(step, "create" | "push") {
                    tasks.push((step, (change, When::After)));
                }
            }
        }
    }
    let count = tasks.len();
    let table = in_parallel(tasks, 4, |step, (change, when)| killed_at(step, change, when));
    let failed: Vec<_> =
        table.iter().filter(|(_, ended)| ended.is_none()).map(|(at, _)| at).collect();
    assert_eq!((table.len(), failed.len()), (count, 0), "{failed:?}");
}

/// A body of which the raw address is no help, so that git brings it.
#[test]
fn killed_while_a_body_comes_by_git() {
    for (_, method, path) in &STEPS[2..4] {
        let mut world = World::empty();
        let large = noise(11 << 20, 1);
        let files = vec![("large.bin".to_owned(), large.clone())];
        let description = Some("Notes".to_owned());
        world.server.seed("octo", Seed { description, files, ..Seed::default() });
        world.mount(WHEN_ASKED);
        let fault = Fault::once(FaultKind::Hang);
        let (origin, method) = (Some(Origin::Git), Some((*method).to_owned()));
        world.server.inject(Fault { origin, method, path: (*path).to_owned(), ..fault });
        let mut cat = world.program("cat");
        cat.arg(world.path("Notes/large.bin")).stdout(Stdio::null()).stderr(Stdio::null());
        let mut cat = cat.spawn().expect("cat runs");
        world.wait_for_git("GET", "info/refs");
        wait_until("it hangs", || {
            let requests = world.server.requests();
            requests.iter().any(|r| r.origin == Origin::Git && r.status == 0)
        });
        world.crash();
        assert!(!cat.wait().expect("it ends").success());
        world.server.clear_faults();
        world.mount(WHEN_ASKED);
        world.expect_tidy();
        assert!(std::fs::read(world.path("Notes/large.bin")).expect("it reads") == large);
        world.expect_tidy();
    }
}

/// The processes that work in this world's state.
fn at_work(world: &World) -> usize {
    let home = format!("HOME={}", world.state().display());
    let processes = std::fs::read_dir("/proc").expect("processes").flatten();
    let environment = |process: std::fs::DirEntry| std::fs::read(process.path().join("environ"));
    let texts = processes.filter_map(|process| environment(process).ok());
    texts.filter(|text| String::from_utf8_lossy(text).contains(&home)).count()
}

/// A signal while the gists are listed for the first time, before anything is mounted.
#[test]
fn a_signal_during_the_first_listing_ends_git_too() {
    for signal in [nix::sys::signal::Signal::SIGTERM, nix::sys::signal::Signal::SIGINT] {
        let world = World::empty();
        let files = (0..301).map(|n| (format!("{n:03}"), vec![b'x'; 3])).collect();
        let description = Some("Many".to_owned());
        world.server.seed("octo", Seed { description, files, ..Seed::default() });
        let fault = Fault { origin: Some(Origin::Git), ..Fault::once(FaultKind::Hang) };
        world.server.inject(fault);
        let mut mount = world.mount_command(WHEN_ASKED).spawn().expect("gistfs runs");
        world.wait_for_git("GET", "info/refs");
        assert_ne!(at_work(&world), 0);
        let number = i32::try_from(mount.id()).expect("a process id");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(number), signal).expect("it lives");
        let status = mount.wait().expect("it ends");
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(signal as i32));
        wait_until("git is gone", || at_work(&world) == 0);
        world.expect_tidy();
    }
}
