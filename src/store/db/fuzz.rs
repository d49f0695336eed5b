//! Odd state: whatever bytes, rows and copies say, reading them ends soon and never panics.
//!
//! `GISTFS_FUZZ_INPUTS=N` tries more or fewer than 100,000, `GISTFS_FUZZ_SEED=N` others.

use std::time::{Duration, Instant};

use rusqlite::MAIN_DB;
use rusqlite::types::Value;

use super::*;
use crate::measured;
use crate::model::{BlobId, Time};
use crate::store::gist::{Attempt, Content, GistKey};
use crate::store::owed;
use crate::store::shed::Shed;

/// No input may take longer, on a machine that does other things too.
const LONGEST: Duration = Duration::from_secs(5);

/// Bytes of memory the process may ever have used.
const MOST_MEMORY: u64 = 200 << 20;

struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 16) as usize % limit.max(1)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Changes bytes as damage does.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..1 + self.below(4) {
            let (at, other) = (self.below(bytes.len()), self.below(bytes.len()));
            let length = self.below(64).min(bytes.len() - at.max(other).min(bytes.len()));
            match self.below(6) {
                0 => bytes.truncate(at),
                1 => bytes[at..at + length].fill(0),
                2 => bytes.copy_within(other..other + length, at),
                3 => drop(bytes.splice(at..at, std::iter::repeat_n(b'0', length))),
                _ if bytes.is_empty() => {}
                4 => bytes[at] = self.next() as u8,
                _ => bytes[at] ^= 1 << self.below(8),
            }
        }
    }

    /// Changes JSON so that it often stays JSON.
    fn twist(&mut self, json: &str) -> String {
        const WORDS: [&str; 16] = [
            "null",
            "-1",
            "1e999",
            "18446744073709551616",
            "9223372036854775807",
            "\"\"",
            "[]",
            "{}",
            "true",
            "\"\\ud800\"",
            "\"\\u0000\"",
            "0",
            "[[[[",
            "{\"a\":",
            "\"../..\"",
            ",",
        ];
        let cuts: Vec<usize> = json
            .char_indices()
            .filter(|(_, c)| matches!(c, '"' | ',' | ':' | '{' | '}' | '[' | ']'))
            .map(|(at, _)| at)
            .collect();
        let mut text = json.to_owned();
        if cuts.len() < 2 {
            return self.pick(&WORDS).into();
        }
        let (a, b) = (self.below(cuts.len()), self.below(8));
        let (start, end) = (cuts[a], cuts[(a + b).min(cuts.len() - 1)]);
        let piece = json[start..end].to_owned();
        match self.below(3) {
            0 => text.replace_range(start..end, self.pick(&WORDS)),
            1 => text.insert_str(cuts[self.below(cuts.len())], &piece),
            _ => text.replace_range(start..end, ""),
        }
        text
    }
}

fn name(text: &str) -> FileName {
    FileName::parse(text).unwrap()
}

fn gists() -> Vec<Gist> {
    let now = Time(1_700_000_000_000_000_000);
    let snapshot = |id: &str| {
        format!(
            r#"{{"id":"{id}","description":"d","public":true,"owner":null,"created_at":1,"updated_at":2,
            "html_url":"h","git_url":"g","truncated":false,"revision":"r","etag":null,"files":{{"a":{{"blob":
            "{}","size":3,"raw_url":"u","language":null}}}}}}"#,
            BlobId::of(b"abc")
        )
    };
    let mut gists: Vec<Gist> = (1..5)
        .map(|key| {
            let base = serde_json::from_str(&snapshot(&format!("{key}abc"))).unwrap();
            Gist::of_remote(GistKey(key), std::sync::Arc::new(base))
        })
        .collect();
    gists[1].files.insert(name("n"), LocalFile::new(now));
    gists[1].moved_to.insert(name("a"), GistKey(3));
    gists[2].files.insert(name(".#l"), LocalFile::with(Content::Link("x".into()), None, now));
    let sent = [(name("a"), BlobId::of(b"x"))];
    let first = Attempt::after(None, "one".into(), sent.clone().into());
    gists[3].attempt = Some(Attempt::after(Some(&first), "two".into(), sent.into()));
    gists[3].base = None;
    gists[3].copy_of = Some(GistKey(1));
    gists[2].their_description = Some("theirs".into());
    let shed = |text: &str, at| Shed {
        name: name(text),
        blob: BlobId::of(text.as_bytes()),
        size: text.len() as u64,
        raw_url: (text == "sent").then(|| "u".into()),
        at: Time(at),
        over: (text == "unsent").then(|| BlobId::of(b"abc")),
        mode: Some(0o644),
    };
    gists[0].shed = vec![shed("sent", 1), shed("unsent", 2)];
    (gists[1].removed, gists[1].removed_at) = (true, Some(now));
    gists[1].purged = true;
    gists
}

