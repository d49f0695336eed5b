//! Every fault of a server or a network against questions for what hidden places show.
//!
//! Each cell has a world of its own: nothing is known yet. Whatever the cell says, the gist itself
//! stays as it is, nothing is sent, and when all is well again the answer comes.

use gistfs::demo::{Fault, Limits, Origin, ServerOptions};

use crate::control::api;
use crate::matrix::{Strike, errno, in_parallel, strike};
use crate::outcome::shown;
use crate::proxy::Weather;
use crate::world::{World, wait_until};

/// A question: what is in its path, what is looked at before, what is then read, and what that says
/// when all is well. `ID` is the gist's, `ROBOT` that of somebody else's.
struct Column {
    path: &'static str,
    before: &'static str,
    script: &'static str,
    answer: &'static str,
}

const COLUMNS: [Column; 9] = [
    Column {
        path: "/gists/ID/commits",
        before: "true",
        script: "ls Notes/.gist/history | cut -c 1-5",
        answer: "1999-\n2001-\n",
    },
    Column {
        path: "/gists/ID/",
        before: "ls Notes/.gist/history",
        script: "cat $(ls -d Notes/.gist/history/1999*)/a",
        answer: "old\n",
    },
    Column {
        path: "/gists/ID/comments",
        before: "true",
        script: "ls Notes/.gist/comments | cut -c 1-5",
        answer: "0001-\n",
    },
    Column {
        path: "/gists/ID/star",
        before: "true",
        script: "cat Notes/.gist/starred",
        answer: "0\n",
    },
    Column {
        path: "/gists/ID/forks",
        before: "true",
        script: "cut -d \" \" -f 2 Notes/.gist/forks",
        answer: "hubot\n",
    },
    Column { path: "/gists/starred", before: "true", script: "ls .starred", answer: "Robot\n" },
    Column { path: "/gists/public", before: "true", script: "ls .public", answer: "Robot\n" },
    Column {
        path: "/users/hubot/gists",
        before: "true",
        script: "ls .users/hubot",
        answer: "Robot\n",
    },
    Column {
        path: "/gists/ROBOT",
        before: "true",
        script: "cat .by-id/ROBOT/r.txt",
        answer: "robot\n",
    },
];

/// What the program says that asks first: nothing wrong (`ok`), no error but not all there is
/// (`less`), or the error. Of a star 404 says that there is none.
const EXPECTED: &[(&str, [&str; COLUMNS.len()])] = &[
    ("500", ["EIO"; COLUMNS.len()]),
    ("502", ["EIO"; COLUMNS.len()]),
    ("503", ["EIO"; COLUMNS.len()]),
    ("429", ["EDQUOT"; COLUMNS.len()]),
    ("403 primary limit", ["EDQUOT"; COLUMNS.len()]),
    ("403 pace, told", ["EDQUOT"; COLUMNS.len()]),
    ("403 pace, untold", ["EDQUOT"; COLUMNS.len()]),
    ("409", ["ESTALE"; COLUMNS.len()]),
    (
        "404 scope lost",
        ["EACCES", "EACCES", "EACCES", "ok", "EACCES", "EACCES", "EACCES", "ENOENT", "ENOENT"],
    ),
    ("401 token revoked", ["EACCES"; COLUMNS.len()]),
    ("422", ["EIO"; COLUMNS.len()]),
    ("refused", ["EHOSTUNREACH"; COLUMNS.len()]),
    ("reset", ["EHOSTUNREACH"; COLUMNS.len()]),
    ("closed", ["EHOSTUNREACH"; COLUMNS.len()]),
    ("hung", ["ETIMEDOUT"; COLUMNS.len()]),
    ("cut short", ["EHOSTUNREACH"; COLUMNS.len()]),
    ("answer lost", ["EHOSTUNREACH"; COLUMNS.len()]),
    ("wrong length", ["EIO", "EIO", "EIO", "ok", "EIO", "EIO", "EIO", "EIO", "EIO"]),
    ("wrong body", ["EIO", "EIO", "EIO", "ok", "EIO", "EIO", "EIO", "EIO", "EIO"]),
    ("HTML", ["EIO"; COLUMNS.len()]),
    ("invalid JSON", ["EIO", "EIO", "EIO", "ok", "EIO", "EIO", "EIO", "EIO", "EIO"]),
    ("missing fields", ["EIO", "EIO", "EIO", "ok", "less", "less", "less", "less", "EIO"]),
    ("null fields", ["ok", "ok", "ok", "ok", "less", "ok", "ok", "ok", "ok"]),
];

