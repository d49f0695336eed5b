//! The client against the local server, which behaves as GitHub does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gistfs::api::github::GitHub;
use gistfs::api::host::Endpoint;
use gistfs::api::{ApiError, Fetched, FileChange, GistApi, Page, PageAddress, PageRequest, Patch};
use gistfs::demo::{Account, Fault, FaultKind, Limits, Origin, Seed, Server, ServerOptions};
use gistfs::model::{BlobId, CommitId, FileName, RemoteFile, Time};

use crate::support::{AMPLE, TOKEN, client, get, hello, id, is_nonsense, name, new, own};

pub(crate) fn server() -> Server {
    Server::start(options()).unwrap()
}

/// What [`server`] is started with.
pub(crate) fn options() -> ServerOptions {
    let accounts = vec![
        Account::classic("octo", TOKEN, &["gist", "repo"]),
        Account::classic("hubot", "hubot-token", &["gist"]),
        Account::classic("octo", "noscope-token", &[]),
    ];
    let limits = Limits::unpaced();
    ServerOptions { accounts, limits, ..ServerOptions::default() }
}

/// A client with the owner's token.
pub(crate) fn octo(server: &Server) -> GitHub {
    client(&server.api_url(), Some(TOKEN), AMPLE)
}

/// All pages of a list, links followed as given.
pub(crate) fn pages(api: &GitHub, first: PageAddress) -> Vec<Page> {
    let mut pages: Vec<Page> = Vec::new();
    let mut from = Some(first);
    while let Some(address) = from {
        let page = new(api.list(&PageRequest { from: address, etag: None }).unwrap());
        from = page.next.clone().map(PageAddress::Next);
        pages.push(page);
    }
    pages
}

pub(crate) fn status(status: u16, body: &str) -> FaultKind {
    FaultKind::Status { status, headers: Vec::new(), body: body.into() }
}

#[test]
fn an_account_tells_its_login_and_its_scopes() {
    let server = server();
    let account = octo(&server).account().unwrap();
    assert_eq!(account.login, "octo");
    assert_eq!(account.scopes, Some(vec!["gist".into(), "repo".into()]));
    assert!(account.number.is_some_and(|number| number > 0), "{account:?}");
    let weak = client(&server.api_url(), Some("noscope-token"), AMPLE);
    assert_eq!(weak.account().unwrap().scopes, Some(vec![]));
}

#[test]
fn a_list_is_paged_by_its_links_and_complete() {
    let server = server();
    for number in 0..205 {
        server.seed("octo", Seed::new(&format!("gist {number}"), &[("f", &number.to_string())]));
    }
    let api = octo(&server);
    let own = pages(&api, PageAddress::Own { since: None });
    assert_eq!(own.iter().map(|page| page.gists.len()).collect::<Vec<_>>(), [100, 100, 5]);
    // The first page tells which others there are: what the second one will say is known before.
    let (next, last) = (own[0].next.as_deref(), own[0].last.as_deref());
    let known = gistfs::api::pages_after(next.unwrap(), last.unwrap(), 10);
    assert_eq!(known, [own[1].next.clone().unwrap()]);
    let ids: BTreeSet<_> =
        own.iter().flat_map(|page| &page.gists).map(|gist| gist.id.clone()).collect();
    assert_eq!(ids.len(), 205);
    let gist = &own[0].gists[0];
    let file = &gist.files[&name("f")];
    assert_eq!(file.size, 3);
    assert_eq!(file.blob, BlobId::of(b"204"));
    assert_eq!((gist.revision.as_deref(), gist.etag.as_deref()), (None, None));
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[0].query, "per_page=100");
}

#[test]
fn another_users_list_follows_links_to_another_path() {
    let server = server();
    for number in 0..101 {
        let seed = Seed { public: true, ..Seed::new("x", &[("f", &number.to_string())]) };
        server.seed("hubot", seed);
    }
    let nobody = client(&server.api_url(), None, AMPLE);
    let pages = pages(&nobody, PageAddress::User { login: "hubot".into(), since: None });
    assert_eq!(pages.iter().map(|page| page.gists.len()).sum::<usize>(), 101);
}

#[test]
fn since_finds_what_changed_after_an_instant() {
    let server = server();
    let old = Time::parse("2020-01-01T00:00:00Z").unwrap();
    let seed = Seed { created_at: Some(old), ..Seed::new("old", &[("f", "x")]) };
    server.seed("octo", seed);
    let recent = server.seed("octo", Seed::new("recent", &[("f", "y")]));
    let page = new(octo(&server).list(&own(Some(old))).unwrap());
    assert_eq!(page.gists.iter().map(|gist| gist.id.as_str()).collect::<Vec<_>>(), [recent]);
    let query = &server.requests()[0].query;
    assert!(query.contains("since=2020-01-01T00"), "{query}");
}

