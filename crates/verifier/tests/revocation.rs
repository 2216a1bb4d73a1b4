// SPDX-License-Identifier: Apache-2.0
//! Which CRL counts, out of many.

mod common;

use common::Signer;
use common::path::{NOW, verify_chain};
use common::x509::{CA, LEAF, Template, crl, crl_with, root, tlv};
use devid_verifier::{TrustAnchors, Verdict};

const CRL_DISTRIBUTION_POINTS: u8 = 31;
const ISSUING_DISTRIBUTION_POINT: u8 = 28;
const DELTA_CRL_INDICATOR: u8 = 27;

const FACTORY: Template = Template { subject: "Factory", ca: Some(Some(0)), serial: 8, ..CA };

const OLD: [&str; 2] = ["20260101000000Z", "20260201000000Z"];
const CURRENT: [&str; 2] = ["20261101000000Z", "20261201000000Z"];
const NEWER: [&str; 2] = ["20261115000000Z", "20261215000000Z"];
const EARLY: [&str; 2] = ["20270101000000Z", "20270201000000Z"];

const REVOKED: (Verdict, &str) = (Verdict::Fail, "a certificate is revoked");
const COVERED: (Verdict, &str) = (Verdict::Pass, "");
const UNCOVERED: (Verdict, &str) = (Verdict::Pass, "not every certificate's issuer has a CRL here");

/// What becomes of a leaf with serial number 7 under Factory, number 8, under
/// Root. The order in which CRLs are given must not matter.
#[track_caller]
fn check(leaf: &Template, crls: &[Vec<u8>], expected: (Verdict, &str)) {
    let (iak, factory, root_key) = (key("iak"), key("factory"), key("root"));
    let chain =
        [leaf.issue(&iak, ("Factory", &factory)), FACTORY.issue(&factory, ("Root", &root_key))];
    for first in 0..crls.len().max(1) {
        for is_reversed in [false, true] {
            let mut order = crls.to_vec();
            order.rotate_left(first);
            if is_reversed {
                order.reverse();
            }
            let mut trusted = TrustAnchors::default();
            trusted.add(&root(&CA, &root_key)).unwrap();
            // What was found before the CRLs came must not be remembered behind them.
            assert_eq!(verify_chain(&iak, &chain, &trusted, NOW).0, Verdict::Pass);
            order.iter().for_each(|crl| trusted.add_crls(crl).unwrap());
            for from in ["search", "cache"] {
                let (verdict, detail) = verify_chain(&iak, &chain, &trusted, NOW);
                assert_eq!((verdict, detail.as_str()), expected, "{first} {is_reversed} {from}");
            }
        }
    }
}

fn key(name: &str) -> Signer {
    Signer::p256(name)
}

fn of_factory(updates: [&str; 2], serials: &[u8]) -> Vec<u8> {
    crl(("Factory", &key("factory")), updates, serials)
}

fn of_root(updates: [&str; 2], serials: &[u8]) -> Vec<u8> {
    crl(("Root", &key("root")), updates, serials)
}

#[test]
fn the_newest_that_is_current_counts() {
    let root = || of_root(CURRENT, &[]);
    check(&LEAF, &[of_factory(CURRENT, &[]), of_factory(NEWER, &[7]), root()], REVOKED);
    check(&LEAF, &[of_factory(CURRENT, &[7]), of_factory(NEWER, &[]), root()], COVERED);
    check(&LEAF, &[of_factory(OLD, &[7]), of_factory(CURRENT, &[]), root()], COVERED);
    check(&LEAF, &[of_factory(EARLY, &[7]), of_factory(CURRENT, &[]), root()], COVERED);
    check(&LEAF, &[of_factory(OLD, &[]), of_factory(CURRENT, &[7]), root()], REVOKED);
    check(&LEAF, &[of_factory(EARLY, &[]), of_factory(CURRENT, &[7]), root()], REVOKED);
    // Of one date, by number.
    let numbered = |serials: &[u8], number| {
        crl_with(("Factory", &key("factory")), CURRENT, serials, number, &[])
    };
    check(&LEAF, &[numbered(&[], 3), numbered(&[7], 4), root()], REVOKED);
    check(&LEAF, &[numbered(&[7], 3), numbered(&[], 4), root()], COVERED);
    check(&LEAF, &[numbered(&[7], 3), numbered(&[], 3), root()], REVOKED);
    // The serial number of one issuer is nothing to the other.
    check(&LEAF, &[of_factory(CURRENT, &[8]), of_root(CURRENT, &[7])], COVERED);
    check(&LEAF, &[of_factory(CURRENT, &[]), of_root(CURRENT, &[8])], REVOKED);
}

