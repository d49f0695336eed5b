//! The token goes to the API and nowhere else, whatever is logged and whatever goes wrong.

use std::path::Path;
use std::time::Duration;

use gistfs::demo::{Account, Fault, FaultKind, Origin, ServerOptions};

use crate::world::{World, said, wait_until};

/// Easy to find wherever it should not be.
const TOKEN: &str = "ghp_HuntForMe0123456789abcdefghijklmnop";
/// What is left of it where somebody cuts it or shows its end.
const PARTS: [&str; 2] = ["HuntForMe", "ghijklmnop"];

fn world(verbosity: &'static [&'static str]) -> World {
    let accounts = vec![Account::classic("octo", TOKEN, &["gist"])];
    let mut world = World::with(ServerOptions { accounts, ..ServerOptions::default() });
    world.token = TOKEN;
    world.verbosity = verbosity;
    world.seed("Notes", &[("a.txt", "alpha\n"), ("b.txt", "beta\n")]);
    world
}

const LEVELS: [&[&str]; 3] = [&[], &["-v"], &["-vv"]];

#[track_caller]
fn expect_no_secret(what: &str, text: &str) {
    for part in PARTS {
        assert!(!text.contains(part), "{what} tells the token:\n{text}");
    }
}

/// No file below `directory` holds the token.
#[track_caller]
pub(crate) fn expect_no_secret_below(directory: &Path) {
    for entry in std::fs::read_dir(directory).expect("it lists") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            expect_no_secret_below(&path);
        } else if let Ok(bytes) = std::fs::read(&path) {
            expect_no_secret(&path.display().to_string(), &String::from_utf8_lossy(&bytes));
        }
    }
}

#[track_caller]
fn expect_nothing_told(world: &World) {
    expect_no_secret("the log", &world.log());
    for request in world.server.requests() {
        match request.origin {
            Origin::Raw => assert!(!request.has_token(), "the raw host got a token"),
            Origin::Api => assert!(request.has_token()),
            // Git gives it to who asks for it.
            Origin::Git => {}
        }
        if request.origin == Origin::Raw {
            expect_no_secret("a header", &format!("{:?}", request.headers));
        }
        expect_no_secret("an address", &format!("{}?{}", request.path, request.query));
    }
    for directory in ["state", "run", "tmp"] {
        let directory = world.home().join(directory);
        if directory.exists() {
            expect_no_secret_below(&directory);
        }
    }
}

#[test]
fn no_log_line_no_command_line_and_no_file_tells_the_token() {
    for level in LEVELS {
        let mut world = world(level);
        world.mount(&[]);
        world.sh("cat Notes/a.txt; echo omega > Notes/a.txt; mkdir New; echo n > New/n.txt");
        world.saved();
        let status = world.gistfs(&["status"]).arg(world.point()).output().expect("gistfs runs");
        expect_no_secret("status", &said(&status));
        let line = format!("/proc/{}/cmdline", world.mounted().pid());
        expect_no_secret("the command line", &std::fs::read_to_string(line).expect("/proc"));
        assert!(world.fetches() > 0);
        if level.len() == 1 {
            assert!(world.log().contains("PATCH"), "this level shows requests:\n{}", world.log());
        }
        expect_nothing_told(&world);
    }
}

#[test]
fn no_failure_tells_the_token() {
    let bad =
        |status, body: &str| FaultKind::Status { status, headers: vec![], body: body.to_owned() };
    let echo = format!(r#"{{"message": "Bad credentials: {TOKEN}"}}"#);
    let faults = [
        bad(401, &echo),
        bad(422, &echo),
        bad(500, TOKEN),
        FaultKind::Html,
        FaultKind::WrongBody,
        FaultKind::Drop,
        FaultKind::CutShort,
        FaultKind::SecondaryLimit { retry_after: Some(Duration::from_secs(1)) },
    ];
    for level in LEVELS {
        let mut world = world(level);
        world.mount(&["--write", "through"]);
        for fault in &faults {
            world.server.inject(Fault { times: 1_000_000, ..Fault::once(fault.clone()) });
            let out = world.try_sh("echo omega > Notes/a.txt; cat Notes/b.txt; rm Notes/b.txt");
            expect_no_secret("a program", &said(&out));
            let out = world.gistfs(&["sync", "--timeout", "1"]).arg(world.point()).output();
            expect_no_secret("sync", &said(&out.expect("gistfs runs")));
            let out = world.gistfs(&["status"]).arg(world.point()).output().expect("gistfs runs");
            expect_no_secret("status", &said(&out));
            world.server.clear_faults();
        }
        expect_nothing_told(&world);
    }
}

#[test]
fn no_failure_of_the_first_mount_tells_the_token() {
    let echo = format!(r#"{{"message": "Bad credentials: {TOKEN}"}}"#);
    let bad = |status| FaultKind::Status { status, headers: vec![], body: echo.clone() };
    for level in LEVELS {
        for fault in [bad(401), bad(403), bad(500), FaultKind::Html, FaultKind::Drop] {
            let world = world(level);
            world.server.inject(Fault { times: 1_000_000, ..Fault::once(fault) });
            let out = world.mount_command(&[]).output().expect("gistfs runs");
            assert!(!out.status.success());
            expect_no_secret("mount", &said(&out));
        }
    }
}

#[test]
fn a_hanging_server_s_log_tells_no_token() {
    let mut world = world(&["-vv"]);
    world.mount(&[]);
    world.server.inject(Fault { times: 1_000_000, ..Fault::once(FaultKind::Hang) });
    let mut cat = world.program("cat").arg(world.path("Notes/b.txt")).spawn().expect("cat runs");
    world.sh("echo omega > Notes/a.txt");
    wait_until("requests hang", || {
        world.server.requests().iter().filter(|r| r.status == 0).count() >= 2
    });
    world.mounted().signal(nix::sys::signal::Signal::SIGTERM);
    world.mounted().ended();
    cat.wait().expect("it ends");
    expect_no_secret("the log", &world.log());
}

#[test]
fn a_token_in_a_file_is_used_and_told_nobody() {
    let mut world = world(&["-vv"]);
    let file = world.home().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).expect("a file");
    world.token = "";
    world.mount(&["--token-file", file.to_str().expect("a path")]);
    assert_eq!(world.sh("cat Notes/a.txt"), "alpha\n");
    expect_nothing_told(&world);
}
