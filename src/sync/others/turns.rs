//! One question at a time about each thing: who comes second waits for the first one's answer.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What is being asked about.
pub(super) struct Turns<T> {
    /// A leaf.
    taken: Mutex<HashSet<T>>,
    freed: Condvar,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self { taken: Mutex::default(), freed: Condvar::new() }
    }
}

/// Whoever has this is the only one to ask.
pub(super) struct Turn<'a, T: Eq + Hash> {
    turns: &'a Turns<T>,
    about: T,
}

impl<T: Clone + Eq + Hash> Turns<T> {
    fn taken(&self) -> MutexGuard<'_, HashSet<T>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody else asks about this.
    pub(super) fn take(&self, about: T) -> Turn<'_, T> {
        let mut taken = self.taken();
        while taken.contains(&about) {
            taken = self.freed.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        taken.insert(about.clone());
        Turn { turns: self, about }
    }
}

impl<T: Eq + Hash> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        self.turns.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.about);
        self.turns.freed.notify_all();
    }
}
