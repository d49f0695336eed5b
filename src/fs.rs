//! What every file operation means, in plain types: no FUSE here, and no HTTP.
//!
//! Each method is one operation. It asks the tree where, the store what, and answers from
//! memory or local disk. The few that may need the network take a [`Wait`]: asked with
//! [`Wait::No`] they answer [`Error::WouldWait`] instead of blocking, and the caller asks again
//! from a thread that may wait.
//!
//! Locks are taken in this order: an open file's body, the tree, the store. Only a body's lock is
//! ever held across disk I/O of any length, and none across the network.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use self::open::{Handle, OpenFile};
use crate::error::Error;
use crate::model::{FileName, Time};
use crate::store::Store;
use crate::store::gist::{Content, Gist, GistKey, LocalFile, Meta};
use crate::sync::Syncer;
use crate::tree::names::{self, LONGEST};
use crate::tree::{Ino, Place, Tree};

mod content;
mod follow;
mod namespace;
mod open;

pub use self::content::{Fallocate, Fh, OpenMode};
pub use self::namespace::{NewNode, RenameMode};
pub use crate::sync::Clock;

/// How the mount behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Owner of everything nobody gave to somebody else.
    pub uid: u32,
    /// Group of everything nobody gave to somebody else.
    pub gid: u32,
    /// Taken away from 0700 and 0600.
    pub umask: u32,
    /// Why nothing can be written, if so.
    pub read_only: Option<&'static str>,
    /// `close` and its like return GitHub's answer.
    pub through: bool,
    /// New gists are public.
    pub public: bool,
    /// Directories are named by id instead of title.
    pub names_by_id: bool,
    /// The largest file, in bytes.
    pub largest: u64,
}

/// Whether an operation may block until the network has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Answer now or say [`Error::WouldWait`].
    No,
    /// Wait, within the bounds of the network layer.
    Yes,
}

/// What an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The root or a gist.
    Directory,
    /// A file.
    File,
    /// A scratch symbolic link.
    Link,
}

/// What `stat` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attr {
    /// The number.
    pub ino: Ino,
    /// The kind.
    pub kind: Kind,
    /// Bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Names it has.
    pub nlink: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last read, as far as anybody said so.
    pub atime: Time,
    /// Last change of content.
    pub mtime: Time,
    /// Last change of content or attributes.
    pub ctime: Time,
}

/// What `chmod`, `chown`, `utimens` and `truncate` change.
#[derive(Clone, Copy, Debug, Default)]
pub struct SetAttr {
    /// New permission bits.
    pub mode: Option<u32>,
    /// New owner.
    pub uid: Option<u32>,
    /// New group.
    pub gid: Option<u32>,
    /// New size in bytes.
    pub size: Option<u64>,
    /// New access time.
    pub atime: Option<Time>,
    /// New modification time.
    pub mtime: Option<Time>,
}

/// What `df` tells.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Bytes in all.
    pub total: u64,
    /// Bytes that can still be written.
    pub free: u64,
    /// Gists and files there are.
    pub files: u64,
    /// Gists and files there could still be.
    pub free_files: u64,
}

/// One line of a listing.
#[derive(Debug)]
pub struct Listed<'a> {
    /// Its number.
    pub ino: Ino,
    /// Where to go on behind it.
    pub cookie: u64,
    /// Its name.
    pub name: &'a str,
    /// What it is.
    pub kind: Kind,
    /// All about it, where asked for.
    pub attr: Option<Attr>,
}

/// What the kernel remembers and must forget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stale {
    /// The bytes and attributes of a file, or the listing of a directory.
    Node(Ino),
    /// What a name in a directory stands for, or that it stands for nothing.
    Name(Ino, Arc<str>),
}

/// Hears what the kernel must forget. Called with no lock held; must not block.
pub type Invalidate = Box<dyn Fn(Stale) + Send + Sync>;

