//! The door to a running mount: a socket in the runtime directory, one JSON line each way.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Event;
use super::account::Account;
use crate::exit::{Exit, Failure};
use crate::model::{BlobId, Time};
use crate::sync::Syncer;
use crate::sync::report::{Owing, Report};

/// The longest line either side sends.
const LONGEST_LINE: u64 = 16 << 20;

/// What can be asked of a running mount.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ask {
    /// How things stand.
    Status,
    /// Send what is owed, for at most so many seconds.
    Sync(f64),
    /// Send what is owed, for at most so many seconds, then unmount.
    Unmount(f64),
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
}

/// A mount's state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Where it is mounted.
    pub mountpoint: String,
    /// Whose gists.
    pub account: String,
    /// The process.
    pub pid: u32,
    /// Everything else.
    #[serde(flatten)]
    pub report: Report,
}

impl Reply {
    pub(super) fn left(left: Vec<Owing>) -> Self {
        Self { left, ..Self::default() }
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
}

impl Drop for Control {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            log::debug!("{}: {error}", self.path.display());
        }
    }
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
        account: &Account,
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
            account: account.login.clone(),
            syncer: Arc::clone(syncer),
            events: Mutex::new(events.clone()),
        };
        let door = Arc::new(door);
        let control = Self { path };
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
pub(crate) struct Asker(UnixStream);

impl Asker {
    pub(super) fn hear(&self, reply: &Reply) {
        if let Err(error) = write_line(&self.0, reply) {
            log::debug!("whoever asked did not wait for the answer: {error}");
        }
    }

    /// Keeps the connection open until this process has ended. Whoever unmounts waits for that:
    /// then the state is free for the next mount.
    pub(super) fn wait_for_our_end(self) {
        std::mem::forget(self.0);
    }
}

/// What the door's threads know.
struct Door {
    mountpoint: String,
    account: String,
    syncer: Arc<Syncer>,
    events: Mutex<Sender<Event>>,
}

impl Door {
    fn serve(&self, stream: UnixStream) {
        let reply = match read_line::<Ask>(&stream) {
            Ok(Some(Ask::Status)) => Reply { status: Some(self.status()), ..Reply::default() },
            Ok(Some(Ask::Sync(seconds))) => {
                let until = Time::now().after(bounded(seconds));
                Reply::left(self.syncer.drain(until, false))
            }
            Ok(Some(Ask::Unmount(seconds))) => {
                return self.pass_on(Event::Unmount(bounded(seconds), Asker(stream)));
            }
            Ok(None) => return,
            Err(error) => Reply::failed(format!("that is no question: {error}")),
        };
        Asker(stream).hear(&reply);
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
            account: self.account.clone(),
            pid: std::process::id(),
            report: self.syncer.report(),
        }
    }
}

fn bounded(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.clamp(0.0, 1e6)).unwrap_or_default()
}

/// Asks the mount at `mountpoint`; `None` if no gistfs listens for it.
pub fn ask(mountpoint: &Path, question: Ask) -> std::io::Result<Option<Reply>> {
    ask_socket(&directory()?.join(socket_name(mountpoint)), question)
}

/// Asks every mount of this user how it stands.
pub fn ask_all(question: Ask) -> std::io::Result<Vec<Reply>> {
    let mut replies = Vec::new();
    for entry in std::fs::read_dir(directory()?)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "sock") {
            replies.extend(ask_socket(&path, question)?);
        }
    }
    Ok(replies)
}

fn ask_socket(path: &Path, question: Ask) -> std::io::Result<Option<Reply>> {
    use std::io::ErrorKind::{ConnectionRefused, NotFound};
    let stream = match UnixStream::connect(path) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), ConnectionRefused | NotFound) => return Ok(None),
        Err(error) => return Err(error),
    };
    write_line(&stream, &question)?;
    let reply = read_line(&stream)?;
    if matches!(question, Ask::Unmount(_)) {
        // A broken connection is an end as well.
        drop(std::io::copy(&mut &stream, &mut std::io::sink()));
    }
    Ok(reply)
}

fn write_line<T: Serialize>(mut stream: &UnixStream, value: &T) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line)
}

/// What the other side said; `None` if it went away without a word.
fn read_line<T: for<'a> Deserialize<'a>>(stream: &UnixStream) -> std::io::Result<Option<T>> {
    let mut line = String::new();
    BufReader::new(std::io::Read::take(stream, LONGEST_LINE)).read_line(&mut line)?;
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
