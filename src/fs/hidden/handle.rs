//! Open files of hidden places: what is read, written and saved by a descriptor.

use std::sync::{Arc, Mutex, MutexGuard, TryLockError};

use bytes::Bytes;

use super::stream::Stream;
use super::{Content, Face, READ_ONLY, room};
use crate::error::Error;
use crate::fs::content::Fh;
use crate::fs::{Attr, GistFs, OpenMode, SetAttr, Stale, Wait, lock};
use crate::model::Time;
use crate::store::part::cut;
use crate::sync::bodies::Trust;
use crate::tree::Ino;
use crate::tree::hidden::Hidden;

/// The most bytes that can be written to a file here: GitHub takes comments of 65,535 characters,
/// and nothing else comes near.
const LARGEST: u64 = 1 << 20;

/// One `open` of a hidden file.
pub(in crate::fs) struct HiddenHandle {
    ino: Ino,
    place: Hidden,
    mode: OpenMode,
    /// What was known of the file when it was opened.
    known: Option<(Bytes, Time)>,
    /// What was read before all of it was proved.
    trust: Trust,
    /// What goes on: read in order, wherever the reader believes to be.
    pub(super) stream: Option<Box<dyn Stream>>,
    /// Held across the network by whoever fills or saves it; nobody else waits for this handle.
    state: Mutex<State>,
}

/// What a handle knows of the file.
#[derive(Default)]
struct State {
    /// As it was when it was first read: one reader sees one version.
    read: Option<Content>,
    /// What was written, over what was there.
    written: Option<Vec<u8>>,
    /// Whether `written` was not saved yet.
    dirty: bool,
    /// It was emptied and nothing was written since. That alone is not saved when a descriptor is
    /// closed, for a shell closes one before `echo` writes, but when the last one is.
    emptied: bool,
    /// Why it could not be saved, as long as nothing else is written: the descriptors of one `open`
    /// are closed one by one, and that sends nothing again.
    failed: Option<Error>,
}

/// What is done to what a file holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Deed {
    /// All of it goes.
    Empty,
    /// Some of it goes, or zeros come.
    Cut,
    /// Bytes are written.
    Write,
}

impl GistFs {
    pub(in crate::fs) fn hidden_open(
        &self,
        ino: Ino,
        place: &Hidden,
        mode: OpenMode,
    ) -> Result<Fh, Error> {
        if mode.writes {
            self.hidden_writable()?;
            room(place).may_write(self)?;
        }
        let fh = self.new_handle().hidden();
        let stream = if mode.reads { room(place).follow(self) } else { None };
        let (known, state) = (room(place).known(self), Mutex::default());
        let trust = Trust::default();
        let handle = HiddenHandle { ino, place: place.clone(), mode, known, trust, stream, state };
        lock(&self.hidden_handles).insert(fh, Arc::new(handle));
        Ok(fh)
    }

    /// Cuts or extends a hidden file, by an open handle or without one; other attributes are not
    /// its own to change, and nobody is told off for trying.
    pub(in crate::fs) fn hidden_setattr(
        &self,
        ino: Ino,
        place: &Hidden,
        set: &SetAttr,
        fh: Option<Fh>,
        wait: Wait,
    ) -> Result<Attr, Error> {
        self.hidden_writable()?;
        if let Some(size) = set.size {
            if size > LARGEST {
                return Err(Error::TooLarge);
            }
            // An `open` that empties the file says so without its handle.
            let writers = match fh {
                Some(fh) => vec![self.hidden_handle(fh)?],
                None => self.hidden_writers(ino),
            };
            for writer in &writers {
                writer.cut(self, size, wait)?;
            }
            if writers.is_empty() {
                room(place).may_write(self)?;
                let mode = OpenMode { reads: false, writes: true };
                let (known, stream, state) = (None, None, Mutex::default());
                let trust = Trust::default();
                let place = place.clone();
                let handle = HiddenHandle { ino, place, mode, known, trust, stream, state };
                handle.cut(self, size, wait)?;
                handle.save(self, true, wait)?;
            }
        }
        self.hidden_getattr(ino, place, wait)
    }

    /// The hidden place that was opened, whether it still has its name or not.
    pub(in crate::fs) fn place_opened(&self, fh: Fh) -> Option<Hidden> {
        self.hidden_handle(fh).ok().map(|handle| handle.place.clone())
    }

