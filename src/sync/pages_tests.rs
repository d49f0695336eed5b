use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// A list of so many pages at a server, and what was asked of it.
struct List {
    pages: usize,
    /// Whether answers name the last page.
    tells_last: bool,
    /// What a page says instead of what it should.
    odd: HashMap<usize, Odd>,
    asked: Mutex<Vec<usize>>,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
    /// Answers but the first page's wait until so many questions were asked.
    gather: usize,
    gathered: Condvar,
}

#[derive(Clone)]
enum Odd {
    Fails(Error),
    Next(Option<usize>),
    Unchanged,
}

fn at(number: usize) -> String {
    format!("https://h/gists?page={number}")
}

impl List {
    fn of(pages: usize) -> Self {
        Self {
            pages,
            tells_last: true,
            odd: HashMap::new(),
            asked: Mutex::default(),
            under_way: AtomicUsize::new(0),
            most_under_way: AtomicUsize::new(0),
            gather: 1,
            gathered: Condvar::new(),
        }
    }

    fn odd(mut self, page: usize, odd: Odd) -> Self {
        self.odd.insert(page, odd);
        self
    }

    fn ask(&self, request: &PageRequest) -> Result<Fetched<Page>, Error> {
        let number = match address(&request.from).rsplit_once('=') {
            Some((_, number)) => number.parse().unwrap(),
            None => 1,
        };
        let under_way = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_under_way.fetch_max(under_way, Ordering::SeqCst);
        let mut asked = self.asked.lock().unwrap();
        asked.push(number);
        self.gathered.notify_all();
        if number > 1 {
            drop(self.gathered.wait_while(asked, |asked| asked.len() < self.gather).unwrap());
        } else {
            drop(asked);
        }
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        let next = match self.odd.get(&number) {
            Some(Odd::Fails(error)) => return Err(error.clone()),
            Some(Odd::Unchanged) => return Ok(Fetched::NotModified),
            Some(Odd::Next(next)) => next.map(at),
            None => (number < self.pages).then(|| at(number + 1)),
        };
        let last = next.is_some().then(|| at(self.pages)).filter(|_| self.tells_last);
        Ok(Fetched::New(Page { gists: vec![], next, last, etag: None }))
    }

    /// Reads it with so many requests at one time; the pages in the order in which they were taken.
    fn read(
        &self,
        at_once: usize,
        stored: &HashMap<String, StoredPage>,
    ) -> (Vec<String>, Result<(), String>) {
        let ask = |request: &PageRequest| self.ask(request);
        let reading = Reading { at_once, stored, probe: false, ask: &ask };
        let mut taken = Vec::new();
        let first = PageRequest { from: PageAddress::Own { since: None }, etag: None };
        let result = reading.read(first, &mut |address, answer| {
            taken.push(address.to_owned());
            Ok(match answer {
                Fetched::New(page) => page.next,
                Fetched::NotModified => stored[address].next.clone(),
            })
        });
        (taken, result.map_err(|error| error.to_string()))
    }

    /// The pages asked for, each as often as it was.
    fn asked(&self) -> Vec<usize> {
        let mut asked = self.asked.lock().unwrap().clone();
        asked.sort_unstable();
        asked
    }
}

/// The addresses of these pages; the first one goes by another name.
fn pages(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(|number| if number == 1 { "own".into() } else { at(number) }).collect()
}

/// What is remembered of a list of so many pages.
fn stored(count: usize) -> HashMap<String, StoredPage> {
    let page = |number: usize| {
        let next = (number < count).then(|| at(number + 1));
        StoredPage { etag: Some(format!("\"{number}\"")), next, ids: vec![] }
    };
    pages(1..=count).into_iter().zip((1..=count).map(page)).collect()
}

fn limited() -> Error {
    Error::Limited("slow down".into())
}

#[test]
fn pages_that_are_known_to_come_are_asked_for_at_one_time_and_taken_in_order() {
    // No answer comes before all are asked for, the first page's excepted.
    let list = List { gather: 10, ..List::of(10) };
    assert_eq!(list.read(16, &HashMap::new()), (pages(1..=10), Ok(())));
    assert_eq!(list.asked(), Vec::from_iter(1..=10), "as the first page says");
    let list = List { gather: 10, tells_last: false, ..List::of(10) };
    assert_eq!(list.read(16, &stored(10)), (pages(1..=10), Ok(())));
    assert_eq!(list.asked(), Vec::from_iter(1..=10), "as it was before");
}

#[test]
fn no_more_are_under_way_than_may_be() {
    let list = List { gather: 4, ..List::of(100) };
    assert_eq!(list.read(3, &HashMap::new()), (pages(1..=100), Ok(())));
    assert_eq!(list.asked(), Vec::from_iter(1..=100));
    let most = list.most_under_way.load(Ordering::SeqCst);
    assert_eq!(most, 3);
}

#[test]
fn a_list_that_does_not_tell_its_last_page_is_read_one_by_one() {
    let list = List { tells_last: false, ..List::of(5) };
    assert_eq!(list.read(16, &HashMap::new()), (pages(1..=5), Ok(())));
    assert_eq!(list.most_under_way.load(Ordering::SeqCst), 1);
    let list = List::of(5);
    assert_eq!(list.read(1, &stored(5)), (pages(1..=5), Ok(())), "or where one is all that may be");
    assert_eq!(list.most_under_way.load(Ordering::SeqCst), 1);
}

#[test]
fn a_failure_ends_it_and_nothing_more_is_asked_for() {
    let list = List { gather: 3, ..List::of(50) }.odd(3, Odd::Fails(limited()));
    assert_eq!(list.read(2, &HashMap::new()), (pages(1..=2), Err(limited().to_string())));
    // One may have been begun while the failure was on its way.
    assert!(matches!(list.asked()[..], [1, 2, 3] | [1, 2, 3, 4]), "{:?}", list.asked());
}

