//! Other gists than one's own, and nobody's token: `--user`, `--gist`, `--starred`.

use std::path::PathBuf;

use gistfs::demo::{Fault, FaultKind, Limits, LoggedRequest, Origin, Seed, ServerOptions};
use gistfs::store::Store;

use crate::mounted::{Mount, detach};
use crate::world::{World, said, wait_until};

/// Quick to see what changes on the server.
const EAGER: [&str; 4] = ["--refresh", "0.5", "--read-lag", "0"];

fn public(description: &str, files: &[(&str, &str)]) -> Seed {
    Seed { public: true, ..Seed::new(description, files) }
}

/// A server with two public gists of hubot's, and nobody's token.
fn anonymous(options: ServerOptions) -> (World, [String; 2]) {
    // What is asked without a token is about github.com's limits.
    let mut world = World::github(options);
    let robot = world.server.seed("hubot", public("Robot", &[("r.txt", "robot\n")]));
    let other = world.server.seed("hubot", public("Other", &[("o.txt", "other\n")]));
    world.seed("Octo's", &[("x.txt", "x\n")]);
    world.token = "";
    (world, [robot, other])
}

fn asked_api(world: &World) -> Vec<LoggedRequest> {
    let mut all = world.server.requests();
    all.retain(|request| request.origin == Origin::Api);
    all
}

/// Everything that changes something fails, because the mount is read-only.
#[track_caller]
fn nothing_can_be_changed(world: &World, file: &str) {
    for script in [
        format!("echo x > {file}"),
        format!("echo x >> {file}"),
        format!("touch {file}-new"),
        format!("rm {file}"),
        format!("mv {file} {file}-2"),
        format!("truncate -s 0 {file}"),
        format!("chmod 600 {file}"),
        "mkdir New".to_owned(),
    ] {
        let said = world.fails(&script);
        assert!(said.contains("Read-only file system"), "{script}: {said}");
    }
    assert_eq!(world.changes().len(), 0);
}

/// `gistfs mount` with these options, which must fail; its exit code and what it said.
fn refused(world: &World, options: &[&str]) -> (Option<i32>, String) {
    let out = world.mount_command(options).output().expect("gistfs runs");
    (out.status.code(), said(&out))
}

/// A second mount of the same server, beside that of the world.
pub(crate) struct Beside {
    mount: Mount,
    pub(crate) point: PathBuf,
}

impl Beside {
    pub(crate) fn start(world: &mut World, name: &str, options: &[&str]) -> Self {
        let point = world.work().join(name);
        std::fs::create_dir(&point).expect("a directory");
        let mut command = world.gistfs(&["mount", "-f", "-v", "--write-interval", "0"]);
        command.args(["--write-back", "0.2", "--api-url", &world.server.api_url()]);
        command.arg("--state-dir").arg(world.state()).args(options).arg(&point);
        let log = world.next_log();
        Self { mount: Mount::start(&mut command, &point, log), point }
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.point.join(name)).unwrap_or_default()
    }

    pub(crate) fn end(mut self) {
        self.mount.signal(nix::sys::signal::Signal::SIGTERM);
        assert!(self.mount.ended().success(), "{}", self.mount.log());
        detach(&self.point);
    }
}

// --- without a token

#[test]
fn without_a_token_somebody_s_public_gists_are_read_and_nothing_can_be_changed() {
    let (mut world, _) = anonymous(ServerOptions::default());
    world.server.seed("hubot", Seed::new("Secret", &[("s.txt", "secret\n")]));
    world.mount(&["--user", "hubot"]);
    assert_eq!(world.list(""), ["Other", "Robot"]);
    assert_eq!(world.read("Robot/r.txt") + &world.read("Other/o.txt"), "robot\nother\n");
    nothing_can_be_changed(&world, "Robot/r.txt");
    assert!(world.fails("cat Robot/.gist/starred").contains("Permission denied"));
    for request in world.server.requests() {
        assert!(!request.has_token(), "{request:?}");
        let everybodys = request.path == "/gists" || request.path == "/gists/public";
        assert!(!everybodys && request.path != "/user", "{request:?}");
    }
    let status = world.gistfs(&["status"]).arg(world.point()).output().expect("gistfs runs");
    let told = said(&status);
    assert!(told.contains("the public gists of hubot on ") && told.contains("read-only"), "{told}");
    world.unmount();
    let status = world.gistfs(&["status", "--state-dir"]).arg(world.state()).output();
    let told = said(&status.expect("gistfs runs"));
    assert!(
        told.contains("the public gists of hubot on ") && told.contains("not mounted"),
        "{told}"
    );
}

