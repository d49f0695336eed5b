//! Raw bodies: exact bytes for whoever knows the address, as GitHub's CDN serves them.

use axum::http::header;

use super::caller::Caller;
use super::gist::Gist;
use super::range;
use super::reply::Reply;
use super::repository::File;
use super::site::{Arrival, Site};
use super::store::Store;
use crate::model::BlobId;

/// Longer bodies are refused; git has them.
const LONGEST: u64 = 10 << 20;

/// Answers a request for a raw body.
pub(super) fn answer(site: &Site, arrival: &Arrival) -> Reply {
    if site.options.private_raw && !has_session(site, arrival) && !has_key(site, arrival) {
        return Reply::login_page();
    }
    if !matches!(arrival.method.as_str(), "GET" | "HEAD") {
        return plain(404, "404: Not Found");
    }
    body(site, arrival).unwrap_or_else(|refusal| refusal)
}

/// A token counts as a session, so that tests see whether it was sent where it should not be.
fn has_session(site: &Site, arrival: &Arrival) -> bool {
    let known = Caller::of(&arrival.headers, &site.options.accounts);
    arrival.headers.contains_key(header::COOKIE)
        || known.is_ok_and(|caller| caller.login().is_some())
}

/// What opens the raw body at `path` on a private server, should its address bring it.
pub(super) fn key(path: &str) -> String {
    BlobId::of(path.as_bytes()).to_string()
}

fn has_key(site: &Site, arrival: &Arrival) -> bool {
    site.options.raw_tokens && arrival.parameter("token") == Some(key(&arrival.path))
}

fn body(site: &Site, arrival: &Arrival) -> Result<Reply, Reply> {
    let missing = || plain(404, "404: Not Found");
    let segments = arrival.segments();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let [owner, id, "raw", rest @ ..] = segments.as_slice() else { return Err(missing()) };
    let gist = site.store.get(id).filter(|gist| gist.owner_in_urls() == *owner);
    let gist = gist.ok_or_else(missing)?;
    let (blob, pinned) = match rest {
        [pin, name] => (pinned_blob(&site.store, &gist, pin, name).ok_or_else(missing)?, true),
        [name] => (newest(site, &gist, name).ok_or_else(missing)?.blob, false),
        _ => return Err(missing()),
    };
    if site.store.repository(id)?.size(blob).is_some_and(|size| size > LONGEST) {
        return Err(plain(403, "403: Forbidden"));
    }
    let bytes = site.store.body(id, blob)?.ok_or_else(missing)?;
    let text = !bytes.contains(&0) && std::str::from_utf8(&bytes).is_ok();
    let kind = if text { "text/plain; charset=utf-8" } else { "application/octet-stream" };
    let age = if pinned { "max-age=31536000, immutable" } else { "max-age=300" };
    let etag = format!("\"{blob}\"");
    if arrival.header("if-none-match").is_some_and(|given| given.contains(&etag)) {
        return Ok(Reply::empty(304).with("etag", etag));
    }
    let reply = Reply::bytes(200, kind, bytes.into());
    let reply = reply.with("cache-control", age).with("etag", etag);
    let reply = reply.with("x-content-type-options", "nosniff").with("vary", "Accept-Encoding");
    Ok(if site.switches().ranges { range::applied(arrival, reply) } else { reply })
}

/// What a pinned address means: a blob by its own id, or a name in a commit.
fn pinned_blob(store: &Store, gist: &Gist, pin: &str, name: &str) -> Option<BlobId> {
    if gist.tip.history.iter().any(|commit| commit.version == pin) {
        let files = store.repository(&gist.id).ok()?.files_at(pin)?;
        return files.get(name).map(|file| file.blob);
    }
    pin.parse().ok()
}

/// The newest file of a name, or for a while the one before.
fn newest(site: &Site, gist: &Gist, name: &str) -> Option<File> {
    let stale_for = site.switches().stale_raw_for;
    let stale = gist.before.as_ref().filter(|before| before.written.elapsed() < stale_for);
    let version = stale.map_or(&gist.tip, |before| &before.version);
    version.files.get(name).cloned()
}

fn plain(status: u16, text: &str) -> Reply {
    Reply::bytes(status, "text/plain; charset=utf-8", text.to_owned().into())
}
