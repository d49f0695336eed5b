//! Into the trash: before a deletion goes out, and when a gist turns out to be gone.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::Syncer;
use super::bodies::Source;
use super::events::{Became, different};
use super::owed::NOT_FOR_THE_TRASH;
use super::send::without_placeholder;
use super::upload::Failure;
use crate::api::{ApiError, GistApi};
use crate::error::Error;
use crate::model::{BlobId, FileName, GistId, RemoteFile, Snapshot, Time};
use crate::store::gist::{Gist, GistKey, LocalFile};
use crate::store::shed::Shed;
use crate::store::trash::{Entry, Kept, Removed, entry_name};

/// How often the trash is looked through for what is too old.
const EXPIRY: Duration = Duration::from_secs(600);

impl Syncer {
    /// Puts a gist whose deletion is about to be sent into the trash, whole and durably. Bodies that
    /// are not stored are fetched; the deletion waits until each is here or known to be gone.
    pub(super) fn bury(self: &Arc<Self>, gist: &Gist) -> Result<(), Failure> {
        let Some(base) = gist.base.as_ref().filter(|_| self.is_kept(gist)) else { return Ok(()) };
        if base.is_partial() {
            log::warn!("{}: the trash gets the files that the API shows, and no others", base.id);
        }
        // What was fetched for it before may have been evicted since.
        if let Some(entry) = self.store.trash.find(&base.id).map_err(Failure::Ours)? {
            let taken = self.store.trash.take_bodies(&entry, &self.store.blobs);
            taken.map_err(Failure::Ours)?;
        }
        let base_files = base.files.iter().filter(|(name, _)| !gist.is_placeholder(name));
        let base_files = base_files.map(|(name, file)| (name.clone(), file.clone()));
        let shed = gist.shed.iter().filter_map(|shed| Some((shed.name.clone(), shed.remote()?)));
        let there: Vec<(FileName, RemoteFile)> = base_files.chain(shed).collect();
        let stored = |blob: BlobId| self.store.blobs.contains(blob);
        let wanted: Vec<&(FileName, RemoteFile)> =
            there.iter().filter(|(_, file)| !stored(file.blob)).collect();
        // All at once, then each waited for.
        for (_, file) in &wanted {
            let source = Source::in_gist(base, file.clone());
            self.begin_fetching(&source).map_err(Failure::Ours)?;
        }
        let mut gone = HashSet::new();
        for (name, file) in wanted {
            if !self.fetch_for_trash(base, name, file)? {
                gone.insert(file.blob);
            }
        }
        // Only what can be had nowhere may be missing.
        let missing = |blob: BlobId| {
            let fetched = there.iter().any(|(_, file)| file.blob == blob) && !gone.contains(&blob);
            !fetched && !stored(blob)
        };
        let at = gist.removed_at.unwrap_or_else(|| self.now());
        self.put_in_trash(gist, at, false, missing).map_err(Failure::Ours)
    }

    /// Stores a body that the trash wants; false if it is proved that GitHub has it no more.
    fn fetch_for_trash(
        self: &Arc<Self>,
        gist: &Snapshot,
        name: &FileName,
        file: &RemoteFile,
    ) -> Result<bool, Failure> {
        let id = &gist.id;
        let source = Source::in_gist(gist, file.clone());
        match self.store_body(&source) {
            Ok(()) => Ok(true),
            Err(Error::Denied(_)) if self.leads_nowhere(&source) => {
                let name = name.as_str();
                log::warn!("{id}: {name:?} is gone from GitHub; the trash has it by name only");
                Ok(false)
            }
            Err(Error::OutOfReach(why)) => {
                let words = format!("{NOT_FOR_THE_TRASH} {:?}: {why}", name.as_str());
                Err(Failure::Ours(Error::OutOfReach(words)))
            }
            Err(error) => {
                let name = name.as_str();
                let words =
                    format!("it is deleted when the trash has all of it, {name:?} too: {error}");
                Err(Failure::Ours(if matches!(error, Error::Limited(_)) {
                    Error::Limited(words)
                } else if matches!(error, Error::Local { .. }) {
                    error
                } else {
                    Error::Unreachable(words)
                }))
            }
        }
    }

    /// Whether the raw address of a body leads nowhere any more.
    fn leads_nowhere(&self, source: &Source) -> bool {
        // Nothing of it is wanted, should it be there.
        let mut refuse = |_: &[u8]| Err(std::io::ErrorKind::Interrupted.into());
        self.api.stream(&source.file, 0, &mut refuse) == Err(ApiError::NotFound)
    }

