//! The tree of a commit, entry by entry as git lists it, and the tree of the next one.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::ApiError;
use crate::model::{BlobId, FileName};

const PLAIN: &str = "100644";
const LINK: &str = "120000";

/// What one name in a tree stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// In octal, six digits.
    pub(super) mode: String,
    /// `blob`, or else a directory or a commit of another repository.
    pub(super) kind: String,
    /// The object's id in hex.
    pub(super) id: String,
}

impl Entry {
    /// The body, if it is a file or a symbolic link.
    fn blob(&self) -> Option<BlobId> {
        if self.kind == "blob" { self.id.parse().ok() } else { None }
    }
}

/// The top of a tree by raw name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tree(BTreeMap<Vec<u8>, Entry>);

impl Tree {
    /// Reads what `git ls-tree -z` prints; `None` if it is not that.
    pub(super) fn parse(listing: &[u8]) -> Option<Self> {
        let mut tree = BTreeMap::new();
        let mut rest = listing;
        while !rest.is_empty() {
            let end = rest.iter().position(|&byte| byte == 0)?;
            let (line, after) = rest.split_at_checked(end)?;
            rest = after.get(1..)?;
            let tab = line.iter().position(|&byte| byte == b'\t')?;
            let (head, name) = line.split_at_checked(tab)?;
            let mut words = std::str::from_utf8(head).ok()?.split(' ');
            let (mode, kind, id) = (words.next()?, words.next()?, words.next()?);
            let is_hex = id.len() == 40 && id.bytes().all(|digit| digit.is_ascii_hexdigit());
            let is_octal = mode.len() == 6 && mode.bytes().all(|d| (b'0'..=b'7').contains(&d));
            let name = name.get(1..).filter(|name| !name.is_empty())?;
            if !is_hex || !is_octal || words.next().is_some() {
                return None;
            }
            let entry = Entry { mode: mode.into(), kind: kind.into(), id: id.into() };
            tree.insert(name.to_vec(), entry);
        }
        Some(Self(tree))
    }

    /// The files, by the names that a gist's files can have.
    pub(super) fn files(&self) -> BTreeMap<FileName, BlobId> {
        let file = |(name, entry): (&Vec<u8>, &Entry)| {
            let name = FileName::parse(std::str::from_utf8(name).ok()?)?;
            Some((name, entry.blob()?))
        };
        self.0.iter().filter_map(file).collect()
    }

    /// The bodies that a tree has.
    pub(super) fn bodies(&self) -> BTreeSet<BlobId> {
        self.0.values().filter_map(Entry::blob).collect()
    }

    /// This tree with exactly `files`, and with what no file of a gist can be.
    ///
    /// A file that keeps its name keeps its mode, unless it was a symbolic link to something else; one
    /// that keeps its body under a new name takes its mode with it.
    pub(super) fn with(&self, files: &BTreeMap<FileName, BlobId>) -> Result<Self, ApiError> {
        let mut next = BTreeMap::new();
        let mut left: BTreeMap<BlobId, Vec<&Entry>> = BTreeMap::new();
        for (raw, entry) in &self.0 {
            let name = std::str::from_utf8(raw).ok();
            match entry.blob() {
                Some(blob) if name.is_some_and(|name| !files.contains_key(name)) => {
                    left.entry(blob).or_default().push(entry);
                }
                Some(_) if name.is_some() => {}
                Some(_) | None => {
                    next.insert(raw.clone(), entry.clone());
                }
            }
        }
        // In the order of their names, so that the same change makes the same tree.
        left.values_mut().for_each(|entries| entries.reverse());
        for (name, &blob) in files {
            let raw = name.as_str().as_bytes();
            if raw.contains(&0) || raw.contains(&b'/') {
                return Err(impossible(name, "no repository can hold that name"));
            }
            let mode = match self.0.get(raw) {
                Some(entry) if entry.blob().is_none() => {
                    return Err(impossible(name, "it is a directory in the repository"));
                }
                Some(entry) if entry.mode == LINK && entry.blob() != Some(blob) => PLAIN,
                Some(entry) => &entry.mode,
                None => match left.get_mut(&blob).and_then(Vec::pop) {
                    Some(entry) => &entry.mode,
                    None => PLAIN,
                },
            };
            let (mode, id) = (mode.to_owned(), blob.to_string());
            next.insert(raw.to_vec(), Entry { mode, kind: "blob".into(), id });
        }
        Ok(Self(next))
    }

