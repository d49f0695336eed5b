//! Sending what is owed: look, plan, send, and make the answer the new base.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use super::bodies::Source;
use super::due::due;
use super::merge::{Merged, merge};
use super::plan::{Body, Change, Class, Hold, Outside, Plan, Step, expected, plan};
use super::{GistChange, Pacing, Syncer};
use crate::api::pace::Pace;
use crate::api::retry::{self, Repeatable};
use crate::api::{
    ApiError, Fetched, FileChange, FullGist, NewGist, PageAddress, PageRequest, Patch,
};
use crate::error::Error;
use crate::model::{BlobId, FileName, Snapshot, Time};
use crate::store::gist::{Attempt, Gist, GistKey};

/// The longest pause between two changes that is waited out; a longer one sends us away.
const SHORT_PAUSE: Duration = Duration::from_secs(2);

/// Requests one push may take before it lets others have their turn.
const STEPS: usize = 64;

/// What a push left behind.
pub type Left = BTreeMap<FileName, Hold>;

impl Syncer {
    /// Sends every gist that is due at `now` and says when the next one will be.
    pub fn send_what_is_due(self: &Arc<Self>, now: Time) -> Option<Time> {
        let limited = self.shared().limited_until.filter(|until| *until > now);
        if limited.is_none() {
            for (_, key) in self.due_times().into_iter().filter(|(at, _)| *at <= now) {
                // The failure is recorded with the gist, and logged there.
                if self.push(key, self.now(), false).is_err()
                    && self.shared().limited_until.is_some()
                {
                    break;
                }
            }
        }
        let limited = self.shared().limited_until.filter(|until| *until > now);
        let next = self.due_times().into_iter().map(|(at, _)| at).min()?;
        Some(limited.map_or(next, |until| next.max(until)))
    }

    /// Every gist that owes something sendable, by when it is due.
    fn due_times(&self) -> Vec<(Time, GistKey)> {
        let mut found = Vec::new();
        self.store.look_at_all(|gist| {
            found.extend(due(gist, self.options.write_back).map(|at| (at, gist.key)));
        });
        found.sort();
        found
    }

    /// Sends what the gist owes, now. `even_open` includes files that are open for writing.
    ///
    /// What cannot be sent is told, not an error. An error is recorded with the gist, which is
    /// then tried again later if trying again can help.
    pub fn push(self: &Arc<Self>, key: GistKey, now: Time, even_open: bool) -> Result<Left, Error> {
        if self.options.read_only {
            return Err(Error::ReadOnly("nothing is sent"));
        }
        let mut pacing = self.mutation.lock().unwrap_or_else(PoisonError::into_inner);
        match self.push_steps(&mut pacing, key, now, even_open) {
            Ok(left) => {
                self.store.note(key, |gist| {
                    gist.upload.settled = true;
                    gist.upload.tries = 0;
                    gist.upload.not_before = None;
                    if !gist.differs() {
                        gist.upload.first_change = None;
                        gist.upload.last_change = None;
                    }
                });
                self.record_error(key, None);
                self.unsettle_movers(key);
                Ok(left)
            }
            Err(failure) => Err(self.record_failure(key, failure)),
        }
    }

    /// Gists that wait for a file to arrive in `key` look again: it arrived, or `key` is no more.
    pub fn unsettle_movers(&self, key: GistKey) {
        let mut waiting = Vec::new();
        self.store.look_at_all(|gist| {
            if gist.moved_to.values().any(|to| *to == key) {
                waiting.push(gist.key);
            }
        });
        for gist in waiting {
            self.store.note(gist, |gist| gist.upload.settled = false);
        }
    }

