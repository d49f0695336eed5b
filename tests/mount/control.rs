//! `.gist`: what GitHub knows of a gist besides its files, read and written with programs.

use std::os::unix::fs::MetadataExt as _;

use gistfs::demo::{Account, Fault, FaultKind, Limits, LoggedRequest, Seed, ServerOptions};
use serde_json::{Value, json};

use crate::outcome::{EMPTY, shown};
use crate::terminal::Terminal;
use crate::world::{World, said, wait_until};

fn notes() -> (World, String) {
    World::notes(&[("a.txt", "a\n"), ("b.txt", "b\n")])
}

/// What the API answers to somebody else who asks.
pub(crate) fn api(world: &World, method: &str, path: &str, token: &str) -> Vec<u8> {
    let client = reqwest::blocking::Client::builder().no_proxy().build().expect("a client");
    let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
    let request = client.request(method, format!("{}{path}", world.server.api_url()));
    let request = request.bearer_auth(token).header("user-agent", "gistfs-test");
    let answer = request.send().expect("an answer");
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
    answer.bytes().expect("a body").to_vec()
}

fn lines(requests: &[LoggedRequest]) -> Vec<String> {
    requests.iter().map(|r| format!("{} {} {}", r.method, r.path, r.status)).collect()
}

/// What came to the server since requests were last forgotten.
fn asked(world: &World) -> Vec<String> {
    lines(&world.server.requests())
}

/// Runs the script and tells its output and what it asked of the server.
#[track_caller]
fn asking(world: &World, script: &str) -> (String, Vec<String>) {
    world.server.forget_requests();
    let out = world.sh(script);
    (out, asked(world))
}

/// What the script complains of, in one of the system's phrases.
#[track_caller]
fn fails_with(world: &World, script: &str, words: &str) {
    let complaint = world.fails(script);
    assert!(complaint.contains(words), "{script}: {complaint}");
}

#[test]
fn every_value_reads_as_github_has_it_and_what_the_list_told_costs_no_request() {
    let (world, id) = notes();
    let told: Value =
        serde_json::from_slice(&api(&world, "GET", &format!("/gists/{id}"), "demo-token"))
            .expect("JSON");
    let text = |name: &str| format!("{}\n", told[name].as_str().expect("text"));
    world.server.forget_requests();
    for (file, value) in [
        ("description", text("description")),
        ("id", text("id")),
        ("url", text("html_url")),
        ("git_url", text("git_pull_url")),
        ("created", text("created_at")),
        ("updated", text("updated_at")),
        ("owner", "octo\n".to_owned()),
        ("visibility", "secret\n".to_owned()),
        ("sync", "clean\n".to_owned()),
    ] {
        assert_eq!(world.read(&format!("Notes/.gist/{file}")), value, "{file}");
        let size = std::fs::metadata(world.path(&format!("Notes/.gist/{file}"))).unwrap().len();
        assert_eq!(size, value.len() as u64, "{file}");
    }
    assert_eq!(asked(&world), [""; 0]);
}

#[test]
fn looking_at_all_values_asks_github_for_none() {
    let (world, _) = notes();
    let find = "find Notes/.gist -maxdepth 1 -type f -printf '%f %s\\n' | sort";
    let (out, asked) = asking(&world, find);
    assert_eq!(asked, [""; 0]);
    let (_, asked) = asking(&world, "ls -l Notes/.gist; stat Notes/.gist/* Notes/.gist; ls -lR .");
    assert_eq!(asked, [""; 0], "nor what goes into none of its directories");
    let names: Vec<&str> = out.lines().filter_map(|line| line.split(' ').next()).collect();
    let expected = [
        "created",
        "description",
        "forks",
        "gist.json",
        "git_url",
        "id",
        "owner",
        "starred",
        "sync",
        "updated",
        "url",
        "visibility",
    ];
    assert_eq!(names, expected);
    assert!(out.contains("forks 0\n") && out.contains("gist.json 0\n"), "{out}");
    let mut all = world.list("Notes/.gist");
    all.retain(|name| !expected.contains(&name.as_str()));
    assert_eq!(all, ["comments", "history"]);
}

