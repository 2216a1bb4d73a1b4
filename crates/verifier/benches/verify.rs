// SPDX-License-Identifier: Apache-2.0
//! Verification next to the bare signature checks that it cannot do without:
//! the same bytes, the same keys, verdicts asserted. All of it runs in slices,
//! one kind after the other, and medians over the slices count, so that what
//! else the machine does meanwhile falls on every kind alike.
//!
//! `--json` prints one object; `cargo xtask bench verify` prints the table.

#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;
use std::thread;
use std::time::Instant;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use common::cbor::Value::{Bytes, Int};
use common::x509::{CA, LEAF, Template, root};
use common::{RFC_9783, Signer, later_claims, sign, token_with_chain};
use devid_core::cose::Envelope;
use devid_verifier::{
    Appraisal, Challenge, Check, KeySet, Policy, TrustAnchors, UnixTime, Verdict, Verifier,
};
use sha2::{Digest, Sha256};

const KEYS: usize = 64;
/// Slices of a kind, and tokens in each: 10,240 distinct ones.
const SLICES: usize = 40;
const SLICE: usize = 256;
/// Times that all tokens are verified on one thread and on two.
const ROUNDS: usize = 5;
/// One token in so many is forged.
const FORGED: usize = 100;

/// A token, and what a bare check of its signature takes.
struct Case {
    token: Vec<u8>,
    nonce: Vec<u8>,
    key: usize,
    signed: Vec<u8>,
    signature: Vec<u8>,
    is_genuine: bool,
}

fn main() {
    let signers: Vec<_> = (0..KEYS).map(|n| Signer::p256(&format!("device {n}"))).collect();
    let parsed: Vec<_> = signers
        .iter()
        .map(|s| ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, s.point()).unwrap())
        .collect();
    let cases: Vec<_> = (0..SLICES * SLICE).map(|n| keyed(&signers, n)).collect();
    let (chained, anchor) = chained(&signers);

    let mut keys = KeySet::default();
    signers.iter().for_each(|signer| keys.add_public(signer.public()));
    let (none, no_keys) = (TrustAnchors::default(), KeySet::default());
    let mut uncached = TrustAnchors::with_cached_chains(0);
    let mut cached = TrustAnchors::default();
    uncached.add(&anchor).unwrap();
    cached.add(&anchor).unwrap();
    let policy = Policy { at: UnixTime::now(), allow_development_key: false };
    let appraisal = Appraisal::default();
    let keyed = Verifier { keys: &keys, anchors: &none, policy, appraisal };
    let by_chain = Verifier { keys: &no_keys, anchors: &uncached, policy, appraisal };
    let by_known_chain = Verifier { keys: &no_keys, anchors: &cached, policy, appraisal };

    let raw = |slice: &[Case]| {
        for case in slice {
            let valid = parsed[case.key].verify_sig(&case.signed, &case.signature).is_ok();
            assert_eq!(black_box(valid), case.is_genuine);
        }
    };
    let verify = |verifier: &Verifier<'_>, slice: &[Case]| {
        for case in slice {
            let report = verifier.verify(&case.token, Challenge::Expected(&case.nonce));
            let expected = if case.is_genuine { Verdict::Pass } else { Verdict::Fail };
            assert_eq!(black_box(report.verdict()), expected);
            assert_eq!(report.outcome(Check::Signature).passed(), case.is_genuine);
        }
    };
    let on_two_threads = |slice: &[Case]| {
        thread::scope(|scope| {
            let (first, second) = slice.split_at(slice.len() / 2);
            scope.spawn(|| verify(&keyed, first));
            scope.spawn(|| verify(&keyed, second));
        });
    };

    raw(&cases[..SLICE]);
    verify(&keyed, &cases[..SLICE]);
    verify(&by_known_chain, &chained);
    let mut seconds: [Vec<f64>; 5] = Default::default();
    for slice in cases.chunks_exact(SLICE) {
        let work: [&dyn Fn(); 5] = [
            &|| raw(slice),
            &|| verify(&keyed, slice),
            &|| raw(&chained),
            &|| verify(&by_chain, &chained),
            &|| verify(&by_known_chain, &chained),
        ];
        for (seconds, work) in seconds.iter_mut().zip(work) {
            let start = Instant::now();
            work();
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    // Over all tokens at once: a slice ends before the scheduler has moved the
    // second thread to a core of its own.
    let (mut on_one, mut on_two) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        verify(&keyed, &cases);
        on_one.push(start.elapsed().as_secs_f64());
        let start = Instant::now();
        on_two_threads(&cases);
        on_two.push(start.elapsed().as_secs_f64());
    }
    let (on_one, on_two) = (median(on_one.into_iter()), median(on_two.into_iter()));

    let ratio = |of: usize, to: usize, times: f64| {
        median(seconds[to].iter().zip(&seconds[of]).map(|(to, of)| times * to / of))
    };
    let rate = |kind: usize| SLICE as f64 / median(seconds[kind].iter().copied());
    let figures = serde_json::json!({
        "tokens": cases.len(),
        "keys": KEYS,
        "forged": cases.iter().filter(|case| !case.is_genuine).count(),
        "raw_per_s": rate(0),
        "devid_per_s": rate(1),
        "ratio": ratio(1, 0, 1.0),
        "two_thread_per_s": cases.len() as f64 / on_two,
        "two_thread_ratio": on_one / on_two,
        "x5chain_per_s": rate(3),
        "x5chain_ratio": ratio(3, 2, 3.0),
        "x5chain_cached_per_s": rate(4),
        "x5chain_cached_ratio": ratio(4, 2, 1.0),
    });
    println!("{figures}");
}

/// A token verified with a given key.
fn keyed(signers: &[Signer], n: usize) -> Case {
    let signer = &signers[n % KEYS];
    let nonce = Sha256::digest(n.to_be_bytes()).to_vec();
    let mut claims = later_claims(RFC_9783, signer.instance_id());
    claims.retain(|(key, _)| *key != Int(10));
    claims.push((Int(10), Bytes(nonce.clone())));
    case(sign(signer, vec![], claims), nonce, n % KEYS, n % FORGED != FORGED / 2)
}

/// A slice of tokens with leaf and intermediate in their x5chain, and the root.
fn chained(signers: &[Signer]) -> (Vec<Case>, Vec<u8>) {
    let (ca, factory) = (Signer::p256("root"), Signer::p256("factory"));
    let intermediate = Template { subject: "Factory", ca: Some(Some(0)), ..CA };
    let issuer = intermediate.issue(&factory, ("Root", &ca));
    let tokens: Vec<_> = signers
        .iter()
        .map(|signer| {
            let leaf = LEAF.issue(signer, ("Factory", &factory));
            token_with_chain(signer, &[leaf, issuer.clone()])
        })
        .collect();
    let nonce = common::NONCE.to_vec();
    let cases =
        (0..SLICE).map(|n| case(tokens[n % KEYS].clone(), nonce.clone(), n % KEYS, true)).collect();
    (cases, root(&CA, &ca))
}

fn case(mut token: Vec<u8>, nonce: Vec<u8>, key: usize, is_genuine: bool) -> Case {
    if !is_genuine {
        *token.last_mut().unwrap() ^= 1;
    }
    let envelope = Envelope::decode(&token).unwrap();
    let signed = envelope.to_be_signed().parts().concat();
    let signature = envelope.signature.to_vec();
    Case { token, nonce, key, signed, signature, is_genuine }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
