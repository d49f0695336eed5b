//! What goes wrong with git is one clear error in time, and nobody is left running.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use gistfs::api::ApiError;
use gistfs::api::git::{GitApi as _, GitProgram};
use gistfs::demo::{Fault, FaultKind, Origin};
use gistfs::model::BlobId;

use crate::git_world::{Wanted, World, bodies_at, patience, processes, program, script};
use crate::github::status;
use crate::support::AMPLE;

/// Tells a version and does the rest of `text`.
fn git_like(text: &str) -> String {
    format!("if test \"$1\" = --version; then echo git version 2.40.1; exit; fi\n{text}")
}

/// Says its number and waits with a child for what never comes, deaf to what asks it to end.
const HANGS: &str = "trap '' TERM INT HUP PIPE\n(trap '' TERM INT HUP PIPE; sleep 600) &\nwait";

fn with_program(world: &World, text: &str) -> Arc<GitProgram> {
    let git = script(world.state.path(), text);
    world.another(|options| {
        options.program = Some(git);
        options.patience = patience(Duration::from_millis(500));
    })
}

/// The processes that work for a git program of this world.
fn at_work(world: &World) -> Vec<String> {
    processes("environ", world.state.path().to_str().unwrap())
}

#[track_caller]
fn wait_until_nobody_works(world: &World) {
    let until = Instant::now() + AMPLE;
    while !at_work(world).is_empty() {
        assert!(Instant::now() < until, "{:?}", at_work(world));
        thread::yield_now();
    }
}

#[test]
fn why_there_is_no_git_is_said_in_words() {
    let world = World::new();
    let id = world.seed(&[("a", b"a")]);
    assert_eq!(world.git.missing(), None);
    let path = world.state.path();
    let named =
        |program: Option<&Path>| world.another(|it| it.program = program.map(Path::to_owned));
    let none = path.join("none");
    for (git, why) in [
        (named(None), "--git none says so"),
        (named(Some(Path::new("no-such-git"))), "there is no program no-such-git"),
        (named(Some(&none)), "there is no program"),
        (named(Some(path)), "cannot be run"),
        (with_program(&world, "echo git version 2.20.1"), "is too old: 2.20.1; 2.31 is needed"),
        (with_program(&world, "echo git version 1.99"), "is too old: 1.99"),
        (with_program(&world, "echo nonsense"), "is no git"),
        (with_program(&world, "echo git version two"), "is no git"),
        (with_program(&world, "echo git version 2.40; exit 1"), "is no git"),
        (with_program(&world, ""), "is no git"),
    ] {
        let missing = git.missing().unwrap_or_default();
        assert!(missing.contains(why), "{missing}");
        let refused = git.fetch(&world.url(&id), &|| {}).err();
        assert!(matches!(&refused, Some(ApiError::Local { message, .. }) if message.contains(why)));
        assert!(bodies_at(&git, &world.url(&id), &[BlobId::of(b"a")]).is_err());
    }
    for text in ["echo git version 2.31.0", "echo 'git version 2.39.5 (Apple Git-154)'"] {
        assert_eq!(with_program(&world, text).missing(), None, "{text}");
    }
    assert_eq!(world.server.requests().len(), 0);
}

#[test]
fn a_git_that_hangs_is_ended_in_time_with_all_whom_it_started() {
    let world = World::new();
    let id = world.seed(&[("a", b"a")]);
    let started = Instant::now();
    let git = with_program(&world, &git_like(HANGS));
    let error = git.fetch(&world.url(&id), &|| {}).err();
    assert!(matches!(error, Some(ApiError::TimedOut { .. })), "{error:?}");
    let error = bodies_at(&git, &world.url(&id), &[BlobId::of(b"a")]).unwrap_err();
    assert!(matches!(error, ApiError::Local { errno: libc::ETIMEDOUT, .. }), "{error}");
    wait_until_nobody_works(&world);
    // One that hangs in the middle of a push.
    let text = format!("if test \"$1\" != push; then exec git \"$@\"; fi\n{HANGS}");
    let git = with_program(&world, &git_like(&text));
    let repository = git.fetch(&world.url(&id), &|| {}).unwrap();
    let error = Wanted::of(&[("b", "b")]).push(&*repository).unwrap_err();
    assert!(matches!(error, ApiError::TimedOut { .. }), "{error}");
    wait_until_nobody_works(&world);
    assert!(started.elapsed() < AMPLE, "{:?}", started.elapsed());
}

