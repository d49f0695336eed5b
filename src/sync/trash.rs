//! What was removed and can be had back, as it is shown: whole gists, and files of living ones.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Syncer;
use super::bury::kept;
use super::hold::HeldDeletions;
use crate::error::Error;
use crate::model::{FileName, Time};
use crate::store::gist::{Gist, GistKey};
use crate::store::shed::Shed;
use crate::store::trash::{Entry, Kept, entry_name};

/// What can be asked of the trash of an account.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrashAsk {
    /// What there is.
    List,
    /// Put these items back, by name.
    Restore(Vec<String>),
    /// Remove these items for good, by name.
    Purge(Vec<String>),
}

/// What the trash of an account answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TrashReply {
    /// The state directory.
    pub directory: String,
    /// What there is, the oldest first; afterwards, where something was done.
    pub items: Vec<TrashItem>,
    /// What was done, in words.
    pub done: Vec<String>,
    /// What was not, and why.
    pub failed: Vec<String>,
    /// A gist was made anew: its id, history, stars and comments are new.
    #[serde(default)]
    pub anew: bool,
}

/// Something that was removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrashItem {
    /// What it is asked for by.
    pub name: String,
    /// Where it stands.
    pub state: TrashState,
    /// The gist's description, or its first file's name.
    pub title: String,
    /// The gist's id on GitHub, if it has or had one.
    pub gist: Option<String>,
    /// When it was removed, if that is known.
    pub removed: Option<String>,
    /// The files: of a gist those that would come back, else the one that was removed.
    pub files: Vec<TrashFile>,
}

/// Where a removed thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrashState {
    /// A gist that GitHub has no more.
    Deleted,
    /// A gist that somebody deleted elsewhere.
    Elsewhere,
    /// A gist whose deletion is not sent yet.
    Pending,
    /// A gist whose deletion is held, because many were removed at once.
    Held,
    /// A file of a gist that is still there.
    File,
    /// The same, and GitHub has not heard of it yet.
    Unsent,
}

impl TrashState {
    /// Whether the item is a gist; else it is a file.
    pub fn is_gist(self) -> bool {
        !matches!(self, Self::File | Self::Unsent)
    }

    /// Whether GitHub still has it, so that nothing of it is in the trash alone.
    pub fn is_unsent(self) -> bool {
        matches!(self, Self::Pending | Self::Held | Self::Unsent)
    }
}

/// A file in the trash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrashFile {
    /// Its name, as the API spells it.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its body could not be had any more.
    #[serde(default)]
    pub missing: bool,
}

/// Where an item is.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// In an entry on disk.
    Entry(Entry),
    /// A gist in the store, marked as removed.
    Gist(GistKey),
    /// A removed file a gist remembers.
    Shed(GistKey, Shed),
    /// A file GitHub has, which the user removed.
    Unsent(GistKey, FileName),
}

/// An item and where it is.
pub(super) type Found = (TrashItem, Place);

impl Syncer {
    /// Answers what is asked of the trash.
    pub fn trash(self: &Arc<Self>, ask: &TrashAsk) -> TrashReply {
        let directory = self.store.directory().to_string_lossy().into_owned();
        let mut reply = TrashReply { directory, ..TrashReply::default() };
        self.bury_local();
        match ask {
            TrashAsk::List => {}
            TrashAsk::Restore(names) => self.restore(names, &mut reply),
            TrashAsk::Purge(names) => self.purge(names, &mut reply),
        }
        match self.in_trash() {
            Ok((found, unreadable)) => {
                reply.items = found.into_iter().map(|(item, _)| item).collect();
                reply.failed.extend(
                    unreadable.into_iter().map(|entry| format!("cannot read the entry {entry}")),
                );
            }
            Err(error) => reply.failed.push(error.to_string()),
        }
        reply
    }