#[test]
fn an_etag_goes_back_as_it_came_and_a_304_costs_nothing() {
    let server = server();
    let gist = id(&server.seed("octo", Seed::new("x", &[("f", "y")])));
    let api = octo(&server);
    let page = new(api.list(&own(None)).unwrap());
    let list = PageRequest { from: PageAddress::Own { since: None }, etag: page.etag.clone() };
    assert_eq!(api.list(&list).unwrap(), Fetched::NotModified);
    let etag = get(&api, &gist).snapshot.etag.unwrap();
    let before = api.quota().unwrap().remaining;
    assert_eq!(api.get(&gist, Some(&etag)).unwrap(), Fetched::NotModified);
    assert_eq!(api.quota().unwrap().remaining, before);
    let sent = server.requests();
    assert_eq!(sent[1].header("if-none-match"), page.etag.as_deref());
    assert_eq!(sent[3].header("if-none-match"), Some(etag.as_str()));
    server.commit(gist.as_str(), &[("f", Some(b"z"))]);
    assert_ne!(new(api.get(&gist, Some(&etag)).unwrap()).snapshot.etag, Some(etag));
}

#[test]
fn a_gist_lives_from_post_to_delete() {
    let server = server();
    let api = octo(&server);
    let made = api.create(&hello()).unwrap();
    let gist = made.snapshot.id.clone();
    assert_eq!(made.snapshot.files[&name("a.txt")].blob, BlobId::of(b"alpha\n"));
    assert_eq!(made.bodies[&BlobId::of(b"alpha\n")], "alpha\n");
    assert_eq!(made.snapshot.owner.as_deref(), Some("octo"));
    assert!(made.snapshot.etag.is_some() && made.snapshot.revision.is_some());
    assert_eq!(api.get(&gist, made.snapshot.etag.as_deref()).unwrap(), Fetched::NotModified);

    let patch = Patch {
        description: Some("Bye".into()),
        files: BTreeMap::from([
            (name("a.txt"), FileChange::Rename(name("z.txt"), None)),
            (name("b c.md"), FileChange::Delete),
            (name("new"), FileChange::Write("n".into())),
        ]),
    };
    let after = api.update(&gist, &patch).unwrap();
    let names: Vec<_> = after.snapshot.files.keys().map(FileName::as_str).collect();
    assert_eq!(names, ["new", "z.txt"]);
    assert_eq!(after.snapshot.description, "Bye");
    assert_eq!(after.history.len(), 2);
    let newest = after.history.first().map(CommitId::as_str);
    assert_eq!(after.snapshot.revision.as_deref(), newest);
    assert_eq!(after.history[1], made.history[0]);
    assert_eq!(get(&api, &gist), after);

    api.delete(&gist).unwrap();
    assert_eq!(api.delete(&gist), Err(ApiError::NotFound));
    assert_eq!(api.get(&gist, None), Err(ApiError::NotFound));
}

#[test]
fn every_request_says_who_asks_and_no_unsafe_one_has_conditions() {
    let server = server();
    let api = octo(&server);
    let gist = api.create(&hello()).unwrap().snapshot.id;
    let patch = Patch { description: Some("x".into()), files: BTreeMap::new() };
    api.update(&gist, &patch).unwrap();
    get(&api, &gist);
    api.delete(&gist).unwrap();
    let bearer = format!("Bearer {TOKEN}");
    for request in server.requests() {
        let header = |name| request.header(name);
        assert_eq!(header("authorization"), Some(bearer.as_str()));
        assert_eq!(header("accept"), Some("application/vnd.github+json"));
        assert_eq!(header("x-github-api-version"), Some("2022-11-28"));
        assert_eq!(header("user-agent"), Some(concat!("gistfs/", env!("CARGO_PKG_VERSION"))));
        assert_eq!(header("accept-encoding"), Some("gzip"));
        for condition in ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"] {
            assert!(request.method == "GET" || header(condition).is_none());
        }
    }
    let created = server.requests()[0].json();
    assert_eq!(created["files"]["a.txt"]["content"], "alpha\n");
    assert_eq!((&created["description"], &created["public"]), (&"Hello".into(), &false.into()));
}

