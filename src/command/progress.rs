//! How sending goes, on a terminal; elsewhere only the result is said.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::sync::Progress;
use crate::sync::show::{Clock, plain};

/// Gists done, the one under way, and what is waited for.
const TEMPLATE: &str = "{bar:24} {pos}/{len} {wide_msg}";

/// A bar on standard error, if that is a terminal; gone when dropped.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// A bar that shows nothing yet.
    pub(super) fn new() -> Self {
        // Hides itself where there is no terminal.
        Self(ProgressBar::no_length())
    }

    /// Shows how far it has come.
    pub(super) fn see(&self, progress: &Progress) {
        if self.0.length().is_none() {
            match ProgressStyle::with_template(TEMPLATE) {
                Ok(style) => self.0.set_style(style),
                Err(error) => log::debug!("{error}"),
            }
            // Draws what came too fast to be drawn at once.
            self.0.enable_steady_tick(Duration::from_millis(200));
        }
        self.0.set_length(progress.total as u64);
        self.0.set_position(progress.done as u64);
        let title = progress.title.as_deref().map(plain).unwrap_or_default();
        self.0.set_message(match &progress.waiting {
            Some(waiting) => {
                format!(
                    "waits until {}: {}",
                    Clock::now().time(&waiting.until),
                    plain(&waiting.why)
                )
            }
            None => title,
        });
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
