//! What is owed, in words: for `gistfs status` and `sync`, and for whoever ends the mount.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Syncer;
use super::hold::HeldDeletions;
use super::plan::{Plan, Step};
use crate::api::Quota;
use crate::model::Time;
use crate::store::gist::{Gist, GistKey};

/// How a mount stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Gists there are.
    pub gists: usize,
    /// Gists that differ from GitHub.
    pub owing: Vec<Owing>,
    /// What is left of the rate limit, where the host has one and an answer told it.
    pub quota: Option<QuotaReport>,
    /// Why GitHub does not answer, if it does not.
    pub trouble: Option<String>,
    /// Deletions that wait, because many gists were removed at once.
    #[serde(default)]
    pub held: Option<HeldDeletions>,
}

/// The rate limit as shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaReport {
    /// Requests an hour.
    pub limit: u64,
    /// Requests left.
    pub remaining: u64,
    /// When the limit starts anew.
    pub reset: String,
}

/// A gist that differs from GitHub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owing {
    /// The description, or the first file's name.
    pub title: String,
    /// GitHub's id; none while the gist is not there.
    pub id: Option<String>,
    /// `pending`, `local: REASON` (cannot be sent as it is) or `error: REASON`.
    pub state: String,
    /// Since when, if it changed in this mount.
    pub since: Option<String>,
    /// Failed tries since the last success.
    pub tries: u32,
    /// Files that stay behind, with one word of the same kind each.
    pub files: Vec<(String, String)>,
}

impl Owing {
    /// Whether it will be sent without the user doing anything.
    pub fn is_pending(&self) -> bool {
        self.state == "pending"
    }
}

impl From<Quota> for QuotaReport {
    fn from(quota: Quota) -> Self {
        Self { limit: quota.limit, remaining: quota.remaining, reset: quota.reset.to_string() }
    }
}

impl Syncer {
    /// How things stand now. Asks nobody.
    pub fn report(&self) -> Report {
        let mut gists = 0;
        let mut differing = Vec::new();
        self.store.look_at_all(|gist| {
            gists += usize::from(!gist.removed);
            if gist.differs() {
                differing.push(gist.clone());
            }
        });
        let held = self.held_deletions(self.now());
        Report {
            gists,
            owing: differing.iter().map(|gist| self.owing(gist)).collect(),
            quota: self.api.quota().map(QuotaReport::from),
            trouble: self.shared().trouble.clone(),
            held,
        }
    }

    fn owing(&self, gist: &Gist) -> Owing {
        let Plan { step, held, .. } = self.plan(gist, false);
        let first = || gist.files.keys().next().map(ToString::to_string);
        let title = Some(gist.description.clone()).filter(|text| !text.is_empty());
        let state = match (&gist.upload.error, &step) {
            (Some(error), _) => format!("error: {error}"),
            (None, Step::Nothing) => match held.values().find(|hold| !hold.passes()) {
                Some(hold) => format!("local: {hold}"),
                None => "pending".into(),
            },
            (None, _) => "pending".into(),
        };
        let word = |hold: &super::plan::Hold| {
            if hold.passes() { "pending".to_owned() } else { format!("local: {hold}") }
        };
        Owing {
            title: title.or_else(first).unwrap_or_else(|| "(empty)".into()),
            id: gist.base.as_ref().map(|base| base.id.to_string()),
            state,
            since: gist.upload.first_change.map(|time| time.to_string()),
            tries: gist.upload.tries,
            files: held.iter().map(|(name, hold)| (name.to_string(), word(hold))).collect(),
        }
    }

    /// Sends everything that can be sent until `until`, refusals and back-offs forgotten, and
    /// tells what is left. `even_open` includes files still open for writing.
    ///
    /// Returns at `until` even while a request hangs; what comes of that one shows later.
    pub fn drain(self: &Arc<Self>, until: Time, even_open: bool) -> Vec<Owing> {
        let (done, wait) = std::sync::mpsc::channel::<()>();
        let syncer = Arc::clone(self);
        let worker = std::thread::Builder::new().name("gistfs-drain".into()).spawn(move || {
            syncer.send_all(until, even_open);
            drop(done);
        });
        match worker {
            // Nothing is ever sent over it: it ends when the work does.
            Ok(_) => drop(wait.recv_timeout(until.since(self.now()))),
            Err(error) => log::warn!("cannot start a thread to send what is owed: {error}"),
        }
        self.report().owing
    }

    fn send_all(self: &Arc<Self>, until: Time, even_open: bool) {
        if self.options.read_only {
            return;
        }
        self.shared().limited_until = None;
        self.bury_local();
        // A second round: a file moved between gists leaves its old one after it arrived.
        for _ in 0..2 {
            for key in self.differing() {
                if self.now() >= until {
                    return;
                }
                self.store.note(key, |gist| {
                    gist.upload.refused = false;
                    gist.upload.not_before = None;
                });
                let failed = self.push(key, self.now(), even_open).is_err();
                if failed && self.shared().limited_until.is_some() {
                    return;
                }
            }
        }
    }

    fn differing(&self) -> Vec<GistKey> {
        let mut keys = Vec::new();
        self.store.look_at_busy(|gist| {
            if gist.differs() {
                keys.push(gist.key);
            }
        });
        keys
    }
}
