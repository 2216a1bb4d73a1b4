// SPDX-License-Identifier: Apache-2.0
//! What RFC 5280 asks of a path beyond signatures and dates: roots that roll
//! over, intermediates from elsewhere, names, policies.

mod common;

use common::Signer;
use common::path::{NOW, accepted, refused, verify_chain};
use common::x509::{CA, LEAF, Template, name, oid, root, tlv};
use devid_verifier::{TrustAnchors, Verdict};

const NAME_CONSTRAINTS: u8 = 30;
const SUBJECT_ALT_NAME: u8 = 17;
const POLICIES: u8 = 32;
const MAPPINGS: u8 = 33;
const POLICY_CONSTRAINTS: u8 = 36;
const INHIBIT_ANY_POLICY: u8 = 54;

const FACTORY: Template = Template { subject: "Factory", ca: Some(None), ..CA };

fn key(name: &str) -> Signer {
    Signer::p256(name)
}

fn trust(anchors: &[Vec<u8>], intermediates: &[Vec<u8>]) -> TrustAnchors {
    let mut trusted = TrustAnchors::default();
    anchors.iter().for_each(|anchor| trusted.add(anchor).unwrap());
    intermediates.iter().for_each(|der| trusted.add_intermediates(der).unwrap());
    trusted
}

/// What becomes of leaf and issuing CA under a root.
fn verify(leaf: &Template, issuing: &Template, anchor: &Template) -> (Verdict, String) {
    let (iak, factory, root_key) = (key("iak"), key("factory"), key("root"));
    let chain = [
        leaf.issue(&iak, (issuing.subject, &factory)),
        issuing.issue(&factory, (anchor.subject, &root_key)),
    ];
    verify_chain(&iak, &chain, &trust(&[root(anchor, &root_key)], &[]), NOW)
}

#[test]
fn takes_a_chain_with_a_cross_certificate_under_either_root() {
    let (iak, factory, old, new) = (key("iak"), key("factory"), key("root"), key("new root"));
    let new_root = Template { subject: "New Root", ..CA };
    let chain = [
        LEAF.issue(&iak, ("Factory", &factory)),
        FACTORY.issue(&factory, ("New Root", &new)),
        new_root.issue(&new, ("Root", &old)),
    ];
    accepted(verify_chain(&iak, &chain, &trust(&[root(&new_root, &new)], &[]), NOW));
    accepted(verify_chain(&iak, &chain, &trust(&[root(&CA, &old)], &[]), NOW));
    accepted(verify_chain(&iak, &chain, &trust(&[chain[1].clone()], &[]), NOW));
    // The new root itself may stand before its cross certificate, or alone.
    let [leaf, issuing, cross] = chain;
    let own = root(&new_root, &new);
    let both = [leaf.clone(), issuing.clone(), own.clone(), cross];
    accepted(verify_chain(&iak, &both, &trust(&[root(&CA, &old)], &[]), NOW));
    accepted(verify_chain(&iak, &both, &trust(std::slice::from_ref(&own), &[]), NOW));
    // What does not lead on from the anchor has no place, whatever its name.
    let another = root(&new_root, &key("impostor"));
    let chain = [leaf, issuing, another];
    let reason = "the x5chain holds certificates that are not part of the chain";
    refused(verify_chain(&iak, &chain, &trust(&[own], &[]), NOW), reason);
}

#[test]
fn self_issued_certificates_do_not_count_for_path_lengths() {
    let (iak, line, factory, old, new) =
        (key("iak"), key("line"), key("factory"), key("root"), key("renewed root"));
    // Root's new key, certified by its old one.
    let rollover = CA.issue(&new, ("Root", &old));
    let leaf = LEAF.issue(&iak, ("Factory", &factory));
    let chain = [leaf, FACTORY.issue(&factory, ("Root", &new)), rollover.clone()];
    let one_issuer = Template { ca: Some(Some(1)), ..CA };
    let none = Template { ca: Some(Some(0)), ..CA };
    accepted(verify_chain(&iak, &chain, &trust(&[root(&one_issuer, &old)], &[]), NOW));
    let reason = "a pathLenConstraint is exceeded";
    refused(verify_chain(&iak, &chain, &trust(&[root(&none, &old)], &[]), NOW), reason);
    // Another CA of another name does count.
    let longer = [
        LEAF.issue(&iak, ("Line", &line)),
        Template { subject: "Line", ..CA }.issue(&line, ("Factory", &factory)),
        FACTORY.issue(&factory, ("Root", &new)),
        rollover,
    ];
    refused(verify_chain(&iak, &longer, &trust(&[root(&one_issuer, &old)], &[]), NOW), reason);
}