#[test]
fn with_a_token_too_somebody_s_gists_are_the_public_ones_and_read_only() {
    let (mut world, _) = anonymous(ServerOptions::default());
    world.server.seed("octo", Seed::new("Secret", &[("s.txt", "secret\n")]));
    world.server.seed("octo", public("Public", &[("p.txt", "public\n")]));
    world.token = "demo-token";
    world.mount(&["--user", "octo"]);
    assert_eq!(world.list(""), ["Public"], "also one's own");
    nothing_can_be_changed(&world, "Public/p.txt");
}

#[test]
fn a_user_who_does_not_exist_is_named() {
    let (world, _) = anonymous(ServerOptions::default());
    let (code, said) = refused(&world, &["--user", "nobody-here"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("there is no user nobody-here"), "{said}");
    has_no_state(&world);
}

/// What could not be mounted is no account that `gistfs status` would tell of from now on.
#[track_caller]
fn has_no_state(world: &World) {
    let status = world.gistfs(&["status", "--state-dir"]).arg(world.state()).output();
    let told = said(&status.expect("gistfs runs"));
    assert!(told.contains("Nothing is mounted.") && !told.contains(" on "), "{told}");
}

#[test]
fn what_needs_a_token_says_so_and_asks_nothing() {
    let (world, _) = anonymous(ServerOptions::default());
    for options in [&[][..], &["--starred"]] {
        let (code, said) = refused(&world, options);
        assert_eq!(code, Some(4), "{said}");
        assert!(said.contains("there is no token") && said.contains("--user LOGIN"), "{said}");
    }
    assert_eq!(world.server.requests().len(), 0);
}

/// GitHub has done so for hours.
#[test]
fn a_server_that_answers_nobody_without_a_token_is_quoted() {
    let (mut world, _) = anonymous(ServerOptions::default());
    let refusal = || Fault {
        times: 1000,
        ..Fault::once(FaultKind::Status {
            status: 401,
            headers: vec![],
            body: r#"{"message":"Requires authentication","status":"401"}"#.into(),
        })
    };
    world.server.inject(refusal());
    let (code, said) = refused(&world, &["--user", "hubot"]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("only with a token (401): Requires authentication"), "{said}");
    assert!(said.contains("set GH_TOKEN"), "{said}");
    world.server.clear_faults();
    world.mount(&["--user", "hubot", "--refresh", "0.2"]);
    world.server.inject(refusal());
    wait_until("the log says so", || world.log().contains("Requires authentication"));
    assert_eq!(world.list(""), ["Other", "Robot"], "nothing is taken for gone");
}

/// Bodies cost no quota where their raw addresses work, and what is stored costs nothing at all.
#[test]
fn when_the_sixty_requests_are_used_up_what_is_stored_still_reads() {
    let limits = Limits { anonymous: Some(2), ..Limits::default() };
    let (mut world, _) = anonymous(ServerOptions { limits, ..ServerOptions::default() });
    world.mount(&["--user", "hubot", "--git", "none"]);
    // From now on bodies need the API.
    let no_raw = Fault { origin: Some(Origin::Raw), times: 1000, ..Fault::once(FaultKind::Html) };
    world.server.inject(no_raw);
    assert_eq!(world.read("Robot/r.txt"), "robot\n");
    for _ in 0..3 {
        let said = world.fails("cat Other/o.txt");
        assert!(said.contains("Disk quota exceeded"), "{said}");
        assert_eq!(world.read("Robot/r.txt"), "robot\n");
    }
    assert_eq!(world.list(""), ["Other", "Robot"]);
    let log = world.log();
    let told: Vec<&str> =
        log.lines().filter(|line| line.contains("nothing is sent before 20")).collect();
    assert_eq!(told.len(), 1, "it says once when it resets:\n{log}");
    assert!(told[0].contains("API rate limit exceeded"), "{told:?}");
    assert_eq!(asked_api(&world).len(), 3, "after the refusal nobody asks again");
    // The raw address works again: that was never counted.
    world.server.clear_faults();
    assert_eq!(world.read("Other/o.txt"), "other\n");
    assert_eq!(asked_api(&world).len(), 3);
}

#[test]
fn a_first_mount_that_meets_the_limit_says_until_when() {
    let limits = Limits { anonymous: Some(0), ..Limits::default() };
    let (world, _) = anonymous(ServerOptions { limits, ..ServerOptions::default() });
    let (code, said) = refused(&world, &["--user", "hubot"]);
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("wait until 20") && said.contains("with a token"), "{said}");
}

