//! How a mount ends, and that nothing written is lost then.

use gistfs::demo::{Fault, FaultKind};
use nix::sys::signal::Signal;

use crate::mounted::{is_mounted, wait_unmounted};
use crate::world::{World, said, wait_until};

/// A mount that sends nothing by itself for as long as a test takes.
fn slow_notes() -> (World, String) {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "alpha\n"), ("b.txt", "beta\n")]);
    world.mount(&["--write-back", "600"]);
    (world, id)
}

#[test]
fn unmount_sends_what_is_owed() {
    let (mut world, id) = slow_notes();
    world.sh("echo omega > Notes/a.txt; mkdir New; echo n > New/n.txt; rm Notes/b.txt");
    assert_eq!(world.changes().len(), 0);
    world.unmount();
    assert_eq!(
        world.texts(&id).into_iter().collect::<Vec<_>>(),
        [("a.txt".to_owned(), "omega\n".to_owned())]
    );
    assert_eq!(world.changes().len(), 2);
    assert!(!is_mounted(&world.point()));
}

#[test]
fn sigterm_and_sigint_send_what_is_owed_and_unmount() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let (mut world, id) = slow_notes();
        world.sh("echo omega > Notes/a.txt");
        world.mounted().signal(signal);
        let status = world.mounted().ended();
        assert_eq!(status.code(), Some(0), "{signal}");
        assert_eq!(world.texts(&id)["a.txt"], "omega\n", "{signal}");
        assert!(!is_mounted(&world.point()), "{signal}");
    }
}

#[test]
fn fusermount_ends_the_process_and_it_sends_what_is_owed() {
    let (mut world, id) = slow_notes();
    world.sh("echo omega > Notes/a.txt");
    let out = world.program("fusermount3").arg("-u").arg(world.point()).output().expect("it runs");
    assert!(out.status.success(), "{}", said(&out));
    assert_eq!(world.mounted().ended().code(), Some(0));
    assert_eq!(world.texts(&id)["a.txt"], "omega\n");
}

#[test]
fn a_killed_mount_is_taken_over_and_what_it_owed_is_sent_then() {
    let (mut world, id) = slow_notes();
    world.sh(
        "echo omega > Notes/a.txt; mkdir New; echo n > New/n.txt; sed -i s/beta/gamma/ Notes/b.txt",
    );
    world.crash();
    assert!(is_mounted(&world.point()), "a dead mount stays where it is");
    let dead = std::fs::read_dir(world.path("Notes/sub"));
    assert!(dead.is_err(), "nobody answers there");
    assert_eq!(world.changes().len(), 0);
    world.mount(&[]);
    assert_eq!(world.read("Notes/a.txt"), "omega\n");
    world.saved();
    world.same_on_both_sides(&id, "Notes");
    let methods: Vec<String> = world.changes().into_iter().map(|r| r.method).collect();
    assert_eq!(methods.len(), 2, "{methods:?}");
    assert_eq!(world.texts(&id)["b.txt"], "gamma\n");
}

#[test]
fn a_file_still_open_when_the_mount_is_killed_keeps_what_was_synced() {
    let (mut world, id) = slow_notes();
    let mut file = std::fs::File::create(world.path("Notes/a.txt")).expect("it opens");
    std::io::Write::write_all(&mut file, b"synced\n").expect("it writes");
    file.sync_all().expect("it syncs");
    world.crash();
    drop(file);
    world.mount(&[]);
    world.saved();
    assert_eq!(world.texts(&id)["a.txt"], "synced\n");
}

#[test]
fn a_mount_that_is_in_use_stays_and_says_so() {
    let (mut world, id) = slow_notes();
    world.sh("echo omega > Notes/a.txt");
    let open = std::fs::File::open(world.path("Notes/b.txt")).expect("it opens");
    let out = world.gistfs(&["unmount"]).arg(world.point()).output().expect("gistfs runs");
    assert_eq!(out.status.code(), Some(3), "{}", said(&out));
    assert!(said(&out).contains("is in use"), "{}", said(&out));
    assert_eq!(world.texts(&id)["a.txt"], "omega\n", "what is owed was sent all the same");
    assert_eq!(world.read("Notes/b.txt"), "beta\n", "it goes on");
    drop(open);
    world.unmount();
}

