//! The parts of a run, in order, and the words above each table.

use crate::place::Place;
use crate::report::Report;
use crate::scale::Scale;
use crate::{cold, counted, crowd, growth, hang, warm};

/// Measures as much as the scale says.
pub(crate) fn run(place: &Place, scale: &Scale) -> Report {
    let mut report = Report::default();
    let rows = counted::looking(place, scale);
    report.add("Looking around", LOOKING, rows);
    report.add("Changes", CHANGES, counted::changing(place, scale));
    let rows = cold::rows(place, scale);
    report.draw(&rows);
    report.add("Searching what was never read", COLD, rows);
    let (warm, dropped) = warm::rows(place, scale);
    report.draw(&warm);
    report.add("Warm", WARM, warm);
    if !dropped.is_empty() {
        report.add("With the kernel's caches dropped", DROPPED, dropped);
    }
    report.add("While the network does not work", HANG, hang::rows(place, scale));
    if !scale.sizes.is_empty() {
        let (lines, rows) = growth::lines(place, scale);
        report.add_table("Growth", GROWTH, &growth::HEAD, lines);
        report.add("The largest of them", "", rows);
    }
    if !scale.crowd.is_zero() {
        let (lines, rows) = crowd::lines(place, scale);
        report.add_table("A crowd", CROWD, &crowd::HEAD, lines);
        report.add("Nobody waits for somebody else's body", "", rows);
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
`grep -r` through a fresh mount. The alternatives fetch a sample of the same gists, and their time is
multiplied; the list that tells them which gists there are comes free to them. *curl, one connection*
and *curl, 16 at once* are one process for all files.";

const WARM: &str = "\
The same files everywhere, all of them read before; the candidates take turns. `stat` and
open+read+close go through all files, one after another in one thread.";

const DROPPED: &str = "\
The same after the kernel was made to forget, once for each candidate and round. The gists are on the
disk too, and what gistfs keeps in memory it keeps.";

const HANG: &str = "\
The server is stopped, so connections are made and nothing is ever answered; then it is gone.
Metadata is timed inside gistfs, by its own log, with the kernel's caches dropped again and again.";

const GROWTH: &str = "\
A fresh account of each size. *At once* is the greatest number of requests under way. *Memory then*
is the resident memory of the second mount when everything has been listed.";

const CROWD: &str = "\
32 readers and 8 writers at once, each thinking for 10 ms between two things, while one reader waits
for a file whose body the server never sends. Times are the programs' own, on all cores together.";
