//! Taking over what GitHub says of a gist: read before a change, listed, or answered to a change.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bodies::Source;
use super::events::{Became, different};
use super::merge::{Merged, Texts, Unmerged, merge};
use super::plan::{Change, Plan, Step, expected};
use super::send::without_placeholder;
use super::upload::Failure;
use super::whole::fill;
use super::{GistChange, Syncer};
use crate::api::retry::Repeatable;
use crate::api::{ApiError, Fetched, FullGist, GistApi};
use crate::error::Error;
use crate::model::{BlobId, CommitId, FileName, RemoteFile, Snapshot, Time};
use crate::store::gist::{Attempt, Gist, GistKey, LocalFile};
use crate::store::shed::Shed;

/// How often a merge is begun anew because the user changed what was being merged.
const ROUNDS: usize = 8;

impl Syncer {
    /// Looks whether the gist is still what `base` says; true if it was not and was merged.
    pub(super) fn look(&self, gist: &Gist, now: Time) -> Result<bool, Failure> {
        let Some(base) = &gist.base else { return Ok(false) };
        match self.api.get(&base.id, base.etag.as_deref()) {
            Ok(Fetched::NotModified) => Ok(false),
            Ok(Fetched::New(full)) => {
                if self.is_stale(gist.key, base, &full.snapshot, Some(&full.history), now) {
                    return Ok(false);
                }
                self.keep_bodies(&full);
                let seen = self.whole(gist.key, Some(base), full.snapshot.clone(), now)?;
                let full = FullGist { snapshot: seen, ..full };
                let changed = !full.snapshot.same_content(base);
                if !self.take(gist, full.snapshot.clone(), now)? {
                    return Ok(true);
                }
                // An answer of ours was lost: only now it shows what was written over unseen.
                let sent = gist.attempt.iter().flat_map(Attempt::all);
                if let Some(sent) = sent.into_iter().find(|sent| sent.made_files(&full.snapshot)) {
                    self.bring_back(gist, &sent.files, &full, now);
                }
                Ok(changed)
            }
            // After a deletion that was not answered it is no lag that shows.
            Err(ApiError::NotFound)
                if self.reads_may_lag(gist.key, now) && !(gist.removed && may_be_deleted(gist)) =>
            {
                Ok(false)
            }
            Err(ApiError::NotFound) => {
                // What is edited here would be made anew: not because of one answer that is hidden
                // from a token, or wrong.
                let listed = self.is_listed(&base.id);
                if listed.map_err(|error| Failure::Theirs(error, Repeatable::Yes))? {
                    let why = "GitHub lists the gist and does not find it";
                    let error = ApiError::Conflict(why.into());
                    return Err(Failure::Theirs(error, Repeatable::Yes));
                }
                self.gone_on_github(gist.key, now).map_err(Failure::Ours)?;
                Ok(true)
            }
            Err(error) => Err(Failure::Theirs(error, Repeatable::Yes)),
        }
    }

    /// Whether an answer shows a time before our own last write: reads lag behind writes.
    pub(super) fn is_stale(
        &self,
        key: GistKey,
        base: &Snapshot,
        seen: &Snapshot,
        history: Option<&[CommitId]>,
        now: Time,
    ) -> bool {
        if !self.reads_may_lag(key, now) {
            return false;
        }
        match (&base.revision, history) {
            (Some(known), Some(history))
                if history.first().is_some_and(|newest| newest.as_str() == known) =>
            {
                // A description makes no commit. Unless the commit itself was the newest we knew,
                // only the second can tell.
                let by_commit = self.store.look(key, |gist| gist.upload.by_commit) == Some(true);
                let since = seen.updated_at.cmp(&base.updated_at);
                let stale = since.is_lt() || (since.is_eq() && !by_commit);
                stale && !seen.same_content(base)
            }
            (Some(known), Some(history)) if !history.is_empty() => {
                !history.iter().any(|commit| commit.as_str() == known)
            }
            // A list tells no revision. Within one second it cannot tell before from after.
            (Some(_) | None, _) => {
                seen.updated_at < base.updated_at
                    || (seen.updated_at == base.updated_at && !seen.same_content(base))
            }
        }
    }

    /// Bodies that came along are worth keeping: they are proved, and were paid for.
    pub(super) fn keep_bodies(&self, full: &FullGist) {
        for (blob, body) in &full.bodies {
            if let Err(error) = self.store.keep(*blob, body) {
                log::warn!("{error}");
            }
        }
    }

