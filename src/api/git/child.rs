//! A program that runs: fed, listened to and watched by one thread, which never waits on a full pipe.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use super::watch::Watch;

/// How much goes through a pipe at a time.
const PIECE: usize = 64 << 10;
/// How often somebody who waits looks whether to go on waiting, in milliseconds.
const GLANCE: u16 = 50;
/// More than any listing of ours is long.
const MOST_AHEAD: usize = 64 << 20;
/// So many lines of what a program says to people are kept, the last ones…
const MOST_LINES: usize = 200;
/// …and so many bytes of each.
const MOST_OF_A_LINE: usize = 1000;

/// Why a program did not come to its end.
#[derive(Debug)]
pub(super) enum Broken {
    /// It said nothing for too long, or took too long altogether.
    TimedOut,
    /// Nobody wants it any more.
    Stopped,
    /// The system refused.
    System(io::Error),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl From<nix::Error> for Broken {
    fn from(error: nix::Error) -> Self {
        Self::System(error.into())
    }
}

/// What a program left when it ended by itself.
#[derive(Debug)]
pub(super) struct Ended {
    /// Its exit code; `None` if a signal ended it.
    pub(super) code: Option<i32>,
    /// What it printed and nobody had read yet.
    pub(super) output: Vec<u8>,
    /// What it said to people, line by line, without its progress.
    pub(super) words: Vec<String>,
}

/// A program in a process group of its own. The whole group is gone when this is.
pub(super) struct Running<'a> {
    group: Group,
    input: Option<ChildStdin>,
    output: Option<ChildStdout>,
    errors: Option<ChildStderr>,
    /// Printed and not read yet.
    ahead: Vec<u8>,
    words: Lines,
    watch: Watch<'a>,
}

impl<'a> Running<'a> {
    /// Starts `command` with pipes of ours.
    pub(super) fn start(command: &mut Command, watch: Watch<'a>) -> Result<Self, Broken> {
        if watch.is_stopped() {
            return Err(Broken::Stopped);
        }
        let child = command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut group = Group(child);
        let (input, output) = (group.0.stdin.take(), group.0.stdout.take());
        let errors = group.0.stderr.take();
        let running = Self {
            group,
            input,
            output,
            errors,
            ahead: Vec::new(),
            words: Lines::default(),
            watch,
        };
        if let Some(input) = &running.input {
            never_wait_on(input)?;
        }
        if let Some(output) = &running.output {
            never_wait_on(output)?;
        }
        if let Some(errors) = &running.errors {
            never_wait_on(errors)?;
        }
        Ok(running)
    }

