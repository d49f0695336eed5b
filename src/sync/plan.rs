//! From the difference of what GitHub has and what the user sees to the one next request or push.
//!
//! Pure. Operations leave no trace here: an editor's dance of renames has already collapsed into
//! two states, and only those are compared.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::{BlobId, FileName, GistId, Snapshot};
use crate::store::gist::{Content, Gist, GistKey, LocalFile};

pub use self::words::{Class, Hold, LARGEST_BODY};

mod words;

/// The most a request's new contents may come to, in bytes on the wire; more is split.
pub const LARGEST_REQUEST: u64 = 4 << 20;

/// What to do next for one gist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing that can be sent now.
    Nothing,
    /// Bodies are needed that are not stored here: fetch them, then plan again.
    Fetch(Vec<BlobId>),
    /// GitHub has files that are not known here: read its repository, then plan again.
    Complete,
    /// Make the gist.
    Create {
        /// Its files, as many as one request carries. None: all of them need git, and the gist is
        /// made with a placeholder that the push after it removes.
        files: BTreeMap<FileName, Body>,
    },
    /// Change the gist.
    Update {
        /// The gist.
        id: GistId,
        /// The new description, if it changes.
        description: Option<String>,
        /// What happens to files, by their names on GitHub.
        files: BTreeMap<FileName, Change>,
    },
    /// Put one commit on top of the gist's repository.
    Push {
        /// The gist.
        id: GistId,
        /// What happens to files, by their names on GitHub: all that changes.
        files: BTreeMap<FileName, Change>,
    },
    /// Delete the gist from GitHub, where it holds nothing but our placeholder; it stays here.
    Withdraw(GistId),
    /// Delete the gist.
    Delete(GistId),
}

impl Step {
    /// How many changes of GitHub's it takes at once: a placeholder is not to rest there.
    pub fn changes(&self) -> usize {
        match self {
            Self::Nothing | Self::Fetch(_) | Self::Complete => 0,
            Self::Create { files } if files.is_empty() => 2,
            Self::Create { .. }
            | Self::Update { .. }
            | Self::Push { .. }
            | Self::Withdraw(_)
            | Self::Delete(_) => 1,
        }
    }
}

/// A body by its id and length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Body {
    /// The id.
    pub blob: BlobId,
    /// The length in bytes.
    pub size: u64,
}

/// What happens to one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It gets this body, or comes to be with it.
    Write(Body),
    /// It gets this name, and a body where it changes too.
    Rename(FileName, Option<Body>),
    /// It goes.
    Delete,
}

/// A plan: the next step, and what stays behind why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The next request.
    pub step: Step,
    /// Files that differ from GitHub and are not part of it.
    pub held: BTreeMap<FileName, Hold>,
    /// More is to be sent after this step.
    pub more: bool,
}

/// What planning has to ask others.
pub struct Outside<'a> {
    /// What a body of that length is; `None` if it is not stored here.
    pub class: &'a dyn Fn(BlobId, u64) -> Option<Class>,
    /// Whether a file moved to another gist is there on GitHub, or no longer wanted there.
    pub arrived: &'a dyn Fn(GistKey, BlobId) -> bool,
    /// Files open for writing count with what was last flushed, not with what GitHub has.
    pub even_open: bool,
    /// What the API cannot carry goes by git.
    pub git: bool,
}

/// Plans the next step for `gist`.
///
/// Through the API where it carries the change exactly and in one request, else in one commit by
/// git. A file named for deletion is always one that `base` has (another would fail the whole
/// request), blank content is never sent through the API, and no step leaves a gist without files.
pub fn plan(gist: &Gist, outside: &Outside<'_>) -> Plan {
    if gist.removed {
        return plan_removal(gist, outside);
    }
    let mut no_renames = BTreeSet::new();
    loop {
        let draft = Draft::new(gist, outside, &no_renames);
        let missed = draft.missed_renames(gist);
        if missed.is_empty() {
            return draft.finish(gist, outside);
        }
        no_renames.extend(missed);
    }
}

