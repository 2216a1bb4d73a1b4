// SPDX-License-Identifier: Apache-2.0
//! Attestation results: what they say of a report, and which are believed.

mod common;

use std::path::{Path, PathBuf};
use std::time::Duration;

use common::cbor::Value::{self, Array, Bytes, Int, Map, Raw, Tag, Text};
use common::{NONCE, Signer, token};
use data_encoding::BASE64URL_NOPAD;
use devid_verifier::ear::{self, Aspect, Ear, Issuance, Names, Tier, VerifierId};
use devid_verifier::keys::PublicKey;
use devid_verifier::{
    Appraisal, AppraisalPolicy, Challenge, DocumentCheck, DocumentReport, KeySet, Policy,
    TrustAnchors, UnixTime, Verdict, Verifier,
};
use serde_json::json;

/// In 2026.
const NOW: u64 = 1_795_000_000;

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

/// The result for a token that is verified under a policy.
fn result(token: &[u8], names: Names, policy: Option<&str>) -> Ear {
    let mut keys = KeySet::default();
    keys.add_public(Signer::p256("iak").public());
    keys.add_public(Signer::simulator().public());
    let policy = policy.map(|text| AppraisalPolicy::from_toml(text.as_bytes()).unwrap());
    let verifier = Verifier {
        keys: &keys,
        anchors: &TrustAnchors::default(),
        policy: Policy { at: at(NOW), allow_development_key: false },
        appraisal: Appraisal { policy: policy.as_ref(), endorsements: None },
    };
    let report = verifier.verify(token, Challenge::Expected(&NONCE));
    let issuance = Issuance {
        names,
        at: at(NOW),
        lifetime_seconds: Some(60),
        verifier_id: VerifierId { developer: "us".into(), build: "devid 1".into() },
        nonce: Some(&NONCE),
        policy_id: Some("https://example.com/policy"),
    };
    Ear::new(&report, &issuance)
}

fn good() -> Ear {
    result(&token(&Signer::p256("iak")), Names::Draft, None)
}

fn sign(message: &[u8]) -> Result<[u8; 64], std::convert::Infallible> {
    Ok(Signer::p256("verifier").sign(message).try_into().unwrap())
}

fn verify(document: &[u8], time: u64) -> DocumentReport<Ear> {
    ear::verify(document, &[Signer::p256("verifier").public()], at(time))
}

/// A JWT of any header and claims.
fn jwt(signer: &Signer, header: &str, claims: &str) -> Vec<u8> {
    let [header, claims] = [header, claims].map(|part| BASE64URL_NOPAD.encode(part.as_bytes()));
    let message = format!("{header}.{claims}");
    let signature = BASE64URL_NOPAD.encode(&signer.sign(message.as_bytes()));
    format!("{message}.{signature}").into_bytes()
}

#[test]
fn says_of_a_good_token_what_was_found_under_the_drafts_names() {
    let claims: serde_json::Value = serde_json::from_slice(&good().to_json()).unwrap();
    assert_eq!(claims["eat_profile"], "tag:ietf.org,2026:rats/ear#03");
    assert_eq!(claims["iat"], NOW);
    assert_eq!(claims["exp"], NOW + 60);
    assert_eq!(claims["ear_verifier_id"], json!({"developer": "us", "build": "devid 1"}));
    assert_eq!(claims["eat_nonce"], data_encoding::BASE64URL.encode(&NONCE));
    let psa = &claims["submods"]["PSA"];
    assert_eq!(psa["ear_status"], "affirming");
    assert_eq!(
        psa["ear_trustworthiness_vector"],
        json!({"instance-identity": 2, "configuration": 2, "executables": 0, "hardware": 2})
    );
    assert_eq!(psa["ear_appraisal_policy_ids"], json!(["https://example.com/policy"]));
    let evidence = &psa["ear_veraison_annotated_evidence"];
    assert_eq!(evidence["psa-security-lifecycle"], 0x3000);
    assert_eq!(psa["ear_veraison_policy_claims"]["devid-checks"]["signature"], "pass");
}

