//! How time, requests and memory grow with the number of gists.

use std::time::Duration;

use crate::cold::{LONG, expected, search};
use crate::figure::{Bar, Figure, Row};
use crate::mount::Mount;
use crate::place::Place;
use crate::scale::Scale;
use crate::server::{self, Server};
use crate::start::Starts;
use crate::timing::{median, time};

/// The columns of the table.
pub(crate) const HEAD: [&str; 10] = [
    "gists × 3 files",
    "first mount + ls",
    "requests",
    "at once",
    "most memory",
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

/// How much more than ten times ten times the gists may take: `ls` sorts, and times vary.
const LINEAR: f64 = 1.2;

/// What is compared between two sizes.
type Grown = Vec<(&'static str, Figure)>;

/// A line for each size, and the rows that have bars: how each size compares with the one before,
/// and what the largest is to reach.
pub(crate) fn lines(place: &Place, scale: &Scale) -> (Vec<Vec<String>>, Vec<Row>) {
    let (mut lines, mut rows, mut largest) = (Vec::new(), Vec::new(), Vec::new());
    let mut before: Option<(usize, Grown)> = None;
    for &gists in scale.sizes {
        let (line, grown, exact, bars) = measured(place, scale, gists);
        lines.push(line);
        rows.extend(exact);
        if let Some((fewer, smaller)) = &before {
            rows.extend(compared((gists, &grown), (*fewer, smaller)));
        }
        before = Some((gists, grown));
        largest = bars;
    }
    rows.extend(largest);
    (lines, rows)
}

/// Ten times the gists are to take about ten times as much, or less.
fn compared((gists, grown): (usize, &Grown), (fewer, smaller): (usize, &Grown)) -> Vec<Row> {
    let factor = gists / fewer;
    let row = |((what, now), (_, before)): (&(&str, Figure), &(&str, Figure))| {
        let times = match before {
            Figure::Time(time) => Figure::Time(time.mul_f64(factor as f64)),
            Figure::Memory(bytes) => Figure::Memory(bytes * factor as u64),
            Figure::Rate(_) | Figure::Flow(_) | Figure::Words(_) => before.clone(),
        };
        Row {
            what: format!("{what}, {gists} gists"),
            gistfs: now.clone(),
            other: Some((format!("{factor} × that of {fewer}"), times)),
            bar: Bar::AtMost(LINEAR),
            how: "from the table".to_owned(),
        }
    };
    grown.iter().zip(smaller).map(row).collect()
}

type Measured = (Vec<String>, Grown, [Row; 2], Vec<Row>);

fn measured(place: &Place, scale: &Scale, gists: usize) -> Measured {
    eprintln!("bench: {gists} gists");
    let data = place.on_disk(&format!("growth-{gists}-data"));
    server::fill(&data, gists);
    let starts = Starts::measure(place, &data, (gists, scale.latency), scale.rounds, &[]);
    let (requests, again) = starts.asked();
    let (exact, exact_again) = starts.asked_rows(
        &format!("first mount + ls, {gists} gists: requests"),
        &format!("second mount + ls, {gists} gists: requests"),
    );
    let figure = |time| Figure::Time(time);
    let grown = vec![
        ("first mount + ls", figure(starts.first)),
        ("second mount + ls", figure(starts.second)),
        ("first ls -lR", figure(starts.list)),
        ("most memory of the first mount", Figure::Memory(starts.most_memory)),
        ("memory of the second mount", Figure::Memory(starts.memory)),
    ];
    let shown = |at: usize| grown.get(at).map_or(String::new(), |(_, figure)| figure.to_string());
    let how = format!("median of {}", starts.rounds);
    let row = |what: &str, gistfs, bar, how: &str| Row {
        what: format!("{what}, {gists} gists × 3 files"),
        gistfs,
        other: None,
        bar,
        how: how.to_owned(),
    };
    let memory = || Bar::Below(Figure::Memory(MEMORY));
    let most = format!("most of {}", starts.rounds);
    let start = Bar::Below(figure(START));
    let bars = vec![
        row("second mount + ls, before any answer", figure(starts.second), start, &how),
        row("most memory, first mount + ls", Figure::Memory(starts.most_memory), memory(), &most),
        row("memory when all is listed", Figure::Memory(starts.memory), memory(), "once"),
    ];
    let at_once = starts.at_once.to_string();
    starts.mount.unmount();
    let line = vec![
        gists.to_string(),
        shown(0),
        requests,
        at_once,
        shown(3),
        shown(1),
        again,
        shown(2),
        shown(4),
        match gists <= scale.searched {
            true => searched(place, &starts.server, scale, gists),
            false => "not run".to_owned(),
        },
    ];
    (line, grown, [exact, exact_again], bars)
}

/// How long the first search takes, each round from nothing.
fn searched(place: &Place, server: &Server, scale: &Scale, gists: usize) -> String {
    let mut times: Vec<Duration> = Vec::new();
    let mut wrong = String::new();
    // Of what takes long, the median is in the section that searches.
    while times.len() < scale.rounds && times.first().is_none_or(|first| *first < LONG / 4) {
        let home = place.on_disk("growth-search");
        let mount = Mount::gistfs(&server.api, &home, &[]);
        server.settled();
        let (outcome, took) = time(|| search(&mount));
        times.push(took);
        if outcome.unread > 0 || outcome.found != expected(gists) {
            wrong = format!(", {} not read, {} lines", outcome.unread, outcome.found);
        }
        mount.unmount();
        std::fs::remove_dir_all(home).expect("a directory of ours");
    }
    format!("{}{wrong}", Figure::Time(median(times)))
}
