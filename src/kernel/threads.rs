//! Who answers what. The threads that requests come to answer what memory knows; what takes the disk
//! they do themselves only as long as one of them stays free, and never what takes the network.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a thread without work stays for the next.
const IDLE: Duration = Duration::from_secs(10);

/// Room for what one waiting thread calls: a thousand of them take a gigabyte of addresses, and of
/// memory what they touch.
const STACK: usize = 1 << 20;

/// Something that takes its time.
type Job = Box<dyn FnOnce() + Send>;

/// Threads that may wait: as many as there is to wait for, because none may wait for another's
/// end. They stay a while, so that reading file after file does not begin and end a thread for each.
#[derive(Clone, Default)]
pub(super) struct Waiters(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Signalled once for each job that an idle thread is to take.
    wake: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    idle: usize,
    threads: usize,
    /// So many stay however long there is nothing to do.
    kept: usize,
    /// Some job waits because the system gives no more threads, and that was said.
    short: bool,
}

impl State {
    /// Jobs wait for a thread now, or not: whether that is new, and so to be said.
    fn turns(&mut self, short: bool) -> bool {
        std::mem::replace(&mut self.short, short) != short
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiters {
    /// With one thread from now on, whatever happens: jobs that end by themselves are then all done,
    /// also where the system has no threads to give any more.
    pub(super) fn with_one() -> Self {
        let waiters = Self::default();
        match waiters.begin() {
            Ok(()) => {
                let mut state = waiters.0.state();
                (state.threads, state.kept) = (1, 1);
            }
            Err(error) => log::warn!("cannot start a thread to wait with: {error}"),
        }
        waiters
    }

    /// Lets a thread of its own do `job`, which must not panic. Where the system gives no more
    /// threads it is done by the next that is free; where there is none at all it is dropped, and with
    /// it the reply, which the asker hears as EIO.
    pub(super) fn run(&self, job: impl FnOnce() + Send + 'static) {
        let mut state = self.0.state();
        state.jobs.push_back(Box::new(job));
        if state.jobs.len() <= state.idle {
            self.0.wake.notify_one();
            return;
        }
        match self.begin() {
            Ok(()) => state.threads += 1,
            Err(error) if state.threads > 0 => {
                if state.turns(true) {
                    log::warn!("no more threads to wait with, so some wait longer: {error}");
                }
            }
            Err(error) => {
                log::error!("cannot start a thread to wait with: {error}");
                let lost = state.jobs.pop_back();
                // Not under the lock: it answers somebody.
                drop(state);
                drop(lost);
            }
        }
    }

    fn begin(&self) -> io::Result<()> {
        let shared = Arc::clone(&self.0);
        let thread = std::thread::Builder::new().name("gistfs-wait".into()).stack_size(STACK);
        thread.spawn(move || work(&shared)).map(drop)
    }
}

/// Does one job after the other until none has come for a while.
fn work(shared: &Shared) {
    let mut state = shared.state();
    loop {
        if let Some(job) = state.jobs.pop_front() {
            if state.jobs.is_empty() && state.short && state.turns(false) {
                log::info!("there are threads for all who wait again");
            }
            drop(state);
            job();
            state = shared.state();
            continue;
        }
        state.idle += 1;
        let woken = shared.wake.wait_timeout(state, IDLE);
        let (mut woken, waited) = woken.unwrap_or_else(PoisonError::into_inner);
        woken.idle -= 1;
        if waited.timed_out() && woken.jobs.is_empty() && woken.threads > woken.kept {
            woken.threads -= 1;
            return;
        }
        state = woken;
    }
}

/// Places at the disk for the threads that requests come to: fewer than there are threads.
pub(super) struct Places(AtomicUsize);

impl Places {
    /// So many.
    pub(super) fn new(count: usize) -> Self {
        Self(AtomicUsize::new(count))
    }

    /// One of them until it is dropped; `None` if all are taken.
    pub(super) fn take(&self) -> Option<Place<'_>> {
        let one_less = |left: usize| left.checked_sub(1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).ok()?;
        Some(Place(&self.0))
    }
}

/// A place at the disk.
pub(super) struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const AMPLE: Duration = Duration::from_secs(60);

    #[test]
    fn a_thousand_that_wait_hold_nobody_up_and_their_threads_serve_again() {
        let waiters = Waiters::default();
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let (done, ended) = mpsc::channel();
        for number in 0..1000 {
            let (gate, done) = (Arc::clone(&gate), done.clone());
            waiters.run(move || {
                let shut = gate.0.lock().unwrap();
                drop(gate.1.wait_while(shut, |open| !*open).unwrap());
                done.send(number).unwrap();
            });
        }
        let (answer, answered) = mpsc::channel();
        waiters.run(move || answer.send(()).unwrap());
        answered.recv_timeout(AMPLE).expect("one more does not wait for a thousand others");
        assert_eq!(ended.try_recv(), Err(mpsc::TryRecvError::Empty));
        *gate.0.lock().unwrap() = true;
        gate.1.notify_all();
        let mut all: Vec<u32> =
            (0..1000).map(|_| ended.recv_timeout(AMPLE).expect("it ends")).collect();
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
        let threads = waiters.0.state().threads;
        while waiters.0.state().idle < threads {
            std::thread::yield_now();
        }
        let (answer, answered) = mpsc::channel();
        waiters.run(move || answer.send(()).unwrap());
        answered.recv_timeout(AMPLE).expect("an idle one serves");
        assert_eq!(waiters.0.state().threads, threads, "another one was begun");
    }

    #[test]
    fn that_threads_are_short_is_said_once_and_so_is_its_end() {
        let mut state = State::default();
        assert!(state.turns(true) && !state.turns(true) && !state.turns(true));
        assert!(state.turns(false) && !state.turns(false));
        assert!(state.turns(true));
    }

    #[test]
    fn one_thread_is_there_before_it_is_needed() {
        let waiters = Waiters::with_one();
        let (answer, answered) = mpsc::channel();
        assert_eq!(waiters.0.state().threads, 1);
        while waiters.0.state().idle == 0 {
            std::thread::yield_now();
        }
        waiters.run(move || answer.send(()).unwrap());
        answered.recv_timeout(AMPLE).expect("it serves");
        assert_eq!(waiters.0.state().threads, 1);
    }

    #[test]
    fn a_place_is_free_again_when_it_is_left() {
        let places = Places::new(2);
        let first = places.take();
        let second = places.take();
        assert!(first.is_some() && second.is_some() && places.take().is_none());
        drop(first);
        assert!(places.take().is_some());
        drop(second);
    }
}
