//! The comments on one gist as far as they are known. No clock and no network.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::api::social::{Comment, Sheet, SheetAddress, Single};
use crate::model::{CommentId, Time};

/// A page with so many comments may have got a successor without changing itself.
const FULL: usize = 100;

/// Comments in the order in which they were made.
pub type Told = Arc<[Arc<Comment>]>;

/// What is known.
#[derive(Default)]
pub(super) struct Thread {
    /// The pages of the newest answer, in order.
    sheets: Vec<KnownSheet>,
    /// When they were asked for.
    told: Option<Time>,
    /// When they were last asked for, whatever came of it.
    tried: Option<Time>,
    /// What is known better than the pages tell.
    better: BTreeMap<CommentId, Better>,
    /// Comments that were made here.
    made: BTreeSet<CommentId>,
    /// What all that comes to.
    shown: Told,
}

/// A page and where it was. Its comments are those that are shown: no text is held twice.
#[derive(Clone)]
pub(super) struct KnownSheet {
    pub(super) from: SheetAddress,
    pub(super) items: Told,
    pub(super) next: Option<String>,
    etag: Option<String>,
}

impl KnownSheet {
    pub(super) fn new(from: SheetAddress, sheet: Sheet<Comment>) -> Self {
        let items = sheet.items.into_iter().map(Arc::new).collect();
        Self { from, items, next: sheet.next, etag: sheet.etag }
    }

    /// The validator to ask with; none where the same page may be followed by another one now.
    pub(super) fn etag(&self) -> Option<&str> {
        let last_and_full = self.next.is_none() && self.items.len() >= FULL;
        self.etag.as_deref().filter(|_| !last_and_full)
    }
}

/// One comment by an answer about it alone.
struct Better {
    /// When it was so.
    at: Time,
    /// When it was last asked for alone: later, where the answer may have lagged behind a change
    /// made here.
    asked: Option<Time>,
    /// `None`: it is gone.
    comment: Option<Arc<Comment>>,
    /// The validator of an answer that told the same.
    etag: Option<String>,
    /// It came of a change that was made here.
    ours: bool,
}

impl Thread {
    /// The pages of the newest answer.
    pub(super) fn sheets(&self) -> &[KnownSheet] {
        &self.sheets
    }

    /// All comments, if they were ever told.
    pub(super) fn known(&self) -> Option<Told> {
        self.told.map(|_| Arc::clone(&self.shown))
    }

    /// Whether the list was asked for less than `span` ago.
    pub(super) fn is_fresh(&self, span: Duration, now: Time) -> bool {
        self.tried.is_some_and(|at| at.is_within(span, now))
    }

    /// One comment, if it was asked for or changed less than `span` ago; `None` inside: it is gone.
    pub(super) fn fresh(
        &self,
        id: CommentId,
        span: Duration,
        now: Time,
    ) -> Option<Option<Arc<Comment>>> {
        let is_fresh = |at: Time| at.is_within(span, now);
        let better = self.better.get(&id)?;
        let fresh = is_fresh(better.at) || better.asked.is_some_and(is_fresh);
        fresh.then(|| better.comment.clone())
    }

    /// Whether any comment was asked for alone less than `span` ago.
    pub(super) fn looked_at_one(&self, span: Duration, now: Time) -> bool {
        let mut asked = self.better.values().filter_map(|better| better.asked);
        asked.any(|at| at.is_within(span, now))
    }

    /// The validator of one comment.
    pub(super) fn etag(&self, id: CommentId) -> Option<&str> {
        self.better.get(&id)?.etag.as_deref()
    }

    /// Whether the comment was made here.
    pub(super) fn was_made_here(&self, id: CommentId) -> bool {
        self.made.contains(&id)
    }

    /// How many bytes the texts take.
    pub(super) fn weight(&self) -> usize {
        self.shown.iter().map(|comment| comment.body.len()).sum()
    }

    /// When somebody last asked.
    pub(super) fn used(&self) -> Option<Time> {
        self.tried
    }

    /// Somebody asked at `at`, and no answer came.
    pub(super) fn note_try(&mut self, at: Time) {
        self.tried = Some(at);
    }

