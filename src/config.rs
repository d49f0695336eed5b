//! What the command line means: paths made absolute, the token found, limits checked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use directories::ProjectDirs;

use crate::api::host::Endpoint;
use crate::auth::{self, Environment, Found};
use crate::cli::{MountArgs, Names, WriteMode};
use crate::exit::{Exit, Failure};

/// The longest time an option may name: what is longer is a slip, and would overflow sums.
const LONGEST: f64 = 30.0 * 24.0 * 3600.0;

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
    /// Whose public gists; `None` for the token's own.
    pub user: Option<String>,
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
    /// Where the state of all hosts is.
    pub state_base: PathBuf,
    /// Bytes of bodies in memory.
    pub memory: usize,
    /// Bytes of bodies on disk.
    pub cache_size: u64,
    /// Bodies fetched at one time.
    pub parallel: usize,
    /// Permission bits nobody gets.
    pub umask: u32,
    /// Other users may enter.
    pub allow_other: bool,
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
        if token.is_none() && args.user.is_none() {
            return Err(Failure::new(
                Exit::Token,
                format!("there is no token for {}", endpoint.host()),
                "set GH_TOKEN, use --token-file, log in with `gh auth login`, or mount somebody's \
                 public gists with --user LOGIN",
            ));
        }
        Ok(Self {
            mountpoint: absolute(&args.mountpoint)?,
            state_name: endpoint.host().to_owned(),
            endpoint,
            token,
            user: args.user.clone(),
            read_only: args.read_only || args.user.is_some(),
            public: args.public,
            names_by_id: args.names == Names::Id,
            through: args.write == WriteMode::Through,
            write_back: args.write_back,
            write_interval: args.write_interval,
            refresh: args.refresh.max(Duration::from_millis(100)),
            state_base: state_base(args.state_dir.as_deref())?,
            memory: usize::try_from(args.memory).unwrap_or(usize::MAX),
            cache_size: args.cache_size,
            parallel: usize::from(args.parallel),
            umask: args.umask,
            allow_other: args.allow_other,
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

/// Parses a time in seconds, fractions allowed.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "it must be a number of seconds".to_owned())?;
    if (0.0..=LONGEST).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("it must be between 0 and 30 days".into())
    }
}

/// Parses a size in bytes, with K, M, G or T for powers of 1024.
pub fn size(text: &str) -> Result<u64, String> {
    let text = text.trim().trim_end_matches(['B', 'b']).trim_end_matches(['i', 'I']);
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 'K' | 'k')) => (&text[..at], 1 << 10),
        Some((at, 'M' | 'm')) => (&text[..at], 1 << 20),
        Some((at, 'G' | 'g')) => (&text[..at], 1 << 30),
        Some((at, 'T' | 't')) => (&text[..at], 1_u64 << 40),
        Some(_) | None => (text, 1),
    };
    let number: u64 =
        digits.parse().map_err(|_| "it must be a size such as 64M or 2G".to_owned())?;
    number.checked_mul(unit).ok_or_else(|| "it is too large".into())
}

/// Parses permission bits in octal.
pub fn octal(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(bits) if bits <= 0o777 => Ok(bits),
        Ok(_) | Err(_) => Err("it must be octal, up to 777".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_times_and_bits_read_as_people_write_them() {
        assert_eq!(size("512"), Ok(512));
        assert_eq!(size("64M"), Ok(64 << 20));
        assert_eq!(size("2GiB"), Ok(2 << 30));
        for wrong in ["", "M", "1.5G", "-1", "99999999999T", "1é"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
        for wrong in ["", "-1", "NaN", "inf", "1e99", "5s"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        assert_eq!(octal("077"), Ok(0o77));
        for wrong in ["", "8", "1000", "-1"] {
            assert!(octal(wrong).is_err(), "{wrong}");
        }
    }
}
