//! The parts of a run, in order, and the words above each table.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::place::{Place, stay_if_told_to_end};
use crate::report::Report;
use crate::scale::Scale;
use crate::timing::time;
use crate::{cold, counted, crowd, growth, hang, memory, warm};

type Part = fn(&Place, &Scale, &mut Report);

/// What a run consists of, by the names that choose it.
pub(crate) const PARTS: [(&str, Part); 8] = [
    ("looking", |place, scale, report| {
        report.add("Looking around", LOOKING, counted::looking(place, scale));
    }),
    ("changes", |place, scale, report| {
        report.add("Changes", CHANGES, counted::changing(place, scale));
    }),
    ("cold", |place, scale, report| {
        let rows = cold::rows(place, scale);
        report.draw(rows.iter().filter(|row| !row.what.contains("--parallel")));
        report.add("Searching what was never read", COLD, rows);
    }),
    ("warm", |place, scale, report| {
        let (warm, dropped) = warm::rows(place, scale);
        report.draw(warm.iter());
        report.add("Warm", WARM, warm);
        if !dropped.is_empty() {
            report.add("With the kernel's caches dropped", DROPPED, dropped);
        }
    }),
    ("hang", |place, scale, report| {
        report.add("While the network does not work", HANG, hang::rows(place, scale));
    }),
    ("growth", |place, scale, report| {
        if !scale.sizes.is_empty() {
            let (lines, rows) = growth::lines(place, scale);
            report.add_table("Growth", GROWTH, &growth::HEAD, lines);
            report.add("Linear or better", LINEAR, rows);
        }
    }),
    ("memory", |place, scale, report| {
        if scale.megabytes > 0 {
            report.add("Memory while reading", MEMORY, memory::rows(place, scale));
        }
    }),
    ("crowd", |place, scale, report| {
        if !scale.crowd.is_zero() {
            let (lines, rows) = crowd::lines(place, scale);
            report.add_table("A crowd", CROWD, &crowd::HEAD, lines);
            report.add("Nobody waits for somebody else's body", WAITS, rows);
        }
    }),
];

/// Measures as much as the scale says, all parts or those chosen, and calls `keep` after each. A
/// part that panics takes no other one with it.
pub(crate) fn run(place: &Place, scale: &Scale, chosen: &[&str], keep: impl Fn(&Report)) -> Report {
    let mut report = Report::default();
    for (name, part) in PARTS {
        if !chosen.is_empty() && !chosen.contains(&name) {
            continue;
        }
        let measure = || part(place, scale, &mut report);
        let (ended, took) = time(|| catch_unwind(AssertUnwindSafe(measure)));
        // What failed then failed because its children were ended.
        stay_if_told_to_end();
        if ended.is_err() {
            report.broken.push(name);
        }
        println!("\n({name}: {:.0} s)", took.as_secs_f64());
        report.took.push((name, took));
        keep(&report);
    }
    report
}

const LOOKING: &str = "\
Mounting an account for the first time and listing all of it fetches the list and no body. The second
time the server is stopped until the listing is over: it comes from the disk, and what is asked
afterwards is answered by *nothing is new*.";

const CHANGES: &str = "\
One save by a program is one change on GitHub, however the program writes. Before it gistfs looks
whether somebody else changed the gist; from the second change on that costs nothing.";

const COLD: &str = "\
`grep -r` through a fresh mount. The alternatives fetch a sample of the same gists, other ones each
time, and their time is multiplied; the list that tells them which gists there are comes free to them.
*curl, one connection* is one process for its sample, *curl, 16 at once* one process for all files.";

const WARM: &str = "\
The same files everywhere, all of them read before; the candidates take turns. `stat` and
open+read+close go through all files, one after another in one thread.";

const DROPPED: &str = "\
The same after the kernel was made to forget, once for each candidate and round. Then whoever serves
the files works off what it is to forget, and the program (`ls`, `find`) is run on an empty directory,
so that it does not come from the disk itself. The gists are on the disk too, and what gistfs keeps in
memory it keeps.";

const HANG: &str = "\
The server is stopped, so connections are made and nothing is ever answered; then it is gone.
Metadata is asked for with the kernel's caches dropped again and again, while 32 programs wait for
bodies that were never read. It is timed inside gistfs, by its own log, and by a program that calls
`stat`, to which two switches of process and the kernel's queue come.";

const GROWTH: &str = "\
A fresh account of each size, each round from nothing. The second mount lists while the server is
stopped. *At once* is the greatest number of requests under way. *Most memory* is the peak of the first
mount, *memory then* the resident memory of the second when everything has been listed. The search
through 1,000 gists is one run; its median is above.";

const LINEAR: &str = "\
Ten times the gists are to take at most ten times as long and as much memory, with a fifth for chance
and for `ls`, which sorts. Why they do: the list comes 100 gists
a request, up to 16 pages at a time once the first one tells how many there are, and each page is put
into the state as it comes. A second mount reads its state once, from front to back, and asks for the
pages it knows all together. Names and inodes are found by hash or by tree, and no operation goes
through all gists for each gist. What does not grow, such as starting a process, a round trip, the
program itself and 16 places for bodies, makes small accounts dear and the ratio less than 1.";

const MEMORY: &str = "\
Files of 1 MB, one after another, far more than `--memory` lets stay; then all of them again, with the
kernel's caches dropped, from gistfs's store.";

const CROWD: &str = "\
32 readers and 8 writers at once, each thinking for 10 ms between two things, while one reader waits
for a file whose body the server never sends. Times are the programs' own, on all cores together.";

const WAITS: &str = "\
What nobody has to wait for is compared with how long the reader waits whose body never comes.";
