//! Death just before and just after every commit: one workload that does one of everything.
//!
//! A build with debug assertions dies at the N-th point when `GISTFS_ABORT_AT=N` says so; the
//! workload is run for N = 1, 2, 3… until the process survives it.

use std::time::{Duration, Instant};

use gistfs::demo::{Limits, ServerOptions};

use crate::mounted::is_alive;
use crate::truth::{Op, Tree, difference, name, read_tree};
use crate::world::{AMPLE, World, said, wait_until};

/// Runs at one time.
const THREADS: u64 = 2;

/// What both sides wrote to the same line of one file.
const VERSIONS: [&str; 2] = ["theirs\n", "ours\n"];

enum Step {
    Do(Op),
    /// Everything is sent, by command: nothing is sent by itself.
    Sync,
    /// Another machine changes the file that [`Step::Do`] changes next.
    Elsewhere,
}

fn workload() -> Vec<Step> {
    let write = |gist: &str, file: &str, text: &str| {
        Step::Do(Op::Write(name(gist, file), text.into(), false))
    };
    let unlink = |gist, file| Step::Do(Op::Unlink(name(gist, file)));
    let rename = |from, to| Step::Do(Op::Rename(from, to));
    vec![
        // A gist is made.
        Step::Do(Op::Mkdir("New".into())),
        write("New", "n.txt", "n\n"),
        Step::Sync,
        // One is edited in every way and renamed, and a file moves between two.
        write("One", "a.txt", "edited\n"),
        Step::Do(Op::Append(name("One", "a.txt"), "more\n".into())),
        rename(name("One", "a.txt"), name("One", "e.txt")),
        unlink("One", "c.txt"),
        Step::Do(Op::Retitle("Two".into(), "Deux".into())),
        rename(name("Deux", "t.txt"), name("New", "t.txt")),
        Step::Sync,
        // One is deleted.
        unlink("Gone", "g.txt"),
        Step::Do(Op::Rmdir("Gone".into())),
        Step::Sync,
        // Both sides change one file.
        Step::Elsewhere,
        write("Both", "b.txt", VERSIONS[1]),
        Step::Sync,
    ]
}

/// A mount that dies at a point, and what it has acknowledged.
struct Run {
    world: World,
    truth: Tree,
    both: String,
}

impl Run {
    fn new() -> Self {
        let options = ServerOptions { limits: Limits::none(), ..ServerOptions::default() };
        let world = World::with(options);
        let mut truth = Tree::new();
        let mut seed = |title: &str, files: &[(&str, &str)]| {
            let own = files.iter().map(|(file, text)| ((*file).to_owned(), (*text).into()));
            truth.insert(title.to_owned(), own.collect());
            world.seed(title, files)
        };
        seed("One", &[("a.txt", "a\n"), ("c.txt", "c\n"), ("d.txt", "d\n")]);
        seed("Two", &[("t.txt", "t\n"), ("u.txt", "u\n")]);
        seed("Gone", &[("g.txt", "g\n")]);
        let both = seed("Both", &[("b.txt", "b\n"), ("z.txt", "z\n")]);
        Self { world, truth, both }
    }

