// SPDX-License-Identifier: Apache-2.0
//! The program from outside: what it prints where, and how it exits.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use devid_verifier::keys::PublicKey;
use serde_json::Value;

const NONCE: &str = "c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4";

fn vector(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/token").join(name)
}

fn devid() -> Command {
    Command::new(env!("CARGO_BIN_EXE_devid"))
}

/// `devid verify` with a key of the vectors and the right challenge.
fn verify(options: &[&str], files: &[PathBuf]) -> Output {
    let mut command = devid();
    command.args(["verify", "--challenge", NONCE, "--key"]).arg(vector("iak.pem"));
    command.args(options).args(files).output().unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn result<'l>(line: &'l Value, check: &str) -> &'l str {
    let checks = line["checks"].as_array().unwrap();
    checks.iter().find(|entry| entry["check"] == check).unwrap()["result"].as_str().unwrap()
}

#[track_caller]
fn exits(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn passes_what_the_key_signed_and_prints_an_object_a_line() {
    let files = ["psa1.cbor", "psa2.cbor", "rfc9783.cbor", "rfc9783-kid.cbor"].map(vector);
    let output = verify(&["--json"], &files);
    exits(&output, 0);
    assert!(output.stderr.is_empty());
    let lines = lines(&output);
    assert_eq!(lines.len(), files.len());
    for (line, file) in lines.iter().zip(&files) {
        assert_eq!(line["file"], file.to_str().unwrap());
        assert_eq!(line["verdict"], "pass");
        let names: Vec<_> = line["checks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|check| check["check"].as_str().unwrap())
            .collect();
        let expected = [
            "decode",
            "profile",
            "claims",
            "signature",
            "challenge",
            "instance-id",
            "certificate-path",
            "lifecycle",
            "client-id",
            "software",
            "development-key",
            "binding",
            "nonce-reuse",
        ];
        assert_eq!(names, expected);
        assert_eq!(line["claims"]["nonce"], NONCE);
        assert_eq!(line["claims"]["client-id"], -1);
        assert_eq!(line["claims"]["security-lifecycle"]["state"], "secured");
        assert_eq!(line["claims"]["software-components"][1]["measurement-type"], "SPE");
    }
    let profiles: Vec<_> = lines.iter().map(|line| line["profile"].as_str().unwrap()).collect();
    assert_eq!(
        profiles[..3],
        ["PSA_IOT_PROFILE_1", "http://arm.com/psa/2.0.0", "tag:psacertified.org,2023:psa#tfm"]
    );
}

#[test]
fn verifies_other_algorithms_and_symmetric_keys() {
    for (file, option, key) in [
        ("rfc9783-es384.cbor", "--key", "iak-es384.pem"),
        ("rfc9783-es512.cbor", "--key", "iak-es512.pem"),
        ("rfc9783-mac0.cbor", "--hmac-key", "iak.hmac"),
        ("rfc9783.cbor", "--key", "leaf.pem"),
    ] {
        let mut command = devid();
        command.args(["verify", "--challenge", NONCE, option]).arg(vector(key));
        exits(&command.arg(vector(file)).output().unwrap(), 0);
    }
}

#[test]
fn verifies_by_x5chain_at_a_time() {
    let at = |time: &[&str]| {
        let mut command = devid();
        command.args(["verify", "--json", "--challenge", NONCE, "--trust-anchor"]);
        command.arg(vector("root.pem")).args(time).arg(vector("rfc9783-x5chain.cbor"));
        command.output().unwrap()
    };
    for time in ["2026-11-23", "2026-11-23T12:00:00Z", "1795392000"] {
        let output = at(&["--at", time]);
        exits(&output, 0);
        assert_eq!(result(&lines(&output)[0], "certificate-path"), "pass");
    }
    exits(&at(&[]), 0);
    let early = at(&["--at", "2019-12-31T23:59:59Z"]);
    exits(&early, 1);
    assert_eq!(result(&lines(&early)[0], "certificate-path"), "fail");
    assert_eq!(result(&lines(&early)[0], "signature"), "fail");
    for time in ["yesterday", "2026-13-01", "2026-11-23T12:00:00", "20261123", "-5", ""] {
        exits(&at(&["--at", time]), 2);
    }
}

#[test]
fn takes_an_attestation_key_for_one_and_no_identity() {
    let run = |options: &[&str], file: &str| {
        let mut command = devid();
        command.args(["verify", "--json", "--challenge", NONCE]);
        for option in options {
            command.arg(option).arg(vector("root.pem"));
        }
        let output = command.arg(vector(file)).output().unwrap();
        let passed = output.status.code() == Some(0);
        exits(&output, if passed { 0 } else { 1 });
        assert_eq!(result(&lines(&output)[0], "certificate-path") == "pass", passed);
        passed
    };
    let (any, attestation) = ("--trust-anchor", "--attestation-anchor");
    for (file, expected) in [
        ("rfc9783-x5chain.cbor", [true, true, true]),
        ("rfc9783-x5chain-silent.cbor", [false, true, false]),
        ("rfc9783-x5chain-identity.cbor", [false; 3]),
    ] {
        let passed = [&[any][..], &[attestation], &[any, attestation]].map(|o| run(o, file));
        assert_eq!(passed, expected, "{file}");
    }
    // An identity's certificate is no key for tokens either.
    let mut command = devid();
    command.args(["verify", "--json", "--challenge", NONCE, "--key"]);
    command.arg(vector("leaf-identity.pem")).arg(vector("rfc9783.cbor"));
    let output = command.output().unwrap();
    exits(&output, 1);
    assert_eq!(result(&lines(&output)[0], "signature"), "fail");
}

#[test]
fn fails_closed_without_trust_or_challenge() {
    let output = devid().args(["verify", "--json"]).arg(vector("rfc9783.cbor")).output().unwrap();
    exits(&output, 1);
    let line = &lines(&output)[0];
    assert_eq!(result(line, "signature"), "fail");
    assert_eq!(result(line, "challenge"), "fail");
    assert_eq!(result(line, "decode"), "pass");

    let any = verify(&["--json"], &[]);
    exits(&any, 2);
    let mut command = devid();
    command.args(["verify", "--json", "--challenge", "any", "--key"]).arg(vector("iak.pem"));
    let output = command.arg(vector("rfc9783.cbor")).output().unwrap();
    exits(&output, 0);
    assert_eq!(result(&lines(&output)[0], "challenge"), "not-performed");
}

#[test]
fn passes_only_a_secured_device_unless_told() {
    let run = |options: &[&str]| {
        let mut command = devid();
        command.args(["verify", "--json", "--challenge", NONCE, "--key"]).arg(vector("iak.pem"));
        command.args(options).arg(vector("rfc9783-debug.cbor")).output().unwrap()
    };
    let output = run(&[]);
    exits(&output, 1);
    assert_eq!(result(&lines(&output)[0], "lifecycle"), "fail");
    exits(&run(&["--allow-lifecycle", "assembly-and-test"]), 1);
    let output = run(&["--allow-lifecycle", "non-psa-rot-debug"]);
    exits(&output, 0);
    assert_eq!(result(&lines(&output)[0], "lifecycle"), "pass");
    for states in ["debug", "0x4000", "", "non-psa-rot-debug,unknown"] {
        exits(&run(&["--allow-lifecycle", states]), 2);
    }
    let policy = vector("../policy/strict.toml");
    let both = ["--allow-lifecycle", "non-psa-rot-debug", "--policy", policy.to_str().unwrap()];
    exits(&run(&both), 2);
}

#[test]
fn names_development_keys() {
    let run = |options: &[&str]| {
        let mut command = devid();
        command.args(["verify", "--json", "--challenge", NONCE, "--key"]);
        command.arg(vector("simulator.pem")).args(options).arg(vector("rfc9783-simulator.cbor"));
        command.output().unwrap()
    };
    let output = run(&[]);
    exits(&output, 1);
    assert_eq!(result(&lines(&output)[0], "development-key"), "fail");
    exits(&run(&["--allow-development-key"]), 0);
}

#[test]
fn one_bad_file_fails_the_run_and_an_unreadable_one_outranks_it() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    fs::write(&empty, b"").unwrap();
    let missing = folder.path().join("missing");
    let (good, forged) = (vector("rfc9783.cbor"), vector("rfc9783-forged.cbor"));

    exits(&verify(&[], &[good.clone(), forged.clone()]), 1);
    exits(&verify(&[], &[good.clone(), empty.clone()]), 1);
    for files in [[good.clone(), missing.clone()], [missing.clone(), forged.clone()]] {
        exits(&verify(&[], &files), 3);
    }
    // A directory stands for its files; one without is a mistake.
    exits(&verify(&[], &[folder.path().to_owned()]), 1);
    let nothing = tempfile::tempdir().unwrap();
    exits(&verify(&[], &[nothing.path().to_owned()]), 3);

    let output = verify(&["--json"], &[missing.clone(), forged, empty, good]);
    exits(&output, 3);
    let lines = lines(&output);
    let verdicts: Vec<_> = lines.iter().map(|line| line["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["fail", "fail", "fail", "pass"]);
    assert!(lines[0]["error"].as_str().unwrap().contains("could not be read"));
    assert_eq!(result(&lines[1], "signature"), "fail");
    assert_eq!(result(&lines[2], "decode"), "fail");
    assert!(lines[1].get("error").is_none());

    let text = verify(&[], &[missing]);
    assert!(String::from_utf8_lossy(&text.stdout).contains("could not be read"));
}

#[test]
fn wrong_usage_exits_with_2_and_a_bad_key_file_with_3() {
    exits(&devid().output().unwrap(), 2);
    exits(&devid().arg("verify").output().unwrap(), 2);
    exits(&verify(&["--no-such-option"], &[vector("rfc9783.cbor")]), 2);
    for challenge in ["", "c", "xyz", "0x00", "c4 c4", "ANY"] {
        let mut command = devid();
        command.args(["verify", "--challenge", challenge]).arg(vector("rfc9783.cbor"));
        exits(&command.output().unwrap(), 2);
    }
    let file = vector("rfc9783.cbor");
    for (option, key) in [
        ("--key", "rfc9783.cbor"),
        ("--key", "none"),
        ("--hmac-key", "iak.pem"),
        ("--trust-anchor", "iak.pem"),
    ] {
        let mut command = devid();
        command.args(["verify", option]).arg(vector(key)).arg(&file);
        let output = command.output().unwrap();
        exits(&output, 3);
        assert!(output.stdout.is_empty());
        assert!(String::from_utf8_lossy(&output.stderr).contains(key));
    }
}

#[test]
fn takes_the_keys_of_a_directory_and_nothing_else_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    fs::create_dir(&keys).unwrap();
    let run = |option: &str| {
        let mut command = devid();
        command.args(["verify", "--challenge", NONCE, option]).arg(&keys);
        command.args(["rfc9783.cbor", "rfc9783-es384.cbor"].map(vector)).output().unwrap()
    };
    exits(&run("--key"), 3);
    fs::copy(vector("iak.pem"), keys.join("a.pem")).unwrap();
    exits(&run("--key"), 1);
    fs::copy(vector("iak-es384.pem"), keys.join("b.pem")).unwrap();
    exits(&run("--key"), 0);
    exits(&run("--hmac-key"), 3);
    fs::write(keys.join("c.txt"), "no key").unwrap();
    let output = run("--key");
    exits(&output, 3);
    assert!(String::from_utf8_lossy(&output.stderr).contains("c.txt: "));
}

#[test]
fn takes_no_public_value_at_hand_for_a_symmetric_key() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    let run = |options: &[(&str, &str)]| {
        let mut command = devid();
        command.args(["verify", "--challenge", NONCE, "--hmac-key"]).arg(&secret);
        for (option, file) in options {
            command.arg(option).arg(vector(file));
        }
        command.arg(vector("rfc9783.cbor")).output().unwrap()
    };
    for (option, file) in [("--key", "iak.pem"), ("--trust-anchor", "root.pem")] {
        let keys = PublicKey::read_all(&fs::read(vector(file)).unwrap()).unwrap();
        // The SubjectPublicKeyInfo ends in X and Y.
        let spki = keys[0].spki();
        let (_, x_and_y) = spki.split_at(spki.len() - 64);
        fs::write(&secret, &x_and_y[..32]).unwrap();
        let output = run(&[(option, file)]);
        exits(&output, 3);
        assert!(String::from_utf8_lossy(&output.stderr).contains("secret: this is public"));
        exits(&run(&[]), 1);
        fs::write(&secret, x_and_y).unwrap();
        exits(&run(&[]), 3);
    }
}

#[test]
fn takes_no_empty_file_for_a_key_or_a_list() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    fs::write(&empty, b"").unwrap();
    for option in ["--key", "--hmac-key", "--trust-anchor", "--crl", "--corim"] {
        let mut command = devid();
        command.args(["verify", option]).arg(&empty).arg(vector("rfc9783.cbor"));
        let output = command.output().unwrap();
        exits(&output, 3);
        assert!(String::from_utf8_lossy(&output.stderr).contains("empty: "), "{option}");
    }
    for command in [&["corim", "verify"][..], &["ear", "verify"], &["token", "show"]] {
        exits(&devid().args(command).arg(&empty).output().unwrap(), 1);
    }
}

