//! `state.db`: every gist as it stood after the last change, in SQLite.
//!
//! One call, one transaction. Commits go to the write-ahead log and survive the death of the
//! process; [`sync`] makes them survive a power cut. Checkpoints run on a connection of
//! their own, so that no commit ever waits for the disk.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, Row, Transaction, ffi, params,
};

pub(super) use self::rows::Change;
use self::rows::{json, read_file, read_gist, to_json, write_change};
use super::gist::{Gist, LocalFile};
use crate::error::Error;
use crate::model::FileName;

mod crash;
#[cfg(test)]
mod fuzz;
mod rows;

/// The layouts, each as the steps from the one before it: the first makes everything. A new column
/// is one more entry here that appends it, `ALTER TABLE gist ADD COLUMN …`.
const LAYOUTS: &[&str] = &[SCHEMA, CONFLICTS_AND_TRASH, COPIES, PURGED];

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

const CONFLICTS_AND_TRASH: &str = "
ALTER TABLE gist ADD COLUMN their_description TEXT;
ALTER TABLE gist ADD COLUMN removed_at INTEGER;
ALTER TABLE gist ADD COLUMN shed TEXT NOT NULL DEFAULT '[]';
";

const COPIES: &str = "ALTER TABLE gist ADD COLUMN copy_of INTEGER;";

const PURGED: &str = "ALTER TABLE gist ADD COLUMN purged INTEGER NOT NULL DEFAULT 0";

/// The setting that counts the commits: a copy elsewhere can tell whether it is newer.
const COMMITS: &str = "commits";

/// The open database.
pub(super) struct Db {
    connection: Connection,
    path: PathBuf,
    commits: i64,
}

/// Why a database cannot be used.
#[derive(Debug)]
pub(super) enum Unusable {
    /// It does not say any more what was written to it.
    Damaged(String),
    /// It cannot be read now, or not by this version.
    Failed(Error),
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
    /// Opens the database at `path`, making it where there is none, and reads every gist.
    pub(super) fn open(path: &Path) -> Result<(Self, Vec<Gist>), Unusable> {
        let judge = |error: rusqlite::Error| judge(path, &error);
        let mut connection = connect(path).map_err(judge)?;
        let version: i64 =
            connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(judge)?;
        if version > LAYOUTS.len() as i64 {
            return Err(Unusable::Failed(foreign(path, version)));
        }
        if version != 0 {
            check(&connection).map_err(judge)?.map_err(Unusable::Damaged)?;
        }
        migrate(&mut connection, version, LAYOUTS).map_err(judge)?;
        let mut db = Self { connection, path: path.to_owned(), commits: 0 };
        db.commits = db.read_commits().map_err(judge)?;
        let gists = db.load().map_err(judge)?;
        sensible(&gists).map_err(Unusable::Damaged)?;
        Ok((db, gists))
    }

    /// Reads everything; a row that cannot be understood is an error, never a guess.
    fn load(&self) -> rusqlite::Result<Vec<Gist>> {
        let mut gists = self.query("SELECT * FROM gist ORDER BY key", read_gist)?;
        // Both come in the order of keys, which is the order they are stored in: one walk along both.
        let mut statement = self.connection.prepare("SELECT * FROM file ORDER BY gist, name")?;
        let mut files = statement.query_map([], read_file)?.peekable();
        for gist in &mut gists {
            let key = gist.key.0;
            let mut own = Vec::new();
            while let Some(file) =
                files.next_if(|file| !matches!(file, Ok((gist, ..)) if *gist != key))
            {
                let (_, name, file) = file?;
                own.push(shared(gist, name, file));
            }
            gist.files = own.into_iter().collect();
        }
        if let Some(file) = files.next() {
            let (key, ..) = file?;
            return Err(rows::nonsense(format!("files of gist {key}, which is not there")));
        }
        // Nothing else reads them before they are needed.
        self.query("SELECT etag, next, ids FROM page", read_page)?;
        Ok(gists)
    }

