//! The file system under test, without a kernel: opened over a state directory, driven by names.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gistfs::error::Error;
use gistfs::fs::{
    Attr, Fh, GistFs, Kind, NewNode, OpenMode, Options, RenameMode, SetAttr, Stale, Wait,
};
use gistfs::store::Store;
use gistfs::sync::{self, Syncer, Watcher};
use gistfs::tree::Ino;
use tempfile::TempDir;

use crate::github::{Clock, FakeGitHub};

/// For reading only.
pub(crate) const READ: OpenMode = OpenMode { reads: true, writes: false };
/// For reading and writing.
pub(crate) const WRITE: OpenMode = OpenMode { reads: true, writes: true };

const MAKER: NewNode = NewNode { mode: 0o600, uid: 1000, gid: 1000 };

/// A file as the tree shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeenFile {
    /// What `stat` says.
    pub(crate) attr: Attr,
    /// What reading says, where it was read, or why it could not be.
    pub(crate) body: Option<Result<Vec<u8>, String>>,
    /// Where it points, for a link.
    pub(crate) target: Option<String>,
}

/// A gist as the tree shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeenGist {
    /// The directory's number.
    pub(crate) ino: Ino,
    /// What `stat` says of it.
    pub(crate) attr: Attr,
    /// Its entries.
    pub(crate) files: BTreeMap<String, SeenFile>,
}

/// The whole tree.
pub(crate) type Seen = BTreeMap<String, SeenGist>;

/// A mount and what it talks to.
pub(crate) struct Mount {
    /// GitHub.
    pub(crate) github: Arc<FakeGitHub>,
    /// Everybody's clock.
    pub(crate) clock: Clock,
    state: TempDir,
    /// The least time between two changes.
    interval: Option<Duration>,
    fs: Option<Arc<GistFs>>,
    stale: Arc<Mutex<Vec<Stale>>>,
}

/// A state directory, in memory where there is such a place: the tests make thousands.
fn new_state() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a temporary directory")
}

fn open(
    state: &Path,
    github: &Arc<FakeGitHub>,
    clock: &Clock,
    interval: Option<Duration>,
    stale: &Arc<Mutex<Vec<Stale>>>,
) -> Arc<GistFs> {
    let store = Store::open(state, "/mnt", 1 << 20).expect("the state opens");
    let options = sync::Options { write_interval: interval, ..Default::default() };
    let (now, sleeper) = (clock.clone(), clock.clone());
    let syncer = Syncer::new(Arc::new(store), Arc::clone(github) as _, options)
        .with_clock(Arc::new(move || now.now()))
        .with_sleep(Arc::new(move |time| sleeper.pass(time)));
    let options = Options {
        uid: 1000,
        gid: 1000,
        umask: 0,
        read_only: None,
        through: false,
        public: false,
        login: None,
        names_by_id: false,
        of_one: false,
        largest: 100 << 20,
        xattr: false,
        show_hidden: false,
    };
    let now = clock.clone();
    let fs = GistFs::new(Arc::new(syncer), options, Arc::new(move || now.now()));
    let heard = Arc::clone(stale);
    fs.on_stale(Box::new(move |stale| {
        heard.lock().unwrap_or_else(PoisonError::into_inner).push(stale);
    }));
    fs
}

impl Mount {
    /// A first mount, before any list was read.
    pub(crate) fn new(github: &Arc<FakeGitHub>, clock: &Clock) -> Self {
        Self::with_interval(github, clock, Some(Duration::ZERO))
    }

    /// A mount that keeps GitHub's pace, as soon as GitHub says that it has limits.
    pub(crate) fn paced(interval: Option<Duration>) -> Self {
        let clock = Clock::new();
        Self::with_interval(&FakeGitHub::new(&clock, 100), &clock, interval)
    }

    fn with_interval(github: &Arc<FakeGitHub>, clock: &Clock, interval: Option<Duration>) -> Self {
        let state = new_state();
        let stale = Arc::default();
        let fs = open(state.path(), github, clock, interval, &stale);
        let (github, clock) = (Arc::clone(github), clock.clone());
        Self { github, clock, state, interval, fs: Some(fs), stale }
    }

    /// A mount, its clock and its GitHub, all new and empty.
    pub(crate) fn alone() -> Self {
        let clock = Clock::new();
        Self::new(&FakeGitHub::new(&clock, 3), &clock)
    }

    /// The file system.
    pub(crate) fn fs(&self) -> &Arc<GistFs> {
        self.fs.as_ref().expect("it is open but for the moment of a remount")
    }

    /// Ends the process without a word, as SIGKILL does, and starts it again.
    ///
    /// The new one opens a copy of the state taken while the old one was alive: nothing that
    /// closing a database or dropping a file does can help.
    pub(crate) fn kill_and_remount(&mut self) {
        let copy = new_state();
        copy_state(self.state.path(), copy.path()).expect("the state can be copied");
        self.fs = None;
        self.state = copy;
        self.stale = Arc::default();
        self.fs =
            Some(open(self.state.path(), &self.github, &self.clock, self.interval, &self.stale));
    }

