//! What the user typed. Parsing touches nothing.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::model::GistAddress;

pub use self::gist::{GistArgs, OpenArgs, RepublishArgs, Sender, StarArgs};
pub use self::status::{Section, StatusArgs};

mod gist;
mod status;

/// Mount your GitHub gists as a directory tree.
#[derive(Debug, Parser)]
#[command(name = "gistfs", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Mount gists; returns when the mount is ready
    #[command(args_override_self = true)]
    Mount(Box<MountArgs>),
    /// Send what is owed, then unmount
    #[command(visible_alias = "umount")]
    Unmount(UnmountArgs),
    /// Show account, quota and what GitHub does not have yet, mounted or not
    Status(StatusArgs),
    /// Send now and wait; exit 1 with a list if something cannot go
    Sync(SyncArgs),
    /// Copy somebody's gist to your account; print its id, address and path
    Fork(GistArgs),
    /// Star gists
    Star(StarArgs),
    /// Take stars back
    Unstar(StarArgs),
    /// Print a gist's or file's web address, and open it where there is a desktop
    Open(OpenArgs),
    /// Make a secret gist public: a new gist takes its place
    Publish(RepublishArgs),
    /// Make a public gist secret: a new gist takes its place
    Hide(RepublishArgs),
    /// List what was removed, put it back, or remove it for good
    #[command(subcommand)]
    Trash(TrashCommand),
    /// Try gistfs with a local gist server: no account, no network
    Demo(DemoArgs),
    /// Run that server on its own: the Gist API over git repositories
    Serve(ServeArgs),
}

/// How directories are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Names {
    /// By description or, without one, by the first file.
    Title,
    /// By id.
    Id,
}

/// When `close` returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WriteMode {
    /// When the change is recorded here; it is sent soon after.
    Back,
    /// When GitHub has answered.
    Through,
}

/// Options of `gistfs mount`.
#[derive(Args, Clone, Debug)]
pub struct MountArgs {
    /// An existing, empty directory
    pub mountpoint: PathBuf,
    /// Stay in the foreground; Ctrl-C sends what is owed and unmounts
    #[arg(short, long)]
    pub foreground: bool,
    /// GitHub's host: github.com, NAME.ghe.com or an Enterprise Server [default: $GH_HOST, or
    /// github.com]
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// The API's address, instead of the one that follows from --host
    #[arg(long, value_name = "URL")]
    pub api_url: Option<String>,
    /// Read the token from this file, not from GH_TOKEN, gh or git
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Mount this user's public gists, read-only; needs no token
    #[arg(long, value_name = "LOGIN", group = "selection")]
    pub user: Option<String>,
    /// Mount one gist, its files at the root; needs no token, and is read-only if it is not yours
    #[arg(long, value_name = "ID|URL", value_parser = gist, group = "selection")]
    pub gist: Option<GistAddress>,
    /// Mount the gists you starred, read-only
    #[arg(long, group = "selection")]
    pub starred: bool,
    /// Let nothing be changed
    #[arg(long, visible_alias = "ro")]
    pub read_only: bool,
    /// Make new gists public (they are secret otherwise)
    #[arg(long)]
    pub public: bool,
    /// Name directories by title or by id
    #[arg(long, value_enum, default_value = "title")]
    pub names: Names,
    /// When close returns: after the change is recorded here, or after GitHub has it
    #[arg(long, value_enum, default_value = "back", value_name = "MODE")]
    pub write: WriteMode,
    /// Send a change when it is this old
    #[arg(long, value_parser = seconds, default_value = "1", value_name = "SECONDS")]
    pub write_back: Duration,
    /// The least time between two changes [default: 1, or 0 where the host has no rate limit]
    #[arg(long, value_parser = seconds, value_name = "SECONDS")]
    pub write_interval: Option<Duration>,
    /// Ask GitHub this often what is new [default: 60, or 600 without a token]
    #[arg(long, value_parser = seconds, value_name = "SECONDS")]
    pub refresh: Option<Duration>,
    /// For so long after a change, what GitHub shows may be the time before it
    #[arg(long, value_parser = seconds, default_value = "20", value_name = "SECONDS")]
    pub read_lag: Duration,
    /// Keep local state below this directory [default: $XDG_STATE_HOME/gistfs]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Keep at most this many bytes of bodies in memory
    #[arg(long, value_parser = size, default_value = "64M", value_name = "SIZE")]
    pub memory: u64,
    /// Keep at most this many bytes of bodies on disk
    #[arg(long, value_parser = size, default_value = "1G", value_name = "SIZE")]
    pub cache_size: u64,
    /// Keep what was removed for this many days (0: keep nothing); see gistfs trash
    #[arg(long, value_parser = days, default_value = "30", value_name = "DAYS")]
    pub trash_keep: Duration,
    /// Hold deletions for a minute when more gists than this are removed within one (0: no limit)
    #[arg(long, default_value = "10", value_name = "N")]
    pub delete_limit: u32,
    /// Fetch at most this many bodies, and pages of the list, at one time
    #[arg(long, default_value = "16", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub parallel: u16,
    /// Take these permission bits away from 0700 and 0600
    #[arg(long, value_parser = octal, default_value = "0", value_name = "OCTAL")]
    pub umask: u32,
    /// Let other users in, as far as permissions allow
    #[arg(long)]
    pub allow_other: bool,
    /// Tell of gists and files by extended attributes too, user.gist.*; every ls -l then takes longer
    #[arg(long)]
    pub xattr: bool,
    /// List .gist in gists, and .starred, .users, .public, .by-id and .gistfs at the root
    #[arg(long)]
    pub show_hidden: bool,
    /// The git program, which carries what GitHub's API cannot; none does without
    #[arg(long, default_value = "git", value_name = "PROGRAM")]
    pub git: PathBuf,
    /// The largest file; what is written past that is refused
    #[arg(long, value_parser = file_size, default_value = "100M", value_name = "SIZE")]
    pub max_file_size: u64,
    /// Mount over a directory that is not empty
    #[arg(long)]
    pub nonempty: bool,
    /// Write the log to this file
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// Log more: -v every operation, -vv everything
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Mount options: any of the above as name=value, and the usual ones of mount(8)
    #[arg(short = 'o', value_name = "OPT[,OPT...]")]
    pub options: Vec<String>,
}

