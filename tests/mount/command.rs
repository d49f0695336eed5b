//! The command as people and scripts meet it: what it prints, and what it ends with.

use std::fs::File;
use std::process::{Output, Stdio};

use gistfs::demo::{Fault, FaultKind};
use serde_json::json;

use crate::mounted::{Mount, is_mounted};
use crate::world::{World, said, wait_until};

/// Runs a mount that must fail: the exit code, and what it said.
#[track_caller]
fn refused(world: &World, options: &[&str]) -> (i32, String) {
    told(&world.mount_command(options).output().expect("gistfs runs"))
}

fn told(out: &Output) -> (i32, String) {
    (out.status.code().expect("it ended by itself"), said(out))
}

#[test]
fn in_the_background_it_returns_when_the_mount_answers_and_says_where_it_is() {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "alpha\n")]);
    let out = world.mount_in_background(&["--write-back", "600"]);
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
    assert_eq!(String::from_utf8_lossy(&out.stdout), format!("{}\n", world.point().display()));
    assert_eq!(world.read("Notes/a.txt"), "alpha\n");
    world.sh("echo omega > Notes/a.txt");
    let out = world.gistfs(&["unmount"]).arg(world.point()).output().expect("gistfs runs");
    assert!(out.status.success(), "{}", said(&out));
    assert_eq!(world.texts(&id)["a.txt"], "omega\n");
    assert!(!is_mounted(&world.point()));
    world.background_ended();
    let log = std::fs::read_to_string(world.state().join("log")).expect("a log");
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn in_the_background_too_an_error_is_said_and_its_exit_code_kept() {
    let mut world = World::empty();
    world.token = "nobody-s-token";
    let out = world.mount_in_background(&[]);
    let (code, said) = told(&out);
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("gistfs: ") && said.contains("GH_TOKEN"), "{said}");
    assert!(out.stdout.is_empty());
    world.token = "demo-token";
    std::fs::write(world.point().join("file"), "").expect("a file");
    let (code, said) = told(&world.mount_in_background(&[]));
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("is not empty"), "{said}");
}

