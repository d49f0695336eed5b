//! `.gist/comments`: files that are comments, through the programs people use.

use gistfs::demo::{LoggedRequest, Seed, ServerOptions};

use crate::outcome::shown;
use crate::terminal::Terminal;
use crate::world::{World, wait_until};

/// Where the comments are.
const DIR: &str = "Notes/.gist/comments";

/// A mount of one gist of one's own with these comments by these people; and the gist's id.
fn commented(comments: &[(&str, &str)]) -> (World, String) {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "alpha\n")]);
    for (login, body) in comments {
        world.server.comment(&id, login, body).expect("a comment");
    }
    world.mount(&[]);
    world.server.forget_requests();
    (world, id)
}

impl World {
    /// The requests about comments, in short: `GET 200`.
    fn talked(&self) -> Vec<String> {
        let mut all = self.server.requests();
        all.retain(|r| r.path.contains("/comments"));
        let short = |r: &LoggedRequest| {
            let one = r.path.rsplit('/').next().filter(|end| *end != "comments");
            format!(
                "{} {}{}",
                r.method,
                one.map(|id| format!("{id} ")).unwrap_or_default(),
                r.status
            )
        };
        let short = all.iter().map(short).collect();
        self.server.forget_requests();
        short
    }

    /// The changes among them.
    fn sent(&self) -> Vec<String> {
        let mut all = self.server.requests();
        all.retain(|r| r.method != "GET" && r.path.contains("/comments"));
        self.server.forget_requests();
        all.iter()
            .map(|r| format!("{} {}", r.method, r.json()["body"].as_str().unwrap_or_default()))
            .collect()
    }

    /// The comments as the server has them.
    fn said_about(&self, id: &str) -> Vec<(String, String)> {
        self.server.comments(id).into_iter().map(|(_, login, body)| (login, body)).collect()
    }
}

fn said(comments: &[(&str, &str)]) -> Vec<(String, String)> {
    comments.iter().map(|(login, body)| ((*login).to_owned(), (*body).to_owned())).collect()
}

/// `GET /gists/ID/comments`: one request lists them with sizes and times and has the texts.
#[test]
fn comments_are_files_in_order_with_their_sizes_times_and_texts() {
    let (world, id) =
        commented(&[("hubot", "first"), ("octo", "second\n"), ("hubot", "dritt é\r\nx")]);
    assert_eq!(
        world.sh(&format!("cd {DIR}; ls; cat *; stat -c '%s %a' *")),
        "0001-hubot-1.md\n0002-octo-2.md\n0003-hubot-3.md\nfirst\nsecond\ndritt é\r\nx\n6 400\n7 600\n12 400\n"
    );
    assert_eq!(world.talked(), ["GET 200"]);
    let made = std::fs::metadata(world.path(&format!("{DIR}/0001-hubot-1.md"))).expect("a file");
    let there = world.server.updated_at(&id).expect("a time").seconds();
    let mtime = made.modified().expect("a time").duration_since(std::time::UNIX_EPOCH);
    assert!((mtime.expect("after 1970").as_secs() as i64 - there).abs() <= 1);
    // What was asked is believed for 5 s, then only asked whether it is still true.
    world.sh(&format!("ls -l {DIR} > /dev/null"));
    assert!(world.talked().is_empty());
}

/// `.gist` and what looks into gists cost nothing; `comments` is asked for when it is entered.
#[test]
fn nothing_is_asked_before_somebody_lists_or_reads_comments() {
    let (world, _) = commented(&[("hubot", "first")]);
    world.sh(
        "ls -la Notes; grep -r alpha .; find . > /dev/null; du -s . > /dev/null; cp -r Notes $W/x",
    );
    world.sh(&format!("stat {DIR}; ls -ld {DIR}; test -d {DIR}"));
    world.fails(&format!("stat {DIR}/new.md"));
    assert!(world.talked().is_empty());
    assert!(!world.sh("ls -a Notes").contains(".gist"));
    // A name that could be a comment's has to be looked for, and one question is enough.
    assert_eq!(world.read(&format!("{DIR}/0001-hubot-1.md")), "first\n");
    world.fails(&format!("stat {DIR}/0002-hubot-2.md"));
    assert_eq!(world.talked(), ["GET 200"]);
}

