//! What goes by git: exactly, in one commit, and with nothing left behind whatever happens.

use std::collections::BTreeMap;

use gistfs::api::ApiError;
use gistfs::error::Error;
use gistfs::fs::RenameMode;
use gistfs::store::placeholder;
use gistfs::sync::standing::Standing;
use gistfs::sync::trash::TrashAsk;

use crate::github::{Clock, Counts, FakeGitHub, Sent, name};
use crate::mount::Mount;
use crate::promises::{SECOND, lost, with_gist};

/// Every kind of body that the API does not carry.
const ODD: &[(&str, &[u8])] = &[
    ("blank", b" \n\t"),
    ("bom and nul", b"\xef\xbb\xbfa\0b"),
    ("cr", b"a\rb"),
    ("crlf", b"a\r\nb\r\n"),
    ("empty", b""),
    ("png", b"\x89PNG\r\n\x1a\n\0\xff"),
];

type Files = BTreeMap<String, Vec<u8>>;

fn files(files: &[(&str, &[u8])]) -> Files {
    files.iter().map(|(name, body)| ((*name).into(), body.to_vec())).collect()
}

fn on_github(mount: &Mount, title: &str) -> Files {
    let files = mount.github.files(&mount.github.id(title)).expect("the gist");
    files.into_iter().map(|(name, body)| (name.to_string(), body.to_vec())).collect()
}

fn in_mount(mount: &Mount, title: &str) -> Files {
    let seen = mount.look(true).expect("a tree");
    let of = |(name, file): (&String, &crate::mount::SeenFile)| {
        let body = file.body.clone().expect("a file").expect("a body that can be read");
        assert_eq!(file.attr.size, body.len() as u64, "{name}");
        (name.clone(), body)
    };
    seen[title].files.iter().map(of).collect()
}

/// A mount with git that knows one gist with these files.
fn with_git(title: &str, files: &[(&str, &[u8])]) -> Mount {
    let mount = with_gist(title, files);
    mount.github.set_git(true);
    mount
}

/// A mount with git and no gist.
fn empty() -> Mount {
    let mount = Mount::alone();
    mount.github.set_git(true);
    mount.refresh();
    mount.github.take_counts();
    mount
}

/// A new gist in the mount, which nobody has heard of yet.
fn new_gist(mount: &Mount, files: &[(&str, &[u8])]) {
    mount.mkdir("new").expect("made");
    for (file, body) in files {
        mount.save("new", file, body).expect("saved");
    }
}

fn unreachable() -> ApiError {
    ApiError::Unreachable { host: "git.test".into(), detail: "no route".into() }
}

#[track_caller]
fn assert_good(mount: &Mount) {
    assert_eq!(mount.github.complaints(), [""; 0]);
}

/// All of it is on GitHub and here, and there is nothing else.
#[track_caller]
fn assert_all(mount: &Mount, title: &str, expected: &Files) {
    assert_eq!(on_github(mount, title), *expected);
    assert_eq!(in_mount(mount, title), *expected);
    assert_eq!(mount.fs().syncer().report().owing, []);
    crate::outcome::same_as_github(mount).expect("GitHub has the same");
    assert_good(mount);
}

#[test]
fn text_alone_is_one_update_without_git_and_text_with_a_binary_one_push_without_an_update() {
    let mount = with_git("g", &[("a", b"a\n"), ("b", b"b\n")]);
    mount.save("g", "a", b"edited\n").expect("saved");
    mount.unlink("g", "b").expect("deleted");
    mount.settle();
    let counts = mount.github.take_counts();
    assert_eq!(counts, Counts { gets: 1, updates: 1, ..Counts::default() });
    for (file, body) in ODD {
        mount.save("g", file, body).expect("saved");
    }
    mount.save("g", "a", b"edited again\n").expect("saved");
    mount.settle();
    let counts = mount.github.take_counts();
    assert_eq!((counts.fetches, counts.pushes, counts.updates), (1, 1, 0), "{counts:?}");
    assert_eq!((counts.gets, counts.git_bodies, counts.bodies), (1, 0, 0), "{counts:?}");
    let mut all = files(ODD);
    all.insert("a".into(), b"edited again\n".to_vec());
    assert_all(&mount, "g", &all);
    assert_eq!(mount.github.revisions(&mount.github.id("g")), 3, "one commit a change");
    crate::outcome::a_new_mount_shows(&mount).expect("the same bytes");
    mount.refresh();
    mount.settle();
    assert_all(&mount, "g", &all);
    assert_eq!(mount.github.take_counts().pushes, 0);
}

