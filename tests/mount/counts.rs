//! What work costs, counted: all requests by kind, exactly, and not only those that change something.
//!
//! | work | requests |
//! |---|---|
//! | first mount and `ls -lR`, 1,000 gists | `/user`, 10 list pages |
//! | second mount and `ls -lR` | none before it answers, then 10 list pages, all 304 |
//! | `cat` twice, again after a remount | 1 body |
//! | 100 bodies, one after the other | 100, at most `--parallel` at one time, over as many connections |
//! | one save: vim, nano, emacs, `sed -i`, rsync | 1 look at the gist, 1 `PATCH` |
//! | `cp` of 20 files into a new gist | 1 `POST` |
//! | `mv` of a gist, edits of 5 files in a row | 1 look, 1 `PATCH` |
//! | `rm -r` of a gist | 1 look, which brings the bodies for the trash, 1 `DELETE` |

use std::collections::BTreeMap;

use gistfs::demo::{Fault, FaultKind, Gate, Limits, LoggedRequest, Origin, Seed, ServerOptions};
use gistfs::model::Time;

use crate::outcome::shown;
use crate::terminal::Terminal;
use crate::world::{World, wait_until};

/// Nothing is asked for by the clock.
const QUIET: [&str; 2] = ["--refresh", "86400"];

/// What asks for a gist before it is changed: nothing is known of its commits before.
const LOOK: &str = "GET /gists/ID 200";
const PATCH: &str = "PATCH /gists/ID 200";
const BODY: &str = "GET raw 200";

/// The kind of a request: what it asks for and what came of it.
fn kind(request: &LoggedRequest) -> String {
    let path = match (&request.origin, request.path.strip_prefix("/gists/")) {
        (Origin::Raw, _) => "raw",
        (Origin::Git, _) => "git",
        (Origin::Api, Some(_)) => "/gists/ID",
        (Origin::Api, None) => &request.path,
    };
    format!("{} {path} {}", request.method, request.status)
}

/// All requests so far by kind, the canaries' left out.
fn counted(world: &World) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let canary = |r: &LoggedRequest| r.method == "POST" && shown(r).contains("\"canary ");
    for request in world.server.requests().iter().filter(|r| !canary(r)) {
        *counts.entry(kind(request)).or_default() += 1;
    }
    counts
}

/// Expects just these requests, each kind so often, also of what the mount still does by itself: it is
/// unmounted.
#[track_caller]
fn costs_in_all(world: &mut World, expected: &[(&str, usize)]) {
    world.unmount();
    costs(world, expected);
}

/// Expects just these requests so far, each kind so often.
#[track_caller]
fn costs(world: &World, expected: &[(&str, usize)]) {
    let expected: BTreeMap<String, usize> =
        expected.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect();
    let requests: Vec<String> = world.server.requests().iter().map(shown).collect();
    assert_eq!(counted(world), expected, "{requests:#?}");
}

/// A mount of a gist `Notes` with these files, at a server like github.com; what that took is
/// forgotten.
fn notes(files: &[(&str, &str)]) -> World {
    let mut world = World::github(ServerOptions::default());
    world.seed("Notes", files);
    world.mount(&QUIET);
    costs(&world, &[("GET /user 200", 1), ("GET /gists 200", 1)]);
    world.server.forget_requests();
    world
}

/// `script` reads a.txt, of which nothing is stored, and saves it.
#[track_caller]
fn a_save_costs(script: &str, expected: &[(&str, usize)]) {
    let mut world = notes(&[("a.txt", "alpha\nbeta\n"), ("b.txt", "other\n")]);
    std::fs::write(world.work().join("a.txt"), "fresh\n").expect("a file beside the mount");
    world.sh(script);
    world.saved();
    costs_in_all(&mut world, expected);
}

#[test]
fn a_save_is_one_look_and_one_patch_whatever_program_makes_it() {
    let expected = [(BODY, 1), (LOOK, 1), (PATCH, 1)];
    a_save_costs("sed -i s/alpha/omega/ Notes/a.txt", &expected);
    a_save_costs("rsync -a $W/a.txt Notes/", &[(LOOK, 1), (PATCH, 1)]);
    a_save_costs("echo gamma >> Notes/a.txt", &expected);
}

