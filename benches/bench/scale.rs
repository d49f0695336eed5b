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
    /// How often times are taken; of what takes long, less often.
    pub(crate) rounds: usize,
    /// So many gists are fetched one by one to tell how long all take.
    pub(crate) sample: usize,
    /// The numbers of gists in the table of growth.
    pub(crate) sizes: &'static [usize],
    /// How long the crowd goes on.
    pub(crate) crowd: Duration,
    /// Whether what is slow or large is measured too: rclone, and 64 MB.
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
            sample: 30,
            sizes: &[10, 100, 1000, 10_000],
            crowd: Duration::from_secs(60),
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
            sample: 5,
            sizes: &[10, 100, 1000],
            crowd: Duration::from_secs(10),
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
            changes: &["--write-interval", "0", "--write-back", "0.3"],
            rounds: 1,
            sample: 3,
            sizes: &[],
            crowd: Duration::ZERO,
            slow: false,
            documents: false,
        }
    }
}
