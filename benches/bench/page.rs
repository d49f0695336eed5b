//! `doc/bench.md`: the report as a page.

use std::process::{Command, Stdio};

use crate::figure::{Bar, Row};
use crate::place::{Place, program, said};
use crate::reasons;
use crate::report::{Report, Section};
use crate::scale::Scale;
use crate::server::GISTFS;

const READING: &str = "\
This page is written by `scripts/bench`, all of it. Every figure comes from the same run on the same
machine against a gist server on that machine (`gistfs serve --latency 80`), which answers every
request 80 ms late, and the first one of a connection 80 ms later still, as making one takes a round
trip too. No request goes further than the machine.

- **ratio** is gistfs's figure over the alternative's. Compare ratios: times are this machine's.
- **bar** is what gistfs sets out to reach. Where it is a ratio, *misses by* tells how much of the speed
  is missing: with a bar of 20 times as fast and 14 times reached it is 30 %, and so it is with a bar of
  0.8 × and 0.56 × reached. Where it is a time or memory, it tells how much more that is than the bar.
- Requests are counted exactly: *list* is a page of 100 gists, *body* the raw content of a file, which
  costs none of GitHub's quota, *gist* all of one gist, *(304)* an answer that nothing is new, which
  costs none either.
- *bare FUSE* is a file system in memory that does nothing else, with the settings that were
  fastest among those that let it know when a file is opened, which gistfs must: what such a program
  can reach. It is [`benches/bench/bare.rs`](../benches/bench/bare.rs).
- *warm* is what was read before and the kernel may know; *caches dropped* is the same right after
  `echo 3 > /proc/sys/vm/drop_caches`, when all comes from gistfs, or from the disk.
";

/// The page.
pub(crate) fn write(report: &Report, place: &Place, scale: &Scale) -> String {
    let mut page = format!("# How fast gistfs is\n\n{READING}\n## The machine\n\n");
    machine(report, place, scale).iter().for_each(|line| page.push_str(&format!("- {line}\n")));
    page.push_str(
        "\n![Times side by side, shorter is better](bench.svg)\n\n## What misses its bar\n\n",
    );
    let missed: Vec<&Row> =
        report.rows.iter().filter(|row| row.missed_by().is_some_and(|part| part > 0.0)).collect();
    if missed.is_empty() {
        page.push_str("Nothing.\n");
    }
    for row in missed {
        let other = row.other.as_ref().map_or(String::new(), |(name, _)| format!(" of {name}"));
        let bar = match &row.bar {
            Bar::Below(_) | Bar::Exactly(_) | Bar::None => format!("{}", row.bar),
            Bar::AtMost(_) | Bar::AtLeast(_) => format!("{}{other}", row.bar),
        };
        let why = reasons::why(row).unwrap_or("No reason is noted");
        page.push_str(&format!("- {}: {}; the bar is {bar}. {why}.\n", row.what, row.verdict()));
    }
    for name in &report.broken {
        page.push_str(&format!("- {name}: did not come to an end\n"));
    }
    report.sections.iter().for_each(|section| page.push_str(&shown(section)));
    page
}

fn shown(section: &Section) -> String {
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
    };
    let mut text = format!("\n## {}\n\n{}\n\n", section.title, section.text);
    text.push_str(&line(&mut section.head.iter().copied()));
    text.push_str(&line(&mut section.head.iter().map(|_| "---")));
    for cells in &section.lines {
        text.push_str(&line(&mut cells.iter().map(String::as_str)));
    }
    text
}

/// What it was measured on and with.
fn machine(report: &Report, place: &Place, scale: &Scale) -> Vec<String> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let version = |name: &str, word: &str| {
        said(program(name).arg(word).stdout(Stdio::piped())).unwrap_or(format!("no {name}"))
    };
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let built = if cfg!(debug_assertions) { "not optimised" } else { "release build" };
    let commit = said(Command::new("git").args(["rev-parse", "--short", "HEAD"]));
    let commit = commit.map_or(String::new(), |commit| format!(" at {commit}"));
    let took: Vec<String> = report
        .took
        .iter()
        .map(|(name, took)| format!("{name} {:.0} s", took.as_secs_f64()))
        .collect();
    let curl = version("curl", "--version");
    let curl = curl.split(" (").next().unwrap_or_default();
    vec![
        format!("{cores} cores, {}", processor()),
        format!("Linux {}, {} and tmpfs", kernel.trim(), place.disk_name()),
        format!("{}{commit}, {built}; `{}`", version(GISTFS, "--version"), scale.name),
        format!("{}, {curl}", version("git", "--version")),
        format!("{}, {}", version("gh", "--version"), version("rclone", "version")),
        format!("what it took: {}", took.join(", ")),
    ]
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or("of an unknown kind".to_owned(), |(_, name)| name.to_owned())
}
