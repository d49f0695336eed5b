//! Connections that are kept for the next request, and given up when they may be dead unawares.
//!
//! After a suspend or a change of networks nobody says that a kept connection is dead: what is sent
//! over it vanishes. So connections are not kept over a suspend, nor after one fell silent.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use reqwest::blocking::Client;

/// A sleep shorter than that breaks no connection.
const NAP: Duration = Duration::from_secs(2);

type Build = Box<dyn Fn() -> reqwest::Result<Client> + Send + Sync>;

/// A client that can be exchanged for one without connections. Requests under way keep theirs.
pub(super) struct Pool {
    build: Build,
    /// A leaf, held to look and to exchange.
    current: Mutex<Current>,
}

struct Current {
    client: Client,
    /// Tells the clients apart.
    number: u64,
    /// It has brought an answer, so it may have kept a connection.
    answered: bool,
    /// How long the machine had been asleep, all in all, when it was made.
    slept: Duration,
}

/// A client to send one request with.
pub(super) struct Lent {
    pub(super) client: Client,
    number: u64,
    /// It may go over a connection kept from before, which may be dead.
    pub(super) kept: bool,
}

impl Pool {
    /// A pool of the clients that `build` makes.
    pub(super) fn new(build: Build) -> reqwest::Result<Self> {
        let client = build()?;
        let current = Current { client, number: 0, answered: false, slept: slept() };
        Ok(Self { build, current: Mutex::new(current) })
    }

    /// The client for the next request: one without connections if the machine slept meanwhile.
    pub(super) fn lend(&self) -> Lent {
        let mut current = self.current();
        if slept().saturating_sub(current.slept) >= NAP {
            self.exchange(&mut current);
        }
        let Current { client, number, answered, .. } = &*current;
        Lent { client: client.clone(), number: *number, kept: *answered }
    }

    /// Notes that an answer came.
    pub(super) fn answered(&self, lent: &Lent) {
        let mut current = self.current();
        current.answered |= current.number == lent.number;
    }

    /// Gives up the connections after a request got no answer. Tells whether asking again may help:
    /// the silence may have been that of a connection kept from before.
    pub(super) fn fell_silent(&self, lent: &Lent) -> bool {
        let mut current = self.current();
        if current.number != lent.number {
            return true;
        }
        let kept = current.answered;
        if kept {
            self.exchange(&mut current);
        }
        kept
    }

    fn exchange(&self, current: &mut Current) {
        match (self.build)() {
            Ok(client) => {
                let old = std::mem::replace(&mut current.client, client);
                current.number += 1;
                (current.answered, current.slept) = (false, slept());
                // Its end waits for a look-up of a name that may still be under way.
                let ends = std::thread::Builder::new().name("gistfs-old".into());
                if let Err(error) = ends.spawn(move || drop(old)) {
                    log::debug!("no thread for the end of a connection: {error}");
                }
            }
            Err(error) => log::warn!("connections cannot be made anew: {error}"),
        }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long the machine has been asleep since it was started.
fn slept() -> Duration {
    let read = |clock| clock_gettime(clock).map(Duration::from);
    match (read(ClockId::CLOCK_BOOTTIME), read(ClockId::CLOCK_MONOTONIC)) {
        (Ok(all), Ok(awake)) => all.saturating_sub(awake),
        (Err(_), _) | (_, Err(_)) => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> Pool {
        Pool::new(Box::new(|| Client::builder().tls_certs_only([]).build())).unwrap()
    }

    #[test]
    fn connections_are_given_up_after_a_silence_only_if_there_were_any() {
        let pool = pool();
        let first = pool.lend();
        assert!(!pool.fell_silent(&first), "a new connection was silent: asking again is useless");
        assert_eq!(pool.lend().number, first.number);
        pool.answered(&first);
        assert!(pool.fell_silent(&first));
        let second = pool.lend();
        assert_ne!(second.number, first.number);
        assert!(pool.fell_silent(&first), "somebody else has given it up already");
        assert_eq!(pool.lend().number, second.number);
        pool.answered(&first);
        assert!(!pool.fell_silent(&second));
    }

    #[test]
    fn no_connection_is_kept_over_a_sleep_of_the_machine() {
        let pool = pool();
        let first = pool.lend();
        assert_eq!(pool.lend().number, first.number);
        pool.current().slept = slept().saturating_sub(NAP);
        // A machine that never slept cannot have slept less when the client was made.
        let expected = u64::from(slept() >= NAP);
        assert_eq!(pool.lend().number, first.number + expected);
    }
}
