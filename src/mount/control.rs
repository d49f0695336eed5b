//! The door to a running mount: a socket in the runtime directory. One JSON line asks, one answers;
//! whoever wants to see how it goes gets lines `{"progress": …}` before the answer.

use std::cell::Cell;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Event;
use crate::exit::{Exit, Failure};
use crate::model::{BlobId, Time};
use crate::sync::hold::HeldDeletions;
use crate::sync::report::{Owing, Report, Waiting};
use crate::sync::trash::{TrashAsk, TrashReply};
use crate::sync::{Progress, Syncer};

/// The longest line either side sends.
const LONGEST_LINE: u64 = 16 << 20;

/// How long a mount waits for whoever asked to read what it says.
const LOOKS_AWAY: Duration = Duration::from_secs(1);

/// How long whoever asks waits for an answer that takes no time.
const PATIENCE: Duration = Duration::from_secs(5);

/// What can be asked of a running mount.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ask {
    /// How things stand.
    Status,
    /// Send what is owed, for at most so many seconds.
    Sync(f64),
    /// Send what is owed, for at most so many seconds, then unmount.
    Unmount(f64),
    /// Something of the trash.
    Trash(TrashAsk),
    /// [`Ask::Sync`], and tell how it goes.
    FollowSync(f64),
    /// [`Ask::Unmount`], and tell how it goes.
    FollowUnmount(f64),
    /// Leave what is not sent yet to the mount that asks, if this one is unmounted already.
    GiveWay,
}

/// What a running mount answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Reply {
    /// Why it was not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What is not on GitHub as it is here.
    #[serde(default)]
    pub left: Vec<Owing>,
    /// How things stand, where asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// What keeps changes from being sent now, if something does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// Deletions that wait, because many gists were removed at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<HeldDeletions>,
    /// What the trash says, where asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trash: Option<TrashReply>,
    /// Where it is mounted, where the trash was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mountpoint: Option<String>,
}

/// A line that is not the answer yet.
#[derive(Serialize, Deserialize)]
struct Told {
    progress: Progress,
}

/// Whether an account is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mounted {
    /// A mount answers.
    Yes,
    /// Nothing is mounted.
    No,
    /// Its process is gone, and the mount point is dead.
    Dead,
    /// It is mounted and does not answer here.
    Silent,
}

/// An account's state, mounted or not.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Where it is mounted, or was last.
    pub mountpoint: String,
    /// Whether it is.
    pub mounted: Mounted,
    /// On which host.
    pub host: String,
    /// Whose gists, or which: what the state's directory is called.
    pub account: String,
    /// Why nothing can be changed, if so.
    pub read_only: Option<String>,
    /// The process, if there is one.
    pub pid: Option<u32>,
    /// Where its state is.
    pub state: String,
    /// Everything else.
    #[serde(flatten)]
    pub report: Report,
}

impl Reply {
    /// What is left after sending, and why no more could go, if that was for want of time only.
    pub(super) fn left(left: Vec<Owing>, syncer: &Syncer) -> Self {
        let waits = left.iter().any(Owing::goes_by_itself);
        let (waiting, held) = (syncer.waiting(), syncer.held_deletions(Time::now()));
        Self { waiting: waiting.filter(|_| waits), held, left, ..Self::default() }
    }

    pub(super) fn ending() -> Self {
        Self::failed("the mount is ending already".into())
    }

    pub(super) fn failed(error: String) -> Self {
        Self { error: Some(error), ..Self::default() }
    }
}

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
        about: About,
        syncer: &Arc<Syncer>,
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
            about,
            syncer: Arc::clone(syncer),
            events: Mutex::new(events.clone()),
        };
        let door = Arc::new(door);
        let control = Self::at(path);
        std::thread::Builder::new()
            .name("gistfs-control".into())
            .spawn(move || {
                for stream in listener.incoming() {
                    let (Ok(stream), door) = (stream, Arc::clone(&door)) else { return };
                    let spawned = std::thread::Builder::new()
                        .name("gistfs-answer".into())
                        .spawn(move || door.serve(stream));
                    if let Err(error) = spawned {
                        log::warn!("cannot answer on the control socket: {error}");
                    }
                }
            })
            .map_err(|error| super::no_threads(&error))?;
        Ok(control)
    }
}

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

