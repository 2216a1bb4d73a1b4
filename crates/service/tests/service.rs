// SPDX-License-Identifier: Apache-2.0
//! The service over loopback: challenges, tokens, devices.

#[path = "../../verifier/tests/common/mod.rs"]
mod common;
mod device;
mod http;
mod schema;

use std::fs;
use std::time::Duration;

use common::cbor::Value::{Array, Bytes, Int, Map, Text};
use common::x509::{CA, CLIENT_AUTH, LEAF, Template, root};
use common::{Signer, cose_key, seal, sign};
use device::{claims, fails, new_device, passes, register, result, token, token_with};
use devid_registry::{EventKind, KeyPurpose, NewDevice, State};
use devid_service::{Config, Signer as ResultSigner, Unknown};
use devid_verifier::endorsements::EndorsedKey;
use devid_verifier::keys::PublicKey;
use devid_verifier::{AppraisalPolicy, Endorsements, TrustAnchors, UnixTime, Verdict, ear};
use http::{Running, directory, start};
use p256::elliptic_curve::PrimeField;
use p256::elliptic_curve::point::AffineCoordinates;
use p256::{ProjectivePoint, Scalar};
use serde_json::Value;
use sha2::{Digest, Sha256};

const SIGNING_KEY: &[u8] = include_bytes!("signing-key.pem");

#[tokio::test]
async fn passes_what_a_registered_device_signed() {
    let directory = directory();
    let running = start(directory.path(), |_| {}).await;
    for signer in [Signer::p256("a"), Signer::p384("b"), Signer::p521("c")] {
        register(&running, &signer).await;
        for len in [32, 48, 64] {
            let challenge = running.challenge(len).await;
            let answer = running.verify(&token(&signer, &challenge)).await;
            passes(&answer);
            assert_eq!(answer["file"], "-");
            assert_eq!(answer["device"]["state"], "approved");
        }
    }
}

#[tokio::test]
async fn takes_a_token_in_a_cmw_of_either_encoding() {
    let directory = directory();
    let (ca, signer) = (Signer::p256("ca"), Signer::p256("a"));
    let running = start(directory.path(), |config| config.anchors = anchors(&ca)).await;
    let chain = vec![LEAF.issue(&signer, ("Root", &ca))];
    let wrapped = |token: &[u8], json: bool| match json {
        false => {
            let media_type = common::cbor::Value::Text("application/eat+cwt");
            common::cbor::Value::Array(vec![media_type, Bytes(token.to_vec())]).encode()
        }
        true => {
            let token = data_encoding::BASE64URL_NOPAD.encode(token);
            serde_json::json!(["application/eat+cwt", token]).to_string().into_bytes()
        }
    };
    let mut devices = Vec::new();
    for (media_type, json) in [("application/cmw+cbor", false), ("application/cmw+json", true)] {
        let challenge = running.challenge(32).await;
        let body = wrapped(&token_with(&signer, &challenge, chain.clone()), json);
        let answer = running.send("POST", "/verify", &[("Content-Type", media_type)], &body).await;
        passes(&answer.json());
        devices.push(answer.json()["device"]["id"].clone());
    }
    assert!(devices[0].is_i64() && devices[0] == devices[1], "{devices:?}");
    let broken = running
        .send("POST", "/verify", &[("Content-Type", "application/cmw+json")], b"[\"x\"")
        .await;
    fails(&broken.json(), "decode", "broken JSON");
}

