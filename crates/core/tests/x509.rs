// SPDX-License-Identifier: Apache-2.0
//! Certificates, chains and requests against what OpenSSL makes and accepts.
//! `vectors/x509/README.md` says how the certificates came to be.

use std::process::Command;
use std::{env, fs, iter};

use devid_core::csr::{self, Subject};
use devid_core::error::{Error, Item, Refusal};
use devid_core::key::{PublicKey, Signature};
use devid_core::limits::{MAX_CERT_LEN, MAX_CHAIN_CERTS};
use devid_core::platform::{Crypto, Digest};
use devid_core::time::UnixTime;
use devid_core::x509::{Ca, Certificate};
use devid_core::{chain, chain::Chain, chain::Checked};
use p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use p256::ecdsa::{self, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

/// 2026-11-23T00:00:00Z, within the validity of most vectors.
const NOW: Option<UnixTime> = Some(UnixTime(1_795_392_000));

struct Software;

impl Crypto for Software {
    fn sha256(&mut self, parts: &[&[u8]]) -> Result<Digest, Error> {
        let mut hash = Sha256::new();
        parts.iter().for_each(|part| hash.update(part));
        Ok(hash.finalize().into())
    }

    fn verify(
        &mut self,
        key: &PublicKey,
        digest: &Digest,
        signature: &Signature,
    ) -> Result<bool, Error> {
        let verified = VerifyingKey::from_sec1_bytes(key.point()).is_ok_and(|key| {
            ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_prehash(digest, &signature).is_ok())
        });
        Ok(verified)
    }
}

/// Verifies nothing but the signatures it saw the software verify.
#[derive(Default)]
struct Recorded(Vec<(PublicKey, Digest, Signature)>);

impl Crypto for Recorded {
    fn sha256(&mut self, parts: &[&[u8]]) -> Result<Digest, Error> {
        Software.sha256(parts)
    }

    fn verify(
        &mut self,
        key: &PublicKey,
        digest: &Digest,
        signature: &Signature,
    ) -> Result<bool, Error> {
        Ok(self.0.contains(&(*key, *digest, *signature)))
    }
}

fn vector(name: &str) -> Vec<u8> {
    let path = format!("{}/../../vectors/x509/{name}.der", env!("CARGO_MANIFEST_DIR"));
    fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn vectors<const N: usize>(names: [&str; N]) -> Vec<u8> {
    names.map(vector).concat()
}

fn check<const N: usize>(names: [&str; N]) -> Result<Checked, Error> {
    chain::check(&mut Software, &vectors(names), None, NOW)
}

fn refused(refusal: Refusal) -> Result<Checked, Error> {
    Err(Error::Refused(refusal))
}

fn parse_error(der: &[u8]) -> Error {
    Certificate::parse(der).expect_err("must not be a certificate")
}

fn malformed(at: usize) -> Error {
    Error::malformed(Item::Certificate, at)
}

/// A DER element.
fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = match contents.len() {
        len @ ..0x80 => vec![len as u8],
        len @ ..0x100 => vec![0x81, len as u8],
        len => vec![0x82, (len >> 8) as u8, len as u8],
    };
    [&[tag][..], &length, contents].concat()
}

const ES256: [u8; 12] = [0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];

/// An unsigned certificate with the given fields in place of ordinary ones.
struct Made {
    serial: Vec<u8>,
    inner: Vec<u8>,
    outer: Vec<u8>,
    validity: Vec<u8>,
    name: Vec<u8>,
    extensions: Vec<u8>,
    signature: Vec<u8>,
}

impl Default for Made {
    fn default() -> Self {
        let time = element(0x17, b"260101000000Z");
        Self {
            serial: vec![2, 1, 1],
            inner: ES256.to_vec(),
            outer: ES256.to_vec(),
            validity: [time.clone(), time].concat(),
            name: Vec::new(),
            extensions: Vec::new(),
            signature: vec![0, 0x30, 6, 2, 1, 1, 2, 1, 1],
        }
    }
}

impl Made {
    fn der(&self) -> Vec<u8> {
        let mut point = [1; PublicKey::LEN];
        point[0] = 4;
        let spki = PublicKey::from_point(&point).expect("a point").spki();
        let tbs = [
            &[0xa0, 3, 2, 1, 2][..],
            &self.serial,
            &self.inner,
            &element(0x30, &self.name),
            &element(0x30, &self.validity),
            &element(0x30, &self.name),
            &spki,
            &self.extensions,
        ]
        .concat();
        let signature = element(3, &self.signature);
        element(0x30, &[element(0x30, &tbs), self.outer.clone(), signature].concat())
    }

