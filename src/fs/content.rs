//! Bytes: open, read, write, truncate.

use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use tempfile::NamedTempFile;

use super::open::{Body, Handle, OpenFile, Stored};
use super::{GistFs, Stale, Wait, lock};
use crate::error::Error;
use crate::model::BlobId;
use crate::store::gist::{Content, Gist};
use crate::store::part::{self, cut};
use crate::sync::bodies::{Source, Trust};
use crate::tree::{Ino, Place, Tree};

/// Names one `open` of one file, until its `release`. Given by [`GistFs::open`] and
/// [`GistFs::create`], never given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fh(pub u64);

impl Fh {
    /// Set in the handles of hidden files.
    const HIDDEN: u64 = 1 << 63;
    /// Set in the handles of files of which the kernel may have pages that were never proved.
    const DOUBTFUL: u64 = 1 << 62;

    pub(super) fn hidden(self) -> Self {
        Self(self.0 | Self::HIDDEN)
    }

    fn doubtful(self) -> Self {
        Self(self.0 | Self::DOUBTFUL)
    }

    /// Whether the kernel is to forget what it has of the file from before this `open`: it was given
    /// to somebody before it was proved, and nobody would tell this reader that it is wrong.
    pub fn is_doubtful(self) -> bool {
        self.0 & Self::DOUBTFUL != 0
    }

    /// Whether what is read by it must not stay in the kernel, and goes on behind the size that
    /// `stat` told.
    pub fn is_hidden(self) -> bool {
        self.0 & Self::HIDDEN != 0
    }
}

/// What an `open` is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenMode {
    /// Bytes will be read.
    pub reads: bool,
    /// Bytes will be written.
    pub writes: bool,
}

/// What `fallocate` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallocate {
    /// Mode 0: the file reaches at least to the end of the range.
    Extend,
    /// `FALLOC_FL_KEEP_SIZE`: room is promised, the size stays.
    KeepSize,
}

impl GistFs {
    /// Opens a file. Neither the disk nor the network is asked for its body yet; who opens it to write
    /// waits for the change that is being made.
    pub fn open(&self, ino: Ino, mode: OpenMode) -> Result<Fh, Error> {
        if mode.writes {
            self.writable()?;
        }
        // As long as it is held the file keeps its name, and nothing else is taken over for it.
        let turn = mode.writes.then(|| self.turn());
        let tree = self.tree();
        if let Some(place) = Self::hidden_place(&tree, ino) {
            drop((tree, turn));
            return self.hidden_open(ino, &place, mode);
        }
        let open = self.hold_open(&tree, ino)?;
        let place = tree.place(ino).filter(|_| mode.writes).cloned();
        drop(tree);
        if let Some(Place::File(key, name)) = place {
            let now = self.now();
            self.store.note(key, |gist| gist.files.get_mut(&name).map(|file| file.opened(now)));
        }
        drop(turn);
        Ok(self.hand_out(open, mode))
    }

    /// A handle of an open file that counts it already.
    pub(super) fn hand_out(&self, open: Arc<OpenFile>, mode: OpenMode) -> Fh {
        let ino = open.ino;
        let mut fh = self.new_handle();
        if lock(&self.doubtful).remove(&ino) {
            fh = fh.doubtful();
        }
        lock(&self.handles).insert(fh, Arc::new(Handle::new(open, mode.reads, mode.writes)));
        fh
    }

