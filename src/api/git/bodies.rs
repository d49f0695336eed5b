//! Bodies out of a repository, those it lacks fetched before, all in one go.

use std::collections::BTreeSet;
use std::io::{self, Read};

use super::TakeBody;
use super::child::{Broken, Running};
use super::program::Place;
use super::words;
use crate::api::ApiError;
use crate::model::BlobId;

/// Longer than any line that `git cat-file` begins a body with.
const LONGEST_HEAD: usize = 100;

const GIVE: &[&str] = &["cat-file", "--batch"];

/// Hands `wanted` to `take`, each once.
pub(super) fn bring(
    place: &Place,
    wanted: &[BlobId],
    take: TakeBody<'_>,
    heard: &dyn Fn(),
) -> Result<(), ApiError> {
    let mut seen = BTreeSet::new();
    let wanted: Vec<BlobId> = wanted.iter().copied().filter(|&id| seen.insert(id)).collect();
    let missing = missing(place, &wanted, heard)?;
    if missing.is_empty() {
        return give(place, &wanted, take, heard);
    }
    let words = [
        "fetch",
        "--progress",
        "--stdin",
        "--filter=blob:none",
        "--no-tags",
        "--no-write-fetch-head",
        "--recurse-submodules=no",
        "origin",
    ];
    let ended = place.there(&words, Some("blob:none"), &lines(&missing), heard)?;
    if ended.code == Some(0) {
        return give(place, &wanted, take, heard);
    }
    if !words::wants_advertised(&ended.words) {
        return Err(place.failed(&ended.words));
    }
    // An old server gives whole commits only. What is here would keep it from sending them.
    let (absent, here): (Vec<BlobId>, Vec<BlobId>) =
        wanted.iter().partition(|id| missing.contains(id));
    let whole = place.another()?;
    whole.lay_out(heard)?;
    let words = [
        "fetch",
        "--progress",
        "--depth=1",
        "--no-tags",
        "--no-write-fetch-head",
        "--",
        place.remote.url(),
        "HEAD",
    ];
    let ended = whole.there(&words, None, b"", heard)?;
    if ended.code != Some(0) {
        return Err(place.failed(&ended.words));
    }
    give(place, &here, take, heard)?;
    give(&whole, &absent, take, heard)
}

/// Those of `wanted` that the repository lacks.
fn missing(
    place: &Place,
    wanted: &[BlobId],
    heard: &dyn Fn(),
) -> Result<BTreeSet<BlobId>, ApiError> {
    let words = ["cat-file", "--batch-check"];
    let told = place.here(&words, &lines(wanted), heard)?;
    let told = String::from_utf8_lossy(&told);
    if told.lines().count() != wanted.len() {
        return Err(place.nonsense("not one line for each body"));
    }
    let lacks = |(&id, line): (&BlobId, &str)| line.ends_with(" missing").then_some(id);
    Ok(wanted.iter().zip(told.lines()).filter_map(lacks).collect())
}

fn lines<'a>(ids: impl IntoIterator<Item = &'a BlobId>) -> Vec<u8> {
    ids.into_iter().flat_map(|id| format!("{id}\n").into_bytes()).collect()
}

/// Hands over bodies that are in the repository, one after the other and never one as a whole.
fn give(
    place: &Place,
    wanted: &[BlobId],
    take: TakeBody<'_>,
    heard: &dyn Fn(),
) -> Result<(), ApiError> {
    if wanted.is_empty() {
        return Ok(());
    }
    let mut running = place.begin(GIVE, &[], heard)?;
    let broken = |broken| place.broken(GIVE, broken, false);
    for &id in wanted {
        running.say(format!("{id}\n").as_bytes()).map_err(broken)?;
        let Some(head) = head(&mut running).map_err(broken)? else {
            return place
                .checked(GIVE, running.end().map_err(broken)?)
                .and_then(|_| Err(place.nonsense("it ends before the last body")));
        };
        let length = match head.split(' ').collect::<Vec<_>>()[..] {
            [name, "blob", length] if name == id.to_string() => length.parse().ok(),
            [_, "missing"] => return Err(ApiError::NotFound),
            _ => None,
        };
        let length = length.ok_or_else(|| place.nonsense("not the body that was asked for"))?;
        let mut body = Body { running: &mut running, left: length, broken: None };
        let taken = take(id, length, &mut body).and_then(|()| body.skip());
        match (taken, body.broken.take()) {
            (_, Some(reason)) => return Err(broken(reason)),
            (Err(error), None) => return Err(ApiError::local("cannot store a body", &error)),
            (Ok(()), None) => {}
        }
        let mut end = [0];
        if running.hear(&mut end).map_err(broken)? != 1 || end != *b"\n" {
            return Err(place.nonsense("a body that does not end"));
        }
    }
    place.checked(GIVE, running.end().map_err(broken)?).map(drop)
}

/// The line before a body; `None` where there is none.
fn head(running: &mut Running<'_>) -> Result<Option<String>, Broken> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < LONGEST_HEAD {
        match (running.hear(&mut byte)?, byte) {
            (0, _) => return Ok(None),
            (_, [b'\n']) => return Ok(Some(String::from_utf8_lossy(&line).into_owned())),
            (_, [byte]) => line.push(byte),
        }
    }
    Ok(Some(String::new()))
}

/// What is left to read of a body.
struct Body<'a, 'b> {
    running: &'a mut Running<'b>,
    left: u64,
    /// Why no more can be read, where git is to blame.
    broken: Option<Broken>,
}

impl Body<'_, '_> {
    /// Reads over what nobody wanted.
    fn skip(&mut self) -> io::Result<()> {
        io::copy(self, &mut io::sink()).map(drop)
    }
}

impl Read for Body<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        let Some(into) = into.get_mut(..most).filter(|into| !into.is_empty()) else { return Ok(0) };
        match self.running.hear(into) {
            Ok(0) => {
                let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, "git ends within a body");
                self.broken = Some(Broken::System(cut()));
                Err(cut())
            }
            Ok(length) => {
                self.left -= length as u64;
                Ok(length)
            }
            Err(reason) => {
                self.broken = Some(reason);
                Err(io::Error::other("git does not go on"))
            }
        }
    }
}
