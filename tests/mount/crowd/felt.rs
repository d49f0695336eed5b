//! A crowd in one mount: many read, some write, and a few want what never comes.
//!
//! Every operation is timed, and the table says what half, nine tenths and nearly all of them
//! took. Whoever waits for a body that does not come is counted apart: the question is what the
//! others feel of it.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Who comes, and for how long.
#[derive(Clone, Debug)]
pub(crate) struct Crowd {
    /// Threads that list, look and read.
    pub(crate) readers: usize,
    /// Threads that write, each in a gist of its own.
    pub(crate) writers: usize,
    /// Files whose bodies do not come; each has a thread that wants it again and again.
    pub(crate) hung: Vec<PathBuf>,
    /// How long they stay.
    pub(crate) time: Duration,
}

/// What one thread does at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// List a gist's directory.
    Ls,
    /// Look at a file.
    Stat,
    /// Look for a file that is not there.
    Miss,
    /// Open, read and close a file.
    Read,
    /// Make or open a file, and write 10 KB.
    Write,
    /// Close what was written.
    Close,
    /// Rename a file.
    Rename,
    /// Remove a file.
    Unlink,
    /// Read a body that does not come.
    Hung,
}

impl Work {
    const ALL: [Self; 9] = [
        Self::Ls,
        Self::Stat,
        Self::Miss,
        Self::Read,
        Self::Write,
        Self::Close,
        Self::Rename,
        Self::Unlink,
        Self::Hung,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Ls => "ls",
            Self::Stat => "stat",
            Self::Miss => "stat, missing",
            Self::Read => "open+read+close",
            Self::Write => "open+write 10 KB",
            Self::Close => "close",
            Self::Rename => "rename",
            Self::Unlink => "unlink",
            Self::Hung => "read, hung body",
        }
    }
}

/// How long one kind of operation took.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// The kind.
    pub(crate) work: Work,
    /// How many there were.
    pub(crate) count: usize,
    /// Half took no longer, nine in ten, 99 in 100, all.
    pub(crate) p50: Duration,
    pub(crate) p90: Duration,
    pub(crate) p99: Duration,
    pub(crate) max: Duration,
}

/// What the crowd felt.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// One row for each kind that happened.
    pub(crate) rows: Vec<Row>,
    /// What went wrong, the hung bodies left out.
    pub(crate) errors: Vec<String>,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| format!("{:.3}", time.as_secs_f64() * 1000.0);
        writeln!(
            f,
            "| {:16} | {:>8} | {:>9} | {:>9} | {:>9} | {:>9} |",
            "ms", "count", "p50", "p90", "p99", "max"
        )?;
        writeln!(
            f,
            "|{:-<18}|{:-<9}:|{:-<10}:|{:-<10}:|{:-<10}:|{:-<10}:|",
            "", "", "", "", "", ""
        )?;
        for row in &self.rows {
            let [p50, p90, p99, max] = [row.p50, row.p90, row.p99, row.max].map(ms);
            let (name, count) = (row.work.name(), row.count);
            writeln!(f, "| {name:16} | {count:>8} | {p50:>9} | {p90:>9} | {p99:>9} | {max:>9} |")?;
        }
        Ok(())
    }
}

impl Crowd {
    /// Lets them loose on the gists in `root`, a mount or any directory of directories of files, and
    /// tells what they felt. The writers make files of their own there and leave none.
    pub(crate) fn run(&self, root: &Path) -> io::Result<Table> {
        let files = self.files(root)?;
        let mut gists: Vec<&Path> = files.iter().filter_map(|file| file.parent()).collect();
        gists.dedup();
        if files.is_empty() || gists.len() < self.writers {
            return Err(io::Error::other("too few gists for so many writers"));
        }
        let over = AtomicBool::new(false);
        let felt = thread::scope(|scope| {
            let mut threads = Vec::new();
            for number in 0..self.readers {
                let one = One::new(&over, number);
                let (files, gists) = (&files, &gists);
                threads.push(scope.spawn(move || one.reads(files, gists)));
            }
            for (number, gist) in gists.iter().enumerate().take(self.writers) {
                let one = One::new(&over, self.readers + number);
                threads.push(scope.spawn(move || one.writes(gist)));
            }
            for (number, file) in self.hung.iter().enumerate() {
                let one = One::new(&over, self.readers + self.writers + number);
                threads.push(scope.spawn(move || one.hangs(file)));
            }
            thread::sleep(self.time);
            over.store(true, Ordering::Relaxed);
            threads.into_iter().filter_map(|thread| thread.join().ok()).collect::<Vec<_>>()
        });
        let errors = felt.iter().filter_map(|felt| felt.error.clone()).collect();
        let rows = Work::ALL.into_iter().filter_map(|work| {
            let of_it = |felt: &&(Work, Duration)| felt.0 == work;
            let all = felt.iter().flat_map(|felt| felt.times.iter().filter(of_it));
            row(work, all.map(|(_, time)| *time).collect())
        });
        Ok(Table { rows: rows.collect(), errors })
    }

