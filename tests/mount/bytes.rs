//! The right bytes through the mount, however they are read and written.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use crate::world::{WITHOUT_GIT, World, wait_until};

/// Text that differs everywhere, in whole lines.
fn text(bytes: usize, seed: usize) -> String {
    let mut text = String::with_capacity(bytes + 32);
    let mut line = seed;
    while text.len() < bytes {
        text.push_str(&format!("{line:08x} {}\n", "x".repeat(line % 40)));
        line = line.wrapping_mul(1_103_515_245).wrapping_add(12345);
    }
    text.truncate(bytes.saturating_sub(1));
    text.push('\n');
    text
}

fn open(world: &World, name: &str) -> File {
    let mut options = OpenOptions::new();
    options.read(true).write(true).open(world.path(name)).expect("it opens")
}

#[test]
fn a_mapped_write_arrives() {
    let (mut world, id) = World::notes(&[("a.txt", "alpha\nbeta\n")]);
    world.sh("python3 - <<'END'
import mmap
with open('Notes/a.txt', 'r+b') as f:
    m = mmap.mmap(f.fileno(), 0)
m[0:5] = b'OMEGA'
m.close()
END");
    wait_until("it arrives", || world.texts(&id)["a.txt"] == "OMEGA\nbeta\n");
    world.saved_as(&id, &serde_json::json!({"a.txt": {"content": "OMEGA\nbeta\n"}}));
    world.same_on_both_sides(&id, "Notes");
}

#[test]
fn writes_at_random_places_and_holes_read_back_and_arrive() {
    let (mut world, id) = World::notes_without_git(&[("a.txt", "alpha\n")]);
    let mut expected = b"alpha\n".to_vec();
    let file = open(&world, "Notes/a.txt");
    let mut place = 7_usize;
    for round in 0..400 {
        place = place.wrapping_mul(1_103_515_245).wrapping_add(12345) % 90_000;
        let piece = text(1 + round * 13 % 5000, round);
        file.write_all_at(piece.as_bytes(), place as u64).expect("it writes");
        expected.resize(expected.len().max(place + piece.len()), 0);
        expected[place..place + piece.len()].copy_from_slice(piece.as_bytes());
    }
    file.set_len(80_000).expect("it is cut");
    expected.truncate(80_000);
    drop(file);
    assert!(std::fs::read(world.path("Notes/a.txt")).expect("it reads") == expected);
    world.sh("truncate -s 80010 Notes/a.txt");
    expected.resize(80_010, 0);
    assert!(std::fs::read(world.path("Notes/a.txt")).expect("it reads") == expected);
    assert_eq!(std::fs::metadata(world.path("Notes/a.txt")).expect("it is there").len(), 80_010);
    // GitHub's API carries no NUL, so all this is still here only.
    world.canary();
    assert_eq!(world.changes().len(), 0);
    let owing = world.status()["owing"].as_array().expect("a list").clone();
    let notes = owing.iter().find(|gist| gist["title"] == "Notes").expect("it is owed");
    assert!(notes["state"].as_str().is_some_and(|state| state.starts_with("local:")), "{notes}");
    world.sh("tr '\\0' . < Notes/a.txt > $W/x; cp $W/x Notes/a.txt");
    expected.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = b'.');
    world.saved();
    assert!(world.server.files(&id).expect("the gist")["a.txt"] == expected);
    assert_eq!(world.changes().len(), 1);
}

#[test]
fn a_large_text_is_written_read_and_sent_whole() {
    let (mut world, id) = World::notes(&[("a.txt", "alpha\n")]);
    let large = text(3_000_000, 1);
    world.write("Notes/large.txt", &large);
    assert!(world.read("Notes/large.txt") == large);
    world.saved();
    assert!(world.texts(&id)["large.txt"] == large);
    assert_eq!(world.changes().len(), 1);
}

