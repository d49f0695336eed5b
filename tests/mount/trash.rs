//! The trash and the limit on deletions: what was removed comes back, whatever happens between.

use std::collections::BTreeMap;
use std::process::Output;

use gistfs::demo::{Fault, FaultKind, Origin, Seed, ServerOptions};
use serde_json::Value;

use crate::outcome::shown;
use crate::shape::Shape;
use crate::world::{WITHOUT_GIT, World, said, wait_until};

/// The files of a gist by name.
type Files = BTreeMap<String, Vec<u8>>;

impl World {
    fn trash(&self, arguments: &[&str]) -> Output {
        let mut command = self.gistfs(&["trash"]);
        let name = arguments.first().copied().unwrap_or_default();
        command.arg(name).arg("--state-dir").arg(self.state()).args(&arguments[1..]);
        command.current_dir(self.home()).output().expect("gistfs runs")
    }

    /// Runs `gistfs trash` and expects it to do all it is told.
    #[track_caller]
    fn trashed(&self, arguments: &[&str]) -> String {
        let out = self.trash(arguments);
        assert!(out.status.success(), "{arguments:?}\n{}", said(&out));
        String::from_utf8(out.stdout).expect("text")
    }

    /// What `gistfs trash list --json` has of the only account.
    #[track_caller]
    fn items(&self) -> Vec<Value> {
        let all: Value = serde_json::from_str(&self.trashed(&["list", "--json"])).expect("JSON");
        all[0]["items"].as_array().cloned().unwrap_or_default()
    }

    fn states(&self) -> Vec<String> {
        let state = |item: &Value| item["state"].as_str().unwrap_or_default().to_owned();
        self.items().iter().map(state).collect()
    }

    fn sync(&self) -> Output {
        self.gistfs(&["sync"]).arg(self.point()).output().expect("gistfs runs")
    }

    /// The paths of the gists whose deletion GitHub was asked for.
    fn deletions(&self) -> Vec<String> {
        let mut all = self.changes();
        all.retain(|request| request.method == "DELETE");
        all.into_iter().map(|request| request.path).collect()
    }

    fn methods(&self) -> Vec<String> {
        self.changes().into_iter().map(|request| request.method).collect()
    }

    /// Every gist on the server by description.
    #[track_caller]
    fn on_server(&self) -> BTreeMap<String, Files> {
        let mut all = BTreeMap::new();
        for id in self.server.gist_ids("octo") {
            let title = self.server.description(&id).unwrap_or_default();
            // One that is deleted just now is not there.
            let Some(files) = self.server.files(&id) else { continue };
            assert!(all.insert(title.clone(), files).is_none(), "{title:?} is there twice");
        }
        all
    }

    /// A world with so many gists, `G00` and so on, each with `a.txt` and `b.txt`.
    fn many(count: usize, options: &[&str]) -> Self {
        let mut world = Self::empty();
        for number in 0..count {
            let (a, b) = (format!("alpha {number}\n"), format!("beta {number}\n"));
            world.seed(&format!("G{number:02}"), &[("a.txt", &a), ("b.txt", &b)]);
        }
        world.mount(options);
        world
    }

    #[track_caller]
    fn wait_held(&self, count: usize) {
        wait_until("the deletions are held", || {
            self.status()["held"]["count"] == serde_json::json!(count)
                && self.log().contains("deletions held until")
        });
    }

    #[track_caller]
    fn wait_deleted(&self, count: usize) {
        wait_until("the deletions are sent", || {
            self.deletions().len() == count && self.status()["owing"] == serde_json::json!([])
        });
    }
}

