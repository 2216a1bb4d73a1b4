// SPDX-License-Identifier: Apache-2.0
//! Bound evidence: a token that vouches for a key. `docs/bound-evidence.md` says
//! what this proves.
//!
//! A nonce that vouches for a key begins with [`PREFIX`]. A plain challenge must
//! not ([`PlainChallenge`]), so that a device that answers everybody's plain
//! challenges gives nobody a token that vouches for a key of their choice.

use crate::error::Error;
use crate::platform::Digest;

/// What every nonce that vouches for a key begins with, in clear.
pub const PREFIX: [u8; 16] = *b"devid-bound-key2";

/// Length of a nonce that vouches for a key, in bytes: the prefix and a SHA-256.
pub const NONCE_LEN: usize = 48;

/// A nonce that vouches for a key.
pub type Nonce = [u8; NONCE_LEN];

/// What the hash begins with, so that it is never that of anything else.
const DOMAIN: &[u8] = b"devid-bound-evidence-v2\0";

/// A challenge that asks for a token and vouches for no key: 32, 48 or 64 bytes,
/// of which 48 must not be of the form of a [`Nonce`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainChallenge<'c>(&'c [u8]);

/// Why bytes are no plain challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotPlain {
    /// PSA takes 32, 48 or 64 bytes.
    Length,
    /// 48 bytes that begin with [`PREFIX`].
    VouchesForKey,
}

impl<'c> PlainChallenge<'c> {
    /// Takes a challenge as a peer or the application gave it.
    pub fn parse(challenge: &'c [u8]) -> Result<Self, NotPlain> {
        match challenge.len() {
            32 | 48 | 64 if vouches_for_key(challenge) => Err(NotPlain::VouchesForKey),
            32 | 48 | 64 => Ok(Self(challenge)),
            _ => Err(NotPlain::Length),
        }
    }

    /// The challenge's bytes.
    pub const fn as_bytes(&self) -> &'c [u8] {
        self.0
    }

    /// The nonce of a token that answers this challenge and vouches for a key,
    /// which `spki` is in DER. `sha256` hashes its parts in order.
    pub fn bind<E>(
        self,
        spki: &[u8],
        sha256: impl FnOnce(&[&[u8]]) -> Result<Digest, E>,
    ) -> Result<Nonce, E> {
        // At most 64, and before the challenge: where it ends is hashed too.
        let len = [self.0.len() as u8];
        let digest = sha256(&[DOMAIN, &len, self.0, spki])?;
        let mut nonce = [0; NONCE_LEN];
        let (prefix, hash) = nonce.split_at_mut(PREFIX.len());
        prefix.copy_from_slice(&PREFIX);
        hash.copy_from_slice(&digest);
        Ok(nonce)
    }
}

/// Whether a nonce has the form of those that vouch for a key.
pub fn vouches_for_key(nonce: &[u8]) -> bool {
    nonce.len() == NONCE_LEN && nonce.starts_with(&PREFIX)
}

impl NotPlain {
    /// The reason in words.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Length => "a challenge has 32, 48 or 64 bytes",
            Self::VouchesForKey => {
                "a challenge of 48 bytes must not begin with `devid-bound-key2`: \
                 tokens with such nonces vouch for keys"
            }
        }
    }
}

impl From<NotPlain> for Error {
    fn from(_: NotPlain) -> Self {
        Self::InvalidArgument
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No hash, but every byte and its place count.
    fn hashed(parts: &[&[u8]]) -> Result<Digest, ()> {
        let mut sum = [0; 32];
        let bytes = parts.iter().flat_map(|part| part.iter());
        bytes.enumerate().for_each(|(at, byte)| sum[at % 32] ^= byte);
        Ok(sum)
    }

    #[test]
    fn refuses_plain_challenges_of_the_bound_form_and_no_others() {
        let mut challenge = [0; 64];
        challenge[..16].copy_from_slice(&PREFIX);
        assert_eq!(PlainChallenge::parse(&challenge[..48]), Err(NotPlain::VouchesForKey));
        for len in [32, 64] {
            assert!(PlainChallenge::parse(&challenge[..len]).is_ok());
        }
        for len in [0, 16, 31, 33, 47, 49, 63] {
            assert_eq!(PlainChallenge::parse(&challenge[..len]), Err(NotPlain::Length));
        }
        for at in 0..PREFIX.len() {
            let mut other = challenge;
            other[at] ^= 1;
            assert!(PlainChallenge::parse(&other[..48]).is_ok(), "byte {at}");
        }
    }

    #[test]
    fn makes_no_nonce_that_is_a_plain_challenge() {
        for len in [32, 48, 64] {
            let nonce = PlainChallenge::parse(&[7; 64][..len]).unwrap().bind(b"spki", hashed);
            assert_eq!(PlainChallenge::parse(&nonce.unwrap()), Err(NotPlain::VouchesForKey));
        }
    }

    #[test]
    fn tells_where_the_challenge_ends() {
        let bind = |challenge: &[u8], spki: &[u8]| {
            PlainChallenge::parse(challenge).unwrap().bind(spki, hashed).unwrap()
        };
        assert_ne!(bind(&[7; 48], &[8; 16]), bind(&[[7; 48].as_slice(), &[8; 16]].concat(), &[]));
    }
}
