//! Answers damaged in every way, read in every way: no panic, no hang, no memory without bounds.
//!
//! `GISTFS_FUZZ_INPUTS` says how many; a failure names the number of its input, which alone decides
//! what it is.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use super::*;
use crate::api::{link, status};
use crate::measured;

/// Inputs that are tried if nobody says how many.
const INPUTS: u64 = 100_000;
/// The most memory the process may ever need, in bytes.
const MEMORY: u64 = 200 << 20;
/// The longest that one input may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);

/// Numbers that only the seed decides; splitmix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides.max(1) as u64) as usize
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.roll(all.len())]
    }
}

const BLOB: &str = "f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f";

fn file(content: bool) -> Value {
    let raw_url = format!("https://gist.githubusercontent.com/octo/aa5a/raw/{BLOB}/abc.txt");
    let mut file = json!({ "filename": "abc.txt", "type": "text/plain", "language": "Text",
        "raw_url": raw_url, "size": 3 });
    if content {
        file["truncated"] = false.into();
        file["content"] = "abc".into();
        file["encoding"] = "utf-8".into();
    }
    file
}

fn gist(content: bool) -> Value {
    let mut gist = json!({
        "url": "https://api.github.com/gists/aa5a315d61ae9438b18d", "id": "aa5a315d61ae9438b18d",
        "git_pull_url": "https://gist.github.com/aa5a.git", "html_url": "https://gist.github.com/aa5a",
        "files": { "abc.txt": file(content), "b c.md": file(content) },
        "public": true, "created_at": "2010-04-14T02:15:15Z", "updated_at": "2011-06-20T11:34:15Z",
        "description": "Hello World Examples", "comments": 0, "user": null,
        "owner": { "login": "octocat", "id": 1 }, "truncated": false
    });
    if content {
        gist["forks"] = json!([]);
        gist["history"] = json!([{ "version": "57a7f021a713b1c5a6a199b54cc514735d2d462f",
            "committed_at": "2010-04-14T02:15:15Z", "change_status": { "total": 1 } }]);
    }
    gist
}

fn commit() -> Value {
    json!({ "url": "https://api.github.com/gists/aa5a/57a7", "user": { "login": "octocat" },
        "version": "57a7f021a713b1c5a6a199b54cc514735d2d462f",
        "committed_at": "2010-04-14T02:15:15Z",
        "change_status": { "total": 180, "additions": 180, "deletions": 0 } })
}

fn comment() -> Value {
    json!({ "id": 1, "node_id": "MDExOkdpc3RDb21tZW50MQ==", "body": "Just commenting",
        "user": { "login": "octocat", "id": 1 }, "author_association": "NONE",
        "created_at": "2011-04-18T23:23:56Z", "updated_at": "2011-04-18T23:23:56Z" })
}

/// Answers as GitHub gives them.
fn answers() -> Vec<Value> {
    vec![
        gist(true),
        json!([gist(false), gist(false), gist(false)]),
        json!({ "login": "octo", "id": 1, "name": null }),
        json!({ "message": "Validation Failed", "documentation_url": "https://docs.github.com",
            "errors": [{ "resource": "Gist", "code": "missing_field", "field": "files" }, "x"] }),
        json!([commit(), commit()]),
        json!([comment(), comment()]),
        comment(),
        json!([gist(false)]),
    ]
}

/// Names that nobody should give.
const HOSTILE: &[&str] = &[
    "",
    ".",
    "..",
    "../../up",
    "/etc/passwd",
    "a\0b",
    "\u{202e}txt",
    "\u{feff}",
    "a\nb",
    "id",
    "files",
    "base64",
    "👩‍👩‍👧",
    "4913",
    "raw",
    "\u{1b}[31m",
    "null",
    "-1",
    "1e999",
];

/// A value that has no business there.
fn strange(dice: &mut Dice) -> Value {
    match dice.roll(12) {
        0 => Value::Null,
        1 => true.into(),
        2 => u64::MAX.into(),
        3 => i64::MIN.into(),
        4 => json!(1e308),
        5 => json!([]),
        6 => json!({}),
        7 => dice.pick(HOSTILE).to_string().into(),
        8 => "x".repeat(1 << dice.roll(12)).into(),
        // Rarely, as it takes its time.
        9 if dice.roll(100) == 0 => "é".repeat(1 << 18).into(),
        9 => json!([[[{ "id": [] }]]]),
        10 => (0..1 + dice.roll(100)).fold(Value::Null, |inner, _| json!([inner])),
        _ => file(true),
    }
}