#[test]
fn after_rm_rf_of_fifty_gists_restore_all_brings_every_file_of_every_gist_back() {
    let mut world = World::empty();
    for number in 0..50 {
        let text = |file: &str| format!("{file} of {number}\n").into_bytes();
        let mut files = vec![("a.txt".to_owned(), text("a")), ("b.md".to_owned(), text("b"))];
        match number % 10 {
            2 => files.extend(["-rf", "é \n", "gist.json"].map(|n| (n.into(), text(n)))),
            // Only git makes such names: what comes back by a request cannot have them.
            5 if number > 10 => {
                files.extend(["x/y", "..", "nul\0"].map(|n| (n.into(), text("odd"))));
            }
            3 => files.push(("copy.txt".into(), text("a"))),
            // A private server does not give it: then there is no copy, and no deletion.
            4 if !world.shape.hides_raw_bodies() => {
                files.push(("large".into(), "large\n".repeat(300_000).into_bytes()));
            }
            _ => {}
        }
        let description = Some(format!("G{number:02}"));
        let public = number % 2 == 0;
        let seed = Seed { description, public, files, ..Seed::default() };
        world.server.seed("octo", seed);
    }
    let mut expected = world.on_server();
    world.mount(&[]);
    world.sh("cat G0[0-5]/a.txt > /dev/null; rm G01/b.md G41/b.md");
    world.saved();
    world.sh("rm -r 'canary 1'");
    wait_until("the canary is gone", || world.deletions().len() == 1);
    // What is edited here only comes back as it was edited.
    world.sh("rm -rf G0[024567]; echo edited > G01/a.txt; echo new > G03/new; rm -rf G01 G03");
    expected.get_mut("G01").expect("a gist").insert("a.txt".into(), b"edited\n".into());
    expected.get_mut("G47").expect("a gist").insert("a.txt".into(), b"edited\n".into());
    expected.get_mut("G03").expect("a gist").insert("new".into(), b"new\n".into());
    wait_until("eight more are deleted", || world.deletions().len() == 9);
    world.sh("echo edited > G47/a.txt; rm -rf *");
    assert_eq!(world.list(""), [""; 0]);
    world.wait_held(42);
    assert_eq!(world.log().matches("deletions held until").count(), 1);
    assert!(world.status()["owing"][0]["state"] == "pending", "{:#}", world.status());

    let deletions = world.deletions();
    assert_eq!(deletions.len(), 9);
    let items = world.items();
    for path in &deletions {
        let entry = items.iter().find(|item| {
            path.ends_with(item["gist"].as_str().expect("an id")) && item["state"] == "deleted"
        });
        let files = entry.expect("no deletion without its entry")["files"].as_array().expect("[]");
        assert!(files.iter().all(|file| file["missing"] == false), "{files:?}");
    }
    assert_eq!(items.iter().filter(|item| item["state"] == "held").count(), 42);

    world.server.forget_requests();
    let canary = items.iter().find(|item| item["title"] == "canary 1").expect("the canary");
    world.trashed(&["purge", "--yes", canary["name"].as_str().expect("a name")]);
    let said = world.trashed(&["restore", "--all"]);
    assert!(said.contains("has a new id"), "{said}");
    let titles: Vec<&str> = expected.keys().map(String::as_str).collect();
    assert_eq!(world.list(""), titles);
    for (title, files) in &expected {
        let mut here: Vec<Vec<u8>> = std::fs::read_dir(world.path(title))
            .expect("a gist")
            .map(|file| std::fs::read(file.expect("an entry").path()).expect("its bytes"))
            .collect();
        let mut there: Vec<Vec<u8>> = files.values().cloned().collect();
        here.sort();
        there.sort();
        assert!(here == there, "{title}");
    }
    assert!(world.sync().status.success());
    assert_eq!(world.on_server(), expected);
    // But for the older version of the file that was edited before its gist was deleted.
    assert_eq!(world.states(), ["file"], "what is back is not in the trash");
    let methods = world.methods();
    let count = |method| methods.iter().filter(|there| *there == method).count();
    // The file of G41 that GitHub was told to delete, and the edit of G47 if it was not sent before.
    assert_eq!((count("POST"), count("DELETE")), (8, 0), "{methods:?}");
    assert!((1..=2).contains(&count("PATCH")), "{methods:?}");
}

