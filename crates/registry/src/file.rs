// SPDX-License-Identifier: Apache-2.0
//! The registry's file: how it is made, how it is connected to, and whether it
//! is still there.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Row, SqlSafeStr};
use tokio::time::{Instant, sleep};

use crate::{Error, PATIENCE};

/// How long one attempt waits inside SQLite for another connection's
/// transaction. Whoever waits longer tries again.
const BUSY_TIMEOUT: Duration = Duration::from_millis(200);

/// How long to wait before an attempt that failed at once is made again.
pub(crate) const PAUSE: Duration = Duration::from_millis(20);

/// A registry's file. Clones share it.
#[derive(Clone)]
pub(crate) struct File(Arc<Inner>);

struct Inner {
    path: PathBuf,
    options: SqliteConnectOptions,
    opened: Identity,
}

/// Which files the database is in: its own, and the log of what was committed
/// and is not in there yet. While they are open, no others get their numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity([(u64, u64); 2]);

/// What to do where there is no registry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    Refuse,
    Create,
}

impl File {
    /// Opens a registry's file and brings its tables up to date. The pool keeps
    /// it open.
    pub(crate) async fn open(path: &Path, missing: Missing) -> Result<(Self, SqlitePool), Error> {
        // SQLite refuses some locks at once where processes start together.
        let deadline = Instant::now() + PATIENCE;
        loop {
            match Self::try_open(path, missing).await {
                Err(error) if error.is_busy() && Instant::now() < deadline => sleep(PAUSE).await,
                opened => return opened,
            }
        }
    }

    async fn try_open(path: &Path, missing: Missing) -> Result<(Self, SqlitePool), Error> {
        let plain = SqliteConnectOptions::new()
            .filename(path)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging();
        if missing == Missing::Refuse
            && fs::metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        {
            return Err(Error::NoFile);
        }
        let create = missing == Missing::Create;
        // As it is: the file of another program is not to be touched.
        let mut first = plain.clone().create_if_missing(create).connect().await?;
        let migrations = applied_migrations(&mut first, missing).await?;
        first.close().await?;

        let options = plain
            .journal_mode(SqliteJournalMode::Wal)
            // What was answered must outlive a power cut.
            .synchronous(SqliteSynchronous::Full)
            .pragma("cache_size", "-32768")
            .pragma("wal_autocheckpoint", "4000");
        migrate(&options, migrations).await?;
        // SQLite deletes the log when the last connection ends. One of these never
        // does.
        let pool = SqlitePoolOptions::new()
            .max_connections(2)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options.clone().busy_timeout(PATIENCE))
            .await?;
        // The first to read makes the log.
        sqlx::query("SELECT COUNT(*) FROM secret").fetch_one(&pool).await?;
        let opened = Identity::of(path)?;
        Ok((Self(Arc::new(Inner { path: path.to_owned(), options, opened })), pool))
    }

    /// A connection to it, if it is still there.
    pub(crate) async fn connect(&self) -> Result<SqliteConnection, Error> {
        self.check().await?;
        Ok(self.0.options.connect().await?)
    }

    /// Whether the path still leads to the files that were opened.
    pub(crate) async fn check(&self) -> Result<(), Error> {
        let file = Arc::clone(&self.0);
        // A file system that hangs must hold nothing up that keeps time.
        let found = tokio::task::spawn_blocking(move || Identity::of(&file.path)).await;
        match found {
            Ok(Ok(found)) if found == self.0.opened => Ok(()),
            Ok(_) => Err(Error::FileGone),
            Err(_) => Err(Error::Closed),
        }
    }
}

impl Identity {
    fn of(path: &Path) -> Result<Self, Error> {
        let number = |path: &Path| {
            let metadata = fs::metadata(path).map_err(|_| Error::FileGone)?;
            Ok::<_, Error>((metadata.dev(), metadata.ino()))
        };
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        Ok(Self([number(path)?, number(log.as_ref())?]))
    }
}

/// How many migrations a database has seen. One that is no registry is refused;
/// an empty one becomes one where that is wanted.
async fn applied_migrations(
    connection: &mut SqliteConnection,
    missing: Missing,
) -> Result<usize, Error> {
    let row = sqlx::query(
        "SELECT COUNT(*), COUNT(*) FILTER (WHERE name = '_sqlx_migrations') FROM sqlite_schema",
    )
    .fetch_one(&mut *connection)
    .await?;
    match (row.try_get::<i64, _>(0)?, row.try_get::<i64, _>(1)?) {
        (0, _) if missing == Missing::Create => Ok(0),
        (_, 0) => Err(Error::NoRegistry),
        _ => {
            let row = sqlx::query("SELECT COUNT(*) FROM _sqlx_migrations WHERE success")
                .fetch_one(connection)
                .await?;
            Ok(row.try_get::<i64, _>(0)?.try_into().unwrap_or(usize::MAX))
        }
    }
}

/// Brings the tables up to date, in one transaction under SQLite's lock for
/// writers: of several that start together, one migrates. A registry that is
/// up to date is compared, and not written to.
async fn migrate(options: &SqliteConnectOptions, applied: usize) -> Result<(), Error> {
    let migrator = migrator();
    let mut connection = options.connect().await?;
    if applied >= migrator.iter().count() {
        migrator.run(&mut connection).await?;
    } else {
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        migrator.run(&mut *transaction).await?;
        transaction.commit().await?;
    }
    Ok(connection.close().await?)
}

fn migrator() -> Migrator {
    let sql = [
        ("registry", include_str!("../migrations/sqlite/0001_registry.sql")),
        ("key purpose", include_str!("../migrations/sqlite/0002_key_purpose.sql")),
    ];
    let migrations = (1..).zip(sql).map(|(version, (name, sql))| {
        let kind = MigrationType::Simple;
        Migration::new(version, name.into(), kind, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.collect())
}
