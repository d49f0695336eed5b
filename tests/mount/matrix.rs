//! Every fault of a server or a network against every kind of request, through a mount.
//!
//! Each row has a world of its own. Whatever the cell says: what the user sees stays as it is, what
//! the user changed gets there in the end, once, and what somebody else changed stays.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use gistfs::demo::{Fault, FaultKind, Limits, LoggedRequest, Origin, ServerOptions};
use gistfs::model::Time;

use crate::outcome::shown;
use crate::proxy::{Network, Weather};
use crate::world::{AMPLE, WITHOUT_GIT, World, said, wait_until};

const COLUMNS: [&str; 7] = ["list", "get", "raw", "body", "create", "patch", "delete"];

/// What comes of it. Of questions for what is new (`list`): `again` soon, or after a `minute`. Of
/// changes (`get` is the look before one): sent `again` by itself, as soon as `told`, after a
/// `minute`, or at the next change or `sync`. Of a body whose raw address fails (`raw`): whence it
/// came instead. Of one that cannot be had in any way (`body`): what `cat` says.
const EXPECTED: &[(&str, [&str; 7])] = &[
    ("500", ["again", "again", "api", "EIO", "again", "again", "again"]),
    ("502", ["again", "again", "api", "EIO", "again", "again", "again"]),
    ("503", ["again", "again", "api", "EIO", "again", "again", "again"]),
    ("429", ["minute", "minute", "api", "EDQUOT", "minute", "minute", "minute"]),
    ("403 primary limit", ["again", "told", "api", "EDQUOT", "told", "told", "told"]),
    ("403 pace, told", ["again", "told", "api", "EDQUOT", "told", "told", "told"]),
    ("403 pace, untold", ["minute", "minute", "api", "EDQUOT", "minute", "minute", "minute"]),
    ("409", ["again", "again", "api", "ESTALE", "again", "again", "again"]),
    ("404 scope lost", ["again", "again", "api", "EACCES", "sync", "sync", "sync"]),
    ("401 token revoked", ["again", "sync", "api", "EACCES", "sync", "sync", "sync"]),
    ("422", ["again", "sync", "api", "EIO", "sync", "sync", "sync"]),
    ("refused", ["again", "again", "api", "EHOSTUNREACH", "again", "again", "again"]),
    ("reset", ["again", "again", "api", "EHOSTUNREACH", "again", "again", "again"]),
    ("closed", ["again", "again", "api", "EHOSTUNREACH", "again", "again", "again"]),
    ("hung", ["again", "again", "raw", "ETIMEDOUT", "again", "again", "again"]),
    ("cut short", ["again", "again", "api", "EHOSTUNREACH", "again", "again", "again"]),
    ("answer lost", ["again", "again", "api", "EHOSTUNREACH", "again", "again", "again"]),
    ("wrong length", ["again", "again", "api", "EIO", "again", "again", "again"]),
    ("wrong body", ["again", "again", "api", "EIO", "again", "again", "again"]),
    ("HTML", ["again", "again", "api", "EIO", "again", "again", "again"]),
    ("invalid JSON", ["again", "again", "raw", "ok", "again", "again", "again"]),
    ("missing fields", ["again", "again", "raw", "ok", "again", "again", "again"]),
    ("null fields", ["again", "again", "raw", "ok", "again", "again", "again"]),
    ("stale reads", ["again", "again", "raw", "ok", "again", "again", "again"]),
];

/// What goes wrong.
#[derive(Clone)]
pub(crate) enum Strike {
    Fault(FaultKind),
    Weather(Weather),
    Stale,
}

