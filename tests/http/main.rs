//! The HTTP client against the local server, and against hosts that behave as none should.

#![expect(clippy::unwrap_used, reason = "a helper that cannot help fails its test")]

mod github;
mod odd;
mod scripted;
mod secrets;
mod social;
mod streams;
mod support;
