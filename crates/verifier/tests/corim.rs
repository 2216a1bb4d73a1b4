// SPDX-License-Identifier: Apache-2.0
//! CoRIMs: what is taken from good ones, and what must not be taken from bad.

mod common;

use std::path::{Path, PathBuf};
use std::time::Duration;

use common::Signer;
use common::cbor::Value::{self, Array, Bytes, Int, Map, Raw, Tag, Text};
use common::x509::LEAF;
use devid_verifier::corim::{self, Corim, CorimProfile};
use devid_verifier::keys::{Hint, KeySource, PublicKey};
use devid_verifier::{DocumentCheck, DocumentReport, Endorsements, Purpose, UnixTime, Verdict};

const IMPLEMENTATION: [u8; 32] = [0x1d; 32];
const PSA: &str = "tag:arm.com,2025:psa#1.0.0";
const IOT: &str = "http://arm.com/psa/iot/1";

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

fn tagged(tag: u64, value: Value) -> Value {
    Tag(tag, Box::new(value))
}

fn pair(first: Value, second: Value) -> Value {
    Array(vec![first, second])
}

fn map<const N: usize>(entries: [(i64, Value); N]) -> Value {
    Map(entries.map(|(key, value)| (Int(key), value)).into())
}

fn class(tag: u64, id: &[u8]) -> (i64, Value) {
    (0, map([(0, tagged(tag, Bytes(id.to_vec())))]))
}

fn text(text: String) -> Value {
    let mut encoded = Value::encode(&Bytes(text.into_bytes()));
    encoded[0] |= 0x20; // major type 3
    Raw(encoded)
}

/// The mval of a software component.
fn values(digest: u8) -> [(i64, Value); 4] {
    [
        (0, map([(0, Text("1.2.3"))])),
        (2, Array(vec![pair(Text("sha-256"), Bytes(vec![digest; 32]))])),
        (11, Text("BL2")),
        (13, Array(vec![tagged(560, Bytes(vec![0x51; 32]))])),
    ]
}

fn component<const N: usize>(values: [(i64, Value); N]) -> Value {
    map([(0, Text("psa.software-component")), (1, map(values))])
}

fn reference(measurements: Vec<Value>) -> Value {
    pair(map([class(560, &IMPLEMENTATION)]), Array(measurements))
}

fn pem(signer: &Signer) -> String {
    common::x509::pem("PUBLIC KEY", &common::x509::spki(signer))
}

fn key_of(signer: &Signer, instance: &[u8]) -> Value {
    let environment =
        map([class(560, &IMPLEMENTATION), (1, tagged(550, Bytes(instance.to_vec())))]);
    pair(environment, Array(vec![tagged(554, text(pem(signer)))]))
}

fn comid<const N: usize>(triples: [(i64, Value); N]) -> Value {
    let comid = map([(1, map([(0, Text("a CoMID"))])), (4, map(triples))]);
    tagged(506, Bytes(comid.encode()))
}

fn manifest(profile: &'static str, comids: Vec<Value>, more: Vec<(i64, Value)>) -> Value {
    let mut entries = vec![
        (Int(0), Text("a CoRIM")),
        (Int(1), Array(comids)),
        (Int(3), tagged(32, Text(profile))),
    ];
    entries.extend(more.into_iter().map(|(key, value)| (Int(key), value)));
    tagged(501, Map(entries))
}

/// One reference value and one key.
fn whole(signer: &Signer) -> Value {
    let triples = comid([
        (0, Array(vec![reference(vec![component(values(1))])])),
        (3, Array(vec![key_of(signer, &signer.instance_id())])),
    ]);
    manifest(PSA, vec![triples], vec![])
}

fn references(measurements: Vec<Value>) -> Vec<u8> {
    manifest(PSA, vec![comid([(0, Array(vec![reference(measurements)]))])], vec![]).encode()
}

fn keys(triple: Value) -> Vec<u8> {
    manifest(PSA, vec![comid([(3, Array(vec![triple]))])], vec![]).encode()
}

fn meta(validity: (i64, i64)) -> Value {
    let time = |seconds| tagged(1, Int(seconds));
    map([
        (0, map([(0, Text("a signer"))])),
        (1, map([(0, time(validity.0)), (1, time(validity.1))])),
    ])
}

