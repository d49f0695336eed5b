//! What GitHub need not hear of sends nothing, and what a gist cannot do fails in plain words.

use gistfs::demo::Seed;

use crate::outcome::shown;
use crate::world::{World, said};

/// Runs `script` and expects no request that changes anything.
#[track_caller]
fn sends_nothing(script: &str) -> World {
    sends_nothing_from(World::notes(FILES), script)
}

const FILES: &[(&str, &str)] = &[("a.txt", "alpha\n"), ("b.txt", "beta\n")];

#[track_caller]
fn sends_nothing_from((mut world, id): (World, String), script: &str) -> World {
    world.sh(script);
    expect_nothing_sent(&mut world);
    assert_eq!(world.server.commits(&id).len(), 1);
    world
}

#[track_caller]
fn expect_nothing_sent(world: &mut World) {
    // Something may stay behind here (a blank file), so only the canaries tell that time passed:
    // a removal waits twice as long as they do.
    world.canary();
    world.canary();
    let changes: Vec<String> = world.changes().iter().map(shown).collect();
    assert!(changes.is_empty(), "{changes:#?}");
}

#[test]
fn touching_sends_nothing_and_the_time_stays() {
    let world = sends_nothing("touch -d '2020-02-02 02:02:02 UTC' Notes/a.txt; touch Notes/b.txt");
    assert_eq!(world.sh("stat -c %Y Notes/a.txt"), "1580608922\n");
}

#[test]
fn modes_and_owners_send_nothing_and_stay() {
    let mut world = sends_nothing("chmod 640 Notes/a.txt; chown $(id -u):$(id -g) Notes/a.txt");
    assert_eq!(world.sh("stat -c %a Notes/a.txt"), "640\n");
    world.unmount();
    world.mount(&[]);
    assert_eq!(world.sh("stat -c %a Notes/a.txt Notes/b.txt"), "640\n600\n");
}

#[test]
fn an_emptied_or_empty_file_stays_here_without_git() {
    let script = "touch Notes/new.txt; > Notes/a.txt; printf '\\n \\n' > Notes/b.txt";
    let world = sends_nothing_from(World::notes_without_git(FILES), script);
    assert_eq!(world.read("Notes/a.txt"), "");
    assert_eq!(world.read("Notes/b.txt"), "\n \n");
    let status = world.status();
    let owing = status["owing"].as_array().expect("a list");
    let notes = owing.iter().find(|gist| gist["title"] == "Notes").expect("it is owed");
    let state = notes["state"].as_str().expect("a state");
    assert!(state.starts_with("local: "), "{status:#}");
    let files = notes["files"].as_array().expect("files");
    assert_eq!(files.len(), 3, "{status:#}");
}

#[test]
fn an_emptied_file_that_is_filled_again_is_one_patch_without_git() {
    let (mut world, id) = World::notes_without_git(&[("a.txt", "alpha\n")]);
    world.sh("> Notes/a.txt");
    world.canary();
    world.sh("echo omega >> Notes/a.txt");
    world.saved_as(&id, &serde_json::json!({"a.txt": {"content": "omega\n"}}));
}

#[test]
fn locks_send_nothing_and_lock() {
    let world = sends_nothing(
        "exec 9< Notes/a.txt; flock 9; ! flock --nonblock Notes/a.txt true; flock Notes/b.txt true",
    );
    let python = "import fcntl; f = open('Notes/a.txt', 'r+'); fcntl.lockf(f, fcntl.LOCK_EX)";
    world.sh(&format!("python3 -c \"{python}\""));
}

#[test]
fn links_and_devices_are_refused() {
    let (mut world, _) = World::notes(&[("a.txt", "alpha\n")]);
    for script in [
        "ln -s a.txt Notes/link",
        "ln Notes/a.txt Notes/link",
        "mkfifo Notes/link",
        "ln -s Notes link",
    ] {
        let complaint = world.fails(script);
        assert!(complaint.contains("Operation not permitted"), "{script}: {complaint}");
    }
    expect_nothing_sent(&mut world);
    assert!(world.log().contains("a gist holds no symbolic links"), "the log says why");
}

