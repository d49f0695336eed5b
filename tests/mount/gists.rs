//! Whole gists, and several files at once: as few requests as can say it.

use serde_json::{Value, json};

use crate::outcome::{EMPTY, shown};
use crate::world::{World, said, wait_until};

/// The changes so far as (method, path, body).
fn sent(world: &World) -> Vec<(String, String, Value)> {
    let line = |r: &gistfs::demo::LoggedRequest| (r.method.clone(), r.path.clone(), r.json());
    world.changes().iter().map(line).collect()
}

fn one(method: &str, path: &str, body: Value) -> Vec<(String, String, Value)> {
    vec![(method.to_owned(), path.to_owned(), body)]
}

#[test]
fn copying_twenty_files_into_a_new_directory_is_one_post() {
    let (mut world, _) = World::notes(&[("a.txt", "a\n")]);
    world.sh("for i in {01..20}; do echo text $i > $W/f$i.txt; done");
    world.sh("mkdir New && cp $W/f*.txt New");
    world.saved();
    let changes = world.changes();
    assert_eq!(changes.len(), 1, "{:#?}", changes.iter().map(shown).collect::<Vec<_>>());
    let body = changes[0].json();
    assert_eq!((changes[0].method.as_str(), changes[0].path.as_str()), ("POST", "/gists"));
    assert_eq!((&body["description"], &body["public"]), (&json!("New"), &json!(false)));
    let files = body["files"].as_object().expect("files");
    assert_eq!(files.len(), 20);
    for number in 1..=20 {
        let content = format!("text {number:02}\n");
        assert_eq!(files[&format!("f{number:02}.txt")], json!({ "content": content }));
    }
    world.bodies_stayed(&changes[0]);
}

#[test]
fn copying_a_directory_makes_a_gist_with_one_post() {
    let (mut world, id) = World::notes(&[("a.txt", "a\n"), ("b.txt", "b\n")]);
    world.sh("cp -a Notes Copy");
    world.saved();
    let files = json!({"a.txt": {"content": "a\n"}, "b.txt": {"content": "b\n"}});
    let body = json!({"description": "Copy", "public": false, "files": files});
    assert_eq!(sent(&world), one("POST", "/gists", body));
    assert_eq!(world.server.commits(&id).len(), 1);
}

#[test]
fn with_public_a_new_directory_is_a_public_gist() {
    let mut world = World::empty();
    world.mount(&["--public"]);
    world.sh("mkdir New && echo text > New/a.txt");
    world.saved();
    assert_eq!(world.changes()[0].json()["public"], json!(true));
}

#[test]
fn editing_five_files_of_a_gist_in_a_row_is_one_patch() {
    let old: Vec<(String, String)> =
        (1..=5).map(|n| (format!("f{n}.txt"), format!("old {n}\n"))).collect();
    let old: Vec<(&str, &str)> = old.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
    let (mut world, id) = World::notes(&old);
    world.sh("sed -i s/old/new/ Notes/*.txt");
    let new = |n| json!({"content": format!("new {n}\n")});
    let files = json!({
        "f1.txt": new(1), "f2.txt": new(2), "f3.txt": new(3), "f4.txt": new(4), "f5.txt": new(5),
    });
    world.saved_as(&id, &files);
    world.same_on_both_sides(&id, "Notes");
}

#[test]
fn renaming_a_file_is_one_patch_without_content() {
    let (mut world, id) = World::notes(&[("a.txt", "a\n"), ("b.txt", "b\n")]);
    world.sh("mv Notes/a.txt Notes/c.txt");
    world.saved_as(&id, &json!({"a.txt": {"filename": "c.txt"}}));
    assert_eq!(world.fetches(), 0, "a rename needs no body");
    world.same_on_both_sides(&id, "Notes");
}

#[test]
fn renaming_and_editing_a_file_is_one_patch() {
    let (mut world, id) = World::notes(&[("a.txt", "a\n"), ("b.txt", "b\n")]);
    world.sh("mv Notes/a.txt Notes/c.txt; echo more >> Notes/c.txt");
    world.saved_as(&id, &json!({"a.txt": {"filename": "c.txt", "content": "a\nmore\n"}}));
    world.same_on_both_sides(&id, "Notes");
}

