//! Asking GitHub what is new: the whole list now and then, and what changed since in between.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::errand::{self, Forked};
use super::events::{Became, different};
use super::pages::{Reading, Turns, address};
use super::selection::Selection;
use super::upload;
use super::whole::{fill, is_doubtful};
use super::{GistChange, Options, Syncer};
use crate::api::social::SocialApi;
use crate::api::{ApiError, Fetched, GistApi, PageAddress, PageRequest};
use crate::error::Error;
use crate::exit::{Exit, Failure};
use crate::model::{GistId, Snapshot, Time};
use crate::store::gist::{Gist, GistKey};
use crate::store::{Store, StoredPage};

/// The setting that holds the newest `updated_at` a list has shown, by GitHub's clock.
const NEWEST: &str = "newest_listed";

/// The setting that holds the validator of the last question for what is new, and its instant.
const SINCE_ETAG: &str = "since_etag";

/// The setting that holds when the whole list was last read, where requests are few: a mount that
/// ends and begins again does not read it again.
const LISTED: &str = "listed";

/// When an earlier process read the whole list, where requests are few.
pub(super) fn listed_before(store: &Store, options: &Options, now: Time) -> Option<Time> {
    let kept = if options.scarce { store.setting(LISTED).ok()? } else { None };
    // A clock that was set back must not make us blind until the old time returns.
    kept?.parse().ok().map(Time).filter(|at| *at <= now)
}

impl Syncer {
    /// Whether the list was ever read whole; before that, the tree is not known.
    pub fn was_listed(&self) -> Result<bool, Error> {
        Ok(self.store.setting(NEWEST)?.is_some())
    }

    /// Reads the whole list, each page conditional, and takes over what changed and what is gone.
    pub fn refresh_all(&self, now: Time) -> Result<(), Error> {
        self.shared().git_cut = false;
        let known: Vec<(GistKey, GistId)> = self.known_gists();
        let stored = self.store.pages()?;
        let mut seen = HashSet::new();
        let mut newest = self.newest()?;
        let mut read = Vec::new();
        let from = self.list(None);
        let etag = stored.get(&address(&from)).and_then(|page| page.etag.clone());
        let reading = Reading {
            at_once: self.pages_at_once(),
            stored: &stored,
            // While it is not known whether there is a network, one request tells.
            probe: self.api.retry_at().is_some(),
            ask: &|page| self.api.list(page).map_err(|error| self.heard(error)),
        };
        reading.read(PageRequest { from, etag }, &mut |address, answer| {
            let page = match (answer, stored.get(address)) {
                (Fetched::NotModified, Some(stored)) => stored.clone(),
                (Fetched::NotModified, None) => return Err(unasked()),
                (Fetched::New(page), _) => {
                    let ids = page.gists.iter().map(|gist| gist.id.to_string()).collect();
                    newest = newest.max(page.gists.iter().map(|gist| gist.updated_at).max());
                    let all = self.take_listed(page.gists, now)?;
                    // What could not be taken over yet has to be shown again: not by a 304.
                    StoredPage { etag: page.etag.filter(|_| all), next: page.next, ids }
                }
            };
            seen.extend(page.ids.iter().cloned());
            let next = page.next.clone();
            read.push((address.to_owned(), page));
            Ok(next)
        })?;
        self.settle_deletions(&seen, now)?;
        self.drop_missing(&known, &seen, now)?;
        self.store.set_pages(&read)?;
        self.store.set_setting(NEWEST, &newest.unwrap_or_default().0.to_string())?;
        if self.options.scarce {
            self.store.set_setting(LISTED, &now.0.to_string())?;
        }
        self.complete_all(now);
        self.shared().listed = Some(now);
        Ok(())
    }

    /// Asks for what was updated since the newest change a list has shown.
    ///
    /// The question reaches back by as long as reads may lag: until then a list may lack a change
    /// that is older than the newest it shows. Mostly the answer is the same, and then a 304.
    pub fn refresh_new(&self, now: Time) -> Result<(), Error> {
        let Some(newest) = self.newest()? else { return self.refresh_all(now) };
        self.shared().git_cut = false;
        let since = newest.before(self.options.read_lag);
        let mut shown = newest;
        // Good for the same question only: it is kept with the instant asked about.
        let etag = self.store.setting(SINCE_ETAG)?.and_then(|kept| {
            kept.split_once(' ')
                .filter(|(at, _)| *at == since.0.to_string())
                .map(|(_, etag)| etag.to_owned())
        });
        let (mut told, mut all) = (None, true);
        let reading = Reading {
            at_once: self.pages_at_once(),
            stored: &HashMap::new(),
            probe: true,
            ask: &|page| self.api.list(page).map_err(|error| self.heard(error)),
        };
        let first = PageRequest { from: self.list(Some(since)), etag };
        reading.read(first, &mut |_, answer| {
            let page = match answer {
                Fetched::NotModified if told.is_none() => return Ok(None),
                Fetched::NotModified => return Err(unasked()),
                Fetched::New(page) => page,
            };
            // The first one's validator is the question's.
            told.get_or_insert(page.etag);
            shown = page.gists.iter().map(|gist| gist.updated_at).fold(shown, Time::max);
            all &= self.take_listed(page.gists, now)?;
            Ok(page.next)
        })?;
        self.complete_all(now);
        // Nothing is new.
        let Some(etag) = told else { return Ok(()) };
        if !all {
            // What could not be taken over yet has to be shown again.
            return self.store.set_setting(SINCE_ETAG, "");
        }
        if shown > newest {
            self.store.set_setting(NEWEST, &shown.0.to_string())?;
        }
        match etag {
            Some(etag) => self.store.set_setting(SINCE_ETAG, &format!("{} {etag}", since.0)),
            None => Ok(()),
        }
    }

