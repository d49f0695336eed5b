//! `--xattr`: the values of `.gist` as extended attributes, by the programs for them.

use gistfs::demo::Seed;
use gistfs::model::BlobId;
use serde_json::json;

use crate::world::{World, wait_until};

fn notes() -> (World, String) {
    notes_with(&["--xattr"])
}

fn notes_with(options: &[&str]) -> (World, String) {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.py", "a\n"), ("b.txt", "b\n")]);
    world.mount(options);
    world.server.forget_requests();
    (world, id)
}

/// What came to the server since requests were last forgotten.
fn asked(world: &World) -> Vec<String> {
    let line = |r: &gistfs::demo::LoggedRequest| format!("{} {}", r.method, r.path);
    world.server.requests().iter().map(line).collect()
}

#[track_caller]
fn get(world: &World, name: &str, path: &str) -> String {
    world.sh(&format!("getfattr --only-values -n user.gist.{name} {path}"))
}

#[track_caller]
fn fails_with(world: &World, script: &str, words: &str) {
    let complaint = world.fails(script);
    assert!(complaint.contains(words), "{script}: {complaint}");
}

#[test]
fn attributes_tell_what_the_files_in_gist_do_and_only_the_star_is_asked_for() {
    let (world, id) = notes();
    for (name, file) in [("id", "id"), ("url", "url"), ("description", "description")] {
        assert_eq!(get(&world, name, "Notes") + "\n", world.read(&format!("Notes/.gist/{file}")));
    }
    assert_eq!(
        (get(&world, "public", "Notes"), get(&world, "sync", "Notes")),
        ("0".into(), "clean".into())
    );
    assert_eq!(asked(&world), [""; 0]);
    assert_eq!(get(&world, "starred", "Notes"), "0");
    assert_eq!(asked(&world), [format!("GET /gists/{id}/star")]);
}

#[test]
fn attributes_of_a_file_tell_its_blob_language_address_and_how_it_stands() {
    let (mut world, id) = notes_with(&["--xattr", "--git", "none"]);
    let blob = BlobId::of(b"a\n").to_string();
    assert_eq!(get(&world, "blob", "Notes/a.py"), blob);
    assert_eq!(get(&world, "language", "Notes/a.py"), "Python");
    let raw = get(&world, "raw_url", "Notes/a.py");
    assert!(raw.contains(&id) && raw.contains(&blob), "{raw}");
    assert_eq!(get(&world, "sync", "Notes/a.py"), "clean");
    assert_eq!(asked(&world), [""; 0]);
    world.sh("printf 'x\\0y' > Notes/a.py; echo y > Notes/.a.swp");
    assert_eq!(get(&world, "blob", "Notes/a.py"), BlobId::of(b"x\0y").to_string());
    assert!(get(&world, "sync", "Notes/a.py").starts_with("local: "));
    assert_eq!(get(&world, "sync", "Notes/.a.swp"), "local: a scratch file, never sent");
    fails_with(&world, "getfattr -n user.gist.language Notes/.a.swp", "No such attribute");
    world.sh("echo b > Notes/a.py");
    world.saved();
    assert_eq!(get(&world, "sync", "Notes/a.py"), "clean");
}

#[test]
fn listing_attributes_names_those_there_are_that_nobody_can_set_and_asks_nobody() {
    let (world, _) = notes();
    world.sh("mkdir New; echo x > New/.a.swp");
    let list = |path: &str| {
        let out = world.sh(&format!("getfattr --absolute-names {path} | grep user || true"));
        out.split_whitespace()
            .map(|name| name.trim_start_matches("user.gist.").to_owned())
            .collect()
    };
    let names = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let all: [(&str, Vec<String>, Vec<String>); 4] = [
        ("Notes", list("Notes"), names("id sync url")),
        ("Notes/a.py", list("Notes/a.py"), names("blob language raw_url sync")),
        ("New", list("New"), names("sync")),
        ("New/.a.swp", list("New/.a.swp"), names("blob sync")),
    ];
    for (path, mut found, expected) in all {
        found.sort();
        assert_eq!(found, expected, "{path}");
    }
    assert_eq!(world.sh("getfattr . ; getfattr Notes/.gist; ls -l Notes > /dev/null"), "");
    assert_eq!(asked(&world), [""; 0]);
}

#[test]
fn somebody_else_s_gist_and_its_files_have_attributes_and_its_star_can_be_set() {
    let (world, _) = notes();
    let id = world.server.seed("hubot", Seed::new("Theirs", &[("a.py", "a\n")]));
    let gist = format!(".by-id/{id}");
    assert_eq!(get(&world, "description", &gist), "Theirs");
    assert_eq!(get(&world, "language", &format!("{gist}/a.py")), "Python");
    assert_eq!(get(&world, "blob", &format!("{gist}/a.py")), BlobId::of(b"a\n").to_string());
    assert_eq!(asked(&world), [format!("GET /gists/{id}")]);
    world.sh(&format!("setfattr -n user.gist.starred -v 1 {gist}"));
    assert_eq!(asked(&world)[1..], [format!("PUT /gists/{id}/star")]);
    let script = format!("setfattr -n user.gist.description -v x {gist}");
    fails_with(&world, &script, "Permission denied");
}

#[test]
fn setting_the_description_is_one_patch_and_setting_the_star_one_put() {
    let (mut world, id) = notes();
    world.sh("setfattr -n user.gist.starred -v 1 Notes");
    assert_eq!(asked(&world), [format!("PUT /gists/{id}/star")]);
    world.sh("setfattr -n user.gist.description -v 'By attribute' Notes");
    assert_eq!(world.list(""), ["By attribute"]);
    world.saved();
    assert_eq!(world.changes()[1].json(), json!({"description": "By attribute"}));
    assert_eq!(world.changes().len(), 2);
}

