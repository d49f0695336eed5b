//! One gist's git repository: blobs in, commits out. The only part that knows git's objects.
//!
//! Trees are written as raw bytes, because a gist of the real world may hold names that git's
//! own interface refuses to write, and the file system under test must survive them.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use git2::{DiffFindOptions, DiffOptions, ObjectType, Oid, Signature, Sort, Tree};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode, percent_encode};
use serde::{Deserialize, Serialize};

use crate::model::{BlobId, Time};

const PLAIN: u32 = 0o100_644;

/// Bodies beyond this count as binary in `change_status`: a line diff of them takes seconds.
const DIFF_LIMIT: i64 = 4 << 20;

/// A file as the index and the tree know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct File {
    pub(super) blob: BlobId,
    pub(super) size: u64,
    /// Pushed symlinks and executables keep their mode; the API does not show it.
    #[serde(default = "plain", skip_serializing_if = "is_plain")]
    pub(super) mode: u32,
}

fn plain() -> u32 {
    PLAIN
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form serde asks for")]
fn is_plain(mode: &u32) -> bool {
    *mode == PLAIN
}

/// A commit as `history` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Commit {
    pub(super) version: String,
    pub(super) author: Option<String>,
    pub(super) at: Time,
    pub(super) additions: usize,
    pub(super) deletions: usize,
}

/// Whose an e-mail address is, where it is anybody's.
pub(super) type LoginOf<'a> = &'a dyn Fn(&str) -> Option<String>;

/// An open bare repository.
pub(super) struct Repository(git2::Repository);

impl Repository {
    /// Lays out an empty bare repository whose HEAD is `branch`, without git's template: the
    /// fifteen sample hooks would be most of the cost of making a gist.
    pub(super) fn create(path: &Path, branch: &str) -> io::Result<Self> {
        fs::create_dir_all(path.join("objects"))?;
        fs::create_dir_all(path.join("refs/heads"))?;
        fs::write(path.join("HEAD"), format!("ref: refs/heads/{branch}\n"))?;
        let config =
            "[core]\n\trepositoryformatversion = 0\n\tbare = true\n\tlooseCompression = 1\n";
        fs::write(path.join("config"), config)?;
        Self::open(path)
    }

