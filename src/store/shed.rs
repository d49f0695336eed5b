//! What a gist has lost: files removed from it whose bytes only we, or only its git history, have.
//!
//! GitHub keeps a removed file in the gist's history for as long as there is the gist, and what it
//! was never sent nowhere at all. So both are remembered with the gist, and go into the trash with
//! it when it is removed as a whole.

use serde::{Deserialize, Serialize};

use super::gist::{Content, Gist, LocalFile};
use crate::model::{BlobId, FileName, RemoteFile, Snapshot, Time};

/// So many removed files of one gist are remembered.
const MOST: usize = 200;

/// So many bytes of removed files of one gist, which GitHub never had, stay on disk.
const MOST_BYTES: u64 = 256 << 20;

/// A file that was removed from a gist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shed {
    /// Its name, as the API spells it.
    pub name: FileName,
    /// Its body.
    pub blob: BlobId,
    /// The body's length in bytes.
    pub size: u64,
    /// Where GitHub has the body while there is the gist; `None`: it is stored here only.
    pub raw_url: Option<String>,
    /// When it was removed.
    pub at: Time,
    /// The body GitHub had under that name at the time, which this one was made over.
    #[serde(default)]
    pub over: Option<BlobId>,
    /// Its permission bits, if the user set them.
    #[serde(default)]
    pub mode: Option<u32>,
}

impl Shed {
    /// Where the body can be fetched, if it ever was on GitHub.
    pub fn remote(&self) -> Option<RemoteFile> {
        let raw_url = self.raw_url.clone()?;
        Some(RemoteFile { blob: self.blob, size: self.size, raw_url, language: None })
    }
}

impl Gist {
    /// Remembers a file that the user just removed, if GitHub never had its bytes.
    pub fn shed_unsent(&mut self, name: &FileName, file: &LocalFile, now: Time) {
        let Content::Bytes { blob, size } = file.content else { return };
        if blob == BlobId::EMPTY || self.is_scratch(name) || self.source(blob).is_some() {
            return;
        }
        self.remember(Shed {
            name: name.clone(),
            blob,
            size,
            raw_url: None,
            at: now,
            over: self.remote(name).map(|remote| remote.blob),
            mode: file.meta.mode,
        });
    }

    /// Files of `base` that `next`, the state GitHub has after a change of ours, has no more: those
    /// the user removed. What was renamed or moved to another gist lives on.
    pub fn removed_by(&self, next: &Snapshot, now: Time) -> Vec<Shed> {
        let base = self.base.iter().flat_map(|base| &base.files);
        base.filter(|(name, file)| {
            !self.is_placeholder(name)
                && !next.files.contains_key(*name)
                && !next.files.values().any(|there| there.blob == file.blob)
                && !self.moved_to.contains_key(*name)
                && !self.files.contains_key(*name)
                && !self.files.values().any(|local| {
                    local.from.as_ref() == Some(*name) || local.blob() == Some(file.blob)
                })
        })
        .map(|(name, file)| Shed {
            name: name.clone(),
            blob: file.blob,
            size: file.size,
            raw_url: Some(file.raw_url.clone()),
            at: now,
            over: None,
            mode: None,
        })
        .collect()
    }

    /// GitHub has the gist no more: of what was removed from it only what is stored here is left.
    pub fn shed_all_that_is_stored(&mut self, now: Time, stored: impl Fn(BlobId) -> bool) {
        let unsent = self.unsent_removals().map(|(name, file)| Shed {
            name: name.clone(),
            blob: file.blob,
            size: file.size,
            raw_url: None,
            at: now,
            over: None,
            mode: None,
        });
        for shed in unsent.collect::<Vec<_>>() {
            self.remember(shed);
        }
        self.shed.retain_mut(|shed| {
            shed.raw_url = None;
            stored(shed.blob)
        });
    }

    /// Remembers a removed file; the oldest are forgotten where it gets too many.
    pub fn remember(&mut self, shed: Shed) {
        self.shed.retain(|old| (&old.name, old.blob) != (&shed.name, shed.blob));
        self.shed.push(shed);
        let mut kept = 0;
        let mut bytes = 0_u64;
        for shed in self.shed.iter().rev() {
            bytes = bytes.saturating_add(if shed.raw_url.is_none() { shed.size } else { 0 });
            if kept == MOST || (bytes > MOST_BYTES && kept > 0) {
                break;
            }
            kept += 1;
        }
        self.shed.drain(..self.shed.len() - kept);
    }

    /// Forgets what was removed before `time`; true if that was anything.
    pub fn forget_shed(&mut self, time: Time) -> bool {
        let before = self.shed.len();
        self.shed.retain(|shed| shed.at >= time);
        self.shed.len() != before
    }

    /// Files GitHub still has whose removal by the user it has not heard of.
    pub fn unsent_removals(&self) -> impl Iterator<Item = (&FileName, &RemoteFile)> {
        self.base.iter().flat_map(|base| &base.files).filter(|(name, _)| {
            !self.files.contains_key(*name)
                && !self.is_placeholder(name)
                && !self.moved_to.contains_key(*name)
                && !self.files.values().any(|local| local.from.as_ref() == Some(*name))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::gist::GistKey;

    const NOW: Time = Time(1_700_000_000_000_000_000);

    fn name(text: &str) -> FileName {
        FileName::parse(text).unwrap()
    }

    fn file(body: &str) -> LocalFile {
        let content = Content::Bytes { blob: BlobId::of(body.as_bytes()), size: body.len() as u64 };
        LocalFile::with(content, None, NOW)
    }

    #[test]
    fn only_what_held_bytes_and_is_no_scratch_file_is_remembered() {
        let mut gist = Gist::new(GistKey(1), "d".into(), false, NOW);
        gist.shed_unsent(&name("a"), &file("alpha\n"), NOW);
        gist.shed_unsent(&name("empty"), &file(""), NOW);
        gist.shed_unsent(&name(".a.swp"), &file("swap\n"), NOW);
        gist.shed_unsent(&name("a"), &file("alpha\n"), NOW);
        let names: Vec<&str> = gist.shed.iter().map(|shed| shed.name.as_str()).collect();
        assert_eq!(names, ["a"]);
    }

    #[test]
    fn the_oldest_are_forgotten_first_by_number_by_bytes_and_by_age() {
        let mut gist = Gist::new(GistKey(1), "d".into(), false, NOW);
        for number in 0..300_i64 {
            let text = format!("{number}\n");
            gist.shed_unsent(&name(&text), &file(&text), Time(number));
        }
        assert_eq!((gist.shed.len(), gist.shed[0].at), (MOST, Time(100)));
        assert!(gist.forget_shed(Time(250)) && !gist.forget_shed(Time(250)));
        assert_eq!(gist.shed.len(), 50);
        let large = Shed { size: MOST_BYTES, name: name("large"), ..gist.shed[0].clone() };
        gist.remember(large.clone());
        assert_eq!(gist.shed, [large]);
    }
}
