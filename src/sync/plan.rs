//! From the difference of what GitHub has and what the user sees to the one next request.
//!
//! Pure. Operations leave no trace here: an editor's dance of renames has already collapsed into
//! two states, and only those are compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::model::{BlobId, FileName, GistId, RemoteFile, Snapshot};
use crate::store::gist::{Content, Gist, GistKey, LocalFile};

/// The most a request's new contents may come to, in bytes on the wire; more is split.
pub const LARGEST_REQUEST: u64 = 4 << 20;

/// The most one body may come to on the wire: GitHub refuses requests of 8 MB (409).
pub const LARGEST_BODY: u64 = 7 << 20;

/// What a body is to the REST API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Text it carries byte for byte, so many bytes long in JSON.
    Text {
        /// Bytes on the wire, escapes counted.
        wire: u64,
    },
    /// Nothing but white space: refused, and the whole request with it.
    Blank,
    /// Not UTF-8, or with NUL bytes.
    Binary,
    /// With carriage returns: CR LF would come back as LF.
    CarriageReturns,
    /// Past [`LARGEST_BODY`].
    TooLarge,
}

impl Class {
    /// Looks at a body.
    pub fn of(body: &[u8]) -> Self {
        let Ok(text) = std::str::from_utf8(body) else { return Self::Binary };
        if text.chars().all(|c| c.is_whitespace() || c == '\0') {
            return Self::Blank;
        }
        if text.contains('\0') {
            return Self::Binary;
        }
        if text.contains('\r') {
            return Self::CarriageReturns;
        }
        let escaped = |byte: &u8| match byte {
            b'"' | b'\\' | b'\n' | b'\t' | 0x08 | 0x0c => 2,
            0..0x20 => 6,
            _ => 1,
        };
        let wire = body.iter().map(escaped).sum();
        if wire > LARGEST_BODY { Self::TooLarge } else { Self::Text { wire } }
    }
}

/// Why something the user sees does not go to GitHub now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// Somebody has the file open for writing.
    Open,
    /// See [`Class::Blank`].
    Blank,
    /// See [`Class::Binary`].
    Binary,
    /// See [`Class::CarriageReturns`].
    CarriageReturns,
    /// See [`Class::TooLarge`].
    TooLarge,
    /// GitHub stored other bytes than it was sent.
    Altered,
    /// The gist has more files than the API shows, so no change of it can be judged.
    TooManyFiles,
    /// All files are gone: GitHub keeps no empty gist, so the deletion waits for a file or `rmdir`.
    LastFile,
    /// The file was moved to another gist and is not there on GitHub yet.
    Moving,
    /// The file was renamed to a scratch name, by an editor that will write its successor.
    Limbo,
    /// Its bytes are neither here, as after damage to the disk, nor on GitHub.
    Lost,
}

impl Hold {
    /// Whether it will pass without the user doing anything.
    pub fn passes(self) -> bool {
        match self {
            Self::Open | Self::Moving | Self::Limbo => true,
            Self::Blank
            | Self::Binary
            | Self::CarriageReturns
            | Self::TooLarge
            | Self::Altered
            | Self::TooManyFiles
            | Self::LastFile
            | Self::Lost => false,
        }
    }

    /// What the user can do about it, where waiting does not help.
    pub fn advice(self) -> Option<&'static str> {
        match self {
            Self::Open => Some("close it"),
            Self::Moving | Self::Limbo => None,
            Self::Blank => Some("write something into it"),
            Self::Binary => Some("keep it here; only text can be sent"),
            Self::CarriageReturns => {
                Some("take the carriage returns out (dos2unix), or keep it here")
            }
            Self::TooLarge => Some("split it, or keep it here"),
            Self::Altered => Some("change it, or keep it here"),
            Self::TooManyFiles => Some("move files to another gist: at most 300 can be shown"),
            Self::LastFile => Some("remove the directory to delete the gist, or make a file in it"),
            Self::Lost => Some("write the file again, or remove it"),
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open for writing",
            Self::Blank => "blank: GitHub stores no blank file",
            Self::Binary => "not text: the API carries UTF-8 only",
            Self::CarriageReturns => "has CR line ends, which the API would change to LF",
            Self::TooLarge => "too large for the API",
            Self::Altered => "GitHub stored other bytes than were sent",
            Self::TooManyFiles => "the gist has more files than the API shows",
            Self::LastFile => "GitHub keeps no empty gist: remove the directory to delete it",
            Self::Moving => "waits until the file is in the gist it was moved to",
            Self::Limbo => "renamed by an editor that has not written its successor yet",
            Self::Lost => "its bytes are lost: the stored body is missing or damaged",
        })
    }
}