#[test]
fn nothing_that_walks_the_mount_finds_gist_directories() {
    let (world, id) = notes();
    world.read("Notes/.gist/id");
    let (out, asked) = asking(&world, "find . | sort; grep -r secret . || true; du -a | wc -l");
    assert_eq!(out, ".\n./Notes\n./Notes/a.txt\n./Notes/b.txt\n4\n");
    assert_eq!(asked.len(), 2, "{asked:#?}");
    assert!(asked[0].starts_with("GET /octo/"), "{asked:#?}");
    // Where the one body cannot be had by its raw address, the other comes along with it.
    if world.shape.hides_raw_bodies() {
        assert_eq!(asked[1], format!("GET /gists/{id} 200"));
    } else {
        assert!(asked[1].starts_with("GET /octo/"), "{asked:#?}");
    }
}

#[test]
fn gist_json_is_the_answer_of_github_as_it_is_and_asked_for_again_by_its_etag() {
    let (world, id) = notes();
    let (json, first) = asking(&world, "cat Notes/.gist/gist.json");
    assert_eq!(first, [format!("GET /gists/{id} 200")]);
    assert_eq!(json.as_bytes(), api(&world, "GET", &format!("/gists/{id}"), "demo-token"));
    let (copy, again) = asking(&world, "cp Notes/.gist/gist.json $W/j && cat $W/j");
    assert_eq!((copy.as_str(), again), (json.as_str(), vec![]), "believed for five seconds");
    wait_until("it is asked for again", || {
        assert_eq!(world.read("Notes/.gist/gist.json"), json);
        !asked(&world).is_empty()
    });
    assert_eq!(asked(&world), [format!("GET /gists/{id} 304")]);
}

#[test]
fn a_description_that_is_written_is_one_patch_and_the_directory_s_name_follows() {
    let (mut world, id) = notes();
    let inode = std::fs::metadata(world.path("Notes")).unwrap().ino();
    world.sh("ls Notes; echo 'Better / notes' > Notes/.gist/description");
    assert_eq!(world.list(""), ["Better ∕ notes"]);
    assert_eq!(world.read("Better ∕ notes/.gist/description"), "Better / notes\n");
    assert_eq!(std::fs::metadata(world.path("Better ∕ notes")).unwrap().ino(), inode);
    world.saved();
    let changes = world.changes();
    assert_eq!(lines(&changes), [format!("PATCH /gists/{id} 200")]);
    assert_eq!(changes[0].json(), json!({"description": "Better / notes"}));
    assert_eq!(world.server.description(&id).as_deref(), Some("Better / notes"));
    assert_eq!(world.server.commits(&id).len(), 1, "no commit is made for a description");
}

#[test]
fn a_description_is_written_in_every_way_programs_write() {
    let (mut world, id) = notes();
    world.mount_again(&["--names", "id"]);
    let description = format!("{id}/.gist/description");
    for (script, text) in [
        ("printf 'no newline' > D", "no newline"),
        ("printf ' and more\\n' >> D", "no newline\n and more"),
        ("printf 'two\\nlines\\n' > D", "two\nlines"),
        ("echo old > $W/x; cp $W/x D", "old"),
        ("echo text | tee D", "text"),
        ("echo 'shorter' | dd of=D conv=notrunc status=none", "shorter"),
        ("python3 -c 'open(\"D\", \"r+\").write(\"X\")'", "Xhorter"),
        ("truncate -s 3 D", "Xho"),
        ("printf '\\n\\n' > D", "\n"),
        ("echo > D", ""),
    ] {
        world.sh(&script.replace('D', &description));
        assert_eq!(world.read(&description), format!("{text}\n"), "{script}");
    }
    world.sh(&format!("echo last > {description}"));
    world.sh(&format!(": > {description}"));
    // A shell closes the file more than once: what only empties it counts when the last one did.
    wait_until("it is emptied", || world.read(&description) == "\n");
    world.saved();
    assert_eq!(world.server.description(&id).as_deref(), Some(""));
}

#[test]
fn a_description_taken_away_gives_the_directory_the_first_file_s_name() {
    let (mut world, id) = notes();
    world.sh("echo > Notes/.gist/description");
    assert_eq!(world.list(""), ["a.txt"]);
    world.saved();
    assert_eq!(world.changes()[0].json(), json!({"description": ""}));
    world.sh("echo again > a.txt/.gist/description");
    world.saved();
    assert_eq!(world.server.description(&id).as_deref(), Some("again"));
}

