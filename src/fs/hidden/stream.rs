//! Files that go on without an end, and whoever waits for more of one.

use bytes::Bytes;

use crate::error::Error;
use crate::fs::content::Fh;
use crate::fs::{GistFs, Wait, lock};
use crate::sync::events::Wake;

/// Something that is read as it happens.
pub(in crate::fs) trait Stream: Send + Sync {
    /// Up to `size` bytes that were not read yet, none at the end. [`Error::WouldWait`] if there are
    /// none now and nobody may wait; [`Error::Interrupted`] if there still are none after a second.
    fn read(&self, size: u32, wait: Wait) -> Result<Bytes, Error>;

    /// Whether a read is answered at once. If not, `wake` is called whenever that may have changed.
    fn is_ready(&self, wake: Option<Wake>) -> bool;
}

impl GistFs {
    /// [`GistFs::read`] for whoever asked not to wait (`O_NONBLOCK`). As everywhere that counts only
    /// where there may never be more to read: a file is waited for, however far away it is.
    pub fn read_now(&self, fh: Fh, offset: u64, size: u32, wait: Wait) -> Result<Bytes, Error> {
        match self.read(fh, offset, size, wait) {
            Err(Error::WouldWait) if self.readiness(fh, None).is_some() => Err(Error::NothingYet),
            read => read,
        }
    }

    /// Whether a read by `fh` is answered at once, of what goes on without an end; `None` of all
    /// else, of which there always is something to read. Where it is not, `wake` is called whenever
    /// that may have changed, until the release.
    pub fn readiness(&self, fh: Fh, wake: Option<Wake>) -> Option<bool> {
        let handle = lock(&self.hidden_handles).get(&fh).cloned()?;
        handle.stream.as_ref().map(|stream| stream.is_ready(wake))
    }
}
