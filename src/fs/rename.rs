//! Names that change: of files, within a gist and between two, and of gists.

use std::ffi::OsStr;

use super::hidden::READ_ONLY;
use super::namespace::{FLAT, RESERVED, settle_name};
use super::{GistFs, Wait, lock};
use crate::error::Error;
use crate::model::{FileName, Time};
use crate::store::gist::{Content, Gist, GistKey, LocalFile};
use crate::store::scratch;
use crate::sync::bodies::Source;
use crate::tree::names;
use crate::tree::{Ino, Place};

/// How a rename treats a target that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenameMode {
    /// It is replaced.
    Replace,
    /// It is an error.
    NoReplace,
    /// Both exchange their names.
    Exchange,
}

impl GistFs {
    /// Renames a file within a gist or between two, or a gist.
    ///
    /// Between gists the body must be stored here first, which may need the network.
    pub fn rename(
        &self,
        parent: Ino,
        name: &OsStr,
        new_parent: Ino,
        new_name: &OsStr,
        mode: RenameMode,
        wait: Wait,
    ) -> Result<(), Error> {
        self.writable()?;
        let hidden = [parent, new_parent].map(|ino| Self::hidden_place(&self.tree(), ino));
        if let [Some(place), _] | [None, Some(place)] = &hidden {
            if parent != new_parent {
                return Err(Error::CrossDevice);
            }
            if mode == RenameMode::Exchange {
                return Err(Error::Invalid);
            }
            return self.hidden_rename((parent, place), (name, new_name), mode, wait);
        }
        self.may_push(wait)?;
        let pushes = loop {
            match self.rename_now(parent, name, new_parent, new_name, mode)? {
                Renamed::Done(keys) => break keys,
                Renamed::Needs(source) => match wait {
                    Wait::No => return Err(Error::WouldWait),
                    Wait::Yes => self.syncer.store_body(&source)?,
                },
            }
        };
        self.syncer.poke();
        for key in pushes {
            self.push_if_through(key)?;
        }
        Ok(())
    }

    fn rename_now(
        &self,
        parent: Ino,
        name: &OsStr,
        new_parent: Ino,
        new_name: &OsStr,
        mode: RenameMode,
    ) -> Result<Renamed, Error> {
        let _turn = self.turn();
        let mut tree = self.tree();
        let shown = name.to_str().ok_or(Error::NotFound)?;
        for directory in [parent, new_parent] {
            if let Some(Place::Gist(key)) = tree.place(directory) {
                let key = *key;
                self.learn(&mut tree, key);
            }
        }
        let Some(ino) = tree.child(parent, shown) else {
            let door = Self::hidden_door(&tree, parent, shown);
            return Err(if door.is_some() { READ_ONLY } else { Error::NotFound });
        };
        match tree.place(ino).cloned() {
            Some(Place::Gist(key)) => {
                if tree.place(new_parent) != Some(&Place::Root) {
                    return Err(FLAT);
                }
                drop(tree);
                self.rename_gist(key, new_name, mode)
            }
            Some(Place::File(key, old)) => {
                let target = Self::gist_at(&tree, new_parent)?;
                let shown = new_name.to_str().ok_or(Error::InvalidName)?;
                // A name shown in another form than GitHub's still means the file it is shown for.
                let new = match tree.name_of(new_parent, shown) {
                    Some(name) => name.clone(),
                    None => Self::new_name(new_name)?,
                };
                if names::reserved_in_gist(shown)
                    || (new_parent == Ino::ROOT && names::reserved_at_root(shown))
                {
                    return Err(RESERVED);
                }
                let exists = tree.file(target, &new).is_some();
                drop(tree);
                self.rename_file((key, &old), (target, &new), exists, mode)
            }
            Some(Place::Root | Place::Hidden(_) | Place::Gone) | None => Err(Error::NotFound),
        }
    }

