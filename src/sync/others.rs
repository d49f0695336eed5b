//! Gists that are not this mount's own, as views show them: known while they are looked at.
//!
//! What GitHub told is believed for some seconds, then asked for again with its validator. Where it
//! does not answer, what is known stays.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

pub use self::list::{Item, Shelf};

pub(super) use self::known::is_within;

use self::known::Known;
use self::list::List;
use self::turns::Turns;
use super::Syncer;
use super::social::SocialError;
use crate::api::Fetched;
use crate::error::Error;
use crate::model::{GistId, Snapshot, Time};

mod known;
mod list;
pub(super) mod turns;
mod views;

/// For so long what GitHub told is believed.
const FRESH: Duration = Duration::from_secs(5);

/// The same where requests are few.
const FRESH_IF_SCARCE: Duration = Duration::from_secs(60);

/// How long somebody waits to hear whether what is known is still so.
const PATIENCE: Duration = Duration::from_secs(4);

/// A list of gists of others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum View {
    /// What the token's user has starred.
    Starred,
    /// Everybody's newest public gists.
    Public,
    /// The public gists of the user of that login.
    User(Arc<str>),
}

/// How old an answer of GitHub's may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belief {
    /// Somebody looks: some seconds.
    Fresh,
    /// Somebody wants to know whether there is something of a name that was not there: as long as
    /// one's own gists are believed.
    Recent,
}

/// What a question is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Topic {
    Gist(GistId),
    List(View),
}

/// What is known of other people's gists.
#[derive(Default)]
pub(super) struct Others {
    /// A leaf.
    known: Mutex<Known>,
    /// A leaf.
    lists: Mutex<Lists>,
    /// Of a gist before of a list. Held across the network, by who may wait.
    turns: Turns<Topic>,
}

#[derive(Default)]
struct Lists {
    lists: HashMap<View, List>,
    /// Users that GitHub does not know, and when it said so.
    missing: HashMap<View, Time>,
    /// The newest generation of any list.
    generation: u64,
}

impl Others {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what was not used for long.
    pub(super) fn forget(&self, now: Time) {
        self.known().forget(now);
        self.lists().forget(now);
    }
}

impl Syncer {
    pub(super) fn span(&self, belief: Belief) -> Duration {
        let fresh = if self.options.scarce { FRESH_IF_SCARCE } else { FRESH };
        match belief {
            Belief::Fresh => fresh,
            Belief::Recent => self.options.refresh.max(fresh),
        }
    }

    /// Somebody's gist as it was last told, if it is still remembered, however long ago.
    pub fn known_other(&self, id: &GistId) -> Option<Arc<Snapshot>> {
        self.others.known().get(id, self.now()).map(|told| Arc::clone(&told.snapshot))
    }

    /// Somebody's gist, or that there is none ([`Error::NotFound`]), if that is still believed.
    pub fn believed_other(
        &self,
        id: &GistId,
        belief: Belief,
    ) -> Option<Result<Arc<Snapshot>, Error>> {
        let now = self.now();
        let fresh = self.span(Belief::Fresh);
        let mut known = self.others.known();
        if known.missing_since(id).is_some_and(|since| is_within(since, fresh, now)) {
            return Some(Err(Error::NotFound));
        }
        let told = known.get(id, now)?;
        // Everybody's newest gists hardly ever change, and all of them would be asked for one by one.
        let belief = if told.by == Some(View::Public) { Belief::Recent } else { belief };
        is_within(told.asked, self.span(belief), now).then(|| Ok(Arc::clone(&told.snapshot)))
    }

    /// Somebody's gist as GitHub told it some seconds ago at most; without an answer, as it is
    /// known. A gist that is not there is [`Error::NotFound`].
    ///
    /// Waits for what is not known as long as anything comes, for the rest a few seconds.
    pub fn ask_other(self: &Arc<Self>, id: &GistId) -> Result<Arc<Snapshot>, Error> {
        let Some(known) = self.known_other(id) else { return self.ask_other_now(id) };
        let wanted = id.clone();
        let answer = self.ask_for_a_while(move |syncer| syncer.ask_other_now(&wanted));
        answer.unwrap_or_else(|| {
            self.others.known().believe(id, self.now());
            Ok(known)
        })
    }

    /// What `ask` answers, if that comes soon. It goes on all the same, for the next who asks. While
    /// there is no network, whoever sees to that finds out when it is back.
    fn ask_for_a_while<T: Send + 'static>(
        self: &Arc<Self>,
        ask: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Option<T> {
        if self.api.trouble().is_some() {
            return None;
        }
        let (sender, answer) = mpsc::channel();
        let syncer = Arc::clone(self);
        let spawned = std::thread::Builder::new().name("gistfs-ask".into()).spawn(move || {
            if sender.send(ask(&syncer)).is_err() {
                log::debug!("an answer came late");
            }
        });
        if let Err(error) = spawned {
            log::warn!("cannot start a thread to ask GitHub: {error}");
        }
        let answer = answer.recv_timeout(PATIENCE).ok();
        if answer.is_none() {
            log::debug!("nothing has come yet; shown as it was");
        }
        answer
    }

    fn ask_other_now(&self, id: &GistId) -> Result<Arc<Snapshot>, Error> {
        let _turn = self.others.turns.take(Topic::Gist(id.clone()));
        if let Some(believed) = self.believed_other(id, Belief::Fresh) {
            return believed;
        }
        let by = self.others.known().get(id, self.now()).map(|told| told.by.clone());
        // One question about the page tells of everything on it.
        let asked = match by {
            Some(Some(view)) => self.ask_page_of(&view, id),
            Some(None) => false,
            None => self.ask_shown(id).map(|()| true)?,
        };
        if asked && let Some(believed) = self.believed_other(id, Belief::Fresh) {
            return believed;
        }
        let known = self.known_other(id);
        let etag = known.as_ref().and_then(|known| known.etag.clone());
        let answer = self.gist_read(&|api| api.get(id, etag.as_deref()));
        let now = self.now();
        match (answer, known) {
            (Ok(Fetched::New(full)), _) => {
                for (blob, body) in &full.bodies {
                    if let Err(error) = self.store.keep(*blob, body) {
                        log::debug!("{error}; the body will be fetched when it is read");
                    }
                }
                Ok(self.others.known().tell(full.snapshot, None, now))
            }
            (Ok(Fetched::NotModified), Some(known)) => {
                self.others.known().believe(id, now);
                Ok(known)
            }
            (Ok(Fetched::NotModified), None) => {
                Err(Error::Nonsense(format!("{id}: not modified since never")))
            }
            (Err(error), _) if error.is_not_found() => {
                self.others.known().miss(id, now);
                Err(Error::NotFound)
            }
            (Err(error), Some(known)) => {
                self.note_unanswered(&error);
                self.others.known().believe(id, now);
                Ok(known)
            }
            (Err(error), None) => Err(error.into()),
        }
    }

    /// What is known is shown instead; a refusal would not go away by itself.
    fn note_unanswered(&self, error: &SocialError) {
        match error {
            SocialError::Sent(sent) if !sent.passes() => log::warn!("{error}; shown as it was"),
            SocialError::Sent(_) | SocialError::NotSent(_) => {
                log::debug!("{error}; shown as it was");
            }
        }
    }

    /// Notes that somebody asked for a gist by its id.
    pub fn note_by_id(&self, id: &GistId) {
        self.others.known().note_by_id(id);
    }

    /// The gists that were asked for by their ids and are still known.
    pub fn others_by_id(&self) -> Vec<GistId> {
        self.others.known().asked_by_id()
    }
}
