//! One at a time, in the order of asking; who asks may give up.
//!
//! The system's mutex lets whoever comes first in: a queue of uploads could keep somebody who waits
//! for one change out for as long as it lasts.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Lets in one after the other.
#[derive(Default)]
pub(super) struct Alone {
    /// A leaf: held to look, never by who is inside.
    line: Mutex<Line>,
    moved: Condvar,
}

#[derive(Default)]
struct Line {
    last: u64,
    /// Who is inside, then who waits.
    tickets: VecDeque<u64>,
}

/// Is inside until it is dropped.
pub(super) struct Inside<'a>(&'a Alone);

impl Alone {
    /// Waits for its turn, however long.
    pub(super) fn enter(&self) -> Inside<'_> {
        let (ticket, mut line) = self.join();
        while line.tickets.front() != Some(&ticket) {
            line = self.moved.wait(line).unwrap_or_else(PoisonError::into_inner);
        }
        Inside(self)
    }

    /// Waits for its turn; `None` if that takes longer than `patience`.
    pub(super) fn enter_within(&self, patience: Duration) -> Option<Inside<'_>> {
        let until = Instant::now() + patience;
        let (ticket, mut line) = self.join();
        while line.tickets.front() != Some(&ticket) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                line.tickets.retain(|other| *other != ticket);
                return None;
            }
            line = match self.moved.wait_timeout(line, left) {
                Ok((line, _)) => line,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        Some(Inside(self))
    }

    fn join(&self) -> (u64, MutexGuard<'_, Line>) {
        let mut line = self.line();
        line.last += 1;
        let ticket = line.last;
        line.tickets.push_back(ticket);
        (ticket, line)
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.line().tickets.pop_front();
        self.0.moved.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    /// Waits until `count` threads are inside or in line.
    fn wait_for(alone: &Alone, count: usize) {
        while alone.line().tickets.len() != count {
            thread::yield_now();
        }
    }

    #[test]
    fn who_asked_first_comes_first() {
        let alone = Alone::default();
        let (told, order) = mpsc::channel();
        thread::scope(|scope| {
            let inside = alone.enter();
            for number in 0..5 {
                let (told, alone) = (told.clone(), &alone);
                scope.spawn(move || {
                    let _inside = alone.enter();
                    told.send(number).unwrap();
                });
                wait_for(alone, number + 2);
            }
            drop(inside);
        });
        assert_eq!(order.try_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn who_gives_up_holds_nobody_back() {
        let alone = Alone::default();
        thread::scope(|scope| {
            let inside = alone.enter();
            assert!(alone.enter_within(Duration::from_millis(1)).is_none());
            let waits = scope.spawn(|| alone.enter_within(Duration::from_secs(600)).is_some());
            wait_for(&alone, 2);
            drop(inside);
            assert!(waits.join().unwrap());
        });
        assert!(alone.enter_within(Duration::ZERO).is_some());
        assert!(alone.line().tickets.is_empty());
    }
}
