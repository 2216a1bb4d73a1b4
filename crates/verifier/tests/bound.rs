// SPDX-License-Identifier: Apache-2.0
//! Bound evidence, alone and in certification requests.

mod common;

use common::cbor::Value::{Array, Bytes, Int, Map, Text};
use common::x509::{der_signature, name, oid, pem, spki, tlv};
use common::{NONCE, RFC_9783, Signer, cose_key, later_claims, sign};
use devid_core::bound::NotPlain;
use devid_verifier::keys::PublicKey;
use devid_verifier::{
    Appraisal, BoundChallenge, Challenge, Check, CheckResult, KeySet, Policy, Report, TrustAnchors,
    UnixTime, Verdict, Verifier, csr,
};
use sha2::{Digest, Sha256};

const ATTESTATION: [u8; 11] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x3b];
const CMW: [u8; 6] = [0x67, 0x81, 0x05, 0x05, 0x04, 0x09];
const CHALLENGE_PASSWORD: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x07];

/// The nonce that answers [`NONCE`] for a key, made without the code at test.
fn bound_nonce(key: &Signer) -> [u8; 48] {
    let hashed = [b"devid-bound-evidence-v2\0", &[32][..], &NONCE, &spki(key)].concat();
    let nonce = [b"devid-bound-key2", &Sha256::digest(hashed)[..]].concat();
    nonce.try_into().expect("48 bytes")
}

/// As version 1 made it: a hash that any plain challenge could be.
fn bound_nonce_of_version_1(key: &Signer) -> [u8; 32] {
    Sha256::digest([b"devid-bound-evidence-v1\0", &NONCE[..], &spki(key)].concat()).into()
}

fn bind<'c>(challenge: &'c [u8], key: &PublicKey) -> Challenge<'c> {
    Challenge::Bound(BoundChallenge::new(challenge, key).expect("it is plain"))
}

/// A token of the device whose nonce is that.
fn token(nonce: &[u8]) -> Vec<u8> {
    let iak = Signer::p256("iak");
    let mut claims = later_claims(RFC_9783, iak.instance_id());
    claims[1].1 = Bytes(nonce.to_vec());
    sign(&iak, vec![], claims)
}

fn cmw(token: Vec<u8>) -> Vec<u8> {
    Array(vec![Int(10003), Bytes(token)]).encode()
}

fn statement(kind: &[u8], cmw: &[u8]) -> Vec<u8> {
    tlv(0x30, &[&oid(kind), &tlv(0x04, &[cmw])])
}

fn bundle(statements: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &[&tlv(0x30, &[&statements.concat()])])
}

fn attribute(kind: &[u8], values: &[u8]) -> Vec<u8> {
    tlv(0x30, &[&oid(kind), &tlv(0x31, &[values])])
}

/// id-aa-attestation with one CMW.
fn attestation(cmw: &[u8]) -> Vec<u8> {
    attribute(&ATTESTATION, &bundle(&[statement(&CMW, cmw)]))
}

/// A request for the key, signed by whom.
fn request_by(signer: &Signer, key: &Signer, attributes: &[Vec<u8>]) -> Vec<u8> {
    let attributes = tlv(0xa0, &[&attributes.concat()]);
    let info = tlv(0x30, &[&[2, 1, 0], &name("device 1"), &spki(key), &attributes]);
    let hash = match signer {
        Signer::P256(_) => 2,
        Signer::P384(_) => 3,
        _ => 4,
    };
    let algorithm = tlv(0x30, &[&oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, hash])]);
    let signature = tlv(0x03, &[&[0], &der_signature(&signer.sign(&info))]);
    tlv(0x30, &[&info, &algorithm, &signature])
}

fn request(key: &Signer, attributes: &[Vec<u8>]) -> Vec<u8> {
    request_by(key, key, attributes)
}

fn ldevid() -> Signer {
    Signer::p256("ldevid")
}

/// A request as a device makes it.
fn good() -> Vec<u8> {
    request(&ldevid(), &[attestation(&cmw(token(&bound_nonce(&ldevid()))))])
}

fn verify<'t>(evidence: &'t [u8], challenge: Challenge<'_>) -> Report<'t> {
    let mut keys = KeySet::default();
    keys.add_public(Signer::p256("iak").public());
    let policy = Policy { at: UnixTime::now(), allow_development_key: false };
    let anchors = TrustAnchors::default();
    Verifier { keys: &keys, anchors: &anchors, policy, appraisal: Appraisal::default() }
        .verify(evidence, challenge)
}

fn answer(evidence: &[u8]) -> Report<'_> {
    verify(evidence, Challenge::Expected(&NONCE))
}