#[test]
fn speaks_veraisons_names_too() {
    let ear = result(&token(&Signer::p256("iak")), Names::Veraison, None);
    let claims: serde_json::Value = serde_json::from_slice(&ear.to_json()).unwrap();
    assert_eq!(claims["eat_profile"], "tag:github.com,2023:veraison/ear");
    assert_eq!(claims["ear.verifier-id"]["build"], "devid 1");
    let psa = &claims["submods"]["PSA_IOT"];
    assert_eq!(psa["ear.status"], "affirming");
    assert_eq!(psa["ear.trustworthiness-vector"]["instance-identity"], 2);
    assert_eq!(psa["ear.appraisal-policy-id"], "https://example.com/policy");
    assert!(!String::from_utf8(ear.to_json()).unwrap().contains("ear_"));
}

#[test]
fn comes_back_as_it_was_from_both_encodings_under_both_names() {
    for names in [Names::Draft, Names::Veraison] {
        let ear = result(&token(&Signer::p256("iak")), names, None);
        assert_eq!(Ear::from_json(&ear.to_json()).unwrap(), ear);
        assert_eq!(Ear::from_cbor(&ear.to_cbor()).unwrap(), ear);
        let (jwt, cwt) = (ear.to_jwt(sign).unwrap(), ear.to_cwt(sign).unwrap());
        for document in [jwt.into_bytes(), cwt.clone(), [&[0xd8, 61][..], &cwt].concat()] {
            let report = verify(&document, NOW);
            assert_eq!(report.verdict(), Verdict::Pass);
            assert_eq!(report.into_content().unwrap(), ear);
        }
    }
}

#[test]
fn is_contraindicated_wherever_the_verdict_is_fail() {
    let aspects = |ear: &Ear| {
        let vector = ear.submodules[0].1.trust_vector;
        [Aspect::InstanceIdentity, Aspect::Configuration, Aspect::Executables, Aspect::SourcedData]
            .map(|aspect| vector.claim(aspect))
    };
    let iak = token(&Signer::p256("iak"));
    let mut forged = iak.clone();
    *forged.last_mut().unwrap() ^= 1;
    let floor = "[software.minimum-versions]\nSPE = '1.0.1'";
    for (token, policy, expected) in [
        (forged, None, [Some(99); 4]),
        (vec![], None, [Some(99); 4]),
        (token(&Signer::p256("stranger")), None, [Some(99); 4]),
        (token(&Signer::simulator()), None, [Some(96), Some(2), Some(0), None]),
        (iak.clone(), Some("client-id.non-secure = false"), [Some(2), Some(96), Some(0), None]),
        (
            iak.clone(),
            Some("lifecycles = ['non-psa-rot-debug']"),
            [Some(2), Some(96), Some(0), None],
        ),
        (iak.clone(), Some(floor), [Some(2), Some(2), Some(33), None]),
    ] {
        let ear = result(&token, Names::Draft, policy);
        assert_eq!(aspects(&ear), expected, "{policy:?}");
        assert_eq!(ear.status(), Tier::Contraindicated);
    }
    let enough = "[software.minimum-versions]\nSPE = '1.0.0'";
    let ear = result(&iak, Names::Draft, Some(enough));
    assert_eq!(aspects(&ear), [Some(2), Some(2), Some(3), None]);
    assert_eq!(ear.status(), Tier::Affirming);
}

#[test]
fn tells_nothing_of_a_device_whose_signature_is_wrong() {
    let ear = result(&token(&Signer::p256("stranger")), Names::Draft, None);
    let claims = String::from_utf8(ear.to_json()).unwrap();
    assert!(!claims.contains("psa-instance-id"));
    assert_eq!(ear.submodules[0].1.nonce, None);
}

#[test]
fn believes_the_given_keys_alone_and_in_time() {
    let ear = good();
    let (jwt, cwt) = (ear.to_jwt(sign).unwrap().into_bytes(), ear.to_cwt(sign).unwrap());
    for document in [jwt, cwt] {
        let signature = |keys: &[PublicKey]| {
            ear::verify(&document, keys, at(NOW)).outcome(DocumentCheck::Signature).clone()
        };
        assert!(signature(&[]).failed());
        assert!(signature(&[Signer::p256("other").public()]).failed());
        assert!(signature(&[Signer::p384("verifier").public()]).failed());
        assert!(
            signature(&[Signer::p256("other").public(), Signer::p256("verifier").public()])
                .passed()
        );
        assert_eq!(verify(&document, NOW + 60).verdict(), Verdict::Pass);
        assert!(verify(&document, NOW + 61).outcome(DocumentCheck::Validity).failed());
    }
}

