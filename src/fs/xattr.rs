//! The values of `.gist` as extended attributes, for those who ask for them with `--xattr`.
//!
//! Listing them never asks GitHub, reading `user.gist.starred` does.

use std::ffi::OsStr;

use super::hidden::{Origin, digit};
use super::{GistFs, Wait};
use crate::error::Error;
use crate::model::{FileName, GistId, RemoteFile};
use crate::store::gist::{Gist, GistKey};
use crate::sync::standing::Standing;
use crate::tree::hidden::{Hidden, Value, ViewPlace, Whose};
use crate::tree::{Ino, Place};

/// What `setxattr` expects of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Anything,
    /// It is not there yet.
    New,
    /// It is there.
    Known,
}

/// The attributes of a gist's directory. What can be set is not listed: `cp -a` and `rsync -X` would
/// carry it along, rename the copy, publish it and take stars back.
const OF_GISTS: &[(&str, Value)] = &[
    ("user.gist.id", Value::Id),
    ("user.gist.url", Value::Url),
    ("user.gist.description", Value::Description),
    ("user.gist.public", Value::Visibility),
    ("user.gist.starred", Value::Starred),
    ("user.gist.sync", Value::Sync),
];

/// The attributes of a file.
const OF_FILES: &[(&str, FileValue)] = &[
    ("user.gist.blob", FileValue::Blob),
    ("user.gist.language", FileValue::Language),
    ("user.gist.raw_url", FileValue::RawUrl),
    ("user.gist.sync", FileValue::Sync),
];

/// What is told of a file.
#[derive(Clone, Copy)]
enum FileValue {
    /// The git blob id of what it holds here.
    Blob,
    /// The language GitHub sees in it.
    Language,
    /// Where GitHub has its bytes.
    RawUrl,
    /// How it stands.
    Sync,
}

/// What has attributes.
enum Bearer {
    /// A gist's directory.
    Gist(Whose),
    /// A file of one of this mount's own gists.
    File(GistKey, FileName),
    /// A file of somebody's.
    OtherFile(GistId, FileName),
}

impl Bearer {
    fn is_gist(&self) -> bool {
        match self {
            Self::Gist(_) => true,
            Self::File(..) | Self::OtherFile(..) => false,
        }
    }
}

impl GistFs {
    /// The value of an attribute; [`Error::NoAttribute`] if there is none.
    pub fn getxattr(&self, ino: Ino, name: &OsStr, wait: Wait) -> Result<Vec<u8>, Error> {
        let name = spelled(name)?;
        let bearer = self.bearer(ino).ok_or(Error::NoAttribute)?;
        let value = self.attribute(&bearer, name, wait)?;
        value.map(String::into_bytes).ok_or(Error::NoAttribute)
    }

