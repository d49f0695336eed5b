//! What is owed, why, until when, and what to do: status, sync and unmount as people see them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use gistfs::demo::{Fault, FaultKind, Limits, ServerOptions};
use serde_json::{Value, json};

use crate::mounted::GISTFS;
use crate::terminal::Terminal;
use crate::world::{World, said, wait_until};

/// `gistfs status` with these arguments: its exit code and all it said.
fn status(world: &World, arguments: &[&str]) -> (i32, String) {
    let mut command = world.gistfs(&["status", "--state-dir"]);
    let out = command.arg(world.state()).args(arguments).output().expect("gistfs runs");
    (out.status.code().expect("it ended by itself"), said(&out))
}

fn status_of(world: &World) -> Value {
    let mut command = world.gistfs(&["status", "--json", "--state-dir"]);
    let out = command.arg(world.state()).arg(world.point()).output().expect("gistfs runs");
    assert!(out.status.success(), "{}", said(&out));
    serde_json::from_slice::<Value>(&out.stdout).expect("JSON")[0].clone()
}

/// Refuses so many changes in these words.
fn refuse(world: &World, times: usize, status: u16, body: &str) {
    let kind = FaultKind::Status { status, headers: vec![], body: body.to_owned() };
    let fault = Fault { method: Some("PATCH".into()), times, ..Fault::once(kind) };
    world.server.inject(fault);
}

/// A mount of `count` gists that sends nothing by itself, each with a change.
fn changed(count: usize) -> World {
    let mut world = World::empty();
    for number in 0..count {
        world.seed(&format!("Notes {number}"), &[("a.txt", "alpha\n")]);
    }
    world.mount(&["--write-back", "600"]);
    world.sh("for d in Notes*; do echo omega > \"$d/a.txt\"; done");
    world
}

#[test]
fn while_a_limit_is_in_force_status_says_until_when_and_nothing_counts_as_failed() {
    let limits = Limits {
        content_per_minute: Some(3),
        minute: Duration::from_secs(2),
        status: 429,
        ..Limits::default()
    };
    let mut world = World::github(ServerOptions { limits, ..ServerOptions::default() });
    for number in 0..6 {
        world.seed(&format!("Notes {number}"), &[("a.txt", "alpha\n")]);
    }
    world.mount(&[]);
    world.sh("for d in Notes*; do echo omega > \"$d/a.txt\"; done");
    let mut shown = Value::Null;
    wait_until("the limit is told", || {
        shown = world.status();
        shown["waiting"].is_object()
    });
    assert!(shown["waiting"]["why"].as_str().is_some_and(|why| why.contains("secondary rate")));
    assert!(shown["waiting"]["until"].is_string());
    let owing = shown["owing"].as_array().expect("gists");
    assert_eq!(owing.len(), 3, "{shown:#}");
    assert!(owing.iter().all(|g| g["state"] == "pending" && g["tries"] == 0), "{shown:#}");
    let (_, words) = status(&world, &[]);
    assert!(words.contains("limited until "), "{words}");
    wait_until("all is sent", || world.status()["owing"] == json!([]));
    assert!(!world.log().contains("is not sent"), "{}", world.log());
    assert_eq!(world.log().matches("nothing is sent before").count(), 1, "{}", world.log());
    let refused = world.changes().iter().filter(|r| r.status == 429).count();
    assert_eq!(refused, 1, "one refusal is enough");
}

#[test]
fn unmounting_under_a_limit_is_quick_says_why_and_the_next_mount_obeys_it_too() {
    let mut world = changed(3);
    let limit = FaultKind::SecondaryLimit { retry_after: Some(Duration::from_secs(300)) };
    world.server.inject(Fault { method: Some("PATCH".into()), ..Fault::once(limit) });
    let start = Instant::now();
    let out = world.gistfs(&["unmount"]).arg(world.point()).output().expect("gistfs runs");
    let words = said(&out);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert!(words.contains("Nothing more may go before"), "{words}");
    assert!(words.contains("kept here and will be sent by the next mount"), "{words}");
    world.forget_mount();
    let start = Instant::now();
    world.mount(&[]);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    let (code, words) = status(&world, &[]);
    assert_eq!(code, 0);
    assert!(words.contains("limited until "), "{words}");
    let out = world.gistfs(&["sync", "--timeout", "2"]).arg(world.point()).output();
    let out = out.expect("gistfs runs");
    assert_eq!(out.status.code(), Some(1), "{}", said(&out));
    assert!(said(&out).contains("Nothing more may go before"), "{}", said(&out));
    assert_eq!(world.changes().len(), 1, "nobody hammers");
}

