//! A strict GitHub in memory: it knows the API's rules and notes what breaks them.
//!
//! Stricter than the real one where that would let a mistake pass: what gistfs must never send is
//! kept as a complaint, which the tests ask for after every step.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use gistfs::api::absent::Absent;
use gistfs::api::git::GitApi;
use gistfs::api::social::SocialApi;
use gistfs::api::{
    Account, Api, ApiError, Fetched, FileChange, FullGist, GistApi, NewGist, Page, PageAddress,
    PageRequest, Patch, Quota,
};
use gistfs::model::{BlobId, CommitId, FileName, GistId, RemoteFile, Snapshot, Time};
use gistfs::store::{placeholder, scratch};

mod git;

/// A clock that moves only when told to; GitHub and the mount under test share it.
#[derive(Clone)]
pub(crate) struct Clock(Arc<AtomicI64>);

impl Clock {
    /// Some moment in 2026.
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(1_790_000_000_000_000_000)))
    }

    /// The time.
    pub(crate) fn now(&self) -> Time {
        Time(self.0.load(Ordering::SeqCst))
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, time: Duration) {
        self.0.fetch_add(time.as_nanos() as i64, Ordering::SeqCst);
    }
}

/// A name the tests write down.
pub(crate) fn name(text: &str) -> FileName {
    FileName::parse(text).expect("a name with at least one character")
}

/// Something that was to change GitHub, in the order of arrival, refused or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// `POST /gists`.
    Create(NewGist),
    /// `PATCH /gists/ID`.
    Update(GistId, Patch),
    /// `DELETE /gists/ID`.
    Delete(GistId),
    /// `git push`: the files afterwards.
    Push(GistId, BTreeMap<FileName, BlobId>),
}

/// How the next change fails.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// What the client hears.
    pub(crate) error: ApiError,
    /// Whether the change is made all the same.
    pub(crate) applied: bool,
}

/// How often each thing was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Pages of lists, those answered by 304 too.
    pub(crate) lists: usize,
    /// Single gists, those answered by 304 too.
    pub(crate) gets: usize,
    /// Answers without content: 304.
    pub(crate) unmodified: usize,
    /// Single gists as they were once.
    pub(crate) revisions: usize,
    /// Bodies by raw address.
    pub(crate) bodies: usize,
    /// `POST`s that arrived.
    pub(crate) creates: usize,
    /// `PATCH`es that arrived.
    pub(crate) updates: usize,
    /// `DELETE`s that arrived.
    pub(crate) deletes: usize,
    /// Repositories fetched.
    pub(crate) fetches: usize,
    /// Bodies fetched from them.
    pub(crate) git_bodies: usize,
    /// Pushes that arrived.
    pub(crate) pushes: usize,
}

/// What another machine does behind the back of the next update.
type Meddling = Box<dyn FnOnce(&FakeGitHub) + Send>;

/// GitHub, as far as gistfs can tell.
pub(crate) struct FakeGitHub {
    itself: Weak<Self>,
    clock: Clock,
    page_size: usize,
    world: Mutex<World>,
    /// What happens while the next list is on its way back.
    meanwhile: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    /// The same for the next single gist.
    meanwhile_got: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

struct World {
    /// There is a way to the repositories.
    git: bool,
    /// How the next fetches of repositories fail.
    git_faults: VecDeque<ApiError>,
    /// More files of a gist than that the API does not show.
    shown: usize,
    gists: BTreeMap<GistId, Remote>,
    /// Every body any gist ever had, deleted ones too.
    ever: BTreeSet<BlobId>,
    made: u64,
    faults: VecDeque<Fault>,
    meddling: Option<Meddling>,
    /// How many reads of each kind after each change still show the time before it.
    lag: [u32; 3],
    /// What those reads show, and how many of them are left.
    behind: HashMap<(GistId, Reads), Behind>,
    /// How the next pushes fail.
    push_faults: VecDeque<ApiError>,
    /// Since something happened that excuses a request made from old knowledge.
    excused: bool,
    /// Bodies cannot be had by their raw address just now.
    bodies_unreachable: bool,
    complaints: Vec<String>,
    sent: Vec<Sent>,
    /// When each of those arrived.
    sent_at: Vec<Time>,
    /// What the newest answer said of the rate limit.
    quota: Option<Quota>,
    counts: Counts,
}

/// What is read, each of which has copies of its own that lag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Reads {
    Lists,
    Gists,
    Git,
}

