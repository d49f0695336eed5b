//! Times, medians, and the kernel's caches.

use std::time::{Duration, Instant};

/// What something brings, and how long it takes.
pub(crate) fn time<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let brought = work();
    (brought, start.elapsed())
}

/// The one in the middle; of two the smaller.
pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    quantile(&times, 0.5)
}

/// The smallest of the sorted times that this part of them does not exceed.
pub(crate) fn quantile(sorted: &[Duration], part: f64) -> Duration {
    let rank = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// Measures several candidates in turn, `rounds` times, so that what disturbs one disturbs all, and
/// each time another one begins; returns the median of each.
pub(crate) fn in_turn<C>(
    rounds: usize,
    candidates: &[C],
    mut measure: impl FnMut(&C) -> Duration,
) -> Vec<Duration> {
    let mut times = vec![Vec::new(); candidates.len()];
    for round in 0..rounds {
        one_turn(round, candidates, &mut times, &mut measure);
    }
    times.into_iter().map(median).collect()
}

/// One of these rounds; `times` has a list for each candidate.
pub(crate) fn one_turn<C>(
    round: usize,
    candidates: &[C],
    times: &mut [Vec<Duration>],
    mut measure: impl FnMut(&C) -> Duration,
) {
    let (late, early) = candidates.split_at(round % candidates.len().max(1));
    let (late_times, early_times) = times.split_at_mut(late.len());
    let turns = early.iter().zip(early_times).chain(late.iter().zip(late_times));
    turns.for_each(|(candidate, times)| times.push(measure(candidate)));
}

/// Makes the kernel forget pages, names and attributes; false where that is not allowed. What
/// is not on the disk yet stays.
pub(crate) fn drop_caches() -> bool {
    std::fs::write("/proc/sys/vm/drop_caches", "3").is_ok()
}
