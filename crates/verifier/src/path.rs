// SPDX-License-Identifier: Apache-2.0
//! Certificate paths: from `x5chain` to a trust anchor (RFC 5280, 6).
//!
//! webpki builds and validates the path. What it leaves out is checked here:
//! keyUsage of every certificate, the anchor's own validity, CA flag, key usage
//! and pathLenConstraint, and that the chain comes in its order with nothing
//! else in it (RFC 9360, 2).

use std::cell::Cell;

use devid_core::cose::X5Chain;
use rustls_pki_types::pem::SectionKind;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{
    EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter, VerifiedPath,
    anchor_from_trusted_cert,
};

use crate::certificate::{Certificate, DIGITAL_SIGNATURE, KEY_CERT_SIGN, PathLen};
use crate::crypto::CERTIFICATE_ALGORITHMS;
use crate::keys::file::{is_pem, pem_sections};
use crate::keys::{KeyError, PublicKey};

/// The CA certificates that a verifier trusts.
#[derive(Default)]
pub struct TrustAnchors {
    anchors: Vec<TrustAnchor<'static>>,
    /// What webpki does not keep of each.
    details: Vec<Anchor>,
}

struct Anchor {
    der: Vec<u8>,
    not_before: i64,
    not_after: i64,
    ca: Option<PathLen>,
    may_sign_certificates: bool,
}

impl TrustAnchors {
    /// Adds one DER certificate. Whether it may be an anchor shows when it is
    /// used: an expired one, or one that is no CA, fails the path.
    pub fn add(&mut self, der: &[u8]) -> Result<(), KeyError> {
        let certificate = Certificate::read(der).map_err(|_| KeyError::Certificate)?;
        let owned = CertificateDer::from(der);
        let anchor = anchor_from_trusted_cert(&owned).map_err(|_| KeyError::Certificate)?;
        self.details.push(Anchor {
            der: der.to_vec(),
            not_before: certificate.not_before.0,
            not_after: certificate.not_after.0,
            ca: certificate.ca,
            may_sign_certificates: certificate.allows(KEY_CERT_SIGN),
        });
        self.anchors.push(anchor.to_owned());
        Ok(())
    }

    /// Adds a file: PEM with any number of certificates, or one as DER.
    pub fn add_all(&mut self, file: &[u8]) -> Result<(), KeyError> {
        if !is_pem(file) {
            return self.add(file);
        }
        let mut found = false;
        for (kind, der) in pem_sections(file)? {
            if kind == SectionKind::Certificate {
                self.add(&der)?;
                found = true;
            }
        }
        if found { Ok(()) } else { Err(KeyError::Certificate) }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }

    /// The key of the chain's leaf, if a path leads from it to an anchor.
    pub(crate) fn validate(&self, chain: X5Chain<'_>, at: UnixTime) -> Result<PublicKey, String> {
        let chain: Vec<CertificateDer<'_>> = chain.map(CertificateDer::from).collect();
        let (leaf, issuers) = chain.split_first().ok_or("an empty x5chain")?;
        let end_entity = EndEntityCert::try_from(leaf).map_err(|error| describe(&error))?;

        // A path that webpki finds and we refuse; it goes on looking then.
        let refusal = Cell::new(None);
        let accept = |path: &VerifiedPath<'_>| {
            self.check(leaf, issuers, path, at).map_err(|reason| {
                refusal.set(Some(reason));
                webpki::Error::UnknownIssuer
            })
        };
        end_entity
            .verify_for_usage(
                CERTIFICATE_ALGORITHMS,
                &self.anchors,
                issuers,
                at,
                Attestation,
                None,
                Some(&accept),
            )
            .map_err(|error| refusal.get().map_or_else(|| describe(&error), str::to_owned))?;

        PublicKey::from_spki(read(leaf)?.spki).map_err(|error| format!("the leaf's key: {error}"))
    }

    fn check(
        &self,
        leaf: &[u8],
        issuers: &[CertificateDer<'_>],
        path: &VerifiedPath<'_>,
        at: UnixTime,
    ) -> Result<(), &'static str> {
        if !read(leaf)?.allows(DIGITAL_SIGNATURE) {
            return Err("the leaf's keyUsage lacks digitalSignature");
        }
        let mut unused = issuers;
        let mut used = 0;
        for certificate in path.intermediate_certificates() {
            let der = certificate.der();
            if !read(&der)?.allows(KEY_CERT_SIGN) {
                return Err("an issuer's keyUsage lacks keyCertSign");
            }
            match unused.split_first() {
                Some((next, rest)) if *next == der => unused = rest,
                _ => return Err("the x5chain is out of order"),
            }
            used += 1;
        }

        let anchor = self
            .anchors
            .iter()
            .position(|anchor| std::ptr::eq(anchor, path.anchor()))
            .and_then(|index| self.details.get(index))
            .ok_or(UNREADABLE)?;
        // The anchor itself may stand at the chain's end.
        if !matches!(unused, [] | [_]) || unused.iter().any(|last| **last != anchor.der) {
            return Err("the x5chain holds certificates that are not part of the path");
        }
        let now = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
        if now < anchor.not_before {
            return Err("the trust anchor is not yet valid");
        }
        if now > anchor.not_after {
            return Err("the trust anchor has expired");
        }
        let path_len = anchor.ca.ok_or("the trust anchor is not a CA")?;
        if path_len.is_some_and(|limit| used > limit) {
            return Err("the trust anchor's pathLenConstraint is exceeded");
        }
        if !anchor.may_sign_certificates {
            return Err("the trust anchor's keyUsage lacks keyCertSign");
        }
        Ok(())
    }
}

fn read(der: &[u8]) -> Result<Certificate<'_>, &'static str> {
    Certificate::read(der).map_err(|_| UNREADABLE)
}

const UNREADABLE: &str = "a certificate that cannot be read";

/// extKeyUsage, where present, must allow attestation: any purpose, or the TCG's
/// purpose for attestation keys.
struct Attestation;

impl ExtendedKeyUsageValidator for Attestation {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        // anyExtendedKeyUsage, tcg-kp-AIKCertificate
        const ALLOWED: [KeyPurposeId<'_>; 2] =
            [KeyPurposeId::new(&[0x55, 0x1d, 37, 0]), KeyPurposeId::new(&[0x67, 0x81, 5, 8, 3])];
        let mut restricted = false;
        for purpose in purposes {
            restricted = true;
            if ALLOWED.contains(&purpose?) {
                return Ok(());
            }
        }
        if restricted { Err(webpki::Error::ExtensionValueInvalid) } else { Ok(()) }
    }
}

fn describe(error: &webpki::Error) -> String {
    use webpki::Error;
    match error {
        Error::CertExpired { .. } => "a certificate has expired".into(),
        Error::CertNotValidYet { .. } => "a certificate is not yet valid".into(),
        Error::UnknownIssuer => "no path to a trust anchor".into(),
        Error::InvalidSignatureForPublicKey => "a certificate's signature is wrong".into(),
        Error::CaUsedAsEndEntity => "the first certificate is a CA".into(),
        Error::EndEntityUsedAsCa => "an issuer is not a CA".into(),
        Error::PathLenConstraintViolated => "a pathLenConstraint is exceeded".into(),
        Error::UnsupportedCriticalExtension => "an unknown critical extension".into(),
        Error::ExtensionValueInvalid => "an extKeyUsage without attestation".into(),
        other => format!("{other:?}"),
    }
}
