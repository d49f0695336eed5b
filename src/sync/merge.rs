//! What the user sees after GitHub's state has changed under it: three states in, one out.
//!
//! Pure. Where only one side changed a file, that side counts. Where both did, their lines are put
//! together; where those clash, GitHub's version keeps the name and the user's goes beside it under
//! a name that says so. Nothing is lost.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::GistChange;
use super::aside::conflict_name;
use crate::model::{BlobId, FileName, RemoteFile, Snapshot, Time};
use crate::store::gist::{Attempt, Content, Gist, GistKey, LocalFile};

/// The outcome of a merge.
#[derive(Clone, Debug, PartialEq)]
pub struct Merged {
    /// The gist, over its new base.
    pub gist: Gist,
    /// Files whose name changed, old and new.
    pub moved: Vec<(FileName, FileName)>,
    /// Files whose content is now another: GitHub's, or that of both sides.
    pub taken: Vec<FileName>,
    /// Files that went beside what GitHub has: the name they had, and have.
    pub aside: Vec<(FileName, FileName)>,
    /// Descriptions that met: GitHub's, which the user's will replace.
    pub description: Option<String>,
}

impl Merged {
    /// A gist just as it is.
    pub fn unchanged(gist: &Gist) -> Self {
        let gist = gist.clone();
        Self { gist, moved: vec![], taken: vec![], aside: vec![], description: None }
    }

    /// What there is to follow.
    pub fn change(&self, key: GistKey) -> GistChange {
        GistChange { key, moved: self.moved.clone(), taken: self.taken.clone() }
    }
}

/// Three versions of a file whose lines are to be put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Triple {
    /// What both sides started from.
    pub base: BlobId,
    /// What the user has.
    pub ours: BlobId,
    /// What GitHub has.
    pub theirs: BlobId,
}

/// What came of putting lines together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// A body of so many bytes, which is stored.
    Merged {
        /// Its id.
        blob: BlobId,
        /// Its length.
        size: u64,
    },
    /// Both changed the same lines, or it is no text.
    Clash,
}

/// The triples whose outcome is known.
pub type Texts = HashMap<Triple, Lines>;

/// Why states cannot be merged yet; by the names GitHub knows the files by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unmerged {
    /// Changed there and open for writing here, maybe under another name: merge when closed.
    pub busy: Vec<FileName>,
    /// Changed on both sides, with lines nobody has put together yet.
    pub needs: Vec<(FileName, Triple)>,
}

/// Brings `gist`, whose base was known as `base`, over `remote`. Time only dates what is new.
///
/// Where `remote` is as a request of ours without an answer was to make it, nobody else changed it.
pub fn merge(
    gist: &Gist,
    base: &BTreeMap<FileName, BlobId>,
    remote: Arc<Snapshot>,
    texts: &Texts,
    now: Time,
) -> Result<Merged, Unmerged> {
    let mut work = Work {
        gist: gist.clone(),
        remote: &remote,
        texts,
        now,
        moved: vec![],
        taken: vec![],
        aside: vec![],
        unmerged: Unmerged::default(),
    };
    let by_us = |name: &FileName| {
        let there = remote.files.get(name).map(|file| file.blob);
        let made_it = |sent: &Attempt| sent.files.get(name).copied() == there;
        gist.attempt.as_ref().is_some_and(|sent| changes(sent).any(made_it))
    };
    work.gist.base = Some(Arc::clone(&remote));
    let mut names: BTreeSet<&FileName> = base.keys().chain(remote.files.keys()).collect();
    for (old, new) in renamed_there(base, &remote) {
        if !by_us(old) && work.follow_rename(old, new) {
            names.remove(old);
            names.remove(new);
        }
    }
    for name in names {
        let before = base.get(name).copied();
        if remote.files.get(name).map(|file| file.blob) != before && !by_us(name) {
            work.file(name, before);
        }
    }
    let description = work.description(gist);
    let Work { mut gist, moved, taken, aside, unmerged, .. } = work;
    if unmerged != Unmerged::default() {
        return Err(unmerged);
    }
    gist.follow_base();
    Ok(Merged { gist, moved, taken, aside, description })
}

