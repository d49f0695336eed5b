//! Comments on gists: known for as long as somebody looks at them, changed for somebody who waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use self::change::{Doubt, same_text};
pub use self::thread::Told;
use self::thread::{KnownSheet, Thread};
use super::Syncer;
use super::others::Belief;
use super::social::SocialError;
use crate::api::social::{Comment, SheetAddress, SheetRequest};
use crate::api::{ApiError, Fetched};
use crate::error::Error;
use crate::model::{CommentId, GistId};

mod change;
mod thread;

/// The comments of so many gists are remembered, those asked for last.
const GISTS: usize = 32;

/// The texts of all remembered comments but those asked for last take no more bytes.
const BYTES: usize = 64 << 20;

/// So many pages of one gist are read: 10,000 comments.
const PAGES: usize = 100;

/// No more is read of one gist once its texts take so many bytes.
const GIST_BYTES: usize = 64 << 20;

/// The comments of the gists that somebody looked at.
#[derive(Default)]
pub(super) struct Comments {
    /// A leaf, like the threads in it.
    talks: Mutex<HashMap<GistId, Arc<Talk>>>,
}

/// One gist's.
#[derive(Default)]
struct Talk {
    /// Held by whoever asks GitHub: the others then have the same answer.
    asking: Mutex<()>,
    thread: Mutex<Thread>,
}

impl Talk {
    fn thread(&self) -> MutexGuard<'_, Thread> {
        lock(&self.thread)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Syncer {
    fn talk(&self, gist: &GistId) -> Arc<Talk> {
        let mut talks = lock(&self.comments.talks);
        Arc::clone(talks.entry(gist.clone()).or_default())
    }

    /// Forgets what nobody has asked for lately, as far as it is too much.
    fn forget_comments(&self) {
        let mut talks = lock(&self.comments.talks);
        let mut by_use: Vec<_> = talks
            .iter()
            .map(|(gist, talk)| {
                let thread = talk.thread();
                (thread.used(), thread.weight(), gist.clone())
            })
            .collect();
        by_use.sort_by(|a, b| b.cmp(a));
        let (mut count, mut bytes) = (0, 0);
        for (_, weight, gist) in by_use {
            (count, bytes) = (count + 1, bytes + weight);
            if count > 1 && (count > GISTS || bytes > BYTES) {
                talks.remove(&gist);
            }
        }
    }

    /// The comments on a gist as they were last told, and whether that can be believed now.
    pub fn known_comments(&self, gist: &GistId) -> Option<(Told, bool)> {
        let talk = lock(&self.comments.talks).get(gist).map(Arc::clone)?;
        let thread = talk.thread();
        Some((thread.known()?, thread.is_fresh(self.span(Belief::Fresh), self.now())))
    }

    /// The comments on a gist, asked for again if that was some seconds ago. Without an answer those
    /// last told.
    pub fn comments(&self, gist: &GistId) -> Result<Told, Error> {
        let talk = self.talk(gist);
        let _alone = lock(&talk.asking);
        if let Some((known, true)) = self.known_comments(gist) {
            return Ok(known);
        }
        let asked = self.ask_comments(gist, &talk);
        let known = talk.thread().known();
        match (asked, known) {
            (Ok(told), _) => Ok(told),
            (Err(error), Some(known)) if passes(&error) => {
                log::debug!("comments of {gist}: {error}; those last told are shown");
                talk.thread().note_try(self.now());
                Ok(known)
            }
            // Made a moment ago: not everybody at GitHub knows it yet.
            (Err(error), None) if error.is_not_found() && self.was_just_made(gist) => {
                Ok(Told::default())
            }
            (Err(error), Some(_) | None) => Err(error.into()),
        }
    }

    fn was_just_made(&self, gist: &GistId) -> bool {
        self.store.find(gist).is_some_and(|key| self.reads_may_lag(key, self.now()))
    }

    /// The comments on a gist as GitHub has them now, or an error.
    fn comments_now(&self, gist: &GistId) -> Result<Told, SocialError> {
        let talk = self.talk(gist);
        let _alone = lock(&talk.asking);
        self.ask_comments(gist, &talk)
    }

    fn ask_comments(&self, gist: &GistId, talk: &Talk) -> Result<Told, SocialError> {
        let (began, before) = (self.now(), talk.thread().sheets().to_vec());
        let sheets = self.ask_sheets(gist, &before)?;
        let told = {
            let mut thread = talk.thread();
            thread.take(sheets, began, self.options.read_lag);
            thread.known().unwrap_or_default()
        };
        self.forget_comments();
        Ok(told)
    }

    fn ask_sheets(
        &self,
        gist: &GistId,
        before: &[KnownSheet],
    ) -> Result<Vec<KnownSheet>, SocialError> {
        let mut sheets: Vec<KnownSheet> = Vec::new();
        let (mut from, mut bytes) = (SheetAddress::First, 0);
        loop {
            let known = before.get(sheets.len()).filter(|known| known.from == from);
            let etag = known.and_then(KnownSheet::etag).map(str::to_owned);
            let page = SheetRequest { from: from.clone(), etag };
            let sheet = match (self.social_read(&|api| api.comments(gist, &page))?, known) {
                (Fetched::New(sheet), _) => KnownSheet::new(from, sheet),
                (Fetched::NotModified, Some(known)) => known.clone(),
                (Fetched::NotModified, None) => return Err(not_modified_since_never()),
            };
            bytes += sheet.items.iter().map(|comment| comment.body.len()).sum::<usize>();
            let next = sheet.next.clone();
            sheets.push(sheet);
            match next {
                Some(next) if sheets.len() < PAGES && bytes < GIST_BYTES => {
                    from = SheetAddress::Next(next);
                    if sheets.iter().any(|known| known.from == from) {
                        log::warn!("{gist}: the list of comments does not end");
                        return Ok(sheets);
                    }
                }
                Some(_) => {
                    log::info!("{gist} has more comments than gistfs shows");
                    return Ok(sheets);
                }
                None => return Ok(sheets),
            }
        }
    }

    /// One comment if it is known well enough not to be asked for; [`Error::NotFound`] if it is
    /// known to be gone.
    pub fn known_comment(
        &self,
        gist: &GistId,
        id: CommentId,
    ) -> Option<Result<Arc<Comment>, Error>> {
        let talk = lock(&self.comments.talks).get(gist).map(Arc::clone)?;
        let thread = talk.thread();
        let now = self.now();
        if let Some(fresh) = thread.fresh(id, self.span(Belief::Fresh), now) {
            return Some(fresh.ok_or(Error::NotFound));
        }
        let known = thread.known().filter(|_| thread.is_fresh(self.span(Belief::Fresh), now))?;
        Some(find(&known, id).ok_or(Error::NotFound))
    }

    /// One comment, asked for again if that was some seconds ago: alone, or if others are being
    /// read too, with all of them. Without an answer as it was last told.
    pub fn comment(&self, gist: &GistId, id: CommentId) -> Result<Arc<Comment>, Error> {
        let talk = self.talk(gist);
        {
            let _alone = lock(&talk.asking);
            if let Some(known) = self.known_comment(gist, id) {
                return known;
            }
            if !talk.thread().looked_at_one(self.span(Belief::Fresh), self.now()) {
                return self.ask_or_know_comment(gist, id, &talk);
            }
        }
        find(&self.comments(gist)?, id).ok_or(Error::NotFound)
    }

    fn ask_or_know_comment(
        &self,
        gist: &GistId,
        id: CommentId,
        talk: &Talk,
    ) -> Result<Arc<Comment>, Error> {
        let error = match self.ask_comment(gist, id, talk) {
            Ok(found) => return found.ok_or(Error::NotFound),
            Err(error) => error,
        };
        let known = talk.thread().known().filter(|_| passes(&error));
        known.and_then(|known| find(&known, id)).ok_or(error.into())
    }

    /// Asks for one comment; `None` if it is gone.
    fn ask_comment(
        &self,
        gist: &GistId,
        id: CommentId,
        talk: &Talk,
    ) -> Result<Option<Arc<Comment>>, SocialError> {
        let began = self.now();
        let etag = talk.thread().etag(id).map(str::to_owned);
        let told = match self.social_read(&|api| api.comment(gist, id, etag.as_deref())) {
            Ok(Fetched::New(single)) => Some(single),
            Ok(Fetched::NotModified) => {
                let mut thread = talk.thread();
                thread.confirm(id, began);
                let known = thread.fresh(id, self.span(Belief::Fresh), began).flatten();
                return known.map(Some).ok_or_else(not_modified_since_never);
            }
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error),
        };
        let mut thread = talk.thread();
        thread.look(id, told, began, self.options.read_lag);
        Ok(thread
            .known()
            .and_then(|known| find(&known, id))
            .or_else(|| thread.fresh(id, self.span(Belief::Fresh), began).flatten()))
    }
}

