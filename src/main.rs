//! The command: parse, do, and turn what went wrong into two lines and an exit code.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use gistfs::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    gistfs::command::run(cli.command).unwrap_or_else(|failure| {
        // There is nobody left who could be told.
        drop(writeln!(std::io::stderr(), "{failure}"));
        failure.exit.into()
    })
}
