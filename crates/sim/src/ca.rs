// SPDX-License-Identifier: Apache-2.0
//! A certification authority for development and tests: made on the spot, its
//! keys in memory alone, gone with the value.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use devid_core::key::PublicKey;
use devid_core::time::UnixTime;
use devid_verifier::{Challenge, Check, Verdict, Verifier};
use p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SerialNumber,
    SignatureAlgorithm,
};
use time::{Duration, OffsetDateTime};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

use crate::{Random, public_half, sha256};

/// The purpose of attestation keys.
const TCG_KP_AIK_CERTIFICATE: [u64; 5] = [2, 23, 133, 8, 3];

/// How long its certificates are valid.
const VALIDITY: Duration = Duration::days(30);

/// A root and, below it, the CA that issues.
pub struct ThrowAwayCa {
    root_der: Vec<u8>,
    issuing_der: Vec<u8>,
    issuing: Issuer<'static, Key>,
    valid_from: OffsetDateTime,
    draws: Draws,
}

/// A trust anchor of a device, whose key signs update commands.
pub struct ThrowAwayAnchor {
    der: Vec<u8>,
    key: Key,
}

/// Why a certification request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CsrError {
    /// Not one complete PKCS#10 request in DER.
    Malformed,
    /// The key is not P-256.
    Key,
    /// The request is not signed by the key it names: no proof of possession.
    Signature,
    /// There is no evidence in the request, or that check of it did not pass.
    Evidence(Check),
}

impl ThrowAwayCa {
    /// Makes the CA. Its certificates, and those it issues, are valid for 30
    /// days from `now` on.
    ///
    /// # Panics
    /// Where `now` is beyond the year 9999.
    pub fn new(now: UnixTime) -> Self {
        Self::from(now, Draws::system())
    }

