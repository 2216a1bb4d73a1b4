// SPDX-License-Identifier: Apache-2.0
//! Evidence of several tokens, and what it travels in: CCA in both wrappers, key
//! attestation bundles, CMW; and ECDSA nonces used twice.

mod common;

use std::sync::LazyLock;

use common::cbor::Value::{self, Array, Bytes, Int, Map, Tag, Text};
use common::{NONCE, RFC_9783, Signer, cose_key, later_claims, sign, token};
use devid_verifier::json::ReportJson;
use devid_verifier::policy::NonceReuse;
use devid_verifier::reuse::SignatureMemory;
use devid_verifier::{
    Appraisal, BoundChallenge, Challenge, Check, CheckResult, KeySet, Policy, Report, TrustAnchors,
    UnixTime, Verdict, Verifier, cmw,
};
use sha2::{Digest, Sha256, Sha512};

const CHALLENGE: [u8; 64] = [0xc5; 64];

const PROFILES: [&str; 3] = [
    "http://arm.com/CCA-SSD/1.0.0",
    "tag:arm.com,2023:cca_platform#1.0.0",
    "tag:arm.com,2024:cca_platform#2.0.0",
];

fn verify<'t>(evidence: &'t [u8], challenge: &[u8]) -> Report<'t> {
    verify_under(evidence, Challenge::Expected(challenge))
}

static KEYS: LazyLock<KeySet> = LazyLock::new(|| {
    let mut keys = KeySet::default();
    keys.add_public(Signer::p256("iak").public());
    keys.add_public(Signer::p384("iak").public());
    keys
});

fn verify_under<'t>(evidence: &'t [u8], challenge: Challenge<'_>) -> Report<'t> {
    let policy = Policy { at: UnixTime::now(), allow_development_key: false };
    let anchors = TrustAnchors::default();
    Verifier { keys: &*KEYS, anchors: &anchors, policy, appraisal: Appraisal::default() }
        .verify(evidence, challenge)
}

#[track_caller]
fn failed(report: &Report<'_>, check: Check) {
    assert_eq!(report.outcome(check).result, CheckResult::Fail, "{report:?}");
    assert_eq!(report.verdict(), Verdict::Fail);
}

/// A claims map under construction.
type Claims = Vec<(Value, Value)>;

fn platform_claims(profile: &'static str, challenge: Vec<u8>) -> Claims {
    let component = Map(vec![(Int(2), Bytes(vec![0x33; 32])), (Int(5), Bytes(vec![0x44; 32]))]);
    vec![
        (Int(265), Text(profile)),
        (Int(10), Bytes(challenge)),
        (Int(256), Bytes(Signer::p256("iak").instance_id())),
        (Int(2396), Bytes(vec![0x11; 32])),
        (Int(2401), Bytes(vec![1, 2, 3])),
        (Int(2395), Int(0x3000)),
        (Int(2402), Text("sha-256")),
        (Int(2399), Array(vec![component])),
    ]
}

fn realm_claims(rak: Vec<u8>) -> Claims {
    vec![
        (Int(10), Bytes(CHALLENGE.to_vec())),
        (Int(44235), Bytes(vec![0x66; 64])),
        (Int(44236), Text("sha-256")),
        (Int(44237), Bytes(rak)),
        (Int(44238), Bytes(vec![0x77; 32])),
        (Int(44239), Array(vec![Bytes(vec![0; 32]); 4])),
        (Int(44240), Text("sha-512")),
    ]
}

/// RAK under each realm profile, in the form that goes with it.
fn raks() -> [(Vec<u8>, Claims); 3] {
    let signer = Signer::p384("rak");
    let named = |profile| vec![(Int(265), Text(profile))];
    let mut second = named("tag:arm.com,2024:realm#2.0.0");
    second.extend([(Int(256), Bytes(vec![1; 33])), (Int(44243), Int(0))]);
    [
        (signer.point(), vec![]),
        (cose_key(&signer).encode(), named("tag:arm.com,2023:realm#1.0.0")),
        (cose_key(&signer).encode(), second),
    ]
}

fn legacy(platform: Vec<u8>, realm: Vec<u8>) -> Vec<u8> {
    let tokens = vec![(Int(44234), Bytes(platform)), (Int(44241), Bytes(realm))];
    Tag(399, Box::new(Map(tokens))).encode()
}

fn current(platform: Vec<u8>, realm: Vec<u8>) -> Vec<u8> {
    let record = |token| Array(vec![Int(263), Bytes(token)]);
    let tokens = vec![(Int(44234), record(platform)), (Int(44241), record(realm))];
    Tag(907, Box::new(Map(tokens))).encode()
}

