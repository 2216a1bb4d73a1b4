// SPDX-License-Identifier: Apache-2.0
//! Instance ids: the IAK's hash in a UEID of type RAND (RFC 9783, 4.2.1).
//!
//! Three derivations are in use. TF-M 2.1 hashes the public point, TF-M 2.2
//! the public key as a COSE_Key; a symmetric IAK is hashed twice. For curves
//! other than P-256, and on hosts with their own SHA-256, the hashed bytes
//! come in parts.

use crate::error::Error;
use crate::key::PublicKey;
use crate::platform::{Crypto, Digest};

/// Length of an instance id, in bytes.
pub const LEN: usize = 33;

/// The first byte: a UEID of type RAND (RFC 9711, 4.2.1.1).
pub const UEID_TYPE_RAND: u8 = 0x01;

/// `01 || digest`.
pub fn from_digest(digest: &Digest) -> [u8; LEN] {
    let mut id = [UEID_TYPE_RAND; LEN];
    let [_, tail @ ..] = &mut id;
    tail.copy_from_slice(digest);
    id
}

/// TF-M 2.1 and before: `01 || SHA-256(04 || X || Y)`.
pub fn from_point(crypto: &mut impl Crypto, key: &PublicKey) -> Result<[u8; LEN], Error> {
    Ok(from_digest(&crypto.sha256(&[key.point()])?))
}

/// TF-M 2.2: `01 || SHA-256(COSE_Key { 1: 2, -1: 1, -2: X, -3: Y })`.
pub fn from_cose_key(crypto: &mut impl Crypto, key: &PublicKey) -> Result<[u8; LEN], Error> {
    let parts = cose_key_parts(key.point()).ok_or(Error::InvalidArgument)?;
    Ok(from_digest(&crypto.sha256(&parts)?))
}

/// A symmetric IAK: `01 || SHA-256(SHA-256(key))`.
pub fn from_symmetric(crypto: &mut impl Crypto, key: &[u8]) -> Result<[u8; LEN], Error> {
    let once = crypto.sha256(&[key])?;
    Ok(from_digest(&crypto.sha256(&[&once])?))
}

/// The public COSE_Key of an uncompressed point on P-256, P-384 or P-521, in
/// the order that TF-M encodes it, in parts; `None` for any other length.
pub fn cose_key_parts(point: &[u8]) -> Option<[&[u8]; 4]> {
    // { 1 (kty): 2 (EC2), -1 (crv): .., -2 (x): .., -3 (y): .. }
    let (head, between): (&[u8], &[u8]) = match point.len() {
        65 => (&[0xa4, 0x01, 0x02, 0x20, 0x01, 0x21, 0x58, 32], &[0x22, 0x58, 32]),
        97 => (&[0xa4, 0x01, 0x02, 0x20, 0x02, 0x21, 0x58, 48], &[0x22, 0x58, 48]),
        133 => (&[0xa4, 0x01, 0x02, 0x20, 0x03, 0x21, 0x58, 66], &[0x22, 0x58, 66]),
        _ => return None,
    };
    let (_, coordinates) = point.split_first()?;
    let (x, y) = coordinates.split_at_checked(coordinates.len() / 2)?;
    Some([head, x, between, y])
}
