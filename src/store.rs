//! What every gist holds now, on disk and in memory: local truth over the last remote one.
//!
//! Everything is keyed by [`GistKey`] and [`FileName`](crate::model::FileName); inodes are unknown here. A change is made
//! on a copy, committed as one transaction, and only then becomes what others see. Who looks meanwhile
//! sees what was there before, and waits for nobody's disk. Nothing in this module waits for the network.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

pub use self::arrival::{Arrival, Fate};
pub use self::blobs::{Adopted, Blobs, after_eviction};
pub use self::db::StoredPage;
use self::db::{Change, Db};
use self::gist::{Gist, GistKey};
use self::memory::Memory;
pub use self::memory::SMALL;
use self::owed::Owed;
pub use self::peek::Peek;
use self::recover::Opened;
use self::trash::Trash;
use crate::error::Error;
use crate::model::{BlobId, GistId};

mod arrival;
mod blobs;
mod db;
pub mod gist;
mod memory;
mod owed;
pub mod part;
mod peek;
pub mod placeholder;
mod recover;
pub mod scratch;
pub mod shed;
pub mod trash;

/// The state of one account on one host.
pub struct Store {
    /// The bodies on disk.
    pub blobs: Blobs,
    /// What was removed as a whole.
    pub trash: Trash,
    /// Held by whoever changes anything: for a commit, which is one write into the log and one of a
    /// copy, and never across anything else that can wait. Before `state` and, where a change shows in
    /// the tree at the same moment, before that (see [`Store::update_under`]).
    writer: Mutex<Writer>,
    /// Last in the lock order, and never held across the disk. Changed by whoever has `writer` alone.
    state: Mutex<State>,
    memory: Mutex<Memory>,
    directory: PathBuf,
    /// Held for the life of the store: one process at a time.
    _lock: File,
}

struct Writer {
    db: Db,
    /// Follows every commit.
    owed: Owed,
}

struct State {
    gists: BTreeMap<GistKey, Arc<Gist>>,
    by_id: HashMap<GistId, GistKey>,
    /// The few of ten thousand that [`Gist::is_busy`] holds for: they are looked at all the time.
    busy: BTreeSet<GistKey>,
    /// Those that GitHub is not known to have, as few: they are looked at with every page of a list.
    unmade: BTreeSet<GistKey>,
    next_key: i64,
    /// Gists and files. `df` asks for it, of whatever size the account is.
    count: u64,
}

impl Store {
    /// Opens the state in `directory`, making it where there is none.
    ///
    /// `user` is what the lock file says for whoever comes second (a mount point). At most
    /// `memory` bytes of bodies are kept in memory.
    pub fn open(directory: &Path, user: &str, memory: usize) -> Result<Self, Error> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(
            |error| Error::local(&format!("cannot make {}", directory.display()), &error),
        )?;
        let lock = lock(directory, user)?;
        let blobs = Blobs::open(directory)?;
        let Opened { db, owed, gists } = recover::open(directory, &blobs)?;
        let by_id = gists.values().filter_map(|gist| Some((id_of(gist)?, gist.key))).collect();
        let busy = gists.values().filter(|gist| gist.is_busy()).map(|gist| gist.key).collect();
        let unmade =
            gists.values().filter(|gist| gist.base.is_none()).map(|gist| gist.key).collect();
        let keys = gists
            .values()
            .flat_map(|gist| gist.moved_to.values().chain(&gist.copy_of).chain([&gist.key]));
        let next_key = keys.max().map_or(1, |key| key.0 + 1);
        let count = gists.values().map(counted).sum();
        let base_id = |key: GistKey| gists.get(&key).map(id_of);
        let trash = Trash::open(directory, base_id);
        // Whoever asked for it does not wait any more.
        let given_up = gists.values().filter(|gist| gist.is_unsent_copy());
        let given_up: Vec<_> = given_up.map(|gist| (gist.key, None)).collect();
        let gists = gists.into_iter().map(|(key, gist)| (key, Arc::new(gist))).collect();
        let store = Self {
            blobs,
            trash,
            writer: Mutex::new(Writer { db, owed }),
            state: Mutex::new(State { gists, by_id, busy, unmade, next_key, count }),
            memory: Mutex::new(Memory::new(memory)),
            directory: directory.to_owned(),
            _lock: lock,
        };
        if !given_up.is_empty() {
            store.put_all(given_up)?;
        }
        Ok(store)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The gist as it is; it stays so for whoever has `writer`.
    fn current(&self, key: GistKey) -> Option<Arc<Gist>> {
        self.state().gists.get(&key).map(Arc::clone)
    }

