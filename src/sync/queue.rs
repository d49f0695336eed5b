//! Whose turn it is when more gists are due than may go. Pure.

use std::collections::HashSet;

use crate::model::Time;
use crate::store::gist::GistKey;

/// After so many turns of gists that had none yet, one that had may come again.
const FRESH_FIRST: u32 = 3;

/// Hands out turns: most recently changed first.
///
/// That alone would let one gist that never rests starve all others. So a gist that had its turn
/// gets every fourth one at most while others have had none.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Who had a turn since everybody last had one.
    served: HashSet<GistKey>,
    /// Turns of others since one of the served had a turn again.
    fresh: u32,
}

impl Queue {
    /// Chooses among `waiting`, each with the instant of its last change, and counts the turn.
    pub(super) fn next(&mut self, waiting: &[(Time, GistKey)]) -> Option<GistKey> {
        let latest = |served: bool, queue: &Self| {
            let of = |entry: &&(Time, GistKey)| queue.served.contains(&entry.1) == served;
            waiting.iter().filter(of).max().map(|(_, key)| *key)
        };
        let (fresh, again) = (latest(false, self), latest(true, self));
        let chosen = match (fresh, again) {
            (None, _) => {
                *self = Self::default();
                again?
            }
            (Some(_), Some(again)) if self.fresh >= FRESH_FIRST => {
                self.fresh = 0;
                return Some(again);
            }
            (Some(fresh), _) => fresh,
        };
        self.fresh += 1;
        self.served.insert(chosen);
        Some(chosen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64, key: i64) -> (Time, GistKey) {
        (Time::new(second, 0), GistKey(key))
    }

    #[test]
    fn the_most_recently_changed_comes_first() {
        let mut queue = Queue::default();
        let mut waiting = vec![at(1, 1), at(3, 2), at(2, 3)];
        let mut order = Vec::new();
        while let Some(key) = queue.next(&waiting) {
            waiting.retain(|(_, waits)| *waits != key);
            order.push(key.0);
        }
        assert_eq!(order, [2, 3, 1]);
        assert!(queue.served.is_empty(), "nothing is remembered of an empty queue");
    }

    #[test]
    fn a_gist_that_never_rests_leaves_most_turns_to_the_others_but_not_all() {
        let mut queue = Queue::default();
        let mut waiting: Vec<_> = (0..9).map(|key| at(key, key)).collect();
        let mut order = Vec::new();
        for second in 100..112 {
            waiting.retain(|(_, key)| key.0 != 99);
            waiting.push(at(second, 99));
            let key = queue.next(&waiting).unwrap();
            waiting.retain(|(_, waits)| *waits != key);
            order.push(key.0);
        }
        assert_eq!(order, [99, 8, 7, 99, 6, 5, 4, 99, 3, 2, 1, 99]);
    }
}
