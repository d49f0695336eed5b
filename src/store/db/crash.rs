//! Death on order, for tests: in builds with debug assertions the process ends at the N-th point.
//!
//! There are two points a commit, one just before and one just after it. `GISTFS_ABORT_AT=N` names
//! the one to die at, as by SIGKILL: nothing is flushed, closed or told.

/// A point at which the process may be told to die.
pub(super) fn point() {
    #[cfg(debug_assertions)]
    reached();
}

#[cfg(debug_assertions)]
fn reached() {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    static LAST: OnceLock<u64> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);
    let wanted = || std::env::var("GISTFS_ABORT_AT").ok().and_then(|text| text.parse().ok());
    let last = *LAST.get_or_init(|| wanted().unwrap_or(0));
    if last != 0
        && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == last
        && let Err(error) = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL)
    {
        log::error!("the process cannot die as it was told to: {error}");
    }
}
