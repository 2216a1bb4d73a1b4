// SPDX-License-Identifier: Apache-2.0
//! Devices and their tokens, and what is expected of an answer.
#![allow(dead_code, reason = "each test program uses a part")]

use devid_registry::{KeyPurpose, NewDevice, State};
use serde_json::Value;

use crate::common::cbor::Value::{Array, Bytes, Int};
use crate::common::{RFC_9783, Signer, cbor, later_claims, sign};
use crate::http::Running;
use crate::schema;

pub(crate) fn token(signer: &Signer, nonce: &[u8]) -> Vec<u8> {
    token_with(signer, nonce, vec![])
}

/// A token that answers a challenge, with an `x5chain`.
pub(crate) fn token_with(signer: &Signer, nonce: &[u8], chain: Vec<Vec<u8>>) -> Vec<u8> {
    let mut unprotected = vec![];
    match chain.len() {
        0 => {}
        1 => unprotected.push((Int(33), Bytes(chain[0].clone()))),
        _ => {
            let chain = Array(chain.into_iter().map(Bytes).collect());
            unprotected.push((Int(33), chain));
        }
    }
    sign(signer, unprotected, claims(signer, nonce))
}

pub(crate) fn claims(signer: &Signer, nonce: &[u8]) -> Vec<(cbor::Value, cbor::Value)> {
    let mut claims = later_claims(RFC_9783, signer.instance_id());
    claims.retain(|(key, _)| *key != Int(10));
    claims.push((Int(10), Bytes(nonce.to_vec())));
    claims
}

/// A device by its public key alone.
pub(crate) fn new_device(signer: &Signer, state: State) -> NewDevice {
    let key = signer.public();
    NewDevice {
        state,
        sku: None,
        serial: None,
        spki: key.spki(),
        purpose: KeyPurpose::Attestation,
        instance_ids: key.id().instance_ids().to_vec(),
        chain: vec![],
        signature: None,
        detail: "test".into(),
    }
}

pub(crate) async fn register(running: &Running, signer: &Signer) {
    running.registry.register(new_device(signer, State::Approved), 0).await.expect("registers");
}

pub(crate) fn result<'a>(answer: &'a Value, check: &str) -> &'a str {
    let checks = answer["checks"].as_array().expect("checks");
    let found = checks.iter().find(|entry| entry["check"] == check).expect("the check");
    found["result"].as_str().expect("a result")
}

pub(crate) fn detail<'a>(answer: &'a Value, check: &str) -> &'a str {
    let checks = answer["checks"].as_array().expect("checks");
    let found = checks.iter().find(|entry| entry["check"] == check).expect("the check");
    found["detail"].as_str().expect("a detail")
}

#[track_caller]
pub(crate) fn passes(answer: &Value) {
    assert_eq!(answer["verdict"], "pass", "{answer:#}");
    schema::conforms(answer, "Answer");
}

/// The verdict is fail for that check, and for that reason.
#[track_caller]
pub(crate) fn fails(answer: &Value, check: &str, reason: &str) {
    assert_eq!(answer["verdict"], "fail", "{answer:#}");
    assert_eq!(result(answer, check), "fail", "{answer:#}");
    assert!(detail(answer, check).contains(reason), "{answer:#}");
    schema::conforms(answer, "Answer");
}
