//! What git is told and whom it tells: the token is in no argument list and goes to one origin.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use gistfs::api::ApiError;
use gistfs::api::git::GitApi as _;
use gistfs::demo::{Fault, FaultKind, ServerOptions};
use gistfs::model::BlobId;

use crate::git_world::{Wanted, World, bodies_at, processes, program, script};
use crate::github::options;
use crate::scripted::{Scripted, answer};
use crate::support::{LOG, TOKEN, listen_to_the_log};

#[test]
fn the_token_is_in_no_argument_list_while_git_runs() {
    listen_to_the_log();
    let world = World::with(ServerOptions { private_raw: true, ..options() });
    let id = world.seed(&[("a", b"a")]);
    let record = world.state.path().join("record");
    let text = format!(
        "{{ printf '<%s>' \"$@\"; echo; env; echo; }} >> '{}'\nexec git \"$@\"",
        record.display()
    );
    let git = script(world.state.path(), &text);
    let git = world.another(|options| options.program = Some(git));
    let done = AtomicBool::new(false);
    let seen = thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let (mut looks, mut seen) = (0, Vec::new());
            while !done.load(Ordering::Relaxed) {
                seen.extend(processes("cmdline", TOKEN));
                looks += processes("cmdline", "remote-http").len();
            }
            (looks, seen)
        });
        for number in 0..5 {
            let repository = git.fetch(&world.url(&id), &|| {}).unwrap();
            let body = format!("{number}");
            Wanted::of(&[("b", &body)]).push(&*repository).unwrap();
            bodies_at(&git, &world.url(&id), &[BlobId::of(body.as_bytes())]).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        looking.join().unwrap()
    });
    assert!(seen.0 > 0, "nobody was seen at work");
    assert_eq!(seen.1, [""; 0]);
    let record = std::fs::read_to_string(record).unwrap();
    for call in record.split("\n\n").filter(|call| !call.is_empty()) {
        let (arguments, environment) = call.split_once('\n').unwrap_or((call, ""));
        assert!(!arguments.contains(TOKEN), "{arguments}");
        let talks = ["<clone>", "<fetch>", "<push>"].iter().any(|talk| arguments.starts_with(talk));
        let holders: Vec<&str> = environment.lines().filter(|line| line.contains(TOKEN)).collect();
        assert_eq!(holders.len(), usize::from(talks), "{arguments}: {holders:?}");
        // Nothing of this process's own environment but where programs are.
        let known = [
            "PATH",
            "HOME",
            "TMPDIR",
            "LC_ALL",
            "SSH_ASKPASS",
            "GISTFS_GIT_TOKEN",
            "PWD",
            "OLDPWD",
            "SHLVL",
            "_",
        ];
        for line in environment.lines() {
            let name = line.split('=').next().unwrap();
            assert!(known.contains(&name) || name.starts_with("GIT_"), "{line}");
        }
    }
    for file in walk(world.state.path()) {
        let bytes = std::fs::read(&file).unwrap();
        let has = bytes.windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes());
        assert!(!has || file.ends_with("record"), "{}", file.display());
    }
    let logged = LOG.0.lock().unwrap().clone();
    assert!(logged.iter().all(|line| !line.contains(TOKEN)));
}

fn walk(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        match entry.path() {
            path if path.is_dir() => files.extend(walk(&path)),
            path => files.push(path),
        }
    }
    files
}

#[test]
fn a_redirect_takes_the_token_nowhere() {
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"] {
        let elsewhere = Scripted::start(|_| {
            let ask = answer("401 Unauthorized", "www-authenticate: Basic realm=\"x\"\r\n", "");
            vec![ask.clone(), ask.clone(), ask]
        });
        let to = elsewhere.url.clone();
        let moved = Scripted::start(|_| {
            let path = "/0a.git/info/refs?service=git-upload-pack";
            let headers = format!("location: {to}{path}\r\n");
            vec![answer(status, &headers, ""), answer(status, &headers, "")]
        });
        let state = tempfile::tempdir().unwrap();
        let git = program(&moved.url, state.path(), |_| {});
        let error = git.fetch(&format!("{}/0a.git", moved.url), &|| {}).err();
        assert!(matches!(error, Some(ApiError::Nonsense { .. })), "{error:?}");
        assert_eq!(moved.heard().len(), 1);
        assert_eq!(elsewhere.heard(), [""; 0]);
    }
}

#[test]
fn a_server_that_repeats_the_token_does_not_get_it_into_an_error() {
    let world = World::new();
    let id = world.seed(&[("a", b"a")]);
    let repository = world.fetch(&id);
    let plain = ("content-type".to_owned(), "text/plain".to_owned());
    for status in [400, 401, 403, 404, 429, 500] {
        let (headers, body) = (vec![plain.clone()], format!("no {TOKEN}\n"));
        let kind = FaultKind::Status { status, headers, body };
        world.server.inject(Fault { path: ".git/".into(), times: 9, ..Fault::once(kind) });
        let errors = [
            world.git.fetch(&world.url(&id), &|| {}).map(drop).unwrap_err(),
            Wanted::of(&[("b", "b")]).push(&*repository).map(drop).unwrap_err(),
        ];
        world.server.clear_faults();
        for error in errors {
            assert!(!format!("{error} {error:?}").contains(TOKEN), "{error}");
        }
    }
    world.server.with_switches(|switches| switches.refuse_push = Some(format!("no {TOKEN}")));
    let refused = Wanted::of(&[("b", "b")]).push(&*repository).unwrap_err();
    assert_eq!(refused, ApiError::Declined("no *** (pre-receive hook declined)".into()));
}

#[test]
fn an_address_of_another_host_is_never_gone_to() {
    let world = World::new();
    let elsewhere = Scripted::start(|_| vec![answer("200 OK", "", "")]);
    let record = world.state.path().join("record");
    let text = format!("echo \"$@\" >> '{}'\nexec git \"$@\"", record.display());
    let git = script(world.state.path(), &text);
    let git = world.another(|options| options.program = Some(git));
    let port = elsewhere.url.rsplit(':').next().unwrap();
    for url in [
        format!("http://localhost:{port}/0a.git"),
        format!("http://x:y@127.0.0.1:{port}/0a.git"),
        "https://gist.github.com/0a.git".into(),
        "ext::sh -c id".into(),
        "--upload-pack=id".into(),
        format!("ssh://127.0.0.1:{port}/0a.git"),
        format!("file://{}", world.state.path().display()),
    ] {
        let error = git.fetch(&url, &|| {}).err();
        assert!(matches!(error, Some(ApiError::Nonsense { .. })), "{url}");
        let error = bodies_at(&git, &url, &[BlobId::of(b"a")]).unwrap_err();
        assert!(matches!(error, ApiError::Nonsense { .. }), "{url}");
    }
    assert_eq!(std::fs::read_to_string(record).unwrap(), "--version\n");
    assert_eq!(elsewhere.heard(), [""; 0]);
}
