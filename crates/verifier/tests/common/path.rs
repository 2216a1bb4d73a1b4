// SPDX-License-Identifier: Apache-2.0
//! Paths made for tests, and what becomes of them.

use std::time::Duration;

use devid_verifier::{
    Appraisal, Challenge, Check, KeySet, Policy, TrustAnchors, UnixTime, Verdict, Verifier,
};

use super::{NONCE, Signer, token_with_chain};

/// 2026-11-23, in the middle of every good certificate's validity.
pub(crate) const NOW: u64 = 1_795_392_000;

/// The verdict on a token of `iak` with that chain, and what the path's check
/// says.
pub(crate) fn verify_chain(
    iak: &Signer,
    chain: &[Vec<u8>],
    trusted: &TrustAnchors,
    at: u64,
) -> (Verdict, String) {
    let token = token_with_chain(iak, chain);
    let at = UnixTime::since_unix_epoch(Duration::from_secs(at));
    let policy = Policy { at, allow_development_key: false };
    let keys = KeySet::default();
    let verifier =
        Verifier { keys: &keys, anchors: trusted, policy, appraisal: Appraisal::default() };
    let report = verifier.verify(&token, Challenge::Expected(&NONCE));
    (report.verdict(), report.outcome(Check::CertificatePath).detail.to_string())
}

#[track_caller]
pub(crate) fn accepted((verdict, detail): (Verdict, String)) {
    assert_eq!((verdict, detail.as_str()), (Verdict::Pass, ""));
}

#[track_caller]
pub(crate) fn refused((verdict, detail): (Verdict, String), reason: &str) {
    assert_eq!((verdict, detail.as_str()), (Verdict::Fail, reason));
}
