//! Bodies that are not stored yet: fetched once however many wait, and waited for with a bound.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Syncer;
use crate::error::Error;
use crate::model::{BlobId, GistId, RemoteFile, Snapshot};
use crate::store::Arrival;
use crate::store::gist::Gist;

pub use self::flight::Trust;
use self::flight::{Flight, Landed, Progress};
use self::places::{LOOKS_EVERY, Places};
pub(in crate::sync) use self::work::Fetching;

mod flight;
mod inline;
mod large;
mod places;
#[cfg(test)]
mod tests;
mod ways;
mod work;

/// How long one read waits while nothing comes: 5 s with all that goes before and after. The fetch
/// itself goes on, for the next who asks.
const PATIENCE: Duration = Duration::from_millis(4500);

/// The same where git is asked for a large body: a server that puts it together says only every 5 s
/// that it is still there.
const PATIENCE_WITH_GIT: Duration = Duration::from_secs(12);

/// What was looked for everywhere in vain is not looked for again for so long.
const IN_VAIN_FOR: Duration = Duration::from_secs(60);

/// When more than so many are noted, all are looked for again.
const MOST_NOTED: usize = 10_000;

/// So many large bodies that did not come whole are kept as far as they came; those of which
/// somebody has a part open are kept in any case.
const MOST_ASIDE: usize = 4;

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
        Self::in_base(gist.base.as_ref()?, blob)
    }

    /// Where the body `blob` can be fetched, if `base` has it.
    pub fn in_base(base: &Snapshot, blob: BlobId) -> Option<Self> {
        let file = base.files.values().find(|file| file.blob == blob)?;
        Some(Self::in_gist(base, file.clone()))
    }

    /// Where the body of `file`, which `gist` has or had, can be fetched.
    pub fn in_gist(gist: &Snapshot, file: RemoteFile) -> Self {
        Self { id: gist.id.clone(), git_url: gist.git_url.clone(), file }
    }
}

/// Fetches under way, by blob.
pub(super) struct Bodies {
    flights: Mutex<HashMap<BlobId, Arc<Flight>>>,
    places: Places,
    /// The last body that was asked for came by its raw address. While that is not so nothing is
    /// read ahead: it would cost quota, or be in vain.
    raw_is_well: AtomicBool,
    /// When a part of any body last came. A leaf.
    heard: Mutex<Instant>,
    /// The first body that did not come in time since then. A leaf.
    silent: Mutex<Option<BlobId>>,
    /// Bodies that no answer of the API had, and when they were looked for. A leaf.
    in_vain: Mutex<HashMap<BlobId, Instant>>,
    /// Bodies that came from their raw address as others than they are, and when. A leaf.
    mistrusted: Mutex<HashMap<BlobId, Instant>>,
    /// Bodies that did not come when they were read ahead, and when. A leaf.
    failed_ahead: Mutex<HashMap<BlobId, Instant>>,
    /// Until when the raw host asked us to wait: nothing is read ahead before. A leaf.
    limited: Mutex<Option<Instant>>,
    /// Gists whose bodies the API is asked for. A leaf.
    inline: Mutex<HashSet<GistId>>,
    /// Signalled when one of these is answered.
    inline_done: Condvar,
    /// Large bodies whose rest could not be had for now, the oldest first. A leaf.
    aside: Mutex<VecDeque<Arrival>>,
}

impl Bodies {
    pub(super) fn new(parallel: usize) -> Self {
        Self {
            flights: Mutex::default(),
            places: Places::new(parallel),
            raw_is_well: AtomicBool::new(false),
            heard: Mutex::new(Instant::now()),
            silent: Mutex::default(),
            in_vain: Mutex::default(),
            mistrusted: Mutex::default(),
            failed_ahead: Mutex::default(),
            limited: Mutex::default(),
            inline: Mutex::default(),
            inline_done: Condvar::new(),
            aside: Mutex::default(),
        }
    }

    fn is_in_vain(&self, blob: BlobId) -> bool {
        is_noted(&self.in_vain, blob)
    }

    fn note_in_vain(&self, blobs: &[BlobId]) {
        note(&self.in_vain, blobs);
    }

    fn is_mistrusted(&self, blob: BlobId) -> bool {
        is_noted(&self.mistrusted, blob)
    }

