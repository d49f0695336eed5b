//! One test a promise: what users and their programs may rely on, with requests counted.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use gistfs::api::{ApiError, FileChange};
use gistfs::error::Error;
use gistfs::fs::{RenameMode, SetAttr, Stale, Wait};
use gistfs::store::gist::GistKey;
use gistfs::sync::Watcher;
use gistfs::sync::standing::Standing;
use gistfs::tree::Ino;

use crate::github::{Counts, FakeGitHub, Sent, name};
use crate::mount::{Mount, READ, WRITE};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// A mount that knows one gist with these files, everything counted so far forgotten.
pub(crate) fn with_gist(title: &str, files: &[(&str, &[u8])]) -> Mount {
    let mount = Mount::alone();
    mount.github.create_elsewhere(title, files);
    mount.clock.pass(SECOND * 60);
    mount.refresh();
    mount.look(false).expect("a tree");
    mount.take_stale();
    mount.github.take_counts();
    mount
}

pub(crate) fn lost() -> ApiError {
    ApiError::Lost { host: "api.test".into(), detail: "cut off".into() }
}

fn unreachable() -> ApiError {
    ApiError::Unreachable { host: "api.test".into(), detail: "no route".into() }
}

/// Only these changes were sent.
#[track_caller]
fn assert_sent(mount: &Mount, creates: usize, updates: usize, deletes: usize) {
    let sent = mount.github.sent();
    let count = |kind: fn(&Sent) -> bool| sent.iter().filter(|sent| kind(sent)).count();
    let counted = (
        count(|sent| matches!(sent, Sent::Create(_))),
        count(|sent| matches!(sent, Sent::Update(..))),
        count(|sent| matches!(sent, Sent::Delete(_))),
    );
    assert_eq!(counted, (creates, updates, deletes), "{sent:?}");
    assert_eq!(mount.github.complaints(), [""; 0]);
}

#[test]
fn thirty_two_threads_read_and_write_the_right_bytes() {
    const THREADS: usize = 32;
    const ROUNDS: usize = 10;
    let mount = with_gist("g", &[("shared", b"shared\n")]);
    let start = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (mount, start) = (&mount, &start);
            scope.spawn(move || {
                start.wait();
                let own = format!("own{thread}");
                for round in 0..ROUNDS {
                    let body = format!("{thread} {round}\n").repeat(100 + thread);
                    mount.save("g", &own, body.as_bytes()).expect("saved");
                    assert_eq!(mount.text("g", &own), body);
                    // One byte of the shared file is this thread's.
                    let file = mount.open("g", "shared", WRITE).expect("opened");
                    mount
                        .write(file.1, 100 + thread as u64, &[b'A' + round as u8])
                        .expect("written");
                    let seen = mount.read(file.1).expect("read");
                    assert_eq!(seen[100 + thread], b'A' + round as u8);
                    mount.close(file).expect("closed");
                    if thread == 0 {
                        mount.pass(SECOND);
                        mount.refresh();
                    }
                }
            });
        }
    });
    let shared = mount.cat("g", "shared").expect("read");
    assert_eq!(shared.len(), 100 + THREADS);
    assert!(shared[100..].iter().all(|byte| *byte == b'A' + ROUNDS as u8 - 1), "{shared:?}");
    mount.settle();
    let files = mount.github.files(&mount.github.id("g")).expect("the gist");
    assert_eq!(files.len(), THREADS + 1);
    assert_eq!(files[&name("own7")], format!("7 {}\n", ROUNDS - 1).repeat(107));
}

#[test]
fn a_list_asked_for_before_our_change_and_answered_after_it_does_not_undo_it() {
    let mount = with_gist("g", &[("a", b"old\n")]);
    mount.save("g", "a", b"new\n").expect("saved");
    let (fs, clock) = (Arc::clone(mount.fs()), mount.clock.clone());
    mount.github.while_listed(move || {
        clock.pass(SECOND * 6);
        fs.syncer().send_what_is_due(clock.now());
    });
    mount.github.create_elsewhere("other", &[("b", b"b\n")]);
    mount.refresh();
    assert_sent(&mount, 0, 1, 0);
    assert_eq!(mount.text("g", "a"), "new\n");
    mount.settle();
    assert_eq!(mount.github.texts("g")["a"], "new\n");
    assert_sent(&mount, 0, 1, 0);
}

