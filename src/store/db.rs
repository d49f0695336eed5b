//! `state.db`: every gist as it stood after the last change, in SQLite.
//!
//! One call, one transaction. Commits go to the write-ahead log and survive the death of the
//! process; [`sync`] makes them survive a power cut. Checkpoints run on a connection of
//! their own, so that no commit ever waits for the disk.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::gist::{Content, Gist, GistKey, LocalFile, Meta, Upload};
use crate::error::Error;
use crate::model::{FileName, Time};

/// The layout's number; a database of another one is not touched.
const VERSION: i64 = 1;

const SCHEMA: &str = "
CREATE TABLE gist (
    key INTEGER PRIMARY KEY,
    base TEXT,
    description TEXT NOT NULL,
    public INTEGER NOT NULL,
    removed INTEGER NOT NULL,
    moved_to TEXT NOT NULL,
    attempt TEXT,
    error TEXT,
    mode INTEGER, uid INTEGER, gid INTEGER,
    atime INTEGER NOT NULL, mtime INTEGER NOT NULL, ctime INTEGER NOT NULL,
    wrote INTEGER
);
CREATE TABLE file (
    gist INTEGER NOT NULL,
    name TEXT NOT NULL,
    blob TEXT, size INTEGER, link TEXT,
    descent TEXT,
    limbo INTEGER,
    altered TEXT,
    mode INTEGER, uid INTEGER, gid INTEGER,
    atime INTEGER NOT NULL, mtime INTEGER NOT NULL, ctime INTEGER NOT NULL,
    PRIMARY KEY (gist, name)
) WITHOUT ROWID;
CREATE TABLE page (
    address TEXT PRIMARY KEY,
    etag TEXT,
    next TEXT,
    ids TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
";

/// The open database.
pub(super) struct Db {
    connection: Connection,
    path: PathBuf,
}

/// A list page as it was last seen, to be revalidated by its ETag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPage {
    /// The validator.
    pub etag: Option<String>,
    /// The next page's address.
    pub next: Option<String>,
    /// The ids of the gists it listed.
    pub ids: Vec<String>,
}

