// SPDX-License-Identifier: Apache-2.0
//! The program over published and adversarial vectors, which stand beside the
//! repository where they are had. `accept` means that none of the compared
//! checks failed: many tokens use development keys or instance ids unrelated to
//! their key, which other checks report.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const COMPARED: [&str; 7] =
    ["decode", "profile", "claims", "signature", "challenge", "certificate-path", "binding"];

/// Kinds of published cases, and how many of each there are at least.
const PUBLISHED: [(&str, usize); 5] =
    [("psa", 182), ("psa-x5", 6), ("cca", 9), ("cca-platform", 1), ("kat-cab", 2)];

/// Kinds of adversarial cases, and how many of each there are at least.
const ADVERSARIAL: [(&str, usize); 7] = [
    ("psa", 66),
    ("psa-x5", 47),
    ("cca", 12),
    ("kat-cab", 8),
    ("ear-jwt", 9),
    ("ear-cwt", 5),
    ("corim", 21),
];

/// Adversarial cases whose verdict is not right yet.
const PENDING: [&str; 0] = [];

#[test]
fn published_vectors_get_the_verdicts_they_should() {
    let wrong = Corpus::open("../../../shared/vectors").map(|corpus| corpus.run(&PUBLISHED));
    let wrong = wrong.unwrap_or_default();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), lines(&wrong));
}

#[test]
fn adversarial_vectors_get_the_verdicts_they_should() {
    let Some(corpus) = Corpus::open("../../../shared/vectors/adversarial") else { return };
    let (pending, wrong): (Vec<_>, Vec<_>) = corpus
        .run(&ADVERSARIAL)
        .into_iter()
        .partition(|(file, _)| PENDING.iter().any(|name| file.ends_with(name)));
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), lines(&wrong));
    assert_eq!(pending.len(), PENDING.len(), "what is right now is no longer pending");
}

fn lines(wrong: &[(String, String)]) -> String {
    let lines: Vec<_> = wrong.iter().map(|(file, what)| format!("{file}: {what}")).collect();
    lines.join("\n")
}

struct Corpus {
    folder: PathBuf,
    cases: Vec<Value>,
}

impl Corpus {
    /// A corpus beside the repository, where there is one.
    fn open(folder: &str) -> Option<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let Ok(manifest) = std::fs::read(folder.join("manifest.json")) else {
            eprintln!("SKIPPED: no {}", folder.join("manifest.json").display());
            return None;
        };
        Some(Self { folder, cases: serde_json::from_slice(&manifest).unwrap() })
    }

    /// The cases of these kinds that do not end as they should.
    fn run(&self, kinds: &[(&str, usize)]) -> Vec<(String, String)> {
        let mut wrong = Vec::new();
        for (kind, least) in kinds {
            let cases: Vec<_> = self.cases.iter().filter(|case| case["kind"] == *kind).collect();
            assert!(cases.len() >= *least, "{} cases of kind {kind}", cases.len());
            for case in cases {
                let found = self.verify(case);
                let expected = case["expect"].as_str().unwrap();
                let is_as_expected = match expected {
                    // Published without a key: it is well-formed, and that is all.
                    "decode-ok" => found.failed.iter().all(|fail| fail.starts_with("signature: ")),
                    _ => found.failed.is_empty() == (expected == "accept"),
                };
                let verdict = case["verdict"].as_str().unwrap_or(&found.verdict);
                if !is_as_expected || verdict != found.verdict {
                    let why = case["why"].as_str().unwrap();
                    wrong.push((
                        case["file"].as_str().unwrap().to_owned(),
                        format!("{why}: {expected}, failed: {:?}", found.failed),
                    ));
                }
            }
        }
        wrong
    }

    fn verify(&self, case: &Value) -> Found {
        let mut command = Command::new(env!("CARGO_BIN_EXE_devid"));
        let kind = case["kind"].as_str().unwrap();
        let (words, is_document): (&[&str], bool) = match kind {
            // A genuine result is accepted whatever it says.
            "ear-jwt" | "ear-cwt" => (&["ear", "verify", "--require", "any"], true),
            "corim" => (&["corim", "verify"], true),
            _ => (&["verify"], false),
        };
        command.args(words).arg("--json");
        if !is_document {
            command.arg("--challenge").arg(case["nonce"].as_str().unwrap_or("any"));
        }
        if let Some(at) = case["at"].as_str() {
            command.args(["--at", at]);
        }
        if let Some(key) = case["key"].as_str() {
            command.arg(if key.ends_with(".hmac") { "--hmac-key" } else { "--key" });
            command.arg(self.folder.join("keys").join(key));
        }
        let derived = self.folder.join("derived-here");
        if let Some(anchor) = case["trust_anchor"].as_str() {
            command.arg("--attestation-anchor").arg(derived.join(anchor));
        }
        if case["why"].as_str().unwrap().contains("intermediate must be configured") {
            command.arg("--intermediate").arg(derived.join("x5chain-intermediate.pem"));
        }
        for crl in case["crl"].as_array().into_iter().flatten() {
            command.arg("--crl").arg(derived.join(crl.as_str().unwrap()));
        }
        let file = case["file"].as_str().unwrap();
        let output = command.arg(self.folder.join(file)).output().unwrap();
        let line: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("{file}: {error}\n{}", String::from_utf8_lossy(&output.stderr))
        });
        let status = if line["verdict"] == "pass" { 0 } else { 1 };
        assert_eq!(output.status.code(), Some(status), "{file}");
        let failed = line["checks"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|check| check["result"] == "fail")
            .filter(|check| is_document || COMPARED.iter().any(|name| check["check"] == *name))
            .map(|check| format!("{}: {}", check["check"].as_str().unwrap(), check["detail"]))
            .collect();
        Found { verdict: line["verdict"].as_str().unwrap().to_owned(), failed }
    }
}

/// What the program said of a case.
struct Found {
    verdict: String,
    /// The compared checks that failed.
    failed: Vec<String>,
}
