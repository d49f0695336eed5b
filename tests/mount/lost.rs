//! Answers that are lost, tokens that are revoked: nothing is done twice, nothing of anybody's undone.

use std::time::Duration;

use gistfs::demo::{Fault, FaultKind, Origin};

use crate::world::{World, said, wait_until};

fn lose(world: &World, method: &str, skip: usize) {
    world.server.inject(Fault {
        method: Some(method.to_owned()),
        skip,
        ..Fault::once(FaultKind::LoseAnswer)
    });
}

fn sent(world: &World, method: &str) -> usize {
    world.changes().iter().filter(|r| r.method == method).count()
}

#[test]
fn a_create_without_an_answer_never_makes_a_second_gist_however_late_it_is_listed() {
    let mut world = World::empty();
    world.seed("Notes", &[("a.txt", "alpha\n")]);
    world.mount(&["--refresh", "0.5"]);
    // A gist just made is in no list for a while, and 404.
    world.server.with_switches(|switches| switches.hidden_for = Duration::from_secs(6));
    lose(&world, "POST", 0);
    world.sh("mkdir New; echo one > New/a.txt; echo two > New/b.txt");
    wait_until("the create is sent", || sent(&world, "POST") == 1);
    world.sh("echo three > New/c.txt; rm New/b.txt");
    wait_until("all is sent", || world.status()["owing"] == serde_json::json!([]));
    let ids = world.server.gist_ids("octo");
    let new: Vec<&String> =
        ids.iter().filter(|id| world.server.description(id).as_deref() == Some("New")).collect();
    assert_eq!(new.len(), 1, "{ids:?}");
    assert_eq!(sent(&world, "POST"), 1);
    world.same_on_both_sides(new[0], "New");
    assert_eq!(world.list(""), ["New", "Notes"]);
}

#[test]
fn a_create_without_an_answer_is_found_after_a_crash_too() {
    let mut world = World::empty();
    world.seed("Notes", &[("a.txt", "alpha\n")]);
    world.mount(&["--refresh", "0.5"]);
    world.server.with_switches(|switches| switches.hidden_for = Duration::from_secs(3));
    lose(&world, "POST", 0);
    world.sh("mkdir New; echo one > New/a.txt");
    wait_until("the create is sent", || sent(&world, "POST") == 1);
    world.crash();
    world.mount(&["--refresh", "0.5"]);
    wait_until("all is sent", || world.status()["owing"] == serde_json::json!([]));
    assert_eq!(world.server.gist_ids("octo").len(), 2);
    assert_eq!(world.list(""), ["New", "Notes"]);
}

/// Notes of three files, mounted so that nothing is asked for what no test causes.
fn notes() -> (World, String) {
    let mut world = World::empty();
    let files = [("a.txt", "alpha\n"), ("b.txt", "beta\n"), ("c.txt", "gamma\n")];
    let id = world.seed("Notes", &files);
    world.mount(&["--refresh", "600"]);
    assert_eq!(world.sh("cat Notes/*"), "alpha\nbeta\ngamma\n");
    (world, id)
}

#[test]
fn a_patch_without_an_answer_reverts_nobody_s_change_after_it() {
    let (world, id) = notes();
    // The answer is lost, and so is what the look after it would tell, while others go on.
    lose(&world, "PATCH", 0);
    let look = Fault { method: Some("GET".into()), skip: 1, ..Fault::once(FaultKind::Drop) };
    world.server.inject(look);
    world.sh("echo ours > Notes/a.txt");
    wait_until("the patch is done", || world.texts(&id)["a.txt"] == "ours\n");
    let theirs: &[(&str, Option<&[u8]>)] =
        &[("a.txt", Some(b"theirs\n")), ("b.txt", Some(b"theirs too\n")), ("c.txt", None)];
    world.server.commit(&id, theirs);
    wait_until("it is settled", || world.status()["owing"] == serde_json::json!([]));
    let mut texts = world.texts(&id);
    // Nobody can tell whether they saw ours: it is beside theirs.
    texts.retain(|name, text| !(name.starts_with("a.conflict-") && text == "ours\n"));
    let theirs = [("a.txt", "theirs\n"), ("b.txt", "theirs too\n")];
    assert_eq!(texts, theirs.map(|(name, text)| (name.to_owned(), text.to_owned())).into());
    assert_eq!(world.read("Notes/a.txt"), "theirs\n");
    world.same_on_both_sides(&id, "Notes");
}

