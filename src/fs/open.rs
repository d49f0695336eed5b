//! Open files: what is being read and written right now, whatever happens to the name.

use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard};

use tempfile::NamedTempFile;

use super::lock;
use crate::error::Error;
use crate::model::{BlobId, Snapshot};
use crate::store::gist::Meta;
use crate::sync::bodies::{Source, Trust};
use crate::tree::Ino;

/// A file that somebody has open; shared by all its handles.
pub(super) struct OpenFile {
    pub(super) ino: Ino,
    /// First in the lock order; held while local files are read and written.
    pub(super) body: Mutex<Body>,
    /// A leaf, so that `stat` never waits for a read or write under way.
    live: Mutex<Live>,
    /// What GitHub last said of it to who writes through. Before all other locks, and held while it
    /// is asked: whoever closes another descriptor meanwhile waits for the same answer.
    pub(super) answer: Mutex<Option<Error>>,
}

/// What `stat` must know of an open file before it is recorded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Live {
    pub(super) size: u64,
    pub(super) meta: Meta,
    /// Something changed since it was last recorded.
    pub(super) dirty: bool,
}

/// Where an open file's bytes are.
pub(super) enum Body {
    /// In the blob store or, where [`Stored::source`] says so, still on GitHub; never changed there.
    Stored(Stored),
    /// In a file of our own, being written.
    Working(NamedTempFile),
}

/// A body that is not being written.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) blob: BlobId,
    pub(super) size: u64,
    /// The gist as GitHub had it when the file was opened; `None` for what was written here since.
    pub(super) base: Option<Arc<Snapshot>>,
    /// The proved file, for bodies too large for memory.
    pub(super) file: Option<Arc<File>>,
    /// What was read of it before all of it was proved.
    pub(super) trust: Arc<Trust>,
}

impl Stored {
    /// What was written here, in its file.
    pub(super) fn here(blob: BlobId, size: u64, file: Option<Arc<File>>) -> Self {
        Self { blob, size, base: None, file, trust: Arc::default() }
    }

    /// Where the body can be fetched, if GitHub had it when the file was opened. Put together only
    /// when it is asked for: most files are opened to be read from memory or disk.
    pub(super) fn source(&self) -> Option<Source> {
        Source::in_base(self.base.as_ref()?, self.blob)
    }
}

impl OpenFile {
    pub(super) fn new(ino: Ino, stored: Stored, meta: Meta) -> Self {
        let live = Live { size: stored.size, meta, dirty: false };
        let body = Mutex::new(Body::Stored(stored));
        Self { ino, body, live: Mutex::new(live), answer: Mutex::default() }
    }

    pub(super) fn body(&self) -> MutexGuard<'_, Body> {
        lock(&self.body)
    }

    pub(super) fn live(&self) -> Live {
        *lock(&self.live)
    }

    pub(super) fn change_live(&self, change: impl FnOnce(&mut Live)) {
        change(&mut lock(&self.live));
    }

    pub(super) fn change_meta(&self, change: impl FnOnce(&mut Meta)) {
        change(&mut lock(&self.live).meta);
    }
}

/// One `open`.
pub(super) struct Handle {
    pub(super) open: Arc<OpenFile>,
    pub(super) reads: bool,
    pub(super) writes: bool,
}

impl Handle {
    pub(super) fn new(open: Arc<OpenFile>, reads: bool, writes: bool) -> Self {
        Self { open, reads, writes }
    }
}