    fn with_extensions(extensions: &[(&[u8], &[u8])]) -> Vec<u8> {
        let list =
            extensions.iter().map(|(id, rest)| element(0x30, &[&element(6, id), *rest].concat()));
        let list = list.collect::<Vec<_>>().concat();
        Self { extensions: element(0xa3, &element(0x30, &list)), ..Self::default() }.der()
    }

    fn assert_malformed(&self, what: &str) {
        let der = self.der();
        assert!(matches!(parse_error(&der), Error::Malformed { .. }), "{what}");
    }
}

#[test]
fn reads_what_openssl_says() {
    let der = vector("leaf");
    let leaf = Certificate::parse(&der).expect("a certificate");
    let text = openssl(&["x509", "-inform", "DER", "-noout", "-serial", "-pubkey"], &der);
    if let Some((ok, text)) = text {
        assert!(ok);
        let serial: String = leaf.serial.iter().map(|byte| format!("{byte:02X}")).collect();
        assert!(text.contains(&format!("serial={serial}\n")), "{text}");
    }
    assert_eq!(leaf.der, der);
    assert_eq!(leaf.issuer.common_name(), Some("Example Factory 1"));
    assert_eq!(leaf.issuer.serial_number(), None);
    assert_eq!(leaf.subject.common_name(), Some("Gerät 0001"));
    assert_eq!(leaf.subject.serial_number(), Some("0001-AB"));
    assert_eq!(leaf.subject.organization(), Some("Example"));
    assert_eq!(leaf.not_before, UnixTime(1_767_225_600));
    assert_eq!(leaf.not_after, UnixTime::NO_EXPIRATION);
    assert_eq!(leaf.ca, None);
    assert!(
        leaf.key_usage.is_some_and(|usage| usage.digital_signature() && !usage.key_cert_sign())
    );
    assert!(!leaf.is_self_issued());

    let der = vector("intermediate");
    let intermediate = Certificate::parse(&der).expect("a certificate");
    assert_eq!(intermediate.ca, Some(Ca { path_len: Some(0) }));
    assert_eq!(intermediate.not_after, UnixTime(2_713_910_399));
    assert!(intermediate.key_usage.is_some_and(|usage| usage.key_cert_sign()));
    assert!(!intermediate.key_usage.is_some_and(|usage| usage.digital_signature()));
    assert_eq!(intermediate.subject.der(), leaf.issuer.der());

    let der = vector("root");
    let root = Certificate::parse(&der).expect("a certificate");
    assert_eq!(root.ca, Some(Ca { path_len: None }));
    assert!(root.is_self_issued());
}

#[test]
fn reads_certificates_without_san_and_eku_and_with_critical_ones() {
    let der = vector("leaf-plain");
    let plain = Certificate::parse(&der).expect("a certificate");
    assert_eq!((plain.ca, plain.key_usage), (None, None));

    let der = vector("leaf-no-subject");
    let unnamed = Certificate::parse(&der).expect("a certificate");
    assert_eq!(unnamed.subject.der(), [0x30, 0]);
    assert_eq!(unnamed.subject.common_name(), None);
    // digitalSignature, keyAgreement and decipherOnly: nine bits.
    assert!(unnamed.key_usage.is_some_and(|usage| usage.digital_signature()));

    let der = vector("leaf-unknown");
    Certificate::parse(&der).expect("an unknown extension that is not critical");
}

#[test]
fn refuses_what_it_does_not_handle() {
    for (name, refusal) in [
        ("leaf-unknown-critical", Refusal::CriticalExtension),
        ("leaf-name-constraints", Refusal::CriticalExtension),
        ("leaf-p384", Refusal::Algorithm),
        ("leaf-rsa", Refusal::Algorithm),
        ("leaf-sha384", Refusal::Algorithm),
        ("leaf-by-rsa", Refusal::Algorithm),
        ("root-rsa", Refusal::Algorithm),
        ("v1", Refusal::Version),
    ] {
        assert_eq!(parse_error(&vector(name)), Error::Refused(refusal), "{name}");
    }
    // The serial's contents: certificate 4, TBSCertificate 4 or 3, version 5, tag and length 2.
    assert!(matches!(
        parse_error(&vector("negative-serial")),
        Error::Malformed { at: 14 | 15, .. }
    ));
}

#[test]
fn refuses_signature_algorithms_that_differ() {
    let mut es384 = ES256;
    es384[11] = 3;
    for made in [
        Made { inner: es384.to_vec(), ..Made::default() },
        Made { outer: es384.to_vec(), ..Made::default() },
    ] {
        assert_eq!(parse_error(&made.der()), Error::Refused(Refusal::Algorithm));
    }
    Certificate::parse(&Made::default().der()).expect("the same without the difference");
}