#[test]
fn what_nobody_reads_is_no_error_and_what_cannot_be_printed_is_one() {
    let mut world = World::empty();
    world.mount(&[]);
    let status = |out: Stdio, err: Stdio| {
        let mut command = world.gistfs(&["status"]);
        let out = command.stdout(out).stderr(err).output().expect("gistfs runs");
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    let closed = || {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        Stdio::from(writer)
    };
    assert_eq!(status(closed(), Stdio::piped()), (Some(0), String::new()));
    let full = || File::options().write(true).open("/dev/full").expect("it is there").into();
    let (code, said) = status(full(), Stdio::piped());
    assert_eq!(code, Some(1));
    assert!(said.contains("gistfs: cannot print: No space left on device"), "{said}");
    assert_eq!(status(full(), closed()).0, Some(1));
}

#[test]
fn a_mount_point_that_cannot_be_one_is_named() {
    let world = World::empty();
    let gone = world.work().join("missing");
    let out = world.gistfs(&["mount", "-f"]).arg(&gone).output().expect("gistfs runs");
    let (code, words) = told(&out);
    assert_eq!(code, 3, "{words}");
    assert!(words.contains("missing does not exist"), "{words}");
    std::fs::write(&gone, "").expect("a file");
    let out = world.gistfs(&["mount", "-f"]).arg(&gone).output().expect("gistfs runs");
    assert!(told(&out).1.contains("is not a directory"), "{}", said(&out));
    std::fs::write(world.point().join("file"), "").expect("a file");
    let (code, words) = refused(&world, &[]);
    assert_eq!(code, 3);
    assert!(words.contains("is not empty") && words.contains("nonempty"), "{words}");
    assert_eq!(world.server.requests().len(), 0, "GitHub was not bothered");
}

#[test]
fn a_mount_point_that_is_not_empty_can_be_insisted_on() {
    let mut world = World::empty();
    world.seed("Notes", &[]);
    std::fs::write(world.point().join("below"), "hidden\n").expect("a file");
    world.mount(&["-o", "nonempty,nosuid,names=title"]);
    assert_eq!(world.list(""), ["Notes"]);
    world.unmount();
    assert_eq!(world.list(""), ["below"]);
    std::fs::remove_file(world.point().join("below")).expect("it goes");
}

#[test]
fn a_token_that_is_missing_or_refused_is_said_with_the_way_out() {
    let mut world = World::empty();
    world.token = "ghp_wrong";
    let (code, words) = refused(&world, &[]);
    assert_eq!(code, 4, "{words}");
    assert!(words.contains("401") && words.contains("make a new token"), "{words}");
    let mut command = world.mount_command(&[]);
    command.env_remove("GH_TOKEN").env("GIT_CONFIG_NOSYSTEM", "1").env("PATH", "/nowhere");
    let (code, words) = told(&command.output().expect("gistfs runs"));
    assert_eq!(code, 4, "{words}");
    assert!(words.contains("there is no token") && words.contains("set GH_TOKEN"), "{words}");
}

#[test]
fn the_first_mount_needs_the_network_and_later_ones_do_not() {
    let mut world = World::empty();
    world.seed("Notes", &[("a.txt", "alpha\n")]);
    world.server.inject(Fault { times: 1_000_000, ..Fault::once(FaultKind::Drop) });
    let (code, words) = refused(&world, &[]);
    assert_eq!(code, 5, "{words}");
    assert!(words.contains("the first mount of an account needs the network"), "{words}");
    world.server.clear_faults();
    world.mount(&[]);
    world.unmount();
    world.server.inject(Fault { times: 1_000_000, ..Fault::once(FaultKind::Drop) });
    world.mount(&[]);
    assert_eq!(world.list("Notes"), ["a.txt"]);
    wait_until("status says what is wrong", || world.status()["trouble"].is_string());
    let out = world.gistfs(&["status"]).arg(world.point()).output().expect("gistfs runs");
    assert!(said(&out).contains("GitHub: "), "{}", said(&out));
    world.server.clear_faults();
}

#[test]
fn a_second_mount_of_the_account_names_the_first() {
    let (world, _) = World::notes(&[("a.txt", "alpha\n")]);
    let mut command = world.gistfs(&["mount", "-f", "--api-url", &world.server.api_url()]);
    let second = world.work().join("second");
    std::fs::create_dir(&second).expect("a directory");
    let out = command.arg("--state-dir").arg(world.state()).arg(&second).output().expect("it runs");
    let (code, words) = told(&out);
    assert_eq!(code, 7, "{words}");
    assert!(words.contains(world.point().to_str().expect("a path")), "{words}");
    let (code, words) = refused(&world, &[]);
    assert_eq!(code, 3, "{words}");
    assert!(words.contains("is a gistfs mount already"), "{words}");
    assert_eq!(world.read("Notes/a.txt"), "alpha\n", "the first goes on");
}

#[test]
fn status_tells_people_and_programs_how_things_stand() {
    let mut world = World::github(gistfs::demo::ServerOptions::default());
    let id = world.seed("Notes", &[("a.txt", "alpha\n"), ("b.txt", "beta\n")]);
    let out = world.gistfs(&["status"]).output().expect("gistfs runs");
    assert_eq!(String::from_utf8_lossy(&out.stdout), "Nothing is mounted.\n");
    world.mount(&["--write-back", "600", "--git", "none"]);
    let words = |world: &World| said(&world.gistfs(&["status"]).output().expect("gistfs runs"));
    assert!(words(&world).contains("everything is on GitHub"), "{}", words(&world));
    assert!(words(&world).contains("1 gists of octo"), "{}", words(&world));
    world.sh("echo omega > Notes/a.txt; printf '\\377' > Notes/c.bin");
    assert!(words(&world).contains("\"Notes\": pending"), "{}", words(&world));
    let status = world.status();
    let owing = &status["owing"][0];
    assert_eq!((&owing["title"], &owing["id"]), (&json!("Notes"), &json!(id)), "{status:#}");
    assert_eq!(status["account"], json!("octo"));
    assert_eq!(status["gists"], json!(1));
    assert!(status["quota"]["remaining"].is_u64() && status["pid"].is_u64(), "{status:#}");
    let files = owing["files"].as_array().expect("files");
    let of = |name: &str| files.iter().find(|file| file["name"] == json!(name)).expect("the file");
    assert_eq!(of("a.txt")["change"], json!("changed"), "{status:#}");
    assert_eq!(of("a.txt")["state"], json!("pending"), "{status:#}");
    let state = of("c.bin")["state"].as_str().expect("a word");
    assert!(state.starts_with("local: not text"), "{status:#}");
}

#[test]
fn sync_sends_now_and_ends_with_a_list_of_what_cannot_go() {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "alpha\n")]);
    world.mount(&["--write-back", "600", "--git", "none"]);
    let sync = |world: &World| {
        told(&world.gistfs(&["sync"]).arg(world.point()).output().expect("gistfs runs"))
    };
    world.sh("echo omega > Notes/a.txt");
    assert_eq!(sync(&world).0, 0);
    assert_eq!(world.texts(&id)["a.txt"], "omega\n");
    world.sh(
        "echo more >> Notes/a.txt; printf '\\377\\376' > Notes/c.bin; printf 'a\\r\\n' > Notes/d",
    );
    let (code, words) = sync(&world);
    assert_eq!(code, 1, "{words}");
    assert!(
        words.contains("c.bin") && words.contains("\"d\"") && !words.contains("a.txt"),
        "{words}"
    );
    assert_eq!(world.texts(&id)["a.txt"], "omega\nmore\n", "the rest went");
    world.sh("rm Notes/c.bin Notes/d");
    assert_eq!(sync(&world).0, 0);
    assert_eq!(world.changes().len(), 2);
}

