// SPDX-License-Identifier: Apache-2.0
//! Whole verifications: what passes must be a token that the device's decoder
//! reads too, and what is cut short must not pass.
#![no_main]

use std::sync::LazyLock;

use devid_core::token::Token;
use devid_verifier::keys::{MacKey, PublicKey};
use devid_verifier::{
    Appraisal, Challenge, KeySet, Policy, TrustAnchors, UnixTime, Verdict, Verifier,
};
use libfuzzer_sys::fuzz_target;

static KEYS: LazyLock<KeySet> = LazyLock::new(|| {
    let mut keys = KeySet::default();
    for file in [
        &include_bytes!("../../vectors/token/iak.pem")[..],
        include_bytes!("../../vectors/token/iak-es384.pem"),
        include_bytes!("../../vectors/token/iak-es512.pem"),
    ] {
        PublicKey::read_all(file).unwrap().into_iter().for_each(|key| keys.add_public(key));
    }
    let secret = include_bytes!("../../vectors/token/iak.hmac");
    keys.add_mac(MacKey::read(secret, &[]).unwrap());
    keys
});
static ANCHORS: LazyLock<TrustAnchors> = LazyLock::new(|| {
    let mut anchors = TrustAnchors::default();
    anchors.add_all(include_bytes!("../../vectors/token/root.pem")).unwrap();
    anchors
});

fuzz_target!(|token: &[u8]| {
    let policy = Policy { at: UnixTime::now(), allow_development_key: true };
    let verifier =
        Verifier { keys: &*KEYS, anchors: &*ANCHORS, policy, appraisal: Appraisal::default() };
    let report = verifier.verify(token, Challenge::Any);
    if report.verdict() == Verdict::Pass {
        assert!(Token::decode(token).is_ok());
        let cut = &token[..token.len() - 1];
        assert_eq!(verifier.verify(cut, Challenge::Any).verdict(), Verdict::Fail);
    }
});
