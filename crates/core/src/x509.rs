// SPDX-License-Identifier: Apache-2.0
//! X.509 v3 certificates (RFC 5280) of P-256 keys, signed by P-256 keys with
//! ECDSA and SHA-256.

use crate::der::{Element, Reader, tag};
use crate::error::{Error, Refusal};
use crate::key::{PublicKey, Signature};
use crate::limits::MAX_CERT_LEN;
use crate::time::UnixTime;

/// `AlgorithmIdentifier { ecdsa-with-SHA256 }`: no parameters (RFC 5758, 3.2).
pub(crate) const ECDSA_WITH_SHA256: [u8; 12] =
    [0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

/// Attribute types of names (X.520, 6.2): 2.5.4.n.
pub(crate) mod attribute {
    pub(crate) const COMMON_NAME: [u8; 3] = [0x55, 0x04, 3];
    pub(crate) const SERIAL_NUMBER: [u8; 3] = [0x55, 0x04, 5];
    pub(crate) const ORGANIZATION: [u8; 3] = [0x55, 0x04, 10];
}

/// A certificate that was read, borrowed from its DER.
///
/// What this type says is what the certificate says; nothing in it has been
/// checked against a key or a time. [`crate::chain::check`] does that.
///
/// Of the extensions, basicConstraints and keyUsage are read. extKeyUsage and
/// subjectAltName may be critical: they limit a purpose or give further names,
/// and neither is used here. Whoever uses the certificate for a purpose (a TLS
/// stack, a verifier) has to look at them. Any other extension must not be
/// critical, and none may come twice.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Certificate<'a> {
    /// All of the certificate.
    pub der: &'a [u8],
    /// The TBSCertificate: what the signature is over.
    pub tbs: &'a [u8],
    /// The serial number, big-endian: 1 to 20 bytes, no leading zeros.
    pub serial: &'a [u8],
    /// The issuer.
    pub issuer: Name<'a>,
    /// First second of the validity period.
    pub not_before: UnixTime,
    /// Last second of the validity period.
    pub not_after: UnixTime,
    /// The subject.
    pub subject: Name<'a>,
    /// The subject's key.
    pub public_key: PublicKey,
    /// basicConstraints with cA TRUE, where present.
    pub ca: Option<Ca>,
    /// keyUsage, where present.
    pub key_usage: Option<KeyUsage>,
    /// The issuer's signature over [`Certificate::tbs`].
    pub signature: Signature,
}

/// What basicConstraints says of a CA (RFC 5280, 4.2.1.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ca {
    /// Most intermediate certificates between this one and the leaf, where
    /// limited; 255 stands for any greater number.
    pub path_len: Option<u8>,
}

/// The first eight bits of keyUsage (RFC 5280, 4.2.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUsage(u8);

/// A distinguished name. Two are equal if their DER is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a> {
    der: &'a [u8],
}

impl<'a> Certificate<'a> {
    /// Reads the one certificate that `der` is.
    ///
    /// - [`Error::Malformed`]: not strict DER, not a certificate, a negative
    ///   or overlong serial number, an extension twice, bytes left over.
    /// - [`Error::TooLarge`]: longer than [`MAX_CERT_LEN`].
    /// - [`Error::Refused`]: [`Refusal::Version`], [`Refusal::Algorithm`] (of
    ///   the key, or of one of the two signature algorithm fields), or
    ///   [`Refusal::CriticalExtension`].
    pub fn parse(der: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(der);
        let certificate = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(certificate)
    }

    /// Reads the certificate that comes next, with the errors of
    /// [`Certificate::parse`]. What follows it stays in the reader.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, Error> {
        let certificate = reader.element(tag::SEQUENCE)?;
        if certificate.der.len() > MAX_CERT_LEN {
            return Err(Error::TooLarge { limit: MAX_CERT_LEN as u32 });
        }
        let mut fields = certificate.value;
        let tbs = fields.element(tag::SEQUENCE)?;
        ecdsa_with_sha256(&mut fields)?;
        let signature = signature(&mut fields)?;
        fields.finish()?;

