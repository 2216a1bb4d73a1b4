// SPDX-License-Identifier: Apache-2.0
//! CoRIMs, policies and attestation results from outside the program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const NONCE: &str = "c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4";

fn vector(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors").join(name)
}

/// Runs the program. Arguments of the form `@name` are vectors.
fn devid(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_devid"));
    for argument in arguments {
        match argument.strip_prefix('@') {
            Some(name) => command.arg(vector(name)),
            None => command.arg(argument),
        };
    }
    command.output().unwrap()
}

/// `devid verify` with the right challenge, and more arguments.
fn verify(arguments: &[&str]) -> Output {
    devid(&[&["verify", "--challenge", NONCE], arguments].concat())
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn check<'l>(line: &'l Value, name: &str) -> (&'l str, &'l str) {
    let checks = line["checks"].as_array().unwrap();
    let check = checks.iter().find(|entry| entry["check"] == name).unwrap();
    (check["result"].as_str().unwrap(), check["detail"].as_str().unwrap())
}

#[track_caller]
fn exits(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn takes_the_key_from_a_corim_for_the_instance_that_it_names() {
    for token in ["@token/psa1.cbor", "@token/psa2.cbor", "@token/rfc9783.cbor"] {
        exits(&verify(&["--corim", "@corim/keys.cbor", token]), 0);
    }
    exits(&verify(&["--corim", "@corim/keys.cbor", "@token/rfc9783-es384.cbor"]), 1);
    exits(&verify(&["--corim", "@corim/software.cbor", "@token/rfc9783.cbor"]), 1);
}

#[test]
fn compares_software_with_a_corim() {
    let software = |corim: &str| {
        let key = ["--key", "@token/iak.pem", "--json", "--corim", corim];
        let output = verify(&[&key[..], &["@token/rfc9783.cbor"]].concat());
        let line = lines(&output).remove(0);
        exits(&output, if line["verdict"] == "pass" { 0 } else { 1 });
        let (result, detail) = check(&line, "software");
        assert_eq!(result == "fail", line["verdict"] == "fail");
        (result.to_owned(), detail.to_owned())
    };
    assert_eq!(software("@corim/software.cbor").0, "pass");
    // Both components of the token measure the same, so a value of BL's is near.
    let another = "SPE: its measurement is another component's";
    assert_eq!(software("@corim/newer.cbor").1, another);
    assert_eq!(software("@corim/more.cbor").1, "NSPE: missing");
    assert_eq!(software("@corim/iot.cbor").1, another);
    assert_eq!(software("@corim/keys.cbor").0, "not-performed");
}

#[test]
fn refuses_corims_that_say_nothing_sound() {
    let other = std::env::temp_dir().join(format!("devid-other-{}.cbor", std::process::id()));
    // A CoRIM without a profile: 501({0: "x", 1: [505(h'')]})
    fs::write(&other, b"\xd9\x01\xf5\xa2\x00\x61x\x01\x81\xd9\x01\xf9\x40").unwrap();
    let other = other.to_str().unwrap();
    for corim in [
        "@corim/contradicting.cbor",
        "@corim/signed.cbor",
        "@corim/endorser.pem",
        "@corim/absent.cbor",
        other,
    ] {
        let output = verify(&["--key", "@token/iak.pem", "--corim", corim, "@token/rfc9783.cbor"]);
        exits(&output, 3);
        assert!(output.stdout.is_empty());
        assert!(!output.stderr.is_empty());
    }
    // Each alone is sound, but not together.
    let both = ["--corim", "@corim/software.cbor", "--corim", "@corim/contradicting.cbor"];
    exits(&verify(&[&both[..], &["@token/rfc9783.cbor"]].concat()), 3);
    exits(&devid(&["corim", "verify", other]), 0);
    fs::remove_file(other).unwrap();
}

#[test]
fn wants_corims_signed_once_a_signer_is_named() {
    let verify = |corim: &str, signer: &str| {
        let key = ["--key", "@token/iak.pem", "--corim", corim, "--corim-key", signer];
        verify(&[&key[..], &["@token/rfc9783.cbor"]].concat())
    };
    exits(&verify("@corim/signed.cbor", "@corim/endorser.pem"), 0);
    exits(&verify("@corim/software.cbor", "@corim/endorser.pem"), 3);
    exits(&verify("@corim/signed.cbor", "@token/iak.pem"), 3);
    exits(&verify("@corim/expired.cbor", "@corim/endorser.pem"), 3);
    exits(&self::verify(&["--corim-key", "@corim/endorser.pem", "@token/rfc9783.cbor"]), 2);
}

#[test]
fn corim_verify_says_what_holds_and_exits_so() {
    let output = devid(&[
        "corim",
        "verify",
        "--json",
        "@corim/software.cbor",
        "@corim/keys.cbor",
        "@corim/iot.cbor",
    ]);
    exits(&output, 0);
    let lines = lines(&output);
    assert_eq!(lines[0]["reference-values"], 2);
    assert_eq!(lines[1]["keys"], 2);
    assert_eq!(lines[2]["profile"], "http://arm.com/psa/iot/1");
    assert_eq!(check(&lines[0], "signature").0, "not-performed");
    assert!(lines[0].get("error").is_none());

    let signed = |arguments: &[&str]| devid(&[&["corim", "verify"], arguments].concat());
    exits(&signed(&["--key", "@corim/endorser.pem", "@corim/signed.cbor"]), 0);
    exits(&signed(&["@corim/signed.cbor"]), 1);
    exits(&signed(&["--key", "@token/iak.pem", "@corim/signed.cbor"]), 1);
    exits(&signed(&["--key", "@corim/endorser.pem", "@corim/software.cbor"]), 1);
    exits(&signed(&["--key", "@corim/endorser.pem", "@corim/expired.cbor"]), 1);
    let then = ["--key", "@corim/endorser.pem", "--at", "1500", "@corim/expired.cbor"];
    exits(&signed(&then), 0);
    exits(&signed(&["@corim/contradicting.cbor", "@corim/software.cbor"]), 1);
    exits(&signed(&["@corim/contradicting.cbor", "@corim/absent.cbor"]), 3);
    exits(&signed(&["--key", "@corim/absent.pem", "@corim/software.cbor"]), 3);
    exits(&signed(&[]), 2);
}

#[test]
fn applies_a_policy() {
    let strict = ["--policy", "@policy/strict.toml", "--key", "@token/iak.pem", "--json"];
    let with = |more: &[&str]| {
        let output = verify(&[&strict[..], more].concat());
        (output.status.code().unwrap(), lines(&output).remove(0))
    };
    let (code, line) = with(&["--corim", "@corim/software.cbor", "@token/rfc9783.cbor"]);
    assert_eq!((code, line["verdict"].as_str()), (0, Some("pass")));
    for name in ["lifecycle", "client-id", "software"] {
        assert_eq!(check(&line, name).0, "pass");
    }
    let (code, line) = with(&["@token/rfc9783.cbor"]);
    assert_eq!((code, check(&line, "software").0), (1, "fail"));
    let (code, line) = with(&["--corim", "@corim/software.cbor", "@token/psa2.cbor"]);
    assert_eq!((code, check(&line, "profile").0), (1, "fail"));

    for policy in ["@policy/absent.toml", "@token/iak.pem", "@token/rfc9783.cbor"] {
        let output = verify(&["--policy", policy, "--key", "@token/iak.pem", "@token/psa1.cbor"]);
        exits(&output, 3);
        assert!(output.stdout.is_empty());
    }
}

/// It is verified without reference values.
const WITHOUT_CORIM: &str = "@token/psa2.cbor";

#[test]
fn issues_results_for_as_long_as_was_said_and_with_the_key_vouched_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ear");
    let options = ["--ear", "jwt", "--ear-key", "@ear/verifier-private.pem"];
    let lifetime = ["--ear-lifetime", "5", "--key", "@token/iak.pem"];
    for more in
        [&["@bound/request.der"][..], &["--bound-key", "@bound/ldevid.pem", "@bound/bound.cbor"]]
    {
        let output = verify(&[&options[..], &lifetime, more].concat());
        exits(&output, 0);
        fs::write(&path, &output.stdout).unwrap();
        let (key, path) = (["--key", "@ear/verifier.pem", "--json"], path.to_str().unwrap());
        let output =
            devid(&[&["ear", "verify", "--require", "warning"], &key[..], &[path]].concat());
        exits(&output, 0);
        let line = &lines(&output)[0];
        let key = line["vouched-keys"]["PSA"].as_str().unwrap();
        assert!(key.starts_with("3059301306072a8648ce3d0201"), "{key}");
        let lifetime = line["expires-at"].as_i64().unwrap() - line["issued-at"].as_i64().unwrap();
        assert_eq!(lifetime, 5);
    }
}

