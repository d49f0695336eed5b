//! A line so slow that what is pushed takes long: that is no reason to give up.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use gistfs::api::git::{GitApi as _, Patience};
use nix::sys::socket::{setsockopt, sockopt};

use crate::git_world::{Wanted, World, program};

/// Bytes a second towards the server.
const SPEED: u64 = 600_000;

/// Where a server is reached by a line that carries [`SPEED`] bytes a second to it.
fn by_a_slow_line(server: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // What the kernel holds counts as sent, and is sent without a word: it holds less, about 1 MB, where
    // segments are of a network's size.
    setsockopt(&listener, sockopt::RcvBuf, &(32 << 10)).unwrap();
    setsockopt(&listener, sockopt::TcpMaxSeg, &1400).unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let server = server.trim_start_matches("http://").to_owned();
    thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let Ok(server) = TcpStream::connect(&server) else { return };
            let (from, to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || {
                drop(io::copy(&mut &from, &mut &to));
                drop(to.shutdown(Shutdown::Both));
            });
            thread::spawn(move || {
                carry(client, &server);
                drop(server.shutdown(Shutdown::Write));
            });
        }
    });
    address
}

fn carry(mut from: TcpStream, mut to: &TcpStream) {
    let mut piece = [0; 8 << 10];
    let (mut begun, mut carried) = (Instant::now(), 0);
    while let Ok(length @ 1..) = from.read(&mut piece) {
        if to.write_all(&piece[..length]).is_err() {
            return;
        }
        carried += length as u64;
        let due = begun + Duration::from_millis(carried * 1000 / SPEED);
        match due.checked_duration_since(Instant::now()) {
            Some(early) => thread::sleep(early),
            None => (begun, carried) = (Instant::now(), 0),
        }
    }
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&next());
    }
    bytes
}

#[test]
fn a_push_that_goes_on_steadily_is_never_given_up() {
    let world = World::new();
    let id = world.seed(&[("a", b"a")]);
    let line = by_a_slow_line(&world.server.raw_url());
    let git = program(&line, &world.state.path().join("another"), |options| {
        // Git tells about once a second how far it is.
        let silence = Duration::from_secs(5);
        let whole = Duration::from_secs(1);
        options.patience = Patience { silence, answer: silence, whole, slowest: SPEED / 4 };
    });
    let repository = git.fetch(&format!("{line}/{id}.git"), &|| {}).unwrap();
    let body = noise(3_600_000);
    let started = Instant::now();
    Wanted::of(&[("large", &body)]).push(&*repository).unwrap();
    assert!(started.elapsed() > Duration::from_secs(4), "{:?}", started.elapsed());
    assert_eq!(world.server.files(&id).unwrap().get("large"), Some(&body));
}
