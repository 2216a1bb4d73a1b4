// SPDX-License-Identifier: Apache-2.0
//! The few fields of a certificate (RFC 5280) that path validation by webpki
//! leaves to its caller.

use devid_core::der::{Reader, Stop, tag};
use devid_core::time::UnixTime;

/// What is read of a certificate that webpki has parsed, or will.
pub(crate) struct Certificate<'a> {
    /// The issuer's Name, whole.
    pub(crate) issuer: &'a [u8],
    pub(crate) not_before: UnixTime,
    pub(crate) not_after: UnixTime,
    /// The SubjectPublicKeyInfo, whole.
    pub(crate) spki: &'a [u8],
    /// basicConstraints with cA TRUE, and its pathLenConstraint.
    pub(crate) ca: Option<PathLen>,
    /// keyUsage: bit 0 is the most significant.
    pub(crate) key_usage: Option<u8>,
}

/// What is read of a CRL (RFC 5280, 5.1) that webpki has parsed, or will.
pub(crate) struct RevocationList<'a> {
    /// The issuer's Name, whole.
    pub(crate) issuer: &'a [u8],
    pub(crate) this_update: UnixTime,
    pub(crate) next_update: UnixTime,
}

/// A pathLenConstraint; `None` for no limit.
pub(crate) type PathLen = Option<usize>;

/// keyUsage bit 0, digitalSignature.
pub(crate) const DIGITAL_SIGNATURE: u8 = 0x80;
/// keyUsage bit 5, keyCertSign.
pub(crate) const KEY_CERT_SIGN: u8 = 0x04;

const BASIC_CONSTRAINTS: [u8; 3] = [0x55, 0x1d, 19];
const KEY_USAGE: [u8; 3] = [0x55, 0x1d, 15];
const ISSUER_UNIQUE_ID: u8 = 0x81;
const SUBJECT_UNIQUE_ID: u8 = 0x82;

impl<'a> Certificate<'a> {
    pub(crate) fn read(der: &'a [u8]) -> Result<Self, Stop> {
        let mut outer = Reader::new(der);
        let mut certificate = Reader::new(outer.contents(tag::SEQUENCE)?);
        outer.finish().map_err(|_| Stop)?;
        let mut tbs = Reader::new(certificate.contents(tag::SEQUENCE)?);
        if tbs.is_next(tag::CONTEXT_0) {
            tbs.any()?; // version
        }
        tbs.element(tag::INTEGER)?; // serialNumber
        tbs.element(tag::SEQUENCE)?; // signature
        let issuer = tbs.element(tag::SEQUENCE)?;
        let mut validity = Reader::new(tbs.contents(tag::SEQUENCE)?);
        let (not_before, not_after) = (time(&mut validity)?, time(&mut validity)?);
        tbs.element(tag::SEQUENCE)?; // subject
        let spki = tbs.element(tag::SEQUENCE)?;
        for unique_id in [ISSUER_UNIQUE_ID, SUBJECT_UNIQUE_ID] {
            if tbs.is_next(unique_id) {
                tbs.any()?;
            }
        }
        let mut read = Self { issuer, not_before, not_after, spki, ca: None, key_usage: None };
        if tbs.is_next(tag::CONTEXT_3) {
            let mut explicit = Reader::new(tbs.contents(tag::CONTEXT_3)?);
            let mut extensions = Reader::new(explicit.contents(tag::SEQUENCE)?);
            while !extensions.is_at_end() {
                read.extension(Reader::new(extensions.contents(tag::SEQUENCE)?))?;
            }
        }
        Ok(read)
    }

    fn extension(&mut self, mut extension: Reader<'a>) -> Result<(), Stop> {
        let id = extension.contents(tag::OBJECT_IDENTIFIER)?;
        extension.default_false()?; // critical
        let mut value = Reader::new(extension.contents(tag::OCTET_STRING)?);
        if id == BASIC_CONSTRAINTS {
            let mut constraints = Reader::new(value.contents(tag::SEQUENCE)?);
            let is_ca = constraints.default_false()?;
            let path_len = match constraints.is_next(tag::INTEGER) {
                true => Some(
                    constraints
                        .unsigned(size_of::<usize>())?
                        .iter()
                        .fold(0, |length, &byte| length << 8 | usize::from(byte)),
                ),
                false => None,
            };
            self.ca = is_ca.then_some(path_len);
        } else if id == KEY_USAGE {
            self.key_usage = match *value.contents(tag::BIT_STRING)? {
                // The first octet counts unused bits.
                [0..=7, first, ..] => Some(first),
                [0] => Some(0),
                _ => return Err(Stop),
            };
        }
        Ok(())
    }

    /// Whether keyUsage, where present, allows that.
    pub(crate) fn allows(&self, usage: u8) -> bool {
        self.key_usage.is_none_or(|bits| bits & usage != 0)
    }
}

impl<'a> RevocationList<'a> {
    /// Refuses a CRL that does not say when the next one comes.
    pub(crate) fn read(der: &'a [u8]) -> Result<Self, Stop> {
        let mut outer = Reader::new(der);
        let mut list = Reader::new(outer.contents(tag::SEQUENCE)?);
        outer.finish().map_err(|_| Stop)?;
        let mut tbs = Reader::new(list.contents(tag::SEQUENCE)?);
        tbs.element(tag::INTEGER)?; // version
        tbs.element(tag::SEQUENCE)?; // signature
        let issuer = tbs.element(tag::SEQUENCE)?;
        Ok(Self { issuer, this_update: time(&mut tbs)?, next_update: time(&mut tbs)? })
    }
}

fn time(reader: &mut Reader<'_>) -> Result<UnixTime, Stop> {
    match reader.any()? {
        (tag::UTC_TIME, text) => UnixTime::from_utc_time(text),
        (tag::GENERALIZED_TIME, text) => UnixTime::from_generalized_time(text),
        _ => None,
    }
    .ok_or(Stop)
}
