//! JSON ↔ model. The only file that spells a key of the Gist API.
//!
//! Reading is tolerant, because old, anonymous and Enterprise gists lack fields that others
//! have: unknown keys are ignored, and missing is the same as `null`. But an answer without
//! `description` or `files` tells of something else than a gist: nothing must be taken for gone
//! because of it. Writing is exact.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize};

use self::bounded::{Files, Gists, History};
use super::{FileChange, FullGist, NewGist, Patch};
use crate::model::{BlobId, FileName, GistId, RemoteFile, Snapshot, Time};

mod bounded;
pub(super) mod social;

/// A gist as read, and what could not be read of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// All that could be read.
    pub(super) gist: FullGist,
    /// Files that exist but whose body's id the answer does not tell.
    pub(super) unknown: Vec<FileName>,
}

/// Why an answer cannot be read. Never quotes the answer: it may hold somebody's secret.
pub(super) type Malformed = String;

/// Reads the answer for a single gist.
pub(super) fn gist(json: &[u8]) -> Result<Told, Malformed> {
    read(json, "utf-8")
}

/// The same of an answer whose contents are in base64, whether it says so or not.
pub(super) fn gist_in_base64(json: &[u8]) -> Result<Told, Malformed> {
    read(json, "base64")
}

/// Reads a gist whose contents are in `encoding` where they do not say otherwise.
fn read(json: &[u8], encoding: &'static str) -> Result<Told, Malformed> {
    let mut gist: Gist = parse(json)?;
    let files = gist.files.iter_mut().flat_map(|Files(all)| all.values_mut());
    for file in files.flatten() {
        file.encoding.get_or_insert_with(|| encoding.to_owned());
    }
    gist.told().ok_or_else(|| "it does not tell of a gist".into())
}

/// Reads a page of a list. What is not told of as a gist is left out, with a warning; whether that
/// happened is told too: such a page must not be remembered as seen.
pub(super) fn list(json: &[u8]) -> Result<(Vec<Told>, bool), Malformed> {
    let Gists(told, all) = parse(json)?;
    Ok((told, all))
}

/// Reads whose token it is: the login, which must be fit to name a directory, and the number.
pub(super) fn user(json: &[u8]) -> Result<(String, Option<u64>), Malformed> {
    let user: Me = parse(json)?;
    let fit = |c: char| c.is_ascii_alphanumeric() || "-_[]".contains(c);
    let login = user
        .login
        .filter(|login| !login.is_empty() && login.len() <= 100 && login.chars().all(fit))
        .ok_or("the user has no usable login")?;
    Ok((login, user.id.as_ref().and_then(serde_json::Value::as_u64)))
}

/// What an error answer complains of, its list of errors included, or `None` if it is no such answer.
pub(super) fn complaint(json: &[u8]) -> Option<String> {
    let complaint: Complaint = serde_json::from_slice(json).ok()?;
    let details: Vec<String> =
        complaint.errors.into_iter().flatten().map(|error| error.to_string()).collect();
    match (complaint.message?, details.is_empty()) {
        (message, true) => Some(message),
        (message, false) => Some(format!("{message}: {}", details.join(", "))),
    }
}

/// The body of the request that makes `gist`.
pub(super) fn create(gist: &NewGist) -> Vec<u8> {
    let content = |text| FileBody { filename: None, content: Some(text) };
    encode(&CreateBody {
        description: &gist.description,
        public: gist.public,
        files: gist.files.iter().map(|(name, text)| (name.as_str(), content(text))).collect(),
    })
}

/// The body of the request that applies `patch`.
pub(super) fn update(patch: &Patch) -> Vec<u8> {
    encode(&UpdateBody {
        description: patch.description.as_deref(),
        files: patch.files.iter().map(|(name, what)| (name.as_str(), change(what))).collect(),
    })
}

fn change(change: &FileChange) -> Option<FileBody<'_>> {
    match change {
        FileChange::Write(text) => Some(FileBody { filename: None, content: Some(text) }),
        FileChange::Rename(to, text) => {
            Some(FileBody { filename: Some(to.as_str()), content: text.as_deref() })
        }
        FileChange::Delete => None,
    }
}

/// The blob's id in a `raw_url`: the segment after `/raw/`. `None` where GitHub names no blob.
fn blob_in(raw_url: &str) -> Option<BlobId> {
    let path = raw_url.split(['?', '#']).next()?;
    let mut segments = path.split('/').peekable();
    while let Some(segment) = segments.next() {
        let id = segments.peek().filter(|_| segment == "raw").and_then(|id| id.parse().ok());
        if id.is_some() {
            return id;
        }
    }
    None
}

fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, Malformed> {
    serde_json::from_slice(json).map_err(|error| {
        let text = json.trim_ascii_start();
        let what = match error.classify() {
            _ if text.is_empty() => "it is empty",
            _ if text.first() == Some(&b'<') => "it is a web page, not JSON",
            serde_json::error::Category::Data => "its JSON has not the expected form",
            serde_json::error::Category::Eof => "its JSON is cut off",
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => {
                "it is not JSON"
            }
        };
        format!("{what} (line {}, column {})", error.line(), error.column())
    })
}

/// Text, numbers and maps with text keys always have a JSON form, so nothing is ever lost here.
fn encode(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).unwrap_or_default()
}

