//! All gists: an index in memory over one bare repository and one JSON file a gist.
//!
//! Answers come from the index alone; git is opened only for bodies and for writes. The JSON
//! file is written after the commit, so a crash between the two leaves git ahead of it, which
//! [`Store::open`] notices and mends.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use std::{fs, io};

use super::gist::{Before, Gist, Version};
use super::repository::{File, LoginOf, Repository};
use crate::model::{BlobId, Time};

/// Locks `mutex`, also after a panic elsewhere: all that is kept under locks here is replaced
/// whole, so there is no half-made state to fear.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file in a write: one the gist has already, or new bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body {
    Kept(File),
    New(Vec<u8>),
}

/// What a gist is to be.
pub(super) struct Next {
    pub(super) description: Option<String>,
    pub(super) files: BTreeMap<String, Body>,
    pub(super) author: String,
    /// When it happens; what is earlier than the last update counts as then.
    pub(super) at: Time,
    /// Moves `updated_at` even if nothing changes.
    pub(super) touch: bool,
}

/// A gist to be made.
pub(super) struct NewGist {
    pub(super) owner: Option<String>,
    pub(super) description: Option<String>,
    pub(super) public: bool,
    pub(super) files: BTreeMap<String, Vec<u8>>,
    pub(super) created_at: Time,
    pub(super) branch: String,
}

/// The gists of one data directory.
pub(super) struct Store {
    directory: PathBuf,
    index: Mutex<Index>,
}

/// Newest first, as every list is.
type Place = (Reverse<Time>, Reverse<u64>);

#[derive(Default)]
struct Index {
    places: HashMap<String, Place>,
    gists: BTreeMap<Place, Arc<Gist>>,
    last_serial: u64,
    /// Comments are numbered through, whatever gist they are on, and no number comes twice.
    last_comment: u64,
}

impl Index {
    fn put(&mut self, gist: Arc<Gist>) {
        let place = (Reverse(gist.created_at), Reverse(gist.serial));
        self.last_serial = self.last_serial.max(gist.serial);
        let comments = gist.comments.iter().map(|comment| comment.id);
        self.last_comment = comments.fold(self.last_comment, u64::max);
        self.places.insert(gist.id.clone(), place);
        self.gists.insert(place, gist);
    }

    fn get(&self, id: &str) -> Option<&Arc<Gist>> {
        self.gists.get(self.places.get(id)?)
    }
}

