//! One fetch of a body, as those see it who wait for it.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::lock;
use crate::api::ApiError;
use crate::error::Error;
use crate::store::{Arrival, Fate, part};

/// So many bytes at the end of a large body are served only when all of it is proved, so that nobody
/// comes to the end of a wrong one without an error.
const LAST: u64 = 128 << 10;

/// A fetch under way.
#[derive(Default)]
pub(in crate::sync) struct Flight {
    state: Mutex<Progress>,
    /// Somebody waits for it. Set under the lock of the flights.
    pub(super) waited_for: AtomicBool,
    /// Somebody has asked for it, and comes back for it or waits. Set under the lock of the flights.
    pub(super) wanted: AtomicBool,
    /// Signalled when more of it is here, and when it ends.
    pub(super) moved: Condvar,
}

/// How far a fetch is.
#[derive(Default)]
pub(super) struct Progress {
    result: Option<Result<Landed, Error>>,
    /// What is here of a large body.
    growing: Option<Growing>,
    /// When something of it last came, or it began; `None` while it waits for a place.
    pub(super) heard: Option<Instant>,
    /// Git is asked for a large body, whose server may take its time to put it together.
    pub(super) by_git: bool,
    /// What went wrong on the way that did not work.
    pub(super) trouble: Option<Error>,
}

struct Growing {
    file: Arc<File>,
    size: u64,
    arrived: u64,
    fate: Fate,
}

/// A body, or as much of it as somebody waits for.
#[derive(Clone, Debug)]
pub(super) enum Landed {
    /// A small one, in memory.
    Small(Bytes),
    /// A large one, in its file.
    Large(Arc<File>),
    /// One of which there is a part, not proved yet.
    Part(Arc<File>, Fate),
}

/// What one reader was given of a body before it was proved.
#[derive(Debug, Default)]
pub struct Trust(Mutex<Vec<Fate>>);

impl Trust {
    /// Why whoever reads must not go on: what was read before is not what it should be. For good,
    /// because another fetch would give the rest of another body.
    pub fn broken(&self) -> Option<Error> {
        lock(&self.0).iter().find_map(Fate::broken)
    }

    /// Whether all that was given is known to be of the body.
    pub fn is_proved(&self) -> bool {
        lock(&self.0).iter().all(Fate::is_proved)
    }

    /// Something of another fetch is given too. What broke before stays broken.
    fn depends_on(&self, fate: &Fate) {
        let mut fates = lock(&self.0);
        if !fates.iter().any(|known| known.is_that_of(fate)) {
            fates.retain(|known| !known.is_proved());
            fates.push(fate.clone());
        }
    }
}

impl Landed {
    /// Up to `size` bytes at `offset`, for a reader with this trust.
    pub(super) fn part(&self, offset: u64, size: u32, trust: &Trust) -> Result<Bytes, Error> {
        match self {
            Self::Small(body) => Ok(part::cut(body, offset, size)),
            Self::Large(file) => part::read(file, offset, size),
            Self::Part(file, fate) => {
                trust.depends_on(fate);
                let bytes = part::read(file, offset, size)?;
                // What is given while it breaks is forgotten by those who are told then.
                trust.broken().map_or(Ok(bytes), Err)
            }
        }
    }
}

impl Progress {
    /// What came of the fetch, if it has ended.
    pub(super) fn landed(&self) -> Option<Result<Landed, Error>> {
        self.result.clone()
    }

    /// The same, or what is here already if that goes to the byte before `end`.
    pub(super) fn here(&self, end: u64) -> Option<Result<Landed, Error>> {
        let growing = self.growing.as_ref().filter(|growing| {
            end.min(growing.size) <= growing.arrived.min(growing.size.saturating_sub(LAST))
        });
        let part = |it: &Growing| Ok(Landed::Part(Arc::clone(&it.file), it.fate.clone()));
        match self.landed() {
            // What came before it was cut off is as good as it was then.
            Some(Err(error)) => growing
                .filter(|growing| growing.fate.broken().is_none())
                .map(part)
                .or(Some(Err(error))),
            Some(Ok(landed)) => Some(Ok(landed)),
            None => growing.map(part),
        }
    }
}

impl Flight {
    pub(super) fn state(&self) -> MutexGuard<'_, Progress> {
        lock(&self.state)
    }

    /// Whether somebody wants it and nobody waits for it.
    pub(super) fn is_for_later(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) && !self.waited_for.load(Ordering::Relaxed)
    }

    /// Whether it was asked for.
    pub(super) fn has_begun(&self) -> bool {
        self.state().heard.is_some()
    }

    /// Whether it is under way and nothing of it has come for so long.
    pub(super) fn is_silent(&self, long: Duration) -> bool {
        self.state().heard.is_some_and(|heard| heard.elapsed() >= long)
    }

    pub(super) fn hears(&self) {
        self.state().heard = Some(Instant::now());
    }

    /// Git is asked for it, or was.
    pub(super) fn by_git(&self, asked: bool) {
        self.state().by_git = asked;
        self.moved.notify_all();
    }

    pub(super) fn meets(&self, trouble: &ApiError) {
        self.state().trouble = Some(trouble.clone().into());
    }

    /// A large body comes that way.
    pub(super) fn grows(&self, arrival: &Arrival) -> Result<(), Error> {
        let (size, arrived, fate) = (arrival.size(), arrival.arrived(), arrival.fate());
        let file = Arc::new(arrival.reader()?);
        self.state().growing = Some(Growing { file, size, arrived, fate });
        self.moved.notify_all();
        Ok(())
    }

    /// So many bytes of the large body are here.
    pub(super) fn has(&self, arrived: u64) {
        if let Some(growing) = &mut self.state().growing {
            growing.arrived = arrived;
        }
        self.moved.notify_all();
    }

    /// What comes of it, however long that takes: no request goes on for ever.
    pub(super) fn landed(&self) -> Result<Landed, Error> {
        let mut state = self.state();
        loop {
            if let Some(result) = state.landed() {
                return result;
            }
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// It has ended.
    pub(super) fn lands(&self, result: Result<Landed, Error>) {
        self.state().result = Some(result);
        self.moved.notify_all();
    }
}