#[test]
fn intermediates_help_and_are_not_trusted() {
    let (iak, line, factory, root_key) = (key("iak"), key("line"), key("factory"), key("root"));
    let leaf = LEAF.issue(&iak, ("Line", &line));
    let lower = Template { subject: "Line", ..CA }.issue(&line, ("Factory", &factory));
    let upper = FACTORY.issue(&factory, ("Root", &root_key));
    let anchor = root(&CA, &root_key);
    let check = |chain: &[&Vec<u8>], anchors: &[&Vec<u8>], given: &[&Vec<u8>]| {
        let owned = |ders: &[&Vec<u8>]| ders.iter().map(|der| der.to_vec()).collect::<Vec<_>>();
        verify_chain(&iak, &owned(chain), &trust(&owned(anchors), &owned(given)), NOW)
    };
    accepted(check(&[&leaf], &[&anchor], &[&upper, &lower]));
    accepted(check(&[&leaf, &lower], &[&anchor], &[&upper]));
    accepted(check(&[&leaf, &lower], &[&anchor], &[&lower, &upper]));
    refused(check(&[&leaf], &[&anchor], &[&upper]), "no path to a trust anchor");
    refused(check(&[&leaf], &[&upper], &[]), "no path to a trust anchor");
    let report = check(&[&leaf], &[], &[&lower, &upper, &anchor]);
    assert_eq!(report.0, Verdict::Fail, "no anchor was given");
    // They are bound by every rule for issuers.
    let expired = Template { subject: "Line", not_after: "20260101000000Z", ..CA };
    let expired = expired.issue(&line, ("Factory", &factory));
    refused(check(&[&leaf], &[&anchor], &[&expired, &upper]), "a certificate has expired");
    accepted(check(&[&leaf], &[&anchor], &[&expired, &lower, &upper]));
    let forged = Template { subject: "Line", ..CA }.issue(&line, ("Factory", &key("impostor")));
    let wrong = "a certificate's signature is wrong";
    refused(check(&[&leaf], &[&anchor], &[&forged, &upper]), wrong);
}

#[test]
fn ends_where_intermediates_certify_each_other() {
    let iak = key("iak");
    let keys: Vec<_> = (0..12).map(|at| key(&format!("ca {at}"))).collect();
    let names = ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L"];
    let mut given = Vec::new();
    for (subject, key) in names.into_iter().zip(&keys) {
        for (issuer, issuer_key) in names.into_iter().zip(&keys) {
            given.push(Template { subject, ..CA }.issue(key, (issuer, issuer_key)));
        }
    }
    let chain = [LEAF.issue(&iak, ("A", &keys[0]))];
    let anchor = root(&CA, &key("root"));
    let outcome = verify_chain(&iak, &chain, &trust(&[anchor], &given), NOW);
    refused(outcome, "there are too many certificates to try");
}

#[test]
fn compares_names_as_they_are_meant() {
    let (iak, factory, root_key) = (key("iak"), key("factory"), key("root"));
    let anchor = trust(&[root(&CA, &root_key)], &[]);
    let chain =
        [LEAF.issue(&iak, ("FACTORY", &factory)), FACTORY.issue(&factory, ("  root ", &root_key))];
    accepted(verify_chain(&iak, &chain, &anchor, NOW));
}

/// nameConstraints: contents of permitted and excluded GeneralNames.
fn constraints(permitted: &[Vec<u8>], excluded: &[Vec<u8>]) -> Vec<u8> {
    let subtrees = |tag, names: &[Vec<u8>]| match names {
        [] => Vec::new(),
        names => {
            let subtrees: Vec<u8> = names.iter().flat_map(|name| tlv(0x30, &[name])).collect();
            tlv(tag, &[&subtrees])
        }
    };
    tlv(0x30, &[&subtrees(0xa0, permitted), &subtrees(0xa1, excluded)])
}

fn directory(text: &str) -> Vec<u8> {
    tlv(0xa4, &[&name(text)])
}

fn uri(text: &str) -> Vec<u8> {
    tlv(0x86, &[text.as_bytes()])
}

fn alt_names(names: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &[&names.concat()])
}

const OUTSIDE: &str = "a name outside an issuer's nameConstraints";