#[test]
fn writing_the_same_description_again_sends_nothing() {
    let (mut world, _) = notes();
    world.sh("echo Notes > Notes/.gist/description");
    world.saved();
    assert_eq!(lines(&world.changes()), [""; 0]);
}

#[test]
fn with_write_through_closing_the_description_returns_the_answer_of_github() {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "a\n")]);
    world.mount(&["--write", "through"]);
    world.sh("echo Better > Notes/.gist/description");
    assert_eq!(world.server.description(&id).as_deref(), Some("Better"));
    let refused = FaultKind::Status { status: 403, headers: vec![], body: "{}".into() };
    world.server.inject(Fault { method: Some("PATCH".into()), ..Fault::once(refused) });
    fails_with(&world, "cp /etc/hostname Better/.gist/description", "Permission denied");
}

#[test]
fn the_description_is_edited_in_vim() {
    let (mut world, id) = notes();
    {
        let vim = Terminal::run(&world, "vim -c 'set backupskip=' Notes/.gist/description");
        vim.shows("Notes");
        vim.types("A by hand");
        vim.press(&["Escape"]);
        vim.shows("Notes by hand");
        vim.types(":w");
        vim.press(&["Enter"]);
        vim.shows("written");
        vim.types(":q");
        vim.press(&["Enter"]);
        vim.ended();
    }
    world.saved();
    assert_eq!(world.changes().len(), 1);
    assert_eq!(world.server.description(&id).as_deref(), Some("Notes by hand"));
    assert_eq!(world.list(""), ["Notes by hand", "canary 1"]);
}

#[test]
fn the_visibility_can_be_set_until_the_gist_is_on_github_and_then_not() {
    let (mut world, _) = notes();
    world.sh("mkdir New; echo public > New/.gist/visibility");
    assert_eq!(world.read("New/.gist/visibility"), "public\n");
    world.sh("echo text > New/a.txt");
    world.saved();
    let changes = world.changes();
    assert_eq!((changes.len(), &changes[0].json()["public"]), (1, &json!(true)));
    let complaint = world.fails("echo secret > New/.gist/visibility");
    assert!(complaint.contains("Operation not permitted"), "{complaint}");
    assert!(world.log().contains("GitHub cannot change whether a gist is public"));
    assert_eq!(world.read("New/.gist/visibility"), "public\n");
}

#[test]
fn what_is_not_on_github_yet_has_empty_values_and_no_star() {
    let (world, _) = notes();
    world.sh("mkdir New");
    let values = "cd New/.gist; cat id url git_url owner created updated gist.json forks";
    assert_eq!(asking(&world, values), (String::new(), vec![]));
    let known = "cd New/.gist; cat description visibility starred sync";
    assert_eq!(asking(&world, known), (format!("New\nsecret\n0\n{EMPTY}\n"), vec![]));
    fails_with(&world, "echo 1 > New/.gist/starred", "Operation not permitted");
    assert!(world.log().contains("what is not on GitHub has no stars"));
}

#[test]
fn nonsense_is_an_invalid_argument_that_the_log_explains() {
    let (mut world, _) = notes();
    world.sh("mkdir New");
    for (text, file) in [
        ("public\\nsecret\\n", "New/.gist/visibility"),
        ("Public\\n", "New/.gist/visibility"),
        ("2\\n", "Notes/.gist/starred"),
        ("1\\n\\n", "Notes/.gist/starred"),
        ("a\\0b\\n", "Notes/.gist/description"),
        ("\\377\\n", "Notes/.gist/description"),
    ] {
        let out = world.try_sh(&format!("printf '{text}' | dd of={file} status=none"));
        let complaint = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(complaint.contains("Invalid argument"), "{text} {file}: {}", said(&out));
    }
    for words in [
        r#"visibility of "New": "public\nsecret" is not "public" or "secret""#,
        r#"starred of "Notes": "2" is not 0 or 1"#,
        r#"description of "Notes": "a\0b" is not text"#,
    ] {
        assert!(world.log().contains(words), "{words}\n{}", world.log());
    }
    world.saved();
    assert_eq!(lines(&world.changes()), [""; 0]);
    assert_eq!(world.list(""), ["New", "Notes", "canary 1"]);
}

