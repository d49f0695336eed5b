//! What was written and is not on GitHub: for `gistfs status`, and for whoever ends the mount.

use std::sync::Arc;

use super::{Table, name};
use crate::fs::{GistFs, lock};
use crate::model::{CommentId, GistId};
use crate::sync::report::UnsentComment;

impl GistFs {
    /// Comments, and edits of comments, that were not sent. Asks nobody.
    pub fn unsent_comments(&self) -> Vec<UnsentComment> {
        let mut tables: Vec<(GistId, Arc<Table>)> = lock(&self.desks.desks)
            .iter()
            .map(|(gist, table)| (gist.clone(), Arc::clone(table)))
            .collect();
        tables.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut found = Vec::new();
        for (gist, table) in tables {
            let (drafts, edits) = table.desk(self.now()).unsent();
            if drafts.is_empty() && edits.is_empty() {
                continue;
            }
            let title = self.commented_title(&gist);
            let edits = edits.into_iter().map(|id| self.comment_name(&gist, id));
            for name in drafts.iter().map(ToString::to_string).chain(edits) {
                found.push(UnsentComment { title: title.clone(), id: gist.to_string(), name });
            }
        }
        found
    }

    fn commented_title(&self, gist: &GistId) -> String {
        let own = self.store.find(gist).and_then(|key| self.syncer.title(key));
        let others = || self.syncer.known_other(gist).map(|known| known.description.clone());
        let title = own.or_else(others).filter(|title| !title.trim().is_empty());
        title.unwrap_or_else(|| gist.to_string())
    }

    fn comment_name(&self, gist: &GistId, id: CommentId) -> String {
        let told = self.syncer.known_comments(gist).map(|(told, _)| told).unwrap_or_default();
        let place = told.iter().position(|comment| comment.id == id);
        let name = place.and_then(|place| Some(name::of(place, told.get(place)?)));
        name.unwrap_or_else(|| format!("comment {id}"))
    }
}