/// Options of `gistfs unmount`.
#[derive(Args, Debug)]
pub struct UnmountArgs {
    /// The mount
    pub mountpoint: PathBuf,
    /// Wait this long for what is owed to be sent
    #[arg(long, value_parser = seconds, default_value = "30", value_name = "SECONDS")]
    pub timeout: Duration,
}

/// Options of `gistfs sync`.
#[derive(Args, Debug)]
pub struct SyncArgs {
    /// The mount [default: every mount]
    pub mountpoint: Option<PathBuf>,
    /// Give up after this long
    #[arg(long, value_parser = seconds, default_value = "300", value_name = "SECONDS")]
    pub timeout: Duration,
}

/// The subcommands of `gistfs trash`.
#[derive(Debug, Subcommand)]
pub enum TrashCommand {
    /// List removed gists and files
    List(TrashListArgs),
    /// Put removed gists and files back
    Restore(TrashRestoreArgs),
    /// Remove from the trash for good
    Purge(TrashPurgeArgs),
}

/// Whose trash.
#[derive(Args, Clone, Debug)]
pub struct TrashWhere {
    /// Only that of this mount [default: of every account on this machine]
    #[arg(long, value_name = "MOUNTPOINT")]
    pub mount: Option<PathBuf>,
    /// Local state is below this directory [default: $XDG_STATE_HOME/gistfs]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

/// Options of `gistfs trash list`.
#[derive(Args, Debug)]
pub struct TrashListArgs {
    /// Only that of this mount, or only what was removed here
    pub what: Option<PathBuf>,
    /// For programs
    #[arg(long)]
    pub json: bool,
    /// Whose
    #[command(flatten)]
    pub place: TrashWhere,
}

/// Options of `gistfs trash restore`.
#[derive(Args, Debug)]
pub struct TrashRestoreArgs {
    /// A name from the list or its beginning, a gist's id or title, or the path of what was removed
    #[arg(required_unless_present = "all")]
    pub what: Vec<PathBuf>,
    /// Everything in the list
    #[arg(long)]
    pub all: bool,
    /// Whose
    #[command(flatten)]
    pub place: TrashWhere,
}

/// Options of `gistfs trash purge`.
#[derive(Args, Debug)]
pub struct TrashPurgeArgs {
    /// A name from the list or its beginning, a gist's id or title, or the path of what was removed
    #[arg(required_unless_present_any = ["all", "older_than"])]
    pub what: Vec<PathBuf>,
    /// Everything in the list
    #[arg(long)]
    pub all: bool,
    /// Only what was removed more than this many days ago
    #[arg(long, value_parser = days, value_name = "DAYS")]
    pub older_than: Option<Duration>,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Whose
    #[command(flatten)]
    pub place: TrashWhere,
}

/// Options of `gistfs demo`.
#[derive(Args, Debug)]
pub struct DemoArgs {
    /// Where to mount [default: ~/gistfs-demo, made for the time of the demo]
    pub mountpoint: Option<PathBuf>,
    /// Where the sample gists are kept [default: $XDG_DATA_HOME/gistfs/demo]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Log more
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// Options of `gistfs serve`.
#[derive(Args, Debug)]
pub struct ServeArgs {
    /// Where gists are kept, one git repository each [default: a temporary directory]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The API's port on 127.0.0.1
    #[arg(long, default_value = "8011")]
    pub port: u16,
    /// The port of raw content and git [default: the API's and one]
    #[arg(long)]
    pub raw_port: Option<u16>,
    /// Delay every answer by this many milliseconds
    #[arg(long, default_value = "0", value_name = "MS")]
    pub latency: u64,
    /// Send raw content and git's answers at this many bytes a second
    #[arg(long, value_parser = size, value_name = "SIZE")]
    pub speed: Option<u64>,
    /// Behave like an Enterprise Server: the API is below /api/v3 and has no rate limits
    #[arg(long)]
    pub enterprise: bool,
    /// Fill an empty server with the demo's sample gists
    #[arg(long)]
    pub samples: bool,
}

/// Mount options that are the system's or the mount command's business, not ours.
const IGNORED: &[&str] = &[
    "rw",
    "dev",
    "nodev",
    "suid",
    "nosuid",
    "exec",
    "noexec",
    "auto",
    "noauto",
    "user",
    "nouser",
    "users",
    "owner",
    "group",
    "defaults",
    "_netdev",
    "nofail",
    "relatime",
    "norelatime",
    "atime",
    "noatime",
    "diratime",
    "nodiratime",
    "sync",
    "async",
    "default_permissions",
];

impl MountArgs {
    /// Takes the `-o` options in as if they had been given as long ones.
    ///
    /// An unknown one is an error that names it; those of mount(8) that mean nothing here are not.
    pub fn with_mount_options(self) -> Result<Self, clap::Error> {
        let mut long: Vec<OsString> = vec!["mount".into()];
        for option in self.options.iter().flat_map(|list| list.split(',')) {
            let (name, value) = match option.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (option, None),
            };
            let foreign = name.is_empty()
                || (value.is_none() && IGNORED.contains(&name))
                || name.starts_with("x-")
                || matches!(name, "fsname" | "subtype" | "comment");
            if foreign {
                continue;
            }
            let name = name.replace('_', "-");
            long.push(match value {
                Some(value) => format!("--{name}={value}").into(),
                None => format!("--{name}").into(),
            });
        }
        if long.len() == 1 {
            return Ok(self);
        }
        long.push("--".into());
        long.push(self.mountpoint.clone().into());
        let given = MountOnly::command().try_get_matches_from(long)?;
        let mut all = self;
        // Only what was given replaces what is there: a default must not undo a flag.
        for id in given.ids().map(|id| id.as_str().to_owned()).collect::<Vec<_>>() {
            if given.value_source(&id) == Some(clap::parser::ValueSource::CommandLine) {
                all.take(&id, &MountOnly::from_arg_matches(&given)?.args);
            }
        }
        if usize::from(all.user.is_some())
            + usize::from(all.gist.is_some())
            + usize::from(all.starred)
            > 1
        {
            let message = "only one of --user, --gist and --starred can be given";
            return Err(MountOnly::command().error(ErrorKind::ArgumentConflict, message));
        }
        Ok(all)
    }