fn tokens(change: impl Fn(&mut Claims, &mut Claims)) -> [Vec<u8>; 2] {
    tokens_of(PROFILES[0], &raks()[0], &Signer::p384("rak"), change)
}

fn tokens_of(
    profile: &'static str,
    (rak, named): &(Vec<u8>, Claims),
    signer: &Signer,
    change: impl Fn(&mut Claims, &mut Claims),
) -> [Vec<u8>; 2] {
    let mut platform = platform_claims(profile, Sha512::digest(rak).to_vec());
    let mut realm = [realm_claims(rak.clone()), named.clone()].concat();
    change(&mut platform, &mut realm);
    [sign(&Signer::p256("iak"), vec![], platform), sign(signer, vec![], realm)]
}

fn set(claims: &mut Claims, key: i64, value: Value) {
    claims.retain(|(known, _)| *known != Int(key));
    claims.push((Int(key), value));
}

#[test]
fn passes_cca_of_every_profile_in_both_wrappers() {
    for profile in PROFILES {
        for rak in raks() {
            let is_unnamed = rak.1.is_empty();
            let [platform, realm] = tokens_of(profile, &rak, &Signer::p384("rak"), |_, _| ());
            for wrap in [legacy, current] {
                let evidence = wrap(platform.clone(), realm.clone());
                let report = verify(&evidence, &CHALLENGE);
                if is_unnamed && profile != PROFILES[0] {
                    // Neither token says by which rules the realm's claims are made.
                    failed(&report, Check::Profile);
                    continue;
                }
                assert_eq!(report.verdict(), Verdict::Pass, "{report:?}");
                assert_eq!(report.profile_name(), Some(profile));
                assert_eq!(report.nonce, Some(&CHALLENGE[..]));
                for check in [Check::Binding, Check::InstanceId, Check::Lifecycle] {
                    assert_eq!(report.outcome(check).result, CheckResult::Pass, "{check:?}");
                }
            }
        }
    }
}

#[test]
fn takes_a_realms_key_on_p384_in_the_form_of_its_profile_alone() {
    let [(point, unnamed), (key, first), (_, second)] = raks();
    let p256 = Signer::p256("rak");
    let p384 = Signer::p384("rak");
    let with = |more: (Value, Value)| {
        let Map(mut entries) = cose_key(&p384) else { panic!("a map") };
        entries.push(more);
        Map(entries).encode()
    };
    let detail = |rak: &(Vec<u8>, Claims), signer: &Signer| {
        let [platform, realm] = tokens_of(PROFILES[0], rak, signer, |_, _| ());
        let evidence = legacy(platform, realm);
        let report = verify(&evidence, &CHALLENGE);
        (report.verdict(), report.outcome(Check::Signature).detail.to_string())
    };
    let other_curve = "realm: its key: not a key on P-384";
    let broken = "realm: its key: broken COSE_Key";
    let no_point = "realm: its key: not a key on P-256, P-384 or P-521";
    for (rak, signer, expected) in [
        ((point.clone(), first.clone()), &p384, broken),
        ((point.clone(), second.clone()), &p384, broken),
        ((key.clone(), unnamed.clone()), &p384, no_point),
        ((p256.point(), unnamed.clone()), &p256, other_curve),
        ((cose_key(&p256).encode(), first.clone()), &p256, other_curve),
        ((cose_key(&p256).encode(), second.clone()), &p256, other_curve),
        ((Signer::p521("rak").point(), unnamed), &Signer::p521("rak"), other_curve),
        (
            (with((Int(3), Int(-7))), first.clone()),
            &p384,
            "realm: its key: the key is not for verifying ECDSA signatures on its curve",
        ),
        (
            (with((Int(4), Array(vec![Int(1)]))), first.clone()),
            &p384,
            "realm: its key: the key is not for verifying ECDSA signatures on its curve",
        ),
    ] {
        assert_eq!(detail(&rak, signer), (Verdict::Fail, expected.to_owned()));
    }
    for rak in [with((Int(3), Int(-35))), with((Int(4), Array(vec![Int(2)])))] {
        assert_eq!(detail(&(rak, first.clone()), &p384).0, Verdict::Pass);
    }
}

