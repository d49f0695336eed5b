//! Whose turn it is to be fetched: so many bodies at one time, and who waits goes first.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::flight::Flight;
use super::{Source, lock};

/// A body of which nothing has come for so long leaves its place to who waits for another.
const SILENT: Duration = Duration::from_secs(2);

/// Where bodies come faster than this, one of many places is free again before anybody feels that all
/// were taken.
const QUICK: Duration = Duration::from_millis(500);

/// So many places are many.
const MANY: usize = 8;

/// How often who waits for a place looks whether one was left so.
pub(super) const LOOKS_EVERY: Duration = Duration::from_millis(250);

/// How many bodies may be under way at one time, for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Most {
    all: usize,
    /// Those that somebody waits for.
    waiting: usize,
    /// Those that somebody will want.
    later: usize,
    /// All that nobody waits for, where one more is to be one that somebody will want.
    unwaited: usize,
    /// The same, where it is to be one that nobody has asked for.
    ahead: usize,
    /// The same, while bodies come quickly.
    ahead_if_quick: usize,
    /// So many that bring nothing do not count against who waits.
    silent: usize,
}

impl Most {
    fn small(parallel: usize) -> Self {
        let all = parallel.max(1);
        let ahead = all - (all / 16).max(1);
        let later = (all - (all / 4).max(1)).max(1);
        Self {
            // Beside the one that nobody waits for there is one for who waits.
            all: all.max(later + 1),
            waiting: all,
            later,
            unwaited: ahead.max(later),
            ahead,
            ahead_if_quick: if all < MANY { ahead } else { all },
            silent: all.div_ceil(2),
        }
    }

    /// Large ones last: a quarter, so that small ones find a place.
    fn large(parallel: usize) -> Self {
        let large = (parallel / 4).max(1);
        let later = (large - 1).max(1);
        Self {
            all: large.max(later + 1),
            waiting: large,
            later,
            unwaited: later,
            ahead: 0,
            ahead_if_quick: 0,
            silent: large.div_ceil(2),
        }
    }
}

struct Bounds {
    /// Of all bodies, or of small ones alone if large ones are apart.
    small: Most,
    large: Most,
    /// The places for large ones are beside the others: there is but one.
    apart: bool,
}

impl Bounds {
    fn of(parallel: usize) -> Self {
        let large = Most::large(parallel);
        Self { small: Most::small(parallel), large, apart: large.waiting == 1 }
    }
}

/// A body to be fetched.
pub(super) struct Job {
    pub(super) source: Source,
    pub(super) flight: Arc<Flight>,
}

/// For whom a body is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    /// Somebody waits for it.
    Waiting,
    /// Somebody will want it.
    Later,
    /// Somebody may.
    Ahead,
}

/// A place that is taken.
#[derive(Clone)]
pub(super) struct Place {
    large: bool,
    whom: For,
    since: Instant,
    /// The fetch that has it.
    pub(super) flight: Arc<Flight>,
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
    most: Bounds,
    state: Mutex<State>,
}

/// Before the lock of any flight.
#[derive(Default)]
struct State {
    /// Somebody waits for these.
    small: VecDeque<Job>,
    large: VecDeque<Job>,
    /// Somebody will want these.
    later: VecDeque<Job>,
    taken: Vec<Place>,
    /// Threads that are about to ask for a place.
    starting: usize,
    /// The last body that nobody had asked for came quickly.
    quick: bool,
}