/// `POST /gists/ID/comments`
#[test]
fn a_new_file_is_a_new_comment_and_takes_its_real_name() {
    let (world, id) = commented(&[("hubot", "first")]);
    world.sh(&format!("echo 'I agree.' > {DIR}/reply.md"));
    assert_eq!(world.sent(), ["POST I agree."]);
    assert_eq!(world.said_about(&id), said(&[("hubot", "first"), ("octo", "I agree.")]));
    assert_eq!(world.list(DIR), ["0001-hubot-1.md", "0002-octo-2.md"]);
    assert_eq!(world.read(&format!("{DIR}/0002-octo-2.md")), "I agree.\n");
    // Whoever made it under another name still finds it there.
    assert_eq!(world.read(&format!("{DIR}/reply.md")), "I agree.\n");
    assert!(world.sent().is_empty());
    world.sh(&format!("printf 'x\\n\\ny' > $W/c; cp $W/c {DIR}/c.md"));
    assert_eq!(world.sent(), ["POST x\n\ny"]);
    // What is closed in pieces is a comment with the first of them.
    world.sh(&format!("{{ /bin/echo one; /bin/echo two; }} > {DIR}/e.md"));
    assert_eq!(world.sent(), ["POST one", "PATCH one\ntwo"]);
    world.sh(&format!("mv $W/c {DIR}/d.md"));
    assert_eq!(world.sent(), ["POST x\n\ny"]);
}

/// `PATCH /gists/ID/comments/NUMBER`
#[test]
fn writing_a_comment_of_ones_own_edits_it_and_writing_the_same_sends_nothing() {
    let (world, id) = commented(&[("octo", "one"), ("octo", "two")]);
    world.sh(&format!("cd {DIR}; echo more >> 0001-octo-1.md"));
    assert_eq!(world.sent(), ["PATCH one\nmore"]);
    world.sh(&format!("cd {DIR}; echo other > 0002-octo-2.md"));
    assert_eq!(world.sent(), ["PATCH other"]);
    world.sh(&format!("cd {DIR}; sed -i s/more/less/ 0001-octo-1.md"));
    assert_eq!(world.sent(), ["PATCH one\nless"]);
    world.sh(&format!(
        "cd {DIR}; cp 0001-octo-1.md $W/x; cp $W/x 0001-octo-1.md; touch 0001-octo-1.md"
    ));
    world.sh(&format!("cd {DIR}; truncate -s 3 0001-octo-1.md"));
    assert_eq!(world.sent(), ["PATCH one"]);
    assert_eq!(world.said_about(&id), said(&[("octo", "one"), ("octo", "other")]));
    assert_eq!(world.list(DIR), ["0001-octo-1.md", "0002-octo-2.md"]);
    assert_eq!(world.sh(&format!("cd {DIR}; cat *; stat -c %s *")), "one\nother\n4\n6\n");
}

/// `DELETE /gists/ID/comments/NUMBER`
#[test]
fn removing_a_comment_of_ones_own_deletes_it() {
    let (world, id) = commented(&[("octo", "one"), ("octo", "two"), ("octo", "three")]);
    world.sh(&format!("cd {DIR}; rm 0001-octo-1.md"));
    assert_eq!(world.sent(), ["DELETE "]);
    assert_eq!(world.list(DIR), ["0001-octo-2.md", "0002-octo-3.md"]);
    // Names with the number that another one had go on meaning the same comment.
    assert_eq!(world.read(&format!("{DIR}/0002-octo-2.md")), "two\n");
    world.sh(&format!("rm {DIR}/*"));
    assert_eq!(world.sent(), ["DELETE ", "DELETE "]);
    assert_eq!(world.said_about(&id), []);
    assert!(world.list(DIR).is_empty());
}

#[test]
fn comments_of_others_can_be_read_only() {
    let (world, id) = commented(&[("hubot", "first")]);
    let name = format!("{DIR}/0001-hubot-1.md");
    for script in [
        format!("echo x > {name}"),
        format!("echo x >> {name}"),
        format!("rm -f {name}"),
        format!("echo y > $W/y; cp $W/y {name}"),
        format!("sed -i s/first/last/ {name}"),
        format!("truncate -s 0 {name}"),
        format!("mv {name} {name}~"),
        format!("mv {name} {DIR}/other.md"),
    ] {
        let complaint = world.fails(&script);
        assert!(complaint.contains("Permission denied"), "{script}: {complaint}");
    }
    assert!(world.sent().is_empty());
    assert_eq!(world.said_about(&id), said(&[("hubot", "first")]));
    assert_eq!(world.list(DIR), ["0001-hubot-1.md"]);
}