/// A protected header's entries.
type Header = Vec<(i64, Value)>;

fn protected(signer: &Signer) -> Header {
    vec![
        (1, Int(signer.algorithm())),
        (3, Text("application/rim+cbor")),
        (8, Bytes(meta((1000, 2000)).encode())),
    ]
}

fn sign(signer: &Signer, protected: Header, payload: &[u8]) -> Vec<u8> {
    let header = Map(protected.into_iter().map(|(key, value)| (Int(key), value)).collect());
    let header = header.encode();
    let to_be_signed = Array(vec![
        Text("Signature1"),
        Bytes(header.clone()),
        Bytes(vec![]),
        Bytes(payload.to_vec()),
    ]);
    let signature = signer.sign(&to_be_signed.encode());
    tagged(18, Array(vec![Bytes(header), Map(vec![]), Bytes(payload.to_vec()), Bytes(signature)]))
        .encode()
}

fn unsigned(document: &[u8]) -> DocumentReport<Corim> {
    corim::verify(document, &[], at(1500))
}

#[track_caller]
fn taken(document: &[u8]) -> Corim {
    unsigned(document).into_content().unwrap()
}

#[track_caller]
fn refused(document: &[u8], reason: &str) {
    let report = unsigned(document);
    assert_eq!(report.verdict(), Verdict::Fail);
    let found = report.into_content().err().unwrap();
    assert!(found.contains(reason), "{found:?} instead of {reason:?}");
}

#[test]
fn takes_reference_values_and_keys() {
    let iak = Signer::p256("iak");
    let document = whole(&iak).encode();
    let corim = taken(&document);
    assert_eq!(corim.profile, CorimProfile::Psa2025);
    assert!(!corim.is_signed);
    let [value] = &corim.reference_values[..] else { panic!() };
    assert_eq!(value.implementation_id, IMPLEMENTATION);
    assert_eq!((value.name.as_deref(), value.version.as_deref()), (Some("BL2"), Some("1.2.3")));
    assert_eq!(value.signer_id.as_deref(), Some(&[0x51; 32][..]));
    assert_eq!(value.digests, [[1; 32]]);
    let [key] = &corim.keys[..] else { panic!() };
    assert_eq!(key.implementation_id, IMPLEMENTATION);
    assert_eq!(key.key.id(), iak.public().id());
}

#[test]
fn takes_the_profile_before_with_its_own_tags_and_keys() {
    let iak = Signer::p256("iak");
    let id = tagged(601, map([(1, Text("BL2")), (4, Text("1.2.3")), (5, Bytes(vec![0x51; 32]))]));
    let digests = Array(vec![pair(Int(1), Bytes(vec![1; 32]))]);
    let environment = || map([class(600, &IMPLEMENTATION)]);
    let instance = map([class(600, &IMPLEMENTATION), (1, tagged(550, Bytes(iak.instance_id())))]);
    let bare = pem(&iak).lines().filter(|line| !line.starts_with('-')).collect();
    let first_key = map([(0, text(bare))]);
    for (index, key, number) in [(0, tagged(554, text(pem(&iak))), 3), (1, first_key, 2)] {
        let triples = comid([
            (
                0,
                Array(vec![pair(
                    environment(),
                    Array(vec![map([(0, id.clone()), (1, map([(2, digests.clone())]))])]),
                )]),
            ),
            (number, Array(vec![pair(instance.clone(), Array(vec![key]))])),
        ]);
        let corim = taken(&manifest(IOT, vec![triples], vec![]).encode());
        assert_eq!(corim.profile, CorimProfile::PsaIot);
        assert_eq!((corim.reference_values.len(), corim.keys.len()), (1, 1), "{index}");
        assert_eq!(corim.keys[0].key.id(), iak.public().id());
        assert_eq!(corim.reference_values[0].version.as_deref(), Some("1.2.3"));
    }
}

