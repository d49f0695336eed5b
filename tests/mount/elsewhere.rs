//! What changes on GitHub shows in the mount, whatever the kernel remembers.

use std::io::Read as _;
use std::time::Duration;

use crate::world::{World, wait_until};

/// A mount that asks what is new several times a second, with every cache of the kernel filled.
fn notes() -> (World, String) {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "alpha\n"), ("b.txt", "beta\n")]);
    world.seed("Other", &[("c.txt", "gamma\n")]);
    world.mount(&["--refresh", "0.3"]);
    fill_caches(&world);
    (world, id)
}

fn fill_caches(world: &World) {
    world.sh("ls -lR > /dev/null; cat */* > /dev/null; stat */* > /dev/null; find . > /dev/null");
    world.fails("stat Notes/new.txt");
    world.fails("stat New");
    world.sh("ls -lR > /dev/null; cat */* > /dev/null");
}

#[test]
fn an_edit_elsewhere_shows_with_its_size_and_time() {
    let (world, id) = notes();
    let before = std::fs::metadata(world.path("Notes/a.txt")).expect("it is there");
    for text in ["omega and more\n", "short\n", "alpha\n"] {
        world.server.commit(&id, &[("a.txt", Some(text.as_bytes()))]);
        wait_until("the edit shows", || world.read("Notes/a.txt") == text);
        let size = std::fs::metadata(world.path("Notes/a.txt")).expect("it is there").len();
        assert_eq!(size, text.len() as u64);
        assert_eq!(world.sh("cat Notes/a.txt"), text);
        assert_eq!(world.read("Notes/b.txt"), "beta\n");
    }
    let after = std::fs::metadata(world.path("Notes/a.txt")).expect("it is there");
    assert!(after.modified().expect("a time") >= before.modified().expect("a time"));
    assert_eq!(world.changes().len(), 0);
}

#[test]
fn an_edit_elsewhere_shows_within_a_refresh_and_a_little() {
    let (world, id) = notes();
    let start = std::time::Instant::now();
    world.server.commit(&id, &[("a.txt", Some(b"omega\n"))]);
    wait_until("the edit shows", || world.read("Notes/a.txt") == "omega\n");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn files_added_removed_and_renamed_elsewhere_show() {
    let (world, id) = notes();
    world.server.commit(&id, &[("new.txt", Some(b"new\n"))]);
    wait_until("the new file shows", || world.path("Notes/new.txt").exists());
    assert_eq!(world.list("Notes"), ["a.txt", "b.txt", "new.txt"]);
    assert_eq!(world.read("Notes/new.txt"), "new\n");
    world.server.commit(&id, &[("b.txt", None)]);
    wait_until("the removed file goes", || !world.path("Notes/b.txt").exists());
    assert_eq!(world.list("Notes"), ["a.txt", "new.txt"]);
    world.server.commit(&id, &[("a.txt", None), ("z.txt", Some(b"alpha\n"))]);
    wait_until("the renamed file shows", || world.path("Notes/z.txt").exists());
    assert_eq!(world.list("Notes"), ["new.txt", "z.txt"]);
    assert_eq!(world.read("Notes/z.txt"), "alpha\n");
    assert!(!world.path("Notes/a.txt").exists());
}

#[test]
fn gists_made_and_described_elsewhere_show() {
    let (world, id) = notes();
    world.seed("New", &[("n.txt", "new\n")]);
    wait_until("the new gist shows", || world.path("New").exists());
    assert_eq!(world.list(""), ["New", "Notes", "Other"]);
    assert_eq!(world.read("New/n.txt"), "new\n");
    world.server.describe(&id, "Better");
    wait_until("the new description shows", || world.path("Better").exists());
    assert_eq!(world.list(""), ["Better", "New", "Other"]);
    assert!(!world.path("Notes").exists());
    assert_eq!(world.read("Better/a.txt"), "alpha\n");
}

#[test]
fn a_program_in_a_directory_that_is_renamed_elsewhere_goes_on() {
    let (world, id) = notes();
    let directory = std::fs::File::open(world.path("Notes")).expect("it opens");
    let through = |name: &str| {
        use std::os::fd::AsRawFd as _;
        format!("/proc/{}/fd/{}/{name}", std::process::id(), directory.as_raw_fd())
    };
    world.server.describe(&id, "Better");
    wait_until("the new description shows", || world.path("Better").exists());
    assert_eq!(std::fs::read(through("a.txt")).expect("it reads"), b"alpha\n");
    std::fs::write(through("a.txt"), "omega\n").expect("it writes");
    assert_eq!(world.read("Better/a.txt"), "omega\n");
    wait_until("it is sent", || world.texts(&id)["a.txt"] == "omega\n");
}

#[test]
fn gists_deleted_elsewhere_are_gone_with_the_next_whole_list() {
    let (mut world, id) = notes();
    world.server.remove(&id);
    world.unmount();
    world.mount(&[]);
    wait_until("the gist goes", || !world.path("Notes").exists());
    assert_eq!(world.list(""), ["Other"]);
    assert_eq!(world.changes().len(), 0);
}

#[test]
fn an_open_file_stays_what_it_was_when_opened() {
    let (world, id) = notes();
    let mut file = std::fs::File::open(world.path("Notes/a.txt")).expect("it opens");
    let mut first = [0; 2];
    file.read_exact(&mut first).expect("it reads");
    world.server.commit(&id, &[("a.txt", Some(b"omega, and a longer text\n"))]);
    wait_until("the edit shows", || world.read("Notes/a.txt") == "omega, and a longer text\n");
    let mut rest = String::new();
    file.read_to_string(&mut rest).expect("it reads");
    assert_eq!((&first, rest.as_str()), (b"al", "pha\n"));
}

#[test]
fn who_reads_a_path_while_the_file_is_replaced_elsewhere_never_misses_it() {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "0\n")]);
    world.mount(&["--refresh", "0.1"]);
    for version in 1..=12 {
        let text = format!("{version}\n");
        world.server.commit(&id, &[("a.txt", Some(text.as_bytes()))]);
        // Every read in between finds the old file or the new one.
        wait_until("the new one shows", || world.read("Notes/a.txt") == text);
    }
}

