// SPDX-License-Identifier: Apache-2.0
//! A peer on the network that reaches a locked device over mcumgr: what it can
//! have, and that it changes nothing.
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
const SECRET_SLOT: SlotId = SlotId(0x32);
const SECRET: &[u8] = b"a secret of the factory's";
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
    anchor: ThrowAwayAnchor,
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
        device.write(SECRET_SLOT, SECRET).unwrap();
        device.lock().unwrap();
        let config = Config { group: 64, rules: Rules { console: true, peer: false } };
        Self { device, smp: Smp::new(config, room()), ca, anchor }
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

/// What each command takes, as `docs/smp.cddl` has it: reads, then writes.
const READS: [(u8, &[&str]); 19] = [
    (0, &["now"]),
    (1, &[]),
    (2, &["slot"]),
    (3, &["slot"]),
    (5, &["slot"]),
    (6, &["slot", "cn", "challenge"]),
    (7, &["slot"]),
    (8, &["slot", "index"]),
    (10, &["slot"]),
    (17, &["challenge"]),
    (18, &["len"]),
    (19, &["challenge", "slot"]),
    (20, &[]),
    (21, &[]),
    (22, &["session"]),
    (24, &["sha", "off"]),
    (25, &[]),
    (26, &[]),
    (27, &["slot"]),
];
const WRITES: [(u8, &[&str]); 14] = [
    (3, &["slot", "value", "sha", "session"]),
    (4, &["slot"]),
    (5, &["slot"]),
    (7, &["slot", "value", "sha", "now"]),
    (9, &["slot"]),
    (11, &["slot"]),
    (12, &["slot"]),
    (13, &["slot"]),
    (14, &["yes"]),
    (15, &["yes"]),
    (16, &["value", "sha", "session"]),
    (22, &["sha", "data", "off", "len", "session"]),
    (23, &["session"]),
    (27, &["slot", "value"]),
];

/// What a peer may put into a field.
fn values(field: &str, commands: &[Vec<u8>]) -> Vec<Value> {
    let bytes = |bytes: &[u8]| Value::Bytes(bytes.to_vec());
    let sha = |value: &[u8]| bytes(&Sha256::digest(value));
    match field {
        "slot" => {
            let names = ["idevid", "ldevid0", "ldevid0/pending", "iak", "anchor0", "secret"];
            let ids = [0x31, 0x21, 0x80, 0x7f, 0xff].map(|id: u8| Value::Integer(id.into()));
            names.map(|name| Value::Text(name.into())).into_iter().chain(ids).collect()
        }
        "value" | "data" => {
            let stranger = ThrowAwayAnchor::new("stranger", NOW, true);
            let mut values = vec![bytes(b"any"), bytes(stranger.certificate())];
            values.extend(commands.iter().map(|command| bytes(command)));
            values
        }
        // Of what it loaded, and of what it wants to know.
        "sha" => vec![sha(b"any"), sha(SECRET), bytes(&[0; 32])],
        "off" => [0, 1, u32::MAX].map(|off: u32| Value::Integer(off.into())).to_vec(),
        "len" => [0, 3, 48, u32::MAX].map(|len: u32| Value::Integer(len.into())).to_vec(),
        "session" => [0, 7].map(|session: u32| Value::Integer(session.into())).to_vec(),
        "now" => [0, i64::MAX].map(|now| Value::Integer(now.into())).to_vec(),
        "index" => [0, 1, 255].map(|index: u32| Value::Integer(index.into())).to_vec(),
        "challenge" => {
            vec![bytes(&CHALLENGE), bytes(&Peer::new().nonce()), bytes(&[0; 48]), bytes(b"short")]
        }
        "yes" => vec![Value::Bool(true)],
        "cn" => vec![Value::Text("peer".into())],
        _ => unreachable!("{field}"),
    }
}

/// Every choice of fields, with every choice of what is in them.
fn requests(fields: &[&str], commands: &[Vec<u8>]) -> Vec<Vec<(Value, Value)>> {
    let mut requests = vec![vec![]];
    for field in fields {
        for request in requests.clone() {
            for value in values(field, commands) {
                let mut more = request.clone();
                more.push((Value::Text((*field).into()), value));
                requests.push(more);
            }
        }
    }
    requests
}