/// Eviction spares what is unsent; a file without a name is in no gist that could say so.
#[test]
fn what_was_written_to_a_deleted_open_file_outlives_the_cache() {
    let mount = with_gist("g", &[("b", b"b\n")]);
    let large = vec![b'x'; 20 << 20];
    let file = mount.create("g", "new").expect("made");
    mount.write(file.1, 0, &large).expect("written");
    mount.fs().flush(file.1, Wait::No).expect("recorded");
    mount.unlink("g", "new").expect("deleted");
    let blobs = mount.fs().syncer().store().directory().join("blobs");
    std::fs::remove_dir_all(&blobs).expect("the cache is gone");
    assert!(mount.read(file.1).expect("read") == large);
    mount.write(file.1, 1, b"y").expect("written");
    let read = mount.read(file.1).expect("read");
    assert!(read.len() == large.len() && read.starts_with(b"xyx"));
    mount.close(file).expect("closed");
}

#[test]
fn a_file_deleted_while_open_can_be_read_and_written_until_it_is_closed() {
    let mount = with_gist("g", &[("a", b"one\n"), ("b", b"b\n")]);
    let file = mount.open("g", "a", WRITE).expect("opened");
    mount.unlink("g", "a").expect("deleted");
    assert_eq!(mount.read(file.1).expect("read"), b"one\n");
    mount.write(file.1, 4, b"two\n").expect("written");
    let attr = mount.fs().getattr(file.0, Wait::No).expect("fstat works");
    assert_eq!((attr.nlink, attr.size), (0, 8));
    mount.settle();
    assert_eq!(mount.read(file.1).expect("read"), b"one\ntwo\n");
    mount.close(file).expect("closed");
    assert!(matches!(mount.fs().getattr(file.0, Wait::No), Err(Error::Replaced)));
    mount.settle();
    assert_eq!(mount.github.texts("g").into_keys().collect::<Vec<_>>(), ["b"]);
}

#[test]
fn a_file_renamed_over_while_open_keeps_its_bytes_and_the_name_gets_the_new_ones() {
    let mount = with_gist("g", &[("a", b"old\n")]);
    let reader = mount.open("g", "a", READ).expect("opened");
    mount.save("g", "a.new", b"new\n").expect("saved");
    mount.mv(("g", "a.new"), ("g", "a"));
    assert_eq!(mount.read(reader.1).expect("read"), b"old\n");
    assert_eq!(mount.text("g", "a"), "new\n");
    mount.close(reader).expect("closed");
    mount.settle();
    assert_sent(&mount, 0, 1, 0);
    assert_eq!(mount.github.texts("g")["a"], "new\n");
}

/// The kernel says where it takes the end to be, and may not have heard yet of another length.
#[test]
fn what_is_appended_goes_to_the_end_whatever_the_kernel_takes_for_it() {
    let mount = with_gist("g", &[("a", b"one\n")]);
    let file = mount.open("g", "a", WRITE).expect("opened");
    mount.take_stale();
    for believed in [0, 2, 100] {
        mount.fs().append(file.1, believed, b"more\n", Wait::Yes).expect("written");
        assert_eq!(mount.take_stale(), [Stale::Node(file.0)], "the kernel is told");
    }
    mount.fs().append(file.1, 19, b"last\n", Wait::Yes).expect("written");
    assert_eq!(mount.take_stale(), []);
    mount.close(file).expect("closed");
    assert_eq!(mount.text("g", "a"), "one\nmore\nmore\nmore\nlast\n");
}

#[test]
fn two_handles_on_one_file_see_each_other_s_writes() {
    let mount = with_gist("g", &[("a", b"0123456789")]);
    let (one, two) = (mount.open("g", "a", WRITE), mount.open("g", "a", WRITE));
    let (one, two) = (one.expect("opened"), two.expect("opened"));
    mount.write(one.1, 0, b"AB").expect("written");
    mount.write(two.1, 8, b"YZ").expect("written");
    assert_eq!(mount.read(one.1).expect("read"), b"AB234567YZ");
    assert_eq!(mount.read(two.1).expect("read"), b"AB234567YZ");
    mount.close(one).expect("closed");
    mount.write(two.1, 4, b"--").expect("written");
    mount.close(two).expect("closed");
    assert_eq!(mount.text("g", "a"), "AB23--67YZ");
}

