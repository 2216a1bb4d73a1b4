// SPDX-License-Identifier: Apache-2.0
//! aws-lc-rs.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::signature::{self, ParsedPublicKey, UnparsedPublicKey, VerificationAlgorithm};
use aws_lc_rs::{digest as hashing, hmac};
use rustls_pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};

use super::{Curve, Hash};

/// A public key, parsed once.
pub(crate) struct EcdsaKey {
    key: ParsedPublicKey,
    hash: &'static hashing::Algorithm,
}

impl EcdsaKey {
    /// `None` where the point is not on the curve.
    pub(crate) fn new(curve: Curve, point: &[u8]) -> Option<Self> {
        let (algorithm, hash) = match curve {
            Curve::P256 => (&signature::ECDSA_P256_SHA256_FIXED, &hashing::SHA256),
            Curve::P384 => (&signature::ECDSA_P384_SHA384_FIXED, &hashing::SHA384),
            Curve::P521 => (&signature::ECDSA_P521_SHA512_FIXED, &hashing::SHA512),
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

/// ECDSA on the three curves, RSA from 2048 bits on, Ed25519 and ML-DSA.
pub(crate) static CERTIFICATE_ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    &of(alg_id::ECDSA_P256, alg_id::ECDSA_SHA256, &signature::ECDSA_P256_SHA256_ASN1),
    &of(alg_id::ECDSA_P256, alg_id::ECDSA_SHA384, &signature::ECDSA_P256_SHA384_ASN1),
    &of(alg_id::ECDSA_P256, alg_id::ECDSA_SHA512, &signature::ECDSA_P256_SHA512_ASN1),
    &of(alg_id::ECDSA_P384, alg_id::ECDSA_SHA256, &signature::ECDSA_P384_SHA256_ASN1),
    &of(alg_id::ECDSA_P384, alg_id::ECDSA_SHA384, &signature::ECDSA_P384_SHA384_ASN1),
    &of(alg_id::ECDSA_P384, alg_id::ECDSA_SHA512, &signature::ECDSA_P384_SHA512_ASN1),
    &of(alg_id::ECDSA_P521, alg_id::ECDSA_SHA256, &signature::ECDSA_P521_SHA256_ASN1),
    &of(alg_id::ECDSA_P521, alg_id::ECDSA_SHA384, &signature::ECDSA_P521_SHA384_ASN1),
    &of(alg_id::ECDSA_P521, alg_id::ECDSA_SHA512, &signature::ECDSA_P521_SHA512_ASN1),
    &of(alg_id::RSA_ENCRYPTION, alg_id::RSA_PKCS1_SHA256, &signature::RSA_PKCS1_2048_8192_SHA256),
    &of(alg_id::RSA_ENCRYPTION, alg_id::RSA_PKCS1_SHA384, &signature::RSA_PKCS1_2048_8192_SHA384),
    &of(alg_id::RSA_ENCRYPTION, alg_id::RSA_PKCS1_SHA512, &signature::RSA_PKCS1_2048_8192_SHA512),
    // RFC 4055, 5: parameters may be absent.
    &of(
        alg_id::RSA_ENCRYPTION,
        rsa_pkcs1_without_parameters::SHA256,
        &signature::RSA_PKCS1_2048_8192_SHA256,
    ),
    &of(
        alg_id::RSA_ENCRYPTION,
        rsa_pkcs1_without_parameters::SHA384,
        &signature::RSA_PKCS1_2048_8192_SHA384,
    ),
    &of(
        alg_id::RSA_ENCRYPTION,
        rsa_pkcs1_without_parameters::SHA512,
        &signature::RSA_PKCS1_2048_8192_SHA512,
    ),
    &of(alg_id::RSA_ENCRYPTION, alg_id::RSA_PSS_SHA256, &signature::RSA_PSS_2048_8192_SHA256),
    &of(alg_id::RSA_ENCRYPTION, alg_id::RSA_PSS_SHA384, &signature::RSA_PSS_2048_8192_SHA384),
    &of(alg_id::RSA_ENCRYPTION, alg_id::RSA_PSS_SHA512, &signature::RSA_PSS_2048_8192_SHA512),
    &of(alg_id::ED25519, alg_id::ED25519, &signature::ED25519),
    &of(alg_id::ML_DSA_44, alg_id::ML_DSA_44, &signature::ML_DSA_44),
    &of(alg_id::ML_DSA_65, alg_id::ML_DSA_65, &signature::ML_DSA_65),
    &of(alg_id::ML_DSA_87, alg_id::ML_DSA_87, &signature::ML_DSA_87),
];

const fn of(
    key: AlgorithmIdentifier,
    name: AlgorithmIdentifier,
    algorithm: &'static dyn VerificationAlgorithm,
) -> Algorithm {
    Algorithm { key, name, algorithm }
}

mod rsa_pkcs1_without_parameters {
    use rustls_pki_types::AlgorithmIdentifier;

    const fn named(id: &'static [u8; 11]) -> AlgorithmIdentifier {
        AlgorithmIdentifier::from_slice(id)
    }
    pub(super) const SHA256: AlgorithmIdentifier =
        named(b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b");
    pub(super) const SHA384: AlgorithmIdentifier =
        named(b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c");
    pub(super) const SHA512: AlgorithmIdentifier =
        named(b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d");
}

#[derive(Debug)]
struct Algorithm {
    key: AlgorithmIdentifier,
    name: AlgorithmIdentifier,
    algorithm: &'static dyn VerificationAlgorithm,
}

impl SignatureVerificationAlgorithm for Algorithm {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        // RFC 5480, 2.2 knows no hybrid form of points.
        let is_ec =
            matches!(self.key, alg_id::ECDSA_P256 | alg_id::ECDSA_P384 | alg_id::ECDSA_P521);
        if is_ec && !matches!(public_key.first(), Some(0x02..=0x04)) {
            return Err(InvalidSignature);
        }
        let key = UnparsedPublicKey::new(self.algorithm, public_key);
        key.verify(message, signature).map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.name
    }
}
