//! `gistfs publish` and `gistfs hide`: a new gist with the other visibility takes a gist's place.

use std::process::ExitCode;

use super::out::say;
use super::{confirm, hands, meant};
use crate::cli::RepublishArgs;
use crate::exit::{Exit, Failure};
use crate::mount::control::{GistAsk, GistReply};
use crate::sync::show::{plain, quoted};

/// Makes the new gist, then moves the old one to the trash if the user agrees.
pub(super) fn run(args: &RepublishArgs, public: bool) -> Result<ExitCode, Failure> {
    let word = args.path.to_str().ok_or_else(|| no_mount("the path is not UTF-8"))?;
    let meant = meant::gist(word)?;
    let mount = meant.mount.as_deref().ok_or_else(|| no_mount("it is no path in a mount"))?;
    if meant.file.is_some() {
        return Err(Failure::new(
            Exit::Usage,
            format!("{word:?} is a file: a gist is public or secret as a whole"),
            "name the gist's directory",
        ));
    }
    if !args.yes {
        confirm::can_ask("moving the old gist to the trash")?;
    }
    let id = meant.id.clone();
    let ask = if public { GistAsk::Publish(id) } else { GistAsk::Hide(id) };
    let old = hands::ask(mount, GistAsk::Find(meant.id.clone()))?;
    let new = hands::ask(mount, ask)?;
    say_made(&new, public);
    let address = plain(old.url.as_deref().unwrap_or(meant.id.as_str()));
    if !args.yes && !confirm::confirmed(&format!("Move the old one, {address}, to the trash?"))? {
        say!("Both stay.");
        return Ok(ExitCode::SUCCESS);
    }
    let Some(made) = new.id else { return Err(no_mount("the new gist has no id")) };
    let replaced = hands::ask(mount, GistAsk::Replace(meant.id, made));
    let new = replaced.map_err(|failure| match failure.exit == Exit::MountPoint {
        true => Failure { message: format!("the old one stays: {}", failure.message), ..failure },
        false => failure,
    })?;
    say!("The old one, {address}, is in the trash: see gistfs trash list.");
    if let Some(path) = &new.path {
        say!("The new one is {}", plain(path));
    }
    Ok(ExitCode::SUCCESS)
}

fn say_made(new: &GistReply, public: bool) {
    let word = if public { "public" } else { "secret" };
    let title = quoted(new.title.as_deref().unwrap_or_default());
    let url = plain(new.url.as_deref().unwrap_or_default());
    say!("GitHub cannot change who sees a gist. A new one is made, {word}: {title}, {url}");
    say!("It has a new id and address; history, stars and comments stay with the old one.");
}

fn no_mount(why: &str) -> Failure {
    Failure::new(Exit::Usage, why, "name a gist of yours by its path in a mount")
}
