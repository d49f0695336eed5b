//! The API's gate and its map: who may come in, and which request goes where.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};
use serde_json::{Value, json};

use super::caller::Caller;
use super::render::Style;
use super::reply::Reply;
use super::requests::Origin;
use super::site::{Arrival, Site};
use super::switches::Switches;
use super::{gists, graphql, lists, social};
use crate::model::{BlobId, Time};

/// The versions of the API that exist; the first is the default.
const VERSIONS: [&str; 2] = ["2022-11-28", "2026-03-10"];

/// A request that is inside: who asks is known, and the limits let it pass.
pub(super) struct Call<'a> {
    pub(super) site: &'a Site,
    pub(super) arrival: &'a Arrival,
    pub(super) caller: Caller<'a>,
    pub(super) switches: Switches,
    pub(super) style: Style,
    /// Another update of the same gist is under way.
    pub(super) overlapping: bool,
}

/// Answers an API request.
pub(super) fn answer(site: &Site, arrival: &Arrival, overlapping: bool) -> Reply {
    let caller = match gate(site, arrival) {
        Ok(caller) => caller,
        Err(refusal) => return refused(site, arrival, refusal),
    };
    let switches = site.switches();
    let style = Style {
        api: format!("{}{}", site.api, arrival.prefix),
        raw: site.raw.clone(),
        base64: arrival.header("accept").is_some_and(|accept| accept.contains("base64")),
        old_enterprise: switches.old_enterprise,
        raw_tokens: site.options.raw_tokens,
        null_files: switches.null_files.clone(),
        ghosts: switches.ghosts.clone(),
    };
    let call = Call { site, arrival, caller, switches, style, overlapping };
    let reply = call.route().unwrap_or_else(|refusal| refusal);
    let reply = revalidated(arrival, with_etag(arrival, reply));
    let free = arrival.path == "/rate_limit" || (reply.status == 304 && caller.login().is_some());
    if !free {
        site.meter.charge(caller.login());
    }
    dressed(site, arrival, caller, reply)
}

/// Completes an answer that came about without looking at the request.
pub(super) fn refused(site: &Site, arrival: &Arrival, reply: Reply) -> Reply {
    if arrival.origin != Origin::Api {
        return reply;
    }
    let caller = Caller::of(&arrival.headers, &site.options.accounts);
    dressed(site, arrival, caller.unwrap_or(Caller::ANONYMOUS), reply)
}

fn gate<'a>(site: &'a Site, arrival: &Arrival) -> Result<Caller<'a>, Reply> {
    // GraphQL alone has another place.
    let elsewhere = arrival.prefix.is_empty() && arrival.path != "/api/graphql";
    if site.options.enterprise && elsewhere {
        let page = "<!DOCTYPE html>\n<html><body>Page not found</body></html>\n";
        return Err(Reply::bytes(404, "text/html; charset=utf-8", page.into()));
    }
    if arrival.header("user-agent").is_none_or(str::is_empty) {
        let message = "Request forbidden by administrative rules. Please make sure your request \
                       has a User-Agent header.";
        return Err(Reply::error(403, message));
    }
    let caller = Caller::of(&arrival.headers, &site.options.accounts)?;
    if let Some(version) = arrival.header("x-github-api-version")
        && (site.switches().no_versions || !VERSIONS.contains(&version))
    {
        return Err(Reply::error(400, "The API version in the request is not supported."));
    }
    if !site.options.enterprise {
        let free = arrival.path == "/rate_limit";
        site.meter.admit(caller.login(), &arrival.method, free)?;
    }
    let conditional = ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"];
    let unsafe_method = !matches!(arrival.method.as_str(), "GET" | "HEAD");
    if unsafe_method && conditional.iter().any(|name| arrival.headers.contains_key(*name)) {
        let message = "Conditional request headers are not allowed in unsafe requests unless \
                       supported by the endpoint";
        return Err(Reply::error(400, message));
    }
    Ok(caller)
}

