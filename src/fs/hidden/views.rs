//! `.starred`, `.users`, `.public`, `.by-id`: other people's gists, for reading.
//!
//! A gist of this mount's own is a link to its directory there, so that it has one path only.

use std::sync::Arc;

use super::{Content, Entry, Face, Room};
use crate::error::Error;
use crate::fs::{GistFs, Wait, lock};
use crate::model::{FileName, GistId, RemoteFile, Snapshot, Time};
use crate::sync::bodies::Source;
use crate::sync::others::{Belief, Shelf, View};
use crate::tree::hidden::{Hidden, ViewPlace, Whose};
use crate::tree::{Ino, names as tree_names};

pub(super) mod names;

pub(in crate::fs) use self::names::ShelfNames;

/// As many entries are handed on at a time; the kernel takes fewer.
const PART: usize = 256;

/// What programs look for in every directory above the one they are in: no question for GitHub. No
/// id is like that, a user's login is found in small letters, and a gist of such a title once it
/// was listed.
const PROBED: [&str; 6] = [".git", "HEAD", ".hg", ".svn", ".bzr", ".jj"];

/// The longest login of an Enterprise Server.
const LONGEST_LOGIN: usize = 100;

impl Room for ViewPlace {
    // All of it looks writable to its owner, so that what is copied out of it is; whoever tries to
    // write is told that the place is read-only, not that it is somebody else's.
    fn face(&self, fs: &GistFs, wait: Wait) -> Result<Face, Error> {
        match self {
            Self::Starred if !fs.syncer.is_signed_in() => Err(Error::NotFound),
            Self::Starred | Self::Users | Self::User(_) | Self::Public | Self::ById => {
                Ok(Face::directory(lock(&fs.root).mtime).writable())
            }
            Self::Gist(id) => Ok(Face::directory(fs.other(id, wait)?.updated_at).writable()),
            Self::File(id, name) => {
                let gist = fs.other(id, wait)?;
                let file = file_in(&gist, name)?;
                Ok(Face::file(file.size, gist.updated_at).writable())
            }
            Self::Link(target) => {
                let face = Face::file(target.len() as u64, fs.linked(target));
                Ok(Face { kind: super::Kind::Link, ..face })
            }
        }
    }

    fn child(&self, fs: &GistFs, name: &str, wait: Wait) -> Result<Hidden, Error> {
        match self {
            Self::Users => fs.user(name, wait).map(Hidden::View),
            Self::ById => fs.by_id(name, wait).map(Hidden::View),
            Self::Gist(id) => match Hidden::in_gist(Whose::Other(id.clone()), name) {
                Some(door) => Ok(door),
                None => fs.file_of_other(id, name, wait).map(Hidden::View),
            },
            Self::File(..) | Self::Link(_) => Err(Error::NotDirectory),
            Self::Starred | Self::User(_) | Self::Public => {
                let view = self.view().ok_or(Error::NotDirectory)?;
                let id = fs.shelved(&view, name, wait)?;
                Ok(Hidden::View(fs.gist_or_link(&id, self.depth())))
            }
        }
    }

    fn list(&self, fs: &GistFs, from: usize, wait: Wait) -> Result<Vec<Entry>, Error> {
        match self {
            Self::Users => {
                let users = fs.syncer.users().into_iter().skip(from);
                Ok(users
                    .map(|login| (Arc::clone(&login), Hidden::View(Self::User(login))))
                    .collect())
            }
            Self::ById => {
                let ids = fs.syncer.others_by_id().into_iter().skip(from);
                let entry = |id: GistId| {
                    (id.as_str().into(), Hidden::View(fs.gist_or_link(&id, self.depth())))
                };
                Ok(ids.map(entry).collect())
            }
            Self::Gist(id) => {
                // Who reads on gets what it was at the beginning.
                let gist = if from == 0 { fs.fresh_other(id, wait) } else { fs.other(id, wait) }?;
                let file = |(shown, name)| (shown, Hidden::View(Self::File(id.clone(), name)));
                let door = Hidden::in_gist(Whose::Other(id.clone()), tree_names::IN_GIST);
                let door = door.filter(|_| fs.options.show_hidden);
                let door = door.map(|door| (tree_names::IN_GIST.into(), door)).into_iter();
                let files = names::files(&gist).into_iter().map(file);
                Ok(door.chain(files).skip(from).collect())
            }
            Self::File(..) | Self::Link(_) => Err(Error::NotDirectory),
            Self::Starred | Self::User(_) | Self::Public => {
                let view = self.view().ok_or(Error::NotDirectory)?;
                fs.shelf_entries(&view, self.depth(), from, wait)
            }
        }
    }