/// Changes one place somewhere in `value`.
fn mutate(value: &mut Value, dice: &mut Dice) {
    let deeper = dice.roll(5) > 0;
    match value {
        Value::Object(map) if deeper && !map.is_empty() => {
            let key = map.keys().nth(dice.roll(map.len())).cloned().unwrap_or_default();
            mutate_entry(map, key, dice);
        }
        Value::Array(list) if deeper && !list.is_empty() => {
            let at = dice.roll(list.len());
            match dice.roll(6) {
                0 => drop(list.remove(at)),
                1 => list.push(strange(dice)),
                2 => (0..dice.roll(200)).for_each(|_| list.push(Value::Null)),
                _ => mutate(&mut list[at], dice),
            }
        }
        Value::Object(_)
        | Value::Array(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_) => *value = strange(dice),
    }
}

fn mutate_entry(map: &mut Map<String, Value>, key: String, dice: &mut Dice) {
    match dice.roll(8) {
        0 => drop(map.remove(&key)),
        1 => {
            if let Some(value) = map.remove(&key) {
                map.insert(dice.pick(HOSTILE).to_string(), value);
            }
        }
        2 => drop(map.insert(dice.pick(HOSTILE).to_string(), strange(dice))),
        3 => drop(map.insert(key, strange(dice))),
        4 => {
            let other = map.keys().nth(dice.roll(map.len())).cloned().unwrap_or_default();
            let value = map.get(&other).cloned().unwrap_or_default();
            map.insert(key, value);
        }
        _ => {
            if let Some(value) = map.get_mut(&key) {
                mutate(value, dice);
            }
        }
    }
}

/// Damages the text itself.
fn damage(text: &mut Vec<u8>, dice: &mut Dice) {
    let at = dice.roll(text.len());
    match dice.roll(9) {
        0 => text.truncate(at),
        1 => (0..1 + dice.roll(8)).for_each(|_| {
            let at = dice.roll(text.len());
            if let Some(byte) = text.get_mut(at) {
                *byte ^= 1 << dice.roll(8);
            }
        }),
        2 => drop(text.splice(at..at, [0xff, 0xc0, 0xed, 0xa0, 0x80])),
        3 => drop(text.splice(at..at, *b"\"id\":\"twice\",")),
        4 => {
            let key = dice.pick(&["{\"files\":{},", "{\"description\":1,", "{\"size\":-1,"]);
            if let Some(open) = text.iter().position(|byte| *byte == b'{') {
                drop(text.splice(open..=open, key.bytes()));
            }
        }
        5 => {
            let depth = 1 << dice.roll(13);
            let open = *dice.pick(b"[{\"");
            drop(text.splice(at..at, std::iter::repeat_n(open, depth)));
        }
        6 => drop(text.splice(at..at, *b"\\ud800\\u0000\\x")),
        7 => drop(text.splice(at..at, std::iter::repeat_n(b'9', dice.roll(2000)))),
        _ => {
            let end = (at + dice.roll(200)).min(text.len());
            let piece = text[at..end].to_vec();
            let to = dice.roll(text.len());
            drop(text.splice(to..to, piece));
        }
    }
}

