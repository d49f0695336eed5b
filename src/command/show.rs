//! What is left after sending.

use super::out::say;
use crate::sync::report::{Owing, Waiting};
use crate::sync::show::{self, Clock};

/// Prints what is left after sending, and what it waits for.
pub(super) fn print_left(left: &[Owing], waiting: Option<&Waiting>) {
    let clock = Clock::now();
    say!("Not on GitHub as it is here:");
    show::owing(left, &clock).iter().for_each(|line| say!("  {line}"));
    if let Some(waiting) = waiting {
        say!("Nothing more may go before {}", show::waiting(waiting, &clock));
    }
}
