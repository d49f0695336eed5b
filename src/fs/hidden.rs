//! Places that no listing shows: what the operations mean there.
//!
//! Each kind of place is a [`Room`] in a module of its own. What a room holds comes from GitHub or
//! is made when it is asked for, so unlike the gists' own files it may take the network to answer
//! `lookup` and `stat`, and the kernel is told to believe nothing for long.

use std::ffi::OsStr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;

use super::content::Fh;
use super::{Attr, GistFs, Kind, Listed, OpenMode, RenameMode, Stale, Wait};
use crate::error::Error;
use crate::model::{BlobId, GistId, Snapshot, Time};
use crate::store::gist::GistKey;
use crate::sync::bodies::Source;
use crate::tree::hidden::{Hidden, Shape, Whose};
use crate::tree::names::{self, LONGEST};
use crate::tree::{Ino, Place, Tree};

mod comments;
mod control;
mod handle;
mod history;
mod mount;
mod stream;
mod views;

pub(super) use self::comments::Desks;
pub(super) use self::control::{Origin, digit};
pub(super) use self::handle::HiddenHandle;
use self::stream::Stream;
pub(super) use self::views::ShelfNames;

/// What a hidden place looks like from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Face {
    pub(super) kind: Kind,
    /// Bytes. Of what must be asked for first it may be 0, as in `/proc`: it is read to its end all
    /// the same.
    pub(super) size: u64,
    /// Whether it can be written, or entries be made in it.
    pub(super) writable: bool,
    /// When it last changed.
    pub(super) mtime: Time,
}

impl Face {
    /// A directory nothing can be made in.
    pub(super) fn directory(mtime: Time) -> Self {
        Self { kind: Kind::Directory, size: 0, writable: false, mtime }
    }

    /// A file nobody can write.
    pub(super) fn file(size: u64, mtime: Time) -> Self {
        Self { kind: Kind::File, size, writable: false, mtime }
    }

    /// The same, open to its owner's writing.
    pub(super) fn writable(self) -> Self {
        Self { writable: true, ..self }
    }
}

/// What a file here holds.
#[derive(Clone)]
pub(super) enum Content {
    /// All of it.
    Bytes(Bytes),
    /// A body that the store has, or that is fetched when it is read.
    Body { blob: BlobId, size: u64, source: Option<Source> },
}

/// An entry of a directory here.
pub(super) type Entry = (Arc<str>, Hidden);

/// A gist that a hidden place is about.
pub(super) struct About {
    /// What GitHub last told of it; `None`: it is not there yet.
    pub(super) snapshot: Option<Arc<Snapshot>>,
    /// Its key, if it is one of this mount's own.
    pub(super) key: Option<GistKey>,
}

impl About {
    /// GitHub's id. What has none yet has no history, no comments and no stars either.
    pub(super) fn id(&self) -> Option<&GistId> {
        self.snapshot.as_ref().map(|snapshot| &snapshot.id)
    }
}

/// One kind of hidden place. What a kind does not offer stays as it is here.
pub(super) trait Room {
    /// What `stat` tells.
    fn face(&self, fs: &GistFs, wait: Wait) -> Result<Face, Error>;

    /// The entry called `name`; [`Error::NotFound`] if there is none.
    fn child(&self, _fs: &GistFs, _name: &str, _wait: Wait) -> Result<Hidden, Error> {
        Err(Error::NotDirectory)
    }

    /// Some entries behind the first `from`; none only at the end.
    fn list(&self, _fs: &GistFs, _from: usize, _wait: Wait) -> Result<Vec<Entry>, Error> {
        Err(Error::NotDirectory)
    }

    /// Some entries behind the one with the position `after`, 0 being the beginning, each with its
    /// own; none only at the end. Positions grow; a room whose entries come and go in front of
    /// others gives each one of its own, so that who reads on misses nothing and sees nothing twice.
    fn list_after(&self, fs: &GistFs, after: u64, wait: Wait) -> Result<Vec<(u64, Entry)>, Error> {
        let from = after.saturating_sub(2);
        let entries = self.list(fs, usize::try_from(from).unwrap_or(usize::MAX), wait)?;
        Ok((from + 3..).zip(entries).collect())
    }

    /// What a symbolic link says.
    fn target(&self) -> Option<&str> {
        None
    }

    /// What a file holds, as of now.
    fn content(&self, _fs: &GistFs, _wait: Wait) -> Result<Content, Error> {
        Err(Error::IsDirectory)
    }

    /// What whoever opens the file now reads, where that goes on without an end.
    fn follow(&self, _fs: &GistFs) -> Option<Box<dyn Stream>> {
        None
    }

