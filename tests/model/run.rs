//! Runs steps on the mount and on the reference side by side, and compares the two after each.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gistfs::api::ApiError;
use gistfs::error::Error;
use gistfs::fs::{Fh, RenameMode, SetAttr, Stale, Wait};
use gistfs::model::{BlobId, FileName, GistId, Time};
use gistfs::store::placeholder;
use gistfs::store::scratch;
use gistfs::tree::Ino;

use crate::github::{Clock, FakeGitHub};
use crate::mount::{Mount, READ, Seen, SeenFile, SeenGist, WRITE};
use crate::reference::{Node, Outcome, Reference};
use crate::steps::{Dance, Failure, Gist, Name, Remote, Step, Text};

/// Longer than GitHub's reads lag behind our writes.
const CAUGHT_UP: Duration = Duration::from_secs(21);

/// What went wrong, in words.
type Verdict = Result<(), String>;

macro_rules! ensure {
    ($what:expr, $($words:tt)+) => {
        if !$what {
            return Err(format!($($words)+));
        }
    };
}

/// A run under way.
struct Run {
    mount: Mount,
    reference: Reference,
    handles: Vec<(usize, Ino, Fh)>,
    made: usize,
    written: u64,
    /// Read every file after every step; otherwise bodies stay on GitHub until they are needed.
    reads_all: bool,
    /// There is git, or was and will be.
    git: bool,
    last: Seen,
    /// Other machines have changed something ever; then names of directories may clash.
    company: bool,
    /// When another machine last changed something that this one may not know of yet.
    foreign: Option<Time>,
    /// Another machine may change something at any moment.
    meddled: bool,
    /// A gist was deleted elsewhere: bodies nobody had read are gone for good.
    lossy: bool,
    /// When the last change was sent, and how many there were by then.
    sent: (usize, Time),
    /// What GitHub had before the step, and what the user saw.
    before: (Vec<(GistId, FileName, BlobId)>, BTreeSet<BlobId>),
}

/// How a sequence is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// Read every file after every step; otherwise bodies stay on GitHub until they are needed.
    pub(crate) reads_all: bool,
    /// There is git; and if so, how many files of a gist the API shows.
    pub(crate) git: Option<usize>,
}

/// Runs `steps`; an error names the first difference.
pub(crate) fn run(steps: &[Step], setting: Setting) -> Verdict {
    let Setting { reads_all, git } = setting;
    let clock = Clock::new();
    let github = FakeGitHub::new(&clock, 2);
    if let Some(shown) = git {
        github.set_git(true);
        github.set_shown(shown);
    }
    github.create_elsewhere("Alpha", &[("a.txt", b"the same 0\n"), ("b.md", b"# one\n")]);
    clock.pass(Duration::from_secs(2));
    github
        .create_elsewhere("Beta", &[("a.txt", b"the same 0\n"), ("c", b"c\n"), ("old", b"\xff\0")]);
    clock.pass(Duration::from_secs(2));
    let mount = Mount::new(&github, &clock);
    mount.refresh();
    let start = clock.now();
    let mut run = Run {
        mount,
        reference: Reference::default(),
        handles: vec![],
        made: 0,
        written: 0,
        reads_all,
        git: git.is_some(),
        last: Seen::new(),
        company: false,
        foreign: None,
        meddled: false,
        lossy: false,
        sent: (0, start),
        before: Default::default(),
    };
    run.adopt(run.mount.look(true)?)?;
    if !reads_all {
        // Adopting has read everything: start again from a mount that has no body yet.
        run.mount = Mount::new(&github, &clock);
        run.mount.refresh();
    }
    run.last = run.mount.look(reads_all)?;
    run.mount.take_stale();
    for (number, step) in steps.iter().enumerate() {
        run.step(step).map_err(|wrong| format!("step {number}, {step:?}: {wrong}"))?;
    }
    run.end().map_err(|wrong| format!("at the end: {wrong}"))
}

impl Run {
    fn gist(&self, pick: Gist) -> Option<String> {
        let count = self.reference.gists.len();
        let at = usize::from(pick).checked_rem(count)?;
        self.reference.gists.keys().nth(at).cloned()
    }

    fn name(&self, gist: &str, name: Name) -> String {
        match name {
            Name::Usual(name) => name.into(),
            Name::Present(pick) => {
                let files = &self.reference.gists[gist];
                let at = usize::from(pick).checked_rem(files.len());
                at.and_then(|at| files.keys().nth(at)).map_or("a.txt", String::as_str).into()
            }
        }
    }