    /// Makes `remote` the base of the gist, merging what the user changed over it; false if its base
    /// is another by now than in `judged`, or a request is under way that was not then: `remote` may
    /// be what was there before.
    pub(super) fn take(&self, judged: &Gist, remote: Snapshot, now: Time) -> Result<bool, Failure> {
        let key = judged.key;
        let remote = Arc::new(remote);
        let mut texts = Texts::new();
        let lags = self.reads_may_lag(key, now);
        if self.store.look(key, |_| ()).is_none() {
            return Ok(true);
        }
        // What is put together may have been changed again meanwhile.
        for _ in 0..ROUNDS {
            let lost = self.secure_bodies(key, &remote)?;
            let edit = |gist: &mut Gist| {
                if gist.base != judged.base || gist.attempt != judged.attempt {
                    return Ok(None);
                }
                drop_lost(gist, &lost);
                let before = gist.base.clone();
                let mut merged = take_over(gist, &remote, &texts, now);
                if let Ok(merged) = &mut merged {
                    merged.taken.extend(self.set_aside_unstored(gist, before.as_deref(), now));
                }
                // Whatever a request without an answer did is in this state: what comes after it is
                // somebody else's.
                if merged.is_ok() && !lags {
                    gist.attempt = None;
                }
                Ok(Some(merged))
            };
            let told = |merged: &Option<Result<Merged, Unmerged>>| {
                merged.as_ref()?.as_ref().ok().map(|merged| merged.change(key))
            };
            let done = self.update_and_tell(key, edit, told);
            let unmerged = match done.map_err(Failure::Ours)? {
                None => {
                    log::debug!("{}: read before a change of ours, and passed over", remote.id);
                    return Ok(false);
                }
                Some(Ok(merged)) => {
                    say_merged(&merged);
                    self.tell_taken(judged, &remote, &merged);
                    return Ok(true);
                }
                Some(Err(unmerged)) => unmerged,
            };
            if let Some(name) = unmerged.busy.first() {
                let why = format!("{name:?} changed on GitHub and is open for writing here");
                return Err(Failure::Ours(self.postpone(key, why)));
            }
            let Some(gist) = self.store.get(key) else { return Ok(true) };
            match self.put_together(&gist, &remote, &unmerged.needs) {
                Ok(more) => texts.extend(more),
                Err(error) => {
                    let why = format!("{:?} changed here and on GitHub: {error}", gist.description);
                    return Err(Failure::Ours(self.postpone(key, why)));
                }
            }
        }
        let why = format!("{} changes too fast to be merged", remote.id);
        Err(Failure::Ours(self.postpone(key, why)))
    }

    fn postpone(&self, key: GistKey, why: String) -> Error {
        self.shared().postponed.insert(key);
        Error::Conflict(why)
    }

    /// Fetches bodies that GitHub's newest state has no more and the user still sees under another
    /// name: until the base is replaced it is known where an older version can be had. Tells the
    /// files whose body is nowhere any more.
    fn secure_bodies(
        &self,
        key: GistKey,
        remote: &Snapshot,
    ) -> Result<Vec<(FileName, BlobId)>, Failure> {
        let Some(gist) = self.store.get(key) else { return Ok(vec![]) };
        let mut lost = Vec::new();
        for (name, file) in &gist.files {
            let Some(blob) = file.blob() else { continue };
            let Some(source) = Source::of(&gist, blob) else { continue };
            let as_there = |there: &Snapshot| there.files.values().any(|file| file.blob == blob);
            let unchanged = gist.remote(name).is_some_and(|file| file.blob == blob);
            if unchanged || as_there(remote) || self.store.blobs.holds(blob) {
                continue;
            }
            match self.store_now(&source) {
                Ok(()) => {}
                Err(Error::Denied(_)) => lost.push((name.clone(), blob)),
                Err(error) => return Err(Failure::Ours(error)),
            }
        }
        Ok(lost)
    }

