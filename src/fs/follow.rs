//! What changes without the user's doing: the tree and the kernel follow the store.

use std::sync::Arc;
use std::time::Duration;

use super::open::{Body, OpenFile};
use super::{GistFs, Stale, lock};
use crate::model::{BlobId, FileName, Time};
use crate::store::gist::{Gist, GistKey};
use crate::sync::{Committed, GistChange, Upcoming, Watcher};
use crate::tree::{Ino, Place, Tree};

/// How long a scratch file may be all there is of a real one before it is taken back as that.
const LIMBO: Duration = Duration::from_secs(30);

/// How long a file open for writing may keep what was written from being sent.
const LONGEST_WRITE: Duration = Duration::from_secs(30);

impl Watcher for GistFs {
    fn follow(&self, change: &mut dyn FnMut(Committed<'_>) -> Vec<GistChange>) {
        let mut stale = Vec::new();
        {
            let _turn = self.turn();
            let mut locked = None;
            let changes = change(&mut || locked = Some(self.tree()));
            let mut tree = locked.unwrap_or_else(|| self.tree());
            for change in changes {
                self.follow_gist(&mut tree, &change, &mut stale);
            }
        }
        if let Some(invalidate) = self.invalidate.get() {
            stale.into_iter().for_each(invalidate);
        }
    }

    fn next_ahead(&self) -> Option<Upcoming> {
        self.upcoming()
    }

    fn left_ahead(&self, ticket: u64) {
        self.leave_upcoming(ticket);
    }

    fn unproved(&self, blob: BlobId) {
        let opened: Vec<_> =
            lock(&self.opened).values().map(|(open, _)| Arc::clone(open)).collect();
        let shows = |open: &OpenFile| matches!(&*open.body(), Body::Stored(it) if it.blob == blob);
        let mut inos: Vec<Ino> =
            opened.iter().filter(|open| shows(open)).map(|open| open.ino).collect();
        let tree = self.tree();
        self.store.look_at_all(|gist| {
            let files = gist.files.iter().filter(|(_, file)| file.blob() == Some(blob));
            inos.extend(files.filter_map(|(name, _)| tree.file(gist.key, name)));
        });
        drop(tree);
        inos.into_iter().for_each(|ino| self.tell_stale(Stale::Node(ino)));
    }

    fn tick(&self, now: Time) -> Option<Time> {
        let limbo = self.end_limbo(now);
        let writing = self.record_long_writes(now);
        [limbo, writing].into_iter().flatten().min()
    }
}

impl GistFs {
    /// Brings one gist's part of the tree in line with the store.
    fn follow_gist(&self, tree: &mut Tree, change: &GistChange, stale: &mut Vec<Stale>) {
        let key = change.key;
        match self.store.get(key).filter(Gist::is_shown) {
            None => self.follow_removal(tree, key, stale),
            Some(gist) => match tree.gist(key) {
                None => {
                    let ino = self.show(tree, &gist);
                    note_name(tree, ino, stale);
                    lock(&self.root).touch(self.now());
                }
                Some(ino) => {
                    self.follow_title(tree, &gist, ino, stale);
                    if tree.knows_files(key) {
                        self.follow_files(tree, &gist, change, stale);
                    }
                }
            },
        }
    }

    fn follow_removal(&self, tree: &mut Tree, key: GistKey, stale: &mut Vec<Stale>) {
        let Some(ino) = tree.gist(key) else { return };
        let names: Vec<FileName> = tree.files(key).cloned().collect();
        for name in &names {
            if let Some(file) = tree.file(key, name) {
                note_name(tree, file, stale);
            }
        }
        note_name(tree, ino, stale);
        tree.remove_gist(key);
        lock(&self.titles).remove(&key);
        lock(&self.root).touch(self.now());
    }

    /// A directory's name changes only when the description does.
    fn follow_title(&self, tree: &mut Tree, gist: &Gist, ino: Ino, stale: &mut Vec<Stale>) {
        let mut titles = lock(&self.titles);
        if titles.get(&gist.key) == Some(&gist.description) {
            return;
        }
        titles.insert(gist.key, gist.description.clone());
        drop(titles);
        note_name(tree, ino, stale);
        let name = self.directory_name(tree, gist);
        tree.rename_gist(gist.key, &name);
        note_name(tree, ino, stale);
    }

