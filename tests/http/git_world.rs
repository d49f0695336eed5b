//! A server with gists, and git programs that go there.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use gistfs::api::ApiError;
use gistfs::api::git::{GitApi as _, GitOptions, GitProgram, NewCommit, Patience, Repository};
use gistfs::api::host::Endpoint;
use gistfs::api::token::Token;
use gistfs::demo::{Seed, Server, ServerOptions};
use gistfs::model::{BlobId, CommitId, FileName, Time};
use tempfile::TempDir;

use crate::github::options;
use crate::support::{AMPLE, TOKEN, name};

/// An entry of a tree: its mode and its body.
pub(crate) type Entry = (String, BlobId);

pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) state: TempDir,
    pub(crate) git: Arc<GitProgram>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(options())
    }

    pub(crate) fn with(options: ServerOptions) -> Self {
        let server = Server::start(options).unwrap();
        let state = tempfile::tempdir().unwrap();
        let git = program(&server.api_url(), state.path(), |_| {});
        Self { server, state, git }
    }

    /// Another git program for the same server.
    pub(crate) fn another(&self, change: impl FnOnce(&mut GitOptions)) -> Arc<GitProgram> {
        program(&self.server.api_url(), &self.state.path().join("another"), change)
    }

    /// A gist of octo's.
    pub(crate) fn seed(&self, files: &[(&str, &[u8])]) -> String {
        let files = files.iter().map(|&(name, body)| (name.to_owned(), body.to_vec())).collect();
        self.server.seed("octo", Seed { files, ..Seed::default() })
    }

    pub(crate) fn url(&self, id: &str) -> String {
        format!("{}/{id}.git", self.server.raw_url())
    }

    #[track_caller]
    pub(crate) fn fetch(&self, id: &str) -> Box<dyn Repository> {
        self.git.fetch(&self.url(id), &|| {}).unwrap()
    }

    /// Runs git where the server keeps a gist.
    #[track_caller]
    pub(crate) fn there(&self, id: &str, words: &[&str], input: &[u8]) -> Vec<u8> {
        let mut command = Command::new("git");
        command.env("GIT_DIR", self.server.directory().join(format!("gists/{id}.git")));
        let mut child = command
            .args(words)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "git {words:?}");
        output.stdout
    }

    /// The top of the newest tree of a gist.
    pub(crate) fn tree(&self, id: &str) -> BTreeMap<Vec<u8>, Entry> {
        let listing = self.there(id, &["ls-tree", "-z", "HEAD"], b"");
        let entry = |line: &[u8]| {
            let tab = line.iter().position(|&byte| byte == b'\t').unwrap();
            let head = std::str::from_utf8(&line[..tab]).unwrap();
            let [mode, _, id] = head.split(' ').collect::<Vec<_>>()[..] else { panic!("{head}") };
            (line[tab + 1..].to_vec(), (mode.to_owned(), id.parse().unwrap()))
        };
        listing.split(|&byte| byte == 0).filter(|line| !line.is_empty()).map(entry).collect()
    }

    /// Puts a commit with exactly these entries on top of a gist, as somebody's git would.
    pub(crate) fn commit_tree(&self, id: &str, entries: &[(&[u8], &str, &[u8])]) {
        let branch = self.there(id, &["symbolic-ref", "HEAD"], b"");
        let branch = String::from_utf8(branch).unwrap();
        let branch = branch.trim();
        let who = "committer o <o@example.com> 1700000000 +0000";
        let mut script = format!("commit {branch}\n{who}\ndata 0\nfrom {branch}^0\ndeleteall\n");
        let mut script = std::mem::take(&mut script).into_bytes();
        for (name, mode, body) in entries {
            let quoted: String = name.iter().map(|byte| format!("\\{byte:03o}")).collect();
            let head = format!("M {mode} inline \"{quoted}\"\ndata {}\n", body.len());
            script.extend_from_slice(head.as_bytes());
            script.extend_from_slice(body);
            script.push(b'\n');
        }
        self.there(id, &["fast-import", "--quiet", "--force"], &script);
    }

    pub(crate) fn head(&self, id: &str) -> String {
        String::from_utf8(self.there(id, &["rev-parse", "HEAD"], b"")).unwrap().trim().to_owned()
    }

    /// What is left of repositories on this side.
    pub(crate) fn left_behind(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.state.path().join("git")).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

