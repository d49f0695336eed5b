//! The kernel's side: unpack a request, call [`GistFs`], reply, log one line. Decides nothing.

use std::ffi::OsStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use fuser::{
    AccessFlags, BsdFileFlags, CopyFileRangeFlags, Errno, FileHandle, Filesystem, Generation,
    INodeNo, InitFlags, IoctlFlags, KernelConfig, LockOwner, OpenFlags, PollEvents, PollFlags,
    PollNotifier, RenameFlags, ReplyAttr, ReplyBmap, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyLseek, ReplyOpen, ReplyPoll,
    ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};

use self::convert::{
    fh, file_attr, file_type, ino, new_node, nothing, open_flags, open_mode, poll_events,
    time_or_now,
};
use self::threads::{Places, Waiters};
use crate::error::Error;
use crate::fs::{Attr, Expect, Fallocate, Fh, GistFs, Listed, RenameMode, SetAttr, Wait};
use crate::sync::events::Wake;

mod convert;
mod threads;

/// How long the kernel may believe what it was told. Long, because it is told of every change.
const TTL: Duration = Duration::from_secs(3600);

/// How long the kernel may believe that a name stands for nothing.
const NEGATIVE_TTL: Duration = Duration::from_secs(5);

/// A number is never given twice, so there is only one generation.
const GENERATION: Generation = Generation(0);

/// Reads and closes under way at one time. Where a kernel has sent so many it holds back all others,
/// whatever file they are of, and many may be waiting for bodies that do not come.
const BACKGROUND: u16 = 4096;

/// The adapter.
pub struct Kernel {
    fs: Arc<GistFs>,
    /// Who waits for the network.
    waiters: Waiters,
    /// Who waits for the disk alone: where threads are short they do not wait behind the others.
    at_disk: Waiters,
    /// At the disk, for the threads that requests come to.
    places: Places,
}

impl Kernel {
    /// Serves `fs` to a session of so many threads, of which there must be two at least.
    pub fn new(fs: Arc<GistFs>, threads: usize) -> Self {
        let places = Places::new(threads.saturating_sub(1));
        Self { fs, waiters: Waiters::default(), at_disk: Waiters::with_one(), places }
    }