    /// Does the workload with a death at `point`; tells whether there was one.
    fn dies_at(mut self, point: u64) -> bool {
        let environment = ("GISTFS_ABORT_AT", point.to_string());
        let mut died = !self.world.try_mount(&["--write-back", "600"], environment);
        if died {
            self.revive(&[self.truth.clone()]);
        }
        for step in workload() {
            match &step {
                Step::Do(op) => {
                    if let Err((error, synced)) = op.run(&self.world.point()) {
                        assert!(!died, "point {point}, {op:?}: {error}");
                        let mut after = self.truth.clone();
                        op.apply(&mut after);
                        self.revive(&op.outcomes(&self.truth, synced));
                        died = true;
                        if self.truth != after {
                            op.run(&self.world.point()).expect("it works the second time");
                        }
                        self.truth = after;
                    } else {
                        op.apply(&mut self.truth);
                    }
                }
                Step::Sync => {
                    let start = Instant::now();
                    loop {
                        let out = self.world.gistfs(&["sync"]).arg(self.world.point()).output();
                        let out = out.expect("gistfs runs");
                        if out.status.success() {
                            break;
                        }
                        // What is not sent yet may just not be released yet.
                        if !died && !is_alive(self.world.mounted().pid()) {
                            self.revive(&[self.truth.clone()]);
                            died = true;
                        }
                        assert!(start.elapsed() < AMPLE, "point {point}: {}", said(&out));
                        std::thread::park_timeout(Duration::from_millis(200));
                    }
                }
                Step::Elsewhere => {
                    let theirs = VERSIONS[0].as_bytes();
                    self.world.server.commit(&self.both, &[("b.txt", Some(theirs))]);
                    let files = self.truth.get_mut("Both").expect("a gist");
                    files.insert("b.txt".into(), theirs.into());
                }
            }
        }
        self.check_both_sides(point);
        if died {
            self.world.unmount();
        } else {
            // The end of a mount commits too.
            let out = self.world.gistfs(&["unmount"]).arg(self.world.point()).output();
            drop(out.expect("gistfs runs"));
            died = self.world.mounted().ended().code().is_none();
            self.world.crashed();
            self.world.mount(&["--write-back", "600"]);
            self.check_both_sides(point);
            self.world.unmount();
        }
        died
    }

    /// Mounts again over the dead mount and finds one of `outcomes`.
    fn revive(&mut self, outcomes: &[Tree]) {
        self.world.crashed();
        self.world.mount(&["--write-back", "600"]);
        let found = read_tree(&self.world.point());
        let mut as_shown = found.clone();
        let both = as_shown.remove("Both");
        let fits = |tree: &&Tree| {
            let mut tree = (*tree).clone();
            tree.remove("Both");
            tree == as_shown
        };
        let fitting = outcomes.iter().find(fits);
        let lines = || outcomes.iter().map(|tree| difference(&found, tree)).collect::<String>();
        let fitting = fitting.unwrap_or_else(|| panic!("{}", lines()));
        // What both sides changed may be before, within or after the merge.
        let text = both.and_then(|files| files.get("b.txt").cloned()).expect("a file");
        let known = ["b\n", "", VERSIONS[0], VERSIONS[1]];
        assert!(known.iter().any(|known| text == known.as_bytes()), "{text:?}");
        self.truth = fitting.clone();
        self.truth.get_mut("Both").expect("a gist").insert("b.txt".into(), text);
    }

    /// GitHub has what is here, each gist once; and of the file that both changed every version.
    fn check_both_sides(&mut self, point: u64) {
        let mut there = Tree::new();
        for id in self.world.server.gist_ids("octo") {
            let title = self.world.server.description(&id).expect("a title");
            let files = self.world.server.files(&id).expect("files");
            assert!(there.insert(title.clone(), files).is_none(), "{title:?} is there twice");
        }
        let mut here = Tree::new();
        // The kernel is told of a merge soon, not at once.
        wait_until(&format!("point {point}: both sides are the same"), || {
            here = read_tree(&self.world.point());
            here == there
        });
        let mut versions: Vec<Vec<u8>> = there["Both"].values().cloned().collect();
        for commit in self.world.server.commits(&self.both) {
            versions.extend(self.world.server.files_at(&self.both, &commit).into_values());
        }
        for version in VERSIONS {
            assert!(versions.contains(&version.into()), "point {point}: {version:?} is lost");
        }
        let mut wanted = self.truth.clone();
        here.remove("Both");
        wanted.remove("Both");
        assert!(here == wanted, "point {point}, here:\n{}", difference(&here, &wanted));
    }
}

#[test]
fn killed_before_and_after_every_commit_it_loses_and_doubles_nothing() {
    let start = Instant::now();
    let points: Vec<u64> = std::thread::scope(|scope| {
        let run = |thread| {
            move || {
                let mut point = 1 + thread;
                while Run::new().dies_at(point) {
                    point += THREADS;
                }
                point
            }
        };
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(run(thread))).collect();
        threads.into_iter().map(|thread| thread.join().expect("it holds")).collect()
    });
    let survived = points.iter().min().expect("points");
    println!("{} points, {:?}", survived - 1, start.elapsed());
    assert!(*survived > 40, "only {survived} points: do builds for tests die on order?");
}
