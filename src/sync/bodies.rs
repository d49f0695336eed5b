//! Bodies that are not stored yet: fetched once however many wait, and waited for with a bound.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Syncer;
use crate::api::{ApiError, GistApi};
use crate::error::Error;
use crate::model::{BlobId, GistId, RemoteFile, Snapshot};
use crate::store::gist::Gist;

mod inline;

/// How long one read waits while nothing comes: 5 s with all that goes before and after. The fetch
/// itself goes on, for the next who asks.
const PATIENCE: Duration = Duration::from_millis(4500);

/// What was looked for everywhere in vain is not looked for again for so long.
const IN_VAIN_FOR: Duration = Duration::from_secs(60);

/// Where a body can be had.
#[derive(Clone, Debug)]
pub struct Source {
    /// The gist that has it.
    pub id: GistId,
    /// The gist's git repository; empty where it is not known.
    pub git_url: String,
    /// The file it is the body of.
    pub file: RemoteFile,
}

impl Source {
    /// Where the body `blob` can be fetched, if the gist has it on GitHub.
    pub fn of(gist: &Gist, blob: BlobId) -> Option<Self> {
        let base = gist.base.as_ref()?;
        gist.source(blob).map(|file| Self::in_gist(base, file.clone()))
    }

    /// Where the body of `file`, which `gist` has or had, can be fetched.
    pub fn in_gist(gist: &Snapshot, file: RemoteFile) -> Self {
        Self { id: gist.id.clone(), git_url: gist.git_url.clone(), file }
    }
}

/// Fetches under way, by blob.
pub(super) struct Bodies {
    flights: Mutex<HashMap<BlobId, Arc<Flight>>>,
    /// Places left for fetches.
    places: Mutex<usize>,
    freed: Condvar,
    /// When a part of any body last came. A leaf.
    heard: Mutex<Instant>,
    /// Bodies that no answer of the API had, and when they were looked for. A leaf.
    in_vain: Mutex<HashMap<BlobId, Instant>>,
}

/// A fetch under way.
#[derive(Default)]
pub(super) struct Flight {
    state: Mutex<Progress>,
    landed: Condvar,
}

/// How far a fetch is.
#[derive(Default)]
struct Progress {
    result: Option<Result<Bytes, Error>>,
    /// When something of it last came, or it began; `None` while it waits for a place.
    heard: Option<Instant>,
    /// What went wrong on the way that did not work.
    trouble: Option<Error>,
}

impl Flight {
    fn hears(&self) {
        lock(&self.state).heard = Some(Instant::now());
    }

    fn meets(&self, trouble: &ApiError) {
        lock(&self.state).trouble = Some(trouble.clone().into());
    }
}

impl Bodies {
    pub(super) fn new(parallel: usize) -> Self {
        Self {
            flights: Mutex::default(),
            places: Mutex::new(parallel.max(1)),
            freed: Condvar::new(),
            heard: Mutex::new(Instant::now()),
            in_vain: Mutex::default(),
        }
    }

    fn is_in_vain(&self, blob: BlobId) -> bool {
        lock(&self.in_vain).get(&blob).is_some_and(|then| then.elapsed() < IN_VAIN_FOR)
    }

    fn note_in_vain(&self, blobs: &[BlobId]) {
        let now = Instant::now();
        let mut in_vain = lock(&self.in_vain);
        in_vain.retain(|_, then| now.duration_since(*then) < IN_VAIN_FOR);
        in_vain.extend(blobs.iter().map(|blob| (*blob, now)));
    }

    fn heard(&self) -> Instant {
        *lock(&self.heard)
    }

    fn hears(&self, flight: &Flight) {
        *lock(&self.heard) = Instant::now();
        flight.hears();
    }

    fn take_place(&self) {
        let mut places = lock(&self.places);
        while *places == 0 {
            places = self.freed.wait(places).unwrap_or_else(PoisonError::into_inner);
        }
        *places -= 1;
    }