#[test]
fn directories_in_a_gist_and_files_beside_gists_are_refused() {
    let (mut world, _) = World::notes(&[("a.txt", "alpha\n")]);
    for script in ["mkdir Notes/sub", "echo x > file", "cp Notes/a.txt .", "mv Notes/a.txt a.txt"] {
        let complaint = world.fails(script);
        assert!(complaint.contains("Operation not permitted"), "{script}: {complaint}");
    }
    assert_eq!(world.read("Notes/a.txt"), "alpha\n");
    expect_nothing_sent(&mut world);
    assert_eq!(world.list("").len(), 3);
}

#[test]
fn moving_a_gist_into_another_is_refused_and_changes_nothing() {
    let mut world = World::empty();
    let one = world.seed("One", &[("a.txt", "a\n")]);
    world.seed("Two", &[("b.txt", "b\n")]);
    world.mount(&[]);
    world.fails("mv One Two/");
    expect_nothing_sent(&mut world);
    world.same_on_both_sides(&one, "One");
}

#[test]
fn git_is_told_plainly_that_a_gist_holds_no_repository_and_nothing_is_sent() {
    let (mut world, _) = World::notes(&[("a.txt", "alpha\n")]);
    world.sh(
        "git init -q $W/source && cd $W/source && git -c user.name=a -c user.email=a@b commit \
              -q --allow-empty -m first",
    );
    for script in
        ["git init Notes", "git clone $W/source Notes/clone", "git clone $W/source", "git init New"]
    {
        let out = world.try_sh(script);
        assert_eq!(out.status.code().map(|code| code != 0), Some(true), "{script}: {}", said(&out));
        let complaint = String::from_utf8_lossy(&out.stderr);
        assert!(complaint.contains("Operation not permitted"), "{script}: {complaint}");
    }
    assert!(!world.list("").contains(&"source".to_owned()), "git tidies up after itself");
    expect_nothing_sent(&mut world);
}

#[test]
fn programs_that_ask_for_more_than_a_gist_has_carry_on() {
    let world = sends_nothing(
        "ls -lR > /dev/null; cp -a Notes/a.txt $W/; getfacl -s Notes/a.txt || true; df . > /dev/null; \
         test -w Notes/a.txt; find . -newer Notes/a.txt > /dev/null; fallocate -n -l 10 Notes/a.txt",
    );
    assert_eq!(world.read("Notes/a.txt"), "alpha\n");
}

#[test]
fn a_read_only_mount_refuses_every_change_with_erofs() {
    let mut world = World::empty();
    world.seed("Notes", &[("a.txt", "alpha\n")]);
    world.mount(&["--read-only"]);
    for script in [
        "echo x > Notes/a.txt",
        "rm Notes/a.txt",
        "mkdir New",
        "mv Notes Other",
        "touch Notes/a.txt",
    ] {
        let complaint = world.fails(script);
        assert!(complaint.contains("Read-only file system"), "{script}: {complaint}");
    }
    assert_eq!(world.read("Notes/a.txt"), "alpha\n");
}

#[test]
fn a_token_without_the_scope_mounts_read_only_and_says_so() {
    let mut world = World::empty();
    // Such a token does not see secret gists.
    let notes = Seed { public: true, ..Seed::new("Notes", &[("a.txt", "alpha\n")]) };
    world.server.seed("octo", notes);
    let token = world.home().join("token");
    std::fs::write(&token, "noscope-token\n").expect("a file");
    world.mount(&["--token-file", token.to_str().expect("a path")]);
    assert!(world.log().contains("lacks the scope \"gist\""), "{}", world.log());
    for script in ["echo x > Notes/a.txt", "printf '\\377' > Notes/b.bin"] {
        assert!(world.fails(script).contains("Read-only file system"), "{script}");
    }
    assert_eq!(world.asked_of_git(), [""; 0]);
}
