//! `gistfs fork`, `star`, `unstar`, `open`, `publish` and `hide`, with a mount and without.

use std::process::Output;
use std::time::Duration;

use gistfs::demo::{Fault, FaultKind, LoggedRequest, Seed};

use crate::modes::Beside;
use crate::mounted::GISTFS;
use crate::outcome::shown;
use crate::terminal::Terminal;
use crate::world::{World, said};

/// Runs `gistfs` in the mount's root.
fn run(world: &World, arguments: &[&str]) -> Output {
    let mut command = world.gistfs(arguments);
    command.current_dir(world.point()).output().expect("gistfs runs")
}

/// The same; it must succeed. What it printed, line by line.
#[track_caller]
fn prints(world: &World, arguments: &[&str]) -> Vec<String> {
    let out = run(world, arguments);
    assert!(out.status.success(), "{arguments:?}: {}", said(&out));
    String::from_utf8(out.stdout).expect("text").lines().map(str::to_owned).collect()
}

/// The same; it must end with this code. What it complained of.
#[track_caller]
fn fails(world: &World, code: i32, arguments: &[&str]) -> String {
    let out = run(world, arguments);
    assert_eq!(out.status.code(), Some(code), "{arguments:?}: {}", said(&out));
    let said = String::from_utf8(out.stderr).expect("text");
    assert_eq!(said.trim_end().lines().count(), 2, "what, and what to do: {said}");
    said
}

/// A gist of somebody else's.
fn hubots(world: &World, title: &str) -> String {
    let seed = Seed::new(title, &[("r.txt", "robot\n")]);
    world.server.seed("hubot", Seed { public: true, ..seed })
}

/// Requests with this method for this path.
fn sent(world: &World, method: &str, path: &str) -> Vec<LoggedRequest> {
    let mut all = world.server.requests();
    all.retain(|request| request.method == method && request.path == path);
    all
}

#[track_caller]
fn has_changed_nothing(world: &World) {
    let changes: Vec<String> = world.changes().iter().map(shown).collect();
    assert!(changes.is_empty(), "{changes:#?}");
}

#[test]
fn a_fork_is_one_request_is_listed_at_once_and_is_the_same_again() {
    let mut world = World::empty();
    let robot = hubots(&world, "Robot");
    world.mount(&["--refresh", "600"]);
    let before = world.server.requests().len();
    let lines = prints(&world, &["fork", &robot]);
    let fork = world.server.gist_ids("octo");
    assert_eq!(fork.len(), 1);
    let url = format!("{}/{}", world.server.raw_url().trim_end_matches('/'), fork[0]);
    assert_eq!(lines, [fork[0].clone(), url, world.path("Robot").display().to_string()]);
    assert_eq!(world.list(""), ["Robot"]);
    assert_eq!(sent(&world, "POST", &format!("/gists/{robot}/forks")).len(), 1);
    assert_eq!(world.server.requests().len(), before + 1, "one request is enough");
    assert_eq!(world.read("Robot/r.txt"), "robot\n");
    assert_eq!(prints(&world, &["fork", &robot]), lines);
    assert_eq!(world.server.gist_ids("octo"), fork);
    let own = fails(&world, 1, &["fork", "Robot"]);
    assert!(own.contains("your own") && own.contains("cp -r"), "{own}");
    world.write("Robot/r.txt", "mine\n");
    world.saved();
    assert_eq!(world.texts(&fork[0])["r.txt"], "mine\n");
    assert_eq!(world.texts(&robot)["r.txt"], "robot\n");
}

#[test]
fn a_gist_in_a_view_is_named_by_its_path_there() {
    let mut world = World::empty();
    let robot = hubots(&world, "Robot");
    world.seed("Notes", &[("a.txt", "alpha\n")]);
    world.mount(&["--refresh", "600"]);
    let by_id = format!(".by-id/{robot}/r.txt");
    let page = format!("{}/{robot}#file-r-txt", world.server.raw_url().trim_end_matches('/'));
    assert_eq!(prints(&world, &["open", &by_id]), [page]);
    prints(&world, &["star", ".users/hubot/Robot"]);
    assert_eq!(world.list(".starred"), ["Robot"]);
    assert_eq!(world.read(".starred/Robot/.gist/starred"), "1\n");
    let lines = prints(&world, &["fork", ".starred/Robot/.gist"]);
    assert_eq!(lines[2], world.path("Robot").display().to_string());
    prints(&world, &["unstar", ".starred/Robot"]);
    assert_eq!(world.read(&format!(".by-id/{robot}/.gist/starred")), "0\n");
}