#[test]
fn what_cannot_be_a_comment_is_refused_and_nothing_is_sent() {
    let (world, id) = commented(&[("octo", "one")]);
    let own = format!("{DIR}/0001-octo-1.md");
    for blank in ["\\n", " \\t\\n\\n"] {
        let complaint = world.fails(&format!("printf '{blank}' | tee {DIR}/new.md"));
        assert!(complaint.contains("Invalid argument"), "{complaint}");
        let complaint = world.fails(&format!("printf '{blank}' > $W/b; cp $W/b {own}"));
        assert!(complaint.contains("Invalid argument"), "{complaint}");
    }
    world.fails(&format!(
        "head -c 65536 /dev/zero | tr '\\0' x > $W/long; cp $W/long {DIR}/long.md"
    ));
    assert!(world.log().contains("is blank") && world.log().contains("65536 characters"));
    assert_eq!(world.read(&own), "one\n");
    assert!(world.fails(&format!("printf '\\377' > $W/odd; cp $W/odd {own}")).contains("Invalid"));
    assert!(world.fails(&format!("mkdir {DIR}/d")).contains("not permitted"));
    assert!(world.sent().is_empty());
    assert_eq!(world.said_about(&id), said(&[("octo", "one")]));
    // What was refused is not lost: it can be made shorter, or be taken back.
    world.sh(&format!("cmp $W/odd {own}; rm {own}; cmp $W/long {DIR}/long.md"));
    assert_eq!(world.read(&own), "one\n");
    world.sh(&format!("rm {DIR}/new.md; truncate -s 65535 {DIR}/long.md"));
    assert_eq!(world.sent().len(), 1);
}

/// An empty file is made by `touch` and its like; nothing is sent until it says something.
#[test]
fn an_empty_file_waits_until_something_is_written() {
    let (world, id) = commented(&[]);
    world.sh(&format!("touch {DIR}/new.md; : > {DIR}/other.md; : > {DIR}/new.md"));
    assert_eq!(world.list(DIR), ["new.md", "other.md"]);
    assert!(world.sent().is_empty());
    world.sh(&format!("echo hello >> {DIR}/new.md; rm {DIR}/other.md"));
    assert_eq!(world.sent(), ["POST hello"]);
    assert_eq!(world.said_about(&id), said(&[("octo", "hello")]));
    assert_eq!(world.list(DIR), ["0001-octo-1.md"]);
}

#[test]
fn what_others_say_meanwhile_appears_and_pages_are_asked_for_by_their_etags() {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "alpha\n")]);
    for number in 0..130 {
        world.server.comment(&id, "hubot", &format!("comment {number}")).expect("a comment");
    }
    world.mount(&[]);
    world.server.forget_requests();
    assert_eq!(world.list(DIR).len(), 130);
    assert_eq!(world.talked(), ["GET 200", "GET 200"]);
    world.server.comment(&id, "hubot", "late").expect("a comment");
    wait_until("it appears", || world.list(DIR).len() == 131);
    assert_eq!(world.read(&format!("{DIR}/0131-hubot-131.md")), "late\n");
    assert_eq!(world.talked(), ["GET 304", "GET 200"]);
    // A comment that is read alone is asked for alone.
    world.server.change_comment(&id, 5, Some("edited")).expect("a comment");
    wait_until("the edit shows", || world.read(&format!("{DIR}/0005-hubot-5.md")) == "edited\n");
    assert_eq!(world.talked(), ["GET 5 200"]);
    assert_eq!(world.read(&format!("{DIR}/0006-hubot-6.md")), "comment 5\n");
    assert_eq!(world.talked(), ["GET 200", "GET 304"]);
    world.server.change_comment(&id, 5, None).expect("a comment");
    wait_until("it is gone", || world.list(DIR).len() == 130);
}

/// A gist that is not on GitHub has no comments, and none can be made.
#[test]
fn a_gist_that_is_not_on_github_yet_cannot_be_commented_on() {
    let (world, _) = commented(&[]);
    world.sh("mkdir New");
    assert!(world.list("New/.gist/comments").is_empty());
    assert!(world.fails("echo x > New/.gist/comments/a.md").contains("not permitted"));
    assert!(world.log().contains("nobody can comment on it"));
    assert!(world.talked().is_empty());
}

