//! The second copy of what GitHub does not have: `owed/KEY.json`, one file a gist.
//!
//! `state.db` is the truth while it can be read. These copies are for the day it cannot: each is
//! written right after the commit that changed its gist and removed when nothing is owed any more.
//! A file's first line is the git blob id of the rest, so that a damaged copy is never believed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::gist::{Gist, GistKey};
use crate::error::Error;
use crate::model::BlobId;

/// The layout of a copy. An unknown field is ignored, a missing one has its default; a copy of a
/// later layout is left alone.
const VERSION: u32 = 1;

/// The file that says how many commits there were, whatever `state.db` says.
const MARK: &str = "commits";

/// Keys are counted from 1; one past this was never given.
pub(super) const LARGEST_KEY: i64 = 1 << 48;

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    commit: i64,
    gist: &'a Gist,
}

#[derive(Deserialize)]
struct Read {
    commit: i64,
    gist: Option<Gist>,
}

/// A gist as it was after a commit.
#[derive(Debug, PartialEq)]
pub(super) struct Copy {
    /// The number of the commit.
    pub(super) commit: i64,
    /// The gist.
    pub(super) gist: Gist,
}

/// What the directory held when it was opened.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The copies that can be read.
    pub(super) copies: Vec<Copy>,
    /// Files that are no copies, and why.
    pub(super) unreadable: Vec<(PathBuf, String)>,
    /// The number of the last commit, if it is known.
    pub(super) last_commit: Option<i64>,
    /// No power was lost since: all copies are there as they were last written.
    pub(super) complete: bool,
}

/// The directory of copies.
pub(super) struct Owed {
    directory: PathBuf,
    mark: Option<File>,
    /// This run of the machine; empty once a copy could not be written, for then not all are there.
    boot: String,
    /// Copies written or removed since the last sync.
    unsynced: BTreeSet<GistKey>,
    /// Copies cannot be written, and somebody was told.
    failing: bool,
}

impl Owed {
    /// Opens the directory `owed` in `state`, making it where there is none, and reads it.
    pub(super) fn open(state: &Path) -> Result<(Self, Found), Error> {
        let directory = state.join("owed");
        let failed = |error| Error::local(&format!("cannot use {}", directory.display()), &error);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(failed)?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let boot = boot.trim().to_owned();
        let mut found = Found::default();
        let mut paths = fs::read_dir(&directory)
            .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
            .map_err(failed)
            .map(|paths: Vec<PathBuf>| paths)?;
        paths.sort();
        for path in paths {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("json") => match read_copy(&path)? {
                    Ok(copy) => found.copies.push(copy),
                    Err(why) => found.unreadable.push((path, why)),
                },
                // From a process that was killed: whole, if the one it replaces is gone already.
                Some("new") => {
                    let place = path.with_extension("json");
                    match read_copy(&path)? {
                        Ok(copy) if !place.exists() && fs::rename(&path, &place).is_ok() => {
                            found.copies.push(copy);
                        }
                        Ok(_) | Err(_) => drop(fs::remove_file(&path)),
                    }
                }
                Some(_) | None => {}
            }
        }
        if let Some((commits, then)) = read_mark(&directory.join(MARK)) {
            found.last_commit = Some(commits);
            found.complete = !boot.is_empty() && then == boot;
        }
        let owed = Self { directory, mark: None, boot, unsynced: BTreeSet::new(), failing: false };
        Ok((owed, found))
    }

    fn path(&self, key: GistKey) -> PathBuf {
        self.directory.join(format!("{}.json", key.0))
    }

    /// Notes that the commit `commit` made `new` of `old`.
    pub(super) fn follow(&mut self, old: Option<&Gist>, new: Option<&Gist>, commit: i64) {
        match (old, new) {
            (_, Some(gist)) if gist.owes() => self.keep(gist, commit),
            (Some(gist), _) if gist.owes() => self.forget(gist.key),
            (Some(_) | None, Some(_) | None) => {}
        }
    }

    /// Writes the copy of a gist. A failure is told once: the database has it too.
    pub(super) fn keep(&mut self, gist: &Gist, commit: i64) {
        let path = self.path(gist.key);
        let aside = path.with_extension("new");
        let write = || {
            let bytes = to_bytes(gist, commit)?;
            let mut file = File::options();
            let mut file = file.write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
            file.write_all(&bytes)?;
            // Not over the old one: ext4 would begin to write the new one out, and let us wait.
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                Ok(()) | Err(_) => fs::rename(&aside, &path),
            }
        };
        match write() {
            Ok(()) => {
                self.unsynced.insert(gist.key);
                self.failing = false;
            }
            Err(error) => {
                drop(fs::remove_file(&aside));
                self.complain("write", &path, &error);
            }
        }
    }

    /// Removes the copy of a gist that owes nothing any more.
    pub(super) fn forget(&mut self, key: GistKey) {
        let path = self.path(key);
        match fs::remove_file(&path) {
            Ok(()) => drop(self.unsynced.insert(key)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.complain("remove", &path, &error),
        }
    }

    /// Notes the number of the last commit: one write into a file that stays as long as it is.
    pub(super) fn note(&mut self, commit: i64) {
        let path = self.directory.join(MARK);
        let mut write = || {
            let mark = match self.mark.take() {
                Some(mark) => mark,
                None => File::options()
                    .write(true)
                    .create(true)
                    .truncate(false)
                    .mode(0o600)
                    .open(&path)?,
            };
            let line = format!("{commit:020} {:36}\n", self.boot);
            let written = mark.write_all_at(line.as_bytes(), 0);
            self.mark = Some(mark);
            written
        };
        if let Err(error) = write() {
            self.complain("write", &path, &error);
        }
    }

    fn complain(&mut self, what: &str, path: &Path, error: &io::Error) {
        self.boot.clear();
        if !std::mem::replace(&mut self.failing, true) {
            log::warn!(
                "cannot {what} {}: {error}; unsent changes have no second copy until that works",
                path.display()
            );
        }
    }

    /// What [`sync`] has to make last; from now on it counts as done.
    pub(super) fn take_unsynced(&mut self) -> (PathBuf, BTreeSet<GistKey>) {
        (self.directory.clone(), std::mem::take(&mut self.unsynced))
    }

    /// What could not be synced has to be tried again.
    pub(super) fn put_unsynced(&mut self, keys: BTreeSet<GistKey>) {
        self.unsynced.extend(keys);
    }
}

