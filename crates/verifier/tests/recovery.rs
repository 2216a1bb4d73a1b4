// SPDX-License-Identifier: Apache-2.0
//! The public key out of a token alone.
#![cfg(feature = "recovery")]

mod common;

use common::{DRAFT_2, RFC_9783, Signer, first_claims, later_claims, sign, token};
use devid_verifier::recovery::{RecoveryError, recover};

#[test]
fn recovers_the_key_by_either_derivation() {
    for name in ["iak", "a", "b", "c", "d", "e", "f", "g"] {
        let signer = Signer::p256(name);
        for id in signer.public().id().instance_ids() {
            for claims in [
                first_claims(id.to_vec()),
                later_claims(DRAFT_2, id.to_vec()),
                later_claims(RFC_9783, id.to_vec()),
            ] {
                let key = recover(&sign(&signer, vec![], claims)).unwrap();
                assert_eq!(key.point()[..], signer.point());
            }
        }
    }
}

#[test]
fn recovers_nothing_from_a_changed_token() {
    let signer = Signer::p256("iak");
    let mut token = token(&signer);
    let signed = token.len() - 66;
    for at in [signed - 1, signed + 2, signed + 34, token.len() - 1] {
        token[at] ^= 1;
        let recovered = recover(&token);
        assert!(recovered.is_err(), "byte {at}");
        token[at] ^= 1;
    }
    assert!(recover(&token).is_ok());
}

#[test]
fn recovers_nothing_where_the_instance_id_is_not_derived() {
    let signer = Signer::p256("iak");
    let token = sign(&signer, vec![], later_claims(RFC_9783, vec![1; 33]));
    assert_eq!(recover(&token), Err(RecoveryError::NoCandidate));
}

#[test]
fn refuses_other_algorithms_and_no_token() {
    for signer in [Signer::p384("iak"), Signer::mac("iak", 5)] {
        assert_eq!(recover(&token(&signer)), Err(RecoveryError::Algorithm));
    }
    assert!(matches!(recover(&[]), Err(RecoveryError::Token(_))));
}

#[test]
fn recovers_the_key_of_a_token_that_tfm_signed() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/vectors/veraison+psatoken/tfm-psa-iot-1_sign1.cbor");
    let Ok(token) = std::fs::read(&path) else {
        eprintln!("SKIPPED: no {}", path.display());
        return;
    };
    // TF-M's dummy IAK.
    let key = recover(&token).unwrap();
    assert_eq!(key.point()[..5], [0x04, 0x79, 0xeb, 0xa9, 0x0e]);
}