/// What is mounted, for whoever asks.
pub(super) struct About {
    /// On which host.
    pub(super) host: String,
    /// What the state is called.
    pub(super) account: String,
    /// Why nothing can be changed, if so.
    pub(super) read_only: Option<String>,
}

/// What the door's threads know.
struct Door {
    mountpoint: String,
    about: About,
    syncer: Arc<Syncer>,
    events: Mutex<Sender<Event>>,
}

impl Door {
    fn serve(&self, stream: UnixStream) {
        // Who does not read what was asked for holds up no mount, and no end of one.
        if let Err(error) = stream.set_write_timeout(Some(LOOKS_AWAY)) {
            log::debug!("whoever asks may keep us waiting: {error}");
        }
        let (ask, follows) = match read_line::<Ask>(&mut BufReader::new(&stream)) {
            Ok(Some(ask)) => {
                let follows = matches!(ask, Ask::FollowSync(_) | Ask::FollowUnmount(_));
                (ask, follows)
            }
            Ok(None) => return,
            Err(error) => {
                let asker = Asker { stream, follows: Cell::new(false) };
                return asker.hear(&Reply::failed(format!("that is no question: {error}")));
            }
        };
        let asker = Asker { stream, follows: Cell::new(follows) };
        match ask {
            Ask::Status => {
                asker.hear(&Reply { status: Some(self.status()), ..Reply::default() });
            }
            Ask::Sync(seconds) | Ask::FollowSync(seconds) => {
                let until = Time::now().after(bounded(seconds));
                self.syncer.let_deletions_go();
                let left =
                    self.syncer.drain_telling(until, false, &mut |progress| asker.see(progress));
                asker.hear(&Reply::left(left, &self.syncer));
            }
            Ask::GiveWay => {
                self.syncer.give_way();
                asker.hear(&Reply::default());
            }
            Ask::Unmount(seconds) | Ask::FollowUnmount(seconds) => {
                self.pass_on(Event::Unmount(bounded(seconds), asker));
            }
            Ask::Trash(ask) => asker.hear(&Reply {
                trash: Some(self.syncer.trash(&ask)),
                mountpoint: Some(self.mountpoint.clone()),
                ..Reply::default()
            }),
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

    fn status(&self) -> Status {
        Status {
            mountpoint: self.mountpoint.clone(),
            mounted: Mounted::Yes,
            host: self.about.host.clone(),
            account: self.about.account.clone(),
            read_only: self.about.read_only.clone(),
            pid: Some(std::process::id()),
            state: self.syncer.store().directory().to_string_lossy().into_owned(),
            report: self.syncer.report(),
        }
    }
}

fn bounded(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.clamp(0.0, 1e6)).unwrap_or_default()
}

/// Asks the mount at `mountpoint`; `None` if no gistfs listens for it. `see` hears how it goes.
pub fn ask(
    mountpoint: &Path,
    question: &Ask,
    see: &mut dyn FnMut(&Progress),
) -> std::io::Result<Option<Reply>> {
    ask_socket(&directory()?.join(socket_name(mountpoint)), question, see)
}

/// Asks every mount of this user. One that cannot be talked to answers with that error.
pub fn ask_all(question: &Ask, see: &mut dyn FnMut(&Progress)) -> std::io::Result<Vec<Reply>> {
    ask_all_in(&directory()?, question, see)
}

fn ask_all_in(
    directory: &Path,
    question: &Ask,
    see: &mut dyn FnMut(&Progress),
) -> std::io::Result<Vec<Reply>> {
    let mut replies = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "sock") {
            let reply = ask_socket(&path, question, see);
            replies.extend(reply.unwrap_or_else(|error| {
                let why = format!("cannot talk to the mount at {}: {error}", path.display());
                log::warn!("{why}");
                Some(Reply::failed(why))
            }));
        }
    }
    Ok(replies)
}

