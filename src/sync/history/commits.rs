//! The commits of one gist as far as GitHub was asked for them: newest first, pages at a time.
//!
//! Commits do not change, so what is known stays true; new ones come in front. Only a history that
//! somebody rewrote does not begin as the known one did: then it is learnt anew.

use std::collections::{HashMap, VecDeque};

use crate::api::social::{Commit, Sheet};
use crate::model::{CommitId, Revision, Time};

/// Where the first page stands; new commits get smaller numbers.
const MIDDLE: u64 = 1 << 24;

/// More commits are not shown: whoever needs those has the git repository.
pub(super) const MOST: usize = 50_000;

/// More pages are not asked for, whatever is on them.
pub(super) const MOST_PAGES: usize = MOST / 100;

/// How many digits name a commit where they suffice.
const DIGITS: usize = 7;

/// The known beginning of a history.
pub(super) struct Commits {
    /// Newest first.
    list: VecDeque<Revision>,
    /// The position of the first of them. A commit's position never changes.
    first: u64,
    /// Positions by what names a commit: its second and digits.
    names: HashMap<(i64, String), u64>,
    /// The address of the page behind what is known; `None`: that is all.
    next: Option<String>,
    /// How many pages were read.
    pages: usize,
    /// The validator of the first page.
    etag: Option<String>,
}

impl Commits {
    /// What the first page tells.
    pub(super) fn new(page: Sheet<Commit>) -> Self {
        let mut commits = Self {
            list: VecDeque::new(),
            first: MIDDLE,
            names: HashMap::new(),
            next: None,
            pages: 0,
            etag: page.etag.clone(),
        };
        commits.extend(page);
        commits
    }

    /// How many are known.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// The validator of the first page.
    pub(super) fn etag(&self) -> Option<&str> {
        self.etag.as_deref()
    }

