// SPDX-License-Identifier: Apache-2.0
//! Wrappers in JSON and CBOR, key attestation bundles among them.
#![no_main]

use devid_verifier::{
    Appraisal, Challenge, KeySet, Policy, TrustAnchors, UnixTime, Verdict, Verifier, cmw,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(evidence) = cmw::to_cbor(input.into()) else { return };
    // What has been turned into CBOR is not JSON any more.
    assert!(cmw::to_cbor(evidence.clone()).is_ok_and(|again| again == evidence));
    let policy = Policy { at: UnixTime::now(), allow_development_key: true };
    let (keys, anchors) = (KeySet::default(), TrustAnchors::default());
    let appraisal = Appraisal::default();
    let verifier = Verifier { keys: &keys, anchors: &anchors, policy, appraisal };
    assert_eq!(verifier.verify(&evidence, Challenge::Any).verdict(), Verdict::Fail);
});
