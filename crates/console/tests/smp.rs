// SPDX-License-Identifier: Apache-2.0
//! The group of mcumgr commands over a simulated device. Requests are written,
//! and responses read, by another CBOR implementation; every response is held
//! against `docs/smp.cddl`.
#![cfg(feature = "smp")]
#![allow(clippy::cloned_ref_to_slice_refs, reason = "requests of one key and of more look alike")]

use std::cell::RefCell;
use std::collections::BTreeMap;

use cddl::ast::CDDL;
use cddl::validator::Validator;
use cddl::validator::cbor::CBORValidator;
use cddl::validator::cbor_value::decode_cbor;
use ciborium::value::Value;
use devid_console::access::{Caller, Rules};
use devid_console::smp::{Config, Packet, Smp};
use devid_core::device::{Device, scratch_len};
use devid_core::layout::STANDARD;
use devid_core::platform::Crypto;
use devid_core::time::UnixTime;
use devid_core::token::Token;
use devid_core::x509::Certificate;
use devid_sim::ca::{ThrowAwayAnchor, ThrowAwayCa};
use devid_sim::{Sim, development_iak};
use p256::ecdsa::Signature;
use p256::ecdsa::signature::Signer;

const NOW: UnixTime = UnixTime(1_795_000_000);
const CHALLENGE: [u8; 32] = [7; 32];
const GROUP: u16 = 25701;

/// The least room for a response that zephyr/smp.c leaves.
const ROOM: usize = 248;

/// Commands by the names they have in `docs/smp.cddl`; writes end in `-write`.
const NAMES: [(&str, u8); 27] = [
    ("status", 0),
    ("slots", 1),
    ("slot", 2),
    ("value", 3),
    ("erase", 4),
    ("key", 5),
    ("csr", 6),
    ("chain", 7),
    ("certificate", 8),
    ("destroy", 9),
    ("phase", 10),
    ("activate", 11),
    ("confirm", 12),
    ("rollback", 13),
    ("lock", 14),
    ("reset", 15),
    ("update", 16),
    ("token", 17),
    ("token-size", 18),
    ("evidence", 19),
    ("iak", 20),
    ("info", 21),
    ("load", 22),
    ("abort", 23),
    ("result", 24),
    ("error", 25),
    ("nonce", 26),
];

/// A device and its group; `room` bounds the responses.
struct Bench {
    device: Device<'static, Sim>,
    smp: Smp<'static>,
    room: usize,
}

/// What a request was answered with.
#[derive(Debug, PartialEq)]
enum Answer {
    Map(Vec<(String, Value)>),
    /// `DEVID_SMP_ERR_*`.
    Refused(i128),
    /// A code of mcumgr's own.
    Mgmt(u8),
}

impl Bench {
    fn new() -> Self {
        Self::with(false)
    }

    /// `operational` is `CONFIG_DEVID_SMP_OPERATIONAL`.
    fn with(operational: bool) -> Self {
        let sim = Sim::in_memory(devid_sim::Config { seed: Some([7; 32]), ..Default::default() });
        let scratch = vec![0; scratch_len(&STANDARD)].leak();
        let device = Device::open(sim, STANDARD, scratch).unwrap();
        let config = Config { group: GROUP, rules: Rules { console: true, peer: operational } };
        Self { device, smp: Smp::new(config, vec![0; scratch_len(&STANDARD)].leak()), room: ROOM }
    }

    /// Sends bytes as the payload of a command.
    fn send(&mut self, name: &str, payload: &[u8]) -> Answer {
        let (base, write) = match name.strip_suffix("-write") {
            Some(base) => (base, true),
            None => (name, false),
        };
        let command = NAMES.iter().find(|(known, _)| *known == base).expect(name).1;
        let packet = Packet { version: 1, write, command, payload };
        let mut out = vec![0xa5; self.room];
        let len = match self.smp.run(Ok(&mut self.device), &packet, &mut out) {
            Ok(len) => len,
            Err(code) => return Answer::Mgmt(code),
        };
        let response = &out[..len];
        let mut rest = response;
        let value: Value = ciborium::from_reader(&mut rest).unwrap();
        assert!(rest.is_empty(), "{name}: bytes after the response");
        let map = value.into_map().unwrap();
        let map: Vec<(String, Value)> =
            map.into_iter().map(|(key, value)| (key.into_text().unwrap(), value)).collect();
        if let Some(("err", error)) = map.first().map(|(key, value)| (key.as_str(), value)) {
            valid("refusal", response);
            let error = error.as_map().unwrap();
            let number = |name: &str| {
                let (_, value) = error.iter().find(|(key, _)| key.as_text() == Some(name)).unwrap();
                i128::from(value.as_integer().unwrap())
            };
            assert_eq!(number("group"), GROUP.into());
            return Answer::Refused(number("rc"));
        }
        valid(&format!("{name}-response"), response);
        assert!(out[len..].iter().all(|byte| *byte == 0xa5), "wrote behind the response");
        Answer::Map(map)
    }

    /// An anchor that may command the device, as a lock needs.
    fn give_anchor(&mut self) -> ThrowAwayAnchor {
        let anchor = ThrowAwayAnchor::new("anchor", NOW, true);
        let certificate = self.load(anchor.certificate());
        self.ok("value-write", &[("slot", text("anchor0")), ("sha", certificate)]);
        anchor
    }

    fn ask(&mut self, name: &str, request: &[(&str, Value)]) -> Answer {
        let payload = map(request);
        valid(&format!("{name}-request"), &payload);
        self.send(name, &payload)
    }

    fn ok(&mut self, name: &str, request: &[(&str, Value)]) -> Vec<(String, Value)> {
        match self.ask(name, request) {
            Answer::Map(map) => map,
            other => panic!("{name} {request:?}: {other:?}"),
        }
    }

    fn refuse(&mut self, name: &str, request: &[(&str, Value)]) -> i128 {
        match self.ask(name, request) {
            Answer::Refused(rc) => rc,
            other => panic!("{name} {request:?}: {other:?}"),
        }
    }

