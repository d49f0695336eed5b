//! `.gist/history`: what was there before, as directories, and what looking at it costs.

use std::collections::BTreeSet;
use std::time::Duration;

use gistfs::demo::{Fault, FaultKind, Limits, LoggedRequest, Origin, ServerOptions};
use gistfs::model::Time;

use crate::outcome::shown;
use crate::world::{World, said, wait_until};

const HISTORY: &str = "Notes/.gist/history";

/// When the revision of that number was made, the first being 0.
fn moment(number: i64) -> Time {
    Time::new(1_700_000_000 + number * 61, 0)
}

/// What its directory is called.
fn called(number: i64, commit: &str) -> String {
    format!("{}-{}", moment(number).to_string().replace(':', "-"), &commit[..7])
}

/// A gist with so many revisions of `count.txt` besides `same.txt`, mounted; its id, and the names
/// of its revisions, newest first.
fn revised(count: i64) -> (World, String, Vec<String>) {
    let limits = Limits::none();
    let mut world = World::with(ServerOptions { limits, ..ServerOptions::default() });
    let mut seed = gistfs::demo::Seed::new("Notes", &[("count.txt", "0\n"), ("same.txt", "s\n")]);
    seed.created_at = Some(moment(0));
    let id = world.server.seed("octo", seed);
    for number in 1..count {
        let text = format!("{number}\n");
        let change = [("count.txt", Some(text.as_bytes()))];
        world.server.commit_at(&id, &change, moment(number)).expect("a commit");
    }
    let commits = world.server.commits(&id);
    let names = (0..count).rev().zip(&commits).map(|(number, commit)| called(number, commit));
    let names = names.collect();
    world.mount(&[]);
    (world, id, names)
}

impl World {
    /// The requests for a gist itself and what is around it, in order.
    fn asked_of(&self, id: &str) -> Vec<LoggedRequest> {
        let mut all = self.server.requests();
        all.retain(|r| r.path.starts_with(&format!("/gists/{id}")) || r.origin == Origin::Raw);
        all
    }

    /// Forgets the requests so far, and says what of a gist was asked while `script` ran, and what
    /// that said. Where it took longer than an answer is believed, unchanged answers are left out.
    #[track_caller]
    fn costs(&self, id: &str, script: &str) -> (Vec<String>, String) {
        self.server.forget_requests();
        let said = self.sh(script);
        let changed = |r: &LoggedRequest| r.status != 304;
        let asked = self.asked_of(id).into_iter().filter(changed);
        (asked.map(|r| r.path.replace(id, "ID")).collect(), said)
    }
}

fn pages(count: usize) -> Vec<String> {
    vec!["/gists/ID/commits".to_owned(); count]
}

#[test]
fn a_thousand_revisions_cost_one_request_to_see_three_and_ten_to_see_all() {
    let (mut world, id, names) = revised(1000);
    let entries = std::fs::read_dir(world.path(HISTORY)).expect("a directory");
    let three: Vec<String> = entries
        .take(3)
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    assert_eq!(three, names[..3], "the newest come first");
    let asked = world.asked_of(&id);
    let lines: Vec<String> = asked.iter().map(shown).collect();
    assert_eq!(asked.len(), 1, "{lines:#?}");
    assert_eq!(
        (&*asked[0].path, &*asked[0].query),
        (&*format!("/gists/{id}/commits"), "per_page=100")
    );

    // The rest of it, and then nothing more whatever is asked of the names.
    let (asked, listed) = world.costs(&id, &format!("ls -U {HISTORY}"));
    assert_eq!(asked, pages(9));
    assert_eq!(listed.lines().collect::<Vec<_>>(), names);
    let newest = &names[0];
    let script = format!(
        "cd {HISTORY}; ls | sort -c; ls -l | wc -l; find . -maxdepth 1 -type d | wc -l
         stat -c '%Y %A %s' {newest}; ls -dt * | head -1; ls | tail -1"
    );
    let (asked, said) = world.costs(&id, &script);
    assert_eq!(asked, pages(0));
    let seconds = moment(999).seconds();
    let expected = format!("1001\n1001\n{seconds} drwx------ 0\n{newest}\n{newest}\n");
    assert_eq!(said, expected);

    // Who knows a name needs no listing; what is no name of a revision is no question.
    world.unmount();
    world.mount(&[]);
    let (asked, said) = world.costs(&id, &format!("cat {HISTORY}/{}/count.txt", names[250]));
    let of_old = format!("/gists/ID/{}", world.server.commits(&id)[250]);
    assert_eq!((asked, &*said), ([pages(3), vec![of_old]].concat(), "749\n"));
    for name in [".git", "2026-11-21", &newest[..20], &newest.replace('T', " ")] {
        let script = format!("! stat '{HISTORY}/{name}' 2> /dev/null");
        assert_eq!(world.costs(&id, &script).0, pages(0), "{name}");
    }
}

