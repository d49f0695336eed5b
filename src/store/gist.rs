//! What one gist holds: the remote snapshot, and what the user sees over it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::scratch;
use super::shed::Shed;
use crate::model::{BlobId, FileName, RemoteFile, Snapshot, Time};

/// Names a gist in this state directory for good, also before GitHub gives it an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GistKey(pub i64);

/// One gist: `base` is what GitHub last told us, the rest is what the user sees.
///
/// The difference of the two is what is owed to GitHub; nothing else records it. As JSON it is what
/// the second copy of unsent gists holds: a field added here needs `#[serde(default)]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gist {
    /// Its key.
    pub key: GistKey,
    /// GitHub's state; `None` until the gist exists there.
    pub base: Option<Arc<Snapshot>>,
    /// The description as the user sees it.
    pub description: String,
    /// What a gist that does not exist yet will be created as.
    pub public: bool,
    /// The user removed the whole gist and GitHub does not know yet.
    pub removed: bool,
    /// Every file the user sees, scratch files too.
    pub files: BTreeMap<FileName, LocalFile>,
    /// Files of `base` that were moved to another gist: they stay on GitHub until they are there.
    pub moved_to: BTreeMap<FileName, GistKey>,
    /// The directory's attributes.
    pub meta: Meta,
    /// What GitHub has if the request under way, or the last one without an answer, was acted on. A
    /// create is looked for before it is said again.
    pub attempt: Option<Attempt>,
    /// When a change of it was last sent that was or may have been acted on: GitHub's reads lag.
    pub wrote: Option<Time>,
    /// How the upload stands.
    #[serde(skip)]
    pub upload: Upload,
    /// A description somebody else gave it that ours replaced, until it changes again.
    #[serde(default)]
    pub their_description: Option<String>,
    /// When the user removed the whole gist, if so.
    #[serde(default)]
    pub removed_at: Option<Time>,
    /// Files that were removed from it, the oldest first.
    #[serde(default)]
    pub shed: Vec<Shed>,
    /// The gist that this one is made to take the place of, with the same files and the other
    /// visibility. What of it was never sent is no change of the user's: see [`Gist::is_unsent_copy`].
    #[serde(default)]
    pub copy_of: Option<GistKey>,
    /// The user wants no copy of it in the trash when its removal is sent.
    #[serde(default)]
    pub purged: bool,
}

/// A file as the user sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LocalFile {
    /// Its bytes or its link.
    pub content: Content,
    /// The name in `base` this file descends from, through any number of renames.
    pub from: Option<FileName>,
    /// Its attributes.
    pub meta: Meta,
    /// Since when this scratch file has been all there is of the `base` file in `from`.
    pub limbo: Option<Time>,
    /// A body that GitHub stored with other bytes than it was sent; it is not sent again.
    pub altered: Option<BlobId>,
    /// Open handles that may write. Not remembered over a restart.
    #[serde(skip)]
    pub writers: u32,
    /// Since when somebody has been writing; `None` also when that went on for too long to wait.
    #[serde(skip)]
    pub writing_since: Option<Time>,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// A body of so many bytes.
    Bytes {
        /// Its id.
        blob: BlobId,
        /// Its length.
        size: u64,
    },
    /// A symbolic link; only scratch names may be one (editors' locks).
    Link(String),
}

/// Attributes that GitHub does not keep; `None` means the mount's default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Permission bits, if the user set them.
    pub mode: Option<u32>,
    /// Owner, if the user set it.
    pub uid: Option<u32>,
    /// Group, if the user set it.
    pub gid: Option<u32>,
    /// When it was last read, as far as anybody said so.
    pub atime: Time,
    /// When the content last changed.
    pub mtime: Time,
    /// When content or attributes last changed.
    pub ctime: Time,
}

impl Meta {
    /// Attributes of something that came to be at `time`.
    pub fn at(time: Time) -> Self {
        Self { mode: None, uid: None, gid: None, atime: time, mtime: time, ctime: time }
    }

    /// The content changed at `time`.
    pub fn touch(&mut self, time: Time) {
        self.mtime = time;
        self.ctime = time;
    }
}

/// A request that was sent: what the gist is after it, to recognise that it was acted on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The description.
    pub description: String,
    /// The files.
    pub files: BTreeMap<FileName, BlobId>,
    /// The request before it, if that one was not answered either.
    pub earlier: Option<Box<Self>>,
}

/// So many requests in a row without an answer are remembered.
const UNANSWERED: usize = 8;

impl Attempt {
    /// A request that follows `earlier`, of which it is not known what came.
    pub fn after(
        earlier: Option<&Self>,
        description: String,
        files: BTreeMap<FileName, BlobId>,
    ) -> Self {
        let different = |sent: &&Self| sent.description != description || sent.files != files;
        let mut earlier: Vec<Self> = earlier
            .into_iter()
            .flat_map(Self::all)
            .filter(different)
            .take(UNANSWERED)
            .map(|sent| Self { earlier: None, ..sent.clone() })
            .collect();
        let mut chain = None;
        while let Some(last) = earlier.pop() {
            chain = Some(Box::new(Self { earlier: chain, ..last }));
        }
        Self { description, files, earlier: chain }
    }

