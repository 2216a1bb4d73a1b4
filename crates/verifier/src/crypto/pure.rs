// SPDX-License-Identifier: Apache-2.0
//! RustCrypto, without any C.

use hmac::{Hmac, KeyInit, Mac};
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use rustls_pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::{Curve, Hash};

/// A public key, parsed once.
pub(crate) enum EcdsaKey {
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
    P521(p521::ecdsa::VerifyingKey),
}

impl EcdsaKey {
    /// `None` where the point is not on the curve.
    pub(crate) fn new(curve: Curve, point: &[u8]) -> Option<Self> {
        Some(match curve {
            Curve::P256 => Self::P256(p256::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?),
            Curve::P384 => Self::P384(p384::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?),
            Curve::P521 => Self::P521(p521::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?),
        })
    }

    /// The uncompressed point.
    pub(crate) fn point(&self) -> Vec<u8> {
        match self {
            Self::P256(key) => key.to_sec1_point(false).as_bytes().to_vec(),
            Self::P384(key) => key.to_sec1_point(false).as_bytes().to_vec(),
            Self::P521(key) => key.to_sec1_point(false).as_bytes().to_vec(),
        }
    }

    /// Whether `r || s` signs the parts.
    pub(crate) fn is_valid(&self, parts: &[&[u8]], signature: &[u8]) -> bool {
        match self {
            Self::P256(key) => p256::ecdsa::Signature::from_slice(signature)
                .and_then(|signature| key.verify_prehash(&hash::<Sha256>(parts), &signature)),
            Self::P384(key) => p384::ecdsa::Signature::from_slice(signature)
                .and_then(|signature| key.verify_prehash(&hash::<Sha384>(parts), &signature)),
            Self::P521(key) => p521::ecdsa::Signature::from_slice(signature)
                .and_then(|signature| key.verify_prehash(&hash::<Sha512>(parts), &signature)),
        }
        .is_ok()
    }
}

pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    hash::<Sha256>(parts).into()
}

pub(crate) fn digest(algorithm: Hash, parts: &[&[u8]]) -> Vec<u8> {
    match algorithm {
        Hash::Sha256 => hash::<Sha256>(parts).to_vec(),
        Hash::Sha384 => hash::<Sha384>(parts).to_vec(),
        Hash::Sha512 => hash::<Sha512>(parts).to_vec(),
    }
}

/// Whether `tag` is the whole HMAC over the parts, in constant time.
pub(crate) fn mac_is_valid(hash: Hash, key: &[u8], parts: &[&[u8]], tag: &[u8]) -> bool {
    fn check<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]], tag: &[u8]) -> bool {
        <M as KeyInit>::new_from_slice(key).is_ok_and(|mut mac| {
            parts.iter().for_each(|part| mac.update(part));
            mac.verify_slice(tag).is_ok()
        })
    }
    match hash {
        Hash::Sha256 => check::<Hmac<Sha256>>(key, parts, tag),
        Hash::Sha384 => check::<Hmac<Sha384>>(key, parts, tag),
        Hash::Sha512 => check::<Hmac<Sha512>>(key, parts, tag),
    }
}

fn hash<D: Digest>(parts: &[&[u8]]) -> sha2::digest::Output<D> {
    let mut hash = D::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize()
}

/// ECDSA on the curve of the signer's key with each of the three hashes.
pub(crate) static CERTIFICATE_ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    &Ecdsa { curve: Curve::P256, hash: Hash::Sha256 },
    &Ecdsa { curve: Curve::P256, hash: Hash::Sha384 },
    &Ecdsa { curve: Curve::P256, hash: Hash::Sha512 },
    &Ecdsa { curve: Curve::P384, hash: Hash::Sha256 },
    &Ecdsa { curve: Curve::P384, hash: Hash::Sha384 },
    &Ecdsa { curve: Curve::P384, hash: Hash::Sha512 },
    &Ecdsa { curve: Curve::P521, hash: Hash::Sha512 },
];

#[derive(Debug)]
struct Ecdsa {
    curve: Curve,
    hash: Hash,
}

impl SignatureVerificationAlgorithm for Ecdsa {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let prehash = match self.hash {
            Hash::Sha256 => Sha256::digest(message).to_vec(),
            Hash::Sha384 => Sha384::digest(message).to_vec(),
            Hash::Sha512 => Sha512::digest(message).to_vec(),
        };
        match EcdsaKey::new(self.curve, public_key).ok_or(InvalidSignature)? {
            EcdsaKey::P256(key) => p256::ecdsa::DerSignature::from_bytes(signature)
                .and_then(|signature| key.verify_prehash(&prehash, &signature)),
            EcdsaKey::P384(key) => p384::ecdsa::DerSignature::from_bytes(signature)
                .and_then(|signature| key.verify_prehash(&prehash, &signature)),
            EcdsaKey::P521(key) => p521::ecdsa::DerSignature::from_bytes(signature)
                .and_then(|signature| key.verify_prehash(&prehash, &signature)),
        }
        .map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        match self.curve {
            Curve::P256 => alg_id::ECDSA_P256,
            Curve::P384 => alg_id::ECDSA_P384,
            Curve::P521 => alg_id::ECDSA_P521,
        }
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        match self.hash {
            Hash::Sha256 => alg_id::ECDSA_SHA256,
            Hash::Sha384 => alg_id::ECDSA_SHA384,
            Hash::Sha512 => alg_id::ECDSA_SHA512,
        }
    }
}
