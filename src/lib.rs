//! gistfs mounts a person's GitHub gists as a directory tree.
//!
//! The modules from the kernel down to GitHub; an arrow points down only, and each outside crate
//! has one home (`tests/layering.rs` checks both):
//!
//! ```text
//! main  command  cli  config  auth     what the user typed, and what it means
//! mount                                mounted: signals, background, the control socket
//! kernel                               FUSE requests unpacked; decides nothing
//! fs                                   what every file operation means
//! tree                                 numbers and names; no I/O, no clock
//! sync                                 plan and merge (pure), upload, refresh, bodies, trash
//! store                                what a gist holds: SQLite, blobs, memory, trash
//! api                                  the Gist API: a trait, and the client
//! model  error  exit                   words everything else is said in
//! demo                                 a local gist server, for tests and `gistfs demo`
//! ```
//!
//! Three ideas carry it. *Local first*: the mount shows the last known remote state with the
//! user's unsent changes on top, and nothing that is known waits for the network. *State, not
//! operations*: a gist is a `base` (GitHub's word) and what the user sees; [`sync::plan`] turns
//! the difference into one request. *Content by its id*: a body is known by its git blob id, so a
//! listing alone tells whether a stored one is current.
//!
//! Locks are taken in one order: an open file's body, the tree, the store. None of them is held
//! while the network is asked.

#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod api;
pub mod auth;
pub mod cli;
pub mod command;
pub mod config;
pub mod demo;
pub mod error;
pub mod exit;
pub mod fs;
pub mod kernel;
#[cfg(test)]
mod measured;
pub mod model;
pub mod mount;
pub mod store;
pub mod sync;
pub mod tree;
