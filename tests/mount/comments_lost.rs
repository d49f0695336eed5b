//! Comments in a network that loses things: none is made twice, and none is forgotten.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;

use gistfs::demo::{Fault, FaultKind, ServerOptions};

use crate::outcome::shown;
use crate::world::{World, wait_until};

const DIR: &str = "Notes/.gist/comments";

/// A mount whose reads lag for 2 s, as it believes; the gist has one comment of one's own.
fn notes() -> (World, String) {
    let mut world = World::with(ServerOptions::default());
    let id = world.seed("Notes", &[("a.txt", "alpha\n")]);
    world.server.comment(&id, "octo", "first").expect("a comment");
    world.mount(&["--read-lag", "2"]);
    assert_eq!(world.list(DIR), ["0001-octo-1.md"]);
    (world, id)
}

impl World {
    fn hit(&self, method: &str, times: usize, kind: FaultKind) {
        let (method, path) = (Some(method.to_owned()), "/comments".to_owned());
        self.server.inject(Fault { method, path, times, ..Fault::once(kind) });
    }

    /// What was sent about comments: method and text.
    fn tried(&self) -> Vec<String> {
        let comments = self.changes().into_iter().filter(|r| r.path.contains("/comments"));
        let text = |r: &gistfs::demo::LoggedRequest| r.json()["body"].as_str().map(str::to_owned);
        comments.map(|r| format!("{} {}", r.method, text(&r).unwrap_or_default())).collect()
    }

    fn bodies(&self, id: &str) -> Vec<String> {
        self.server.comments(id).into_iter().map(|(_, _, body)| body).collect()
    }
}

#[test]
fn a_comment_whose_answer_is_lost_is_found_and_not_made_twice() {
    for kind in [FaultKind::LoseAnswer, FaultKind::CutShort, FaultKind::InvalidJson] {
        let (world, id) = notes();
        world.hit("POST", 1, kind);
        world.sh(&format!("echo reply > {DIR}/new.md"));
        assert_eq!(world.tried(), ["POST reply"]);
        assert_eq!(world.bodies(&id), ["first", "reply"]);
        assert_eq!(world.list(DIR), ["0001-octo-1.md", "0002-octo-2.md"]);
        assert_eq!(world.read(&format!("{DIR}/new.md")), "reply\n");
    }
}

/// One's own comment of the same words, made before, is not taken for the new one.
#[test]
fn a_comment_that_was_not_made_stays_as_a_draft_until_it_is_written_again() {
    let failing = [
        (FaultKind::Drop, "No route to host"),
        (status(500), "Input/output error"),
        (status(422), "Input/output error"),
        (status(404), "Permission denied"),
        (status(401), "Permission denied"),
        (status(403), "Permission denied"),
    ];
    for (kind, complaint) in failing {
        let (world, id) = notes();
        world.hit("POST", 1, kind);
        let said = world.fails(&format!("echo first > $W/x; cp $W/x {DIR}/new.md"));
        assert!(said.contains(complaint), "{said}");
        assert_eq!(world.bodies(&id), ["first"]);
        assert_eq!(world.list(DIR), ["0001-octo-1.md", "new.md"]);
        assert_eq!(world.read(&format!("{DIR}/new.md")), "first\n");
        assert!(world.log().contains("stays as a draft"));
        // Nothing is sent by itself, nor by looking.
        world.sh(&format!("ls -l {DIR}; cat {DIR}/new.md; touch {DIR}/new.md"));
        assert_eq!(world.tried(), ["POST first"]);
        world.sh(&format!("echo more >> {DIR}/new.md"));
        assert_eq!(world.tried(), ["POST first", "POST first\nmore"]);
        assert_eq!(world.list(DIR), ["0001-octo-1.md", "0002-octo-2.md"]);
        assert_eq!(world.bodies(&id), ["first", "first\nmore"]);
    }
}

/// What an earlier try made after all, though nobody could see it then, is the comment.
#[test]
fn a_draft_that_turns_out_to_be_a_comment_is_not_sent_again() {
    for (again, sent) in
        [("reply", vec!["POST reply"]), ("other", vec!["POST reply", "PATCH other"])]
    {
        let (world, id) = notes();
        world.hit("POST", 1, FaultKind::LoseAnswer);
        world.hit("GET", 100, FaultKind::Drop);
        world.fails(&format!("echo reply > $W/x; cp $W/x {DIR}/new.md"));
        world.server.clear_faults();
        assert!(world.list(DIR).contains(&"new.md".to_owned()));
        wait_until("it can be written", || {
            world.try_sh(&format!("echo {again} > $W/x; cp $W/x {DIR}/new.md")).status.success()
        });
        assert_eq!(world.tried(), sent);
        assert_eq!(world.bodies(&id), ["first", again]);
        assert_eq!(world.list(DIR), ["0001-octo-1.md", "0002-octo-2.md"]);
    }
}