#[test]
fn reads_standard_input() {
    let mut command = devid();
    command.args(["verify", "--json", "--challenge", NONCE, "--key"]).arg(vector("iak.pem"));
    let mut child = command.arg("-").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&fs::read(vector("psa1.cbor")).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    exits(&output, 0);
    assert_eq!(lines(&output)[0]["file"], "-");
}

#[test]
fn shows_a_token_without_verifying_it() {
    let show = |path: PathBuf| devid().args(["token", "show"]).arg(path).output().unwrap();
    let output = show(vector("rfc9783-forged.cbor"));
    exits(&output, 0);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("COSE_Sign1, ES256, not verified\n"));
    assert!(text.contains(NONCE) && text.contains("0x3000 (secured)"));
    exits(&show(vector("iak.pem")), 1);
    exits(&show(vector("none")), 3);
}

#[test]
fn recovers_the_key_of_a_token() {
    let key = |name: &str| devid().args(["token", "key"]).arg(vector(name)).output().unwrap();
    for name in ["psa1.cbor", "rfc9783.cbor"] {
        let output = key(name);
        exits(&output, 0);
        assert_eq!(output.stdout, fs::read(vector("iak.pem")).unwrap());
    }
    for name in ["rfc9783-forged.cbor", "rfc9783-mac0.cbor", "rfc9783-es384.cbor", "iak.pem"] {
        let output = key(name);
        exits(&output, 1);
        assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    }
    exits(&key("none"), 3);
}

