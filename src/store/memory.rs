//! Hot bodies in memory: a least-recently-used list bounded in bytes, not in entries.

use bytes::Bytes;
use lru::LruCache;

use crate::model::BlobId;

/// The most bytes of a small body. A larger one never passes through memory as a whole.
pub const SMALL: u64 = 1 << 20;

/// The list.
pub(super) struct Memory {
    bodies: LruCache<BlobId, Bytes>,
    held: usize,
    limit: usize,
}

impl Memory {
    /// Holds at most `limit` bytes of bodies.
    pub(super) fn new(limit: usize) -> Self {
        Self { bodies: LruCache::unbounded(), held: 0, limit }
    }

    /// The bound, in bytes.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// The body, which now counts as just used.
    pub(super) fn get(&mut self, id: BlobId) -> Option<Bytes> {
        self.bodies.get(&id).cloned()
    }

    /// Whether a body of `size` bytes is worth keeping: one must not push out all others.
    pub(super) fn takes(&self, size: u64) -> bool {
        size <= SMALL.min(self.limit as u64 / 4)
    }

    /// Keeps a body, dropping the least recently used where the bound asks for it.
    pub(super) fn put(&mut self, id: BlobId, body: Bytes) {
        if !self.takes(body.len() as u64) {
            return;
        }
        self.held += body.len();
        if let Some(same) = self.bodies.put(id, body) {
            self.held -= same.len();
        }
        while self.held > self.limit {
            let Some((_, oldest)) = self.bodies.pop_lru() else { break };
            self.held -= oldest.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_in_bytes_and_the_oldest_use_goes_first() {
        let mut memory = Memory::new(100);
        let body = |n: u8| Bytes::from(vec![n; 25]);
        let id = |n: u8| BlobId::of(&body(n));
        for n in 0..4 {
            memory.put(id(n), body(n));
            memory.put(id(n), body(n));
        }
        assert_eq!(memory.held, 100);
        assert!(memory.get(id(0)).is_some());
        memory.put(id(4), body(4));
        assert!(memory.get(id(0)).is_some());
        assert!(memory.get(id(1)).is_none());
        memory.put(BlobId::of(&[9; 26]), Bytes::from(vec![9; 26]));
        assert_eq!(memory.held, 100);
    }

    #[test]
    fn a_large_body_is_not_kept_whatever_the_bound() {
        let mut memory = Memory::new(1 << 30);
        let small = Bytes::from(vec![1; SMALL as usize]);
        let large = Bytes::from(vec![1; SMALL as usize + 1]);
        memory.put(BlobId::of(&small), small);
        memory.put(BlobId::of(&large), large);
        assert_eq!(memory.held as u64, SMALL);
    }
}