    fn refused(&mut self, name: &str, request: &[(&str, Value)]) -> bool {
        matches!(self.ask(name, request), Answer::Refused(_))
    }

    /// A long value, fetched to its end.
    fn long(&mut self, name: &str, request: &[(&str, Value)]) -> Vec<u8> {
        let first = self.ok(name, request);
        let (len, sha) = (number(&first, "len"), bytes(&first, "sha"));
        let mut value = bytes(&first, "data");
        while value.len() < len {
            let request = [("sha", Value::Bytes(sha.clone())), ("off", int(value.len()))];
            let piece = self.ok("result", &request);
            assert_eq!(number(&piece, "off"), value.len());
            value.extend(bytes(&piece, "data"));
        }
        assert_eq!(self.sha(&value), sha);
        value
    }

    /// Loads a value; it then goes by its digest.
    fn load(&mut self, value: &[u8]) -> Value {
        let sha = Value::Bytes(self.sha(value));
        let mut off = 0;
        for piece in value.chunks(100) {
            let mut request =
                vec![("off", int(off)), ("sha", sha.clone()), ("data", Value::Bytes(piece.into()))];
            if off == 0 {
                request.push(("len", int(value.len())));
            }
            let answer = self.ok("load-write", &request);
            off += piece.len();
            assert_eq!(number(&answer, "off"), off);
        }
        sha
    }

    fn sha(&mut self, value: &[u8]) -> Vec<u8> {
        self.device.platform().sha256(&[value]).unwrap().to_vec()
    }

    /// What the last refusal adds to its number.
    fn detail(&mut self) -> i128 {
        let last = self.ok("error", &[]);
        i128::from(get(&last, "detail").as_integer().unwrap())
    }
}

/// Holds a payload against a rule of the CDDL, which is the first of a document
/// read once a thread.
fn valid(rule: &str, payload: &[u8]) {
    thread_local! {
        static RULES: RefCell<BTreeMap<String, &'static CDDL<'static>>> = RefCell::default();
    }
    let rules = RULES.with_borrow_mut(|rules| {
        *rules.entry(rule.to_owned()).or_insert_with(|| {
            let all = include_str!("../../../docs/smp.cddl");
            let document = format!("start = {rule}\n{all}").leak();
            Box::leak(Box::new(cddl::cddl_from_str(document, true).unwrap()))
        })
    });
    let value = decode_cbor(payload).unwrap();
    if let Err(error) = CBORValidator::new(rules, value, None).validate() {
        panic!("{rule}: {error}: {payload:02x?}");
    }
}

fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    ciborium::into_writer(value, &mut out).unwrap();
    out
}

fn map(entries: &[(&str, Value)]) -> Vec<u8> {
    let entries = entries.iter().map(|(key, value)| (text(key), value.clone()));
    encode(&Value::Map(entries.collect()))
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn int(value: usize) -> Value {
    Value::from(value as u64)
}

fn blob(bytes: &[u8]) -> Value {
    Value::Bytes(bytes.to_vec())
}

fn get<'m>(map: &'m [(String, Value)], key: &str) -> &'m Value {
    &map.iter().find(|(name, _)| name == key).unwrap_or_else(|| panic!("{key}: {map:?}")).1
}

fn number(map: &[(String, Value)], key: &str) -> usize {
    usize::try_from(get(map, key).as_integer().unwrap()).unwrap()
}

fn bytes(map: &[(String, Value)], key: &str) -> Vec<u8> {
    get(map, key).as_bytes().unwrap().clone()
}

#[test]
fn a_device_goes_through_its_life() {
    let mut bench = Bench::new();
    let idevid = ("slot", text("idevid"));
    let spki = bench.long("key-write", &[idevid.clone()]);
    assert_eq!(bench.long("key", &[("slot", int(0))]), spki);

    let subject = [idevid.clone(), ("cn", text("widget")), ("serial", text("SN-1"))];
    let csr = bench.long("csr", &subject);
    let ca = ThrowAwayCa::new(NOW);
    let chain = ca.issue(&csr).unwrap();
    let sha = bench.load(&chain);
    let now = ("now", Value::from(NOW.0));
    let installed = bench.ok("chain-write", &[idevid.clone(), ("sha", sha.clone()), now]);
    assert_eq!(number(&installed, "certificates"), 2);
    assert_eq!(get(&installed, "validity"), &Value::Bool(true));
    assert_eq!(bench.refuse("load", &[]), 68, "the loaded value is used up");

    assert_eq!(bench.long("chain", &[idevid.clone()]), chain);
    let leaf = bench.long("certificate", &[idevid.clone()]);
    let issuing = bench.long("certificate", &[idevid.clone(), ("index", int(1))]);
    assert_eq!([leaf.as_slice(), &issuing].concat(), chain);
    assert_eq!(Certificate::parse(&leaf).unwrap().public_key.spki().as_slice(), spki);

    assert_eq!(bench.long("iak", &[]), development_iak().spki());
    let iak = ca.certify(&development_iak(), "IAK");
    let sha = bench.load(&iak);
    bench.ok("value-write", &[("slot", text("iak")), ("sha", sha)]);
    let challenge = ("challenge", blob(&CHALLENGE));
    let token = bench.long("token", &[challenge.clone()]);
    assert_eq!(number(&bench.ok("token-size", &[]), "len"), token.len());
    let evidence = bench.long("evidence", &[challenge]);
    assert!(evidence.len() > token.len() + iak.len());
    assert_eq!(Token::decode(&evidence).unwrap().claims.nonce, CHALLENGE);

    bench.ok("destroy-write", &[idevid.clone()]);
    assert_eq!(bench.refuse("key", &[idevid.clone()]), 3);
    assert_eq!(bench.refuse("chain", &[idevid]), 3);
}

