//! From a socket to an answer and back: the log, the delays and the faults. What the answer is
//! gets decided further in.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version};
use bytes::Bytes;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;

use super::caller::Caller;
use super::cgi::Pieces;
use super::connection::{CuttableListener, Knife};
use super::faults::FaultKind;
use super::limits::secondary_refusal;
use super::reply::Reply;
use super::requests::{LoggedRequest, Origin};
use super::site::{Arrival, Site};
use super::{githttp, journal, raw, routes, spoil};
use crate::model::Time;

/// Longer bodies are not even read; far above what the API takes.
const LONGEST_BODY: usize = 1 << 30;

/// So much of a git request's body is logged.
const LOGGED_OF_GIT: usize = 64 << 10;

/// Which of the two addresses a listener serves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    Api,
    Raw,
}

/// Serves one listener until the runtime stops.
pub(super) async fn serve(listener: tokio::net::TcpListener, site: Arc<Site>, door: Door) {
    let compression = CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(
        |_: StatusCode, _: Version, _: &HeaderMap, extensions: &Extensions| {
            extensions.get::<AsItIs>().is_none()
        },
    );
    let router = Router::new().fallback(handle).layer(compression).with_state((site, door));
    let service = router.into_make_service_with_connect_info::<Knife>();
    if let Err(error) = axum::serve(CuttableListener(listener), service).await {
        log::error!("the server stopped: {error}");
    }
}

/// Marks an answer that must not be compressed.
#[derive(Clone)]
struct AsItIs;

async fn handle(
    State((site, door)): State<(Arc<Site>, Door)>,
    ConnectInfo(knife): ConnectInfo<Knife>,
    request: Request,
) -> Response<Body> {
    let started = Instant::now();
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LONGEST_BODY).await else {
        // The client went away, or sends without end.
        knife.cut();
        return Response::new(Body::empty());
    };
    let whole = parts.uri.path();
    let (origin, prefix, path) = match door {
        Door::Api => match (below(whole, "/api/v3"), below(whole, "/gist")) {
            (Some(rest), _) => (Origin::Api, "/api/v3", rest),
            (None, Some(rest)) if !site.options.isolated => (beside_the_api(rest), "", rest),
            (None, _) => (Origin::Api, "", whole),
        },
        Door::Raw => (beside_the_api(whole), "", whole),
    };
    let arrival = Arrival {
        origin,
        method: parts.method.to_string(),
        prefix,
        path: path.to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
    };
    if let Some(record) = &site.record {
        record.note(&arrival);
    }
    let line = site.journal.as_ref().map(|journal| journal.line(&arrival));
    let latency = site.options.latency;
    let connects = knife.is_new();
    let latency = if connects { latency.saturating_mul(2) } else { latency };
    let under_way = site.log.arrived(LoggedRequest { connects, ..logged(&arrival, started) });
    let outcome = answer(&site, &Arc::new(arrival), latency).await;
    let speed = site.switches().speed.filter(|_| origin != Origin::Api);
    knife.slow(speed);
    let answered = match outcome {
        Outcome::Whole(reply) => {
            site.log.answered(&under_way, reply.status);
            let as_it_is = origin == Origin::Git || speed.is_some() || reply.status == 206;
            response(reply, as_it_is)
        }
        Outcome::Flowing(reply, pieces) => {
            site.log.answered(&under_way, reply.status);
            response(reply, true).map(|_| Body::new(pieces))
        }
        Outcome::Half(reply) => {
            site.log.answered(&under_way, reply.status);
            knife.cut_in_body(reply.body.len() / 2);
            // Half of a compressed body would be another half.
            response(reply, true)
        }
        Outcome::Nothing => {
            knife.cut();
            return Response::new(Body::empty());
        }
        Outcome::Reset => {
            knife.reset();
            return Response::new(Body::empty());
        }
    };
    match line {
        Some(line) => journal::told(line, answered),
        None => answered,
    }
}

/// What comes behind `prefix` in a path.
fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What is asked for where the API is not.
fn beside_the_api(path: &str) -> Origin {
    if path.contains(".git/") { Origin::Git } else { Origin::Raw }
}

fn logged(arrival: &Arrival, started: Instant) -> LoggedRequest {
    let headers = arrival.headers.iter().map(|(name, value)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    });
    let logged = match arrival.origin {
        // A copy, as a slice would keep the whole pack in memory.
        Origin::Git => {
            Bytes::copy_from_slice(&arrival.body[..arrival.body.len().min(LOGGED_OF_GIT)])
        }
        Origin::Api | Origin::Raw => arrival.body.clone(),
    };
    LoggedRequest {
        origin: arrival.origin,
        method: arrival.method.clone(),
        path: arrival.path.clone(),
        query: arrival.query.clone(),
        headers: headers.collect(),
        body: logged,
        status: 0,
        started,
        in_flight: 0,
        connects: false,
    }
}

/// How a request ends.
enum Outcome {
    Whole(Reply),
    /// The head, and a body that is still being made.
    Flowing(Reply, Pieces),
    /// The head and half of the body, then the connection closes.
    Half(Reply),
    /// The connection closes.
    Nothing,
    /// The connection is reset.
    Reset,
}

