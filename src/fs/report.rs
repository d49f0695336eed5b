//! What the mount tells of itself.

use std::path::{Path, PathBuf};

use super::GistFs;
use super::follow::note_name;
use crate::store::gist::GistKey;
use crate::sync::report::Report;
use crate::sync::status::{Mounted, Status};
use crate::tree::Ino;

/// Where a file system is mounted, and whose gists it shows.
#[derive(Clone, Debug)]
pub struct MountedAs {
    /// The mount point, absolute.
    pub mountpoint: PathBuf,
    /// The host, by the name its state goes by.
    pub host: String,
    /// Where that host's API is.
    pub api: String,
    /// Whose gists.
    pub account: String,
}

impl GistFs {
    /// Says where it is mounted; what was said first stays.
    pub fn mounted_as(&self, place: MountedAs) {
        if self.mounted_as.set(place).is_err() {
            log::debug!("a second mount point was not taken");
        }
    }

    /// How the account stands. Asks nobody.
    pub fn status(&self) -> Status {
        let place = self.mounted_as.get();
        let point = place.map(|place| place.mountpoint.to_string_lossy().into_owned());
        Status {
            mountpoint: point.unwrap_or_default(),
            mounted: Mounted::Yes,
            host: place.map(|place| place.host.clone()).unwrap_or_default(),
            api: place.map(|place| place.api.clone()),
            account: place.map(|place| place.account.clone()).unwrap_or_default(),
            read_only: self.options.read_only.map(str::to_owned),
            pid: Some(std::process::id()),
            state: self.store.directory().to_string_lossy().into_owned(),
            report: Report { comments: self.unsent_comments(), ..self.syncer.report() },
        }
    }

    /// The path of a gist's directory, if the mount shows it.
    pub fn path_of(&self, key: GistKey) -> Option<PathBuf> {
        let tree = self.tree();
        let ino = tree.gist(key)?;
        let point = self.mounted_as.get().map_or(Path::new("/"), |place| &place.mountpoint);
        if ino == Ino::ROOT {
            return Some(point.to_owned());
        }
        Some(point.join(tree.shown(ino)?.as_ref()))
    }

    /// Gives a gist's directory the name it would have if it came now: the one it was to have was
    /// taken, and is free.
    pub fn take_free_name(&self, key: GistKey) {
        let mut stale = Vec::new();
        {
            let _turn = self.turn();
            let mut tree = self.tree();
            let (Some(gist), Some(ino)) = (self.store.get(key), tree.gist(key)) else { return };
            note_name(&tree, ino, &mut stale);
            let name = self.directory_name(&tree, &gist);
            tree.rename_gist(key, &name);
            note_name(&tree, ino, &mut stale);
        }
        stale.into_iter().for_each(|stale| self.tell_stale(stale));
    }
}