/// A gist goes when every file that was moved out of it is where it was moved to.
fn plan_removal(gist: &Gist, outside: &Outside<'_>) -> Plan {
    let mut plan = Plan { step: Step::Nothing, held: BTreeMap::new(), more: false };
    let Some(base) = &gist.base else { return plan };
    for (name, file) in &base.files {
        if gist.moved_to.get(name).is_some_and(|to| !(outside.arrived)(*to, file.blob)) {
            plan.held.insert(name.clone(), Hold::Moving);
        }
    }
    if plan.held.is_empty() {
        // The trash is to have all of it.
        let complete = base.is_partial() && outside.git && !gist.purged;
        plan.step = if complete { Step::Complete } else { Step::Delete(base.id.clone()) };
        plan.more = complete;
    }
    plan
}

/// A real file whose body GitHub shall have.
#[derive(Clone, Copy)]
struct Wanted {
    body: Body,
    /// The size of the body in a request.
    wire: u64,
    /// The API carries it.
    text: bool,
    /// GitHub has the body under the name that the file had: a rename needs none.
    renamed: bool,
}

/// What the parts of a plan are, before they become one request.
#[derive(Default)]
struct Draft {
    wanted: BTreeMap<FileName, Wanted>,
    /// Files of `base` the user no longer sees.
    gone: BTreeSet<FileName>,
    /// Files of `base` that must stay though the user does not see them.
    kept: BTreeSet<FileName>,
    held: BTreeMap<FileName, Hold>,
    /// Bodies of wanted files that are on GitHub only.
    absent: Vec<BlobId>,
}

impl Draft {
    /// `no_renames` are files that cannot be the rename they look like.
    fn new(gist: &Gist, outside: &Outside<'_>, no_renames: &BTreeSet<FileName>) -> Self {
        let mut draft = Self::default();
        for (name, file) in &gist.files {
            draft.consider(gist, name, file, outside, no_renames);
        }
        for (name, file) in gist.base.iter().flat_map(|base| &base.files) {
            if gist.files.contains_key(name) || draft.kept.contains(name) {
                continue;
            }
            match gist.moved_to.get(name) {
                Some(to) if !(outside.arrived)(*to, file.blob) => draft.hold(name, Hold::Moving),
                Some(_) | None => drop(draft.gone.insert(name.clone())),
            }
        }
        draft
    }

    fn hold(&mut self, name: &FileName, why: Hold) {
        self.held.insert(name.clone(), why);
    }

    fn consider(
        &mut self,
        gist: &Gist,
        name: &FileName,
        file: &LocalFile,
        outside: &Outside<'_>,
        no_renames: &BTreeSet<FileName>,
    ) {
        // What a held file descends from stays on GitHub: it is the last copy there.
        let origin = file.from.as_ref().filter(|from| !gist.files.contains_key(*from));
        if gist.is_scratch(name) {
            if let Some(origin) = origin.filter(|origin| gist.remote(origin).is_some()) {
                self.kept.insert(origin.clone());
                self.hold(origin, Hold::Limbo);
            }
            return;
        }
        let Content::Bytes { blob, size } = file.content else { return };
        if gist.remote(name).is_some_and(|remote| remote.blob == blob) {
            return;
        }
        let mut want = |wire, text, renamed| {
            let body = Body { blob, size };
            self.wanted.insert(name.clone(), Wanted { body, wire, text, renamed });
        };
        // A rename without new content needs no body, so it does not matter what that is.
        let renamed = !no_renames.contains(name)
            && gist.remote(name).is_none()
            && origin.and_then(|from| gist.remote(from)).is_some_and(|there| there.blob == blob);
        let is_open = file.is_being_written() && !outside.even_open;
        let altered = file.altered == Some(blob);
        let why = if is_open {
            Hold::Open
        } else if altered && !outside.git {
            Hold::Altered
        } else if renamed && !altered {
            return want(0, true, true);
        } else {
            match (outside.class)(blob, size) {
                Some(Class::Text { wire }) => return want(wire, !altered, false),
                // Made or emptied just now by whoever is about to write it.
                Some(Class::Blank) if outside.git && file.is_being_written() => Hold::Open,
                Some(_) if outside.git => return want(0, false, false),
                None if gist.source(blob).is_some() => {
                    // So large, it is not even looked at.
                    want(0, !outside.git || (size <= LARGEST_BODY && !altered), false);
                    return self.absent.push(blob);
                }
                None => Hold::Lost,
                Some(Class::Blank) => Hold::Blank,
                Some(Class::Binary) => Hold::Binary,
                Some(Class::CarriageReturns) => Hold::CarriageReturns,
                Some(Class::TooLarge) => Hold::TooLarge,
            }
        };
        self.hold(name, why);
        self.kept.extend(origin.cloned());
        // So does every other name under which GitHub has this very body.
        let base = gist.base.iter().flat_map(|base| &base.files);
        let same = base.filter(|(_, file)| file.blob == blob).map(|(name, _)| name.clone());
        self.kept.extend(same);
    }

