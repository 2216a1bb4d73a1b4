// SPDX-License-Identifier: Apache-2.0
//! The two backends behind one interface: parsed ECDSA keys, HMAC, SHA-256, and
//! the algorithms that certificates may be signed with.

#[cfg(feature = "aws-lc-rs")]
#[path = "crypto/aws_lc.rs"]
mod backend;
#[cfg(all(feature = "p256", not(feature = "aws-lc-rs")))]
#[path = "crypto/pure.rs"]
mod backend;
#[cfg(not(any(feature = "aws-lc-rs", feature = "p256")))]
compile_error!("devid-verifier needs the feature `aws-lc-rs` or `p256`");

pub(crate) use backend::{CERTIFICATE_ALGORITHMS, EcdsaKey, digest, mac_is_valid, sha256};

/// An elliptic curve, with the hash that ECDSA uses on it (RFC 9053, 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// NIST P-256 with SHA-256.
    P256,
    /// NIST P-384 with SHA-384.
    P384,
    /// NIST P-521 with SHA-512.
    P521,
}

impl Curve {
    /// Length of a coordinate, in bytes.
    pub const fn coordinate_len(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}

/// A hash, bare or in an HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}
