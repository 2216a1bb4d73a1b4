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
mod file;
mod link;
mod reader;
mod writer;

use std::path::Path;
use std::time::Duration;

use sqlx::Row;
use sqlx::sqlite::SqlitePool;
use tokio::sync::mpsc;

use crate::file::{File, Missing};
use crate::link::Link;
pub use devices::{Device, DeviceId, Event, EventKind, Filter, Key, KeyPurpose, NewDevice, State};
pub use error::Error;
pub use reader::KnownKey;
pub use writer::{SeenSignature, Use, Used};

/// Bytes of an instance id (RFC 9783, 4.2.1).
pub const INSTANCE_ID_LEN: usize = 33;

/// How long a caller waits for an answer, if it does not give up before.
const PATIENCE: Duration = Duration::from_secs(30);

/// An open registry. Clones share it.
///
/// A call that is dropped before its answer leaves nothing behind, unless its
/// transaction was on its way to the disk already.
#[derive(Clone)]
pub struct Registry {
    pool: SqlitePool,
    lookups: mpsc::Sender<reader::Lookup>,
    writes: mpsc::Sender<writer::Write>,
}

impl Registry {
    /// Opens the registry in that file, which must be there.
    ///
    /// Must be called within a tokio runtime, which then runs the registry's
    /// tasks until the last clone is dropped.
    pub async fn open(path: &Path) -> Result<Self, Error> {
        Self::open_file(path, Missing::Refuse).await
    }

    /// The same, and makes the registry where there is no file or an empty one.
    pub async fn open_or_create(path: &Path) -> Result<Self, Error> {
        Self::open_file(path, Missing::Create).await
    }

    async fn open_file(path: &Path, missing: Missing) -> Result<Self, Error> {
        let (file, pool) = File::open(path, missing).await?;
        Ok(Self {
            lookups: reader::spawn(Link::new(file.clone()).await?),
            writes: writer::spawn(Link::new(file).await?),
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
