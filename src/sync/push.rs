//! One commit on top of a gist's repository: for what the API cannot carry.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::Arc;

use super::Syncer;
use super::plan::{Body, Change, Plan, Step, expected};
use super::send::judge_refusal;
use super::upload::Failure;
use super::whole::SHOWN;
use crate::api::git::{NewCommit, Repository};
use crate::api::retry::Repeatable;
use crate::api::{ApiError, FullGist};
use crate::error::Error;
use crate::model::{BlobId, CommitId, FileName, RemoteFile, Snapshot, Time};
use crate::store::gist::{Attempt, Gist};

/// What became of a look at the repository.
pub(super) enum Looked {
    /// It is as the base says, and can be pushed to.
    Ready(Box<dyn Repository>),
    /// It was not, and was taken over: plan again.
    Moved,
}

/// What became of a push.
pub(super) enum Pushed {
    /// GitHub has it.
    Done,
    /// Not a fast-forward any more from that commit: look again.
    Rejected(CommitId),
}

impl Syncer {
    /// Fetches the newest commit of the gist and takes it over where it is not what `base` says.
    /// `rejected` is a commit on which a push has just failed.
    pub(super) fn look_by_git(
        &self,
        gist: &Gist,
        rejected: Option<&CommitId>,
        now: Time,
    ) -> Result<Looked, Failure> {
        let Some(base) = &gist.base else { return Ok(Looked::Moved) };
        let lags = self.reads_may_lag(gist.key, now);
        let repository = self.repository(&base.git_url).map_err(|failure| match failure {
            Failure::Theirs(error, repeatable) => {
                Failure::Theirs(judge_refusal(error, lags), repeatable)
            }
            Failure::NotNow(..) | Failure::Ours(_) | Failure::NotKnown(_) | Failure::Refused(_) => {
                failure
            }
        })?;
        let head = repository.head();
        if rejected.is_some() && head.commit.as_ref() == rejected {
            return Err(Failure::NotKnown(Error::Conflict(
                "git does not show yet what the gist was changed to".into(),
            )));
        }
        if base.blobs() == head.files {
            return Ok(Looked::Ready(repository));
        }
        let commit = head.commit.as_ref().map(CommitId::as_str);
        if commit != base.revision.as_deref() {
            self.check_is_newer((gist.key, &base.id), base.revision.as_deref(), &*repository, now)?;
        }
        let files = self.files_of_head(&[base], &*repository)?;
        let truncated = base.truncated || files.len() > SHOWN;
        let moved = Snapshot {
            revision: commit.map(str::to_owned),
            etag: None,
            truncated,
            completed: truncated,
            files,
            ..Snapshot::clone(base)
        };
        self.take(gist, moved, now)?;
        Ok(Looked::Moved)
    }

    /// Pushes what `plan` says onto the commit that was looked at.
    pub(super) fn send_push(
        &self,
        gist: &Gist,
        plan: &Plan,
        repository: &dyn Repository,
        now: Time,
    ) -> Result<Pushed, Failure> {
        let Some(base) = &gist.base else { return Ok(Pushed::Done) };
        let Step::Push { files: changes, .. } = &plan.step else { return Ok(Pushed::Done) };
        let files = expected(gist.base.as_ref(), &plan.step);
        self.make_durable(base, changes)?;
        // A commit has no description: GitHub's stays.
        let attempt =
            Attempt::after(gist.attempt.as_ref(), base.description.clone(), files.clone());
        let lags = self.reads_may_lag(gist.key, now);
        self.note_attempt(gist.key, attempt)?;
        let body = |blob| self.open_body(blob);
        let commit = NewCommit { files: &files, at: self.now(), body: &body };
        match repository.push(&commit, &|| {}) {
            Ok(commit) => {
                let snapshot = after(base, changes, &files, &commit);
                let answer = FullGist { snapshot, bodies: BTreeMap::new(), history: vec![] };
                self.finish(gist.key, plan, answer, now)?;
                Ok(Pushed::Done)
            }
            Err(error) => {
                self.take_back_attempt(gist, &error)?;
                match (error, repository.head().commit.clone()) {
                    (ApiError::Conflict(words), Some(head)) => {
                        log::info!("{}: changed before our push arrived: {words}", base.id);
                        Ok(Pushed::Rejected(head))
                    }
                    (error, _) => Err(Failure::Theirs(judge_refusal(error, lags), Repeatable::Yes)),
                }
            }
        }
    }

    /// Makes the bodies that are pushed survive a power cut. Those that GitHub has need not be here.
    fn make_durable(
        &self,
        base: &Snapshot,
        changes: &BTreeMap<FileName, Change>,
    ) -> Result<(), Failure> {
        let there = |blob: BlobId| base.files.values().any(|file| file.blob == blob);
        let mut bodies: Vec<BlobId> = carried(changes).map(|body| body.blob).collect();
        bodies.retain(|blob| !there(*blob));
        for blob in &bodies {
            if let Some(body) = self.store.hot_body(*blob) {
                self.store.blobs.put(*blob, &body).map_err(Failure::Ours)?;
            }
            if !self.store.blobs.contains(*blob) {
                let words = format!("body {blob} is missing from local state");
                return Err(Failure::Ours(Error::Nonsense(words)));
            }
        }
        self.store.sync(&bodies).map_err(Failure::Ours)
    }

    fn open_body(&self, blob: BlobId) -> io::Result<File> {
        let file = self.store.blobs.open_checked(blob).map_err(io::Error::other)?;
        file.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no body {blob} here")))
    }
}

/// The bodies that come with the changes.
fn carried(changes: &BTreeMap<FileName, Change>) -> impl Iterator<Item = Body> {
    changes.values().filter_map(|change| match change {
        Change::Write(body) => Some(*body),
        Change::Rename(_, body) => *body,
        Change::Delete => None,
    })
}

/// The gist as a push made it. The next list brings addresses and the time.
fn after(
    base: &Arc<Snapshot>,
    changes: &BTreeMap<FileName, Change>,
    files: &BTreeMap<FileName, BlobId>,
    commit: &CommitId,
) -> Snapshot {
    let file = |(name, blob): (&FileName, &BlobId)| {
        let named = base.files.get(name).filter(|file| file.blob == *blob);
        let there = named.or_else(|| base.files.values().find(|file| file.blob == *blob));
        let file = there.cloned().or_else(|| {
            let body = carried(changes).find(|body| body.blob == *blob)?;
            let (raw_url, language) = (String::new(), None);
            Some(RemoteFile { blob: *blob, size: body.size, raw_url, language })
        });
        Some((name.clone(), file?))
    };
    let files: BTreeMap<FileName, RemoteFile> = files.iter().filter_map(file).collect();
    let truncated = files.len() > SHOWN;
    Snapshot {
        revision: Some(commit.to_string()),
        etag: None,
        truncated,
        completed: truncated,
        files,
        ..Snapshot::clone(base)
    }
}