#[test]
fn wants_measurements_as_long_as_their_hash() {
    let verdict = |change: &dyn Fn(&mut Claims, &mut Claims)| {
        let [platform, realm] = tokens(change);
        let evidence = current(platform, realm);
        let report = verify(&evidence, &CHALLENGE);
        assert_eq!(report.outcome(Check::Claims).failed(), report.verdict() == Verdict::Fail);
        report.verdict()
    };
    let registers = |initial, extensible: [usize; 4], hash| {
        verdict(&move |_, realm| {
            set(realm, 44236, Text(hash));
            set(realm, 44238, Bytes(vec![1; initial]));
            set(realm, 44239, Array(extensible.map(|length| Bytes(vec![2; length])).to_vec()));
        })
    };
    for (hash, length) in [("sha-256", 32), ("sha-384", 48), ("sha-512", 64)] {
        for other in [20, 28, 31, 32, 33, 48, 64, 65] {
            // RMM's registers have 64 bytes, and some send them whole.
            let is_right = other == length || other == 64;
            let expected = if is_right { Verdict::Pass } else { Verdict::Fail };
            assert_eq!(registers(other, [other; 4], hash), expected, "{hash} {other}");
        }
    }
    assert_eq!(registers(32, [32, 32, 64, 32], "sha-256"), Verdict::Fail);
    assert_eq!(registers(64, [32; 4], "sha-256"), Verdict::Fail);
    assert_eq!(registers(32, [32; 4], "sha-255"), Verdict::Fail);
    assert_eq!(registers(32, [32; 4], ""), Verdict::Fail);

    let component = |length: usize, own: Option<&'static str>| {
        let mut entries = vec![(Int(2), Bytes(vec![3; length])), (Int(5), Bytes(vec![4; 32]))];
        entries.extend(own.map(|name| (Int(6), Text(name))));
        Map(entries)
    };
    let platform = |hash, components: Vec<Value>| {
        verdict(&move |platform, _| {
            set(platform, 2402, Text(hash));
            set(platform, 2399, Array(components.clone()));
        })
    };
    assert_eq!(platform("sha-256", vec![component(32, None)]), Verdict::Pass);
    assert_eq!(platform("sha-512", vec![component(64, None)]), Verdict::Pass);
    assert_eq!(platform("sha-256", vec![component(48, Some("sha-384"))]), Verdict::Pass);
    assert_eq!(platform("sha-256", vec![component(48, None)]), Verdict::Fail);
    assert_eq!(platform("sha-256", vec![component(32, Some("sha-512"))]), Verdict::Fail);
    assert_eq!(platform("sha-256", vec![component(32, Some("other"))]), Verdict::Fail);
    assert_eq!(platform("other", vec![component(32, None)]), Verdict::Fail);
    let mixed = vec![component(32, None), component(64, None)];
    assert_eq!(platform("sha-256", mixed), Verdict::Fail);
}

#[test]
fn refuses_a_realm_that_the_platform_does_not_vouch_for() {
    let stranger = Signer::p384("stranger").point();
    let [platform, realm] = tokens(|platform, _| {
        set(platform, 10, Bytes(Sha512::digest(&stranger).to_vec()));
    });
    failed(&verify(&legacy(platform, realm), &CHALLENGE), Check::Binding);
    // Another hash than the realm names.
    let [platform, realm] = tokens(|_, realm| set(realm, 44240, Text("sha-256")));
    failed(&verify(&legacy(platform, realm), &CHALLENGE), Check::Binding);
    let [platform, realm] = tokens(|_, realm| set(realm, 44240, Text("md5")));
    failed(&verify(&legacy(platform, realm), &CHALLENGE), Check::Binding);
}

#[test]
fn refuses_a_realm_that_its_key_did_not_sign() {
    let [platform, mut realm] = tokens(|_, _| ());
    *realm.last_mut().unwrap() ^= 1;
    failed(&verify(&legacy(platform.clone(), realm), &CHALLENGE), Check::Signature);
    let impostor = sign(&Signer::p384("stranger"), vec![], realm_claims(raks()[0].0.clone()));
    failed(&verify(&legacy(platform.clone(), impostor), &CHALLENGE), Check::Signature);
    // A key of another curve than alg wants.
    let [platform, realm] = tokens(|platform, realm| {
        let point = Signer::p256("rak").point();
        set(platform, 10, Bytes(Sha512::digest(&point).to_vec()));
        set(realm, 44237, Bytes(point));
    });
    failed(&verify(&legacy(platform, realm), &CHALLENGE), Check::Signature);
}

#[test]
fn refuses_a_platform_that_nobody_trusts_whatever_the_realm_says() {
    let [_, realm] = tokens(|_, _| ());
    let rak = &raks()[0].0;
    let claims = platform_claims(PROFILES[0], Sha512::digest(rak).to_vec());
    let platform = sign(&Signer::p256("stranger"), vec![], claims);
    failed(&verify(&legacy(platform, realm.clone()), &CHALLENGE), Check::Signature);
    // Nor does a PSA token stand in for a platform's.
    let psa = later_claims(RFC_9783, Signer::p256("iak").instance_id());
    let psa = sign(&Signer::p256("iak"), vec![], psa);
    failed(&verify(&legacy(psa, realm), &CHALLENGE), Check::Profile);
}

