// SPDX-License-Identifier: Apache-2.0
//! Devices and what happens to them.

use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Connection, Row};

use crate::{Error, INSTANCE_ID_LEN, Registry, SeenSignature};

/// Names a device in this registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceId(pub i64);

/// What became of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It showed itself and waits for an operator. Not trusted.
    Pending,
    /// Its keys are trusted.
    Approved,
    /// Its keys are trusted no more.
    Revoked,
}

/// What a device's key is for. No key is for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPurpose {
    /// It signs attestation tokens.
    Attestation,
    /// It signs for applications, and no tokens.
    Identity,
}

/// A device to be recorded.
#[derive(Clone, Debug)]
pub struct NewDevice {
    /// Its state from the start.
    pub state: State,
    /// The stock-keeping unit, if known.
    pub sku: Option<String>,
    /// The serial number, unique within its stock-keeping unit.
    pub serial: Option<String>,
    /// The DER SubjectPublicKeyInfo of its key.
    pub spki: Vec<u8>,
    /// What that key is for.
    pub purpose: KeyPurpose,
    /// The instance ids by which tokens name that key.
    pub instance_ids: Vec<[u8; INSTANCE_ID_LEN]>,
    /// The certificate chain over that key, leaf first, if it came with one.
    pub chain: Vec<Vec<u8>>,
    /// The signature that it showed itself with, to be remembered.
    pub signature: Option<SeenSignature>,
    /// Where it came from, for the log of events.
    pub detail: String,
}

/// A device as recorded.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its name here.
    pub id: DeviceId,
    /// Its state.
    pub state: State,
    /// The stock-keeping unit.
    pub sku: Option<String>,
    /// The serial number.
    pub serial: Option<String>,
    /// When it was recorded, in seconds since 1970.
    pub created_at: i64,
}

/// A device's key as recorded.
#[derive(Clone, Debug)]
pub struct Key {
    /// The DER SubjectPublicKeyInfo.
    pub spki: Vec<u8>,
    /// What it is for.
    pub purpose: KeyPurpose,
    /// Its SHA-256.
    pub spki_sha256: Vec<u8>,
    /// The instance ids that lead to it.
    pub instance_ids: Vec<Vec<u8>>,
    /// The certificate chain over it, leaf first; empty if there is none.
    pub chain: Vec<Vec<u8>>,
}

/// What happened to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It was recorded as approved: imported, or with a chain to an anchor.
    Registered,
    /// It was recorded as pending.
    Held,
    /// An operator approved it.
    Approved,
    /// An operator revoked it.
    Revoked,
    /// An operator took the revocation back.
    Reinstated,
    /// Its key signed different bytes with one ECDSA nonce.
    NonceReused,
}

/// One entry of the log.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its place in the log of all devices.
    pub seq: i64,
    /// When, in seconds since 1970.
    pub at: i64,
    /// What, by [`EventKind::name`].
    pub kind: String,
    /// More of it.
    pub detail: String,
}

/// Which devices to list.
#[derive(Clone, Copy, Debug)]
pub struct Filter {
    /// Only those in this state.
    pub state: Option<State>,
    /// Only those behind this one, to go on after a page.
    pub after: Option<DeviceId>,
    /// How many at most.
    pub limit: u32,
}

/// A change of one device, with its event, in one transaction.
pub(crate) enum Change {
    Register { device: Box<NewDevice>, max_pending: u32 },
    Approve { device: DeviceId, also_revoked: bool, detail: String },
    Revoke { device: DeviceId, detail: String },
    Note { device: DeviceId, kind: EventKind, detail: String },
}

impl State {
    /// The state's stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Revoked => "revoked",
        }
    }

    const fn column(self) -> i64 {
        match self {
            Self::Pending => 0,
            Self::Approved => 1,
            Self::Revoked => 2,
        }
    }

    pub(crate) fn from_column(value: i64) -> Result<Self, sqlx::Error> {
        match value {
            0 => Ok(Self::Pending),
            1 => Ok(Self::Approved),
            2 => Ok(Self::Revoked),
            _ => Err(sqlx::Error::Decode("a device's state is out of range".into())),
        }
    }
}

impl KeyPurpose {
    /// The purpose's stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Attestation => "attestation",
            Self::Identity => "identity",
        }
    }

    const fn column(self) -> i64 {
        match self {
            Self::Attestation => 0,
            Self::Identity => 1,
        }
    }

    pub(crate) fn from_column(value: i64) -> Result<Self, sqlx::Error> {
        match value {
            0 => Ok(Self::Attestation),
            1 => Ok(Self::Identity),
            _ => Err(sqlx::Error::Decode("a key's purpose is out of range".into())),
        }
    }
}

