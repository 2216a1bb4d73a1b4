// SPDX-License-Identifier: Apache-2.0
//! Tokens: what is decoded, what is refused, and what stays untouched when a
//! chain is added.

#[path = "token/cbor.rs"]
mod cbor;

use std::path::{Path, PathBuf};

use cbor::Value::{self, Array, Bytes, Int, Map, Raw, Tag, Text};
use devid_core::Error;
use devid_core::cbor::Reason;
use devid_core::cose::{Algorithm, Envelope, Kind};
use devid_core::error::Item;
use devid_core::instance_id;
use devid_core::key::{PublicKey, Signature};
use devid_core::platform::{Crypto, Digest};
use devid_core::token::{Claim, LifecycleState, Payload, Profile, Token, Warning};
use devid_core::x5chain;
use sha2::Digest as _;

const ALG: (Value, Value) = (Int(1), Int(-7));

fn bytes(length: usize) -> Value {
    Bytes(vec![0x5a; length])
}

fn component() -> Value {
    Map(vec![
        (Int(1), Text("BL")),
        (Int(2), bytes(32)),
        (Int(4), Text("1.0.0")),
        (Int(5), bytes(48)),
        (Int(6), Text("sha-256")),
    ])
}

fn instance() -> Value {
    Bytes([&[1][..], &[7; 32]].concat())
}

/// The claims of a full token, in no particular order.
fn claims(profile: Profile) -> Vec<(Value, Value)> {
    let key = |first: i64, later: i64| Int(if profile == Profile::Psa1 { first } else { later });
    vec![
        (key(-75000, 265), Text(profile.name())),
        (key(-75008, 10), bytes(32)),
        (key(-75009, 256), instance()),
        (key(-75003, 2396), bytes(32)),
        (key(-75001, 2394), Int(-1)),
        (key(-75002, 2395), Int(0x3001)),
        (key(-75004, if profile == Profile::Psa2 { 2397 } else { 268 }), bytes(32)),
        (
            key(-75005, 2398),
            Text(match profile {
                Profile::Psa1 => "1234567890123",
                _ => "1234567890123-12345",
            }),
        ),
        (key(-75006, 2399), Array(vec![component(), component()])),
        (key(-75010, 2400), Text("verifier.example")),
    ]
}

const PROFILES: [Profile; 3] = [Profile::Psa1, Profile::Psa2, Profile::Rfc9783];

fn envelope(protected: Vec<(Value, Value)>, unprotected: Value, payload: Value) -> Value {
    let protected = Bytes(Map(protected).encode());
    Tag(18, Box::new(Array(vec![protected, unprotected, payload, bytes(64)])))
}

fn token(claims: Vec<(Value, Value)>) -> Vec<u8> {
    envelope(vec![ALG], Map(vec![]), Bytes(Map(claims).encode())).encode()
}

/// The full claims with one of them replaced, added or (by `None`) left out.
fn with(profile: Profile, key: i64, value: Option<Value>) -> Vec<u8> {
    let mut claims = claims(profile);
    claims.retain(|(other, _)| *other != Int(key));
    claims.extend(value.map(|value| (Int(key), value)));
    token(claims)
}

#[track_caller]
fn refused(input: &[u8], claim: Option<Claim>, reason: Reason) {
    let fault = Token::decode_precisely(input).expect_err("decoded");
    assert_eq!((fault.claim, fault.reason), (claim, reason), "{fault}");
    assert_eq!(Token::decode(input).unwrap_err(), Error::malformed(Item::Token, fault.at as usize));
}

