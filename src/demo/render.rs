//! The JSON shapes of gists, users, commits and comments.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::gist::{Comment, Gist, Version};
use super::language;
use super::raw::key;
use super::repository::{Commit, File};
use super::store::Store;
use crate::model::BlobId;

/// A gist answer shows no more files than this.
pub(super) const MOST_FILES: usize = 300;

/// A gist answer carries no more content than this, all files together.
const CONTENT_BUDGET: usize = 1 << 20;

/// `history` shows so many commits; nobody knows GitHub's number. The rest is at `/commits`.
const HISTORY_SHOWN: usize = 100;

/// What a URL segment may hold as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// How an answer is to look.
pub(super) struct Style {
    /// The API's address as this request used it, `/api/v3` included.
    pub(super) api: String,
    /// The address of raw bodies and git.
    pub(super) raw: String,
    /// All contents in base64, as its media type asks.
    pub(super) base64: bool,
    /// No `encoding`, bytes mangled into text.
    pub(super) old_enterprise: bool,
    /// The addresses of raw bodies bring what opens them.
    pub(super) raw_tokens: bool,
    /// Names whose entries are `null`.
    pub(super) null_files: BTreeSet<String>,
    /// Logins whose accounts are gone.
    pub(super) ghosts: BTreeSet<String>,
}

/// The number GitHub would have given the account: links to a user's gists name it.
pub(super) fn user_id(login: &str) -> u64 {
    let digest = BlobId::of(login.as_bytes()).to_string();
    1_000 + u64::from_str_radix(&digest[..6], 16).unwrap_or_default()
}

/// Opaque, as all of GitHub's are.
fn node_id(kind: &str, id: &str) -> String {
    format!("{kind}_{}", STANDARD.encode(id).trim_end_matches('='))
}

impl Style {
    /// A user as everywhere an owner or author is shown.
    pub(super) fn user(&self, login: &str) -> Value {
        let id = user_id(login);
        let home = format!("{}/users/{login}", self.api);
        json!({
            "login": login,
            "id": id,
            "node_id": node_id("U", &id.to_string()),
            "avatar_url": format!("{}/avatars/{id}", self.raw),
            "gravatar_id": "",
            "url": home,
            "html_url": format!("{}/{login}", self.raw),
            "gists_url": format!("{home}/gists{{/gist_id}}"),
            "type": "User",
            "site_admin": false,
        })
    }

    /// Who wrote something; `null` once the account is gone.
    fn author(&self, login: &str) -> Value {
        if self.ghosts.contains(login) { Value::Null } else { self.user(login) }
    }

    /// A gist as lists show it.
    pub(super) fn listed(&self, gist: &Gist, version: &Version) -> Value {
        let mut object = self.frame(gist, version);
        let files = version.files.iter().take(MOST_FILES);
        let files = files.map(|(name, file)| (name.clone(), self.entry(gist, name, file)));
        object.insert("files".to_owned(), Value::Object(files.collect()));
        object.insert("truncated".to_owned(), (version.files.len() > MOST_FILES).into());
        Value::Object(object)
    }

    /// A fork as lists of forks show it: no files at all, and no word on truncation.
    pub(super) fn fork(&self, gist: &Gist) -> Value {
        let mut object = self.frame(gist, &gist.tip);
        object.insert("files".to_owned(), json!({}));
        Value::Object(object)
    }

    /// A gist as a single answer shows it, contents included as far as the budget goes.
    pub(super) fn full(&self, store: &Store, gist: &Gist, version: &Version) -> io::Result<Value> {
        let mut object = self.frame(gist, version);
        object.insert("truncated".to_owned(), (version.files.len() > MOST_FILES).into());
        object.insert("files".to_owned(), self.contents(store, gist, version)?);
        let history = version.history.iter().rev().take(HISTORY_SHOWN);
        let history: Vec<Value> = history.map(|commit| self.commit(gist, commit)).collect();
        object.insert("history".to_owned(), history.into());
        let forks: Vec<Arc<Gist>> = gist.forks.iter().filter_map(|id| store.get(id)).collect();
        let forks: Vec<Value> = forks.iter().map(|fork| self.fork_reference(fork)).collect();
        object.insert("forks".to_owned(), forks.into());
        let source = gist.fork_of.as_deref().and_then(|id| store.get(id));
        let source = source.map(|source| self.listed(&source, &source.tip));
        object.insert("fork_of".to_owned(), source.unwrap_or(Value::Null));
        Ok(Value::Object(object))
    }

