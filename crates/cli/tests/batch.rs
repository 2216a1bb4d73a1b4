// SPDX-License-Identifier: Apache-2.0
//! Many tokens at once: directories, streams, wrappers, nonces used twice.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn vector(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/token").join(name)
}

fn token(name: &str) -> Vec<u8> {
    fs::read(vector(name)).unwrap()
}

fn verify(options: &[&str], file: &Path) -> (i32, Vec<Value>) {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_devid"))
        .args(["verify", "--json", "--challenge", "any", "--key"])
        .arg(vector("iak.pem"))
        .args(options)
        .arg(file)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (output.status.code().unwrap(), lines)
}

fn result<'l>(line: &'l Value, check: &str) -> &'l str {
    let checks = line["checks"].as_array().unwrap();
    checks.iter().find(|entry| entry["check"] == check).unwrap()["result"].as_str().unwrap()
}

/// A CBOR head, preferred or not, as streams and wrappers have it.
fn head(major: u8, length: usize) -> Vec<u8> {
    [&[major << 5 | 26][..], &(length as u32).to_be_bytes()].concat()
}

#[test]
fn verifies_the_files_of_a_directory_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("0500.inner");
    fs::create_dir(&inner).unwrap();
    for n in 0..1500 {
        let name = if n % 100 == 50 { "rfc9783-forged.cbor" } else { "rfc9783.cbor" };
        fs::write(folder.path().join(format!("{n:04}.cbor")), token(name)).unwrap();
    }
    fs::write(inner.join("inner.cbor"), token("psa1.cbor")).unwrap();
    let (code, lines) = verify(&[], folder.path());
    assert_eq!((code, lines.len()), (1, 1501));
    let names: Vec<_> = lines.iter().map(|line| line["file"].as_str().unwrap()).collect();
    assert!(names.is_sorted(), "not in order");
    assert_eq!(lines.iter().filter(|line| line["verdict"] == "fail").count(), 15);
    assert!(names[501].ends_with("inner.cbor"));
}

/// As somebody whom permissions bind, even where root runs the tests.
fn verify_as_nobody(directory: &Path) -> Option<Output> {
    use std::os::unix::fs::PermissionsExt;
    let locked = directory.join("locked");
    fs::create_dir(&locked).unwrap();
    fs::write(locked.join("token.cbor"), token("rfc9783.cbor")).unwrap();
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    let mut command = match fs::read_dir(&locked) {
        Err(_) => Command::new(env!("CARGO_BIN_EXE_devid")),
        Ok(_) => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
            command.arg(env!("CARGO_BIN_EXE_devid"));
            command
        }
    };
    let output = command.args(["verify", "--json", "--challenge", "any"]).arg(directory).output();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o755)).unwrap();
    // setpriv exits with 126 or 127 where the program cannot be run.
    output.ok().filter(|output| !matches!(output.status.code(), Some(126 | 127)))
}

#[test]
fn says_which_directory_it_could_not_read() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("token.cbor"), token("rfc9783.cbor")).unwrap();
    let Some(output) = verify_as_nobody(folder.path()) else {
        eprintln!("SKIPPED: root can read everything, and cannot run the program as another");
        return;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((output.status.code(), lines.len()), (Some(3), 2), "{text}");
    assert!(lines[0]["file"].as_str().unwrap().ends_with("locked"));
    assert!(lines[0]["error"].as_str().unwrap().contains("could not be read"));
    assert!(lines[1].get("error").is_none());
}

#[test]
fn verifies_a_stream_and_says_where_it_breaks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.cbor-seq");
    let mut stream = Vec::new();
    for name in ["rfc9783.cbor", "rfc9783-forged.cbor", "psa2.cbor"] {
        stream.extend(head(2, token(name).len()));
        stream.extend(token(name));
    }
    fs::write(&path, &stream).unwrap();
    let (code, lines) = verify(&["--stream"], &path);
    let verdicts: Vec<_> = lines.iter().map(|line| line["verdict"].as_str().unwrap()).collect();
    assert_eq!((code, verdicts), (1, vec!["pass", "fail", "pass"]));
    assert!(lines[2]["file"].as_str().unwrap().ends_with("tokens.cbor-seq#2"));

    fs::write(&path, &stream[..stream.len() - 1]).unwrap();
    let (code, lines) = verify(&["--stream"], &path);
    assert_eq!((code, lines.len()), (1, 3));
    assert_eq!(result(&lines[2], "decode"), "fail");
    assert_eq!(verify(&["--stream"], &folder.path().join("missing")).0, 3);
    fs::write(&path, []).unwrap();
    let (code, lines) = verify(&["--stream"], &path);
    assert_eq!((code, result(&lines[0], "decode")), (1, "fail"));
}

#[test]
fn takes_json_wrappers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evidence.json");
    let encoded = data_encoding::BASE64URL_NOPAD.encode(&token("rfc9783.cbor"));
    let cases = [
        (format!(r#"["application/eat+cwt", "{encoded}"]"#), 0),
        (format!(r#" {{"a": [263, "{encoded}", 4], "__cmwc_t": "tag:example.com,2026:x"}}"#), 0),
        (format!(r#"[10003, "{encoded}"]"#), 0),
        (format!(r#"[10004, "{encoded}"]"#), 1),
        (format!(r#"["text/plain", "{encoded}"]"#), 1),
        (format!(r#"[263, "{encoded}="]"#), 1),
        (format!(r#"[263, "{encoded}", 2]"#), 1),
        (format!(r#"[263, "{encoded}""#), 1),
        ("{}".to_owned(), 1),
        ("[]".to_owned(), 1),
    ];
    for (json, expected) in cases {
        fs::write(&path, &json).unwrap();
        let (code, lines) = verify(&[], &path);
        assert_eq!((code, lines.len()), (expected, 1), "{json}: {lines:?}");
    }
}
