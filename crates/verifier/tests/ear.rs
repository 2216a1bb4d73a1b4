// SPDX-License-Identifier: Apache-2.0
//! Attestation results: what they say of a report, and which are believed.

mod common;

use std::path::{Path, PathBuf};
use std::time::Duration;

use common::cbor::Value::{self, Array, Bytes, Int, Map, Raw, Tag, Text};
use common::x509::{CA, LEAF, root};
use common::{NONCE, RFC_9783, Signer, cose_key, later_claims, token, token_with_chain};
use data_encoding::BASE64URL_NOPAD;
use devid_core::token::LifecycleState;
use devid_verifier::ear::{self, Aspect, Demand, Ear, Issuance, Names, Tier, VerifierId};
use devid_verifier::endorsements::{EndorsedKey, ReferenceValue};
use devid_verifier::keys::PublicKey;
use devid_verifier::reuse::Sighting;
use devid_verifier::{
    Appraisal, AppraisalPolicy, BoundChallenge, Challenge, Check, DocumentCheck, DocumentReport,
    Endorsements, KeySet, Policy, TrustAnchors, UnixTime, Verdict, Verifier,
};
use serde_json::json;
use sha2::{Digest, Sha256};

/// In 2026.
const NOW: u64 = 1_795_000_000;

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

/// How a verification is set up: by default in a way that affirms a good token.
struct Setup<'a> {
    names: Names,
    policy: Option<&'a str>,
    /// Whether somebody endorses the keys that are trusted.
    keys_are_endorsed: bool,
    has_reference_values: bool,
    /// Trusted beside that of the IAK.
    keys: Vec<PublicKey>,
    anchors: TrustAnchors,
    challenge: Challenge<'a>,
    allow_development_key: bool,
    lifecycles: &'a [LifecycleState],
    nonce_reuse: Option<Sighting>,
    bound_key: Option<&'a PublicKey>,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Self {
            names: Names::Draft,
            policy: None,
            keys_are_endorsed: true,
            has_reference_values: true,
            keys: vec![],
            anchors: TrustAnchors::default(),
            challenge: Challenge::Expected(&NONCE),
            allow_development_key: false,
            lifecycles: &[],
            nonce_reuse: None,
            bound_key: None,
        }
    }
}

impl Setup<'_> {
    fn endorsements(&self) -> Endorsements {
        let mut endorsements = Endorsements::default();
        for name in ["BL", "SPE"].into_iter().filter(|_| self.has_reference_values) {
            let value = ReferenceValue {
                implementation_id: [0x11; 32],
                name: Some(name.into()),
                version: None,
                signer_id: None,
                digests: vec![vec![0x33; 32]],
            };
            endorsements.add_reference_value(value).unwrap();
        }
        if self.keys_are_endorsed {
            for signer in [Signer::p256("iak"), Signer::simulator()] {
                let key = EndorsedKey {
                    implementation_id: [0x11; 32],
                    instance_id: signer.instance_id().try_into().unwrap(),
                    key: signer.public(),
                };
                endorsements.add_key(key).unwrap();
            }
        }
        endorsements
    }

    /// The result for evidence.
    fn result(self, evidence: &[u8]) -> Ear {
        let endorsements = self.endorsements();
        let mut keys = KeySet::default();
        keys.add_public(Signer::p256("iak").public());
        keys.add_public(Signer::simulator().public());
        self.keys.into_iter().for_each(|key| keys.add_public(key));
        let policy = self.policy.map(|text| AppraisalPolicy::from_toml(text.as_bytes()).unwrap());
        let verifier = Verifier {
            keys: &keys,
            anchors: &self.anchors,
            policy: Policy { at: at(NOW), allow_development_key: self.allow_development_key },
            appraisal: Appraisal {
                policy: policy.as_ref(),
                endorsements: Some(&endorsements),
                lifecycles: self.lifecycles,
            },
        };
        let mut report = verifier.verify(evidence, self.challenge);
        if let Some(sighting) = self.nonce_reuse {
            let stance = policy.as_ref().map(|policy| policy.nonce_reuse).unwrap_or_default();
            report.set(Check::NonceReuse, sighting.outcome(stance));
        }
        let issuance = Issuance {
            names: self.names,
            at: at(NOW),
            lifetime_seconds: 60,
            verifier_id: VerifierId { developer: "us".into(), build: "devid 1".into() },
            nonce: Some(&NONCE),
            policy_id: Some("https://example.com/policy"),
            bound_key: self.bound_key,
        };
        Ear::new(&report, &issuance)
    }
}