#[test]
fn unmounting_what_is_not_mounted_says_so() {
    let world = World::empty();
    let out = world.gistfs(&["unmount"]).arg(world.point()).output().expect("gistfs runs");
    let (code, words) = told(&out);
    assert_eq!(code, 3, "{words}");
    assert!(words.contains("no gistfs of yours is mounted on"), "{words}");
    let out = world.gistfs(&["sync"]).arg(world.point()).output().expect("gistfs runs");
    assert_eq!(out.status.code(), Some(3), "{}", said(&out));
}

#[test]
fn a_dead_mount_can_be_unmounted() {
    let (mut world, _) = World::notes(&[("a.txt", "alpha\n")]);
    world.crash();
    let out = world.gistfs(&["unmount"]).arg(world.point()).output().expect("gistfs runs");
    assert!(out.status.success(), "{}", said(&out));
    assert!(!is_mounted(&world.point()));
}

#[test]
fn names_by_id_are_ids() {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "alpha\n")]);
    world.mount(&["--names", "id", "--umask", "077"]);
    assert_eq!(world.list(""), [id.as_str()]);
    assert_eq!(world.sh(&format!("stat -c %a . {id} {id}/a.txt")), "700\n700\n600\n");
}

#[test]
fn somebody_s_public_gists_mount_read_only_without_a_token() {
    let mut world = World::empty();
    let public = gistfs::demo::Seed::new("Robot", &[("r.txt", "robot\n")]);
    world.server.seed("hubot", gistfs::demo::Seed { public: true, ..public });
    world.server.seed("hubot", gistfs::demo::Seed::new("Secret", &[("s.txt", "secret\n")]));
    world.token = "";
    world.mount(&["--user", "hubot"]);
    assert_eq!(world.list(""), ["Robot"]);
    assert_eq!(world.read("Robot/r.txt"), "robot\n");
    assert!(world.fails("echo x > Robot/r.txt").contains("Read-only file system"));
    assert!(!world.server.requests().iter().any(gistfs::demo::LoggedRequest::has_token));
}

/// In the background the log is in a file; what whoever mounts must know is said to them.
#[test]
fn a_read_only_mount_in_the_background_says_why_when_it_mounts() {
    let mut world = World::empty();
    world.token = "noscope-token";
    let out = world.mount_in_background(&[]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success() && said.contains("lacks the scope \"gist\""), "{said}");
    let unmounted = world.gistfs(&["unmount"]).arg(world.point()).output().expect("gistfs runs");
    assert!(unmounted.status.success());
    world.background_ended();
}

/// A socket's path is short; a runtime directory need not be.
#[test]
fn a_long_runtime_directory_is_no_obstacle() {
    let mut world = World::empty();
    let long = world.home().join("r".repeat(120));
    std::fs::create_dir(&long).expect("a directory");
    let mut command = world.mount_command(&[]);
    let log = world.next_log();
    let mut mount = Mount::start(command.env("XDG_RUNTIME_DIR", &long), &world.point(), log);
    let mut ask = world.gistfs(&["status", "--json"]);
    let out = ask.env("XDG_RUNTIME_DIR", &long).arg(world.point()).output().expect("gistfs runs");
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success() && said.contains("\"mountpoint\""), "{said}");
    mount.signal(nix::sys::signal::Signal::SIGTERM);
    assert!(mount.ended().success());
}