    fn bytes(&mut self, text: Text) -> Vec<u8> {
        self.written += 1;
        let n = self.written;
        match text {
            Text::Unique => format!("version {n}\n").into(),
            Text::Long => {
                (0..200).map(|line| format!("{n}, line {line}\n")).collect::<String>().into()
            }
            Text::Same(which) => format!("the same {which}\n").into(),
            Text::Blank => b" \n\t\n".into(),
            Text::Empty => vec![],
            Text::Crlf => format!("{n}\r\nlines\r\n").into(),
            Text::Binary => vec![0xff, 0, n as u8, (n >> 8) as u8],
        }
    }

    fn handle(&self, pick: u8) -> Option<(usize, Ino, Fh)> {
        let at = usize::from(pick).checked_rem(self.handles.len())?;
        Some(self.handles[at])
    }

    fn step(&mut self, step: &Step) -> Verdict {
        self.note_before();
        let background = self.act(step)?;
        let wrong = self.mount.github.complaints();
        ensure!(wrong.is_empty(), "GitHub complains: {wrong:?}");
        if let Some(seen) = background {
            return self.follow(seen);
        }
        let seen = self.mount.look(self.reads_all)?;
        self.compare(&seen)?;
        if self.reads_all {
            // Reading closes, and every close records.
            self.reference.may_record();
        }
        self.last = seen;
        self.mount.take_stale();
        Ok(())
    }

