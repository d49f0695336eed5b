//! What gistfs asks GitHub for what a user does: exact numbers of requests.

use crate::figure::{Bar, Figure, Row};
use crate::mount::Mount;
use crate::place::{Place, must, program, wait_until};
use crate::scale::Scale;
use crate::server::{self, Server};
use crate::start::Starts;

/// Mounts an account twice, lists all of it, and reads one file again and again.
pub(crate) fn looking(place: &Place, scale: &Scale) -> Vec<Row> {
    let data = place.on_disk("looking-data");
    server::fill(&data, scale.gists);
    let gists = scale.gists;
    let account = (gists, scale.latency);
    let starts = Starts::measure(place, &data, account, scale.rounds, &["-lR"]);
    let first = format!("first mount + ls -lR, {gists} gists × 3 files");
    let second = "second mount + ls -lR, before any answer";
    let (first_asked, second_asked) = starts.asked_rows(&first, second);
    let timed = |what: &str, time, how| Row {
        what: what.to_owned(),
        gistfs: Figure::Time(time),
        other: None,
        bar: Bar::None,
        how,
    };
    let how = format!("median of {}", starts.rounds);
    let at_once = format!("{how}; at most {} requests at once", starts.at_once);
    let mut rows = vec![
        first_asked,
        timed(&first, starts.first, at_once),
        second_asked,
        timed(second, starts.second, how),
    ];

    let (mut server, mount) = (starts.server, starts.mount);
    server.forget();
    let home = mount.point.parent().expect("it is in a home").to_owned();
    let path = format!("{}/{}", server::title(0), server::FILES[0]);
    let cat = |mount: &Mount| must(program("cat").arg(mount.point.join(&path)));
    cat(&mount);
    cat(&mount);
    mount.unmount();
    let mount = Mount::gistfs(&server.api, &home, &[]);
    cat(&mount);
    let pages = gists.div_ceil(100);
    let asks = || server.requests().counted().of("list") >= pages;
    wait_until("it has asked what is new", asks);
    let what = "cat twice; again after a remount, which looks what is new";
    let expected = format!("1 body, {pages} list (304)");
    rows.push(Row::counted(what, server.settled().counted().to_string(), &expected));
    rows
}

/// A change by a program: what it is called, the script, and the requests that it is to be.
const CHANGES: [(&str, &str, &str); 10] = [
    (
        "save in vim, the first one of this gist",
        "vim -es -c 's/^/x/' -c wq a.txt",
        "1 PATCH, 1 gist",
    ),
    ("save in nano", NANO, PATCH),
    (
        "save in emacs",
        "emacs -Q --batch a.txt --eval '(progn (insert \"x\") (save-buffer))'",
        PATCH,
    ),
    ("sed -i", "sed -i s/^/x/ a.txt", PATCH),
    ("rsync a file", "rsync -a ../../new.txt a.txt", PATCH),
    ("edit 5 files of one gist in a row", "for i in 1 2 3 4 5; do echo x >> $i.txt; done", PATCH),
    ("cp 20 files into a new gist", "mkdir ../New; cp ../../many/* ../New/", "1 POST"),
    ("rename a gist", "mv ../New ../Newer", PATCH),
    ("rm -r a gist", "rm -r ../Newer", "1 DELETE, 1 gist (304)"),
    ("write what is there already", "cp 1.txt ../../same; cp ../../same 1.txt", "none"),
];

/// nano throws away what is typed before it is ready, so what it shows is waited for.
const NANO: &str = r#"shown() { until grep -aq "$1" ../../nano; do sleep 0.02; done; }
    : > ../../nano
    { shown a.txt; until grep -aq nxsome ../../nano; do printf n; sleep 0.1; done
      printf '\017'; shown 'File Name to Write'; printf '\r'; shown Wrote; printf '\030'
    } | script -qefc 'nano a.txt' ../../nano"#;

/// A look whether somebody else changed the gist, which costs no quota, and the change.
const PATCH: &str = "1 PATCH, 1 gist (304)";

/// What programs change, a row each.
pub(crate) fn changing(place: &Place, scale: &Scale) -> Vec<Row> {
    let (data, home) = (place.on_disk("changing-data"), place.on_disk("changing"));
    server::fill_notes(&data);
    let many = place.on_disk("changing/many");
    for number in 0..20 {
        std::fs::write(many.join(format!("{number}.txt")), "text\n").expect("a file of ours");
    }
    std::fs::write(home.join("new.txt"), "new\n").expect("a file of ours");
    let mut server = Server::start(&data, scale.latency);
    let mount = Mount::gistfs(&server.api, &home, scale.changes);
    let notes = mount.point.join(server::NOTES);
    must(program("sh").args(["-c", "cat *"]).current_dir(&notes));
    server.settled();
    let mut row = |(what, script, expected): (&str, &str, &str)| {
        server.forget();
        let mut command = program("timeout");
        command.args(["20", "bash", "-c", script]).current_dir(&notes).env("HOME", &home);
        must(&mut command);
        mount.sync();
        let counted = server.settled().counted();
        Row::counted(what, counted.to_string(), expected)
    };
    CHANGES.map(&mut row).to_vec()
}
