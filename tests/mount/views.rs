//! Other people's gists: starred ones, those of a user, everybody's, any by its id.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use gistfs::demo::{Fault, FaultKind, Limits, LoggedRequest, Origin, Seed, ServerOptions};
use gistfs::model::Time;
use serde_json::json;

use crate::hostile;
use crate::outcome::shown;
use crate::proxy::Weather;
use crate::shape::Shape;
use crate::world::{World, said, wait_until};

/// Nobody waits longer for what is known.
const BOUND: Duration = Duration::from_secs(6);

/// A server that lets tests ask as often as they like.
fn unlimited() -> ServerOptions {
    ServerOptions { limits: Limits::none(), ..ServerOptions::default() }
}

/// A public gist of hubot's, `age` days old.
fn theirs(world: &World, age: i64, description: &str, files: &[(&str, &str)]) -> String {
    let created_at = Some(Time::new(1_700_000_000 - age * 86_400, 0));
    let seed = Seed { public: true, created_at, ..Seed::new(description, files) };
    world.server.seed("hubot", seed)
}

/// Such a gist, starred by the mount's user.
fn starred(world: &World, age: i64, description: &str, files: &[(&str, &str)]) -> String {
    let id = theirs(world, age, description, files);
    world.server.star(&id, "octo").expect("a star");
    id
}

impl World {
    /// What was asked since the log was emptied, the mount's own list left out.
    fn asked(&self) -> Vec<String> {
        let line = |r: &LoggedRequest| match r.origin {
            Origin::Raw => "body".to_owned(),
            Origin::Api | Origin::Git => {
                let page = r.query.split('&').find(|pair| pair.starts_with("page="));
                let page = page.map(|page| format!("?{page}")).unwrap_or_default();
                format!("{} {}{page} {}", r.method, r.path, r.status)
            }
        };
        let requests = self.server.requests();
        requests.iter().filter(|r| r.path != "/gists").map(line).collect()
    }

    /// What of that it takes to read a file of a gist for the first time.
    fn first_read(&self, id: &str) -> Vec<String> {
        let mut asked = vec!["body".to_owned()];
        if self.shape.hides_raw_bodies() {
            asked.push(format!("GET /gists/{id} 200"));
        }
        asked
    }

    /// What was asked and answered with more than "still so".
    fn paid(&self) -> Vec<String> {
        self.asked().into_iter().filter(|line| !line.ends_with(" 304")).collect()
    }
}

#[test]
fn starred_gists_are_listed_as_github_lists_them_at_one_request_a_hundred() {
    let mut world = World::with(unlimited());
    let mut ids = Vec::new();
    for number in 0..120 {
        let (name, text) = (format!("Star {number:03}"), format!("text {number}\n"));
        ids.push(starred(&world, number, &name, &[("a.txt", &text), ("b.md", "b")]));
    }
    theirs(&world, 0, "Not starred", &[("a.txt", "a")]);
    world.mount(&[]);
    assert!(!world.list("").contains(&".starred".to_owned()));
    world.server.forget_requests();
    world.sh("stat .starred > /dev/null; cd .starred");
    assert_eq!(world.asked(), [""; 0], "nothing is asked before somebody looks");
    let expected: Vec<String> = (0..120).map(|number| format!("Star {number:03}")).collect();
    let listed = world.sh("ls -U .starred");
    assert_eq!(listed.lines().collect::<Vec<_>>(), expected);
    let pages = ["GET /gists/starred 200", "GET /gists/starred?page=2 200"];
    assert_eq!(world.paid(), pages);
    let sizes = world.sh("find .starred -type f -printf '%s\\n' | sort | uniq -c");
    assert_eq!(
        sizes.split_whitespace().collect::<Vec<_>>(),
        ["120", "1", "10", "7", "90", "8", "20", "9"]
    );
    assert_eq!(world.paid(), pages, "looking around costs nothing more");
    for _ in 0..3 {
        assert_eq!(world.read(".starred/Star 110/a.txt"), "text 110\n");
    }
    assert_eq!(
        world.paid(),
        [pages.map(String::from).into(), world.first_read(&ids[110])].concat()
    );
    world.sh("cat .starred/*/b.md > /dev/null");
    // From a private server it came along.
    let fetches = if world.shape.hides_raw_bodies() { 1 } else { 2 };
    assert_eq!(world.fetches(), fetches, "equal bodies are fetched once");
}