impl Bench {
    /// Gives an identity, or its pending bank, a key and a chain.
    fn certify(&mut self, ca: &ThrowAwayCa, slot: &str) -> Vec<u8> {
        let slot = ("slot", text(slot));
        self.long("key-write", &[slot.clone()]);
        let csr = self.long("csr", &[slot.clone(), ("cn", text("widget"))]);
        let chain = ca.issue(&csr).unwrap();
        let sha = self.load(&chain);
        self.ok("chain-write", &[slot, ("sha", sha)]);
        chain
    }

    fn phase(&mut self, slot: &str) -> usize {
        number(&self.ok("phase", &[("slot", text(slot))]), "phase")
    }
}

/// An update command that writes the slot `serial` of any device of the group.
fn update(anchor: &ThrowAwayAnchor, target: Value, sequence: u64, value: &[u8]) -> Vec<u8> {
    let entry = |key: u8, value| (Value::from(key), value);
    let protected = encode(&Value::Map(vec![
        (Value::from(1), Value::from(-7)),
        (Value::from(3), text("application/devid-update+cbor")),
    ]));
    let payload = encode(&Value::Map(vec![
        entry(1, target),
        entry(2, Value::from(sequence)),
        entry(3, Value::from(1)),
        entry(4, Value::from(0x30)),
        entry(5, blob(value)),
    ]));
    let signed =
        Value::Array(vec![text("Signature1"), blob(&protected), blob(&[]), blob(&payload)]);
    let signature: Signature = anchor.signing_key().sign(&encode(&signed));
    let envelope = Value::Array(vec![
        blob(&protected),
        Value::Map(vec![]),
        blob(&payload),
        blob(&signature.to_bytes()),
    ]);
    encode(&Value::Tag(18, Box::new(envelope)))
}

#[test]
fn an_identity_rotates_and_rolls_back() {
    let mut bench = Bench::new();
    let ca = ThrowAwayCa::new(NOW);
    let (ldevid, pending) = (("slot", text("ldevid0")), "ldevid0/pending");
    let old = bench.certify(&ca, "ldevid0");
    assert_eq!(bench.phase("ldevid0"), 0);
    assert_eq!(bench.refuse("activate-write", &[ldevid.clone()]), 3);

    let new = bench.certify(&ca, pending);
    assert_eq!(bench.phase("ldevid0"), 1);
    assert_eq!(bench.long("chain", &[ldevid.clone()]), old);
    bench.ok("activate-write", &[ldevid.clone()]);
    assert_eq!(bench.phase("ldevid0"), 2);
    assert_eq!(bench.long("chain", &[ldevid.clone()]), new);
    assert_eq!(bench.refuse("destroy-write", &[ldevid.clone()]), 15, "a rotation is under way");
    bench.ok("rollback-write", &[ldevid.clone()]);
    assert_eq!(bench.long("chain", &[ldevid.clone()]), old);

    let new = bench.certify(&ca, pending);
    bench.ok("activate-write", &[ldevid.clone()]);
    bench.ok("confirm-write", &[ldevid.clone()]);
    assert_eq!(bench.phase("ldevid0"), 0);
    assert_eq!(bench.long("chain", &[ldevid.clone()]), new);
    assert_eq!(bench.refuse("rollback-write", &[ldevid.clone()]), 3);

    bench.ok("reset-write", &[("yes", Value::Bool(true))]);
    assert_eq!(bench.refuse("chain", &[ldevid]), 3);
}

#[test]
fn evidence_vouches_for_an_identitys_key_alone_and_in_a_request() {
    let mut bench = Bench::new();
    let (slot, challenge) = (("slot", text("idevid")), ("challenge", blob(&CHALLENGE)));
    let spki = bench.long("key-write", &[slot.clone()]);
    let bound = bench.long("evidence", &[slot.clone(), challenge.clone()]);
    let len = [CHALLENGE.len() as u8];
    let hashed = [b"devid-bound-evidence-v2\0".as_slice(), &len, &CHALLENGE, &spki].concat();
    let nonce = [b"devid-bound-key2".as_slice(), &bench.sha(&hashed)].concat();
    assert_eq!(Token::decode(&bound).unwrap().claims.nonce, nonce);
    let csr = bench.long("csr", &[slot, challenge]);
    assert!(csr.len() > bound.len());
    assert!(ThrowAwayCa::new(NOW).issue(&csr).is_ok());
}

#[test]
fn status_and_info_are_the_devices() {
    let mut bench = Bench::new();
    let findings = |bench: &mut Bench, request: &[(&str, Value)]| {
        let status = bench.ok("status", request);
        let findings = get(&status, "findings").as_array().unwrap().clone();
        findings.iter().map(|found| format!("{:?}", found.as_array().unwrap())).collect::<Vec<_>>()
    };
    let unlocked = "[Integer(Integer(67)), Null]".to_owned();
    let no_key = "[Integer(Integer(3)), Integer(Integer(0))]".to_owned();
    let found = findings(&mut bench, &[]);
    assert!(found.contains(&unlocked) && found.contains(&no_key), "{found:?}");
    bench.certify(&ThrowAwayCa::new(NOW), "idevid");
    let found = findings(&mut bench, &[("now", Value::from(NOW.0))]);
    assert!(found.contains(&unlocked) && !found.contains(&no_key), "{found:?}");

    let info = bench.ok("info", &[]);
    assert_eq!(get(&info, "locked"), &Value::Bool(false));
    assert_eq!(number(&info, "seq"), 0);
    assert_eq!(bytes(&info, "id"), bench.device.instance_id().unwrap());
}

#[test]
fn lock_and_reset_want_a_word() {
    let mut bench = Bench::new();
    for name in ["lock-write", "reset-write"] {
        assert_eq!(bench.send(name, &[0xa0]), Answer::Refused(66));
        let no = map(&[("yes", Value::Bool(false))]);
        assert_eq!(bench.send(name, &no), Answer::Refused(64));
        assert_eq!(bench.send(name, &map(&[("yes", int(1))])), Answer::Refused(64));
    }
    assert!(!bench.device.is_locked());
}

