//! The threads that fetch bodies: as many as there are places, for as long as there is something to
//! do.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::flight::{Flight, Landed};
use super::places::{Job, Turn};
use super::{Source, is_noted, lock, note};
use crate::error::Error;
use crate::sync::{Syncer, Upcoming};

/// A body that is to come.
pub(in crate::sync) struct Fetching(pub(super) Arc<Flight>);

impl Fetching {
    /// Waits until it has ended, at most so long.
    pub(in crate::sync) fn wait(&self, most: Duration) {
        let state = self.0.state();
        if state.landed().is_none() {
            drop(self.0.moved.wait_timeout(state, most));
        }
    }

    /// What came of it, if it has ended.
    pub(in crate::sync) fn result(&self) -> Option<Result<(), Error>> {
        self.0.state().landed().map(|landed| landed.map(drop))
    }
}

impl Syncer {
    /// Lets the body `source` names be fetched when nobody waits for another; who asks for it next
    /// finds it under way.
    pub(in crate::sync) fn begin_fetching(self: &Arc<Self>, source: &Source) -> Result<(), Error> {
        self.join_flight(source, false).map(drop)
    }

    /// The same for somebody who comes back for it.
    pub(in crate::sync) fn fetching(self: &Arc<Self>, source: &Source) -> Result<Fetching, Error> {
        self.join_flight(source, false).map(Fetching)
    }

    /// Something may be read soon that is not stored: lets it be fetched, in places nobody needs.
    pub fn read_ahead(self: &Arc<Self>) {
        if self.bodies.raw_is_well.load(Ordering::Relaxed) && self.bodies.places.has_room_ahead() {
            self.start_another();
        }
    }

    /// What waits for a place is fetched now if one was left, as by a body that brings nothing.
    pub(super) fn look_for_a_place(self: &Arc<Self>) {
        if self.bodies.places.has_turn() {
            self.start_another();
        }
    }

    /// Starts a thread that was counted; without it others do the work when they are done.
    fn start_another(self: &Arc<Self>) {
        if let Err(error) = self.start_worker() {
            log::debug!("cannot start a thread: {error}");
            self.bodies.places.is_not_started();
        }
    }

    /// Whether the body may be fetched before anybody asks for it: it is not here, not on its way, not
    /// large, and costs no quota.
    pub fn may_come_ahead(&self, source: &Source) -> bool {
        let blob = source.file.blob;
        !source.is_large()
            && !source.is_unlisted()
            && !self.bodies.is_in_vain(blob)
            && !is_noted(&self.bodies.failed_ahead, blob)
            && !lock(&self.bodies.flights).contains_key(&blob)
            && self.store.hot_body(blob).is_none()
            && !self.store.blobs.contains(blob)
    }

    /// The fetch under way for that body, lined up if there is none.
    pub(super) fn join_flight(
        self: &Arc<Self>,
        source: &Source,
        waited_for: bool,
    ) -> Result<Arc<Flight>, Error> {
        let blob = source.file.blob;
        let mut flights = lock(&self.bodies.flights);
        if let Some(flight) = flights.get(&blob) {
            let flight = Arc::clone(flight);
            flight.wanted.store(true, Ordering::Relaxed);
            let first = waited_for && !flight.waited_for.swap(true, Ordering::Relaxed);
            drop(flights);
            if first && self.bodies.places.put_first(&flight) {
                self.start_another();
            }
            return Ok(flight);
        }
        let flight = Arc::new(Flight::default());
        flight.waited_for.store(waited_for, Ordering::Relaxed);
        flight.wanted.store(true, Ordering::Relaxed);
        flights.insert(blob, Arc::clone(&flight));
        let job = Job { source: source.clone(), flight: Arc::clone(&flight) };
        let grows = self.bodies.places.line_up(job, waited_for);
        drop(flights);
        if grows
            && let Err(error) = self.start_worker()
            && self.bodies.places.is_deserted(&flight)
        {
            let error = Error::local("cannot start a thread", &error);
            lock(&self.bodies.flights).remove(&blob);
            flight.lands(Err(error.clone()));
            return Err(error);
        }
        Ok(flight)
    }

