//! Work with files that were read before, against the limit of FUSE and against plain files.

use std::path::Path;
use std::time::Duration;

use crate::candidates::{Candidate, Candidates};
use crate::figure::{Bar, Row};
use crate::place::Place;
use crate::scale::Scale;
use crate::timing::{drop_caches, in_turn, median, one_turn};
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
    let warm = all().flat_map(|(work, on)| measured(work, &on.all, scale.rounds)).collect();
    if !scale.drop_caches {
        return (warm, Vec::new());
    }
    // Only what is on the disk can be dropped.
    nix::unistd::sync();
    if !drop_caches() {
        eprintln!("bench: only root can drop the kernel's caches: not measured without them");
        return (warm, Vec::new());
    }
    let works = all().filter(|(work, _)| scale.slow || DROPPED.contains(work));
    let works: Vec<_> = works.map(|(work, on)| (work, on.all.as_slice())).collect();
    (warm, without_caches(&works, scale.dropped_rounds, &place.in_memory("nothing")))
}

/// Each candidate by itself, one round after the other, when all has been read.
fn measured(work: Work, candidates: &[Candidate], rounds: usize) -> Vec<Row> {
    let in_the_run: Vec<&Candidate> = candidates.iter().collect();
    in_the_run.iter().for_each(|candidate| work.once(candidate));
    let times = in_turn(rounds, &in_the_run, |candidate| work.timed(candidate, false));
    compared(work, &in_the_run, times, rounds, false)
}

/// Right after the kernel was made to forget, with `nothing`, an empty directory, in which each program
/// is run before, so that what is measured is not how it comes from the disk itself. All work is
/// done in each round: what disturbs the machine for a while disturbs some of all.
fn without_caches(works: &[(Work, &[Candidate])], rounds: usize, nothing: &Path) -> Vec<Row> {
    // What dropped caches cost a tmpfs is nothing, and of rclone they make minutes.
    let takes_part =
        |candidate: &&Candidate| !matches!(&*candidate.name, "tmpfs" | "rclone WebDAV");
    let mut runs: Vec<_> = works
        .iter()
        .map(|(work, all)| {
            let in_the_run: Vec<&Candidate> = all.iter().filter(takes_part).collect();
            let times = vec![Vec::new(); in_the_run.len()];
            (*work, in_the_run, times)
        })
        .collect();
    for round in 0..rounds {
        for (work, in_the_run, times) in &mut runs {
            one_turn(round, in_the_run, times, |candidate| {
                drop_caches();
                until_quiet(in_the_run);
                work.with_program(nothing);
                work.timed(candidate, true)
            });
        }
    }
    let rows = runs.into_iter().flat_map(|(work, in_the_run, times)| {
        let times = times.into_iter().map(median).collect();
        compared(work, &in_the_run, times, rounds, true)
    });
    rows.collect()
}

/// The first candidate against each of the others.
fn compared(
    work: Work,
    candidates: &[&Candidate],
    times: Vec<Duration>,
    rounds: usize,
    cold: bool,
) -> Vec<Row> {
    let figures: Vec<_> = times
        .into_iter()
        .zip(candidates)
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
