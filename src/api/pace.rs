//! How fast changes may follow each other. Pure: time is an argument and the caller waits.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::Time;

/// Changes GitHub takes in a minute; no header tells this limit.
pub const A_MINUTE: usize = 80;
/// Changes GitHub takes in an hour.
pub const AN_HOUR: usize = 500;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// GitHub's limits on requests that make content.
const GITHUB: &[(usize, Duration)] = &[(A_MINUTE, MINUTE), (AN_HOUR, HOUR)];

/// The least time between two changes of a host with limits: GitHub asks for a second.
const APART: Duration = Duration::from_secs(1);

/// Remembers when changes were sent and says when the next one may go.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    /// What the user wants between two changes.
    interval: Option<Duration>,
    limited: bool,
    /// When changes were sent, oldest first; no more than the largest limit counts.
    sent: VecDeque<Time>,
}

impl Pace {
    /// The pace of a host that is not known to have limits: only `interval` apart, if at all.
    pub fn new(interval: Option<Duration>) -> Self {
        Self { interval, ..Self::default() }
    }

    /// The host has limits: 80 changes a minute, 500 an hour, and a second apart if the user did
    /// not say otherwise. For good: what was sent before counts too.
    pub fn limit(&mut self) {
        self.limited = true;
    }

    /// How long from `now` until the next change may be sent; zero means at once.
    pub fn wait(&self, now: Time) -> Duration {
        self.wait_for_room(1, now)
    }

    /// How long from `now` until so many changes may be sent with no more than the least time
    /// between them.
    pub fn wait_for_room(&self, changes: usize, now: Time) -> Duration {
        let apart = if self.limited { APART } else { Duration::ZERO };
        let apart = std::iter::once((1, self.interval.unwrap_or(apart)));
        let limits = if self.limited { GITHUB } else { &[] };
        let more = changes.saturating_sub(1);
        let limits = limits.iter().map(|(count, window)| (count.saturating_sub(more), *window));
        apart
            .chain(limits)
            .filter_map(|(count, window)| {
                let oldest = *self.sent.get(self.sent.len().checked_sub(count)?)?;
                // A clock that was set back must not make us wait for the old time to return.
                Some(oldest.min(now).after(window).since(now))
            })
            .max()
            .unwrap_or_default()
    }

    /// Counts a change sent at `now`, whether or not it succeeded: GitHub counts it too.
    pub fn sent(&mut self, now: Time) {
        for earlier in &mut self.sent {
            *earlier = (*earlier).min(now);
        }
        while self.sent.len() >= AN_HOUR {
            self.sent.pop_front();
        }
        self.sent.push_back(now);
    }

    /// How many changes were sent in the minute and in the hour before `now`; `None` where no
    /// limit is known.
    pub fn used(&self, now: Time) -> Option<(usize, usize)> {
        let within = |window| self.sent.iter().filter(|then| now.since(**then) < window).count();
        self.limited.then(|| (within(MINUTE), within(HOUR)))
    }

    /// When the last of `count` changes can go if the first one goes as soon as it may.
    pub fn last_of(&self, count: usize, now: Time) -> Time {
        let mut pace = self.clone();
        let mut at = now;
        for _ in 0..count {
            at = at.after(pace.wait(at));
            pace.sent(at);
        }
        at
    }

    /// What a restart must know of it, as text; `None` where nothing counts.
    ///
    /// The first instant in milliseconds, then how long after each came the next.
    pub fn to_text(&self, now: Time) -> Option<String> {
        // Rounded up: an instant must not count for less after a restart.
        let millis = |time: &Time| time.0.saturating_add(999_999).div_euclid(1_000_000);
        let mut before = 0;
        let counts = self.sent.iter().filter(|then| now.since(**then) < HOUR).map(|then| {
            let step = millis(then) - before;
            before += step;
            format!("{step} ")
        });
        self.limited.then(|| counts.collect())
    }

