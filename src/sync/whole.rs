//! What the API does not show of a gist, read from its repository: the files past the first 300, and
//! what its newest commit holds.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};
use std::time::Duration;

use super::Syncer;
use super::upload::Failure;
use crate::api::git::Repository;
use crate::api::retry::Repeatable;
use crate::api::{ApiError, Fetched, GistApi};
use crate::error::Error;
use crate::model::{BlobId, CommitId, FileName, GistId, RemoteFile, Snapshot, Time};
use crate::store::gist::{Gist, GistKey};

/// More files than that the API does not show.
pub(super) const SHOWN: usize = 300;

/// What changed so lately may have changed again without a list telling it.
const RECENT: Duration = Duration::from_secs(60);

impl Syncer {
    /// Whether what the API cannot carry goes by git.
    pub(super) fn has_git(&self) -> bool {
        self.api.git().missing().is_none()
    }

    /// `seen` with the files that the API does not show: those of `base` where it is known that
    /// nothing changed, else those of the repository. Without git they are taken for unchanged: that
    /// a file is not shown does not say that it is gone.
    pub(super) fn whole(
        &self,
        key: GistKey,
        base: Option<&Snapshot>,
        mut seen: Snapshot,
        now: Time,
    ) -> Result<Snapshot, Failure> {
        if !seen.is_partial() {
            return Ok(seen);
        }
        if let Some(base) = base.filter(|base| !base.is_partial()) {
            let same_commit = seen.revision.is_some() && seen.revision == base.revision;
            let same_list =
                seen.revision.is_none() && seen.updated_at == base.updated_at && base.completed;
            if (same_commit || same_list) && begins(base, &seen) {
                fill(&mut seen, &base.files);
                seen.revision.clone_from(&base.revision);
                return Ok(completed(seen, now));
            }
        }
        if !self.has_git() {
            if let Some(base) = base {
                fill(&mut seen, &base.files);
            }
            return Ok(seen);
        }
        let repository = self.repository(&seen.git_url)?;
        let commit = repository.head().commit.as_ref().map(CommitId::as_str);
        let known = seen.revision.as_deref().or(base.and_then(|base| base.revision.as_deref()));
        if commit != known {
            self.check_is_newer((key, &seen.id), known, &*repository, now)?;
        }
        if seen.revision.as_deref() != commit {
            // The answer's validator is that of another commit.
            (seen.revision, seen.etag) = (commit.map(str::to_owned), None);
        }
        let likes: Vec<&Snapshot> = [Some(&seen), base].into_iter().flatten().collect();
        let files = self.files_of_head(&likes, &*repository)?;
        seen.files = files;
        Ok(completed(seen, now))
    }

    /// Reads what is missing of a gist's base from its repository.
    pub(super) fn complete(&self, gist: &Gist, now: Time) -> Result<(), Failure> {
        let Some(base) = gist.base.as_deref().filter(|base| base.is_partial()) else {
            return Ok(());
        };
        let whole = self.whole(gist.key, None, base.clone(), now)?;
        self.take(gist, whole, now).map(drop)
    }

    /// Completes every gist that is known in part only. What fails is tried again by the next round;
    /// the log says so when it begins, not for every gist and round.
    pub(super) fn complete_all(&self, now: Time) {
        if !self.has_git() {
            return;
        }
        let mut partial = Vec::new();
        self.store.look_at_all(|gist| {
            if gist.base.as_ref().is_some_and(|base| base.is_partial()) && !gist.removed {
                partial.push(gist.clone());
            }
        });
        let mut failed = None;
        for gist in partial {
            if self.is_git_cut() {
                break;
            }
            if let Err(failure) = self.complete(&gist, now) {
                self.note_git_cut(&failure);
                let error = Error::from(failure);
                log::debug!("{:?}: not all files are shown: {error}", gist.description);
                failed = failed.or(Some((gist.key, error)));
            }
        }
        let said = failed.as_ref().map(|(key, _)| *key);
        let before = {
            let mut shared = self.shared();
            if said.is_none() && shared.git_cut {
                return;
            }
            std::mem::replace(&mut shared.incomplete, said)
        };
        if let (None, Some((key, error))) = (before, failed) {
            let title = self.title(key).unwrap_or_default();
            log::warn!("{title:?}, and maybe others: not all files are shown: {error}");
        }
    }

    /// Whether git has met a network that does not work in this round of refreshing: every other gist
    /// would wait as long for the same.
    pub(super) fn is_git_cut(&self) -> bool {
        self.shared().git_cut
    }

    pub(super) fn note_git_cut(&self, failure: &Failure) {
        let cut = match failure {
            Failure::Theirs(error, _) => error.is_network(),
            Failure::NotNow(..) | Failure::Ours(_) | Failure::NotKnown(_) | Failure::Refused(_) => {
                false
            }
        };
        if cut {
            self.shared().git_cut = true;
        }
    }

    /// The newest commit of a gist. A repository without any says nothing of the gist.
    pub(super) fn repository(&self, git_url: &str) -> Result<Box<dyn Repository>, Failure> {
        let fetched = self.api.git().fetch(git_url, &|| {});
        let repository = fetched.map_err(|error| Failure::Theirs(error, Repeatable::Yes))?;
        let head = repository.head();
        if head.commit.is_none() || head.files.is_empty() {
            let detail = "the repository has no files".into();
            let error = ApiError::Nonsense { host: "GitHub".into(), detail };
            return Err(Failure::Theirs(error, Repeatable::Yes));
        }
        Ok(repository)
    }