    /// Takes over the pages of an answer to a question asked at `at`. For `lag` after a change
    /// made here they may show the time before it.
    pub(super) fn take(&mut self, sheets: Vec<KnownSheet>, at: Time, lag: Duration) {
        self.sheets = sheets;
        self.told = Some(at);
        self.tried = Some(at);
        self.better.retain(|_, better| {
            let newer = better.at > at;
            newer || better.ours && better.at.is_within(lag, at)
        });
        self.settle();
    }

    /// Takes over an answer about one comment; `None`: it is gone. As with [`Thread::take`] it may
    /// show the time before a change made here.
    pub(super) fn look(
        &mut self,
        id: CommentId,
        told: Option<Single<Comment>>,
        at: Time,
        lag: Duration,
    ) {
        if let Some(better) = self.better.get_mut(&id)
            && better.ours
            && better.at.is_within(lag, at)
            && !is_newer(told.as_ref().map(|single| &single.item), better.comment.as_deref())
        {
            better.asked = Some(at);
            better.etag = told.and_then(|single| {
                let ours = better.comment.as_ref()?;
                let same = single.item.body == ours.body;
                single.etag.filter(|_| same && single.item.updated_at == ours.updated_at)
            });
            return;
        }
        let (comment, etag) = match told {
            Some(single) => (Some(Arc::new(single.item)), single.etag),
            None => (None, None),
        };
        self.better.insert(id, Better { at, asked: Some(at), comment, etag, ours: false });
        self.settle();
    }

    /// What was known of the comment was true at `at`.
    pub(super) fn confirm(&mut self, id: CommentId, at: Time) {
        if let Some(better) = self.better.get_mut(&id) {
            better.asked = Some(at);
            // How long answers may lag behind a change counts from the change.
            if !better.ours {
                better.at = at;
            }
        }
    }

    /// A change was made here, and this is what came of it; `None`: the comment is gone.
    pub(super) fn change(&mut self, id: CommentId, comment: Option<Comment>, at: Time) {
        let comment = comment.map(|mut comment| {
            // Not every answer says who wrote it, and that does not change.
            let before = self.shown.iter().find(|before| before.id == id);
            comment.author = comment.author.or_else(|| before?.author.clone());
            Arc::new(comment)
        });
        self.better.insert(id, Better { at, asked: None, comment, etag: None, ours: true });
        self.settle();
    }

    /// A comment was made here.
    pub(super) fn add(&mut self, comment: Comment, at: Time) {
        self.made.insert(comment.id);
        self.change(comment.id, Some(comment), at);
    }

    fn settle(&mut self) {
        let mut all: BTreeMap<CommentId, Arc<Comment>> = BTreeMap::new();
        for comment in self.sheets.iter().flat_map(|known| known.items.iter()) {
            all.insert(comment.id, Arc::clone(comment));
        }
        for (id, better) in &self.better {
            match &better.comment {
                Some(comment)
                    if better.ours && is_newer(all.get(id).map(|c| &**c), Some(comment)) => {}
                Some(comment) => drop(all.insert(*id, Arc::clone(comment))),
                None => drop(all.remove(id)),
            }
        }
        let mut shown: Vec<Arc<Comment>> = all.into_values().collect();
        shown.sort_by_key(|comment| (comment.created_at, comment.id));
        self.shown = shown.into();
    }
}