#[test]
fn decodes_every_claim_of_every_generation() {
    for profile in PROFILES {
        let encoded = token(claims(profile));
        let token = Token::decode(&encoded).unwrap();
        assert_eq!(token.envelope.kind, Kind::Sign1);
        assert_eq!(token.envelope.algorithm, Some(Algorithm::Es256));
        assert_eq!(token.profile, profile);
        let claims = token.claims;
        assert_eq!(claims.nonce, [0x5a; 32]);
        assert_eq!(claims.instance_id[..2], [1, 7]);
        assert_eq!(claims.implementation_id, &[0x5a; 32]);
        assert_eq!(claims.client_id, -1);
        assert_eq!(claims.security_lifecycle.value(), 0x3001);
        assert_eq!(claims.security_lifecycle.state(), LifecycleState::Secured);
        assert_eq!(claims.boot_seed, Some(&[0x5a; 32][..]));
        assert!(claims.certification_reference.unwrap().starts_with("1234567890123"));
        assert_eq!(claims.verification_service_indicator, Some("verifier.example"));
        assert_eq!(claims.warnings.iter().count(), 0);
        let components: Vec<_> = claims.software_components.collect();
        assert_eq!(components.len(), 2);
        assert_eq!(components[1].measurement_type, Some("BL"));
        assert_eq!(components[1].measurement_value, [0x5a; 32]);
        assert_eq!(components[1].version, Some("1.0.0"));
        assert_eq!(components[1].signer_id, Some(&[0x5a; 48][..]));
        assert_eq!(components[1].measurement_description, Some("sha-256"));
    }
}

#[test]
fn profile_1_may_leave_its_name_out_and_the_later_ones_may_not() {
    let nameless = with(Profile::Psa1, -75000, None);
    assert_eq!(Token::decode(&nameless).unwrap().profile, Profile::Psa1);
    refused(&with(Profile::Psa2, 265, None), Some(Claim::Profile), Reason::Missing);
    refused(&token(vec![]), Some(Claim::Profile), Reason::Missing);
}

#[test]
fn refuses_every_mandatory_claim_missing() {
    let mandatory = [
        (Claim::Nonce, -75008, 10),
        (Claim::InstanceId, -75009, 256),
        (Claim::ImplementationId, -75003, 2396),
        (Claim::ClientId, -75001, 2394),
        (Claim::SecurityLifecycle, -75002, 2395),
        (Claim::SoftwareComponents, -75006, 2399),
    ];
    for (claim, first, later) in mandatory {
        refused(&with(Profile::Psa1, first, None), Some(claim), Reason::Missing);
        refused(&with(Profile::Psa2, later, None), Some(claim), Reason::Missing);
        refused(&with(Profile::Rfc9783, later, None), Some(claim), Reason::Missing);
    }
    refused(&with(Profile::Psa1, -75004, None), Some(Claim::BootSeed), Reason::Missing);
}

#[test]
fn needs_no_optional_claim() {
    for key in [268, 2398, 2400] {
        Token::decode(&with(Profile::Rfc9783, key, None)).unwrap();
    }
    for key in [2397, 2398, 2400] {
        Token::decode(&with(Profile::Psa2, key, None)).unwrap();
    }
    for key in [-75005, -75010] {
        Token::decode(&with(Profile::Psa1, key, None)).unwrap();
    }
}