#[test]
fn a_rename_of_what_the_api_does_not_carry_is_one_update_without_a_body() {
    for git in [true, false] {
        let mount = with_gist("g", &[("png", b"\xff\0"), ("t", b"t\n")]);
        mount.github.set_git(git);
        mount.mv(("g", "png"), ("g", "new.png"));
        mount.settle();
        let counts = mount.github.take_counts();
        assert_eq!(counts, Counts { gets: 1, updates: 1, ..Counts::default() });
        assert_eq!(on_github(&mount, "g")["new.png"], b"\xff\0");
        assert_good(&mount);
    }
    // Together with what needs git it is part of the push, and not fetched for it.
    let mount = with_git("g", &[("png", b"\xff\0"), ("t", b"t\n")]);
    mount.mv(("g", "png"), ("g", "new.png"));
    mount.save("g", "t", b"\r\n").expect("saved");
    mount.settle();
    let counts = mount.github.take_counts();
    assert_eq!((counts.updates, counts.pushes, counts.bodies), (0, 1, 0), "{counts:?}");
    assert_all(&mount, "g", &files(&[("new.png", b"\xff\0"), ("t", b"\r\n")]));
}

#[test]
fn a_description_that_changes_with_a_binary_follows_the_push_in_one_update_of_its_own() {
    for lag in [0, 4] {
        let mount = with_git("g", &[("a", b"a\n")]);
        mount.github.set_lag(lag);
        mount.save("g", "bin", b"\xff").expect("saved");
        mount.rename_gist("g", "described", RenameMode::NoReplace).expect("renamed");
        mount.settle();
        let sent = mount.github.sent();
        let [Sent::Push(..), Sent::Update(_, patch)] = &sent[..] else { panic!("{sent:?}") };
        assert_eq!((patch.description.as_deref(), patch.files.len()), (Some("described"), 0));
        mount.settle();
        mount.github.heal();
        mount.clock.pass(SECOND * 30);
        mount.refresh();
        assert_all(&mount, "described", &files(&[("a", b"a\n"), ("bin", b"\xff")]));
    }
}

#[test]
fn a_new_gist_is_made_with_what_the_api_carries_and_completed_by_one_push() {
    let mount = empty();
    let mut all = files(ODD);
    all.insert("text".into(), b"text\n".to_vec());
    new_gist(&mount, ODD);
    mount.save("new", "text", b"text\n").expect("saved");
    mount.settle();
    let sent = mount.github.sent();
    let [Sent::Create(new), Sent::Push(..)] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(new.files, [(name("text"), "text\n".to_owned())].into());
    assert_all(&mount, "new", &all);
}

