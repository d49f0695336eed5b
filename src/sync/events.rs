//! What happens, as it happens: a line of JSON each, for whoever reads along.
//!
//! Nothing is kept while nobody does. Who reads too slowly is told how much was missed.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use serde::Serialize;

use super::Syncer;
use super::merge::Merged;
use super::report::title_of;
use crate::model::{FileName, Snapshot, Time};
use crate::store::gist::{Gist, GistKey};

/// So many lines are kept for the slowest reader.
const LINES: usize = 1000;

/// Nor more bytes than this, but for a single line.
const BYTES: usize = 1 << 20;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// Somebody changed a gist on GitHub, and it is changed here.
    Remote,
    /// GitHub has taken a change from here.
    Upload,
    /// Both sides changed the same, and both versions are kept.
    Conflict,
    /// Something does not work.
    Error,
    /// The reader was too slow.
    Missed,
}

/// What became of the gist as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Became {
    /// It is new.
    Added,
    /// It is another.
    Changed,
    /// It is gone.
    Deleted,
}

/// A line. The fields that every line has are there also where they are `null` or empty.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    event: Kind,
    gist: Option<&'a str>,
    id: Option<&'a str>,
    files: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<Became>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missed: Option<u64>,
}

impl Line<'_> {
    fn of(time: Time, event: Kind) -> Self {
        Self {
            time: time.to_string(),
            event,
            gist: None,
            id: None,
            files: &[],
            change: None,
            why: None,
            missed: None,
        }
    }

    fn bytes(&self) -> Bytes {
        match serde_json::to_vec(self) {
            Ok(mut line) => {
                line.push(b'\n');
                line.into()
            }
            Err(error) => {
                log::warn!("an event cannot be told: {error}");
                Bytes::new()
            }
        }
    }
}

/// The lines that somebody may still read.
#[derive(Default)]
struct Backlog {
    /// How many lines were dropped before the first that is there.
    dropped: u64,
    lines: VecDeque<Bytes>,
    bytes: usize,
    readers: usize,
    /// What is wrong with the network, as it was told last.
    trouble: Option<String>,
}

impl Backlog {
    fn add(&mut self, line: Bytes) {
        if line.is_empty() {
            return;
        }
        self.bytes += line.len();
        self.lines.push_back(line);
        while self.lines.len() > LINES || (self.bytes > BYTES && self.lines.len() > 1) {
            if let Some(line) = self.lines.pop_front() {
                self.bytes -= line.len();
                self.dropped += 1;
            }
        }
    }

    fn end(&self) -> u64 {
        self.dropped + self.lines.len() as u64
    }
}

/// The lines, and who waits for more. A leaf: held for a moment.
#[derive(Default)]
pub(super) struct Events {
    backlog: Mutex<Backlog>,
    more: Condvar,
}

impl Events {
    fn backlog(&self) -> MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, line: &Line<'_>) {
        let mut backlog = self.backlog();
        if backlog.readers > 0 {
            backlog.add(line.bytes());
            self.more.notify_all();
        }
    }
}

/// Where a reader is.
struct Position {
    /// The number of the next line.
    next: u64,
    /// What is left of a line that did not fit.
    rest: Bytes,
}

/// Somebody who reads what happens from a moment on.
pub struct Reader {
    events: Arc<Events>,
    /// Taken after the backlog.
    position: Mutex<Position>,
}

impl Reader {
    fn of(events: &Arc<Events>) -> Self {
        let mut backlog = events.backlog();
        backlog.readers += 1;
        let next = backlog.end();
        drop(backlog);
        let position = Mutex::new(Position { next, rest: Bytes::new() });
        Self { events: Arc::clone(events), position }
    }

