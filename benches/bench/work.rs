//! What programs do with files.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::candidates::Candidate;
use crate::figure::Figure;
use crate::place::{must, program};
use crate::server::WORD;
use crate::timing::time;

/// What takes longer is not repeated within a round.
const SHORT: Duration = Duration::from_millis(300);

/// Something to do with all files of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// `stat` of each file.
    Stat,
    /// Open, read and close each file.
    OpenReadClose,
    /// Read a large file.
    ReadLarge,
    /// `ls -lR`
    Ls,
    /// `find`
    Find,
    /// `find -size`
    FindSize,
    /// `grep -r`
    Grep,
    /// `du`
    Du,
}

impl Work {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stat => "stat",
            Self::OpenReadClose => "open+read+close",
            Self::ReadLarge => "64 MB read",
            Self::Ls => "ls -lR",
            Self::Find => "find",
            Self::FindSize => "find -size",
            Self::Grep => "grep -r",
            Self::Du => "du",
        }
    }

    /// Does it once.
    pub(crate) fn once(self, candidate: &Candidate) {
        match self.command(&candidate.root) {
            Some(mut command) => must(&mut command),
            None if self == Self::Stat => candidate.files.iter().for_each(|file| {
                file.metadata().expect("a file of ours");
            }),
            None => {
                let mut room = vec![0; if self == Self::ReadLarge { 1 << 20 } else { 4096 }];
                candidate.files.iter().for_each(|file| read(file, &mut room));
            }
        }
    }

    /// Runs the program that it takes, if it takes one, on an empty directory.
    pub(crate) fn with_program(self, nothing: &Path) {
        if let Some(mut command) = self.command(nothing) {
            // grep, which finds nothing, calls that a failure.
            command.status().expect("it runs");
        }
    }

    fn command(self, root: &Path) -> Option<Command> {
        let (name, before, after): (_, &[&str], &[&str]) = match self {
            Self::Stat | Self::OpenReadClose | Self::ReadLarge => return None,
            Self::Ls => ("ls", &["-lR"], &[]),
            Self::Find => ("find", &[], &[]),
            Self::FindSize => ("find", &[], &["-size", "+1k"]),
            Self::Grep => ("grep", &["-r", WORD], &[]),
            Self::Du => ("du", &["-s"], &[]),
        };
        let mut command = program(name);
        command.args(before).arg(root).args(after);
        Some(command)
    }

    /// How long it takes once; short work is repeated, unless something is to be `cold`.
    pub(crate) fn timed(self, candidate: &Candidate, cold: bool) -> Duration {
        let times = match self {
            Self::Stat if !cold => 20,
            Self::OpenReadClose | Self::ReadLarge if !cold => 3,
            Self::Stat | Self::OpenReadClose | Self::ReadLarge => 1,
            // Of a small tree the start of a program is a part, and a chance one.
            Self::Ls | Self::Find | Self::FindSize | Self::Grep | Self::Du if !cold => 3,
            Self::Ls | Self::Find | Self::FindSize | Self::Grep | Self::Du => 1,
        };
        let ((), first) = time(|| self.once(candidate));
        if first > SHORT {
            return first;
        }
        (first + time(|| (1..times).for_each(|_| self.once(candidate))).1) / times
    }

    /// A time of this work as the figure one thinks in.
    pub(crate) fn figure(self, time: Duration, candidate: &Candidate) -> Figure {
        let a_second = time.as_secs_f64().max(1e-9).recip();
        match self {
            Self::Stat | Self::OpenReadClose => {
                Figure::Rate(candidate.files.len() as f64 * a_second)
            }
            Self::ReadLarge => Figure::Flow(crate::server::LARGE_BYTES as f64 * a_second),
            Self::Ls | Self::Find | Self::FindSize | Self::Grep | Self::Du => Figure::Time(time),
        }
    }
}

/// Opens a file, reads until there is no more, and closes it. A small one takes one read.
fn read(file: &Path, room: &mut [u8]) {
    let mut file = File::open(file).expect("a file of ours");
    while file.read(room).expect("a file of ours") == room.len() {}
}