    fn rename_gist(
        &self,
        key: GistKey,
        new_name: &OsStr,
        mode: RenameMode,
    ) -> Result<Renamed, Error> {
        let name = Self::new_name(new_name)?;
        let now = self.now();
        if names::reserved_at_root(name.as_str()) {
            return Err(RESERVED);
        }
        let there = {
            let tree = self.tree();
            match tree.child(Ino::ROOT, name.as_str()).and_then(|ino| tree.place(ino)) {
                Some(Place::Gist(other)) => Some(*other),
                Some(Place::Root | Place::File(..) | Place::Hidden(_) | Place::Gone) | None => None,
            }
        };
        match (mode, there) {
            (_, Some(same)) if same == key && mode != RenameMode::NoReplace => {
                return Ok(Renamed::Done(vec![]));
            }
            (RenameMode::Exchange, None) => return Err(Error::NotFound),
            (RenameMode::NoReplace, Some(_)) => return Err(Error::Exists),
            (RenameMode::Exchange, Some(other)) => {
                return self.exchange_gists(key, other, now);
            }
            (RenameMode::Replace, Some(other)) => self.drop_empty(other)?,
            (RenameMode::Replace | RenameMode::NoReplace, None) => {}
        }
        self.describe(key, name.as_str(), now)?;
        self.tree().rename_gist(key, name.as_str());
        lock(&self.root).touch(now);
        Ok(Renamed::Done(vec![key]))
    }

    fn describe(&self, key: GistKey, description: &str, now: Time) -> Result<(), Error> {
        self.store.update(key, |gist| {
            gist.describe(description, now);
            Ok(())
        })?;
        lock(&self.titles).insert(key, description.to_owned());
        Ok(())
    }

    fn exchange_gists(&self, a: GistKey, b: GistKey, now: Time) -> Result<Renamed, Error> {
        let shown = |key| {
            let tree = self.tree();
            tree.gist(key).and_then(|ino| tree.shown(ino)).ok_or(Error::NotFound)
        };
        let (first, second) = (shown(a)?, shown(b)?);
        self.describe(a, &second, now)?;
        self.describe(b, &first, now)?;
        let mut tree = self.tree();
        // By way of a name nobody can have.
        tree.rename_gist(a, "\0");
        tree.rename_gist(b, &first);
        tree.rename_gist(a, &second);
        lock(&self.root).touch(now);
        Ok(Renamed::Done(vec![a, b]))
    }

    fn rename_file(
        &self,
        (key, old): (GistKey, &FileName),
        (target, new): (GistKey, &FileName),
        exists: bool,
        mode: RenameMode,
    ) -> Result<Renamed, Error> {
        let same = (key, old) == (target, new);
        match mode {
            RenameMode::NoReplace if exists => return Err(Error::Exists),
            RenameMode::Exchange if !exists => return Err(Error::NotFound),
            RenameMode::Exchange if key != target => {
                return Err(Error::NotPermitted("two gists cannot exchange files at once"));
            }
            RenameMode::Replace | RenameMode::NoReplace | RenameMode::Exchange if same => {
                return Ok(Renamed::Done(vec![]));
            }
            RenameMode::Replace | RenameMode::NoReplace | RenameMode::Exchange => {}
        }
        let now = self.now();
        let (store, tree) = (&self.store, || self.tree());
        let ((), mut tree) = if key != target {
            if let Some(source) = self.missing_body(key, old)? {
                return Ok(Renamed::Needs(source));
            }
            let between = |from: &mut Gist, to: &mut Gist| move_between(from, old, to, new, now);
            store.update_both_under(key, target, between, tree)?
        } else if mode == RenameMode::Exchange {
            store.update_under(key, |gist| exchange(gist, old, new, now), tree)?
        } else {
            store.update_under(key, |gist| move_within(gist, old, new, now), tree)?
        };
        for (gist, name) in [(key, old), (target, new)] {
            if let Some(open) = tree.file(gist, name).and_then(|ino| self.opened_file(ino)) {
                open.change_meta(|meta| meta.ctime = now);
            }
        }
        if mode == RenameMode::Exchange {
            tree.swap_files((key, old), (target, new));
        } else {
            tree.move_file((key, old), (target, new));
        }
        // Destination first: the file is never in neither.
        Ok(Renamed::Done(if key == target { vec![key] } else { vec![target, key] }))
    }