/// What each command is asked below.
fn example(name: &str, slot: &str) -> Vec<(&'static str, Value)> {
    let slot = ("slot", text(slot));
    let yes = ("yes", Value::Bool(true));
    let challenge = ("challenge", blob(&CHALLENGE));
    match name {
        "lock-write" | "reset-write" => vec![yes],
        "value-write" | "chain-write" => vec![slot, ("value", blob(b"x"))],
        "update-write" => vec![("value", blob(b"x"))],
        "token" | "evidence" => vec![challenge],
        "result" => vec![("sha", blob(&[0; 32])), ("off", int(0))],
        "load-write" => {
            vec![("sha", blob(&[0; 32])), ("off", int(0)), ("len", int(2)), ("data", blob(b"x"))]
        }
        "status" | "slots" | "token-size" | "iak" | "info" | "load" | "abort-write" | "error"
        | "nonce" => {
            vec![]
        }
        _ => vec![slot],
    }
}

/// Everything that a locked device refuses over SMP, and everything else.
const CLOSED: [&str; 13] = [
    "status",
    "value-write",
    "erase-write",
    "key-write",
    "csr",
    "chain-write",
    "destroy-write",
    "activate-write",
    "confirm-write",
    "rollback-write",
    "lock-write",
    "reset-write",
    "value of a secret",
];
const OPEN: [&str; 19] = [
    "slots",
    "slot",
    "value",
    "key",
    "chain",
    "certificate",
    "phase",
    "update-write",
    "token",
    "token-size",
    "evidence",
    "iak",
    "info",
    "load",
    "load-write",
    "abort-write",
    "result",
    "error",
    "nonce",
];

#[test]
fn a_locked_device_answers_with_public_values_and_evidence_alone() {
    const LOCKED: Answer = Answer::Refused(67);
    let mut bench = Bench::new();
    let ca = ThrowAwayCa::new(NOW);
    bench.certify(&ca, "idevid");
    bench.certify(&ca, "ldevid0");
    bench.ok("value-write", &[("slot", text("secret")), ("value", blob(b"hunter2"))]);
    bench.give_anchor();
    bench.ok("lock-write", &[("yes", Value::Bool(true))]);
    assert_eq!(get(&bench.ok("info", &[]), "locked"), &Value::Bool(true));
    for slot in ["idevid", "ldevid0", "ldevid0/pending", "serial", "endpoint"] {
        for name in CLOSED {
            let (name, slot) = match name {
                "value of a secret" => ("value", "secret"),
                name => (name, slot),
            };
            let request = map(&example(name, slot));
            assert_eq!(bench.send(name, &request), LOCKED, "{name} {slot}");
        }
        for name in OPEN {
            let request = map(&example(name, slot));
            assert_ne!(bench.send(name, &request), LOCKED, "{name} {slot}");
        }
    }
    let both_ways = ["value", "key", "chain", "load"].len();
    let commands = NAMES.len() + both_ways + ["value of a secret"].len();
    assert_eq!(CLOSED.len() + OPEN.len(), commands, "a command is in neither list");
}

#[test]
fn the_product_may_leave_operational_slots_to_smp() {
    const DENIED: i128 = 8;
    let mut bench = Bench::with(true);
    let ca = ThrowAwayCa::new(NOW);
    bench.certify(&ca, "idevid");
    bench.certify(&ca, "ldevid0");
    bench.give_anchor();
    bench.ok("lock-write", &[("yes", Value::Bool(true))]);

    let new = bench.certify(&ca, "ldevid0/pending");
    bench.ok("activate-write", &[("slot", text("ldevid0"))]);
    bench.ok("confirm-write", &[("slot", text("ldevid0"))]);
    assert_eq!(bench.long("chain", &[("slot", text("ldevid0"))]), new);
    bench.ok("value-write", &[("slot", text("endpoint")), ("value", blob(b"coaps://x"))]);

    let idevid = ("slot", text("idevid"));
    assert_eq!(bench.refuse("destroy-write", &[idevid.clone()]), DENIED);
    assert_eq!(bench.refuse("key-write", &[("slot", text("idevid/pending"))]), DENIED);
    let serial = [("slot", text("serial")), ("value", blob(b"x"))];
    assert_eq!(bench.refuse("value-write", &serial), DENIED);
    assert_eq!(bench.refuse("lock-write", &[("yes", Value::Bool(true))]), 67);
}

#[test]
fn an_update_is_applied_whatever_the_lock_and_replayed_never() {
    let mut bench = Bench::new();
    let ca = ThrowAwayCa::new(NOW);
    let stranger = ThrowAwayAnchor::new("stranger", NOW, true);
    bench.certify(&ca, "idevid");
    bench.certify(&ca, "ldevid0");
    let anchor = bench.give_anchor();
    bench.ok("lock-write", &[("yes", Value::Bool(true))]);

    let id = Value::Bytes(bytes(&bench.ok("info", &[]), "id"));
    let forged = update(&stranger, id.clone(), 1, b"forged");
    let sha = bench.load(&forged);
    assert_eq!(bench.refuse("update-write", &[("sha", sha)]), 13);
    assert_eq!(bench.detail(), 15, "signed by no anchor");

    let command = update(&anchor, id, 1, b"SN-0002");
    let sha = bench.load(&command);
    let applied = bench.ok("update-write", &[("sha", sha)]);
    assert_eq!(number(&applied, "seq"), 1);
    assert_eq!(get(&applied, "already"), &Value::Bool(false));
    assert_eq!(bench.long("value", &[("slot", text("serial"))]), b"SN-0002");
    assert_eq!(number(&bench.ok("info", &[]), "seq"), 1);
    let again = bench.ok("update-write", &[("value", blob(&command))]);
    assert_eq!(get(&again, "already"), &Value::Bool(true), "answered and not repeated");
}

#[test]
fn the_cddl_finds_a_wrong_packet() {
    valid("load-write-response", &map(&[("off", int(1))]));
    for wrong in [map(&[("off", text("1"))]), map(&[]), map(&[("off", int(1)), ("x", int(1))])] {
        let found = std::panic::catch_unwind(|| valid("load-write-response", &wrong));
        assert!(found.is_err(), "{wrong:02x?}");
    }
}

