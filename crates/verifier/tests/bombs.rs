// SPDX-License-Identifier: Apache-2.0
//! Depth and length bombs, signed by the trusted key, and what memory they
//! take. One test alone: the allocator counts for the whole program.

mod common;

use std::alloc::System;

use cap::Cap;
use common::cbor::Value::{Array, Bytes, Int, Raw};
use common::{NONCE, RFC_9783, Signer, later_claims, sign};
use devid_verifier::ear::Demand;
use devid_verifier::{
    Appraisal, Challenge, Check, KeySet, MAX_TOKEN_LEN, Policy, TrustAnchors, UnixTime, Verdict,
    Verifier, cmw, corim, ear,
};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// What may be allocated for an input in all, given its length: a tree of JSON
/// takes some fifteen bytes for one.
const fn budget(length: usize) -> usize {
    64 * 1024 + 32 * length
}

/// Verifies as whatever it may be; returns whether nothing passed.
fn refuses(verifier: &Verifier<'_>, input: &[u8]) -> bool {
    let before = ALLOCATOR.total_allocated();
    let token = match cmw::to_cbor(input.into()) {
        Ok(evidence) => verifier.verify(&evidence, Challenge::Expected(&NONCE)).verdict(),
        Err(_) => Verdict::Fail,
    };
    let at = UnixTime::now();
    let document = [
        corim::verify(input, &[], at).verdict(),
        ear::verify(input, &[], &Demand::affirming(at)).verdict(),
    ];
    let allocated = ALLOCATOR.total_allocated() - before;
    assert!(allocated <= budget(input.len()), "{allocated} for {} bytes", input.len());
    token == Verdict::Fail && document == [Verdict::Fail; 2]
}

#[test]
fn refuses_bombs_and_allocates_by_their_true_length_alone() {
    let signer = Signer::p256("iak");
    let mut keys = KeySet::default();
    keys.add_public(signer.public());
    let anchors = TrustAnchors::default();
    let policy = Policy { at: UnixTime::now(), allow_development_key: false };
    let verifier =
        Verifier { keys: &keys, anchors: &anchors, policy, appraisal: Appraisal::default() };

    // In a claim that nobody knows, under a good signature.
    let with = |key, value| {
        let mut claims = later_claims(RFC_9783, signer.instance_id());
        claims.retain(|(known, _)| *known != Int(key));
        claims.push((Int(key), Raw(value)));
        sign(&signer, vec![], claims)
    };
    let good = with(31337, vec![0]);
    assert_eq!(verifier.verify(&good, Challenge::Expected(&NONCE)).verdict(), Verdict::Pass);
    let deep = |initial: u8| [vec![initial; 20_000], vec![0]].concat();
    let maps = [0xa1, 0].repeat(20_000);
    let long = |initial: u8| [&[initial][..], &[0xff; 8]].concat();
    let mut bombs: Vec<_> = [deep(0x81), deep(0xc1), [&maps[..], &[0]].concat()].into();
    bombs.extend([0x5a, 0x7a, 0x9a, 0xba].map(|initial| [&[initial][..], &[0xff; 4]].concat()));
    bombs.extend([0x5b, 0x7b, 0x9b, 0xbb].map(long));
    for bomb in bombs {
        // An unknown claim, the nonce and the software components.
        for key in [31337, 10, 2399] {
            let token = with(key, bomb.clone());
            let report = verifier.verify(&token, Challenge::Expected(&NONCE));
            assert!(report.outcome(Check::Decode).failed(), "{report:?}");
            assert!(refuses(&verifier, &token));
        }
        // Not in a token at all, as each wrapper, and as its value.
        let wrapped = Array(vec![Int(263), Bytes(bomb.clone())]).encode();
        let member = [&[0xa1, 0x61, b'x'][..], &bomb].concat();
        let tagged = |tag: &[u8]| [tag, &bomb].concat();
        let heads: [&[u8]; 4] = [&[0xd2], &[0xd9, 1, 0x8f], &[0xd9, 3, 0x8b], &[0xd9, 1, 0xf5]];
        for input in [bomb.clone(), wrapped, member].into_iter().chain(heads.map(tagged)) {
            assert!(refuses(&verifier, &input));
        }
    }
    let crowd = (0..257).map(|key| (Int(40_000 + key), Int(0)));
    let claims = later_claims(RFC_9783, signer.instance_id()).into_iter().chain(crowd).collect();
    assert!(refuses(&verifier, &sign(&signer, vec![], claims)));

    for text in ["[", "{\"a\":", "[[],", "[0,", "{\"\":[", "9", " "] {
        assert!(refuses(&verifier, text.repeat(60_000).as_bytes()));
    }
    let mut members: Vec<_> = (0..60_000).map(|n| format!("\"{n}\":[1,\"AA\"]")).collect();
    members.push("\"x\":[263,\"\"]".into());
    assert!(refuses(&verifier, format!("{{{}}}", members.join(",")).as_bytes()));
    for byte in [0x00, 0x40, 0x60, 0x80, 0xa0, 0xf6] {
        let full = vec![byte; MAX_TOKEN_LEN - 9];
        let head = |major: u8| [&[major | 26][..], &(full.len() as u32).to_be_bytes()].concat();
        for major in [0x40, 0x80] {
            assert!(refuses(&verifier, &[head(major), full.clone()].concat()));
            assert!(refuses(
                &verifier,
                &[&[0xd2, 0x84, 0x40, 0xa0], &*head(major), &*full].concat()
            ));
        }
        assert!(refuses(&verifier, &full));
    }
}
