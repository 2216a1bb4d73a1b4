// SPDX-License-Identifier: Apache-2.0
//! What TF-M signed in QEMU, verified by the program.

use std::path::Path;
use std::process::{Command, Output};

const CHALLENGE: &str = "c0ffee0000000000000000000000000000000000000000000000000000000001";

fn verify(args: &[&str]) -> (i32, String) {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/an521");
    let Output { status, stdout, .. } = Command::new(env!("CARGO_BIN_EXE_devid"))
        .args(["verify", "--at", "2026-12-01T00:00:00Z"])
        .args(args)
        .current_dir(vectors)
        .output()
        .expect("the program runs");
    (status.code().expect("it exits"), String::from_utf8(stdout).expect("it prints text"))
}

#[test]
fn accepts_evidence_by_its_chain_once_the_dummy_key_is_allowed() {
    let args = ["--attestation-anchor", "root.der", "--challenge", CHALLENGE, "evidence.cbor"];
    let (exit, printed) = verify(&[&["--allow-development-key"], &args[..]].concat());
    assert_eq!(exit, 0, "{printed}");
    assert!(printed.starts_with("evidence.cbor: pass"), "{printed}");

    let (exit, printed) = verify(&args);
    assert_eq!(exit, 1, "{printed}");
    assert!(printed.contains("TF-M's dummy IAK"), "{printed}");
}

/// The CA certified identities too, and gave no certificate an extKeyUsage.
#[test]
fn refuses_a_leaf_without_purpose_under_a_ca_of_other_keys() {
    for anchors in [
        &["--trust-anchor", "root.der"][..],
        &["--attestation-anchor", "root.der", "--trust-anchor", "root.der"],
    ] {
        let args = ["--allow-development-key", "--challenge", CHALLENGE, "evidence.cbor"];
        let (exit, printed) = verify(&[anchors, &args[..]].concat());
        assert_eq!(exit, 1, "{printed}");
        assert!(printed.contains("has no extKeyUsage that names attestation keys"), "{printed}");
    }
}

#[test]
fn accepts_the_token_by_the_exported_key() {
    let args = ["--allow-development-key", "--key", "iak.der", "token.cbor", "--challenge"];
    assert_eq!(verify(&[&args[..], &[CHALLENGE]].concat()).0, 0);
    let other = CHALLENGE.replace('f', "e");
    assert_eq!(verify(&[&args[..], &[&other]].concat()).0, 1);
}

/// They were made by version 1 of bound evidence, whose nonce a plain challenge
/// could be.
#[test]
fn refuses_evidence_bound_by_version_1() {
    let args = ["--allow-development-key", "--attestation-anchor", "root.der", "--challenge"];
    for (challenge, file) in [("02", &["request.der"][..]), ("03", &["bound.cbor"])] {
        let challenge = CHALLENGE.replace("01", challenge);
        let key: &[&str] =
            if file == ["bound.cbor"] { &["--bound-key", "ldevid.der"] } else { &[] };
        let (exit, printed) = verify(&[&args[..], &[&challenge], key, file].concat());
        assert_eq!(exit, 1, "{printed}");
        let reason = "the nonce has not the form of those that vouch for a key";
        assert!(printed.contains(reason), "{printed}");
    }
}
