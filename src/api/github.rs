//! The real thing: [`GistApi`] over HTTP.

use std::sync::Arc;

use reqwest::header::{ETAG, HeaderMap, HeaderName, LINK};
use reqwest::{Method, StatusCode, Url};

use bytes::Bytes;

pub use super::http::{SetupError, Timeouts};

use super::absent::Absent;
use super::git::{GitApi, GitProgram};
use super::host::{Endpoint, authority};
use super::http::{Answer, Call, Http};
use super::social::SocialApi;
use super::token::Token;
use super::wire::{self, Told};
use super::{
    Account, Api, ApiError, Fetched, FullGist, GistApi, NewGist, Page, PageAddress, PageRequest,
    Patch, Quota, TakePiece, link, status,
};
use crate::model::{CommitId, GistId, RemoteFile, Time};

mod social;

/// The most bytes of a page: a hundred gists of three hundred files stay well below.
const MOST_OF_A_LIST: u64 = 16 << 20;
/// The most bytes of one gist; GitHub itself cuts contents off after about one megabyte.
const MOST_OF_A_GIST: u64 = 64 << 20;
/// The most gists GitHub puts on a page.
const PAGE: &str = "100";
const SCOPES: HeaderName = HeaderName::from_static("x-oauth-scopes");

/// A client of one host on behalf of one token, or of nobody.
///
/// Meant to be shared by threads; connections are pooled. It must not be made or dropped on a
/// thread that runs async code.
#[derive(Debug)]
pub struct GitHub {
    http: Http,
    git: Option<Arc<GitProgram>>,
}

impl GitHub {
    /// A client for `endpoint`. Sends nothing; refuses to take a token where others could read it.
    pub fn new(endpoint: Endpoint, token: Option<Token>) -> Result<Self, SetupError> {
        Self::with_timeouts(endpoint, token, Timeouts::default())
    }

    /// The same with other timeouts than the usual.
    pub fn with_timeouts(
        endpoint: Endpoint,
        token: Option<Token>,
        timeouts: Timeouts,
    ) -> Result<Self, SetupError> {
        Ok(Self { http: Http::new(endpoint, token, timeouts)?, git: None })
    }

    /// The same client with a way to the repositories behind gists.
    #[must_use]
    pub fn with_git(self, git: Arc<GitProgram>) -> Self {
        Self { git: Some(git), ..self }
    }

    /// Whom it talks to.
    pub fn endpoint(&self) -> &Endpoint {
        self.http.endpoint()
    }

    /// Refuses here what GitHub would refuse, or worse: without a token it answers a question
    /// for one's own gists with those of strangers.
    fn signed_in(&self) -> Result<(), ApiError> {
        match self.http.has_token() {
            true => Ok(()),
            false => Err(ApiError::Anonymous("there is none".into())),
        }
    }

    fn read(&self, url: Url, etag: Option<&str>, most: u64) -> Result<Answer, ApiError> {
        self.http.call(Call { method: Method::GET, url, etag, body: None, accept: None, most })
    }

    fn write(&self, method: Method, url: Url, body: Option<Vec<u8>>) -> Result<Answer, ApiError> {
        self.signed_in()?;
        let body = body.map(Bytes::from);
        self.http.call(Call { method, url, etag: None, body, accept: None, most: MOST_OF_A_GIST })
    }

    fn page_url(&self, address: &PageAddress) -> Result<Url, ApiError> {
        let endpoint = self.endpoint();
        let first = |segments: &[&str], since: Option<Time>| {
            let mut url = endpoint.address(segments);
            url.query_pairs_mut().append_pair("per_page", PAGE);
            if let Some(since) = since {
                url.query_pairs_mut().append_pair("since", &since.to_string());
            }
            url
        };
        match address {
            PageAddress::Own { since } => {
                self.signed_in()?;
                Ok(first(&["gists"], *since))
            }
            PageAddress::User { login, since } => Ok(first(&["users", login, "gists"], *since)),
            PageAddress::Starred { since } => {
                self.signed_in()?;
                Ok(first(&["gists", "starred"], *since))
            }
            PageAddress::One(id) => Ok(endpoint.address(&["gists", id.as_str()])),
            PageAddress::Public { since } => Ok(first(&["gists", "public"], *since)),
            PageAddress::Next(link) => self.next_url(link),
        }
    }

