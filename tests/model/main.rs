//! A small model checks the large machine: random sequences of what users, editors, other machines
//! and the network do, run against the real file system, store and syncer, without a kernel and
//! against a GitHub in memory, and compared with a reference after every step.
//!
//! Seeds are fixed, so that a failure stays one. `GISTFS_MODEL_SEED=N` tries other sequences, and
//! `GISTFS_MODEL_RUNS=N` more or fewer of them. A failing sequence is shrunk before it is shown.

mod conflicts;
mod git;
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

/// Steps on one machine, with all bodies read after each step or only as needed; without git, with
/// it, and with it where the API shows two files of a gist only.
fn in_settings(
    steps: impl Strategy<Value = Vec<steps::Step>> + 'static,
) -> BoxedStrategy<(Vec<steps::Step>, run::Setting)> {
    let git = prop_oneof![3 => Just(None), 2 => Just(Some(300)), 2 => Just(Some(2))];
    let setting = (any::<bool>(), git).prop_map(|(reads_all, git)| run::Setting { reads_all, git });
    (steps, setting).boxed()
}

#[test]
fn alone_on_a_quiet_day_every_step_does_what_the_reference_says() {
    let run = |(steps, setting): &(Vec<_>, _)| run::run(steps, *setting);
    check(0, 1400, || in_settings(steps::alone()), run);
}

#[test]
fn in_bad_weather_nothing_is_lost_or_doubled() {
    let run = |(steps, setting): &(Vec<_>, _)| run::run(steps, *setting);
    check(1, 1400, || in_settings(steps::in_bad_weather()), run);
}

#[test]
fn in_company_no_version_is_lost() {
    let run = |(steps, setting): &(Vec<_>, _)| run::run(steps, *setting);
    check(2, 1400, || in_settings(steps::in_company()), run);
}

#[test]
fn two_machines_come_to_rest_alike_and_no_line_is_lost() {
    check(3, 300, two::steps, |steps| two::run(steps));
}
