//! gistfs through a real FUSE mount, used by the programs people use.
//!
//! The server runs in this process and the mount in a child: a file system that is served and
//! used by one process can wait for itself. Every test has a server, a mount and a home of its
//! own. Without /dev/fuse, or without one of the programs, the tests fail: none is skipped.

mod about;
mod asking;
mod bytes;
mod command;
mod comments;
mod comments_lost;
mod commits;
mod control;
mod counts;
mod crash;
mod crowd;
mod damage;
mod door;
mod editors;
mod elsewhere;
mod emulated;
mod ends;
mod errands;
mod full;
mod gists;
mod git;
mod git_crash;
mod git_faults;
mod gitless;
mod history;
mod hostile;
mod large;
mod lost;
mod matrix;
mod matrix_social;
mod modes;
mod mounted;
mod offline;
mod ordinary;
mod outcome;
mod power;
mod proxy;
mod pushed;
mod reading;
mod republish;
mod sandbox;
mod saves;
mod secrets;
mod seeing;
mod shape;
mod shapes;
mod terminal;
mod through;
mod trash;
mod truth;
mod unsent;
mod views;
mod world;
mod xattr;
