//! One request and its whole answer, over two clients: one that carries the token and never
//! leaves the API's origin, and one that goes wherever bodies are and carries nothing.

use std::error::Error;
use std::fmt;
use std::io::Read as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::blocking::{Client, ClientBuilder, RequestBuilder, Response};
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    IF_NONE_MATCH, LOCATION,
};
use reqwest::{Method, StatusCode, Url, redirect};

use super::host::{Endpoint, authority, has_userinfo};
use super::network::{cause, cut_off, not_sent};
use super::pool::{Lent, Pool};
use super::token::Token;
use super::{ApiError, Quota, status};
use crate::model::{BlobId, BodyBuf, RemoteFile};

mod stream;

/// How long anything may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection stands, the name looked up and the encryption agreed on.
    pub connect: Duration,
    /// Until the answer to a question begins, and then between two pieces of it.
    pub silence: Duration,
    /// From the first byte of a change sent to the last one of its answer received.
    pub request: Duration,
    /// A change with a larger body gets the time it needs at this many bytes a second on top.
    pub slowest: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            // Two lost packets in a row are made up for after 3 s.
            connect: Duration::from_secs(4),
            // GitHub itself gives up on a request after 10 s and says so.
            silence: Duration::from_secs(12),
            request: Duration::from_secs(15),
            slowest: 10_000,
        }
    }
}

impl Timeouts {
    fn of(&self, length: u64) -> Duration {
        self.request + Duration::from_secs(length / self.slowest.max(1))
    }
}

/// Why no client could be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// Anybody on the way could read the token and the gists, and change what comes back.
    #[error("will not talk to {host} over http; use https")]
    InClear {
        /// Where it would have gone.
        host: String,
    },
    /// The machine lacks something, such as root certificates.
    #[error("cannot set up https: {0}")]
    System(String),
}

/// A request to the API.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    /// Makes it conditional. Only for `GET`: GitHub answers 400 to conditions on anything else.
    pub(super) etag: Option<&'a str>,
    /// JSON to send.
    pub(super) body: Option<Bytes>,
    /// The media type to ask for, where it is not the usual one.
    pub(super) accept: Option<&'static str>,
    /// The most bytes a good answer may have.
    pub(super) most: u64,
}

/// A good answer of the API: 2xx, or 304 where an ETag was sent.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// The two clients and what is known of the API's host.
pub(super) struct Http {
    endpoint: Endpoint,
    token: Option<Token>,
    timeouts: Timeouts,
    api: Pool,
    raw: Pool,
    /// As the newest answer told it. Held only to copy it in or out.
    quota: Mutex<Option<Quota>>,
    /// The server does not know the version of the API that is asked for: it is not named to it.
    unversioned: AtomicBool,
}

/// How often a `GET` is sent on within the API's origin before it is a circle.
const MOST_REDIRECTS: usize = 3;
/// The most bytes of an error's body that are worth reading.
const MOST_OF_AN_ERROR: u64 = 64 << 10;
/// How much of an answer is read at a time…
const PIECE: usize = 64 << 10;
/// …and how much at first: most bodies are small, and room is cleared before it is filled.
const FIRST_PIECE: usize = 4 << 10;
/// The most bytes of one body; far above what a gist takes, far below what a machine has.
const MOST_OF_A_BODY: u64 = 400 << 20;
/// A body of so many bytes is mostly there a moment after it was asked for…
const SMALL: u64 = 16 << 10;
/// …so that a connection kept from before is given up after this time, while somebody still waits.
const SOON: Duration = Duration::from_millis(2500);
/// A body that comes more slowly, in bytes a second, is no longer waited for after a minute.
const TRICKLE: u64 = 1000;
const VERSION: HeaderName = HeaderName::from_static("x-github-api-version");
/// The version of the API that this program was written for.
const API_VERSION: &str = "2022-11-28";

