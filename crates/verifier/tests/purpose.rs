// SPDX-License-Identifier: Apache-2.0
//! What keys are for: an identity's key verifies no token, whoever vouches for it.

mod common;

use common::cbor::Value::{Array, Bytes, Int};
use common::x509::{ATTESTATION, CA, CLIENT_AUTH, LEAF, Template, pem, root};
use common::{NONCE, RFC_9783, Signer, later_claims, sign, token, token_with_chain};
use devid_verifier::endorsements::{Contradiction, EndorsedKey};
use devid_verifier::keys::{PublicKey, Sources};
use devid_verifier::{
    Appraisal, BoundChallenge, Challenge, Check, Endorsements, KeySet, KeySource, Policy, Purpose,
    Report, TrustAnchors, UnixTime, Verdict, Verifier,
};

const REASON: &str = "the key is for an identity: it signs no tokens";

fn verify<'t>(token: &'t [u8], keys: &dyn KeySource, anchors: &TrustAnchors) -> Report<'t> {
    under(token, keys, anchors, Challenge::Expected(&NONCE))
}

fn under<'t>(
    token: &'t [u8],
    keys: &dyn KeySource,
    anchors: &TrustAnchors,
    challenge: Challenge<'_>,
) -> Report<'t> {
    let policy = Policy { at: UnixTime::now(), allow_development_key: false };
    let appraisal = Appraisal::default();
    Verifier { keys, anchors, policy, appraisal }.verify(token, challenge)
}

fn key_set(keys: Vec<PublicKey>) -> KeySet {
    let mut set = KeySet::default();
    keys.into_iter().for_each(|key| set.add_public(key));
    set
}

#[track_caller]
fn refused(report: &Report<'_>) {
    let signature = report.outcome(Check::Signature);
    assert!(signature.failed(), "{report:?}");
    assert_eq!(signature.detail, REASON);
    assert_eq!(report.verdict(), Verdict::Fail);
}

/// The certificate of a key, with these purposes.
fn certificate(key: &Signer, purposes: &'static [&'static [u8]]) -> Vec<u8> {
    Template { purposes, ..LEAF }.issue(key, ("Root", &Signer::p256("root")))
}

#[test]
fn a_certificate_says_what_its_key_is_for() {
    let key = Signer::p256("iak");
    let said = |purposes| {
        let der = certificate(&key, purposes);
        let purpose = Purpose::of_certificate(&der).unwrap();
        let read = PublicKey::read_all(&der).unwrap();
        assert_eq!(read[0].purpose(), purpose);
        let read = PublicKey::read_all(pem("CERTIFICATE", &der).as_bytes()).unwrap();
        assert_eq!(read[0].purpose(), purpose);
        purpose
    };
    assert_eq!(said(&[]), None);
    assert_eq!(said(&[ATTESTATION]), Some(Purpose::Attestation));
    assert_eq!(said(&[CLIENT_AUTH, ATTESTATION]), Some(Purpose::Attestation));
    assert_eq!(said(&[CLIENT_AUTH]), Some(Purpose::Identity));
    assert_eq!(Purpose::from_name("identity"), Some(Purpose::Identity));
    assert_eq!(Purpose::from_name("attestation"), Some(Purpose::Attestation));
    assert_eq!(Purpose::from_name("both"), None);
}

#[test]
fn refuses_a_given_key_whose_certificate_is_for_an_identity() {
    let (signer, anchors) = (Signer::p256("a"), TrustAnchors::default());
    let token = token(&signer);
    for (purposes, passes) in [(&[][..], true), (&[ATTESTATION], true), (&[CLIENT_AUTH], false)] {
        let key = PublicKey::from_certificate(&certificate(&signer, purposes)).unwrap();
        let report = verify(&token, &key_set(vec![key]), &anchors);
        assert_eq!(report.verdict() == Verdict::Pass, passes, "{report:?}");
        if !passes {
            refused(&report);
        }
    }
    // Given as a bare key besides, it stays what it is.
    let identity = || signer.public().for_purpose(Purpose::Identity);
    for keys in [vec![identity(), signer.public()], vec![signer.public(), identity()]] {
        refused(&verify(&token, &key_set(keys), &anchors));
    }
    let [one, other] = [key_set(vec![signer.public()]), key_set(vec![identity()])];
    refused(&verify(&token, &Sources(&[&one, &other]), &anchors));
}

