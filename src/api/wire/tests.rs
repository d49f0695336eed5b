use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::model::CommitId;

const ABC: &str = "f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f";

fn raw(blob: &str, name: &str) -> String {
    format!("https://gist.githubusercontent.com/octocat/aa5a315d61ae9438b18d/raw/{blob}/{name}")
}

/// A gist as the single endpoint tells it, with one file `abc.txt`.
fn full() -> Value {
    json!({
        "url": "https://api.github.com/gists/aa5a315d61ae9438b18d",
        "id": "aa5a315d61ae9438b18d",
        "node_id": "x",
        "git_pull_url": "https://gist.github.com/aa5a315d61ae9438b18d.git",
        "html_url": "https://gist.github.com/aa5a315d61ae9438b18d",
        "files": { "abc.txt": {
            "filename": "abc.txt",
            "type": "text/plain",
            "language": "Text",
            "raw_url": raw(ABC, "abc.txt"),
            "size": 3,
            "truncated": false,
            "content": "abc",
            "encoding": "utf-8"
        }},
        "public": true,
        "created_at": "2010-04-14T02:15:15Z",
        "updated_at": "2011-06-20T11:34:15Z",
        "description": "Hello World Examples",
        "comments": 0,
        "user": null,
        "owner": { "login": "octocat", "id": 1 },
        "fork_of": null,
        "forks": [],
        "history": [
            { "version": "57a7f021a713b1c5a6a199b54cc514735d2d462f", "user": null },
            { "version": "18a7f021a713b1c5a6a199b54cc514735d2d462f" }
        ],
        "truncated": false
    })
}

fn read(gist: &Value) -> Told {
    super::gist(gist.to_string().as_bytes()).unwrap()
}

fn name(text: &str) -> FileName {
    FileName::parse(text).unwrap()
}

/// The gist above with changes to its only file.
fn with_file(changes: Value) -> Told {
    let mut gist = full();
    for (key, value) in changes.as_object().unwrap() {
        gist["files"]["abc.txt"][key] = value.clone();
    }
    read(&gist)
}

#[test]
fn a_whole_gist_is_read_whole() {
    let Told { gist, unknown } = read(&full());
    let abc: BlobId = ABC.parse().unwrap();
    let snapshot = Snapshot {
        id: GistId::parse("aa5a315d61ae9438b18d").unwrap(),
        description: "Hello World Examples".into(),
        public: true,
        owner: Some("octocat".into()),
        created_at: Time::parse("2010-04-14T02:15:15Z").unwrap(),
        updated_at: Time::parse("2011-06-20T11:34:15Z").unwrap(),
        html_url: "https://gist.github.com/aa5a315d61ae9438b18d".into(),
        git_url: "https://gist.github.com/aa5a315d61ae9438b18d.git".into(),
        truncated: false,
        completed: false,
        revision: Some("57a7f021a713b1c5a6a199b54cc514735d2d462f".into()),
        etag: None,
        files: BTreeMap::from([(
            name("abc.txt"),
            RemoteFile {
                blob: abc,
                size: 3,
                raw_url: raw(ABC, "abc.txt"),
                language: Some("Text".into()),
            },
        )]),
    };
    assert_eq!(gist.snapshot, snapshot);
    assert_eq!(gist.bodies, BTreeMap::from([(abc, Bytes::from("abc"))]));
    assert_eq!(gist.history.len(), 2);
    assert!(unknown.is_empty());
}