    /// What is known now of the file's bytes, and when they last changed: whoever opens it goes on
    /// with that when the file is gone before it is read or written.
    fn known(&self, _fs: &GistFs) -> Option<(Bytes, Time)> {
        None
    }

    /// Whether the file can be opened for writing.
    fn may_write(&self, _fs: &GistFs) -> Result<(), Error> {
        Err(READ_ONLY)
    }

    /// Takes `bytes`, all that was written so far, at once if that says everything: shells keep to
    /// themselves what `close` answers. An error is that of `write`, and nothing was written then.
    fn take(&self, _fs: &GistFs, _bytes: &[u8], _wait: Wait) -> Result<bool, Error> {
        Ok(false)
    }

    /// Somebody closed the file after writing `bytes`, which are all of it now.
    fn save(&self, _fs: &GistFs, _bytes: Bytes, _wait: Wait) -> Result<(), Error> {
        Err(READ_ONLY)
    }

    /// Whether what could not be saved stays here, and the log has said so.
    fn keeps_unsaved(&self) -> bool {
        false
    }

    /// Makes the file `name` in this directory.
    fn create(&self, _fs: &GistFs, _name: &str) -> Result<Hidden, Error> {
        Err(READ_ONLY)
    }

    /// Removes the file `name` from this directory.
    fn unlink(&self, _fs: &GistFs, _name: &str, _wait: Wait) -> Result<(), Error> {
        Err(READ_ONLY)
    }

    /// Renames a file of this directory to another name in it.
    fn rename(&self, _fs: &GistFs, _old: &str, _new: &str, _wait: Wait) -> Result<(), Error> {
        Err(READ_ONLY)
    }

    /// Why no directory can be made or removed in this one.
    fn no_directories(&self) -> Error {
        READ_ONLY
    }
}

/// What is refused in a place that is there for reading.
pub(super) const READ_ONLY: Error = Error::ReadOnly("gistfs shows this for reading");

/// What is refused where programs that walk the mount find hidden places: `rm -r` of a gist would
/// delete comments that no trash keeps, and `cp -r` would post them again.
const LISTED: Error =
    Error::ReadOnly("hidden places are for reading where --show-hidden lists them");

fn room(place: &Hidden) -> &dyn Room {
    match place {
        Hidden::Control(place) => place,
        Hidden::History(place) => place,
        Hidden::Comments(place) => place,
        Hidden::View(place) => place,
        Hidden::Mount(place) => place,
    }
}

impl GistFs {
    /// The gist that `whose` names.
    pub(super) fn about(&self, whose: &Whose, wait: Wait) -> Result<About, Error> {
        match whose {
            Whose::Own(key) => {
                let base =
                    self.store.look(*key, |gist| gist.base.clone()).ok_or(Error::NotFound)?;
                Ok(About { snapshot: base, key: Some(*key) })
            }
            Whose::Other(id) => {
                let snapshot = match (self.syncer.known_other(id), wait) {
                    (Some(known), _) => known,
                    (None, Wait::No) => return Err(Error::WouldWait),
                    (None, Wait::Yes) => self.syncer.ask_other(id)?,
                };
                Ok(About { snapshot: Some(snapshot), key: None })
            }
        }
    }

    /// Whether anything can be changed in hidden places.
    fn hidden_writable(&self) -> Result<(), Error> {
        self.writable()?;
        if self.options.show_hidden { Err(LISTED) } else { Ok(()) }
    }

    /// The hidden place a number stands for.
    pub(super) fn hidden_place(tree: &Tree, ino: Ino) -> Option<Hidden> {
        match tree.place(ino)? {
            Place::Hidden(place) => Some(place.clone()),
            Place::Root | Place::Gist(_) | Place::File(..) | Place::Gone => None,
        }
    }

    /// The same, for who has no lock.
    pub(super) fn hidden_at(&self, ino: Ino) -> Option<Hidden> {
        let tree = self.tree();
        Self::hidden_place(&tree, ino)
    }

    /// The hidden place called `name` in the root or a gist's directory.
    pub(super) fn hidden_door(tree: &Tree, parent: Ino, name: &str) -> Option<Hidden> {
        if !name.starts_with('.') {
            return None;
        }
        match tree.place(parent)? {
            Place::Root => Hidden::at_root(name),
            // The root may be a gist itself.
            Place::Gist(key) => Hidden::in_gist(Whose::Own(*key), name)
                .or_else(|| if parent == Ino::ROOT { Hidden::at_root(name) } else { None }),
            Place::File(..) | Place::Hidden(_) | Place::Gone => None,
        }
    }

