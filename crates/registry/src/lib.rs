// SPDX-License-Identifier: Apache-2.0
//! The registry: devices, their keys and certificates, what happened to each,
//! and what verification must remember: nonces that were used and signatures
//! that were seen.
//!
//! All of it lies in one SQLite file behind [`Registry`]. Several processes may
//! have it open. Lookups are collected into one query and uses into one
//! transaction, whose commit is on the disk before anybody gets an answer: the
//! price of a commit is paid once for all that wait.
#![forbid(unsafe_code)]

mod batch;
mod devices;
mod error;
mod reader;
mod writer;

use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Row, SqlSafeStr};
use tokio::sync::mpsc;

pub use devices::{Device, DeviceId, Event, EventKind, Filter, Key, NewDevice, State};
pub use error::Error;
pub use reader::KnownKey;
pub use writer::{SeenSignature, Use, Used};

/// Bytes of an instance id (RFC 9783, 4.2.1).
pub const INSTANCE_ID_LEN: usize = 33;

/// How long a statement waits for another process's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// An open registry. Clones share it.
#[derive(Clone)]
pub struct Registry {
    pool: SqlitePool,
    lookups: mpsc::Sender<reader::Lookup>,
    writes: mpsc::Sender<writer::Write>,
}

impl Registry {
    /// Opens the registry in that file, and makes it where there is none.
    ///
    /// Must be called within a tokio runtime, which then runs the registry's
    /// tasks until the last clone is dropped.
    pub async fn open(path: &Path) -> Result<Self, Error> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // What was answered must outlive a power cut.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("cache_size", "-32768")
            .pragma("wal_autocheckpoint", "4000")
            .disable_statement_logging();
        let pool =
            SqlitePoolOptions::new().max_connections(2).connect_with(options.clone()).await?;
        migrator().run(&pool).await?;
        Ok(Self {
            lookups: reader::spawn(options.connect().await?),
            writes: writer::spawn(options.connect().await?),
            pool,
        })
    }

    /// The secret of that name; the value of `make` becomes it if there is none.
    pub async fn secret(
        &self,
        name: &str,
        make: impl FnOnce() -> Vec<u8>,
    ) -> Result<Vec<u8>, Error> {
        sqlx::query("INSERT INTO secret (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(name)
            .bind(make())
            .execute(&self.pool)
            .await?;
        let row = sqlx::query("SELECT value FROM secret WHERE name = $1")
            .bind(name)
            .fetch_one(&self.pool)
            .await?;
        Ok(row.try_get(0)?)
    }
}

fn migrator() -> Migrator {
    Migrator::with_migrations(vec![Migration::new(
        1,
        "registry".into(),
        MigrationType::Simple,
        include_str!("../migrations/sqlite/0001_registry.sql").into_sql_str(),
        false,
    )])
}
