//! Large files: read while they arrive, never half, never wrong to the end, never left behind.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::time::Instant;

use gistfs::demo::{Fault, FaultKind, Origin, Seed, ServerOptions};

use crate::proxy::Network;
use crate::world::{WITHOUT_GIT, World, wait_until};

/// Below the 10 MiB to which raw addresses serve bodies.
const NINE: usize = 9 << 20;

/// Bytes that cannot be compressed, in lines.
fn body(bytes: usize, seed: u32) -> Vec<u8> {
    let mut word = seed;
    let mut letter = |at: usize| {
        word = word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if at % 80 == 79 { b'\n' } else { b'!' + (word >> 24) as u8 % 94 }
    };
    (0..bytes).map(&mut letter).collect()
}

/// A gist with the file `large`, and its id.
fn seed(world: &World, body: &[u8]) -> String {
    let files = [("large".to_owned(), body.to_vec()), ("a.txt".to_owned(), b"alpha\n".to_vec())];
    world.server.seed("octo", Seed { files: files.into(), ..Seed::new("Notes", &[]) })
}

/// A mount of that, of which 3 MB arrive and the rest when it is let go.
fn held(body: &[u8]) -> (World, Network, String) {
    let (mut world, network) = World::behind_a_network(ServerOptions::default());
    let id = seed(&world, body);
    world.mount(&["--refresh", "0.3"]);
    network.raw.holds(Some(3 << 20));
    (world, network, id)
}

fn open(world: &World) -> File {
    File::open(world.path("Notes/large")).expect("it opens")
}

#[track_caller]
fn reads(file: &File, body: &[u8], offset: usize, size: usize) {
    let mut piece = vec![0; size];
    file.read_exact_at(&mut piece, offset as u64).expect("it reads");
    assert!(piece == body[offset..offset + size], "{size} bytes at {offset}");
}

/// The directory in which files lie as long as they are not whole.
fn unfinished(world: &World) -> Vec<PathBuf> {
    let script = format!("find {} -path '*/work/*' -type f", world.state().display());
    let out = std::process::Command::new("bash").args(["-c", &script]).output().expect("bash");
    String::from_utf8(out.stdout).expect("text").lines().map(PathBuf::from).collect()
}

#[test]
fn the_first_bytes_of_a_large_file_need_a_fraction_of_the_time_of_all() {
    let mut world = World::open(ServerOptions::default());
    let body = body(NINE, 1);
    // A machine that does something else just then is given another try.
    let tries: Vec<(String, Vec<u8>)> =
        (0..4_u8).map(|n| (format!("large-{n}"), [&body[..], &[b'0' + n]].concat())).collect();
    world.server.seed("octo", Seed { files: tries.clone(), ..Seed::new("Notes", &[]) });
    world.mount(&[]);
    world.server.with_switches(|switches| switches.speed = Some(5_000_000));
    let timed = |(name, body): &(String, Vec<u8>)| -> io::Result<bool> {
        let start = Instant::now();
        let mut file = File::open(world.path(&format!("Notes/{name}")))?;
        let mut all = vec![0; 4096];
        file.read_exact(&mut all)?;
        let first = start.elapsed();
        file.read_to_end(&mut all)?;
        let whole = start.elapsed();
        println!("the first 4 KB after {first:.2?}, all after {whole:.2?}");
        assert!(all == *body);
        // It is served at that speed.
        assert!(whole.as_millis() > 1500, "{whole:?}");
        Ok(first < whole / 5)
    };
    let read = |of: &(String, Vec<u8>)| match timed(of) {
        Ok(good) => good,
        Err(error) => {
            // A machine so busy that nothing of the body came for seconds.
            println!("{}: {error}", of.0);
            wait_until("bodies come", || {
                std::fs::read(world.path(&format!("Notes/{}", of.0))).is_ok()
            });
            false
        }
    };
    assert!(tries.iter().any(read));
}

#[test]
fn readers_at_all_offsets_share_one_request_and_the_end_waits_for_its_bytes() {
    let body = body(NINE, 2);
    let (world, network, _) = held(&body);
    let file = open(&world);
    reads(&file, &body, 0, 4096);
    for offset in [1 << 20, 2_500_000, 77] {
        reads(&open(&world), &body, offset, 100_000);
    }
    assert!(!unfinished(&world).is_empty());
    std::thread::scope(|scope| {
        for offset in [NINE - 10, NINE / 2, NINE - 1_000_000] {
            let (world, body) = (&world, &body);
            scope.spawn(move || {
                let mut file = open(world);
                file.seek(SeekFrom::Start(offset as u64)).expect("it seeks");
                let mut rest = Vec::new();
                file.read_to_end(&mut rest).expect("it reads");
                assert!(rest == body[offset..], "from {offset}");
            });
        }
        network.raw.holds(None);
    });
    assert!(std::fs::read(world.path("Notes/large")).expect("it reads") == body);
    assert_eq!(world.fetches(), 1);
    assert!(unfinished(&world).is_empty());
}

