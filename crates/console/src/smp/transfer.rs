// SPDX-License-Identifier: Apache-2.0
//! The one long value under way, in or out, known by its SHA-256.
//!
//! A client that starts another one displaces it; whoever was at it learns so
//! from the digest, and two values are never mixed.

use devid_core::platform::{Crypto, Digest};

use super::failure::Failure;
use crate::load::Load;

pub(super) struct Transfer<'b> {
    load: Load<'b>,
    /// Whether the value is a result, going out.
    outgoing: bool,
}

impl<'b> Transfer<'b> {
    pub(super) fn new(buffer: &'b mut [u8]) -> Self {
        Self { load: Load::new(buffer), outgoing: false }
    }

    /// Begins to take a value. The same one again is gone on with.
    pub(super) fn begin(&mut self, len: usize, digest: Digest) -> Result<(), Failure> {
        if self.progress() == Some((self.taken(), len, digest)) {
            return Ok(());
        }
        self.load.begin(len, digest)?;
        self.outgoing = false;
        Ok(())
    }

    /// Takes a piece of the value named, if it is the next one; answers where
    /// the next one begins. The last piece shows whether the digest is right.
    pub(super) fn piece(
        &mut self,
        digest: &Digest,
        off: usize,
        piece: &[u8],
        crypto: &mut impl Crypto,
    ) -> Result<usize, Failure> {
        self.check(digest, false)?;
        if off == self.taken() && !piece.is_empty() {
            self.load.data(piece)?;
            if self.load.progress().is_some_and(|(taken, len)| taken == len) {
                self.load.bytes(crypto)?;
            }
        }
        Ok(self.taken())
    }

    /// Bytes taken, bytes announced and digest of the value coming in.
    pub(super) fn progress(&self) -> Option<(usize, usize, Digest)> {
        let (taken, len) = self.load.progress().filter(|_| !self.outgoing)?;
        Some((taken, len, self.load.digest()?))
    }

    /// The value taken, whole and as announced.
    pub(super) fn value(
        &mut self,
        digest: &Digest,
        crypto: &mut impl Crypto,
    ) -> Result<&[u8], Failure> {
        self.check(digest, false)?;
        Ok(self.load.bytes(crypto)?)
    }

    /// Keeps a result to be fetched.
    pub(super) fn keep(&mut self, result: &[u8], digest: Digest) -> Result<(), Failure> {
        self.load.begin(result.len(), digest)?;
        self.outgoing = true;
        Ok(self.load.data(result)?)
    }

    /// The result kept, from an offset.
    pub(super) fn result(&self, digest: &Digest, off: usize) -> Result<&[u8], Failure> {
        self.check(digest, true)?;
        self.load.taken().get(off..).ok_or(Failure::Overrun(self.taken()))
    }

    pub(super) fn abort(&mut self) {
        self.load.abort();
    }

    fn taken(&self) -> usize {
        self.load.taken().len()
    }

    fn check(&self, digest: &Digest, outgoing: bool) -> Result<(), Failure> {
        if self.outgoing == outgoing && self.load.digest().as_ref() == Some(digest) {
            Ok(())
        } else {
            Err(Failure::Stale)
        }
    }
}
