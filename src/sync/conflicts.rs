//! What waits for a person to decide: both versions are there, and somebody has to look.

use serde::{Deserialize, Serialize};

use super::Syncer;
use super::aside::conflict_of;
use super::report::title_of;
use crate::model::FileName;
use crate::store::gist::Gist;

/// One thing that was changed on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// The gist's description, or its first file's name.
    pub title: String,
    /// GitHub's id; none while the gist is not there.
    pub id: Option<String>,
    /// A file that was put beside the one it is another version of. It goes when it is removed or
    /// renamed.
    pub file: Option<String>,
    /// A description somebody else gave the gist and that ours replaced. It goes when the
    /// description changes again.
    pub description: Option<String>,
}

impl Syncer {
    /// Every conflict that nobody has settled yet. Asks nobody.
    pub fn conflicts(&self) -> Vec<Conflict> {
        let mut found = Vec::new();
        self.store.look_at_all(|gist| {
            if !gist.removed {
                found.extend(conflicts_of(gist));
            }
        });
        found
    }
}

pub(super) fn conflicts_of(gist: &Gist) -> impl Iterator<Item = Conflict> {
    let files = gist.files.keys().filter(|name| conflict_of(name).is_some());
    let file = |name: &FileName| (Some(name.to_string()), None);
    let description = gist.their_description.iter().map(|theirs| (None, Some(theirs.clone())));
    files.map(file).chain(description).map(|(file, description)| Conflict {
        title: title_of(gist),
        id: gist.base.as_ref().map(|base| base.id.to_string()),
        file,
        description,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::gist::GistKey;
    use crate::sync::sample::snapshot;

    #[test]
    fn conflict_files_and_replaced_descriptions_are_listed() {
        let files = [("a.conflict-20231114-221320.md", "ours"), ("a.md", "theirs")];
        let mut gist = Gist::of_remote(GistKey(1), snapshot(&files));
        let found: Vec<Conflict> = conflicts_of(&gist).collect();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].title.as_str(), found[0].id.as_deref()), ("d", Some("1234")));
        assert_eq!(found[0].file.as_deref(), Some("a.conflict-20231114-221320.md"));
        gist.files.remove("a.conflict-20231114-221320.md");
        gist.their_description = Some("theirs".into());
        let found: Vec<Conflict> = conflicts_of(&gist).collect();
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].file.as_deref(), found[0].description.as_deref()),
            (None, Some("theirs"))
        );
        gist.their_description = None;
        assert_eq!(conflicts_of(&gist).count(), 0);
    }
}
