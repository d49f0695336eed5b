//! What is in a gist's `comments` besides what GitHub told: drafts, edits that were not sent, and
//! other names that comments go by. It lives as long as the mount.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::text;
use crate::model::{CommentId, Time};
use crate::store::scratch;
use crate::sync::comments::Doubt;

/// A comment that an editor has put aside comes back when its successor is not there by then.
const ASIDE: Duration = Duration::from_secs(30);

/// The name a comment was made under means it for so long after somebody last used it.
const REMEMBERED: Duration = Duration::from_secs(300);

/// A file that is no comment, or not yet.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) bytes: Bytes,
    pub(super) mtime: Time,
    /// The comment that was renamed to this, and when.
    pub(super) of: Option<(CommentId, Time)>,
    /// Its place among all drafts that there ever were on the desk.
    serial: u64,
}

impl Draft {
    pub(super) fn new(bytes: Bytes, mtime: Time) -> Self {
        Self { bytes, mtime, of: None, serial: 0 }
    }
}

/// What a comment shall become.
#[derive(Clone, Debug)]
pub(super) struct Edit {
    pub(super) bytes: Bytes,
    pub(super) mtime: Time,
    /// It was sent, and failed. Else somebody is about to write it.
    pub(super) failed: bool,
}

/// All that of one gist.
#[derive(Default)]
pub(super) struct Desk {
    drafts: BTreeMap<Arc<str>, Draft>,
    edits: BTreeMap<CommentId, Edit>,
    also: HashMap<Arc<str>, (CommentId, Time)>,
    /// What may have been made under a name although nobody said so, and when there last was a
    /// draft of that name: an editor takes a draft away before it writes it anew.
    doubts: HashMap<Arc<str>, (Vec<Doubt>, Time)>,
    /// How many drafts there ever were.
    put: u64,
}

impl Desk {
    /// Forgets what lasts for a time only.
    pub(super) fn tidy(&mut self, now: Time) {
        let is_over = |at: Time, span| now < at || now.since(at) >= span;
        for draft in self.drafts.values_mut() {
            draft.of = draft.of.filter(|(_, at)| !is_over(*at, ASIDE));
        }
        self.edits.retain(|_, edit| edit.failed || !is_over(edit.mtime, ASIDE));
        let drafts = &self.drafts;
        self.also.retain(|name, (_, at)| {
            // vim's swap file says that it is still being edited.
            let edits = |draft: &Arc<str>| draft.contains(&**name) && scratch::may_match(draft);
            !is_over(*at, REMEMBERED) || drafts.keys().any(edits)
        });
        self.doubts.retain(|name, (_, at)| {
            if drafts.contains_key(name) {
                *at = now;
            }
            !is_over(*at, REMEMBERED)
        });
    }

    /// Whether there is nothing to remember.
    pub(super) fn is_empty(&self) -> bool {
        let nothing_unsent = self.drafts.is_empty() && self.edits.is_empty();
        nothing_unsent && self.also.is_empty() && self.doubts.is_empty()
    }

    pub(super) fn draft(&self, name: &str) -> Option<&Draft> {
        self.drafts.get(name)
    }

    /// All drafts by their names, in the order in which they came, each with a number of its own.
    pub(super) fn drafts(&self) -> Vec<(u64, &Arc<str>)> {
        let mut all: Vec<_> =
            self.drafts.iter().map(|(name, draft)| (draft.serial, name)).collect();
        all.sort();
        all
    }

    /// The names of drafts that could be comments, and the comments whose edits failed.
    pub(super) fn unsent(&self) -> (Vec<Arc<str>>, Vec<CommentId>) {
        let says = |(name, draft): &(&Arc<str>, &Draft)| {
            !scratch::may_match(name) && !text::is_blank(&draft.bytes)
        };
        let drafts = self.drafts.iter().filter(says).map(|(name, _)| Arc::clone(name));
        let edits = self.edits.iter().filter(|(_, edit)| edit.failed);
        (drafts.collect(), edits.map(|(id, _)| *id).collect())
    }

