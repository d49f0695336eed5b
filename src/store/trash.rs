//! Removed gists on disk: `trash/YYYYMMDD-HHMMSS-ID7/` holds `gist.json` and the bodies.
//!
//! An entry needs nothing else: its bodies are second names of stored ones, or copies, so neither
//! eviction nor a lost database touches it. It is written aside, synced and renamed into place.
//! There is one entry a gist at most: an id that was deleted on GitHub never comes back.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::blobs::Blobs;
use super::gist::GistKey;
use crate::error::Error;
use crate::model::{BlobId, FileName, GistId, Time};

/// The layout of `gist.json`; an entry of another one is left alone.
const VERSION: u32 = 1;

/// What an entry is called while its gist is being put back.
const RESTORING: &str = ".restoring-";

/// What is being written, or removed.
const ASIDE: &str = ".aside-";

/// A removed gist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// The layout's number.
    version: u32,
    /// GitHub's id; none for a gist that never was there.
    pub id: Option<GistId>,
    /// The description.
    pub description: String,
    /// Listed for everybody, or secret.
    pub public: bool,
    /// The gist's page for people, while there was one.
    pub html_url: String,
    /// When it was removed.
    pub removed_at: Time,
    /// It was not removed here: it was gone from GitHub.
    pub elsewhere: bool,
    /// Its files, and what was removed from it before.
    pub files: Vec<Kept>,
}

/// A file of a removed gist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its name, as the API spells it.
    pub name: FileName,
    /// Its body, and the name of the body's file in the entry.
    pub blob: BlobId,
    /// The body's length in bytes.
    pub size: u64,
    /// Its permission bits, if the user set them and they are known.
    #[serde(default)]
    pub mode: Option<u32>,
    /// When it was removed, if that was before the gist was.
    #[serde(default)]
    pub removed_at: Option<Time>,
    /// The body GitHub had under that name, which this one was made over and never sent.
    #[serde(default)]
    pub over: Option<BlobId>,
    /// It was moved to another gist, and is there.
    #[serde(default)]
    pub moved: bool,
    /// The body could not be had any more.
    #[serde(default)]
    pub missing: bool,
}

/// An entry: its directory's name, and what that says.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The name.
    pub name: String,
    /// The gist.
    pub gist: Removed,
}

/// The directory of removed gists.
pub struct Trash {
    directory: PathBuf,
}

impl Removed {
    /// A gist removed at `removed_at`, without anything in it yet.
    pub fn new(id: Option<GistId>, description: String, public: bool, removed_at: Time) -> Self {
        Self {
            version: VERSION,
            id,
            description,
            public,
            html_url: String::new(),
            removed_at,
            elsewhere: false,
            files: Vec::new(),
        }
    }
}

/// What the entry of a gist removed at `at` is called. `unsent` names one that has no id.
pub fn entry_name(id: Option<&GistId>, at: Time, unsent: GistKey) -> String {
    match id {
        Some(id) => format!("{}-{}", at.stamp(), id.short()),
        None => format!("{}-new{}", at.stamp(), unsent.0),
    }
}

impl Trash {
    /// Opens the trash of a state directory and finishes what a dead process began.
    ///
    /// `known` tells whether there is a gist of that key, and its id.
    pub fn open(
        state: &Path,
        known: impl Fn(GistKey) -> Option<Option<GistId>>,
    ) -> Result<Self, Error> {
        let trash = Self { directory: state.join("trash") };
        trash.recover(known).map_err(|error| trash.trouble("cannot open", &error))?;
        Ok(trash)
    }

