//! The names of other people's gists in views: given when a gist is first listed, and kept while it
//! is.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::model::{FileName, GistId, Snapshot};
use crate::sync::others::{Item, Shelf, View};
use crate::tree::names;

/// The names in every view.
#[derive(Default)]
pub(in crate::fs) struct ShelfNames(HashMap<View, Named>);

/// The names in one view.
#[derive(Default)]
pub(super) struct Named {
    generation: u64,
    by_id: HashMap<GistId, Given>,
    by_name: HashMap<Arc<str>, GistId>,
}

struct Given {
    name: Arc<str>,
    title: Arc<str>,
}

impl ShelfNames {
    /// The names of what is on `shelf`. Names in views that `is_known` does not know are forgotten.
    pub(super) fn follow(
        &mut self,
        view: &View,
        shelf: &Shelf,
        names_by_id: bool,
        is_known: impl Fn(&View) -> bool,
    ) -> &Named {
        if !self.0.contains_key(view) {
            self.0.retain(|view, _| is_known(view));
        }
        let named = self.0.entry(view.clone()).or_default();
        named.follow(shelf, names_by_id);
        named
    }
}

impl Named {
    /// The name of a gist.
    pub(super) fn name(&self, id: &GistId) -> Option<&Arc<str>> {
        self.by_id.get(id).map(|given| &given.name)
    }

    /// The gist of that name.
    pub(super) fn id(&self, name: &str) -> Option<&GistId> {
        self.by_name.get(name)
    }

    fn follow(&mut self, shelf: &Shelf, names_by_id: bool) {
        if self.generation == shelf.generation {
            return;
        }
        self.generation = shelf.generation;
        let listed: HashSet<(&GistId, &str)> =
            shelf.items().map(|item| (&item.id, &*item.title)).collect();
        self.by_id.retain(|id, given| listed.contains(&(id, &given.title)));
        let by_id = &self.by_id;
        self.by_name.retain(|_, id| by_id.contains_key(id));
        let unnamed = shelf.items().filter(|item| !self.by_id.contains_key(&item.id));
        let mut unnamed: Vec<&Item> = unnamed.collect();
        // Of two with one title the older gets the bare name, as at the root.
        unnamed.sort_by_key(|item| (item.created_at, &item.id));
        for item in unnamed {
            self.give(item, names_by_id);
        }
    }

    fn give(&mut self, item: &Item, names_by_id: bool) {
        let id = item.id.as_str();
        let wanted = if names_by_id { id.to_owned() } else { names::directory(&item.title, id) };
        let taken = |name: &str| self.by_name.contains_key(name);
        let name: Arc<str> = names::free_directory(&wanted, id, taken).into();
        self.by_name.insert(Arc::clone(&name), item.id.clone());
        let title = Arc::clone(&item.title);
        self.by_id.insert(item.id.clone(), Given { name, title });
    }
}

/// The names of a gist's files with what the API calls them. Names a path can hold come first: they
/// are shown as they are, whatever the others have to be called.
pub(super) fn files(gist: &Snapshot) -> Vec<(Arc<str>, FileName)> {
    let holdable = |name: &&FileName| names::holdable(name.as_str());
    let (plain, odd): (Vec<&FileName>, Vec<&FileName>) = gist.files.keys().partition(holdable);
    let mut taken: HashSet<Arc<str>> = plain.iter().map(|name| name.as_str().into()).collect();
    let mut files: Vec<(Arc<str>, FileName)> =
        plain.into_iter().map(|name| (name.as_str().into(), name.clone())).collect();
    for name in odd {
        let shown: Arc<str> = names::file(name, |name| taken.contains(name)).into();
        taken.insert(Arc::clone(&shown));
        files.push((shown, name.clone()));
    }
    files
}

/// The file shown as `shown`.
pub(super) fn file(gist: &Snapshot, shown: &str) -> Option<FileName> {
    if names::holdable(shown)
        && let Some((name, _)) = gist.files.get_key_value(shown)
    {
        return Some(name.clone());
    }
    // Only where there are names that no path can hold is it worth working them out.
    if gist.files.keys().all(|name| names::holdable(name.as_str())) {
        return None;
    }
    files(gist).into_iter().find(|(name, _)| **name == *shown).map(|(_, name)| name)
}
