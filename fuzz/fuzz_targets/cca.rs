// SPDX-License-Identifier: Apache-2.0
//! Platform and realm tokens, as they come and put into both wrappers: the first
//! two bytes are the platform token's length. Nobody can sign for a platform
//! here: nothing may pass.
#![no_main]

use devid_verifier::{
    Appraisal, Challenge, Check, KeySet, Policy, Report, TrustAnchors, UnixTime, Verdict, Verifier,
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
    let Some((&length, input)) = input.split_first_chunk() else { return };
    let length = usize::from(u16::from_be_bytes(length));
    let (platform, realm) = input.split_at(length.min(input.len()));
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
    // The wrapper makes no difference to two tokens in it. What is none may be
    // wrapped once more in the newer one.
    verify(&legacy.concat(), |report| {
        if report.outcome(Check::Decode).failed() {
            return;
        }
        verify(&current.concat(), |other| {
            let results = |report: &Report<'_>| {
                report.outcomes().map(|(_, outcome)| outcome.result).collect::<Vec<_>>()
            };
            assert_eq!(results(report), results(other));
        });
    });
});
