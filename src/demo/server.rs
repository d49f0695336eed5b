//! The running server, and the back door to its gists for tests and for other "machines".

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::oneshot;

use super::faults::{Fault, Faults};
use super::front::{self, Door};
use super::gist::Gist;
use super::hook;
use super::journal::Journal;
use super::limits::Meter;
use super::options::ServerOptions;
use super::record::Record;
use super::repository;
use super::requests::{LoggedRequest, RequestLog};
use super::site::Site;
use super::store::{Body, NewGist, Next, Store, locked};
use super::switches::Switches;
use crate::model::Time;

/// A Gist API with its raw bodies and git repositories on 127.0.0.1, on threads of its own.
///
/// Dropping it closes all connections, frees the ports and removes a temporary data directory.
pub struct Server {
    pub(super) site: Arc<Site>,
    addresses: [SocketAddr; 2],
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    directory: PathBuf,
    /// Two servers in one directory would each overwrite what the other one wrote.
    lock: File,
    /// Removed when the threads have ended.
    _temporary: Option<TempDir>,
}

/// A gist for [`Server::seed`]. No rule of the API applies to it: blank bodies, bytes that are
/// not text and names that `POST` refuses are all possible.
#[derive(Clone, Debug, Default)]
pub struct Seed {
    /// The description; `None` is shown as `null`.
    pub description: Option<String>,
    /// Listed for everybody, or secret.
    pub public: bool,
    /// The files by name.
    pub files: Vec<(String, Vec<u8>)>,
    /// When it was made; `None` is now.
    pub created_at: Option<Time>,
    /// Nobody's: the answer has no `owner`, and the login given does not matter.
    pub anonymous: bool,
}

impl Seed {
    /// A secret gist with this description and these files.
    pub fn new(description: &str, files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|&(name, text)| (name.to_owned(), text.into())).collect();
        Self { description: Some(description.to_owned()), files, ..Self::default() }
    }
}

impl Server {
    /// Starts a server; it answers when this returns.
    ///
    /// # Errors
    ///
    /// A port is taken, the record or the journal cannot be written, or the data directory cannot be made or
    /// read or has a server already.
    pub fn start(options: ServerOptions) -> io::Result<Self> {
        let (directory, temporary) = match &options.data {
            Some(directory) => (directory.clone(), None),
            None => {
                let temporary = tempfile::Builder::new().prefix("gist-server").tempdir()?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        fs::create_dir_all(&directory)?;
        let directory = directory.canonicalize()?;
        let lock = locked_against_others(&directory)?;
        let hooks = directory.join("hooks");
        hook::install(&hooks)?;
        let record = options.record.as_deref().map(Record::open).transpose()?;
        let journal = options.journal.as_deref().map(Journal::open).transpose()?;
        let store = Store::open(directory.join("gists"))?;
        let api = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))?;
        let raw = TcpListener::bind((Ipv4Addr::LOCALHOST, options.raw_port))?;
        let addresses = [api.local_addr()?, raw.local_addr()?];
        let own = addresses.map(|address| format!("http://{address}"));
        let mut seen = options.seen_as.clone().unwrap_or_else(|| own.into());
        if !options.isolated {
            seen.1 = format!("{}/gist", seen.0);
        }
        let site = Arc::new(Site {
            store,
            hooks,
            api: seen.0,
            raw: seen.1,
            meter: Meter::new(options.limits.clone()),
            log: RequestLog::default(),
            record,
            journal,
            faults: Faults::default(),
            switches: Mutex::default(),
            updating: Mutex::default(),
            request_ids: 0.into(),
            options,
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("gist-server")
            .enable_all()
            .build()?;
        let (api, raw) = {
            let _context = runtime.enter();
            (listener(api)?, listener(raw)?)
        };
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&site);
        // A thread owns the runtime, because one must not be dropped inside another one.
        let thread = thread::Builder::new().name("gist-server".to_owned()).spawn(move || {
            runtime.spawn(front::serve(api, Arc::clone(&served), Door::Api));
            runtime.spawn(front::serve(raw, served, Door::Raw));
            // An error means that the sender is gone, which is as good as a message.
            let _stopped: Result<(), _> = runtime.block_on(stopped);
            runtime.shutdown_timeout(Duration::from_secs(2));
        })?;
        Ok(Self {
            site,
            addresses,
            stop: Some(stop),
            thread: Some(thread),
            directory,
            lock,
            _temporary: temporary,
        })
    }

    /// The API's address, without a slash at the end; of an Enterprise Server it ends in `/api/v3`,
    /// and others answer below that as well.
    pub fn api_url(&self) -> String {
        let prefix = if self.site.options.enterprise { "/api/v3" } else { "" };
        format!("{}{prefix}", self.site.api)
    }

    /// The address of raw bodies and git, mostly another origin.
    pub fn raw_url(&self) -> String {
        self.site.raw.clone()
    }

    /// Where it listens for the API and for raw bodies, whatever it is seen as.
    pub fn addresses(&self) -> [SocketAddr; 2] {
        self.addresses
    }

    /// Where the gists are kept.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The requests so far, in order of arrival.
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.site.log.all()
    }

