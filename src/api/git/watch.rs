//! How long a program may run: as long as something comes, and somebody wants it.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::child::Broken;

/// How often the growth of what arrives is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// How long git may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Without a word, and without a byte coming or going.
    pub silence: Duration,
    /// The same while a server is asked that has given nothing yet, and is being given nothing: one
    /// that is there answers soon, and whoever has other gists to send waits meanwhile.
    pub answer: Duration,
    /// In all…
    pub whole: Duration,
    /// …and longer for what came and goes, at so many bytes a second.
    pub slowest: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            // A server that has got 100 MB looks at them before it says anything.
            silence: Duration::from_secs(45),
            answer: Duration::from_secs(15),
            whole: Duration::from_secs(300),
            slowest: 10_000,
        }
    }
}

/// Whether programs may still run, and how many do.
#[derive(Debug, Default)]
pub(super) struct Stop {
    /// A leaf.
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stopped: bool,
    running: usize,
}

impl Stop {
    /// Ends what runs, lets nothing begin any more, and waits a while for the last one's end.
    pub(super) fn stop(&self, patience: Duration) {
        let mut state = self.state();
        state.stopped = true;
        let ended = self.ended.wait_timeout_while(state, patience, |state| state.running > 0);
        let (state, _) = ended.unwrap_or_else(PoisonError::into_inner);
        if state.running > 0 {
            log::warn!("{} git commands do not end", state.running);
        }
    }

    /// Does what must not be begun once all is stopped; `None` if it is.
    pub(super) fn unless_stopped<T>(&self, begin: impl FnOnce() -> T) -> Option<T> {
        let state = self.state();
        (!state.stopped).then(begin)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches one program.
pub(super) struct Watch<'a> {
    patience: Patience,
    stop: &'a Stop,
    heard: &'a dyn Fn(),
    started: Instant,
    last: Cell<Instant>,
    /// Bytes that came, or went, or are to go.
    passed: Cell<u64>,
    growth: Option<Growth>,
    /// The longest silence now.
    limit: Cell<Duration>,
    /// Any word tells that it has got further than asking.
    gives: bool,
}

/// By what git shows of a server's own words: it has begun to answer.
const THEIRS: &[u8] = b"remote:";

/// What arrives in a directory without going through a pipe of ours.
struct Growth {
    directory: PathBuf,
    looked: Cell<Instant>,
    bytes: Cell<u64>,
}

impl<'a> Watch<'a> {
    /// Begins to watch. `heard` is called whenever something comes or goes.
    pub(super) fn new(patience: Patience, stop: &'a Stop, heard: &'a dyn Fn()) -> Self {
        stop.state().running += 1;
        let now = Instant::now();
        let (last, passed) = (Cell::new(now), Cell::new(0));
        let limit = Cell::new(patience.silence);
        let growth = None;
        Self { patience, stop, heard, started: now, last, passed, growth, limit, gives: false }
    }

    /// Looks also at what arrives below `directory`.
    pub(super) fn of_growth(mut self, directory: &Path) -> Self {
        let directory = directory.to_owned();
        let bytes = Cell::new(size_of(&directory));
        self.growth = Some(Growth { directory, looked: Cell::new(self.started), bytes });
        self
    }

    /// It asks a server for something.
    pub(super) fn of_asking(self) -> Self {
        self.limit.set(self.patience.answer);
        self
    }

    /// It gives a server something, of which its first word tells that it is on its way.
    ///
    /// Of how far that has got nothing can be seen but words, so that time for all that is below the
    /// directory, which is as much as can be sent, is given from the beginning.
    pub(super) fn of_giving(mut self) -> Self {
        self.limit.set(self.patience.answer);
        self.gives = true;
        self.passed.set(self.growth.as_ref().map_or(0, |growth| growth.bytes.get()));
        self
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.state().stopped
    }

    /// It took `bytes`.
    pub(super) fn took(&self, bytes: usize) {
        self.passed.set(self.passed.get().saturating_add(bytes as u64));
        self.last.set(Instant::now());
        (self.heard)();
    }

    /// It gave `bytes`: from now on its silence may be the longer one.
    pub(super) fn gave(&self, bytes: usize) {
        self.limit.set(self.patience.silence);
        self.took(bytes);
    }

    /// It said `words` to people.
    pub(super) fn said(&self, words: &[u8]) {
        if self.gives || words.windows(THEIRS.len()).any(|part| part == THEIRS) {
            self.gave(words.len());
        } else {
            self.took(words.len());
        }
    }

    /// Somebody begins to wait. What was before is no silence: nobody listened.
    pub(super) fn attend(&self) {
        self.last.set(Instant::now());
    }

    /// Whether to go on waiting.
    pub(super) fn go_on(&self) -> Result<(), Broken> {
        if self.is_stopped() {
            return Err(Broken::Stopped);
        }
        self.look();
        let extra = self.passed.get() / self.patience.slowest.max(1);
        let within = self.patience.whole.saturating_add(Duration::from_secs(extra));
        if self.last.get().elapsed() > self.limit.get() || self.started.elapsed() > within {
            return Err(Broken::TimedOut);
        }
        Ok(())
    }

    fn look(&self) {
        let Some(growth) = &self.growth else { return };
        if growth.looked.get().elapsed() < LOOK {
            return;
        }
        growth.looked.set(Instant::now());
        let bytes = size_of(&growth.directory);
        let more = bytes.saturating_sub(growth.bytes.replace(bytes));
        if more > 0 {
            self.gave(usize::try_from(more).unwrap_or(usize::MAX));
        }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let mut state = self.stop.state();
        state.running = state.running.saturating_sub(1);
        drop(state);
        self.stop.ended.notify_all();
    }
}

/// The bytes of all files below `directory`; what vanishes meanwhile does not count.
fn size_of(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => size_of(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}