    /// A deletion of the whole gist: no other request leaves it without files.
    pub fn deletion(earlier: Option<&Self>) -> Self {
        Self::after(earlier, String::new(), BTreeMap::new())
    }

    /// The same without the deletions, of which it is now known that they were not acted on.
    pub fn without_deletions(&self) -> Option<Self> {
        let earlier = self.earlier.as_deref().and_then(Self::without_deletions);
        if self.files.is_empty() {
            return earlier;
        }
        Some(Self { earlier: earlier.map(Box::new), ..self.clone() })
    }

    /// Whether a deletion of the gist was sent of which it is not known what came.
    pub fn may_have_deleted(&self) -> bool {
        self.all().any(|sent| sent.files.is_empty())
    }

    /// This request and those before it, the newest first.
    pub fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |sent| sent.earlier.as_deref())
    }

    /// Whether `snapshot` is what this request, or one before it, would have made.
    pub fn made(&self, snapshot: &Snapshot) -> bool {
        self.all().any(|sent| snapshot.description == sent.description && sent.made_files(snapshot))
    }

    /// Whether `snapshot` has just the files this very request would have made, as far as it shows.
    pub fn made_files(&self, snapshot: &Snapshot) -> bool {
        let same =
            |(name, file): (&FileName, &RemoteFile)| self.files.get(name) == Some(&file.blob);
        let all = snapshot.files.len() == self.files.len();
        let cut = snapshot.is_partial() && snapshot.files.len() < self.files.len();
        (all || cut) && snapshot.files.iter().all(same)
    }
}

/// How the upload of a gist stands. Times are not remembered over a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upload {
    /// The first change that GitHub does not have.
    pub first_change: Option<Time>,
    /// The last one.
    pub last_change: Option<Time>,
    /// The first one after the last push began: what waits is counted from here.
    pub first_since_push: Option<Time>,
    /// Failed tries since the last success.
    pub tries: u32,
    /// Those of them that were not for lack of a network: the back-off grows with them.
    pub failed: u32,
    /// Not to be tried before.
    pub not_before: Option<Time>,
    /// GitHub refused and retrying cannot mend it: waits for a change or for `gistfs sync`.
    pub refused: bool,
    /// What git said when it refused a push for good: until the next change, or `gistfs sync`, only
    /// the API is asked.
    pub refusal: Option<String>,
    /// Nothing of it can be sent: waits for a change, or for what it waits for.
    pub settled: bool,
    /// `base` is known to differ from the state before it by a commit, not by its description alone.
    pub by_commit: bool,
    /// The last error in words.
    pub error: Option<String>,
}

impl LocalFile {
    /// A file the user makes at `now`: empty, known to nobody else.
    pub fn new(now: Time) -> Self {
        Self::with(Content::Bytes { blob: BlobId::EMPTY, size: 0 }, None, now)
    }

    /// A file as GitHub has it; `updated_at` is the first guess of its age.
    pub fn of_remote(name: &FileName, file: &RemoteFile, updated_at: Time) -> Self {
        let content = Content::Bytes { blob: file.blob, size: file.size };
        Self::with(content, Some(name.clone()), updated_at)
    }

    /// A file with the given content, made at `now`.
    pub fn with(content: Content, from: Option<FileName>, now: Time) -> Self {
        Self {
            content,
            from,
            meta: Meta::at(now),
            limbo: None,
            altered: None,
            writers: 0,
            writing_since: None,
        }
    }

    /// Notes one more who has it open for writing.
    pub fn opened(&mut self, now: Time) {
        self.writers += 1;
        self.writing_since.get_or_insert(now);
    }

    /// Whether somebody is in the middle of writing it, so that it counts as GitHub has it.
    pub fn is_being_written(&self) -> bool {
        self.writers > 0 && self.writing_since.is_some()
    }

    /// The body's id, if it is no link.
    pub fn blob(&self) -> Option<BlobId> {
        match &self.content {
            Content::Bytes { blob, .. } => Some(*blob),
            Content::Link(_) => None,
        }
    }

    /// What `stat` says the size is.
    pub fn size(&self) -> u64 {
        match &self.content {
            Content::Bytes { size, .. } => *size,
            Content::Link(target) => target.len() as u64,
        }
    }
}

impl Gist {
    /// A gist the user makes at `now`, empty and known to nobody else.
    pub fn new(key: GistKey, description: String, public: bool, now: Time) -> Self {
        Self {
            key,
            base: None,
            description,
            public,
            removed: false,
            files: BTreeMap::new(),
            moved_to: BTreeMap::new(),
            meta: Meta::at(now),
            attempt: None,
            wrote: None,
            upload: Upload::default(),
            their_description: None,
            removed_at: None,
            shed: Vec::new(),
            copy_of: None,
            purged: false,
        }
    }