#[test]
fn renaming_over_a_file_is_one_patch() {
    let (mut world, id) = World::notes(&[("a.txt", "a\n"), ("b.txt", "b\n")]);
    world.sh("mv -f Notes/a.txt Notes/b.txt");
    world.saved_as(&id, &json!({"a.txt": null, "b.txt": {"content": "a\n"}}));
    world.same_on_both_sides(&id, "Notes");
}

#[test]
fn exchanging_two_files_is_one_patch() {
    let (mut world, id) = World::notes(&[("a.txt", "a\n"), ("b.txt", "b\n")]);
    world.sh("mv Notes/a.txt Notes/t; mv Notes/b.txt Notes/a.txt; mv Notes/t Notes/b.txt");
    world.saved_as(&id, &json!({"a.txt": {"content": "b\n"}, "b.txt": {"content": "a\n"}}));
    world.same_on_both_sides(&id, "Notes");
}

#[test]
fn removing_a_file_is_one_patch() {
    let (mut world, id) = World::notes(&[("a.txt", "a\n"), ("b.txt", "b\n")]);
    world.sh("rm Notes/a.txt");
    world.saved_as(&id, &json!({"a.txt": null}));
    world.same_on_both_sides(&id, "Notes");
}

#[test]
fn moving_a_file_to_another_gist_sends_the_destination_first() {
    let mut world = World::empty();
    let from = world.seed("From", &[("a.txt", "a\n"), ("b.txt", "b\n")]);
    let to = world.seed("To", &[("c.txt", "c\n")]);
    world.mount(&[]);
    world.sh("mv From/a.txt To/");
    world.saved();
    let arrived = json!({"files": {"a.txt": {"content": "a\n"}}});
    let left = json!({"files": {"a.txt": null}});
    let expected = [
        ("PATCH".to_owned(), format!("/gists/{to}"), arrived),
        ("PATCH".to_owned(), format!("/gists/{from}"), left),
    ];
    assert_eq!(sent(&world), expected);
    world.same_on_both_sides(&from, "From");
    world.same_on_both_sides(&to, "To");
}

#[test]
fn a_file_that_cannot_arrive_in_its_new_gist_stays_in_the_old_one() {
    let mut world = World::empty();
    let from = world.seed("From", &[("a.txt", "a\n"), ("b.txt", "b\n")]);
    let to = world.seed("To", &[("c.txt", "c\n")]);
    world.mount(&[]);
    let refusal = gistfs::demo::FaultKind::Status {
        status: 422,
        headers: vec![],
        body: r#"{"message": "Validation Failed"}"#.to_owned(),
    };
    let fault = gistfs::demo::Fault::once(refusal);
    world.server.inject(gistfs::demo::Fault {
        path: format!("/gists/{to}"),
        method: Some("PATCH".into()),
        ..fault
    });
    world.sh("mv From/a.txt To/");
    wait_until("it is refused", || world.changes().iter().any(|r| r.status == 422));
    world.canary();
    assert_eq!(world.texts(&from)["a.txt"], "a\n", "it is nowhere else");
    let out = world.gistfs(&["sync"]).arg(world.point()).output().expect("gistfs runs");
    assert!(out.status.success(), "{}", crate::world::said(&out));
    world.saved();
    world.same_on_both_sides(&from, "From");
    world.same_on_both_sides(&to, "To");
}

#[test]
fn a_new_directory_alone_sends_nothing_even_when_it_goes_again() {
    let (mut world, _) = World::notes(&[("a.txt", "a\n")]);
    world.sh("mkdir Empty; mkdir Gone; rmdir Gone; mkdir Filled; echo x > Filled/x; rm -r Filled");
    world.saved();
    assert_eq!(sent(&world), []);
    assert_eq!(world.list(""), ["Empty", "Notes", "canary 1"]);
}

