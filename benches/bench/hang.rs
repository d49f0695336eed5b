//! What goes on while the network does not.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::Duration;

use crate::figure::{Bar, Figure, Row};
use crate::mount::Mount;
use crate::place::{Place, must, program};
use crate::scale::Scale;
use crate::server::{self, Server};
use crate::timing::{drop_caches, median, quantile, time};

/// A save is over within this.
const CLOSE: Duration = Duration::from_millis(5);
/// A question about names, sizes and times is answered within this, inside gistfs.
const ANSWER: Duration = Duration::from_millis(1);

/// Closing what was written, and metadata, with a network that works, hangs, or is not there.
pub(crate) fn rows(place: &Place, scale: &Scale) -> Vec<Row> {
    let (data, home) = (place.on_disk("hang-data"), place.on_disk("hang"));
    server::fill(&data, scale.gists);
    let server = Server::start(&data, scale.latency);
    let mount = Mount::gistfs(&server.api, &home, &["-v", "--refresh", "0.5"]);
    let mut rows = vec![closing("network", &mount, scale)];
    server.hang();
    rows.push(closing("network hangs", &mount, scale));
    rows.extend(asking(&mount, &home.join("log"), scale));
    server.go_on();
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
        time(|| drop(file)).1
    };
    let rounds = scale.rounds * 8;
    let gistfs = Figure::Time(median((0..rounds).map(closed).collect()));
    let what = format!("close() after a 10 KB write, {network}");
    let how = format!("median of {rounds}");
    Row { what, gistfs, other: None, bar: Bar::Below(Figure::Time(CLOSE)), how }
}

/// What the log says of how long questions took that the kernel had no answer to.
fn asking(mount: &Mount, log: &Path, scale: &Scale) -> Vec<Row> {
    let mut log = File::open(log).expect("gistfs's log");
    log.seek(SeekFrom::End(0)).expect("a file");
    for _ in 0..scale.rounds {
        // Without that the kernel answers most by itself.
        drop_caches();
        must(program("ls").arg("-lR").arg(&mount.point));
        drop_caches();
        must(program("find").arg(&mount.point).args(["-size", "+1k"]));
    }
    let mut lines = String::new();
    log.read_to_string(&mut lines).expect("text");
    let mut times: Vec<Duration> = lines.lines().filter_map(metadata_time).collect();
    times.sort_unstable();
    assert!(!times.is_empty(), "gistfs logged no question");
    let row = |part: f64, name: &str, bar| Row {
        what: format!("metadata while the network hangs, inside gistfs: {name}"),
        gistfs: Figure::Time(quantile(&times, part)),
        other: None,
        bar,
        how: format!("{} lookups, getattrs and readdirs", times.len()),
    };
    vec![
        row(0.5, "p50", Bar::None),
        row(0.99, "p99", Bar::Below(Figure::Time(ANSWER))),
        row(1.0, "max", Bar::None),
    ]
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
