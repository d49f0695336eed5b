//! Another visibility for a gist. GitHub cannot change it: a new gist takes the place of the old.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::bodies::Source;
use super::plan::Step;
use super::selection::Selection;
use super::upload::Left;
use super::{GistChange, Syncer, upload};
use crate::error::Error;
use crate::exit::{Exit, Failure};
use crate::model::{BlobId, FileName, GistId, Snapshot, Time};
use crate::store::gist::{Gist, GistKey, LocalFile};

/// When to look for a new gist whose making was not answered.
const LOOKS: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// Says that somebody waits for a copy of a gist, until it is dropped.
pub(super) struct Copying<'a> {
    syncer: &'a Syncer,
    old: GistKey,
}

impl Drop for Copying<'_> {
    fn drop(&mut self) {
        self.syncer.shared().copying.remove(&self.old);
    }
}

impl Syncer {
    /// Makes a gist with the description and the files that GitHub has of `old` now, public or
    /// secret, and waits until GitHub has it, at most as long as `waits` says so. The new one is not
    /// shown yet: see [`Syncer::show_made`].
    ///
    /// What the new one would lack is refused before anything is sent. If it is not made, nothing
    /// has changed; where that is not known, it is looked for like any other, never sent again by
    /// itself, and found by whoever asks for it again.
    pub fn copy_as(
        self: &Arc<Self>,
        old: GistKey,
        public: bool,
        waits: &dyn Fn() -> bool,
    ) -> Result<GistKey, Failure> {
        if self.options.selection != Selection::Own {
            let hint = "mount your account beside it, and name the gist there";
            return Err(refused("this mount has no room for a new gist", hint));
        }
        if self.options.read_only {
            return Err(refused("the mount is read-only", "use a mount that can be written"));
        }
        let _copying = self.copying(old)?;
        self.check_copyable(old, public)?;
        self.take_newest(old)?;
        let (gist, base) = self.check_copyable(old, public)?;
        for (name, file) in &base.files {
            let source = Source::in_gist(&base, file.clone());
            self.store_body(&source).map_err(|error| {
                refused(&format!("{:?} cannot be had: {error}", name.as_str()), "try again later")
            })?;
        }
        let key = match self.begun(old, &base, public)? {
            Some(key) => key,
            None => {
                let key = self.store.new_key();
                let new = self.copy_of(&gist, key, public);
                self.check_sendable(&new, &base)?;
                self.store.put_all(vec![(key, Some(new))]).map_err(ours)?;
                key
            }
        };
        self.send_copy(key, &base, waits)
    }

