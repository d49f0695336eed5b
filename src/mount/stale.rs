//! Telling the kernel what it must forget.
//!
//! To forget the bytes of a file the kernel waits for the reads of it that are under way, and to
//! forget a name for lookups in its directory: for as long as a body takes to come. Nobody else's news
//! wait for that.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::fs::Stale;
use crate::tree::Ino;

/// When telling takes longer than this, another thread goes on with the rest.
const SOON: Duration = Duration::from_millis(50);

/// Tells, and waits for whatever the kernel waits for.
type Tell = Box<dyn Fn(&Stale) + Send + Sync>;

/// Threads that tell: one of them at a time, and besides it those that found they have to wait.
#[derive(Clone)]
pub(super) struct Teller(Arc<Shared>);

struct Shared {
    tell: Tell,
    /// A leaf: held to look and to note, never while the kernel is told.
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Default)]
struct State {
    news: VecDeque<Stale>,
    /// Whom somebody is telling of: about one of them all is told in order.
    busy: HashSet<Ino>,
    /// When the one who tells last began; `None` if nobody does.
    began: Option<(u64, Instant)>,
    /// How often somebody began.
    turns: u64,
    /// Threads that wait for news or for their turn.
    idle: usize,
}

/// Whom the kernel waits for when it is told.
fn about(stale: &Stale) -> Ino {
    match stale {
        Stale::Node(ino) | Stale::Name(ino, _) => *ino,
    }
}

impl State {
    /// The first news that nobody has to wait for.
    fn next(&mut self) -> Option<Stale> {
        let at = self.news.iter().position(|stale| !self.busy.contains(&about(stale)))?;
        self.news.remove(at)
    }
}

impl Teller {
    /// Tells by `tell`, from now on.
    pub(super) fn start(tell: impl Fn(&Stale) + Send + Sync + 'static) -> io::Result<Self> {
        let (state, moved) = (Mutex::default(), Condvar::new());
        let shared = Arc::new(Shared { tell: Box::new(tell), state, moved });
        begin(&shared)?;
        Ok(Self(shared))
    }

    /// Takes in one more. Waits for nobody.
    pub(super) fn send(&self, stale: Stale) {
        self.0.state().news.push_back(stale);
        self.0.moved.notify_all();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn begin(shared: &Arc<Shared>) -> io::Result<()> {
    let shared = Arc::clone(shared);
    std::thread::Builder::new().name("gistfs-notify".into()).spawn(move || work(&shared)).map(drop)
}

fn work(shared: &Arc<Shared>) {
    let mut state = shared.state();
    loop {
        // Somebody tells, and is not slow: the order of all news is kept as far as that goes.
        let left = state.began.map(|(_, began)| SOON.saturating_sub(began.elapsed()));
        let blocked = left.filter(|left| !left.is_zero());
        let next = if blocked.is_none() { state.next() } else { None };
        let Some(stale) = next else {
            // Enough wait; they are to look at what has changed.
            if state.idle > 1 {
                shared.moved.notify_all();
                return;
            }
            state.idle += 1;
            state = match blocked.filter(|_| !state.news.is_empty()) {
                Some(left) => {
                    let woken = shared.moved.wait_timeout(state, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => shared.moved.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
            state.idle -= 1;
            continue;
        };
        let ino = about(&stale);
        state.busy.insert(ino);
        state.turns += 1;
        let turn = state.turns;
        state.began = Some((turn, Instant::now()));
        if state.idle == 0
            && let Err(error) = begin(shared)
        {
            log::debug!("the kernel is told by as many threads as there are: {error}");
        }
        drop(state);
        (shared.tell)(&stale);
        state = shared.state();
        state.busy.remove(&ino);
        if state.began.is_some_and(|(last, _)| last == turn) {
            state.began = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, TryRecvError};

    use super::*;

    const AMPLE: Duration = Duration::from_secs(60);

    #[test]
    fn news_of_a_file_that_is_waited_for_hold_up_no_others_and_stay_in_order() {
        let (told, heard) = mpsc::channel();
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let door = Arc::clone(&gate);
        let teller = Teller::start(move |stale| {
            if about(stale).0 <= 3 {
                let shut = door.0.lock().unwrap();
                drop(door.1.wait_while(shut, |open| !*open).unwrap());
            }
            told.send(stale.clone()).unwrap();
        })
        .unwrap();
        let named = |name: &str| Stale::Name(Ino(1), name.into());
        let slow = [Stale::Node(Ino(1)), named("a"), Stale::Node(Ino(1)), named("b")];
        for stale in slow.clone().into_iter().chain([Stale::Node(Ino(2)), Stale::Node(Ino(3))]) {
            teller.send(stale);
        }
        for number in 4..100 {
            teller.send(Stale::Node(Ino(number)));
        }
        let mut others: Vec<u64> =
            (4..100).map(|_| about(&heard.recv_timeout(AMPLE).expect("it is told")).0).collect();
        others.sort_unstable();
        assert_eq!(others, (4..100).collect::<Vec<_>>());
        assert_eq!(heard.try_recv(), Err(TryRecvError::Empty));
        *gate.0.lock().unwrap() = true;
        gate.1.notify_all();
        let rest: Vec<Stale> =
            (0..6).map(|_| heard.recv_timeout(AMPLE).expect("it is told")).collect();
        let of_one: Vec<Stale> = rest.into_iter().filter(|stale| about(stale) == Ino(1)).collect();
        assert_eq!(of_one, slow);
    }
}
