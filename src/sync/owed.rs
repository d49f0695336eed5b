//! What a gist owes to GitHub, file by file and in words. Pure.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::plan::Plan;
use super::standing::Standing;
use crate::model::{FileName, Time};
use crate::store::gist::Gist;

/// What GitHub has not heard of yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// GitHub does not have it.
    Added,
    /// GitHub has another content, or description.
    Changed,
    /// GitHub has it under another name; the content may be another too.
    Renamed,
    /// It was moved to another gist.
    Moved,
    /// GitHub still has it.
    Deleted,
}

impl Change {
    /// The word it is shown with.
    pub fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Renamed => "renamed",
            Self::Moved => "moved",
            Self::Deleted => "deleted",
        }
    }
}

/// A file that differs from GitHub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwedFile {
    /// Its name here, or on GitHub if it is gone here.
    pub name: String,
    /// What happened to it.
    pub change: Change,
    /// What GitHub calls it, if it was renamed.
    pub from: Option<String>,
    /// How it stands.
    pub state: Standing,
    /// What it waits for, if it waits for more than its turn.
    pub waits_for: Option<String>,
    /// What the user can do about it.
    pub advice: Option<String>,
}

/// The files of `gist` that GitHub has otherwise, each with its word; `whole` is the gist's.
pub(super) fn files(gist: &Gist, plan: &Plan, whole: &Standing) -> Vec<OwedFile> {
    let owed = |name: &FileName, change, from: Option<&FileName>| {
        let hold = plan.held.get(name);
        let refusal = gist.upload.refusal.as_ref();
        let refusal = refusal.filter(|_| hold.is_some_and(|hold| hold.is_for_git()));
        let state = match hold {
            Some(_) if let Some(words) = refusal => Standing::Error(words.clone()),
            Some(hold) if hold.passes() => Standing::Pending,
            Some(hold) => Standing::Local(hold.to_string()),
            // What keeps its neighbours here does not keep it.
            None if matches!(whole, Standing::Local(_)) => Standing::Pending,
            None => whole.clone(),
        };
        OwedFile {
            name: name.to_string(),
            change,
            from: from.map(ToString::to_string),
            state,
            waits_for: hold.filter(|hold| hold.passes()).map(ToString::to_string),
            advice: match refusal {
                Some(words) => advice(words),
                None => hold.and_then(|hold| hold.advice()),
            }
            .map(str::to_owned),
        }
    };
    if gist.removed {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut renamed = BTreeSet::new();
    for (name, file) in gist.files.iter().filter(|(name, _)| !gist.is_scratch(name)) {
        let origin = file.from.as_ref().filter(|from| !gist.files.contains_key(*from));
        match (gist.remote(name), origin.filter(|from| gist.remote(from).is_some())) {
            (Some(remote), _) if Some(remote.blob) == file.blob() => {}
            (Some(_), _) => found.push(owed(name, Change::Changed, None)),
            (None, Some(from)) if renamed.insert(from) => {
                found.push(owed(name, Change::Renamed, Some(from)));
            }
            (None, _) => found.push(owed(name, Change::Added, None)),
        }
    }
    for name in gist.base.iter().flat_map(|base| base.files.keys()) {
        let ours = gist.is_placeholder(name);
        if gist.files.contains_key(name) || renamed.contains(name) || ours {
            continue;
        }
        let moved = gist.moved_to.contains_key(name);
        found.push(owed(name, if moved { Change::Moved } else { Change::Deleted }, None));
    }
    found
}

/// When the gist last changed. What a restart forgot is told by the files' own times.
pub(super) fn last_change(gist: &Gist) -> Time {
    gist.upload.last_change.unwrap_or_else(|| times(gist).max().unwrap_or(gist.meta.ctime))
}

/// Since when something is owed, as well as that is known after a restart.
pub(super) fn first_change(gist: &Gist) -> Time {
    gist.upload.first_change.unwrap_or_else(|| times(gist).min().unwrap_or(gist.meta.ctime))
}

/// When the files that GitHub has otherwise changed here; not their mtime, which programs set.
fn times(gist: &Gist) -> impl Iterator<Item = Time> {
    let differs = |name: &FileName, blob| gist.remote(name).map(|remote| remote.blob) != blob;
    gist.files
        .iter()
        .filter(move |(name, file)| !gist.is_scratch(name) && differs(name, file.blob()))
        .map(|(_, file)| file.meta.ctime)
}

/// How an error begins that keeps a deletion back because of a body that only git can have.
pub(super) const NOT_FOR_THE_TRASH: &str = "the gist is not deleted, for the trash cannot have";

/// What the user can do about an error that is kept with a gist; `None`: it passes by itself.
///
/// The number in the text is GitHub's status as `ApiError` words it: all that a restart leaves.
pub fn advice(error: &str) -> Option<&'static str> {
    const ADVICE: &[(&str, &str)] = &[
        // First: a server's own words come after these.
        (
            NOT_FOR_THE_TRASH,
            "delete it without a copy with gistfs trash purge, or take it back with gistfs trash restore",
        ),
        ("refuses the push", "change what it names, or try again with gistfs sync"),
        (
            "(401)",
            "make a new token, then unmount, give it (GH_TOKEN, --token-file) and mount again; \
             nothing is lost",
        ),
        ("(403)", "give the token the scope \"gist\" on GitHub, then run gistfs sync"),
        ("(404)", "give the token the scope \"gist\" on GitHub, then run gistfs sync"),
        ("refuses the request", "change it, or try again with gistfs sync"),
    ];
    ADVICE.iter().find(|(mark, _)| error.contains(mark)).map(|(_, advice)| *advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ApiError;

    #[test]
    fn every_error_that_waits_for_the_user_says_what_to_do_and_no_other_does() {
        let text = || "text".to_owned();
        for error in [
            ApiError::Unreachable { host: text(), detail: text() },
            ApiError::Lost { host: text(), detail: text() },
            ApiError::TimedOut { host: text() },
            ApiError::Unauthorized(text()),
            ApiError::Anonymous(text()),
            ApiError::Forbidden(text()),
            ApiError::NotFound,
            ApiError::Conflict(text()),
            ApiError::Refused { status: 422, message: text() },
            ApiError::Server(502),
            ApiError::Nonsense { host: text(), detail: text() },
            ApiError::Declined("no directories (403)".into()),
            ApiError::Local { errno: libc::ENOSPC, message: text() },
        ] {
            assert_eq!(advice(&error.to_string()).is_none(), error.passes(), "{error}");
            let kept_back = format!("{NOT_FOR_THE_TRASH} \"a\": {error}");
            assert!(advice(&kept_back).is_some_and(|advice| advice.contains("trash purge")));
        }
    }
}