fn filled() -> Db {
    let mut connection = Connection::open_in_memory().unwrap();
    connection.pragma_update(None, "page_size", 1024).unwrap();
    migrate(&mut connection, 0, LAYOUTS).unwrap();
    let mut db = Db { connection, path: "memory".into(), commits: 0 };
    let gists = gists();
    let rows: Vec<_> = gists.iter().map(|gist| Change { old: None, new: Some(gist) }).collect();
    db.save(&rows).unwrap();
    let page = StoredPage { etag: None, next: Some("n".into()), ids: vec!["1abc".into()] };
    db.set_pages(&[("own".into(), page)]).unwrap();
    db
}

/// What is believed must be usable: looked at, and written again as it was read.
fn use_all(db: &Db) -> bool {
    let Ok(gists) = db.read_commits().and_then(|_| db.load()) else { return false };
    if sensible(&gists).is_err() {
        return false;
    }
    for gist in &gists {
        std::hint::black_box((gist.owes(), gist.is_busy()));
        let json = serde_json::json!({"version": 1, "commit": 7, "gist": gist}).to_string();
        let copy = owed::from_json(json.as_bytes()).expect("a copy can be read");
        assert_eq!(copy.gist, Gist { upload: Default::default(), ..gist.clone() });
    }
    true
}

fn odd_rows(dice: &mut Dice, db: &Db) -> bool {
    const COLUMNS: [(&str, &[&str]); 4] = [
        (
            "gist",
            &[
                "key",
                "base",
                "description",
                "public",
                "removed",
                "moved_to",
                "attempt",
                "error",
                "mode",
                "uid",
                "gid",
                "atime",
                "mtime",
                "ctime",
                "wrote",
                "their_description",
                "removed_at",
                "shed",
                "copy_of",
                "purged",
            ],
        ),
        (
            "file",
            &[
                "gist", "name", "blob", "size", "link", "descent", "limbo", "altered", "mode",
                "uid", "gid", "atime", "mtime", "ctime",
            ],
        ),
        ("page", &["address", "etag", "next", "ids"]),
        ("setting", &["name", "value"]),
    ];
    let (table, columns) = COLUMNS[[0, 0, 0, 1, 1, 1, 2, 3][dice.below(8)]];
    let column = dice.pick(columns);
    let (skip, sql) = (dice.below(6), format!("SELECT CAST({column} AS TEXT) FROM {table}"));
    let now: Option<String> = db
        .connection
        .query_row(&format!("{sql} LIMIT 1 OFFSET {skip}"), [], |row| row.get(0))
        .unwrap_or_default();
    let value = match dice.below(8) {
        0 => Value::Null,
        1 => Value::Integer(dice.pick(&[0, -1, 1, i64::MAX, i64::MIN, 1 << 32, 1 << 48])),
        2 => Value::Integer(dice.next() as i64),
        3 => Value::Real(dice.pick(&[0.5, f64::INFINITY, -1e300])),
        4 => Value::Blob((0..dice.below(40)).map(|_| dice.next() as u8).collect()),
        5 => Value::Text(dice.pick(&["", "\0", "zz", "[]", "{}", "null", "\u{fffd}"]).into()),
        _ => Value::Text(dice.twist(now.as_deref().unwrap_or("{\"a\":1}"))),
    };
    let transaction = db.connection.unchecked_transaction().unwrap();
    let key = if table == "gist" { "key" } else { column };
    let change = format!(
        "UPDATE {table} SET {column} = ?1 WHERE {key} = (SELECT {key} FROM {table} LIMIT 1 OFFSET {skip})"
    );
    // What the schema forbids cannot be in a row.
    let done = db.connection.execute(&change, [value]);
    let read = done.is_ok() && use_all(db);
    transaction.rollback().unwrap();
    read
}