#[test]
fn refuses_a_certificate_cut_anywhere_or_followed_by_anything() {
    let der = vector("leaf");
    for len in 0..der.len() {
        let error = parse_error(&der[..len]);
        // The first byte that offends is the outer length, or is missing.
        assert_eq!(error, malformed(if len == 0 { 0 } else { 1 }), "cut to {len}");
    }
    let trailing = [&der[..], &[0]].concat();
    assert_eq!(parse_error(&trailing), malformed(der.len()));
}

#[test]
fn refuses_a_certificate_one_byte_over_the_limit() {
    let fill = |len: usize| {
        let value = element(4, &vec![0; len]);
        Made::with_extensions(&[(&[0x2a, 3], &value)])
    };
    let overhead = fill(600).len() - 600;
    let longest = fill(MAX_CERT_LEN - overhead);
    assert_eq!(longest.len(), MAX_CERT_LEN);
    Certificate::parse(&longest).expect("the longest certificate");
    let error = parse_error(&fill(MAX_CERT_LEN - overhead + 1));
    assert_eq!(error, Error::TooLarge { limit: MAX_CERT_LEN as u16 });
}

#[test]
fn refuses_lengths_that_are_not_der() {
    let ordinary = Made::default().der();
    // The outer length is 81 xx here.
    assert_eq!(ordinary[1], 0x81);
    let longer = [&[0x30, 0x82, 0][..], &ordinary[2..]].concat();
    assert_eq!(parse_error(&longer), malformed(1));
    let longest = [&[0x30, 0x83, 0, 0][..], &ordinary[2..]].concat();
    assert_eq!(parse_error(&longest), malformed(1));
    let indefinite = [&[0x30, 0x80][..], &ordinary[3..], &[0, 0]].concat();
    assert_eq!(parse_error(&indefinite), malformed(1));
    for serial in [&[2, 0x81, 1, 1][..], &[2, 0x82, 0, 1, 1], &[2, 0x80, 1, 0, 0], &[2, 0x7f, 1]] {
        Made { serial: serial.to_vec(), ..Made::default() }.assert_malformed("serial length");
    }
    let high_tag = [&[0x3f, 0x10][..], &ordinary[1..]].concat();
    assert_eq!(parse_error(&high_tag), malformed(0));
}

#[test]
fn takes_serial_numbers_of_20_bytes_and_refuses_odd_ones() {
    let made = |serial: &[u8]| Made { serial: element(2, serial), ..Made::default() };
    for (serial, magnitude) in [
        (&[0][..], &[0][..]),
        (&[0x7f], &[0x7f]),
        (&[0, 0x80], &[0x80]),
        (&[0x7f; 20], &[0x7f; 20]),
    ] {
        let der = made(serial).der();
        assert_eq!(Certificate::parse(&der).expect("a serial").serial, magnitude);
    }
    for serial in [&[][..], &[0x80], &[0xff, 0x7f], &[0, 0x7f], &[0, 0], &[1; 21]] {
        made(serial).assert_malformed(&format!("{serial:?}"));
    }
}

#[test]
fn refuses_signatures_that_are_not_two_minimal_numbers() {
    let made = |signature: Vec<u8>| Made { signature, ..Made::default() };
    let numbers = |r: &[u8], s: &[u8]| {
        [&[0][..], &element(0x30, &[element(2, r), element(2, s)].concat())].concat()
    };
    let der = made(numbers(&[0, 0xff], &[0x7f; 32])).der();
    let signature = Certificate::parse(&der).expect("a signature").signature;
    assert_eq!(signature[..31], [0; 31]);
    assert_eq!(signature[31..], [&[0xff][..], &[0x7f; 32]].concat());

    for (r, s) in [
        (&[0, 1][..], &[1][..]),
        (&[1], &[0, 0x7f]),
        (&[0xff], &[1]),
        (&[], &[1]),
        (&[1; 33], &[1]),
        (&[1], &[1; 33]),
    ] {
        made(numbers(r, s)).assert_malformed(&format!("{r:?} {s:?}"));
    }
    let ordinary = numbers(&[1], &[1]);
    made([&ordinary[..], &[0]].concat()).assert_malformed("trailing in the bits");
    made([&[1], &ordinary[1..]].concat()).assert_malformed("unused bits");
    made(Vec::new()).assert_malformed("no bits at all");
    made(vec![0, 0x30, 3, 2, 1, 1]).assert_malformed("one number");
    made(vec![0, 0x30, 9, 2, 1, 1, 2, 1, 1, 2, 1, 1]).assert_malformed("three numbers");
}