/// An identity's key, in whatever form, is none that verifies tokens.
#[test]
fn takes_identity_key_triples_for_identities() {
    let (iak, idevid) = (Signer::p256("iak"), Signer::p256("idevid"));
    let leaf = LEAF.issue(&idevid, ("Root", &Signer::p256("root")));
    let certificate = || text(common::x509::pem("CERTIFICATE", &leaf));
    let triple = |key: Value| match key_of(&idevid, &idevid.instance_id()) {
        Array(mut pair) => {
            pair[1] = Array(vec![key]);
            Array(pair)
        }
        other => other,
    };
    let spki = || tagged(554, text(pem(&idevid)));
    let first = || map([(0, text(pem(&idevid)))]);
    let attest = || (3, Array(vec![key_of(&iak, &iak.instance_id())]));
    for (index, profile, key) in [
        (0, PSA, spki()),
        (1, PSA, tagged(555, certificate())),
        (2, PSA, tagged(556, certificate())),
        (3, IOT, spki()),
    ] {
        let triples = comid([(2, Array(vec![triple(key)])), attest()]);
        let corim = taken(&manifest(profile, vec![triples], vec![]).encode());
        assert_eq!((corim.keys.len(), corim.identities.len()), (1, 1), "{index}");
        assert_eq!(corim.identities[0].id(), idevid.public().id());

        let mut endorsements = Endorsements::default();
        corim.add_to(&mut endorsements).unwrap();
        assert_eq!(endorsements.purpose(idevid.public().id()), Some(Purpose::Identity));
        assert_eq!(endorsements.purpose(iak.public().id()), Some(Purpose::Attestation));
        let instance: [u8; 33] = idevid.instance_id().try_into().unwrap();
        assert!(endorsements.key(&instance).is_none());
    }
    // Before keys had tags, identities stood under the number of attestation keys.
    let triples = comid([(3, Array(vec![triple(first())]))]);
    let corim = taken(&manifest(IOT, vec![triples], vec![]).encode());
    assert_eq!((corim.keys.len(), corim.identities.len()), (0, 1));

    // What cannot be read is no attestation key either.
    let triples = comid([(2, Array(vec![triple(tagged(557, Int(1)))]))]);
    let corim = taken(&manifest(PSA, vec![triples], vec![]).encode());
    assert_eq!((corim.keys.len(), corim.identities.len(), corim.ignored), (0, 0, 1));

    let both = comid([(2, Array(vec![key_of(&iak, &iak.instance_id())])), attest()]);
    let report = corim::verify(&manifest(PSA, vec![both], vec![]).encode(), &[], at(0));
    let detail = &report.outcome(DocumentCheck::Claims).detail;
    assert!(detail.starts_with("one key for attestation and for an identity"), "{detail}");
}

#[test]
fn takes_nothing_from_other_profiles() {
    let triples = comid([(0, Array(vec![reference(vec![component(values(1))])]))]);
    let corim = taken(&manifest("https://example.com/other", vec![triples], vec![]).encode());
    assert_eq!(corim.profile, CorimProfile::Other(Some("https://example.com/other".into())));
    assert!(corim.reference_values.is_empty() && corim.keys.is_empty());
    assert_eq!(corim.ignored, 1);
}