    /// What the kernel was told to forget since the last call.
    pub(crate) fn take_stale(&self) -> Vec<Stale> {
        std::mem::take(&mut *self.stale.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets time pass and does what is due then.
    pub(crate) fn pass(&self, time: Duration) {
        self.clock.pass(time);
        self.fs().tick(self.clock.now());
        self.fs().syncer().send_what_is_due(self.clock.now());
    }

    /// Long enough for everything that was written to be sent.
    pub(crate) fn settle(&self) {
        self.pass(Duration::from_secs(6));
        self.pass(Duration::from_secs(6));
    }

    /// Reads the whole list.
    pub(crate) fn refresh(&self) {
        self.fs().syncer().refresh_all(self.clock.now()).expect("the list can be read");
    }

    /// The number of a gist's directory. The kernel forgets it at once.
    pub(crate) fn dir(&self, gist: &str) -> Result<Ino, Error> {
        self.attr(Ino::ROOT, gist).map(|attr| attr.ino)
    }

    /// What a name stands for. The kernel forgets it at once.
    pub(crate) fn attr(&self, directory: Ino, name: &str) -> Result<Attr, Error> {
        let attr = self.fs().lookup(directory, OsStr::new(name), Wait::No)?;
        let attr = attr.ok_or(Error::NotFound)?;
        self.fs().forget(attr.ino, 1);
        Ok(attr)
    }

    /// What a path stands for. The kernel forgets it at once.
    pub(crate) fn stat(&self, gist: &str, name: &str) -> Result<Attr, Error> {
        self.attr(self.dir(gist)?, name)
    }

    pub(crate) fn mkdir(&self, title: &str) -> Result<(), Error> {
        let attr = self.fs().mkdir(Ino::ROOT, OsStr::new(title), MAKER)?;
        self.fs().forget(attr.ino, 1);
        Ok(())
    }

    /// Makes a file and opens it; the number is the kernel's until [`Mount::close`].
    pub(crate) fn create(&self, gist: &str, name: &str) -> Result<(Ino, Fh), Error> {
        let (attr, fh) = self.fs().create(self.dir(gist)?, OsStr::new(name), MAKER, WRITE)?;
        Ok((attr.ino, fh))
    }

    /// Opens a file; the number is the kernel's until [`Mount::close`].
    pub(crate) fn open(&self, gist: &str, name: &str, mode: OpenMode) -> Result<(Ino, Fh), Error> {
        let attr = self.fs().lookup(self.dir(gist)?, OsStr::new(name), Wait::No)?;
        let attr = attr.ok_or(Error::NotFound)?;
        match self.fs().open(attr.ino, mode) {
            Ok(fh) => Ok((attr.ino, fh)),
            Err(error) => {
                self.fs().forget(attr.ino, 1);
                Err(error)
            }
        }
    }

    pub(crate) fn write(&self, fh: Fh, offset: u64, data: &[u8]) -> Result<(), Error> {
        let written = self.fs().write(fh, offset, data, Wait::Yes)?;
        assert_eq!(written as usize, data.len(), "a short write");
        Ok(())
    }

    pub(crate) fn close(&self, (ino, fh): (Ino, Fh)) -> Result<(), Error> {
        let flushed = self.fs().flush(fh, Wait::Yes);
        let released = self.fs().release(fh, Wait::No);
        self.fs().forget(ino, 1);
        flushed.and(released)
    }

    /// All bytes behind a handle.
    pub(crate) fn read(&self, fh: Fh) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        loop {
            // Small, so that every file takes several.
            let piece = self.fs().read(fh, bytes.len() as u64, 1000, Wait::Yes)?;
            if piece.is_empty() {
                return Ok(bytes);
            }
            bytes.extend_from_slice(&piece);
        }
    }

    /// `cat`.
    pub(crate) fn cat(&self, gist: &str, name: &str) -> Result<Vec<u8>, Error> {
        let file = self.open(gist, name, READ)?;
        let read = self.read(file.1);
        self.close(file)?;
        read
    }

    /// `cat` of text that must be there.
    pub(crate) fn text(&self, gist: &str, name: &str) -> String {
        String::from_utf8(self.cat(gist, name).expect("a readable file")).expect("text")
    }

    /// What a shell's `> name` does: opens, cuts or makes, writes, closes.
    pub(crate) fn save(&self, gist: &str, name: &str, body: &[u8]) -> Result<(), Error> {
        let file = match self.open(gist, name, WRITE) {
            Ok(file) => {
                let cut = SetAttr { size: Some(0), ..SetAttr::default() };
                self.fs().setattr(file.0, &cut, None, Wait::Yes)?;
                file
            }
            Err(Error::NotFound) => self.create(gist, name)?,
            Err(error) => return Err(error),
        };
        // bash moves the descriptor and closes the first before it writes.
        self.fs().flush(file.1, Wait::Yes)?;
        let written = self.write(file.1, 0, body);
        self.close(file)?;
        written
    }

    pub(crate) fn unlink(&self, gist: &str, name: &str) -> Result<(), Error> {
        self.fs().unlink(self.dir(gist)?, OsStr::new(name), Wait::Yes)
    }

    pub(crate) fn rmdir(&self, gist: &str) -> Result<(), Error> {
        self.fs().rmdir(Ino::ROOT, OsStr::new(gist), Wait::Yes)
    }

    pub(crate) fn rename_gist(&self, from: &str, to: &str, mode: RenameMode) -> Result<(), Error> {
        let (from, to) = (OsStr::new(from), OsStr::new(to));
        self.fs().rename(Ino::ROOT, from, Ino::ROOT, to, mode, Wait::Yes)
    }

    pub(crate) fn rename(
        &self,
        from: (&str, &str),
        to: (&str, &str),
        mode: RenameMode,
    ) -> Result<(), Error> {
        let (old, new) = (self.dir(from.0)?, self.dir(to.0)?);
        self.fs().rename(old, OsStr::new(from.1), new, OsStr::new(to.1), mode, Wait::Yes)
    }

    /// `mv -f`.
    pub(crate) fn mv(&self, from: (&str, &str), to: (&str, &str)) {
        self.rename(from, to, RenameMode::Replace).expect("it can be renamed");
    }

    pub(crate) fn symlink(&self, gist: &str, name: &str, target: &str) -> Result<(), Error> {
        let directory = self.dir(gist)?;
        let made = self.fs().symlink(directory, OsStr::new(name), Path::new(target), MAKER)?;
        self.fs().forget(made.ino, 1);
        Ok(())
    }

    fn names(&self, directory: Ino, plus: bool) -> Result<Vec<(String, Ino, Option<Attr>)>, Error> {
        let mut listed = Vec::new();
        let mut after = 0;
        loop {
            let mut got = 0;
            // Two at a time, as a kernel with a tiny buffer would.
            self.fs().readdir(directory, after, plus, Wait::No, |entry| {
                if got == 2 {
                    return true;
                }
                got += 1;
                after = entry.cookie;
                listed.push((entry.name.to_owned(), entry.ino, entry.attr));
                false
            })?;
            if got == 0 {
                break;
            }
        }
        listed.retain(|(name, ino, _)| {
            let dot = name == "." || name == "..";
            if plus && !dot {
                self.fs().forget(*ino, 1);
            }
            !dot
        });
        Ok(listed)
    }

    /// The whole tree, looked at in every way there is, which must all agree; bytes only where
    /// `read` asks for them.
    pub(crate) fn look(&self, read: bool) -> Result<Seen, String> {
        let mut seen = Seen::new();
        let words = |error: Error| error.to_string();
        for (gist, ino, attr) in self.names(Ino::ROOT, true).map_err(words)? {
            let (got, found) =
                (self.fs().getattr(ino, Wait::No).ok(), self.attr(Ino::ROOT, &gist).ok());
            let Some(attr) = attr.filter(|attr| Some(attr) == got.as_ref() && attr.ino == ino)
            else {
                return Err(format!("{gist}: listed {attr:?}, stat {got:?}"));
            };
            if found != Some(attr) {
                return Err(format!("{gist}: listed {attr:?}, found {found:?}"));
            }
            let mut files = BTreeMap::new();
            for (name, file, _) in self.names(ino, false).map_err(words)? {
                let file = self.look_at(&gist, ino, &name, file, read)?;
                if files.insert(name.clone(), file).is_some() {
                    return Err(format!("{gist}/{name} is listed twice"));
                }
            }
            if seen.insert(gist.clone(), SeenGist { ino, attr, files }).is_some() {
                return Err(format!("{gist} is listed twice"));
            }
        }
        let links = self.fs().getattr(Ino::ROOT, Wait::No).map_err(words)?.nlink as usize;
        if links == 2 + seen.len() { Ok(seen) } else { Err(format!("the root has {links} links")) }
    }

    fn look_at(
        &self,
        gist: &str,
        parent: Ino,
        name: &str,
        file: Ino,
        read: bool,
    ) -> Result<SeenFile, String> {
        let words = |error: Error| format!("{gist}/{name}: {error}");
        let attr = self.fs().getattr(file, Wait::No).map_err(words)?;
        let found = self.attr(parent, name).map_err(words)?;
        if attr != found {
            return Err(format!("{gist}/{name}: stat {attr:?}, found {found:?}"));
        }
        let link = attr.kind == Kind::Link;
        let target = if link { Some(self.fs().readlink(file).map_err(words)?) } else { None };
        let body = (read && !link).then(|| self.cat(gist, name).map_err(|error| error.to_string()));
        if let Some(Ok(body)) = &body
            && body.len() as u64 != attr.size
        {
            return Err(format!("{gist}/{name}: {} bytes read of {}", body.len(), attr.size));
        }
        Ok(SeenFile { attr, body, target })
    }
}

/// Bodies never change, so a second name is as good as a copy and costs less.
fn copy_state(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            std::fs::create_dir_all(&target)?;
            copy_state(&entry.path(), &target)?;
        } else if from.file_name().is_some_and(|name| name.len() == 2) {
            std::fs::hard_link(entry.path(), target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
