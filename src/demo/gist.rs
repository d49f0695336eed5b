//! What the server remembers of a gist. Values are never changed in place: a change makes a new
//! [`Gist`] around a new [`Version`], so an answer under way keeps what it started with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::repository::{Commit, File};
use super::switches::Switches;
use crate::model::Time;

/// A gist with all its metadata; the bodies are in its repository.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Gist {
    pub(super) id: String,
    /// Orders gists made in the same second.
    pub(super) serial: u64,
    /// `None` for anonymous gists.
    pub(super) owner: Option<String>,
    pub(super) public: bool,
    pub(super) created_at: Time,
    pub(super) tip: Arc<Version>,
    #[serde(default)]
    pub(super) comments: Vec<Comment>,
    #[serde(default)]
    pub(super) stars: BTreeSet<String>,
    #[serde(default)]
    pub(super) forks: Vec<String>,
    #[serde(default)]
    pub(super) fork_of: Option<String>,
    /// What a lagging replica may still show.
    #[serde(skip)]
    pub(super) before: Option<Before>,
    /// When this process made the gist.
    #[serde(skip)]
    pub(super) born: Option<Instant>,
    /// Held while the repository is written. Taken before the store's own lock, never after.
    #[serde(skip)]
    pub(super) writer: Arc<Mutex<()>>,
}

/// What a write changes: the content and the description at one moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Version {
    pub(super) description: Option<String>,
    pub(super) updated_at: Time,
    pub(super) files: BTreeMap<String, File>,
    /// Oldest first.
    pub(super) history: Vec<Commit>,
}

/// The version before the newest write.
#[derive(Clone, Debug)]
pub(super) struct Before {
    pub(super) version: Arc<Version>,
    pub(super) written: Instant,
    /// How often the gist was read since, for reads that regress.
    pub(super) reads: Arc<AtomicU32>,
    /// Whether an update that came too soon was refused already.
    pub(super) refused: Arc<AtomicBool>,
}

impl Before {
    /// `version`, replaced just now.
    pub(super) fn now(version: Arc<Version>) -> Self {
        Self { version, written: Instant::now(), reads: Arc::default(), refused: Arc::default() }
    }

    /// Whether this is the first time somebody asks.
    pub(super) fn refuse_once(&self) -> bool {
        !self.refused.swap(true, Ordering::Relaxed)
    }
}

/// A comment on a gist.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Comment {
    pub(super) id: u64,
    pub(super) author: String,
    pub(super) body: String,
    pub(super) created_at: Time,
    pub(super) updated_at: Time,
}

impl Gist {
    /// What a `GET` sees, which the switches may let lag behind; `None` while a new gist is
    /// not to be found yet.
    pub(super) fn seen(&self, switches: &Switches, now: Instant) -> Option<Arc<Version>> {
        if self.born.is_some_and(|born| now.duration_since(born) < switches.hidden_for) {
            return None;
        }
        if let Some(before) = &self.before
            && now.duration_since(before.written) < switches.stale_for
        {
            let nth = before.reads.fetch_add(1, Ordering::Relaxed);
            if !switches.stale_regresses || nth % 2 == 1 {
                return Some(Arc::clone(&before.version));
            }
        }
        Some(Arc::clone(&self.tip))
    }

    /// The owner's login, or the word GitHub's raw addresses have in its place.
    pub(super) fn owner_in_urls(&self) -> &str {
        self.owner.as_deref().unwrap_or("anonymous")
    }
}