#[test]
fn while_a_limit_is_in_force_nothing_is_sent_and_that_is_said() {
    let mut world = World::empty();
    let robot = hubots(&world, "Robot");
    world.mount(&["--refresh", "600"]);
    let limit = FaultKind::SecondaryLimit { retry_after: Some(Duration::from_secs(300)) };
    world.server.inject(Fault { method: Some("POST".into()), ..Fault::once(limit) });
    for _ in 0..2 {
        let words = fails(&world, 1, &["fork", &robot]);
        assert!(words.contains("limit") && words.contains("try again then"), "{words}");
    }
    assert_eq!(sent(&world, "POST", &format!("/gists/{robot}/forks")).len(), 1);
    assert!(world.read(".gistfs/rate_limit").contains("limited until "));
}

#[test]
fn a_fork_whose_answer_is_lost_is_found_and_not_made_again() {
    let mut world = World::empty();
    let robot = hubots(&world, "Robot");
    world.mount(&["--refresh", "600"]);
    for kind in [FaultKind::LoseAnswer, FaultKind::CutShort] {
        world.server.inject(Fault {
            path: "/forks".into(),
            method: Some("POST".into()),
            ..Fault::once(kind)
        });
        let lines = prints(&world, &["fork", &robot]);
        let fork = world.server.gist_ids("octo");
        assert_eq!((fork.len(), &fork[0]), (1, &lines[0]));
        assert_eq!(world.list(""), ["Robot"]);
    }
    assert_eq!(sent(&world, "POST", &format!("/gists/{robot}/forks")).len(), 2);
    world.server.forget_requests();
    let other = hubots(&world, "Other");
    world.server.inject(Fault {
        path: "/forks".into(),
        method: Some("POST".into()),
        ..Fault::once(FaultKind::Drop)
    });
    let words = fails(&world, 5, &["fork", &other]);
    assert!(words.contains("not known whether") && words.contains("say it again"), "{words}");
    assert_eq!(
        sent(&world, "POST", &format!("/gists/{other}/forks")).len(),
        1,
        "it is not repeated"
    );
    assert_eq!(world.server.gist_ids("octo").len(), 1);
}

#[test]
fn without_a_mount_the_command_does_it_with_the_same_token() {
    let mut world = World::empty();
    let robot = hubots(&world, "Robot");
    let api = world.server.api_url();
    let lines = prints(&world, &["fork", "--api-url", &api, &robot]);
    assert_eq!(lines[..1], world.server.gist_ids("octo"));
    assert_eq!(lines.len(), 2, "{lines:?}");
    prints(&world, &["star", "--api-url", &api, &robot, &lines[1]]);
    let stars: Vec<LoggedRequest> =
        world.changes().into_iter().filter(|r| r.method == "PUT").collect();
    assert_eq!(stars.iter().map(|r| r.status).collect::<Vec<_>>(), [204, 204]);
    assert_eq!(prints(&world, &["open", "--api-url", &api, &robot]).len(), 1);
    let file = world.home().join("token");
    std::fs::write(&file, "hubot-token\n").expect("a file");
    let own = ["fork", "--api-url", &api, "--token-file", file.to_str().expect("a path"), &robot];
    assert!(fails(&world, 1, &own).contains("your own"));
    world.token = "";
    assert!(fails(&world, 4, &["star", "--api-url", &api, &robot]).contains("no token"));
    world.token = "wrong-token";
    assert!(fails(&world, 4, &["star", "--api-url", &api, &robot]).contains("401"));
    assert!(!world.home().join("state").exists(), "nothing is kept of it");
}

