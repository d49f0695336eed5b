//! `GET /gists/ID` and its revisions: shapes, validators, truncation, lag.

use std::time::Duration;

use gistfs::demo::Seed;
use gistfs::model::Time;
use serde_json::{Value, json};

use crate::world::{Send as _, World};

/// Row 15.
#[test]
fn a_gist_comes_with_validators_and_cache_rules() {
    let world = World::new();
    let created_at = Time::parse("2021-03-04T05:06:07Z");
    let id = world.server.seed("octo", Seed { created_at, ..Seed::new("d", &[("a", "a")]) });
    let answer = world.get(&format!("/gists/{id}")).expect(200);
    assert!(answer.header("etag").unwrap().starts_with("W/\""));
    assert_eq!(answer.header("last-modified"), Some("Thu, 04 Mar 2021 05:06:07 GMT"));
    assert_eq!(answer.header("cache-control"), Some("private, max-age=60, s-maxage=60"));
    assert!(answer.header("vary").unwrap().contains("Authorization"));
    assert!(answer.header("x-github-media-type").unwrap().starts_with("github.v3"));
    let anonymous = world.anonymous("GET", &format!("/gists/{id}")).answer().expect(200);
    assert_eq!(anonymous.header("cache-control"), Some("public, max-age=60, s-maxage=60"));
}

#[test]
fn a_gist_has_the_keys_it_has_on_github() {
    let world = World::new();
    let id = world.seed(&[("a b.py", "print()\n")]);
    let gist = world.gist(&id);
    let (api, raw) = (world.server.api_url(), world.server.raw_url());
    let expected = [
        "comments",
        "comments_enabled",
        "comments_url",
        "commits_url",
        "created_at",
        "description",
        "files",
        "fork_of",
        "forks",
        "forks_url",
        "git_pull_url",
        "git_push_url",
        "history",
        "html_url",
        "id",
        "node_id",
        "owner",
        "public",
        "truncated",
        "updated_at",
        "url",
        "user",
    ];
    let keys: Vec<&str> = gist.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, expected);
    assert_eq!(gist["url"], format!("{api}/gists/{id}"));
    assert_eq!(gist["git_pull_url"], format!("{raw}/{id}.git"));
    assert_eq!(gist["user"], Value::Null);
    let blob = gistfs::model::BlobId::of(b"print()\n");
    assert_eq!(
        gist["files"]["a b.py"],
        json!({
            "filename": "a b.py", "type": "application/x-python", "language": "Python",
            "raw_url": format!("{raw}/octo/{id}/raw/{blob}/a%20b.py"), "size": 8,
            "truncated": false, "content": "print()\n", "encoding": "utf-8",
        })
    );
    let enterprise = world.get(&format!("/api/v3/gists/{id}")).json();
    assert_eq!(enterprise["url"], format!("{api}/api/v3/gists/{id}"));
}

/// Row 16.
#[test]
fn what_the_client_has_already_is_304_and_costs_nothing() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    let path = format!("/gists/{id}");
    let first = world.get(&path);
    let etag = first.header("etag").unwrap();
    let date = first.header("last-modified").unwrap();
    let strong = etag.trim_start_matches("W/").to_owned();
    let several = format!("\"x\", {etag}");
    for (name, value) in [
        ("If-None-Match", etag),
        ("If-None-Match", &strong),
        ("If-None-Match", &several),
        ("If-Modified-Since", date),
    ] {
        let answer = world.octo("GET", &path).header(name, value).answer().expect(304);
        assert!(answer.body.is_empty());
        assert_eq!(answer.header("x-ratelimit-remaining"), Some("4999"));
        assert_eq!(answer.header("etag"), Some(etag));
    }
    world.patch(&id, &json!({"description": "x"})).expect(200);
    world.octo("GET", &path).header("If-None-Match", etag).answer().expect(200);
    let long_ago = "Thu, 04 Mar 2021 05:06:07 GMT";
    world.octo("GET", &path).header("If-Modified-Since", long_ago).answer().expect(200);
}

/// Row 16.
#[test]
fn the_validator_of_a_patch_serves_the_next_read() {
    let world = World::new();
    let id = world.seed(&[("a", "a")]);
    let patched = world.patch(&id, &json!({"description": "x"})).expect(200);
    let etag = patched.header("etag").unwrap();
    let path = format!("/gists/{id}");
    world.octo("GET", &path).header("If-None-Match", etag).answer().expect(304);
}

/// Row 17.
#[test]
fn files_are_sorted_and_end_at_three_hundred() {
    let world = World::new();
    let names: Vec<String> = (0..301).rev().map(|n| format!("{n:03}")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (&**name, "x")).collect();
    let gist = world.gist(&world.seed(&files));
    assert_eq!(gist["truncated"], true);
    let shown: Vec<&String> = gist["files"].as_object().unwrap().keys().collect();
    assert_eq!(shown.len(), 300);
    assert_eq!((&**shown[0], &**shown[299]), ("000", "299"));
    let gist = world.gist(&world.seed(&files[1..]));
    assert_eq!(gist["truncated"], false);
}

