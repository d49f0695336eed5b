//! The local gist server does what GitHub does, so that what works against it works there.
//!
//! "Row N" in a doc comment is a line of the table of GitHub's behaviours in `README.md` here
//! that the server has to show. Every test starts a server of its own.

mod access;
mod creating;
mod desk;
mod faults;
mod git;
mod git_faults;
mod git_rules;
mod graphql;
mod journal;
mod lists;
mod persistence;
mod raw;
mod reading;
mod record;
mod social;
mod speed;
mod updating;
mod world;
