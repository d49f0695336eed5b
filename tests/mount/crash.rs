//! Killed at any instant: nothing acknowledged is lost, nothing removed comes back, and in the end
//! GitHub has it all once.
//!
//! `GISTFS_CRASH_SEED=N` runs other workloads, `GISTFS_CRASH_KILLS=N` more or fewer kills.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use gistfs::demo::{Limits, ServerOptions};
use nix::sys::signal::{Signal, kill};

use crate::mounted::Mount;
use crate::truth::{Op, Tree, difference, name, read_tree};
use crate::world::{AMPLE, World, said};

/// Worlds at one time, each with a workload of its own.
const WORLDS: u64 = 2;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A small source of numbers that look random (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        (!from.is_empty()).then(|| &from[self.below(from.len() as u64) as usize])
    }
}

/// What a world has been through.
#[derive(Debug, Default)]
struct Figures {
    kills: u64,
    kills_at_start: u64,
    operations: u64,
    files_checked: usize,
    requests: usize,
    gists: usize,
}

/// A mount that is killed again and again, and what it has acknowledged.
struct Run {
    world: World,
    dice: Dice,
    truth: Tree,
    serial: u64,
    figures: Figures,
}

impl Run {
    fn new(seed: u64) -> Self {
        // Without its limits: the kills, not the pace, are what is tested.
        let options = ServerOptions { limits: Limits::none(), ..ServerOptions::default() };
        let world = World::with(options);
        let mut truth = Tree::new();
        for number in 0..3 {
            let title = format!("seeded {number}");
            world.seed(&title, &[("a.txt", "first\n"), ("b.txt", "second\n")]);
            let files = [("a.txt", "first\n"), ("b.txt", "second\n")];
            let files = files.map(|(file, text)| (file.to_owned(), text.as_bytes().to_vec()));
            truth.insert(title, files.into());
        }
        let dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        Self { world, dice, truth, serial: 0, figures: Figures::default() }
    }

    fn text(&mut self) -> Vec<u8> {
        self.serial += 1;
        let lines = if self.dice.below(30) == 0 { 20_000 } else { 1 + self.dice.below(60) };
        (0..lines).flat_map(|line| format!("{} {line}\n", self.serial).into_bytes()).collect()
    }

    /// Something that can be done now.
    fn next(&mut self) -> Op {
        loop {
            let gists: Vec<String> = self.truth.keys().cloned().collect();
            let Some(gist) = self.dice.pick(&gists).cloned() else { return self.mkdir() };
            let files: Vec<String> = self.truth[&gist].keys().cloned().collect();
            let file = self.dice.pick(&files).cloned();
            let any = ["a.txt", "b.txt", "c.md", "d", "e.rs"][self.dice.below(5) as usize];
            let op = match (self.dice.below(20), file) {
                (0, _) if gists.len() < 7 => self.mkdir(),
                (1, None) => Op::Rmdir(gist),
                (2, _) => {
                    self.serial += 1;
                    Op::Retitle(gist, format!("gist {}", self.serial))
                }
                (3..=4, Some(file)) => Op::Unlink(name(&gist, &file)),
                (5..=6, Some(file)) if file != any => {
                    Op::Rename(name(&gist, &file), name(&gist, any))
                }
                (7..=8, Some(file)) => match self.dice.pick(&gists) {
                    Some(other) if *other != gist => {
                        Op::Rename(name(&gist, &file), name(other, any))
                    }
                    Some(_) | None => continue,
                },
                (9..=11, Some(file)) => Op::Append(name(&gist, &file), self.text()),
                (12..=14, _) => Op::Write(name(&gist, any), self.text(), true),
                (15..=19, _) => Op::Write(name(&gist, any), self.text(), false),
                _ => continue,
            };
            return op;
        }
    }

    fn mkdir(&mut self) -> Op {
        self.serial += 1;
        Op::Mkdir(format!("gist {}", self.serial))
    }