#[test]
fn slots_are_listed_written_read_and_erased() {
    let mut bench = Bench::new();
    let listed = bench.ok("slots", &[]);
    let ids: Vec<u8> = get(&listed, "slots").as_array().unwrap().iter().map(id).collect();
    assert_eq!(ids, STANDARD.slots.iter().map(|slot| slot.id.0).collect::<Vec<u8>>());
    for id in ids {
        bench.ok("slot", &[("slot", int(id.into()))]);
    }
    let serial = ("slot", text("serial"));
    bench.ok("value-write", &[serial.clone(), ("value", blob(b"SN-0001"))]);
    assert_eq!(bench.long("value", &[serial.clone()]), b"SN-0001");
    let info = bench.ok("slot", &[("slot", int(0x30))]);
    assert_eq!(get(&info, "name"), &text("serial"));
    assert_eq!((number(&info, "kind"), number(&info, "max")), (4, 64));
    assert_eq!((number(&info, "state"), number(&info, "len")), (1, 7));
    bench.ok("erase-write", &[serial.clone()]);
    assert_eq!(bench.refuse("value", &[serial]), 3);
}

fn id(value: &Value) -> u8 {
    u8::try_from(value.as_integer().unwrap()).unwrap()
}

#[test]
fn a_secret_is_never_shown() {
    let mut bench = Bench::new();
    let secret = ("slot", text("secret"));
    let value = b"hunter2hunter2".repeat(15);
    let sha = bench.load(&value);
    bench.ok("value-write", &[secret.clone(), ("sha", sha.clone())]);
    let shown = bench.ok("value", &[secret]);
    assert_eq!(shown.len(), 2);
    assert_eq!((number(&shown, "len"), get(&shown, "sha")), (value.len(), &sha));
    assert_eq!(bench.refuse("result", &[("sha", sha), ("off", int(0))]), 68);
}

#[test]
fn a_loaded_value_is_not_handed_out() {
    let mut bench = Bench::new();
    let sha = bench.load(b"hunter2");
    assert_eq!(bench.refuse("result", &[("sha", sha), ("off", int(0))]), 68);
}

#[test]
fn identities_are_no_data_slots() {
    let mut bench = Bench::new();
    let (idevid, serial) = (("slot", text("idevid")), ("slot", text("serial")));
    let value = ("value", blob(b"x"));
    assert_eq!(bench.refuse("value-write", &[idevid.clone(), value.clone()]), 73);
    assert_eq!(bench.refuse("erase-write", &[idevid.clone()]), 73);
    assert_eq!(bench.refuse("destroy-write", &[serial.clone()]), 73);
    assert_eq!(bench.refuse("key-write", &[serial.clone()]), 9);
    assert_eq!(bench.refuse("chain-write", &[serial, value]), 9);
}

#[test]
fn the_devices_errors_keep_their_numbers_and_details() {
    let mut bench = Bench::new();
    let serial = ("slot", text("serial"));
    assert_eq!(bench.refuse("slot", &[("slot", text("nosuch"))]), 4);
    assert_eq!(bench.refuse("slot", &[("slot", int(0x7f))]), 4);
    assert_eq!(bench.refuse("value-write", &[serial, ("value", blob(&[b'x'; 65]))]), 6);
    assert_eq!(bench.detail(), 64);
    let idevid = ("slot", text("idevid"));
    bench.ok("key-write", &[idevid.clone()]);
    assert_eq!(bench.refuse("key-write", &[idevid.clone()]), 5);
    let rc = bench.refuse("chain-write", &[idevid, ("value", blob(&[0x30, 0x03, 1, 2, 3]))]);
    assert_eq!(rc, 12);
}

#[test]
fn a_map_of_indefinite_length_is_a_request_too() {
    let mut bench = Bench::new();
    assert!(matches!(bench.send("slots", &[0xbf, 0xff]), Answer::Map(_)));
    let slot = [0xbf, 0x64, b's', b'l', b'o', b't', 0x18, 0x30, 0xff];
    assert!(matches!(bench.send("slot", &slot), Answer::Map(_)));
    assert_eq!(bench.send("slot", &slot[..8]), Answer::Refused(64));
    assert_eq!(bench.send("slot", &[&slot[..], &[0]].concat()), Answer::Refused(64));
}

#[test]
fn refuses_malformed_cbor() {
    let mut bench = Bench::new();
    let whole = map(&[("slot", int(0x30))]);
    for end in 0..whole.len() {
        assert_eq!(bench.send("slot", &whole[..end]), Answer::Refused(64), "{end}");
    }
    for payload in [
        [whole.as_slice(), &[0]].concat(),
        vec![0x80],
        vec![0x01],
        vec![0xf6],
        vec![0xff],
        vec![0xc1, 0xa0],
        vec![0xa1, 0x1c, 0x00],
        vec![0xa1, 0x61, 0x80, 0x00],
    ] {
        assert_eq!(bench.send("slot", &payload), Answer::Refused(64), "{payload:02x?}");
    }
}

#[test]
fn refuses_strings_of_indefinite_length() {
    let mut bench = Bench::new();
    let key = [0xa1, 0x7f, 0x64, b's', b'l', b'o', b't', 0xff, 0x00];
    assert_eq!(bench.send("slot", &key), Answer::Refused(64));
    assert_eq!(bench.detail(), 1);
    let name = [0xa1, 0x64, b's', b'l', b'o', b't', 0x7f, 0x61, b'x', 0xff];
    assert_eq!(bench.send("slot", &name), Answer::Refused(64));
    assert_eq!(bench.detail(), 6);
}

#[test]
fn refuses_huge_lengths() {
    let mut bench = Bench::new();
    for payload in [
        &[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff][..],
        &[0xba, 0x7f, 0xff, 0xff, 0xff],
        &[0xa1, 0x7b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0xa1, 0x64, b's', b'l', b'o', b't', 0x7a, 0xff, 0xff, 0xff, 0xff],
    ] {
        assert_eq!(bench.send("slot", payload), Answer::Refused(64), "{payload:02x?}");
    }
    let sha = ("sha", blob(&[0; 32]));
    let begin = [sha, ("off", int(0)), ("len", Value::from(1u64 << 32)), ("data", blob(&[]))];
    assert_eq!(bench.refuse("load-write", &begin), 72);
    assert_eq!(bench.detail(), scratch_len(&STANDARD) as i128);
}