impl Places {
    pub(super) fn new(parallel: usize) -> Self {
        Self { most: Bounds::of(parallel), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Lets a body wait for its turn; true if a thread is to be started for it.
    pub(super) fn line_up(&self, job: Job, waited_for: bool) -> bool {
        let mut state = self.state();
        let (large, whom) =
            (job.source.is_large(), if waited_for { For::Waiting } else { For::Later });
        state.queue(waited_for, large).push_back(job);
        state.grows(&self.most, large, whom)
    }

    /// Somebody waits for this one now, wherever it is in the queue; true if a thread is to be started
    /// for it.
    pub(super) fn put_first(&self, flight: &Arc<Flight>) -> bool {
        let mut state = self.state();
        let at = state.later.iter().position(|job| Arc::ptr_eq(&job.flight, flight));
        let Some(job) = at.and_then(|at| state.later.remove(at)) else { return false };
        let large = job.source.is_large();
        state.queue(true, large).push_back(job);
        state.grows(&self.most, large, For::Waiting)
    }

    /// Something may be fetched that nobody has asked for; true if a thread is to be started for it.
    pub(super) fn has_room_ahead(&self) -> bool {
        self.state().grows(&self.most, false, For::Ahead)
    }

    /// Something that was lined up has a place; true if a thread is to be started for it.
    pub(super) fn has_turn(&self) -> bool {
        let mut state = self.state();
        let has = state.starting == 0 && state.first(&self.most).is_some();
        state.starting += usize::from(has);
        has
    }

    /// The next thing to do; without one the thread that asks is counted no more, and ends.
    pub(super) fn next(&self, ahead: bool) -> Option<Turn> {
        let mut state = self.state();
        state.starting -= 1;
        state.choose(&self.most, ahead)
    }

    /// What had this place is done; its thread asks for the next.
    pub(super) fn leave(&self, place: &Place) {
        let mut state = self.state();
        state.taken.retain(|taken| !Arc::ptr_eq(&taken.flight, &place.flight));
        if place.whom == For::Ahead && place.flight.has_begun() {
            state.quick = place.since.elapsed() < QUICK;
        }
        state.starting += 1;
    }

    /// No thread could be started; true if there is no other either, and `flight` waits no more.
    pub(super) fn is_deserted(&self, flight: &Arc<Flight>) -> bool {
        let mut state = self.state();
        state.starting -= 1;
        if state.starting + state.taken.len() > 0 {
            return false;
        }
        let State { small, large, later, .. } = &mut *state;
        for queue in [small, large, later] {
            queue.retain(|job| !Arc::ptr_eq(&job.flight, flight));
        }
        true
    }

    /// The thread that was to have a place could not be started, and nothing waits for it alone.
    pub(super) fn is_not_started(&self) {
        self.state().starting -= 1;
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

    /// How many more bodies may be fetched for `whom`.
    fn room(&self, most: &Bounds, large: bool, whom: For) -> usize {
        let of_large = || self.left(most.large, whom, |place| place.large);
        let of_all = |apart: bool| self.left(most.small, whom, |place| !apart || !place.large);
        match (most.apart, large) {
            (true, true) => of_large(),
            (false, true) => of_large().min(of_all(false)),
            (apart, false) => of_all(apart),
        }
    }

    fn left(&self, most: Most, whom: For, among: impl Fn(&Place) -> bool) -> usize {
        let count = |is: &dyn Fn(&Place) -> bool| {
            self.taken.iter().filter(|place| among(place) && is(place)).count()
        };
        let all = count(&|_| true);
        let waiting = count(&|place| place.whom == For::Waiting);
        let later = count(&|place| place.whom == For::Later);
        match whom {
            For::Waiting => {
                let silent = count(&|place| place.flight.is_silent(SILENT)).min(most.silent);
                let room = (most.all + silent).saturating_sub(all);
                room.min((most.waiting + silent).saturating_sub(waiting))
            }
            For::Later => {
                let room = most.waiting.saturating_sub(all).min(most.later.saturating_sub(later));
                room.min(most.unwaited.saturating_sub(all - waiting))
            }
            For::Ahead => {
                let ahead = if self.quick { most.ahead_if_quick } else { most.ahead };
                most.all.saturating_sub(all).min(ahead.saturating_sub(all - waiting))
            }
        }
    }

    /// Whether one more thread is to be started for such a body: those on their way to a place find
    /// one each.
    fn grows(&mut self, most: &Bounds, large: bool, whom: For) -> bool {
        let grows = self.starting < self.room(most, large, whom);
        self.starting += usize::from(grows);
        grows
    }

    /// Which queue has the next one, and where in it.
    fn first(&self, most: &Bounds) -> Option<(bool, bool, usize)> {
        for (queue, large) in [(&self.small, false), (&self.large, true)] {
            if !queue.is_empty() && self.room(most, large, For::Waiting) > 0 {
                return Some((true, large, 0));
            }
        }
        let room = [false, true].map(|large| self.room(most, large, For::Later) > 0);
        let at = self.later.iter().position(|job| room[usize::from(job.source.is_large())])?;
        Some((false, self.later.get(at)?.source.is_large(), at))
    }

    fn choose(&mut self, most: &Bounds, ahead: bool) -> Option<Turn> {
        if let Some((waited_for, large, at)) = self.first(most)
            && let Some(job) = self.queue(waited_for, large).remove(at)
        {
            let whom = if waited_for { For::Waiting } else { For::Later };
            let place = self.take(large, whom, Arc::clone(&job.flight));
            return Some(Turn::Fetch(job, place));
        }
        if ahead && self.room(most, false, For::Ahead) > 0 {
            return Some(Turn::Ahead(self.take(false, For::Ahead, Arc::default())));
        }
        None
    }

    fn take(&mut self, large: bool, whom: For, flight: Arc<Flight>) -> Place {
        let place = Place { large, whom, since: Instant::now(), flight };
        self.taken.push(place.clone());
        place
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

    /// What the next turn is: the body and for whom, or none for ahead.
    fn turn(places: &Places) -> Option<Option<(BlobId, For)>> {
        places.state().starting += 1;
        places.next(true).map(|turn| match turn {
            Turn::Fetch(job, place) => Some((job.source.file.blob, place.whom)),
            Turn::Ahead(_) => None,
        })
    }

    /// Lines up bodies that are none of the others, and takes all places that there are for them.
    fn take(places: &Places, count: u8, size: u64, waited_for: bool) -> Vec<Place> {
        for n in 0..count {
            places.line_up(job(n, size), waited_for);
        }
        let mut taken = Vec::new();
        places.state().starting = 1;
        while let Some(Turn::Fetch(_, place)) = places.next(false) {
            taken.push(place);
            places.state().starting = 1;
        }
        places.state().starting = 0;
        let mut state = places.state();
        for queue in [true, false].into_iter().flat_map(|w| [(w, true), (w, false)]) {
            state.queue(queue.0, queue.1).clear();
        }
        taken
    }

    const LARGE: u64 = SMALL + 1;

    #[test]
    fn who_waits_goes_first_then_who_will_want_it_then_what_nobody_asked_for() {
        let places = Places::new(4);
        for (n, waited_for) in [(0, false), (1, true), (2, false), (3, true)] {
            assert!(places.line_up(job(n, 10), waited_for));
        }
        let wanted = job(9, 10);
        let flight = Arc::clone(&wanted.flight);
        assert!(!places.line_up(wanted, false));
        places.put_first(&flight);
        let id = |n: u8| BlobId::of(&[n]);
        assert_eq!(turn(&places), Some(Some((id(1), For::Waiting))));
        assert_eq!(turn(&places), Some(Some((id(3), For::Waiting))));
        assert_eq!(turn(&places), Some(Some((id(9), For::Waiting))));
        assert_eq!(turn(&places), Some(Some((id(0), For::Later))));
        assert_eq!(turn(&places), None);
        let places = Places::new(4);
        places.line_up(job(0, 10), false);
        assert_eq!(turn(&places), Some(Some((id(0), For::Later))));
        assert_eq!((turn(&places), turn(&places)), (Some(None), Some(None)));
        assert_eq!(turn(&places), None, "one place is left for who waits");
    }

    #[test]
    fn who_waits_finds_a_place_whatever_is_prefetched_large_or_small() {
        for parallel in [1, 2, 3, 4, 7, 8, 16, 64] {
            for prefetched in [10, LARGE] {
                for size in [10, LARGE] {
                    let places = Places::new(parallel);
                    assert!(!take(&places, 200, prefetched, false).is_empty());
                    assert!(turn(&places).is_none_or(|turn| turn.is_none()));
                    let one = take(&places, 1, size, true);
                    assert_eq!(one.len(), 1, "{parallel} {prefetched} {size}");
                }
            }
        }
        let places = Places::new(16);
        assert_eq!(take(&places, 200, 10, false).len(), 12, "a quarter is left");
        assert_eq!(take(&places, 200, 10, true).len(), 4);
        let places = Places::new(16);
        assert_eq!(take(&places, 200, LARGE, false).len(), 3);
        assert_eq!(take(&places, 200, LARGE, true).len(), 1);
    }

    #[test]
    fn reading_ahead_leaves_one_place_and_takes_none_of_what_is_prefetched() {
        let places = Places::new(16);
        assert_eq!((0..20).filter(|_| turn(&places) == Some(None)).count(), 15);
        assert!(!places.has_room_ahead());
        places.line_up(job(1, 10), false);
        assert_eq!(turn(&places), None);
        let place = places.state().taken[0].clone();
        places.leave(&place);
        places.state().starting -= 1;
        assert_eq!(turn(&places), Some(Some((BlobId::of(&[1]), For::Later))));
        assert!(!Places::new(1).has_room_ahead(), "with one place nothing is read ahead");
    }

    #[test]
    fn while_bodies_come_quickly_reading_ahead_has_all_of_many_places() {
        for (parallel, slow, quick) in [(16, 15, 16), (8, 7, 8), (7, 6, 6), (1, 0, 0)] {
            let places = Places::new(parallel);
            let mut taken = Vec::new();
            let mut fill = |heard: bool, since: Duration| {
                while turn(&places) == Some(None) {}
                places.state().starting = 0;
                let full = std::mem::take(&mut places.state().taken);
                if let Some(one) = full.first() {
                    if heard {
                        one.flight.hears();
                    }
                    let since = Instant::now().checked_sub(since).unwrap();
                    places.leave(&Place { since, ..one.clone() });
                }
                taken.push(full.len());
            };
            fill(false, Duration::ZERO);
            fill(true, Duration::ZERO);
            fill(true, QUICK);
            fill(true, QUICK);
            assert_eq!(taken, [slow, slow, quick, slow]);
        }
    }

    #[test]
    fn large_ones_have_a_quarter_of_the_places_or_one_beside_the_others() {
        let places = Places::new(16);
        assert_eq!(take(&places, 200, LARGE, true).len(), 4);
        assert_eq!(take(&places, 200, 10, true).len(), 12);
        for few in [1, 4, 7] {
            let places = Places::new(few);
            assert_eq!(take(&places, 200, LARGE, true).len(), 1);
            assert_eq!(take(&places, 200, 10, true).len(), few);
            assert_eq!(take(&places, 200, LARGE, false).len(), 0);
        }
    }

    #[test]
    fn what_brings_nothing_leaves_its_place_to_who_waits_up_to_half_as_many() {
        for (parallel, large, more) in [(1, 10, 1), (4, 10, 2), (16, 10, 8), (16, LARGE, 2)] {
            let places = Places::new(parallel);
            let taken = take(&places, 200, large, true);
            let most = if large == LARGE { parallel / 4 } else { parallel };
            assert_eq!(taken.len(), most);
            let late = || Instant::now().checked_sub(SILENT);
            taken.iter().for_each(|place| place.flight.state().heard = late());
            assert!(take(&places, 200, large, false).is_empty(), "of who waits alone");
            assert_eq!(take(&places, 200, large, true).len(), more);
            taken.iter().for_each(|place| place.flight.hears());
            places.leave(&taken[0]);
            assert!(take(&places, 1, large, true).is_empty(), "they bring something again");
        }
    }

    #[test]
    fn a_thread_is_started_for_every_body_that_has_a_place_and_for_no_other() {
        let places = Places::new(4);
        let started = (0..9).filter(|n| places.line_up(job(*n, 10), true)).count();
        assert_eq!((started, places.has_turn()), (4, false));
        // One on its way does not count for the place beside.
        let places = Places::new(1);
        assert!(places.line_up(job(0, 10), true));
        places.line_up(job(1, LARGE), true);
        places.state().starting = 1;
        assert!(places.next(true).is_some() && places.has_turn() && places.next(true).is_some());
        assert!(!places.has_turn());
    }
}