    /// The names of the attributes there are. Asks nobody.
    pub fn listxattr(&self, ino: Ino) -> Result<Vec<&'static str>, Error> {
        let Some(bearer) = self.bearer(ino) else { return Ok(Vec::new()) };
        let mut names = Vec::new();
        let facts = OF_GISTS.iter().filter(|(_, value)| !value.can_be_set());
        let of_gist = facts.map(|(name, _)| *name).filter(|_| bearer.is_gist());
        let of_file = OF_FILES.iter().map(|(name, _)| *name).filter(|_| !bearer.is_gist());
        for name in of_gist.chain(of_file) {
            match self.attribute(&bearer, name, Wait::No) {
                Ok(Some(_)) | Err(Error::WouldWait) => names.push(name),
                Ok(None) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(names)
    }

    /// Gives an attribute another value: what a file in `.gist` would be told.
    pub fn setxattr(
        &self,
        ino: Ino,
        name: &OsStr,
        value: &[u8],
        expect: Expect,
        wait: Wait,
    ) -> Result<(), Error> {
        self.writable()?;
        let name = spelled(name)?;
        let bearer = self.bearer(ino);
        let present = match &bearer {
            Some(bearer) => self.attribute(bearer, name, Wait::No),
            None => Ok(None),
        };
        let known = match &present {
            Ok(there) => there.is_some(),
            Err(Error::WouldWait) => true,
            Err(error) => return Err(error.clone()),
        };
        match expect {
            Expect::New if known => return Err(Error::Exists),
            Expect::Known if !known => return Err(Error::NoAttribute),
            Expect::Anything | Expect::New | Expect::Known => {}
        }
        let attribute = OF_GISTS.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        match (bearer, attribute.filter(|value| value.can_be_set())) {
            (Some(Bearer::Gist(whose)), Some(attribute)) => {
                let value = match (attribute, value) {
                    (Value::Visibility, b"1") => b"public",
                    (Value::Visibility, b"0") => b"secret",
                    _ => value,
                };
                self.set_value(&whose, attribute, value, wait)
            }
            // A copy that takes along what is so already.
            _ if present.is_ok_and(|there| there.is_some_and(|text| text.as_bytes() == value)) => {
                Ok(())
            }
            // `cp -a` passes this over in silence, and no other error.
            _ => Err(Error::Unsupported),
        }
    }

    /// Removes an attribute: none of those there are can be.
    pub fn removexattr(&self, ino: Ino, name: &OsStr) -> Result<(), Error> {
        self.writable()?;
        match self.getxattr(ino, name, Wait::No) {
            Ok(_) | Err(Error::WouldWait) => Err(Error::Unsupported),
            Err(error) => Err(error),
        }
    }

    /// What `ino` is, if that has attributes.
    fn bearer(&self, ino: Ino) -> Option<Bearer> {
        let place = self.tree().place(ino)?.clone();
        match place {
            Place::Gist(key) => Some(Bearer::Gist(Whose::Own(key))),
            Place::File(key, name) => Some(Bearer::File(key, name)),
            Place::Hidden(Hidden::View(ViewPlace::Gist(id))) => {
                Some(Bearer::Gist(Whose::Other(id)))
            }
            Place::Hidden(Hidden::View(ViewPlace::File(id, name))) => {
                Some(Bearer::OtherFile(id, name))
            }
            Place::Hidden(_) | Place::Root | Place::Gone => None,
        }
    }

    /// An attribute's value, if there is one of that name.
    fn attribute(&self, bearer: &Bearer, name: &str, wait: Wait) -> Result<Option<String>, Error> {
        match bearer {
            Bearer::Gist(whose) => match OF_GISTS.iter().find(|(known, _)| *known == name) {
                Some((_, value)) => self.gist_attribute(whose, *value, wait),
                None => Ok(None),
            },
            Bearer::File(key, file) => Ok(file_value(name).and_then(|value| {
                let look = |gist: &Gist| file_attribute(gist, file, value);
                match (self.store.look(*key, look).flatten(), value) {
                    (None, FileValue::Sync) => Some(self.standing(*key, file).to_string()),
                    (told, _) => told,
                }
            })),
            Bearer::OtherFile(id, file) => {
                let Some(value) = file_value(name) else { return Ok(None) };
                let gist = self.fresh_other(id, wait)?;
                Ok(gist.files.get(file).and_then(|remote| told(remote, value)))
            }
        }
    }

    fn gist_attribute(
        &self,
        whose: &Whose,
        value: Value,
        wait: Wait,
    ) -> Result<Option<String>, Error> {
        Ok(match self.origin(whose, value, wait)? {
            Origin::Known(text) if value == Value::Visibility => {
                text.map(|text| digit(text == "public").to_owned())
            }
            Origin::Known(text) => text,
            Origin::Owed(key) => {
                let owing = self.syncer.owing_of(key);
                Some(owing.map_or(Standing::Clean, |owing| owing.state).to_string())
            }
            Origin::Star(id) => Some(digit(self.starred(&id, wait)?).to_owned()),
            // They are files of their own, and too long.
            Origin::Json(_) | Origin::Forks(_) => None,
        })
    }

    /// How a file stands, with the word of `gistfs status`.
    fn standing(&self, key: GistKey, file: &FileName) -> Standing {
        if self.store.look(key, |gist| gist.is_scratch(file)) == Some(true) {
            return Standing::Local("a scratch file, never sent".into());
        }
        let owed = self.syncer.owing_of(key).map(|owing| owing.files).unwrap_or_default();
        let owed = owed.into_iter().find(|owed| owed.name == file.as_str());
        owed.map_or(Standing::Clean, |owed| owed.state)
    }
}

/// The name as far as a file system of Linux knows it: in one of the four name spaces.
fn spelled(name: &OsStr) -> Result<&str, Error> {
    let known = |name: &&str| {
        ["user.", "system.", "security.", "trusted."].iter().any(|space| name.starts_with(space))
    };
    name.to_str().filter(known).ok_or(Error::Unsupported)
}

fn file_value(name: &str) -> Option<FileValue> {
    OF_FILES.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

/// What one of this mount's own gists tells of its file; nothing of how it stands.
fn file_attribute(gist: &Gist, name: &FileName, value: FileValue) -> Option<String> {
    match value {
        FileValue::Blob => gist.files.get(name)?.blob().map(|blob| blob.to_string()),
        FileValue::Language | FileValue::RawUrl => told(gist.remote(name)?, value),
        FileValue::Sync => None,
    }
}

/// What GitHub tells of a file.
fn told(remote: &RemoteFile, value: FileValue) -> Option<String> {
    match value {
        FileValue::Blob => Some(remote.blob.to_string()),
        FileValue::Language => remote.language.clone(),
        FileValue::RawUrl => Some(remote.raw_url.clone()),
        FileValue::Sync => Some(Standing::Clean.to_string()),
    }
}