#[test]
fn refuses_values_outside_their_rules() {
    use Reason::{Length, Missing, Range, TooMany, Type, Value as NotAllowed};
    let components = |n| Array((0..n).map(|_| component()).collect());
    let euid = Bytes([&[2][..], &[7; 32]].concat());
    let bare = |key: i64, value: Value| Array(vec![Map(vec![(Int(key), value)])]);
    let two =
        |value: Value, signer: Value| Array(vec![Map(vec![(Int(2), value), (Int(5), signer)])]);
    let cases = [
        (10, Claim::Nonce, bytes(31), Length),
        (10, Claim::Nonce, bytes(33), Length),
        (10, Claim::Nonce, bytes(65), Length),
        (10, Claim::Nonce, Array(vec![bytes(32)]), Type),
        (256, Claim::InstanceId, bytes(32), Length),
        (256, Claim::InstanceId, bytes(34), Length),
        (256, Claim::InstanceId, euid, NotAllowed),
        (2396, Claim::ImplementationId, bytes(31), Length),
        (2396, Claim::ImplementationId, bytes(33), Length),
        (2396, Claim::ImplementationId, Text("01234567890123456789012345678901"), Type),
        (2394, Claim::ClientId, Int(0), NotAllowed),
        (2394, Claim::ClientId, Int(1 << 31), Range),
        (2394, Claim::ClientId, Int(-(1 << 31) - 1), Range),
        (2394, Claim::ClientId, Raw(vec![0x1b, 0xff, 0, 0, 0, 0, 0, 0, 0]), Range),
        (2395, Claim::SecurityLifecycle, Int(0x3100), NotAllowed),
        (2395, Claim::SecurityLifecycle, Int(0x7000), NotAllowed),
        (2395, Claim::SecurityLifecycle, Int(-1), NotAllowed),
        (2395, Claim::SecurityLifecycle, Int(0x1_3000), NotAllowed),
        (268, Claim::BootSeed, bytes(7), Length),
        (268, Claim::BootSeed, bytes(33), Length),
        (2398, Claim::CertificationReference, Text("1234567890123"), NotAllowed),
        (2398, Claim::CertificationReference, Text("12345678901AB-12345"), NotAllowed),
        (2398, Claim::CertificationReference, Text("1234567890123-123456"), NotAllowed),
        (2399, Claim::SoftwareComponents, Array(vec![]), Missing),
        (2399, Claim::SoftwareComponents, components(1025), TooMany),
        (2399, Claim::SoftwareComponents, Array(vec![bytes(1)]), Type),
        (2399, Claim::SoftwareComponents, bare(2, bytes(32)), Missing),
        (2399, Claim::SoftwareComponents, bare(5, bytes(32)), Missing),
        (2399, Claim::SoftwareComponents, two(bytes(31), bytes(32)), Length),
        (2399, Claim::SoftwareComponents, two(bytes(32), bytes(33)), Length),
        (2400, Claim::VerificationServiceIndicator, bytes(3), Type),
    ];
    for (key, claim, value, reason) in cases {
        refused(&with(Profile::Rfc9783, key, Some(value)), Some(claim), reason);
    }
    for (length, allowed) in [(8, false), (31, false), (32, true), (33, false)] {
        let token = with(Profile::Psa1, -75004, Some(bytes(length)));
        assert_eq!(Token::decode(&token).is_ok(), allowed, "boot seed of {length}");
    }
    for length in [32, 48, 64] {
        Token::decode(&with(Profile::Rfc9783, 10, Some(bytes(length)))).unwrap();
    }
    Token::decode(&with(Profile::Rfc9783, 2399, Some(components(32)))).unwrap();
}

#[test]
fn reads_every_lifecycle_state() {
    let states = [
        (0x0000, LifecycleState::Unknown),
        (0x00ff, LifecycleState::Unknown),
        (0x1000, LifecycleState::AssemblyAndTest),
        (0x2000, LifecycleState::PsaRotProvisioning),
        (0x30ff, LifecycleState::Secured),
        (0x4012, LifecycleState::NonPsaRotDebug),
        (0x5000, LifecycleState::RecoverablePsaRotDebug),
        (0x60ff, LifecycleState::Decommissioned),
    ];
    for (value, state) in states {
        let token = with(Profile::Rfc9783, 2395, Some(Int(value)));
        assert_eq!(Token::decode(&token).unwrap().claims.security_lifecycle.state(), state);
    }
}

#[test]
fn no_software_measurements_excludes_software_components() {
    let mut none = claims(Profile::Psa1);
    none.retain(|(key, _)| *key != Int(-75006));
    none.push((Int(-75007), Int(1)));
    assert_eq!(Token::decode(&token(none)).unwrap().claims.software_components.count(), 0);
    let claim = Some(Claim::NoSoftwareMeasurements);
    refused(&with(Profile::Psa1, -75007, Some(Int(1))), claim, Reason::Value);
    refused(&with(Profile::Psa1, -75007, Some(Int(2))), claim, Reason::Value);
}

