// SPDX-License-Identifier: Apache-2.0
//! aws-lc-rs.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ParsedPublicKey,
};
use aws_lc_rs::{digest as hashing, hmac};
use rustls_pki_types::SignatureVerificationAlgorithm;

use super::{Curve, Hash};

pub(crate) use webpki::ALL_VERIFICATION_ALGS as CERTIFICATE_ALGORITHMS;

const _: &[&dyn SignatureVerificationAlgorithm] = CERTIFICATE_ALGORITHMS;

/// A public key, parsed once.
pub(crate) struct EcdsaKey {
    key: ParsedPublicKey,
    hash: &'static hashing::Algorithm,
}

impl EcdsaKey {
    /// `None` where the point is not on the curve.
    pub(crate) fn new(curve: Curve, point: &[u8]) -> Option<Self> {
        let (algorithm, hash) = match curve {
            Curve::P256 => (&ECDSA_P256_SHA256_FIXED, &hashing::SHA256),
            Curve::P384 => (&ECDSA_P384_SHA384_FIXED, &hashing::SHA384),
            Curve::P521 => (&ECDSA_P521_SHA512_FIXED, &hashing::SHA512),
        };
        Some(Self { key: ParsedPublicKey::new(algorithm, point).ok()?, hash })
    }

    /// The uncompressed point.
    pub(crate) fn point(&self) -> Vec<u8> {
        self.key.as_ref().to_vec()
    }

    /// Whether `r || s` signs the parts.
    pub(crate) fn is_valid(&self, parts: &[&[u8]], signature: &[u8]) -> bool {
        self.key.verify_digest_sig(&hash(self.hash, parts), signature).is_ok()
    }
}

pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(hash(&hashing::SHA256, parts).as_ref());
    out
}

pub(crate) fn digest(algorithm: Hash, parts: &[&[u8]]) -> Vec<u8> {
    let algorithm = match algorithm {
        Hash::Sha256 => &hashing::SHA256,
        Hash::Sha384 => &hashing::SHA384,
        Hash::Sha512 => &hashing::SHA512,
    };
    hash(algorithm, parts).as_ref().to_vec()
}

/// Whether `tag` is the whole HMAC over the parts, in constant time.
pub(crate) fn mac_is_valid(hash: Hash, key: &[u8], parts: &[&[u8]], tag: &[u8]) -> bool {
    let algorithm = match hash {
        Hash::Sha256 => hmac::HMAC_SHA256,
        Hash::Sha384 => hmac::HMAC_SHA384,
        Hash::Sha512 => hmac::HMAC_SHA512,
    };
    let mut context = hmac::Context::with_key(&hmac::Key::new(algorithm, key));
    parts.iter().for_each(|part| context.update(part));
    verify_slices_are_equal(context.sign().as_ref(), tag).is_ok()
}

fn hash(algorithm: &'static hashing::Algorithm, parts: &[&[u8]]) -> hashing::Digest {
    let mut context = hashing::Context::new(algorithm);
    parts.iter().for_each(|part| context.update(part));
    context.finish()
}