#[test]
fn a_search_through_all_revisions_asks_once_for_each_and_never_again() {
    let (world, id, names) = revised(12);
    let (asked, found) = world.costs(&id, &format!("find {HISTORY} -type f -size -4c | wc -l"));
    let commits = world.server.commits(&id);
    let each: BTreeSet<String> =
        commits.iter().map(|commit| format!("/gists/ID/{commit}")).collect();
    assert_eq!(found, "24\n", "12 revisions with 2 files of 2 or 3 bytes");
    assert_eq!(asked.len(), 13, "{asked:#?}");
    assert_eq!(asked[0], "/gists/ID/commits");
    assert_eq!(asked[1..].iter().cloned().collect::<BTreeSet<_>>(), each);
    let search = format!("grep -rlx 7 {HISTORY}; cat {HISTORY}/*/* | wc -c; du -sb {HISTORY}");
    let (asked, found) = world.costs(&id, &search);
    assert_eq!(asked, pages(0));
    let seventh = &names[12 - 1 - 7];
    assert!(found.starts_with(&format!("{HISTORY}/{seventh}/count.txt\n50\n")), "{found}");
    // Nobody walks into it by accident.
    assert_eq!(world.sh("find . | sort"), ".\n./Notes\n./Notes/count.txt\n./Notes/same.txt\n");
}

#[test]
fn bytes_of_the_past_are_those_of_git() {
    type Changes<'a> = [(&'a str, Option<&'a [u8]>)];
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "first\n")]);
    let big: Vec<u8> = (0..2_000_000_u32).flat_map(|n| n.to_le_bytes()).collect();
    let text = "a line of text\n".repeat(100_000);
    let kinds: [&Changes<'_>; 4] = [
        &[("crlf.txt", Some(b"one\r\ntwo\rthree\n")), ("binary", Some(&[0, 255, 254, 13, 10, 0]))],
        &[("a.txt", None), ("big", Some(&big)), ("b\u{e9} \u{1f600}.md", Some(b"x"))],
        &[("empty", Some(b"")), ("blank", Some(b" \n")), ("long.txt", Some(text.as_bytes()))],
        &[("big", None), ("binary", None), ("crlf.txt", Some(b"one\ntwo\n"))],
    ];
    for change in kinds {
        world.server.commit(&id, change);
    }
    world.mount(&[]);
    // A private server gives no body over 1 MB. Smaller ones that it cuts off behind such a one are
    // whole in other revisions.
    let private = world.shape.hides_raw_bodies();
    let out_of_reach =
        |line: &str| private && (line.contains("/big") || line.contains("/long.txt"));
    let without = if private { "rm -f $W/*/*/{big,long.txt} $W/*/{big,long.txt}" } else { ":" };
    let copying = world.try_sh(&format!("cp -r {HISTORY} $W/copy"));
    let complaints = String::from_utf8_lossy(&copying.stderr);
    let each = complaints.lines().all(|l| out_of_reach(l) && l.contains("Input/output error"));
    let expected = if private { 4 } else { 0 };
    assert!(each && complaints.lines().count() == expected, "{complaints}");
    let git = world.server.directory().join(format!("gists/{id}.git"));
    let commits = world.server.commits(&id);
    assert_eq!(commits.len(), 5);
    for commit in &commits {
        let compare = format!(
            "mkdir $W/{commit} && git --git-dir {} archive {commit} | tar -x -C $W/{commit}
             {without}
             diff -r $W/copy/*-{} $W/{commit}",
            git.display(),
            &commit[..7]
        );
        assert_eq!(world.sh(&compare), "");
    }
    // What did not come with its revision came once by its raw address: of the binary file and the
    // long text, and of those that the API cut off behind them.
    if !private {
        let fetched: BTreeSet<String> = world.raw_paths().into_iter().collect();
        assert_eq!(fetched.len(), world.fetches(), "no body twice");
        assert!(fetched.iter().any(|path| path.ends_with("/long.txt")), "{fetched:?}");
    }
    let before = world.server.requests().len();
    world.sh(&format!(
        "cat {HISTORY}/*/* | wc -c; cp -r {HISTORY} $W/again; {without}
             diff -r $W/copy $W/again"
    ));
    let after = world.server.requests().into_iter().skip(before);
    let again: Vec<String> = after.filter(|r| r.status != 304).map(|r| shown(&r)).collect();
    // What was out of reach is only asked for by its raw address again, for a while.
    let vain = |line: &String| out_of_reach(line) && line.starts_with("GET Raw ");
    assert!(again.iter().all(vain), "{again:#?}");
}

