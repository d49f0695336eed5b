//! A record of what gistfs asks the API, for a check against GitHub's description of it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::requests::Origin;
use super::site::Arrival;
use super::store::locked;

/// How gistfs introduces itself. What others send, tests that break the rules among them, is not
/// gistfs's to answer for.
const CLIENT: &str = "gistfs/";

/// A file that every API request of gistfs's own is appended to, one line of JSON each. Several
/// servers may share it.
pub(super) struct Record(Mutex<File>);

impl Record {
    /// Opens the file, and makes it where there is none.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        OpenOptions::new().append(true).create(true).open(path).map(|file| Self(Mutex::new(file)))
    }

    /// Appends a request, unless it is not gistfs's or not for the API.
    pub(super) fn note(&self, arrival: &Arrival) {
        let ours = arrival.header("user-agent").is_some_and(|name| name.starts_with(CLIENT));
        if arrival.origin != Origin::Api || !ours {
            return;
        }
        let line = format!("{}\n", entry(arrival));
        if let Err(error) = self.append(line.as_bytes()) {
            log::error!("a request is missing in the record: {error}");
        }
    }

    fn append(&self, line: &[u8]) -> io::Result<()> {
        let mut file = locked(&self.0);
        // Other processes append too, and the kernel may take a long line in pieces.
        file.lock()?;
        let written = file.write_all(line);
        file.unlock()?;
        written
    }
}

fn entry(arrival: &Arrival) -> Value {
    let headers = arrival.headers.iter().map(|(name, value)| {
        let text = String::from_utf8_lossy(value.as_bytes());
        let secret = name == axum::http::header::AUTHORIZATION;
        let text = if secret { scheme(&text) } else { &text };
        json!([name.as_str(), text])
    });
    let headers: Vec<Value> = headers.collect();
    let mut entry = json!({
        "method": arrival.method,
        "path": format!("{}{}", arrival.prefix, arrival.path),
        "query": arrival.query,
        "headers": headers,
    });
    match std::str::from_utf8(&arrival.body) {
        Ok(text) => entry["body"] = text.into(),
        Err(_) => entry["body_base64"] = STANDARD.encode(&arrival.body).into(),
    }
    entry
}

/// An `Authorization` header without its secret.
fn scheme(value: &str) -> &str {
    value.split_once(' ').map_or("", |(scheme, _)| scheme)
}
