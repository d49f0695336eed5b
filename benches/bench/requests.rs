//! What was asked of the server, read from its log.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// Requests with the times they took.
pub(crate) struct Requests(Vec<Request>);

struct Request {
    kind: String,
    begin: f64,
    end: f64,
}

impl Requests {
    pub(crate) fn read(lines: &[String]) -> Self {
        let read = |line: &String| {
            let value: Value = serde_json::from_str(line).expect("a line of the log");
            let number = |name: &str| value[name].as_f64().expect("a time");
            Request { kind: kind(&value), begin: number("begin"), end: number("end") }
        };
        Self(lines.iter().map(read).collect())
    }

    pub(crate) fn counted(&self) -> Counts {
        let mut counts = BTreeMap::new();
        for request in &self.0 {
            *counts.entry(request.kind.clone()).or_default() += 1;
        }
        Counts(counts)
    }

    /// The most that were under way at one time.
    pub(crate) fn most_at_once(&self) -> usize {
        let begins = self.0.iter().map(|request| (request.begin, 1));
        // What ends at the very moment that another one begins is over.
        let ends = self.0.iter().map(|request| (request.end, -1));
        let mut steps: Vec<(f64, i32)> = begins.chain(ends).collect();
        steps.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut now = 0;
        let most = steps.iter().map(|(_, step)| {
            now += step;
            now
        });
        usize::try_from(most.max().unwrap_or_default()).unwrap_or_default()
    }
}

/// What a request is for, in a word or two.
fn kind(request: &Value) -> String {
    let text = |name: &str| request[name].as_str().expect("a text");
    let (method, origin, path) = (text("method"), text("origin"), text("path"));
    let path = path.split('?').next().unwrap_or_default();
    let status = request["status"].as_u64().expect("a status");
    let what = match (origin, method, path) {
        ("api", "GET", "/user") => "user".to_owned(),
        ("api", "GET", "/gists") => "list".to_owned(),
        ("api", "GET", path) if is_gist(path) => "gist".to_owned(),
        ("api", "GET", other) => format!("GET {other}"),
        ("api", method, _) => method.to_owned(),
        ("raw", "GET", _) => "body".to_owned(),
        ("raw", method, _) => format!("body ({method})"),
        (other, _, _) => other.to_owned(),
    };
    match status {
        200..=299 => what,
        status => format!("{what} ({status})"),
    }
}

/// The address of a gist, not of a revision, its commits, comments or star.
fn is_gist(path: &str) -> bool {
    path.strip_prefix("/gists/").is_some_and(|id| id.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// How many requests of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts(BTreeMap<String, usize>);

impl Counts {
    /// How many of this kind, whatever the answer was.
    pub(crate) fn of(&self, kind: &str) -> usize {
        let same = |(name, _): &(&String, &usize)| {
            *name == kind || name.strip_prefix(kind).is_some_and(|rest| rest.starts_with(" ("))
        };
        self.0.iter().filter(same).map(|(_, count)| count).sum()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        let mut kinds: Vec<String> =
            self.0.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        kinds.sort_by_key(|text| text.split(' ').nth(1).map(str::to_owned));
        f.write_str(&kinds.join(", "))
    }
}
