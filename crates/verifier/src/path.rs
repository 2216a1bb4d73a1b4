// SPDX-License-Identifier: Apache-2.0
//! Certificate paths: from `x5chain` to a trust anchor (RFC 5280, 6).
//!
//! webpki builds and validates the path. What it leaves out is checked here:
//! keyUsage of every certificate, the anchor's own validity, CA flag, key usage
//! and pathLenConstraint, and that the chain comes in its order with nothing
//! else in it (RFC 9360, 2).

mod cache;

use std::cell::Cell;
use std::ops::RangeInclusive;
use std::sync::Arc;

use devid_core::cose::X5Chain;
use rustls_pki_types::pem::SectionKind;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, ExtendedKeyUsageValidator, KeyPurposeId,
    KeyPurposeIdIter, OwnedCertRevocationList, RevocationOptionsBuilder, UnknownStatusPolicy,
    VerifiedPath, anchor_from_trusted_cert,
};

use self::cache::Cache;
use crate::certificate::{Certificate, DIGITAL_SIGNATURE, KEY_CERT_SIGN, PathLen, RevocationList};
use crate::crypto::CERTIFICATE_ALGORITHMS;
use crate::keys::file::{is_pem, pem_sections};
use crate::keys::{KeyError, PublicKey};

/// How many validated chains are remembered, unless said otherwise.
pub const DEFAULT_CACHED_CHAINS: usize = 4096;

/// The CA certificates that a verifier trusts, and what they have revoked.
///
/// Chains that led to an anchor are remembered as long as all of their
/// certificates are valid and the CRLs current, and found again by their digest.
pub struct TrustAnchors {
    anchors: Vec<TrustAnchor<'static>>,
    /// What webpki does not keep of each.
    details: Vec<Anchor>,
    revoked: Vec<CertRevocationList<'static>>,
    /// What webpki does not tell of each.
    scopes: Vec<Scope>,
    cache: Cache,
}

/// A path that was found.
#[derive(Clone)]
pub(crate) struct ValidPath {
    /// The leaf's key.
    pub(crate) leaf: Arc<PublicKey>,
    /// The times at which the path is valid, in seconds since 1970.
    validity: RangeInclusive<i64>,
    /// What there is to say about it.
    pub(crate) detail: &'static str,
}

struct Anchor {
    der: Vec<u8>,
    not_before: i64,
    not_after: i64,
    ca: Option<PathLen>,
    may_sign_certificates: bool,
}

/// Whose certificates a CRL is about, and when.
struct Scope {
    issuer: Vec<u8>,
    this_update: i64,
    next_update: i64,
}

impl Default for TrustAnchors {
    fn default() -> Self {
        Self::with_cached_chains(DEFAULT_CACHED_CHAINS)
    }
}

impl TrustAnchors {
    /// No anchors yet; remembers so many chains at most, 0 for none.
    pub fn with_cached_chains(chains: usize) -> Self {
        Self {
            anchors: Vec::new(),
            details: Vec::new(),
            revoked: Vec::new(),
            scopes: Vec::new(),
            cache: Cache::with_capacity(chains),
        }
    }

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
        self.cache.clear();
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

    /// Adds a file of CRLs (RFC 5280, 5): PEM with any number, or one as DER.
    ///
    /// A certificate of a path that a CRL of its issuer lists fails the path, and
    /// so does a CRL that has expired or is not signed by the issuer.
    pub fn add_crls(&mut self, file: &[u8]) -> Result<(), KeyError> {
        if !is_pem(file) {
            return self.add_crl(file);
        }
        let mut found = false;
        for (kind, der) in pem_sections(file)? {
            if kind == SectionKind::Crl {
                self.add_crl(&der)?;
                found = true;
            }
        }
        if found { Ok(()) } else { Err(KeyError::Crl) }
    }

    fn add_crl(&mut self, der: &[u8]) -> Result<(), KeyError> {
        let read = RevocationList::read(der).map_err(|_| KeyError::Crl)?;
        let list = OwnedCertRevocationList::from_der(der).map_err(|_| KeyError::Crl)?;
        self.scopes.push(Scope {
            issuer: read.issuer.to_vec(),
            this_update: read.this_update.0,
            next_update: read.next_update.0,
        });
        self.revoked.push(list.into());
        self.cache.clear();
        Ok(())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }

    /// The path from the chain's leaf to an anchor, if there is one.
    pub(crate) fn validate(&self, chain: X5Chain<'_>, at: UnixTime) -> Result<ValidPath, String> {
        let digest = self.cache.digest(chain);
        let known = digest.and_then(|digest| self.cache.get(&digest, seconds(at)));
        if let Some(path) = known {
            return Ok(path);
        }
        let path = self.find_path(chain, at)?;
        if let Some(digest) = digest {
            self.cache.put(digest, path.clone());
        }
        Ok(path)
    }

