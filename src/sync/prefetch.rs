//! Fetching bodies so that they can be read without a network, for somebody who waits for all of them.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::bodies::{Fetching, Source};
use super::{Progress, Syncer};
use crate::error::Error;
use crate::model::BlobId;
use crate::store::after_eviction;

/// So many files that did not come are named.
const NAMED: usize = 20;

/// After so many failures for lack of network or quota, one after the other, the rest is not tried.
const HOPELESS: usize = 3;

/// Why a body that was never sent is not to be had.
const NOWHERE: &str = "it is not stored any more, and GitHub has it not";

/// How long one body is waited for before the others are looked at.
const GLANCE: Duration = Duration::from_millis(5);

/// How often it is asked whether anybody still waits.
const STILL_THERE: u32 = 50;

/// A file that is to be readable without a network.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Its path below the mount point.
    pub path: String,
    /// How many bytes it has.
    pub size: u64,
    /// Its body.
    pub blob: BlobId,
    /// Where that can be had; `None` if it is here only.
    pub source: Option<Source>,
}

/// Whether it is in vain to go on.
#[derive(Default)]
struct Hope {
    /// Counts what begins and what ends.
    now: u64,
    /// When a body last came, or the last failure was that counts.
    told: u64,
    in_vain: usize,
}

impl Hope {
    fn begins(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    fn came(&mut self) {
        self.now += 1;
        (self.told, self.in_vain) = (self.now, 0);
    }

    /// A body that began then did not come; true if the others will not either. Those that fail at
    /// one time fail for one reason, unless it is known that there is no network (`certain`).
    fn fails(&mut self, began: u64, certain: bool) -> bool {
        if began > self.told || (certain && self.in_vain > 0) {
            self.now += 1;
            self.told = self.now;
            self.in_vain += 1;
        }
        self.in_vain >= HOPELESS
    }
}

/// What came of [`Syncer::prefetch`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prefetched {
    /// Files that were wanted.
    pub files: usize,
    /// How many of them can be read now without a network.
    pub here: usize,
    /// Bodies that were fetched.
    pub fetched: usize,
    /// How many bytes these have.
    pub bytes: u64,
    /// Files that are not here, the first of them: path and reason.
    pub missing: Vec<(String, String)>,
    /// How many bodies did not come, those without room not counted.
    pub missing_count: usize,
    /// Bodies that have no room.
    pub no_room: usize,
    /// What all of it takes, in bytes, and what there may be, where that is less.
    pub too_small: Option<(u64, u64)>,
    /// The mount ended, or whoever asked went away.
    pub broken_off: bool,
}

impl Prefetched {
    /// Whether all of it can be read without a network.
    pub fn is_complete(&self) -> bool {
        self.missing_count == 0 && self.no_room == 0 && !self.broken_off
    }

    fn misses(&mut self, path: &str, why: &dyn std::fmt::Display) {
        self.missing_count += 1;
        if self.missing.len() < NAMED {
            self.missing.push((path.to_owned(), why.to_string()));
        }
    }
}