    /// The gist is not on GitHub any more. What was edited here is made anew; else it goes.
    ///
    /// While somebody writes to one of its files, that is not known yet: [`Error::Conflict`].
    pub(super) fn gone_on_github(&self, key: GistKey, now: Time) -> Result<(), Error> {
        let Some(gist) = self.store.get(key) else { return Ok(()) };
        if gist.is_only_placeholder() && !gist.removed {
            return self.was_withdrawn(key, now);
        }
        if gist.files.values().any(|file| file.writers > 0) {
            let why = format!("{:?} was deleted on GitHub and is open here", gist.description);
            return Err(self.postpone(key, why));
        }
        let taken_back = !gist.removed && may_be_deleted(&gist);
        if (gist.differs() || taken_back) && !gist.removed && !gist.files.is_empty() {
            let entry = match &gist.base {
                Some(base) => self.store.trash.find(&base.id)?,
                None => None,
            };
            if let Some(entry) = &entry {
                self.store.trash.take_bodies(entry, &self.store.blobs)?;
            }
            self.keep_what_is_in_memory(&gist)?;
            let is_lost = |blob: &BlobId| !self.store.blobs.holds(*blob);
            let bodies = gist.files.iter().filter_map(|(name, file)| Some((name, file.blob()?)));
            let lost: Vec<_> = bodies
                .filter(|(_, blob)| is_lost(blob))
                .map(|(name, blob)| (name.clone(), blob))
                .collect();
            let anew = |gist: &mut Gist| {
                log::warn!(
                    "{:?}: deleted on GitHub, edited here; it is made anew",
                    gist.description
                );
                drop_lost(gist, &lost);
                gist.shed_all_that_is_stored(now, |blob| self.store.blobs.contains(blob));
                gist.base = None;
                (gist.attempt, gist.copy_of) = (None, None);
                gist.moved_to.clear();
                for file in gist.files.values_mut() {
                    file.from = None;
                }
                gist.changed(now);
                Ok(())
            };
            let make = || self.store.update(key, anew);
            match &entry {
                Some(entry) => self.take_out_of_trash(entry, key, make)?,
                None => make()?,
            }
        } else {
            self.bury_what_is_here(&gist, now)?;
            // It took a while, in which the user may have written to it, or taken it back.
            if !self.store.remove_if(key, |now| is_as_seen(now, &gist))? {
                return self.gone_on_github(key, now);
            }
        }
        self.tell(&[GistChange { key, moved: vec![], taken: vec![] }]);
        let files = without_placeholder(&gist, different(gist.base.as_deref(), None));
        self.tell_remote(&gist, Became::Deleted, &files);
        Ok(())
    }

    /// Makes GitHub's answer to a change the new base, after comparing it with what was meant.
    pub(super) fn finish(
        &self,
        key: GistKey,
        plan: &Plan,
        mut answer: FullGist,
        now: Time,
    ) -> Result<(), Failure> {
        let wrote = self.now();
        self.keep_bodies(&answer);
        let before = self.store.get(key);
        if let Some(before) = &before {
            self.see_whole_answer(before, plan, &mut answer, now);
        }
        let remote = Arc::new(answer.snapshot.clone());
        let alone = before.as_ref().is_some_and(|before| is_next(before, &answer));
        let texts = self.texts_ahead(key, (plan, alone), &remote, now);
        let edit = |gist: &mut Gist| {
            let (meant, altered) = meant(gist, (plan, alone), &remote);
            for (name, blob) in altered {
                log::warn!("{}: GitHub stored {name:?} with other bytes than were sent", remote.id);
                let unchanged = |file: &&mut LocalFile| file.blob() == Some(blob);
                if let Some(file) = gist.files.get_mut(&name).filter(unchanged) {
                    file.altered = Some(blob);
                }
            }
            gist.wrote = Some(wrote);
            let shed = gist.removed_by(&remote, now);
            let before = gist.base.clone();
            let mut merged = merge_around(gist, meant, Arc::clone(&remote), &texts, now);
            replace(gist, &merged);
            merged.taken.extend(self.set_aside_unstored(gist, before.as_deref(), now));
            shed.into_iter().for_each(|shed| gist.remember(shed));
            // Only now: it also shows what came of earlier requests that were never answered.
            gist.attempt = None;
            Ok(merged)
        };
        let told = |merged: &Merged| Some(merged.change(key));
        let merged = self.update_and_tell(key, edit, told).map_err(Failure::Ours)?;
        say_merged(&merged);
        self.tell_merged(key, &merged);
        if let Some(before) = before {
            self.tell_finished(key, &before, (plan, alone), &remote);
            let ours = expected(before.base.as_ref(), &plan.step);
            self.bring_back(&before, &ours, &answer, now);
        }
        Ok(())
    }

