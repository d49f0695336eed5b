//! What somebody else changed between our last look and our change, which then wrote over it.
//!
//! GitHub has no way to say "only if it is still so". Its answer names the commits before ours,
//! though: one that we neither knew nor made tells of such a change. It is in the gist's history,
//! and what of it our change wrote over is brought back beside or into our version.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::aside::conflict_name;
use super::merge::{Lines, Triple};
use super::{GistChange, Syncer};
use crate::api::{ApiError, FullGist, GistApi};
use crate::error::Error;
use crate::model::{BlobId, CommitId, FileName, RemoteFile, Snapshot, Time};
use crate::store::gist::{Attempt, Content, Gist, GistKey, LocalFile};

/// So many commits are looked at; more come to pass only where several machines write in a loop.
const MOST_COMMITS: usize = 5;

/// A version of theirs that is not in the gist any more.
struct Overwritten {
    /// The name our version has.
    name: FileName,
    before: Option<BlobId>,
    sent: Option<BlobId>,
    theirs: RemoteFile,
    lines: Lines,
}

impl Syncer {
    /// Brings back what a request of ours wrote over unseen: sent over `before` to make the files
    /// `ours`, and acted on, as `answer` shows. What cannot be brought back is named in the log: it
    /// is in the history.
    pub(super) fn bring_back(
        &self,
        before: &Gist,
        ours: &BTreeMap<FileName, BlobId>,
        answer: &FullGist,
        now: Time,
    ) {
        let Some(base) = &before.base else { return };
        let touched = touched(base, ours);
        let unknown = commits_between(base, &answer.history);
        if touched.is_empty() || unknown.is_empty() {
            return;
        }
        let id = &base.id;
        let foreign = match self.foreign(before, unknown) {
            Ok(Some(foreign)) => foreign,
            Ok(None) => return,
            Err(error) => {
                let revisions: Vec<&str> = unknown.iter().map(CommitId::as_str).collect();
                let revisions = revisions.join(" ");
                log::warn!(
                    "{id}: changed on GitHub just before our change, and cannot be compared: {error}; it is in the history as {revisions}"
                );
                return;
            }
        };
        let mut found = Vec::new();
        for (name, before, sent) in touched {
            let Some(theirs) = foreign.files.get(&name) else { continue };
            let still = |file: &RemoteFile| file.blob == theirs.blob;
            if Some(theirs.blob) == before || answer.snapshot.files.values().any(still) {
                continue;
            }
            match self.compared(before, sent, theirs, base, &foreign) {
                Ok(lines) => {
                    found.push(Overwritten { name, before, sent, theirs: theirs.clone(), lines });
                }
                Err(error) => log::warn!(
                    "{id}: {name:?} was changed on GitHub just before our change wrote over it, and cannot be had: {error}; it is in the history"
                ),
            }
        }
        if let Err(error) = self.put_back(before.key, &found, now) {
            log::warn!("{id}: what our change wrote over cannot be stored: {error}");
        }
    }

    /// The newest of these commits that no request of ours made.
    fn foreign(
        &self,
        gist: &Gist,
        commits: &[CommitId],
    ) -> Result<Option<Arc<Snapshot>>, ApiError> {
        let Some(base) = &gist.base else { return Ok(None) };
        for commit in commits.iter().take(MOST_COMMITS) {
            let full = self.api.revision(&base.id, commit)?;
            let mut sent = gist.attempt.iter().flat_map(Attempt::all);
            let ours = sent.any(|sent| sent.made_files(&full.snapshot));
            if !ours {
                self.keep_bodies(&full);
                return Ok(Some(Arc::new(full.snapshot)));
            }
        }
        Ok(None)
    }

    /// What our version and theirs are together. Theirs is stored from then on.
    fn compared(
        &self,
        before: Option<BlobId>,
        sent: Option<BlobId>,
        theirs: &RemoteFile,
        base: &Arc<Snapshot>,
        foreign: &Snapshot,
    ) -> Result<Lines, Error> {
        let known = Gist::of_remote(GistKey(0), Arc::clone(base));
        self.store_now(&super::bodies::Source::in_gist(base, theirs.clone()))?;
        let (Some(base), Some(ours)) = (before, sent) else { return Ok(Lines::Clash) };
        self.lines(&known, foreign, Triple { base, ours, theirs: theirs.blob })
    }

    fn put_back(&self, key: GistKey, found: &[Overwritten], now: Time) -> Result<(), Error> {
        if found.is_empty() {
            return Ok(());
        }
        let edit = |gist: &mut Gist| {
            let mut taken = Vec::new();
            for lost in found {
                taken.extend(lost.put_back(gist, now));
            }
            gist.changed(now);
            Ok(taken)
        };
        let told =
            |taken: &Vec<FileName>| Some(GistChange { key, moved: vec![], taken: taken.clone() });
        self.update_and_tell(key, edit, told)?;
        let names: Vec<String> = found.iter().map(|lost| lost.name.to_string()).collect();
        self.tell_conflict(key, &names, "changed on GitHub just before our change; both are kept");
        self.poke();
        Ok(())
    }
}

impl Overwritten {
    /// Puts their version where the user finds it; tells the name if its content is now another.
    fn put_back(&self, gist: &mut Gist, now: Time) -> Option<FileName> {
        let name = &self.name;
        let theirs = Content::Bytes { blob: self.theirs.blob, size: self.theirs.size };
        let seen = gist.files.values().any(|file| file.blob() == Some(self.theirs.blob));
        match (self.lines, gist.files.get_mut(name)) {
            _ if seen => None,
            (Lines::Merged { blob, size }, Some(file))
                if file.blob() == self.sent && file.writers == 0 =>
            {
                log::warn!("{name:?} was changed on GitHub at the same moment; both are in it now");
                file.content = Content::Bytes { blob, size };
                file.meta.touch(now);
                Some(name.clone())
            }
            // Removed here, and edited there: the edit wins.
            (_, None) if self.sent.is_none() && self.before.is_some() => {
                log::warn!("{name:?} was changed on GitHub just before it was removed; it is back");
                gist.files.insert(name.clone(), LocalFile::with(theirs, None, now));
                None
            }
            _ => {
                let taken = |other: &FileName| {
                    gist.files.contains_key(other) || gist.remote(other).is_some()
                };
                let aside = conflict_name(name, now, taken);
                log::warn!(
                    "{name:?} was changed on GitHub just before our change; that is now {aside:?}"
                );
                gist.files.insert(aside, LocalFile::with(theirs, None, now));
                None
            }
        }
    }
}

/// The commits between the one we knew and ours, newest first.
fn commits_between<'a>(base: &Snapshot, history: &'a [CommitId]) -> &'a [CommitId] {
    let known = base.revision.as_deref();
    let at = known.and_then(|known| history.iter().position(|commit| commit.as_str() == known));
    at.and_then(|at| history.get(1..at)).unwrap_or_default()
}

/// The files a request changes, with the bodies they had and have then.
fn touched(
    base: &Snapshot,
    ours: &BTreeMap<FileName, BlobId>,
) -> Vec<(FileName, Option<BlobId>, Option<BlobId>)> {
    let names: BTreeSet<&FileName> = base.files.keys().chain(ours.keys()).collect();
    let change = |name: &FileName| {
        let before = base.files.get(name).map(|file| file.blob);
        let after = ours.get(name).copied();
        (before != after).then(|| (name.clone(), before, after))
    };
    names.into_iter().filter_map(change).collect()
}