#[test]
fn an_unlinked_file_goes_on_for_whoever_has_it_open() {
    let (mut world, id) = World::notes(&[("a.txt", "alpha\n"), ("b.txt", "beta\n")]);
    let mut file = open(&world, "Notes/a.txt");
    world.sh("rm Notes/a.txt");
    let mut read = String::new();
    file.read_to_string(&mut read).expect("it reads");
    assert_eq!(read, "alpha\n");
    file.write_all(b"more\n").expect("it writes");
    file.seek(SeekFrom::Start(0)).expect("it seeks");
    read.clear();
    file.read_to_string(&mut read).expect("it reads");
    assert_eq!(read, "alpha\nmore\n");
    let data = file.metadata().expect("it is stat'ed");
    assert_eq!((data.nlink(), data.len()), (0, 11));
    world.sh("echo another > Notes/a.txt");
    file.write_all(b"lost\n").expect("it writes");
    drop(file);
    assert_eq!(world.read("Notes/a.txt"), "another\n");
    world.saved_as(&id, &serde_json::json!({"a.txt": {"content": "another\n"}}));
}

#[test]
fn an_unlinked_file_whose_body_never_came_still_reads() {
    let (mut world, id) = World::notes(&[("a.txt", "alpha\n"), ("b.txt", "beta\n")]);
    let mut file = open(&world, "Notes/a.txt");
    world.sh("rm Notes/a.txt");
    world.saved();
    assert_eq!(world.server.files(&id).expect("the gist").len(), 1);
    let mut read = String::new();
    file.read_to_string(&mut read).expect("its body is still in the gist's past");
    assert_eq!(read, "alpha\n");
}

#[test]
fn a_file_that_is_replaced_while_open_is_the_old_one_for_who_opened_it() {
    let (mut world, id) = World::notes(&[("a.txt", "alpha\n"), ("b.txt", "beta\n")]);
    let mut old = open(&world, "Notes/a.txt");
    world.sh("printf 'fresh\\n' > $W/new; cp $W/new Notes/.a.txt.Xx12Yy; mv -f Notes/.a.txt.Xx12Yy Notes/a.txt");
    let mut read = String::new();
    old.read_to_string(&mut read).expect("it reads");
    assert_eq!(read, "alpha\n");
    old.write_all(b"nobody's\n").expect("it writes");
    drop(old);
    assert_eq!(world.read("Notes/a.txt"), "fresh\n");
    world.saved_as(&id, &serde_json::json!({"a.txt": {"content": "fresh\n"}}));
}

#[test]
fn two_handles_of_one_file_see_each_other_s_writes() {
    let (mut world, id) = World::notes(&[("a.txt", "alpha\nbeta\n")]);
    let (one, two) = (open(&world, "Notes/a.txt"), open(&world, "Notes/a.txt"));
    one.write_all_at(b"ALPHA", 0).expect("it writes");
    let mut seen = [0; 10];
    two.read_exact_at(&mut seen, 0).expect("it reads");
    assert_eq!(&seen, b"ALPHA\nbeta");
    two.write_all_at(b"BETA", 6).expect("it writes");
    drop(two);
    one.read_exact_at(&mut seen, 0).expect("it reads");
    assert_eq!(&seen, b"ALPHA\nBETA");
    one.set_len(6).expect("it is cut");
    drop(one);
    world.saved_as(&id, &serde_json::json!({"a.txt": {"content": "ALPHA\n"}}));
}

#[test]
fn appending_from_many_processes_loses_no_line() {
    let (mut world, id) = World::notes(&[("a.txt", "start\n")]);
    world.sh(
        "for p in 1 2 3 4 5 6; do (for i in {1..20}; do echo $p-$i >> Notes/a.txt; done) & done; wait",
    );
    let text = world.read("Notes/a.txt");
    assert_eq!(text.lines().count(), 121, "{text}");
    world.saved();
    assert_eq!(world.texts(&id)["a.txt"], text);
}