#[test]
fn the_trash_outlives_a_remount_and_the_loss_of_the_database() {
    let mut world = World::many(3, &[]);
    let expected = world.on_server();
    world.sh("rm -rf G00 G01");
    world.wait_deleted(2);
    world.unmount();
    assert_eq!(world.states(), ["deleted"; 2], "without a mount");
    let account = world.account();
    for file in ["state.db", "state.db-wal", "state.db-shm"] {
        std::fs::remove_file(account.join(file)).ok();
    }
    std::fs::remove_dir_all(account.join("blobs")).expect("the bodies go");
    world.mount(&[]);
    assert_eq!(world.list(""), ["G02"]);
    world.trashed(&["restore", "--all"]);
    assert_eq!(world.read("G00/a.txt"), "alpha 0\n");
    world.saved();
    world.sh("rm -rf canary*");
    wait_until("the canary is gone", || world.on_server() == expected);
}

impl World {
    /// The state directory of the only account.
    fn account(&self) -> std::path::PathBuf {
        let all: Value = serde_json::from_str(&self.trashed(&["list", "--json"])).expect("JSON");
        all[0]["directory"].as_str().expect("a directory").into()
    }
}

#[test]
fn without_a_mount_what_was_removed_is_put_back_and_the_next_mount_sends_it() {
    let mut world = World::many(2, &[]);
    let expected = world.on_server();
    world.sh("rm -rf G00");
    world.wait_deleted(1);
    world.unmount();
    let path = world.path("G00");
    let said = world.trashed(&["restore", path.to_str().expect("a path")]);
    assert!(said.contains("made anew, 2 files") && said.contains("next mount sends"), "{said}");
    assert_eq!(world.states(), [""; 0]);
    world.mount(&[]);
    assert_eq!(world.list(""), ["G00", "G01"]);
    wait_until("it is on the server", || world.on_server() == expected);
}

#[test]
fn killed_before_its_deletion_is_acted_on_a_gist_has_one_entry_and_goes_once() {
    let mut world = World::many(1, &[]);
    let hang = Fault { method: Some("DELETE".into()), times: 1000, ..Fault::once(FaultKind::Hang) };
    world.server.inject(hang);
    world.sh("rm -rf G00");
    wait_until("the deletion is asked for", || {
        std::fs::read_dir(world.account().join("trash")).expect("it is there").count() == 1
    });
    world.crash();
    world.server.clear_faults();
    world.mount(&[]);
    wait_until("it is deleted", || world.on_server().is_empty());
    wait_until("it is in the trash", || world.states() == ["deleted"]);
    world.trashed(&["restore", "G00"]);
    assert_eq!(world.read("G00/b.txt"), "beta 0\n");
}

#[test]
fn killed_before_the_answer_to_its_deletion_a_gist_has_one_entry_and_comes_back_once() {
    let mut world = World::many(1, &[]);
    let expected = world.on_server();
    let lose = Fault { method: Some("DELETE".into()), ..Fault::once(FaultKind::LoseAnswer) };
    world.server.inject(lose);
    world.sh("rm -rf G00");
    wait_until("it is deleted", || world.on_server().is_empty());
    world.crash();
    world.mount(&[]);
    wait_until("it is in the trash", || world.states() == ["deleted"]);
    world.trashed(&["restore", "--all"]);
    wait_until("it is back", || world.on_server() == expected);
    assert_eq!(world.methods().iter().filter(|method| *method == "POST").count(), 1);
    assert_eq!(world.list(""), ["G00"]);
}