impl Store {
    /// Reads the gists in `directory`, making it if need be. A gist that cannot be read is left
    /// where it is and logged.
    pub(super) fn open(directory: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&directory)?;
        let mut index = Index::default();
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            match read_gist(&path) {
                Ok(gist) => index.put(Arc::new(gist)),
                Err(error) => log::warn!("{} is not readable: {error}", path.display()),
            }
        }
        Ok(Self { directory, index: Mutex::new(index) })
    }

    /// The directory with the repositories, for git itself.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The gist as it is now.
    pub(super) fn get(&self, id: &str) -> Option<Arc<Gist>> {
        locked(&self.index).get(id).cloned()
    }

    /// The gists that `wanted` accepts, newest first.
    pub(super) fn select(&self, wanted: impl Fn(&Gist) -> bool) -> Vec<Arc<Gist>> {
        locked(&self.index).gists.values().filter(|gist| wanted(gist)).cloned().collect()
    }

    /// The number of the next comment.
    pub(super) fn next_comment(&self) -> u64 {
        let mut index = locked(&self.index);
        index.last_comment += 1;
        index.last_comment
    }

    /// The repository of a gist.
    pub(super) fn repository(&self, id: &str) -> io::Result<Repository> {
        Repository::open(&self.repository_path(id))
    }

    fn repository_path(&self, id: &str) -> PathBuf {
        self.directory.join(format!("{id}.git"))
    }

    /// Makes a gist and its first commit.
    pub(super) fn create(&self, new: NewGist) -> io::Result<Arc<Gist>> {
        let created_at = Time::new(new.created_at.seconds(), 0);
        let serial = self.next_serial();
        let id = fresh_id(serial, &self.directory);
        let path = self.repository_path(&id);
        let repository = Repository::create(&path, &new.branch)?;
        let mut files = BTreeMap::new();
        for (name, bytes) in new.files {
            files.insert(name, repository.store(&bytes)?);
        }
        let author = new.owner.as_deref().unwrap_or("anonymous");
        let history = vec![repository.commit(&files, author, created_at)?];
        let description = new.description;
        let tip = Arc::new(Version { description, updated_at: created_at, files, history });
        self.keep(Gist {
            id,
            serial,
            owner: new.owner,
            public: new.public,
            created_at,
            tip,
            comments: Vec::new(),
            stars: BTreeSet::new(),
            forks: Vec::new(),
            fork_of: None,
            before: None,
            born: Some(Instant::now()),
            writer: Arc::default(),
        })
    }

    /// Makes a copy of a gist with its history for `owner`; `None` if there is no such gist.
    pub(super) fn fork(&self, source: &str, owner: &str) -> io::Result<Option<Arc<Gist>>> {
        let Some(writer) = self.get(source).map(|gist| Arc::clone(&gist.writer)) else {
            return Ok(None);
        };
        let _turn = locked(&writer);
        let Some(source) = self.get(source) else { return Ok(None) };
        let now = Time::new(Time::now().seconds(), 0);
        let serial = self.next_serial();
        let id = fresh_id(serial, &self.directory);
        copy_directory(&self.repository_path(&source.id), &self.repository_path(&id))?;
        let tip = Arc::new(Version { updated_at: now, ..Version::clone(&source.tip) });
        let fork = Gist {
            id,
            serial,
            owner: Some(owner.to_owned()),
            created_at: now,
            tip,
            comments: Vec::new(),
            stars: BTreeSet::new(),
            forks: Vec::new(),
            fork_of: Some(source.id.clone()),
            before: None,
            born: Some(Instant::now()),
            writer: Arc::default(),
            ..Gist::clone(&source)
        };
        self.keep(fork).map(Some)
    }

    /// Changes a gist's content: `plan` sees the gist as it is and says what it is to be. One
    /// write at a time; a second one waits and then sees the first one's outcome.
    ///
    /// `None` if there is no such gist. What equals the present content makes no commit.
    pub(super) fn write<E: From<io::Error>>(
        &self,
        id: &str,
        plan: impl FnOnce(&Gist) -> Result<Next, E>,
    ) -> Result<Option<Arc<Gist>>, E> {
        let Some(writer) = self.get(id).map(|gist| Arc::clone(&gist.writer)) else {
            return Ok(None);
        };
        let _turn = locked(&writer);
        let Some(gist) = self.get(id) else { return Ok(None) };
        let next = plan(&gist)?;
        Ok(Some(self.carry_out(&gist, next)?))
    }

    fn carry_out(&self, gist: &Gist, next: Next) -> io::Result<Arc<Gist>> {
        let repository = self.repository(&gist.id)?;
        let mut files = BTreeMap::new();
        for (name, body) in next.files {
            let file = match body {
                Body::Kept(file) => file,
                Body::New(bytes) => repository.store(&bytes)?,
            };
            files.insert(name, file);
        }
        let now = Time::new(next.at.seconds(), 0).max(gist.tip.updated_at);
        let mut history = gist.tip.history.clone();
        let new_content = files != gist.tip.files;
        if new_content {
            history.push(repository.commit(&files, &next.author, now)?);
        }
        let moves = new_content || next.touch || next.description != gist.tip.description;
        let updated_at = if moves { now } else { gist.tip.updated_at };
        let tip = Version { description: next.description, updated_at, files, history };
        self.keep(replaced(gist, tip))
    }

    /// Takes over what a push left in the repository. `login` tells whose an author's e-mail
    /// address is.
    pub(super) fn reload(&self, id: &str, login: LoginOf<'_>) -> io::Result<()> {
        let Some(writer) = self.get(id).map(|gist| Arc::clone(&gist.writer)) else {
            return Ok(());
        };
        let _turn = locked(&writer);
        let Some(gist) = self.get(id) else { return Ok(()) };
        let (files, history) = self.repository(id)?.read_back(&gist.tip.history, login)?;
        if history == gist.tip.history {
            return Ok(());
        }
        let updated_at = Time::new(Time::now().seconds(), 0).max(gist.tip.updated_at);
        let description = gist.tip.description.clone();
        self.keep(replaced(&gist, Version { description, updated_at, files, history }))?;
        Ok(())
    }

    /// Changes what is not content: stars, comments, forks. `bump` moves `updated_at`.
    pub(super) fn annotate(
        &self,
        id: &str,
        bump: bool,
        change: impl FnOnce(&mut Gist),
    ) -> io::Result<Option<Arc<Gist>>> {
        let Some(writer) = self.get(id).map(|gist| Arc::clone(&gist.writer)) else {
            return Ok(None);
        };
        let _turn = locked(&writer);
        let Some(gist) = self.get(id) else { return Ok(None) };
        let mut gist = Gist::clone(&gist);
        change(&mut gist);
        if bump {
            let now = Time::new(Time::now().seconds(), 0).max(gist.tip.updated_at);
            Arc::make_mut(&mut gist.tip).updated_at = now;
        }
        self.keep(gist).map(Some)
    }

    /// Deletes a gist; `false` if there is none.
    pub(super) fn remove(&self, id: &str) -> io::Result<bool> {
        let Some(writer) = self.get(id).map(|gist| Arc::clone(&gist.writer)) else {
            return Ok(false);
        };
        let _turn = locked(&writer);
        {
            let mut index = locked(&self.index);
            let Some(place) = index.places.remove(id) else { return Ok(false) };
            index.gists.remove(&place);
        }
        // The JSON file first: a repository without one is no gist, whatever happens next.
        fs::remove_file(self.directory.join(format!("{id}.json")))?;
        fs::remove_dir_all(self.repository_path(id))?;
        Ok(true)
    }

    /// The body with this id in the gist's repository.
    pub(super) fn body(&self, id: &str, blob: BlobId) -> io::Result<Option<Vec<u8>>> {
        self.repository(id)?.body(blob)
    }

    fn next_serial(&self) -> u64 {
        let mut index = locked(&self.index);
        index.last_serial += 1;
        index.last_serial
    }

    fn keep(&self, gist: Gist) -> io::Result<Arc<Gist>> {
        let text = serde_json::to_vec(&gist)?;
        let mut file = tempfile::Builder::new().prefix(".new").tempfile_in(&self.directory)?;
        file.write_all(&text)?;
        file.persist(self.directory.join(format!("{}.json", gist.id)))?;
        let gist = Arc::new(gist);
        locked(&self.index).put(Arc::clone(&gist));
        Ok(gist)
    }
}