    /// The open file of `ino`, counted once more.
    pub(super) fn hold_open(&self, tree: &Tree, ino: Ino) -> Result<Arc<OpenFile>, Error> {
        let place = tree.place(ino).ok_or(Error::Replaced)?;
        if let Some((open, count)) = lock(&self.opened).get_mut(&ino) {
            *count += 1;
            return Ok(Arc::clone(open));
        }
        let (key, name) = match place {
            Place::Root | Place::Gist(_) => return Err(Error::IsDirectory),
            Place::Hidden(_) | Place::Gone => return Err(Error::Replaced),
            Place::File(key, name) => (*key, name),
        };
        let look = |gist: &Gist| {
            let file = gist.files.get(name)?;
            match file.content {
                Content::Bytes { blob, size } => {
                    let base = gist.base.clone();
                    Some((
                        Stored { blob, size, base, file: None, trust: Arc::default() },
                        file.meta,
                    ))
                }
                Content::Link(_) => None,
            }
        };
        let (stored, meta) = self.store.look(key, look).flatten().ok_or(Error::NotFound)?;
        let open = Arc::new(OpenFile::new(ino, stored, meta));
        lock(&self.opened).insert(ino, (Arc::clone(&open), 1));
        Ok(open)
    }

    pub(super) fn let_go(&self, open: &OpenFile) {
        let ino = open.ino;
        let proved = match &*open.body() {
            Body::Stored(stored) => stored.trust.is_proved(),
            Body::Working(_) => true,
        };
        if !proved {
            // Before it is let go of: who opens it in between shares what is known of it.
            lock(&self.doubtful).insert(ino);
        }
        let mut opened = lock(&self.opened);
        if let Some((_, count)) = opened.get_mut(&ino) {
            *count -= 1;
            if *count == 0 {
                opened.remove(&ino);
            }
        }
    }

    pub(super) fn handle(&self, fh: Fh) -> Result<Arc<Handle>, Error> {
        lock(&self.handles).get(&fh).map(Arc::clone).ok_or(Error::BadHandle)
    }

    /// Up to `size` bytes at `offset`; fewer only at the end of the file.
    pub fn read(&self, fh: Fh, offset: u64, size: u32, wait: Wait) -> Result<Bytes, Error> {
        if fh.is_hidden() {
            return self.hidden_read(fh, offset, size, wait);
        }
        let handle = self.handle(fh)?;
        if !handle.reads && !handle.writes {
            return Err(Error::BadHandle);
        }
        let stored = match &*handle.open.body() {
            Body::Working(copy) => return part::read(copy.as_file(), offset, size),
            Body::Stored(stored) => stored.clone(),
        };
        if offset >= stored.size {
            return Ok(Bytes::new());
        }
        let trust = &*stored.trust;
        if let Some(error) = trust.broken() {
            return Err(error);
        }
        if offset == 0 {
            self.begins_to_read(handle.open.ino);
        }
        if let Some(body) = self.store.hot_body(stored.blob) {
            return Ok(cut(&body, offset, size));
        }
        if let Some(file) = &stored.file {
            return part::read(file, offset, size);
        }
        if self.store.fits_memory(stored.size) {
            if let Some(body) = self.store.body(stored.blob)? {
                return Ok(cut(&body, offset, size));
            }
        } else if let Some(file) = self.store.blobs.open_checked(stored.blob)? {
            let file = Arc::new(file);
            if let Body::Stored(now) = &mut *handle.open.body()
                && now.blob == stored.blob
            {
                now.file = Some(Arc::clone(&file));
            }
            return part::read(&file, offset, size);
        }
        if let Some(part) = self.syncer.part_here(stored.blob, offset, size, trust) {
            return part;
        }
        let source = self.source(handle.open.ino, &stored)?;
        if wait == Wait::No {
            return Err(Error::WouldWait);
        }
        if offset == 0 {
            self.misses(handle.open.ino, stored.size);
        }
        self.syncer.body_part(&source, offset, size, trust)
    }

    /// The same if memory alone answers it: no lock is waited for that is held across disk I/O.
    pub fn read_hot(&self, fh: Fh, offset: u64, size: u32) -> Option<Bytes> {
        if fh.is_hidden() {
            return None;
        }
        let handle = self.handle(fh).ok().filter(|handle| handle.reads || handle.writes)?;
        let open = handle.open.body.try_lock().ok()?;
        let Body::Stored(stored) = &*open else { return None };
        if offset >= stored.size {
            return Some(Bytes::new());
        }
        if stored.trust.broken().is_some() {
            return None;
        }
        let body = self.store.hot_body(stored.blob)?;
        drop(open);
        if offset == 0 {
            self.begins_to_read(handle.open.ino);
        }
        Some(cut(&body, offset, size))
    }