#[test]
fn a_shell_hears_of_what_is_refused_though_it_does_not_listen_to_close() {
    let (mut world, id) = notes();
    world.sh("mkdir New");
    for script in [
        "echo 2 > Notes/.gist/starred",
        "echo both > New/.gist/visibility",
        "printf '\\377\\n' > Notes/.gist/description",
    ] {
        // It has words of its own for what `write` answers.
        fails_with(&world, &format!("dash -c \"{script}\""), "I/O error");
        fails_with(&world, &format!("bash -c \"{script}\""), "Invalid argument");
    }
    let refused = FaultKind::Status { status: 403, headers: vec![], body: "{}".into() };
    world.server.inject(Fault { method: Some("PUT".into()), ..Fault::once(refused) });
    fails_with(&world, "bash -c 'echo 1 > Notes/.gist/starred'", "Permission denied");
    world.server.forget_requests();
    // Once, however it is appended and closed, and what was refused is forgotten.
    let script = "bash -c 'echo 1 > Notes/.gist/starred; { /bin/echo 0; } > Notes/.gist/starred'";
    let (_, sent) = asking(&world, script);
    let path = format!("/gists/{id}/star");
    assert_eq!(sent, [format!("PUT {path} 204"), format!("DELETE {path} 204")]);
    world.saved();
    assert_eq!(world.read("Notes/.gist/description"), "Notes\n");
}

#[test]
fn a_value_that_is_being_written_has_the_size_of_what_was_written() {
    let (world, _) = notes();
    let script = "import os; fd = os.open('Notes/.gist/description', os.O_RDWR); \
                  os.write(fd, b'A longer text'); print(os.fstat(fd).st_size); \
                  os.ftruncate(fd, 8); print(os.fstat(fd).st_size); os.close(fd)";
    assert_eq!(world.sh(&format!("python3 -c \"{script}\"")), "13\n8\n");
    assert_eq!(world.read("A longer/.gist/description"), "A longer\n");
}

#[test]
fn values_of_somebody_else_s_gist_keep_the_size_that_was_told() {
    let (world, _) = notes();
    let theirs = Seed { public: true, ..Seed::new("Theirs", &[("t.txt", "t\n")]) };
    let id = world.server.seed("hubot", theirs);
    let size = || world.sh(&format!("stat -c %s .by-id/{id}/.gist/id .by-id/{id}/.gist/gist.json"));
    world.sh(&format!("ls .by-id/{id}; cat .by-id/{id}/.gist/gist.json > $W/json"));
    let told = size();
    assert!(told.starts_with("33\n") && !told.ends_with("\n0\n"), "{told}");
    let asked = || asking(&world, &format!("cat .by-id/{id}/.gist/id")).1.len();
    wait_until("it is believed no longer", || asked() > 0);
    assert_eq!(size(), told);
}

#[test]
fn what_github_sets_cannot_be_written_and_nothing_be_made_or_removed_beside_it() {
    let (mut world, _) = notes();
    for file in ["id", "url", "created", "sync", "gist.json", "forks"] {
        fails_with(&world, &format!("echo x > Notes/.gist/{file}"), "Operation not permitted");
    }
    for script in [
        "echo x > Notes/.gist/new",
        "rm Notes/.gist/id",
        "mv Notes/.gist/id Notes/.gist/x",
        "mkdir Notes/.gist/new",
        "rmdir Notes/.gist",
        "mv Notes/.gist x",
    ] {
        fails_with(&world, script, "Read-only file system");
    }
    let modes = world.sh("cd Notes/.gist; stat -c %a description starred visibility id .");
    assert_eq!(modes, "600\n600\n600\n400\n700\n");
    world.saved();
    assert_eq!(lines(&world.changes()), [""; 0]);
}

#[test]
fn in_a_read_only_mount_values_read_and_none_is_written() {
    let (mut world, _) = notes();
    world.mount_again(&["--read-only"]);
    assert_eq!(world.sh("cat Notes/.gist/description Notes/.gist/starred"), "Notes\n0\n");
    for file in ["description", "starred", "visibility"] {
        fails_with(&world, &format!("echo 1 > Notes/.gist/{file}"), "Read-only file system");
    }
}

#[test]
fn a_star_is_asked_for_when_it_is_read_and_believed_for_a_moment() {
    let (world, id) = notes();
    let star = format!("GET /gists/{id}/star");
    assert_eq!(asking(&world, "cat Notes/.gist/starred"), ("0\n".into(), vec![star + " 404"]));
    assert_eq!(asking(&world, "cat Notes/.gist/starred"), ("0\n".into(), vec![]));
    world.server.star(&id, "octo").expect("a star");
    wait_until("it is asked for again", || world.read("Notes/.gist/starred") == "1\n");
}