#[test]
fn missing_and_null_are_both_normal() {
    let bare = read(&json!({ "id": "1", "description": null, "files": {} }));
    let nulls = read(&json!({
        "id": "1", "description": null, "public": null, "owner": null, "created_at": null,
        "updated_at": null, "html_url": null, "git_pull_url": null, "truncated": null,
        "files": {}, "history": null, "forks": null, "user": null
    }));
    assert_eq!(bare, nulls);
    assert_eq!((bare.gist.snapshot.description.as_str(), bare.gist.snapshot.owner), ("", None));
    let inner = read(&json!({
        "id": "1", "owner": { "login": null }, "description": null,
        "files": { "gone": null, "": { "raw_url": raw(ABC, ""), "size": 3 } },
        "history": [null, { "version": null }, { "version": "zz/.." }, { "version": "ab12cd3" }]
    }));
    assert!(inner.gist.snapshot.files.is_empty() && inner.unknown.is_empty());
    assert_eq!(inner.gist.history, [CommitId::parse("ab12cd3").unwrap()]);
}

#[test]
fn an_answer_without_description_or_files_tells_of_no_gist() {
    for missing in ["description", "files"] {
        let mut gist = full();
        gist.as_object_mut().unwrap().remove(missing);
        assert!(super::gist(gist.to_string().as_bytes()).is_err(), "{missing}");
        let list = json!([gist, full()]);
        let (told, all) = super::list(list.to_string().as_bytes()).unwrap();
        assert_eq!((told.len(), all), (1, false));
    }
    let mut gist = full();
    gist["files"] = Value::Null;
    assert!(super::gist(gist.to_string().as_bytes()).is_err(), "nobody's files are null");
}

