//! Hosts that send what no host should, and where the token does not go.

use std::io::Write as _;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use gistfs::api::github::{GitHub, SetupError, Timeouts};
use gistfs::api::host::Endpoint;
use gistfs::api::token::Token;
use gistfs::api::{ApiError, GistApi, PageAddress, PageRequest, Patch};
use gistfs::model::{BlobId, RemoteFile};

use crate::scripted::{Scripted, answer};
use crate::support::{AMPLE, TOKEN, client, hello, id, is_nonsense, name, new, own};

#[test]
fn a_handshake_that_fails_or_hangs_is_no_connection() {
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", plain.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut connection, _) = plain.accept().unwrap();
        connection.write_all(b"220 mail.example ESMTP\r\n").unwrap();
    });
    let api = client(&url, Some(TOKEN), AMPLE);
    let error = api.account().unwrap_err();
    assert!(matches!(error, ApiError::Unreachable { .. }), "{error}");
    server.join().unwrap();
    // The system accepts connections for a listener that never looks at them.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = Endpoint::of_url(&format!("https://{}", deaf.local_addr().unwrap())).unwrap();
    let connect = Duration::from_millis(200);
    let timeouts = Timeouts { connect, ..Timeouts::default() };
    let error = GitHub::with_timeouts(endpoint, None, timeouts).unwrap().get(&id("1"), None);
    assert!(matches!(error, Err(ApiError::Unreachable { .. })), "{error:?}");
}

#[test]
fn without_encryption_only_this_machine_is_talked_to_token_or_not() {
    let token = || Token::parse(TOKEN);
    for token in [token(), None] {
        let refused = GitHub::new(Endpoint::of_url("http://ghe.example.com").unwrap(), token);
        let host = "ghe.example.com".to_owned();
        assert_eq!(refused.err(), Some(SetupError::InClear { host }));
    }
    GitHub::new(Endpoint::of_url("http://localhost:9").unwrap(), token()).unwrap();
    GitHub::new(Endpoint::of_url("https://ghe.example.com").unwrap(), token()).unwrap();
}

#[test]
fn a_link_to_another_origin_is_not_followed() {
    let stranger = Scripted::start(|_| vec![answer("200 OK", "", "[]")]);
    let next = format!("link: <{}/gists?page=2>; rel=\"next\"\r\n", stranger.url);
    let api_host = Scripted::start(|_| vec![answer("200 OK", &next, "[]")]);
    let api = client(&api_host.url, Some(TOKEN), AMPLE);
    let page = new(api.list(&own(None)).unwrap());
    let from = PageAddress::Next(page.next.unwrap());
    assert!(is_nonsense(api.list(&PageRequest { from, etag: None })));
    assert!(stranger.heard().is_empty());
    for link in ["http://[", "javascript:x", "//evil.example/gists", "http://u:p@127.0.0.1/x"] {
        let request = PageRequest { from: PageAddress::Next(link.into()), etag: None };
        assert!(is_nonsense(api.list(&request)), "{link}");
    }
}

