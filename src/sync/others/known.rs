//! What is known of single gists of others: bounded, and forgotten when nobody looks any more.

use std::sync::Arc;
use std::time::Duration;

use lru::LruCache;

use super::View;
use crate::model::{GistId, Snapshot, Time};

/// What nobody looked at for so long is forgotten.
pub(super) const KEPT: Duration = Duration::from_secs(3600);

/// The most gists that are remembered: more than everybody's list has.
const MOST_GISTS: usize = 5000;

/// The most files of them all together: a gist has up to 300.
const MOST_FILES: usize = 50_000;

/// The most ids that are remembered to stand for nothing.
const MOST_MISSING: usize = 1000;

/// A gist as it was told.
pub(super) struct Told {
    pub(super) snapshot: Arc<Snapshot>,
    /// When GitHub was last asked, with an answer or without.
    pub(super) asked: Time,
    /// When it was last looked at.
    used: Time,
    /// The list that shows it.
    pub(super) by: Option<View>,
    /// Whether somebody asked for it by its id.
    by_id: bool,
}

/// The gists, least recently used last.
pub(super) struct Known {
    gists: LruCache<GistId, Told>,
    files: usize,
    missing: LruCache<GistId, Time>,
}

impl Default for Known {
    fn default() -> Self {
        Self { gists: LruCache::unbounded(), files: 0, missing: LruCache::unbounded() }
    }
}

/// Whether `at` is so short a time ago, by a clock that may have been set back.
pub(in crate::sync) fn is_within(at: Time, span: Duration, now: Time) -> bool {
    at <= now && now.since(at) < span
}

impl Known {
    /// The gist, which now counts as just used.
    pub(super) fn get(&mut self, id: &GistId, now: Time) -> Option<&Told> {
        let told = self.gists.get_mut(id)?;
        told.used = now;
        Some(told)
    }

    /// Takes over what GitHub told: `by` a list, or of this gist alone.
    ///
    /// A list has no validator of the single gist, and may lag behind what is known already; then
    /// what is known stays.
    pub(super) fn tell(
        &mut self,
        snapshot: Snapshot,
        by: Option<&View>,
        now: Time,
    ) -> Arc<Snapshot> {
        let id = snapshot.id.clone();
        self.missing.pop(&id);
        let before = self.remove(&id);
        let told = before.as_ref().map(|told| &told.snapshot);
        let stays = told.filter(|told| {
            let same = told.updated_at == snapshot.updated_at && told.same_content(&snapshot);
            by.is_some() && (same || told.updated_at > snapshot.updated_at)
        });
        let snapshot = stays.map_or_else(|| Arc::new(snapshot), Arc::clone);
        let told = Told {
            snapshot: Arc::clone(&snapshot),
            asked: now,
            used: now,
            by_id: before.as_ref().is_some_and(|told| told.by_id),
            by: by.cloned().or(before.and_then(|told| told.by)),
        };
        self.files += told.snapshot.files.len();
        self.gists.put(id, told);
        self.forget(now);
        snapshot
    }

    /// GitHub was asked at `now`: it is as it was known, or nobody knows better.
    pub(super) fn believe(&mut self, id: &GistId, now: Time) {
        if let Some(told) = self.gists.get_mut(id) {
            told.asked = now;
        }
    }

    /// There is no such gist.
    pub(super) fn miss(&mut self, id: &GistId, now: Time) {
        self.remove(id);
        self.missing.put(id.clone(), now);
        if self.missing.len() > MOST_MISSING {
            self.missing.pop_lru();
        }
    }

    /// When GitHub said that there is no such gist.
    pub(super) fn missing_since(&self, id: &GistId) -> Option<Time> {
        self.missing.peek(id).copied()
    }

    /// Somebody asked for the gist by its id.
    pub(super) fn note_by_id(&mut self, id: &GistId) {
        if let Some(told) = self.gists.peek_mut(id) {
            told.by_id = true;
        }
    }

