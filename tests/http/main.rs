//! The HTTP client against the local server, and against hosts that behave as none should.

#![expect(clippy::unwrap_used, reason = "a helper that cannot help fails its test")]

mod git_failing;
mod git_property;
mod git_pushing;
mod git_reading;
mod git_secrets;
mod git_slow;
mod git_world;
mod github;
mod odd;
mod scripted;
mod secrets;
mod social;
mod streams;
mod support;