#[test]
fn crls_of_others_change_nothing() {
    let own = || [of_factory(CURRENT, &[]), of_root(CURRENT, &[])];
    for updates in [OLD, CURRENT, EARLY] {
        for (name, signer) in [
            ("Stranger", "stranger"), // another CA's
            ("Factory", "stranger"),  // forged, or by another key of the same name
            ("Root", "factory"),      // forged by one that is trusted with less
            ("Stranger", "factory"),  // of the key under another name
        ] {
            let foreign = crl((name, &key(signer)), updates, &[7, 8]);
            check(&LEAF, std::slice::from_ref(&foreign), UNCOVERED);
            check(&LEAF, &[&own()[..], &[foreign]].concat(), COVERED);
        }
    }
}

#[test]
fn a_ca_whose_crls_are_none_of_them_current_fails() {
    let expired = (Verdict::Fail, "a CRL has expired");
    let early = (Verdict::Fail, "a CRL is not yet valid");
    check(&LEAF, &[of_factory(OLD, &[])], expired);
    check(&LEAF, &[of_factory(EARLY, &[])], early);
    check(&LEAF, &[of_factory(CURRENT, &[]), of_root(OLD, &[])], expired);
    check(&LEAF, &[of_factory(OLD, &[]), of_factory(EARLY, &[])], expired);
}

#[test]
fn what_counts_changes_with_time_also_from_the_cache() {
    let (iak, factory, root_key) = (key("iak"), key("factory"), key("root"));
    let chain =
        [LEAF.issue(&iak, ("Factory", &factory)), FACTORY.issue(&factory, ("Root", &root_key))];
    let mut trusted = TrustAnchors::default();
    trusted.add(&root(&CA, &root_key)).unwrap();
    for crl in [
        of_root(["20200101000000Z", "20300101000000Z"], &[]),
        of_factory(CURRENT, &[]),
        of_factory(["20261123120000Z", "20270101000000Z"], &[7]),
    ] {
        trusted.add_crls(&crl).unwrap();
    }
    let verdict = |at| verify_chain(&iak, &chain, &trusted, at).0;
    const NOON: u64 = NOW + 12 * 3600;
    for _ in 0..2 {
        assert_eq!(verdict(NOW), Verdict::Pass);
        assert_eq!(verdict(NOON - 1), Verdict::Pass);
        assert_eq!(verdict(NOON), Verdict::Fail);
    }
    assert_eq!(verdict(NOW), Verdict::Pass);
}

#[test]
fn an_issuer_that_may_not_sign_crls_has_none() {
    let (iak, factory, root_key) = (key("iak"), key("factory"), key("root"));
    let silent = Template { key_usage: Some(0x04), ..FACTORY };
    let chain =
        [LEAF.issue(&iak, ("Factory", &factory)), silent.issue(&factory, ("Root", &root_key))];
    let mut trusted = TrustAnchors::default();
    trusted.add(&root(&CA, &root_key)).unwrap();
    trusted.add_crls(&of_factory(CURRENT, &[])).unwrap();
    let (verdict, detail) = verify_chain(&iak, &chain, &trusted, NOW);
    assert_eq!((verdict, detail.as_str()), (Verdict::Fail, "a CRL's issuer may not sign CRLs"));
}