#[test]
fn a_redirect_is_followed_within_the_origin_and_never_beyond() {
    let stranger = Scripted::start(|_| vec![answer("200 OK", "", r#"{"login":"evil"}"#)]);
    let away = format!("location: {}/user\r\n", stranger.url);
    let api_host = Scripted::start(|_| {
        vec![
            answer("301 Moved Permanently", "location: /new/user\r\n", ""),
            answer("200 OK", "", r#"{"login":"octo"}"#),
            answer("302 Found", &away, ""),
            answer("307 Temporary Redirect", "location: /other\r\n", ""),
            answer("302 Found", "location: /user\r\n", ""),
            answer("302 Found", "location: /user\r\n", ""),
            answer("302 Found", "location: /user\r\n", ""),
            answer("302 Found", "location: /user\r\n", ""),
        ]
    });
    let api = client(&api_host.url, Some(TOKEN), AMPLE);
    assert_eq!(api.account().unwrap().login, "octo");
    assert!(is_nonsense(api.account()));
    assert!(stranger.heard().is_empty());
    assert!(is_nonsense(api.create(&hello())));
    assert!(is_nonsense(api.account()));
    let heard = api_host.heard();
    assert_eq!(heard.len(), 8, "a POST is not repeated, a circle is left");
    assert!(heard[1].starts_with("get /new/user "));
    assert!(heard[1].contains("authorization: bearer"));
}

#[test]
fn bodies_may_be_redirected_because_nothing_secret_goes_along() {
    let body = Scripted::start(|_| vec![answer("200 OK", "", "abc")]);
    let away = format!("location: {}/abc\r\n", body.url);
    let first = Scripted::start(|_| vec![answer("302 Found", &away, "")]);
    let api = client("http://127.0.0.1:9", Some(TOKEN), AMPLE);
    let raw_url = format!("{}/raw/x?token=hunter2", first.url);
    let file = RemoteFile { blob: BlobId::of(b"abc"), size: 3, raw_url, language: None };
    assert_eq!(api.body(&file, &|| {}).unwrap(), "abc");
    for request in [first.heard(), body.heard()].concat() {
        assert!(!request.contains("authorization") && !request.contains("referer"), "{request}");
    }
}

#[test]
fn gzip_is_understood_and_broken_gzip_is_nonsense() {
    // printf '{"login":"octo"}' | gzip -n9
    let packed = b"\x1f\x8b\x08\0\0\0\0\0\x02\x03\xab\x56\xca\xc9\x4f\xcf\xcc\x53\xb2\x52\xca\
        \x4f\x2e\xc9\x57\xaa\x05\0\x28\xd9\x5b\x97\x10\0\0\0";
    let zipped = "content-encoding: gzip\r\n";
    let host = Scripted::start(|_| {
        vec![answer("200 OK", zipped, packed), answer("200 OK", zipped, "this is not gzip")]
    });
    let api = client(&host.url, Some(TOKEN), AMPLE);
    assert_eq!(api.account().unwrap().login, "octo");
    assert!(is_nonsense(api.account()));
}

#[test]
fn an_answer_about_another_gist_is_no_answer() {
    let other = || answer("200 OK", "", r#"{"id":"2","description":null,"files":{}}"#);
    let host = Scripted::start(|_| vec![other(), other(), answer("200 OK", "", "<html>")]);
    let api = client(&host.url, Some(TOKEN), AMPLE);
    assert!(is_nonsense(api.get(&id("1"), None)));
    assert!(is_nonsense(api.update(&id("1"), &Patch::default())));
    assert!(is_nonsense(api.delete(&id("1"))), "a login page deletes nothing");
}

#[test]
fn a_listed_file_without_a_blob_is_looked_up_and_otherwise_never_taken_for_deleted() {
    let list = r#"[{"id":"1","description":null,"files":{"f":{"size":3,"raw_url":"http://h/raw/f"}}},
        {"id":"2","description":null,"files":{"f":{"size":3,"raw_url":"http://h/raw/f"}}},
        {"id":"3","description":null,"files":{}}, {"id":"5"}, {"id":"6","files":{}},
        {"id":"4","description":null,"files":{"f":{"size":3,"raw_url":"http://h/raw/f"}}}]"#;
    let told = r#"{"id":"1","description":null,"files":{"f":{"size":3,"raw_url":"http://h/raw/f","content":"abc"}}}"#;
    let untold =
        r#"{"id":"2","description":null,"files":{"f":{"size":3,"raw_url":"http://h/raw/f"}}}"#;
    let host = Scripted::start(|_| {
        vec![
            answer("200 OK", "", list),
            answer("200 OK", "etag: \"x\"\r\n", told),
            answer("200 OK", "", untold),
            answer("404 Not Found", "", ""),
        ]
    });
    let api = client(&host.url, Some(TOKEN), AMPLE);
    let gists = new(api.list(&own(None)).unwrap()).gists;
    assert_eq!(gists.len(), 3);
    assert_eq!(gists[0].files[&name("f")].blob, BlobId::of(b"abc"));
    assert_eq!((gists[0].truncated, &gists[0].etag), (false, &None));
    assert!(gists[1].truncated && gists[1].files.is_empty());
    assert!(!gists[2].truncated);
}

#[test]
fn an_etag_that_no_header_can_hold_is_left_out() {
    let host = Scripted::start(|_| {
        vec![answer("200 OK", "etag: \r\n", r#"{"id":"1","description":null,"files":{}}"#)]
    });
    let api = client(&host.url, Some(TOKEN), AMPLE);
    let full = new(api.get(&id("1"), Some("a\nb")).unwrap());
    assert_eq!(full.snapshot.etag, None);
    assert!(!host.heard()[0].contains("if-none-match"));
}

#[test]
fn an_answer_without_end_is_not_read_to_the_end() {
    let long = || answer("200 OK", "", vec![b' '; (16 << 20) + 2]);
    let host =
        Scripted::start(|_| vec![long(), answer("502 Bad Gateway", "", vec![b'x'; 1 << 20])]);
    let api = client(&host.url, Some(TOKEN), AMPLE);
    assert!(is_nonsense(api.list(&own(None))));
    assert_eq!(api.list(&own(None)), Err(ApiError::Server(502)));
}

#[test]
fn a_name_that_is_not_known_and_a_port_where_nobody_listens_are_out_of_reach_soon() {
    let started = std::time::Instant::now();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let raw_url = format!("https://{nobody}/raw/x");
    let file = RemoteFile { blob: BlobId::of(b"x"), size: 1, raw_url, language: None };
    let endpoint = Endpoint::of_url("https://no-such-host.invalid").unwrap();
    let api = GitHub::new(endpoint, None).unwrap();
    assert!(matches!(api.body(&file, &|| {}), Err(ApiError::Unreachable { .. })));
    assert!(matches!(api.get(&id("1"), None), Err(ApiError::Unreachable { .. })));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn a_question_that_a_kept_connection_leaves_unanswered_is_asked_again_and_a_change_is_not() {
    use std::io::Read as _;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (heard, hears) = std::sync::mpsc::channel();
    thread::spawn(move || {
        // Each connection answers once and then never again.
        for connection in listener.incoming() {
            let (mut connection, heard) = (connection.unwrap(), heard.clone());
            thread::spawn(move || {
                let mut request = [0; 4096];
                for number in 0.. {
                    let length = connection.read(&mut request).unwrap_or(0);
                    if length == 0 {
                        return;
                    }
                    let text = String::from_utf8_lossy(&request[..length]).into_owned();
                    heard.send(text.split(' ').next().unwrap().to_owned()).ok();
                    if number == 0 {
                        let body = r#"{"login":"octo"}"#;
                        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n", body.len());
                        write!(connection, "{head}\r\n{body}").unwrap();
                    }
                }
            });
        }
    });
    let api = client(&url, Some(TOKEN), Duration::from_millis(500));
    assert_eq!(api.account().unwrap().login, "octo");
    assert_eq!(api.account().unwrap().login, "octo", "over a new connection");
    assert!(matches!(api.delete(&id("1")), Err(ApiError::TimedOut { .. })));
    let methods: Vec<String> = hears.try_iter().collect();
    assert_eq!(methods, ["GET", "GET", "GET", "DELETE"]);
}
