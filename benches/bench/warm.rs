//! Work with files that were read before, against the limit of FUSE and against plain files.

use std::path::Path;
use std::time::Duration;

use crate::candidates::{Candidate, Candidates};
use crate::figure::{Bar, Row};
use crate::place::Place;
use crate::scale::Scale;
use crate::timing::{drop_caches, in_turn};
use crate::work::Work;

/// What everybody does with small files.
const SMALL: [Work; 7] =
    [Work::Stat, Work::OpenReadClose, Work::Ls, Work::Find, Work::FindSize, Work::Grep, Work::Du];

/// What is measured without the kernel's caches even in a short run: what has a bar, and `stat`.
const DROPPED: [Work; 4] = [Work::Stat, Work::Ls, Work::Find, Work::Du];

/// Rows of warm work and, where the kernel's caches can be dropped, of the same without them.
pub(crate) fn rows(place: &Place, scale: &Scale) -> (Vec<Row>, Vec<Row>) {
    let tree = Candidates::small_files(place, scale.gists, scale.slow);
    let large = scale.drop_caches.then(|| Candidates::large_file(place));
    let large = large.as_ref().map(|large| (Work::ReadLarge, large));
    let all = || SMALL.map(|work| (work, &tree)).into_iter().chain(large);
    let warm = all().flat_map(|(work, on)| measured(work, &on.all, scale.rounds, None)).collect();
    if !scale.drop_caches {
        return (warm, Vec::new());
    }
    // Only what is on the disk can be dropped.
    nix::unistd::sync();
    if !drop_caches() {
        eprintln!("bench: only root can drop the kernel's caches: not measured without them");
        return (warm, Vec::new());
    }
    let nothing = place.in_memory("nothing");
    let rounds = scale.dropped_rounds;
    let works = all().filter(|(work, _)| scale.slow || DROPPED.contains(work));
    let cold = works.flat_map(|(work, on)| measured(work, &on.all, rounds, Some(&nothing)));
    (warm, cold.collect())
}

/// Warm, or right after the kernel was made to forget: then with an empty directory, in which each
/// program is run before, so that what is measured is not how it comes from the disk itself.
fn measured(
    work: Work,
    candidates: &[Candidate],
    rounds: usize,
    dropped: Option<&Path>,
) -> Vec<Row> {
    let cold = dropped.is_some();
    // What dropped caches cost a tmpfs is nothing, and of rclone they make minutes.
    let left_out = |name: &str| cold && matches!(name, "tmpfs" | "rclone WebDAV");
    let in_the_run: Vec<&Candidate> =
        candidates.iter().filter(|candidate| !left_out(&candidate.name)).collect();
    if !cold {
        in_the_run.iter().for_each(|candidate| work.once(candidate));
    }
    let times = in_turn(rounds, &in_the_run, |candidate| {
        if let Some(nothing) = dropped {
            drop_caches();
            until_quiet(&in_the_run);
            work.with_program(nothing);
        }
        work.timed(candidate, cold)
    });
    let figures: Vec<_> = times
        .into_iter()
        .zip(&in_the_run)
        .map(|(time, candidate)| (candidate.name.clone(), work.figure(time, candidate)))
        .collect();
    let Some(((_, gistfs), others)) = figures.split_first() else { return Vec::new() };
    let row = |(name, figure): &(String, _)| Row {
        what: work.name().to_owned(),
        gistfs: gistfs.clone(),
        other: Some((name.clone(), Clone::clone(figure))),
        bar: bar(work, name, cold),
        how: format!("median of {rounds}"),
    };
    others.iter().map(row).collect()
}

/// Waits while those who serve the candidates work off what the kernel tells them to forget.
fn until_quiet(candidates: &[&Candidate]) {
    let ticks = || candidates.iter().map(|candidate| candidate.ticks()).sum::<u64>();
    let mut before = ticks();
    for _ in 0..5 {
        std::thread::sleep(Duration::from_millis(200));
        let now = ticks();
        if now == before {
            return;
        }
        before = now;
    }
}

/// What gistfs is to reach against an alternative.
fn bar(work: Work, other: &str, cold: bool) -> Bar {
    let plain = !matches!(other, "bare FUSE" | "tmpfs" | "rclone WebDAV");
    match work {
        Work::Stat | Work::OpenReadClose | Work::ReadLarge if other == "bare FUSE" && !cold => {
            Bar::AtLeast(0.8)
        }
        Work::Ls | Work::Find | Work::Du if plain => Bar::AtMost(1.3),
        Work::Stat
        | Work::OpenReadClose
        | Work::ReadLarge
        | Work::Ls
        | Work::Find
        | Work::FindSize
        | Work::Grep
        | Work::Du => Bar::None,
    }
}
