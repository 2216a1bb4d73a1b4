// SPDX-License-Identifier: Apache-2.0
//! Writes: the uses that wait become one transaction. Changes of devices, which
//! are rare, have one each.

use std::collections::HashSet;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Row};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::batch::{MAX_ROWS, Statement};
use crate::devices::{Change, now};
use crate::file::PAUSE;
use crate::link::{Asked, Link, answer, ask, still_asked};
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
    Use(Asked<Use, Used>),
    Change(Asked<Change, DeviceId>),
}

impl Registry {
    /// Uses a nonce up and remembers a signature. The answer comes when that is
    /// on the disk.
    pub async fn use_up(&self, what: Use) -> Result<Used, Error> {
        ask(&self.writes, what, Write::Use).await
    }

    /// Whether the registry can be written: uses up a nonce that nobody has and
    /// that is forgotten with those that expired.
    pub async fn probe(&self) -> Result<(), Error> {
        static PROBES: AtomicU64 = AtomicU64::new(0);
        let mut nonce = now().to_be_bytes().to_vec();
        nonce.extend(b"probe");
        nonce.extend(process::id().to_be_bytes());
        nonce.extend(PROBES.fetch_add(1, Relaxed).to_be_bytes());
        self.use_up(Use { nonce, signature: None }).await.map(drop)
    }

    pub(crate) async fn change(&self, what: Change) -> Result<DeviceId, Error> {
        ask(&self.writes, what, Write::Change).await
    }
}

pub(crate) fn spawn(link: Link) -> mpsc::Sender<Write> {
    let (sender, mut receiver) = mpsc::channel(MAX_ROWS);
    tokio::spawn(async move {
        let mut writer = Writer { link, statements: Statements::new(), next_purge: Instant::now() };
        let mut batch = Vec::with_capacity(MAX_ROWS);
        while receiver.recv_many(&mut batch, MAX_ROWS).await > 0 {
            let mut uses = Vec::new();
            for write in batch.drain(..) {
                match write {
                    Write::Use(asked) => uses.push(asked),
                    Write::Change(asked) => writer.change(asked).await,
                }
            }
            writer.use_up(uses).await;
        }
    });
    sender
}

struct Writer {
    link: Link,
    statements: Statements,
    next_purge: Instant,
}

impl Writer {
    async fn change(&mut self, asked: Asked<Change, DeviceId>) {
        let mut asked = vec![asked];
        while still_asked(&mut asked) {
            let changed = match (self.link.connection().await, asked.first()) {
                (Ok(connection), Some(asked)) => asked.what.apply(connection).await,
                (Ok(_), None) => return,
                (Err(error), _) => Err(error),
            };
            match self.link.settle(changed.map(|device| vec![device])).await {
                Err(error) if error.is_busy() => sleep(PAUSE).await,
                changed => return answer(asked, changed),
            }
        }
    }

    async fn use_up(&mut self, mut asked: Vec<Asked<Use, Used>>) {
        while still_asked(&mut asked) {
            let purge = Instant::now() >= self.next_purge;
            let used = match self.link.connection().await {
                Ok(connection) => self.statements.commit(connection, &asked, purge).await,
                Err(error) => Err(error),
            };
            match self.link.settle(used).await {
                Err(error) if error.is_busy() => sleep(PAUSE).await,
                used => {
                    if used.is_ok() && purge {
                        self.next_purge = Instant::now() + PURGE_EVERY;
                    }
                    return answer(asked, used);
                }
            }
        }
    }
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
        uses: &[Asked<Use, Used>],
        purge: bool,
    ) -> Result<Vec<Used>, Error> {
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        if purge {
            sqlx::query("DELETE FROM used_nonce WHERE nonce < $1")
                .bind(&now().to_be_bytes()[..])
                .execute(&mut *transaction)
                .await?;
        }
        let mut used = self.use_nonces(&mut transaction, uses).await?;
        let fresh = uses.iter().zip(&mut used).filter(|(_, used)| used.nonce_was_fresh);
        let signatures: Vec<_> = fresh
            .filter_map(|(asked, used)| {
                Some((asked.what.signature.as_ref()?, &mut used.r_was_reused))
            })
            .collect();
        self.remember(&mut transaction, signatures).await?;
        transaction.commit().await?;
        Ok(used)
    }

    async fn use_nonces(
        &self,
        connection: &mut SqliteConnection,
        uses: &[Asked<Use, Used>],
    ) -> Result<Vec<Used>, Error> {
        let (sql, rows) = self.nonces.of(uses);
        let mut query = sqlx::query(sql);
        for row in rows {
            query = query.bind(&row.what.nonce[..]);
        }
        let mut fresh = HashSet::with_capacity(uses.len());
        for row in query.fetch_all(connection).await? {
            fresh.insert(row.try_get::<Vec<u8>, _>(0)?);
        }
        // The first that brought a nonce takes it out.
        Ok(uses
            .iter()
            .map(|asked| Used {
                nonce_was_fresh: fresh.remove(&asked.what.nonce),
                r_was_reused: false,
            })
            .collect())
    }

    async fn remember(
        &self,
        connection: &mut SqliteConnection,
        signatures: Vec<(&(i64, SeenSignature), &mut bool)>,
    ) -> Result<(), Error> {
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
