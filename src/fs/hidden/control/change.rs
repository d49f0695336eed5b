//! Values that can be written, and what writing them does.

use crate::error::Error;
use crate::fs::{GistFs, Wait, lock};
use crate::model::GistId;
use crate::store::gist::{Gist, GistKey};
use crate::sync::{GistChange, Watcher};
use crate::tree::hidden::{Value, Whose};

/// A value that can be written.
pub(in crate::fs) enum Settable {
    /// The description of one of this mount's own gists.
    Description(GistKey),
    /// What a gist that is not on GitHub yet will be.
    Visibility(GistKey),
    /// The user's star.
    Star(GistId),
}

const FIXED: Error = Error::NotPermitted(
    "GitHub cannot change whether a gist is public: it can be set before the gist is there",
);

impl GistFs {
    /// What writing the value would change, if it can be written.
    pub(in crate::fs) fn settable(&self, whose: &Whose, value: Value) -> Result<Settable, Error> {
        let own = || match whose {
            Whose::Own(key) => Ok(*key),
            Whose::Other(id) => Err(Error::Denied(format!("{id} is somebody else's"))),
        };
        match value {
            Value::Description => own().map(Settable::Description),
            Value::Visibility => {
                let key = own()?;
                match self.store.look(key, is_fixed).ok_or(Error::NotFound)? {
                    true => Err(FIXED),
                    false => Ok(Settable::Visibility(key)),
                }
            }
            Value::Starred => {
                let id = match whose {
                    Whose::Own(key) => {
                        let id = |gist: &Gist| gist.base.as_ref().map(|base| base.id.clone());
                        self.store.look(*key, id).ok_or(Error::NotFound)?
                    }
                    Whose::Other(id) => Some(id.clone()),
                };
                id.map(Settable::Star)
                    .ok_or(Error::NotPermitted("what is not on GitHub has no stars"))
            }
            Value::Id
            | Value::Url
            | Value::GitUrl
            | Value::Owner
            | Value::Created
            | Value::Updated
            | Value::Sync
            | Value::Json
            | Value::Forks => Err(Error::NotPermitted("it is not for the user to set")),
        }
    }

    /// Gives a value another text.
    pub(in crate::fs) fn set_value(
        &self,
        whose: &Whose,
        value: Value,
        text: &[u8],
        wait: Wait,
    ) -> Result<(), Error> {
        let nonsense = |wanted| self.nonsense(whose, value, text, wanted);
        match self.settable(whose, value)? {
            Settable::Description(key) => {
                self.set_description(key, self.described(whose, text)?, wait)
            }
            Settable::Visibility(key) => match text {
                b"public" => self.set_visibility(key, true),
                b"secret" => self.set_visibility(key, false),
                _ => Err(nonsense("\"public\" or \"secret\"")),
            },
            Settable::Star(id) => {
                let on = match text {
                    b"1" => true,
                    b"0" => false,
                    _ => return Err(nonsense("0 or 1")),
                };
                match wait {
                    Wait::No => Err(Error::WouldWait),
                    Wait::Yes => self.syncer.star(&id, on),
                }
            }
        }
    }

    /// The text as a description can have it.
    pub(super) fn described<'a>(&self, whose: &Whose, text: &'a [u8]) -> Result<&'a str, Error> {
        let good = std::str::from_utf8(text).ok().filter(|text| !text.contains('\0'));
        let nonsense =
            || self.nonsense(whose, Value::Description, text, "text in UTF-8 without NUL bytes");
        good.ok_or_else(nonsense)
    }

    /// Says in the log what a value should have been.
    fn nonsense(&self, whose: &Whose, value: Value, text: &[u8], wanted: &str) -> Error {
        let shown = String::from_utf8_lossy(text.get(..40).unwrap_or(text));
        log::warn!("{} of {}: {shown:?} is not {wanted}", value.name(), self.spoken(whose));
        Error::Invalid
    }

    /// What a gist is called in the log.
    fn spoken(&self, whose: &Whose) -> String {
        match whose {
            Whose::Own(key) => {
                let tree = self.tree();
                let shown = tree.gist(*key).and_then(|ino| tree.shown(ino));
                shown.map_or_else(|| "a gist that is gone".to_owned(), |name| format!("{name:?}"))
            }
            Whose::Other(id) => id.to_string(),
        }
    }

    /// The same as `mv` of the gist's directory, whose name follows.
    fn set_description(&self, key: GistKey, text: &str, wait: Wait) -> Result<(), Error> {
        self.may_push(wait)?;
        let now = self.now();
        let mut done = Ok(());
        self.follow(&mut |committed| {
            let describe = |gist: &mut Gist| {
                if gist.removed {
                    return Err(Error::NotFound);
                }
                gist.describe(text, now);
                Ok(())
            };
            done = self.store.update_under(key, describe, committed).map(|_| ());
            vec![GistChange { key, moved: vec![], taken: vec![] }]
        });
        done?;
        lock(&self.root).touch(now);
        self.syncer.poke();
        self.push_if_through(key)
    }

    fn set_visibility(&self, key: GistKey, public: bool) -> Result<(), Error> {
        let now = self.now();
        self.store.update(key, |gist| {
            // Its creation may have begun since the file was opened.
            if is_fixed(gist) {
                return Err(FIXED);
            }
            gist.public = public;
            gist.meta.ctime = now;
            if gist.differs() {
                gist.changed(now);
            }
            Ok(())
        })?;
        self.syncer.poke();
        Ok(())
    }
}

/// Whether GitHub has the gist, or may have been told to make it.
fn is_fixed(gist: &Gist) -> bool {
    gist.base.is_some() || gist.attempt.is_some()
}