#[test]
fn a_star_is_one_request_either_way_by_path_id_and_address() {
    let mut world = World::empty();
    let (notes, robot) = (world.seed("Notes", &[("a.txt", "alpha\n")]), hubots(&world, "Robot"));
    world.mount(&["--refresh", "600"]);
    let before = world.server.requests().len();
    prints(&world, &["star", "Notes", &robot]);
    prints(&world, &["unstar", "Notes/a.txt"]);
    let address = format!("{}/hubot/{robot}#file-r-txt", world.server.raw_url());
    prints(&world, &["unstar", &address]);
    let star = |id: &str| format!("/gists/{id}/star");
    for id in [&notes, &robot] {
        for method in ["PUT", "DELETE"] {
            let requests = sent(&world, method, &star(id));
            assert_eq!(requests.len(), 1, "{method} {id}");
            assert_eq!(requests[0].status, 204);
        }
    }
    assert_eq!(world.server.requests().len(), before + 4);
}

#[test]
fn a_star_whose_answer_is_lost_is_looked_for_and_not_set_again() {
    let mut world = World::empty();
    let robot = hubots(&world, "Robot");
    let api = world.server.api_url();
    let star = format!("/gists/{robot}/star");
    for mounted in [false, true] {
        if mounted {
            world.mount(&["--refresh", "600"]);
        }
        world.server.forget_requests();
        // Whoever is mounted knows already what the server refuses.
        let skip = if mounted { 0 } else { world.shape.refused_first() };
        let lost = Fault { path: star.clone(), skip, ..Fault::once(FaultKind::LoseAnswer) };
        world.server.inject(lost);
        prints(&world, &["star", "--api-url", &api, &robot]);
        let dropped = Fault { path: star.clone(), skip, ..Fault::once(FaultKind::Drop) };
        world.server.inject(dropped);
        let words = fails(&world, 5, &["unstar", "--api-url", &api, &robot]);
        assert!(words.contains("not known whether"), "{words}");
        let seen = |method| sent(&world, method, &star).len();
        assert_eq!((seen("PUT"), seen("DELETE"), seen("GET")), (1 + skip, 1 + skip, 2));
    }
}

#[test]
fn what_cannot_be_starred_is_said_and_keeps_no_other_from_it() {
    let mut world = World::empty();
    let robot = hubots(&world, "Robot");
    world.mount(&["--refresh", "600", "--write-back", "600"]);
    world.sh("mkdir New; echo x > New/x");
    for (code, word, why) in [
        (1, "0123456789abcdef0123", "knows no gist"),
        (1, "New", "does not have"),
        (2, "Other", "no path in a mount"),
        (2, ".", "is in no gist"),
        (2, "https://gist.github.com/", "no gist's address"),
    ] {
        let words = fails(&world, code, &["star", word, &robot]);
        assert!(words.contains(why), "{words}");
    }
    let starred = sent(&world, "PUT", &format!("/gists/{robot}/star"));
    assert_eq!(starred.len(), 5);
    // An address elsewhere is no reason to send the token there.
    let elsewhere = fails(&world, 2, &["star", "https://gist.evil.example/x/0123456789abcdef0123"]);
    assert!(elsewhere.contains("--host"), "{elsewhere}");
    assert!(!world.log().contains("demo-token"));
}

#[test]
fn a_read_only_mount_changes_nothing_on_anybodys_behalf() {
    let mut world = World::empty();
    let robot = hubots(&world, "Robot");
    world.mount(&["--user", "hubot"]);
    // The mount says where the API is; what the environment says is about what has no place.
    let mut command = world.gistfs(&["star", "Robot"]);
    command.current_dir(world.point()).env("GH_HOST", "github.com");
    let out = command.output().expect("gistfs runs");
    assert!(out.status.success(), "{}", said(&out));
    let requests = 1 + world.shape.refused_first();
    let stars = sent(&world, "PUT", &format!("/gists/{robot}/star"));
    assert_eq!(stars.len(), requests, "by the token alone");
    let forced =
        fails(&world, 1, &["star", "--mount", world.point().to_str().expect("a path"), &robot]);
    assert!(forced.contains("read-only"), "{forced}");
    assert_eq!(world.changes().len(), 1);
}