#[test]
fn a_cut_off_file_comes_whole_from_the_raw_host_which_sees_no_token() {
    let server = server();
    let long = "0123456789abcdef".repeat(100_000);
    let files = [("a", "short"), ("long", &long), ("z", "after it")];
    let gist = id(&server.seed("octo", Seed::new("x", &files)));
    let api = octo(&server);
    let full = get(&api, &gist);
    assert!(full.bodies.contains_key(&BlobId::of(b"short")));
    assert_eq!(
        full.bodies.len(),
        1,
        "what is cut off counts as little as what is blanked behind it"
    );
    for (file, body) in files {
        assert_eq!(api.body(&full.snapshot.files[&name(file)], &|| {}).unwrap(), body.as_bytes());
    }
    let raw: Vec<_> = server.requests().into_iter().filter(|r| r.origin == Origin::Raw).collect();
    assert_eq!(raw.len(), 3);
    for request in raw {
        assert!(!request.has_token() && request.header("cookie").is_none());
        assert_eq!(request.header("referer"), None);
    }
}

#[test]
fn bytes_that_are_not_text_come_inline_and_raw() {
    let server = server();
    let bytes: Vec<u8> = (0..=255).collect();
    let seed = Seed { files: vec![("bin".into(), bytes.clone())], ..Seed::default() };
    let gist = id(&server.seed("octo", seed));
    let api = octo(&server);
    let full = get(&api, &gist);
    assert_eq!(full.bodies[&BlobId::of(&bytes)], bytes);
    assert_eq!(api.body(&full.snapshot.files[&name("bin")], &|| {}).unwrap(), bytes);
}

#[test]
fn an_old_enterprise_servers_mangled_bytes_are_not_believed() {
    let server = server();
    server.with_switches(|switches| switches.old_enterprise = true);
    let bytes = b"\xff\xfe\x00".to_vec();
    let seed = Seed { files: vec![("bin".into(), bytes.clone())], ..Seed::default() };
    let gist = id(&server.seed("octo", seed));
    let api = octo(&server);
    let full = get(&api, &gist);
    assert!(full.bodies.is_empty());
    assert_eq!(api.body(&full.snapshot.files[&name("bin")], &|| {}).unwrap(), bytes);
    server.forget_requests();
    assert_eq!(api.get_base64(&gist, None).unwrap().bodies[&BlobId::of(&bytes)], bytes);
    let asked = server.requests();
    assert_eq!(asked[0].header("accept"), Some("application/vnd.github.base64+json"));
    // A server that does not know the media type answers as ever, and is not believed.
    server.with_switches(|switches| switches.old_enterprise = false);
    assert_eq!(api.get_base64(&gist, None).unwrap().bodies[&BlobId::of(&bytes)], bytes);
}

#[test]
fn a_page_of_one_gist_is_that_gist_or_nothing() {
    let server = server();
    let gist = id(&server.seed("octo", Seed::new("x", &[("f", "y")])));
    let page = |id: &gistfs::model::GistId, etag: Option<String>| {
        let request = PageRequest { from: PageAddress::One(id.clone()), etag };
        octo(&server).list(&request).unwrap()
    };
    let Fetched::New(first) = page(&gist, None) else { panic!("it was not asked for before") };
    assert_eq!(
        first.gists.iter().map(|gist| gist.id.as_str()).collect::<Vec<_>>(),
        [gist.as_str()]
    );
    assert_eq!(
        (first.gists[0].revision.as_deref(), &first.next),
        (None, &None),
        "as lists tell it"
    );
    assert_eq!(page(&gist, first.etag), Fetched::NotModified);
    let nothing = Page { gists: vec![], next: None, last: None, etag: None };
    assert_eq!(page(&id("0123456789"), None), Fetched::New(nothing));
}

#[test]
fn a_server_without_versions_is_told_none_from_the_first_refusal_on() {
    let server = server();
    server.with_switches(|switches| switches.no_versions = true);
    let api = octo(&server);
    // Nothing was done, so a change may be sent again.
    let made = api.create(&hello()).unwrap().snapshot.id;
    api.get(&made, None).unwrap();
    let told: Vec<bool> = server
        .requests()
        .iter()
        .map(|request| request.header("x-github-api-version").is_some())
        .collect();
    assert_eq!(told, [true, false, false]);
    assert_eq!(server.gist_ids("octo").len(), 1);
    let bodies: Vec<_> = server.requests().iter().take(2).map(|request| request.json()).collect();
    assert_eq!(bodies[0], bodies[1]);
}

