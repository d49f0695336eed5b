//! Carrying out a step: one request, written down before it leaves, in GitHub's pace.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Syncer;
use super::events::{Became, different};
use super::plan::{Body, Change, Plan, Step, expected};
use super::upload::Failure;
use crate::api::retry::Repeatable;
use crate::api::{ApiError, FileChange, GistApi, NewGist, Patch};
use crate::error::Error;
use crate::model::{BlobId, FileName, GistId, Snapshot, Time};
use crate::store::gist::{Attempt, Gist, GistKey};
use crate::store::placeholder;

impl Syncer {
    pub(super) fn send(&self, gist: &Gist, plan: &Plan, now: Time) -> Result<(), Failure> {
        match &plan.step {
            Step::Nothing | Step::Fetch(_) | Step::Complete | Step::Push { .. } => Ok(()),
            Step::Create { files } => self.send_create(gist, plan, files, now),
            Step::Update { id, description, files } => {
                let files = files
                    .iter()
                    .map(|(name, change)| Ok((name.clone(), self.spell(change)?)))
                    .collect::<Result<_, Failure>>()?;
                let patch = Patch { description: description.clone(), files };
                // Written down first: if the answer is lost and the user goes on writing, what
                // GitHub then shows must not be taken for somebody else's change.
                let files = expected(gist.base.as_ref(), &plan.step);
                let attempt =
                    Attempt::after(gist.attempt.as_ref(), gist.description.clone(), files);
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
            Step::Withdraw(id) => self.withdraw(gist, id, now),
            Step::Delete(id) => {
                let lags = self.reads_may_lag(gist.key, now);
                // A look has just shown that it is there: 404 does not mean that it is gone.
                // Written down first: who takes it back must know that it may be gone.
                if !self.note_deletion(gist)? {
                    return Ok(());
                }
                // After a power cut, too, it must be known that it was us who deleted it.
                self.store.sync(&[]).map_err(Failure::Ours)?;
                match self.api.delete(id) {
                    Ok(()) => self.was_sent_away(gist.key, id, now).map_err(Failure::Ours),
                    Err(error) => {
                        self.take_back_attempt(gist, &error)?;
                        Err(Failure::Theirs(judge_refusal(error, lags), Repeatable::Yes))
                    }
                }
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
        let mut texts = files
            .iter()
            .map(|(name, body)| Ok((name.clone(), self.text(body.blob)?)))
            .collect::<Result<BTreeMap<_, _>, Failure>>()?;
        let mut files = files.clone();
        if files.is_empty()
            && let Some(name) = placeholder::name(gist, self.now())
        {
            let text = placeholder::text(gist.key, &name);
            let (blob, size) = (BlobId::of(text.as_bytes()), text.len() as u64);
            files.insert(name.clone(), Body { blob, size });
            texts.insert(name, text);
        }
        let blobs = files.iter().map(|(name, body)| (name.clone(), body.blob)).collect();
        let plan = &Plan { step: Step::Create { files }, ..plan.clone() };
        let attempt = Attempt::after(None, gist.description.clone(), blobs);
        // Written down first: if the answer is lost, or we are, the gist is looked for.
        self.note_attempt(gist.key, attempt)?;
        // The last word on it was possible until now.
        let public = self.store.look(gist.key, |there| there.public).unwrap_or(gist.public);
        let new = NewGist { description: gist.description.clone(), public, files: texts };
        // Nothing but this note keeps the gist from being made twice: it outlives a power cut too.
        self.store.sync(&[]).map_err(Failure::Ours)?;
        match self.api.create(&new) {
            Ok(answer) => self.finish(gist.key, plan, answer, now),
            Err(error) => {
                self.take_back_attempt(gist, &error)?;
                Err(Failure::Theirs(denied(error), Repeatable::Yes))
            }
        }
    }

    /// Deletes a gist from GitHub that holds nothing but our placeholder. Here it stays, as one that
    /// GitHub does not have.
    fn withdraw(&self, gist: &Gist, id: &GistId, now: Time) -> Result<(), Failure> {
        let lags = self.reads_may_lag(gist.key, now);
        self.note_attempt(gist.key, Attempt::deletion(gist.attempt.as_ref()))?;
        self.store.sync(&[]).map_err(Failure::Ours)?;
        match self.api.delete(id) {
            Ok(()) => {
                self.note_deleted(id).map_err(Failure::Ours)?;
                self.was_withdrawn(gist.key, now).map_err(Failure::Ours)
            }
            Err(error) => {
                self.take_back_attempt(gist, &error)?;
                Err(Failure::Theirs(judge_refusal(error, lags), Repeatable::Yes))
            }
        }
    }

    /// GitHub has nothing of a gist any more that it only had a placeholder of.
    pub(super) fn was_withdrawn(&self, key: GistKey, now: Time) -> Result<(), Error> {
        self.store.update(key, |gist| {
            (gist.base, gist.attempt) = (None, None);
            // It was made, and edited since: nothing of it may go with a copy that nobody waits for.
            gist.copy_of = None;
            gist.moved_to.clear();
            for file in gist.files.values_mut() {
                file.from = None;
            }
            let refusal = gist.upload.refusal.take();
            gist.changed(now);
            // The user changed nothing: it is not made again only to be refused again.
            gist.upload.refusal = refusal;
            Ok(())
        })
    }

    pub(super) fn note_attempt(&self, key: GistKey, attempt: Attempt) -> Result<(), Failure> {
        let now = self.now();
        let noted = self.store.update(key, |gist| {
            gist.attempt = Some(attempt);
            gist.wrote = Some(now);
            Ok(())
        });
        noted.map_err(Failure::Ours)
    }

    /// Notes that the deletion of `gist` is about to be sent; false if it was taken back meanwhile.
    fn note_deletion(&self, gist: &Gist) -> Result<bool, Failure> {
        let now = self.now();
        let noted = self.store.update(gist.key, |there| {
            if there.removed {
                there.attempt = Some(Attempt::deletion(gist.attempt.as_ref()));
                there.wrote = Some(now);
            }
            Ok(there.removed)
        });
        noted.map_err(Failure::Ours)
    }

    /// A request that certainly was not acted on leaves things as `before`: maybe in doubt about an
    /// earlier one.
    pub(super) fn take_back_attempt(&self, before: &Gist, error: &ApiError) -> Result<(), Failure> {
        let now = self.now();
        let taken = self.store.update(before.key, |gist| {
            if error.outcome_unknown() {
                // It may have been acted on as late as now.
                gist.wrote = Some(now);
            } else {
                gist.attempt.clone_from(&before.attempt);
                gist.wrote = before.wrote;
            }
            Ok(())
        });
        taken.map_err(Failure::Ours)
    }

    /// A create was sent and no answer came: adopts the gist it made, or clears the way for another.
    pub(super) fn look_for_lost_create(&self, gist: &Gist, now: Time) -> Result<(), Failure> {
        let mut doubts = self.doubtful_creates();
        doubts.retain(|doubt| doubt.key == gist.key);
        let made = |other: Snapshot| match self.store.find(&other.id) {
            Some(_) => Ok(None),
            None => self.made_by_us(&doubts, &other),
        };
        let found = self.find_listed(made);
        if let Some((key, made)) = found.map_err(|error| Failure::Theirs(error, Repeatable::Yes))? {
            log::info!("{}: found the gist whose creation was not answered", made.id);
            return self.adopt(key, made, now).map_err(Failure::Ours);
        }
        if self.reads_may_lag(gist.key, now) {
            // The list may not show it yet: only a later look can tell that it was not made.
            return Err(Failure::NotKnown(Error::Conflict(
                "whether GitHub made it is not known yet, because its answer was lost".into(),
            )));
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
        })?;
        if let Some(gist) = self.store.get(key) {
            if gist.copy_of.is_some() {
                self.show_made(key);
            }
            let files = different(None, gist.base.as_deref());
            self.tell_upload(&gist, Became::Added, &without_placeholder(&gist, files));
        }
        Ok(())
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
        // Computed again: what was good when it was first read may have been damaged since.
        body.filter(|body| BlobId::of(body) == blob)
            .and_then(|body| String::from_utf8(body.to_vec()).ok())
            .ok_or_else(|| {
                Failure::Ours(Error::Nonsense(format!("body {blob} is missing from local state")))
            })
    }
}

/// Files that are told of: our placeholder is none.
pub(super) fn without_placeholder(gist: &Gist, mut files: Vec<String>) -> Vec<String> {
    let ours = |name: &String| FileName::parse(name).is_some_and(|name| gist.is_placeholder(&name));
    files.retain(|name| !ours(name));
    files
}

/// What a refusal says about the gist, if it does not say it about the lag of reads.
pub(super) fn judge_refusal(error: ApiError, lags: bool) -> ApiError {
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
