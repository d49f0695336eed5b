//! Many deletions at once are held for a minute: long enough to take a slip of `rm` back.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Syncer;
use crate::error::Error;
use crate::model::Time;
use crate::store::gist::{Gist, GistKey};

/// Removals within so long count together, and for so long the deletions are held.
const WINDOW: Duration = Duration::from_secs(60);

/// The setting that says that deletions are held, so that the next mount holds them too.
const HELD: &str = "deletions_held";

/// Until when deletions are held because more than `limit` gists were removed within a minute; 0 is
/// no limit. `removals` are the times of all removals of late, those already sent included.
///
/// Pure. What was removed until `let_go` does not count: the user has said that it is meant.
pub fn held_until(
    removals: &[Time],
    let_go: Option<Time>,
    limit: usize,
    now: Time,
) -> Option<Time> {
    // A clock that was set back must not hold anything until the old time returns.
    let counts = |at: &Time| *at <= now && let_go.is_none_or(|let_go| *at > let_go);
    let mut counted: Vec<Time> = removals.iter().copied().filter(counts).collect();
    counted.sort_unstable_by(|a, b| b.cmp(a));
    let one_too_many = counted.get(limit).filter(|_| limit > 0)?;
    Some(one_too_many.after(WINDOW)).filter(|until| *until > now)
}

/// Deletions that are held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldDeletions {
    /// How many.
    pub count: usize,
    /// Until when.
    pub until: String,
}

impl fmt::Display for HeldDeletions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until = Time::parse(&self.until).map(Time::local_clock);
        let until = until.unwrap_or_else(|| self.until.clone());
        write!(
            f,
            "deletions held until {until}: {} gists were removed within a minute; gistfs sync sends \
             them now, gistfs trash restore takes them back",
            self.count
        )
    }
}

/// What is remembered of deletions in this process.
#[derive(Default)]
pub(super) struct Deletions {
    /// When the user removed the gists whose deletion was sent of late.
    sent: Vec<Time>,
    /// What was removed until then may go.
    let_go: Option<Time>,
    /// When this process began, and whether deletions were held then.
    begun: Option<(Time, bool)>,
    /// The setting says that deletions are held.
    noted: bool,
    /// The log says so.
    said: bool,
}

impl Syncer {
    /// The deletions that are held at `now`, if any.
    pub fn held_deletions(&self, now: Time) -> Option<HeldDeletions> {
        let mut removals = Vec::new();
        self.store.look_at_busy(|gist| removals.extend(pending_since(gist)));
        let count = removals.len();
        let begun = self.shared().deletions.begun;
        let begun = begun.unwrap_or_else(|| {
            let held = self.store.setting(HELD).ok().flatten().is_some_and(|held| !held.is_empty());
            let mut shared = self.shared();
            shared.deletions.noted |= held;
            *shared.deletions.begun.get_or_insert((now, held))
        });
        let (until, noted) = {
            let mut shared = self.shared();
            let held = &mut shared.deletions;
            held.sent.retain(|at| at.after(WINDOW) > now);
            removals.extend(&held.sent);
            let again = Some(begun)
                .filter(|(at, held_then)| *held_then && held.let_go.is_none_or(|go| go < *at))
                .map(|(at, _)| at.after(WINDOW))
                .filter(|until| *until > now);
            let until = held_until(&removals, held.let_go, self.options.delete_limit, now);
            let until = until.max(again).filter(|_| count > 0);
            held.said &= until.is_some();
            let before = held.noted;
            held.noted = until.is_some() || (before && count > 0);
            (until, (before, held.noted))
        };
        if noted.0 != noted.1
            && let Err(error) = self.store.set_setting(HELD, if noted.1 { "yes" } else { "" })
        {
            log::warn!("{error}");
        }
        Some(HeldDeletions { count, until: until?.to_string() })
    }

