//! The revisions of gists as far as somebody looked: which there are, and the files of each.
//!
//! A commit and what it holds never change, so they are asked for once; only whether there are newer
//! ones is asked again. All of it is known while it is used and there is room, in memory alone: the
//! bodies are in the store like all others.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lru::LruCache;

use self::commits::Commits;
use super::Syncer;
use super::others::Belief;
use super::others::turns::Turns;
use crate::api::Fetched;
use crate::api::social::{SheetAddress, SheetRequest};
use crate::error::Error;
use crate::model::{BlobId, CommitId, GistId, Revision, Snapshot, Time};

mod commits;

/// Revisions handed out at one time.
const PART: usize = 500;

/// How many files the remembered revisions may have together: some 10 MB.
const MOST_FILES: usize = 30_000;

/// What is known of the past of gists.
#[derive(Default)]
pub(super) struct History {
    /// A leaf: held to look and to note, never across a request.
    known: Mutex<Known>,
    /// Held across the network, by who may wait.
    turns: Turns<Question>,
}

struct Known {
    commits: LruCache<GistId, Listed>,
    /// How many commits these are.
    listed: usize,
    revisions: LruCache<(GistId, CommitId), Arc<Snapshot>>,
    /// How many files these have.
    files: usize,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            commits: LruCache::unbounded(),
            listed: 0,
            revisions: LruCache::unbounded(),
            files: 0,
        }
    }
}

/// The commits of a gist, and how new that knowledge is.
struct Listed {
    commits: Commits,
    /// When the newest were asked for, and what was known of the gist then.
    asked: Option<(Time, Mark)>,
}

/// What moves when a gist changes.
type Mark = (Option<String>, Time);

