//! Out of the trash: back to where it was, or away for good.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::bodies::Source;
use super::bury::kept;
use super::trash::{Found, Place, TrashReply};
use super::{GistChange, Syncer};
use crate::error::Error;
use crate::model::{FileName, Time};
use crate::store::gist::{Content, Gist, GistKey, LocalFile};
use crate::store::shed::Shed;
use crate::store::trash::{Entry, Kept};

/// What was removed from a gist so shortly before the gist itself was is taken for one removal: an
/// `rm -r` may be sent in parts.
const ONE_REMOVAL: Duration = Duration::from_secs(600);

/// Which files come back with their gist, removed at `removed_at`, and those that do not.
///
/// Pure. Of two under one name it is the newest: a version that was never sent, over the one it was
/// made of. Where nothing else is left, what was removed long before comes back too.
pub fn bring_back(mut files: Vec<Kept>, removed_at: Time) -> (BTreeMap<FileName, Kept>, Vec<Kept>) {
    let recent = |file: &Kept| {
        !file.moved && file.removed_at.is_none_or(|at| removed_at.since(at) <= ONE_REMOVAL)
    };
    let all = !files.iter().any(recent);
    let (mut back, mut rest) = (BTreeMap::new(), Vec::new());
    files.sort_by_key(|file| file.removed_at.unwrap_or(Time(i64::MAX)));
    let over: Vec<(FileName, _)> = files
        .iter()
        .filter(|file| all || recent(file))
        .filter_map(|file| Some((file.name.clone(), file.over?)))
        .collect();
    for file in files {
        let replaced = over.iter().any(|(name, blob)| *name == file.name && *blob == file.blob);
        if replaced || !(all || recent(&file)) {
            rest.push(file);
        } else if let Some(older) = back.insert(file.name.clone(), file) {
            rest.push(older);
        }
    }
    // GitHub may have had after all what was taken for unsent.
    let back_as = |name: &FileName| back.get(name).map(|file: &Kept| file.blob);
    rest.retain(|file| back_as(&file.name) != Some(file.blob));
    (back, rest)
}

impl Syncer {
    /// Puts the named items back; what came of it goes into `reply`.
    pub(super) fn restore(self: &Arc<Self>, names: &[String], reply: &mut TrashReply) {
        if self.options.read_only {
            return reply.failed.push("mounted read-only: nothing can be put back".into());
        }
        for found in self.pick(names, reply) {
            let (item, place) = &found;
            let file = item.files.first().map_or("", |file| file.name.as_str());
            let done = match place {
                Place::Entry(entry) => self.restore_entry(entry).inspect(|_| reply.anew = true),
                Place::Gist(key) => self.take_back(*key),
                Place::Shed(key, shed) => self.restore_file(*key, shed),
                Place::Unsent(key, name) => self.restore_unsent(*key, name),
            };
            match done {
                Ok(words) if item.state.is_gist() => {
                    reply.done.push(format!("{:?}: {words}", item.title));
                }
                Ok(words) => reply.done.push(format!("{:?} of {:?}: {words}", file, item.title)),
                Err(error) => reply.failed.push(format!("{}: {error}", item.name)),
            }
        }
        self.poke();
    }

    /// The items of these names, in such an order that of several files with one name the newest
    /// gets it back.
    fn pick(&self, names: &[String], reply: &mut TrashReply) -> Vec<Found> {
        let mut there = match self.in_trash() {
            Ok((there, _)) => there,
            Err(error) => {
                reply.failed.push(error.to_string());
                return vec![];
            }
        };
        for name in names {
            if !there.iter().any(|(item, _)| item.name == *name) {
                reply.failed.push(format!("{name} is not in the trash any more"));
            }
        }
        there.retain(|(item, _)| names.contains(&item.name));
        let (gists, files): (Vec<_>, Vec<_>) =
            there.into_iter().partition(|(item, _)| item.state.is_gist());
        gists.into_iter().chain(files.into_iter().rev()).collect()
    }

