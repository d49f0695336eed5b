//! How much memory reading takes, with `--memory` as a limit.

use crate::figure::{Bar, Figure, Row};
use crate::mount::Mount;
use crate::place::{Place, must, program};
use crate::scale::Scale;
use crate::server::{self, FILES, Server};

/// What is given for bodies.
const LIMIT: u64 = 16 << 20;
/// Bodies of up to 1 MiB are in memory as a whole while they come, this many at a time.
const UNDER_WAY: u64 = 16 << 20;

/// Reads far more than may stay in memory, twice: from the network, then from the disk.
pub(crate) fn rows(place: &Place, scale: &Scale) -> Vec<Row> {
    let (data, home) = (place.on_disk("memory-data"), place.on_disk("memory"));
    let megabytes = scale.megabytes;
    server::fill_megabytes(&data, megabytes);
    let server = Server::start(&data, scale.latency);
    let mount = Mount::gistfs(&server.api, &home, &["--memory", "16M"]);
    must(program("ls").arg("-lR").arg(&mount.point));
    let listed = mount.process.memory("VmHWM");
    let read = |gist: usize| {
        let path = mount.point.join(server::title(gist)).join(FILES[0]);
        assert_eq!(std::fs::read(path).expect("a body").len(), 1_000_000);
    };
    let mut rows = Vec::new();
    for from in ["the network", "the disk"] {
        (0..megabytes).for_each(read);
        rows.push(Row {
            what: format!("most memory after {megabytes} MB were read from {from}, --memory 16M"),
            gistfs: Figure::Memory(mount.process.memory("VmHWM")),
            other: None,
            bar: Bar::Below(Figure::Memory(listed + LIMIT + UNDER_WAY)),
            how: format!(
                "once; the bar is the {} that listing takes, 16 MiB, and 1 MiB for each of 16 under way",
                Figure::Memory(listed)
            ),
        });
        // The second time the kernel is not to answer.
        crate::timing::drop_caches();
    }
    rows
}
