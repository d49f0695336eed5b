//! Asking before something is done that cannot be undone.

use std::io::{IsTerminal as _, Write as _};

use crate::exit::{Exit, Failure};

/// Fails unless there is a terminal to ask on. `what` is what asks, as in "purging".
pub(super) fn can_ask(what: &str) -> Result<(), Failure> {
    if std::io::stdin().is_terminal() {
        return Ok(());
    }
    Err(failed(format!("{what} asks first, and there is no terminal to ask on")))
}

/// Whether the user says yes to `question`.
pub(super) fn confirmed(question: &str) -> Result<bool, Failure> {
    let mut answer = String::new();
    let mut out = std::io::stdout();
    let asked = write!(out, "{question} [y/N] ").and_then(|()| out.flush());
    let asked = asked.and_then(|()| std::io::stdin().read_line(&mut answer));
    asked.map_err(|error| failed(format!("cannot ask: {error}")))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn failed(message: String) -> Failure {
    Failure::new(Exit::Usage, message, "say --yes if you mean it")
}