#[test]
fn a_gist_is_found_by_name_without_a_listing() {
    let mut world = World::with(unlimited());
    let mut ids = Vec::new();
    for number in 0..120 {
        let name = format!("Star {number:03}");
        ids.push(starred(&world, number, &name, &[("a.txt", "alpha\n")]));
    }
    world.mount(&[]);
    world.server.forget_requests();
    assert_eq!(world.read(".starred/Star 007/a.txt"), "alpha\n");
    let mut expected = vec!["GET /gists/starred 200".to_owned()];
    expected.extend(world.first_read(&ids[7]));
    assert_eq!(world.paid(), expected, "no further than to the name");
    world.sh("cd '.starred/Star 007'; ! git status 2> /dev/null");
    world.fails("stat .starred/.hg .users/.git .users/HEAD .by-id/HEAD");
    assert_eq!(world.paid(), expected, "what is looked for everywhere is no question");
    assert_eq!(world.read(".starred/Star 119/a.txt"), "alpha\n");
    world.fails("stat .starred/Star\\ 120 .starred/.git .starred/.starred");
    expected.push("GET /gists/starred?page=2 200".into());
    assert_eq!(world.paid(), expected);
}

#[test]
fn changes_elsewhere_show_after_a_few_seconds_for_a_free_question() {
    let mut world = World::with(unlimited());
    let id = starred(&world, 3, "Old", &[("a.txt", "alpha\n")]);
    world.mount(&[]);
    world.server.forget_requests();
    assert_eq!(world.list(".starred"), ["Old"]);
    wait_until("the list is asked for again", || {
        world.list(".starred") == ["Old"] && world.asked().len() > 1
    });
    assert_eq!(world.asked(), ["GET /gists/starred 200", "GET /gists/starred 304"]);
    starred(&world, 1, "New", &[("b.txt", "beta\n")]);
    wait_until("the new one shows", || world.sh("ls -U .starred") == "New\nOld\n");
    world.server.commit(&id, &[("a.txt", Some(b"omega and more\n"))]);
    wait_until("the edit shows", || world.read(".starred/Old/a.txt") == "omega and more\n");
    assert_eq!(world.sh("stat -c %s .starred/Old/a.txt"), "15\n");
    world.server.remove(&id);
    wait_until("the removed one goes", || world.list(".starred") == ["New"]);
    world.fails("stat .starred/Old");
    let single = |line: &String| line.starts_with(&format!("GET /gists/{id}"));
    let (asked, mut others) = (world.asked(), BTreeSet::new());
    let once = asked.iter().filter(|line| single(line)).all(|line| others.insert(line));
    // A private server is asked for the gist, and for its revision if the list was not asked first.
    let most = if world.shape.hides_raw_bodies() { 2 } else { 0 };
    assert!(once && others.len() <= most, "{asked:#?}");
}

#[test]
fn changes_on_every_page_show_to_who_lists_again() {
    let mut world = World::with(unlimited());
    let star = |number: i64| {
        starred(&world, number, &format!("Star {number:03}"), &[("a.txt", "alpha\n")])
    };
    let ids: Vec<String> = (0..120).map(star).collect();
    world.mount(&[]);
    let mut expected: Vec<String> = (0..120).map(|number| format!("Star {number:03}")).collect();
    let listed =
        || -> Vec<String> { world.sh("ls -U .starred").lines().map(str::to_owned).collect() };
    assert_eq!(listed(), expected);
    world.server.describe(&ids[110], "Renamed");
    world.server.remove(&ids[115]);
    expected[110] = "Renamed".into();
    expected.remove(115);
    wait_until("what changed on the second page shows", || listed() == expected);
    starred(&world, -1, "New", &[("b.txt", "beta\n")]);
    expected.insert(0, "New".into());
    wait_until("what is on the second page now shows", || listed() == expected);
    assert!(!world.asked().iter().any(|line| ids.iter().any(|id| line.contains(id))));
}

