//! Lists of other people's gists: read page by page, as far as somebody reads on.

use std::sync::Arc;
use std::time::Duration;

use super::known::{KEPT, is_within};
use super::list::{List, Looked, Shelf};
use super::{Belief, Lists, Topic, View};
use crate::api::{Fetched, PageRequest};
use crate::error::Error;
use crate::model::{GistId, Time};
use crate::sync::Syncer;
use crate::sync::social::SocialError;

/// The most lists that are remembered.
const MOST_LISTS: usize = 64;

/// What the answer to a question for a page was.
enum Read {
    New,
    AsItWas,
}

impl Lists {
    /// Forgets what was not used for long, and what is too much.
    pub(super) fn forget(&mut self, now: Time) {
        self.lists.retain(|_, list| is_within(list.used, KEPT, now));
        while self.lists.len() > MOST_LISTS {
            let oldest = self.lists.iter().min_by_key(|(_, list)| list.used);
            let Some(oldest) = oldest.map(|(view, _)| view.clone()) else { return };
            self.lists.remove(&oldest);
        }
    }

    /// There is no such user, and nobody asks again within `span`.
    fn miss(&mut self, view: &View, span: Duration, now: Time) {
        self.lists.remove(view);
        self.missing.retain(|_, since| is_within(*since, span, now));
        if self.missing.len() < MOST_LISTS {
            self.missing.insert(view.clone(), now);
        }
    }

    /// Of the lists that show a gist, the one that was used last.
    fn showing(&self, id: &GistId) -> Option<View> {
        let shows = self.lists.iter().filter(|(_, list)| list.page_of(id).is_some());
        shows.max_by_key(|(_, list)| list.used).map(|(view, _)| view.clone())
    }
}

impl Syncer {
    /// Whether there is somebody who can have starred anything.
    pub fn is_signed_in(&self) -> bool {
        // Only without a token are requests that few.
        !self.options.scarce
    }

    /// Whether anything is known of a list.
    pub fn knows_view(&self, view: &View) -> bool {
        self.others.lists().lists.get(view).is_some_and(|list| !list.is_empty())
    }

    /// All that is known of a list, however long ago it was told; `None`: nothing.
    pub fn shelf(&self, view: &View) -> Option<Shelf> {
        let now = self.now();
        let mut lists = self.others.lists();
        let list = lists.lists.get_mut(view).filter(|list| !list.is_empty())?;
        list.used = now;
        Some(list.shelf())
    }

    /// What is known of a list if that tells what is at the position `from`; `None` if GitHub has
    /// to be asked.
    pub fn known_view(&self, view: &View, from: usize, belief: Belief) -> Option<Shelf> {
        let (span, now) = (self.span(belief), self.now());
        match self.others.lists().lists.get_mut(view)?.look(from, span, now) {
            Looked::Known(shelf) => Some(shelf),
            Looked::Ask(..) => None,
        }
    }

    /// The same, asking for the page that it takes; what is known is waited for a few seconds. A user
    /// who is not there is [`Error::NotFound`].
    pub fn ask_view(
        self: &Arc<Self>,
        view: &View,
        from: usize,
        belief: Belief,
    ) -> Result<Shelf, Error> {
        let (span, now) = (self.span(belief), self.now());
        let known = match self.others.lists().lists.get_mut(view) {
            Some(list) => match list.look(from, span, now) {
                Looked::Known(shelf) => return Ok(shelf),
                Looked::Ask(at, _) => list.has_page(at).then(|| (at, list.shelf())),
            },
            None => None,
        };
        let Some((at, shelf)) = known else { return self.ask_view_now(view, from, belief) };
        let wanted = view.clone();
        let answer = self.ask_for_a_while(move |syncer| syncer.ask_view_now(&wanted, from, belief));
        answer.unwrap_or_else(|| {
            self.believe_page(view, at, self.now());
            Ok(shelf)
        })
    }

    fn ask_view_now(&self, view: &View, from: usize, belief: Belief) -> Result<Shelf, Error> {
        let _turn = self.others.turns.take(Topic::List(view.clone()));
        loop {
            let (span, now) = (self.span(belief), self.now());
            let looked = {
                let mut lists = self.others.lists();
                let believed = self.span(Belief::Fresh);
                if lists.missing.get(view).is_some_and(|since| is_within(*since, believed, now)) {
                    return Err(Error::NotFound);
                }
                let list = lists.lists.entry(view.clone());
                list.or_insert_with(|| List::new(view, now)).look(from, span, now)
            };
            match looked {
                Looked::Known(shelf) => return Ok(shelf),
                Looked::Ask(at, request) => self.ask_page(view, at, &request)?,
            }
        }
    }