#[test]
fn what_cannot_be_sent_at_the_end_is_named_and_goes_with_the_next_mount() {
    let (mut world, id) = slow_notes();
    world.sh("echo omega > Notes/a.txt");
    let refused = FaultKind::Status { status: 503, headers: vec![], body: String::new() };
    world.server.inject(Fault { times: 1000, ..Fault::once(refused) });
    let out =
        world.gistfs(&["unmount", "--timeout", "1"]).arg(world.point()).output().expect("it runs");
    assert!(said(&out).contains("Notes") && said(&out).contains("kept here"), "{}", said(&out));
    world.mounted().ended();
    wait_unmounted(&world.point());
    world.server.clear_faults();
    world.forget_mount();
    assert_eq!(world.texts(&id)["a.txt"], "alpha\n");
    world.mount(&[]);
    world.saved();
    assert_eq!(world.texts(&id)["a.txt"], "omega\n");
}

#[test]
fn a_mount_ends_soon_though_the_network_hangs() {
    let (mut world, _) = slow_notes();
    world.sh("echo omega > Notes/a.txt");
    world.server.inject(Fault { times: 1000, ..Fault::once(FaultKind::Hang) });
    let start = std::time::Instant::now();
    let out =
        world.gistfs(&["unmount", "--timeout", "1"]).arg(world.point()).output().expect("it runs");
    wait_until("it is gone", || !is_mounted(&world.point()));
    world.mounted().ended();
    assert!(start.elapsed().as_secs() < 20, "{:?} {}", start.elapsed(), said(&out));
    world.forget_mount();
    world.server.clear_faults();
    world.mount(&[]);
    world.saved();
    assert_eq!(world.changes().len(), 1);
}

#[test]
fn unmount_hears_of_the_end_every_time_and_the_next_mount_can_begin() {
    let mut world = World::empty();
    world.seed("Notes", &[("a.txt", "alpha\n")]);
    for round in 0..12 {
        world.mount(&["--write-back", "600"]);
        world.sh(&format!("echo {round} > Notes/a.txt"));
        // Without waiting for the process: the command's end says that it is over.
        let out = world.gistfs(&["unmount"]).arg(world.point()).output().expect("gistfs runs");
        assert!(out.status.success() && out.stdout.is_empty(), "{}", said(&out));
        assert!(!is_mounted(&world.point()));
        world.forget_mount();
    }
    assert_eq!(world.changes().len(), 12);
}

#[test]
fn killed_again_and_again_it_loses_and_doubles_nothing() {
    let mut world = World::empty();
    let id = world.seed("Notes", &[("a.txt", "start\n")]);
    for round in 0..10_u64 {
        world.mount(&["--write-back", "0.02"]);
        // Killed before, while and after it sends, and while it starts to.
        world
            .sh(&format!("echo {round} >> Notes/a.txt; mkdir G{round}; echo {round} > G{round}/f"));
        let sent = world.changes().len();
        let enough = std::time::Instant::now() + std::time::Duration::from_millis(round * 11);
        wait_until("it is time", || {
            std::time::Instant::now() > enough || world.changes().len() > sent + 1
        });
        world.crash();
    }
    world.mount(&[]);
    world.saved();
    assert_eq!(world.texts(&id)["a.txt"], "start\n0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n");
    assert_eq!(world.read("Notes/a.txt"), world.texts(&id)["a.txt"]);
    let mut expected: Vec<String> = (0..10).map(|round| format!("G{round}")).collect();
    expected.extend(["Notes".to_owned(), "canary 1".to_owned()]);
    expected.sort();
    assert_eq!(world.list(""), expected);
    // As GitHub has it, seen with no memory of ours.
    world.unmount();
    std::fs::remove_dir_all(world.state()).expect("the state goes");
    world.mount(&[]);
    assert_eq!(world.list(""), expected, "no gist is there twice, none is missing");
}

/// It may be written to yet, so nobody takes the state away from it.
#[test]
fn a_detached_mount_with_an_open_file_keeps_the_state_and_the_next_one_says_what_to_do() {
    let (mut world, _) = World::notes(&[("a.txt", "alpha\n")]);
    let file = std::fs::File::open(world.path("Notes/a.txt")).expect("it opens");
    let detach = world.program("fusermount3").arg("-uz").arg(world.point()).output();
    assert!(detach.as_ref().is_ok_and(|out| out.status.success()), "{detach:?}");
    let out = world.mount_command(&[]).output().expect("gistfs runs");
    assert_eq!(out.status.code(), Some(7), "{}", said(&out));
    assert!(said(&out).contains("a program has a file of it open"), "{}", said(&out));
    let out = world.gistfs(&["status", "--json"]).output().expect("gistfs runs");
    let pid = format!("\"pid\": {}", world.mounted().pid());
    assert!(said(&out).contains(&pid), "{}", said(&out));
    drop(file);
    world.remount(&[]);
    assert_eq!(world.read("Notes/a.txt"), "alpha\n");
}