/// The one that was unmounted has the state as long as it sends, a second a change.
#[test]
fn a_long_queue_of_the_last_mount_does_not_keep_the_next_one_waiting() {
    let mut world = World::empty();
    for number in 0..20 {
        world.seed(&format!("Notes {number}"), &[("a.txt", "alpha\n")]);
    }
    world.mount(&["--write-back", "600", "--write-interval", "1"]);
    world.sh("for d in Notes*; do echo omega > \"$d/a.txt\"; done");
    let out = world.program("fusermount3").arg("-u").arg(world.point()).output().expect("it runs");
    assert!(out.status.success(), "{}", said(&out));
    let start = Instant::now();
    world.remount(&[]);
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    assert_eq!(world.read("Notes 7/a.txt"), "omega\n");
    world.saved();
    assert_eq!(world.changes().len(), 20, "what either sent, the other did not");
}

#[test]
fn without_a_mount_status_reads_what_is_owed_from_the_state_and_disturbs_nothing() {
    let mut world = changed(1);
    world.sh("printf ' ' > 'Notes 0/blank'; mv 'Notes 0/a.txt' 'Notes 0/b.txt'");
    world.crash();
    let files = |world: &World| {
        let find = "find \"$0\" -name state.db -exec sha256sum {} + ; find \"$0\" -path '*blobs*'";
        let out = world.program("/bin/sh").arg("-c").arg(find).arg(world.state()).output();
        String::from_utf8(out.expect("find runs").stdout).expect("text")
    };
    let before = files(&world);
    let (code, words) = status(&world, &[world.point().to_str().expect("a path")]);
    assert_eq!(code, 0, "{words}");
    assert!(words.contains("octo on 127.0.0.1") && words.contains("dead mount; run"), "{words}");
    let dead = status_of(&world);
    assert_eq!((&dead["mounted"], &dead["pid"]), (&json!("dead"), &Value::Null), "{dead:#}");
    let out = world.gistfs(&["unmount"]).arg(world.point()).output().expect("gistfs runs");
    assert!(out.status.success(), "{}", said(&out));
    for arguments in [&[][..], &[world.point().to_str().expect("a path")]] {
        let (code, words) = status(&world, arguments);
        assert_eq!(code, 0, "{words}");
        assert!(words.contains("Nothing is mounted.") && words.contains("not mounted"), "{words}");
        assert!(words.contains("\"Notes 0\": pending (changed since "), "{words}");
        assert!(words.contains("renamed  \"b.txt\" (was \"a.txt\")"), "{words}");
        // Whether the next mount has git to send it with is not known.
        assert!(words.contains("added    \"blank\"\n"), "{words}");
    }
    assert_eq!(status_of(&world)["mounted"], json!("no"));
    assert_eq!(files(&world), before);
    let work = world.work();
    let (code, words) = status(&world, &[work.to_str().expect("a path")]);
    assert_eq!(code, 3, "{words}");
    world.mount(&[]);
    world.sh("rm 'Notes 0/blank'");
    world.saved();
    assert_eq!(status_of(&world)["mounted"], json!("yes"));
}

