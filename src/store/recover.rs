//! Opening the state whatever happened to it: what GitHub does not have comes first.
//!
//! `state.db` is the truth if it can be read and nothing committed is missing from it. If it is
//! damaged it is set aside, a new one begins with the second copies in `owed/`, and everything
//! else is on GitHub.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::blobs::Blobs;
use super::db::{Change, Db, Unusable};
use super::gist::{Attempt, Gist, GistKey};
use super::owed::{Copy, Found, Owed};
use crate::error::Error;
use crate::model::{GistId, Time};

/// The state as it was found or put together again.
pub(super) struct Opened {
    pub(super) db: Db,
    pub(super) owed: Owed,
    pub(super) gists: BTreeMap<GistKey, Gist>,
}

/// Opens the database in `directory` and the copies beside it, and mends what does not agree.
pub(super) fn open(directory: &Path, blobs: &Blobs) -> Result<Opened, Error> {
    let (mut owed, mut found) = Owed::open(directory)?;
    // That a gist has no copy says nothing where one cannot be read.
    found.complete &= found.unreadable.is_empty();
    let path = directory.join("state.db");
    let opened = match no_database(directory) {
        Some(why) => Err(Unusable::Damaged(why)),
        None => Db::open(&path),
    };
    let mut place = None;
    let (mut db, gists) = match opened {
        Ok(opened) => opened,
        Err(Unusable::Failed(error)) => return Err(error),
        Err(Unusable::Damaged(why)) => {
            let aside = set_aside(directory)?;
            log::warn!(
                "{} is damaged ({why}); it is now in {}. {}",
                path.display(),
                aside.display(),
                what_comes_back(&found)
            );
            place = Some(aside);
            Db::open(&path).map_err(|error| match error {
                Unusable::Failed(error) => error,
                Unusable::Damaged(why) => Error::Local {
                    errno: libc::EIO,
                    message: format!("{}: damaged as soon as it is made: {why}", path.display()),
                },
            })?
        }
    };
    let mut gists: BTreeMap<GistKey, Gist> =
        gists.into_iter().map(|gist| (gist.key, gist)).collect();
    put_away(directory, place, &found)?;
    let newest = found.copies.iter().map(|copy| copy.commit).chain(found.last_commit).max();
    if newest.is_some_and(|newest| newest > db.commits()) {
        if gists.is_empty() && db.commits() == 0 {
            log::info!("{}", what_comes_back(&found));
        } else {
            log::warn!(
                "{} lacks its last changes; the copies of what is unsent have them",
                path.display()
            );
        }
        let changes = catch_up(&mut gists, &found, db.commits());
        db.count_from(newest.unwrap_or_default());
        let rows: Vec<Change<'_>> = changes
            .iter()
            .map(|(key, old)| Change { old: old.as_ref(), new: gists.get(key) })
            .collect();
        db.save(&rows)?;
        for (key, _) in &changes {
            if let Some(gist) = gists.get(key) {
                name_missing_bodies(gist, blobs);
            }
        }
    }
    reconcile(&mut owed, &found.copies, &gists, db.commits());
    Ok(Opened { db, owed, gists })
}

/// What SQLite would take for an empty database, or trip over.
fn no_database(directory: &Path) -> Option<String> {
    let data = |name: &str| fs::symlink_metadata(directory.join(name)).ok();
    let names = ["state.db", "state.db-wal", "state.db-shm"];
    if let Some(name) = names.iter().find(|name| data(name).is_some_and(|data| !data.is_file())) {
        return Some(format!("{name} is no file"));
    }
    let size = |name: &str| data(name).map_or(0, |data| data.len());
    (size("state.db") == 0 && size("state.db-wal") > 0)
        .then(|| "it is empty, and its log is not".into())
}

fn what_comes_back(found: &Found) -> String {
    match found.copies.len() {
        0 => "Nothing in it was unsent; the rest comes from GitHub".into(),
        1 => "The one gist with unsent changes was saved; the rest comes from GitHub".into(),
        some => format!("{some} gists with unsent changes were saved; the rest comes from GitHub"),
    }
}

