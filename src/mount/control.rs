//! The door to a running mount: a socket in the runtime directory. One JSON line asks, one answers;
//! whoever wants to see how it goes gets lines `{"progress": …}` before the answer.

use std::cell::Cell;
use std::io::{BufReader, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use self::asks::Told;
pub use self::asks::{Ask, GistAsk, GistReply, Reply};
pub use self::client::{ask, ask_all};
use self::client::{directory, read_line, socket_name, write_line};
use super::{Event, point};
use crate::exit::{Exit, Failure};
use crate::fs::GistFs;
use crate::model::Time;
use crate::sync::{Progress, Syncer};

mod asks;
mod client;
mod errands;

/// How long whoever comes may take to ask.
const HESITATES: Duration = Duration::from_secs(5);

/// So many are answered at one time. Each takes a thread and a descriptor.
const ASKERS: usize = 64;

/// How soon the door is tried again when nobody can be let in, as without a free descriptor.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a mount waits for whoever asked to read what it says.
const LOOKS_AWAY: Duration = Duration::from_secs(1);

/// The open door; closed and removed when dropped.
pub struct Control {
    path: PathBuf,
    /// Tells our socket from that of the next mount, which may have taken its place.
    number: Option<(u64, u64)>,
}

impl Control {
    /// The door whose socket is at `path` now.
    fn at(path: PathBuf) -> Self {
        let number = number_of(&path);
        Self { path, number }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        if self.number.is_none() || number_of(&self.path) != self.number {
            return;
        }
        if let Err(error) = std::fs::remove_file(&self.path) {
            log::debug!("{}: {error}", self.path.display());
        }
    }
}

/// The device and the number of a file on it.
fn number_of(path: &Path) -> Option<(u64, u64)> {
    let data = std::fs::symlink_metadata(path).ok()?;
    Some((data.dev(), data.ino()))
}

/// Where the door of a mount will be.
pub(super) struct Socket {
    mountpoint: String,
    path: PathBuf,
}

impl Socket {
    /// Makes room for the door of the mount on `mountpoint`, which is looked at: to be done before
    /// it is mounted on.
    pub(super) fn of(mountpoint: &Path) -> Result<Self, Failure> {
        let path = directory().map(|directory| directory.join(socket_name(mountpoint)));
        let path = path.map_err(|error| unusable(Path::new("the runtime directory"), &error))?;
        Ok(Self { mountpoint: mountpoint.to_string_lossy().into_owned(), path })
    }
}

fn unusable(what: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        Exit::State,
        format!("cannot use {}: {error}", what.display()),
        "set XDG_RUNTIME_DIR to a directory of your own",
    )
}

impl Control {
    pub(super) fn start(
        socket: Socket,
        fs: &Arc<GistFs>,
        events: &Sender<Event>,
    ) -> Result<Self, Failure> {
        let Socket { mountpoint, path } = socket;
        if path.exists() {
            // Left by a process that was killed: the mount point was free, so nobody listens.
            std::fs::remove_file(&path).map_err(|error| unusable(&path, &error))?;
        }
        let listener = UnixListener::bind(&path).map_err(|error| unusable(&path, &error))?;
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&path, private).map_err(|error| unusable(&path, &error))?;
        let door = Door {
            mountpoint,
            syncer: Arc::clone(fs.syncer()),
            fs: Arc::clone(fs),
            events: Mutex::new(events.clone()),
        };
        let door = Arc::new(door);
        let control = Self::at(path);
        std::thread::Builder::new()
            .name("gistfs-control".into())
            .spawn(move || door.stand_open(&listener))
            .map_err(|error| super::no_threads(&error))?;
        Ok(control)
    }
}

/// A look at whether somebody is still there takes no longer.
const GLANCE: Duration = Duration::from_millis(1);

/// Whoever asked, and waits for the answer.
pub(crate) struct Asker {
    stream: UnixStream,
    /// Wants to see how it goes, and still reads.
    follows: Cell<bool>,
}

impl Asker {
    pub(super) fn hear(&self, reply: &Reply) {
        if let Err(error) = write_line(&self.stream, reply) {
            log::debug!("whoever asked did not wait for the answer: {error}");
        }
    }

    /// Whether whoever asked is still there: after the question nothing comes but the end.
    fn waits(&self) -> bool {
        let look = || {
            self.stream.set_read_timeout(Some(GLANCE))?;
            (&self.stream).read(&mut [0])
        };
        match look() {
            Ok(read) => read > 0,
            Err(error) => error.kind() != std::io::ErrorKind::ConnectionReset,
        }
    }

    pub(super) fn see(&self, progress: &Progress) {
        if self.follows.get()
            && let Err(error) = write_line(&self.stream, &Told { progress: progress.clone() })
        {
            log::debug!("whoever asked looks away: {error}");
            self.follows.set(false);
        }
    }

    /// Keeps the connection open until this process has ended. Whoever unmounts waits for that:
    /// then the state is free for the next mount.
    pub(super) fn wait_for_our_end(self) {
        std::mem::forget(self.stream);
    }
}

/// What the door's threads know.
struct Door {
    mountpoint: String,
    fs: Arc<GistFs>,
    syncer: Arc<Syncer>,
    events: Mutex<Sender<Event>>,
}

impl Door {
    /// Lets in whoever comes, for as long as the process lives.
    fn stand_open(self: &Arc<Self>, listener: &UnixListener) {
        let mut closed = false;
        for stream in listener.incoming() {
            match stream {
                Ok(stream) => self.let_in(stream),
                Err(error) => {
                    if !closed {
                        log::warn!("nobody can ask on the control socket for now: {error}");
                    }
                    closed = true;
                    std::thread::sleep(PAUSE);
                    continue;
                }
            }
            closed = false;
        }
    }