    /// All that lists and single answers share.
    fn frame(&self, gist: &Gist, version: &Version) -> Map<String, Value> {
        let id = &gist.id;
        let url = format!("{}/gists/{id}", self.api);
        let git = format!("{}/{id}.git", self.raw);
        let mut object = Map::new();
        let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
        put("forks_url", format!("{url}/forks").into());
        put("commits_url", format!("{url}/commits").into());
        put("comments_url", format!("{url}/comments").into());
        put("url", url.into());
        put("id", id.as_str().into());
        put("node_id", node_id("G", id).into());
        put("git_pull_url", git.as_str().into());
        put("git_push_url", git.into());
        put("html_url", format!("{}/{id}", self.raw).into());
        put("public", gist.public.into());
        put("created_at", gist.created_at.to_string().into());
        put("updated_at", version.updated_at.to_string().into());
        put("description", version.description.clone().into());
        put("comments", gist.comments.len().into());
        put("comments_enabled", true.into());
        put("user", Value::Null);
        // The key is absent, not null, where nobody owns the gist.
        if let Some(owner) = &gist.owner {
            put("owner", self.user(owner));
        }
        object
    }

    fn entry(&self, gist: &Gist, name: &str, file: &File) -> Value {
        if self.null_files.contains(name) {
            return Value::Null;
        }
        let (language, kind) = language::of(name);
        json!({
            "filename": name,
            "type": kind,
            "language": language,
            "raw_url": self.raw_url(gist, name, file.blob),
            "size": file.size,
        })
    }

    fn raw_url(&self, gist: &Gist, name: &str, blob: BlobId) -> String {
        let name = utf8_percent_encode(name, SEGMENT);
        let path = format!("/{}/{}/raw/{blob}/{name}", gist.owner_in_urls(), gist.id);
        let key = if self.raw_tokens { format!("?token={}", key(&path)) } else { String::new() };
        format!("{}{path}{key}", self.raw)
    }

    /// The files with their contents. Once one is cut off all later ones are empty, however
    /// small: GitHub counts the answer, not the file.
    fn contents(&self, store: &Store, gist: &Gist, version: &Version) -> io::Result<Value> {
        let repository = store.repository(&gist.id)?;
        let mut left = CONTENT_BUDGET;
        let mut spent = false;
        let mut files = Map::new();
        for (name, file) in version.files.iter().take(MOST_FILES) {
            let mut entry = self.entry(gist, name, file);
            if let Value::Object(entry) = &mut entry {
                let bytes = if spent { None } else { repository.body(file.blob)? };
                let bytes = bytes.unwrap_or_default();
                let cut = bytes.len() > left;
                let shown = if cut { &bytes[..left] } else { &bytes[..] };
                let (content, encoding) = self.content(shown, &bytes);
                left -= shown.len();
                spent |= cut;
                entry.insert("truncated".to_owned(), spent.into());
                entry.insert("content".to_owned(), content.into());
                if !self.old_enterprise {
                    entry.insert("encoding".to_owned(), encoding.into());
                }
            }
            files.insert(name.clone(), entry);
        }
        Ok(Value::Object(files))
    }

    /// A content and its `encoding`; `shown` is the start of `whole`.
    fn content(&self, shown: &[u8], whole: &[u8]) -> (String, &'static str) {
        let binary = whole.contains(&0) || std::str::from_utf8(whole).is_err();
        if self.base64 || (binary && !self.old_enterprise) {
            return (STANDARD.encode(shown), "base64");
        }
        let valid = match std::str::from_utf8(shown) {
            Err(error) if !binary => &shown[..error.valid_up_to()],
            Ok(_) | Err(_) => shown,
        };
        (String::from_utf8_lossy(valid).into_owned(), "utf-8")
    }

    /// A commit as in `history` and at `/commits`.
    pub(super) fn commit(&self, gist: &Gist, commit: &Commit) -> Value {
        let Commit { version, author, at, additions, deletions } = commit;
        json!({
            "user": author.as_deref().map(|login| self.author(login)),
            "version": version,
            "committed_at": at.to_string(),
            "change_status": {
                "total": additions + deletions,
                "additions": additions,
                "deletions": deletions,
            },
            "url": format!("{}/gists/{}/{version}", self.api, gist.id),
        })
    }

    fn fork_reference(&self, fork: &Gist) -> Value {
        json!({
            "id": fork.id,
            "url": format!("{}/gists/{}", self.api, fork.id),
            "user": fork.owner.as_deref().map(|login| self.user(login)),
            "created_at": fork.created_at.to_string(),
            "updated_at": fork.tip.updated_at.to_string(),
        })
    }

    /// A comment.
    pub(super) fn comment(&self, gist: &Gist, comment: &Comment) -> Value {
        let owner = gist.owner.as_deref() == Some(comment.author.as_str());
        json!({
            "id": comment.id,
            "node_id": node_id("GC", &comment.id.to_string()),
            "url": format!("{}/gists/{}/comments/{}", self.api, gist.id, comment.id),
            "body": comment.body,
            "user": self.author(&comment.author),
            "created_at": comment.created_at.to_string(),
            "updated_at": comment.updated_at.to_string(),
            "author_association": if owner { "OWNER" } else { "NONE" },
        })
    }
}
