//! Numbers and places: which inode stands for which gist or file, and under which name.
//!
//! No I/O, no clock, no network. A gist's files get their numbers when somebody first looks
//! into it; until then the gist costs one entry. A number, once given, stands for the same file
//! for the life of the mount.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::model::FileName;
use crate::store::gist::GistKey;

pub mod hidden;
pub mod names;

use self::hidden::Hidden;

/// The number the kernel knows a file or directory by.
///
/// Given by [`Tree`] and never used for anything else again. Counted by the kernel: every reply
/// that carries it adds one ([`Tree::remember`]), FORGET takes back ([`Tree::forget`]). It dies
/// when it has no name any more and the kernel has forgotten it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ino(pub u64);

impl Ino {
    /// The mount's root.
    pub const ROOT: Self = Self(1);
}

/// What a number stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The mount's root.
    Root,
    /// A gist's directory.
    Gist(GistKey),
    /// A file in a gist.
    File(GistKey, FileName),
    /// What no listing shows.
    Hidden(Hidden),
    /// Something that lost its name and is still open or remembered.
    Gone,
}

struct Node {
    place: Place,
    parent: Ino,
    shown: Arc<str>,
    lookups: u64,
}

/// The names in one directory. Listed by number, so that an entry keeps its position (and a
/// reader its cookie) while others come and go.
#[derive(Default)]
struct Directory {
    by_name: HashMap<Arc<str>, Ino>,
    by_ino: BTreeMap<Ino, Arc<str>>,
}

impl Directory {
    fn insert(&mut self, name: Arc<str>, ino: Ino) {
        self.by_name.insert(Arc::clone(&name), ino);
        self.by_ino.insert(ino, name);
    }

    fn remove(&mut self, ino: Ino) {
        if let Some(name) = self.by_ino.remove(&ino) {
            self.by_name.remove(&name);
        }
    }
}

struct GistNode {
    ino: Ino,
    names: Directory,
    files: HashMap<FileName, Ino>,
    /// Whether `files` is filled: somebody looked into the directory.
    known: bool,
}

/// The inode table.
pub struct Tree {
    nodes: HashMap<Ino, Node>,
    root: Directory,
    gists: HashMap<GistKey, GistNode>,
    /// The root is itself the directory of the first gist shown.
    of_one: bool,
    /// Hidden places that have a number, by directory and name.
    hidden: HashMap<Ino, HashMap<Arc<str>, Ino>>,
    next: u64,
}

impl Default for Tree {
    fn default() -> Self {
        let root = Node { place: Place::Root, parent: Ino::ROOT, shown: "".into(), lookups: 1 };
        Self {
            nodes: HashMap::from([(Ino::ROOT, root)]),
            root: Directory::default(),
            gists: HashMap::new(),
            of_one: false,
            hidden: HashMap::new(),
            // Smaller numbers are cookies for `.` and `..` in listings.
            next: 16,
        }
    }
}

impl Tree {
    /// A tree whose root is the directory of one gist: the first that is added. While there is
    /// none it is empty; another one has no name in it.
    pub fn of_one() -> Self {
        Self { of_one: true, ..Self::default() }
    }

    /// Whether the root is for one gist.
    pub fn is_of_one(&self) -> bool {
        self.of_one
    }

    fn add(&mut self, place: Place, parent: Ino, shown: Arc<str>) -> Ino {
        let ino = Ino(self.next);
        self.next += 1;
        self.nodes.insert(ino, Node { place, parent, shown, lookups: 0 });
        ino
    }

    /// What `ino` stands for; `None` for a number never given or already dead.
    pub fn place(&self, ino: Ino) -> Option<&Place> {
        self.nodes.get(&ino).map(|node| &node.place)
    }

    /// The directory `ino` is in.
    pub fn parent(&self, ino: Ino) -> Ino {
        self.nodes.get(&ino).map_or(Ino::ROOT, |node| node.parent)
    }

    /// The name `ino` is shown under.
    pub fn shown(&self, ino: Ino) -> Option<Arc<str>> {
        self.nodes.get(&ino).map(|node| Arc::clone(&node.shown))
    }

    /// The entry called `name` in the root or in a gist whose files are known.
    pub fn child(&self, directory: Ino, name: &str) -> Option<Ino> {
        self.directory(directory)?.by_name.get(name).copied()
    }

    /// The entries of a directory behind the one numbered `after`, in the order of numbers.
    pub fn entries(&self, directory: Ino, after: u64) -> impl Iterator<Item = (Ino, &Arc<str>)> {
        let behind = (std::ops::Bound::Excluded(Ino(after)), std::ops::Bound::Unbounded);
        self.directory(directory)
            .into_iter()
            .flat_map(move |directory| directory.by_ino.range(behind))
            .map(|(ino, name)| (*ino, name))
    }