    /// A gist just as GitHub has it.
    pub fn of_remote(key: GistKey, snapshot: Arc<Snapshot>) -> Self {
        let age = snapshot.updated_at;
        let file = |(name, file): (&FileName, &RemoteFile)| {
            (name.clone(), LocalFile::of_remote(name, file, age))
        };
        Self {
            files: snapshot.files.iter().map(file).collect(),
            description: snapshot.description.clone(),
            public: snapshot.public,
            base: Some(snapshot),
            ..Self::new(key, String::new(), false, age)
        }
    }

    /// GitHub's file of that name.
    pub fn remote(&self, name: &FileName) -> Option<&RemoteFile> {
        self.base.as_ref()?.files.get(name)
    }

    /// Whether `name` lives locally only: a scratch pattern, and not a file GitHub has.
    pub fn is_scratch(&self, name: &FileName) -> bool {
        self.remote(name).is_none() && scratch::matches(name.as_str())
    }

    /// Where the body `blob` can be fetched, if this gist has it on GitHub.
    pub fn source(&self, blob: BlobId) -> Option<&RemoteFile> {
        self.base.as_ref()?.files.values().find(|file| file.blob == blob)
    }

    /// Whether it is a copy that GitHub is not known to have.
    pub fn is_unseen_copy(&self) -> bool {
        self.copy_of.is_some() && self.base.is_none()
    }

    /// Whether it is a copy that GitHub cannot have: only whoever asked for it, and still waits,
    /// sends it.
    pub fn is_unsent_copy(&self) -> bool {
        self.is_unseen_copy() && self.attempt.is_none()
    }

    /// Whether it has a directory.
    pub fn is_shown(&self) -> bool {
        !self.removed && !self.is_unseen_copy()
    }

    /// Whether the user sees anything else than GitHub has, sendable or not, scratch excepted.
    pub fn differs(&self) -> bool {
        if self.is_unsent_copy() {
            return false;
        }
        let Some(base) = &self.base else {
            return !self.removed && self.files.keys().any(|name| !self.is_scratch(name));
        };
        self.removed
            || self.description != base.description
            || base.files.iter().any(|(name, file)| {
                self.files.get(name).and_then(LocalFile::blob) != Some(file.blob)
            })
            || self
                .files
                .keys()
                .any(|name| !base.files.contains_key(name) && !self.is_scratch(name))
    }

    /// Whether GitHub never had it and nothing is in it that could be sent: there is no gist without
    /// files there, so it is here only.
    pub fn is_new_and_empty(&self) -> bool {
        self.base.is_none() && self.is_shown() && !self.differs()
    }

    /// Whether there is anything to do or to wait for: it differs, it was removed, a file is open
    /// for writing, or one is in limbo.
    pub fn is_busy(&self) -> bool {
        self.differs()
            || self.removed
            || !self.moved_to.is_empty()
            || self.files.values().any(|file| file.writers > 0 || file.limbo.is_some())
    }

    /// Whether this state directory holds anything of it that GitHub does not have: unsent changes,
    /// scratch files, a request without an answer, what was removed before it was sent, a description
    /// that was replaced, or the gist itself.
    pub fn owes(&self) -> bool {
        self.base.is_none()
            || self.differs()
            || !self.moved_to.is_empty()
            || self.attempt.is_some()
            || self.their_description.is_some()
            || self.shed.iter().any(|shed| shed.raw_url.is_none())
            || self.files.keys().any(|name| self.is_scratch(name))
    }

    /// Notes that the user changed something that GitHub may have to hear of.
    pub fn changed(&mut self, now: Time) {
        self.upload.first_change.get_or_insert(now);
        self.upload.first_since_push.get_or_insert(now);
        self.upload.last_change = Some(now);
        self.upload.settled = false;
        self.upload.refused = false;
        self.upload.refusal = None;
        self.upload.not_before = None;
    }

    /// The user gives it another description at `now`.
    pub fn describe(&mut self, description: &str, now: Time) {
        self.description = description.to_owned();
        self.their_description = None;
        self.meta.ctime = now;
        if self.differs() {
            self.changed(now);
        }
    }

    /// Lets the files' descent follow a new `base`: a file GitHub has descends from itself.
    pub fn follow_base(&mut self) {
        let Some(base) = self.base.clone() else { return };
        for (name, file) in &mut self.files {
            if let Some(there) = base.files.get(name) {
                file.from = Some(name.clone());
                if file.altered == Some(there.blob) {
                    // Git carried it.
                    file.altered = None;
                }
            } else if file.from.as_ref().is_some_and(|from| !base.files.contains_key(from)) {
                file.from = None;
                file.limbo = None;
            }
        }
        self.moved_to.retain(|name, _| base.files.contains_key(name));
    }
}
