//! From a resolved configuration to a mount that answers, and from there to a clean end.

use std::io::Write as _;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fuser::{INodeNo, MountOption, Notifier, Session, SessionACL};

use self::control::{Asker, Reply};
use self::stale::Teller;
use crate::api::git::{GitApi as _, GitOptions, GitProgram, Patience};
use crate::api::github::GitHub;
use crate::api::{Api, ApiError};
use crate::config::Config;
use crate::error::Error;
use crate::exit::{Exit, Failure};
use crate::fs::{GistFs, MountedAs, Options, Stale};
use crate::kernel::Kernel;
use crate::model::Time;
use crate::store::Store;
use crate::sync::report::Owing;
use crate::sync::selection::Selection;
use crate::sync::{Options as SyncOptions, Progress, Syncer};

pub mod account;
pub mod background;
pub mod control;
pub mod point;
mod stale;

/// How long the end of a mount waits for what is owed to be sent.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a detached mount may stay in use before the process ends all the same.
const LINGER: Duration = Duration::from_secs(5);

/// So many of the gists that are not sent at the end are named in the log.
const NAMED: usize = 20;

/// What ends a mount.
pub(crate) enum Event {
    /// A signal by its number.
    Signal(i32),
    /// The kernel's side is gone: somebody unmounted.
    Ended(std::io::Result<()>),
    /// `gistfs unmount` asks, with the patience given.
    Unmount(Duration, Asker),
}

/// A mount that is up.
pub struct Mount {
    fs: Arc<GistFs>,
    syncer: Arc<Syncer>,
    mountpoint: std::path::PathBuf,
    events: Receiver<Event>,
    read_only: Option<&'static str>,
    git: Arc<GitProgram>,
    _control: control::Control,
}

impl Mount {
    /// Opens the state, lists the gists if this is the first time, and mounts.
    ///
    /// Returns when the mount answers. Starts threads: fork before.
    pub fn start(config: &Config) -> Result<Self, Failure> {
        point::prepare(&config.mountpoint, config.nonempty)?;
        let token = config.token.as_ref().map(|found| found.token.clone());
        let api = GitHub::new(config.endpoint.clone(), token).map_err(|error| {
            Failure::new(Exit::Token, error.to_string(), "use https, or a server on this machine")
        })?;
        let mut mounter = account::find(config, &api)?;
        let directory = config.state_base.join(&config.state_name).join(&mounter.name);
        let is_new = !directory.exists();
        let store = open_store(config, &directory)?;
        let git = find_git(config, &mounter, &directory);
        let api = api.with_git(Arc::clone(&git));
        let (sender, events) = mpsc::channel();
        let starting = Arc::new(Mutex::new(true));
        watch_signals(&sender, &git, &starting)?;
        let options = SyncOptions {
            write_back: config.write_back,
            refresh: config.refresh,
            read_lag: config.read_lag,
            write_interval: config.write_interval,
            selection: config.selection.clone(),
            read_only: mounter.read_only.is_some(),
            scarce: config.token.is_none(),
            parallel: config.parallel,
            cache_size: config.cache_size,
            trash_keep: config.trash_keep,
            delete_limit: config.delete_limit,
            ..SyncOptions::default()
        };
        let api: Arc<dyn Api> = Arc::new(api);
        let syncer = Syncer::new(Arc::new(store), Arc::clone(&api), options);
        if let Err(failure) = first_list(&syncer, config) {
            if is_new {
                forget(&directory);
            }
            return Err(failure);
        }
        let read_only = mounter.read_only_because(config, &*api, syncer.store());
        if let Some(why) = read_only {
            log::warn!("mounted read-only: {why}");
        }
        let syncer = Arc::new(if read_only.is_some() { syncer.reading_only() } else { syncer });
        let options = fs_options(config, &mounter, read_only);
        let fs = GistFs::new(Arc::clone(&syncer), options, Arc::new(Time::now));
        fs.mounted_as(MountedAs {
            mountpoint: config.mountpoint.clone(),
            host: config.state_name.clone(),
            api: config.endpoint.api().to_string(),
            account: mounter.name,
        });
        // From here on a signal ends it in order. One that has come before ends it here: nothing is
        // mounted that nobody would unmount.
        *starting.lock().unwrap_or_else(PoisonError::into_inner) = false;
        // From here on nothing may look at the mount point: killed while it waits for an answer of
        // its own, the process would never end, and its lock on the state neither.
        let socket = control::Socket::of(&config.mountpoint)?;
        let notifier = run_session(config, read_only.is_some(), &fs, &sender)?;
        tell_kernel(&fs, notifier)?;
        let control = control::Control::start(socket, &fs, &sender)?;
        syncer.start().map_err(|error| no_threads(&error))?;
        let mountpoint = config.mountpoint.clone();
        Ok(Self { fs, syncer, mountpoint, events, read_only, git, _control: control })
    }

