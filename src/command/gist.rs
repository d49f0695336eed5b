//! `gistfs fork`, `star`, `unstar` and `open`.

use std::process::{Command, ExitCode, Stdio};

use super::hands::{self, For};
use super::meant;
use super::out::{complain, say};
use crate::cli::{GistArgs, OpenArgs, StarArgs};
use crate::exit::{Exit, Failure};
use crate::sync::show::plain;

/// Forks a gist and says what came of it, a line each: id, address and, in a mount, path.
pub(super) fn fork(args: &GistArgs) -> Result<ExitCode, Failure> {
    let meant = meant::gist(&args.gist)?;
    let forked = hands::find(&args.sender, &meant, For::Forking)?.fork(&meant.id)?;
    if let Some(id) = forked.id {
        say!("{id}");
    }
    for line in forked.url.iter().chain(&forked.path) {
        say!("{}", plain(line));
    }
    Ok(ExitCode::SUCCESS)
}

/// Stars gists, or takes the stars back. One that cannot be starred keeps no other from it.
pub(super) fn star(args: &StarArgs, on: bool) -> Result<ExitCode, Failure> {
    let mut failed = None;
    for word in &args.gists {
        let starred = meant::gist(word).and_then(|meant| {
            hands::find(&args.sender, &meant, For::Changing)?.star(&meant.id, on)
        });
        if let Err(failure) = starred
            && let Some(earlier) = failed.replace(failure)
        {
            complain!("{earlier}");
        }
    }
    failed.map_or(Ok(ExitCode::SUCCESS), Err)
}

/// Says where a gist's page is, and shows it where there is a desktop.
pub(super) fn open(args: &OpenArgs) -> Result<ExitCode, Failure> {
    let meant = meant::gist(&args.gist)?;
    let hands = hands::find(&args.sender, &meant, For::Asking)?;
    let there = hands.locate(&meant.id, meant.file.as_deref())?;
    let url = there.url.filter(|url| is_page(url)).ok_or_else(|| {
        Failure::new(Exit::Network, "GitHub told no address of it", "try again later")
    })?;
    let file = there.file.or(meant.file);
    let url = url + &file.map(|file| anchor(&file)).unwrap_or_default();
    say!("{}", plain(&url));
    if args.print || !has_desktop() {
        return Ok(ExitCode::SUCCESS);
    }
    let mut browser = Command::new("xdg-open");
    browser.arg(&url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let why = match browser.status() {
        Ok(status) if status.success() => return Ok(ExitCode::SUCCESS),
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    Err(Failure::new(
        Exit::Failed,
        format!("xdg-open does not open it: {why}"),
        "install xdg-utils, or use --print",
    ))
}

/// Whether an address that came from a server may be handed to the desktop.
fn is_page(url: &str) -> bool {
    (url.starts_with("https://") || url.starts_with("http://"))
        && !url.chars().any(|c| c.is_whitespace() || c.is_control())
}

fn has_desktop() -> bool {
    ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// The part of a page that shows the file, as GitHub names it: small letters, and what is no
/// letter, digit, `-` or `_` becomes one `-`, none at the ends.
fn anchor(file: &str) -> String {
    let mut named = String::new();
    for c in file.chars() {
        if c.is_ascii_alphanumeric() || c == '_' {
            named.push(c.to_ascii_lowercase());
        } else if !named.is_empty() && !named.ends_with('-') {
            named.push('-');
        }
    }
    match named.trim_end_matches('-') {
        "" => String::new(),
        named => format!("#file-{named}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_on_the_page_by_the_name_that_github_makes_of_it() {
        for (file, expected) in [
            ("hello_world.rb", "#file-hello_world-rb"),
            ("README.md", "#file-readme-md"),
            (".bashrc", "#file-bashrc"),
            ("a  (copy).tar.gz", "#file-a-copy-tar-gz"),
            ("x--y", "#file-x-y"),
            ("日本", ""),
        ] {
            assert_eq!(anchor(file), expected, "{file}");
        }
    }

    #[test]
    fn only_pages_are_handed_to_the_desktop() {
        assert!(is_page("https://gist.github.com/1"));
        for odd in ["file:///etc/passwd", "--help", "", "https://a b", "javascript:x"] {
            assert!(!is_page(odd), "{odd}");
        }
    }
}