    /// Does the step to both; for one that lets others change things, also looks what they did.
    fn act(&mut self, step: &Step) -> Result<Option<Seen>, String> {
        match step {
            Step::Mkdir(title) => {
                let got = self.mount.mkdir(title);
                self.judge(got, None, |reference| reference.mkdir(title))?;
            }
            Step::Create(gist, name) => {
                let Some(gist) = self.gist(*gist) else { return Ok(None) };
                let name = self.name(&gist, *name);
                let (got, id) = (self.mount.create(&gist, &name), self.next());
                if let Ok((ino, fh)) = got {
                    self.handles.push((id, ino, fh));
                }
                self.judge(got.map(drop), None, |reference| reference.create(&gist, &name, id))?;
            }
            Step::Save(gist, name, text) => {
                let Some(gist) = self.gist(*gist) else { return Ok(None) };
                let (name, bytes) = (self.name(&gist, *name), self.bytes(*text));
                self.save(&gist, &name, &bytes)?;
            }
            Step::Open(gist, name, writes) => {
                let Some(gist) = self.gist(*gist) else { return Ok(None) };
                let name = self.name(&gist, *name);
                let got = self.mount.open(&gist, &name, if *writes { WRITE } else { READ });
                let id = self.next();
                if let Ok((ino, fh)) = got {
                    self.handles.push((id, ino, fh));
                }
                self.judge(got.map(drop), None, |reference| {
                    let file = reference.file(&gist, &name).ok_or(libc::ENOENT)?;
                    reference.open(file, id, *writes);
                    Ok(())
                })?;
            }
            Step::Write(pick, offset, text) => {
                let bytes = self.bytes(*text);
                self.write(*pick, Some(usize::from(*offset)), &bytes)?;
            }
            Step::Append(pick, text) => {
                let bytes = self.bytes(*text);
                self.write(*pick, None, &bytes)?;
            }
            Step::Insert(gist, name, line) => {
                let Some(gist) = self.gist(*gist) else { return Ok(None) };
                let name = self.name(&gist, *name);
                let Some(file) = self.reference.file(&gist, &name) else { return Ok(None) };
                let new = self.bytes(Text::Unique);
                let body = &self.reference.body(file).live;
                let bytes = with_line(body, *line, &new);
                self.save(&gist, &name, &bytes)?;
            }
            Step::Read(pick) => self.read(*pick)?,
            Step::Flush(pick) => {
                let Some((id, _, fh)) = self.handle(*pick) else { return Ok(None) };
                let got = self.mount.fs().flush(fh, Wait::Yes);
                self.judge(got, None, |reference| {
                    reference.flush(id);
                    Ok(())
                })?;
            }
            Step::Fsync(pick) => {
                let Some((id, _, fh)) = self.handle(*pick) else { return Ok(None) };
                let got = self.mount.fs().fsync(fh);
                self.judge(got, None, |reference| {
                    reference.flush(id);
                    Ok(())
                })?;
            }
            Step::Release(pick) => {
                let Some((id, ..)) = self.handle(*pick) else { return Ok(None) };
                self.release(id)?;
            }
            Step::Cut(gist, name, size) => {
                let Some(gist) = self.gist(*gist) else { return Ok(None) };
                let name = self.name(&gist, *name);
                let file = self.reference.file(&gist, &name);
                let Some(file) = file else { return Ok(None) };
                let got = self.mount.stat(&gist, &name).and_then(|attr| self.cut(attr.ino, *size));
                self.judge(got, Some(file), |reference| {
                    reference.truncate(file, usize::from(*size));
                    Ok(())
                })?;
            }
            Step::CutOpen(pick, size) => {
                let Some((id, ino, _)) = self.handle(*pick) else { return Ok(None) };
                let file = self.reference.opened(id);
                let got = self.cut(ino, *size);
                self.judge(got, Some(file), |reference| {
                    reference.truncate(file, usize::from(*size));
                    Ok(())
                })?;
            }
            Step::Unlink(gist, name) => {
                let Some(gist) = self.gist(*gist) else { return Ok(None) };
                let name = self.name(&gist, *name);
                let got = self.mount.unlink(&gist, &name);
                self.judge(got, None, |reference| reference.unlink(&gist, &name))?;
            }
            Step::Rename(gist, from, to, mode) => {
                let Some(gist) = self.gist(*gist) else { return Ok(None) };
                let (from, to) = (self.name(&gist, *from), self.name(&gist, *to));
                self.rename((&gist, &from), (&gist, &to), *mode)?;
            }
            Step::Move(gist, from, other, to, mode) => {
                let (Some(gist), Some(other)) = (self.gist(*gist), self.gist(*other)) else {
                    return Ok(None);
                };
                let (from, to) = (self.name(&gist, *from), self.name(&other, *to));
                self.rename((&gist, &from), (&other, &to), *mode)?;
            }
            Step::Dance(dance, gist, name, text) => {
                let Some(gist) = self.gist(*gist) else { return Ok(None) };
                let (name, bytes) = (self.name(&gist, *name), self.bytes(*text));
                self.dance(*dance, &gist, &name, &bytes)?;
            }
            Step::Symlink(gist, name) => {
                let Some(gist) = self.gist(*gist) else { return Ok(None) };
                let name = self.name(&gist, *name);
                let got = self.mount.symlink(&gist, &name, "me@here.1");
                self.judge(got, None, |reference| reference.symlink(&gist, &name, "me@here.1"))?;
            }
            Step::Chmod(gist, name, mode) => {
                let set = SetAttr { mode: Some(*mode), ..SetAttr::default() };
                self.attributes(*gist, *name, &set, |attr| attr.mode == *mode)?;
            }
            Step::Touch(gist, name, seconds) => {
                let time = Time::new(i64::from(*seconds), 5);
                let set = SetAttr { mtime: Some(time), atime: Some(time), ..SetAttr::default() };
                self.attributes(*gist, *name, &set, |attr| attr.mtime == time)?;
            }
            Step::Rmdir(gist) => {
                let Some(gist) = self.gist(*gist) else { return Ok(None) };
                let got = self.mount.rmdir(&gist);
                self.judge(got, None, |reference| reference.rmdir(&gist))?;
            }
            Step::RemoveAll(gist) => {
                let Some(gist) = self.gist(*gist) else { return Ok(None) };
                let names: Vec<String> = self.reference.gists[&gist].keys().cloned().collect();
                for name in names {
                    let got = self.mount.unlink(&gist, &name);
                    self.judge(got, None, |reference| reference.unlink(&gist, &name))?;
                }
                let got = self.mount.rmdir(&gist);
                self.judge(got, None, |reference| reference.rmdir(&gist))?;
            }
            Step::RenameGist(gist, title, mode) => {
                let Some(gist) = self.gist(*gist) else { return Ok(None) };
                let got = self.mount.rename_gist(&gist, title, *mode);
                self.judge(got, None, |reference| reference.rename_gist(&gist, title, *mode))?;
            }
            Step::Kill => self.kill()?,
            Step::Pass(tenths) => {
                self.mount.pass(Duration::from_millis(100) * u32::from(*tenths));
                self.reference.may_record();
                return Ok(Some(self.look()?));
            }
            Step::Refresh(whole) => {
                let (syncer, now) = (self.mount.fs().syncer(), self.mount.clock.now());
                let done = if *whole { syncer.refresh_all(now) } else { syncer.refresh_new(now) };
                done.map_err(|error| error.to_string())?;
                let seen = self.look()?;
                self.follow(seen)?;
                if *whole {
                    self.know_all();
                }
            }
            Step::Drain => {
                let until = self.mount.clock.now().after(Duration::from_secs(60));
                self.mount.fs().syncer().drain(until, false);
                return Ok(Some(self.look()?));
            }
            Step::Elsewhere(remote) => {
                let act = self.elsewhere(remote);
                act(&self.mount.github);
            }
            Step::Meddle(remote) => {
                let act = self.elsewhere(remote);
                self.meddled = true;
                self.mount.github.meddle_before_update(act);
            }
            Step::Fail(failure) => self.fail(*failure),
            Step::Lag(reads) => self.mount.github.set_lags(*reads),
            Step::Git(git) => {
                self.mount.github.set_git(*git && self.git);
                self.kill()?;
            }
        }
        Ok(None)
    }

    fn next(&mut self) -> usize {
        self.made += 1;
        self.made
    }