impl EventKind {
    /// The kind's stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Held => "held",
            Self::Approved => "approved",
            Self::Revoked => "revoked",
            Self::Reinstated => "reinstated",
            Self::NonceReused => "nonce-reused",
        }
    }
}

impl Registry {
    /// Records a device. One that would wait for approval is refused where
    /// `max_pending` wait already.
    pub async fn register(&self, device: NewDevice, max_pending: u32) -> Result<DeviceId, Error> {
        self.change(Change::Register { device: Box::new(device), max_pending }).await
    }

    /// Approves a device. One that was revoked is refused.
    pub async fn approve(&self, device: DeviceId, detail: &str) -> Result<(), Error> {
        let detail = detail.into();
        self.change(Change::Approve { device, also_revoked: false, detail }).await.map(drop)
    }

    /// Approves a device, one that was revoked too.
    pub async fn reinstate(&self, device: DeviceId, detail: &str) -> Result<(), Error> {
        let detail = detail.into();
        self.change(Change::Approve { device, also_revoked: true, detail }).await.map(drop)
    }

    /// Revokes a device.
    pub async fn revoke(&self, device: DeviceId, detail: &str) -> Result<(), Error> {
        self.change(Change::Revoke { device, detail: detail.into() }).await.map(drop)
    }

    /// Adds to the log that something happened to a device.
    pub async fn note(&self, device: DeviceId, kind: EventKind, detail: &str) -> Result<(), Error> {
        self.change(Change::Note { device, kind, detail: detail.into() }).await.map(drop)
    }

    /// Devices in the order of their recording.
    pub async fn devices(&self, filter: Filter) -> Result<Vec<Device>, Error> {
        let rows = sqlx::query(
            "SELECT id, state, sku, serial, created_at FROM device
             WHERE id > $1 AND ($2 IS NULL OR state = $2) ORDER BY id LIMIT $3",
        )
        .bind(filter.after.map_or(0, |device| device.0))
        .bind(filter.state.map(State::column))
        .bind(i64::from(filter.limit))
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(device).collect::<Result<_, _>>()?)
    }

    /// One device.
    pub async fn device(&self, id: DeviceId) -> Result<Device, Error> {
        let row =
            sqlx::query("SELECT id, state, sku, serial, created_at FROM device WHERE id = $1")
                .bind(id.0)
                .fetch_optional(&self.pool)
                .await?;
        Ok(device(&row.ok_or(Error::NoSuchDevice)?)?)
    }

    /// A device's keys.
    pub async fn keys(&self, device: DeviceId) -> Result<Vec<Key>, Error> {
        let rows = sqlx::query(
            "SELECT id, spki, spki_sha256, purpose FROM device_key WHERE device_id = $1",
        )
        .bind(device.0)
        .fetch_all(&self.pool)
        .await?;
        let mut keys = Vec::with_capacity(rows.len());
        for row in &rows {
            let key: i64 = row.try_get(0)?;
            keys.push(Key {
                spki: row.try_get(1)?,
                spki_sha256: row.try_get(2)?,
                purpose: KeyPurpose::from_column(row.try_get(3)?)?,
                instance_ids: self
                    .blobs("SELECT instance_id FROM instance WHERE key_id = $1", key)
                    .await?,
                chain: self
                    .blobs(
                        "SELECT c.der FROM chain JOIN certificate c ON c.id = certificate_id
                         WHERE key_id = $1 ORDER BY position",
                        key,
                    )
                    .await?,
            });
        }
        Ok(keys)
    }

    async fn blobs(&self, sql: &'static str, key: i64) -> Result<Vec<Vec<u8>>, Error> {
        let rows = sqlx::query(sql).bind(key).fetch_all(&self.pool).await?;
        Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
    }

    /// What happened to a device, oldest first.
    pub async fn events(&self, device: DeviceId) -> Result<Vec<Event>, Error> {
        let rows = sqlx::query(
            "SELECT seq, at, kind, detail FROM event WHERE device_id = $1 ORDER BY seq",
        )
        .bind(device.0)
        .fetch_all(&self.pool)
        .await?;
        let event = |row: &SqliteRow| {
            Ok::<_, sqlx::Error>(Event {
                seq: row.try_get(0)?,
                at: row.try_get(1)?,
                kind: row.try_get(2)?,
                detail: row.try_get(3)?,
            })
        };
        Ok(rows.iter().map(event).collect::<Result<_, _>>()?)
    }
}

