//! What people do with a gist besides writing it: stars, forks, comments.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::gist::{Comment, Gist};
use super::patch;
use super::reply::Reply;
use super::routes::Call;
use super::server::Server;
use crate::model::Time;

/// A comment's length in characters ends here.
const LONGEST_COMMENT: usize = 65_535;

/// `GET /gists/ID/star`
pub(super) fn starred(call: &Call, id: &str) -> Result<Reply, Reply> {
    let login = call.caller.known()?;
    let (gist, _) = call.readable(id)?;
    if gist.stars.contains(login) {
        Ok(Reply::empty(204))
    } else {
        Ok(Reply::json(404, &json!({})))
    }
}

/// `PUT` and `DELETE /gists/ID/star`
pub(super) fn star(call: &Call, id: &str, on: bool) -> Result<Reply, Reply> {
    let login = call.caller.writer()?;
    call.readable(id)?;
    call.site.store.annotate(id, call.switches.social_bumps, |gist| {
        if on {
            gist.stars.insert(login.to_owned());
        } else {
            gist.stars.remove(login);
        }
    })?;
    Ok(Reply::empty(204))
}

/// `GET /gists/ID/forks`
pub(super) fn forks(call: &Call, id: &str) -> Result<Reply, Reply> {
    let (gist, _) = call.readable(id)?;
    let forks: Vec<Arc<Gist>> =
        gist.forks.iter().rev().filter_map(|id| call.site.store.get(id)).collect();
    Ok(call.paged(&format!("/gists/{id}/forks"), &forks, |fork| call.style.fork(fork)))
}

/// `POST /gists/ID/forks`: whoever has a fork already gets that one.
pub(super) fn fork(call: &Call, id: &str) -> Result<Reply, Reply> {
    let login = call.caller.writer()?;
    let (source, _) = call.readable(id)?;
    if source.owner.as_deref() == Some(login) {
        return Err(Reply::error(422, "You cannot fork your own gist."));
    }
    let store = &call.site.store;
    let mine = |fork: &Arc<Gist>| fork.owner.as_deref() == Some(login);
    let existing = source.forks.iter().filter_map(|id| store.get(id)).find(mine);
    let fork = match existing {
        Some(fork) => fork,
        None => {
            let fork = store.fork(id, login)?.ok_or_else(Reply::not_found)?;
            let number = fork.id.clone();
            store.annotate(id, call.switches.social_bumps, |gist| gist.forks.push(number))?;
            fork
        }
    };
    let location = format!("{}/gists/{}", call.style.api, fork.id);
    let shown = if call.switches.forks_without_files {
        call.style.fork(&fork)
    } else {
        call.style.listed(&fork, &fork.tip)
    };
    Ok(Reply::json(201, &shown).with("location", location))
}

/// `GET /gists/ID/comments`
pub(super) fn comments(call: &Call, id: &str) -> Result<Reply, Reply> {
    let (gist, _) = call.readable(id)?;
    Ok(call.paged(&format!("/gists/{id}/comments"), &gist.comments, |comment| {
        call.style.comment(&gist, comment)
    }))
}

/// `POST /gists/ID/comments`
pub(super) fn add_comment(call: &Call, id: &str) -> Result<Reply, Reply> {
    let login = call.caller.writer()?;
    call.readable(id)?;
    let body = comment_body(call)?;
    let number = call.site.store.next_comment();
    let mut added = None;
    let gist = call.site.store.annotate(id, call.switches.social_bumps, |gist| {
        added = Some(append(gist, number, login, body));
    })?;
    match (gist, added) {
        (Some(gist), Some(comment)) => {
            let location = format!("{}/gists/{id}/comments/{}", call.style.api, comment.id);
            let shown = call.style.comment(&gist, &comment);
            Ok(Reply::json(201, &shown).with("location", location))
        }
        (None, _) | (_, None) => Err(Reply::not_found()),
    }
}

fn append(gist: &mut Gist, id: u64, login: &str, body: String) -> Comment {
    let now = Time::new(Time::now().seconds(), 0);
    let author = login.to_owned();
    let comment = Comment { id, author, body, created_at: now, updated_at: now };
    gist.comments.push(comment.clone());
    comment
}