    /// The whole tree; with all bytes where they have to be judged.
    fn look(&self) -> Result<Seen, String> {
        self.mount.look(self.reads_all || self.foreign.is_some())
    }

    /// Applies to the reference what was done to the mount; both must have come out alike.
    ///
    /// An operation on `file` may fail for want of its body if GitHub has that no more.
    fn judge(
        &mut self,
        got: Result<(), Error>,
        file: Option<usize>,
        apply: impl FnOnce(&mut Reference) -> Outcome,
    ) -> Verdict {
        if let (Err(error), Some(file)) = (&got, file)
            && error.is_trouble()
            && self.is_lost(file)
        {
            return Ok(());
        }
        let expected = apply(&mut self.reference);
        let errno = got.as_ref().map_err(Error::errno).copied();
        ensure!(errno == expected, "{got:?}, and should be {expected:?}");
        Ok(())
    }

    /// Whether the bytes of a file may be gone: never read here, and of a gist that another machine
    /// deleted.
    fn is_lost(&self, file: usize) -> bool {
        self.reference.body(file).unknown || self.lossy
    }

    fn cut(&self, ino: Ino, size: u16) -> Result<(), Error> {
        let set = SetAttr { size: Some(u64::from(size)), ..SetAttr::default() };
        self.mount.fs().setattr(ino, &set, None, Wait::Yes).map(drop)
    }

    fn save(&mut self, gist: &str, name: &str, bytes: &[u8]) -> Verdict {
        let got = self.mount.save(gist, name, bytes);
        let id = self.next();
        self.judge(got, None, |reference| {
            match reference.file(gist, name) {
                Some(file) => {
                    reference.open(file, id, true);
                    reference.truncate(file, 0);
                }
                None => reference.create(gist, name, id).map_err(|_| libc::EEXIST)?,
            }
            reference.write(id, 0, bytes);
            reference.release(id);
            Ok(())
        })
    }

    fn write(&mut self, pick: u8, offset: Option<usize>, bytes: &[u8]) -> Verdict {
        let Some((id, _, fh)) = self.handle(pick) else { return Ok(()) };
        let file = self.reference.opened(id);
        let offset = offset.unwrap_or(self.reference.body(file).live.len());
        let got = self.mount.write(fh, offset as u64, bytes);
        if matches!(got, Err(Error::BadHandle)) && !self.reference.writes(id) {
            return Ok(());
        }
        self.judge(got, Some(file), |reference| {
            if !reference.writes(id) {
                return Err(libc::EBADF);
            }
            reference.write(id, offset, bytes);
            Ok(())
        })
    }

    fn read(&mut self, pick: u8) -> Verdict {
        let Some((id, ino, fh)) = self.handle(pick) else { return Ok(()) };
        let file = self.reference.opened(id);
        match self.mount.read(fh) {
            Ok(bytes) => self.same_bytes("an open file", file, &bytes)?,
            Err(_) if self.is_lost(file) => return Ok(()),
            Err(error) => return Err(format!("an open file cannot be read: {error}")),
        }
        let attr = self.mount.fs().getattr(ino, Wait::No).map_err(|error| error.to_string())?;
        let size = self.reference.body(file).live.len() as u64;
        ensure!(attr.size == size, "an open file's size is {}, not {size}", attr.size);
        Ok(())
    }

    fn release(&mut self, id: usize) -> Verdict {
        let Some(at) = self.handles.iter().position(|(other, ..)| *other == id) else {
            return Ok(());
        };
        let (_, ino, fh) = self.handles.remove(at);
        let got = self.mount.close((ino, fh));
        self.judge(got, None, |reference| {
            reference.release(id);
            Ok(())
        })
    }

    fn rename(&mut self, from: (&str, &str), to: (&str, &str), mode: RenameMode) -> Verdict {
        let file = self.reference.file(from.0, from.1);
        let before = self.mount.stat(from.0, from.1).map(|attr| attr.ino).ok();
        let got = self.mount.rename(from, to, mode);
        let done = got.is_ok();
        self.judge(got, file, |reference| reference.rename(from, to, mode))?;
        if done {
            let after = self.mount.stat(to.0, to.1).map(|attr| attr.ino).ok();
            ensure!(after == before, "a rename changed the number {before:?} to {after:?}");
        }
        Ok(())
    }

    fn attributes(
        &mut self,
        gist: Gist,
        name: Name,
        set: &SetAttr,
        holds: impl Fn(&gistfs::fs::Attr) -> bool,
    ) -> Verdict {
        let Some(gist) = self.gist(gist) else { return Ok(()) };
        let name = self.name(&gist, name);
        let Ok(attr) = self.mount.stat(&gist, &name) else { return Ok(()) };
        let set = self.mount.fs().setattr(attr.ino, set, None, Wait::Yes);
        ensure!(set.is_ok_and(|attr| holds(&attr)), "the attribute was not set");
        let attr = self.mount.stat(&gist, &name).map_err(|error| error.to_string())?;
        ensure!(holds(&attr), "the attribute did not stay");
        Ok(())
    }