#[test]
fn refuses_missing_keys() {
    let mut bench = Bench::new();
    for name in ["slot", "value", "value-write", "key", "csr", "chain-write", "token", "result"] {
        assert_eq!(bench.send(name, &[0xa0]), Answer::Refused(66), "{name}");
    }
    let slot = map(&[("slot", text("serial"))]);
    assert_eq!(bench.send("value-write", &slot), Answer::Refused(66));
    let piece = map(&[("sha", blob(&[0; 32])), ("off", int(0)), ("data", blob(b"x"))]);
    assert_eq!(bench.send("load-write", &piece), Answer::Refused(66), "no length");
}

#[test]
fn refuses_unknown_keys_and_those_of_other_commands() {
    let mut bench = Bench::new();
    let unknown = map(&[("slot", int(0x30)), ("colour", int(1))]);
    assert_eq!(bench.send("slot", &unknown), Answer::Refused(65));
    assert_eq!(bench.detail(), 8, "where the key stands");
    let other = map(&[("slot", int(0x30)), ("now", int(1))]);
    assert_eq!(bench.send("slot", &other), Answer::Refused(65));
    assert_eq!(bench.send("slots", &map(&[("slot", int(0))])), Answer::Refused(65));
    let two = map(&[("slot", int(0x30)), ("value", blob(b"x")), ("sha", blob(&[0; 32]))]);
    assert_eq!(bench.send("value-write", &two), Answer::Refused(65), "one value or the other");
}

#[test]
fn refuses_a_key_twice() {
    let mut bench = Bench::new();
    let twice = map(&[("slot", int(0x30)), ("slot", int(0x30))]);
    assert_eq!(bench.send("slot", &twice), Answer::Refused(64));
    assert_eq!(bench.detail(), 8, "where it stands again");
}

#[test]
fn refuses_wrong_types_and_ranges() {
    let mut bench = Bench::new();
    let sha = ("sha", blob(&[0; 32]));
    for (name, request) in [
        ("slot", vec![("slot", blob(b"serial"))]),
        ("slot", vec![("slot", Value::Null)]),
        ("slot", vec![("slot", Value::Array(vec![]))]),
        ("value-write", vec![("slot", int(0x30)), ("value", text("x"))]),
        ("value-write", vec![("slot", int(0x30)), ("sha", blob(&[0; 31]))]),
        ("value-write", vec![("slot", int(0x30)), ("sha", blob(&[0; 33]))]),
        ("csr", vec![("slot", int(0)), ("cn", blob(b"x"))]),
        ("certificate", vec![("slot", int(0)), ("index", Value::from(-1))]),
        ("result", vec![sha.clone(), ("off", Value::from(-1))]),
        ("result", vec![sha, ("off", Value::from(u64::MAX))]),
        ("chain-write", vec![("slot", int(0)), ("value", blob(b"x")), ("now", text("x"))]),
    ] {
        assert_eq!(bench.send(name, &map(&request)), Answer::Refused(64), "{name} {request:?}");
    }
    let number = encode(&Value::Map(vec![(int(1), int(0x30))]));
    assert_eq!(bench.send("slot", &number), Answer::Refused(64), "keys are text");
    assert_eq!(bench.send("slot", &map(&[("slot", int(256))])), Answer::Refused(4));
    assert_eq!(bench.send("slot", &map(&[("slot", Value::from(-1))])), Answer::Refused(4));
    let short = map(&[("challenge", blob(&[0; 31]))]);
    assert_eq!(bench.send("token", &short), Answer::Refused(2));
    assert_eq!(bench.send("token-size", &map(&[("len", int(33))])), Answer::Refused(2));
}

#[test]
fn pieces_out_of_order_are_answered_with_the_one_that_is_missing() {
    let mut bench = Bench::new();
    let value: Vec<u8> = (0..200).collect();
    let sha = ("sha", Value::Bytes(bench.sha(&value)));
    let piece =
        |off: usize| vec![sha.clone(), ("off", int(off)), ("data", blob(&value[off..off + 50]))];
    let first = [piece(0), vec![("len", int(200))]].concat();
    assert_eq!(bench.refuse("load-write", &piece(50)), 68, "nothing was begun");
    for (request, next) in [
        (first.clone(), 50),
        (piece(100), 50),
        (piece(50), 100),
        (piece(50), 100),
        (first.clone(), 100),
        (piece(100), 150),
        (piece(150), 200),
        (piece(150), 200),
        (first, 200),
    ] {
        assert_eq!(number(&bench.ok("load-write", &request), "off"), next, "{request:?}");
    }
    bench.ok("value-write", &[("slot", text("endpoint")), sha.clone()]);
    assert_eq!(bench.long("value", &[("slot", text("endpoint"))]), value);
}

#[test]
fn refuses_a_piece_that_overruns() {
    let mut bench = Bench::new();
    let sha = ("sha", blob(&[0; 32]));
    let begin = [sha.clone(), ("off", int(0)), ("len", int(4)), ("data", blob(&[1, 2, 3]))];
    bench.ok("load-write", &begin);
    let over = [sha.clone(), ("off", int(3)), ("data", blob(&[4, 5]))];
    assert_eq!(bench.refuse("load-write", &over), 71);
    assert_eq!(bench.detail(), 1, "bytes that are missing");
    assert_eq!(number(&bench.ok("load", &[]), "off"), 3, "nothing of it was taken");
    let use_it = [("slot", text("serial")), sha];
    assert_eq!(bench.refuse("value-write", &use_it), 69);
}

