//! A line of JSON for each request, for whoever counts and measures.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::Response;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use serde_json::{Value, json};

use super::requests::Origin;
use super::site::Arrival;
use super::store::locked;

/// A file that every request is appended to.
pub(super) struct Journal(Arc<Mutex<File>>);

impl Journal {
    /// Opens the file, and makes it where there is none.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        Ok(Self(Arc::new(Mutex::new(file))))
    }

    /// The line of a request that has just come.
    pub(super) fn line(&self, arrival: &Arrival) -> Line {
        let (origin, query) = match arrival.origin {
            Origin::Api => ("api", &*arrival.query),
            // Addresses of bodies may carry what opens them.
            Origin::Raw => ("raw", ""),
            Origin::Git => ("git", &*arrival.query),
        };
        let mark = if query.is_empty() { "" } else { "?" };
        let path = format!("{}{}{mark}{query}", arrival.prefix, arrival.path);
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Line {
            file: Arc::clone(&self.0),
            request: json!({"method": arrival.method, "origin": origin, "path": path}),
            status: 0,
            bytes: 0,
            begin: since_1970.as_secs_f64() * 1000.0,
            started: Instant::now(),
        }
    }
}

/// A request under way. Dropping it ends it and appends its line; the status is 0 if no answer
/// came.
pub(super) struct Line {
    file: Arc<Mutex<File>>,
    request: Value,
    status: u16,
    bytes: u64,
    begin: f64,
    started: Instant,
}

impl Drop for Line {
    fn drop(&mut self) {
        let milliseconds = |time: f64| (time * 1000.0).round() / 1000.0;
        let end = self.begin + self.started.elapsed().as_secs_f64() * 1000.0;
        self.request["status"] = self.status.into();
        self.request["begin"] = milliseconds(self.begin).into();
        self.request["end"] = milliseconds(end).into();
        self.request["bytes"] = self.bytes.into();
        let line = format!("{}\n", self.request);
        if let Err(error) = locked(&self.file).write_all(line.as_bytes()) {
            log::error!("a request is missing in the log: {error}");
        }
    }
}

/// An answer that ends its request's line when it is sent or given up.
pub(super) fn told(mut line: Line, answer: Response<Body>) -> Response<Body> {
    line.status = answer.status().as_u16();
    answer.map(|body| Body::new(Told { body, line }))
}

/// A body that is counted while it is sent.
struct Told {
    body: Body,
    line: Line,
}

impl http_body::Body for Told {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.line.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
