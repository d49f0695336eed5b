//! `gistfs sync` and `gistfs unmount`: send what is owed, show how it goes, say what is left.

use std::path::Path;
use std::process::ExitCode;

use super::out::say;
use super::progress::Bar;
use super::show::print_left;
use super::{not_mounted, unheard};
use crate::cli::{SyncArgs, UnmountArgs};
use crate::exit::{Exit, Failure};
use crate::mount::control::{self, Ask, Reply};
use crate::mount::point;
use crate::sync::report::Owing;
use crate::sync::show::{self, quoted};
use crate::sync::standing::Standing;

/// `gistfs sync`.
pub(super) fn sync(args: &SyncArgs) -> Result<ExitCode, Failure> {
    let ask = Ask::FollowSync(args.timeout.as_secs_f64());
    let bar = Bar::new();
    let see = &mut |progress: &_| bar.see(progress);
    let all = match &args.mountpoint {
        Some(mountpoint) => {
            let mountpoint = crate::config::absolute(mountpoint)?;
            let reply = control::ask(&mountpoint, &ask, see);
            let reply = reply.map_err(|error| unheard(&mountpoint, &error))?;
            vec![reply.ok_or_else(|| nothing_to_sync(&mountpoint))?]
        }
        None => {
            control::ask_all(&ask, see).map_err(|error| unheard(Path::new("the mounts"), &error))?
        }
    };
    drop(bar);
    let mut exit = ExitCode::SUCCESS;
    let mut failed = None;
    for reply in all {
        failed = failed.or(reply.error);
        if !reply.left.is_empty() {
            print_left(&reply.left, reply.waiting.as_ref());
            exit = Exit::Failed.into();
        }
        if !reply.comments.is_empty() {
            show::comments(&reply.comments).for_each(|line| say!("{line}"));
            exit = Exit::Failed.into();
        }
    }
    match failed {
        Some(error) => Err(Failure::new(Exit::Failed, error, "see gistfs status")),
        None => Ok(exit),
    }
}

fn nothing_to_sync(mountpoint: &Path) -> Failure {
    if point::is_dead(mountpoint) {
        return Failure::new(
            Exit::MountPoint,
            format!("the mount on {} is dead: its process is gone", mountpoint.display()),
            "mount again with gistfs mount: what was not sent is kept and goes then",
        );
    }
    not_mounted(mountpoint)
}

/// `gistfs unmount`.
pub(super) fn unmount(args: &UnmountArgs) -> Result<ExitCode, Failure> {
    let mountpoint = crate::config::absolute(&args.mountpoint)?;
    let ask = Ask::FollowUnmount(args.timeout.as_secs_f64());
    let bar = Bar::new();
    let reply = control::ask(&mountpoint, &ask, &mut |progress| bar.see(progress));
    drop(bar);
    match reply.map_err(|error| unheard(&mountpoint, &error))? {
        Some(Reply { error: Some(error), .. }) => {
            Err(Failure::new(Exit::MountPoint, error, "close it and try again"))
        }
        Some(reply) => {
            if !reply.left.is_empty() {
                print_left(&reply.left, reply.waiting.as_ref());
                say!("{}", what_comes_of(&reply.left));
            }
            if let Some(held) = &reply.held {
                say!("{held}");
            }
            if reply.comments.is_empty() {
                return Ok(ExitCode::SUCCESS);
            }
            say!("Not sent, and gone with the mount:");
            for comment in &reply.comments {
                let (name, title) = (quoted(&comment.name), quoted(&comment.title));
                say!("  {name}, a comment on {title}");
            }
            Ok(Exit::Failed.into())
        }
        // A dead mount has nobody to ask; what it owed is in its state.
        None if point::is_dead(&mountpoint) || point::is_gistfs(&mountpoint) => {
            point::unmount(&mountpoint, true)
                .map_err(|error| Failure::new(Exit::MountPoint, error, "try fusermount3 -uz"))?;
            Ok(ExitCode::SUCCESS)
        }
        None => Err(not_mounted(&mountpoint)),
    }
}

fn what_comes_of(left: &[Owing]) -> &'static str {
    let stays = |gist: &&Owing| matches!(gist.state, Standing::Local(_));
    match left.iter().filter(stays).count() {
        0 => "It is kept here and will be sent by the next mount.",
        all if all == left.len() => "It is kept here, complete, and is there in the next mount.",
        _ => "It is kept here, complete; all but what is local will be sent by the next mount.",
    }
}