/// The file system.
pub struct GistFs {
    tree: Mutex<Tree>,
    store: Arc<Store>,
    syncer: Arc<Syncer>,
    options: Options,
    clock: Clock,
    /// Files open now, with how many handles. A leaf: held for a look, under any other lock.
    opened: Mutex<HashMap<Ino, (Arc<OpenFile>, u32)>>,
    /// A leaf like `opened`.
    handles: Mutex<HashMap<Fh, Arc<Handle>>>,
    next_handle: AtomicU64,
    /// The descriptions that directory names were made of. Under the tree's lock only.
    titles: Mutex<HashMap<GistKey, String>>,
    root: Mutex<Meta>,
    invalidate: OnceLock<Invalidate>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl GistFs {
    /// The file system over `syncer` and its store, showing every gist the store has.
    pub fn new(syncer: Arc<Syncer>, options: Options, clock: Clock) -> Arc<Self> {
        let store = Arc::clone(syncer.store());
        let now = clock();
        let fs = Arc::new(Self {
            tree: Mutex::default(),
            store,
            syncer,
            options,
            clock,
            opened: Mutex::default(),
            handles: Mutex::default(),
            next_handle: AtomicU64::new(1),
            titles: Mutex::default(),
            root: Mutex::new(Meta::at(now)),
            invalidate: OnceLock::new(),
        });
        fs.show_all();
        let weak = Arc::downgrade(&fs);
        fs.syncer.watch(weak);
        fs
    }

    /// Names the one who tells the kernel; the first to be named stays.
    pub fn on_stale(&self, invalidate: Invalidate) {
        if self.invalidate.set(invalidate).is_err() {
            log::debug!("a second listener for stale names was not taken");
        }
    }

    /// The traffic behind this file system.
    pub fn syncer(&self) -> &Arc<Syncer> {
        &self.syncer
    }

    /// How it behaves.
    pub fn options(&self) -> &Options {
        &self.options
    }

    fn now(&self) -> Time {
        (self.clock)()
    }

    fn tree(&self) -> MutexGuard<'_, Tree> {
        lock(&self.tree)
    }

    /// Shows every gist of the store; of two with one title the older gets the bare name.
    fn show_all(&self) {
        let mut gists = Vec::new();
        self.store.look_at_all(|gist| {
            if !gist.removed {
                let age = gist.base.as_ref().map(|base| (base.created_at, base.id.clone()));
                gists.push((age.is_none(), age, gist.key));
            }
        });
        gists.sort();
        let mut tree = self.tree();
        for (_, _, key) in gists {
            if let Some(gist) = self.store.get(key) {
                self.show(&mut tree, &gist);
            }
        }
    }

    /// Gives a gist its directory.
    fn show(&self, tree: &mut Tree, gist: &Gist) -> Ino {
        let name = self.directory_name(tree, gist);
        lock(&self.titles).insert(gist.key, gist.description.clone());
        tree.add_gist(gist.key, &name)
    }

    fn directory_name(&self, tree: &Tree, gist: &Gist) -> String {
        let id = gist
            .base
            .as_ref()
            .map_or_else(|| format!("new-{}", gist.key.0), |base| base.id.to_string());
        let own = tree.gist(gist.key);
        let taken = |name: &str| tree.child(Ino::ROOT, name).is_some_and(|ino| Some(ino) != own);
        if self.options.names_by_id {
            return names::free_directory(&id, &id, taken);
        }
        let described = !gist.description.trim().is_empty();
        let first = gist.files.keys().find(|name| !gist.is_scratch(name)).map(FileName::as_str);
        let title = if described { gist.description.as_str() } else { first.unwrap_or_default() };
        names::free_directory(&names::directory(title, &id), &id, taken)
    }

    /// Gives the files of a gist their numbers, if they have none yet.
    fn learn(&self, tree: &mut Tree, key: GistKey) {
        if !tree.knows_files(key) {
            self.store.look(key, |gist| tree.learn_files(key, gist.files.keys()));
        }
    }

    /// Finds `name` in a directory; the kernel is then owed one FORGET.
    pub fn lookup(&self, parent: Ino, name: &OsStr) -> Result<Attr, Error> {
        let Some(name) = name.to_str() else { return Err(Error::NotFound) };
        if name.len() > LONGEST {
            return Err(Error::NameTooLong);
        }
        let mut tree = self.tree();
        match tree.place(parent) {
            Some(Place::Gist(key)) => {
                let key = *key;
                self.learn(&mut tree, key);
            }
            Some(Place::Root) => {}
            Some(Place::File(..)) => return Err(Error::NotDirectory),
            Some(Place::Gone) | None => return Err(Error::NotFound),
        }
        let ino = tree.child(parent, name).ok_or(Error::NotFound)?;
        let attr = self.attr(&tree, ino)?;
        tree.remember(ino);
        Ok(attr)
    }

