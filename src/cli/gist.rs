//! The options of the commands about one gist.

use std::path::PathBuf;

use clap::Args;

/// Who sends the request.
#[derive(Args, Clone, Debug)]
pub struct Sender {
    /// The mount that is to do it [default: the one that has it, or the host's only one]
    #[arg(long, value_name = "MOUNTPOINT")]
    pub mount: Option<PathBuf>,
    /// GitHub's host, where no path says it [default: $GH_HOST, or github.com]
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// The API's address, instead of the one that follows from --host
    #[arg(long, value_name = "URL")]
    pub api_url: Option<String>,
    /// Do it with the token in this file; no mount is asked
    #[arg(long, value_name = "FILE", conflicts_with = "mount")]
    pub token_file: Option<PathBuf>,
}

/// Options of `gistfs fork`.
#[derive(Args, Debug)]
pub struct GistArgs {
    /// A path in a mount, an id or an address
    pub gist: String,
    /// Who sends it
    #[command(flatten)]
    pub sender: Sender,
}

/// Options of `gistfs star` and `gistfs unstar`.
#[derive(Args, Debug)]
pub struct StarArgs {
    /// Paths in a mount, ids or addresses
    #[arg(required = true, value_name = "GIST")]
    pub gists: Vec<String>,
    /// Who sends it
    #[command(flatten)]
    pub sender: Sender,
}

/// Options of `gistfs open`.
#[derive(Args, Debug)]
pub struct OpenArgs {
    /// A path in a mount, an id or an address
    pub gist: String,
    /// Open nothing
    #[arg(long)]
    pub print: bool,
    /// Who asks for it
    #[command(flatten)]
    pub sender: Sender,
}

/// Options of `gistfs publish` and `gistfs hide`.
#[derive(Args, Debug)]
pub struct RepublishArgs {
    /// A gist of yours in a mount
    pub path: PathBuf,
    /// Move the old gist to the trash without asking
    #[arg(short, long)]
    pub yes: bool,
}
