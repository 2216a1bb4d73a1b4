// SPDX-License-Identifier: Apache-2.0
//! Certificates and CRLs (RFC 5280, 4 and 5), read in place. Nothing here says
//! whether they are to be believed.

use std::collections::HashSet;

use devid_core::time::UnixTime;

use crate::crypto::{self, NotSigned};
use crate::der::{Malformed, Reader, constructed, count, primitive, tag};
use crate::purpose::Purpose;

/// A certificate.
#[derive(Clone, Debug)]
pub(crate) struct Certificate<'a> {
    pub(crate) der: &'a [u8],
    signed: Signed<'a>,
    pub(crate) is_version_3: bool,
    /// The contents of serialNumber.
    pub(crate) serial: &'a [u8],
    /// The issuer's Name, whole.
    pub(crate) issuer: &'a [u8],
    pub(crate) not_before: UnixTime,
    pub(crate) not_after: UnixTime,
    /// The subject's Name, whole.
    pub(crate) subject: &'a [u8],
    /// The SubjectPublicKeyInfo, whole.
    pub(crate) spki: &'a [u8],
    extensions: Extensions<'a>,
    /// basicConstraints with cA TRUE, and its pathLenConstraint.
    pub(crate) ca: Option<PathLen>,
    /// keyUsage: bit 0 is the most significant.
    key_usage: Option<u8>,
}

/// A complete CRL, of all certificates of its issuer or of those in its scope.
#[derive(Debug)]
pub(crate) struct RevocationList {
    der: Vec<u8>,
    /// The issuer's Name, whole.
    pub(crate) issuer: Vec<u8>,
    pub(crate) this_update: UnixTime,
    pub(crate) next_update: UnixTime,
    /// The contents of cRLNumber, if there is one.
    number: Vec<u8>,
    pub(crate) scope: Scope,
    /// The contents of every serialNumber listed.
    serials: HashSet<Box<[u8]>>,
}

/// Which of its issuer's certificates a CRL is about (RFC 5280, 5.2.5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    /// The contents of distributionPoint, a DistributionPointName.
    pub(crate) distribution_point: Option<Vec<u8>>,
    pub(crate) only_user_certificates: bool,
    pub(crate) only_ca_certificates: bool,
}

/// A pathLenConstraint; `None` for no limit.
pub(crate) type PathLen = Option<u64>;

/// Extensions by the last octet of their object identifier, 2.5.29.n.
pub(crate) mod extension {
    pub(crate) const KEY_USAGE: u8 = 15;
    pub(crate) const SUBJECT_ALT_NAME: u8 = 17;
    pub(crate) const BASIC_CONSTRAINTS: u8 = 19;
    pub(super) const CRL_NUMBER: u8 = 20;
    pub(super) const DELTA_CRL_INDICATOR: u8 = 27;
    pub(super) const ISSUING_DISTRIBUTION_POINT: u8 = 28;
    pub(crate) const NAME_CONSTRAINTS: u8 = 30;
    pub(crate) const CRL_DISTRIBUTION_POINTS: u8 = 31;
    pub(crate) const CERTIFICATE_POLICIES: u8 = 32;
    pub(crate) const POLICY_MAPPINGS: u8 = 33;
    pub(crate) const POLICY_CONSTRAINTS: u8 = 36;
    pub(crate) const EXTENDED_KEY_USAGE: u8 = 37;
    pub(crate) const INHIBIT_ANY_POLICY: u8 = 54;

    /// Those that are looked at where path validation asks for them.
    pub(super) const OF_CERTIFICATES: [u8; 10] = [
        KEY_USAGE,
        SUBJECT_ALT_NAME,
        BASIC_CONSTRAINTS,
        NAME_CONSTRAINTS,
        CRL_DISTRIBUTION_POINTS,
        CERTIFICATE_POLICIES,
        POLICY_MAPPINGS,
        POLICY_CONSTRAINTS,
        EXTENDED_KEY_USAGE,
        INHIBIT_ANY_POLICY,
    ];
}