#[test]
fn issues_results_that_it_verifies_itself() {
    let folder = tempfile::tempdir().unwrap();
    let ear = |form: &str, names: &str, token: &str| {
        let options = ["--ear", form, "--ear-key", "@ear/verifier-private.pem"];
        let software = ["--corim", "@corim/software.cbor"];
        let options = [&options[..], if token == WITHOUT_CORIM { &[] } else { &software }].concat();
        let rest = ["--ear-names", names, "--key", "@token/iak.pem", token];
        let output = verify(&[&options[..], &rest].concat());
        let path = folder.path().join(format!("{form}-{names}"));
        fs::write(&path, &output.stdout).unwrap();
        (output.status.code().unwrap(), path)
    };
    for (form, names) in
        [("jwt", "draft"), ("jwt", "veraison"), ("cwt", "draft"), ("cwt", "veraison")]
    {
        for (token, code, status, [affirming, warning]) in [
            ("@token/rfc9783.cbor", 0, "affirming", [0, 0]),
            (WITHOUT_CORIM, 0, "warning", [1, 0]),
            ("@token/rfc9783-forged.cbor", 1, "contraindicated", [1, 1]),
            ("@token/root.pem", 1, "contraindicated", [1, 1]),
        ] {
            let (exit, path) = ear(form, names, token);
            assert_eq!(exit, code);
            let path = path.to_str().unwrap();
            let verify = |more: &[&str]| {
                let key = ["ear", "verify", "--json", "--key", "@ear/verifier.pem", path];
                devid(&[&key[..], more].concat())
            };
            let output = verify(&["--require", "any"]);
            exits(&output, 0);
            let line = &lines(&output)[0];
            assert_eq!(line["status"], status, "{form} {names} {token}");
            assert_eq!(line["nonce"], NONCE);
            let lifetime =
                line["expires-at"].as_i64().unwrap() - line["issued-at"].as_i64().unwrap();
            assert_eq!(lifetime, 3600);
            exits(&verify(&[]), affirming);
            exits(&verify(&["--require", "affirming"]), affirming);
            exits(&verify(&["--require", "warning"]), warning);
            exits(&verify(&["--require", "any", "--nonce", NONCE, "--max-age", "600"]), 0);
            exits(&verify(&["--require", "any", "--nonce", &NONCE.replace('c', "d")]), 1);
            exits(&verify(&["--require", "any", "--audience", "us"]), 1);
            exits(&devid(&["ear", "verify", "--key", "@token/iak.pem", path]), 1);
        }
    }
    // No result for what could not be read.
    let (code, path) = ear("jwt", "draft", "@token/absent.cbor");
    assert_eq!((code, fs::read(path).unwrap()), (3, vec![]));
}