pub(crate) fn strike(row: &str) -> Strike {
    let status = |status: u16, message: &str| {
        let body = format!("{{\"message\": {message:?}}}");
        FaultKind::Status { status, headers: vec![], body }
    };
    let second = Duration::from_secs(1);
    Strike::Fault(match row {
        "500" | "502" | "503" => status(row.parse().expect("a number"), "Server Error"),
        "429" => status(429, "Too many requests"),
        "403 primary limit" => FaultKind::PrimaryLimit { reset_in: second * 4 },
        "403 pace, told" => FaultKind::SecondaryLimit { retry_after: Some(second * 4) },
        "403 pace, untold" => FaultKind::SecondaryLimit { retry_after: None },
        "409" => status(409, "Gist cannot be updated."),
        "404 scope lost" => status(404, "Not Found"),
        "401 token revoked" => status(401, "Bad credentials"),
        "422" => status(422, "Validation Failed"),
        "reset" => FaultKind::Reset,
        "closed" => FaultKind::Drop,
        "hung" => FaultKind::Hang,
        "cut short" => FaultKind::CutShort,
        "answer lost" => FaultKind::LoseAnswer,
        "wrong length" => FaultKind::WrongLength,
        "wrong body" => FaultKind::WrongBody,
        "HTML" => FaultKind::Html,
        "invalid JSON" => FaultKind::InvalidJson,
        "missing fields" => FaultKind::MissingFields,
        "null fields" => FaultKind::NullFields,
        "refused" => return Strike::Weather(Weather::Refused),
        "stale reads" => return Strike::Stale,
        other => panic!("no such row: {other}"),
    })
}

/// One row's world: a gist for every column, so that no cell meets another one's leftovers.
struct Row {
    world: World,
    network: Network,
    strike: Strike,
    ids: BTreeMap<&'static str, String>,
    /// What the user sees, canaries apart.
    expected: BTreeMap<String, String>,
    words: BTreeMap<&'static str, String>,
}

impl Row {
    fn new(row: &str) -> Self {
        let limits = Limits::none();
        let options = ServerOptions { limits, ..ServerOptions::default() };
        let (mut world, network) = World::behind_a_network(options);
        let mut expected = BTreeMap::new();
        let mut ids = BTreeMap::new();
        for column in COLUMNS {
            let text = format!("{column}\n");
            if column != "create" {
                ids.insert(column, world.seed(column, &[("a", &text), ("b", "beta\n")]));
                expected.insert(format!("{column}/a"), text);
                expected.insert(format!("{column}/b"), "beta\n".into());
            }
        }
        // A body that its raw address does not give would come by git; and one that is read ahead
        // would be here before anything goes wrong.
        world.mount(&[&["--refresh", "1", "--parallel", "1"], &WITHOUT_GIT[..]].concat());
        for known in ["list", "get", "patch", "delete"] {
            world.read(&format!("{known}/a"));
        }
        Self { world, network, strike: strike(row), ids, expected, words: BTreeMap::new() }
    }

    fn id(&self, column: &str) -> &str {
        &self.ids[column]
    }

    /// Things go wrong for these requests, so many times.
    fn bad(&self, method: &str, origin: Origin, path: &str, times: usize) {
        match &self.strike {
            Strike::Fault(kind) => self.world.server.inject(Fault {
                origin: Some(origin),
                method: Some(method.to_owned()),
                path: path.to_owned(),
                skip: 0,
                times,
                kind: kind.clone(),
            }),
            Strike::Weather(weather) => match origin {
                Origin::Raw => self.network.raw.turns(*weather),
                Origin::Api | Origin::Git => self.network.api.turns(*weather),
            },
            Strike::Stale => {
                let stale = Duration::from_secs(2);
                self.world.server.with_switches(|switches| switches.stale_for = stale);
            }
        }
    }

    fn good(&self) {
        self.world.server.clear_faults();
        self.world.server.with_switches(|switches| switches.stale_for = Duration::ZERO);
        if let Strike::Weather(_) = self.strike {
            self.network.turns(Weather::Fine);
        }
    }

    /// The requests of one kind.
    fn asked(&self, method: &str, path: &str) -> Vec<LoggedRequest> {
        let mut all = self.world.server.requests();
        all.retain(|r| r.method == method && format!("{}?{}", r.path, r.query).contains(path));
        all
    }

    /// What the mount says of a gist that differs from GitHub; and how often it failed.
    fn owed(&self, title: &str) -> Option<(String, u64)> {
        let status = self.world.status();
        let owing = status["owing"].as_array().expect("a list").clone();
        let owed = owing.into_iter().find(|owing| owing["title"] == title)?;
        Some((owed["state"].to_string(), owed["tries"].as_u64().unwrap_or_default()))
    }

    #[track_caller]
    fn looks_as_expected(&self) {
        let names = self.world.sh("find . -type f -printf '%P\\n' | grep -v '^canary' | sort");
        let expected: Vec<&str> = self.expected.keys().map(String::as_str).collect();
        assert_eq!(names.lines().collect::<Vec<_>>(), expected);
        for known in ["list/a", "get/a", "patch/a"] {
            assert_eq!(Some(&self.world.read(known)), self.expected.get(known));
        }
    }

