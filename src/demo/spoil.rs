//! Good answers made bad ones, each in its own way.

use serde_json::{Map, Value};

use super::reply::Reply;
use super::requests::Origin;
use super::routes::opaque;

/// What tells what an object is about.
const SUBJECT: &[&str] = &["id", "login", "size", "raw_url"];

/// What GitHub itself says `null` for, now or then, or might.
const NULLABLE: &[&str] = &[
    "owner",
    "user",
    "forks",
    "history",
    "html_url",
    "git_pull_url",
    "git_push_url",
    "created_at",
    "public",
    "truncated",
    "language",
    "type",
    "encoding",
    "content",
    "comments",
    "comments_url",
];

/// A successful answer made wrong, in the way that is hardest to notice.
pub(super) fn spoiled(mut reply: Reply, origin: Origin) -> Reply {
    if reply.status >= 300 {
        return reply;
    }
    reply.body = match origin {
        Origin::Api if reply.body.first() == Some(&b'[') => "{\"gists\": 1}".into(),
        Origin::Api => "[1]".into(),
        // Still text where it was text: a letter more, a digit less.
        Origin::Raw | Origin::Git => reply.body.iter().map(|byte| byte ^ 1).collect(),
    };
    reply
}

/// The same without its last byte.
pub(super) fn shortened(mut reply: Reply) -> Reply {
    reply.body.truncate(reply.body.len().saturating_sub(1));
    reply
}

/// JSON that is none.
pub(super) fn garbled(mut reply: Reply) -> Reply {
    if is_json(&reply) {
        reply.body =
            reply.body.iter().map(|byte| if *byte == b':' { b'=' } else { *byte }).collect();
    }
    reply
}

/// Without every field that could be missing.
pub(super) fn stripped(reply: Reply) -> Reply {
    changed(reply, &|object| object.retain(|name, _| SUBJECT.contains(&&**name)))
}

/// With `null` wherever it could be.
pub(super) fn nulled(reply: Reply) -> Reply {
    changed(reply, &|object| {
        let fields = object.iter_mut().filter(|(name, _)| NULLABLE.contains(&&***name));
        fields.for_each(|(_, value)| *value = Value::Null);
    })
}

type Change<'a> = &'a dyn Fn(&mut Map<String, Value>);

/// Changes the objects that tell of gists, and those that tell of their files.
fn changed(mut reply: Reply, change: Change<'_>) -> Reply {
    let Ok(mut json) = serde_json::from_slice::<Value>(&reply.body) else { return reply };
    match json.as_array_mut() {
        Some(gists) => gists.iter_mut().for_each(|gist| change_gist(gist, change)),
        None => change_gist(&mut json, change),
    }
    reply.body = json.to_string().into();
    // An ETag is made from the body: another body has another one.
    for (_, etag) in reply.headers.iter_mut().filter(|(name, _)| name == "etag") {
        *etag = format!("W/\"{}\"", opaque(&reply.body));
    }
    reply
}

fn change_gist(gist: &mut Value, change: Change<'_>) {
    let Some(gist) = gist.as_object_mut() else { return };
    let files = gist.get_mut("files").and_then(Value::as_object_mut);
    let files = files.into_iter().flat_map(Map::values_mut);
    files.filter_map(Value::as_object_mut).for_each(change);
    change(gist);
}

fn is_json(reply: &Reply) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(&reply.body).is_ok()
}