    fn let_in(self: &Arc<Self>, stream: UnixStream) {
        // The one who lets in has a share of the door, and so has each who answers.
        if Arc::strong_count(self) > ASKERS {
            let asker = Asker { stream, follows: Cell::new(false) };
            return asker.hear(&Reply::failed("too many ask this mount at one time".into()));
        }
        let door = Arc::clone(self);
        let spawned = std::thread::Builder::new()
            .name("gistfs-answer".into())
            .spawn(move || door.serve(stream));
        if let Err(error) = spawned {
            log::warn!("cannot answer on the control socket: {error}");
        }
    }

    fn serve(&self, stream: UnixStream) {
        // Who does not ask, or not read what was asked for, holds up no mount, and no end of one.
        let patience = stream.set_read_timeout(Some(HESITATES));
        if let Err(error) = patience.and_then(|()| stream.set_write_timeout(Some(LOOKS_AWAY))) {
            log::debug!("whoever asks may keep us waiting: {error}");
        }
        let (ask, follows) = match read_line::<Ask>(&mut BufReader::new(&stream)) {
            Ok(Some(ask)) => {
                let follows =
                    matches!(ask, Ask::FollowSync(_) | Ask::FollowUnmount(_) | Ask::Prefetch(_));
                (ask, follows)
            }
            Ok(None) => return,
            Err(error) => {
                let asker = Asker { stream, follows: Cell::new(false) };
                let silent = error.kind() == std::io::ErrorKind::WouldBlock;
                let why = if silent {
                    format!("no question came within {HESITATES:?}")
                } else {
                    format!("that is no question: {error}")
                };
                return asker.hear(&Reply::failed(why));
            }
        };
        let asker = Asker { stream, follows: Cell::new(follows) };
        match ask {
            Ask::Status => {
                asker.hear(&Reply { status: Some(self.fs.status()), ..Reply::default() });
            }
            Ask::Sync(seconds) | Ask::FollowSync(seconds) => {
                let until = Time::now().after(bounded(seconds));
                self.syncer.let_deletions_go();
                let left =
                    self.syncer.drain_telling(until, false, &mut |progress| asker.see(progress));
                asker.hear(&Reply::left(left, &self.fs));
            }
            Ask::GiveWay => {
                // Whoever still reads what happens keeps the mount alive that nobody sees any more.
                if !point::mounts().iter().any(|point| point == Path::new(&self.mountpoint)) {
                    self.syncer.end_events();
                }
                self.syncer.give_way();
                asker.hear(&Reply::default());
            }
            Ask::Unmount(seconds) | Ask::FollowUnmount(seconds) => {
                self.pass_on(Event::Unmount(bounded(seconds), asker));
            }
            Ask::Prefetch(paths) => asker.hear(&self.prefetch(&paths, &asker)),
            Ask::Gist(ask) => asker.hear(&errands::run(&self.fs, &ask, &|| asker.waits())),
            Ask::Trash(ask) => asker.hear(&Reply {
                trash: Some(self.syncer.trash(&ask)),
                mountpoint: Some(self.mountpoint.clone()),
                ..Reply::default()
            }),
        }
    }

    fn prefetch(&self, paths: &[String], asker: &Asker) -> Reply {
        match self.fs.files_at(paths) {
            Ok(wanted) => {
                let see = &mut |progress: &Progress| asker.see(progress);
                let prefetched = self.syncer.prefetch(&wanted, &|| asker.waits(), see);
                Reply { prefetched: Some(prefetched), ..Reply::default() }
            }
            Err(path) => {
                let text = format!("no gist or file of this mount is at {path:?}");
                let hint = "name the mount, a gist's directory, or a file in one";
                let failure = Failure::new(Exit::Usage, text, hint);
                Reply { failure: Some(failure), ..Reply::default() }
            }
        }
    }

    /// The mount's own thread answers: it is the one that knows when the process may end.
    fn pass_on(&self, event: Event) {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Err(unsent) = events.send(event)
            && let Event::Unmount(_, asker) = unsent.0
        {
            asker.hear(&Reply::ending());
        }
    }
}

fn bounded(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.clamp(0.0, 1e6)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_mount_removes_its_own_socket_and_not_the_next_ones() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.sock");
        let _first = UnixListener::bind(&path).unwrap();
        drop(Control::at(path.clone()));
        assert!(!path.exists());
        let _first = UnixListener::bind(&path).unwrap();
        let ending = Control::at(path.clone());
        std::fs::remove_file(&path).unwrap();
        let _second = UnixListener::bind(&path).unwrap();
        drop(ending);
        assert!(path.exists());
    }

    #[test]
    fn who_asked_and_went_away_waits_no_longer() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let asker = Asker { stream: ours, follows: Cell::new(false) };
        assert!(asker.waits());
        drop(theirs);
        assert!(!asker.waits());
    }

    #[test]
    fn who_asks_and_does_not_read_is_told_nothing_more() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_write_timeout(Some(Duration::from_millis(10))).unwrap();
        let asker = Asker { stream: ours, follows: Cell::new(true) };
        let progress = Progress { title: Some("x".repeat(100_000)), ..Progress::default() };
        let mut told = 0;
        while asker.follows.get() {
            asker.see(&progress);
            told += 1;
            assert!(told < 1000, "it never looks away");
        }
        drop(theirs);
    }
}