    /// How many pages of a list are asked for at one time. Where requests are few only those that are
    /// known to be there: the list may have become shorter.
    fn pages_at_once(&self) -> usize {
        if self.options.scarce { 1 } else { self.options.parallel }
    }

    fn list(&self, since: Option<Time>) -> PageAddress {
        let selection = &self.options.selection;
        let known = match selection {
            Selection::One(_) => self.known_gists().into_iter().next(),
            Selection::Own | Selection::User(_) | Selection::Starred => None,
        };
        // Deleted there and changed here, it was made anew and has another id now.
        known.map_or_else(|| selection.list(since), |(_, id)| PageAddress::One(id))
    }

    /// The list that has every gist which is or was made here.
    fn list_of_all(&self) -> PageAddress {
        match &self.options.selection {
            // To see one's gist it takes no token, to list one's gists it does.
            Selection::One(_) if !self.options.read_only => PageAddress::Own { since: None },
            Selection::Own | Selection::User(_) | Selection::Starred | Selection::One(_) => {
                self.list(None)
            }
        }
    }

    fn newest(&self) -> Result<Option<Time>, Error> {
        Ok(self.store.setting(NEWEST)?.and_then(|text| text.parse().ok()).map(Time))
    }

    fn known_gists(&self) -> Vec<(GistKey, GistId)> {
        let mut known = Vec::new();
        self.store.look_at_all(|gist| {
            known.extend(gist.base.as_ref().map(|base| (gist.key, base.id.clone())));
        });
        known
    }

    /// Takes over listed gists: new ones in one transaction, changed ones by merging. Tells whether
    /// that was all, or some have to wait for a writer or for reads to catch up.
    fn take_listed(&self, gists: Vec<Snapshot>, now: Time) -> Result<bool, Error> {
        let mut all = true;
        let mut new: Vec<(GistKey, Option<Gist>)> = Vec::new();
        let mut added = HashSet::new();
        let mut doubts = self.doubtful_creates();
        let git = self.has_git();
        for snapshot in gists {
            all &= !(git && is_doubtful(&snapshot, now));
            match self.store.find(&snapshot.id) {
                Some(key) => all &= self.take_changed(key, snapshot, now)?,
                None if self.was_deleted(&snapshot.id, now)? => all = false,
                None => match self.made_by_us(&doubts, &snapshot)? {
                    Some((key, made)) => {
                        doubts.retain(|doubt| doubt.key != key);
                        self.adopt(key, made, now)?;
                        // Somebody may have changed it since.
                        all &= self.take_changed(key, snapshot, now)?;
                    }
                    // A page that shifted meanwhile shows a gist twice.
                    None if added.insert(snapshot.id.clone()) => {
                        let key = self.store.new_key();
                        new.push((key, Some(Gist::of_remote(key, Arc::new(snapshot)))));
                    }
                    None => {}
                },
            }
        }
        let changes: Vec<GistChange> = new
            .iter()
            .map(|(key, _)| GistChange { key: *key, moved: vec![], taken: vec![] })
            .collect();
        if !new.is_empty() {
            self.store.put_all(new)?;
            self.tell(&changes);
            let followed = changes.iter().filter(|_| self.is_followed());
            for gist in followed.filter_map(|change| self.store.get(change.key)) {
                self.tell_remote(&gist, Became::Added, &different(None, gist.base.as_deref()));
            }
        }
        Ok(all)
    }

    /// Shows a fork of one's own among one's gists, asking for what the answer did not tell. `None`
    /// where forks have no place: the mount shows somebody else's gists.
    pub fn show_fork(&self, forked: &Forked) -> Result<Option<GistKey>, Failure> {
        if self.options.selection != Selection::Own {
            return Ok(None);
        }
        if self.store.find(&forked.id).is_none() {
            let told = forked.snapshot.as_ref().filter(|told| !told.files.is_empty());
            let snapshot = match told.filter(|told| !told.is_partial()) {
                Some(told) => told.clone(),
                None => errand::look_up(self, &forked.id)?,
            };
            self.shared().git_cut = false;
            let taken = self.take_listed(vec![snapshot], self.now());
            taken.map_err(|error| Failure::new(Exit::State, error.to_string(), "see the log"))?;
            self.complete_all(self.now());
        }
        Ok(self.store.find(&forked.id))
    }