    fn find_path(&self, chain: X5Chain<'_>, at: UnixTime) -> Result<ValidPath, String> {
        let chain: Vec<CertificateDer<'_>> = chain.map(CertificateDer::from).collect();
        let (leaf, issuers) = chain.split_first().ok_or("an empty x5chain")?;
        let end_entity = EndEntityCert::try_from(leaf).map_err(|error| describe(&error))?;
        let revoked: Vec<_> = self.revoked.iter().collect();
        let revocation = RevocationOptionsBuilder::new(&revoked).ok().map(|options| {
            // Not every issuer's CRL need be at hand; what is not covered is said.
            let options = options.with_status_policy(UnknownStatusPolicy::Allow);
            options.with_expiration_policy(ExpirationPolicy::Enforce).build()
        });

        // A path that webpki finds may be refused here; it goes on looking then.
        let refusal = Cell::new(None);
        let found = Cell::new(None);
        let accept = |path: &VerifiedPath<'_>| match self.check(leaf, issuers, path, at) {
            Ok(accepted) => {
                found.set(Some(accepted));
                Ok(())
            }
            Err(reason) => {
                refusal.set(Some(reason));
                Err(webpki::Error::UnknownIssuer)
            }
        };
        end_entity
            .verify_for_usage(
                CERTIFICATE_ALGORITHMS,
                &self.anchors,
                issuers,
                at,
                Attestation,
                revocation,
                Some(&accept),
            )
            .map_err(|error| refusal.get().map_or_else(|| describe(&error), str::to_owned))?;

        let (validity, detail) = found.take().ok_or(UNREADABLE)?;
        let leaf = PublicKey::from_spki(read(leaf)?.spki)
            .map_err(|error| format!("the leaf's key: {error}"))?;
        Ok(ValidPath { leaf: Arc::new(leaf), validity, detail })
    }

    /// What webpki leaves out. Says when the path is valid, and what was not
    /// checked.
    fn check(
        &self,
        leaf: &[u8],
        issuers: &[CertificateDer<'_>],
        path: &VerifiedPath<'_>,
        at: UnixTime,
    ) -> Result<(RangeInclusive<i64>, &'static str), &'static str> {
        let end_entity = read(leaf)?;
        if !end_entity.allows(DIGITAL_SIGNATURE) {
            return Err("the leaf's keyUsage lacks digitalSignature");
        }
        let mut validity = Validity::of(&end_entity);
        let mut is_covered = self.is_covered(&end_entity);
        let mut unused = issuers;
        let mut used = 0;
        for certificate in path.intermediate_certificates() {
            let der = certificate.der();
            let issuer = read(&der)?;
            if !issuer.allows(KEY_CERT_SIGN) {
                return Err("an issuer's keyUsage lacks keyCertSign");
            }
            match unused.split_first() {
                Some((next, rest)) if *next == der => unused = rest,
                _ => return Err("the x5chain is out of order"),
            }
            validity.narrow(issuer.not_before.0, issuer.not_after.0);
            is_covered &= self.is_covered(&issuer);
            used += 1;
        }

        let anchor = self
            .anchors
            .iter()
            .position(|anchor| std::ptr::eq(anchor, path.anchor()))
            .and_then(|index| self.details.get(index))
            .ok_or(UNREADABLE)?;
        // The anchor itself may stand at the chain's end, and nowhere else.
        let is_anchor = |der: &CertificateDer<'_>| **der == *anchor.der;
        if !matches!(unused, [] | [_])
            || !unused.iter().all(is_anchor)
            || issuers.iter().take(used).any(is_anchor)
        {
            return Err("the x5chain holds certificates that are not part of the path");
        }
        let now = seconds(at);
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
        validity.narrow(anchor.not_before, anchor.not_after);
        for crl in &self.scopes {
            if now < crl.this_update {
                return Err("a CRL is not yet valid");
            }
            validity.narrow(crl.this_update, crl.next_update.saturating_sub(1));
        }
        let detail = match self.scopes.is_empty() || is_covered {
            true => "",
            false => "not every certificate's issuer has a CRL here",
        };
        Ok((validity.0, detail))
    }

    fn is_covered(&self, certificate: &Certificate<'_>) -> bool {
        self.scopes.iter().any(|crl| crl.issuer == certificate.issuer)
    }
}

/// When something is valid, in seconds since 1970.
struct Validity(RangeInclusive<i64>);

impl Validity {
    fn of(certificate: &Certificate<'_>) -> Self {
        Self(certificate.not_before.0..=certificate.not_after.0)
    }

    fn narrow(&mut self, first: i64, last: i64) {
        self.0 = first.max(*self.0.start())..=last.min(*self.0.end());
    }
}

fn seconds(at: UnixTime) -> i64 {
    i64::try_from(at.as_secs()).unwrap_or(i64::MAX)
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
        Error::CertRevoked => "a certificate is revoked".into(),
        Error::CrlExpired { .. } => "a CRL has expired".into(),
        Error::InvalidCrlSignatureForPublicKey => "a CRL's signature is wrong".into(),
        Error::IssuerNotCrlSigner => "a CRL's issuer may not sign CRLs".into(),
        Error::UnsupportedCriticalExtension => "an unknown critical extension".into(),
        Error::ExtensionValueInvalid => "an extKeyUsage without attestation".into(),
        other => format!("{other:?}"),
    }
}
