//! Bodies too large for memory: from wherever they come into a file, which is read while it grows.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use super::Source;
use super::flight::Flight;
use super::ways::{NoGit, of_raw};
use crate::api::{ApiError, GistApi};
use crate::error::Error;
use crate::model::BlobId;
use crate::store::Arrival;
use crate::sync::Syncer;

/// Raw hosts give out no body of more bytes.
const MOST_RAW: u64 = 10 << 20;

/// The pauses before an answer that was cut off is asked to go on. One that has brought
/// [`ENOUGH`] begins with the first again.
const PAUSES: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// So many bytes are worth another try.
const ENOUGH: u64 = 1 << 20;

/// Bytes of git's that are taken at a time.
const PIECE: usize = 64 << 10;

impl Syncer {
    pub(super) fn fetch_large(&self, source: &Source, flight: &Flight) -> Result<Arc<File>, Error> {
        let file = &source.file;
        if let Some(stored) = self.store.blobs.open_checked(file.blob)? {
            return Ok(Arc::new(stored));
        }
        let mut arrival = match self.bodies.taken_up(file.blob, file.size) {
            Some(arrival) => arrival,
            None => self.store.blobs.arrival(file.blob, file.size)?,
        };
        flight.grows(&arrival)?;
        flight.hears();
        // What came to its last byte before it was left off lacks the proof alone.
        let came =
            if arrival.is_here() { Ok(()) } else { self.large(source, flight, &mut arrival) };
        match came {
            Ok(()) => {
                let stored = self.store.blobs.complete(arrival).inspect_err(|error| {
                    if matches!(error, Error::Nonsense(_)) {
                        self.bodies.mistrust(file.blob);
                        self.forget_parts(file.blob);
                    }
                });
                stored.map(Arc::new)
            }
            Err(error) => {
                self.leave_off(arrival, &error);
                Err(error)
            }
        }
    }

    /// Keeps what came of a body for the next who wants it, if `error` passes; else drops it.
    fn leave_off(&self, arrival: Arrival, error: &Error) {
        if arrival.arrived() == 0 {
            return;
        }
        let passes =
            matches!(error, Error::Unreachable(_) | Error::TimedOut(_) | Error::Limited(_));
        if passes {
            for forgotten in self.bodies.put_aside(arrival) {
                let blob = forgotten.blob();
                drop(forgotten);
                self.forget_parts(blob);
            }
        } else {
            let blob = arrival.blob();
            arrival.give_up(error.clone());
            self.forget_parts(blob);
        }
    }

    /// Lets go of what somebody may have of the body `blob`: it is not proved and never will be.
    fn forget_parts(&self, blob: BlobId) {
        if let Some(watcher) = self.watcher() {
            watcher.unproved(blob);
        }
    }

    /// Raw first, as for small ones, unless the raw host would refuse it or gave another body the
    /// last time. What one way has brought the next one need not bring again.
    fn large(&self, source: &Source, flight: &Flight, arrival: &mut Arrival) -> Result<(), Error> {
        let file = &source.file;
        let mut no_git = None;
        let mistrusted = self.bodies.is_mistrusted(file.blob);
        // A host out of reach is not waited for where there is another way.
        let detour = self.api.raw_trouble().filter(|_| self.api.git().missing().is_none());
        if let Some(error) = &detour {
            flight.meets(error);
        }
        if file.size > MOST_RAW || source.is_unlisted() || mistrusted || detour.is_some() {
            match self.large_by_git(source, flight, arrival) {
                Ok(()) => return Ok(()),
                Err(NoGit::Failed(error)) if lacks_room(&error) => return Err(error.into()),
                Err(why) => no_git = Some(why),
            }
        }
        let Some(raw) = self.large_by_raw(source, flight, arrival)? else { return Ok(()) };
        let no_git = match no_git {
            Some(no_git) => no_git,
            None => match self.large_by_git(source, flight, arrival) {
                Ok(()) => return Ok(()),
                Err(NoGit::Failed(error)) if lacks_room(&error) => return Err(error.into()),
                Err(no_git) => no_git,
            },
        };
        match no_git {
            NoGit::Missing(_) => self.large_inline(source, raw, flight, arrival, no_git),
            NoGit::Failed(_) => Err(of_raw(raw, no_git)),
        }
    }

    /// Why it did not come, or not all of it, if another way may bring the rest.
    fn large_by_raw(
        &self,
        source: &Source,
        flight: &Flight,
        arrival: &mut Arrival,
    ) -> Result<Option<ApiError>, Error> {
        let mut pauses = PAUSES.iter();
        loop {
            let from = arrival.arrived();
            let mut take = |piece: &[u8]| {
                self.bodies.hears(flight);
                arrival.push(piece)?;
                flight.has(arrival.arrived());
                Ok(())
            };
            let answer = self.api.stream(&source.file, from, &mut take);
            let Err(error) = answer else { return Ok(None) };
            self.note_raw(&error, flight);
            let arrived = arrival.arrived();
            if arrival.is_here() {
                // The end of the answer alone is missing. What came is proved or not in any case.
                return Ok(None);
            }
            let wrong = arrived > from && matches!(error, ApiError::Nonsense { .. });
            if wrong {
                self.bodies.mistrust(source.file.blob);
            }
            if wrong || matches!(error, ApiError::Local { .. }) {
                return Err(error.into());
            }
            if arrived - from >= ENOUGH {
                pauses = PAUSES.iter();
            }
            let Some(pause) = pauses.next().filter(|_| error.is_network() && arrived > 0) else {
                return Ok(Some(error));
            };
            (self.sleep)(*pause);
        }
    }

    fn large_by_git(
        &self,
        source: &Source,
        flight: &Flight,
        arrival: &mut Arrival,
    ) -> Result<(), NoGit> {
        flight.by_git(true);
        let came = self.by_git(source, flight, &mut |body| {
            let known = arrival.arrived();
            io::copy(&mut body.take(known), &mut io::sink())?;
            each_piece(body, |piece| {
                self.bodies.hears(flight);
                arrival.push(piece)?;
                flight.has(arrival.arrived());
                Ok(())
            })
        });
        flight.by_git(false);
        if arrival.is_here() { Ok(()) } else { came }
    }

    /// GitHub's own answers have no body that large; those of other servers may.
    fn large_inline(
        &self,
        source: &Source,
        raw: ApiError,
        flight: &Flight,
        arrival: &mut Arrival,
        no_git: NoGit,
    ) -> Result<(), Error> {
        let inline = self.inline(source, raw, flight);
        let body = inline.map_err(|error| super::ways::of_both(error, no_git))?;
        let known = usize::try_from(arrival.arrived()).unwrap_or(body.len());
        let rest = body.get(known..).unwrap_or_default();
        arrival.push(rest).map_err(|error| Error::local("cannot store a body", &error))?;
        flight.has(arrival.arrived());
        Ok(())
    }
}

/// Whether the disk is full, or not to be written: another way ends there too.
fn lacks_room(error: &ApiError) -> bool {
    let full = [libc::ENOSPC, libc::EDQUOT, libc::EFBIG, libc::EROFS];
    matches!(error, ApiError::Local { errno, .. } if full.contains(errno))
}

/// Reads `body` to its end.
pub(super) fn each_piece(
    body: &mut dyn Read,
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        match body.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(count) => take(piece.get(..count).unwrap_or_default())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
