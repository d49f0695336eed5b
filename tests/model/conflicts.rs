//! One test a promise about what changed on both sides, with requests counted.

use std::time::Duration;

use crate::github::{Counts, FakeGitHub};
use crate::mount::{Mount, READ, WRITE};
use crate::promises::{SECOND, lost, with_gist};

const BASE: &[u8] = b"1\n2\n3\n4\n5\n";

/// One gist with one file, which was read here: `ours` is saved here while it is `theirs` there.
fn both(ours: &[u8], theirs: &[u8]) -> Mount {
    let mount = with_gist("g", &[("a.txt", BASE)]);
    mount.text("g", "a.txt");
    mount.github.take_counts();
    mount.github.edit_elsewhere(&mount.github.id("g"), "a.txt", Some(theirs));
    mount.save("g", "a.txt", ours).expect("saved");
    mount
}

fn files(mount: &Mount) -> Vec<(String, String)> {
    let texts = mount.github.texts("g");
    let here = mount.look(true).expect("a tree")["g"].files.clone();
    let body = |file: crate::mount::SeenFile| file.body.expect("read").expect("readable");
    let here =
        here.into_iter().map(|(name, file)| (name, String::from_utf8(body(file)).expect("text")));
    let here: Vec<(String, String)> = here.collect();
    assert_eq!(here, texts.into_iter().collect::<Vec<_>>(), "both sides agree");
    here
}

#[test]
fn lines_changed_here_and_elsewhere_end_in_one_file_after_one_update() {
    let mount = both(b"one\n2\n3\n4\n5\n", b"1\n2\n3\n4\nfive\n");
    mount.settle();
    assert_eq!(files(&mount), [("a.txt".into(), "one\n2\n3\n4\nfive\n".into())]);
    let counts = mount.github.take_counts();
    assert_eq!(counts, Counts { gets: 1, updates: 1, ..Counts::default() });
    assert_eq!(mount.fs().syncer().report().conflicts, []);
}

#[test]
fn the_same_line_changed_here_and_elsewhere_ends_in_two_files_and_is_reported() {
    let mount = both(b"ours\n2\n3\n4\n5\n", b"theirs\n2\n3\n4\n5\n");
    mount.settle();
    let files = files(&mount);
    assert_eq!(files.len(), 2);
    assert_eq!(files[1], ("a.txt".into(), "theirs\n2\n3\n4\n5\n".into()));
    assert!(files[0].0.starts_with("a.conflict-2026") && files[0].0.ends_with(".txt"), "{files:?}");
    assert_eq!(files[0].1, "ours\n2\n3\n4\n5\n");
    let conflicts = mount.fs().syncer().report().conflicts;
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].file.as_ref(), Some(&files[0].0));
    let state = mount.fs().syncer().store().directory().to_owned();
    let unmounted = gistfs::sync::report::of_state(&state).expect("a state that can be read");
    assert_eq!(unmounted.conflicts, conflicts);
    mount.unlink("g", &files[0].0).expect("settled by a person");
    assert_eq!(mount.fs().syncer().report().conflicts, []);
}

#[test]
fn a_merge_shows_at_once_and_who_has_the_file_open_reads_on_in_the_old_version() {
    let mount = both(b"one\n2\n3\n4\n5\n", b"1\n2\n3\n4\nfive\n");
    let reader = mount.open("g", "a.txt", READ).expect("opened");
    mount.take_stale();
    mount.settle();
    assert_eq!(mount.read(reader.1).expect("read"), b"one\n2\n3\n4\n5\n");
    assert_eq!(mount.text("g", "a.txt"), "one\n2\n3\n4\nfive\n");
    assert!(!mount.take_stale().is_empty(), "the kernel was told");
    mount.close(reader).expect("closed");
}

#[test]
fn without_the_common_version_a_merge_waits_and_nothing_is_guessed() {
    let mount = with_gist("g", &[("a.txt", BASE)]);
    // Never read here: the common version is on GitHub only, in the history by then.
    mount.github.edit_elsewhere(&mount.github.id("g"), "a.txt", Some(b"1\n2\n3\n4\nfive\n"));
    mount.github.set_bodies_reachable(false);
    mount.save("g", "a.txt", b"one\n2\n3\n4\n5\n").expect("saved");
    mount.settle();
    assert_eq!(mount.github.texts("g").len(), 1);
    assert_eq!(mount.github.texts("g")["a.txt"], "1\n2\n3\n4\nfive\n");
    assert_eq!(mount.text("g", "a.txt"), "one\n2\n3\n4\n5\n");
    mount.refresh();
    mount.github.set_bodies_reachable(true);
    mount.settle();
    assert_eq!(files(&mount), [("a.txt".into(), "one\n2\n3\n4\nfive\n".into())]);
}

