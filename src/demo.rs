//! A local gist server: GitHub's Gist REST API over real git repositories, mistakes included.
//!
//! Tests, the benchmark and `gistfs demo` run against it, so it is strict where GitHub is: it
//! rewrites CR LF, refuses blank files with a misleading word, cuts off long answers, counts
//! requests. What GitHub does only sometimes is a switch ([`Switches`]), what the network does
//! to a request is a [`Fault`]. It listens on 127.0.0.1 only.
//!
//! A request goes from `connection` through `front` (log, delays, faults) to `routes`, `raw` or
//! `githttp`; what they say comes from `store`, in the shape that `render` gives it.

mod caller;
mod cgi;
mod connection;
mod faults;
mod front;
mod gist;
mod gists;
mod githttp;
mod graphql;
mod hook;
mod journal;
mod language;
mod limits;
mod lists;
mod options;
mod pace;
mod patch;
mod range;
mod raw;
mod record;
mod render;
mod reply;
mod repository;
mod requests;
mod routes;
pub mod samples;
mod server;
mod site;
mod social;
mod spoil;
mod store;
mod switches;

pub use faults::{Fault, FaultKind, Gate};
pub use options::{Account, Limits, ServerOptions};
pub use requests::{LoggedRequest, Origin};
pub use server::{Seed, Server};
pub use switches::Switches;
