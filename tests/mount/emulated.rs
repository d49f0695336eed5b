//! Saves of desktop programs, as they are documented or were traced: one save is one `PATCH`.

use serde_json::json;

use crate::world::World;

/// Runs a Python program that saves `fresh\n` as a.txt in its own way.
#[track_caller]
fn one_patch(program: &str) {
    let (mut world, id) = World::notes(&[("a.txt", "alpha\nbeta\n"), ("b.txt", "other\n")]);
    let prelude = "import os, stat
os.chdir('Notes')
R, W, EXCL = os.O_RDWR, os.O_WRONLY, os.O_CREAT | os.O_EXCL
def write(name, flags, sync=True):
    f = os.open(name, flags, 0o600)
    os.write(f, b'fresh\\n')
    if sync: os.fsync(f)
    return f
";
    std::fs::write(world.work().join("save.py"), format!("{prelude}{program}")).expect("a program");
    world.sh("python3 $W/save.py");
    world.saved_as(&id, &json!({"a.txt": {"content": "fresh\n"}}));
    world.same_on_both_sides(&id, "Notes");
    assert_eq!(world.list("Notes"), ["a.txt", "b.txt"]);
}

#[test]
fn vs_code_in_place() {
    one_patch("os.close(write('a.txt', W | os.O_TRUNC))");
}

#[test]
fn jetbrains_with_a_temporary_and_an_old_file() {
    one_patch(
        "os.close(write('a.txt___jb_tmp___', R | EXCL))
os.rename('a.txt', 'a.txt___jb_old___')
os.rename('a.txt___jb_tmp___', 'a.txt')
os.unlink('a.txt___jb_old___')",
    );
}

#[test]
fn gedit_with_an_output_stream() {
    one_patch(
        "name = '.goutputstream-AB12CD'
f = write(name, R | EXCL)
os.fchmod(f, 0o600)
os.close(f)
os.rename(name, 'a.txt')",
    );
}

#[test]
fn glib_with_reserved_room() {
    one_patch(
        "f = os.open('a.txt.QX12ZY', R | EXCL, 0o600)
os.posix_fallocate(f, 0, 6)
os.write(f, b'fresh\\n')
os.fsync(f)
os.close(f)
os.rename('a.txt.QX12ZY', 'a.txt')",
    );
}

#[test]
fn kde_that_closes_after_the_rename() {
    one_patch(
        "try:
    os.close(os.open('.', R | os.O_TMPFILE, 0o600))
    raise SystemExit('no file system of ours offers that')
except OSError: pass
f = write('a.txt.abCD12', R | EXCL)
os.rename('a.txt.abCD12', 'a.txt')
os.close(f)",
    );
}

#[test]
fn libreoffice_with_a_lock_and_a_copy() {
    one_patch(
        "lock = '.~lock.a.txt#'
os.close(write(lock, R | EXCL))
os.close(write('lu1234abcd.tmp', R | EXCL))
os.rename('lu1234abcd.tmp', 'a.txt')
os.unlink(lock)",
    );
}

#[test]
fn kakoune_that_replaces() {
    one_patch(
        "f = write('.a.txt.kak.AbCdEf', R | EXCL, sync=False)
os.close(f)
os.rename('.a.txt.kak.AbCdEf', 'a.txt')
os.chmod('a.txt', 0o600)",
    );
}

#[test]
fn an_editor_that_keeps_its_file_open_for_writing() {
    let (mut world, id) = World::notes(&[("a.txt", "alpha\n")]);
    let file = std::fs::File::options().append(true).open(world.path("Notes/a.txt"));
    let mut file = file.expect("it opens");
    std::io::Write::write_all(&mut file, b"half a li").expect("it writes");
    file.sync_all().expect("it syncs");
    world.canary();
    assert_eq!(world.changes().len(), 0, "half a line is no save");
    std::io::Write::write_all(&mut file, b"ne\n").expect("it writes");
    drop(file);
    world.saved_as(&id, &json!({"a.txt": {"content": "alpha\nhalf a line\n"}}));
}