    fn free_place(&self) {
        *lock(&self.places) += 1;
        self.freed.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Syncer {
    /// The body `source` names, from the store or the network; stored from then on.
    ///
    /// Blocks as long as it comes, and for 5 s while nothing does: then [`Error::Unreachable`] or
    /// [`Error::TimedOut`]. Everybody who waits for the same body waits for the same request.
    pub fn body(self: &Arc<Self>, source: &Source) -> Result<Bytes, Error> {
        if let Some(body) = self.store.body(source.file.blob)? {
            return Ok(body);
        }
        if let Some(error) = self.api.hush() {
            return Err(error);
        }
        let joined = Instant::now();
        let flight = self.join_flight(source)?;
        let mut state = lock(&flight.state);
        loop {
            if let Some(result) = &state.result {
                return result.clone();
            }
            // Who comes late to a silent fetch waits no longer for it. While it waits for a place,
            // others that have one tell whether anything comes.
            let heard = state.heard.unwrap_or_else(|| self.bodies.heard().max(joined));
            let deadline = heard + PATIENCE;
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                let late = || Error::TimedOut("nothing has come of the body yet".into());
                let error = state.trouble.clone().unwrap_or_else(late);
                self.waited_in_vain(joined, &error);
                return Err(error);
            };
            state = match flight.landed.wait_timeout(state, left) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    /// The body `source` names, on disk afterwards: a fetched one is served also where it cannot be
    /// stored, and memory may have what the disk has lost.
    pub fn store_body(self: &Arc<Self>, source: &Source) -> Result<(), Error> {
        let body = self.body(source)?;
        self.store.blobs.put(source.file.blob, &body)
    }

    /// Lets the body `source` names be fetched; who asks for it next finds it under way.
    pub(super) fn begin_fetching(self: &Arc<Self>, source: &Source) -> Result<(), Error> {
        self.join_flight(source).map(drop)
    }

    /// Whoever asks for another body just now need not wait in vain too, unless something came.
    pub(super) fn waited_in_vain(&self, since: Instant, error: &Error) {
        let (Error::Unreachable(_) | Error::TimedOut(_)) = error else { return };
        if self.api.hush().is_none() && self.api.trouble().is_none() {
            log::warn!("a body does not come: {error}");
        }
        if self.bodies.heard() < since {
            self.api.note_hush(error.clone());
        }
    }

    /// The fetch under way for that body, begun on a thread of its own if there is none.
    fn join_flight(self: &Arc<Self>, source: &Source) -> Result<Arc<Flight>, Error> {
        let blob = source.file.blob;
        let mut flights = lock(&self.bodies.flights);
        if let Some(flight) = flights.get(&blob) {
            return Ok(Arc::clone(flight));
        }
        let flight = Arc::new(Flight::default());
        let (syncer, source) = (Arc::clone(self), source.clone());
        let landing = Arc::clone(&flight);
        std::thread::Builder::new()
            .name("gistfs-body".into())
            .spawn(move || {
                syncer.bodies.take_place();
                // Those before it may have shown that there is no network.
                let result = match syncer.api.hush() {
                    Some(error) => Err(error),
                    None => syncer.fetch_and_note(&source, &landing),
                };
                syncer.bodies.free_place();
                // Stored before the flight is forgotten: who comes now finds it.
                lock(&syncer.bodies.flights).remove(&blob);
                lock(&landing.state).result = Some(result);
                landing.landed.notify_all();
            })
            .map_err(|error| Error::local("cannot start a thread", &error))?;
        flights.insert(blob, Arc::clone(&flight));
        Ok(flight)
    }

    fn fetch_and_note(&self, source: &Source, flight: &Flight) -> Result<Bytes, Error> {
        let began = Instant::now();
        let result = self.fetch(source, flight);
        if let Err(error) = &result {
            self.waited_in_vain(began, error);
        }
        result
    }

    /// The body for somebody who waits in any case.
    pub(super) fn fetch_now(&self, source: &Source) -> Result<Bytes, Error> {
        self.fetch(source, &Flight::default())
    }

    /// Raw first: it costs no quota. The API's inline content is the way round a raw host that
    /// is out of reach or wants a login.
    fn fetch(&self, source: &Source, flight: &Flight) -> Result<Bytes, Error> {
        let blob = source.file.blob;
        if let Some(body) = self.store.body(blob)? {
            return Ok(body);
        }
        flight.hears();
        let detour = self.api.raw_trouble();
        let raw = match &detour {
            Some(error) => {
                flight.meets(error);
                Err(error.clone())
            }
            None => self.raw(source, flight),
        };
        let body = match raw {
            Ok(body) => body,
            Err(raw) => match self.inline(source, raw, flight) {
                // Not inline either: the way that was spared is the only one there is.
                Err(Error::Unreachable(_) | Error::TimedOut(_))
                    if detour.is_some() && self.api.trouble().is_none() =>
                {
                    self.raw(source, flight)?
                }
                inline => inline?,
            },
        };
        if let Err(error) = self.store.keep(blob, &body) {
            log::warn!("{error}; the body is served but not stored");
        }
        Ok(body)
    }

    fn raw(&self, source: &Source, flight: &Flight) -> Result<Bytes, ApiError> {
        let answer = self.api.body(&source.file, &|| self.bodies.hears(flight));
        if let Err(error) = &answer {
            log::debug!("no body by raw address: {error}");
            if error.is_network() {
                flight.meets(error);
            } else {
                self.bodies.hears(flight);
            }
        }
        answer
    }
}
