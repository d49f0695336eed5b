//! Bodies that are not stored yet: fetched once however many wait, and waited for with a bound.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Syncer;
use crate::api::{ApiError, Fetched};
use crate::error::Error;
use crate::model::{BlobId, GistId, RemoteFile};
use crate::store::gist::Gist;

/// How long one read waits for a body. The fetch itself goes on, for the next who asks.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a body can be had.
#[derive(Clone, Debug)]
pub struct Source {
    /// The gist that has it.
    pub id: GistId,
    /// The file it is the body of.
    pub file: RemoteFile,
}

impl Source {
    /// Where the body `blob` can be fetched, if the gist has it on GitHub.
    pub fn of(gist: &Gist, blob: BlobId) -> Option<Self> {
        let id = gist.base.as_ref()?.id.clone();
        gist.source(blob).map(|file| Self { id, file: file.clone() })
    }
}

/// Fetches under way, by blob.
pub(super) struct Bodies {
    flights: Mutex<HashMap<BlobId, Arc<Flight>>>,
    /// Places left for fetches.
    places: Mutex<usize>,
    freed: Condvar,
}

#[derive(Default)]
struct Flight {
    result: Mutex<Option<Result<Bytes, Error>>>,
    landed: Condvar,
}

impl Bodies {
    pub(super) fn new(parallel: usize) -> Self {
        Self {
            flights: Mutex::default(),
            places: Mutex::new(parallel.max(1)),
            freed: Condvar::new(),
        }
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
    /// Blocks for at most 30 s, then [`Error::TimedOut`]. Everybody who waits for the same body
    /// waits for the same request.
    pub fn body(self: &Arc<Self>, source: &Source) -> Result<Bytes, Error> {
        if let Some(body) = self.store.body(source.file.blob)? {
            return Ok(body);
        }
        let flight = self.join_flight(source)?;
        let deadline = Instant::now() + PATIENCE;
        let mut result = lock(&flight.result);
        loop {
            if let Some(result) = &*result {
                return result.clone();
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                return Err(Error::TimedOut("the body is still on its way".into()));
            };
            result = match flight.landed.wait_timeout(result, left) {
                Ok((result, _)) => result,
                Err(poisoned) => poisoned.into_inner().0,
            };
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
                let result = syncer.fetch(&source);
                syncer.bodies.free_place();
                // Stored before the flight is forgotten: who comes now finds it.
                lock(&syncer.bodies.flights).remove(&blob);
                *lock(&landing.result) = Some(result);
                landing.landed.notify_all();
            })
            .map_err(|error| Error::local("cannot start a thread", &error))?;
        flights.insert(blob, Arc::clone(&flight));
        Ok(flight)
    }

    /// Raw first: it costs no quota. The API's inline content is the way round a raw host that
    /// is out of reach or wants a login.
    pub(super) fn fetch(&self, source: &Source) -> Result<Bytes, Error> {
        let blob = source.file.blob;
        if let Some(body) = self.store.body(blob)? {
            return Ok(body);
        }
        let body = match self.api.body(&source.file, &|| {}) {
            Ok(body) => body,
            Err(raw) => {
                log::debug!("no body by raw address: {raw}");
                match self.api.get(&source.id, None) {
                    Ok(Fetched::New(full)) => match full.bodies.get(&blob) {
                        Some(body) => body.clone(),
                        None => return Err(raw.into()),
                    },
                    Ok(Fetched::NotModified) => return Err(raw.into()),
                    // Of two troubles the first tells more, but a limit tells what to do.
                    Err(limit @ ApiError::Limited { .. }) => return Err(limit.into()),
                    Err(_) => return Err(raw.into()),
                }
            }
        };
        if let Err(error) = self.store.keep(blob, &body) {
            log::warn!("{error}; the body is served but not stored");
        }
        Ok(body)
    }
}