    /// Where a `Link` header leads, if the token may go there.
    fn next_url(&self, link: &str) -> Result<Url, ApiError> {
        let endpoint = self.endpoint();
        match endpoint.api().join(link) {
            Ok(url) if endpoint.covers(&url) => Ok(url),
            Ok(url) => Err(self.nonsense(format!("its next page is at {}", authority(&url)))),
            Err(_) => Err(self.nonsense("its next page has no address".into())),
        }
    }

    /// A page of the gist `id`, told as lists tell of it, or of nothing.
    fn only(&self, id: &GistId, etag: Option<&str>) -> Result<Fetched<Page>, ApiError> {
        match self.get(id, etag) {
            Ok(Fetched::New(gist)) => {
                let mut snapshot = gist.snapshot;
                let etag = snapshot.etag.take();
                snapshot.revision = None;
                Ok(Fetched::New(Page { gists: vec![snapshot], next: None, last: None, etag }))
            }
            Ok(Fetched::NotModified) => Ok(Fetched::NotModified),
            Err(ApiError::NotFound) => {
                Ok(Fetched::New(Page { gists: vec![], next: None, last: None, etag: None }))
            }
            Err(error) => Err(error),
        }
    }

    /// Reads the answer for one gist, which must be `asked` if that was the question.
    fn full(&self, answer: &Answer, asked: Option<&GistId>) -> Result<FullGist, ApiError> {
        let told = wire::gist(&answer.body).map_err(|problem| self.nonsense(problem))?;
        self.checked(told, answer, asked)
    }

    fn checked(
        &self,
        told: Told,
        answer: &Answer,
        asked: Option<&GistId>,
    ) -> Result<FullGist, ApiError> {
        let mut gist = incomplete(told);
        if let Some(asked) = asked.filter(|asked| **asked != gist.snapshot.id) {
            let other = &gist.snapshot.id;
            return Err(self.nonsense(format!("asked for gist {asked} it tells of {other}")));
        }
        gist.snapshot.etag = etag(&answer.headers);
        Ok(gist)
    }

    /// Completes a listed gist whose files the list does not identify, by asking for the gist.
    fn completed(&self, told: Told) -> Result<Option<FullGist>, ApiError> {
        if told.unknown.is_empty() {
            return Ok(Some(told.gist));
        }
        let id = &told.gist.snapshot.id;
        let url = self.endpoint().address(&["gists", id.as_str()]);
        let answer = self.read(url, None, MOST_OF_A_GIST);
        match answer.and_then(|answer| self.full(&answer, Some(id))) {
            Ok(mut gist) => {
                gist.snapshot.revision = None;
                gist.snapshot.etag = None;
                Ok(Some(gist))
            }
            Err(ApiError::NotFound) => Ok(None),
            // One gist that cannot be read must not hide all others; one bad minute must not
            // hide its files.
            Err(error @ ApiError::Nonsense { .. }) => {
                log::warn!("gist {id}: {error}");
                Ok(Some(incomplete(told)))
            }
            Err(error) if error.passes() => Err(error),
            Err(error) => {
                log::warn!("gist {id}: {error}");
                Ok(Some(incomplete(told)))
            }
        }
    }

    /// Not any 2xx says that it is done: a hotel's login page is 200 too.
    fn done(&self, answer: &Answer) -> Result<(), ApiError> {
        match answer.status {
            StatusCode::NO_CONTENT => Ok(()),
            other => Err(self.nonsense(format!("{other} where nothing is to be told"))),
        }
    }

    fn nonsense(&self, detail: String) -> ApiError {
        ApiError::Nonsense { host: authority(self.endpoint().api()), detail }
    }
}

impl GistApi for GitHub {
    fn account(&self) -> Result<Account, ApiError> {
        self.signed_in()?;
        let answer = self.read(self.endpoint().address(&["user"]), None, MOST_OF_A_LIST)?;
        let user = wire::user(&answer.body).map_err(|problem| self.nonsense(problem))?;
        let (login, number) = user;
        let scopes = status::text(&answer.headers, &SCOPES).map(|scopes| {
            let each = scopes.split(',').map(str::trim).filter(|scope| !scope.is_empty());
            each.map(str::to_owned).collect()
        });
        Ok(Account { login, number, scopes })
    }