        let mut fields = tbs.value;
        version_3(&mut fields)?;
        let serial = fields.unsigned(20)?;
        ecdsa_with_sha256(&mut fields)?;
        let issuer = Name::read(&mut fields)?;
        let mut validity = fields.contents(tag::SEQUENCE)?;
        let not_before = time(&mut validity)?;
        let not_after = time(&mut validity)?;
        validity.finish()?;
        let subject = Name::read(&mut fields)?;
        let spki = fields.element(tag::SEQUENCE)?.der;
        let public_key = PublicKey::from_spki(spki).map_err(|_| ALGORITHM)?;
        let extensions = Extensions::read(&mut fields)?;
        fields.finish()?;

        Ok(Self {
            der: certificate.der,
            tbs: tbs.der,
            serial,
            issuer,
            not_before,
            not_after,
            subject,
            public_key,
            ca: extensions.ca,
            key_usage: extensions.key_usage,
            signature,
        })
    }

    /// Whether issuer and subject are the same, as in a root.
    pub fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }
}

impl KeyUsage {
    /// Whether the key may sign anything but certificates and CRLs.
    pub const fn digital_signature(self) -> bool {
        self.0 & 0x80 != 0
    }

    /// Whether the key may sign certificates.
    pub const fn key_cert_sign(self) -> bool {
        self.0 & 0x04 != 0
    }

    /// Reads the contents of the extension: a named bit list, so without
    /// trailing zero bits, and with at least one bit set.
    fn read(mut extension: Reader<'_>) -> Result<Self, Error> {
        let value = extension.contents(tag::BIT_STRING)?;
        extension.finish()?;
        match *value.bytes() {
            [unused, first @ 1..=0xff] if u32::from(unused) == first.trailing_zeros() => {
                Ok(Self(first))
            }
            // decipherOnly is the ninth bit.
            [7, first, 0x80] => Ok(Self(first)),
            _ => Err(value.malformed()),
        }
    }
}

impl Ca {
    /// Reads the contents of the extension.
    fn read(mut extension: Reader<'_>) -> Result<Option<Self>, Error> {
        let mut fields = extension.contents(tag::SEQUENCE)?;
        extension.finish()?;
        let ca = fields.default_false()?;
        let path_len = match fields.bytes() {
            [_, ..] if ca => match *fields.unsigned(4)? {
                [number] => Some(number),
                _ => Some(u8::MAX),
            },
            _ => None,
        };
        fields.finish()?;
        Ok(ca.then_some(Self { path_len }))
    }
}

impl<'a> Name<'a> {
    /// The Name, a DER SEQUENCE.
    pub const fn der(&self) -> &'a [u8] {
        self.der
    }

    /// The first commonName, where it is a UTF8String or a PrintableString.
    /// It is whatever the issuer put there: escape it before printing.
    pub fn common_name(&self) -> Option<&'a str> {
        self.find(attribute::COMMON_NAME)
    }

    /// The first serialNumber attribute, under the same conditions.
    pub fn serial_number(&self) -> Option<&'a str> {
        self.find(attribute::SERIAL_NUMBER)
    }

    /// The first organizationName, under the same conditions.
    pub fn organization(&self) -> Option<&'a str> {
        self.find(attribute::ORGANIZATION)
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, Error> {
        let name = reader.element(tag::SEQUENCE)?;
        let mut attributes = Attributes::new(name.value);
        while attributes.next()?.is_some() {}
        Ok(Self { der: name.der })
    }

    fn find(&self, attribute: [u8; 3]) -> Option<&'a str> {
        let mut attributes = Attributes::new(Reader::new(self.der).contents(tag::SEQUENCE).ok()?);
        while let Some((found, value)) = attributes.next().ok()? {
            if found == attribute {
                return match value.tag {
                    tag::UTF8_STRING | tag::PRINTABLE_STRING => {
                        core::str::from_utf8(value.value.bytes()).ok()
                    }
                    _ => None,
                };
            }
        }
        None
    }
}

/// A name's attributes, whichever RelativeDistinguishedName they are in.
struct Attributes<'a> {
    names: Reader<'a>,
    name: Reader<'a>,
}

impl<'a> Attributes<'a> {
    const fn new(names: Reader<'a>) -> Self {
        Self { names, name: Reader::new(&[]) }
    }

    /// The next attribute's type and value.
    fn next(&mut self) -> Result<Option<(&'a [u8], Element<'a>)>, Error> {
        if self.name.bytes().is_empty() {
            if self.names.bytes().is_empty() {
                return Ok(None);
            }
            self.name = self.names.contents(tag::SET)?;
        }
        let mut attribute = self.name.contents(tag::SEQUENCE)?;
        let kind = attribute.contents(tag::OBJECT_IDENTIFIER)?.bytes();
        let value = attribute.any()?;
        attribute.finish()?;
        Ok(Some((kind, value)))
    }
}

