//! Which gists there are for a mount: the token's own, or others.

use crate::api::PageAddress;
use crate::model::{GistId, Time};

/// Which gists a mount shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selection {
    /// Those of whoever the token belongs to.
    #[default]
    Own,
    /// A user's public ones, by login.
    User(String),
    /// Those that whoever the token belongs to has starred.
    Starred,
    /// One.
    One(GistId),
}

impl Selection {
    /// Whether what changed since an instant can be asked for. Where it cannot, the list is read
    /// whole: a gist may have been starred long after it was updated, and one gist is no list.
    pub(super) fn tells_changes(&self) -> bool {
        match self {
            Self::Own | Self::User(_) => true,
            Self::Starred | Self::One(_) => false,
        }
    }

    /// The first page of the list that has them, all or those updated after an instant.
    pub(super) fn list(&self, since: Option<Time>) -> PageAddress {
        match self {
            Self::Own => PageAddress::Own { since },
            Self::User(login) => PageAddress::User { login: login.clone(), since },
            Self::Starred => PageAddress::Starred { since },
            Self::One(id) => PageAddress::One(id.clone()),
        }
    }
}