    fn mistrust(&self, blob: BlobId) {
        note(&self.mistrusted, &[blob]);
    }

    /// The raw host has had enough requests for so long.
    fn note_limit(&self, wait: Option<Duration>) {
        let until = Instant::now().checked_add(wait.unwrap_or(IN_VAIN_FOR));
        let mut limited = lock(&self.limited);
        *limited = until.max(*limited);
    }

    fn is_limited(&self) -> bool {
        lock(&self.limited).is_some_and(|until| Instant::now() < until)
    }

    /// What is here of a body that somebody else began to fetch.
    fn taken_up(&self, blob: BlobId, size: u64) -> Option<Arrival> {
        let mut aside = lock(&self.aside);
        let at = aside.iter().position(|it| it.blob() == blob && it.size() == size)?;
        aside.remove(at)
    }

    /// Keeps what is here of a body for the next who wants it; what has to go for that comes back:
    /// the oldest of which nobody has a part open. Another would be broken for who has it.
    fn put_aside(&self, arrival: Arrival) -> Vec<Arrival> {
        let mut aside = lock(&self.aside);
        let mut gone = Vec::new();
        while aside.len() >= MOST_ASIDE
            && let Some(oldest) = aside.iter().position(|it| !it.is_held())
        {
            gone.extend(aside.remove(oldest));
        }
        aside.push_back(arrival);
        gone
    }

    fn heard(&self) -> Instant {
        *lock(&self.heard)
    }

    fn hears(&self, flight: &Flight) {
        *lock(&self.heard) = Instant::now();
        *lock(&self.silent) = None;
        flight.hears();
    }

    /// Notes that a body did not come in time. Whether it is the only one since any came.
    fn is_alone_in_silence(&self, blob: BlobId) -> bool {
        *lock(&self.silent).get_or_insert(blob) == blob
    }
}

fn is_noted(notes: &Mutex<HashMap<BlobId, Instant>>, blob: BlobId) -> bool {
    lock(notes).get(&blob).is_some_and(|then| then.elapsed() < IN_VAIN_FOR)
}

