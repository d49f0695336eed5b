//! Places that no listing shows and every lookup finds: `.gist`, the views, `.gistfs`.
//!
//! Plain values: what they hold and do is for [`crate::fs`] to know.

use std::sync::Arc;

use crate::model::{FileName, GistId, Revision};
use crate::store::gist::GistKey;
use crate::tree::names::IN_GIST;

/// A place that is entered by name only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Hidden {
    /// `.gist`, and the values in it.
    Control(ControlPlace),
    /// `.gist/history` and what is below.
    History(HistoryPlace),
    /// `.gist/comments` and what is in it.
    Comments(CommentPlace),
    /// `.starred`, `.users`, `.public`, `.by-id` and what is below.
    View(ViewPlace),
    /// `.gistfs` and what is in it.
    Mount(MountPlace),
}

impl Hidden {
    /// What `name` stands for at the mount's root.
    pub fn at_root(name: &str) -> Option<Self> {
        Some(match name {
            ".starred" => Self::View(ViewPlace::Starred),
            ".users" => Self::View(ViewPlace::Users),
            ".public" => Self::View(ViewPlace::Public),
            ".by-id" => Self::View(ViewPlace::ById),
            ".gistfs" => Self::Mount(MountPlace::Root),
            _ => return None,
        })
    }

    /// What `name` stands for in a gist's directory.
    pub fn in_gist(whose: Whose, name: &str) -> Option<Self> {
        (name == IN_GIST).then_some(Self::Control(ControlPlace { whose, value: None }))
    }

    /// Whether it is a directory, a file or a link can be told from the place alone.
    pub fn shape(&self) -> Shape {
        match self {
            Self::Control(place) => Shape::file_if(place.value.is_some()),
            Self::History(place) => Shape::file_if(place.file.is_some()),
            Self::Comments(place) => Shape::file_if(place.name.is_some()),
            Self::View(ViewPlace::Link(_)) => Shape::Link,
            Self::View(ViewPlace::File(..)) => Shape::File,
            Self::View(
                ViewPlace::Starred
                | ViewPlace::Users
                | ViewPlace::User(_)
                | ViewPlace::Public
                | ViewPlace::ById
                | ViewPlace::Gist(_),
            ) => Shape::Directory,
            Self::Mount(place) => Shape::file_if(*place != MountPlace::Root),
        }
    }
}

/// What kind of node a place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// It has entries.
    Directory,
    /// It has bytes.
    File,
    /// It names another place.
    Link,
}

impl Shape {
    fn file_if(file: bool) -> Self {
        if file { Self::File } else { Self::Directory }
    }
}

/// Whose gist it is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Whose {
    /// One of this mount's own, on GitHub or not yet.
    Own(GistKey),
    /// One that a view shows.
    Other(GistId),
}

/// A place in `.gist`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ControlPlace {
    /// The gist.
    pub whose: Whose,
    /// The value; `None` is the directory.
    pub value: Option<Value>,
}

/// A file in `.gist`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// The description.
    Description,
    /// GitHub's id.
    Id,
    /// The page for people.
    Url,
    /// The git repository.
    GitUrl,
    /// The owner's login.
    Owner,
    /// When it was made.
    Created,
    /// When it last changed.
    Updated,
    /// `public` or `secret`.
    Visibility,
    /// `0` or `1`.
    Starred,
    /// What is owed to GitHub.
    Sync,
    /// GitHub's whole answer.
    Json,
    /// Its forks, one a line.
    Forks,
}

impl Value {
    /// Every value, in the order of a listing.
    pub const ALL: [Self; 12] = [
        Self::Description,
        Self::Id,
        Self::Url,
        Self::GitUrl,
        Self::Owner,
        Self::Created,
        Self::Updated,
        Self::Visibility,
        Self::Starred,
        Self::Sync,
        Self::Json,
        Self::Forks,
    ];

    /// Whether it is ever the user's to set.
    pub fn can_be_set(self) -> bool {
        match self {
            Self::Description | Self::Visibility | Self::Starred => true,
            Self::Id
            | Self::Url
            | Self::GitUrl
            | Self::Owner
            | Self::Created
            | Self::Updated
            | Self::Sync
            | Self::Json
            | Self::Forks => false,
        }
    }

    /// The name of its file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Description => "description",
            Self::Id => "id",
            Self::Url => "url",
            Self::GitUrl => "git_url",
            Self::Owner => "owner",
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Visibility => "visibility",
            Self::Starred => "starred",
            Self::Sync => "sync",
            Self::Json => "gist.json",
            Self::Forks => "forks",
        }
    }
}

/// A place in `.gist/history`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HistoryPlace {
    /// The gist.
    pub whose: Whose,
    /// The revision; `None` is `history` itself.
    pub revision: Option<Revision>,
    /// A file as it was in that revision; `None` is its directory.
    pub file: Option<FileName>,
}

/// A place in `.gist/comments`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CommentPlace {
    /// The gist.
    pub whose: Whose,
    /// The file's name; `None` is the directory.
    pub name: Option<Arc<str>>,
}

/// A place in a view.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ViewPlace {
    /// `.starred`
    Starred,
    /// `.users`
    Users,
    /// `.users/LOGIN`
    User(Arc<str>),
    /// `.public`
    Public,
    /// `.by-id`
    ById,
    /// Somebody's gist in one of those.
    Gist(GistId),
    /// A file in it.
    File(GistId, FileName),
    /// One of this mount's own gists in one of those: a link to its directory.
    Link(Arc<str>),
}

/// A place in `.gistfs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MountPlace {
    /// The directory.
    Root,
    /// What `gistfs status` prints.
    Status,
    /// What is left of the quota.
    RateLimit,
    /// What is owed to GitHub.
    Pending,
    /// What `gistfs --version` prints.
    Version,
    /// A line of JSON for whatever happens.
    Events,
}