#[track_caller]
fn failed(report: &Report<'_>, check: Check, detail: &str) {
    let outcome = report.outcome(check);
    assert_eq!((outcome.result, &*outcome.detail), (CheckResult::Fail, detail));
    assert_eq!(report.verdict(), Verdict::Fail);
}

#[track_caller]
fn passed(report: &Report<'_>) {
    assert_eq!(report.verdict(), Verdict::Pass, "{report:?}");
    for check in [Check::Challenge, Check::Binding, Check::Signature] {
        assert_eq!(report.outcome(check).result, CheckResult::Pass, "{report:?}");
    }
}

#[test]
fn a_token_vouches_for_the_key_in_its_nonce_and_for_no_other() {
    for key in [ldevid(), Signer::p384("ldevid")] {
        let public = key.public();
        let bound = |challenge| bind(challenge, &public);
        let token = token(&bound_nonce(&key));
        passed(&verify(&token, bound(&NONCE)));

        let other = Signer::p256("other").public();
        let report = verify(&token, bind(&NONCE, &other));
        failed(
            &report,
            Check::Binding,
            "the nonce vouches for another key, or under another challenge",
        );
        failed(
            &report,
            Check::Challenge,
            "the nonce is neither the challenge nor bound to the key under it",
        );
        let report = verify(&token, bound(&[0; 32]));
        failed(
            &report,
            Check::Binding,
            "the nonce vouches for another key, or under another challenge",
        );
        // Nobody takes it for an answer to the challenge itself.
        failed(&answer(&token), Check::Challenge, "the nonce is not the challenge");
    }
}

#[test]
fn a_fresh_token_alone_vouches_for_no_key() {
    let (token, key) = (token(&NONCE), ldevid().public());
    let report = verify(&token, bind(&NONCE, &key));
    assert!(report.outcome(Check::Challenge).passed());
    failed(&report, Check::Binding, "the nonce is the challenge alone: it vouches for no key");
}

#[test]
fn refuses_a_plain_challenge_of_the_form_that_vouches_for_a_key() {
    let (key, nonce) = (ldevid().public(), bound_nonce(&ldevid()));
    let reason = "a challenge of 48 bytes must not begin with `devid-bound-key2`: \
                  tokens with such nonces vouch for keys";
    let plain = token(&nonce);
    failed(&verify(&plain, Challenge::Expected(&nonce)), Check::Challenge, reason);
    let request = good();
    failed(&verify(&request, Challenge::Expected(&nonce)), Check::Binding, reason);
    assert_eq!(BoundChallenge::new(&nonce, &key), Err(NotPlain::VouchesForKey));
    for len in [31, 33, 65] {
        assert_eq!(BoundChallenge::new(&[0; 65][..len], &key), Err(NotPlain::Length));
    }
}

#[test]
fn refuses_a_binding_of_another_form_than_the_48_bytes() {
    let reason = "the nonce has not the form of those that vouch for a key";
    let (key, nonce) = (ldevid().public(), bound_nonce(&ldevid()));
    let mut unlike = nonce;
    unlike[0] ^= 1;
    let padded = [&nonce[..], &[0; 16]].concat();
    for nonce in [&bound_nonce_of_version_1(&ldevid())[..], &nonce[16..], &unlike, &padded] {
        let token = token(nonce);
        failed(&verify(&token, bind(&NONCE, &key)), Check::Binding, reason);
        let request = request(&ldevid(), &[attestation(&cmw(token))]);
        failed(&answer(&request), Check::Binding, reason);
    }
}

/// The platform's nonce in a bundle is a plain hash, for which a peer can ask.
#[test]
fn refuses_a_key_attestation_bundle_as_evidence_for_a_request() {
    let peer = ldevid();
    let kak = cose_key(&peer);
    let platform = token(&Sha256::digest(kak.encode()));
    for nonce in [NONCE.to_vec(), bound_nonce(&peer).to_vec()] {
        let claims = vec![
            (Int(10), Bytes(nonce)),
            (Int(8), Map(vec![(Int(1), kak.clone())])),
            (Int(2500), kak.clone()),
        ];
        let kat = sign(&peer, vec![], claims);
        let bundle = Map(vec![
            (Text("__cmwc_t"), Text("tag:ietf.org,2024-02-29:rats/kat")),
            (Text("kat"), Array(vec![Text("application/kat+cwt"), Bytes(kat)])),
            (Text("pat"), Array(vec![Text("application/eat+cwt"), Bytes(platform.clone())])),
        ]);
        let request = request(&peer, &[attestation(&bundle.encode())]);
        let report = answer(&request);
        assert!(report.outcome(Check::Signature).passed(), "{report:?}");
        failed(&report, Check::Binding, "a key attestation bundle vouches for no key by itself");
    }
}