    /// Asks again for the page of a list that shows a gist; false if none does, or without an
    /// answer that says more.
    pub(super) fn ask_page_of(&self, view: &View, id: &GistId) -> bool {
        let _turn = self.others.turns.take(Topic::List(view.clone()));
        let (span, now) = (self.span(Belief::Fresh), self.now());
        let wanted = {
            let lists = self.others.lists();
            let Some(list) = lists.lists.get(view) else { return false };
            let Some(at) = list.page_of(id) else { return false };
            list.doubted(at, span, now).map(|request| (at, request))
        };
        // Who was here first has asked.
        let Some((at, request)) = wanted else { return true };
        self.ask_page(view, at, &request).is_ok()
    }

    /// Asks for the page of a list that shows a gist of which nothing is known any more: one
    /// question tells of everything on it. Says nothing of a gist that no list shows.
    pub(super) fn ask_shown(&self, id: &GistId) -> Result<(), Error> {
        let Some(view) = self.others.lists().showing(id) else { return Ok(()) };
        let _turn = self.others.turns.take(Topic::List(view.clone()));
        if self.known_other(id).is_some() {
            return Ok(());
        }
        let list = |lists: &Lists| lists.lists.get(&view)?.whole_page_of(id);
        let Some((at, request)) = list(&self.others.lists()) else { return Ok(()) };
        match self.read_page(&view, at, &request) {
            Ok(Read::New | Read::AsItWas) => Ok(()),
            Err(SocialError::NotSent(error)) => Err(error),
            Err(SocialError::Sent(error)) if error.is_network() => Err(error.into()),
            // The gist itself may be had all the same.
            Err(SocialError::Sent(_)) => Ok(()),
        }
    }

    /// Asks for one page and takes over what it tells. Without an answer what is known stays.
    fn ask_page(&self, view: &View, at: usize, request: &PageRequest) -> Result<(), Error> {
        let read = self.read_page(view, at, request);
        let now = self.now();
        match read {
            Ok(Read::New) => Ok(()),
            Ok(Read::AsItWas) => match self.believe_page(view, at, now) {
                true => Ok(()),
                false => Err(Error::Nonsense("304 to a question without an ETag".into())),
            },
            Err(error) if error.is_not_found() && matches!(view, View::User(_)) => {
                self.others.lists().miss(view, self.span(Belief::Fresh), now);
                Err(Error::NotFound)
            }
            Err(error) => self.unanswered(view, at, error, now),
        }
    }

    /// Asks for one page and takes over what is new on it.
    fn read_page(
        &self,
        view: &View,
        at: usize,
        request: &PageRequest,
    ) -> Result<Read, SocialError> {
        let page = match self.gist_read(&|api| api.list(request))? {
            Fetched::New(page) => page,
            Fetched::NotModified => return Ok(Read::AsItWas),
        };
        let now = self.now();
        {
            let mut lists = self.others.lists();
            lists.generation += 1;
            let generation = lists.generation;
            if let Some(list) = lists.lists.get_mut(view) {
                list.told(at, &page, generation, now);
            }
            lists.forget(now);
        }
        for gist in page.gists {
            self.others.known().tell(gist, Some(view), now);
        }
        Ok(Read::New)
    }

    fn unanswered(
        &self,
        view: &View,
        at: usize,
        error: SocialError,
        now: Time,
    ) -> Result<(), Error> {
        if self.believe_page(view, at, now) {
            self.note_unanswered(&error);
            return Ok(());
        }
        let mut lists = self.others.lists();
        if lists.lists.get(view).is_some_and(List::is_empty) {
            lists.lists.remove(view);
        }
        // Programs take ENOENT for the end of a directory, and only a user can be none.
        if error.is_not_found() {
            return Err(Error::Denied("GitHub does not tell this list (404)".into()));
        }
        Err(error.into())
    }

    /// Nothing else is known of a page and what is on it; false if it was never read.
    fn believe_page(&self, view: &View, at: usize, now: Time) -> bool {
        let items = {
            let mut lists = self.others.lists();
            lists.lists.get_mut(view).and_then(|list| list.believe(at, now))
        };
        let Some(items) = items else { return false };
        let mut known = self.others.known();
        items.iter().for_each(|item| known.believe(&item.id, now));
        true
    }

    /// The users whose gists are known.
    pub fn users(&self) -> Vec<Arc<str>> {
        let lists = self.others.lists();
        let user = |(view, list): (&View, &List)| match view {
            View::User(login) if !list.is_empty() => Some(Arc::clone(login)),
            View::User(_) | View::Starred | View::Public => None,
        };
        let mut users: Vec<Arc<str>> = lists.lists.iter().filter_map(user).collect();
        users.sort();
        users
    }

    /// A star was given or taken back: the list of starred gists is asked for when it is next
    /// looked at.
    pub(in crate::sync) fn stars_changed(&self) {
        if let Some(list) = self.others.lists().lists.get_mut(&View::Starred) {
            list.doubt();
        }
    }
}
