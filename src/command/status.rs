//! `gistfs status`: what runs is asked, and what does not is read from its state.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::out::say;
use super::{not_mounted, unheard};
use crate::cli::{Section, StatusArgs};
use crate::exit::{Exit, Failure};
use crate::mount::control::{self, Ask, Reply};
use crate::mount::point;
use crate::store::Store;
use crate::sync::report::{self, Report};
use crate::sync::show::Clock;
use crate::sync::status::{Mounted, Status};

/// Does what the user asked for.
pub(super) fn run(args: &StatusArgs) -> Result<ExitCode, Failure> {
    let all = match &args.mountpoint {
        Some(mountpoint) => of(&crate::config::absolute(mountpoint)?, args)?,
        None => all(args)?,
    };
    if args.json {
        let text = serde_json::to_string_pretty(&all)
            .map_err(|error| Failure::new(Exit::Failed, error.to_string(), "please report this"))?;
        say!("{text}");
        return Ok(ExitCode::SUCCESS);
    }
    let clock = Clock::now();
    if let Some(section) = args.only {
        print_only(&all, section, args.mountpoint.is_some(), &clock);
        return Ok(ExitCode::SUCCESS);
    }
    if !all.iter().any(|status| status.mounted == Mounted::Yes) {
        say!("Nothing is mounted.");
    }
    all.iter().flat_map(|status| status.lines(&clock)).for_each(|line| say!("{line}"));
    Ok(ExitCode::SUCCESS)
}

/// Prints a part of each, below a line that says whose it is where that was not asked.
fn print_only(all: &[Status], section: Section, asked: bool, clock: &Clock) {
    let alone = asked && all.len() == 1;
    for status in all {
        if !alone {
            say!("{}", status.head());
        }
        let lines = match section {
            Section::RateLimit => status.limits(clock),
            Section::Pending => status.pending(clock),
        };
        let indent = if alone { "" } else { "  " };
        lines.iter().for_each(|line| say!("{indent}{line}"));
    }
}

/// The mount at a place, or the accounts that were mounted there last.
fn of(mountpoint: &Path, args: &StatusArgs) -> Result<Vec<Status>, Failure> {
    let reply = control::ask(mountpoint, &Ask::Status, &mut |_| {})
        .map_err(|error| unheard(mountpoint, &error))?;
    if let Some(status) = reply.and_then(|reply| reply.status) {
        return Ok(vec![status]);
    }
    let real = mountpoint.canonicalize().ok();
    let mut found = states(args, &[])?;
    found.retain(|status| {
        let last = Path::new(&status.mountpoint);
        last == mountpoint || (real.is_some() && last.canonicalize().ok() == real)
    });
    if !found.is_empty() {
        return Ok(found);
    }
    if point::is_dead(mountpoint) {
        return Err(Failure::new(
            Exit::MountPoint,
            format!("the mount on {} is dead: its process is gone", mountpoint.display()),
            "mount again with gistfs mount: what was not sent is kept and goes then",
        ));
    }
    Err(not_mounted(mountpoint))
}

/// Every mount of this user, and every account that is not mounted.
fn all(args: &StatusArgs) -> Result<Vec<Status>, Failure> {
    let replies = control::ask_all(&Ask::Status, &mut |_| {})
        .map_err(|error| unheard(Path::new("the mounts"), &error))?;
    let status = |reply: Reply| reply.status;
    let mut all: Vec<Status> = replies.into_iter().filter_map(status).collect();
    all.sort_by(|a, b| a.mountpoint.cmp(&b.mountpoint));
    let rest = states(args, &all)?;
    all.extend(rest);
    Ok(all)
}

/// What the states below the state directory say, but for those of `mounted`.
fn states(args: &StatusArgs, mounted: &[Status]) -> Result<Vec<Status>, Failure> {
    let base = match crate::config::state_base(args.state_dir.as_deref()) {
        Ok(base) => base,
        Err(failure) if args.state_dir.is_some() => return Err(failure),
        // Without a home there is nothing that could have been kept there.
        Err(_) => return Ok(Vec::new()),
    };
    let mut found = Vec::new();
    for host in entries(&base) {
        for directory in entries(&host) {
            let known = mounted.iter().any(|status| Path::new(&status.state) == directory);
            if !known && directory.join("state.db").is_file() {
                found.push(read(&host, &directory, mounted));
            }
        }
    }
    Ok(found)
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn read(host: &Path, directory: &Path, others: &[Status]) -> Status {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mountpoint = Store::holder(directory).unwrap_or_default();
    let point = Path::new(&mountpoint);
    let taken = others.iter().any(|status| status.mountpoint == mountpoint);
    let mounted = if taken || mountpoint.is_empty() {
        Mounted::No
    } else if point::is_dead(point) {
        Mounted::Dead
    } else if point::is_gistfs(point) {
        Mounted::Silent
    } else {
        Mounted::No
    };
    Status {
        mounted,
        host: name(host),
        api: None,
        account: name(directory),
        read_only: None,
        pid: None,
        state: directory.to_string_lossy().into_owned(),
        report: report::of_state(directory).unwrap_or_else(|error| Report {
            trouble: Some(error.to_string()),
            ..Report::default()
        }),
        mountpoint,
    }
}