#[test]
fn keeps_directory_names_within_constraints() {
    let acme = Template { subject: "O=Acme/CN=IAK 1", ..LEAF };
    let evil = Template { subject: "O=Evil/CN=IAK 1", ..LEAF };
    for constrained_anchor in [false, true] {
        let check = |leaf: &Template, value: Vec<u8>| {
            let (issuing, anchor) = match constrained_anchor {
                // The issuing CA's own name lies below the anchor too.
                true => (FACTORY, CA.with(NAME_CONSTRAINTS, true, value)),
                false => (FACTORY.with(NAME_CONSTRAINTS, true, value), CA),
            };
            let issuing = Template { subject: "O=Acme/CN=Factory", ..issuing };
            verify(leaf, &issuing, &anchor)
        };
        let permitted = || constraints(&[directory("O=Acme")], &[]);
        accepted(check(&acme, permitted()));
        refused(check(&evil, permitted()), OUTSIDE);
        refused(check(&Template { subject: "CN=IAK/O=Acme", ..LEAF }, permitted()), OUTSIDE);
        accepted(check(&evil, constraints(&[directory("O=Acme"), directory("O=Evil")], &[])));
        accepted(check(&acme, constraints(&[], &[directory("O=Evil")])));
        refused(check(&evil, constraints(&[], &[directory("O=Evil")])), OUTSIDE);
        refused(check(&evil, constraints(&[], &[directory("O= evil")])), OUTSIDE);
        let both = constraints(&[directory("O=Acme")], &[directory("O=Acme/CN=IAK 1")]);
        refused(check(&acme, both), OUTSIDE);
        // One in the alternative names counts as the subject does.
        let hidden = acme.with(SUBJECT_ALT_NAME, false, alt_names(&[directory("O=Evil")]));
        refused(check(&hidden, permitted()), OUTSIDE);
    }
}

#[test]
fn constraints_of_all_issuers_hold() {
    let (iak, line, factory, root_key) = (key("iak"), key("line"), key("factory"), key("root"));
    let anchor = trust(&[root(&CA, &root_key)], &[]);
    let check = |subject, upper: Vec<u8>, lower: Vec<u8>| {
        let upper_ca = FACTORY.with(NAME_CONSTRAINTS, true, upper);
        let lower_ca = Template { subject: "O=Acme/OU=Line", ..CA };
        let chain = [
            Template { subject, ..LEAF }.issue(&iak, (lower_ca.subject, &line)),
            lower_ca.with(NAME_CONSTRAINTS, true, lower).issue(&line, ("Factory", &factory)),
            upper_ca.issue(&factory, ("Root", &root_key)),
        ];
        verify_chain(&iak, &chain, &anchor, NOW)
    };
    let permit = |name| constraints(&[directory(name)], &[]);
    accepted(check("O=Acme/OU=Line/CN=1", permit("O=Acme"), permit("O=Acme/OU=Line")));
    refused(check("O=Acme/CN=1", permit("O=Acme"), permit("O=Acme/OU=Line")), OUTSIDE);
    // Nobody below widens what somebody above has narrowed.
    refused(check("O=Evil/CN=1", permit("O=Acme"), permit("O=Evil")), OUTSIDE);
    refused(check("O=Evil/CN=1", permit("O=Acme"), constraints(&[directory("")], &[])), OUTSIDE);
}

#[test]
fn keeps_other_forms_of_names_within_constraints_or_refuses_them() {
    let check = |names: &[Vec<u8>], value: Vec<u8>| {
        let leaf = LEAF.with(SUBJECT_ALT_NAME, false, alt_names(names));
        verify(&leaf, &FACTORY.with(NAME_CONSTRAINTS, true, value), &CA)
    };
    let of_acme = || constraints(&[uri("acme.example")], &[]);
    accepted(check(&[uri("https://acme.example/1")], of_acme()));
    refused(check(&[uri("https://evil.example/acme.example")], of_acme()), OUTSIDE);
    refused(check(&[uri("urn:uuid:1")], of_acme()), OUTSIDE);
    refused(check(&[uri("urn:uuid:1")], constraints(&[], &[uri("evil.example")])), OUTSIDE);
    // No name of the form: nothing to refuse.
    accepted(check(&[tlv(0x82, &[b"acme.example"])], of_acme()));
    // otherName is a form that nobody compares here.
    let other = tlv(0xa0, &[&oid(&[0x2b, 6, 1]), &tlv(0xa0, &[&tlv(0x0c, &[b"x"])])]);
    let one = std::slice::from_ref(&other);
    refused(check(one, constraints(one, &[])), OUTSIDE);
    refused(check(one, constraints(&[], one)), OUTSIDE);
    accepted(check(one, of_acme()));
    // A minimum, and a form without content.
    let minimum = tlv(0x30, &[&tlv(0xa0, &[&tlv(0x30, &[&uri("a.example"), &[0x80, 1, 1]])])]);
    let malformed = "malformed nameConstraints, or of a form not known here";
    refused(check(one, minimum), malformed);
    refused(check(one, vec![0x30, 0]), malformed);
}

