//! What the user sees after GitHub's state has changed under it: three states in, one out.
//!
//! Pure. Where only one side changed a file, that side counts. Where both did, GitHub's version
//! keeps the name and the user's goes beside it under a name that says so; nothing is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::{BlobId, FileName, Snapshot, Time};
use crate::store::gist::{Attempt, Content, Gist, LocalFile};

/// The outcome of a merge.
#[derive(Clone, Debug, PartialEq)]
pub struct Merged {
    /// The gist, over its new base.
    pub gist: Gist,
    /// Files whose name changed, old and new.
    pub moved: Vec<(FileName, FileName)>,
    /// Files whose content is now GitHub's.
    pub taken: Vec<FileName>,
    /// Descriptions that met: GitHub's, which the user's will replace.
    pub description: Option<String>,
}

/// The file GitHub calls so changed there and is open for writing here, maybe under another name:
/// merge when it is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Busy(pub FileName);

/// Brings `gist`, whose base was known as `base`, over `remote`. Time only dates what is new.
///
/// Where `remote` is as a request of ours without an answer was to make it, nobody else changed it.
pub fn merge(
    gist: &Gist,
    base: &BTreeMap<FileName, BlobId>,
    remote: Arc<Snapshot>,
    now: Time,
) -> Result<Merged, Busy> {
    let mut merged = Merged { gist: gist.clone(), moved: vec![], taken: vec![], description: None };
    merged.gist.base = Some(Arc::clone(&remote));
    let names: BTreeSet<&FileName> = base.keys().chain(remote.files.keys()).collect();
    for name in names {
        let before = base.get(name).copied();
        let there = remote.files.get(name).map(|file| file.blob);
        let made_it = |sent: &Attempt| sent.files.get(name).copied() == there;
        let by_us = gist.attempt.as_ref().is_some_and(|sent| sent.all().any(made_it));
        if there != before && !by_us {
            merged.file(name, before, &remote, now)?;
        }
    }
    let mut known = gist.base.as_ref().map_or("", |base| base.description.as_str());
    let described = |sent: &&Attempt| sent.description == remote.description;
    if let Some(sent) = gist.attempt.as_ref().and_then(|sent| sent.all().find(described)) {
        known = &sent.description;
    }
    if remote.description != known && gist.description != remote.description {
        if gist.description == known {
            merged.gist.description.clone_from(&remote.description);
        } else {
            merged.description = Some(remote.description.clone());
        }
    }
    merged.gist.follow_base();
    Ok(merged)
}