    fn dance(&mut self, dance: Dance, gist: &str, name: &str, bytes: &[u8]) -> Verdict {
        let backup = format!("{name}~");
        let (plain, replace) = (RenameMode::Replace, RenameMode::Replace);
        match dance {
            Dance::Vim => {
                self.save(gist, "4913", b"")?;
                self.unlink(gist, "4913")?;
                self.rename((gist, name), (gist, &backup), plain)?;
                self.save(gist, name, bytes)?;
                self.unlink(gist, &backup)
            }
            Dance::VimCrash => self.rename((gist, name), (gist, &backup), plain),
            Dance::Emacs => {
                self.rename((gist, name), (gist, &backup), plain)?;
                self.save(gist, name, bytes)
            }
            Dance::Rsync => {
                let temporary = format!(".{name}.Xy12zQ");
                self.save(gist, &temporary, bytes)?;
                self.rename((gist, &temporary), (gist, name), replace)
            }
            Dance::Sed => {
                self.save(gist, "sedAb3dEf", bytes)?;
                self.rename((gist, "sedAb3dEf"), (gist, name), replace)
            }
        }
    }

    fn unlink(&mut self, gist: &str, name: &str) -> Verdict {
        let got = self.mount.unlink(gist, name);
        self.judge(got, None, |reference| reference.unlink(gist, name))
    }

    fn kill(&mut self) -> Verdict {
        self.handles.clear();
        self.mount.kill_and_remount();
        let seen = self.mount.look(true)?;
        let left: BTreeSet<Vec<u8>> = bodies(&seen);
        self.reference.kill(|gist, name, body| {
            let there = seen.get(gist).and_then(|gist| gist.files.get(name)?.body.as_ref());
            let there = there.and_then(|body| body.as_ref().ok());
            let same = body.safe.iter().find(|version| Some(*version) == there);
            let anywhere = || body.safe.iter().find(|version| left.contains(*version));
            same.or_else(anywhere).unwrap_or(&body.live).clone()
        });
        if self.company { self.adopt(seen) } else { self.compare(&seen) }
    }

    fn fail(&mut self, failure: Failure) {
        let github = &self.mount.github;
        match failure {
            Failure::Fetch => {
                let detail = "no route".into();
                let error = ApiError::Unreachable { host: "git.test".into(), detail };
                return github.fail_next_fetch(error);
            }
            Failure::FetchRefused => {
                return github.fail_next_fetch(ApiError::Forbidden("not by git".into()));
            }
            Failure::Declined => return github.fail_next_push(ApiError::Declined("no".into())),
            Failure::Unreachable
            | Failure::Lost(_)
            | Failure::Server(_)
            | Failure::Busy
            | Failure::Limited
            | Failure::Refused => {}
        }
        let host = || "api.test".to_owned();
        let lost = || ApiError::Lost { host: host(), detail: "cut off".into() };
        let (error, applied) = match failure {
            Failure::Fetch | Failure::FetchRefused | Failure::Declined | Failure::Unreachable => {
                (ApiError::Unreachable { host: host(), detail: "no route".into() }, false)
            }
            Failure::Lost(applied) => (lost(), applied),
            Failure::Server(applied) => (ApiError::Server(502), applied),
            Failure::Busy => (ApiError::Conflict("Gist cannot be updated.".into()), false),
            Failure::Limited => {
                let message = "secondary rate limit".into();
                let wait = Some(Duration::from_secs(3));
                (ApiError::Limited { message, wait, secondary: true }, false)
            }
            Failure::Refused => (ApiError::Forbidden("no".into()), false),
        };
        self.mount.github.fail_next(error, applied);
    }

