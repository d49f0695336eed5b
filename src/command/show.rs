//! What is left after sending.

use crate::sync::report::{Owing, Waiting};
use crate::sync::show::{self, Clock};

/// Prints what is left after sending, and what it waits for.
pub(super) fn print_left(left: &[Owing], waiting: Option<&Waiting>) {
    let clock = Clock::now();
    println!("Not on GitHub as it is here:");
    show::owing(left, &clock).iter().for_each(|line| println!("  {line}"));
    if let Some(waiting) = waiting {
        println!("Nothing more may go before {}", show::waiting(waiting, &clock));
    }
}
