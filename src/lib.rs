//! gistfs mounts a person's GitHub gists as a directory tree.

pub mod api;
pub mod auth;
pub mod demo;
pub mod error;
pub mod fs;
pub mod kernel;
pub mod model;
pub mod store;
pub mod sync;
pub mod tree;