#[test]
fn compares_the_challenge_with_the_realm_alone() {
    let [platform, realm] = tokens(|_, _| ());
    let evidence = legacy(platform.clone(), realm);
    failed(&verify(&evidence, &[0; 64]), Check::Challenge);
    let rak = &raks()[0].0;
    failed(&verify(&evidence, &Sha512::digest(rak)), Check::Challenge);
    // A platform token alone answers its own challenge.
    let report = verify(&platform, &Sha512::digest(rak));
    assert_eq!(report.verdict(), Verdict::Pass, "{report:?}");
    assert_eq!(report.outcome(Check::Binding).result, CheckResult::NotPerformed);
}

#[test]
fn refuses_cca_claims_against_the_rules() {
    type Change = fn(&mut Claims, &mut Claims);
    let changes: [Change; 17] = [
        |platform, _| platform.retain(|(key, _)| *key != Int(2401)),
        |platform, _| platform.retain(|(key, _)| *key != Int(2402)),
        |platform, _| platform.retain(|(key, _)| *key != Int(2396)),
        |platform, _| set(platform, 2399, Array(vec![])),
        |platform, _| set(platform, 2395, Int(0x7000)),
        |platform, _| set(platform, 256, Bytes(vec![2; 33])),
        |platform, _| set(platform, 2396, Bytes(vec![0; 31])),
        |_, realm| set(realm, 10, Bytes(vec![0; 32])),
        |_, realm| set(realm, 44235, Bytes(vec![0; 63])),
        |_, realm| set(realm, 44239, Array(vec![Bytes(vec![0; 32]); 3])),
        |_, realm| set(realm, 44238, Bytes(vec![0; 20])),
        |_, realm| realm.retain(|(key, _)| *key != Int(44236)),
        |_, realm| realm.push((Int(44236), Text("sha-256"))),
        |_, realm| realm.push((Int(10), Bytes(vec![0; 64]))),
        |_, realm| realm.push((Int(256), Bytes(vec![2; 33]))),
        |_, realm| realm.push((Int(44243), Int(2))),
        // Without instance id and MEC policy.
        |_, realm| realm.push((Int(265), Text("tag:arm.com,2024:realm#2.0.0"))),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let [platform, realm] = tokens(change);
        let evidence = current(platform, realm);
        let report = verify(&evidence, &CHALLENGE);
        assert!(report.outcome(Check::Claims).failed(), "{index}: {report:?}");
        assert_eq!(report.verdict(), Verdict::Fail);
    }
    let [platform, realm] = tokens(|platform, _| set(platform, 265, Text("tag:arm.com,1999:x")));
    failed(&verify(&legacy(platform, realm), &CHALLENGE), Check::Profile);
    let [platform, realm] = tokens(|_, realm| set(realm, 265, Text("tag:arm.com,1999:x")));
    failed(&verify(&legacy(platform, realm), &CHALLENGE), Check::Profile);
}

#[test]
fn refuses_wrappers_that_are_not_what_they_say() {
    let [platform, realm] = tokens(|_, _| ());
    let pair =
        |platform: Value, realm: Value| Map(vec![(Int(44234), platform), (Int(44241), realm)]);
    let (p, r) = (Bytes(platform.clone()), Bytes(realm.clone()));
    let record = |value: &Value| Array(vec![Int(263), value.clone()]);
    let raw = |token: &[u8]| Array(vec![Int(263), Value::Raw(token.to_vec())]);
    for wrong in [
        Tag(399, Box::new(Map(vec![(Int(44234), p.clone())]))),
        Tag(399, Box::new(pair(record(&p), record(&r)))),
        Tag(399, Box::new(Map(vec![(Int(44234), p.clone()), (Int(44234), p.clone())]))),
        Tag(907, Box::new(pair(p.clone(), r.clone()))),
        Tag(907, Box::new(pair(raw(&platform), raw(&realm)))),
        Tag(907, Box::new(Map(vec![(Int(44234), record(&p))]))),
        Tag(907, Box::new(record(&p))),
        Tag(908, Box::new(pair(record(&p), record(&r)))),
    ] {
        failed(&verify(&wrong.encode(), &CHALLENGE), Check::Decode);
    }
    // Of a PSA profile neither is.
    let psa = |value: &Value| Array(vec![Int(10003), value.clone()]);
    let named = Tag(907, Box::new(pair(psa(&p), psa(&r)))).encode();
    assert_eq!(verify(&named, &CHALLENGE).verdict(), Verdict::Fail);
    let mut trailing = legacy(platform, realm);
    trailing.push(0);
    failed(&verify(&trailing, &CHALLENGE), Check::Decode);
}

