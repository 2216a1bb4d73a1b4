// SPDX-License-Identifier: Apache-2.0
//! Private keys, which come by file alone.

use std::fs;
use std::path::Path;

use p256::NistP256;
use p256::ecdsa::SigningKey;
use p256::elliptic_curve::SecretKey;
use p256::pkcs8::DecodePrivateKey;
use zeroize::Zeroizing;

use crate::document::named;

/// Reads a P-256 private key in PEM: PKCS#8 or SEC 1.
pub(crate) fn read_signing_key(path: &Path) -> Result<SigningKey, String> {
    let pem = Zeroizing::new(fs::read_to_string(path).map_err(|error| named(path, &error))?);
    SecretKey::<NistP256>::from_pkcs8_pem(&pem)
        .ok()
        .or_else(|| SecretKey::from_sec1_pem(&pem).ok())
        .map(SigningKey::from)
        .ok_or_else(|| named(path, &"not a P-256 private key in PEM"))
}
