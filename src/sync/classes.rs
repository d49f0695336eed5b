//! What stored bodies are to the REST API, remembered: a body never changes, and to look at one that
//! waits is to read all of it.

use std::sync::{Mutex, PoisonError};

use lru::LruCache;

use super::plan::Class;
use crate::model::BlobId;

/// So many are remembered, at some 100 bytes each.
const MOST: usize = 4096;

/// What was found out.
pub(super) struct Classes(Mutex<LruCache<BlobId, Class>>);

impl Default for Classes {
    fn default() -> Self {
        Self(Mutex::new(LruCache::unbounded()))
    }
}

impl Classes {
    pub(super) fn get(&self, blob: BlobId) -> Option<Class> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&blob).copied()
    }

    pub(super) fn note(&self, blob: BlobId, class: Class) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.put(blob, class);
        if known.len() > MOST {
            known.pop_lru();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_last_is_remembered_and_never_more_than_so_much() {
        let classes = Classes::default();
        let id = |n: usize| BlobId::of(n.to_string().as_bytes());
        for n in 0..=MOST {
            classes.note(id(n), Class::Binary);
            assert!(classes.get(id(0)).is_some());
        }
        assert_eq!((classes.get(id(1)), classes.get(id(2))), (None, Some(Class::Binary)));
        assert_eq!(classes.0.lock().unwrap().len(), MOST);
    }
}
