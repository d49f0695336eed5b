//! The gist server: a data directory that is filled once, and `gistfs serve` on it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use gistfs::demo::{Seed, ServerOptions};
use gistfs::model::Time;
use nix::sys::signal::Signal;

use crate::place::{Process, program};
use crate::requests::Requests;

/// The program that is measured.
pub(crate) const GISTFS: &str = env!("CARGO_BIN_EXE_gistfs");
/// Whose gists are mounted.
pub(crate) const TOKEN: &str = "demo-token";
/// The files of every gist.
pub(crate) const FILES: [&str; 3] = ["notes.md", "query.sql", "run.sh"];
/// The word that one file in a hundred has.
pub(crate) const WORD: &str = "heliotrope";

/// The name of a large file, and its length.
pub(crate) const LARGE: &str = "large.bin";
/// See [`LARGE`].
pub(crate) const LARGE_BYTES: usize = 64 << 20;

/// The title of a gist.
pub(crate) fn title(gist: usize) -> String {
    format!("note {gist:05}")
}

/// About 2 KB of text that no other file has.
pub(crate) fn body(gist: usize, file: usize) -> String {
    let mut text = format!("file {file} of gist {gist}\n");
    let mut state = (gist * FILES.len() + file) as u64 + 1;
    while text.len() < 2000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        text.push_str(&format!("{:x} lorem ipsum {:x}\n", state >> 32, state >> 48));
    }
    if has_word(gist, file) {
        text.push_str(WORD);
        text.push('\n');
    }
    text
}

/// Whether a file has [`WORD`], in one line.
pub(crate) fn has_word(gist: usize, file: usize) -> bool {
    (gist + file).is_multiple_of(100)
}

/// Fills a server's data directory, and returns the ids of the gists in order.
pub(crate) fn fill(data: &Path, gists: usize) -> Vec<String> {
    let server = back_door(data);
    let seeded = |gist: usize| {
        let file = |(n, name): (usize, &&str)| ((*name).to_owned(), body(gist, n).into_bytes());
        let seed = Seed {
            description: Some(title(gist)),
            files: FILES.iter().enumerate().map(file).collect(),
            // A minute apart, the last one years ago.
            created_at: Some(Time::new(1_500_000_000 + 60 * gist as i64, 0)),
            ..Seed::default()
        };
        server.seed("octo", seed)
    };
    (0..gists).map(seeded).collect()
}

fn back_door(data: &Path) -> gistfs::demo::Server {
    back_door_late(data, 0)
}

/// A server in this process, which can be told what is to go wrong; each answer is `latency`
/// milliseconds late.
pub(crate) fn back_door_late(data: &Path, latency: u32) -> gistfs::demo::Server {
    let latency = Duration::from_millis(latency.into());
    let options =
        ServerOptions { data: Some(data.to_owned()), latency, ..ServerOptions::default() };
    gistfs::demo::Server::start(options).expect("a server on a directory of ours")
}

/// Fills a server's data directory with one gist of one large file.
pub(crate) fn fill_large(data: &Path) {
    let files = vec![(LARGE.to_owned(), large_body())];
    let seed = Seed { description: Some(title(0)), files, ..Seed::default() };
    back_door(data).seed("octo", seed);
}

/// Fills a server's data directory with gists of one file of 1 MB each.
pub(crate) fn fill_megabytes(data: &Path, gists: usize) {
    let server = back_door(data);
    for gist in 0..gists {
        let mut bytes = format!("gist {gist}\n").repeat(200_000).into_bytes();
        bytes.truncate(1_000_000);
        let files = vec![(FILES[0].to_owned(), bytes)];
        server.seed("octo", Seed { description: Some(title(gist)), files, ..Seed::default() });
    }
}

/// The title of the gist that [`fill_notes`] makes.
pub(crate) const NOTES: &str = "Notes";

/// Fills a server's data directory with one gist of six short files.
pub(crate) fn fill_notes(data: &Path) {
    let names = ["a.txt", "1.txt", "2.txt", "3.txt", "4.txt", "5.txt"];
    let files: Vec<(&str, &str)> = names.iter().map(|&name| (name, "some text\n")).collect();
    back_door(data).seed("octo", Seed::new(NOTES, &files));
}

/// The same file in a plain directory.
pub(crate) fn fill_plain_large(directory: &Path) {
    let directory = directory.join(title(0));
    std::fs::create_dir(&directory).expect("a directory of ours");
    std::fs::write(directory.join(LARGE), large_body()).expect("a file of ours");
}

/// Bytes that no compression makes fewer.
fn large_body() -> Vec<u8> {
    let mut state = 1_u64;
    let mut bytes = Vec::with_capacity(LARGE_BYTES);
    while bytes.len() < LARGE_BYTES {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        bytes.extend_from_slice(&(state >> 24).to_le_bytes()[..4]);
    }
    bytes
}

/// The same files in plain directories.
pub(crate) fn fill_plain(directory: &Path, gists: usize) {
    for gist in 0..gists {
        let directory = directory.join(title(gist));
        std::fs::create_dir(&directory).expect("a directory of ours");
        for (n, name) in FILES.iter().enumerate() {
            std::fs::write(directory.join(name), body(gist, n)).expect("a file of ours");
        }
    }
}

/// `gistfs serve`.
pub(crate) struct Server {
    process: Process,
    log: PathBuf,
    latency: u32,
    /// So many lines of the log are old.
    old: usize,
    /// The API's address.
    pub(crate) api: String,
    /// The address of bodies and of git.
    pub(crate) raw: String,
}

impl Server {
    /// Serves `data`, each answer `latency` milliseconds late.
    pub(crate) fn start(data: &Path, latency: u32) -> Self {
        let log = data.with_extension("requests");
        let mut command = program(GISTFS);
        command.args(["serve", "--port", "0", "--latency", &latency.to_string()]);
        command.arg("--data").arg(data).arg("--log").arg(&log).stdout(Stdio::piped());
        let mut process = Process::start(&mut command);
        let mut lines = BufReader::new(process.0.stdout.take().expect("a pipe")).lines();
        let mut address = |name: &str| {
            let line = lines.next().expect("gistfs serve starts").expect("text");
            line.strip_prefix(name).expect("the address").trim().to_owned()
        };
        let (api, raw) = (address("API:"), address("raw and git:"));
        let old = lines_of(&log).len();
        Self { process, log, latency, old, api, raw }
    }

    /// The requests that ended since [`Server::forget`].
    pub(crate) fn requests(&self) -> Requests {
        Requests::read(&lines_of(&self.log)[self.old..])
    }

    /// The requests that ended since then, once none has come for a while.
    pub(crate) fn settled(&self) -> Requests {
        let quiet = Duration::from_millis(100 + 6 * u64::from(self.latency));
        let mut seen = usize::MAX;
        loop {
            let requests = lines_of(&self.log).len();
            if requests == seen {
                return self.requests();
            }
            seen = requests;
            std::thread::sleep(quiet);
        }
    }

    /// Forgets the requests so far.
    pub(crate) fn forget(&mut self) {
        self.old = lines_of(&self.log).len();
    }

    /// From now on connections are made and nothing is ever answered: a network that hangs.
    pub(crate) fn hang(&self) {
        self.process.signal(Signal::SIGSTOP);
    }

    /// From now on nobody listens any more: there is no network.
    pub(crate) fn stop(self) {}

    /// Answers again.
    pub(crate) fn go_on(&self) {
        self.process.signal(Signal::SIGCONT);
    }
}

fn lines_of(log: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(log).expect("the server's log");
    text.lines().map(str::to_owned).collect()
}