/// A key attestation bundle, with KAK and the nonce of the platform's token.
fn bundle(kak: &Signer, signer: &Signer, bound: &[u8], more: Claims) -> Vec<u8> {
    let nonce = vec![(Int(10), Bytes(NONCE.to_vec()))];
    bundle_with(kak, signer, bound, [nonce, more].concat())
}

fn bundle_with(kak: &Signer, signer: &Signer, bound: &[u8], more: Claims) -> Vec<u8> {
    let mut claims = vec![
        (Int(8), Map(vec![(Int(1), cose_key(&Signer::p256("attested")))])),
        (Int(2500), cose_key(kak)),
    ];
    claims.extend(more);
    let kat = sign(signer, vec![], claims);
    let iak = Signer::p256("iak");
    let mut platform = later_claims(RFC_9783, iak.instance_id());
    set(&mut platform, 10, Bytes(bound.to_vec()));
    let record = |token| Array(vec![Text("application/eat+cwt"), Bytes(token)]);
    Map(vec![
        (Text("kat"), record(kat)),
        (Text("pat"), record(sign(&iak, vec![], platform))),
        (Text("__cmwc_t"), Text("tag:ietf.org,2024-02-29:rats/kat")),
    ])
    .encode()
}

#[test]
fn follows_a_key_attestation_from_the_platform_to_the_key() {
    let kak = Signer::p256("kak");
    let hash = cose_key(&kak).encode();
    for bound in [Sha256::digest(&hash).to_vec(), Sha512::digest(&hash).to_vec()] {
        let evidence = bundle(&kak, &kak, &bound, vec![]);
        let report = verify(&evidence, &NONCE);
        assert_eq!(report.verdict(), Verdict::Pass, "{report:?}");
        let attested = report.key_attestation.unwrap().attested_key;
        assert_eq!(attested, cose_key(&Signer::p256("attested")).encode());
        failed(&verify(&evidence, &[0; 32]), Check::Challenge);
        failed(&verify(&evidence, &bound), Check::Challenge);
    }
    let bound = Sha256::digest(&hash);
    failed(&verify(&bundle(&kak, &kak, &[1; 32], vec![]), &NONCE), Check::Binding);
    let stranger = Signer::p256("stranger");
    failed(&verify(&bundle(&kak, &stranger, &bound, vec![]), &NONCE), Check::Signature);
    failed(&verify(&bundle(&stranger, &stranger, &bound, vec![]), &NONCE), Check::Binding);
    let twice = vec![(Int(10), Bytes(NONCE.to_vec()))];
    failed(&verify(&bundle(&kak, &kak, &bound, twice), &NONCE), Check::Decode);
}

#[test]
fn evidence_of_several_tokens_vouches_for_no_key_of_the_verifiers_choice() {
    let kak = Signer::p256("kak");
    let hash = Sha256::digest(cose_key(&kak).encode());
    let [platform, realm] = tokens(|_, _| ());
    let key = kak.public();
    for (evidence, challenge) in
        [(bundle(&kak, &kak, &hash, vec![]), &NONCE[..]), (legacy(platform, realm), &CHALLENGE)]
    {
        assert_eq!(verify(&evidence, challenge).verdict(), Verdict::Pass);
        let bound = BoundChallenge::new(challenge, &key).unwrap();
        let report = verify_under(&evidence, Challenge::Bound(bound));
        failed(&report, Check::Binding);
        assert!(report.outcome(Check::Challenge).passed());
    }
    // The bound nonce itself: a bundle can have it where its challenge stands, signed by KAK.
    let bound = BoundChallenge::new(&[7; 32], &key).unwrap();
    let nonce = vec![(Int(10), Bytes(bound.nonce().to_vec()))];
    let evidence = bundle_with(&kak, &kak, &hash, nonce);
    failed(&verify_under(&evidence, Challenge::Bound(bound)), Check::Binding);
}

