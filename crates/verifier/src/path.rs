// SPDX-License-Identifier: Apache-2.0
//! Certificate paths: from `x5chain` to a trust anchor, by RFC 5280, 6. Why this
//! is done here is in `docs/adr/0010-own-path-validation.md`.

mod cache;
mod constraints;
mod name;
// The suite is signed with RSA.
#[cfg(all(test, feature = "aws-lc-rs"))]
mod pkits;
mod policy;
mod revocation;
mod search;
mod validate;

use std::ops::RangeInclusive;
use std::sync::Arc;

use devid_core::cose::X5Chain;
use rustls_pki_types::UnixTime;
use rustls_pki_types::pem::SectionKind;

use self::cache::Cache;
use self::revocation::RevocationLists;
use crate::certificate::{Certificate, RevocationList};
use crate::keys::file::{is_pem, pem_sections};
use crate::keys::{KeyError, PublicKey};

/// How many validated chains are remembered, unless said otherwise.
pub const DEFAULT_CACHED_CHAINS: usize = 4096;

/// The CA certificates that a verifier trusts, those that may help to reach one,
/// and what CAs have revoked.
///
/// Below an anchor only a leaf whose extKeyUsage names attestation keys is one.
/// Below an anchor that certifies attestation keys alone a leaf may have no
/// extKeyUsage. What issuing CAs have as extKeyUsage does not count.
///
/// Chains that led to an anchor are remembered as long as all of their
/// certificates are valid and the same CRLs count, and found again by their
/// digest.
pub struct TrustAnchors {
    anchors: Vec<Anchor>,
    /// As DER.
    intermediates: Vec<Vec<u8>>,
    revoked: RevocationLists,
    cache: Cache,
}

struct Anchor {
    der: Vec<u8>,
    /// Whether it certifies nothing but attestation keys.
    attests_alone: bool,
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
            intermediates: Vec::new(),
            revoked: RevocationLists::default(),
            cache: Cache::with_capacity(chains),
        }
    }

    /// Adds one DER certificate of a CA, which may certify other keys than
    /// attestation keys. Whether it may be an anchor shows when it is used: an
    /// expired one, or one that is no CA, fails the path.
    pub fn add(&mut self, der: &[u8]) -> Result<(), KeyError> {
        self.add_anchor(der, false)
    }

    /// Adds one DER certificate of a CA that certifies attestation keys alone. A
    /// CA that is added as one of both kinds is one that certifies other keys too.
    pub fn add_for_attestation(&mut self, der: &[u8]) -> Result<(), KeyError> {
        self.add_anchor(der, true)
    }

    /// Adds a file: PEM with any number of certificates, or one as DER.
    pub fn add_all(&mut self, file: &[u8]) -> Result<(), KeyError> {
        each_of_file(file, SectionKind::Certificate, KeyError::Certificate, |der| self.add(der))
    }

    /// As [`add_all`](Self::add_all), of CAs that certify attestation keys alone.
    pub fn add_all_for_attestation(&mut self, file: &[u8]) -> Result<(), KeyError> {
        each_of_file(file, SectionKind::Certificate, KeyError::Certificate, |der| {
            self.add_for_attestation(der)
        })
    }

    fn add_anchor(&mut self, der: &[u8], attests_alone: bool) -> Result<(), KeyError> {
        let certificate = Certificate::read(der).map_err(|_| KeyError::Certificate)?;
        self.anchors.push(Anchor { der: certificate.der.to_vec(), attests_alone });
        self.cache.clear();
        Ok(())
    }

    /// Adds a file of certificates that are not trusted: those of issuing CAs,
    /// where devices leave them out of their `x5chain`. Each counts only as a link
    /// of a path to an anchor.
    pub fn add_intermediates(&mut self, file: &[u8]) -> Result<(), KeyError> {
        each_of_file(file, SectionKind::Certificate, KeyError::Certificate, |der| {
            let certificate = Certificate::read(der).map_err(|_| KeyError::Certificate)?;
            self.intermediates.push(certificate.der.to_vec());
            self.cache.clear();
            Ok(())
        })
    }

    /// Adds a file of CRLs (RFC 5280, 5): PEM with any number, or one as DER.
    ///
    /// A CRL concerns the certificates that its key issued under its name. The
    /// newest of those that are current counts, in whatever order they are added;
    /// a certificate that it lists fails the path. So does a certificate whose
    /// issuer has CRLs here of which none is current.
    pub fn add_crls(&mut self, file: &[u8]) -> Result<(), KeyError> {
        each_of_file(file, SectionKind::Crl, KeyError::Crl, |der| {
            self.revoked.add(RevocationList::read(der).map_err(|_| KeyError::Crl)?);
            self.cache.clear();
            Ok(())
        })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }

    /// The keys of all certificates, on the curves that tokens are signed on.
    pub fn public_keys(&self) -> impl Iterator<Item = PublicKey> {
        let anchors = self.anchors.iter().map(|anchor| &anchor.der);
        let certificates = anchors.chain(&self.intermediates);
        certificates.filter_map(|der| PublicKey::from_certificate(der).ok())
    }

    /// The path from the chain's leaf to an anchor, if there is one.
    pub(crate) fn validate(&self, chain: X5Chain<'_>, at: UnixTime) -> Result<ValidPath, String> {
        let now = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
        let digest = self.cache.digest(chain);
        if let Some(path) = digest.and_then(|digest| self.cache.get(&digest, now)) {
            return Ok(path);
        }
        let chain = chain.map(Certificate::read).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|_| "a certificate that cannot be read")?;
        let leaf = chain.first().ok_or("an empty x5chain")?;
        let found = search::find(self, &chain, now)?;
        let leaf =
            PublicKey::from_spki(leaf.spki).map_err(|error| format!("the leaf's key: {error}"))?;
        let path =
            ValidPath { leaf: Arc::new(leaf), validity: found.validity, detail: found.detail };
        if let Some(digest) = digest {
            self.cache.put(digest, path.clone());
        }
        Ok(path)
    }
}

/// Takes what a file holds of a kind: PEM with any number, or one as DER. A file
/// with none is an error.
fn each_of_file(
    file: &[u8],
    wanted: SectionKind,
    none: KeyError,
    mut take: impl FnMut(&[u8]) -> Result<(), KeyError>,
) -> Result<(), KeyError> {
    if !is_pem(file) {
        return take(file);
    }
    let mut found = false;
    for (kind, der) in pem_sections(file)? {
        if kind == wanted {
            take(&der)?;
            found = true;
        }
    }
    if found { Ok(()) } else { Err(none) }
}
