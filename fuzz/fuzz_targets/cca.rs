// SPDX-License-Identifier: Apache-2.0
//! Platform and realm tokens, as they come and put into both wrappers. Nobody
//! can sign for a platform here: nothing may pass.
#![no_main]

use devid_verifier::{
    Appraisal, Challenge, KeySet, Policy, Report, TrustAnchors, UnixTime, Verdict, Verifier,
};
use libfuzzer_sys::fuzz_target;

fn verify(evidence: &[u8], check: impl FnOnce(&Report<'_>)) {
    let policy = Policy { at: UnixTime::now(), allow_development_key: true };
    let (keys, anchors) = (KeySet::default(), TrustAnchors::default());
    let appraisal = Appraisal::default();
    let verifier = Verifier { keys: &keys, anchors: &anchors, policy, appraisal };
    let report = verifier.verify(evidence, Challenge::Any);
    assert_eq!(report.verdict(), Verdict::Fail);
    check(&report);
}

fn bytes(value: &[u8]) -> Vec<u8> {
    [&[0x5a][..], &(value.len() as u32).to_be_bytes(), value].concat()
}

fuzz_target!(|input: &[u8]| {
    verify(input, |_| ());
    let Some((&at, input)) = input.split_first() else { return };
    let (platform, realm) = input.split_at(usize::from(at) * input.len() / 256);
    let (platform, realm) = (bytes(platform), bytes(realm));
    let legacy =
        [&[0xd9, 1, 0x8f, 0xa2, 0x19, 0xac, 0xca][..], &platform, &[0x19, 0xac, 0xd1], &realm];
    let record = &[0x82, 0x19, 1, 7];
    let current = [
        &[0xd9, 3, 0x8b, 0xa2, 0x19, 0xac, 0xca][..],
        record,
        &platform,
        &[0x19, 0xac, 0xd1],
        record,
        &realm,
    ];
    // The wrapper makes no difference to what is in it.
    verify(&legacy.concat(), |report| {
        verify(&current.concat(), |other| {
            let results = |report: &Report<'_>| {
                report.outcomes().map(|(_, outcome)| outcome.result).collect::<Vec<_>>()
            };
            assert_eq!(results(report), results(other));
        });
    });
});
