//! What is asked of a running mount, and what it answers.

use serde::{Deserialize, Serialize};

use crate::exit::Failure;
use crate::fs::GistFs;
use crate::model::{GistId, Time};
use crate::sync::Progress;
use crate::sync::hold::HeldDeletions;
use crate::sync::prefetch::Prefetched;
use crate::sync::report::{Owing, UnsentComment, Waiting};
use crate::sync::status::Status;
use crate::sync::trash::{TrashAsk, TrashReply};

/// What can be asked of a running mount.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ask {
    /// How things stand.
    Status,
    /// Send what is owed, for at most so many seconds.
    Sync(f64),
    /// Send what is owed, for at most so many seconds, then unmount.
    Unmount(f64),
    /// Something of the trash.
    Trash(TrashAsk),
    /// [`Ask::Sync`], and tell how it goes.
    FollowSync(f64),
    /// [`Ask::Unmount`], and tell how it goes.
    FollowUnmount(f64),
    /// Something about one gist.
    Gist(GistAsk),
    /// Fetch the bodies of what is at these paths below the mount point, and tell how it goes.
    Prefetch(Vec<String>),
    /// Leave what is not sent yet to the mount that asks, if this one is unmounted already.
    GiveWay,
}

/// What a running mount answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Reply {
    /// Why it was not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What is not on GitHub as it is here.
    #[serde(default)]
    pub left: Vec<Owing>,
    /// Comments that were not sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub comments: Vec<UnsentComment>,
    /// How things stand, where asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// What keeps changes from being sent now, if something does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// Deletions that wait, because many gists were removed at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<HeldDeletions>,
    /// What the trash says, where asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trash: Option<TrashReply>,
    /// What a gist is, where one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gist: Option<GistReply>,
    /// What can be read without a network, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefetched: Option<Prefetched>,
    /// Why nothing was done with it, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Where it is mounted, where the trash was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mountpoint: Option<String>,
}

/// What a mount can do with a gist, its own or another.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GistAsk {
    /// Say whether it is one of this mount's.
    Find(GistId),
    /// Fork it, and show the fork.
    Fork(GistId),
    /// Star it.
    Star(GistId),
    /// Take the star back.
    Unstar(GistId),
    /// Say where its page is; with the shown name of a file, that file's real one too.
    Locate(GistId, Option<String>),
    /// Make a public gist of the same description and files.
    Publish(GistId),
    /// Make a secret gist of the same description and files.
    Hide(GistId),
    /// Remove the first, if the second has all of it.
    Replace(GistId, GistId),
}

/// What a mount says of a gist.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct GistReply {
    /// Its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<GistId>,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Its directory, if the mount shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The name GitHub has for the file that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// A line that is not the answer yet.
#[derive(Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) progress: Progress,
}

impl Reply {
    /// What is left after sending, and why no more could go, if that was for want of time only.
    pub(in crate::mount) fn left(left: Vec<Owing>, fs: &GistFs) -> Self {
        let syncer = fs.syncer();
        let comments = fs.unsent_comments();
        let waits = left.iter().any(Owing::goes_by_itself);
        let (waiting, held) = (syncer.waiting(), syncer.held_deletions(Time::now()));
        Self { waiting: waiting.filter(|_| waits), held, left, comments, ..Self::default() }
    }

    pub(in crate::mount) fn ending() -> Self {
        Self::failed("the mount is ending already".into())
    }

    pub(in crate::mount) fn failed(error: String) -> Self {
        Self { error: Some(error), ..Self::default() }
    }
}