    /// The same for the same seed, and in what it issues: for tests alone.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub fn seeded(now: UnixTime, seed: [u8; 32]) -> Self {
        Self::from(now, Draws::seeded(seed))
    }

    fn from(now: UnixTime, draws: Draws) -> Self {
        let valid_from = OffsetDateTime::from_unix_timestamp(now.0).expect("a year below 10000");
        let root_key = Key::random(&draws);
        let root = ca_params("devid throw-away root", &root_key, valid_from, 1, &draws);
        let root_der = root.self_signed(&root_key).expect("the parameters are complete");

        let issuing_key = Key::random(&draws);
        let issuing = ca_params("devid throw-away CA", &issuing_key, valid_from, 0, &draws);
        let issuing_der = issuing
            .signed_by(&issuing_key, &Issuer::new(root, root_key))
            .expect("the parameters are complete");
        Self {
            root_der: root_der.der().to_vec(),
            issuing_der: issuing_der.der().to_vec(),
            issuing: Issuer::new(issuing, issuing_key),
            valid_from,
            draws,
        }
    }

    /// The root's certificate in DER: the trust anchor.
    pub fn root(&self) -> &[u8] {
        &self.root_der
    }

    /// Issues an identity for a certification request once its signature proves
    /// that the device holds the key: its extKeyUsage is clientAuth. Returns the chain below the root, leaf first, as
    /// concatenated DER. The subject is the request's.
    pub fn issue(&self, csr: &[u8]) -> Result<Vec<u8>, CsrError> {
        let (rest, csr) =
            X509CertificationRequest::from_der(csr).map_err(|_| CsrError::Malformed)?;
        if !rest.is_empty() {
            return Err(CsrError::Malformed);
        }
        let info = &csr.certification_request_info;
        let key = PublicKey::from_spki(info.subject_pki.raw).map_err(|_| CsrError::Key)?;
        let verifier =
            VerifyingKey::from_sec1_bytes(key.point().as_slice()).map_err(|_| CsrError::Key)?;
        let signature =
            Signature::from_der(&csr.signature_value.data).map_err(|_| CsrError::Signature)?;
        verifier
            .verify_prehash(&sha256(&[info.raw]), &signature)
            .map_err(|_| CsrError::Signature)?;

        let mut subject = DistinguishedName::new();
        for attribute in info.subject.iter_attributes() {
            let text = attribute.as_str().map_err(|_| CsrError::Malformed)?;
            let kind = attribute.attr_type().iter().ok_or(CsrError::Malformed)?;
            subject.push(DnType::from_oid(&kind.collect::<Vec<_>>()), text);
        }
        Ok(self.chain(&key, subject, ExtendedKeyUsagePurpose::ClientAuth))
    }

    /// Issues for a request once the evidence in it passes too: an attested
    /// platform vouched for the request's key under that challenge.
    pub fn issue_attested(
        &self,
        csr: &[u8],
        verifier: &Verifier<'_>,
        challenge: &[u8],
    ) -> Result<Vec<u8>, CsrError> {
        let report = verifier.verify(csr, Challenge::Expected(challenge));
        if report.requested_key.is_none() {
            return Err(CsrError::Evidence(Check::Decode));
        }
        if report.verdict() != Verdict::Pass {
            let failed = report.outcomes().find(|(_, outcome)| outcome.failed());
            return Err(CsrError::Evidence(failed.map_or(Check::Signature, |(check, _)| check)));
        }
        self.issue(csr)
    }

    /// Certifies an attestation key, which cannot ask by itself: its extKeyUsage is
    /// 2.23.133.8.3 (TCG attestation identity key). Returns the chain below the
    /// root, leaf first, as concatenated DER.
    pub fn certify(&self, key: &PublicKey, common_name: &str) -> Vec<u8> {
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, common_name);
        self.chain(key, subject, ExtendedKeyUsagePurpose::Other(TCG_KP_AIK_CERTIFICATE.to_vec()))
    }

    fn chain(
        &self,
        key: &PublicKey,
        subject: DistinguishedName,
        purpose: ExtendedKeyUsagePurpose,
    ) -> Vec<u8> {
        let mut params = params(subject, self.valid_from, &self.draws);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        let leaf =
            params.signed_by(&Point(*key), &self.issuing).expect("the parameters are complete");
        [leaf.der(), self.issuing_der.as_slice()].concat()
    }
}

impl ThrowAwayAnchor {
    /// Makes the anchor, valid for 30 days from `now` on. Its keyUsage lets it
    /// sign certificates, and commands where `signs_commands`.
    ///
    /// # Panics
    /// Where `now` is beyond the year 9999.
    pub fn new(name: &str, now: UnixTime, signs_commands: bool) -> Self {
        Self::from(name, now, signs_commands, &Draws::system())
    }

    /// The same for the same name and seed: for tests alone.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub fn seeded(name: &str, now: UnixTime, signs_commands: bool, seed: [u8; 32]) -> Self {
        let seed = sha256(&[&seed, name.as_bytes()]);
        Self::from(name, now, signs_commands, &Draws::seeded(seed))
    }

    fn from(name: &str, now: UnixTime, signs_commands: bool, draws: &Draws) -> Self {
        let valid_from = OffsetDateTime::from_unix_timestamp(now.0).expect("a year below 10000");
        let key = Key::random(draws);
        let mut params = ca_params(name, &key, valid_from, 0, draws);
        if signs_commands {
            params.key_usages.push(KeyUsagePurpose::DigitalSignature);
        }
        let der = params.self_signed(&key).expect("the parameters are complete").der().to_vec();
        Self { der, key }
    }

    /// The certificate in DER.
    pub fn certificate(&self) -> &[u8] {
        &self.der
    }

    /// The private key. It is nobody's secret: the anchor is for development.
    pub fn signing_key(&self) -> &SigningKey {
        &self.key.private
    }
}

