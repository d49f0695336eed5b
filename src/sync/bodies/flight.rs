//! One fetch of a body, as those see it who wait for it.

use std::fs::File;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;

use super::lock;
use crate::api::ApiError;
use crate::error::Error;
use crate::store::part;

/// So many bytes at the end of a large body are served only when all of it is proved, so that nobody
/// comes to the end of a wrong one without an error.
const LAST: u64 = 128 << 10;

/// A fetch under way.
#[derive(Default)]
pub(in crate::sync) struct Flight {
    state: Mutex<Progress>,
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
    /// What went wrong on the way that did not work.
    pub(super) trouble: Option<Error>,
}

struct Growing {
    file: Arc<File>,
    size: u64,
    arrived: u64,
}

/// A body, or as much of it as somebody waits for.
#[derive(Clone, Debug)]
pub(super) enum Landed {
    /// A small one, in memory.
    Small(Bytes),
    /// A large one, in its file.
    Large(Arc<File>),
}

impl Landed {
    pub(super) fn part(&self, offset: u64, size: u32) -> Result<Bytes, Error> {
        match self {
            Self::Small(body) => Ok(part::cut(body, offset, size)),
            Self::Large(file) => part::read(file, offset, size),
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
        self.landed()
            .or_else(|| growing.map(|growing| Ok(Landed::Large(Arc::clone(&growing.file)))))
    }
}

impl Flight {
    pub(super) fn state(&self) -> MutexGuard<'_, Progress> {
        lock(&self.state)
    }

    pub(super) fn hears(&self) {
        self.state().heard = Some(Instant::now());
    }

    pub(super) fn meets(&self, trouble: &ApiError) {
        self.state().trouble = Some(trouble.clone().into());
    }

    /// A large body of `size` bytes comes into `file`.
    pub(super) fn grows_in(&self, file: File, size: u64) {
        self.state().growing = Some(Growing { file: Arc::new(file), size, arrived: 0 });
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

    /// It has ended. Tells whether bytes were served that are not proved and never will be.
    pub(super) fn lands(&self, result: Result<Landed, Error>) -> bool {
        let mut state = self.state();
        let unproved = result.is_err() && state.growing.as_ref().is_some_and(|it| it.arrived > 0);
        state.result = Some(result);
        drop(state);
        self.moved.notify_all();
        unproved
    }
}
