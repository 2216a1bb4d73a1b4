// SPDX-License-Identifier: Apache-2.0
//! Whole verdicts over tokens: keys of every kind, and what must not pass.

mod common;

use common::cbor::Value::{self, Bytes, Int, Map, Text};
use common::{DRAFT_2, NONCE, RFC_9783, Signer, first_claims, later_claims, seal, sign, token};
use devid_verifier::keys::{KeyError, MacKey, PublicKey};
use devid_verifier::{
    Appraisal, Challenge, Check, CheckResult, KeySet, Policy, Report, TrustAnchors, UnixTime,
    Verdict, Verifier,
};

fn trusting(signer: &Signer) -> KeySet {
    let mut keys = KeySet::default();
    match signer {
        Signer::Mac(..) => keys.add_mac(signer.secret()),
        _ => keys.add_public(signer.public()),
    }
    keys
}

fn verify<'t>(token: &'t [u8], keys: &KeySet) -> Report<'t> {
    verify_as(token, keys, Challenge::Expected(&NONCE), false)
}

fn verify_as<'t>(
    token: &'t [u8],
    keys: &KeySet,
    challenge: Challenge<'_>,
    allow_development_key: bool,
) -> Report<'t> {
    let policy = Policy { at: UnixTime::now(), allow_development_key };
    Verifier { keys, anchors: &TrustAnchors::default(), policy, appraisal: Appraisal::default() }
        .verify(token, challenge)
}

#[track_caller]
fn failed(report: &Report<'_>, check: Check, detail: &str) {
    let outcome = report.outcome(check);
    assert_eq!((outcome.result, &*outcome.detail), (CheckResult::Fail, detail));
    assert_eq!(report.verdict(), Verdict::Fail);
}

fn signers() -> [Signer; 6] {
    [
        Signer::p256("iak"),
        Signer::p384("iak"),
        Signer::p521("iak"),
        Signer::mac("iak", 5),
        Signer::mac("iak", 6),
        Signer::mac("iak", 7),
    ]
}

/// One token of each generation, with another header beside `alg`.
fn generations(signer: &Signer) -> [Vec<u8>; 3] {
    let kid = || vec![(Int(4), Bytes(vec![0xee; 32]))];
    [
        sign(signer, kid(), first_claims(signer.instance_id())),
        sign(signer, kid(), later_claims(DRAFT_2, signer.instance_id())),
        sign(signer, kid(), later_claims(RFC_9783, signer.instance_id())),
    ]
}

#[test]
fn passes_every_generation_under_every_algorithm() {
    for signer in signers() {
        for token in generations(&signer) {
            let report = verify(&token, &trusting(&signer));
            assert_eq!(report.verdict(), Verdict::Pass, "{report:?}");
            for (check, outcome) in report.outcomes() {
                let expected = match check {
                    Check::CertificatePath
                    | Check::ClientId
                    | Check::Software
                    | Check::Binding
                    | Check::NonceReuse => CheckResult::NotPerformed,
                    _ => CheckResult::Pass,
                };
                assert_eq!(outcome.result, expected, "{check:?}");
            }
        }
    }
}

#[test]
fn fails_under_every_other_key() {
    for (index, signer) in signers().iter().enumerate() {
        for (other_index, other) in signers().iter().enumerate() {
            // The three symmetric signers share a key and differ in `alg`.
            if index == other_index || index >= 3 && other_index >= 3 {
                continue;
            }
            let report = verify(&token(signer), &trusting(other)).verdict();
            assert_eq!(report, Verdict::Fail, "{index} under {other_index}");
        }
        let stranger = match signer {
            Signer::P256(_) => Signer::p256("stranger"),
            Signer::P384(_) => Signer::p384("stranger"),
            Signer::P521(_) => Signer::p521("stranger"),
            Signer::Mac(algorithm, _) => Signer::mac("stranger", *algorithm),
        };
        let token = token(signer);
        let report = verify(&token, &trusting(&stranger));
        failed(&report, Check::Signature, "not made by the trusted key");
        assert_eq!(report.outcome(Check::InstanceId).result, CheckResult::Fail);
    }
}