#[test]
fn refuses_reference_values_that_break_the_profile() {
    let replaced = |key: i64, value: Value| {
        let mut entries = values(1);
        for entry in &mut entries {
            if entry.0 == key {
                entry.1 = value.clone();
            }
        }
        references(vec![component(entries)])
    };
    let digest = |algorithm: Value, length: usize| pair(algorithm, Bytes(vec![1; length]));
    let signer = || tagged(560, Bytes(vec![0x51; 32]));
    for (document, reason) in [
        (replaced(2, Array(vec![])), "missing"),
        (replaced(2, Array(vec![digest(Text("sha-256"), 31)])), "another length"),
        (replaced(2, Array(vec![digest(Text("md5"), 16)])), "not 32, 48 or 64"),
        (replaced(2, Array(vec![digest(Int(7), 32)])), "another length"),
        (
            replaced(2, Array(vec![digest(Text("sha-256"), 32), digest(Int(1), 32)])),
            "two digests under one algorithm",
        ),
        (replaced(2, digest(Text("sha-256"), 32)), "digest"),
        (replaced(13, Array(vec![])), "missing"),
        (replaced(13, Array(vec![signer(), signer()])), "more than one signer-id"),
        (replaced(13, Array(vec![tagged(560, Bytes(vec![1; 31]))])), "signer-id is not"),
        (replaced(13, Array(vec![tagged(554, Text("x"))])), "not tagged bytes"),
        (replaced(0, map([(0, Text("1")), (1, Int(16384))])), "version-scheme"),
        (replaced(0, map([(0, Int(1))])), "wrong type"),
        (replaced(11, Bytes(vec![1])), "wrong type"),
        (references(vec![map([(0, Text("psa.other")), (1, map(values(1)))])]), "mkey"),
        (references(vec![map([(1, map(values(1)))])]), "mkey"),
        (references(vec![map([(0, Text("psa.software-component"))])]), "no values"),
        (
            references(vec![map([
                (0, Text("psa.software-component")),
                (1, map(values(1))),
                (2, Array(vec![signer()])),
            ])]),
            "authorized-by",
        ),
        (references(vec![]), "missing"),
        (references(vec![component([(1, tagged(552, Int(3)))])]), "no signer-id"),
        (
            references(vec![component([
                values(1)[1].clone(),
                values(1)[3].clone(),
                (1, tagged(553, Int(3))),
            ])]),
            "values that the profile does not have",
        ),
    ] {
        refused(&document, reason);
    }
    let in_environment = |environment: Value| {
        let triple = pair(environment, Array(vec![component(values(1))]));
        manifest(PSA, vec![comid([(0, Array(vec![triple]))])], vec![]).encode()
    };
    let instance = || tagged(550, Bytes([&[1][..], &[7; 32]].concat()));
    for (environment, reason) in [
        (map([class(560, &[1; 31])]), "not 32 bytes"),
        (map([class(600, &IMPLEMENTATION)]), "no implementation-id"),
        (map([class(37, &[1; 16])]), "no implementation-id"),
        (map([(0, map([(1, Text("a vendor"))]))]), "no implementation-id"),
        (map([]), "empty environment"),
        (map([class(560, &IMPLEMENTATION), (1, instance())]), "one instance"),
        (map([class(560, &IMPLEMENTATION), (2, tagged(560, Bytes(vec![1])))]), "a group"),
    ] {
        refused(&in_environment(environment), reason);
    }
}

#[test]
fn refuses_keys_that_break_the_profile() {
    let iak = Signer::p256("iak");
    let instance = iak.instance_id();
    let environment = |instance: &[u8]| {
        map([class(560, &IMPLEMENTATION), (1, tagged(550, Bytes(instance.to_vec())))])
    };
    let key = || tagged(554, text(pem(&iak)));
    let with = |key: Value| keys(pair(environment(&instance), Array(vec![key])));
    let mut not_random = instance.clone();
    not_random[0] = 2;
    let certificate = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
    for (document, reason) in [
        (keys(pair(environment(&instance), Array(vec![key(), key()]))), "not exactly one key"),
        (keys(pair(environment(&instance), Array(vec![]))), "missing"),
        (keys(pair(environment(&instance[..32]), Array(vec![key()]))), "instance-id"),
        (keys(pair(environment(&not_random), Array(vec![key()]))), "instance-id"),
        (keys(pair(map([class(560, &IMPLEMENTATION)]), Array(vec![key()]))), "without an instance"),
        (keys(Array(vec![environment(&instance), Array(vec![key()]), map([])])), "conditions"),
        (with(tagged(555, Text(certificate))), "not a PEM public key"),
        (with(tagged(554, Text(certificate))), "not a PEM public key"),
        (with(tagged(554, Text("AAAA"))), "key"),
        (with(tagged(554, Bytes(vec![1]))), "not a PEM public key"),
        (with(Text("no tag")), "wrong type"),
    ] {
        refused(&document, reason);
    }
}

