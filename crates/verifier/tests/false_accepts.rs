// SPDX-License-Identifier: Apache-2.0
//! Tokens that other verifiers were seen to accept. Each is signed by the
//! trusted key and passes once its defect is taken away, so that nothing but
//! the defect refuses it.

mod common;

use common::cbor::Value::{self, Array, Bytes, Int, Map, Text};
use common::{DRAFT_2, NONCE, RFC_9783, Signer, first_claims, later_claims, seal};
use devid_verifier::{
    Appraisal, Challenge, Check, KeySet, Policy, TrustAnchors, UnixTime, Verdict, Verifier,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Generation {
    First,
    Draft,
    Rfc,
}

use Generation::{Draft, First, Rfc};

const ALL: [Generation; 3] = [First, Draft, Rfc];

/// A token before it is signed.
struct Unsigned {
    generation: Generation,
    protected: Vec<(Value, Value)>,
    unprotected: Vec<(Value, Value)>,
    claims: Vec<(Value, Value)>,
    /// Makes the payload of the claims.
    payload: fn(Vec<(Value, Value)>) -> Vec<u8>,
    /// What follows the token.
    behind: &'static [u8],
}

impl Unsigned {
    fn good(generation: Generation) -> Self {
        let instance_id = Signer::p256("iak").instance_id();
        Self {
            generation,
            protected: vec![(Int(1), Int(-7))],
            unprotected: vec![],
            claims: match generation {
                First => first_claims(instance_id),
                Draft => later_claims(DRAFT_2, instance_id),
                Rfc => later_claims(RFC_9783, instance_id),
            },
            payload: |claims| Map(claims).encode(),
            behind: &[],
        }
    }

    /// The claim's key in this generation.
    fn key(&self, first: i64, later: i64) -> Value {
        Int(if self.generation == First { first } else { later })
    }

    fn set(&mut self, first: i64, later: i64, value: Value) {
        let key = self.key(first, later);
        let claim = self.claims.iter_mut().find(|(known, _)| *known == key);
        claim.expect("the claim is there").1 = value;
    }

    fn sign(self) -> Vec<u8> {
        let payload = (self.payload)(self.claims);
        let protected = Map(self.protected).encode();
        let mut token = seal(&Signer::p256("iak"), protected, self.unprotected, payload);
        token.extend(self.behind);
        token
    }
}

/// The checks that fail, and why. None must mean that the token passes.
#[track_caller]
fn failures(token: Unsigned) -> Vec<(Check, String)> {
    let mut keys = KeySet::default();
    keys.add_public(Signer::p256("iak").public());
    let anchors = TrustAnchors::default();
    let policy = Policy { at: UnixTime::now(), allow_development_key: false };
    let verifier =
        Verifier { keys: &keys, anchors: &anchors, policy, appraisal: Appraisal::default() };
    let token = token.sign();
    let report = verifier.verify(&token, Challenge::Expected(&NONCE));
    let failed: Vec<_> = report
        .outcomes()
        .filter(|(_, outcome)| outcome.failed())
        // Where it lies is another number in each generation.
        .map(|(check, outcome)| (check, outcome.detail.split(" at byte").next().unwrap().into()))
        .collect();
    assert_eq!(failed.is_empty(), report.verdict() == Verdict::Pass, "{report:?}");
    failed
}

/// Asserts that the token without the defect passes, and that the one with it
/// fails in these checks for these reasons and in no other.
#[track_caller]
fn refuses(generations: &[Generation], defect: impl Fn(&mut Unsigned), expected: &[(Check, &str)]) {
    let expected: Vec<_> =
        expected.iter().map(|&(check, reason)| (check, reason.to_owned())).collect();
    for &generation in generations {
        assert_eq!(failures(Unsigned::good(generation)), []);
        let mut bad = Unsigned::good(generation);
        defect(&mut bad);
        assert_eq!(failures(bad), expected, "{generation:?}");
    }
}

#[test]
fn refuses_an_array_as_payload() {
    refuses(
        &ALL,
        |token| {
            token.payload = |claims| {
                Array(claims.into_iter().flat_map(|(key, value)| [key, value]).collect()).encode()
            }
        },
        &[(Check::Decode, "payload: wrong type")],
    );
}

#[test]
fn refuses_bytes_behind_the_token() {
    let expected = [(Check::Decode, "trailing bytes")];
    refuses(&ALL, |token| token.behind = &[0], &expected);
    // Not even another token.
    refuses(&ALL, |token| token.behind = &[0xd2, 0x84, 0x40, 0xa0, 0x40, 0x40], &expected);
}

#[test]
fn refuses_bytes_behind_the_claims() {
    refuses(
        &ALL,
        |token| token.payload = |claims| [Map(claims).encode(), vec![0xa0]].concat(),
        &[(Check::Decode, "payload: trailing bytes")],
    );
}

#[test]
fn refuses_a_nonce_that_stands_twice() {
    // Whichever of the two a reader took, it would be the challenge.
    refuses(
        &ALL,
        |token| token.claims.push((token.key(-75008, 10), Bytes(NONCE.to_vec()))),
        &[(Check::Decode, "payload: duplicate key")],
    );
    refuses(
        &[Draft, Rfc],
        |token| token.claims.push((Value::Raw(vec![0x19, 0, 10]), Bytes(vec![0; 32]))),
        &[(Check::Decode, "payload: duplicate key")],
    );
}

#[test]
fn refuses_a_nonce_in_an_array() {
    let expected = [(Check::Claims, "nonce: wrong type"), (Check::Challenge, "nonce: wrong type")];
    let nonce = || Bytes(NONCE.to_vec());
    refuses(&ALL, |token| token.set(-75008, 10, Array(vec![nonce()])), &expected);
    refuses(&ALL, |token| token.set(-75008, 10, Array(vec![nonce(), nonce()])), &expected);
}

#[test]
fn refuses_alg_in_the_unprotected_header_alone() {
    refuses(
        &ALL,
        |token| token.unprotected = std::mem::take(&mut token.protected),
        &[(Check::Signature, "no alg in the protected header")],
    );
}

#[test]
fn refuses_client_id_0() {
    refuses(
        &ALL,
        |token| token.set(-75001, 2394, Int(0)),
        &[(Check::Claims, "client-id: value not allowed")],
    );
}

#[test]
fn refuses_an_implementation_id_of_another_size() {
    for length in [0, 31, 33, 64] {
        refuses(
            &ALL,
            |token| token.set(-75003, 2396, Bytes(vec![0x11; length])),
            &[(Check::Claims, "implementation-id: wrong length")],
        );
    }
}

#[test]
fn refuses_software_components_that_are_none() {
    refuses(
        &ALL,
        |token| token.set(-75006, 2399, Array(vec![])),
        &[(Check::Claims, "software-components: missing")],
    );
}

#[test]
fn refuses_no_software_measurements_of_2() {
    let without = |value: i64| {
        move |token: &mut Unsigned| {
            token.claims.retain(|(key, _)| *key != Int(-75006));
            token.claims.push((Int(-75007), Int(value)));
        }
    };
    let expected = [(Check::Claims, "no-software-measurements: value not allowed")];
    for value in [0, 2, -1] {
        refuses(&[First], without(value), &expected);
    }
    // Of 1 it is a claim like others, if there are no components beside it.
    let mut good = Unsigned::good(First);
    without(1)(&mut good);
    assert_eq!(failures(good), []);
    refuses(&[First], |token| token.claims.push((Int(-75007), Int(1))), &expected);
}

#[test]
fn refuses_claim_keys_of_two_generations() {
    let expected = [(Check::Profile, "profile: claim keys of two generations")];
    // A claim that the generation lacks, as well as one that it has already.
    refuses(&[Draft, Rfc], |token| token.claims.push((Int(-75004), Bytes(vec![7; 32]))), &expected);
    refuses(&[Draft, Rfc], |token| token.claims.push((Int(-75001), Int(-1))), &expected);
    refuses(&[First], |token| token.claims.push((Int(268), Bytes(vec![7; 32]))), &expected);
    refuses(&[First], |token| token.claims.push((Int(2394), Int(-1))), &expected);
}

#[test]
fn refuses_a_critical_header_that_is_not_known() {
    let expected = [(Check::Decode, "critical header not understood")];
    for label in [Int(99), Int(-65_537), Text("devid")] {
        refuses(
            &ALL,
            |token| {
                token.protected.push((Int(2), Array(vec![label.clone()])));
                token.protected.push((label.clone(), Int(1)));
            },
            &expected,
        );
    }
    // Nor one that is known, and not there.
    refuses(&ALL, |token| token.protected.push((Int(2), Array(vec![Int(4)]))), &expected);
}
