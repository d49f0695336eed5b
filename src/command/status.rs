//! `gistfs status`: what runs is asked, and what does not is read from its state.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::show::{Clock, plain, print_owing, quoted};
use super::{not_mounted, unheard};
use crate::cli::StatusArgs;
use crate::exit::{Exit, Failure};
use crate::mount::control::{self, Ask, Mounted, Reply, Status};
use crate::mount::{account, point};
use crate::store::Store;
use crate::sync::report::{self, Report};

/// Does what the user asked for.
pub(super) fn run(args: &StatusArgs) -> Result<ExitCode, Failure> {
    let all = match &args.mountpoint {
        Some(mountpoint) => of(&crate::config::absolute(mountpoint)?, args)?,
        None => all(args)?,
    };
    if args.json {
        let text = serde_json::to_string_pretty(&all)
            .map_err(|error| Failure::new(Exit::Failed, error.to_string(), "please report this"))?;
        println!("{text}");
        return Ok(ExitCode::SUCCESS);
    }
    if !all.iter().any(|status| status.mounted == Mounted::Yes) {
        println!("Nothing is mounted.");
    }
    let clock = Clock::new();
    all.iter().for_each(|status| print(status, &clock));
    Ok(ExitCode::SUCCESS)
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

fn print(status: &Status, clock: &Clock) {
    let point = plain(&status.mountpoint);
    let title = account::title(&status.account);
    let account = format!("{} on {}", plain(&title), plain(&status.host));
    let report = &status.report;
    match status.mounted {
        Mounted::Yes if title == status.account => {
            println!("{point}: {} gists of {account}", report.gists);
        }
        Mounted::Yes => println!("{point}: {account} ({} here)", report.gists),
        Mounted::No if point.is_empty() => println!("{account}: not mounted"),
        Mounted::No => println!("{account}: not mounted (last on {point})"),
        Mounted::Dead => println!("{account}: dead mount; run gistfs mount {point} again"),
        Mounted::Silent => println!(
            "{account}: mounted on {point}, but it does not answer; is XDG_RUNTIME_DIR the same \
             as when it was mounted?"
        ),
    }
    if let Some(why) = &status.read_only {
        println!("  read-only: {}", plain(why));
    }
    match &report.quota {
        Some(quota) => println!(
            "  quota: {} of {} requests left until {}",
            quota.remaining,
            quota.limit,
            clock.time(&quota.reset)
        ),
        None if status.mounted == Mounted::Yes => println!("  quota: no limit known"),
        None => {}
    }
    if let Some(pace) = &report.pace {
        println!(
            "  changes: {} sent in the last minute ({} left), {} in the last hour ({} left)",
            pace.minute, pace.minute_left, pace.hour, pace.hour_left
        );
    }
    if let Some(waiting) = &report.waiting {
        println!("  limited until {}: {}", clock.until(&waiting.until), plain(&waiting.why));
    }
    if let Some(trouble) = &report.trouble {
        let here = status.mounted != Mounted::Yes || trouble.starts_with("local state");
        println!("  {}: {}", if here { "state" } else { "GitHub" }, plain(trouble));
    }
    if let Some(held) = &report.held {
        println!("  {held}");
    }
    print_what_is_here(status, clock);
}

fn print_what_is_here(status: &Status, clock: &Clock) {
    let report = &status.report;
    if report.owing.is_empty() && (report.trouble.is_none() || status.mounted == Mounted::Yes) {
        println!("  everything is on GitHub");
    }
    print_owing(&report.owing, clock);
    let going = report.owing.iter().filter(|gist| gist.goes_by_itself()).count();
    if let Some(pace) = report.pace.as_ref().filter(|_| going > 1) {
        println!("  all {going} that go by themselves can be sent by {}", clock.until(&pace.all));
    }
    for conflict in &report.conflicts {
        let title = quoted(&conflict.title);
        if let Some(file) = &conflict.file {
            println!("  {title}: conflict: {} is a version of its own", quoted(file));
        }
        if let Some(description) = &conflict.description {
            println!("  {title}: conflict: also described as {}", quoted(description));
        }
    }
    for file in &report.scratch {
        println!("  scratch, never sent: {} of {}", quoted(&file.name), quoted(&file.title));
    }
}
