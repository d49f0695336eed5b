//! What `stat` tells after each operation, asked of the file system without a kernel or network.
#![allow(clippy::unwrap_used)]

use std::ffi::OsStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use gistfs::api::github::GitHub;
use gistfs::api::host::Endpoint;
use gistfs::fs::{Attr, Fh, GistFs, NewNode, OpenMode, Options, RenameMode, SetAttr, Wait};
use gistfs::model::Time;
use gistfs::store::Store;
use gistfs::sync::{Options as SyncOptions, Syncer};
use gistfs::tree::Ino;

const NEW: NewNode = NewNode { mode: 0o600, uid: 7, gid: 7 };
const BOTH: OpenMode = OpenMode { reads: true, writes: true };

/// A file system whose clock ticks whenever somebody looks at it.
struct World {
    fs: Arc<GistFs>,
    _state: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(state.path(), "here", 1 << 20).unwrap());
        // Nobody listens there, and nobody calls: the syncer is not started.
        let endpoint = Endpoint::of_url("http://127.0.0.1:1").unwrap();
        let api = Arc::new(GitHub::new(endpoint, None).unwrap());
        let syncer = Arc::new(Syncer::new(store, api, SyncOptions::default()));
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
        let clock = AtomicI64::new(1000);
        let tick = move || Time(clock.fetch_add(1, Ordering::Relaxed));
        Self { fs: GistFs::new(syncer, options, Arc::new(tick)), _state: state }
    }

    fn mkdir(&self, name: &str) -> Ino {
        self.fs.mkdir(Ino::ROOT, OsStr::new(name), NEW).unwrap().ino
    }

    fn create(&self, gist: Ino, name: &str) -> (Ino, Fh) {
        let (attr, fh) = self.fs.create(gist, OsStr::new(name), NEW, BOTH).unwrap();
        (attr.ino, fh)
    }

    fn rename(&self, from: (Ino, &str), to: (Ino, &str), mode: RenameMode) {
        let (old, new) = (OsStr::new(from.1), OsStr::new(to.1));
        self.fs.rename(from.0, old, to.0, new, mode, Wait::No).unwrap();
    }

    fn stat(&self, ino: Ino) -> Attr {
        self.fs.getattr(ino, Wait::No).unwrap()
    }
}

#[test]
fn a_rename_is_seen_in_the_ctime_of_a_file_that_is_open() {
    let world = World::new();
    let gist = world.mkdir("g");
    let (file, fh) = world.create(gist, "a");
    let before = world.stat(file);
    world.rename((gist, "a"), (gist, "b"), RenameMode::Replace);
    let open = world.stat(file);
    assert!(open.ctime > before.ctime && open.mtime == before.mtime, "{before:?} {open:?}");
    world.fs.release(fh, Wait::No).unwrap();
    assert_eq!(world.stat(file), open);
}

#[test]
fn what_is_renamed_over_while_open_has_no_name_and_a_new_ctime() {
    let world = World::new();
    let gist = world.mkdir("g");
    let (old, fh) = world.create(gist, "a");
    let (new, _) = world.create(gist, "b");
    let before = world.stat(old);
    world.rename((gist, "b"), (gist, "a"), RenameMode::Replace);
    let orphan = world.stat(old);
    assert_eq!((orphan.nlink, world.stat(new).nlink), (0, 1));
    assert!(orphan.ctime > before.ctime && orphan.mtime == before.mtime);
    let set = SetAttr { mode: Some(0o640), size: Some(3), ..SetAttr::default() };
    let changed = world.fs.setattr(old, &set, None, Wait::No).unwrap();
    assert_eq!((changed.mode, changed.size, changed.nlink), (0o640, 3, 0));
    assert_eq!(&*world.fs.read(fh, 0, 9, Wait::No).unwrap(), b"\0\0\0");
}

#[test]
fn every_change_of_names_moves_the_times_of_the_directory() {
    let world = World::new();
    let (gist, other) = (world.mkdir("g"), world.mkdir("h"));
    let moved = |what: &str, directories: &[Ino], change: &dyn Fn()| {
        let before: Vec<Attr> = directories.iter().map(|ino| world.stat(*ino)).collect();
        change();
        for (ino, before) in directories.iter().zip(before) {
            let after = world.stat(*ino);
            assert!(after.mtime > before.mtime && after.ctime > before.ctime, "{what} {ino:?}");
        }
    };
    moved("mkdir", &[Ino::ROOT], &|| {
        world.mkdir("i");
    });
    moved("create", &[gist], &|| {
        world.create(gist, "a");
    });
    moved("rename", &[gist], &|| world.rename((gist, "a"), (gist, "b"), RenameMode::NoReplace));
    moved("between", &[gist, other], &|| {
        world.rename((gist, "b"), (other, "c"), RenameMode::Replace);
    });
    world.create(other, "d");
    moved("exchange", &[other], &|| {
        world.rename((other, "c"), (other, "d"), RenameMode::Exchange);
    });
    moved("unlink", &[other], &|| world.fs.unlink(other, OsStr::new("c"), Wait::No).unwrap());
    let root = Ino::ROOT;
    moved("rename of a gist", &[root], &|| {
        world.rename((root, "i"), (root, "j"), RenameMode::Replace);
    });
    moved("exchange of gists", &[root], &|| {
        world.rename((root, "g"), (root, "h"), RenameMode::Exchange);
    });
    moved("rmdir", &[root], &|| world.fs.rmdir(root, OsStr::new("j"), Wait::No).unwrap());
}
