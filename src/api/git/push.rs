//! One commit on top of another, checked before anything leaves, and pushed.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::{self, Read};

use super::fetch::{commit_id, tree};
use super::program::{GitOptions, Place};
use super::tree::Tree;
use super::words;
use super::{Head, NewCommit};
use crate::api::ApiError;
use crate::model::{BlobId, CommitId};

/// Nothing is compared with anything: bodies go straight to a pack.
const IMPORT: &[&str] = &["fast-import", "--quiet", "--done", "--depth=0"];

/// How much of a body is read at a time.
const PIECE: usize = 64 << 10;

/// See [`Repository::push`](super::Repository::push).
pub(super) fn push(
    place: &Place,
    head: &Head,
    before: &Tree,
    commit: &NewCommit<'_>,
    heard: &dyn Fn(),
) -> Result<CommitId, ApiError> {
    let after = before.with(commit.files)?;
    if let (Some(unchanged), true) = (&head.commit, after == *before) {
        return Ok(unchanged.clone());
    }
    if place.options().token.is_none() {
        return Err(ApiError::Anonymous("there is none".into()));
    }
    let there = before.bodies();
    let wanted: BTreeSet<BlobId> =
        commit.files.values().copied().filter(|id| !there.contains(id)).collect();
    import(place, &wanted, commit.body, heard)?;
    let made = place.here(&["mktree", "-z", "--missing"], &after.listing(), heard)?;
    let made = commit_id(&made).ok_or_else(|| place.nonsense("the id of a tree that is none"))?;
    // What leaves is what git took in, not what it was told.
    if tree(place, made.as_str(), heard)? != after {
        return Err(place.nonsense("a tree that is not the one it was told to make"));
    }
    let made = committed(place, head, &made, commit, heard)?;
    send(place, head, &made, heard)?;
    Ok(made)
}

/// Puts bodies into the repository. Git's own id of each proves it.
fn import(
    place: &Place,
    wanted: &BTreeSet<BlobId>,
    open: &dyn Fn(BlobId) -> io::Result<std::fs::File>,
    heard: &dyn Fn(),
) -> Result<(), ApiError> {
    if wanted.is_empty() {
        return Ok(());
    }
    let unread =
        |error: &io::Error| ApiError::local("cannot read a body that is to be pushed", error);
    let broken = |broken| place.broken(IMPORT, broken, false);
    let mut running = place.begin(IMPORT, &[], heard)?;
    let mut piece = vec![0; PIECE];
    for &id in wanted {
        let mut file = open(id).map_err(|error| unread(&error))?;
        let length = file.metadata().map_err(|error| unread(&error))?.len();
        let head = format!("blob\nmark :1\ndata {length}\n");
        running.say(head.as_bytes()).map_err(broken)?;
        let mut left = length;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            let read = match file.read(piece.get_mut(..most).unwrap_or_default()) {
                Ok(0) => return Err(unread(&io::ErrorKind::UnexpectedEof.into())),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(unread(&error)),
            };
            running.say(piece.get(..read).unwrap_or_default()).map_err(broken)?;
            left -= read as u64;
        }
        running.say(b"\nget-mark :1\n").map_err(broken)?;
    }
    running.say(b"done\n").map_err(broken)?;
    let told = place.checked(IMPORT, running.end().map_err(broken)?)?;
    let expected: String = wanted.iter().map(|id| format!("{id}\n")).collect();
    if told != expected.as_bytes() {
        return Err(unread(&io::Error::other("it is not what its id says")));
    }
    Ok(())
}

