// SPDX-License-Identifier: Apache-2.0
//! Certificate paths, and what a path and given keys mean together.

mod common;

use std::time::Duration;

use common::x509::{ANY_PURPOSE, ATTESTATION, CA, CLIENT_AUTH, LEAF, Template, crl, pem, root};
use common::{NONCE, Signer, token, token_with_chain};
use devid_verifier::{
    Appraisal, Challenge, Check, CheckResult, KeySet, Policy, Report, TrustAnchors, UnixTime,
    Verdict, Verifier,
};

/// 2026-11-23, in the middle of every good certificate's validity.
const NOW: u64 = 1_795_392_000;

const INTERMEDIATE: Template = Template { subject: "Factory", ca: Some(Some(0)), ..CA };

struct Fixture {
    root: Signer,
    factory: Signer,
    iak: Signer,
}

fn keys() -> Fixture {
    Fixture {
        root: Signer::p256("root"),
        factory: Signer::p256("factory"),
        iak: Signer::p256("iak"),
    }
}

/// What becomes of a token whose chain is leaf and intermediate under a root.
fn verify_chain(leaf: &Template, intermediate: &Template, anchor: &Template) -> (Verdict, String) {
    let keys = keys();
    let chain = [
        leaf.issue(&keys.iak, (intermediate.subject, &keys.factory)),
        intermediate.issue(&keys.factory, (anchor.subject, &keys.root)),
    ];
    verify_under(&token_with_chain(&keys.iak, &chain), &[root(anchor, &keys.root)], NOW)
}

fn verify_under(token: &[u8], anchors: &[Vec<u8>], at: u64) -> (Verdict, String) {
    let report = verify(token, KeySet::default(), anchors, at);
    let path = report.outcome(Check::CertificatePath);
    if path.result == CheckResult::Fail {
        assert_eq!(report.outcome(Check::Signature).result, CheckResult::Fail);
    }
    (report.verdict(), path.detail.to_string())
}

fn verify<'t>(token: &'t [u8], keys: KeySet, anchors: &[Vec<u8>], at: u64) -> Report<'t> {
    let mut trusted = TrustAnchors::default();
    anchors.iter().for_each(|anchor| trusted.add(anchor).unwrap());
    verify_with(token, keys, &trusted, at)
}

fn verify_with<'t>(token: &'t [u8], keys: KeySet, anchors: &TrustAnchors, at: u64) -> Report<'t> {
    let at = UnixTime::since_unix_epoch(Duration::from_secs(at));
    let policy = Policy { at, allow_development_key: false };
    let verifier = Verifier { keys: &keys, anchors, policy, appraisal: Appraisal::default() };
    verifier.verify(token, Challenge::Expected(&NONCE))
}

#[track_caller]
fn accepted((verdict, detail): (Verdict, String)) {
    assert_eq!((verdict, detail.as_str()), (Verdict::Pass, ""));
}

#[track_caller]
fn refused((verdict, detail): (Verdict, String), reason: &str) {
    assert_eq!((verdict, detail.as_str()), (Verdict::Fail, reason));
}

#[test]
fn takes_certificates_without_names_purposes_or_end() {
    accepted(verify_chain(&LEAF, &INTERMEDIATE, &CA));
    accepted(verify_chain(&Template { key_usage: None, ..LEAF }, &INTERMEDIATE, &CA));
    let silent = Template { key_usage: None, ..INTERMEDIATE };
    accepted(verify_chain(&LEAF, &silent, &Template { key_usage: None, ..CA }));
}

#[test]
fn takes_a_leaf_under_the_anchor_itself() {
    let keys = keys();
    let chain = [LEAF.issue(&keys.iak, ("Root", &keys.root))];
    let token = token_with_chain(&keys.iak, &chain);
    accepted(verify_under(&token, &[root(&CA, &keys.root)], NOW));
    let no_intermediates = Template { ca: Some(Some(0)), ..CA };
    accepted(verify_under(&token, &[root(&no_intermediates, &keys.root)], NOW));
}

