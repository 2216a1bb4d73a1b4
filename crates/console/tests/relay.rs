// SPDX-License-Identifier: Apache-2.0
//! The relay: a peer asks a locked device over mcumgr for evidence that it puts
//! into a certification request for a key of its own.
#![cfg(feature = "smp")]

use std::time::Duration;

use ciborium::Value;
use devid_console::access::Rules;
use devid_console::smp::{Config, Packet, Smp};
use devid_core::csr::{self, Evidence, Subject};
use devid_core::device::{Device, scratch_len};
use devid_core::error::Error;
use devid_core::key::PublicKey;
use devid_core::layout::{STANDARD, SlotId};
use devid_core::time::UnixTime as CoreTime;
use devid_core::token::LifecycleState;
use devid_sim::Sim;
use devid_sim::ca::{CsrError, ThrowAwayAnchor, ThrowAwayCa};
use devid_verifier::{
    Appraisal, BoundChallenge, Check, KeySet, Policy, TrustAnchors, UnixTime, Verifier, keys,
};
use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::Signer;
use sha2::{Digest, Sha256};

const NOW: CoreTime = CoreTime(1_795_000_000);
const IDEVID: SlotId = SlotId(0x00);
const IAK: SlotId = SlotId(0x10);
const ANCHOR: SlotId = SlotId(0x20);
/// What the CA sent to the peer.
const CHALLENGE: [u8; 32] = [0xc5; 32];

/// `ID_TOKEN` and `ID_EVIDENCE` of `docs/smp.md`.
const TOKEN: u8 = 17;
const EVIDENCE: u8 = 19;
const INVALID_ARGUMENT: i128 = 2;

/// A device in the field, as a peer reaches it.
struct Locked {
    device: Device<'static, Sim>,
    smp: Smp<'static>,
    ca: ThrowAwayCa,
}

impl Locked {
    fn new() -> Self {
        let ca = ThrowAwayCa::new(NOW);
        let sim = Sim::in_memory(devid_sim::Config { seed: Some([7; 32]), ..Default::default() });
        let room = || vec![0; scratch_len(&STANDARD)].leak();
        let mut device = Device::open(sim, STANDARD, room()).unwrap();
        let iak = device.iak_public_key().unwrap();
        device.write(IAK, &ca.certify(&iak, "IAK")).unwrap();
        device.generate(IDEVID).unwrap();
        let request = device.csr(IDEVID, &Subject::default()).unwrap().to_vec();
        device.install(IDEVID, &ca.issue(&request).unwrap(), Some(NOW)).unwrap();
        let anchor = ThrowAwayAnchor::new("anchor", NOW, true);
        device.write(ANCHOR, anchor.certificate()).unwrap();
        device.lock().unwrap();
        let config = Config { group: 64, rules: Rules { console: true, peer: false } };
        Self { device, smp: Smp::new(config, room()), ca }
    }

    /// Asks under a challenge, plain or for a slot's key: a value, or the number
    /// of the refusal.
    fn ask(&mut self, command: u8, slot: Option<&str>, challenge: &[u8]) -> Result<Vec<u8>, i128> {
        let mut request = vec![("challenge", Value::Bytes(challenge.to_vec()))];
        request.extend(slot.map(|slot| ("slot", Value::Text(slot.into()))));
        let entries = request.into_iter().map(|(key, value)| (Value::Text(key.into()), value));
        let mut payload = Vec::new();
        ciborium::into_writer(&Value::Map(entries.collect()), &mut payload).unwrap();
        let packet = Packet { version: 1, write: false, command, payload: &payload };
        let mut out = vec![0; 4096];
        let len = self.smp.run(Ok(&mut self.device), &packet, &mut out).unwrap();
        let answer: Value = ciborium::from_reader(&out[..len]).unwrap();
        match field(&answer, "err") {
            Some(error) => Err(field(error, "rc").unwrap().as_integer().unwrap().into()),
            None => Ok(field(&answer, "data").unwrap().as_bytes().unwrap().clone()),
        }
    }

    /// What the CA says to a request, under the challenge that it sent.
    fn certify(&self, request: &[u8]) -> Result<Vec<u8>, CsrError> {
        let mut anchors = TrustAnchors::default();
        anchors.add(self.ca.root()).unwrap();
        let at = UnixTime::since_unix_epoch(Duration::from_secs(NOW.0 as u64));
        let verifier = Verifier {
            keys: &KeySet::default(),
            anchors: &anchors,
            policy: Policy { at, allow_development_key: true },
            appraisal: Appraisal {
                lifecycles: &[LifecycleState::AssemblyAndTest],
                ..Appraisal::default()
            },
        };
        self.ca.issue_attested(request, &verifier, &CHALLENGE)
    }
}