    /// Up to `size` bytes that were not read yet; none if nothing happens within `patience`.
    pub fn read(&self, size: usize, patience: Duration, now: Time) -> Bytes {
        let deadline = Instant::now() + patience;
        let mut backlog = self.events.backlog();
        loop {
            let read = self.read_from(&backlog, size, now);
            let left = deadline.saturating_duration_since(Instant::now());
            if !read.is_empty() || left.is_zero() {
                return read;
            }
            backlog = match self.events.more.wait_timeout(backlog, left) {
                Ok((backlog, _)) => backlog,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    fn read_from(&self, backlog: &Backlog, size: usize, now: Time) -> Bytes {
        let mut position = self.position.lock().unwrap_or_else(PoisonError::into_inner);
        let mut read = BytesMut::new();
        while read.len() < size {
            if position.rest.is_empty() {
                let missed = backlog.dropped.saturating_sub(position.next);
                position.next += missed;
                let at = usize::try_from(position.next - backlog.dropped).unwrap_or(usize::MAX);
                if missed > 0 {
                    let line = Line::of(now, Kind::Missed);
                    position.rest = Line { missed: Some(missed), ..line }.bytes();
                } else if let Some(line) = backlog.lines.get(at) {
                    position.rest = line.clone();
                    position.next += 1;
                } else {
                    break;
                }
            }
            let fits = position.rest.len().min(size - read.len());
            let part = position.rest.split_to(fits);
            read.extend_from_slice(&part);
        }
        read.freeze()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut backlog = self.events.backlog();
        backlog.readers = backlog.readers.saturating_sub(1);
        if backlog.readers == 0 {
            backlog.dropped = backlog.end();
            backlog.lines.clear();
            backlog.bytes = 0;
        }
    }
}

/// The files that two states of a gist do not have alike.
pub(super) fn different(before: Option<&Snapshot>, after: Option<&Snapshot>) -> Vec<String> {
    let blob = |there: Option<&Snapshot>, name: &FileName| {
        there.and_then(|there| there.files.get(name)).map(|file| file.blob)
    };
    let names = |there: Option<&Snapshot>| -> Vec<FileName> {
        there.map(|there| there.files.keys().cloned().collect()).unwrap_or_default()
    };
    let mut all = names(before);
    all.extend(names(after));
    all.sort();
    all.dedup();
    all.retain(|name| blob(before, name) != blob(after, name));
    all.iter().map(ToString::to_string).collect()
}

impl Syncer {
    /// Reads what happens from now on.
    pub fn follow_events(&self) -> Reader {
        Reader::of(&self.events)
    }

    fn tell_event(
        &self,
        (gist, event): (&Gist, Kind),
        change: Option<Became>,
        files: &[String],
        why: Option<&str>,
    ) {
        let title = title_of(gist);
        let id = gist.base.as_ref().map(|base| base.id.to_string());
        let line = Line::of(self.now(), event);
        let (gist, id) = (Some(title.as_str()), id.as_deref());
        self.events.tell(&Line { gist, id, files, change, why, ..line });
    }

    /// A change made elsewhere is taken over.
    pub(super) fn tell_remote(&self, gist: &Gist, change: Became, files: &[String]) {
        self.tell_event((gist, Kind::Remote), Some(change), files, None);
    }

    /// GitHub has acted on a change.
    pub(super) fn tell_upload(&self, gist: &Gist, change: Became, files: &[String]) {
        self.tell_event((gist, Kind::Upload), Some(change), files, None);
    }

    /// Both sides changed the same: `files` hold the versions from here, or `why` says it.
    pub(super) fn tell_conflict(&self, key: GistKey, files: &[String], why: &str) {
        if let Some(gist) = self.store.get(key) {
            self.tell_event((&gist, Kind::Conflict), None, files, Some(why));
        }
    }

    /// What a merge could not settle by itself.
    pub(super) fn tell_merged(&self, key: GistKey, merged: &Merged) {
        if !merged.aside.is_empty() {
            let aside: Vec<String> = merged.aside.iter().map(|(_, new)| new.to_string()).collect();
            self.tell_conflict(key, &aside, "changed here and on GitHub; yours is in these files");
        }
        if let Some(theirs) = &merged.description {
            let why = format!("the description changed here and on GitHub; theirs was {theirs:?}");
            self.tell_conflict(key, &[], &why);
        }
    }

    /// A gist cannot be sent.
    pub(super) fn tell_failure(&self, key: GistKey, why: &str) {
        if let Some(gist) = self.store.get(key) {
            self.tell_event((&gist, Kind::Error), None, &[], Some(why));
        }
    }

    /// Something is wrong that concerns no gist in particular.
    pub(super) fn tell_trouble(&self, why: &str) {
        let line = Line::of(self.now(), Kind::Error);
        self.events.tell(&Line { why: Some(why), ..line });
    }

    /// How the network is now; told when it begins to be in trouble.
    pub(super) fn tell_network(&self, trouble: Option<String>) {
        let begins = {
            let mut backlog = self.events.backlog();
            let begins = backlog.trouble.is_none();
            backlog.trouble.clone_from(&trouble);
            begins
        };
        if let Some(why) = trouble.filter(|_| begins) {
            self.tell_trouble(&why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(0);

    fn tell(events: &Events, why: &str) {
        events.tell(&Line { why: Some(why), ..Line::of(NOW, Kind::Error) });
    }

    fn read(reader: &Reader, size: usize) -> String {
        let bytes = reader.read(size, Duration::ZERO, NOW);
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn every_reader_has_each_line_from_its_own_beginning_on_whatever_it_takes_at_a_time() {
        let events = Arc::new(Events::default());
        let first = Reader::of(&events);
        tell(&events, "one");
        let second = Reader::of(&events);
        tell(&events, "two");
        let whole = read(&first, 1000);
        assert_eq!(whole.matches('\n').count(), 2, "{whole}");
        assert!(whole.starts_with(r#"{"time":"1970-01-01T00:00:00Z","event":"error""#), "{whole}");
        let mut bit_by_bit = String::new();
        loop {
            let part = read(&second, 7);
            if part.is_empty() {
                break;
            }
            bit_by_bit += &part;
        }
        assert!(bit_by_bit.contains("two") && !bit_by_bit.contains("one"), "{bit_by_bit}");
        assert_eq!(bit_by_bit.matches('\n').count(), 1);
    }

    #[test]
    fn who_is_too_slow_is_told_how_much_was_missed_and_nothing_grows() {
        let events = Arc::new(Events::default());
        tell(&events, "nobody reads");
        assert_eq!(events.backlog().lines.len(), 0);
        let reader = Reader::of(&events);
        (0..LINES + 5).for_each(|number| tell(&events, &format!("n{number}")));
        assert_eq!(events.backlog().lines.len(), LINES);
        let all = read(&reader, BYTES);
        assert!(all.lines().next().unwrap().ends_with(r#""files":[],"missed":5}"#), "{all:.200}");
        assert!(all.lines().nth(1).unwrap().contains("\"n5\""), "{all:.300}");
        assert_eq!(all.lines().count(), LINES + 1);
        let long = "x".repeat(BYTES / 3);
        (0..9).for_each(|_| tell(&events, &long));
        assert!(events.backlog().bytes <= BYTES);
        drop(reader);
        assert_eq!(events.backlog().bytes, 0);
    }

    #[test]
    fn who_waits_hears_of_it_at_once() {
        let events = Arc::new(Events::default());
        let reader = Reader::of(&events);
        let teller = Arc::clone(&events);
        let thread = std::thread::spawn(move || tell(&teller, "now"));
        let read = reader.read(1000, Duration::from_secs(60), NOW);
        assert!(read.ends_with(b"\n"));
        thread.join().unwrap();
    }
}
