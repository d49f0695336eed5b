//! Mounting an account for the first time, and again.

use std::path::Path;
use std::time::Duration;

use crate::cold::LONG;
use crate::figure::Row;
use crate::mount::Mount;
use crate::place::{Place, must, program, wait_until};
use crate::server::Server;
use crate::timing::{median, time};

/// What two mounts of an account take: the medians of some rounds, each of them from nothing.
pub(crate) struct Starts {
    pub(crate) rounds: usize,
    /// Until all was listed for the first time.
    pub(crate) first: Duration,
    /// The same on the second mount, while nothing was answered.
    pub(crate) second: Duration,
    /// `ls -lR` on the second mount.
    pub(crate) list: Duration,
    /// The most requests under way during the first mount.
    pub(crate) at_once: usize,
    /// The most memory that the first mount took.
    pub(crate) most_memory: u64,
    /// The memory of the second mount when everything has been listed.
    pub(crate) memory: u64,
    /// What both asked for: in each round, and what it must be.
    first_asked: Asked,
    second_asked: Asked,
    /// The second mount of the last round.
    pub(crate) mount: Mount,
    /// The server that it is of.
    pub(crate) server: Server,
}

/// Requests of each round, which must be exactly `expected`.
struct Asked {
    rounds: Vec<String>,
    expected: String,
}

impl Asked {
    /// What was counted: of the round that went wrong, if there is one.
    fn counted(&self) -> &str {
        let wrong = self.rounds.iter().find(|counted| **counted != self.expected);
        wrong.unwrap_or(&self.expected)
    }
}

impl Starts {
    /// Mounts what the data directory of a server has, lists it with `ls` and these options, unmounts,
    /// and does it again with the server stopped. Each round has a server of its own: one that was
    /// asked for 10,000 gists again and again would say that it was too often.
    pub(crate) fn measure(
        place: &Place,
        data: &Path,
        (gists, latency): (usize, u32),
        rounds: usize,
        options: &[&str],
    ) -> Self {
        let pages = gists.div_ceil(100);
        let asked = |expected| Asked { rounds: Vec::new(), expected };
        let mut first_asked = asked(format!("{pages} list, 1 user"));
        let mut second_asked = asked(format!("{pages} list (304)"));
        let (mut firsts, mut seconds, mut lists) = (Vec::new(), Vec::new(), Vec::new());
        let (mut at_once, mut most_memory) = (0, 0);
        loop {
            let home = place.on_disk(&format!("start-{gists}-{}", firsts.len()));
            let mut server = Server::start(data, latency);
            let (mount, first) = time(|| mounted_and_listed(&server, &home, options));
            let requests = server.settled();
            firsts.push(first);
            first_asked.rounds.push(requests.counted().to_string());
            at_once = at_once.max(requests.most_at_once());
            most_memory = most_memory.max(mount.process.memory("VmHWM"));
            mount.unmount();

            server.forget();
            // Nothing can be answered until the listing is over.
            server.hang();
            let (mount, second) = time(|| mounted_and_listed(&server, &home, options));
            let ((), list) = time(|| must(program("ls").arg("-lR").arg(&mount.point)));
            server.go_on();
            seconds.push(second);
            lists.push(list);
            let asks = || server.requests().counted().of("list") >= pages;
            wait_until("it has asked what is new", asks);
            second_asked.rounds.push(server.settled().counted().to_string());
            if firsts.len() < rounds && first < LONG {
                mount.unmount();
                std::fs::remove_dir_all(home).expect("a directory of ours");
                continue;
            }
            return Self {
                rounds: firsts.len(),
                first: median(firsts),
                second: median(seconds),
                list: median(lists),
                at_once,
                most_memory,
                memory: mount.process.memory("VmRSS"),
                first_asked,
                second_asked,
                mount,
                server,
            };
        }
    }

    /// What both mounts asked for, in words.
    pub(crate) fn asked(&self) -> (String, String) {
        (self.first_asked.counted().to_owned(), self.second_asked.counted().to_owned())
    }

    /// The same as rows with the numbers they must be.
    pub(crate) fn asked_rows(&self, first: &str, second: &str) -> (Row, Row) {
        let row = |what, asked: &Asked| Row {
            how: format!("counted, {} times", self.rounds),
            ..Row::counted(what, asked.counted().to_owned(), &asked.expected)
        };
        (row(first, &self.first_asked), row(second, &self.second_asked))
    }
}

fn mounted_and_listed(server: &Server, home: &Path, options: &[&str]) -> Mount {
    let mount = Mount::gistfs(&server.api, home, &[]);
    must(program("ls").args(options).arg(&mount.point));
    mount
}
