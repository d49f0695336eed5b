//! Which gist a word on the command line means: a path in a mount, an id or an address.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::exit::{Exit, Failure};
use crate::model::GistId;
use crate::mount::point;

/// A gist that was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meant {
    /// Its id.
    pub(super) id: GistId,
    /// The file in it that was named, as the mount shows it.
    pub(super) file: Option<String>,
    /// The mount it was named in.
    pub(super) mount: Option<PathBuf>,
    /// The host of the address.
    pub(super) host: Option<String>,
}

impl Meant {
    fn alone(id: GistId, host: Option<&str>) -> Self {
        Self { id, file: None, mount: None, host: host.map(str::to_owned) }
    }
}

/// What `word` means.
pub(super) fn gist(word: &str) -> Result<Meant, Failure> {
    if let Some(host) = host_of(word) {
        // git's short form has a colon where others have a slash.
        let address =
            if word.contains("://") { word.to_owned() } else { word.replacen(':', "/", 1) };
        return match GistId::of_address(&address) {
            Some(id) => Ok(Meant::alone(id, Some(host))),
            None => Err(unclear(word)),
        };
    }
    let real = Path::new(word).canonicalize();
    let found = real.as_ref().ok().and_then(|path| Some((path, mount_of(path)?)));
    match (found, real.as_ref().map_err(std::io::Error::kind)) {
        (Some((path, mount)), _) => in_mount(path, mount),
        (None, Err(kind)) if kind != ErrorKind::NotFound && kind != ErrorKind::NotADirectory => {
            let why = real.err().map(|error| error.to_string()).unwrap_or_default();
            Err(unreadable(Path::new(word), &why))
        }
        (None, Ok(_) | Err(_)) => {
            // An id is hex digits, or decimal ones where the gist is old.
            let id =
                GistId::parse(word).filter(|id| id.as_str().chars().all(|c| c.is_ascii_hexdigit()));
            id.map(|id| Meant::alone(id, None)).ok_or_else(|| unclear(word))
        }
    }
}

/// The host of an address, `https://HOST/…` or `git@HOST:…`.
fn host_of(word: &str) -> Option<&str> {
    let rest = match word.split_once("://") {
        Some((_, rest)) => rest,
        None => word.strip_prefix("git@")?,
    };
    let host = rest.split('/').next()?;
    let host = host.rsplit('@').next()?;
    // Behind the colon of git's short form is a path, not a port.
    Some(match host.split_once(':') {
        Some((name, port)) if port.is_empty() || !port.chars().all(|c| c.is_ascii_digit()) => name,
        Some(_) | None => host,
    })
}

/// The gistfs mount that `path` is in.
fn mount_of(path: &Path) -> Option<PathBuf> {
    let within = point::mounts().into_iter().filter(|mount| path.starts_with(mount));
    within.max_by_key(|mount| mount.components().count())
}

/// The gist whose directory, or something in it, is at `path`.
fn in_mount(path: &Path, mount: PathBuf) -> Result<Meant, Failure> {
    let mut below: Option<&Path> = None;
    for directory in path.ancestors().take_while(|path| path.starts_with(&mount)) {
        match std::fs::read_to_string(directory.join(".gist/id")) {
            Ok(id) => {
                let file = below.and_then(Path::file_name).and_then(|name| name.to_str());
                let file = file.filter(|name| *name != ".gist").map(str::to_owned);
                let id = GistId::parse(id.trim()).ok_or_else(|| not_there_yet(directory))?;
                return Ok(Meant { id, file, mount: Some(mount), host: None });
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => return Err(unreadable(path, &error.to_string())),
        }
        below = Some(directory);
    }
    Err(Failure::new(
        Exit::Usage,
        format!("{} is in no gist", path.display()),
        "name a gist's directory, or a file in it",
    ))
}

fn not_there_yet(directory: &Path) -> Failure {
    Failure::new(
        Exit::Failed,
        format!("GitHub does not have {} yet", directory.display()),
        "gistfs sync sends it",
    )
}

fn unreadable(path: &Path, why: &str) -> Failure {
    Failure::new(
        Exit::Failed,
        format!("cannot look at {}: {why}", path.display()),
        "give the id or the address",
    )
}

fn unclear(word: &str) -> Failure {
    Failure::new(
        Exit::Usage,
        format!("{word:?} is no path in a mount, no id and no gist's address"),
        "copy the address from the browser, or name a directory in a mount",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_host_and_gist_and_an_id_only_the_gist() {
        let id = "aa5a315d61ae9438b18d";
        for (word, host) in [
            (format!("https://gist.github.com/octo/{id}"), Some("gist.github.com")),
            (format!("https://ghe.example.com:8443/gist/octo/{id}"), Some("ghe.example.com:8443")),
            (format!("https://octo:secret@gist.github.com/{id}.git"), Some("gist.github.com")),
            (format!("git@gist.github.com:{id}.git"), Some("gist.github.com")),
            (format!("ssh://git@gist.github.com/{id}.git"), Some("gist.github.com")),
            (id.to_owned(), None),
        ] {
            let meant = gist(&word).unwrap();
            assert_eq!((meant.id.as_str(), meant.host.as_deref()), (id, host), "{word}");
        }
    }

    #[test]
    fn what_is_neither_path_nor_id_nor_address_is_refused_before_anybody_is_asked() {
        for word in ["", "Notes", "./aa5a315d", "https://gist.github.com/", "/", "a b"] {
            let failure = gist(word).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{word}: {failure}");
        }
    }
}
