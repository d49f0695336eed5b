//! `.gist/history`: every revision of a gist as a directory that can be read, copied and compared.

use std::sync::Arc;

use super::views::names;
use super::{About, Content, Entry, Face, Room};
use crate::error::Error;
use crate::fs::{GistFs, Wait};
use crate::model::{FileName, RemoteFile, Revision, Snapshot, Time};
use crate::sync::bodies::Source;
use crate::tree::hidden::{Hidden, HistoryPlace};

impl Room for HistoryPlace {
    fn face(&self, fs: &GistFs, wait: Wait) -> Result<Face, Error> {
        let about = fs.about(&self.whose, wait)?;
        match (&self.revision, &self.file) {
            (None, _) => {
                let changed = about.snapshot.map(|snapshot| snapshot.updated_at);
                Ok(Face::directory(changed.unwrap_or_default()).writable())
            }
            (Some(revision), None) => Ok(Face::directory(revision.committed_at).writable()),
            (Some(revision), Some(name)) => {
                let files = fs.files_then(&about, revision, wait)?;
                let file = files.files.get(name).ok_or(Error::NotFound)?;
                Ok(Face::file(file.size, revision.committed_at).writable())
            }
        }
    }

    fn child(&self, fs: &GistFs, name: &str, wait: Wait) -> Result<Hidden, Error> {
        if self.file.is_some() {
            return Err(Error::NotDirectory);
        }
        let about = fs.about(&self.whose, wait)?;
        match &self.revision {
            None => {
                let revision = fs.revision_called(&about, name, wait)?;
                Ok(self.below(revision, None))
            }
            Some(revision) => {
                let then = fs.files_then(&about, revision, wait)?;
                let file = names::file(&then, name).ok_or(Error::NotFound)?;
                Ok(self.below(revision.clone(), Some(file)))
            }
        }
    }

    fn list_after(&self, fs: &GistFs, after: u64, wait: Wait) -> Result<Vec<(u64, Entry)>, Error> {
        if self.file.is_some() {
            return Err(Error::NotDirectory);
        }
        let about = fs.about(&self.whose, wait)?;
        match &self.revision {
            None => {
                let revisions = fs.revisions_after(&about, after, wait)?;
                let entry = |(position, revision)| {
                    let name = directory_name(&revision).into();
                    (position, (name, self.below(revision, None)))
                };
                Ok(revisions.into_iter().map(entry).collect())
            }
            Some(revision) => {
                let then = fs.files_then(&about, revision, wait)?;
                let entry = |(position, (shown, file)): (u64, (Arc<str>, FileName))| {
                    (position, (shown, self.below(revision.clone(), Some(file))))
                };
                let behind = |(position, _): &(u64, _)| *position > after;
                let shown = (FIRST..).zip(names::files(&then));
                Ok(shown.filter(behind).map(entry).collect())
            }
        }
    }

    fn content(&self, fs: &GistFs, wait: Wait) -> Result<Content, Error> {
        let (Some(revision), Some(name)) = (&self.revision, &self.file) else {
            return Err(Error::IsDirectory);
        };
        let about = fs.about(&self.whose, wait)?;
        let then = fs.files_then(&about, revision, wait)?;
        let file: &RemoteFile = then.files.get(name).ok_or(Error::NotFound)?;
        let source = Source::in_gist(&then, file.clone());
        Ok(Content::Body { blob: file.blob, size: file.size, source: Some(source) })
    }
}

/// The position of the first file of a revision; smaller ones are for `.` and `..`.
const FIRST: u64 = 3;

impl HistoryPlace {
    fn below(&self, revision: Revision, file: Option<FileName>) -> Hidden {
        Hidden::History(Self { whose: self.whose.clone(), revision: Some(revision), file })
    }
}

impl GistFs {
    fn revisions_after(
        &self,
        about: &About,
        after: u64,
        wait: Wait,
    ) -> Result<Vec<(u64, Revision)>, Error> {
        // What is not on GitHub yet has no past.
        let Some(gist) = &about.snapshot else { return Ok(Vec::new()) };
        // `.` and `..` are no revisions.
        let after = if after < FIRST { 0 } else { after };
        let known = self.syncer.known_revisions(gist, after);
        match (known, wait) {
            (Some(known), _) => Ok(known),
            (None, Wait::No) => Err(Error::WouldWait),
            (None, Wait::Yes) => match self.syncer.ask_revisions(gist, after) {
                // Made a moment ago: not everybody at GitHub knows it yet.
                Err(Error::NotFound) if self.is_just_made(about) => Ok(Vec::new()),
                // Programs take ENOENT for the end of a directory.
                Err(Error::NotFound) => {
                    Err(Error::Denied(format!("GitHub knows nothing of {} (404)", gist.id)))
                }
                asked => asked,
            },
        }
    }

    fn is_just_made(&self, about: &About) -> bool {
        about.key.is_some_and(|key| self.syncer.reads_may_lag(key, self.now()))
    }

    fn revision_called(&self, about: &About, name: &str, wait: Wait) -> Result<Revision, Error> {
        let gist = about.snapshot.as_ref().ok_or(Error::NotFound)?;
        // What programs look for everywhere (`.git`) is no question for GitHub.
        let (committed_at, digits) = read_directory_name(name).ok_or(Error::NotFound)?;
        let known = self.syncer.known_revision(gist, committed_at, digits);
        let found = match (known, wait) {
            (Some(known), _) => known,
            (None, Wait::No) => return Err(Error::WouldWait),
            (None, Wait::Yes) => self.syncer.ask_revision(gist, committed_at, digits)?,
        };
        found.ok_or(Error::NotFound)
    }

    /// The gist as it was then.
    fn files_then(
        &self,
        about: &About,
        revision: &Revision,
        wait: Wait,
    ) -> Result<Arc<Snapshot>, Error> {
        let id = about.id().ok_or(Error::NotFound)?;
        match (self.syncer.known_files(id, &revision.commit), wait) {
            (Some(known), _) => Ok(known),
            (None, Wait::No) => Err(Error::WouldWait),
            (None, Wait::Yes) => self.syncer.ask_files(id, &revision.commit),
        }
    }
}

/// `2026-11-21T06-49-00Z-1a2b3c4`: sorts by time, and no shell or other system stumbles over it.
fn directory_name(revision: &Revision) -> String {
    let when = revision.committed_at.to_string().replace(':', "-");
    format!("{when}-{}", revision.short())
}

/// When the revision of that name was made, and its digits.
fn read_directory_name(name: &str) -> Option<(Time, &str)> {
    let (when, digits) = name.rsplit_once('-')?;
    let (day, time) = when.split_once('T')?;
    let committed_at = Time::parse(&format!("{day}T{}", time.replace('-', ":")))?;
    let hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    // One revision has one name.
    let same = committed_at.to_string().replace(':', "-") == when;
    (hex && digits.len() >= 7 && same).then_some((committed_at, digits))
}