    fn target(&self) -> Option<&str> {
        match self {
            Self::Link(target) => Some(target),
            Self::Starred
            | Self::Users
            | Self::User(_)
            | Self::Public
            | Self::ById
            | Self::Gist(_)
            | Self::File(..) => None,
        }
    }

    fn content(&self, fs: &GistFs, wait: Wait) -> Result<Content, Error> {
        match self {
            Self::File(id, name) => {
                let gist = fs.fresh_other(id, wait)?;
                let file = file_in(&gist, name)?.clone();
                let (blob, size) = (file.blob, file.size);
                let source = Some(Source::in_gist(&gist, file));
                Ok(Content::Body { blob, size, source })
            }
            Self::Link(_) => Err(Error::Invalid),
            Self::Starred
            | Self::Users
            | Self::User(_)
            | Self::Public
            | Self::ById
            | Self::Gist(_) => Err(Error::IsDirectory),
        }
    }
}

impl ViewPlace {
    /// The list that the place shows.
    fn view(&self) -> Option<View> {
        match self {
            Self::Starred => Some(View::Starred),
            Self::User(login) => Some(View::User(Arc::clone(login))),
            Self::Public => Some(View::Public),
            Self::Users | Self::ById | Self::Gist(_) | Self::File(..) | Self::Link(_) => None,
        }
    }

    /// The way from an entry of it up to the root.
    fn depth(&self) -> &'static str {
        match self {
            Self::User(_) => "../..",
            Self::Starred
            | Self::Users
            | Self::Public
            | Self::ById
            | Self::Gist(_)
            | Self::File(..)
            | Self::Link(_) => "..",
        }
    }
}

fn file_in<'a>(gist: &'a Snapshot, name: &FileName) -> Result<&'a RemoteFile, Error> {
    gist.files.get(name).ok_or(Error::NotFound)
}

/// Whether there could be a user of that name. Programs look for `.git` and its like everywhere.
fn is_login(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !name.is_empty() && name.len() <= LONGEST_LOGIN && name.chars().all(plain)
}

/// Runs `ask` if waiting is allowed.
fn if_may<T>(wait: Wait, ask: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    match wait {
        Wait::No => Err(Error::WouldWait),
        Wait::Yes => ask(),
    }
}

impl GistFs {
    /// Somebody's gist, however old what is known of it.
    fn other(&self, id: &GistId, wait: Wait) -> Result<Arc<Snapshot>, Error> {
        match self.syncer.known_other(id) {
            Some(known) => Ok(known),
            None => if_may(wait, || self.syncer.ask_other(id)),
        }
    }

    /// Somebody's gist as it was some seconds ago at most, if GitHub answers.
    pub(in crate::fs) fn fresh_other(
        &self,
        id: &GistId,
        wait: Wait,
    ) -> Result<Arc<Snapshot>, Error> {
        match self.syncer.believed_other(id, Belief::Fresh) {
            Some(believed) => believed,
            None => if_may(wait, || self.syncer.ask_other(id)),
        }
    }

    /// The gist in a view: by its own directory, if it is one of this mount's.
    fn gist_or_link(&self, id: &GistId, up: &str) -> ViewPlace {
        let key = self.store.find(id);
        let tree = self.tree();
        let Some(ino) = key.and_then(|key| tree.gist(key)) else {
            return ViewPlace::Gist(id.clone());
        };
        match tree.shown(ino) {
            Some(name) if ino != Ino::ROOT => ViewPlace::Link(format!("{up}/{name}").into()),
            Some(_) | None => ViewPlace::Link(up.into()),
        }
    }

    /// When what a link leads to last changed. The gist may have another name by now.
    fn linked(&self, target: &str) -> Time {
        let tree = self.tree();
        let last = target.rsplit('/').next().unwrap_or(target);
        let ino = if last == ".." { Some(Ino::ROOT) } else { tree.child(Ino::ROOT, last) };
        let attr = ino.and_then(|ino| self.attr(&tree, ino).ok());
        attr.map_or_else(|| lock(&self.root).mtime, |attr| attr.mtime)
    }

