//! A large body takes no memory. In a program of its own, whose memory nobody else uses.

#![expect(clippy::unwrap_used, reason = "a helper that cannot help fails its test")]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;

use gistfs::api::github::GitHub;
use gistfs::api::host::Endpoint;
use gistfs::model::{BlobHasher, BlobId, GistId, RemoteFile};
use gistfs::store::Store;
use gistfs::sync::bodies::{Source, Trust};
use gistfs::sync::{Options, Syncer};

const LENGTH: u64 = 60 << 20;
/// What reads ask for, as the kernel's do.
const PIECE: u32 = 128 << 10;
/// The most that memory may grow by.
const MOST: u64 = 20 << 20;

/// The piece at `offset`; no two are alike.
fn piece(offset: u64) -> Vec<u8> {
    let word = |at: u64| (offset + at).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    (0..u64::from(PIECE) / 8).flat_map(|at| word(at * 8)).collect()
}

fn offsets() -> impl Iterator<Item = u64> {
    (0..LENGTH).step_by(PIECE as usize)
}

/// The most memory this process ever had, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() << 10
}

/// Gives the body to whoever asks first.
fn serve(listener: TcpListener) {
    std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            connection.read_exact(&mut byte).unwrap();
            request.extend(byte);
        }
        write!(connection, "HTTP/1.1 200 OK\r\ncontent-length: {LENGTH}\r\n\r\n").unwrap();
        offsets().for_each(|offset| connection.write_all(&piece(offset)).unwrap());
    });
}

#[test]
fn a_body_of_sixty_megabytes_is_fetched_and_read_in_a_few() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    serve(listener);
    let mut hasher = BlobHasher::new(LENGTH);
    offsets().for_each(|offset| hasher.update(&piece(offset)));
    let blob: BlobId = hasher.finish();

    let state = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(state.path(), "/mnt", 64 << 20).unwrap());
    let github = GitHub::new(Endpoint::of_url(&url).unwrap(), None).unwrap();
    let syncer = Arc::new(Syncer::new(store, Arc::new(github), Options::default()));
    let file = RemoteFile { blob, size: LENGTH, raw_url: format!("{url}/raw"), language: None };
    let id = GistId::parse("1234").unwrap();
    let source = Source { id, git_url: String::new(), file };

    let before = peak();
    let trust = Trust::default();
    for _ in 0..2 {
        for offset in offsets() {
            let part = syncer.body_part(&source, offset, PIECE, &trust).unwrap();
            assert!(part == piece(offset), "at {offset}");
        }
    }
    syncer.store_body(&source).unwrap();
    let grown = peak() - before;
    println!("{grown} bytes more than before");
    assert!(grown < MOST, "{grown} bytes more than before");
}