/// Moves the database and what belongs to it into a directory of its own.
fn set_aside(directory: &Path) -> Result<PathBuf, Error> {
    let place = new_place(directory)?;
    for name in ["state.db", "state.db-wal", "state.db-shm", "state.db-journal"] {
        let from = directory.join(name);
        match fs::rename(&from, place.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::local(&format!("cannot set {} aside", from.display()), &error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(place)
}

/// A new directory for what is damaged, called by the time.
fn new_place(directory: &Path) -> Result<PathBuf, Error> {
    let digits = |c: char| c.is_ascii_digit() || c == 'T';
    let now: String = Time::now().to_string().chars().filter(|c| digits(*c)).collect();
    let name = format!("damaged-{}", now.replace('T', "-"));
    for number in 1.. {
        let suffix = if number == 1 { String::new() } else { format!("-{number}") };
        let place = directory.join(format!("{name}{suffix}"));
        match fs::DirBuilder::new().mode(0o700).create(&place) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(Error::local(&format!("cannot make {}", place.display()), &error));
            }
            Ok(()) => return Ok(place),
        }
    }
    Err(Error::Invalid)
}

/// Copies that cannot be read make room for new ones, and stay for whoever can read them.
fn put_away(directory: &Path, place: Option<PathBuf>, found: &Found) -> Result<(), Error> {
    if found.unreadable.is_empty() {
        return Ok(());
    }
    let place = place.map_or_else(|| new_place(directory), Ok)?;
    for (path, why) in &found.unreadable {
        log::warn!("{} cannot be read ({why}); it is now in {}", path.display(), place.display());
        let moved = path.file_name().map(|name| fs::rename(path, place.join(name)));
        if let Some(Err(error)) = moved {
            log::warn!("cannot move {}: {error}", path.display());
        }
    }
    Ok(())
}

/// Brings gists that are as they were `commits` commits ago to what the copies say. Tells which
/// ones changed, and what they were.
fn catch_up(
    gists: &mut BTreeMap<GistKey, Gist>,
    found: &Found,
    commits: i64,
) -> Vec<(GistKey, Option<Gist>)> {
    let mut before: BTreeMap<GistKey, Option<Gist>> = BTreeMap::new();
    let mut newer: Vec<&Copy> = found.copies.iter().filter(|copy| copy.commit > commits).collect();
    newer.sort_by_key(|copy| copy.commit);
    let mut by_id: HashMap<GistId, GistKey> = gists
        .values()
        .filter_map(|gist| Some((gist.base.as_ref()?.id.clone(), gist.key)))
        .collect();
    for copy in newer {
        let gist = &copy.gist;
        // One id, one gist: the newest copy has the last word.
        let id = gist.base.as_ref().map(|base| base.id.clone());
        if let Some(other) = id.and_then(|id| by_id.insert(id, gist.key))
            && other != gist.key
        {
            let old = gists.remove(&other);
            before.entry(other).or_insert(old);
        }
        let old = gists.insert(gist.key, gist.clone());
        before.entry(gist.key).or_insert(old);
    }
    let copied: Vec<GistKey> = found.copies.iter().map(|copy| copy.gist.key).collect();
    let doubtful: Vec<GistKey> = gists
        .values()
        .filter(|gist| gist.owes() && !copied.contains(&gist.key))
        .map(|gist| gist.key)
        .collect();
    for key in doubtful {
        let Some(old) = gists.remove(&key) else { continue };
        if let Some(gist) = settled_since(&old, found.complete) {
            gists.insert(key, gist);
        }
        before.entry(key).or_insert(Some(old));
    }
    before.into_iter().collect()
}

/// What to make of a gist that owed something at some time before the end and has no copy.
fn settled_since(gist: &Gist, complete: bool) -> Option<Gist> {
    match &gist.base {
        // All copies are there: what it owed was sent, and GitHub says what it is now.
        Some(base) if complete => Some(Gist::of_remote(gist.key, base.clone())),
        None if complete => None,
        Some(_) => Some(gist.clone()),
        // Maybe it was created since: it is looked for before it is sent.
        None => {
            let blobs = gist.files.iter().filter(|(name, _)| !gist.is_scratch(name));
            let blobs = blobs.filter_map(|(name, file)| Some((name.clone(), file.blob()?)));
            let sent =
                Attempt::after(gist.attempt.as_ref(), gist.description.clone(), blobs.collect());
            Some(Gist { attempt: Some(sent), ..gist.clone() })
        }
    }
}

/// Says which files of a gist that was put together again have lost their bytes. They are never
/// sent: see [`crate::sync::plan::Hold::Lost`].
fn name_missing_bodies(gist: &Gist, blobs: &Blobs) {
    for (name, file) in &gist.files {
        let Some(blob) = file.blob().filter(|blob| gist.source(*blob).is_none()) else { continue };
        if !blobs.holds(blob) {
            log::warn!(
                "{:?}: the bytes of {name:?} ({} bytes, unsent) are lost; write the file again or remove it",
                gist.description,
                file.size()
            );
        }
    }
}

/// Makes the copies say what the gists are.
fn reconcile(owed: &mut Owed, copies: &[Copy], gists: &BTreeMap<GistKey, Gist>, commits: i64) {
    let copied: HashMap<GistKey, &Gist> =
        copies.iter().map(|copy| (copy.gist.key, &copy.gist)).collect();
    for gist in gists.values().filter(|gist| gist.owes()) {
        if !copied.get(&gist.key).is_some_and(|copy| same(copy, gist)) {
            owed.keep(gist, commits);
        }
    }
    for key in copied.keys().filter(|key| !gists.get(*key).is_some_and(Gist::owes)) {
        owed.forget(*key);
    }
    owed.note(commits);
}

/// Whether both are the same but for what is not remembered.
fn same(copy: &Gist, gist: &Gist) -> bool {
    Gist { upload: copy.upload.clone(), ..gist.clone() } == *copy
}

#[cfg(test)]
#[path = "recover_tests.rs"]
mod tests;
