// SPDX-License-Identifier: Apache-2.0
//! No accepted vector is accepted when it is cut, wherever it is: neither ours
//! nor the published ones, which stand beside the repository where they are had.

use std::path::{Path, PathBuf};
use std::time::Duration;

use devid_verifier::ear::Demand;
use devid_verifier::keys::{MacKey, PublicKey};
use devid_verifier::{
    Appraisal, Challenge, Check, DocumentCheck, KeySet, Policy, TrustAnchors, UnixTime, Verdict,
    Verifier, corim, ear,
};
use serde_json::Value;

/// Checks that `accept` of a published vector is about.
const COMPARED: [Check; 7] = [
    Check::Decode,
    Check::Profile,
    Check::Claims,
    Check::Signature,
    Check::Challenge,
    Check::CertificatePath,
    Check::Binding,
];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Asserts that the whole is accepted, and no shorter beginning of it.
#[track_caller]
fn is_accepted_whole_alone(name: &str, document: &[u8], accepts: impl Fn(&[u8]) -> bool) {
    assert!(accepts(document), "{name} is not accepted");
    for end in 0..document.len() {
        assert!(!accepts(&document[..end]), "{name}: {end} of {} bytes", document.len());
    }
}

/// What a token is verified with.
#[derive(Default)]
struct Trust {
    keys: KeySet,
    anchors: TrustAnchors,
}

impl Trust {
    fn add_key(&mut self, path: &Path) {
        let file = read(path);
        match path.extension().is_some_and(|extension| extension == "hmac") {
            true => self.keys.add_mac(MacKey::read(&file, &[]).unwrap()),
            false => PublicKey::read_all(&file)
                .unwrap()
                .into_iter()
                .for_each(|key| self.keys.add_public(key)),
        }
    }

    /// Whether none of the compared checks fails.
    fn accepts(&self, token: &[u8], nonce: Option<&[u8]>) -> bool {
        let verifier = Verifier {
            keys: &self.keys,
            anchors: &self.anchors,
            policy: Policy { at: UnixTime::now(), allow_development_key: true },
            appraisal: Appraisal::default(),
        };
        let report = verifier.verify(token, nonce.map_or(Challenge::Any, Challenge::Expected));
        !COMPARED.iter().any(|&check| report.outcome(check).failed())
    }
}

#[test]
fn refuses_every_truncation_of_our_own_vectors() {
    let token = folder("vectors/token");
    let mut trust = Trust::default();
    for key in ["iak.pem", "iak-es384.pem", "iak-es512.pem", "iak.hmac", "simulator.pem"] {
        trust.add_key(&token.join(key));
    }
    trust.anchors.add_all(&read(&token.join("root.pem"))).unwrap();
    for name in [
        "psa1.cbor",
        "psa2.cbor",
        "rfc9783.cbor",
        "rfc9783-kid.cbor",
        "rfc9783-x5chain.cbor",
        "rfc9783-es384.cbor",
        "rfc9783-es512.cbor",
        "rfc9783-mac0.cbor",
        "rfc9783-simulator.cbor",
    ] {
        let document = read(&token.join(name));
        is_accepted_whole_alone(name, &document, |cut| trust.accepts(cut, Some(&[0xc4; 32])));
    }

    let an521 = folder("vectors/an521");
    let mut by_key = Trust::default();
    by_key.add_key(&an521.join("iak.der"));
    let mut by_path = Trust::default();
    by_path.anchors.add_all_for_attestation(&read(&an521.join("root.der"))).unwrap();
    for (name, trust) in [("token.cbor", by_key), ("evidence.cbor", by_path)] {
        let document = read(&an521.join(name));
        is_accepted_whole_alone(name, &document, |cut| trust.accepts(cut, None));
    }
}

#[test]
fn refuses_every_truncation_of_our_own_documents() {
    let keys = |path: &str| PublicKey::read_all(&read(&folder(path))).unwrap();
    let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let signers = keys("vectors/corim/endorser.pem");
    for name in ["iot.cbor", "keys.cbor", "more.cbor", "newer.cbor", "software.cbor", "signed.cbor"]
    {
        let document = read(&folder("vectors/corim").join(name));
        let signers = if name == "signed.cbor" { &signers[..] } else { &[] };
        is_accepted_whole_alone(name, &document, |cut| {
            corim::verify(cut, signers, at(1_795_392_000)).verdict() == Verdict::Pass
        });
    }
    let verifier = keys("vectors/ear/verifier.pem");
    for name in ["good.jwt", "good.cwt", "veraison.jwt"] {
        let document = read(&folder("vectors/ear").join(name));
        is_accepted_whole_alone(name, document.trim_ascii_end(), |cut| {
            ear::verify(cut, &verifier, &Demand::affirming(at(1_795_392_000))).verdict()
                == Verdict::Pass
        });
    }
}

#[test]
fn refuses_every_truncation_of_published_vectors() {
    let shared = folder("../shared/vectors");
    let Ok(manifest) = std::fs::read(shared.join("manifest.json")) else {
        eprintln!("SKIPPED: no {}", shared.join("manifest.json").display());
        return;
    };
    let manifest: Vec<Value> = serde_json::from_slice(&manifest).unwrap();
    let mut seen = 0;
    for case in manifest.iter().filter(|case| case["expect"] == "accept") {
        let text = |name: &str| case[name].as_str();
        let name = text("file").unwrap();
        let document = read(&shared.join(name));
        let mut trust = Trust::default();
        if let Some(key) = text("key") {
            trust.add_key(&shared.join("keys").join(key));
        }
        match text("kind").unwrap() {
            "psa" | "psa-x5" | "cca" | "cca-platform" | "kat-cab" => {
                if let Some(anchor) = text("trust_anchor") {
                    for anchor in [anchor, "x5chain-intermediate.pem"] {
                        let file = read(&shared.join("derived-here").join(anchor));
                        trust.anchors.add_all_for_attestation(&file).unwrap();
                    }
                }
                let nonce = text("nonce").map(|nonce| {
                    data_encoding::HEXLOWER_PERMISSIVE.decode(nonce.as_bytes()).unwrap()
                });
                is_accepted_whole_alone(name, &document, |cut| {
                    trust.accepts(cut, nonce.as_deref())
                });
            }
            // The signed ones have expired, and nobody has their keys.
            "corim" => is_accepted_whole_alone(name, &document, |cut| {
                corim::verify(cut, &[], UnixTime::now()).content.is_some()
            }),
            "ear-jwt" => {
                let keys =
                    PublicKey::read_all(&read(&shared.join("keys").join(text("key").unwrap())));
                let keys = keys.unwrap();
                is_accepted_whole_alone(name, document.trim_ascii_end(), |cut| {
                    let report = ear::verify(cut, &keys, &Demand::affirming(UnixTime::now()));
                    report.outcome(DocumentCheck::Signature).passed() && report.content.is_some()
                });
            }
            _ => continue,
        }
        seen += 1;
    }
    assert!(seen >= 60, "{seen} vectors");
}