impl Call<'_> {
    fn route(&self) -> Result<Reply, Reply> {
        let segments = self.arrival.segments();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        // A trailing slash is an empty last segment, which no arm accepts.
        if segments.contains(&"") {
            return Err(Reply::not_found());
        }
        let method = match self.arrival.method.as_str() {
            "HEAD" => "GET",
            other => other,
        };
        match (method, segments.as_slice()) {
            ("GET", []) => Ok(self.root()),
            ("GET", ["user"]) => Ok(Reply::json(200, &self.style.user(self.caller.known()?))),
            ("GET", ["users", login]) => self.user(login),
            ("GET", ["rate_limit"]) => self.rate_limit(),
            ("POST", ["graphql"] | ["api", "graphql"]) => graphql::answer(self),
            ("GET", ["gists"]) => lists::own(self),
            ("GET", ["gists", "public"]) => Ok(lists::public(self)),
            ("GET", ["gists", "starred"]) => lists::starred(self),
            ("GET", ["users", login, "gists"]) => lists::of_user(self, login),
            ("GET", ["user", id, "gists"]) => lists::of_user_number(self, id),
            ("POST", ["gists"]) => gists::create(self),
            ("GET", ["gists", id]) => gists::get(self, id),
            ("PATCH" | "POST", ["gists", id]) => gists::update(self, id),
            ("DELETE", ["gists", id]) => gists::delete(self, id),
            ("GET", ["gists", id, "commits"]) => gists::commits(self, id),
            ("GET", ["gists", id, "forks"]) => social::forks(self, id),
            ("POST", ["gists", id, "forks"]) => social::fork(self, id),
            ("GET", ["gists", id, "star"]) => social::starred(self, id),
            ("PUT", ["gists", id, "star"]) => social::star(self, id, true),
            ("DELETE", ["gists", id, "star"]) => social::star(self, id, false),
            ("GET", ["gists", id, "comments"]) => social::comments(self, id),
            ("POST", ["gists", id, "comments"]) => social::add_comment(self, id),
            ("GET", ["gists", id, "comments", number]) => social::comment(self, id, number),
            ("PATCH", ["gists", id, "comments", number]) => social::edit_comment(self, id, number),
            ("DELETE", ["gists", id, "comments", number]) => {
                social::delete_comment(self, id, number)
            }
            ("GET", ["gists", id, version]) => gists::revision(self, id, version),
            _ => Err(Reply::not_found()),
        }
    }

    fn root(&self) -> Reply {
        let api = &self.style.api;
        let value = json!({
            "current_user_url": format!("{api}/user"),
            "gists_url": format!("{api}/gists{{/gist_id}}"),
            "public_gists_url": format!("{api}/gists/public"),
            "rate_limit_url": format!("{api}/rate_limit"),
            "starred_gists_url": format!("{api}/gists/starred"),
        });
        Reply::json(200, &value)
    }

    fn user(&self, login: &str) -> Result<Reply, Reply> {
        let known = lists::exists(self.site, login);
        if known { Ok(Reply::json(200, &self.style.user(login))) } else { Err(Reply::not_found()) }
    }

    fn rate_limit(&self) -> Result<Reply, Reply> {
        if self.site.options.enterprise {
            return Err(Reply::error(404, "Rate limiting is not enabled."));
        }
        let standing = self.site.meter.standing(self.caller.login());
        let standing =
            standing.ok_or_else(|| Reply::error(404, "Rate limiting is not enabled."))?;
        let core = json!({
            "limit": standing.limit,
            "used": standing.used,
            "remaining": standing.remaining(),
            "reset": standing.reset.seconds(),
        });
        Ok(Reply::json(200, &json!({"resources": {"core": core}, "rate": core})))
    }

    /// The page a list request asks for: entries a page, at most 100, and the page from 1.
    pub(super) fn page(&self) -> (usize, usize) {
        let number = |name: &str| {
            let text = self.arrival.parameter(name)?;
            text.parse::<usize>().ok().filter(|&number| number > 0)
        };
        (number("per_page").unwrap_or(30).min(100), number("page").unwrap_or(1))
    }

    /// One page of `entries` with the links to its neighbours, which point below `path`.
    pub(super) fn paged<T>(&self, path: &str, entries: &[T], show: impl Fn(&T) -> Value) -> Reply {
        let (per_page, page) = self.page();
        let last = entries.len().div_ceil(per_page).max(1);
        let shown: Vec<Value> = entries
            .iter()
            .skip((page - 1).saturating_mul(per_page))
            .take(per_page)
            .map(show)
            .collect();
        let mut others: Vec<&str> = self.arrival.query.split('&').collect();
        others.retain(|pair| !pair.is_empty() && !pair.starts_with("page="));
        let link = |to: usize, rel: &str| {
            let page = format!("page={to}");
            let query: Vec<&str> = others.iter().copied().chain([page.as_str()]).collect();
            format!("<{}{path}?{}>; rel=\"{rel}\"", self.style.api, query.join("&"))
        };
        let mut links = Vec::new();
        if page > 1 {
            links.push(link((page - 1).min(last), "prev"));
        }
        if page < last {
            links.push(link(page + 1, "next"));
            links.push(link(last, "last"));
        }
        if page > 1 {
            links.push(link(1, "first"));
        }
        let reply = Reply::json(200, &Value::Array(shown));
        if links.is_empty() { reply } else { reply.with("link", links.join(", ")) }
    }
}