#[test]
fn refuses_times_and_names_that_are_not_well_formed() {
    let time = element(0x17, b"260101000000Z");
    for validity in [
        time.clone(),
        [time.clone(), time.clone(), time.clone()].concat(),
        [time.clone(), element(0x17, b"260101000060Z")].concat(),
        [time.clone(), element(0x17, b"2601010000Z")].concat(),
        [time.clone(), element(0x18, b"20260101000000.0Z")].concat(),
        [time.clone(), element(0x16, b"260101000000Z")].concat(),
    ] {
        Made { validity, ..Made::default() }.assert_malformed("validity");
    }
    let attribute = |contents: &[u8]| element(0x31, &element(0x30, contents));
    let oid = [6, 3, 0x55, 4, 3];
    for name in [
        element(0x31, &[]),
        attribute(&oid),
        attribute(&[0x0c, 1, b'x']),
        attribute(&[&oid[..], &[0x1f, 1, b'x']].concat()),
        attribute(&[&oid[..], &[0x0c, 1, b'x', 0x0c, 1, b'x']].concat()),
        attribute(&[&oid[..], &[0x0c, 2, b'x']].concat()),
        element(0x30, &[]),
    ] {
        Made { name: name.clone(), ..Made::default() }.assert_malformed(&format!("{name:x?}"));
    }
    // A name in one set with another, and ones that are no text for us.
    let cn = element(0x30, &[&oid[..], &[0x13, 1, b'x']].concat());
    let o = element(0x30, &[6, 3, 0x55, 4, 10, 0x1e, 2, 0, b'x']);
    let invalid = element(0x30, &[6, 3, 0x55, 4, 5, 0x0c, 1, 0xff]);
    let name = element(0x31, &[cn, o, invalid].concat());
    let der = Made { name, ..Made::default() }.der();
    let subject = Certificate::parse(&der).expect("a name").subject;
    assert_eq!(subject.common_name(), Some("x"));
    assert_eq!(subject.organization(), None);
    assert_eq!(subject.serial_number(), None);
}

#[test]
fn reads_extensions_strictly() {
    const BASIC: &[u8] = &[0x55, 0x1d, 19];
    const USAGE: &[u8] = &[0x55, 0x1d, 15];
    let parse = |id: &[u8], value: &[u8]| {
        let der = Made::with_extensions(&[(id, value)]);
        Certificate::parse(&der)
            .map(|certificate| (certificate.ca, certificate.key_usage.is_some()))
    };
    for (value, ca) in [
        (&[0x30, 0][..], None),
        (&[0x30, 3, 1, 1, 0xff], Some(Ca { path_len: None })),
        (&[0x30, 6, 1, 1, 0xff, 2, 1, 0], Some(Ca { path_len: Some(0) })),
        (&[0x30, 7, 1, 1, 0xff, 2, 2, 1, 0], Some(Ca { path_len: Some(255) })),
    ] {
        assert_eq!(parse(BASIC, &element(4, value)), Ok((ca, false)), "{value:x?}");
    }
    for value in [
        &[][..],
        &[0x30, 3, 1, 1, 0],
        &[0x30, 3, 1, 1, 1],
        &[0x30, 4, 1, 2, 0xff, 0xff],
        &[0x30, 3, 2, 1, 0],
        &[0x30, 6, 1, 1, 0xff, 2, 1, 0xff],
        &[0x30, 9, 1, 1, 0xff, 2, 1, 0, 2, 1, 0],
        &[0x30, 0, 0],
        &[0x31, 0],
    ] {
        assert!(
            matches!(parse(BASIC, &element(4, value)), Err(Error::Malformed { .. })),
            "{value:x?}"
        );
    }
    for value in [&[3, 2, 7, 0x80][..], &[3, 2, 2, 4], &[3, 2, 0, 0xff], &[3, 3, 7, 0x80, 0x80]] {
        assert_eq!(parse(USAGE, &element(4, value)), Ok((None, true)), "{value:x?}");
    }
    for value in [
        &[][..],
        &[3, 0],
        &[3, 1, 0],
        &[3, 2, 0, 0],
        &[3, 2, 0, 0x80],
        &[3, 2, 6, 0x80],
        &[3, 2, 8, 0x80],
        &[3, 3, 0, 0x80, 0],
        &[3, 3, 6, 0x80, 0x40],
        &[3, 3, 6, 0x80, 0x80],
        &[3, 2, 7, 0x80, 0],
        &[4, 2, 7, 0x80],
    ] {
        assert!(
            matches!(parse(USAGE, &element(4, value)), Err(Error::Malformed { .. })),
            "{value:x?}"
        );
    }
    // DER leaves out critical FALSE.
    assert!(matches!(parse(USAGE, &[1, 1, 0, 4, 4, 3, 2, 7, 0x80]), Err(Error::Malformed { .. })));
    assert!(parse(USAGE, &[1, 1, 0xff, 4, 4, 3, 2, 7, 0x80]).is_ok());
    // An extension has no fourth field; a list of none is not to be.
    assert!(matches!(parse(USAGE, &[4, 4, 3, 2, 7, 0x80, 5, 0]), Err(Error::Malformed { .. })));
    assert!(matches!(parse_error(&Made::with_extensions(&[])), Error::Malformed { .. }));
    // Certificate policies that must be processed are not.
    let critical_policies = parse(&[0x55, 0x1d, 32], &[1, 1, 0xff, 4, 0]);
    assert_eq!(critical_policies, Err(Error::Refused(Refusal::CriticalExtension)));
}

