//! What is in a gist's `comments` besides what GitHub told: drafts, edits that were not sent, and
//! other names that comments go by. It lives as long as the mount.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

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
    /// What came of sending it is not known.
    pub(super) doubts: Vec<Doubt>,
    /// The comment that was renamed to this, and when.
    pub(super) of: Option<(CommentId, Time)>,
}

impl Draft {
    pub(super) fn new(bytes: Bytes, mtime: Time) -> Self {
        Self { bytes, mtime, doubts: Vec::new(), of: None }
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
            let edits = |draft: &Arc<str>| draft.contains(&**name) && scratch::matches(draft);
            !is_over(*at, REMEMBERED) || drafts.keys().any(edits)
        });
    }

    /// Whether there is nothing to remember.
    pub(super) fn is_empty(&self) -> bool {
        self.drafts.is_empty() && self.edits.is_empty() && self.also.is_empty()
    }

    pub(super) fn draft(&self, name: &str) -> Option<&Draft> {
        self.drafts.get(name)
    }

    /// The names of all drafts, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.drafts.keys()
    }

    pub(super) fn put(&mut self, name: &str, draft: Draft) {
        self.also.remove(name);
        self.drafts.insert(name.into(), draft);
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Draft> {
        self.drafts.remove(name)
    }

    /// What was written to a draft; false if it is gone.
    pub(super) fn write(&mut self, name: &str, bytes: Bytes, now: Time) -> bool {
        let draft = self.drafts.get_mut(name);
        draft.map(|draft| (draft.bytes, draft.mtime) = (bytes, now)).is_some()
    }

    pub(super) fn doubt(&mut self, name: &str, doubts: Vec<Doubt>) {
        if let Some(draft) = self.drafts.get_mut(name) {
            draft.doubts = doubts;
        }
    }

    /// The comment that is called so besides its own name. Whoever asks goes on using the name.
    pub(super) fn also(&mut self, name: &str, now: Time) -> Option<CommentId> {
        let (id, used) = self.also.get_mut(name)?;
        *used = now;
        Some(*id)
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