#[test]
fn takes_an_intermediate_as_anchor_and_the_anchor_at_the_chains_end() {
    let keys = keys();
    let leaf = LEAF.issue(&keys.iak, ("Factory", &keys.factory));
    let intermediate = INTERMEDIATE.issue(&keys.factory, ("Root", &keys.root));
    let anchor = root(&CA, &keys.root);
    let short = token_with_chain(&keys.iak, std::slice::from_ref(&leaf));
    accepted(verify_under(&short, std::slice::from_ref(&intermediate), NOW));
    let whole = token_with_chain(&keys.iak, &[leaf, intermediate, anchor.clone()]);
    accepted(verify_under(&whole, &[anchor], NOW));
}

#[test]
fn takes_the_anchor_at_the_chains_end_once() {
    let keys = keys();
    let leaf = LEAF.issue(&keys.iak, ("Root", &keys.root));
    let anchor = root(&CA, &keys.root);
    let chain = |anchors| [vec![leaf.clone()], vec![anchor.clone(); anchors]].concat();
    let check = |anchors| {
        let token = token_with_chain(&keys.iak, &chain(anchors));
        verify_under(&token, std::slice::from_ref(&anchor), NOW)
    };
    accepted(check(1));
    refused(check(2), "a certificate stands twice in the x5chain");
}

#[test]
fn takes_a_ca_on_p384() {
    let (iak, ca) = (Signer::p256("iak"), Signer::p384("root"));
    let chain = [LEAF.issue(&iak, ("Root", &ca))];
    accepted(verify_under(&token_with_chain(&iak, &chain), &[root(&CA, &ca)], NOW));
}

#[test]
fn refuses_outside_the_validity_of_any_certificate() {
    let past = |template| Template { not_after: "20260101000000Z", ..template };
    let future = |template| Template { not_before: "20270101000000Z", ..template };
    refused(verify_chain(&past(LEAF), &INTERMEDIATE, &CA), "a certificate has expired");
    refused(verify_chain(&LEAF, &past(INTERMEDIATE), &CA), "a certificate has expired");
    refused(verify_chain(&LEAF, &INTERMEDIATE, &past(CA)), "the trust anchor has expired");
    refused(verify_chain(&future(LEAF), &INTERMEDIATE, &CA), "a certificate is not yet valid");
    refused(verify_chain(&LEAF, &future(INTERMEDIATE), &CA), "a certificate is not yet valid");
    refused(verify_chain(&LEAF, &INTERMEDIATE, &future(CA)), "the trust anchor is not yet valid");
}

#[test]
fn takes_a_renewed_anchor_beside_its_expired_self() {
    let keys = keys();
    let expired = root(&Template { not_after: "20260101000000Z", ..CA }, &keys.root);
    let renewed = root(&CA, &keys.root);
    let chain = [LEAF.issue(&keys.iak, ("Root", &keys.root))];
    let token = token_with_chain(&keys.iak, &chain);
    accepted(verify_under(&token, &[expired, renewed], NOW));
}

#[test]
fn refuses_a_key_usage_that_does_not_allow_it() {
    let leaf = Template { key_usage: Some(0x04), ..LEAF };
    let reason = "the leaf's keyUsage lacks digitalSignature";
    refused(verify_chain(&leaf, &INTERMEDIATE, &CA), reason);
    let issuer = Template { key_usage: Some(0x80), ..INTERMEDIATE };
    refused(verify_chain(&LEAF, &issuer, &CA), "an issuer's keyUsage lacks keyCertSign");
    let anchor = Template { key_usage: Some(0x02), ..CA };
    let reason = "the trust anchor's keyUsage lacks keyCertSign";
    refused(verify_chain(&LEAF, &INTERMEDIATE, &anchor), reason);
}

#[test]
fn refuses_issuers_that_are_no_ca() {
    let issuer = Template { ca: None, ..INTERMEDIATE };
    refused(verify_chain(&LEAF, &issuer, &CA), "an issuer is not a CA");
    let anchor = Template { ca: None, ..CA };
    refused(verify_chain(&LEAF, &INTERMEDIATE, &anchor), "the trust anchor is not a CA");
    let leaf = Template { ca: Some(None), ..LEAF };
    refused(verify_chain(&leaf, &INTERMEDIATE, &CA), "the first certificate is a CA");
}