#[test]
fn holes_read_as_zeroes() {
    let mount = with_gist("g", &[("a", b"x")]);
    let file = mount.open("g", "a", WRITE).expect("opened");
    mount.write(file.1, 5000, b"end").expect("written");
    let body = mount.read(file.1).expect("read");
    assert_eq!((body.len(), body[0], &body[5000..]), (5003, b'x', &b"end"[..]));
    assert!(body[1..5000].iter().all(|byte| *byte == 0));
    let cut = SetAttr { size: Some(6000), ..SetAttr::default() };
    mount.fs().setattr(file.0, &cut, None, Wait::Yes).expect("extended");
    assert_eq!(mount.read(file.1).expect("read")[5003..], [0; 997]);
    mount.close(file).expect("closed");
}

#[test]
fn a_save_that_stops_half_way_gives_the_document_its_name_back_after_half_a_minute() {
    let mut mount = with_gist("g", &[("a.txt", b"precious\n"), ("b", b"b\n")]);
    mount.mv(("g", "a.txt"), ("g", "a.txt~"));
    // What stopped half way may have been the whole machine.
    mount.kill_and_remount();
    for _ in 0..5 {
        mount.pass(SECOND * 5);
    }
    assert_sent(&mount, 0, 0, 0);
    assert!(matches!(mount.stat("g", "a.txt"), Err(Error::NotFound)));
    mount.pass(SECOND * 6);
    assert_eq!(mount.text("g", "a.txt"), "precious\n");
    assert!(matches!(mount.stat("g", "a.txt~"), Err(Error::NotFound)));
    mount.settle();
    assert_sent(&mount, 0, 0, 0);
}

#[test]
fn a_file_that_is_being_written_is_sent_when_it_is_closed() {
    let mount = with_gist("g", &[("a", b"old\n")]);
    let file = mount.open("g", "a", WRITE).expect("opened");
    for line in 0..20 {
        mount.write(file.1, line * 5, b"line\n").expect("written");
        // A child that had inherited the descriptor ends.
        mount.fs().flush(file.1, Wait::Yes).expect("flushed");
        mount.pass(SECOND);
    }
    assert_sent(&mount, 0, 0, 0);
    mount.close(file).expect("closed");
    mount.settle();
    assert_sent(&mount, 0, 1, 0);
    assert_eq!(mount.github.texts("g")["a"], "line\n".repeat(20));
}

#[test]
fn a_file_that_is_never_closed_is_sent_after_half_a_minute() {
    let mount = with_gist("g", &[("log", b"old\n")]);
    let file = mount.open("g", "log", WRITE).expect("opened");
    mount.write(file.1, 4, b"new\n").expect("written");
    mount.pass(SECOND * 29);
    assert_sent(&mount, 0, 0, 0);
    mount.pass(SECOND * 2);
    mount.pass(SECOND * 6);
    assert_eq!(mount.github.texts("g")["log"], "old\nnew\n");
    mount.write(file.1, 8, b"more\n").expect("written");
    mount.close(file).expect("closed");
    mount.settle();
    assert_eq!(mount.github.texts("g")["log"], "old\nnew\nmore\n");
}

#[test]
fn twenty_files_copied_into_a_new_gist_are_one_create() {
    let mount = Mount::alone();
    mount.refresh();
    mount.mkdir("new").expect("made");
    for number in 0..20 {
        mount.save("new", &format!("f{number}"), b"text\n").expect("saved");
        mount.pass(SECOND / 10);
    }
    mount.settle();
    assert_sent(&mount, 1, 0, 0);
    assert_eq!(mount.github.texts("new").len(), 20);
}

#[test]
fn five_edits_in_a_row_are_one_update_and_one_look() {
    let files: Vec<(String, Vec<u8>)> = (0..5).map(|n| (format!("f{n}"), vec![b'a'; 9])).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(n, b)| (n.as_str(), b.as_slice())).collect();
    let mount = with_gist("g", &files);
    for (file, _) in &files {
        mount.save("g", file, b"edited\n").expect("saved");
        mount.pass(SECOND / 5);
    }
    mount.settle();
    assert_sent(&mount, 0, 1, 0);
    let counts = mount.github.take_counts();
    assert_eq!(counts, Counts { gets: 1, updates: 1, ..Counts::default() });
}

