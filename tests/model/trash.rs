//! What the trash promises, minute by minute.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::time::Duration;

use gistfs::api::ApiError;
use gistfs::fs::Wait;
use gistfs::sync::report::Owing;
use gistfs::sync::trash::{TrashAsk, TrashItem, TrashReply, TrashState};
use gistfs::tree::Ino;

use crate::github::Counts;
use crate::mount::Mount;

const SECOND: Duration = Duration::from_secs(1);

/// A mount that knows these gists, each with `a` and `b`, none of them read.
fn with_gists(titles: &[&str]) -> Mount {
    let mount = Mount::alone();
    for title in titles {
        let (a, b) = (format!("a of {title}\n"), format!("b of {title}\n"));
        mount.github.create_elsewhere(title, &[("a", a.as_bytes()), ("b", b.as_bytes())]);
    }
    mount.clock.pass(SECOND * 60);
    mount.refresh();
    mount.github.take_counts();
    mount
}

fn texts(title: &str) -> BTreeMap<String, String> {
    ["a", "b"].map(|name| (name.to_owned(), format!("{name} of {title}\n"))).into()
}

impl Mount {
    /// `rm -r`.
    fn remove_all(&self, title: &str) {
        for name in self.look(false).expect("a tree")[title].files.keys() {
            self.unlink(title, name).expect("deleted");
        }
        self.rmdir(title).expect("removed");
    }

    fn trash(&self, ask: &TrashAsk) -> TrashReply {
        self.fs().syncer().trash(ask)
    }

    fn in_trash(&self) -> Vec<TrashItem> {
        let reply = self.trash(&TrashAsk::List);
        assert!(reply.failed.is_empty(), "{reply:#?}");
        reply.items
    }

    fn states(&self) -> Vec<TrashState> {
        self.in_trash().iter().map(|item| item.state).collect()
    }

    #[track_caller]
    fn restore_all(&self) {
        let names = self.in_trash().into_iter().map(|item| item.name).collect();
        let reply = self.trash(&TrashAsk::Restore(names));
        assert!(reply.failed.is_empty(), "{reply:#?}");
    }

    fn deletions(&self) -> usize {
        self.github.take_counts().deletes
    }
}

fn lost() -> ApiError {
    ApiError::Lost { host: "api.test".into(), detail: "cut off".into() }
}

#[test]
fn many_deletions_are_held_for_a_minute_and_then_go_by_themselves() {
    let titles: Vec<String> = (0..12).map(|number| format!("g{number:02}")).collect();
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    let mount = with_gists(&titles);
    titles.iter().for_each(|title| mount.remove_all(title));
    for _ in 0..5 {
        mount.pass(SECOND * 11);
        assert_eq!((mount.deletions(), mount.states()), (0, vec![TrashState::Held; 12]));
        let report = mount.fs().syncer().report();
        let until = report.held.expect("they are held").until;
        let late = |gist: &Owing| gist.next.as_ref().is_some_and(|next| *next > until);
        assert!(report.owing.iter().all(late), "{:?}", report.owing);
    }
    mount.pass(SECOND * 6);
    assert_eq!((mount.deletions(), mount.states()), (12, vec![TrashState::Deleted; 12]));
    assert_eq!(mount.github.complaints(), [""; 0]);
    mount.restore_all();
    mount.settle();
    titles.iter().for_each(|title| assert_eq!(mount.github.texts(title), texts(title)));
}

#[test]
fn a_deletion_taken_back_though_it_was_acted_on_is_undone_once_and_whole() {
    for kill in [false, true] {
        let mut mount = with_gists(&["g"]);
        mount.remove_all("g");
        mount.github.fail_next(lost(), true);
        mount.pass(SECOND * 6);
        assert_eq!((mount.deletions(), mount.github.ids().len()), (1, 0));
        // Nobody knows yet that it is gone.
        assert_eq!(mount.states(), [TrashState::Pending]);
        mount.restore_all();
        if kill {
            mount.kill_and_remount();
        }
        let blobs = mount.fs().syncer().store().directory().join("blobs");
        std::fs::remove_dir_all(&blobs).expect("the cache is gone");
        std::fs::create_dir(&blobs).expect("and new");
        mount.clock.pass(SECOND * 30);
        mount.refresh();
        mount.settle();
        assert_eq!(mount.github.texts("g"), texts("g"));
        assert_eq!((mount.text("g", "b"), mount.states()), ("b of g\n".into(), vec![]));
        assert_eq!((mount.github.take_counts().creates, mount.github.ids().len()), (1, 1));
    }
}

