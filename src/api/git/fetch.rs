//! A fetched commit: its tree, its bodies on demand, its past, and the commit that follows it.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use super::program::Place;
use super::tree::Tree;
use super::{Head, NewCommit, Repository, TakeBody, bodies, push};
use crate::api::ApiError;
use crate::model::{BlobId, CommitId};

/// A repository that holds no more than this was told, and of its remote nothing: what is missing must
/// be missing, and not be fetched by the way.
const CONFIGURATION: &str = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n";

/// The id of the tree that holds nothing.
const EMPTY: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// The default branch where `HEAD` is of no use, the first that is there.
const DEFAULTS: [&str; 2] = ["main", "master"];

/// So many commits more are looked at, step by step, to find out what a commit descends from.
const DEEPER: [&str; 4] = ["16", "128", "1024", "8192"];

/// [`Repository`] in a directory.
pub(super) struct Fetched {
    place: Place,
    head: Head,
    tree: Tree,
}

impl Fetched {
    /// Fetches the newest commit of the default branch: `HEAD`'s, or where that leads to a branch that is
    /// not there, `main` or else `master`.
    ///
    /// A clone, because it asks for the branch and the commit over one connection.
    pub(super) fn fetch(place: Place, heard: &dyn Fn()) -> Result<Self, ApiError> {
        let (branch, found) = clone(&place, None, heard)?;
        if !found.is_empty() {
            return Self::of(place, branch, &found, heard);
        }
        let Some(branch) = other_branch(&place, heard)? else {
            return Ok(Self {
                place,
                head: Head { branch, commit: None, files: BTreeMap::new() },
                tree: Tree::default(),
            });
        };
        let place = place.another()?;
        let (branch, found) = clone(&place, Some(branch), heard)?;
        Self::of(place, branch, &found, heard)
    }

    fn of(place: Place, branch: String, found: &[u8], heard: &dyn Fn()) -> Result<Self, ApiError> {
        let commit = commit_id(found).ok_or_else(|| place.nonsense("its HEAD is no commit"))?;
        let tree = tree(&place, commit.as_str(), heard)?;
        let head = Head { branch, commit: Some(commit), files: tree.files() };
        Ok(Self { place, head, tree })
    }

    /// Whether `commit` is among the commits that are here.
    fn knows(
        &self,
        commit: &CommitId,
        head: &CommitId,
        heard: &dyn Fn(),
    ) -> Result<bool, ApiError> {
        let listed = self.place.here(&["rev-list", head.as_str()], b"", heard)?;
        Ok(String::from_utf8_lossy(&listed).lines().any(|line| line == commit.as_str()))
    }
}

impl Repository for Fetched {
    fn head(&self) -> &Head {
        &self.head
    }

    fn descends_from(&self, commit: &CommitId, heard: &dyn Fn()) -> Result<bool, ApiError> {
        let Some(head) = &self.head.commit else { return Ok(false) };
        for more in DEEPER {
            if self.knows(commit, head, heard)? {
                return Ok(true);
            }
            if !self.place.repository().join("shallow").exists() {
                return Ok(false);
            }
            let deepen = format!("--deepen={more}");
            let words = [
                "fetch",
                "--progress",
                &deepen,
                "--filter=tree:0",
                "--no-tags",
                "--no-write-fetch-head",
                "origin",
                head.as_str(),
            ];
            let ended = self.place.there(&words, Some("tree:0"), b"", heard)?;
            if ended.code != Some(0) {
                let error = self.place.failed(&ended.words);
                // It shows no more than its branches, and this one moved meanwhile.
                return if error == ApiError::NotFound { Ok(false) } else { Err(error) };
            }
        }
        self.knows(commit, head, heard)
    }

    fn bodies(
        &self,
        wanted: &[BlobId],
        take: TakeBody<'_>,
        heard: &dyn Fn(),
    ) -> Result<(), ApiError> {
        bodies::bring(&self.place, wanted, take, heard)
    }

    fn push(&self, commit: &NewCommit<'_>, heard: &dyn Fn()) -> Result<CommitId, ApiError> {
        push::push(&self.place, &self.head, &self.tree, commit, heard)
    }
}

