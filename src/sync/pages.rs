//! Reading a list of several pages: those that are known to come are asked for at one time, and
//! handed over one by one in the order of the list.
//!
//! Which pages come is known from the time before, each with the next one it named, or from the
//! first answer, which names the last one. Each page's own word on the next one is what counts:
//! where it is another than was expected, what was asked for beyond it is dropped, and if that was
//! a page whose address was only derived, the rest is read one by one.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::api::{self, ApiError, Fetched, Page, PageAddress, PageRequest};
use crate::error::Error;
use crate::store::StoredPage;

/// More pages than any account has; a server that never ends its list does not hold us for ever.
const MOST_PAGES: usize = 10_000;

/// The addresses of the pages of a list that were shown so far, the first one's apart.
#[derive(Default)]
pub(super) struct Turns(HashSet<String>);

impl Turns {
    /// The next page after one that names it so; `None` after the last. A list that leads in circles
    /// or does not end makes no sense.
    pub(super) fn turn(&mut self, next: Option<String>) -> Result<Option<PageAddress>, ApiError> {
        let Some(next) = next else { return Ok(None) };
        if self.0.len() >= MOST_PAGES || !self.0.insert(next.clone()) {
            return Err(ApiError::Nonsense {
                host: "GitHub".into(),
                detail: "the list of gists does not end".into(),
            });
        }
        Ok(Some(PageAddress::Next(next)))
    }
}

/// What a page is remembered by.
pub(super) fn address(page: &PageAddress) -> String {
    match page {
        PageAddress::Own { .. } => "own".into(),
        PageAddress::User { login, .. } => format!("user {login}"),
        PageAddress::Starred { .. } => "starred".into(),
        PageAddress::One(id) => format!("gist {id}"),
        PageAddress::Public { .. } => "public".into(),
        PageAddress::Next(url) => url.clone(),
    }
}

/// Asks for one page.
pub(super) type Ask<'a> = &'a (dyn Fn(&PageRequest) -> Result<Fetched<Page>, Error> + Sync);

/// Takes in the answer for the page of that address, and tells the next page as the page names it.
pub(super) type Take<'a> = &'a mut dyn FnMut(&str, Fetched<Page>) -> Result<Option<String>, Error>;

/// A list that is to be read.
pub(super) struct Reading<'a> {
    /// So many requests are under way at one time.
    pub(super) at_once: usize,
    /// The pages as they were when the list was last read, by address.
    pub(super) stored: &'a HashMap<String, StoredPage>,
    /// The first page is a try: the others are asked for when it was answered.
    pub(super) probe: bool,
    pub(super) ask: Ask<'a>,
}

/// Where a row of pages led.
enum Led {
    /// To the end of the list.
    End,
    /// To a page that was not in the row: at the end of it, or `early`. The page before it says
    /// which one is the `last` of the list.
    On { next: String, last: Option<String>, early: bool },
}

impl Reading<'_> {
    /// Reads all pages from `first` on. The first failure ends it: no request is begun after it.
    pub(super) fn read(&self, first: PageRequest, take: Take<'_>) -> Result<(), Error> {
        let mut turns = Turns::default();
        let begin = address(&first.from);
        let mut row = vec![first];
        if !self.probe {
            row.extend(self.stored_after(&begin));
        }
        // Whether the addresses in the row are derived, and which kind has turned out wrong: it is
        // not tried again, or pages would be asked for in vain again and again.
        let (mut derived, mut misled, mut outdated) = (false, false, false);
        while let Led::On { next, last, early } = self.row(&row, &mut turns, take)? {
            misled |= early && derived;
            outdated |= early && !derived;
            let last = last.filter(|_| !misled);
            let behind = last.map(|last| api::pages_after(&next, &last, MOST_PAGES));
            let behind = behind.unwrap_or_default();
            derived = !behind.is_empty();
            row = vec![self.request(next.clone())];
            row.extend(behind.into_iter().map(|address| self.request(address)));
            if !derived && !misled && !outdated {
                row.extend(self.stored_after(&next));
            }
        }
        Ok(())
    }

    fn request(&self, address: String) -> PageRequest {
        let etag = self.stored.get(&address).and_then(|page| page.etag.clone());
        PageRequest { from: PageAddress::Next(address), etag }
    }

    /// The pages that came after that one when the list was last read.
    fn stored_after(&self, address: &str) -> Vec<PageRequest> {
        let mut seen = HashSet::from([address]);
        let mut row = Vec::new();
        let mut next = self.next_of(address);
        while let Some(address) = next.filter(|next| seen.insert(next)) {
            row.push(self.request(address.to_owned()));
            next = self.next_of(address);
        }
        row
    }

    fn next_of(&self, address: &str) -> Option<&str> {
        self.stored.get(address)?.next.as_deref()
    }

    /// Asks for a row of pages and takes them in, as far as each names the one expected after it.
    fn row(&self, row: &[PageRequest], turns: &mut Turns, take: Take<'_>) -> Result<Led, Error> {
        let at_once = self.at_once.clamp(1, row.len());
        if at_once == 1 {
            return follow(row, turns, take, |_, request| (self.ask)(request));
        }
        let ahead = Ahead { row, at_once, state: Mutex::default(), moved: Condvar::new() };
        std::thread::scope(|scope| {
            // However this ends: the threads are waited for.
            let _end = End(&ahead);
            for begun in 0..at_once {
                let worker = std::thread::Builder::new().name("gistfs-list".into());
                match worker.spawn_scoped(scope, || ahead.work(self.ask)) {
                    Ok(_) => {}
                    Err(error) if begun > 0 => {
                        log::debug!("{begun} at one time will do: {error}");
                        break;
                    }
                    Err(_) => return follow(row, turns, take, |_, request| (self.ask)(request)),
                }
            }
            follow(row, turns, take, |at, _| ahead.answer(at))
        })
    }
}

