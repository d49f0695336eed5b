//! From a status that is no success to an [`ApiError`].

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

use super::{ApiError, Quota, wire};
use crate::model::Time;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const RESOURCE: HeaderName = HeaderName::from_static("x-ratelimit-resource");

/// A quota refills within the hour and no limit lasts a day; a longer wait comes from a wrong clock.
const LONGEST_RESET: Duration = Duration::from_secs(3600);
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// What a refused request failed with, by its status, headers and body.
pub(super) fn error(host: &str, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> ApiError {
    let message = message(status, body);
    match status.as_u16() {
        401 => ApiError::Unauthorized(message),
        403 | 429 => limit(status, headers, &message).unwrap_or(ApiError::Forbidden(message)),
        404 => ApiError::NotFound,
        // A proxy on the way lost patience; unlike every other 4xx, asking again helps.
        408 => ApiError::TimedOut { host: host.to_owned() },
        409 => ApiError::Conflict(message),
        400..=499 => ApiError::Refused { status: status.as_u16(), message },
        500..=599 => ApiError::Server(status.as_u16()),
        _ => ApiError::Nonsense { host: host.to_owned(), detail: format!("the status {status}") },
    }
}

/// Whether a request was refused for the version of the API that it named.
pub(super) fn names_the_version(error: &ApiError) -> bool {
    let ApiError::Refused { status: 400, message } = error else { return false };
    let words = message.to_ascii_lowercase();
    words.contains("version") && (words.contains("not supported") || words.contains("unsupported"))
}

/// The quota of REST requests that the answer tells; GraphQL and search have their own.
pub(super) fn quota(headers: &HeaderMap) -> Option<Quota> {
    if text(headers, &RESOURCE).is_some_and(|resource| resource != "core") {
        return None;
    }
    Some(Quota {
        limit: number(headers, &LIMIT)?,
        remaining: number(headers, &REMAINING)?,
        reset: Time::new(i64::try_from(number(headers, &RESET)?).ok()?, 0),
    })
}

/// A header's value, if it is text.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The limit that a 403 or 429 speaks of; `None` if it is a plain refusal.
fn limit(status: StatusCode, headers: &HeaderMap, message: &str) -> Option<ApiError> {
    let words = message.to_ascii_lowercase();
    let used_up = number(headers, &REMAINING) == Some(0);
    let primary = words.starts_with("api rate limit exceeded");
    let secondary = words.contains("secondary rate") || words.contains("abuse detection");
    let told = retry_after(headers);
    if !(used_up || primary || secondary || told.is_some()) && status.as_u16() != 429 {
        return None;
    }
    // The reset is about the quota; with quota left it says nothing of how long a pace limit lasts.
    let wait = told.or_else(|| if used_up || primary { until_reset(headers) } else { None });
    let secondary = secondary || !(used_up || primary);
    Some(ApiError::Limited { message: message.to_owned(), wait, secondary })
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = text(headers, &RETRY_AFTER)?.trim();
    let wait = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => Time::parse_http(value)?.since(date(headers)?),
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

fn until_reset(headers: &HeaderMap) -> Option<Duration> {
    let reset = i64::try_from(number(headers, &RESET)?).ok()?;
    Some(Time::new(reset, 0).since(date(headers)?).min(LONGEST_RESET))
}

/// The server's own clock, so that ours need not be right.
fn date(headers: &HeaderMap) -> Option<Time> {
    Time::parse_http(text(headers, &DATE)?)
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    text(headers, name)?.trim().parse().ok()
}

/// GitHub's words, or a raw host's first line, fit for one line of a log.
fn message(status: StatusCode, body: &[u8]) -> String {
    let plain = || {
        let line = String::from_utf8_lossy(body.split(|byte| *byte == b'\n').next()?).into_owned();
        let told = !line.trim().is_empty() && !line.trim_start().starts_with(['<', '{', '[']);
        told.then_some(line)
    };
    let reason = || status.canonical_reason().unwrap_or("no reason given").to_owned();
    let words = wire::complaint(body).or_else(plain).unwrap_or_else(reason);
    let printable = words.chars().map(|c| if c.is_control() { ' ' } else { c });
    printable.take(500).collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> ApiError {
        let status = StatusCode::from_u16(status).unwrap();
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        error("h", status, &headers, body.as_bytes())
    }

    fn limited(message: &str, wait: Option<u64>, secondary: bool) -> ApiError {
        let wait = wait.map(Duration::from_secs);
        ApiError::Limited { message: message.into(), wait, secondary }
    }

    const PRIMARY: &str = r#"{"message":"API rate limit exceeded for user ID 1."}"#;
    const SECONDARY: &str =
        r#"{"message":"You have exceeded a secondary rate limit. Please wait."}"#;
    const DENIED: &str = r#"{"message":"Resource not accessible by personal access token"}"#;
    const NOW: (&str, &str) = ("date", "Sat, 21 Nov 2026 06:49:00 GMT");

    #[test]
    fn a_refusal_is_no_limit_and_a_limit_is_no_refusal() {
        let denied = "Resource not accessible by personal access token".to_owned();
        let rich = ("x-ratelimit-remaining", "4999");
        assert_eq!(answer(403, &[], DENIED), ApiError::Forbidden(denied.clone()));
        assert_eq!(answer(403, &[rich], DENIED), ApiError::Forbidden(denied));
        for status in [403, 429] {
            let words = "API rate limit exceeded for user ID 1.";
            assert_eq!(answer(status, &[], PRIMARY), limited(words, None, false));
            let words = "You have exceeded a secondary rate limit. Please wait.";
            assert_eq!(answer(status, &[], SECONDARY), limited(words, None, true));
        }
        assert_eq!(answer(429, &[], "slow down\n"), limited("slow down", None, true));
        let abuse = r#"{"message":"You have triggered an abuse detection mechanism."}"#;
        let words = "You have triggered an abuse detection mechanism.";
        assert_eq!(answer(403, &[], abuse), limited(words, None, true));
    }

    #[test]
    fn the_wait_is_what_the_server_says_by_its_own_clock() {
        let spent = ("x-ratelimit-remaining", "0");
        let left = ("x-ratelimit-remaining", "17");
        let reset = ("x-ratelimit-reset", "1795243800");
        let wait = |headers: &[_], body| {
            let error = answer(403, headers, body);
            let ApiError::Limited { wait, .. } = error else { panic!("{error}") };
            wait.map(|wait| wait.as_secs())
        };
        assert_eq!(wait(&[("retry-after", "90")], SECONDARY), Some(90));
        assert_eq!(wait(&[("retry-after", "90"), spent, reset, NOW], PRIMARY), Some(90));
        let later = ("retry-after", "Sat, 21 Nov 2026 06:50:30 GMT");
        assert_eq!(wait(&[later, NOW], SECONDARY), Some(90));
        assert_eq!(wait(&[spent, reset, NOW], PRIMARY), Some(60));
        assert_eq!(wait(&[spent, reset], PRIMARY), None, "no clock to compare with");
        assert_eq!(wait(&[left, reset, NOW], SECONDARY), None, "the quota's reset is not meant");
        assert_eq!(wait(&[("retry-after", "soon")], SECONDARY), None);
        assert_eq!(wait(&[("retry-after", "99999999999")], SECONDARY), Some(24 * 3600));
        let never = ("x-ratelimit-reset", "99999999999");
        assert_eq!(wait(&[spent, never, NOW], PRIMARY), Some(3600));
        let past = ("x-ratelimit-reset", "5");
        assert_eq!(wait(&[spent, past, NOW], PRIMARY), Some(0));
    }

    #[test]
    fn every_status_has_its_error() {
        let words = r#"{"message":"Words","status":"4xx"}"#;
        assert_eq!(answer(401, &[], words), ApiError::Unauthorized("Words".into()));
        assert_eq!(answer(404, &[], words), ApiError::NotFound);
        assert_eq!(answer(409, &[], words), ApiError::Conflict("Words".into()));
        for status in [400, 410, 413, 422, 451] {
            let refused = ApiError::Refused { status, message: "Words".into() };
            assert_eq!(answer(status, &[], words), refused);
        }
        for status in [500, 502, 503, 504] {
            assert_eq!(answer(status, &[], "<html>"), ApiError::Server(status));
        }
        assert_eq!(answer(408, &[], ""), ApiError::TimedOut { host: "h".into() });
        for status in [100, 206, 300, 999] {
            assert!(matches!(answer(status, &[], ""), ApiError::Nonsense { .. }), "{status}");
        }
    }

    #[test]
    fn a_message_is_one_printable_line() {
        let refused = |body: &str| {
            let error = answer(422, &[], body);
            let ApiError::Refused { message, .. } = error else { panic!("{error}") };
            message
        };
        let schema = "{\"message\":\"Invalid request.\\n\\nnil is not a \\u001b[31mstring.\"}";
        assert_eq!(refused(schema), "Invalid request. nil is not a [31mstring.");
        assert_eq!(refused(""), "Unprocessable Entity");
        assert_eq!(refused("<!DOCTYPE html><title>Sign in"), "Unprocessable Entity");
        assert_eq!(refused(r#"{"oops":1}"#), "Unprocessable Entity");
        assert_eq!(refused(&"x".repeat(9000)).len(), 500);
    }

    #[test]
    fn the_quota_is_that_of_the_rest_api() {
        let all = [
            ("x-ratelimit-limit", "5000"),
            ("x-ratelimit-remaining", "4999"),
            ("x-ratelimit-reset", "1795243800"),
        ];
        let headers = |extra: &[(&'static str, &'static str)]| {
            let all = all.iter().chain(extra);
            let pair = |(name, value): &(&'static str, &'static str)| {
                (HeaderName::from_static(name), HeaderValue::from_static(value))
            };
            all.map(pair).collect::<HeaderMap>()
        };
        let quota_of = |extra: &[_]| quota(&headers(extra));
        let expected = Quota { limit: 5000, remaining: 4999, reset: Time::new(1_795_243_800, 0) };
        assert_eq!(quota_of(&[]), Some(expected));
        assert_eq!(quota_of(&[("x-ratelimit-resource", "core")]), Some(expected));
        assert_eq!(quota_of(&[("x-ratelimit-resource", "graphql")]), None);
        assert_eq!(quota(&HeaderMap::new()), None);
    }
}