    fn push_steps(
        self: &Arc<Self>,
        pacing: &mut MutexGuard<'_, Pacing>,
        key: GistKey,
        now: Time,
        even_open: bool,
    ) -> Result<Left, Failure> {
        let mut looked = false;
        for _ in 0..STEPS {
            let Some(gist) = self.store.get(key) else { return Ok(Left::new()) };
            let plan = self.plan(&gist, even_open);
            match &plan.step {
                Step::Nothing => return Ok(plan.held),
                Step::Fetch(blobs) => {
                    for blob in blobs {
                        self.fetch_for(&gist, *blob)?;
                    }
                    continue;
                }
                Step::Create { .. } if gist.attempt.is_some() => {
                    self.look_for_lost_create(&gist, now)?;
                    continue;
                }
                Step::Create { .. } => {}
                Step::Update { .. } | Step::Delete(_) if !looked => {
                    looked = true;
                    if self.look(&gist, now)? {
                        continue;
                    }
                }
                Step::Update { .. } | Step::Delete(_) => {}
            }
            self.keep_pace(pacing)?;
            self.send(&gist, &plan, now)?;
            if !plan.more
                && plan.held.is_empty()
                && !self.store.look(key, Gist::differs).unwrap_or(false)
            {
                return Ok(Left::new());
            }
        }
        Ok(Left::new())
    }

    /// The plan for `gist`, with the answers it needs from the stores.
    pub(super) fn plan(&self, gist: &Gist, even_open: bool) -> Plan {
        let class = |blob| match self.store.body(blob) {
            Ok(body) => body.map(|body| Class::of(&body)),
            Err(error) => {
                log::warn!("{error}");
                None
            }
        };
        let arrived = |to, blob| {
            let wanted = |gist: &Gist| {
                gist.files.values().any(|file| file.blob() == Some(blob))
                    && gist.source(blob).is_none()
            };
            !self.store.look(to, wanted).unwrap_or(false)
        };
        plan(gist, &Outside { class: &class, arrived: &arrived, even_open })
    }

    fn fetch_for(self: &Arc<Self>, gist: &Gist, blob: BlobId) -> Result<(), Failure> {
        let source = gist
            .base
            .as_ref()
            .zip(gist.source(blob))
            .map(|(base, file)| Source { id: base.id.clone(), file: file.clone() });
        let Some(source) = source else {
            return Err(Failure::Ours(Error::Nonsense(format!(
                "body {blob} is neither stored here nor on GitHub"
            ))));
        };
        self.body(&source).map(drop).map_err(Failure::Ours)
    }

