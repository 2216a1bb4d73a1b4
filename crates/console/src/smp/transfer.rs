// SPDX-License-Identifier: Apache-2.0
//! The long values under way: one that comes in, and behind it in the buffer
//! one that goes out. Both are known by their SHA-256.
//!
//! A value that comes in belongs to the session that began it. No other learns
//! of it or displaces it, while it goes on: a minute after its last piece, and
//! ten after its first, it makes way. A result that goes out is displaced by the
//! next long one; whoever was at it learns so from the digest.

use devid_core::platform::{Clock, Crypto, Digest};

use super::failure::Failure;
use crate::load::Load;

/// Seconds without a piece after which a load makes way.
const IDLE: u32 = 60;

/// Seconds after which it makes way whatever came.
const MOST: u32 = 600;

pub(super) struct Transfer<'b> {
    load: Load<'b>,
    session: Session,
    /// Of the result that is kept.
    result: Option<Digest>,
}

/// Whose a value is that comes in.
#[derive(Clone, Copy, Default)]
struct Session {
    id: u64,
    begun: u32,
    touched: u32,
}

impl<'b> Transfer<'b> {
    pub(super) fn new(buffer: &'b mut [u8]) -> Self {
        Self { load: Load::new(buffer), session: Session::default(), result: None }
    }

    /// Begins to take a value. The same one again is gone on with.
    pub(super) fn begin(
        &mut self,
        session: u64,
        len: usize,
        digest: Digest,
        clock: &mut impl Clock,
    ) -> Result<(), Failure> {
        if self.progress(session) == Some((self.taken(), len, digest)) {
            return Ok(());
        }
        let now = clock.uptime();
        if !self.is_of(session) {
            self.make_way(now)?;
        }
        self.load.begin(len, digest)?;
        self.session = Session { id: session, begun: now, touched: now };
        self.result = None;
        Ok(())
    }

    /// Takes a piece of the value named, if it is the next one; answers where
    /// the next one begins. The last piece shows whether the digest is right.
    pub(super) fn piece(
        &mut self,
        session: u64,
        digest: &Digest,
        off: usize,
        piece: &[u8],
        platform: &mut (impl Crypto + Clock),
    ) -> Result<usize, Failure> {
        self.check(session, digest)?;
        if off == self.taken() && !piece.is_empty() {
            self.load.data(piece)?;
            self.session.touched = platform.uptime();
            if self.load.progress().is_some_and(|(taken, len)| taken == len) {
                self.load.bytes(platform)?;
            }
        }
        Ok(self.taken())
    }

    /// Bytes taken, bytes announced and digest of the session's value.
    pub(super) fn progress(&self, session: u64) -> Option<(usize, usize, Digest)> {
        let (taken, len) = self.load.progress().filter(|_| self.is_of(session))?;
        Some((taken, len, self.load.digest()?))
    }

    /// The session's value, whole and as announced.
    pub(super) fn value(
        &mut self,
        session: u64,
        digest: &Digest,
        crypto: &mut impl Crypto,
    ) -> Result<&[u8], Failure> {
        self.check(session, digest)?;
        Ok(self.load.bytes(crypto)?)
    }

    /// Keeps a result to be fetched.
    pub(super) fn keep(&mut self, result: &[u8], digest: Digest, now: u32) -> Result<(), Failure> {
        self.result = None;
        if self.load.keep(result).is_err() {
            self.make_way(now)?;
            self.load.keep(result).map_err(|_| Failure::TooLong(self.load.room()))?;
        }
        self.result = Some(digest);
        Ok(())
    }

    /// The result kept, from an offset.
    pub(super) fn result(&self, digest: &Digest, off: usize) -> Result<&[u8], Failure> {
        if self.result != Some(*digest) {
            return Err(Failure::Stale);
        }
        let result = self.load.kept();
        result.get(off..).ok_or(Failure::Overrun(result.len()))
    }

    /// Drops the session's value, and the result kept.
    pub(super) fn abort(&mut self, session: u64) {
        self.result = None;
        self.use_up(session);
    }

    /// Drops the session's value.
    pub(super) fn use_up(&mut self, session: u64) {
        if self.is_of(session) {
            self.load.abort();
        }
    }

    fn taken(&self) -> usize {
        self.load.progress().map_or(0, |(taken, _)| taken)
    }

    /// Whether a value of the session comes in.
    fn is_of(&self, session: u64) -> bool {
        self.session.id == session && self.load.progress().is_some()
    }

    /// Drops a load that was given up; refuses to displace one that goes on.
    fn make_way(&mut self, now: u32) -> Result<(), Failure> {
        if self.load.progress().is_some()
            && now.saturating_sub(self.session.touched) < IDLE
            && now.saturating_sub(self.session.begun) < MOST
        {
            return Err(Failure::InUse);
        }
        self.load.abort();
        Ok(())
    }

    fn check(&self, session: u64, digest: &Digest) -> Result<(), Failure> {
        if self.is_of(session) && self.load.digest() == Some(*digest) {
            Ok(())
        } else {
            Err(Failure::Stale)
        }
    }
}