    /// What `git mktree -z` is fed.
    pub(super) fn listing(&self) -> Vec<u8> {
        let mut listing = Vec::new();
        for (name, Entry { mode, kind, id }) in &self.0 {
            listing.extend_from_slice(format!("{mode} {kind} {id}\t").as_bytes());
            listing.extend_from_slice(name);
            listing.push(0);
        }
        listing
    }
}

fn impossible(name: &FileName, why: &str) -> ApiError {
    ApiError::Declined(format!("{:?}: {why}", name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(text: &str) -> BlobId {
        BlobId::of(text.as_bytes())
    }

    fn tree(entries: &[(&[u8], &str, &str)]) -> Tree {
        let entry = |&(name, mode, text): &(&[u8], &str, &str)| {
            let kind = if mode == "040000" { "tree" } else { "blob" };
            let entry = Entry { mode: mode.into(), kind: kind.into(), id: blob(text).to_string() };
            (name.to_vec(), entry)
        };
        Tree(entries.iter().map(entry).collect())
    }

    fn files(files: &[(&str, &str)]) -> BTreeMap<FileName, BlobId> {
        files.iter().map(|(name, text)| (FileName::parse(name).unwrap(), blob(text))).collect()
    }

    #[test]
    fn a_listing_reads_back() {
        let names: [&[u8]; 5] = [b"a b", b"-q", b"\xff", b"new\nline\ttab", "é".as_bytes()];
        let entries: Vec<_> = names.iter().map(|&name| (name, "100644", "x")).collect();
        let tree = tree(&entries);
        assert_eq!(Tree::parse(&tree.listing()), Some(tree.clone()));
        assert_eq!(tree.files().len(), 4);
        assert_eq!(Tree::parse(b""), Some(Tree::default()));
        let id = blob("x");
        for wrong in [
            "garbage".to_owned(),
            "\0".into(),
            format!("100644 blob {id}\tname"),
            format!("100644 blob {id}\t\0"),
            format!("100644 blob {id} 7\tname\0"),
            format!("100648 blob {id}\tname\0"),
            "100644 blob 1234\tname\0".into(),
        ] {
            assert_eq!(Tree::parse(wrong.as_bytes()), None, "{wrong:?}");
        }
    }

    #[test]
    fn modes_stay_with_names_and_go_with_bodies() {
        let before = tree(&[
            (b"edited", "100755", "1"),
            (b"gone", "100755", "2"),
            (b"link", "120000", "target"),
            (b"link2", "120000", "target2"),
            (b"moved", "100755", "3"),
            (b"moved link", "120000", "target3"),
            (b"kept", "100755", "4"),
            (b"raw \xff", "100755", "5"),
            (b"directory", "040000", "6"),
        ]);
        let after = before
            .with(&files(&[
                ("edited", "new"),
                ("link", "no target"),
                ("link2", "target2"),
                ("moved to", "3"),
                ("moved link to", "target3"),
                ("kept", "4"),
                ("copy of kept", "4"),
                ("new", "7"),
            ]))
            .unwrap();
        let expected = tree(&[
            (b"edited", "100755", "new"),
            (b"link", "100644", "no target"),
            (b"link2", "120000", "target2"),
            (b"moved to", "100755", "3"),
            (b"moved link to", "120000", "target3"),
            (b"kept", "100755", "4"),
            (b"copy of kept", "100644", "4"),
            (b"new", "100644", "7"),
            (b"raw \xff", "100755", "5"),
            (b"directory", "040000", "6"),
        ]);
        assert_eq!(after, expected);
    }

    #[test]
    fn what_no_tree_can_hold_is_an_error_and_not_another_tree() {
        let before = tree(&[(b"directory", "040000", "1")]);
        for name in ["a/b", "/", "a\0b", "directory"] {
            let error = before.with(&files(&[(name, "x")])).unwrap_err();
            assert!(matches!(error, ApiError::Declined(_)), "{name:?}: {error}");
        }
    }
}