#[test]
fn without_a_network_what_is_known_shows_and_the_rest_says_so() {
    let (mut world, network) = World::behind_a_network(ServerOptions::default());
    for title in ["Notes", "Other"] {
        let id = world.seed(title, &[("a.txt", "alpha\n")]);
        world.server.comment(&id, "octo", "first").expect("a comment");
    }
    world.mount(&[]);
    assert_eq!(world.list(DIR), ["0001-octo-1.md"]);
    network.turns(crate::proxy::Weather::Refused);
    let complaint = world.fails("ls Other/.gist/comments");
    assert!(complaint.contains("No route to host"), "{complaint}");
    wait_until("it is asked for in vain", || {
        assert_eq!(world.sh(&format!("cd {DIR}; ls; cat *")), "0001-octo-1.md\nfirst\n");
        world.log().contains("those last told are shown")
    });
    let complaint = world.fails(&format!("echo x > $W/x; cp $W/x {DIR}/new.md"));
    assert!(complaint.contains("No route to host"), "{complaint}");
    // It is still there, and goes when it is written again.
    assert_eq!(world.list(DIR), ["0001-octo-1.md", "new.md"]);
    assert_eq!(world.read(&format!("{DIR}/new.md")), "x\n");
    network.turns(crate::proxy::Weather::Fine);
    wait_until("it goes", || world.try_sh(&format!("cp $W/x {DIR}/new.md")).status.success());
    assert_eq!(world.list(DIR), ["0001-octo-1.md", "0002-octo-3.md"]);
    let posts: Vec<String> = world.changes().iter().map(shown).collect();
    assert_eq!(posts.len(), 1, "{posts:#?}");
}

#[test]
fn a_read_only_mount_shows_comments_and_takes_none() {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "alpha\n")]);
    world.server.comment(&id, "octo", "first").expect("a comment");
    world.mount(&["--read-only"]);
    assert_eq!(world.sh(&format!("cd {DIR}; cat *; stat -c %a *")), "first\n400\n");
    for script in ["echo x > new.md", "echo x > 0001-octo-1.md", "rm -f 0001-octo-1.md"] {
        assert!(world.fails(&format!("cd {DIR}; {script}")).contains("Read-only"), "{script}");
    }
}

/// The gist of a stranger: anybody may comment, by the way of its id in a view.
#[test]
fn names_of_strangers_are_made_safe() {
    let mut world = World::empty();
    let seed = Seed { public: true, ..Seed::new("Notes", &[("a.txt", "alpha\n")]) };
    let id = world.server.seed("octo", seed);
    for login in ["../..", "a/b", "x\ny", "octo-cat[bot]", ""] {
        world.server.comment(&id, login, "hi").expect("a comment");
    }
    world.mount(&[]);
    let names = world.list(DIR);
    assert_eq!(names.len(), 5);
    assert!(names.iter().all(|name| !name.contains('\n')), "{names:?}");
    assert_eq!(world.sh(&format!("cat {DIR}/*")), "hi\n".repeat(5));
}

/// Each entry keeps its place in a listing when others go.
#[test]
fn all_comments_can_be_removed_while_they_are_listed() {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "alpha\n")]);
    for number in 0..60 {
        world.server.comment(&id, "octo", &format!("comment {number}")).expect("a comment");
    }
    world.mount(&[]);
    world.sh(&format!("cd {DIR}; touch a.md b.md; touch c.md"));
    let python = "import os\nfor e in os.scandir('.'): os.remove(e.path)";
    world.sh(&format!("cd {DIR}; python3 -c \"{python}\""));
    assert!(world.list(DIR).is_empty());
    assert!(world.said_about(&id).is_empty());
}

/// Who has a file open keeps it when its name is taken away, as everywhere.
#[test]
fn a_new_file_that_is_removed_while_it_is_open_is_nobodys_comment() {
    let (world, id) = commented(&[("octo", "one")]);
    for name in ["new.md", ".new.md.swp"] {
        let python = format!(
            "import os\n\
             fd = os.open('{name}', os.O_CREAT | os.O_RDWR)\n\
             os.unlink('{name}')\n\
             os.write(fd, b'text')\n\
             assert os.pread(fd, 9, 0) == b'text' and os.fstat(fd).st_size == 4\n\
             assert os.fstat(fd).st_nlink == 0\n\
             os.ftruncate(fd, 2)\n\
             assert os.pread(fd, 9, 0) == b'te'\n\
             os.close(fd)"
        );
        world.sh(&format!("cd {DIR}; python3 -c \"{python}\""));
    }
    // The same with a comment: what is written to it after that is nobody's either.
    world.sh(&format!("cd {DIR}; exec 3>> 0001-octo-1.md; rm 0001-octo-1.md; echo x >&3"));
    assert_eq!(world.sent(), ["DELETE "]);
    assert!(world.said_about(&id).is_empty() && world.list(DIR).is_empty());
}

