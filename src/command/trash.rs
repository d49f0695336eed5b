//! `gistfs trash`: through the mounts that run, and in the state of accounts that nothing mounts.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::out::{complain, say};
use super::{confirm, not_mounted, unheard, wanted};
use crate::api::absent::Absent;
use crate::cli::{TrashCommand, TrashListArgs, TrashPurgeArgs, TrashRestoreArgs, TrashWhere};
use crate::error::Error;
use crate::exit::{Exit, Failure};
use crate::model::Time;
use crate::mount::control::{self, Ask};
use crate::mount::{point, unusable_state};
use crate::store::Store;
use crate::sync::trash::{TrashAsk, TrashItem, TrashReply, TrashState};
use crate::sync::{Options, Syncer};

/// Bytes of bodies in memory while nothing is mounted.
const MEMORY: usize = 1 << 20;

pub(super) fn run(command: &TrashCommand) -> Result<ExitCode, Failure> {
    match command {
        TrashCommand::List(args) => list(args),
        TrashCommand::Restore(args) => restore(args),
        TrashCommand::Purge(args) => purge(args),
    }
}

/// The trash of one account.
struct Can {
    /// Where it is mounted, or was last.
    mountpoint: Option<PathBuf>,
    /// What is in it.
    reply: TrashReply,
    /// Who answers when nothing is mounted; holds the state's lock.
    closed: Option<Arc<Syncer>>,
}

impl Can {
    fn ask(&self, ask: TrashAsk) -> Result<TrashReply, Failure> {
        if let Some(syncer) = &self.closed {
            return Ok(syncer.trash(&ask));
        }
        let point = self.mountpoint.as_deref().unwrap_or(Path::new(""));
        let reply = control::ask(point, &Ask::Trash(ask), &mut |_| {})
            .map_err(|error| unheard(point, &error))?;
        reply.and_then(|reply| reply.trash).ok_or_else(|| not_mounted(point))
    }
}

/// A word on the command line that is a mount point says whose trash is meant.
fn whose(place: &TrashWhere, words: &[PathBuf]) -> (TrashWhere, Vec<PathBuf>) {
    let mut place = place.clone();
    let (points, words): (Vec<PathBuf>, Vec<PathBuf>) =
        words.iter().cloned().partition(|word| point::is_gistfs(word));
    if place.mount.is_none() {
        place.mount = points.into_iter().next();
    }
    (place, words)
}

fn cans(place: &TrashWhere) -> Result<Vec<Can>, Failure> {
    let base = crate::config::state_base(place.state_dir.as_deref())?;
    let list = Ask::Trash(TrashAsk::List);
    let mount = place.mount.as_deref().map(crate::config::absolute).transpose()?;
    let replies = match &mount {
        Some(mount) => control::ask(mount, &list, &mut |_| {})
            .map_err(|error| unheard(mount, &error))?
            .into_iter()
            .collect(),
        None => control::ask_all(&list, &mut |_| {})
            .map_err(|error| unheard(Path::new("the mounts"), &error))?,
    };
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut cans: Vec<Can> = replies
        .into_iter()
        .filter_map(|reply| {
            let mountpoint = reply.mountpoint.map(PathBuf::from);
            Some(Can { mountpoint, reply: reply.trash?, closed: None })
        })
        .filter(|can| {
            place.state_dir.is_none()
                || real(Path::new(&can.reply.directory)).starts_with(real(&base))
        })
        .collect();
    if mount.is_some() && !cans.is_empty() {
        return Ok(cans);
    }
    for directory in accounts(&base) {
        let open = cans.iter().any(|can| real(Path::new(&can.reply.directory)) == real(&directory));
        let holder = Store::holder(&directory).map(PathBuf::from);
        let other = mount.is_some() && mount != holder;
        if !open && !other {
            cans.extend(closed(&directory, holder)?);
        }
    }
    match mount {
        Some(mount) if cans.is_empty() => Err(not_mounted(&mount)),
        Some(_) | None => Ok(cans),
    }
}

/// The state directories below `base`.
fn accounts(base: &Path) -> Vec<PathBuf> {
    let below = |directory: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
    };
    let mut accounts: Vec<PathBuf> = below(base).iter().flat_map(|host| below(host)).collect();
    accounts.retain(|account| account.join("lock").exists());
    accounts.sort();
    accounts
}