    pub(in crate::fs) fn hidden_handle(&self, fh: Fh) -> Result<Arc<HiddenHandle>, Error> {
        lock(&self.hidden_handles).get(&fh).map(Arc::clone).ok_or(Error::BadHandle)
    }

    /// Every handle by which somebody may write to `ino`.
    fn hidden_writers(&self, ino: Ino) -> Vec<Arc<HiddenHandle>> {
        let handles = lock(&self.hidden_handles);
        let writes = |handle: &&Arc<HiddenHandle>| handle.ino == ino && handle.mode.writes;
        handles.values().filter(writes).map(Arc::clone).collect()
    }

    /// How much there is by now of what somebody writes to `ino`, in bytes.
    pub(super) fn written_size(&self, ino: Ino) -> Option<u64> {
        self.hidden_writers(ino).iter().find_map(|writer| writer.written())
    }

    /// What a file looks like that is gone and that somebody has open.
    pub(super) fn lost_face(&self, ino: Ino) -> Option<Face> {
        let handle = {
            let handles = lock(&self.hidden_handles);
            let mut all = handles.values().filter(|handle| handle.ino == ino);
            all.find(|handle| handle.known.is_some()).map(Arc::clone)?
        };
        let (bytes, mtime) = handle.known.as_ref()?;
        let size = handle.written().unwrap_or(bytes.len() as u64);
        Some(Face::file(size, *mtime).writable())
    }

    /// Saves what was written to `ino` and by a descriptor that is still open.
    pub(super) fn save_what_is_written(&self, ino: Ino, wait: Wait) -> Result<(), Error> {
        self.hidden_writers(ino).iter().try_for_each(|writer| writer.save(self, false, wait))
    }

    /// The path of a hidden file from the mount's root on, for the log.
    fn path_words(&self, ino: Ino) -> String {
        let (tree, mut names, mut at) = (self.tree(), Vec::new(), ino);
        while at != Ino::ROOT
            && let Some(name) = tree.shown(at)
        {
            names.push(name);
            at = tree.parent(at);
        }
        names.reverse();
        format!("{:?}", names.join("/"))
    }

    pub(in crate::fs) fn hidden_read(
        &self,
        fh: Fh,
        offset: u64,
        size: u32,
        wait: Wait,
    ) -> Result<Bytes, Error> {
        self.hidden_handle(fh)?.read(self, offset, size, wait)
    }

    pub(in crate::fs) fn hidden_write(
        &self,
        fh: Fh,
        place: impl Fn(u64) -> u64,
        data: &[u8],
        wait: Wait,
    ) -> Result<u32, Error> {
        self.hidden_handle(fh)?.write(self, place, data, wait)
    }

    pub(in crate::fs) fn hidden_flush(&self, fh: Fh, wait: Wait) -> Result<(), Error> {
        self.hidden_handle(fh)?.save(self, false, wait)
    }

    pub(in crate::fs) fn hidden_release(&self, fh: Fh, wait: Wait) -> Result<(), Error> {
        let handle = self.hidden_handle(fh)?;
        if handle.state(wait)?.dirty {
            if !room(&handle.place).keeps_unsaved() {
                let file = self.path_words(handle.ino);
                log::warn!("{file}: what was written is dropped; close said why");
            }
        } else {
            match handle.save(self, true, wait) {
                Ok(()) => {}
                Err(Error::WouldWait) => return Err(Error::WouldWait),
                // Nobody hears what a release fails with.
                Err(error) => {
                    let file = self.path_words(handle.ino);
                    log::warn!("{file} is not emptied: {error}");
                }
            }
        }
        lock(&self.hidden_handles).remove(&fh);
        Ok(())
    }
}

impl HiddenHandle {
    /// How much there is by now of what is written, in bytes. Whoever saves it just now holds it:
    /// the size is the same before and after.
    fn written(&self) -> Option<u64> {
        self.state(Wait::No).ok()?.written.as_ref().map(|bytes| bytes.len() as u64)
    }