    /// Why nothing can be changed, if so.
    pub fn read_only(&self) -> Option<&'static str> {
        self.read_only
    }

    /// Serves until somebody unmounts or a signal comes, sends what is owed, and tells what is left.
    pub fn run(self) -> Vec<Owing> {
        loop {
            match self.events.recv() {
                Ok(Event::Signal(signal)) => {
                    log::info!("signal {signal}: sending what is owed, then unmounting");
                    let until = Time::now().after(PATIENCE);
                    self.drain(until);
                    self.detach_and_wait();
                    return self.finish(until);
                }
                Ok(Event::Ended(result)) => {
                    if let Err(error) = result {
                        log::warn!("the mount ended: {error}");
                    }
                    return self.finish(Time::now().after(PATIENCE));
                }
                Ok(Event::Unmount(timeout, asker)) => {
                    let until = Time::now().after(timeout);
                    let left = self.drain_telling(until, &mut |progress| asker.see(progress));
                    match point::unmount(&self.mountpoint, false) {
                        Ok(()) => {
                            asker.hear(&Reply::left(left, &self.fs));
                            asker.wait_for_our_end();
                            self.wait_for_end(LINGER);
                            return self.finish(until);
                        }
                        Err(busy) => asker.hear(&Reply::failed(busy)),
                    }
                }
                Err(mpsc::RecvError) => return self.finish(Time::now().after(PATIENCE)),
            }
        }
    }

    fn drain(&self, until: Time) -> Vec<Owing> {
        self.drain_telling(until, &mut |_| {})
    }

    fn drain_telling(&self, until: Time, tell: &mut dyn FnMut(&Progress)) -> Vec<Owing> {
        self.fs.record_everything();
        self.syncer.drain_telling(until, true, tell)
    }

    fn detach_and_wait(&self) {
        self.syncer.end_events();
        if let Err(error) = point::unmount(&self.mountpoint, true) {
            log::warn!("{error}");
        }
        self.wait_for_end(LINGER);
    }

    fn wait_for_end(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        while let Some(left) = deadline.checked_duration_since(Instant::now()) {
            match self.events.recv_timeout(left) {
                Ok(Event::Ended(_)) | Err(mpsc::RecvTimeoutError::Disconnected) => return,
                Err(mpsc::RecvTimeoutError::Timeout) => break,
                Ok(Event::Signal(_)) => {}
                Ok(Event::Unmount(_, asker)) => asker.hear(&Reply::ending()),
            }
        }
        log::warn!("something in the mount is still in use; it is ended all the same");
    }

    fn finish(&self, until: Time) -> Vec<Owing> {
        self.syncer.stop();
        let left = self.drain(until);
        for gist in left.iter().take(NAMED) {
            log::warn!(
                "{:?} is not on GitHub as it is here ({}); it is kept for the next mount",
                gist.title,
                gist.state
            );
        }
        if left.len() > NAMED {
            log::warn!("and {} more; gistfs status names them", left.len() - NAMED);
        }
        for comment in self.fs.unsent_comments() {
            let (name, title) = (comment.name, comment.title);
            log::warn!("{name:?} of {title:?} was not sent as a comment, and is dropped");
        }
        // Whoever still waits for git would keep it running after our own end.
        self.git.stop();
        if let Err(error) = self.syncer.store().sync(&[]) {
            log::warn!("{error}");
        }
        left
    }
}

/// Looks for git, and says once what a mount without it cannot do.
fn find_git(config: &Config, mounter: &account::Mounter, directory: &Path) -> Arc<GitProgram> {
    let git = Arc::new(GitProgram::find(GitOptions {
        program: config.git.clone(),
        endpoint: config.endpoint.clone(),
        token: config.token.as_ref().map(|found| found.token.clone()),
        login: mounter.login.clone(),
        number: mounter.number,
        directory: directory.join("git"),
        patience: Patience::default(),
    }));
    if let Some(why) = git.missing() {
        log::warn!(
            "without git, because {why}: files that are not text, blank or very large stay here \
             unsent, and bodies over 10 MB and files past the first 300 of a gist cannot be read"
        );
    }
    git
}