    pub(super) fn put(&mut self, name: &str, draft: Draft) {
        self.also.remove(name);
        self.put += 1;
        self.drafts.insert(name.into(), Draft { serial: self.put, ..draft });
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Draft> {
        self.drafts.remove(name)
    }

    /// What was written to a draft; false if it is gone.
    pub(super) fn write(&mut self, name: &str, bytes: &Bytes, now: Time) -> bool {
        let draft = self.drafts.get_mut(name);
        draft.map(|draft| (draft.bytes, draft.mtime) = (bytes.clone(), now)).is_some()
    }

    /// What may have been made under any of these names.
    pub(super) fn doubts(&self, names: [&str; 2]) -> Vec<Doubt> {
        let mut all: Vec<Doubt> = Vec::new();
        for doubt in names.iter().filter_map(|name| self.doubts.get(*name)).flat_map(|d| &d.0) {
            if !all.contains(doubt) {
                all.push(doubt.clone());
            }
        }
        all
    }

    /// What came of sending a draft by these names: it may be written again by either.
    pub(super) fn doubt(&mut self, names: [&str; 2], doubts: &[Doubt], now: Time) {
        for name in names {
            if doubts.is_empty() {
                self.doubts.remove(name);
            } else {
                self.doubts.insert(name.into(), (doubts.to_vec(), now));
            }
        }
    }

    /// The comment that is called so besides its own name. Whoever asks goes on using the name.
    pub(super) fn also(&mut self, name: &str, now: Time) -> Option<CommentId> {
        let (id, used) = self.also.get_mut(name)?;
        *used = now;
        Some(*id)
    }

    /// A comment that is called `old` besides its own name is called `new` instead.
    pub(super) fn rename_also(&mut self, old: &str, new: &str, now: Time) {
        if let Some((id, _)) = self.also.remove(old) {
            self.became(new, id, now);
        }
    }

    /// The comment is not called so any more.
    pub(super) fn forget_also(&mut self, name: &str) {
        self.also.remove(name);
    }

    /// The draft `name` is a comment now.
    pub(super) fn became(&mut self, name: &str, id: CommentId, now: Time) {
        self.drafts.remove(name);
        self.also.insert(name.into(), (id, now));
    }

    pub(super) fn edit(&self, id: CommentId) -> Option<&Edit> {
        self.edits.get(&id)
    }

    pub(super) fn begin_edit(&mut self, id: CommentId, edit: Edit) {
        self.edits.insert(id, edit);
    }

    /// The comment is as GitHub has it.
    pub(super) fn end_edit(&mut self, id: CommentId) -> Option<Edit> {
        self.edits.remove(&id)
    }

    /// The comment has a successor: what it was renamed to is nothing but a copy.
    pub(super) fn succeed(&mut self, id: CommentId) {
        self.edits.remove(&id);
        for draft in self.drafts.values_mut() {
            draft.of = draft.of.filter(|(of, _)| *of != id);
        }
    }

    /// The comment is gone, and so are its names.
    pub(super) fn bury(&mut self, id: CommentId) {
        self.succeed(id);
        self.also.retain(|_, (other, _)| *other != id);
    }

    /// Whether an editor has put the comment aside, and no successor is there yet.
    pub(super) fn is_aside(&self, id: CommentId) -> bool {
        !self.edits.contains_key(&id)
            && self.drafts.values().any(|draft| draft.of.is_some_and(|(of, _)| of == id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: CommentId = CommentId(7);

    fn at(seconds: i64) -> Time {
        Time::new(seconds, 0)
    }

    fn aside() -> Desk {
        let mut desk = Desk::default();
        let mut draft = Draft::new("old\n".into(), at(0));
        draft.of = Some((ID, at(0)));
        desk.put("0001-octo-7.md~", draft);
        desk
    }

    #[test]
    fn a_comment_put_aside_comes_back_with_its_successor_or_when_none_comes() {
        let mut desk = aside();
        desk.tidy(at(29));
        assert!(desk.is_aside(ID));
        desk.begin_edit(ID, Edit { bytes: Bytes::new(), mtime: at(29), failed: false });
        assert!(!desk.is_aside(ID));
        desk.succeed(ID);
        assert!(!desk.is_aside(ID) && desk.draft("0001-octo-7.md~").is_some());

        let mut desk = aside();
        desk.tidy(at(30));
        assert!(!desk.is_aside(ID) && desk.draft("0001-octo-7.md~").is_some());
        let mut desk = aside();
        desk.take("0001-octo-7.md~");
        assert!(!desk.is_aside(ID) && desk.is_empty());
    }

    #[test]
    fn what_may_have_been_made_under_a_name_is_remembered_while_its_draft_is_taken_away() {
        let mut desk = Desk::default();
        let doubts = [Doubt::new(None, "x")];
        desk.put("new.md", Draft::new("x".into(), at(0)));
        desk.doubt(["new.md", "new.md"], &doubts, at(0));
        desk.tidy(at(9000));
        desk.take("new.md");
        desk.tidy(at(9299));
        assert_eq!(desk.doubts(["a.md", "new.md"]), doubts);
        desk.doubt(["a.md", "new.md"], &doubts, at(9299));
        assert_eq!(desk.doubts(["a.md", "new.md"]), doubts, "each once");
        desk.doubt(["new.md", "b.md"], &[], at(9299));
        assert!(desk.doubts(["new.md", "b.md"]).is_empty());
        assert!(!desk.is_empty());
        desk.tidy(at(9599));
        assert!(desk.is_empty());
    }

    #[test]
    fn what_was_not_sent_is_told_but_for_what_says_nothing() {
        let mut desk = Desk::default();
        for (name, text) in [("b.md", "b"), ("a.md", "a"), ("a.md~", "a"), ("empty.md", " \n")] {
            desk.put(name, Draft::new(text.into(), at(0)));
        }
        desk.begin_edit(ID, Edit { bytes: Bytes::new(), mtime: at(0), failed: true });
        let (drafts, edits) = desk.unsent();
        assert_eq!(drafts, ["a.md".into(), "b.md".into()] as [Arc<str>; 2]);
        assert_eq!(edits, [ID]);
    }

    #[test]
    fn an_edit_that_nobody_writes_is_forgotten_and_one_that_failed_is_not() {
        let mut desk = Desk::default();
        desk.begin_edit(ID, Edit { bytes: Bytes::new(), mtime: at(0), failed: false });
        desk.begin_edit(CommentId(8), Edit { bytes: "x".into(), mtime: at(0), failed: true });
        desk.tidy(at(30));
        assert!(desk.edit(ID).is_none() && desk.edit(CommentId(8)).is_some());
    }

    #[test]
    fn the_name_a_comment_was_made_under_lasts_while_it_is_used_or_edited() {
        let mut desk = Desk::default();
        desk.put("new.md", Draft::new("x".into(), at(0)));
        desk.became("new.md", ID, at(0));
        assert!(desk.draft("new.md").is_none());
        assert_eq!(desk.also("new.md", at(200)), Some(ID));
        desk.tidy(at(499));
        assert_eq!(desk.also("new.md", at(200)), Some(ID));
        desk.put(".new.md.swp", Draft::new("".into(), at(300)));
        desk.tidy(at(9000));
        assert_eq!(desk.also("new.md", at(200)), Some(ID));
        desk.take(".new.md.swp");
        desk.tidy(at(9000));
        assert_eq!(desk.also("new.md", at(9000)), None);
        assert!(desk.is_empty());
    }
}