#[test]
fn edits_beside_a_file_that_is_held_still_wait_for_each_other() {
    let mount = with_gist("g", &[("a", b"a\n"), ("b", b"b\n")]);
    mount.save("g", "blank", b" \n").expect("saved");
    mount.settle();
    mount.pass(SECOND * 60);
    for file in ["a", "b"] {
        mount.save("g", file, b"edited\n").expect("saved");
        mount.pass(SECOND / 2);
    }
    mount.settle();
    assert_sent(&mount, 0, 1, 0);
}

#[test]
fn a_vim_save_is_one_update_without_a_trace_of_its_helpers() {
    let mount = with_gist("g", &[("a", b"old\n")]);
    mount.save("g", ".a.swp", b"swap").expect("saved");
    mount.save("g", "4913", b"").expect("saved");
    mount.unlink("g", "4913").expect("deleted");
    mount.mv(("g", "a"), ("g", "a~"));
    mount.save("g", "a", b"new\n").expect("saved");
    mount.unlink("g", "a~").expect("deleted");
    mount.settle();
    mount.unlink("g", ".a.swp").expect("deleted");
    mount.settle();
    assert_sent(&mount, 0, 1, 0);
    let [Sent::Update(_, patch)] = &mount.github.sent()[..] else { panic!("one update") };
    assert_eq!(patch.files, [(name("a"), FileChange::Write("new\n".into()))].into());
}

#[test]
fn a_save_of_the_same_bytes_costs_nothing() {
    let mount = with_gist("g", &[("a", b"same\n")]);
    mount.save("g", "a", b"same\n").expect("saved");
    mount.settle();
    assert_sent(&mount, 0, 0, 0);
    assert_eq!(mount.github.revisions(&mount.github.id("g")), 1);
}

/// Two gists, and `x` moved from one to the other; the requests so far.
fn moved(fault: Option<(ApiError, bool)>) -> Mount {
    let mount = with_gist("from", &[("x", b"moved\n"), ("stays", b"1\n")]);
    mount.github.create_elsewhere("to", &[("y", b"y\n")]);
    mount.refresh();
    if let Some((error, applied)) = fault {
        mount.github.fail_next(error, applied);
    }
    mount.mv(("from", "x"), ("to", "x"));
    mount
}

/// GitHub has the moved file somewhere, whatever moment this is.
#[track_caller]
fn assert_somewhere(mount: &Mount) {
    let everywhere = [mount.github.texts("from"), mount.github.texts("to")];
    assert!(everywhere.iter().any(|files| files.contains_key("x")), "{everywhere:?}");
}

#[test]
fn a_move_between_gists_reaches_its_destination_before_it_leaves_its_source() {
    for fault in [
        None,
        Some((unreachable(), false)),
        Some((ApiError::Forbidden("no".into()), false)),
        Some((ApiError::Server(502), false)),
        Some((lost(), true)),
        Some((lost(), false)),
    ] {
        let mount = moved(fault.clone());
        for _ in 0..40 {
            mount.pass(SECOND);
            assert_somewhere(&mount);
        }
        if matches!(fault, Some((ApiError::Forbidden(_), _))) {
            // A refusal waits for the user.
            assert!(mount.github.texts("from").contains_key("x"));
            mount.fs().syncer().drain(mount.clock.now().after(SECOND * 60), false);
        }
        assert!(!mount.github.texts("from").contains_key("x"), "{fault:?}");
        assert_eq!(mount.github.texts("to")["x"], "moved\n", "{fault:?}");
        assert_eq!(mount.github.complaints(), [""; 0]);
    }
}

#[test]
fn a_gist_removed_after_its_file_was_moved_out_waits_for_the_file_to_arrive() {
    let mount = moved(None);
    mount.unlink("from", "stays").expect("deleted");
    mount.rmdir("from").expect("removed");
    mount.github.fail_next(unreachable(), false);
    for _ in 0..3 {
        mount.pass(SECOND * 3);
        if mount.github.ids().len() == 2 {
            assert_somewhere(&mount);
        }
    }
    mount.pass(SECOND * 10);
    mount.pass(SECOND * 10);
    assert_eq!(mount.github.texts("to")["x"], "moved\n");
    assert_eq!(mount.github.ids().len(), 1);
    let order: Vec<bool> =
        mount.github.sent().iter().map(|sent| matches!(sent, Sent::Delete(_))).collect();
    assert_eq!(order, [false, false, true], "the delete comes last");
}