/// A gist whose second file of three crosses the megabyte.
fn large(world: &World) -> (String, usize) {
    let half = "ä".repeat(300 << 10);
    let id = world.seed(&[("1", &half), ("2", &half), ("3", "small"), ("4", "small too")]);
    (id, half.len())
}

fn check_truncated(gist: &Value, size: usize) {
    let files = &gist["files"];
    assert_eq!(files["1"]["truncated"], false);
    assert_eq!(files["1"]["content"].as_str().expect("text").len(), size);
    let cut = files["2"]["content"].as_str().expect("text");
    assert_eq!(files["2"]["truncated"], true);
    assert!(!cut.is_empty() && cut.len() < size && cut.chars().all(|c| c == 'ä'));
    for (name, true_size) in [("3", 5), ("4", 9)] {
        let file = &files[name];
        assert_eq!((&file["truncated"], &file["content"]), (&json!(true), &json!("")));
        assert_eq!(file["size"], true_size);
    }
    assert_eq!(files["2"]["size"], size);
    assert_eq!(gist["truncated"], false, "that is about the number of files");
}

/// Row 18.
#[test]
fn past_a_megabyte_all_files_are_cut_off_however_small() {
    let world = World::new();
    let (id, size) = large(&world);
    check_truncated(&world.gist(&id), size);
}

/// Row 19.
#[test]
fn the_answer_to_a_write_is_cut_off_the_same_way() {
    let world = World::new();
    let (id, size) = large(&world);
    let answer = world.patch(&id, &json!({"description": "x"})).expect(200);
    check_truncated(&answer.json(), size);
    let text = |name: &str| json!({"content": world.server.files(&id).unwrap().remove(name).map(|b| String::from_utf8(b).unwrap())});
    let files = json!({"1": text("1"), "2": text("2"), "3": text("3"), "4": text("4")});
    let created = world.post(&json!({"files": files})).expect(201);
    check_truncated(&created.json(), size);
}

fn binary(world: &World) -> String {
    let files = vec![("b.bin".to_owned(), vec![0, 159, 146, 150]), ("t".to_owned(), b"t".to_vec())];
    world.server.seed("octo", Seed { files, ..Seed::default() })
}

/// Row 23.
#[test]
fn bytes_that_are_no_text_come_in_base64() {
    let world = World::new();
    let id = binary(&world);
    let file = &world.gist(&id)["files"]["b.bin"];
    assert_eq!((&file["encoding"], &file["content"]), (&json!("base64"), &json!("AJ+Slg==")));
    assert_eq!(file["size"], 4);
    let request = world.octo("GET", &format!("/gists/{id}"));
    let all = request.header("Accept", "application/vnd.github.base64+json").answer();
    assert!(all.header("x-github-media-type").unwrap().contains("base64"));
    let file = &all.json()["files"]["t"];
    assert_eq!((&file["encoding"], &file["content"]), (&json!("base64"), &json!("dA==")));
    assert_eq!(file["size"], 1);
}

/// Row 23.
#[test]
fn an_old_enterprise_server_mangles_what_is_no_text() {
    let world = World::new();
    let id = binary(&world);
    world.server.with_switches(|switches| switches.old_enterprise = true);
    let file = &world.gist(&id)["files"]["b.bin"];
    assert!(file.get("encoding").is_none());
    assert!(file["content"].as_str().unwrap().contains('\u{fffd}'));
}

/// Row 46.
#[test]
fn an_anonymous_gist_has_no_owner_and_nulls_elsewhere() {
    let world = World::new();
    let files = vec![("unknown.zzz".to_owned(), b"x".to_vec()), ("b".to_owned(), b"b".to_vec())];
    let seed = Seed { files, anonymous: true, public: true, ..Seed::default() };
    let id = world.server.seed("nobody", seed);
    world.server.with_switches(|switches| switches.null_files = ["b".to_owned()].into());
    let gist = world.gist(&id);
    assert!(gist.get("owner").is_none());
    assert_eq!(gist["description"], Value::Null);
    assert_eq!(gist["files"]["unknown.zzz"]["language"], Value::Null);
    assert_eq!(gist["files"]["b"], Value::Null);
    let url = gist["files"]["unknown.zzz"]["raw_url"].as_str().unwrap().to_owned();
    assert_eq!(world.anonymous("GET", &url).answer().expect(200).body, b"x");
    let listed = world.get("/gists/public").json();
    assert_eq!((listed[0].get("owner"), &listed[0]["files"]["b"]), (None, &Value::Null));
}

