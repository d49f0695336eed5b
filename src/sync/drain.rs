//! Sending everything now, for somebody who waits and wants to see how it goes.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Syncer;
use super::owed::last_change;
use super::report::{Owing, Waiting, title_of};
use super::turn::Patience;
use crate::error::Error;
use crate::model::Time;
use crate::store::gist::{Gist, GistKey, LocalFile};

/// How far [`Syncer::drain_telling`] has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Gists that were dealt with, sent or not.
    pub done: usize,
    /// Gists there are to deal with.
    pub total: usize,
    /// The one under way.
    pub title: Option<String>,
    /// What it waits for, if it does.
    pub waiting: Option<Waiting>,
}

/// How long a file that is open for writing is waited for: the kernel's release follows a close soon.
const RELEASED: Duration = Duration::from_secs(1);

impl Syncer {
    /// Sends everything that can be sent until `until`, refusals and back-offs forgotten, and
    /// tells what is left. `even_open` includes files still open for writing.
    ///
    /// Returns at `until` even while a request hangs; what comes of that one shows later. Where
    /// pace or limits allow nothing more before `until`, it returns at once.
    pub fn drain(self: &Arc<Self>, until: Time, even_open: bool) -> Vec<Owing> {
        self.drain_telling(until, even_open, &mut |_| {})
    }

    /// The same, and `tell` hears how it goes.
    pub fn drain_telling(
        self: &Arc<Self>,
        until: Time,
        even_open: bool,
        tell: &mut dyn FnMut(&Progress),
    ) -> Vec<Owing> {
        let (sender, heard) = mpsc::channel();
        let syncer = Arc::clone(self);
        let worker = std::thread::Builder::new()
            .name("gistfs-drain".into())
            .spawn(move || syncer.send_all(until, even_open, &sender));
        match worker {
            // It ends when the work does.
            Ok(_) => {
                while let Ok(progress) = heard.recv_timeout(until.since(self.now())) {
                    tell(&progress);
                }
            }
            Err(error) => log::warn!("cannot start a thread to send what is owed: {error}"),
        }
        self.report().owing
    }

    fn send_all(self: &Arc<Self>, until: Time, even_open: bool, told: &Sender<Progress>) {
        if self.options.read_only {
            return;
        }
        self.bury_local();
        if !even_open {
            self.wait_for_releases(until.min(self.now().after(RELEASED)));
        }
        let mut progress = Progress::default();
        let mut failed = HashSet::new();
        // A second round: a file moved between gists leaves its old one after it arrived.
        for round in 0..2 {
            let mut keys = self.differing();
            // What failed a moment ago would again, and may be a push of a hundred megabytes.
            keys.retain(|key| !failed.contains(key));
            if round == 0 {
                progress.total = keys.len();
            }
            for key in keys {
                if self.now() >= until || self.shared().gives_way {
                    return;
                }
                progress.title = self.store.look(key, title_of);
                // Nobody may listen any more; what was begun goes on.
                drop(told.send(progress.clone()));
                let tell = |barrier: &_| {
                    let waiting = Some(Waiting::from(barrier));
                    drop(told.send(Progress { waiting, ..progress.clone() }));
                };
                self.store.note(key, |gist| {
                    gist.upload.refused = false;
                    gist.upload.not_before = None;
                });
                let patience = Patience { until, limits: true, tell: &tell };
                let pushed = self.push(key, even_open, Some(&patience));
                if pushed.is_err() {
                    failed.insert(key);
                }
                let limited = matches!(pushed, Err(Error::Limited(_)));
                // What is left would fail in the same way.
                if (limited && self.barrier(until, true).is_some())
                    || (pushed.is_err() && self.api.trouble().is_some())
                {
                    return;
                }
                progress.done = (progress.done + 1).min(progress.total);
            }
        }
        progress.title = None;
        drop(told.send(progress));
    }

    /// Waits until nobody writes any more. Who has just closed a file has not always released it yet.
    fn wait_for_releases(&self, until: Time) {
        let written = || {
            let mut found = false;
            self.store.look_at_busy(|gist| {
                found |= gist.files.values().any(LocalFile::is_being_written);
            });
            found
        };
        while self.now() < until && written() {
            (self.sleep)(Duration::from_millis(20));
        }
    }

    /// The gists that differ from GitHub, the most recently changed first.
    fn differing(&self) -> Vec<GistKey> {
        let mut found = Vec::new();
        self.store.look_at_busy(|gist: &Gist| {
            if gist.differs() {
                found.push((last_change(gist), gist.key));
            }
        });
        found.sort_by(|a, b| b.cmp(a));
        found.into_iter().map(|(_, key)| key).collect()
    }
}
