// SPDX-License-Identifier: Apache-2.0
//! Certificates, chains of them, anchors and CRLs.
#![no_main]

use std::sync::LazyLock;

use devid_core::chain::Chain;
use devid_core::x5chain;
use devid_core::x509::Certificate;
use devid_verifier::keys::PublicKey;
use devid_verifier::{
    Appraisal, Challenge, Check, KeySet, Policy, TrustAnchors, UnixTime, Verifier,
};
use libfuzzer_sys::fuzz_target;

const TOKEN: &[u8] = include_bytes!("../../vectors/token/rfc9783.cbor");

static ANCHORS: LazyLock<TrustAnchors> = LazyLock::new(|| {
    let mut anchors = TrustAnchors::with_cached_chains(0);
    anchors.add_all(include_bytes!("../../vectors/token/root.pem")).unwrap();
    anchors
});

fuzz_target!(|der: &[u8]| {
    if Certificate::parse(der).is_ok() {
        assert!(Chain::parse(der).is_ok());
    }
    if let Ok(chain) = Chain::parse(der) {
        assert!(chain.certificates().count() <= devid_core::limits::MAX_CHAIN_CERTS);
    }
    let _ = PublicKey::from_certificate(der);
    let mut anchors = TrustAnchors::default();
    let _ = anchors.add_all(der);
    let _ = anchors.add_crls(der);

    let mut token = [TOKEN, der, &[0; 64]].concat();
    let Ok(length) = x5chain::insert(&mut token, TOKEN.len(), der.len()) else { return };
    for anchors in [&anchors, &*ANCHORS] {
        let policy = Policy { at: UnixTime::now(), allow_development_key: false };
        let verifier =
            Verifier { keys: &KeySet::default(), anchors, policy, appraisal: Appraisal::default() };
        let report = verifier.verify(&token[..length], Challenge::Any);
        assert!(report.outcome(Check::Decode).passed());
    }
});
