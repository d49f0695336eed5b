//! gistfs mounts a person's GitHub gists as a directory tree.

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
pub mod model;
pub mod mount;
pub mod store;
pub mod sync;
pub mod tree;