    /// The entry of a directory behind the one numbered `ino`, in the order of numbers, or before it.
    pub fn beside(&self, directory: Ino, ino: Ino, back: bool) -> Option<Ino> {
        let entries = &self.directory(directory)?.by_ino;
        let (before, behind) =
            (..ino, (std::ops::Bound::Excluded(ino), std::ops::Bound::Unbounded));
        let found = if back {
            entries.range(before).next_back()
        } else {
            entries.range::<Ino, _>(behind).next()
        };
        found.map(|(ino, _)| *ino)
    }

    fn directory(&self, ino: Ino) -> Option<&Directory> {
        match self.place(ino)? {
            Place::Root => Some(&self.root),
            Place::Gist(key) => self.gists.get(key).map(|gist| &gist.names),
            Place::File(..) | Place::Hidden(_) | Place::Gone => None,
        }
    }

    /// The number of a hidden place, given when it is first asked for. A name that stands for
    /// another place than before gets a new one.
    pub fn hidden(&mut self, parent: Ino, name: &str, place: &Hidden) -> Ino {
        let known = self.hidden_child(parent, name);
        if let Some(ino) = known
            && self.place(ino) == Some(&Place::Hidden(place.clone()))
        {
            return ino;
        }
        self.lose_hidden(parent, name);
        let shown: Arc<str> = name.into();
        let ino = self.add(Place::Hidden(place.clone()), parent, Arc::clone(&shown));
        self.hidden.entry(parent).or_default().insert(shown, ino);
        ino
    }

    /// The number of a hidden place, if it has one.
    pub fn hidden_child(&self, parent: Ino, name: &str) -> Option<Ino> {
        self.hidden.get(&parent)?.get(name).copied()
    }

    /// Takes the name of a hidden place away; the number stays with whoever holds it.
    pub fn lose_hidden(&mut self, parent: Ino, name: &str) -> Option<Ino> {
        let ino = self.forget_hidden(parent, name)?;
        self.lose(ino);
        Some(ino)
    }

    fn forget_hidden(&mut self, parent: Ino, name: &str) -> Option<Ino> {
        let names = self.hidden.get_mut(&parent)?;
        let ino = names.remove(name);
        if names.is_empty() {
            self.hidden.remove(&parent);
        }
        ino
    }

    /// How many gists there are.
    pub fn gist_count(&self) -> usize {
        self.gists.len()
    }

    /// The directory of a gist.
    pub fn gist(&self, key: GistKey) -> Option<Ino> {
        self.gists.get(&key).map(|gist| gist.ino)
    }

    /// Shows a gist under `name`, which must be free.
    pub fn add_gist(&mut self, key: GistKey, name: &str) -> Ino {
        let shown: Arc<str> = name.into();
        let ino = match self.nodes.get_mut(&Ino::ROOT) {
            Some(root) if self.of_one && root.place == Place::Root => {
                root.place = Place::Gist(key);
                Ino::ROOT
            }
            Some(_) | None => self.add(Place::Gist(key), Ino::ROOT, Arc::clone(&shown)),
        };
        if !self.of_one {
            self.root.insert(shown, ino);
        }
        let node =
            GistNode { ino, names: Directory::default(), files: HashMap::new(), known: false };
        self.gists.insert(key, node);
        ino
    }

    /// Shows a gist under another name, which must be free.
    pub fn rename_gist(&mut self, key: GistKey, name: &str) {
        let Some(ino) = self.gist(key).filter(|_| !self.of_one) else { return };
        let shown: Arc<str> = name.into();
        self.root.remove(ino);
        self.root.insert(Arc::clone(&shown), ino);
        if let Some(node) = self.nodes.get_mut(&ino) {
            node.shown = shown;
        }
    }

    /// Takes a gist and its files out of the tree.
    pub fn remove_gist(&mut self, key: GistKey) {
        let Some(gist) = self.gists.remove(&key) else { return };
        self.root.remove(gist.ino);
        for ino in gist.files.into_values().chain([gist.ino]) {
            self.lose(ino);
        }
        if gist.ino == Ino::ROOT
            && let Some(root) = self.nodes.get_mut(&Ino::ROOT)
        {
            root.place = Place::Root;
        }
    }

    /// Whether a gist's files have their numbers yet.
    pub fn knows_files(&self, key: GistKey) -> bool {
        self.gists.get(&key).is_some_and(|gist| gist.known)
    }