fn find(told: &Told, id: CommentId) -> Option<Arc<Comment>> {
    told.iter().find(|comment| comment.id == id).map(Arc::clone)
}

/// Whether asking again later may help.
fn passes(error: &SocialError) -> bool {
    match error {
        SocialError::NotSent(_) => true,
        SocialError::Sent(error) => error.passes(),
    }
}

fn not_modified_since_never() -> SocialError {
    let (host, detail) = ("GitHub".into(), "not modified since never".into());
    SocialError::Sent(ApiError::Nonsense { host, detail })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;
    use crate::api::absent::Absent;
    use crate::model::Time;
    use crate::store::Store;
    use crate::sync::Options;

    /// Whether comments that were asked for so many seconds ago are believed.
    fn are_believed_after(seconds: i64, scarce: bool) -> bool {
        let state = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(state.path(), "/mnt", 1 << 20).unwrap());
        let now = Arc::new(AtomicI64::new(1_790_000_000));
        let clock = Arc::clone(&now);
        let options = Options { scarce, ..Options::default() };
        let syncer = Syncer::new(store, Arc::new(Absent), options)
            .with_clock(Arc::new(move || Time::new(clock.load(Ordering::Relaxed), 0)));
        let gist = GistId::parse("1").unwrap();
        let lag = syncer.options.read_lag;
        syncer.talk(&gist).thread().take(Vec::new(), syncer.now(), lag);
        now.fetch_add(seconds, Ordering::Relaxed);
        syncer.known_comments(&gist).unwrap().1
    }

    #[test]
    fn where_requests_are_few_comments_are_believed_for_as_long_as_all_else() {
        assert!(are_believed_after(4, false) && !are_believed_after(5, false));
        assert!(are_believed_after(59, true) && !are_believed_after(60, true));
    }
}
