//! Values as they read, and where they come from.

use bytes::Bytes;

use crate::api::social::Fork;
use crate::error::Error;
use crate::fs::{GistFs, Wait};
use crate::model::{GistId, Snapshot, Time};
use crate::store::gist::{Gist, GistKey};
use crate::sync::report::Owing;
use crate::sync::standing::Standing;
use crate::tree::hidden::{Value, Whose};

/// Where a value comes from.
pub(in crate::fs) enum Origin {
    /// It is known; `None`: there is none.
    Known(Option<String>),
    /// The difference to GitHub.
    Owed(GistKey),
    /// GitHub, asked for the star.
    Star(GistId),
    /// GitHub, asked for the gist.
    Json(GistId),
    /// GitHub, asked for the forks.
    Forks(GistId),
}

/// How a star reads.
pub(in crate::fs) fn digit(starred: bool) -> &'static str {
    if starred { "1" } else { "0" }
}

impl GistFs {
    /// When a value of the gist last changed, as far as that is known.
    pub(super) fn changed_at(&self, whose: &Whose) -> Result<Time, Error> {
        match whose {
            Whose::Own(key) => {
                let changed = |gist: &Gist| (!gist.removed).then_some(gist.meta.ctime);
                self.store.look(*key, changed).flatten().ok_or(Error::NotFound)
            }
            Whose::Other(id) => {
                let known = self.syncer.known_other(id);
                Ok(known.map_or_else(|| self.now(), |known| known.updated_at))
            }
        }
    }

    /// Where a value comes from.
    pub(in crate::fs) fn origin(
        &self,
        whose: &Whose,
        value: Value,
        wait: Wait,
    ) -> Result<Origin, Error> {
        match whose {
            Whose::Own(key) => {
                let origin = |gist: &Gist| (!gist.removed).then(|| origin_in_gist(gist, value));
                self.store.look(*key, origin).flatten().ok_or(Error::NotFound)
            }
            Whose::Other(id) => match asked(id, value) {
                Some(origin) => Ok(origin),
                None => {
                    let about = self.about(whose, wait)?;
                    let snapshot = about.snapshot.as_deref();
                    Ok(Origin::Known(snapshot.and_then(|snapshot| told(snapshot, value))))
                }
            },
        }
    }

    /// A value as it reads.
    pub(super) fn value(&self, whose: &Whose, value: Value, wait: Wait) -> Result<Bytes, Error> {
        match self.origin(whose, value, wait)? {
            Origin::Known(None) => Ok(Bytes::new()),
            Origin::Known(Some(text)) => Ok(format!("{text}\n").into()),
            Origin::Owed(key) => Ok(report(self.syncer.owing_of(key).as_ref()).into()),
            Origin::Star(id) => Ok(format!("{}\n", digit(self.starred(&id, wait)?)).into()),
            Origin::Json(id) => {
                known_or_asked(self.syncer.known_json(&id), wait, || self.syncer.ask_json(&id))
            }
            Origin::Forks(id) => {
                let known = self.syncer.known_forks(&id);
                let forks = known_or_asked(known, wait, || self.syncer.ask_forks(&id))?;
                Ok(forks.iter().map(fork_line).collect::<String>().into())
            }
        }
    }

