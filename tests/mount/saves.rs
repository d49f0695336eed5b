//! One change of a file by a program is one `PATCH` of that file, however the program writes.

use serde_json::{Value, json};

use crate::world::World;

const OLD: &str = "alpha\nbeta\n";

/// Runs `script` in a mount of the gist `Notes` with a.txt and b.txt, and expects it to end in
/// one `PATCH` of these files.
#[track_caller]
fn one_patch(script: &str, files: &Value) {
    let (mut world, id) = World::notes(&[("a.txt", OLD), ("b.txt", "other\n")]);
    std::fs::write(world.work().join("new.txt"), "fresh\n").expect("a file beside the mount");
    world.sh(script);
    world.saved_as(&id, files);
    world.same_on_both_sides(&id, "Notes");
}

fn content(text: &str) -> Value {
    json!({"a.txt": {"content": text}})
}

#[test]
fn sed_in_place_is_one_patch() {
    one_patch("sed -i s/alpha/omega/ Notes/a.txt", &content("omega\nbeta\n"));
}

#[test]
fn sed_in_place_with_a_backup_is_one_patch_of_both() {
    let both = json!({"a.txt": {"content": "omega\nbeta\n"}, "a.txt.bak": {"content": OLD}});
    one_patch("sed -i.bak s/alpha/omega/ Notes/a.txt", &both);
}

#[test]
fn perl_in_place_is_one_patch() {
    one_patch("perl -pi -e s/alpha/omega/ Notes/a.txt", &content("omega\nbeta\n"));
}

#[test]
fn appending_in_the_shell_is_one_patch() {
    one_patch("echo gamma >> Notes/a.txt", &content("alpha\nbeta\ngamma\n"));
}

#[test]
fn appending_three_times_in_a_row_is_one_patch() {
    let all = content("alpha\nbeta\n1\n2\n3\n");
    one_patch("for i in 1 2 3; do echo $i >> Notes/a.txt; done", &all);
}

#[test]
fn writing_in_the_shell_is_one_patch() {
    one_patch("echo fresh > Notes/a.txt", &content("fresh\n"));
}

#[test]
fn a_subshell_that_inherits_the_descriptor_makes_no_second_patch() {
    let script = "(echo one; (echo two); /bin/echo three) > Notes/a.txt";
    one_patch(script, &content("one\ntwo\nthree\n"));
}

#[test]
fn copying_over_a_file_is_one_patch() {
    one_patch("cp $W/new.txt Notes/a.txt", &content("fresh\n"));
}

#[test]
fn copying_over_a_file_with_its_times_is_one_patch() {
    one_patch("cp -p $W/new.txt Notes/a.txt", &content("fresh\n"));
}

#[test]
fn copying_with_a_backup_is_one_patch() {
    one_patch("cp --backup=simple $W/new.txt Notes/a.txt", &content("fresh\n"));
}

#[test]
fn copying_after_removing_the_destination_is_one_patch() {
    one_patch("cp --remove-destination $W/new.txt Notes/a.txt", &content("fresh\n"));
}

#[test]
fn copying_within_a_gist_is_one_patch_of_the_new_file() {
    one_patch("cp Notes/a.txt Notes/c.txt", &json!({"c.txt": {"content": OLD}}));
}

#[test]
fn moving_in_from_another_file_system_is_one_patch() {
    one_patch("mv -f $W/new.txt Notes/a.txt", &content("fresh\n"));
}

#[test]
fn install_is_one_patch() {
    one_patch("install -m 644 $W/new.txt Notes/a.txt", &content("fresh\n"));
}

#[test]
fn rsync_is_one_patch() {
    one_patch("rsync -a $W/new.txt Notes/a.txt", &content("fresh\n"));
}

#[test]
fn rsync_in_place_is_one_patch() {
    one_patch("rsync -a --inplace $W/new.txt Notes/a.txt", &content("fresh\n"));
}

#[test]
fn rsync_that_syncs_or_keeps_a_backup_is_one_patch() {
    one_patch("rsync -a --fsync $W/new.txt Notes/a.txt", &content("fresh\n"));
    one_patch("rsync -a --backup $W/new.txt Notes/a.txt", &content("fresh\n"));
}

#[test]
fn a_python_program_that_writes_syncs_and_replaces_is_one_patch() {
    let script = r"python3 - <<'END'
import os, tempfile
with tempfile.NamedTemporaryFile('w', dir='Notes', delete=False) as f:
    f.write('fresh\n')
    f.flush()
    os.fsync(f.fileno())
os.replace(f.name, 'Notes/a.txt')
d = os.open('Notes', os.O_RDONLY)
os.fsync(d)
END";
    one_patch(script, &content("fresh\n"));
}

#[test]
fn patch_is_one_patch() {
    let script = "cd Notes; patch -s a.txt <<'END'
--- a.txt
+++ a.txt
@@ -1,2 +1,2 @@
-alpha
+omega
 beta
END";
    one_patch(script, &content("omega\nbeta\n"));
}

#[test]
fn sort_tee_truncate_and_dd_are_one_patch_each() {
    one_patch("sort -r Notes/a.txt -o Notes/a.txt", &content("beta\nalpha\n"));
    one_patch("echo fresh | tee Notes/a.txt", &content("fresh\n"));
    one_patch("truncate -s 6 Notes/a.txt", &content("alpha\n"));
    let dd = "printf OMEGA | dd of=Notes/a.txt conv=notrunc status=none";
    one_patch(dd, &content("OMEGA\nbeta\n"));
}

#[test]
fn a_file_of_tar_or_zip_is_one_patch() {
    let tar = "cp $W/new.txt $W/a.txt; tar c -C $W a.txt | tar x -C Notes";
    one_patch(tar, &content("fresh\n"));
    let zip = "cd $W; cp new.txt a.txt; zip -q a.zip a.txt; cd -; unzip -q -o $W/a.zip -d Notes";
    one_patch(zip, &content("fresh\n"));
}

#[test]
fn writing_what_is_there_already_sends_nothing() {
    let (mut world, _) = World::notes(&[("a.txt", OLD)]);
    world.sh("printf 'alpha\\nbeta\\n' > Notes/a.txt; cp Notes/a.txt $W; cp $W/a.txt Notes");
    world.saved();
    assert_eq!(world.changes().len(), 0);
}

#[test]
fn shredding_a_file_is_one_patch_that_removes_it() {
    one_patch("shred -u Notes/a.txt", &json!({"a.txt": null}));
}

#[test]
fn an_upload_changes_nothing_that_an_editor_could_see() {
    let (mut world, id) = World::notes(&[("a.txt", OLD), ("b.txt", "other\n")]);
    world.sh("sed -i s/alpha/omega/ Notes/a.txt; touch -d '2020-02-02 02:02:02.5 UTC' Notes/a.txt");
    let seen = |world: &World| world.sh("stat -c '%i %y %z %s %a' Notes/a.txt Notes/b.txt Notes");
    let before = seen(&world);
    world.saved_as(&id, &content("omega\nbeta\n"));
    assert_eq!(seen(&world), before);
    world.unmount();
    world.mount(&["--refresh", "0.2"]);
    let times = "stat -c '%y %s %a' Notes/a.txt";
    let listed = world.server.requests().len() + 4;
    crate::world::wait_until("it is refreshed", || world.server.requests().len() > listed);
    assert!(world.sh(times).starts_with("2020-02-02 02:02:02.5"), "{}", world.sh(times));
}
