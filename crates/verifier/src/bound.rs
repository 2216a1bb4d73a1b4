// SPDX-License-Identifier: Apache-2.0
//! Bound evidence: a token that vouches for a key. What it proves, and what
//! not, stands in `docs/bound-evidence.md`.

use devid_core::bound::{Nonce, NotPlain, PlainChallenge};

use crate::crypto::sha256;
use crate::keys::{KeyId, PublicKey};

/// A challenge to be answered for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoundChallenge<'c> {
    challenge: PlainChallenge<'c>,
    nonce: Nonce,
    key: KeyId,
}

impl<'c> BoundChallenge<'c> {
    /// Binds a plain challenge to a key.
    pub fn new(challenge: &'c [u8], key: &PublicKey) -> Result<Self, NotPlain> {
        let challenge = PlainChallenge::parse(challenge)?;
        let hash = |parts: &[&[u8]]| Ok::<_, NotPlain>(sha256(parts));
        Ok(Self { challenge, nonce: challenge.bind(&key.spki(), hash)?, key: *key.id() })
    }

    /// The challenge that was sent.
    pub const fn challenge(&self) -> &'c [u8] {
        self.challenge.as_bytes()
    }

    /// The key that is to be vouched for.
    pub const fn key(&self) -> &KeyId {
        &self.key
    }

    /// The nonce that a token must have.
    pub const fn nonce(&self) -> &Nonce {
        &self.nonce
    }
}