    fn start_worker(self: &Arc<Self>) -> std::io::Result<()> {
        let syncer = Arc::clone(self);
        let worker = std::thread::Builder::new().name("gistfs-body".into());
        worker.spawn(move || syncer.work()).map(drop)
    }

    fn work(self: &Arc<Self>) {
        let mut ahead = true;
        while let Some(turn) = self.bodies.places.next(ahead) {
            // What is lined up behind it and has a place too.
            self.look_for_a_place();
            ahead = true;
            let place = match turn {
                Turn::Fetch(job, place) => {
                    self.fetch_for_who_asked(&job);
                    place
                }
                Turn::Ahead(place) => {
                    ahead = self.fetch_one_ahead(&place.flight);
                    place
                }
            };
            self.bodies.places.leave(&place);
        }
    }

    fn fetch_for_who_asked(&self, Job { source, flight }: &Job) {
        // Those before it may have shown that there is no network.
        let result = match self.api.hush() {
            Some(error) => Err(error),
            None => self.fetch_and_note(source, flight),
        };
        self.land(source, flight, result);
    }

    fn land(&self, source: &Source, flight: &Flight, result: Result<Landed, Error>) {
        // Stored before the flight is forgotten: who comes now finds it.
        lock(&self.bodies.flights).remove(&source.file.blob);
        flight.lands(result);
    }

    /// Fetches one body that nobody has asked for; false if there is none, or it is not the time.
    fn fetch_one_ahead(self: &Arc<Self>, flight: &Arc<Flight>) -> bool {
        let Some(watcher) = self.watcher().filter(|_| self.is_time_to_read_ahead()) else {
            return false;
        };
        let Some(Upcoming { ticket, source }) = watcher.next_ahead() else { return false };
        if !self.has_room_for(&source) {
            watcher.left_ahead(ticket);
            return false;
        }
        let blob = source.file.blob;
        {
            let mut flights = lock(&self.bodies.flights);
            if flights.contains_key(&blob) {
                return true;
            }
            flights.insert(blob, Arc::clone(flight));
        }
        // The next place for the next body.
        self.read_ahead();
        let came = self.one_ahead(&source, flight);
        if !came {
            watcher.left_ahead(ticket);
        }
        came
    }

    /// While anything is wrong with the network, or quota may be needed, only what is asked for goes.
    pub(super) fn is_time_to_read_ahead(&self) -> bool {
        self.bodies.raw_is_well.load(Ordering::Relaxed)
            && !self.bodies.is_limited()
            && self.api.hush().is_none()
            && self.api.trouble().is_none()
            && self.api.raw_trouble().is_none()
    }

    /// Nothing that is stored has to go for what nobody has asked for.
    fn has_room_for(&self, source: &Source) -> bool {
        let others = (self.options.parallel as u64).saturating_mul(source.file.size);
        let room = self.store.blobs.room(self.options.cache_size);
        room.inspect_err(|error| log::debug!("nothing is read ahead: {error}"))
            // Those that are on their way need room too, and are about as long.
            .is_ok_and(|room| room > others)
    }

    /// By the raw address alone, unless somebody comes who wants it and it does not come that way.
    fn one_ahead(&self, source: &Source, flight: &Flight) -> bool {
        let (began, blob) = (Instant::now(), source.file.blob);
        flight.hears();
        // Somebody may have been faster.
        if let Ok(Some(body)) = self.store.body(blob) {
            self.land(source, flight, Ok(Landed::Small(body)));
            return true;
        }
        let raw = match self.raw(source, flight) {
            Ok(body) => {
                self.keep_small(blob, &body);
                self.land(source, flight, Ok(Landed::Small(body)));
                return true;
            }
            Err(error) => error,
        };
        note(&self.bodies.failed_ahead, &[blob]);
        let mut flights = lock(&self.bodies.flights);
        if !flight.wanted.load(Ordering::Relaxed) {
            flights.remove(&blob);
            drop(flights);
            flight.lands(Err(raw.into()));
            return false;
        }
        drop(flights);
        let result = self.small(source, flight, Some(raw));
        let result = result.inspect(|body| self.keep_small(blob, body)).map(Landed::Small);
        if let Err(error) = &result {
            self.waited_in_vain(began, error, Some(blob));
        }
        let came = result.is_ok();
        self.land(source, flight, result);
        came
    }
}