#[test]
fn a_file_moved_on_and_edited_is_not_deleted_where_it_came_from_before_it_arrives() {
    let mount = moved(None);
    mount.mkdir("third").expect("made");
    mount.mv(("to", "x"), ("third", "x"));
    mount.github.fail_next(unreachable(), false);
    for _ in 0..20 {
        mount.pass(SECOND);
        let there = mount.github.ids().len() == 3;
        assert!(there || mount.github.texts("from").contains_key("x"));
    }
    assert_eq!(mount.github.texts("third")["x"], "moved\n");
    assert!(!mount.github.texts("from").contains_key("x"));

    let mount = moved(None);
    mount.save("to", "x", b"moved and edited\n").expect("saved");
    mount.github.fail_next(unreachable(), false);
    for _ in 0..20 {
        mount.pass(SECOND);
        assert_somewhere(&mount);
    }
    assert_eq!(mount.github.texts("to")["x"], "moved and edited\n");
    assert!(!mount.github.texts("from").contains_key("x"));
}

#[test]
fn removing_a_gist_and_all_in_it_is_one_delete() {
    let mount = with_gist("g", &[("a", b"a\n"), ("b", b"b\n"), ("c", b"c\n")]);
    for file in ["a", "b", "c"] {
        mount.unlink("g", file).expect("deleted");
        mount.pass(SECOND / 2);
    }
    mount.rmdir("g").expect("removed");
    mount.settle();
    assert_sent(&mount, 0, 0, 1);
    assert_eq!(mount.github.ids(), []);
}

#[test]
fn a_directory_made_and_removed_again_is_nobody_s_business() {
    let mount = Mount::alone();
    mount.refresh();
    mount.mkdir("probe").expect("made");
    mount.pass(SECOND * 10);
    mount.rmdir("probe").expect("removed");
    mount.settle();
    assert_sent(&mount, 0, 0, 0);
}

#[test]
fn a_lost_answer_to_a_create_never_makes_a_second_gist() {
    for lag in [0, 3] {
        for killed in [false, true] {
            let mut mount = Mount::alone();
            mount.refresh();
            mount.github.set_lag(lag);
            mount.mkdir("new").expect("made");
            mount.save("new", "a", b"first\n").expect("saved");
            mount.github.fail_next(lost(), true);
            mount.pass(SECOND * 2);
            mount.save("new", "a", b"second\n").expect("saved");
            if killed {
                mount.kill_and_remount();
            }
            for _ in 0..60 {
                mount.pass(SECOND);
            }
            assert_sent(&mount, 1, 1, 0);
            assert_eq!(mount.github.ids().len(), 1, "lag {lag}, killed {killed}");
            assert_eq!(mount.github.texts("new")["a"], "second\n");
        }
    }
}

#[test]
fn a_lost_answer_to_an_update_is_no_conflict_for_who_goes_on_writing() {
    for lag in [0, 3] {
        let mount = with_gist("g", &[("a", b"1\n"), ("b", b"b\n")]);
        mount.github.set_lag(lag);
        mount.github.fail_next(lost(), true);
        mount.save("g", "a", b"2\n").expect("saved");
        mount.unlink("g", "b").expect("deleted");
        mount.pass(SECOND * 3);
        mount.save("g", "a", b"3\n").expect("saved");
        for _ in 0..40 {
            mount.pass(SECOND);
        }
        assert_eq!(mount.github.texts("g"), [("a".into(), "3\n".into())].into());
        assert_eq!(mount.look(false).expect("a tree")["g"].files.len(), 1);
    }
}

#[test]
fn an_answer_that_shows_an_earlier_unanswered_update_is_no_conflict_either() {
    let mount = with_gist("g", &[("a", b"1\n"), ("b", b"b\n")]);
    mount.github.set_lag(1);
    mount.github.fail_next(lost(), true);
    mount.save("g", "a", b"2\n").expect("saved");
    mount.pass(SECOND * 3);
    // Held: the next update does not speak of it, and its answer shows what the first one did.
    mount.save("g", "a", b" \n").expect("saved");
    mount.save("g", "b", b"edited\n").expect("saved");
    mount.settle();
    mount.settle();
    assert_eq!(mount.look(false).expect("a tree")["g"].files.len(), 2);
    assert_eq!(
        (mount.text("g", "a"), mount.github.texts("g")["b"].as_str()),
        (" \n".into(), "edited\n")
    );
}

