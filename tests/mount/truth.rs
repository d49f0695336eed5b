//! What a program was told is done, and what a tree may look like after a death in the middle.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::Path;

/// Every gist by its title with every file's bytes.
pub(crate) type Tree = BTreeMap<String, BTreeMap<String, Vec<u8>>>;

/// A gist and a file in it.
pub(crate) type Name = (String, String);

/// One thing a program does.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Mkdir(String),
    Rmdir(String),
    /// A gist gets another title.
    Retitle(String, String),
    /// A file is made or replaced, and synced where it says so.
    Write(Name, Vec<u8>, bool),
    Append(Name, Vec<u8>),
    /// Also over another file, also to another gist.
    Rename(Name, Name),
    Unlink(Name),
}

pub(crate) fn name(gist: &str, file: &str) -> Name {
    (gist.to_owned(), file.to_owned())
}

impl Op {
    /// Does it below `root`. An error of a write that was synced before says so with `true`.
    pub(crate) fn run(&self, root: &Path) -> Result<(), (io::Error, bool)> {
        let path = |(gist, file): &Name| root.join(gist).join(file);
        let unsynced = |error| (error, false);
        match self {
            Self::Mkdir(gist) => std::fs::create_dir(root.join(gist)).map_err(unsynced),
            Self::Rmdir(gist) => std::fs::remove_dir(root.join(gist)).map_err(unsynced),
            Self::Retitle(old, new) => {
                std::fs::rename(root.join(old), root.join(new)).map_err(unsynced)
            }
            Self::Write(name, bytes, sync) => {
                let mut file = std::fs::File::create(path(name)).map_err(unsynced)?;
                file.write_all(bytes).map_err(unsynced)?;
                if *sync {
                    file.sync_all().map_err(unsynced)?;
                }
                close(file).map_err(|error| (error, *sync))
            }
            Self::Append(name, bytes) => {
                let file = std::fs::File::options().append(true).open(path(name));
                let mut file = file.map_err(unsynced)?;
                file.write_all(bytes).map_err(unsynced)?;
                close(file).map_err(unsynced)
            }
            Self::Rename(old, new) => std::fs::rename(path(old), path(new)).map_err(unsynced),
            Self::Unlink(name) => std::fs::remove_file(path(name)).map_err(unsynced),
        }
    }

    /// What the tree is after it.
    pub(crate) fn apply(&self, tree: &mut Tree) {
        match self {
            Self::Mkdir(gist) => drop(tree.insert(gist.clone(), BTreeMap::new())),
            Self::Rmdir(gist) => drop(tree.remove(gist)),
            Self::Retitle(old, new) => {
                let files = tree.remove(old).expect("a gist");
                tree.insert(new.clone(), files);
            }
            Self::Write((gist, file), bytes, _) => {
                tree.get_mut(gist).expect("a gist").insert(file.clone(), bytes.clone());
            }
            Self::Append((gist, file), bytes) => {
                let files = tree.get_mut(gist).expect("a gist");
                files.get_mut(file).expect("a file").extend(bytes);
            }
            Self::Rename((gist, file), (to, new)) => {
                let bytes = tree.get_mut(gist).and_then(|files| files.remove(file));
                tree.get_mut(to).expect("a gist").insert(new.clone(), bytes.expect("a file"));
            }
            Self::Unlink((gist, file)) => {
                drop(tree.get_mut(gist).expect("a gist").remove(file));
            }
        }
    }

    /// All the trees there may be if the file system died in the middle of it.
    pub(crate) fn outcomes(&self, tree: &Tree, synced: bool) -> Vec<Tree> {
        let mut after = tree.clone();
        self.apply(&mut after);
        if synced {
            return vec![after];
        }
        let mut outcomes = vec![tree.clone(), after];
        if let Self::Write(name, ..) = self {
            // It is made or emptied, and then filled.
            let mut emptied = tree.clone();
            Self::Write(name.clone(), vec![], false).apply(&mut emptied);
            outcomes.push(emptied);
        }
        outcomes
    }
}

/// Closes a file and tells what `drop` would not.
fn close(file: std::fs::File) -> io::Result<()> {
    nix::unistd::close(file).map_err(io::Error::from)
}

/// Everything below `root`, read.
pub(crate) fn read_tree(root: &Path) -> Tree {
    let mut tree = Tree::new();
    for gist in std::fs::read_dir(root).expect("the root") {
        let gist = gist.expect("an entry");
        let mut files = BTreeMap::new();
        for file in std::fs::read_dir(gist.path()).expect("a gist") {
            let file = file.expect("an entry");
            let bytes = std::fs::read(file.path());
            let bytes = bytes.unwrap_or_else(|error| panic!("{:?}: {error}", file.path()));
            files.insert(file.file_name().into_string().expect("text"), bytes);
        }
        tree.insert(gist.file_name().into_string().expect("text"), files);
    }
    tree
}

/// Which files differ, with the beginning of what they hold.
pub(crate) fn difference(found: &Tree, wanted: &Tree) -> String {
    let mut lines = String::new();
    let names = |tree: &Tree| -> BTreeMap<Name, String> {
        let start = |bytes: &Vec<u8>| {
            let start: String = String::from_utf8_lossy(bytes).chars().take(40).collect();
            format!("{} bytes {start:?}", bytes.len())
        };
        tree.iter()
            .flat_map(|(gist, files)| {
                let own = (name(gist, ""), "a gist".to_owned());
                let file =
                    move |(file, bytes): (&String, &Vec<u8>)| (name(gist, file), start(bytes));
                files.iter().map(file).chain([own])
            })
            .collect()
    };
    let (found, wanted) = (names(found), names(wanted));
    for name in found.keys().chain(wanted.keys().filter(|name| !found.contains_key(*name))) {
        let (is, should) = (found.get(name), wanted.get(name));
        if is != should {
            lines += &format!("  {}/{}: is {is:?}, should be {should:?}\n", name.0, name.1);
        }
    }
    lines
}
