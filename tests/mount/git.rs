//! Contents that REST cannot carry go by git, and come back byte for byte.

use gistfs::demo::Seed;

use crate::pushed::{Files, contents, expect_same, files_in, image, noise};
use crate::world::{World, said};

/// Nothing is sent before it is asked for.
const WHEN_ASKED: &[&str] = &["--write-back", "600", "--refresh", "3600"];

/// `Notes` with `a.txt`, and its id.
fn notes() -> (World, String) {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "alpha\n")]);
    world.mount(WHEN_ASKED);
    (world, id)
}

/// The one gist there is besides those.
#[track_caller]
fn only_other(world: &World, known: &[&str]) -> String {
    let mut ids = world.server.gist_ids("octo");
    ids.retain(|id| !known.contains(&id.as_str()));
    assert_eq!(ids.len(), 1, "one gist was made");
    ids.remove(0)
}

fn with(files: &Files, name: &str, bytes: &[u8]) -> Files {
    let mut files = files.clone();
    files.insert(name.to_owned(), bytes.to_vec());
    files
}

#[test]
fn every_content_arrives_and_comes_back_one_commit_a_change() {
    let (mut world, id) = notes();
    let mut there = Files::from([("a.txt".to_owned(), b"alpha\n".to_vec())]);
    for (number, (name, bytes)) in contents().into_iter().enumerate() {
        let one = Files::from([(name, bytes)]);
        world.put("Notes", &one);
        world.synced();
        there.extend(one);
        expect_same("GitHub", &world.server.files(&id).expect("the gist"), &there);
        assert_eq!(world.server.commits(&id).len(), number + 2, "one commit a change");
    }
    world.expect_tidy();
    world.same_everywhere(&id, "Notes", &there);
}

#[test]
fn all_contents_changed_together_are_one_push() {
    let (mut world, id) = notes();
    world.server.forget_requests();
    let files = contents();
    world.put("Notes", &files);
    world.sh("echo omega > Notes/a.txt");
    world.synced();
    assert_eq!((world.pushes(), world.told_api("PATCH"), world.told_api("POST")), (1, 0, 0));
    assert_eq!(world.server.commits(&id).len(), 2);
    world.expect_tidy();
    world.same_everywhere(&id, "Notes", &with(&files, "a.txt", b"omega\n"));
}

#[test]
fn a_new_gist_is_made_by_rest_with_what_it_carries_and_completed_by_one_push() {
    let mut world = World::empty();
    world.mount(WHEN_ASKED);
    world.sh("mkdir New");
    let files = contents();
    world.put("New", &files);
    world.synced();
    assert_eq!((world.told_api("POST"), world.pushes(), world.told_api("PATCH")), (1, 1, 0));
    let id = only_other(&world, &[]);
    let commits = world.server.commits(&id);
    assert_eq!(commits.len(), 2);
    let first: Vec<String> = world.server.files_at(&id, &commits[1]).into_keys().collect();
    assert_eq!(first, ["bom.txt", "exact.txt", "text.txt"]);
    world.expect_tidy();
    world.same_everywhere(&id, "New", &files);
}

#[test]
fn a_new_gist_that_rest_carries_nothing_of_shows_its_placeholder_nowhere() {
    for (name, bytes) in [("a.png", image(3000, 7)), ("empty", Vec::new())] {
        let mut world = World::empty();
        world.mount(WHEN_ASKED);
        world.sh("mkdir New");
        let files = Files::from([(name.to_owned(), bytes)]);
        world.put("New", &files);
        world.synced();
        assert_eq!(
            (world.told_api("POST"), world.pushes(), world.told_api("PATCH")),
            (1, 1, 0),
            "{name}"
        );
        assert_eq!(world.list("New"), [name]);
        let id = only_other(&world, &[]);
        assert_eq!(world.server.commits(&id).len(), 2);
        world.same_everywhere(&id, "New", &files);
        assert_eq!(world.list("New"), [name]);
    }
}