#[test]
fn who_reads_while_another_machine_edits_reads_on_in_the_old_version() {
    let mount = with_gist("g", &[("a", b"old\n")]);
    let reader = mount.open("g", "a", READ).expect("opened");
    mount.clock.pass(SECOND);
    mount.github.edit_elsewhere(&mount.github.id("g"), "a", Some(b"newer\n"));
    mount.refresh();
    assert_eq!(mount.read(reader.1).expect("read"), b"old\n");
    assert_eq!(mount.text("g", "a"), "newer\n");
    assert_eq!(mount.read(reader.1).expect("read"), b"old\n");
    mount.close(reader).expect("closed");
}

/// The kernel may open what it remembers of a path before it hears that another file is there now.
/// ESTALE makes it walk the path once more; ENOENT would reach the program.
#[test]
fn a_node_that_was_replaced_under_a_reader_sends_whoever_comes_by_its_path_to_the_new_one() {
    let mount = with_gist("g", &[("a.txt", b"old\n")]);
    let reader = mount.open("g", "a.txt", READ).expect("opened");
    mount.github.edit_elsewhere(&mount.github.id("g"), "a.txt", Some(b"theirs\n"));
    mount.pass(SECOND * 30);
    mount.refresh();
    assert_eq!(mount.read(reader.1).expect("read"), b"old\n");
    mount.close(reader).expect("closed");
    let again = mount.fs().open(reader.0, READ).expect_err("it is gone");
    assert_eq!(again.errno(), libc::ESTALE);
    assert_eq!(
        mount.fs().getattr(reader.0, Wait::No).expect_err("it is gone").errno(),
        libc::ESTALE
    );
    assert_eq!(mount.text("g", "a.txt"), "theirs\n");
}

#[test]
fn an_edit_elsewhere_under_a_writer_is_merged_when_it_closes() {
    for writes in [false, true] {
        for seconds in [1, 45] {
            let mount = with_gist("g", &[("a.txt", b"old\n"), ("b", b"b\n")]);
            let writer = mount.open("g", "a.txt", WRITE).expect("opened");
            if writes {
                mount.write(writer.1, 0, b"ours\n").expect("written");
            }
            mount.pass(SECOND * seconds);
            mount.github.edit_elsewhere(&mount.github.id("g"), "a.txt", Some(b"theirs\n"));
            mount.pass(SECOND);
            mount.refresh();
            mount.pass(SECOND * 7);
            if writes {
                mount.write(writer.1, 5, b"to the end\n").expect("written");
            }
            mount.close(writer).expect("closed");
            mount.settle();
            mount.refresh();
            mount.settle();
            let texts = mount.github.texts("g");
            assert_eq!(texts["a.txt"], "theirs\n", "{writes}, {seconds} s");
            assert_eq!(mount.text("g", "a.txt"), "theirs\n", "{writes}, {seconds} s");
            let aside: Vec<_> = texts.iter().filter(|(n, _)| n.contains("conflict")).collect();
            assert_eq!(aside.len(), usize::from(writes), "{texts:?}");
            for (_, text) in aside {
                assert_eq!(text, "ours\nto the end\n");
            }
        }
    }
}

#[test]
fn an_edit_elsewhere_between_the_look_and_the_update_is_not_written_over_under_a_writer() {
    let mount = with_gist("g", &[("a.txt", b"old\n"), ("b", b"b\n")]);
    let writer = mount.open("g", "a.txt", WRITE).expect("opened");
    mount.write(writer.1, 0, b"ours\n").expect("written");
    let id = mount.github.id("g");
    mount.github.meddle_before_update(move |github: &FakeGitHub| {
        github.edit_elsewhere(&id, "a.txt", Some(b"theirs\n"));
    });
    mount.save("g", "b", b"edited\n").expect("saved");
    mount.settle();
    mount.close(writer).expect("closed");
    mount.settle();
    let texts = mount.github.texts("g");
    assert_eq!((texts.len(), texts["a.txt"].as_str()), (3, "theirs\n"), "{texts:?}");
    assert!(texts.values().any(|text| text == "ours\n"), "{texts:?}");
}

