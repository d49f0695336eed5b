//! Another visibility for a gist. GitHub cannot change it: a new gist takes the place of the old.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::bodies::Source;
use super::plan::Step;
use super::{GistChange, Syncer};
use crate::error::Error;
use crate::exit::{Exit, Failure};
use crate::model::{BlobId, FileName, Snapshot};
use crate::store::gist::{Gist, GistKey, LocalFile};

/// When to look for a new gist whose making was not answered.
const LOOKS: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

impl Syncer {
    /// Makes a gist with the description and the files of `old`, public or secret, and waits until
    /// GitHub has it. The new one is not shown yet: see [`Syncer::show_made`].
    ///
    /// What the new one would lack is refused before anything is sent. If it is not made, nothing
    /// has changed; where that is not known, it stays and is looked for like any other.
    pub fn copy_as(self: &Arc<Self>, old: GistKey, public: bool) -> Result<GistKey, Failure> {
        let gist = self.store.get(old).ok_or_else(gone)?;
        let base = Arc::clone(copyable(&gist)?);
        if base.public == public {
            let message = format!("it is {} already", word(public));
            return Err(Failure::new(Exit::Failed, message, "nothing is to be done"));
        }
        for (name, file) in &base.files {
            let source = Source { id: base.id.clone(), file: file.clone() };
            self.store_body(&source).map_err(|error| {
                refused(&format!("{:?} cannot be had: {error}", name.as_str()), "try again later")
            })?;
        }
        let key = self.store.new_key();
        let new = self.copy_of(&gist, key, public);
        self.check_sendable(&new)?;
        self.store.put_all(vec![(key, Some(new))]).map_err(ours)?;
        let mut sent = self.push_waited_for(key);
        for pause in LOOKS {
            if !self.store.look(key, |new| new.attempt.is_some()).unwrap_or(false) {
                break;
            }
            // The answer was lost: it is looked for, and found when reads have caught up.
            (self.sleep)(pause);
            sent = self.push_waited_for(key);
        }
        let made = self.store.look(key, |new| (new.base.clone(), new.differs()));
        match (sent, made) {
            (Ok(_), Some((Some(made), false))) if blobs(&made) == blobs(&base) => Ok(key),
            (sent, _) => Err(self.give_up(key, sent.err())),
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
        new.changed(now);
        new
    }

    /// What cannot be sent through the API, as binary files that came by git, the new gist would
    /// lack.
    fn check_sendable(&self, new: &Gist) -> Result<(), Failure> {
        let plan = self.plan(new, false);
        if let Some((name, why)) = plan.held.iter().find(|(name, _)| !new.is_scratch(name)) {
            let message = format!("the new gist would lack {:?}: {why}", name.as_str());
            return Err(refused(&message, "use git, or the gist's page in a browser"));
        }
        match plan.step {
            Step::Create { .. } => Ok(()),
            Step::Nothing | Step::Fetch(_) | Step::Update { .. } | Step::Delete(_) => {
                Err(refused("there is nothing to make it of", "write something into it"))
            }
        }
    }

    /// Takes back a gist that certainly was not made. One that may have been is shown from now on.
    fn give_up(&self, key: GistKey, error: Option<Error>) -> Failure {
        let words = error.map_or_else(|| "not all of it is there".into(), |e| e.to_string());
        let never = |gist: &Gist| gist.base.is_none() && gist.attempt.is_none();
        match self.store.remove_if(key, never) {
            Ok(true) => Failure::new(
                Exit::Failed,
                format!("the new gist was not made: {words}"),
                "nothing has changed; try again later",
            ),
            Ok(false) | Err(_) => {
                self.show_made(key);
                Failure::new(
                    Exit::Failed,
                    format!("the new gist is not complete yet, or not known to be: {words}"),
                    "the old one stays; the new one is sent by itself, see gistfs status",
                )
            }
        }
    }

    /// Lets the mount show a gist that was made by [`Syncer::copy_as`].
    pub fn show_made(&self, key: GistKey) {
        self.tell(&[GistChange { key, moved: vec![], taken: vec![] }]);
    }

    /// Removes `old`, as `rm -r` does, if GitHub has all of it in `new`.
    pub fn replace_by(&self, old: GistKey, new: GistKey) -> Result<(), Failure> {
        let now = self.now();
        let made = self.store.look(new, |new| new.base.clone()).flatten().ok_or_else(gone)?;
        let remove = |gist: &mut Gist| {
            Ok(copyable(gist).map(Arc::clone).and_then(|base| {
                if blobs(&base) != blobs(&made) || base.description != made.description {
                    return Err(refused("it has changed since it was copied", "both stay"));
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
        Ok(())
    }
}

/// GitHub's state of a gist, if that is all there is of it.
fn copyable(gist: &Gist) -> Result<&Arc<Snapshot>, Failure> {
    let Some(base) = gist.base.as_ref().filter(|_| !gist.removed) else {
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
    if base.truncated {
        return Err(refused("it has more files than the API shows", "use git to copy it"));
    }
    Ok(base)
}

/// The files by name, without where they are.
fn blobs(snapshot: &Snapshot) -> BTreeMap<&FileName, BlobId> {
    snapshot.files.iter().map(|(name, file)| (name, file.blob)).collect()
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