#[test]
fn finds_the_key_among_many() {
    let mut keys = KeySet::default();
    for signer in signers() {
        match signer {
            Signer::Mac(..) => keys.add_mac(signer.secret()),
            _ => keys.add_public(signer.public()),
        }
    }
    for name in ["a", "b", "c"] {
        keys.add_public(Signer::p256(name).public());
        keys.add_mac(Signer::mac(name, 5).secret());
    }
    for signer in signers() {
        assert_eq!(verify(&token(&signer), &keys).verdict(), Verdict::Pass);
        // An instance id that derives from no key: all are tried.
        let unrelated = sign(&signer, vec![], later_claims(RFC_9783, vec![1; 33]));
        let report = verify(&unrelated, &keys);
        assert_eq!(report.outcome(Check::Signature).result, CheckResult::Pass);
        failed(&report, Check::InstanceId, "it does not derive from the key");
    }
}

#[test]
fn knows_both_derivations_of_the_instance_id() {
    let signer = Signer::p256("iak");
    let public = signer.public();
    let details = ["from the point", "from the COSE_Key"];
    for (id, detail) in public.id().instance_ids().iter().zip(details) {
        let token = sign(&signer, vec![], later_claims(RFC_9783, id.to_vec()));
        let report = verify(&token, &trusting(&signer));
        assert_eq!(report.verdict(), Verdict::Pass);
        assert_eq!(report.outcome(Check::InstanceId).detail, detail);
    }
}

#[test]
fn asks_for_the_challenge() {
    let signer = Signer::p256("iak");
    let (token, keys) = (token(&signer), trusting(&signer));
    let with = |challenge| verify_as(&token, &keys, challenge, false);
    assert_eq!(with(Challenge::Expected(&NONCE)).verdict(), Verdict::Pass);
    let any = with(Challenge::Any);
    assert_eq!(any.outcome(Check::Challenge).result, CheckResult::NotPerformed);
    assert_eq!(any.verdict(), Verdict::Pass);
    let none = with(Challenge::NotGiven);
    failed(&none, Check::Challenge, "no challenge was given: the token may be a replay");
    for other in [&[0xc4; 31][..], &[0xc4; 33], &[0xc5; 32], &[]] {
        let report = with(Challenge::Expected(other));
        failed(&report, Check::Challenge, "the nonce is not the challenge");
    }
}

#[test]
fn names_development_keys_and_lets_them_through_on_request_alone() {
    let simulator = Signer::simulator();
    let (token, keys) = (token(&simulator), trusting(&simulator));
    let report = verify(&token, &keys);
    let detail = "the devid simulator's IAK: everybody can sign with it";
    failed(&report, Check::DevelopmentKey, detail);
    assert_eq!(report.outcome(Check::Signature).result, CheckResult::Pass);
    let report = verify_as(&token, &keys, Challenge::Expected(&NONCE), true);
    assert_eq!(report.verdict(), Verdict::Pass);

    // The claimed instance id is enough where the key is not known.
    let report = verify(&token, &KeySet::default());
    failed(&report, Check::DevelopmentKey, detail);
    // The key is enough where the instance id hides it.
    let hidden = sign(&simulator, vec![], later_claims(RFC_9783, vec![1; 33]));
    failed(&verify(&hidden, &keys), Check::DevelopmentKey, detail);
}

#[test]
fn goes_on_after_a_check_has_failed() {
    let signer = Signer::p256("iak");
    let mut claims = later_claims(RFC_9783, signer.instance_id());
    claims.retain(|(key, _)| *key != Int(2394));
    claims.push((Int(2394), Int(0)));
    let token = sign(&signer, vec![], claims);
    let report = verify(&token, &trusting(&signer));
    assert_eq!(report.outcome(Check::Claims).result, CheckResult::Fail);
    for check in [Check::Decode, Check::Profile, Check::Signature, Check::Challenge] {
        assert_eq!(report.outcome(check).result, CheckResult::Pass, "{check:?}");
    }
    assert!(report.claims.is_none());
    assert_eq!(report.verdict(), Verdict::Fail);

    let protected = Map(vec![(Int(1), Int(-7))]).encode();
    let broken = seal(&signer, protected, vec![], vec![0x80]);
    let report = verify(&broken, &trusting(&signer));
    assert_eq!(report.outcome(Check::Decode).result, CheckResult::Fail);
    assert_eq!(report.outcome(Check::Signature).result, CheckResult::Pass);
    assert_eq!(report.outcome(Check::Challenge).result, CheckResult::NotPerformed);
}