#[test]
fn a_server_that_hangs_is_given_up_and_git_with_it() {
    let world = World::new();
    let id = world.seed(&[("a", b"a")]);
    let git = world.another(|options| options.patience = patience(Duration::from_millis(500)));
    let repository = git.fetch(&world.url(&id), &|| {}).unwrap();
    for path in ["/info/refs", "/git-upload-pack"] {
        world.server.inject(Fault { path: path.into(), ..Fault::once(FaultKind::Hang) });
        let error = git.fetch(&world.url(&id), &|| {}).err();
        assert!(matches!(error, Some(ApiError::TimedOut { .. })), "{path} {error:?}");
        wait_until_nobody_works(&world);
    }
    let fault = Fault { path: "/git-receive-pack".into(), ..Fault::once(FaultKind::Hang) };
    world.server.inject(fault);
    let error = Wanted::of(&[("b", "b")]).push(&*repository).unwrap_err();
    assert!(matches!(error, ApiError::TimedOut { .. }), "{error}");
    wait_until_nobody_works(&world);
}

#[test]
fn what_takes_long_and_goes_on_is_waited_for() {
    let world = World::new();
    // Nothing that could be packed smaller.
    let body: Vec<u8> = (0..40_000_u32)
        .flat_map(|n| BlobId::of(&n.to_le_bytes()).to_string().into_bytes())
        .collect();
    let id = world.seed(&[("a", &body)]);
    world.server.with_switches(|switches| switches.speed = Some(400_000));
    let git = world.another(|options| options.patience = patience(Duration::from_millis(900)));
    let started = Instant::now();
    let got = bodies_at(&git, &world.url(&id), &[BlobId::of(&body)]).unwrap();
    assert_eq!(got, BTreeMap::from([(BlobId::of(&body), body)]));
    assert!(started.elapsed() > Duration::from_millis(1500), "{:?}", started.elapsed());
}

#[test]
fn a_git_that_nobody_watches_gives_up_a_server_that_hangs_by_itself() {
    let world = World::new();
    let id = world.seed(&[("a", b"a")]);
    // As ours, but sooner.
    let text = git_like("exec git -c http.lowSpeedTime=1 \"$@\"");
    let git = script(world.state.path(), &text);
    let git = world.another(|options| options.program = Some(git));
    let repository = git.fetch(&world.url(&id), &|| {}).unwrap();
    for path in ["/info/refs", "/git-upload-pack"] {
        world.server.inject(Fault { path: path.into(), ..Fault::once(FaultKind::Hang) });
        let error = git.fetch(&world.url(&id), &|| {}).err();
        assert!(matches!(error, Some(ApiError::TimedOut { .. })), "{path} {error:?}");
    }
    let fault = Fault { path: "/git-receive-pack".into(), ..Fault::once(FaultKind::Hang) };
    world.server.inject(fault);
    let started = Instant::now();
    let error = Wanted::of(&[("b", "b")]).push(&*repository).unwrap_err();
    assert!(matches!(error, ApiError::TimedOut { .. }), "{error}");
    assert!(started.elapsed() < AMPLE, "{:?}", started.elapsed());
}

#[test]
fn who_ends_the_mount_ends_git_at_once_and_for_good() {
    let world = World::new();
    let id = world.seed(&[("a", b"a")]);
    let git = world.another(|options| options.patience = patience(AMPLE));
    world.server.inject(Fault { path: "/info/refs".into(), ..Fault::once(FaultKind::Hang) });
    let (ending, url) = (Arc::clone(&git), world.url(&id));
    let waiting = thread::spawn(move || git.fetch(&url, &|| {}).err());
    let until = Instant::now() + AMPLE;
    while world.server.requests().is_empty() {
        assert!(Instant::now() < until);
        thread::yield_now();
    }
    let started = Instant::now();
    ending.stop();
    assert!(matches!(waiting.join().unwrap(), Some(ApiError::Lost { .. })));
    assert!(started.elapsed() < AMPLE / 2, "{:?}", started.elapsed());
    wait_until_nobody_works(&world);
    let error = ending.fetch(&world.url(&id), &|| {}).err();
    assert!(matches!(error, Some(ApiError::Lost { .. })), "{error:?}");
}

#[test]
fn a_git_that_does_nothing_or_talks_nonsense_is_an_error_and_never_a_success() {
    let world = World::new();
    let id = world.seed(&[("a", b"a")]);
    for text in
        ["exit 0", "echo nonsense", "echo nonsense >&2; exit 3", "kill -9 $$", "mkdir -p repo"]
    {
        let git = with_program(&world, &git_like(text));
        assert!(git.fetch(&world.url(&id), &|| {}).is_err(), "{text}");
        assert!(bodies_at(&git, &world.url(&id), &[BlobId::of(b"a")]).is_err(), "{text}");
    }
    // Each command in turn does nothing, or says something odd, where all others work.
    for command in ["clone", "symbolic-ref", "for-each-ref", "ls-tree", "cat-file", "fetch"] {
        for does in ["exit 0", "echo odd; exit 0", "exit 1", "head -c 1000000 /dev/zero; exit 0"] {
            let text = format!("if test \"$1\" = {command}; then {does}; fi\nexec git \"$@\"");
            let git = with_program(&world, &git_like(&text));
            let told = git.fetch(&world.url(&id), &|| {}).and_then(|repository| {
                let wanted = [BlobId::of(b"a")];
                crate::git_world::bodies_of(&*repository, &wanted)?;
                Ok(repository.head().clone())
            });
            let Ok(head) = told else { continue };
            panic!("{command}: {does}: {head:?}");
        }
    }
    let before = world.head(&id);
    for command in ["fast-import", "mktree", "ls-tree", "commit-tree", "push"] {
        for does in ["exit 0", "echo odd; exit 0", "exit 1"] {
            let flag = world.state.path().join("armed");
            let armed = format!("test \"$1\" = {command} && test -e '{}'", flag.display());
            let text = format!("if {armed}; then {does}; fi\nexec git \"$@\"");
            let git = with_program(&world, &git_like(&text));
            let repository = git.fetch(&world.url(&id), &|| {}).unwrap();
            std::fs::write(&flag, "").unwrap();
            let pushed = Wanted::of(&[("b", "b")]).push(&*repository);
            std::fs::remove_file(&flag).unwrap();
            assert!(pushed.is_err(), "{command}: {does}");
        }
    }
    assert_eq!(world.head(&id), before);
}