    /// What a directory lists besides its own entries, with its cookies, if hidden places are shown.
    /// Called without the tree's lock.
    pub(super) fn shown_doors(&self, ino: Ino, after: u64, plus: bool) -> Vec<Listed<'static>> {
        if !self.options.show_hidden || self.learn_directory(&mut self.tree(), ino).is_err() {
            return Vec::new();
        }
        let door = |(at, name): (u64, &'static str)| {
            let place = {
                let tree = self.tree();
                // The root may be a gist with a file of such a name.
                Self::hidden_door(&tree, ino, name).filter(|_| tree.child(ino, name).is_none())?
            };
            // Without a token nobody has starred anything.
            if matches!(room(&place).face(self, Wait::No), Err(Error::NotFound)) {
                return None;
            }
            let attr = plus.then(|| self.listed_attr(ino, name, &place));
            let number = attr.map_or(UNKNOWN, |attr| attr.ino);
            let (cookie, kind) = (at, Kind::Directory);
            Some(Listed { ino: number, cookie, name, kind, attr })
        };
        // Between `..` and the smallest number an entry can have.
        let names = [names::IN_GIST].into_iter().chain(names::AT_ROOT);
        (3..).zip(names).filter(|(at, _)| *at > after).filter_map(door).collect()
    }

    /// What a listing tells of a hidden place. What is not known in full yet is asked for when
    /// somebody wants to know.
    fn listed_attr(&self, parent: Ino, name: &str, place: &Hidden) -> Attr {
        let unknown = Face { kind: kind_of(place), size: 0, writable: false, mtime: self.now() };
        let face = room(place).face(self, Wait::No).unwrap_or(unknown);
        let number = self.tree().hidden(parent, name, place);
        self.hidden_attr(number, &face)
    }

    /// Finds `name` in a hidden directory.
    pub(super) fn hidden_lookup(
        &self,
        parent: Ino,
        place: &Hidden,
        name: &OsStr,
        wait: Wait,
    ) -> Result<Attr, Error> {
        let name = name.to_str().ok_or(Error::NotFound)?;
        if name.len() > LONGEST {
            return Err(Error::NameTooLong);
        }
        let child = room(place).child(self, name, wait)?;
        self.enter(parent, name, &child, wait)
    }

    /// Gives a hidden place its number and tells of it; the kernel is then owed one FORGET.
    pub(super) fn enter(
        &self,
        parent: Ino,
        name: &str,
        place: &Hidden,
        wait: Wait,
    ) -> Result<Attr, Error> {
        let face = room(place).face(self, wait)?;
        let mut tree = self.tree();
        let ino = tree.hidden(parent, name, place);
        tree.remember(ino);
        Ok(self.hidden_attr(ino, &face))
    }

    pub(super) fn hidden_getattr(
        &self,
        ino: Ino,
        place: &Hidden,
        wait: Wait,
    ) -> Result<Attr, Error> {
        let face =
            if self.is_lost(ino) { Err(Error::NotFound) } else { room(place).face(self, wait) };
        let mut face = match face {
            Ok(face) => face,
            Err(Error::NotFound) => return self.lost_attr(ino).ok_or(Error::NotFound),
            Err(error) => return Err(error),
        };
        if face.kind == Kind::File
            && let Some(size) = self.written_size(ino)
        {
            face.size = size;
        }
        Ok(self.hidden_attr(ino, &face))
    }

    /// What `stat` tells of a hidden file that is gone and that somebody has open.
    pub(super) fn lost_attr(&self, ino: Ino) -> Option<Attr> {
        let face = self.lost_face(ino)?;
        Some(Attr { nlink: 0, ..self.hidden_attr(ino, &face) })
    }

    /// Whether the name of a hidden file was taken away here.
    fn is_lost(&self, ino: Ino) -> bool {
        self.tree().place(ino) == Some(&Place::Gone)
    }

    /// Why there are no directories to make or remove in the hidden directory `ino`.
    pub(super) fn no_directories(tree: &Tree, ino: Ino) -> Error {
        Self::hidden_place(tree, ino).map_or(READ_ONLY, |place| room(&place).no_directories())
    }

    fn hidden_attr(&self, ino: Ino, face: &Face) -> Attr {
        let (mode, nlink) = match face.kind {
            Kind::Directory => (0o500, 2),
            Kind::File => (0o400, 1),
            Kind::Link => (0o777, 1),
        };
        // The kernel asks for a listing again if the directory's time is not what it was.
        let nanoseconds = match face.kind {
            Kind::Directory => self.listings.load(Relaxed) % 1_000_000,
            Kind::File | Kind::Link => 0,
        };
        let write = if face.writable && self.options.read_only.is_none() { 0o200 } else { 0 };
        let mode =
            if face.kind == Kind::Link { mode } else { (mode | write) & !self.options.umask };
        Attr {
            ino,
            kind: face.kind,
            size: face.size,
            mode,
            nlink,
            uid: self.options.uid,
            gid: self.options.gid,
            atime: face.mtime,
            mtime: Time(face.mtime.0.saturating_add(i64::from(nanoseconds))),
            ctime: face.mtime,
            steady: false,
        }
    }

    /// Lists a hidden directory, as [`GistFs::readdir`] does.
    pub(super) fn hidden_readdir(
        &self,
        ino: Ino,
        place: &Hidden,
        (after, plus): (u64, bool),
        wait: Wait,
        take: &mut dyn FnMut(Listed<'_>) -> bool,
    ) -> Result<(), Error> {
        let room = room(place);
        let parent = self.tree().parent(ino);
        // Asked for first: nothing may be handed out before all that can fail is done.
        let entries = room.list_after(self, after, wait)?;
        for (cookie, name, dot) in [(1, ".", ino), (2, "..", parent)] {
            if after < cookie {
                let attr = if plus { Some(self.getattr(dot, wait)?) } else { None };
                if take(Listed { ino: dot, cookie, name, kind: Kind::Directory, attr }) {
                    return Ok(());
                }
            }
        }
        if entries.is_empty() {
            // The kernel keeps what it was told; next time it shall ask again. What it is told now
            // may reach it before the end of this listing does, so the time changes as well.
            self.listings.fetch_add(1, Relaxed);
            self.tell_stale(Stale::Node(ino));
        }
        for (cookie, (name, entry)) in &entries {
            let kind = kind_of(entry);
            let attr = plus.then(|| self.listed_attr(ino, name, entry));
            let number = attr.map_or(UNKNOWN, |attr| attr.ino);
            if take(Listed { ino: number, cookie: *cookie, name, kind, attr }) {
                break;
            }
            if attr.is_some() {
                self.tree().remember(number);
            }
        }
        Ok(())
    }

    /// What a hidden symbolic link says.
    pub(super) fn hidden_target(place: &Hidden) -> Result<String, Error> {
        room(place).target().map(str::to_owned).ok_or(Error::Invalid)
    }

    /// Makes a file in a hidden directory and opens it.
    pub(super) fn hidden_create(
        &self,
        parent: Ino,
        place: &Hidden,
        name: &OsStr,
        mode: OpenMode,
    ) -> Result<(Attr, Fh), Error> {
        let (attr, made) = self.hidden_make(parent, place, name)?;
        Ok((attr, self.hidden_open(attr.ino, &made, mode)?))
    }

    /// Makes a file in a hidden directory.
    pub(super) fn hidden_make(
        &self,
        parent: Ino,
        place: &Hidden,
        name: &OsStr,
    ) -> Result<(Attr, Hidden), Error> {
        self.hidden_writable()?;
        let name = name.to_str().ok_or(Error::InvalidName)?;
        if name.len() > LONGEST {
            return Err(Error::NameTooLong);
        }
        let made = room(place).create(self, name)?;
        Ok((self.enter(parent, name, &made, Wait::No)?, made))
    }

    pub(super) fn hidden_unlink(
        &self,
        parent: Ino,
        place: &Hidden,
        name: &OsStr,
        wait: Wait,
    ) -> Result<(), Error> {
        self.hidden_writable()?;
        let name = name.to_str().ok_or(Error::NotFound)?;
        room(place).unlink(self, name, wait)?;
        self.tree().lose_hidden(parent, name);
        Ok(())
    }

    /// Renames within one hidden directory; whatever else is asked for would be a move.
    pub(super) fn hidden_rename(
        &self,
        (parent, place): (Ino, &Hidden),
        (old, new): (&OsStr, &OsStr),
        mode: RenameMode,
        wait: Wait,
    ) -> Result<(), Error> {
        self.hidden_writable()?;
        let old = old.to_str().ok_or(Error::NotFound)?;
        let new = new.to_str().ok_or(Error::InvalidName)?;
        if new.len() > LONGEST {
            return Err(Error::NameTooLong);
        }
        if mode == RenameMode::NoReplace {
            match room(place).child(self, new, wait) {
                Ok(_) => return Err(Error::Exists),
                Err(Error::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        // Some programs rename what they have written before they close it.
        let moved = self.tree().hidden_child(parent, old);
        if let Some(ino) = moved {
            self.save_what_is_written(ino, wait)?;
        }
        room(place).rename(self, old, new, wait)?;
        let mut tree = self.tree();
        tree.lose_hidden(parent, old);
        tree.lose_hidden(parent, new);
        Ok(())
    }
}

/// The inode number of an entry whose number nobody needs.
const UNKNOWN: Ino = Ino(0xffff_ffff);

/// What an entry is, as its place alone tells.
fn kind_of(place: &Hidden) -> Kind {
    match place.shape() {
        Shape::Directory => Kind::Directory,
        Shape::File => Kind::File,
        Shape::Link => Kind::Link,
    }
}
