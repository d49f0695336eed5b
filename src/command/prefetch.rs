//! `gistfs prefetch`: have everything here before the network goes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::meant::mount_of;
use super::out::say;
use super::progress::Bar;
use super::{not_mounted, unheard};
use crate::cli::PrefetchArgs;
use crate::exit::{Exit, Failure};
use crate::mount::control::{self, Ask};
use crate::mount::point;
use crate::sync::prefetch::Prefetched;
use crate::sync::show::quoted;

/// Fetches what the paths name, and says what is here then and what is not.
pub(super) fn run(args: &PrefetchArgs) -> Result<ExitCode, Failure> {
    let mut exit = ExitCode::SUCCESS;
    for (mount, paths) in by_mount(&args.paths)? {
        let bar = Bar::new();
        let mut begun = false;
        let reply = control::ask(&mount, &Ask::Prefetch(paths), &mut |progress| {
            begun = true;
            bar.see(progress);
        });
        drop(bar);
        let reply = match reply {
            Err(error) if begun => {
                log::debug!("{error}");
                None
            }
            other => other.map_err(|error| unheard(&mount, &error))?,
        };
        let reply = reply.ok_or_else(|| if begun { ended(&mount) } else { not_mounted(&mount) })?;
        if let Some(failure) = reply.failure {
            return Err(failure);
        }
        let Some(done) = reply.prefetched else {
            let why = reply.error.unwrap_or_else(|| "the mount gave no answer".into());
            let hint = "mount again with this version of gistfs";
            return Err(Failure::new(Exit::Failed, why, hint));
        };
        tell(&done);
        if !done.is_complete() {
            exit = Exit::Failed.into();
        }
    }
    Ok(exit)
}

/// The mount did not live to say what came of it.
fn ended(mount: &Path) -> Failure {
    Failure::new(
        Exit::Failed,
        format!("the mount on {} ended before all was fetched", mount.display()),
        "what came is stored; mount again and prefetch the rest",
    )
}

/// Which mount is to fetch what.
fn by_mount(paths: &[PathBuf]) -> Result<BTreeMap<PathBuf, Vec<String>>, Failure> {
    if paths.is_empty() {
        return Ok(BTreeMap::from([(only_mount(point::mounts())?, vec![String::new()])]));
    }
    let mut all: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for path in paths {
        let real = path.canonicalize().map_err(|error| {
            let text = format!("cannot look at {}: {error}", path.display());
            Failure::new(Exit::Usage, text, "name a mount, a gist's directory, or a file in one")
        })?;
        let mount = mount_of(&real).ok_or_else(|| {
            Failure::new(
                Exit::MountPoint,
                format!("{} is in no mount of gistfs", path.display()),
                "mount with gistfs mount DIR, then name DIR or something in it",
            )
        })?;
        let below = real.strip_prefix(&mount).unwrap_or(Path::new(""));
        let below = below.to_string_lossy().into_owned();
        all.entry(mount).or_default().push(below);
    }
    Ok(all)
}

fn only_mount(mut mounts: Vec<PathBuf>) -> Result<PathBuf, Failure> {
    match (mounts.pop(), mounts.len()) {
        (Some(mount), 0) => Ok(mount),
        (None, _) => Err(Failure::new(
            Exit::MountPoint,
            "nothing is mounted, and only a mount can fetch",
            "mount first: gistfs mount DIR",
        )),
        (Some(_), others) => Err(Failure::new(
            Exit::Usage,
            format!("there are {} mounts", others + 1),
            "say which: gistfs prefetch DIR",
        )),
    }
}

fn tell(done: &Prefetched) {
    if done.broken_off {
        say!("Broken off; {} of {} can be read without a network.", done.here, files(done.files));
    } else {
        say!(
            "{} of {} can be read without a network; {} fetched now, {}.",
            done.here,
            files(done.files),
            if done.fetched == 1 { "1 body".into() } else { format!("{} bodies", done.fetched) },
            bytes(done.bytes)
        );
    }
    if let Some((all, most)) = done.too_small {
        let (all, most) = (bytes(all), bytes(most));
        say!(
            "All of it takes {all}, and --cache-size is {most}: {} left out.",
            files(done.no_room)
        );
    }
    if done.missing_count > 0 {
        say!("Not here:");
    }
    for (path, why) in &done.missing {
        say!("  {}: {}", quoted(path), crate::sync::show::plain(why));
    }
    if done.missing_count > done.missing.len() {
        say!("  and {} more", done.missing_count - done.missing.len());
    }
}

fn files(count: usize) -> String {
    if count == 1 { "1 file".into() } else { format!("{count} files") }
}

fn bytes(count: u64) -> String {
    match count {
        0..10_000 => format!("{count} B"),
        10_000..10_000_000 => format!("{} KB", count / 1000),
        10_000_000..10_000_000_000 => format!("{} MB", count / 1_000_000),
        10_000_000_000.. => format!("{} GB", count / 1_000_000_000),
    }
}