/// keyUsage bit 0, digitalSignature.
pub(crate) const DIGITAL_SIGNATURE: u8 = 0x80;
/// keyUsage bit 5, keyCertSign.
pub(crate) const KEY_CERT_SIGN: u8 = 0x04;
/// keyUsage bit 6, cRLSign.
pub(crate) const CRL_SIGN: u8 = 0x02;

/// 2.23.133.8.3, tcg-kp-AIKCertificate: TCG attestation identity key.
const TCG_KP_AIK_CERTIFICATE: [u8; 5] = [0x67, 0x81, 0x05, 0x08, 0x03];

const VERSION_3: [u8; 1] = [2];
const VERSION_2: [u8; 1] = [1];

impl<'a> Certificate<'a> {
    /// Reads the certificate that fills `der`.
    pub(crate) fn read(der: &'a [u8]) -> Result<Self, Malformed> {
        let (signed, mut tbs) = Signed::read(der)?;
        let is_version_3 = match tbs.optional(constructed(0))?.map(Reader::new) {
            None => false,
            Some(mut version) => {
                let number = version.contents(tag::INTEGER)?;
                version.finish()?;
                number == VERSION_3
            }
        };
        let serial = tbs.contents(tag::INTEGER)?;
        signed.check_algorithm(&mut tbs)?;
        let issuer = tbs.whole(tag::SEQUENCE)?;
        let mut validity = tbs.within(tag::SEQUENCE)?;
        let (not_before, not_after) = (time(&mut validity)?, time(&mut validity)?);
        validity.finish()?;
        let subject = tbs.whole(tag::SEQUENCE)?;
        let spki = tbs.whole(tag::SEQUENCE)?;
        for unique_id in [1, 2] {
            tbs.optional(primitive(unique_id))?;
        }
        let extensions = Extensions::read(tbs.optional(constructed(3))?)?;
        tbs.finish()?;
        Ok(Self {
            der,
            signed,
            is_version_3,
            serial,
            issuer,
            not_before,
            not_after,
            subject,
            spki,
            ca: extensions.get(extension::BASIC_CONSTRAINTS).map(ca).transpose()?.flatten(),
            key_usage: extensions.get(extension::KEY_USAGE).map(key_usage).transpose()?,
            extensions,
        })
    }

    /// Whether keyUsage, where present, allows that.
    pub(crate) fn allows(&self, usage: u8) -> bool {
        self.key_usage.is_none_or(|bits| bits & usage != 0)
    }

    /// What extKeyUsage, where present, says that the key is for.
    pub(crate) fn purpose(&self) -> Result<Option<Purpose>, Malformed> {
        let Some(value) = self.extension(extension::EXTENDED_KEY_USAGE) else { return Ok(None) };
        let mut purposes = Reader::sequence(value)?;
        let mut purpose = Purpose::Identity;
        loop {
            if purposes.contents(tag::OBJECT_IDENTIFIER)? == TCG_KP_AIK_CERTIFICATE {
                purpose = Purpose::Attestation;
            }
            if purposes.is_at_end() {
                return Ok(Some(purpose));
            }
        }
    }

    /// Whether that key signed it.
    pub(crate) fn is_signed_by(&self, spki: &[u8]) -> Result<(), NotSigned> {
        self.signed.by(spki)
    }

    /// An extension's value, by the last octet of its object identifier.
    pub(crate) fn extension(&self, id: u8) -> Option<&'a [u8]> {
        self.extensions.get(id)
    }

    /// Whether that extension is there, and critical.
    pub(crate) fn is_critical(&self, id: u8) -> bool {
        self.extensions.0.iter().any(|known| known.is(id) && known.is_critical)
    }

    /// Whether it has a critical extension that path validation does not look at.
    pub(crate) fn has_unknown_critical_extension(&self) -> bool {
        self.extensions.has_unknown_critical(&extension::OF_CERTIFICATES)
    }
}