#[test]
fn starring_is_one_put_and_taking_it_back_one_delete() {
    let (world, id) = notes();
    let (_, on) = asking(&world, "echo 1 > Notes/.gist/starred");
    assert_eq!(on, [format!("PUT /gists/{id}/star 204")]);
    assert_eq!(asking(&world, "cat Notes/.gist/starred"), ("1\n".into(), vec![]));
    let (_, off) = asking(&world, "printf 0 > Notes/.gist/starred");
    assert_eq!(off, [format!("DELETE /gists/{id}/star 204")]);
    assert_eq!(world.read("Notes/.gist/starred"), "0\n");
}

#[test]
fn a_star_given_anywhere_is_seen_everywhere_at_once() {
    let (world, _) = notes();
    assert_eq!(world.list(".starred"), [""; 0]);
    world.sh("echo 1 > Notes/.gist/starred");
    assert_eq!(world.list(".starred"), ["Notes"]);
    let out = world.gistfs(&["unstar"]).arg(world.path("Notes")).output().expect("gistfs runs");
    assert!(out.status.success(), "{}", said(&out));
    assert_eq!(world.read("Notes/.gist/starred"), "0\n");
    assert_eq!(world.list(".starred"), [""; 0]);
}

#[test]
fn a_star_whose_answer_is_lost_is_looked_for_before_it_counts_as_failed() {
    let (world, id) = notes();
    let path = format!("/gists/{id}/star");
    let inject = |kind| {
        let put = Fault { method: Some("PUT".into()), path: path.clone(), ..Fault::once(kind) };
        world.server.inject(put);
    };
    inject(FaultKind::LoseAnswer);
    let (_, sent) = asking(&world, "echo 1 | dd of=Notes/.gist/starred status=none");
    assert_eq!(sent, [format!("PUT {path} 0"), format!("GET {path} 204")]);
    world.sh("echo 0 > Notes/.gist/starred");
    inject(FaultKind::Drop);
    let complaint = world.fails("echo 1 | dd of=Notes/.gist/starred status=none");
    assert!(complaint.contains("No route to host"), "{complaint}");
    assert_eq!(world.read("Notes/.gist/starred"), "0\n");
}

#[test]
fn what_github_says_to_a_star_is_what_close_says() {
    let (world, _) = notes();
    for (status, words) in [
        (403, "Permission denied"),
        (404, "Permission denied"),
        (500, "Input/output error"),
        (422, "Input/output error"),
    ] {
        let refused = FaultKind::Status { status, headers: vec![], body: "{}".into() };
        world.server.inject(Fault { method: Some("PUT".into()), ..Fault::once(refused) });
        fails_with(&world, "echo 1 | dd of=Notes/.gist/starred status=none", words);
    }
    let limit = FaultKind::SecondaryLimit { retry_after: Some(std::time::Duration::from_secs(60)) };
    world.server.inject(Fault { method: Some("PUT".into()), ..Fault::once(limit) });
    fails_with(&world, "echo 1 | dd of=Notes/.gist/starred status=none", "Disk quota exceeded");
    assert_eq!(asking(&world, "cat Notes/.gist/id").1, [""; 0]);
}

#[test]
fn every_fork_is_a_line_whatever_page_it_is_on_and_pages_are_asked_for_by_their_etags() {
    let accounts = (0..101)
        .map(|n| Account::classic(&format!("user{n:03}"), &format!("token{n:03}"), &["gist"]));
    let default = ServerOptions::default();
    let accounts = default.accounts.iter().cloned().chain(accounts).collect();
    let mut world = World::with(ServerOptions { accounts, limits: Limits::none(), ..default });
    let id = world.seed("Notes", &[("a.txt", "a\n")]);
    world.mount(&[]);
    let forks = format!("/gists/{id}/forks");
    for number in 0..101 {
        api(&world, "POST", &forks, &format!("token{number:03}"));
    }
    let (out, asked_for) = asking(&world, "cat Notes/.gist/forks");
    assert_eq!(asked_for.len(), 2, "{asked_for:#?}");
    let lines: Vec<Vec<&str>> = out.lines().map(|line| line.split(' ').collect()).collect();
    let logins: Vec<&str> = lines.iter().map(|line| line[1]).collect();
    let expected: Vec<String> = (0..101).rev().map(|n| format!("user{n:03}")).collect();
    assert_eq!(logins, expected);
    for line in &lines {
        assert_eq!(line.len(), 4, "{line:?}");
        assert!(line[3].ends_with(line[0]) && line[2].ends_with('Z'), "{line:?}");
    }
    assert_eq!(asking(&world, "cat Notes/.gist/forks").1, [""; 0], "believed for five seconds");
    wait_until("they are asked for again", || {
        assert_eq!(world.read("Notes/.gist/forks"), out);
        !asked(&world).is_empty()
    });
    let again = world.server.requests();
    let statuses: Vec<u16> = again.iter().map(|r| r.status).collect();
    assert_eq!(statuses, [304, 304], "{:#?}", again.iter().map(shown).collect::<Vec<_>>());
}