fn mark(gist: &Snapshot) -> Mark {
    (gist.revision.clone(), gist.updated_at)
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Question {
    Commits(GistId),
    Revision(GistId, CommitId),
}

impl Known {
    /// The commits of `gist`, if nobody has to ask now whether there are newer ones.
    fn current(&mut self, gist: &Snapshot, (now, span): (Time, Duration)) -> Option<&Commits> {
        let listed = self.commits.get(&gist.id)?;
        let (then, mark_then) = listed.asked.as_ref()?;
        let fresh = then.is_within(span, now) && *mark_then == mark(gist);
        fresh.then_some(&listed.commits)
    }

    /// Changes what is known of a gist's commits, and forgets others where that takes too much room.
    fn change(&mut self, id: &GistId, change: impl FnOnce(Option<Listed>) -> Option<Listed>) {
        let before = self.commits.pop(id);
        self.listed -= before.as_ref().map_or(0, |listed| listed.commits.len());
        let Some(listed) = change(before) else { return };
        self.listed += listed.commits.len();
        self.commits.put(id.clone(), listed);
        while self.listed > commits::MOST && self.commits.len() > 1 {
            let Some((_, oldest)) = self.commits.pop_lru() else { break };
            self.listed -= oldest.commits.len();
        }
    }

    fn keep(&mut self, id: &GistId, commit: &CommitId, revision: Arc<Snapshot>) {
        self.files += revision.files.len() + 1;
        if let Some(same) = self.revisions.put((id.clone(), commit.clone()), revision) {
            self.files -= same.files.len() + 1;
        }
        while self.files > MOST_FILES && self.revisions.len() > 1 {
            let Some((_, oldest)) = self.revisions.pop_lru() else { break };
            self.files -= oldest.files.len() + 1;
        }
    }
}

impl History {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A commit known to hold that body.
    pub(super) fn commit_with(&self, id: &GistId, blob: BlobId) -> Option<CommitId> {
        let holds = |revision: &Snapshot| revision.files.values().any(|file| file.blob == blob);
        let known = self.known();
        let mut of_it = known.revisions.iter().filter(|((gist, _), _)| gist == id);
        of_it.find(|(_, revision)| holds(revision)).map(|((_, commit), _)| commit.clone())
    }
}

impl Syncer {
    /// Now, and how old what is believed may be.
    fn now_and_span(&self) -> (Time, Duration) {
        (self.now(), self.span(Belief::Fresh))
    }

    /// Some revisions of `gist` behind the position `after`, newest first, each with its own; 0 is
    /// the beginning, and none come only at the end. `None`: GitHub has to be asked first.
    ///
    /// Positions grow from newer to older, and a revision keeps its own whatever comes in front.
    pub fn known_revisions(&self, gist: &Snapshot, after: u64) -> Option<Vec<(u64, Revision)>> {
        let mut known = self.history.known();
        let commits = match after {
            0 => known.current(gist, self.now_and_span())?,
            _ => &known.commits.get(&gist.id)?.commits,
        };
        let some = commits.behind(after, PART);
        (!some.is_empty() || commits.next().is_none()).then_some(some)
    }

    /// The same, asked for where it is not known.
    ///
    /// Where GitHub cannot be asked, what is known comes all the same. A gist that is not there is
    /// [`Error::NotFound`].
    pub fn ask_revisions(
        &self,
        gist: &Snapshot,
        after: u64,
    ) -> Result<Vec<(u64, Revision)>, Error> {
        let _turn = self.history.turns.take(Question::Commits(gist.id.clone()));
        let mut newest = after == 0;
        for _ in 0..=commits::MOST_PAGES {
            if let Some(some) = self.known_revisions(gist, after) {
                return Ok(some);
            }
            let asked = self.ask_commits(gist, std::mem::take(&mut newest));
            let known = self.history.known().commits.get(&gist.id).map(|listed| {
                (listed.commits.behind(after, PART), listed.commits.next().is_none())
            });
            match (asked, known) {
                (Ok(()), Some((some, all))) if !some.is_empty() || all => return Ok(some),
                (Ok(()), _) => {}
                (Err(error), Some((some, _))) if !some.is_empty() => {
                    log::info!("gist {}: its history as it was known: {error}", gist.id);
                    return Ok(some);
                }
                (Err(error), _) => return Err(error),
            }
        }
        Err(endless(gist))
    }

    /// The revision of `gist` made in that second and named by these digits. `Some(None)`: there is
    /// none; `None`: GitHub has to be asked first.
    pub fn known_revision(
        &self,
        gist: &Snapshot,
        committed_at: Time,
        digits: &str,
    ) -> Option<Option<Revision>> {
        let mut known = self.history.known();
        let listed = known.commits.get(&gist.id)?;
        if let Some(found) = listed.commits.called(committed_at, digits) {
            return Some(Some(found));
        }
        known.current(gist, self.now_and_span())?.next().is_none().then_some(None)
    }

    /// The same, looked for page by page where it is not known.
    pub fn ask_revision(
        &self,
        gist: &Snapshot,
        committed_at: Time,
        digits: &str,
    ) -> Result<Option<Revision>, Error> {
        let _turn = self.history.turns.take(Question::Commits(gist.id.clone()));
        let mut newest = self.history.known().current(gist, self.now_and_span()).is_none();
        for _ in 0..=commits::MOST_PAGES {
            if let Some(found) = self.known_revision(gist, committed_at, digits) {
                return Ok(found);
            }
            let all = |listed: &Listed| listed.commits.next().is_none();
            if !newest && self.history.known().commits.get(&gist.id).is_some_and(all) {
                return Ok(None);
            }
            self.ask_commits(gist, std::mem::take(&mut newest))?;
        }
        Err(endless(gist))
    }

    /// Asks for the newest commits of `gist`, or for the next that are older than the known ones.
    fn ask_commits(&self, gist: &Snapshot, newest: bool) -> Result<(), Error> {
        let request = {
            let mut known = self.history.known();
            let commits = known.commits.get(&gist.id).map(|listed| &listed.commits);
            match commits.map(|commits| (commits.etag(), commits.next())) {
                Some((_, Some(next))) if !newest => {
                    SheetRequest { from: SheetAddress::Next(next.to_owned()), etag: None }
                }
                Some((etag, _)) => {
                    SheetRequest { from: SheetAddress::First, etag: etag.map(str::to_owned) }
                }
                None => SheetRequest { from: SheetAddress::First, etag: None },
            }
        };
        let answer = self.social_read(&|api| api.commits(&gist.id, &request));
        let asked = Some((self.now(), mark(gist)));
        let mut known = self.history.known();
        let page = match answer {
            Ok(Fetched::New(page)) if page.items.is_empty() && page.next.is_none() => {
                return Err(Error::Nonsense(format!("{}: a history of no commits", gist.id)));
            }
            Ok(Fetched::New(page)) => Some(page),
            Ok(Fetched::NotModified) if request.etag.is_some() => None,
            Ok(Fetched::NotModified) => {
                let text = format!("{}: its history is not modified since never", gist.id);
                return Err(Error::Nonsense(text));
            }
            Err(error) => {
                if !error.is_not_found() {
                    return Err(error.into());
                }
                known.change(&gist.id, |_| None);
                return Err(Error::NotFound);
            }
        };
        known.change(&gist.id, |listed| match (listed, page, request.from) {
            (Some(mut listed), Some(page), SheetAddress::Next(_)) => {
                listed.commits.extend(page);
                Some(listed)
            }
            (Some(mut listed), page, SheetAddress::First) => {
                if let Some(page) = page {
                    listed.commits.renew(page);
                }
                Some(Listed { asked, ..listed })
            }
            (None, Some(page), SheetAddress::First) => {
                Some(Listed { commits: Commits::new(page), asked })
            }
            // Forgotten meanwhile: a page from the middle says nothing alone.
            (None, Some(_), SheetAddress::Next(_)) | (None, None, _) => None,
            (Some(listed), None, SheetAddress::Next(_)) => Some(listed),
        });
        Ok(())
    }

    /// What a revision holds, if that was asked for and is still known.
    pub fn known_files(&self, id: &GistId, commit: &CommitId) -> Option<Arc<Snapshot>> {
        let mut known = self.history.known();
        known.revisions.get(&(id.clone(), commit.clone())).map(Arc::clone)
    }

    /// What a revision holds: one request, unless it is known. Bodies that come along are stored.
    pub fn ask_files(&self, id: &GistId, commit: &CommitId) -> Result<Arc<Snapshot>, Error> {
        let _turn = self.history.turns.take(Question::Revision(id.clone(), commit.clone()));
        if let Some(known) = self.known_files(id, commit) {
            return Ok(known);
        }
        let full = self.gist_read(&|api| api.revision(id, commit))?;
        for (blob, body) in &full.bodies {
            if let Err(error) = self.store.keep(*blob, body) {
                log::warn!("{error}; the body is fetched again when it is read");
            }
        }
        if full.snapshot.is_partial() {
            log::warn!("gist {id}: not all files of revision {commit} are shown");
        }
        let revision = Arc::new(full.snapshot);
        self.history.known().keep(id, commit, Arc::clone(&revision));
        Ok(revision)
    }
}

/// Others' histories push this one out as fast as it comes, or it says that it never ends.
fn endless(gist: &Snapshot) -> Error {
    Error::TimedOut(format!("{}: its history has no end", gist.id))
}
