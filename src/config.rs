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
    /// The git program; `None` does without.
    pub git: Option<PathBuf>,
    /// Bytes of the largest file.
    pub largest: u64,
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
        let host = args.host.clone().or_else(|| named_host(environment));
        let endpoint = match (&args.api_url, host) {
            (Some(url), _) => Endpoint::of_url(url),
            (None, Some(host)) => Endpoint::of_host(&host),
            (None, None) => Endpoint::of_host("github.com"),
        };
        let endpoint = endpoint.map_err(|error| usage(error.to_string()))?;
        if let Some(gist) = &args.gist {
            is_there(gist.host.as_deref(), &endpoint)?;
        }
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
            (None, Some(gist)) => Selection::One(gist.id.clone()),
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
            git: git(&args.git)?,
            largest: args.max_file_size,
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

/// The git program that is meant. A path stays right when the working directory changes; a bare name is
/// looked up on `PATH`.
fn git(given: &Path) -> Result<Option<PathBuf>, Failure> {
    match given.components().count() {
        _ if given == Path::new("none") => Ok(None),
        0 | 1 if !given.is_absolute() => Ok(Some(given.to_owned())),
        _ => absolute(given).map(Some),
    }
}

/// The host that the environment names; what is blank names none.
pub fn named_host(environment: &dyn Environment) -> Option<String> {
    let named = environment.variable("GH_HOST")?.to_string_lossy().trim().to_owned();
    (!named.is_empty()).then_some(named)
}

/// Whether a gist whose address is at `host` may be asked for at `endpoint`: nobody hears of it, or
/// gets a token, because an address names another host than the user did.
pub fn is_there(host: Option<&str>, endpoint: &Endpoint) -> Result<(), Failure> {
    match host {
        Some(host) if !endpoint.has_pages_at(host) => Err(Failure::new(
            Exit::Usage,
            format!("that address is not of {} but of {host}", endpoint.host()),
            "name the host with --host if you mean it",
        )),
        Some(_) | None => Ok(()),
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

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    /// An environment where GH_HOST says this.
    struct Host(&'static str);

    impl Environment for Host {
        fn variable(&self, name: &str) -> Option<OsString> {
            (name == "GH_HOST").then(|| self.0.into())
        }

        fn ask(&self, _: &str, _: &[&str], _: &str) -> Option<String> {
            None
        }
    }

    fn resolve(environment: &'static str, options: &[&str]) -> Result<Config, Failure> {
        let id = "aa5a315d61ae9438b18d";
        let words = ["gistfs", "mount", "/m", "--state-dir", "/s"].iter().chain(options);
        let words = words.map(|word| word.replace("ID", id));
        let Command::Mount(args) = Cli::try_parse_from(words).unwrap().command else { panic!() };
        let args = args.with_mount_options().unwrap();
        Config::resolve(&args, &Host(environment))
    }

    #[test]
    fn the_environment_names_the_host_if_nobody_else_does_and_it_is_not_blank() {
        for (environment, options, host) in [
            ("", &[][..], "github.com"),
            (" ", &[], "github.com"),
            ("ghe.example.com", &[], "ghe.example.com"),
            ("ghe.example.com", &["--host", "h.example"], "h.example"),
            ("not a host", &["--api-url", "https://h.example/api/v3"], "h.example"),
        ] {
            let options = [&["--gist", "ID"], options].concat();
            let config = resolve(environment, &options).unwrap();
            assert_eq!(config.endpoint.host(), host, "{environment:?} {options:?}");
        }
        for (environment, host) in [("not a host", &[][..]), ("", &["--host", ""])] {
            let options = [&["--gist", "ID"], host].concat();
            assert_eq!(resolve(environment, &options).unwrap_err().exit, Exit::Usage);
        }
    }

    #[test]
    fn git_is_a_name_on_the_path_a_path_that_stays_right_or_nothing() {
        let git =
            |options: &[&str]| resolve("", &[&["--gist", "ID"], options].concat()).unwrap().git;
        assert_eq!(git(&[]), Some("git".into()));
        assert_eq!(git(&["--git", "git-2"]), Some("git-2".into()));
        assert_eq!(git(&["--git", "/opt/git/bin/git"]), Some("/opt/git/bin/git".into()));
        let here = std::env::current_dir().unwrap();
        assert_eq!(git(&["--git", "./git"]), Some(here.join("git")));
        assert_eq!(git(&["--git", "bin/git"]), Some(here.join("bin/git")));
        assert_eq!(git(&["--git", "none"]), None);
        assert_eq!(git(&["-o", "git=none"]), None);
    }

    #[test]
    fn a_gist_s_address_is_of_the_host_that_is_mounted() {
        let page = "https://ghe.example.com/gist/octo/ID";
        for (environment, options) in [
            ("ghe.example.com", &["--gist", page][..]),
            ("", &["--gist", page, "--host", "ghe.example.com"]),
            ("", &["--gist", "https://gist.github.com/octo/ID"]),
        ] {
            let selection = resolve(environment, options).unwrap().selection;
            assert!(matches!(selection, Selection::One(_)), "{options:?}");
        }
        for options in [&["--gist", page][..], &["--gist", page, "--host", "other.example.com"]] {
            let failure = resolve("", options).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{failure}");
            assert!(failure.message.contains("but of ghe.example.com"), "{failure}");
        }
    }
}
