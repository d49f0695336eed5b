//! What gistfs asks GitHub for what a user does: exact numbers of requests.

use std::path::Path;

use crate::figure::{Bar, Figure, Row};
use crate::mount::Mount;
use crate::place::{Place, must, program, wait_until};
use crate::scale::Scale;
use crate::server::{self, Server};
use crate::timing::time;

/// Mounts an account twice, lists all of it, and reads one file again and again.
pub(crate) fn looking(place: &Place, scale: &Scale) -> Vec<Row> {
    let (data, home) = (place.on_disk("looking-data"), place.on_disk("looking"));
    server::fill(&data, scale.gists);
    let mut server = Server::start(&data, scale.latency);
    let gists = scale.gists;
    let mut rows = Vec::new();

    let (mount, first) = time(|| mounted_and_listed(&server, &home));
    let what = format!("first mount + ls -lR, {gists} gists × 3 files");
    let pages = gists.div_ceil(100);
    let requests = server.requests();
    let counted = requests.counted().to_string();
    rows.push(Row::counted(&what, counted, &format!("{pages} list, 1 user")));
    rows.push(Row {
        what,
        gistfs: Figure::Time(first),
        other: None,
        bar: Bar::None,
        how: format!("once; at most {} requests at once", requests.most_at_once()),
    });

    mount.unmount();
    server.forget();
    // Nothing can be answered until the listing is over.
    server.hang();
    let (mount, second) = time(|| mounted_and_listed(&server, &home));
    server.go_on();
    wait_until("it has asked what is new", || server.requests().counted().of("list") >= 1);
    let requests = server.settled();
    let what = "second mount + ls -lR, before any answer";
    rows.push(Row::counted(what, requests.counted().to_string(), &format!("{pages} list (304)")));
    let (gistfs, how) = (Figure::Time(second), "once".to_owned());
    rows.push(Row { what: what.into(), gistfs, other: None, bar: Bar::None, how });

    server.forget();
    let path = format!("{}/{}", server::title(0), server::FILES[0]);
    let cat = |mount: &Mount| must(program("cat").arg(mount.point.join(&path)));
    cat(&mount);
    cat(&mount);
    mount.unmount();
    let mount = Mount::gistfs(&server.api, &home, &[]);
    cat(&mount);
    let bodies = server.requests().counted().of("body");
    let what = "cat twice; again after a remount: bodies fetched";
    rows.push(Row::counted(what, bodies.to_string(), "1"));
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

/// nano throws away what is typed before it is ready.
const NANO: &str = r"{ sleep 0.5; printf x; sleep 0.1; printf '\017'; sleep 0.1; printf '\r'; sleep 0.3
    printf '\030'; } | script -qec 'nano a.txt' /dev/null";

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

fn mounted_and_listed(server: &Server, home: &Path) -> Mount {
    let mount = Mount::gistfs(&server.api, home, &[]);
    must(program("ls").arg("-lR").arg(&mount.point));
    mount
}