#[test]
fn a_deletion_taken_back_that_was_not_acted_on_leaves_no_doubt_behind() {
    let mount = with_gists(&["g"]);
    let id = mount.github.id("g");
    mount.remove_all("g");
    mount.github.fail_next(lost(), false);
    mount.pass(SECOND * 6);
    mount.restore_all();
    mount.clock.pass(SECOND * 30);
    mount.refresh();
    mount.settle();
    assert_eq!(mount.github.texts("g"), texts("g"));
    // What another machine deletes from now on is its business. The copy made for our own deletion
    // is not what is kept then.
    mount.save("g", "a", b"edited\n").expect("saved");
    mount.settle();
    mount.clock.pass(SECOND * 30);
    mount.github.delete_elsewhere(&id);
    mount.refresh();
    assert!(mount.dir("g").is_err());
    assert_eq!(mount.states(), [TrashState::Elsewhere]);
    mount.restore_all();
    mount.settle();
    let mut expected = texts("g");
    expected.insert("a".into(), "edited\n".into());
    assert_eq!(mount.github.texts("g"), expected);
}

#[test]
fn a_gist_comes_back_with_what_was_removed_shortly_before_and_remembers_the_rest() {
    let mount = with_gists(&["g"]);
    mount.save("g", "old", b"old\n").expect("saved");
    mount.save("g", "young", b"young\n").expect("saved");
    mount.settle();
    mount.unlink("g", "old").expect("deleted");
    mount.settle();
    mount.pass(SECOND * 1500);
    mount.unlink("g", "young").expect("deleted");
    mount.settle();
    assert_eq!(mount.states(), [TrashState::File; 2]);
    mount.pass(SECOND * 60);
    mount.remove_all("g");
    mount.settle();
    assert_eq!(mount.states(), [TrashState::Deleted]);
    mount.restore_all();
    mount.settle();
    let mut expected = texts("g");
    expected.insert("young".into(), "young\n".into());
    assert_eq!(mount.github.texts("g"), expected);
    assert_eq!(mount.states(), [TrashState::File]);
    mount.restore_all();
    mount.settle();
    expected.insert("old".into(), "old\n".into());
    assert_eq!((mount.github.texts("g"), mount.states()), (expected, vec![]));
}

#[test]
fn what_only_the_trash_has_is_never_evicted() {
    let mount = with_gists(&["g"]);
    mount.save("g", "new", b"never sent\n").expect("saved");
    mount.unlink("g", "new").expect("deleted");
    let store = mount.fs().syncer().store();
    let blobs = store.directory().join("blobs");
    for directory in std::fs::read_dir(&blobs).expect("bodies") {
        for body in std::fs::read_dir(directory.expect("one").path()).expect("bodies") {
            let body = std::fs::File::open(body.expect("one").path()).expect("it opens");
            body.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("it ages");
        }
    }
    store.tidy(0).expect("tidied");
    mount.restore_all();
    assert_eq!(mount.text("g", "new"), "never sent\n");
}

#[test]
fn removing_one_file_asks_for_no_body_and_removing_all_costs_what_the_look_brings() {
    let mount = with_gists(&["g", "h"]);
    mount.unlink("g", "a").expect("deleted");
    mount.settle();
    let counts = mount.github.take_counts();
    assert_eq!((counts.updates, counts.bodies), (1, 0), "{counts:?}");
    mount.remove_all("h");
    mount.settle();
    let counts = mount.github.take_counts();
    // The look before a deletion brings the bodies along.
    let expected = Counts { gets: 1, deletes: 1, ..Counts::default() };
    assert_eq!(counts, expected);
}

#[test]
fn what_was_removed_is_taken_back_without_a_request() {
    let mount = with_gists(&["g", "h"]);
    mount.remove_all("g");
    mount.unlink("h", "a").expect("deleted");
    mount.unlink("h", "b").expect("deleted");
    mount.restore_all();
    mount.settle();
    assert_eq!(mount.github.take_counts(), Counts::default());
    for title in ["g", "h"] {
        assert_eq!(mount.text(title, "a"), format!("a of {title}\n"));
    }
    assert_eq!(mount.states(), []);
}

/// Random numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Every text in the tree, once for each place it is in.
fn all_texts(mount: &Mount) -> Vec<String> {
    let seen = mount.look(true).expect("a tree");
    let files = seen.values().flat_map(|gist| gist.files.values());
    let text = |body: Vec<u8>| String::from_utf8(body).expect("text");
    let mut texts: Vec<String> =
        files.map(|file| text(file.body.clone().expect("bytes").expect("readable"))).collect();
    texts.sort();
    texts
}