#[test]
fn refuses_keys_that_cannot_sign_results() {
    let with = |more: &[&str]| verify(&[&["--key", "@token/iak.pem"], more].concat());
    for key in ["@ear/verifier.pem", "@token/rfc9783.cbor", "@ear/absent.pem"] {
        let output = with(&["--ear", "jwt", "--ear-key", key, "@token/rfc9783.cbor"]);
        exits(&output, 3);
        assert!(output.stdout.is_empty());
    }
    exits(&with(&["--ear", "jwt", "@token/rfc9783.cbor"]), 2);
    exits(&with(&["--ear-key", "@ear/verifier-private.pem", "@token/rfc9783.cbor"]), 2);
    let both = ["--json", "--ear", "jwt", "--ear-key", "@ear/verifier-private.pem"];
    exits(&with(&[&both[..], &["@token/rfc9783.cbor"]].concat()), 2);
}

#[test]
fn ear_verify_says_what_holds_and_exits_so() {
    let key = ["ear", "verify", "--key", "@ear/verifier.pem"];
    let with = |more: &[&str]| devid(&[&key[..], more].concat());
    let output = with(&["--json", "@ear/good.jwt", "@ear/good.cwt", "@ear/veraison.jwt"]);
    exits(&output, 0);
    for line in lines(&output) {
        assert_eq!(line["status"], "affirming");
        assert_eq!(check(&line, "signature").0, "pass");
    }
    exits(&with(&["@ear/good.jwt", "@ear/expired.jwt"]), 1);
    exits(&with(&["--at", "2026-11-01", "@ear/expired.jwt"]), 0);
    exits(&with(&["@ear/verifier.pem"]), 1);
    exits(&with(&["@ear/verifier.pem", "@ear/absent.jwt"]), 3);
    exits(&devid(&["ear", "verify", "@ear/good.jwt"]), 1);
    exits(&with(&[]), 2);
}