const READS: [Reads; 3] = [Reads::Lists, Reads::Gists, Reads::Git];

/// What lagging reads show.
struct Behind {
    before: Option<Remote>,
    reads: u32,
    /// No copy of GitHub's is older than this allows.
    until: Time,
}

/// The longest that reads lag.
const LONGEST_LAG: Duration = Duration::from_secs(19);

#[derive(Clone, Debug)]
struct Remote {
    description: String,
    public: bool,
    created_at: Time,
    updated_at: Time,
    files: BTreeMap<FileName, Bytes>,
    /// Newest first.
    history: Vec<String>,
    /// The files after each commit.
    versions: BTreeMap<String, BTreeMap<FileName, Bytes>>,
    bodies: BTreeMap<BlobId, Bytes>,
    etag: u64,
}

impl FakeGitHub {
    /// An account without gists, whose lists come in pages of `page_size`.
    pub(crate) fn new(clock: &Clock, page_size: usize) -> Arc<Self> {
        Arc::new_cyclic(|itself| Self {
            itself: Weak::clone(itself),
            clock: clock.clone(),
            page_size,
            world: Mutex::new(World::new()),
            meanwhile: Mutex::default(),
            meanwhile_got: Mutex::default(),
        })
    }

    /// Whether there is a way to the repositories; at first there is none.
    pub(crate) fn set_git(&self, git: bool) {
        self.world().git = git;
    }

    /// Whether there is a way to the repositories.
    pub(crate) fn has_git(&self) -> bool {
        self.world().git
    }

    /// How many files of a gist the API shows; at first 300.
    pub(crate) fn set_shown(&self, shown: usize) {
        self.world().shown = shown;
    }

    /// Makes the next fetch of a repository fail.
    pub(crate) fn fail_next_fetch(&self, error: ApiError) {
        self.world().git_faults.push_back(error);
    }

    /// Lets something happen when the next list is made and not yet answered.
    pub(crate) fn while_listed(&self, happens: impl FnOnce() + Send + 'static) {
        *self.meanwhile.lock().expect("nobody panicked") = Some(Box::new(happens));
    }

    /// Does something while the next single gist is on its way back.
    pub(crate) fn while_got(&self, happens: impl FnOnce() + Send + 'static) {
        *self.meanwhile_got.lock().expect("nobody panicked") = Some(Box::new(happens));
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn second(&self) -> Time {
        Time::new(self.clock.now().seconds(), 0)
    }

    /// Makes the next change fail; several queue up.
    pub(crate) fn fail_next(&self, error: ApiError, applied: bool) {
        let mut world = self.world();
        world.excused |= applied;
        world.faults.push_back(Fault { error, applied });
    }

    /// From now on, this many reads after each change show the time before it.
    pub(crate) fn set_lag(&self, reads: u32) {
        self.set_lags([reads; 3]);
    }

    /// The same of lists, of single gists and of repositories.
    pub(crate) fn set_lags(&self, reads: [u32; 3]) {
        let mut world = self.world();
        world.lag = reads;
        world.excused |= reads != [0; 3];
    }

    /// Makes the next push fail, which is not made.
    pub(crate) fn fail_next_push(&self, error: ApiError) {
        self.world().push_faults.push_back(error);
    }

    /// Several machines change things: requests made from old knowledge are to be expected.
    pub(crate) fn expect_company(&self) {
        self.world().excused = true;
    }

    /// Whether bodies can be had by their raw address, and those that a gist no longer has at all.
    pub(crate) fn set_bodies_reachable(&self, reachable: bool) {
        self.world().bodies_unreachable = !reachable;
    }

    /// Somebody rewrites a gist's history: only what its files hold now is left.
    pub(crate) fn forget_bodies(&self, id: &GistId) {
        let mut world = self.world();
        let Some(gist) = world.gists.get_mut(id) else { return };
        let kept: BTreeSet<BlobId> = gist.files.values().map(|body| BlobId::of(body)).collect();
        gist.bodies.retain(|blob, _| kept.contains(blob));
        gist.history.truncate(1);
        gist.versions.retain(|commit, _| gist.history.contains(commit));
    }

    /// Ends all faults, lags and delays.
    pub(crate) fn heal(&self) {
        let mut world = self.world();
        world.faults.clear();
        world.git_faults.clear();
        world.push_faults.clear();
        world.behind.clear();
        world.lag = [0; 3];
        world.meddling = None;
    }

    /// Does something between the client's last look and its next update.
    pub(crate) fn meddle_before_update(&self, act: impl FnOnce(&Self) + Send + 'static) {
        let mut world = self.world();
        world.excused = true;
        world.meddling = Some(Box::new(act));
    }

    /// Calls off what was to be done before the next update.
    pub(crate) fn leave_alone(&self) {
        self.world().meddling = None;
    }

    /// What arrived that must never be sent, in words.
    pub(crate) fn complaints(&self) -> Vec<String> {
        self.world().complaints.clone()
    }

    /// Everything that was to change something.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.world().sent.clone()
    }