    /// Where to fetch the body of a file that is about to leave the only gist that has it.
    fn missing_body(&self, key: GistKey, name: &FileName) -> Result<Option<Source>, Error> {
        let look = |gist: &Gist| {
            let blob = gist.files.get(name)?.blob()?;
            Some((blob, Source::of(gist, blob)))
        };
        match self.store.look(key, look).flatten() {
            Some((blob, source)) if !self.store.blobs.holds(blob) => {
                source.map(Some).ok_or_else(|| Error::Nonsense(format!("body {blob} is missing")))
            }
            Some(_) | None => Ok(None),
        }
    }
}

/// What came of trying to rename.
enum Renamed {
    /// Done; these gists changed, to be sent in this order.
    Done(Vec<GistKey>),
    /// This body has to be fetched first.
    Needs(Source),
}

/// Puts a file that had another name in place as `name`.
fn put_renamed(gist: &mut Gist, name: &FileName, mut file: LocalFile, now: Time) {
    file.meta.ctime = now;
    let on_github = gist.remote(name).is_some();
    if on_github {
        file.from = Some(name.clone());
    }
    let gone = |from: &FileName| gist.remote(from).is_some() && !gist.files.contains_key(from);
    let descends = file.from.as_ref().is_some_and(gone);
    let scratch = !on_github && scratch::matches(name.as_str());
    // An editor set it aside; its successor is about to come.
    file.limbo = (scratch && descends).then_some(now);
    if scratch && !descends {
        file.from = None;
    }
    settle_name(gist, name);
    gist.files.insert(name.clone(), file);
    gist.meta.touch(now);
}

fn move_within(gist: &mut Gist, old: &FileName, new: &FileName, now: Time) -> Result<(), Error> {
    let both_scratch = gist.is_scratch(old) && gist.is_scratch(new);
    let file = gist.files.remove(old).ok_or(Error::NotFound)?;
    if matches!(file.content, Content::Link(_)) && !gist.is_scratch(new) {
        return Err(Error::NotPermitted("a gist holds no symbolic links"));
    }
    put_renamed(gist, new, file, now);
    if !both_scratch {
        gist.changed(now);
    }
    Ok(())
}

fn exchange(gist: &mut Gist, a: &FileName, b: &FileName, now: Time) -> Result<(), Error> {
    let first = gist.files.remove(a).ok_or(Error::NotFound)?;
    let second = gist.files.remove(b).ok_or(Error::NotFound)?;
    for (file, name) in [(&first, b), (&second, a)] {
        if matches!(file.content, Content::Link(_)) && !gist.is_scratch(name) {
            return Err(Error::NotPermitted("a gist holds no symbolic links"));
        }
    }
    put_renamed(gist, b, first, now);
    put_renamed(gist, a, second, now);
    // The second was not there yet when the first came to be.
    settle_name(gist, b);
    gist.changed(now);
    Ok(())
}

fn move_between(
    from: &mut Gist,
    old: &FileName,
    to: &mut Gist,
    new: &FileName,
    now: Time,
) -> Result<(), Error> {
    let mut file = from.files.remove(old).ok_or(Error::NotFound)?;
    if matches!(file.content, Content::Link(_)) {
        return Err(Error::NotPermitted("a gist holds no symbolic links"));
    }
    // What GitHub has of it under any name stays there until it has arrived.
    let (base, blob) = (from.base.iter().flat_map(|base| &base.files), file.blob());
    let same = base.filter(|(_, there)| blob == Some(there.blob)).map(|(name, _)| name.clone());
    let left: Vec<FileName> = same.chain([old.clone()]).chain(file.from.take()).collect();
    for left in left {
        if from.remote(&left).is_some() && !from.files.contains_key(&left) {
            from.moved_to.insert(left, to.key);
        }
    }
    from.meta.touch(now);
    from.changed(now);
    put_renamed(to, new, file, now);
    if !to.is_scratch(new) {
        to.changed(now);
    }
    Ok(())
}