#[test]
fn a_refusal_says_in_status_and_in_sync_what_to_do() {
    for (code, to_do) in [(401, "make a new token"), (403, "the scope"), (422, "change it")] {
        let world = changed(1);
        refuse(&world, 1, code, r#"{"message": "\u001b[31mNo"}"#);
        let out = world.gistfs(&["sync"]).arg(world.point()).output().expect("gistfs runs");
        assert_eq!(out.status.code(), Some(1), "{}", said(&out));
        let (_, words) = status(&world, &[]);
        for words in [&said(&out), &words] {
            assert!(words.contains("\"Notes 0\": error: "), "{words}");
            assert!(words.contains(&format!("({code})")) && words.contains(to_do), "{words}");
            assert!(!words.contains('\u{1b}'), "{words:?}");
        }
        let owing = &status_of(&world)["owing"][0];
        assert_eq!((&owing["tries"], &owing["next"]), (&json!(1), &Value::Null), "{owing:#}");
        let out = world.gistfs(&["sync"]).arg(world.point()).output().expect("gistfs runs");
        assert!(out.status.success() && out.stdout.is_empty(), "{}", said(&out));
    }
}

#[test]
fn names_never_reach_the_terminal_raw() {
    let world = changed(1);
    world.sh(r#"touch 'Notes 0/'$'\e[31mred\n'; mkdir $'\u202eevil'; touch $'\u202eevil/x~'"#);
    let (_, words) = status(&world, &[]);
    assert!(words.contains("[31mred") && words.contains("scratch, never sent"), "{words}");
    assert!(!words.contains(['\u{1b}', '\u{202e}']), "{words:?}");
    assert!(world.gistfs(&["sync"]).output().expect("it runs").status.code() == Some(1));
}

#[test]
fn what_is_under_way_is_called_so() {
    let world = changed(2);
    let slow = FaultKind::Delay(Duration::from_secs(1));
    world.server.inject(Fault { method: Some("PATCH".into()), ..Fault::once(slow) });
    let mut sync = world.gistfs(&["sync"]).arg(world.point()).spawn().expect("gistfs runs");
    let mut states = Vec::new();
    wait_until("one is under way", || {
        let status = world.status();
        let owing = status["owing"].as_array().expect("gists").clone();
        states = owing.iter().map(|gist| gist["state"].clone()).collect();
        states.len() == 2 && states.contains(&json!("uploading"))
    });
    assert!(states.contains(&json!("pending")), "{states:?}");
    assert!(sync.wait().expect("it ends").success());
    assert_eq!(world.status()["owing"], json!([]));
}

#[test]
fn on_a_terminal_sync_and_unmount_show_how_far_they_are() {
    let mut world = changed(3);
    let slow = FaultKind::Delay(Duration::from_secs(1));
    let slow = Fault { method: Some("PATCH".into()), times: 3, ..Fault::once(slow) };
    world.server.inject(slow.clone());
    let sync = format!("{GISTFS} sync; echo code $?; exec cat");
    {
        let terminal = Terminal::run(&world, &sync);
        terminal.shows("1/3");
        terminal.shows("Notes");
        terminal.shows("code 0");
    }
    world.sh("for d in Notes*; do echo more >> \"$d/a.txt\"; done");
    world.server.inject(slow);
    let point = world.point();
    let unmount = format!("cd /; {GISTFS} unmount {}; echo code $?; exec cat", point.display());
    {
        let terminal = Terminal::run(&world, &unmount);
        terminal.shows("2/3");
        terminal.shows("code 0");
    }
    world.forget_mount();
}

#[test]
fn a_question_as_older_versions_ask_it_gets_one_line_for_an_answer() {
    let world = changed(2);
    let sockets =
        std::fs::read_dir(world.home().join("run/gistfs")).expect("the runtime directory");
    let socket = sockets.map(|entry| entry.expect("an entry").path()).next().expect("a socket");
    let ask = |question: &str| -> Vec<Value> {
        let mut stream = UnixStream::connect(&socket).expect("somebody listens");
        writeln!(stream, "{question}").expect("asked");
        let lines = BufReader::new(stream).lines();
        lines.map(|line| serde_json::from_str(&line.expect("a line")).expect("JSON")).collect()
    };
    assert_eq!(ask("\"status\"")[0]["status"]["owing"].as_array().map(Vec::len), Some(2));
    assert_eq!(ask("{\"sync\":30.0}"), [json!({"left": []})]);
    world.sh("echo again >> 'Notes 1/a.txt'");
    let told = ask("{\"followsync\":30.0}");
    assert!(told.len() >= 2, "{told:?}");
    assert_eq!(told[0]["progress"]["title"], json!("Notes 1"));
    assert_eq!(told.last(), Some(&json!({"left": []})));
    assert!(ask("what?")[0]["error"].as_str().is_some_and(|e| e.contains("no question")));
}

#[test]
fn a_sync_right_after_a_close_sends_what_was_closed() {
    let (world, id) = World::notes(&[("a.txt", "alpha\n")]);
    for round in 0..20 {
        let text = format!("{round}\n");
        world.write("Notes/a.txt", &text);
        let out = world.gistfs(&["sync"]).arg(world.point()).output().expect("gistfs runs");
        assert!(out.status.success(), "{}", said(&out));
        assert_eq!(world.texts(&id)["a.txt"], text);
    }
}