    /// What the handle knows; somebody else may be asking GitHub for more of it.
    fn state(&self, wait: Wait) -> Result<MutexGuard<'_, State>, Error> {
        match wait {
            Wait::Yes => Ok(lock(&self.state)),
            Wait::No => match self.state.try_lock() {
                Ok(state) => Ok(state),
                Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => Err(Error::WouldWait),
            },
        }
    }

    /// What the file holds now; what it held, if it is gone.
    fn content(&self, fs: &GistFs, wait: Wait) -> Result<Content, Error> {
        let known = || self.known.as_ref().map(|(bytes, _)| Content::Bytes(bytes.clone()));
        let now = match fs.is_lost(self.ino) {
            true => Err(Error::NotFound),
            false => room(&self.place).content(fs, wait),
        };
        match now {
            Err(Error::NotFound) => known().ok_or(Error::NotFound),
            now => now,
        }
    }

    fn read(&self, fs: &GistFs, offset: u64, size: u32, wait: Wait) -> Result<Bytes, Error> {
        if !self.mode.reads {
            return Err(Error::BadHandle);
        }
        if let Some(stream) = &self.stream {
            return stream.read(size, wait);
        }
        let content = {
            let mut state = self.state(wait)?;
            if let Some(written) = &state.written {
                return Ok(cut(&Bytes::copy_from_slice(written), offset, size));
            }
            match &state.read {
                Some(content) => content.clone(),
                None => {
                    let content = self.content(fs, wait)?;
                    state.read.insert(content).clone()
                }
            }
        };
        match content {
            Content::Bytes(bytes) => Ok(cut(&bytes, offset, size)),
            Content::Body { blob, size: whole, source } => {
                fs.body_part((blob, whole), (source.as_ref(), &self.trust), (offset, size), wait)
            }
        }
    }

    /// Runs `change` on what the file holds once all of it is here.
    fn change(
        &self,
        fs: &GistFs,
        deed: Deed,
        wait: Wait,
        change: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if !self.mode.writes {
            return Err(Error::BadHandle);
        }
        let mut state = self.state(wait)?;
        let mut bytes = match &state.written {
            Some(bytes) => bytes.clone(),
            None if deed == Deed::Empty => Vec::new(),
            None => match self.content(fs, wait)? {
                Content::Bytes(bytes) => bytes.to_vec(),
                Content::Body { .. } => return Err(READ_ONLY),
            },
        };
        change(&mut bytes)?;
        match deed {
            Deed::Empty => state.emptied = true,
            Deed::Cut => state.dirty = true,
            Deed::Write => match room(&self.place).take(fs, &bytes, wait) {
                Ok(taken) => (state.dirty, state.emptied) = (!taken, state.emptied && !taken),
                Err(Error::WouldWait) => return Err(Error::WouldWait),
                Err(error) => {
                    *state = State { read: state.read.take(), ..State::default() };
                    return Err(error);
                }
            },
        }
        (state.written, state.failed) = (Some(bytes), None);
        drop(state);
        if deed == Deed::Write {
            fs.tell_stale(Stale::Node(self.ino));
        }
        Ok(())
    }

    fn write(
        &self,
        fs: &GistFs,
        place: impl Fn(u64) -> u64,
        data: &[u8],
        wait: Wait,
    ) -> Result<u32, Error> {
        self.change(fs, Deed::Write, wait, |bytes| {
            let begin = place(bytes.len() as u64);
            let end = begin.checked_add(data.len() as u64).filter(|end| *end <= LARGEST);
            let (begin, end) = (begin as usize, end.ok_or(Error::TooLarge)? as usize);
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes.get_mut(begin..end).ok_or(Error::TooLarge)?.copy_from_slice(data);
            Ok(())
        })?;
        Ok(data.len() as u32)
    }

    fn cut(&self, fs: &GistFs, size: u64, wait: Wait) -> Result<(), Error> {
        self.change(fs, if size == 0 { Deed::Empty } else { Deed::Cut }, wait, |bytes| {
            bytes.resize(size as usize, 0);
            Ok(())
        })
    }

    /// Saves what was written; with `even_emptied` also that it was only emptied.
    fn save(&self, fs: &GistFs, even_emptied: bool, wait: Wait) -> Result<(), Error> {
        let mut state = self.state(wait)?;
        let due = state.dirty || (even_emptied && state.emptied);
        // Nobody wants what was written to a file that was removed or replaced here.
        if !due || fs.is_lost(self.ino) {
            (state.dirty, state.emptied) = (false, state.emptied && !due);
            return Ok(());
        }
        if let Some(error) = &state.failed {
            return Err(error.clone());
        }
        let bytes = state.written.clone().unwrap_or_default();
        match room(&self.place).save(fs, bytes.into(), wait) {
            Err(Error::WouldWait) => return Err(Error::WouldWait),
            Err(error) => {
                state.failed = Some(error.clone());
                return Err(error);
            }
            Ok(()) => {}
        }
        (state.dirty, state.emptied) = (false, false);
        drop(state);
        fs.tell_stale(Stale::Node(self.ino));
        Ok(())
    }
}