/// The extensions that are read here.
struct Extensions {
    ca: Option<Ca>,
    key_usage: Option<KeyUsage>,
}

impl Extensions {
    /// Reads `[3] EXPLICIT SEQUENCE SIZE (1..MAX) OF Extension`, if it is next.
    fn read(tbs: &mut Reader<'_>) -> Result<Self, Error> {
        let mut extensions = Self { ca: None, key_usage: None };
        if !tbs.is_next(tag::CONTEXT_3) {
            return Ok(extensions);
        }
        let mut explicit = tbs.contents(tag::CONTEXT_3)?;
        let list = explicit.contents(tag::SEQUENCE)?;
        explicit.finish()?;

        let mut rest = list;
        loop {
            let this = rest;
            let (id, critical, value) = extension(&mut rest)?;
            let mut earlier = list;
            while earlier.at() < this.at() {
                if extension(&mut earlier)?.0 == id {
                    return Err(this.malformed());
                }
            }
            match *id {
                [0x55, 0x1d, 15] => extensions.key_usage = Some(KeyUsage::read(value)?),
                [0x55, 0x1d, 19] => extensions.ca = Ca::read(value)?,
                // subjectAltName and extKeyUsage: nothing here depends on them.
                [0x55, 0x1d, 17 | 37] => {}
                _ if critical => return Err(Error::Refused(Refusal::CriticalExtension)),
                _ => {}
            }
            if rest.bytes().is_empty() {
                return Ok(extensions);
            }
        }
    }
}

/// Reads one Extension: its id, whether it is critical, and its value.
fn extension<'a>(list: &mut Reader<'a>) -> Result<(&'a [u8], bool, Reader<'a>), Error> {
    let mut fields = list.contents(tag::SEQUENCE)?;
    let id = fields.contents(tag::OBJECT_IDENTIFIER)?.bytes();
    let critical = fields.default_false()?;
    let value = fields.contents(tag::OCTET_STRING)?;
    fields.finish()?;
    Ok((id, critical, value))
}

const ALGORITHM: Error = Error::Refused(Refusal::Algorithm);

fn ecdsa_with_sha256(fields: &mut Reader<'_>) -> Result<(), Error> {
    let algorithm = fields.element(tag::SEQUENCE)?.der;
    if algorithm == ECDSA_WITH_SHA256 { Ok(()) } else { Err(ALGORITHM) }
}

/// Reads `[0] EXPLICIT INTEGER { v3(2) }`; without it the version is v1.
fn version_3(fields: &mut Reader<'_>) -> Result<(), Error> {
    if fields.is_next(tag::CONTEXT_0) && fields.any()?.der == [0xa0, 3, 2, 1, 2] {
        Ok(())
    } else {
        Err(Error::Refused(Refusal::Version))
    }
}

/// Reads a Time: UTCTime or GeneralizedTime, for whatever year (RFC 5280,
/// 4.1.2.5, has CAs use the one until 2049 and readers take both).
fn time(fields: &mut Reader<'_>) -> Result<UnixTime, Error> {
    let (value, time) = if fields.is_next(tag::UTC_TIME) {
        let value = fields.contents(tag::UTC_TIME)?;
        (value, UnixTime::from_utc_time(value.bytes()))
    } else {
        let value = fields.contents(tag::GENERALIZED_TIME)?;
        (value, UnixTime::from_generalized_time(value.bytes()))
    };
    time.ok_or(value.malformed())
}

/// Reads `BIT STRING { SEQUENCE { r INTEGER, s INTEGER } }` (RFC 5758, 3.2).
fn signature(fields: &mut Reader<'_>) -> Result<Signature, Error> {
    let mut bits = fields.octets()?;
    let mut numbers = bits.contents(tag::SEQUENCE)?;
    bits.finish()?;
    let mut signature = [0; 64];
    for half in signature.chunks_exact_mut(32) {
        let number = numbers.unsigned(half.len())?;
        for (to, from) in half.iter_mut().rev().zip(number.iter().rev()) {
            *to = *from;
        }
    }
    numbers.finish()?;
    Ok(signature)
}