#[test]
fn refuses_a_load_longer_than_the_buffer_by_one_byte() {
    let mut bench = Bench::new();
    let begin =
        |len| [("sha", blob(&[0; 32])), ("off", int(0)), ("len", int(len)), ("data", blob(&[]))];
    bench.ok("load-write", &begin(scratch_len(&STANDARD)));
    assert_eq!(bench.refuse("load-write", &begin(scratch_len(&STANDARD) + 1)), 72);
    assert_eq!(bench.refuse("load-write", &begin(0)), 72);
}

#[test]
fn a_digest_mismatch_drops_the_load_at_its_last_piece() {
    let mut bench = Bench::new();
    let sha = ("sha", blob(&[0; 32]));
    let begin = [sha.clone(), ("off", int(0)), ("len", int(4)), ("data", blob(&[1, 2, 3, 4]))];
    assert_eq!(bench.refuse("load-write", &begin), 70);
    assert_eq!(bench.refuse("load", &[]), 68);
    assert_eq!(bench.refuse("value-write", &[("slot", text("serial")), sha]), 68);
}

#[test]
fn a_load_that_is_displaced_is_told_so_and_never_mixed() {
    let mut bench = Bench::new();
    let (ours, theirs) = ([1; 100], [2; 100]);
    let (our_sha, their_sha) = (bench.sha(&ours), bench.sha(&theirs));
    let piece = |sha: &[u8], value: &[u8], off: usize| {
        let mut request =
            vec![("sha", blob(sha)), ("off", int(off)), ("data", blob(&value[off..off + 50]))];
        if off == 0 {
            request.push(("len", int(value.len())));
        }
        request
    };
    bench.ok("load-write", &piece(&our_sha, &ours, 0));
    bench.ok("load-write", &piece(&their_sha, &theirs, 0));
    assert_eq!(bench.refuse("load-write", &piece(&our_sha, &ours, 50)), 68);
    bench.ok("load-write", &piece(&their_sha, &theirs, 50));
    let endpoint = ("slot", text("endpoint"));
    assert_eq!(bench.refuse("value-write", &[endpoint.clone(), ("sha", blob(&our_sha))]), 68);
    bench.ok("value-write", &[endpoint.clone(), ("sha", blob(&their_sha))]);
    assert_eq!(bench.long("value", &[endpoint]), theirs);
}

#[test]
fn a_result_that_is_displaced_is_told_so_and_never_mixed() {
    let mut bench = Bench::new();
    bench.ok("key-write", &[("slot", int(0))]);
    let ours = bench.ok("csr", &[("slot", int(0)), ("cn", text("ours"))]);
    let rest = |first: &[(String, Value)]| {
        [("sha", get(first, "sha").clone()), ("off", int(bytes(first, "data").len()))]
    };
    let half = bench.ok("result", &rest(&ours));
    let theirs = bench.ok("csr", &[("slot", int(0)), ("cn", text("theirs"))]);
    assert_ne!(get(&ours, "sha"), get(&theirs, "sha"));
    assert_eq!(bench.refuse("result", &rest(&ours)), 68);
    assert!(!bytes(&bench.ok("result", &rest(&theirs)), "data").is_empty());
    drop(half);

    // A load displaces it too, and what fits one response displaces nothing.
    let sha = bench.load(b"x");
    assert_eq!(bench.refuse("result", &rest(&theirs)), 68);
    bench.long("key", &[("slot", int(0))]);
    bench.ok("value-write", &[("slot", text("serial")), ("sha", sha)]);
}

#[test]
fn the_shell_between_two_pieces_changes_nothing() {
    let mut bench = Bench::new();
    bench.ok("key-write", &[("slot", int(0))]);
    let first = bench.ok("csr", &[("slot", int(0)), ("cn", text("ours"))]);
    let rules = Rules { console: true, peer: false };
    let mut console = devid_console::Console::new(rules, vec![0; 1024].leak());
    console.run(&mut bench.device, Caller::Console, &["id", "csr", "idevid"]).unwrap();
    let mut csr = bytes(&first, "data");
    while csr.len() < number(&first, "len") {
        let rest = [("sha", get(&first, "sha").clone()), ("off", int(csr.len()))];
        csr.extend(bytes(&bench.ok("result", &rest), "data"));
    }
    assert_eq!(&Value::Bytes(bench.sha(&csr)), get(&first, "sha"));
}

#[test]
fn refuses_a_result_from_behind_its_end() {
    let mut bench = Bench::new();
    bench.ok("key-write", &[("slot", int(0))]);
    let first = bench.ok("csr", &[("slot", int(0)), ("cn", text("a name of some length"))]);
    let len = number(&first, "len");
    let at = |off| [("sha", get(&first, "sha").clone()), ("off", int(off))];
    assert_eq!(bytes(&bench.ok("result", &at(len)), "data"), b"");
    assert_eq!(bench.refuse("result", &at(len + 1)), 71);
}

/// A load as another client would send it.
fn begin(session: usize, sha: &Value, len: usize, off: usize) -> Vec<(&'static str, Value)> {
    let mut request = vec![
        ("sha", sha.clone()),
        ("off", int(off)),
        ("data", blob(b"x")),
        ("session", int(session)),
    ];
    if off == 0 {
        request.push(("len", int(len)));
    }
    request
}

#[test]
fn a_load_belongs_to_its_session() {
    let mut bench = Bench::new();
    bench.ok("key-write", &[("slot", int(0))]);
    let sha = blob(&bench.sha(b"xxx"));
    let session = |n| ("session", int(n));
    bench.ok("load-write", &begin(7, &sha, 3, 0));
    // Nobody else learns of it, goes on with it, uses it, drops or displaces it.
    for stranger in [vec![], vec![session(8)]] {
        assert_eq!(bench.refuse("load", &stranger), 68);
        bench.ok("abort-write", &stranger);
    }
    assert_eq!(bench.refuse("load-write", &begin(8, &sha, 3, 1)), 68);
    assert_eq!(bench.refuse("load-write", &begin(8, &sha, 3, 0)), 74);
    assert_eq!(bench.refuse("load-write", &begin(8, &blob(&[1; 32]), 5, 0)), 74);
    // A result goes beside it, while there is room.
    bench.long("csr", &[("slot", int(0)), ("cn", text("a long name for it"))]);
    assert_eq!(number(&bench.ok("load", &[session(7)]), "off"), 1);

    bench.ok("load-write", &begin(7, &sha, 3, 1));
    bench.ok("load-write", &begin(7, &sha, 3, 2));
    let write = |n| [("slot", text("serial")), ("sha", sha.clone()), session(n)];
    assert_eq!(bench.refuse("value-write", &write(8)), 68);
    bench.ok("value-write", &write(7));
    // It is used up, and the next may come.
    bench.ok("load-write", &begin(8, &sha, 3, 0));
}