/// Programs that write another file first and rename it, whatever they call it.
#[test]
fn a_save_by_a_temporary_file_is_an_edit_and_leaves_no_comment_behind() {
    let (world, id) = commented(&[("hubot", "first"), ("octo", "one")]);
    let own = "0002-octo-2.md";
    let python = format!(
        "import os, tempfile\n\
         fd, name = tempfile.mkstemp(dir='.')\n\
         os.write(fd, b'two')\n\
         os.close(fd)\n\
         os.replace(name, '{own}')"
    );
    world.sh(&format!("cd {DIR}; python3 -c \"{python}\""));
    assert_eq!(world.sent(), ["PATCH two"]);
    world.sh(&format!("cd {DIR}; echo three > sedabcdef; mv sedabcdef {own}"));
    assert_eq!(world.sent(), ["PATCH three"]);
    // A name like any other is a comment first.
    world.sh(&format!("cd {DIR}; echo four > reply.new; mv reply.new {own}"));
    assert_eq!(world.sent(), ["POST four", "PATCH four", "DELETE "]);
    // One that is renamed before it is closed is not.
    let python = format!(
        "import os\n\
         file = open('.tmpAbCdEf', 'w')\n\
         file.write('five')\n\
         file.flush()\n\
         os.rename('.tmpAbCdEf', '{own}')\n\
         file.close()"
    );
    world.sh(&format!("cd {DIR}; python3 -c \"{python}\""));
    assert_eq!(world.sent(), ["PATCH five"]);
    assert_eq!(world.said_about(&id), said(&[("hubot", "first"), ("octo", "five")]));
    assert_eq!(world.list(DIR), ["0001-hubot-1.md", own]);
    // To nobody's name it is the same comment under another name.
    world.sh(&format!("cd {DIR}; echo six > a.new; mv a.new a.md; echo seven > a.md; cat a.md"));
    assert_eq!(world.sent(), ["POST six", "PATCH seven"]);
    world.sh(&format!("cd {DIR}; test ! -e a.new; mv a.md 0003-octo-4.md; test ! -e a.md"));
    let complaint = world.fails(&format!("cd {DIR}; echo x > b.new; mv b.new 0001-hubot-1.md"));
    assert!(complaint.contains("Permission denied"), "{complaint}");
    assert_eq!(world.sent(), ["POST x"]);
}

/// What was not sent is named wherever gistfs says what is owed, and at the end of the mount.
#[test]
fn comments_that_were_not_sent_are_told_of() {
    let (mut world, _) = commented(&[("octo", "one")]);
    let everything = "everything is on GitHub";
    assert!(world.sh("cat .gistfs/pending").contains(everything));
    world.sh(&format!("cd {DIR}; printf '\\377' > $W/odd; touch empty.md; echo x > a~"));
    assert!(world.sh("cat .gistfs/pending").contains(everything));
    world.fails(&format!("cp $W/odd {DIR}/new.md"));
    world.fails(&format!("cp $W/odd {DIR}/0001-octo-1.md"));
    let told = world.sh("cat .gistfs/pending");
    assert_eq!(told, world.sh("sed -n 's/^  \\(.*comment not sent\\)/\\1/p' .gistfs/status"));
    assert!(
        told.contains("\"Notes\": comment not sent, and kept until the mount ends: \"new.md\"")
    );
    assert!(told.contains("\"0001-octo-1.md\"") && !told.contains(everything), "{told}");
    let status = world.status();
    assert_eq!(status["comments"].as_array().map(Vec::len), Some(2), "{status:#}");
    let out = world.gistfs(&["sync"]).arg(world.point()).output().expect("gistfs runs");
    assert_eq!(out.status.code(), Some(1));
    let out = world.gistfs(&["unmount"]).arg(world.point()).output().expect("gistfs runs");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert_eq!(out.status.code(), Some(1), "{text}");
    assert!(text.contains("gone with the mount") && text.contains("\"new.md\", a comment on"));
    world.forget_mount();
}

// --- editors