/// The result for a token that is verified under a policy.
fn result(token: &[u8], names: Names, policy: Option<&str>) -> Ear {
    Setup { names, policy, ..Setup::default() }.result(token)
}

fn good() -> Ear {
    result(&token(&Signer::p256("iak")), Names::Draft, None)
}

/// A token with another lifecycle.
fn in_lifecycle(lifecycle: i64) -> Vec<u8> {
    let iak = Signer::p256("iak");
    let mut claims = later_claims(RFC_9783, iak.instance_id());
    claims
        .iter_mut()
        .filter(|(key, _)| *key == Int(2395))
        .for_each(|(_, value)| *value = Int(lifecycle));
    common::sign(&iak, vec![], claims)
}

fn sign(message: &[u8]) -> Result<[u8; 64], std::convert::Infallible> {
    Ok(Signer::p256("verifier").sign(message).try_into().unwrap())
}

fn verify(document: &[u8], time: u64) -> DocumentReport<Ear> {
    demanded(document, &Demand::affirming(at(time)))
}

fn demanded(document: &[u8], demand: &Demand<'_>) -> DocumentReport<Ear> {
    ear::verify(document, &[Signer::p256("verifier").public()], demand)
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
        json!({"instance-identity": 2, "configuration": 2, "executables": 3, "hardware": 2})
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
        (token(&Signer::simulator()), None, [Some(96), Some(2), Some(3), None]),
        (iak.clone(), Some("client-id.non-secure = false"), [Some(2), Some(96), Some(3), None]),
        (in_lifecycle(0x1000), None, [Some(2), Some(96), Some(3), None]),
        (
            iak.clone(),
            Some("lifecycles = ['non-psa-rot-debug']"),
            [Some(2), Some(96), Some(3), None],
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

/// Row by row as docs/attestation-results.md has it: what lowers the status of a
/// verdict that passes, and the claim that says so.
#[test]
fn affirms_nothing_that_was_let_through_or_not_performed() {
    let iak = || token(&Signer::p256("iak"));
    let debug = [LifecycleState::NonPsaRotDebug, LifecycleState::AssemblyAndTest];
    let two = [0x0000, 0x1000, 0x2000].map(in_lifecycle);
    let report = Some("nonce-reuse = 'report'");
    let other = "[software]\nunexpected = 'accept'";
    let vector = |ear: &Ear| {
        let vector = ear.submodules[0].1.trust_vector;
        [Aspect::InstanceIdentity, Aspect::Configuration, Aspect::Executables, Aspect::Hardware]
            .map(|aspect| vector.claim(aspect).unwrap())
    };
    let check = |setup: Setup<'_>, token: &[u8], expected: [i8; 4], let_through: &[&str]| {
        let ear = setup.result(token);
        assert_eq!(ear.status(), Tier::Warning, "{let_through:?} {ear:?}");
        assert_eq!(vector(&ear), expected, "{let_through:?}");
        let claims: serde_json::Value = serde_json::from_slice(&ear.to_json()).unwrap();
        let named = claims["submods"]["PSA"]["ear_veraison_policy_claims"]["devid-let-through"]
            .as_array()
            .map(|names| names.iter().map(|name| name.as_str().unwrap()).collect::<Vec<_>>());
        assert_eq!(named.unwrap_or_default(), let_through);
    };
    let base = Setup::default;
    // A key that everybody has, and no freshness.
    let everybody = token(&Signer::simulator());
    check(
        Setup { allow_development_key: true, ..base() },
        &everybody,
        [0, 2, 3, 0],
        &["development-key"],
    );
    check(Setup { challenge: Challenge::Any, ..base() }, &iak(), [2, 2, 3, 2], &["challenge"]);
    check(
        Setup { allow_development_key: true, challenge: Challenge::Any, ..base() },
        &everybody,
        [0, 2, 3, 0],
        &["challenge", "development-key"],
    );
    // Lifecycles, by the policy and by option.
    let all = "lifecycles = ['unknown', 'assembly-and-test', 'psa-rot-provisioning']";
    for token in &two {
        let setup = Setup { policy: Some(all), ..base() };
        check(setup, token, [2, 32, 3, 2], &["lifecycle"]);
    }
    for lifecycle in [0x4012, 0x1000] {
        let setup = Setup { lifecycles: &debug, ..base() };
        check(setup, &in_lifecycle(lifecycle), [2, 32, 3, 2], &["lifecycle"]);
    }
    // An ECDSA nonce used twice.
    let reused = Setup { policy: report, nonce_reuse: Some(Sighting::Reused), ..base() };
    check(reused, &iak(), [0, 2, 3, 0], &["nonce-reuse"]);
    // No reference value, with a policy for software or without.
    let bare = || Setup { has_reference_values: false, ..base() };
    check(bare(), &iak(), [2, 2, 0, 2], &[]);
    let floor = "[software.minimum-versions]\nSPE = '1.0.0'";
    check(Setup { policy: Some(floor), ..bare() }, &iak(), [2, 2, 0, 2], &["software"]);
    // Software that no reference value names.
    let mut claims = later_claims(RFC_9783, Signer::p256("iak").instance_id());
    let unexpected = Map(vec![
        (Int(1), Text("NSPE")),
        (Int(2), Bytes(vec![0x99; 32])),
        (Int(5), Bytes(vec![0x44; 32])),
    ]);
    if let Some((_, Array(components))) = claims.iter_mut().find(|(key, _)| *key == Int(2399)) {
        components.push(unexpected);
    }
    let more = common::sign(&Signer::p256("iak"), vec![], claims);
    check(Setup { policy: Some(other), ..base() }, &more, [2, 2, 0, 2], &["software"]);
}

/// A key that somebody gave says nothing of the hardware; the maker's CA does.
#[test]
fn affirms_hardware_by_a_path_or_an_endorsement_alone() {
    let hardware = |setup: Setup<'_>, token: &[u8]| {
        let ear = setup.result(token);
        (ear.status(), ear.submodules[0].1.trust_vector.claim(Aspect::Hardware).unwrap())
    };
    let iak = Signer::p256("iak");
    let unendorsed = || Setup { keys_are_endorsed: false, ..Setup::default() };
    assert_eq!(hardware(unendorsed(), &token(&iak)), (Tier::Affirming, 0));
    assert_eq!(hardware(Setup::default(), &token(&iak)), (Tier::Affirming, 2));

    let ca = Signer::p256("root");
    let mut anchors = TrustAnchors::default();
    anchors.add(&root(&CA, &ca)).unwrap();
    let chain = [LEAF.issue(&iak, ("Root", &ca))];
    let setup = Setup { anchors, ..unendorsed() };
    assert_eq!(hardware(setup, &token_with_chain(&iak, &chain)), (Tier::Affirming, 2));
}