#[test]
fn a_gist_that_is_not_on_github_yet_can_be_made_public() {
    let (mut world, _) = notes();
    world.sh("mkdir New; setfattr -n user.gist.public -v 1 New; echo x > New/a.txt");
    assert_eq!(world.read("New/.gist/visibility"), "public\n");
    world.saved();
    assert_eq!(world.changes()[0].json()["public"], json!(true));
    fails_with(&world, "setfattr -n user.gist.public -v 0 New", "Operation not permitted");
}

#[test]
fn what_cannot_be_is_answered_as_ext4_would() {
    let (world, _) = notes();
    world.sh("mkdir New; echo x > New/.a.swp");
    for (script, words) in [
        ("getfattr -n user.other Notes", "No such attribute"),
        ("getfattr -n user.gist.blob Notes", "No such attribute"),
        ("getfattr -n user.gist.id .", "No such attribute"),
        ("getfattr -n security.selinux Notes/a.py", "No such attribute"),
        ("getfattr -n trusted.x Notes/a.py", "No such attribute"),
        ("getfattr -n other.x Notes/a.py", "Operation not supported"),
        ("setfattr -n user.other -v x Notes", "Operation not supported"),
        ("setfattr -n user.gist.other -v x Notes/a.py", "Operation not supported"),
        ("setfattr -n user.gist.id -v x Notes", "Operation not supported"),
        ("setfattr -n user.gist.blob -v x Notes/a.py", "Operation not supported"),
        ("setfattr -n user.gist.language -v x New/.a.swp", "Operation not supported"),
        ("setfattr -x user.gist.description Notes", "Operation not supported"),
        ("setfattr -x user.gist.blob Notes/a.py", "Operation not supported"),
        ("setfattr -x user.other Notes", "No such attribute"),
        ("setfattr -n user.gist.starred -v 2 Notes", "Invalid argument"),
    ] {
        fails_with(&world, script, words);
    }
    assert_eq!(asked(&world), [""; 0]);
}

#[test]
fn a_copy_that_takes_attributes_along_renames_publishes_and_unstars_nothing() {
    let (mut world, _) = notes();
    let seed = Seed { public: true, ..Seed::new("Public", &[("p.txt", "p\n")]) };
    let id = world.server.seed("octo", seed);
    world.server.star(&id, "octo").expect("a star");
    world.mount_again(&["--xattr"]);
    wait_until("it is listed", || world.list("").len() == 2);
    world.server.forget_requests();
    // Out of the mount and in again, within it, and over a gist that is there.
    world.sh("cp -a Public $W/out; echo more >> $W/out/p.txt; cp -a $W/out In");
    world.sh("cp -a Public Within; cp -a $W/out/p.txt Notes/; rsync -aX Notes/ $W/backup");
    // It complains of what cannot be set and is another here by now.
    world.sh("rsync -aX $W/backup/ Notes/ || [ $? = 23 ]");
    assert_eq!(world.list(""), ["In", "Notes", "Public", "Within"]);
    assert_eq!(world.sh("cat In/.gist/visibility Within/.gist/visibility"), "secret\nsecret\n");
    assert_eq!(world.read("In/p.txt"), "p\nmore\n");
    let asked = asked(&world);
    assert!(!asked.iter().any(|line| line.contains("/star")), "{asked:#?}");
    world.saved();
    assert!(world.changes().iter().all(|sent| sent.json()["public"] != json!(true)));
    assert_eq!(world.read("Public/.gist/starred"), "1\n");
}

#[test]
fn sizes_and_expectations_are_those_of_the_system_calls() {
    let (world, _) = notes();
    let script = r#"
import errno, os
class Failed(Exception): pass
def fails(number, call, *arguments):
    try: call(*arguments)
    except OSError as error: assert error.errno == number, error
    else: raise Failed(arguments)
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def get(size):
    room = ctypes.create_string_buffer(size or 1)
    got = libc.getxattr(b"Notes", b"user.gist.description", room if size else None, size)
    return got if got >= 0 else -ctypes.get_errno(), room.raw
def names(size):
    room = ctypes.create_string_buffer(size or 1)
    got = libc.listxattr(b"Notes", room if size else None, size)
    return got if got >= 0 else -ctypes.get_errno()
assert get(0)[0] == 5 and get(5) == (5, b"Notes") and get(4)[0] == -errno.ERANGE
whole = names(0)
assert whole == sum(len(name) + 1 for name in os.listxattr("Notes"))
assert names(whole) == whole and names(whole - 1) == -errno.ERANGE
fails(errno.EEXIST, os.setxattr, "Notes", "user.gist.description", b"x", os.XATTR_CREATE)
fails(errno.ENODATA, os.setxattr, "Notes", "user.other", b"x", os.XATTR_REPLACE)
os.setxattr("Notes", "user.gist.description", b"ends in a newline\n", os.XATTR_REPLACE)
assert os.getxattr("ends in a newline", "user.gist.description") == b"ends in a newline\n"
"#;
    std::fs::write(world.work().join("calls.py"), script).expect("a script");
    world.sh("python3 $W/calls.py");
}

#[test]
fn without_the_option_no_attribute_is_known_and_the_kernel_asks_once() {
    let (world, _) = World::notes(&[("a.txt", "a\n")]);
    for script in ["getfattr -n user.gist.id Notes", "setfattr -n user.gist.description -v x Notes"]
    {
        for _ in 0..2 {
            fails_with(&world, script, "Operation not supported");
        }
    }
    assert_eq!(world.list(""), ["Notes"]);
    assert!(!world.log().contains("xattr"), "{}", world.log());
}