    /// Opens the repository in `path`.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        git2::Repository::open_bare(path).map(Self).map_err(io::Error::other)
    }

    /// Stores a body.
    pub(super) fn store(&self, bytes: &[u8]) -> io::Result<File> {
        self.0.blob(bytes).map_err(io::Error::other)?;
        Ok(File { blob: BlobId::of(bytes), size: bytes.len() as u64, mode: PLAIN })
    }

    /// The body with this id, or `None` if the repository has no such blob.
    pub(super) fn body(&self, blob: BlobId) -> io::Result<Option<Vec<u8>>> {
        match self.0.find_blob(oid(blob)?) {
            Ok(found) => Ok(Some(found.content().to_vec())),
            Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// The size of the body with this id, which is not read for it.
    pub(super) fn size(&self, blob: BlobId) -> Option<u64> {
        let (size, _) = self.0.odb().ok()?.read_header(oid(blob).ok()?).ok()?;
        Some(size as u64)
    }

    /// Commits exactly `files` on top of HEAD.
    pub(super) fn commit(
        &self,
        files: &BTreeMap<String, File>,
        author: &str,
        at: Time,
    ) -> io::Result<Commit> {
        self.commit_in_git(files, author, at).map_err(io::Error::other)
    }

    fn commit_in_git(
        &self,
        files: &BTreeMap<String, File>,
        author: &str,
        at: Time,
    ) -> Result<Commit, git2::Error> {
        let mut entries: Vec<(Vec<u8>, &File)> =
            files.iter().map(|(name, file)| (name_in_tree(name), file)).collect();
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut raw = Vec::new();
        for (name, file) in entries {
            raw.extend_from_slice(format!("{:o} ", file.mode).as_bytes());
            raw.extend_from_slice(&name);
            raw.push(0);
            raw.extend_from_slice(Oid::from_str(&file.blob.to_string())?.as_bytes());
        }
        let tree = self.0.odb()?.write(ObjectType::Tree, &raw)?;
        let tree = self.0.find_tree(tree)?;
        let parent = match self.tip() {
            Some(tip) => Some(self.0.find_commit(tip)?),
            None => None,
        };
        let who = Signature::new(
            author,
            &format!("{author}@users.noreply.example"),
            &git2::Time::new(at.seconds(), 0),
        )?;
        let parents: Vec<&git2::Commit> = parent.iter().collect();
        let version = self.0.commit(Some("HEAD"), &who, &who, "", &tree, &parents)?;
        let before = parent.map(|parent| parent.tree()).transpose()?;
        let (additions, deletions) = self.count(before.as_ref(), &tree)?;
        let author = Some(author.to_owned());
        Ok(Commit { version: version.to_string(), author, at, additions, deletions })
    }

    /// The commit HEAD stands for; `None` while it is unborn.
    fn tip(&self) -> Option<Oid> {
        self.0.refname_to_id("HEAD").ok()
    }

    /// HEAD's files and the history that leads there, oldest first; what `known` already
    /// describes is taken from there. `login` tells whose an author's e-mail address is.
    pub(super) fn read_back(
        &self,
        known: &[Commit],
        login: LoginOf<'_>,
    ) -> io::Result<(BTreeMap<String, File>, Vec<Commit>)> {
        let Some(tip) = self.tip() else { return Ok((BTreeMap::new(), Vec::new())) };
        let files = self.files_of(tip).map_err(io::Error::other)?;
        let history = self.history_to(tip, known, login).map_err(io::Error::other)?;
        Ok((files, history))
    }

    /// The files of a commit; `None` if the repository has no such commit.
    pub(super) fn files_at(&self, version: &str) -> Option<BTreeMap<String, File>> {
        let commit = Oid::from_str(version).ok()?;
        self.0.find_commit(commit).ok()?;
        self.files_of(commit).ok()
    }

    fn files_of(&self, commit: Oid) -> Result<BTreeMap<String, File>, git2::Error> {
        let tree = self.0.find_commit(commit)?.tree()?;
        let odb = self.0.odb()?;
        let mut files = BTreeMap::new();
        for entry in &tree {
            // A push may leave subdirectories in older commits; the API shows flat files only.
            if entry.kind() != Some(ObjectType::Blob) {
                continue;
            }
            let (size, _) = odb.read_header(entry.id())?;
            let Ok(blob) = entry.id().to_string().parse() else { continue };
            let mode = u32::try_from(entry.filemode_raw()).unwrap_or(PLAIN);
            files
                .insert(name_from_tree(entry.name_bytes()), File { blob, size: size as u64, mode });
        }
        Ok(files)
    }

    fn history_to(
        &self,
        tip: Oid,
        known: &[Commit],
        login: LoginOf<'_>,
    ) -> Result<Vec<Commit>, git2::Error> {
        let mut walk = self.0.revwalk()?;
        walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
        walk.push(tip)?;
        let mut history = Vec::new();
        for version in walk {
            let version = version?;
            let text = version.to_string();
            if let Some(commit) = known.iter().find(|commit| commit.version == text) {
                history.push(commit.clone());
                continue;
            }
            let commit = self.0.find_commit(version)?;
            let before = commit.parents().next().map(|parent| parent.tree()).transpose()?;
            let (additions, deletions) = self.count(before.as_ref(), &commit.tree()?)?;
            let author = commit.author().email().ok().and_then(login);
            let at = Time::new(commit.time().seconds(), 0);
            history.push(Commit { version: text, author, at, additions, deletions });
        }
        Ok(history)
    }

    /// Lines added and deleted, where a pure rename counts nothing.
    fn count(&self, before: Option<&Tree>, after: &Tree) -> Result<(usize, usize), git2::Error> {
        let mut options = DiffOptions::new();
        options.max_size(DIFF_LIMIT);
        let mut diff = self.0.diff_tree_to_tree(before, Some(after), Some(&mut options))?;
        diff.find_similar(Some(DiffFindOptions::new().renames(true)))?;
        let stats = diff.stats()?;
        Ok((stats.insertions(), stats.deletions()))
    }
}

fn oid(blob: BlobId) -> io::Result<Oid> {
    Oid::from_str(&blob.to_string()).map_err(io::Error::other)
}

/// Marks names that are stored escaped: a git tree cannot hold them (empty, or with a NUL), or
/// comparing trees fails at them (a slash in front).
const ESCAPE: u8 = 1;

fn name_in_tree(name: &str) -> Vec<u8> {
    let bytes = name.as_bytes();
    if !matches!(bytes.first(), None | Some(&(ESCAPE | b'/'))) && !bytes.contains(&0) {
        return bytes.to_vec();
    }
    let mut escaped = vec![ESCAPE];
    escaped.extend(percent_encode(bytes, NON_ALPHANUMERIC).flat_map(str::bytes));
    escaped
}

fn name_from_tree(name: &[u8]) -> String {
    match name.strip_prefix(&[ESCAPE]) {
        Some(escaped) => percent_decode(escaped).decode_utf8_lossy().into_owned(),
        None => String::from_utf8_lossy(name).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(repository: &Repository, files: &[(&str, &[u8])]) -> Commit {
        let files = files
            .iter()
            .map(|(name, bytes)| ((*name).to_owned(), repository.store(bytes).unwrap()))
            .collect();
        repository.commit(&files, "octo", Time::new(1_700_000_000, 0)).unwrap()
    }

    #[test]
    fn every_name_survives_the_tree() {
        let directory = tempfile::tempdir().unwrap();
        let repository = Repository::create(directory.path(), "main").unwrap();
        let names = ["", "/", "//a", "a/b", "..", ".git", "\0", "a\0b", "\u{1}x", "é", "new\nline"];
        let files: Vec<(&str, &[u8])> = names.iter().map(|name| (*name, name.as_bytes())).collect();
        let commit = commit(&repository, &files);
        let found = repository.files_at(&commit.version).unwrap();
        let mut expected: Vec<&str> = names.to_vec();
        expected.sort_unstable();
        assert_eq!(found.keys().map(String::as_str).collect::<Vec<_>>(), expected);
        assert_eq!(found["a/b"].blob, BlobId::of(b"a/b"));
    }

    #[test]
    fn a_pure_rename_counts_no_line() {
        let directory = tempfile::tempdir().unwrap();
        let repository = Repository::create(directory.path(), "main").unwrap();
        let first = commit(&repository, &[("a", b"1\n2\n3\n")]);
        assert_eq!((first.additions, first.deletions), (3, 0));
        let second = commit(&repository, &[("b", b"1\n2\n3\n")]);
        assert_eq!((second.additions, second.deletions), (0, 0));
        let third = commit(&repository, &[("b", b"1\n2\nx\ny\n")]);
        assert_eq!((third.additions, third.deletions), (2, 1));
    }

    #[test]
    fn the_history_reads_back_from_git_alone() {
        let directory = tempfile::tempdir().unwrap();
        let repository = Repository::create(directory.path(), "master").unwrap();
        let made = [commit(&repository, &[("a", b"1")]), commit(&repository, &[("a", b"2")])];
        let (files, history) = repository.read_back(&[], &|_| None).unwrap();
        assert_eq!(files["a"].blob, BlobId::of(b"2"));
        let versions: Vec<_> = history.iter().map(|commit| &commit.version).collect();
        assert_eq!(versions, [&made[0].version, &made[1].version]);
    }
}
