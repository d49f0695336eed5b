//! One list of gists as GitHub pages it: known as far as somebody read on. No I/O, no clock.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::View;
use crate::api::{Page, PageAddress, PageRequest};
use crate::model::{FileName, GistId, Snapshot, Time};

/// More pages than anybody reads; a server that never ends its list does not hold us for ever.
const MOST_PAGES: usize = 1000;

/// GitHub ends the list of everybody's gists here.
const MOST_PUBLIC: usize = 3000;

/// More of a title is never shown.
const LONGEST_TITLE: usize = 1024;

/// A gist in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The gist.
    pub id: GistId,
    /// Its description or, without one, its first file's name; cut where nobody reads on.
    pub title: Arc<str>,
    /// When it was made.
    pub created_at: Time,
}

impl Item {
    fn of(gist: &Snapshot) -> Self {
        let described = gist.description.trim();
        let first = || gist.files.keys().next().map(FileName::as_str).unwrap_or_default();
        let title = if described.is_empty() { first() } else { described };
        let end = (0..=LONGEST_TITLE.min(title.len())).rev().find(|at| title.is_char_boundary(*at));
        let title = end.and_then(|end| title.get(..end)).unwrap_or_default();
        Self { id: gist.id.clone(), title: title.into(), created_at: gist.created_at }
    }
}

/// What is known of a list, in GitHub's order and without doubles.
#[derive(Clone, Debug)]
pub struct Shelf {
    /// The pages read so far.
    pub pages: Vec<Arc<[Item]>>,
    /// Another number whenever anything is another.
    pub generation: u64,
}

impl Shelf {
    /// All that is known.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.pages.iter().flat_map(|page| page.iter())
    }

    /// Where the page ends that the position `from` is on; `None` behind the last.
    pub fn page_end(&self, from: usize) -> Option<usize> {
        let mut ends = self.pages.iter().scan(0, |end, page| {
            *end += page.len();
            Some(*end)
        });
        ends.find(|end| *end > from)
    }
}

/// What a question for a position in the list leads to.
#[derive(Debug)]
pub(super) enum Looked {
    /// It is known.
    Known(Shelf),
    /// This page has to be asked for first.
    Ask(usize, PageRequest),
}

/// The list.
#[derive(Debug)]
pub(super) struct List {
    first: PageAddress,
    most: usize,
    pages: Vec<Known>,
    generation: u64,
    /// When it was last looked at.
    pub(super) used: Time,
}

/// A page that was read.
#[derive(Debug)]
struct Known {
    from: PageAddress,
    etag: Option<String>,
    items: Arc<[Item]>,
    next: Option<String>,
    /// When GitHub was last asked for it; `None`: what was told before it since changed.
    asked: Option<Time>,
}