#[test]
fn what_a_server_answers_is_told_as_the_api_tells_it() {
    let world = World::new();
    let id = world.seed(&[("a", b"a")]);
    let repository = world.fetch(&id);
    let kind = |error: &ApiError| format!("{error:?}").split([' ', '(']).next().unwrap().to_owned();
    let page = "<html>sorry</html>";
    for (fault, reading, pushing) in [
        (status(401, ""), "Unauthorized", "Unauthorized"),
        (status(403, "no"), "Forbidden", "Forbidden"),
        (status(404, ""), "NotFound", "NotFound"),
        (status(413, ""), "Refused", "Refused"),
        (status(429, ""), "Limited", "Limited"),
        (status(500, page), "Server", "Server"),
        (status(502, ""), "Server", "Server"),
        (status(503, ""), "Server", "Server"),
        (FaultKind::Drop, "Lost", "Lost"),
        (FaultKind::Reset, "Lost", "Lost"),
        (FaultKind::CutShort, "Lost", "Lost"),
        (FaultKind::Html, "Nonsense", "Nonsense"),
    ] {
        for (path, push) in [
            ("/info/refs", false),
            ("/git-upload-pack", false),
            ("/info/refs", true),
            ("/git-receive-pack", true),
        ] {
            // A cut answer to a push was taken: that is another test.
            if push && path == "/git-receive-pack" && matches!(fault, FaultKind::CutShort) {
                continue;
            }
            let (origin, times) = (Some(Origin::Git), 20);
            let fault = Fault { origin, path: path.into(), times, ..Fault::once(fault.clone()) };
            world.server.inject(fault.clone());
            let error = match push {
                false => world.git.fetch(&world.url(&id), &|| {}).map(drop).unwrap_err(),
                true => Wanted::of(&[("b", "b")]).push(&*repository).unwrap_err(),
            };
            world.server.clear_faults();
            let page = matches!(fault.kind, FaultKind::Html);
            let expected = match push {
                // By then git has promised itself an answer of its own kind.
                true if page && path == "/git-receive-pack" => "Lost",
                true => pushing,
                false => reading,
            };
            assert_eq!(kind(&error), expected, "{path} {push} {:?}: {error}", fault.kind);
        }
    }
    assert_eq!(world.server.commits(&id).len(), 1);
    drop(world);
    let nobody = World::new();
    let closed = program("http://127.0.0.1:1", nobody.state.path(), |_| {});
    let error = closed.fetch("http://127.0.0.1:1/0a.git", &|| {}).err();
    assert!(matches!(error, Some(ApiError::Unreachable { .. })), "{error:?}");
}

#[test]
fn what_is_in_use_at_the_end_of_the_mount_is_removed_then() {
    let world = World::new();
    let id = world.seed(&[("a", b"a")]);
    let repository = world.fetch(&id);
    assert_eq!(world.left_behind().len(), 1);
    world.git.stop();
    assert_eq!(world.left_behind(), Vec::<std::path::PathBuf>::new());
    // Nothing comes after it.
    let error = world.git.fetch(&world.url(&id), &|| {}).err();
    assert!(matches!(error, Some(ApiError::Lost { .. })), "{error:?}");
    assert!(Wanted::of(&[("b", "b")]).push(&*repository).is_err());
    assert_eq!(world.left_behind(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn what_a_dead_process_left_is_removed_by_the_next_one() {
    let world = World::new();
    let id = world.seed(&[("a", b"a")]);
    let left = world.state.path().join("git/left/repo/objects");
    std::fs::create_dir_all(&left).unwrap();
    let repository = world.fetch(&id);
    assert_eq!(world.left_behind().len(), 2);
    let again = program(&world.server.api_url(), world.state.path(), |_| {});
    assert_eq!(world.left_behind().len(), 0);
    drop(repository);
    again.fetch(&world.url(&id), &|| {}).unwrap();
    assert_eq!(world.left_behind().len(), 0);
}