/// What editors and rsync do with a draft between two tries does not make its comment twice.
#[test]
fn a_comment_is_not_made_twice_by_whoever_saves_it_by_other_names() {
    for save in [
        "test -e v.md~ || mv v.md v.md~; cp $W/x v.md",
        "cp $W/x .v.md.Ab12Cd; mv .v.md.Ab12Cd v.md",
        "rm -f v.md; cp $W/x v.md",
        "mv v.md w.md",
    ] {
        let (world, id) = notes();
        world.hit("POST", 1, FaultKind::LoseAnswer);
        world.hit("GET", 100, FaultKind::Drop);
        world.fails(&format!("echo reply > $W/x; cp $W/x {DIR}/v.md"));
        world.server.clear_faults();
        wait_until("it can be saved", || {
            world.try_sh(&format!("cd {DIR}; {save}")).status.success()
        });
        assert_eq!(world.tried(), ["POST reply"], "{save}");
        assert_eq!(world.bodies(&id), ["first", "reply"], "{save}");
    }
    // The first try may have been a rename of what is gone since.
    let (world, id) = notes();
    world.hit("POST", 1, FaultKind::LoseAnswer);
    world.hit("GET", 100, FaultKind::Drop);
    let save = format!("cd {DIR}; echo reply > sedAb12Cd; mv sedAb12Cd v.md || ! rm sedAb12Cd");
    world.fails(&save);
    world.server.clear_faults();
    wait_until("it can be saved", || world.try_sh(&save).status.success());
    assert_eq!(world.tried(), ["POST reply"]);
    assert_eq!(world.bodies(&id), ["first", "reply"]);
}

/// The copies of one descriptor are closed one by one, and what failed fails without being sent again.
#[test]
fn a_save_that_failed_is_not_sent_again_until_something_else_is_written() {
    let (world, id) = notes();
    world.hit("POST", 10, status(422));
    world.fails(&format!("(/bin/echo b; /bin/true; ! true) > {DIR}/new.md"));
    assert_eq!(world.tried(), ["POST b"]);
    assert!(!world.log().contains("what was written is dropped"), "{}", world.log());
    world.sh(&format!("(/bin/echo b || true; /bin/echo c) > {DIR}/new.md || true"));
    assert_eq!(world.tried(), ["POST b", "POST b", "POST b\nc"]);
    world.server.clear_faults();
    world.sh(&format!("echo d >> {DIR}/new.md"));
    assert_eq!(world.bodies(&id), ["first", "b\nc\nd"]);
}

/// `rm` waits for what is under way, and removes what becomes of it.
#[test]
fn a_new_file_that_is_removed_while_it_is_sent_is_no_comment_in_the_end() {
    let (world, id) = notes();
    world.hit("POST", 1, FaultKind::Delay(std::time::Duration::from_secs(2)));
    std::thread::scope(|scope| {
        scope.spawn(|| world.sh(&format!("echo reply > $W/x; cp $W/x {DIR}/new.md")));
        let written = || std::fs::metadata(world.path(&format!("{DIR}/new.md")));
        wait_until("it is being sent", || written().is_ok_and(|data| data.len() == 6));
        world.sh(&format!("rm {DIR}/new.md"));
    });
    assert_eq!(world.tried(), ["POST reply", "DELETE "]);
    assert_eq!(world.bodies(&id), ["first"]);
    assert_eq!(world.list(DIR), ["0001-octo-1.md"]);
}

/// Whoever has a comment open when it is deleted elsewhere goes on with it, and loses no word.
#[test]
fn what_is_written_to_a_comment_that_was_deleted_while_it_was_open_is_a_draft() {
    let (world, id) = notes();
    world.server.comment(&id, "octo", "second").expect("a comment");
    wait_until("it shows", || world.list(DIR).len() == 2);
    let file = world.path(&format!("{DIR}/0002-octo-2.md"));
    let open = || std::fs::OpenOptions::new().read(true).append(true).open(&file);
    let mut opened = open().expect("it is opened");
    world.server.change_comment(&id, 2, None).expect("it is deleted");
    wait_until("it is gone", || world.list(DIR).len() == 1);
    let mut text = String::new();
    opened.read_to_string(&mut text).expect("it can still be read");
    assert_eq!(text, "second\n");
    let data = opened.metadata().expect("it has attributes");
    assert_eq!((data.len(), data.nlink()), (7, 0));
    opened.write_all(b"late\n").expect("it can still be written");
    let error = nix::unistd::close(opened).expect_err("GitHub does not have it");
    assert_eq!(error, nix::errno::Errno::ESTALE);
    assert_eq!(world.read(&format!("{DIR}/0002-octo-2.md")), "second\nlate\n");
    assert_eq!(world.list(DIR), ["0001-octo-1.md", "0002-octo-2.md"]);
}

