//! What the tests of the client share.

use std::collections::BTreeMap;
use std::sync::{Mutex, Once};
use std::time::Duration;

use gistfs::api::github::{GitHub, Timeouts};
use gistfs::api::host::Endpoint;
use gistfs::api::token::Token;
use gistfs::api::{ApiError, Fetched, FullGist, GistApi, NewGist, PageAddress, PageRequest};
use gistfs::model::{FileName, GistId, Time};

/// A token that is easy to find wherever it should not be.
pub(crate) const TOKEN: &str = "ghp_HuntForMe0123456789";

/// Keeps every line that anybody logs at any level.
pub(crate) struct Capture(pub(crate) Mutex<Vec<String>>);

pub(crate) static LOG: Capture = Capture(Mutex::new(Vec::new()));

impl log::Log for Capture {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = format!("{} {}: {}", record.level(), record.target(), record.args());
        self.0.lock().unwrap().push(line);
    }

    fn flush(&self) {}
}

pub(crate) fn listen_to_the_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&LOG).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    });
}

pub(crate) fn client(url: &str, token: Option<&str>, request: Duration) -> GitHub {
    listen_to_the_log();
    let endpoint = Endpoint::of_url(url).unwrap();
    let timeouts = Timeouts { connect: request, silence: request, request, slowest: 100_000 };
    GitHub::with_timeouts(endpoint, token.map(|token| Token::parse(token).unwrap()), timeouts)
        .unwrap()
}

pub(crate) fn own(since: Option<Time>) -> PageRequest {
    PageRequest { from: PageAddress::Own { since }, etag: None }
}

pub(crate) fn id(text: &str) -> GistId {
    GistId::parse(text).unwrap()
}

pub(crate) fn name(text: &str) -> FileName {
    FileName::parse(text).unwrap()
}

pub(crate) fn new<T>(fetched: Fetched<T>) -> T {
    match fetched {
        Fetched::New(new) => new,
        Fetched::NotModified => panic!("nothing new"),
    }
}

pub(crate) fn get(api: &GitHub, id: &GistId) -> FullGist {
    new(api.get(id, None).unwrap())
}

pub(crate) fn hello() -> NewGist {
    NewGist {
        description: "Hello".into(),
        public: false,
        files: BTreeMap::from([
            (name("a.txt"), "alpha\n".into()),
            (name("b c.md"), "# \u{1f600}\n".into()),
        ]),
    }
}

/// Patience enough for any machine.
pub(crate) const AMPLE: Duration = Duration::from_secs(30);

pub(crate) fn is_nonsense<T>(result: Result<T, ApiError>) -> bool {
    matches!(result, Err(ApiError::Nonsense { .. }))
}
