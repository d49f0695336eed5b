//! What nobody gets to read: the token in errors, debug forms and logs.

use gistfs::api::GistApi;
use gistfs::api::github::GitHub;
use gistfs::api::host::Endpoint;
use gistfs::api::token::Token;
use gistfs::demo::{Fault, FaultKind, Seed};
use gistfs::model::{BlobId, RemoteFile};

use crate::github::{octo, server, status};
use crate::support::{LOG, TOKEN, get, id};

#[test]
fn the_token_is_in_no_error_no_debug_form_and_no_log() {
    let server = server();
    let gist = id(&server.seed("octo", Seed::new("x", &[("f", "some text")])));
    let api = octo(&server);
    let mut seen = vec![format!("{api:?}"), format!("{:?}", api.account())];
    let echo = format!(r#"{{"message":"no {TOKEN}","errors":["{TOKEN}"]}}"#);
    for kind in [
        status(400, &echo),
        status(401, &echo),
        status(403, &echo),
        status(409, &echo),
        status(422, &echo),
        status(429, &echo),
        status(500, &echo),
        status(200, &echo),
        status(200, TOKEN),
        FaultKind::Drop,
        FaultKind::CutShort,
    ] {
        server.inject(Fault::once(kind));
        let error = api.get(&gist, None).unwrap_err();
        seen.push(format!("{error} {error:?} {:?}", gistfs::error::Error::from(error.clone())));
    }
    let raw_url = format!("{}/raw/x?token=hunter2", server.raw_url());
    let file = RemoteFile { blob: BlobId::of(b"x"), size: 1, raw_url, language: None };
    let error = api.body(&file, &|| {}).unwrap_err();
    seen.push(format!("{error} {error:?}"));
    let gone = RemoteFile { raw_url: "http://127.0.0.1:1/?token=hunter2".into(), ..file };
    let error = api.body(&gone, &|| {}).unwrap_err();
    seen.push(format!("{error} {error:?}"));
    seen.push(format!(
        "{:?}",
        GitHub::new(Endpoint::of_url("http://h").unwrap(), Token::parse(TOKEN))
    ));
    let logged = LOG.0.lock().unwrap().clone();
    assert!(logged.iter().any(|line| line.contains("GET /gists/")), "the log is not captured");
    for line in seen.iter().chain(&logged) {
        assert!(!line.contains(TOKEN) && !line.contains("hunter2"), "{line}");
    }
}

#[test]
fn one_line_of_the_log_tells_of_a_request() {
    let server = server();
    let gist = id(&server.seed("octo", Seed::new("logged", &[("f", "y")])));
    get(&octo(&server), &gist);
    let logged = LOG.0.lock().unwrap().clone();
    let about = format!("DEBUG gistfs::api::http: GET /gists/{gist}: 200, ");
    let lines: Vec<_> = logged.iter().filter(|line| line.starts_with(&about)).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains(", quota 4"), "{lines:?}");
}