    /// How long a value is. Of what GitHub would have to be asked for it is 0, as in `/proc`: a size
    /// that is too small would end a copy early.
    pub(super) fn value_size(&self, whose: &Whose, value: Value) -> Result<u64, Error> {
        match self.origin(whose, value, Wait::No) {
            // Whatever the answer will be.
            Ok(Origin::Star(_)) => return Ok(2),
            Ok(_) => {}
            Err(Error::WouldWait) => return Ok(0),
            Err(error) => return Err(error),
        }
        match self.value(whose, value, Wait::No) {
            Ok(bytes) => Ok(bytes.len() as u64),
            Err(Error::WouldWait) => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Whether the user has starred the gist.
    pub(in crate::fs) fn starred(&self, id: &GistId, wait: Wait) -> Result<bool, Error> {
        known_or_asked(self.syncer.known_star(id), wait, || self.syncer.ask_star(id))
    }
}

fn known_or_asked<T>(
    known: Option<T>,
    wait: Wait,
    ask: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    match (known, wait) {
        (Some(known), _) => Ok(known),
        (None, Wait::No) => Err(Error::WouldWait),
        (None, Wait::Yes) => ask(),
    }
}

/// Where a value comes from that GitHub has to be asked for by itself.
fn asked(id: &GistId, value: Value) -> Option<Origin> {
    match value {
        Value::Starred => Some(Origin::Star(id.clone())),
        Value::Json => Some(Origin::Json(id.clone())),
        Value::Forks => Some(Origin::Forks(id.clone())),
        Value::Description
        | Value::Id
        | Value::Url
        | Value::GitUrl
        | Value::Owner
        | Value::Created
        | Value::Updated
        | Value::Visibility
        | Value::Sync => None,
    }
}

/// A value that GitHub tells with the gist.
fn told(snapshot: &Snapshot, value: Value) -> Option<String> {
    match value {
        Value::Description => Some(snapshot.description.clone()),
        Value::Id => Some(snapshot.id.to_string()),
        Value::Url => Some(snapshot.html_url.clone()),
        Value::GitUrl => Some(snapshot.git_url.clone()),
        Value::Owner => snapshot.owner.clone(),
        Value::Created => Some(snapshot.created_at.to_string()),
        Value::Updated => Some(snapshot.updated_at.to_string()),
        Value::Visibility => Some(visibility(snapshot.public).to_owned()),
        Value::Sync => Some(Standing::Clean.to_string()),
        Value::Starred | Value::Json | Value::Forks => None,
    }
}

fn visibility(public: bool) -> &'static str {
    if public { "public" } else { "secret" }
}

fn origin_in_gist(gist: &Gist, value: Value) -> Origin {
    let base = gist.base.as_deref();
    match value {
        Value::Description => Origin::Known(Some(gist.description.clone())),
        Value::Visibility => {
            let public = base.map_or(gist.public, |base| base.public);
            Origin::Known(Some(visibility(public).to_owned()))
        }
        Value::Sync => Origin::Owed(gist.key),
        Value::Starred | Value::Json | Value::Forks => base
            .and_then(|base| asked(&base.id, value))
            // Nobody can have starred what is not there.
            .unwrap_or_else(|| Origin::Known((value == Value::Starred).then(|| "0".to_owned()))),
        Value::Id | Value::Url | Value::GitUrl | Value::Owner | Value::Created | Value::Updated => {
            Origin::Known(base.and_then(|base| told(base, value)))
        }
    }
}

/// How the gist stands, and a line for all that is owed, with the words of `gistfs status`.
fn report(owing: Option<&Owing>) -> String {
    let Some(owing) = owing else { return format!("{}\n", Standing::Clean) };
    let mut text = format!("{}\n", owing.state);
    if owing.description {
        text += "changed  the description\n";
    }
    for file in &owing.files {
        text += &format!("{:<8} {:?}", file.change.word(), file.name);
        if let Some(from) = &file.from {
            text += &format!(" (was {from:?})");
        }
        match &file.state {
            Standing::Local(_) => text += &format!("  {}", file.state),
            Standing::Clean | Standing::Pending | Standing::Uploading | Standing::Error(_) => {}
        }
        if let Some(waits) = &file.waits_for {
            text += &format!("  {waits}");
        }
        text.push('\n');
    }
    text
}

/// A fork in a line: four words, whatever a stranger is called.
fn fork_line(fork: &Fork) -> String {
    let word = |text: &str| text.replace(|c: char| c.is_whitespace() || c.is_control(), "?");
    let owner = fork.owner.as_deref().map_or_else(|| "-".to_owned(), word);
    format!("{} {owner} {} {}\n", fork.id, fork.created_at, word(&fork.html_url))
}
