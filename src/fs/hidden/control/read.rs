//! Values as they read, and where they come from.

use bytes::Bytes;

use crate::api::social::Fork;
use crate::error::Error;
use crate::fs::{GistFs, Wait};
use crate::model::{GistId, Snapshot, Time};
use crate::store::gist::{Gist, GistKey};
use crate::sync::report::Owing;
use crate::sync::show;
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
                None => Ok(Origin::Known(told(&*self.fresh_other(id, wait)?, value))),
            },
        }
    }

    /// A value as it reads.
    pub(super) fn value(&self, whose: &Whose, value: Value, wait: Wait) -> Result<Bytes, Error> {
        match self.origin(whose, value, wait)? {
            Origin::Known(text) => Ok(line(text)),
            Origin::Owed(key) => Ok(report(self.syncer.owing_of(key).as_ref()).into()),
            Origin::Star(id) => Ok(format!("{}\n", digit(self.starred(&id, wait)?)).into()),
            Origin::Json(id) => {
                known_or_asked(self.syncer.known_json(&id), wait, || self.syncer.ask_json(&id))
            }
            Origin::Forks(id) => {
                let known = self.syncer.known_forks(&id);
                let forks = known_or_asked(known, wait, || self.syncer.ask_forks(&id))?;
                Ok(fork_lines(&forks))
            }
        }
    }

    /// How long a value is, as it was last told. Of what was never asked for it is 0, as in `/proc`.
    pub(super) fn value_size(&self, whose: &Whose, value: Value) -> Result<u64, Error> {
        let bytes = match self.last_origin(whose, value)? {
            // Whatever the answer will be.
            Some(Origin::Star(_)) => return Ok(2),
            Some(Origin::Json(id)) => self.syncer.last_json(&id).unwrap_or_default(),
            Some(Origin::Forks(id)) => fork_lines(&self.syncer.last_forks(&id).unwrap_or_default()),
            Some(Origin::Owed(key)) => report(self.syncer.owing_of(key).as_ref()).into(),
            Some(Origin::Known(text)) => line(text),
            None => Bytes::new(),
        };
        Ok(bytes.len() as u64)
    }

    /// Where a value was last told, if it was.
    fn last_origin(&self, whose: &Whose, value: Value) -> Result<Option<Origin>, Error> {
        let id = match whose {
            Whose::Own(_) => return self.origin(whose, value, Wait::No).map(Some),
            Whose::Other(id) => id,
        };
        let known = || Some(Origin::Known(told(&*self.syncer.known_other(id)?, value)));
        Ok(asked(id, value).or_else(known))
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

/// How the gist stands, and a line for all that is owed, as `gistfs status` tells it.
fn report(owing: Option<&Owing>) -> String {
    let Some(owing) = owing else { return format!("{}\n", Standing::Clean) };
    let state = show::plain(&owing.state.to_string());
    let files = show::differences(owing).into_iter().map(|(line, _)| line);
    let lines = [state].into_iter().chain(files);
    lines.map(|line| line + "\n").collect()
}

/// A short value as it reads.
fn line(text: Option<String>) -> Bytes {
    text.map_or_else(Bytes::new, |text| (text + "\n").into())
}

fn fork_lines(forks: &[Fork]) -> Bytes {
    forks.iter().map(fork_line).collect::<String>().into()
}

/// A fork in a line: four words, whatever a stranger is called.
fn fork_line(fork: &Fork) -> String {
    let word = |text: &str| show::plain(&text.replace(char::is_whitespace, "?"));
    let owner = fork.owner.as_deref().map_or_else(|| "-".to_owned(), word);
    format!("{} {owner} {} {}\n", fork.id, fork.created_at, word(&fork.html_url))
}