    /// What is new cannot be asked for; later it shows.
    fn list(&mut self) {
        let before = self.asked("GET", "/gists?").len();
        self.bad("GET", Origin::Api, "/gists?", 1000);
        self.world.server.commit(self.id("list"), &[("a", Some(b"theirs\n"))]);
        let waits = matches!(
            self.strike,
            Strike::Fault(
                FaultKind::Hang
                    | FaultKind::PrimaryLimit { .. }
                    | FaultKind::SecondaryLimit { .. }
                    | FaultKind::Status { status: 429, .. }
            )
        );
        let refused = matches!(self.strike, Strike::Weather(_));
        wait_until("the list was asked for", || {
            let asked = self.asked("GET", "/gists?").len() - before;
            // The second question shows that the answer to the first was dealt with.
            asked > usize::from(!waits) || refused && self.world.status()["trouble"].is_string()
        });
        if !matches!(self.strike, Strike::Stale | Strike::Fault(FaultKind::NullFields)) {
            self.looks_as_expected();
        }
        self.good();
        self.expected.insert("list/a".into(), "theirs\n".into());
        if self.is_untold() {
            wait_until("the limit is told", || {
                let status = self.world.status();
                status["waiting"]["why"].to_string().contains("rate limit")
                    && status["trouble"].is_null()
            });
            self.words.insert("list", "minute".into());
            return;
        }
        wait_until("what is new shows", || self.world.read("list/a") == "theirs\n");
        self.words.insert("list", "again".into());
    }

    /// Whether the fault is a limit, which is nobody's failure and holds everything back.
    fn is_limit(&self) -> bool {
        let Strike::Fault(kind) = &self.strike else { return false };
        matches!(kind, FaultKind::PrimaryLimit { .. } | FaultKind::SecondaryLimit { .. })
            || self.is_untold()
    }

    fn is_untold(&self) -> bool {
        matches!(
            self.strike,
            Strike::Fault(
                FaultKind::SecondaryLimit { retry_after: None }
                    | FaultKind::Status { status: 429, .. }
            )
        )
    }

    fn raw(&mut self) {
        let id = self.id("raw").to_owned();
        self.bad("GET", Origin::Raw, &id, 1);
        assert_eq!(self.world.read("raw/a"), "raw\n");
        self.good();
        let by_api = !self.asked("GET", &format!("/gists/{id}")).is_empty();
        self.words.insert("raw", if by_api { "api" } else { "raw" }.into());
    }

    fn body(&mut self) {
        let id = self.id("body").to_owned();
        self.bad("GET", Origin::Raw, &id, 9);
        self.bad("GET", Origin::Api, &format!("/gists/{id}"), 9);
        let out = self.world.try_sh("cat body/a");
        let complaint = String::from_utf8_lossy(&out.stderr).into_owned();
        let word = errno(&complaint);
        self.words
            .insert("body", word.unwrap_or(if complaint.is_empty() { "ok" } else { "?" }).into());
        self.good();
        wait_until("the body can be had", || {
            std::fs::read(self.world.path("body/a")).is_ok_and(|bytes| bytes == b"body\n")
        });
    }

    /// A change that goes wrong once.
    fn change(&mut self, column: &'static str, method: &str, path: &str, script: &str) {
        let before = self.asked(method, path).len();
        self.bad(method, Origin::Api, path, 1);
        self.world.sh(script);
        let silent = matches!(self.strike, Strike::Weather(_));
        wait_until("it is tried", || match self.owed(column) {
            _ if !silent && self.asked(method, path).len() > before => true,
            Some((_, tries)) => silent && tries > 0,
            None => false,
        });
        if silent {
            self.looks_as_expected();
        }
        self.good();
        if self.is_limit() {
            let word = self.limited(column);
            assert_eq!(self.asked(method, path).len(), before + 2, "once in vain, and once more");
            self.words.insert(column, word.into());
            return;
        }
        let refused =
            |state: &str| ["error: refused", "GitHub refuses"].iter().any(|w| state.contains(w));
        let mut state = String::new();
        wait_until("it is known what comes of it", || match self.owed(column) {
            Some((now, tries)) => {
                state = now;
                tries > 0
            }
            None => {
                state.clear();
                true
            }
        });
        if !refused(&state) {
            return;
        }
        self.looks_as_expected();
        let ours = |row: &Self| {
            let mut asked = row.asked(method, path);
            asked.retain(|r| !r.json()["description"].to_string().contains("canary"));
            asked.len()
        };
        let before = ours(self);
        // Nothing comes of waiting: others' changes come and go.
        self.world.canary();
        self.world.canary();
        assert_eq!(ours(self), before, "it was sent unasked");
        let out = self.world.gistfs(&["sync"]).arg(self.world.point()).output();
        let out = out.expect("gistfs runs");
        assert!(out.status.success(), "{column}: {}", said(&out));
        self.settles(column);
        self.words.insert(column, "sync".into());
    }

