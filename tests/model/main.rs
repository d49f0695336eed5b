//! A small model checks the large machine: random sequences of what users, editors, other machines
//! and the network do, run against the real file system, store and syncer, without a kernel and
//! against a GitHub in memory, and compared with a reference after every step.
//!
//! Seeds are fixed, so that a failure stays one. `GISTFS_MODEL_SEED=N` tries other sequences, and
//! `GISTFS_MODEL_RUNS=N` more or fewer of them. A failing sequence is shrunk before it is shown.

mod conflicts;
mod github;
mod mount;
mod outcome;
mod pace;
mod promises;
mod reference;
mod run;
mod steps;
mod trash;
mod two;
mod views;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

fn setting(name: &str, default: u32) -> u32 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Runs many sequences on two threads, each with seeds of its own.
fn check<S: std::fmt::Debug + Clone + 'static>(
    kind: u8,
    runs: u32,
    sequences: fn() -> BoxedStrategy<S>,
    run: fn(&S) -> Result<(), String>,
) {
    let seed = setting("GISTFS_MODEL_SEED", 1);
    let runs = setting("GISTFS_MODEL_RUNS", runs);
    let half = |thread: u8| {
        let mut bytes = [kind; 32];
        bytes[..4].copy_from_slice(&seed.to_le_bytes());
        bytes[4] = thread;
        let config = Config {
            cases: runs / 2,
            failure_persistence: None,
            max_shrink_iters: 10_000,
            ..Config::default()
        };
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(config, rng);
        let result =
            runner.run(&sequences(), |sequence| run(&sequence).map_err(TestCaseError::fail));
        match result {
            Ok(()) => {}
            Err(TestError::Fail(why, sequence)) => {
                panic!("GISTFS_MODEL_SEED={seed}: {why}\nafter {sequence:?}");
            }
            Err(abort) => panic!("{abort}"),
        }
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        half(0);
        if let Err(panic) = other.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// The same for steps on one machine, with all bodies read after each step or only as needed.
fn check_one(kind: u8, runs: u32, steps: fn() -> BoxedStrategy<(Vec<steps::Step>, bool)>) {
    check(kind, runs, steps, |(steps, reads_all)| run::run(steps, *reads_all));
}

#[test]
fn alone_on_a_quiet_day_every_step_does_what_the_reference_says() {
    check_one(0, 1000, || (steps::alone(), any::<bool>()).boxed());
}

#[test]
fn in_bad_weather_nothing_is_lost_or_doubled() {
    check_one(1, 1000, || (steps::in_bad_weather(), any::<bool>()).boxed());
}

#[test]
fn in_company_no_version_is_lost() {
    check_one(2, 1000, || (steps::in_company(), any::<bool>()).boxed());
}

#[test]
fn two_machines_come_to_rest_alike_and_no_line_is_lost() {
    check(3, 300, two::steps, |steps| two::run(steps));
}