#[test]
fn refuses_algorithms_that_do_not_go_with_envelope_or_key() {
    let signer = Signer::p256("iak");
    let payload = || Map(later_claims(RFC_9783, signer.instance_id())).encode();
    let detail = |header: Vec<(Value, Value)>, unprotected| {
        let token = seal(&signer, Map(header).encode(), unprotected, payload());
        let report = verify(&token, &trusting(&signer));
        assert_eq!(report.verdict(), Verdict::Fail);
        report.outcome(Check::Signature).detail.to_string()
    };
    let alg = |number| vec![(Int(1), Int(number))];
    assert_eq!(detail(vec![], vec![]), "no alg in the protected header");
    assert_eq!(detail(vec![], alg(-7)), "no alg in the protected header");
    assert_eq!(detail(alg(5), vec![]), "HMAC 256/256 in a COSE_Sign1");
    assert_eq!(detail(alg(-35), vec![]), "no trusted key goes with alg");
    assert_eq!(detail(alg(-8), vec![]), "alg -8 is not one of the profile's");
    let named = vec![(Int(1), Text("ES256"))];
    assert_eq!(detail(named, vec![]), "alg 0 is not one of the profile's");

    // HMAC 256/64 is no algorithm of the profile, nor is a cut tag a tag.
    let mac = Signer::mac("iak", 4);
    let report = verify(&token(&mac), &trusting(&mac)).outcome(Check::Signature).clone();
    assert_eq!(report.detail, "alg 4 is not one of the profile's");
}

#[test]
fn takes_no_public_key_for_a_symmetric_one() {
    let signer = Signer::p256("iak");
    let spki = common::x509::spki(&signer);
    let pem = common::x509::pem("PUBLIC KEY", &spki);
    let forms = [signer.point(), spki.clone(), pem.clone().into_bytes()];
    for form in forms {
        assert!(MacKey::read(&form, &[]).is_err());
        // A token made with it does not pass under the public key either.
        let claims = later_claims(RFC_9783, signer.instance_id());
        let forged = sign(&Signer::Mac(5, form), vec![], claims);
        let report = verify(&forged, &trusting(&signer));
        failed(&report, Check::Signature, "no trusted symmetric key");
    }
}

#[test]
fn reads_public_keys_in_every_form_and_nothing_else() {
    use common::x509::{CA, pem, root, spki};
    for signer in [Signer::p256("iak"), Signer::p384("iak"), Signer::p521("iak")] {
        let read = |file: &[u8]| PublicKey::read_all(file).map(|keys| keys.len());
        assert_eq!(read(&spki(&signer)), Ok(1));
        let text = pem("PUBLIC KEY", &spki(&signer));
        assert_eq!(read(text.as_bytes()), Ok(1));
        assert_eq!(read(text.repeat(3).as_bytes()), Ok(3));
    }
    let ca = Signer::p256("root");
    let certificate = root(&CA, &ca);
    let keys = PublicKey::read_all(&certificate).unwrap();
    assert_eq!(keys[0].id(), ca.public().id());
    assert!(PublicKey::read_all(pem("CERTIFICATE", &certificate).as_bytes()).is_ok());

    let error = |file: &[u8]| PublicKey::read_all(file).err().unwrap();
    assert_eq!(error(b""), KeyError::Unrecognised);
    assert_eq!(error(b"hello"), KeyError::Unrecognised);
    assert_eq!(error(&[0x30, 0]), KeyError::Algorithm);
    let private = pem("EC PRIVATE KEY", &[0x30, 0]);
    assert_eq!(error(private.as_bytes()), KeyError::PrivateKey);
    assert_eq!(error(pem("CERTIFICATE REQUEST", &[0x30, 0]).as_bytes()), KeyError::Unrecognised);
    let mut off_curve = spki(&Signer::p256("iak"));
    *off_curve.last_mut().unwrap() ^= 1;
    assert_eq!(error(&off_curve), KeyError::NotOnCurve);
    let mut trailing = spki(&Signer::p256("iak"));
    trailing.push(0);
    assert_eq!(error(&trailing), KeyError::Algorithm);
}

