//! When a request that failed may be sent again. Pure: the caller waits.

use std::time::Duration;

use super::ApiError;

/// Whether sending a request twice does the same as sending it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeatable {
    /// It carries state: `GET`, `PUT`, `PATCH`, `DELETE`.
    Yes,
    /// `POST`: if the first one was acted on, a second makes a second gist.
    No,
}

/// The longest a back-off grows. What GitHub itself asks for may be longer.
const LONGEST: Duration = Duration::from_secs(300);
/// The first back-off after trouble of the network or the server.
const TROUBLE: Duration = Duration::from_secs(1);
/// The first back-off after a limit that names no time: GitHub asks for at least a minute.
const LIMIT: Duration = Duration::from_secs(60);
/// The first back-off after a conflict, and the longest: the other change is a matter of seconds.
const CONFLICT: Duration = Duration::from_millis(500);
const LONGEST_CONFLICT: Duration = Duration::from_secs(60);

/// How long to wait before attempt `attempt + 1` (the first failure is attempt 0), or `None` to
/// leave it.
///
/// It never gives up on what may pass, and never repeats a refusal. A request that was limited,
/// conflicted or never left was not acted on, so even a `POST` may be repeated; one whose answer
/// was lost may have been, so a `POST` must be looked for instead. `seed` spreads the waits of
/// several clients: any number that differs from call to call will do.
pub fn wait(attempt: u32, repeatable: Repeatable, error: &ApiError, seed: u64) -> Option<Duration> {
    match error {
        ApiError::Limited { wait: Some(told), .. } => {
            Some(*told + part(Duration::from_secs(1), seed))
        }
        // Never earlier than the minute, so the jitter goes on top.
        ApiError::Limited { wait: None, .. } => {
            let wait = doubled(LIMIT, attempt, LONGEST);
            Some(wait + part(wait / 10, seed))
        }
        ApiError::Unreachable { .. } | ApiError::Local { .. } => {
            Some(jittered(doubled(TROUBLE, attempt, LONGEST), seed))
        }
        ApiError::Conflict(_) => Some(jittered(doubled(CONFLICT, attempt, LONGEST_CONFLICT), seed)),
        ApiError::Lost { .. }
        | ApiError::TimedOut { .. }
        | ApiError::Server(_)
        | ApiError::Nonsense { .. } => match repeatable {
            Repeatable::Yes => Some(jittered(doubled(TROUBLE, attempt, LONGEST), seed)),
            Repeatable::No => None,
        },
        ApiError::Unauthorized(_)
        | ApiError::Anonymous(_)
        | ApiError::Forbidden(_)
        | ApiError::NotFound
        | ApiError::Refused { .. }
        | ApiError::Declined(_) => None,
    }
}

fn doubled(first: Duration, attempt: u32, longest: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(attempt)).min(longest)
}

/// Between half of `wait` and all of it.
fn jittered(wait: Duration, seed: u64) -> Duration {
    wait / 2 + part(wait / 2, seed)
}

/// Some part of `whole` that only the seed decides; splitmix64's mixing, so that seeds which
/// count up land far apart.
fn part(whole: Duration, seed: u64) -> Duration {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    whole.mul_f64((z >> 11) as f64 / (1_u64 << 53) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn host() -> String {
        "h".into()
    }

    fn limited(wait: Option<u64>) -> ApiError {
        let wait = wait.map(Duration::from_secs);
        ApiError::Limited { message: "slow down".into(), wait, secondary: true }
    }

    fn any_error() -> impl Strategy<Value = ApiError> {
        prop_oneof![
            Just(ApiError::Unreachable { host: host(), detail: "".into() }),
            Just(ApiError::Lost { host: host(), detail: "".into() }),
            Just(ApiError::TimedOut { host: host() }),
            Just(ApiError::Unauthorized("".into())),
            Just(ApiError::Forbidden("".into())),
            prop::option::of(0..100_000_u64).prop_map(limited),
            Just(ApiError::NotFound),
            Just(ApiError::Conflict("".into())),
            Just(ApiError::Refused { status: 422, message: "".into() }),
            Just(ApiError::Server(502)),
            Just(ApiError::Nonsense { host: host(), detail: "".into() }),
        ]
    }

    proptest! {
        #[test]
        fn what_passes_is_repeated_for_ever_and_a_refusal_never(
            attempt: u32, seed: u64, error in any_error(),
        ) {
            let repeated = wait(attempt, Repeatable::Yes, &error, seed).is_some();
            prop_assert_eq!(repeated, error.passes());
        }

        #[test]
        fn a_create_is_repeated_only_when_it_was_certainly_not_acted_on(
            attempt: u32, seed: u64, error in any_error(),
        ) {
            let repeated = wait(attempt, Repeatable::No, &error, seed).is_some();
            prop_assert_eq!(repeated, error.passes() && !error.outcome_unknown());
        }

        #[test]
        fn no_wait_of_our_own_is_longer_than_five_minutes_and_a_bit(
            attempt: u32, seed: u64, error in any_error(),
        ) {
            let told = matches!(error, ApiError::Limited { wait: Some(_), .. });
            if let (Some(wait), false) = (wait(attempt, Repeatable::Yes, &error, seed), told) {
                prop_assert!(wait <= Duration::from_secs(330), "{:?}", wait);
                prop_assert!(wait >= Duration::from_millis(250), "{:?}", wait);
            }
        }

        #[test]
        fn what_github_asks_for_is_obeyed(attempt: u32, seed: u64, told in 0..100_000_u64) {
            let wait = wait(attempt, Repeatable::No, &limited(Some(told)), seed).unwrap();
            prop_assert!(wait >= Duration::from_secs(told));
            prop_assert!(wait <= Duration::from_secs(told + 1));
        }

        #[test]
        fn a_limit_without_a_time_waits_at_least_a_minute(attempt: u32, seed: u64) {
            let wait = wait(attempt, Repeatable::No, &limited(None), seed).unwrap();
            prop_assert!(wait >= Duration::from_secs(60));
        }

        #[test]
        fn waits_grow_with_the_attempts(attempt in 0..6_u32, seed: u64) {
            let down = ApiError::Unreachable { host: host(), detail: "".into() };
            let first = wait(attempt, Repeatable::Yes, &down, seed).unwrap();
            let later = wait(attempt + 1, Repeatable::Yes, &down, seed).unwrap();
            prop_assert!(later > first);
        }
    }

    #[test]
    fn two_clients_do_not_come_back_together() {
        let error = ApiError::Conflict("Gist cannot be updated.".into());
        let waits: std::collections::BTreeSet<_> =
            (0..20).filter_map(|seed| wait(3, Repeatable::Yes, &error, seed)).collect();
        assert_eq!(waits.len(), 20);
    }
}