#[test]
fn refuses_contradictions() {
    let (iak, other) = (Signer::p256("iak"), Signer::p256("other"));
    let instance = iak.instance_id();
    let two = vec![key_of(&iak, &instance), key_of(&other, &instance)];
    let document = manifest(PSA, vec![comid([(3, Array(two))])], vec![]).encode();
    refused(&document, "contradicting keys for instance 01");
    let document = references(vec![component(values(1)), component(values(2))]);
    refused(&document, "contradicting reference values for BL2 1.2.3");
    let same = references(vec![component(values(1)), component(values(1))]);
    assert_eq!(taken(&same).reference_values.len(), 2);

    // Across documents too.
    let mut endorsements = Endorsements::default();
    taken(&whole(&iak).encode()).add_to(&mut endorsements).unwrap();
    taken(&whole(&iak).encode()).add_to(&mut endorsements).unwrap();
    let contradicting = taken(&keys(key_of(&other, &instance)));
    assert!(contradicting.add_to(&mut endorsements).is_err());
}

#[test]
fn refuses_repeats_of_any_key() {
    let triples = || comid([(0, Array(vec![reference(vec![component(values(1))])]))]);
    refused(
        &manifest(PSA, vec![triples()], vec![(3, tagged(32, Text(IOT)))]).encode(),
        "duplicate",
    );
    refused(
        &manifest(PSA, vec![triples()], vec![(-1, Int(1)), (-1, Int(1))]).encode(),
        "duplicate",
    );
    let [version, digests, name, signer] = values(1);
    let twice = [version, digests.clone(), name, signer, digests];
    refused(&references(vec![component(twice)]), "duplicate");
}