impl Http {
    pub(super) fn new(
        endpoint: Endpoint,
        token: Option<Token>,
        timeouts: Timeouts,
    ) -> Result<Self, SetupError> {
        if !endpoint.keeps_secrets() {
            return Err(SetupError::InClear { host: authority(endpoint.api()) });
        }
        let system = |error: &(dyn Error + 'static)| SetupError::System(cause(error));
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/vnd.github+json"));
        if let Some(token) = &token {
            let bearer = format!("Bearer {}", token.secret());
            let mut value = HeaderValue::try_from(bearer).map_err(|error| system(&error))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        // Followed by hand, because the token must stay within the origin.
        let no_redirects = move |builder: ClientBuilder| {
            builder.default_headers(headers.clone()).redirect(redirect::Policy::none())
        };
        let some_redirects =
            |builder: ClientBuilder| builder.redirect(redirect::Policy::limited(5));
        let api = pool(&endpoint, timeouts, no_redirects).map_err(|error| system(&error))?;
        let raw = pool(&endpoint, timeouts, some_redirects).map_err(|error| system(&error))?;
        let (quota, unversioned) = (Mutex::new(None), AtomicBool::new(false));
        Ok(Self { endpoint, token, timeouts, api, raw, quota, unversioned })
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    pub(super) fn quota(&self) -> Option<Quota> {
        *self.quota.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends `call` and waits for its answer; whatever is no good answer is an error.
    pub(super) fn call(&self, call: Call<'_>) -> Result<Answer, ApiError> {
        let host = authority(&call.url);
        let (conditional, most) = (call.etag.is_some(), call.most);
        let mut call = call;
        for _ in 0..=MOST_REDIRECTS {
            let named = !self.unversioned.load(Ordering::Relaxed);
            let answer = self.once(&call, named)?;
            let good = answer.status.is_success()
                || (answer.status == StatusCode::NOT_MODIFIED && conditional);
            if good && answer.body.len() as u64 > most {
                return Err(nonsense(&host, format!("more than {most} bytes")));
            } else if good {
                return Ok(answer);
            } else if answer.status.is_redirection() && answer.headers.contains_key(LOCATION) {
                call.url = self.onward(&call, &answer)?;
            } else {
                let error = status::error(&host, answer.status, &answer.headers, &answer.body);
                if named && status::names_the_version(&error) {
                    // An older server. Nothing was done, so the same may be asked again.
                    log::info!("{host} does not know the API's version {API_VERSION}");
                    self.unversioned.store(true, Ordering::Relaxed);
                    continue;
                }
                if let (ApiError::Unauthorized(words), None) = (&error, &self.token) {
                    return Err(ApiError::Anonymous(words.clone()));
                }
                return Err(self.scrubbed(error));
            }
        }
        Err(nonsense(&host, "it redirects in a circle".into()))
    }

    /// The body of `file`, proved by its length and its blob's id; `heard` is called whenever a
    /// part of it came.
    pub(super) fn body(&self, file: &RemoteFile, heard: Heard<'_>) -> Result<Bytes, ApiError> {
        if file.blob == BlobId::EMPTY {
            return Ok(Bytes::new());
        }
        let url = self.raw_address(file)?;
        let host = authority(&url);
        if file.size > MOST_OF_A_BODY {
            return Err(nonsense(&host, format!("a body of {} bytes", file.size)));
        }
        let label = format!("GET {host}{}", url.path());
        let within = Duration::from_secs(60 + file.size / TRICKLE);
        // One byte more than it should have, so that a longer body is noticed and not read.
        let most = file.size.max(MOST_OF_AN_ERROR) + 1;
        let answer = twice(&self.raw, |lent| {
            let mut request = lent.client.get(url.clone());
            if lent.kept && file.size <= SMALL {
                request = request.timeout(SOON);
            }
            exchange(&host, &label, request, (file.size, |_| most), heard, within)
        })?;
        if answer.status != StatusCode::OK {
            return Err(self.raw_refusal(&host, answer.status, &answer.headers, &answer.body));
        }
        if answer.body.len() as u64 != file.size {
            let problem = format!("the body of blob {} has not {} bytes", file.blob, file.size);
            return Err(nonsense(&host, problem));
        }
        if BlobId::of(&answer.body) != file.blob {
            let problem = format!("{} bytes that are not blob {}", file.size, file.blob);
            return Err(nonsense(&host, problem));
        }
        Ok(answer.body)
    }

    fn once(&self, call: &Call<'_>, named: bool) -> Result<Answer, ApiError> {
        let host = authority(&call.url);
        let label = format!("{} {}", call.method, call.url.path());
        let body = call.body.clone();
        let within = self.timeouts.of(body.as_ref().map_or(0, |body| body.len() as u64));
        let most = |status: StatusCode| {
            if status.is_success() { call.most + 1 } else { MOST_OF_AN_ERROR }
        };
        let request = |client: &Client| {
            let mut request = client.request(call.method.clone(), call.url.clone());
            if named {
                request = request.header(VERSION, API_VERSION);
            }
            if let Some(accept) = call.accept {
                request = request.header(ACCEPT, accept);
            }
            // An ETag that no header can hold makes the request an unconditional one.
            if let Some(Ok(etag)) = call.etag.map(HeaderValue::from_str) {
                request = request.header(IF_NONE_MATCH, etag);
            }
            request
        };
        let answer = if call.method == Method::GET {
            // What bounds an answer here is its size: silence ends it earlier.
            let within = Duration::from_secs(60 + call.most / self.timeouts.slowest.max(1));
            twice(&self.api, |lent| {
                exchange(&host, &label, request(&lent.client), (0, most), &|| {}, within)
            })?
        } else {
            let lent = self.api.lend();
            let mut request = request(&lent.client).timeout(within);
            if let Some(body) = body {
                request = request.header(CONTENT_TYPE, "application/json").body(body);
            } else if call.method != Method::DELETE {
                // GitHub asks for it where a request that could have a body has none.
                request = request.header(CONTENT_LENGTH, 0);
            }
            let result = exchange(&host, &label, request, (0, most), &|| {}, within);
            noted(&self.api, &lent, result)?
        };
        if let Some(quota) = status::quota(&answer.headers) {
            *self.quota.lock().unwrap_or_else(PoisonError::into_inner) = Some(quota);
        }
        Ok(answer)
    }

    /// Where a redirect leads, if the token may go there and repeating the request is harmless.
    fn onward(&self, call: &Call<'_>, answer: &Answer) -> Result<Url, ApiError> {
        let host = authority(&call.url);
        if call.method != Method::GET {
            return Err(nonsense(&host, format!("it redirects a {}", call.method)));
        }
        let location = status::text(&answer.headers, &LOCATION).unwrap_or_default();
        match call.url.join(location) {
            Ok(url) if self.endpoint.covers(&url) => Ok(url),
            Ok(url) => Err(nonsense(&host, format!("it redirects to {}", authority(&url)))),
            Err(_) => Err(nonsense(&host, "it redirects to no address".into())),
        }
    }

    fn raw_address(&self, file: &RemoteFile) -> Result<Url, ApiError> {
        let api = self.endpoint.api();
        let wrong = |problem: &str| nonsense(&authority(api), format!("a raw_url {problem}"));
        let url = Url::parse(&file.raw_url).map_err(|_| wrong("that is no address"))?;
        if has_userinfo(&url) {
            return Err(wrong("with credentials in it"));
        }
        // A body is as secret as the gist, so it takes no worse way than the listing did.
        if url.scheme() != "https" && url.scheme() != api.scheme() {
            return Err(wrong("that is not https"));
        }
        Ok(url)
    }

    fn raw_refusal(
        &self,
        host: &str,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> ApiError {
        // No token was sent, so none was refused.
        let status = match status {
            StatusCode::UNAUTHORIZED => StatusCode::FORBIDDEN,
            status => status,
        };
        self.scrubbed(status::error(host, status, headers, body))
    }

    /// The same error, should the server have repeated our own token in it.
    fn scrubbed(&self, error: ApiError) -> ApiError {
        let clean = |text: String| match &self.token {
            Some(token) => text.replace(token.secret(), "***"),
            None => text,
        };
        match error {
            ApiError::Unauthorized(message) => ApiError::Unauthorized(clean(message)),
            ApiError::Anonymous(message) => ApiError::Anonymous(clean(message)),
            ApiError::Forbidden(message) => ApiError::Forbidden(clean(message)),
            ApiError::Limited { message, wait, secondary } => {
                ApiError::Limited { message: clean(message), wait, secondary }
            }
            ApiError::Conflict(message) => ApiError::Conflict(clean(message)),
            ApiError::Refused { status, message } => {
                ApiError::Refused { status, message: clean(message) }
            }
            error @ (ApiError::Unreachable { .. }
            | ApiError::Lost { .. }
            | ApiError::TimedOut { .. }
            | ApiError::NotFound
            | ApiError::Server(_)
            | ApiError::Nonsense { .. }
            | ApiError::Declined(_)
            | ApiError::Local { .. }) => error,
        }
    }
}

/// Shows where it talks to; the token is not part of it.
impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// Told whenever something came from the network.
pub(super) type Heard<'a> = &'a dyn Fn();

/// Asks, and once more over a new connection if one that was kept fell silent. For questions only:
/// the first one may have been heard.
fn twice<T>(pool: &Pool, ask: impl Fn(&Lent) -> Result<T, ApiError>) -> Result<T, ApiError> {
    let lent = pool.lend();
    match ask(&lent) {
        Err(ApiError::TimedOut { .. }) if pool.fell_silent(&lent) => {
            let lent = pool.lend();
            noted(pool, &lent, ask(&lent))
        }
        result => noted(pool, &lent, result),
    }
}

/// Lets the pool know what came of a request.
fn noted<T>(pool: &Pool, lent: &Lent, result: Result<T, ApiError>) -> Result<T, ApiError> {
    match &result {
        Ok(_) => pool.answered(lent),
        Err(ApiError::TimedOut { .. }) => {
            pool.fell_silent(lent);
        }
        Err(_) => {}
    }
    result
}

/// Sends, reads the answer, about as many bytes as `expected` and no more than `most`, and logs one
/// line without any header or query.
fn exchange(
    host: &str,
    label: &str,
    request: RequestBuilder,
    (expected, most): (u64, impl Fn(StatusCode) -> u64),
    heard: Heard<'_>,
    within: Duration,
) -> Result<Answer, ApiError> {
    let started = Instant::now();
    let result = request.send().map_err(|error| not_sent(host, &error)).and_then(|response| {
        heard();
        let (status, headers) = (response.status(), response.headers().clone());
        let late = || started.elapsed() > within;
        let body = read(host, response, (expected, most(status)), heard, late)?;
        Ok(Answer { status, headers, body })
    });
    let took = started.elapsed();
    match &result {
        Ok(Answer { status, headers, body }) => {
            let (status, length) = (status.as_u16(), body.len());
            match status::quota(headers) {
                Some(Quota { remaining, .. }) => {
                    log::debug!("{label}: {status}, {length} B, {took:.0?}, quota {remaining}");
                }
                None => log::debug!("{label}: {status}, {length} B, {took:.0?}"),
            }
        }
        Err(error) => log::debug!("{label}: {error}, {took:.0?}"),
    }
    result
}

/// The body piece by piece, as long as pieces come and it is not too `late`.
fn read(
    host: &str,
    response: Response,
    (expected, most): (u64, u64),
    heard: Heard<'_>,
    late: impl Fn() -> bool,
) -> Result<Bytes, ApiError> {
    let mut body = BodyBuf::of(expected);
    let mut piece = vec![0; FIRST_PIECE];
    let mut rest = response.take(most);
    loop {
        match rest.read(&mut piece).map_err(|error| cut_off(host, &error))? {
            0 => return Ok(body.into()),
            _ if late() => return Err(ApiError::TimedOut { host: host.to_owned() }),
            length => {
                body.push(&piece[..length]);
                if length == piece.len() {
                    piece.resize(PIECE, 0);
                }
            }
        }
        heard();
    }
}

fn pool(
    endpoint: &Endpoint,
    timeouts: Timeouts,
    finish: impl Fn(ClientBuilder) -> ClientBuilder + Send + Sync + 'static,
) -> reqwest::Result<Pool> {
    let (encrypted, local) = (endpoint.api().scheme() == "https", endpoint.is_loopback());
    let begin = move || {
        let builder = Client::builder()
            .user_agent(concat!("gistfs/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(timeouts.connect)
            .timeout(timeouts.silence)
            .gzip(true)
            // It would tell a redirect's target the raw_url, all one needs to read the gist.
            .referer(false)
            .https_only(encrypted)
            // A kept connection may be dead unawares, and a new one costs a tenth of a second:
            // it is kept for what comes in one go.
            .pool_idle_timeout(Duration::from_secs(5))
            // What is sent and not acknowledged for so long has nobody at the other end.
            .tcp_user_timeout(Duration::from_secs(10))
            .http2_keep_alive_interval(Duration::from_secs(20))
            .http2_keep_alive_timeout(Duration::from_secs(10));
        // What stays on the machine must not take a detour through somebody's proxy.
        finish(if local { builder.no_proxy() } else { builder })
    };
    Pool::new(Box::new(move || match begin().build() {
        // A bare machine has no root certificates, and the local server needs none.
        Err(_) if !encrypted => begin().tls_certs_only([]).build(),
        result => result,
    }))
}

fn nonsense(host: &str, detail: String) -> ApiError {
    ApiError::Nonsense { host: host.to_owned(), detail }
}