/// The trash of an account that nothing mounts; `None`, with a word, if something does.
fn closed(directory: &Path, holder: Option<PathBuf>) -> Result<Option<Can>, Failure> {
    let user = holder.as_deref().unwrap_or(directory).to_string_lossy().into_owned();
    let store = match Store::open(directory, &user, MEMORY) {
        Ok(store) => store,
        Err(error @ Error::Local { errno: libc::EBUSY, .. }) => {
            complain!("gistfs: {error}\n  its trash is left out; is XDG_RUNTIME_DIR the same?");
            return Ok(None);
        }
        Err(error) => return Err(unusable_state(error)),
    };
    let syncer = Arc::new(Syncer::new(Arc::new(store), Arc::new(Absent), Options::default()));
    let reply = syncer.trash(&TrashAsk::List);
    Ok(Some(Can { mountpoint: holder, reply, closed: Some(syncer) }))
}

fn list(args: &TrashListArgs) -> Result<ExitCode, Failure> {
    let (place, words) = whose(&args.place, args.what.as_slice());
    let mut cans = cans(&place)?;
    if !words.is_empty() {
        let chosen = chosen(&cans, &words)?;
        for (can, items) in cans.iter_mut().zip(chosen) {
            can.reply.items = items;
        }
    }
    if args.json {
        print_json(&cans)?;
    } else if cans.iter().all(|can| can.reply.items.is_empty()) {
        say!("The trash is empty.");
    } else {
        cans.iter().for_each(print_can);
    }
    let failed: Vec<&String> = cans.iter().flat_map(|can| &can.reply.failed).collect();
    failed.iter().for_each(|failed| complain!("gistfs: {failed}"));
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { Exit::Failed.into() })
}

fn restore(args: &TrashRestoreArgs) -> Result<ExitCode, Failure> {
    let (place, words) = whose(&args.place, &args.what);
    let cans = cans(&place)?;
    let chosen = choose(&cans, &words, args.all)?;
    let mut exit = ExitCode::SUCCESS;
    let (mut anew, mut later) = (false, false);
    for (can, items) in cans.iter().zip(chosen).filter(|(_, items)| !items.is_empty()) {
        let names = items.into_iter().map(|item| item.name).collect();
        let reply = can.ask(TrashAsk::Restore(names))?;
        print_done(&reply, &mut exit);
        anew |= reply.anew;
        later |= can.closed.is_some() && !reply.done.is_empty();
    }
    if anew {
        say!("What is made anew has a new id; history, stars and comments are gone.");
    }
    if later {
        say!("The next mount sends it.");
    }
    Ok(exit)
}

fn purge(args: &TrashPurgeArgs) -> Result<ExitCode, Failure> {
    let (place, words) = whose(&args.place, &args.what);
    let cans = cans(&place)?;
    let all = args.all || (words.is_empty() && args.older_than.is_some());
    let mut chosen = choose(&cans, &words, all)?;
    for items in &mut chosen {
        // Nothing of these is in the trash alone.
        items.retain(|item| !(all && item.state.is_unsent()) && is_older(item, args.older_than));
    }
    let items: Vec<&TrashItem> = chosen.iter().flatten().collect();
    if items.is_empty() {
        say!("There is nothing to purge.");
        return Ok(ExitCode::SUCCESS);
    }
    if !args.yes && !confirmed(&items)? {
        say!("Nothing was purged.");
        return Ok(Exit::Failed.into());
    }
    let mut exit = ExitCode::SUCCESS;
    for (can, items) in cans.iter().zip(chosen).filter(|(_, items)| !items.is_empty()) {
        let names = items.into_iter().map(|item| item.name).collect();
        print_done(&can.ask(TrashAsk::Purge(names))?, &mut exit);
    }
    Ok(exit)
}

fn is_older(item: &TrashItem, age: Option<Duration>) -> bool {
    let Some(age) = age else { return true };
    let removed = item.removed.as_deref().and_then(Time::parse);
    removed.is_some_and(|removed| removed <= Time::now().before(age))
}

