//! From written bytes to something that lasts: flush, fsync, release.

use std::sync::Arc;

use super::content::Fh;
use super::open::{Body, OpenFile, Stored};
use super::{GistFs, Wait, lock};
use crate::error::Error;
use crate::model::{BlobId, FileName, Time};
use crate::store::Adopted;
use crate::store::gist::{Content, Gist, GistKey};
use crate::sync::plan::Hold;
use crate::tree::Place;

impl GistFs {
    /// One `close` of one descriptor: what was written is recorded before this returns.
    ///
    /// With write-through it also returns GitHub's answer, and may need to wait for it.
    pub fn flush(&self, fh: Fh, wait: Wait) -> Result<(), Error> {
        if fh.is_hidden() {
            return self.hidden_flush(fh, wait);
        }
        let handle = self.handle(fh)?;
        if !self.options.through {
            return self.record(&handle.open);
        }
        let nothing_said = || handle.open.answer.try_lock().is_ok_and(|answer| answer.is_none());
        if !handle.open.live().dirty && nothing_said() {
            return Ok(());
        }
        if wait == Wait::No {
            return Err(Error::WouldWait);
        }
        let mut answer = lock(&handle.open.answer);
        // Looked up first: sending takes the tree's lock itself.
        let place = self.tree().place(handle.open.ino).cloned();
        let Some(Place::File(key, name)) = place else { return self.record(&handle.open) };
        if handle.open.live().dirty {
            self.record(&handle.open)?;
            *answer = self.push_through(key, Some(&name)).err();
        } else if self.store.look(key, Gist::differs) != Some(true) {
            *answer = None;
        }
        answer.clone().map_or(Ok(()), Err)
    }

    /// Sends a gist's changes now and judges what came of the one file the caller cares for.
    pub(super) fn push_through(&self, key: GistKey, name: Option<&FileName>) -> Result<(), Error> {
        let left = self.syncer.push_waited_for(key)?;
        match name.and_then(|name| left.get(name)) {
            None | Some(Hold::Blank | Hold::LastFile | Hold::Limbo | Hold::Moving | Hold::Open) => {
                Ok(())
            }
            Some(
                why @ (Hold::Binary
                | Hold::CarriageReturns
                | Hold::TooLarge
                | Hold::Altered
                | Hold::TooManyFiles
                | Hold::Lost),
            ) => {
                log::warn!("{:?} stays local: {why}", name.map(FileName::as_str));
                Err(Error::Unsupported)
            }
        }
    }

    /// Makes what was written part of the gist: the body a blob, the blob the file's content.
    pub(super) fn record(&self, open: &OpenFile) -> Result<(), Error> {
        let mut body = open.body();
        let live = open.live();
        if !live.dirty {
            return Ok(());
        }
        let (blob, size) = match &*body {
            Body::Stored(stored) => (stored.blob, stored.size),
            Body::Working(_) => {
                let empty = Stored::here(BlobId::EMPTY, 0, None);
                let Body::Working(copy) = std::mem::replace(&mut *body, Body::Stored(empty)) else {
                    return Err(Error::Nonsense("an open file changed under its lock".into()));
                };
                match self.store.blobs.adopt(copy) {
                    Ok(Adopted { blob, size, file }) => {
                        // Held open: should the file lose its name, this is all there is of it.
                        *body = Body::Stored(Stored::here(blob, size, Some(Arc::new(file))));
                        (blob, size)
                    }
                    Err((copy, error)) => {
                        *body = Body::Working(copy);
                        return Err(error);
                    }
                }
            }
        };
        let now = self.now();
        let _turn = self.turn();
        let place = self.tree().place(open.ino).cloned();
        if let Some(Place::File(key, name)) = place {
            self.store.update(key, |gist| {
                let scratch = gist.is_scratch(&name);
                let file = gist.files.get_mut(&name).ok_or(Error::NotFound)?;
                let content = Content::Bytes { blob, size };
                let changed = file.content != content;
                file.content = content;
                file.meta.mtime = live.meta.mtime;
                file.meta.ctime = live.meta.ctime;
                if changed && !scratch {
                    gist.changed(now);
                }
                Ok(())
            })?;
        }
        open.change_live(|live| live.dirty = false);
        Ok(())
    }

    /// Records what every open file holds now; what cannot be recorded is logged.
    pub fn record_everything(&self) {
        let open: Vec<_> = lock(&self.opened).values().map(|(open, _)| Arc::clone(open)).collect();
        for open in open {
            if let Err(error) = self.record(&open) {
                log::error!("what was written to an open file is not recorded: {error}");
            }
        }
    }

    /// Records what was written and makes it survive a power cut. Sends nothing.
    pub fn fsync(&self, fh: Fh) -> Result<(), Error> {
        if fh.is_hidden() {
            // It is saved when it is closed.
            return Ok(());
        }
        let handle = self.handle(fh)?;
        self.record(&handle.open)?;
        let blob = match &*handle.open.body() {
            Body::Stored(stored) if stored.source().is_none() => vec![stored.blob],
            Body::Stored(_) | Body::Working(_) => vec![],
        };
        self.store.sync(&blob)
    }

    /// Makes every recorded change of names survive a power cut.
    pub fn fsyncdir(&self) -> Result<(), Error> {
        self.store.sync(&[])
    }

    /// Ends an `open`. The last writable one starts the clock for the upload. Only a hidden file
    /// that was emptied may have to wait.
    pub fn release(&self, fh: Fh, wait: Wait) -> Result<(), Error> {
        if fh.is_hidden() {
            return self.hidden_release(fh, wait);
        }
        let Some(handle) = lock(&self.handles).remove(&fh) else { return Err(Error::BadHandle) };
        let recorded = if handle.writes { self.record(&handle.open) } else { Ok(()) };
        let ino = handle.open.ino;
        let mut done = None;
        if handle.writes {
            let now = self.now();
            // As long as it is held the file keeps its name.
            let _turn = self.turn();
            let place = self.tree().place(ino).cloned();
            if let Some(Place::File(key, name)) = place {
                self.store.note(key, |gist| writer_left(gist, &name, now));
                done = Some(key);
            }
        }
        self.let_go(&handle.open);
        if let Some(key) = done {
            self.syncer.writer_done(key);
        }
        recorded
    }
}

fn writer_left(gist: &mut Gist, name: &FileName, now: Time) {
    let scratch = gist.is_scratch(name);
    let remote = gist.remote(name).map(|remote| remote.blob);
    let Some(file) = gist.files.get_mut(name) else { return };
    file.writers = file.writers.saturating_sub(1);
    if file.writers > 0 {
        return;
    }
    file.writing_since = None;
    if scratch {
        return;
    }
    if file.blob() != remote {
        gist.changed(now);
    } else {
        // It counted as GitHub has it, and may have held something else back.
        gist.upload.settled = false;
    }
}
