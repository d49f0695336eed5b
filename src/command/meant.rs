//! Which gist a word on the command line means: a path in a mount, an id or an address.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::exit::{Exit, Failure};
use crate::model::{GistAddress, GistId};
use crate::mount::point;
use crate::tree::hidden::Hidden;

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

impl From<GistAddress> for Meant {
    fn from(address: GistAddress) -> Self {
        Self { id: address.id, file: None, mount: None, host: address.host }
    }
}

/// What `word` means.
pub(super) fn gist(word: &str) -> Result<Meant, Failure> {
    let real = Path::new(word).canonicalize();
    let found = real.as_ref().ok().and_then(|path| Some((path, mount_of(path)?)));
    if let Some((path, mount)) = found {
        return in_mount(path, mount);
    }
    if let Some(address) = GistAddress::parse(word) {
        return Ok(address.into());
    }
    match real {
        Err(error) if !is_nothing(&error) => Err(unreadable(Path::new(word), &error.to_string())),
        Ok(_) | Err(_) => Err(unclear(word)),
    }
}

fn is_nothing(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// The gistfs mount that `path` is in.
pub(super) fn mount_of(path: &Path) -> Option<PathBuf> {
    let within = point::mounts().into_iter().filter(|mount| path.starts_with(mount));
    within.max_by_key(|mount| mount.components().count())
}

/// The gist whose directory, or something in it, is at `path`.
fn in_mount(path: &Path, mount: PathBuf) -> Result<Meant, Failure> {
    let mut below: Option<&str> = None;
    for directory in path.ancestors().take_while(|path| path.starts_with(&mount)) {
        // Where one gist is the root, what hangs beside its files is not of it.
        if directory == mount && below.is_some_and(|name| Hidden::at_root(name).is_some()) {
            break;
        }
        match std::fs::read_to_string(directory.join(".gist/id")) {
            Ok(id) => {
                let file = below.filter(|name| *name != ".gist").map(str::to_owned);
                let id = GistId::parse(id.trim()).ok_or_else(|| not_there_yet(directory))?;
                return Ok(Meant { id, file, mount: Some(mount), host: None });
            }
            Err(error) if is_nothing(&error) => {}
            Err(error) => return Err(unreadable(path, &error.to_string())),
        }
        below = directory.file_name().and_then(|name| name.to_str());
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
    fn what_is_neither_path_nor_id_nor_address_is_refused_before_anybody_is_asked() {
        for word in [
            "",
            "Notes",
            "./aa5a315d",
            "https://gist.github.com/",
            "https://gist.github.com/octo",
            "/",
            "a b",
        ] {
            let failure = gist(word).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{word}: {failure}");
        }
    }
}
