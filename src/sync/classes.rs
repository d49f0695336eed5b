//! What stored bodies are to the REST API, remembered: a body never changes, and to look at one that
//! waits is to read all of it.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use lru::LruCache;

use super::plan::Class;
use crate::model::BlobId;

/// So many are remembered, at some 100 bytes each.
const MOST: NonZeroUsize = NonZeroUsize::new(4096).expect("it is not none");

/// What was found out.
pub(super) struct Classes(Mutex<LruCache<BlobId, Class>>);

impl Default for Classes {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(MOST)))
    }
}

impl Classes {
    pub(super) fn get(&self, blob: BlobId) -> Option<Class> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&blob).copied()
    }

    pub(super) fn note(&self, blob: BlobId, class: Class) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(blob, class);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_last_is_remembered_and_never_more_than_so_much() {
        let classes = Classes::default();
        let id = |n: usize| BlobId::of(n.to_string().as_bytes());
        for n in 0..=MOST.get() {
            classes.note(id(n), Class::Binary);
            assert!(classes.get(id(0)).is_some());
        }
        assert_eq!((classes.get(id(1)), classes.get(id(2))), (None, Some(Class::Binary)));
        assert_eq!(classes.0.lock().unwrap().len(), MOST.get());
    }
}
