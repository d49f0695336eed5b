//! What happens, as it happens: a line of JSON each, for whoever reads along.
//!
//! Nothing is kept while nobody does. Who reads too slowly is told how much was missed.

use bytes::Bytes;
use serde::Serialize;

pub(super) use self::backlog::Events;
pub use self::backlog::{Reader, Wake};
use super::Syncer;
use super::merge::Merged;
use super::report::title_of;
use crate::model::{FileName, Snapshot, Time};
use crate::store::gist::{Gist, GistKey};

mod backlog;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// Somebody changed a gist on GitHub, and it is changed here.
    Remote,
    /// GitHub has taken a change from here.
    Upload,
    /// Both sides changed the same, and both versions are kept.
    Conflict,
    /// Something does not work.
    Error,
    /// The reader was too slow.
    Missed,
}

/// What became of the gist as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Became {
    /// It is new.
    Added,
    /// It is another.
    Changed,
    /// It is gone.
    Deleted,
}

/// A line. The fields that every line has are there also where they are `null` or empty.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    event: Kind,
    gist: Option<&'a str>,
    id: Option<&'a str>,
    files: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<Became>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missed: Option<u64>,
}

impl Line<'_> {
    fn of(time: Time, event: Kind) -> Self {
        Self {
            time: time.to_string(),
            event,
            gist: None,
            id: None,
            files: &[],
            change: None,
            why: None,
            missed: None,
        }
    }

    fn bytes(&self) -> Bytes {
        match serde_json::to_vec(self) {
            Ok(mut line) => {
                line.push(b'\n');
                line.into()
            }
            Err(error) => {
                log::warn!("an event cannot be told: {error}");
                Bytes::new()
            }
        }
    }
}

/// The files that two states of a gist do not have alike.
pub(super) fn different(before: Option<&Snapshot>, after: Option<&Snapshot>) -> Vec<String> {
    let blob = |there: Option<&Snapshot>, name: &FileName| {
        there.and_then(|there| there.files.get(name)).map(|file| file.blob)
    };
    let names = |there: Option<&Snapshot>| -> Vec<FileName> {
        there.map(|there| there.files.keys().cloned().collect()).unwrap_or_default()
    };
    let mut all = names(before);
    all.extend(names(after));
    all.sort();
    all.dedup();
    all.retain(|name| blob(before, name) != blob(after, name));
    all.iter().map(ToString::to_string).collect()
}

impl Syncer {
    /// Whether anybody reads what happens: else nothing need be found out for it.
    pub(super) fn is_followed(&self) -> bool {
        self.events.is_followed()
    }

    /// Reads what happens from now on.
    pub fn follow_events(&self) -> Reader {
        Reader::of(&self.events)
    }

    /// Nothing more is told: the mount ends, and whoever reads comes to the end of the file.
    pub fn end_events(&self) {
        self.events.end();
    }

    fn tell_event(
        &self,
        (gist, event): (&Gist, Kind),
        change: Option<Became>,
        files: &[String],
        why: Option<&str>,
    ) {
        let title = title_of(gist);
        let id = gist.base.as_ref().map(|base| base.id.to_string());
        let line = Line::of(self.now(), event);
        let (gist, id) = (Some(title.as_str()), id.as_deref());
        self.events.tell(&Line { gist, id, files, change, why, ..line });
    }

    /// A change made elsewhere is taken over.
    pub(super) fn tell_remote(&self, gist: &Gist, change: Became, files: &[String]) {
        self.tell_event((gist, Kind::Remote), Some(change), files, None);
    }

    /// GitHub has acted on a change.
    pub(super) fn tell_upload(&self, gist: &Gist, change: Became, files: &[String]) {
        self.tell_event((gist, Kind::Upload), Some(change), files, None);
    }

    /// Both sides changed the same: `files` hold the versions from here, or `why` says it.
    pub(super) fn tell_conflict(&self, key: GistKey, files: &[String], why: &str) {
        if let Some(gist) = self.store.get(key) {
            self.tell_event((&gist, Kind::Conflict), None, files, Some(why));
        }
    }

    /// What a merge could not settle by itself.
    pub(super) fn tell_merged(&self, key: GistKey, merged: &Merged) {
        if !merged.aside.is_empty() {
            let aside: Vec<String> = merged.aside.iter().map(|(_, new)| new.to_string()).collect();
            self.tell_conflict(key, &aside, "changed here and on GitHub; yours is in these files");
        }
        if let Some(theirs) = &merged.description {
            let why = format!("the description changed here and on GitHub; theirs was {theirs:?}");
            self.tell_conflict(key, &[], &why);
        }
    }

    /// A gist cannot be sent.
    pub(super) fn tell_failure(&self, key: GistKey, why: &str) {
        if let Some(gist) = self.store.get(key) {
            self.tell_event((&gist, Kind::Error), None, &[], Some(why));
        }
    }

    /// Something is wrong that concerns no gist in particular.
    pub(super) fn tell_trouble(&self, why: &str) {
        let line = Line::of(self.now(), Kind::Error);
        self.events.tell(&Line { why: Some(why), ..line });
    }

    /// How the network is now; told when it begins to be in trouble.
    pub(super) fn tell_network(&self, trouble: Option<String>) {
        let begins = self.events.note_trouble(trouble.as_deref());
        if let Some(why) = trouble.filter(|_| begins) {
            self.tell_trouble(&why);
        }
    }
}