impl Merged {
    /// One file that is not on GitHub any more as it was `before`.
    fn file(
        &mut self,
        name: &FileName,
        before: Option<BlobId>,
        remote: &Snapshot,
        now: Time,
    ) -> Result<(), Busy> {
        let theirs = remote.files.get(name);
        let ours = self.gist.files.get(name);
        let our_blob = ours.and_then(LocalFile::blob);
        if ours.is_some() && our_blob == theirs.map(|file| file.blob) {
            return Ok(());
        }
        // However long it has been open: what the writer does next must still reach this name.
        if ours.is_some_and(|file| file.writers > 0) {
            return Err(Busy(name.clone()));
        }
        match (ours, theirs) {
            (None, None) => {}
            // Gone there: with it goes an unchanged copy; an edit wins and becomes a new file.
            (Some(_), None) => {
                if our_blob == before {
                    self.gist.files.remove(name);
                    self.taken.push(name.clone());
                } else if let Some(file) = self.gist.files.get_mut(name) {
                    forget_origin(file, name);
                }
            }
            (Some(_), Some(_)) if our_blob == before => self.take(name, remote),
            (Some(_), Some(_)) => {
                let aside = self.conflict_name(name, now);
                if let Some(mut file) = self.gist.files.remove(name) {
                    forget_origin(&mut file, name);
                    self.gist.files.insert(aside.clone(), file);
                }
                self.moved.push((name.clone(), aside));
                self.take(name, remote);
            }
            (None, Some(_)) => {
                let renamed = self.gist.files.iter().find_map(|(new, file)| {
                    let descends = file.from.as_ref() == Some(name) && file.blob() == before;
                    (descends && before.is_some()).then(|| (new.clone(), file.writers > 0))
                });
                match renamed {
                    Some((_, true)) => return Err(Busy(name.clone())),
                    // Renamed here, edited there: both.
                    Some((new, false)) => self.take_as(name, &new, remote),
                    // New there, or edited there and removed here: the edit wins.
                    None => self.take(name, remote),
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, name: &FileName, remote: &Snapshot) {
        self.take_as(name, name, remote);
    }

    /// The user's file `ours` gets the content of GitHub's file `theirs`.
    fn take_as(&mut self, theirs: &FileName, ours: &FileName, remote: &Snapshot) {
        let Some(file) = remote.files.get(theirs) else { return };
        let content = Content::Bytes { blob: file.blob, size: file.size };
        match self.gist.files.get_mut(ours) {
            Some(local) => {
                local.content = content;
                local.meta.touch(remote.updated_at);
            }
            None => {
                let new = LocalFile::of_remote(theirs, file, remote.updated_at);
                self.gist.files.insert(ours.clone(), new);
                self.gist.meta.touch(remote.updated_at);
            }
        }
        self.taken.push(ours.clone());
    }

    /// `NAME.conflict-YYYYMMDD-HHMMSS.EXT`, with a number where that is taken.
    fn conflict_name(&self, name: &FileName, now: Time) -> FileName {
        let (stem, extension) = match name.as_str().rsplit_once('.') {
            Some((stem, extension)) if !stem.is_empty() => (stem, format!(".{extension}")),
            Some(_) | None => (name.as_str(), String::new()),
        };
        let stamp = now.stamp();
        (1_u32..)
            .filter_map(|number| {
                let again = if number == 1 { String::new() } else { format!("-{number}") };
                FileName::parse(&format!("{stem}.conflict-{stamp}{again}{extension}"))
            })
            .find(|name| !self.gist.files.contains_key(name) && self.gist.remote(name).is_none())
            .unwrap_or_else(|| name.clone())
    }
}

/// The file does not descend from GitHub's `name` any more; from another, which it took the name
/// from, it still does.
fn forget_origin(file: &mut LocalFile, name: &FileName) {
    if file.from.as_ref() == Some(name) {
        file.from = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::gist::GistKey;
    use crate::sync::sample::{NOW, name, snapshot};
    use proptest::prelude::*;

    fn blobs(snapshot: &Snapshot) -> BTreeMap<FileName, BlobId> {
        snapshot.files.iter().map(|(name, file)| (name.clone(), file.blob)).collect()
    }

    fn local(gist: &mut Gist, file: &str, body: Option<&str>) {
        match body {
            None => drop(gist.files.remove(file)),
            Some(body) => {
                let content =
                    Content::Bytes { blob: BlobId::of(body.as_bytes()), size: body.len() as u64 };
                let from = gist.remote(&name(file)).map(|_| name(file));
                gist.files.insert(name(file), LocalFile::with(content, from, NOW));
            }
        }
    }

    fn seen(gist: &Gist) -> Vec<(String, Option<BlobId>)> {
        gist.files.iter().map(|(name, file)| (name.to_string(), file.blob())).collect()
    }

    fn has(name: &str, body: &str) -> (String, Option<BlobId>) {
        (name.into(), Some(BlobId::of(body.as_bytes())))
    }

    fn merged(
        start: &[(&str, &str)],
        ours: &[(&str, Option<&str>)],
        theirs: &[(&str, &str)],
    ) -> Merged {
        let base = snapshot(start);
        let mut gist = Gist::of_remote(GistKey(1), Arc::clone(&base));
        for (file, body) in ours {
            local(&mut gist, file, *body);
        }
        merge(&gist, &blobs(&base), snapshot(theirs), NOW).unwrap()
    }

    #[test]
    fn what_only_they_changed_is_taken() {
        let merged = merged(
            &[("a", "1"), ("b", "1"), ("c", "1")],
            &[("c", Some("2"))],
            &[("b", "2"), ("c", "1"), ("d", "1")],
        );
        assert_eq!(seen(&merged.gist), [has("b", "2"), has("c", "2"), has("d", "1")]);
        assert_eq!(merged.moved, []);
    }

    #[test]
    fn what_both_changed_is_kept_twice() {
        let merged = merged(&[("a.md", "1")], &[("a.md", Some("ours"))], &[("a.md", "theirs")]);
        let aside = "a.conflict-20231114-221320.md";
        assert_eq!(seen(&merged.gist), [has(aside, "ours"), has("a.md", "theirs")]);
        assert_eq!(merged.moved, [(name("a.md"), name(aside))]);
    }

    #[test]
    fn the_same_change_on_both_sides_is_no_conflict() {
        let merged = merged(&[("a", "1")], &[("a", Some("2"))], &[("a", "2")]);
        assert_eq!(seen(&merged.gist), [has("a", "2")]);
        assert!(!merged.gist.differs());
    }

    #[test]
    fn an_edit_wins_over_a_deletion_on_either_side() {
        let ours = merged(&[("a", "1"), ("b", "1")], &[("a", Some("2"))], &[("b", "1")]);
        assert_eq!(seen(&ours.gist), [has("a", "2"), has("b", "1")]);
        let theirs = merged(&[("a", "1"), ("b", "1")], &[("a", None)], &[("a", "2"), ("b", "1")]);
        assert_eq!(seen(&theirs.gist), [has("a", "2"), has("b", "1")]);
    }

    #[test]
    fn a_rename_here_and_an_edit_there_are_both_kept() {
        let base = snapshot(&[("a", "1")]);
        let mut gist = Gist::of_remote(GistKey(1), Arc::clone(&base));
        let file = gist.files.remove("a").unwrap();
        gist.files.insert(name("z"), file);
        let merged = merge(&gist, &blobs(&base), snapshot(&[("a", "2")]), NOW).unwrap();
        assert_eq!(seen(&merged.gist), [has("z", "2")]);
    }

    #[test]
    fn a_file_open_for_writing_is_not_changed_under_the_writer() {
        let base = snapshot(&[("a", "1")]);
        let mut gist = Gist::of_remote(GistKey(1), Arc::clone(&base));
        let file = gist.files.get_mut("a").unwrap();
        file.writers = 1;
        file.writing_since = Some(NOW);
        assert_eq!(merge(&gist, &blobs(&base), snapshot(&[("a", "2")]), NOW), Err(Busy(name("a"))));
    }

    proptest! {
        /// Every version that was on either side is in the gist afterwards, unless the other side
        /// only carried it on.
        #[test]
        fn no_version_is_lost(
            start in proptest::collection::btree_map("[a-c]", "[12]", 1..4),
            ours in proptest::collection::btree_map("[a-c]", "[1-4]", 0..4),
            theirs in proptest::collection::btree_map("[a-c]", "[1256]", 1..4),
        ) {
            let pairs = |map: &BTreeMap<String, String>| -> Vec<(String, String)> {
                map.iter().map(|(n, b)| (n.clone(), b.clone())).collect()
            };
            let as_snapshot = |map: &BTreeMap<String, String>| {
                let owned = pairs(map);
                let list: Vec<_> = owned.iter().map(|(n, b)| (n.as_str(), b.as_str())).collect();
                snapshot(&list)
            };
            let base = as_snapshot(&start);
            let mut gist = Gist::of_remote(GistKey(1), Arc::clone(&base));
            gist.files.clear();
            for (file, body) in &ours {
                local(&mut gist, file, Some(body));
            }
            let merged = merge(&gist, &blobs(&base), as_snapshot(&theirs), NOW).unwrap().gist;
            let bodies: Vec<_> = merged.files.values().filter_map(LocalFile::blob).collect();
            for (file, body) in ours.iter().chain(&theirs) {
                let carried_on = start.get(file) == Some(body);
                prop_assert!(carried_on || bodies.contains(&BlobId::of(body.as_bytes())), "{file} {body}");
            }
            for (file, body) in &theirs {
                if ours.contains_key(file) || start.get(file) != Some(body) {
                    let there = merged.files.get(file.as_str()).and_then(LocalFile::blob);
                    let expected = if start.get(file) == Some(body) { &ours[file] } else { body };
                    prop_assert_eq!(there, Some(BlobId::of(expected.as_bytes())));
                }
            }
        }
    }
}