#[test]
fn what_the_user_of_a_page_fails_with_ends_it_too() {
    let list = List::of(50);
    let ask = |request: &PageRequest| list.ask(request);
    let reading = Reading { at_once: 2, stored: &HashMap::new(), probe: false, ask: &ask };
    let first = PageRequest { from: PageAddress::Own { since: None }, etag: None };
    let mut left = 3;
    let result = reading.read(first, &mut |_, answer| {
        left -= 1;
        match answer {
            Fetched::New(page) if left > 0 => Ok(page.next),
            Fetched::New(_) | Fetched::NotModified => Err(Error::NotFound),
        }
    });
    assert!(matches!(result, Err(Error::NotFound)) && list.asked().len() <= 5);
}

#[test]
fn each_page_s_own_word_on_the_next_one_is_what_counts() {
    // Page 4 leads to another than was derived: what was asked for is of no use, and no other
    // address is derived.
    let list = List { gather: 10, ..List::of(10) }.odd(4, Odd::Next(Some(6)));
    assert_eq!(list.read(16, &HashMap::new()), (pages([1, 2, 3, 4, 6, 7, 8, 9, 10]), Ok(())));
    let again = (1..=10).chain(6..=10);
    let mut again = Vec::from_iter(again);
    again.sort_unstable();
    assert_eq!(list.asked(), again);
    // The list became shorter.
    let list = List::of(10).odd(4, Odd::Next(None));
    assert_eq!(list.read(16, &HashMap::new()), (pages(1..=4), Ok(())));
    // It became longer since it was last read: the rest is asked for at one time.
    let list = List { gather: 11, ..List::of(13) };
    assert_eq!(list.read(16, &stored(11)), (pages(1..=13), Ok(())));
    assert_eq!(list.asked(), Vec::from_iter(1..=13));
}

#[test]
fn addresses_from_the_time_before_are_not_tried_again_and_again() {
    // A server that was moved: every page is elsewhere now.
    let mut old = stored(10);
    for page in old.values_mut() {
        page.next = page.next.as_ref().map(|next| next.replace("page", "old"));
    }
    let old: HashMap<String, StoredPage> =
        old.into_iter().map(|(address, page)| (address.replace("page", "old"), page)).collect();
    let list = List { tells_last: false, ..List::of(10) };
    assert_eq!(list.read(2, &old), (pages(1..=10), Ok(())));
    assert!(list.asked().len() <= 10 + 2, "{:?}", list.asked());
}

#[test]
fn a_list_that_leads_in_circles_is_an_error_however_it_is_read() {
    for at_once in [1, 16] {
        let list = List::of(10).odd(5, Odd::Next(Some(3)));
        let (taken, result) = list.read(at_once, &HashMap::new());
        assert_eq!(taken, pages(1..=5));
        assert!(result.is_err_and(|words| words.contains("does not end")));
    }
    let mut circle = stored(10);
    circle.get_mut(&at(5)).unwrap().next = Some(at(3));
    let list = List::of(10);
    assert_eq!(list.read(16, &circle), (pages(1..=10), Ok(())), "or was read before");
    assert!(list.asked().len() <= 16, "{:?}", list.asked());
}

#[test]
fn where_the_network_is_in_doubt_the_first_page_is_asked_for_alone() {
    let unchanged = (1..=10).map(|page| (page, Odd::Unchanged)).collect();
    let list = List { gather: 10, odd: unchanged, ..List::of(10) };
    let stored = stored(10);
    let ask = |request: &PageRequest| match (list.asked().is_empty(), list.ask(request)) {
        (true, _) if request.from != (PageAddress::Own { since: None }) => Err(limited()),
        (true | false, answer) => answer,
    };
    let reading = Reading { at_once: 16, stored: &stored, probe: true, ask: &ask };
    let first = PageRequest { from: PageAddress::Own { since: None }, etag: None };
    let result = reading.read(first, &mut |address, _| Ok(stored[address].next.clone()));
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(list.asked(), Vec::from_iter(1..=10));
}

#[test]
fn a_bug_in_asking_or_taking_ends_it_and_nobody_waits() {
    let list = List::of(10);
    let first = || PageRequest { from: PageAddress::Own { since: None }, etag: None };
    let ask = |request: &PageRequest| match address(&request.from) == at(4) {
        true => panic!("a bug in asking"),
        false => list.ask(request),
    };
    let stored = HashMap::new();
    let reading = Reading { at_once: 4, stored: &stored, probe: false, ask: &ask };
    let next = |answer| match answer {
        Fetched::New(Page { next, .. }) => Ok(next),
        Fetched::NotModified => Err(Error::NotFound),
    };
    let result = reading.read(first(), &mut |_, answer| next(answer));
    assert!(result.is_err_and(|error| error.to_string().contains("a bug")));
    let ask = |request: &PageRequest| list.ask(request);
    let reading = Reading { at_once: 4, stored: &stored, probe: false, ask: &ask };
    let read = || {
        reading.read(first(), &mut |address, answer| match address == at(3) {
            true => panic!("a bug in taking"),
            false => next(answer),
        })
    };
    assert!(catch_unwind(AssertUnwindSafe(read)).is_err());
}

#[test]
fn a_list_that_became_shorter_costs_no_request_more_where_one_is_asked_for_at_a_time() {
    let list = List::of(5);
    assert_eq!(list.read(1, &stored(20)), (pages(1..=5), Ok(())));
    assert_eq!(list.asked(), Vec::from_iter(1..=5));
}