#[test]
fn refuses_what_is_no_corim() {
    let triples = || vec![comid([(0, Array(vec![reference(vec![component(values(1))])]))])];
    let time = |seconds| tagged(1, Int(seconds));
    for (document, reason) in [
        (vec![], "truncated"),
        (tagged(501, Map(vec![])).encode(), "without an id"),
        (tagged(501, map([(0, Text("x"))])).encode(), "without tags"),
        (tagged(501, map([(0, Bytes(vec![1; 15])), (1, Array(triples()))])).encode(), "UUID"),
        (tagged(501, map([(0, Int(1)), (1, Array(triples()))])).encode(), "wrong type"),
        (tagged(777, map([(0, Text("x"))])).encode(), "not tagged as a CoRIM"),
        (manifest(PSA, vec![tagged(506, Bytes(vec![0xa0]))], vec![]).encode(), "no tag-identity"),
        (manifest(PSA, vec![comid([])], vec![]).encode(), "no triples"),
        (manifest(PSA, triples(), vec![(4, map([(0, time(5))]))]).encode(), "no end"),
        (
            manifest(PSA, triples(), vec![(4, map([(0, time(5)), (1, time(4))]))]).encode(),
            "ends before it starts",
        ),
        (manifest(PSA, triples(), vec![(4, map([(1, Int(5))]))]).encode(), "wrong type"),
        (vec![0xd9, 0x01, 0xf5, 0xbf, 0xff], "indefinite"),
        (vec![0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "wrong type"),
        ([&[0xd9, 1, 0xf5, 0xa1, 0x18, 99][..], &[0x81; 5000]].concat(), "too deep"),
    ] {
        refused(&document, reason);
    }
    let mut longer = whole(&Signer::p256("iak")).encode();
    longer.push(0);
    refused(&longer, "trailing");
    refused(&vec![0; corim::MAX_CORIM_LEN + 1], "longer than any");
}

#[test]
fn refuses_every_truncation_and_survives_every_flip() {
    let iak = Signer::p256("iak");
    let signer = Signer::p256("endorser");
    let payload = whole(&iak).encode();
    let signed = sign(&signer, protected(&signer), &payload);
    for end in 0..payload.len() {
        assert_eq!(unsigned(&payload[..end]).verdict(), Verdict::Fail, "{end}");
    }
    for end in 0..signed.len() {
        let report = corim::verify(&signed[..end], &[signer.public()], at(1500));
        assert_eq!(report.verdict(), Verdict::Fail, "{end}");
    }
    for index in 0..signed.len() {
        let mut flipped = signed.clone();
        flipped[index] ^= 1 << (index % 8);
        let report = corim::verify(&flipped, &[signer.public()], at(1500));
        assert_eq!(report.verdict(), Verdict::Fail, "{index}");
    }
    for index in 0..payload.len() {
        let mut flipped = payload.clone();
        flipped[index] ^= 1 << (index % 8);
        let _ = unsigned(&flipped);
    }
}

#[test]
fn believes_a_signature_of_a_signer_alone_and_in_its_time() {
    let iak = Signer::p256("iak");
    let payload = whole(&iak).encode();
    for signer in [Signer::p256("e"), Signer::p384("e"), Signer::p521("e")] {
        let document = sign(&signer, protected(&signer), &payload);
        let verify = |signers: &[PublicKey], time| corim::verify(&document, signers, at(time));
        let good = verify(&[Signer::p256("x").public(), signer.public()], 1500);
        assert_eq!(good.verdict(), Verdict::Pass, "{:?}", good.into_content().err());
        assert!(good.into_content().unwrap().is_signed);
        let failed = |report: DocumentReport<Corim>, check| report.outcome(check).failed();
        assert!(failed(verify(&[], 1500), DocumentCheck::Signature));
        assert!(failed(verify(&[iak.public()], 1500), DocumentCheck::Signature));
        assert!(failed(verify(&[signer.public()], 999), DocumentCheck::Validity));
        assert!(failed(verify(&[signer.public()], 2001), DocumentCheck::Validity));
    }
    let unsigned = corim::verify(&payload, &[Signer::p256("e").public()], at(1500));
    assert!(unsigned.outcome(DocumentCheck::Signature).failed());
}

#[test]
fn refuses_headers_that_do_not_say_what_and_who() {
    let signer = Signer::p256("endorser");
    let payload = whole(&Signer::p256("iak")).encode();
    let claims = |end| map([(1, Text("a signer")), (4, Int(end)), (5, Int(1000))]);
    let with = |change: &dyn Fn(&mut Header)| {
        let mut header = protected(&signer);
        change(&mut header);
        let document = sign(&signer, header, &payload);
        corim::verify(&document, &[signer.public()], at(1500)).verdict()
    };
    assert_eq!(with(&|_| {}), Verdict::Pass);
    assert_eq!(with(&|header| header.push((15, claims(2000)))), Verdict::Pass);
    assert_eq!(with(&|header| header[2] = (15, claims(2000))), Verdict::Pass);
    assert_eq!(with(&|header| header.push((15, claims(2001)))), Verdict::Fail);
    assert_eq!(with(&|header| drop(header.remove(2))), Verdict::Fail);
    assert_eq!(with(&|header| drop(header.remove(1))), Verdict::Fail);
    assert_eq!(with(&|header| header[1].1 = Text("application/cbor")), Verdict::Fail);
    assert_eq!(with(&|header| header[0].1 = Int(-35)), Verdict::Fail);
    assert_eq!(with(&|header| header.push((2, Array(vec![Int(8)])))), Verdict::Fail);
}

#[test]
fn offers_an_instance_its_own_key_and_no_other() {
    let iak = Signer::p256("iak");
    let mut endorsements = Endorsements::default();
    taken(&whole(&iak).encode()).add_to(&mut endorsements).unwrap();
    let offered = |instance: Option<Vec<u8>>| {
        let instance = instance.map(|id| <[u8; 33]>::try_from(id).unwrap());
        let hint =
            Hint { kind: devid_core::cose::Kind::Sign1, instance_id: instance.as_ref(), kid: None };
        let mut count = 0;
        endorsements.offer(&hint, &mut |_| {
            count += 1;
            false
        });
        count
    };
    assert_eq!(offered(Some(iak.instance_id())), 1);
    assert_eq!(offered(Some(Signer::p256("other").instance_id())), 0);
    assert_eq!(offered(None), 0);
}

/// Published CoRIMs. `accept` means that the document is sound; what concerns
/// no PSA device is not taken. The signed ones expired at the end of 2025.
#[test]
fn published_vectors_get_the_verdicts_they_should() {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors");
    let Ok(manifest) = std::fs::read(folder.join("manifest.json")) else {
        eprintln!("SKIPPED: no {}", folder.join("manifest.json").display());
        return;
    };
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let key = std::fs::read(folder.join("keys/veraison-ec256.pem")).unwrap();
    let signers = PublicKey::read_all(&key).unwrap();
    let cases: Vec<_> =
        manifest.as_array().unwrap().iter().filter(|case| case["kind"] == "corim").collect();
    assert!(cases.len() >= 14, "{} cases", cases.len());
    for case in cases {
        let name = case["file"].as_str().unwrap();
        let document = std::fs::read(folder.join(name)).unwrap();
        let signers = if document.starts_with(&[0xd2]) { &signers[..] } else { &[] };
        let report = corim::verify(&document, signers, at(1_750_000_000));
        let verdict = report.verdict();
        let content = report.into_content();
        let expected = match case["expect"].as_str().unwrap() {
            "accept" => Verdict::Pass,
            "legacy" => {
                let corim = content.as_ref().unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!(corim.profile, CorimProfile::PsaIot, "{name}");
                assert!(!corim.keys.is_empty() || !corim.reference_values.is_empty(), "{name}");
                Verdict::Pass
            }
            // A reference value for one instance: no profile of PSA's has that.
            "review" | "reject" => Verdict::Fail,
            other => panic!("{name}: {other}"),
        };
        assert_eq!(verdict, expected, "{name}: {:?}", content.err());
    }
}

/// What fits the tokens in `vectors/token`.
fn vectors() -> Vec<(&'static str, Vec<u8>)> {
    let (iak, endorser) = (Signer::p256("iak"), Signer::p256("endorser"));
    let implementation = [0x11; 32];
    let component = |name: &'static str, version: &'static str, digest: u8| {
        component([
            (0, map([(0, Text(version))])),
            (2, Array(vec![pair(Text("sha-256"), Bytes(vec![digest; 32]))])),
            (11, Text(name)),
            (13, Array(vec![tagged(560, Bytes(vec![0x44; 32]))])),
        ])
    };
    let software = |components: Vec<Value>| {
        let triple = pair(map([class(560, &implementation)]), Array(components));
        manifest(PSA, vec![comid([(0, Array(vec![triple]))])], vec![]).encode()
    };
    let keys = [&iak.public().id().instance_ids()[0][..], &iak.instance_id()].map(|instance| {
        let instance = (1, tagged(550, Bytes(instance.to_vec())));
        let key = tagged(554, text(pem(&iak)));
        pair(map([class(560, &implementation), instance]), Array(vec![key]))
    });
    let keys = manifest(PSA, vec![comid([(3, Array(keys.into()))])], vec![]).encode();
    let good = software(vec![component("BL", "1.0.0", 0x33), component("SPE", "1.0.0", 0x33)]);
    let time = |seconds| tagged(1, Int(seconds));
    let far = map([(0, map([(0, Text("a signer"))])), (1, map([(1, time(253_402_300_799))]))]);
    let header = vec![(1, Int(-7)), (3, Text("application/rim+cbor")), (8, Bytes(far.encode()))];
    let first = tagged(601, map([(1, Text("BL")), (5, Bytes(vec![0x44; 32]))]));
    let digests = Array(vec![pair(Int(1), Bytes(vec![0x33; 32]))]);
    let first = pair(
        map([class(600, &implementation)]),
        Array(vec![map([(0, first), (1, map([(2, digests)]))])]),
    );
    vec![
        ("signed.cbor", sign(&endorser, header, &good)),
        ("expired.cbor", sign(&endorser, protected(&endorser), &good)),
        ("software.cbor", good),
        ("keys.cbor", keys),
        (
            "newer.cbor",
            software(vec![component("BL", "1.0.0", 0x33), component("SPE", "1.0.1", 0x34)]),
        ),
        (
            "more.cbor",
            software(vec![
                component("BL", "1.0.0", 0x33),
                component("SPE", "1.0.0", 0x33),
                component("NSPE", "1.0.0", 0x35),
            ]),
        ),
        (
            "contradicting.cbor",
            software(vec![component("BL", "1.0.0", 0x33), component("BL", "1.0.0", 0x34)]),
        ),
        ("iot.cbor", manifest(IOT, vec![comid([(0, Array(vec![first]))])], vec![]).encode()),
        ("endorser.pem", pem(&endorser).into_bytes()),
    ]
}

#[test]
fn committed_vectors_are_the_ones_made_here() {
    common::compare_with_vectors("corim", vectors());
}
