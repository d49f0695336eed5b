//! JSON ↔ stars, forks, commits, comments.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use super::{Files, Gist, Malformed, Told, User, encode, parse};
use crate::api::social::{Comment, Commit, Fork};
use crate::model::{CommentId, CommitId, GistId, Time};

/// The most entries of a page; a hundred are asked for.
const MOST_ENTRIES: usize = 1000;

/// Reads a page of commits and whether all of it could be read.
pub(in crate::api) fn commits(json: &[u8]) -> Result<(Vec<Commit>, bool), Malformed> {
    entries::<WireCommit>(json)
}

/// Reads a page of comments and whether all of it could be read. Where nothing could, that is no page.
pub(in crate::api) fn comments(json: &[u8]) -> Result<(Vec<Comment>, bool), Malformed> {
    match entries::<WireComment>(json)? {
        (told, false) if told.is_empty() => Err("none of it tells of a comment".into()),
        read => Ok(read),
    }
}

/// Reads a page of forks and whether all of it could be read.
pub(in crate::api) fn forks(json: &[u8]) -> Result<(Vec<Fork>, bool), Malformed> {
    entries::<WireFork>(json)
}

/// Reads the answer for a single comment.
pub(in crate::api) fn comment(json: &[u8]) -> Result<Comment, Malformed> {
    let comment: WireComment = parse(json)?;
    comment.told().ok_or_else(|| "it does not tell of a comment".into())
}

/// Reads the answer to a fork, which may name no files: they are unknown then, not gone.
pub(in crate::api) fn forked(json: &[u8]) -> Result<Told, Malformed> {
    let mut gist: Gist = parse(json)?;
    gist.files.get_or_insert_with(|| Files(Default::default()));
    let mut told = gist.told().ok_or("it does not tell of a gist")?;
    let snapshot = &mut told.gist.snapshot;
    snapshot.truncated |= snapshot.files.is_empty();
    Ok(told)
}

/// The id of the gist that one whole JSON object tells of.
pub(in crate::api) fn id_of(json: &[u8]) -> Result<GistId, Malformed> {
    #[derive(serde::Deserialize)]
    struct Named {
        id: Option<String>,
    }
    if std::str::from_utf8(json).is_err() {
        return Err("it is not UTF-8".into());
    }
    let named: Named = parse(json)?;
    // A list whose first entry is an id would be read as an object too.
    if json.trim_ascii_start().first() != Some(&b'{') {
        return Err("it is no object".into());
    }
    let id = named.id.as_deref().and_then(GistId::parse);
    id.ok_or_else(|| "it does not tell of a gist".into())
}

/// The body of the request that writes a comment.
pub(in crate::api) fn comment_body(text: &str) -> Vec<u8> {
    #[derive(serde::Serialize)]
    struct Body<'a> {
        body: &'a str,
    }
    encode(&Body { body: text })
}

/// What a page is made of.
trait Entry<'de>: Deserialize<'de> {
    /// What it stands for.
    type Told;
    /// What the page is a list of.
    const LIST: &'static str;

    /// Its meaning, if it has one.
    fn told(self) -> Option<Self::Told>;
}

fn entries<'a, E: Entry<'a>>(json: &'a [u8]) -> Result<(Vec<E::Told>, bool), Malformed> {
    let Page::<E>(told, all) = parse(json)?;
    Ok((told, all))
}

/// What could be read of a page, and whether that is all. Read one by one, so that what has no end
/// takes no memory.
struct Page<'de, E: Entry<'de>>(Vec<E::Told>, bool);

impl<'de, E: Entry<'de>> Deserialize<'de> for Page<'de, E> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Entries<E>(PhantomData<E>);
        impl<'de, E: Entry<'de>> Visitor<'de> for Entries<E> {
            type Value = Page<'de, E>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of {}", E::LIST)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let (mut told, mut count) = (Vec::new(), 0);
                while let Some(entry) = list.next_element::<Option<E>>()? {
                    count += 1;
                    if count > MOST_ENTRIES {
                        return Err(A::Error::custom("too many entries"));
                    }
                    match entry.and_then(E::told) {
                        Some(entry) => told.push(entry),
                        None => log::debug!("entry {count} of {} makes no sense", E::LIST),
                    }
                }
                let all = told.len() == count;
                Ok(Page(told, all))
            }
        }
        json.deserialize_seq(Entries(PhantomData))
    }
}

#[derive(serde::Deserialize)]
struct WireCommit {
    version: Option<String>,
    committed_at: Option<String>,
}

impl Entry<'_> for WireCommit {
    type Told = Commit;
    const LIST: &'static str = "commits";

    fn told(self) -> Option<Commit> {
        Some(Commit {
            version: CommitId::parse(&self.version?)?,
            committed_at: time(self.committed_at.as_deref()).unwrap_or_default(),
        })
    }
}

#[derive(serde::Deserialize)]
struct WireComment {
    id: Option<u64>,
    user: Option<User>,
    body: Option<String>,
    created_at: Option<String>,
    updated_at: Option<String>,
}

impl Entry<'_> for WireComment {
    type Told = Comment;
    const LIST: &'static str = "comments";

    fn told(self) -> Option<Comment> {
        let (created_at, updated_at) = times(self.created_at, self.updated_at);
        Some(Comment {
            id: CommentId(self.id?),
            author: login(self.user),
            body: self.body?,
            created_at,
            updated_at,
        })
    }
}

#[derive(serde::Deserialize)]
struct WireFork {
    id: Option<String>,
    owner: Option<User>,
    user: Option<User>,
    created_at: Option<String>,
    updated_at: Option<String>,
    html_url: Option<String>,
}

impl Entry<'_> for WireFork {
    type Told = Fork;
    const LIST: &'static str = "forks";

    fn told(self) -> Option<Fork> {
        let (created_at, _) = times(self.created_at, self.updated_at);
        Some(Fork {
            id: GistId::parse(&self.id?)?,
            // Within the answer for a gist its forks' owners are called users.
            owner: login(self.owner).or_else(|| login(self.user)),
            created_at,
            html_url: self.html_url.unwrap_or_default(),
        })
    }
}

fn login(user: Option<User>) -> Option<String> {
    user?.login.filter(|login| !login.is_empty())
}

fn time(text: Option<&str>) -> Option<Time> {
    text.and_then(Time::parse)
}

/// When it was made and last changed; the one stands for the other where it is missing.
fn times(created: Option<String>, updated: Option<String>) -> (Time, Time) {
    let (created, updated) = (time(created.as_deref()), time(updated.as_deref()));
    (created.or(updated).unwrap_or_default(), updated.or(created).unwrap_or_default())
}
