//! What the client asks and tells around a gist's files.

use std::time::Duration;

use bytes::Bytes;
use gistfs::api::github::GitHub;
use gistfs::api::social::{Sheet, SheetAddress, SheetRequest, Single, SocialApi};
use gistfs::api::{ApiError, Fetched, GistApi as _, PageAddress, PageRequest};
use gistfs::demo::{Fault, FaultKind, Seed, Server, ServerOptions};
use gistfs::model::{CommentId, GistId, Time};

use crate::github::{octo, options, pages, server, status};
use crate::scripted::{Scripted, answer};
use crate::support::{AMPLE, TOKEN, client, id, is_nonsense, name, new};

fn hubot(server: &Server) -> GitHub {
    client(&server.api_url(), Some("hubot-token"), AMPLE)
}

fn first() -> SheetRequest {
    SheetRequest { from: SheetAddress::First, etag: None }
}

fn gist(server: &Server) -> GistId {
    let seed = Seed { public: true, ..Seed::new("x", &[("a", "alpha"), ("b", "beta")]) };
    id(&server.seed("octo", seed))
}

/// How a page of something is asked for.
type Ask<'a, T> = &'a dyn Fn(&SheetRequest) -> Result<Fetched<Sheet<T>>, ApiError>;

/// All entries, links followed as given.
fn all<T>(ask: Ask<'_, T>) -> Vec<T> {
    let mut items = Vec::new();
    let mut from = Some(SheetAddress::First);
    while let Some(address) = from {
        let sheet = new(ask(&SheetRequest { from: address, etag: None }).unwrap());
        from = sheet.next.map(SheetAddress::Next);
        items.extend(sheet.items);
    }
    items
}

#[test]
fn a_star_is_set_seen_and_taken_back() {
    let server = server();
    let (api, gist) = (octo(&server), gist(&server));
    assert_eq!(api.is_starred(&gist), Ok(false));
    api.star(&gist, true).unwrap();
    api.star(&gist, true).unwrap();
    assert_eq!(api.is_starred(&gist), Ok(true));
    let starred = pages(&api, PageAddress::Starred { since: None });
    assert_eq!(starred[0].gists[0].id, gist);
    api.star(&gist, false).unwrap();
    assert_eq!(api.is_starred(&gist), Ok(false));
    let sent = server.requests();
    assert_eq!((sent[1].method.as_str(), sent[1].header("content-length")), ("PUT", Some("0")));
    assert!(sent.iter().all(|request| request.body.is_empty()));
    assert_eq!(api.star(&id("00ff"), true), Err(ApiError::NotFound));
    assert_eq!(api.is_starred(&id("00ff")), Ok(false));
}

#[test]
fn a_fork_is_known_by_its_answer_and_listed() {
    let server = server();
    let gist = gist(&server);
    let (owner, other) = (octo(&server), hubot(&server));
    let fork = other.fork(&gist).unwrap();
    assert_ne!(fork.id, gist);
    assert_eq!((fork.owner.as_deref(), fork.revision.as_deref()), (Some("hubot"), None));
    assert_eq!(fork.files[&name("a")].size, 5);
    assert!(!fork.truncated);
    assert_eq!(other.fork(&gist).unwrap().id, fork.id);
    let forks = all(&|page| owner.forks(&gist, page));
    assert_eq!(forks.len(), 1);
    assert_eq!((&forks[0].id, forks[0].owner.as_deref()), (&fork.id, Some("hubot")));
    assert_eq!((forks[0].created_at, &forks[0].html_url), (fork.created_at, &fork.html_url));
    let error = owner.fork(&gist).unwrap_err();
    assert!(matches!(&error, ApiError::Refused { status: 422, .. }), "{error}");
    assert_eq!(server.requests()[0].header("content-length"), Some("0"));
}

