//! `.gist/comments`: a file for every comment, oldest first; a new file is a new comment.
//!
//! What programs do on their way to a comment stays here, in the [`Desk`]: scratch files, drafts
//! that GitHub did not take, and the moment between the two halves of an editor's save.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};

use bytes::Bytes;

use self::desk::{Desk, Draft, Edit};
use super::{Content, Entry, Face, Room};
use crate::api::social::Comment;
use crate::error::Error;
use crate::fs::{GistFs, Wait, lock};
use crate::model::{GistId, Time};
use crate::store::scratch;
use crate::sync::comments::Told;
use crate::tree::hidden::{CommentPlace, Hidden, Whose};

mod desk;
mod name;
mod rename;
mod send;
mod text;
mod unsent;

/// Desks with nothing on them are cleared away when there are more.
const DESKS: usize = 64;

const NOT_THERE: Error =
    Error::NotPermitted("the gist is not on GitHub yet, so nobody can comment on it");
const NOBODY: Error = Error::NotPermitted("it is not known who would comment");

/// The positions of drafts in a listing are greater; those of comments come of their numbers.
const DRAFTS: u64 = 1 << 62;

/// The smallest position of a comment: smaller ones are for `.` and `..`.
const FIRST: u64 = 3;

/// What is here and not on GitHub, by gist.
#[derive(Default)]
pub(in crate::fs) struct Desks {
    /// A leaf, like the desks.
    desks: Mutex<HashMap<GistId, Arc<Table>>>,
}

/// One gist's.
#[derive(Default)]
struct Table {
    /// Held by whoever sends something that was written: who closes the same file after that finds
    /// out what became of it.
    sending: Mutex<()>,
    desk: Mutex<Desk>,
}

impl Table {
    fn desk(&self, now: Time) -> MutexGuard<'_, Desk> {
        let mut desk = lock(&self.desk);
        desk.tidy(now);
        desk
    }

    /// Nothing is being sent, and nothing will be as long as this is held.
    fn alone(&self, wait: Wait) -> Result<MutexGuard<'_, ()>, Error> {
        match (wait, self.sending.try_lock()) {
            (_, Ok(alone)) => Ok(alone),
            (_, Err(TryLockError::Poisoned(poisoned))) => Ok(poisoned.into_inner()),
            (Wait::Yes, Err(TryLockError::WouldBlock)) => Ok(lock(&self.sending)),
            (Wait::No, Err(TryLockError::WouldBlock)) => Err(Error::WouldWait),
        }
    }
}

impl Desks {
    fn of(&self, gist: &GistId) -> Arc<Table> {
        let mut desks = lock(&self.desks);
        if desks.len() > DESKS {
            desks.retain(|_, table| Arc::strong_count(table) > 1 || !lock(&table.desk).is_empty());
        }
        Arc::clone(desks.entry(gist.clone()).or_default())
    }
}

/// What a name stands for.
enum Found {
    Draft(Draft),
    Comment(Arc<Comment>, Option<Edit>),
}

impl GistFs {
    /// GitHub's id of the gist, if it has one.
    fn gist_id(&self, whose: &Whose) -> Result<Option<GistId>, Error> {
        match whose {
            Whose::Own(key) => {
                let look = self.store.look(*key, |gist| gist.base.as_ref().map(|b| b.id.clone()));
                look.ok_or(Error::NotFound)
            }
            Whose::Other(id) => Ok(Some(id.clone())),
        }
    }

    /// When something last changed there, as far as it is known.
    fn commented_at(&self, whose: &Whose, gist: Option<&GistId>) -> Time {
        let known = gist.and_then(|gist| self.syncer.known_comments(gist));
        let newest = known.and_then(|(told, _)| told.iter().map(|c| c.updated_at).max());
        let made = || match whose {
            Whose::Own(key) => self.store.look(*key, |gist| gist.meta.mtime),
            Whose::Other(id) => self.syncer.known_other(id).map(|known| known.created_at),
        };
        newest.or_else(made).unwrap_or_else(|| self.now())
    }

    fn is_own(&self, comment: &Comment) -> bool {
        let author = comment.author.as_deref();
        let own = self.options.login.as_deref();
        author.zip(own).is_some_and(|(author, own)| author.eq_ignore_ascii_case(own))
    }

    fn own(&self, comment: &Comment) -> Result<(), Error> {
        match self.is_own(comment) {
            true => Ok(()),
            false => Err(Error::Denied("the comment is somebody else's".into())),
        }
    }