#[test]
fn refuses_an_extension_that_comes_twice() {
    let usage = element(4, &[3, 2, 7, 0x80]);
    let unknown = element(4, &[1, 2, 3]);
    for (id, value) in [(&[0x55, 0x1d, 15][..], &usage), (&[0x2a, 3], &unknown)] {
        let other = (&[0x2a, 4][..], &unknown[..]);
        let twice = Made::with_extensions(&[(id, value), other, (id, value)]);
        let last =
            twice.len() - 12 - 11 - element(0x30, &[&element(6, id), &value[..]].concat()).len();
        assert_eq!(parse_error(&twice), malformed(last));
        let once = Made::with_extensions(&[(id, value), other]);
        Certificate::parse(&once).expect("the same once");
    }
}

#[test]
fn splits_a_chain_into_the_certificates_it_was_made_of() {
    let names = ["leaf", "intermediate", "root"];
    let der = vectors(names);
    let chain = Chain::parse(&der).expect("a chain");
    assert_eq!(chain.len(), 3);
    for (index, name) in names.iter().enumerate() {
        assert_eq!(chain.get(index), Some(&vector(name)[..]));
    }
    assert_eq!(chain.get(3), None);
    assert_eq!(chain.certificates().count(), 3);
}

#[test]
fn refuses_chains_that_are_empty_too_long_or_cut() {
    assert_eq!(Chain::parse(&[]).err(), Some(malformed(0)));
    let root = vector("root");
    let most = iter::repeat_n(root.clone(), MAX_CHAIN_CERTS).collect::<Vec<_>>().concat();
    assert!(Chain::parse(&most).is_ok());
    let more = [most, root].concat();
    let too_many = Error::Refused(Refusal::TooManyCertificates);
    assert_eq!(Chain::parse(&more).err(), Some(too_many));

    let der = vectors(["leaf", "intermediate"]);
    let leaf_len = vector("leaf").len();
    for len in (0..der.len()).filter(|len| *len != leaf_len) {
        assert!(Chain::parse(&der[..len]).is_err(), "cut to {len}");
    }
    let cut = leaf_len + 1;
    assert_eq!(Chain::parse(&der[..der.len() - 1]).err(), Some(malformed(cut)));
}

#[test]
fn accepts_chains_with_and_without_their_root() {
    let checked = |certificates| Ok(Checked { certificates, validity_checked: true });
    assert_eq!(check(["leaf", "intermediate", "root"]), checked(3));
    assert_eq!(check(["leaf", "intermediate"]), checked(2));
    assert_eq!(check(["leaf"]), checked(1));
    assert_eq!(check(["leaf-plain", "intermediate", "root"]), checked(3));
    assert_eq!(check(["leaf-no-subject", "intermediate", "root"]), checked(3));
    assert_eq!(check(["leaf-of-root", "root"]), checked(2));
    assert_eq!(check(["leaf-self"]), checked(1));
    assert_eq!(check(["leaf-of-ca-plain", "ca-plain", "root"]), checked(3));
}

#[test]
fn refuses_a_leaf_over_another_key() {
    let der = vectors(["leaf", "intermediate"]);
    let leaf_key = Certificate::parse(&vector("leaf")).expect("a leaf").public_key;
    let root_key = Certificate::parse(&vector("root")).expect("a root").public_key;
    assert!(chain::check(&mut Software, &der, Some(&leaf_key), NOW).is_ok());
    let checked = chain::check(&mut Software, &der, Some(&root_key), NOW);
    assert_eq!(checked, refused(Refusal::KeyMismatch));
}

