//! Gists and files as rows, and rows as gists and files. Every column is spelt here only.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::types::FromSqlError;
use rusqlite::{Row, Transaction, params};

use crate::model::{FileName, Time};
use crate::store::gist::{Content, Gist, GistKey, LocalFile, Meta, Upload};
use crate::store::owed::LARGEST_KEY;

/// What one transaction does to one gist's rows.
pub(in crate::store) struct Change<'a> {
    /// What the rows say now; `None` where there are none.
    pub(in crate::store) old: Option<&'a Gist>,
    /// What they shall say; `None` removes them.
    pub(in crate::store) new: Option<&'a Gist>,
}

pub(super) fn write_change(
    transaction: &Transaction<'_>,
    change: &Change<'_>,
) -> rusqlite::Result<()> {
    let key = match (change.old, change.new) {
        (_, Some(gist)) | (Some(gist), None) => gist.key.0,
        (None, None) => return Ok(()),
    };
    let Some(new) = change.new else {
        transaction.prepare_cached("DELETE FROM gist WHERE key = ?1")?.execute([key])?;
        transaction.prepare_cached("DELETE FROM file WHERE gist = ?1")?.execute([key])?;
        return Ok(());
    };
    if change.old.is_none_or(|old| !same_row(old, new)) {
        write_gist(transaction, new)?;
    }
    let nothing = BTreeMap::new();
    let old = change.old.map_or(&nothing, |old| &old.files);
    for (name, file) in &new.files {
        if old.get(name).is_none_or(|before| !same_file_row(before, file)) {
            write_file(transaction, key, name, file)?;
        }
    }
    for name in old.keys().filter(|name| !new.files.contains_key(*name)) {
        transaction
            .prepare_cached("DELETE FROM file WHERE gist = ?1 AND name = ?2")?
            .execute(params![key, name.as_str()])?;
    }
    Ok(())
}

/// Whether both say the same in every column of `gist`.
fn same_row(old: &Gist, new: &Gist) -> bool {
    let same_base = match (&old.base, &new.base) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a == b,
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    same_base
        && old.description == new.description
        && (old.public, old.removed) == (new.public, new.removed)
        && old.moved_to == new.moved_to
        && (&old.attempt, old.wrote) == (&new.attempt, new.wrote)
        && old.upload.error == new.upload.error
        && old.meta == new.meta
        && old.their_description == new.their_description
        && old.removed_at == new.removed_at
        && old.shed == new.shed
        && old.copy_of == new.copy_of
        && old.purged == new.purged
}

/// Whether both say the same in every column of `file`.
fn same_file_row(old: &LocalFile, new: &LocalFile) -> bool {
    old.content == new.content
        && old.from == new.from
        && old.limbo == new.limbo
        && old.altered == new.altered
        && old.meta == new.meta
}

fn write_gist(transaction: &Transaction<'_>, gist: &Gist) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "INSERT OR REPLACE INTO gist VALUES \
         (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20)",
    )?;
    statement.execute(params![
        gist.key.0,
        gist.base.as_deref().map(to_json),
        gist.description,
        gist.public,
        gist.removed,
        to_json(&gist.moved_to),
        gist.attempt.as_ref().map(to_json),
        gist.upload.error,
        gist.meta.mode,
        gist.meta.uid,
        gist.meta.gid,
        gist.meta.atime.0,
        gist.meta.mtime.0,
        gist.meta.ctime.0,
        gist.wrote.map(|time| time.0),
        gist.their_description,
        gist.removed_at.map(|time| time.0),
        to_json(&gist.shed),
        gist.copy_of.map(|key| key.0),
        gist.purged,
    ])?;
    Ok(())
}

fn write_file(
    transaction: &Transaction<'_>,
    key: i64,
    name: &FileName,
    file: &LocalFile,
) -> rusqlite::Result<()> {
    let (blob, size, link) = match &file.content {
        Content::Bytes { blob, size } => (Some(blob.to_string()), i64::try_from(*size).ok(), None),
        Content::Link(target) => (None, None, Some(target)),
    };
    let mut statement = transaction.prepare_cached(
        "INSERT OR REPLACE INTO file VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14)",
    )?;
    statement.execute(params![
        key,
        name.as_str(),
        blob,
        size,
        link,
        file.from.as_ref().map(FileName::as_str),
        file.limbo.map(|time| time.0),
        file.altered.map(|blob| blob.to_string()),
        file.meta.mode,
        file.meta.uid,
        file.meta.gid,
        file.meta.atime.0,
        file.meta.mtime.0,
        file.meta.ctime.0,
    ])?;
    Ok(())
}