/// What to do next for one gist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing that can be sent now.
    Nothing,
    /// Bodies are needed that are not stored here: fetch them, then plan again.
    Fetch(Vec<BlobId>),
    /// Make the gist.
    Create {
        /// Its files; never none.
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
    /// Delete the gist.
    Delete(GistId),
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
    /// What a body is; `None` if it is not stored here.
    pub class: &'a dyn Fn(BlobId) -> Option<Class>,
    /// Whether a file moved to another gist is there on GitHub, or no longer wanted there.
    pub arrived: &'a dyn Fn(GistKey, BlobId) -> bool,
    /// Files open for writing count with what was last flushed, not with what GitHub has.
    pub even_open: bool,
}

/// Plans the next step for `gist`.
///
/// A file named for deletion is always one that `base` has (another would fail the whole
/// request), blank content is never sent, and the request never leaves a gist without files.
pub fn plan(gist: &Gist, outside: &Outside<'_>) -> Plan {
    if gist.removed {
        return plan_removal(gist, outside);
    }
    let mut draft = Draft::default();
    for (name, file) in &gist.files {
        draft.consider(gist, name, file, outside);
    }
    let nothing = BTreeMap::new();
    let base = gist.base.as_ref().map_or(&nothing, |base| &base.files);
    for (name, file) in base {
        if gist.files.contains_key(name) || draft.kept.contains(name) {
            continue;
        }
        match gist.moved_to.get(name) {
            Some(to) if !(outside.arrived)(*to, file.blob) => draft.hold(name, Hold::Moving),
            Some(_) | None => drop(draft.gone.insert(name.clone())),
        }
    }
    if gist.base.as_ref().is_some_and(|base| base.truncated) {
        let held = draft.held.into_keys().chain(draft.wanted.into_keys()).chain(draft.gone);
        let held = held.map(|name| (name, Hold::TooManyFiles)).collect();
        return Plan { step: Step::Nothing, held, more: false };
    }
    if !draft.absent.is_empty() {
        return Plan { step: Step::Fetch(draft.absent), held: draft.held, more: true };
    }
    draft.finish(gist, base)
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
        plan.step = Step::Delete(base.id.clone());
    }
    plan
}

/// What the parts of a plan are, before they become one request.
#[derive(Default)]
struct Draft {
    /// Real files whose body GitHub shall have, with their size on the wire.
    wanted: BTreeMap<FileName, (Body, u64)>,
    /// Files of `base` the user no longer sees.
    gone: BTreeSet<FileName>,
    /// Files of `base` that must stay though the user does not see them.
    kept: BTreeSet<FileName>,
    held: BTreeMap<FileName, Hold>,
    absent: Vec<BlobId>,
}

impl Draft {
    fn hold(&mut self, name: &FileName, why: Hold) {
        self.held.insert(name.clone(), why);
    }

