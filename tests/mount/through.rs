//! `--write through`: the program that writes hears what GitHub said.

use std::fs::File;
use std::io::Write as _;

use gistfs::demo::{Fault, FaultKind, Limits, ServerOptions};
use serde_json::json;

use crate::world::World;

fn notes() -> (World, String) {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "alpha\n"), ("b.txt", "beta\n")]);
    world.mount(&["--write", "through"]);
    (world, id)
}

/// What `close` says after `text` was written to `name`; 0 if all is well.
///
/// The standard library drops what `close` says, and so does `std::fs::write`.
fn close_after_writing(world: &World, name: &str, text: &str) -> i32 {
    use std::os::fd::IntoRawFd as _;
    let mut file = File::create(world.path(name)).expect("it opens");
    file.write_all(text.as_bytes()).expect("it takes the bytes");
    let closed = nix::unistd::close(file.into_raw_fd());
    closed.map_or_else(|error| error as i32, |()| 0)
}

fn refuse(world: &World, method: &str, kind: FaultKind) {
    world.server.inject(Fault { method: Some(method.to_owned()), ..Fault::once(kind) });
}

fn status(status: u16, body: &str) -> FaultKind {
    FaultKind::Status { status, headers: vec![], body: body.to_owned() }
}

#[test]
fn a_program_s_end_is_the_answer_of_github() {
    let (world, id) = notes();
    world.sh("echo omega > Notes/a.txt");
    assert_eq!(world.texts(&id)["a.txt"], "omega\n");
    world.sh("sed -i s/beta/gamma/ Notes/b.txt");
    assert_eq!(world.texts(&id)["b.txt"], "gamma\n");
    world.sh("mv Notes/b.txt Notes/c.txt");
    assert_eq!(world.server.files(&id).expect("the gist").len(), 2);
    assert_eq!(world.texts(&id)["c.txt"], "gamma\n");
    world.sh("rm Notes/c.txt");
    assert_eq!(world.server.files(&id).expect("the gist").len(), 1);
    world.sh("mkdir New; echo first > New/f.txt");
    assert_eq!(world.changes().last().expect("a request").json()["description"], json!("New"));
    world.sh("mv New Newer");
    assert_eq!(world.changes().last().expect("a request").json(), json!({"description": "Newer"}));
    world.sh("rm -r Notes");
    assert!(world.server.files(&id).is_none());
    let methods: Vec<String> = world.changes().into_iter().map(|r| r.method).collect();
    assert_eq!(methods, ["PATCH", "PATCH", "PATCH", "PATCH", "POST", "PATCH", "DELETE"]);
}

#[test]
fn close_waits_until_the_change_was_answered() {
    let (world, id) = notes();
    let delay = std::time::Duration::from_millis(700);
    refuse(&world, "PATCH", FaultKind::Delay(delay));
    let start = std::time::Instant::now();
    assert_eq!(close_after_writing(&world, "Notes/a.txt", "omega\n"), 0);
    assert!(start.elapsed() >= delay);
    let changes = world.changes();
    assert_eq!((changes.len(), changes[0].status), (1, 200));
    assert_eq!(world.texts(&id)["a.txt"], "omega\n");
}

#[test]
fn close_says_what_github_said() {
    let limit = FaultKind::SecondaryLimit { retry_after: Some(std::time::Duration::from_secs(60)) };
    let refused = r#"{"message": "Validation Failed", "errors": []}"#;
    let cases = [
        (status(422, refused), libc::EIO),
        (
            status(403, r#"{"message": "Resource not accessible by personal access token"}"#),
            libc::EACCES,
        ),
        (status(401, r#"{"message": "Bad credentials"}"#), libc::EACCES),
        (status(404, r#"{"message": "Not Found"}"#), libc::EACCES),
        (limit, libc::EDQUOT),
        (FaultKind::PrimaryLimit { reset_in: std::time::Duration::from_secs(60) }, libc::EDQUOT),
    ];
    for (fault, errno) in cases {
        let (world, id) = notes();
        let shown = format!("{fault:?}");
        refuse(&world, "PATCH", fault);
        assert_eq!(close_after_writing(&world, "Notes/a.txt", "omega\n"), errno, "{shown}");
        assert_eq!(world.read("Notes/a.txt"), "omega\n", "what was written stays");
        assert_eq!(world.texts(&id)["a.txt"], "alpha\n");
    }
}

#[test]
fn a_shell_sees_the_refusal_and_what_was_refused_goes_with_sync() {
    let (mut world, id) = notes();
    refuse(&world, "PATCH", status(422, r#"{"message": "Validation Failed"}"#));
    let complaint = world.fails("cp Notes/b.txt Notes/a.txt");
    assert!(complaint.contains("Input/output error"), "{complaint}");
    let out = world.gistfs(&["sync"]).arg(world.point()).output().expect("gistfs runs");
    assert!(out.status.success(), "{}", crate::world::said(&out));
    world.saved();
    assert_eq!(world.texts(&id)["a.txt"], "beta\n");
}

#[test]
fn what_github_cannot_hold_is_said_at_close() {
    let (mut world, id) = notes();
    world.sh("printf '\\377\\376' > $W/binary; cp $W/binary Notes/a.bin");
    assert_eq!(world.server.files(&id).expect("the gist")["a.bin"], b"\xff\xfe", "git took it");
    world.server.with_switches(|switches| switches.refuse_push = Some("no".to_owned()));
    world.fails("printf '\\377' > $W/binary; cp $W/binary Notes/b.bin");
    world.server.with_switches(|switches| switches.refuse_push = None);
    world.mount_again(&["--write", "through", "--git", "none"]);
    let complaint = world.fails("printf '\\377\\376' > $W/binary; cp $W/binary Notes/c.bin");
    assert!(complaint.contains("not supported"), "{complaint}");
    assert!(world.log().contains("stays local"), "{}", world.log());
}

#[test]
fn an_editor_s_scratch_files_wait_for_nobody() {
    let (world, _) = notes();
    let delay = FaultKind::Hang;
    world.server.inject(Fault { times: 100, ..Fault::once(delay) });
    world.sh("echo x > Notes/.a.txt.swp; rm Notes/.a.txt.swp; echo x > 'Notes/b~'");
    assert_eq!(world.changes().len(), 0);
    world.server.clear_faults();
}

#[test]
fn the_pace_of_github_is_kept_without_an_error() {
    let limits = Limits { content_per_minute: Some(1000), ..Limits::default() };
    let mut world = World::with(ServerOptions { limits, ..ServerOptions::default() });
    let id = world.seed("Notes", &[("a.txt", "alpha\n")]);
    world.mount(&["--write", "through"]);
    for number in 0..5 {
        world.sh(&format!("echo {number} > Notes/a.txt"));
    }
    assert_eq!(world.texts(&id)["a.txt"], "4\n");
    assert_eq!(world.changes().len(), 5);
}
