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

use rustls_pki_types::SignatureVerificationAlgorithm;

use self::backend::CERTIFICATE_ALGORITHMS;
pub(crate) use self::backend::{EcdsaKey, digest, mac_is_valid, sha256};
use crate::der::{Malformed, Reader, tag};

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

/// Why something is not signed by a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotSigned {
    /// The signature is wrong.
    Invalid,
    /// No algorithm known here goes with the key and has that name.
    Unsupported,
}

/// Checks a signature as certificates have it, by a SubjectPublicKeyInfo;
/// `algorithm` is the contents of an AlgorithmIdentifier.
pub(crate) fn check_signed(
    spki: &[u8],
    algorithm: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), NotSigned> {
    let (key_algorithm, key) = key_of(spki).map_err(|Malformed| NotSigned::Unsupported)?;
    let fits = |known: &&dyn SignatureVerificationAlgorithm| {
        *known.public_key_alg_id() == *key_algorithm && *known.signature_alg_id() == *algorithm
    };
    let verifier =
        CERTIFICATE_ALGORITHMS.iter().copied().find(fits).ok_or(NotSigned::Unsupported)?;
    verifier.verify_signature(key, message, signature).map_err(|_| NotSigned::Invalid)
}

/// The contents of algorithm, and subjectPublicKey.
fn key_of(spki: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let mut fields = Reader::sequence(spki)?;
    let key = (fields.contents(tag::SEQUENCE)?, fields.octet_bits()?);
    fields.finish()?;
    Ok(key)
}