impl Syncer {
    /// Stores the bodies of all these files, as far as `--cache-size` has room, in their order and
    /// many at a time; whoever reads meanwhile goes first. Blocks until that is done, nobody `waits`
    /// any more, or the network is gone.
    pub fn prefetch(
        self: &Arc<Self>,
        wanted: &[Wanted],
        waits: &dyn Fn() -> bool,
        tell: &mut dyn FnMut(&Progress),
    ) -> Prefetched {
        let mut done = Prefetched { files: wanted.len(), ..Prefetched::default() };
        let missing = self.not_here(wanted, &mut done);
        let mut progress = Progress { total: missing.len(), ..Progress::default() };
        tell(&progress);
        let mut rest = missing.into_iter();
        let mut under_way: VecDeque<(&Wanted, Fetching, u64)> = VecDeque::new();
        let (mut hope, mut looks) = (Hope::default(), 0_u32);
        let mut hopeless: Option<Error> = None;
        loop {
            while hopeless.is_none()
                && !done.broken_off
                && under_way.len() < self.options.parallel.max(1)
                && let Some((file, source)) = rest.next()
            {
                match self.fetching(source) {
                    Ok(fetching) => under_way.push_back((file, fetching, hope.begins())),
                    Err(error) => done.misses(&file.path, &error),
                }
            }
            let Some((_, first, _)) = under_way.front() else { break };
            first.wait(GLANCE);
            let before = progress.done;
            under_way.retain(|(file, fetching, began)| {
                let Some(came) = fetching.result() else { return true };
                progress.done += 1;
                progress.title = Some(file.path.clone());
                match came.and_then(|()| self.is_stored(file.blob)) {
                    Ok(()) => {
                        done.fetched += 1;
                        done.bytes += file.size;
                        hope.came();
                    }
                    Err(error) => {
                        done.misses(&file.path, &error);
                        let passes = matches!(
                            error,
                            Error::Unreachable(_) | Error::TimedOut(_) | Error::Limited(_)
                        );
                        if passes && hope.fails(*began, self.api.trouble().is_some()) {
                            hopeless = Some(error);
                        }
                    }
                }
                false
            });
            if progress.done > before {
                tell(&progress);
            }
            looks += 1;
            done.broken_off |=
                self.is_stopping() || (looks.is_multiple_of(STILL_THERE) && !waits());
            if done.broken_off {
                break;
            }
        }
        if let Some(error) = hopeless {
            rest.for_each(|(file, _)| done.misses(&file.path, &error));
        }
        done.here = wanted.iter().filter(|file| self.store.blobs.contains(file.blob)).count();
        done
    }

    /// What has to be fetched, each body once.
    fn not_here<'a>(
        &self,
        wanted: &'a [Wanted],
        done: &mut Prefetched,
    ) -> Vec<(&'a Wanted, &'a Source)> {
        let mut seen = HashSet::new();
        let distinct: Vec<&Wanted> = wanted.iter().filter(|file| seen.insert(file.blob)).collect();
        let (most, all) = (self.options.cache_size, distinct.iter().map(|file| file.size).sum());
        done.too_small = (all > most).then_some((all, most));
        let most = if all > most { after_eviction(most) } else { most };
        let mut held = 0_u64;
        let mut missing = Vec::new();
        for file in distinct {
            // Looked at, so that it counts as used.
            let is_here = self.store.blobs.holds(file.blob);
            let end = held.saturating_add(file.size);
            match &file.source {
                _ if is_here => held = end,
                Some(_) if end > most => done.no_room += 1,
                Some(source) => {
                    held = end;
                    missing.push((file, source));
                }
                None => done.misses(&file.path, &NOWHERE),
            }
        }
        missing
    }

    fn is_stored(&self, blob: BlobId) -> Result<(), Error> {
        let lost = || Error::Local { errno: libc::EIO, message: "it cannot be stored".into() };
        self.store.blobs.contains(blob).then_some(()).ok_or_else(lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_at_one_time_failed_once_unless_there_is_no_network() {
        let mut hope = Hope::default();
        let began: Vec<u64> = (0..16).map(|_| hope.begins()).collect();
        assert!(began[..15].iter().all(|began| !hope.fails(*began, false)));
        hope.came();
        let late = hope.begins();
        assert!(!hope.fails(began[15], false) && !hope.fails(late, false), "one after it came");
        assert_eq!(hope.in_vain, 1);
        let (one, two) = (hope.begins(), hope.begins());
        assert!(!hope.fails(one, false) && !hope.fails(two, false));
        let three = hope.begins();
        assert!(hope.fails(three, false), "three, each begun when the one before had failed");
        let mut hope = Hope::default();
        let began: Vec<u64> = (0..16).map(|_| hope.begins()).collect();
        let failed: Vec<bool> = began.iter().map(|began| hope.fails(*began, true)).collect();
        assert_eq!(failed[..4], [false, false, true, true]);
    }
}