    /// When each of those arrived.
    pub(crate) fn sent_at(&self) -> Vec<Time> {
        self.world().sent_at.clone()
    }

    /// From now on answers tell of a limit of 5000 requests an hour, with so many left until `reset`.
    pub(crate) fn set_quota(&self, remaining: u64, reset: Time) {
        self.world().quota = Some(Quota { limit: 5000, remaining, reset });
    }

    /// What was asked for since the last call.
    pub(crate) fn take_counts(&self) -> Counts {
        std::mem::take(&mut self.world().counts)
    }

    /// The gists there are, newest first as lists show them.
    pub(crate) fn ids(&self) -> Vec<GistId> {
        newest_first(&self.world().gists.iter().collect::<Vec<_>>())
    }

    /// The files of a gist; `None` if there is no such one.
    pub(crate) fn files(&self, id: &GistId) -> Option<BTreeMap<FileName, Bytes>> {
        self.world().gists.get(id).map(|gist| gist.files.clone())
    }

    /// The files of the only gist called so, as text.
    pub(crate) fn texts(&self, description: &str) -> BTreeMap<String, String> {
        let id = self.id(description);
        let files = self.files(&id).expect("a gist that was just seen");
        let text = |body: Bytes| String::from_utf8_lossy(&body).into_owned();
        files.into_iter().map(|(name, body)| (name.to_string(), text(body))).collect()
    }

    /// The only gist called so.
    pub(crate) fn id(&self, description: &str) -> GistId {
        let world = self.world();
        let mut found = world.gists.iter().filter(|(_, gist)| gist.description == description);
        let (id, _) = found.next().unwrap_or_else(|| panic!("no gist {description:?}"));
        assert!(found.next().is_none(), "two gists {description:?}");
        id.clone()
    }

    /// A gist's description.
    pub(crate) fn description(&self, id: &GistId) -> Option<String> {
        self.world().gists.get(id).map(|gist| gist.description.clone())
    }

    /// How many commits a gist has.
    pub(crate) fn revisions(&self, id: &GistId) -> usize {
        self.world().gists.get(id).map_or(0, |gist| gist.history.len())
    }

    /// Every file of every gist as it is now.
    pub(crate) fn tips(&self) -> Vec<(GistId, FileName, BlobId)> {
        let world = self.world();
        let of = |(id, gist): (&GistId, &Remote)| {
            let file =
                |(name, body): (&FileName, &Bytes)| (id.clone(), name.clone(), BlobId::of(body));
            gist.files.iter().map(file).collect::<Vec<_>>()
        };
        world.gists.iter().flat_map(of).collect()
    }

    /// Whether some gist ever had the body, deleted ones too.
    pub(crate) fn ever_had(&self, blob: BlobId) -> bool {
        self.world().ever.contains(&blob)
    }

    /// Whether some version of a gist there is has that line.
    pub(crate) fn ever_had_line(&self, line: &str) -> bool {
        let world = self.world();
        let mut bodies = world.gists.values().flat_map(|gist| gist.bodies.values());
        bodies.any(|body| body.split(|byte| *byte == b'\n').any(|other| other == line.as_bytes()))
    }

    /// Another machine makes a gist.
    pub(crate) fn create_elsewhere(&self, description: &str, files: &[(&str, &[u8])]) -> GistId {
        let files = files.iter().map(|(n, body)| (name(n), Bytes::copy_from_slice(body)));
        let now = self.second();
        self.world().make(description.into(), true, files.collect(), now)
    }