/// Clones `branch`, or the one that the remote's `HEAD` names. Returns its name, and the line with its
/// newest commit, which is empty where there is none.
fn clone(
    place: &Place,
    branch: Option<&str>,
    heard: &dyn Fn(),
) -> Result<(String, Vec<u8>), ApiError> {
    let branch = branch.map(|branch| format!("--branch={branch}"));
    let mut words = vec!["clone", "--bare", "--progress", "--depth=1", "--single-branch"];
    words.extend(["--no-tags", "--filter=blob:none", "--template="]);
    words.extend(branch.as_deref());
    words.extend(["--", place.remote.url(), "repo"]);
    let ended = place.there(&words, None, b"", heard)?;
    if ended.code != Some(0) {
        return Err(place.failed(&ended.words));
    }
    let configure = |configuration: &str| {
        let file = place.repository().join("config");
        match fs::metadata(&file)?.is_file() {
            true => fs::write(file, configuration),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    };
    configure(CONFIGURATION).map_err(|_| place.nonsense("it fetched nothing"))?;
    let branch = place.here(&["symbolic-ref", "HEAD"], b"", heard).ok();
    let branch = branch.as_deref().and_then(|name| line(name)?.strip_prefix("refs/heads/"));
    let branch = branch.ok_or_else(|| place.nonsense("its HEAD is no branch"))?.to_owned();
    let name = format!("refs/heads/{branch}");
    let found = place.here(&["for-each-ref", "--format=%(objectname)", &name], b"", heard)?;
    Ok((branch, found))
}

/// Which branch is the default one where `HEAD` names none that is there; `None` if the remote has no
/// commit at all: who takes a `HEAD` that leads nowhere for that removes every file.
fn other_branch(place: &Place, heard: &dyn Fn()) -> Result<Option<&'static str>, ApiError> {
    let counted = place.here(&["count-objects", "-v"], b"", heard)?;
    let counted = String::from_utf8_lossy(&counted);
    let no_commit = || place.nonsense("its HEAD is no commit");
    if ["count: 0", "in-pack: 0"].iter().any(|none| !counted.lines().any(|l| l == *none)) {
        return Err(no_commit());
    }
    let listed = place.there(&["ls-remote", "--", place.remote.url()], None, b"", heard)?;
    if listed.code != Some(0) {
        return Err(place.failed(&listed.words));
    }
    if listed.output.is_empty() {
        return Ok(None);
    }
    let listed = String::from_utf8_lossy(&listed.output);
    let is_there = |branch: &&str| {
        let named = format!("refs/heads/{branch}");
        listed.lines().any(|line| line.split_once('\t').is_some_and(|(_, name)| name == named))
    };
    DEFAULTS.into_iter().find(is_there).map(Some).ok_or_else(no_commit)
}

/// The top of the tree of a commit or of a tree.
pub(super) fn tree(place: &Place, id: &str, heard: &dyn Fn()) -> Result<Tree, ApiError> {
    let listing = place.here(&["ls-tree", "-z", "--full-tree", id], b"", heard)?;
    let tree = Tree::parse(&listing).filter(|tree| *tree != Tree::default());
    if let Some(tree) = tree {
        return Ok(tree);
    }
    // Who takes nothing for a tree removes every file. That there is none is so by its id alone.
    let named = place.here(&["rev-parse", "--verify", &format!("{id}^{{tree}}")], b"", heard)?;
    match line(&named) {
        Some(EMPTY) if listing.is_empty() => Ok(Tree::default()),
        Some(_) | None => Err(place.nonsense("its tree is no listing")),
    }
}

/// The only line that a command printed.
pub(super) fn line(output: &[u8]) -> Option<&str> {
    let line = std::str::from_utf8(output).ok()?.strip_suffix('\n')?;
    (!line.contains('\n')).then_some(line)
}

/// The whole id that a command printed.
pub(super) fn commit_id(output: &[u8]) -> Option<CommitId> {
    line(output).filter(|id| id.len() == 40).and_then(CommitId::parse)
}
