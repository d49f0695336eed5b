//! What may be read next, judged by what was read: the runs of readers through the files in their
//! order. Pure.
//!
//! A run begins with the second of two files that lie side by side, in either direction. It may have
//! as many files fetched ahead as its reader has read, so no more is fetched in vain than was read,
//! and what is under way doubles with every round trip. It stays in a directory until its reader
//! has gone from one into the next. A jump begins another run, and leaves the old one as it is. Of a
//! reader who passes over files, only the kinds are fetched that were read.

use std::collections::{BTreeSet, VecDeque};

use crate::tree::Ino;

/// So many readers are followed at one time; the one that was idle longest is forgotten first.
const MOST_RUNS: usize = 8;

/// How many files beside the expected one the next may be: several threads that walk one tree do
/// not read in order, and a `grep --include` leaves files out.
const SLACK: usize = 16;

/// So many bytes may be fetched ahead of a reader who has read fewer.
const GRACE: u64 = 64 << 10;

/// So many of the last files are remembered, because one file may be asked for more than once.
const RECENT: usize = 64;

/// Of a reader who has passed over so many in a row that were fetched, nothing is fetched ahead.
const MOST_IN_VAIN: usize = 32;

/// So many kinds of names are told apart.
const MOST_KINDS: usize = 64;

/// So many files are looked at for the next one that is not here, at one time.
pub(super) const MOST_LOOKS: usize = 256;

/// Where a file is in the order of the listings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    pub(super) directory: Ino,
    pub(super) file: Ino,
}

/// In which direction somebody goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// As the listings show the files.
    Down,
    /// Against that: programs that put what they find on a stack.
    Up,
}

impl Way {
    /// Whether `b` comes after `a`.
    fn leads(self, a: Spot, b: Spot) -> bool {
        match self {
            Self::Down => a < b,
            Self::Up => a > b,
        }
    }

    fn farther(self, a: Spot, b: Spot) -> Spot {
        if self.leads(a, b) { b } else { a }
    }

    fn back(self) -> Self {
        match self {
            Self::Down => Self::Up,
            Self::Up => Self::Down,
        }
    }
}

/// The order of files.
pub(super) trait Order {
    /// The file beside this one; `None` at the end.
    fn beside(&self, spot: Spot, way: Way) -> Option<Spot>;
}

/// How far ahead of one reader is fetched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    pub(super) files: usize,
    pub(super) bytes: u64,
}

/// A file as the runs see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) spot: Spot,
    /// Bytes of its body.
    pub(super) size: u64,
    /// What kind of name it has: programs that leave files out mostly choose by that.
    pub(super) kind: u64,
}

/// What is to be done for a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// See whether the file's body is here, with no lock held, and ask again.
    Look(Spot),
    /// Fetch it.
    Fetch(Spot),
}

/// A reader on the way through the files.
struct Run {
    way: Way,
    /// The first and the last file in the order that were read.
    low: Spot,
    high: Spot,
    /// How much oftener the reader went down than up.
    votes: i32,
    /// The farthest file that was looked at, to be fetched or not.
    cursor: Spot,
    /// The reader has gone from one directory to the next.
    crosses: bool,
    files: usize,
    bytes: u64,
    kinds: BTreeSet<u64>,
    /// Fetched or on the way, and not read yet; in the order they were begun.
    ahead: Vec<Item>,
    /// Fetched and passed over by the reader: so many files, so many bytes.
    passed: usize,
    passed_bytes: u64,
    /// So many of these since the reader last read one that was fetched ahead, or went on to the very
    /// next file.
    passed_in_vain: usize,
    used: u64,
}

impl Run {
    fn at(item: Item, used: u64) -> Self {
        Self {
            way: Way::Down,
            low: item.spot,
            high: item.spot,
            votes: 0,
            cursor: item.spot,
            crosses: false,
            files: 1,
            bytes: item.size,
            kinds: BTreeSet::from([item.kind]),
            ahead: Vec::new(),
            passed: 0,
            passed_bytes: 0,
            passed_in_vain: 0,
            used,
        }
    }

    /// The farthest file that was read.
    fn reached(&self) -> Spot {
        match self.way {
            Way::Down => self.high,
            Way::Up => self.low,
        }
    }

    /// Whether the first few files are being read, and it is not certain yet where to.
    fn is_young(&self) -> bool {
        self.files <= SLACK
    }

    /// Whether the run goes on at `spot`.
    fn goes_on(&self, spot: Spot, order: &dyn Order) -> bool {
        let (way, reached) = (self.way, self.reached());
        if self.is_young() && self.low < spot && spot < self.high {
            return true;
        }
        let start = if way == Way::Down { self.low } else { self.high };
        let behind = if self.is_young() { start } else { reached };
        (way.leads(reached, spot) && !way.leads(self.cursor, spot))
            || near(self.cursor, spot, way, order)
            || near(behind, spot, way.back(), order)
    }

    fn read(&mut self, item: Item) {
        let Item { spot, size, kind } = item;
        self.files += 1;
        self.bytes = self.bytes.saturating_add(size);
        if self.kinds.len() < MOST_KINDS {
            self.kinds.insert(kind);
        }
        self.crosses |= spot.directory != self.reached().directory;
        self.votes += i32::from(spot > self.high) - i32::from(spot < self.low);
        (self.low, self.high) = (self.low.min(spot), self.high.max(spot));
        let way = match self.votes {
            0 => self.way,
            votes if votes > 0 => Way::Down,
            _ => Way::Up,
        };
        if self.is_young() && way != self.way {
            self.way = way;
            self.cursor = self.reached();
        }
        self.cursor = self.way.farther(self.cursor, self.reached());
        self.pass();
    }