/// What a mount asks by itself without a token: the list, once in ten minutes.
#[test]
fn without_a_token_a_mount_that_ends_and_begins_again_asks_for_nothing() {
    let (mut world, _) = anonymous(ServerOptions::default());
    world.mount(&["--user", "hubot"]);
    assert_eq!(world.read("Robot/r.txt"), "robot\n");
    world.unmount();
    assert_eq!(asked_api(&world).len(), 1, "one list of one page");
    for _ in 0..3 {
        world.mount(&["--user", "hubot"]);
        assert_eq!(world.list("Robot"), ["r.txt"]);
        assert_eq!(world.read("Robot/r.txt") + &world.read("Other/o.txt"), "robot\nother\n");
        world.unmount();
    }
    assert_eq!(asked_api(&world).len(), 1);
    // Asked to, it looks; and not for the whole list.
    world.mount(&["--user", "hubot", "--refresh", "0.2"]);
    wait_until("it asks what is new", || asked_api(&world).len() > 2);
    assert!(asked_api(&world)[1..].iter().all(|request| request.query.contains("since=")));
}

// --- one gist

#[test]
fn one_gist_has_its_files_at_the_root_and_a_save_is_one_request() {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "alpha\n"), ("b.txt", "beta\n")]);
    world.seed("Not this", &[("n.txt", "no\n")]);
    world.mount(&["--gist", &id]);
    assert_eq!(world.list(""), ["a.txt", "b.txt"]);
    assert_eq!(world.read("a.txt"), "alpha\n");
    world.server.forget_requests();
    world.write("a.txt", "omega\n");
    settled(&world);
    let changes = world.changes();
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(changes[0].json()["files"]["a.txt"]["content"], "omega\n");
    world.sh("echo c > c.txt; mv b.txt d.txt; sed -i s/c/C/ c.txt");
    settled(&world);
    world.sh("rm a.txt");
    settled(&world);
    let texts: Vec<_> = world.texts(&id).into_iter().collect();
    assert_eq!(texts, [("c.txt".into(), "C\n".into()), ("d.txt".into(), "beta\n".into())]);
    assert!(world.fails("mkdir New").contains("Operation not permitted"));
    let lists = world.server.requests().iter().filter(|r| r.path == "/gists").count();
    assert_eq!(lists, 0, "nobody needs the list");
    let status = world.gistfs(&["status"]).arg(world.point()).output().expect("gistfs runs");
    assert!(said(&status).contains(&format!("the gist {id}, by octo on ")), "{}", said(&status));
    let sync = world.gistfs(&["sync"]).arg(world.point()).output().expect("gistfs runs");
    assert!(sync.status.success(), "{}", said(&sync));
    world.unmount();
}

/// Everything is on the server.
#[track_caller]
fn settled(world: &World) {
    wait_until("everything is saved", || world.status()["owing"] == serde_json::json!([]));
}

#[test]
fn one_gist_follows_what_changes_elsewhere_and_merges() {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "1\n2\n3\n4\n5\n")]);
    world.mount(&[&EAGER[..], &["--gist", &id, "--write-back", "600"]].concat());
    world.server.describe(&id, "Another name");
    world.server.commit(&id, &[("new.txt", Some(b"new\n"))]);
    wait_until("the new file is there", || world.list("") == ["a.txt", "new.txt"]);
    world.write("a.txt", "one\n2\n3\n4\n5\n");
    world.server.commit(&id, &[("a.txt", Some(b"1\n2\n3\n4\nfive\n"))]);
    let out = world.gistfs(&["sync"]).arg(world.point()).output().expect("gistfs runs");
    assert!(out.status.success(), "{}", said(&out));
    assert_eq!(world.read("a.txt"), "one\n2\n3\n4\nfive\n");
    assert_eq!(world.texts(&id)["a.txt"], "one\n2\n3\n4\nfive\n");
    assert_eq!(world.server.description(&id).as_deref(), Some("Another name"));
}