    fn take(&mut self, id: &str, other: &Self) {
        let other = other.clone();
        match id {
            "foreground" => self.foreground = other.foreground,
            "host" => self.host = other.host,
            "api_url" => self.api_url = other.api_url,
            "token_file" => self.token_file = other.token_file,
            "user" => self.user = other.user,
            "gist" => self.gist = other.gist,
            "starred" => self.starred = other.starred,
            "read_only" => self.read_only = other.read_only,
            "public" => self.public = other.public,
            "names" => self.names = other.names,
            "write" => self.write = other.write,
            "write_back" => self.write_back = other.write_back,
            "write_interval" => self.write_interval = other.write_interval,
            "refresh" => self.refresh = other.refresh,
            "read_lag" => self.read_lag = other.read_lag,
            "state_dir" => self.state_dir = other.state_dir,
            "memory" => self.memory = other.memory,
            "cache_size" => self.cache_size = other.cache_size,
            "trash_keep" => self.trash_keep = other.trash_keep,
            "delete_limit" => self.delete_limit = other.delete_limit,
            "parallel" => self.parallel = other.parallel,
            "umask" => self.umask = other.umask,
            "allow_other" => self.allow_other = other.allow_other,
            "xattr" => self.xattr = other.xattr,
            "show_hidden" => self.show_hidden = other.show_hidden,
            "git" => self.git.clone_from(&other.git),
            "max_file_size" => self.max_file_size = other.max_file_size,
            "nonempty" => self.nonempty = other.nonempty,
            "log_file" => self.log_file = other.log_file,
            "verbose" => self.verbose = other.verbose,
            _ => {}
        }
    }
}

/// The longest time an option may name: what is longer is a slip, and would overflow sums.
const LONGEST: f64 = 30.0 * 24.0 * 3600.0;

/// A time in seconds, fractions allowed.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "it must be a number of seconds".to_owned())?;
    if (0.0..=LONGEST).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("it must be between 0 and 30 days".into())
    }
}