    fn consider(&mut self, gist: &Gist, name: &FileName, file: &LocalFile, outside: &Outside<'_>) {
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
        let why = if file.is_being_written() && !outside.even_open {
            Some(Hold::Open)
        } else if file.altered == Some(blob) {
            Some(Hold::Altered)
        } else {
            match (outside.class)(blob) {
                Some(Class::Text { wire }) => {
                    self.wanted.insert(name.clone(), (Body { blob, size }, wire));
                    None
                }
                // A rename without new content needs no body.
                None if origin
                    .and_then(|origin| gist.remote(origin))
                    .is_some_and(|remote| remote.blob == blob)
                    && gist.remote(name).is_none() =>
                {
                    self.wanted.insert(name.clone(), (Body { blob, size }, 0));
                    None
                }
                None if gist.source(blob).is_some() => {
                    self.absent.push(blob);
                    None
                }
                None => Some(Hold::Lost),
                Some(Class::Blank) => Some(Hold::Blank),
                Some(Class::Binary) => Some(Hold::Binary),
                Some(Class::CarriageReturns) => Some(Hold::CarriageReturns),
                Some(Class::TooLarge) => Some(Hold::TooLarge),
            }
        };
        if let Some(why) = why {
            self.hold(name, why);
            self.kept.extend(origin.cloned());
            // So does every other name under which GitHub has this very body.
            let base = gist.base.iter().flat_map(|base| &base.files);
            let same = base.filter(|(_, file)| file.blob == blob).map(|(name, _)| name.clone());
            self.kept.extend(same);
        }
    }

    fn finish(mut self, gist: &Gist, base: &BTreeMap<FileName, RemoteFile>) -> Plan {
        let Some(snapshot) = &gist.base else {
            let (files, rest) = fill(self.wanted);
            let step = if files.is_empty() { Step::Nothing } else { Step::Create { files } };
            return Plan { step, held: self.held, more: rest };
        };
        let mut files = BTreeMap::new();
        let wanted: Vec<_> = self.wanted.keys().cloned().collect();
        for name in wanted {
            let Some(from) = gist.files[&name].from.clone() else { continue };
            if base.contains_key(&name) || !self.gone.contains(&from) {
                continue;
            }
            let (body, wire) = self.wanted[&name];
            if base[&from].blob == body.blob {
                files.insert(from.clone(), Change::Rename(name.clone(), None));
            } else if wire <= LARGEST_REQUEST {
                files.insert(from.clone(), Change::Rename(name.clone(), Some(body)));
            } else {
                continue;
            }
            self.gone.remove(&from);
            self.wanted.remove(&name);
        }
        let (writes, rest) = fill(self.wanted);
        let stays = base.keys().any(|name| !self.gone.contains(name)) || !writes.is_empty();
        if !stays {
            self.held.extend(self.gone.iter().map(|name| (name.clone(), Hold::LastFile)));
            self.gone.clear();
        }
        files.extend(writes.into_iter().map(|(name, body)| (name, Change::Write(body))));
        if !rest {
            files.extend(self.gone.into_iter().map(|name| (name, Change::Delete)));
        }
        let description =
            (gist.description != snapshot.description).then(|| gist.description.clone());
        let step = if files.is_empty() && description.is_none() {
            Step::Nothing
        } else {
            Step::Update { id: snapshot.id.clone(), description, files }
        };
        Plan { step, held: self.held, more: rest }
    }
}

/// As many of the wanted files as one request carries, and whether any are left. Deletions wait
/// for the last request: until then nothing of the old is lost.
fn fill(wanted: BTreeMap<FileName, (Body, u64)>) -> (BTreeMap<FileName, Body>, bool) {
    let mut room = LARGEST_REQUEST;
    let mut taken = BTreeMap::new();
    let mut left = false;
    for (name, (body, wire)) in wanted {
        if taken.is_empty() || wire <= room {
            room = room.saturating_sub(wire);
            taken.insert(name, body);
        } else {
            left = true;
        }
    }
    (taken, left)
}

/// What GitHub should say after `step` was applied to `base`: the files it then has.
pub fn expected(base: Option<&Arc<Snapshot>>, step: &Step) -> BTreeMap<FileName, BlobId> {
    let mut files: BTreeMap<FileName, BlobId> = base
        .map(|base| base.files.iter().map(|(name, file)| (name.clone(), file.blob)).collect())
        .unwrap_or_default();
    match step {
        Step::Nothing | Step::Fetch(_) => {}
        Step::Delete(_) => files.clear(),
        Step::Create { files: new } => {
            files.extend(new.iter().map(|(name, body)| (name.clone(), body.blob)));
        }
        Step::Update { files: changes, .. } => {
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