/// As GitHub answered in 2013.
#[test]
fn a_fork_without_files_has_unknown_ones_and_not_none() {
    let server = server();
    let gist = gist(&server);
    server.with_switches(|switches| switches.forks_without_files = true);
    assert!(hubot(&server).fork(&gist).unwrap().truncated);
    for files in [r#","files":{}"#, ""] {
        let told = format!(r#"{{"id":"ff00","description":null{files}}}"#);
        let host = Scripted::start(|_| vec![answer("201 Created", "", told)]);
        let fork = client(&host.url, Some(TOKEN), AMPLE).fork(&id("aa11")).unwrap();
        assert!(fork.truncated && fork.files.is_empty());
    }
    let told = r#"{"id":"aa11","description":null,"files":{}}"#;
    let host = Scripted::start(|_| vec![answer("201 Created", "", told)]);
    assert!(is_nonsense(client(&host.url, Some(TOKEN), AMPLE).fork(&id("aa11"))));
}

#[test]
fn commits_come_a_hundred_a_page_newest_first() {
    let server = server();
    let (api, gist) = (octo(&server), gist(&server));
    for number in 0..104 {
        server.commit(gist.as_str(), &[("a", Some(format!("{number}\n").as_bytes()))]);
    }
    let commits = all(&|page| api.commits(&gist, page));
    let versions: Vec<_> = commits.iter().map(|commit| commit.version.to_string()).collect();
    assert_eq!(versions.len(), 105);
    let sent = server.requests();
    assert_eq!((sent.len(), sent[0].query.as_str()), (2, "per_page=100"));
    let newest = &commits[0];
    assert!(newest.committed_at > Time::parse("2020-01-01T00:00:00Z").unwrap());
    let then = api.revision(&gist, &commits[104].version).unwrap();
    assert_eq!(then.snapshot.files[&name("a")].size, 5);
    assert_eq!(api.get(&gist, None).map(new).unwrap().history[0], newest.version);
}

#[test]
fn a_comment_is_made_changed_and_removed() {
    let server = server();
    let gist = gist(&server);
    let (api, owner) = (hubot(&server), octo(&server));
    let text = "Nice \u{1f600}\r\n\"quoted\" \\ \u{0}";
    let made = api.add_comment(&gist, text).unwrap();
    assert_eq!((made.author.as_deref(), made.body.as_str()), (Some("hubot"), text));
    assert_eq!(made.created_at, made.updated_at);
    assert_eq!(all(&|page| owner.comments(&gist, page)), std::slice::from_ref(&made));
    let told = new(owner.comment(&gist, made.id, None).unwrap());
    assert_eq!(told.item, made);
    let again = owner.comment(&gist, made.id, told.etag.as_deref());
    assert_eq!(again, Ok(Fetched::NotModified));
    assert_eq!(api.edit_comment(&gist, made.id, "Better").unwrap().body, "Better");
    assert!(matches!(owner.comment(&gist, made.id, told.etag.as_deref()), Ok(Fetched::New(_))));
    api.delete_comment(&gist, made.id).unwrap();
    assert_eq!(api.delete_comment(&gist, made.id), Err(ApiError::NotFound));
    assert_eq!(api.comment(&gist, made.id, None), Err(ApiError::NotFound));
    assert_eq!(api.edit_comment(&gist, made.id, "x"), Err(ApiError::NotFound));
    let theirs = owner.add_comment(&gist, "mine").unwrap();
    assert_eq!(api.edit_comment(&gist, theirs.id, "x"), Err(ApiError::NotFound));
    let longest = "\u{e9}".repeat(65_535);
    assert_eq!(api.add_comment(&gist, &longest).unwrap().body, longest);
}

/// The rest of gistfs sends no such comments, so this is not in the record of what it asks.
#[test]
fn a_comment_that_cannot_be_is_refused() {
    let server = Server::start(ServerOptions { record: None, ..options() }).unwrap();
    let (api, gist) = (octo(&server), gist(&server));
    for bad in [" \n", &"x".repeat(65_536)] {
        let error = api.add_comment(&gist, bad).unwrap_err();
        assert!(matches!(error, ApiError::Refused { status: 422, .. }), "{error}");
    }
    assert_eq!(all(&|page| api.comments(&gist, page)), []);
}

#[test]
fn an_author_whose_account_is_gone_is_nobody() {
    let server = server();
    let gist = gist(&server);
    let api = octo(&server);
    hubot(&server).add_comment(&gist, "bye").unwrap();
    server.with_switches(|switches| switches.ghosts = ["hubot".into(), "octo".into()].into());
    assert_eq!(all(&|page| api.comments(&gist, page))[0].author, None);
}

#[test]
fn a_page_has_an_etag_that_makes_the_next_look_free() {
    let server = server();
    let (api, gist) = (octo(&server), gist(&server));
    hubot(&server).fork(&gist).unwrap();
    api.add_comment(&gist, "one").unwrap();
    let free = |etag: Option<String>, again: &dyn Fn(&SheetRequest) -> bool| {
        assert!(etag.is_some());
        let before = api.quota().unwrap().remaining;
        assert!(again(&SheetRequest { etag, ..first() }));
        assert_eq!(api.quota().unwrap().remaining, before);
    };
    let etag = new(api.commits(&gist, &first()).unwrap()).etag;
    free(etag, &|page| api.commits(&gist, page) == Ok(Fetched::NotModified));
    let etag = new(api.forks(&gist, &first()).unwrap()).etag;
    free(etag, &|page| api.forks(&gist, page) == Ok(Fetched::NotModified));
    let etag = new(api.comments(&gist, &first()).unwrap()).etag;
    free(etag.clone(), &|page| api.comments(&gist, page) == Ok(Fetched::NotModified));
    api.add_comment(&gist, "two").unwrap();
    let page = SheetRequest { etag, ..first() };
    assert_eq!(new(api.comments(&gist, &page).unwrap()).items.len(), 2);
}

#[test]
fn a_gist_is_told_as_it_is() {
    let server = server();
    let (api, gist) = (octo(&server), gist(&server));
    let told: Single<Bytes> = new(api.gist_json(&gist, None).unwrap());
    let json: serde_json::Value = serde_json::from_slice(&told.item).unwrap();
    assert_eq!(
        (&json["id"], &json["files"]["a"]["content"]),
        (&gist.as_str().into(), &"alpha".into())
    );
    assert!(json["history"].is_array());
    assert_eq!(api.gist_json(&gist, told.etag.as_deref()), Ok(Fetched::NotModified));
    assert_eq!(api.gist_json(&id("00ff"), None), Err(ApiError::NotFound));
    for odd in [r#"{"id":"other"}"#, "[]", "", "{}", "<html>", r#"{"id":null}"#] {
        server.inject(Fault::once(status(200, odd)));
        assert!(is_nonsense(api.gist_json(&gist, None)), "{odd}");
    }
    let cut = format!(r#"{{"id":"{gist}","description":"#);
    server.inject(Fault::once(status(200, &cut)));
    assert!(is_nonsense(api.gist_json(&gist, None)));
    let host = Scripted::start(|_| vec![answer("200 OK", "", b"{\"id\":\"aa11\",\"x\":\"\xff\"}")]);
    assert!(is_nonsense(client(&host.url, None, AMPLE).gist_json(&id("aa11"), None)));
}

/// What became of each request.
type Outcomes = Vec<(&'static str, Result<(), ApiError>)>;

/// Does every request there is; `one` is a comment on `gist`.
fn every(api: &GitHub, gist: &GistId, one: CommentId) -> Outcomes {
    vec![
        ("is_starred", api.is_starred(gist).map(drop)),
        ("star", api.star(gist, true)),
        ("unstar", api.star(gist, false)),
        ("fork", api.fork(gist).map(drop)),
        ("forks", api.forks(gist, &first()).map(drop)),
        ("commits", api.commits(gist, &first()).map(drop)),
        ("comments", api.comments(gist, &first()).map(drop)),
        ("comment", api.comment(gist, one, None).map(drop)),
        ("add_comment", api.add_comment(gist, "x").map(drop)),
        ("edit_comment", api.edit_comment(gist, one, "y").map(drop)),
        ("delete_comment", api.delete_comment(gist, one)),
        ("gist_json", api.gist_json(gist, None).map(drop)),
    ]
}

/// Does every request on somebody's gist while each of them meets `kind`.
fn all_hit(server: &Server, kind: FaultKind) -> Outcomes {
    let (api, gist) = (hubot(server), gist(server));
    let comment = api.add_comment(&gist, "one").unwrap().id;
    api.fork(&gist).unwrap();
    server.inject(Fault { times: 1000, ..Fault::once(kind) });
    let outcomes = every(&api, &gist, comment);
    server.clear_faults();
    outcomes
}

/// Requests that are answered by a status alone.
const SILENT: [&str; 4] = ["is_starred", "star", "unstar", "delete_comment"];

#[test]
fn every_request_works_where_nothing_is_wrong() {
    let server = server();
    for (what, outcome) in all_hit(&server, FaultKind::Delay(Duration::ZERO)) {
        assert_eq!(outcome, Ok(()), "{what}");
    }
}

#[test]
fn trouble_is_told_apart_for_every_request() {
    type Wanted = fn(&ApiError) -> bool;
    let server = server();
    let lost: Wanted = |error| matches!(error, ApiError::Lost { .. });
    let odd: Wanted = |error| matches!(error, ApiError::Nonsense { .. });
    let wrong = r#"{"message":"Bad credentials"}"#;
    let retry_after = Some(Duration::from_secs(9));
    let kinds: Vec<(FaultKind, Wanted)> = vec![
        (FaultKind::Drop, lost),
        (FaultKind::Reset, lost),
        (FaultKind::LoseAnswer, lost),
        (FaultKind::Html, odd),
        (status(200, ""), odd),
        (status(200, "[{\"id\":"), odd),
        (status(200, "7"), odd),
        (status(302, ""), odd),
        (status(401, wrong), |error| matches!(error, ApiError::Unauthorized(_))),
        (status(403, "{}"), |error| matches!(error, ApiError::Forbidden(_))),
        (status(422, "{}"), |error| matches!(error, ApiError::Refused { status: 422, .. })),
        (status(502, "<html>"), |error| *error == ApiError::Server(502)),
        (FaultKind::SecondaryLimit { retry_after }, |error| {
            matches!(error, ApiError::Limited { secondary: true, .. })
        }),
    ];
    for (kind, wanted) in kinds {
        for (what, outcome) in all_hit(&server, kind.clone()) {
            let error = outcome.expect_err(what);
            assert!(wanted(&error), "{what} with {kind:?}: {error}");
        }
    }
    for (what, outcome) in all_hit(&server, status(404, "{}")) {
        let unstarred = what == "is_starred";
        assert_eq!(outcome, if unstarred { Ok(()) } else { Err(ApiError::NotFound) }, "{what}");
    }
}

#[test]
fn answers_of_another_shape_are_no_answers() {
    let server = server();
    for kind in [FaultKind::InvalidJson, FaultKind::WrongBody, FaultKind::CutShort] {
        for (what, outcome) in all_hit(&server, kind.clone()) {
            let error = outcome.err();
            let doubtful = error.as_ref().is_some_and(ApiError::outcome_unknown);
            assert!(doubtful || SILENT.contains(&what), "{what} with {kind:?}: {error:?}");
        }
    }
    let (api, gist) = (octo(&server), gist(&server));
    let comment = api.add_comment(&gist, "x").unwrap().id;
    let other = r#"{"id":123456789,"body":"x"}"#;
    server.inject(Fault { times: 2, ..Fault::once(status(200, other)) });
    assert!(is_nonsense(api.comment(&gist, comment, None)));
    assert!(is_nonsense(api.edit_comment(&gist, comment, "y")));
}

#[test]
fn answers_that_tell_little_are_enough() {
    let server = server();
    for kind in [FaultKind::NullFields, FaultKind::MissingFields] {
        for (what, outcome) in all_hit(&server, kind.clone()) {
            // A gist is known by its description and a comment by its text; those are gone.
            let lacking = ["fork", "comments", "comment", "add_comment", "edit_comment"];
            let gone = matches!(kind, FaultKind::MissingFields) && lacking.contains(&what);
            assert_eq!(outcome.is_err(), gone, "{what} with {kind:?}: {outcome:?}");
        }
    }
}

#[test]
fn what_a_page_holds_that_makes_no_sense_is_left_out_and_the_page_not_remembered() {
    let commits = r#"[null,{"version":null},{"version":"../../up"},{},{"version":"0123456789"}]"#;
    let comments = r#"[{"body":"x"},{"id":7,"body":"x"},null,{"id":8,"body":null},
        {"id":9,"user":null,"body":""}]"#;
    let forks = r#"[{"id":"../up"},{"id":"f0","owner":null,"user":{"login":"hubot"}}]"#;
    let head = "etag: \"e\"\r\n";
    let host = Scripted::start(|_| {
        [commits, comments, forks].into_iter().map(|page| answer("200 OK", head, page)).collect()
    });
    let api = client(&host.url, Some(TOKEN), AMPLE);
    let gist = id("aa11");
    let found = new(api.commits(&gist, &first()).unwrap());
    assert_eq!((found.items.len(), found.etag), (1, None));
    assert_eq!(found.items[0].version.short(), "0123456");
    let found = new(api.comments(&gist, &first()).unwrap());
    let ids: Vec<_> = found.items.iter().map(|comment| comment.id.0).collect();
    assert_eq!((ids, found.etag), (vec![7, 9], None));
    assert_eq!((&found.items[1].author, found.items[1].body.as_str()), (&None, ""));
    let found = new(api.forks(&gist, &first()).unwrap());
    assert_eq!((found.items.len(), found.items[0].owner.as_deref()), (1, Some("hubot")));
}

#[test]
fn pages_elsewhere_are_not_visited() {
    let stranger = Scripted::start(|_| vec![answer("200 OK", "", "[]")]);
    let next = format!("link: <{}/gists/aa11/commits?page=2>; rel=\"next\"\r\n", stranger.url);
    let host = Scripted::start(|_| vec![answer("200 OK", &next, "[]")]);
    let api = client(&host.url, Some(TOKEN), AMPLE);
    let gist = id("aa11");
    let link = new(api.commits(&gist, &first()).unwrap()).next.unwrap();
    for link in [link.as_str(), "http://[", "//evil.example/x", "http://u:p@127.0.0.1/x"] {
        let page = SheetRequest { from: SheetAddress::Next(link.into()), etag: None };
        assert!(is_nonsense(api.commits(&gist, &page)), "{link}");
        assert!(is_nonsense(api.comments(&gist, &page)), "{link}");
        assert!(is_nonsense(api.forks(&gist, &page)), "{link}");
    }
    assert!(stranger.heard().is_empty());
    assert_eq!(host.heard().len(), 1);
}

#[test]
fn without_a_token_only_what_anybody_may_see_is_asked_for() {
    let server = server();
    let gist = gist(&server);
    let comment = octo(&server).add_comment(&gist, "x").unwrap().id;
    let seen = server.requests().len();
    let nobody = client(&server.api_url(), None, AMPLE);
    let refused: Vec<_> = every(&nobody, &gist, comment)
        .into_iter()
        .filter(|(_, outcome)| matches!(outcome, Err(ApiError::Anonymous(_))))
        .map(|(what, _)| what)
        .collect();
    let changes = ["is_starred", "star", "unstar", "fork"];
    assert_eq!(
        refused,
        [&changes[..], &["add_comment", "edit_comment", "delete_comment"]].concat()
    );
    assert!(nobody.comment(&gist, comment, None).is_ok());
    let sent = server.requests().split_off(seen);
    assert_eq!(sent.len(), 6);
    assert!(sent.iter().all(|request| request.method == "GET" && !request.has_token()));
    let starred =
        nobody.list(&PageRequest { from: PageAddress::Starred { since: None }, etag: None });
    assert!(matches!(starred, Err(ApiError::Anonymous(_))));
}

#[test]
fn everybodys_gists_are_listed_for_nobody_too() {
    let server = server();
    let public = gist(&server);
    server.seed("octo", Seed::new("secret", &[("s", "s")]));
    let nobody = client(&server.api_url(), None, AMPLE);
    let pages = pages(&nobody, PageAddress::Public { since: None });
    assert_eq!(pages[0].gists.iter().map(|gist| &gist.id).collect::<Vec<_>>(), [&public]);
    assert_eq!(server.requests()[0].path, "/gists/public");
}