    /// The limit is obeyed for as long as it lasts, and then the change goes by itself.
    fn limited(&self, column: &str) -> &'static str {
        let mut until = None;
        wait_until("status says until when nothing is sent", || {
            until = self.world.status()["waiting"]["until"].as_str().and_then(Time::parse);
            until.is_some()
        });
        self.looks_as_expected();
        let left = until.expect("a time").since(Time::now());
        assert_eq!(self.owed(column), Some(("\"pending\"".into(), 0)), "a limit is no failure");
        let start = Instant::now();
        while self.owed(column).is_some() {
            assert!(start.elapsed() < left + AMPLE, "{column} is not sent");
            std::thread::park_timeout(Duration::from_millis(100));
        }
        if left > Duration::from_secs(40) { "minute" } else { "told" }
    }

    fn settles(&self, column: &str) {
        wait_until(&format!("{column} is sent: {:?}", self.owed(column)), || {
            self.owed(column).is_none()
        });
    }

    /// A change of the column's gist, with which its kind of request goes wrong.
    fn one(&mut self, column: &'static str) {
        let path = self.ids.get(column).map(|id| format!("/gists/{id}?"));
        let path = path.unwrap_or_else(|| "/gists?".into());
        let (method, script) = match column {
            "create" => ("POST", "mkdir create; echo new > create/n"),
            "get" => ("GET", "echo ours > get/a"),
            "patch" => ("PATCH", "echo ours > patch/a"),
            "delete" => ("DELETE", "rm -r delete"),
            other => panic!("no such column: {other}"),
        };
        match column {
            "create" => drop(self.expected.insert("create/n".into(), "new\n".into())),
            "delete" => self.expected.retain(|name, _| !name.starts_with("delete/")),
            _ => drop(self.expected.insert(format!("{column}/a"), "ours\n".into())),
        }
        self.change(column, method, &path, script);
    }

    fn changes(&mut self, columns: &[&'static str]) {
        for column in columns {
            self.one(column);
        }
        for column in columns {
            self.settles(column);
            self.words.entry(column).or_insert_with(|| "again".into());
        }
        self.is_settled(columns);
    }

    /// Both sides are as they should be: nothing lost, nothing doubled, nothing reverted.
    fn is_settled(&self, changed: &[&str]) {
        self.looks_as_expected();
        let server = &self.world.server;
        let ids = server.gist_ids("octo");
        let mut there = BTreeMap::new();
        for id in ids.iter().filter(|id| self.world.texts(id).keys().all(|name| name != "tweet")) {
            let title = server.description(id).expect("a description");
            for (name, text) in self.world.texts(id) {
                let doubled = there.insert(format!("{title}/{name}"), text);
                assert!(doubled.is_none(), "{title}/{name} is there twice");
            }
        }
        assert_eq!(there, self.expected);
        for column in ["get", "patch"].iter().filter(|column| changed.contains(column)) {
            let commits = server.commits(self.id(column)).len();
            assert_eq!(commits, 2, "one change is one commit: {column}");
        }
    }

    fn run(mut self, columns: &[&str]) -> BTreeMap<&'static str, String> {
        for column in columns {
            match *column {
                "changes" => self.changes(&["create", "get", "patch", "delete"]),
                "create" => self.changes(&["create"]),
                "get" => self.changes(&["get"]),
                "patch" => self.changes(&["patch"]),
                "delete" => self.changes(&["delete"]),
                "list" => self.list(),
                "raw" => self.raw(),
                "body" => self.body(),
                other => panic!("no such column: {other}"),
            }
        }
        let told: Vec<String> = self.world.changes().iter().map(shown).collect();
        assert!(told.len() < 12, "{told:#?}");
        self.words
    }
}