#[test]
fn a_gist_deleted_elsewhere_waits_for_its_writer_and_is_made_anew_with_what_was_written() {
    let mount = with_gist("g", &[("a", b"old\n"), ("never read", b"gone\n")]);
    let writer = mount.open("g", "a", WRITE).expect("opened");
    mount.write(writer.1, 4, b"new\n").expect("written");
    mount.github.delete_elsewhere(&mount.github.id("g"));
    mount.refresh();
    mount.write(writer.1, 8, b"more\n").expect("written");
    mount.close(writer).expect("closed");
    mount.settle();
    mount.refresh();
    mount.settle();
    // Nobody has the other file any more; it does not keep this one from being sent.
    assert_eq!(mount.github.texts("g"), [("a".into(), "old\nnew\nmore\n".into())].into());
    assert_eq!(mount.look(true).expect("a tree")["g"].files.len(), 1);
}

#[test]
fn a_file_renamed_but_never_read_outlives_its_deletion_elsewhere() {
    let mount = with_gist("g", &[("a", b"a\n"), ("b", b"b\n")]);
    mount.mv(("g", "a"), ("g", "renamed"));
    mount.github.edit_elsewhere(&mount.github.id("g"), "a", None);
    mount.clock.pass(SECOND);
    mount.settle();
    assert_eq!(mount.text("g", "renamed"), "a\n");
    assert_eq!(mount.github.texts("g")["renamed"], "a\n");
}

#[test]
fn two_changes_elsewhere_within_one_second_are_both_noticed() {
    let mount = with_gist("g", &[("a", b"1\n")]);
    let id = mount.github.id("g");
    let news = || mount.fs().syncer().refresh_new(mount.clock.now()).expect("an answer");
    for version in ["2\n", "3\n"] {
        mount.github.edit_elsewhere(&id, "a", Some(version.as_bytes()));
        news();
        assert_eq!(mount.text("g", "a"), version);
    }
    mount.github.take_counts();
    news();
    news();
    let counts = mount.github.take_counts();
    assert_eq!((counts.lists, counts.unmodified), (2, 2), "nothing new costs nothing");
}

#[test]
fn the_kernel_is_told_of_every_name_that_another_machine_changed() {
    let files: &[(&str, &[u8])] = &[("edited", b"1\n"), ("gone", b"2\n"), ("same", b"3\n")];
    let mount = with_gist("g", files);
    let before = mount.look(true).expect("a tree")["g"].clone();
    mount.take_stale();
    mount.clock.pass(SECOND);
    let id = mount.github.id("g");
    mount.github.edit_elsewhere(&id, "edited", Some(b"longer\n"));
    mount.github.edit_elsewhere(&id, "gone", None);
    mount.github.edit_elsewhere(&id, "new", Some(b"4\n"));
    mount.github.create_elsewhere("another", &[("x", b"x\n")]);
    mount.refresh();
    let told = mount.take_stale();
    let name = |directory, name: &str| Stale::Name(directory, name.into());
    for needed in [
        Stale::Node(before.files["edited"].attr.ino),
        name(before.ino, "gone"),
        name(before.ino, "new"),
        Stale::Node(before.ino),
        name(Ino::ROOT, "another"),
        Stale::Node(Ino::ROOT),
    ] {
        assert!(told.contains(&needed), "{needed:?} is not among {told:?}");
    }
    assert!(!told.contains(&Stale::Node(before.files["same"].attr.ino)), "{told:?}");
    assert!(!told.contains(&name(before.ino, "same")), "{told:?}");
}

#[test]
fn a_new_description_elsewhere_renames_the_directory_and_tells_both_names() {
    let mount = with_gist("before", &[("a", b"a\n")]);
    let number = mount.dir("before").expect("there");
    mount.clock.pass(SECOND);
    mount.github.describe_elsewhere(&mount.github.id("before"), "after");
    mount.refresh();
    assert_eq!(mount.dir("after").expect("there"), number);
    assert!(matches!(mount.dir("before"), Err(Error::NotFound)));
    let told = mount.take_stale();
    for name in ["before", "after"] {
        assert!(told.contains(&Stale::Name(Ino::ROOT, name.into())), "{name}: {told:?}");
    }
}