/// Runs one cell and says what came of it.
fn cell(row: &str, column: usize) -> String {
    let Column { path, before, script, answer } = COLUMNS[column];
    let limits = Limits::none();
    let (mut world, network) =
        World::behind_a_network(ServerOptions { limits, ..ServerOptions::default() });
    let time = |text| gistfs::model::Time::parse(text).expect("a time");
    let mut seed = gistfs::demo::Seed::new("Notes", &[("a", "old\n"), ("b", "beta\n")]);
    seed.created_at = Some(time("1999-12-31T23:59:59Z"));
    let id = world.server.seed("octo", seed);
    let change = [("a", Some(&b"new\n"[..]))];
    world.server.commit_at(&id, &change, time("2001-01-01T00:00:00Z")).expect("a commit");
    world.server.comment(&id, "hubot", "hello").expect("a comment");
    let seed = gistfs::demo::Seed::new("Robot", &[("r.txt", "robot\n")]);
    let robot = world.server.seed("hubot", gistfs::demo::Seed { public: true, ..seed });
    world.server.star(&robot, "octo").expect("a star");
    api(&world, "POST", &format!("/gists/{id}/forks"), "hubot-token");
    world.server.forget_requests();
    let named = |text: &str| text.replace("ROBOT", &robot).replace("ID", &id);
    let (path, script) = (named(path), named(script));
    world.mount(&["--refresh", "60"]);
    assert_eq!(world.sh("cat Notes/a Notes/b"), "new\nbeta\n");
    world.sh(before);
    match strike(row) {
        Strike::Fault(kind) => world.server.inject(Fault {
            origin: Some(Origin::Api),
            path,
            times: 1000,
            ..Fault::once(kind)
        }),
        Strike::Weather(weather) => network.api.turns(weather),
        Strike::Stale => panic!("nothing was changed"),
    }
    let out = world.try_sh(&format!("set -o pipefail; timeout 60 bash -c '{script}'"));
    let (said, complaint) =
        (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    let word = match errno(&complaint) {
        Some(error) => error,
        None if !complaint.is_empty() => panic!("{row}: {complaint}"),
        None if said == answer => "ok",
        None => "less",
    };
    assert_eq!(world.sh("cat Notes/*; ls Notes"), "new\nbeta\na\nb\n");
    world.server.clear_faults();
    network.turns(Weather::Fine);
    // Such a limit is obeyed for a minute and more.
    if !matches!(row, "429" | "403 pace, untold") {
        wait_until(&format!("{row}: the answer comes"), || {
            world.try_sh(&script).stdout == answer.as_bytes()
        });
    }
    let sent: Vec<String> = world.changes().iter().map(shown).collect();
    assert!(sent.is_empty(), "{sent:#?}");
    word.to_owned()
}

#[test]
fn every_fault_of_every_question_is_told_and_passes() {
    let only = std::env::var("GISTFS_MATRIX_ROW").ok();
    let rows = EXPECTED.iter().filter(|(row, _)| only.as_ref().is_none_or(|only| row == only));
    let rows: Vec<&(&str, [&str; COLUMNS.len()])> = rows.collect();
    let cells = rows.iter().flat_map(|(row, _)| (0..COLUMNS.len()).map(|column| (*row, column)));
    let table = in_parallel(cells.collect(), 12, cell);
    let mut wrong = Vec::new();
    for (row, expected) in rows {
        let words: Vec<&str> = (0..COLUMNS.len())
            .map(|column| table[&(*row, column)].as_deref().unwrap_or("FAILED"))
            .collect();
        println!("{row:<18} {}", words.join(" "));
        if words != *expected {
            wrong.push(format!("{row}: {words:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