    /// Adds to an answer what it does not show of the gist.
    fn see_whole_answer(&self, before: &Gist, plan: &Plan, answer: &mut FullGist, now: Time) {
        let Some(base) = &before.base else {
            return self.see_all_that_was_meant(before, plan, answer, now);
        };
        // A description is no commit: GitHub may answer it before it has seen our push.
        let only_described = matches!(&plan.step, Step::Update { files, .. } if files.is_empty());
        let knows = |known: &String| answer.history.iter().any(|c| c.as_str() == known);
        if only_described
            && !answer.history.is_empty()
            && base.revision.as_ref().is_some_and(|known| !knows(known))
            && self.reads_may_lag(before.key, now)
        {
            let (description, public) =
                (answer.snapshot.description.clone(), answer.snapshot.public);
            // Lists show the newer of the two times: an earlier one would seem older than they are.
            let updated_at = answer.snapshot.updated_at.max(base.updated_at);
            let base = Snapshot::clone(base);
            answer.snapshot = Snapshot { description, public, updated_at, etag: None, ..base };
            return;
        }
        self.see_all_that_was_meant(before, plan, answer, now);
    }

    fn see_all_that_was_meant(&self, before: &Gist, plan: &Plan, answer: &mut FullGist, now: Time) {
        if !answer.snapshot.is_partial() {
            return;
        }
        let base = before.base.as_deref();
        match self.whole(before.key, base, answer.snapshot.clone(), now) {
            Ok(whole) if !whole.is_partial() => answer.snapshot = whole,
            Ok(_) => fill(&mut answer.snapshot, &meant_files(before, plan)),
            Err(failure) => {
                let error = Error::from(failure);
                log::warn!("{}: not all of it is known: {error}", answer.snapshot.id);
                fill(&mut answer.snapshot, &meant_files(before, plan));
            }
        }
    }

    /// Tells whoever reads along of a state that was taken over; `seen` is the gist before.
    fn tell_taken(&self, seen: &Gist, remote: &Snapshot, merged: &Merged) {
        let before = seen.base.as_deref();
        if !self.is_followed() || before.is_some_and(|before| before.same_content(remote)) {
            return;
        }
        let Some(gist) = self.store.get(seen.key) else { return };
        let files = without_placeholder(seen, different(before, Some(remote)));
        let files = without_placeholder(&gist, files);
        if seen.attempt.as_ref().is_some_and(|sent| sent.made(remote)) {
            self.tell_upload(&gist, Became::Changed, &files);
        } else {
            self.tell_remote(&gist, Became::Changed, &files);
        }
        self.tell_merged(seen.key, merged);
    }

    /// Tells of an answer to a change: what was sent, and what somebody else changed meanwhile.
    fn tell_finished(&self, key: GistKey, before: &Gist, done: (&Plan, bool), remote: &Snapshot) {
        if !self.is_followed() {
            return;
        }
        let Some(gist) = self.store.get(key) else { return };
        let base = before.base.as_deref();
        let (meant, _) = meant(before, done, remote);
        let is_ours = |name: &String| {
            meant.get(name.as_str()).copied() == remote.files.get(name.as_str()).map(|f| f.blob)
        };
        let became = if base.is_some() { Became::Changed } else { Became::Added };
        let (ours, theirs): (Vec<String>, Vec<String>) =
            different(base, Some(remote)).into_iter().partition(is_ours);
        let ours = without_placeholder(&gist, without_placeholder(before, ours));
        self.tell_upload(&gist, became, &ours);
        if !theirs.is_empty() {
            self.tell_remote(&gist, Became::Changed, &theirs);
        }
    }

    /// Takes away files whose bytes only the history of the gist has, now that its base, which was
    /// `before`, has them no more; it is remembered where they can be had. Tells their names.
    ///
    /// It takes a user who brings back what is being removed at that moment.
    fn set_aside_unstored(
        &self,
        gist: &mut Gist,
        before: Option<&Snapshot>,
        now: Time,
    ) -> Vec<FileName> {
        let Some(before) = before else { return vec![] };
        let only_there = |blob: BlobId| {
            let there = before.files.values().find(|file| file.blob == blob)?;
            let nowhere = gist.source(blob).is_none() && !self.store.blobs.contains(blob);
            nowhere.then(|| there.raw_url.clone())
        };
        let found: Vec<Shed> = gist
            .files
            .iter()
            .filter_map(|(name, file)| {
                let blob = file.blob()?;
                Some(Shed {
                    name: name.clone(),
                    blob,
                    size: file.size(),
                    raw_url: Some(only_there(blob)?),
                    at: now,
                    over: None,
                    mode: file.meta.mode,
                })
            })
            .collect();
        let mut taken = Vec::new();
        for shed in found {
            // Who writes to it keeps the name.
            if gist.files.get(&shed.name).is_some_and(|file| file.writers == 0) {
                log::warn!("{:?}: {:?} is in the trash", gist.description, shed.name);
                gist.files.remove(&shed.name);
                taken.push(shed.name.clone());
            }
            gist.remember(shed);
        }
        taken
    }