    /// A deletion that GitHub has not heard of is not owed any more.
    fn take_back(self: &Arc<Self>, key: GistKey) -> Result<String, Error> {
        let now = self.now();
        if let Some(gist) = self.store.get(key) {
            self.store_what_comes_back(&gist);
        }
        let (files, left, doubt) = self.store.update(key, |gist| {
            if !gist.removed {
                return Err(Error::NotFound);
            }
            let at = gist.removed_at.unwrap_or(now);
            // The rest stays removed: it is known where it is, and may be had another time.
            let had = |file: &Kept| {
                gist.source(file.blob).is_some() || self.store.blobs.contains(file.blob)
            };
            let (there, left): (Vec<Kept>, Vec<Kept>) =
                kept(gist, |_| false).into_iter().partition(had);
            let (files, _) = bring_back(there, at);
            let mut back = match &gist.base {
                Some(base) => Gist::of_remote(key, Arc::clone(base)),
                // It is not known whether it was made.
                None => Gist::new(key, String::new(), gist.public, now),
            };
            back.files
                .retain(|name, _| !gist.moved_to.contains_key(name) && !gist.is_placeholder(name));
            for (name, file) in &files {
                if gist.remote(name).is_none_or(|remote| remote.blob != file.blob) {
                    back.files.insert(name.clone(), local(gist, file, now));
                }
            }
            back.meta = gist.meta;
            back.description.clone_from(&gist.description);
            (back.wrote, back.attempt) = (gist.wrote, gist.attempt.take());
            back.moved_to = std::mem::take(&mut gist.moved_to);
            back.shed = std::mem::take(&mut gist.shed);
            back.shed.retain(|shed| {
                back.files.get(&shed.name).and_then(LocalFile::blob) != Some(shed.blob)
            });
            if back.differs() {
                back.changed(now);
            }
            back.their_description = gist.their_description.take();
            let doubt = back.attempt.as_ref().is_some_and(|sent| sent.may_have_deleted());
            *gist = back;
            Ok((gist.files.len(), left, doubt))
        })?;
        // A deletion was sent and not answered: only the list can tell whether it is there.
        self.shared().list_again |= doubt;
        self.tell(&[GistChange { key, moved: vec![], taken: vec![] }]);
        let mut words = format!("it is not deleted, {}", counted(files));
        for file in left {
            words.push_str(&format!("; {:?} cannot be had just now", file.name.as_str()));
        }
        Ok(words)
    }

    /// Fetches what was removed from a gist shortly before the gist itself was and is not stored. A
    /// failure is no error: what cannot be had stays removed.
    fn store_what_comes_back(self: &Arc<Self>, gist: &Gist) {
        let Some(base) = &gist.base else { return };
        let at = gist.removed_at.unwrap_or_else(|| self.now());
        let (files, _) = bring_back(kept(gist, |_| false), at);
        let wanted = |shed: &&Shed| {
            files.get(&shed.name).is_some_and(|file| file.blob == shed.blob)
                && gist.source(shed.blob).is_none()
                && !self.store.blobs.holds(shed.blob)
        };
        for file in gist.shed.iter().filter(wanted).filter_map(Shed::remote) {
            if let Err(error) = self.store_body(&Source::in_gist(base, file)) {
                log::warn!("{}: a removed file cannot be had: {error}", base.id);
            }
        }
    }

    /// A gist that is not on GitHub any more is made anew.
    fn restore_entry(&self, entry: &Entry) -> Result<String, Error> {
        let (now, store) = (self.now(), &self.store);
        let lost = store.trash.take_bodies(entry, &store.blobs)?;
        let (missing, there): (Vec<Kept>, Vec<Kept>) =
            entry.gist.files.iter().cloned().partition(|f| f.missing || lost.contains(&f.blob));
        let (files, rest) = bring_back(there, entry.gist.removed_at);
        if files.is_empty() {
            return Err(Error::Nonsense("none of its files could be kept".into()));
        }
        let key = store.new_key();
        let mut gist = Gist::new(key, entry.gist.description.clone(), entry.gist.public, now);
        for (name, file) in &files {
            gist.files.insert(name.clone(), local(&gist, file, now));
        }
        for file in &rest {
            gist.remember(Shed {
                name: file.name.clone(),
                blob: file.blob,
                size: file.size,
                raw_url: None,
                at: file.removed_at.unwrap_or(entry.gist.removed_at),
                over: None,
                mode: file.mode,
            });
        }
        gist.changed(now);
        self.take_out_of_trash(entry, key, || store.put_all(vec![(key, Some(gist))]))?;
        self.tell(&[GistChange { key, moved: vec![], taken: vec![] }]);
        let mut words = format!("it is made anew, {}", counted(files.len()));
        for file in missing {
            words.push_str(&format!("; {:?} could not be kept", file.name.as_str()));
        }
        Ok(words)
    }

    /// A removed file comes back into its gist.
    fn restore_file(self: &Arc<Self>, key: GistKey, shed: &Shed) -> Result<String, Error> {
        if !self.store.blobs.contains(shed.blob) {
            let base = self.store.look(key, |gist| gist.base.clone());
            let (Some(base), Some(file)) = (base.flatten(), shed.remote()) else {
                return Err(Error::Nonsense("its bytes are not stored any more".into()));
            };
            self.store_body(&Source::in_gist(&base, file))?;
        }
        self.store.blobs.sync(shed.blob)?;
        let now = self.now();
        let name = self.store.update(key, |gist| {
            let at = gist.shed.iter().position(|there| there == shed).ok_or(Error::NotFound)?;
            if gist.removed {
                return Err(Error::NotFound);
            }
            gist.shed.remove(at);
            let name = free_name(gist, &shed.name, now);
            let kept = Kept {
                name: name.clone(),
                blob: shed.blob,
                size: shed.size,
                mode: shed.mode,
                removed_at: None,
                over: None,
                moved: false,
                missing: false,
            };
            let file = local(gist, &kept, now);
            gist.files.insert(name.clone(), file);
            gist.meta.touch(now);
            gist.changed(now);
            Ok(name)
        })?;
        self.tell(&[GistChange { key, moved: vec![], taken: vec![] }]);
        Ok(if name == shed.name {
            "it is back".into()
        } else {
            format!("it is back as {name:?}", name = name.as_str())
        })
    }