impl World {
    fn raw_paths(&self) -> Vec<String> {
        let raw = |r: &LoggedRequest| r.origin == Origin::Raw;
        self.server.requests().into_iter().filter(raw).map(|r| r.path).collect()
    }
}

#[test]
fn two_revisions_are_compared_and_one_is_brought_back_by_one_patch() {
    let (mut world, id, names) = revised(3);
    let (new, old) = (&names[0], &names[1]);
    let script = format!("cd {HISTORY}; diff -r {old} {new} && exit 1; diff -r {old} {old}");
    let out = world.try_sh(&script);
    let expected = format!("diff -r {old}/count.txt {new}/count.txt\n1c1\n< 1\n---\n> 2\n");
    assert!(out.status.success(), "{}", said(&out));
    assert_eq!(String::from_utf8_lossy(&out.stdout), expected);

    world.sh(&format!("cp -p {HISTORY}/{old}/* Notes"));
    world.saved();
    let changes = world.changes();
    let lines: Vec<String> = changes.iter().map(shown).collect();
    assert_eq!(changes.len(), 1, "{lines:#?}");
    let body = serde_json::json!({"files": {"count.txt": {"content": "1\n"}}});
    assert_eq!((&*changes[0].method, changes[0].json()), ("PATCH", body));
    let restored = [("count.txt", "1\n"), ("same.txt", "s\n")];
    assert_eq!(world.texts(&id), restored.map(|(name, text)| (name.into(), text.into())).into());

    // It is a revision itself now, there at once.
    let newest = &world.server.commits(&id)[0][..7];
    let listed = world.sh(&format!("ls -U {HISTORY}"));
    assert!(listed.lines().next().is_some_and(|first| first.ends_with(newest)), "{listed}");
    assert_eq!(listed.lines().skip(1).collect::<Vec<_>>(), names);
    assert_eq!(world.sh(&format!("diff -r {HISTORY}/*-{newest} Notes")), "");
}

#[test]
fn a_revision_made_elsewhere_appears_and_costs_one_small_question() {
    let (world, id, mut names) = revised(3);
    let list = || world.sh(&format!("ls -U {HISTORY}")).lines().map(str::to_owned).collect();
    let listed: Vec<String> = list();
    assert_eq!(listed, names);
    // The list is asked for again after a while, and told by its validator that it is the same.
    world.server.forget_requests();
    wait_until("the list is asked for again", || {
        let listed: Vec<String> = list();
        assert_eq!(listed, names);
        !world.asked_of(&id).is_empty()
    });
    let again = world.asked_of(&id).remove(0);
    assert_eq!((again.status, &*again.path), (304, &*format!("/gists/{id}/commits")));

    let change = [("count.txt", Some(&b"new\n"[..]))];
    world.server.commit_at(&id, &change, moment(3)).expect("a commit");
    names.insert(0, called(3, &world.server.commits(&id)[0]));
    wait_until("the new revision is there", || {
        let listed: Vec<String> = list();
        listed == names
    });
    let paths: BTreeSet<String> = world.asked_of(&id).into_iter().map(|r| r.path).collect();
    assert_eq!(paths, BTreeSet::from([format!("/gists/{id}/commits")]));
    // By its name, too, where nobody listed it.
    world.server.commit_at(&id, &[("count.txt", None)], moment(4)).expect("a commit");
    let name = called(4, &world.server.commits(&id)[0]);
    wait_until("the newest has its name", || world.path(HISTORY).join(&name).exists());
    assert_eq!(world.sh(&format!("ls {HISTORY}/{name}")), "same.txt\n");
}