    /// Who has the state in `directory` open, as they said in [`Store::open`].
    pub fn holder(directory: &Path) -> Option<String> {
        let text = std::fs::read_to_string(directory.join("lock")).ok()?;
        Some(text.trim().to_owned()).filter(|holder| !holder.is_empty())
    }

    /// Where the state is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Every gist's key, in no order that means anything.
    pub fn keys(&self) -> Vec<GistKey> {
        self.state().gists.keys().copied().collect()
    }

    /// Looks at a gist; `None` if there is no such one (any more).
    pub fn look<T>(&self, key: GistKey, look: impl FnOnce(&Gist) -> T) -> Option<T> {
        self.state().gists.get(&key).map(|gist| look(gist))
    }

    /// Looks at every gist.
    pub fn look_at_all(&self, mut look: impl FnMut(&Gist)) {
        self.state().gists.values().for_each(|gist| look(gist));
    }

    /// How many gists and files there are.
    pub fn count(&self) -> u64 {
        self.state().count
    }

    /// Looks at every gist that [`Gist::is_busy`] holds for.
    pub fn look_at_busy(&self, mut look: impl FnMut(&Gist)) {
        let state = self.state();
        state.busy.iter().filter_map(|key| state.gists.get(key)).for_each(|gist| look(gist));
    }

    /// How many of them there are.
    pub fn busy_count(&self) -> u32 {
        u32::try_from(self.state().busy.len()).unwrap_or(u32::MAX)
    }

    /// Looks at every gist without a base.
    pub fn look_at_unmade(&self, mut look: impl FnMut(&Gist)) {
        let state = self.state();
        state.unmade.iter().filter_map(|key| state.gists.get(key)).for_each(|gist| look(gist));
    }

    /// A copy of a gist as it is now.
    pub fn get(&self, key: GistKey) -> Option<Gist> {
        self.look(key, Gist::clone)
    }

    /// The gist GitHub calls `id`.
    pub fn find(&self, id: &GistId) -> Option<GistKey> {
        self.state().by_id.get(id).copied()
    }

    /// A key nobody has.
    pub fn new_key(&self) -> GistKey {
        let mut state = self.state();
        let key = GistKey(state.next_key);
        state.next_key += 1;
        key
    }

    /// Changes a gist in one transaction. If `edit` or the commit fails, nothing has changed.
    pub fn update<T>(
        &self,
        key: GistKey,
        edit: impl FnOnce(&mut Gist) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.update_under(key, edit, || ()).map(|(done, ())| done)
    }

    /// The same for what has to show in the tree at the same moment: `lock` is called when the change
    /// is committed and before anybody sees it, and what it returned is handed over. Whoever calls
    /// this must not hold that lock already.
    pub fn update_under<T, G>(
        &self,
        key: GistKey,
        edit: impl FnOnce(&mut Gist) -> Result<T, Error>,
        lock: impl FnOnce() -> G,
    ) -> Result<(T, G), Error> {
        let mut writer = self.writer();
        let mut new = Gist::clone(&*self.current(key).ok_or(Error::NotFound)?);
        let done = edit(&mut new)?;
        let locked = self.commit(&mut writer, vec![(key, Some(new))], lock)?;
        Ok((done, locked))
    }

    /// [`Store::update_under`] for two gists in one transaction.
    pub fn update_both_under<T, G>(
        &self,
        first: GistKey,
        second: GistKey,
        edit: impl FnOnce(&mut Gist, &mut Gist) -> Result<T, Error>,
        lock: impl FnOnce() -> G,
    ) -> Result<(T, G), Error> {
        let mut writer = self.writer();
        let copy = |key| self.current(key).map(|gist| Gist::clone(&gist)).ok_or(Error::NotFound);
        let (mut new_first, mut new_second) = (copy(first)?, copy(second)?);
        let done = edit(&mut new_first, &mut new_second)?;
        let changes = vec![(first, Some(new_first)), (second, Some(new_second))];
        Ok((done, self.commit(&mut writer, changes, lock)?))
    }

    /// Changes what is never written down (open handles, upload times). Waits for the commit under
    /// way: what that makes of the gist is to have this too.
    pub fn note<T>(&self, key: GistKey, edit: impl FnOnce(&mut Gist) -> T) -> Option<T> {
        let _writer = self.writer();
        let mut state = self.state();
        let done = state.gists.get_mut(&key).map(|gist| edit(Arc::make_mut(gist)));
        state.note_busy(key);
        done
    }