    /// The gists that were asked for by their ids.
    pub(super) fn asked_by_id(&self) -> Vec<GistId> {
        let wanted = self.gists.iter().filter(|(_, told)| told.by_id);
        let mut ids: Vec<GistId> = wanted.map(|(id, _)| id.clone()).collect();
        ids.sort();
        ids
    }

    /// Forgets what was not used for long, and what is too much.
    pub(super) fn forget(&mut self, now: Time) {
        while let Some((id, told)) = self.gists.peek_lru() {
            let too_much = self.gists.len() > MOST_GISTS || self.files > MOST_FILES;
            if self.gists.len() < 2 || (!too_much && is_within(told.used, KEPT, now)) {
                return;
            }
            let id = id.clone();
            self.remove(&id);
        }
    }

    fn remove(&mut self, id: &GistId) -> Option<Told> {
        let told = self.gists.pop(id)?;
        self.files -= told.snapshot.files.len();
        Some(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_700_000_000_000_000_000);

    fn gist(id: &str, files: usize) -> Snapshot {
        let names: Vec<String> = (0..files).map(|number| number.to_string()).collect();
        let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
        Snapshot::sample(id, &files, NOW)
    }

    fn id(text: &str) -> GistId {
        GistId::parse(text).unwrap()
    }

    #[test]
    fn what_nobody_looked_at_for_an_hour_is_forgotten() {
        let mut known = Known::default();
        for name in ["a", "b", "c"] {
            known.tell(gist(name, 3), None, NOW);
            known.note_by_id(&id(name));
        }
        let later = NOW.after(KEPT / 2);
        assert!(known.get(&id("a"), later).is_some());
        known.forget(NOW.after(KEPT));
        assert_eq!(known.asked_by_id(), [id("a")]);
        assert_eq!(known.files, 3);
    }

    #[test]
    fn neither_many_gists_nor_many_files_are_kept() {
        let mut known = Known::default();
        for number in 0..MOST_GISTS + 500 {
            known.tell(gist(&format!("g{number}"), 1), None, NOW);
        }
        assert_eq!(known.gists.len(), MOST_GISTS);
        assert!(known.get(&id("g499"), NOW).is_none() && known.get(&id("g500"), NOW).is_some());
        for number in 0..1000 {
            known.tell(gist(&format!("big{number}"), 300), None, NOW);
        }
        assert!(known.files <= MOST_FILES, "{}", known.files);
        assert!(known.get(&id("big999"), NOW).is_some());
        let count: usize = known.gists.iter().map(|(_, told)| told.snapshot.files.len()).sum();
        assert_eq!(known.files, count);
    }

    #[test]
    fn many_ids_that_stand_for_nothing_are_not_all_remembered() {
        let mut known = Known::default();
        for number in 0..MOST_MISSING + 10 {
            known.miss(&id(&format!("g{number}")), NOW);
        }
        assert_eq!(known.missing.len(), MOST_MISSING);
        known.tell(gist("g1000", 1), None, NOW);
        assert_eq!(known.missing_since(&id("g1000")), None);
        known.miss(&id("g1000"), NOW);
        assert!(known.get(&id("g1000"), NOW).is_none());
    }

    #[test]
    fn a_list_that_lags_does_not_undo_what_the_gist_itself_told() {
        let mut known = Known::default();
        let mut new = gist("a", 2);
        new.updated_at = NOW.after(Duration::from_secs(9));
        new.etag = Some("\"x\"".into());
        known.tell(new.clone(), None, NOW);
        assert_eq!(*known.tell(gist("a", 1), Some(&View::Starred), NOW), new);
        let mut listed = new.clone();
        listed.etag = None;
        assert_eq!(known.tell(listed, Some(&View::Starred), NOW).etag, new.etag);
        let mut newer = gist("a", 1);
        newer.updated_at = NOW.after(Duration::from_secs(10));
        assert_eq!(*known.tell(newer.clone(), Some(&View::Starred), NOW), newer);
        assert_eq!(known.files, 1);
    }
}
