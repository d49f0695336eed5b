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
    let trash = Trash::open(state.path(), nothing).unwrap();
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
    let trash = Trash::open(place.state.path(), nothing).unwrap();
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
        assert_eq!(trash.unwrap().entries().unwrap().0.len(), usize::from(stays), "{now:?}");
        let left = fs::read_dir(place.state.path().join("trash")).unwrap().count();
        assert_eq!(left, usize::from(stays));
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
