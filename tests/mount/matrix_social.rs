//! Every fault of a server or a network against what is changed around a gist's files, through a
//! mount.
//!
//! Each cell has a world of its own. The program that makes the change is told what came of it, and
//! whatever that is: done again when all is well, the change was made once, and nothing else.

use std::collections::BTreeMap;

use gistfs::demo::{Fault, Limits, Origin, Seed, ServerOptions};

use crate::matrix::{Strike, errno, in_parallel, strike};
use crate::mounted::GISTFS;
use crate::proxy::{Network, Weather};
use crate::world::{World, wait_until};

/// A change: its request, the program that makes it, and how the server shows that it was made.
struct Column {
    name: &'static str,
    method: &'static str,
    path: &'static str,
    script: &'static str,
    /// What the server has before and after.
    told: fn(&World, &str) -> String,
    before: &'static str,
    after: &'static str,
}

const COLUMNS: [Column; 6] = [
    Column {
        name: "comment",
        method: "POST",
        path: "/gists/ID/comments",
        script: "echo new > $W/x; cp $W/x Notes/.gist/comments/new.md",
        told: comments,
        before: "old",
        after: "old new",
    },
    Column {
        name: "edit",
        method: "PATCH",
        path: "/gists/ID/comments/1",
        script: "echo new > $W/x; cp $W/x Notes/.gist/comments/0001-octo-1.md",
        told: comments,
        before: "old",
        after: "new",
    },
    Column {
        name: "delete",
        method: "DELETE",
        path: "/gists/ID/comments/1",
        script: "rm Notes/.gist/comments/0001-octo-1.md",
        told: comments,
        before: "old",
        after: "",
    },
    Column {
        name: "star",
        method: "PUT",
        path: "/gists/ID/star",
        script: "echo 1 > $W/x; cp $W/x Notes/.gist/starred",
        told: |world, id| world.server.is_starred(id, "octo").to_string(),
        before: "false",
        after: "true",
    },
    Column {
        name: "unstar",
        method: "DELETE",
        path: "/gists/ROBOT/star",
        script: "echo 0 > $W/x; cp $W/x .by-id/ROBOT/.gist/starred",
        told: |world, _| world.server.is_starred(&robot(world), "octo").to_string(),
        before: "true",
        after: "false",
    },
    Column {
        name: "fork",
        method: "POST",
        path: "/gists/ROBOT/forks",
        script: "GISTFS fork ROBOT",
        told: |world, _| world.server.gist_ids("octo").len().to_string(),
        before: "1",
        after: "2",
    },
];

/// The gist of somebody else's.
fn robot(world: &World) -> String {
    world.server.gist_ids("hubot").remove(0)
}

fn comments(world: &World, id: &str) -> String {
    let bodies: Vec<String> = world.server.comments(id).into_iter().map(|c| c.2).collect();
    bodies.join(" ")
}

/// What the program is told (`ok`, the error, or gistfs' exit code), and how often the change was sent until then. The
/// fault hits one request; a network that is away stays so.
const EXPECTED: &[(&str, [&str; COLUMNS.len()])] = &[
    ("500", ["EIO 1", "ok 2", "ok 2", "EIO 1", "EIO 1", "exit 5 1"]),
    ("502", ["EIO 1", "ok 2", "ok 2", "EIO 1", "EIO 1", "exit 5 1"]),
    ("503", ["EIO 1", "ok 2", "ok 2", "EIO 1", "EIO 1", "exit 5 1"]),
    ("429", ["EDQUOT 1", "EDQUOT 1", "EDQUOT 1", "EDQUOT 1", "EDQUOT 1", "exit 1 1"]),
    ("403 primary limit", ["EDQUOT 1", "EDQUOT 1", "EDQUOT 1", "EDQUOT 1", "EDQUOT 1", "exit 1 1"]),
    ("403 pace, told", ["EDQUOT 1", "EDQUOT 1", "EDQUOT 1", "EDQUOT 1", "EDQUOT 1", "exit 1 1"]),
    ("403 pace, untold", ["EDQUOT 1", "EDQUOT 1", "EDQUOT 1", "EDQUOT 1", "EDQUOT 1", "exit 1 1"]),
    ("409", ["ESTALE 1", "ESTALE 1", "ok 2", "ESTALE 1", "ESTALE 1", "exit 1 1"]),
    ("404 scope lost", ["EACCES 1", "EACCES 1", "EACCES 1", "EACCES 1", "EACCES 1", "exit 1 1"]),
    ("401 token revoked", ["EACCES 1", "EACCES 1", "EACCES 1", "EACCES 1", "EACCES 1", "exit 4 1"]),
    ("422", ["EIO 1", "EIO 1", "EIO 1", "EIO 1", "EIO 1", "exit 1 1"]),
    (
        "refused",
        [
            "ETIMEDOUT 0",
            "EHOSTUNREACH 0",
            "EHOSTUNREACH 0",
            "ETIMEDOUT 0",
            "ETIMEDOUT 0",
            "exit 5 0",
        ],
    ),
    ("reset", ["EHOSTUNREACH 1", "ok 2", "ok 2", "EHOSTUNREACH 1", "EHOSTUNREACH 1", "exit 5 1"]),
    ("closed", ["EHOSTUNREACH 1", "ok 2", "ok 2", "EHOSTUNREACH 1", "EHOSTUNREACH 1", "exit 5 1"]),
    ("hung", ["ETIMEDOUT 1", "ok 2", "ok 2", "ETIMEDOUT 1", "ETIMEDOUT 1", "exit 5 1"]),
    ("cut short", ["ok 1", "ok 2", "ok 1", "ok 1", "ok 1", "ok 1"]),
    ("answer lost", ["ok 1", "ok 2", "ok 2", "ok 1", "ok 1", "ok 1"]),
    ("wrong length", ["ok 1", "ok 2", "ok 1", "ok 1", "ok 1", "ok 1"]),
    ("wrong body", ["ok 1", "ok 2", "ok 1", "ok 1", "ok 1", "ok 1"]),
    ("HTML", ["EIO 1", "ok 2", "ok 2", "EIO 1", "EIO 1", "exit 5 1"]),
    ("invalid JSON", ["ok 1", "ok 2", "ok 1", "ok 1", "ok 1", "ok 1"]),
    ("missing fields", ["ok 1", "ok 2", "ok 1", "ok 1", "ok 1", "ok 1"]),
    ("null fields", ["ok 1", "ok 1", "ok 1", "ok 1", "ok 1", "ok 1"]),
];