/// Takes in the answers of a row as long as they lead through it.
fn follow(
    row: &[PageRequest],
    turns: &mut Turns,
    take: Take<'_>,
    mut answer: impl FnMut(usize, &PageRequest) -> Result<Fetched<Page>, Error>,
) -> Result<Led, Error> {
    for (at, request) in row.iter().enumerate() {
        let answer = answer(at, request)?;
        let last = match &answer {
            Fetched::New(page) => page.last.clone(),
            Fetched::NotModified => None,
        };
        let next = take(&address(&request.from), answer)?;
        let Some(PageAddress::Next(next)) = turns.turn(next)? else { return Ok(Led::End) };
        match row.get(at + 1) {
            Some(expected) if address(&expected.from) == next => {}
            expected => return Ok(Led::On { next, last, early: expected.is_some() }),
        }
    }
    Ok(Led::End)
}

/// A row of pages that is asked for by several threads, never further ahead of whoever takes the
/// answers in than there are threads: what waits to be taken in is bounded too.
struct Ahead<'a> {
    row: &'a [PageRequest],
    at_once: usize,
    /// A leaf: held to look and to note, never across a request.
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Default)]
struct State {
    /// So many requests were begun…
    begun: usize,
    /// …and so many answers taken in.
    taken: usize,
    answers: BTreeMap<usize, Result<Fetched<Page>, Error>>,
    /// Nothing more is begun.
    ended: bool,
}

/// Ends it when it is dropped: nothing more is begun, and nobody waits for room.
struct End<'a>(&'a Ahead<'a>);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Ahead<'_> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        self.state().ended = true;
        self.moved.notify_all();
    }

    fn work(&self, ask: Ask<'_>) {
        while let Some((at, request)) = self.begin() {
            // A bug of ours fails the list; nobody waits for ever for an answer that does not come.
            let bug = |_| Err(Error::Nonsense("a bug in gistfs; please report it".into()));
            let answer = catch_unwind(AssertUnwindSafe(|| ask(request))).unwrap_or_else(bug);
            let mut state = self.state();
            // What comes after a failure is not asked for: a limit is not to be met again.
            state.ended |= answer.is_err();
            state.answers.insert(at, answer);
            self.moved.notify_all();
        }
    }

    /// The next request to be sent, when there is room for it.
    fn begin(&self) -> Option<(usize, &PageRequest)> {
        let mut state = self.state();
        loop {
            let at = state.begun;
            let request = self.row.get(at).filter(|_| !state.ended)?;
            if at < state.taken + self.at_once {
                state.begun += 1;
                return Some((at, request));
            }
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for the answer for a page; they are taken in order, so one that failed comes before
    /// those that were not begun for it.
    fn answer(&self, at: usize) -> Result<Fetched<Page>, Error> {
        let mut state = self.state();
        loop {
            if let Some(answer) = state.answers.remove(&at) {
                state.taken = at + 1;
                self.moved.notify_all();
                return answer;
            }
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
#[path = "pages_tests.rs"]
mod tests;
