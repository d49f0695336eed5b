//! Entries of the trash on disk.

use super::*;
use proptest::prelude::*;

const NOW: Time = Time(1_700_000_000_000_000_000);

fn nothing(_: GistKey) -> Option<Option<GistId>> {
    None
}

fn kept(name: &str, body: &str) -> Kept {
    Kept {
        name: FileName::parse(name).unwrap(),
        blob: BlobId::of(body.as_bytes()),
        size: body.len() as u64,
        mode: None,
        removed_at: None,
        over: None,
        moved: false,
        missing: false,
    }
}

struct Place {
    state: tempfile::TempDir,
    blobs: Blobs,
    trash: Trash,
}

fn place(files: &[(&str, &str)]) -> (Place, Removed) {
    let state = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(state.path()).unwrap();
    let trash = Trash::open(state.path(), nothing);
    let mut gist = Removed::new(GistId::parse("abcdef1234"), "d/é\n".into(), true, NOW);
    for (name, body) in files {
        blobs.put(BlobId::of(body.as_bytes()), body.as_bytes()).unwrap();
        gist.files.push(kept(name, body));
    }
    (Place { state, blobs, trash }, gist)
}

const ENTRY: &str = "20231114-221320-abcdef1";

#[test]
fn an_entry_outlives_the_bodies_it_was_made_of() {
    let odd = ["a/b", "..", "nul\0", &"x".repeat(300), "-", "gist.json"];
    let files: Vec<(&str, &str)> = odd.iter().map(|name| (*name, *name)).collect();
    let (place, gist) = place(&[&files[..], &[("empty", "")]].concat());
    place.trash.put(&entry_name(gist.id.as_ref(), NOW, GistKey(1)), &gist, &place.blobs).unwrap();
    fs::remove_dir_all(place.state.path().join("blobs")).unwrap();
    let blobs = Blobs::open(place.state.path()).unwrap();
    let trash = Trash::open(place.state.path(), nothing);
    let (entries, unreadable) = trash.entries().unwrap();
    assert_eq!((entries.len(), unreadable.len()), (1, 0));
    assert_eq!((entries[0].name.as_str(), &entries[0].gist), (ENTRY, &gist));
    assert_eq!(trash.take_bodies(&entries[0], &blobs).unwrap(), []);
    for (_, body) in files {
        let stored = blobs.read(BlobId::of(body.as_bytes())).unwrap().unwrap();
        assert_eq!(stored, body.as_bytes());
    }
    trash.remove(ENTRY).unwrap();
    trash.remove(ENTRY).unwrap();
    assert!(trash.entries().unwrap().0.is_empty());
}

#[test]
fn one_gist_has_one_entry_however_often_it_is_put_in() {
    let (place, mut gist) = place(&[("a", "alpha\n")]);
    place.trash.put("20231114-000000-abcdef1", &gist, &place.blobs).unwrap();
    let other = Removed { id: GistId::parse("abcdef1999"), ..gist.clone() };
    place.trash.put(ENTRY, &other, &place.blobs).unwrap();
    place.trash.put(ENTRY, &gist, &place.blobs).unwrap();
    gist.files.push(kept("b", "alpha\n"));
    place.trash.put(ENTRY, &gist, &place.blobs).unwrap();
    let (entries, _) = place.trash.entries().unwrap();
    let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, [ENTRY, &format!("{ENTRY}-abcdef1234")]);
    assert_eq!(entries[1].gist, gist);
    let found = place.trash.find(gist.id.as_ref().unwrap()).unwrap().unwrap();
    assert_eq!(found.gist, gist);
}

#[test]
fn a_damaged_body_is_missing_and_a_damaged_entry_is_named() {
    let (place, gist) = place(&[("a", "alpha\n"), ("b", "beta\n")]);
    place.trash.put(ENTRY, &gist, &place.blobs).unwrap();
    let entry = place.trash.entries().unwrap().0.remove(0);
    let alpha = gist.files[0].blob;
    fs::remove_dir_all(place.state.path().join("blobs")).unwrap();
    fs::write(place.trash.body(ENTRY, alpha), "alphA\n").unwrap();
    let blobs = Blobs::open(place.state.path()).unwrap();
    assert_eq!(place.trash.take_bodies(&entry, &blobs).unwrap(), [alpha]);
    for wrong in ["", "{}", "{\"version\":2}"] {
        fs::write(place.state.path().join("trash").join(ENTRY).join("gist.json"), wrong).unwrap();
        let (entries, unreadable) = place.trash.entries().unwrap();
        assert!(entries.is_empty() && unreadable[0].starts_with(ENTRY), "{unreadable:?}");
    }
}

#[test]
fn a_restoring_that_was_cut_off_ends_one_way_or_the_other() {
    let id = GistId::parse("abcdef1234");
    for (now, stays) in [
        (None, true),
        (Some(id), true),
        (Some(None), false),
        (Some(GistId::parse("another")), false),
    ] {
        let (place, gist) = place(&[("a", "alpha\n")]);
        place.trash.put(ENTRY, &gist, &place.blobs).unwrap();
        place.trash.begin_restoring(ENTRY, GistKey(7)).unwrap();
        assert!(place.trash.entries().unwrap().0.is_empty());
        fs::create_dir(place.state.path().join("trash/.aside-half")).unwrap();
        let trash = Trash::open(place.state.path(), |key| {
            assert_eq!(key, GistKey(7));
            now.clone()
        });
        assert_eq!(trash.entries().unwrap().0.len(), usize::from(stays), "{now:?}");
        let left = fs::read_dir(place.state.path().join("trash")).unwrap().count();
        assert_eq!(left, usize::from(stays));
    }
}