#[test]
fn a_save_in_an_editor_is_one_look_and_one_patch() {
    // Emacs asks whether to make a backup of what is in /tmp; wherever this is, it makes one.
    let emacs = "emacs -Q -nw --eval '(setq backup-enable-predicate (lambda (_) t))' Notes/a.txt";
    let saves: [(&str, &[&str]); 3] = [
        ("vim -c 'set backupskip=' -c 'normal Oz' Notes/a.txt", &[":", "w", "q", "Enter"]),
        ("nano Notes/a.txt", &["z", "C-o", "Enter", "C-x"]),
        (emacs, &["z", "C-x", "C-s", "C-x", "C-c"]),
    ];
    for (program, keys) in saves {
        let mut world = notes(&[("a.txt", "alpha\nbeta\n"), ("b.txt", "other\n")]);
        let editor = Terminal::run(&world, program);
        editor.shows("beta");
        for key in keys {
            editor.press(&[key]);
        }
        editor.ended();
        drop(editor);
        world.saved();
        costs_in_all(&mut world, &[(BODY, 1), (LOOK, 1), (PATCH, 1)]);
    }
}

#[test]
fn a_second_save_of_a_gist_asks_for_no_more_than_a_304() {
    let mut world = notes(&[("a.txt", "alpha\n")]);
    world.sh("echo beta > Notes/a.txt");
    world.saved();
    world.server.forget_requests();
    world.sh("echo gamma > Notes/a.txt");
    world.saved();
    costs_in_all(&mut world, &[("GET /gists/ID 304", 1), (PATCH, 1)]);
}

#[test]
fn copying_twenty_files_into_a_new_gist_is_one_request_in_all() {
    let mut world = notes(&[("a.txt", "alpha\n")]);
    world.sh("for i in {01..20}; do echo text $i > $W/f$i.txt; done");
    world.sh("mkdir New && cp $W/f*.txt New");
    world.saved();
    costs_in_all(&mut world, &[("POST /gists 201", 1)]);
}

#[test]
fn edits_of_five_files_and_a_new_title_are_one_look_and_one_patch_each() {
    let files: Vec<String> = (1..=5).map(|number| format!("f{number}.txt")).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|name| (name.as_str(), "old\n")).collect();
    let mut world = notes(&files);
    world.sh("for f in Notes/*; do echo new >> $f; done");
    world.saved();
    // The five files have one body.
    costs(&world, &[(BODY, 1), (LOOK, 1), (PATCH, 1)]);
    world.server.forget_requests();
    world.sh("mv Notes Other");
    world.saved();
    costs_in_all(&mut world, &[("GET /gists/ID 304", 1), (PATCH, 1)]);
}

#[test]
fn removing_a_gist_is_one_look_that_brings_the_bodies_for_the_trash_and_one_delete() {
    let mut world = notes(&[("a.txt", "alpha\n"), ("b.txt", "beta\n"), ("c.txt", "gamma\n")]);
    world.sh("rm -r Notes");
    world.saved();
    costs_in_all(&mut world, &[(LOOK, 1), ("DELETE /gists/ID 204", 1)]);
}

#[test]
fn a_body_is_one_request_for_good() {
    let mut world = notes(&[("a.txt", "alpha\n"), ("b.txt", "beta\n")]);
    world.sh("cat Notes/a.txt Notes/a.txt > $W/x; grep -c al Notes/a.txt");
    costs(&world, &[(BODY, 1)]);
    world.mount_again(&QUIET);
    world.sh("cat Notes/a.txt > $W/x");
    wait_until("the list is checked", || counted(&world).contains_key("GET /gists 304"));
    costs_in_all(&mut world, &[(BODY, 1), ("GET /gists 304", 1)]);
}

/// Reads a hundred bodies one after the other; tells the connections that took and how many requests
/// were under way at one time.
fn a_hundred_bodies(options: &[&str]) -> (usize, usize) {
    let mut world = World::github(ServerOptions::default());
    let names: Vec<String> = (0..100).map(|number| format!("f{number:02}.txt")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (&**name, &**name)).collect();
    world.seed("Notes", &files);
    world.mount(&[&QUIET, options].concat());
    world.server.forget_requests();
    assert_eq!(world.sh("cat Notes/* | wc -c"), "700\n");
    costs_in_all(&mut world, &[(BODY, 100)]);
    let requests = world.server.requests();
    let most = requests.iter().map(|r| r.in_flight).max();
    (requests.iter().filter(|r| r.connects).count(), most.unwrap_or_default())
}

