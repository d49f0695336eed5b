//! Names that come and go: create, mkdir, symlink, unlink, rmdir.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::MutexGuard;

use super::content::{Fh, OpenMode};
use super::hidden::READ_ONLY;
use super::{Attr, GistFs, Wait, lock};
use crate::error::Error;
use crate::model::FileName;
use crate::store::gist::{Content, Gist, GistKey, LocalFile};
use crate::store::scratch;
use crate::tree::names;
use crate::tree::{Ino, Place, Tree};

/// What whoever makes a file or directory brings along.
#[derive(Clone, Copy, Debug)]
pub struct NewNode {
    /// Permission bits, the maker's umask already taken away. Those for group and others are not
    /// taken over: a gist may be secret, so opening it takes a chmod.
    pub mode: u32,
    /// The maker.
    pub uid: u32,
    /// The maker's group.
    pub gid: u32,
}

impl NewNode {
    /// The mode to remember; `None` where it is the mount's own anyway.
    fn private_mode(&self, usual: u32, umask: u32) -> Option<u32> {
        let mode = self.mode & 0o700 & !umask;
        (mode != usual & !umask).then_some(mode)
    }
}

pub(super) const FLAT: Error =
    Error::NotPermitted("a gist is flat: it holds files and no directories");
const ROOT_FILES: Error =
    Error::NotPermitted("files live in gists: make a directory for the gist first");
pub(super) const RESERVED: Error = Error::NotPermitted("the name is kept for gistfs' own use");

const GONE: Error = Error::NotPermitted("the gist that this mount shows is gone from GitHub");

impl GistFs {
    /// The gist a directory is.
    pub(super) fn gist_at(tree: &Tree, ino: Ino) -> Result<GistKey, Error> {
        match tree.place(ino).ok_or(Error::NotFound)? {
            Place::Gist(key) => Ok(*key),
            Place::Root if tree.is_of_one() => Err(GONE),
            Place::Root => Err(ROOT_FILES),
            Place::File(..) => Err(Error::NotDirectory),
            Place::Hidden(_) => Err(READ_ONLY),
            Place::Gone => Err(Error::NotFound),
        }
    }

    /// Makes an empty file and opens it.
    pub fn create(
        &self,
        parent: Ino,
        name: &OsStr,
        new: NewNode,
        mode: OpenMode,
    ) -> Result<(Attr, Fh), Error> {
        if let Some(place) = self.hidden_at(parent) {
            return self.hidden_create(parent, &place, name, mode);
        }
        let _turn = self.turn();
        let now = self.now();
        let opened = |file: &mut LocalFile| {
            if mode.writes {
                file.opened(now);
            }
        };
        let (ino, mut tree) = self.make(parent, name, new, opened)?;
        let open = self.hold_open(&tree, ino)?;
        tree.remember(ino);
        let attr = self.attr(&tree, ino)?;
        drop(tree);
        Ok((attr, self.hand_out(open, mode)))
    }

    /// Makes an empty file.
    pub fn mknod(&self, parent: Ino, name: &OsStr, new: NewNode) -> Result<Attr, Error> {
        if let Some(place) = self.hidden_at(parent) {
            return self.hidden_make(parent, &place, name).map(|(attr, _)| attr);
        }
        let _turn = self.turn();
        let (ino, mut tree) = self.make(parent, name, new, |_| {})?;
        tree.remember(ino);
        self.attr(&tree, ino)
    }

    /// Makes a symbolic link: for scratch names only, which editors use as locks.
    pub fn symlink(
        &self,
        parent: Ino,
        name: &OsStr,
        target: &Path,
        new: NewNode,
    ) -> Result<Attr, Error> {
        let _turn = self.turn();
        if self.hidden_at(parent).is_some() {
            return Err(READ_ONLY);
        }
        if !name.to_str().is_some_and(scratch::matches) {
            return Err(Error::NotPermitted("a gist holds no symbolic links"));
        }
        let target = target.to_str().ok_or(Error::InvalidName)?.to_owned();
        let link = |file: &mut LocalFile| file.content = Content::Link(target);
        let (ino, mut tree) = self.make(parent, name, new, link)?;
        tree.remember(ino);
        self.attr(&tree, ino)
    }