    /// Puts what is stored of a gist that GitHub has no more into the trash. An entry it has already,
    /// made for a deletion of ours, is brought up to date.
    pub(super) fn bury_what_is_here(&self, gist: &Gist, now: Time) -> Result<(), Error> {
        let Some(base) = gist.base.as_ref().filter(|_| self.is_kept(gist)) else { return Ok(()) };
        if let Some(entry) = self.store.trash.find(&base.id)? {
            self.store.trash.take_bodies(&entry, &self.store.blobs)?;
        }
        self.keep_what_is_in_memory(gist)?;
        let missing = |blob| !self.store.blobs.contains(blob);
        self.put_in_trash(gist, gist.removed_at.unwrap_or(now), !gist.removed, missing)
    }

    /// Stores bodies that only memory has: GitHub has them no more.
    pub(super) fn keep_what_is_in_memory(&self, gist: &Gist) -> Result<(), Error> {
        let base = gist.base.iter().flat_map(|base| base.files.values().map(|file| file.blob));
        let files = gist.files.values().filter_map(LocalFile::blob);
        for blob in base.chain(files).chain(gist.shed.iter().map(|shed| shed.blob)) {
            if let Some(body) = self.store.hot_body(blob) {
                self.store.blobs.put(blob, &body)?;
            }
        }
        Ok(())
    }

    /// Drops removed gists that GitHub never had; what was removed from them goes into the trash.
    pub fn bury_local(&self) {
        let never_sent =
            |gist: &Gist| gist.removed && gist.base.is_none() && gist.attempt.is_none();
        // One at a time: what another has just buried may be out of the trash again.
        let _alone = self.burying.lock().unwrap_or_else(PoisonError::into_inner);
        let mut removed = Vec::new();
        self.store.look_at_busy(|gist| {
            if never_sent(gist) {
                removed.push(gist.clone());
            }
        });
        for gist in removed {
            let at = gist.removed_at.unwrap_or_else(|| self.now());
            let kept = if self.is_kept(&gist) { self.bury_unsent(&gist, at) } else { Ok(()) };
            match kept.and_then(|()| self.store.remove_if(gist.key, never_sent)) {
                Ok(_) => self.unsettle_movers(gist.key),
                Err(error) => self.record_error(gist.key, Some(error.to_string())),
            }
        }
    }

    fn bury_unsent(&self, gist: &Gist, at: Time) -> Result<(), Error> {
        // We may have been killed between putting it there and taking it out of the store.
        if let Some(entry) = self.store.trash.find_unsent(&entry_name(None, at, gist.key))? {
            self.store.trash.take_bodies(&entry, &self.store.blobs)?;
        }
        self.keep_what_is_in_memory(gist)?;
        self.put_in_trash(gist, at, false, |blob| !self.store.blobs.contains(blob))
    }

    /// Whether the trash is to have a copy of a gist that is removed.
    fn is_kept(&self, gist: &Gist) -> bool {
        !gist.purged && !self.options.trash_keep.is_zero()
    }

    /// Puts a gist into the trash: every body but those `missing`, which must be stored.
    fn put_in_trash(
        &self,
        gist: &Gist,
        at: Time,
        elsewhere: bool,
        missing: impl Fn(BlobId) -> bool,
    ) -> Result<(), Error> {
        let id = gist.base.as_ref().map(|base| base.id.clone());
        let mut removed = Removed::new(id, gist.description.clone(), gist.public, at);
        removed.elsewhere = elsewhere;
        if let Some(base) = &gist.base {
            removed.public = base.public;
            removed.html_url.clone_from(&base.html_url);
        }
        removed.files = kept(gist, missing);
        if removed.files.iter().all(|file| file.missing) {
            if !removed.files.is_empty() {
                log::info!("{:?} is gone, and nothing of it was stored here", gist.description);
            }
            return Ok(());
        }
        let name = entry_name(removed.id.as_ref(), at, gist.key);
        self.store.trash.put(&name, &removed, &self.store.blobs)
    }

    /// Lets `put` put the gist of an entry back as `key`; its bodies are stored again already. The
    /// entry goes when that is durable: whenever we are stopped, the gist is there once.
    pub(super) fn take_out_of_trash(
        &self,
        entry: &Entry,
        key: GistKey,
        put: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let trash = &self.store.trash;
        trash.begin_restoring(&entry.name, key)?;
        if let Err(error) = put() {
            trash.give_up_restoring(&entry.name, key);
            return Err(error);
        }
        let bodies = entry.gist.files.iter().map(|file| file.blob);
        let bodies: Vec<_> = bodies.filter(|blob| self.store.blobs.contains(*blob)).collect();
        match self.store.sync(&bodies) {
            Ok(()) => trash.end_restoring(&entry.name, key),
            Err(error) => log::warn!("{error}; its copy is kept until the next mount"),
        }
        Ok(())
    }