#[test]
fn without_a_network_what_was_looked_at_is_there_and_what_was_not_says_so() {
    let (world, _, names) = revised(5);
    world.sh(&format!("ls {HISTORY}; cat {HISTORY}/{}/count.txt", names[2]));
    world.server.inject(Fault { times: 1_000_000, ..Fault::once(FaultKind::Drop) });
    let seen = format!("cd {HISTORY}; ls -U | head -1; cat {}/count.txt; ls {0}", names[2]);
    assert_eq!(world.sh(&seen), format!("{}\n2\ncount.txt\nsame.txt\n", names[0]));
    // Longer than an answer is believed; then somebody asks in vain.
    let refused = |r: &LoggedRequest| r.status == 0 && r.path.ends_with("/commits");
    wait_until("it is asked again in vain", || {
        assert_eq!(world.sh(&format!("ls -U {HISTORY}")).lines().collect::<Vec<_>>(), names);
        world.server.requests().iter().any(refused)
    });
    for script in
        [format!("cat {HISTORY}/{}/count.txt", names[3]), format!("ls {HISTORY}/{}", names[4])]
    {
        let complaint = world.fails(&format!("timeout 20 {script}"));
        assert!(complaint.contains("No route to host"), "{complaint}");
    }
    world.server.clear_faults();
    wait_until("it reads again", || {
        let script = format!("cat {HISTORY}/{}/count.txt", names[3]);
        world.try_sh(&script).stdout == b"1\n"
    });
}

#[test]
fn an_old_body_that_the_raw_host_does_not_give_comes_with_its_revision() {
    let (world, _, names) = revised(3);
    world.sh(&format!("ls {HISTORY}/{}", names[2]));
    // Somebody tidied up.
    world.sh(&format!("find {} -path '*/blobs/*' -type f -delete", world.state().display()));
    world.server.inject(Fault {
        origin: Some(Origin::Raw),
        times: 1_000_000,
        ..Fault::once(FaultKind::Html)
    });
    assert_eq!(world.sh(&format!("cat {HISTORY}/{}/count.txt", names[2])), "0\n");
}

#[test]
fn the_past_cannot_be_changed_and_what_is_not_on_github_has_none() {
    let (mut world, id, names) = revised(2);
    let old = format!("{HISTORY}/{}", names[1]);
    for script in [
        format!("echo x > {old}/count.txt"),
        format!("echo x > {old}/new.txt"),
        format!("rm {old}/count.txt"),
        format!("rm -r {old}"),
        format!("rmdir {HISTORY}/{}", names[0]),
        format!("mkdir {HISTORY}/new"),
        format!("mv {old}/count.txt {old}/other.txt"),
        format!("mv {old} {HISTORY}/mine"),
        format!("truncate -s 0 {old}/count.txt"),
    ] {
        let complaint = world.fails(&script);
        assert!(complaint.contains("Read-only file system"), "{script}: {complaint}");
    }
    assert_eq!(world.sh(&format!("cat {old}/count.txt; cat Notes/count.txt")), "0\n1\n");

    world.server.forget_requests();
    let script =
        "mkdir New; ls -a New/.gist/history; ! ls New/.gist/history/2026-11-21T06-49-00Z-1a2b3c4";
    assert_eq!(world.sh(script), ".\n..\n");
    let about = |r: &LoggedRequest| r.path.ends_with("/commits");
    assert!(!world.server.requests().iter().any(about));
    world.sh("echo n > New/n.txt");
    world.saved();
    assert_eq!(world.sh("cat New/.gist/history/*/n.txt"), "n\n", "its first revision");
    // GitHub's reads lag behind its writes: for a while it knows nothing of what it has just made.
    world.server.with_switches(|switches| switches.hidden_for = Duration::from_secs(3));
    world.sh("mkdir Newer; echo n > Newer/n.txt");
    let mut listed = String::new();
    wait_until("it has a history", || {
        listed = world.sh("ls Newer/.gist/history");
        !listed.is_empty()
    });
    let unknown = |r: &LoggedRequest| about(r) && r.status == 404;
    assert!(world.server.requests().iter().any(unknown), "it was asked for at once");
    assert_eq!(world.sh("cat Newer/.gist/history/*/n.txt"), "n\n");
    assert_eq!(world.server.commits(&id).len(), 2);
}