    /// Empties the log.
    pub fn forget_requests(&self) {
        self.site.log.forget();
    }

    /// Orders a fault, to happen after those ordered before that match the same request.
    pub fn inject(&self, fault: Fault) {
        self.site.faults.add(fault);
    }

    /// Cancels all faults that have not happened.
    pub fn clear_faults(&self) {
        self.site.faults.clear();
    }

    /// Reads or sets the switches; requests that arrive afterwards see them.
    pub fn with_switches<T>(&self, change: impl FnOnce(&mut Switches) -> T) -> T {
        change(&mut locked(&self.site.switches))
    }

    /// Makes a gist of `login`'s and returns its id.
    ///
    /// # Panics
    ///
    /// The data directory cannot be written.
    pub fn seed(&self, login: &str, gist: Seed) -> String {
        self.try_seed(login, gist).expect("the data directory can be written")
    }

    /// Makes a gist of `login`'s and returns its id.
    ///
    /// # Errors
    ///
    /// The data directory cannot be written.
    pub fn try_seed(&self, login: &str, gist: Seed) -> io::Result<String> {
        let made = self.site.store.create(NewGist {
            owner: (!gist.anonymous).then(|| login.to_owned()),
            description: gist.description,
            public: gist.public,
            files: gist.files.into_iter().collect(),
            created_at: gist.created_at.unwrap_or_else(Time::now),
            branch: self.with_switches(|switches| switches.default_branch.clone()),
        })?;
        Ok(made.id.clone())
    }

    /// Changes files of a gist in one commit, as its owner on another machine would; `None`
    /// deletes, also the last one. The API's rules do not apply. No such gist: nothing happens.
    ///
    /// # Panics
    ///
    /// The data directory cannot be written.
    pub fn commit(&self, id: &str, change: &[(&str, Option<&[u8]>)]) {
        self.commit_at(id, change, Time::now()).expect("the data directory can be written");
    }

    /// [`Server::commit`] at a given time.
    ///
    /// # Errors
    ///
    /// The data directory cannot be written.
    pub fn commit_at(
        &self,
        id: &str,
        change: &[(&str, Option<&[u8]>)],
        at: Time,
    ) -> io::Result<()> {
        self.edit(id, |next| {
            next.at = at;
            for &(name, bytes) in change {
                match bytes {
                    Some(bytes) => {
                        next.files.insert(name.to_owned(), Body::New(bytes.to_vec()));
                    }
                    None => {
                        next.files.remove(name);
                    }
                }
            }
        })
    }

    /// Changes a gist's description. No such gist: nothing happens.
    ///
    /// # Panics
    ///
    /// The data directory cannot be written.
    pub fn describe(&self, id: &str, description: &str) {
        let change = |next: &mut Next| next.description = Some(description.to_owned());
        self.edit(id, change).expect("the data directory can be written");
    }

    fn edit(&self, id: &str, change: impl FnOnce(&mut Next)) -> io::Result<()> {
        let written = self.site.store.write(id, |gist| {
            let kept = |(name, file): (&String, &repository::File)| {
                (name.clone(), Body::Kept(file.clone()))
            };
            let mut next = Next {
                description: gist.tip.description.clone(),
                files: gist.tip.files.iter().map(kept).collect(),
                author: gist.owner_in_urls().to_owned(),
                at: Time::now(),
                touch: false,
            };
            change(&mut next);
            Ok::<_, io::Error>(next)
        });
        written.map(|_| ())
    }