#[test]
fn sync_lets_held_deletions_go() {
    let world = World::many(12, &[]);
    world.sh("rm -rf *");
    world.wait_held(12);
    let out = world.gistfs(&["status"]).output().expect("gistfs runs");
    assert!(said(&out).contains("12 gists were removed within a minute"), "{}", said(&out));
    assert_eq!(world.deletions().len(), 0);
    assert!(world.sync().status.success());
    assert_eq!((world.deletions().len(), world.on_server().len()), (12, 0));
    assert_eq!(world.states(), ["deleted"; 12]);
    assert!(world.status()["held"].is_null());
}

#[test]
fn unmount_lets_no_held_deletion_go_and_the_next_mount_holds_them_again() {
    let mut world = World::many(12, &[]);
    world.sh("rm -rf *");
    world.wait_held(12);
    let out = world.gistfs(&["unmount"]).arg(world.point()).output().expect("gistfs runs");
    assert!(out.status.success() && said(&out).contains("deletions held until"), "{}", said(&out));
    world.forget_mount();
    assert_eq!(world.states(), ["held"; 12]);
    world.trashed(&["restore", "G03", "G04", "G05"]);
    world.mount(&[]);
    // Nine alone would go at once.
    world.wait_held(9);
    world.trashed(&["restore", "--all"]);
    assert_eq!(world.list("").len(), 12);
    assert_eq!(world.read("G07/a.txt"), "alpha 7\n");
    world.saved();
    assert_eq!(world.methods(), [""; 0], "taking back costs nothing");
}

#[test]
fn with_write_through_rmdir_says_that_the_deletion_is_held() {
    let world = World::many(3, &["--write", "through", "--delete-limit", "2"]);
    world.sh("rm -rf G00 G01");
    assert!(world.fails("rm -rf G02").contains("Disk quota exceeded"));
    assert_eq!((world.list("").len(), world.deletions().len()), (0, 2));
    assert_eq!(world.states(), ["deleted", "deleted", "held"]);
}

/// A gist whose one body does not come along with the gist itself.
/// A mount that can have the body of `large` by its raw address, and no other way.
fn with_large_file() -> (World, Vec<u8>) {
    let mut world = World::open(ServerOptions::default());
    let large = "large\n".repeat(300_000).into_bytes();
    let files = vec![("large".into(), large.clone()), ("a.txt".into(), b"alpha\n".into())];
    let seed = Seed { description: Some("Notes".into()), files, ..Seed::default() };
    world.server.seed("octo", seed);
    world.mount(&WITHOUT_GIT);
    (world, large)
}

fn fail_bodies(world: &World, status: u16) {
    let kind = FaultKind::Status { status, headers: vec![], body: String::new() };
    let origin = Some(Origin::Raw);
    world.server.inject(Fault { origin, times: 1000, ..Fault::once(kind) });
}

#[test]
fn a_deletion_waits_until_the_trash_has_every_body() {
    let (world, large) = with_large_file();
    fail_bodies(&world, 503);
    world.sh("rm -rf Notes");
    wait_until("status says why", || {
        let state = world.status()["owing"][0]["state"].to_string();
        state.contains("deleted when the trash has all of it") && state.contains("large")
    });
    assert_eq!(world.deletions().len(), 0);
    world.server.clear_faults();
    assert!(world.sync().status.success());
    assert_eq!(world.deletions().len(), 1);
    world.trashed(&["restore", "Notes"]);
    assert!(std::fs::read(world.path("Notes/large")).expect("it is back") == large);
}

