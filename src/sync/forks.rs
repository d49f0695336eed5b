//! The forks of a gist, all pages of them, and a gist as GitHub tells it.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;

use super::Syncer;
use super::asked::Asked;
use super::others::Belief;
use super::social::SocialError;
use crate::api::Fetched;
use crate::api::social::{Fork, Sheet, SheetAddress, SheetRequest, Single};
use crate::error::Error;
use crate::model::GistId;

/// The forks of so many gists are remembered, and so many gists as GitHub tells them.
const MOST: usize = 4;

/// A gist's whole answer is remembered up to so many bytes; it has most of the files in it.
const LARGEST: usize = 4 << 20;

/// A hundred forks each: no list goes on for longer.
const MOST_PAGES: usize = 100;

/// Pages of forks, each with the address it was asked by.
type Pages = Arc<Vec<(SheetAddress, Sheet<Fork>)>>;

/// What is known of forks, and of gists as GitHub tells them.
pub(super) struct Forks {
    pages: Asked<Pages>,
    told: Asked<Single<Bytes>>,
}

impl Default for Forks {
    fn default() -> Self {
        Self { pages: Asked::new(MOST), told: Asked::new(MOST) }
    }
}

impl Syncer {
    /// The gist's forks, if they were asked for within the last moments.
    pub fn known_forks(&self, id: &GistId) -> Option<Vec<Fork>> {
        let pages = self.forks.pages.lately(id, self.now(), self.span(Belief::Fresh));
        pages.map(|pages| forks_on(&pages))
    }

    /// The gist's forks as they were last told, if they are still remembered.
    pub fn last_forks(&self, id: &GistId) -> Option<Vec<Fork>> {
        self.forks.pages.known(id).map(|pages| forks_on(&pages))
    }

    /// The gist's forks, newest first. Pages that did not change cost no quota.
    pub fn ask_forks(&self, id: &GistId) -> Result<Vec<Fork>, Error> {
        let asked = self.ask_pages(id);
        if let Ok(pages) = &asked {
            self.forks.pages.note(id, self.now(), Arc::clone(pages));
        }
        self.forks.pages.or_known(id, asked).map(|pages| forks_on(&pages))
    }

    fn ask_pages(&self, id: &GistId) -> Result<Pages, SocialError> {
        let known = self.forks.pages.known(id).unwrap_or_default();
        let mut pages = Vec::new();
        let mut next = Some(SheetAddress::First);
        while let Some(from) = next.take() {
            let known = known.iter().find(|(address, _)| *address == from);
            let etag = known.and_then(|(_, sheet)| sheet.etag.clone());
            let request = SheetRequest { from: from.clone(), etag };
            let sheet = match (self.social_read(&|api| api.forks(id, &request))?, known) {
                (Fetched::New(sheet), _) => sheet,
                (Fetched::NotModified, Some((_, sheet))) => sheet.clone(),
                (Fetched::NotModified, None) => return Err(unasked(id)),
            };
            let further = sheet.next.clone().map(SheetAddress::Next);
            pages.push((from, sheet));
            let seen = |address: &SheetAddress| pages.iter().any(|(seen, _)| seen == address);
            if further.as_ref().is_some_and(seen) || pages.len() >= MOST_PAGES {
                log::warn!("{id}: the list of forks does not end; it is shown as far as read");
            } else {
                next = further;
            }
        }
        Ok(Arc::new(pages))
    }

    /// The gist as GitHub tells it, if it was asked for within the last moments.
    pub fn known_json(&self, id: &GistId) -> Option<Bytes> {
        let told = self.forks.told.lately(id, self.now(), self.span(Belief::Fresh));
        told.map(|told| told.item)
    }

    /// The gist as GitHub last told it, if that is still remembered.
    pub fn last_json(&self, id: &GistId) -> Option<Bytes> {
        self.forks.told.known(id).map(|told| told.item)
    }

    /// GitHub's answer to the question for the gist, as it is. If it did not change it costs no
    /// quota.
    pub fn ask_json(&self, id: &GistId) -> Result<Bytes, Error> {
        let known = self.forks.told.known(id);
        let etag = known.as_ref().and_then(|told| told.etag.as_deref());
        let asked = match (self.social_read(&|api| api.gist_json(id, etag)), known.clone()) {
            (Ok(Fetched::New(told)), _) | (Ok(Fetched::NotModified), Some(told)) => Ok(told),
            (Ok(Fetched::NotModified), None) => Err(unasked(id)),
            (Err(error), _) => Err(error),
        };
        if let Ok(told) = &asked
            && told.item.len() <= LARGEST
        {
            self.forks.told.note(id, self.now(), told.clone());
        }
        self.forks.told.or_known(id, asked).map(|told| told.item)
    }
}

fn unasked(id: &GistId) -> SocialError {
    SocialError::NotSent(Error::Nonsense(format!("{id}: not modified since never")))
}

/// The forks on all pages. While pages are read others may move on to the next: each counts once.
fn forks_on(pages: &Pages) -> Vec<Fork> {
    let mut seen = HashSet::new();
    let all = pages.iter().flat_map(|(_, sheet)| &sheet.items);
    all.filter(|fork| seen.insert(&fork.id)).cloned().collect()
}