    /// Stars a gist for `login`. No such gist: nothing happens.
    ///
    /// # Errors
    ///
    /// The data directory cannot be written.
    pub fn star(&self, id: &str, login: &str) -> io::Result<()> {
        let change = |gist: &mut Gist| {
            gist.stars.insert(login.to_owned());
        };
        self.site.store.annotate(id, false, change).map(|_| ())
    }

    /// Whether `login` has starred a gist.
    pub fn is_starred(&self, id: &str, login: &str) -> bool {
        self.site.store.get(id).is_some_and(|gist| gist.stars.contains(login))
    }

    /// Deletes a gist. No such gist: nothing happens.
    ///
    /// # Panics
    ///
    /// The data directory cannot be written.
    pub fn remove(&self, id: &str) {
        self.site.store.remove(id).expect("the data directory can be written");
    }

    /// A gist's files as they are now; `None` if there is no such gist.
    pub fn files(&self, id: &str) -> Option<BTreeMap<String, Vec<u8>>> {
        let gist = self.site.store.get(id)?;
        Some(self.bodies(id, &gist.tip.files))
    }

    /// A gist's commits, newest first; none if there is no such gist.
    pub fn commits(&self, id: &str) -> Vec<String> {
        let gist = self.site.store.get(id);
        let history = gist.iter().flat_map(|gist| gist.tip.history.iter().rev());
        history.map(|commit| commit.version.clone()).collect()
    }

    /// A gist's files as of a commit; none if there is no such gist or commit.
    pub fn files_at(&self, id: &str, commit: &str) -> BTreeMap<String, Vec<u8>> {
        let files = self.site.store.repository(id).ok().and_then(|found| found.files_at(commit));
        self.bodies(id, &files.unwrap_or_default())
    }

    fn bodies(
        &self,
        id: &str,
        files: &BTreeMap<String, repository::File>,
    ) -> BTreeMap<String, Vec<u8>> {
        let body = |file: &repository::File| self.site.store.body(id, file.blob).ok().flatten();
        files.iter().filter_map(|(name, file)| Some((name.clone(), body(file)?))).collect()
    }

    /// A gist's description; `None` where it is `null` or there is no such gist.
    pub fn description(&self, id: &str) -> Option<String> {
        self.site.store.get(id)?.tip.description.clone()
    }

    /// Whether there is such a gist and it is public.
    pub fn public(&self, id: &str) -> bool {
        self.site.store.get(id).is_some_and(|gist| gist.public)
    }

    /// When a gist was last updated, as the API tells it.
    pub fn updated_at(&self, id: &str) -> Option<Time> {
        Some(self.site.store.get(id)?.tip.updated_at)
    }

    /// The ids of all gists of `login`'s, newest first.
    pub fn gist_ids(&self, login: &str) -> Vec<String> {
        let gists = self.site.store.select(|gist| gist.owner.as_deref() == Some(login));
        gists.iter().map(|gist| gist.id.clone()).collect()
    }

    /// Whether there is no gist at all.
    pub fn is_empty(&self) -> bool {
        self.site.store.select(|_| true).is_empty()
    }
}

fn locked_against_others(directory: &Path) -> io::Result<File> {
    let lock = File::create(directory.join("lock"))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            let text = format!("{} is in use by another server", directory.display());
            Err(io::Error::new(io::ErrorKind::ResourceBusy, text))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn listener(listener: TcpListener) -> io::Result<tokio::net::TcpListener> {
    listener.set_nonblocking(true)?;
    tokio::net::TcpListener::from_std(listener)
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take()
            && stop.send(()).is_err()
        {
            log::debug!("the server had stopped already");
        }
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            log::error!("the server's thread panicked");
        }
        // Closing the file is not enough: a git process just being started may still hold a copy.
        if let Err(error) = self.lock.unlock() {
            log::warn!("the data directory stays locked: {error}");
        }
    }
}