    /// Puts gists in or, where there is none given, takes them out; one transaction for all.
    pub fn put_all(&self, changes: Vec<(GistKey, Option<Gist>)>) -> Result<(), Error> {
        self.commit(&mut self.writer(), changes, || ())
    }

    /// Takes a gist out if `still` says so of what it is at that moment; false if it does not. One
    /// that is not there (any more) is no error.
    pub fn remove_if(
        &self,
        key: GistKey,
        still: impl FnOnce(&Gist) -> bool,
    ) -> Result<bool, Error> {
        let mut writer = self.writer();
        match self.current(key).map(|gist| still(&gist)) {
            Some(false) => Ok(false),
            Some(true) => self.commit(&mut writer, vec![(key, None)], || ()).map(|()| true),
            None => Ok(true),
        }
    }

    /// Makes these changes in one transaction and then lets everybody see them; if it fails, nothing
    /// has changed.
    fn commit<G>(
        &self,
        writer: &mut Writer,
        changes: Vec<(GistKey, Option<Gist>)>,
        lock: impl FnOnce() -> G,
    ) -> Result<G, Error> {
        let old: Vec<Option<Arc<Gist>>> = {
            let state = self.state();
            changes.iter().map(|(key, _)| state.gists.get(key).map(Arc::clone)).collect()
        };
        let rows = old.iter().zip(&changes);
        let rows: Vec<Change<'_>> =
            rows.map(|(old, (_, new))| Change { old: old.as_deref(), new: new.as_ref() }).collect();
        writer.save(rows)?;
        let locked = lock();
        let mut state = self.state();
        for (key, new) in changes {
            state.replace(key, new.map(Arc::new));
        }
        Ok(locked)
    }

    /// A body in memory or on disk, proved; `None` if it has to be fetched.
    pub fn body(&self, id: BlobId) -> Result<Option<Bytes>, Error> {
        if let Some(body) = self.memory().get(id) {
            return Ok(Some(body));
        }
        let body = self.blobs.read(id)?;
        if let Some(body) = &body {
            self.memory().put(id, body.clone());
        }
        Ok(body)
    }

    /// A body if it is in memory: never touches the disk.
    pub fn hot_body(&self, id: BlobId) -> Option<Bytes> {
        self.memory().get(id)
    }

    /// Whether bodies of that size are kept in memory at all.
    pub fn fits_memory(&self, size: u64) -> bool {
        self.memory().takes(size)
    }

    /// The most bytes of bodies in memory.
    pub fn memory_limit(&self) -> u64 {
        self.memory().limit() as u64
    }

    /// Keeps a body that the caller has proved to be `id`.
    pub fn keep(&self, id: BlobId, body: &Bytes) -> Result<(), Error> {
        self.memory().put(id, body.clone());
        self.blobs.put(id, body)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes every commit so far, and the bodies given, survive a power cut.
    pub fn sync(&self, bodies: &[BlobId]) -> Result<(), Error> {
        for id in bodies {
            self.blobs.sync(*id)?;
        }
        let (path, log, (copies, unsynced)) = {
            let mut writer = self.writer();
            (writer.db.path().to_owned(), writer.db.log_path(), writer.owed.take_unsynced())
        };
        let synced = db::sync(&path, &log);
        if let Err(error) = owed::sync(&copies, &unsynced) {
            log::warn!("cannot sync {}: {error}", copies.display());
            self.writer().owed.put_unsynced(unsynced);
        }
        synced
    }

    /// Moves the log into the database and brings the bodies below `limit` bytes.
    pub fn tidy(&self, limit: u64) -> Result<(), Error> {
        let path = self.writer().db.path().to_owned();
        db::checkpoint(&path)?;
        let mut needed = HashSet::new();
        self.look_at_all(|gist| {
            let unsent = gist.shed.iter().filter(|shed| shed.raw_url.is_none());
            needed.extend(unsent.map(|shed| shed.blob));
            for (name, file) in &gist.files {
                if let Some(blob) = file.blob()
                    && gist.remote(name).map(|remote| remote.blob) != Some(blob)
                {
                    needed.insert(blob);
                }
            }
        });
        self.blobs
            .evict(limit, &needed)
            .map_err(|error| Error::local("cannot tidy the stored bodies", &error))
    }

    /// The value kept under `name`.
    pub fn setting(&self, name: &str) -> Result<Option<String>, Error> {
        self.writer().db.setting(name)
    }

    /// Keeps `value` under `name`.
    pub fn set_setting(&self, name: &str, value: &str) -> Result<(), Error> {
        self.writer().db.set_setting(name, value)
    }

    /// The list pages last seen, by their addresses.
    pub fn pages(&self) -> Result<HashMap<String, StoredPage>, Error> {
        self.writer().db.pages()
    }

    /// Replaces all remembered list pages.
    pub fn set_pages(&self, pages: &[(String, StoredPage)]) -> Result<(), Error> {
        self.writer().db.set_pages(pages)
    }
}

impl Writer {
    /// Writes these changes down, all or none.
    fn save(&mut self, rows: Vec<Change<'_>>) -> Result<(), Error> {
        self.db.save(&rows)?;
        for Change { old, new } in rows {
            self.owed.follow(old, new, self.db.commits());
        }
        self.owed.note(self.db.commits());
        Ok(())
    }
}

impl State {
    fn replace(&mut self, key: GistKey, new: Option<Arc<Gist>>) {
        let old_id = self.gists.get(&key).and_then(|gist| id_of(gist));
        let new_id = new.as_deref().and_then(id_of);
        if old_id != new_id {
            if let Some(id) = old_id {
                self.by_id.remove(&id);
            }
            if let Some(id) = new_id {
                self.by_id.insert(id, key);
            }
        }
        self.count += new.as_deref().map_or(0, counted);
        let old = match new {
            Some(gist) => self.gists.insert(key, gist),
            None => self.gists.remove(&key),
        };
        self.count = self.count.saturating_sub(old.as_deref().map_or(0, counted));
        self.note_busy(key);
    }