    /// Another machine writes a file (`Some`) or deletes it; git is not bound by the API's rules.
    pub(crate) fn edit_elsewhere(&self, id: &GistId, file: &str, body: Option<&[u8]>) {
        let now = self.second();
        let mut world = self.world();
        world.excused = true;
        let Some(gist) = world.gists.get(id) else { return };
        let mut files = gist.files.clone();
        match body {
            Some(body) => drop(files.insert(name(file), Bytes::copy_from_slice(body))),
            None => drop(files.remove(file)),
        }
        if !files.is_empty() {
            world.commit(id, None, files, now);
        }
    }

    /// Another machine gives a file another name, over whatever has it.
    pub(crate) fn rename_elsewhere(&self, id: &GistId, from: &str, to: &str) {
        let now = self.second();
        let mut world = self.world();
        world.excused = true;
        let Some(mut files) = world.gists.get(id).map(|gist| gist.files.clone()) else { return };
        if let Some(body) = files.remove(from) {
            files.insert(name(to), body);
            world.commit(id, None, files, now);
        }
    }

    /// Another machine changes the description, or stars it: both only move `updated_at`.
    pub(crate) fn describe_elsewhere(&self, id: &GistId, description: &str) {
        let now = self.second();
        let mut world = self.world();
        let Some(files) = world.gists.get(id).map(|gist| gist.files.clone()) else { return };
        world.commit(id, Some(description.into()), files, now);
    }

    /// Another machine deletes the gist.
    pub(crate) fn delete_elsewhere(&self, id: &GistId) {
        let mut world = self.world();
        world.excused = true;
        world.gists.remove(id);
    }

    /// Takes note of a change that arrives and says how it is to fail, if so.
    fn arrive(&self, sent: Sent) -> Option<Fault> {
        let meddling = match &sent {
            Sent::Update(..) | Sent::Push(..) => self.world().meddling.take(),
            Sent::Create(_) | Sent::Delete(_) => None,
        };
        if let Some(act) = meddling {
            act(self);
        }
        let mut world = self.world();
        world.sent.push(sent);
        world.sent_at.push(self.clock.now());
        world.faults.pop_front()
    }
}

impl World {
    fn new() -> Self {
        Self {
            git: false,
            git_faults: VecDeque::new(),
            shown: 300,
            gists: BTreeMap::new(),
            ever: BTreeSet::new(),
            made: 0,
            faults: VecDeque::new(),
            meddling: None,
            lag: [0; 3],
            push_faults: VecDeque::new(),
            behind: HashMap::new(),
            excused: false,
            bodies_unreachable: false,
            complaints: vec![],
            sent: vec![],
            sent_at: vec![],
            quota: None,
            counts: Counts::default(),
        }
    }

    fn complain(&mut self, what: String) {
        self.complaints.push(what);
    }