#[test]
fn takes_no_key_of_another_kind_or_curve() {
    // As `openssl pkey -pubout` writes them, the points and numbers cut out.
    let ec = |curve: &[u8], point: &[u8]| {
        let tlv = |tag: u8, content: &[u8]| [&[tag, content.len() as u8], content].concat();
        let id = tlv(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]);
        let algorithm = tlv(0x30, &[id, tlv(6, curve)].concat());
        tlv(0x30, &[algorithm, tlv(3, &[&[0], point].concat())].concat())
    };
    let point = Signer::p256("iak").point();
    const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    assert!(PublicKey::from_spki(&ec(P256, &point)).is_ok());
    let compressed = [&[2 | point[64] & 1], &point[1..33]].concat();
    let okp = |last: u8| {
        [&[0x30, 42, 0x30, 5, 6, 3, 0x2b, 0x65, last, 3, 33, 0][..], &point[1..33]].concat()
    };
    let rsa = [
        &[0x30, 0x1a, 0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0][..],
        &[3, 9, 0, 0x30, 6, 2, 1, 0x55, 2, 1, 3],
    ]
    .concat();
    for (kind, spki) in [
        ("secp256k1", ec(&[0x2b, 0x81, 4, 0, 10], &point)),
        ("brainpoolP256r1", ec(&[0x2b, 0x24, 3, 3, 2, 8, 1, 1, 7], &point)),
        ("P-224", ec(&[0x2b, 0x81, 4, 0, 33], &point[..57])),
        ("P-384 with a point of P-256", ec(&[0x2b, 0x81, 4, 0, 34], &point)),
        ("a compressed point", ec(P256, &compressed)),
        ("the point at infinity", ec(P256, &[0])),
        ("no point", ec(P256, &[])),
        ("Ed25519", okp(0x70)),
        ("X25519", okp(0x6e)),
        ("RSA", rsa),
    ] {
        for file in [spki.clone(), common::x509::pem("PUBLIC KEY", &spki).into_bytes()] {
            let error = PublicKey::read_all(&file).err();
            assert_eq!(error, Some(KeyError::Algorithm), "{kind}");
        }
    }
    for jwk in [
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#,
        r#"{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}"#,
    ] {
        assert!(PublicKey::read_all(jwk.as_bytes()).is_err(), "{jwk}");
    }
}