#[test]
fn refuses_a_path_for_a_key_that_is_known_as_an_identitys() {
    let (signer, ca) = (Signer::p256("a"), Signer::p256("root"));
    let mut anchors = TrustAnchors::default();
    anchors.add(&root(&CA, &ca)).unwrap();
    let token = token_with_chain(&signer, &[certificate(&signer, &[ATTESTATION])]);
    assert_eq!(verify(&token, &KeySet::default(), &anchors).verdict(), Verdict::Pass);

    let mut endorsements = Endorsements::default();
    endorsements.add_identity(signer.public().id()).unwrap();
    refused(&verify(&token, &endorsements, &anchors));
    refused(&verify(&token, &Sources(&[&KeySet::default(), &endorsements]), &anchors));
}

#[test]
fn refuses_one_key_for_two_purposes() {
    let signer = Signer::p256("a");
    let endorsed = || EndorsedKey {
        implementation_id: [1; 32],
        instance_id: signer.instance_id().try_into().unwrap(),
        key: signer.public(),
    };
    let contradiction = Err(Contradiction::Purpose(*signer.public().id()));
    let mut endorsements = Endorsements::default();
    endorsements.add_identity(signer.public().id()).unwrap();
    endorsements.add_identity(signer.public().id()).unwrap();
    assert_eq!(endorsements.add_key(endorsed()), contradiction);
    let mut endorsements = Endorsements::default();
    endorsements.add_key(endorsed()).unwrap();
    assert_eq!(endorsements.add_identity(signer.public().id()), contradiction);
}

/// An attestation key that is certified for an identity could sign for
/// applications, and each of them make evidence.
#[test]
fn refuses_an_attestation_key_that_vouches_for_itself() {
    let (iak, anchors) = (Signer::p256("iak"), TrustAnchors::default());
    let (keys, public) = (key_set(vec![iak.public()]), iak.public());
    let bound = BoundChallenge::new(&NONCE, &public).unwrap();
    let mut claims = later_claims(RFC_9783, iak.instance_id());
    claims[1].1 = Bytes(bound.nonce().to_vec());
    let token = sign(&iak, vec![], claims.clone());
    let report = under(&token, &keys, &anchors, Challenge::Bound(bound));
    let binding = report.outcome(Check::Binding);
    assert!(binding.failed());
    assert_eq!(
        binding.detail,
        "the key vouches for itself: an attestation key is for nothing else"
    );

    // The control: the same for another key.
    let other = Signer::p256("ldevid").public();
    let bound = BoundChallenge::new(&NONCE, &other).unwrap();
    claims[1].1 = Bytes(bound.nonce().to_vec());
    let token = sign(&iak, vec![], claims);
    let report = under(&token, &keys, &anchors, Challenge::Bound(bound));
    assert_eq!(report.verdict(), Verdict::Pass, "{report:?}");
}

/// A chain beside the token does not turn an identity into an attestation key.
#[test]
fn refuses_evidence_that_an_identity_signed_under_its_own_chain() {
    let (identity, ca) = (Signer::p256("idevid"), Signer::p256("root"));
    let leaf = certificate(&identity, &[CLIENT_AUTH]);
    let chains = [vec![leaf.clone()], vec![leaf, root(&CA, &ca)]];
    for chain in chains {
        let certificates = Array(chain.iter().cloned().map(Bytes).collect());
        let header = vec![(Int(33), certificates)];
        for (attests_alone, certifies_others) in [(true, false), (false, true), (true, true)] {
            let mut anchors = TrustAnchors::default();
            if attests_alone {
                anchors.add_for_attestation(&root(&CA, &ca)).unwrap();
            }
            if certifies_others {
                anchors.add(&root(&CA, &ca)).unwrap();
            }
            let claims = later_claims(RFC_9783, identity.instance_id());
            let token = match chain.len() {
                1 => token_with_chain(&identity, &chain),
                _ => sign(&identity, header.clone(), claims),
            };
            let report = verify(&token, &KeySet::default(), &anchors);
            assert!(report.outcome(Check::CertificatePath).failed(), "{report:?}");
            assert_eq!(report.verdict(), Verdict::Fail);
        }
    }
}