#[test]
fn sync_says_what_status_says_and_a_line_for_each_file_that_is_owed() {
    let (mut world, _) = World::notes_without_git(&[("a.txt", "a\n"), ("b.txt", "b\n")]);
    world.sh("printf 'a\\0b' > Notes/nul.txt; mv Notes/b.txt Notes/c.txt; rm Notes/a.txt");
    wait_until("the rest is sent", || {
        world.read("Notes/.gist/sync").starts_with("local: ")
            && world.changes().iter().any(|r| r.method == "PATCH")
    });
    let gist = world.status()["owing"][0].clone();
    let file = gist["files"][0].clone();
    let (state, why) = (gist["state"].as_str().unwrap(), file["state"].as_str().unwrap());
    let expected = format!("{state}\nadded    \"nul.txt\"  {why}\n");
    assert_eq!(world.read("Notes/.gist/sync"), expected);
    world.sh("rm Notes/nul.txt");
    world.saved();
    assert_eq!(world.read("Notes/.gist/sync"), "clean\n");
}

#[test]
fn a_gist_that_is_gone_has_no_values() {
    let (world, _) = notes();
    let script = "cd Notes/.gist; cat id > /dev/null; rm -r ../../Notes; cat id";
    fails_with(&world, script, "No such file or directory");
    fails_with(&world, "cat Notes/.gist/id", "No such file or directory");
}

#[test]
fn somebody_else_s_gist_has_values_too_and_only_its_star_is_the_user_s_to_set() {
    let (world, _) = notes();
    let id = world.server.seed("hubot", Seed::new("Theirs", &[("a.txt", "a\n")]));
    let values = format!("cd .by-id/{id}/.gist; cat description id owner visibility sync");
    let (out, asked) = asking(&world, &values);
    assert_eq!(out, format!("Theirs\n{id}\nhubot\nsecret\nclean\n"));
    assert_eq!(asked, [format!("GET /gists/{id} 200")]);
    let script = format!("cd .by-id/{id}/.gist; stat * > /dev/null; cat starred; echo 1 > starred");
    let star = format!("/gists/{id}/star");
    let sent = vec![format!("GET {star} 404"), format!("PUT {star} 204")];
    assert_eq!(asking(&world, &script), ("0\n".to_owned(), sent));
    for value in ["description", "visibility"] {
        let script = format!("echo public > .by-id/{id}/.gist/{value}");
        fails_with(&world, &script, "Permission denied");
    }
    assert!(world.log().contains("is somebody else's"));
    fails_with(&world, &format!("echo x > .by-id/{id}/.gist/id"), "Operation not permitted");
    assert_eq!(world.read(&format!(".by-id/{id}/.gist/forks")), "");
    api(&world, "POST", &format!("/gists/{id}/forks"), "demo-token");
    wait_until("the fork is seen", || {
        world.read(&format!(".by-id/{id}/.gist/forks")).contains(" octo ")
    });
}