    /// GitHub does not know yet that the file was removed, and will not hear of it.
    fn restore_unsent(&self, key: GistKey, name: &FileName) -> Result<String, Error> {
        let now = self.now();
        self.store.update(key, |gist| {
            let there = gist.unsent_removals().any(|(unsent, _)| unsent == name);
            let base = gist.base.clone().filter(|_| there && !gist.removed);
            let base = base.ok_or(Error::NotFound)?;
            let file = base.files.get(name).ok_or(Error::NotFound)?;
            gist.files.insert(name.clone(), LocalFile::of_remote(name, file, base.updated_at));
            gist.shed.retain(|shed| (&shed.name, shed.blob) != (name, file.blob));
            gist.meta.touch(now);
            gist.changed(now);
            Ok(())
        })?;
        self.tell(&[GistChange { key, moved: vec![], taken: vec![] }]);
        Ok("it is back".into())
    }

    /// Removes the named items for good; what came of it goes into `reply`.
    pub(super) fn purge(&self, names: &[String], reply: &mut TrashReply) {
        for (item, place) in self.pick(names, reply) {
            let done = match place {
                Place::Entry(entry) => self.store.trash.remove(&entry.name),
                Place::Shed(key, shed) => self.store.update(key, |gist| {
                    gist.shed.retain(|there| *there != shed);
                    Ok(())
                }),
                Place::Gist(key) => self.purge_unsent(key),
                Place::Unsent(..) => {
                    Err(Error::NotPermitted("GitHub has it still: gistfs sync deletes it there"))
                }
            };
            match done {
                Ok(()) if item.state.is_unsent() => {
                    let words = format!("{}: no copy is kept when GitHub deletes it", item.name);
                    reply.done.push(words);
                }
                Ok(()) => reply.done.push(format!("{}: gone for good", item.name)),
                Err(error) => reply.failed.push(format!("{}: {error}", item.name)),
            }
        }
        self.poke();
    }

    /// A gist that GitHub is still to delete leaves nothing in the trash, which its deletion need not
    /// wait for then.
    fn purge_unsent(&self, key: GistKey) -> Result<(), Error> {
        if self.options.read_only {
            return Err(Error::ReadOnly("nothing is sent"));
        }
        let now = self.now();
        let id = self.store.update(key, |gist| {
            if !gist.removed {
                return Err(Error::NotFound);
            }
            gist.purged = true;
            gist.changed(now);
            Ok(gist.base.as_ref().map(|base| base.id.clone()))
        })?;
        // From a deletion that was asked for and not answered.
        let entry = id.map(|id| self.store.trash.find(&id)).transpose()?.flatten();
        entry.map_or(Ok(()), |entry| self.store.trash.remove(&entry.name))
    }
}

/// The file as the user sees it again.
fn local(gist: &Gist, file: &Kept, now: Time) -> LocalFile {
    let content = Content::Bytes { blob: file.blob, size: file.size };
    let from = gist.remote(&file.name).map(|_| file.name.clone());
    let mut local = LocalFile::with(content, from, now);
    local.meta.mode = file.mode;
    local
}

/// The name itself or, where that is taken, `NAME.restored-YYYYMMDD-HHMMSS.EXT`.
fn free_name(gist: &Gist, name: &FileName, now: Time) -> FileName {
    let (stem, extension) = match name.as_str().rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => (stem, format!(".{extension}")),
        Some(_) | None => (name.as_str(), String::new()),
    };
    let stamp = now.stamp();
    let others = (1_u32..).filter_map(|number| {
        let again = if number == 1 { String::new() } else { format!("-{number}") };
        FileName::parse(&format!("{stem}.restored-{stamp}{again}{extension}"))
    });
    std::iter::once(name.clone())
        .chain(others)
        .find(|name| {
            !gist.files.contains_key(name)
                && (gist.remote(name).is_none() || gist.unsent_removals().any(|(n, _)| n == name))
        })
        .unwrap_or_else(|| name.clone())
}

fn counted(files: usize) -> String {
    if files == 1 { "1 file".into() } else { format!("{files} files") }
}