#[test]
fn one_gist_can_be_given_by_the_address_of_its_page() {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "alpha\n")]);
    let server = world.server.raw_url();
    let page = format!("{}/octo/{id}#file-a-txt", server.trim_end_matches('/'));
    world.mount(&["--gist", &page]);
    assert_eq!(world.read("a.txt"), "alpha\n");
    world.unmount();
    world.mount(&["-o", &format!("gist={id}")]);
    assert_eq!(world.list(""), ["a.txt"]);
}

#[test]
fn one_gist_is_not_asked_for_at_another_host_than_its_address_names() {
    let world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "alpha\n")]);
    for (address, why) in [
        (format!("https://ghe.example.com/gist/octo/{id}"), "but of ghe.example.com"),
        ("https://gist.github.com/octo".to_owned(), "a gist's id or address"),
        ("starred".to_owned(), "a gist's id or address"),
    ] {
        let (code, said) = refused(&world, &["--gist", &address]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(why), "{said}");
    }
    assert_eq!(world.server.requests().len(), 0);
}

/// GitHub lets people change their login; the token stays the same.
#[test]
fn one_s_own_gist_can_be_written_under_a_new_login() {
    let mut world = World::empty();
    let (id, robot) = (
        world.seed("Notes", &[("a.txt", "alpha\n")]),
        world.server.seed("hubot", public("Robot", &[("r.txt", "robot\n")])),
    );
    world.mount(&["--gist", &id]);
    world.unmount();
    // As it was remembered before.
    let accounts = world.state().join(host(&world)).join("accounts.json");
    let remembered = std::fs::read_to_string(&accounts).expect("accounts");
    let before = remembered.replace("\"octo\"", "\"cato\"");
    assert_ne!(before, remembered);
    std::fs::write(&accounts, before).expect("accounts");
    let asked = |world: &World| {
        // An old server refuses what names a version; the same is asked again without.
        let answered = |r: &&LoggedRequest| r.path == "/user" && r.status != 400;
        world.server.requests().iter().filter(answered).count()
    };
    for _ in 0..2 {
        world.mount(&["--gist", &id]);
        world.write("a.txt", "omega\n");
        settled(&world);
        let account = world.status()["account"].clone();
        assert_eq!(account, format!("gist.{id}.cato"), "the state has its name");
        world.unmount();
        assert_eq!(asked(&world), 2, "at first, and again before it would be said");
    }
    assert_eq!(world.texts(&id)["a.txt"], "omega\n");
    world.mount(&["--gist", &robot]);
    assert!(world.fails("echo x > r.txt").contains("Read-only file system"));
    assert!(world.status()["read_only"].to_string().contains("not yours"));
}

#[test]
fn somebody_else_s_gist_is_read_only_with_a_token_and_without() {
    let (mut world, [robot, _]) = anonymous(ServerOptions::default());
    let secret = world.server.seed("hubot", Seed::new("Secret", &[("s.txt", "secret\n")]));
    for token in ["demo-token", ""] {
        world.token = token;
        for (id, file, text) in [(&robot, "r.txt", "robot\n"), (&secret, "s.txt", "secret\n")] {
            world.server.forget_requests();
            world.mount(&["--gist", id]);
            assert_eq!(
                (world.list(""), world.read(file)),
                (vec![file.to_owned()], text.to_owned())
            );
            nothing_can_be_changed(&world, file);
            let why = if token.is_empty() { "there is no token" } else { "not yours" };
            let read_only = world.status()["read_only"].to_string();
            assert!(read_only.contains(why) && world.log().contains(why), "{read_only}");
            let tokens = world.server.requests().iter().any(LoggedRequest::has_token);
            assert_eq!(tokens, !token.is_empty());
            world.unmount();
        }
    }
}

#[test]
fn a_gist_that_is_not_there_is_not_mounted() {
    let world = World::empty();
    for _ in 0..2 {
        let (code, said) = refused(&world, &["--gist", "0123456789abcdef0123"]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("there is no such gist"), "{said}");
        has_no_state(&world);
    }
}