/// A token that is named for a path goes to the host of the mount there, and to no other.
#[test]
fn a_path_is_at_its_mount_s_host_with_another_token_too() {
    let (world, id) = World::notes(&[("a.txt", "alpha\n")]);
    let file = world.home().join("token");
    std::fs::write(&file, "hubot-token\n").expect("a file");
    let file = file.to_str().expect("a path");
    let star = format!("/gists/{id}/star");
    prints(&world, &["star", "--token-file", file, "Notes"]);
    let requests = 1 + world.shape.refused_first();
    assert_eq!(sent(&world, "PUT", &star).len(), requests);
    assert!(world.server.is_starred(&id, "hubot") && !world.server.is_starred(&id, "octo"));
    let point = world.point();
    let mount = ["--mount", point.to_str().expect("a path")];
    for elsewhere in [["--host", "github.com"], ["--api-url", "https://ghe.example.com/api/v3"]] {
        for more in [&["--token-file", file][..], &mount, &[]] {
            let arguments = [&["star", "Notes"][..], &elsewhere, more].concat();
            let words = fails(&world, 2, &arguments);
            assert!(words.contains("the mount is of 127.0.0.1"), "{words}");
        }
    }
    assert_eq!(world.changes().len(), 1);
}

/// Ids of old gists are small numbers that every host has.
#[test]
fn an_address_is_not_looked_up_in_a_mount_of_another_host() {
    let (world, id) = World::notes(&[("a.txt", "alpha\n")]);
    let before = world.server.requests().len();
    let address = format!("https://ghe.example.com/gist/octo/{id}");
    let point = world.point();
    let mount = ["--mount", point.to_str().expect("a path")];
    for command in ["open", "star", "fork"] {
        for more in [&mount[..], &[]] {
            let words = fails(&world, 2, &[&[command, address.as_str()], more].concat());
            assert!(words.contains("but of ghe.example.com"), "{words}");
        }
    }
    assert_eq!(world.server.requests().len(), before);
}

#[test]
fn of_two_accounts_the_one_that_does_not_own_a_gist_forks_it() {
    let mut world = World::empty();
    let robot = hubots(&world, "Robot");
    let public = Seed { public: true, ..Seed::new("Public", &[("p.txt", "public\n")]) };
    let own = world.server.seed("octo", public);
    world.mount(&["--refresh", "600"]);
    world.token = "hubot-token";
    let other = Beside::start(&mut world, "other", &["--refresh", "600"]);
    for (id, by, path) in
        [(&robot, "octo", world.path("Robot")), (&own, "hubot", other.point.join("Public"))]
    {
        let lines = prints(&world, &["fork", id]);
        assert!(world.server.gist_ids(by).contains(&lines[0]), "{by}: {lines:?}");
        assert_eq!(lines[2], path.display().to_string());
    }
    other.end();
}

#[test]
fn a_mount_of_one_gist_stars_it_and_makes_no_other() {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "alpha\n")]);
    world.mount(&["--gist", &id]);
    prints(&world, &["star", "."]);
    prints(&world, &["unstar", "a.txt"]);
    let page = prints(&world, &["open", "."]);
    assert_eq!(prints(&world, &["open", ".gist/comments"]), page);
    for beside in [".gistfs", ".gistfs/status", ".starred", ".by-id", ".users/octo"] {
        let words = fails(&world, 2, &["star", beside]);
        assert!(words.contains("is in no gist"), "{beside}: {words}");
    }
    let words = fails(&world, 1, &["publish", "--yes", "."]);
    assert!(words.contains("no room") && words.contains("mount your account"), "{words}");
    let methods: Vec<String> = world.changes().iter().map(|r| r.method.clone()).collect();
    assert_eq!(methods, ["PUT", "DELETE"]);
}

#[test]
fn open_prints_the_page_with_the_file_and_shows_it_where_there_is_a_desktop() {
    let (world, id) = World::notes(&[("Read me.md", "alpha\n"), (".bashrc", "beta\n")]);
    let page = format!("{}/{id}", world.server.raw_url().trim_end_matches('/'));
    let before = world.server.requests().len();
    assert_eq!(prints(&world, &["open", "Notes"]), std::slice::from_ref(&page));
    let readme = format!("{page}#file-read-me-md");
    assert_eq!(prints(&world, &["open", "Notes/Read me.md"]), std::slice::from_ref(&readme));
    assert_eq!(prints(&world, &["open", "Notes/.bashrc"]), [format!("{page}#file-bashrc")]);
    assert_eq!(world.server.requests().len(), before, "the mount knows it");
    let bin = world.work();
    let opened = bin.join("opened");
    let script = format!("#!/bin/sh\nprintf '%s\\n' \"$@\" >> '{}'\n", opened.display());
    std::fs::write(bin.join("xdg-open"), script).expect("a program");
    world.sh("chmod +x \"$W/xdg-open\"");
    let path = format!("{}:/usr/bin:/bin", bin.display());
    for arguments in [&["open", "Notes/Read me.md"][..], &["open", "--print", "Notes"]] {
        let mut command = world.gistfs(arguments);
        command.env("PATH", &path).env("WAYLAND_DISPLAY", "wayland-0");
        let out = command.current_dir(world.point()).output().expect("gistfs runs");
        assert!(out.status.success(), "{}", said(&out));
    }
    assert_eq!(std::fs::read_to_string(&opened).expect("it ran"), format!("{readme}\n"));
}