/// Commands that a peer may have: of a stranger, of the device's anchor for
/// another device, of its anchor and applied already, and before that one.
fn captured(locked: &mut Locked) -> Vec<Vec<u8>> {
    let id = locked.device.instance_id().unwrap();
    let stranger = ThrowAwayAnchor::new("stranger", NOW, true);
    let used = write_command(&locked.anchor, &id, 9);
    locked.device.update(&used).unwrap();
    vec![
        write_command(&stranger, &id, 10),
        write_command(&locked.anchor, &[1; 33], 10),
        used,
        write_command(&locked.anchor, &id, 8),
    ]
}

/// A command that writes the serial number, as `docs/update.cddl` has it.
fn write_command(anchor: &ThrowAwayAnchor, device: &[u8; 33], sequence: u32) -> Vec<u8> {
    let encoded = |value: Value| {
        let mut out = Vec::new();
        ciborium::into_writer(&value, &mut out).unwrap();
        out
    };
    let (number, bytes) = (|n: u32| Value::Integer(n.into()), |b: &[u8]| Value::Bytes(b.into()));
    let payload = encoded(Value::Map(vec![
        (number(1), bytes(device)),
        (number(2), number(sequence)),
        (number(3), number(1)),
        (number(4), number(0x30)),
        (number(5), bytes(&sequence.to_be_bytes())),
    ]));
    let protected = devid_core::update::PROTECTED;
    let signed = [Value::Text("Signature1".into()), bytes(protected), bytes(&[]), bytes(&payload)];
    let signature: p256::ecdsa::Signature =
        anchor.signing_key().sign(&encoded(Value::Array(signed.to_vec())));
    let envelope =
        [bytes(protected), Value::Map(vec![]), bytes(&payload), bytes(&signature.to_bytes())];
    encoded(Value::Tag(18, Box::new(Value::Array(envelope.to_vec()))))
}

/// Every command with every field: nothing in the device changes, and no answer
/// holds a secret or its digest.
#[test]
fn a_peer_changes_nothing_and_learns_no_secret() {
    let mut locked = Locked::new();
    let commands = captured(&mut locked);
    let before = locked.device.platform().fingerprint().unwrap();
    let floor = locked.device.time_floor();
    let hidden = [SECRET.to_vec(), Sha256::digest(SECRET).to_vec()];
    let holds = |haystack: &[u8], needle: &[u8]| {
        haystack.windows(needle.len()).any(|window| window == needle)
    };
    let (mut sent, mut answered) = (0, 0);
    let all = READS.iter().map(|entry| (false, entry));
    for (write, (command, fields)) in all.chain(WRITES.iter().map(|entry| (true, entry))) {
        for request in requests(fields, &commands) {
            let mut payload = Vec::new();
            ciborium::into_writer(&Value::Map(request.clone()), &mut payload).unwrap();
            let packet = Packet { version: 1, write, command: *command, payload: &payload };
            let mut out = vec![0; 4096];
            let answer = locked.smp.run(Ok(&mut locked.device), &packet, &mut out);
            let answer = &out[..answer.unwrap_or(0)];
            let what = || format!("{command}{} {request:?}", if write { "w" } else { "r" });
            for hidden in &hidden {
                // It learns nothing where it sent the digest itself.
                let echoes = holds(&payload, hidden) || *command == 22;
                assert!(echoes || !holds(answer, hidden), "{}", what());
            }
            assert_eq!(locked.device.platform().fingerprint(), Ok(before), "{}", what());
            assert_eq!(locked.device.time_floor(), floor, "{}", what());
            sent += 1;
            answered += usize::from(!answer.is_empty() && !holds(answer, b"err"));
        }
    }
    assert!(locked.device.is_locked());
    assert_eq!(locked.device.now(), None, "no transport tells the time");
    // The control: most is refused, and what is public is answered.
    println!("{sent} requests, {answered} answered");
    assert!(sent > 1000 && (50..sent / 2).contains(&answered), "{answered} of {sent}");
}