#[test]
fn passes_a_request_with_evidence_for_its_key() {
    for key in [ldevid(), Signer::p384("ldevid"), Signer::p521("ldevid")] {
        let evidence = attestation(&cmw(token(&bound_nonce(&key))));
        let request = request(&key, &[evidence]);
        let report = answer(&request);
        passed(&report);
        assert_eq!(report.requested_key, Some(&spki(&key)[..]));
        assert_eq!(report.nonce, Some(&bound_nonce(&key)[..]));
        assert!(report.claims.is_some());
        let public = key.public();
        passed(&verify(&request, bind(&NONCE, &public)));
    }
}

#[test]
fn takes_a_request_out_of_pem_and_leaves_the_rest_alone() {
    let text = pem("CERTIFICATE REQUEST", &good());
    assert_eq!(csr::from_pem(text.as_bytes().into()).unwrap(), good());
    assert_eq!(csr::from_pem(good().into()).unwrap(), good());
    let wrong = [
        pem("CERTIFICATE", &good()),
        format!("{text}{text}"),
        text.replace("-----END", "-----"),
        text[..text.len() / 2].to_owned(),
    ];
    for text in wrong {
        assert!(csr::from_pem(text.into_bytes().into()).is_err());
    }
}

#[test]
fn refuses_a_request_under_another_challenge_or_none() {
    let good = good();
    let report = verify(&good, Challenge::Expected(&[0; 32]));
    failed(
        &report,
        Check::Binding,
        "the nonce vouches for another key, or under another challenge",
    );
    let unknown = "without the challenge nobody can tell which key is vouched for";
    failed(&verify(&good, Challenge::Any), Check::Binding, unknown);
    failed(&verify(&good, Challenge::NotGiven), Check::Binding, unknown);
}

#[test]
fn refuses_a_request_for_another_key() {
    let other = Signer::p256("other");
    let evidence = attestation(&cmw(token(&bound_nonce(&ldevid()))));
    let stolen = request(&other, std::slice::from_ref(&evidence));
    let report = answer(&stolen);
    failed(
        &report,
        Check::Binding,
        "the nonce vouches for another key, or under another challenge",
    );

    let (good, key) = (good(), other.public());
    let report = verify(&good, bind(&NONCE, &key));
    failed(&report, Check::Binding, "the request is for another key");

    let no_proof = "request: not signed by the key it names: no proof of possession";
    let unproved = request_by(&other, &ldevid(), &[evidence]);
    failed(&answer(&unproved), Check::Signature, no_proof);
}

#[test]
fn refuses_evidence_of_another_device() {
    let stranger = Signer::p256("stranger");
    let mut claims = later_claims(RFC_9783, stranger.instance_id());
    claims[1].1 = Bytes(bound_nonce(&ldevid()).to_vec());
    let token = sign(&stranger, vec![], claims);
    let request = request(&ldevid(), &[attestation(&cmw(token))]);
    failed(&answer(&request), Check::Signature, "not made by the trusted key");
}

#[test]
fn refuses_evidence_that_was_not_bound() {
    let request = request(&ldevid(), &[attestation(&cmw(token(&NONCE)))]);
    let report = answer(&request);
    failed(&report, Check::Binding, "the nonce is the challenge alone: it vouches for no key");
}

#[test]
fn refuses_a_request_without_evidence() {
    let without = "a certification request without evidence in it";
    failed(&answer(&request(&ldevid(), &[])), Check::Decode, without);
    let password = attribute(&CHALLENGE_PASSWORD, &tlv(0x0c, &[b"x"]));
    failed(&answer(&request(&ldevid(), &[password])), Check::Decode, without);

    let none = bundle(&[]);
    let other = bundle(&[statement(&[0x2a, 3], &cmw(token(&bound_nonce(&ldevid()))))]);
    for bundle in [none, other] {
        let request = request(&ldevid(), &[attribute(&ATTESTATION, &bundle)]);
        let unknown = "no attestation statement of a type that is verified here";
        failed(&answer(&request), Check::Decode, unknown);
    }
}

#[test]
fn refuses_what_stands_twice_or_too_often() {
    let evidence = cmw(token(&bound_nonce(&ldevid())));
    let one = attestation(&evidence);
    let twice = request(&ldevid(), &[one.clone(), one.clone()]);
    failed(&answer(&twice), Check::Decode, "an attribute stands twice in the request");

    let two = [bundle(&[statement(&CMW, &evidence)]), bundle(&[statement(&CMW, &evidence)])];
    let two = request(&ldevid(), &[attribute(&ATTESTATION, &two.concat())]);
    failed(&answer(&two), Check::Decode, "more than one AttestationBundle");

    let others = |count| (0..count).map(|id| attribute(&[0x2a, id], &[]));
    let attributes = |count| others(count).chain([one.clone()]).collect::<Vec<_>>();
    passed(&answer(&request(&ldevid(), &attributes(15))));
    let many = request(&ldevid(), &attributes(16));
    failed(&answer(&many), Check::Decode, "too many attributes in the request");

    let statements = |count| {
        let others = vec![statement(&[0x2a, 3], &[]); count];
        let statements = [others, vec![statement(&CMW, &evidence)]].concat();
        request(&ldevid(), &[attribute(&ATTESTATION, &bundle(&statements))])
    };
    let some = statements(7);
    passed(&answer(&some));
    let report = answer(&some);
    let detail = &report.outcome(Check::Decode).detail;
    assert_eq!(detail, "request: 7 statements of other types passed over");
    failed(&answer(&statements(8)), Check::Decode, "too many attestation statements");
}