    /// Makes a file and does `more` to it. Called with the turn held; the tree is handed over locked, in
    /// the moment in which everybody sees the new file.
    fn make(
        &self,
        parent: Ino,
        name: &OsStr,
        new: NewNode,
        more: impl FnOnce(&mut LocalFile),
    ) -> Result<(Ino, MutexGuard<'_, Tree>), Error> {
        self.writable()?;
        let (key, name) = {
            let mut tree = self.tree();
            let key = Self::gist_at(&tree, parent)?;
            let name = Self::new_name(name)?;
            if names::reserved_in_gist(name.as_str())
                || (parent == Ino::ROOT && names::reserved_at_root(name.as_str()))
            {
                return Err(RESERVED);
            }
            self.learn(&mut tree, key);
            if tree.child(parent, name.as_str()).is_some() {
                return Err(Error::Exists);
            }
            (key, name)
        };
        let now = self.now();
        let add = |gist: &mut Gist| {
            if gist.files.contains_key(&name) {
                return Err(Error::Exists);
            }
            let mut file = LocalFile::new(now);
            more(&mut file);
            file.meta.mode = new.private_mode(0o600, self.options.umask);
            file.meta.uid = Some(new.uid).filter(|uid| *uid != self.options.uid);
            file.meta.gid = Some(new.gid).filter(|gid| *gid != self.options.gid);
            file.from = gist.remote(&name).map(|_| name.clone());
            settle_name(gist, &name);
            gist.files.insert(name.clone(), file);
            gist.meta.touch(now);
            if !gist.is_scratch(&name) {
                gist.changed(now);
            }
            Ok(())
        };
        let ((), mut tree) = self.store.update_under(key, add, || self.tree())?;
        self.syncer.poke();
        let ino = tree.add_file(key, &name).ok_or(Error::NotFound)?;
        Ok((ino, tree))
    }

    /// Makes a gist: local until it holds something GitHub accepts.
    pub fn mkdir(&self, parent: Ino, name: &OsStr, new: NewNode) -> Result<Attr, Error> {
        self.writable()?;
        let _turn = self.turn();
        let name = {
            let tree = self.tree();
            match tree.place(parent).ok_or(Error::NotFound)? {
                Place::Root if tree.is_of_one() => return Err(GONE),
                Place::Root => {}
                Place::Gist(_) => return Err(FLAT),
                Place::Hidden(_) => return Err(Self::no_directories(&tree, parent)),
                Place::File(..) => return Err(Error::NotDirectory),
                Place::Gone => return Err(Error::NotFound),
            }
            let name = Self::new_name(name)?;
            if names::reserved_at_root(name.as_str()) {
                return Err(RESERVED);
            }
            if tree.child(Ino::ROOT, name.as_str()).is_some() {
                return Err(Error::Exists);
            }
            name
        };
        let now = self.now();
        let key = self.store.new_key();
        let mut gist = Gist::new(key, name.as_str().to_owned(), self.options.public, now);
        gist.meta.mode = new.private_mode(0o700, self.options.umask);
        gist.meta.uid = Some(new.uid).filter(|uid| *uid != self.options.uid);
        gist.meta.gid = Some(new.gid).filter(|gid| *gid != self.options.gid);
        self.store.put_all(vec![(key, Some(gist))])?;
        let mut tree = self.tree();
        let ino = tree.add_gist(key, name.as_str());
        tree.learn_files(key, std::iter::empty());
        lock(&self.titles).insert(key, name.as_str().to_owned());
        lock(&self.root).touch(now);
        tree.remember(ino);
        self.attr(&tree, ino)
    }