/// Lists the gists, unless that was done before.
fn first_list(syncer: &Syncer, config: &Config) -> Result<(), Failure> {
    let gone = |syncer: &Syncer| {
        matches!(config.selection, Selection::One(_)) && syncer.store().keys().is_empty()
    };
    if syncer.was_listed().map_err(unusable_state)? && !gone(syncer) {
        return Ok(());
    }
    if let Err(error) = syncer.refresh_all(Time::now()) {
        let offline = !matches!(error, Error::Local { .. } | Error::Denied(_));
        if !offline || syncer.store().keys().is_empty() {
            return Err(no_first_list(error, syncer, config));
        }
        // The state was put together again: what is unsent is there, and nothing else.
        log::warn!("cannot list the gists: {error}; until then only unsent ones are shown");
    }
    if gone(syncer) {
        return Err(Failure::new(
            Exit::Failed,
            "there is no such gist, or it may not be seen with this token",
            "open its page in a browser and give its address to --gist",
        ));
    }
    Ok(())
}

/// Removes a state that was made just now: nothing came of it, and nobody is to be told of it for
/// ever. The lock in it is held.
fn forget(directory: &Path) {
    if let Err(error) = std::fs::remove_dir_all(directory) {
        log::debug!("{}: {error}", directory.display());
    }
}

/// Opens the state. A mount that was just unmounted may still be sending what it owes: it is asked
/// to leave that to us, so that a long queue keeps nobody waiting.
fn open_store(config: &Config, directory: &Path) -> Result<Store, Failure> {
    let deadline = Instant::now() + PATIENCE + LINGER;
    loop {
        let opened = Store::open(directory, &config.mountpoint.to_string_lossy(), config.memory);
        let busy = matches!(opened, Err(Error::Local { errno: libc::EBUSY, .. }));
        let holder = || Store::holder(directory).map(std::path::PathBuf::from);
        let ending = holder().filter(|point| busy && !point::mounts().contains(point));
        let Some(point) = ending else { return opened.map_err(unusable_state) };
        if Instant::now() >= deadline {
            return opened.map_err(|error| Failure {
                hint: "it is unmounted, but a program has a file of it open: end that, or the \
                       process that gistfs status --json names"
                    .into(),
                ..unusable_state(error)
            });
        }
        if let Err(error) = control::ask(&point, &control::Ask::GiveWay, &mut |_| {}) {
            log::debug!("{}: {error}", point.display());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn fs_options(
    config: &Config,
    mounter: &account::Mounter,
    read_only: Option<&'static str>,
) -> Options {
    Options {
        uid: nix::unistd::geteuid().as_raw(),
        gid: nix::unistd::getegid().as_raw(),
        umask: config.umask,
        read_only,
        through: config.through,
        login: mounter.login.clone(),
        public: config.public,
        names_by_id: config.names_by_id,
        of_one: matches!(config.selection, Selection::One(_)),
        largest: config.largest,
        xattr: config.xattr,
        show_hidden: config.show_hidden,
    }
}

/// Mounts, and serves the kernel from threads of its own. Session and kernel have agreed when this
/// returns: what is asked of the mount from now on is answered.
fn run_session(
    config: &Config,
    read_only: bool,
    fs: &Arc<GistFs>,
    events: &Sender<Event>,
) -> Result<Notifier, Failure> {
    let mut options = fuser::Config::default();
    options.mount_options = vec![
        MountOption::FSName("gistfs".into()),
        MountOption::Subtype("gistfs".into()),
        MountOption::DefaultPermissions,
        MountOption::NoAtime,
        if read_only { MountOption::RO } else { MountOption::RW },
    ];
    options.acl = if config.allow_other { SessionACL::All } else { SessionACL::Owner };
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    // One more than may be at the disk. More serve no faster, they only take turns.
    let threads = cores.clamp(3, 4);
    options.n_threads = Some(threads);
    let kernel = Kernel::new(Arc::clone(fs), threads);
    let session = Session::new(kernel, &config.mountpoint, &options)
        .map_err(|error| point::cannot_mount(&config.mountpoint, &error))?;
    let notifier = session.notifier();
    let events = events.clone();
    std::thread::Builder::new()
        .name("gistfs-session".into())
        .spawn(move || {
            if events.send(Event::Ended(session.run())).is_err() {
                log::debug!("the mount ended after everybody else");
            }
        })
        .map_err(|error| no_threads(&error))?;
    Ok(notifier)
}

/// The kernel is told what it must forget from threads that hold no lock: it may have to wait
/// for a request that is being answered, and that request for a lock.
fn tell_kernel(fs: &Arc<GistFs>, notifier: Notifier) -> Result<(), Failure> {
    let teller = Teller::start(move |stale| {
        let told = match stale {
            Stale::Node(ino) => notifier.inval_inode(INodeNo(ino.0), 0, 0),
            Stale::Name(parent, name) => {
                notifier.inval_entry(INodeNo(parent.0), name.as_ref().as_ref())
            }
        };
        if let Err(error) = told {
            log::debug!("{stale:?}: {error}");
        }
    });
    let teller = teller.map_err(|error| no_threads(&error))?;
    fs.on_stale(Box::new(move |stale| teller.send(stale)));
    Ok(())
}

/// Tells of signals. As long as the mount is only `starting` they end the process as they would by
/// themselves, but git first: it has a process group of its own and would run on.
fn watch_signals(
    events: &Sender<Event>,
    git: &Arc<GitProgram>,
    starting: &Arc<Mutex<bool>>,
) -> Result<(), Failure> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let signals = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM]);
    let mut signals = signals.map_err(|error| no_threads(&error))?;
    let (events, git, starting) = (events.clone(), Arc::clone(git), Arc::clone(starting));
    std::thread::Builder::new()
        .name("gistfs-signals".into())
        .spawn(move || {
            for signal in signals.forever() {
                let starting = starting.lock().unwrap_or_else(PoisonError::into_inner);
                if *starting {
                    git.stop();
                    if let Err(error) = signal_hook::low_level::emulate_default_handler(signal) {
                        log::warn!("signal {signal}: {error}");
                    }
                }
                drop(starting);
                if events.send(Event::Signal(signal)).is_err() {
                    return;
                }
            }
        })
        .map(drop)
        .map_err(|error| no_threads(&error))
}