fn replaced(gist: &Gist, tip: Version) -> Gist {
    let before = Before::now(Arc::clone(&gist.tip));
    Gist { tip: Arc::new(tip), before: Some(before), ..gist.clone() }
}

/// 32 hex digits that no gist of `directory` has.
fn fresh_id(serial: u64, directory: &Path) -> String {
    let seed = format!("{} {serial} {}", directory.display(), Time::now().0);
    let mut id = BlobId::of(seed.as_bytes()).to_string();
    id.truncate(32);
    id
}

fn read_gist(path: &Path) -> io::Result<Gist> {
    let mut gist: Gist = serde_json::from_slice(&fs::read(path)?)?;
    let repository = path.with_extension("git");
    if head(&repository) != gist.tip.history.last().map(|commit| commit.version.clone()) {
        let (files, history) =
            Repository::open(&repository)?.read_back(&gist.tip.history, &|_| None)?;
        let tip = Arc::make_mut(&mut gist.tip);
        tip.files = files;
        tip.history = history;
    }
    Ok(gist)
}

/// HEAD's commit by two small reads; opening ten thousand repositories would take a minute.
fn head(repository: &Path) -> Option<String> {
    let head = fs::read_to_string(repository.join("HEAD")).ok()?;
    let name = head.strip_prefix("ref: ")?.trim_end();
    let tip = fs::read_to_string(repository.join(name)).ok()?;
    Some(tip.trim_end().to_owned())
}

fn copy_directory(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_directory(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
