// SPDX-License-Identifier: Apache-2.0
//! `vectors/token` is what this program makes. With `DEVID_WRITE_VECTORS` set
//! it writes them anew; otherwise it compares.

mod common;

use common::cbor::Value::{Bytes, Int};
use common::x509::{CA, CLIENT_AUTH, LEAF, Template, pem, root, spki};
use common::{
    DRAFT_2, RFC_9783, Signer, first_claims, later_claims, sign, token, token_with_chain,
};

fn vectors() -> Vec<(&'static str, Vec<u8>)> {
    let iak = Signer::p256("iak");
    let (p384, p521, mac) = (Signer::p384("iak"), Signer::p521("iak"), Signer::mac("iak", 5));
    let (ca, factory) = (Signer::p256("root"), Signer::p256("factory"));
    let intermediate = Template { subject: "Factory", ca: Some(Some(0)), ..CA };
    let chain_of = |leaf: Template| {
        [leaf.issue(&iak, ("Factory", &factory)), intermediate.issue(&factory, ("Root", &ca))]
    };
    let chain = chain_of(LEAF);
    let identity = chain_of(Template { purposes: &[CLIENT_AUTH], ..LEAF });
    let silent = chain_of(Template { purposes: &[], ..LEAF });
    let mut debug = later_claims(RFC_9783, iak.instance_id());
    debug.iter_mut().filter(|(key, _)| *key == Int(2395)).for_each(|claim| claim.1 = Int(0x4000));
    let Signer::Mac(_, secret) = &mac else { unreachable!() };
    let point_id = iak.public().id().instance_ids()[0].to_vec();
    let mut forged = token(&iak);
    *forged.last_mut().unwrap() ^= 1;
    vec![
        ("psa1.cbor", sign(&iak, vec![], first_claims(point_id.clone()))),
        ("psa2.cbor", sign(&iak, vec![], later_claims(DRAFT_2, point_id))),
        ("rfc9783.cbor", token(&iak)),
        ("rfc9783-kid.cbor", {
            let kid = vec![(Int(4), Bytes(vec![0xee; 32]))];
            sign(&iak, kid, later_claims(RFC_9783, iak.instance_id()))
        }),
        ("rfc9783-x5chain.cbor", token_with_chain(&iak, &chain)),
        ("rfc9783-x5chain-identity.cbor", token_with_chain(&iak, &identity)),
        ("rfc9783-x5chain-silent.cbor", token_with_chain(&iak, &silent)),
        ("rfc9783-debug.cbor", sign(&iak, vec![], debug)),
        ("rfc9783-es384.cbor", token(&p384)),
        ("rfc9783-es512.cbor", token(&p521)),
        ("rfc9783-mac0.cbor", token(&mac)),
        ("rfc9783-forged.cbor", forged),
        ("rfc9783-simulator.cbor", token(&Signer::simulator())),
        ("iak.pem", pem("PUBLIC KEY", &spki(&iak)).into_bytes()),
        ("iak-es384.pem", pem("PUBLIC KEY", &spki(&p384)).into_bytes()),
        ("iak-es512.pem", pem("PUBLIC KEY", &spki(&p521)).into_bytes()),
        ("iak.hmac", secret.clone()),
        ("simulator.pem", pem("PUBLIC KEY", &spki(&Signer::simulator())).into_bytes()),
        ("root.pem", pem("CERTIFICATE", &root(&CA, &ca)).into_bytes()),
        ("leaf.pem", pem("CERTIFICATE", &chain[0]).into_bytes()),
        ("leaf-identity.pem", pem("CERTIFICATE", &identity[0]).into_bytes()),
    ]
}

#[test]
fn committed_vectors_are_the_ones_made_here() {
    common::compare_with_vectors("token", vectors());
}
