//! From what a connection suffered to an [`ApiError`].

use std::error::Error;
use std::io;

use super::ApiError;

/// Why no answer began.
pub(super) fn not_sent(host: &str, error: &reqwest::Error) -> ApiError {
    let (host, detail) = (host.to_owned(), cause(error));
    if error.is_connect() && error.is_timeout() {
        ApiError::Unreachable { host, detail: "no connection in time".into() }
    } else if error.is_connect() {
        ApiError::Unreachable { host, detail }
    } else if error.is_timeout() {
        ApiError::TimedOut { host }
    } else if error.is_builder() || error.is_redirect() {
        ApiError::Nonsense { host, detail }
    } else {
        ApiError::Lost { host, detail }
    }
}

/// Why an answer that began did not end well.
pub(super) fn cut_off(host: &str, error: &io::Error) -> ApiError {
    let (host, detail) = (host.to_owned(), cause(error));
    let timed_out = |error: &&(dyn Error + 'static)| {
        error.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_timeout)
    };
    let garbled = |error: &&(dyn Error + 'static)| {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        matches!(kind, Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput))
    };
    if chain(error).any(|error| timed_out(&error)) {
        ApiError::TimedOut { host }
    } else if chain(error).any(|error| garbled(&error)) {
        ApiError::Nonsense { host, detail }
    } else {
        ApiError::Lost { host, detail }
    }
}

/// The innermost cause in words. The outer ones repeat it, and reqwest's name the whole address.
pub(super) fn cause(error: &(dyn Error + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

fn chain<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> + use<'a> {
    std::iter::successors(Some(error), |&error| {
        // An `io::Error` gives its inner error's source as its own and so hides the inner one.
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}
