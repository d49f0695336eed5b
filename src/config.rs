//! What the command line means: paths made absolute, the token found, limits checked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use directories::ProjectDirs;

use crate::api::host::Endpoint;
use crate::auth::{self, Environment, Found};
use crate::cli::{MountArgs, Names, WriteMode};
use crate::exit::{Exit, Failure};
use crate::sync::selection::Selection;

/// How often GitHub is asked what is new, if the user does not say.
const REFRESH: Duration = Duration::from_secs(60);

/// The same without a token: 60 requests an hour are all there are.
const REFRESH_ANONYMOUSLY: Duration = Duration::from_secs(600);

/// All that a mount needs to know.
#[derive(Debug)]
pub struct Config {
    /// Where to mount, absolute.
    pub mountpoint: PathBuf,
    /// Where the API is.
    pub endpoint: Endpoint,
    /// What the state of this host is kept under.
    pub state_name: String,
    /// The token, if there is one.
    pub token: Option<Found>,
    /// Which gists.
    pub selection: Selection,
    /// Nothing may be changed.
    pub read_only: bool,
    /// New gists are public.
    pub public: bool,
    /// Directories are named by id.
    pub names_by_id: bool,
    /// `close` returns GitHub's answer.
    pub through: bool,
    /// How old a change is when it is sent.
    pub write_back: Duration,
    /// The least time between two changes, where the user said so.
    pub write_interval: Option<Duration>,
    /// How often GitHub is asked what is new.
    pub refresh: Duration,
    /// For how long after a change GitHub's reads may show the time before it.
    pub read_lag: Duration,
    /// Where the state of all hosts is.
    pub state_base: PathBuf,
    /// Bytes of bodies in memory.
    pub memory: usize,
    /// Bytes of bodies on disk.
    pub cache_size: u64,
    /// For how long what was removed is kept; zero keeps nothing.
    pub trash_keep: Duration,
    /// More gists removed within a minute than this, and the deletions are held; 0 is no limit.
    pub delete_limit: usize,
    /// Bodies fetched at one time.
    pub parallel: usize,
    /// Permission bits nobody gets.
    pub umask: u32,
    /// Other users may enter.
    pub allow_other: bool,
    /// Gists and files have extended attributes.
    pub xattr: bool,
    /// Hidden places are listed.
    pub show_hidden: bool,
    /// The mount point may hold files, which the mount hides.
    pub nonempty: bool,
}

impl Config {
    /// Works out what `args` mean.
    pub fn resolve(args: &MountArgs, environment: &dyn Environment) -> Result<Self, Failure> {
        let usage = |message: String| Failure::new(Exit::Usage, message, "see gistfs mount --help");
        let endpoint = match (&args.api_url, &args.host) {
            (Some(url), _) => Endpoint::of_url(url),
            (None, host) => Endpoint::of_host(host.as_deref().unwrap_or("github.com")),
        };
        let endpoint = endpoint.map_err(|error| usage(error.to_string()))?;
        let token = auth::find(&endpoint, args.token_file.as_deref(), environment);
        let token = token.map_err(|error| {
            Failure::new(
                Exit::Token,
                error.to_string(),
                "correct it, or unset it and use another source",
            )
        })?;
        let selection = match (&args.user, &args.gist) {
            (Some(login), _) => Selection::User(login.clone()),
            (None, Some(id)) => Selection::One(id.clone()),
            (None, None) if args.starred => Selection::Starred,
            (None, None) => Selection::Own,
        };
        if token.is_none() && matches!(selection, Selection::Own | Selection::Starred) {
            return Err(Failure::new(
                Exit::Token,
                format!("there is no token for {}", endpoint.host()),
                "set GH_TOKEN, use --token-file, log in with `gh auth login`, or mount somebody's \
                 public gists with --user LOGIN or one gist with --gist ID",
            ));
        }
        let refresh = if token.is_some() { REFRESH } else { REFRESH_ANONYMOUSLY };
        Ok(Self {
            mountpoint: absolute(&args.mountpoint)?,
            state_name: endpoint.host().to_owned(),
            endpoint,
            token,
            selection,
            read_only: args.read_only,
            public: args.public,
            names_by_id: args.names == Names::Id,
            through: args.write == WriteMode::Through,
            write_back: args.write_back,
            write_interval: args.write_interval,
            refresh: args.refresh.unwrap_or(refresh).max(Duration::from_millis(100)),
            read_lag: args.read_lag,
            state_base: state_base(args.state_dir.as_deref())?,
            memory: usize::try_from(args.memory).unwrap_or(usize::MAX),
            cache_size: args.cache_size,
            trash_keep: args.trash_keep,
            delete_limit: usize::try_from(args.delete_limit).unwrap_or(usize::MAX),
            parallel: usize::from(args.parallel),
            umask: args.umask,
            allow_other: args.allow_other,
            xattr: args.xattr,
            show_hidden: args.show_hidden,
            nonempty: args.nonempty,
        })
    }
}

/// Where local state is kept.
pub fn state_base(given: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(given) = given {
        return absolute(given);
    }
    let project = ProjectDirs::from("", "", "gistfs");
    let state = project.as_ref().and_then(ProjectDirs::state_dir).map(Path::to_owned);
    state.ok_or_else(|| no_home("--state-dir DIR"))
}

/// Where the demo keeps its gists.
pub fn demo_data(given: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(given) = given {
        return absolute(given);
    }
    let project = ProjectDirs::from("", "", "gistfs");
    project.map(|project| project.data_dir().join("demo")).ok_or_else(|| no_home("--data DIR"))
}

fn no_home(instead: &str) -> Failure {
    Failure::new(
        Exit::State,
        "there is no home directory to keep anything in",
        format!("set HOME, or say where with {instead}"),
    )
}

/// A path that stays right when the working directory changes.
pub fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| {
        Failure::new(Exit::Usage, format!("{path:?} is no path: {error}"), "name a directory")
    })
}