/// What the mount's process needs of memory (`VmRSS`), or needed at most (`VmHWM`), in MiB.
fn memory(world: &mut World, field: &str) -> u64 {
    let path = format!("/proc/{}/status", world.mounted().pid());
    let status = std::fs::read_to_string(path).expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("Linux tells");
    let kib = line.trim_start_matches(':').trim().trim_end_matches(" kB").trim().parse::<u64>();
    kib.expect("a number") >> 10
}

#[test]
fn nine_eleven_and_sixty_megabytes_arrive_and_come_back() {
    let (mut world, id) = notes();
    let idle = memory(&mut world, "VmRSS");
    let megabytes = [(9, "nine.bin"), (11, "eleven.bin"), (60, "sixty.bin")];
    let large = |(size, name): (usize, &str)| (name.to_owned(), noise(size << 20, size as u64));
    let files: Files = megabytes.into_iter().map(large).collect();
    world.put("Notes", &files);
    world.server.forget_requests();
    world.synced();
    assert_eq!((world.pushes(), world.told_api("PATCH")), (1, 0));
    assert_eq!(world.server.commits(&id).len(), 2);
    world.expect_tidy();
    let written = memory(&mut world, "VmHWM");
    world.same_everywhere(&id, "Notes", &with(&files, "a.txt", b"alpha\n"));
    world.expect_tidy();
    let read = memory(&mut world, "VmHWM");
    println!("{idle} MiB idle, at most {written} while they were written, {read} while read");
    assert!(written.max(read) < idle + 20, "{idle} MiB idle, {written} written, {read} read");
}

#[test]
fn a_gist_of_350_files_arrives_shows_all_and_changes_past_what_the_api_shows() {
    let mut world = World::empty();
    world.mount(WHEN_ASKED);
    world.sh("mkdir Many; for n in {100..449}; do echo file $n > Many/f$n.txt; done");
    let mut files: Files =
        (100..450).map(|n| (format!("f{n}.txt"), format!("file {n}\n").into_bytes())).collect();
    world.synced();
    let id = only_other(&world, &[]);
    assert!(world.server.commits(&id).len() <= 2, "made, and at most completed");
    world.same_everywhere(&id, "Many", &files);
    let commits = world.server.commits(&id).len();
    // One file that every answer shows, one that none does, one that goes, one that comes.
    world.mount_again(WHEN_ASKED);
    world.server.forget_requests();
    world.sh("echo one > Many/f100.txt; echo two > Many/f449.txt; rm Many/f448.txt; mv Many/f447.txt Many/z");
    world.synced();
    assert_eq!((world.pushes(), world.told_api("PATCH")), (1, 0));
    assert_eq!(world.server.commits(&id).len(), commits + 1);
    files.remove("f448.txt");
    let moved = files.remove("f447.txt").expect("a file");
    files.insert("z".to_owned(), moved);
    files.insert("f100.txt".to_owned(), b"one\n".to_vec());
    files.insert("f449.txt".to_owned(), b"two\n".to_vec());
    world.same_everywhere(&id, "Many", &files);
    assert_eq!(world.list("Many").len(), 349);
}

/// The push looks once, fetches once and pushes once; nothing is asked afterwards.
#[test]
fn text_and_binary_changed_together_are_one_push_and_text_alone_one_patch() {
    let (mut world, id) = notes();
    world.server.forget_requests();
    world.sh("echo beta > Notes/b.txt");
    world.synced();
    assert_eq!(world.asked_about(&id), ["GET", "PATCH"]);
    assert_eq!(world.asked_of_git(), Vec::<String>::new());
    world.server.forget_requests();
    world.sh(
        "echo omega > Notes/a.txt; printf 'a\\0b' > Notes/nul.dat; printf 'a\\r\\n' > Notes/crlf",
    );
    world.synced();
    assert_eq!((world.pushes(), world.told_api("PATCH")), (1, 0));
    assert_eq!(
        world.asked_about(&id),
        [
            "GET",
            "GET info/refs git-upload-pack",
            "POST git-upload-pack",
            "POST git-upload-pack",
            "GET info/refs git-receive-pack 401",
            "GET info/refs git-receive-pack",
            "POST git-receive-pack",
        ]
    );
    assert_eq!(world.server.commits(&id).len(), 3);
    world.server.forget_requests();
    world.sh("echo more >> Notes/a.txt");
    world.synced();
    assert_eq!(world.asked_about(&id), ["GET", "PATCH"]);
    assert_eq!(world.server.commits(&id).len(), 4);
    let files = [
        ("a.txt", &b"omega\nmore\n"[..]),
        ("b.txt", b"beta\n"),
        ("crlf", b"a\r\n"),
        ("nul.dat", b"a\0b"),
    ];
    let files = files.map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).into();
    world.same_everywhere(&id, "Notes", &files);
}