#[test]
fn a_gist_is_published_by_a_new_one_and_hidden_by_another() {
    let (mut world, id) = World::notes(&[("a.txt", "alpha\n"), ("b.txt", "beta\n")]);
    world.sh("chmod 640 Notes/a.txt");
    let lines = prints(&world, &["publish", "--yes", "Notes"]);
    world.saved();
    let all = world.server.gist_ids("octo");
    let new = all.iter().find(|new| **new != id && world.server.public(new)).expect("a new one");
    assert_eq!(world.texts(new).len(), 2);
    assert_eq!(world.server.description(new).as_deref(), Some("Notes"));
    assert!(!all.contains(&id), "the old one is deleted: {all:?}");
    assert!(lines[0].contains("A new one is made, public: \"Notes\""), "{lines:?}");
    assert!(lines[1].contains("new id and address; history, stars and comments"), "{lines:?}");
    assert!(lines[2].contains("is in the trash"), "{lines:?}");
    assert_eq!(lines[3], format!("The new one is {}", world.path("Notes").display()));
    assert_eq!(world.read("Notes/a.txt"), "alpha\n");
    assert_eq!(world.sh("stat -c %a Notes/a.txt"), "640\n");
    assert!(!world.list("").iter().any(|name| name.starts_with("Notes (")));
    let methods: Vec<String> = world.changes().iter().map(|r| r.method.clone()).collect();
    assert_eq!(methods, ["POST", "DELETE"], "first there, then gone");
    let out = run(&world, &["trash", "list", "--mount", world.point().to_str().expect("a path")]);
    assert!(said(&out).contains("\"Notes\", 2 files"), "{}", said(&out));
    prints(&world, &["hide", "-y", "Notes"]);
    world.saved();
    let all = world.server.gist_ids("octo");
    assert!(all.iter().all(|id| !world.server.public(id)), "{all:?}");
    assert!(!all.contains(new));
    assert_eq!(world.read("Notes/b.txt"), "beta\n");
}

#[test]
fn publishing_asks_before_the_old_one_goes() {
    let (world, id) = World::notes(&[("a.txt", "alpha\n")]);
    let words = fails(&world, 2, &["publish", "Notes"]);
    assert!(words.contains("no terminal to ask on") && words.contains("--yes"), "{words}");
    has_changed_nothing(&world);
    {
        let terminal =
            Terminal::run(&world, &format!("{GISTFS} publish Notes; echo code $?; exec cat"));
        terminal.shows("[y/N]");
        terminal.types("n\n");
        terminal.shows("Both stay.");
        terminal.shows("code 0");
    }
    let all = world.server.gist_ids("octo");
    assert_eq!(all.len(), 2);
    assert!(all.contains(&id) && all.iter().filter(|id| world.server.public(id)).count() == 1);
    assert_eq!(world.list("").len(), 2);
}

#[test]
fn what_changes_while_publishing_asks_is_not_removed() {
    let (mut world, id) = World::notes(&[("a.txt", "alpha\n")]);
    {
        let command = format!("{GISTFS} publish Notes; echo code $?; exec cat");
        let terminal = Terminal::run(&world, &command);
        terminal.shows("[y/N]");
        world.write("Notes/a.txt", "omega\n");
        terminal.types("y\n");
        terminal.shows("code 1");
    }
    world.saved();
    assert_eq!(world.texts(&id)["a.txt"], "omega\n");
    assert_eq!(world.read("Notes/a.txt"), "omega\n");
    let methods: Vec<String> = world.changes().iter().map(|r| r.method.clone()).collect();
    assert_eq!(methods, ["POST", "PATCH"], "nothing is deleted");
}