/// Headers that tell of limits and pages, damaged.
fn headers(dice: &mut Dice) -> HeaderMap {
    let sound: &[(&str, &str)] = &[
        ("x-ratelimit-limit", "5000"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "1795243800"),
        ("x-ratelimit-resource", "core"),
        ("retry-after", "60"),
        ("date", "Sat, 21 Nov 2026 06:49:00 GMT"),
        ("link", "<https://h/g?page=2>; rel=\"next\", <https://h/g?page=9>; rel=\"last\""),
    ];
    let strange: &[&[u8]] = &[
        b"",
        b"-1",
        b"18446744073709551616",
        b"9999999999999999999",
        b"soon",
        b"\xff\xfe",
        b"1e9",
        b"Sat, 99 Foo 2026 06:49:00 GMT",
        b"Thu, 01 Jan 9999999 00:00:00 GMT",
        b"<",
        b"<>",
        b"<<<>",
    ];
    let mut headers = HeaderMap::new();
    for (name, value) in sound {
        let mut value = value.as_bytes().to_vec();
        match dice.roll(4) {
            0 => continue,
            1 => value = dice.pick(strange).to_vec(),
            2 => damage(&mut value, dice),
            _ => {}
        }
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers
}

/// Reads it in every way there is; what it says of a body must be true.
fn read(text: &[u8], headers: &HeaderMap, code: StatusCode) {
    let bodies = |told: &Told| {
        for (id, body) in &told.gist.bodies {
            assert_eq!(BlobId::of(body), *id, "a wrong body was believed");
        }
    };
    if let Ok(told) = super::gist(text) {
        bodies(&told);
    }
    if let Ok((all, _)) = super::list(text) {
        all.iter().for_each(bodies);
    }
    if let Ok(told) = social::forked(text) {
        bodies(&told);
        let snapshot = &told.gist.snapshot;
        assert!(snapshot.truncated || !snapshot.files.is_empty(), "files were taken for gone");
    }
    let (commits, all) = social::commits(text).unwrap_or_default();
    assert!(commits.iter().all(|commit| commit.version.short().len() == 7));
    assert!(!all || commits.len() <= 1000);
    let _comments = (social::comments(text), social::comment(text));
    let _forks = social::forks(text);
    if social::id_of(text).is_ok() {
        // It is shown as it is.
        let text = std::str::from_utf8(text).expect("text").trim();
        assert!(text.starts_with('{') && text.ends_with('}'), "it is not an object");
    }
    let (login, _) = super::user(text).unwrap_or_default();
    assert!(!login.contains(['/', '\0']) && login != "..", "{login:?} names no directory");
    let words = status::error("h", code, headers, text).to_string();
    assert!(!words.contains('\n'), "{words:?} is more than a line");
    let _quota = status::quota(headers);
    if let Some(links) = headers.get("link") {
        let _next = link::to(&String::from_utf8_lossy(links.as_bytes()), "next");
    }
}

/// Says which input it was when something panics.
struct Input(u64);

impl Drop for Input {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("it was input {}", self.0);
        }
    }
}

#[test]
fn no_damaged_answer_makes_the_reader_panic_hang_or_take_much_memory() {
    let name = concat!(
        module_path!(),
        "::no_damaged_answer_makes_the_reader_panic_hang_or_take_much_memory"
    );
    measured::alone(name, read_damaged_answers);
}

fn read_damaged_answers() {
    let inputs = std::env::var("GISTFS_FUZZ_INPUTS").ok();
    let inputs = inputs.map_or(INPUTS, |inputs| inputs.parse().expect("a number"));
    let (started, answers) = (Instant::now(), answers());
    let mut slowest = Duration::ZERO;
    for number in 0..inputs {
        let _told = Input(number);
        let mut dice = Dice(number.wrapping_mul(0x5851_f42d_4c95_7f2d));
        let mut answer = dice.pick(&answers).clone();
        (0..dice.roll(4)).for_each(|_| mutate(&mut answer, &mut dice));
        let mut text = answer.to_string().into_bytes();
        (0..dice.roll(3)).for_each(|_| damage(&mut text, &mut dice));
        let headers = headers(&mut dice);
        let code = StatusCode::from_u16(100 + dice.roll(900) as u16).unwrap_or_default();
        let begun = Instant::now();
        read(&text, &headers, code);
        let took = begun.elapsed();
        assert!(took < PATIENCE, "{took:?}");
        slowest = slowest.max(took);
    }
    let peak = measured::peak_memory();
    println!(
        "{inputs} inputs in {:.1?}, the slowest {slowest:.1?}, peak memory {} MiB",
        started.elapsed(),
        peak >> 20
    );
    assert!(peak < MEMORY, "{peak} bytes");
}

#[test]
fn a_few_bytes_that_stand_for_many_are_refused_before_they_take_memory() {
    let nulls = |count| vec!["null"; count].join(",");
    let many = |count: usize| format!("[{}]", nulls(count));
    assert!(super::list(many(1000).as_bytes()).is_ok());
    assert!(super::list(many(3 << 20).as_bytes()).is_err());
    assert!(social::commits(many(1000).as_bytes()).is_ok_and(|(_, all)| !all));
    assert!(social::commits(many(1001).as_bytes()).is_err());
    assert!(social::comments(many(3 << 20).as_bytes()).is_err());
    assert!(social::forks(many(3 << 20).as_bytes()).is_err());
    let names = |count| (0..count).map(|n| format!("\"{n}\":null")).collect::<Vec<_>>().join(",");
    let with = |files: &str, history: &str| {
        format!(r#"{{"id":"1","description":null,"files":{{{files}}},"history":[{history}]}}"#)
    };
    assert!(super::gist(with(&names(3000), "").as_bytes()).is_ok());
    assert!(super::gist(with(&names(3001), "").as_bytes()).is_err());
    let commits = vec![r#"{"version":"abcdef0"}"#; 100_000].join(",");
    assert_eq!(super::gist(with("", &commits).as_bytes()).unwrap().gist.history.len(), 1000);
}