    /// Everything in the trash, the oldest first; and the entries that cannot be read.
    pub(super) fn in_trash(&self) -> Result<(Vec<Found>, Vec<String>), Error> {
        let held = self.held_deletions(self.now());
        let (entries, unreadable) = self.store.trash.entries()?;
        let mut found: Vec<(Time, Found)> = Vec::new();
        for entry in entries {
            // Of a gist that is still in the store the store tells.
            if entry.gist.id.as_ref().is_none_or(|id| self.store.find(id).is_none()) {
                found.push((entry.gist.removed_at, of_entry(entry)));
            }
        }
        self.store.look_at_all(|gist| {
            if gist.removed && (gist.base.is_some() || gist.attempt.is_some()) {
                found.push((gist.removed_at.unwrap_or_default(), of_gist(gist, held.as_ref())));
            } else if !gist.removed {
                let unsent = |shed: &&Shed| {
                    gist.unsent_removals()
                        .any(|(name, file)| *name == shed.name && file.blob == shed.blob)
                };
                let shed = gist.shed.iter().filter(|shed| !unsent(shed));
                found.extend(shed.map(|shed| (shed.at, of_shed(gist, shed))));
                let changed = gist.upload.last_change.unwrap_or_else(|| self.now());
                // Of a file edited and then removed it is the edited one that is missed.
                let edited = |name: &FileName, blob| {
                    gist.shed.iter().any(|shed| shed.name == *name && shed.over == Some(blob))
                };
                let unsent = gist.unsent_removals().filter(|(name, file)| !edited(name, file.blob));
                found.extend(unsent.map(|(name, file)| {
                    let item = TrashItem {
                        name: format!("unsent-{:.7}", file.blob.to_string()),
                        state: TrashState::Unsent,
                        removed: gist.upload.last_change.map(|time| time.to_string()),
                        files: vec![shown(name, file.size, false)],
                        ..gist_item(gist)
                    };
                    (changed, (item, Place::Unsent(gist.key, name.clone())))
                }));
            }
        });
        found.sort_by(|(a, (x, _)), (b, (y, _))| (a, &x.name).cmp(&(b, &y.name)));
        let mut found: Vec<Found> = found.into_iter().map(|(_, found)| found).collect();
        // Of two alike each has a name of its own.
        let mut seen: HashMap<String, u32> = HashMap::new();
        for (item, _) in &mut found {
            let count = seen.entry(item.name.clone()).or_default();
            *count += 1;
            if *count > 1 {
                item.name = format!("{}-{count}", item.name);
            }
        }
        Ok((found, unreadable))
    }
}

fn shown(name: &FileName, size: u64, missing: bool) -> TrashFile {
    TrashFile { name: name.to_string(), size, missing }
}

fn title(description: &str, first: Option<&FileName>, id: Option<&str>) -> String {
    let described = (!description.trim().is_empty()).then(|| description.to_owned());
    let first = || first.map(ToString::to_string);
    described.or_else(first).or_else(|| id.map(str::to_owned)).unwrap_or_else(|| "(empty)".into())
}

/// All of an item that is the gist's.
fn gist_item(gist: &Gist) -> TrashItem {
    let id = gist.base.as_ref().map(|base| base.id.to_string());
    let base = gist.base.iter().flat_map(|base| base.files.keys());
    let first = gist.files.keys().chain(base).next();
    TrashItem {
        name: String::new(),
        state: TrashState::File,
        title: title(&gist.description, first, id.as_deref()),
        gist: id,
        removed: None,
        files: vec![],
    }
}

fn of_entry(entry: Entry) -> Found {
    let gist = &entry.gist;
    let id = gist.id.as_ref().map(ToString::to_string);
    let item = TrashItem {
        name: entry.name.clone(),
        state: if gist.elsewhere { TrashState::Elsewhere } else { TrashState::Deleted },
        title: title(&gist.description, gist.files.first().map(|file| &file.name), id.as_deref()),
        gist: id,
        removed: Some(gist.removed_at.to_string()),
        files: shown_files(&gist.files, gist.removed_at),
    };
    (item, Place::Entry(entry))
}

fn of_gist(gist: &Gist, held: Option<&HeldDeletions>) -> Found {
    let id = gist.base.as_ref().map(|base| &base.id);
    let at = gist.removed_at.unwrap_or_default();
    let item = TrashItem {
        name: entry_name(id, at, gist.key),
        state: if held.is_some() { TrashState::Held } else { TrashState::Pending },
        removed: gist.removed_at.map(|time| time.to_string()),
        files: shown_files(&kept(gist, |_| false), at),
        ..gist_item(gist)
    };
    (item, Place::Gist(gist.key))
}

fn of_shed(gist: &Gist, shed: &Shed) -> Found {
    let item = TrashItem {
        name: format!("{}-{:.7}", shed.at.stamp(), shed.blob.to_string()),
        state: TrashState::File,
        removed: Some(shed.at.to_string()),
        files: vec![shown(&shed.name, shed.size, false)],
        ..gist_item(gist)
    };
    (item, Place::Shed(gist.key, shed.clone()))
}

fn shown_files(files: &[Kept], removed_at: Time) -> Vec<TrashFile> {
    let (missing, there): (Vec<Kept>, Vec<Kept>) =
        files.iter().cloned().partition(|file| file.missing);
    let (back, _) = super::restore::bring_back(there, removed_at);
    let back = back.values().map(|file| shown(&file.name, file.size, false));
    back.chain(missing.iter().map(|file| shown(&file.name, file.size, true))).collect()
}
