// SPDX-License-Identifier: Apache-2.0
//! What is taken for a symmetric key, and what never is.

mod common;

use common::cbor::Value::{self, Bytes, Int, Map, Text};
use common::x509::{CA, LEAF, pem, root, spki};
use common::{Signer, token};
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use devid_verifier::keys::{KeyError, KeySet, MacKey, PublicKey};
use devid_verifier::{Appraisal, Challenge, Check, Policy, TrustAnchors, UnixTime, Verifier};
use sha2::{Digest, Sha256};

/// Bytes that nobody else has, in a test.
fn secret(length: usize) -> Vec<u8> {
    (0..length as u8).map(|at| at.wrapping_mul(167).wrapping_add(0x8b)).collect()
}

fn read(file: &[u8]) -> Result<(), KeyError> {
    MacKey::read(file, &[]).map(drop)
}

fn jwk(secret: &[u8], more: &str) -> Vec<u8> {
    let k = BASE64URL_NOPAD.encode(secret);
    format!(r#"{{"kty":"oct","k":"{k}"{more}}}"#).into_bytes()
}

fn cose_key(secret: &[u8], more: Vec<(Value, Value)>) -> Vec<u8> {
    let mut entries = vec![(Int(1), Int(4)), (Int(-1), Bytes(secret.to_vec()))];
    entries.extend(more);
    Map(entries).encode()
}

#[test]
fn takes_the_three_forms_and_no_other_length() {
    for length in 0..140 {
        let expected = match length {
            32 | 48 | 64 => Ok(()),
            _ => Err(KeyError::MacForm),
        };
        assert_eq!(read(&secret(length)), expected, "{length}");
        let wrapped = if length < 32 { Err(KeyError::TooShort) } else { Ok(()) };
        assert_eq!(read(&jwk(&secret(length), "")), wrapped, "{length}");
        assert_eq!(read(&cose_key(&secret(length), vec![])), wrapped, "{length}");
    }
    // They are the same key.
    let id = |file: &[u8]| *MacKey::read(file, &[]).unwrap().id();
    assert_eq!(id(&secret(32)), id(&jwk(&secret(32), "")));
    assert_eq!(id(&secret(32)), id(&cose_key(&secret(32), vec![])));
}

#[test]
fn a_key_says_what_it_is_for() {
    let good = secret(32);
    for more in [
        r#","use":"sig""#,
        r#","alg":"HS256""#,
        r#","key_ops":["sign","verify"]"#,
        r#","kid":"1","x":"ignored""#,
    ] {
        assert_eq!(read(&jwk(&good, more)), Ok(()), "{more}");
    }
    for more in [r#","use":"enc""#, r#","alg":"A256KW""#, r#","key_ops":["sign"]"#] {
        assert_eq!(read(&jwk(&good, more)), Err(KeyError::MacUse), "{more}");
    }
    for (label, value, expected) in [
        (3, Int(5), Ok(())),
        (3, Int(4), Err(KeyError::MacUse)),
        (3, Text("HS256"), Err(KeyError::MacUse)),
        (4, Value::Array(vec![Int(9), Int(10)]), Ok(())),
        (4, Value::Array(vec![Int(9)]), Err(KeyError::MacUse)),
        (2, Bytes(b"kid".to_vec()), Ok(())),
        (-1, Bytes(secret(48)), Err(KeyError::CoseKey)),
    ] {
        let more = vec![(Int(label), value)];
        assert_eq!(read(&cose_key(&good, more)), expected, "{label}");
    }
    // One for another HMAC than the token's does not verify it.
    for (algorithm, passes) in [("HS256", true), ("HS512", false)] {
        let key = MacKey::read(&jwk(&good, &format!(r#","alg":"{algorithm}""#)), &[]).unwrap();
        let mut keys = KeySet::default();
        keys.add_mac(key);
        let policy = Policy { at: UnixTime::now(), allow_development_key: false };
        let anchors = TrustAnchors::default();
        let verifier =
            Verifier { keys: &keys, anchors: &anchors, policy, appraisal: Appraisal::default() };
        let token = token(&Signer::Mac(5, good.clone()));
        let report = verifier.verify(&token, Challenge::Any);
        assert_eq!(report.outcome(Check::Signature).passed(), passes, "{algorithm}");
    }
}

#[test]
fn refuses_public_keys_in_every_form() {
    for signer in [Signer::p256("iak"), Signer::p384("iak"), Signer::p521("iak")] {
        let point = signer.point();
        let (x, y) = point[1..].split_at(point.len() / 2);
        let compressed = [&[2 | y[y.len() - 1] & 1], x].concat();
        let certificate = match signer {
            Signer::P521(_) => LEAF.issue(&signer, ("Root", &Signer::p256("root"))),
            _ => root(&CA, &signer),
        };
        let curve = match signer.algorithm() {
            -7 => (1, "P-256"),
            -35 => (2, "P-384"),
            _ => (3, "P-521"),
        };
        let coordinates = [x, y].map(|value| BASE64URL_NOPAD.encode(value));
        let [jwk_x, jwk_y] = &coordinates;
        let jwk_text = format!(r#"{{"kty":"EC","crv":"{}","x":"{jwk_x}","y":"{jwk_y}"}}"#, curve.1);
        let cose = Map(vec![
            (Int(1), Int(2)),
            (Int(-1), Int(curve.0)),
            (Int(-2), Bytes(x.to_vec())),
            (Int(-3), Bytes(y.to_vec())),
        ])
        .encode();
        let forms = [
            ("point", point.clone()),
            ("x and y", point[1..].to_vec()),
            ("compressed", compressed),
            ("SPKI", spki(&signer)),
            ("SPKI as PEM", pem("PUBLIC KEY", &spki(&signer)).into_bytes()),
            ("certificate", certificate.clone()),
            ("certificate as PEM", pem("CERTIFICATE", &certificate).into_bytes()),
            ("JWK", jwk_text.clone().into_bytes()),
            ("JWK behind a space", format!(" \n{jwk_text}").into_bytes()),
            ("JWK Set", format!(r#"{{"keys":[{jwk_text}]}}"#).into_bytes()),
            ("COSE_Key", cose),
            ("point as hex", HEXLOWER.encode(&point).into_bytes()),
            ("SPKI as base64", BASE64.encode(&spki(&signer)).into_bytes()),
        ];
        for (form, bytes) in &forms {
            assert!(read(bytes).is_err(), "{form}");
            // Nor do they become secrets by being wrapped as one.
            let is_text = bytes.is_ascii();
            assert!(is_text || read(&jwk(bytes, "")).is_err(), "{form} in a JWK");
            assert!(is_text || read(&cose_key(bytes, vec![])).is_err(), "{form} in a COSE_Key");
        }
    }
}

#[test]
fn refuses_what_derives_from_a_public_key_at_hand() {
    for signer in [Signer::p256("iak"), Signer::p384("iak")] {
        let key = signer.public();
        let other = Signer::p256("another").public();
        let point = signer.point();
        let (x, y) = point[1..].split_at(point.len() / 2);
        let [id, _] = key.id().instance_ids() else { panic!("two derivations") };
        for value in [
            x.to_vec(),
            y.to_vec(),
            id[1..].to_vec(),
            Sha256::digest(spki(&signer)).to_vec(),
            Sha256::digest(&point).to_vec(),
        ] {
            for file in [value.clone(), jwk(&value, ""), cose_key(&value, vec![])] {
                let refused = MacKey::read(&file, &[&other, &key]).err();
                assert_eq!(refused, Some(KeyError::PublicAsMac));
                // Nobody can tell without the key.
                assert!(MacKey::read(&file, &[&other]).is_ok());
            }
        }
    }
}

#[test]
fn refuses_text_and_other_structures() {
    let hex = HEXLOWER.encode(&secret(32));
    for text in [
        hex.clone(),
        hex.to_uppercase(),
        format!("{hex}\n"),
        HEXLOWER.encode(&secret(16)),
        HEXLOWER.encode(&secret(24)),
        BASE64.encode(&secret(48)),
        BASE64URL_NOPAD.encode(&secret(24)),
        "correct horse battery staple, so".to_owned(),
        " ".repeat(32),
        pem("SECRET", &secret(32)),
        "[1, 2, 3]".to_owned(),
    ] {
        assert_eq!(read(text.as_bytes()), Err(KeyError::MacText), "{text:?}");
    }
    for json in [
        r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#,
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        r#"{"kty":"OCT","k":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        r#"{"kty":"oct","k":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHUR+"}"#,
        r#"{"kty":"oct","k":"AAAA","k":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        r#"{"kty":"oct"}"#,
        r#"{"key":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        "{}",
        "{",
    ] {
        assert!(read(json.as_bytes()).is_err(), "{json}");
    }
    // DER of exactly the right length: an Ed25519 private key (RFC 8410), and more.
    let ed25519 =
        [&[0x30, 46, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 34, 4, 32][..], &secret(32)]
            .concat();
    assert_eq!((ed25519.len(), read(&ed25519)), (48, Err(KeyError::PublicAsMac)));
    for length in [30, 46, 62] {
        let der = [&[0x30, length, 4, length - 2][..], &secret(usize::from(length) - 2)].concat();
        assert_eq!(read(&der), Err(KeyError::PublicAsMac));
        // What only begins like DER is a key.
        let mut bytes = secret(usize::from(length) + 2);
        bytes[..2].copy_from_slice(&[0x30, length]);
        assert_eq!(read(&bytes), Ok(()));
    }
    // A COSE_Key of another type, and one without a type.
    let okp = Map(vec![(Int(1), Int(1)), (Int(-1), Int(6)), (Int(-2), Bytes(secret(32)))]);
    assert_eq!(read(&okp.encode()), Err(KeyError::PublicAsMac));
    assert!(read(&Map(vec![(Int(-1), Bytes(secret(28)))]).encode()).is_ok(), "32 bytes, no kty");
    assert!(read(&Value::Array(vec![Map(vec![(Int(1), Int(4))])]).encode()).is_err());
}

#[test]
fn public_keys_are_not_read_from_symmetric_ones() {
    assert_eq!(PublicKey::read_all(&jwk(&secret(32), "")).err(), Some(KeyError::Symmetric));
    assert_eq!(
        PublicKey::read_all(&cose_key(&secret(32), vec![])).err(),
        Some(KeyError::Symmetric)
    );
}