    /// Feeds it all of `bytes`. What it does not listen to is dropped: its end tells why.
    pub(super) fn say(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        self.watch.attend();
        let mut rest = bytes;
        while let (Some(input), false) = (&mut self.input, rest.is_empty()) {
            match input.write(rest) {
                Ok(length) => {
                    rest = rest.get(length..).unwrap_or_default();
                    self.watch.took(length);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait(true)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.input = None,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads what it prints; 0 where it prints no more.
    pub(super) fn hear(&mut self, into: &mut [u8]) -> Result<usize, Broken> {
        self.watch.attend();
        while self.ahead.is_empty() && self.output.is_some() {
            self.wait(false)?;
        }
        let length = into.len().min(self.ahead.len());
        if let (Some(to), Some(from)) = (into.get_mut(..length), self.ahead.get(..length)) {
            to.copy_from_slice(from);
        }
        self.ahead.drain(..length);
        Ok(length)
    }

    /// Feeds it no more and waits for its end.
    pub(super) fn end(mut self) -> Result<Ended, Broken> {
        self.input = None;
        self.watch.attend();
        while self.output.is_some() || self.errors.is_some() {
            self.wait(false)?;
        }
        while !self.group.has_ended() {
            // Its pipes are closed, so there is nothing to wait on but the time.
            self.watch.go_on()?;
            std::thread::sleep(Duration::from_millis(1));
        }
        let code = self.group.reap()?;
        Ok(Ended { code, output: std::mem::take(&mut self.ahead), words: self.words.all() })
    }

    /// Waits until something comes, or can be said if that is what is wanted, and takes it in.
    fn wait(&mut self, to_say: bool) -> Result<(), Broken> {
        self.watch.go_on()?;
        let mut places = Vec::with_capacity(3);
        if let Some(output) = &self.output {
            places.push(PollFd::new(output.as_fd(), PollFlags::POLLIN));
        }
        if let Some(errors) = &self.errors {
            places.push(PollFd::new(errors.as_fd(), PollFlags::POLLIN));
        }
        if let (Some(input), true) = (&self.input, to_say) {
            places.push(PollFd::new(input.as_fd(), PollFlags::POLLOUT));
        }
        let ready = match poll(&mut places, PollTimeout::from(GLANCE)) {
            Ok(ready) => ready,
            Err(nix::Error::EINTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        // Somebody whom it started may hold the pipes open for ever.
        let ended = ready == 0 && self.group.has_ended();
        self.take_in()?;
        if ended {
            (self.input, self.output, self.errors) = (None, None, None);
        }
        Ok(())
    }

    /// Reads what is there.
    fn take_in(&mut self) -> Result<(), Broken> {
        let mut piece = [0; PIECE];
        let room = self.ahead.len() < MOST_AHEAD;
        if !room {
            return Err(io::Error::other("it prints without end").into());
        }
        match self.output.as_mut().map(|output| output.read(&mut piece)) {
            Some(Ok(0)) => self.output = None,
            Some(Ok(length)) => {
                self.ahead.extend_from_slice(piece.get(..length).unwrap_or_default());
                self.watch.gave(length);
            }
            Some(Err(error)) if not_now(&error) => {}
            Some(Err(error)) => return Err(error.into()),
            None => {}
        }
        match self.errors.as_mut().map(|errors| errors.read(&mut piece)) {
            Some(Ok(0)) => {
                self.errors = None;
            }
            Some(Ok(length)) => {
                let words = piece.get(..length).unwrap_or_default();
                self.words.add(words);
                self.watch.said(words);
            }
            Some(Err(error)) if not_now(&error) => {}
            Some(Err(error)) => return Err(error.into()),
            None => {}
        }
        Ok(())
    }
}

fn not_now(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn never_wait_on(pipe: &impl AsFd) -> Result<(), Broken> {
    fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(())
}

/// A child that leads a process group.
struct Group(Child);

impl Group {
    fn number(&self) -> Option<Pid> {
        i32::try_from(self.0.id()).ok().map(Pid::from_raw)
    }

    /// Whether the leader has ended. It is left to be waited for, so that its number stays taken.
    fn has_ended(&self) -> bool {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        let status = self.number().map(|number| waitid(Id::Pid(number), flags));
        !matches!(status, Some(Ok(WaitStatus::StillAlive)))
    }

    /// Ends whoever is left of the group, and tells how the leader ended.
    fn reap(&mut self) -> io::Result<Option<i32>> {
        if let Some(number) = self.number()
            && let Err(error) = killpg(number, Signal::SIGKILL)
        {
            log::debug!("cannot stop process group {number}: {error}");
        }
        self.0.wait().map(|status| status.code())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Waited for already: the number may be somebody else's by now.
        if matches!(self.0.try_wait(), Ok(Some(_))) {
            return;
        }
        if let Err(error) = self.reap() {
            log::debug!("cannot wait for process {}: {error}", self.0.id());
        }
    }
}

/// Lines for people, the last ones of them.
#[derive(Default)]
struct Lines {
    whole: std::collections::VecDeque<String>,
    begun: Vec<u8>,
}

impl Lines {
    fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match byte {
                // Progress, which the next one replaces.
                b'\r' => self.begun.clear(),
                b'\n' => self.finish(),
                _ if self.begun.len() < MOST_OF_A_LINE => self.begun.push(byte),
                _ => {}
            }
        }
    }

    fn finish(&mut self) {
        let line = String::from_utf8_lossy(&self.begun).trim_end().to_owned();
        self.begun.clear();
        if line.is_empty() {
            return;
        }
        if self.whole.len() == MOST_LINES {
            self.whole.pop_front();
        }
        self.whole.push_back(line);
    }

    fn all(&mut self) -> Vec<String> {
        self.finish();
        std::mem::take(&mut self.whole).into()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Instant;

    use super::super::watch::{Patience, Stop};
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn patience(silence: Duration) -> Patience {
        Patience { silence, answer: silence, whole: Duration::from_secs(60), slowest: 1000 }
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn more_than_a_pipe_holds_goes_in_and_comes_out() {
        let stop = Stop::default();
        let watch = Watch::new(patience(LONG), &stop, &|| {});
        let mut running = Running::start(&mut shell("cat; cat >&2"), watch).unwrap();
        let bytes = vec![b'x'; 3 << 20];
        running.say(&bytes).unwrap();
        let ended = running.end().unwrap();
        assert_eq!((ended.code, ended.output == bytes), (Some(0), true));
    }

    #[test]
    fn who_does_not_listen_is_heard_to_the_end() {
        let stop = Stop::default();
        let watch = Watch::new(patience(LONG), &stop, &|| {});
        let script = "exec <&-; echo why >&2; printf '1%%\\r2%%\\rdone\\n' >&2; exit 3";
        let mut running = Running::start(&mut shell(script), watch).unwrap();
        running.say(&vec![0; 1 << 20]).unwrap();
        let ended = running.end().unwrap();
        assert_eq!((ended.code, ended.words), (Some(3), vec!["why".to_owned(), "done".to_owned()]));
    }

    /// Waits until nobody is left of those who wrote their numbers to `file`. A signal takes a moment.
    fn are_gone(file: &Path) -> bool {
        let numbers = std::fs::read_to_string(file).unwrap();
        let lives = |number: &str| {
            let stat = std::fs::read_to_string(format!("/proc/{number}/stat"));
            stat.is_ok_and(|stat| !stat.contains(") Z "))
        };
        let until = Instant::now() + Duration::from_secs(20);
        while numbers.split_whitespace().any(lives) {
            if Instant::now() > until {
                return false;
            }
            std::thread::yield_now();
        }
        !numbers.is_empty()
    }

    #[test]
    fn silence_ends_the_whole_group() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("numbers");
        let stop = Stop::default();
        let watch = Watch::new(patience(Duration::from_millis(300)), &stop, &|| {});
        let script =
            format!("(echo $$ >> {0}; sleep 600 & echo $! >> {0}; wait) & wait", file.display());
        let started = Instant::now();
        let running = Running::start(&mut shell(&script), watch).unwrap();
        assert!(matches!(running.end(), Err(Broken::TimedOut)));
        assert!(started.elapsed() < Duration::from_secs(20));
        assert!(are_gone(&file));
    }

    #[test]
    fn what_its_reader_takes_for_himself_is_not_its_silence() {
        let stop = Stop::default();
        let watch = Watch::new(patience(Duration::from_millis(300)), &stop, &|| {});
        let mut running = Running::start(&mut shell("echo a; read x; echo b"), watch).unwrap();
        let mut letter = [0; 2];
        assert_eq!((running.hear(&mut letter).unwrap(), &letter), (2, b"a\n"));
        let until = Instant::now() + Duration::from_millis(600);
        while Instant::now() < until {
            std::thread::yield_now();
        }
        running.say(b"go on\n").unwrap();
        assert_eq!((running.hear(&mut letter).unwrap(), &letter), (2, b"b\n"));
        assert_eq!(running.end().unwrap().code, Some(0));
    }

    #[test]
    fn a_server_is_waited_for_longer_once_something_comes_or_goes() {
        let directory = tempfile::tempdir().unwrap();
        let stop = Stop::default();
        let short = Duration::from_millis(200);
        let run = |script: &str, gives: bool| {
            let patience = Patience { answer: short, ..patience(LONG) };
            let watch = Watch::new(patience, &stop, &|| {}).of_growth(directory.path());
            let watch = if gives { watch.of_giving() } else { watch.of_asking() };
            Running::start(shell(script).current_dir(directory.path()), watch).unwrap().end()
        };
        assert!(matches!(run("sleep 600", true), Err(Broken::TimedOut)));
        assert!(run("echo giving >&2; sleep 1", true).is_ok());
        assert!(matches!(run("echo asking >&2; sleep 600", false), Err(Broken::TimedOut)));
        assert!(run("echo remote: Counting >&2; sleep 1", false).is_ok());
        assert!(run("echo listed; sleep 1", false).is_ok());
        // The growth is seen at the next look, before which there must be a sign of life.
        let grows =
            "for n in 1 2 3 4 5 6 7; do echo $n >> pack; echo $n >&2; sleep 0.1; done; sleep 1";
        assert!(run(grows, false).is_ok());
        let grows_not = grows.replace("pack", "/dev/null");
        assert!(matches!(run(&grows_not, false), Err(Broken::TimedOut)));
    }

    #[test]
    fn the_more_there_is_to_give_the_longer_it_may_take() {
        let directory = tempfile::tempdir().unwrap();
        let stop = Stop::default();
        let patience = Patience { whole: Duration::from_millis(200), ..patience(LONG) };
        let run = || {
            let watch = Watch::new(patience, &stop, &|| {}).of_growth(directory.path());
            Running::start(&mut shell("sleep 1"), watch.of_giving()).unwrap().end()
        };
        assert!(matches!(run(), Err(Broken::TimedOut)));
        // A minute's worth.
        std::fs::write(directory.path().join("pack"), vec![0; 60_000]).unwrap();
        assert!(run().is_ok());
    }

    #[test]
    fn who_holds_the_pipes_open_behind_the_program_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("numbers");
        let stop = Stop::default();
        let watch = Watch::new(patience(LONG), &stop, &|| {});
        let script = format!("echo said; sleep 600 & echo $! > {}", file.display());
        let ended = Running::start(&mut shell(&script), watch).unwrap().end().unwrap();
        assert_eq!((ended.code, &*ended.output), (Some(0), &b"said\n"[..]));
        assert!(are_gone(&file));
    }

    #[test]
    fn who_is_stopped_ends_at_once_and_nobody_begins_afterwards() {
        let stop = Stop::default();
        let watch = Watch::new(patience(LONG), &stop, &|| {});
        let mut running = Running::start(&mut shell("echo here; sleep 600"), watch).unwrap();
        running.hear(&mut [0; 5]).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| stop.stop(Duration::from_secs(20)));
            assert!(matches!(running.end(), Err(Broken::Stopped)));
        });
        let watch = Watch::new(patience(LONG), &stop, &|| {});
        let again = Running::start(&mut shell("true"), watch);
        assert!(matches!(again, Err(Broken::Stopped)));
    }
}