    /// Every file there but the hung ones.
    fn files(&self, root: &Path) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for gist in fs::read_dir(root)? {
            for file in fs::read_dir(gist?.path())? {
                files.push(file?.path());
            }
        }
        files.retain(|file| !self.hung.contains(file));
        files.sort();
        Ok(files)
    }
}

fn row(work: Work, mut times: Vec<Duration>) -> Option<Row> {
    times.sort();
    let at = |share: f64| times.get(((times.len() - 1) as f64 * share).round() as usize).copied();
    let max = *times.last()?;
    Some(Row { work, count: times.len(), p50: at(0.5)?, p90: at(0.9)?, p99: at(0.99)?, max })
}

/// What one thread felt.
struct Felt {
    times: Vec<(Work, Duration)>,
    error: Option<String>,
}

/// One of the crowd.
struct One<'a> {
    over: &'a AtomicBool,
    felt: Felt,
    seed: u64,
}

impl<'a> One<'a> {
    fn new(over: &'a AtomicBool, number: usize) -> Self {
        let felt = Felt { times: Vec::new(), error: None };
        // Each its own way, and the same way every time.
        Self { over, felt, seed: (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) }
    }

    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    fn any<'b, T>(&mut self, of: &'b [T]) -> Option<&'b T> {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        of.get((self.seed % of.len().max(1) as u64) as usize)
    }

    fn timed<T>(
        &mut self,
        work: Work,
        what: &Path,
        run: impl FnOnce() -> io::Result<T>,
    ) -> Option<T> {
        let start = Instant::now();
        let result = run();
        self.felt.times.push((work, start.elapsed()));
        match result {
            Ok(done) => Some(done),
            Err(error) => {
                let told = || format!("{}, {}: {error}", work.name(), what.display());
                self.felt.error.get_or_insert_with(told);
                None
            }
        }
    }

    fn reads(mut self, files: &[PathBuf], gists: &[&Path]) -> Felt {
        while self.goes_on() {
            if let Some(gist) = self.any(gists).copied() {
                self.timed(Work::Ls, gist, || fs::read_dir(gist).map(Iterator::count));
            }
            for _ in 0..4 {
                let Some(file) = self.any(files) else { break };
                self.timed(Work::Stat, file, || fs::metadata(file));
                let Some(file) = self.any(files) else { break };
                self.timed(Work::Read, file, || fs::read(file));
            }
            if let Some(gist) = self.any(gists).copied() {
                let missing = gist.join("no such file");
                self.timed(Work::Miss, &missing, || match fs::metadata(&missing) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                    Err(error) => Err(error),
                    Ok(_) => Err(io::Error::other("it is there")),
                });
            }
        }
        self.felt
    }

    fn writes(mut self, gist: &Path) -> Felt {
        let (name, other) = (gist.join("crowd.txt"), gist.join("crowd, renamed.txt"));
        let mut round = 0_u64;
        while self.goes_on() {
            round += 1;
            let line = format!("{} {round}\n", self.seed);
            let text: Vec<u8> = line.bytes().cycle().take(10 << 10).collect();
            let written = self.timed(Work::Write, &name, || {
                let mut file = File::create(&name)?;
                file.write_all(&text)?;
                Ok(file)
            });
            if let Some(file) = written {
                self.timed(Work::Close, &name, || nix::unistd::close(file).map_err(Into::into));
            }
            self.timed(Work::Rename, &name, || fs::rename(&name, &other));
            let read = self.timed(Work::Read, &other, || fs::read(&other));
            if read.is_some_and(|read| read != text) {
                let wrong = format!("{} is not what was written", other.display());
                self.felt.error.get_or_insert(wrong);
            }
            if round.is_multiple_of(4) {
                self.timed(Work::Unlink, &other, || fs::remove_file(&other));
            }
        }
        fs::remove_file(&other).ok();
        self.felt
    }

    /// That it fails in the end is what is expected.
    fn hangs(mut self, file: &Path) -> Felt {
        while self.goes_on() {
            let start = Instant::now();
            let mut byte = [0];
            if File::open(file).and_then(|mut file| file.read(&mut byte)).is_ok() {
                let came = format!("{} did not hang", file.display());
                self.felt.error.get_or_insert(came);
            }
            self.felt.times.push((Work::Hung, start.elapsed()));
        }
        self.felt
    }
}