#[test]
fn without_a_network_what_was_asked_is_still_shown_and_the_rest_says_why_not() {
    let (mut world, network) = World::behind_a_network(ServerOptions::default());
    world.seed("Notes", &[("a.txt", "a\n")]);
    world.seed("Other", &[("a.txt", "a\n")]);
    world.mount(&["--refresh", "600"]);
    let values = "cat Notes/.gist/{starred,forks,gist.json,id,description}";
    let before = world.sh(values);
    network.turns(crate::proxy::Weather::Refused);
    fails_with(&world, "cat Other/.gist/starred", "No route to host");
    fails_with(&world, "cat Other/.gist/gist.json", "No route to host");
    assert_eq!(world.sh(values), before);
    fails_with(&world, "echo 1 | dd of=Notes/.gist/starred status=none", "No route to host");
    world.sh("echo Offline > Notes/.gist/description");
    assert_eq!(world.list(""), ["Offline", "Other"]);
    network.turns(crate::proxy::Weather::Fine);
    world.saved();
    assert_eq!(world.changes()[0].json(), json!({"description": "Offline"}));
}

#[test]
fn with_show_hidden_hidden_places_are_listed_and_otherwise_as_before() {
    let mut world = World::empty();
    world.seed("Notes", &[("a.txt", "a\n")]);
    world.mount(&["--show-hidden"]);
    let expected = [".by-id", ".gistfs", ".public", ".starred", ".users", "Notes"];
    assert_eq!(world.list(""), expected);
    assert_eq!(world.list("Notes"), [".gist", "a.txt"]);
    let (out, asked) = asking(&world, "ls -la Notes | wc -l; ls -a Notes");
    assert_eq!((out.as_str(), asked), ("5\n.\n..\n.gist\na.txt\n", vec![]));
    assert_eq!(world.sh("grep -rl octo Notes/.gist --include owner"), "Notes/.gist/owner\n");
    let inode = world.sh("stat -c %i Notes/.gist");
    assert_eq!(world.sh("ls -ai Notes | awk '$2 == \".gist\" {print $1}'"), inode);
    // What the kernel asks for in parts comes once, whatever is in it.
    world.sh("cd Notes; for i in {1..300}; do echo $i > 'a file with a rather long name '$i; done");
    assert_eq!(world.sh("ls -a Notes | sort | uniq -d; ls -a Notes | wc -l"), "304\n");
}

#[test]
fn where_hidden_places_are_listed_no_tool_deletes_posts_or_sets_anything() {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "a\n")]);
    let theirs = Seed { public: true, ..Seed::new("Theirs", &[("t.txt", "t\n")]) };
    let theirs = world.server.seed("hubot", theirs);
    for gist in [&id, &theirs] {
        world.server.comment(gist, "octo", "mine").expect("a comment");
        world.server.star(gist, "octo").expect("a star");
    }
    world.mount(&["--show-hidden"]);
    world.sh("mkdir Copy; cp -r Notes/. Copy/ || true; rsync -r Notes/ Copy/ || true");
    world.sh("rm -rf .starred/Theirs Notes || true");
    for script in [
        "echo 0 > Notes/.gist/starred",
        "rm Notes/.gist/comments/*",
        "echo x > Notes/.gist/comments/x.md",
    ] {
        fails_with(&world, script, "Read-only file system");
    }
    // GitHub has no gist without files.
    world.sh("echo b > Notes/b.txt");
    world.saved();
    let deeds = world.changes();
    assert!(
        !deeds.iter().any(|sent| sent.path.contains("star") || sent.path.contains("comment")),
        "{deeds:#?}"
    );
    assert_eq!(world.read("Copy/.gist/description"), "Copy\n");
}

#[test]
fn with_show_hidden_a_mount_of_one_gist_lists_its_values_and_an_anonymous_one_no_stars() {
    let mut world = World::empty();
    let seed = Seed { public: true, ..Seed::new("Notes", &[("a.txt", "a\n"), (".public", "p\n")]) };
    let id = world.server.seed("octo", seed);
    world.mount(&["--show-hidden", "--gist", &id]);
    let all = [".by-id", ".gist", ".gistfs", ".public", ".starred", ".users", "a.txt"];
    assert_eq!(world.list(""), all);
    assert_eq!(world.read(".public"), "p\n", "a file of the gist's own");
    fails_with(&world, "echo Better > .gist/description", "Read-only file system");
    world.unmount();
    world.token = "";
    world.mount(&["--show-hidden", "--user", "octo"]);
    assert_eq!(world.list(""), [".by-id", ".gistfs", ".public", ".users", "Notes"]);
    assert_eq!(world.sh("stat -c %F .by-id .gistfs Notes/.gist"), "directory\n".repeat(3));
    fails_with(&world, "cat Notes/.gist/starred", "Permission denied");
    assert_eq!(world.read("Notes/.gist/owner"), "octo\n");
}
