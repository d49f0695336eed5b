//! Attributes: what `stat` and `df` tell, and what `chmod` and its like change.

use super::{Fh, GistFs, Wait, lock};
use crate::error::Error;
use crate::model::{BlobId, Time};
use crate::store::gist::{Content, Gist, LocalFile, Meta};
use crate::tree::{Ino, Place, Tree};

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
    /// Whether the kernel is told when any of this changes, or what the name stands for.
    pub steady: bool,
}

/// What `chmod`, `chown`, `utimens` and `truncate` change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

impl GistFs {
    /// What `stat` tells of `ino`.
    pub fn getattr(&self, ino: Ino, wait: Wait) -> Result<Attr, Error> {
        let tree = self.tree();
        match Self::hidden_place(&tree, ino) {
            Some(place) => {
                drop(tree);
                self.hidden_getattr(ino, &place, wait)
            }
            None => self.attr(&tree, ino),
        }
    }

    pub(super) fn attr(&self, tree: &Tree, ino: Ino) -> Result<Attr, Error> {
        match tree.place(ino).ok_or(Error::Replaced)? {
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
            Place::Hidden(_) => Err(Error::Invalid),
            Place::Gone => {
                let Some(open) = self.opened_file(ino) else {
                    return self.lost_attr(ino).ok_or(Error::Replaced);
                };
                let live = open.live();
                let content = Content::Bytes { blob: BlobId::EMPTY, size: live.size };
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
            steady: true,
        }
    }

    /// Changes attributes; a size may need the body, and so the network. `fh`: it is asked for by
    /// way of that handle.
    pub fn setattr(
        &self,
        ino: Ino,
        set: &SetAttr,
        fh: Option<Fh>,
        wait: Wait,
    ) -> Result<Attr, Error> {
        let hidden = Self::hidden_place(&self.tree(), ino);
        if let Some(place) = hidden.or_else(|| self.place_opened(fh?)) {
            return self.hidden_setattr(ino, &place, set, fh, wait);
        }
        self.writable()?;
        if let Some(size) = set.size {
            self.truncate(ino, size, wait)?;
        }
        if set.size.is_some() && (SetAttr { size: None, ..*set }) == SetAttr::default() {
            // What was cut is changed and recorded already, or will be when it is closed.
            return self.attr(&self.tree(), ino);
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
        let _turn = self.turn();
        let place = self.tree().place(ino).cloned();
        match place.ok_or(Error::NotFound)? {
            Place::Root => change(&mut lock(&self.root)),
            Place::Gist(key) => self.store.update(key, |gist| {
                change(&mut gist.meta);
                Ok(())
            })?,
            Place::File(key, name) => self.store.update(key, |gist| {
                change(&mut gist.files.get_mut(&name).ok_or(Error::NotFound)?.meta);
                Ok(())
            })?,
            Place::Hidden(_) | Place::Gone => {}
        }
        if let Some(open) = self.opened_file(ino) {
            open.change_meta(change);
        }
        self.attr(&self.tree(), ino)
    }

    /// How much can still be written: what the disk under the local state has, for every write
    /// goes there first.
    pub fn room(&self) -> Room {
        let files = self.store.count();
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
}
