// SPDX-License-Identifier: Apache-2.0
//! Bound evidence: a token that vouches for a key, because its challenge is a
//! hash with that key in it. `docs/bound-evidence.md` says what this proves.

/// What the hash begins with, so that it is never that of anything else.
pub const DOMAIN: &[u8] = b"devid-bound-evidence-v1\0";

/// The challenge that a token has to answer to vouch for a key: the SHA-256 of
/// these parts, in this order.
///
/// `challenge` is the verifier's, `spki` the key's DER SubjectPublicKeyInfo.
pub const fn challenge_parts<'a>(challenge: &'a [u8], spki: &'a [u8]) -> [&'a [u8]; 3] {
    [DOMAIN, challenge, spki]
}