    /// What the reader has left far behind is not waited for.
    fn pass(&mut self) {
        let (way, reached) = (self.way, self.reached());
        let behind = |item: &Item| !way.leads(reached, item.spot);
        let mut left = self.ahead.iter().filter(|item| behind(item)).count();
        let (passed, bytes) = (&mut self.passed, &mut self.passed_bytes);
        let before = *passed;
        self.ahead.retain(|item| {
            let goes = left > SLACK && behind(item);
            if goes {
                left -= 1;
                *passed += 1;
                *bytes = bytes.saturating_add(item.size);
            }
            !goes
        });
        self.passed_in_vain += self.passed - before;
    }

    fn next(
        &mut self,
        most: Most,
        order: &dyn Order,
        known: &dyn Fn(Spot) -> Option<Option<Item>>,
    ) -> Option<Next> {
        if self.files < 2
            || self.passed_in_vain >= MOST_IN_VAIN
            || self.ahead.len() >= most.files
            || self.ahead.len() + self.passed >= self.files
        {
            return None;
        }
        let ahead: u64 = self.ahead.iter().map(|item| item.size).sum();
        for _ in 0..MOST_LOOKS {
            let spot = order.beside(self.cursor, self.way)?;
            if !self.crosses && spot.directory != self.reached().directory {
                return None;
            }
            // Who has passed over many wants some kinds only.
            let wanted = |item: &Item| self.passed == 0 || self.kinds.contains(&item.kind);
            let Some(lacks) = known(spot) else { return Some(Next::Look(spot)) };
            let item = lacks.filter(|item| item.size <= most.bytes && wanted(item));
            if let Some(item) = item {
                let bytes = ahead.saturating_add(item.size);
                let in_vain = bytes.saturating_add(self.passed_bytes);
                if bytes > most.bytes || in_vain > self.bytes.saturating_add(GRACE) {
                    return None;
                }
                self.cursor = spot;
                self.ahead.push(item);
                return Some(Next::Fetch(spot));
            }
            self.cursor = spot;
        }
        None
    }

    /// The file is fetched ahead no more.
    fn take(&mut self, file: Ino) -> Option<Item> {
        let at = self.ahead.iter().position(|item| item.spot.file == file)?;
        Some(self.ahead.remove(at))
    }
}

/// Whether `to` is among the next few files behind `from`.
fn near(from: Spot, to: Spot, way: Way, order: &dyn Order) -> bool {
    let mut at = from;
    way.leads(from, to)
        && (0..SLACK).any(|_| match order.beside(at, way) {
            Some(next) => {
                at = next;
                next == to
            }
            None => false,
        })
}

/// All readers.
#[derive(Default)]
pub(super) struct Runs {
    runs: Vec<Run>,
    recent: VecDeque<Ino>,
    steps: u64,
}

impl Runs {
    /// Somebody reads a file that was not here, or not yet.
    pub(super) fn missed(&mut self, item: Item, order: &dyn Order) {
        let file = item.spot.file;
        if self.recent.contains(&file) || self.claimed(file).is_some() {
            return;
        }
        self.note(file);
        let steps = self.steps;
        self.runs.sort_by_key(|run| std::cmp::Reverse(run.used));
        if let Some(run) = self.runs.iter_mut().find(|run| run.goes_on(item.spot, order)) {
            run.used = steps;
            if order.beside(run.reached(), run.way) == Some(item.spot) {
                run.passed_in_vain = 0;
            }
            return run.read(item);
        }
        self.runs.truncate(MOST_RUNS - 1);
        self.runs.push(Run::at(item, steps));
    }

    /// Somebody reads a file that was fetched ahead, or is on its way: true if it is time to fetch
    /// more, `None` if it was not.
    pub(super) fn claimed(&mut self, file: Ino) -> Option<bool> {
        self.steps += 1;
        let (run, item) =
            self.runs.iter_mut().find_map(|run| run.take(file).map(|item| (run, item)))?;
        run.used = self.steps;
        run.passed_in_vain = 0;
        run.read(item);
        let low = run.ahead.len() * 2 <= run.files;
        self.note(file);
        Some(low)
    }

    fn note(&mut self, file: Ino) {
        self.recent.push_back(file);
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
    }

    /// The next file to fetch ahead of somebody: of whoever has least ahead. `known` tells of files
    /// that were looked at, and `Some(Some(_))` of those whose body is not here and may be fetched.
    pub(super) fn next(
        &mut self,
        most: Most,
        order: &dyn Order,
        known: &dyn Fn(Spot) -> Option<Option<Item>>,
    ) -> Option<Next> {
        self.runs.sort_by_key(|run| run.ahead.len());
        self.runs.iter_mut().find_map(|run| run.next(most, order, known))
    }

    /// A file does not come after all. Its reader has to ask for it; what is behind it may come.
    pub(super) fn left(&mut self, file: Ino) {
        for run in &mut self.runs {
            run.take(file);
        }
    }

    /// How many files were fetched ahead, or are on their way, and not read yet.
    pub(super) fn unread(&self) -> usize {
        self.runs.iter().map(|run| run.ahead.len()).sum()
    }
}

#[cfg(test)]
#[path = "runs_tests.rs"]
mod tests;