impl RevocationList {
    /// Reads the CRL that fills `der`.
    ///
    /// Refuses one that does not say when the next one comes, that is only a part
    /// (a delta, or for some reasons), or that speaks of the certificates of
    /// others.
    pub(crate) fn read(der: &[u8]) -> Result<Self, Malformed> {
        let (signed, mut tbs) = Signed::read(der)?;
        if tbs.contents(tag::INTEGER)? != VERSION_2 {
            return Err(Malformed);
        }
        signed.check_algorithm(&mut tbs)?;
        let issuer = tbs.whole(tag::SEQUENCE)?.to_vec();
        let (this_update, next_update) = (time(&mut tbs)?, time(&mut tbs)?);
        let mut serials = HashSet::new();
        let mut revoked = Reader::new(tbs.optional(tag::SEQUENCE)?.unwrap_or_default());
        while !revoked.is_at_end() {
            let mut entry = revoked.within(tag::SEQUENCE)?;
            serials.insert(entry.contents(tag::INTEGER)?.into());
            time(&mut entry)?; // revocationDate
            // A critical extension names another issuer, or nothing that is known.
            if !entry.is_at_end() && Extensions::read_list(&mut entry)?.has_unknown_critical(&[]) {
                return Err(Malformed);
            }
            entry.finish()?;
        }
        let extensions = Extensions::read(tbs.optional(constructed(0))?)?;
        tbs.finish()?;
        if extensions.get(extension::DELTA_CRL_INDICATOR).is_some()
            || extensions.has_unknown_critical(&[extension::ISSUING_DISTRIBUTION_POINT])
        {
            return Err(Malformed);
        }
        let number = extensions.get(extension::CRL_NUMBER).map(crl_number).transpose()?;
        let scope = extensions.get(extension::ISSUING_DISTRIBUTION_POINT).map(Scope::read);
        Ok(Self {
            der: der.to_vec(),
            issuer,
            this_update,
            next_update,
            number: number.unwrap_or_default().to_vec(),
            scope: scope.transpose()?.unwrap_or_default(),
            serials,
        })
    }

    /// Whether that key signed it.
    pub(crate) fn is_signed_by(&self, spki: &[u8]) -> bool {
        Signed::read(&self.der).is_ok_and(|(signed, _)| signed.by(spki).is_ok())
    }

    /// Whether it lists the certificate of that serial number.
    pub(crate) fn lists(&self, serial: &[u8]) -> bool {
        self.serials.contains(serial)
    }

    /// What the newest of an issuer's CRLs has most of.
    pub(crate) fn age(&self) -> impl Ord + '_ {
        (self.this_update, self.number.len(), &self.number)
    }
}

impl Scope {
    fn read(value: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Reader::sequence(value)?;
        let distribution_point = fields.optional(constructed(0))?.map(<[u8]>::to_vec);
        let only_user_certificates = fields.default_false(primitive(1))?;
        let only_ca_certificates = fields.default_false(primitive(2))?;
        let only_some_reasons = fields.optional(primitive(3))?.is_some();
        let is_indirect = fields.default_false(primitive(4))?;
        let only_attribute_certificates = fields.default_false(primitive(5))?;
        fields.finish()?;
        if only_some_reasons
            || is_indirect
            || only_attribute_certificates
            || only_user_certificates && only_ca_certificates
        {
            return Err(Malformed);
        }
        Ok(Self { distribution_point, only_user_certificates, only_ca_certificates })
    }
}

/// What both have around their content.
#[derive(Clone, Copy, Debug)]
struct Signed<'a> {
    content: &'a [u8],
    /// The contents of signatureAlgorithm.
    algorithm: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Signed<'a> {
    /// Reads it, and returns a reader for the content's fields.
    fn read(der: &'a [u8]) -> Result<(Self, Reader<'a>), Malformed> {
        let mut fields = Reader::sequence(der)?;
        let content = fields.whole(tag::SEQUENCE)?;
        let algorithm = fields.contents(tag::SEQUENCE)?;
        let signature = fields.octet_bits()?;
        fields.finish()?;
        Ok((Self { content, algorithm, signature }, Reader::sequence(content)?))
    }

    /// The algorithm stands within the content as well.
    fn check_algorithm(&self, tbs: &mut Reader<'a>) -> Result<(), Malformed> {
        if tbs.contents(tag::SEQUENCE)? == self.algorithm { Ok(()) } else { Err(Malformed) }
    }

    fn by(&self, spki: &[u8]) -> Result<(), NotSigned> {
        crypto::check_signed(spki, self.algorithm, self.content, self.signature)
    }
}