fn note(notes: &Mutex<HashMap<BlobId, Instant>>, blobs: &[BlobId]) {
    let now = Instant::now();
    let mut notes = lock(notes);
    notes.retain(|_, then| now.duration_since(*then) < IN_VAIN_FOR);
    if notes.len() > MOST_NOTED {
        notes.clear();
    }
    notes.extend(blobs.iter().map(|blob| (*blob, now)));
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Syncer {
    /// Up to `size` bytes at `offset` of the body `source` names; fewer only at its end. All of it is
    /// stored from then on, or soon.
    ///
    /// A small body is served when it is here and proved. Of a large one every part is served as soon
    /// as it is here, but the last when all of it is proved; should it be another, that is an error
    /// then, and from then on for whoever was given a part of it (`trust`). Blocks as long as it
    /// comes, and for 5 s while nothing does: then [`Error::Unreachable`] or [`Error::TimedOut`].
    /// Everybody who waits for the same body waits for the same request.
    pub fn body_part(
        self: &Arc<Self>,
        source: &Source,
        offset: u64,
        size: u32,
        trust: &Trust,
    ) -> Result<Bytes, Error> {
        if let Some(part) = self.part_here(source.file.blob, offset, size, trust) {
            return part;
        }
        if let Some(stored) = self.stored(source)? {
            return stored.part(offset, size, trust);
        }
        let end = offset.saturating_add(u64::from(size));
        let here = self.wait_for(source, |progress| progress.here(end))?;
        // It may have broken meanwhile, and this may come of another fetch.
        trust.broken().map_or(Ok(()), Err)?;
        here.part(offset, size, trust)
    }

    /// The same of a body that is on its way, if that part of it is here.
    pub fn part_here(
        &self,
        blob: BlobId,
        offset: u64,
        size: u32,
        trust: &Trust,
    ) -> Option<Result<Bytes, Error>> {
        if let Some(error) = trust.broken() {
            return Some(Err(error));
        }
        let flight = lock(&self.bodies.flights).get(&blob).cloned()?;
        let here = flight.state().here(offset.saturating_add(u64::from(size)))?;
        Some(here.and_then(|here| here.part(offset, size, trust)))
    }

    /// The body `source` names, on disk afterwards: a small one is served also where it cannot be
    /// stored, and memory may have what the disk has lost.
    pub fn store_body(self: &Arc<Self>, source: &Source) -> Result<(), Error> {
        let body = match self.stored(source)? {
            Some(body) => body,
            None => self.wait_for(source, Progress::landed)?,
        };
        self.on_disk(source, &body)
    }

    /// The same for somebody who waits in any case.
    pub(super) fn store_now(&self, source: &Source) -> Result<(), Error> {
        let flight = {
            let flights = lock(&self.bodies.flights);
            let flight = flights.get(&source.file.blob).cloned();
            flight.inspect(|flight| flight.wanted.store(true, Ordering::Relaxed))
        };
        let body = match flight {
            Some(flight) => flight.landed(),
            None => self.fetch(source, &Flight::default()),
        };
        self.on_disk(source, &body?)
    }

    fn on_disk(&self, source: &Source, body: &Landed) -> Result<(), Error> {
        match body {
            Landed::Small(body) => self.store.blobs.put(source.file.blob, body),
            Landed::Large(_) | Landed::Part(..) => Ok(()),
        }
    }

    /// A small body for somebody who waits in any case.
    pub(super) fn fetch_now(&self, source: &Source) -> Result<Bytes, Error> {
        self.fetch_small(source, &Flight::default())
    }

    fn stored(&self, source: &Source) -> Result<Option<Landed>, Error> {
        let blob = source.file.blob;
        Ok(match source.is_large() {
            true => self.store.blobs.open_checked(blob)?.map(|file| Landed::Large(Arc::new(file))),
            false => self.store.body(blob)?.map(Landed::Small),
        })
    }

    /// Lets the body be fetched and waits until there is what `ready` looks for.
    fn wait_for(
        self: &Arc<Self>,
        source: &Source,
        ready: impl Fn(&Progress) -> Option<Result<Landed, Error>>,
    ) -> Result<Landed, Error> {
        if let Some(error) = self.api.hush() {
            return Err(error);
        }
        let joined = Instant::now();
        let flight = self.join_flight(source, true)?;
        let mut state = flight.state();
        loop {
            if let Some(result) = ready(&state) {
                return result;
            }
            // Who comes late to a silent fetch waits no longer for it. While it waits for a place,
            // others that have one tell whether anything comes.
            let heard = state.heard.unwrap_or_else(|| self.bodies.heard().max(joined));
            let deadline = heard + if state.by_git { PATIENCE_WITH_GIT } else { PATIENCE };
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                let late = || Error::TimedOut("nothing has come of the body yet".into());
                let error = state.trouble.clone().unwrap_or_else(late);
                self.waited_in_vain(joined, &error, Some(source.file.blob));
                return Err(error);
            };
            let has_place = state.heard.is_some();
            let left = if has_place { left } else { left.min(LOOKS_EVERY) };
            state = match flight.moved.wait_timeout(state, left) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
            if !has_place {
                drop(state);
                self.look_for_a_place();
                state = flight.state();
            }
        }
    }

    /// Whoever asks for another body just now need not wait in vain too, unless something came. That
    /// one body does not come in time (`blob`) says nothing of the others: only a second one does.
    pub(super) fn waited_in_vain(&self, since: Instant, error: &Error, blob: Option<BlobId>) {
        let (Error::Unreachable(_) | Error::TimedOut(_)) = error else { return };
        if self.api.hush().is_none() && self.api.trouble().is_none() {
            log::warn!("a body does not come: {error}");
        }
        let late = matches!(error, Error::TimedOut(_));
        let alone = late && blob.is_some_and(|blob| self.bodies.is_alone_in_silence(blob));
        if !alone {
            self.bodies.raw_is_well.store(false, Ordering::Relaxed);
        }
        if self.bodies.heard() < since && !alone {
            self.api.note_hush(error.clone());
        }
    }

    fn fetch_and_note(&self, source: &Source, flight: &Flight) -> Result<Landed, Error> {
        let began = Instant::now();
        let result = self.fetch(source, flight);
        if let Err(error) = &result {
            self.waited_in_vain(began, error, Some(source.file.blob));
        }
        result
    }
}
