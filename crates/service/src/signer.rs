// SPDX-License-Identifier: Apache-2.0
//! The key that signs attestation results.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

/// A P-256 key that results are signed with.
pub struct Signer {
    key: EcdsaKeyPair,
    random: SystemRandom,
}

/// Why there is no key, or no signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignerError {
    /// Not PEM of a private key in PKCS #8 or SEC 1.
    Unrecognised,
    /// Not a P-256 key.
    Algorithm,
    /// Signing failed.
    Signing,
}

impl Signer {
    /// Takes a P-256 private key: PEM of PKCS #8 or SEC 1.
    pub fn from_pem(pem: &[u8]) -> Result<Self, SignerError> {
        let der = PrivateKeyDer::from_pem_slice(pem).map_err(|_| SignerError::Unrecognised)?;
        let key =
            EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_der())
                .map_err(|_| SignerError::Algorithm)?;
        Ok(Self { key, random: SystemRandom::new() })
    }

    /// The public key as an uncompressed point.
    pub fn public_point(&self) -> &[u8] {
        self.key.public_key().as_ref()
    }

    /// An ES256 signature, `r || s`.
    pub fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignerError> {
        let signature = self.key.sign(&self.random, message).map_err(|_| SignerError::Signing)?;
        signature.as_ref().try_into().map_err(|_| SignerError::Signing)
    }
}

impl fmt::Display for SignerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unrecognised => "not PEM of a private key (PKCS #8 or SEC 1)",
            Self::Algorithm => "not a P-256 key",
            Self::Signing => "signing failed",
        })
    }
}

impl std::error::Error for SignerError {}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    const PEM: &[u8] = include_bytes!("../tests/signing-key.pem");

    #[test]
    fn signs_with_the_key_that_it_shows() {
        let signer = Signer::from_pem(PEM).expect("a key");
        let signature = signer.sign(b"message").expect("signs");
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, signer.public_point())
            .verify(b"message", &signature)
            .expect("verifies");
    }

    #[test]
    fn refuses_what_is_no_private_key() {
        let pem = |label| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
        for (pem, error) in [
            (String::new(), SignerError::Unrecognised),
            (pem("PUBLIC KEY"), SignerError::Unrecognised),
            (pem("PRIVATE KEY"), SignerError::Algorithm),
        ] {
            assert_eq!(Signer::from_pem(pem.as_bytes()).err(), Some(error), "{pem}");
        }
    }
}
