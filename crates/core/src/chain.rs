// SPDX-License-Identifier: Apache-2.0
//! Certificate chains: concatenated DER, leaf first.

use core::ops::Range;

use crate::der::Reader;
use crate::error::{Error, Refusal};
use crate::key::PublicKey;
use crate::limits::MAX_CHAIN_CERTS;
use crate::platform::Crypto;
use crate::time::UnixTime;
use crate::x509::Certificate;

/// One to [`MAX_CHAIN_CERTS`] certificates that can be read, leaf first.
/// Whether they belong together is for [`check`] to say.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a> {
    der: &'a [u8],
    len: usize,
}

/// What [`check`] and [`check_anchor`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// How many certificates there are.
    pub certificates: u8,
    /// Whether their validity periods were checked; they are if a time is given.
    pub validity_checked: bool,
}

impl<'a> Chain<'a> {
    /// Reads a chain.
    ///
    /// The errors are those of [`Certificate::parse`], with offsets into the
    /// whole chain, and [`Refusal::TooManyCertificates`].
    pub fn parse(der: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(der);
        let mut len = 0;
        while len == 0 || !reader.is_at_end() {
            if len == MAX_CHAIN_CERTS {
                return Err(Error::Refused(Refusal::TooManyCertificates));
            }
            Certificate::read(&mut reader)?;
            len += 1;
        }
        Ok(Self { der, len })
    }

    /// How many certificates there are, the leaf included.
    #[allow(clippy::len_without_is_empty, reason = "a chain is never empty")]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// The DER of one certificate; 0 is the leaf.
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        self.certificates().nth(index).map(|certificate| certificate.der)
    }

    /// Where in the chain's DER a certificate lies.
    pub(crate) fn place(&self, index: usize) -> Option<Range<usize>> {
        let mut start = 0;
        for certificate in self.certificates().take(index) {
            start += certificate.der.len();
        }
        let len = self.get(index)?.len();
        Some(start..start + len)
    }

    /// The certificates, leaf first.
    pub fn certificates(&self) -> impl Iterator<Item = Certificate<'a>> + use<'a> {
        let mut reader = Reader::new(self.der);
        core::iter::from_fn(move || Certificate::read(&mut reader).ok())
    }
}

/// Checks that a chain holds together: that every certificate is signed by
/// the next, which is a CA that may do so.
///
/// Nothing is said about whom to trust. A last certificate that is not
/// self-issued has its issuer outside of the chain, and its own signature
/// cannot be checked; a self-issued one must be signed by its own key.
///
/// - Errors of [`Chain::parse`], before any signature is looked at.
/// - [`Refusal::KeyMismatch`]: the leaf is not over `leaf_key`.
/// - [`Refusal::KeyUsage`]: the leaf may not sign, or an issuer may not sign
///   certificates.
/// - [`Refusal::NotYetValid`], [`Refusal::Expired`]: at the time `now`, for any
///   of the certificates.
/// - [`Refusal::WrongOrder`], [`Refusal::NotCa`], [`Refusal::PathLength`]
///   (RFC 5280, 6.1.4), [`Refusal::BadSignature`].
/// - Errors of the platform.
pub fn check(
    platform: &mut impl Crypto,
    chain: &[u8],
    leaf_key: Option<&PublicKey>,
    now: Option<UnixTime>,
) -> Result<Checked, Error> {
    let chain = Chain::parse(chain)?;
    // Certificates between the leaf and the issuer at hand, self-issued ones
    // not counted, as for pathLenConstraint.
    let mut intermediates = 0;
    let mut subordinate: Option<Certificate<'_>> = None;
    for certificate in chain.certificates() {
        check_validity(&certificate, now)?;
        if let Some(subordinate) = subordinate {
            refuse_unless(subordinate.issuer == certificate.subject, Refusal::WrongOrder)?;
            check_ca(&certificate, intermediates)?;
            check_signature(platform, &subordinate, &certificate.public_key)?;
            intermediates += u8::from(!certificate.is_self_issued());
        } else {
            refuse_unless(
                leaf_key.is_none_or(|key| *key == certificate.public_key),
                Refusal::KeyMismatch,
            )?;
            check_signs(&certificate)?;
        }
        subordinate = Some(certificate);
    }
    if let Some(last) = subordinate {
        check_own_signature(platform, &last)?;
    }
    Ok(Checked { certificates: chain.len() as u8, validity_checked: now.is_some() })
}

/// Checks that a certificate can be a trust anchor: one CA certificate whose
/// key may sign certificates.
///
/// A self-issued one must be signed by its own key. Another is taken as it is:
/// trust in an anchor comes from where it was written, not from its issuer.
///
/// Errors are those of [`Certificate::parse`] and of the platform, and
/// [`Refusal::NotCa`], [`Refusal::KeyUsage`], [`Refusal::NotYetValid`],
/// [`Refusal::Expired`], [`Refusal::BadSignature`].
pub fn check_anchor(
    platform: &mut impl Crypto,
    der: &[u8],
    now: Option<UnixTime>,
) -> Result<Checked, Error> {
    let certificate = Certificate::parse(der)?;
    check_validity(&certificate, now)?;
    check_ca(&certificate, 0)?;
    check_own_signature(platform, &certificate)?;
    Ok(Checked { certificates: 1, validity_checked: now.is_some() })
}

fn check_signs(certificate: &Certificate<'_>) -> Result<(), Error> {
    let signs = certificate.key_usage.is_none_or(|usage| usage.digital_signature());
    refuse_unless(signs, Refusal::KeyUsage)
}

#[inline(never)]
pub(crate) fn check_validity(
    certificate: &Certificate<'_>,
    now: Option<UnixTime>,
) -> Result<(), Error> {
    let Some(now) = now else { return Ok(()) };
    refuse_unless(certificate.not_before <= now, Refusal::NotYetValid)?;
    refuse_unless(now <= certificate.not_after, Refusal::Expired)
}

fn check_ca(certificate: &Certificate<'_>, intermediates: u8) -> Result<(), Error> {
    let ca = certificate.ca.ok_or(Error::Refused(Refusal::NotCa))?;
    let signs = certificate.key_usage.is_none_or(|usage| usage.key_cert_sign());
    refuse_unless(signs, Refusal::KeyUsage)?;
    refuse_unless(ca.path_len.is_none_or(|most| intermediates <= most), Refusal::PathLength)
}

fn check_own_signature(
    platform: &mut impl Crypto,
    certificate: &Certificate<'_>,
) -> Result<(), Error> {
    if !certificate.is_self_issued() {
        return Ok(());
    }
    check_signature(platform, certificate, &certificate.public_key)
}

fn check_signature(
    platform: &mut impl Crypto,
    certificate: &Certificate<'_>,
    key: &PublicKey,
) -> Result<(), Error> {
    let digest = platform.sha256(&[certificate.tbs])?;
    let verified = platform.verify(key, &digest, &certificate.signature)?;
    refuse_unless(verified, Refusal::BadSignature)
}

const fn refuse_unless(condition: bool, refusal: Refusal) -> Result<(), Error> {
    if condition { Ok(()) } else { Err(Error::Refused(refusal)) }
}