#[test]
fn reads_jwk_and_cose_key() {
    // RFC 7517, A.1.
    let jwk = |more: &str| {
        format!(
            r#"{{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"{more}}}"#
        )
    };
    let read = |file: &str| PublicKey::read_all(file.as_bytes()).map(|keys| keys.len());
    let plain = jwk(r#","use":"sig","kid":"1""#);
    assert_eq!(read(&plain), Ok(1));
    assert_eq!(read(&format!(r#"{{"keys":[{plain},{plain}]}}"#)), Ok(2));
    assert_eq!(read(r#"{"keys":[]}"#), Err(KeyError::Unrecognised));
    assert_eq!(read(&jwk(r#","d":"AA""#)), Err(KeyError::PrivateKey));
    assert_eq!(read(&plain.replace("P-256", "P-384")), Err(KeyError::Algorithm));
    assert_eq!(read(&plain.replace("IFyM", "IFyQ")), Err(KeyError::NotOnCurve));
    assert!(matches!(read(&plain.replace("IFyM", "IFy+")), Err(KeyError::Jwk(_))));
    assert!(matches!(read(&plain[..plain.len() - 1]), Err(KeyError::Jwk(_))));
    assert_eq!(read(r#"{"kty":"oct","k":"AAAA"}"#), Err(KeyError::Symmetric));

    for signer in [Signer::p256("iak"), Signer::p384("iak"), Signer::p521("iak")] {
        let point = signer.point();
        let (x, y) = point[1..].split_at(point.len() / 2);
        let curve = match signer.algorithm() {
            -7 => 1,
            -35 => 2,
            _ => 3,
        };
        let key = |more: Vec<(Value, Value)>| {
            let mut entries = vec![
                (Int(1), Int(2)),
                (Int(-1), Int(curve)),
                (Int(-2), Bytes(x.to_vec())),
                (Int(-3), Bytes(y.to_vec())),
                (Int(2), Bytes(b"kid".to_vec())),
            ];
            entries.extend(more);
            Map(entries)
        };
        let read = |file: Value| PublicKey::read_all(&file.encode()).map(|keys| keys.len());
        let keys = PublicKey::read_all(&key(vec![]).encode()).unwrap();
        assert_eq!(keys[0].id(), signer.public().id());
        assert_eq!(read(Value::Array(vec![key(vec![]), key(vec![])])), Ok(2));
        assert_eq!(read(key(vec![(Int(-4), Bytes(vec![1]))])), Err(KeyError::PrivateKey));
        assert_eq!(read(key(vec![(Int(-1), Int(1))])), Err(KeyError::CoseKey));
        let mut trailing = key(vec![]).encode();
        trailing.push(0);
        assert_eq!(PublicKey::read_all(&trailing).err(), Some(KeyError::CoseKey));
    }
    let symmetric = Map(vec![(Int(1), Int(4)), (Int(-1), Bytes(vec![7; 32]))]);
    let error = PublicKey::read_all(&symmetric.encode()).err();
    assert_eq!(error, Some(KeyError::Symmetric));
}

#[test]
fn refuses_every_truncation_and_every_extension() {
    let signer = Signer::p256("iak");
    let keys = trusting(&signer);
    for mut token in generations(&signer) {
        for end in 0..token.len() {
            assert_eq!(verify(&token[..end], &keys).verdict(), Verdict::Fail, "{end} bytes");
        }
        token.push(0);
        assert_eq!(verify(&token, &keys).verdict(), Verdict::Fail);
    }
    let long = vec![0; devid_verifier::MAX_TOKEN_LEN + 1];
    failed(&verify(&long, &keys), Check::Decode, "longer than any token");
}

#[test]
fn every_bit_counts_but_those_of_the_unprotected_header() {
    for signer in [Signer::p256("iak"), Signer::mac("iak", 5)] {
        let keys = trusting(&signer);
        for mut token in generations(&signer) {
            let good = format!("{:?}", verify(&token, &keys).claims);
            // The value of `kid`, and nothing else, may change.
            let kid = token.windows(32).position(|window| window == [0xee; 32]).unwrap();
            for bit in 0..token.len() * 8 {
                token[bit / 8] ^= 1 << (bit % 8);
                let report = verify(&token, &keys);
                let unsigned = (kid - 3..kid + 32).contains(&(bit / 8));
                if report.verdict() == Verdict::Pass {
                    assert!(unsigned, "bit {bit}");
                    assert_eq!(values(&good), values(&format!("{:?}", report.claims)));
                } else if (kid..kid + 32).contains(&(bit / 8)) {
                    panic!("bit {bit} of kid: {report:?}");
                }
                token[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }
}

/// The printed claims up to the components, whose readers hold the whole token.
fn values(claims: &str) -> &str {
    claims.split("software_components").next().unwrap()
}

#[test]
fn survives_a_mebibyte_of_anything() {
    let keys = trusting(&Signer::p256("iak"));
    for start in [&[][..], &[0xd2, 0x84], &[0xd2, 0x84, 0x40, 0xa0, 0x5a, 0, 0x0f, 0xff, 0xf0]] {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let noise = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        });
        let token: Vec<u8> =
            start.iter().copied().chain(noise).take(devid_verifier::MAX_TOKEN_LEN).collect();
        assert_eq!(verify(&token, &keys).verdict(), Verdict::Fail);
    }
}