fn confirmed(items: &[&TrashItem]) -> Result<bool, Failure> {
    confirm::can_ask("purging")?;
    items.iter().for_each(|item| print_item(item));
    confirm::confirmed(&format!("Remove {} for good?", counted(items.len())))
}

/// The items meant, can by can.
fn choose(cans: &[Can], words: &[PathBuf], all: bool) -> Result<Vec<Vec<TrashItem>>, Failure> {
    let usage = |message: &str, hint: &str| Err(Failure::new(Exit::Usage, message, hint));
    match (all, words.is_empty()) {
        (true, true) => Ok(cans.iter().map(|can| can.reply.items.clone()).collect()),
        (false, false) => chosen(cans, words),
        (true, false) => usage("--all is everything, and more was named", "leave one of them out"),
        (false, true) => {
            usage("it is not said what", "name it as in gistfs trash list, or say --all")
        }
    }
}

fn chosen(cans: &[Can], words: &[PathBuf]) -> Result<Vec<Vec<TrashItem>>, Failure> {
    let mut chosen: Vec<Vec<TrashItem>> = cans.iter().map(|_| vec![]).collect();
    for word in words {
        let word = word.to_string_lossy();
        let found = |can: &'_ Can| -> Vec<TrashItem> {
            let found = wanted::find(&can.reply.items, &word, can.mountpoint.as_deref());
            found.into_iter().cloned().collect()
        };
        let found: Vec<Vec<TrashItem>> = cans.iter().map(found).collect();
        wanted::clear(&word, &found.iter().flatten().collect::<Vec<_>>())?;
        for (chosen, found) in chosen.iter_mut().zip(found) {
            for item in found {
                if !chosen.contains(&item) {
                    chosen.push(item);
                }
            }
        }
    }
    Ok(chosen)
}

fn print_done(reply: &TrashReply, exit: &mut ExitCode) {
    reply.done.iter().for_each(|done| say!("{done}"));
    for failed in &reply.failed {
        complain!("gistfs: {failed}");
        *exit = Exit::Failed.into();
    }
}

fn print_can(can: &Can) {
    if can.reply.items.is_empty() {
        return;
    }
    match (&can.mountpoint, &can.closed) {
        (Some(point), None) => say!("{}:", point.display()),
        (Some(_) | None, _) => say!("{} (not mounted):", can.reply.directory),
    }
    can.reply.items.iter().for_each(print_item);
}

fn print_item(item: &TrashItem) {
    let state = match item.state {
        TrashState::Deleted => "deleted",
        TrashState::Elsewhere => "deleted elsewhere",
        TrashState::Pending => "deletion pending",
        TrashState::Held => "deletion held",
        TrashState::File => "file removed",
        TrashState::Unsent => "file removal pending",
    };
    let (there, missing): (Vec<_>, Vec<_>) = item.files.iter().partition(|file| !file.missing);
    let size: u64 = there.iter().map(|file| file.size).sum();
    let what = match item.files.first() {
        Some(file) if !item.state.is_gist() => format!("{:?} of {:?}", file.name, item.title),
        Some(_) | None => format!("{:?}, {} files", item.title, there.len()),
    };
    let at = item.removed.as_deref().unwrap_or("-");
    say!("  {}  {at}  {state}: {what}, {size} bytes", item.name);
    for file in missing {
        say!("    {:?} could not be kept", file.name);
    }
}

fn counted(count: usize) -> String {
    if count == 1 { "it".into() } else { format!("these {count}") }
}

fn print_json(cans: &[Can]) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Shown<'a> {
        directory: &'a str,
        mountpoint: Option<&'a Path>,
        mounted: bool,
        items: &'a [TrashItem],
    }
    let shown: Vec<Shown<'_>> = cans
        .iter()
        .map(|can| Shown {
            directory: &can.reply.directory,
            mountpoint: can.mountpoint.as_deref(),
            mounted: can.closed.is_none(),
            items: &can.reply.items,
        })
        .collect();
    let text = serde_json::to_string_pretty(&shown)
        .map_err(|error| Failure::new(Exit::Failed, error.to_string(), "please report this"))?;
    say!("{text}");
    Ok(())
}