#[test]
fn a_new_gist_that_is_all_binary_is_made_with_a_placeholder_that_nobody_sees() {
    let mount = empty();
    new_gist(&mount, ODD);
    // The push has to wait: what is there meanwhile?
    mount.github.fail_next_fetch(unreachable());
    mount.pass(SECOND * 3);
    let sent = mount.github.sent();
    let [Sent::Create(new)] = &sent[..] else { panic!("{sent:?}") };
    let names: Vec<&str> = new.files.keys().map(|name| name.as_str()).collect();
    assert!(names.len() == 1 && names[0].starts_with(placeholder::NAME), "{names:?}");
    assert_eq!(in_mount(&mount, "new"), files(ODD));
    let report = mount.fs().syncer().report();
    let owed: Vec<&str> = report.owing[0].files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(owed, ODD.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    mount.refresh();
    assert_eq!(in_mount(&mount, "new"), files(ODD));
    mount.settle();
    assert_all(&mount, "new", &files(ODD));
    let trash = mount.fs().syncer().trash(&TrashAsk::List);
    assert!(trash.items.is_empty(), "{trash:?}");
    // Nor is it in the trash with the gist.
    for (file, _) in ODD {
        mount.unlink("new", file).expect("deleted");
    }
    mount.rmdir("new").expect("removed");
    mount.settle();
    let trash = mount.fs().syncer().trash(&TrashAsk::List);
    let names: Vec<&str> =
        trash.items.iter().flat_map(|item| &item.files).map(|file| file.name.as_str()).collect();
    assert!(names.len() >= ODD.len() && !names.iter().any(|n| n.starts_with(placeholder::NAME)));
    assert_eq!(mount.github.ids(), []);
}

#[test]
fn whatever_fails_and_whenever_it_is_killed_a_new_gist_arrives_once_and_without_a_placeholder() {
    type Trouble = fn(&FakeGitHub);
    let troubles: &[Trouble] = &[
        |github| github.fail_next(lost(), true),
        |github| github.fail_next(lost(), false),
        |github| github.fail_next_fetch(unreachable()),
        |github| github.fail_next_fetch(ApiError::NotFound),
    ];
    let with_text: &[(&str, &[u8])] = &[("bin", b"\xff"), ("text", b"text\n")];
    for content in [ODD, with_text] {
        for trouble in troubles {
            for later in [false, true] {
                for lag in [0, 3] {
                    for killed in [false, true] {
                        let mut mount = empty();
                        mount.github.set_lag(lag);
                        new_gist(&mount, content);
                        if later {
                            // The create arrives, and the trouble is the push's.
                            mount.github.fail_next_fetch(unreachable());
                            mount.pass(SECOND * 2);
                        }
                        trouble(&mount.github);
                        mount.pass(SECOND * 2);
                        mount.save("new", "more", b"\r\n").expect("saved");
                        if killed {
                            mount.kill_and_remount();
                        }
                        for round in 0..60 {
                            mount.pass(SECOND);
                            if round % 20 == 10 {
                                mount.refresh();
                            }
                        }
                        assert_eq!(mount.github.ids().len(), 1);
                        let mut all = files(content);
                        all.insert("more".into(), b"\r\n".to_vec());
                        assert_all(&mount, "new", &all);
                    }
                }
            }
        }
    }
}

#[test]
fn whatever_becomes_of_a_push_the_files_are_there_once_and_no_conflict_is_seen() {
    type Trouble = fn(&FakeGitHub);
    let troubles: &[Trouble] = &[
        |github| github.fail_next(lost(), true),
        |github| github.fail_next(lost(), false),
        |github| github.fail_next(ApiError::Server(502), true),
        |github| github.fail_next(ApiError::Conflict("fetch first".into()), false),
        |github| github.fail_next_fetch(ApiError::TimedOut { host: "git.test".into() }),
    ];
    for trouble in troubles {
        for lag in [0, 3] {
            for killed in [false, true] {
                let mut mount = with_git("g", &[("a", b"1\n"), ("b", b"b\n")]);
                mount.github.set_lag(lag);
                trouble(&mount.github);
                mount.save("g", "a", b"\xff\0 2").expect("saved");
                mount.unlink("g", "b").expect("deleted");
                mount.pass(SECOND * 3);
                mount.save("g", "a", b"\xff\0 3").expect("saved");
                if killed {
                    mount.kill_and_remount();
                }
                for _ in 0..60 {
                    mount.pass(SECOND);
                }
                mount.refresh();
                assert_all(&mount, "g", &files(&[("a", b"\xff\0 3")]));
            }
        }
    }
}

#[test]
fn a_gist_emptied_before_its_push_leaves_no_placeholder_on_github() {
    for removed in [false, true] {
        for fault in [None, Some((lost(), true)), Some((lost(), false))] {
            let mut mount = empty();
            new_gist(&mount, &[("bin", b"\xff")]);
            mount.github.fail_next_fetch(unreachable());
            mount.pass(SECOND * 3);
            assert_eq!(mount.github.ids().len(), 1);
            mount.kill_and_remount();
            mount.unlink("new", "bin").expect("deleted");
            if removed {
                mount.rmdir("new").expect("removed");
            }
            if let Some((error, applied)) = fault {
                mount.github.fail_next(error, applied);
            }
            for _ in 0..40 {
                mount.pass(SECOND);
            }
            mount.refresh();
            assert_eq!(mount.github.ids(), [], "removed: {removed}");
            assert_eq!(mount.dir("new").is_ok(), !removed);
            assert_good(&mount);
            if !removed {
                assert!(mount.look(false).expect("a tree")["new"].files.is_empty());
                mount.save("new", "text", b"text\n").expect("saved");
                mount.settle();
                assert_all(&mount, "new", &files(&[("text", b"text\n")]));
            }
        }
    }
}

#[test]
fn without_git_at_the_next_mount_the_placeholder_goes_and_the_files_wait_here() {
    let mut mount = empty();
    new_gist(&mount, &[("bin", b"\xff")]);
    mount.github.fail_next_fetch(unreachable());
    mount.pass(SECOND * 3);
    assert_eq!(mount.github.ids().len(), 1);
    mount.github.set_git(false);
    mount.kill_and_remount();
    mount.settle();
    mount.refresh();
    assert_eq!(mount.github.ids(), []);
    assert_eq!(in_mount(&mount, "new"), files(&[("bin", b"\xff")]));
    let owing = mount.fs().syncer().report().owing;
    assert!(matches!(owing[0].state, Standing::Local(_)), "{owing:?}");
    assert!(owing[0].advice.as_ref().is_some_and(|advice| advice.contains("install git")));
    mount.github.set_git(true);
    mount.kill_and_remount();
    mount.settle();
    assert_all(&mount, "new", &files(&[("bin", b"\xff")]));
}

#[test]
fn a_remote_that_moves_while_a_push_is_made_is_merged_and_pushed_to_again() {
    let mount = with_git("g", &[("a", b"a\n"), ("b", b"1\n2\n3\n4\n5\n")]);
    let id = mount.github.id("g");
    mount.github.meddle_before_update(move |github: &FakeGitHub| {
        github.edit_elsewhere(&id, "b", Some(b"1\n2\n3\n4\nfive\n"));
        github.edit_elsewhere(&id, "theirs", Some(b"\0theirs"));
    });
    mount.save("g", "b", b"one\n2\n3\n4\n5\n").expect("saved");
    mount.save("g", "bin", b"\xff").expect("saved");
    mount.settle();
    let pushes = mount.github.sent().iter().filter(|s| matches!(s, Sent::Push(..))).count();
    assert_eq!(pushes, 2);
    let all: &[(&str, &[u8])] =
        &[("a", b"a\n"), ("b", b"one\n2\n3\n4\nfive\n"), ("bin", b"\xff"), ("theirs", b"\0theirs")];
    assert_all(&mount, "g", &files(all));
    mount.refresh();
    assert_all(&mount, "g", &files(all));
}

#[test]
fn a_push_that_is_declined_says_why_and_waits_for_the_user() {
    let mount = with_git("g", &[("a", b"a\n")]);
    let words = "this file is larger than 100 MB".to_owned();
    mount.github.fail_next(ApiError::Declined(words.clone()), false);
    mount.save("g", "bin", b"\xff").expect("saved");
    for _ in 0..30 {
        mount.pass(SECOND * 10);
    }
    assert_eq!(mount.github.sent().len(), 1, "it is not tried again");
    let owing = mount.fs().syncer().report().owing;
    assert!(matches!(&owing[0].state, Standing::Error(why) if why.contains(&words)), "{owing:?}");
    assert!(owing[0].advice.is_some());
    let left = mount.fs().syncer().drain(mount.clock.now().after(SECOND * 60), false);
    assert_eq!(left, []);
    assert_all(&mount, "g", &files(&[("a", b"a\n"), ("bin", b"\xff")]));
}

#[test]
fn who_waits_for_the_answer_waits_for_the_push() {
    let mount = with_git("g", &[("a", b"a\n")]);
    mount.save("g", "bin", b"\xff").expect("saved");
    let key = mount.fs().syncer().store().keys()[0];
    let left = mount.fs().syncer().push_waited_for(key).expect("sent");
    assert!(left.is_empty(), "{left:?}");
    mount.github.fail_next(ApiError::Declined("no".into()), false);
    mount.save("g", "bin", b"\xfe").expect("saved");
    let refused = mount.fs().syncer().push_waited_for(key);
    assert!(matches!(refused, Err(Error::Denied(_))), "{refused:?}");
}

#[test]
fn a_binary_moved_to_another_gist_arrives_before_it_leaves() {
    let mount = with_git("from", &[("bin", b"\xff moved"), ("stays", b"1\n")]);
    mount.github.create_elsewhere("to", &[("y", b"y\n")]);
    mount.refresh();
    mount.mv(("from", "bin"), ("to", "bin"));
    mount.github.fail_next_fetch(unreachable());
    for _ in 0..40 {
        mount.pass(SECOND);
        let there = |title| on_github(&mount, title).contains_key("bin");
        assert!(there("from") || there("to"));
    }
    assert_all(&mount, "from", &files(&[("stays", b"1\n")]));
    assert_all(&mount, "to", &files(&[("bin", b"\xff moved"), ("y", b"y\n")]));
}

#[test]
fn a_copy_with_the_other_visibility_has_everything_that_needs_git() {
    let mount = with_git("g", ODD);
    let old = mount.fs().syncer().store().keys()[0];
    let copy = mount.fs().syncer().copy_as(old, false, &|| true);
    let key = copy.unwrap_or_else(|failure| panic!("{failure}"));
    let id =
        mount.fs().syncer().store().look(key, |new| new.base.clone().expect("made").id.clone());
    let there = mount.github.files(&id.expect("there")).expect("on GitHub");
    let there: Files = there.into_iter().map(|(n, b)| (n.to_string(), b.to_vec())).collect();
    assert_eq!(there, files(ODD));
    assert_good(&mount);
}

/// A gist of 350 files on GitHub, the last ones binary, in a mount that begins.
fn large(git: bool) -> Mount {
    let clock = Clock::new();
    let mount = Mount::new(&FakeGitHub::new(&clock, 3), &clock);
    let many = many();
    let many: Vec<(&str, &[u8])> =
        many.iter().map(|(name, body)| (name.as_str(), body.as_slice())).collect();
    mount.github.create_elsewhere("g", &many);
    mount.github.set_git(git);
    mount.clock.pass(SECOND * 60);
    mount
}

fn many() -> Files {
    let body =
        |number: u16| if number < 340 { format!("{number}\n").into() } else { vec![0xff, 0] };
    (0..350).map(|number| (format!("f{number:03}"), body(number))).collect()
}

#[test]
fn a_gist_of_350_files_is_whole_from_the_first_list_on_and_unchanged_lists_need_no_git() {
    let mount = large(true);
    mount.refresh();
    let counts = mount.github.take_counts();
    assert_eq!((counts.fetches, counts.git_bodies), (1, 41), "the 50 unseen, some alike");
    assert_eq!(in_mount(&mount, "g"), many());
    mount.refresh();
    mount.fs().syncer().refresh_new(mount.clock.now()).expect("an answer");
    assert_eq!(mount.github.take_counts().fetches, 0);
    // A star moves the time and nothing else: that takes a look, and no bodies.
    mount.github.describe_elsewhere(&mount.github.id("g"), "g");
    mount.refresh();
    let counts = mount.github.take_counts();
    assert_eq!((counts.fetches, counts.git_bodies), (1, 0));
    let before = mount.look(false).expect("a tree");
    mount.save("g", "f349", b"edited\n").expect("saved");
    mount.unlink("g", "f000").expect("deleted");
    mount.settle();
    let counts = mount.github.take_counts();
    assert_eq!((counts.pushes, counts.updates, counts.git_bodies), (1, 0, 0), "{counts:?}");
    let mut all = many();
    all.remove("f000");
    all.insert("f349".into(), b"edited\n".to_vec());
    assert_all(&mount, "g", &all);
    for _ in 0..3 {
        mount.clock.pass(SECOND * 60);
        mount.refresh();
        assert_all(&mount, "g", &all);
    }
    let after = mount.look(false).expect("a tree");
    assert_eq!(before["g"].files["f348"].attr.ino, after["g"].files["f348"].attr.ino);
    assert!(mount.github.take_counts().fetches <= 1, "the time of the push, once");
}

#[test]
fn a_gist_grown_past_what_the_api_shows_by_its_own_requests_stays_whole() {
    let mount = empty();
    mount.github.set_shown(3);
    let texts: Vec<(String, Vec<u8>)> =
        (0..5).map(|n| (format!("t{n}"), format!("{n}\n").into())).collect();
    mount.mkdir("new").expect("made");
    for (file, body) in &texts {
        mount.save("new", file, body).expect("saved");
    }
    // Not even a lost answer, of which only a part will ever be listed, makes it twice.
    mount.github.fail_next(lost(), true);
    for _ in 0..60 {
        mount.pass(SECOND);
    }
    let all: Files = texts.into_iter().collect();
    assert_all(&mount, "new", &all);
    mount.refresh();
    assert_all(&mount, "new", &all);
    assert_eq!(mount.github.take_counts().creates, 1);
}

#[test]
fn what_is_not_shown_is_not_gone_where_git_fails_and_comes_with_the_next_round() {
    let mount = large(true);
    mount.github.fail_next_fetch(unreachable());
    mount.refresh();
    assert_eq!(in_mount(&mount, "g").len(), 300);
    // Nothing is sent of what is not known: one look makes it known.
    mount.save("g", "f001", b"edited\n").expect("saved");
    mount.settle();
    let mut all = many();
    all.insert("f001".into(), b"edited\n".to_vec());
    assert_all(&mount, "g", &all);
    // Once known it stays known, whatever a list without git shows.
    let id = mount.github.id("g");
    mount.github.edit_elsewhere(&id, "f002", Some(b"theirs\n"));
    mount.clock.pass(SECOND * 60);
    mount.github.fail_next_fetch(unreachable());
    mount.refresh();
    assert_eq!(in_mount(&mount, "g").len(), 350);
    mount.refresh();
    all.insert("f002".into(), b"theirs\n".to_vec());
    assert_all(&mount, "g", &all);
}

#[test]
fn without_git_files_that_are_not_shown_any_more_are_not_taken_for_deleted() {
    let mut mount = large(true);
    mount.refresh();
    assert_eq!(in_mount(&mount, "g").len(), 350);
    mount.github.set_git(false);
    mount.kill_and_remount();
    mount.github.edit_elsewhere(&mount.github.id("g"), "f002", Some(b"theirs\n"));
    mount.clock.pass(SECOND * 60);
    mount.refresh();
    mount.refresh();
    let mut all = many();
    all.insert("f002".into(), b"theirs\n".to_vec());
    assert_eq!(in_mount(&mount, "g"), all);
    mount.save("g", "f001", b"edited\n").expect("saved");
    mount.settle();
    let owing = mount.fs().syncer().report().owing;
    assert!(matches!(owing[0].state, Standing::Local(_)), "{owing:?}");
    assert_eq!(mount.github.sent(), []);
}

#[test]
fn the_trash_has_all_of_a_gist_whose_files_were_not_all_known() {
    let mount = large(true);
    mount.github.fail_next_fetch(unreachable());
    mount.refresh();
    for file in in_mount(&mount, "g").keys() {
        mount.unlink("g", file).expect("deleted");
    }
    mount.rmdir("g").expect("removed");
    mount.settle();
    mount.settle();
    assert_eq!(mount.github.ids(), []);
    let trash = mount.fs().syncer().trash(&TrashAsk::List);
    assert_eq!(trash.items.iter().map(|item| item.files.len()).collect::<Vec<_>>(), [350]);
    assert_good(&mount);
}

#[test]
fn what_git_is_refused_keeps_no_text_here_and_is_tried_with_every_change() {
    let mount = with_git("g", &[("a", b"a\n")]);
    let words = "no such files here".to_owned();
    let declined = || ApiError::Declined(words.clone());
    mount.save("g", "bin", b"\xff").expect("saved");
    for text in [b"1\n", b"2\n"] {
        mount.github.fail_next(declined(), false);
        mount.save("g", "text", text).expect("saved");
        let before = mount.github.sent().len();
        for _ in 0..30 {
            mount.pass(SECOND * 10);
        }
        let sent = mount.github.sent();
        assert!(
            matches!(sent[before..], [Sent::Push(..), Sent::Update(..)]),
            "once each: {:?}",
            &sent[before..]
        );
        assert_eq!(on_github(&mount, "g"), files(&[("a", b"a\n"), ("text", text)]));
        let owing = mount.fs().syncer().report().owing;
        let says = |state: &Standing| matches!(state, Standing::Error(why) if why.contains(&words));
        assert_eq!((owing.len(), owing[0].files.len()), (1, 1), "{owing:?}");
        let file = &owing[0].files[0];
        assert!(says(&owing[0].state) && says(&file.state), "{owing:?}");
        assert!(file.advice.as_ref().is_some_and(|advice| advice.contains("gistfs sync")));
    }
    let left = mount.fs().syncer().drain(mount.clock.now().after(SECOND * 60), false);
    assert_eq!(left, []);
    assert_all(&mount, "g", &files(&[("a", b"a\n"), ("bin", b"\xff"), ("text", b"2\n")]));
}

#[test]
fn a_new_gist_of_which_git_is_refused_all_leaves_no_placeholder_on_github() {
    let mount = empty();
    mount.github.fail_next_fetch(ApiError::Forbidden("not by git".into()));
    new_gist(&mount, &[("bin", b"\xff")]);
    for _ in 0..60 {
        mount.pass(SECOND * 10);
        mount.refresh();
    }
    assert_eq!(mount.github.ids(), []);
    let sent = mount.github.sent();
    assert!(matches!(sent[..], [Sent::Create(_), Sent::Delete(_)]), "and once only: {sent:?}");
    let owing = mount.fs().syncer().report().owing;
    let told = matches!(&owing[0].state, Standing::Error(why) if why.contains("not by git"));
    assert!(told, "{owing:?}");
    let left = mount.fs().syncer().drain(mount.clock.now().after(SECOND * 60), false);
    assert_eq!(left, []);
    assert_all(&mount, "new", &files(&[("bin", b"\xff")]));
}

#[test]
fn what_no_list_shows_of_a_gist_that_changed_twice_in_a_second_is_known_a_minute_later() {
    let mount = large(true);
    mount.refresh();
    let id = mount.github.id("g");
    let mut all = many();
    for file in ["f345", "f346"] {
        mount.github.edit_elsewhere(&id, file, Some(b"theirs\n"));
        mount.refresh();
        all.insert(file.into(), b"theirs\n".to_vec());
    }
    mount.github.edit_elsewhere(&id, "f347", Some(b"theirs\n"));
    all.insert("f347".into(), b"theirs\n".to_vec());
    mount.clock.pass(SECOND * 60);
    mount.refresh();
    assert_eq!(in_mount(&mount, "g"), all);
    mount.github.take_counts();
    mount.refresh();
    let counts = mount.github.take_counts();
    assert_eq!((counts.lists, counts.unmodified, counts.fetches), (1, 1, 0), "then it is sure");
}
