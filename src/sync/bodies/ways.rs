//! The ways a body can come: its raw address, the API's answers, git.

use std::io::{self, Read};
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::Source;
use super::flight::{Flight, Landed};
use super::inline::out_of_reach;
use crate::api::{ApiError, GistApi};
use crate::error::Error;
use crate::model::BlobId;
use crate::store::SMALL;
use crate::sync::Syncer;

/// Why git did not bring a body.
pub(super) enum NoGit {
    /// There is no git, or no address for it.
    Missing(String),
    /// It was asked.
    Failed(ApiError),
}

impl Source {
    /// Whether the body is too large to be held in memory.
    pub(in crate::sync) fn is_large(&self) -> bool {
        self.file.size > SMALL
    }

    /// Whether it has no raw address: we pushed it, and no answer has told of it yet.
    pub(super) fn is_unlisted(&self) -> bool {
        self.file.raw_url.is_empty()
    }
}

impl Syncer {
    /// The body, from the store or from wherever it can be had; stored from then on.
    pub(super) fn fetch(&self, source: &Source, flight: &Flight) -> Result<Landed, Error> {
        if source.is_large() {
            self.fetch_large(source, flight).map(Landed::Large)
        } else {
            self.fetch_small(source, flight).map(Landed::Small)
        }
    }

    pub(super) fn fetch_small(&self, source: &Source, flight: &Flight) -> Result<Bytes, Error> {
        let blob = source.file.blob;
        if let Some(body) = self.store.body(blob)? {
            return Ok(body);
        }
        flight.hears();
        let body = self.small(source, flight, None)?;
        if flight.waited_for.load(Ordering::Relaxed) {
            self.keep_small(blob, &body);
        } else if let Err(error) = self.store.blobs.put(blob, &body) {
            // Memory is for what is read.
            log::warn!("{error}; the body is served but not stored");
        }
        Ok(body)
    }

    pub(super) fn keep_small(&self, blob: BlobId, body: &Bytes) {
        if let Err(error) = self.store.keep(blob, body) {
            log::warn!("{error}; the body is served but not stored");
        }
    }

    /// Raw first: it costs no quota. The API's inline content is the way round a raw host that
    /// is out of reach or wants a login, and git the way round both. `tried` is why it has just not
    /// come by its raw address.
    pub(super) fn small(
        &self,
        source: &Source,
        flight: &Flight,
        tried: Option<ApiError>,
    ) -> Result<Bytes, Error> {
        if source.is_unlisted() {
            let no_git = match self.small_by_git(source, flight) {
                Ok(body) => return Ok(body),
                Err(no_git) => no_git,
            };
            return self
                .raw_or_inline(source, flight, tried)
                .map_err(|error| of_both(error, no_git));
        }
        match self.raw_or_inline(source, flight, tried) {
            Err(error) if self.may_come_by_git(&error) => {
                self.small_by_git(source, flight).map_err(|no_git| of_both(error, no_git))
            }
            other => other,
        }
    }

    fn raw_or_inline(
        &self,
        source: &Source,
        flight: &Flight,
        tried: Option<ApiError>,
    ) -> Result<Bytes, Error> {
        let detour = self.api.raw_trouble().filter(|_| tried.is_none());
        let raw = match (tried, &detour) {
            (Some(error), _) => error,
            (None, Some(error)) => {
                flight.meets(error);
                error.clone()
            }
            (None, None) => match self.raw(source, flight) {
                Ok(body) => return Ok(body),
                Err(error) => error,
            },
        };
        match self.inline(source, raw, flight) {
            // Not inline either: the way that was spared is the only one there is.
            Err(Error::Unreachable(_) | Error::TimedOut(_))
                if detour.is_some() && self.api.trouble().is_none() =>
            {
                Ok(self.raw(source, flight)?)
            }
            inline => inline,
        }
    }

    pub(super) fn raw(&self, source: &Source, flight: &Flight) -> Result<Bytes, ApiError> {
        let answer = self.api.body(&source.file, &|| self.bodies.hears(flight));
        self.bodies.raw_is_well.store(answer.is_ok(), Ordering::Relaxed);
        answer.inspect_err(|error| self.note_raw(error, flight))
    }

