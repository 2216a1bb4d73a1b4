// SPDX-License-Identifier: Apache-2.0
//! `devid update`, from outside: what it signs is what `docs/update.cddl` says
//! and what a device applies.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use data_encoding::{BASE64, HEXLOWER};
use devid_core::csr::Subject;
use devid_core::device::{Device, scratch_len};
use devid_core::error::Error;
use devid_core::layout::{STANDARD, SlotId};
use devid_core::time::UnixTime;
use devid_core::update::Applied;
use devid_sim::ca::{ThrowAwayAnchor, ThrowAwayCa};
use devid_sim::{Config, Sim};
use minicbor::data::Type;
use minicbor::{Decoder, Encoder};
use p256::SecretKey;
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::pkcs8::{EncodePrivateKey, LineEnding};

const NOW: UnixTime = UnixTime(1_795_000_000);
const ID: [u8; 33] = [1; 33];

/// A folder with an anchor's files.
struct Desk {
    folder: tempfile::TempDir,
    anchor: ThrowAwayAnchor,
}

impl Desk {
    fn new() -> Self {
        Self::with(ThrowAwayAnchor::new("anchor", NOW, true))
    }

    fn with(anchor: ThrowAwayAnchor) -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap(), anchor };
        let key = SecretKey::from(desk.anchor.signing_key());
        desk.put("key.pem", key.to_pkcs8_pem(LineEnding::LF).unwrap().as_bytes());
        desk.put("sec1.pem", key.to_sec1_pem(LineEnding::LF).unwrap().as_bytes());
        desk.put("anchor.der", desk.anchor.certificate());
        desk.put("anchor.pem", pem(desk.anchor.certificate()).as_bytes());
        desk.put("value", b"SN-2");
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, content: &[u8]) {
        fs::write(self.path(name), content).unwrap();
    }

    /// Runs `devid update` there.
    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_devid"));
        command.current_dir(self.folder.path()).arg("update").args(args).output().unwrap()
    }

    /// `devid update sign` by the anchor's key.
    fn sign(&self, args: &[&str]) -> Output {
        self.run(&[&["sign", "--key", "key.pem"], args].concat())
    }

    /// A command for one device, which must come out.
    #[track_caller]
    fn signed(&self, args: &[&str]) -> Vec<u8> {
        let id = HEXLOWER.encode(&ID);
        let output = self.sign(&[&["--device", &id], args].concat());
        exits(&output, 0, "");
        output.stdout
    }
}