/// A time in days, fractions allowed.
fn days(text: &str) -> Result<Duration, String> {
    let days: f64 = text.parse().map_err(|_| "it must be a number of days".to_owned())?;
    if (0.0..=36_500.0).contains(&days) {
        Ok(Duration::from_secs_f64(days * 24.0 * 3600.0))
    } else {
        Err("it must be between 0 and 36500 days".into())
    }
}

/// A size in bytes, with K, M, G or T for powers of 1024.
fn size(text: &str) -> Result<u64, String> {
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

/// The largest file that GitHub takes, in bytes.
const LARGEST_FILE: u64 = 100 << 20;

/// A size that a file may have.
fn file_size(text: &str) -> Result<u64, String> {
    match size(text)? {
        most @ 1..=LARGEST_FILE => Ok(most),
        0 => Err("no file would have room for a byte".into()),
        _ => Err("it must be at most 100M, which is all that GitHub takes".into()),
    }
}

/// A gist by id or by the address of its page.
fn gist(text: &str) -> Result<GistAddress, String> {
    GistAddress::parse(text).ok_or_else(|| "it must be a gist's id or address".into())
}

/// Permission bits in octal.
fn octal(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(bits) if bits <= 0o777 => Ok(bits),
        Ok(_) | Err(_) => Err("it must be octal, up to 777".into()),
    }
}

