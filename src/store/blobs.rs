//! Bodies on disk by git blob id: `blobs/ab/cdef…`, written aside and renamed into place.
//!
//! A file here is never changed. It is believed only after its id has been computed again,
//! once per process; a wrong one is moved to `damaged-bodies/` and counts as not there.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tempfile::NamedTempFile;

use super::memory::SMALL;
use crate::error::Error;
use crate::model::{BlobHasher, BlobId, BodyBuf};

/// How old the mark of last use may grow before reading renews it.
const USE_MARK: Duration = Duration::from_secs(3600);

/// How young a body is left alone by eviction: what was just stored may be about to be recorded.
const YOUNG: Duration = Duration::from_secs(60);

/// Bytes read at one time.
const PIECE: usize = 128 * 1024;

/// A working copy that became a body.
#[derive(Debug)]
pub struct Adopted {
    /// Its id.
    pub blob: BlobId,
    /// Its length in bytes.
    pub size: u64,
    /// Its file.
    pub file: File,
}

/// A body in the directory.
struct Stored {
    used: SystemTime,
    size: u64,
    /// `None` for a file that is none.
    id: Option<BlobId>,
    path: PathBuf,
}

/// The directory of bodies.
pub struct Blobs {
    blobs: PathBuf,
    work: PathBuf,
    /// Where bodies go that are not what their id says: one may be all there is of a file.
    damaged: PathBuf,
    /// Bodies whose id was computed in this process.
    checked: Mutex<HashSet<BlobId>>,
    /// Bytes added since the last eviction.
    added: AtomicU64,
    /// Bytes there are, once they were counted.
    held: Mutex<Option<u64>>,
}

fn below(blobs: &Path, id: BlobId) -> PathBuf {
    let hex = id.to_string();
    blobs.join(&hex[..2]).join(&hex[2..])
}

/// Where the state in `directory` keeps a body, if it does.
pub(super) fn path_in(directory: &Path, id: BlobId) -> PathBuf {
    below(&directory.join("blobs"), id)
}

/// What eviction leaves, in bytes, where there was more than `limit`: some room for what is read ahead.
pub fn after_eviction(limit: u64) -> u64 {
    limit - limit / 16
}