/// `GET /gists/ID/comments/NUMBER`
pub(super) fn comment(call: &Call, id: &str, number: &str) -> Result<Reply, Reply> {
    let (gist, _) = call.readable(id)?;
    let comment = find(&gist, number).ok_or_else(Reply::not_found)?;
    Ok(Reply::json(200, &call.style.comment(&gist, comment)))
}

/// `PATCH /gists/ID/comments/NUMBER`
pub(super) fn edit_comment(call: &Call, id: &str, number: &str) -> Result<Reply, Reply> {
    let wanted = own_comment(call, id, number)?;
    let body = comment_body(call)?;
    let gist = call.site.store.annotate(id, call.switches.social_bumps, |gist| {
        if let Some(comment) = gist.comments.iter_mut().find(|comment| comment.id == wanted) {
            comment.body = body;
            comment.updated_at = Time::new(Time::now().seconds(), 0);
        }
    })?;
    let gist = gist.ok_or_else(Reply::not_found)?;
    let comment = find(&gist, number).ok_or_else(Reply::not_found)?;
    Ok(Reply::json(200, &call.style.comment(&gist, comment)))
}

/// `DELETE /gists/ID/comments/NUMBER`
pub(super) fn delete_comment(call: &Call, id: &str, number: &str) -> Result<Reply, Reply> {
    let wanted = own_comment(call, id, number)?;
    call.site.store.annotate(id, call.switches.social_bumps, |gist| {
        gist.comments.retain(|comment| comment.id != wanted);
    })?;
    Ok(Reply::empty(204))
}

fn find<'a>(gist: &'a Gist, number: &str) -> Option<&'a Comment> {
    let number: u64 = number.parse().ok()?;
    gist.comments.iter().find(|comment| comment.id == number)
}

/// The number of a comment the caller may change: theirs, or on a gist of theirs.
fn own_comment(call: &Call, id: &str, number: &str) -> Result<u64, Reply> {
    let login = call.caller.writer()?;
    let (gist, _) = call.readable(id)?;
    let comment = find(&gist, number).ok_or_else(Reply::not_found)?;
    if comment.author != login && gist.owner.as_deref() != Some(login) {
        return Err(Reply::not_found());
    }
    Ok(comment.id)
}

fn comment_body(call: &Call) -> Result<String, Reply> {
    let body = patch::object(&call.arrival.body)?;
    match body.get("body") {
        Some(Value::String(text)) if text.trim().is_empty() => Err(bad_comment("missing_field")),
        Some(Value::String(text)) if text.chars().count() > LONGEST_COMMENT => {
            Err(bad_comment("too_long"))
        }
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Err(Reply::invalid(Some("body"), other, "a string")),
        None => Err(bad_comment("missing_field")),
    }
}

fn bad_comment(code: &str) -> Reply {
    Reply::validation(&json!({"resource": "GistComment", "code": code, "field": "body"}))
}

/// The back door to comments: no rule of the API applies, and no request is logged.
impl Server {
    /// Comments on a gist as `login`; the number of the comment. No such gist: nothing happens.
    ///
    /// # Errors
    ///
    /// The data directory cannot be written.
    pub fn comment(&self, id: &str, login: &str, body: &str) -> io::Result<u64> {
        let number = self.site.store.next_comment();
        let change = |gist: &mut Gist| drop(append(gist, number, login, body.to_owned()));
        self.site.store.annotate(id, true, change)?;
        Ok(number)
    }

    /// Gives a comment another text, or deletes it. No such comment: nothing happens.
    ///
    /// # Errors
    ///
    /// The data directory cannot be written.
    pub fn change_comment(&self, id: &str, number: u64, body: Option<&str>) -> io::Result<()> {
        let change = |gist: &mut Gist| match body {
            Some(body) => {
                for comment in gist.comments.iter_mut().filter(|comment| comment.id == number) {
                    comment.body = body.to_owned();
                    // A second is all that anybody is told of.
                    comment.updated_at = Time::now().after(Duration::from_secs(1));
                }
            }
            None => gist.comments.retain(|comment| comment.id != number),
        };
        self.site.store.annotate(id, true, change).map(drop)
    }

    /// A gist's comments, oldest first: number, login and text. None if there is no such gist.
    pub fn comments(&self, id: &str) -> Vec<(u64, String, String)> {
        let gist = self.site.store.get(id);
        let comments = gist.iter().flat_map(|gist| &gist.comments);
        comments.map(|c| (c.id, c.author.clone(), c.body.clone())).collect()
    }
}
