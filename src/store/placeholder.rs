//! The line with which a gist is made on GitHub when all its files need git, which cannot make one.
//!
//! It is in a file of its own that the push after it removes. The name has the time, and the text
//! follows from name and gist, so that it is recognised without being remembered: after a restart,
//! and when the answer to the request was lost.

use super::gist::{Gist, GistKey};
use crate::model::{BlobId, FileName, Time};

/// What its name begins with; the time follows.
pub const NAME: &str = "gistfs-upload-";

/// A name for it, made at `at`, that no file of `gist` has.
pub fn name(gist: &Gist, at: Time) -> Option<FileName> {
    let names = (at.0..).filter_map(|number| FileName::parse(&format!("{NAME}{number}")));
    names.into_iter().find(|name| !gist.files.contains_key(name))
}

/// The line.
pub fn text(key: GistKey, name: &FileName) -> String {
    let number = name.as_str().strip_prefix(NAME).unwrap_or_default();
    format!(
        "gistfs is uploading the files of this gist and then removes this one ({number}.{})\n",
        key.0
    )
}

impl Gist {
    /// Whether GitHub's file of that name is our placeholder, and nobody's file.
    pub fn is_placeholder(&self, name: &FileName) -> bool {
        name.as_str().starts_with(NAME)
            && !self.files.contains_key(name)
            && self
                .remote(name)
                .is_some_and(|file| file.blob == BlobId::of(text(self.key, name).as_bytes()))
    }

    /// Whether the placeholder is all that GitHub has of it.
    pub fn is_only_placeholder(&self) -> bool {
        self.base.as_ref().is_some_and(|base| {
            !base.is_partial()
                && !base.files.is_empty()
                && base.files.keys().all(|name| self.is_placeholder(name))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::Snapshot;
    use crate::store::gist::LocalFile;

    const NOW: Time = Time(1_700_000_000_000_000_000);

    #[test]
    fn it_is_known_by_its_name_its_text_and_its_gist_alone() {
        let mut gist = Gist::new(GistKey(7), "d".into(), false, NOW);
        let first = name(&gist, NOW).unwrap();
        gist.files.insert(first.clone(), LocalFile::new(NOW));
        let second = name(&gist, NOW).unwrap();
        assert_ne!(first, second, "a name that is taken is not taken again");
        let line = text(gist.key, &second);
        let base =
            |line: &str| Some(Arc::new(Snapshot::sample("1", &[(second.as_str(), line)], NOW)));
        gist.base = base(&line);
        assert!(gist.is_placeholder(&second) && gist.is_only_placeholder());
        assert!(!gist.is_placeholder(&first));
        gist.base = base("edited there\n");
        assert!(!gist.is_placeholder(&second), "somebody made a file of it");
        gist.base = base(&text(GistKey(8), &second));
        assert!(!gist.is_placeholder(&second), "it is another machine's");
        gist.base = base(&line);
        gist.files.insert(second.clone(), LocalFile::new(NOW));
        assert!(!gist.is_placeholder(&second), "the user has such a file");
    }
}
