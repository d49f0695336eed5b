//! What every file operation means, in plain types: no FUSE here, and no HTTP.
//!
//! Each method is one operation. It asks the tree where, the store what, and answers from
//! memory or local disk. The few that may need the network take a [`Wait`]: asked with
//! [`Wait::No`] they answer [`Error::WouldWait`] instead of blocking, and the caller asks again
//! from a thread that may wait.
//!
//! Locks are taken in this order: an open file's body, the turn to change, the store's for a commit, the
//! tree, the store's for a look. A commit is made with the tree free, so who only looks around waits
//! for no disk: tree and store change together when it is made. None is held across the network.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use self::hidden::{HiddenHandle, ShelfNames};
use self::open::{Handle, OpenFile};
use crate::error::Error;
use crate::model::{FileName, Time};
use crate::store::Store;
use crate::store::gist::{Content, Gist, GistKey, Meta};
use crate::sync::Syncer;
use crate::tree::names::{self, LONGEST};
use crate::tree::{Ino, Place, Tree};

mod ahead;
mod attr;
mod content;
mod follow;
mod hidden;
mod namespace;
mod offline;
mod open;
mod record;
mod rename;
mod report;
mod xattr;

pub use self::attr::{Attr, Kind, Room, SetAttr};
pub use self::content::{Fallocate, Fh, OpenMode};
pub use self::namespace::NewNode;
pub use self::rename::RenameMode;
pub use self::report::MountedAs;
pub use self::xattr::Expect;
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
    /// Whose token it is; nobody's without one.
    pub login: Option<String>,
    /// New gists are public.
    pub public: bool,
    /// Directories are named by id instead of title.
    pub names_by_id: bool,
    /// The root is the directory of one gist, the only one there is.
    pub of_one: bool,
    /// The largest file, in bytes.
    pub largest: u64,
    /// Gists and files have extended attributes.
    pub xattr: bool,
    /// Hidden places are listed.
    pub show_hidden: bool,
}