    /// Where a body that is not stored can be had.
    fn source(&self, ino: Ino, stored: &Stored) -> Result<Source, Error> {
        let source = stored.source().or_else(|| self.source_of(ino, stored.blob));
        let gone = || Error::Nonsense(format!("body {} is not stored any more", stored.blob));
        source.ok_or_else(gone)
    }

    /// Where a body written here can be had again, now that GitHub has it and the store may not.
    fn source_of(&self, ino: Ino, blob: BlobId) -> Option<Source> {
        let tree = self.tree();
        match tree.place(ino)? {
            Place::File(key, _) => self.store.look(*key, |gist| Source::of(gist, blob)).flatten(),
            Place::Root | Place::Gist(_) | Place::Hidden(_) | Place::Gone => None,
        }
    }

    /// Part of a body that is nobody's open file.
    pub(super) fn body_part(
        &self,
        (blob, whole): (BlobId, u64),
        (source, trust): (Option<&Source>, &Trust),
        (offset, size): (u64, u32),
        wait: Wait,
    ) -> Result<Bytes, Error> {
        if let Some(error) = trust.broken() {
            return Err(error);
        }
        if offset >= whole {
            return Ok(Bytes::new());
        }
        if self.store.fits_memory(whole) {
            if let Some(body) = self.store.body(blob)? {
                return Ok(cut(&body, offset, size));
            }
        } else if let Some(file) = self.store.blobs.open_checked(blob)? {
            return part::read(&file, offset, size);
        }
        if let Some(part) = self.syncer.part_here(blob, offset, size, trust) {
            return part;
        }
        let source = source.ok_or_else(|| Error::Nonsense(format!("body {blob} is not stored")))?;
        match wait {
            Wait::No => Err(Error::WouldWait),
            Wait::Yes => self.syncer.body_part(source, offset, size, trust),
        }
    }

    /// Writes all of `data` at `offset`; a gap reads as zeroes.
    pub fn write(&self, fh: Fh, offset: u64, data: &[u8], wait: Wait) -> Result<u32, Error> {
        if fh.is_hidden() {
            return self.hidden_write(fh, |_| offset, data, wait);
        }
        let handle = self.handle(fh)?;
        self.write_to(&handle, data, wait, |_| offset).map(|_| data.len() as u32)
    }

    /// Writes all of `data` at the end. `believed` is where the kernel takes the end to be: it may not
    /// have heard yet that the file changed elsewhere.
    pub fn append(&self, fh: Fh, believed: u64, data: &[u8], wait: Wait) -> Result<u32, Error> {
        if fh.is_hidden() {
            return self.hidden_write(fh, |end| end, data, wait);
        }
        let handle = self.handle(fh)?;
        let begin = self.write_to(&handle, data, wait, |size| size)?;
        if begin.is_some_and(|begin| begin != believed) {
            // The kernel has the new bytes in another place.
            self.tell_stale(Stale::Node(handle.open.ino));
        }
        Ok(data.len() as u32)
    }

    /// Writes all of `data` where `place` says, given the size of the file; tells where that is.
    fn write_to(
        &self,
        handle: &Handle,
        data: &[u8],
        wait: Wait,
        place: impl Fn(u64) -> u64,
    ) -> Result<Option<u64>, Error> {
        if !handle.writes {
            return Err(Error::BadHandle);
        }
        let end = place(handle.open.live().size).checked_add(data.len() as u64);
        if end.is_none_or(|end| end > self.options.largest) {
            return Err(Error::TooLarge);
        }
        if data.is_empty() {
            return Ok(None);
        }
        let now = self.now();
        let mut begin = 0;
        self.with_working_copy(&handle.open, wait, |file| {
            begin = place(handle.open.live().size);
            file.write_all_at(data, begin)?;
            handle.open.change_live(|live| {
                live.size = live.size.max(begin.saturating_add(data.len() as u64));
                live.meta.touch(now);
                live.dirty = true;
            });
            Ok(())
        })?;
        Ok(Some(begin))
    }