/// Makes the copies of these gists survive a power cut, removals too.
pub(super) fn sync(directory: &Path, keys: &BTreeSet<GistKey>) -> io::Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    for key in keys {
        match File::open(directory.join(format!("{}.json", key.0))) {
            Ok(file) => file.sync_all()?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    File::open(directory)?.sync_all()
}

fn to_bytes(gist: &Gist, commit: i64) -> io::Result<Vec<u8>> {
    let body = serde_json::to_vec(&Written { version: VERSION, commit, gist })?;
    let mut bytes = format!("{}\n", BlobId::of(&body)).into_bytes();
    bytes.extend(body);
    Ok(bytes)
}

/// Reads one copy. A damaged one is told as such; one of a later layout is an error.
fn read_copy(path: &Path) -> Result<Result<Copy, String>, Error> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let copy = match from_bytes(&bytes) {
        Ok(copy) => copy,
        Err(Unread::Later(version)) => {
            let message = format!(
                "{} was written by another version of gistfs (layout {version}, this one knows {VERSION})",
                path.display()
            );
            return Err(Error::Local { errno: libc::EINVAL, message });
        }
        Err(Unread::Damaged(why)) => return Ok(Err(why)),
    };
    let named = path.file_stem().and_then(|stem| stem.to_str());
    if named != Some(copy.gist.key.0.to_string().as_str()) {
        return Ok(Err("it is the copy of another gist".into()));
    }
    Ok(Ok(copy))
}

/// Why bytes are no copy.
#[derive(Debug, PartialEq)]
pub(super) enum Unread {
    Damaged(String),
    Later(u32),
}

/// Reads a copy, its id checked.
pub(super) fn from_bytes(bytes: &[u8]) -> Result<Copy, Unread> {
    let damaged = |why: &str| Unread::Damaged(why.to_owned());
    let (id, body) = bytes.split_at_checked(40).ok_or_else(|| damaged("it is cut short"))?;
    let body = body.strip_prefix(b"\n").ok_or_else(|| damaged("it has no first line"))?;
    if BlobId::of(body).to_string().as_bytes() != id {
        return Err(damaged("it is not as it was written"));
    }
    from_json(body)
}

/// Reads what is behind the first line.
pub(super) fn from_json(body: &[u8]) -> Result<Copy, Unread> {
    #[derive(Deserialize)]
    struct Layout {
        version: u32,
    }
    let damaged = |error: serde_json::Error| Unread::Damaged(error.to_string());
    let layout: Layout = serde_json::from_slice(body).map_err(damaged)?;
    if layout.version > VERSION {
        return Err(Unread::Later(layout.version));
    }
    let Read { commit, gist } = serde_json::from_slice(body).map_err(damaged)?;
    let gist = gist.ok_or_else(|| Unread::Damaged("it holds no gist".into()))?;
    let keys = gist.moved_to.values().chain([&gist.key]);
    if keys.into_iter().any(|key| !(1..LARGEST_KEY).contains(&key.0)) || commit < 0 {
        return Err(Unread::Damaged("a number in it makes no sense".into()));
    }
    Ok(Copy { commit, gist })
}

fn read_mark(path: &Path) -> Option<(i64, String)> {
    let text = fs::read_to_string(path).ok()?;
    let (commits, boot) = text.split_once(' ')?;
    let commits = commits.parse().ok().filter(|commits| (0..i64::MAX / 2).contains(commits))?;
    Some((commits, boot.trim().to_owned()))
}