#[test]
fn escapes_what_a_device_wrote() {
    // The verification service's text, replaced by one of the same length.
    let mut token = fs::read(vector("rfc9783.cbor")).unwrap();
    let at = token.windows(16).position(|window| window == b"verifier.example").unwrap();
    token[at..at + 16].copy_from_slice("\x1b[2J\u{202e}\n\"evil\"\\\x07".as_bytes());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("to\nken");
    fs::write(&path, token).unwrap();

    let output = devid().args(["token", "show"]).arg(&path).output().unwrap();
    exits(&output, 0);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(r#"\u{1b}[2J\u{202e}\n"evil"\\\u{7}"#), "{text}");
    let output = verify(&[], &[path]);
    exits(&output, 1);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().next().unwrap().ends_with(r"to\nken: fail"), "{text}");
    assert!(!text.contains('\x1b'));
}

#[test]
fn help_documents_the_exit_codes() {
    for command in [&["verify", "--help"][..], &["token", "show", "--help"]] {
        let output = devid().args(command).output().unwrap();
        exits(&output, 0);
        assert!(String::from_utf8_lossy(&output.stdout).contains("Exit status:"));
    }
}

#[test]
fn verifies_what_vouches_for_a_key() {
    let bound = |name: &str| Path::new("../bound").join(name);
    let [key, token, der, pem, bare] =
        ["ldevid.pem", "bound.cbor", "request.der", "request.pem", "bare.der"]
            .map(|name| vector(bound(name).to_str().unwrap()));
    let for_key = ["--json", "--bound-key", key.to_str().unwrap()];
    let output = verify(&for_key, &[token.clone(), der.clone()]);
    exits(&output, 0);
    assert!(lines(&output).iter().all(|line| result(line, "binding") == "pass"));
    // A request names its key by itself; a token does not.
    let output = verify(&["--json"], &[der, pem]);
    exits(&output, 0);
    let requested = lines(&output)[0]["requested_key"].as_str().unwrap().to_owned();
    assert!(requested.starts_with("3059301306072a8648ce3d0201"), "{requested}");
    exits(&verify(&[], std::slice::from_ref(&token)), 1);

    let output = verify(&["--json"], &[bare]);
    exits(&output, 1);
    assert_eq!(result(&lines(&output)[0], "decode"), "fail");
    let other = vector("iak.pem");
    let output = verify(&["--json", "--bound-key", other.to_str().unwrap()], &[token]);
    exits(&output, 1);
    assert_eq!(result(&lines(&output)[0], "binding"), "fail");
}

