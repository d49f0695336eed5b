//! Putting the lines of three versions together ahead of a merge, which itself is pure.

use bytes::Bytes;

use super::Syncer;
use super::bodies::Source;
use super::lines::{MOST_BYTES, merge_lines};
use super::merge::{Lines, Texts, Triple};
use super::plan::Class;
use crate::error::Error;
use crate::model::{BlobId, FileName, Snapshot};
use crate::store::gist::Gist;

impl Syncer {
    /// Works out what `needs` asks for and stores what comes of it.
    ///
    /// Bodies come from the store, from where `gist` knows them to be, or from `remote`. One that
    /// is nowhere any more, or no text, is a clash; one that cannot be had for now is an error.
    pub(super) fn put_together(
        &self,
        gist: &Gist,
        remote: &Snapshot,
        needs: &[(FileName, Triple)],
    ) -> Result<Texts, Error> {
        let mut texts = Texts::new();
        for (_, triple) in needs {
            texts.insert(*triple, self.lines(gist, remote, *triple)?);
        }
        Ok(texts)
    }

    /// The same, leaving out what cannot be had for now.
    pub(super) fn put_together_what_can_be(
        &self,
        gist: &Gist,
        remote: &Snapshot,
        needs: &[(FileName, Triple)],
    ) -> Texts {
        let known = |(_, triple): &(FileName, Triple)| match self.lines(gist, remote, *triple) {
            Ok(lines) => Some((*triple, lines)),
            Err(error) => {
                log::debug!("{}: a change on both sides is looked at later: {error}", remote.id);
                None
            }
        };
        needs.iter().filter_map(known).collect()
    }

    /// What comes of one triple.
    pub(super) fn lines(
        &self,
        gist: &Gist,
        remote: &Snapshot,
        triple: Triple,
    ) -> Result<Lines, Error> {
        let [base, ours, theirs] =
            [triple.base, triple.ours, triple.theirs].map(|blob| self.body_of(gist, remote, blob));
        let (Some(base), Some(ours), Some(theirs)) = (base?, ours?, theirs?) else {
            return Ok(Lines::Clash);
        };
        let Some(merged) = merge_lines(&base, &ours, &theirs) else { return Ok(Lines::Clash) };
        let merged = Bytes::from(merged);
        // What cannot be sent would hide what is on GitHub.
        if !self.has_git() && !matches!(Class::of(&merged), Class::Text { .. }) {
            return Ok(Lines::Clash);
        }
        let blob = BlobId::of(&merged);
        self.store.keep(blob, &merged)?;
        // It takes the place of a version that may have been asked to survive a power cut.
        self.store.blobs.sync(blob)?;
        Ok(Lines::Merged { blob, size: merged.len() as u64 })
    }

    /// A body of which three are compared; `None` if it is too large for that, nowhere, or
    /// out of reach.
    fn body_of(
        &self,
        gist: &Gist,
        remote: &Snapshot,
        blob: BlobId,
    ) -> Result<Option<Bytes>, Error> {
        let is_large = self.store.blobs.length(blob).is_some_and(|size| size > MOST_BYTES as u64);
        if is_large {
            return Ok(None);
        }
        if let Some(body) = self.store.body(blob)? {
            return Ok(Some(body));
        }
        let there = || remote.files.values().find(|file| file.blob == blob);
        let source = Source::of(gist, blob)
            .or_else(|| there().map(|file| Source::in_gist(remote, file.clone())));
        let small = |source: &Source| source.file.size <= MOST_BYTES as u64;
        let Some(source) = source.filter(small) else { return Ok(None) };
        match self.fetch_now(&source) {
            Ok(body) => Ok(Some(body)),
            Err(Error::Denied(_) | Error::OutOfReach(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
