//! What the file system answers from memory or disk while the network hangs, without a kernel.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use gistfs::api::github::GitHub;
use gistfs::api::host::Endpoint;
use gistfs::fs::{Clock, Fh, GistFs, NewNode, OpenMode, Options, RenameMode, SetAttr, Wait};
use gistfs::model::{BlobId, FileName, GistId, RemoteFile, Snapshot, Time};
use gistfs::store::Store;
use gistfs::store::gist::Gist;
use gistfs::sync::{Options as SyncOptions, Syncer};
use gistfs::tree::Ino;

const GISTS: i64 = 1000;
const NEW: NewNode = NewNode { mode: 0o600, uid: 7, gid: 7 };
const READ: OpenMode = OpenMode { reads: true, writes: false };
const WRITE: OpenMode = OpenMode { reads: false, writes: true };

/// A file system over a store of gists without bodies, and a host that takes every call and never
/// answers.
struct World {
    fs: Arc<GistFs>,
    store: Arc<Store>,
    _host: TcpListener,
    _state: tempfile::TempDir,
}

fn snapshot(number: i64) -> Snapshot {
    let at = Time((1_600_000_000 + number) * 1_000_000_000);
    let file = |name: &str| {
        let blob = BlobId::of(format!("{number} {name}").as_bytes());
        // Told apart from the API, so that it is asked for on its own.
        let raw_url = format!("http://127.0.0.1:1/{blob}");
        let file = RemoteFile { blob, size: 2048, raw_url, language: None };
        (FileName::parse(name).unwrap(), file)
    };
    Snapshot {
        id: GistId::parse(&format!("{number:032x}")).unwrap(),
        description: format!("gist {number}"),
        public: true,
        owner: Some("octo".into()),
        created_at: at,
        updated_at: at,
        html_url: String::new(),
        git_url: String::new(),
        truncated: false,
        completed: false,
        revision: None,
        etag: None,
        files: BTreeMap::from(["a.txt", "b.md", "c.rs"].map(file)),
    }
}

impl World {
    fn new() -> Self {
        Self::by(Arc::new(Time::now))
    }

    fn by(clock: Clock) -> Self {
        let state = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(state.path(), "here", 1 << 20).unwrap());
        let gists = (0..GISTS).map(|number| {
            let key = store.new_key();
            (key, Some(Gist::of_remote(key, Arc::new(snapshot(number)))))
        });
        store.put_all(gists.collect()).unwrap();
        // Connections wait in its queue for ever.
        let host = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", host.local_addr().unwrap());
        let api = Arc::new(GitHub::new(Endpoint::of_url(&url).unwrap(), None).unwrap());
        let syncer = Arc::new(Syncer::new(Arc::clone(&store), api, SyncOptions::default()));
        let options = Options {
            uid: 7,
            gid: 7,
            umask: 0,
            read_only: None,
            through: false,
            public: false,
            login: None,
            names_by_id: false,
            of_one: false,
            largest: 1 << 20,
            xattr: false,
            show_hidden: false,
        };
        let fs = GistFs::new(syncer, options, clock);
        Self { fs, store, _host: host, _state: state }
    }

    fn ino(&self, parent: Ino, name: &str) -> Ino {
        self.fs.lookup(parent, OsStr::new(name), Wait::No).unwrap().unwrap().ino
    }

    fn close(&self, fh: Fh) {
        self.fs.flush(fh, Wait::No).unwrap();
        self.fs.release(fh, Wait::No).unwrap();
    }

    /// How many transactions the state has seen.
    fn commits(&self) -> u64 {
        self.store.setting("commits").unwrap().map_or(0, |count| count.parse().unwrap())
    }
}

/// Half took no longer than the first, 99 in 100 no longer than the second.
fn told(what: &str, mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort();
    let (half, most) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!("{what}: p50 {half:?}, p99 {most:?}, max {:?}", times[times.len() - 1]);
    (half, most)
}