#[test]
fn refuses_chain_in_wrong_order() {
    assert_eq!(check(["leaf", "root", "intermediate"]), refused(Refusal::WrongOrder));
    assert_eq!(check(["leaf", "root"]), refused(Refusal::WrongOrder));
    assert_eq!(check(["leaf", "leaf"]), refused(Refusal::WrongOrder));
    // Read as a leaf, the root may not sign anything but certificates.
    assert_eq!(check(["root", "intermediate", "leaf"]), refused(Refusal::KeyUsage));
}

#[test]
fn refuses_an_issuer_with_the_right_name_and_another_key() {
    let chain = ["leaf", "intermediate", "root-other-key"];
    assert_eq!(check(chain), refused(Refusal::BadSignature));
    assert_eq!(check(["leaf-of-root", "root-other-key"]), refused(Refusal::BadSignature));
}

#[test]
fn refuses_chain_without_ca_flag() {
    assert_eq!(check(["leaf-of-no-ca", "no-ca", "root"]), refused(Refusal::NotCa));
    assert_eq!(check(["leaf-of-ca-false", "ca-false", "root"]), refused(Refusal::NotCa));
}

#[test]
fn refuses_key_usages_that_do_not_fit() {
    let chain = ["leaf-of-ca-without-sign", "ca-without-sign", "root"];
    assert_eq!(check(chain), refused(Refusal::KeyUsage));
    assert_eq!(check(["leaf-no-sign", "intermediate", "root"]), refused(Refusal::KeyUsage));
}

#[test]
fn refuses_a_path_longer_than_its_constraint() {
    let chain = ["leaf-of-sub", "sub", "intermediate", "root"];
    assert_eq!(check(chain), refused(Refusal::PathLength));
    // Without the constraining certificate there is nothing against it.
    assert!(check(["leaf-of-sub", "sub"]).is_ok());
}

#[test]
fn does_not_count_self_issued_certificates_in_a_path() {
    let chain = ["leaf-of-intermediate-next", "intermediate-next", "intermediate", "root"];
    assert!(check(chain).is_ok());
    // At the end of a chain, the next key has not signed itself.
    let [leaf, next, ..] = chain;
    assert_eq!(check([leaf, next]), refused(Refusal::BadSignature));
}

#[test]
fn checks_validity_only_at_a_time() {
    let at = |name, seconds| {
        chain::check(&mut Software, &vectors([name, "intermediate"]), None, seconds)
    };
    assert_eq!(at("leaf-expired", NOW), refused(Refusal::Expired));
    assert_eq!(at("leaf-future", NOW), refused(Refusal::NotYetValid));
    let unchecked = Ok(Checked { certificates: 2, validity_checked: false });
    assert_eq!(at("leaf-expired", None), unchecked);
    assert_eq!(at("leaf-future", None), unchecked);

    // Both ends belong to the validity period.
    let (first, last) = (1_767_225_600, 1_790_812_800);
    assert!(at("leaf-expired", Some(UnixTime(last))).is_ok());
    assert_eq!(at("leaf-expired", Some(UnixTime(last + 1))), refused(Refusal::Expired));
    assert!(at("leaf-expired", Some(UnixTime(first))).is_ok());
    assert_eq!(at("leaf-expired", Some(UnixTime(first - 1))), refused(Refusal::NotYetValid));

    // The leaf has no expiry; the intermediate has.
    let far = Some(UnixTime(4_000_000_000));
    assert_eq!(at("leaf", far), refused(Refusal::Expired));
    let root = chain::check(&mut Software, &vector("root"), None, far);
    assert_eq!(root, refused(Refusal::KeyUsage));
    assert!(chain::check_anchor(&mut Software, &vector("root"), far).is_ok());
}

#[test]
fn takes_one_ca_as_an_anchor() {
    let anchor = |der: &[u8]| chain::check_anchor(&mut Software, der, NOW);
    let checked = Ok(Checked { certificates: 1, validity_checked: true });
    assert_eq!(anchor(&vector("root")), checked);
    assert_eq!(anchor(&vector("intermediate")), checked);
    assert_eq!(anchor(&vector("leaf")), refused(Refusal::NotCa));
    assert_eq!(anchor(&vector("ca-without-sign")), refused(Refusal::KeyUsage));
    let root_len = vector("root").len();
    assert_eq!(anchor(&vectors(["root", "root"])), Err(malformed(root_len)));

    let mut forged = vector("root");
    if let Some(byte) = forged.last_mut() {
        *byte ^= 1;
    }
    assert_eq!(anchor(&forged), refused(Refusal::BadSignature));
}

