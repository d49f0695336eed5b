//! Every kind of damage to `state.db`: what is unsent comes back, byte for byte.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use super::*;
use crate::model::{BlobId, FileName, Snapshot};
use crate::store::Store;
use crate::store::db::tamper;
use crate::store::gist::{Content, LocalFile};
use crate::store::shed::Shed;

const NOW: Time = Time(1_700_000_000_000_000_000);

fn name(text: &str) -> FileName {
    FileName::parse(text).unwrap()
}

fn snapshot(id: &str, files: &[(&str, &str)]) -> Arc<Snapshot> {
    Arc::new(Snapshot {
        description: format!("title of {id}"),
        public: false,
        owner: Some("octo".into()),
        etag: Some("\"e\"".into()),
        ..Snapshot::sample(id, files, NOW)
    })
}

/// Writes a file as a program would: the body first, then the gist.
fn write(store: &Store, key: GistKey, file: &str, text: &str) {
    let blob = BlobId::of(text.as_bytes());
    store.keep(blob, &text.to_owned().into()).unwrap();
    store
        .update(key, |gist| {
            let content = Content::Bytes { blob, size: text.len() as u64 };
            let from = gist.remote(&name(file)).map(|_| name(file));
            gist.files.insert(name(file), LocalFile::with(content, from, NOW));
            gist.changed(NOW);
            Ok(())
        })
        .unwrap();
}

fn change(store: &Store, key: GistKey, change: impl FnOnce(&mut Gist)) {
    let edit = |gist: &mut Gist| {
        change(gist);
        Ok(())
    };
    store.update(key, edit).unwrap();
}

fn make(store: &Store, base: Option<Arc<Snapshot>>) -> GistKey {
    let key = store.new_key();
    let gist = match base {
        Some(base) => Gist::of_remote(key, base),
        None => Gist::new(key, format!("new {}", key.0), true, NOW),
    };
    store.put_all(vec![(key, Some(gist))]).unwrap();
    key
}

/// A state with much that is clean, and one of everything that is unsent.
fn fill(store: &Store) {
    for number in 0..40 {
        let text = format!("body {number}\n").repeat(20);
        make(store, Some(snapshot(&format!("c{number}"), &[("a", &text), ("b", "b\n")])));
    }
    store.set_setting("newest_listed", "1").unwrap();
    let edited = make(store, Some(snapshot("e1", &[("a", "a\n"), ("gone", "gone\n")])));
    store.tidy(u64::MAX).unwrap();
    write(store, edited, "a", "edited\n");
    change(store, edited, |gist| drop(gist.files.remove("gone")));
    let new = make(store, None);
    write(store, new, "n\0/", "new\n");
    let removed = make(store, Some(snapshot("r1", &[("a", "a\n")])));
    change(store, removed, |gist| gist.removed = true);
    let moved = make(store, Some(snapshot("m1", &[("a", "a\n"), ("b", "b\n")])));
    let carry = |from: &mut Gist, to: &mut Gist| {
        let file = from.files.remove("a").unwrap();
        to.files.insert(name("moved"), LocalFile { from: None, ..file });
        from.moved_to.insert(name("a"), new);
        Ok(())
    };
    store.update_both_under(moved, new, carry, || ()).unwrap();
    let scratch = make(store, Some(snapshot("s1", &[("a", "a\n")])));
    write(store, scratch, ".a.swp", "swap");
    let sent = make(store, None);
    write(store, sent, "a", "sent\n");
    store
        .update(sent, |gist| {
            gist.attempt = Some(Attempt::after(None, "sent".into(), BTreeMap::new()));
            gist.copy_of = Some(edited);
            gist.wrote = Some(NOW);
            Ok(())
        })
        .unwrap();
    make(store, None);
    // Owed once, and settled since.
    let settled = make(store, None);
    write(store, settled, "a", "a\n");
    store
        .update(settled, |gist| {
            gist.base = Some(snapshot("x1", &[("a", "a\n")]));
            gist.description = "title of x1".into();
            gist.follow_base();
            Ok(())
        })
        .unwrap();
    let dropped = make(store, None);
    store.put_all(vec![(dropped, None)]).unwrap();
}

