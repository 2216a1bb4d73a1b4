// SPDX-License-Identifier: Apache-2.0
//! X.509 v3 certificates (RFC 5280) of P-256 keys, signed by P-256 keys with
//! ECDSA and SHA-256.

use crate::der::{Reader, Stop, tag};
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
        Self::fields(reader).map_err(|Stop| reader.error())
    }

    fn fields(reader: &mut Reader<'a>) -> Result<Self, Stop> {
        let start = reader.at();
        let certificate = reader.enter(tag::SEQUENCE)?;
        if reader.at() - start + reader.remaining() > MAX_CERT_LEN {
            return Err(reader.refuse(Error::TooLarge { limit: MAX_CERT_LEN as u16 }));
        }
        let tbs_start = reader.at();
        let tbs = reader.enter(tag::SEQUENCE)?;
        version_3(reader)?;
        let serial = reader.unsigned(20)?;
        ecdsa_with_sha256(reader)?;
        let issuer = Name::read(reader)?;
        let validity = reader.enter(tag::SEQUENCE)?;
        let not_before = time(reader)?;
        let not_after = time(reader)?;
        reader.leave(validity)?;
        let subject = Name::read(reader)?;
        let spki = reader.element(tag::SEQUENCE)?;
        let public_key = PublicKey::from_spki(spki).map_err(|_| reader.refuse(ALGORITHM))?;
        let (ca, key_usage) = extensions(reader)?;
        reader.leave(tbs)?;
        let tbs = reader.since(tbs_start);

        ecdsa_with_sha256(reader)?;
        let signature = signature(reader)?;
        reader.leave(certificate)?;

        Ok(Self {
            der: reader.since(start),
            tbs,
            serial,
            issuer,
            not_before,
            not_after,
            subject,
            public_key,
            ca,
            key_usage,
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
    fn read(reader: &mut Reader<'_>) -> Result<Self, Stop> {
        match *reader.contents(tag::BIT_STRING)? {
            [unused, first @ 1..=0xff] if u32::from(unused) == first.trailing_zeros() => {
                Ok(Self(first))
            }
            // decipherOnly is the ninth bit.
            [7, first, 0x80] => Ok(Self(first)),
            ref value => Err(reader.malformed(reader.at() - value.len())),
        }
    }
}

impl Ca {
    /// Reads the contents of the extension.
    fn read(reader: &mut Reader<'_>) -> Result<Option<Self>, Stop> {
        let outer = reader.enter(tag::SEQUENCE)?;
        let ca = reader.default_false()?;
        let mut path_len = None;
        if ca && !reader.is_at_end() {
            path_len = match *reader.unsigned(4)? {
                [number] => Some(number),
                _ => Some(u8::MAX),
            };
        }
        reader.leave(outer)?;
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

    fn read(reader: &mut Reader<'a>) -> Result<Self, Stop> {
        let start = reader.at();
        Self::walk(reader, attribute::COMMON_NAME)?;
        Ok(Self { der: reader.since(start) })
    }

    fn find(&self, attribute: [u8; 3]) -> Option<&'a str> {
        match Self::walk(&mut Reader::new(self.der), attribute) {
            Ok(Some((tag::UTF8_STRING | tag::PRINTABLE_STRING, text))) => {
                core::str::from_utf8(text).ok()
            }
            _ => None,
        }
    }

    /// Reads a whole Name; tag and contents of the first attribute of that type.
    fn walk(reader: &mut Reader<'a>, attribute: [u8; 3]) -> Result<Option<(u8, &'a [u8])>, Stop> {
        let mut found = None;
        let names = reader.enter(tag::SEQUENCE)?;
        while !reader.is_at_end() {
            let name = reader.enter(tag::SET)?;
            loop {
                let pair = reader.enter(tag::SEQUENCE)?;
                let is_wanted = reader.contents(tag::OBJECT_IDENTIFIER)? == attribute;
                let value = reader.any()?;
                reader.leave(pair)?;
                if is_wanted && found.is_none() {
                    found = Some(value);
                }
                if reader.is_at_end() {
                    break;
                }
            }
            reader.leave(name)?;
        }
        reader.leave(names)?;
        Ok(found)
    }
}

/// Reads `[3] EXPLICIT SEQUENCE SIZE (1..MAX) OF Extension`, if it is next.
fn extensions(reader: &mut Reader<'_>) -> Result<(Option<Ca>, Option<KeyUsage>), Stop> {
    let (mut ca, mut key_usage) = (None, None);
    if !reader.is_next(tag::CONTEXT_3) {
        return Ok((ca, key_usage));
    }
    let explicit = reader.enter(tag::CONTEXT_3)?;
    let list = reader.enter(tag::SEQUENCE)?;
    let first = reader.at();
    loop {
        let this = reader.at();
        let mut earlier = Reader::new(reader.since(first));
        let extension = reader.enter(tag::SEQUENCE)?;
        let id = reader.element(tag::OBJECT_IDENTIFIER)?;
        while let Ok(fields) = earlier.contents(tag::SEQUENCE) {
            if fields.starts_with(id) {
                return Err(reader.malformed(this));
            }
        }
        let is_critical = reader.default_false()?;
        let value = reader.enter(tag::OCTET_STRING)?;
        match *id {
            [6, 3, 0x55, 0x1d, 15] => key_usage = Some(KeyUsage::read(reader)?),
            [6, 3, 0x55, 0x1d, 19] => ca = Ca::read(reader)?,
            // subjectAltName and extKeyUsage: nothing here depends on them.
            [6, 3, 0x55, 0x1d, 17 | 37] => reader.skip(),
            _ if is_critical => {
                return Err(reader.refuse(Error::Refused(Refusal::CriticalExtension)));
            }
            _ => reader.skip(),
        }
        reader.leave(value)?;
        reader.leave(extension)?;
        if reader.is_at_end() {
            break;
        }
    }
    reader.leave(list)?;
    reader.leave(explicit)?;
    Ok((ca, key_usage))
}

/// The key of the first certificate in what was checked before it was stored.
/// A device that only reads needs no more of X.509 than this.
pub(crate) fn stored_key(der: &[u8]) -> Result<PublicKey, Error> {
    let mut reader = Reader::new(der);
    let spki = stored_spki(&mut reader).map_err(|Stop| reader.error())?;
    PublicKey::from_spki(spki)
}

fn stored_spki<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Stop> {
    let _ = reader.enter(tag::SEQUENCE)?;
    let _ = reader.enter(tag::SEQUENCE)?;
    // Version, serial number, algorithm, issuer, validity, subject.
    for _ in 0..6 {
        reader.any()?;
    }
    reader.element(tag::SEQUENCE)
}

const ALGORITHM: Error = Error::Refused(Refusal::Algorithm);

fn ecdsa_with_sha256(reader: &mut Reader<'_>) -> Result<(), Stop> {
    let algorithm = reader.element(tag::SEQUENCE)?;
    if algorithm == ECDSA_WITH_SHA256 { Ok(()) } else { Err(reader.refuse(ALGORITHM)) }
}

/// Reads `[0] EXPLICIT INTEGER { v3(2) }`; without it the version is v1.
fn version_3(reader: &mut Reader<'_>) -> Result<(), Stop> {
    if reader.is_next(tag::CONTEXT_0) && reader.contents(tag::CONTEXT_0)? == [2, 1, 2] {
        Ok(())
    } else {
        Err(reader.refuse(Error::Refused(Refusal::Version)))
    }
}

/// Reads a Time: UTCTime or GeneralizedTime, for whatever year (RFC 5280,
/// 4.1.2.5, has CAs use the one until 2049 and readers take both).
fn time(reader: &mut Reader<'_>) -> Result<UnixTime, Stop> {
    let (text, time) = if reader.is_next(tag::UTC_TIME) {
        let text = reader.contents(tag::UTC_TIME)?;
        (text, UnixTime::from_utc_time(text))
    } else {
        let text = reader.contents(tag::GENERALIZED_TIME)?;
        (text, UnixTime::from_generalized_time(text))
    };
    time.ok_or_else(|| reader.malformed(reader.at() - text.len()))
}

/// Reads `BIT STRING { SEQUENCE { r INTEGER, s INTEGER } }` (RFC 5758, 3.2).
fn signature(reader: &mut Reader<'_>) -> Result<Signature, Stop> {
    let bits = reader.enter_bits()?;
    let numbers = reader.enter(tag::SEQUENCE)?;
    let mut signature = [0; 64];
    for half in signature.chunks_exact_mut(32) {
        let number = reader.unsigned(half.len())?;
        for (to, from) in half.iter_mut().rev().zip(number.iter().rev()) {
            *to = *from;
        }
    }
    reader.leave(numbers)?;
    reader.leave(bits)?;
    Ok(signature)
}
