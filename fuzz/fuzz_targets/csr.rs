// SPDX-License-Identifier: Apache-2.0
//! Certification requests with evidence: what passes does not pass cut short, or
//! without the challenge.
#![no_main]

use std::sync::LazyLock;

use devid_verifier::keys::PublicKey;
use devid_verifier::{
    Appraisal, Challenge, KeySet, Policy, TrustAnchors, UnixTime, Verdict, Verifier, csr,
};
use libfuzzer_sys::fuzz_target;

static KEYS: LazyLock<KeySet> = LazyLock::new(|| {
    let mut keys = KeySet::default();
    let file = include_bytes!("../../vectors/token/iak.pem");
    PublicKey::read_all(file).unwrap().into_iter().for_each(|key| keys.add_public(key));
    keys
});
const CHALLENGE: Challenge<'static> = Challenge::Expected(&[0xc4; 32]);

fuzz_target!(|input: &[u8]| {
    let Ok(request) = csr::from_pem(input.into()) else { return };
    let policy = Policy { at: UnixTime::now(), allow_development_key: true };
    let anchors = TrustAnchors::default();
    let verifier =
        Verifier { keys: &*KEYS, anchors: &anchors, policy, appraisal: Appraisal::default() };
    let report = verifier.verify(&request, CHALLENGE);
    if report.verdict() == Verdict::Pass && report.requested_key.is_some() {
        let cut = &request[..request.len() - 1];
        assert_eq!(verifier.verify(cut, CHALLENGE).verdict(), Verdict::Fail);
        assert_eq!(verifier.verify(&request, Challenge::Any).verdict(), Verdict::Fail);
    }
});