    fn list(&self, page: &PageRequest) -> Result<Fetched<Page>, ApiError> {
        if let PageAddress::One(id) = &page.from {
            return self.only(id, page.etag.as_deref());
        }
        let url = self.page_url(&page.from)?;
        let answer = self.read(url, page.etag.as_deref(), MOST_OF_A_LIST)?;
        if answer.status == StatusCode::NOT_MODIFIED {
            return Ok(Fetched::NotModified);
        }
        let (told, all) = wire::list(&answer.body).map_err(|problem| self.nonsense(problem))?;
        let mut gists = Vec::with_capacity(told.len());
        for told in told {
            gists.extend(self.completed(told)?.map(|gist| gist.snapshot));
        }
        let linked = |relation| linked(&answer.headers, relation);
        let etag = etag(&answer.headers).filter(|_| all);
        Ok(Fetched::New(Page { gists, next: linked("next"), last: linked("last"), etag }))
    }

    fn get(&self, id: &GistId, etag: Option<&str>) -> Result<Fetched<FullGist>, ApiError> {
        let url = self.endpoint().address(&["gists", id.as_str()]);
        let answer = self.read(url, etag, MOST_OF_A_GIST)?;
        if answer.status == StatusCode::NOT_MODIFIED {
            return Ok(Fetched::NotModified);
        }
        self.full(&answer, Some(id)).map(Fetched::New)
    }

    fn get_base64(&self, id: &GistId, commit: Option<&CommitId>) -> Result<FullGist, ApiError> {
        let segments = ["gists", id.as_str()].into_iter().chain(commit.map(CommitId::as_str));
        let url = self.endpoint().address(&segments.collect::<Vec<_>>());
        let accept = Some("application/vnd.github.base64+json");
        let call =
            Call { method: Method::GET, url, etag: None, body: None, accept, most: MOST_OF_A_GIST };
        let answer = self.http.call(call)?;
        let told = wire::gist_in_base64(&answer.body).map_err(|problem| self.nonsense(problem))?;
        self.checked(told, &answer, Some(id))
    }

    fn revision(&self, id: &GistId, commit: &CommitId) -> Result<FullGist, ApiError> {
        let url = self.endpoint().address(&["gists", id.as_str(), commit.as_str()]);
        self.full(&self.read(url, None, MOST_OF_A_GIST)?, Some(id))
    }

    fn body(&self, file: &RemoteFile, heard: &dyn Fn()) -> Result<Bytes, ApiError> {
        self.http.body(file, heard)
    }

    fn stream(&self, file: &RemoteFile, from: u64, take: TakePiece<'_>) -> Result<(), ApiError> {
        self.http.stream(file, from, take)
    }

    fn create(&self, gist: &NewGist) -> Result<FullGist, ApiError> {
        let url = self.endpoint().address(&["gists"]);
        let answer = self.write(Method::POST, url, Some(wire::create(gist)))?;
        self.full(&answer, None)
    }

    fn update(&self, id: &GistId, patch: &Patch) -> Result<FullGist, ApiError> {
        let url = self.endpoint().address(&["gists", id.as_str()]);
        let answer = self.write(Method::PATCH, url, Some(wire::update(patch)))?;
        self.full(&answer, Some(id))
    }

    fn delete(&self, id: &GistId) -> Result<(), ApiError> {
        let url = self.endpoint().address(&["gists", id.as_str()]);
        self.done(&self.write(Method::DELETE, url, None)?)
    }

    fn quota(&self) -> Option<Quota> {
        self.http.quota()
    }
}

/// What can be shown of a gist. Where files are missing it counts as truncated, so that nobody
/// takes them for deleted.
fn incomplete(told: Told) -> FullGist {
    let mut gist = told.gist;
    for name in &told.unknown {
        let id = &gist.snapshot.id;
        log::warn!("gist {id}, file {:?}: its raw_url names no blob; not shown", name.as_str());
        gist.snapshot.truncated = true;
    }
    gist
}

impl Api for GitHub {
    fn social(&self) -> &dyn SocialApi {
        self
    }

    fn git(&self) -> &dyn GitApi {
        match &self.git {
            Some(git) => git,
            None => &Absent,
        }
    }
}

/// Where the page of that relation is, as the answer says it.
fn linked(headers: &HeaderMap, relation: &str) -> Option<String> {
    let links = headers.get_all(LINK).iter().filter_map(|link| link.to_str().ok());
    links.filter_map(|link| link::to(link, relation)).next()
}

fn etag(headers: &HeaderMap) -> Option<String> {
    status::text(headers, &ETAG).filter(|etag| !etag.is_empty()).map(str::to_owned)
}