    /// What another machine does, to be done now or later.
    fn elsewhere(&mut self, remote: &Remote) -> impl FnOnce(&FakeGitHub) + Send + 'static {
        self.company = true;
        // Sometimes within one second of what went before, sometimes not.
        self.mount.clock.pass(Duration::from_millis(700));
        self.foreign = Some(self.mount.clock.now());
        let ids = self.mount.github.ids();
        let id = |pick: Gist| usize::from(pick).checked_rem(ids.len()).map(|at| ids[at].clone());
        let remote = remote.clone();
        let (text, target) = match remote {
            Remote::Create(_, text) => (text, None),
            Remote::Edit(gist, _, text) => (text, id(gist)),
            Remote::Line(gist, ..) => (Text::Unique, id(gist)),
            Remote::Remove(gist, _)
            | Remote::Rename(gist, ..)
            | Remote::Describe(gist, _)
            | Remote::Star(gist) => (Text::Empty, id(gist)),
            Remote::Delete(gist) => {
                self.lossy = true;
                (Text::Empty, id(gist))
            }
        };
        let body = self.bytes(text);
        move |github: &FakeGitHub| match (remote, target) {
            (Remote::Create(title, _), _) => {
                drop(github.create_elsewhere(title, &[("a.txt", &body), ("z.txt", b"z\n")]));
            }
            (Remote::Edit(_, name, _), Some(id)) => github.edit_elsewhere(&id, name, Some(&body)),
            (Remote::Remove(_, pick), Some(id)) => {
                let files = github.files(&id).unwrap_or_default();
                let at = usize::from(pick).checked_rem(files.len());
                if let Some(name) = at.and_then(|at| files.keys().nth(at)) {
                    github.edit_elsewhere(&id, name.as_str(), None);
                }
            }
            (Remote::Line(_, pick, line), Some(id)) => {
                let mut files = github.files(&id).unwrap_or_default();
                // Whoever edits our placeholder makes it a file as any other.
                files.retain(|name, _| !name.as_str().starts_with(placeholder::NAME));
                let at = usize::from(pick).checked_rem(files.len());
                if let Some((name, old)) = at.and_then(|at| files.iter().nth(at)) {
                    let body = with_line(old, line, &body);
                    github.edit_elsewhere(&id, name.as_str(), Some(&body));
                }
            }
            (Remote::Rename(_, pick, to), Some(id)) => {
                let mut files = github.files(&id).unwrap_or_default();
                files.retain(|name, _| !name.as_str().starts_with(placeholder::NAME));
                let at = usize::from(pick).checked_rem(files.len());
                if let Some(name) = at.and_then(|at| files.keys().nth(at)) {
                    github.rename_elsewhere(&id, name.as_str(), to);
                }
            }
            (Remote::Describe(_, title), Some(id)) => github.describe_elsewhere(&id, title),
            (Remote::Star(_), Some(id)) => {
                if let Some(same) = github.description(&id) {
                    github.describe_elsewhere(&id, &same);
                }
            }
            (Remote::Delete(_), Some(id)) => github.delete_elsewhere(&id),
            (_, None) => {}
        }
    }

    /// After something that may change the tree without the user's doing.
    fn follow(&mut self, seen: Seen) -> Verdict {
        let sent = self.mount.github.sent().len();
        if sent != self.sent.0 {
            self.sent = (sent, self.mount.clock.now());
        }
        self.check_stale(&seen)?;
        if self.foreign.is_none() {
            self.take_back(&seen);
            self.compare(&seen)?;
            self.same_numbers(&seen)?;
            self.last = seen;
            return if self.meddled { Ok(()) } else { self.nothing_left_github_too_early() };
        }
        self.adopt(seen)
    }

    /// The whole list was read: if that can have missed nothing, nothing unknown is left.
    fn know_all(&mut self) {
        let now = self.mount.clock.now();
        let quiet = |since: Time| now.since(since) > CAUGHT_UP;
        if !self.meddled
            && !self.reference.has_writers()
            && quiet(self.sent.1)
            && self.foreign.is_some_and(quiet)
        {
            self.foreign = None;
        }
    }

    /// What the kernel remembers and nobody told it to forget must still be true.
    fn check_stale(&self, seen: &Seen) -> Verdict {
        let told: Vec<Stale> = self.mount.take_stale();
        let name = |directory: Ino, name: &str| {
            let named = told.contains(&Stale::Name(directory, name.into()));
            named && told.contains(&Stale::Node(directory))
        };
        let before = &self.last;
        for gist in before.keys().chain(seen.keys()) {
            let (old, new) = (before.get(gist), seen.get(gist));
            if old.map(|gist| gist.ino) != new.map(|gist| gist.ino) {
                ensure!(name(Ino::ROOT, gist), "the kernel was not told of {gist:?}: {told:?}");
                continue;
            }
            let (Some(old), Some(new)) = (old, new) else { continue };
            ensure!(
                old.attr == new.attr || told.contains(&Stale::Node(new.ino)),
                "the kernel was not told that {gist:?} changed from {:?} to {:?}",
                old.attr,
                new.attr
            );
            for file in old.files.keys().chain(new.files.keys()) {
                let (was, is) = (old.files.get(file), new.files.get(file));
                if was.map(|file| file.attr.ino) != is.map(|file| file.attr.ino) {
                    ensure!(
                        name(new.ino, file),
                        "the kernel was not told of {gist}/{file}: {told:?}"
                    );
                } else if let (Some(was), Some(is)) = (was, is)
                    && (was.attr != is.attr || differ(was, is))
                {
                    ensure!(
                        told.contains(&Stale::Node(is.attr.ino)),
                        "the kernel was not told that {gist}/{file} changed from {was:?} to {is:?}"
                    );
                }
            }
        }
        Ok(())
    }

    fn note_before(&mut self) {
        self.before = (self.mount.github.tips(), self.visible());
    }

    /// The bodies the user sees under some name that is not a backup's, and that are nowhere twice.
    fn visible(&self) -> BTreeSet<BlobId> {
        let named = self.reference.named().into_iter();
        let real = named.filter(|(_, name, _)| !scratch::matches(name));
        let bodies = real.map(|(_, _, file)| &self.reference.body(file).live);
        let plain = |body: &[u8]| body.iter().all(|byte| *byte == 0 || byte.is_ascii_whitespace());
        let once = bodies.filter(|body| !body.starts_with(b"the same") && !plain(body));
        once.map(|body| BlobId::of(body)).collect()
    }

    /// What the user still sees, maybe moved to where GitHub does not have it yet, was not deleted
    /// there. (What is written over stays in its gist's history.)
    fn nothing_left_github_too_early(&self) -> Verdict {
        let now = self.mount.github.tips();
        let visible = self.visible();
        for (id, name, blob) in &self.before.0 {
            let seen = self.before.1.contains(blob) && visible.contains(blob);
            let there = now.iter().any(|(_, _, other)| other == blob);
            let written_over = now.iter().any(|(other, file, _)| (other, file) == (id, name));
            ensure!(
                !seen || there || written_over,
                "{name:?} was deleted on GitHub though it is still seen here"
            );
        }
        Ok(())
    }

    /// Without anybody else at work, every name keeps its number.
    fn same_numbers(&self, seen: &Seen) -> Verdict {
        let numbers = |seen: &Seen| -> BTreeSet<Ino> {
            let files =
                |gist: &SeenGist| gist.files.values().map(|file| file.attr.ino).collect::<Vec<_>>();
            seen.values().flat_map(|gist| files(gist).into_iter().chain([gist.ino])).collect()
        };
        let (before, after) = (numbers(&self.last), numbers(seen));
        ensure!(before == after, "numbers changed: {before:?}, {after:?}");
        Ok(())
    }

    /// Files that an editor set aside and never replaced have their names back.
    fn take_back(&mut self, seen: &Seen) {
        let mut back = Vec::new();
        for (gist, name, _) in self.reference.named() {
            let (Some(shown), Some(before)) = (seen.get(&gist), self.last.get(&gist)) else {
                continue;
            };
            if shown.files.contains_key(&name) || !scratch::matches(&name) {
                continue;
            }
            let number = before.files.get(&name).map(|file| file.attr.ino);
            let is_it = |(_, file): &(&String, &SeenFile)| Some(file.attr.ino) == number;
            let real = shown.files.iter().find(is_it).map(|(real, _)| real);
            back.extend(real.map(|real| (gist.clone(), name.clone(), real.clone())));
        }
        for (gist, name, real) in back {
            let renamed =
                self.reference.rename((&gist, &name), (&gist, &real), RenameMode::Replace);
            assert_eq!(renamed, Ok(()));
        }
    }

    fn same_bytes(&self, what: &str, file: usize, bytes: &[u8]) -> Verdict {
        let body = self.reference.body(file);
        ensure!(
            body.unknown || body.live == bytes,
            "{what} holds {:?} instead of {:?}",
            String::from_utf8_lossy(bytes),
            String::from_utf8_lossy(&body.live)
        );
        Ok(())
    }

    /// The tree is just what the reference says.
    fn compare(&self, seen: &Seen) -> Verdict {
        let (gists, expected): (Vec<_>, Vec<_>) =
            (seen.keys().collect(), self.reference.gists.keys().collect());
        ensure!(gists == expected, "the gists are {gists:?} instead of {expected:?}");
        for (gist, files) in &self.reference.gists {
            let shown = &seen[gist].files;
            let (names, expected): (Vec<_>, Vec<_>) =
                (shown.keys().collect(), files.keys().collect());
            ensure!(names == expected, "{gist} holds {names:?} instead of {expected:?}");
            for (name, node) in files {
                let file = &shown[name];
                match node {
                    Node::Link(target) => {
                        let same = file.target.as_deref() == Some(target);
                        ensure!(same, "{gist}/{name} points to {:?}", file.target);
                    }
                    Node::File(number) => {
                        let size = self.reference.body(*number).live.len() as u64;
                        let is = file.attr.size;
                        ensure!(is == size, "{gist}/{name} has {is} bytes instead of {size}");
                        match &file.body {
                            None => {}
                            Some(Ok(bytes)) => {
                                self.same_bytes(&format!("{gist}/{name}"), *number, bytes)?;
                            }
                            Some(Err(_)) if self.is_lost(*number) => {}
                            Some(Err(error)) => {
                                return Err(format!("{gist}/{name} cannot be read: {error}"));
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether `merged` has every line of a text but those that somebody else may have changed.
    fn may_be_merged(&self, text: &[u8], merged: &[u8]) -> bool {
        let there: BTreeSet<&[u8]> = merged.split(|byte| *byte == b'\n').collect();
        let lines = text.split(|byte| *byte == b'\n');
        let text = |line| String::from_utf8_lossy(line);
        lines
            .into_iter()
            .all(|line| there.contains(line) || self.mount.github.ever_had_line(&text(line)))
    }

    /// Takes the tree as it is for right, once it is clear that no version was lost.
    fn adopt(&mut self, seen: Seen) -> Verdict {
        // Every file was read, and so closed.
        self.reference.may_record();
        let left = bodies(&seen);
        for (gist, name, file) in self.reference.named() {
            let body = self.reference.body(file);
            // What was never meant to be sent goes with its gist.
            let scratch = scratch::matches(&name) && !seen.contains_key(&gist);
            let kept = body.live.is_empty()
                || body.unknown
                || scratch
                || left.contains(&body.live)
                || left.iter().any(|merged| self.may_be_merged(&body.live, merged))
                || self.mount.github.ever_had(BlobId::of(&body.live));
            ensure!(
                kept,
                "what was in {gist}/{name} is lost: {:?}",
                String::from_utf8_lossy(&body.live)
            );
        }
        let open: BTreeMap<Ino, usize> =
            self.handles.iter().map(|(id, ino, _)| (*ino, self.reference.opened(*id))).collect();
        let mut gists = BTreeMap::new();
        for (title, gist) in &seen {
            let mut files = BTreeMap::new();
            for (name, file) in &gist.files {
                let node = match (&file.target, open.get(&file.attr.ino), &file.body) {
                    (Some(target), ..) => Node::Link(target.clone()),
                    (None, Some(number), Some(Ok(bytes))) => {
                        self.same_bytes("a file that is open", *number, bytes)?;
                        Node::File(*number)
                    }
                    (None, Some(number), _) => Node::File(*number),
                    (None, None, Some(Ok(bytes))) => self.reference.add(bytes.clone()),
                    (None, None, Some(Err(_))) if self.lossy => {
                        self.reference.add_unknown(file.attr.size)
                    }
                    (None, None, other) => {
                        return Err(format!("{title}/{name} cannot be read: {other:?}"));
                    }
                };
                files.insert(name.clone(), node);
            }
            gists.insert(title.clone(), files);
        }
        let named = |gists: &BTreeMap<String, BTreeMap<String, Node>>, file: usize| {
            gists.values().any(|files| files.values().any(|node| *node == Node::File(file)))
        };
        for (id, ..) in &self.handles {
            let file = self.reference.opened(*id);
            ensure!(
                !self.reference.writes(*id)
                    || !named(&self.reference.gists, file)
                    || named(&gists, file),
                "a file lost its name while it was being written"
            );
        }
        self.reference.gists = gists;
        self.compare(&seen)?;
        self.last = seen;
        Ok(())
    }

    /// Closes everything, lets everything be sent, and compares with GitHub.
    fn end(&mut self) -> Verdict {
        let ids: Vec<usize> = self.handles.iter().map(|(id, ..)| *id).collect();
        for id in ids {
            self.release(id)?;
        }
        let seen = self.mount.look(self.reads_all)?;
        self.compare(&seen)?;
        self.last = seen;
        self.mount.github.heal();
        if self.git && !self.mount.github.has_git() {
            self.step(&Step::Git(true))?;
        }
        for _ in 0..2 {
            self.act_and_follow(&Step::Pass(400))?;
            self.act_and_follow(&Step::Drain)?;
            self.act_and_follow(&Step::Refresh(true))?;
        }
        self.act_and_follow(&Step::Drain)?;
        let wrong = self.mount.github.complaints();
        ensure!(wrong.is_empty(), "GitHub complains: {wrong:?}");
        crate::outcome::same_as_github(&self.mount)?;
        crate::outcome::a_new_mount_shows(&self.mount)
    }

    fn act_and_follow(&mut self, step: &Step) -> Verdict {
        self.note_before();
        match self.act(step)? {
            Some(seen) => self.follow(seen),
            None => Ok(()),
        }
    }
}

/// A text with a line more in it, at the place picked.
fn with_line(text: &[u8], pick: u8, line: &[u8]) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    lines.insert(usize::from(pick) % (lines.len() + 1), line);
    lines.concat()
}

/// Whether both could be read and hold different bytes.
fn differ(a: &SeenFile, b: &SeenFile) -> bool {
    matches!((&a.body, &b.body), (Some(Ok(a)), Some(Ok(b))) if a != b)
}

/// Every body that can be read.
fn bodies(seen: &Seen) -> BTreeSet<Vec<u8>> {
    let files = seen.values().flat_map(|gist| gist.files.values());
    files.filter_map(|file| file.body.clone()?.ok()).collect()
}