#[test]
fn looks_into_wrappers_of_every_form_and_no_deeper_than_it_must() {
    let iak = Signer::p256("iak");
    let inner = token(&iak);
    let record =
        |media: Value, more: Vec<Value>| Array([vec![media, Bytes(inner.clone())], more].concat());
    let collection = |member: Value| Map(vec![(Text("x"), member)]);
    let eat = || record(Int(263), vec![]);
    for good in [
        eat(),
        record(Int(10003), vec![]),
        record(Text("application/eat+cwt"), vec![Int(4)]),
        record(
            Text(r#"application/eat+cwt; eat_profile="tag:psacertified.org,2023:psa#tfm""#),
            vec![],
        ),
        Tag(1_668_546_817 + 263, Box::new(Bytes(inner.clone()))),
        collection(eat()),
        collection(collection(eat())),
        Map(vec![(Int(1), eat()), (Int(2), eat()), (Text("__cmwc_t"), Text("tag:x"))]),
        // What is no evidence is not looked at.
        Map(vec![(Int(1), eat()), (Int(2), Array(vec![Int(263), Bytes(vec![1]), Int(1)]))]),
    ] {
        let evidence = good.encode();
        let report = verify(&evidence, &NONCE);
        assert_eq!(report.verdict(), Verdict::Pass, "{good:?}: {report:?}");
    }
    let nested = (0..5).fold(eat(), |inner, _| collection(inner));
    for wrong in [
        record(Int(10004), vec![]),
        record(Text("application/json"), vec![]),
        record(Int(263), vec![Int(0)]),
        record(Int(263), vec![Int(1)]),
        record(Int(263), vec![Int(4), Int(4)]),
        Array(vec![Int(263)]),
        Array(vec![Int(263), Text("x")]),
        Array(vec![Bytes(vec![]), Bytes(inner.clone())]),
        Tag(1_668_546_817, Box::new(Bytes(inner.clone()))),
        Map(vec![]),
        Map(vec![(Int(1), eat()), (Int(1), eat())]),
        Map(vec![(Bytes(vec![1]), eat())]),
        collection(Int(1)),
        nested,
    ] {
        let evidence = wrong.encode();
        assert_eq!(verify(&evidence, &NONCE).verdict(), Verdict::Fail, "{wrong:?}");
    }
}

#[test]
fn reads_base64url_in_json_with_padding_and_without() {
    for length in 1..4 {
        let bytes = vec![0xfb; length];
        let convert = |text: String| {
            cmw::to_cbor(format!(r#"[263,"{text}"]"#).into_bytes().into()).map(|cbor| cbor.to_vec())
        };
        let expected = Array(vec![Int(263), Bytes(bytes.clone())]).encode();
        let padded = data_encoding::BASE64URL.encode(&bytes);
        let bare = data_encoding::BASE64URL_NOPAD.encode(&bytes);
        assert_eq!(convert(padded.clone()), Ok(expected.clone()));
        assert_eq!(convert(bare), Ok(expected));
        assert!(convert(format!("{padded}=")).is_err());
        assert!(convert(data_encoding::BASE64.encode(&bytes)).is_err());
    }
}

#[test]
fn refuses_a_json_collection_with_a_label_twice() {
    let record =
        |token: &[u8]| format!(r#"[263,"{}"]"#, data_encoding::BASE64URL_NOPAD.encode(token));
    let good = record(&token(&Signer::p256("iak")));
    let other = record(b"whatever");
    let convert = |text: String| cmw::to_cbor(text.into_bytes().into()).map(|cbor| cbor.to_vec());
    let collection = convert(format!(r#"{{"a":{good},"b":{good}}}"#)).unwrap();
    assert_eq!(verify(&collection, &NONCE).verdict(), Verdict::Pass);
    for twice in [
        format!(r#"{{"a":{good},"a":{good}}}"#),
        format!(r#"{{"a":{other},"a":{good}}}"#),
        format!(r#"{{"a":{good},"\u0061":{other}}}"#),
        format!(r#"{{"a":{{"b":{good},"b":{other}}}}}"#),
        format!(r#"{{"__cmwc_t":"tag:x","__cmwc_t":"tag:y","a":{good}}}"#),
    ] {
        assert!(convert(twice.clone()).unwrap_err().contains("duplicate key"), "{twice}");
    }
}

#[test]
fn a_collection_passes_when_all_of_it_does() {
    let good = token(&Signer::p256("iak"));
    let mut forged = good.clone();
    *forged.last_mut().unwrap() ^= 1;
    let record = |token| Array(vec![Int(263), Bytes(token)]);
    let evidence = Map(vec![(Text("a"), record(good)), (Text("b"), record(forged))]).encode();
    let report = verify(&evidence, &NONCE);
    failed(&report, Check::Signature);
    assert_eq!(report.outcome(Check::Signature).detail, "b: not made by the trusted key");
    assert!(report.claims.is_none() && report.signature_use.is_none());
}

#[test]
fn no_truncation_and_no_changed_bit_makes_other_evidence_pass() {
    let mut raks = raks().into_iter();
    let [old, middle, new] = PROFILES
        .map(|profile| tokens_of(profile, &raks.next().unwrap(), &Signer::p384("rak"), |_, _| ()));
    let kak = Signer::p256("kak");
    let bound = Sha256::digest(cose_key(&kak).encode());
    for (mut evidence, challenge) in [
        (legacy(old[0].clone(), old[1].clone()), &CHALLENGE[..]),
        (current(middle[0].clone(), middle[1].clone()), &CHALLENGE),
        (current(new[0].clone(), new[1].clone()), &CHALLENGE),
        (bundle(&kak, &kak, &bound, vec![]), &NONCE),
    ] {
        let said = |evidence: &[u8]| {
            let report = verify(evidence, challenge);
            let json = serde_json::to_string(&ReportJson::new("", &report)).unwrap();
            (report.verdict(), json)
        };
        let good = said(&evidence);
        assert_eq!(good.0, Verdict::Pass);
        for end in 0..evidence.len() {
            assert_eq!(said(&evidence[..end]).0, Verdict::Fail, "{end} bytes");
        }
        for bit in 0..evidence.len() * 8 {
            evidence[bit / 8] ^= 1 << (bit % 8);
            // A media type is the same in capitals; nothing else is.
            let now = said(&evidence);
            assert!(now.0 == Verdict::Fail || now == good, "bit {bit}: {now:?}");
            evidence[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

/// P-256 signing with a nonce of the caller's choice, as a broken board does.
fn sign_with_nonce(claims: Claims, nonce: u8) -> Vec<u8> {
    use p256::elliptic_curve::PrimeField;
    use p256::elliptic_curve::ops::Reduce;
    use p256::elliptic_curve::point::AffineCoordinates;
    let Signer::P256(key) = Signer::p256("iak") else { unreachable!() };
    let payload = Map(claims).encode();
    let protected = Map(vec![(Int(1), Int(-7))]).encode();
    let signed = Array(vec![
        Text("Signature1"),
        Bytes(protected.clone()),
        Bytes(vec![]),
        Bytes(payload.clone()),
    ]);
    let k = p256::Scalar::from(u64::from(nonce));
    let point = (p256::ProjectivePoint::GENERATOR * k).to_affine();
    let r = <p256::Scalar as Reduce<p256::FieldBytes>>::reduce(&point.x());
    let z = <p256::Scalar as Reduce<p256::FieldBytes>>::reduce(&Sha256::digest(signed.encode()));
    let s = k.invert().unwrap() * (z + r * key.as_nonzero_scalar().as_ref());
    let signature = [r.to_repr(), s.to_repr()].concat();
    let parts = vec![Bytes(protected), Map(vec![]), Bytes(payload), Bytes(signature)];
    Tag(18, Box::new(Array(parts))).encode()
}

#[test]
fn tells_an_ecdsa_nonce_that_was_used_twice() {
    let claims = |seed: u8| {
        let mut claims = later_claims(RFC_9783, Signer::p256("iak").instance_id());
        claims.push((Int(2397), Bytes(vec![seed; 32])));
        claims
    };
    let (first, second) = (sign_with_nonce(claims(1), 7), sign_with_nonce(claims(2), 7));
    let other = sign_with_nonce(claims(3), 8);
    let mut memory = SignatureMemory::default();
    let mut check = |token: &[u8], stance| {
        let mut report = verify(token, &NONCE);
        assert!(report.outcome(Check::Signature).passed(), "{report:?}");
        memory.check(&mut report, stance);
        (report.outcome(Check::NonceReuse).result, report.verdict())
    };
    use CheckResult::{Fail, NotPerformed, Pass};
    assert_eq!(check(&first, NonceReuse::Refuse), (NotPerformed, Verdict::Pass));
    assert_eq!(check(&first, NonceReuse::Refuse), (Pass, Verdict::Pass));
    assert_eq!(check(&other, NonceReuse::Refuse), (Pass, Verdict::Pass));
    assert_eq!(check(&second, NonceReuse::Refuse), (Fail, Verdict::Fail));
    assert_eq!(check(&second, NonceReuse::Report), (NotPerformed, Verdict::Pass));

    // What is not signed by a trusted key is not remembered.
    let mut forged = second.clone();
    *forged.last_mut().unwrap() ^= 1;
    let mut report = verify(&forged, &NONCE);
    SignatureMemory::default().check(&mut report, NonceReuse::Refuse);
    assert_eq!(report.outcome(Check::NonceReuse).result, NotPerformed);
}

/// Two tokens of the key that differ, by the nonces given.
fn signed_with(nonces: [u8; 2]) -> [Vec<u8>; 2] {
    [1, 2].map(|at| {
        let mut claims = later_claims(RFC_9783, Signer::p256("iak").instance_id());
        claims.push((Int(2397), Bytes(vec![at; 32])));
        sign_with_nonce(claims, nonces[usize::from(at) - 1])
    })
}

fn collection(members: &[&[u8]]) -> Vec<u8> {
    let member = |(at, token): (usize, &&[u8])| {
        (Int(at as i64), Array(vec![Int(263), Bytes(token.to_vec())]))
    };
    Map(members.iter().enumerate().map(member).collect()).encode()
}

#[test]
fn tells_an_ecdsa_nonce_that_was_used_twice_within_a_collection() {
    let result = |evidence: &[u8]| {
        let report = verify(evidence, &NONCE);
        assert!(report.outcome(Check::Signature).passed(), "{report:?}");
        (report.outcome(Check::NonceReuse).result, report.verdict())
    };
    let [first, second] = signed_with([7, 7]);
    let [_, other] = signed_with([7, 8]);
    let reused = (CheckResult::Fail, Verdict::Fail);
    assert_eq!(result(&collection(&[&first, &second])), reused);
    assert_eq!(result(&collection(&[&second, &other, &first])), reused);
    assert_eq!(result(&collection(&[&first, &other])), (CheckResult::Pass, Verdict::Pass));
    assert_eq!(result(&collection(&[&first, &first])), (CheckResult::Pass, Verdict::Pass));
    // Nested, and in a record of a collection.
    let nested = Map(vec![
        (Text("a"), Array(vec![Int(263), Bytes(first.clone())])),
        (Text("b"), Map(vec![(Int(1), Array(vec![Int(263), Bytes(second.clone())]))])),
    ]);
    assert_eq!(result(&nested.encode()), reused);
    // The first signature of one of two keys was compared with nothing.
    let other_key = token(&Signer::p384("iak"));
    let alone = (CheckResult::NotPerformed, Verdict::Pass);
    assert_eq!(result(&collection(&[&first, &other_key])), alone);
}

#[test]
fn tells_an_ecdsa_nonce_that_was_used_twice_across_collections() {
    let [first, second] = signed_with([7, 7]);
    let [_, other] = signed_with([7, 8]);
    let other_key = token(&Signer::p384("iak"));
    for (earlier, later) in [
        (collection(&[&first, &other_key]), collection(&[&second, &other_key])),
        (first.clone(), collection(&[&other, &second])),
        (collection(&[&other_key, &first]), second.clone()),
    ] {
        let mut memory = SignatureMemory::default();
        let mut check = |evidence: &[u8]| {
            let mut report = verify(evidence, &NONCE);
            memory.check(&mut report, NonceReuse::Refuse);
            report.verdict()
        };
        assert_eq!(check(&earlier), Verdict::Pass);
        assert_eq!(check(&earlier), Verdict::Pass);
        assert_eq!(check(&later), Verdict::Fail);
    }
}

#[test]
fn tells_an_ecdsa_nonce_that_the_keys_beside_tokens_used_twice() {
    // The platform's key attests a key, and signs both tokens with one nonce.
    let iak = Signer::p256("iak");
    let bound = Sha256::digest(cose_key(&iak).encode());
    let with = |nonces: [u8; 2]| {
        let mut platform = later_claims(RFC_9783, iak.instance_id());
        set(&mut platform, 10, Bytes(bound.to_vec()));
        let kat = vec![
            (Int(10), Bytes(NONCE.to_vec())),
            (Int(8), Map(vec![(Int(1), cose_key(&Signer::p256("attested")))])),
            (Int(2500), cose_key(&iak)),
        ];
        let member = |token| Array(vec![Int(263), Bytes(token)]);
        let bundle = Map(vec![
            (Text("__cmwc_t"), Text("tag:ietf.org,2024-02-29:rats/kat")),
            (Text("kat"), member(sign_with_nonce(kat, nonces[0]))),
            (Text("pat"), member(sign_with_nonce(platform, nonces[1]))),
        ]);
        let encoded = bundle.encode();
        let report = verify(&encoded, &NONCE);
        assert!(report.outcome(Check::Signature).passed(), "{report:?}");
        report.outcome(Check::NonceReuse).result
    };
    assert_eq!(with([7, 8]), CheckResult::Pass);
    assert_eq!(with([7, 7]), CheckResult::Fail);
}
