//! Whose turn it is to be fetched: so many bodies at one time, and who waits goes first.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use super::flight::Flight;
use super::{Source, lock};

/// So many places in all, of which some are for somebody who waits and comes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Most {
    /// Bodies under way at one time.
    all: usize,
    /// Large ones among them, which last: a quarter, so that small ones find a place.
    large: usize,
    /// Those that nobody waits for yet.
    later: usize,
    /// Those that nobody has even asked for.
    ahead: usize,
}

impl Most {
    fn of(parallel: usize) -> Self {
        let all = parallel.max(1);
        let ahead = all - (all / 16).max(1);
        Self { all, large: (all / 4).max(1), later: ahead.max(1), ahead }
    }
}

/// A body to be fetched.
pub(super) struct Job {
    pub(super) source: Source,
    pub(super) flight: Arc<Flight>,
}

/// A place that is taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    large: bool,
    later: bool,
}

/// What whoever has a place is to do.
pub(super) enum Turn {
    /// Fetch this.
    Fetch(Job, Place),
    /// Find something that somebody may read soon.
    Ahead(Place),
}

/// The places, and what waits for one. Each place taken has a thread.
pub(super) struct Places {
    most: Most,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Somebody waits for these.
    small: VecDeque<Job>,
    large: VecDeque<Job>,
    /// Somebody will want these.
    later: VecDeque<Job>,
    threads: usize,
    busy_large: usize,
    busy_later: usize,
}

impl Places {
    pub(super) fn new(parallel: usize) -> Self {
        Self { most: Most::of(parallel), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Lets a body wait for its turn; true if a thread is to be started for it.
    pub(super) fn line_up(&self, job: Job, waited_for: bool) -> bool {
        let mut state = self.state();
        state.queue(waited_for, job.source.is_large()).push_back(job);
        state.grows(self.most.all)
    }

    /// Somebody waits for this one now, wherever it is in the queue.
    pub(super) fn put_first(&self, flight: &Arc<Flight>) {
        let mut state = self.state();
        let at = state.later.iter().position(|job| Arc::ptr_eq(&job.flight, flight));
        if let Some(job) = at.and_then(|at| state.later.remove(at)) {
            state.queue(true, job.source.is_large()).push_back(job);
        }
    }

    /// Something may be fetched that nobody has asked for; true if a thread is to be started for it.
    pub(super) fn has_room_ahead(&self) -> bool {
        let mut state = self.state();
        state.busy_later < self.most.ahead && state.grows(self.most.all)
    }

    /// The next thing to do; without one the thread that asks is counted no more, and ends.
    pub(super) fn next(&self, ahead: bool) -> Option<Turn> {
        let mut state = self.state();
        let turn = state.choose(self.most, ahead);
        if turn.is_none() {
            state.threads -= 1;
        }
        turn
    }

    /// What had this place is done.
    pub(super) fn leave(&self, place: Place) {
        let mut state = self.state();
        state.busy_large -= usize::from(place.large);
        state.busy_later -= usize::from(place.later);
    }

    /// No thread could be started; true if there is no other either, and `flight` waits no more.
    pub(super) fn is_deserted(&self, flight: &Arc<Flight>) -> bool {
        let mut state = self.state();
        state.threads -= 1;
        if state.threads > 0 {
            return false;
        }
        let State { small, large, later, .. } = &mut *state;
        for queue in [small, large, later] {
            queue.retain(|job| !Arc::ptr_eq(&job.flight, flight));
        }
        true
    }

    /// The thread that had a place could not be started, and nothing waits for it.
    pub(super) fn is_not_started(&self) {
        self.state().threads -= 1;
    }
}

impl State {
    fn queue(&mut self, waited_for: bool, large: bool) -> &mut VecDeque<Job> {
        match (waited_for, large) {
            (true, false) => &mut self.small,
            (true, true) => &mut self.large,
            (false, _) => &mut self.later,
        }
    }

    fn grows(&mut self, most: usize) -> bool {
        let grows = self.threads < most;
        self.threads += usize::from(grows);
        grows
    }

    fn choose(&mut self, most: Most, ahead: bool) -> Option<Turn> {
        if let Some(job) = self.small.pop_front() {
            return Some(Turn::Fetch(job, Place { large: false, later: false }));
        }
        let room = self.busy_large < most.large;
        if room && let Some(job) = self.large.pop_front() {
            self.busy_large += 1;
            return Some(Turn::Fetch(job, Place { large: true, later: false }));
        }
        if self.busy_later < most.later
            && let Some(at) = self.later.iter().position(|job| room || !job.source.is_large())
            && let Some(job) = self.later.remove(at)
        {
            let large = job.source.is_large();
            self.busy_large += usize::from(large);
            self.busy_later += 1;
            return Some(Turn::Fetch(job, Place { large, later: true }));
        }
        if ahead && self.busy_later < most.ahead {
            self.busy_later += 1;
            return Some(Turn::Ahead(Place { large: false, later: true }));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BlobId, GistId, RemoteFile};
    use crate::store::SMALL;

    fn job(n: u8, size: u64) -> Job {
        let blob = BlobId::of(&[n]);
        let file = RemoteFile { blob, size, raw_url: "https://raw/x".into(), language: None };
        let id = GistId::parse("1234").unwrap();
        let source = Source { id, git_url: String::new(), file };
        Job { source, flight: Arc::default() }
    }

    /// What the next turn is: the body and whether anybody waits for it, or none for ahead.
    fn turn(places: &Places) -> Option<Option<(BlobId, bool)>> {
        places.next(true).map(|turn| match turn {
            Turn::Fetch(job, place) => Some((job.source.file.blob, place.later)),
            Turn::Ahead(_) => None,
        })
    }

    #[test]
    fn who_waits_goes_first_then_who_will_want_it_then_what_nobody_asked_for() {
        let places = Places::new(4);
        for (n, waited_for) in [(0, false), (1, true), (2, false), (3, true)] {
            assert!(places.line_up(job(n, 10), waited_for));
        }
        let wanted = job(9, 10);
        let flight = Arc::clone(&wanted.flight);
        assert!(!places.line_up(wanted, false), "there are four places");
        places.put_first(&flight);
        let id = |n: u8| BlobId::of(&[n]);
        assert_eq!(turn(&places), Some(Some((id(1), false))));
        assert_eq!(turn(&places), Some(Some((id(3), false))));
        assert_eq!(turn(&places), Some(Some((id(9), false))));
        assert_eq!(turn(&places), Some(Some((id(0), true))));
        assert_eq!(turn(&places), Some(Some((id(2), true))));
        assert_eq!(turn(&places), Some(None));
        assert_eq!(turn(&places), None, "one place is left for who waits");
    }

    #[test]
    fn large_ones_have_a_quarter_of_the_places_and_one_place_is_for_all() {
        let places = Places::new(16);
        for n in 0..9 {
            assert!(places.line_up(job(n, SMALL + 1), n % 2 == 0));
        }
        let large = (0..4).filter(|_| matches!(places.next(false), Some(Turn::Fetch(..)))).count();
        assert_eq!((large, places.next(false).is_none()), (4, true));
        let one = Places::new(1);
        assert!(!one.has_room_ahead(), "with one place nothing is read ahead");
        assert!(one.line_up(job(0, SMALL + 1), false));
        let Some(Turn::Fetch(_, place)) = one.next(true) else { panic!() };
        assert!(!one.line_up(job(1, 10), true));
        one.leave(place);
        assert!(turn(&one).is_some_and(|turn| turn.is_some()));
        assert_eq!((turn(&one), one.line_up(job(1, 10), true)), (None, true));
    }
}