async fn answer(site: &Arc<Site>, arrival: &Arc<Arrival>, latency: Duration) -> Outcome {
    let target = format!("{}?{}", arrival.path, arrival.query);
    let Some(fault) = site.faults.take(arrival.origin, &arrival.method, &target) else {
        return if arrival.origin == Origin::Git && githttp::flows(arrival) {
            pause(latency).await;
            let flowing = githttp::flowing(site, arrival).await;
            flowing.map_or_else(Outcome::Whole, |(reply, body)| Outcome::Flowing(reply, body))
        } else {
            Outcome::Whole(work(site, arrival, latency).await)
        };
    };
    let refusal = match fault {
        FaultKind::Hang => std::future::pending().await,
        FaultKind::Drop => {
            pause(latency).await;
            return Outcome::Nothing;
        }
        FaultKind::Reset => {
            pause(latency).await;
            return Outcome::Reset;
        }
        FaultKind::WrongLength => {
            return Outcome::Whole(spoil::shortened(work(site, arrival, latency).await));
        }
        FaultKind::InvalidJson => {
            return Outcome::Whole(spoil::garbled(work(site, arrival, latency).await));
        }
        FaultKind::MissingFields => {
            return Outcome::Whole(spoil::stripped(work(site, arrival, latency).await));
        }
        FaultKind::NullFields => {
            return Outcome::Whole(spoil::nulled(work(site, arrival, latency).await));
        }
        FaultKind::Delay(delay) => {
            return Outcome::Whole(work(site, arrival, latency.saturating_add(delay)).await);
        }
        FaultKind::Hold(gate) => {
            gate.passed().await;
            return Outcome::Whole(work(site, arrival, latency).await);
        }
        FaultKind::HoldAnswer(gate) => {
            let reply = work(site, arrival, latency).await;
            gate.passed().await;
            return Outcome::Whole(reply);
        }
        FaultKind::CutShort => return Outcome::Half(work(site, arrival, latency).await),
        FaultKind::LoseAnswer => {
            drop(work(site, arrival, latency).await);
            return Outcome::Nothing;
        }
        FaultKind::WrongBody => {
            let reply = work(site, arrival, latency).await;
            return Outcome::Whole(spoil::spoiled(reply, arrival.origin));
        }
        FaultKind::Status { status, headers, body } => {
            let reply = Reply::bytes(status, "application/json; charset=utf-8", body.into());
            headers.into_iter().fold(reply, |reply, (name, value)| reply.with(&name, value))
        }
        FaultKind::Html => Reply::login_page(),
        FaultKind::PrimaryLimit { reset_in } => {
            let caller = Caller::of(&arrival.headers, &site.options.accounts);
            let reset = Time::now().after(reset_in).seconds();
            site.meter
                .primary_refusal(caller.ok().and_then(Caller::login))
                .with("x-ratelimit-remaining", "0")
                .with("x-ratelimit-reset", reset.to_string())
        }
        FaultKind::SecondaryLimit { retry_after } => {
            let reply = secondary_refusal(403, arrival.method != "GET", None);
            match retry_after {
                Some(wait) => reply.with("retry-after", wait.as_secs().to_string()),
                None => reply,
            }
        }
    };
    pause(latency).await;
    Outcome::Whole(routes::refused(site, arrival, refusal))
}

async fn pause(duration: Duration) {
    if !duration.is_zero() {
        tokio::time::sleep(duration).await;
    }
}

/// Waits out the delay and does the work; past the deadline the gateway answers instead.
async fn work(site: &Arc<Site>, arrival: &Arc<Arrival>, delay: Duration) -> Reply {
    let updated = arrival.updates();
    // Under way from now on, so that requests overlap as long as the delay makes them last.
    let update = updated.as_deref().map(|id| site.begin_update(id));
    let overlapping = matches!(update, Some(None));
    let switches = site.switches();
    let overdue = switches.deadline.filter(|deadline| delay > *deadline);
    pause(overdue.unwrap_or(delay)).await;
    if overdue.is_some() && !switches.gateway_applies {
        return routes::refused(site, arrival, Reply::server_error());
    }
    let reply = match arrival.origin {
        Origin::Git => githttp::answer(Arc::clone(site), Arc::clone(arrival)).await,
        Origin::Api | Origin::Raw => {
            let (site, arrival) = (Arc::clone(site), Arc::clone(arrival));
            let work = tokio::task::spawn_blocking(move || match arrival.origin {
                Origin::Api => routes::answer(&site, &arrival, overlapping),
                Origin::Raw | Origin::Git => raw::answer(&site, &arrival),
            });
            work.await.unwrap_or_else(|error| {
                log::error!("an answer failed: {error}");
                Reply::error(500, "Server Error")
            })
        }
    };
    if overdue.is_some() { routes::refused(site, arrival, Reply::server_error()) } else { reply }
}

fn response(reply: Reply, as_it_is: bool) -> Response<Body> {
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in reply.headers {
        match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&value)) {
            (Ok(name), Ok(value)) => {
                response.headers_mut().append(name, value);
            }
            _ => log::warn!("{name} cannot be sent"),
        }
    }
    if as_it_is {
        response.extensions_mut().insert(AsItIs);
    }
    response
}