    /// Looks whether the gist is still what `base` says; true if it was not and was merged.
    fn look(&self, gist: &Gist, now: Time) -> Result<bool, Failure> {
        let Some(base) = &gist.base else { return Ok(false) };
        match self.api.get(&base.id, base.etag.as_deref()) {
            Ok(Fetched::NotModified) => Ok(false),
            Ok(Fetched::New(full)) => {
                if self.is_stale(gist.key, base, &full.snapshot, Some(&full.history), now) {
                    return Ok(false);
                }
                self.keep_bodies(&full);
                let changed = !full.snapshot.same_content(base);
                self.take(gist.key, full.snapshot, now)?;
                Ok(changed)
            }
            Err(ApiError::NotFound) if self.reads_may_lag(gist.key, now) => Ok(false),
            Err(ApiError::NotFound) => {
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
        history: Option<&[String]>,
        now: Time,
    ) -> bool {
        if !self.reads_may_lag(key, now) {
            return false;
        }
        match (&base.revision, history) {
            (Some(known), Some(history)) if history.first() == Some(known) => {
                // A description makes no commit: here only the second can tell.
                seen.updated_at <= base.updated_at && !seen.same_content(base)
            }
            (Some(known), Some(history)) if !history.is_empty() => !history.contains(known),
            // A list tells no revision. Within one second it cannot tell before from after.
            (Some(_) | None, _) => {
                seen.updated_at < base.updated_at
                    || (seen.updated_at == base.updated_at && !seen.same_content(base))
            }
        }
    }

    /// Bodies that came along are worth keeping: they are proved, and were paid for.
    fn keep_bodies(&self, full: &FullGist) {
        for (blob, body) in &full.bodies {
            if let Err(error) = self.store.keep(*blob, body) {
                log::warn!("{error}");
            }
        }
    }

    /// Makes `remote` the base of the gist, merging what the user changed over it.
    pub(super) fn take(&self, key: GistKey, remote: Snapshot, now: Time) -> Result<(), Failure> {
        let remote = Arc::new(remote);
        let done = self.store.update(key, |gist| {
            let known = gist.base.as_ref().is_some_and(|base| base.same_content(&remote))
                || gist.attempt.as_ref().is_some_and(|sent| sent.made(&remote));
            if gist.removed && !known {
                log::warn!("{}: changed on GitHub after it was removed here; it stays", remote.id);
                *gist = Gist::of_remote(key, Arc::clone(&remote));
                return Ok(Ok(Merged {
                    gist: gist.clone(),
                    moved: vec![],
                    taken: vec![],
                    description: None,
                }));
            }
            let base = blobs_of(gist.base.as_deref());
            let merged = merge(gist, &base, Arc::clone(&remote), now);
            if let Ok(merged) = &merged {
                *gist = merged.gist.clone();
                gist.upload.settled = false;
            }
            Ok(merged)
        });
        match done.map_err(Failure::Ours)? {
            Ok(merged) => {
                self.tell_merged(key, merged);
                Ok(())
            }
            Err(busy) => {
                self.shared().postponed.insert(key);
                let name = busy.0;
                Err(Failure::Ours(Error::Conflict(format!(
                    "{name} changed on GitHub and is open for writing here"
                ))))
            }
        }
    }

    fn tell_merged(&self, key: GistKey, merged: Merged) {
        for (old, new) in &merged.moved {
            log::warn!("{old:?} changed here and on GitHub; what was written here is now {new:?}");
        }
        if let Some(theirs) = &merged.description {
            log::warn!(
                "the description changed here and on GitHub; {theirs:?} is replaced by ours"
            );
        }
        self.tell(&[GistChange { key, moved: merged.moved, taken: merged.taken }]);
    }

    /// The gist is not on GitHub any more. What was edited here is made anew; else it goes.
    pub(super) fn gone_on_github(&self, key: GistKey, now: Time) -> Result<(), Error> {
        let keep =
            self.store.look(key, |gist| gist.differs() && !gist.removed && !gist.files.is_empty());
        match keep {
            Some(true) => {
                self.store.update(key, |gist| {
                    log::warn!(
                        "{}: deleted on GitHub, edited here; it is made anew",
                        gist.description
                    );
                    gist.base = None;
                    gist.attempt = None;
                    gist.moved_to.clear();
                    for file in gist.files.values_mut() {
                        file.from = None;
                    }
                    gist.changed(now);
                    Ok(())
                })?;
            }
            Some(false) => self.store.put_all(vec![(key, None)])?,
            None => {}
        }
        self.tell(&[GistChange { key, moved: vec![], taken: vec![] }]);
        Ok(())
    }

    /// Waits until GitHub's pace allows the next change, if that is soon.
    fn keep_pace(&self, pacing: &mut MutexGuard<'_, Pacing>) -> Result<(), Failure> {
        let interval = self.options.write_interval;
        let limited = self.api.quota().is_some();
        let pace = pacing.pace.get_or_insert_with(|| {
            if limited {
                Pace::github(interval.unwrap_or(Duration::from_secs(1)))
            } else {
                Pace::unlimited(interval.unwrap_or_default())
            }
        });
        let wait = pace.wait(self.now());
        if wait > SHORT_PAUSE {
            return Err(Failure::Theirs(
                ApiError::Limited {
                    message: "gistfs keeps below GitHub's limit on changes".into(),
                    wait: Some(wait),
                    secondary: true,
                },
                Repeatable::Yes,
            ));
        }
        std::thread::sleep(wait);
        pace.sent(self.now());
        Ok(())
    }

    fn send(&self, gist: &Gist, plan: &Plan, now: Time) -> Result<(), Failure> {
        match &plan.step {
            Step::Nothing | Step::Fetch(_) => Ok(()),
            Step::Create { files } => self.send_create(gist, plan, files, now),
            Step::Update { id, description, files } => {
                let files = files
                    .iter()
                    .map(|(name, change)| Ok((name.clone(), self.spell(change)?)))
                    .collect::<Result<_, Failure>>()?;
                let patch = Patch { description: description.clone(), files };
                // Written down first: if the answer is lost and the user goes on writing, what
                // GitHub then shows must not be taken for somebody else's change.
                let attempt = Attempt {
                    description: gist.description.clone(),
                    files: expected(gist.base.as_ref(), &plan.step),
                };
                let lags = self.reads_may_lag(gist.key, now);
                self.note_attempt(gist.key, attempt)?;
                let answer = self.api.update(id, &patch);
                match answer {
                    Ok(answer) => self.finish(gist.key, plan, answer, now),
                    Err(error) => {
                        self.take_back_attempt(gist, &error)?;
                        Err(Failure::Theirs(judge_refusal(error, lags), Repeatable::Yes))
                    }
                }
            }
            Step::Delete(id) => {
                let lags = self.reads_may_lag(gist.key, now);
                // A look has just shown that it is there: 404 does not mean that it is gone.
                let answer = self.api.delete(id);
                answer.map_err(|error| {
                    Failure::Theirs(judge_refusal(error, lags), Repeatable::Yes)
                })?;
                self.note_deleted(id).map_err(Failure::Ours)?;
                self.store.put_all(vec![(gist.key, None)]).map_err(Failure::Ours)
            }
        }
    }

    fn send_create(
        &self,
        gist: &Gist,
        plan: &Plan,
        files: &BTreeMap<FileName, Body>,
        now: Time,
    ) -> Result<(), Failure> {
        let texts = files
            .iter()
            .map(|(name, body)| Ok((name.clone(), self.text(body.blob)?)))
            .collect::<Result<_, Failure>>()?;
        let new =
            NewGist { description: gist.description.clone(), public: gist.public, files: texts };
        let attempt = Attempt {
            description: gist.description.clone(),
            files: files.iter().map(|(name, body)| (name.clone(), body.blob)).collect(),
        };
        // Written down first: if the answer is lost, or we are, the gist is looked for.
        self.note_attempt(gist.key, attempt)?;
        match self.api.create(&new) {
            Ok(answer) => self.finish(gist.key, plan, answer, now),
            Err(error) => {
                self.take_back_attempt(gist, &error)?;
                Err(Failure::Theirs(denied(error), Repeatable::Yes))
            }
        }
    }

    fn note_attempt(&self, key: GistKey, attempt: Attempt) -> Result<(), Failure> {
        let now = self.now();
        let noted = self.store.update(key, |gist| {
            gist.attempt = Some(attempt);
            gist.wrote = Some(now);
            Ok(())
        });
        noted.map_err(Failure::Ours)
    }

    /// A request that certainly was not acted on leaves things as `before`: maybe in doubt about an
    /// earlier one.
    fn take_back_attempt(&self, before: &Gist, error: &ApiError) -> Result<(), Failure> {
        if error.outcome_unknown() {
            return Ok(());
        }
        let taken = self.store.update(before.key, |gist| {
            gist.attempt.clone_from(&before.attempt);
            gist.wrote = before.wrote;
            Ok(())
        });
        taken.map_err(Failure::Ours)
    }

    /// A create was sent and no answer came: adopts the gist it made, or clears the way for another.
    fn look_for_lost_create(&self, gist: &Gist, now: Time) -> Result<(), Failure> {
        let Some(attempt) = &gist.attempt else { return Ok(()) };
        let mut from = PageAddress::Own { since: None };
        loop {
            let request = PageRequest { from, etag: None };
            let page = match self.api.list(&request) {
                Ok(Fetched::New(page)) => page,
                Ok(Fetched::NotModified) => break,
                Err(error) => return Err(Failure::Theirs(error, Repeatable::Yes)),
            };
            for snapshot in page.gists {
                if attempt.made(&snapshot) && self.store.find(&snapshot.id).is_none() {
                    log::info!("{}: found the gist whose creation was not answered", snapshot.id);
                    return self.adopt(gist.key, snapshot, now).map_err(Failure::Ours);
                }
            }
            match page.next {
                Some(next) => from = PageAddress::Next(next),
                None => break,
            }
        }
        if self.reads_may_lag(gist.key, now) {
            // The list may not show it yet: only a later look can tell that it was not made.
            return Err(Failure::Theirs(
                ApiError::Conflict(
                    "a create was not answered and its gist is not listed yet".into(),
                ),
                Repeatable::Yes,
            ));
        }
        let cleared = self.store.update(gist.key, |gist| {
            gist.attempt = None;
            Ok(())
        });
        cleared.map_err(Failure::Ours)
    }

    /// Makes `snapshot` the base of a gist that was being created.
    pub(super) fn adopt(&self, key: GistKey, snapshot: Snapshot, now: Time) -> Result<(), Error> {
        self.store.update(key, |gist| {
            gist.base = Some(Arc::new(snapshot));
            gist.attempt = None;
            gist.upload.settled = false;
            gist.follow_base();
            gist.changed(now);
            Ok(())
        })
    }

    fn spell(&self, change: &Change) -> Result<FileChange, Failure> {
        Ok(match change {
            Change::Delete => FileChange::Delete,
            Change::Write(body) => FileChange::Write(self.text(body.blob)?),
            Change::Rename(to, body) => {
                let text = body.map(|body| self.text(body.blob)).transpose()?;
                FileChange::Rename(to.clone(), text)
            }
        })
    }

    fn text(&self, blob: BlobId) -> Result<String, Failure> {
        let body = self.store.body(blob).map_err(Failure::Ours)?;
        body.and_then(|body| String::from_utf8(body.to_vec()).ok()).ok_or_else(|| {
            Failure::Ours(Error::Nonsense(format!("body {blob} is missing from local state")))
        })
    }

    /// Makes GitHub's answer to a change the new base, after comparing it with what was meant.
    fn finish(
        &self,
        key: GistKey,
        plan: &Plan,
        answer: FullGist,
        now: Time,
    ) -> Result<(), Failure> {
        let wrote = self.now();
        self.keep_bodies(&answer);
        let remote = Arc::new(answer.snapshot);
        let done = self.store.update(key, |gist| {
            let mut meant = expected(gist.base.as_ref(), &plan.step);
            for (name, blob) in sent(&plan.step) {
                let stored = remote.files.get(&name).map(|file| file.blob);
                if let Some(stored) = stored.filter(|stored| *stored != blob) {
                    log::warn!(
                        "{}: GitHub stored {name:?} with other bytes than were sent",
                        remote.id
                    );
                    meant.insert(name.clone(), stored);
                    if let Some(file) =
                        gist.files.get_mut(&name).filter(|file| file.blob() == Some(blob))
                    {
                        file.altered = Some(blob);
                    }
                }
            }
            gist.attempt = None;
            gist.wrote = Some(wrote);
            match merge(gist, &meant, Arc::clone(&remote), now) {
                Ok(merged) => {
                    *gist = merged.gist.clone();
                    Ok(Some(merged))
                }
                Err(busy) => {
                    log::warn!(
                        "{}: {:?} also changed on GitHub while it is open here",
                        remote.id,
                        busy.0
                    );
                    gist.base = Some(Arc::clone(&remote));
                    gist.follow_base();
                    Ok(None)
                }
            }
        });
        if let Some(Merged { moved, taken, .. }) = done.map_err(Failure::Ours)? {
            self.tell(&[GistChange { key, moved, taken }]);
        }
        Ok(())
    }

    /// Notes a failed push with the gist and tells the error to raise.
    fn record_failure(&self, key: GistKey, failure: Failure) -> Error {
        let mut unknown = false;
        let (error, wait, limited) = match failure {
            Failure::Ours(error) => (error, Some(Duration::from_secs(5)), false),
            Failure::Theirs(error, repeatable) => {
                let tries = self.store.look(key, |gist| gist.upload.tries).unwrap_or(0);
                let wait = retry::wait(tries, repeatable, &error, self.seed());
                let limited = matches!(error, ApiError::Limited { .. });
                unknown = error.outcome_unknown();
                (Error::from(error), wait, limited)
            }
        };
        let now = self.now();
        if unknown {
            let noted = self.store.update(key, |gist| {
                gist.wrote = Some(now);
                Ok(())
            });
            if let Err(error) = noted {
                log::warn!("{error}");
            }
        }
        let until = wait.map(|wait| now.after(wait));
        if limited {
            self.shared().limited_until = until;
        }
        self.store.note(key, |gist| {
            gist.upload.tries = gist.upload.tries.saturating_add(1);
            gist.upload.not_before = until;
            gist.upload.refused = until.is_none();
        });
        self.record_error(key, Some(error.to_string()));
        error
    }

    /// Keeps the newest error with the gist; logs it when it begins and when it ends.
    fn record_error(&self, key: GistKey, error: Option<String>) {
        let Some(before) = self.store.look(key, |gist| gist.upload.error.clone()) else { return };
        if before == error {
            return;
        }
        let title = self.store.look(key, |gist| gist.description.clone()).unwrap_or_default();
        match (&before, &error) {
            (_, Some(error)) => log::warn!("{title:?} is not sent: {error}"),
            (Some(_), None) => log::info!("{title:?} is sent again"),
            (None, None) => {}
        }
        let kept = self.store.update(key, |gist| {
            gist.upload.error = error;
            Ok(())
        });
        if let Err(error) = kept {
            log::warn!("{error}");
        }
    }

    /// Gists whose remote change waited for a writer look again, now that one is done.
    pub fn writer_done(&self, key: GistKey) {
        if self.shared().postponed.remove(&key) {
            self.store.note(key, |gist| {
                gist.upload.settled = false;
                gist.upload.not_before = None;
            });
            self.shared().list_again = true;
        }
        self.poke();
    }
}

/// Why a push failed: on GitHub's side, and then maybe only for now, or on ours.
pub(super) enum Failure {
    Theirs(ApiError, Repeatable),
    Ours(Error),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Theirs(error, _) => error.into(),
            Failure::Ours(error) => error,
        }
    }
}