#[test]
fn with_the_common_version_gone_for_good_both_versions_are_kept() {
    let mount = with_gist("g", &[("a.txt", BASE)]);
    mount.github.edit_elsewhere(&mount.github.id("g"), "a.txt", Some(b"1\n2\n3\n4\nfive\n"));
    mount.github.forget_bodies(&mount.github.id("g"));
    mount.save("g", "a.txt", b"one\n2\n3\n4\n5\n").expect("saved");
    mount.settle();
    assert_eq!(files(&mount).len(), 2);
}

#[test]
fn what_came_between_the_last_look_and_the_update_is_merged_into_it_afterwards() {
    for (theirs, expected) in [
        ("1\n2\n3\n4\nfive\n", vec!["one\n2\n3\n4\nfive\n"]),
        ("eins\n2\n3\n4\n5\n", vec!["eins\n2\n3\n4\n5\n", "one\n2\n3\n4\n5\n"]),
    ] {
        let mount = with_gist("g", &[("a.txt", BASE)]);
        let id = mount.github.id("g");
        mount.github.meddle_before_update(move |github: &FakeGitHub| {
            github.edit_elsewhere(&id, "a.txt", Some(theirs.as_bytes()));
        });
        mount.save("g", "a.txt", b"one\n2\n3\n4\n5\n").expect("saved");
        mount.settle();
        mount.settle();
        let left: Vec<String> = files(&mount).into_iter().map(|(_, text)| text).collect();
        assert_eq!(left, expected);
        assert_eq!(mount.github.take_counts().revisions, 1);
    }
}

#[test]
fn what_was_edited_elsewhere_just_before_it_was_removed_here_comes_back() {
    let mount = with_gist("g", &[("a.txt", BASE), ("b", b"b\n")]);
    let id = mount.github.id("g");
    mount.github.meddle_before_update(move |github: &FakeGitHub| {
        github.edit_elsewhere(&id, "a.txt", Some(b"theirs\n"));
    });
    mount.unlink("g", "a.txt").expect("removed");
    mount.settle();
    mount.settle();
    assert_eq!(files(&mount)[0], ("a.txt".into(), "theirs\n".into()));
}

#[test]
fn our_own_unanswered_update_is_not_brought_back_as_somebody_else_s() {
    let mount = with_gist("g", &[("a.txt", BASE), ("b", b"b\n")]);
    mount.github.set_lag(1);
    mount.github.fail_next(lost(), true);
    mount.save("g", "a.txt", b"first\n").expect("saved");
    mount.pass(SECOND * 3);
    mount.save("g", "a.txt", b"second\n").expect("saved");
    mount.settle();
    mount.settle();
    assert_eq!(files(&mount)[0], ("a.txt".into(), "second\n".into()));
    assert_eq!(files(&mount).len(), 2);
}

#[test]
fn a_file_renamed_elsewhere_and_edited_here_has_our_text_under_their_name() {
    let mount = with_gist("g", &[("a.txt", BASE), ("b", b"b\n")]);
    let number = mount.stat("g", "a.txt").expect("there").ino;
    let id = mount.github.id("g");
    mount.github.edit_elsewhere(&id, "z.txt", Some(BASE));
    mount.github.edit_elsewhere(&id, "a.txt", None);
    mount.save("g", "a.txt", b"edited\n").expect("saved");
    mount.settle();
    let expected = [("b".into(), "b\n".into()), ("z.txt".into(), "edited\n".into())];
    assert_eq!(files(&mount), expected);
    assert_eq!(mount.stat("g", "z.txt").expect("there").ino, number);
}

#[test]
fn a_description_that_ours_replaced_is_reported_until_it_changes_again() {
    let mut mount = with_gist("g", &[("a.txt", BASE)]);
    let id = mount.github.id("g");
    mount.github.describe_elsewhere(&id, "theirs");
    mount.rename_gist("g", "ours", gistfs::fs::RenameMode::NoReplace).expect("renamed");
    mount.settle();
    assert_eq!(mount.github.description(&id).as_deref(), Some("ours"));
    for _ in 0..2 {
        let conflicts = mount.fs().syncer().report().conflicts;
        assert_eq!(conflicts.len(), 1);
        assert_eq!(conflicts[0].description.as_deref(), Some("theirs"));
        mount.kill_and_remount();
    }
    mount.rename_gist("ours", "settled", gistfs::fs::RenameMode::NoReplace).expect("renamed");
    assert_eq!(mount.fs().syncer().report().conflicts, []);
}

#[test]
fn a_change_elsewhere_in_the_second_of_our_own_shows_with_the_next_list() {
    let mount = with_gist("g", &[("a.txt", BASE), ("b", b"b\n")]);
    mount.save("g", "b", b"ours\n").expect("saved");
    mount.pass(SECOND * 2);
    assert_eq!(mount.github.texts("g")["b"], "ours\n");
    mount.github.edit_elsewhere(&mount.github.id("g"), "a.txt", Some(b"theirs\n"));
    mount.github.take_counts();
    mount.fs().syncer().refresh_new(mount.clock.now()).expect("an answer");
    assert_eq!(mount.text("g", "a.txt"), "theirs\n");
    assert_eq!(mount.github.take_counts(), Counts { lists: 1, gets: 1, ..Counts::default() });
}