    /// Does `work` and hands what came of it to `send`: at once, or from another thread when the
    /// answer needs the network. No request ever waits behind one that does.
    fn answer<T, W, S>(&self, what: impl Fn() -> String + Send + 'static, work: W, send: S)
    where
        W: Fn(&GistFs, Wait) -> Result<T, Error> + Send + 'static,
        S: FnOnce(Result<T, Errno>) + Send + 'static,
    {
        let start = Instant::now();
        match run(&self.fs, &work, Wait::No) {
            Err(Error::WouldWait) => self.wait(start, what, work, send),
            result => send(logged(&what, start, result)),
        }
    }

    /// The same for what reads or writes local files: here only as long as another thread stays free
    /// for what memory knows.
    fn at_disk<T, W, S>(&self, what: impl Fn() -> String + Send + 'static, work: W, send: S)
    where
        W: Fn(&GistFs, Wait) -> Result<T, Error> + Send + 'static,
        S: FnOnce(Result<T, Errno>) + Send + 'static,
    {
        match self.places.take() {
            Some(_place) => self.answer(what, work, send),
            None => self.wait_for_disk(Instant::now(), what, work, send),
        }
    }

    /// Does `work` on a thread that may wait for the disk, or on one that may wait for the network if
    /// that turns out to be needed.
    fn wait_for_disk<T, W, S>(
        &self,
        start: Instant,
        what: impl Fn() -> String + Send + 'static,
        work: W,
        send: S,
    ) where
        W: Fn(&GistFs, Wait) -> Result<T, Error> + Send + 'static,
        S: FnOnce(Result<T, Errno>) + Send + 'static,
    {
        let (fs, waiters) = (Arc::clone(&self.fs), self.waiters.clone());
        self.at_disk.run(move || match run(&fs, &work, Wait::No) {
            Err(Error::WouldWait) => {
                waiters.run(move || send(logged(&what, start, run(&fs, &work, Wait::Yes))));
            }
            result => send(logged(&what, start, result)),
        });
    }

    /// Does `work` on a thread that may wait.
    fn wait<T, W, S>(
        &self,
        start: Instant,
        what: impl Fn() -> String + Send + 'static,
        work: W,
        send: S,
    ) where
        W: Fn(&GistFs, Wait) -> Result<T, Error> + Send + 'static,
        S: FnOnce(Result<T, Errno>) + Send + 'static,
    {
        let fs = Arc::clone(&self.fs);
        self.waiters.run(move || send(logged(&what, start, run(&fs, &work, Wait::Yes))));
    }

    /// Answers with the entries of a directory behind `offset`.
    fn list<L: Listing>(&self, number: INodeNo, offset: u64, mut reply: L) {
        let start = Instant::now();
        let what = move || format!("{} {number} behind {offset}", L::NAME);
        let listed = read_directory(&self.fs, number, offset, Wait::No, &mut reply);
        if !matches!(listed, Err(Error::WouldWait)) {
            return reply.send(logged(what, start, listed));
        }
        let fs = Arc::clone(&self.fs);
        self.waiters.run(move || {
            let listed = read_directory(&fs, number, offset, Wait::Yes, &mut reply);
            reply.send(logged(what, start, listed));
        });
    }

    /// Does what never waits.
    fn at_once<T>(
        &self,
        what: impl Fn() -> String,
        work: impl Fn(&GistFs) -> Result<T, Error>,
    ) -> Result<T, Errno> {
        let start = Instant::now();
        logged(what, start, run(&self.fs, &|fs: &GistFs, _| work(fs), Wait::No))
    }
}

fn read_directory<L: Listing>(
    fs: &GistFs,
    number: INodeNo,
    offset: u64,
    wait: Wait,
    reply: &mut L,
) -> Result<(), Error> {
    let reply = Mutex::new(reply);
    let read = |fs: &GistFs, wait| {
        let mut reply = reply.lock().unwrap_or_else(PoisonError::into_inner);
        fs.readdir(ino(number), offset, L::PLUS, wait, |entry| reply.take(&entry))
    };
    run(fs, &read, wait)
}

/// A reply that is filled with the entries of a directory.
trait Listing: Send + 'static {
    /// The operation, for the log.
    const NAME: &'static str;
    /// Whether entries come with all that `stat` tells of them.
    const PLUS: bool;

    /// Takes one more; true if there is no room for it.
    fn take(&mut self, entry: &Listed<'_>) -> bool;

    /// Sends what was taken, or the error.
    fn send(self, result: Result<(), Errno>);
}

impl Listing for ReplyDirectory {
    const NAME: &'static str = "readdir";
    const PLUS: bool = false;

    fn take(&mut self, entry: &Listed<'_>) -> bool {
        self.add(INodeNo(entry.ino.0), entry.cookie, file_type(entry.kind), entry.name)
    }

    fn send(self, result: Result<(), Errno>) {
        match result {
            Ok(()) => self.ok(),
            Err(errno) => self.error(errno),
        }
    }
}

impl Listing for ReplyDirectoryPlus {
    const NAME: &'static str = "readdirplus";
    const PLUS: bool = true;

    fn take(&mut self, entry: &Listed<'_>) -> bool {
        let Some(attr) = &entry.attr else { return false };
        let (number, lasts) = (INodeNo(entry.ino.0), lasts(attr));
        self.add(number, entry.cookie, entry.name, lasts, &file_attr(attr), GENERATION)
    }

    fn send(self, result: Result<(), Errno>) {
        match result {
            Ok(()) => self.ok(),
            Err(errno) => self.error(errno),
        }
    }
}

/// A bug of ours fails one request, not the mount.
fn run<T>(
    fs: &GistFs,
    work: &impl Fn(&GistFs, Wait) -> Result<T, Error>,
    wait: Wait,
) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(|| work(fs, wait)))
        .unwrap_or_else(|_| Err(Error::Nonsense("a bug in gistfs; please report it".into())))
}

fn logged<T>(
    what: impl Fn() -> String,
    start: Instant,
    result: Result<T, Error>,
) -> Result<T, Errno> {
    match &result {
        // Nothing is spelt that nobody reads: this is the path of every request.
        Ok(_) => log::debug!("{} in {:?}", what(), start.elapsed()),
        Err(error) if error.is_trouble() => log::warn!("{}: {error}", what()),
        Err(Error::NotPermitted(why)) => log::info!("{}: {why}", what()),
        Err(error) => log::debug!("{}: {error} in {:?}", what(), start.elapsed()),
    }
    result.map_err(|error| Errno::from_i32(error.errno()))
}

/// How long the kernel may believe what it is told of a node.
fn lasts(attr: &Attr) -> &'static Duration {
    if attr.steady { &TTL } else { &Duration::ZERO }
}

