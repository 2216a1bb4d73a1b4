// SPDX-License-Identifier: Apache-2.0
//! Certificate paths, and what a path and given keys mean together.

mod common;

use std::time::Duration;

use common::x509::{CA, LEAF, Template, crl, pem, root};
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
    let at = UnixTime::since_unix_epoch(Duration::from_secs(at));
    let policy = Policy { at, allow_development_key: false };
    let verifier =
        Verifier { keys: &keys, anchors: &trusted, policy, appraisal: Appraisal::default() };
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
    refused(check(2), "the x5chain holds certificates that are not part of the path");
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
    let reason = "the trust anchor's pathLenConstraint is exceeded";
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
    refused(outcome, "a pathLenConstraint is exceeded");
}

#[test]
fn refuses_purposes_other_than_attestation() {
    let purpose = |purpose| Template { purpose: Some(purpose), ..LEAF };
    accepted(verify_chain(&purpose(&[0x55, 0x1d, 37, 0]), &INTERMEDIATE, &CA));
    accepted(verify_chain(&purpose(&[0x67, 0x81, 5, 8, 3]), &INTERMEDIATE, &CA));
    let server = purpose(&[0x2b, 6, 1, 5, 5, 7, 3, 1]);
    refused(verify_chain(&server, &INTERMEDIATE, &CA), "an extKeyUsage without attestation");
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
    let reason = "the x5chain holds certificates that are not part of the path";
    refused(check(&[&leaf, &middle, &upper, &leaf]), reason);
    refused(check(&[&leaf, &middle, &upper, &upper]), reason);
    refused(check(&[&upper, &middle, &leaf]), "the first certificate is a CA");
    refused(check(&[&leaf, &upper]), "no path to a trust anchor");
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

/// The verdict and the path's detail where CRLs are given; every serial number
/// is 7.
fn verify_with_crls(crls: &[Vec<u8>]) -> (Verdict, String) {
    let keys = keys();
    let chain = [
        LEAF.issue(&keys.iak, ("Factory", &keys.factory)),
        INTERMEDIATE.issue(&keys.factory, ("Root", &keys.root)),
    ];
    let mut trusted = TrustAnchors::default();
    trusted.add(&root(&CA, &keys.root)).unwrap();
    let at = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
    let policy = Policy { at, allow_development_key: false };
    let token = token_with_chain(&keys.iak, &chain);
    let verify = |trusted: &TrustAnchors| {
        let no_keys = KeySet::default();
        let verifier =
            Verifier { keys: &no_keys, anchors: trusted, policy, appraisal: Appraisal::default() };
        let report = verifier.verify(&token, Challenge::Expected(&NONCE));
        (report.verdict(), report.outcome(Check::CertificatePath).detail.to_string())
    };
    // What was found before the CRLs came must not be remembered behind them.
    assert_eq!(verify(&trusted).0, Verdict::Pass);
    for crl in crls {
        trusted.add_crls(crl).unwrap();
    }
    let said = verify(&trusted);
    assert_eq!(verify(&trusted), said, "from the cache");
    said
}

#[test]
fn refuses_what_a_crl_of_the_issuer_lists() {
    const DATES: [&str; 2] = ["20261101000000Z", "20261201000000Z"];
    let keys = keys();
    let of_factory = |serials: &[u8]| crl(("Factory", &keys.factory), DATES, serials);
    let of_root = |serials: &[u8]| crl(("Root", &keys.root), DATES, serials);
    let revoked = (Verdict::Fail, "a certificate is revoked".to_owned());
    let uncovered = "not every certificate's issuer has a CRL here".to_owned();

    assert_eq!(verify_with_crls(&[of_factory(&[7])]), revoked);
    assert_eq!(verify_with_crls(&[of_root(&[7])]), revoked);
    assert_eq!(verify_with_crls(&[of_factory(&[8]), of_root(&[1, 7])]), revoked);
    let covered = (Verdict::Pass, String::new());
    assert_eq!(verify_with_crls(&[of_factory(&[8]), of_root(&[])]), covered);
    assert_eq!(verify_with_crls(&[of_factory(&[8])]), (Verdict::Pass, uncovered.clone()));
    // A stranger's CRL says nothing, even about the same number.
    let stranger = crl(("Stranger", &Signer::p256("stranger")), DATES, &[7]);
    assert_eq!(verify_with_crls(&[stranger]), (Verdict::Pass, uncovered));
}

#[test]
fn refuses_crls_that_are_old_or_early_or_of_another_key() {
    let keys = keys();
    let factory = ("Factory", &keys.factory);
    let refused = |crl: Vec<u8>, detail: &str| {
        assert_eq!(verify_with_crls(&[crl]), (Verdict::Fail, detail.to_owned()));
    };
    let old = ["20260101000000Z", "20260201000000Z"];
    let early = ["20270101000000Z", "20270201000000Z"];
    let now = ["20261101000000Z", "20261201000000Z"];
    refused(crl(factory, old, &[8]), "a CRL has expired");
    refused(crl(factory, early, &[8]), "a CRL is not yet valid");
    let forged = crl(("Factory", &Signer::p256("stranger")), now, &[8]);
    refused(forged, "a CRL's signature is wrong");

    let mut trusted = TrustAnchors::default();
    let good = crl(factory, now, &[]);
    assert!(trusted.add_crls(&good[..good.len() - 1]).is_err());
    assert!(trusted.add_crls(b"").is_err());
    assert!(trusted.add_crls(&root(&CA, &keys.root)).is_err());
    assert!(trusted.add_crls(pem("CERTIFICATE", &good).as_bytes()).is_err());
    assert!(trusted.add_crls(pem("X509 CRL", &good).as_bytes()).is_ok());
}