    fn follow_files(
        &self,
        tree: &mut Tree,
        gist: &Gist,
        change: &GistChange,
        stale: &mut Vec<Stale>,
    ) {
        let key = gist.key;
        for (old, new) in &change.moved {
            if let Some(ino) = tree.file(key, old)
                && tree.file(key, new).is_none()
                && gist.files.contains_key(new)
            {
                note_name(tree, ino, stale);
                tree.move_file((key, old), (key, new));
                note_name(tree, ino, stale);
            }
        }
        let gone: Vec<FileName> =
            tree.files(key).filter(|name| !gist.files.contains_key(*name)).cloned().collect();
        for name in gone {
            if let Some(ino) = tree.file(key, &name) {
                note_name(tree, ino, stale);
                tree.remove_file(key, &name);
            }
        }
        for name in &change.taken {
            let Some(ino) = tree.file(key, name) else { continue };
            if self.opened_file(ino).is_some() {
                // Whoever has it open keeps what was opened; the name gets a number of its own.
                note_name(tree, ino, stale);
                tree.remove_file(key, name);
            } else {
                stale.push(Stale::Node(ino));
            }
        }
        for name in gist.files.keys() {
            if tree.file(key, name).is_none()
                && let Some(ino) = tree.add_file(key, name)
            {
                note_name(tree, ino, stale);
            }
        }
    }

    /// Scratch files that were all there is of a real file for too long become that file again.
    fn end_limbo(&self, now: Time) -> Option<Time> {
        let mut waiting: Vec<(GistKey, FileName, FileName, Time)> = Vec::new();
        self.store.look_at_busy(|gist| {
            for (name, file) in &gist.files {
                if let (Some(since), Some(from)) = (file.limbo, &file.from)
                    && !gist.files.contains_key(from)
                {
                    waiting.push((gist.key, name.clone(), from.clone(), since.after(LIMBO)));
                }
            }
        });
        let mut next = None;
        for (key, scratch, real, at) in waiting {
            if at > now {
                next = Some(next.map_or(at, |next: Time| next.min(at)));
                continue;
            }
            let back = |gist: &mut Gist| {
                if gist.files.contains_key(&real) {
                    return Ok(false);
                }
                if let Some(mut file) = gist.files.remove(&scratch) {
                    log::warn!(
                        "{scratch:?} was all that was left of {real:?}; it is that file again"
                    );
                    file.limbo = None;
                    gist.files.insert(real.clone(), file);
                    gist.changed(now);
                }
                Ok(true)
            };
            self.follow(&mut |seen| match self.store.update_under(key, back, seen) {
                Ok((false, ())) => vec![],
                Ok((true, ())) => {
                    let moved = vec![(scratch.clone(), real.clone())];
                    vec![GistChange { key, moved, taken: vec![] }]
                }
                Err(error) => {
                    log::warn!("{error}");
                    vec![]
                }
            });
        }
        next
    }

    /// What is being written for too long is recorded and counts from now on.
    fn record_long_writes(&self, now: Time) -> Option<Time> {
        let mut next: Option<Time> = None;
        let mut overdue = Vec::new();
        self.store.look_at_busy(|gist| {
            for (name, file) in gist.files.iter().filter(|(_, file)| file.writers > 0) {
                match file.writing_since.map(|since| since.after(LONGEST_WRITE)) {
                    Some(at) if at > now => next = Some(next.map_or(at, |next| next.min(at))),
                    Some(_) => overdue.push((gist.key, name.clone())),
                    None => {
                        // Already past its time: looked at again each round, while it is open.
                        let again = now.after(LONGEST_WRITE);
                        next = Some(next.map_or(again, |next| next.min(again)));
                        overdue.push((gist.key, name.clone()));
                    }
                }
            }
        });
        for (key, name) in overdue {
            let open = {
                let tree = self.tree();
                tree.file(key, &name).and_then(|ino| self.opened_file(ino))
            };
            if let Some(open) = open
                && let Err(error) = self.record(&open)
            {
                log::warn!("{name:?} is being written and cannot be recorded: {error}");
                continue;
            }
            self.store.note(key, |gist| {
                let file = gist.files.get_mut(&name);
                if file.and_then(|file| file.writing_since.take()).is_some() {
                    gist.upload.settled = false;
                }
            });
        }
        next
    }
}

/// The kernel must forget what the name of `ino` stands for, and the listing it is in.
pub(super) fn note_name(tree: &Tree, ino: Ino, stale: &mut Vec<Stale>) {
    let parent = tree.parent(ino);
    if let Some(shown) = tree.shown(ino).filter(|_| ino != Ino::ROOT) {
        stale.push(Stale::Name(parent, Arc::clone(&shown)));
    }
    if tree.place(ino) != Some(&Place::Gone) {
        stale.push(Stale::Node(ino));
    }
    if stale.last() != Some(&Stale::Node(parent)) {
        stale.push(Stale::Node(parent));
    }
}
