//! How time, requests and memory grow with the number of gists.

use std::path::Path;
use std::time::Duration;

use crate::cold::{LONG, search};
use crate::figure::{Bar, Figure, Row};
use crate::mount::Mount;
use crate::place::{Place, must, program};
use crate::scale::Scale;
use crate::server::{self, Server};
use crate::timing::time;

/// The columns of the table.
pub(crate) const HEAD: [&str; 9] = [
    "gists × 3 files",
    "first mount + ls",
    "requests",
    "at once",
    "second mount + ls",
    "requests",
    "first ls -lR",
    "memory then",
    "cold grep -r",
];

/// `ls` answers within this from what is kept on the disk, however much it is.
const START: Duration = Duration::from_millis(300);
/// An account of 10,000 gists takes less memory than this.
const MEMORY: u64 = 100_000_000;

/// A line for each size, and the rows that have bars: of the largest.
pub(crate) fn lines(place: &Place, scale: &Scale) -> (Vec<Vec<String>>, Vec<Row>) {
    let (mut lines, mut rows, mut last) = (Vec::new(), Vec::new(), None);
    for &gists in scale.sizes {
        // The last search tells whether ten times as much is worth waiting for.
        let search = last.is_none_or(|last: Duration| last < LONG);
        let (line, bars, grep) = measured(place, scale, gists, search);
        last = grep.or(last);
        lines.push(line);
        rows = bars;
    }
    (lines, rows)
}

type Measured = (Vec<String>, Vec<Row>, Option<Duration>);

fn measured(place: &Place, scale: &Scale, gists: usize, wanted: bool) -> Measured {
    eprintln!("bench: {gists} gists");
    let name = format!("growth-{gists}");
    let (data, home) = (place.on_disk(&format!("{name}-data")), place.on_disk(&name));
    server::fill(&data, gists);
    let mut server = Server::start(&data, scale.latency);
    let (mount, first) = time(|| mounted_and_listed(&server, &home));
    let requests = server.settled();
    let (most, requests) = (requests.most_at_once(), requests.counted());
    mount.unmount();
    server.forget();
    let (mount, second) = time(|| mounted_and_listed(&server, &home));
    let again = server.settled().counted();
    let ((), list) = time(|| must(program("ls").arg("-lR").arg(&mount.point)));
    let memory = mount.process.memory("VmRSS");
    let mut unread = 0;
    let grep = wanted.then(|| time(|| unread = search(&mount)).1);
    let most_memory = mount.process.memory("VmHWM");
    let figure = |time| Figure::Time(time).to_string();
    let line = vec![
        gists.to_string(),
        figure(first),
        requests.to_string(),
        most.to_string(),
        figure(second),
        again.to_string(),
        figure(list),
        Figure::Memory(memory).to_string(),
        grep.map_or("not run".to_owned(), |took| match unread {
            0 => figure(took),
            unread => format!("{}, {unread} not read", figure(took)),
        }),
    ];
    let row = |what: &str, gistfs, bar| Row {
        what: format!("{what}, {gists} gists × 3 files"),
        gistfs,
        other: None,
        bar,
        how: "once".to_owned(),
    };
    let start = Bar::Below(Figure::Time(START));
    let mut rows = vec![
        row("second mount + ls", Figure::Time(second), start),
        row(
            "memory when all is listed",
            Figure::Memory(memory),
            Bar::Below(Figure::Memory(MEMORY)),
        ),
    ];
    if wanted {
        rows.push(row("most memory while all is read", Figure::Memory(most_memory), Bar::None));
    }
    (line, rows, grep)
}

fn mounted_and_listed(server: &Server, home: &Path) -> Mount {
    let mount = Mount::gistfs(&server.api, home, &[]);
    must(program("ls").arg(&mount.point));
    mount
}