#[derive(Parser)]
#[command(name = "gistfs mount -o", args_override_self = true)]
struct MountOnly {
    #[command(flatten)]
    args: MountArgs,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(arguments: &[&str]) -> Result<MountArgs, clap::Error> {
        let cli = Cli::try_parse_from(["gistfs", "mount"].iter().chain(arguments))?;
        let Command::Mount(args) = cli.command else { panic!("{cli:?}") };
        args.with_mount_options()
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_long_option_is_also_a_mount_option() {
        let command = MountOnly::command();
        let samples = |name: &str| match name {
            "names" => "id",
            "write" => "through",
            "host" | "user" => "x",
            "umask" => "022",
            _ => "7",
        };
        for argument in command.get_arguments().filter(|argument| argument.get_long().is_some()) {
            let name = argument.get_long().unwrap_or_default();
            if matches!(name, "help" | "version") {
                continue;
            }
            let takes_value = argument.get_action().takes_values();
            let value = if takes_value { format!("={}", samples(name)) } else { String::new() };
            let by_flag = mount(&[&format!("--{name}{value}"), "/m"]).unwrap();
            let by_option =
                mount(&["-o", &format!("{}{value}", name.replace('-', "_")), "/m"]).unwrap();
            let strip = |mut args: MountArgs| {
                args.options.clear();
                format!("{args:?}")
            };
            assert_eq!(strip(by_flag.clone()), strip(by_option), "{name}");
            assert_ne!(strip(by_flag), strip(mount(&["/m"]).unwrap()), "{name} does nothing");
        }
    }

    #[test]
    fn the_options_of_mount_8_are_let_pass_and_unknown_ones_are_named() {
        let args = mount(&["-o", "rw,nosuid,x-systemd.automount,_netdev,ro", "/m"]).unwrap();
        assert!(args.read_only);
        let error = mount(&["-o", "colour=blue", "/m"]).unwrap_err().to_string();
        assert!(error.contains("colour"), "{error}");
    }

    #[test]
    fn of_an_option_given_twice_the_last_one_counts() {
        let second = Duration::from_secs(2);
        let refresh = |arguments: &[&str]| mount(arguments).unwrap().refresh;
        assert_eq!(refresh(&["--refresh", "1", "--refresh", "2", "/m"]), Some(second));
        assert_eq!(refresh(&["-o", "refresh=1,refresh=2", "/m"]), Some(second));
    }

    #[test]
    fn a_mount_option_s_silence_does_not_undo_a_flag() {
        let args = mount(&["--public", "--refresh", "5", "-o", "names=id", "/m"]).unwrap();
        assert!(args.public && args.names == Names::Id);
        assert_eq!(args.refresh, Some(Duration::from_secs(5)));
    }

    #[test]
    fn of_user_gist_and_starred_only_one_can_be_meant() {
        let id = "aa5a315d61ae9438b18d";
        let args = mount(&["--gist", &format!("https://gist.github.com/octo/{id}"), "/m"]).unwrap();
        let gist = args.gist.unwrap();
        assert_eq!((gist.id.as_str(), gist.host.as_deref()), (id, Some("gist.github.com")));
        for none in ["a b", "octo", "https://gist.github.com/octo", "starred"] {
            assert!(mount(&["--gist", none, "/m"]).is_err(), "{none}");
        }
        let options = ["--user=x", "--gist=1", "--starred"];
        for (at, one) in options.iter().enumerate() {
            for other in &options[at + 1..] {
                let error = mount(&[one, other, "/m"]).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::ArgumentConflict, "{one} {other}");
                let (a, b) = (one.trim_start_matches("--"), other.trim_start_matches("--"));
                let error = mount(&["-o", &format!("{a},{b}"), "/m"]).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::ArgumentConflict, "-o {a},{b}");
                let error = mount(&[one, "-o", b, "/m"]).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::ArgumentConflict, "{one} -o {b}");
            }
        }
    }

    #[test]
    fn sizes_times_and_bits_read_as_people_write_them() {
        assert_eq!(size("512"), Ok(512));
        assert_eq!(size("64M"), Ok(64 << 20));
        assert_eq!(size("2GiB"), Ok(2 << 30));
        for wrong in ["", "M", "1.5G", "-1", "99999999999T", "1é"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        assert_eq!((file_size("100M"), file_size("4K")), (Ok(100 << 20), Ok(4 << 10)));
        for wrong in ["0", "101M", "104857601", "1G", "x"] {
            assert!(file_size(wrong).is_err(), "{wrong}");
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
