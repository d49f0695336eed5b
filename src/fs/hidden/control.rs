//! `.gist`: what GitHub knows of a gist besides its files, one short text file each.

use bytes::Bytes;

use super::{Content, Entry, Face, Room};
use crate::error::Error;
use crate::fs::{GistFs, Wait};
use crate::model::Time;
use crate::store::gist::Gist;
use crate::tree::hidden::{ControlPlace, Hidden, HistoryPlace, Value, Whose};

impl Room for ControlPlace {
    fn face(&self, fs: &GistFs, _wait: Wait) -> Result<Face, Error> {
        let mtime = fs.changed_at(&self.whose)?;
        match self.value {
            None => Ok(Face::directory(mtime)),
            Some(value) => Ok(Face::file(fs.value(&self.whose, value)?.len() as u64, mtime)),
        }
    }

    fn child(&self, _fs: &GistFs, name: &str, _wait: Wait) -> Result<Hidden, Error> {
        if self.value.is_none() && name == HISTORY {
            return Ok(self.history());
        }
        let value = Value::ALL.into_iter().find(|value| value.name() == name);
        let value = Some(value.ok_or(Error::NotFound)?);
        match self.value {
            None => Ok(Hidden::Control(Self { whose: self.whose.clone(), value })),
            Some(_) => Err(Error::NotDirectory),
        }
    }

    fn list(&self, _fs: &GistFs, from: usize, _wait: Wait) -> Result<Vec<Entry>, Error> {
        let entry = |value: Value| {
            let place = Self { whose: self.whose.clone(), value: Some(value) };
            (value.name().into(), Hidden::Control(place))
        };
        let directories = [(HISTORY.into(), self.history())];
        Ok(Value::ALL.into_iter().map(entry).chain(directories).skip(from).collect())
    }

    fn content(&self, fs: &GistFs, _wait: Wait) -> Result<Content, Error> {
        let value = self.value.ok_or(Error::IsDirectory)?;
        fs.value(&self.whose, value).map(Content::Bytes)
    }
}

/// The directory of revisions.
const HISTORY: &str = "history";

impl ControlPlace {
    fn history(&self) -> Hidden {
        let whose = self.whose.clone();
        Hidden::History(HistoryPlace { whose, revision: None, file: None })
    }
}

impl GistFs {
    fn changed_at(&self, whose: &Whose) -> Result<Time, Error> {
        match whose {
            Whose::Own(key) => self.store.look(*key, |gist| gist.meta.mtime).ok_or(Error::NotFound),
            Whose::Other(_) => Err(Error::NotFound),
        }
    }

    /// A value as it reads.
    fn value(&self, whose: &Whose, value: Value) -> Result<Bytes, Error> {
        let look = |gist: &Gist| match value {
            Value::Description => gist.description.clone(),
            _ => gist.base.as_ref().map(|base| base.id.to_string()).unwrap_or_default(),
        };
        match whose {
            Whose::Own(key) => {
                let text = self.store.look(*key, look).ok_or(Error::NotFound)?;
                Ok(format!("{text}\n").into())
            }
            Whose::Other(_) => Err(Error::NotFound),
        }
    }
}
