//! The repositories behind the gists, as strict as the API in front of them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use gistfs::api::ApiError;
use gistfs::api::git::{GitApi, Head, NewCommit, Repository, TakeBody};
use gistfs::model::{BlobId, CommitId, FileName, GistId};
use gistfs::store::placeholder;
use gistfs::sync::plan::{Class, LARGEST_REQUEST};

use super::{FakeGitHub, Fault, Reads, Remote, Sent, World};

/// Where the repository of a gist is.
pub(super) fn url_of(id: &GistId) -> String {
    format!("https://git.test/{id}.git")
}

fn id_of(url: &str) -> Result<GistId, ApiError> {
    let id = url.strip_prefix("https://git.test/").and_then(|rest| rest.strip_suffix(".git"));
    id.and_then(GistId::parse).ok_or(ApiError::NotFound)
}

/// A gist as it was when it was fetched.
struct Fetched {
    github: Arc<FakeGitHub>,
    id: GistId,
    gist: Remote,
    head: Head,
}

impl GitApi for FakeGitHub {
    fn missing(&self) -> Option<&str> {
        (!self.world().git).then_some("the test has none")
    }

    fn fetch(&self, git_url: &str, _: &dyn Fn()) -> Result<Box<dyn Repository>, ApiError> {
        let id = id_of(git_url)?;
        let mut world = self.world();
        world.counts.fetches += 1;
        if !world.git {
            world.complain("git was asked though there is none".into());
        }
        if let Some(error) = world.git_faults.pop_front() {
            return Err(error);
        }
        let gist = world.view(&id, Reads::Git, self.clock.now()).ok_or(ApiError::NotFound)?;
        let head = Head {
            branch: "main".into(),
            commit: gist.history.first().and_then(|commit| CommitId::parse(commit)),
            files: gist.files.iter().map(|(n, body)| (n.clone(), BlobId::of(body))).collect(),
        };
        let github = self.itself.upgrade().ok_or(ApiError::NotFound)?;
        Ok(Box::new(Fetched { github, id, gist, head }))
    }

    fn bodies(
        &self,
        git_url: &str,
        wanted: &[BlobId],
        take: TakeBody<'_>,
        _: &dyn Fn(),
    ) -> Result<(), ApiError> {
        let id = id_of(git_url)?;
        let gist = self.world().gists.get(&id).cloned().ok_or(ApiError::NotFound)?;
        self.hand_over(&gist, wanted, take)
    }
}

impl FakeGitHub {
    fn hand_over(
        &self,
        gist: &Remote,
        wanted: &[BlobId],
        take: TakeBody<'_>,
    ) -> Result<(), ApiError> {
        {
            let mut world = self.world();
            world.counts.git_bodies += wanted.len();
            if world.bodies_unreachable {
                return Err(ApiError::TimedOut { host: "git.test".into() });
            }
        }
        for blob in wanted {
            let body = gist.bodies.get(blob).ok_or(ApiError::NotFound)?;
            take(*blob, body.len() as u64, &mut &body[..])
                .map_err(|error| ApiError::local("cannot take a body", &error))?;
        }
        Ok(())
    }
}

impl Repository for Fetched {
    fn head(&self) -> &Head {
        &self.head
    }

    fn descends_from(&self, commit: &CommitId, _: &dyn Fn()) -> Result<bool, ApiError> {
        Ok(self.gist.history.iter().any(|known| known == commit.as_str()))
    }

    fn bodies(&self, wanted: &[BlobId], take: TakeBody<'_>, _: &dyn Fn()) -> Result<(), ApiError> {
        self.github.hand_over(&self.gist, wanted, take)
    }

    fn push(&self, commit: &NewCommit<'_>, _: &dyn Fn()) -> Result<CommitId, ApiError> {
        let now = self.github.second();
        let fault = self.github.arrive(Sent::Push(self.id.clone(), commit.files.clone()));
        let mut files = BTreeMap::new();
        let there: BTreeSet<BlobId> = self.head.files.values().copied().collect();
        for (name, blob) in commit.files {
            let body = if there.contains(blob) {
                self.gist.bodies.get(blob).cloned().ok_or(ApiError::NotFound)?
            } else {
                let mut bytes = Vec::new();
                let read = (commit.body)(*blob).and_then(|mut file| file.read_to_end(&mut bytes));
                read.map_err(|error| ApiError::local("cannot read a body", &error))?;
                Bytes::from(bytes)
            };
            files.insert(name.clone(), (*blob, body));
        }
        let mut world = self.github.world();
        world.counts.pushes += 1;
        world.check_push(&self.id, &self.head.files, &files);
        if let Some(error) = world.push_faults.pop_front() {
            return Err(error);
        }
        if let Some(Fault { error, applied: false }) = fault {
            return Err(error);
        }
        let gist = world.gists.get(&self.id).ok_or(ApiError::NotFound)?;
        if gist.history.first().map(String::as_str)
            != self.head.commit.as_ref().map(CommitId::as_str)
        {
            return Err(ApiError::Conflict("fetch first".into()));
        }
        world.fall_behind(&self.id, now);
        let files = files.into_iter().map(|(name, (_, body))| (name, body)).collect();
        world.commit(&self.id, None, files, now);
        let made = world.gists.get(&self.id).and_then(|gist| gist.history.first().cloned());
        match fault {
            Some(Fault { error, .. }) => Err(error),
            None => made.and_then(|made| CommitId::parse(&made)).ok_or(ApiError::NotFound),
        }
    }
}

impl World {
    /// A push must change something, change it to what it says, leave something, and be needed.
    fn check_push(
        &mut self,
        id: &GistId,
        old: &BTreeMap<FileName, BlobId>,
        new: &BTreeMap<FileName, (BlobId, Bytes)>,
    ) {
        if new.is_empty() {
            self.complain(format!("all of {id} was to be pushed away"));
        }
        if new.len() == old.len() && new.iter().all(|(n, (blob, _))| old.get(n) == Some(blob)) {
            self.complain(format!("a push that changes nothing of {id}"));
        }
        let changed = |name: &FileName, blob: &BlobId| old.get(name) != Some(blob);
        let mut wire = 0;
        let mut text = true;
        for (name, (blob, body)) in new {
            if BlobId::of(body) != *blob {
                self.complain(format!("{name:?} was pushed as {blob}, which it is not"));
            }
            self.check_name(name, old.contains_key(name));
            if name.as_str().starts_with(placeholder::NAME) && !old.contains_key(name) {
                self.complain(format!("the placeholder {name:?} was pushed"));
            }
            if changed(name, blob) {
                match Class::of(body) {
                    Class::Text { wire: more } => wire += more,
                    Class::Blank | Class::Binary | Class::CarriageReturns | Class::TooLarge => {
                        text = false;
                    }
                }
            }
        }
        if text && wire <= LARGEST_REQUEST && old.len() <= self.shown && !self.excused {
            self.complain(format!("an update could have carried what was pushed to {id}"));
        }
    }
}
