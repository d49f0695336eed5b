//! Parts of a body: `Range`, one span at a time.

use bytes::Bytes;

use super::reply::Reply;
use super::site::Arrival;

/// The part of `reply` that the request asks for; the whole where it asks for none, for several,
/// for a part of another body (`If-Range`), or in a way that is no range of bytes.
pub(super) fn applied(arrival: &Arrival, reply: Reply) -> Reply {
    let reply = reply.with("accept-ranges", "bytes");
    let same = arrival.header("if-range").is_none_or(|tag| reply.header("etag") == Some(tag));
    let span = arrival.header("range").filter(|_| same && arrival.method == "GET");
    let length = reply.body.len();
    match span.and_then(|text| span_in(text, length)) {
        None => reply,
        Some(None) => Reply { status: 416, body: Bytes::new(), ..reply }
            .with("content-range", format!("bytes */{length}")),
        Some(Some((from, to))) => {
            let body = reply.body.slice(from..to);
            Reply { status: 206, body, ..reply }
                .with("content-range", format!("bytes {from}-{}/{length}", to - 1))
        }
    }
}

/// First byte and the one behind the last; `Some(None)` is a span with nothing in it.
fn span_in(text: &str, length: usize) -> Option<Option<(usize, usize)>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let (from, to) = match (first.trim(), last.trim()) {
        ("", suffix) => (length.saturating_sub(suffix.parse().ok()?), length),
        (first, "") => (first.parse().ok()?, length),
        (first, last) => {
            let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
            if last < first {
                return None;
            }
            (first, last.saturating_add(1).min(length))
        }
    };
    Some((from < to).then_some((from, to)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_rfc_9110_writes_them() {
        for (text, span) in [
            ("bytes=0-3", Some(Some((0, 4)))),
            ("bytes=4-", Some(Some((4, 10)))),
            ("bytes=-3", Some(Some((7, 10)))),
            ("bytes=-30", Some(Some((0, 10)))),
            ("bytes=9-99", Some(Some((9, 10)))),
            ("bytes=0-18446744073709551615", Some(Some((0, 10)))),
            ("bytes=10-", Some(None)),
            ("bytes=-0", Some(None)),
            ("bytes=3-2", None),
            ("bytes=0-1,3-4", None),
            ("bytes=-", None),
            ("lines=0-3", None),
        ] {
            assert_eq!(span_in(text, 10), span, "{text}");
        }
        assert_eq!(span_in("bytes=0-", 0), Some(None));
    }
}
