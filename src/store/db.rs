//! `state.db`: every gist as it stood after the last change, in SQLite.
//!
//! One call, one transaction. Commits go to the write-ahead log and survive the death of the
//! process; [`sync`] makes them survive a power cut. Checkpoints run on a connection of
//! their own, so that no commit ever waits for the disk.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};

pub(super) use self::rows::Change;
use self::rows::{json, read_file, read_gist, to_json, write_change};
use super::gist::{Gist, LocalFile};
use crate::error::Error;
use crate::model::FileName;

mod rows;

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
            other => return Err(foreign(path, other)),
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

/// Reads every gist of a database that somebody else may have open, and changes nothing.
pub(super) fn peek(path: &Path) -> Result<Vec<Gist>, Error> {
    let open = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        let version = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        Ok((connection, version))
    };
    match open().map_err(|error| trouble(path, &error))? {
        (_, 0) => Ok(Vec::new()),
        (connection, VERSION) => Db { connection, path: path.to_owned() }.load(),
        (_, other) => Err(foreign(path, other)),
    }
}

fn foreign(path: &Path, layout: i64) -> Error {
    Error::Local {
        errno: libc::EINVAL,
        message: format!(
            "{} was written by another version of gistfs (layout {layout}, this one knows {VERSION})",
            path.display()
        ),
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