#[test]
fn refuses_generations_mixed_and_names_that_contradict_the_keys() {
    let claim = Some(Claim::Profile);
    refused(&with(Profile::Psa1, 10, Some(bytes(32))), claim, Reason::MixedGenerations);
    refused(&with(Profile::Rfc9783, -75008, Some(bytes(32))), claim, Reason::MixedGenerations);
    let first = Text("PSA_IOT_PROFILE_1");
    refused(&with(Profile::Rfc9783, 265, Some(first)), claim, Reason::UnknownProfile);
    let later = Text("tag:psacertified.org,2023:psa#tfm");
    refused(&with(Profile::Psa1, -75000, Some(later)), claim, Reason::UnknownProfile);
    let cut = Text("tag:psacertified.org,2023:psa#tf");
    refused(&with(Profile::Rfc9783, 265, Some(cut)), claim, Reason::UnknownProfile);
    refused(&with(Profile::Rfc9783, 265, Some(Int(42))), claim, Reason::Type);
}

#[test]
fn warns_where_there_is_no_reason_to_refuse() {
    let warnings =
        |input: &[u8]| Token::decode(input).unwrap().claims.warnings.iter().collect::<Vec<_>>();
    for reference in ["1234567890123-12345", "0604565272829100"] {
        let token = with(Profile::Psa1, -75005, Some(Text(reference)));
        assert_eq!(warnings(&token), [Warning::CertificationReference]);
    }
    let unsigned = Array(vec![Map(vec![(Int(2), bytes(32))])]);
    assert_eq!(warnings(&with(Profile::Psa1, -75006, Some(unsigned))), [Warning::NoSignerId]);
    let other = with(Profile::Rfc9783, 2397, Some(bytes(32)));
    assert_eq!(warnings(&other), [Warning::BootSeedKey]);
    let other = with(Profile::Psa2, 268, Some(bytes(32)));
    assert_eq!(warnings(&other), [Warning::BootSeedKey]);
    for reference in ["", "x234567890123"] {
        let token = with(Profile::Psa1, -75005, Some(Text(reference)));
        refused(&token, Some(Claim::CertificationReference), Reason::Value);
    }
}

#[test]
fn passes_over_unknown_claims_of_any_type() {
    let mut claims = claims(Profile::Rfc9783);
    claims.extend([
        (Int(-99999), Array(vec![Map(vec![(Text("x"), Tag(1, Box::new(Int(5))))])])),
        (Text("note"), Text("anything")),
        (Bytes(vec![1]), Raw(vec![0xf6])),
        (Int(i64::MAX), Raw(vec![0xfb, 0, 0, 0, 0, 0, 0, 0, 0])),
    ]);
    claims.reverse();
    Token::decode(&token(claims)).unwrap();
}

#[test]
fn refuses_duplicate_keys_in_any_encoding() {
    let twice = |entry: (Value, Value)| {
        let mut claims = claims(Profile::Rfc9783);
        claims.push(entry.clone());
        claims.push(entry);
        token(claims)
    };
    refused(&twice((Int(10), bytes(32))), None, Reason::Duplicate);
    refused(&twice((Int(31337), Int(0))), None, Reason::Duplicate);
    refused(&twice((Text("x"), Int(0))), None, Reason::Duplicate);
    refused(&twice((Map(vec![]), Int(0))), None, Reason::Duplicate);
    let mut wide = claims(Profile::Rfc9783);
    wide.push((Raw(vec![0x19, 0, 10]), bytes(32)));
    refused(&token(wide), None, Reason::Duplicate);
    let repeated =
        Array(vec![Map(vec![(Int(2), bytes(32)), (Int(5), bytes(32)), (Int(2), bytes(32))])]);
    let claim = Some(Claim::SoftwareComponents);
    refused(&with(Profile::Rfc9783, 2399, Some(repeated)), claim, Reason::Duplicate);
}