#[test]
fn a_hundred_bodies_take_no_more_connections_than_are_under_way_at_one_time() {
    for (options, at_once) in [(&["--parallel", "1"][..], 1), (&[], 16)] {
        let (connections, most) = a_hundred_bodies(options);
        let told = format!("{connections} connections, {most} at one time");
        println!("{told}");
        // One that is just coming free when the next request is sent may have another made beside it.
        assert!(connections <= 2 * at_once && most <= at_once, "{told}");
    }
}

// --- a thousand gists

/// A thousand gists of three files.
fn thousand() -> World {
    let limits = Limits::none();
    let world = World::github(ServerOptions { limits, ..ServerOptions::default() });
    for number in 0..1000_i64 {
        let files = [
            ("a.txt", format!("alpha {number}\n")),
            ("b.md", format!("# beta {number}\n")),
            ("c.sh", format!("echo {number}\n")),
        ];
        let files = files.map(|(name, text)| (name.to_owned(), text.into_bytes()));
        let created_at = Some(Time((1_600_000_000 + number * 60) * 1_000_000_000));
        let seed =
            Seed { files: files.into(), created_at, ..Seed::new(&format!("G{number}"), &[]) };
        world.server.seed("octo", seed);
    }
    world
}

/// Expects the whole tree to be there, and nobody to be asked for it.
#[track_caller]
fn all_are_there(world: &World) {
    assert_eq!(world.sh("ls -lR | grep -c '^-'"), "3000\n");
    assert_eq!(world.sh("find . -type f | wc -l"), "3000\n");
}

#[test]
fn a_thousand_gists_take_ten_lists_at_first_then_none_and_304s_alone() {
    let mut world = thousand();
    world.mount(&QUIET);
    all_are_there(&world);
    costs_in_all(&mut world, &[("GET /user 200", 1), ("GET /gists 200", 10)]);
    // Nine pages are known to come when the first is there. They are asked for in their order, and
    // which of them are told of together is for the machine to say.
    let requests = world.server.requests();
    assert_eq!((requests[1].query.as_str(), requests[1].in_flight), ("per_page=100", 1));

    // Again, while nobody answers: all pages are asked for at one time.
    world.server.forget_requests();
    let gate = Gate::default();
    let hold = FaultKind::Hold(gate.clone());
    world.server.inject(Fault { times: 10, ..Fault::once(hold) });
    world.mount(&QUIET);
    all_are_there(&world);
    wait_until("every page is asked for", || world.server.requests().len() == 10);
    costs(&world, &[("GET /gists 0", 10)]);

    // All is as it was: nothing is transferred again.
    gate.open();
    wait_until("the list is checked", || world.server.requests().iter().all(|r| r.status != 0));
    all_are_there(&world);
    costs_in_all(&mut world, &[("GET /gists 304", 10)]);
}

#[test]
fn a_page_that_fails_takes_no_gist_away_and_the_next_list_has_all_news() {
    let mut world = thousand();
    world.mount(&QUIET);
    world.unmount();
    world.server.forget_requests();
    // The page is answered by an error; gists of pages behind it are not gone.
    let status = FaultKind::Status { status: 500, headers: vec![], body: "{}".into() };
    world.server.inject(Fault { path: "page=5".into(), ..Fault::once(status) });
    let new = world.seed("New", &[("a.txt", "alpha\n")]);
    world.mount(&["--refresh", "1"]);
    wait_until("the new gist is there", || world.path("New/a.txt").exists());
    wait_until("the whole list was read again", || {
        let list = |r: &&LoggedRequest| r.path == "/gists" && r.query.ends_with("page=11");
        world.server.requests().iter().filter(list).count() == 1
    });
    assert_eq!(world.list("").len(), 1001);
    // Every request was for a list: no gist was looked for one by one.
    let others = |kind: &&String| !kind.starts_with("GET /gists ");
    assert_eq!(counted(&world).keys().find(others), None, "{new}");
    assert_eq!(counted(&world)["GET /gists 500"], 1);
}