#[test]
fn metadata_is_answered_from_memory_while_the_network_hangs() {
    let world = World::new();
    let syncer = world.fs.syncer();
    syncer.start().unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for number in 0..32 {
            let (world, over) = (&world, &over);
            scope.spawn(move || {
                let gist = world.ino(Ino::ROOT, &format!("gist {number}"));
                let fh = world.fs.open(world.ino(gist, "a.txt"), READ).unwrap();
                // In vain, again and again: the raw host is not there, and the API does not answer.
                while !over.load(Ordering::Relaxed) {
                    world.fs.read(fh, 0, 4096, Wait::Yes).unwrap_err();
                    std::thread::yield_now();
                }
                world.fs.release(fh, Wait::No).unwrap();
            });
        }
        let [mut getattr, mut lookup, mut readdir] = [const { Vec::new() }; 3];
        for number in 0..10_000 {
            let name = format!("gist {}", number % GISTS);
            let start = Instant::now();
            let gist = world.ino(Ino::ROOT, &name);
            lookup.push(start.elapsed());
            let start = Instant::now();
            world.fs.getattr(gist, Wait::No).unwrap();
            getattr.push(start.elapsed());
            let start = Instant::now();
            let mut seen = 0;
            let count = |_: gistfs::fs::Listed<'_>| {
                seen += 1;
                false
            };
            world.fs.readdir(gist, 0, true, Wait::No, count).unwrap();
            readdir.push(start.elapsed());
            assert_eq!(seen, 5);
        }
        over.store(true, Ordering::Relaxed);
        for (what, times) in [("getattr", getattr), ("lookup", lookup), ("readdir", readdir)] {
            let (_, most) = told(what, times);
            // A millisecond is the aim. This may be a slow build on a machine with much else to do,
            // where 34 threads take turns; whoever waits for the network waits for seconds.
            assert!(most < Duration::from_millis(200), "{what}: {most:?}");
        }
    });
    syncer.stop();
}

#[test]
fn one_close_is_one_transaction_and_takes_no_network() {
    let world = World::new();
    let syncer = world.fs.syncer();
    syncer.start().unwrap();
    let mut times = Vec::new();
    for number in 0..50 {
        let gist = world.ino(Ino::ROOT, &format!("gist {number}"));
        let (_, fh) = world.fs.create(gist, OsStr::new("new.txt"), NEW, WRITE).unwrap();
        let before = world.commits();
        world.fs.write(fh, 0, &[b'x'; 10 << 10], Wait::No).unwrap();
        assert_eq!(world.commits(), before, "a write is no transaction");
        let start = Instant::now();
        world.fs.flush(fh, Wait::No).unwrap();
        times.push(start.elapsed());
        world.fs.release(fh, Wait::No).unwrap();
        assert_eq!(world.commits(), before + 1);
    }
    let (half, _) = told("close", times);
    // 5 ms is the aim; see above.
    assert!(half < Duration::from_millis(100), "{half:?}");
    syncer.stop();
}

#[test]
fn a_file_that_is_cut_as_it_is_opened_is_recorded_once_when_it_is_closed() {
    let world = World::new();
    let file = world.ino(world.ino(Ino::ROOT, "gist 1"), "a.txt");
    let before = world.commits();
    // What `echo x > a.txt` does, but for its early close.
    let fh = world.fs.open(file, WRITE).unwrap();
    let cut = SetAttr { size: Some(0), ..SetAttr::default() };
    let attr = world.fs.setattr(file, &cut, None, Wait::No).unwrap();
    assert_eq!((attr.size, world.commits()), (0, before));
    world.fs.write(fh, 0, b"x\n", Wait::No).unwrap();
    world.close(fh);
    assert_eq!(world.commits(), before + 1);
    // Of a file that nobody has open, cutting is all there is.
    let attr = world.fs.setattr(file, &cut, None, Wait::No).unwrap();
    assert_eq!((attr.size, world.commits()), (0, before + 2));
    // Nothing changed, nothing recorded.
    world.close(world.fs.open(file, WRITE).unwrap());
    assert_eq!(world.commits(), before + 2);
    let kept = world.fs.getattr(file, Wait::No).unwrap();
    assert!(kept.mtime == attr.mtime && kept.ctime == attr.ctime, "{attr:?} {kept:?}");
}

/// Somebody else writes to the database of the state: every commit waits, for ten seconds at most.
fn hold_commits(world: &World) -> rusqlite::Connection {
    let holder = rusqlite::Connection::open(world.store.directory().join("state.db")).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    holder
}

/// What one sees who looks around: lists the root and the directory, looks at all that is in it and
/// opens its files to read.
fn look_around(fs: &GistFs, gist: &str) -> Vec<(String, u64, u32)> {
    fs.readdir(Ino::ROOT, 0, true, Wait::No, |_| false).unwrap();
    let Some(directory) = fs.lookup(Ino::ROOT, OsStr::new(gist), Wait::No).unwrap() else {
        return Vec::new();
    };
    fs.getattr(directory.ino, Wait::No).unwrap();
    let mut names = Vec::new();
    let take = |entry: gistfs::fs::Listed<'_>| {
        names.push(entry.name.to_owned());
        false
    };
    fs.readdir(directory.ino, 0, true, Wait::No, take).unwrap();
    names.retain(|name| !name.starts_with('.'));
    let look = |name: String| {
        let found = fs.lookup(directory.ino, OsStr::new(&name), Wait::No).unwrap().unwrap();
        let attr = fs.getattr(found.ino, Wait::No).unwrap();
        // Whoever lets go of what is being recorded waits for that, and nobody for them.
        if name != "c.rs" {
            fs.release(fs.open(found.ino, READ).unwrap(), Wait::No).unwrap();
        }
        (name, attr.size, attr.mode)
    };
    names.into_iter().map(look).collect()
}