fn ask_socket(
    path: &Path,
    question: &Ask,
    see: &mut dyn FnMut(&Progress),
) -> std::io::Result<Option<Reply>> {
    use std::io::ErrorKind::{ConnectionRefused, NotFound};
    let stream = match UnixStream::connect(path) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), ConnectionRefused | NotFound) => return Ok(None),
        Err(error) => return Err(error),
    };
    match question {
        Ask::Status | Ask::GiveWay => stream.set_read_timeout(Some(PATIENCE))?,
        Ask::Sync(_)
        | Ask::FollowSync(_)
        | Ask::Unmount(_)
        | Ask::FollowUnmount(_)
        | Ask::Trash(_) => {}
    }
    write_line(&stream, question)?;
    let mut reader = BufReader::new(&stream);
    let reply = loop {
        match read_line::<Answer>(&mut reader)? {
            Some(Answer::Told(told)) => see(&told.progress),
            Some(Answer::Reply(reply)) => break Some(*reply),
            None => break None,
        }
    };
    if matches!(question, Ask::Unmount(_) | Ask::FollowUnmount(_)) {
        // A broken connection is an end as well.
        drop(std::io::copy(&mut reader, &mut std::io::sink()));
    }
    Ok(reply)
}

/// A line of an answer.
#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Told(Told),
    Reply(Box<Reply>),
}

fn write_line<T: Serialize>(mut stream: &UnixStream, value: &T) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line)
}

/// The next line the other side said; `None` if it went away.
fn read_line<T: for<'a> Deserialize<'a>>(
    reader: &mut BufReader<&UnixStream>,
) -> std::io::Result<Option<T>> {
    let mut line = String::new();
    std::io::Read::take(reader, LONGEST_LINE).read_line(&mut line)?;
    if line.is_empty() { Ok(None) } else { Ok(Some(serde_json::from_str(&line)?)) }
}

/// One socket a mount point, with a name short enough for a socket's path.
fn socket_name(mountpoint: &Path) -> String {
    let point = mountpoint.canonicalize().unwrap_or_else(|_| mountpoint.to_owned());
    let id = BlobId::of(point.as_os_str().as_encoded_bytes()).to_string();
    format!("{}.sock", &id[..16])
}

/// The longest runtime directory that leaves room for a socket's name: the system allows a
/// socket's path 107 bytes.
const LONGEST_RUNTIME: usize = 75;

/// `$XDG_RUNTIME_DIR/gistfs` or, without a usable one, a directory of the user's own in `/tmp`.
fn directory() -> std::io::Result<PathBuf> {
    let uid = nix::unistd::geteuid().as_raw();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR")
        .filter(|dir| !dir.is_empty() && dir.len() <= LONGEST_RUNTIME);
    let path = runtime
        .map(|base| PathBuf::from(base).join("gistfs"))
        .unwrap_or_else(|| PathBuf::from(format!("/tmp/gistfs-{uid}")));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
    let data = std::fs::symlink_metadata(&path)?;
    // In /tmp anybody may have been faster.
    if !data.is_dir() || data.uid() != uid || data.mode() & 0o077 != 0 {
        return Err(std::io::Error::other(format!("{} is not ours alone", path.display())));
    }
    Ok(path)
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

    #[test]
    fn of_several_mounts_a_silent_one_is_given_up_and_the_others_are_heard() {
        let directory = tempfile::tempdir().unwrap();
        let bind = |name| UnixListener::bind(directory.path().join(name)).unwrap();
        let (_silent, good) = (bind("a.sock"), bind("b.sock"));
        drop(bind("dead.sock"));
        let answers = std::thread::spawn(move || {
            let (stream, _) = good.accept().unwrap();
            let asked = read_line::<Ask>(&mut BufReader::new(&stream)).unwrap();
            assert!(matches!(asked, Some(Ask::Status)));
            let mountpoint = Some("/mnt".to_owned());
            write_line(&stream, &Reply { mountpoint, ..Reply::default() }).unwrap();
        });
        let began = std::time::Instant::now();
        let mut heard = ask_all_in(directory.path(), &Ask::Status, &mut |_| {}).unwrap();
        assert!(began.elapsed() < PATIENCE * 2);
        answers.join().unwrap();
        heard.sort_by_key(|reply| reply.error.is_some());
        assert_eq!((heard.len(), heard[0].mountpoint.as_deref()), (2, Some("/mnt")));
        assert!(heard[1].error.as_ref().is_some_and(|why| why.contains("a.sock")), "{heard:?}");
    }
}
