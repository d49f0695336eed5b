//! Bodies that somebody is about to read: which files come next, in the order the listings show.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};

use self::runs::{Item, MOST_LOOKS, Most, Next, Order, Runs, Spot, Way};
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

/// So many files are remembered that somebody began to read while the runs were looked at.
const MOST_BEGUN: usize = 64;

/// Who reads where.
#[derive(Default)]
pub(super) struct Ahead {
    /// Held by whoever looks for what comes next, also while it looks at the disk. Before `runs`.
    looks: Mutex<()>,
    /// Before the tree's lock, and as long held as that. Who reads what is here does not wait for it.
    runs: Mutex<Runs>,
    /// What was begun to be read while `runs` was held: whoever held it sees to that. A leaf.
    begun: Mutex<VecDeque<Ino>>,
    /// What [`Runs::unread`] says, for a look without the lock.
    unread: AtomicUsize,
}

impl Ahead {
    /// Notes what was begun to be read, in its order; true if it is time to fetch more.
    fn works_off(&self, runs: &mut Runs) -> bool {
        let begun = std::mem::take(&mut *lock(&self.begun));
        let low = begun.into_iter().filter(|ino| runs.claimed(*ino) == Some(true)).count() > 0;
        self.unread.store(runs.unread(), Ordering::Relaxed);
        low
    }

    /// Notes that a file is begun to be read, now or when whoever looks at the runs is done; true if
    /// it is time to fetch more. Waits for nothing.
    fn begins(&self, ino: Ino) -> bool {
        {
            let mut begun = lock(&self.begun);
            if begun.len() < MOST_BEGUN {
                begun.push_back(ino);
            }
        }
        self.catches_up()
    }

    fn catches_up(&self) -> bool {
        let mut low = false;
        while !lock(&self.begun).is_empty()
            && let Some(mut runs) = self.free_runs()
        {
            low |= self.works_off(&mut runs);
        }
        low
    }

    fn free_runs(&self) -> Option<MutexGuard<'_, Runs>> {
        match self.runs.try_lock() {
            Ok(runs) => Some(runs),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// What `look` says of the runs; and whether it is time to fetch more.
    fn look<T>(&self, look: impl FnOnce(&mut Runs) -> T) -> (T, bool) {
        let (seen, low) = {
            let mut runs = lock(&self.runs);
            let low = self.works_off(&mut runs);
            let seen = look(&mut runs);
            self.unread.store(runs.unread(), Ordering::Relaxed);
            (seen, low)
        };
        let caught_up = self.catches_up();
        (seen, low || caught_up)
    }
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
        if self.ahead.begins(ino) {
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
        self.ahead.look(|runs| runs.missed(item, self));
        self.syncer.read_ahead();
    }

    /// What is not here and comes next for somebody.
    pub(super) fn upcoming(&self) -> Option<Upcoming> {
        let most = Most {
            files: self.syncer.options().parallel.saturating_mul(FILES_A_PLACE),
            bytes: (self.store.memory_limit() / 8).max(LEAST_BYTES),
        };
        let _alone = lock(&self.ahead.looks);
        let mut known: BTreeMap<Spot, Option<(Source, u64)>> = BTreeMap::new();
        let mut low = false;
        let mut found = None;
        for _ in 0..MOST_LOOKS {
            let lacks = |spot: Spot| {
                let looked_at = known.get(&spot)?.as_ref();
                Some(looked_at.map(|(source, kind)| Item {
                    spot,
                    size: source.file.size,
                    kind: *kind,
                }))
            };
            let (next, more) = self.ahead.look(|runs| runs.next(most, self, &lacks));
            low |= more;
            match next {
                Some(Next::Look(spot)) => drop(known.insert(spot, self.not_here(spot.file))),
                Some(Next::Fetch(spot)) => {
                    let looked_at = known.remove(&spot).flatten();
                    found = looked_at.map(|(source, _)| Upcoming { ticket: spot.file.0, source });
                    break;
                }
                None => break,
            }
        }
        if low {
            self.syncer.read_ahead();
        }
        found
    }

    /// What was to be fetched ahead does not come.
    pub(super) fn leave_upcoming(&self, ticket: u64) {
        let ((), low) = self.ahead.look(|runs| runs.left(Ino(ticket)));
        if low {
            self.syncer.read_ahead();
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_begins_to_read_waits_for_nobody_who_looks_and_is_noted_afterwards() {
        struct Line;
        impl Order for Line {
            fn beside(&self, spot: Spot, _: Way) -> Option<Spot> {
                Some(Spot { file: Ino(spot.file.0 + 1), ..spot })
            }
        }
        let item = |n| Item { spot: Spot { directory: Ino(1), file: Ino(n) }, size: 1, kind: 0 };
        let most = Most { files: 9, bytes: 99 };
        let ahead = Ahead::default();
        for n in [2, 3] {
            ahead.look(|runs| runs.missed(item(n), &Line));
        }
        let lacks = |spot: Spot| Some(Some(item(spot.file.0)));
        for n in [4, 5] {
            let (next, _) = ahead.look(|runs| runs.next(most, &Line, &lacks));
            assert_eq!(next, Some(Next::Fetch(item(n).spot)));
        }
        let unread = || ahead.unread.load(Ordering::Relaxed);
        let ((), low) = ahead.look(|_| {
            for n in [4, 5].into_iter().chain(100..300) {
                assert!(!ahead.begins(Ino(n)), "the lock is held here, by this very thread");
            }
            assert_eq!((unread(), lock(&ahead.begun).len()), (2, MOST_BEGUN));
        });
        assert_eq!((low, unread(), lock(&ahead.begun).len()), (true, 0, 0));
    }
}