    pub(super) fn copying(&self, old: GistKey) -> Result<Copying<'_>, Failure> {
        if !self.shared().copying.insert(old) {
            return Err(refused("another command is at it", "wait for that one"));
        }
        Ok(Copying { syncer: self, old })
    }

    /// Whether somebody waits for this copy.
    pub(super) fn is_copying(&self, copy: &Gist) -> bool {
        copy.copy_of.is_some_and(|old| self.shared().copying.contains(&old))
    }

    fn check_copyable(&self, old: GistKey, public: bool) -> Result<(Gist, Arc<Snapshot>), Failure> {
        let gist = self.store.get(old).ok_or_else(gone)?;
        let base = Arc::clone(copyable(&gist)?);
        if base.public == public {
            let message = format!("it is {} already", word(public));
            return Err(Failure::new(Exit::Failed, message, "nothing is to be done"));
        }
        Ok((gist, base))
    }

    /// Takes over what GitHub has of a gist now; the same as before costs no quota.
    fn take_newest(&self, key: GistKey) -> Result<(), Failure> {
        let now = self.now();
        let gist = self.store.get(key).ok_or_else(gone)?;
        let looked = match self.limited(now) {
            Some(limited) => Err(limited),
            None => self.look(&gist, now).map_err(|failure| match failure {
                upload::Failure::Theirs(error, _) => self.heard(error),
                upload::Failure::NotNow(..)
                | upload::Failure::Refused(_)
                | upload::Failure::Ours(_)
                | upload::Failure::NotKnown(_) => failure.into(),
            }),
        };
        looked.map(drop).map_err(|error| {
            let nobody = matches!(error, Error::Unreachable(_) | Error::TimedOut(_));
            let exit = if nobody { Exit::Network } else { Exit::Failed };
            let message = format!("it cannot be seen what GitHub has now: {error}");
            Failure::new(exit, message, "nothing has changed; try again later")
        })
    }

    /// A copy of `old` as it is now that an earlier command left behind: GitHub has it, or may have
    /// it.
    fn begun(
        &self,
        old: GistKey,
        base: &Snapshot,
        public: bool,
    ) -> Result<Option<GistKey>, Failure> {
        let is_it = |copy: &Gist| copy.copy_of == Some(old) && holds(copy, base, public);
        let mut found = None;
        self.store.look_at_all(|copy| found = found.or(is_it(copy).then_some(copy.key)));
        let Some(key) = found else { return Ok(None) };
        self.take_newest(key)?;
        // It may be gone from GitHub, or another now.
        Ok(found.filter(|_| self.store.look(key, is_it) == Some(true)))
    }

    /// Before a copy is sent, which may have waited long for its turn: looks whether it still is one.
    pub(super) fn look_at_original(&self, copy: &Gist, now: Time) -> Result<(), upload::Failure> {
        let original = || copy.copy_of.and_then(|old| self.store.get(old));
        if let Some(old) = original() {
            self.look(&old, now)?;
        }
        let is_copy = |old: &Gist| copyable(old).is_ok_and(|base| holds(copy, base, copy.public));
        if original().is_some_and(|old| is_copy(&old)) {
            return Ok(());
        }
        Err(upload::Failure::Ours(Error::Conflict("a copy would not be what is there now".into())))
    }

    fn send_copy(
        self: &Arc<Self>,
        key: GistKey,
        base: &Snapshot,
        waits: &dyn Fn() -> bool,
    ) -> Result<GistKey, Failure> {
        let wanted = || waits() && !self.shared().stopping;
        let mut sent = self.push_while(key, &wanted);
        for pause in LOOKS {
            let doubtful = self.store.look(key, |new| new.attempt.is_some()).unwrap_or(false);
            if !doubtful || !wanted() {
                break;
            }
            // The answer was lost: it is looked for, and found when reads have caught up.
            (self.sleep)(pause);
            sent = self.push_while(key, &wanted);
        }
        let made = self.store.look(key, |new| (new.base.clone(), new.differs()));
        match (sent, made) {
            (Some(Ok(_)), Some((Some(made), false))) if made.blobs() == base.blobs() => Ok(key),
            (sent, _) => Err(self.give_up(key, sent)),
        }
    }

    fn copy_of(&self, gist: &Gist, key: GistKey, public: bool) -> Gist {
        let now = self.now();
        let mut new = Gist::new(key, gist.description.clone(), public, now);
        let file = |(name, file): (&FileName, &LocalFile)| {
            let mut copy = LocalFile::with(file.content.clone(), None, now);
            copy.meta = file.meta;
            (name.clone(), copy)
        };
        new.files = gist.files.iter().map(file).collect();
        new.meta = gist.meta;
        new.copy_of = Some(gist.key);
        new.changed(now);
        new
    }

    /// What cannot be sent, as binary files where there is no git, the new gist would lack; and what is sent only where GitHub has it already.
    fn check_sendable(&self, new: &Gist, base: &Snapshot) -> Result<(), Failure> {
        let plan = self.plan(new, false);
        let held = plan.held.iter().find(|(name, _)| !new.is_scratch(name));
        let held = held.map(|(name, why)| (name, why.to_string()));
        let scratch = base.files.keys().find(|name| new.is_scratch(name));
        let scratch = scratch.map(|name| (name, "editors call their own files so".to_owned()));
        if let Some((name, why)) = held.or(scratch) {
            let message = format!("the new gist would lack {:?}: {why}", name.as_str());
            return Err(refused(&message, "use git, or the gist's page in a browser"));
        }
        match plan.step {
            Step::Create { .. } => Ok(()),
            Step::Nothing
            | Step::Fetch(_)
            | Step::Complete
            | Step::Update { .. }
            | Step::Push { .. }
            | Step::Withdraw(_)
            | Step::Delete(_) => {
                Err(refused("there is nothing to make it of", "write something into it"))
            }
        }
    }

    /// Takes back a copy that certainly was not made.
    fn give_up(&self, key: GistKey, sent: Option<Result<Left, Error>>) -> Failure {
        let words = match sent {
            Some(Ok(_)) => "not all of it is there".into(),
            Some(Err(error)) => error.to_string(),
            None if self.shared().stopping => "the mount ends".into(),
            None => "GitHub has not answered yet".into(),
        };
        let taken_back = self.store.remove_if(key, Gist::is_unsent_copy);
        if taken_back.unwrap_or(false) {
            return refused(
                &format!("the new gist was not made: {words}"),
                "nothing has changed; try again later",
            );
        }
        if self.store.look(key, Gist::is_unseen_copy) == Some(true) {
            return Failure::new(
                Exit::Network,
                format!("it is not known whether the new gist was made: {words}"),
                "the old one stays; say it again: if it was made, it is found",
            );
        }
        self.show_made(key);
        refused(
            &format!("the new gist is not complete yet: {words}"),
            "the old one stays; when gistfs status shows that all is sent, say it again",
        )
    }

    /// Lets the mount show a gist that was made by [`Syncer::copy_as`].
    pub fn show_made(&self, key: GistKey) {
        self.tell(&[GistChange { key, moved: vec![], taken: vec![] }]);
    }

    /// Removes `old`, as `rm -r` does, if GitHub has all of it in the gist `id`. Tells the key of
    /// that.
    pub fn replace_by(&self, old: GistKey, id: &GistId) -> Result<GistKey, Failure> {
        let stays = |failure: Failure| Failure {
            message: format!("the old one stays: {}", failure.message),
            ..failure
        };
        if self.store.look(old, |old| old.removed) != Some(false) {
            return Err(gone());
        }
        self.replace(old, id).map_err(stays)
    }

    fn replace(&self, old: GistKey, id: &GistId) -> Result<GistKey, Failure> {
        let new = || refused("the new one is not there any more", "see what is in the mount");
        let key = self.store.find(id).ok_or_else(new)?;
        self.take_newest(old)?;
        self.take_newest(key)?;
        let gist = self.store.get(key).filter(|gist| !gist.removed).ok_or_else(new)?;
        let made = copyable(&gist).map_err(|failure| Failure {
            message: format!("of the new one, {}", failure.message),
            ..failure
        })?;
        let now = self.now();
        let remove = |gist: &mut Gist| {
            Ok(copyable(gist).map(Arc::clone).and_then(|base| {
                if base.blobs() != made.blobs() || base.description != made.description {
                    let hint = "see what is in both; say it again for another copy";
                    return Err(refused("they are not the same any more", hint));
                }
                gist.files.clear();
                gist.removed = true;
                gist.removed_at = Some(now);
                gist.changed(now);
                Ok(())
            }))
        };
        let told = |done: &Result<(), Failure>| {
            let change = GistChange { key: old, moved: vec![], taken: vec![] };
            done.is_ok().then_some(change)
        };
        self.update_and_tell(old, remove, told).map_err(ours)??;
        self.poke();
        Ok(key)
    }
}

