//! The options of `gistfs status`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// A part of the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Section {
    /// What is left of GitHub's limits
    RateLimit,
    /// What GitHub does not have yet
    Pending,
}

/// Options of `gistfs status`.
#[derive(Args, Debug)]
pub struct StatusArgs {
    /// The mount [default: every mount, and every account that is not mounted]
    pub mountpoint: Option<PathBuf>,
    /// Print this part only, as the file of that name in .gistfs reads
    #[arg(long, value_enum, value_name = "PART", conflicts_with = "json")]
    pub only: Option<Section>,
    /// For programs; doc/SEMANTICS.md lists the fields
    #[arg(long)]
    pub json: bool,
    /// Where mounts keep their state, if they were told [default: $XDG_STATE_HOME/gistfs]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}
