//! `.gist`: what GitHub knows of a gist besides its files, one short text file each.
//!
//! Short values end in one newline when read, and lose one when written. What there is not, because
//! the gist is not on GitHub yet, is an empty file.

use bytes::Bytes;

use super::{Content, Entry, Face, Room};
use crate::error::Error;
use crate::fs::{GistFs, Wait};
use crate::tree::hidden::{CommentPlace, ControlPlace, Hidden, HistoryPlace, Value, Whose};

mod change;
mod read;

pub(in crate::fs) use self::read::{Origin, digit};

impl Room for ControlPlace {
    fn face(&self, fs: &GistFs, _wait: Wait) -> Result<Face, Error> {
        let changed = fs.changed_at(&self.whose)?;
        // Open to its owner, whom gistfs itself then tells why nothing can be made in it.
        let Some(value) = self.value else { return Ok(Face::directory(changed).writable()) };
        let face = Face::file(fs.value_size(&self.whose, value)?, changed);
        Ok(if self.invites(value) { face.writable() } else { face })
    }

    fn child(&self, _fs: &GistFs, name: &str, _wait: Wait) -> Result<Hidden, Error> {
        if self.value.is_some() {
            return Err(Error::NotDirectory);
        }
        let mut entries = self.entries();
        entries.find(|(entry, _)| *entry == name).map(|(_, place)| place).ok_or(Error::NotFound)
    }

    fn list(&self, _fs: &GistFs, from: usize, _wait: Wait) -> Result<Vec<Entry>, Error> {
        Ok(self.entries().skip(from).map(|(name, place)| (name.into(), place)).collect())
    }

    fn content(&self, fs: &GistFs, wait: Wait) -> Result<Content, Error> {
        let value = self.value.ok_or(Error::IsDirectory)?;
        fs.value(&self.whose, value, wait).map(Content::Bytes)
    }

    fn may_write(&self, fs: &GistFs) -> Result<(), Error> {
        let value = self.value.ok_or(Error::IsDirectory)?;
        fs.settable(&self.whose, value).map(drop)
    }

    fn take(&self, fs: &GistFs, bytes: &[u8], wait: Wait) -> Result<bool, Error> {
        let Some((value, line)) = self.value.zip(bytes.strip_suffix(b"\n")) else {
            return Ok(false);
        };
        if value == Value::Description {
            // More lines may come.
            return fs.described(&self.whose, line).map(|_| false);
        }
        fs.set_value(&self.whose, value, line, wait)?;
        Ok(true)
    }

    fn save(&self, fs: &GistFs, bytes: Bytes, wait: Wait) -> Result<(), Error> {
        let value = self.value.ok_or(Error::IsDirectory)?;
        let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        fs.set_value(&self.whose, value, line, wait)
    }
}

impl ControlPlace {
    /// What is in `.gist`, in the order of a listing.
    fn entries(&self) -> impl Iterator<Item = (&'static str, Hidden)> {
        let whose = || self.whose.clone();
        let history = HistoryPlace { whose: whose(), revision: None, file: None };
        let comments = CommentPlace { whose: whose(), name: None };
        let value = move |value: Value| {
            (value.name(), Hidden::Control(Self { whose: whose(), value: Some(value) }))
        };
        Value::ALL.into_iter().map(value).chain([
            ("history", Hidden::History(history)),
            ("comments", Hidden::Comments(comments)),
        ])
    }

    /// Whether its mode says that it can be written. That of the visibility does where it can be no
    /// longer, too: the kernel's own EACCES would not say why.
    fn invites(&self, value: Value) -> bool {
        match self.whose {
            Whose::Own(_) => value.can_be_set(),
            Whose::Other(_) => value == Value::Starred,
        }
    }
}
