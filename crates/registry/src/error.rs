// SPDX-License-Identifier: Apache-2.0
//! Why the registry could not do what it was asked.

use std::fmt;

/// An error of the registry.
#[derive(Debug)]
pub enum Error {
    /// There is no such device.
    NoSuchDevice,
    /// The key belongs to a device already, or the serial number does.
    Exists,
    /// As many devices wait for approval as may.
    TooManyPending,
    /// The database failed.
    Database(sqlx::Error),
    /// The file was made by another version.
    Migration(sqlx::migrate::MigrateError),
    /// The registry is shutting down.
    Closed,
    /// A failure that several callers share, told to each.
    Shared(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchDevice => f.write_str("there is no such device"),
            Self::Exists => f.write_str("the key or the serial number belongs to a device already"),
            Self::TooManyPending => f.write_str("too many devices wait for approval"),
            Self::Database(error) => write!(f, "the registry's database: {error}"),
            Self::Migration(error) => {
                write!(f, "the registry's file is of another version of this program: {error}")
            }
            Self::Closed => f.write_str("the registry is shutting down"),
            Self::Shared(error) => write!(f, "the registry's database: {error}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) if database.is_unique_violation() => Self::Exists,
            _ => Self::Database(error),
        }
    }
}

impl From<sqlx::migrate::MigrateError> for Error {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        Self::Migration(error)
    }
}