    /// Lines that merging an answer will ask for, as far as they can be had now.
    fn texts_ahead(
        &self,
        key: GistKey,
        done: (&Plan, bool),
        remote: &Arc<Snapshot>,
        now: Time,
    ) -> Texts {
        let Some(gist) = self.store.get(key) else { return Texts::new() };
        let (meant, _) = meant(&gist, done, remote);
        match merge(&gist, &meant, Arc::clone(remote), &Texts::new(), now) {
            Ok(_) => Texts::new(),
            Err(unmerged) => self.put_together_what_can_be(&gist, remote, &unmerged.needs),
        }
    }
}

/// Says in the log what a merge could not settle by itself.
fn say_merged(merged: &Merged) {
    for (old, new) in &merged.aside {
        log::warn!("{old:?} changed here and on GitHub; what was written here is now {new:?}");
    }
    if let Some(theirs) = &merged.description {
        log::warn!("the description changed here and on GitHub; {theirs:?} is replaced by ours");
    }
}

/// Merges `gist` over `remote`, if that can be done now. A gist removed here comes back if somebody
/// changed it since.
fn take_over(
    gist: &mut Gist,
    remote: &Arc<Snapshot>,
    texts: &Texts,
    now: Time,
) -> Result<Merged, Unmerged> {
    // Only now it is known what was there all the time.
    let learns = gist.base.as_ref().is_some_and(|base| base.is_partial() && base.shows(remote));
    // Without git it is not known any more: that is no change of anybody's.
    let unlearns = gist.base.as_ref().is_some_and(|base| {
        remote.is_partial() && remote.shows(base) && remote.files.len() == base.files.len()
    });
    let known = learns
        || unlearns
        || gist.base.as_ref().is_some_and(|base| base.same_content(remote))
        || gist.attempt.as_ref().is_some_and(|sent| sent.made(remote));
    if gist.removed && !known {
        log::warn!("{}: changed on GitHub after it was removed here; it stays", remote.id);
        let (wrote, shed) = (gist.wrote, std::mem::take(&mut gist.shed));
        let mut back = Gist::of_remote(gist.key, Arc::clone(remote));
        back.files.retain(|name, _| !gist.is_placeholder(name));
        *gist = Gist { wrote, shed, ..back };
        return Ok(Merged::unchanged(gist));
    }
    if gist.removed && learns {
        gist.base = Some(Arc::clone(remote));
        return Ok(Merged::unchanged(gist));
    }
    let base = gist.base.as_ref().map(|base| base.blobs()).unwrap_or_default();
    let shed = if known { gist.removed_by(remote, now) } else { vec![] };
    let merged = merge(gist, &base, Arc::clone(remote), texts, now)?;
    replace(gist, &merged);
    gist.upload.settled = false;
    shed.into_iter().for_each(|shed| gist.remember(shed));
    Ok(merged)
}

/// Makes `gist` what came of a merge.
fn replace(gist: &mut Gist, merged: &Merged) {
    let revision = |gist: &Gist| gist.base.as_ref().and_then(|base| base.revision.clone());
    let (before, after) = (revision(gist), revision(&merged.gist));
    *gist = merged.gist.clone();
    gist.upload.by_commit = before.is_some() && after.is_some() && before != after;
}

/// What GitHub should have after `plan`, as far as it is known where and how long it is.
fn meant_files(gist: &Gist, plan: &Plan) -> BTreeMap<FileName, RemoteFile> {
    let file = |(name, blob): (FileName, BlobId)| {
        let there = gist.remote(&name).filter(|file| file.blob == blob);
        let there = there.or_else(|| gist.source(blob)).cloned();
        let here = || gist.files.values().find(|file| file.blob() == Some(blob));
        let file = there.or_else(|| {
            let (size, raw_url) = (here()?.size(), String::new());
            Some(RemoteFile { blob, size, raw_url, language: None })
        });
        Some((name, file?))
    };
    expected(gist.base.as_ref(), &plan.step).into_iter().filter_map(file).collect()
}