fn odd_bytes(dice: &mut Dice, image: &[u8]) -> bool {
    let mut bytes = image.to_vec();
    dice.damage(&mut bytes);
    let mut connection = Connection::open_in_memory().unwrap();
    if connection.deserialize_read_exact(MAIN_DB, &bytes[..], bytes.len(), true).is_err() {
        return false;
    }
    if !check(&connection).is_ok_and(|found| found.is_ok()) {
        return false;
    }
    use_all(&Db { connection, path: "memory".into(), commits: 0 })
}

fn odd_copy(dice: &mut Dice, copy: &str) -> bool {
    if dice.below(4) == 0 {
        let mut bytes = format!("{}\n{copy}", BlobId::of(copy.as_bytes())).into_bytes();
        let whole = bytes.clone();
        dice.damage(&mut bytes);
        let read = owed::from_bytes(&bytes).is_ok();
        assert!(!read || bytes == whole, "a damaged copy is never believed");
        return read;
    }
    let mut text = copy.to_owned();
    for _ in 0..1 + dice.below(3) {
        text = dice.twist(&text);
    }
    owed::from_json(text.as_bytes()).is_ok_and(|copy| {
        std::hint::black_box((copy.gist.owes(), copy.gist.is_busy()));
        true
    })
}

#[test]
fn odd_state_is_read_or_refused_in_good_time_without_a_panic() {
    let name =
        concat!(module_path!(), "::odd_state_is_read_or_refused_in_good_time_without_a_panic");
    measured::alone(name, read_odd_state);
}

fn read_odd_state() {
    let setting = |name: &str, default: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (inputs, seed) = (setting("GISTFS_FUZZ_INPUTS", 100_000), setting("GISTFS_FUZZ_SEED", 1));
    let start = Instant::now();
    let run = |thread: u64| {
        let mut db = filled();
        let image = db.connection.serialize(MAIN_DB).unwrap().to_vec();
        let copies: Vec<String> = gists()
            .iter()
            .map(|gist| serde_json::json!({"version": 1, "commit": 7, "gist": gist}).to_string())
            .collect();
        let (mut read, mut slowest) = ([0_u64; 3], Duration::ZERO);
        for number in (thread..inputs).step_by(2) {
            let mut dice = Dice((seed << 32 | number).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
            dice.next();
            let began = Instant::now();
            let kind = [0, 0, 0, 1, 2, 2][dice.below(6)];
            let odd = || match kind {
                0 => odd_rows(&mut dice, &db),
                1 => odd_bytes(&mut dice, &image),
                _ => {
                    let copy = dice.below(copies.len());
                    odd_copy(&mut dice, &copies[copy])
                }
            };
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(odd));
            let outcome =
                outcome.unwrap_or_else(|_| panic!("GISTFS_FUZZ_SEED={seed}, input {number}"));
            read[kind] += u64::from(outcome);
            slowest = slowest.max(began.elapsed());
        }
        (read, slowest)
    };
    let (one, two) = std::thread::scope(|scope| {
        let two = scope.spawn(|| run(1));
        (run(0), two.join().unwrap())
    });
    let slowest = one.1.max(two.1);
    let memory = measured::peak_memory();
    println!(
        "{inputs} inputs in {:?}; still readable: {:?} rows, bytes, copies; slowest {slowest:?}; peak memory {} MB",
        start.elapsed(),
        [0, 1, 2].map(|kind: usize| one.0[kind] + two.0[kind]),
        memory >> 20
    );
    assert!(slowest < LONGEST, "{slowest:?}");
    assert!(memory < MOST_MEMORY, "{memory} bytes");
}
