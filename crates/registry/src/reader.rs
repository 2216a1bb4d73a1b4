// SPDX-License-Identifier: Apache-2.0
//! Lookups: those that wait are answered by one query.

use std::collections::HashMap;

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::batch::{MAX_ROWS, Statement};
use crate::devices::{DeviceId, KeyPurpose, State};
use crate::file::PAUSE;
use crate::link::{Asked, Link, answer, ask, still_asked};
use crate::{Error, INSTANCE_ID_LEN, Registry};

/// A key that the registry has under an instance id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownKey {
    /// Names the key in this registry.
    pub key: i64,
    /// Whose key it is.
    pub device: DeviceId,
    /// What became of that device.
    pub state: State,
    /// The DER SubjectPublicKeyInfo.
    pub spki: Vec<u8>,
    /// What it is for.
    pub purpose: KeyPurpose,
}

pub(crate) type Lookup = Asked<[u8; INSTANCE_ID_LEN], Vec<KnownKey>>;

impl Registry {
    /// The keys under an instance id, of devices in whatever state.
    pub async fn lookup(
        &self,
        instance_id: &[u8; INSTANCE_ID_LEN],
    ) -> Result<Vec<KnownKey>, Error> {
        ask(&self.lookups, *instance_id, |lookup| lookup).await
    }
}

pub(crate) fn spawn(mut link: Link) -> mpsc::Sender<Lookup> {
    let (sender, mut receiver) = mpsc::channel(MAX_ROWS);
    tokio::spawn(async move {
        let statement = Statement::new(
            "SELECT i.instance_id, k.id, k.device_id, d.state, k.spki, k.purpose
             FROM instance i
             JOIN device_key k ON k.id = i.key_id
             JOIN device d ON d.id = k.device_id
             WHERE i.instance_id IN (",
            1,
            ")",
        );
        let mut batch = Vec::with_capacity(MAX_ROWS);
        while receiver.recv_many(&mut batch, MAX_ROWS).await > 0 {
            while still_asked(&mut batch) {
                let found = match link.connection().await {
                    Ok(connection) => find(connection, &statement, &batch).await,
                    Err(error) => Err(error),
                };
                match link.settle(found).await {
                    Err(error) if error.is_busy() => sleep(PAUSE).await,
                    found => answer(std::mem::take(&mut batch), found),
                }
            }
        }
    });
    sender
}

async fn find(
    connection: &mut SqliteConnection,
    statement: &Statement,
    batch: &[Lookup],
) -> Result<Vec<Vec<KnownKey>>, Error> {
    let (sql, rows) = statement.of(batch);
    let mut query = sqlx::query(sql);
    for lookup in rows {
        query = query.bind(&lookup.what[..]);
    }
    let mut found: HashMap<_, Vec<_>> = HashMap::with_capacity(batch.len());
    for row in query.fetch_all(connection).await? {
        let (instance_id, key) = known_key(&row)?;
        found.entry(instance_id).or_default().push(key);
    }
    Ok(batch.iter().map(|lookup| found.get(&lookup.what).cloned().unwrap_or_default()).collect())
}

fn known_key(row: &SqliteRow) -> Result<([u8; INSTANCE_ID_LEN], KnownKey), sqlx::Error> {
    let instance_id: &[u8] = row.try_get(0)?;
    let instance_id =
        instance_id.try_into().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    let key = KnownKey {
        key: row.try_get(1)?,
        device: DeviceId(row.try_get(2)?),
        state: State::from_column(row.try_get(3)?)?,
        spki: row.try_get(4)?,
        purpose: KeyPurpose::from_column(row.try_get(5)?)?,
    };
    Ok((instance_id, key))
}