#[test]
fn what_the_new_gist_would_lack_is_refused_before_anything_is_sent() {
    let mut world = World::empty();
    let notes = world.seed("Notes", &[("a.txt", "alpha\n")]);
    let binary = world.seed("Binary", &[("a.txt", "alpha\n")]);
    world.server.commit(&binary, &[("b.bin", Some(&[0, 255, 7]))]);
    world.seed("Backup", &[("a.txt", "alpha\n"), ("a.txt~", "older\n")]);
    let public = Seed { public: true, ..Seed::new("Public", &[("p.txt", "public\n")]) };
    world.server.seed("octo", public);
    world.mount(&["--write-back", "600", "--refresh", "600", "--git", "none"]);
    world.sh("mkdir New; echo x > New/x");
    for (word, why) in [
        ("Binary", "\"b.bin\""),
        ("Backup", "\"a.txt~\""),
        ("Public", "public already"),
        ("New", "does not have"),
    ] {
        let words = fails(&world, 1, &["publish", "--yes", word]);
        assert!(words.contains(why), "{words}");
    }
    let open = std::fs::OpenOptions::new().append(true).open(world.path("Notes/a.txt"));
    let words = fails(&world, 1, &["publish", "--yes", "Notes"]);
    assert!(words.contains("open for writing"), "{words}");
    drop(open);
    world.sh("echo more >> Notes/a.txt");
    let words = fails(&world, 1, &["publish", "--yes", "Notes"]);
    assert!(words.contains("what GitHub does not have"), "{words}");
    assert!(fails(&world, 2, &["publish", "--yes", "Notes/a.txt"]).contains("is a file"));
    assert!(fails(&world, 2, &["publish", "--yes", &notes]).contains("no path in a mount"));
    has_changed_nothing(&world);
}

#[test]
fn a_gist_of_bytes_that_only_git_carries_is_published_whole() {
    let mut world = World::empty();
    let old = world.seed("Binary", &[("a.txt", "alpha\n")]);
    let bytes: Vec<u8> = (0..=255).collect();
    world.server.commit(&old, &[("b.bin", Some(&bytes))]);
    world.mount(&["--write-back", "600", "--refresh", "600"]);
    let said = said(&run(&world, &["publish", "--yes", "Binary"]));
    assert!(said.contains("A new one is made, public"), "{said}");
    let ids = world.server.gist_ids("octo");
    let new = ids.iter().find(|id| **id != old).expect("the new gist");
    assert_eq!(world.server.files(new), world.server.files(&old), "{said}");
    assert_eq!(world.server.files(new).expect("its files")["b.bin"], bytes);
    assert_eq!(world.server.commits(new).len(), 2, "what the API carries, and the push");
}

#[test]
fn whatever_fails_while_a_gist_is_published_nothing_is_lost() {
    let (mut world, id) = World::notes(&[("a.txt", "alpha\n")]);
    let refused = FaultKind::Status { status: 422, headers: vec![], body: "{}".into() };
    let create = |kind| Fault { method: Some("POST".into()), ..Fault::once(kind) };
    world.server.inject(create(refused));
    let words = fails(&world, 1, &["publish", "--yes", "Notes"]);
    assert!(words.contains("was not made") && words.contains("nothing has changed"), "{words}");
    assert_eq!(
        (world.list(""), world.server.gist_ids("octo")),
        (vec!["Notes".into()], vec![id.clone()])
    );
    // Made, but the answer is lost: it is found, and takes the old one's place.
    world.server.inject(create(FaultKind::LoseAnswer));
    prints(&world, &["publish", "--yes", "Notes"]);
    world.saved();
    let mut all = world.server.gist_ids("octo");
    all.retain(|id| world.server.description(id).as_deref() == Some("Notes"));
    assert_eq!(all.len(), 1);
    assert!(all[0] != id && world.server.public(&all[0]));
    assert_eq!(world.texts(&all[0])["a.txt"], "alpha\n");
    assert_eq!(world.read("Notes/a.txt"), "alpha\n");
}