#[derive(Clone, Debug)]
struct Extensions<'a>(Vec<Extension<'a>>);

#[derive(Clone, Copy, Debug)]
struct Extension<'a> {
    /// The contents of its object identifier.
    id: &'a [u8],
    is_critical: bool,
    value: &'a [u8],
}

impl<'a> Extensions<'a> {
    /// Reads those under an explicit tag, if it is there.
    fn read(explicit: Option<&'a [u8]>) -> Result<Self, Malformed> {
        let Some(explicit) = explicit else { return Ok(Self(Vec::new())) };
        let mut explicit = Reader::new(explicit);
        let read = Self::read_list(&mut explicit)?;
        explicit.finish()?;
        Ok(read)
    }

    fn read_list(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let mut list = reader.within(tag::SEQUENCE)?;
        let mut read = Self(Vec::new());
        while !list.is_at_end() {
            let mut fields = list.within(tag::SEQUENCE)?;
            let id = fields.contents(tag::OBJECT_IDENTIFIER)?;
            let is_critical = fields.default_false(tag::BOOLEAN)?;
            let value = fields.contents(tag::OCTET_STRING)?;
            fields.finish()?;
            if read.0.iter().any(|known| known.id == id) || read.0.len() == MAX_EXTENSIONS {
                return Err(Malformed);
            }
            read.0.push(Extension { id, is_critical, value });
        }
        Ok(read)
    }

    fn get(&self, id: u8) -> Option<&'a [u8]> {
        self.0.iter().find(|known| known.is(id)).map(|known| known.value)
    }

    fn has_unknown_critical(&self, known: &[u8]) -> bool {
        self.0
            .iter()
            .any(|extension| extension.is_critical && !known.iter().any(|&id| extension.is(id)))
    }
}

/// Most extensions of a certificate, a CRL or an entry.
const MAX_EXTENSIONS: usize = 64;

impl Extension<'_> {
    fn is(&self, id: u8) -> bool {
        *self.id == [0x55, 0x1d, id]
    }
}

fn ca(basic_constraints: &[u8]) -> Result<Option<PathLen>, Malformed> {
    let mut fields = Reader::sequence(basic_constraints)?;
    let is_ca = fields.default_false(tag::BOOLEAN)?;
    let path_len = fields.optional(tag::INTEGER)?.map(count).transpose()?;
    fields.finish()?;
    Ok(is_ca.then_some(path_len))
}

fn key_usage(value: &[u8]) -> Result<u8, Malformed> {
    let mut reader = Reader::new(value);
    let bits = reader.contents(tag::BIT_STRING)?;
    reader.finish()?;
    match *bits {
        // The first octet counts unused bits.
        [0..=7, first, ..] => Ok(first),
        [0] => Ok(0),
        _ => Err(Malformed),
    }
}

/// Minimal, so that the longer of two numbers is the greater.
fn crl_number(value: &[u8]) -> Result<&[u8], Malformed> {
    let mut reader = Reader::new(value);
    let number = reader.contents(tag::INTEGER)?;
    reader.finish()?;
    count(number)?;
    Ok(number)
}

fn time(reader: &mut Reader<'_>) -> Result<UnixTime, Malformed> {
    let element = reader.any()?;
    match element.tag {
        tag::UTC_TIME => UnixTime::from_utc_time(element.contents),
        tag::GENERALIZED_TIME => UnixTime::from_generalized_time(element.contents),
        _ => None,
    }
    .ok_or(Malformed)
}