/// What GitHub should have after `plan`, acted on alone or not, with bodies as it stored them; and the files it stored
/// with other bytes than were sent, with what was sent.
fn meant(
    gist: &Gist,
    (plan, alone): (&Plan, bool),
    remote: &Snapshot,
) -> (BTreeMap<FileName, BlobId>, Vec<(FileName, BlobId)>) {
    let mut meant = expected(gist.base.as_ref(), &plan.step);
    let mut altered = Vec::new();
    for (name, blob) in sent(gist, &plan.step, alone) {
        let stored = remote.files.get(&name).map(|file| file.blob);
        if let Some(stored) = stored.filter(|stored| *stored != blob) {
            meant.insert(name.clone(), stored);
            altered.push((name, blob));
        }
    }
    (meant, altered)
}

/// Whether GitHub may have acted on a deletion of ours.
fn may_be_deleted(gist: &Gist) -> bool {
    gist.attempt.as_ref().is_some_and(Attempt::may_have_deleted)
}

/// Whether the user has changed nothing since `gist` was `seen`, and nobody has begun to.
fn is_as_seen(gist: &Gist, seen: &Gist) -> bool {
    gist.removed == seen.removed
        && gist.base == seen.base
        && gist.description == seen.description
        && gist.files == seen.files
        && gist.shed == seen.shed
}

/// Takes away files whose body was never fetched and is nowhere any more.
fn drop_lost(gist: &mut Gist, lost: &[(FileName, BlobId)]) {
    for (name, blob) in lost {
        if gist.files.get(name).is_some_and(|file| file.blob() == Some(*blob)) {
            log::warn!("{:?}: {name:?} went from GitHub before it was read here", gist.description);
            gist.files.remove(name);
        }
    }
}

/// Merges an answer to a request of ours. A file that changed on GitHub too and that somebody is
/// writing, or whose lines could not be put together, stays as it was known before, so that the
/// next look still finds the change.
fn merge_around(
    gist: &Gist,
    mut meant: BTreeMap<FileName, BlobId>,
    mut remote: Arc<Snapshot>,
    texts: &Texts,
    now: Time,
) -> Merged {
    loop {
        let unmerged = match merge(gist, &meant, Arc::clone(&remote), texts, now) {
            Ok(merged) => return merged,
            Err(unmerged) => unmerged,
        };
        let mut as_before = Snapshot::clone(&remote);
        // Nothing may say that this state is the newest known: not the ETag, and no time or commit.
        (as_before.etag, as_before.revision) = (None, None);
        if let Some(base) = &gist.base {
            as_before.updated_at = base.updated_at;
        }
        let needs = unmerged.needs.into_iter().map(|(name, _)| name);
        for name in unmerged.busy.into_iter().chain(needs) {
            log::warn!("{}: {name:?} also changed on GitHub; that is merged later", remote.id);
            let before = gist.remote(&name).cloned();
            meant.remove(&name);
            as_before.files.remove(&name);
            if let Some(before) = before {
                meant.insert(name.clone(), before.blob);
                as_before.files.insert(name, before);
            }
        }
        remote = Arc::new(as_before);
    }
}

/// Whether GitHub's answer has no commit but one after the state we knew.
fn is_next(before: &Gist, answer: &FullGist) -> bool {
    let known = before.base.as_ref().and_then(|base| base.revision.as_deref());
    known.is_some() && answer.history.get(1).map(CommitId::as_str) == known
}

/// The bodies a step carries, by the names they have afterwards. A rename carries what GitHub had:
/// where nobody else changed that in between, another body after it is GitHub's making.
fn sent(gist: &Gist, step: &Step, alone: bool) -> Vec<(FileName, BlobId)> {
    match step {
        Step::Nothing | Step::Fetch(_) | Step::Complete | Step::Withdraw(_) | Step::Delete(_) => {
            vec![]
        }
        Step::Create { files } => {
            files.iter().map(|(name, body)| (name.clone(), body.blob)).collect()
        }
        Step::Update { files, .. } | Step::Push { files, .. } => files
            .iter()
            .filter_map(|(name, change)| match change {
                Change::Write(body) => Some((name.clone(), body.blob)),
                Change::Rename(to, body) => {
                    let before = gist.remote(name).filter(|_| alone).map(|file| file.blob);
                    Some((to.clone(), body.map(|body| body.blob).or(before)?))
                }
                Change::Delete => None,
            })
            .collect(),
    }
}
