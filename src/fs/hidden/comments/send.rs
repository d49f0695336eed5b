//! From what was written in `comments` to one request.

use bytes::Bytes;

use super::desk::{Draft, Edit};
use super::{CommentPlace, Found, NOBODY, Table, name, text};
use crate::api::social::Comment;
use crate::error::Error;
use crate::fs::{GistFs, Wait, lock};
use crate::model::{CommentId, GistId};
use crate::sync::comments::same_text;

impl GistFs {
    /// The file `name` was closed with these bytes: makes the comment or edits it. What cannot be
    /// sent stays, unless there is nothing in it.
    pub(super) fn send_comment(
        &self,
        gist: &GistId,
        name: &str,
        bytes: &Bytes,
    ) -> Result<(), Error> {
        let table = self.desks.of(gist);
        let _alone = lock(&table.sending);
        let (body, blank) = (text::body(name, bytes), text::is_blank(bytes));
        match CommentPlace::found(self, gist, name, Wait::Yes) {
            Ok(Found::Draft(_)) => {
                if !blank {
                    table.desk(self.now()).write(name, bytes, self.now());
                }
                self.send_draft(gist, &table, (name, name), &body?)
            }
            Ok(Found::Comment(comment, _)) => {
                self.own(&comment)?;
                if body.is_err() && !blank {
                    self.keep_edit(&table, comment.id, bytes);
                }
                self.send_edit(gist, &table, (name, &comment), (bytes, &body?))
            }
            Err(Error::NotFound)
                if name::is_possible(name)
                    || table.desk(self.now()).also(name, self.now()).is_some() =>
            {
                self.keep_orphan(&table, name, bytes);
                Err(Error::Conflict("the comment was deleted".into()))
            }
            // Its name was taken away while it was open: nobody wants it any more.
            Err(Error::NotFound) => Ok(()),
            Err(error) => {
                match name::id(name) {
                    Some(id) => {
                        self.keep_edit(&table, id, bytes);
                        tell_kept(gist, id, &error);
                    }
                    None => log::warn!("{name:?} for {gist} is dropped: {error}"),
                }
                Err(error)
            }
        }
    }

    /// Makes a comment of the draft `name`, which is called `new` then. Nothing else is being sent.
    pub(super) fn send_draft(
        &self,
        gist: &GistId,
        table: &Table,
        (name, new): (&str, &str),
        body: &str,
    ) -> Result<(), Error> {
        let login = self.options.login.as_deref().ok_or(NOBODY)?;
        let draft = table.desk(self.now()).draft(name).cloned().ok_or(Error::NotFound)?;
        let mut doubts = table.desk(self.now()).doubts([name, new]);
        let made = self.syncer.add_comment(gist, login, body, &mut doubts);
        let mut desk = table.desk(self.now());
        desk.doubt([name, new], &doubts, self.now());
        match made {
            Ok(made) => {
                desk.take(name);
                desk.became(new, made.id, self.now());
                drop(desk);
                if same_text(&made.body, body) {
                    return Ok(());
                }
                // An earlier try made it after all, with what was written then.
                self.send_edit(gist, table, (new, &made), (&draft.bytes, body))
            }
            Err(error) => {
                drop(desk);
                log::warn!(
                    "{name:?} is not a comment on {gist} yet ({error}): it stays as a draft until \
                     it is written again, removed, or unmounted"
                );
                Err(error)
            }
        }
    }

    /// Gives a comment, which is written as `name`, another text, if it is another. Nothing else is
    /// being sent.
    pub(super) fn send_edit(
        &self,
        gist: &GistId,
        table: &Table,
        (name, comment): (&str, &Comment),
        (bytes, body): (&Bytes, &str),
    ) -> Result<(), Error> {
        let id = comment.id;
        let failed = table.desk(self.now()).edit(id).is_some_and(|edit| edit.failed);
        if !failed
            && text::shown(&comment.body) == bytes
            && text::shown(&self.syncer.comment(gist, id)?.body) == bytes
        {
            table.desk(self.now()).succeed(id);
            return Ok(());
        }
        let edited = self.syncer.edit_comment(gist, id, body);
        match edited {
            Ok(_) => {
                table.desk(self.now()).succeed(id);
                Ok(())
            }
            Err(Error::NotFound) => {
                table.desk(self.now()).bury(id);
                self.keep_orphan(table, name, bytes);
                Err(Error::Conflict("the comment was deleted".into()))
            }
            Err(error) => {
                self.keep_edit(table, id, bytes);
                tell_kept(gist, id, &error);
                Err(error)
            }
        }
    }

    /// What was written to a comment and not sent stays in its place.
    fn keep_edit(&self, table: &Table, id: CommentId, bytes: &Bytes) {
        let edit = Edit { bytes: bytes.clone(), mtime: self.now(), failed: true };
        table.desk(self.now()).begin_edit(id, edit);
    }

    /// What was written to a comment that somebody deleted is a draft: writing it again makes a
    /// new comment.
    fn keep_orphan(&self, table: &Table, name: &str, bytes: &Bytes) {
        log::warn!("{name:?} was deleted meanwhile; what was written stays as a draft");
        table.desk(self.now()).put(name, Draft::new(bytes.clone(), self.now()));
    }
}

fn tell_kept(gist: &GistId, id: CommentId, error: &Error) {
    log::warn!(
        "comment {id} on {gist} is not changed ({error}): what was written stays here until it is \
         written again, taken back with rm, or unmounted"
    );
}
