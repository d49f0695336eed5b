//! Faults on order: what goes wrong, for which requests, how often.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::requests::Origin;
use super::store::locked;

/// Something that goes wrong with the next matching requests.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Only requests of this origin; `None` is any.
    pub origin: Option<Origin>,
    /// Only requests of this method; `None` is any.
    pub method: Option<String>,
    /// Only requests whose path and query (`/gists?page=2`) contain this text; `""` is any.
    pub path: String,
    /// So many matching requests pass unharmed first.
    pub skip: usize,
    /// So many requests are hit then.
    pub times: usize,
    /// What goes wrong.
    pub kind: FaultKind,
}

impl Fault {
    /// Hits the next request, whatever it is.
    pub fn once(kind: FaultKind) -> Self {
        Self { origin: None, method: None, path: String::new(), skip: 0, times: 1, kind }
    }
}

/// What goes wrong with a request.
#[derive(Clone, Debug)]
pub enum FaultKind {
    /// This answer comes, and nothing is done.
    Status {
        /// The status.
        status: u16,
        /// Headers besides the usual ones.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
    /// The work and the answer take so much longer. A `PATCH` counts as under way meanwhile.
    Delay(Duration),
    /// The work begins when the gate is opened.
    Hold(Gate),
    /// The work is done; the answer comes when the gate is opened.
    HoldAnswer(Gate),
    /// No answer ever comes, until the client gives up or the server stops; nothing is done.
    Hang,
    /// The connection closes without an answer, and nothing is done.
    Drop,
    /// The work is done; headers and half of the body arrive, then the connection closes.
    CutShort,
    /// The work is done; the connection closes without an answer.
    LoseAnswer,
    /// 200 and a login page in HTML; nothing is done.
    Html,
    /// The primary limit is used up; nothing is done.
    PrimaryLimit {
        /// Until `x-ratelimit-reset`.
        reset_in: Duration,
    },
    /// The pace is too fast; nothing is done.
    SecondaryLimit {
        /// `retry-after`, where the answer has one.
        retry_after: Option<Duration>,
    },
    /// The connection is reset without an answer, and nothing is done.
    Reset,
    /// The work is done; the answer lacks its last byte, and its headers agree.
    WrongLength,
    /// The work is done; the answer of the API is no JSON, though it says so.
    InvalidJson,
    /// The work is done; what the answer tells of a gist is its `id` and nothing else.
    MissingFields,
    /// The work is done; in the answer every field is `null` that GitHub ever says `null` for.
    NullFields,
    /// The work is done, and the answer is wrong: other bytes of the same length where bodies
    /// are served, JSON of another shape in the API.
    WrongBody,
}

/// What holds requests until it is opened; whoever waits and whoever comes later passes then.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Semaphore>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }
}

impl Gate {
    /// Lets everybody through, for good.
    pub fn open(&self) {
        self.0.close();
    }

    /// Waits until it is open.
    pub(super) async fn passed(&self) {
        // No permit is ever given: the wait ends with the refusal that closing it brings.
        if self.0.acquire().await.is_ok() {
            log::error!("a gate gave a permit that it does not have");
        }
    }
}

/// The faults still to happen, in order.
#[derive(Default)]
pub(super) struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    pub(super) fn add(&self, fault: Fault) {
        locked(&self.0).push(fault);
    }

    pub(super) fn clear(&self) {
        locked(&self.0).clear();
    }

    /// What goes wrong with this request. Faults that match but still skip do not hide later ones.
    pub(super) fn take(&self, origin: Origin, method: &str, target: &str) -> Option<FaultKind> {
        let mut faults = locked(&self.0);
        let mut hit = None;
        for fault in faults.iter_mut() {
            let matches = fault.origin.is_none_or(|wanted| wanted == origin)
                && fault.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
                && target.contains(&fault.path);
            if !matches || fault.times == 0 {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            fault.times -= 1;
            hit = Some(fault.kind.clone());
            break;
        }
        faults.retain(|fault| fault.times > 0);
        hit
    }
}