    /// Runs `write` on the file's working copy, made first where there is none.
    fn with_working_copy(
        &self,
        open: &OpenFile,
        wait: Wait,
        write: impl FnOnce(&std::fs::File) -> std::io::Result<()>,
    ) -> Result<(), Error> {
        loop {
            let mut body = open.body();
            let stored = match &*body {
                Body::Working(copy) => {
                    return write(copy.as_file())
                        .map_err(|error| Error::local("cannot write", &error));
                }
                Body::Stored(stored) => stored.clone(),
            };
            // What is written may be a page of a wrong body that somebody has mapped.
            if let Some(error) = stored.trust.broken() {
                return Err(error);
            }
            if let Some(copy) = self.copy_of(&stored)? {
                *body = Body::Working(copy);
                continue;
            }
            drop(body);
            let source = self.source(open.ino, &stored)?;
            match wait {
                Wait::No => return Err(Error::WouldWait),
                Wait::Yes => self.syncer.store_body(&source)?,
            }
        }
    }

    /// A working copy of a body; `None` if it has to be fetched first.
    fn copy_of(&self, stored: &Stored) -> Result<Option<NamedTempFile>, Error> {
        let blobs = &self.store.blobs;
        match &stored.file {
            _ if stored.blob == BlobId::EMPTY => blobs.working_copy().map(Some),
            Some(file) => blobs.working_copy_from(file).map(Some),
            None => blobs.working_copy_of(stored.blob),
        }
    }

    /// Cuts or extends a file, open or not.
    pub(super) fn truncate(&self, ino: Ino, size: u64, wait: Wait) -> Result<(), Error> {
        if size > self.options.largest {
            return Err(Error::TooLarge);
        }
        let open = self.hold_open(&self.tree(), ino)?;
        let cut = self.cut_open(&open, size, wait);
        // Somebody who has it open for writing will flush; nobody else would.
        let done = cut.and_then(|()| {
            let recorded = if self.is_written(ino) { Ok(()) } else { self.record(&open) };
            if recorded.is_ok() {
                self.syncer.poke();
            }
            recorded
        });
        self.let_go(&open);
        done
    }

    fn is_written(&self, ino: Ino) -> bool {
        lock(&self.handles).values().any(|handle| handle.writes && handle.open.ino == ino)
    }

    fn cut_open(&self, open: &OpenFile, size: u64, wait: Wait) -> Result<(), Error> {
        let now = self.now();
        let note = |live: &mut super::open::Live| {
            live.size = size;
            live.meta.touch(now);
            live.dirty = true;
        };
        if size == 0 {
            let mut body = open.body();
            *body = Body::Stored(Stored::here(BlobId::EMPTY, 0, None));
            open.change_live(note);
            return Ok(());
        }
        self.with_working_copy(open, wait, |file| {
            file.set_len(size)?;
            open.change_live(note);
            Ok(())
        })
    }

    /// Reserves room.
    pub fn fallocate(
        &self,
        fh: Fh,
        offset: u64,
        length: u64,
        mode: Fallocate,
        wait: Wait,
    ) -> Result<(), Error> {
        if fh.is_hidden() {
            return Err(Error::Unsupported);
        }
        let handle = self.handle(fh)?;
        if !handle.writes {
            return Err(Error::BadHandle);
        }
        let end = offset.checked_add(length).filter(|end| *end <= self.options.largest);
        let end = end.ok_or(Error::TooLarge)?;
        match mode {
            Fallocate::Extend if end > handle.open.live().size => {
                self.cut_open(&handle.open, end, wait)
            }
            Fallocate::Extend | Fallocate::KeepSize => Ok(()),
        }
    }
}