    fn read_commits(&self) -> rusqlite::Result<i64> {
        let kept = self.query("SELECT name, value FROM setting", |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })?;
        let commits = kept.iter().find(|(name, _)| name == COMMITS).map(|(_, value)| value.parse());
        match commits {
            None => Ok(0),
            Some(Ok(commits)) if (0..i64::MAX / 2).contains(&commits) => Ok(commits),
            Some(_) => Err(rows::nonsense("the count of commits is no number".into())),
        }
    }

    /// How many changes of gists were committed, ever.
    pub(super) fn commits(&self) -> i64 {
        self.commits
    }

    /// Counts on from `commits`, if that is further: somebody has copies of later ones.
    pub(super) fn count_from(&mut self, commits: i64) {
        self.commits = self.commits.max(commits);
    }

    fn query<T>(
        &self,
        sql: &str,
        read: fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        let mut statement = self.connection.prepare(sql)?;
        let rows = statement.query_map([], read)?;
        rows.collect()
    }

    /// Makes the rows say `new` where they said `old`: all of it or, on an error, nothing.
    pub(super) fn save(&mut self, changes: &[Change<'_>]) -> Result<(), Error> {
        let path = self.path.clone();
        let count = self.commits + 1;
        let mut save = || {
            let transaction = self.connection.transaction()?;
            for change in changes {
                write_change(&transaction, change)?;
            }
            transaction
                .prepare_cached("INSERT OR REPLACE INTO setting VALUES (?1, ?2)")?
                .execute(params![COMMITS, count.to_string()])?;
            commit(transaction)
        };
        save().map_err(|error| trouble(&path, &error))?;
        self.commits = count;
        Ok(())
    }

    /// The value kept under `name`.
    pub(super) fn setting(&self, name: &str) -> Result<Option<String>, Error> {
        let read = || {
            let mut statement =
                self.connection.prepare_cached("SELECT value FROM setting WHERE name = ?1")?;
            statement.query_row([name], |row| row.get(0)).optional()
        };
        read().map_err(|error| trouble(&self.path, &error))
    }

    /// Keeps `value` under `name`.
    pub(super) fn set_setting(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let path = self.path.clone();
        let mut save = || {
            let transaction = self.connection.transaction()?;
            transaction.execute("INSERT OR REPLACE INTO setting VALUES (?1, ?2)", [name, value])?;
            commit(transaction)
        };
        save().map_err(|error| trouble(&path, &error))
    }

    /// The list pages last seen, by their addresses.
    pub(super) fn pages(&self) -> Result<HashMap<String, StoredPage>, Error> {
        let read = |row: &Row<'_>| Ok((row.get(3)?, read_page(row)?));
        let pages = self.query("SELECT etag, next, ids, address FROM page", read);
        pages.map(|pages| pages.into_iter().collect()).map_err(|error| trouble(&self.path, &error))
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
            commit(transaction)
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

/// The file with the text of its name that `base` has already: there are many of both.
fn shared(gist: &Gist, name: FileName, mut file: LocalFile) -> (FileName, LocalFile) {
    let base = gist.base.as_ref().and_then(|base| base.files.get_key_value(&name));
    let Some((known, _)) = base else { return (name, file) };
    if file.from.as_ref() == Some(known) {
        file.from = Some(known.clone());
    }
    (known.clone(), file)
}

fn read_page(row: &Row<'_>) -> rusqlite::Result<StoredPage> {
    Ok(StoredPage { etag: row.get(0)?, next: row.get(1)?, ids: json(row, 2)? })
}

fn commit(transaction: Transaction<'_>) -> rusqlite::Result<()> {
    crash::point();
    transaction.commit()?;
    crash::point();
    Ok(())
}

/// Brings a database of layout `version` to the last one, all of it or nothing.
fn migrate(connection: &mut Connection, version: i64, layouts: &[&str]) -> rusqlite::Result<()> {
    let steps = usize::try_from(version).ok().and_then(|version| layouts.get(version..));
    let Some(steps) = steps.filter(|steps| !steps.is_empty()) else { return Ok(()) };
    let transaction = connection.transaction()?;
    for step in steps {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", layouts.len() as i64)?;
    commit(transaction)
}

/// Whether every page and row is as SQLite left it; if not, what is wrong.
fn check(connection: &Connection) -> rusqlite::Result<Result<(), String>> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok(if found == "ok" { Ok(()) } else { Err(found) })
}

/// Whether what was read can be: no two gists are the same one.
fn sensible(gists: &[Gist]) -> Result<(), String> {
    let mut ids = HashSet::new();
    let twice =
        gists.iter().filter_map(|gist| gist.base.as_ref()).find(|base| !ids.insert(&base.id));
    twice.map_or(Ok(()), |base| Err(format!("gist {} is there twice", base.id)))
}

/// Reads every gist of a database that somebody else may have open, and changes nothing.
pub(super) fn peek(path: &Path) -> Result<Vec<Gist>, Error> {
    let open = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        // Gists and files as of one moment: somebody else may be writing.
        connection.execute_batch("BEGIN")?;
        let version = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        Ok((connection, version))
    };
    let known = LAYOUTS.len() as i64;
    let (connection, version) = open().map_err(|error| trouble(path, &error))?;
    if version == 0 {
        return Ok(Vec::new());
    }
    if version != known {
        return Err(foreign(path, version));
    }
    let db = Db { connection, path: path.to_owned(), commits: 0 };
    db.load().map_err(|error| trouble(path, &error))
}

fn foreign(path: &Path, layout: i64) -> Error {
    let known = LAYOUTS.len() as i64;
    let whose =
        if layout < known { "an earlier version: mount it once" } else { "a later version" };
    Error::Local {
        errno: libc::EINVAL,
        message: format!(
            "{} was written by {whose} (layout {layout}, this one knows {known})",
            path.display()
        ),
    }
}

/// Moves what the log holds into the database proper, beside whoever is committing.
pub(super) fn checkpoint(path: &Path) -> Result<(), Error> {
    let run = || {
        let connection = connect(path)?;
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
    };
    run().map_err(|error| trouble(path, &error))
}

/// Makes everything committed so far survive a power cut.
pub(super) fn sync(path: &Path, log: &Path) -> Result<(), Error> {
    // The directory last: it says that the log is there.
    for file in [path, log, path.parent().unwrap_or(path)] {
        match File::open(file).and_then(|file| file.sync_all()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::local(&format!("cannot sync {}", file.display()), &error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // NORMAL: a commit is one write into the log; durability is asked for by `sync`.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// Whether an error means that the database is not what was written, or only cannot be read now.
///
/// All that is asked of a database when it is opened is fixed, so an SQL error is its fault too.
fn judge(path: &Path, error: &rusqlite::Error) -> Unusable {
    use rusqlite::Error as Sql;
    let damaged = match error.sqlite_error() {
        Some(code) => {
            matches!(
                code.code,
                ErrorCode::NotADatabase
                    | ErrorCode::DatabaseCorrupt
                    | ErrorCode::Unknown
                    | ErrorCode::ConstraintViolation
            ) || code.extended_code == ffi::SQLITE_IOERR_SHORT_READ
        }
        None => matches!(
            error,
            Sql::FromSqlConversionFailure(..)
                | Sql::IntegralValueOutOfRange(..)
                | Sql::InvalidColumnType(..)
                | Sql::InvalidColumnIndex(_)
                | Sql::Utf8Error(..)
                | Sql::QueryReturnedNoRows
        ),
    };
    if damaged {
        Unusable::Damaged(error.to_string())
    } else {
        Unusable::Failed(trouble(path, error))
    }
}

/// An SQLite error as the errno a writer should see: a full disk is ENOSPC.
fn trouble(path: &Path, error: &rusqlite::Error) -> Error {
    let full = |code: &ffi::Error| code.extended_code == ffi::SQLITE_IOERR_SHMSIZE;
    let errno = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => libc::ENOSPC,
        // The log's index could not grow.
        Some(_) if error.sqlite_error().is_some_and(full) => libc::ENOSPC,
        Some(ErrorCode::ReadOnly) => libc::EROFS,
        Some(ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => libc::EACCES,
        Some(_) | None => libc::EIO,
    };
    Error::Local { errno, message: format!("{}: {error}", path.display()) }
}

/// Does to a database what only damage or another program does.
#[cfg(test)]
pub(super) fn tamper(path: &Path, sql: &str) {
    Connection::open(path).and_then(|connection| connection.execute_batch(sql)).unwrap();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_layout_is_brought_up_to_date_or_left_as_it_is() {
        let mut connection = Connection::open_in_memory().unwrap();
        let version = |connection: &Connection| -> i64 {
            connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
        };
        migrate(&mut connection, 0, &["CREATE TABLE a (x)"]).unwrap();
        connection.execute("INSERT INTO a VALUES (1)", []).unwrap();
        let grown = ["CREATE TABLE a (x)", "ALTER TABLE a ADD COLUMN y DEFAULT 5"];
        migrate(&mut connection, 1, &grown).unwrap();
        migrate(&mut connection, 2, &grown).unwrap();
        let y: i64 = connection.query_row("SELECT y FROM a", [], |row| row.get(0)).unwrap();
        assert_eq!((y, version(&connection)), (5, 2));
        let broken = [grown[0], grown[1], "CREATE TABLE b (x)", "CREATE TABLE a (x)"];
        assert!(migrate(&mut connection, 2, &broken).is_err());
        assert_eq!(version(&connection), 2);
        assert!(connection.query_row("SELECT * FROM b", [], |_| Ok(())).is_err(), "half a change");
    }
}