/// A git program with the owner's token.
pub(crate) fn program(
    api: &str,
    state: &Path,
    change: impl FnOnce(&mut GitOptions),
) -> Arc<GitProgram> {
    let mut options = GitOptions {
        program: Some("git".into()),
        endpoint: Endpoint::of_url(api).unwrap(),
        token: Token::parse(TOKEN),
        login: Some("octo".into()),
        number: Some(7),
        directory: state.join("git"),
        patience: patience(AMPLE),
    };
    change(&mut options);
    Arc::new(GitProgram::find(options))
}

pub(crate) fn patience(silence: Duration) -> Patience {
    Patience { silence, answer: silence, whole: AMPLE, slowest: 10_000 }
}

/// An executable script in the place of git.
pub(crate) fn script(directory: &Path, text: &str) -> PathBuf {
    let path = directory.join("a git");
    // Written by a process of its own: one that is just being started by another test could hold a
    // file open that this one wrote, and nobody can run it then.
    let mut child = Command::new("sh")
        .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
        .arg(&path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    write!(stdin, "#!/bin/sh\n{text}\n").unwrap();
    drop(stdin);
    assert!(child.wait().unwrap().success());
    path
}

/// What somebody wants a gist to hold.
#[derive(Default)]
pub(crate) struct Wanted {
    pub(crate) files: BTreeMap<FileName, BlobId>,
    pub(crate) bodies: BTreeMap<BlobId, Vec<u8>>,
    /// Bodies that were asked for.
    pub(crate) opened: Cell<usize>,
}

impl Wanted {
    pub(crate) fn of<N: AsRef<str>, B: AsRef<[u8]>>(files: &[(N, B)]) -> Self {
        let mut wanted = Self::default();
        for (file, body) in files {
            let body = body.as_ref();
            wanted.files.insert(name(file.as_ref()), BlobId::of(body));
            wanted.bodies.insert(BlobId::of(body), body.to_vec());
        }
        wanted
    }

    pub(crate) fn push(&self, repository: &dyn Repository) -> Result<CommitId, ApiError> {
        let body = |id: BlobId| {
            self.opened.set(self.opened.get() + 1);
            let mut file = tempfile::tempfile()?;
            file.write_all(self.bodies.get(&id).ok_or(io::ErrorKind::NotFound)?)?;
            file.rewind()?;
            Ok(file)
        };
        let at = Time::new(1_800_000_000, 5);
        repository.push(&NewCommit { files: &self.files, at, body: &body }, &|| {})
    }
}

/// Collects bodies.
pub(crate) fn all<E>(
    bring: impl FnOnce(gistfs::api::git::TakeBody<'_>) -> Result<(), E>,
) -> Result<BTreeMap<BlobId, Vec<u8>>, E> {
    let mut bodies = BTreeMap::new();
    bring(&mut |id, length, body| {
        let mut bytes = Vec::new();
        body.read_to_end(&mut bytes)?;
        assert_eq!(bytes.len() as u64, length);
        assert!(bodies.insert(id, bytes).is_none(), "{id} came twice");
        Ok(())
    })?;
    Ok(bodies)
}

/// The bodies of a commit that was fetched.
pub(crate) fn bodies_of(
    repository: &dyn Repository,
    wanted: &[BlobId],
) -> Result<BTreeMap<BlobId, Vec<u8>>, ApiError> {
    all(|take| repository.bodies(wanted, take, &|| {}))
}

/// Bodies of a gist by their ids alone.
pub(crate) fn bodies_at(
    git: &Arc<GitProgram>,
    url: &str,
    wanted: &[BlobId],
) -> Result<BTreeMap<BlobId, Vec<u8>>, ApiError> {
    all(|take| git.bodies(url, wanted, take, &|| {}))
}

/// Every process whose command line or environment has `needle`, by what `of` reads of it.
pub(crate) fn processes(of: &str, needle: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let is_process = entry.file_name().to_str().is_some_and(|name| name.parse::<u32>().is_ok());
        let Ok(mut file) = File::open(entry.path().join(of)) else { continue };
        let mut bytes = Vec::new();
        if is_process && file.read_to_end(&mut bytes).is_ok() {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if text.contains(needle) && entry.path() != Path::new("/proc").join(own()) {
                found.push(text);
            }
        }
    }
    found
}

fn own() -> impl AsRef<OsStr> + AsRef<Path> {
    std::process::id().to_string()
}