#[test]
fn thirty_two_threads_read_and_write_their_own_and_each_other_s_bytes() {
    let mut world = World::empty();
    let files: Vec<(String, String)> =
        (0..8).map(|n| (format!("f{n}.txt"), text(20_000, n))).collect();
    let seeds: Vec<(&str, &str)> =
        files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let gists: Vec<String> = (0..4).map(|n| world.seed(&format!("G{n}"), &seeds)).collect();
    world.mount(&[]);
    let shared = &world;
    std::thread::scope(|scope| {
        for thread in 0..32 {
            scope.spawn(move || {
                let own = format!("G{}/own{thread}.txt", thread % 4);
                for round in 0..20 {
                    // Nobody writes the seeded files, so everybody must read them as they are.
                    let (gist, file) = ((thread + round) % 4, (thread * 3 + round) % 8);
                    let read = shared.read(&format!("G{gist}/f{file}.txt"));
                    assert!(read == text(20_000, file), "G{gist}/f{file}.txt is not its text");
                    let mine = text(100 + thread * 301 + round * 97, thread);
                    shared.write(&own, &mine);
                    assert!(shared.read(&own) == mine, "{own} is not what was written");
                    if round % 5 == 4 {
                        let moved = format!("G{}/moved{thread}.txt", thread % 4);
                        std::fs::rename(shared.path(&own), shared.path(&moved)).expect("a rename");
                        assert!(shared.read(&moved) == mine);
                        std::fs::rename(shared.path(&moved), shared.path(&own)).expect("a rename");
                    }
                }
            });
        }
    });
    world.saved();
    for (number, id) in gists.iter().enumerate() {
        assert_eq!(world.server.files(id).expect("the gist").len(), 16);
        world.same_on_both_sides(id, &format!("G{number}"));
    }
    assert_eq!(world.fetches(), 8, "bodies alike are one body");
}

#[test]
fn rsync_twice_transfers_nothing_the_second_time() {
    let (mut world, id) = World::notes(&[("a.txt", "alpha\n")]);
    world.sh("mkdir $W/src; for i in {1..9}; do echo text $i > $W/src/f$i.txt; done");
    world.sh("rsync -a $W/src/ Notes/");
    world.saved();
    assert_eq!(world.changes().len(), 1);
    let itemized = world.sh("rsync -a --itemize-changes $W/src/ Notes/");
    assert_eq!(itemized, "");
    let itemized = world.sh("rsync -a --checksum --itemize-changes $W/src/ Notes/");
    assert_eq!(itemized, "");
    world.saved();
    assert_eq!(world.changes().len(), 1);
    assert_eq!(world.server.commits(&id).len(), 2);
    world.unmount();
    world.mount(&[]);
    let itemized = world.sh("rsync -a --itemize-changes $W/src/ Notes/");
    assert_eq!(itemized, "", "a remount forgets no time");
    world.sh("rsync -a --delete $W/src/ Notes/");
    world.saved();
    assert_eq!(world.server.files(&id).expect("the gist").len(), 9);
}

#[test]
fn archives_go_in_and_out_with_the_same_bytes() {
    let (mut world, _) = World::notes(&[("a.txt", "alpha\n")]);
    world.sh(
        "mkdir $W/src; for i in {1..9}; do seq $i 1000 > $W/src/f$i.txt; done
         mkdir Tarred Zipped
         tar c -C $W/src . | tar x -C Tarred --no-same-owner
         (cd $W/src && zip -q ../a.zip *) && unzip -q $W/a.zip -d Zipped && unzip -q -o $W/a.zip -d Zipped
         diff -r $W/src Tarred && diff -r $W/src Zipped",
    );
    world.saved();
    assert_eq!(world.changes().len(), 2);
    world.sh("mkdir $W/t $W/z
         tar c Tarred | tar x -C $W/t
         (zip -q -r $W/b.zip Zipped) && unzip -q $W/b.zip -d $W/z
         diff -r $W/src $W/t/Tarred && diff -r $W/src $W/z/Zipped");
}

#[test]
fn a_database_in_a_gist_works_and_stays_here_without_git() {
    let (mut world, id) = World::notes_without_git(&[("a.txt", "alpha\n")]);
    let made =
        "sqlite3 Notes/t.db 'create table t(x); insert into t values(1); insert into t values(2)'";
    world.sh(made);
    assert_eq!(world.sh("sqlite3 Notes/t.db 'select sum(x) from t'"), "3\n");
    world.canary();
    assert_eq!(world.changes().len(), 0, "it is binary: REST cannot carry it");
    world.mount_again(&WITHOUT_GIT);
    assert_eq!(world.sh("sqlite3 Notes/t.db 'select sum(x) from t'"), "3\n");
    world.mount_again(&[]);
    world.saved();
    let database = world.work().join("t.db");
    let files = world.server.files(&id).expect("the gist");
    std::fs::write(&database, &files["t.db"]).expect("it is written");
    assert_eq!(world.sh("sqlite3 $W/t.db 'select sum(x) from t'"), "3\n");
}