/// Only git has it, and there is none: the trash never will.
#[test]
fn a_deletion_that_waits_for_a_body_out_of_reach_says_so_and_goes_when_it_is_purged() {
    let mut world = World::shaped(ServerOptions::default(), Shape::Private);
    for title in ["Notes", "Other"] {
        let files = vec![
            ("large".into(), "large\n".repeat(300_000).into_bytes()),
            ("small".into(), b"small\n".into()),
        ];
        let seed = Seed { description: Some(title.into()), files, ..Seed::default() };
        world.server.seed("octo", seed);
    }
    world.mount(&WITHOUT_GIT);
    world.sh("rm -rf Notes Other");
    wait_until("status says why, and what to do", || {
        let owing = world.status()["owing"].clone();
        let says = |gist: &Value| {
            let (state, advice) = (gist["state"].to_string(), gist["advice"].to_string());
            state.contains("the trash cannot have \\\"large\\\"")
                && ["trash purge", "trash restore"].iter().all(|word| advice.contains(word))
        };
        owing.as_array().is_some_and(|gists| gists.len() == 2 && gists.iter().all(says))
    });
    assert!(!world.sync().status.success(), "it is not done");
    assert_eq!((world.deletions().len(), world.states()), (0, vec!["pending".into(); 2]));

    world.trashed(&["purge", "--all", "--yes"]);
    assert_eq!(world.states(), ["pending", "pending"], "all is what the trash alone has");
    let purged = world.trashed(&["purge", "--yes", "Notes"]);
    assert!(purged.contains("no copy is kept"), "{purged}");
    wait_until("it is deleted", || world.deletions().len() == 1);
    wait_until("nothing is kept", || world.states() == ["pending"]);

    // The next mount knows it too.
    let out = world.gistfs(&["unmount", "--timeout", "1"]).arg(world.point()).output();
    let said = said(&out.expect("gistfs runs"));
    assert!(said.contains("trash purge"), "what is left, and what to do: {said}");
    world.forget_mount();
    world.trashed(&["purge", "--yes", "Other"]);
    assert_eq!(world.deletions().len(), 1);
    world.mount(&WITHOUT_GIT);
    wait_until("it is deleted", || world.deletions().len() == 2);
    wait_until("nothing is kept", || world.items().is_empty());
    assert_eq!(world.server.gist_ids("octo"), [""; 0]);
}

#[test]
fn a_purged_deletion_that_is_taken_back_is_an_ordinary_one_when_it_is_said_again() {
    let world = World::many(1, &["--write-back", "600"]);
    world.sh("rm -rf G00");
    world.trashed(&["purge", "--yes", "G00"]);
    world.trashed(&["restore", "G00"]);
    assert_eq!(world.read("G00/a.txt"), "alpha 0\n");
    world.sh("rm -rf G00");
    assert!(world.sync().status.success());
    assert_eq!((world.deletions().len(), world.states()), (1, vec!["deleted".into()]));
}

#[test]
fn a_body_that_is_gone_for_good_is_named_and_the_rest_comes_back() {
    let (world, _) = with_large_file();
    fail_bodies(&world, 404);
    world.sh("rm -rf Notes");
    world.wait_deleted(1);
    assert!(world.trashed(&["list"]).contains("\"large\" could not be kept"));
    let said = world.trashed(&["restore", "Notes"]);
    assert!(said.contains("1 file; \"large\" could not be kept"), "{said}");
    assert_eq!(world.list("Notes"), ["a.txt"]);
}

#[test]
fn a_removed_file_comes_back_by_its_path_and_costs_one_patch_each_way() {
    let (mut world, id) = World::notes(&[("a.txt", "alpha\n"), ("b.txt", "beta\n")]);
    world.sh("rm Notes/a.txt");
    world.saved_as(&id, &serde_json::json!({"a.txt": null}));
    assert_eq!(world.fetches(), 0, "removing needs no body");
    assert_eq!(world.states(), ["file"]);
    let path = world.path("Notes/a.txt");
    world.sh("echo other > Notes/a.txt");
    world.trashed(&["restore", path.to_str().expect("a path")]);
    let back = world.list("Notes").into_iter().find(|name| name.starts_with("a.restored-"));
    let back = back.expect("the name was taken");
    assert_eq!(world.read(&format!("Notes/{back}")), "alpha\n");
    world.saved();
    world.same_on_both_sides(&id, "Notes");
    assert_eq!(world.states(), [""; 0]);
}