    fn make(
        &mut self,
        description: String,
        public: bool,
        files: BTreeMap<FileName, Bytes>,
        now: Time,
    ) -> GistId {
        self.made += 1;
        let id = GistId::parse(&format!("{:020x}", self.made.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
            .expect("hex digits are an id");
        let gist = Remote {
            description,
            public,
            created_at: now,
            updated_at: now,
            files: BTreeMap::new(),
            history: vec![],
            versions: BTreeMap::new(),
            bodies: BTreeMap::new(),
            etag: 0,
        };
        self.gists.insert(id.clone(), gist);
        self.commit(&id, None, files, now);
        id
    }

    fn commit(
        &mut self,
        id: &GistId,
        description: Option<String>,
        files: BTreeMap<FileName, Bytes>,
        now: Time,
    ) {
        self.made += 1;
        let made = self.made;
        let Some(gist) = self.gists.get_mut(id) else { return };
        let same = gist.files == files;
        if same && description.is_none() {
            return;
        }
        gist.etag = made;
        gist.updated_at = now;
        if let Some(description) = description {
            gist.description = description;
        }
        if !same {
            gist.history.insert(0, format!("{made:040x}"));
            for body in files.values() {
                gist.bodies.insert(BlobId::of(body), body.clone());
                self.ever.insert(BlobId::of(body));
            }
            gist.versions.insert(format!("{made:040x}"), files.clone());
            gist.files = files;
        }
    }

    /// Remembers what reads that lag are to show of a gist that is about to change.
    fn fall_behind(&mut self, id: &GistId, now: Time) {
        let before = self.gists.get(id).cloned();
        READS.iter().for_each(|reads| self.lag_behind((id.clone(), *reads), before.clone(), now));
    }

    fn lag_behind(&mut self, of: (GistId, Reads), before: Option<Remote>, now: Time) {
        let reads = self.lag[of.1 as usize];
        if reads > 0 {
            self.behind.entry(of).or_insert(Behind {
                before,
                reads,
                until: now.after(LONGEST_LAG),
            });
        }
    }

    /// The gist as the next read of that kind shows it.
    fn view(&mut self, id: &GistId, reads: Reads, now: Time) -> Option<Remote> {
        self.behind.retain(|_, behind| behind.reads > 0 && now < behind.until);
        match self.behind.get_mut(&(id.clone(), reads)) {
            Some(behind) => {
                behind.reads -= 1;
                behind.before.clone()
            }
            None => self.gists.get(id).cloned(),
        }
    }

    fn check_name(&mut self, name: &FileName, known: bool) {
        if scratch::matches(name.as_str()) && !known {
            self.complain(format!("the scratch file {name:?} was sent"));
        }
    }

    fn check_content(&mut self, name: &FileName, content: &str) -> Result<Bytes, ApiError> {
        if content.trim().is_empty() {
            self.complain(format!("blank content was sent for {name:?}"));
            return Err(missing_files());
        }
        if content.contains('\r') {
            self.complain(format!("carriage returns were sent for {name:?}"));
        }
        Ok(Bytes::from(content.replace("\r\n", "\n")))
    }

    fn create(&mut self, new: &NewGist, now: Time) -> Result<GistId, ApiError> {
        let mut files = BTreeMap::new();
        for (name, content) in &new.files {
            self.check_name(name, false);
            files.insert(name.clone(), self.check_content(name, content)?);
        }
        let placeholders = files.keys().filter(|name| name.as_str().starts_with(placeholder::NAME));
        let placeholders = placeholders.count();
        if placeholders > 0 && (files.len() > 1 || !self.git) {
            self.complain("a placeholder was sent that was not needed".into());
        }
        if files.is_empty() {
            self.complain("a gist without files was to be made".into());
            return Err(missing_files());
        }
        let id = self.make(new.description.clone(), new.public, files, now);
        READS.iter().for_each(|reads| self.lag_behind((id.clone(), *reads), None, now));
        Ok(id)
    }

    fn update(&mut self, id: &GistId, patch: &Patch, now: Time) -> Result<(), ApiError> {
        let Some(gist) = self.gists.get(id) else {
            if !self.excused {
                self.complain(format!("an update of {id}, which does not exist"));
            }
            return Err(ApiError::NotFound);
        };
        let mut files = gist.files.clone();
        if patch.files.is_empty() && patch.description.is_none() {
            self.complain("an update that says nothing".into());
        }
        let old = files.clone();
        for (name, change) in &patch.files {
            let keeps_name = matches!(change, FileChange::Write(_));
            if !keeps_name && files.remove(name).is_none() {
                if !self.excused {
                    self.complain(format!("{name:?} was named, which {id} does not have"));
                }
                return Err(missing_files());
            }
        }
        for (name, change) in &patch.files {
            match change {
                FileChange::Delete => {}
                FileChange::Write(content) => {
                    self.check_name(name, old.contains_key(name));
                    let body = self.check_content(name, content)?;
                    if old.get(name) == Some(&body) && !self.excused {
                        self.complain(format!("{name:?} was sent though it had not changed"));
                    }
                    files.insert(name.clone(), body);
                }
                FileChange::Rename(to, content) => {
                    self.check_name(to, false);
                    let body = match content {
                        Some(content) => self.check_content(to, content)?,
                        None => old[name].clone(),
                    };
                    if files.insert(to.clone(), body).is_some() {
                        // Nobody documents what GitHub does then.
                        if !self.excused {
                            self.complain(format!("{name:?} was renamed over {to:?}"));
                        }
                        return Err(missing_files());
                    }
                }
            }
        }
        if files.is_empty() {
            if !self.excused {
                self.complain(format!("the last file of {id} was to be deleted"));
            }
            return Err(missing_files());
        }
        self.fall_behind(id, now);
        self.commit(id, patch.description.clone(), files, now);
        Ok(())
    }

    fn full(&self, id: &GistId) -> Result<FullGist, ApiError> {
        self.gists.get(id).map(|gist| gist.full(id, self.shown)).ok_or(ApiError::NotFound)
    }
}

impl Remote {
    /// The gist as lists tell it, with the first `shown` files.
    fn snapshot(&self, id: &GistId, shown: usize) -> Snapshot {
        let file = |(name, body): (&FileName, &Bytes)| {
            let blob = BlobId::of(body);
            let file = RemoteFile {
                blob,
                size: body.len() as u64,
                raw_url: format!("https://raw.test/{id}/{blob}"),
                language: None,
            };
            (name.clone(), file)
        };
        Snapshot {
            id: id.clone(),
            description: self.description.clone(),
            public: self.public,
            owner: Some("me".into()),
            created_at: self.created_at,
            updated_at: self.updated_at,
            html_url: String::new(),
            git_url: git::url_of(id),
            truncated: self.files.len() > shown,
            completed: false,
            revision: None,
            etag: None,
            files: self.files.iter().take(shown).map(file).collect(),
        }
    }

    fn full(&self, id: &GistId, shown: usize) -> FullGist {
        let mut snapshot = self.snapshot(id, shown);
        snapshot.revision = self.history.first().cloned();
        snapshot.etag = Some(format!("\"{}\"", self.etag));
        let bodies = self.files.values().take(shown);
        let bodies = bodies.map(|body| (BlobId::of(body), body.clone())).collect();
        FullGist {
            snapshot,
            bodies,
            history: self.history.iter().filter_map(|id| CommitId::parse(id)).collect(),
        }
    }
}

fn newest_first(gists: &[(&GistId, &Remote)]) -> Vec<GistId> {
    let mut order: Vec<_> = gists.iter().map(|(id, gist)| (gist.created_at, *id)).collect();
    order.sort_by(|a, b| b.cmp(a));
    order.into_iter().map(|(_, id)| id.clone()).collect()
}

fn missing_files() -> ApiError {
    ApiError::Refused { status: 422, message: "Validation Failed (missing_field: files)".into() }
}

impl Api for FakeGitHub {
    fn social(&self) -> &dyn SocialApi {
        &Absent
    }

    fn git(&self) -> &dyn GitApi {
        self
    }
}

impl GistApi for FakeGitHub {
    fn account(&self) -> Result<Account, ApiError> {
        Ok(Account { login: "me".into(), number: None, scopes: Some(vec!["gist".into()]) })
    }

    fn list(&self, page: &PageRequest) -> Result<Fetched<Page>, ApiError> {
        let (since, start) = match &page.from {
            PageAddress::Own { since } => (*since, 0),
            PageAddress::User { login, since } => {
                assert_eq!(login, "me");
                (*since, 0)
            }
            PageAddress::Starred { .. } | PageAddress::One(_) | PageAddress::Public { .. } => {
                return Err(ApiError::NotFound);
            }
            PageAddress::Next(address) => {
                let numbers: Vec<i64> =
                    address.split(' ').map(|n| n.parse().expect("our own address")).collect();
                (Some(Time(numbers[0])).filter(|time| time.0 > 0), numbers[1] as usize)
            }
        };
        let mut world = self.world();
        world.counts.lists += 1;
        let ids: BTreeSet<GistId> =
            world.gists.keys().chain(world.behind.keys().map(|(id, _)| id)).cloned().collect();
        let shown: Vec<(GistId, Remote)> = ids
            .into_iter()
            .filter_map(|id| world.view(&id, Reads::Lists, self.clock.now()).map(|gist| (id, gist)))
            .collect();
        let wanted: Vec<(&GistId, &Remote)> = shown
            .iter()
            .filter(|(_, gist)| since.is_none_or(|since| gist.updated_at > since))
            .map(|(id, gist)| (id, gist))
            .collect();
        let order = newest_first(&wanted);
        let by_id: HashMap<&GistId, &Remote> = wanted.into_iter().collect();
        let here: Vec<&GistId> = order.iter().skip(start).take(self.page_size).collect();
        let end = start + self.page_size;
        let next =
            (order.len() > end).then(|| format!("{} {end}", since.map_or(0, |since| since.0)));
        // Of what is shown: a change that shows nowhere changes no validator.
        let tag = |id: &GistId| {
            let mut hasher = DefaultHasher::new();
            format!("{:?}", by_id[id].snapshot(id, world.shown)).hash(&mut hasher);
            format!("{}.{:x}", id.short(), hasher.finish())
        };
        let tags: Vec<String> = here.iter().map(|id| tag(id)).collect();
        let etag = Some(format!("{} {next:?}", tags.join(",")));
        if page.etag.is_some() && page.etag == etag {
            world.counts.unmodified += 1;
            return Ok(Fetched::NotModified);
        }
        let gists = here.into_iter().map(|id| by_id[id].snapshot(id, world.shown)).collect();
        drop(world);
        let happens = self.meanwhile.lock().expect("nobody panicked").take();
        happens.into_iter().for_each(|happens| happens());
        Ok(Fetched::New(Page { gists, next, last: None, etag }))
    }

    fn get(&self, id: &GistId, etag: Option<&str>) -> Result<Fetched<FullGist>, ApiError> {
        let happens = self.meanwhile_got.lock().expect("nobody panicked").take();
        happens.into_iter().for_each(|happens| happens());
        let mut world = self.world();
        world.counts.gets += 1;
        let shown = world.shown;
        let full = world
            .view(id, Reads::Gists, self.clock.now())
            .ok_or(ApiError::NotFound)?
            .full(id, shown);
        if etag.is_some() && etag == full.snapshot.etag.as_deref() {
            world.counts.unmodified += 1;
            return Ok(Fetched::NotModified);
        }
        Ok(Fetched::New(full))
    }

    fn revision(&self, id: &GistId, commit: &CommitId) -> Result<FullGist, ApiError> {
        let mut world = self.world();
        world.counts.revisions += 1;
        if world.bodies_unreachable {
            return Err(ApiError::TimedOut { host: "api.test".into() });
        }
        let gist = world.gists.get(id).ok_or(ApiError::NotFound)?;
        let files = gist.versions.get(commit.as_str()).cloned().ok_or(ApiError::NotFound)?;
        Ok(Remote { files, ..gist.clone() }.full(id, world.shown))
    }

    fn body(&self, file: &RemoteFile, _: &dyn Fn()) -> Result<Bytes, ApiError> {
        let mut world = self.world();
        world.counts.bodies += 1;
        if world.bodies_unreachable {
            return Err(ApiError::TimedOut { host: "raw.test".into() });
        }
        let id = file.raw_url.split('/').nth(3).and_then(GistId::parse);
        let gist = id.and_then(|id| world.gists.get(&id)).ok_or(ApiError::NotFound)?;
        gist.bodies.get(&file.blob).cloned().ok_or(ApiError::NotFound)
    }

    fn create(&self, gist: &NewGist) -> Result<FullGist, ApiError> {
        let now = self.second();
        self.world().counts.creates += 1;
        let fault = self.arrive(Sent::Create(gist.clone()));
        let mut world = self.world();
        match fault {
            Some(Fault { error, applied: false }) => Err(error),
            Some(Fault { error, applied: true }) => {
                world.create(gist, now)?;
                Err(error)
            }
            None => {
                let id = world.create(gist, now)?;
                world.full(&id)
            }
        }
    }

    fn update(&self, id: &GistId, patch: &Patch) -> Result<FullGist, ApiError> {
        let now = self.second();
        self.world().counts.updates += 1;
        let fault = self.arrive(Sent::Update(id.clone(), patch.clone()));
        let mut world = self.world();
        match fault {
            Some(Fault { error, applied: false }) => Err(error),
            Some(Fault { error, applied: true }) => {
                world.update(id, patch, now)?;
                Err(error)
            }
            None => {
                world.update(id, patch, now)?;
                world.full(id)
            }
        }
    }

    fn delete(&self, id: &GistId) -> Result<(), ApiError> {
        self.world().counts.deletes += 1;
        let fault = self.arrive(Sent::Delete(id.clone()));
        let mut world = self.world();
        if let Some(Fault { error, applied: false }) = fault {
            return Err(error);
        }
        world.fall_behind(id, self.clock.now());
        let gone = world.gists.remove(id).map(drop).ok_or(ApiError::NotFound);
        match fault {
            Some(Fault { error, .. }) => Err(error),
            None => gone,
        }
    }

    fn quota(&self) -> Option<Quota> {
        self.world().quota
    }
}