    /// Lets those who wait for a body know why its raw address did not give it.
    pub(super) fn note_raw(&self, error: &ApiError, flight: &Flight) {
        log::debug!("no body by raw address: {error}");
        if let ApiError::Limited { wait, .. } = error {
            self.bodies.note_limit(*wait);
        }
        if error.is_network() {
            flight.meets(error);
        } else {
            self.bodies.hears(flight);
        }
    }

    /// Whether git may have what could not be had otherwise, and will not fail for the same reason.
    fn may_come_by_git(&self, error: &Error) -> bool {
        let network = matches!(error, Error::Unreachable(_) | Error::TimedOut(_));
        let local = matches!(error, Error::Local { .. });
        let nowhere = network && self.api.trouble().is_some();
        !local && !nowhere
    }

    fn small_by_git(&self, source: &Source, flight: &Flight) -> Result<Bytes, NoGit> {
        let file = &source.file;
        let mut bytes = Vec::new();
        self.by_git(source, flight, &mut |body| {
            bytes.clear();
            body.take(file.size + 1).read_to_end(&mut bytes).map(drop)
        })?;
        if BlobId::of(&bytes) != file.blob {
            let detail = format!("{} bytes that are not blob {}", bytes.len(), file.blob);
            return Err(NoGit::Failed(ApiError::Nonsense { host: "git".into(), detail }));
        }
        Ok(bytes.into())
    }

    /// Hands the body, as git has it, to `take`. What else comes along is stored.
    pub(super) fn by_git(
        &self,
        source: &Source,
        flight: &Flight,
        take: &mut dyn FnMut(&mut dyn Read) -> io::Result<()>,
    ) -> Result<(), NoGit> {
        let git = self.api.git();
        if let Some(why) = git.missing() {
            return Err(NoGit::Missing(why.into()));
        }
        if source.git_url.is_empty() {
            return Err(NoGit::Missing("the address of its repository is not known".into()));
        }
        let (wanted, mut came) = (&source.file, false);
        let mut sort = |blob: BlobId, length: u64, body: &mut dyn Read| {
            if blob != wanted.blob {
                return self.take_along(blob, length, body);
            }
            if length != wanted.size {
                let text = format!("blob {blob} has {length} bytes and not {}", wanted.size);
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            came = true;
            take(body)
        };
        let heard = || self.bodies.hears(flight);
        let done = git.bodies(&source.git_url, &[wanted.blob], &mut sort, &heard);
        let done = done.and_then(|()| came.then_some(()).ok_or(ApiError::NotFound));
        done.map_err(|error| {
            log::debug!("no body by git: {error}");
            self.bodies.hears(flight);
            NoGit::Failed(error)
        })
    }

    /// Stores a body as it comes, if it is the one it should be and not stored already.
    pub(in crate::sync) fn take_along(
        &self,
        blob: BlobId,
        length: u64,
        body: &mut dyn Read,
    ) -> io::Result<()> {
        if self.store.blobs.contains(blob) {
            return io::copy(body, &mut io::sink()).map(drop);
        }
        let other = |error: Error| io::Error::other(error.to_string());
        let mut arrival = self.store.blobs.arrival(blob, length).map_err(other)?;
        super::large::each_piece(body, |piece| arrival.push(piece))?;
        self.store.blobs.complete(arrival).map(drop).map_err(other)
    }
}

/// Why a body is not to be had: `error` without git, and not by git either.
pub(super) fn of_both(error: Error, no_git: NoGit) -> Error {
    match (error, no_git) {
        (Error::OutOfReach(words), NoGit::Missing(why)) => {
            Error::OutOfReach(format!("{words}; git is not asked because {why}"))
        }
        // Here asking again may help.
        (Error::OutOfReach(_) | Error::Nonsense(_), NoGit::Failed(git)) if git.passes() => {
            git.into()
        }
        (Error::OutOfReach(words), NoGit::Failed(git)) => {
            Error::OutOfReach(format!("{words}; by git: {git}"))
        }
        (error, NoGit::Missing(_) | NoGit::Failed(_)) => error,
    }
}

/// The same, where the API was not asked: its answers have no body that large.
pub(super) fn of_raw(raw: ApiError, no_git: NoGit) -> Error {
    of_both(out_of_reach(raw), no_git)
}