/// A mount that knows what there is to know.
fn world() -> (World, Network, String) {
    let limits = Limits::none();
    let (mut world, network) =
        World::behind_a_network(ServerOptions { limits, ..ServerOptions::default() });
    let id = world.seed("Notes", &[("a", "alpha\n")]);
    world.server.comment(&id, "octo", "old").expect("a comment");
    let seed = Seed::new("Robot", &[("r.txt", "robot\n")]);
    let robot = world.server.seed("hubot", Seed { public: true, ..seed });
    world.server.star(&robot, "octo").expect("a star");
    world.mount(&["--refresh", "60", "--read-lag", "2"]);
    assert_eq!(world.sh("cat Notes/a Notes/.gist/comments/*"), "alpha\nold\n");
    assert_eq!(world.sh(&format!("cat .by-id/{robot}/r.txt")), "robot\n");
    (world, network, id)
}

/// Runs one cell and says what came of it.
fn cell(row: &str, column: &Column) -> String {
    let (world, network, id) = world();
    let robot = robot(&world);
    let named =
        |text: &str| text.replace("GISTFS", GISTFS).replace("ROBOT", &robot).replace("ID", &id);
    let (path, script) = (named(column.path), format!("set -e; {}", named(column.script)));
    match strike(row) {
        Strike::Fault(kind) => world.server.inject(Fault {
            origin: Some(Origin::Api),
            method: Some(column.method.to_owned()),
            path: path.clone(),
            ..Fault::once(kind)
        }),
        Strike::Weather(weather) => network.api.turns(weather),
        Strike::Stale => panic!("no request is struck"),
    }
    let sent = || {
        let mut all = world.server.requests();
        all.retain(|r| r.method == column.method && r.path == path);
        all.len()
    };
    assert_eq!((column.told)(&world, &id), column.before);
    let out = world.try_sh(&script);
    let complaint = String::from_utf8_lossy(&out.stderr);
    let error = errno(&complaint);
    let exit = match out.status.code() {
        Some(0) => "ok".to_owned(),
        Some(code) if column.name == "fork" => format!("exit {code}"),
        Some(_) | None => error.unwrap_or_else(|| panic!("{row}: {complaint}")).to_owned(),
    };
    let word = exit.as_str();
    let cell = format!("{word} {}", sent());
    let told = (column.told)(&world, &id);
    if word == "ok" {
        assert_eq!(told, column.after, "{row}");
    } else {
        assert!([column.before, column.after].contains(&&*told), "{row}: {told}");
    }
    world.server.clear_faults();
    network.turns(Weather::Fine);
    // Such a limit is obeyed for a minute and more.
    if word != "ok" && !matches!(row, "429" | "403 pace, untold") {
        wait_until(&format!("{row}: {} is made", column.name), || {
            world.try_sh(&script).status.success()
        });
        assert_eq!((column.told)(&world, &id), column.after, "{row}");
    }
    let most = if word == "ok" { 2 } else { 3 };
    assert!(sent() <= most, "{row}: sent {} times", sent());
    assert_eq!(world.sh("cat Notes/a; ls Notes"), "alpha\na\n");
    cell
}

/// Runs all cells, a few at a time.
fn run(rows: &[&'static str]) -> BTreeMap<(&'static str, usize), Option<String>> {
    let cells = rows.iter().flat_map(|row| (0..COLUMNS.len()).map(|column| (*row, column)));
    let mut tasks: Vec<(&str, usize)> = cells.collect();
    // Taken from the end: what takes longest first.
    tasks.sort_by_key(|(row, _)| *row == "hung");
    in_parallel(tasks, 10, |row, column| cell(row, &COLUMNS[column]))
}

#[test]
fn every_fault_of_every_change_around_a_gist_is_told_and_can_be_made_good() {
    let only = std::env::var("GISTFS_MATRIX_ROW").ok();
    let wanted = |row: &&str| only.as_ref().is_none_or(|only| row == only);
    let rows: Vec<&str> = EXPECTED.iter().map(|(row, _)| *row).filter(wanted).collect();
    let table = run(&rows);
    let mut wrong = Vec::new();
    for (row, expected) in EXPECTED.iter().filter(|(row, _)| rows.contains(row)) {
        let cells: Vec<&str> = (0..COLUMNS.len())
            .map(|column| table[&(*row, column)].as_deref().unwrap_or("FAILED"))
            .collect();
        println!("{row:<18} {}", cells.join(" | "));
        if cells != *expected {
            wrong.push(format!("(\"{row}\", {cells:?}),"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