#[test]
fn never_accepts_a_flipped_bit() {
    let der = vectors(["leaf", "intermediate", "root"]);
    // The root's issuer may change: the root is then one whose issuer is
    // elsewhere, and its own signature is for that issuer to vouch for.
    let root_len = vector("root").len();
    let root_at = der.len() - root_len;
    let root = &der[root_at..];
    let issuer = Certificate::parse(root).expect("a root").issuer.der();
    let issuer_at =
        root_at + root.windows(issuer.len()).position(|at| at == issuer).expect("an issuer");
    let issuer = issuer_at..issuer_at + issuer.len();

    // Three signatures, and ten thousand flips with no need to verify each.
    let certificates: Vec<_> = Chain::parse(&der).expect("a chain").certificates().collect();
    let mut platform = Recorded::default();
    for (subordinate, issuer) in [(0, 1), (1, 2), (2, 2)] {
        let (subordinate, issuer) = (&certificates[subordinate], &certificates[issuer]);
        let digest = Software.sha256(&[subordinate.tbs]).expect("a digest");
        let (key, signature) = (issuer.public_key, subordinate.signature);
        assert_eq!(Software.verify(&key, &digest, &signature), Ok(true));
        platform.0.push((key, digest, signature));
    }
    assert!(chain::check(&mut platform, &der, None, None).is_ok());

    for byte in (0..der.len()).filter(|byte| !issuer.contains(byte)) {
        for bit in 0..8 {
            let mut flipped = der.clone();
            flipped[byte] ^= 1 << bit;
            let checked = chain::check(&mut platform, &flipped, None, None);
            assert!(checked.is_err(), "bit {bit} of byte {byte}");
        }
    }
}

#[test]
fn reads_or_refuses_whatever_stands_at_a_byte() {
    let der = vector("leaf");
    let mut changed = der.clone();
    for at in 0..der.len() {
        for value in 0..=u8::MAX {
            changed[at] = value;
            if let Ok(certificate) = Certificate::parse(&changed) {
                assert_eq!(certificate.der, changed);
            }
        }
        changed[at] = der[at];
        let missing = [&der[..at], &der[at + 1..]].concat();
        assert!(Certificate::parse(&missing).is_err(), "without byte {at}");
    }
}

/// Runs `openssl` on `input`; whether it succeeded, and all it said. `None`
/// where there is no such program.
fn openssl(arguments: &[&str], input: &[u8]) -> Option<(bool, String)> {
    let path = env::temp_dir().join(format!("devid-x509-{:?}.der", std::thread::current().id()));
    fs::write(&path, input).expect("a temporary file");
    let output = Command::new("openssl").args(arguments).arg("-in").arg(&path).output();
    fs::remove_file(&path).expect("a temporary file");
    let Ok(output) = output else {
        eprintln!("SKIPPED: no openssl on PATH to compare with");
        return None;
    };
    let text = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
}

fn signing_key() -> (SigningKey, PublicKey) {
    let key = SigningKey::from_slice(&[7; 32]).expect("a key");
    let point = key.verifying_key().to_sec1_point(false);
    (key, PublicKey::from_point(point.as_bytes()).expect("a point"))
}

fn request(subject: &Subject<'_>, out: &mut [u8]) -> Result<usize, Error> {
    let (signer, key) = signing_key();
    let written = csr::write(out, subject, &key, None, |info| {
        let signature: ecdsa::Signature =
            signer.sign_prehash(&Sha256::digest(info)).map_err(|_| Error::NotSupported)?;
        Ok(signature.to_bytes().into())
    });
    written.map(<[u8]>::len)
}

#[test]
fn writes_requests_that_openssl_verifies() {
    let long = "ä".repeat(csr::MAX_ATTRIBUTE_CHARS);
    for (subject, printed) in [
        (Subject::default(), "subject=\n"),
        (Subject { common_name: Some("x"), ..Subject::default() }, "subject=CN=x\n"),
        (
            Subject {
                common_name: Some("Gerät 1"),
                serial_number: Some("AB-12 (3)"),
                organization: Some("Example"),
            },
            "subject=O=Example, CN=Gerät 1, serialNumber=AB-12 (3)\n",
        ),
        (Subject { common_name: Some(&long), ..Subject::default() }, "subject=CN=ääää"),
    ] {
        let mut out = [0; csr::MAX_LEN];
        let len = request(&subject, &mut out).expect("a request");
        let arguments = [
            "req",
            "-inform",
            "DER",
            "-verify",
            "-noout",
            "-subject",
            "-nameopt",
            "utf8,sep_comma_plus_space",
        ];
        if let Some((ok, text)) = openssl(&arguments, &out[..len]) {
            assert!(ok, "{text}");
            assert!(
                text.contains("self-signature verify OK") || text.contains("verify OK"),
                "{text}"
            );
            assert!(text.contains(printed), "{text}");
        }
    }
}

