//! When a gist's changes are to be sent. Pure.

use std::time::Duration;

use crate::model::Time;
use crate::store::gist::Gist;

/// The longest a gist that keeps changing waits, counted from its first change.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// When `gist` is to be looked at; `None` if there is nothing to send or nothing would come of it.
///
/// That is `write_back` after the last change, twice that if something was removed (an `rm -r`
/// comes file by file), at the latest 5 s after the first change. A difference from before the
/// mount has no times and is due at once.
pub fn due(gist: &Gist, write_back: Duration) -> Option<Time> {
    let upload = &gist.upload;
    if upload.settled || upload.refused || !gist.differs() {
        return None;
    }
    let (Some(first), Some(last)) = (upload.first_change, upload.last_change) else {
        return Some(upload.not_before.unwrap_or_default());
    };
    // What a push had to leave behind must not make the next change seem overdue.
    let first = upload.first_since_push.unwrap_or(first);
    let quiet = if removes(gist) { write_back * 2 } else { write_back };
    let due = last.after(quiet).min(first.after(LONGEST_WAIT.max(write_back)));
    Some(upload.not_before.map_or(due, |not_before| due.max(not_before)))
}

/// Whether a file GitHub has, or the whole gist, is gone.
fn removes(gist: &Gist) -> bool {
    gist.removed
        || gist
            .base
            .as_ref()
            .is_some_and(|base| base.files.keys().any(|name| !gist.files.contains_key(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::FileName;
    use crate::store::gist::{GistKey, LocalFile};

    const NOW: Time = Time(1_700_000_000_000_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    fn changed() -> Gist {
        let mut gist = Gist::new(GistKey(1), "x".into(), false, NOW);
        gist.files.insert(FileName::parse("a").unwrap(), LocalFile::new(NOW));
        gist.changed(NOW);
        gist
    }

    #[test]
    fn a_change_is_due_when_it_has_been_quiet() {
        let mut gist = changed();
        assert_eq!(due(&gist, SECOND), Some(NOW.after(SECOND)));
        gist.changed(NOW.after(SECOND / 2));
        assert_eq!(due(&gist, SECOND), Some(NOW.after(SECOND * 3 / 2)));
    }

    #[test]
    fn a_gist_that_never_rests_is_due_after_five_seconds() {
        let mut gist = changed();
        for tenths in 1..100 {
            gist.changed(NOW.after(SECOND * tenths / 10));
        }
        assert_eq!(due(&gist, SECOND), Some(NOW.after(SECOND * 5)));
        assert_eq!(due(&gist, SECOND * 20), Some(NOW.after(SECOND * 20)));
    }

    #[test]
    fn nothing_owed_or_nothing_to_be_done_is_never_due() {
        let mut gist = changed();
        gist.upload.settled = true;
        assert_eq!(due(&gist, SECOND), None);
        gist.changed(NOW);
        gist.upload.refused = true;
        assert_eq!(due(&gist, SECOND), None);
        gist.files.clear();
        gist.changed(NOW);
        assert_eq!(due(&gist, SECOND), None);
    }

    #[test]
    fn a_failed_try_waits_for_its_back_off_and_a_new_change_ends_that() {
        let mut gist = changed();
        gist.upload.not_before = Some(NOW.after(SECOND * 60));
        assert_eq!(due(&gist, SECOND), Some(NOW.after(SECOND * 60)));
        gist.upload.first_change = None;
        assert_eq!(due(&gist, SECOND), Some(NOW.after(SECOND * 60)));
    }
}