#[test]
fn wants_every_statement_bound_to_the_key() {
    let (good, fresh) = (cmw(token(&bound_nonce(&ldevid()))), cmw(token(&NONCE)));
    let both = |second: &[u8]| {
        let statements = [statement(&CMW, &good), statement(&CMW, second)];
        request(&ldevid(), &[attribute(&ATTESTATION, &bundle(&statements))])
    };
    passed(&answer(&both(&good)));
    let detail = "statement 1: the nonce is the challenge alone: it vouches for no key";
    failed(&answer(&both(&fresh)), Check::Binding, detail);
}

#[test]
fn passes_over_the_certificates_beside_the_statements() {
    let statements = tlv(0x30, &[&statement(&CMW, &cmw(token(&bound_nonce(&ldevid()))))]);
    let with = |rest: &[u8]| {
        let bundle = tlv(0x30, &[&statements, rest]);
        request(&ldevid(), &[attribute(&ATTESTATION, &bundle)])
    };
    passed(&answer(&with(&tlv(0x30, &[&tlv(0x30, &[])]))));
    assert_eq!(answer(&with(&[5, 0])).verdict(), Verdict::Fail);
}

#[test]
fn refuses_a_statement_that_is_no_wrapper() {
    for other in [token(&bound_nonce(&ldevid())), b"[10003, \"\"]".to_vec(), vec![]] {
        let request = request(&ldevid(), &[attestation(&other)]);
        failed(&answer(&request), Check::Decode, "a statement is not a CMW in CBOR");
    }
    let nested = request(&ldevid(), &[attestation(&good())]);
    failed(&answer(&nested), Check::Decode, "a statement is not a CMW in CBOR");
    let unknown = Map(vec![(Text("a"), Array(vec![Int(60), Bytes(vec![])]))]).encode();
    let request = request(&ldevid(), &[attestation(&unknown)]);
    assert!(answer(&request).outcome(Check::Decode).failed());
}

#[test]
fn refuses_a_request_with_any_bit_flipped() {
    let good = good();
    for bit in 0..good.len() * 8 {
        let mut flipped = good.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(answer(&flipped).verdict(), Verdict::Fail, "bit {bit}");
    }
}

#[test]
fn refuses_a_request_cut_anywhere_or_followed_by_more() {
    let good = good();
    for end in 0..good.len() {
        assert_eq!(answer(&good[..end]).verdict(), Verdict::Fail, "cut at {end}");
    }
    assert_eq!(answer(&[&good[..], &[0]].concat()).verdict(), Verdict::Fail);
}

#[test]
fn refuses_another_version_curve_or_algorithm() {
    let good = good();
    let replace = |from: &[u8], to: &[u8]| {
        let at = good.windows(from.len()).position(|window| window == from).unwrap();
        [&good[..at], to, &good[at + from.len()..]].concat()
    };
    let version = replace(&[2, 1, 0], &[2, 1, 1]);
    failed(&answer(&version), Check::Decode, "not a certification request of version 1");
    let curve = replace(&[0xce, 0x3d, 3, 1, 7], &[0xce, 0x3d, 3, 1, 8]);
    let not_ours = "the request's key: not a key on P-256, P-384 or P-521";
    failed(&answer(&curve), Check::Decode, not_ours);
    let algorithm = replace(&[0xce, 0x3d, 4, 3, 2], &[0xce, 0x3d, 4, 3, 3]);
    let other = "request: its signature algorithm does not go with its key";
    failed(&answer(&algorithm), Check::Signature, other);
}

#[test]
fn committed_vectors_are_the_ones_made_here() {
    let ldevid = ldevid();
    let vectors = vec![
        ("request.der", good()),
        ("request.pem", pem("CERTIFICATE REQUEST", &good()).into_bytes()),
        ("bare.der", request(&ldevid, &[])),
        ("bound.cbor", token(&bound_nonce(&ldevid))),
        ("ldevid.pem", pem("PUBLIC KEY", &spki(&ldevid)).into_bytes()),
    ];
    common::compare_with_vectors("bound", vectors);
}
