//! Removed gists on disk: `trash/YYYYMMDD-HHMMSS-ID7/` holds `gist.json` and the bodies.
//!
//! An entry needs nothing else: its bodies are second names of stored ones, or copies, so neither
//! eviction nor a lost database touches it. It is written aside, synced and renamed into place.
//! There is one entry a gist at most: an id that was deleted on GitHub never comes back.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

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
    /// Held while entries are written, renamed or removed. A leaf.
    writing: Mutex<()>,
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
    /// Opens the trash of a state directory and finishes what a dead process began. What cannot be
    /// mended is told in the log: there is more to a mount than the trash.
    ///
    /// `known` tells whether there is a gist of that key, and its id.
    pub fn open(state: &Path, known: impl Fn(GistKey) -> Option<Option<GistId>>) -> Self {
        let trash = Self { directory: state.join("trash"), writing: Mutex::default() };
        if let Err(error) = trash.recover(known) {
            log::warn!("{}", trash.trouble("cannot tidy", &error));
        }
        trash
    }

    fn recover(&self, known: impl Fn(GistKey) -> Option<Option<GistId>>) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        for name in self.names(|name| name.starts_with('.'))? {
            if let Err(error) = self.finish(&name, &known) {
                log::warn!("{}: {error}", self.directory.join(&name).display());
            }
        }
        self.drop_doubles()
    }

    /// Ends what a dead process began with what it called `name`.
    fn finish(
        &self,
        name: &str,
        known: impl Fn(GistKey) -> Option<Option<GistId>>,
    ) -> io::Result<()> {
        let path = self.directory.join(name);
        if name.starts_with(ASIDE) {
            return fs::remove_dir_all(path);
        }
        let Some((key, entry)) = name.strip_prefix(RESTORING).and_then(|rest| {
            let (key, entry) = rest.split_once('-')?;
            Some((GistKey(key.parse().ok()?), entry))
        }) else {
            return Ok(());
        };
        let done = match self.read(name) {
            // It was put back under another id, or has none yet.
            Ok(gist) => known(key).is_some_and(|now| now != gist.id || gist.id.is_none()),
            // It was put back, and its removal cut off.
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if done {
            return fs::remove_dir_all(path);
        }
        fs::rename(path, self.directory.join(self.free_name(entry, None)))
    }

    /// Of two entries of one gist the older one goes: its removal was cut off.
    fn drop_doubles(&self) -> io::Result<()> {
        // What the names have in common tells which ones to read.
        let mut alike: HashMap<String, Vec<String>> = HashMap::new();
        for name in self.names(|name| !name.starts_with('.'))? {
            if let Some(short) = name.split('-').nth(2) {
                alike.entry(short.to_owned()).or_default().push(name);
            }
        }
        for names in alike.into_values().filter(|names| names.len() > 1) {
            let mut newest = HashMap::new();
            for name in names {
                let Ok(gist) = self.read(&name) else { continue };
                let json = self.directory.join(&name).join("gist.json");
                let written = fs::metadata(json)?.modified()?;
                let unsent = || name.splitn(4, '-').take(3).collect::<Vec<_>>().join("-");
                let whose = gist.id.map_or_else(unsent, |id| id.to_string());
                let older = match newest.insert(whose.clone(), (written, name)) {
                    Some(other) if newest.get(&whose).is_some_and(|this| *this < other) => {
                        newest.insert(whose, other)
                    }
                    other => other,
                };
                if let Some((_, older)) = older {
                    self.take_away(&older)?;
                }
            }
        }
        Ok(())
    }

    fn alone(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name itself or, where that is taken, another by which [`Trash::find`] finds it too.
    fn free_name(&self, name: &str, id: Option<&GistId>) -> String {
        let end = id.map_or_else(String::new, |id| format!("-{id}"));
        let others = (2_u32..).map(|number| format!("{name}-{number}{end}"));
        [name.to_owned(), format!("{name}{end}")]
            .into_iter()
            .chain(others)
            .find(|name| !self.directory.join(name).exists())
            .unwrap_or_else(|| name.to_owned())
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
        let _alone = self.alone();
        let before = match &gist.id {
            Some(id) => self.find(id)?,
            None => self.find_unsent(name)?,
        };
        if before.as_ref().is_some_and(|entry| entry.gist == *gist) {
            return Ok(());
        }
        let aside = self.directory.join(format!("{ASIDE}{name}"));
        self.write(&aside, gist, blobs)?;
        let free = || self.free_name(name, gist.id.as_ref());
        let place = || {
            // Whenever we are stopped, it is there: better twice than not at all.
            let target = free();
            fs::rename(&aside, self.directory.join(&target))?;
            self.sync()?;
            let Some(before) = &before else { return Ok(()) };
            self.take_away(&before.name)?;
            let better = free();
            if better.len() < target.len() {
                fs::rename(self.directory.join(target), self.directory.join(better))?;
                self.sync()?;
            }
            Ok(())
        };
        place().map_err(|error| self.trouble("cannot write to", &error))
    }

    /// The entry of a gist that never had an id: `name`, or that and a number.
    pub fn find_unsent(&self, name: &str) -> Result<Option<Entry>, Error> {
        let wanted = |other: &str| {
            other.strip_prefix(name).is_some_and(|end| end.is_empty() || end.starts_with('-'))
        };
        let names = self.names(wanted).map_err(|error| self.trouble("cannot list", &error))?;
        let read = |name: String| Some(Entry { gist: self.read(&name).ok()?, name });
        Ok(names.into_iter().filter_map(read).find(|entry| entry.gist.id.is_none()))
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
        if aside.exists() {
            fs::remove_dir_all(&aside)?;
        }
        fs::rename(self.directory.join(name), &aside)?;
        fs::remove_dir_all(aside)
    }

    /// Removes an entry for good. One that is not there is no error.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        let _alone = self.alone();
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
        let _alone = self.alone();
        let begin = || {
            fs::rename(self.directory.join(entry), self.directory.join(restoring(entry, key)))?;
            self.sync()
        };
        begin().map_err(|error| self.trouble("cannot rename in", &error))
    }

    /// It was not put back.
    pub fn give_up_restoring(&self, entry: &str, key: GistKey) {
        let _alone = self.alone();
        let from = self.directory.join(restoring(entry, key));
        let back = fs::rename(from, self.directory.join(self.free_name(entry, None)));
        if let Err(error) = back {
            log::warn!("{entry} is out of sight until the next mount: {error}");
        }
    }

    /// It was put back, durably.
    pub fn end_restoring(&self, entry: &str, key: GistKey) {
        let _alone = self.alone();
        if let Err(error) = self.take_away(&restoring(entry, key)) {
            log::warn!("{entry} was restored and cannot be removed from the trash: {error}");
        }
    }
}

/// What an entry is called while its gist is put back as `key`.
fn restoring(entry: &str, key: GistKey) -> String {
    format!("{RESTORING}{}-{entry}", key.0)
}

#[cfg(test)]
#[path = "trash_tests.rs"]
mod tests;
