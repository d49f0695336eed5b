//! What the body of a `POST` or `PATCH` means. Pure: bodies and a gist in, a plan or a refusal out.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::gist::Version;
use super::reply::Reply;
use super::repository::File;
use super::store::Body;
use super::switches::Switches;

/// What a `POST /gists` asks for.
#[derive(Debug)]
pub(super) struct Creation {
    pub(super) description: Option<String>,
    pub(super) public: bool,
    pub(super) files: BTreeMap<String, Vec<u8>>,
}

/// What a `PATCH` makes of a gist.
#[derive(Debug)]
pub(super) struct Edit {
    pub(super) description: Option<String>,
    pub(super) files: BTreeMap<String, Body>,
}

/// The JSON object in a request body; none at all counts as an empty one.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, Reply> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(Reply::error(400, "Body should be a JSON object")),
        Err(_) => Err(Reply::error(400, "Problems parsing JSON")),
    }
}

/// Reads the body of a `POST /gists`.
pub(super) fn creation(body: &Map<String, Value>) -> Result<Creation, Reply> {
    let description = description(body)?;
    let public = match body.get("public") {
        None => false,
        Some(Value::Bool(public)) => *public,
        Some(Value::String(text)) if text == "true" || text == "false" => text == "true",
        Some(other) => return Err(Reply::invalid(Some("public"), other, "a boolean")),
    };
    let mut files = BTreeMap::new();
    let mut acceptable = true;
    for (name, value) in files_of(body)?.into_iter().flatten() {
        let Value::Object(file) = value else {
            return Err(Reply::invalid(Some("files"), value, "an object"));
        };
        let content = match file.get("content") {
            Some(Value::String(content)) => content,
            Some(other) => return Err(Reply::invalid(Some("content"), other, "a string")),
            // No content at all is no schema error, but no file either.
            None => "",
        };
        acceptable &= good_name(name) && !blank(content);
        files.insert(name.clone(), stored(content));
    }
    if files.is_empty() || !acceptable {
        return Err(Reply::missing_files());
    }
    Ok(Creation { description, public, files })
}

/// Reads the body of a `PATCH` against the gist it is for.
pub(super) fn edit(
    base: &Version,
    body: &Map<String, Value>,
    switches: &Switches,
) -> Result<Edit, Reply> {
    let described = description(body)?;
    let changes = files_of(body)?;
    if described.is_none() && !body.contains_key("public") && changes.is_none_or(Map::is_empty) {
        return Err(Reply::missing_files());
    }
    let mut draft =
        Draft { base, switches, gone: BTreeSet::new(), put: Vec::new(), refused: false };
    for (name, value) in changes.into_iter().flatten() {
        draft.add(name, value)?;
    }
    let sole = described.is_none() && changes.is_some_and(|changes| changes.len() == 1);
    if sole && switches.sticky_duplicate_delete && draft.deletes_a_duplicate(changes) {
        return Err(Reply::missing_files());
    }
    let description = described.or_else(|| base.description.clone());
    let files = draft.outcome().ok_or_else(Reply::missing_files)?;
    Ok(Edit { description, files })
}

fn description(body: &Map<String, Value>) -> Result<Option<String>, Reply> {
    match body.get("description") {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(Reply::invalid(None, other, "a string")),
    }
}

fn files_of(body: &Map<String, Value>) -> Result<Option<&Map<String, Value>>, Reply> {
    match body.get("files") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(files)) => Ok(Some(files)),
        Some(other) => Err(Reply::invalid(Some("files"), other, "an object")),
    }
}

/// The files to be, while a `PATCH` is read.
struct Draft<'a> {
    base: &'a Version,
    switches: &'a Switches,
    gone: BTreeSet<String>,
    put: Vec<Put>,
    /// One change without effect or sense spoils the whole request.
    refused: bool,
}

struct Put {
    name: String,
    body: Body,
    /// The name is new for this file, so it must not be another file's.
    renamed: bool,
}

impl Draft<'_> {
    fn add(&mut self, name: &str, value: &Value) -> Result<(), Reply> {
        let change = match value {
            Value::Null => {
                self.delete(name);
                return Ok(());
            }
            Value::Object(change) => change,
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                return Err(Reply::invalid(Some("files"), value, "an object"));
            }
        };
        let content = match change.get("content") {
            None => None,
            Some(Value::String(content)) => Some(content),
            // Seen once; nobody knows why it is not a schema error like the others.
            Some(Value::Null) => return Err(Reply::not_found()),
            Some(other) => return Err(Reply::invalid(Some("content"), other, "a string")),
        };
        let target = match change.get("filename") {
            None => None,
            Some(Value::String(target)) => Some(target.as_str()),
            Some(other) => return Err(Reply::invalid(Some("filename"), other, "a string")),
        };
        match (content, target) {
            (None, None) => self.delete(name),
            (content, target) => {
                self.put(name, target.unwrap_or(name), content.map(String::as_str));
            }
        }
        Ok(())
    }

    fn delete(&mut self, name: &str) {
        self.refused |= !self.base.files.contains_key(name);
        self.gone.insert(name.to_owned());
    }

    fn put(&mut self, name: &str, target: &str, content: Option<&str>) {
        let old = self.base.files.get(name);
        let renamed = old.is_some() && target != name;
        let body = match (content, old) {
            (Some(content), Some(_)) if blank(content) && !renamed => {
                if !self.switches.blank_keeps {
                    return self.delete(name);
                }
                Body::New(stored(content))
            }
            (Some(content), _) if !blank(content) => Body::New(stored(content)),
            (None, Some(old)) => Body::Kept(old.clone()),
            (Some(_), _) | (None, None) => {
                self.refused = true;
                return;
            }
        };
        // A name in use already may be one that today's rules refuse.
        self.refused |= (renamed || old.is_none()) && !good_name(target);
        if renamed {
            self.gone.insert(name.to_owned());
        }
        self.put.push(Put { name: target.to_owned(), body, renamed });
    }

    /// Whether the one change is a null-deletion of a file whose bytes another file has too.
    fn deletes_a_duplicate(&self, changes: Option<&Map<String, Value>>) -> bool {
        let Some((name, Value::Null)) = changes.and_then(|changes| changes.iter().next()) else {
            return false;
        };
        let same = |file: &File| self.base.files.values().filter(|f| f.blob == file.blob).count();
        self.base.files.get(name).is_some_and(|file| same(file) > 1)
    }

    /// All files afterwards, or `None` where the request is refused as a whole.
    fn outcome(self) -> Option<BTreeMap<String, Body>> {
        let mut files: BTreeMap<String, Body> = self
            .base
            .files
            .iter()
            .filter(|(name, _)| !self.gone.contains(*name))
            .map(|(name, file)| (name.clone(), Body::Kept(file.clone())))
            .collect();
        let mut written = BTreeSet::new();
        for Put { name, body, renamed } in self.put {
            if (renamed && files.contains_key(&name)) || !written.insert(name.clone()) {
                return None;
            }
            files.insert(name, body);
        }
        (!self.refused && !files.is_empty()).then_some(files)
    }
}

/// What the server keeps of a text: CR LF becomes LF, on purpose, and nothing else changes.
fn stored(content: &str) -> Vec<u8> {
    content.replace("\r\n", "\n").into_bytes()
}

fn blank(content: &str) -> bool {
    content.trim().is_empty()
}

fn good_name(name: &str) -> bool {
    let reserved = [".", ".."].contains(&name) || name.eq_ignore_ascii_case(".git");
    !name.is_empty() && name.len() <= 255 && !name.contains(['/', '\0']) && !reserved
}