#[test]
fn a_gist_deleted_here_and_edited_elsewhere_stays() {
    let mount = with_gist("g", &[("a.txt", BASE)]);
    mount.github.edit_elsewhere(&mount.github.id("g"), "a.txt", Some(b"theirs\n"));
    mount.unlink("g", "a.txt").expect("removed");
    mount.rmdir("g").expect("removed");
    mount.settle();
    assert_eq!(files(&mount), [("a.txt".into(), "theirs\n".into())]);
}

#[test]
fn who_writes_on_in_a_file_that_changed_elsewhere_is_merged_when_it_closes() {
    let mount = with_gist("g", &[("a.txt", BASE)]);
    let writer = mount.open("g", "a.txt", WRITE).expect("opened");
    mount.write(writer.1, 0, b"i\n").expect("written");
    mount.github.edit_elsewhere(&mount.github.id("g"), "a.txt", Some(b"1\n2\n3\n4\nfive\n"));
    mount.clock.pass(Duration::from_secs(2));
    mount.refresh();
    mount.close(writer).expect("closed");
    mount.settle();
    assert_eq!(files(&mount), [("a.txt".into(), "i\n2\n3\n4\nfive\n".into())]);
}

#[test]
fn what_another_machine_did_since_is_not_taken_for_our_unanswered_update() {
    let mount = with_gist("g", &[("a.txt", BASE), ("b", b"b\n")]);
    let id = mount.github.id("g");
    mount.github.fail_next(lost(), true);
    mount.unlink("g", "a.txt").expect("removed");
    mount.pass(SECOND * 3);
    mount.github.edit_elsewhere(&id, "a.txt", Some(b"back again\n"));
    mount.clock.pass(SECOND * 30);
    mount.refresh();
    assert_eq!(mount.text("g", "a.txt"), "back again\n");
    mount.clock.pass(SECOND);
    mount.github.edit_elsewhere(&id, "a.txt", None);
    mount.refresh();
    assert_eq!(files(&mount), [("b".into(), "b\n".into())]);
}

#[test]
fn what_an_unanswered_update_wrote_over_is_merged_when_that_shows() {
    let mount = with_gist("g", &[("a.txt", BASE)]);
    let id = mount.github.id("g");
    mount.github.meddle_before_update(move |github: &FakeGitHub| {
        github.edit_elsewhere(&id, "a.txt", Some(b"1\n2\n3\n4\nfive\n"));
    });
    mount.github.fail_next(lost(), true);
    mount.save("g", "a.txt", b"one\n2\n3\n4\n5\n").expect("saved");
    mount.settle();
    mount.settle();
    mount.refresh();
    mount.settle();
    assert_eq!(files(&mount), [("a.txt".into(), "one\n2\n3\n4\nfive\n".into())]);
}

#[test]
fn a_description_given_elsewhere_in_the_second_of_our_own_update_shows_with_the_next_list() {
    let mount = with_gist("g", &[("a.txt", BASE)]);
    mount.save("g", "a.txt", b"ours\n").expect("saved");
    mount.pass(SECOND * 2);
    mount.github.describe_elsewhere(&mount.github.id("g"), "theirs");
    mount.fs().syncer().refresh_new(mount.clock.now()).expect("an answer");
    assert_eq!(mount.text("theirs", "a.txt"), "ours\n");
}

#[test]
fn a_create_without_an_answer_is_known_again_though_others_have_changed_its_gist_since() {
    for listed in [false, true] {
        let mount = Mount::alone();
        mount.refresh();
        mount.github.fail_next(lost(), true);
        mount.mkdir("new").expect("made");
        mount.save("new", "a", b"ours\n").expect("saved");
        mount.pass(SECOND * 2);
        mount.github.edit_elsewhere(&mount.github.id("new"), "b", Some(b"theirs\n"));
        mount.github.describe_elsewhere(&mount.github.id("new"), "renamed");
        if listed {
            mount.refresh();
        }
        mount.save("new", "c", b"later\n").ok();
        (0..28).for_each(|_| mount.pass(SECOND));
        mount.refresh();
        mount.settle();
        assert_eq!(mount.github.ids().len(), 1, "it was made twice");
        let there = mount.github.texts("renamed");
        assert_eq!((there["a"].as_str(), there["b"].as_str()), ("ours\n", "theirs\n"));
        assert_eq!(mount.text("renamed", "b"), "theirs\n");
    }
}

#[test]
fn a_create_that_never_arrived_is_sent_again_as_soon_as_that_is_certain() {
    let mount = Mount::alone();
    mount.refresh();
    mount.github.fail_next(lost(), false);
    mount.mkdir("new").expect("made");
    mount.save("new", "a", b"text\n").expect("saved");
    mount.pass(SECOND * 2);
    (0..28).for_each(|_| mount.pass(SECOND));
    assert_eq!(mount.github.texts("new")["a"], "text\n");
}