    /// Git's copies lag too, behind our own changes and those of others: what does not have the
    /// commit we know before it may be older than that. The API tells a history that was rewritten,
    /// except while it may itself lag behind our last change.
    pub(super) fn check_is_newer(
        &self,
        (key, id): (GistKey, &GistId),
        known: Option<&str>,
        repository: &dyn Repository,
        now: Time,
    ) -> Result<(), Failure> {
        let lags = self.reads_may_lag(key, now);
        let theirs = |error| Failure::Theirs(error, Repeatable::Yes);
        let sure = match known.and_then(CommitId::parse) {
            None => !lags,
            Some(known) if repository.descends_from(&known, &|| {}).map_err(theirs)? => true,
            Some(_) if lags => false,
            Some(_) => match self.api.get(id, None).map_err(theirs)? {
                Fetched::New(full) => full.history.first() == repository.head().commit.as_ref(),
                Fetched::NotModified => false,
            },
        };
        if sure {
            return Ok(());
        }
        Err(Failure::NotKnown(Error::Conflict(
            "what git has may be older than what GitHub has answered".into(),
        )))
    }

    /// The files of the newest commit, with what `likes` know of them, the first one first. Bodies
    /// whose length nobody knows are fetched into the store.
    pub(super) fn files_of_head(
        &self,
        likes: &[&Snapshot],
        repository: &dyn Repository,
    ) -> Result<BTreeMap<FileName, RemoteFile>, Failure> {
        let mut known: HashMap<BlobId, &RemoteFile> = HashMap::new();
        for file in likes.iter().rev().flat_map(|like| like.files.values()) {
            known.insert(file.blob, file);
        }
        let mut sizes: HashMap<BlobId, u64> = HashMap::new();
        let mut missing = Vec::new();
        for blob in repository.head().files.values() {
            if known.contains_key(blob) || sizes.contains_key(blob) || missing.contains(blob) {
                continue;
            }
            match self.stored_size(*blob).map_err(Failure::Ours)? {
                Some(size) => drop(sizes.insert(*blob, size)),
                None => missing.push(*blob),
            }
        }
        if !missing.is_empty() {
            let mut take = |blob: BlobId, size: u64, body: &mut dyn Read| -> io::Result<()> {
                self.take_along(blob, size, body)?;
                sizes.insert(blob, size);
                Ok(())
            };
            let fetched = repository.bodies(&missing, &mut take, &|| {});
            fetched.map_err(|error| Failure::Theirs(error, Repeatable::Yes))?;
        }
        let mut files = BTreeMap::new();
        for (name, blob) in &repository.head().files {
            let named = likes.iter().find_map(|like| like.files.get(name));
            let same = named.filter(|file| file.blob == *blob).or(known.get(blob).copied());
            let file = match (same, sizes.get(blob)) {
                (Some(file), _) => file.clone(),
                // No listing has shown it yet: it is had by git.
                (None, Some(size)) => {
                    RemoteFile { blob: *blob, size: *size, raw_url: String::new(), language: None }
                }
                (None, None) => {
                    let detail = format!("the body {blob} did not come");
                    let error = ApiError::Nonsense { host: "git".into(), detail };
                    return Err(Failure::Theirs(error, Repeatable::Yes));
                }
            };
            files.insert(name.clone(), file);
        }
        Ok(files)
    }

    fn stored_size(&self, blob: BlobId) -> Result<Option<u64>, Error> {
        let Some(file) = self.store.blobs.open_checked(blob)? else { return Ok(None) };
        let data = file.metadata().map_err(|error| Error::local("cannot read a body", &error))?;
        Ok(Some(data.len()))
    }
}

/// Whether a state of which a list shows a part may have changed again, or git's copies may be older
/// than it. Then the list is to be shown again: no 304 is to say that all is known.
pub(super) fn is_doubtful(seen: &Snapshot, now: Time) -> bool {
    seen.is_partial() && now.since(seen.updated_at) < RECENT
}

/// A state with all files. Within one second a list cannot tell before from after: one that may
/// have changed again gets a time that no list shows, so that the next list is not believed. That
/// there is a next list is [`is_doubtful`]'s part.
fn completed(mut seen: Snapshot, now: Time) -> Snapshot {
    seen.completed = true;
    if now.since(seen.updated_at) < RECENT {
        seen.updated_at = seen.updated_at.before(Duration::from_nanos(1));
    }
    seen
}

/// Whether `seen` shows the first files of `whole`, in whichever order GitHub has them.
fn begins(whole: &Snapshot, seen: &Snapshot) -> bool {
    let firsts = |mut names: Vec<&FileName>| {
        names.truncate(seen.files.len());
        names.iter().all(|name| seen.files.contains_key(*name))
    };
    let names: Vec<&FileName> = whole.files.keys().collect();
    let mut folded = names.clone();
    folded.sort_by_key(|name| name.as_str().to_lowercase());
    seen.shows(whole) && (firsts(names) || firsts(folded))
}

/// Adds the files of `known` that `seen`, which shows the first ones only, does not have.
pub(super) fn fill(seen: &mut Snapshot, known: &BTreeMap<FileName, RemoteFile>) {
    for (name, file) in known {
        seen.files.entry(name.clone()).or_insert_with(|| file.clone());
    }
}