#[test]
fn one_s_own_gist_is_a_link_to_its_directory() {
    let mut world = World::empty();
    let own = |name: &str, public: bool| {
        world.server.seed("octo", Seed { public, ..Seed::new(name, &[("n.txt", "note\n")]) })
    };
    let (id, secret) = (own("Notes", true), own("Secret", false));
    world.server.star(&id, "octo").expect("a star");
    let other = starred(&world, 1, "Other", &[("a.txt", "alpha\n")]);
    world.mount(&[]);
    assert_eq!(world.sh("readlink .starred/Notes .users/octo/Notes"), "../Notes\n../../Notes\n");
    assert_eq!(world.sh(&format!("readlink .by-id/{id} .by-id/{secret}")), "../Notes\n../Secret\n");
    world.sh("for link in .starred/Notes .users/octo/Notes .public/Notes; do
        test $(stat -c %Y $link) = $(stat -c %Y Notes) || exit 1
    done");
    assert_eq!(world.read(".public/Notes/n.txt"), "note\n");
    let kinds = world
        .sh("find .starred .users/octo .public -mindepth 1 -maxdepth 1 -printf '%y %p\\n' | sort");
    let expected = "d .public/Other\nd .starred/Other\nl .public/Notes\nl .starred/Notes\nl .users/octo/Notes\n";
    assert_eq!(kinds, expected);
    world.sh("echo more >> .starred/Notes/n.txt");
    world.saved_as(&id, &json!({"n.txt": {"content": "note\nmore\n"}}));
    world.sh("mv Notes Renamed");
    assert_eq!(world.sh(&format!("readlink .by-id/{id}")), "../Renamed\n");
    assert_eq!(world.sh("cat .starred/Notes/n.txt"), "note\nmore\n");
    world.fails(&format!("readlink .by-id/{other}"));
}

#[test]
fn any_gist_is_there_by_its_id_secret_ones_too() {
    let mut world = World::empty();
    let secret = world.server.seed("hubot", Seed::new("Secret", &[("s.txt", "secret\n")]));
    world.mount(&[]);
    world.server.forget_requests();
    assert_eq!(world.list(".by-id"), [""; 0]);
    assert_eq!(world.read(&format!(".by-id/{secret}/s.txt")), "secret\n");
    let get = format!("GET /gists/{secret} 200");
    assert_eq!(world.paid(), [get.as_str()], "the body came along");
    assert_eq!(world.list(".by-id"), [secret.as_str()]);
    world.sh(&format!("ls -lR .by-id > /dev/null; cat .by-id/{secret}/* > /dev/null"));
    assert_eq!(world.paid(), [get.as_str()]);
    world.fails("stat .by-id/.git .by-id/HEAD.lock .by-id/a.b");
    assert_eq!(world.paid(), [get.as_str()], "what can be no id is not asked for");
    world.fails("stat .by-id/0123456789abcdef; stat .by-id/0123456789abcdef");
    assert_eq!(world.paid(), [get.as_str(), "GET /gists/0123456789abcdef 404"]);
}

#[test]
fn a_user_s_public_gists_are_there_by_their_login() {
    let mut world = World::empty();
    theirs(&world, 1, "Robot", &[("r.txt", "robot\n")]);
    world.server.seed("hubot", Seed::new("Secret", &[("s.txt", "secret\n")]));
    world.mount(&[]);
    world.server.forget_requests();
    assert_eq!(world.list(".users"), [""; 0]);
    assert_eq!(world.list(".users/hubot"), ["Robot"]);
    assert_eq!(world.list(".users"), ["hubot"]);
    assert_eq!(world.paid(), ["GET /users/hubot/gists 200"]);
    let complaint = world.fails("ls .users/nobody");
    assert!(complaint.contains("No such file or directory"), "{complaint}");
    world.fails("ls .users/.git '.users/no body' .users/a@b");
    assert_eq!(world.paid(), ["GET /users/hubot/gists 200", "GET /users/nobody/gists 404"]);
    assert_eq!(world.list(".users"), ["hubot"]);
}

/// Takes three entries of a directory and no more, as whoever looks at the newest does.
const THREE: &str = "import os, itertools
print(*(entry.name for entry in itertools.islice(os.scandir('.public'), 3)), sep='\\n')";

#[test]
fn everybody_s_gists_come_page_by_page_as_they_are_read() {
    let mut world = World::with(unlimited());
    let name = |number| format!("Public {number:03}");
    let ids: Vec<String> = (0..250)
        .map(|number| theirs(&world, number, &name(number), &[("a.txt", "alpha\n")]))
        .collect();
    world.mount(&[]);
    world.server.forget_requests();
    std::fs::write(world.work().join("three.py"), THREE).expect("a program");
    assert_eq!(world.sh("python3 $W/three.py"), "Public 000\nPublic 001\nPublic 002\n");
    assert_eq!(world.read(".public/Public 042/a.txt"), "alpha\n");
    let mut expected = vec!["GET /gists/public 200".to_owned()];
    expected.extend(world.first_read(&ids[42]));
    assert_eq!(world.paid(), expected);
    world.fails("stat '.public/Public 200'");
    assert_eq!(world.paid(), expected, "a name is not looked for on all pages");
    assert_eq!(world.sh("ls .public | wc -l"), "250\n");
    expected.extend([2, 3].map(|page| format!("GET /gists/public?page={page} 200")));
    assert_eq!(world.paid(), expected);
    assert_eq!(world.read(".public/Public 200/a.txt"), "alpha\n");
    world.sh("find .public > /dev/null");
    assert_eq!(world.paid(), expected);
}

#[test]
fn nothing_can_be_written_in_a_view() {
    let mut world = World::empty();
    let id = starred(&world, 1, "Other", &[("a.txt", "alpha\n"), ("b.txt", "beta\n")]);
    world.mount(&[]);
    for script in [
        "echo x > .starred/Other/a.txt",
        "echo x >> .starred/Other/a.txt",
        "echo x > .starred/Other/new.txt",
        "rm .starred/Other/a.txt",
        "rm -r .starred/Other",
        "mv .starred/Other/a.txt .starred/Other/c.txt",
        "sed -i s/a/b/ .starred/Other/a.txt",
        "truncate -s 0 .starred/Other/a.txt",
        "mkdir .starred/New",
        "mkdir .starred/Other/sub",
        "rmdir .starred/Other",
        "rmdir .starred",
        "mv .starred/Other .starred/Another",
        "echo x > .starred/new.txt",
        "mkdir .users/nobody",
        "mkdir .by-id/1",
        "touch .public/new",
        "ln -s x .starred/Other/y~",
        "ln -s x .starred/Other/y",
        "ln -s x .starred/y",
        "ln -s x .gistfs/y",
    ] {
        let complaint = world.fails(script);
        assert!(complaint.contains("Read-only file system"), "{script}: {complaint}");
    }
    assert_eq!(world.texts(&id)["a.txt"], "alpha\n");
    world.sh("cat .starred/Other/* > /dev/null");
    world.canary();
    assert_eq!(world.changes().len(), 0);
}

#[test]
fn a_copy_of_a_starred_gist_is_one_s_own_after_one_post() {
    let mut world = World::empty();
    starred(&world, 1, "Other", &[("a.txt", "alpha\n"), ("b.md", "beta\n")]);
    world.mount(&[]);
    world.sh("cp -r .starred/Other ./");
    world.saved();
    let posts = world.changes();
    let requests: Vec<String> = posts.iter().map(shown).collect();
    assert_eq!(posts.len(), 1, "{requests:#?}");
    let body = posts[0].json();
    assert_eq!((posts[0].method.as_str(), &body["description"]), ("POST", &json!("Other")));
    let files = json!({"a.txt": {"content": "alpha\n"}, "b.md": {"content": "beta\n"}});
    assert_eq!(body["files"], files);
    assert_eq!(
        world.sh("stat -c %a Other Other/a.txt"),
        world.sh("stat -c %a . $(mktemp -p Other)")
    );
    world.sh("rm -f Other/tmp.*; rsync -a .starred/Other/ Synced/; diff -r Other Synced");
    world.saved();
    assert_eq!(world.changes().len(), 2);
}

#[test]
fn a_star_given_or_taken_back_here_shows_at_once() {
    let mut world = World::empty();
    starred(&world, 2, "Starred", &[("a.txt", "alpha\n")]);
    let id = theirs(&world, 1, "Other", &[("b.txt", "beta\n")]);
    world.mount(&[]);
    assert_eq!(world.list(".starred"), ["Starred"]);
    world.sh(&format!("echo 1 > .by-id/{id}/.gist/starred"));
    assert_eq!(world.list(".starred"), ["Other", "Starred"]);
    world.sh("echo 0 > .starred/Other/.gist/starred");
    assert_eq!(world.list(".starred"), ["Starred"]);
    let star = |command: &str| {
        let out = world.gistfs(&[command, &id]).output().expect("gistfs runs");
        assert!(out.status.success(), "{}", said(&out));
    };
    star("star");
    assert_eq!(world.list(".starred"), ["Other", "Starred"]);
    assert_eq!(world.read(".starred/Other/.gist/starred"), "1\n");
    star("unstar");
    assert_eq!(world.list(".starred"), ["Starred"]);
    let changes: Vec<String> = world.changes().iter().map(|r| r.method.clone()).collect();
    assert_eq!(changes, ["PUT", "DELETE", "PUT", "DELETE"]);
}

#[test]
fn of_equal_titles_the_older_has_the_bare_name_and_names_stay() {
    let mut world = World::with(unlimited());
    let newer = starred(&world, 1, "Same", &[("a.txt", "newer\n")]);
    let older = starred(&world, 9, "Same", &[("a.txt", "older\n")]);
    let short = |id: &str| id[..7].to_owned();
    world.mount(&[]);
    assert_eq!(world.sh("ls -U .starred"), format!("Same ({})\nSame\n", short(&newer)));
    assert_eq!(world.read(".starred/Same/a.txt"), "older\n");
    let oldest = starred(&world, 99, "Same", &[("a.txt", "oldest\n")]);
    let names =
        [format!("Same ({})", short(&newer)), "Same".into(), format!("Same ({})", short(&oldest))];
    wait_until("the third shows", || world.sh("ls -U .starred").lines().eq(names.iter()));
    assert_eq!(world.read(".starred/Same/a.txt"), "older\n");
    world.server.describe(&older, "Other");
    wait_until("a new description shows", || world.list(".starred").contains(&"Other".into()));
    world.unmount();
    world.mount(&["--names", "id"]);
    assert_eq!(world.sh("ls -U .starred"), format!("{newer}\n{older}\n{oldest}\n"));
}

#[test]
fn hostile_names_of_strangers_are_shown_apart_and_read() {
    let mut world = World::with(unlimited());
    let names = hostile::hostile();
    let mut expected = BTreeSet::new();
    for number in 0..names.len() * 2 {
        let description = Some(names[number % names.len()].clone());
        let file = |offset: usize| {
            let text = format!("{number} {offset}\n");
            expected.insert(text.clone());
            (names[(number * 5 + offset) % names.len()].clone(), text.into_bytes())
        };
        let files = (0..5).map(file).collect();
        let seed = Seed { description, files, public: true, ..Seed::default() };
        let id = world.server.seed("hubot", seed);
        world.server.star(&id, "octo").expect("a star");
    }
    world.mount(&[]);
    let directories: BTreeSet<String> = world.list(".starred").into_iter().collect();
    assert_eq!(directories.len(), names.len() * 2);
    let mut seen = BTreeSet::new();
    for directory in directories {
        for name in world.list(&format!(".starred/{directory}")) {
            seen.insert(world.read(&format!(".starred/{directory}/{name}")));
        }
    }
    assert_eq!(seen, expected);
    assert_eq!(
        world.sh("find .starred -type f -print0 | tr -cd '\\0' | wc -c"),
        format!("{}\n", expected.len())
    );
}

/// Whatever is known of a starred gist stays, and nobody waits long; then all is well again.
fn without_an_answer(weather: Weather, tried: &[(&str, &str)]) {
    let (mut world, network) = World::behind_a_network(unlimited());
    let id = starred(&world, 1, "Other", &[("a.txt", "alpha\n"), ("b.txt", "beta\n")]);
    world.verbosity = &["-vv"];
    world.mount(&[]);
    assert_eq!(world.list(".users/octo"), [""; 0]);
    assert_eq!(world.read(".starred/Other/a.txt"), "alpha\n");
    network.turns(weather);
    let known = || {
        let start = Instant::now();
        assert_eq!(world.list(".users/octo"), [""; 0]);
        assert!(start.elapsed() < BOUND, "listed an empty list after {:?}", start.elapsed());
        let start = Instant::now();
        assert_eq!(world.list(".starred"), ["Other"]);
        assert!(start.elapsed() < BOUND, "listed after {:?}", start.elapsed());
        assert_eq!(world.read(".starred/Other/a.txt"), "alpha\n");
        assert!(start.elapsed() < BOUND * 2, "read after {:?}", start.elapsed());
    };
    wait_until("it was asked for again in vain", || {
        known();
        world.log().contains("shown as it was")
    });
    known();
    for (script, words) in tried {
        let complaint = world.fails(script);
        assert!(complaint.contains(words), "{script}: {complaint}");
    }
    network.turns(Weather::Fine);
    wait_until("it is back", || world.try_sh("cat .starred/Other/b.txt").status.success());
    world.server.commit(&id, &[("a.txt", Some(b"omega\n"))]);
    wait_until("it is asked again", || world.read(".starred/Other/a.txt") == "omega\n");
}

#[test]
fn where_nobody_listens_what_is_known_of_others_stays_and_the_rest_fails() {
    let unknown = ["cat .starred/Other/b.txt", "ls .public", "ls .by-id/0123456789abcdef"];
    without_an_answer(Weather::Refused, &unknown.map(|script| (script, "No route to host")));
}

#[test]
fn where_connections_are_silent_what_is_known_of_others_shows_soon() {
    without_an_answer(Weather::Silent, &[]);
}

#[test]
fn an_error_of_github_s_hides_nothing_that_is_known() {
    let mut world = World::with(unlimited());
    starred(&world, 1, "Other", &[("a.txt", "alpha\n")]);
    world.mount(&[]);
    assert_eq!(world.list(".starred"), ["Other"]);
    let fault = |path: &str, status: u16| {
        let kind = FaultKind::Status { status, headers: Vec::new(), body: String::new() };
        Fault { path: path.into(), times: usize::MAX, ..Fault::once(kind) }
    };
    world.server.inject(fault("/gists/starred", 500));
    world.server.inject(fault("/gists/public", 500));
    world.server.forget_requests();
    wait_until("it fails", || {
        assert_eq!(world.list(".starred"), ["Other"]);
        world.asked().contains(&"GET /gists/starred 500".into())
    });
    assert_eq!(world.read(".starred/Other/a.txt"), "alpha\n");
    assert!(world.fails("ls .public").contains("Input/output error"));
    world.server.clear_faults();
    assert_eq!(world.list(".public"), ["Other"]);
}

#[test]
fn without_a_token_there_are_no_stars_and_the_rest_is_read_anonymously() {
    let mut world = World::empty();
    let id = theirs(&world, 1, "Robot", &[("r.txt", "robot\n")]);
    let own = Seed { public: true, ..Seed::new("Notes", &[("a.txt", "alpha\n")]) };
    world.server.seed("octo", own);
    world.token = "";
    world.mount(&["--user", "octo"]);
    assert!(world.fails("ls .starred").contains("No such file or directory"));
    for path in [".users/hubot/Robot/r.txt", ".public/Robot/r.txt"] {
        assert_eq!(world.read(path), "robot\n");
    }
    assert_eq!(world.read(&format!(".by-id/{id}/r.txt")), "robot\n");
    assert_eq!(world.sh("readlink .public/Notes"), "../Notes\n");
    assert!(!world.server.requests().iter().any(LoggedRequest::has_token));
    let paid = world.paid();
    assert_eq!(
        paid.iter().filter(|line| line.contains("/users/hubot/gists")).count(),
        1,
        "{paid:?}"
    );
}

#[test]
fn with_show_hidden_a_gist_in_a_view_lists_its_gist_and_no_view_that_is_not_there() {
    let mut world = World::empty();
    let id = theirs(&world, 1, "Robot", &[("r.txt", "robot\n")]);
    let own = Seed { public: true, ..Seed::new("Notes", &[("a.txt", "alpha\n")]) };
    world.server.seed("octo", own);
    world.token = "";
    world.mount(&["--user", "octo", "--show-hidden"]);
    let views = [".by-id", ".gistfs", ".public", ".users", "Notes"];
    assert_eq!(world.list(""), views);
    world.sh("ls -la > /dev/null");
    for directory in [".public/Robot".to_owned(), format!(".by-id/{id}")] {
        assert_eq!(world.list(&directory), [".gist", "r.txt"]);
        assert_eq!(world.read(&format!("{directory}/.gist/description")), "Robot\n");
    }
}

#[test]
fn in_a_mount_of_one_gist_or_of_the_starred_ones_views_lead_to_what_is_mounted() {
    let mut world = World::empty();
    let own = world.seed("Notes", &[("a.txt", "alpha\n")]);
    let other = starred(&world, 1, "Other", &[("b.txt", "beta\n")]);
    world.mount(&["--gist", &own]);
    assert_eq!(world.sh(&format!("readlink .by-id/{own}; cat .by-id/{own}/a.txt")), "..\nalpha\n");
    assert_eq!(world.read(&format!(".by-id/{other}/b.txt")), "beta\n");
    world.unmount();
    world.mount(&["--starred"]);
    assert_eq!(world.sh("readlink .starred/Other .users/hubot/Other"), "../Other\n../../Other\n");
    assert_eq!(world.read(&format!(".by-id/{own}/a.txt")), "alpha\n");
}

/// What tools do to a whole mount that holds two gists, as requests without ids.
fn walked(decorate: impl FnOnce(&World, &str)) -> Vec<String> {
    let mut world = World::with(unlimited());
    let ids =
        [world.seed("One", &[("a.txt", "x one\n")]), world.seed("Two", &[("b.txt", "x two\n")])];
    decorate(&world, &ids[0]);
    world.mount(&[]);
    world.sh("find . > /dev/null; grep -r x . > /dev/null; cp -r . $W/copy; rsync -a ./ $W/sync/
        du -a . > /dev/null; ls -laR . > /dev/null; tar cf $W/all.tar .");
    assert_eq!(world.sh("find $W/copy $W/sync -type f | wc -l"), "4\n");
    let mut requests = world.server.requests();
    for request in requests.iter_mut().filter(|r| r.origin == Origin::Raw) {
        // A key is an address's own.
        assert_eq!(request.query.starts_with("token="), world.shape == Shape::Tokens);
        request.query.clear();
    }
    let mut lines: Vec<String> = requests.iter().map(shown).collect();
    for (number, id) in ids.iter().enumerate() {
        lines.iter_mut().for_each(|line| *line = line.replace(id, &format!("ID{number}")));
    }
    lines.sort();
    lines
}

#[test]
fn tools_that_walk_the_mount_ask_nothing_that_a_mount_without_stars_would_not() {
    let plain = walked(|_, _| {});
    let rich = walked(|world, id| {
        for number in 0..5 {
            starred(world, number, &format!("Star {number}"), &[("a.txt", "x\n")]);
        }
        world.server.star(id, "hubot").expect("a star");
        world.server.star(id, "octo").expect("a star");
        let client = reqwest::blocking::Client::builder().no_proxy().build().expect("a client");
        for number in 0..5 {
            let url = format!("{}/gists/{id}/comments", world.server.api_url());
            let body = json!({ "body": format!("x {number}") }).to_string();
            let request = client.post(url).bearer_auth("hubot-token").header("user-agent", "test");
            assert_eq!(request.body(body).send().expect("an answer").status(), 201);
            world.server.describe(id, &format!("{number}"));
            world.server.commit(id, &[("old.txt", Some(format!("{number}\n").as_bytes()))]);
        }
        world.server.commit(id, &[("old.txt", None)]);
        world.server.describe(id, "One");
        world.server.forget_requests();
    });
    assert_eq!(rich, plain);
}