fn vim(world: &World, settings: &str, name: &str) {
    let program = format!("vim -c 'set backupskip= {settings}' {DIR}/{name}");
    let vim = Terminal::run(world, &program);
    vim.shows(name);
    vim.types("Goadded");
    vim.press(&["Escape"]);
    vim.shows("added");
    vim.types(":w");
    vim.press(&["Enter"]);
    vim.shows("written");
    vim.types("Goagain");
    vim.press(&["Escape"]);
    vim.shows("again");
    vim.types(":wq");
    vim.press(&["Enter"]);
    vim.ended();
}

#[test]
fn each_save_in_vim_is_one_patch_of_one_comment_with_any_kind_of_backup() {
    for settings in ["", "backup", "backupcopy=yes", "backupcopy=no", "nobackup nowritebackup"] {
        let (world, id) = commented(&[("hubot", "first"), ("octo", "second")]);
        vim(&world, settings, "0002-octo-2.md");
        assert_eq!(
            world.sent(),
            ["PATCH second\nadded", "PATCH second\nadded\nagain"],
            "{settings}"
        );
        assert_eq!(world.said_about(&id).len(), 2);
        let mut names = world.list(DIR);
        names.retain(|name| !name.ends_with('~'));
        assert_eq!(names, ["0001-hubot-1.md", "0002-octo-2.md"], "{settings}");
    }
}

#[test]
fn a_new_file_in_vim_is_one_comment_however_often_it_is_saved() {
    for settings in ["", "backupcopy=yes", "backupcopy=no", "nobackup nowritebackup"] {
        let (world, id) = commented(&[("hubot", "first")]);
        vim(&world, settings, "reply.md");
        assert_eq!(world.sent(), ["POST \nadded", "PATCH \nadded\nagain"], "{settings}");
        assert_eq!(world.said_about(&id).len(), 2, "{settings}");
        assert_eq!(world.list(DIR), ["0001-hubot-1.md", "0002-octo-2.md"], "{settings}");
    }
}

#[test]
fn a_save_in_nano_is_one_request() {
    for (name, text, sent) in
        [("0001-octo-1.md", "zero alpha", "PATCH zero alpha"), ("new.md", "zero", "POST zero")]
    {
        let (world, id) = commented(&[("octo", "alpha")]);
        let nano = Terminal::run(&world, &format!("nano {DIR}/{name}"));
        nano.shows("GNU nano");
        nano.types("zero ");
        nano.shows("zero");
        nano.press(&["C-o"]);
        nano.shows("Write");
        nano.press(&["Enter"]);
        nano.shows("Wrote");
        nano.press(&["C-x"]);
        nano.ended();
        let mut all = world.sent();
        all.iter_mut().for_each(|sent| *sent = sent.trim_end().to_owned());
        assert_eq!(all, [sent], "{text}");
        assert!(world.said_about(&id).iter().any(|(_, body)| body.trim_end() == text));
    }
}

/// Names that editors use on their way are nobody's comment.
#[test]
fn scratch_files_stay_here() {
    let (world, id) = commented(&[("octo", "one")]);
    world.sh(&format!("cd {DIR}; echo x > .a.swp; echo x > a~; echo x > 4913; echo x > sedAbC123"));
    world.sh(&format!("cd {DIR}; cat .a.swp a~; rm 4913; mv a~ b~"));
    assert_eq!(world.list(DIR), [".a.swp", "0001-octo-1.md", "b~", "sedAbC123"]);
    assert!(world.sent().is_empty());
    // To a comment's name it is an edit, to a new one a comment.
    world.sh(&format!("cd {DIR}; mv sedAbC123 0001-octo-1.md"));
    assert_eq!(world.sent(), ["PATCH x"]);
    world.sh(&format!("cd {DIR}; mv b~ new.md"));
    assert_eq!(world.sent(), ["POST x"]);
    // Put aside and back is nothing; put aside and forgotten neither.
    world.sh(&format!(
        "cd {DIR}; mv 0001-octo-1.md a~; test ! -e 0001-octo-1.md; mv a~ 0001-octo-1.md"
    ));
    world.sh(&format!("cd {DIR}; mv 0001-octo-1.md a~; rm a~; cat 0001-octo-1.md"));
    assert!(
        world.fails(&format!("cd {DIR}; mv 0001-octo-1.md other.md")).contains("not permitted")
    );
    assert!(world.sent().is_empty());
    assert_eq!(world.said_about(&id), said(&[("octo", "x"), ("octo", "x")]));
    assert_eq!(world.list(DIR), [".a.swp", "0001-octo-1.md", "0002-octo-2.md"]);
}