#[test]
fn refuses_what_is_not_one_tagged_envelope() {
    let payload = || Bytes(Map(claims(Profile::Rfc9783)).encode());
    let good = envelope(vec![ALG], Map(vec![]), payload());
    let Tag(_, array) = good.clone() else { unreachable!() };
    refused(&[], None, Reason::Truncated);
    refused(&array.encode(), None, Reason::Tag);
    refused(&Tag(61, Box::new(good.clone())).encode(), None, Reason::Tag);
    refused(&Tag(98, array.clone()).encode(), None, Reason::Tag);
    refused(&[good.encode(), vec![0]].concat(), None, Reason::Trailing);
    assert_eq!(Envelope::decode(&Tag(17, array).encode()).unwrap().kind, Kind::Mac0);

    let three = Array(vec![Bytes(vec![]), Map(vec![]), payload()]);
    refused(&Tag(18, Box::new(three)).encode(), None, Reason::Type);
    let detached = envelope(vec![ALG], Map(vec![]), Raw(vec![0xf6]));
    refused(&detached.encode(), None, Reason::Detached);
    let listed = envelope(vec![ALG], Map(vec![]), Bytes(Array(vec![]).encode()));
    refused(&listed.encode(), None, Reason::Type);
    let mut followed = Map(claims(Profile::Rfc9783)).encode();
    followed.push(0);
    refused(&envelope(vec![ALG], Map(vec![]), Bytes(followed)).encode(), None, Reason::Trailing);
    let indefinite = envelope(vec![ALG], Map(vec![]), Bytes(vec![0xbf, 0xff]));
    refused(&indefinite.encode(), None, Reason::Indefinite);
}

#[test]
fn takes_alg_from_the_protected_header_alone() {
    let payload = || Bytes(Map(claims(Profile::Rfc9783)).encode());
    let algorithm = |protected, unprotected| {
        let encoded = envelope(protected, unprotected, payload()).encode();
        Envelope::decode(&encoded).map(|envelope| envelope.algorithm).map_err(|f| f.reason)
    };
    assert_eq!(algorithm(vec![ALG], Map(vec![])), Ok(Some(Algorithm::Es256)));
    assert_eq!(algorithm(vec![], Map(vec![ALG])), Ok(None));
    assert_eq!(algorithm(vec![ALG], Map(vec![ALG])), Err(Reason::Duplicate));
    assert_eq!(algorithm(vec![ALG, ALG], Map(vec![])), Err(Reason::Duplicate));
    let other = vec![(Int(1), Int(-257))];
    assert_eq!(algorithm(other, Map(vec![])), Ok(Some(Algorithm::Other(-257))));
    let named = vec![(Int(1), Text("ES256"))];
    assert_eq!(algorithm(named, Map(vec![])), Ok(Some(Algorithm::Other(0))));
}

#[test]
fn refuses_critical_headers_it_does_not_understand() {
    let payload = || Bytes(Map(claims(Profile::Rfc9783)).encode());
    let reason = |protected, unprotected| {
        let encoded = envelope(protected, unprotected, payload()).encode();
        Envelope::decode(&encoded).err().map(|fault| fault.reason)
    };
    let crit = |labels| (Int(2), Array(labels));
    assert_eq!(reason(vec![ALG, crit(vec![Int(1)])], Map(vec![])), None);
    for labels in [vec![Int(99)], vec![Int(1), Text("x")], vec![], vec![Int(4)]] {
        let protected = vec![crit(labels), ALG];
        assert_eq!(reason(protected, Map(vec![])), Some(Reason::Critical));
    }
    // A label in the unprotected header cannot be critical, nor can `crit` stand there.
    let kid = Map(vec![(Int(4), bytes(1))]);
    assert_eq!(reason(vec![ALG, crit(vec![Int(4)])], kid), Some(Reason::Critical));
    let unprotected = Map(vec![crit(vec![Int(1)])]);
    assert_eq!(reason(vec![ALG], unprotected), Some(Reason::Critical));
}

#[test]
fn refuses_labels_that_stand_in_both_headers() {
    let payload = || Bytes(Map(claims(Profile::Rfc9783)).encode());
    for entry in [(Int(4), bytes(2)), (Int(33), bytes(2)), (Int(77), Int(1))] {
        let both = envelope(vec![ALG, entry.clone()], Map(vec![entry]), payload());
        refused(&both.encode(), None, Reason::Duplicate);
    }
}