#[test]
fn who_writes_to_a_file_that_arrives_waits_for_it_and_changes_no_byte_of_another() {
    let mut body = body(NINE, 3);
    let (mut world, network, id) = held(&body);
    let reader = open(&world);
    reads(&reader, &body, 0, 4096);
    let path = world.path("Notes/large");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let file = File::options().write(true).open(&path).expect("it opens");
            file.write_all_at(b"changed", 5_000_000).expect("it writes");
        });
        reads(&reader, &body, 1_000_000, 4096);
        network.raw.holds(None);
        writer.join().expect("it wrote");
    });
    body[5_000_000..5_000_007].copy_from_slice(b"changed");
    assert!(std::fs::read(&path).expect("it reads") == body);
    let mut file = File::options().append(true).open(&path).expect("it opens");
    file.write_all(b"more\n").expect("it writes");
    drop(file);
    body.extend_from_slice(b"more\n");
    assert!(std::fs::read(&path).expect("it reads") == body);
    assert_eq!(world.fetches(), 1);
    // What becomes of it is not of interest here: it is too large for the API.
    drop(reader);
    world.sh("rm Notes/large");
    world.saved();
    assert_eq!(world.server.files(&id).expect("the gist").len(), 1);
}

#[test]
fn a_file_replaced_on_github_while_it_arrives_stays_what_was_opened() {
    let (old, new) = (body(NINE, 4), body(NINE - 5, 5));
    let (world, network, id) = held(&old);
    let mut file = open(&world);
    reads(&file, &old, 0, 4096);
    world.server.commit(&id, &[("large", Some(&new))]);
    let size = || std::fs::metadata(world.path("Notes/large")).expect("it is there").len();
    wait_until("the new one shows", || size() == new.len() as u64);
    reads(&open(&world), &new, 0, 4096);
    network.raw.holds(None);
    let mut read = Vec::new();
    file.read_to_end(&mut read).expect("it reads");
    assert!(read == old);
    assert!(std::fs::read(world.path("Notes/large")).expect("it reads") == new);
    assert_eq!(world.fetches(), 2);
}

#[test]
fn a_wrong_body_ends_with_an_error_and_nobody_goes_on_with_what_was_read_of_it() {
    assert_eq!(fetches_after_a_wrong_body(&[]), 1, "git is asked in place of who gave it");
}

#[test]
fn a_wrong_body_is_asked_for_again_where_there_is_no_git() {
    assert_eq!(fetches_after_a_wrong_body(&WITHOUT_GIT), 2);
}

/// Reads a file whose raw address gives another body once, then again. Tells how often that was asked.
#[track_caller]
fn fetches_after_a_wrong_body(options: &[&str]) -> usize {
    let body = body(NINE, 6);
    let (world, network) = held_and_wrong(&body, options);
    let mut file = open(&world);
    // Who was given nothing of it yet would be given the next that comes.
    reads_wrong(&file, &body);
    network.raw.holds(None);
    let mut got = Vec::new();
    let error = file.read_to_end(&mut got).expect_err("it comes to the end of it");
    assert_eq!(error.raw_os_error(), Some(nix::libc::EIO));
    assert!(got.len() <= NINE - (128 << 10), "{} bytes of it were read", got.len());
    drop(file);
    assert!(unfinished(&world).is_empty());
    reads_anew(&world, &body);
    world.fetches()
}

/// Waits until the file is not that which somebody had open any more: the kernel tells of the last
/// `close` a moment later. Then nobody has kept anything of the wrong body.
#[track_caller]
fn reads_anew(world: &World, body: &[u8]) {
    let mut read = vec![];
    wait_until("it can be read", || match std::fs::read(world.path("Notes/large")) {
        Ok(bytes) => {
            read = bytes;
            true
        }
        Err(_) => false,
    });
    assert!(read == body);
}

/// A mount to whose file another body comes, of which 3 MB are here and the rest when it is let go.
fn held_and_wrong(body: &[u8], options: &[&str]) -> (World, Network) {
    let (mut world, network) = World::behind_a_network(ServerOptions::default());
    seed(&world, body);
    world.mount(options);
    let wrong = Fault { origin: Some(Origin::Raw), ..Fault::once(FaultKind::WrongBody) };
    world.server.inject(wrong);
    network.raw.holds(Some(3 << 20));
    (world, network)
}

#[track_caller]
fn reads_wrong(file: &File, body: &[u8]) {
    let mut piece = [0; 4096];
    file.read_exact_at(&mut piece, 0).expect("it reads");
    assert!(piece != body[..4096], "nobody knows yet that it is wrong");
}

/// Lets the rest of a wrong body come, and waits until it is found out.
fn is_found_out(world: &World, network: &Network) {
    network.raw.holds(None);
    wait_until("it is found out", || unfinished(world).is_empty());
}