#[test]
fn when_the_one_gist_is_deleted_elsewhere_the_mount_is_empty() {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "alpha\n")]);
    let options = [&EAGER[..], &["--gist", &id]].concat();
    world.mount(&options);
    assert_eq!(world.read("a.txt"), "alpha\n");
    world.server.remove(&id);
    wait_until("it is gone here too", || world.list("").is_empty());
    for script in ["touch b.txt", "mkdir New"] {
        assert!(world.fails(script).contains("Operation not permitted"), "{script}");
    }
    assert!(world.log().contains("is gone from GitHub"), "{}", world.log());
    world.unmount();
    let (code, said) = refused(&world, &options);
    assert_eq!(code, Some(1), "{said}");
}

/// As in every mount: what was changed here is not lost because it was deleted there.
#[test]
fn when_the_one_gist_is_deleted_elsewhere_and_changed_here_it_is_made_anew() {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "alpha\n"), ("b.txt", "beta\n")]);
    world.mount(&[&EAGER[..], &["--gist", &id]].concat());
    assert_eq!(world.read("a.txt") + &world.read("b.txt"), "alpha\nbeta\n");
    world.server.remove(&id);
    world.write("a.txt", "omega\n");
    wait_until("it is made anew", || world.server.gist_ids("octo").len() == 1);
    settled(&world);
    let new = world.server.gist_ids("octo").remove(0);
    assert_ne!(new, id);
    assert_eq!(world.texts(&new)["a.txt"], "omega\n");
    assert_eq!(world.read("a.txt"), "omega\n");
    // The mount goes on with it, and follows what changes there.
    world.server.commit(&new, &[("c.txt", Some(b"gamma\n"))]);
    wait_until("it follows", || world.list("").contains(&"c.txt".to_owned()));
    world.write("c.txt", "delta\n");
    settled(&world);
    assert_eq!(world.texts(&new)["c.txt"], "delta\n");
    assert_eq!(world.server.gist_ids("octo"), [new]);
}

#[test]
fn what_is_not_sent_of_one_gist_goes_with_its_next_mount() {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "alpha\n")]);
    world.mount(&["--gist", &id, "--write-back", "600"]);
    world.write("a.txt", "omega\n");
    world.crash();
    let status = world.gistfs(&["status", "--state-dir"]).arg(world.state()).output();
    let told = said(&status.expect("gistfs runs"));
    assert!(
        told.contains(&format!("the gist {id}, by octo on ")) && told.contains("a.txt"),
        "{told}"
    );
    world.mount(&["--gist", &id]);
    settled(&world);
    assert_eq!(world.texts(&id)["a.txt"], "omega\n");
}

#[test]
fn a_file_removed_from_the_one_gist_comes_back_from_the_trash() {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "alpha\n"), ("b.txt", "beta\n")]);
    world.mount(&["--gist", &id]);
    world.sh("echo new > n.txt; rm n.txt");
    let restore =
        world.gistfs(&["trash", "restore", "--all"]).arg("--mount").arg(world.point()).output();
    let restore = restore.expect("gistfs runs");
    assert!(restore.status.success(), "{}", said(&restore));
    settled(&world);
    assert_eq!(world.list(""), ["a.txt", "b.txt", "n.txt"]);
    assert_eq!(world.texts(&id)["n.txt"], "new\n");
}

// --- starred gists

#[test]
fn starred_gists_mount_read_only_and_follow_the_stars() {
    let (mut world, [robot, other]) = anonymous(ServerOptions::default());
    world.token = "demo-token";
    world.server.star(&robot, "octo").expect("a star");
    world.mount(&[&EAGER[..], &["--starred"]].concat());
    assert_eq!(world.list(""), ["Robot"]);
    assert_eq!(world.read("Robot/r.txt"), "robot\n");
    nothing_can_be_changed(&world, "Robot/r.txt");
    world.server.star(&other, "octo").expect("a star");
    wait_until("the new star shows", || world.list("") == ["Other", "Robot"]);
    assert!(world.server.requests().iter().all(|request| request.path != "/gists"));
    let status = world.gistfs(&["status"]).arg(world.point()).output().expect("gistfs runs");
    assert!(said(&status).contains("the gists octo starred on "), "{}", said(&status));
    let api = world.server.api_url();
    let url = format!("{api}/gists/{robot}/star");
    let client = reqwest::blocking::Client::builder().no_proxy().build().expect("a client");
    let request = client.delete(url).bearer_auth("demo-token").header("user-agent", "gistfs-test");
    assert_eq!(request.send().expect("an answer").status(), 204);
    wait_until("the star taken back shows", || world.list("") == ["Other"]);
}

// --- together