#[test]
fn numbers_stay_put_across_renames_uploads_and_refreshes() {
    let mount = with_gist("g", &[("a", b"1\n"), ("b", b"2\n")]);
    mount.mkdir("h").expect("made");
    let (directory, file) = (mount.dir("g").expect("g"), mount.stat("g", "a").expect("a").ino);
    mount.save("g", "a", b"edited\n").expect("saved");
    mount.mv(("g", "a"), ("g", "c"));
    mount.settle();
    mount.refresh();
    assert_eq!(mount.stat("g", "c").expect("c").ino, file);
    mount.mv(("g", "c"), ("h", "d"));
    mount.rename_gist("g", "gg", RenameMode::NoReplace).expect("renamed");
    mount.settle();
    mount.clock.pass(SECOND);
    mount.github.edit_elsewhere(&mount.github.id("h"), "d", Some(b"theirs\n"));
    mount.pass(SECOND * 30);
    mount.refresh();
    assert_eq!(mount.stat("h", "d").expect("d").ino, file);
    assert_eq!(mount.text("h", "d"), "theirs\n");
    assert_eq!(mount.dir("gg").expect("gg"), directory);
}

#[test]
fn an_upload_moves_no_time() {
    let mount = with_gist("g", &[("a", b"1\n")]);
    mount.save("g", "a", b"edited\n").expect("saved");
    let before = mount.stat("g", "a").expect("a");
    mount.settle();
    mount.refresh();
    assert_sent(&mount, 0, 1, 0);
    assert_eq!(mount.stat("g", "a").expect("a"), before);
    assert!(mount.take_stale().is_empty(), "and the kernel need not ask again");
}

#[test]
fn what_was_closed_is_there_after_a_kill_and_what_is_owed_is_sent() {
    let mut mount = with_gist("g", &[("a", b"1\n")]);
    mount.save("g", "a", b"edited\n").expect("saved");
    mount.mkdir("new").expect("made");
    mount.save("new", "n", b"new\n").expect("saved");
    mount.kill_and_remount();
    assert_eq!((mount.text("g", "a"), mount.text("new", "n")), ("edited\n".into(), "new\n".into()));
    mount.settle();
    assert_sent(&mount, 1, 1, 0);
    assert_eq!(mount.github.texts("g")["a"], "edited\n");
}

#[test]
fn a_change_while_another_is_being_sent_is_sent_too() {
    let mount = with_gist("g", &[("a", b"1\n"), ("b", b"2\n")]);
    let fs = std::sync::Arc::clone(mount.fs());
    mount.github.meddle_before_update(move |_| {
        // Just then another gist than the one under way would not matter: it is the same one.
        let store = fs.syncer().store();
        let key: GistKey = store.keys()[0];
        let body = bytes::Bytes::from_static(b"written meanwhile\n");
        let blob = gistfs::model::BlobId::of(&body);
        store.keep(blob, &body).expect("kept");
        let changed = store.update(key, |gist| {
            let file = gist.files.get_mut("b").expect("the file");
            file.content = gistfs::store::gist::Content::Bytes { blob, size: 18 };
            gist.changed(gistfs::model::Time(1_790_000_100_000_000_000));
            Ok(())
        });
        changed.expect("changed");
    });
    mount.save("g", "a", b"edited\n").expect("saved");
    mount.settle();
    mount.settle();
    assert_eq!(mount.github.texts("g")["b"], "written meanwhile\n");
    assert_eq!(mount.github.complaints(), [""; 0]);
}

#[test]
fn what_the_api_cannot_carry_stays_here_whole_and_is_reported() {
    let mount = with_gist("g", &[("a", b"1\n")]);
    let held: &[(&str, &[u8])] = &[("blank", b" \n"), ("crlf", b"a\r\nb\r\n"), ("bin", b"\xff\0")];
    for (file, body) in held {
        mount.save("g", file, body).expect("saved");
    }
    mount.save("g", "text", b"sent\n").expect("saved");
    mount.settle();
    mount.refresh();
    for (file, body) in held {
        assert_eq!(mount.cat("g", file).expect("read"), *body);
    }
    assert_eq!(mount.github.texts("g").into_keys().collect::<Vec<_>>(), ["a", "text"]);
    let report = mount.fs().syncer().report();
    assert_eq!(report.owing[0].files.len(), held.len(), "{report:?}");
    assert!(matches!(report.owing[0].state, Standing::Local(_)), "{report:?}");
}

#[test]
fn time_alone_brings_nothing_to_do_on_a_quiet_mount() {
    let mount = with_gist("g", &[("a", b"1\n")]);
    assert_eq!(mount.fs().tick(mount.clock.now()), None);
    assert_eq!(mount.fs().syncer().send_what_is_due(mount.clock.now()), None);
    mount.pass(SECOND * 1000);
    assert_eq!(mount.github.take_counts(), Counts::default());
}
