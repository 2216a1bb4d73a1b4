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
    let args = ["--trust-anchor", "root.der", "--challenge", CHALLENGE, "evidence.cbor"];
    let (exit, printed) = verify(&[&["--allow-development-key"], &args[..]].concat());
    assert_eq!(exit, 0, "{printed}");
    assert!(printed.starts_with("evidence.cbor: pass"), "{printed}");

    let (exit, printed) = verify(&args);
    assert_eq!(exit, 1, "{printed}");
    assert!(printed.contains("TF-M's dummy IAK"), "{printed}");
}

#[test]
fn accepts_the_token_by_the_exported_key() {
    let args = ["--allow-development-key", "--key", "iak.der", "token.cbor", "--challenge"];
    assert_eq!(verify(&[&args[..], &[CHALLENGE]].concat()).0, 0);
    let other = CHALLENGE.replace('f', "e");
    assert_eq!(verify(&[&args[..], &[&other]].concat()).0, 1);
}

#[test]
fn accepts_evidence_that_vouches_for_the_rotated_key() {
    let args = ["--allow-development-key", "--trust-anchor", "root.der", "bound.cbor"];
    let challenge = CHALLENGE.replace("01", "03");
    let bound =
        |key: &str| verify(&[&args[..], &["--challenge", &challenge, "--bound-key", key]].concat());
    assert_eq!(bound("ldevid.der").0, 0);
    assert_eq!(bound("iak.der").0, 1);
    let (exit, printed) = verify(&[&args[..], &["--challenge", &challenge]].concat());
    assert_eq!(exit, 1, "{printed}");
}

#[test]
fn accepts_the_request_that_the_rotated_key_signed() {
    let args = ["--allow-development-key", "--trust-anchor", "root.der", "request.der"];
    let challenge = CHALLENGE.replace("01", "02");
    assert_eq!(verify(&[&args[..], &["--challenge", &challenge]].concat()).0, 0);
    assert_eq!(verify(&[&args[..], &["--challenge", CHALLENGE]].concat()).0, 1);
}