/// Makes the commit as GitHub itself would: without a message, by the login behind the token.
fn committed(
    place: &Place,
    head: &Head,
    tree: &CommitId,
    commit: &NewCommit<'_>,
    heard: &dyn Fn(),
) -> Result<CommitId, ApiError> {
    let (name, email) = author(place.options());
    let date = format!("@{} +0000", commit.at.seconds());
    let who: BTreeMap<&str, &OsStr> = BTreeMap::from([
        ("GIT_AUTHOR_NAME", name.as_ref()),
        ("GIT_AUTHOR_EMAIL", email.as_ref()),
        ("GIT_AUTHOR_DATE", date.as_ref()),
        ("GIT_COMMITTER_NAME", name.as_ref()),
        ("GIT_COMMITTER_EMAIL", email.as_ref()),
        ("GIT_COMMITTER_DATE", date.as_ref()),
    ]);
    let mut words = vec!["commit-tree", tree.as_str()];
    if let Some(parent) = &head.commit {
        words.extend(["-p", parent.as_str()]);
    }
    let who: Vec<_> = who.into_iter().collect();
    let broken = |broken| place.broken(&words, broken, false);
    let ended = place.begin(&words, &who, heard)?.end().map_err(broken)?;
    let made = place.checked(&words, ended)?;
    commit_id(&made).ok_or_else(|| place.nonsense("the id of a commit that is none"))
}

/// Name and address of an author whom GitHub recognizes.
fn author(options: &GitOptions) -> (String, String) {
    let login = options.login.as_deref().unwrap_or("gistfs");
    let host = options.endpoint.host();
    // A port is no part of an address.
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    let number = options.number.map(|number| format!("{number}+")).unwrap_or_default();
    (login.to_owned(), format!("{number}{login}@users.noreply.{host}"))
}

/// Pushes `commit`, if the branch still is where it was when it was fetched.
fn send(place: &Place, head: &Head, commit: &CommitId, heard: &dyn Fn()) -> Result<(), ApiError> {
    let name = format!("refs/heads/{}", head.branch);
    let change = format!("{commit}:{name}");
    // Stricter than a plain push, not laxer: that one would also go on top of a branch that was set
    // back, and bring back what somebody took away. The commit's parent is what is expected there.
    let expected = head.commit.as_ref().map(CommitId::as_str).unwrap_or_default();
    let lease = format!("--force-with-lease={name}:{expected}");
    let words = [
        "push",
        "--porcelain",
        "--progress",
        "--no-thin",
        "--no-verify",
        "--no-signed",
        &lease,
        "--",
        place.remote.url(),
        &change,
    ];
    let ended = place.there(&words, None, b"", heard)?;
    let output = String::from_utf8_lossy(&ended.output).into_owned();
    let told = output.lines().find_map(|line| {
        let mut parts = line.splitn(3, '\t');
        let (flag, about, reason) = (parts.next()?, parts.next()?, parts.next()?);
        (about == change).then_some((flag, reason))
    });
    match told {
        Some((" " | "*" | "=", _)) if ended.code == Some(0) => Ok(()),
        Some(("!", reason)) => {
            Err(words::rejection(reason, &ended.words, place.with(&place.remote.host())))
        }
        Some(_) | None if ended.code == Some(0) => {
            Err(place.nonsense("a push that it does not tell the end of"))
        }
        Some(_) | None => Err(place.failed(&ended.words)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::git::watch::Patience;
    use crate::api::host::Endpoint;

    #[test]
    fn the_author_is_whom_github_recognizes() {
        for (host, number, email) in [
            ("github.com", None, "octo@users.noreply.github.com"),
            ("github.com", Some(7), "7+octo@users.noreply.github.com"),
            ("ghe.example.com:8443", Some(7), "7+octo@users.noreply.ghe.example.com"),
            ("octo.ghe.com", None, "octo@users.noreply.octo.ghe.com"),
        ] {
            let options = GitOptions {
                program: None,
                endpoint: Endpoint::of_host(host).unwrap(),
                token: None,
                login: Some("octo".into()),
                number,
                directory: "/none".into(),
                patience: Patience::default(),
            };
            assert_eq!(author(&options), ("octo".to_owned(), email.to_owned()));
        }
    }
}