#[test]
fn what_is_written_after_a_lost_answer_meets_what_others_wrote_meanwhile() {
    let (world, id) = notes();
    lose(&world, "PATCH", 0);
    let look =
        Fault { method: Some("GET".into()), skip: 1, times: 2, ..Fault::once(FaultKind::Drop) };
    world.server.inject(look);
    world.sh("echo ours > Notes/a.txt");
    wait_until("the patch is done", || world.texts(&id)["a.txt"] == "ours\n");
    world.server.commit(&id, &[("b.txt", Some(b"theirs\n"))]);
    world.sh("echo ours again > Notes/a.txt; echo new > Notes/d.txt");
    wait_until("it is settled", || world.status()["owing"] == serde_json::json!([]));
    let expected = [
        ("a.txt", "ours again\n"),
        ("b.txt", "theirs\n"),
        ("c.txt", "gamma\n"),
        ("d.txt", "new\n"),
    ];
    let expected = expected.map(|(name, text)| (name.to_owned(), text.to_owned()));
    assert_eq!(world.texts(&id), expected.into());
    world.same_on_both_sides(&id, "Notes");
}

#[test]
fn with_a_revoked_token_reads_go_on_and_writes_wait_for_sync() {
    let (mut world, id) = notes();
    let revoked = FaultKind::Status {
        status: 401,
        headers: vec![],
        body: r#"{"message": "Bad credentials", "status": "401"}"#.into(),
    };
    let fault = Fault { origin: Some(Origin::Api), times: 1_000_000, ..Fault::once(revoked) };
    world.server.inject(fault);
    world.sh("echo ours > Notes/a.txt; mkdir New; echo new > New/n.txt; rm Notes/b.txt");
    let refused = || {
        let owing = world.status()["owing"].as_array().expect("a list").clone();
        owing.len() == 2 && owing.iter().all(|gist| gist["state"].to_string().contains("(401)"))
    };
    wait_until("both are refused", refused);
    assert_eq!(world.sh("cat Notes/a.txt Notes/c.txt New/n.txt"), "ours\ngamma\nnew\n");
    let asked = world.server.requests().len();
    world.sh("ls -lR > /dev/null; cat */* > /dev/null");
    // A second change tries again, at once and once.
    world.sh("echo ours too > Notes/d.txt");
    wait_until("the change is tried", || world.server.requests().len() > asked);
    wait_until("and refused", refused);
    let out = world.gistfs(&["sync"]).arg(world.point()).output().expect("gistfs runs");
    assert_eq!(out.status.code(), Some(1), "{}", said(&out));
    let words = "GitHub does not accept the token (401)";
    let log = world.log();
    let said_of = |title: &str| {
        log.lines()
            .filter(|l| l.contains("is not sent") && l.contains(title) && l.contains(words))
            .count()
    };
    assert_eq!((said_of("\"Notes\""), said_of("\"New\"")), (1, 1), "{log}");

    world.server.clear_faults();
    let out = world.gistfs(&["sync"]).arg(world.point()).output().expect("gistfs runs");
    assert!(out.status.success(), "{}", said(&out));
    world.saved();
    world.same_on_both_sides(&id, "Notes");
    wait_until("both are there, and the canary", || world.server.gist_ids("octo").len() == 3);
}

#[test]
fn what_has_no_description_is_named_by_its_file_in_the_log() {
    let mut world = World::empty();
    world.seed("", &[("a.txt", "alpha\n")]);
    world.mount(&[]);
    let refused = FaultKind::Status { status: 422, headers: vec![], body: "{}".into() };
    world.server.inject(Fault { method: Some("PATCH".into()), ..Fault::once(refused) });
    world.sh("echo omega > a.txt/a.txt");
    wait_until("it is said", || world.log().contains("\"a.txt\" is not sent: "));
}