    /// Takes back `count` of the times the kernel was told of `ino`.
    pub fn forget(&self, ino: Ino, count: u64) {
        self.tree().forget(ino, count);
    }

    /// What `stat` tells of `ino`.
    pub fn getattr(&self, ino: Ino) -> Result<Attr, Error> {
        self.attr(&self.tree(), ino)
    }

    fn attr(&self, tree: &Tree, ino: Ino) -> Result<Attr, Error> {
        match tree.place(ino).ok_or(Error::NotFound)? {
            Place::Root => {
                let count = u32::try_from(tree.gist_count()).unwrap_or(u32::MAX - 2);
                Ok(self.directory_attr(ino, &lock(&self.root), 2 + count))
            }
            Place::Gist(key) => self
                .store
                .look(*key, |gist| self.directory_attr(ino, &gist.meta, 2))
                .ok_or(Error::NotFound),
            Place::File(key, name) => {
                let live = self.opened_file(ino).map(|open| open.live());
                let look = |gist: &Gist| {
                    let file = gist.files.get(name)?;
                    Some(self.file_attr(ino, file))
                };
                let mut attr = self.store.look(*key, look).flatten().ok_or(Error::NotFound)?;
                if let Some(live) = live {
                    attr.size = live.size;
                    attr.mtime = live.meta.mtime;
                    attr.ctime = live.meta.ctime;
                }
                Ok(attr)
            }
            Place::Gone => {
                let open = self.opened_file(ino).ok_or(Error::NotFound)?;
                let live = open.live();
                let content = Content::Bytes { blob: crate::model::BlobId::EMPTY, size: live.size };
                let mut file = LocalFile::with(content, None, live.meta.mtime);
                file.meta = live.meta;
                Ok(Attr { nlink: 0, ..self.file_attr(ino, &file) })
            }
        }
    }

    fn file_attr(&self, ino: Ino, file: &LocalFile) -> Attr {
        let link = matches!(file.content, Content::Link(_));
        let (kind, mode) = if link { (Kind::Link, 0o777) } else { (Kind::File, 0o600) };
        let mode = if link { mode } else { mode & !self.options.umask };
        self.meta_attr(ino, kind, file.size(), mode, 1, &file.meta)
    }

    fn directory_attr(&self, ino: Ino, meta: &Meta, nlink: u32) -> Attr {
        self.meta_attr(ino, Kind::Directory, 0, 0o700 & !self.options.umask, nlink, meta)
    }

    fn meta_attr(
        &self,
        ino: Ino,
        kind: Kind,
        size: u64,
        mode: u32,
        nlink: u32,
        meta: &Meta,
    ) -> Attr {
        Attr {
            ino,
            kind,
            size,
            mode: meta.mode.unwrap_or(mode),
            nlink,
            uid: meta.uid.unwrap_or(self.options.uid),
            gid: meta.gid.unwrap_or(self.options.gid),
            atime: meta.atime,
            mtime: meta.mtime,
            ctime: meta.ctime,
        }
    }

