// SPDX-License-Identifier: Apache-2.0
//! Lookups: those that wait are answered by one query.

use std::collections::HashMap;

use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Connection, Row};
use tokio::sync::{mpsc, oneshot};

use crate::batch::{MAX_ROWS, Statement};
use crate::devices::{DeviceId, State};
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
}

pub(crate) struct Lookup {
    instance_id: [u8; INSTANCE_ID_LEN],
    reply: oneshot::Sender<Result<Vec<KnownKey>, Error>>,
}

impl Registry {
    /// The keys under an instance id, of devices in whatever state.
    pub async fn lookup(
        &self,
        instance_id: &[u8; INSTANCE_ID_LEN],
    ) -> Result<Vec<KnownKey>, Error> {
        let (reply, answer) = oneshot::channel();
        let lookup = Lookup { instance_id: *instance_id, reply };
        self.lookups.send(lookup).await.map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }
}

pub(crate) fn spawn(mut connection: SqliteConnection) -> mpsc::Sender<Lookup> {
    let (sender, mut receiver) = mpsc::channel(MAX_ROWS);
    tokio::spawn(async move {
        let statement = Statement::new(
            "SELECT i.instance_id, k.id, k.device_id, d.state, k.spki
             FROM instance i
             JOIN device_key k ON k.id = i.key_id
             JOIN device d ON d.id = k.device_id
             WHERE i.instance_id IN (",
            1,
            ")",
        );
        let mut batch = Vec::with_capacity(MAX_ROWS);
        while receiver.recv_many(&mut batch, MAX_ROWS).await > 0 {
            let found = find(&mut connection, &statement, &batch).await;
            for Lookup { instance_id, reply } in batch.drain(..) {
                // Whoever asked may have gone away.
                let _gone = reply.send(match &found {
                    Ok(keys) => Ok(keys.get(&instance_id).cloned().unwrap_or_default()),
                    Err(error) => Err(Error::Shared(error.to_string())),
                });
            }
        }
        let _closed = connection.close().await;
    });
    sender
}

type Found = HashMap<[u8; INSTANCE_ID_LEN], Vec<KnownKey>>;

async fn find(
    connection: &mut SqliteConnection,
    statement: &Statement,
    batch: &[Lookup],
) -> Result<Found, sqlx::Error> {
    let (sql, rows) = statement.of(batch);
    let mut query = sqlx::query(sql);
    for lookup in rows {
        query = query.bind(&lookup.instance_id[..]);
    }
    let mut found = Found::with_capacity(batch.len());
    for row in query.fetch_all(connection).await? {
        let (instance_id, key) = known_key(&row)?;
        found.entry(instance_id).or_default().push(key);
    }
    Ok(found)
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
    };
    Ok((instance_id, key))
}