    /// The comments on a gist; asked for, where waiting is allowed, if `believed` is asked for and
    /// they cannot be, or if they are not known at all.
    fn told(&self, gist: &GistId, believed: bool, wait: Wait) -> Result<Told, Error> {
        match (self.syncer.known_comments(gist), wait) {
            (Some((told, fresh)), _) if fresh || !believed => Ok(told),
            (_, Wait::No) => Err(Error::WouldWait),
            (_, Wait::Yes) => self.syncer.comments(gist),
        }
    }
}

impl CommentPlace {
    fn at(&self, name: &str) -> Hidden {
        Hidden::Comments(Self { whose: self.whose.clone(), name: Some(name.into()) })
    }

    /// The gist, which is on GitHub.
    fn gist(&self, fs: &GistFs) -> Result<GistId, Error> {
        fs.gist_id(&self.whose)?.ok_or(NOT_THERE)
    }

    fn file(&self) -> Result<&Arc<str>, Error> {
        self.name.as_ref().ok_or(Error::IsDirectory)
    }

    /// The comment that `name` means, whether an editor has put it aside or not.
    fn meant(
        fs: &GistFs,
        gist: &GistId,
        name: &str,
        wait: Wait,
    ) -> Result<Option<Arc<Comment>>, Error> {
        let also = fs.desks.of(gist).desk(fs.now()).also(name, fs.now());
        if also.is_none() && !name::is_possible(name) {
            return Ok(None);
        }
        let means = |comment: &&Arc<Comment>| {
            also.map_or_else(|| name::means(name, comment), |id| comment.id == id)
        };
        // What is known goes for as long as nobody lists or reads; what is not, may have come.
        for believed in [false, true] {
            let told = fs.told(gist, believed, wait)?;
            if let Some(comment) = told.iter().find(means) {
                return Ok(Some(Arc::clone(comment)));
            }
        }
        Ok(None)
    }

    fn found(fs: &GistFs, gist: &GistId, name: &str, wait: Wait) -> Result<Found, Error> {
        let table = fs.desks.of(gist);
        if let Some(draft) = table.desk(fs.now()).draft(name) {
            return Ok(Found::Draft(draft.clone()));
        }
        let comment = Self::meant(fs, gist, name, wait)?.ok_or(Error::NotFound)?;
        let desk = table.desk(fs.now());
        if desk.is_aside(comment.id) {
            return Err(Error::NotFound);
        }
        let edit = desk.edit(comment.id).cloned();
        Ok(Found::Comment(comment, edit))
    }
}

impl Room for CommentPlace {
    fn face(&self, fs: &GistFs, wait: Wait) -> Result<Face, Error> {
        let Some(name) = &self.name else {
            let gist = fs.gist_id(&self.whose)?;
            let face = Face::directory(fs.commented_at(&self.whose, gist.as_ref()));
            let may = gist.is_some() && fs.options.login.is_some();
            return Ok(if may { face.writable() } else { face });
        };
        let size = |bytes: &Bytes| bytes.len() as u64;
        match Self::found(fs, &self.gist(fs)?, name, wait)? {
            Found::Draft(draft) => Ok(Face::file(size(&draft.bytes), draft.mtime).writable()),
            Found::Comment(_, Some(edit)) => {
                Ok(Face::file(size(&edit.bytes), edit.mtime).writable())
            }
            Found::Comment(comment, None) => {
                let face = Face::file(size(&text::shown(&comment.body)), comment.updated_at);
                Ok(if fs.is_own(&comment) { face.writable() } else { face })
            }
        }
    }

    fn child(&self, fs: &GistFs, name: &str, wait: Wait) -> Result<Hidden, Error> {
        if self.name.is_some() {
            return Err(Error::NotDirectory);
        }
        let gist = fs.gist_id(&self.whose)?.ok_or(Error::NotFound)?;
        Self::found(fs, &gist, name, wait)?;
        Ok(self.at(name))
    }

