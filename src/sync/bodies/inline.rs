//! Bodies as the API's answers for gists have them, for where raw addresses give none.

use std::sync::PoisonError;

use bytes::Bytes;

use super::flight::Flight;
use super::{Bodies, Source, lock};
use crate::api::{ApiError, Fetched, FullGist, GistApi};
use crate::error::Error;
use crate::model::{CommitId, GistId, RemoteFile};
use crate::sync::Syncer;

/// The API's answers hold no more bytes of content than this.
const MOST_INLINE: u64 = 1 << 20;

/// A body that a gist's newest revision does not give is looked for in so many others.
const REVISIONS: usize = 10;

/// Why the API is not asked for a body that nobody waits for.
const SPARED: &str = "the last tenth of GitHub's quota is left for what somebody waits for";

/// Nobody else asks for the bodies of the gist meanwhile.
struct GistTurn<'a> {
    bodies: &'a Bodies,
    id: GistId,
}

impl Drop for GistTurn<'_> {
    fn drop(&mut self) {
        lock(&self.bodies.inline).remove(&self.id);
        self.bodies.inline_done.notify_all();
    }
}

impl Bodies {
    fn turn_at(&self, id: &GistId) -> GistTurn<'_> {
        let mut asked = lock(&self.inline);
        while asked.contains(id) {
            asked = self.inline_done.wait(asked).unwrap_or_else(PoisonError::into_inner);
        }
        asked.insert(id.clone());
        GistTurn { bodies: self, id: id.clone() }
    }
}

impl Syncer {
    /// The body as the API has it, which could not be had by its raw address. One answer has several
    /// bodies of a gist, so one request is made for it at a time; while the quota's last tenth is left
    /// that is for who waits.
    pub(super) fn inline(
        &self,
        source: &Source,
        raw: ApiError,
        flight: &Flight,
    ) -> Result<Bytes, Error> {
        let _turn = self.bodies.turn_at(&source.id);
        if let Some(body) = self.store.body(source.file.blob)? {
            return Ok(body);
        }
        if flight.is_for_later() && self.spares_quota(self.now()) {
            return Err(Error::Limited(SPARED.into()));
        }
        self.ask_inline(source, raw, flight)
    }

    fn ask_inline(&self, source: &Source, raw: ApiError, flight: &Flight) -> Result<Bytes, Error> {
        if let Some(limited) = self.limited(self.now()) {
            return Err(limited);
        }
        let blob = source.file.blob;
        if self.bodies.is_in_vain(blob) {
            return Err(out_of_reach(raw));
        }
        let commit = self.history.commit_with(&source.id, blob);
        let told = match &commit {
            Some(commit) => self.api.revision(&source.id, commit),
            None => self.newest_of(&source.id, &raw),
        };
        let full = self.told_inline(told, &raw, flight)?;
        if let Some(body) = full.bodies.get(&blob) {
            return Ok(body.clone());
        }
        if source.file.size <= MOST_INLINE
            && let Some(body) = self.elsewhere(source, commit.as_ref(), &full, &raw, flight)?
        {
            return Ok(body);
        }
        self.bodies.note_in_vain(&[blob]);
        Err(out_of_reach(raw))
    }

    fn newest_of(&self, id: &GistId, raw: &ApiError) -> Result<FullGist, ApiError> {
        match self.api.get(id, None)? {
            Fetched::New(full) => Ok(full),
            Fetched::NotModified => Err(raw.clone()),
        }
    }

    /// The body as other answers of the API have it: `asked` for the revision `commit`, or for the
    /// newest, it did not come along.
    fn elsewhere(
        &self,
        source: &Source,
        commit: Option<&CommitId>,
        asked: &FullGist,
        raw: &ApiError,
        flight: &Flight,
    ) -> Result<Option<Bytes>, Error> {
        let Source { id, file: RemoteFile { blob, .. }, .. } = source;
        let lists = |full: &FullGist| full.snapshot.files.values().any(|file| file.blob == *blob);
        // It came, but not as its id says: older servers make text of what is none.
        let unmangled = |commit: Option<&CommitId>| -> Result<Option<Bytes>, Error> {
            let full = self.told_inline(self.api.get_base64(id, commit), raw, flight)?;
            Ok(full.bodies.get(blob).cloned())
        };
        let listed = lists(asked);
        if listed && let Some(body) = unmangled(commit)? {
            return Ok(Some(body));
        }
        // Replaced since, and who merges or has it open needs it still; or cut off behind a large
        // file, and another revision has no such file, or has it further back.
        let whole = |full: &FullGist, commit: Option<&CommitId>| match full.bodies.get(blob) {
            Some(body) => Ok(Some(body.clone())),
            None if lists(full) => unmangled(commit),
            None => Ok(None),
        };
        let mut history = asked.history.clone();
        if commit.is_some() {
            let newest = self.told_inline(self.newest_of(id, raw), raw, flight)?;
            if let Some(body) = whole(&newest, None)? {
                return Ok(Some(body));
            }
            history = newest.history;
        }
        let others = history.iter().skip(1).filter(|other| Some(*other) != commit);
        for other in others.take(REVISIONS) {
            let full = self.told_inline(self.api.revision(id, other), raw, flight)?;
            if let Some(body) = whole(&full, Some(other))? {
                return Ok(Some(body));
            }
        }
        if listed {
            // What is in the same place was looked for along with it.
            let beside = asked.snapshot.files.values().map(|file| file.blob);
            let missing = beside.filter(|blob| !self.store.blobs.contains(*blob));
            self.bodies.note_in_vain(&missing.collect::<Vec<_>>());
        }
        Ok(None)
    }

    /// What the API told of a gist whose body could not be had by its raw address for reason `raw`.
    /// All the bodies in it are stored: whoever reads one file that has to be had this way mostly
    /// reads the next.
    fn told_inline(
        &self,
        told: Result<FullGist, ApiError>,
        raw: &ApiError,
        flight: &Flight,
    ) -> Result<FullGist, Error> {
        if !told.as_ref().is_err_and(ApiError::is_network) {
            self.bodies.hears(flight);
        }
        told.inspect(|full| self.keep_bodies(full)).map_err(|error| {
            // Of two troubles the first tells more, but a limit tells what to do.
            let limited = matches!(error, ApiError::Limited { .. });
            if limited { self.heard(error) } else { raw.clone().into() }
        })
    }
}

/// Why there is no body that could neither be had by its raw address, for reason `raw`, nor from the
/// API.
pub(super) fn out_of_reach(raw: ApiError) -> Error {
    let is_final = matches!(
        raw,
        ApiError::Nonsense { .. } | ApiError::Forbidden(_) | ApiError::Refused { .. }
    );
    if is_final {
        Error::OutOfReach(format!(
            "{raw}; the API's answers, cut off at 1 MB, do not have it either"
        ))
    } else {
        raw.into()
    }
}
