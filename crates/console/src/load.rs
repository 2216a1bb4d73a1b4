// SPDX-License-Identifier: Apache-2.0
//! A long value that comes in pieces.

use core::ops::Range;

use devid_core::platform::{Crypto, Digest};

use crate::failure::Failure;
use crate::text;

/// Bytes that come in pieces, under a length and a digest announced before.
pub(crate) struct Load<'b> {
    buffer: &'b mut [u8],
    announced: Option<Announced>,
    len: usize,
    /// What is kept behind the value, to be printed.
    kept: Range<usize>,
}

#[derive(Clone, Copy)]
struct Announced {
    len: usize,
    digest: Digest,
}

impl<'b> Load<'b> {
    pub(crate) fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, announced: None, len: 0, kept: 0..0 }
    }

    pub(crate) fn begin(&mut self, len: usize, digest: Digest) -> Result<(), Failure> {
        if len == 0 || len > self.buffer.len() {
            return Err(Failure::LoadTooLong(self.buffer.len()));
        }
        self.announced = Some(Announced { len, digest });
        self.len = 0;
        Ok(())
    }

    /// Takes a piece, whole or not at all.
    pub(crate) fn data(&mut self, piece: &[u8]) -> Result<(), Failure> {
        let missing = self.missing()?;
        let room = self.buffer.get_mut(self.len..).unwrap_or_default();
        match room.get_mut(..piece.len()) {
            Some(room) if piece.len() <= missing => copy(room, piece),
            _ => return Err(Failure::LoadOverrun(missing)),
        }
        self.len += piece.len();
        Ok(())
    }

    /// Bytes taken and bytes announced.
    pub(crate) fn progress(&self) -> Option<(usize, usize)> {
        self.announced.map(|announced| (self.len, announced.len))
    }

    /// The digest announced.
    #[cfg(feature = "smp")]
    pub(crate) fn digest(&self) -> Option<Digest> {
        self.announced.map(|announced| announced.digest)
    }

    /// The buffer's length.
    #[cfg(feature = "smp")]
    pub(crate) fn room(&self) -> usize {
        self.buffer.len()
    }

    /// Keeps bytes behind the value that is being loaded.
    pub(crate) fn keep(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let start = self.announced.map_or(0, |announced| announced.len);
        let room = self.buffer.get_mut(start..).unwrap_or_default();
        match room.get_mut(..bytes.len()) {
            Some(room) => copy(room, bytes),
            None => return Err(Failure::LoadInTheWay),
        }
        self.kept = start..start + bytes.len();
        Ok(())
    }

    /// The bytes kept last.
    pub(crate) fn kept(&self) -> &[u8] {
        self.buffer.get(self.kept.clone()).unwrap_or_default()
    }

    pub(crate) fn abort(&mut self) {
        self.announced = None;
        self.len = 0;
    }

    /// The bytes, complete and as announced. They stay until [`Self::abort`],
    /// so that a command that fails can be tried again.
    pub(crate) fn bytes(&mut self, crypto: &mut impl Crypto) -> Result<&[u8], Failure> {
        match self.missing()? {
            0 => {}
            missing => return Err(Failure::LoadIncomplete(missing)),
        }
        let bytes = self.buffer.get(..self.len).unwrap_or_default();
        let digest = crypto.sha256(&[bytes])?;
        if self.announced.is_none_or(|announced| announced.digest != digest) {
            self.abort();
            return Err(Failure::LoadDigest);
        }
        Ok(self.buffer.get(..self.len).unwrap_or_default())
    }

    fn missing(&self) -> Result<usize, Failure> {
        let (taken, len) = self.progress().ok_or(Failure::NoLoad)?;
        Ok(len.saturating_sub(taken))
    }
}

/// As `copy_from_slice`, which keeps its panic where it is called twice.
fn copy(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

/// A SHA-256 digest in hex.
pub(crate) fn parse_digest(text: &str) -> Result<Digest, Failure> {
    let mut digest = [0; 32];
    match text::decode_hex(text, &mut digest) {
        Ok(32) => Ok(digest),
        _ => Err(Failure::NotADigest),
    }
}
