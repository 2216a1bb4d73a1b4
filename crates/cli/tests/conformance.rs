// SPDX-License-Identifier: Apache-2.0
//! `devid verify` over published vectors, which stand beside the repository
//! where they are had. `accept` means that none of the compared checks failed:
//! many published tokens use development keys or instance ids unrelated to
//! their key, which other checks report.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const COMPARED: [&str; 7] =
    ["decode", "profile", "claims", "signature", "challenge", "certificate-path", "binding"];

/// Kinds of cases, and how many of each there are at least.
const KINDS: [(&str, usize); 5] =
    [("psa", 182), ("psa-x5", 6), ("cca", 9), ("cca-platform", 1), ("kat-cab", 2)];

#[test]
fn published_vectors_get_the_verdicts_they_should() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors");
    let Ok(manifest) = std::fs::read(folder.join("manifest.json")) else {
        eprintln!("SKIPPED: no {}", folder.join("manifest.json").display());
        return;
    };
    let manifest: Vec<Value> = serde_json::from_slice(&manifest).unwrap();
    let mut wrong = Vec::new();
    for (kind, least) in KINDS {
        let cases: Vec<_> = manifest.iter().filter(|case| case["kind"] == kind).collect();
        assert!(cases.len() >= least, "{} cases of kind {kind}", cases.len());
        for case in cases {
            let failed = failed_checks(&folder, case);
            let expected = case["expect"].as_str().unwrap();
            let is_as_expected = match expected {
                // Published without a key: it is well-formed, and that is all.
                "decode-ok" => failed.iter().all(|failed| failed.starts_with("signature: ")),
                _ => failed.is_empty() == (expected == "accept"),
            };
            if !is_as_expected {
                wrong.push(format!("{}: {expected}, failed: {failed:?}", case["file"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn failed_checks(folder: &Path, case: &Value) -> Vec<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_devid"));
    command.args(["verify", "--json", "--challenge"]);
    command.arg(case["nonce"].as_str().unwrap_or("any"));
    if let Some(key) = case["key"].as_str() {
        command.arg(if key.ends_with(".hmac") { "--hmac-key" } else { "--key" });
        command.arg(folder.join("keys").join(key));
    }
    for anchor in anchors(folder, case) {
        command.arg("--trust-anchor").arg(anchor);
    }
    let output = command.arg(folder.join(case["file"].as_str().unwrap())).output().unwrap();
    let line: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{}: {error}\n{}", case["file"], String::from_utf8_lossy(&output.stderr))
    });
    let status = if line["verdict"] == "pass" { 0 } else { 1 };
    assert_eq!(output.status.code(), Some(status), "{}", case["file"]);
    line["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["result"] == "fail")
        .filter(|check| COMPARED.iter().any(|name| check["check"] == *name))
        .map(|check| format!("{}: {}", check["check"].as_str().unwrap(), check["detail"]))
        .collect()
}

/// The anchor named, and the intermediate where the token leaves it out.
fn anchors(folder: &Path, case: &Value) -> Vec<PathBuf> {
    let Some(anchor) = case["trust_anchor"].as_str() else { return Vec::new() };
    let folder = folder.join("derived-here");
    let mut anchors = vec![folder.join(anchor)];
    if case["why"].as_str().unwrap().contains("intermediate must be configured") {
        anchors.push(folder.join("x5chain-intermediate.pem"));
    }
    anchors
}
