//! Many at once: who wants what does not come delays nobody else.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gistfs::demo::{Fault, FaultKind};

use crate::world::{WITHOUT_GIT, World, wait_until};

mod felt;

use self::felt::{Crowd, Work};

/// Long on any machine, and less than a body that hangs is waited for.
const LONG: Duration = Duration::from_secs(3);

/// Hangs whatever is asked of the bodies of this gist.
fn hang(world: &World, id: &str) {
    world.server.inject(Fault {
        path: id.into(),
        times: 1_000_000,
        ..Fault::once(FaultKind::Hang)
    });
}

/// A mount of `count` gists of three files, which are stored, and of one more, `Hung`, of so many
/// files that do not come. Nothing is in memory or known to the kernel. Tells the hung files.
fn crowded(count: usize, hung: usize) -> (World, Vec<PathBuf>) {
    let mut world = World::empty();
    for number in 0..count {
        let text = format!("of gist {number}\n").repeat(100);
        let files = [("a.txt", text.as_str()), ("b.md", &text[1..]), ("c.sh", &text[2..])];
        world.seed(&format!("G{number}"), &files);
    }
    let names: Vec<String> = (0..hung).map(|number| format!("{number}.txt")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (&**name, &**name)).collect();
    let id = world.seed("Hung", &files);
    // What is not to come must not be fetched ahead of the `cat`.
    world.mount(&[&WITHOUT_GIT[..], &["--parallel", "1"]].concat());
    world.sh("cat G*/* > $W/all");
    world.mount_again(&WITHOUT_GIT);
    hang(&world, &id);
    let paths = names.iter().map(|name| world.path("Hung").join(name)).collect();
    (world, paths)
}

#[test]
fn a_crowd_that_reads_and_writes_feels_nothing_of_a_body_that_hangs() {
    let (mut world, hung) = crowded(12, 2);
    let time = Duration::from_secs(6);
    let crowd = Crowd { readers: 32, writers: 8, hung, time };
    let table = crowd.run(&world.point()).expect("the crowd comes and goes");
    println!("{table}");
    assert_eq!(table.errors, Vec::<String>::new());
    for row in &table.rows {
        let waits = row.work == Work::Hung;
        // 40 threads on few cores wait for each other's turn, but for nothing that long.
        assert!(waits || row.max < LONG, "{:?} took {:?}\n{table}", row.work, row.max);
    }
    let hung = table.rows.iter().find(|row| row.work == Work::Hung).expect("somebody waits");
    assert!(hung.max > LONG, "nothing hung, {:?}", hung.max);
    world.server.clear_faults();
    world.saved();
}

#[test]
fn one_body_that_does_not_come_says_nothing_of_the_others() {
    let mut world = World::empty();
    let id = world.seed("Hung", &[("a.txt", "of the first\n"), ("b.txt", "of the other\n")]);
    for name in ["One", "Two"] {
        world.seed(name, &[("a.txt", name)]);
    }
    world.mount(&WITHOUT_GIT);
    hang(&world, &id);
    let silence = |name: &str| std::fs::read(world.path(name)).map_err(|error| error.kind());
    assert_eq!(silence("Hung/a.txt"), Err(ErrorKind::TimedOut));
    assert_eq!(world.read("One/a.txt"), "One", "it is not even asked for");
    // Two of them without anything in between: there may be no network.
    for name in ["Hung/a.txt", "Hung/b.txt"] {
        assert_eq!(silence(name), Err(ErrorKind::TimedOut));
    }
    let start = Instant::now();
    assert_eq!(silence("Two/a.txt"), Err(ErrorKind::TimedOut));
    assert!(start.elapsed() < LONG, "{:?}", start.elapsed());
    wait_until("somebody asks again", || silence("Two/a.txt").is_ok());
}

#[test]
fn three_hundred_who_wait_for_bodies_leave_the_kernel_free_for_others() {
    let (world, hung) = crowded(40, 280);
    let over = AtomicBool::new(false);
    let waiting = || {
        let tasks = format!("/proc/{}/task", world.status()["pid"]);
        let named = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm"));
        let names = std::fs::read_dir(tasks).expect("a process").flatten().flat_map(named);
        names.filter(|name| name.starts_with("gistfs-wait")).count()
    };
    std::thread::scope(|scope| {
        for file in &hung {
            let over = &over;
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    std::fs::read(file).expect_err("it does not come");
                }
            });
        }
        // More than the kernel lets wait unless it is told.
        wait_until("they wait", || waiting() > 256);
        let mut most = 0;
        let mut longest = Duration::ZERO;
        for number in 0..40 {
            most = most.max(waiting());
            let start = Instant::now();
            let read = std::fs::read(world.path(&format!("G{number}/a.txt"))).expect("it reads");
            assert!(!read.is_empty());
            longest = longest.max(start.elapsed());
        }
        over.store(true, Ordering::Relaxed);
        println!("{most} waited at most; another file took {longest:?} at most");
        assert!(longest < LONG, "{longest:?}");
    });
}

#[test]
fn a_large_write_comes_by_the_kernel_s_maximum() {
    let mut world = World::empty();
    world.verbosity = &["-vv"];
    world.mount(&WITHOUT_GIT);
    world.sh("mkdir New; dd if=/dev/zero of=New/x bs=16M count=1 status=none");
    let writes = || {
        let log = world.log();
        let sizes = log.lines().filter_map(|line| line.split_once("write ")?.1.split(' ').nth(1));
        sizes.filter_map(|size| Some(size.split_once('@')?.0.to_owned())).collect::<Vec<_>>()
    };
    wait_until("the last write is logged", || writes().len() >= 16);
    assert_eq!(writes(), vec!["1048576"; 16]);
}
