// SPDX-License-Identifier: Apache-2.0
//! P-256 public keys and ECDSA signatures, as fixed-size values.

use crate::error::{Error, Item};

/// An ECDSA P-256 signature as `r || s`, 32 bytes each, big-endian (RFC 9053, 2.1).
pub type Signature = [u8; 64];

/// A P-256 public key as an uncompressed point: `04 || X || Y` (SEC 1, 2.3.3).
///
/// Only the form is checked here; that the point lies on the curve is for
/// whoever computes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; Self::LEN]);

/// What precedes the point in a P-256 SubjectPublicKeyInfo (RFC 5480):
/// `SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING`.
const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

impl PublicKey {
    /// Length of the point, in bytes.
    pub const LEN: usize = 65;

    /// Length of the DER SubjectPublicKeyInfo, in bytes.
    pub const SPKI_LEN: usize = SPKI_PREFIX.len() + Self::LEN;

    /// Takes an uncompressed point.
    pub fn from_point(point: &[u8]) -> Result<Self, Error> {
        match <[u8; Self::LEN]>::try_from(point) {
            Ok(bytes) if bytes[0] == 0x04 => Ok(Self(bytes)),
            _ => Err(Error::Malformed { item: Item::PublicKey, at: 0 }),
        }
    }

    /// Takes a DER SubjectPublicKeyInfo of a P-256 key.
    pub fn from_spki(spki: &[u8]) -> Result<Self, Error> {
        match spki.strip_prefix(SPKI_PREFIX.as_slice()) {
            Some(point) => Self::from_point(point),
            None => Err(Error::Malformed { item: Item::PublicKey, at: 0 }),
        }
    }

    /// The uncompressed point.
    pub const fn point(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The affine coordinates X and Y.
    pub fn coordinates(&self) -> (&[u8; 32], &[u8; 32]) {
        let [_, xy @ ..] = &self.0;
        match (xy.first_chunk(), xy.last_chunk()) {
            (Some(x), Some(y)) => (x, y),
            _ => (&[0; 32], &[0; 32]),
        }
    }

    /// The DER SubjectPublicKeyInfo (RFC 5480).
    #[inline(never)]
    pub fn spki(&self) -> [u8; Self::SPKI_LEN] {
        let mut out = [0; Self::SPKI_LEN];
        let (prefix, point) = out.split_at_mut(SPKI_PREFIX.len());
        prefix.copy_from_slice(&SPKI_PREFIX);
        point.copy_from_slice(&self.0);
        out
    }
}
