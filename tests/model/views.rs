//! Other people's gists are forgotten when nobody uses them; numbers the kernel has go on working.

use std::ffi::OsStr;
use std::time::Duration;

use gistfs::error::Error;
use gistfs::fs::{Attr, Wait};
use gistfs::model::GistId;
use gistfs::tree::Ino;

use crate::mount::{Mount, READ};

fn look_up(mount: &Mount, path: &[&str], wait: Wait) -> Result<Attr, Error> {
    let mut found = mount.fs().getattr(Ino::ROOT, wait)?;
    for name in path {
        found = mount.fs().lookup(found.ino, OsStr::new(name), wait)?.ok_or(Error::NotFound)?;
    }
    Ok(found)
}

/// The names in a directory, in its order, as a program gets them that reads to the end.
fn listed(mount: &Mount, directory: Ino) -> Vec<String> {
    let (mut names, mut after, mut is_end) = (Vec::new(), 0, false);
    while !is_end {
        is_end = true;
        let read = mount.fs().readdir(directory, after, false, Wait::Yes, |entry| {
            if !entry.name.starts_with('.') {
                names.push(entry.name.to_owned());
            }
            (after, is_end) = (entry.cookie, false);
            false
        });
        read.expect("it can be listed");
    }
    names
}

/// How often GitHub was asked for a gist, "still so" included, since this was last called.
fn gets(mount: &Mount) -> usize {
    mount.github.take_counts().gets
}

/// A mount that knows of no gist, and the ids of two gists that are nobody's of it.
fn strangers() -> (Mount, [GistId; 2]) {
    let mount = Mount::alone();
    mount.refresh();
    let make = |title: &str| mount.github.create_elsewhere(title, &[("a", b"alpha\n")]);
    let ids = [make("one"), make("two")];
    mount.github.take_counts();
    (mount, ids)
}

#[test]
fn a_gist_that_was_forgotten_is_asked_for_again_by_whoever_still_has_its_numbers() {
    let (mount, [id, other]) = strangers();
    let path = [".by-id", id.as_str(), "a"];
    let file = look_up(&mount, &path, Wait::Yes).expect("it is there");
    assert_eq!((file.size, gets(&mount)), (6, 1));
    mount.clock.pass(Duration::from_secs(2 * 3600));
    // Whatever is looked at then, the unused is forgotten.
    look_up(&mount, &[".by-id", other.as_str()], Wait::Yes).expect("it is there");
    assert_eq!(gets(&mount), 1);
    assert!(matches!(mount.fs().getattr(file.ino, Wait::No), Err(Error::WouldWait)));
    assert_eq!(gets(&mount), 0);
    assert_eq!(mount.fs().getattr(file.ino, Wait::Yes).expect("it is still there"), file);
    assert_eq!(gets(&mount), 1);
    let fh = mount.fs().open(file.ino, READ).expect("it opens");
    let body = mount.fs().read(fh, 0, 100, Wait::Yes).expect("it reads");
    assert_eq!((&*body, gets(&mount)), (&b"alpha\n"[..], 0));
}

#[test]
fn who_may_not_wait_is_told_so_before_anything_is_asked() {
    let (mount, [id, _]) = strangers();
    let would_wait = |path: &[&str]| {
        let found = look_up(&mount, path, Wait::No);
        assert!(matches!(found, Err(Error::WouldWait)), "{path:?}: {found:?}");
    };
    would_wait(&[".by-id", id.as_str()]);
    would_wait(&[".users", "me"]);
    would_wait(&[".starred", "one"]);
    would_wait(&[".public", "one"]);
    let counts = mount.github.take_counts();
    assert_eq!((counts.gets, counts.lists), (0, 0));
    look_up(&mount, &[".users", "me", "one", "a"], Wait::Yes).expect("it is there");
    look_up(&mount, &[".users", "me", "two", "a"], Wait::No).expect("it is known");
    let counts = mount.github.take_counts();
    assert_eq!((counts.gets, counts.lists), (0, 1));
}

#[test]
fn many_who_ask_for_one_gist_ask_once() {
    let (mount, [id, _]) = strangers();
    let path = [".by-id", id.as_str(), "a"];
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| look_up(&mount, &path, Wait::Yes).expect("it is there"));
        }
    });
    assert_eq!(gets(&mount), 1);
}

#[test]
fn every_page_of_a_list_is_asked_for_again_by_who_lists_it_again() {
    let mount = Mount::alone();
    mount.refresh();
    for number in 0..7 {
        mount.github.create_elsewhere(&format!("g{number}"), &[("a", b"alpha\n")]);
        mount.clock.pass(Duration::from_secs(60));
    }
    let user = look_up(&mount, &[".users", "me"], Wait::Yes).expect("they are there").ino;
    assert_eq!(listed(&mount, user), ["g6", "g5", "g4", "g3", "g2", "g1", "g0"]);
    mount.github.describe_elsewhere(&mount.github.id("g2"), "changed");
    mount.github.delete_elsewhere(&mount.github.id("g0"));
    mount.clock.pass(Duration::from_secs(6));
    assert_eq!(listed(&mount, user), ["g6", "g5", "g4", "g3", "changed", "g1"]);
    mount.github.create_elsewhere("new", &[("a", b"alpha\n")]);
    mount.clock.pass(Duration::from_secs(6));
    let expected = ["new", "g6", "g5", "g4", "g3", "changed", "g1"];
    assert_eq!(listed(&mount, user), expected, "what was pushed to the next page is there");
}

#[test]
fn gists_that_were_forgotten_are_asked_for_by_the_page_of_the_list_that_shows_them() {
    let mount = Mount::alone();
    mount.refresh();
    for number in 0..7 {
        mount.github.create_elsewhere(&format!("g{number}"), &[("a", b"alpha\n")]);
        mount.clock.pass(Duration::from_secs(60));
    }
    let user = look_up(&mount, &[".users", "me"], Wait::Yes).expect("they are there").ino;
    for _ in 0..2 {
        assert_eq!(listed(&mount, user).len(), 7);
        mount.clock.pass(Duration::from_secs(30 * 60));
    }
    // When anything new is told, what nobody used is forgotten, but not the list that was used.
    mount.github.edit_elsewhere(&mount.github.id("g0"), "a", Some(b"beta\n"));
    assert_eq!(listed(&mount, user).len(), 7);
    mount.github.take_counts();
    for number in 1..7 {
        let gist = format!("g{number}");
        look_up(&mount, &[".users", "me", &gist, "a"], Wait::Yes).expect("it is there");
    }
    let counts = mount.github.take_counts();
    assert_eq!((counts.gets, counts.lists, counts.unmodified), (0, 2, 0));
}

/// The kernel keeps listings and does not hear reliably that one is no longer good.
#[test]
fn a_hidden_directory_has_another_time_within_the_second_after_each_listing() {
    let (mount, [id, _]) = strangers();
    let gist = look_up(&mount, &[".by-id", id.as_str()], Wait::Yes).expect("it is there");
    let time = || mount.fs().getattr(gist.ino, Wait::Yes).expect("it is there").mtime;
    let before = time();
    assert_eq!(time(), before);
    assert_eq!(listed(&mount, gist.ino), ["a"]);
    assert_ne!(time(), before);
    assert_eq!(time().seconds(), before.seconds());
}