    fn recover(&self, known: impl Fn(GistKey) -> Option<Option<GistId>>) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        for name in self.names(|name| name.starts_with('.'))? {
            let path = self.directory.join(&name);
            if name.starts_with(ASIDE) {
                fs::remove_dir_all(path)?;
                continue;
            }
            let Some((key, entry)) = name.strip_prefix(RESTORING).and_then(|rest| {
                let (key, entry) = rest.split_once('-')?;
                Some((GistKey(key.parse().ok()?), entry))
            }) else {
                continue;
            };
            let id = self.read(&name).ok().and_then(|gist| gist.id);
            match known(key) {
                // It was put back under another id, or has none yet.
                Some(now) if now != id || id.is_none() => fs::remove_dir_all(path)?,
                Some(_) | None => fs::rename(path, self.directory.join(entry))?,
            }
        }
        Ok(())
    }

    fn names(&self, wanted: impl Fn(&str) -> bool) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            names.extend(entry?.file_name().into_string().ok().filter(|name| wanted(name)));
        }
        names.sort();
        Ok(names)
    }

    fn trouble(&self, what: &str, error: &io::Error) -> Error {
        Error::local(&format!("{what} {}", self.directory.display()), error)
    }

    fn read(&self, name: &str) -> io::Result<Removed> {
        let text = fs::read(self.directory.join(name).join("gist.json"))?;
        let gist: Removed = serde_json::from_slice(&text)?;
        if gist.version == VERSION {
            Ok(gist)
        } else {
            Err(io::Error::other(format!("written in layout {}", gist.version)))
        }
    }

    /// Every entry, the oldest first, and those that cannot be read, each with the reason.
    pub fn entries(&self) -> Result<(Vec<Entry>, Vec<String>), Error> {
        let names = self.names(|name| !name.starts_with('.'));
        let names = names.map_err(|error| self.trouble("cannot list", &error))?;
        let (mut entries, mut unreadable) = (Vec::new(), Vec::new());
        for name in names {
            match self.read(&name) {
                Ok(gist) => entries.push(Entry { name, gist }),
                Err(_) if !self.directory.join(&name).exists() => {}
                Err(error) => unreadable.push(format!("{name}: {error}")),
            }
        }
        Ok((entries, unreadable))
    }

    /// The entry of the gist that GitHub called `id`.
    pub fn find(&self, id: &GistId) -> Result<Option<Entry>, Error> {
        // The end of the name tells which ones to read.
        let short = format!("-{}", id.short());
        let long = format!("-{id}");
        let names = self
            .names(|name| {
                !name.starts_with('.') && (name.ends_with(&short) || name.ends_with(&long))
            })
            .map_err(|error| self.trouble("cannot list", &error))?;
        let read = |name: String| Some(Entry { gist: self.read(&name).ok()?, name });
        Ok(names.into_iter().filter_map(read).find(|entry| entry.gist.id.as_ref() == Some(id)))
    }

    /// Where an entry has a body.
    pub fn body(&self, entry: &str, blob: BlobId) -> PathBuf {
        self.directory.join(entry).join(blob.to_string())
    }

    /// Puts a gist in, durably, under `name` or another that is free. Every body that is not marked
    /// as missing must be stored. An entry the same gist has already is replaced.
    pub fn put(&self, name: &str, gist: &Removed, blobs: &Blobs) -> Result<(), Error> {
        let before = match &gist.id {
            Some(id) => self.find(id)?,
            None => None,
        };
        if before.as_ref().is_some_and(|entry| entry.gist == *gist) {
            return Ok(());
        }
        let aside = self.directory.join(format!("{ASIDE}{name}"));
        self.write(&aside, gist, blobs)?;
        let place = || {
            if let Some(before) = &before {
                self.take_away(&before.name)?;
            }
            let mut target = self.directory.join(name);
            if target.exists() {
                let other = gist.id.as_ref().map_or_else(String::new, |id| format!("-{id}"));
                target = self.directory.join(format!("{name}{other}"));
            }
            fs::rename(&aside, target)?;
            self.sync()
        };
        place().map_err(|error| self.trouble("cannot write to", &error))
    }

    fn write(&self, aside: &Path, gist: &Removed, blobs: &Blobs) -> Result<(), Error> {
        let failed = |error: io::Error| self.trouble("cannot write to", &error);
        let make = || {
            if aside.exists() {
                fs::remove_dir_all(aside)?;
            }
            fs::DirBuilder::new().mode(0o700).create(aside)
        };
        make().map_err(failed)?;
        for file in gist.files.iter().filter(|file| !file.missing) {
            let target = aside.join(file.blob.to_string());
            if !target.exists() && !blobs.link_to(file.blob, &target)? {
                return Err(Error::Nonsense(format!("body {} is not stored any more", file.blob)));
            }
        }
        let describe = || {
            let mut file = File::create(aside.join("gist.json"))?;
            file.write_all(&serde_json::to_vec_pretty(gist)?)?;
            file.sync_all()?;
            File::open(aside)?.sync_all()
        };
        describe().map_err(failed)
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }

    fn take_away(&self, name: &str) -> io::Result<()> {
        // By one rename: half an entry is none.
        let aside = self.directory.join(format!("{ASIDE}gone-{name}"));
        fs::rename(self.directory.join(name), &aside)?;
        fs::remove_dir_all(aside)
    }

    /// Removes an entry for good. One that is not there is no error.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        match self.take_away(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.trouble("cannot remove from", &error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Takes the bodies of an entry in again; tells those that are missing or damaged.
    pub fn take_bodies(&self, entry: &Entry, blobs: &Blobs) -> Result<Vec<BlobId>, Error> {
        let mut missing = Vec::new();
        for file in &entry.gist.files {
            let path = self.body(&entry.name, file.blob);
            if file.blob != BlobId::EMPTY && !blobs.take_in(file.blob, &path)? {
                missing.push(file.blob);
            }
        }
        Ok(missing)
    }

    /// The gist of an entry is about to be put back as `key`: whatever happens from here on, it is
    /// afterwards either in the trash or, once [`Trash::end_restoring`] was called or the next
    /// process found the gist under its new id, out of it.
    pub fn begin_restoring(&self, entry: &str, key: GistKey) -> Result<(), Error> {
        let begin = || {
            fs::rename(self.directory.join(entry), self.restoring(entry, key))?;
            self.sync()
        };
        begin().map_err(|error| self.trouble("cannot rename in", &error))
    }

    /// It was not put back.
    pub fn give_up_restoring(&self, entry: &str, key: GistKey) {
        let back = fs::rename(self.restoring(entry, key), self.directory.join(entry));
        if let Err(error) = back {
            log::warn!("{entry} is out of sight until the next mount: {error}");
        }
    }

    /// It was put back, durably.
    pub fn end_restoring(&self, entry: &str, key: GistKey) {
        if let Err(error) = fs::remove_dir_all(self.restoring(entry, key)) {
            log::warn!("{entry} was restored and cannot be removed from the trash: {error}");
        }
    }

    fn restoring(&self, entry: &str, key: GistKey) -> PathBuf {
        self.directory.join(format!("{RESTORING}{}-{entry}", key.0))
    }
}

#[cfg(test)]
mod tests {
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
        place
            .trash
            .put(&entry_name(gist.id.as_ref(), NOW, GistKey(1)), &gist, &place.blobs)
            .unwrap();
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
            fs::write(place.state.path().join("trash").join(ENTRY).join("gist.json"), wrong)
                .unwrap();
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
}
