// SPDX-License-Identifier: Apache-2.0
//! Why the registry could not do what it was asked.

use std::fmt;

/// Primary result codes of SQLite (sqlite.org/rescode.html).
const SQLITE_BUSY: i32 = 5;
const SQLITE_LOCKED: i32 = 6;

/// An error of the registry.
#[derive(Debug)]
pub enum Error {
    /// There is no such device.
    NoSuchDevice,
    /// The key belongs to a device already, or the serial number does.
    Exists,
    /// As many devices wait for approval as may.
    TooManyPending,
    /// The device was revoked, and approving it does not take that back.
    Revoked,
    /// There is no file.
    NoFile,
    /// The file is empty, or another program's.
    NoRegistry,
    /// The path leads no more to the file that was opened.
    FileGone,
    /// The database failed.
    Database(sqlx::Error),
    /// The file was made by another version.
    Migration(sqlx::migrate::MigrateError),
    /// There was no answer in time.
    TimedOut,
    /// The registry is shutting down.
    Closed,
    /// A failure that several callers share, told to each.
    Shared(String),
}

impl Error {
    /// Whether the registry did its work and said no. Everything else is a
    /// failure beneath it.
    pub(crate) const fn is_refusal(&self) -> bool {
        matches!(self, Self::NoSuchDevice | Self::Exists | Self::TooManyPending | Self::Revoked)
    }

    /// Whether another connection holds the database.
    pub(crate) fn is_busy(&self) -> bool {
        let error = match self {
            Self::Database(error)
            | Self::Migration(sqlx::migrate::MigrateError::Execute(error))
            | Self::Migration(sqlx::migrate::MigrateError::ExecuteMigration(error, _)) => error,
            _ => return false,
        };
        let code = error.as_database_error().and_then(|error| error.code());
        let code = code.and_then(|code| code.parse::<i32>().ok());
        // The upper bits say more of it.
        code.is_some_and(|code| matches!(code & 0xff, SQLITE_BUSY | SQLITE_LOCKED))
    }

    /// The same for another caller.
    pub(crate) fn share(&self) -> Self {
        match self {
            Self::FileGone => Self::FileGone,
            Self::Closed => Self::Closed,
            error => Self::Shared(error.to_string()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchDevice => f.write_str("there is no such device"),
            Self::Exists => f.write_str("the key or the serial number belongs to a device already"),
            Self::TooManyPending => f.write_str("too many devices wait for approval"),
            Self::Revoked => f.write_str("the device was revoked"),
            Self::NoFile => f.write_str("there is no such file"),
            Self::NoRegistry => f.write_str("the file holds no registry"),
            Self::FileGone => f.write_str(
                "the registry's file was deleted, moved or replaced; put it back, or restart with \
                 the one that counts",
            ),
            Self::Database(error) => write!(f, "the registry's database: {error}"),
            Self::Migration(error) => {
                write!(f, "the registry's file is of another version of this program: {error}")
            }
            Self::TimedOut => f.write_str("the registry did not answer in time"),
            Self::Closed => f.write_str("the registry is shutting down"),
            Self::Shared(error) => f.write_str(error),
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
