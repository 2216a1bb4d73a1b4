// SPDX-License-Identifier: Apache-2.0
//! Bound evidence: a token that vouches for a key. What it proves, and what
//! not, stands in `docs/bound-evidence.md`.

use devid_core::bound::challenge_parts;

use crate::crypto::sha256;
use crate::keys::PublicKey;

/// A challenge to be answered for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoundChallenge<'c> {
    challenge: &'c [u8],
    nonce: [u8; 32],
}

impl<'c> BoundChallenge<'c> {
    /// Binds a challenge to a key.
    pub fn new(challenge: &'c [u8], key: &PublicKey) -> Self {
        Self { challenge, nonce: sha256(&challenge_parts(challenge, &key.spki())) }
    }

    /// The challenge that was sent.
    pub const fn challenge(&self) -> &'c [u8] {
        self.challenge
    }

    /// The nonce that a token must have.
    pub const fn nonce(&self) -> &[u8; 32] {
        &self.nonce
    }
}