/// certificatePolicies with 1.3.6.1.n for each n; 0 stands for anyPolicy.
fn policies(numbers: &[u8]) -> Vec<u8> {
    let list: Vec<u8> = numbers.iter().flat_map(|&n| tlv(0x30, &[&policy(n)])).collect();
    tlv(0x30, &[&list])
}

fn policy(number: u8) -> Vec<u8> {
    match number {
        0 => oid(&[0x55, 0x1d, 32, 0]),
        number => oid(&[0x2b, 6, 1, number]),
    }
}

fn mapping(from: u8, to: u8) -> Vec<u8> {
    tlv(0x30, &[&tlv(0x30, &[&policy(from), &policy(to)])])
}

/// requireExplicitPolicy
fn explicit(after: u8) -> Vec<u8> {
    tlv(0x30, &[&[0x80, 1, after]])
}

const NO_POLICY: &str = "no policy that all certificates agree on";

#[test]
fn processes_policies_that_are_critical() {
    let leaf = |numbers: &[u8]| LEAF.with(POLICIES, true, policies(numbers));
    accepted(verify(&leaf(&[1]), &FACTORY, &CA));
    accepted(verify(&leaf(&[1]), &FACTORY.with(POLICIES, true, policies(&[2])), &CA));
    let malformed = "a malformed policy extension";
    refused(verify(&leaf(&[]), &FACTORY, &CA), malformed);
    refused(verify(&leaf(&[1, 1]), &FACTORY, &CA), malformed);
    // A qualifier that nobody knows may be passed over where the extension may.
    let qualifier = |id: &[u8]| {
        let qualifiers = tlv(0x30, &[&tlv(0x30, &[&oid(id), &[5, 0]])]);
        tlv(0x30, &[&tlv(0x30, &[&policy(1), &qualifiers])])
    };
    let unknown = || qualifier(&[0x2b, 6, 1, 9]);
    refused(verify(&LEAF.with(POLICIES, true, unknown()), &FACTORY, &CA), malformed);
    accepted(verify(&LEAF.with(POLICIES, false, unknown()), &FACTORY, &CA));
    let cps = qualifier(&[0x2b, 6, 1, 5, 5, 7, 2, 1]);
    accepted(verify(&LEAF.with(POLICIES, true, cps), &FACTORY, &CA));
}

#[test]
fn wants_a_policy_where_an_issuer_demands_one() {
    let leaf = |numbers: &[u8]| LEAF.with(POLICIES, false, policies(numbers));
    let issuing = |numbers: &[u8]| {
        FACTORY.with(POLICY_CONSTRAINTS, true, explicit(0)).with(POLICIES, false, policies(numbers))
    };
    accepted(verify(&leaf(&[1]), &issuing(&[1]), &CA));
    accepted(verify(&leaf(&[2, 1]), &issuing(&[1, 3]), &CA));
    accepted(verify(&leaf(&[1]), &issuing(&[0]), &CA));
    accepted(verify(&leaf(&[0]), &issuing(&[1]), &CA));
    refused(verify(&leaf(&[2]), &issuing(&[1]), &CA), NO_POLICY);
    refused(verify(&LEAF, &issuing(&[1]), &CA), NO_POLICY);
    refused(
        verify(&leaf(&[1]), &FACTORY.with(POLICY_CONSTRAINTS, true, explicit(0)), &CA),
        NO_POLICY,
    );
    // The anchor demands, and restricts, as any issuer does (RFC 5937).
    let anchor = CA.with(POLICY_CONSTRAINTS, true, explicit(0));
    let plain = |numbers: &[u8]| FACTORY.with(POLICIES, false, policies(numbers));
    accepted(verify(&leaf(&[1]), &plain(&[1]), &anchor));
    refused(verify(&LEAF, &FACTORY, &anchor), NO_POLICY);
    let restricted = anchor.with(POLICIES, false, policies(&[2]));
    accepted(verify(&leaf(&[2]), &plain(&[2]), &restricted));
    refused(verify(&leaf(&[1]), &plain(&[1]), &restricted), NO_POLICY);
    // A demand that the leaf is too near for, and the leaf's own.
    let later = FACTORY.with(POLICY_CONSTRAINTS, true, explicit(2));
    accepted(verify(&LEAF, &later, &CA));
    refused(verify(&LEAF.with(POLICY_CONSTRAINTS, true, explicit(0)), &FACTORY, &CA), NO_POLICY);
    accepted(verify(&LEAF.with(POLICY_CONSTRAINTS, true, explicit(1)), &FACTORY, &CA));
}