impl Blobs {
    /// Opens the bodies in `directory`; working copies a dead process left are removed.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        let (blobs, work) = (directory.join("blobs"), directory.join("work"));
        let make = || {
            fs::create_dir_all(&blobs)?;
            if work.exists() {
                fs::remove_dir_all(&work)?;
            }
            fs::create_dir_all(&work)
        };
        make().map_err(|error| Error::local(&format!("{}", directory.display()), &error))?;
        let damaged = directory.join("damaged-bodies");
        Ok(Self {
            blobs,
            work,
            damaged,
            checked: Mutex::default(),
            added: AtomicU64::new(u64::MAX / 2),
            held: Mutex::default(),
        })
    }

    fn path(&self, id: BlobId) -> PathBuf {
        below(&self.blobs, id)
    }

    /// A working copy of the body that `file` holds.
    pub fn working_copy_from(&self, file: &File) -> Result<NamedTempFile, Error> {
        let mut copy = self.working_copy()?;
        let failed = |error| Error::local("cannot buffer writes", &error);
        let mut piece = vec![0; PIECE];
        let mut at = 0;
        loop {
            let read = file.read_at(&mut piece, at).map_err(failed)?;
            if read == 0 {
                return Ok(copy);
            }
            copy.write_all(&piece[..read]).map_err(failed)?;
            at += read as u64;
        }
    }

    /// An empty file of our own to write to, gone when dropped.
    pub fn working_copy(&self) -> Result<NamedTempFile, Error> {
        NamedTempFile::new_in(&self.work)
            .map_err(|error| Error::local("cannot buffer writes", &error))
    }

    /// A working copy that starts as the body `id`; `None` if that is not stored.
    pub fn working_copy_of(&self, id: BlobId) -> Result<Option<NamedTempFile>, Error> {
        let Some(mut stored) = self.open_checked(id)? else { return Ok(None) };
        let mut copy = self.working_copy()?;
        io::copy(&mut stored, copy.as_file_mut())
            .map_err(|error| Error::local("cannot buffer writes", &error))?;
        Ok(Some(copy))
    }

    /// Takes a working copy in as a body and tells its id and length.
    ///
    /// The file comes along, open: whoever holds it has the body whatever is evicted.
    pub fn adopt(&self, copy: NamedTempFile) -> Result<Adopted, (NamedTempFile, Error)> {
        let hashed = match hash(copy.as_file()) {
            Ok(hashed) => hashed,
            Err(error) => return Err((copy, Error::local("cannot read the working copy", &error))),
        };
        match self.place(hashed.0, hashed.1, copy) {
            Ok(file) => Ok(Adopted { blob: hashed.0, size: hashed.1, file }),
            Err(failed) => {
                let error = Error::local("cannot store the file", &failed.error);
                Err((failed.file, error))
            }
        }
    }

    /// Keeps `bytes`, which the caller knows to have the id `id`.
    pub fn put(&self, id: BlobId, bytes: &[u8]) -> Result<(), Error> {
        if self.contains(id) {
            return Ok(());
        }
        let mut copy = self.working_copy()?;
        let write =
            copy.write_all(bytes).map_err(|error| Error::local("cannot store a body", &error));
        write?;
        self.take_over(id, bytes.len() as u64, copy).map(drop)
    }

    /// Makes a body of `copy`, whose bytes the caller knows to be `size` and to have the id `id`.
    pub(super) fn take_over(
        &self,
        id: BlobId,
        size: u64,
        copy: NamedTempFile,
    ) -> Result<File, Error> {
        let placed = self.place(id, size, copy);
        placed.map_err(|failed| Error::local("cannot store a body", &failed.error))
    }

    /// How long the stored body is, which is not read; `None` if it is not there.
    pub fn length(&self, id: BlobId) -> Option<u64> {
        let data = fs::metadata(self.path(id)).ok();
        data.map(|data| data.len()).or_else(|| (id == BlobId::EMPTY).then_some(0))
    }

    fn place(
        &self,
        id: BlobId,
        size: u64,
        copy: NamedTempFile,
    ) -> Result<File, tempfile::PersistError> {
        let path = self.path(id);
        if let Some(directory) = path.parent()
            && let Err(error) = fs::create_dir_all(directory)
        {
            return Err(tempfile::PersistError { error, file: copy });
        }
        // One that is there already takes no room more.
        let new = !path.exists();
        let file = copy.persist(path)?;
        self.note(id, if new { size } else { 0 });
        Ok(file)
    }

    fn note(&self, id: BlobId, size: u64) {
        self.lock().insert(id);
        self.added.fetch_add(size, Ordering::Relaxed);
        if let Some(held) = &mut *self.held() {
            *held = held.saturating_add(size);
        }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Option<u64>> {
        self.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// How many more bytes there are room for below `limit`, before anything has to go for them.
    pub fn room(&self, limit: u64) -> io::Result<u64> {
        let known = *self.held();
        let held = match known {
            Some(held) => held,
            None => {
                let found = self.stored()?;
                let held = found.iter().map(|stored| stored.size).sum();
                *self.held() = Some(held);
                held
            }
        };
        Ok(limit.saturating_sub(held))
    }

    fn stored(&self) -> io::Result<Vec<Stored>> {
        let mut found = Vec::new();
        for directory in fs::read_dir(&self.blobs)? {
            let directory = directory?;
            for file in fs::read_dir(directory.path())? {
                let file = file?;
                let data = file.metadata()?;
                let hex = format!(
                    "{}{}",
                    directory.file_name().to_string_lossy(),
                    file.file_name().to_string_lossy()
                );
                let (used, size, path) = (data.modified()?, data.len(), file.path());
                found.push(Stored { used, size, id: hex.parse().ok(), path });
            }
        }
        Ok(found)
    }

    /// Whether a file of that id is there. It is not read.
    pub fn contains(&self, id: BlobId) -> bool {
        id == BlobId::EMPTY || self.path(id).exists()
    }

    /// Whether the body is there and proved: to be asked before its last other copy goes.
    pub fn holds(&self, id: BlobId) -> bool {
        match self.open_checked(id) {
            Ok(body) => body.is_some(),
            Err(error) => {
                log::warn!("{error}");
                false
            }
        }
    }

    /// The whole body, proved; `None` if it is not stored.
    pub fn read(&self, id: BlobId) -> Result<Option<Bytes>, Error> {
        if id == BlobId::EMPTY {
            return Ok(Some(Bytes::new()));
        }
        let failed = |error: io::Error| Error::local("cannot read a body", &error);
        let Some((file, data)) = self.open_stored(id).map_err(failed)? else { return Ok(None) };
        if data.len() > SMALL && !self.is_checked(id) {
            // Damage may have made a body of any size of it.
            let Some(mut file) = self.open_checked(id)? else { return Ok(None) };
            let mut bytes = BodyBuf::of(data.len());
            bytes.fill(&mut file).map_err(failed)?;
            return Ok(Some(bytes.into()));
        }
        let mut bytes = BodyBuf::of(data.len());
        // Without `take` the length is asked for once more.
        bytes.fill(&mut (&file).take(u64::MAX)).map_err(failed)?;
        // Read once and proved as it was read: nobody can have changed it in between.
        if !self.is_checked(id) {
            if BlobId::of(&bytes) != id {
                self.put_away(id);
                return Ok(None);
            }
            self.lock().insert(id);
        }
        Self::mark_use(&file, &data);
        Ok(Some(bytes.into()))
    }

    /// The file of that id, whatever is in it.
    fn open_stored(&self, id: BlobId) -> io::Result<Option<(File, fs::Metadata)>> {
        let path = self.path(id);
        let file = match fs::OpenOptions::new().read(true).custom_flags(libc::O_NOATIME).open(&path)
        {
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => File::open(&path),
            other => other,
        };
        match file {
            Ok(file) => file.metadata().map(|data| Some((file, data))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn is_checked(&self, id: BlobId) -> bool {
        self.lock().contains(&id)
    }

    /// What a body's file holds is another body: it is moved to where nobody believes it.
    fn put_away(&self, id: BlobId) {
        let (path, aside) = (self.path(id), self.damaged.join(id.to_string()));
        log::warn!("a stored body is damaged; it is now {}", aside.display());
        let moved = fs::create_dir_all(&self.damaged)
            .and_then(|()| fs::rename(&path, &aside))
            .or_else(|_| fs::remove_file(&path));
        if let Err(error) = moved {
            log::warn!("cannot move {} there: {error}", path.display());
        }
    }

    /// The body open for reading, proved; `None` if it is not stored.
    pub fn open_checked(&self, id: BlobId) -> Result<Option<File>, Error> {
        let failed = |error: io::Error| Error::local("cannot read a body", &error);
        let Some((file, data)) = self.open_stored(id).map_err(failed)? else {
            if id == BlobId::EMPTY {
                let empty = self.working_copy()?;
                return empty.reopen().map(Some).map_err(failed);
            }
            return Ok(None);
        };
        if !self.is_checked(id) {
            let (found, _) = hash(&file).map_err(failed)?;
            if found != id {
                self.put_away(id);
                return Ok(None);
            }
            self.lock().insert(id);
        }
        Self::mark_use(&file, &data);
        Ok(Some(file))
    }

    /// Gives the body a second name, which outlives this one, on stable storage; false if it is not
    /// stored.
    pub fn link_to(&self, id: BlobId, target: &Path) -> Result<bool, Error> {
        let Some(mut stored) = self.open_checked(id)? else { return Ok(false) };
        let mut link = || {
            if fs::hard_link(self.path(id), target).is_err() {
                // Another file system, or one without links, or the body of no bytes.
                io::copy(&mut stored, &mut File::create(target)?)?;
            }
            File::open(target)?.sync_all()
        };
        link().map_err(|error| Error::local("cannot copy a body", &error))?;
        Ok(true)
    }

    /// Takes in the body that `file` should hold; false if it is not there or does not.
    pub fn take_in(&self, id: BlobId, file: &Path) -> Result<bool, Error> {
        if self.open_checked(id)?.is_some() {
            return Ok(true);
        }
        let failed = |error: io::Error| Error::local("cannot store a body", &error);
        let Ok(found) = File::open(file) else { return Ok(false) };
        let (there, size) = hash(&found).map_err(failed)?;
        if there != id {
            log::warn!("{} is damaged", file.display());
            return Ok(false);
        }
        let path = self.path(id);
        let place = || path.parent().map_or(Ok(()), fs::create_dir_all);
        place().map_err(failed)?;
        if fs::hard_link(file, &path).is_ok() {
            found.set_modified(SystemTime::now()).map_err(failed)?;
            self.note(id, size);
        } else {
            let copy = self.working_copy_from(&found)?;
            let placed = self.place(id, size, copy);
            placed.map_err(|failed| Error::local("cannot store", &failed.error))?;
        }
        Ok(true)
    }

    /// Least recently used goes first: the file's mtime is the mark, renewed once an hour.
    fn mark_use(file: &File, data: &fs::Metadata) {
        let now = SystemTime::now();
        if let Ok(Ok(age)) = data.modified().map(|time| now.duration_since(time))
            && age > USE_MARK
            && let Err(error) = file.set_modified(now)
        {
            log::debug!("cannot mark a body as used: {error}");
        }
    }

    /// Makes the body survive a power cut.
    pub fn sync(&self, id: BlobId) -> Result<(), Error> {
        if id == BlobId::EMPTY {
            return Ok(());
        }
        let path = self.path(id);
        let sync = || {
            File::open(&path)?.sync_all()?;
            // The entry in its directory, and that directory's own entry.
            path.ancestors().skip(1).take(2).try_for_each(|above| File::open(above)?.sync_all())
        };
        sync().map_err(|error| Error::local("cannot sync a body", &error))
    }

    /// Brings the directory, if it has more than `limit` bytes, down to [`after_eviction`]: least
    /// recently used first, sparing `needed`.
    ///
    /// Looks only when something worth it was added since the last time.
    pub fn evict(&self, limit: u64, needed: &HashSet<BlobId>) -> io::Result<()> {
        if self.added.load(Ordering::Relaxed) < limit / 16 {
            return Ok(());
        }
        self.added.store(0, Ordering::Relaxed);
        let mut found = self.stored()?;
        let mut total = found.iter().map(|stored| stored.size).sum::<u64>();
        found.sort_by_key(|stored| stored.used);
        let most = if total > limit { after_eviction(limit) } else { limit };
        for Stored { used, size, id, path } in found {
            let young = used.elapsed().is_ok_and(|age| age < YOUNG);
            if total <= most || young {
                break;
            }
            if id.is_some_and(|id| needed.contains(&id)) {
                continue;
            }
            fs::remove_file(path)?;
            total -= size;
        }
        *self.held() = Some(total);
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<BlobId>> {
        self.checked.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The id and length of what `file` holds, read in pieces.
fn hash(file: &File) -> io::Result<(BlobId, u64)> {
    let length = file.metadata()?.len();
    let mut hasher = BlobHasher::new(length);
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    while at < length {
        let read = file.read_at(&mut piece, at)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        hasher.update(&piece[..read]);
        at += read as u64;
    }
    Ok((hasher.finish(), length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_reads_back_and_a_damaged_one_is_a_miss() {
        let directory = tempfile::tempdir().unwrap();
        let id = BlobId::of(b"hello\n");
        Blobs::open(directory.path()).unwrap().put(id, b"hello\n").unwrap();
        let blobs = Blobs::open(directory.path()).unwrap();
        assert_eq!(blobs.read(id).unwrap().unwrap(), "hello\n");
        fs::write(blobs.path(id), "hullo\n").unwrap();
        let blobs = Blobs::open(directory.path()).unwrap();
        assert_eq!(blobs.read(id).unwrap(), None);
        assert!(!blobs.contains(id));
    }

    #[test]
    fn a_working_copy_becomes_a_body_and_the_body_a_working_copy() {
        let directory = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(directory.path()).unwrap();
        let mut copy = blobs.working_copy().unwrap();
        copy.write_all(b"abc").unwrap();
        let adopted = blobs.adopt(copy).map_err(|(_, error)| error).unwrap();
        assert_eq!((adopted.blob, adopted.size), (BlobId::of(b"abc"), 3));
        let mut again = blobs.working_copy_of(adopted.blob).unwrap().unwrap();
        again.write_all(b"d").unwrap();
        let again = blobs.adopt(again).map_err(|(_, error)| error).unwrap();
        assert_eq!(again.blob, BlobId::of(b"abcd"));
        fs::remove_file(blobs.path(adopted.blob)).unwrap();
        let copy = blobs.working_copy_from(&adopted.file).unwrap();
        let kept = blobs.adopt(copy).map_err(|(_, error)| error).unwrap();
        assert_eq!(kept.blob, adopted.blob);
        assert!(blobs.working_copy_of(BlobId::of(b"other")).unwrap().is_none());
    }

    #[test]
    fn a_body_that_is_stored_twice_takes_its_room_once() {
        let directory = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(directory.path()).unwrap();
        assert_eq!(blobs.room(100).unwrap(), 100);
        for _ in 0..2 {
            let mut copy = blobs.working_copy().unwrap();
            copy.write_all(b"abc").unwrap();
            blobs.adopt(copy).map_err(|(_, error)| error).unwrap();
        }
        assert_eq!(blobs.room(100).unwrap(), 97);
        blobs.put(BlobId::of(b"other"), b"other").unwrap();
        assert_eq!(blobs.room(100).unwrap(), 92);
    }

    #[test]
    fn eviction_takes_the_least_recently_used_and_spares_what_is_needed() {
        let directory = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(directory.path()).unwrap();
        let bodies: Vec<Vec<u8>> = (0..4).map(|n| vec![n; 100]).collect();
        for (age, body) in bodies.iter().enumerate() {
            let id = BlobId::of(body);
            blobs.put(id, body).unwrap();
            let file = fs::File::options().write(true).open(blobs.path(id)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(age as u64)).unwrap();
        }
        let needed = HashSet::from([BlobId::of(&bodies[0])]);
        blobs.evict(220, &needed).unwrap();
        let left = || -> Vec<bool> {
            bodies.iter().map(|body| blobs.contains(BlobId::of(body))).collect()
        };
        assert_eq!(left(), [true, false, false, true]);
        // What has room stays; beyond it, some room is made.
        blobs.added.store(200, Ordering::Relaxed);
        blobs.evict(200, &needed).unwrap();
        assert_eq!((left(), blobs.room(200).unwrap()), (vec![true, false, false, true], 0));
        blobs.put(BlobId::of(b"x"), b"x").unwrap();
        blobs.added.store(200, Ordering::Relaxed);
        blobs.evict(200, &needed).unwrap();
        assert_eq!((left()[3], blobs.room(200).unwrap()), (false, 99));
    }
}