/// GitHub's state of a gist, if that is all there is of it.
fn copyable(gist: &Gist) -> Result<&Arc<Snapshot>, Failure> {
    if gist.removed {
        return Err(gone());
    }
    let Some(base) = &gist.base else {
        return Err(refused(
            "GitHub does not have it yet",
            "write public or secret into its .gist/visibility",
        ));
    };
    let open = gist.files.iter().find(|(_, file)| file.writers > 0);
    if let Some((name, _)) = open {
        return Err(refused(&format!("{:?} is open for writing", name.as_str()), "close it first"));
    }
    if gist.differs() || !gist.moved_to.is_empty() || gist.attempt.is_some() {
        return Err(refused(
            "it holds what GitHub does not have",
            "see gistfs status; gistfs sync sends what can be sent",
        ));
    }
    if base.is_partial() {
        return Err(refused("it has more files than the API shows", "use git to copy it"));
    }
    Ok(base)
}

/// Whether a copy is what is to be made of `base`.
fn holds(copy: &Gist, base: &Snapshot, public: bool) -> bool {
    let files = copy.files.iter().filter(|(name, _)| !copy.is_scratch(name));
    let files: BTreeMap<FileName, BlobId> =
        files.filter_map(|(name, file)| Some((name.clone(), file.blob()?))).collect();
    !copy.removed
        && copy.base.as_ref().map_or(copy.public, |made| made.public) == public
        && copy.description == base.description
        && files == base.blobs()
}

fn word(public: bool) -> &'static str {
    if public { "public" } else { "secret" }
}

fn gone() -> Failure {
    refused("it is not there any more", "see what is in the mount")
}

fn refused(why: &str, hint: &str) -> Failure {
    Failure::new(Exit::Failed, why, hint)
}

fn ours(error: Error) -> Failure {
    Failure::new(Exit::State, error.to_string(), "see gistfs status")
}