    fn note_busy(&mut self, key: GistKey) {
        let gist = self.gists.get(&key);
        let (busy, unmade) =
            (gist.is_some_and(|gist| gist.is_busy()), gist.is_some_and(|g| g.base.is_none()));
        for (holds, keys) in [(busy, &mut self.busy), (unmade, &mut self.unmade)] {
            if holds {
                keys.insert(key);
            } else {
                keys.remove(&key);
            }
        }
    }
}

/// What a gist adds to [`Store::count`].
fn counted(gist: &Gist) -> u64 {
    1 + gist.files.len() as u64
}

fn id_of(gist: &Gist) -> Option<GistId> {
    gist.base.as_ref().map(|base| base.id.clone())
}

/// Takes the state's lock or says who has it.
fn lock(directory: &Path, user: &str) -> Result<File, Error> {
    let path = directory.join("lock");
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|error| Error::local(&format!("cannot open {}", path.display()), &error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            let holder = Store::holder(directory).unwrap_or_else(|| "an unknown place".into());
            let message = format!("{} is in use by the mount at {holder}", directory.display());
            return Err(Error::Local { errno: libc::EBUSY, message });
        }
        Err(std::fs::TryLockError::Error(error)) => {
            return Err(Error::local(&format!("cannot lock {}", path.display()), &error));
        }
    }
    let write = file.set_len(0).and_then(|()| writeln!(file, "{user}"));
    write.map_err(|error| Error::local(&format!("cannot write {}", path.display()), &error))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FileName, Snapshot, Time};
    use crate::store::gist::LocalFile;

    const NOW: Time = Time(1_700_000_000_000_000_000);

    fn name(text: &str) -> FileName {
        FileName::parse(text).unwrap()
    }

    #[test]
    fn gists_that_github_is_not_known_to_have_are_found_without_looking_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let unmade = |store: &Store| {
            let mut keys = Vec::new();
            store.look_at_unmade(|gist| keys.push(gist.key));
            keys
        };
        let made = Snapshot::sample("1", &[("a", "text")], NOW);
        let (new, known) = {
            let store = Store::open(directory.path(), "/m", 1000).unwrap();
            let (new, known) = (store.new_key(), store.new_key());
            let gist = Gist::of_remote(known, Arc::new(made.clone()));
            let ours = Gist::new(new, "ours".into(), true, NOW);
            store.put_all(vec![(known, Some(gist)), (new, Some(ours))]).unwrap();
            assert_eq!(unmade(&store), [new]);
            (new, known)
        };
        let store = Store::open(directory.path(), "/m", 1000).unwrap();
        assert_eq!(unmade(&store), [new]);
        let base = Arc::new(Snapshot { id: GistId::parse("2").unwrap(), ..made });
        store
            .update(new, |gist| {
                gist.base = Some(base);
                Ok(())
            })
            .unwrap();
        assert_eq!(unmade(&store), []);
        let lose = |gist: &mut Gist| {
            gist.base = None;
            Ok(())
        };
        store.update(known, lose).unwrap();
        assert_eq!(unmade(&store), [known]);
        store.put_all(vec![(known, None)]).unwrap();
        assert_eq!(unmade(&store), []);
    }

    #[test]
    fn what_was_changed_is_there_after_reopening() {
        let directory = tempfile::tempdir().unwrap();
        let key = {
            let store = Store::open(directory.path(), "/m", 1000).unwrap();
            let key = store.new_key();
            let mut gist = Gist::new(key, "a title".into(), true, NOW);
            gist.files.insert(name("a\0b"), LocalFile::new(NOW));
            gist.files.insert(name("gone"), LocalFile::new(NOW));
            store.put_all(vec![(key, Some(gist))]).unwrap();
            store
                .update(key, |gist| {
                    gist.files.remove("gone");
                    gist.moved_to.insert(name("x"), GistKey(7));
                    gist.files.get_mut("a\0b").unwrap().meta.mode = Some(0o644);
                    Ok(())
                })
                .unwrap();
            key
        };
        let store = Store::open(directory.path(), "/m", 1000).unwrap();
        let gist = store.get(key).unwrap();
        assert_eq!((gist.description.as_str(), gist.public), ("a title", true));
        assert_eq!(gist.files.keys().map(FileName::as_str).collect::<Vec<_>>(), ["a\0b"]);
        assert_eq!(gist.files["a\0b"].meta.mode, Some(0o644));
        assert_eq!(gist.moved_to[&name("x")], GistKey(7));
        assert!(store.new_key() > key);
        store.put_all(vec![(key, None)]).unwrap();
        assert_eq!(store.keys(), []);
    }

    #[test]
    fn a_failed_edit_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), "/m", 1000).unwrap();
        let key = store.new_key();
        store.put_all(vec![(key, Some(Gist::new(key, "x".into(), false, NOW)))]).unwrap();
        let result = store.update(key, |gist| {
            gist.description = "y".into();
            Err::<(), _>(Error::Exists)
        });
        assert!(matches!(result, Err(Error::Exists)));
        assert_eq!(store.get(key).unwrap().description, "x");
    }

    #[test]
    fn what_changed_since_it_was_looked_at_is_not_taken_out() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), "/m", 1000).unwrap();
        let key = store.new_key();
        store.put_all(vec![(key, Some(Gist::new(key, "x".into(), false, NOW)))]).unwrap();
        let seen = store.get(key).unwrap();
        let write = |gist: &mut Gist| {
            gist.files.insert(name("a"), LocalFile::new(NOW));
            Ok(())
        };
        store.update(key, write).unwrap();
        assert!(!store.remove_if(key, |gist| gist.files == seen.files).unwrap());
        let seen = store.get(key).unwrap();
        store.note(key, |gist| gist.files.get_mut("a").unwrap().writers += 1);
        assert!(!store.remove_if(key, |gist| gist.files == seen.files).unwrap());
        assert_eq!(store.keys(), [key]);
        assert!(store.remove_if(key, |gist| gist.files.len() == 1).unwrap());
        assert!(store.remove_if(key, |_| unreachable!("there is none")).unwrap());
        assert_eq!(store.keys(), []);
    }

    #[test]
    fn who_looks_in_from_outside_sees_one_moment() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), "/m", 1000).unwrap();
        let key = store.new_key();
        store.put_all(vec![(key, Some(Gist::new(key, "0".into(), false, NOW)))]).unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        let order = std::sync::atomic::Ordering::Relaxed;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in (1..).take_while(|_| !done.load(order)) {
                    let write = |gist: &mut Gist| {
                        gist.description = number.to_string();
                        gist.files = [(name(&gist.description), LocalFile::new(NOW))].into();
                        Ok(())
                    };
                    store.update(key, write).unwrap();
                }
            });
            for _ in 0..300 {
                let gist = Peek::open(directory.path()).unwrap().gists.remove(0);
                let files: Vec<&str> = gist.files.keys().map(FileName::as_str).collect();
                if gist.description != "0" && files != [gist.description.as_str()] {
                    done.store(true, order);
                    panic!("{:?} with {files:?}", gist.description);
                }
            }
            done.store(true, order);
        });
    }

    #[test]
    fn a_second_opener_is_told_who_was_first() {
        let directory = tempfile::tempdir().unwrap();
        let _first = Store::open(directory.path(), "/home/me/gists", 1000).unwrap();
        let second = Store::open(directory.path(), "/elsewhere", 1000).err().unwrap();
        assert!(second.to_string().contains("/home/me/gists"), "{second}");
    }
}
