//! Names that nobody should give, as descriptions and as file names: all are shown, readable and
//! writable, and GitHub is addressed by what it calls them.

use std::collections::{BTreeMap, BTreeSet};

use gistfs::demo::{Limits, Seed, ServerOptions};
use serde_json::json;

use crate::outcome::shown;
use crate::world::World;

/// Names and descriptions that a path cannot hold, or that mean something to somebody.
pub(crate) fn hostile() -> Vec<String> {
    let mut names: Vec<String> = [
        "a/b.txt",
        "a∕b.txt",
        "/",
        "//etc/passwd",
        "../../up",
        "..",
        ".",
        "...",
        ".gist",
        ".gistfs",
        ".starred",
        ".users",
        ".public",
        ".by-id",
        ".git",
        "a\nb",
        "\n",
        "\t",
        "\u{7}bell",
        "\u{1b}[31mred",
        "nul\0nul",
        "\0",
        "🎉.txt",
        "👩‍👩‍👧 family.md",
        "Readme.md",
        "README.md",
        "readme.MD",
        "-rf",
        "--help",
        "~",
        "*",
        "?",
        " ",
        " both ",
        "a\\b",
        "%2e%2e",
        "%2F",
        "a?b#c&d",
        "a b+c",
        "\u{202e}txt.exe",
        "\u{feff}bom",
        "\u{2028}line",
        "e\u{301}",
        "\u{e9}",
        "$(id)",
        "`id`",
        "'\"",
        "con",
        "aux.txt",
        "C:\\x",
        "a:b",
        "notes~",
        "4913",
        "#x#",
        ".#lock",
        ".a.swp",
        "a.conflict-20200101-000000.txt",
        "new-1",
        "canary",
        "a (aa5a315).txt",
    ]
    .map(str::to_owned)
    .to_vec();
    names.push("x".repeat(300));
    names.push(format!("{}.txt", "é".repeat(140)));
    names.push("🎈".repeat(80));
    names
}

/// Two hundred gists, every name several times over; and what the server calls their files.
fn world() -> (World, Vec<String>) {
    let limits = Limits::none();
    let mut world = World::with(ServerOptions { limits, ..ServerOptions::default() });
    world.scratch_is_known = true;
    let names = hostile();
    let ids = (0..200)
        .map(|number| {
            let description = names.get(number % (names.len() + 1)).cloned();
            let mut files: Vec<(String, Vec<u8>)> =
                vec![("plain.txt".into(), format!("{number}\n").into())];
            for offset in 0..5 {
                let name = names[(number * 5 + offset) % names.len()].clone();
                let text = format!("{number} {name:?}\n");
                files.push((name, text.into()));
            }
            world.server.seed("octo", Seed { description, files, ..Seed::default() })
        })
        .collect();
    (world, ids)
}

/// Every directory's files by the number of its gist, read through the mount.
fn read_all(world: &World) -> BTreeMap<usize, BTreeMap<String, Vec<u8>>> {
    let directories = world.list("");
    let unique: BTreeSet<&String> = directories.iter().collect();
    assert_eq!(unique.len(), 200);
    let gist = |directory: String| {
        let file = |name: String| {
            let path = world.path(&directory).join(&name);
            let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
            (name, bytes)
        };
        let files: BTreeMap<String, Vec<u8>> =
            world.list(&directory).into_iter().map(file).collect();
        let number = String::from_utf8_lossy(&files["plain.txt"]).trim().parse();
        (number.unwrap_or_else(|_| panic!("{directory:?} is no gist of ours")), files)
    };
    directories.into_iter().map(gist).collect()
}

fn bodies<'a>(files: impl IntoIterator<Item = (&'a String, &'a Vec<u8>)>) -> Vec<Vec<u8>> {
    let mut bodies: Vec<Vec<u8>> = files.into_iter().map(|(_, bytes)| bytes.clone()).collect();
    bodies.sort();
    bodies
}