    /// Files that were to be renames, and whose old name stays or goes to another one.
    fn missed_renames(&self, gist: &Gist) -> Vec<FileName> {
        let mut claimed = BTreeSet::new();
        let renamed = self.wanted.iter().filter(|(_, wanted)| wanted.renamed);
        let missed = renamed.filter(|(name, _)| {
            let from = gist.files.get(*name).and_then(|file| file.from.as_ref());
            from.is_none_or(|from| !self.gone.contains(from) || !claimed.insert(from))
        });
        missed.map(|(name, _)| name.clone()).collect()
    }

    /// Whether the new contents are more than one request carries.
    fn overflows(&self) -> bool {
        let new = self.wanted.iter().filter(|(_, wanted)| !wanted.renamed);
        fill(new, LARGEST_REQUEST).1
    }

    fn finish(mut self, gist: &Gist, outside: &Outside<'_>) -> Plan {
        let Some(base) = &gist.base else { return self.create(outside.git) };
        let described = (gist.description != base.description).then(|| gist.description.clone());
        if base.is_partial() {
            let quiet = self.wanted.is_empty() && self.gone.is_empty() && described.is_none();
            return self.before_completion(outside.git, quiet);
        }
        // Renames count too: what one request cannot carry is one commit by git.
        let overflows = self.overflows();
        let not_text = self.wanted.values().any(|wanted| !wanted.text);
        let by_git = outside.git && (base.truncated || not_text || overflows);
        if !self.absent.is_empty() && !by_git {
            return Plan { step: Step::Fetch(self.absent), held: self.held, more: true };
        }
        if gist.is_only_placeholder() && self.wanted.is_empty() {
            let waits = self.held.values().any(|hold| hold.passes());
            let step = if waits { Step::Nothing } else { Step::Withdraw(base.id.clone()) };
            return Plan { step, held: self.held, more: false };
        }
        // Where it takes several requests, what is renamed and changed is written and deleted.
        let largest = match (by_git, overflows) {
            (true, _) => u64::MAX,
            (false, true) => 0,
            (false, false) => LARGEST_REQUEST,
        };
        let mut files = self.renames(gist, base, largest);
        let (writes, rest) = fill(&self.wanted, if by_git { u64::MAX } else { LARGEST_REQUEST });
        let stays = base.files.keys().any(|name| !self.gone.contains(name)) || !writes.is_empty();
        if !stays {
            // Our placeholder goes all the same: not all of it is one, see above.
            self.gone.retain(|name| {
                let ours = gist.is_placeholder(name);
                if !ours {
                    self.held.insert(name.clone(), Hold::LastFile);
                }
                ours
            });
        }
        files.extend(writes.into_iter().map(|(name, body)| (name, Change::Write(body))));
        if !rest {
            files.extend(self.gone.into_iter().map(|name| (name, Change::Delete)));
        }
        let id = base.id.clone();
        let step = if by_git && !files.is_empty() {
            // A description has no commit: it follows in a request of its own.
            let more = described.is_some();
            return Plan { step: Step::Push { id, files }, held: self.held, more };
        } else if files.is_empty() && described.is_none() {
            Step::Nothing
        } else {
            Step::Update { id, description: described, files }
        };
        Plan { step, held: self.held, more: rest }
    }