/// GitHub has the bytes, so their new name needs none of them.
#[test]
fn a_renamed_binary_is_one_patch() {
    let mut world = World::empty();
    let png = image(50_000, 1);
    let files = vec![("a.png".to_owned(), png.clone()), ("b.txt".to_owned(), b"b\n".to_vec())];
    let description = Some("Notes".to_owned());
    let id = world.server.seed("octo", Seed { description, files, ..Seed::default() });
    world.mount(WHEN_ASKED);
    world.server.forget_requests();
    world.sh("mv Notes/a.png Notes/c.png");
    world.synced();
    assert_eq!((world.pushes(), world.told_api("PATCH")), (0, 1));
    assert_eq!(world.asked_of_git(), Vec::<String>::new());
    let files = Files::from([("b.txt".to_owned(), b"b\n".to_vec()), ("c.png".to_owned(), png)]);
    world.same_everywhere(&id, "Notes", &files);
}

/// An author as GitHub would give it, no words, and a tree without surprises.
#[test]
fn a_pushed_commit_is_the_account_s_own() {
    let (world, id) = notes();
    world.sh("printf '\\377' > Notes/b.bin");
    world.synced();
    let clone = world.clone_of(&id);
    let said = world.git(clone.path(), &["log", "-1", "--format=%an|%ae|%cn|%ce|%B"]);
    let fields: Vec<&str> = said.trim_end().split('|').collect();
    let [author, address, committer, its_address, message] = fields[..] else { panic!("{said}") };
    assert_eq!((author, committer, message), ("octo", "octo", ""));
    assert_eq!(address, its_address);
    let (name, host) = address.split_once('@').expect("an address");
    assert!(name == "octo" || name.ends_with("+octo"), "{address}");
    assert!(host.starts_with("users.noreply."), "{address}");
    let modes = world.git(clone.path(), &["ls-tree", "HEAD", "--format=%(objectmode)"]);
    assert_eq!(modes, "100644\n100644\n");
}

/// What others push keeps its mode when its bytes change here.
#[test]
fn an_executable_stays_one_and_master_stays_master() {
    let mut world = World::empty();
    world.server.with_switches(|switches| switches.default_branch = "master".to_owned());
    let id = world.seed("Notes", &[("a.txt", "alpha\n")]);
    let clone = world.clone_of(&id);
    let script = clone.path().join("run.sh");
    std::fs::write(&script, "#!/bin/sh\n").expect("it is written");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, executable).expect("it is made executable");
    world.git(clone.path(), &["add", "-A"]);
    world.git(clone.path(), &["commit", "-qm", "x"]);
    world.git(clone.path(), &["push", "-q"]);
    world.mount(WHEN_ASKED);
    world.sh("printf '#!/bin/sh\\r\\n' > Notes/run.sh; printf '\\377' > Notes/b.bin");
    world.synced();
    world.git(clone.path(), &["pull", "-q"]);
    let listed = world.git(clone.path(), &["ls-tree", "HEAD", "--format=%(objectmode) %(path)"]);
    assert_eq!(listed, "100644 a.txt\n100644 b.bin\n100755 run.sh\n");
    assert_eq!(std::fs::read(&script).expect("it reads"), b"#!/bin/sh\r\n");
    assert_eq!(world.git(clone.path(), &["branch", "-r", "--list"]).lines().count(), 2);
}

