//! One save in an editor is one `PATCH` of one file.

use serde_json::json;

use crate::terminal::Terminal;
use crate::world::World;

const OLD: &str = "alpha\nbeta\n";

fn notes() -> (World, String) {
    World::notes(&[("a.txt", OLD), ("b.txt", "other\n")])
}

/// vim as it comes, but for `backupskip`: it must not matter where the tests are built.
fn vim(settings: &str) -> String {
    format!("vim -c 'set backupskip= {settings}' Notes/a.txt")
}

/// Emacs as it comes, wherever the tests are built.
const BACKUPS: &str = "(setq backup-enable-predicate (lambda (_) t))";

/// Opens the file in vim, appends a line and saves; vim stays.
#[track_caller]
fn append_in_vim<'a>(world: &'a World, settings: &str, line: &str) -> Terminal<'a> {
    let vim = Terminal::run(world, &vim(settings));
    vim.shows("beta");
    save_in_vim(&vim, line);
    vim
}

#[track_caller]
fn save_in_vim(vim: &Terminal<'_>, line: &str) {
    vim.types(&format!("Go{line}"));
    vim.press(&["Escape"]);
    vim.shows(line);
    vim.types(":w");
    vim.press(&["Enter"]);
    vim.shows("written");
}

#[track_caller]
fn quit_vim(vim: &Terminal<'_>) {
    vim.types(":q");
    vim.press(&["Enter"]);
    vim.ended();
}

#[test]
fn a_save_in_vim_is_one_patch_of_one_file_though_it_renames_and_makes_anew() {
    let (mut world, id) = notes();
    let vim = append_in_vim(&world, "", "gamma");
    quit_vim(&vim);
    drop(vim);
    let files = json!({"a.txt": {"content": "alpha\nbeta\ngamma\n"}});
    world.saved_as(&id, &files);
    world.same_on_both_sides(&id, "Notes");
    assert_eq!(world.list("Notes"), ["a.txt", "b.txt"]);
    let log = world.log();
    for step in [r#"create "4913""#, r#"rename "a.txt" in"#, r#"unlink "a.txt~""#] {
        assert!(log.contains(step), "vim did not {step}");
    }
}

#[test]
fn a_save_in_vim_arrives_while_vim_is_still_open() {
    let (mut world, id) = notes();
    {
        let vim = append_in_vim(&world, "", "gamma");
        crate::world::wait_until("the save arrives", || world.changes().len() == 1);
        assert!(world.list("Notes").contains(&".a.txt.swp".to_owned()));
        quit_vim(&vim);
    }
    world.saved_as(&id, &json!({"a.txt": {"content": "alpha\nbeta\ngamma\n"}}));
}

#[test]
fn a_save_in_vim_with_backupcopy_is_one_patch() {
    let (mut world, id) = notes();
    let vim = append_in_vim(&world, "backupcopy=yes", "gamma");
    quit_vim(&vim);
    drop(vim);
    world.saved_as(&id, &json!({"a.txt": {"content": "alpha\nbeta\ngamma\n"}}));
    world.same_on_both_sides(&id, "Notes");
    assert!(world.log().contains(r#"create "a.txt~""#) && !world.log().contains("rename"));
}

#[test]
fn a_save_in_vim_without_any_backup_is_one_patch() {
    let (mut world, id) = notes();
    let vim = append_in_vim(&world, "nobackup nowritebackup", "gamma");
    quit_vim(&vim);
    drop(vim);
    world.saved_as(&id, &json!({"a.txt": {"content": "alpha\nbeta\ngamma\n"}}));
    world.same_on_both_sides(&id, "Notes");
    assert!(!world.log().contains("a.txt~"));
}

#[test]
fn a_new_file_in_vim_is_one_patch() {
    let (mut world, id) = notes();
    let vim = Terminal::run(&world, "vim -c 'set backupskip=' Notes/new.txt");
    vim.shows("[New]");
    save_in_vim(&vim, "first");
    quit_vim(&vim);
    drop(vim);
    world.saved_as(&id, &json!({"new.txt": {"content": "\nfirst\n"}}));
    world.same_on_both_sides(&id, "Notes");
}

#[test]
fn two_saves_in_vim_with_a_pause_are_two_patches() {
    let (mut world, id) = notes();
    {
        let vim = append_in_vim(&world, "", "gamma");
        crate::world::wait_until("the first save arrives", || world.changes().len() == 1);
        save_in_vim(&vim, "delta");
        quit_vim(&vim);
    }
    world.saved();
    let sent: Vec<_> = world.changes().iter().map(|r| r.json()).collect();
    let content = |text: &str| json!({"files": {"a.txt": {"content": text}}});
    let (first, second) = ("alpha\nbeta\ngamma\n", "alpha\nbeta\ngamma\ndelta\n");
    assert_eq!(sent, [content(first), content(second)]);
    assert_eq!(world.server.commits(&id).len(), 3);
}

#[test]
fn a_save_in_nano_is_one_patch() {
    for options in ["", "-G -B"] {
        let (mut world, id) = notes();
        let nano = Terminal::run(&world, &format!("nano {options} Notes/a.txt"));
        nano.shows("beta");
        nano.types("zero ");
        nano.shows("zero alpha");
        nano.press(&["C-o"]);
        nano.shows("a.txt");
        nano.press(&["Enter"]);
        nano.shows("Wrote");
        nano.press(&["C-x"]);
        nano.ended();
        drop(nano);
        world.saved_as(&id, &json!({"a.txt": {"content": "zero alpha\nbeta\n"}}));
        world.same_on_both_sides(&id, "Notes");
    }
}

#[test]
fn each_save_in_emacs_is_one_patch_and_its_backup_stays_here() {
    let (mut world, id) = notes();
    {
        let emacs = Terminal::run(&world, &format!("emacs -Q -nw --eval '{BACKUPS}' Notes/a.txt"));
        emacs.shows("beta");
        let save = |text: &str| {
            emacs.types(text);
            emacs.shows(text);
            emacs.press(&["C-x", "C-s"]);
            emacs.shows("Wrote");
        };
        save("zero ");
        crate::world::wait_until("the first save arrives", || world.changes().len() == 1);
        // The word stays on the screen; the message goes with the next key.
        emacs.types("one ");
        emacs.shows("zero one ");
        emacs.press(&["C-x", "C-s"]);
        crate::world::wait_until("the second save arrives", || world.changes().len() == 2);
        emacs.press(&["C-x", "C-c"]);
        emacs.ended();
    }
    world.saved();
    let sent: Vec<_> = world.changes().iter().map(|r| r.json()).collect();
    let content = |text: &str| json!({"files": {"a.txt": {"content": text}}});
    assert_eq!(sent, [content("zero alpha\nbeta\n"), content("zero one alpha\nbeta\n")]);
    assert_eq!(world.server.commits(&id).len(), 3);
    assert_eq!(world.list("Notes"), ["a.txt", "a.txt~", "b.txt"]);
    assert_eq!(world.read("Notes/a.txt~"), OLD);
    assert!(world.log().contains(r##"symlink ".#a.txt""##), "emacs made no lock");
    world.same_on_both_sides(&id, "Notes");
}

#[test]
fn a_save_in_ed_is_one_patch() {
    let (mut world, id) = notes();
    world.sh("printf '1s/alpha/omega/\\nw\\nq\\n' | ed -s Notes/a.txt");
    world.saved_as(&id, &json!({"a.txt": {"content": "omega\nbeta\n"}}));
    world.same_on_both_sides(&id, "Notes");
}