/// Files that have another name on GitHub now and the same content, as far as that can be told.
fn renamed_there<'a>(
    base: &'a BTreeMap<FileName, BlobId>,
    remote: &'a Snapshot,
) -> Vec<(&'a FileName, &'a FileName)> {
    let gone: Vec<_> = base.iter().filter(|(name, _)| !remote.files.contains_key(*name)).collect();
    let came = |blob: BlobId| {
        let new = remote.files.iter().filter(|(name, _)| !base.contains_key(*name));
        let mut same = new.filter(move |(_, file)| file.blob == blob).map(|(name, _)| name);
        same.next().filter(|_| same.next().is_none())
    };
    let only = |blob: BlobId| gone.iter().filter(|(_, other)| **other == blob).count() == 1;
    gone.iter()
        .filter(|(_, blob)| only(**blob))
        .filter_map(|(old, blob)| Some((*old, came(**blob)?)))
        .collect()
}

/// A merge under way.
struct Work<'a> {
    gist: Gist,
    remote: &'a Snapshot,
    texts: &'a Texts,
    now: Time,
    moved: Vec<(FileName, FileName)>,
    taken: Vec<FileName>,
    aside: Vec<(FileName, FileName)>,
    unmerged: Unmerged,
}

impl Work<'_> {
    /// The user's file goes by GitHub's new name too. False where it has another name here as well,
    /// or the new one is taken: then both names stay.
    fn follow_rename(&mut self, old: &FileName, new: &FileName) -> bool {
        if self.gist.files.contains_key(new) {
            return false;
        }
        match self.gist.files.get(old) {
            None => return false,
            Some(file) if file.writers > 0 => {
                self.unmerged.busy.push(old.clone());
                return true;
            }
            Some(_) => {}
        }
        if let Some(mut file) = self.gist.files.remove(old) {
            file.from = Some(new.clone());
            self.gist.files.insert(new.clone(), file);
            self.gist.meta.touch(self.remote.updated_at);
            self.moved.push((old.clone(), new.clone()));
        }
        true
    }

    /// One file that is not on GitHub any more as it was `before`.
    fn file(&mut self, name: &FileName, before: Option<BlobId>) {
        let theirs = self.remote.files.get(name);
        let ours = self.gist.files.get(name);
        let our_blob = ours.and_then(LocalFile::blob);
        if ours.is_some() && our_blob == theirs.map(|file| file.blob) {
            return;
        }
        // However long it has been open: what the writer does next must still reach this name.
        if ours.is_some_and(|file| file.writers > 0) {
            self.unmerged.busy.push(name.clone());
            return;
        }
        match (ours, theirs) {
            (None, None) => {}
            // Gone there: with it goes an unchanged copy; an edit wins and becomes a new file.
            (Some(_), None) => {
                if our_blob == before {
                    self.gist.files.remove(name);
                    self.gist.meta.touch(self.remote.updated_at);
                    self.taken.push(name.clone());
                } else if let Some(file) = self.gist.files.get_mut(name) {
                    forget_origin(file, name);
                }
            }
            (Some(_), Some(_)) if our_blob == before => self.take(name),
            (Some(_), Some(theirs)) => match self.lines(name, before, our_blob, theirs) {
                None => {}
                Some(Lines::Merged { blob, size }) => self.put_together(name, blob, size),
                Some(Lines::Clash) => {
                    self.put_aside(name);
                    self.take(name);
                }
            },
            (None, Some(theirs)) => self.came_back(name, before, theirs),
        }
    }

    /// A file that GitHub has, newly or changed, and the user has not, or under another name.
    fn came_back(&mut self, name: &FileName, before: Option<BlobId>, theirs: &RemoteFile) {
        let descends = |file: &LocalFile| before.is_some() && file.from.as_ref() == Some(name);
        let heirs = || self.gist.files.iter().filter(|(_, file)| descends(file));
        let exact = heirs().find(|(_, file)| file.blob() == before);
        let edited = || {
            heirs().find(|(heir, _)| {
                !self.remote.files.contains_key(*heir) && !self.gist.is_scratch(heir)
            })
        };
        let Some((heir, file)) = exact.or_else(edited) else {
            // New there, or edited there and removed here: the edit wins.
            return self.take(name);
        };
        if file.writers > 0 {
            self.unmerged.busy.push(name.clone());
            return;
        }
        let (heir, blob) = (heir.clone(), file.blob());
        if blob == before {
            // Renamed here, edited there: both.
            return self.take_as(name, &heir);
        }
        match self.lines(name, before, blob, theirs) {
            None => {}
            Some(Lines::Merged { blob, size }) => self.put_together(&heir, blob, size),
            Some(Lines::Clash) => self.take(name),
        }
    }

    /// What comes of a file's three versions; `None` if nobody knows yet, which is noted.
    fn lines(
        &mut self,
        name: &FileName,
        base: Option<BlobId>,
        ours: Option<BlobId>,
        theirs: &RemoteFile,
    ) -> Option<Lines> {
        let (Some(base), Some(ours)) = (base, ours) else { return Some(Lines::Clash) };
        if base == BlobId::EMPTY || ours == BlobId::EMPTY {
            return Some(Lines::Clash);
        }
        let triple = Triple { base, ours, theirs: theirs.blob };
        let known = self.texts.get(&triple).copied();
        if known.is_none() {
            self.unmerged.needs.push((name.clone(), triple));
        }
        known
    }

    fn put_together(&mut self, name: &FileName, blob: BlobId, size: u64) {
        if let Some(file) = self.gist.files.get_mut(name) {
            file.content = Content::Bytes { blob, size };
            file.meta.touch(self.now);
            self.taken.push(name.clone());
        }
    }

    fn put_aside(&mut self, name: &FileName) {
        let aside = conflict_name(name, self.now, |other| {
            self.gist.files.contains_key(other) || self.remote.files.contains_key(other)
        });
        if let Some(mut file) = self.gist.files.remove(name) {
            forget_origin(&mut file, name);
            self.gist.files.insert(aside.clone(), file);
        }
        self.moved.push((name.clone(), aside.clone()));
        self.aside.push((name.clone(), aside));
    }

    fn take(&mut self, name: &FileName) {
        self.take_as(name, name);
    }

    /// The user's file `ours` gets the content of GitHub's file `theirs`.
    fn take_as(&mut self, theirs: &FileName, ours: &FileName) {
        let Some(file) = self.remote.files.get(theirs) else { return };
        let content = Content::Bytes { blob: file.blob, size: file.size };
        match self.gist.files.get_mut(ours) {
            Some(local) => {
                local.content = content;
                local.meta.touch(self.remote.updated_at);
            }
            None => {
                let new = LocalFile::of_remote(theirs, file, self.remote.updated_at);
                self.gist.files.insert(ours.clone(), new);
                self.gist.meta.touch(self.remote.updated_at);
            }
        }
        self.taken.push(ours.clone());
    }

    /// Ours counts where both changed; theirs is kept with the gist, and told if it is news.
    fn description(&mut self, before: &Gist) -> Option<String> {
        let theirs = &self.remote.description;
        let mut known = before.base.as_ref().map_or("", |base| base.description.as_str());
        let described = |sent: &&Attempt| sent.description == *theirs;
        if let Some(sent) = before.attempt.as_ref().and_then(|sent| changes(sent).find(described)) {
            known = &sent.description;
        }
        if theirs == known || before.description == *theirs {
            return None;
        }
        if before.description == known {
            self.gist.description.clone_from(theirs);
            self.gist.their_description = None;
            return None;
        }
        self.gist.their_description = Some(theirs.clone());
        Some(theirs.clone())
    }
}

/// The requests that left something behind: a deletion makes no file and no description.
fn changes(sent: &Attempt) -> impl Iterator<Item = &Attempt> {
    sent.all().filter(|sent| !sent.files.is_empty())
}

/// The file does not descend from GitHub's `name` any more; from another, which it took the name
/// from, it still does.
fn forget_origin(file: &mut LocalFile, name: &FileName) {
    if file.from.as_ref() == Some(name) {
        file.from = None;
    }
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