#[test]
fn takes_the_other_curves_with_their_algorithms_alone() {
    let claims = String::from_utf8(good().to_json()).unwrap();
    for (signer, name) in
        [(Signer::p256("e"), "ES256"), (Signer::p384("e"), "ES384"), (Signer::p521("e"), "ES512")]
    {
        for algorithm in ["ES256", "ES384", "ES512", "HS256", "none", "es256", ""] {
            let document = jwt(&signer, &format!(r#"{{"alg":"{algorithm}"}}"#), &claims);
            let report = ear::verify(&document, &[signer.public()], at(NOW));
            let expected = if algorithm == name { Verdict::Pass } else { Verdict::Fail };
            assert_eq!(report.verdict(), expected, "{name} as {algorithm}");
        }
    }
}

#[test]
fn refuses_every_truncation_and_every_change() {
    let ear = good();
    let (jwt, cwt) = (ear.to_jwt(sign).unwrap().into_bytes(), ear.to_cwt(sign).unwrap());
    for document in [jwt, cwt] {
        assert_eq!(verify(&document, NOW).verdict(), Verdict::Pass);
        for end in 0..document.len() {
            assert_eq!(verify(&document[..end], NOW).verdict(), Verdict::Fail, "{end}");
        }
        for index in 0..document.len() {
            let mut changed = document.clone();
            changed[index] ^= 1 << (index % 8);
            assert_eq!(verify(&changed, NOW).verdict(), Verdict::Fail, "{index}");
        }
        for tail in [&b"x"[..], b".x", b"\0", b"="] {
            let longer = [&document[..], tail].concat();
            assert_eq!(verify(&longer, NOW).verdict(), Verdict::Fail);
        }
    }
    let claims = ear.to_cbor();
    for end in 0..claims.len() {
        assert!(Ear::from_cbor(&claims[..end]).is_err(), "{end}");
    }
    let longest = vec![b'a'; ear::MAX_EAR_LEN + 1];
    assert_eq!(verify(&longest, NOW).verdict(), Verdict::Fail);
}

#[test]
fn refuses_headers_and_claims_that_break_the_rules() {
    let signer = Signer::p256("verifier");
    let claims = String::from_utf8(good().to_json()).unwrap();
    let refused = |header: &str, claims: &str, check| {
        let report = verify(&jwt(&signer, header, claims), NOW);
        assert!(report.outcome(check).failed(), "{header} {claims}: {report:?}");
    };
    let header = r#"{"alg":"ES256"}"#;
    assert_eq!(verify(&jwt(&signer, header, &claims), NOW).verdict(), Verdict::Pass);
    refused(r#"{"alg":"ES256","crit":["b64"],"b64":false}"#, &claims, DocumentCheck::Signature);
    refused(r#"{"typ":"JWT"}"#, &claims, DocumentCheck::Signature);
    refused(r#"{"alg":"none","alg":"ES256"}"#, &claims, DocumentCheck::Decode);
    refused("[]", &claims, DocumentCheck::Signature);
    refused("", &claims, DocumentCheck::Decode);
    refused(header, "", DocumentCheck::Decode);
    refused(header, &"[".repeat(100_000), DocumentCheck::Decode);
    refused(header, &claims.replacen("{", r#"{"iat":1,"#, 1), DocumentCheck::Decode);

    for (from, to, check) in [
        ("rats/ear#03", "rats/ear#02", DocumentCheck::Profile),
        (r#""iat":1795000000"#, r#""iat":1795000000.5"#, DocumentCheck::Claims),
        (r#""iat""#, r#""iax""#, DocumentCheck::Claims),
        (r#""exp":1795000060"#, r#""exp":"never""#, DocumentCheck::Claims),
        ("ear_verifier_id", "ear.verifier-id", DocumentCheck::Claims),
        (r#""developer":"us""#, r#""developer":1"#, DocumentCheck::Claims),
        ("submods", "submodules", DocumentCheck::Claims),
        (r#""PSA":{"#, r#""PSA":{},"#, DocumentCheck::Decode),
        (r#""submods":{"#, r#""submods":{},"x":{"#, DocumentCheck::Claims),
        ("ear_status", "ear.status", DocumentCheck::Claims),
        (r#""affirming""#, r#""fine""#, DocumentCheck::Claims),
        (r#""affirming""#, "2", DocumentCheck::Claims),
        (r#""executables":0"#, r#""executables":128"#, DocumentCheck::Claims),
        (r#""executables":0"#, r#""executables":33"#, DocumentCheck::Claims),
        (r#""executables":0"#, r#""executables":-128"#, DocumentCheck::Claims),
        (r#""executables":0"#, r#""executables":"0""#, DocumentCheck::Claims),
        (r#""executables":0"#, r#""execution":0"#, DocumentCheck::Claims),
        (r#"["https://example.com/policy"]"#, "[]", DocumentCheck::Claims),
        (r#"["https://example.com/policy"]"#, r#""p""#, DocumentCheck::Claims),
        (r#""eat_nonce":""#, r#""eat_nonce":"!"#, DocumentCheck::Claims),
        (r#""eat_nonce":"#, r#""eat_nonce":"AAAA","x":"#, DocumentCheck::Claims),
        (r#""eat_nonce":"#, r#""eat_nonce":["AAAAAAAAAAAA"],"x":"#, DocumentCheck::Claims),
    ] {
        assert!(claims.contains(from), "{from} is not in {claims}");
        refused(header, &claims.replacen(from, to, 1), check);
    }
    // A result may be worse than its vector, unknown claims are ignored, and a
    // number is whole however it is written: Veraison's verifiers write 1.795e+09.
    for (from, to) in [
        (r#""affirming""#, r#""warning""#),
        ("{", r#"{"unknown":[1.5,null,true],"#),
        (r#""iat":1795000000"#, r#""iat":1.795e+09"#),
    ] {
        let claims = claims.replacen(from, to, 1);
        assert_eq!(verify(&jwt(&signer, header, &claims), NOW).verdict(), Verdict::Pass);
    }
}

#[test]
fn refuses_cwts_that_break_the_rules() {
    let signer = Signer::p256("verifier");
    let claims = good().to_cbor();
    let alg = |number| Map(vec![(Int(1), Int(number))]).encode();
    let seal = |protected: Vec<u8>, payload: &[u8]| {
        common::seal(&signer, protected, vec![], payload.to_vec())
    };
    assert_eq!(verify(&seal(alg(-7), &claims), NOW).verdict(), Verdict::Pass);
    for document in [
        seal(alg(-35), &claims),
        seal(alg(5), &claims),
        seal(vec![], &claims),
        common::seal(&Signer::mac("verifier", 5), alg(5), vec![], claims.clone()),
        seal(alg(-7), &[&claims[..], &[0]].concat()),
        seal(alg(-7), &[0xbf, 0xff]),
        seal(alg(-7), &[0x81; 5000]),
        seal(alg(-7), &Array(vec![]).encode()),
        seal(alg(-7), &[0xa2, 6, 1, 6, 1]),
        seal(alg(-7), &[0xa2, 6, 1, 0x18, 6, 1]),
        vec![0xd2],
        vec![0xd8, 61, 0xd8, 61],
    ] {
        assert_eq!(verify(&document, NOW).verdict(), Verdict::Fail);
    }
}

/// Published results. Veraison's are signed by a key that its tests publish.
#[test]
fn published_vectors_get_the_verdicts_they_should() {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors");
    let Ok(manifest) = std::fs::read(folder.join("manifest.json")) else {
        eprintln!("SKIPPED: no {}", folder.join("manifest.json").display());
        return;
    };
    let manifest: Vec<serde_json::Value> = serde_json::from_slice(&manifest).unwrap();
    let of = |kind: &'static str| manifest.iter().filter(move |case| case["kind"] == kind);
    assert!(of("ear-jwt").count() >= 5 && of("ear-claims").count() >= 4);
    for case in of("ear-jwt") {
        let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
        let key = read(&format!("keys/{}", case["key"].as_str().unwrap()));
        let name = case["file"].as_str().unwrap();
        let keys = PublicKey::read_all(&key).unwrap();
        let report = ear::verify(&read(name), &keys, at(NOW));
        let expected = if case["expect"] == "accept" { Verdict::Pass } else { Verdict::Fail };
        assert_eq!(report.verdict(), expected, "{name}: {report:?}");
    }
    for case in of("ear-claims") {
        let name = case["file"].as_str().unwrap();
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        let ear = match name.contains("cbor") {
            true => Ear::from_cbor(&diagnostic(&mut text.trim()).encode()),
            false => Ear::from_json(text.as_bytes()),
        };
        let ear = ear.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(ear.verifier_id.unwrap().build, "vts 0.0.1", "{name}");
    }
}

/// Reads the part of CBOR's diagnostic notation that the examples use.
fn diagnostic(text: &mut &str) -> Value {
    fn until<'t>(text: &mut &'t str, stop: impl Fn(char) -> bool) -> &'t str {
        let (word, rest) = text.split_at(text.find(stop).unwrap_or(text.len()));
        *text = rest;
        word
    }
    fn items(text: &mut &str, close: char) -> Vec<Value> {
        let mut items = Vec::new();
        loop {
            *text = text.trim_start_matches(|c: char| c.is_whitespace() || c == ',' || c == ':');
            if let Some(rest) = text.strip_prefix(close) {
                *text = rest;
                return items;
            }
            items.push(diagnostic(text));
        }
    }
    *text = text.trim_start();
    let first = text.chars().next().unwrap();
    match first {
        '{' | '[' | '"' | 'h' => {
            *text = text[1..].trim_start_matches('\'');
            match first {
                '{' => {
                    let items = items(text, '}');
                    Map(items.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect())
                }
                '[' => Array(items(text, ']')),
                _ => {
                    let quote = if first == 'h' { '\'' } else { '"' };
                    let word = until(text, |c| c == quote);
                    *text = &text[1..];
                    match first {
                        'h' => Bytes(
                            data_encoding::HEXUPPER_PERMISSIVE.decode(word.as_bytes()).unwrap(),
                        ),
                        _ => Text(Box::leak(word.to_owned().into_boxed_str())),
                    }
                }
            }
        }
        _ => Int(until(text, |c| !c.is_ascii_digit() && c != '-').parse().unwrap()),
    }
}

#[test]
fn refuses_cbor_nonces_of_other_lengths() {
    let with = |nonce: Value| {
        Map(vec![
            (Int(265), Text("tag:ietf.org,2026:rats/ear#03")),
            (Int(6), Int(1)),
            (Int(1004), Map(vec![(Int(0), Text("a")), (Int(1), Text("b"))])),
            (Int(10), nonce),
            (Int(266), Map(vec![(Text("PSA"), Map(vec![(Int(1000), Int(0))]))])),
        ])
        .encode()
    };
    assert!(Ear::from_cbor(&with(Bytes(vec![1; 8]))).is_ok());
    assert!(Ear::from_cbor(&with(Bytes(vec![1; 64]))).is_ok());
    for nonce in [
        Bytes(vec![1; 7]),
        Bytes(vec![1; 65]),
        Text("AAAAAAAAAAAA"),
        Tag(1, Box::new(Bytes(vec![1; 8]))),
        Raw(vec![0xf6]),
    ] {
        assert!(Ear::from_cbor(&with(nonce)).is_err());
    }
}

#[test]
fn committed_vectors_are_the_ones_made_here() {
    let verifier = Signer::p256("verifier");
    // Claims that do not change with what a report holds.
    let ear = |names| {
        let ear = result(&token(&Signer::p256("iak")), names, None);
        let claims = String::from_utf8(ear.to_json()).unwrap();
        let mut claims: serde_json::Value = serde_json::from_str(&claims).unwrap();
        claims.as_object_mut().unwrap().remove("exp");
        for submodule in claims["submods"].as_object_mut().unwrap().values_mut() {
            submodule.as_object_mut().unwrap().retain(|name, _| !name.contains("policy"));
        }
        Ear::from_json(claims.to_string().as_bytes()).unwrap()
    };
    let (good, veraison) = (ear(Names::Draft), ear(Names::Veraison));
    let expired = Ear { expires_at: Some(NOW as i64), ..good.clone() };
    let vectors = vec![
        ("good.jwt", good.to_jwt(sign).unwrap().into_bytes()),
        ("good.cwt", good.to_cwt(sign).unwrap()),
        ("expired.jwt", expired.to_jwt(sign).unwrap().into_bytes()),
        ("veraison.jwt", veraison.to_jwt(sign).unwrap().into_bytes()),
        ("verifier.pem", common::x509::pem("PUBLIC KEY", &common::x509::spki(&verifier)).into()),
        ("verifier-private.pem", common::x509::pem("PRIVATE KEY", &private_key(&verifier)).into()),
    ];
    common::compare_with_vectors("ear", vectors);
}

/// A P-256 key as PKCS#8, without its public half.
fn private_key(signer: &Signer) -> Vec<u8> {
    const BEFORE_SCALAR: &str =
        "3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420";
    let Signer::P256(key) = signer else { panic!() };
    let before = data_encoding::HEXLOWER.decode(BEFORE_SCALAR.as_bytes()).unwrap();
    [&before[..], &key.to_bytes()].concat()
}