#[test]
fn appending_after_an_edit_elsewhere_appends_to_that() {
    let (mut world, id) = notes();
    world.server.commit(&id, &[("a.txt", Some(b"alpha\nand a line from elsewhere\n"))]);
    wait_until("the edit shows", || world.read("Notes/a.txt").contains("elsewhere"));
    world.sh("echo mine >> Notes/a.txt");
    world.saved();
    assert_eq!(world.texts(&id)["a.txt"], "alpha\nand a line from elsewhere\nmine\n");
}

#[test]
fn edits_here_and_elsewhere_in_different_places_end_in_one_file() {
    let mut world = World::empty();
    let lines = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
    let id = world.seed("Notes", &[("a.txt", lines)]);
    world.mount(&["--refresh", "600"]);
    assert_eq!(world.read("Notes/a.txt"), lines);
    world.server.commit(&id, &[("a.txt", Some(b"one\n2\n3\n4\n5\n6\n7\n8\n9\n"))]);
    world.sh("sed -i s/9/nine/ Notes/a.txt");
    world.saved();
    let merged = "one\n2\n3\n4\n5\n6\n7\n8\nnine\n";
    assert_eq!(world.texts(&id), [("a.txt".into(), merged.into())].into());
    world.same_on_both_sides(&id, "Notes");
    assert_eq!(world.changes().len(), 1);
}

#[test]
fn edits_here_and_elsewhere_in_the_same_place_are_both_kept_beside_each_other() {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "alpha\n")]);
    world.mount(&["--refresh", "600"]);
    assert_eq!(world.read("Notes/a.txt"), "alpha\n");
    world.server.commit(&id, &[("a.txt", Some(b"theirs\n"))]);
    world.sh("echo ours > Notes/a.txt");
    world.saved();
    let names = world.list("Notes");
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(world.read("Notes/a.txt"), "theirs\n");
    assert!(
        names[0].starts_with("a.conflict-") || names[0].starts_with("a.txt.conflict-"),
        "{names:?}"
    );
    assert_eq!(world.read(&format!("Notes/{}", names[0])), "ours\n");
    world.same_on_both_sides(&id, "Notes");
    let conflicts = world.status()["conflicts"].clone();
    assert_eq!(conflicts[0]["file"], names[0].as_str());
    let told = world.gistfs(&["status"]).arg(world.point()).output().expect("gistfs runs");
    let told = String::from_utf8(told.stdout).expect("text");
    assert!(told.contains(&format!("conflict: {:?}", names[0])), "{told}");
}

#[test]
fn reads_that_lag_behind_our_own_write_do_not_undo_it() {
    let (mut world, id) = notes();
    world.server.with_switches(|switches| {
        switches.stale_for = Duration::from_secs(4);
        switches.stale_regresses = true;
    });
    world.sh("echo omega > Notes/a.txt; rm Notes/b.txt; echo new > Notes/new.txt");
    wait_until("it is sent", || world.changes().len() == 1);
    let asked = |world: &World| world.server.requests().len();
    let before = asked(&world);
    wait_until("the list was read many times", || {
        assert_eq!(world.read("Notes/a.txt"), "omega\n");
        assert_eq!(world.list("Notes"), ["a.txt", "new.txt"]);
        asked(&world) > before + 16
    });
    world.saved();
    assert_eq!(world.changes().len(), 1);
    world.same_on_both_sides(&id, "Notes");
}
