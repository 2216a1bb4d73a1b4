// SPDX-License-Identifier: Apache-2.0
//! What stands between those who wait for the registry and its database: a
//! connection that is made anew after a failure, and work that is tried as long
//! as anybody waits for it.

use sqlx::SqliteConnection;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::file::File;
use crate::{Error, PATIENCE};

/// Something that somebody waits for.
pub(crate) struct Asked<T, R> {
    pub(crate) what: T,
    reply: oneshot::Sender<Result<R, Error>>,
}

/// Hands something to a task of the registry and waits for the answer.
pub(crate) async fn ask<J, T, R>(
    jobs: &mpsc::Sender<J>,
    what: T,
    job: impl FnOnce(Asked<T, R>) -> J,
) -> Result<R, Error> {
    let (reply, answer) = oneshot::channel();
    let asked = async {
        jobs.send(job(Asked { what, reply })).await.map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    };
    timeout(PATIENCE, asked).await.unwrap_or(Err(Error::TimedOut))
}

/// Forgets what nobody waits for any more. Whether anything is left.
pub(crate) fn still_asked<T, R>(asked: &mut Vec<Asked<T, R>>) -> bool {
    asked.retain(|asked| !asked.reply.is_closed());
    !asked.is_empty()
}

/// Answers all, each with its own result in their order, or with the failure.
pub(crate) fn answer<T, R>(asked: Vec<Asked<T, R>>, results: Result<Vec<R>, Error>) {
    let results: Vec<_> = match results {
        Ok(results) => results.into_iter().map(Ok).collect(),
        Err(error) if asked.len() == 1 => vec![Err(error)],
        Err(error) => asked.iter().map(|_| Err(error.share())).collect(),
    };
    for (Asked { reply, .. }, result) in asked.into_iter().zip(results) {
        // Whoever asked may have gone away.
        let _gone = reply.send(result);
    }
}

/// A connection to the registry's file.
pub(crate) struct Link {
    file: File,
    connection: Option<SqliteConnection>,
}

impl Link {
    /// Connects.
    pub(crate) async fn new(file: File) -> Result<Self, Error> {
        let connection = Some(file.connect().await?);
        Ok(Self { file, connection })
    }

    /// The connection, made anew after a failure, to the file that was opened.
    pub(crate) async fn connection(&mut self) -> Result<&mut SqliteConnection, Error> {
        match &mut self.connection {
            Some(_) => self.file.check().await?,
            none => *none = Some(self.file.connect().await?),
        }
        self.connection.as_mut().ok_or(Error::Closed)
    }

    /// Judges work on the connection: what went into a file that nobody can open
    /// any more was not done.
    ///
    /// After a failure the connection is given up. SQLite may have ended its
    /// transaction by itself, and sqlx would not know.
    pub(crate) async fn settle<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        match result {
            Ok(done) => self.file.check().await.map(|()| done),
            // It was not touched, and the file may come back.
            Err(error @ Error::FileGone) => Err(error),
            Err(error) => {
                if !error.is_refusal() {
                    self.connection = None;
                }
                Err(error)
            }
        }
    }
}
