// SPDX-License-Identifier: Apache-2.0
//! Writes: the uses that wait become one transaction. Changes of devices, which
//! are rare, have one each.

use std::collections::HashSet;
use std::time::Duration;

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Row};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::batch::{MAX_ROWS, Statement};
use crate::devices::Change;
use crate::{DeviceId, Error, Registry};

/// How often nonces that expired are forgotten.
const PURGE_EVERY: Duration = Duration::from_secs(60);

/// What a verified token uses up.
#[derive(Clone, Debug)]
pub struct Use {
    /// The nonce, which begins with its expiry as eight bytes, big-endian, in
    /// seconds since 1970.
    pub nonce: Vec<u8>,
    /// The signature, if it is an ECDSA signature, and the registry's name of
    /// the key that made it, from [`KnownKey::key`](crate::KnownKey::key).
    pub signature: Option<(i64, SeenSignature)>,
}

/// A valid ECDSA signature.
#[derive(Clone, Debug)]
pub struct SeenSignature {
    /// The signature's r, whole.
    pub r: Vec<u8>,
    /// SHA-256 of what was signed.
    pub signed_sha256: [u8; 32],
}

/// What a use found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// The nonce had not been used before. Of all who use one, exactly one sees
    /// this.
    pub nonce_was_fresh: bool,
    /// The key has signed other bytes with the same r before, which gives its
    /// private half away. Not looked for where the nonce was not fresh.
    pub r_was_reused: bool,
}

pub(crate) enum Write {
    Use { what: Use, reply: oneshot::Sender<Result<Used, Error>> },
    Change { what: Change, reply: oneshot::Sender<Result<DeviceId, Error>> },
}

impl Registry {
    /// Uses a nonce up and remembers a signature. The answer comes when that is
    /// on the disk.
    pub async fn use_up(&self, what: Use) -> Result<Used, Error> {
        let (reply, answer) = oneshot::channel();
        self.writes.send(Write::Use { what, reply }).await.map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }

    pub(crate) async fn change(&self, what: Change) -> Result<DeviceId, Error> {
        let (reply, answer) = oneshot::channel();
        self.writes.send(Write::Change { what, reply }).await.map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }
}

pub(crate) fn spawn(mut connection: SqliteConnection) -> mpsc::Sender<Write> {
    let (sender, mut receiver) = mpsc::channel(MAX_ROWS);
    tokio::spawn(async move {
        let statements = Statements::new();
        let mut batch = Vec::with_capacity(MAX_ROWS);
        let mut next_purge = Instant::now();
        while receiver.recv_many(&mut batch, MAX_ROWS).await > 0 {
            let (mut uses, mut replies) = (Vec::new(), Vec::new());
            for write in batch.drain(..) {
                match write {
                    Write::Use { what, reply } => {
                        uses.push(what);
                        replies.push(reply);
                    }
                    Write::Change { what, reply } => {
                        let _gone = reply.send(what.apply(&mut connection).await);
                    }
                }
            }
            if uses.is_empty() {
                continue;
            }
            let purge = Instant::now() >= next_purge;
            if purge {
                next_purge = Instant::now() + PURGE_EVERY;
            }
            let used = statements.commit(&mut connection, &uses, purge).await;
            for (at, reply) in replies.into_iter().enumerate() {
                let _gone = reply.send(match &used {
                    Ok(used) => used.get(at).copied().ok_or(Error::Closed),
                    Err(error) => Err(Error::Shared(error.to_string())),
                });
            }
        }
        let _closed = connection.close().await;
    });
    sender
}

struct Statements {
    nonces: Statement,
    signatures: Statement,
}

impl Statements {
    fn new() -> Self {
        Self {
            nonces: Statement::new(
                "INSERT INTO used_nonce (nonce) VALUES ",
                1,
                " ON CONFLICT DO NOTHING RETURNING nonce",
            ),
            signatures: Statement::new(
                "INSERT INTO signature (key_id, r, signed_sha256) VALUES ",
                3,
                " ON CONFLICT DO NOTHING",
            ),
        }
    }

    async fn commit(
        &self,
        connection: &mut SqliteConnection,
        uses: &[Use],
        purge: bool,
    ) -> Result<Vec<Used>, sqlx::Error> {
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        if purge {
            sqlx::query("DELETE FROM used_nonce WHERE nonce < $1")
                .bind(&crate::devices::now().to_be_bytes()[..])
                .execute(&mut *transaction)
                .await?;
        }
        let mut used = self.use_nonces(&mut transaction, uses).await?;
        let fresh = uses.iter().zip(&mut used).filter(|(_, used)| used.nonce_was_fresh);
        let signatures: Vec<_> = fresh
            .filter_map(|(what, used)| Some((what.signature.as_ref()?, &mut used.r_was_reused)))
            .collect();
        self.remember(&mut transaction, signatures).await?;
        transaction.commit().await?;
        Ok(used)
    }

    async fn use_nonces(
        &self,
        connection: &mut SqliteConnection,
        uses: &[Use],
    ) -> Result<Vec<Used>, sqlx::Error> {
        let (sql, rows) = self.nonces.of(uses);
        let mut query = sqlx::query(sql);
        for row in rows {
            query = query.bind(&row.nonce[..]);
        }
        let mut fresh = HashSet::with_capacity(uses.len());
        for row in query.fetch_all(connection).await? {
            fresh.insert(row.try_get::<Vec<u8>, _>(0)?);
        }
        // The first that brought a nonce takes it out.
        Ok(uses
            .iter()
            .map(|what| Used { nonce_was_fresh: fresh.remove(&what.nonce), r_was_reused: false })
            .collect())
    }

    async fn remember(
        &self,
        connection: &mut SqliteConnection,
        signatures: Vec<(&(i64, SeenSignature), &mut bool)>,
    ) -> Result<(), sqlx::Error> {
        if signatures.is_empty() {
            return Ok(());
        }
        let (sql, rows) = self.signatures.of(&signatures);
        let mut query = sqlx::query(sql);
        for ((key, signature), _) in rows {
            query = query.bind(key).bind(&signature.r[..]).bind(&signature.signed_sha256[..]);
        }
        let new = query.execute(&mut *connection).await?.rows_affected();
        if new == signatures.len() as u64 {
            return Ok(());
        }
        // An r was there before. Over the same bytes it is the same signature.
        for ((key, signature), reused) in signatures {
            let row =
                sqlx::query("SELECT signed_sha256 FROM signature WHERE key_id = $1 AND r = $2")
                    .bind(key)
                    .bind(&signature.r[..])
                    .fetch_one(&mut *connection)
                    .await?;
            *reused = row.try_get::<&[u8], _>(0)? != signature.signed_sha256;
        }
        Ok(())
    }
}