#[test]
fn a_load_given_up_makes_way() {
    let mut bench = Bench::new();
    let (one, two) = (blob(&[1; 32]), blob(&[2; 32]));
    bench.ok("load-write", &begin(1, &one, 100, 0));
    bench.device.platform().advance(59);
    assert_eq!(bench.refuse("load-write", &begin(2, &two, 2, 0)), 74);
    bench.device.platform().advance(1);
    bench.ok("load-write", &begin(2, &two, 2, 0));
    assert_eq!(bench.refuse("load-write", &begin(1, &one, 100, 1)), 68);

    // Nor can one be drawn out for ever.
    bench.ok("abort-write", &[("session", int(2))]);
    bench.ok("load-write", &begin(1, &one, 100, 0));
    let mut pieces = 1;
    while bench.refused("load-write", &begin(2, &two, 2, 0)) {
        bench.device.platform().advance(30);
        bench.ask("load-write", &begin(1, &one, 100, pieces));
        pieces += 1;
    }
    assert_eq!(pieces, 21, "ten minutes");
}

#[test]
fn a_result_that_finds_no_room_beside_a_load_is_refused() {
    let mut bench = Bench::new();
    bench.ok("key-write", &[("slot", int(0))]);
    let csr = [("slot", int(0)), ("cn", text("a long name for it"))];
    bench.ok("load-write", &begin(1, &blob(&[1; 32]), scratch_len(&STANDARD), 0));
    assert_eq!(bench.refuse("csr", &csr), 74);
    assert_eq!(number(&bench.ok("load", &[("session", int(1))]), "off"), 1);
    bench.device.platform().advance(60);
    bench.long("csr", &csr);
    assert_eq!(bench.refuse("load", &[("session", int(1))]), 68);
}

#[test]
fn a_nonce_is_the_same_for_everyone() {
    let mut bench = Bench::new();
    let nonce = bytes(&bench.ok("nonce", &[]), "nonce");
    assert_eq!(nonce.len(), 16);
    assert_eq!(bytes(&bench.ok("nonce", &[]), "nonce"), nonce);
}

#[test]
fn an_abort_drops_the_load() {
    let mut bench = Bench::new();
    let sha = bench.load(b"x");
    bench.ok("abort-write", &[]);
    assert_eq!(bench.refuse("value-write", &[("slot", text("serial")), ("sha", sha)]), 68);
}

#[test]
fn a_response_too_long_for_its_buffer_is_mcumgrs_error() {
    const EMSGSIZE: u8 = 7;
    let mut bench = Bench::new();
    bench.ok("key-write", &[("slot", int(0))]);
    let (mut answered, mut refused) = (0, 0);
    for room in 0..ROOM {
        bench.room = room;
        for (name, request) in [
            ("slots", vec![]),
            ("slot", vec![("slot", text("serial"))]),
            ("csr", vec![("slot", int(0))]),
            ("value", vec![("slot", text("serial"))]),
        ] {
            match bench.send(name, &map(&request)) {
                Answer::Mgmt(code) => {
                    assert_eq!(code, EMSGSIZE);
                    refused += 1;
                }
                _ => answered += 1,
            }
        }
    }
    assert!(answered > 0 && refused > 0);
    bench.room = 64;
    let csr = bench.long("csr", &[("slot", int(0))]);
    assert!(csr.len() > 64, "one piece at least fits a small one");
}

#[test]
fn unknown_commands_are_mcumgrs_error() {
    const ENOTSUP: u8 = 8;
    let mut bench = Bench::new();
    let mut send = |write, command| {
        let packet = Packet { version: 1, write, command, payload: &[0xa0] };
        bench.smp.run(Ok(&mut bench.device), &packet, &mut [0; ROOM])
    };
    for command in 27..=255 {
        assert_eq!(send(false, command), Err(ENOTSUP));
        assert_eq!(send(true, command), Err(ENOTSUP));
    }
    assert_eq!(send(true, 1), Err(ENOTSUP), "slots are not written");
    assert_eq!(send(false, 4), Err(ENOTSUP), "erase is no read");
}

#[test]
fn clients_of_version_1_get_mcumgrs_codes() {
    let mut bench = Bench::new();
    let mut send = |command, payload: &[u8]| {
        let packet = Packet { version: 0, write: false, command, payload };
        bench.smp.run(Ok(&mut bench.device), &packet, &mut [0; ROOM])
    };
    assert!(send(1, &[0xa0]).is_ok());
    assert_eq!(send(5, &map(&[("slot", int(0))])), Err(5), "no entry");
    assert_eq!(send(5, &[0xa0]), Err(3), "invalid");
    assert_eq!(send(5, &map(&[("slot", int(0x30))])), Err(8), "not supported");
}

#[test]
fn a_device_that_does_not_open_answers_with_its_error() {
    let mut smp = Smp::new(
        Config { group: GROUP, rules: Rules { console: true, peer: false } },
        vec![0; 64].leak(),
    );
    let packet = Packet { version: 1, write: false, command: 1, payload: &[0xa0] };
    let mut out = [0; ROOM];
    let device: Result<&mut Device<'_, Sim>, _> = Err(devid_core::Error::Platform(-135));
    let len = smp.run(device, &packet, &mut out).unwrap();
    valid("refusal", &out[..len]);
    assert_eq!(out[len - 1], 14);
}