fn reply_attr(reply: ReplyAttr, result: Result<Attr, Errno>) {
    match result {
        Ok(attr) => reply.attr(lasts(&attr), &file_attr(&attr)),
        Err(errno) => reply.error(errno),
    }
}

fn reply_entry(reply: ReplyEntry, result: Result<Attr, Errno>) {
    match result {
        Ok(attr) => reply.entry(lasts(&attr), &file_attr(&attr), GENERATION),
        Err(errno) => reply.error(errno),
    }
}

/// Answers with bytes, or with their number to who asks how many there are: with room for none.
fn reply_xattr(reply: ReplyXattr, room: u32, result: Result<Vec<u8>, Errno>) {
    match result {
        Ok(bytes) => match u32::try_from(bytes.len()) {
            Ok(length) if room == 0 => reply.size(length),
            Ok(length) if length <= room => reply.data(&bytes),
            Ok(_) | Err(_) => reply.error(Errno::ERANGE),
        },
        Err(errno) => reply.error(errno),
    }
}

/// Tells the kernel that whoever polls is to ask again. It wakes them and waits for nobody.
fn wake(notifier: PollNotifier) -> Wake {
    Arc::new(move || {
        if let Err(error) = notifier.clone().notify() {
            log::debug!("cannot wake whoever polls: {error}");
        }
    })
}

fn reply_empty(reply: ReplyEmpty, result: Result<(), Errno>) {
    match result {
        Ok(()) => reply.ok(),
        Err(errno) => reply.error(errno),
    }
}