#[test]
fn refuses_a_path_longer_than_allowed() {
    let anchor = Template { ca: Some(Some(0)), ..CA };
    let reason = "a pathLenConstraint is exceeded";
    refused(verify_chain(&LEAF, &INTERMEDIATE, &anchor), reason);

    let keys = keys();
    let line = Signer::p256("line");
    let chain = [
        LEAF.issue(&keys.iak, ("Line", &line)),
        Template { subject: "Line", ..CA }.issue(&line, ("Factory", &keys.factory)),
        INTERMEDIATE.issue(&keys.factory, ("Root", &keys.root)),
    ];
    let token = token_with_chain(&keys.iak, &chain);
    let outcome = verify_under(&token, &[root(&CA, &keys.root)], NOW);
    refused(outcome, reason);
}

/// A leaf with these purposes below an intermediate, whose root is an anchor
/// for attestation keys alone, or one for other keys too, or both.
fn verify_purposes(
    purposes: &'static [&'static [u8]],
    attests_alone: bool,
    certifies_others: bool,
) -> (Verdict, String) {
    let keys = keys();
    let leaf = Template { purposes, ..LEAF };
    let chain = [
        leaf.issue(&keys.iak, ("Factory", &keys.factory)),
        INTERMEDIATE.issue(&keys.factory, ("Root", &keys.root)),
    ];
    let mut anchors = TrustAnchors::default();
    if attests_alone {
        anchors.add_all_for_attestation(&root(&CA, &keys.root)).unwrap();
    }
    if certifies_others {
        anchors.add(&root(&CA, &keys.root)).unwrap();
    }
    path_under(&token_with_chain(&keys.iak, &chain), &anchors)
}

fn path_under(token: &[u8], anchors: &TrustAnchors) -> (Verdict, String) {
    let report = verify_with(token, KeySet::default(), anchors, NOW);
    (report.verdict(), report.outcome(Check::CertificatePath).detail.to_string())
}

const OTHER: &str = "the leaf's extKeyUsage does not name attestation keys";
const SILENT: &str = "the leaf has no extKeyUsage that names attestation keys; \
                      CAs that certify those alone are attestation anchors";

#[test]
fn takes_a_leaf_for_attestation_under_either_kind_of_anchor() {
    for purposes in [&[ATTESTATION][..], &[CLIENT_AUTH, ATTESTATION]] {
        accepted(verify_purposes(purposes, false, true));
        accepted(verify_purposes(purposes, true, false));
        accepted(verify_purposes(purposes, true, true));
    }
}

#[test]
fn refuses_a_leaf_for_identities_and_any_purpose_under_either_kind_of_anchor() {
    for purposes in [&[CLIENT_AUTH][..], &[ANY_PURPOSE], &[ANY_PURPOSE, CLIENT_AUTH]] {
        refused(verify_purposes(purposes, false, true), OTHER);
        refused(verify_purposes(purposes, true, false), OTHER);
        refused(verify_purposes(purposes, true, true), OTHER);
    }
}

#[test]
fn takes_a_leaf_without_purposes_only_where_nothing_else_is_certified() {
    accepted(verify_purposes(&[], true, false));
    refused(verify_purposes(&[], false, true), SILENT);
    refused(verify_purposes(&[], true, true), SILENT);
}

/// The key and the name make the CA, not the certificate that was given.
#[test]
fn refuses_a_leaf_without_purposes_of_a_ca_that_is_given_as_both_by_two_certificates() {
    let keys = keys();
    let chain = [Template { purposes: &[], ..LEAF }.issue(&keys.iak, ("Root", &keys.root))];
    let token = token_with_chain(&keys.iak, &chain);
    let mut anchors = TrustAnchors::default();
    anchors.add_for_attestation(&root(&CA, &keys.root)).unwrap();
    accepted(path_under(&token, &anchors));
    let renewed = Template { not_before: "20250101000000Z", ..CA };
    anchors.add(&root(&renewed, &keys.root)).unwrap();
    refused(path_under(&token, &anchors), SILENT);
}