/// Whether an operation may block until the network has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Answer now or say [`Error::WouldWait`].
    No,
    /// Wait, within the bounds of the network layer.
    Yes,
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
    /// Held by whoever changes which files there are, or relies on it, across the commit. Names and
    /// places in the tree change under it alone.
    turn: Mutex<()>,
    tree: Mutex<Tree>,
    store: Arc<Store>,
    syncer: Arc<Syncer>,
    options: Options,
    clock: Clock,
    /// Files open now, with how many handles. A leaf: held for a look, under any other lock.
    opened: Mutex<HashMap<Ino, (Arc<OpenFile>, u32)>>,
    /// A leaf like `opened`.
    handles: Mutex<HashMap<Fh, Arc<Handle>>>,
    /// Files that were read and closed before what was read was proved. A leaf like `opened`.
    doubtful: Mutex<HashSet<Ino>>,
    /// A leaf like `opened`.
    hidden_handles: Mutex<HashMap<Fh, Arc<HiddenHandle>>>,
    /// How many listings of hidden directories came to their end.
    listings: AtomicU32,
    /// The names in views. A leaf like `opened`.
    shelf_names: Mutex<ShelfNames>,
    desks: hidden::Desks,
    ahead: ahead::Ahead,
    next_handle: AtomicU64,
    /// The descriptions that directory names were made of. Under the tree's lock only.
    titles: Mutex<HashMap<GistKey, String>>,
    root: Mutex<Meta>,
    mounted_as: OnceLock<MountedAs>,
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
        let tree = if options.of_one { Tree::of_one() } else { Tree::default() };
        let fs = Arc::new(Self {
            turn: Mutex::default(),
            tree: Mutex::new(tree),
            store,
            syncer,
            options,
            clock,
            opened: Mutex::default(),
            handles: Mutex::default(),
            doubtful: Mutex::default(),
            hidden_handles: Mutex::default(),
            listings: AtomicU32::new(0),
            shelf_names: Mutex::default(),
            desks: hidden::Desks::default(),
            ahead: ahead::Ahead::default(),
            next_handle: AtomicU64::new(1),
            titles: Mutex::default(),
            root: Mutex::new(Meta::at(now)),
            mounted_as: OnceLock::new(),
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

    fn turn(&self) -> MutexGuard<'_, ()> {
        lock(&self.turn)
    }

    /// Shows every gist of the store; of two with one title the older gets the bare name.
    fn show_all(&self) {
        let mut gists = Vec::new();
        self.store.look_at_all(|gist| {
            if gist.is_shown() {
                let age = gist.base.as_ref().map(|base| (base.created_at, base.id.clone()));
                gists.push((age.is_none(), age, gist.key));
            }
        });
        gists.sort();
        let mut tree = self.tree();
        for (_, _, key) in gists {
            self.store.look(key, |gist| self.show(&mut tree, gist));
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

    /// Makes sure that what is in the directory `ino` has its numbers.
    fn learn_directory(&self, tree: &mut Tree, ino: Ino) -> Result<(), Error> {
        match tree.place(ino).ok_or(Error::NotFound)? {
            Place::Gist(key) => {
                let key = *key;
                self.learn(tree, key);
                Ok(())
            }
            Place::Root => Ok(()),
            Place::File(..) => Err(Error::NotDirectory),
            Place::Hidden(_) | Place::Gone => Err(Error::NotFound),
        }
    }

    /// Finds `name` in a directory; the kernel is then owed one FORGET.
    ///
    /// `None`: there is no such name, and the kernel will be told if one comes. In a hidden
    /// directory nobody would tell it: there that is [`Error::NotFound`].
    pub fn lookup(&self, parent: Ino, name: &OsStr, wait: Wait) -> Result<Option<Attr>, Error> {
        let mut tree = self.tree();
        if let Some(place) = Self::hidden_place(&tree, parent) {
            drop(tree);
            return self.hidden_lookup(parent, &place, name, wait).map(Some);
        }
        let Some(name) = name.to_str() else { return Ok(None) };
        if name.len() > LONGEST {
            return Err(Error::NameTooLong);
        }
        self.learn_directory(&mut tree, parent)?;
        if let Some(ino) = tree.child(parent, name) {
            let attr = self.attr(&tree, ino)?;
            tree.remember(ino);
            return Ok(Some(attr));
        }
        let Some(place) = Self::hidden_door(&tree, parent, name) else { return Ok(None) };
        drop(tree);
        self.enter(parent, name, &place, wait).map(Some)
    }

    /// Takes back `count` of the times the kernel was told of `ino`.
    pub fn forget(&self, ino: Ino, count: u64) {
        self.tree().forget(ino, count);
    }

    /// Lists a directory behind the cookie `after` (0 from the start) until `take` says it is full.
    ///
    /// With `plus` every entry comes with its attributes and owes the kernel one FORGET, `.` and
    /// `..` excepted. An entry whose number `take` refused is not counted. Nothing was handed to
    /// `take` when the answer is [`Error::WouldWait`].
    pub fn readdir(
        &self,
        ino: Ino,
        after: u64,
        plus: bool,
        wait: Wait,
        mut take: impl FnMut(Listed<'_>) -> bool,
    ) -> Result<(), Error> {
        let doors = self.shown_doors(ino, after, plus);
        let mut tree = self.tree();
        if let Some(place) = Self::hidden_place(&tree, ino) {
            drop(tree);
            return self.hidden_readdir(ino, &place, (after, plus), wait, &mut take);
        }
        self.learn_directory(&mut tree, ino)?;
        for (cookie, name, dot) in [(1, ".", ino), (2, "..", tree.parent(ino))] {
            if after < cookie {
                let attr = if plus { Some(self.attr(&tree, dot)?) } else { None };
                if take(Listed { ino: dot, cookie, name, kind: Kind::Directory, attr }) {
                    return Ok(());
                }
            }
        }
        let mut told = Vec::new();
        let own = tree.entries(ino, after).filter_map(|(child, name)| {
            // A file that vanished between store and tree is about to vanish here too.
            let attr = self.attr(&tree, child).ok()?;
            let (kind, attr) = (attr.kind, plus.then_some(attr));
            Some(Listed { ino: child, cookie: child.0, name, kind, attr })
        });
        for entry in doors.into_iter().chain(own) {
            let number = entry.ino;
            if take(entry) {
                break;
            }
            told.push(number);
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
        if let Some(place) = Self::hidden_place(&tree, ino) {
            return Self::hidden_target(&place);
        }
        let Some(Place::File(key, name)) = tree.place(ino) else { return Err(Error::Invalid) };
        let look = |gist: &Gist| match &gist.files.get(name)?.content {
            Content::Link(target) => Some(target.clone()),
            Content::Bytes { .. } => None,
        };
        self.store.look(*key, look).flatten().ok_or(Error::Invalid)
    }

    fn writable(&self) -> Result<(), Error> {
        self.options.read_only.map_or(Ok(()), |why| Err(Error::ReadOnly(why)))
    }

    fn new_handle(&self) -> Fh {
        Fh(self.next_handle.fetch_add(1, Ordering::Relaxed))
    }

    fn tell_stale(&self, stale: Stale) {
        if let Some(invalidate) = self.invalidate.get() {
            invalidate(stale);
        }
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