#[test]
fn images_survive_cp_rsync_tar_and_git() {
    let mut world = World::empty();
    world.mount(WHEN_ASKED);
    let source = world.work().join("images");
    std::fs::create_dir(&source).expect("a directory");
    let images: Files =
        (0..6).map(|n| (format!("{n}.png"), image(5_000 * (n + 1), n as u64))).collect();
    for (name, bytes) in &images {
        std::fs::write(source.join(name), bytes).expect("it is written");
    }
    world.sh("cp -r $W/images Copied; rsync -rc $W/images/ Synced/; mkdir Packed; tar c -C $W/images . | tar x -C Packed --no-same-owner");
    world.synced();
    for directory in ["Copied", "Synced", "Packed"] {
        expect_same(directory, &files_in(&world.path(directory)), &images);
    }
    assert_eq!(world.pushes(), 3, "one push a gist");
    let ids = world.server.gist_ids("octo");
    assert_eq!(ids.len(), 3);
    for id in &ids {
        expect_same("a clone", &files_in(world.clone_of(id).path()), &images);
    }
    // From a clone into the mount, and from a mount that knows nothing out again.
    let clone = world.clone_of(&ids[0]);
    world.sh(&format!("rsync -rc --exclude .git {}/ Cloned/", clone.path().display()));
    world.synced();
    world.mount_anew(&[]);
    let itemized = world.sh("rsync -rcn --delete --itemize-changes $W/images/ Synced/");
    assert_eq!(itemized, "");
    world.sh("mkdir $W/out; cp -r Copied $W/out/; tar c Packed Cloned | tar x -C $W/out; rsync -rc Synced $W/out/");
    for directory in ["Copied", "Synced", "Packed", "Cloned"] {
        expect_same(directory, &files_in(&world.work().join("out").join(directory)), &images);
    }
}

#[test]
fn editors_and_converters_change_bytes_as_they_would_on_a_disk() {
    let (mut world, id) = notes();
    world.sh(
        "printf 'one\\ntwo\\n' > Notes/t.txt; printf 'a\\377b\\0c' > Notes/b.bin; echo x > Notes/x",
    );
    world.synced();
    let before = world.server.commits(&id).len();
    let changes = [
        ("unix2dos -q Notes/t.txt", "t.txt", &b"one\r\ntwo\r\n"[..]),
        ("dos2unix -q Notes/t.txt", "t.txt", b"one\ntwo\n"),
        ("vim -b -N -u NONE -i NONE -es -c 's/b/B/' -c wq Notes/b.bin", "b.bin", b"a\xffB\0c"),
        ("truncate -s 0 Notes/x", "x", b""),
        ("printf ' \\n' > Notes/x", "x", b" \n"),
    ];
    for (number, (script, name, bytes)) in changes.into_iter().enumerate() {
        world.sh(script);
        world.synced();
        assert_eq!(world.server.files(&id).expect("the gist")[name], bytes, "{script}");
        assert_eq!(world.server.commits(&id).len(), before + number + 1, "{script}");
    }
    let files = world.server.files(&id).expect("the gist");
    world.same_everywhere(&id, "Notes", &files);
}

#[test]
fn a_file_past_the_limit_is_refused_as_it_is_written() {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "alpha\n")]);
    world.mount(&["--max-file-size", "1M", "--write-back", "600"]);
    let complaint = world.fails("head -c 1048577 /dev/urandom > Notes/big.bin");
    assert!(complaint.contains("File too large"), "{complaint}");
    let complaint = world.fails("truncate -s 1048577 Notes/a.txt");
    assert!(complaint.contains("File too large"), "{complaint}");
    assert_eq!(world.read("Notes/a.txt"), "alpha\n");
    world.sh(
        "head -c 1048576 $W/../m/Notes/big.bin > $W/big; rm Notes/big.bin; cp $W/big Notes/big.bin",
    );
    world.synced();
    assert_eq!(world.server.files(&id).expect("the gist")["big.bin"].len(), 1 << 20);
    let out = world.gistfs(&["mount", "--max-file-size", "200M"]).arg(world.work()).output();
    let out = out.expect("gistfs runs");
    assert!(!out.status.success() && said(&out).contains("100"), "{}", said(&out));
}