#[test]
fn maps_policies_unless_that_is_inhibited() {
    let leaf = |numbers: &[u8]| LEAF.with(POLICIES, false, policies(numbers));
    let issuing = |numbers: &[u8], from, to| {
        FACTORY
            .with(POLICY_CONSTRAINTS, true, explicit(0))
            .with(POLICIES, false, policies(numbers))
            .with(MAPPINGS, true, mapping(from, to))
    };
    accepted(verify(&leaf(&[2]), &issuing(&[1], 1, 2), &CA));
    refused(verify(&leaf(&[1]), &issuing(&[1], 1, 2), &CA), NO_POLICY);
    accepted(verify(&leaf(&[2]), &issuing(&[0], 1, 2), &CA));
    refused(verify(&leaf(&[2]), &issuing(&[3], 1, 2), &CA), NO_POLICY);
    let malformed = "a malformed policy extension";
    refused(verify(&leaf(&[2]), &issuing(&[1], 1, 0), &CA), malformed);
    refused(verify(&leaf(&[2]), &issuing(&[1], 0, 2), &CA), malformed);
    let inhibits = tlv(0x30, &[&[0x81, 1, 0]]);
    let anchor = CA.with(POLICY_CONSTRAINTS, true, inhibits);
    refused(verify(&leaf(&[2]), &issuing(&[1], 1, 2), &anchor), NO_POLICY);
    refused(verify(&leaf(&[1]), &issuing(&[1], 1, 2), &anchor), NO_POLICY);
    accepted(verify(&leaf(&[3]), &issuing(&[1, 3], 1, 2), &anchor));
}

#[test]
fn any_policy_says_nothing_where_it_is_inhibited() {
    let leaf = |numbers: &[u8]| LEAF.with(POLICIES, false, policies(numbers));
    let issuing = |numbers: &[u8], after| {
        FACTORY
            .with(POLICY_CONSTRAINTS, true, explicit(0))
            .with(POLICIES, false, policies(numbers))
            .with(INHIBIT_ANY_POLICY, true, vec![2, 1, after])
    };
    refused(verify(&leaf(&[0]), &issuing(&[1], 0), &CA), NO_POLICY);
    accepted(verify(&leaf(&[0]), &issuing(&[1], 1), &CA));
    accepted(verify(&leaf(&[1]), &issuing(&[0], 0), &CA));
    let anchor = CA.with(INHIBIT_ANY_POLICY, true, vec![2, 1, 0]);
    refused(verify(&leaf(&[1]), &issuing(&[0], 5), &anchor), NO_POLICY);
    refused(
        verify(&leaf(&[1]), &issuing(&[1], 0), &CA.with(POLICIES, true, vec![4, 0])),
        "a malformed policy extension",
    );
}

#[test]
fn the_purpose_of_an_issuer_is_not_that_of_its_leaf() {
    // id-kp-serverAuth
    let issuing = Template { purposes: &[&[0x2b, 6, 1, 5, 5, 7, 3, 1]], ..FACTORY };
    accepted(verify(&LEAF, &issuing, &CA));
}

#[test]
fn no_change_of_an_extension_takes_the_search_down() {
    let names = alt_names(&[uri("https://a.example"), directory("O=Acme"), tlv(0x87, &[&[1; 4]])]);
    let subtrees = constraints(&[uri("a.example"), directory("O=Acme")], &[tlv(0x87, &[&[1; 8]])]);
    for (of_issuer, id, value) in [
        (false, SUBJECT_ALT_NAME, &names),
        (true, NAME_CONSTRAINTS, &subtrees),
        (true, POLICIES, &policies(&[1, 0])),
        (true, MAPPINGS, &mapping(1, 2)),
        (true, POLICY_CONSTRAINTS, &explicit(0)),
        (true, INHIBIT_ANY_POLICY, &vec![2, 1, 0]),
        (false, 37, &tlv(0x30, &[&oid(&[0x67, 0x81, 5, 8, 3])])),
    ] {
        for at in 0..value.len() {
            for changed in [0, 0xff, value[at] ^ 0x20] {
                let mut value = value.clone();
                value[at] = changed;
                let constrained = FACTORY.with(NAME_CONSTRAINTS, true, subtrees.clone());
                let _verdict = match of_issuer {
                    true => verify(&LEAF, &FACTORY.with(id, true, value), &CA),
                    false => verify(&LEAF.with(id, true, value), &constrained, &CA),
                };
            }
        }
    }
}
