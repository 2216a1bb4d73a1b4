// SPDX-License-Identifier: Apache-2.0
//! Bound evidence from end to end: a device makes it, alone or in a request for
//! a certificate, and a verifier and a CA go by it.

mod common;

use common::*;
use devid_core::chain::Chain;
use devid_core::cose::Envelope;
use devid_core::csr::Subject;
use devid_core::device::Device;
use devid_core::error::Error;
use devid_core::layout::{STANDARD, SlotId};
use devid_core::platform::{Crypto, Keys};
use devid_core::token::{LifecycleState, Profile, Token};
use devid_core::{instance_id, x5chain};
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
            // The simulator says that it is not secured.
            appraisal: Appraisal {
                lifecycles: &[LifecycleState::AssemblyAndTest],
                ..Appraisal::default()
            },
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
                    let bound = BoundChallenge::new(challenge, key).unwrap();
                    let report = trust.verifier().verify(&evidence, Challenge::Bound(bound));
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

/// What an application beside devid can do: have TF-M sign with a key that is
/// there for applications. The claims are of its own making.
fn forged(device: &mut Sims, slot: SlotId, nonce: &[u8]) -> Vec<u8> {
    let good = device.token(&[0; 32]).unwrap().to_vec();
    let token = Token::decode(&good).unwrap().claims;
    let key = device.public_key(slot).unwrap();
    let instance = instance_id::from_cose_key(device.platform(), &key).unwrap();
    let envelope = Envelope::decode(&good).unwrap();
    let mut payload = envelope.payload.to_vec();
    let mut replace = |from: &[u8], to: &[u8]| {
        let at = payload.windows(from.len()).position(|window| window == from).unwrap();
        payload.splice(at..at + from.len(), to.iter().copied());
    };
    replace(token.instance_id, &instance);
    // lifecycle: secured
    replace(&[0x19, 0x09, 0x5b, 0x19, 0x10, 0x00], &[0x19, 0x09, 0x5b, 0x19, 0x30, 0x00]);
    let nonce = [&[0x58, nonce.len() as u8], nonce].concat();
    replace(&[&[0x58, 32], token.nonce].concat(), &nonce);

    let bytes = |bytes: &[u8]| {
        let head = match bytes.len() {
            len @ 0..24 => vec![0x40 | len as u8],
            len @ 24..256 => vec![0x58, len as u8],
            len => [&[0x59], &(len as u16).to_be_bytes()[..]].concat(),
        };
        [&head, bytes].concat()
    };
    let signed =
        [&b"\x84\x6aSignature1"[..], &bytes(envelope.protected), &bytes(&[]), &bytes(&payload)];
    let key_id = device.key_id(slot).unwrap();
    let digest = device.platform().sha256(&signed).unwrap();
    let signature = device.platform().sign(key_id, &digest).unwrap();
    let mut token = [
        &[0xd2, 0x84][..],
        &bytes(envelope.protected),
        &[0xa0],
        &bytes(&payload),
        &bytes(&signature),
    ]
    .concat();
    let (len, chain) = (token.len(), device.read(slot).unwrap().to_vec());
    token.extend(&chain);
    token.resize(token.len() + 64, 0);
    let len = x5chain::insert(&mut token, len, chain.len()).unwrap();
    token.truncate(len);
    token
}

#[test]
fn refuses_a_token_that_an_identity_key_forged() {
    let ca = ThrowAwayCa::new(NOW);
    let mut device = device(SEEDED, &ca);
    for slot in [IDEVID, LDEVID] {
        let csr = device.csr(slot, &NAMED).unwrap().to_vec();
        device.install(slot, &ca.issue(&csr).unwrap(), Some(NOW)).unwrap();
        let key = PublicKey::from_spki(&device.public_key(slot).unwrap().spki()).unwrap();
        let bound = BoundChallenge::new(&CHALLENGE, &key).unwrap();
        let tokens = [
            (forged(&mut device, slot, &CHALLENGE), Challenge::Expected(&CHALLENGE)),
            (forged(&mut device, slot, bound.nonce()), Challenge::Bound(bound)),
        ];
        let mut attesting = TrustAnchors::default();
        attesting.add_for_attestation(ca.root()).unwrap();
        for (token, challenge) in &tokens {
            for anchors in [Trust::new(&ca).anchors, TrustAnchors::default()] {
                let trust = Trust { keys: KeySet::default(), anchors };
                let report = trust.verifier().verify(token, *challenge);
                assert!(report.outcome(Check::Claims).passed(), "{report:?}");
                assert!(report.outcome(Check::Lifecycle).passed(), "{report:?}");
                assert_eq!(report.verdict(), Verdict::Fail, "{report:?}");
                assert!(report.signature_use.is_none());
            }
            let trust = Trust { keys: KeySet::default(), anchors: TrustAnchors::default() };
            let verifier = Verifier { anchors: &attesting, ..trust.verifier() };
            assert_eq!(verifier.verify(token, *challenge).verdict(), Verdict::Fail);
            // Nor where somebody gives the identity's certificate as a key.
            let chain = device.read(slot).unwrap().to_vec();
            let leaf = Chain::parse(&chain).unwrap().certificates().next().unwrap().der.to_vec();
            let mut keys = KeySet::default();
            keys.add_public(PublicKey::from_certificate(&leaf).unwrap());
            let verifier = Verifier { keys: &keys, ..trust.verifier() };
            assert_eq!(verifier.verify(token, *challenge).verdict(), Verdict::Fail);
        }
        // The control: the forgery is perfect but for the key's purpose.
        let mut keys = KeySet::default();
        keys.add_public(key);
        let trust = Trust { keys, anchors: TrustAnchors::default() };
        let report = trust.verifier().verify(&tokens[0].0, tokens[0].1);
        assert_eq!(report.verdict(), Verdict::Pass, "{report:?}");
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
    let strict = Verifier { appraisal: Appraisal::default(), ..trust.verifier() };
    refused(&good, &strict, Check::Lifecycle);
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