    /// A gist that GitHub does not have: what one request carries, and git the rest.
    fn create(self, git: bool) -> Plan {
        let texts = self.wanted.iter().filter(|(_, wanted)| wanted.text);
        let (files, _) = fill(texts, LARGEST_REQUEST);
        let more = files.len() < self.wanted.len();
        let nothing = files.is_empty() && !(git && more);
        let step = if nothing { Step::Nothing } else { Step::Create { files } };
        Plan { step, held: self.held, more }
    }

    /// What is not known of the gist is read first, or keeps all of it here.
    fn before_completion(self, git: bool, quiet: bool) -> Plan {
        if git {
            let step = if quiet { Step::Nothing } else { Step::Complete };
            return Plan { more: !quiet, step, held: self.held };
        }
        let held = self.held.into_keys().chain(self.wanted.into_keys()).chain(self.gone);
        let held = held.map(|name| (name, Hold::TooManyFiles)).collect();
        Plan { step: Step::Nothing, held, more: false }
    }

    /// Takes out what are renames: first those without new content, then the others, each of whose
    /// bodies is of at most so many bytes on the wire.
    fn renames(
        &mut self,
        gist: &Gist,
        base: &Snapshot,
        largest: u64,
    ) -> BTreeMap<FileName, Change> {
        let mut renames = BTreeMap::new();
        let wanted: Vec<_> = self.wanted.iter().map(|(name, w)| (name.clone(), *w)).collect();
        let (plain, others): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|(_, w)| w.renamed);
        for (name, wanted) in plain.into_iter().chain(others) {
            let from = gist.files.get(&name).and_then(|file| file.from.clone());
            let Some(from) = from.filter(|from| self.gone.contains(from)) else { continue };
            if base.files.contains_key(&name) || wanted.wire > largest {
                continue;
            }
            let same = base.files.get(&from).is_some_and(|there| there.blob == wanted.body.blob);
            let body = Some(wanted.body).filter(|_| !same);
            self.gone.remove(&from);
            self.wanted.remove(&name);
            renames.insert(from, Change::Rename(name, body));
        }
        renames
    }
}

/// As many of the wanted files as one request carries, and whether any are left. Deletions wait
/// for the last request: until then nothing of the old is lost.
fn fill<'a>(
    wanted: impl IntoIterator<Item = (&'a FileName, &'a Wanted)>,
    mut room: u64,
) -> (BTreeMap<FileName, Body>, bool) {
    let mut taken = BTreeMap::new();
    let mut left = false;
    for (name, Wanted { body, wire, .. }) in wanted {
        if taken.is_empty() || *wire <= room {
            room = room.saturating_sub(*wire);
            taken.insert(name.clone(), *body);
        } else {
            left = true;
        }
    }
    (taken, left)
}

/// What GitHub should say after `step` was applied to `base`: the files it then has.
pub fn expected(base: Option<&Arc<Snapshot>>, step: &Step) -> BTreeMap<FileName, BlobId> {
    let mut files = base.map(|base| base.blobs()).unwrap_or_default();
    match step {
        Step::Nothing | Step::Fetch(_) | Step::Complete => {}
        Step::Delete(_) | Step::Withdraw(_) => files.clear(),
        Step::Create { files: new } => {
            files.extend(new.iter().map(|(name, body)| (name.clone(), body.blob)));
        }
        Step::Update { files: changes, .. } | Step::Push { files: changes, .. } => {
            for (name, change) in changes {
                match change {
                    Change::Delete => drop(files.remove(name)),
                    Change::Write(body) => drop(files.insert(name.clone(), body.blob)),
                    Change::Rename(to, body) => {
                        let old = files.remove(name);
                        if let Some(blob) = body.map(|body| body.blob).or(old) {
                            files.insert(to.clone(), blob);
                        }
                    }
                }
            }
        }
    }
    files
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
