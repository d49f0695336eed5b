//! The lines that somebody may still read, and who waits for more of them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::{Kind, Line};
use crate::model::Time;

/// So many lines are kept for the slowest reader.
const LINES: usize = 1000;

/// Nor more bytes than this, but for a single line.
const BYTES: usize = 1 << 20;

/// Wakes whoever polls a reader. It never waits for anything: whoever tells an event may hold locks.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// The lines that somebody may still read.
#[derive(Default)]
struct Backlog {
    /// How many lines were dropped before the first that is there.
    dropped: u64,
    lines: VecDeque<Bytes>,
    bytes: usize,
    /// Who reads, by a number of their own, and how to wake those who poll.
    readers: BTreeMap<u64, Option<Wake>>,
    /// The number of the next reader.
    next_reader: u64,
    /// Nothing more is told.
    ended: bool,
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
pub(in crate::sync) struct Events {
    backlog: Mutex<Backlog>,
    more: Condvar,
}

impl Events {
    fn backlog(&self) -> MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_followed(&self) -> bool {
        !self.backlog().readers.is_empty()
    }

    pub(super) fn tell(&self, line: &Line<'_>) {
        let mut backlog = self.backlog();
        if !backlog.readers.is_empty() && !backlog.ended {
            backlog.add(line.bytes());
            self.wake(backlog);
        }
    }

    /// Whoever reads comes to the end behind what was told.
    pub(super) fn end(&self) {
        let mut backlog = self.backlog();
        backlog.ended = true;
        self.wake(backlog);
    }

    fn wake(&self, backlog: MutexGuard<'_, Backlog>) {
        let wakes: Vec<Wake> = backlog.readers.values().flatten().map(Arc::clone).collect();
        drop(backlog);
        self.more.notify_all();
        wakes.iter().for_each(|wake| wake());
    }

    /// Notes what is wrong with the network, and says whether nothing was before.
    pub(super) fn note_trouble(&self, trouble: Option<&str>) -> bool {
        let mut backlog = self.backlog();
        let begins = backlog.trouble.is_none();
        backlog.trouble = trouble.map(str::to_owned);
        begins
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
    number: u64,
    /// Taken after the backlog.
    position: Mutex<Position>,
}

impl Reader {
    pub(super) fn of(events: &Arc<Events>) -> Self {
        let mut backlog = events.backlog();
        let number = backlog.next_reader;
        backlog.next_reader += 1;
        backlog.readers.insert(number, None);
        let next = backlog.end();
        drop(backlog);
        let position = Mutex::new(Position { next, rest: Bytes::new() });
        Self { events: Arc::clone(events), number, position }
    }

    fn position(&self) -> MutexGuard<'_, Position> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Up to `size` bytes that were not read yet, none when nothing more will be told; `None` if
    /// nothing happens within `patience`.
    pub fn read(&self, size: usize, patience: Duration, now: Time) -> Option<Bytes> {
        let deadline = Instant::now() + patience;
        let mut backlog = self.events.backlog();
        loop {
            let read = self.read_from(&backlog, size, now);
            if !read.is_empty() || backlog.ended {
                return Some(read);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            backlog = match self.events.more.wait_timeout(backlog, left) {
                Ok((backlog, _)) => backlog,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    /// Whether a read is answered at once. If it is not, `wake` is called with everything that is
    /// told from now on, as long as there is this reader.
    pub fn is_ready(&self, wake: Option<Wake>) -> bool {
        let mut backlog = self.events.backlog();
        let ready = {
            let position = self.position();
            !position.rest.is_empty() || position.next < backlog.end() || backlog.ended
        };
        if wake.is_some() && !ready {
            backlog.readers.insert(self.number, wake);
        }
        ready
    }

    fn read_from(&self, backlog: &Backlog, size: usize, now: Time) -> Bytes {
        let mut position = self.position();
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
        backlog.readers.remove(&self.number);
        if backlog.readers.is_empty() {
            backlog.dropped = backlog.end();
            backlog.lines.clear();
            backlog.bytes = 0;
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
        let bytes = reader.read(size, Duration::ZERO, NOW).unwrap_or_default();
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
        assert!(read.is_some_and(|read| read.ends_with(b"\n")));
        thread.join().unwrap();
    }

    #[test]
    fn who_polls_is_woken_by_each_line_and_reads_at_once_while_there_is_anything_left() {
        let events = Arc::new(Events::default());
        let reader = Reader::of(&events);
        let (sender, woken) = std::sync::mpsc::channel();
        let wake: Wake = Arc::new(move || sender.send(()).unwrap());
        assert!(!reader.is_ready(Some(wake)));
        assert!(woken.try_recv().is_err(), "nothing has happened");
        tell(&events, "one");
        assert!(woken.try_recv().is_ok());
        assert!(reader.is_ready(None));
        assert_eq!(read(&reader, 7).len(), 7);
        assert!(reader.is_ready(None), "a part of the line is left");
        read(&reader, 1000);
        assert!(!reader.is_ready(None));
        // Who is told of edges alone does not ask again in between.
        tell(&events, "two");
        assert!(woken.try_recv().is_ok());
        drop(reader);
        let other = Reader::of(&events);
        tell(&events, "three");
        assert!(woken.try_recv().is_err(), "nobody reads there any more");
        assert!(other.is_ready(None));
    }

    #[test]
    fn at_the_end_what_was_told_is_read_and_then_nothing_and_nobody_waits() {
        let events = Arc::new(Events::default());
        let reader = Reader::of(&events);
        let waiting = Reader::of(&events);
        let (sender, woken) = std::sync::mpsc::channel();
        let wake: Wake = Arc::new(move || sender.send(()).unwrap());
        assert!(!waiting.is_ready(Some(wake)));
        let waits =
            std::thread::spawn(move || waiting.read(1000, Duration::from_secs(60), NOW).unwrap());
        events.end();
        assert_eq!(waits.join().unwrap(), Bytes::new());
        assert!(woken.try_recv().is_ok());
        assert!(reader.is_ready(None));
        assert_eq!(reader.read(1000, Duration::from_secs(60), NOW), Some(Bytes::new()));
        let late = Reader::of(&events);
        tell(&events, "too late");
        assert_eq!(late.read(1000, Duration::ZERO, NOW), Some(Bytes::new()));
    }
}
