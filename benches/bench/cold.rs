//! The first search through an account, against fetching its gists one by one.

use std::process::Stdio;
use std::time::Duration;

use crate::figure::{Bar, Figure, Row};
use crate::mount::Mount;
use crate::place::{Place, program};
use crate::scale::Scale;
use crate::server::{self, FILES, Server, WORD};
use crate::timing::{median, time};
use crate::ways;

/// What takes longer than this is measured once.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// The memory of a mount with all that the usual account has is less than this.
const MEMORY: u64 = 100_000_000;

/// The usual account, of which no body was ever read.
struct Cold<'a> {
    place: &'a Place,
    scale: &'a Scale,
    ids: Vec<String>,
    server: Server,
}

/// `grep -r` through gists of which no body was ever read, and what one would do instead.
pub(crate) fn rows(place: &Place, scale: &Scale) -> Vec<Row> {
    let data = place.on_disk("cold-data");
    let ids = server::fill(&data, scale.gists);
    let server = Server::start(&data, scale.latency);
    let mut cold = Cold { place, scale, ids, server };
    let searched: Vec<_> =
        scale.parallels.iter().map(|&parallel| cold.searched(parallel)).collect();
    let alternatives = ways::measure(place, &cold.server, &cold.ids, scale);
    let beside = |(what, took, how, rows): (String, Duration, String, Vec<Row>)| {
        let compared = alternatives.iter().map(move |(way, other, other_how)| Row {
            what: what.clone(),
            gistfs: Figure::Time(took),
            other: Some((way.name.to_owned(), Figure::Time(*other))),
            bar: way.bar.clone(),
            how: format!("{how}; alternative: {other_how}"),
        });
        rows.into_iter().chain(compared).collect::<Vec<_>>()
    };
    searched.into_iter().flat_map(beside).collect()
}

impl Cold<'_> {
    /// What it is called, how long it takes, how that was found, and the rows with exact numbers.
    fn searched(&mut self, parallel: usize) -> (String, Duration, String, Vec<Row>) {
        let (gists, latency) = (self.scale.gists, self.scale.latency);
        let mut what = format!("cold grep -r, {gists} gists × 3 files, {latency} ms");
        if parallel != self.scale.parallels[0] {
            what.push_str(&format!(", --parallel {parallel}"));
        }
        let bodies = format!("{} body", gists * FILES.len());
        let (mut times, mut most, mut memory) = (Vec::new(), 0, 0);
        let (mut counted, mut unread, mut found) = (bodies.clone(), 0, expected(gists));
        while times.len() < self.scale.rounds {
            let home = self.place.on_disk("cold");
            let option = parallel.to_string();
            let mount = Mount::gistfs(&self.server.api, &home, &["--parallel", &option]);
            self.server.settled();
            self.server.forget();
            let (outcome, took) = time(|| search(&mount));
            times.push(took);
            let requests = self.server.settled();
            most = most.max(requests.most_at_once());
            memory = memory.max(mount.process.memory("VmHWM"));
            unread += outcome.unread;
            // Of all rounds the one that went wrong is shown.
            let now = requests.counted().to_string();
            counted = if now == bodies { counted } else { now };
            found = if outcome.found == expected(gists) { found } else { outcome.found };
            mount.unmount();
            std::fs::remove_dir_all(home).expect("a directory of ours");
        }
        let within = format!("{parallel} or fewer");
        let at_once = if most <= parallel { within.clone() } else { most.to_string() };
        let named = |name: &str| format!("{what}: {name}");
        let mut rows = vec![
            Row::counted(&named("requests"), counted, &bodies),
            Row {
                how: format!("counted; the most were {most}"),
                ..Row::counted(&named("at once"), at_once, &within)
            },
            Row::counted(&named("files not read"), unread.to_string(), "0"),
            Row::counted(&named("lines found"), found.to_string(), &expected(gists).to_string()),
        ];
        let rounds = times.len();
        rows.push(Row {
            what: named("most memory"),
            gistfs: Figure::Memory(memory),
            other: None,
            bar: Bar::Below(Figure::Memory(MEMORY)),
            how: format!("most of {rounds}; --memory 64M"),
        });
        (what, median(times), format!("median of {rounds}"), rows)
    }
}

/// What a search came to.
pub(crate) struct Outcome {
    /// Lines that have the word.
    pub(crate) found: usize,
    /// Files that could not be read.
    pub(crate) unread: usize,
}

/// So many lines have the word.
pub(crate) fn expected(gists: usize) -> usize {
    let files = (0..gists).flat_map(|gist| (0..FILES.len()).map(move |file| (gist, file)));
    files.filter(|&(gist, file)| server::has_word(gist, file)).count()
}

/// `grep -r` through a mount.
pub(crate) fn search(mount: &Mount) -> Outcome {
    let mut grep = program("grep");
    grep.args(["-r", WORD]).arg(&mount.point).stdout(Stdio::piped()).stderr(Stdio::piped());
    let out = grep.output().expect("grep runs");
    let lines = |text: &[u8]| String::from_utf8_lossy(text).lines().count();
    Outcome { found: lines(&out.stdout), unread: lines(&out.stderr) }
}
