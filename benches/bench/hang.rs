//! What goes on while the network does not.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::figure::{Bar, Figure, Row};
use crate::mount::Mount;
use crate::place::{Place, must, program, wait_until};
use crate::scale::Scale;
use crate::server::{self, FILES, Server};
use crate::timing::{drop_caches, median, quantile, time};

/// A save is over within this.
const CLOSE: Duration = Duration::from_millis(5);
/// A question about names, sizes and times is answered within this, inside gistfs.
const ANSWER: Duration = Duration::from_millis(1);

/// So many programs wait for bodies that do not come, while others ask for metadata.
const WAITING: usize = 32;

/// Closing what was written, and metadata, with a network that works, hangs, or is not there.
pub(crate) fn rows(place: &Place, scale: &Scale) -> Vec<Row> {
    let (data, home) = (place.on_disk("hang-data"), place.on_disk("hang"));
    server::fill(&data, scale.gists);
    let server = Server::start(&data, scale.latency);
    let mount = Mount::gistfs(&server.api, &home, &["-v", "--refresh", "0.5"]);
    let mut rows = vec![closing("network", &mount, scale)];
    server.hang();
    rows.push(closing("network hangs", &mount, scale));
    rows.extend(asking(&mount, &home.join("log"), scale, &server));
    server.stop();
    rows.push(closing("no network", &mount, scale));
    rows
}

/// The median of closing files after writing 10 KB.
fn closing(network: &str, mount: &Mount, scale: &Scale) -> Row {
    let gist = mount.point.join(server::title(0));
    let closed = |number: usize| {
        let mut file = File::create(gist.join(format!("written-{number}.txt"))).expect("a file");
        file.write_all(&[b'x'; 10_000]).expect("it can be written");
        let (closed, took) = time(|| nix::unistd::close(file));
        closed.expect("it can be closed");
        took
    };
    let rounds = scale.rounds * 8;
    let gistfs = Figure::Time(median((0..rounds).map(closed).collect()));
    let what = format!("close() after a 10 KB write, {network}");
    let how = format!("median of {rounds}");
    Row { what, gistfs, other: None, bar: Bar::Below(Figure::Time(CLOSE)), how }
}

/// What the log says of how long questions took that the kernel had no answer to, and how long a
/// program waits, while others wait for bodies. At the end the server goes on.
fn asking(mount: &Mount, log: &Path, scale: &Scale, server: &Server) -> Vec<Row> {
    let mut log = File::open(log).expect("gistfs's log");
    log.seek(SeekFrom::End(0)).expect("a file");
    let (begun, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let over = AtomicBool::new(false);
    let outside = std::thread::scope(|scope| {
        for number in 0..WAITING {
            let path = mount.point.join(server::title(1 + number)).join(FILES[0]);
            let (begun, failed, over) = (&begun, &failed, &over);
            scope.spawn(move || {
                begun.fetch_add(1, Ordering::Relaxed);
                while std::fs::read(&path).is_err() && !over.load(Ordering::Relaxed) {
                    failed.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(10));
                }
            });
        }
        wait_until("all read", || begun.load(Ordering::Relaxed) == WAITING);
        // They have yet to come to the kernel.
        std::thread::sleep(Duration::from_millis(200));
        let times = asked(mount, scale);
        over.store(true, Ordering::Relaxed);
        server.go_on();
        times
    });
    let mut lines = String::new();
    log.read_to_string(&mut lines).expect("text");
    let inside: Vec<Duration> = lines.lines().filter_map(metadata_time).collect();
    assert!(!inside.is_empty(), "gistfs logged no question");
    let gave_up = match failed.into_inner() {
        0 => String::new(),
        reads => format!("; {reads} of the reads that wait gave up and began again"),
    };
    let row =
        |whose: &str, times: &[Duration], of: &str, (part, name, bar): (f64, &str, Bar)| Row {
            what: format!(
                "metadata while {WAITING} wait for a network that hangs, {whose}: {name}"
            ),
            gistfs: Figure::Time(quantile(times, part)),
            other: None,
            bar,
            how: format!("{} {of}{gave_up}", times.len()),
        };
    let rows = |whose: &str, mut times: Vec<Duration>, of: &str, bar: Bar| {
        times.sort_unstable();
        let parts = [(0.5, "p50", Bar::None), (0.99, "p99", bar), (1.0, "max", Bar::None)];
        parts.map(|part| row(whose, &times, of, part))
    };
    let bar = Bar::Below(Figure::Time(ANSWER));
    let inside = rows("inside gistfs", inside, "lookups, getattrs and readdirs", bar);
    let outside = rows("for a program", outside, "calls of stat", Bar::None);
    inside.into_iter().chain(outside).collect()
}

/// Asks for names, sizes and times again and again; how long each `stat` of this program took.
fn asked(mount: &Mount, scale: &Scale) -> Vec<Duration> {
    // Without that the kernel answers most by itself.
    let forget = || scale.drop_caches && drop_caches();
    let mut times = Vec::new();
    for _ in 0..scale.rounds {
        forget();
        for gist in 0..scale.gists {
            let path = mount.point.join(server::title(gist)).join(FILES[1]);
            let (found, took) = time(|| path.metadata());
            assert!(found.is_ok(), "{}: {found:?}", path.display());
            times.push(took);
        }
        forget();
        must(program("ls").arg("-lR").arg(&mount.point));
        forget();
        must(program("find").arg(&mount.point).args(["-size", "+1k"]));
    }
    times
}

/// The time in a line such as `[… gistfs::kernel] getattr 17 in 3.2µs`.
fn metadata_time(line: &str) -> Option<Duration> {
    let (_, what) = line.split_once("] ")?;
    if !["lookup ", "getattr ", "readdir ", "readdirplus "]
        .iter()
        .any(|name| what.starts_with(name))
    {
        return None;
    }
    let (_, time) = what.rsplit_once(" in ")?;
    let digits = time.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = time.split_at(digits);
    let second = match unit {
        "ns" => 1e-9,
        "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        _ => return None,
    };
    Some(Duration::from_secs_f64(number.parse::<f64>().ok()? * second))
}