#[test]
fn a_gist_that_never_had_an_id_is_put_in_once_however_often_that_is_cut_off() {
    let (place, mut gist) = place(&[("a", "alpha\n"), ("b", "beta\n")]);
    gist.id = None;
    let name = entry_name(None, NOW, GistKey(7));
    place.trash.put(&name, &gist, &place.blobs).unwrap();
    // Killed before it was taken out of the store; meanwhile a body was evicted.
    gist.files[0].missing = true;
    for _ in 0..2 {
        place.trash.put(&name, &gist, &place.blobs).unwrap();
        let entries = place.trash.entries().unwrap().0;
        let found: Vec<_> =
            entries.iter().map(|entry| (entry.name.as_str(), &entry.gist)).collect();
        assert_eq!(found, [(name.as_str(), &gist)]);
    }
    let other = entry_name(None, NOW, GistKey(71));
    place.trash.put(&other, &gist, &place.blobs).unwrap();
    assert_eq!(place.trash.entries().unwrap().0.len(), 2);
}

#[test]
fn of_two_entries_of_one_gist_the_older_goes_when_the_trash_is_opened() {
    for id in [GistId::parse("abcdef1234"), None] {
        for newer_first in [false, true] {
            let (place, mut gist) = place(&[("a", "alpha\n"), ("b", "beta\n")]);
            gist.id = id.clone();
            let name = entry_name(id.as_ref(), NOW, GistKey(7));
            let directory = place.state.path().join("trash");
            place.trash.put(&name, &gist, &place.blobs).unwrap();
            fs::rename(directory.join(&name), directory.join(".before")).unwrap();
            gist.files.pop();
            place.trash.put(&name, &gist, &place.blobs).unwrap();
            let end = id.as_ref().map_or_else(String::new, |id| format!("-{id}"));
            let second = directory.join(format!("{name}-2{end}"));
            if newer_first {
                fs::rename(directory.join(".before"), second).unwrap();
            } else {
                fs::rename(directory.join(&name), second).unwrap();
                fs::rename(directory.join(".before"), directory.join(&name)).unwrap();
            }
            // Another gist whose id begins alike.
            let other = Removed { id: GistId::parse("abcdef1999"), ..gist.clone() };
            place.trash.put(ENTRY, &other, &place.blobs).unwrap();
            assert_eq!(place.trash.entries().unwrap().0.len(), 3);
            let entries = Trash::open(place.state.path(), nothing).entries().unwrap().0;
            let mut files: Vec<_> = entries.into_iter().map(|entry| entry.gist).collect();
            files.retain(|found| found.id != other.id);
            assert_eq!(files, [gist]);
        }
    }
}

#[test]
fn whatever_lies_in_the_trash_it_opens_and_nothing_readable_is_lost() {
    let (place, gist) = place(&[("a", "alpha\n")]);
    let directory = place.state.path().join("trash");
    place.trash.put(ENTRY, &gist, &place.blobs).unwrap();
    place.trash.begin_restoring(ENTRY, GistKey(7)).unwrap();
    let other = Removed { id: GistId::parse("abcdef1999"), ..gist.clone() };
    place.trash.put(ENTRY, &other, &place.blobs).unwrap();
    fs::write(directory.join(".aside-file"), "no directory").unwrap();
    for (name, json) in [("damaged", Some("{")), ("half", None)] {
        let restoring = directory.join(format!("{RESTORING}8-20231114-221320-{name}"));
        fs::create_dir(&restoring).unwrap();
        json.into_iter().for_each(|json| fs::write(restoring.join("gist.json"), json).unwrap());
    }
    let known = |key| (key == GistKey(8)).then_some(None);
    let (entries, unreadable) = Trash::open(place.state.path(), known).entries().unwrap();
    let found: Vec<&Removed> = entries.iter().map(|entry| &entry.gist).collect();
    assert_eq!(found, [&other, &gist]);
    assert!(unreadable.len() == 1 && unreadable[0].contains("damaged"), "{unreadable:?}");
    fs::remove_dir_all(&directory).unwrap();
    fs::write(&directory, "no directory").unwrap();
    let trash = Trash::open(place.state.path(), nothing);
    assert!(trash.put(ENTRY, &gist, &place.blobs).is_err());
}

#[test]
fn two_threads_that_bury_one_gist_bury_it_once_and_whole() {
    let (place, gist) = place(&[("a", "alpha\n"), ("b", "beta\n")]);
    for round in 0..20 {
        let gist = Removed { description: format!("round {round}"), ..gist.clone() };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| place.trash.put(ENTRY, &gist, &place.blobs).unwrap());
            }
        });
        let entries = place.trash.entries().unwrap().0;
        assert_eq!((entries.len(), &entries[0].gist), (1, &gist));
        assert_eq!(place.trash.take_bodies(&entries[0], &place.blobs).unwrap(), []);
        assert_eq!(fs::read_dir(place.state.path().join("trash")).unwrap().count(), 1);
    }
}

proptest! {
    #[test]
    fn any_name_and_any_description_come_back(
        description in any::<String>(),
        names in proptest::collection::btree_set(any::<String>(), 0..8),
        bodies in proptest::collection::vec(any::<String>(), 8),
    ) {
        let files: Vec<(&str, &str)> = names
            .iter()
            .zip(&bodies)
            .filter(|(name, _)| !name.is_empty())
            .map(|(name, body)| (name.as_str(), body.as_str()))
            .collect();
        let (place, mut gist) = place(&files);
        gist.description = description;
        place.trash.put(ENTRY, &gist, &place.blobs).unwrap();
        let entry = place.trash.entries().unwrap().0.remove(0);
        prop_assert_eq!(&entry.gist, &gist);
        prop_assert_eq!(place.trash.take_bodies(&entry, &place.blobs).unwrap(), []);
    }
}