/// Runs all rows, a few at a time, those that take long first and in parts.
fn run(rows: &[&'static str]) -> BTreeMap<&'static str, BTreeMap<&'static str, String>> {
    let mut tasks: Vec<(&'static str, &[&str])> = Vec::new();
    for row in rows {
        match *row {
            "hung" => {
                tasks.push((row, &["raw", "body"]));
                tasks.push((row, &["list"]));
                tasks.push((row, &["changes"]));
            }
            // Such a limit is obeyed for a minute by everybody: each cell needs a world without it.
            "429" | "403 pace, untold" => {
                tasks.push((row, &["raw", "body"]));
                for column in [&["list"], &["create"], &["get"], &["patch"], &["delete"]] {
                    tasks.push((row, column));
                }
            }
            _ => tasks.push((row, &["changes", "raw", "body", "list"])),
        }
    }
    // Taken from the end: what takes longest first. A create of which nobody knows whether it was
    // done waits until lists would show it.
    let waits =
        ["500", "502", "503", "reset", "closed", "answer lost", "HTML", "cut short", "hung"];
    let waits = waits.into_iter().chain(["429", "403 pace, untold"]).collect::<Vec<_>>();
    tasks.sort_by_key(|(row, _)| waits.iter().position(|waits| waits == row));
    let mut table: BTreeMap<&str, BTreeMap<&str, String>> = BTreeMap::new();
    for ((row, columns), words) in in_parallel(tasks, 14, |row, columns| Row::new(row).run(columns))
    {
        let failed = || columns.iter().map(|column| (*column, "FAILED".to_owned())).collect();
        table.entry(row).or_default().extend(words.unwrap_or_else(failed));
    }
    table
}

/// The number of the error a program complains of, in words.
pub(crate) fn errno(complaint: &str) -> Option<&'static str> {
    let words = [
        ("No such file or directory", "ENOENT"),
        ("No route to host", "EHOSTUNREACH"),
        ("Connection timed out", "ETIMEDOUT"),
        ("Disk quota exceeded", "EDQUOT"),
        ("Permission denied", "EACCES"),
        ("Stale file handle", "ESTALE"),
        ("Input/output error", "EIO"),
    ];
    words.iter().find(|(words, _)| complaint.contains(words)).map(|(_, errno)| *errno)
}

/// Runs a part of each row's cells on so many threads, the last first, each in a world of its own;
/// `None` where one failed.
pub(crate) fn in_parallel<Part: Copy + Ord + Send + Sync, Words: Send>(
    tasks: Vec<(&'static str, Part)>,
    threads: usize,
    cell: impl Fn(&'static str, Part) -> Words + Sync,
) -> BTreeMap<(&'static str, Part), Option<Words>> {
    let (tasks, table) = (Mutex::new(tasks), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let Some((row, part)) = tasks.lock().expect("a lock").pop() else { return };
                    let words = std::thread::scope(|scope| {
                        // Its name is told with what goes wrong in it.
                        let worker = std::thread::Builder::new().name(row.to_owned());
                        let work = worker.spawn_scoped(scope, || cell(row, part));
                        work.expect("a thread").join().ok()
                    });
                    table.lock().expect("a lock").insert((row, part), words);
                }
            });
        }
    });
    table.into_inner().expect("a lock")
}

#[test]
fn every_fault_of_every_request_ends_as_designed() {
    let only = std::env::var("GISTFS_MATRIX_ROW").ok();
    let rows: Vec<&str> = EXPECTED.iter().map(|(row, _)| *row).collect();
    let rows: Vec<&str> =
        rows.into_iter().filter(|row| only.as_ref().is_none_or(|only| row == only)).collect();
    let table = run(&rows);
    let line = |row: &str, cells: &[&str]| {
        let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:<13}")).collect();
        format!("{row:<18} {}", cells.join("")).trim_end().to_owned()
    };
    println!("{}", line("", &COLUMNS));
    let mut wrong = Vec::new();
    for (row, expected) in EXPECTED.iter().filter(|(row, _)| rows.contains(row)) {
        let cells = COLUMNS.map(|column| table[row].get(column).map_or("-", String::as_str));
        println!("{}", line(row, &cells));
        if cells != *expected {
            wrong.push(format!("{row}: {cells:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
