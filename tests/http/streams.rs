//! Large bodies, which come piece by piece.

use std::io::{self, Write as _};
use std::net::TcpListener;
use std::sync::mpsc;

use gistfs::api::github::GitHub;
use gistfs::api::{ApiError, GistApi};
use gistfs::model::{BlobId, RemoteFile};

use crate::scripted::{Scripted, answer, request};
use crate::support::{AMPLE, TOKEN, client, is_nonsense};

/// Two hundred thousand bytes of which no part is like another.
fn body() -> Vec<u8> {
    (0..50_000_u32).flat_map(u32::to_le_bytes).collect()
}

fn file(url: &str) -> RemoteFile {
    let (body, raw_url) = (body(), format!("{url}/raw/x"));
    RemoteFile { blob: BlobId::of(&body), size: body.len() as u64, raw_url, language: None }
}

fn api() -> GitHub {
    client("http://127.0.0.1:9", Some(TOKEN), AMPLE)
}

/// What `take` got of the body at `url` from `from` on, and how it ended.
fn stream(url: &str, from: u64) -> (Vec<u8>, Result<(), ApiError>) {
    let mut taken = Vec::new();
    let result = api().stream(&file(url), from, &mut |piece| {
        taken.extend_from_slice(piece);
        Ok(())
    });
    (taken, result)
}

/// What one answer to a request for everything, or from `from` on, leads to.
fn after(from: u64, answers: Vec<Vec<u8>>) -> (Vec<u8>, Result<(), ApiError>, Vec<String>) {
    let server = Scripted::start(|_| answers);
    let (taken, result) = stream(&server.url, from);
    (taken, result, server.heard())
}

fn without_length(headers: &str, body: &[u8]) -> Vec<u8> {
    let mut all =
        format!("HTTP/1.1 200 OK\r\n{headers}transfer-encoding: chunked\r\n\r\n").into_bytes();
    all.extend(format!("{:x}\r\n", body.len()).into_bytes());
    all.extend_from_slice(body);
    all.extend_from_slice(b"\r\n0\r\n\r\n");
    all
}

#[test]
fn pieces_are_handed_on_before_the_rest_has_come() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (release, released) = mpsc::channel::<()>();
    let server = std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        request(&mut connection);
        let body = body();
        let whole = answer("200 OK", "", &body);
        let (first, rest) = whole.split_at(whole.len() - body.len() + 5000);
        connection.write_all(first).unwrap();
        // Who waits for all of it before the first piece waits for ever.
        released.recv().unwrap();
        connection.write_all(rest).unwrap();
    });
    let mut taken = Vec::new();
    let mut before = None;
    let result = api().stream(&file(&url), 0, &mut |piece| {
        taken.extend_from_slice(piece);
        if before.is_none() && taken.len() >= 5000 {
            before = Some(taken.len());
            release.send(()).unwrap();
        }
        Ok(())
    });
    assert_eq!((result, before), (Ok(()), Some(5000)));
    assert!(taken == body());
    server.join().unwrap();
}

#[test]
fn a_large_body_is_asked_for_uncompressed_and_without_the_token() {
    let (taken, result, heard) = after(0, vec![answer("200 OK", "", body())]);
    assert_eq!((taken == body(), result), (true, Ok(())));
    assert!(heard[0].contains("accept-encoding: identity"), "{heard:?}");
    assert!(!heard[0].contains("authorization") && !heard[0].contains("range"), "{heard:?}");
    let (taken, result, _) = after(0, vec![without_length("", &body())]);
    assert_eq!((taken == body(), result), (true, Ok(())), "a server may tell no length");
}

#[test]
fn of_an_answer_that_says_it_is_another_body_nothing_is_taken() {
    let page = "<html>log in</html>";
    let mut longer = body();
    longer.push(0);
    let wrong = [
        answer("200 OK", "content-type: text/html\r\n", page),
        without_length("content-type: text/html; charset=utf-8\r\n", page.as_bytes()),
        answer("200 OK", "", &longer),
        answer("200 OK", "", &body()[1..]),
        answer("206 Partial Content", "content-range: bytes 0-199999/200000\r\n", body()),
    ];
    for answer in wrong {
        let shown = String::from_utf8_lossy(&answer[..60]).into_owned();
        let (taken, result, _) = after(0, vec![answer]);
        assert!(taken.is_empty() && result.is_err(), "{shown}: {result:?}");
    }
    let (taken, result, _) = after(0, vec![answer("404 Not Found", "", "404: Not Found")]);
    assert_eq!((taken.len(), result), (0, Err(ApiError::NotFound)));
    let (taken, result, _) = after(0, vec![answer("401 Unauthorized", "", "who?")]);
    assert_eq!((taken.len(), result), (0, Err(ApiError::Forbidden("who?".into()))));
}

#[test]
fn more_or_fewer_bytes_than_the_body_has_are_an_error_at_the_end() {
    let mut longer = body();
    longer.push(0);
    let (taken, result, _) = after(0, vec![without_length("", &longer)]);
    assert!(taken.len() <= body().len() && is_nonsense(result));
    let (_, result, _) = after(0, vec![without_length("", &body()[1..])]);
    assert!(is_nonsense(result));
}

#[test]
fn a_body_that_was_cut_off_goes_on_where_it_stopped() {
    let mut cut = answer("200 OK", "", body());
    cut.truncate(cut.len() - 100_000);
    let (mut taken, result, _) = after(0, vec![cut]);
    assert!(result.is_err_and(|error| error.is_network()));
    assert!(body().starts_with(&taken) && !taken.is_empty());
    let from = taken.len();
    let range = format!("content-range: bytes {from}-199999/200000\r\n");
    let (rest, result, heard) =
        after(from as u64, vec![answer("206 Partial Content", &range, &body()[from..])]);
    assert_eq!(result, Ok(()));
    assert!(
        heard[0].contains(&format!("range: bytes={from}-\n").replace('\n', "\r\n")),
        "{heard:?}"
    );
    taken.extend(rest);
    assert!(taken == body());
}

#[test]
fn where_a_server_does_not_begin_in_the_middle_what_is_known_is_passed_over() {
    let rest = body()[70_000..].to_vec();
    let whole = || answer("200 OK", "", body());
    let (taken, result, heard) = after(70_000, vec![whole()]);
    assert_eq!((taken == rest, result, heard.len()), (true, Ok(()), 1));
    let elsewhere = "content-range: bytes 60000-199999/200000\r\n";
    let elsewhere = answer("206 Partial Content", elsewhere, &body()[60_000..]);
    for first in [elsewhere, answer("416 Range Not Satisfiable", "", "")] {
        let (taken, result, heard) = after(70_000, vec![first, whole()]);
        assert_eq!((taken == rest, result, heard.len()), (true, Ok(()), 2));
        assert!(!heard[1].contains("range:"), "{heard:?}");
    }
}

#[test]
fn who_cannot_take_a_piece_ends_it_with_the_number_of_the_system() {
    let server = Scripted::start(|_| vec![answer("200 OK", "", body())]);
    let result = api().stream(&file(&server.url), 0, &mut |piece| match piece.is_empty() {
        true => Ok(()),
        false => Err(io::Error::from_raw_os_error(nix::libc::ENOSPC)),
    });
    assert!(
        matches!(&result, Err(ApiError::Local { errno, .. }) if *errno == nix::libc::ENOSPC),
        "{result:?}"
    );
}
