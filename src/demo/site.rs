//! What both listeners answer from, and a request in plain types.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use axum::http::HeaderMap;
use bytes::Bytes;
use percent_encoding::percent_decode_str;

use super::faults::Faults;
use super::journal::Journal;
use super::limits::Meter;
use super::options::ServerOptions;
use super::record::Record;
use super::requests::{Origin, RequestLog};
use super::store::{Store, locked};
use super::switches::Switches;

/// The whole server but its sockets.
pub(super) struct Site {
    pub(super) options: ServerOptions,
    pub(super) store: Store,
    /// Where git finds the hook that refuses directories.
    pub(super) hooks: PathBuf,
    pub(super) api: String,
    pub(super) raw: String,
    pub(super) meter: Meter,
    pub(super) log: RequestLog,
    pub(super) record: Option<Record>,
    pub(super) journal: Option<Journal>,
    pub(super) faults: Faults,
    pub(super) switches: Mutex<Switches>,
    /// Gists with an update under way.
    pub(super) updating: Mutex<HashSet<String>>,
    pub(super) request_ids: AtomicU64,
}

impl Site {
    /// The switches as they are now, so that no lock is held while an answer is made.
    pub(super) fn switches(&self) -> Switches {
        locked(&self.switches).clone()
    }

    /// Marks a gist as being updated until the answer is dropped; `None` if it was already.
    pub(super) fn begin_update(&self, id: &str) -> Option<Update<'_>> {
        let new = locked(&self.updating).insert(id.to_owned());
        new.then(|| Update { site: self, id: id.to_owned() })
    }
}

/// An update of a gist under way.
pub(super) struct Update<'a> {
    site: &'a Site,
    id: String,
}

impl Drop for Update<'_> {
    fn drop(&mut self) {
        locked(&self.site.updating).remove(&self.id);
    }
}

/// A request, whole.
pub(super) struct Arrival {
    pub(super) origin: Origin,
    pub(super) method: String,
    /// What the path began with and lost: nothing, or `/api/v3`.
    pub(super) prefix: &'static str,
    /// As sent, percent-encoded.
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Arrival {
    /// The path's segments, decoded. A trailing slash is an empty segment at the end.
    pub(super) fn segments(&self) -> Vec<String> {
        let path = self.path.strip_prefix('/').unwrap_or(&self.path);
        if path.is_empty() {
            return Vec::new();
        }
        path.split('/').map(decoded).collect()
    }

    /// The query's pairs, decoded, in order.
    pub(super) fn parameters(&self) -> Vec<(String, String)> {
        self.query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (decoded(name), decoded(&value.replace('+', "%20")))
            })
            .collect()
    }

    /// The last value given for a parameter.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        self.parameters().into_iter().rev().find(|(n, _)| n == name).map(|(_, value)| value)
    }

    /// A header's value, where it is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The gist that this request would update.
    pub(super) fn updates(&self) -> Option<String> {
        let writes = self.origin == Origin::Api && matches!(self.method.as_str(), "PATCH" | "POST");
        match self.segments().as_slice() {
            [gists, id] if writes && gists == "gists" => Some(id.clone()),
            _ => None,
        }
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}
