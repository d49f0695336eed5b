//! How much a run measures.

use std::time::Duration;

/// The size of a run.
#[derive(Clone, Debug)]
pub(crate) struct Scale {
    /// What the user calls it.
    pub(crate) name: &'static str,
    /// Gists of the usual account, with three files each.
    pub(crate) gists: usize,
    /// What the server adds to every answer, in milliseconds.
    pub(crate) latency: u32,
    /// Options of the mount that changes are made in.
    pub(crate) changes: &'static [&'static str],
    /// How often times are taken; of what takes longer than 20 s, less often.
    pub(crate) rounds: usize,
    /// The same with the kernel's caches dropped.
    pub(crate) dropped_rounds: usize,
    /// How many bodies the first search may have under way, the usual number first.
    pub(crate) parallels: &'static [usize],
    /// So many gists are fetched one by one in each round to tell how long all take.
    pub(crate) sample: usize,
    /// The numbers of gists in the table of growth.
    pub(crate) sizes: &'static [usize],
    /// The largest of them that is searched.
    pub(crate) searched: usize,
    /// So many bytes are read with little memory, in files of 1 MB.
    pub(crate) megabytes: usize,
    /// How long the crowd goes on.
    pub(crate) crowd: Duration,
    /// Whether the kernel's caches are dropped, everybody's on this machine.
    pub(crate) drop_caches: bool,
    /// Whether what is slow is measured too, such as rclone.
    pub(crate) slow: bool,
    /// Whether the outcome is kept as `doc/bench.md` and `doc/bench.svg`.
    pub(crate) documents: bool,
}

impl Scale {
    /// Everything.
    pub(crate) fn whole() -> Self {
        Self {
            name: "scripts/bench",
            gists: 1000,
            latency: 80,
            changes: &[],
            rounds: 5,
            dropped_rounds: 5,
            parallels: &[16, 32],
            sample: 5,
            sizes: &[10, 100, 1000, 10_000],
            searched: 1000,
            megabytes: 192,
            crowd: Duration::from_secs(60),
            drop_caches: true,
            slow: true,
            documents: true,
        }
    }

    /// In under two minutes.
    pub(crate) fn quick() -> Self {
        Self {
            name: "scripts/bench --quick",
            gists: 100,
            rounds: 3,
            dropped_rounds: 2,
            sample: 3,
            sizes: &[10, 100, 1000],
            searched: 10,
            megabytes: 64,
            crowd: Duration::from_secs(6),
            slow: false,
            documents: false,
            ..Self::whole()
        }
    }

    /// In a few seconds, for the numbers of requests.
    pub(crate) fn small() -> Self {
        Self {
            name: "scripts/bench --small",
            gists: 120,
            latency: 2,
            // Nothing goes before the script is over, however slow the machine is.
            changes: &["--write-interval", "0", "--write-back", "60"],
            rounds: 1,
            dropped_rounds: 0,
            parallels: &[16],
            sample: 3,
            sizes: &[],
            searched: 0,
            megabytes: 0,
            crowd: Duration::ZERO,
            drop_caches: false,
            slow: false,
            documents: false,
        }
    }
}