impl List {
    pub(super) fn new(view: &View, now: Time) -> Self {
        let (first, most) = match view {
            View::Starred => (PageAddress::Starred { since: None }, usize::MAX),
            View::Public => (PageAddress::Public { since: None }, MOST_PUBLIC),
            View::User(login) => {
                (PageAddress::User { login: login.to_string(), since: None }, usize::MAX)
            }
        };
        Self { first, most, pages: Vec::new(), generation: 0, used: now }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    pub(super) fn shelf(&self) -> Shelf {
        let pages = self.pages.iter().map(|page| Arc::clone(&page.items)).collect();
        Shelf { pages, generation: self.generation }
    }

    /// What is at the position `from`, if the page that begins there was asked for within `span`.
    /// Who reads on in the middle of a page gets what it was when its beginning was read.
    pub(super) fn look(&mut self, from: usize, span: Duration, now: Time) -> Looked {
        self.used = now;
        let mut start = 0;
        for (at, page) in self.pages.iter().enumerate() {
            let fresh = page.asked.is_some_and(|asked| asked.is_within(span, now));
            if from == start && !fresh {
                return Looked::Ask(at, self.request(at));
            }
            start += page.items.len();
            if from < start {
                return Looked::Known(self.shelf());
            }
        }
        match self.pages.last() {
            Some(last) if last.next.is_none() => Looked::Known(self.shelf()),
            Some(_) | None => Looked::Ask(self.pages.len(), self.request(self.pages.len())),
        }
    }

    /// The question for a page, if it was not asked for within `span`.
    pub(super) fn doubted(&self, at: usize, span: Duration, now: Time) -> Option<PageRequest> {
        let asked = self.pages.get(at)?.asked;
        let fresh = asked.is_some_and(|asked| asked.is_within(span, now));
        (!fresh).then(|| self.request(at))
    }

    /// Whether that page was read.
    pub(super) fn has_page(&self, at: usize) -> bool {
        at < self.pages.len()
    }

    /// The question for the page that shows a gist, as if nothing were known of it; `None` if no
    /// page does.
    pub(super) fn whole_page_of(&self, id: &GistId) -> Option<(usize, PageRequest)> {
        let at = self.page_of(id)?;
        Some((at, PageRequest { etag: None, ..self.request(at) }))
    }

    /// The page that shows a gist.
    pub(super) fn page_of(&self, id: &GistId) -> Option<usize> {
        self.pages.iter().position(|page| page.items.iter().any(|item| item.id == *id))
    }

    fn request(&self, at: usize) -> PageRequest {
        let before = at.checked_sub(1).and_then(|before| self.pages.get(before));
        let next = before.and_then(|page| page.next.clone());
        let from = next.map_or_else(|| self.first.clone(), PageAddress::Next);
        let known = self.pages.get(at).filter(|page| page.from == from);
        PageRequest { etag: known.and_then(|page| page.etag.clone()), from }
    }

    /// Takes over a page that was asked for at `now`. `generation` was never used before.
    pub(super) fn told(&mut self, at: usize, page: &Page, generation: u64, now: Time) {
        let from = self.request(at).from;
        let earlier = self.pages.get(..at).unwrap_or(&self.pages);
        let mut seen: HashSet<GistId> = ids(earlier).cloned().collect();
        let count = seen.len();
        let fits = |gist: &&Snapshot| seen.insert(gist.id.clone());
        let room = self.most.saturating_sub(count);
        let items: Arc<[Item]> = page.gists.iter().filter(fits).map(Item::of).take(room).collect();
        // What was left out because it is on another page may belong here when that one changes.
        let etag = page.etag.clone().filter(|_| items.len() == page.gists.len());
        let next = page.next.clone().filter(|next| {
            let ends = at + 1 < MOST_PAGES && count + items.len() < self.most;
            let address = PageAddress::Next(next.clone());
            let circle = address == from || earlier.iter().any(|page| page.from == address);
            if circle || (!ends && self.most == usize::MAX) {
                log::warn!("a list of gists does not end; {} are shown", count + items.len());
            }
            ends && !circle
        });
        let before = self.pages.get(at).map(|page| Arc::clone(&page.items));
        let moved = before.is_some_and(|before| !before.iter().map(id).eq(items.iter().map(id)));
        let new = Known { from, etag, items, next: next.clone(), asked: Some(now) };
        match self.pages.get_mut(at) {
            Some(page) => *page = new,
            None => self.pages.push(new),
        }
        self.generation = generation;
        let follows = |page: &Known| next.as_ref().is_some_and(|next| page.from == at_next(next));
        if !self.pages.get(at + 1).is_none_or(follows) {
            self.pages.truncate(at + 1);
        } else if moved {
            self.doubt_behind(at, &seen);
        }
    }

    /// What comes and goes on one page moves what is on the later ones.
    fn doubt_behind(&mut self, at: usize, seen: &HashSet<GistId>) {
        for page in self.pages.iter_mut().skip(at + 1) {
            page.asked = None;
            if page.items.iter().any(|item| seen.contains(&item.id)) {
                page.items =
                    page.items.iter().filter(|item| !seen.contains(&item.id)).cloned().collect();
                page.etag = None;
            }
        }
    }

    /// A page asked for at `now` is as it was, or nobody knows better. Tells what is on it; `None`:
    /// it was never read.
    pub(super) fn believe(&mut self, at: usize, now: Time) -> Option<Arc<[Item]>> {
        let page = self.pages.get_mut(at)?;
        page.asked = Some(now);
        Some(Arc::clone(&page.items))
    }

    /// Something here has changed it: all of it is asked for again when it is next looked at.
    pub(super) fn doubt(&mut self) {
        for page in &mut self.pages {
            page.asked = None;
        }
    }
}

fn at_next(next: &str) -> PageAddress {
    PageAddress::Next(next.to_owned())
}

fn id(item: &Item) -> &GistId {
    &item.id
}

fn ids(pages: &[Known]) -> impl Iterator<Item = &GistId> {
    pages.iter().flat_map(|page| page.items.iter().map(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_700_000_000_000_000_000);
    const SPAN: Duration = Duration::from_secs(5);

    fn gist(id: &str) -> Snapshot {
        Snapshot { description: format!("title of {id}"), ..Snapshot::sample(id, &[], NOW) }
    }

    fn page(ids: &[&str], next: Option<&str>) -> Page {
        let gists = ids.iter().map(|id| gist(id)).collect();
        Page {
            gists,
            next: next.map(str::to_owned),
            last: None,
            etag: Some(format!("\"{ids:?}\"")),
        }
    }

    /// What is asked for the position `from`: the page, its address and its validator.
    fn asked(list: &mut List, from: usize, now: Time) -> Option<(usize, PageAddress, bool)> {
        match list.look(from, SPAN, now) {
            Looked::Known(_) => None,
            Looked::Ask(at, request) => Some((at, request.from, request.etag.is_some())),
        }
    }

    fn shown(list: &List) -> Vec<String> {
        list.shelf().items().map(|item| item.id.to_string()).collect()
    }

    fn two_pages() -> List {
        let mut list = List::new(&View::Starred, NOW);
        list.told(0, &page(&["a", "b"], Some("/2")), 1, NOW);
        list.told(1, &page(&["c", "d"], None), 2, NOW);
        list
    }

    #[test]
    fn a_page_is_asked_for_when_somebody_reads_on_that_far() {
        let mut list = List::new(&View::Starred, NOW);
        let first = PageAddress::Starred { since: None };
        assert_eq!(asked(&mut list, 0, NOW), Some((0, first, false)));
        list.told(0, &page(&["a", "b"], Some("/2")), 1, NOW);
        assert_eq!((asked(&mut list, 0, NOW), asked(&mut list, 1, NOW)), (None, None));
        assert_eq!(asked(&mut list, 2, NOW), Some((1, at_next("/2"), false)));
        list.told(1, &page(&["c", "d"], None), 2, NOW);
        assert_eq!((asked(&mut list, 2, NOW), asked(&mut list, 4, NOW)), (None, None));
        assert_eq!(asked(&mut list, 9, NOW), None, "nothing is behind the end");
    }

    #[test]
    fn after_some_seconds_a_page_is_asked_for_again_with_its_validator() {
        let mut list = two_pages();
        let later = NOW.after(SPAN);
        let first = PageAddress::Starred { since: None };
        assert_eq!(asked(&mut list, 1, later), None, "not in the middle of a page");
        assert_eq!(asked(&mut list, 0, later), Some((0, first, true)));
        list.believe(0, later);
        assert_eq!(asked(&mut list, 0, later), None);
        assert_eq!(asked(&mut list, 2, later), Some((1, at_next("/2"), true)));
        list.doubt();
        assert!(asked(&mut list, 0, later).is_some());
    }

    #[test]
    fn what_moves_to_another_page_is_shown_once() {
        let mut list = two_pages();
        list.told(0, &page(&["new", "a", "c"], Some("/2")), 3, NOW);
        assert_eq!(shown(&list), ["new", "a", "c", "d"]);
        assert_eq!(asked(&mut list, 3, NOW), Some((1, at_next("/2"), false)));
        list.told(1, &page(&["c", "b", "d"], None), 4, NOW);
        assert_eq!(shown(&list), ["new", "a", "c", "b", "d"]);
        let later = NOW.after(SPAN);
        list.believe(0, later);
        let whole = (1, at_next("/2"), false);
        assert_eq!(asked(&mut list, 3, later), Some(whole), "it was not shown whole");
    }

    #[test]
    fn an_unchanged_first_page_puts_no_doubt_on_the_second() {
        let mut list = two_pages();
        list.told(0, &page(&["a", "b"], Some("/2")), 3, NOW);
        assert_eq!(asked(&mut list, 2, NOW), None);
        list.told(0, &page(&["a", "b"], None), 4, NOW);
        assert_eq!(shown(&list), ["a", "b"]);
    }

    #[test]
    fn a_list_in_circles_ends() {
        let mut list = List::new(&View::User("x".into()), NOW);
        list.told(0, &page(&["a"], Some("/2")), 1, NOW);
        list.told(1, &page(&["b"], Some("/3")), 2, NOW);
        list.told(2, &page(&["c"], Some("/2")), 3, NOW);
        assert_eq!(asked(&mut list, 3, NOW), None);
        let mut list = List::new(&View::User("x".into()), NOW);
        for at in 0..MOST_PAGES {
            let (id, next) = (format!("g{at}"), format!("/{}", at + 1));
            list.told(at, &page(&[&id], Some(&next)), at as u64 + 1, NOW);
        }
        assert_eq!(asked(&mut list, MOST_PAGES, NOW), None);
    }

    #[test]
    fn everybody_s_list_ends_at_three_thousand() {
        let mut list = List::new(&View::Public, NOW);
        for at in 0..40 {
            let ids: Vec<String> = (0..99).map(|number| format!("g{at}-{number}")).collect();
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            match list.look(at * 99, SPAN, NOW) {
                Looked::Ask(page_at, _) => {
                    list.told(page_at, &page(&ids, Some(&format!("/{at}"))), at as u64 + 1, NOW);
                }
                Looked::Known(_) => break,
            }
        }
        assert_eq!((list.shelf().items().count(), list.pages.len()), (MOST_PUBLIC, 31));
        assert_eq!(asked(&mut list, MOST_PUBLIC, NOW), None);
    }

    #[test]
    fn a_title_is_cut_at_a_character_where_nobody_reads_on() {
        let mut long = gist("a");
        long.description = format!("  x{}", "é".repeat(LONGEST_TITLE));
        let title = Item::of(&long).title;
        assert!(title.len() <= LONGEST_TITLE && title.starts_with("xé"), "{}", title.len());
    }
}