#[test]
fn a_gist_without_a_usable_id_does_not_take_the_list_with_it() {
    let list = json!([null, {}, { "id": "../x" }, { "id": null }, { "id": "" },
        { "id": "42", "description": null, "files": {} }]);
    let (told, _) = super::list(list.to_string().as_bytes()).unwrap();
    let ids: Vec<_> = told.iter().map(|told| told.gist.snapshot.id.as_str()).collect();
    assert_eq!(ids, ["42"]);
    assert!(super::gist(br#"{ "id": "../x" }"#).is_err());
}

#[test]
fn a_listed_file_is_known_by_its_blob_without_a_body() {
    let told = with_file(json!({ "content": null, "truncated": null, "encoding": null }));
    assert_eq!(told.gist.snapshot.files[&name("abc.txt")].blob.to_string(), ABC);
    assert!(told.gist.bodies.is_empty());
}

#[test]
fn content_counts_only_when_its_blob_id_proves_it() {
    for changes in [
        json!({ "truncated": true }),
        json!({ "content": "ab" }),
        json!({ "content": "", "truncated": true }),
        json!({ "content": "YWJj" }),
        json!({ "content": "!!", "encoding": "base64" }),
        json!({ "encoding": "utf-16" }),
    ] {
        let told = with_file(changes.clone());
        assert!(told.gist.bodies.is_empty(), "{changes}");
        assert_eq!(told.gist.snapshot.files[&name("abc.txt")].size, 3, "{changes}");
    }
    for changes in [
        json!({ "content": "YWJj", "encoding": "base64" }),
        json!({ "content": "YW\nJj\n", "encoding": "base64" }),
        json!({ "encoding": null, "truncated": null }),
        json!({ "size": null }),
        json!({ "size": 99 }),
    ] {
        let told = with_file(changes.clone());
        assert_eq!(told.gist.bodies.len(), 1, "{changes}");
        assert_eq!(told.gist.snapshot.files[&name("abc.txt")].size, 3, "{changes}");
    }
}

#[test]
fn a_file_whose_url_names_no_blob_is_known_by_complete_content_or_not_at_all() {
    let url = "https://ghe.example.com/gist/octocat/1/raw/abc.txt";
    let known = with_file(json!({ "raw_url": url }));
    assert_eq!(known.gist.snapshot.files[&name("abc.txt")].blob.to_string(), ABC);
    for changes in [
        json!({ "raw_url": url, "content": null }),
        json!({ "raw_url": url, "truncated": true }),
        json!({ "raw_url": url, "size": 4 }),
        json!({ "raw_url": url, "size": null }),
        json!({ "raw_url": null, "content": null }),
        json!({ "content": null, "size": null }),
    ] {
        let told = with_file(changes.clone());
        assert_eq!(told.unknown, [name("abc.txt")], "{changes}");
        assert!(told.gist.snapshot.files.is_empty(), "{changes}");
    }
}

#[test]
fn the_key_is_the_name_even_where_the_field_says_otherwise() {
    let told = with_file(json!({ "filename": "other.txt" }));
    assert!(told.gist.snapshot.files.contains_key("abc.txt"));
}

#[test]
fn the_blob_is_the_segment_after_raw() {
    let id = Some(ABC.parse().unwrap());
    for (url, blob) in [
        (raw(ABC, "a%2Fb.txt"), id),
        (raw(ABC, "raw"), id),
        (format!("https://raw.example/gist/o/1/raw/{ABC}/x?token={}", "0".repeat(40)), id),
        (format!("https://h/raw/gist/o/1/raw/{ABC}/x"), id),
        (format!("https://h/o/{ABC}/raw/x"), None),
        (format!("https://h/o/1/raw/x?y=/raw/{ABC}"), None),
        (format!("https://h/o/1/raw/{}/x", &ABC[1..]), None),
        (String::new(), None),
    ] {
        assert_eq!(blob_in(&url), blob, "{url}");
    }
}

#[test]
fn an_unreadable_answer_says_why_without_quoting_it() {
    for (answer, says) in [
        ("", "empty"),
        ("<!DOCTYPE html><title>hunter2</title>", "web page"),
        (r#"{"id":"hunter2"#, "cut off"),
        (r#"{"id":{"hunter2":1}}"#, "expected form"),
        (r#"["hunter2"]"#, "expected form"),
        ("hunter2", "not JSON"),
    ] {
        let problem = super::gist(answer.as_bytes()).unwrap_err();
        assert!(problem.contains(says) && !problem.contains("hunter2"), "{problem}");
    }
    let deep = "[".repeat(100_000);
    assert!(super::list(deep.as_bytes()).is_err());
}

#[test]
fn a_login_must_be_fit_to_name_a_directory() {
    let user = |text: &str| super::user(json!({ "login": text }).to_string().as_bytes());
    for good in ["octocat", "a-b", "emu_corp", "dependabot[bot]"] {
        assert_eq!(user(good), Ok((good.to_owned(), None)));
    }
    for bad in ["", "..", "a/b", "a\0", "a b"] {
        assert!(user(bad).is_err(), "{bad:?}");
    }
    assert!(super::user(b"{}").is_err());
}

#[test]
fn a_user_s_number_is_told_if_it_is_one() {
    for (id, number) in [
        (json!(583_231), Some(583_231)),
        (json!(0), Some(0)),
        (json!(null), None),
        (json!(-1), None),
        (json!("7"), None),
        (json!({}), None),
    ] {
        let answer = json!({ "login": "octo", "id": id }).to_string();
        assert_eq!(super::user(answer.as_bytes()), Ok(("octo".to_owned(), number)), "{answer}");
    }
}

#[test]
fn a_complaint_brings_its_list_of_errors() {
    for (answer, text) in [
        (json!({ "message": "Not Found", "status": "404" }), "Not Found"),
        (
            json!({ "message": "Validation Failed", "errors": [
                { "resource": "Gist", "code": "missing_field", "field": "files" }
            ]}),
            "Validation Failed: Gist.files missing_field",
        ),
        (
            json!({ "message": "No", "errors": ["one", { "code": "custom", "message": "two" }, 3,
                { "resource": "Gist", "code": "invalid" }, { "field": [] }] }),
            "No: one, two, an error of unknown form, Gist invalid, an error of unknown form",
        ),
        (json!({ "message": "Blocked", "block": { "reason": "dmca" }, "errors": null }), "Blocked"),
    ] {
        assert_eq!(complaint(answer.to_string().as_bytes()).as_deref(), Some(text));
    }
    for other in ["", "<html>", "[]", "{}", r#"{"message":1}"#] {
        assert_eq!(complaint(other.as_bytes()), None, "{other}");
    }
}

#[test]
fn a_new_gist_is_written_as_github_wants_it() {
    let gist = NewGist {
        description: "".into(),
        public: false,
        files: BTreeMap::from([(name("a.txt"), "x\n".into()), (name("ä"), "\u{1f600}".into())]),
    };
    let body: Value = serde_json::from_slice(&create(&gist)).unwrap();
    let expected = json!({
        "description": "", "public": false,
        "files": { "a.txt": { "content": "x\n" }, "ä": { "content": "\u{1f600}" } }
    });
    assert_eq!(body, expected);
}

#[test]
fn a_patch_says_what_changes_and_nothing_else() {
    let patch = Patch {
        description: None,
        files: BTreeMap::from([
            (name("write"), FileChange::Write("w".into())),
            (name("rename"), FileChange::Rename(name("renamed"), None)),
            (name("both"), FileChange::Rename(name("new"), Some("b".into()))),
            (name("delete"), FileChange::Delete),
        ]),
    };
    let body: Value = serde_json::from_slice(&update(&patch)).unwrap();
    let expected = json!({ "files": {
        "write": { "content": "w" },
        "rename": { "filename": "renamed" },
        "both": { "filename": "new", "content": "b" },
        "delete": null
    }});
    assert_eq!(body, expected);
    let patch = Patch { description: Some("d".into()), files: BTreeMap::new() };
    assert_eq!(update(&patch), br#"{"description":"d"}"#);
}

/// Any JSON, leaning towards the keys that matter.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(json!(raw(ABC, "x"))),
        Just(json!("base64")),
        Just(json!("aa5a315d61ae9438b18d")),
    ];
    let key = prop_oneof![
        prop::sample::select(vec![
            "id",
            "files",
            "owner",
            "login",
            "history",
            "version",
            "raw_url",
            "size",
            "content",
            "encoding",
            "truncated",
            "created_at",
            "message",
            "errors",
        ])
        .prop_map(str::to_owned),
        ".{0,6}",
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Reads `json` in every way there is; only a panic is wrong.
fn read_every_way(json: &[u8]) {
    let _whole = super::gist(json);
    let _list = super::list(json);
    let _user = super::user(json);
    let _words = complaint(json);
}

proptest! {
    #[test]
    fn no_json_makes_the_reader_panic(value in any_json()) {
        read_every_way(value.to_string().as_bytes());
        read_every_way(json!([value]).to_string().as_bytes());
        let mut gist = full();
        gist["files"]["abc.txt"] = value.clone();
        read_every_way(gist.to_string().as_bytes());
        gist["files"] = value;
        read_every_way(gist.to_string().as_bytes());
    }

    #[test]
    fn no_damage_on_the_way_makes_the_reader_panic_or_believe_a_wrong_body(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = full().to_string().into_bytes();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        read_every_way(&bytes[..cut.index(bytes.len())]);
        read_every_way(&bytes);
        if let Ok(told) = super::gist(&bytes) {
            for (id, body) in &told.gist.bodies {
                prop_assert_eq!(*id, BlobId::of(body));
            }
        }
    }

    #[test]
    fn any_text_arrives_as_it_was_sent(files in prop::collection::btree_map(".{1,8}", ".{0,20}", 0..4)) {
        let files: BTreeMap<FileName, String> =
            files.into_iter().map(|(key, text)| (name(&key), text)).collect();
        let gist = NewGist { description: "d".into(), public: true, files: files.clone() };
        let body: Value = serde_json::from_slice(&create(&gist)).unwrap();
        for (name, text) in &files {
            prop_assert_eq!(body["files"][name.as_str()]["content"].as_str(), Some(text.as_str()));
        }
    }
}