#[test]
fn two_hundred_gists_of_hostile_names_are_listed_read_and_written() {
    let (mut world, ids) = world();
    world.mount(&[]);
    let listing = world.sh("ls -lRa --quoting-style=c | grep -c '^-'");
    let before: Vec<_> = ids.iter().map(|id| world.server.files(id).expect("a gist")).collect();
    let count: usize = before.iter().map(BTreeMap::len).sum();
    assert_eq!(listing.trim(), count.to_string());
    let seen = read_all(&world);
    assert_eq!(seen.len(), 200);
    for (number, files) in &seen {
        assert_eq!(bodies(files), bodies(&before[*number]), "{number}");
    }

    // Every file gets a line, by whatever name it is shown.
    for directory in world.list("") {
        for name in world.list(&directory) {
            let path = world.path(&directory).join(&name);
            let mut bytes = std::fs::read(&path).expect("it reads");
            bytes.extend_from_slice(b"and more\n");
            std::fs::write(&path, bytes).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        }
    }
    world.saved();
    for (id, before) in ids.iter().zip(&before) {
        let mut expected = before.clone();
        expected.values_mut().for_each(|bytes| bytes.extend_from_slice(b"and more\n"));
        assert_eq!(world.server.files(id).as_ref(), Some(&expected));
    }
    // By the names they have there: nothing was renamed, made or removed.
    for change in world.changes() {
        let number = ids.iter().position(|id| change.path.ends_with(id.as_str()));
        let before = &before[number.expect("a gist of ours")];
        let body = change.json();
        for (name, file) in body["files"].as_object().expect("files") {
            assert!(before.contains_key(name), "{}", shown(&change));
            assert!(
                file["content"].is_string() && file["filename"].is_null(),
                "{}",
                shown(&change)
            );
        }
        assert!(body["description"].is_null(), "{}", shown(&change));
    }
}

#[test]
fn names_stay_the_same_over_a_remount() {
    let (mut world, _) = world();
    world.mount(&[]);
    let before = world.sh("find . -print0 | sort -z | md5sum");
    world.unmount();
    world.mount(&[]);
    assert_eq!(world.sh("find . -print0 | sort -z | md5sum"), before);
}

#[test]
fn a_file_shown_under_another_name_is_renamed_and_removed_by_its_own() {
    let mut world = World::empty();
    let files = [("a/b.txt", "slash\n"), ("..", "dots\n"), ("c.txt", "gamma\n")];
    let id = world.seed("One/two", &files);
    world.mount(&[]);
    assert_eq!(world.list(""), ["One∕two"]);
    let find = |text: &str| world.sh(&format!("grep -rl {text} .")).trim_end().to_owned();
    let (slash, dots) = (find("slash"), find("dots"));
    world.sh(&format!("mv '{slash}' One∕two/plain.txt; rm '{dots}'"));
    world.saved_as(&id, &json!({"a/b.txt": {"filename": "plain.txt"}, "..": null}));
    world.same_on_both_sides(&id, "One∕two");
}

#[test]
fn a_gist_without_files_or_with_null_ones_is_shown_as_far_as_it_goes() {
    let mut world = World::empty();
    world.seed("Empty", &[]);
    world.seed("Holey", &[("a.txt", "alpha\n"), ("gone.txt", "?\n")]);
    world.server.with_switches(|switches| switches.null_files.insert("gone.txt".into()));
    world.mount(&[]);
    assert_eq!(world.list(""), ["Empty", "Holey"]);
    assert_eq!(world.list("Empty"), [""; 0]);
    assert_eq!(world.read("Holey/a.txt"), "alpha\n");
}

#[test]
fn reserved_names_are_refused_and_other_dotted_ones_are_not() {
    let (world, _) = World::notes(&[("a.txt", "alpha\n")]);
    for name in [".gist", ".gistfs", ".starred", ".users", ".public", ".by-id"] {
        let complaint = world.fails(&format!("mkdir {name}"));
        assert!(complaint.contains("mkdir"), "{complaint}");
    }
    world.fails("echo x > Notes/.gist");
    world.sh("mkdir .dotted; echo x > .dotted/.hidden; echo y > Notes/.gitignore");
    let long = "n".repeat(255);
    world.sh(&format!("mkdir {long}; echo x > {long}/{long}"));
    assert!(world.fails(&format!("echo x > Notes/{long}n")).contains("File name too long"));
    let complaint = world.fails(r"printf x > Notes/$'latin\xe9'");
    assert!(complaint.contains("Invalid or incomplete multibyte"), "{complaint}");
}
