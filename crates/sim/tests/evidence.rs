// SPDX-License-Identifier: Apache-2.0
//! Bound evidence from end to end: a device makes it, alone or in a request for
//! a certificate, and a verifier and a CA go by it.

mod common;

use common::*;
use devid_core::chain::Chain;
use devid_core::csr::Subject;
use devid_core::device::Device;
use devid_core::error::Error;
use devid_core::layout::STANDARD;
use devid_core::token::Profile;
use devid_sim::ca::{CsrError, ThrowAwayCa};
use devid_sim::{Config, Sim};
use devid_verifier::keys::PublicKey;
use devid_verifier::{
    Appraisal, BoundChallenge, Challenge, Check, KeySet, Policy, Report, TrustAnchors, UnixTime,
    Verdict, Verifier,
};
use std::time::Duration;

type Sims = Device<'static, Sim>;

const CHALLENGE: [u8; 32] = [0xc5; 32];
const NAMED: Subject<'static> =
    Subject { common_name: Some("x"), serial_number: Some("SN-1"), organization: None };

/// A device with both identities' keys and the IAK's chain.
fn device(config: Config, ca: &ThrowAwayCa) -> Sims {
    let mut device = open(Sim::in_memory(config), STANDARD).unwrap();
    let iak = device.iak_public_key().unwrap();
    device.write(IAK, &ca.certify(&iak, "IAK")).unwrap();
    device.generate(IDEVID).unwrap();
    device.generate(LDEVID).unwrap();
    device
}

/// Trusts the CA's root alone.
struct Trust {
    keys: KeySet,
    anchors: TrustAnchors,
}

impl Trust {
    fn new(ca: &ThrowAwayCa) -> Self {
        let mut anchors = TrustAnchors::default();
        anchors.add(ca.root()).unwrap();
        Self { keys: KeySet::default(), anchors }
    }

    fn verifier(&self) -> Verifier<'_> {
        let at = UnixTime::since_unix_epoch(Duration::from_secs(NOW.0 as u64));
        Verifier {
            keys: &self.keys,
            anchors: &self.anchors,
            policy: Policy { at, allow_development_key: true },
            appraisal: Appraisal::default(),
        }
    }

    fn verify<'t>(&self, evidence: &'t [u8]) -> Report<'t> {
        self.verifier().verify(evidence, Challenge::Expected(&CHALLENGE))
    }
}

fn every_profile() -> [Config; 3] {
    [Profile::Psa1, Profile::Psa2, Profile::Rfc9783].map(|profile| Config { profile, ..SEEDED })
}

#[test]
fn evidence_vouches_for_one_key_of_the_device() {
    let ca = ThrowAwayCa::new(NOW);
    let trust = Trust::new(&ca);
    for config in every_profile() {
        let mut device = device(config, &ca);
        let keys = [IDEVID, LDEVID]
            .map(|slot| PublicKey::from_spki(&device.public_key(slot).unwrap().spki()).unwrap());
        for challenge in [&[0xc5; 32][..], &[0xc5; 48], &[0xc5; 64]] {
            for (index, slot) in [IDEVID, LDEVID].into_iter().enumerate() {
                let evidence = device.bound_evidence(slot, challenge).unwrap().to_vec();
                for (other, key) in keys.iter().enumerate() {
                    let bound = Challenge::Bound(BoundChallenge::new(challenge, key));
                    let report = trust.verifier().verify(&evidence, bound);
                    assert_eq!(report.verdict() == Verdict::Pass, other == index, "{report:?}");
                    assert_eq!(report.outcome(Check::Binding).passed(), other == index);
                }
            }
        }
        assert_eq!(device.bound_evidence(LDEVID.pending(), &CHALLENGE), Err(Error::NotFound));
        assert_eq!(device.bound_evidence(LDEVID, &[0; 31]), Err(Error::InvalidArgument));
    }
}