    /// Takes a file's name away. Whoever has it open goes on reading and writing it.
    pub fn unlink(&self, parent: Ino, name: &OsStr, wait: Wait) -> Result<(), Error> {
        self.writable()?;
        self.may_push(wait)?;
        if let Some(place) = self.hidden_at(parent) {
            return self.hidden_unlink(parent, &place, name, wait);
        }
        let key = {
            let _turn = self.turn();
            let (key, name) = {
                let mut tree = self.tree();
                if tree.place(parent) == Some(&Place::Root) {
                    let shown = name.to_str().ok_or(Error::NotFound)?;
                    return Err(match tree.child(parent, shown) {
                        Some(_) => Error::IsDirectory,
                        None => Error::NotFound,
                    });
                }
                let key = Self::gist_at(&tree, parent)?;
                self.learn(&mut tree, key);
                let shown = name.to_str().ok_or(Error::NotFound)?;
                (key, tree.name_of(parent, shown).ok_or(Error::NotFound)?.clone())
            };
            let now = self.now();
            let remove = |gist: &mut Gist| {
                let local_only = gist.is_scratch(&name);
                let file = gist.files.remove(&name).ok_or(Error::NotFound)?;
                gist.meta.touch(now);
                gist.shed_unsent(&name, &file, now);
                if !local_only || file.from.is_some() {
                    gist.changed(now);
                }
                Ok(())
            };
            let ((), mut tree) = self.store.update_under(key, remove, || self.tree())?;
            if let Some(open) = tree.file(key, &name).and_then(|ino| self.opened_file(ino)) {
                open.change_meta(|meta| meta.ctime = now);
            }
            tree.remove_file(key, &name);
            key
        };
        self.syncer.poke();
        self.push_if_through(key)
    }

    /// Removes a gist that shows no file any more: one `DELETE`, or nothing if it never was sent.
    pub fn rmdir(&self, parent: Ino, name: &OsStr, wait: Wait) -> Result<(), Error> {
        self.writable()?;
        self.may_push(wait)?;
        let key = {
            let _turn = self.turn();
            let mut tree = self.tree();
            let shown = name.to_str().ok_or(Error::NotFound)?;
            if Self::hidden_place(&tree, parent).is_some() {
                return Err(Self::no_directories(&tree, parent));
            }
            if Self::hidden_door(&tree, parent, shown).is_some() {
                return Err(READ_ONLY);
            }
            if let Some(Place::Gist(key)) = tree.place(parent) {
                let key = *key;
                self.learn(&mut tree, key);
            }
            let ino = tree.child(parent, shown).ok_or(Error::NotFound)?;
            let key = match tree.place(ino).ok_or(Error::NotFound)? {
                Place::Gist(key) => *key,
                Place::Root | Place::File(..) | Place::Hidden(_) | Place::Gone => {
                    return Err(Error::NotDirectory);
                }
            };
            drop(tree);
            self.drop_empty(key)?;
            key
        };
        self.syncer.poke();
        self.push_if_through(key)
    }

    /// Takes an empty gist out of the tree; what GitHub has of it is then owed a deletion. Called with
    /// the turn held.
    pub(super) fn drop_empty(&self, key: GistKey) -> Result<(), Error> {
        let now = self.now();
        let local = self.store.look(key, |gist| {
            if gist.files.is_empty() {
                // What was removed from it has to be put into the trash, which takes a moment.
                Ok(gist.base.is_none() && gist.attempt.is_none() && gist.shed.is_empty())
            } else {
                Err(Error::NotEmpty)
            }
        });
        if local.ok_or(Error::NotFound)?? {
            self.store.put_all(vec![(key, None)])?;
            self.syncer.unsettle_movers(key);
        } else {
            self.store.update(key, |gist| {
                gist.removed = true;
                gist.removed_at = Some(now);
                gist.changed(now);
                Ok(())
            })?;
        }
        let mut tree = self.tree();
        tree.remove_gist(key);
        lock(&self.titles).remove(&key);
        lock(&self.root).touch(now);
        Ok(())
    }

    /// With write-through, an operation that GitHub must hear of may wait from its start.
    pub(super) fn may_push(&self, wait: Wait) -> Result<(), Error> {
        if self.options.through && wait == Wait::No { Err(Error::WouldWait) } else { Ok(()) }
    }

    pub(super) fn push_if_through(&self, key: GistKey) -> Result<(), Error> {
        let owes = || self.store.look(key, Gist::differs).unwrap_or(false);
        if self.options.through && owes() { self.push_through(key, None) } else { Ok(()) }
    }
}

/// A file called `name` comes to be: whatever scratch file was all there is of it is no longer.
pub(super) fn settle_name(gist: &mut Gist, name: &FileName) {
    for (other, file) in &mut gist.files {
        if other != name && file.limbo.is_some() && file.from.as_ref() == Some(name) {
            file.from = None;
            file.limbo = None;
        }
    }
}