#[test]
fn an_empty_body_needs_no_request() {
    let server = server();
    let seed = Seed { files: vec![("e".into(), vec![])], ..Seed::default() };
    let gist = id(&server.seed("octo", seed));
    let api = octo(&server);
    let full = get(&api, &gist);
    assert_eq!(api.body(&full.snapshot.files[&name("e")], &|| {}).unwrap(), "");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn an_anonymous_gist_with_a_null_file_is_a_gist() {
    let server = server();
    server.with_switches(|switches| switches.null_files.insert("n".into()));
    let files = vec![("n".into(), b"x".to_vec()), ("f".into(), b"y".to_vec())];
    let seed = Seed { files, anonymous: true, public: true, ..Seed::default() };
    let gist = id(&server.seed("octo", seed));
    let snapshot = get(&octo(&server), &gist).snapshot;
    assert_eq!((snapshot.owner, snapshot.description.as_str()), (None, ""));
    assert_eq!(snapshot.files.keys().map(FileName::as_str).collect::<Vec<_>>(), ["f"]);
}

#[test]
fn a_host_without_limits_reports_no_quota() {
    let accounts = vec![Account::classic("octo", TOKEN, &["gist"])];
    let options = ServerOptions { enterprise: true, accounts, ..ServerOptions::default() };
    let server = Server::start(options).unwrap();
    let api = client(&server.api_url(), Some(TOKEN), AMPLE);
    assert_eq!(api.account().unwrap().login, "octo");
    assert_eq!(api.quota(), None);
}

#[test]
fn a_wrong_token_is_unauthorized() {
    let server = server();
    let api = client(&server.api_url(), Some("wrong"), AMPLE);
    assert_eq!(api.account(), Err(ApiError::Unauthorized("Bad credentials".into())));
}

#[test]
fn without_a_token_nothing_that_needs_one_is_even_sent() {
    let server = server();
    let gist = id(&server.seed("octo", Seed::new("x", &[("f", "y")])));
    let api = client(&server.api_url(), None, AMPLE);
    let refused = |result: Result<(), ApiError>| {
        assert!(matches!(result, Err(ApiError::Anonymous(_))), "{result:?}");
    };
    refused(api.account().map(drop));
    refused(api.list(&own(None)).map(drop));
    refused(api.create(&hello()).map(drop));
    refused(api.update(&gist, &Patch::default()).map(drop));
    refused(api.delete(&gist));
    assert!(server.requests().is_empty());
    get(&api, &gist);
    assert!(!server.requests()[0].has_token());
}

#[test]
fn a_refusal_brings_githubs_words() {
    let server = server();
    let api = octo(&server);
    let mut blank = hello();
    blank.files.insert(name("blank"), " \n".into());
    let message = "Validation Failed: Gist.files missing_field".into();
    assert_eq!(api.create(&blank), Err(ApiError::Refused { status: 422, message }));

    let gist = api.create(&hello()).unwrap().snapshot.id;
    server.inject(Fault::once(status(409, r#"{"message":"Gist cannot be updated."}"#)));
    let patch = Patch { description: Some("x".into()), files: BTreeMap::new() };
    let conflict = ApiError::Conflict("Gist cannot be updated.".into());
    assert_eq!(api.update(&gist, &patch), Err(conflict));

    let hubot = client(&server.api_url(), Some("hubot-token"), AMPLE);
    assert_eq!(hubot.update(&gist, &patch), Err(ApiError::NotFound));

    let words = "Resource not accessible by personal access token";
    server.inject(Fault::once(status(403, &format!(r#"{{"message":"{words}"}}"#))));
    assert_eq!(api.delete(&gist), Err(ApiError::Forbidden(words.into())));
}

#[test]
fn limits_are_told_apart_and_say_how_long() {
    let server = server();
    let api = octo(&server);
    let limit = |kind| {
        server.inject(Fault::once(kind));
        let error = api.account().unwrap_err();
        let ApiError::Limited { wait, secondary, .. } = error else { panic!("{error}") };
        (wait.map(|wait| wait.as_secs()), secondary)
    };
    let (wait, secondary) = limit(FaultKind::PrimaryLimit { reset_in: Duration::from_secs(600) });
    assert!((590..=601).contains(&wait.unwrap()) && !secondary, "{wait:?}");
    assert_eq!(api.quota().unwrap().remaining, 0);
    let retry_after = Some(Duration::from_secs(77));
    assert_eq!(limit(FaultKind::SecondaryLimit { retry_after }), (Some(77), true));
    assert_eq!(limit(FaultKind::SecondaryLimit { retry_after: None }), (None, true));
}

#[test]
fn trouble_on_the_way_is_told_apart() {
    let server = server();
    let gist = id(&server.seed("octo", Seed::new("x", &[("f", "some text")])));
    let api = octo(&server);
    let hit = |kind| {
        server.inject(Fault::once(kind));
        api.get(&gist, None).map(drop).unwrap_err()
    };
    assert!(matches!(hit(FaultKind::Drop), ApiError::Lost { .. }));
    assert!(matches!(hit(FaultKind::CutShort), ApiError::Lost { .. }));
    assert!(matches!(hit(FaultKind::LoseAnswer), ApiError::Lost { .. }));
    assert!(matches!(hit(FaultKind::Html), ApiError::Nonsense { .. }));
    assert!(matches!(hit(FaultKind::WrongBody), ApiError::Nonsense { .. }));
    assert_eq!(hit(status(502, "<html>Bad gateway</html>")), ApiError::Server(502));
    assert_eq!(hit(status(500, r#"{"message":"Server Error"}"#)), ApiError::Server(500));
    for strange in [204, 206, 304, 302] {
        let error = hit(status(strange, ""));
        assert!(matches!(error, ApiError::Nonsense { .. }), "{strange}: {error}");
    }
    get(&api, &gist);
}

#[test]
fn a_host_that_hangs_runs_out_of_time_and_one_that_is_gone_is_unreachable() {
    let server = server();
    let gist = id(&server.seed("octo", Seed::new("x", &[("f", "y")])));
    let file = get(&octo(&server), &gist).snapshot.files[&name("f")].clone();
    let hasty = client(&server.api_url(), Some(TOKEN), Duration::from_millis(200));
    server.inject(Fault::once(FaultKind::Hang));
    assert!(matches!(hasty.get(&gist, None), Err(ApiError::TimedOut { .. })));
    server.inject(Fault::once(FaultKind::Hang));
    assert!(matches!(hasty.body(&file, &|| {}), Err(ApiError::TimedOut { .. })));
    drop(server);
    assert!(matches!(hasty.get(&gist, None), Err(ApiError::Unreachable { .. })));
    assert!(matches!(hasty.body(&file, &|| {}), Err(ApiError::Unreachable { .. })));
}

#[test]
fn a_wrong_body_is_never_served() {
    let server = server();
    let gist = id(&server.seed("octo", Seed::new("x", &[("f", "some text")])));
    let api = octo(&server);
    let file = get(&api, &gist).snapshot.files[&name("f")].clone();
    let hit = |kind| {
        server.inject(Fault { origin: Some(Origin::Raw), ..Fault::once(kind) });
        api.body(&file, &|| {}).unwrap_err()
    };
    assert!(matches!(hit(FaultKind::WrongBody), ApiError::Nonsense { .. }));
    assert!(matches!(hit(FaultKind::Html), ApiError::Nonsense { .. }));
    assert!(matches!(hit(FaultKind::CutShort), ApiError::Lost { .. }));
    assert!(matches!(hit(status(200, "some texts")), ApiError::Nonsense { .. }));
    assert!(matches!(hit(status(200, "some tex")), ApiError::Nonsense { .. }));
    assert_eq!(hit(status(404, "404: Not Found")), ApiError::NotFound);
    assert_eq!(hit(status(401, "who are you?")), ApiError::Forbidden("who are you?".into()));
    assert!(matches!(hit(status(429, "too many")), ApiError::Limited { .. }));
    assert_eq!(hit(status(503, "")), ApiError::Server(503));
    assert_eq!(api.body(&file, &|| {}).unwrap(), "some text");
}

#[test]
fn a_raw_url_that_is_no_place_for_bodies_is_not_visited() {
    let server = server();
    let api = octo(&server);
    let github = GitHub::new(Endpoint::of_host("github.com").unwrap(), None).unwrap();
    let file = |raw_url: &str| RemoteFile {
        blob: BlobId::of(b"x"),
        size: 1,
        raw_url: raw_url.into(),
        language: None,
    };
    for url in ["", "/raw/x", "file:///etc/passwd", "ftp://h/x", "http://u:p@127.0.0.1:9/x"] {
        assert!(is_nonsense(api.body(&file(url), &|| {})), "{url}");
    }
    // Where the API is encrypted, bodies are too.
    let plain = file("http://127.0.0.1:9/raw/x");
    assert!(is_nonsense(github.body(&plain, &|| {})));
    let huge = RemoteFile { size: u64::MAX, ..file("http://127.0.0.1:9/raw/x") };
    assert!(is_nonsense(api.body(&huge, &|| {})));
}
