//! The files at a path, for whoever wants to have them without a network.

use super::GistFs;
use crate::store::gist::{Content, Gist};
use crate::sync::bodies::Source;
use crate::sync::prefetch::Wanted;
use crate::tree::{Ino, Place, Tree};

impl GistFs {
    /// Every file of one's gists at or below these paths, which are relative to the mount point, in
    /// the order of the listings. The path at which there is none is the error.
    pub fn files_at(&self, paths: &[String]) -> Result<Vec<Wanted>, String> {
        let mut wanted = Vec::new();
        for path in paths {
            self.add_files_at(path, &mut wanted).ok_or_else(|| path.clone())?;
        }
        Ok(wanted)
    }

    fn add_files_at(&self, path: &str, wanted: &mut Vec<Wanted>) -> Option<()> {
        let mut ino = Ino::ROOT;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let mut tree = self.tree();
            self.learn_directory(&mut tree, ino).ok()?;
            ino = tree.child(ino, name)?;
        }
        let mut directories = vec![ino];
        {
            let tree = self.tree();
            match tree.place(ino)? {
                Place::Root => directories = tree.entries(ino, 0).map(|(gist, _)| gist).collect(),
                Place::Gist(_) => {}
                Place::File(..) => {
                    wanted.extend(self.wanted(&tree, ino));
                    return Some(());
                }
                Place::Hidden(_) | Place::Gone => return None,
            }
        }
        for directory in directories {
            // Not all under one lock: whoever looks around meanwhile does not wait.
            let mut tree = self.tree();
            if self.learn_directory(&mut tree, directory).is_ok() {
                let files = tree.entries(directory, 0);
                wanted.extend(files.filter_map(|(file, _)| self.wanted(&tree, file)));
            }
        }
        Some(())
    }

    /// The file, if it has bytes.
    fn wanted(&self, tree: &Tree, ino: Ino) -> Option<Wanted> {
        let Some(Place::File(key, name)) = tree.place(ino) else { return None };
        let shown = tree.shown(ino)?;
        let path = match tree.parent(ino) {
            Ino::ROOT => shown.to_string(),
            gist => format!("{}/{shown}", tree.shown(gist)?),
        };
        let look = |gist: &Gist| match gist.files.get(name)?.content {
            Content::Bytes { blob, size } => Some((blob, size, Source::of(gist, blob))),
            Content::Link(_) => None,
        };
        let (blob, size, source) = self.store.look(*key, look).flatten()?;
        Some(Wanted { path, size, blob, source })
    }
}