fn ca_params(
    name: &str,
    key: &Key,
    valid_from: OffsetDateTime,
    path_len: u8,
    draws: &Draws,
) -> CertificateParams {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    let mut params = params(subject, valid_from, draws);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_len));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    // RFC 7093, 2, method 1.
    let key_id = sha256(&[key.public.0.point()])[..20].to_vec();
    params.key_identifier_method = KeyIdMethod::PreSpecified(key_id);
    params
}

fn params(
    subject: DistinguishedName,
    valid_from: OffsetDateTime,
    draws: &Draws,
) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject;
    params.not_before = valid_from;
    params.not_after = valid_from + VALIDITY;
    params.use_authority_key_identifier_extension = true;
    // Positive, and without a leading zero (RFC 5280, 4.1.2.2).
    let mut serial = draws.next().draw()[..16].to_vec();
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params
}

struct Point(PublicKey);

impl PublicKeyData for Point {
    fn der_bytes(&self) -> &[u8] {
        self.0.point()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

/// Where a CA's random numbers come from, one source after the other.
struct Draws {
    seed: Option<[u8; 32]>,
    drawn: AtomicU64,
}

impl Draws {
    fn system() -> Self {
        Self { seed: None, drawn: AtomicU64::new(0) }
    }

    fn seeded(seed: [u8; 32]) -> Self {
        Self { seed: Some(seed), drawn: AtomicU64::new(0) }
    }

    fn next(&self) -> Random {
        // A source is drawn from once, or again where that was no scalar.
        Random { seed: self.seed, drawn: self.drawn.fetch_add(1 << 16, Ordering::Relaxed) }
    }
}

struct Key {
    private: SigningKey,
    public: Point,
}

impl Key {
    fn random(draws: &Draws) -> Self {
        let private = draws.next().key();
        let public = Point(public_half(&private));
        Self { private, public }
    }
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        self.public.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.public.algorithm()
    }
}

impl rcgen::SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature: Signature = self
            .private
            .sign_prehash(&sha256(&[message]))
            .map_err(|_| rcgen::Error::RemoteKeyError)?;
        Ok(signature.to_der().as_bytes().to_vec())
    }
}

impl fmt::Display for CsrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "not a certification request in DER",
            Self::Key => "the key is not on P-256",
            Self::Evidence(check) => return write!(f, "the evidence is refused: {}", check.name()),
            Self::Signature => "no proof of possession: the request is not signed by its key",
        })
    }
}

impl std::error::Error for CsrError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// `openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj /CN=x/serialNumber=42`
    const CSR: &[u8] = include_bytes!("../tests/openssl-csr.der");
    const NOW: UnixTime = UnixTime(1_795_000_000);

    #[test]
    fn issues_for_a_request_of_another_implementation() {
        let chain = ThrowAwayCa::new(NOW).issue(CSR).unwrap();
        let chain = devid_core::chain::Chain::parse(&chain).unwrap();
        let [leaf, issuing] = chain.certificates().collect::<Vec<_>>()[..] else { panic!() };
        assert_eq!(leaf.subject.common_name(), Some("x"));
        assert_eq!(leaf.subject.serial_number(), Some("42"));
        assert!(leaf.ca.is_none());
        assert!(issuing.ca.is_some());
        assert_eq!((leaf.not_before, leaf.not_after), (NOW, UnixTime(NOW.0 + 30 * 86_400)));
    }

    #[test]
    fn refuses_a_request_without_proof_of_possession() {
        let ca = ThrowAwayCa::new(NOW);
        let at = CSR.windows(2).position(|w| w == b"42").unwrap();
        let mut forged = CSR.to_vec();
        forged[at] ^= 1;
        assert_eq!(ca.issue(&forged), Err(CsrError::Signature));
    }

    #[test]
    fn refuses_a_request_cut_short_or_with_more_behind_it() {
        let ca = ThrowAwayCa::new(NOW);
        assert_eq!(ca.issue(&CSR[..CSR.len() - 1]), Err(CsrError::Malformed));
        assert_eq!(ca.issue(&[CSR, &[0]].concat()), Err(CsrError::Malformed));
    }
}
