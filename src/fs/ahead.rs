//! Bodies that somebody is about to read: which files come next, in the order the listings show.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use self::runs::{Item, Most, Order, Runs, Spot, Way};
use super::{GistFs, lock};
use crate::model::FileName;
use crate::store::gist::Gist;
use crate::sync::Upcoming;
use crate::sync::bodies::Source;
use crate::tree::{Ino, Place};

mod runs;

/// Files ahead of one reader, for each body that may be under way: enough that the next ones can be
/// asked for while those that came are read.
const FILES_A_PLACE: usize = 8;

/// At least so many bytes may be ahead of one reader, however little memory there is: bodies wait on
/// disk.
const LEAST_BYTES: u64 = 1 << 20;

/// Who reads where.
#[derive(Default)]
pub(super) struct Ahead {
    /// Before the tree's lock. Held to look, never across anything that waits.
    runs: Mutex<Runs>,
    /// What [`Runs::unread`] says, for a look without the lock.
    unread: AtomicUsize,
}

impl Order for GistFs {
    fn beside(&self, spot: Spot, way: Way) -> Option<Spot> {
        let back = way == Way::Up;
        let mut tree = self.tree();
        if let Some(file) = tree.beside(spot.directory, spot.file, back) {
            return Some(Spot { file, ..spot });
        }
        if spot.directory == Ino::ROOT {
            return None;
        }
        let mut directory = spot.directory;
        loop {
            directory = tree.beside(Ino::ROOT, directory, back)?;
            if let Some(Place::Gist(key)) = tree.place(directory) {
                let key = *key;
                self.learn(&mut tree, key);
            }
            let edge = if back { Ino(u64::MAX) } else { Ino(0) };
            if let Some(file) = tree.beside(directory, edge, back) {
                return Some(Spot { directory, file });
            }
        }
    }
}

impl GistFs {
    /// Somebody begins to read the file: if it was fetched ahead, it is time to look further.
    pub(super) fn begins_to_read(&self, ino: Ino) {
        if self.ahead.unread.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut runs = lock(&self.ahead.runs);
        let claimed = runs.claimed(ino);
        self.ahead.unread.store(runs.unread(), Ordering::Relaxed);
        drop(runs);
        if claimed == Some(true) {
            self.syncer.read_ahead();
        }
    }

    /// Somebody begins to read the file, and its body is not here.
    pub(super) fn misses(&self, ino: Ino, size: u64) {
        let item = {
            let tree = self.tree();
            let Some(Place::File(_, name)) = tree.place(ino) else { return };
            let spot = Spot { directory: tree.parent(ino), file: ino };
            Item { spot, size, kind: kind(name) }
        };
        lock(&self.ahead.runs).missed(item, self);
        self.syncer.read_ahead();
    }

    /// What is not here and comes next for somebody.
    pub(super) fn upcoming(&self) -> Option<Upcoming> {
        let most = Most {
            files: self.syncer.options().parallel.saturating_mul(FILES_A_PLACE),
            bytes: (self.store.memory_limit() / 8).max(LEAST_BYTES),
        };
        let mut found = None;
        let mut runs = lock(&self.ahead.runs);
        let spot = runs.next(most, self, |spot| {
            let (source, kind) = self.not_here(spot.file)?;
            let item = Item { spot, size: source.file.size, kind };
            found = Some(source);
            Some(item)
        })?;
        self.ahead.unread.store(runs.unread(), Ordering::Relaxed);
        Some(Upcoming { ticket: spot.file.0, source: found? })
    }

    /// What was to be fetched ahead does not come.
    pub(super) fn leave_upcoming(&self, ticket: u64) {
        let mut runs = lock(&self.ahead.runs);
        runs.left(Ino(ticket));
        self.ahead.unread.store(runs.unread(), Ordering::Relaxed);
    }

    /// Where a file's body can be had that may be fetched before anybody asks for it, and what kind
    /// of file it is.
    fn not_here(&self, ino: Ino) -> Option<(Source, u64)> {
        let (source, kind) = {
            let tree = self.tree();
            let Some(Place::File(key, name)) = tree.place(ino) else { return None };
            let look = |gist: &Gist| {
                let blob = gist.files.get(name)?.blob()?;
                Source::of(gist, blob)
            };
            (self.store.look(*key, look).flatten()?, kind(name))
        };
        self.syncer.may_come_ahead(&source).then_some((source, kind))
    }
}

/// Files whose names end alike are of one kind.
fn kind(name: &FileName) -> u64 {
    let mut hasher = DefaultHasher::new();
    Path::new(name.as_str()).extension().hash(&mut hasher);
    hasher.finish()
}