    /// Lists a directory behind the cookie `after` (0 from the start) until `take` says it is full.
    ///
    /// With `plus` every entry comes with its attributes and owes the kernel one FORGET, `.` and
    /// `..` excepted. An entry whose number `take` refused is not counted.
    pub fn readdir(
        &self,
        ino: Ino,
        after: u64,
        plus: bool,
        mut take: impl FnMut(Listed<'_>) -> bool,
    ) -> Result<(), Error> {
        let mut tree = self.tree();
        match tree.place(ino) {
            Some(Place::Gist(key)) => {
                let key = *key;
                self.learn(&mut tree, key);
            }
            Some(Place::Root) => {}
            Some(Place::File(..)) => return Err(Error::NotDirectory),
            Some(Place::Gone) | None => return Err(Error::NotFound),
        }
        for (cookie, name, dot) in [(1, ".", ino), (2, "..", tree.parent(ino))] {
            if after < cookie {
                let attr = if plus { Some(self.attr(&tree, dot)?) } else { None };
                if take(Listed { ino: dot, cookie, name, kind: Kind::Directory, attr }) {
                    return Ok(());
                }
            }
        }
        let mut told = Vec::new();
        for (child, name) in tree.entries(ino, after) {
            // A file that vanished between store and tree is about to vanish here too.
            let Ok(attr) = self.attr(&tree, child) else { continue };
            let (kind, attr) = (attr.kind, plus.then_some(attr));
            if take(Listed { ino: child, cookie: child.0, name, kind, attr }) {
                break;
            }
            told.push(child);
        }
        if plus {
            for child in told {
                tree.remember(child);
            }
        }
        Ok(())
    }

    /// Where a scratch link points.
    pub fn readlink(&self, ino: Ino) -> Result<String, Error> {
        let tree = self.tree();
        let Some(Place::File(key, name)) = tree.place(ino) else { return Err(Error::Invalid) };
        let look = |gist: &Gist| match &gist.files.get(name)?.content {
            Content::Link(target) => Some(target.clone()),
            Content::Bytes { .. } => None,
        };
        self.store.look(*key, look).flatten().ok_or(Error::Invalid)
    }

    /// Changes attributes; a size may need the body, and so the network.
    pub fn setattr(&self, ino: Ino, set: &SetAttr, wait: Wait) -> Result<Attr, Error> {
        self.writable()?;
        if let Some(size) = set.size {
            self.truncate(ino, size, wait)?;
        }
        let now = self.now();
        let change = |meta: &mut Meta| {
            meta.mode = set.mode.map(|mode| mode & 0o7777).or(meta.mode);
            meta.uid = set.uid.or(meta.uid);
            meta.gid = set.gid.or(meta.gid);
            meta.atime = set.atime.unwrap_or(meta.atime);
            meta.mtime = set.mtime.unwrap_or(meta.mtime);
            meta.ctime = now;
        };
        let tree = self.tree();
        match tree.place(ino).ok_or(Error::NotFound)? {
            Place::Root => change(&mut lock(&self.root)),
            Place::Gist(key) => self.store.update(*key, |gist| {
                change(&mut gist.meta);
                Ok(())
            })?,
            Place::File(key, name) => self.store.update(*key, |gist| {
                change(&mut gist.files.get_mut(name).ok_or(Error::NotFound)?.meta);
                Ok(())
            })?,
            Place::Gone => {}
        }
        if let Some(open) = self.opened_file(ino) {
            open.change_meta(change);
        }
        self.attr(&tree, ino)
    }

    /// How much can still be written: what the disk under the local state has, for every write
    /// goes there first.
    pub fn room(&self) -> Room {
        let mut files = 0;
        self.store.look_at_all(|gist| files += 1 + gist.files.len() as u64);
        let (total, free) = match nix::sys::statvfs::statvfs(self.store.directory()) {
            Ok(disk) => (
                disk.blocks() * disk.fragment_size(),
                disk.blocks_available() * disk.fragment_size(),
            ),
            // Zeros would read as "disk full".
            Err(_) => (1 << 40, 1 << 40),
        };
        Room { total, free, files, free_files: 1 << 24 }
    }

    fn writable(&self) -> Result<(), Error> {
        self.options.read_only.map_or(Ok(()), |why| Err(Error::ReadOnly(why)))
    }

    fn opened_file(&self, ino: Ino) -> Option<Arc<OpenFile>> {
        lock(&self.opened).get(&ino).map(|(open, _)| Arc::clone(open))
    }

    /// A name the user gives to something new: UTF-8 and short enough.
    fn new_name(name: &OsStr) -> Result<FileName, Error> {
        let name = name.to_str().ok_or(Error::InvalidName)?;
        if name.len() > LONGEST {
            return Err(Error::NameTooLong);
        }
        FileName::parse(name).ok_or(Error::NotFound)
    }
}
