//! From what was written in `comments` to one request.

use std::sync::Arc;

use bytes::Bytes;

use super::desk::{Draft, Edit};
use super::{CommentPlace, Found, NOBODY, Table, name, text};
use crate::api::social::Comment;
use crate::error::Error;
use crate::fs::{GistFs, Wait, lock};
use crate::model::GistId;
use crate::sync::comments::same_text;

impl GistFs {
    /// The file `name` was closed with these bytes, which mean this text: makes the comment or
    /// edits it. What cannot be sent stays as a draft.
    pub(super) fn send_comment(
        &self,
        gist: &GistId,
        name: &str,
        (bytes, body): (&Bytes, &str),
    ) -> Result<(), Error> {
        let table = self.desks.of(gist);
        let _alone = lock(&table.sending);
        match CommentPlace::found(self, gist, name, Wait::Yes) {
            Ok(Found::Draft(_)) => {
                table.desk(self.now()).write(name, bytes.clone(), self.now());
                self.send_draft(gist, &table, (name, name), body)
            }
            Ok(Found::Comment(comment, edit)) => {
                self.own(&comment)?;
                self.send_edit(gist, &table, (&comment, edit), (bytes, body))
            }
            Err(Error::NotFound) if name::is_possible(name) => {
                self.keep_orphan(&table, name, bytes);
                Err(Error::Conflict("the comment was deleted".into()))
            }
            // Its name was taken away while it was open: nobody wants it any more.
            Err(Error::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The draft `old` is renamed to `new`, which is free or the name of the comment `over`.
    pub(super) fn send_renamed(
        &self,
        gist: &GistId,
        (old, new): (&str, &str),
        over: Option<Arc<Comment>>,
        body: &str,
    ) -> Result<(), Error> {
        let table = self.desks.of(gist);
        let _alone = lock(&table.sending);
        let draft = table.desk(self.now()).draft(old).cloned().ok_or(Error::NotFound)?;
        let Some(comment) = over else {
            return self.send_draft(gist, &table, (old, new), body);
        };
        let edit = table.desk(self.now()).edit(comment.id).cloned();
        self.send_edit(gist, &table, (&comment, edit), (&draft.bytes, body))?;
        table.desk(self.now()).take(old);
        Ok(())
    }

    /// Makes a comment of the draft `name`, which is called `new` then.
    fn send_draft(
        &self,
        gist: &GistId,
        table: &Table,
        (name, new): (&str, &str),
        body: &str,
    ) -> Result<(), Error> {
        let login = self.options.login.as_deref().ok_or(NOBODY)?;
        let draft = table.desk(self.now()).draft(name).cloned().ok_or(Error::NotFound)?;
        let mut doubts = draft.doubts;
        let made = self.syncer.add_comment(gist, login, body, &mut doubts);
        let mut desk = table.desk(self.now());
        match made {
            Ok(made) => {
                desk.take(name);
                desk.became(new, made.id, self.now());
                drop(desk);
                if same_text(&made.body, body) {
                    return Ok(());
                }
                // An earlier try made it after all, with what was written then.
                self.send_edit(gist, table, (&made, None), (&draft.bytes, body))
            }
            Err(error) => {
                desk.doubt(name, doubts);
                drop(desk);
                log::warn!(
                    "{name:?} is not a comment on {gist} yet ({error}): it stays as a draft until \
                     it is written again, removed, or unmounted"
                );
                Err(error)
            }
        }
    }

    /// Gives a comment another text, if it is another.
    fn send_edit(
        &self,
        gist: &GistId,
        table: &Table,
        (comment, unsent): (&Comment, Option<Edit>),
        (bytes, body): (&Bytes, &str),
    ) -> Result<(), Error> {
        let id = comment.id;
        if !unsent.is_some_and(|edit| edit.failed)
            && text::shown(&comment.body) == bytes
            && text::shown(&self.syncer.comment(gist, id)?.body) == bytes
        {
            table.desk(self.now()).succeed(id);
            return Ok(());
        }
        let edited = self.syncer.edit_comment(gist, id, body);
        let (now, mut desk) = (self.now(), table.desk(self.now()));
        match edited {
            Ok(_) => {
                desk.succeed(id);
                Ok(())
            }
            Err(Error::NotFound) => {
                desk.bury(id);
                drop(desk);
                self.keep_orphan(table, &name::of(0, comment), bytes);
                Err(Error::Conflict("the comment was deleted".into()))
            }
            Err(error) => {
                desk.begin_edit(id, Edit { bytes: bytes.clone(), mtime: now, failed: true });
                drop(desk);
                log::warn!(
                    "comment {id} on {gist} is not changed ({error}): what was written stays here \
                     until it is written again, taken back with rm, or unmounted"
                );
                Err(error)
            }
        }
    }

    /// What was written to a comment that somebody deleted is a draft: writing it again makes a
    /// new comment.
    fn keep_orphan(&self, table: &Table, name: &str, bytes: &Bytes) {
        log::warn!("{name:?} was deleted meanwhile; what was written stays as a draft");
        table.desk(self.now()).put(name, Draft::new(bytes.clone(), self.now()));
    }
}
