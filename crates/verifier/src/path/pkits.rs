// SPDX-License-Identifier: Apache-2.0
//! NIST's Public Key Interoperability Test Suite (PKITS), which stands beside the
//! repository where it is had: the tests that ask for no policy of their own.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::{TrustAnchors, search};
use crate::certificate::Certificate;

#[derive(Deserialize)]
struct Case {
    number: String,
    title: String,
    /// The anchor first, the end entity last.
    certs: Vec<String>,
    crls: Vec<String>,
    valid: bool,
}

/// 2015-01-01; the suite's certificates are valid from 2010 to 2030.
const AT: i64 = 1_420_070_400;

/// Valid paths that are refused, and why. No invalid one is taken.
const REFUSED: [(&str, &[&str]); 5] = [
    ("DSA is not known", &["4.1.4", "4.1.5"]),
    ("the leaf is a CA", &["4.6.8", "4.6.14", "4.8.6", "4.14.13"]),
    (
        "the CRL is signed by another key than the certificate",
        &[
            "4.4.19", "4.5.1", "4.5.4", "4.5.6", "4.6.15", "4.6.17", "4.9.6", "4.11.7", "4.12.7",
            "4.12.9", "4.13.19",
        ],
    ),
    (
        "CRLs for some reasons and indirect ones are not taken",
        &[
            "4.14.18", "4.14.19", "4.14.22", "4.14.24", "4.14.25", "4.14.28", "4.14.29", "4.14.30",
            "4.14.33",
        ],
    ),
    ("delta CRLs are not taken", &["4.15.2", "4.15.5", "4.15.7", "4.15.8"]),
];

#[test]
fn pkits_paths_get_the_verdicts_they_should() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/pkits");
    let Ok(manifest) = fs::read(folder.join("manifest.json")) else {
        eprintln!("SKIPPED: no {}", folder.join("manifest.json").display());
        return;
    };
    let cases: Vec<Case> = serde_json::from_slice(&manifest).unwrap();
    let mut wrong = Vec::new();
    for case in &cases {
        let read = |kind: &str, names: &[String]| -> Vec<Vec<u8>> {
            let file = |name| folder.join(format!("{name}.{kind}"));
            names.iter().map(|name| fs::read(file(name)).unwrap()).collect()
        };
        let found = verify(&read("crt", &case.certs), &read("crl", &case.crls));
        let refused = REFUSED.iter().find(|(_, numbers)| numbers.contains(&&*case.number));
        if found.is_ok() != (case.valid && refused.is_none()) || !case.valid && refused.is_some() {
            wrong.push(format!("{} {}: {found:?}", case.number, case.title));
        }
    }
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

fn verify(certificates: &[Vec<u8>], crls: &[Vec<u8>]) -> Result<(), String> {
    let ([anchor, issuers @ ..], [leaf]) = certificates.split_at(certificates.len() - 1) else {
        panic!("a path without an anchor");
    };
    let mut trusted = TrustAnchors::default();
    // Its certificates have no extKeyUsage.
    trusted.add_for_attestation(anchor).map_err(|error| error.to_string())?;
    for issuer in issuers {
        trusted.add_intermediates(issuer).map_err(|error| error.to_string())?;
    }
    for crl in crls {
        trusted.add_crls(crl).map_err(|error| error.to_string())?;
    }
    let leaf = Certificate::read(leaf).map_err(|_| "malformed")?;
    match search::find(&trusted, &[leaf], AT)?.detail {
        // The suite wants a CRL for every certificate.
        "" if !crls.is_empty() => Ok(()),
        detail => Err(detail.into()),
    }
}