fn field<'v>(map: &'v Value, name: &str) -> Option<&'v Value> {
    let is_named = |key: &Value| key.as_text() == Some(name);
    map.as_map()?.iter().find(|(key, _)| is_named(key)).map(|(_, value)| value)
}

/// A peer with a key of its own, on another machine.
struct Peer(SigningKey);

impl Peer {
    fn new() -> Self {
        Self(SigningKey::from_slice(&[0x42; 32]).unwrap())
    }

    fn key(&self) -> PublicKey {
        PublicKey::from_point(self.0.verifying_key().to_sec1_point(false).as_bytes()).unwrap()
    }

    /// A request for its own key, with evidence from elsewhere.
    fn request(&self, evidence: &[u8]) -> Vec<u8> {
        let mut buffer = vec![0; evidence.len() + csr::MAX_LEN + csr::EVIDENCE_OVERHEAD];
        buffer[..evidence.len()].copy_from_slice(evidence);
        let content_format = csr::CONTENT_FORMAT_RFC9783;
        let evidence = Evidence { len: evidence.len(), content_format };
        let subject = Subject { common_name: Some("peer"), ..Subject::default() };
        csr::write(&mut buffer, &subject, &self.key(), Some(evidence), |info| {
            let signature: p256::ecdsa::Signature = self.0.sign(info);
            Ok(signature.to_bytes().into())
        })
        .unwrap()
        .to_vec()
    }

    /// The nonce that vouches for the peer's key under the CA's challenge.
    fn nonce(&self) -> [u8; 48] {
        let key = keys::PublicKey::from_spki(&self.key().spki()).unwrap();
        *BoundChallenge::new(&CHALLENGE, &key).unwrap().nonce()
    }
}

/// Version 1 of bound evidence fell to this.
#[test]
fn refuses_to_certify_a_peer_that_asked_under_a_hash_with_its_key() {
    let (mut locked, peer) = (Locked::new(), Peer::new());
    let hash =
        Sha256::digest([b"devid-bound-evidence-v1\0", &CHALLENGE[..], &peer.key().spki()].concat());
    let evidence = locked.ask(EVIDENCE, None, &hash).expect("a plain challenge is answered");
    let refused = locked.certify(&peer.request(&evidence));
    assert_eq!(refused, Err(CsrError::Evidence(Check::Challenge)));

    // Nor under what stands behind the prefix.
    let evidence = locked.ask(EVIDENCE, None, &peer.nonce()[16..]).unwrap();
    let refused = locked.certify(&peer.request(&evidence));
    assert_eq!(refused, Err(CsrError::Evidence(Check::Challenge)));
}

#[test]
fn refuses_a_peer_that_asks_under_the_nonce_that_vouches_for_its_key() {
    let (mut locked, peer) = (Locked::new(), Peer::new());
    let nonce = peer.nonce();
    assert_eq!(locked.ask(EVIDENCE, None, &nonce), Err(INVALID_ARGUMENT));
    assert_eq!(locked.ask(TOKEN, None, &nonce), Err(INVALID_ARGUMENT));
    // Bound to the device's own key it would answer in a form of neither.
    assert_eq!(locked.ask(EVIDENCE, Some("idevid"), &nonce), Err(INVALID_ARGUMENT));

    let device = &mut locked.device;
    assert_eq!(device.token(&nonce), Err(Error::InvalidArgument));
    assert_eq!(device.evidence(&nonce), Err(Error::InvalidArgument));
    assert_eq!(device.bound_evidence(IDEVID, &nonce), Err(Error::InvalidArgument));
    let request = device.csr_with_evidence(IDEVID, &Subject::default(), &nonce);
    assert_eq!(request, Err(Error::InvalidArgument));
}

/// Evidence for the device's own key is to be had by everybody, and names it.
#[test]
fn refuses_to_certify_a_peer_by_evidence_for_the_devices_key() {
    let (mut locked, peer) = (Locked::new(), Peer::new());
    let evidence = locked.ask(EVIDENCE, Some("idevid"), &CHALLENGE).unwrap();
    let refused = locked.certify(&peer.request(&evidence));
    assert_eq!(refused, Err(CsrError::Evidence(Check::Challenge)));
    // The control: the device's own request is answered.
    let request = locked.device.csr_with_evidence(IDEVID, &Subject::default(), &CHALLENGE);
    let request = request.unwrap().to_vec();
    assert!(locked.certify(&request).is_ok());
}