#[test]
fn what_github_never_had_is_kept_when_it_is_removed() {
    let (mut world, id) = World::notes_without_git(&[("a.txt", "alpha\n")]);
    world.sh("printf '\\377\\376' > Notes/binary; echo x > Notes/.a.txt.swp; > Notes/empty");
    world.sh("rm Notes/* Notes/.a.txt.swp; mkdir New; echo new > New/new.txt; rm -rf New");
    let mut states = world.states();
    states.sort();
    assert_eq!(states, ["deleted", "file", "unsent"], "{:#?}", world.items());
    world.crash();
    world.mount(&WITHOUT_GIT);
    world.trashed(&["restore", "Notes", "New"]);
    assert_eq!(world.list("Notes"), ["a.txt", "binary"]);
    assert_eq!(world.sh("cat Notes/binary | od -An -tx1"), " ff fe\n");
    assert_eq!(world.read("Notes/a.txt"), "alpha\n");
    assert_eq!(world.read("New/new.txt"), "new\n");
    wait_until("it is sent", || world.on_server().contains_key("New"));
    assert_eq!(world.server.commits(&id).len(), 1, "Notes did not change");
    assert_eq!(world.states(), [""; 0]);
}

#[test]
fn of_a_gist_deleted_elsewhere_the_trash_keeps_what_was_read_here() {
    let mut world = World::empty();
    let large = "large\n".repeat(300_000);
    let id = world.seed("Notes", &[("a.txt", "alpha\n"), ("large", &large)]);
    world.mount(&[]);
    assert_eq!(world.read("Notes/a.txt"), "alpha\n");
    world.unmount();
    world.server.remove(&id);
    world.mount(&[]);
    wait_until("it is gone", || world.list("").is_empty());
    let items = world.items();
    assert_eq!(items[0]["state"], "elsewhere", "{items:#?}");
    assert!(world.trashed(&["list"]).contains("\"large\" could not be kept"));
    world.trashed(&["restore", &id]);
    assert_eq!(world.read("Notes/a.txt"), "alpha\n");
}

#[test]
fn purging_asks_first_and_removes_for_good() {
    let mut world = World::many(3, &[]);
    world.sh("rm -rf *");
    world.wait_deleted(3);
    let out = world.trash(&["purge", "--all"]);
    assert_eq!(out.status.code(), Some(2), "{}", said(&out));
    assert!(said(&out).contains("no terminal") && said(&out).contains("--yes"), "{}", said(&out));
    world.trashed(&["purge", "--older-than", "1", "--yes"]);
    assert_eq!(world.states().len(), 3);
    world.trashed(&["purge", "--yes", "G01"]);
    assert_eq!(world.states().len(), 2);
    let gone = world.trash(&["restore", "G01"]);
    assert_eq!(gone.status.code(), Some(1), "{}", said(&gone));
    assert!(said(&gone).contains("nothing in the trash is called \"G01\""), "{}", said(&gone));
    world.unmount();
    world.trashed(&["purge", "--yes", "--older-than", "0", "--mount", point(&world).as_str()]);
    assert_eq!(world.trashed(&["list"]), "The trash is empty.\n");
    let left = std::fs::read_dir(world.account().join("trash")).expect("it is there").count();
    assert_eq!(left, 0);
}

fn point(world: &World) -> String {
    world.point().to_str().expect("a path").to_owned()
}

#[test]
fn the_trash_keeps_as_long_as_it_is_told_and_with_zero_nothing() {
    let mut world = World::many(2, &[]);
    world.sh("rm -rf G00");
    world.wait_deleted(1);
    world.unmount();
    assert_eq!(world.states(), ["deleted"]);
    world.mount(&["--trash-keep", "0"]);
    wait_until("it has expired", || world.states().is_empty());
    world.sh("rm -rf G01");
    world.wait_deleted(2);
    assert_eq!(world.states(), [""; 0]);
    let requests: Vec<String> = world.server.requests().iter().map(shown).collect();
    assert_eq!(world.fetches(), 0, "{requests:#?}");
}
