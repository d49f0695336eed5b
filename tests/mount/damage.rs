//! A damaged state directory: what is unsent survives, and the mount says what happened.

use std::fs;
use std::path::PathBuf;

use gistfs::model::BlobId;

use crate::outcome::shown;
use crate::world::{World, said, wait_until};

/// A world whose killed mount owes an edit, a new gist and a deletion.
fn owing() -> (World, String) {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "alpha\n"), ("b.txt", "beta\n"), ("c.txt", "c\n")]);
    world.seed("Other", &[("o.txt", "other\n")]);
    world.mount(&["--write-back", "600"]);
    world.sh("echo omega > Notes/a.txt; rm Notes/b.txt; mkdir New; echo n > New/n.txt");
    world.crash();
    (world, id)
}

fn account(world: &World) -> PathBuf {
    let host = fs::read_dir(world.state()).expect("a state").find_map(|entry| {
        let path = entry.expect("an entry").path();
        path.is_dir().then_some(path)
    });
    host.expect("a host").join("octo")
}

/// Everything owed is there, is sent as one change each, and nothing is doubled.
#[track_caller]
fn comes_back(world: &mut World, id: &str) {
    world.mount(&[]);
    assert_eq!(world.read("Notes/a.txt"), "omega\n");
    assert_eq!(world.list("Notes"), ["a.txt", "c.txt"]);
    assert_eq!(world.read("New/n.txt"), "n\n");
    assert_eq!(world.list("").len(), 3);
    world.saved();
    assert_eq!(world.read("Other/o.txt"), "other\n");
    world.same_on_both_sides(id, "Notes");
    let methods: Vec<String> = world.changes().into_iter().map(|r| r.method).collect();
    assert_eq!(methods.len(), 2, "{methods:?}");
    // That the canary's request has arrived does not yet say that it was carried out.
    wait_until("nothing is doubled", || world.server.gist_ids("octo").len() == 4);
}

#[test]
fn a_damaged_database_is_set_aside_and_what_was_unsent_is_sent() {
    for damage in ["header", "log", "both", "gone"] {
        let (mut world, id) = owing();
        let state = account(&world);
        if matches!(damage, "header" | "both") {
            fs::write(state.join("state.db"), "noise ".repeat(1000)).expect("it is written");
        }
        if matches!(damage, "log" | "both") {
            fs::write(state.join("state.db-wal"), "noise ".repeat(1000)).expect("it is written");
        }
        if damage == "gone" {
            for name in ["state.db", "state.db-wal", "state.db-shm"] {
                fs::remove_file(state.join(name)).expect("it goes");
            }
        }
        comes_back(&mut world, &id);
        // With its log whole, and every page still in it, the database mends itself.
        if damage == "both" {
            let log = world.log();
            let line = log.lines().find(|line| line.contains("is damaged")).expect("a warning");
            assert!(line.contains("damaged-2") && line.contains("2 gists"), "{line}");
        }
    }
}

#[test]
fn without_the_network_a_mount_with_damaged_state_shows_what_is_unsent_and_the_rest_later() {
    let (mut world, id) = owing();
    // The log too: with that whole, and every page still in it, the database mends itself.
    for file in ["state.db", "state.db-wal"] {
        fs::write(account(&world).join(file), "noise ".repeat(1000)).expect("it is written");
    }
    world.server.inject(gistfs::demo::Fault {
        times: usize::MAX,
        ..gistfs::demo::Fault::once(gistfs::demo::FaultKind::Drop)
    });
    world.mount(&["--refresh", "1"]);
    assert_eq!(world.list(""), ["New", "Notes"]);
    assert_eq!(world.read("Notes/a.txt"), "omega\n");
    assert!(world.log().contains("only unsent ones are shown"), "{}", world.log());
    world.server.clear_faults();
    wait_until("the rest is there", || world.list("").len() == 3);
    let out = world.gistfs(&["sync"]).arg(world.point()).output().expect("gistfs runs");
    assert!(out.status.success(), "{}", said(&out));
    world.same_on_both_sides(&id, "Notes");
}

#[test]
fn a_body_that_is_damaged_or_gone_is_never_sent_and_holds_nothing_else_back() {
    let (mut world, id) = owing();
    let body = |text: &str| {
        let id = BlobId::of(text.as_bytes()).to_string();
        account(&world).join("blobs").join(&id[..2]).join(&id[2..])
    };
    fs::write(body("omega\n"), "wrong\n").expect("it is written");
    fs::remove_file(body("n\n")).expect("it goes");
    world.mount(&["--write-back", "600"]);
    world.sh("echo more > Notes/more.txt; echo 2 > New/2.txt");
    let out = world.gistfs(&["sync"]).arg(world.point()).output().expect("gistfs runs");
    assert_eq!(out.status.code(), Some(1), "{}", said(&out));
    assert!(said(&out).contains("its bytes are lost"), "{}", said(&out));
    assert!(world.fails("cat Notes/a.txt").contains("Input/output error"));
    let texts = world.texts(&id);
    assert_eq!((texts["a.txt"].as_str(), texts["more.txt"].as_str()), ("alpha\n", "more\n"));
    let sent: String = world.changes().iter().map(shown).collect();
    assert!(sent.contains("2.txt") && !sent.contains("wrong") && !sent.contains("n.txt"), "{sent}");
    // Written again, it is whole again.
    world.sh("echo omega > Notes/a.txt; rm New/n.txt");
    let out = world.gistfs(&["sync"]).arg(world.point()).output().expect("gistfs runs");
    assert!(out.status.success(), "{}", said(&out));
    world.same_on_both_sides(&id, "Notes");
}

#[test]
fn a_damaged_list_of_accounts_only_asks_github_again() {
    let (mut world, id) = owing();
    let file = account(&world).parent().expect("a host").join("accounts.json");
    fs::write(&file, "{\"half").expect("it is written");
    comes_back(&mut world, &id);
    assert!(world.log().contains("accounts.json is damaged"), "{}", world.log());
    assert!(fs::read_to_string(&file).expect("accounts").contains("octo"));
}
