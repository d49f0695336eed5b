//! Comments that are made, edited and deleted here: each once, whatever the network does.

use std::sync::Arc;
use std::time::Duration;

use super::super::Syncer;
use super::super::social::SocialError;
use super::{find, passes};
use crate::api::Fetched;
use crate::api::social::{Comment, Single};
use crate::error::Error;
use crate::model::{CommentId, GistId};

/// The pauses between looks for a comment that may have been made.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(4));

/// A comment that was sent and may have been made although nobody said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// The newest comment there was before.
    after: Option<CommentId>,
    /// What was sent.
    body: String,
}

impl Doubt {
    /// `body` was sent when no comment was newer than `after`.
    pub fn new(after: Option<CommentId>, body: &str) -> Self {
        Self { after, body: body.to_owned() }
    }

    fn is_about(&self, comment: &Comment, login: &str) -> bool {
        let own = comment.author.as_deref().is_some_and(|by| by.eq_ignore_ascii_case(login));
        own && Some(comment.id) > self.after && same_text(&comment.body, &self.body)
    }
}

/// Whether GitHub may have stored one for the other.
pub fn same_text(a: &str, b: &str) -> bool {
    let plain = |text: &str| text.replace("\r\n", "\n").trim().to_owned();
    plain(a) == plain(b)
}

impl Syncer {
    /// Comments on a gist, once: what an earlier try may have made (`doubts`) is looked for first, and
    /// what this one may have made is looked for afterwards, for the time that reads may lag.
    ///
    /// A comment that an earlier try made has the text that was sent then.
    pub fn add_comment(
        &self,
        gist: &GistId,
        login: &str,
        body: &str,
        doubts: &mut Vec<Doubt>,
    ) -> Result<Arc<Comment>, Error> {
        if !doubts.is_empty()
            && let Some(made) = self.find_made(gist, login, doubts)?
        {
            doubts.clear();
            return Ok(made);
        }
        let after = self.comments(gist)?.iter().map(|comment| comment.id).max();
        match self.social_change(&|api| api.add_comment(gist, body)) {
            Ok(made) => {
                doubts.clear();
                Ok(self.was_made(gist, login, made))
            }
            Err(error) if error.outcome_unknown() => {
                log::info!("a comment on {gist} may have been made or not: {error}; looking");
                doubts.push(Doubt::new(after, body));
                match self.wait_for_made(gist, login, doubts) {
                    Some(made) => {
                        doubts.clear();
                        Ok(made)
                    }
                    None => Err(error.into()),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    fn was_made(&self, gist: &GistId, login: &str, mut made: Comment) -> Arc<Comment> {
        // An answer may not say who made it, but it was us.
        made.author.get_or_insert_with(|| login.to_owned());
        self.talk(gist).thread().add(made.clone(), self.now());
        Arc::new(made)
    }

    /// A comment that may have been made and was.
    fn find_made(
        &self,
        gist: &GistId,
        login: &str,
        doubts: &[Doubt],
    ) -> Result<Option<Arc<Comment>>, SocialError> {
        let told = self.comments_now(gist)?;
        let talk = self.talk(gist);
        let mut thread = talk.thread();
        let made = told.iter().find(|comment| {
            let wanted = doubts.iter().any(|doubt| doubt.is_about(comment, login));
            wanted && !thread.was_made_here(comment.id)
        });
        if let Some(made) = made {
            thread.add(Comment::clone(made), self.now());
        }
        Ok(made.map(Arc::clone))
    }

    /// Looks for it until reads do not lag any more.
    fn wait_for_made(&self, gist: &GistId, login: &str, doubts: &[Doubt]) -> Option<Arc<Comment>> {
        let until = self.now().after(self.options.read_lag);
        let (mut pause, longest) = PAUSES;
        loop {
            match self.find_made(gist, login, doubts) {
                Ok(Some(made)) => return Some(made),
                Ok(None) => {}
                Err(error) if passes(&error) => log::debug!("comments of {gist}: {error}"),
                Err(error) => {
                    log::debug!("comments of {gist}: {error}");
                    return None;
                }
            }
            let left = until.since(self.now());
            if left.is_zero() || self.shared().gives_way {
                return None;
            }
            (self.sleep)(pause.min(left));
            pause = (pause * 2).min(longest);
        }
    }

    /// Gives a comment another text. If nobody knows whether that worked, it is sent once more.
    pub fn edit_comment(
        &self,
        gist: &GistId,
        id: CommentId,
        body: &str,
    ) -> Result<Arc<Comment>, Error> {
        let edit = || self.social_change(&|api| api.edit_comment(gist, id, body));
        let edited = match edit() {
            Err(error) if error.outcome_unknown() => {
                log::info!("an edit of comment {id} on {gist} is sent again: {error}");
                edit()
            }
            edited => edited,
        };
        let talk = self.talk(gist);
        match edited {
            Ok(edited) => {
                talk.thread().change(id, Some(edited.clone()), self.now());
                Ok(Arc::new(edited))
            }
            Err(error) if error.outcome_unknown() => {
                let look = self.social_read(&|api| api.comment(gist, id, None));
                match look {
                    Ok(Fetched::New(Single { item, .. })) if same_text(&item.body, body) => {
                        talk.thread().change(id, Some(item.clone()), self.now());
                        Ok(Arc::new(item))
                    }
                    Ok(Fetched::New(_) | Fetched::NotModified) | Err(_) => Err(error.into()),
                }
            }
            Err(error) if error.is_not_found() && self.is_gone(gist, id) => Err(Error::NotFound),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes a comment. If nobody knows whether that worked, it is sent once more.
    pub fn delete_comment(&self, gist: &GistId, id: CommentId) -> Result<(), Error> {
        let delete = || self.social_change(&|api| api.delete_comment(gist, id));
        let deleted = match delete() {
            Err(error) if error.outcome_unknown() => {
                log::info!("a deletion of comment {id} on {gist} is sent again: {error}");
                match delete() {
                    // The first one was carried out.
                    Err(error) if error.is_not_found() => Ok(()),
                    deleted => deleted,
                }
            }
            deleted => deleted,
        };
        match deleted {
            Ok(()) => {
                self.talk(gist).thread().change(id, None, self.now());
                Ok(())
            }
            Err(error)
                if (error.is_not_found() || error.outcome_unknown()) && self.is_gone(gist, id) =>
            {
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a comment that GitHub does not find is gone; else it is not for this token to change.
    fn is_gone(&self, gist: &GistId, id: CommentId) -> bool {
        self.comments_now(gist).is_ok_and(|told| find(&told, id).is_none())
    }
}