#[test]
fn what_was_read_of_a_wrong_body_and_changed_is_not_written_over_the_right_one() {
    let body = body(NINE, 11);
    let (world, network) = held_and_wrong(&body, &WITHOUT_GIT);
    let path = world.path("Notes/large");
    let file = File::options().read(true).write(true).open(&path).expect("it opens");
    reads_wrong(&file, &body);
    is_found_out(&world, &network);
    // As the kernel does with a page that somebody has mapped.
    let eio = |result: std::io::Result<()>| {
        assert_eq!(result.expect_err("it succeeds").raw_os_error(), Some(nix::libc::EIO));
    };
    eio(file.write_all_at(b"changed", 100));
    eio(file.set_len(5000));
    drop(file);
    reads_anew(&world, &body);
    assert_eq!(world.fetches(), 2);
}

#[test]
fn what_an_earlier_reader_left_of_a_wrong_body_takes_nobody_to_its_end() {
    let body = body(NINE, 12);
    let (world, network) = held_and_wrong(&body, &WITHOUT_GIT);
    let first = open(&world);
    reads_wrong(&first, &body);
    drop(first);
    let mut second = open(&world);
    reads_wrong(&second, &body);
    is_found_out(&world, &network);
    let mut rest = Vec::new();
    second.seek(SeekFrom::Start(4096)).expect("it seeks");
    let error = second.read_to_end(&mut rest).expect_err("it comes to the end of it");
    assert_eq!(error.raw_os_error(), Some(nix::libc::EIO));
    drop(second);
    reads_anew(&world, &body);
}

/// GitHub's answers have a megabyte of contents: what comes behind that by name is blank in them.
#[test]
fn a_small_file_behind_a_large_one_is_never_taken_for_empty() {
    let mut world = World::open(ServerOptions::default());
    let large = body(2 << 20, 10);
    let files = [("a".to_owned(), large.clone()), ("z.txt".to_owned(), b"zeta\n".to_vec())];
    let id = world.server.seed("octo", Seed { files: files.into(), ..Seed::new("Notes", &[]) });
    world.mount(&[]);
    world.write("Notes/b.txt", "beta\n");
    world.saved();
    world.sh("mv Notes/z.txt Notes/y.txt");
    world.saved();
    for _ in 0..2 {
        assert_eq!(world.read("Notes/y.txt"), "zeta\n");
        assert!(std::fs::read(world.path("Notes/a")).expect("it reads") == large);
        world.same_on_both_sides(&id, "Notes");
        world.unmount();
        std::fs::remove_dir_all(world.state()).expect("the state");
        world.mount(&[]);
    }
    world.write("Notes/y.txt", "eta\n");
    world.saved();
    assert!(world.server.files(&id).expect("the gist")["a"] == large);
    assert_eq!(
        (world.texts(&id)["y.txt"].as_str(), world.read("Notes/b.txt")),
        ("eta\n", "beta\n".into())
    );
}

#[test]
fn a_connection_that_is_cut_costs_no_byte_twice() {
    let mut world = World::open(ServerOptions::default());
    let body = body(NINE, 7);
    seed(&world, &body);
    world.mount(&[]);
    for ranges in [true, false] {
        world.server.with_switches(|switches| switches.ranges = ranges);
        let cut = Fault { origin: Some(Origin::Raw), ..Fault::once(FaultKind::CutShort) };
        world.server.inject(cut);
        world.server.forget_requests();
        assert!(std::fs::read(world.path("Notes/large")).expect("it reads") == body);
        let raw = world.server.requests().into_iter().filter(|r| r.origin == Origin::Raw);
        let asked: Vec<(u16, bool)> =
            raw.map(|r| (r.status, r.header("range").is_some())).collect();
        assert_eq!(asked, [(200, false), (if ranges { 206 } else { 200 }, true)]);
        world.unmount();
        std::fs::remove_dir_all(world.state()).expect("the state");
        world.mount(&[]);
    }
}

#[test]
fn a_mount_ends_while_a_large_file_arrives_and_the_next_one_has_all_of_it() {
    let body = body(NINE, 8);
    let (mut world, network, _) = held(&body);
    reads(&open(&world), &body, 0, 4096);
    world.unmount();
    world.mount(&[]);
    assert!(unfinished(&world).is_empty());
    network.raw.holds(None);
    assert!(std::fs::read(world.path("Notes/large")).expect("it reads") == body);
}

#[test]
fn killed_while_a_large_file_arrives_it_leaves_nothing_of_it() {
    let body = body(NINE, 9);
    let (mut world, network, _) = held(&body);
    reads(&open(&world), &body, 0, 4096);
    assert!(!unfinished(&world).is_empty());
    world.crash();
    world.mount(&[]);
    assert!(unfinished(&world).is_empty());
    network.raw.holds(None);
    assert!(std::fs::read(world.path("Notes/large")).expect("it reads") == body);
}
