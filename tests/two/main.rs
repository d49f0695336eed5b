//! Two mounts of one account, on two machines as it were, edit the same gists at once while their
//! networks come and go. They come to rest with the same tree, and no version is lost.
//!
//! A failing seed can be run alone: `GISTFS_TWO_SEED=N`.

mod cable;
mod judge;
mod machine;
#[expect(dead_code, reason = "other tests need all of it")]
#[path = "../mount/mounted.rs"]
mod mounted;
mod user;

mod world {
    //! What `mounted` asks for.
    use std::time::{Duration, Instant};

    /// Patience enough for a busy machine.
    pub(crate) const AMPLE: Duration = Duration::from_secs(60);

    /// Waits until `condition` holds.
    #[track_caller]
    pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < AMPLE, "not within {AMPLE:?}: {what}");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use gistfs::demo::{Limits, Seed, Server, ServerOptions};

use crate::judge::Judge;
use crate::machine::Machine;
use crate::user::User;

/// Edits of each user.
const EDITS: usize = 500;

/// Seeds in all.
const SEEDS: u64 = 10;

#[test]
fn two_mounts_with_broken_networks_come_to_rest_alike_and_no_version_is_lost() {
    let one = std::env::var("GISTFS_TWO_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds: Vec<u64> = one.map_or_else(|| (1..=SEEDS).collect(), |seed| vec![seed]);
    // Three at a time: each waits for clocks and the network half of the time.
    let seeds = Mutex::new(seeds.into_iter());
    let next = || seeds.lock().unwrap_or_else(PoisonError::into_inner).next();
    let lane = || std::iter::from_fn(next).for_each(run);
    std::thread::scope(|scope| {
        scope.spawn(lane);
        scope.spawn(lane);
        lane();
    });
}

fn run(seed: u64) {
    let limits = Limits::none();
    let server = Server::start(ServerOptions { limits, ..ServerOptions::default() });
    let server = server.expect("a server");
    for title in ["one", "two", "three"] {
        let text = |name: &str| (0..8).map(|line| format!("{title} {name} {line}\n")).collect();
        let bodies: [String; 3] = ["a.md", "b.txt", "c"].map(text);
        let files = [("a.md", bodies[0].as_str()), ("b.txt", &bodies[1]), ("c", &bodies[2])];
        server.seed("octo", Seed::new(title, &files));
    }
    let machines = [0, 1].map(|_| Machine::start(&server));
    let start = Instant::now();
    let users: Vec<User> = std::thread::scope(|scope| {
        let working: Vec<_> = machines
            .iter()
            .enumerate()
            .map(|(number, machine)| {
                scope.spawn(move || {
                    let mut user = User::new(machine, seed * 2 + number as u64, number);
                    (0..EDITS).for_each(|_| user.edit());
                    user.note_what_is_seen();
                    user
                })
            })
            .collect();
        working.into_iter().map(|user| user.join().expect("a user who works on")).collect()
    });
    machines.iter().for_each(|machine| machine.cable.mend());
    let edited = start.elapsed();
    let judge = Judge::new(&server, &machines, &users, seed);
    judge.settle();
    let settled = start.elapsed() - edited;
    let figures = judge.figures();
    eprintln!("seed {seed}: edited in {edited:.1?}, settled in {settled:.1?}; {figures}");
    judge.same_everywhere();
    judge.nothing_is_lost();
}