    fn take_changed(&self, key: GistKey, mut seen: Snapshot, now: Time) -> Result<bool, Error> {
        let Some((gist, base)) = self.store.get(key).and_then(|gist| {
            let base = gist.base.clone()?;
            Some((gist, base))
        }) else {
            return Ok(true);
        };
        let lags = self.reads_may_lag(key, now);
        if seen.is_partial() && !base.is_partial() && self.has_git() {
            // Its repository is another one's than the list's: what fails there ends no round.
            if self.is_git_cut() {
                return Ok(false);
            }
            let later = |failure| {
                self.note_git_cut(&failure);
                let error = Error::from(failure);
                log::warn!("{}: what is new of it is not all known: {error}", base.id);
                Ok(false)
            };
            if (lags || gist.attempt.is_some()) && !seen.shows(&base) {
                return self.look(&gist, now).or_else(later);
            }
            seen = match self.whole(key, Some(&base), seen, now) {
                Ok(whole) => whole,
                Err(failure) => return later(failure),
            };
        } else if seen.is_partial() {
            fill(&mut seen, &base.files);
        }
        let same = seen.same_content(&base);
        if self.is_stale(key, &base, &seen, None, now)
            && (same || seen.updated_at < base.updated_at)
        {
            return Ok(same);
        }
        // A list cannot tell before from after within a second, nor what a request of ours without
        // an answer did, and from its word no later answer can be judged. The gist's history can.
        if !same && (lags || gist.attempt.is_some()) {
            return taken(self.look(&gist, now));
        }
        if same {
            // Addresses may change though nothing else does: a server moves, a link has an end.
            if seen.updated_at == base.updated_at && seen.files == base.files {
                return Ok(true);
            }
            // A star or a comment: what the list does not tell is still true.
            seen.revision.clone_from(&base.revision);
            seen.etag.clone_from(&base.etag);
        }
        taken(self.take(&gist, seen, now))
    }

    /// Whether the lists still show the gist.
    pub(super) fn is_listed(&self, id: &GistId) -> Result<bool, ApiError> {
        Ok(self.find_listed(|gist| Ok((gist.id == *id).then_some(())))?.is_some())
    }

    /// What `is_it` finds in the first gist of the lists that has it; they are read as far as that.
    pub(super) fn find_listed<T>(
        &self,
        is_it: impl Fn(Snapshot) -> Result<Option<T>, ApiError>,
    ) -> Result<Option<T>, ApiError> {
        let mut from = self.list_of_all();
        let mut turns = Turns::default();
        loop {
            let page = match self.api.list(&PageRequest { from, etag: None })? {
                Fetched::NotModified => return Ok(None),
                Fetched::New(page) => page,
            };
            for snapshot in page.gists {
                if let Some(found) = is_it(snapshot)? {
                    return Ok(Some(found));
                }
            }
            match turns.turn(page.next)? {
                Some(next) => from = next,
                None => return Ok(None),
            }
        }
    }

    /// Gists no page showed: each is asked for, because pages shift while they are read.
    fn drop_missing(
        &self,
        known: &[(GistKey, GistId)],
        seen: &HashSet<String>,
        now: Time,
    ) -> Result<(), Error> {
        for (key, id) in known.iter().filter(|(_, id)| !seen.contains(id.as_str())) {
            if self.reads_may_lag(*key, now) || self.store.find(id) != Some(*key) {
                continue;
            }
            if self.options.selection == Selection::Starred {
                let starred = self.api.is_starred(id);
                if !starred.map_err(|error| self.heard(error))? {
                    self.store.put_all(vec![(*key, None)])?;
                    self.tell(&[GistChange { key: *key, moved: vec![], taken: vec![] }]);
                }
                continue;
            }
            match self.api.get(id, None) {
                Err(ApiError::NotFound) => match self.gone_on_github(*key, now) {
                    // Looked at again with the next list, which will not show it either.
                    Ok(()) | Err(Error::Conflict(_)) => {}
                    Err(error) => return Err(error),
                },
                Ok(_) => log::debug!("{id} is in no list but there"),
                // Told of somehow, so not gone; nor a reason not to take over the others.
                Err(error @ ApiError::Nonsense { .. }) => log::warn!("{id}: {error}"),
                Err(error) => return Err(self.heard(error)),
            }
        }
        Ok(())
    }
}

fn unasked() -> Error {
    Error::Nonsense("304 to a question without an ETag".into())
}

/// Whether a change was taken over, or waits: for a writer to close the file, or for a body.
fn taken(done: Result<bool, upload::Failure>) -> Result<bool, Error> {
    match done {
        Ok(taken) => Ok(taken),
        Err(upload::Failure::Ours(Error::Conflict(_)) | upload::Failure::NotKnown(_)) => Ok(false),
        Err(failure) => Err(failure.into()),
    }
}
