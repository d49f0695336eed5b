//! Lists in an answer that are read one by one, so that what has no end takes no memory: a few bytes
//! of JSON can stand for hundreds in memory.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{File, Gist, Told, Version};
use crate::model::CommitId;

/// The most gists of a page; a hundred are asked for.
const MOST_GISTS: usize = 1000;
/// The most files of a gist; GitHub tells of three hundred.
const MOST_FILES: usize = 3000;
/// The most commits of a gist that are remembered, the newest of them; GitHub tells of thirty.
const MOST_COMMITS: usize = 1000;

/// A page of a list: what could be read of it, and whether that is all.
pub(super) struct Gists(pub(super) Vec<Told>, pub(super) bool);

/// The files of a gist by name.
pub(super) struct Files(pub(super) BTreeMap<String, Option<File>>);

/// The commits of a gist, newest first.
pub(super) struct History(pub(super) Vec<CommitId>);

impl<'de> Deserialize<'de> for Gists {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Page;
        impl<'de> Visitor<'de> for Page {
            type Value = Gists;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of gists")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Gists, A::Error> {
                let (mut told, mut count) = (Vec::new(), 0);
                while let Some(gist) = list.next_element::<Option<Gist>>()? {
                    count += 1;
                    if count > MOST_GISTS {
                        return Err(A::Error::custom("too many gists"));
                    }
                    told.extend(gist.and_then(Gist::told));
                }
                let all = told.len() == count;
                Ok(Gists(told, all))
            }
        }
        json.deserialize_seq(Page)
    }
}

impl<'de> Deserialize<'de> for Files {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct ByName;
        impl<'de> Visitor<'de> for ByName {
            type Value = Files;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("files by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Files, A::Error> {
                let mut files = BTreeMap::new();
                while let Some((name, file)) = map.next_entry()? {
                    files.insert(name, file);
                    if files.len() > MOST_FILES {
                        return Err(A::Error::custom("too many files"));
                    }
                }
                Ok(Files(files))
            }
        }
        json.deserialize_map(ByName)
    }
}

impl<'de> Deserialize<'de> for History {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Commits;
        impl<'de> Visitor<'de> for Commits {
            type Value = History;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of commits")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<History, A::Error> {
                let mut commits = Vec::new();
                while let Some(version) = list.next_element::<Option<Version>>()? {
                    let version = version.and_then(|version| version.version);
                    if commits.len() < MOST_COMMITS {
                        commits.extend(version.as_deref().and_then(CommitId::parse));
                    }
                }
                Ok(History(commits))
            }
        }
        json.deserialize_seq(Commits)
    }
}