    /// Works until the mount is killed, and tells what the tree may be then.
    fn work_until_killed(&mut self) -> Vec<Tree> {
        let root = self.world.point();
        let pid = self.world.mounted().pid();
        let after = Duration::from_micros(self.dice.below(150_000));
        let killed = AtomicBool::new(false);
        let (ended, wait) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let killing = &killed;
            scope.spawn(move || {
                // Called off only by a failure of the test.
                wait.recv_timeout(after).ok();
                killing.store(true, Ordering::SeqCst);
                kill(pid, Signal::SIGKILL).expect("the mount is there");
            });
            let _ended = ended;
            loop {
                let op = self.next();
                match op.run(&root) {
                    Ok(()) => {
                        op.apply(&mut self.truth);
                        self.figures.operations += 1;
                    }
                    Err((error, synced)) => {
                        assert!(killed.load(Ordering::SeqCst), "{op:?}: {error}");
                        return op.outcomes(&self.truth, synced);
                    }
                }
            }
        })
    }

    /// Kills a mount that is just starting.
    fn kill_at_start(&mut self) {
        let mut command = self.world.mount_command(&["--write-back", "0.02"]);
        let log = self.world.next_log();
        let mut mount = Mount::begin(&mut command, &self.world.point(), log);
        let until = Instant::now() + Duration::from_micros(self.dice.below(100_000));
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            std::thread::park_timeout(left);
        }
        mount.signal(Signal::SIGKILL);
        mount.ended();
        mount.leave();
        self.figures.kills_at_start += 1;
    }

    /// What is there is one of these.
    fn check(&mut self, outcomes: &[Tree]) {
        let found = read_tree(&self.world.point());
        self.figures.files_checked += found.values().map(BTreeMap::len).sum::<usize>();
        if !outcomes.contains(&found) {
            let lines: Vec<String> = outcomes.iter().map(|tree| difference(&found, tree)).collect();
            panic!("after {} kills\n{}", self.figures.kills, lines.join("or\n"));
        }
        self.truth = found;
    }

    fn round(&mut self) {
        self.world.mount(&["--write-back", "0.02"]);
        let mut outcomes = vec![self.truth.clone()];
        self.check(&outcomes);
        outcomes = self.work_until_killed();
        self.world.crash();
        self.figures.kills += 1;
        if self.dice.below(5) == 0 {
            self.kill_at_start();
            self.figures.kills += 1;
        }
        self.world.mount(&["--write-back", "0.02"]);
        self.check(&outcomes);
        // Killed again, mostly in the middle of sending what the first one left.
        let outcomes = self.work_until_killed();
        self.world.crash();
        self.figures.kills += 1;
        self.world.mount(&["--write-back", "0.02"]);
        self.check(&outcomes);
        self.world.crash();
        self.figures.kills += 1;
    }

    /// Sends everything; then GitHub has it all, and nothing twice.
    fn settle(mut self) -> Figures {
        self.world.mount(&["--write-back", "0.02"]);
        // GitHub keeps no empty gist and no blank file: what is empty is filled, or goes.
        let mut last = Vec::new();
        for (number, (gist, files)) in self.truth.iter().enumerate() {
            let write = |file: &str| Op::Write(name(gist, file), b"last\n".to_vec(), false);
            match (files.is_empty(), number % 2) {
                (true, 0) => last.push(write("last")),
                (true, _) => last.push(Op::Rmdir(gist.clone())),
                (false, _) => {
                    let blank = files.iter().filter(|(_, bytes)| bytes.is_empty());
                    last.extend(blank.map(|(file, _)| write(file)));
                }
            }
        }
        for op in last {
            op.run(&self.world.point()).expect("it works");
            op.apply(&mut self.truth);
        }
        let start = Instant::now();
        loop {
            let out = self.world.gistfs(&["sync"]).arg(self.world.point()).output();
            let out = out.expect("gistfs runs");
            if out.status.success() {
                break;
            }
            assert!(start.elapsed() < AMPLE, "{}", said(&out));
            std::thread::park_timeout(Duration::from_millis(200));
        }
        self.check(&[self.truth.clone()]);
        self.world.unmount();
        // Whatever an unanswered request made shows up in the list, and is dealt with.
        self.world.mount(&[]);
        self.check(&[self.truth.clone()]);
        self.world.unmount();
        let mut there = Tree::new();
        for id in self.world.server.gist_ids("octo") {
            let title = self.world.server.description(&id).expect("a title");
            let files = self.world.server.files(&id).expect("files");
            let before = there.insert(title.clone(), files);
            assert!(before.is_none(), "{title:?} is there twice");
        }
        assert!(there == self.truth, "GitHub:\n{}", difference(&there, &self.truth));
        self.figures.requests = self.world.server.requests().len();
        self.figures.gists = there.len();
        self.figures
    }
}

#[test]
fn killed_at_random_points_it_keeps_what_it_acknowledged_and_sends_it_once() {
    let kills = setting("GISTFS_CRASH_KILLS", 208) / WORLDS;
    let first = setting("GISTFS_CRASH_SEED", 1);
    std::thread::scope(|scope| {
        for world in 0..WORLDS {
            scope.spawn(move || {
                let seed = first * 1000 + world;
                println!("seed {first}, world {world}");
                let start = Instant::now();
                let mut run = Run::new(seed);
                while run.figures.kills < kills {
                    run.round();
                }
                let figures = run.settle();
                println!("seed {first}, world {world}: {figures:?}, {:?}", start.elapsed());
            });
        }
    });
}