/// What a refusal says about the gist, if it does not say it about the lag of reads.
fn judge_refusal(error: ApiError, lags: bool) -> ApiError {
    if lags && error == ApiError::NotFound {
        // Gone only just now: what is true shows when reads have caught up.
        return ApiError::Conflict("the gist is not to be found just now".into());
    }
    if lags && let ApiError::Refused { status: 422, message } = error {
        // Planned over a state that was already past, as when an answer was lost: one file named
        // that is not there any more fails the whole request.
        return ApiError::Conflict(message);
    }
    denied(error)
}

/// GitHub says 404 when a token lacks the scope to change what it may see.
fn denied(error: ApiError) -> ApiError {
    if error != ApiError::NotFound {
        return error;
    }
    ApiError::Forbidden(
        "the token may not change gists: it needs the scope \"gist\" (fine-grained: Gists, write)"
            .into(),
    )
}

fn blobs_of(base: Option<&Snapshot>) -> BTreeMap<FileName, BlobId> {
    base.map(|base| base.files.iter().map(|(name, file)| (name.clone(), file.blob)).collect())
        .unwrap_or_default()
}

/// The bodies a step carries, by the names they have afterwards.
fn sent(step: &Step) -> Vec<(FileName, BlobId)> {
    match step {
        Step::Nothing | Step::Fetch(_) | Step::Delete(_) => vec![],
        Step::Create { files } => {
            files.iter().map(|(name, body)| (name.clone(), body.blob)).collect()
        }
        Step::Update { files, .. } => files
            .iter()
            .filter_map(|(name, change)| match change {
                Change::Write(body) => Some((name.clone(), body.blob)),
                Change::Rename(to, body) => body.map(|body| (to.clone(), body.blob)),
                Change::Delete => None,
            })
            .collect(),
    }
}
