//! The log of requests, as tests read it: what came, in which order, and how it was answered.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use serde_json::Value;

use super::store::locked;

/// The log keeps so many requests and so many bytes of bodies; older ones are forgotten.
const KEPT_REQUESTS: usize = 100_000;
const KEPT_BYTES: usize = 256 << 20;

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The REST API.
    Api,
    /// A body by its raw address.
    Raw,
    /// Git's own protocol.
    Git,
}

/// A request as it arrived and what became of it.
#[derive(Clone, Debug)]
pub struct LoggedRequest {
    /// What it was for.
    pub origin: Origin,
    /// The method.
    pub method: String,
    /// The path as sent, percent-encoded, without query and without `/api/v3`.
    pub path: String,
    /// The query without its `?`, or the empty text.
    pub query: String,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body; of git requests the first 64 KiB.
    pub body: Bytes,
    /// The answer's status; 0 while unanswered, and for good where no answer came.
    pub status: u16,
    /// When it arrived.
    pub started: Instant,
    /// How many requests of this server were under way when it arrived, this one included.
    pub in_flight: usize,
    /// Whether it is the first one of its connection.
    pub connects: bool,
}

impl LoggedRequest {
    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body as JSON; `null` if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// Whether it carried an `Authorization` header.
    pub fn has_token(&self) -> bool {
        self.header("authorization").is_some()
    }
}

/// All requests so far.
#[derive(Default)]
pub(super) struct RequestLog {
    entries: Mutex<Entries>,
    in_flight: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Entries {
    requests: VecDeque<LoggedRequest>,
    /// How many requests are no longer in `requests`, so that a number stays valid.
    forgotten: usize,
    bytes: usize,
}

impl RequestLog {
    /// Notes an arrival. The request counts as under way until the answer to this is dropped.
    pub(super) fn arrived(&self, mut request: LoggedRequest) -> UnderWay {
        let in_flight = UnderWay::count(&self.in_flight);
        request.in_flight = in_flight;
        let mut entries = locked(&self.entries);
        entries.bytes += request.body.len();
        entries.requests.push_back(request);
        while entries.requests.len() > KEPT_REQUESTS || entries.bytes > KEPT_BYTES {
            let Some(oldest) = entries.requests.pop_front() else { break };
            entries.bytes -= oldest.body.len();
            entries.forgotten += 1;
        }
        let number = entries.forgotten + entries.requests.len();
        UnderWay { number, in_flight: Arc::clone(&self.in_flight) }
    }

    /// Notes how a request was answered.
    pub(super) fn answered(&self, request: &UnderWay, status: u16) {
        let mut entries = locked(&self.entries);
        let index = request.number.checked_sub(entries.forgotten + 1);
        if let Some(entry) = index.and_then(|index| entries.requests.get_mut(index)) {
            entry.status = status;
        }
    }

    pub(super) fn all(&self) -> Vec<LoggedRequest> {
        locked(&self.entries).requests.iter().cloned().collect()
    }

    pub(super) fn forget(&self) {
        let mut entries = locked(&self.entries);
        entries.forgotten += entries.requests.len();
        entries.requests.clear();
        entries.bytes = 0;
    }
}

/// A request without its answer. Dropping it ends the wait, also when the client went away.
pub(super) struct UnderWay {
    /// From 1, in order of arrival.
    number: usize,
    in_flight: Arc<AtomicUsize>,
}

impl UnderWay {
    fn count(in_flight: &AtomicUsize) -> usize {
        in_flight.fetch_add(1, Ordering::SeqCst) + 1
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}