#[test]
fn who_looks_around_waits_for_no_commit_and_sees_what_was_before_it() {
    type Work = fn(&World, Ino) -> Result<(), gistfs::error::Error>;
    let works: [(&str, Work); 7] = [
        ("create", |world, gist| {
            world.fs.create(gist, OsStr::new("new"), NEW, WRITE).map(|(_, fh)| world.close(fh))
        }),
        ("unlink", |world, gist| world.fs.unlink(gist, OsStr::new("a.txt"), Wait::No)),
        ("rename", |world, gist| {
            let (old, new) = (OsStr::new("b.md"), OsStr::new("z.md"));
            world.fs.rename(gist, old, gist, new, RenameMode::Replace, Wait::No)
        }),
        ("rename a gist", |world, _| {
            let (old, new) = (OsStr::new("gist 1"), OsStr::new("other"));
            world.fs.rename(Ino::ROOT, old, Ino::ROOT, new, RenameMode::Replace, Wait::No)
        }),
        ("mkdir", |world, _| world.fs.mkdir(Ino::ROOT, OsStr::new("dir"), NEW).map(drop)),
        ("chmod", |world, gist| {
            let set = SetAttr { mode: Some(0o644), ..SetAttr::default() };
            world.fs.setattr(world.ino(gist, "c.rs"), &set, None, Wait::No).map(drop)
        }),
        ("truncate", |world, gist| {
            let set = SetAttr { size: Some(0), ..SetAttr::default() };
            world.fs.setattr(world.ino(gist, "c.rs"), &set, None, Wait::No).map(drop)
        }),
    ];
    for (what, work) in works {
        let (tell, hear) = mpsc::channel();
        let armed = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&armed);
        let world = World::by(Arc::new(move || {
            // Whoever changes anything looks at the clock first.
            if told.swap(false, Ordering::SeqCst) {
                tell.send(()).unwrap();
            }
            Time::now()
        }));
        let gist = world.ino(Ino::ROOT, "gist 1");
        let before = look_around(&world.fs, "gist 1");
        let commits = world.commits();
        let holder = hold_commits(&world);
        std::thread::scope(|scope| {
            armed.store(true, Ordering::SeqCst);
            let working = scope.spawn(|| work(&world, gist));
            hear.recv().unwrap();
            for _ in 0..100 {
                let mut now = look_around(&world.fs, "gist 1");
                if what == "truncate" {
                    // It is open, and shows what is being written of it.
                    now[2].1 = before[2].1;
                }
                assert_eq!(now, before, "{what}");
            }
            assert!(look_around(&world.fs, "other").is_empty(), "{what}");
            assert!(!working.is_finished(), "{what}: the answer comes before the commit");
            holder.execute_batch("ROLLBACK").unwrap();
            working.join().unwrap().unwrap();
        });
        assert!(world.commits() > commits, "{what}");
    }
}

#[test]
fn what_is_noted_during_a_commit_is_not_lost() {
    let world = World::new();
    let file = world.ino(world.ino(Ino::ROOT, "gist 1"), "a.txt");
    let key = world.store.find(&GistId::parse(&format!("{:032x}", 1)).unwrap()).unwrap();
    let holder = hold_commits(&world);
    let (tell, hear) = mpsc::channel();
    std::thread::scope(|scope| {
        let store = &world.store;
        let changes = scope.spawn(move || {
            store.update(key, |gist| {
                tell.send(()).unwrap();
                gist.description = "another".into();
                Ok(())
            })
        });
        hear.recv().unwrap();
        let opens = scope.spawn(|| world.fs.open(file, WRITE));
        assert_eq!(store.look(key, |gist| gist.description.clone()).unwrap(), "gist 1");
        assert!(!changes.is_finished());
        holder.execute_batch("ROLLBACK").unwrap();
        changes.join().unwrap().unwrap();
        opens.join().unwrap().unwrap();
    });
    let now = world.store.get(key).unwrap();
    assert_eq!((now.description.as_str(), now.files["a.txt"].writers), ("another", 1));
}
