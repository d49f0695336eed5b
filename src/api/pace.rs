//! How fast changes may follow each other. Pure: time is an argument and the caller waits.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::Time;

/// GitHub's limits on requests that make content, which no header tells: 80 a minute, 500 an hour.
const GITHUB: &[(usize, Duration)] =
    &[(80, Duration::from_secs(60)), (500, Duration::from_secs(3600))];

/// Remembers when changes were sent and says when the next one may go.
#[derive(Clone, Debug)]
pub struct Pace {
    interval: Duration,
    limits: &'static [(usize, Duration)],
    /// When changes were sent, oldest first; no more than the largest limit counts.
    sent: VecDeque<Time>,
}

impl Pace {
    /// GitHub's pace: at least `interval` apart, at most 80 a minute and 500 an hour.
    pub fn github(interval: Duration) -> Self {
        Self { interval, limits: GITHUB, sent: VecDeque::new() }
    }

    /// The pace of a host that reports no rate limit: only `interval`, which may be zero.
    pub fn unlimited(interval: Duration) -> Self {
        Self { interval, limits: &[], sent: VecDeque::new() }
    }

    /// How long from `now` until the next change may be sent; zero means at once.
    pub fn wait(&self, now: Time) -> Duration {
        let apart = std::iter::once((1, self.interval));
        apart
            .chain(self.limits.iter().copied())
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
        let most = self.limits.iter().map(|(count, _)| *count).max().unwrap_or(1);
        while self.sent.len() >= most {
            self.sent.pop_front();
        }
        self.sent.push_back(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

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
            let sent = run(Pace::github(SECOND), &gaps);
            for (count, window) in GITHUB.iter().copied().chain([(1, SECOND)]) {
                for span in sent.windows(count + 1) {
                    prop_assert!(span[count].since(span[0]) >= window);
                }
            }
        }
    }

    #[test]
    fn an_idle_client_sends_at_once() {
        assert_eq!(Pace::github(SECOND).wait(Time::new(5, 0)), Duration::ZERO);
        let mut pace = Pace::github(SECOND);
        pace.sent(Time::new(5, 0));
        assert_eq!(pace.wait(Time::new(5, 250_000_000)), Duration::from_millis(750));
        assert_eq!(pace.wait(Time::new(6, 0)), Duration::ZERO);
    }

    #[test]
    fn a_host_without_limits_is_not_slowed() {
        let sent = run(Pace::unlimited(Duration::ZERO), &[0; 1000]);
        assert_eq!(sent.first(), sent.last());
    }

    #[test]
    fn a_clock_set_back_does_not_stop_the_uploads() {
        let mut pace = Pace::github(SECOND);
        pace.sent(Time::new(1_000_000, 0));
        assert_eq!(pace.wait(Time::new(10, 0)), SECOND);
        pace.sent(Time::new(10, 0));
        assert_eq!(pace.wait(Time::new(11, 0)), Duration::ZERO);
    }
}