    fn list_after(&self, fs: &GistFs, after: u64, wait: Wait) -> Result<Vec<(u64, Entry)>, Error> {
        if self.name.is_some() {
            return Err(Error::NotDirectory);
        }
        let Some(gist) = fs.gist_id(&self.whose)? else { return Ok(Vec::new()) };
        // Who goes on with a listing goes on with the same one.
        let told = fs.told(&gist, after < FIRST, wait)?;
        let table = fs.desks.of(&gist);
        let desk = table.desk(fs.now());
        let mut found: Vec<(u64, Arc<str>)> = Vec::new();
        for (place, comment) in told.iter().enumerate() {
            if !desk.is_aside(comment.id) {
                let at = comment.id.0.saturating_add(FIRST).min(DRAFTS - 1);
                found.push((at, name::of(place, comment).into()));
            }
        }
        let shown: HashSet<Arc<str>> = found.iter().map(|(_, name)| Arc::clone(name)).collect();
        for (serial, draft) in desk.drafts() {
            // A draft that somebody called like a comment is that name's file.
            if !shown.contains(draft) {
                found.push((DRAFTS.saturating_add(serial), Arc::clone(draft)));
            }
        }
        found.sort();
        let entry = |(at, name): (u64, Arc<str>)| (at, (Arc::clone(&name), self.at(&name)));
        Ok(found.into_iter().filter(|(at, _)| *at > after).map(entry).collect())
    }

    fn content(&self, fs: &GistFs, wait: Wait) -> Result<Content, Error> {
        let (name, gist) = (self.file()?, self.gist(fs)?);
        let comment = match Self::found(fs, &gist, name, wait)? {
            Found::Draft(draft) => return Ok(Content::Bytes(draft.bytes)),
            Found::Comment(_, Some(edit)) => return Ok(Content::Bytes(edit.bytes)),
            Found::Comment(comment, None) => comment,
        };
        let now = match (fs.syncer.known_comment(&gist, comment.id), wait) {
            (Some(known), _) => known?,
            (None, Wait::No) => return Err(Error::WouldWait),
            (None, Wait::Yes) => fs.syncer.comment(&gist, comment.id)?,
        };
        Ok(Content::Bytes(text::shown(&now.body)))
    }

    fn may_write(&self, fs: &GistFs) -> Result<(), Error> {
        let (name, gist) = (self.file()?, self.gist(fs)?);
        match Self::found(fs, &gist, name, Wait::No) {
            Ok(Found::Draft(_)) => Ok(()),
            Ok(Found::Comment(comment, _)) => fs.own(&comment),
            // Not remembered any more: whoever came by a path is to look it up again.
            Err(Error::WouldWait) => Err(Error::Replaced),
            Err(error) => Err(error),
        }
    }

    fn known(&self, fs: &GistFs) -> Option<(Bytes, Time)> {
        let (name, gist) = (self.name.as_ref()?, self.gist(fs).ok()?);
        match Self::found(fs, &gist, name, Wait::No).ok()? {
            Found::Draft(draft) => Some((draft.bytes, draft.mtime)),
            Found::Comment(_, Some(edit)) => Some((edit.bytes, edit.mtime)),
            Found::Comment(comment, None) => Some((text::shown(&comment.body), comment.updated_at)),
        }
    }

    fn save(&self, fs: &GistFs, bytes: Bytes, wait: Wait) -> Result<(), Error> {
        let (name, gist) = (self.file()?, self.gist(fs)?);
        if scratch::may_match(name)
            && fs.desks.of(&gist).desk(fs.now()).write(name, &bytes, fs.now())
        {
            return Ok(());
        }
        match wait {
            Wait::No => Err(Error::WouldWait),
            Wait::Yes => fs.send_comment(&gist, name, &bytes),
        }
    }

    fn keeps_unsaved(&self) -> bool {
        true
    }

    fn create(&self, fs: &GistFs, name: &str) -> Result<Hidden, Error> {
        let gist = self.gist(fs)?;
        let (table, now) = (fs.desks.of(&gist), fs.now());
        if fs.options.login.is_none() {
            return Err(NOBODY);
        }
        // Whoever makes a file has looked for it before.
        let meant = match Self::meant(fs, &gist, name, Wait::No) {
            Err(Error::WouldWait) => None,
            meant => meant?,
        };
        let mut desk = table.desk(now);
        match meant {
            _ if desk.draft(name).is_some() => return Err(Error::Exists),
            Some(comment) if desk.is_aside(comment.id) => {
                let edit = Edit { bytes: Bytes::new(), mtime: now, failed: false };
                desk.begin_edit(comment.id, edit);
            }
            Some(_) => return Err(Error::Exists),
            None => desk.put(name, Draft::new(Bytes::new(), now)),
        }
        Ok(self.at(name))
    }

    fn unlink(&self, fs: &GistFs, name: &str, wait: Wait) -> Result<(), Error> {
        self.remove(fs, name, wait)
    }

    fn rename(&self, fs: &GistFs, old: &str, new: &str, wait: Wait) -> Result<(), Error> {
        self.rename_in(fs, old, new, wait)
    }

    fn no_directories(&self) -> Error {
        Error::NotPermitted("comments are files: there are no directories among them")
    }
}
