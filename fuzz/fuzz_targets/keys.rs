// SPDX-License-Identifier: Apache-2.0
//! Files with keys: PEM, DER, JWK, COSE_Key. What is a public key is no
//! symmetric one.
#![no_main]

use devid_verifier::keys::{MacKey, PublicKey};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    let secret = MacKey::read(file, &[]);
    if PublicKey::read_all(file).is_ok_and(|keys| !keys.is_empty()) {
        assert!(secret.is_err());
    }
});
