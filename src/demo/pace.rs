//! How fast a connection writes, where it is made to be slow.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// Time lost to a timer that rings late is made up for, up to this.
const SLACK: Duration = Duration::from_millis(30);

/// The pauses between the pieces. They are a timer's, so no thread waits.
#[derive(Default)]
pub(super) struct Pace {
    due: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    /// The most that is written at once: what a fiftieth of a second has room for.
    pub(super) fn piece(speed: Option<u64>) -> usize {
        let piece = speed.map(|speed| (speed / 50).clamp(1, 64 << 10));
        piece.and_then(|piece| usize::try_from(piece).ok()).unwrap_or(usize::MAX)
    }

    /// Ready when the next piece may be written.
    pub(super) fn poll_due(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(timer) = &mut self.timer {
            ready!(timer.as_mut().poll(context));
            self.timer = None;
        }
        Poll::Ready(())
    }

    /// Counts what was written.
    pub(super) fn written(&mut self, bytes: usize, speed: Option<u64>) {
        let Some(speed) = speed else { return };
        let now = Instant::now();
        let from = self.due.map_or(now, |due| due.max(now.checked_sub(SLACK).unwrap_or(now)));
        let due = from + Duration::from_secs_f64(bytes as f64 / speed.max(1) as f64);
        self.due = Some(due);
        if due > now {
            self.timer = Some(Box::pin(tokio::time::sleep_until(due)));
        }
    }
}