impl Db {
    /// Opens the database at `path`, making it where there is none.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let connection = connect(path)?;
        let version: i64 = connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(|error| trouble(path, &error))?;
        match version {
            0 => connection
                .execute_batch(&format!("BEGIN; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;"))
                .map_err(|error| trouble(path, &error))?,
            VERSION => {}
            other => {
                return Err(Error::Local {
                    errno: libc::EINVAL,
                    message: format!(
                        "{} was written by another version of gistfs (layout {other}, this one knows {VERSION})",
                        path.display()
                    ),
                });
            }
        }
        Ok(Self { connection, path: path.to_owned() })
    }

    /// Reads everything; a row that cannot be understood is an error, never a guess.
    pub(super) fn load(&self) -> Result<Vec<Gist>, Error> {
        let mut gists = self.query("SELECT * FROM gist", read_gist)?;
        let mut files: BTreeMap<i64, BTreeMap<FileName, LocalFile>> = BTreeMap::new();
        for (gist, name, file) in self.query("SELECT * FROM file", read_file)? {
            files.entry(gist).or_default().insert(name, file);
        }
        for gist in &mut gists {
            gist.files = files.remove(&gist.key.0).unwrap_or_default();
        }
        Ok(gists)
    }

    fn query<T>(
        &self,
        sql: &str,
        read: fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, Error> {
        let collect = || {
            let mut statement = self.connection.prepare(sql)?;
            let rows = statement.query_map([], read)?;
            rows.collect::<rusqlite::Result<Vec<T>>>()
        };
        collect().map_err(|error| trouble(&self.path, &error))
    }

    /// Makes the rows say `new` where they said `old`: all of it or, on an error, nothing.
    pub(super) fn save(&mut self, changes: &[Change<'_>]) -> Result<(), Error> {
        let path = self.path.clone();
        let mut save = || {
            let transaction = self.connection.transaction()?;
            for change in changes {
                write_change(&transaction, change)?;
            }
            transaction.commit()
        };
        save().map_err(|error| trouble(&path, &error))
    }

    /// The value kept under `name`.
    pub(super) fn setting(&self, name: &str) -> Result<Option<String>, Error> {
        self.connection
            .query_row("SELECT value FROM setting WHERE name = ?1", [name], |row| row.get(0))
            .optional()
            .map_err(|error| trouble(&self.path, &error))
    }

    /// Keeps `value` under `name`.
    pub(super) fn set_setting(&mut self, name: &str, value: &str) -> Result<(), Error> {
        self.connection
            .execute("INSERT OR REPLACE INTO setting VALUES (?1, ?2)", [name, value])
            .map(drop)
            .map_err(|error| trouble(&self.path, &error))
    }

    /// The list page last seen at `address`.
    pub(super) fn page(&self, address: &str) -> Result<Option<StoredPage>, Error> {
        let read = |row: &Row<'_>| {
            Ok(StoredPage { etag: row.get(0)?, next: row.get(1)?, ids: json(row, 2)? })
        };
        self.connection
            .query_row("SELECT etag, next, ids FROM page WHERE address = ?1", [address], read)
            .optional()
            .map_err(|error| trouble(&self.path, &error))
    }

    /// Replaces all remembered list pages.
    pub(super) fn set_pages(&mut self, pages: &[(String, StoredPage)]) -> Result<(), Error> {
        let path = self.path.clone();
        let mut save = || {
            let transaction = self.connection.transaction()?;
            transaction.execute("DELETE FROM page", [])?;
            for (address, page) in pages {
                transaction.execute(
                    "INSERT OR REPLACE INTO page VALUES (?1, ?2, ?3, ?4)",
                    params![address, page.etag, page.next, to_json(&page.ids)],
                )?;
            }
            transaction.commit()
        };
        save().map_err(|error| trouble(&path, &error))
    }

    /// The write-ahead log, to be synced without holding the database: see [`super::Store::sync`].
    pub(super) fn log_path(&self) -> PathBuf {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        log.into()
    }

    /// Where the database is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Moves what the log holds into the database proper, beside whoever is committing.
pub(super) fn checkpoint(path: &Path) -> Result<(), Error> {
    let connection = connect(path)?;
    connection
        .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
        .map_err(|error| trouble(path, &error))
}

/// Makes everything committed so far survive a power cut.
pub(super) fn sync(path: &Path, log: &Path) -> Result<(), Error> {
    for file in [path, log] {
        match File::open(file).and_then(|file| file.sync_all()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::local(&format!("cannot sync {}", file.display()), &error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// What one transaction does to one gist's rows.
pub(super) struct Change<'a> {
    /// What the rows say now; `None` where there are none.
    pub(super) old: Option<&'a Gist>,
    /// What they shall say; `None` removes them.
    pub(super) new: Option<&'a Gist>,
}

fn connect(path: &Path) -> Result<Connection, Error> {
    let open = || {
        let connection = Connection::open(path)?;
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // NORMAL: a commit is one write into the log; durability is asked for by `sync`.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        connection.set_prepared_statement_cache_capacity(32);
        Ok(connection)
    };
    open().map_err(|error| trouble(path, &error))
}

fn write_change(transaction: &Transaction<'_>, change: &Change<'_>) -> rusqlite::Result<()> {
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
        "INSERT OR REPLACE INTO gist VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)",
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

fn read_gist(row: &Row<'_>) -> rusqlite::Result<Gist> {
    let base: Option<String> = row.get(1)?;
    let attempt: Option<String> = row.get(6)?;
    Ok(Gist {
        key: GistKey(row.get(0)?),
        base: base.map(|text| from_json(&text, 1)).transpose()?.map(Arc::new),
        description: row.get(2)?,
        public: row.get(3)?,
        removed: row.get(4)?,
        files: BTreeMap::new(),
        moved_to: json(row, 5)?,
        meta: read_meta(row, 8)?,
        attempt: attempt.map(|text| from_json(&text, 6)).transpose()?,
        wrote: row.get::<_, Option<i64>>(14)?.map(Time),
        upload: Upload { error: row.get(7)?, ..Upload::default() },
    })
}

fn read_file(row: &Row<'_>) -> rusqlite::Result<(i64, FileName, LocalFile)> {
    let name: String = row.get(1)?;
    let blob: Option<String> = row.get(2)?;
    let descent: Option<String> = row.get(5)?;
    let altered: Option<String> = row.get(7)?;
    let content = match (blob, row.get(4)?) {
        (None, Some(link)) => Content::Link(link),
        (blob, _) => Content::Bytes {
            blob: parsed(&blob.unwrap_or_default(), 2)?,
            size: row.get::<_, i64>(3)?.max(0) as u64,
        },
    };
    let file = LocalFile {
        content,
        from: descent.as_deref().and_then(FileName::parse),
        meta: read_meta(row, 8)?,
        limbo: row.get::<_, Option<i64>>(6)?.map(Time),
        altered: altered.map(|text| parsed(&text, 7)).transpose()?,
        writers: 0,
        writing_since: None,
    };
    let name = FileName::parse(&name).ok_or_else(|| unreadable(1, "an empty name".into()))?;
    Ok((row.get(0)?, name, file))
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

fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    from_json(&row.get::<_, String>(column)?, column)
}

fn from_json<T: serde::de::DeserializeOwned>(text: &str, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|error| unreadable(column, error.to_string()))
}

fn to_json<T: serde::Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("maps with text keys and plain values always serialise")
}

fn unreadable(column: usize, why: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, why.into())
}

/// An SQLite error as the errno a writer should see: a full disk is ENOSPC.
fn trouble(path: &Path, error: &rusqlite::Error) -> Error {
    use rusqlite::ErrorCode;
    let errno = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => libc::ENOSPC,
        Some(ErrorCode::ReadOnly) => libc::EROFS,
        Some(ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => libc::EACCES,
        Some(_) | None => libc::EIO,
    };
    Error::Local { errno, message: format!("{}: {error}", path.display()) }
}