#[test]
fn reads_an_x5chain_of_one_to_32_certificates() {
    let chain = |value| {
        let encoded = envelope(vec![ALG], Map(vec![(Int(33), value)]), Bytes(vec![])).encode();
        Envelope::decode(&encoded)
            .map(|envelope| envelope.x5chain.unwrap().map(<[u8]>::len).collect::<Vec<_>>())
            .map_err(|fault| fault.reason)
    };
    let list = |n| Array((1..=n).map(bytes).collect());
    assert_eq!(chain(bytes(9)), Ok(vec![9]));
    assert_eq!(chain(list(2)), Ok(vec![1, 2]));
    assert_eq!(chain(list(32)), Ok((1..=32).collect()));
    assert_eq!(chain(list(33)), Err(Reason::TooMany));
    assert_eq!(chain(list(1)), Err(Reason::Value));
    assert_eq!(chain(list(0)), Err(Reason::Value));
    assert_eq!(chain(Text("no")), Err(Reason::Type));
}

#[test]
fn refuses_every_truncation() {
    for profile in PROFILES {
        let token = token(claims(profile));
        for end in 0..token.len() {
            assert!(Token::decode(&token[..end]).is_err(), "{end} bytes");
        }
        Token::decode(&token).unwrap();
    }
}

#[test]
fn survives_every_bit_flip() {
    for profile in PROFILES {
        let mut token = token(claims(profile));
        for bit in 0..token.len() * 8 {
            token[bit / 8] ^= 1 << (bit % 8);
            if let Ok(token) = Token::decode(&token) {
                token.claims.software_components.for_each(drop);
            }
            token[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn refuses_depth_and_length_bombs() {
    let deep = |depth: usize| {
        let mut nested = vec![0x81; depth];
        nested.push(0);
        with(Profile::Rfc9783, 31337, Some(Raw(nested)))
    };
    Token::decode(&deep(16)).unwrap();
    refused(&deep(17), None, Reason::TooDeep);
    refused(&deep(20_000), None, Reason::TooDeep);
    for head in [0x5b, 0x7b, 0x9b, 0xbb] {
        let mut bomb = vec![head];
        bomb.extend([0xff; 8]);
        refused(&with(Profile::Rfc9783, 31337, Some(Raw(bomb))), None, Reason::Truncated);
    }
    let crowd = |n: i64| {
        let mut claims = claims(Profile::Rfc9783);
        claims.extend((0..n).map(|key| (Int(40_000 + key), Int(0))));
        token(claims)
    };
    Token::decode(&crowd(256)).unwrap();
    refused(&crowd(257), None, Reason::TooMany);
}

#[test]
fn tolerates_heads_wider_than_needed() {
    let mut claims = claims(Profile::Rfc9783);
    claims.retain(|(key, _)| !matches!(key, Int(10 | 2395)));
    let mut nonce = vec![0x5a, 0, 0, 0, 32];
    nonce.extend([9; 32]);
    claims.push((Raw(vec![0x1a, 0, 0, 0, 10]), Raw(nonce)));
    claims.push((Int(2395), Raw(vec![0x1b, 0, 0, 0, 0, 0, 0, 0x30, 0])));
    assert_eq!(Token::decode(&token(claims)).unwrap().claims.nonce, [9; 32]);
}

#[test]
fn stages_give_what_can_be_read_of_a_token_that_breaks_a_rule() {
    let broken = with(Profile::Rfc9783, 2394, Some(Int(0)));
    let envelope = Envelope::decode(&broken).unwrap();
    let payload = Payload::decode(&envelope).unwrap();
    assert_eq!(payload.profile(), Ok(Profile::Rfc9783));
    assert_eq!(payload.claims(Profile::Rfc9783).unwrap_err().claim, Some(Claim::ClientId));
    assert_eq!(payload.nonce().unwrap(), [0x5a; 32]);
    assert_eq!(payload.instance_id().unwrap()[0], 1);
    let unknown = with(Profile::Rfc9783, 265, Some(Text("http://UNKNOWN")));
    let envelope = Envelope::decode(&unknown).unwrap();
    assert_eq!(Payload::decode(&envelope).unwrap().profile_name(), Some("http://UNKNOWN"));
}

#[test]
fn signs_over_the_structure_of_rfc_9052() {
    let encoded = token(claims(Profile::Rfc9783));
    let envelope = Envelope::decode(&encoded).unwrap();
    let expected = Array(vec![
        Text("Signature1"),
        Bytes(vec![0xa1, 0x01, 0x26]),
        Bytes(vec![]),
        Bytes(envelope.payload.to_vec()),
    ]);
    assert_eq!(envelope.to_be_signed().parts().concat(), expected.encode());
    let mac = Tag(17, Box::new(Array(vec![bytes(300), Map(vec![]), bytes(3), bytes(3)])));
    assert!(Envelope::decode(&mac.encode()).is_err(), "protected header is no map");
}

fn certificate(length: usize) -> Vec<u8> {
    let content = length - 4;
    let mut der = vec![0x30, 0x82, (content >> 8) as u8, content as u8];
    der.extend((0..content).map(|i| i as u8));
    der
}

#[test]
fn inserts_a_chain_without_touching_anything_else() {
    let kid = (Int(4), Bytes(vec![0xcd; 32]));
    for unprotected in [Map(vec![]), Map(vec![kid.clone()]), Raw(vec![0xb8, 1, 4, 0x41, 0xee])] {
        for lengths in [&[300][..], &[400, 260], &[300, 1024, 260, 261]] {
            let payload = Bytes(Map(claims(Profile::Rfc9783)).encode());
            let token = envelope(vec![ALG], unprotected.clone(), payload).encode();
            let certificates: Vec<_> = lengths.iter().map(|&n| certificate(n)).collect();
            let chain = certificates.concat();
            let needed = x5chain::inserted_len(&token, &chain).unwrap();

            let mut buf = [token.clone(), chain.clone()].concat();
            buf.resize(needed - 1, 0xee);
            let before = buf.clone();
            let error = x5chain::insert(&mut buf, token.len(), chain.len()).unwrap_err();
            assert_eq!(error, Error::needs(needed));
            assert_eq!(buf, before);

            buf.resize(needed + 3, 0xee);
            assert_eq!(x5chain::insert(&mut buf, token.len(), chain.len()), Ok(needed));
            assert_eq!(buf[needed..], [0xee; 3]);
            let old = Token::decode(&token).unwrap().envelope;
            let new = Token::decode(&buf[..needed]).unwrap().envelope;
            assert_eq!(new.protected, old.protected);
            assert_eq!(new.payload, old.payload);
            assert_eq!(new.signature, old.signature);
            assert_eq!(new.kid, old.kid);
            assert_eq!(new.x5chain.unwrap().collect::<Vec<_>>(), certificates);

            let again = x5chain::inserted_len(&buf[..needed], &chain).unwrap_err();
            assert_eq!(again, Error::AlreadyExists);
        }
    }
}

#[test]
fn refuses_to_insert_what_is_no_chain_or_into_what_takes_none() {
    let token = token(claims(Profile::Rfc9783));
    let inserted = |token: &[u8], chain: &[u8]| x5chain::inserted_len(token, chain);
    let malformed = |at| Err(Error::malformed(Item::Certificate, at));
    assert_eq!(inserted(&token, &[]), malformed(0));
    assert_eq!(inserted(&token, &certificate(300)[..299]), malformed(1));
    let followed = [certificate(300), vec![0]].concat();
    assert_eq!(inserted(&token, &followed), malformed(300));
    assert!(inserted(&token, &certificate(300).repeat(4)).is_ok());
    assert!(matches!(inserted(&token, &certificate(300).repeat(5)), Err(Error::Refused(_))));

    let mut mac = token.clone();
    mac[0] = 0xd1;
    assert_eq!(inserted(&mac, &certificate(300)), Err(Error::NotSupported));
    let malformed = Error::Malformed { item: Item::Token, at: 0 };
    assert_eq!(inserted(&token[1..], &certificate(300)), Err(malformed));

    let mut buf = [0; 8];
    assert_eq!(x5chain::insert(&mut buf, 9, 0), Err(Error::InvalidArgument));
    assert_eq!(x5chain::insert(&mut buf, 4, 5), Err(Error::InvalidArgument));
}

struct Sha256;

impl Crypto for Sha256 {
    fn sha256(&mut self, parts: &[&[u8]]) -> Result<Digest, Error> {
        Ok(sha2::Sha256::digest(parts.concat()).into())
    }

    fn verify(&mut self, _: &PublicKey, _: &Digest, _: &Signature) -> Result<bool, Error> {
        Err(Error::NotSupported)
    }
}

#[test]
fn derives_the_instance_ids_that_tfm_derives() {
    // TF-M's dummy IAK and what TF-M 2.1 and 2.2 make of it.
    let x = "79eba90e8bf450a6751576ad4599b07adf938da3bb0bd17d0036ed49a2d0fc3f";
    let y = "bfcdfa8956b568bfdb8673e648d8b58d929955b14a26c3080f34117d971d6864";
    let point = hex(&["04", x, y].concat());
    let key = PublicKey::from_point(&point).unwrap();
    assert_eq!(
        instance_id::from_point(&mut Sha256, &key).unwrap()[..],
        hex("01fa58755f658627ce5460f29b75296713248cae7ad9e2984b90280efcbcb50248")
    );
    assert_eq!(
        instance_id::from_cose_key(&mut Sha256, &key).unwrap()[..],
        hex("01078c18f110f432ff780cd8dae58069a2a0d82277cbc66450c8581dd47d96a22e")
    );
    assert_eq!(instance_id::cose_key_parts(&[4; 97]).unwrap().concat().len(), 11 + 96);
    assert_eq!(instance_id::cose_key_parts(&[4; 133]).unwrap().concat().len(), 11 + 132);
    assert_eq!(instance_id::cose_key_parts(&[4; 64]), None);
}

/// Published vectors, which stand beside the repository where they are had.
fn published(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors").join(name);
    if !path.exists() {
        eprintln!("SKIPPED: no {}", path.display());
        return None;
    }
    Some(path)
}

#[test]
fn decodes_the_examples_of_rfc_9783() {
    let Some(folder) = published("thomas-fossati+draft-psa-token") else { return };
    let sign1 = std::fs::read(folder.join("rfc9783-a1-sign1.cbor")).unwrap();
    let token = Token::decode(&sign1).unwrap();
    assert_eq!(token.profile, Profile::Rfc9783);
    assert_eq!(token.claims.client_id, i32::MAX);
    assert_eq!(token.claims.nonce, [1; 32]);
    assert_eq!(token.claims.boot_seed, Some(&[0; 8][..]));
    let components: Vec<_> = token.claims.software_components.collect();
    assert_eq!(components.len(), 1);
    assert_eq!(components[0].measurement_type, Some("PRoT"));
    assert_eq!(components[0].signer_id, Some(&[4; 32][..]));

    let mac0 = std::fs::read(folder.join("rfc9783-a2-mac0.cbor")).unwrap();
    let token = Token::decode(&mac0).unwrap();
    assert_eq!(token.envelope.kind, Kind::Mac0);
    assert_eq!(token.envelope.algorithm, Some(Algorithm::Hs256));
    // The example's key is not needed to see that its instance id is derived.
    let key = std::fs::read(published("keys").unwrap().join("rfc9783-hs256.hmac")).unwrap();
    let id = instance_id::from_symmetric(&mut Sha256, &key).unwrap();
    assert_eq!(*token.claims.instance_id, id);
}

#[test]
fn decodes_what_tfm_signed() {
    let Some(folder) = published("veraison+psatoken") else { return };
    let encoded = std::fs::read(folder.join("tfm-psa-iot-1_sign1.cbor")).unwrap();
    let token = Token::decode(&encoded).unwrap();
    assert_eq!(token.profile, Profile::Psa1);
    assert_eq!(token.claims.client_id, 3002);
    assert_eq!(token.claims.certification_reference, Some("0604565272829-10010"));
    let types: Vec<_> =
        token.claims.software_components.filter_map(|c| c.measurement_type).collect();
    assert_eq!(types, ["SPE", "NSPE"]);
    for end in 0..encoded.len() {
        assert!(Token::decode(&encoded[..end]).is_err());
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}