/// A bundle's platform token answers a plain hash, for which everybody can ask.
#[test]
fn warns_of_a_key_attestation_bundle_and_names_its_key() {
    let (kak, attested) = (Signer::p256("kak"), Signer::p384("attested"));
    let iak = Signer::p256("iak");
    let cnf = Map(vec![(Int(1), cose_key(&attested))]);
    let kat = vec![(Int(10), Bytes(NONCE.to_vec())), (Int(8), cnf), (Int(2500), cose_key(&kak))];
    let mut platform = later_claims(RFC_9783, iak.instance_id());
    platform[1].1 = Bytes(Sha256::digest(cose_key(&kak).encode()).to_vec());
    let record = |token| Array(vec![Text("application/eat+cwt"), Bytes(token)]);
    let bundle = Map(vec![
        (Text("__cmwc_t"), Text("tag:ietf.org,2024-02-29:rats/kat")),
        (Text("kat"), record(common::sign(&kak, vec![], kat))),
        (Text("pat"), record(common::sign(&iak, vec![], platform))),
    ]);
    for names in [Names::Draft, Names::Veraison] {
        let ear = Setup { names, ..Setup::default() }.result(&bundle.encode());
        assert_eq!(ear.status(), Tier::Warning, "{ear:?}");
        assert_eq!(ear.nonce.as_deref(), Some(&NONCE[..]));
        let key = &ear.submodules[0].1.vouched_key;
        assert_eq!(key.as_deref(), Some(&attested.public().spki()[..]));
        assert_eq!(Ear::from_json(&ear.to_json()).unwrap(), ear);
        assert_eq!(Ear::from_cbor(&ear.to_cbor()).unwrap(), ear);
        let claims = String::from_utf8(ear.to_json()).unwrap();
        let name = ["ear_veraison_key_attestation", "ear.veraison.key-attestation"]
            [usize::from(names == Names::Veraison)];
        let encoded = BASE64URL_NOPAD.encode(&attested.public().spki());
        assert!(claims.contains(&format!(r#""{name}":{{"akpub":"{encoded}"}}"#)), "{claims}");
    }
}

#[test]
fn names_the_key_that_bound_evidence_vouches_for_and_none_that_it_does_not() {
    let (iak, key) = (Signer::p256("iak"), Signer::p256("ldevid").public());
    let bound = BoundChallenge::new(&NONCE, &key).unwrap();
    let mut claims = later_claims(RFC_9783, iak.instance_id());
    claims[1].1 = Bytes(bound.nonce().to_vec());
    let token = common::sign(&iak, vec![], claims);
    let setup = |challenge| Setup { challenge, bound_key: Some(&key), ..Setup::default() };
    let ear = setup(Challenge::Bound(bound)).result(&token);
    assert_eq!(ear.status(), Tier::Affirming);
    assert_eq!(ear.submodules[0].1.vouched_key.as_deref(), Some(&key.spki()[..]));
    let other = BoundChallenge::new(&[7; 32], &key).unwrap();
    let ear = setup(Challenge::Bound(other)).result(&token);
    assert_eq!(ear.status(), Tier::Contraindicated);
    assert_eq!(ear.submodules[0].1.vouched_key, None);
}

#[test]
fn takes_results_for_their_reader_and_as_young_as_they_must_be() {
    let demand = Demand::affirming(at(NOW + 10));
    let document = |ear: &Ear| ear.to_jwt(sign).unwrap().into_bytes();
    let failed = |ear: &Ear, demand: Demand<'_>| {
        let report = demanded(&document(ear), &demand);
        let failed = report.outcomes().find(|(_, outcome)| outcome.failed());
        failed.map(|(check, outcome)| (check, outcome.detail.to_string()))
    };
    let because = |check, reason: &str| Some((check, reason.to_owned()));
    use DocumentCheck::{Audience, Nonce, Status, Validity};

    let good = good();
    assert_eq!(failed(&good, demand), None);
    for nonce in [Some(&NONCE[..]), None] {
        assert_eq!(failed(&good, Demand { nonce, ..demand }), None);
    }
    let other = Demand { nonce: Some(&NONCE[..31]), ..demand };
    assert_eq!(failed(&good, other), because(Nonce, "it answers another nonce"));
    let silent = Ear { nonce: None, ..good.clone() };
    let asked = Demand { nonce: Some(&NONCE), ..demand };
    assert_eq!(failed(&silent, asked), because(Nonce, "it has no nonce"));

    let endless = Ear { expires_at: None, ..good.clone() };
    assert_eq!(failed(&endless, demand), None);
    for (max_age, reason) in [(9, Some("issued 10 seconds ago")), (10, None)] {
        let demand = Demand { max_age_seconds: Some(max_age), ..demand };
        let expected = reason.and_then(|reason| because(Validity, reason));
        assert_eq!(failed(&endless, demand), expected);
        assert_eq!(failed(&good, demand), expected);
    }
    for (ahead, reason) in [(60, None), (61, Some("issued in the future"))] {
        let ahead = Ear { issued_at: NOW as i64 + 10 + ahead, ..endless.clone() };
        let demand = Demand { max_age_seconds: Some(5), ..demand };
        assert_eq!(failed(&ahead, demand), reason.and_then(|reason| because(Validity, reason)));
    }
    let bounds = |expires_at, not_before| Ear { expires_at, not_before, ..good.clone() };
    let now = NOW as i64 + 10;
    assert_eq!(failed(&bounds(Some(now + 1), Some(now)), demand), None);
    let expired = because(Validity, "it has expired");
    assert_eq!(failed(&bounds(Some(now), None), demand), expired);
    let early = because(Validity, "not yet valid");
    assert_eq!(failed(&bounds(None, Some(now + 1)), demand), early);

    let is_for = |names: &[&str]| Ear {
        audience: Some(names.iter().map(|&name| name.into()).collect()),
        ..good.clone()
    };
    let us = Demand { audience: Some("us"), ..demand };
    assert_eq!(failed(&is_for(&["us"]), us), None);
    assert_eq!(failed(&is_for(&["them", "us"]), us), None);
    let others = because(Audience, "it is for others");
    for names in [&["US"][..], &["them"], &[]] {
        assert_eq!(failed(&is_for(names), us), others);
        assert_eq!(failed(&is_for(names), demand), others);
    }
    assert_eq!(failed(&good, us), because(Audience, "it names no audience"));
    let claims = String::from_utf8(good.to_json()).unwrap();
    let one = claims.replacen(r#""exp":"#, r#""aud":"us","exp":"#, 1);
    let one = jwt(&Signer::p256("verifier"), r#"{"alg":"ES256"}"#, &one);
    assert_eq!(demanded(&one, &us).verdict(), Verdict::Pass);

    let tiers = [Tier::Affirming, Tier::Warning, Tier::None, Tier::Contraindicated];
    for (require, passes) in [
        (Tier::Affirming, [true, false, false, false]),
        (Tier::Warning, [true, true, false, false]),
        (Tier::Contraindicated, [true; 4]),
    ] {
        for (tier, passes) in tiers.into_iter().zip(passes) {
            let mut ear = good.clone();
            ear.submodules[0].1.status = tier;
            ear.submodules[0].1.trust_vector = Default::default();
            let reason = format!("{}, where {} is required", tier.name(), require.name());
            let expected = if passes { None } else { because(Status, &reason) };
            assert_eq!(failed(&ear, Demand { require, ..demand }), expected);
        }
    }
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
            let report = ear::verify(&document, keys, &Demand::affirming(at(NOW)));
            report.outcome(DocumentCheck::Signature).clone()
        };
        assert!(signature(&[]).failed());
        assert!(signature(&[Signer::p256("other").public()]).failed());
        assert!(signature(&[Signer::p384("verifier").public()]).failed());
        assert!(
            signature(&[Signer::p256("other").public(), Signer::p256("verifier").public()])
                .passed()
        );
        assert_eq!(verify(&document, NOW + 59).verdict(), Verdict::Pass);
        let expired = verify(&document, NOW + 60);
        assert!(expired.outcome(DocumentCheck::Validity).failed());
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
            let demand = Demand::affirming(at(NOW));
            let report = ear::verify(&document, &[signer.public()], &demand);
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
        (r#""affirming""#, r#""warning""#, DocumentCheck::Status),
        (r#""affirming""#, r#""none""#, DocumentCheck::Status),
        (r#""exp":"#, r#""aud":"somebody","exp":"#, DocumentCheck::Audience),
        (r#""exp":"#, r#""aud":1,"exp":"#, DocumentCheck::Claims),
        (r#""exp":"#, r#""aud":["a",1],"exp":"#, DocumentCheck::Claims),
        (r#""executables":3"#, r#""executables":128"#, DocumentCheck::Claims),
        (r#""executables":3"#, r#""executables":33"#, DocumentCheck::Claims),
        (r#""executables":3"#, r#""executables":-128"#, DocumentCheck::Claims),
        (r#""executables":3"#, r#""executables":"0""#, DocumentCheck::Claims),
        (r#""executables":3"#, r#""execution":0"#, DocumentCheck::Claims),
        (r#"["https://example.com/policy"]"#, "[]", DocumentCheck::Claims),
        (r#"["https://example.com/policy"]"#, r#""p""#, DocumentCheck::Claims),
        (r#""eat_nonce":""#, r#""eat_nonce":"!"#, DocumentCheck::Claims),
        (r#""eat_nonce":"#, r#""eat_nonce":"AAAA","x":"#, DocumentCheck::Claims),
        (r#""eat_nonce":"#, r#""eat_nonce":["AAAAAAAAAAAA"],"x":"#, DocumentCheck::Claims),
    ] {
        assert!(claims.contains(from), "{from} is not in {claims}");
        refused(header, &claims.replacen(from, to, 1), check);
    }
    // Unknown claims are ignored, and a number is whole however it is written:
    // Veraison's verifiers write 1.795e+09.
    for (from, to) in
        [("{", r#"{"unknown":[1.5,null,true],"#), (r#""iat":1795000000"#, r#""iat":1.795e+09"#)]
    {
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
        let report = ear::verify(&read(name), &keys, &Demand::affirming(at(NOW)));
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