impl Change {
    pub(crate) async fn apply(&self, connection: &mut SqliteConnection) -> Result<DeviceId, Error> {
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        let (device, kind, detail) = match self {
            Self::Register { device, max_pending } => {
                let kind = match device.state {
                    State::Pending => EventKind::Held,
                    State::Approved => EventKind::Registered,
                    State::Revoked => EventKind::Revoked,
                };
                (register(&mut transaction, device, *max_pending).await?, kind, &device.detail)
            }
            Self::Approve { device, also_revoked, detail } => {
                let kind = match state(&mut transaction, *device).await? {
                    State::Revoked if !also_revoked => return Err(Error::Revoked),
                    State::Revoked => EventKind::Reinstated,
                    State::Pending | State::Approved => EventKind::Approved,
                };
                set_state(&mut transaction, *device, State::Approved).await?;
                (*device, kind, detail)
            }
            Self::Revoke { device, detail } => {
                state(&mut transaction, *device).await?;
                set_state(&mut transaction, *device, State::Revoked).await?;
                (*device, EventKind::Revoked, detail)
            }
            Self::Note { device, kind, detail } => (*device, *kind, detail),
        };
        sqlx::query("INSERT INTO event (device_id, at, kind, detail) VALUES ($1, $2, $3, $4)")
            .bind(device.0)
            .bind(now())
            .bind(kind.name())
            .bind(detail.as_str())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(device)
    }
}

async fn state(connection: &mut SqliteConnection, device: DeviceId) -> Result<State, Error> {
    let row = sqlx::query("SELECT state FROM device WHERE id = $1")
        .bind(device.0)
        .fetch_optional(connection)
        .await?;
    Ok(State::from_column(row.ok_or(Error::NoSuchDevice)?.try_get(0)?)?)
}

async fn set_state(
    connection: &mut SqliteConnection,
    device: DeviceId,
    state: State,
) -> Result<(), Error> {
    sqlx::query("UPDATE device SET state = $1 WHERE id = $2")
        .bind(state.column())
        .bind(device.0)
        .execute(connection)
        .await?;
    Ok(())
}

async fn register(
    connection: &mut SqliteConnection,
    new: &NewDevice,
    max_pending: u32,
) -> Result<DeviceId, Error> {
    if new.state == State::Pending {
        let row = sqlx::query("SELECT COUNT(*) FROM device WHERE state = 0")
            .fetch_one(&mut *connection)
            .await?;
        if row.try_get::<i64, _>(0)? >= i64::from(max_pending) {
            return Err(Error::TooManyPending);
        }
    }
    let device: i64 = sqlx::query(
        "INSERT INTO device (state, sku, serial, created_at) VALUES ($1, $2, $3, $4) RETURNING id",
    )
    .bind(new.state.column())
    .bind(new.sku.as_deref())
    .bind(new.serial.as_deref())
    .bind(now())
    .fetch_one(&mut *connection)
    .await?
    .try_get(0)?;
    let key: i64 = sqlx::query(
        "INSERT INTO device_key (device_id, spki_sha256, spki, purpose)
         VALUES ($1, $2, $3, $4) RETURNING id",
    )
    .bind(device)
    .bind(&Sha256::digest(&new.spki)[..])
    .bind(&new.spki[..])
    .bind(new.purpose.column())
    .fetch_one(&mut *connection)
    .await?
    .try_get(0)?;
    for instance_id in &new.instance_ids {
        sqlx::query("INSERT INTO instance (instance_id, key_id) VALUES ($1, $2)")
            .bind(&instance_id[..])
            .bind(key)
            .execute(&mut *connection)
            .await?;
    }
    if let Some(SeenSignature { r, signed_sha256 }) = &new.signature {
        sqlx::query("INSERT INTO signature (key_id, r, signed_sha256) VALUES ($1, $2, $3)")
            .bind(key)
            .bind(&r[..])
            .bind(&signed_sha256[..])
            .execute(&mut *connection)
            .await?;
    }
    for (position, der) in (0_i64..).zip(&new.chain) {
        let sha256 = Sha256::digest(der);
        sqlx::query("INSERT INTO certificate (sha256, der) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(&sha256[..])
            .bind(&der[..])
            .execute(&mut *connection)
            .await?;
        sqlx::query(
            "INSERT INTO chain (key_id, position, certificate_id)
             SELECT $1, $2, id FROM certificate WHERE sha256 = $3",
        )
        .bind(key)
        .bind(position)
        .bind(&sha256[..])
        .execute(&mut *connection)
        .await?;
    }
    Ok(DeviceId(device))
}

fn device(row: &SqliteRow) -> Result<Device, sqlx::Error> {
    Ok(Device {
        id: DeviceId(row.try_get(0)?),
        state: State::from_column(row.try_get(1)?)?,
        sku: row.try_get(2)?,
        serial: row.try_get(3)?,
        created_at: row.try_get(4)?,
    })
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