    /// Forgets removed gists and files that are older than `--trash-keep`, and entries of gists that
    /// live after all. Looks every ten minutes.
    pub(super) fn expire_trash(&self, now: Time) -> Result<(), Error> {
        {
            let mut shared = self.shared();
            if shared.trash_looked_at.is_some_and(|at| now.since(at) < EXPIRY) {
                return Ok(());
            }
            shared.trash_looked_at = Some(now);
        }
        let oldest = now.before(self.options.trash_keep);
        // What the store says may be from before a power cut, and the gist deleted since.
        let is_known = self.shared().listed.is_some();
        for entry in self.store.trash.entries()?.0 {
            let lives = |gist: &Gist| {
                !gist.removed && !gist.attempt.as_ref().is_some_and(|sent| sent.may_have_deleted())
            };
            let key = entry.gist.id.as_ref().and_then(|id| self.store.find(id));
            let lives = key.and_then(|key| self.store.look(key, lives)).unwrap_or(false);
            if (is_known && lives) || entry.gist.removed_at < oldest {
                self.store.trash.remove(&entry.name)?;
            }
        }
        let mut old = Vec::new();
        self.store.look_at_all(|gist| {
            if gist.shed.first().is_some_and(|shed| shed.at < oldest) {
                old.push(gist.key);
            }
        });
        for key in old {
            self.store.update(key, |gist| {
                gist.forget_shed(oldest);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// GitHub has acted on a deletion.
    pub(super) fn was_sent_away(&self, key: GistKey, id: &GistId, now: Time) -> Result<(), Error> {
        self.note_deleted(id)?;
        let mut at = None;
        if let Some(gist) = self.store.get(key) {
            let files = without_placeholder(&gist, different(gist.base.as_deref(), None));
            self.tell_upload(&gist, Became::Deleted, &files);
        }
        let removed = self.store.remove_if(key, |gist| {
            at = gist.removed_at;
            gist.removed
        })?;
        if !removed {
            // Taken back while the request was under way.
            return self.gone_on_github(key, now);
        }
        self.note_deletion_sent(at);
        Ok(())
    }

    /// What a whole list settles: gists whose deletion was not answered and was taken back are alive
    /// where it shows them, and those whose making was not answered before they were removed were
    /// never made where it does not.
    pub(super) fn settle_deletions(
        &self,
        listed: &HashSet<String>,
        now: Time,
    ) -> Result<(), Error> {
        let mut settled = Vec::new();
        self.store.look_at_all(|gist| {
            if gist.removed && gist.base.is_none() && gist.attempt.is_some() {
                settled.push(gist.key);
            }
            if let (Some(base), Some(sent)) = (&gist.base, &gist.attempt)
                && sent.may_have_deleted()
                && !gist.removed
                && listed.contains(base.id.as_str())
            {
                settled.push(gist.key);
            }
        });
        for key in settled {
            if !self.reads_may_lag(key, now) {
                self.store.update(key, |gist| {
                    let sent = gist.attempt.take().filter(|_| gist.base.is_some());
                    gist.attempt = sent.and_then(|sent| sent.without_deletions());
                    Ok(())
                })?;
            }
        }
        Ok(())
    }
}

/// What the trash keeps of a gist: the files GitHub has or, where it was never there, none; and
/// those removed before.
pub(super) fn kept(gist: &Gist, missing: impl Fn(BlobId) -> bool) -> Vec<Kept> {
    let of_base = |(name, file): (&FileName, &RemoteFile)| Kept {
        name: name.clone(),
        blob: file.blob,
        size: file.size,
        mode: gist.files.get(name).and_then(|file: &LocalFile| file.meta.mode),
        removed_at: None,
        over: None,
        moved: gist.moved_to.contains_key(name),
        missing: missing(file.blob),
    };
    let of_shed = |shed: &Shed| Kept {
        name: shed.name.clone(),
        blob: shed.blob,
        size: shed.size,
        mode: shed.mode,
        removed_at: Some(shed.at),
        over: shed.over,
        moved: false,
        missing: missing(shed.blob),
    };
    let base = gist.base.iter().flat_map(|base| &base.files);
    let base = base.filter(|(name, _)| !gist.is_placeholder(name)).map(of_base);
    base.chain(gist.shed.iter().map(of_shed)).collect()
}