#[test]
fn a_ca_issues_by_the_evidence_in_a_request() {
    let ca = ThrowAwayCa::new(NOW);
    let trust = Trust::new(&ca);
    for config in every_profile() {
        let mut device = device(config, &ca);
        let key = device.public_key(LDEVID).unwrap();
        let csr = device.csr_with_evidence(LDEVID, &NAMED, &CHALLENGE).unwrap().to_vec();
        let report = trust.verify(&csr);
        assert_eq!(report.verdict(), Verdict::Pass, "{report:?}");
        assert_eq!(report.requested_key, Some(&key.spki()[..]));

        let chain = ca.issue_attested(&csr, &trust.verifier(), &CHALLENGE).unwrap();
        device.install(LDEVID, &chain, Some(NOW)).unwrap();
        let chain = Chain::parse(&chain).unwrap();
        let leaf = chain.certificates().next().unwrap();
        assert_eq!(leaf.subject.serial_number(), Some("SN-1"));
        // A rotation asks in the same way, for the key to come.
        let new = device.generate(LDEVID.pending()).unwrap();
        let csr = device.csr_with_evidence(LDEVID.pending(), &NAMED, &CHALLENGE).unwrap().to_vec();
        assert_eq!(trust.verify(&csr).requested_key, Some(&new.spki()[..]));
        let chain = ca.issue_attested(&csr, &trust.verifier(), &CHALLENGE).unwrap();
        device.install(LDEVID.pending(), &chain, Some(NOW)).unwrap();
        device.activate(LDEVID).unwrap();
        assert_eq!(device.public_key(LDEVID), Ok(new));
    }
}

#[test]
fn a_ca_refuses_a_request_that_its_challenge_does_not_vouch_for() {
    let ca = ThrowAwayCa::new(NOW);
    let trust = Trust::new(&ca);
    let mut device = device(SEEDED, &ca);
    let refused = |csr: &[u8], verifier: &Verifier<'_>, check| {
        let answer = ca.issue_attested(csr, verifier, &CHALLENGE);
        assert_eq!(answer, Err(CsrError::Evidence(check)));
    };
    let stale = device.csr_with_evidence(LDEVID, &NAMED, &[0; 32]).unwrap().to_vec();
    refused(&stale, &trust.verifier(), Check::Challenge);
    let bare = device.csr(LDEVID, &NAMED).unwrap().to_vec();
    refused(&bare, &trust.verifier(), Check::Decode);
    // Evidence alone is no request, good as it may be.
    let evidence = device.evidence(&CHALLENGE).unwrap().to_vec();
    assert_eq!(trust.verify(&evidence).verdict(), Verdict::Pass);
    refused(&evidence, &trust.verifier(), Check::Decode);

    let good = device.csr_with_evidence(LDEVID, &NAMED, &CHALLENGE).unwrap().to_vec();
    let strangers = Trust::new(&ThrowAwayCa::new(NOW));
    refused(&good, &strangers.verifier(), Check::Signature);
    let strict = trust.verifier();
    let policy = Policy { allow_development_key: false, ..strict.policy };
    refused(&good, &Verifier { policy, ..strict }, Check::DevelopmentKey);
    ca.issue_attested(&good, &trust.verifier(), &CHALLENGE).unwrap();
}

#[test]
fn no_bit_of_a_request_can_change_and_none_can_be_missing() {
    let ca = ThrowAwayCa::new(NOW);
    let trust = Trust::new(&ca);
    let mut device = device(SEEDED, &ca);
    let csr = device.csr_with_evidence(LDEVID, &NAMED, &CHALLENGE).unwrap().to_vec();
    for byte in 0..csr.len() {
        let mut flipped = csr.clone();
        flipped[byte] ^= 1 << (byte % 8);
        assert!(ca.issue_attested(&flipped, &trust.verifier(), &CHALLENGE).is_err(), "{byte}");
        let cut = &csr[..byte];
        assert!(ca.issue_attested(cut, &trust.verifier(), &CHALLENGE).is_err(), "{byte}");
    }
}