/// What was written stays under the name by which it was written.
#[test]
fn a_draft_of_a_deleted_comment_has_the_name_by_which_it_was_written() {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "alpha\n")]);
    for login in ["hubot", "octo"] {
        world.server.comment(&id, login, "first").expect("a comment");
    }
    world.mount(&[]);
    assert_eq!(world.list(DIR), ["0001-hubot-1.md", "0002-octo-2.md"]);
    world.server.change_comment(&id, 2, None).expect("it is deleted");
    let said = world.fails(&format!("echo late > $W/x; cp $W/x {DIR}/0002-octo-2.md"));
    assert!(said.contains("Stale file handle"), "{said}");
    assert_eq!(world.list(DIR), ["0001-hubot-1.md", "0002-octo-2.md"]);
    world.sh(&format!("cp $W/x {DIR}/0002-octo-2.md"));
    assert_eq!(world.list(DIR), ["0001-hubot-1.md", "0002-octo-3.md"]);
    assert_eq!(world.bodies(&id), ["first", "late"]);
}

/// Not everybody at GitHub knows a gist that was made a moment ago.
#[test]
fn a_gist_just_made_has_no_comments_although_github_does_not_find_them() {
    let (world, _) = notes();
    world.hit("GET", 10, status(404));
    world.sh("mkdir New; echo x > New/a.txt");
    wait_until("it is made", || !world.read("New/.gist/id").is_empty());
    assert!(world.list("New/.gist/comments").is_empty());
    world.sh("echo reply > New/.gist/comments/new.md");
}

#[test]
fn a_draft_can_be_removed_renamed_and_read() {
    let (world, id) = notes();
    world.hit("POST", 2, status(500));
    world.fails(&format!("cd {DIR}; echo a > $W/a; cp $W/a a.md"));
    world.fails(&format!("cd {DIR}; cp $W/a b.md"));
    world.sh(&format!("cd {DIR}; cat a.md b.md; rm a.md; mv b.md c.md"));
    assert_eq!(world.tried(), ["POST a", "POST a", "POST a"]);
    assert_eq!(world.bodies(&id), ["first", "a"]);
    assert_eq!(world.list(DIR), ["0001-octo-1.md", "0002-octo-2.md"]);
}

#[test]
fn an_edit_whose_answer_is_lost_is_sent_once_more() {
    for kind in [FaultKind::LoseAnswer, FaultKind::Drop, status(502), FaultKind::Html] {
        let (world, id) = notes();
        world.hit("PATCH", 1, kind);
        world.sh(&format!("echo changed > {DIR}/0001-octo-1.md"));
        assert_eq!(world.tried(), ["PATCH changed", "PATCH changed"]);
        assert_eq!(world.bodies(&id), ["changed"]);
        assert_eq!(world.list(DIR), ["0001-octo-1.md"]);
    }
}

#[test]
fn an_edit_that_is_not_made_stays_here_and_can_be_sent_again_or_taken_back() {
    for kind in [status(500), status(422), status(404), status(401)] {
        let (world, id) = notes();
        world.hit("PATCH", 2, kind);
        let name = format!("{DIR}/0001-octo-1.md");
        world.fails(&format!("echo changed > $W/x; cp $W/x {name}"));
        world.server.clear_faults();
        assert_eq!(world.bodies(&id), ["first"]);
        assert_eq!(world.list(DIR), ["0001-octo-1.md"]);
        assert_eq!(world.read(&name), "changed\n");
        let tried = world.tried().len();
        world.sh(&format!("cp $W/x {name}"));
        assert_eq!(world.tried().len(), tried + 1);
        assert_eq!(world.bodies(&id), ["changed"]);
        world.hit("PATCH", 2, status(500));
        world.fails(&format!("echo bad > $W/x; cp $W/x {name}"));
        world.sh(&format!("rm {name}"));
        assert_eq!(world.read(&name), "changed\n");
        assert_eq!(world.bodies(&id), ["changed"]);
    }
}