    /// Gives a gist's files their numbers. Names a path can hold come first: they are shown as
    /// they are, whatever the others have to be called.
    pub fn learn_files<'a>(&mut self, key: GistKey, files: impl Iterator<Item = &'a FileName>) {
        let (plain, odd): (Vec<_>, Vec<_>) = files.partition(|name| names::holdable(name.as_str()));
        for name in plain.into_iter().chain(odd) {
            self.add_file(key, name);
        }
        if let Some(gist) = self.gists.get_mut(&key) {
            gist.known = true;
        }
    }

    /// The number of a file.
    pub fn file(&self, key: GistKey, name: &FileName) -> Option<Ino> {
        self.gists.get(&key)?.files.get(name).copied()
    }

    /// The files of a gist that have numbers.
    pub fn files(&self, key: GistKey) -> impl Iterator<Item = &FileName> {
        self.gists.get(&key).into_iter().flat_map(|gist| gist.files.keys())
    }

    /// Shows a file and tells its number; one already shown keeps it.
    pub fn add_file(&mut self, key: GistKey, name: &FileName) -> Option<Ino> {
        let gist = self.gists.get(&key)?;
        if let Some(ino) = gist.files.get(name) {
            return Some(*ino);
        }
        let shown: Arc<str> =
            names::file(name, |name| gist.names.by_name.contains_key(name)).into();
        let parent = gist.ino;
        let ino = self.add(Place::File(key, name.clone()), parent, Arc::clone(&shown));
        let gist = self.gists.get_mut(&key)?;
        gist.names.insert(shown, ino);
        gist.files.insert(name.clone(), ino);
        Some(ino)
    }

    /// Takes a file's name away; the number stays with whoever holds it.
    pub fn remove_file(&mut self, key: GistKey, name: &FileName) -> Option<Ino> {
        let gist = self.gists.get_mut(&key)?;
        let ino = gist.files.remove(name)?;
        gist.names.remove(ino);
        self.lose(ino);
        Some(ino)
    }

    /// Gives a file's number another place, over whatever was there.
    pub fn move_file(&mut self, from: (GistKey, &FileName), to: (GistKey, &FileName)) {
        if from == to {
            return;
        }
        self.remove_file(to.0, to.1);
        let Some(gist) = self.gists.get_mut(&from.0) else { return };
        let Some(ino) = gist.files.remove(from.1) else { return };
        gist.names.remove(ino);
        self.settle(ino, to);
    }

    /// Exchanges the numbers of two files.
    pub fn swap_files(&mut self, a: (GistKey, &FileName), b: (GistKey, &FileName)) {
        let (Some(first), Some(second)) = (self.file(a.0, a.1), self.file(b.0, b.1)) else {
            return;
        };
        for (ino, (key, name)) in [(first, a), (second, b)] {
            if let Some(gist) = self.gists.get_mut(&key) {
                gist.files.remove(name);
                gist.names.remove(ino);
            }
        }
        self.settle(first, b);
        self.settle(second, a);
    }

    fn settle(&mut self, ino: Ino, (key, name): (GistKey, &FileName)) {
        let Some(gist) = self.gists.get_mut(&key) else { return self.lose(ino) };
        let shown: Arc<str> =
            names::file(name, |name| gist.names.by_name.contains_key(name)).into();
        gist.names.insert(Arc::clone(&shown), ino);
        gist.files.insert(name.clone(), ino);
        let parent = gist.ino;
        if let Some(node) = self.nodes.get_mut(&ino) {
            node.place = Place::File(key, name.clone());
            node.parent = parent;
            node.shown = shown;
        }
    }

    /// The API name of the file that would be shown as `shown`, if it is shown already.
    pub fn name_of(&self, directory: Ino, shown: &str) -> Option<&FileName> {
        match self.place(self.child(directory, shown)?)? {
            Place::File(_, name) => Some(name),
            Place::Root | Place::Gist(_) | Place::Hidden(_) | Place::Gone => None,
        }
    }

    fn lose(&mut self, ino: Ino) {
        if let Some(node) = self.nodes.get_mut(&ino) {
            node.place = Place::Gone;
            if node.lookups == 0 {
                self.nodes.remove(&ino);
            }
        }
    }

    /// Notes that the kernel was told of `ino` once more.
    pub fn remember(&mut self, ino: Ino) {
        if let Some(node) = self.nodes.get_mut(&ino) {
            node.lookups += 1;
        }
    }

    /// Notes that the kernel has forgotten `count` of the times it was told of `ino`.
    pub fn forget(&mut self, ino: Ino, count: u64) {
        if ino == Ino::ROOT {
            return;
        }
        let Some(node) = self.nodes.get_mut(&ino) else { return };
        node.lookups = node.lookups.saturating_sub(count);
        if node.lookups > 0 {
            return;
        }
        match node.place {
            Place::Gone => drop(self.nodes.remove(&ino)),
            // Made anew when it is next asked for: there is no end of them.
            Place::Hidden(_) => {
                let (parent, shown) = (node.parent, Arc::clone(&node.shown));
                self.forget_hidden(parent, &shown);
                self.nodes.remove(&ino);
            }
            Place::Root | Place::Gist(_) | Place::File(..) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: GistKey = GistKey(1);
    const B: GistKey = GistKey(2);

    fn name(text: &str) -> FileName {
        FileName::parse(text).unwrap()
    }

    fn tree() -> Tree {
        let mut tree = Tree::default();
        tree.add_gist(A, "a");
        tree.add_gist(B, "b");
        tree.learn_files(A, [name("x"), name("y")].iter());
        tree.learn_files(B, [].iter());
        tree
    }

    fn listed(tree: &Tree, directory: Ino) -> Vec<String> {
        tree.entries(directory, 0).map(|(_, name)| name.to_string()).collect()
    }

    #[test]
    fn a_number_follows_its_file_through_renames() {
        let mut tree = tree();
        let x = tree.file(A, &name("x")).unwrap();
        tree.move_file((A, &name("x")), (B, &name("z")));
        assert_eq!(tree.file(B, &name("z")), Some(x));
        assert_eq!(tree.place(x), Some(&Place::File(B, name("z"))));
        assert_eq!(tree.parent(x), tree.gist(B).unwrap());
        assert_eq!(listed(&tree, tree.gist(A).unwrap()), ["y"]);
        assert_eq!(tree.child(tree.gist(B).unwrap(), "z"), Some(x));
    }

    #[test]
    fn what_was_renamed_over_lives_until_the_kernel_forgets_it() {
        let mut tree = tree();
        let y = tree.file(A, &name("y")).unwrap();
        tree.remember(y);
        tree.move_file((A, &name("x")), (A, &name("y")));
        assert_eq!(tree.place(y), Some(&Place::Gone));
        tree.forget(y, 1);
        assert_eq!(tree.place(y), None);
        assert_eq!(listed(&tree, tree.gist(A).unwrap()), ["y"]);
    }

    #[test]
    fn a_file_that_nobody_remembers_keeps_its_number_while_it_has_a_name() {
        let mut tree = tree();
        let x = tree.file(A, &name("x")).unwrap();
        tree.remember(x);
        tree.forget(x, 1);
        assert_eq!(tree.add_file(A, &name("x")), Some(x));
        tree.remove_gist(A);
        assert_eq!(tree.place(x), None);
        assert_eq!(listed(&tree, Ino::ROOT), ["b"]);
    }

    #[test]
    fn the_root_of_one_gist_is_its_directory_and_outlives_it() {
        let mut tree = Tree::of_one();
        assert_eq!((tree.place(Ino::ROOT), listed(&tree, Ino::ROOT)), (Some(&Place::Root), vec![]));
        assert_eq!(tree.add_gist(A, "a"), Ino::ROOT);
        tree.learn_files(A, [name("x")].iter());
        let x = tree.file(A, &name("x")).unwrap();
        assert_eq!((tree.child(Ino::ROOT, "x"), tree.parent(x)), (Some(x), Ino::ROOT));
        assert_eq!(tree.place(Ino::ROOT), Some(&Place::Gist(A)));
        tree.rename_gist(A, "b");
        assert_ne!(tree.add_gist(B, "b"), Ino::ROOT, "another one is not shown");
        assert_eq!(listed(&tree, Ino::ROOT), ["x"]);
        tree.remove_gist(A);
        assert_eq!((tree.place(Ino::ROOT), listed(&tree, Ino::ROOT)), (Some(&Place::Root), vec![]));
        assert_eq!(tree.place(x), None);
    }

    #[test]
    fn swapping_exchanges_the_names_of_two_numbers() {
        let mut tree = tree();
        let (x, y) = (tree.file(A, &name("x")).unwrap(), tree.file(A, &name("y")).unwrap());
        tree.swap_files((A, &name("x")), (A, &name("y")));
        assert_eq!((tree.file(A, &name("x")), tree.file(A, &name("y"))), (Some(y), Some(x)));
        assert_eq!(tree.shown(x).as_deref(), Some("y"));
    }

    #[test]
    fn listing_goes_on_behind_the_last_number_whatever_was_removed() {
        let mut tree = tree();
        tree.add_file(A, &name("w"));
        let directory = tree.gist(A).unwrap();
        let first = tree.entries(directory, 0).next().unwrap().0;
        tree.remove_file(A, &name("x"));
        let rest: Vec<_> = tree.entries(directory, first.0).map(|(_, n)| n.to_string()).collect();
        assert_eq!(rest, ["y", "w"]);
    }
}