fn owing(store: &Store) -> BTreeMap<GistKey, Gist> {
    let mut found = BTreeMap::new();
    store.look_at_all(|gist| {
        if gist.owes() {
            found.insert(gist.key, Gist { upload: Default::default(), ..gist.clone() });
        }
    });
    found
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The state of a process that was killed, what it owed, and after `damage` and an open, how many
/// gists there are.
struct Killed {
    directory: tempfile::TempDir,
    owed: BTreeMap<GistKey, Gist>,
}

impl Killed {
    fn new() -> Self {
        Self::after(|_| {})
    }

    fn after(more: impl FnOnce(&Store)) -> Self {
        let living = tempfile::tempdir().unwrap();
        let store = Store::open(living.path(), "/m", 1000).unwrap();
        fill(&store);
        more(&store);
        let directory = tempfile::tempdir().unwrap();
        copy_tree(living.path(), directory.path());
        let owed = owing(&store);
        assert_eq!(owed.len(), 7);
        Self { directory, owed }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn open(&self) -> Store {
        Store::open(self.directory.path(), "/m", 1000).unwrap()
    }

    /// What was unsent is there and nothing else is, and the state works from then on.
    #[track_caller]
    fn comes_back(&self) -> usize {
        let count = {
            let store = self.open();
            assert_eq!(owing(&store), self.owed);
            let blob = BlobId::of(b"edited\n");
            assert_eq!(store.body(blob).unwrap().unwrap(), "edited\n");
            assert!(self.owed.keys().all(|key| *key < store.new_key()));
            let key = make(&store, None);
            write(&store, key, "later", "later\n");
            store.put_all(vec![(key, None)]).unwrap();
            store.keys().len()
        };
        let store = self.open();
        assert_eq!(owing(&store), self.owed);
        assert_eq!(store.keys().len(), count);
        assert!(count == 7 || count == 48, "{count}");
        count
    }

    fn set_aside(&self) -> usize {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("damaged-2")).count()
    }
}

#[test]
fn after_a_kill_everything_is_as_it_was() {
    let killed = Killed::new();
    assert_eq!(killed.comes_back(), 48);
    assert_eq!(killed.set_aside(), 0);
}

#[test]
fn whatever_page_is_damaged_the_unsent_comes_back() {
    let whole = Killed::after(|store| store.tidy(u64::MAX).unwrap());
    let size = fs::metadata(whole.path("state.db")).unwrap().len();
    assert!(size > 10 * 4096);
    let mut noise = 0x1234_5678_9abc_def0_u64;
    let mut random = || {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        noise as u8
    };
    let mut rebuilt = 0;
    for page in 0..size / 4096 {
        for zeroes in [false, true] {
            let killed =
                Killed { directory: tempfile::tempdir().unwrap(), owed: whole.owed.clone() };
            copy_tree(whole.directory.path(), killed.directory.path());
            fs::remove_file(killed.path("state.db-wal")).unwrap();
            let bytes: Vec<u8> = (0..4096).map(|_| if zeroes { 0 } else { random() }).collect();
            let file = File::options().write(true).open(killed.path("state.db")).unwrap();
            file.write_all_at(&bytes, page * 4096).unwrap();
            killed.comes_back();
            rebuilt += killed.set_aside();
        }
    }
    assert!(rebuilt as u64 >= size / 4096, "{rebuilt} of {} were noticed", size / 2048);
}

#[test]
fn a_database_cut_short_or_no_database_at_all_is_set_aside() {
    for damage in ["not a database, but long enough for a header".repeat(9), "SQ".into()] {
        let killed = Killed::new();
        fs::write(killed.path("state.db"), damage).unwrap();
        assert_eq!(killed.comes_back(), 7);
        assert_eq!(killed.set_aside(), 1);
    }
    let whole = Killed::after(|store| store.tidy(u64::MAX).unwrap());
    fs::remove_file(whole.path("state.db-wal")).unwrap();
    let file = File::options().write(true).open(whole.path("state.db")).unwrap();
    let size = file.metadata().unwrap().len();
    file.set_len(size / 2 + 100).unwrap();
    assert_eq!(whole.comes_back(), 7);
    assert_eq!(whole.set_aside(), 1);
}

#[test]
fn an_empty_database_with_a_log_is_no_new_one() {
    let killed = Killed::new();
    fs::write(killed.path("state.db"), "").unwrap();
    assert_eq!(killed.comes_back(), 7);
    assert_eq!(killed.set_aside(), 1);
}

#[test]
fn without_any_database_the_unsent_comes_back() {
    let killed = Killed::new();
    for name in ["state.db", "state.db-wal", "state.db-shm"] {
        fs::remove_file(killed.path(name)).unwrap();
    }
    assert_eq!(killed.comes_back(), 7);
    let killed = Killed::new();
    fs::remove_file(killed.path("state.db")).unwrap();
    fs::create_dir(killed.path("state.db")).unwrap();
    assert_eq!(killed.comes_back(), 7);
}

#[test]
fn a_lost_or_damaged_log_loses_nothing_that_is_unsent() {
    let whole = Killed::new();
    let log = fs::read(whole.path("state.db-wal")).unwrap();
    let mut zeroed = log.clone();
    zeroed[log.len() / 3..log.len() / 2].fill(0);
    for damage in [None, Some(&log[..log.len() / 2]), Some(&zeroed), Some(b"noise".as_slice())] {
        let killed = Killed { directory: tempfile::tempdir().unwrap(), owed: whole.owed.clone() };
        copy_tree(whole.directory.path(), killed.directory.path());
        match damage {
            Some(bytes) => fs::write(killed.path("state.db-wal"), bytes).unwrap(),
            None => fs::remove_file(killed.path("state.db-wal")).unwrap(),
        }
        let store = killed.open();
        assert_eq!(owing(&store), killed.owed);
        assert!(store.keys().len() >= 47, "what is clean is still known");
        drop(store);
        assert_eq!(owing(&killed.open()), killed.owed);
        assert_eq!(killed.set_aside(), 0);
    }
}

/// Copies need not be complete then: what the database still says to be unsent stays unsent, but a
/// gist that may have been created since is looked for first.
#[test]
fn after_a_power_cut_that_took_the_log_nothing_is_settled_by_guessing() {
    let killed = Killed::new();
    let with_wal = killed.open();
    drop(with_wal);
    let mark = fs::read_to_string(killed.path("owed/commits")).unwrap();
    let commits: i64 = mark.split(' ').next().unwrap().parse().unwrap();
    fs::write(killed.path("owed/commits"), format!("{:020} another boot\n", commits + 1)).unwrap();
    for key in killed.owed.keys() {
        fs::remove_file(killed.path(&format!("owed/{}.json", key.0))).unwrap();
    }
    let found = owing(&killed.open());
    assert!(found.keys().eq(killed.owed.keys()));
    for (key, gist) in found {
        assert_eq!(gist.files, killed.owed[&key].files);
        assert!(gist.base.is_some() || gist.attempt.is_some());
    }
}

#[test]
fn rows_that_make_no_sense_are_damage() {
    for sql in [
        "UPDATE gist SET moved_to = '{' WHERE key = 3",
        "UPDATE gist SET base = 'null{' WHERE key = 3",
        "UPDATE gist SET key = -1 WHERE key = 3",
        "UPDATE gist SET description = x'ff' WHERE key = 3",
        "UPDATE gist SET base = (SELECT base FROM gist WHERE key = 4) WHERE key = 3",
        "UPDATE file SET blob = 'zz' WHERE gist = 3 AND name = 'a'",
        "UPDATE file SET gist = 4000 WHERE gist = 3",
        "UPDATE file SET name = '' WHERE gist = 3 AND name = 'a'",
        "UPDATE setting SET value = 'many' WHERE name = 'commits'",
        "INSERT INTO page VALUES ('own', NULL, NULL, '[')",
        "DROP TABLE file",
        "ALTER TABLE file DROP COLUMN ctime",
    ] {
        let killed = Killed::new();
        tamper(&killed.path("state.db"), sql);
        assert_eq!(killed.comes_back(), 7, "{sql}");
        assert_eq!(killed.set_aside(), 1, "{sql}");
    }
}

#[test]
fn a_layout_of_a_later_version_is_left_alone() {
    let killed = Killed::new();
    tamper(&killed.path("state.db"), "PRAGMA user_version = 77");
    let error = Store::open(killed.directory.path(), "/m", 1000).err().unwrap();
    assert!(error.to_string().contains("layout 77"), "{error}");
    assert_eq!(killed.set_aside(), 0);
    let killed = Killed::new();
    let body = r#"{"version":9,"commit":1,"beyond":true}"#;
    let bytes = format!("{}\n{body}", BlobId::of(body.as_bytes()));
    fs::write(killed.path("owed/41.json"), &bytes).unwrap();
    let error = Store::open(killed.directory.path(), "/m", 1000).err().unwrap();
    assert!(error.to_string().contains("layout 9"), "{error}");
    assert_eq!(fs::read_to_string(killed.path("owed/41.json")).unwrap(), bytes);
}

#[test]
fn with_the_database_a_damaged_copy_is_written_again_and_without_it_is_kept_for_people() {
    let killed = Killed::new();
    let (key, _) = killed.owed.first_key_value().unwrap();
    let file = killed.path(&format!("owed/{}.json", key.0));
    let mut damaged = fs::read(&file).unwrap();
    damaged[60] ^= 1;
    fs::write(&file, &damaged).unwrap();
    assert_eq!(killed.comes_back(), 48);
    assert_ne!(fs::read(&file).unwrap(), damaged);
    fs::write(&file, &damaged).unwrap();
    fs::write(killed.path("state.db"), "no database").unwrap();
    assert_eq!(owing(&killed.open()).len(), 6);
    let mut kept = 0;
    for entry in fs::read_dir(killed.directory.path()).unwrap() {
        let copy = entry.unwrap().path().join(file.file_name().unwrap());
        kept += usize::from(fs::read(copy).is_ok_and(|bytes| bytes == damaged));
    }
    assert_eq!(kept, 2, "both were set aside");
}

#[test]
fn a_copy_caught_between_its_two_names_is_found() {
    let killed = Killed::new();
    for key in killed.owed.keys() {
        let copy = killed.path(&format!("owed/{}.json", key.0));
        fs::rename(&copy, copy.with_extension("new")).unwrap();
    }
    fs::write(killed.path("owed/77.new"), "half a co").unwrap();
    fs::write(killed.path("state.db"), "noise ".repeat(1000)).unwrap();
    assert_eq!(killed.comes_back(), 7);
    assert!(!killed.path("owed/77.new").exists());
}

#[test]
fn a_stale_copy_does_not_bring_back_what_was_settled() {
    let killed = Killed::new();
    let (key, _) = killed.owed.first_key_value().unwrap();
    let copy = fs::read(killed.path(&format!("owed/{}.json", key.0))).unwrap();
    let store = killed.open();
    change(&store, *key, |gist| *gist = Gist::of_remote(gist.key, gist.base.clone().unwrap()));
    drop(store);
    // Killed between the commit and the removal of the copy.
    fs::write(killed.path(&format!("owed/{}.json", key.0)), copy).unwrap();
    let store = killed.open();
    assert!(!owing(&store).contains_key(key));
    assert!(!killed.path(&format!("owed/{}.json", key.0)).exists());
}

#[test]
fn an_unsent_change_whose_copy_is_damaged_is_not_taken_for_sent() {
    let killed = Killed::new();
    let (key, gist) = killed.owed.first_key_value().unwrap();
    let file = killed.path(&format!("owed/{}.json", key.0));
    let mut damaged = fs::read(&file).unwrap();
    damaged[60] ^= 1;
    fs::write(&file, &damaged).unwrap();
    // The same run of the machine, and a commit that the database has not.
    let mark = fs::read_to_string(killed.path("owed/commits")).unwrap();
    let (commits, boot) = mark.split_once(' ').unwrap();
    let commits: i64 = commits.parse().unwrap();
    fs::write(killed.path("owed/commits"), format!("{:020} {boot}", commits + 1)).unwrap();
    assert_eq!(owing(&killed.open()).get(key).map(|gist| &gist.files), Some(&gist.files));
}

#[test]
fn what_was_removed_unsent_and_a_replaced_description_outlive_the_database() {
    let killed = Killed::after(|_| {});
    let (removed, replaced) = {
        let store = killed.open();
        let removed = make(&store, Some(snapshot("f1", &[("a", "a\n")])));
        write(&store, removed, "unsent", "unsent\n");
        change(&store, removed, |gist| {
            let file = gist.files.remove("unsent").unwrap();
            gist.shed_unsent(&name("unsent"), &file, NOW);
            assert!(!gist.differs());
        });
        let replaced = make(&store, Some(snapshot("f2", &[("a", "a\n")])));
        change(&store, replaced, |gist| gist.their_description = Some("theirs".into()));
        (removed, replaced)
    };
    fs::write(killed.path("state.db"), "noise ".repeat(1000)).unwrap();
    let store = killed.open();
    let shed: Vec<Shed> = store.get(removed).unwrap().shed;
    assert_eq!(shed.iter().map(|shed| shed.name.as_str()).collect::<Vec<_>>(), ["unsent"]);
    assert_eq!(store.get(replaced).unwrap().their_description.as_deref(), Some("theirs"));
}

#[test]
fn a_copy_that_was_never_sent_is_given_up_and_one_that_may_be_there_is_not() {
    for damaged in [false, true] {
        let killed = Killed::after(|_| {});
        let old = GistKey(1000);
        let [unsent, sent] = {
            let store = killed.open();
            [None, Some(Attempt::after(None, "d".into(), BTreeMap::new()))].map(|attempt| {
                let key = make(&store, None);
                write(&store, key, "a", "a\n");
                change(&store, key, |gist| (gist.attempt, gist.copy_of) = (attempt, Some(old)));
                key
            })
        };
        if damaged {
            fs::write(killed.path("state.db"), "noise ".repeat(1000)).unwrap();
        }
        for _ in 0..2 {
            let store = killed.open();
            assert!(store.get(unsent).is_none() && !owing(&store).contains_key(&unsent));
            assert!(!killed.path(&format!("owed/{}.json", unsent.0)).exists());
            assert_eq!(store.get(sent).unwrap().copy_of, Some(old));
            assert!(store.new_key() > old, "its number is not given to another");
        }
    }
}