/// issuingDistributionPoint for a URI, or with one of its BOOLEANs.
fn scope(uri: Option<&str>, only: Option<u8>) -> (u8, bool, Vec<u8>) {
    let point = uri.map(|uri| tlv(0xa0, &[&tlv(0xa0, &[&tlv(0x86, &[uri.as_bytes()])])]));
    let only = only.map(|number| vec![0x80 | number, 1, 0xff]);
    let value = [point, only].map(Option::unwrap_or_default).concat();
    (ISSUING_DISTRIBUTION_POINT, true, tlv(0x30, &[&value]))
}

#[test]
fn a_crl_of_a_part_speaks_of_that_part() {
    let part = |scope, updates, serials: &[u8]| {
        crl_with(("Factory", &key("factory")), updates, serials, 1, &[scope])
    };
    let points = |uri: &str| {
        let name = tlv(0xa0, &[&tlv(0xa0, &[&tlv(0x86, &[uri.as_bytes()])])]);
        tlv(0x30, &[&tlv(0x30, &[&name])])
    };
    let leaf = LEAF.with(CRL_DISTRIBUTION_POINTS, false, points("http://a"));
    let (a, b) = (|| scope(Some("http://a"), None), || scope(Some("http://b"), None));
    let root = || of_root(CURRENT, &[]);
    check(&leaf, &[part(a(), CURRENT, &[7]), root()], REVOKED);
    check(&leaf, &[part(b(), CURRENT, &[7]), root()], UNCOVERED);
    check(&leaf, &[part(a(), CURRENT, &[]), part(b(), NEWER, &[7]), root()], COVERED);
    check(&leaf, &[part(a(), CURRENT, &[7]), part(b(), NEWER, &[]), root()], REVOKED);
    check(&leaf, &[part(b(), OLD, &[]), part(a(), CURRENT, &[]), root()], COVERED);
    // One that does not say may lie in any part.
    check(&LEAF, &[part(a(), CURRENT, &[7]), part(b(), NEWER, &[]), root()], REVOKED);
    // A newer one of all takes the place of one of a part, not the other way round.
    check(&leaf, &[part(a(), CURRENT, &[7]), of_factory(NEWER, &[]), root()], COVERED);
    check(&leaf, &[part(a(), NEWER, &[]), of_factory(CURRENT, &[7]), root()], REVOKED);

    let (users, cas) = (|| scope(None, Some(1)), || scope(None, Some(2)));
    check(&LEAF, &[part(users(), CURRENT, &[7]), root()], REVOKED);
    check(&LEAF, &[part(cas(), CURRENT, &[7]), root()], UNCOVERED);
}

#[test]
fn refuses_crls_that_are_no_complete_ones() {
    let factory = key("factory");
    let refused = |more: (u8, bool, Vec<u8>)| {
        let crl = crl_with(("Factory", &factory), CURRENT, &[], 1, &[more]);
        assert!(TrustAnchors::default().add_crls(&crl).is_err());
    };
    refused((DELTA_CRL_INDICATOR, true, vec![2, 1, 1]));
    refused((DELTA_CRL_INDICATOR, false, vec![2, 1, 1]));
    refused(scope(None, Some(4))); // indirect
    refused(scope(None, Some(5))); // attribute certificates
    refused((ISSUING_DISTRIBUTION_POINT, true, tlv(0x30, &[&[0x83, 2, 6, 0x40]]))); // some reasons
    refused((99, true, vec![5, 0]));
    let unknown = crl_with(("Factory", &factory), CURRENT, &[], 1, &[(99, false, vec![5, 0])]);
    assert!(TrustAnchors::default().add_crls(&unknown).is_ok());
}

#[test]
fn takes_a_crl_longer_than_64_kilobytes() {
    let serials: Vec<u8> = (0..6000u32).map(|at| (at % 6) as u8).chain([7]).collect();
    let long = of_factory(CURRENT, &serials);
    assert!(long.len() > 1 << 16);
    check(&LEAF, &[long, of_root(CURRENT, &[])], REVOKED);
}