/// Row 47.
#[test]
fn a_revision_is_the_gist_as_it_was() {
    let world = World::new();
    let id = world.seed(&[("a", "1")]);
    world.server.commit(&id, &[("a", Some(b"2")), ("b", Some(b"b"))]);
    let versions = world.server.commits(&id);
    assert_eq!(versions.len(), 2);
    let then = world.get(&format!("/gists/{id}/{}", versions[1])).expect(200).json();
    assert_eq!(then["files"]["a"]["content"], "1");
    assert!(then["files"].get("b").is_none());
    assert_eq!(then["history"].as_array().unwrap().len(), 1);
    assert_eq!(then["url"], format!("{}/gists/{id}", world.server.api_url()));
    world.get(&format!("/gists/{id}/{}", "0".repeat(40))).expect(404);
    world.get(&format!("/gists/{id}/zzz")).expect(422);
}

#[test]
fn commits_are_listed_newest_first_in_pages() {
    let world = World::new();
    let id = world.seed(&[("a", "1\n")]);
    world.server.commit(&id, &[("a", Some(b"1\n2\n"))]);
    world.server.commit(&id, &[("a", Some(b"1\n2\n3\n"))]);
    let answer = world.get(&format!("/gists/{id}/commits?per_page=2")).expect(200);
    let commits = answer.json();
    let expected = world.server.commits(&id);
    assert_eq!(commits[0]["version"], *expected[0]);
    assert_eq!(commits[1]["version"], *expected[1]);
    assert_eq!(commits[0]["change_status"], json!({"total": 1, "additions": 1, "deletions": 0}));
    assert_eq!(commits[0]["user"]["login"], "octo");
    assert!(answer.header("link").unwrap().contains("rel=\"next\""));
    assert_eq!(world.gist(&id)["history"][0], commits[0]);
}

/// Row 39.
#[test]
fn after_a_write_reads_may_be_stale_for_a_while() {
    let world = World::new();
    let id = world.seed(&[("a", "old")]);
    let content = || world.gist(&id)["files"]["a"]["content"].clone();
    world.server.with_switches(|switches| switches.stale_for = Duration::from_secs(3600));
    let patched = world.patch_files(&id, &json!({"a": {"content": "new"}})).expect(200);
    assert_eq!(patched.json()["files"]["a"]["content"], "new", "the answer is never stale");
    assert_eq!((content(), content()), (json!("old"), json!("old")));
    let listed = world.get("/gists").json();
    assert!(
        listed[0]["files"]["a"]["raw_url"]
            .as_str()
            .unwrap()
            .contains(&gistfs::model::BlobId::of(b"old").to_string())
    );
    world.server.with_switches(|switches| switches.stale_for = Duration::from_millis(300));
    world.wait_until(|_| content() == "new");
}

/// Row 39.
#[test]
fn stale_reads_may_go_back_and_forth() {
    let world = World::new();
    let id = world.seed(&[("a", "old")]);
    world.server.with_switches(|switches| {
        switches.stale_for = Duration::from_secs(3600);
        switches.stale_regresses = true;
    });
    world.patch_files(&id, &json!({"a": {"content": "new"}})).expect(200);
    let reads: Vec<Value> =
        (0..4).map(|_| world.gist(&id)["files"]["a"]["content"].clone()).collect();
    assert_eq!(reads, ["new", "old", "new", "old"]);
}

/// Row 39.
#[test]
fn a_new_gist_may_be_hidden_for_a_while() {
    let world = World::new();
    world.server.with_switches(|switches| switches.hidden_for = Duration::from_secs(3600));
    let gist = world.post(&json!({"files": {"a": {"content": "a"}}})).expect(201).json();
    let path = format!("/gists/{}", gist["id"].as_str().unwrap());
    world.get(&path).expect(404);
    assert_eq!(world.get("/gists").json(), json!([]));
    world.server.with_switches(|switches| switches.hidden_for = Duration::from_millis(200));
    world.wait_until(|_| world.get(&path).status == 200);
}

#[test]
fn an_answer_is_compressed_for_whoever_takes_it() {
    let world = World::new();
    let id = world.seed(&[("a", &"long ".repeat(2000))]);
    let url = format!("{}/gists/{id}", world.server.api_url());
    let plain = reqwest::blocking::Client::builder().no_gzip().no_proxy().user_agent("x");
    let plain = plain.build().unwrap();
    let packed = plain.get(&url).header("Accept-Encoding", "gzip").send().unwrap();
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    assert!(packed.bytes().unwrap().len() < 5000);
    let whole = plain.get(&url).send().unwrap();
    assert!(whole.headers().get("content-encoding").is_none());
    assert!(whole.bytes().unwrap().len() > 10_000);
}