#[derive(Deserialize)]
struct Gist {
    id: Option<String>,
    /// Without a description it is `null`; missing it is never.
    #[serde(default, deserialize_with = "given")]
    description: Option<Option<String>>,
    public: Option<bool>,
    owner: Option<User>,
    created_at: Option<String>,
    updated_at: Option<String>,
    html_url: Option<String>,
    git_pull_url: Option<String>,
    truncated: Option<bool>,
    files: Option<Files>,
    history: Option<History>,
}

/// Tells a field that is `null` from one that is missing.
fn given<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(value).map(Some)
}

#[derive(Deserialize)]
struct User {
    login: Option<String>,
}

#[derive(Deserialize)]
struct Me {
    login: Option<String>,
    id: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Version {
    version: Option<String>,
}

#[derive(Deserialize)]
struct File {
    raw_url: Option<String>,
    size: Option<u64>,
    language: Option<String>,
    truncated: Option<bool>,
    content: Option<String>,
    encoding: Option<String>,
}

impl Gist {
    fn told(self) -> Option<Told> {
        let id = self.id.unwrap_or_default();
        let Some(id) = GistId::parse(&id) else {
            log::warn!("a gist with the unusable id {id:?} is left out");
            return None;
        };
        let (Some(description), Some(Files(all))) = (self.description, self.files) else {
            log::warn!("gist {id} comes without its description or its files; it is left out");
            return None;
        };
        let truncated = self.truncated.unwrap_or(false);
        let mut files = BTreeMap::new();
        let mut bodies = BTreeMap::new();
        let mut unknown = Vec::new();
        for (name, file) in all {
            let Some(file) = file else { continue };
            // The key is what a PATCH addresses the file by, so it and not `filename` is the name.
            let Some(name) = FileName::parse(&name) else {
                log::warn!("a file without a name in gist {id} is left out");
                continue;
            };
            match file.told(truncated) {
                Some((file, body)) => {
                    bodies.extend(body.map(|body| (file.blob, body)));
                    files.insert(name, file);
                }
                None => unknown.push(name),
            }
        }
        let history = self.history.map(|History(commits)| commits).unwrap_or_default();
        let updated_at = self.updated_at.as_deref().and_then(Time::parse);
        let created_at = self.created_at.as_deref().and_then(Time::parse).or(updated_at);
        let snapshot = Snapshot {
            id,
            description: description.unwrap_or_default(),
            public: self.public.unwrap_or(false),
            owner: self.owner.and_then(|owner| owner.login),
            created_at: created_at.unwrap_or_default(),
            updated_at: updated_at.or(created_at).unwrap_or_default(),
            html_url: self.html_url.unwrap_or_default(),
            git_url: self.git_pull_url.unwrap_or_default(),
            truncated,
            completed: false,
            revision: history.first().map(ToString::to_string),
            etag: None,
            files,
        };
        Some(Told { gist: FullGist { snapshot, bodies, history }, unknown })
    }
}

impl File {
    /// The file and, where it came whole, its body; `None` if its blob's id cannot be known.
    fn told(self, gist_truncated: bool) -> Option<(RemoteFile, Option<Bytes>)> {
        let raw_url = self.raw_url.unwrap_or_default();
        let whole = !self.truncated.unwrap_or(false);
        let inline = if whole { decode(self.content, self.encoding.as_deref()) } else { None };
        let (blob, size, body) = match (blob_in(&raw_url), inline) {
            // The id proves the body, so it also settles the size.
            (Some(id), Some(body)) if BlobId::of(&body) == id => {
                (id, body.len() as u64, Some(body))
            }
            // An old server mangles what is not UTF-8 and does not say so: the id tells.
            (Some(id), _) => (id, self.size?, None),
            // Nothing to prove the body by, so everything else must speak for it.
            (None, Some(body)) if !gist_truncated && self.size == Some(body.len() as u64) => {
                (BlobId::of(&body), body.len() as u64, Some(body))
            }
            (None, _) => return None,
        };
        Some((RemoteFile { blob, size, raw_url, language: self.language }, body))
    }
}

fn decode(content: Option<String>, encoding: Option<&str>) -> Option<Bytes> {
    let content = content?;
    match encoding {
        None | Some("utf-8") => Some(Bytes::from(content)),
        Some("base64") => {
            let digits: Vec<u8> =
                content.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
            STANDARD.decode(digits).ok().map(Bytes::from)
        }
        Some(_) => None,
    }
}

#[derive(Deserialize)]
struct Complaint {
    message: Option<String>,
    errors: Option<Vec<Fault>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Fault {
    Text(String),
    Fields {
        resource: Option<String>,
        field: Option<String>,
        code: Option<String>,
        message: Option<String>,
    },
    Other(serde::de::IgnoredAny),
}

/// `Gist.files missing_field`, or the words that came instead.
impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Fields { message: Some(message), .. } => f.write_str(message),
            Self::Fields { resource, field, code, message: None } => {
                let place: Vec<&str> =
                    [resource, field].into_iter().flatten().map(|s| &**s).collect();
                write!(f, "{} {}", place.join("."), code.as_deref().unwrap_or("invalid"))
            }
            Self::Other(_) => f.write_str("an error of unknown form"),
        }
    }
}

#[derive(Serialize)]
struct CreateBody<'a> {
    description: &'a str,
    public: bool,
    files: BTreeMap<&'a str, FileBody<'a>>,
}

#[derive(Serialize)]
struct UpdateBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    /// `null` deletes the file, which is why the value may not be skipped.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    files: BTreeMap<&'a str, Option<FileBody<'a>>>,
}

#[derive(Serialize)]
struct FileBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