#[test]
fn a_deletion_whose_answer_is_lost_is_done() {
    for kind in [FaultKind::LoseAnswer, FaultKind::Drop, status(500)] {
        let (world, id) = notes();
        world.hit("DELETE", 1, kind);
        world.sh(&format!("rm {DIR}/0001-octo-1.md"));
        assert_eq!(world.tried(), ["DELETE ", "DELETE "]);
        assert!(world.bodies(&id).is_empty() && world.list(DIR).is_empty());
    }
    // Twice without an answer: whether it is there tells.
    let (world, id) = notes();
    world.hit("DELETE", 2, FaultKind::LoseAnswer);
    world.sh(&format!("rm {DIR}/0001-octo-1.md"));
    assert!(world.bodies(&id).is_empty() && world.list(DIR).is_empty());
}

#[test]
fn a_deletion_that_is_refused_leaves_the_comment() {
    for (kind, complaint) in [
        (status(404), "Permission denied"),
        (status(401), "Permission denied"),
        (status(422), "Input/output error"),
    ] {
        let (world, id) = notes();
        world.hit("DELETE", 1, kind);
        let said = world.fails(&format!("rm {DIR}/0001-octo-1.md"));
        assert!(said.contains(complaint), "{said}");
        assert_eq!(world.bodies(&id), ["first"]);
        assert_eq!(world.list(DIR), ["0001-octo-1.md"]);
        world.sh(&format!("rm {DIR}/0001-octo-1.md"));
        assert!(world.bodies(&id).is_empty());
    }
}

/// What was deleted elsewhere needs no deletion, and what is written to it is not lost.
#[test]
fn a_comment_that_is_gone_already_is_removed_without_a_word_and_written_to_a_draft() {
    let (world, id) = notes();
    let number = world.server.comment(&id, "octo", "second").expect("a comment");
    wait_until("it shows", || world.list(DIR).len() == 2);
    world.server.change_comment(&id, number, None).expect("it is deleted");
    world.sh(&format!("rm {DIR}/0002-octo-2.md"));
    assert_eq!(world.list(DIR), ["0001-octo-1.md"]);
    world.server.change_comment(&id, 1, None).expect("it is deleted");
    let said = world.fails(&format!("echo late > $W/x; cp $W/x {DIR}/0001-octo-1.md"));
    assert!(said.contains("Stale file handle"), "{said}");
    assert_eq!(world.list(DIR), ["0001-octo-1.md"]);
    assert_eq!(world.read(&format!("{DIR}/0001-octo-1.md")), "late\n");
    assert!(world.bodies(&id).is_empty());
    world.sh(&format!("cp $W/x {DIR}/0001-octo-1.md"));
    assert_eq!(world.bodies(&id), ["late"]);
}

/// A limit of GitHub is told at once, and nothing is asked until it ends.
#[test]
fn a_rate_limit_is_told_to_whoever_comments() {
    let (world, id) = notes();
    let reset_in = std::time::Duration::from_secs(4);
    world.hit("POST", 1, FaultKind::PrimaryLimit { reset_in });
    for _ in 0..2 {
        let said = world.fails(&format!("echo x > $W/x; cp $W/x {DIR}/new.md"));
        assert!(said.contains("Disk quota exceeded"), "{said}");
    }
    assert_eq!(world.tried(), ["POST x"]);
    assert_eq!(world.list(DIR), ["0001-octo-1.md", "new.md"]);
    assert!(world.fails(&format!("rm {DIR}/0001-octo-1.md")).contains("Disk quota exceeded"));
    wait_until("the limit is over", || {
        world.try_sh(&format!("cp $W/x {DIR}/new.md")).status.success()
    });
    assert_eq!(world.bodies(&id), ["first", "x"]);
    let all: Vec<String> = world.changes().iter().map(shown).collect();
    assert_eq!(all.len(), 2, "{all:#?}");
}

/// What was told once is shown, and where nothing was told the list fails.
#[test]
fn lists_that_cannot_be_had_show_what_is_known_and_first_lists_say_why() {
    let mut world = World::empty();
    for title in ["Notes", "Other"] {
        let id = world.seed(title, &[("a.txt", "alpha\n")]);
        world.server.comment(&id, "octo", "first").expect("a comment");
    }
    world.mount(&[]);
    assert_eq!(world.list(DIR), ["0001-octo-1.md"]);
    world.hit("GET", 1000, status(500));
    assert!(world.fails("ls Other/.gist/comments").contains("Input/output error"));
    wait_until("it is asked for in vain", || {
        assert_eq!(world.list(DIR), ["0001-octo-1.md"]);
        assert_eq!(world.read(&format!("{DIR}/0001-octo-1.md")), "first\n");
        world.log().contains("those last told are shown")
    });
    world.server.clear_faults();
    assert_eq!(world.list("Other/.gist/comments"), ["0001-octo-2.md"]);
}

fn status(status: u16) -> FaultKind {
    FaultKind::Status { status, headers: vec![], body: r#"{"message": "no"}"#.into() }
}