fn pem(der: &[u8]) -> String {
    let text = BASE64.encode(der);
    let lines: Vec<_> =
        text.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

#[track_caller]
fn exits(output: &Output, code: i32, message: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert!(error.contains(message) && error.is_empty() == message.is_empty(), "{error}");
}

/// Every operation, with the arguments that ask for it.
const OPERATIONS: [&[&str]; 7] = [
    &["write", "serial", "value"],
    &["write", "0x7f", "value"],
    &["install", "idevid", "anchor.pem"],
    &["add-anchor", "anchor1", "anchor.pem"],
    &["revoke-anchor", "0x21"],
    &["reset"],
    &["activate", "ldevid0"],
];

/// The parts of a COSE_Sign1, and nothing around them.
fn parts(command: &[u8]) -> [Vec<u8>; 3] {
    let mut decoder = Decoder::new(command);
    assert_eq!(decoder.tag().unwrap().as_u64(), 18);
    assert_eq!(decoder.array().unwrap(), Some(4));
    let protected = decoder.bytes().unwrap().to_vec();
    assert_eq!(decoder.map().unwrap(), Some(0));
    let payload = decoder.bytes().unwrap().to_vec();
    let signature = decoder.bytes().unwrap().to_vec();
    assert_eq!(decoder.position(), command.len());
    [protected, payload, signature]
}

#[test]
fn another_implementation_finds_the_signature_good() {
    let desk = Desk::new();
    let key = VerifyingKey::from(desk.anchor.signing_key());
    for operation in OPERATIONS {
        let command = desk.signed(&[&["--sequence", "1"], operation].concat());
        let [protected, payload, signature] = parts(&command);
        let mut to_be_signed = Encoder::new(Vec::new());
        to_be_signed.array(4).unwrap().str("Signature1").unwrap().bytes(&protected).unwrap();
        to_be_signed.bytes(&[]).unwrap().bytes(&payload).unwrap();
        let signature = Signature::from_slice(&signature).unwrap();
        key.verify(to_be_signed.writer(), &signature).unwrap();
    }
}

#[test]
fn what_is_signed_is_to_the_byte_what_was_asked() {
    let desk = Desk::new();
    let args = ["--sequence", "256", "--expires", "1795000000", "write", "serial", "value"];
    let [protected, payload, _] = parts(&desk.signed(&args));
    let header = [&[0xa2, 1, 0x26, 3, 0x78, 29][..], b"application/devid-update+cbor"].concat();
    assert_eq!(protected, header);
    let expected = [
        &[0xa6, 1, 0x58, 33],
        &ID[..],
        &[2, 0x19, 1, 0, 3, 1, 4, 0x18, 0x30, 5, 0x44],
        b"SN-2",
        &[6, 0x1a, 0x6a, 0xfd, 0x86, 0xc0],
    ];
    assert_eq!(HEXLOWER.encode(&payload), HEXLOWER.encode(&expected.concat()));

    let output = desk.sign(&["--group", "meters", "--sequence", "1", "reset"]);
    exits(&output, 0, "");
    let [_, payload, _] = parts(&output.stdout);
    assert_eq!(payload, [&[0xa3, 1, 0x66][..], b"meters", &[2, 1, 3, 5]].concat());
    // Signatures are deterministic.
    assert_eq!(desk.sign(&["--group", "meters", "--sequence", "1", "reset"]).stdout, output.stdout);
}

#[test]
fn certificates_go_out_as_der_whatever_they_came_in() {
    let desk = Desk::new();
    let ca = ThrowAwayCa::new(NOW);
    let key = VerifyingKey::from(desk.anchor.signing_key()).to_sec1_point(false);
    let key = devid_core::key::PublicKey::from_point(key.as_bytes()).unwrap();
    let chain = ca.certify(&key, "device");
    let parsed = devid_core::chain::Chain::parse(&chain).unwrap();
    let text: String = parsed.certificates().map(|certificate| pem(certificate.der)).collect();
    desk.put("chain.der", &chain);
    desk.put("chain.pem", text.as_bytes());
    for file in ["chain.der", "chain.pem"] {
        for operation in [["install", "idevid"], ["write", "iak"]] {
            let args = [&["--sequence", "1"], &operation[..], &[file]].concat();
            let [_, payload, _] = parts(&desk.signed(&args));
            assert!(payload.ends_with(&chain), "{operation:?} {file}");
        }
    }
    // What is no chain slot takes a file as it is.
    let [_, payload, _] =
        parts(&desk.signed(&["--sequence", "1", "write", "endpoint", "chain.pem"]));
    assert!(payload.ends_with(text.as_bytes()));
}

#[test]
fn devices_come_in_hex_and_in_files() {
    let desk = Desk::new();
    let by = |device: &str| desk.sign(&["--device", device, "--sequence", "1", "reset"]);
    let expected = by(&HEXLOWER.encode(&ID)).stdout;
    desk.put("id", &ID);
    desk.put("id.txt", format!("{}\n", HEXLOWER.encode(&ID)).as_bytes());
    assert_eq!(by("id").stdout, expected);
    assert_eq!(by("id.txt").stdout, expected);
    exits(&by("value"), 1, "neither 33 bytes nor as many in hex");
    exits(&by("missing"), 3, "missing");
    exits(&by(&HEXLOWER.encode(&[2; 33])), 2, "not an instance id");
}

#[test]
fn a_key_in_either_form_signs_if_it_is_the_anchors() {
    let desk = Desk::new();
    let sign = |key: &str, anchor: &str| {
        let id = HEXLOWER.encode(&ID);
        let args = ["--key", key, "--anchor", anchor, "--device", &id, "--sequence", "1", "reset"];
        desk.run(&[&["sign"], &args[..]].concat())
    };
    for key in ["key.pem", "sec1.pem"] {
        for anchor in ["anchor.pem", "anchor.der"] {
            exits(&sign(key, anchor), 0, "");
        }
    }
    let other = ThrowAwayAnchor::new("other", NOW, true);
    desk.put("other.der", other.certificate());
    exits(&sign("key.pem", "other.der"), 1, "the private key is not this anchor's");
    let issuer = Desk::with(ThrowAwayAnchor::new("issuer", NOW, false));
    desk.put("issuer.der", issuer.anchor.certificate());
    exits(&sign("key.pem", "issuer.der"), 1, "it may not sign commands");
    exits(&sign("key.pem", "value"), 1, "no certificate in it");
    exits(&sign("key.pem", "missing"), 3, "missing");
    exits(&sign("anchor.pem", "anchor.pem"), 3, "not a P-256 private key in PEM");
    exits(&sign("missing", "anchor.pem"), 3, "missing");
}

#[test]
fn refuses_what_no_device_would_take() {
    let desk = Desk::new();
    desk.put("empty", b"");
    desk.put("long", &[0; 4097]);
    let ca = ThrowAwayCa::new(NOW);
    let key = VerifyingKey::from(desk.anchor.signing_key()).to_sec1_point(false);
    let key = devid_core::key::PublicKey::from_point(key.as_bytes()).unwrap();
    let chain = ca.certify(&key, "device");
    let leaf = devid_core::chain::Chain::parse(&chain).unwrap().get(0).unwrap().to_vec();
    desk.put("leaf.der", &leaf);
    let sign = |args: &[&str]| {
        let id = HEXLOWER.encode(&ID);
        desk.sign(&[&["--device", &id, "--sequence", "1"], args].concat())
    };
    for (args, message) in [
        (&["write", "serial", "empty"][..], "empty; no slot takes that"),
        (&["write", "serial", "long"], "longer than 4096 bytes"),
        (&["write", "anchor0", "value"], "slot anchor0 is of another kind"),
        (&["install", "serial", "anchor.pem"], "slot serial is of another kind"),
        (&["install", "idevid", "value"], "no certificate in it"),
        (&["add-anchor", "anchor0", "leaf.der"], "not a CA's certificate"),
        (&["add-anchor", "idevid", "anchor.der"], "slot idevid is of another kind"),
        (&["revoke-anchor", "iak"], "slot iak is of another kind"),
        (&["activate", "endpoint"], "slot endpoint is of another kind"),
    ] {
        exits(&sign(args), 1, message);
    }
    exits(&sign(&["write", "serial", "missing"]), 3, "missing");
    exits(&sign(&["--out", "no/such/folder", "reset"]), 3, "no/such/folder");
}

#[test]
fn wrong_usage_exits_with_2() {
    let desk = Desk::new();
    let id = HEXLOWER.encode(&ID);
    let group = "x".repeat(33);
    for args in [
        &["--device", &id, "--sequence", "1"][..],
        &["--sequence", "1", "reset"],
        &["--device", &id, "reset"],
        &["--device", &id, "--group", "meters", "--sequence", "1", "reset"],
        &["--group", "", "--sequence", "1", "reset"],
        &["--group", &group, "--sequence", "1", "reset"],
        &["--device", &id, "--sequence", "0", "reset"],
        &["--device", &id, "--sequence", "9223372036854775808", "reset"],
        &["--device", &id, "--sequence", "1", "--expires", "soon", "reset"],
        &["--device", &id, "--sequence", "1", "frobnicate"],
        &["--device", &id, "--sequence", "1", "write", "serial"],
        &["--device", &id, "--sequence", "1", "write", "no-such-slot", "value"],
        &["--device", &id, "--sequence", "1", "write", "0x80", "value"],
        &["--device", &id, "--sequence", "1", "write", "48", "value"],
        &["--device", &id, "--sequence", "1", "reset", "serial"],
    ] {
        assert_eq!(desk.sign(args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn shows_a_command_without_checking_it() {
    let desk = Desk::new();
    let args = ["--sequence", "7", "--expires", "2026-11-18", "write", "serial", "value"];
    let mut command = desk.signed(&args);
    *command.last_mut().unwrap() ^= 1;
    desk.put("command", &command);
    let output = desk.run(&["show", "command"]);
    exits(&output, 0, "");
    let expected = format!(
        "not verified\n\
         device      {}\n\
         sequence    7\n\
         operation   write\n\
         slot        0x30 (standard layout: serial)\n\
         value       4 bytes\n\
         expires     1794960000\n",
        HEXLOWER.encode(&ID)
    );
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    exits(&desk.run(&["show", "value"]), 1, "not an update command");
    exits(&desk.run(&["show", "missing"]), 3, "missing");

    let output = desk.sign(&["--group", "a\u{1b}[2J", "--sequence", "1", "reset"]);
    desk.put("command", &output.stdout);
    let shown = String::from_utf8(desk.run(&["show", "command"]).stdout).unwrap();
    assert!(shown.contains("group       a\\u{1b}[2J\n"), "{shown}");
}

#[test]
fn verifies_signature_and_time() {
    let desk = Desk::new();
    let args = ["--sequence", "7", "--expires", "1795000010", "reset"];
    let good = desk.signed(&args);
    desk.put("command", &good);
    let verify =
        |anchor: &str, at: &str| desk.run(&["verify", "--anchor", anchor, "--at", at, "command"]);
    let output = verify("anchor.pem", "1795000010");
    exits(&output, 0, "");
    assert_eq!(output.stdout, b"command: pass\n");
    exits(&verify("anchor.der", "1795000011"), 1, "command: expired");
    exits(&verify("anchor.der", "1794999999"), 1, "the anchor is not valid at the time");
    let other = ThrowAwayAnchor::new("other", NOW, true);
    desk.put("other.der", other.certificate());
    exits(&verify("other.der", "1795000000"), 1, "not signed by this anchor");
    exits(&verify("missing", "1795000000"), 3, "missing");

    for end in [0, 1, good.len() / 2, good.len() - 1] {
        desk.put("command", &good[..end]);
        exits(&verify("anchor.der", "1795000000"), 1, "not an update command");
    }
    for byte in 0..good.len() {
        let mut flipped = good.clone();
        flipped[byte] ^= 1;
        desk.put("command", &flipped);
        assert_eq!(verify("anchor.der", "1795000000").status.code(), Some(1), "byte {byte}");
    }
}

#[test]
fn committed_vectors_are_signed_again_to_the_byte() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/update");
    let id = HEXLOWER.encode(&ID);
    for (name, args) in [
        ("write", &["--device", &id, "--sequence", "1", "write", "serial", "serial"][..]),
        (
            "add-anchor",
            &["--device", &id, "--sequence", "2", "add-anchor", "anchor1", "anchor.der"],
        ),
        ("revoke-anchor", &["--device", &id, "--sequence", "3", "revoke-anchor", "anchor0"]),
        ("activate", &["--group", "meters", "--sequence", "4", "activate", "ldevid0"]),
        (
            "reset",
            &[
                "--group",
                "meters",
                "--sequence",
                "9223372036854775807",
                "--expires",
                "2030-01-01",
                "reset",
            ],
        ),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_devid"));
        command.current_dir(&folder).args(["update", "sign", "--key", "anchor-private.pem"]);
        let output = command.args(["--anchor", "anchor.der"]).args(args).output().unwrap();
        exits(&output, 0, "");
        let vector = fs::read(folder.join(format!("{name}.cbor"))).unwrap();
        assert!(output.stdout == vector, "{name}");
    }
}

#[test]
fn made_commands_are_what_the_cddl_describes() {
    let desk = Desk::new();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/update.cddl");
    let cddl = fs::read_to_string(path).unwrap();
    let is_valid = |command: &[u8]| cddl::validate_cbor_from_slice(&cddl, command, None).is_ok();
    let mut made: Vec<_> =
        OPERATIONS.map(|operation| desk.signed(&[&["--sequence", "1"], operation].concat())).into();
    made.push(desk.signed(&["--sequence", "9223372036854775807", "--expires", "1", "reset"]));
    made.push(desk.sign(&["--group", "meters", "--sequence", "1", "reset"]).stdout);
    for command in &made {
        assert!(is_valid(command), "{}", HEXLOWER.encode(command));
    }

    // And it refuses what is none: every payload with an entry too few or many.
    for command in &made {
        let [protected, payload, signature] = parts(command);
        let with = |payload: &[u8]| {
            let mut e = Encoder::new(Vec::new());
            e.tag(minicbor::data::Tag::new(18)).unwrap().array(4).unwrap();
            e.bytes(&protected).unwrap().map(0).unwrap().bytes(payload).unwrap();
            e.bytes(&signature).unwrap();
            e.into_writer()
        };
        assert!(is_valid(&with(&payload)));
        let mut more = payload.clone();
        more[0] += 1;
        more.extend([7, 0]);
        assert!(!is_valid(&with(&more)));
        let mut decoder = Decoder::new(&payload);
        let count = decoder.map().unwrap().unwrap();
        let mut last = 0;
        for _ in 0..count {
            last = decoder.position();
            assert_eq!(decoder.datatype().unwrap(), Type::U8);
            decoder.skip().unwrap();
            decoder.skip().unwrap();
        }
        let mut fewer = payload[..last].to_vec();
        fewer[0] -= 1;
        // Only the expiry may be missing.
        assert_eq!(is_valid(&with(&fewer)), payload[last] == 6, "{}", HEXLOWER.encode(&fewer));
    }
}

#[test]
fn a_device_applies_what_was_signed_for_it() {
    const SERIAL: SlotId = SlotId(0x30);
    const ANCHOR0: SlotId = SlotId(0x20);
    const ANCHOR1: SlotId = SlotId(0x21);
    const IDEVID: SlotId = SlotId(0x00);
    const LDEVID: SlotId = SlotId(0x01);
    let desk = Desk::new();
    let ca = ThrowAwayCa::new(NOW);
    let mut scratch = vec![0; scratch_len(&STANDARD)];
    let sim = Sim::in_memory(Config::default());
    let mut device = Device::open(sim, STANDARD, &mut scratch).unwrap();
    for slot in [IDEVID, LDEVID] {
        device.generate(slot).unwrap();
        let chain = ca.issue(device.csr(slot, &Subject::default()).unwrap()).unwrap();
        device.install(slot, &chain, Some(NOW)).unwrap();
    }
    device.write(SERIAL, b"SN-1").unwrap();
    device.write(ANCHOR0, desk.anchor.certificate()).unwrap();
    device.lock().unwrap();
    desk.put("id", &device.instance_id().unwrap());
    let new = device.generate(LDEVID.pending()).unwrap();
    desk.put("chain.pem", &ca.certify(&new, "new"));
    desk.put("next.pem", pem(ThrowAwayAnchor::new("next", NOW, true).certificate()).as_bytes());

    let operations: [&[&str]; 6] = [
        &["write", "serial", "value"],
        &["install", "ldevid0", "chain.pem"],
        &["activate", "ldevid0"],
        &["add-anchor", "anchor1", "next.pem"],
        &["reset"],
        &["revoke-anchor", "anchor0"],
    ];
    for (sequence, operation) in (1..).zip(operations) {
        let sequence = sequence.to_string();
        let args = ["--device", "id", "--sequence", &sequence, "--out", "command"];
        exits(&desk.sign(&[&args, operation].concat()), 0, "");
        let command = fs::read(desk.path("command")).unwrap();
        let applied = device.update(&command).unwrap();
        assert_eq!((applied.sequence.to_string(), applied.already), (sequence, false));
        let again = device.update(&command).unwrap();
        assert_eq!(again, Applied { already: true, ..applied }, "{operation:?}");
        match operation[0] {
            "write" => assert_eq!(device.read(SERIAL), Ok(&b"SN-2"[..])),
            "install" => assert!(device.chain(LDEVID.pending()).is_ok()),
            "activate" => assert_eq!(device.public_key(LDEVID), Ok(new)),
            "add-anchor" => assert!(device.read(ANCHOR1).is_ok()),
            "reset" => assert_eq!(device.public_key(LDEVID), Err(Error::NotFound)),
            _ => assert_eq!(device.read(ANCHOR0), Err(Error::NotFound)),
        }
    }
}