pub(super) fn read_gist(row: &Row<'_>) -> rusqlite::Result<Gist> {
    let base = text(row, 1)?;
    let attempt = text(row, 6)?;
    let key = row.get(0)?;
    let moved_to: BTreeMap<FileName, GistKey> = json(row, 5)?;
    let copy_of: Option<i64> = row.get(18)?;
    for key in moved_to.values().map(|key| key.0).chain(copy_of).chain([key]) {
        if !(1..LARGEST_KEY).contains(&key) {
            return Err(nonsense(format!("the key {key} was never given")));
        }
    }
    Ok(Gist {
        key: GistKey(key),
        base: base.map(|text| from_json(text, 1)).transpose()?.map(Arc::new),
        description: row.get(2)?,
        public: row.get(3)?,
        removed: row.get(4)?,
        files: BTreeMap::new(),
        moved_to,
        meta: read_meta(row, 8)?,
        attempt: attempt.map(|text| from_json(text, 6)).transpose()?,
        wrote: row.get::<_, Option<i64>>(14)?.map(Time),
        upload: Upload { error: row.get(7)?, ..Upload::default() },
        their_description: row.get(15)?,
        removed_at: row.get::<_, Option<i64>>(16)?.map(Time),
        shed: json(row, 17)?,
        copy_of: copy_of.map(GistKey),
        purged: row.get(19)?,
    })
}

/// A file, and the key of the gist it is in. Read by the ten thousand: text is borrowed from the row.
pub(super) fn read_file(row: &Row<'_>) -> rusqlite::Result<(i64, FileName, LocalFile)> {
    let name = text(row, 1)?.unwrap_or_default();
    let name = FileName::parse(name).ok_or_else(|| unreadable(1, "an empty name".into()))?;
    let content = match (text(row, 2)?, text(row, 4)?) {
        (None, Some(link)) => Content::Link(link.to_owned()),
        (blob, _) => Content::Bytes {
            blob: parsed(blob.unwrap_or_default(), 2)?,
            size: row.get::<_, i64>(3)?.max(0) as u64,
        },
    };
    let from = match text(row, 5)? {
        // Mostly it is the same name: one text for both.
        Some(descent) if descent == name.as_str() => Some(name.clone()),
        descent => descent.and_then(FileName::parse),
    };
    let file = LocalFile {
        content,
        from,
        meta: read_meta(row, 8)?,
        limbo: row.get::<_, Option<i64>>(6)?.map(Time),
        altered: text(row, 7)?.map(|text| parsed(text, 7)).transpose()?,
        writers: 0,
        writing_since: None,
    };
    Ok((row.get(0)?, name, file))
}

/// The text in a column, not copied.
fn text<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<Option<&'a str>> {
    let value = row.get_ref(column)?;
    value.as_str_or_null().map_err(|error| {
        if error == FromSqlError::InvalidType {
            let name = row.as_ref().column_name(column).unwrap_or_default().to_owned();
            return rusqlite::Error::InvalidColumnType(column, name, value.data_type());
        }
        unreadable(column, error.to_string())
    })
}

fn read_meta(row: &Row<'_>, at: usize) -> rusqlite::Result<Meta> {
    Ok(Meta {
        mode: row.get(at)?,
        uid: row.get(at + 1)?,
        gid: row.get(at + 2)?,
        atime: Time(row.get(at + 3)?),
        mtime: Time(row.get(at + 4)?),
        ctime: Time(row.get(at + 5)?),
    })
}

fn parsed<T: std::str::FromStr<Err = String>>(text: &str, column: usize) -> rusqlite::Result<T> {
    text.parse().map_err(|error| unreadable(column, error))
}

pub(super) fn json<T: serde::de::DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<T> {
    from_json(text(row, column)?.unwrap_or_default(), column)
}

fn from_json<T: serde::de::DeserializeOwned>(text: &str, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|error| unreadable(column, error.to_string()))
}

pub(super) fn to_json<T: serde::Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("maps with text keys and plain values always serialise")
}

/// What the rows say together cannot be.
pub(super) fn nonsense(why: String) -> rusqlite::Error {
    unreadable(0, why)
}

fn unreadable(column: usize, why: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, why.into())
}