#[tokio::test]
async fn takes_a_challenge_once() {
    let directory = directory();
    let running = start(directory.path(), |_| {}).await;
    let signer = Signer::p256("a");
    register(&running, &signer).await;
    let challenge = running.challenge(32).await;
    passes(&running.verify(&token(&signer, &challenge)).await);
    for _ in 0..2 {
        fails(&running.verify(&token(&signer, &challenge)).await, "challenge", "used before");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn takes_a_challenge_once_of_ten_at_once() {
    let directory = directory();
    let running = std::sync::Arc::new(start(directory.path(), |_| {}).await);
    let signers = [Signer::p256("a"), Signer::p256("b")];
    for signer in &signers {
        register(&running, signer).await;
    }
    for _ in 0..5 {
        let challenge = running.challenge(32).await;
        // The same token, and another device's over the same challenge.
        let requests: Vec<_> = (0..10)
            .map(|at| {
                let (running, token) = (running.clone(), token(&signers[at % 2], &challenge));
                tokio::spawn(async move { running.verify(&token).await })
            })
            .collect();
        let mut passed = 0;
        for request in requests {
            let answer = request.await.expect("answers");
            match answer["verdict"] == "pass" {
                true => passed += 1,
                false => fails(&answer, "challenge", "used before"),
            }
        }
        assert_eq!(passed, 1);
    }
}

#[tokio::test]
async fn refuses_a_nonce_that_is_no_challenge_of_its_own() {
    let (ours, theirs) = (directory(), directory());
    let running = start(ours.path(), |_| {}).await;
    let other = start(theirs.path(), |_| {}).await;
    let signer = Signer::p256("a");
    register(&running, &signer).await;
    for nonce in [vec![0; 32], other.challenge(32).await] {
        fails(&running.verify(&token(&signer, &nonce)).await, "challenge", "no challenge of this");
    }
}

#[tokio::test]
async fn refuses_a_challenge_that_has_expired() {
    let directory = directory();
    let lifetime = |config: &mut Config| config.challenge_lifetime = Duration::ZERO;
    let running = start(directory.path(), lifetime).await;
    let signer = Signer::p256("a");
    register(&running, &signer).await;
    let challenge = running.challenge(32).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    fails(&running.verify(&token(&signer, &challenge)).await, "challenge", "expired");
}

#[tokio::test]
async fn knows_its_challenges_after_a_restart_and_which_were_used() {
    let directory = directory();
    let signer = Signer::p256("a");
    let running = start(directory.path(), |_| {}).await;
    register(&running, &signer).await;
    let challenge = running.challenge(32).await;
    running.end().await;

    let running = start(directory.path(), |_| {}).await;
    passes(&running.verify(&token(&signer, &challenge)).await);
    running.end().await;

    let running = start(directory.path(), |_| {}).await;
    fails(&running.verify(&token(&signer, &challenge)).await, "challenge", "used before");
}

#[tokio::test]
async fn a_forged_token_leaves_the_challenge_to_be_answered() {
    let directory = directory();
    let running = start(directory.path(), |_| {}).await;
    let (signer, forger) = (Signer::p256("a"), Signer::p256("forger"));
    register(&running, &signer).await;
    let challenge = running.challenge(32).await;
    let genuine = token(&signer, &challenge);
    // By another key, and with one bit changed in signature and payload.
    let forged = sign(&forger, vec![], claims(&signer, &challenge));
    let mut forgeries = vec![forged];
    for at in [genuine.len() - 1, genuine.len() - 70] {
        let mut changed = genuine.clone();
        changed[at] ^= 1;
        forgeries.push(changed);
    }
    for forged in forgeries {
        fails(&running.verify(&forged).await, "signature", "no trusted public key");
    }
    passes(&running.verify(&genuine).await);
}

/// All that a client can tell from an answer, in both forms. An EAR is signed
/// anew each time, at its own time.
async fn answers(running: &Running, token: &[u8]) -> (Vec<u8>, String) {
    let json = running.send_token(token, "application/json").await;
    let ear = running.send_token(token, "application/eat+jwt").await;
    assert_eq!((json.status, ear.status), (200, 200));
    let claims = String::from_utf8(ear.body).expect("text");
    let claims = claims.split('.').nth(1).expect("a payload").as_bytes().to_vec();
    let claims = data_encoding::BASE64URL_NOPAD.decode(&claims).expect("base64url");
    let mut claims: Value = serde_json::from_slice(&claims).expect("JSON");
    for time in ["iat", "exp"] {
        claims.as_object_mut().expect("an object").remove(time);
    }
    let json_value: Value = serde_json::from_slice(&json.body).expect("JSON");
    assert_eq!(json_value["verdict"], "fail", "{json_value:#}");
    assert_eq!(json_value["device"], Value::Null, "{json_value:#}");
    (json.body, claims.to_string())
}

#[tokio::test]
async fn a_forged_token_learns_nothing_of_the_registry() {
    let (known, blank) = (directory(), directory());
    let (ca, signer, forger) = (Signer::p256("ca"), Signer::p256("a"), Signer::p256("forger"));
    let configured = |config: &mut Config| {
        config.anchors = anchors(&ca);
        config.unknown = Unknown::Hold { max_pending: 10 };
        config.signer = Some(ResultSigner::from_pem(SIGNING_KEY).expect("a key"));
    };
    let running = start(known.path(), configured).await;
    // The same secret, and no devices.
    fs::copy(known.path().join("registry.db"), blank.path().join("registry.db")).expect("copies");
    fs::copy(known.path().join("registry.db-wal"), blank.path().join("registry.db-wal"))
        .expect("copies");
    let ignorant = start(blank.path(), configured).await;

    let held = new_device(&signer, State::Pending);
    let device = running.registry.register(held, 10).await.expect("registers");
    for state in [State::Pending, State::Approved, State::Revoked] {
        match state {
            State::Pending => {}
            State::Approved => running.registry.approve(device, "").await.expect("approves"),
            State::Revoked => running.registry.revoke(device, "").await.expect("revokes"),
        }
        for nonce in [running.challenge(32).await, vec![0; 32]] {
            for forged in forgeries(&signer, &forger, &ca, &nonce) {
                assert_eq!(
                    answers(&running, &forged).await,
                    answers(&ignorant, &forged).await,
                    "{state:?}"
                );
            }
        }
    }
}

/// Tokens under a device's name that its key did not sign.
fn forgeries(signer: &Signer, forger: &Signer, ca: &Signer, nonce: &[u8]) -> Vec<Vec<u8>> {
    let genuine = token(signer, nonce);
    let changed = |at: usize| {
        let mut changed = genuine.clone();
        changed[at] ^= 1;
        changed
    };
    let claims = || claims(signer, nonce);
    let chain = |issuer: &Signer| vec![(Int(33), Bytes(LEAF.issue(forger, ("Root", issuer))))];
    let several = |tokens: [Vec<u8>; 2]| {
        let [a, b] = tokens.map(|token| {
            let media_type = common::cbor::Value::Text("application/eat+cwt");
            common::cbor::Value::Array(vec![media_type, Bytes(token)])
        });
        common::cbor::Value::Map(vec![
            (common::cbor::Value::Text("a"), a),
            (common::cbor::Value::Text("b"), b),
        ])
        .encode()
    };
    vec![
        sign(forger, vec![], claims()),
        // For another curve than the device's key is on.
        sign(&Signer::p384("forger"), vec![], claims()),
        changed(genuine.len() - 1),
        changed(genuine.len() - 70),
        // With a path that leads to no anchor, and with another device's to one.
        sign(forger, chain(forger), claims()),
        sign(forger, chain(ca), claims()),
        // Beside a genuine token.
        several([genuine.clone(), sign(forger, vec![], claims())]),
        several([sign(forger, vec![], claims()), genuine.clone()]),
    ]
}

#[tokio::test]
async fn refuses_evidence_of_more_devices_than_it_looks_up() {
    let directory = directory();
    let (ca, names) = (Signer::p256("ca"), ["a", "b", "c", "d", "e"]);
    let running = start(directory.path(), |config| config.anchors = anchors(&ca)).await;
    let challenge = running.challenge(32).await;
    let collection = |names: &[&'static str]| {
        let members = names.iter().map(|name| {
            let signer = Signer::p256(name);
            let chain = vec![LEAF.issue(&signer, ("Root", &ca))];
            let media_type = common::cbor::Value::Text("application/eat+cwt");
            let token = Bytes(token_with(&signer, &challenge, chain));
            (common::cbor::Value::Text(name), common::cbor::Value::Array(vec![media_type, token]))
        });
        common::cbor::Value::Map(members.collect()).encode()
    };
    // The last of them was revoked.
    let revoked = new_device(&Signer::p256("e"), State::Revoked);
    running.registry.register(revoked, 0).await.expect("registers");
    fails(&running.verify(&collection(&names)).await, "signature", "more than 4 devices");
    fails(&running.verify(&collection(&names[3..])).await, "signature", "has revoked device");
}

#[tokio::test]
async fn answers_what_is_no_token_with_a_verdict() {
    let directory = directory();
    let running = start(directory.path(), |_| {}).await;
    let genuine = token(&Signer::p256("a"), &[0; 32]);
    for bytes in [&[][..], b"\xff", &genuine[..genuine.len() / 2], &[0xd2; 60_000], &[0x9f; 4096]] {
        fails(&running.verify(bytes).await, "decode", "");
    }
}

#[tokio::test]
async fn refuses_an_unknown_device() {
    let directory = directory();
    let running = start(directory.path(), |_| {}).await;
    let challenge = running.challenge(32).await;
    let answer = running.verify(&token(&Signer::p256("a"), &challenge)).await;
    fails(&answer, "signature", "no trusted public key");
    assert_eq!(answer["device"], Value::Null);
}

#[tokio::test]
async fn holds_an_unknown_device_until_it_is_approved() {
    let directory = directory();
    let hold = |config: &mut Config| config.unknown = Unknown::Hold { max_pending: 1 };
    let running = start(directory.path(), hold).await;
    let signer = Signer::p256("a");

    let challenge = running.challenge(32).await;
    let answer = running.verify(&token(&signer, &challenge)).await;
    fails(&answer, "signature", "waits for approval");
    assert_eq!(answer["device"]["state"], "pending");
    let id = answer["device"]["id"].as_i64().expect("a number");
    let device = devid_registry::DeviceId(id);
    assert_eq!(running.registry.keys(device).await.expect("keys")[0].spki, signer.public().spki());

    // Still not trusted, and held once.
    let challenge = running.challenge(32).await;
    let answer = running.verify(&token(&signer, &challenge)).await;
    fails(&answer, "signature", "waits for approval");
    assert_eq!(answer["device"]["id"], id);

    // There is no room for another.
    let other = Signer::p256("b");
    let challenge = running.challenge(32).await;
    let answer = running.verify(&token(&other, &challenge)).await;
    fails(&answer, "signature", "no trusted public key");

    running.registry.approve(device, "by the test").await.expect("approves");
    let challenge = running.challenge(32).await;
    passes(&running.verify(&token(&signer, &challenge)).await);
}

#[tokio::test]
async fn holds_no_device_without_a_fresh_challenge() {
    let directory = directory();
    let hold = |config: &mut Config| config.unknown = Unknown::Hold { max_pending: 10 };
    let running = start(directory.path(), hold).await;
    let (signer, other) = (Signer::p256("a"), Signer::p256("b"));
    let answer = running.verify(&token(&signer, &[0; 32])).await;
    fails(&answer, "challenge", "no challenge of this");
    assert_eq!(answer["device"], Value::Null);

    let challenge = running.challenge(32).await;
    fails(&running.verify(&token(&signer, &challenge)).await, "signature", "waits");
    let answer = running.verify(&token(&other, &challenge)).await;
    fails(&answer, "challenge", "used before");
    assert_eq!(answer["device"], Value::Null);
}

#[tokio::test]
async fn holds_no_device_that_did_not_sign() {
    let directory = directory();
    let hold = |config: &mut Config| config.unknown = Unknown::Hold { max_pending: 10 };
    let running = start(directory.path(), hold).await;
    let (victim, forger) = (Signer::p256("a"), Signer::p256("b"));
    let challenge = running.challenge(32).await;
    // Names the victim's instance id.
    let forged = sign(&forger, vec![], claims(&victim, &challenge));
    let answer = running.verify(&forged).await;
    fails(&answer, "signature", "no trusted public key");
    assert_eq!(answer["device"], Value::Null);
}

#[tokio::test]
async fn refuses_a_revoked_device_by_key_and_by_path() {
    let directory = directory();
    let (ca, signer) = (Signer::p256("ca"), Signer::p256("a"));
    let anchored = |config: &mut Config| config.anchors = anchors(&ca);
    let running = start(directory.path(), anchored).await;
    let device = new_device(&signer, State::Approved);
    let device = running.registry.register(device, 0).await.expect("registers");
    running.registry.revoke(device, "stolen").await.expect("revokes");
    for chain in [vec![], vec![LEAF.issue(&signer, ("Root", &ca))]] {
        let challenge = running.challenge(32).await;
        let answer = running.verify(&token_with(&signer, &challenge, chain)).await;
        fails(&answer, "signature", "has revoked device");
        assert_eq!(answer["device"]["state"], "revoked");
    }
}

fn anchors(ca: &Signer) -> TrustAnchors {
    let mut anchors = TrustAnchors::default();
    anchors.add(&root(&CA, ca)).expect("an anchor");
    anchors
}

#[tokio::test]
async fn records_an_unknown_device_that_has_a_path_to_an_anchor() {
    let directory = directory();
    let (ca, signer) = (Signer::p256("ca"), Signer::p256("a"));
    let anchored = |config: &mut Config| config.anchors = anchors(&ca);
    let running = start(directory.path(), anchored).await;
    let chain = vec![LEAF.issue(&signer, ("Root", &ca))];

    // Not for a replay.
    let answer = running.verify(&token_with(&signer, &[0; 32], chain.clone())).await;
    fails(&answer, "challenge", "no challenge of this");
    assert_eq!(answer["device"], Value::Null);

    let mut seen = Vec::new();
    for _ in 0..2 {
        let challenge = running.challenge(32).await;
        let answer = running.verify(&token_with(&signer, &challenge, chain.clone())).await;
        passes(&answer);
        assert_eq!(answer["certificates"][0]["issuer"], "Root");
        seen.push(answer["device"]["id"].as_i64().expect("recorded"));
    }
    assert_eq!(seen[0], seen[1]);
    let device = devid_registry::DeviceId(seen[0]);
    assert_eq!(running.registry.keys(device).await.expect("keys")[0].chain, chain);
    let events = running.registry.events(device).await.expect("events");
    assert_eq!(events[0].kind, EventKind::Registered.name());

    // From now on its key is enough.
    let challenge = running.challenge(32).await;
    let answer = running.verify(&token(&signer, &challenge)).await;
    passes(&answer);
}

/// A peer has the device answer under the hash of a key of the peer's own, and
/// answers the challenge by that key.
#[tokio::test]
async fn records_no_device_from_a_key_attestation_bundle() {
    let directory = directory();
    let (ca, signer, peer) = (Signer::p256("ca"), Signer::p256("a"), Signer::p256("peer"));
    let running = start(directory.path(), |config| config.anchors = anchors(&ca)).await;
    let chain = vec![LEAF.issue(&signer, ("Root", &ca))];
    let challenge = running.challenge(32).await;
    let kak = cose_key(&peer);
    let relayed = token_with(&signer, &Sha256::digest(kak.encode()), chain);
    let cnf = Map(vec![(Int(1), kak.clone())]);
    let claims = vec![(Int(10), Bytes(challenge)), (Int(8), cnf), (Int(2500), kak)];
    let record = |token| Array(vec![Text("application/eat+cwt"), Bytes(token)]);
    let bundle = Map(vec![
        (Text("__cmwc_t"), Text("tag:ietf.org,2024-02-29:rats/kat")),
        (Text("kat"), record(sign(&peer, vec![], claims))),
        (Text("pat"), record(relayed)),
    ]);
    let body = bundle.encode();
    let media_type = [("Content-Type", "application/cmw+cbor")];
    let answer = running.send("POST", "/verify", &media_type, &body).await.json();
    assert_eq!(answer["verdict"], "pass", "{answer:#}");
    assert!(answer["device"].is_null(), "{answer:#}");
    for id in signer.public().id().instance_ids() {
        assert!(running.registry.lookup(id).await.expect("looks up").is_empty());
    }
}

/// An application has TF-M sign a made-up token with an identity's key.
#[tokio::test]
async fn records_no_device_whose_leaf_is_for_identities() {
    let directory = directory();
    let (ca, signer) = (Signer::p256("ca"), Signer::p256("idevid"));
    let running = start(directory.path(), |config| {
        config.anchors = anchors(&ca);
        config.unknown = Unknown::Hold { max_pending: 10 };
    })
    .await;
    for purposes in [&[CLIENT_AUTH][..], &[]] {
        let chain = vec![Template { purposes, ..LEAF }.issue(&signer, ("Root", &ca))];
        let challenge = running.challenge(32).await;
        let answer = running.verify(&token_with(&signer, &challenge, chain)).await;
        fails(&answer, "certificate-path", "extKeyUsage");
        assert_eq!(result(&answer, "signature"), "fail");
        assert!(answer["device"].is_null() || answer["device"]["state"] == "pending", "{answer:#}");
    }
}

/// The registry has the key as an identity's: neither that entry nor a path that
/// would do for a key nobody knows makes it an attestation key.
#[tokio::test]
async fn takes_no_token_by_a_key_that_is_registered_for_an_identity() {
    let directory = directory();
    let (ca, signer) = (Signer::p256("ca"), Signer::p256("idevid"));
    let running = start(directory.path(), |config| config.anchors = anchors(&ca)).await;
    let attesting = new_device(&signer, State::Approved);
    let device = NewDevice { purpose: KeyPurpose::Identity, ..attesting };
    running.registry.register(device, 0).await.expect("registers");

    let challenge = running.challenge(32).await;
    let answer = running.verify(&token(&signer, &challenge)).await;
    assert_eq!((&answer["verdict"], result(&answer, "signature")), (&"fail".into(), "fail"));
    let chain = vec![LEAF.issue(&signer, ("Root", &ca))];
    let answer = running.verify(&token_with(&signer, &challenge, chain)).await;
    fails(&answer, "signature", "the key is for an identity");
}

#[tokio::test]
async fn records_no_device_whose_path_leads_elsewhere() {
    let directory = directory();
    let (ca, other, signer) = (Signer::p256("ca"), Signer::p256("other"), Signer::p256("a"));
    let anchored = |config: &mut Config| config.anchors = anchors(&ca);
    let running = start(directory.path(), anchored).await;
    let no_ca = LEAF.issue(&other, ("Root", &ca));
    for chain in [
        vec![LEAF.issue(&signer, ("Root", &other))],
        vec![LEAF.issue(&signer, ("IAK of device 1", &other)), no_ca],
        vec![CA.issue(&signer, ("Root", &ca))],
    ] {
        let challenge = running.challenge(32).await;
        let answer = running.verify(&token_with(&signer, &challenge, chain)).await;
        fails(&answer, "certificate-path", "");
        assert_eq!(answer["device"], Value::Null);
    }
}

fn endorsements(signer: &Signer) -> Endorsements {
    let mut endorsements = Endorsements::default();
    for instance_id in signer.public().id().instance_ids() {
        let key = EndorsedKey {
            implementation_id: [0x11; 32],
            instance_id: *instance_id,
            key: signer.public(),
        };
        endorsements.add_key(key).expect("no contradiction");
    }
    endorsements
}

#[tokio::test]
async fn records_an_unknown_device_whose_key_is_endorsed() {
    let directory = directory();
    let signer = Signer::p256("a");
    let endorsed = |config: &mut Config| config.endorsements = Some(endorsements(&signer));
    let running = start(directory.path(), endorsed).await;

    // Neither for a replay nor for another key under its name.
    let answer = running.verify(&token(&signer, &[0; 32])).await;
    fails(&answer, "challenge", "no challenge of this");
    assert_eq!(answer["device"], Value::Null);
    let challenge = running.challenge(32).await;
    let forged = sign(&Signer::p256("b"), vec![], claims(&signer, &challenge));
    let answer = running.verify(&forged).await;
    fails(&answer, "signature", "not made by the trusted key");
    assert_eq!(answer["device"], Value::Null);

    let answer = running.verify(&token(&signer, &challenge)).await;
    passes(&answer);
    let device = devid_registry::DeviceId(answer["device"]["id"].as_i64().expect("recorded"));
    let events = running.registry.events(device).await.expect("events");
    assert!(events[0].detail.contains("CoRIM"), "{events:?}");

    // The registry has the last word from now on.
    running.registry.revoke(device, "stolen").await.expect("revokes");
    let challenge = running.challenge(32).await;
    fails(&running.verify(&token(&signer, &challenge)).await, "signature", "has revoked device");
}

#[tokio::test]
async fn approves_a_held_device_whose_key_is_endorsed() {
    let directory = directory();
    let signer = Signer::p256("a");
    let endorsed = |config: &mut Config| config.endorsements = Some(endorsements(&signer));
    let running = start(directory.path(), endorsed).await;
    let held = new_device(&signer, State::Pending);
    let device = running.registry.register(held, 1).await.expect("registers");
    let challenge = running.challenge(32).await;
    let answer = running.verify(&token(&signer, &challenge)).await;
    passes(&answer);
    assert_eq!(answer["device"]["id"], device.0);
    assert_eq!(answer["device"]["state"], "approved");
}

/// Signs with a chosen ECDSA nonce, as a board without entropy does.
fn token_with_k(signer: &Signer, nonce: &[u8], k: u8) -> Vec<u8> {
    let Signer::P256(key) = signer else { panic!("P-256") };
    let mut token = token(signer, nonce);
    let envelope = devid_core::cose::Envelope::decode(&token).expect("decodes");
    let signed = envelope.to_be_signed().parts().concat();
    let scalar = |bytes: &[u8]| {
        let bytes: [u8; 32] = bytes.try_into().expect("32 bytes");
        Scalar::from_repr(bytes.into()).expect("below the order")
    };
    let k = Scalar::from(u64::from(k));
    let r = scalar(&(ProjectivePoint::GENERATOR * k).to_affine().x());
    let inverse = k.invert().expect("not zero");
    let s = inverse * (scalar(&Sha256::digest(&signed)) + r * scalar(&key.to_bytes()));
    let at = token.len() - 64;
    token[at..].copy_from_slice(&[r.to_repr(), s.to_repr()].concat());
    token
}

#[tokio::test]
async fn tells_a_key_that_used_an_ecdsa_nonce_twice() {
    let directory = directory();
    let running = start(directory.path(), |_| {}).await;
    let signer = Signer::p256("a");
    register(&running, &signer).await;
    for (k, reused) in [(7, false), (8, false), (7, true), (9, false)] {
        let challenge = running.challenge(32).await;
        let answer = running.verify(&token_with_k(&signer, &challenge, k)).await;
        match reused {
            false => passes(&answer),
            true => fails(&answer, "nonce-reuse", "private"),
        }
    }
    let keys = running.registry.lookup(&signer.public().id().instance_ids()[0]).await;
    let device = keys.expect("a key")[0].device;
    let events = running.registry.events(device).await.expect("events");
    assert_eq!(events.last().expect("an event").kind, EventKind::NonceReused.name());
}

#[tokio::test]
async fn refuses_what_the_policy_does_not_take() {
    let directory = directory();
    let policy =
        AppraisalPolicy::from_toml(b"[client-id]\nnon-secure = false\n").expect("a policy");
    let running = start(directory.path(), |config| config.policy = Some(policy)).await;
    let signer = Signer::p256("a");
    register(&running, &signer).await;
    let challenge = running.challenge(32).await;
    fails(&running.verify(&token(&signer, &challenge)).await, "client-id", "");
}

#[tokio::test]
async fn refuses_a_development_key_however_it_is_registered() {
    let directory = directory();
    let running = start(directory.path(), |_| {}).await;
    let signer = Signer::simulator();
    register(&running, &signer).await;
    let challenge = running.challenge(32).await;
    fails(&running.verify(&token(&signer, &challenge)).await, "development-key", "simulator");
}

#[tokio::test]
async fn takes_no_public_key_for_a_mac_key() {
    let directory = directory();
    let hold = |config: &mut Config| config.unknown = Unknown::Hold { max_pending: 10 };
    let running = start(directory.path(), hold).await;
    let signer = Signer::p256("a");
    register(&running, &signer).await;
    let challenge = running.challenge(32).await;
    let mac = Signer::Mac(5, signer.point());
    let payload = common::cbor::Value::Map(claims(&signer, &challenge)).encode();
    let protected = common::cbor::Value::Map(vec![(Int(1), Int(5))]).encode();
    let answer = running.verify(&seal(&mac, protected, vec![], payload)).await;
    fails(&answer, "signature", "no trusted symmetric key");
}

#[tokio::test]
async fn signs_results_where_it_has_a_key() {
    let directory = directory();
    let signer = ResultSigner::from_pem(SIGNING_KEY).expect("a key");
    let key = || vec![PublicKey::from_point(signer.public_point()).expect("a point")];
    let keys = key();
    let running = start(directory.path(), |config| {
        config.signer = Some(ResultSigner::from_pem(SIGNING_KEY).expect("a key"));
    })
    .await;
    let device = Signer::p256("a");
    register(&running, &device).await;
    for accept in ["application/eat+jwt", "text/html, application/eat+cwt;q=0.9"] {
        for (sender, status) in
            // There are no reference values.
            [
                (&device, ear::Tier::Warning),
                (&Signer::p256("b"), ear::Tier::Contraindicated),
            ]
        {
            let challenge = running.challenge(32).await;
            let response = running.send_token(&token(sender, &challenge), accept).await;
            assert_eq!(response.status, 200, "{response:?}");
            assert!(accept.contains(response.media_type()));
            let demand = ear::Demand {
                require: status,
                nonce: Some(&challenge),
                max_age_seconds: Some(60),
                ..ear::Demand::affirming(UnixTime::now())
            };
            let report = ear::verify(&response.body, &keys, &demand);
            assert_eq!(report.verdict(), Verdict::Pass, "{report:?}");
            let result = report.content.expect("an EAR");
            assert_eq!(result.status(), status);
            assert_eq!(result.expires_at, Some(result.issued_at + 3600));
        }
    }
}