    /// Where it goes on behind what is known.
    pub(super) fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }

    /// At most `most` of those behind the position `after`, each with its own.
    pub(super) fn behind(&self, after: u64, most: usize) -> Vec<(u64, Revision)> {
        let skipped = (after + 1).saturating_sub(self.first);
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        let positions = self.first..;
        positions.zip(self.list.iter().cloned()).skip(skipped).take(most).collect()
    }

    /// The one of that second called so.
    pub(super) fn called(&self, committed_at: Time, digits: &str) -> Option<Revision> {
        let position = self.names.get(&(committed_at.seconds(), digits.to_owned()))?;
        self.at(*position).cloned()
    }

    fn at(&self, position: u64) -> Option<&Revision> {
        self.list.get(usize::try_from(position.checked_sub(self.first)?).ok()?)
    }

    /// Takes over what the first page tells now.
    pub(super) fn renew(&mut self, page: Sheet<Commit>) {
        let newest = self.list.front().map(|revision| &revision.commit);
        let newer = page.items.iter().position(|commit| Some(&commit.version) == newest);
        let known = |newer: &usize| {
            let told = page.items.iter().skip(*newer).map(|commit| &commit.version);
            told.zip(&self.list).all(|(told, known)| *told == known.commit)
        };
        let Some(newer) = newer.filter(known) else {
            *self = Self::new(page);
            return;
        };
        for commit in page.items.into_iter().take(newer).rev() {
            if let Some(revision) = self.named(commit.version, commit.committed_at) {
                self.first -= 1;
                self.note(&revision, self.first);
                self.list.push_front(revision);
            }
        }
        self.etag = page.etag;
    }

    /// Takes over the page behind what is known. Some of it may be known: what was made since then
    /// moved all others down the pages.
    pub(super) fn extend(&mut self, page: Sheet<Commit>) {
        self.pages += 1;
        for commit in page.items {
            if let Some(revision) = self.named(commit.version, commit.committed_at) {
                self.note(&revision, self.first + self.list.len() as u64);
                self.list.push_back(revision);
            }
        }
        let full = self.list.len() >= MOST || self.pages >= MOST_PAGES;
        if full && page.next.is_some() {
            log::warn!("a history has more than {} revisions; older are not shown", self.len());
        }
        self.next = page.next.filter(|_| !full);
    }

    /// The commit with as many digits as it takes to be called like no other; `None` if it is known.
    fn named(&self, commit: CommitId, committed_at: Time) -> Option<Revision> {
        let whole = commit.as_str().len();
        for digits in DIGITS..=whole {
            let revision = Revision { commit: commit.clone(), committed_at, digits };
            match self.called(committed_at, revision.short()) {
                None => return Some(revision),
                Some(known) if known.commit == commit => return None,
                Some(_) => {}
            }
        }
        None
    }

    fn note(&mut self, revision: &Revision, position: u64) {
        let name = (revision.committed_at.seconds(), revision.short().to_owned());
        self.names.insert(name, position);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn commit(number: u64) -> Commit {
        Commit {
            version: CommitId::parse(&format!("{number:040x}")).unwrap(),
            // So many in a second that digits have to tell them apart.
            committed_at: Time::new(i64::try_from(number / 8).unwrap(), 0),
        }
    }

    /// The page behind the first `from` of the commits `0..total`, which are numbered by age.
    fn page(total: u64, from: u64, size: u64) -> Sheet<Commit> {
        let items = (0..total).rev().skip(from as usize).take(size as usize).map(commit).collect();
        let next = (from + size < total).then(|| (from + size).to_string());
        Sheet { items, next, etag: Some(total.to_string()) }
    }

    fn numbers(commits: &Commits) -> Vec<u64> {
        let hex = |revision: &Revision| u64::from_str_radix(revision.commit.as_str(), 16).unwrap();
        commits.list.iter().map(hex).collect()
    }

    #[test]
    fn those_of_one_second_and_one_beginning_get_more_digits_until_they_differ() {
        let commits = Commits::new(page(3, 0, 100));
        let names: Vec<usize> = commits.list.iter().map(|revision| revision.digits).collect();
        // …2 came first, …1 differs in the last digit, …0 too.
        assert_eq!(names, [7, 8, 9]);
        for revision in &commits.list {
            let found = commits.called(revision.committed_at, revision.short());
            assert_eq!(found.as_ref(), Some(revision));
        }
        assert_eq!(commits.called(Time::new(0, 0), &"0".repeat(10)), None);
    }

    #[test]
    fn a_rewritten_history_is_learnt_anew() {
        let mut commits = Commits::new(page(5, 0, 3));
        let mut rewritten = page(7, 0, 5);
        rewritten.items.remove(3);
        let expected: Vec<u64> = vec![6, 5, 4, 2];
        commits.renew(rewritten);
        assert_eq!((numbers(&commits), commits.next()), (expected, Some("5")));
    }

    #[test]
    fn pages_without_an_end_end() {
        let mut commits = Commits::new(page(5, 0, 3));
        let mut asked = 0;
        while let Some(next) = commits.next().map(str::to_owned) {
            commits.extend(Sheet { next: Some(next), ..page(5, 0, 3) });
            asked += 1;
        }
        assert!(asked < MOST_PAGES && commits.len() == 3, "{asked}");
    }

    proptest! {
        #[test]
        fn whatever_comes_meanwhile_a_reader_sees_each_commit_that_was_there_once(
            begin in 1_u64..60,
            news in proptest::collection::vec(0_u64..5, 0..60),
            size in 4_u64..9,
            step in 1_usize..7,
        ) {
            let mut total = begin;
            let mut news = news.into_iter();
            let mut commits = Commits::new(page(total, 0, size));
            let (mut seen, mut after): (Vec<u64>, u64) = (Vec::new(), 0);
            loop {
                let part = commits.behind(after, step);
                if let Some((last, _)) = part.last() {
                    after = *last;
                    let hex = |(_, revision): &(u64, Revision)| {
                        u64::from_str_radix(revision.commit.as_str(), 16).unwrap()
                    };
                    seen.extend(part.iter().map(hex));
                } else if let Some(next) = commits.next() {
                    let from = next.parse().unwrap();
                    commits.extend(page(total, from, size));
                } else {
                    break;
                }
                // Fewer than a page, or it would be a history that does not go on from the known.
                total += news.next().unwrap_or(0).min(size - 1);
                commits.renew(page(total, 0, size));
            }
            prop_assert_eq!(seen, (0..begin).rev().collect::<Vec<_>>());
            prop_assert_eq!(numbers(&commits), (0..total).rev().collect::<Vec<_>>());
            let names: std::collections::HashSet<_> =
                commits.list.iter().map(|known| (known.committed_at, known.short())).collect();
            prop_assert_eq!(names.len() as u64, total);
        }
    }
}