    fn user(&self, login: &str, wait: Wait) -> Result<ViewPlace, Error> {
        if !is_login(login) || PROBED.contains(&login) {
            return Err(Error::NotFound);
        }
        let place = ViewPlace::User(login.into());
        let view = View::User(login.into());
        if !self.syncer.knows_view(&view) {
            if_may(wait, || self.syncer.ask_view(&view, 0, Belief::Recent))?;
        }
        Ok(place)
    }

    fn by_id(&self, name: &str, wait: Wait) -> Result<ViewPlace, Error> {
        let id = GistId::parse(name).filter(|_| !PROBED.contains(&name)).ok_or(Error::NotFound)?;
        let place = self.gist_or_link(&id, "..");
        if matches!(place, ViewPlace::Gist(_)) {
            if self.syncer.known_other(&id).is_none() {
                self.fresh_other(&id, wait)?;
            }
            self.syncer.note_by_id(&id);
        }
        Ok(place)
    }

    /// The file shown as `name` in somebody's gist.
    fn file_of_other(&self, id: &GistId, name: &str, wait: Wait) -> Result<ViewPlace, Error> {
        let known = self.other(id, wait)?;
        if let Some(file) = names::file(&known, name) {
            return Ok(ViewPlace::File(id.clone(), file));
        }
        let gist = match self.syncer.believed_other(id, Belief::Recent) {
            Some(believed) => believed?,
            None => if_may(wait, || self.syncer.ask_other(id))?,
        };
        let file = names::file(&gist, name).ok_or(Error::NotFound)?;
        Ok(ViewPlace::File(id.clone(), file))
    }

    /// Runs `look` on the names of what is on the shelf.
    fn named<T>(&self, view: &View, shelf: &Shelf, look: impl FnOnce(&names::Named) -> T) -> T {
        let is_known = |view: &View| self.syncer.knows_view(view);
        let by_id = self.options.names_by_id;
        look(lock(&self.shelf_names).follow(view, shelf, by_id, is_known))
    }

    /// The gist called `name` in a view. The list is read on until it is found; everybody's is not,
    /// for it has no end that matters.
    fn shelved(&self, view: &View, name: &str, wait: Wait) -> Result<GistId, Error> {
        if tree_names::reserved_at_root(name) {
            return Err(Error::NotFound);
        }
        let find = |shelf: &Shelf| self.named(view, shelf, |named| named.id(name).cloned());
        if let Some(id) = self.syncer.shelf(view).as_ref().and_then(find) {
            return Ok(id);
        }
        if PROBED.contains(&name) {
            return Err(Error::NotFound);
        }
        let mut from = 0;
        loop {
            let shelf = self.shelf_at(view, from, Belief::Recent, wait)?;
            if let Some(id) = find(&shelf) {
                return Ok(id);
            }
            match shelf.page_end(from) {
                Some(end) if *view != View::Public => from = end,
                Some(_) | None => return Err(Error::NotFound),
            }
        }
    }

    fn shelf_at(
        &self,
        view: &View,
        from: usize,
        belief: Belief,
        wait: Wait,
    ) -> Result<Shelf, Error> {
        match self.syncer.known_view(view, from, belief) {
            Some(shelf) => Ok(shelf),
            None => if_may(wait, || self.syncer.ask_view(view, from, belief)),
        }
    }

    fn shelf_entries(
        &self,
        view: &View,
        up: &str,
        from: usize,
        wait: Wait,
    ) -> Result<Vec<Entry>, Error> {
        let shelf = self.shelf_at(view, from, Belief::Fresh, wait)?;
        // Only who reads on where a page begins asks whether it is still so.
        let part = shelf.page_end(from).map_or(0, |end| PART.min(end - from));
        let part: Vec<(Arc<str>, GistId)> = self.named(view, &shelf, |named| {
            let ids = shelf.items().skip(from).take(part).map(|item| &item.id);
            ids.filter_map(|id| Some((Arc::clone(named.name(id)?), id.clone()))).collect()
        });
        let entry =
            |(name, id): (Arc<str>, GistId)| (name, Hidden::View(self.gist_or_link(&id, up)));
        Ok(part.into_iter().map(entry).collect())
    }
}