fn no_threads(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("cannot start a thread: {error}"), "close other programs")
}

pub(crate) fn unusable_state(error: Error) -> Failure {
    let in_use = matches!(error, Error::Local { errno: libc::EBUSY, .. });
    let hint = if in_use {
        "unmount that one first, or use another --state-dir"
    } else {
        "mend that, or use another --state-dir"
    };
    Failure::new(Exit::State, error.to_string(), hint)
}

/// What is wrong with a first mount that cannot be answered.
const FIRST_MOUNT: &str = "the first mount of an account needs the network; later ones do not";

fn no_first_list(error: Error, syncer: &Syncer, config: &Config) -> Failure {
    let anonymous = config.token.is_none();
    if matches!(error, Error::Local { .. }) {
        unusable_state(error)
    } else if let (Selection::User(login), Error::Denied(words)) = (&config.selection, &error)
        && *words == ApiError::NotFound.to_string()
    {
        Failure::new(Exit::Failed, format!("there is no user {login}"), "check the name")
    } else if matches!(error, Error::Denied(_)) {
        let hint = if anonymous { "use a token: set GH_TOKEN" } else { "use another token" };
        Failure::new(Exit::Token, error.to_string(), hint)
    } else if let (Error::Limited(_), Some(waiting)) = (&error, syncer.waiting()) {
        let without = "; with a token (GH_TOKEN) there are more";
        let hint = format!("wait until {}", waiting.until);
        let hint = if anonymous { hint + without } else { hint };
        Failure::new(Exit::Network, format!("cannot list the gists: {error}"), hint)
    } else {
        Failure::new(Exit::Network, format!("cannot list the gists: {error}"), FIRST_MOUNT)
    }
}

/// What an API error means before anything is mounted.
pub(crate) fn unreachable_api(error: &ApiError) -> Failure {
    if matches!(error, ApiError::Unauthorized(_) | ApiError::Anonymous(_) | ApiError::Forbidden(_))
    {
        let hint = "make a new token with the scope \"gist\" at https://github.com/settings/tokens";
        Failure::new(Exit::Token, error.to_string(), hint)
    } else {
        Failure::new(Exit::Network, error.to_string(), FIRST_MOUNT)
    }
}

/// Says on standard output, for people or for the parent that waits, that the mount answers.
pub fn say_ready(mountpoint: &Path) {
    let mut out = std::io::stdout();
    if let Err(error) = writeln!(out, "{}", mountpoint.display()).and_then(|()| out.flush()) {
        log::debug!("nobody reads that the mount is ready: {error}");
    }
}
