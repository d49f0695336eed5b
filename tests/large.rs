//! A body far larger than the memory that may be spent on it, through git. A test binary of its own,
//! because it measures its own memory.

#![expect(clippy::unwrap_used, reason = "a helper that cannot help fails its test")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use gistfs::api::git::{GitApi as _, GitOptions, GitProgram, NewCommit, Patience};
use gistfs::api::github::GitHub;
use gistfs::api::host::Endpoint;
use gistfs::api::token::Token;
use gistfs::api::{GistApi as _, NewGist};
use gistfs::model::{BlobHasher, BlobId, FileName, Time};

const SIZE: u64 = 60 << 20;

/// The server, in a process of its own.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn serve() -> (Server, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_gistfs"))
        .args(["serve", "--port", "0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let url = line.split_whitespace().last().unwrap().to_owned();
    (Server(child), url)
}

/// Bytes that cannot be packed smaller.
struct Noise {
    state: u64,
    left: u64,
}

impl Read for Noise {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = into.len().min(usize::try_from(self.left).unwrap());
        for byte in &mut into[..length] {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            *byte = self.state.to_le_bytes()[3];
        }
        self.left -= length as u64;
        Ok(length)
    }
}

fn id_of(body: &mut dyn Read, length: u64) -> io::Result<BlobId> {
    let mut hasher = BlobHasher::new(length);
    let mut piece = vec![0; 64 << 10];
    loop {
        match body.read(&mut piece)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(&piece[..read]),
        }
    }
}

/// The most memory this process ever had, in kB.
fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn sixty_megabytes_go_and_come_in_little_memory() {
    let (_server, api) = serve();
    let endpoint = Endpoint::of_url(&api).unwrap();
    let token = Token::parse("demo-token");
    let github = GitHub::new(endpoint.clone(), token.clone()).unwrap();
    let files = BTreeMap::from([(FileName::parse("small").unwrap(), "small".to_owned())]);
    let gist = github.create(&NewGist { description: "x".into(), public: false, files }).unwrap();
    let url = gist.snapshot.git_url;

    let state = tempfile::tempdir().unwrap();
    let path = state.path().join("body");
    io::copy(&mut Noise { state: 7, left: SIZE }, &mut File::create(&path).unwrap()).unwrap();
    let id = id_of(&mut File::open(&path).unwrap(), SIZE).unwrap();
    let git = Arc::new(GitProgram::find(GitOptions {
        program: Some("git".into()),
        endpoint,
        token,
        login: Some("octo".into()),
        number: None,
        directory: state.path().join("git"),
        patience: Patience::default(),
    }));
    let before = most_memory();

    let repository = git.fetch(&url, &|| {}).unwrap();
    let mut files = repository.head().files.clone();
    files.insert(FileName::parse("large").unwrap(), id);
    let body = |wanted: BlobId| {
        assert_eq!(wanted, id);
        File::open(&path)
    };
    let commit = NewCommit { files: &files, at: Time::now(), body: &body };
    let commit = repository.push(&commit, &|| {}).unwrap();
    drop(repository);

    let repository = git.fetch(&url, &|| {}).unwrap();
    assert_eq!(repository.head().commit.as_ref(), Some(&commit));
    let mut got = Vec::new();
    let mut take = |named: BlobId, length: u64, body: &mut dyn Read| {
        got.push((named, length, id_of(body, length)?));
        Ok(())
    };
    repository.bodies(&[id], &mut take, &|| {}).unwrap();
    git.bodies(&url, &[id], &mut take, &|| {}).unwrap();
    assert_eq!(got, [(id, SIZE, id), (id, SIZE, id)]);

    let more = most_memory() - before;
    writeln!(io::stderr(), "{more} kB more than before").unwrap();
    assert!(more < 4 << 10, "{more} kB more than before");
}
