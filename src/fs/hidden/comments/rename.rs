//! Names in `comments` that are taken away or changed: what that means for comments and drafts.

use std::sync::Arc;

use super::desk::{Draft, Edit};
use super::{CommentPlace, Found, Table, text};
use crate::api::social::Comment;
use crate::error::Error;
use crate::fs::{GistFs, Wait};
use crate::model::GistId;
use crate::store::scratch;

const GITHUB_NAMES: Error =
    Error::NotPermitted("a comment is called as gistfs calls it: copy it for another one");

impl CommentPlace {
    /// Removes a draft, takes an edit back that was not sent, or deletes a comment.
    pub(super) fn remove(&self, fs: &GistFs, name: &str, wait: Wait) -> Result<(), Error> {
        let gist = fs.gist_id(&self.whose)?.ok_or(Error::NotFound)?;
        let table = fs.desks.of(&gist);
        if scratch::may_match(name) && table.desk(fs.now()).take(name).is_some() {
            return Ok(());
        }
        // A draft that is being sent may be a comment when that is over.
        let _alone = table.alone(wait)?;
        let comment = match Self::found(fs, &gist, name, wait)? {
            Found::Draft(_) => {
                table.desk(fs.now()).take(name);
                return Ok(());
            }
            Found::Comment(comment, Some(edit)) if edit.failed => {
                table.desk(fs.now()).end_edit(comment.id);
                log::info!("{name:?} is again as GitHub has it; what was not sent is dropped");
                return Ok(());
            }
            Found::Comment(comment, _) => comment,
        };
        fs.own(&comment)?;
        match wait {
            Wait::No => Err(Error::WouldWait),
            Wait::Yes => {
                fs.syncer.delete_comment(&gist, comment.id)?;
                table.desk(fs.now()).bury(comment.id);
                Ok(())
            }
        }
    }

    /// Renames a file to another name in the same directory.
    pub(super) fn rename_in(
        &self,
        fs: &GistFs,
        old: &str,
        new: &str,
        wait: Wait,
    ) -> Result<(), Error> {
        let gist = self.gist(fs)?;
        let table = fs.desks.of(&gist);
        let _alone = table.alone(wait)?;
        let found = Self::found(fs, &gist, old, wait)?;
        if old == new {
            return Ok(());
        }
        match found {
            Found::Draft(draft) => fs.rename_draft(&gist, &table, (old, new), draft, wait),
            Found::Comment(comment, edit) => {
                fs.own(&comment)?;
                if scratch::may_match(new) {
                    fs.put_aside(&table, new, &comment, edit);
                    Ok(())
                } else if table.desk(fs.now()).also(old, fs.now()) == Some(comment.id) {
                    fs.rename_made(&gist, &table, (old, new), (&comment, edit), wait)
                } else {
                    Err(GITHUB_NAMES)
                }
            }
        }
    }
}

impl GistFs {
    /// An editor renames a comment to a scratch name, to write it anew.
    fn put_aside(&self, table: &Table, name: &str, comment: &Comment, edit: Option<Edit>) {
        let bytes = edit.map_or_else(|| text::shown(&comment.body), |edit| edit.bytes);
        let mut draft = Draft::new(bytes, comment.updated_at);
        draft.of = Some((comment.id, self.now()));
        let mut desk = table.desk(self.now());
        desk.end_edit(comment.id);
        desk.put(name, draft);
    }

    fn rename_draft(
        &self,
        gist: &GistId,
        table: &Table,
        (old, new): (&str, &str),
        draft: Draft,
        wait: Wait,
    ) -> Result<(), Error> {
        let over = CommentPlace::meant(self, gist, new, wait)?;
        if let Some(comment) = &over {
            self.own(comment)?;
        } else if scratch::may_match(new) || text::is_blank(&draft.bytes) {
            let mut desk = table.desk(self.now());
            if !scratch::may_match(new) {
                let doubts = desk.doubts([old, new]);
                desk.doubt([old, new], &doubts, self.now());
            }
            desk.take(old);
            desk.put(new, draft);
            return Ok(());
        }
        let body = text::body(new, &draft.bytes)?;
        if wait == Wait::No {
            return Err(Error::WouldWait);
        }
        let Some(comment) = over else {
            return self.send_draft(gist, table, (old, new), &body);
        };
        self.send_edit(gist, table, (new, &comment), (&draft.bytes, &body))?;
        let mut desk = table.desk(self.now());
        desk.take(old);
        desk.take(new);
        Ok(())
    }

    /// A comment that still goes by the name it was made under is renamed, as by a program that
    /// saves under another name first: it is called `new` then, or takes the place of the comment
    /// that is.
    fn rename_made(
        &self,
        gist: &GistId,
        table: &Table,
        (old, new): (&str, &str),
        (made, edit): (&Comment, Option<Edit>),
        wait: Wait,
    ) -> Result<(), Error> {
        let over: Arc<Comment> = match CommentPlace::meant(self, gist, new, wait)? {
            Some(over) if over.id == made.id => {
                table.desk(self.now()).forget_also(old);
                return Ok(());
            }
            Some(over) => over,
            None => {
                table.desk(self.now()).rename_also(old, new, self.now());
                return Ok(());
            }
        };
        self.own(&over)?;
        let bytes = edit.map_or_else(|| text::shown(&made.body), |edit| edit.bytes);
        let body = text::body(new, &bytes)?;
        if wait == Wait::No {
            return Err(Error::WouldWait);
        }
        self.send_edit(gist, table, (new, &over), (&bytes, &body))?;
        self.syncer.delete_comment(gist, made.id)?;
        table.desk(self.now()).bury(made.id);
        Ok(())
    }
}
