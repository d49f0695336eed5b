//! Work with files that were read before, against the limit of FUSE and against plain files.

use crate::candidates::{Candidate, Candidates};
use crate::figure::{Bar, Row};
use crate::place::Place;
use crate::scale::Scale;
use crate::timing::{drop_caches, in_turn};
use crate::work::Work;

/// What everybody does with small files.
const SMALL: [Work; 7] =
    [Work::Stat, Work::OpenReadClose, Work::Ls, Work::Find, Work::FindSize, Work::Grep, Work::Du];

/// Rows of warm work and, where the kernel's caches can be dropped, of the same without them.
pub(crate) fn rows(place: &Place, scale: &Scale) -> (Vec<Row>, Vec<Row>) {
    let tree = Candidates::small_files(place, scale.gists, scale.slow);
    let large = scale.slow.then(|| Candidates::large_file(place));
    let large = large.as_ref().map(|large| (Work::ReadLarge, large));
    let all = || SMALL.map(|work| (work, &tree)).into_iter().chain(large);
    let warm = all().flat_map(|(work, on)| measured(work, &on.all, scale.rounds, false)).collect();
    if !scale.slow {
        return (warm, Vec::new());
    }
    // Only what is on the disk can be dropped.
    nix::unistd::sync();
    if !drop_caches() {
        eprintln!("bench: only root can drop the kernel's caches: not measured without them");
        return (warm, Vec::new());
    }
    let cold = all().flat_map(|(work, on)| measured(work, &on.all, scale.rounds, true)).collect();
    (warm, cold)
}

fn measured(work: Work, candidates: &[Candidate], rounds: usize, cold: bool) -> Vec<Row> {
    // What dropped caches cost a tmpfs is nothing.
    let in_the_run: Vec<&Candidate> =
        candidates.iter().filter(|candidate| !cold || candidate.name != "tmpfs").collect();
    if !cold {
        in_the_run.iter().for_each(|candidate| work.once(candidate));
    }
    let times = in_turn(rounds, &in_the_run, |candidate| {
        if cold {
            drop_caches();
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