/// GitHub has nothing of it, so nobody says that it has.
#[test]
fn a_new_directory_alone_is_said_to_be_here_only_wherever_that_is_said() {
    let mut world = World::empty();
    world.mount(&["--xattr"]);
    world.sh("mkdir Empty");
    let status = world.status();
    let told = &status["owing"][0];
    let files = told["files"].as_array().map(Vec::len);
    assert_eq!((&told["title"], &told["state"], files), (&json!("Empty"), &json!(EMPTY), Some(0)));
    assert_eq!((&told["change"], &told["next"]), (&json!("added"), &Value::Null), "{told}");
    assert_eq!(world.read("Empty/.gist/sync"), format!("{EMPTY}\n"));
    let attribute = "getfattr --only-values -n user.gist.sync Empty";
    assert_eq!(world.sh(attribute), EMPTY);
    let pending = world.read(".gistfs/pending");
    assert!(pending.starts_with(&format!("\"Empty\": {EMPTY} (added since ")), "{pending}");
    assert!(pending.ends_with("\n  to do: make a file in it, or remove it\n"), "{pending}");
    let out = world.gistfs(&["sync"]).arg(world.point()).output().expect("gistfs runs");
    assert_eq!(out.status.code(), Some(1), "{}", said(&out));
    let out = world.gistfs(&["unmount"]).arg(world.point()).output().expect("gistfs runs");
    assert!(said(&out).contains("It is kept here, complete"), "{}", said(&out));
    world.forget_mount();
    let of_state = ["status", "--json", "--state-dir"];
    let out = world.gistfs(&of_state).arg(world.state()).output().expect("gistfs runs");
    assert!(said(&out).contains(EMPTY), "{}", said(&out));
    world.mount(&[]);
    world.sh("rmdir Empty");
    assert_eq!(world.status()["owing"], json!([]));
}

#[test]
fn removing_a_gist_is_one_delete_and_no_patch() {
    let (mut world, id) = World::notes(&[("a.txt", "a\n"), ("b.txt", "b\n"), ("c.txt", "c\n")]);
    world.sh("rm -r Notes");
    world.saved();
    assert_eq!(sent(&world), one("DELETE", &format!("/gists/{id}"), Value::Null));
    assert!(world.server.files(&id).is_none());
}

#[test]
fn a_gist_emptied_waits_and_goes_with_its_directory_by_one_delete() {
    let (mut world, id) = World::notes(&[("a.txt", "a\n"), ("b.txt", "b\n")]);
    world.sh("rm Notes/a.txt Notes/b.txt");
    // The deletion of all files would be refused: it waits, and a canary overtakes it.
    world.canary();
    world.canary();
    assert_eq!(sent(&world), []);
    assert_eq!(world.list("Notes"), [""; 0]);
    world.sh("rmdir Notes");
    world.saved();
    assert_eq!(sent(&world), one("DELETE", &format!("/gists/{id}"), Value::Null));
}

#[test]
fn renaming_a_gist_is_one_patch_of_its_description() {
    let (mut world, id) = World::notes(&[("a.txt", "a\n")]);
    world.sh("mv Notes 'Better notes'");
    world.saved();
    let body = json!({"description": "Better notes"});
    assert_eq!(sent(&world), one("PATCH", &format!("/gists/{id}"), body));
    assert_eq!(world.server.description(&id).as_deref(), Some("Better notes"));
    assert_eq!(world.list(""), ["Better notes", "canary 1"]);
}

#[test]
fn renaming_a_gist_and_editing_its_files_is_one_patch() {
    let (mut world, id) = World::notes(&[("a.txt", "a\n")]);
    world.sh("mv Notes Other; echo more >> Other/a.txt; echo new > Other/n.txt");
    world.saved();
    let files = json!({"a.txt": {"content": "a\nmore\n"}, "n.txt": {"content": "new\n"}});
    let body = json!({"description": "Other", "files": files});
    assert_eq!(sent(&world), one("PATCH", &format!("/gists/{id}"), body));
}

#[test]
fn an_exchange_of_two_names_is_one_patch() {
    use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
    let (mut world, id) = World::notes(&[("a.txt", "a\n"), ("b.txt", "b\n")]);
    let (a, b) = (world.path("Notes/a.txt"), world.path("Notes/b.txt"));
    renameat2(AT_FDCWD, &a, AT_FDCWD, &b, RenameFlags::RENAME_EXCHANGE).expect("they exchange");
    let kept = renameat2(AT_FDCWD, &a, AT_FDCWD, &b, RenameFlags::RENAME_NOREPLACE);
    assert_eq!(kept, Err(nix::Error::EEXIST));
    world.saved_as(&id, &json!({"a.txt": {"content": "b\n"}, "b.txt": {"content": "a\n"}}));
    world.same_on_both_sides(&id, "Notes");
}
