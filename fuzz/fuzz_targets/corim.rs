// SPDX-License-Identifier: Apache-2.0
//! CoRIMs, signed and not, and what is taken from them.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use devid_verifier::keys::PublicKey;
use devid_verifier::{Endorsements, UnixTime, Verdict, corim};
use libfuzzer_sys::fuzz_target;

static SIGNERS: LazyLock<Vec<PublicKey>> = LazyLock::new(|| {
    PublicKey::read_all(include_bytes!("../../vectors/corim/endorser.pem")).unwrap()
});

fuzz_target!(|document: &[u8]| {
    let at = UnixTime::since_unix_epoch(Duration::from_secs(1500));
    let report = corim::verify(document, &[], at);
    if report.verdict() == Verdict::Pass {
        let corim = report.into_content().expect("what passes has content");
        assert!(!corim.is_signed, "a signature nobody could check");
        assert!(corim.add_to(&mut Endorsements::default()).is_ok(), "it contradicts itself");
        assert_eq!(corim::verify(document, &SIGNERS, at).verdict(), Verdict::Fail);
    } else {
        corim::verify(document, &SIGNERS, at);
    }
});