/// What an ETag says of a body.
pub(super) fn opaque(body: &[u8]) -> String {
    let mut opaque = BlobId::of(body).to_string();
    opaque.truncate(32);
    opaque
}

/// Adds the validator: weak on answers that gzip may pass, strong on the answer to a creation,
/// with the same opaque part if the body is the same.
fn with_etag(arrival: &Arrival, reply: Reply) -> Reply {
    if !(200..300).contains(&reply.status) || reply.body.is_empty() {
        return reply;
    }
    let weak = if reply.status == 201 { "" } else { "W/" };
    let opaque = opaque(&reply.body);
    let reply = reply.with("etag", format!("{weak}\"{opaque}\""));
    if matches!(arrival.method.as_str(), "GET" | "HEAD") {
        let whose =
            if arrival.headers.contains_key("authorization") { "private" } else { "public" };
        return reply.with("cache-control", format!("{whose}, max-age=60, s-maxage=60"));
    }
    reply
}

/// Turns an answer the client has already into a 304. An ETag counts for more than a date.
fn revalidated(arrival: &Arrival, reply: Reply) -> Reply {
    if !matches!(arrival.method.as_str(), "GET" | "HEAD") || reply.status != 200 {
        return reply;
    }
    let known = match (arrival.header("if-none-match"), arrival.header("if-modified-since")) {
        (Some(validators), _) => reply.header("etag").is_some_and(|etag| {
            let opaque = etag.trim_start_matches("W/");
            let mut given = validators.split(',').map(str::trim);
            given.any(|given| given == "*" || given.trim_start_matches("W/") == opaque)
        }),
        (None, Some(date)) => match (http_seconds(date), reply.header("last-modified")) {
            (Some(since), Some(modified)) => http_seconds(modified).is_some_and(|at| at <= since),
            (None, _) | (_, None) => false,
        },
        (None, None) => false,
    };
    if !known {
        return reply;
    }
    let mut headers = reply.headers;
    headers.retain(|(name, _)| name != "content-type");
    Reply { status: 304, headers, body: Bytes::new() }
}

/// A time as HTTP writes it.
pub(super) fn http_date(time: Time) -> Option<String> {
    let stamp = jiff::Timestamp::from_second(time.seconds()).ok()?;
    DateTimePrinter::new().timestamp_to_rfc9110_string(&stamp).ok()
}

fn http_seconds(date: &str) -> Option<i64> {
    DateTimeParser::new().parse_timestamp(date).ok().map(jiff::Timestamp::as_second)
}

/// Adds what every answer of the API carries, except where the answer says otherwise already.
fn dressed(site: &Site, arrival: &Arrival, caller: Caller, mut reply: Reply) -> Reply {
    let mut add = |name: &str, value: String| {
        if reply.header(name).is_none() {
            reply.headers.push((name.to_owned(), value));
        }
    };
    let number = site.request_ids.fetch_add(1, Ordering::Relaxed);
    add("x-github-request-id", format!("{number:04X}:{:X}", Time::now().seconds()));
    let accept = arrival.header("accept").unwrap_or_default();
    let parameter = ["base64", "raw"].into_iter().find(|name| accept.contains(name));
    let parameter = parameter.map(|name| format!("param={name}; ")).unwrap_or_default();
    add("x-github-media-type", format!("github.v3; {parameter}format=json"));
    let version = arrival.header("x-github-api-version").filter(|v| VERSIONS.contains(v));
    add("x-github-api-version-selected", version.unwrap_or(VERSIONS[0]).to_owned());
    add("vary", "Accept, Authorization, Cookie, X-GitHub-OTP, Accept-Encoding".to_owned());
    if let Some(scopes) = caller.scopes() {
        add("x-oauth-scopes", scopes);
        // Empty for gists, whatever is needed.
        add("x-accepted-oauth-scopes", String::new());
    }
    if site.options.enterprise {
        add("x-github-enterprise-version", "3.14.0".to_owned());
    } else if let Some(standing) = site.meter.standing(caller.login()) {
        add("x-ratelimit-limit", standing.limit.to_string());
        add("x-ratelimit-remaining", standing.remaining().to_string());
        add("x-ratelimit-used", standing.used.to_string());
        add("x-ratelimit-reset", standing.reset.seconds().to_string());
        add("x-ratelimit-resource", "core".to_owned());
    }
    reply
}
