//! How a server is set up.

use std::path::PathBuf;
use std::time::Duration;

/// What [`Server::start`](super::Server::start) is told.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Where gists are kept over restarts; `None` is a temporary directory, removed at the end.
    pub data: Option<PathBuf>,
    /// The API's port on 127.0.0.1; 0 takes any free one.
    pub port: u16,
    /// The port of raw bodies and git; 0 takes any free one.
    pub raw_port: u16,
    /// The addresses of API and bodies that answers name, where others reach it through something
    /// that stands in between; `None` names its own.
    pub seen_as: Option<(String, String)>,
    /// Added to every answer, as a network would, and once more to the first one of a connection:
    /// making one takes a round trip too.
    pub latency: Duration,
    /// GitHub Enterprise Server's shape: the API below `/api/v3` only, no rate limits, no headers
    /// that tell of them, and `/rate_limit` is 404.
    pub enterprise: bool,
    /// Raw bodies, pages and git have an origin of their own, as `gist.HOST` is with subdomain
    /// isolation; else they are below `/gist` at the API's origin. On by default.
    pub isolated: bool,
    /// A private Enterprise Server: raw bodies without a session are 200 and a login page.
    pub private_raw: bool,
    /// On a private server the addresses of raw bodies bring what opens them: `?token=…`.
    pub raw_tokens: bool,
    /// A file that every API request of gistfs's own is appended to, a line of JSON each, without
    /// the token; by default the one that the environment's `GISTFS_RECORD` names.
    pub record: Option<PathBuf>,
    /// A file that every request is appended to, a line of JSON each: when it began and ended, and
    /// how it was answered.
    pub journal: Option<PathBuf>,
    /// The rate limits.
    pub limits: Limits,
    /// Who may log in, and how.
    pub accounts: Vec<Account>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            data: None,
            port: 0,
            raw_port: 0,
            seen_as: None,
            latency: Duration::ZERO,
            enterprise: false,
            isolated: true,
            private_raw: false,
            raw_tokens: false,
            record: std::env::var_os("GISTFS_RECORD").map(PathBuf::from),
            journal: None,
            limits: Limits::default(),
            accounts: vec![
                Account::classic("octo", "demo-token", &["gist"]),
                Account::classic("hubot", "hubot-token", &["gist"]),
                Account::classic("octo", "noscope-token", &[]),
                Account {
                    login: "octo".to_owned(),
                    token: "finegrained-token".to_owned(),
                    scopes: None,
                    fine_grained_write: false,
                },
            ],
        }
    }
}

/// A token and whose it is; a login may have several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Whose token it is.
    pub login: String,
    /// The token.
    pub token: String,
    /// A classic token's scopes; `None` makes it a fine-grained token.
    pub scopes: Option<Vec<String>>,
    /// Whether a fine-grained token has the permission *Gists: write*.
    pub fine_grained_write: bool,
}

impl Account {
    /// A classic token with these scopes.
    pub fn classic(login: &str, token: &str, scopes: &[&str]) -> Self {
        Self {
            login: login.to_owned(),
            token: token.to_owned(),
            scopes: Some(scopes.iter().map(|&scope| scope.to_owned()).collect()),
            fine_grained_write: false,
        }
    }
}

/// GitHub's rate limits; `None` switches one off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests an hour and login. Off, answers have no `x-ratelimit-*` headers either.
    pub primary: Option<u32>,
    /// Requests an hour of everybody without a token together.
    pub anonymous: Option<u32>,
    /// Requests a minute that make or change something (`POST`, `PATCH`, `PUT`).
    pub content_per_minute: Option<u32>,
    /// Requests an hour that make or change something.
    pub content_per_hour: Option<u32>,
    /// Points a minute: a reading request costs one, any other five.
    pub points_per_minute: Option<u32>,
    /// How long the hour is.
    pub hour: Duration,
    /// How long the minute is.
    pub minute: Duration,
    /// The status of a refusal, 403 or 429; GitHub sends either.
    pub status: u16,
    /// Whether a refusal for the pace says `retry-after`; GitHub's does not always.
    pub retry_after: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            primary: Some(5000),
            anonymous: Some(60),
            content_per_minute: Some(80),
            content_per_hour: Some(500),
            points_per_minute: Some(900),
            hour: Duration::from_secs(3600),
            minute: Duration::from_secs(60),
            status: 403,
            retry_after: true,
        }
    }
}

impl Limits {
    /// No limit at all, and no headers about one.
    pub fn none() -> Self {
        Self { primary: None, anonymous: None, ..Self::unpaced() }
    }

    /// The primary limit only: a test may write as fast as it can.
    pub fn unpaced() -> Self {
        Self {
            content_per_minute: None,
            content_per_hour: None,
            points_per_minute: None,
            ..Self::default()
        }
    }
}