#[test]
fn refuses_a_leaf_without_purposes_below_an_issuing_ca_that_certifies_others() {
    let keys = keys();
    let leaf = Template { purposes: &[], ..LEAF }.issue(&keys.iak, ("Factory", &keys.factory));
    let intermediate = INTERMEDIATE.issue(&keys.factory, ("Root", &keys.root));
    let token = token_with_chain(&keys.iak, &[leaf, intermediate.clone()]);
    let mut anchors = TrustAnchors::default();
    anchors.add_for_attestation(&root(&CA, &keys.root)).unwrap();
    accepted(path_under(&token, &anchors));
    anchors.add(&intermediate).unwrap();
    refused(path_under(&token, &anchors), SILENT);
}

#[test]
fn takes_issuing_cas_with_any_purposes() {
    for purposes in [&[CLIENT_AUTH][..], &[ANY_PURPOSE], &[ATTESTATION]] {
        accepted(verify_chain(&LEAF, &Template { purposes, ..INTERMEDIATE }, &CA));
        accepted(verify_chain(&LEAF, &INTERMEDIATE, &Template { purposes, ..CA }));
        // They say nothing of the leaf either.
        let silent = Template { purposes: &[], ..LEAF };
        refused(verify_chain(&silent, &Template { purposes, ..INTERMEDIATE }, &CA), SILENT);
    }
}

#[test]
fn refuses_an_unknown_critical_extension() {
    let leaf = Template { unknown_critical: true, ..LEAF };
    refused(verify_chain(&leaf, &INTERMEDIATE, &CA), "an unknown critical extension");
    let issuer = Template { unknown_critical: true, ..INTERMEDIATE };
    refused(verify_chain(&LEAF, &issuer, &CA), "an unknown critical extension");
}

#[test]
fn refuses_certificates_out_of_order_or_out_of_place() {
    let keys = keys();
    let line = Signer::p256("line");
    let factory = Template { ca: Some(None), ..INTERMEDIATE };
    let leaf = LEAF.issue(&keys.iak, ("Line", &line));
    let middle = Template { subject: "Line", ..CA }.issue(&line, ("Factory", &keys.factory));
    let upper = factory.issue(&keys.factory, ("Root", &keys.root));
    let anchor = [root(&CA, &keys.root)];
    let check = |chain: &[&Vec<u8>]| {
        let chain: Vec<_> = chain.iter().map(|der| der.to_vec()).collect();
        verify_under(&token_with_chain(&keys.iak, &chain), &anchor, NOW)
    };
    accepted(check(&[&leaf, &middle, &upper]));
    refused(check(&[&leaf, &upper, &middle]), "the x5chain is out of order");
    let twice = "a certificate stands twice in the x5chain";
    refused(check(&[&leaf, &middle, &upper, &leaf]), twice);
    refused(check(&[&leaf, &middle, &upper, &upper]), twice);
    refused(check(&[&upper, &middle, &leaf]), "the x5chain is out of order");
    refused(check(&[&upper]), "the first certificate is a CA");
    refused(check(&[&leaf, &upper]), "the x5chain is out of order");
    refused(check(&[&leaf, &middle]), "no path to a trust anchor");
}

#[test]
fn refuses_another_root_of_the_same_name() {
    let keys = keys();
    let chain = [LEAF.issue(&keys.iak, ("Root", &Signer::p256("impostor")))];
    let token = token_with_chain(&keys.iak, &chain);
    let outcome = verify_under(&token, &[root(&CA, &keys.root)], NOW);
    refused(outcome, "a certificate's signature is wrong");
}

#[test]
fn refuses_bytes_that_are_no_certificate() {
    let keys = keys();
    let token = token_with_chain(&keys.iak, &[vec![0x30, 0x03, 1, 2, 3]]);
    let (verdict, _) = verify_under(&token, &[root(&CA, &keys.root)], NOW);
    assert_eq!(verdict, Verdict::Fail);
    assert!(TrustAnchors::default().add(&[0x30, 0]).is_err());
}

#[test]
fn the_leaf_must_have_signed() {
    let keys = keys();
    let leaf = LEAF.issue(&Signer::p256("another"), ("Root", &keys.root));
    let token = token_with_chain(&keys.iak, &[leaf]);
    let mut given = KeySet::default();
    given.add_public(keys.iak.public());
    let report = verify(&token, given, &[root(&CA, &keys.root)], NOW);
    assert_eq!(report.outcome(Check::CertificatePath).result, CheckResult::Pass);
    let signature = report.outcome(Check::Signature);
    assert_eq!(
        (signature.result, &*signature.detail),
        (CheckResult::Fail, "not made by the leaf's key")
    );
    assert_eq!(report.outcome(Check::InstanceId).result, CheckResult::Fail);
    assert_eq!(report.verdict(), Verdict::Fail);
}