/// Whether what is told now was edited after what we made of the comment.
fn is_newer(told: Option<&Comment>, ours: Option<&Comment>) -> bool {
    match (told, ours) {
        (Some(told), Some(ours)) => told.updated_at > ours.updated_at,
        (Some(_), None) | (None, Some(_) | None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAG: Duration = Duration::from_secs(20);

    fn at(seconds: i64) -> Time {
        Time::new(1_700_000_000 + seconds, 0)
    }

    fn comment(id: u64, body: &str, updated: i64) -> Comment {
        let id = CommentId(id);
        let created_at = at(id.0 as i64);
        Comment { id, author: None, body: body.into(), created_at, updated_at: at(updated) }
    }

    fn page(items: &[Comment]) -> Vec<KnownSheet> {
        let sheet = Sheet { items: items.to_vec(), next: None, etag: Some("e".into()) };
        vec![KnownSheet::new(SheetAddress::First, sheet)]
    }

    fn bodies(thread: &Thread) -> Vec<String> {
        thread.known().unwrap().iter().map(|comment| comment.body.clone()).collect()
    }

    #[test]
    fn answers_that_lag_behind_a_change_made_here_do_not_undo_it() {
        let mut thread = Thread::default();
        let before = [comment(1, "one", 1), comment(2, "two", 2), comment(3, "three", 3)];
        thread.take(page(&before), at(10), LAG);
        thread.change(CommentId(1), Some(comment(1, "edited", 11)), at(11));
        thread.change(CommentId(2), None, at(12));
        thread.add(comment(4, "new", 13), at(13));
        assert_eq!(bodies(&thread), ["edited", "three", "new"]);
        thread.take(page(&before), at(15), LAG);
        assert_eq!(bodies(&thread), ["edited", "three", "new"]);
        thread.look(
            CommentId(2),
            Some(Single { item: comment(2, "two", 2), etag: None }),
            at(16),
            LAG,
        );
        assert_eq!(bodies(&thread), ["edited", "three", "new"]);
        thread.take(page(&before), at(40), LAG);
        assert_eq!(bodies(&thread), ["one", "two", "three"]);
    }

    #[test]
    fn an_edit_from_elsewhere_shows_although_there_was_one_here_just_before() {
        let mut thread = Thread::default();
        thread.take(page(&[comment(1, "one", 1)]), at(10), LAG);
        thread.change(CommentId(1), Some(comment(1, "ours", 11)), at(11));
        thread.take(page(&[comment(1, "theirs", 12)]), at(13), LAG);
        assert_eq!(bodies(&thread), ["theirs"]);
    }

    #[test]
    fn a_look_at_one_comment_counts_until_the_list_is_asked_again() {
        let (mut thread, span) = (Thread::default(), Duration::from_secs(5));
        thread.take(page(&[comment(1, "one", 1)]), at(10), LAG);
        let told = Single { item: comment(1, "edited", 12), etag: Some("x".into()) };
        thread.look(CommentId(1), Some(told), at(20), LAG);
        assert_eq!(bodies(&thread), ["edited"]);
        assert_eq!(thread.etag(CommentId(1)), Some("x"));
        assert!(thread.fresh(CommentId(1), span, at(24)).is_some());
        assert!(thread.fresh(CommentId(1), span, at(25)).is_none());
        assert!(thread.fresh(CommentId(1), span, at(19)).is_none(), "a clock that was set back");
        thread.look(CommentId(1), None, at(30), LAG);
        assert!(bodies(&thread).is_empty());
        thread.take(page(&[comment(1, "edited again", 31)]), at(32), LAG);
        assert_eq!(bodies(&thread), ["edited again"]);
    }

    #[test]
    fn after_an_edit_made_here_an_answer_counts_as_long_as_any_other() {
        let (mut thread, span) = (Thread::default(), Duration::from_secs(5));
        let (id, told) = (CommentId(1), |body: &str, updated| Single {
            item: comment(1, body, updated),
            etag: Some("x".into()),
        });
        thread.take(page(&[comment(1, "one", 1)]), at(10), LAG);
        thread.change(id, Some(comment(1, "ours", 11)), at(11));
        assert!(thread.fresh(id, span, at(17)).is_none());
        // It lags: what it tells is not what is shown, so its validator is of no use.
        thread.look(id, Some(told("one", 1)), at(17), LAG);
        assert!(thread.fresh(id, span, at(21)).is_some() && thread.etag(id).is_none());
        thread.look(id, Some(told("ours", 11)), at(23), LAG);
        assert!(thread.looked_at_one(span, at(24)));
        assert_eq!(thread.etag(id), Some("x"));
        thread.confirm(id, at(29));
        assert!(thread.fresh(id, span, at(33)).is_some());
        // That made the time in which others may lag no longer.
        thread.take(page(&[comment(1, "other", 11)]), at(32), LAG);
        assert_eq!(bodies(&thread), ["other"]);
    }

    #[test]
    fn no_text_is_held_twice() {
        let mut thread = Thread::default();
        thread.take(page(&[comment(1, "one", 1)]), at(10), LAG);
        let shown = thread.known().unwrap();
        let held = thread.sheets().first().unwrap().items.first().unwrap();
        assert!(Arc::ptr_eq(shown.first().unwrap(), held));
    }

    #[test]
    fn a_full_last_page_is_asked_for_without_its_validator() {
        let full: Vec<Comment> = (1..=100).map(|id| comment(id, "x", 1)).collect();
        assert_eq!(page(&full).first().unwrap().etag(), None);
        assert_eq!(page(&full[1..]).first().unwrap().etag(), Some("e"));
    }
}