    /// Why the deletion of this gist must not be sent yet, if so.
    pub(super) fn holds_back(&self, key: GistKey) -> Result<(), Error> {
        let pending = self.store.look(key, pending_since).flatten();
        match pending.and_then(|_| self.held_deletions(self.now())) {
            Some(held) => {
                self.say_held(&held);
                Err(Error::Limited(held.to_string()))
            }
            None => Ok(()),
        }
    }

    /// Says once that deletions are held.
    pub(super) fn say_held(&self, held: &HeldDeletions) {
        if !std::mem::replace(&mut self.shared().deletions.said, true) {
            log::warn!("{held}");
        }
    }

    /// Lets the deletions go that are held now.
    pub fn let_deletions_go(&self) {
        let now = self.now();
        self.shared().deletions.let_go = Some(now);
        self.poke();
    }

    /// The deletion of a gist removed at `at` was sent.
    pub(super) fn note_deletion_sent(&self, at: Option<Time>) {
        self.shared().deletions.sent.extend(at);
    }
}

/// When the gist was removed, if GitHub has it still.
fn pending_since(gist: &Gist) -> Option<Time> {
    let owed = gist.removed && gist.base.is_some();
    owed.then(|| gist.removed_at.unwrap_or_default())
}

/// When something of `gist` that is due at `at` may be sent.
pub(super) fn not_before(gist: &Gist, at: Time, held: Option<&HeldDeletions>) -> Time {
    let until = held.filter(|_| gist.removed).and_then(|held| Time::parse(&held.until));
    // The text has no fractions of a second.
    until.map_or(at, |until| at.max(until.after(Duration::from_secs(1))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Time = Time(1_700_000_000_000_000_000);

    fn ago(seconds: u64) -> Time {
        NOW.before(Duration::from_secs(seconds))
    }

    #[test]
    fn up_to_the_limit_deletions_go_at_once() {
        let ten: Vec<Time> = (0..10).map(ago).collect();
        assert_eq!(held_until(&ten, None, 10, NOW), None);
        assert_eq!(held_until(&ten, None, 9, NOW), Some(ago(9).after(WINDOW)));
        assert_eq!(held_until(&ten, None, 0, NOW), None);
    }

    #[test]
    fn what_was_removed_more_than_a_minute_apart_does_not_count_together() {
        let slow: Vec<Time> = (0..50).map(|number| ago(number * 7)).collect();
        assert_eq!(held_until(&slow, None, 10, NOW), None);
    }

    #[test]
    fn what_was_let_go_is_not_held_again_and_what_comes_after_it_is() {
        let mut removals = vec![ago(5); 50];
        assert_eq!(held_until(&removals, None, 10, NOW), Some(ago(5).after(WINDOW)));
        assert_eq!(held_until(&removals, Some(ago(4)), 10, NOW), None);
        removals.extend([ago(1); 11]);
        assert_eq!(held_until(&removals, Some(ago(4)), 10, NOW), Some(ago(1).after(WINDOW)));
    }

    proptest! {
        #[test]
        fn a_hold_lasts_a_minute_at_most_and_never_lets_more_than_the_limit_go_in_one(
            mut seconds in proptest::collection::vec(0_u64..200, 0..60),
            limit in 1_usize..20,
        ) {
            let removals: Vec<Time> = seconds.iter().map(|second| ago(*second)).collect();
            let until = held_until(&removals, None, limit, NOW);
            let counted = seconds.iter().filter(|second| **second < 60).count();
            prop_assert_eq!(until.is_some(), counted > limit);
            if let Some(until) = until {
                prop_assert!(until > NOW && until <= NOW.after(WINDOW));
                // When it ends it has ended, and not a moment sooner.
                prop_assert_eq!(held_until(&removals, None, limit, until), None);
                prop_assert!(held_until(&removals, None, limit, Time(until.0 - 1)).is_some());
            }
            seconds.push(0);
            let one_more: Vec<Time> = seconds.iter().map(|second| ago(*second)).collect();
            prop_assert!(held_until(&one_more, None, limit, NOW) >= until, "another one shortens it");
        }
    }
}
