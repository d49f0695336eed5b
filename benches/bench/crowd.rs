//! Many readers and writers at once, while one body never comes.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gistfs::demo::{Fault, FaultKind};

use crate::figure::{Bar, Figure, Row};
use crate::mount::Mount;
use crate::place::Place;
use crate::scale::Scale;
use crate::server::{self, FILES};
use crate::timing::{quantile, time};

/// The columns of the table.
pub(crate) const HEAD: [&str; 5] = ["what", "how often", "p50", "p99", "max"];

const READERS: usize = 32;
const WRITERS: usize = 8;
/// Readers and writers think for so long between two things.
const THOUGHT: Duration = Duration::from_millis(10);

/// What takes its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    Stat,
    List,
    Missing,
    FirstRead,
    Read,
    Write,
    Rename,
    Unlink,
    Hung,
}

const ALL: [(Done, &str); 9] = [
    (Done::Stat, "stat"),
    (Done::List, "list a gist"),
    (Done::Missing, "stat of what is not there"),
    (Done::Read, "read a file that was read before"),
    (Done::FirstRead, "read a file for the first time"),
    (Done::Write, "write 2 KB and close"),
    (Done::Rename, "rename"),
    (Done::Unlink, "unlink"),
    (Done::Hung, "read the file whose body never comes"),
];

struct Crowd {
    root: PathBuf,
    gists: usize,
    /// Which files have been read, by gist and file.
    read: Vec<AtomicBool>,
    until: Instant,
    times: Mutex<Vec<(Done, Duration)>>,
    /// How many reads of other files failed, and how one did.
    failures: Mutex<(usize, String)>,
}

/// A line for each kind of thing done, and the rows with bars.
pub(crate) fn lines(place: &Place, scale: &Scale) -> (Vec<Vec<String>>, Vec<Row>) {
    let (data, home) = (place.on_disk("crowd-data"), place.on_disk("crowd"));
    let gists = scale.gists;
    let ids = server::fill(&data, gists);
    let server = server::back_door_late(&data, scale.latency);
    // The first gist is nobody's but his who waits for it.
    let (path, kind) = (ids[0].clone(), FaultKind::Hang);
    server.inject(Fault { path, times: usize::MAX, ..Fault::once(kind) });
    let mount = Mount::gistfs(&server.api_url(), &home, &[]);
    let crowd = Crowd {
        root: mount.point.clone(),
        gists,
        read: (0..gists * FILES.len()).map(|_| AtomicBool::new(false)).collect(),
        until: Instant::now() + scale.crowd,
        times: Mutex::default(),
        failures: Mutex::default(),
    };
    std::thread::scope(|scope| {
        scope.spawn(|| crowd.wait_for_what_never_comes());
        for number in 0..READERS {
            let crowd = &crowd;
            scope.spawn(move || crowd.look_around(number));
            if number < WRITERS {
                scope.spawn(move || crowd.change(number));
            }
        }
    });
    let (failures, how) = crowd.failures.into_inner().expect("no thread panicked");
    let all = crowd.times.into_inner().expect("no thread panicked");
    drop(mount);
    let sorted = |wanted: Done| {
        let kept = all.iter().filter(|(done, _)| *done == wanted);
        let mut times: Vec<Duration> = kept.map(|(_, time)| *time).collect();
        times.sort_unstable();
        times
    };
    let line = |(done, name): (Done, &str)| {
        let times = sorted(done);
        let part = |part| Figure::Time(quantile(&times, part)).to_string();
        vec![name.to_owned(), times.len().to_string(), part(0.5), part(0.99), part(1.0)]
    };
    // Only the first one waits: what does not come is not asked for again at once.
    let hung = sorted(Done::Hung).last().copied().unwrap_or_default();
    let slowest = |(done, name): &(Done, &str)| Row {
        what: format!("{READERS} readers, {WRITERS} writers, one body hangs: slowest {name}"),
        gistfs: Figure::Time(quantile(&sorted(*done), 1.0)),
        other: Some(("longest wait for that body".to_owned(), Figure::Time(hung))),
        bar: Bar::AtMost(0.2),
        how: format!("{} s, once", scale.crowd.as_secs()),
    };
    let mut rows: Vec<Row> = ALL[..5].iter().map(slowest).collect();
    let mut failed = Row::counted("reads of other files that failed", failures.to_string(), "0");
    if failures > 0 {
        failed.how = format!("counted; the first one: {how}");
    }
    rows.push(failed);
    (ALL.map(line).to_vec(), rows)
}

impl Crowd {
    fn over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Does something and notes how long it took.
    fn note<T>(&self, done: Done, work: impl FnOnce() -> T) -> T {
        let (brought, took) = time(work);
        self.times.lock().expect("no thread panicked").push((done, took));
        brought
    }

    /// Nobody else's body hangs, so no other file fails; it is counted all the same.
    fn failed(&self, path: &Path, error: &io::Error) {
        let mut failures = self.failures.lock().expect("no thread panicked");
        failures.0 += 1;
        if failures.1.is_empty() {
            failures.1 = error.to_string();
            eprintln!("bench: {}: {error}", path.display());
        }
    }

    fn wait_for_what_never_comes(&self) {
        let path = self.root.join(server::title(0)).join(FILES[0]);
        while !self.over() {
            let read = self.note(Done::Hung, || read(&path));
            assert!(read.is_err(), "the body came");
        }
    }

    fn look_around(&self, seed: usize) {
        let mut chance = Chance(seed as u64 + 1);
        while !self.over() {
            let gist = 1 + chance.below(self.gists - 1);
            let file = chance.below(FILES.len());
            let directory = self.root.join(server::title(gist));
            let path = directory.join(FILES[file]);
            match chance.below(8) {
                0..3 => drop(self.note(Done::Stat, || path.metadata().expect("it is there"))),
                3 => {
                    let listed = self.note(Done::List, || names(&directory));
                    assert!(listed >= FILES.len(), "{listed} files");
                }
                4 => assert!(!self.note(Done::Missing, || directory.join("missing").exists())),
                _ => {
                    let mark = &self.read[gist * FILES.len() + file];
                    let known = mark.load(Ordering::Relaxed);
                    let done = if known { Done::Read } else { Done::FirstRead };
                    match self.note(done, || read(&path)) {
                        Ok(bytes) => {
                            assert_eq!(bytes, server::body(gist, file).into_bytes());
                            // Until now it was not here, so all who came meanwhile waited too.
                            mark.store(true, Ordering::Relaxed);
                        }
                        Err(error) => self.failed(&path, &error),
                    }
                }
            }
            std::thread::sleep(THOUGHT);
        }
    }

    fn change(&self, number: usize) {
        let directory = self.root.join(server::title(1 + number));
        let (new, old) = (directory.join("new.txt"), directory.join("old.txt"));
        // Of no other file: what is known by its content need not be fetched.
        let text = server::body(self.gists + number, 0);
        while !self.over() {
            self.note(Done::Write, || std::fs::write(&new, &text)).expect("it can be written");
            std::thread::sleep(THOUGHT);
            self.note(Done::Rename, || std::fs::rename(&new, &old)).expect("it can be renamed");
            std::thread::sleep(THOUGHT);
            self.note(Done::Unlink, || std::fs::remove_file(&old)).expect("it can be removed");
            std::thread::sleep(THOUGHT);
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn names(directory: &Path) -> usize {
    std::fs::read_dir(directory).expect("a gist").count()
}

/// Numbers without rule, the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or_default() % limit.max(1)
    }
}