#[test]
fn an_old_private_server_gives_the_bytes_of_the_past_too() {
    let mut world = World::with(ServerOptions { private_raw: true, ..ServerOptions::default() });
    world.server.with_switches(|switches| switches.old_enterprise = true);
    let id = world.seed("Notes", &[("a.txt", "text\n")]);
    let bytes = [0, 255, 254, 13, 10, 0];
    world.server.commit(&id, &[("binary", Some(&bytes)), ("a.txt", Some(b"more\r\n"))]);
    world.server.commit(&id, &[("binary", None)]);
    world.mount(&[]);
    let old = &world.server.commits(&id)[1][..7];
    let binary = world.sh(&format!("ls {HISTORY}/*-{old}/binary"));
    assert_eq!(std::fs::read(world.path(binary.trim_end())).expect("it reads"), bytes);
    assert_eq!(world.sh(&format!("cat {HISTORY}/*-{old}/a.txt")), "more\r\n");
}

#[test]
fn the_past_of_somebody_else_s_gist_is_there_too() {
    let mut world = World::empty();
    let id = world.server.seed("hubot", gistfs::demo::Seed::new("Theirs", &[("a", "old\n")]));
    world.server.commit(&id, &[("a", Some(b"new\n")), ("b", Some(b"beta\n"))]);
    world.mount(&[]);
    let theirs = format!(".by-id/{id}");
    assert_eq!(world.sh(&format!("cat {theirs}/a")), "new\n");
    let old = world.server.commits(&id).remove(1);
    let script = format!("cat {theirs}/.gist/history/*-{}/*; ls {theirs}/.gist/history", &old[..7]);
    let (asked, said) = world.costs(&id, &format!("{script} | wc -l"));
    let commits: Vec<&String> = asked.iter().filter(|path| path.contains("/commits")).collect();
    assert_eq!((said.as_str(), commits.len()), ("old\n2\n", 1), "{asked:#?}");
    assert!(asked.contains(&format!("/gists/ID/{old}")), "{asked:#?}");
    // Copied, it is a gist of one's own that can be written.
    world.sh(&format!("cp -r {theirs}/.gist/history/*-{} Mine; echo more >> Mine/a", &old[..7]));
    world.saved();
    let changes = world.changes();
    let lines: Vec<String> = changes.iter().map(shown).collect();
    assert_eq!(changes.len(), 1, "{lines:#?}");
    let files = serde_json::json!({"a": {"content": "old\nmore\n"}});
    assert_eq!((&*changes[0].method, &changes[0].json()["files"]), ("POST", &files));
    assert_eq!(world.sh("stat -c %A Mine Mine/a"), "drwx------\n-rw-------\n");
    assert_eq!(world.sh(&format!("{script} | wc -l")), said);
}

#[test]
fn several_who_enter_at_once_share_the_requests() {
    let (world, id, names) = revised(150);
    let slow = FaultKind::Delay(Duration::from_millis(300));
    world.server.inject(Fault { path: "/commits".into(), times: 2, ..Fault::once(slow.clone()) });
    let commit = world.server.commits(&id).remove(140);
    world.server.inject(Fault { path: format!("/{commit}"), ..Fault::once(slow) });
    let path = format!("{HISTORY}/{}/count.txt", names[140]);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| assert_eq!(world.read(&path), "9\n"));
            scope.spawn(|| assert_eq!(world.list(HISTORY).len(), 150));
        }
    });
    let changed = world.asked_of(&id).into_iter().filter(|r| r.status != 304);
    let mut asked: Vec<String> = changed.map(|r| r.path).collect();
    asked.sort();
    let commits = format!("/gists/{id}/commits");
    let mut expected = vec![commits.clone(), commits, format!("/gists/{id}/{commit}")];
    expected.sort();
    assert_eq!(asked, expected);
}

#[test]
fn names_that_are_reserved_or_scratch_are_shown_as_in_the_gist_itself() {
    let mut world = World::empty();
    let id = world.seed("Odd", &[("plain.txt", "plain\n")]);
    let long = "n".repeat(255);
    let odd = [".gist", ".a.swp", "a b\tc", "∕", "-rf", &long];
    let change: Vec<_> = odd.iter().map(|name| (*name, Some(name.as_bytes()))).collect();
    world.server.commit(&id, &change);
    world.mount(&[]);
    let now = world.list("Odd");
    assert_eq!(now.len(), 1 + odd.len());
    let newest = world.sh("ls -U Odd/.gist/history | head -1").trim_end().to_owned();
    assert_eq!(world.list(&format!("Odd/.gist/history/{newest}")), now);
    assert_eq!(world.sh(&format!("diff -r Odd Odd/.gist/history/{newest}")), "");
}