impl Filesystem for Kernel {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        for wanted in [
            InitFlags::FUSE_DO_READDIRPLUS,
            InitFlags::FUSE_PARALLEL_DIROPS,
            InitFlags::FUSE_CACHE_SYMLINKS,
            InitFlags::FUSE_NO_OPENDIR_SUPPORT,
            InitFlags::FUSE_EXPLICIT_INVAL_DATA,
        ] {
            if let Err(missing) = config.add_capabilities(wanted) {
                log::debug!("this kernel lacks {missing:?}");
            }
        }
        if let Err(most) = config.set_max_background(BACKGROUND) {
            log::debug!("at most {most} requests in the background");
        }
        Ok(())
    }

    fn lookup(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let send = move |found| match found {
            Ok(Some(attr)) => reply_entry(reply, Ok(attr)),
            Ok(None) => reply.entry(&NEGATIVE_TTL, &nothing(), GENERATION),
            Err(errno) => reply.error(errno),
        };
        let start = Instant::now();
        // Only what is asked of GitHub needs a copy of the name.
        match run(&self.fs, &|fs: &GistFs, wait| fs.lookup(ino(parent), name, wait), Wait::No) {
            Err(Error::WouldWait) => {
                let (name, shown) = (name.to_owned(), name.to_owned());
                self.wait(
                    start,
                    move || format!("lookup {shown:?} in {parent}"),
                    move |fs, wait| fs.lookup(ino(parent), &name, wait),
                    send,
                );
            }
            found => send(logged(|| format!("lookup {name:?} in {parent}"), start, found)),
        }
    }

    fn forget(&self, _request: &Request, number: INodeNo, count: u64) {
        self.fs.forget(ino(number), count);
    }

    fn getattr(
        &self,
        _request: &Request,
        number: INodeNo,
        _fh: Option<FileHandle>,
        reply: ReplyAttr,
    ) {
        self.answer(
            move || format!("getattr {number}"),
            move |fs, wait| fs.getattr(ino(number), wait),
            move |result| reply_attr(reply, result),
        );
    }

    fn setattr(
        &self,
        _request: &Request,
        number: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let (atime, mtime) = (atime.map(time_or_now), mtime.map(time_or_now));
        let set = SetAttr { mode, uid, gid, size, atime, mtime };
        self.at_disk(
            move || format!("setattr {number} {set:?}"),
            move |fs, wait| fs.setattr(ino(number), &set, handle.map(fh), wait),
            move |result| reply_attr(reply, result),
        );
    }

    fn readlink(&self, _request: &Request, number: INodeNo, reply: ReplyData) {
        match self.at_once(|| format!("readlink {number}"), |fs| fs.readlink(ino(number))) {
            Ok(target) => reply.data(target.as_bytes()),
            Err(errno) => reply.error(errno),
        }
    }

    fn mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _rdev: u32,
        reply: ReplyEntry,
    ) {
        let (name, shown) = (name.to_owned(), name.to_owned());
        let new = new_node(request, mode, umask);
        self.at_disk(
            move || format!("mknod {shown:?} in {parent}"),
            move |fs, _| {
                if mode & libc::S_IFMT != libc::S_IFREG && mode & libc::S_IFMT != 0 {
                    return Err(Error::NotPermitted("a gist holds regular files only"));
                }
                fs.mknod(ino(parent), &name, new)
            },
            move |made| reply_entry(reply, made),
        );
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        let (name, shown) = (name.to_owned(), name.to_owned());
        let new = new_node(request, mode, umask);
        self.at_disk(
            move || format!("mkdir {shown:?} in {parent}"),
            move |fs, _| fs.mkdir(ino(parent), &name, new),
            move |made| reply_entry(reply, made),
        );
    }

    fn unlink(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let (name, shown) = (name.to_owned(), name.to_owned());
        self.at_disk(
            move || format!("unlink {shown:?} in {parent}"),
            move |fs, wait| fs.unlink(ino(parent), &name, wait),
            move |result| reply_empty(reply, result),
        );
    }

    fn rmdir(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let (name, shown) = (name.to_owned(), name.to_owned());
        self.at_disk(
            move || format!("rmdir {shown:?} in {parent}"),
            move |fs, wait| fs.rmdir(ino(parent), &name, wait),
            move |result| reply_empty(reply, result),
        );
    }

    fn symlink(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let (name, shown) = (name.to_owned(), name.to_owned());
        let (target, new) = (target.to_owned(), new_node(request, 0o777, 0));
        self.at_disk(
            move || format!("symlink {shown:?} in {parent}"),
            move |fs, _| fs.symlink(ino(parent), &name, &target, new),
            move |made| reply_entry(reply, made),
        );
    }

    fn rename(
        &self,
        _request: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let mode = match flags {
            none if none.is_empty() => RenameMode::Replace,
            RenameFlags::RENAME_NOREPLACE => RenameMode::NoReplace,
            RenameFlags::RENAME_EXCHANGE => RenameMode::Exchange,
            _ => return reply.error(Errno::EINVAL),
        };
        let (name, new_name) = (name.to_owned(), new_name.to_owned());
        let (old, new) = (name.clone(), new_name.clone());
        self.at_disk(
            move || format!("rename {old:?} in {parent} to {new:?} in {new_parent}, {mode:?}"),
            move |fs, wait| fs.rename(ino(parent), &name, ino(new_parent), &new_name, mode, wait),
            move |result| reply_empty(reply, result),
        );
    }

    fn link(
        &self,
        _request: &Request,
        number: INodeNo,
        _new_parent: INodeNo,
        new_name: &OsStr,
        reply: ReplyEntry,
    ) {
        let refused = self.at_once(
            || format!("link {number} as {new_name:?}"),
            |_| Err(Error::NotPermitted("a file in a gist has one name")),
        );
        reply_entry(reply, refused);
    }

    fn open(&self, _request: &Request, number: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let mode = open_mode(flags);
        let what = move || format!("open {number} {mode:?}");
        let send = move |opened: Result<Fh, Errno>| match opened {
            Ok(handle) => reply.opened(FileHandle(handle.0), open_flags(handle, mode)),
            Err(errno) => reply.error(errno),
        };
        if mode.writes {
            self.at_disk(what, move |fs, _| fs.open(ino(number), mode), send);
        } else {
            send(self.at_once(what, |fs| fs.open(ino(number), mode)));
        }
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let open = open_mode(OpenFlags(flags));
        let new = new_node(request, mode, umask);
        let (name, shown) = (name.to_owned(), name.to_owned());
        self.at_disk(
            move || format!("create {shown:?} in {parent}"),
            move |fs, _| fs.create(ino(parent), &name, new, open),
            move |made| match made {
                Ok((attr, handle)) => reply.created(
                    lasts(&attr),
                    &file_attr(&attr),
                    GENERATION,
                    FileHandle(handle.0),
                    open_flags(handle, open),
                ),
                Err(errno) => reply.error(errno),
            },
        );
    }

    fn read(
        &self,
        _request: &Request,
        number: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let waits = flags.0 & libc::O_NONBLOCK == 0;
        let what = move || format!("read {number} {size}@{offset}");
        let start = Instant::now();
        let send = move |result: Result<Bytes, Errno>| match result {
            Ok(bytes) => reply.data(&bytes),
            Err(errno) => reply.error(errno),
        };
        let hot = |fs: &GistFs, _| Ok(fs.read_hot(fh(handle), offset, size));
        match run(&self.fs, &hot, Wait::No) {
            Ok(Some(bytes)) => send(logged(what, start, Ok(bytes))),
            Ok(None) | Err(_) => self.at_disk(
                what,
                move |fs, wait| match waits {
                    true => fs.read(fh(handle), offset, size, wait),
                    false => fs.read_now(fh(handle), offset, size, wait),
                },
                send,
            ),
        }
    }

    fn write(
        &self,
        _request: &Request,
        number: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let appends = flags.0 & libc::O_APPEND != 0;
        let write = move |fs: &GistFs, data: &[u8], wait| {
            if appends {
                fs.append(fh(handle), offset, data, wait)
            } else {
                fs.write(fh(handle), offset, data, wait)
            }
        };
        let count = data.len();
        let what = move || format!("write {number} {count}@{offset}");
        let start = Instant::now();
        let send = move |result| match result {
            Ok(count) => reply.written(count),
            Err(errno) => reply.error(errno),
        };
        // Only a write that has to wait needs a copy of the new bytes.
        let Some(_place) = self.places.take() else {
            let data = data.to_owned();
            return self.wait_for_disk(start, what, move |fs, wait| write(fs, &data, wait), send);
        };
        match run(&self.fs, &|fs: &GistFs, wait| write(fs, data, wait), Wait::No) {
            Err(Error::WouldWait) => {
                let data = data.to_owned();
                self.wait(start, what, move |fs, wait| write(fs, &data, wait), send);
            }
            result => send(logged(what, start, result)),
        }
    }

    fn flush(
        &self,
        _request: &Request,
        number: INodeNo,
        handle: FileHandle,
        _owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        self.at_disk(
            move || format!("flush {number}"),
            move |fs, wait| fs.flush(fh(handle), wait),
            move |result| reply_empty(reply, result),
        );
    }

    fn release(
        &self,
        _request: &Request,
        number: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        self.at_disk(
            move || format!("release {number}"),
            move |fs, wait| fs.release(fh(handle), wait),
            move |result| reply_empty(reply, result),
        );
    }

    fn fsync(
        &self,
        _request: &Request,
        number: INodeNo,
        handle: FileHandle,
        _data_only: bool,
        reply: ReplyEmpty,
    ) {
        // It is there to wait for the disk.
        self.wait_for_disk(
            Instant::now(),
            move || format!("fsync {number}"),
            move |fs, _| fs.fsync(fh(handle)),
            move |done| reply_empty(reply, done),
        );
    }

    fn opendir(&self, _request: &Request, _number: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        // The kernel then never asks again: listings are cached by it and need no handle.
        reply.error(Errno::ENOSYS);
    }

    fn readdir(
        &self,
        _request: &Request,
        number: INodeNo,
        _handle: FileHandle,
        offset: u64,
        reply: ReplyDirectory,
    ) {
        self.list(number, offset, reply);
    }

    fn readdirplus(
        &self,
        _request: &Request,
        number: INodeNo,
        _handle: FileHandle,
        offset: u64,
        reply: ReplyDirectoryPlus,
    ) {
        self.list(number, offset, reply);
    }

    fn fsyncdir(
        &self,
        _request: &Request,
        number: INodeNo,
        _handle: FileHandle,
        _data_only: bool,
        reply: ReplyEmpty,
    ) {
        self.wait_for_disk(
            Instant::now(),
            move || format!("fsyncdir {number}"),
            |fs, _| fs.fsyncdir(),
            move |done| reply_empty(reply, done),
        );
    }

    fn statfs(&self, _request: &Request, _number: INodeNo, reply: ReplyStatfs) {
        let room = self.fs.room();
        let block = 4096;
        reply.statfs(
            room.total / block,
            room.free / block,
            room.free / block,
            room.files + room.free_files,
            room.free_files,
            block as u32,
            255,
            block as u32,
        );
    }

    fn fallocate(
        &self,
        _request: &Request,
        number: INodeNo,
        handle: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let mode = match mode {
            0 => Fallocate::Extend,
            libc::FALLOC_FL_KEEP_SIZE => Fallocate::KeepSize,
            _ => return reply.error(Errno::EOPNOTSUPP),
        };
        self.at_disk(
            move || format!("fallocate {number} {length}@{offset} {mode:?}"),
            move |fs, wait| fs.fallocate(fh(handle), offset, length, mode, wait),
            move |result| reply_empty(reply, result),
        );
    }

    // Where something is not offered, ENOSYS makes the kernel answer by itself from then on: with
    // EOPNOTSUPP for attributes, by its own means for seeking and copying.

    fn setxattr(
        &self,
        _request: &Request,
        number: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        _position: u32,
        reply: ReplyEmpty,
    ) {
        if !self.fs.options().xattr {
            return reply.error(Errno::ENOSYS);
        }
        let expect = match flags {
            0 => Expect::Anything,
            libc::XATTR_CREATE => Expect::New,
            libc::XATTR_REPLACE => Expect::Known,
            _ => return reply.error(Errno::EINVAL),
        };
        let (name, value, shown) = (name.to_owned(), value.to_owned(), name.to_owned());
        self.at_disk(
            move || format!("setxattr {shown:?} of {number}"),
            move |fs, wait| fs.setxattr(ino(number), &name, &value, expect, wait),
            move |result| reply_empty(reply, result),
        );
    }

    fn getxattr(
        &self,
        _request: &Request,
        number: INodeNo,
        name: &OsStr,
        size: u32,
        reply: ReplyXattr,
    ) {
        if !self.fs.options().xattr {
            return reply.error(Errno::ENOSYS);
        }
        let (name, shown) = (name.to_owned(), name.to_owned());
        self.answer(
            move || format!("getxattr {shown:?} of {number}"),
            move |fs, wait| fs.getxattr(ino(number), &name, wait),
            move |result| reply_xattr(reply, size, result),
        );
    }

    fn listxattr(&self, _request: &Request, number: INodeNo, size: u32, reply: ReplyXattr) {
        if !self.fs.options().xattr {
            return reply.error(Errno::ENOSYS);
        }
        let names = self.at_once(
            || format!("listxattr {number}"),
            |fs| {
                let names = fs.listxattr(ino(number))?;
                Ok(names.iter().flat_map(|name| [name.as_bytes(), b"\0"].concat()).collect())
            },
        );
        reply_xattr(reply, size, names);
    }

    fn removexattr(&self, _request: &Request, number: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        if !self.fs.options().xattr {
            return reply.error(Errno::ENOSYS);
        }
        let removed = self.at_once(
            || format!("removexattr {name:?} of {number}"),
            |fs| fs.removexattr(ino(number), name),
        );
        reply_empty(reply, removed);
    }

    fn access(&self, _request: &Request, _number: INodeNo, _mask: AccessFlags, reply: ReplyEmpty) {
        reply.error(Errno::ENOSYS);
    }

    fn ioctl(
        &self,
        _request: &Request,
        _number: INodeNo,
        _handle: FileHandle,
        _flags: IoctlFlags,
        _command: u32,
        _data: &[u8],
        _out_size: u32,
        reply: ReplyIoctl,
    ) {
        // sed, perl and python ask every file whether it is a terminal.
        reply.error(Errno::ENOTTY);
    }

    fn poll(
        &self,
        _request: &Request,
        number: INodeNo,
        handle: FileHandle,
        notifier: PollNotifier,
        _events: PollEvents,
        flags: PollFlags,
        reply: ReplyPoll,
    ) {
        let wake = flags.contains(PollFlags::FUSE_POLL_SCHEDULE_NOTIFY).then(|| wake(notifier));
        let ready = self
            .at_once(|| format!("poll {number}"), |fs| Ok(fs.readiness(fh(handle), wake.clone())));
        match ready {
            Ok(ready) => reply.poll(poll_events(ready)),
            Err(errno) => reply.error(errno),
        }
    }

    fn lseek(
        &self,
        _request: &Request,
        _number: INodeNo,
        _handle: FileHandle,
        _offset: i64,
        _whence: i32,
        reply: ReplyLseek,
    ) {
        reply.error(Errno::ENOSYS);
    }

    fn copy_file_range(
        &self,
        _request: &Request,
        _number: INodeNo,
        _handle: FileHandle,
        _offset: u64,
        _number_out: INodeNo,
        _handle_out: FileHandle,
        _offset_out: u64,
        _length: u64,
        _flags: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        reply.error(Errno::ENOSYS);
    }

    fn bmap(
        &self,
        _request: &Request,
        _number: INodeNo,
        _block_size: u32,
        _block: u64,
        reply: ReplyBmap,
    ) {
        reply.error(Errno::ENOSYS);
    }
}