    /// Takes in what [`Pace::to_text`] wrote down. What is no number ends it.
    pub fn remember(&mut self, text: &str) {
        let mut at = 0_i64;
        let steps = text.split_whitespace().map_while(|step| step.parse::<i64>().ok());
        for step in steps.take(AN_HOUR) {
            at = at.saturating_add(step);
            self.sent.push_back(Time(at.saturating_mul(1_000_000)));
        }
        self.limited |= !self.sent.is_empty();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn github() -> Pace {
        let mut pace = Pace::new(None);
        pace.limit();
        pace
    }

    /// Sends as soon as allowed, each change wanted `gap` after the one before; when each went.
    fn run(mut pace: Pace, gaps: &[u64]) -> Vec<Time> {
        let mut now = Time::new(1_000_000, 0);
        let mut sent = Vec::new();
        for gap in gaps {
            now = now.after(Duration::from_millis(*gap));
            now = now.after(pace.wait(now));
            assert_eq!(pace.wait(now), Duration::ZERO, "the wait was not enough");
            pace.sent(now);
            sent.push(now);
        }
        sent
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn no_window_ever_holds_too_many(gaps in prop::collection::vec(0..4000_u64, 1..700)) {
            let sent = run(github(), &gaps);
            for (count, window) in GITHUB.iter().copied().chain([(1, SECOND)]) {
                for span in sent.windows(count + 1) {
                    prop_assert!(span[count].since(span[0]) >= window);
                }
            }
        }
    }

    #[test]
    fn an_idle_client_sends_at_once() {
        assert_eq!(github().wait(Time::new(5, 0)), Duration::ZERO);
        let mut pace = github();
        pace.sent(Time::new(5, 0));
        assert_eq!(pace.wait(Time::new(5, 250_000_000)), Duration::from_millis(750));
        assert_eq!(pace.wait(Time::new(6, 0)), Duration::ZERO);
    }

    #[test]
    fn a_host_without_limits_is_not_slowed() {
        let sent = run(Pace::new(None), &[0; 1000]);
        assert_eq!(sent.first(), sent.last());
    }

    #[test]
    fn a_clock_set_back_does_not_stop_the_uploads() {
        let mut pace = github();
        pace.sent(Time::new(1_000_000, 0));
        assert_eq!(pace.wait(Time::new(10, 0)), SECOND);
        pace.sent(Time::new(10, 0));
        assert_eq!(pace.wait(Time::new(11, 0)), Duration::ZERO);
    }

    #[test]
    fn a_restart_changes_nothing_about_what_may_go_when() {
        let mut pace = github();
        let mut now = Time::new(1_790_000_000, 123_000_000);
        for _ in 0..600 {
            now = now.after(pace.wait(now));
            pace.sent(now);
        }
        let mut again = Pace::new(None);
        again.remember(&pace.to_text(now).unwrap());
        let waits = (pace.wait(now), again.wait(now));
        assert!(waits.1 >= waits.0 && waits.1 - waits.0 <= Duration::from_millis(1), "{waits:?}");
        assert_eq!(again.used(now), pace.used(now));
        assert!(pace.to_text(now).unwrap().len() < 4000, "it is written with every change");
        // A day later nothing of it counts, and of a host without limits nothing ever does.
        assert_eq!(pace.to_text(now.after(HOUR * 24)).as_deref(), Some(""));
        assert_eq!(Pace::new(None).to_text(now), None);
        let mut odd = Pace::new(None);
        odd.remember("12 what 99999999999999999999");
        odd.remember("9223372036854775807 9223372036854775807 -5");
        assert_eq!(odd.wait(now).min(HOUR), odd.wait(now));
    }

    #[test]
    fn the_budget_and_the_end_of_a_queue_can_be_told() {
        let mut pace = github();
        let now = Time::new(1_790_000_000, 0);
        assert_eq!(Pace::new(None).used(now), None);
        assert_eq!((pace.used(now), pace.last_of(1, now)), (Some((0, 0)), now));
        assert_eq!(pace.last_of(3, now), now.after(SECOND * 2));
        // 500 in the first hour, the rest as those leave the window.
        assert_eq!(pace.last_of(501, now), now.after(HOUR));
        for second in 0..100 {
            pace.sent(now.after(SECOND * second));
        }
        assert_eq!(pace.used(now.after(SECOND * 100)), Some((59, 100)));
    }
}