#[test]
fn of_user_gist_and_starred_one_excludes_the_others() {
    let world = World::empty();
    for options in [
        &["--user", "x", "--gist", "1"][..],
        &["--gist", "1", "--starred"],
        &["--starred", "-o", "user=x"],
    ] {
        let (code, said) = refused(&world, options);
        assert_eq!(code, Some(2), "{said}");
    }
    assert_eq!(world.server.requests().len(), 0);
}

/// Each has a state of its own: to each other they are two machines.
#[test]
fn an_account_and_one_of_its_gists_are_mounted_side_by_side() {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "alpha\n"), ("b.txt", "beta\n")]);
    let robot = world.server.seed("hubot", public("Robot", &[("r.txt", "robot\n")]));
    world.server.star(&robot, "octo").expect("a star");
    world.mount(&["--refresh", "0.5"]);
    let one = Beside::start(&mut world, "one", &["--refresh", "0.5", "--gist", &id]);
    let starred = Beside::start(&mut world, "starred", &["--starred"]);
    let theirs = Beside::start(&mut world, "theirs", &["--user", "hubot"]);
    assert_eq!(
        (starred.read("Robot/r.txt"), theirs.read("Robot/r.txt")),
        ("robot\n".into(), "robot\n".into())
    );

    world.write("Notes/a.txt", "from the account\n");
    wait_until("the one gist shows it", || one.read("a.txt") == "from the account\n");
    std::fs::write(one.point.join("b.txt"), "from the gist\n").expect("it writes");
    wait_until("the account shows it", || world.read("Notes/b.txt") == "from the gist\n");

    let out = world.gistfs(&["status", "--json"]).output().expect("gistfs runs");
    let all: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    let mut accounts: Vec<String> = all
        .as_array()
        .expect("a list")
        .iter()
        .map(|status| status["account"].as_str().expect("a name").to_owned())
        .collect();
    accounts.sort();
    assert_eq!(accounts, [&format!("gist.{id}.octo"), "octo", "starred.octo", "user.hubot"]);
    let states = world.state().join(host(&world));
    for account in &accounts {
        assert!(Store::holder(&states.join(account)).is_some(), "{account}");
    }
    // The same gist twice is one too many.
    let second = world.mount_command(&["--gist", &id]).output().expect("gistfs runs");
    assert!(!second.status.success(), "{}", said(&second));
    for mount in [one, starred, theirs] {
        mount.end();
    }
    world.unmount();
}

fn host(world: &World) -> String {
    let api = world.server.api_url();
    api.split('/').nth(2).expect("a host").to_owned()
}

// --- hosts

/// `--api-url` counts before `--host`, and that before GH_HOST; each has tokens of its own.
#[test]
fn the_host_is_the_one_that_was_named_last_and_gets_no_other_host_s_token() {
    let world = World::empty();
    let said_by = |options: &[&str], environment: &[(&str, &str)]| {
        let mut command = world.gistfs(&["mount", "--foreground", "--state-dir"]);
        command.arg(world.state()).args(options).arg(world.point());
        command.envs(environment.iter().copied());
        let out = command.output().expect("gistfs runs");
        assert!(!out.status.success());
        said(&out)
    };
    let enterprise = ("GH_HOST", "ghe.invalid");
    let said = said_by(&[], &[enterprise]);
    assert!(said.contains("there is no token for ghe.invalid"), "GH_TOKEN is another's: {said}");
    let token = ("GH_ENTERPRISE_TOKEN", "secret");
    let said = said_by(&[], &[enterprise, token]);
    assert!(said.contains("ghe.invalid") && !said.contains("no token"), "{said}");
    let said = said_by(&["--host", "other.invalid"], &[enterprise, token]);
    assert!(said.contains("other.invalid") && !said.contains("ghe.invalid"), "{said}");
    let url = ["--host", "other.invalid", "--api-url", "https://third.invalid/api/v3"];
    let said = said_by(&url, &[enterprise, token]);
    assert!(said.contains("third.invalid") && !said.contains("other.invalid"), "{said}");
    for options in [
        &["--api-url", "http://ghe.invalid/api/v3"][..],
        &["--user", "x", "--api-url", "http://ghe.invalid"],
    ] {
        let said = said_by(options, &[token]);
        assert!(said.contains("will not talk to ghe.invalid over http"), "{said}");
    }
    assert_eq!(world.server.requests().len(), 0);
}