#[test]
fn says_what_a_request_needs_and_leaves_a_smaller_buffer_alone() {
    let subject = Subject { common_name: Some("device"), ..Subject::default() };
    let Err(Error::BufferTooSmall { needed }) = request(&subject, &mut []) else {
        panic!("an empty buffer is too small")
    };
    let needed = needed as usize;
    let mut small = vec![0xa5; needed - 1];
    let (_, key) = signing_key();
    let unsigned = csr::write(&mut small, &subject, &key, None, |_| panic!("nothing to sign yet"));
    assert_eq!(unsigned, Err(Error::needs(needed)));
    assert_eq!(small, vec![0xa5; needed - 1]);

    // The longest signature takes all of it.
    let mut exact = vec![0; needed];
    let written = csr::write(&mut exact, &subject, &key, None, |_| Ok([0xff; 64]));
    assert_eq!(written.map(<[u8]>::len), Ok(needed));
    // The shortest one takes less.
    let written = csr::write(&mut exact, &subject, &key, None, |_| Ok([0; 64]));
    assert_eq!(written.map(<[u8]>::len), Ok(needed - 2 * 32));
}

#[test]
fn writes_the_longest_request_into_max_len() {
    let utf8 = "𝕏".repeat(csr::MAX_ATTRIBUTE_CHARS);
    let printable = "9".repeat(csr::MAX_ATTRIBUTE_CHARS);
    let subject = Subject {
        common_name: Some(&utf8),
        serial_number: Some(&printable),
        organization: Some(&utf8),
    };
    let needed = Error::needs(csr::MAX_LEN);
    assert_eq!(request(&subject, &mut []), Err(needed));

    // Longest, too, with evidence: around 16 KB of it every head is at its longest.
    let (_, key) = signing_key();
    for evidence_len in [1, 100, 255, 256, 640, 5000, 16_000] {
        let bound = csr::MAX_LEN + csr::EVIDENCE_OVERHEAD + evidence_len;
        let evidence = csr::Evidence { len: evidence_len, content_format: u16::MAX };
        let mut out = vec![0; bound];
        let written = csr::write(&mut out, &subject, &key, Some(evidence), |_| Ok([0xff; 64]));
        let len = written.expect("it fits").len();
        assert!(len <= bound && (evidence_len < 256 || len == bound), "{evidence_len}: {len}");
    }
}

#[test]
fn another_signature_makes_a_request_no_longer_than_told() {
    let (_, key) = signing_key();
    for name_len in 1..=csr::MAX_ATTRIBUTE_CHARS {
        let name = "n".repeat(name_len);
        let subject = Subject { common_name: Some(&name), ..Subject::default() };
        let mut out = [0; csr::MAX_LEN];
        let [shortest, longest] = [[0; 64], [0xff; 64]].map(|signature| {
            csr::write(&mut out, &subject, &key, None, |_| Ok(signature)).expect("it fits").len()
        });
        assert!(longest - shortest <= csr::SIGNATURE_SPREAD, "{shortest} to {longest}");
    }
}

#[test]
fn refuses_subjects_outside_their_bounds() {
    let long = "9".repeat(csr::MAX_ATTRIBUTE_CHARS + 1);
    let mut out = [0; 1024];
    for text in ["", &long] {
        for subject in [
            Subject { common_name: Some(text), ..Subject::default() },
            Subject { serial_number: Some(text), ..Subject::default() },
            Subject { organization: Some(text), ..Subject::default() },
        ] {
            assert_eq!(request(&subject, &mut out), Err(Error::InvalidArgument), "{subject:?}");
        }
    }
    for serial in ["a*b", "a_b", "ä", "a@b", "a\n", "a&b"] {
        let subject = Subject { serial_number: Some(serial), ..Subject::default() };
        assert_eq!(request(&subject, &mut out), Err(Error::InvalidArgument), "{serial}");
    }
    let all = Subject { serial_number: Some("aZ09 '()+,-./:=?"), ..Subject::default() };
    assert!(request(&all, &mut out).is_ok());
}

#[test]
fn passes_on_why_signing_failed() {
    let (_, key) = signing_key();
    let mut out = [0; csr::MAX_LEN];
    let failed =
        csr::write(&mut out, &Subject::default(), &key, None, |_| Err(Error::Platform(-132)));
    assert_eq!(failed, Err(Error::Platform(-132)));
}