/// Removes, forgets, restores and fails at random. What was in a file when that was removed must
/// come back, once, here and on GitHub.
fn remove_and_restore_at_random(seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut mount = with_gists(&["one", "two"]);
    let mut expected: Vec<String> = all_texts(&mount);
    let mut written_over = vec![];
    let mut log = vec![];
    for step in 0..40 {
        let tree = mount.look(true).expect("a tree");
        let titles: Vec<&String> = tree.keys().collect();
        let gist = titles.get(dice.roll(3) as usize).map(|title| title.as_str());
        let files: Vec<&String> = gist.iter().flat_map(|gist| tree[*gist].files.keys()).collect();
        let file = files.get(dice.roll(3) as usize).map(|name| name.as_str());
        let act = dice.roll(12);
        log.push((act, gist.map(str::to_owned), file.map(str::to_owned)));
        match (act, gist, file) {
            (0, ..) => drop(mount.mkdir(["one", "two", "three"][dice.roll(3) as usize])),
            (1 | 2, Some(gist), file) => {
                // Never a removed one's: that counts as written over.
                let fresh = format!("f{step}");
                let name = file.unwrap_or(&fresh);
                if let Some(Ok(old)) = tree[gist].files.get(name).and_then(|f| f.body.clone()) {
                    // What is written over is not removed, and need not come back.
                    expected.retain(|text| text.as_bytes() != old);
                    written_over.push(String::from_utf8(old).expect("text"));
                }
                let text = format!("text {step}\n");
                mount.save(gist, name, text.as_bytes()).expect("saved");
                expected.push(text);
            }
            (3 | 4, Some(gist), Some(file)) => mount.unlink(gist, file).expect("deleted"),
            (5, Some(gist), _) => mount.remove_all(gist),
            (6, ..) => mount.pass(SECOND * 3),
            (7, ..) => mount.settle(),
            (8, ..) => mount.kill_and_remount(),
            (9, ..) => mount.github.fail_next(lost(), dice.roll(2) == 0),
            (10, ..) => mount.restore_all(),
            (11, ..) => {
                mount.clock.pass(SECOND * 30);
                drop(mount.fs().syncer().refresh_all(mount.clock.now()));
            }
            _ => {}
        }
    }
    mount.github.heal();
    for _ in 0..4 {
        for _ in 0..4 {
            mount.pass(SECOND * 400);
            mount.refresh();
        }
        mount.restore_all();
    }
    mount.settle();
    let here = all_texts(&mount);
    let mut wanted = here.clone();
    wanted.retain(|text| !written_over.contains(text));
    expected.sort();
    assert_eq!(wanted, expected, "seed {seed}: {log:?}");
    assert!(here.windows(2).all(|two| two[0] != two[1]), "seed {seed}, twice: {here:?} {log:?}");
    let mut sent: Vec<String> = Vec::new();
    for id in mount.github.ids() {
        let files = mount.github.files(&id).expect("a gist");
        sent.extend(files.values().map(|body| String::from_utf8_lossy(body).into_owned()));
    }
    sent.sort();
    assert_eq!(sent, here, "seed {seed}, on GitHub: {log:?}");
    assert_eq!(mount.github.complaints(), [""; 0], "seed {seed}: {log:?}");
}

#[test]
fn whatever_is_removed_in_whatever_weather_comes_back_once() {
    let first = u64::from(crate::setting("GISTFS_MODEL_SEED", 1));
    (first..first + 100).for_each(remove_and_restore_at_random);
}

impl Mount {
    /// Everything stored is evicted; memory keeps what it has.
    fn evict_all(&self) {
        let blobs = self.fs().syncer().store().directory().join("blobs");
        std::fs::remove_dir_all(&blobs).expect("the bodies go");
        std::fs::create_dir(&blobs).expect("a new place for them");
    }

    /// Knows the gists as they are, so that the look before a change brings no body.
    fn knows_and_has_read(&self, title: &str) {
        self.save(title, "c", b"c\n").expect("saved");
        self.settle();
        self.clock.pass(SECOND * 30);
        for name in ["a", "b", "c"] {
            self.cat(title, name).expect("read");
        }
    }
}

#[test]
fn what_only_memory_has_is_stored_before_a_deletion_is_sent() {
    let mount = with_gists(&["g"]);
    mount.knows_and_has_read("g");
    mount.remove_all("g");
    mount.evict_all();
    mount.settle();
    assert_eq!((mount.deletions(), mount.states()), (1, vec![TrashState::Deleted]));
    mount.restore_all();
    mount.settle();
    let mut expected = texts("g");
    expected.insert("c".into(), "c\n".into());
    assert_eq!(mount.github.texts("g"), expected);
}