#[test]
fn the_leafs_key_must_go_with_alg() {
    let keys = keys();
    for (signer, other) in [
        (Signer::p256("iak"), Signer::p384("iak")),
        (Signer::p384("iak"), Signer::p256("iak")),
        (Signer::p521("iak"), Signer::p384("iak")),
    ] {
        let leaf = LEAF.issue(&other, ("Root", &keys.root));
        let token = token_with_chain(&signer, &[leaf]);
        let report = verify(&token, KeySet::default(), &[root(&CA, &keys.root)], NOW);
        assert_eq!(report.outcome(Check::CertificatePath).result, CheckResult::Pass);
        let signature = report.outcome(Check::Signature);
        assert_eq!(signature.detail, "the leaf's key does not go with alg");
        assert_eq!(report.verdict(), Verdict::Fail);
        // With its own leaf it passes.
        let leaf = LEAF.issue(&signer, ("Root", &keys.root));
        accepted(verify_under(&token_with_chain(&signer, &[leaf]), &[root(&CA, &keys.root)], NOW));
    }
}

#[test]
fn a_given_key_does_not_excuse_a_path_that_fails() {
    let keys = keys();
    let mut given = KeySet::default();
    given.add_public(keys.iak.public());
    let chain = [LEAF.issue(&keys.iak, ("Root", &Signer::p256("impostor")))];
    let token = token_with_chain(&keys.iak, &chain);
    let report = verify(&token, given, &[root(&CA, &keys.root)], NOW);
    assert_eq!(report.outcome(Check::Signature).result, CheckResult::Pass);
    assert_eq!(report.outcome(Check::CertificatePath).result, CheckResult::Fail);
    assert_eq!(report.verdict(), Verdict::Fail);
}

#[test]
fn a_given_key_stands_in_where_there_is_no_path() {
    let keys = keys();
    let mut given = KeySet::default();
    given.add_public(keys.iak.public());
    let bare = token(&keys.iak);
    let report = verify(&bare, given, &[root(&CA, &keys.root)], NOW);
    assert_eq!(report.outcome(Check::CertificatePath).result, CheckResult::NotPerformed);
    assert_eq!(report.verdict(), Verdict::Pass);

    // Without one, the missing path is a failure.
    let report = verify(&bare, KeySet::default(), &[root(&CA, &keys.root)], NOW);
    assert_eq!(report.outcome(Check::CertificatePath).result, CheckResult::Fail);
    assert_eq!(report.outcome(Check::Signature).result, CheckResult::Fail);
}

#[test]
fn an_x5chain_alone_is_no_trust() {
    let keys = keys();
    let chain = [LEAF.issue(&keys.iak, ("Root", &keys.root))];
    let token = token_with_chain(&keys.iak, &chain);
    let report = verify(&token, KeySet::default(), &[], NOW);
    assert_eq!(report.outcome(Check::CertificatePath).result, CheckResult::NotPerformed);
    assert_eq!(report.outcome(Check::Signature).result, CheckResult::Fail);
    let mut given = KeySet::default();
    given.add_public(keys.iak.public());
    assert_eq!(verify(&token, given, &[], NOW).verdict(), Verdict::Pass);
}

#[test]
fn refuses_files_that_hold_no_crl() {
    let keys = keys();
    let good = crl(("Factory", &keys.factory), ["20261101000000Z", "20261201000000Z"], &[]);
    let mut trusted = TrustAnchors::default();
    assert!(trusted.add_crls(&good[..good.len() - 1]).is_err());
    assert!(trusted.add_crls(b"").is_err());
    assert!(trusted.add_crls(&root(&CA, &keys.root)).is_err());
    assert!(trusted.add_crls(pem("CERTIFICATE", &good).as_bytes()).is_err());
    assert!(trusted.add_crls(pem("X509 CRL", &good).as_bytes()).is_ok());
}
