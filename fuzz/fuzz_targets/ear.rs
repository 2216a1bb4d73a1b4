// SPDX-License-Identifier: Apache-2.0
//! Attestation results in all forms, and policies, which are text as JWTs are.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use devid_verifier::ear::{self, Demand, Ear};
use devid_verifier::keys::PublicKey;
use devid_verifier::{AppraisalPolicy, UnixTime, Verdict};
use libfuzzer_sys::fuzz_target;

static KEYS: LazyLock<Vec<PublicKey>> = LazyLock::new(|| {
    PublicKey::read_all(include_bytes!("../../vectors/ear/verifier.pem")).unwrap()
});

fuzz_target!(|document: &[u8]| {
    let at = UnixTime::since_unix_epoch(Duration::from_secs(1_795_000_000));
    let demand = Demand::affirming(at);
    assert_eq!(ear::verify(document, &[], &demand).verdict(), Verdict::Fail, "nobody signed it");
    ear::verify(document, &KEYS, &demand);
    if let Ok(ear) = Ear::from_cbor(document) {
        assert_eq!(Ear::from_cbor(&ear.to_cbor()), Ok(ear));
    }
    if let Ok(ear) = Ear::from_json(document) {
        assert_eq!(Ear::from_json(&ear.to_json()), Ok(ear));
    }
    let _ = AppraisalPolicy::from_toml(document);
});