#[test]
fn what_only_memory_has_of_a_gist_deleted_elsewhere_is_kept() {
    for edited in [false, true] {
        let mount = with_gists(&["g"]);
        mount.knows_and_has_read("g");
        let id = mount.github.id("g");
        mount.evict_all();
        if edited {
            mount.save("g", "new", b"new\n").expect("saved");
        }
        mount.github.delete_elsewhere(&id);
        mount.refresh();
        if !edited {
            assert_eq!(mount.states(), [TrashState::Elsewhere]);
            mount.restore_all();
        }
        mount.settle();
        assert_eq!(mount.github.texts("g").len(), if edited { 4 } else { 3 });
    }
}

#[test]
fn what_only_memory_has_is_stored_before_its_last_other_copy_goes() {
    let mount = with_gists(&["g", "h"]);
    mount.knows_and_has_read("g");
    mount.evict_all();
    mount.mv(("g", "a"), ("h", "moved"));
    mount.unlink("g", "b").expect("deleted");
    mount.settle();
    mount.evict_all();
    assert_eq!(mount.states(), [TrashState::File]);
    mount.restore_all();
    mount.settle();
    assert_eq!(mount.text("h", "moved"), "a of g\n");
    assert_eq!(mount.github.texts("g")["b"], "b of g\n");
}

#[test]
fn a_removed_file_that_cannot_be_had_just_now_does_not_come_back_empty_handed() {
    let mut mount = with_gists(&["g"]);
    mount.unlink("g", "a").expect("deleted");
    mount.settle();
    mount.evict_all();
    mount.kill_and_remount();
    mount.remove_all("g");
    mount.github.set_bodies_reachable(false);
    mount.restore_all();
    assert_eq!(mount.look(false).expect("a tree")["g"].files.len(), 1);
    assert_eq!(mount.states(), [TrashState::File]);
    mount.github.set_bodies_reachable(true);
    mount.pass(SECOND * 60);
    mount.restore_all();
    mount.settle();
    assert_eq!((mount.github.texts("g"), mount.states()), (texts("g"), vec![]));
    // Where it can be had, it comes back at once.
    mount.unlink("g", "a").expect("deleted");
    mount.settle();
    mount.evict_all();
    mount.kill_and_remount();
    mount.remove_all("g");
    mount.restore_all();
    mount.settle();
    assert_eq!((mount.github.texts("g"), mount.states()), (texts("g"), vec![]));
}

#[test]
fn a_file_taken_back_while_its_removal_is_under_way_can_still_be_had() {
    let mut mount = with_gists(&["g"]);
    mount.knows_and_has_read("g");
    mount.evict_all();
    mount.kill_and_remount();
    mount.unlink("g", "a").expect("deleted");
    let fs = std::sync::Arc::clone(mount.fs());
    mount.github.meddle_before_update(move |_| {
        let unsent = fs.syncer().trash(&TrashAsk::List).items.remove(0);
        assert_eq!(unsent.state, TrashState::Unsent);
        let reply = fs.syncer().trash(&TrashAsk::Restore(vec![unsent.name]));
        assert!(reply.failed.is_empty(), "{reply:?}");
    });
    mount.settle();
    assert_eq!(mount.states(), [TrashState::File]);
    mount.restore_all();
    mount.settle();
    assert_eq!((mount.text("g", "a"), mount.states()), ("a of g\n".into(), vec![]));
    assert_eq!(mount.github.texts("g")["a"], "a of g\n");
}

#[test]
fn a_deletion_is_held_though_it_is_under_way_when_many_more_follow() {
    let titles: Vec<String> = (0..12).map(|number| format!("g{number:02}")).collect();
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    let mount = with_gists(&titles);
    mount.remove_all("g00");
    let fs = std::sync::Arc::clone(mount.fs());
    let others: Vec<(Ino, String)> = titles[1..]
        .iter()
        .map(|title| (mount.dir(title).expect("one"), title.to_string()))
        .collect();
    mount.github.while_got(move || {
        for (directory, title) in others {
            for name in ["a", "b"] {
                fs.unlink(directory, OsStr::new(name), Wait::Yes).expect("deleted");
            }
            fs.rmdir(Ino::ROOT, OsStr::new(&title), Wait::Yes).expect("removed");
        }
    });
    mount.pass(SECOND * 6);
    assert_eq!((mount.deletions(), mount.states()), (0, vec![TrashState::Held; 12]));
    mount.pass(SECOND * 120);
    assert_eq!((mount.deletions(), mount.states()), (12, vec![TrashState::Deleted; 12]));
}