#[test]
fn a_key_is_bound_under_a_challenge_alone() {
    let (key, token) = (vector("iak.pem"), vector("rfc9783.cbor"));
    let run = |challenge: &[&str], key: &Path| {
        let mut command = devid();
        command.arg("verify").args(challenge).arg("--bound-key").arg(key);
        command.arg(&token).output().unwrap()
    };
    exits(&run(&[], &key), 2);
    let any = run(&["--challenge", "any"], &key);
    exits(&any, 2);
    assert!(String::from_utf8_lossy(&any.stderr).contains("needs the challenge that was sent"));
    exits(&run(&["--challenge", NONCE], &vector("iak.hmac")), 3);
    let short = run(&["--challenge", "c0ffee"], &key);
    exits(&short, 2);
    assert!(String::from_utf8_lossy(&short.stderr).contains("32, 48 or 64 bytes"));
    // A challenge of the form that vouches for a key is none, with a key or without.
    let prefix: String = b"devid-bound-key2".iter().map(|byte| format!("{byte:02x}")).collect();
    let bound = format!("{prefix}{}", "00".repeat(32));
    exits(&run(&["--challenge", &bound], &key), 2);
    let plain = devid().args(["verify", "--challenge", &bound]).arg(&token).output().unwrap();
    exits(&plain, 2);
    assert!(String::from_utf8_lossy(&plain.stderr).contains("vouch for keys"));

    let folder = tempfile::tempdir().unwrap();
    let two = folder.path().join("two.pem");
    let keys = [fs::read(&key).unwrap(), fs::read(vector("leaf.pem")).unwrap()];
    fs::write(&two, keys.concat()).unwrap();
    let output = run(&["--challenge", NONCE], &two);
    exits(&output, 3);
    assert!(String::from_utf8_lossy(&output.stderr).contains("2 keys where one is wanted"));
}
