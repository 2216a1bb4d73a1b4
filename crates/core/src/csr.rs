// SPDX-License-Identifier: Apache-2.0
//! PKCS#10 certification requests (RFC 2986) for P-256 keys.

use crate::der::{Writer, tag};
use crate::error::Error;
use crate::key::{PublicKey, Signature};
use crate::x509::{ECDSA_WITH_SHA256, attribute};

/// Most characters in any of a subject's attributes (X.520: ub-common-name,
/// ub-serial-number, ub-organization-name).
pub const MAX_ATTRIBUTE_CHARS: usize = 64;

/// A buffer of this length takes any request, in bytes.
pub const MAX_LEN: usize = 816;

/// The subject a request asks for. None of the attributes is required: a CA
/// may name the device by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subject<'a> {
    /// commonName: 1 to 64 characters.
    pub common_name: Option<&'a str>,
    /// serialNumber: 1 to 64 characters of a PrintableString.
    pub serial_number: Option<&'a str>,
    /// organizationName: 1 to 64 characters.
    pub organization: Option<&'a str>,
}

/// Writes a request for a certificate over `key`.
///
/// `sign` is given the CertificationRequestInfo and signs it with the key's
/// private half, by ECDSA with SHA-256.
///
/// - [`Error::InvalidArgument`]: an attribute is empty, too long or, for the
///   serialNumber, not a PrintableString.
/// - [`Error::BufferTooSmall`]: `out` was left untouched. The length given is
///   right for the longest signature: a request is up to a few bytes shorter.
/// - Errors of `sign`; `out` then holds no request.
pub fn write<'s>(
    out: &'s mut [u8],
    subject: &Subject<'_>,
    key: &PublicKey,
    sign: impl FnOnce(&[u8]) -> Result<Signature, Error>,
) -> Result<&'s [u8], Error> {
    subject.check()?;
    let mut measure = Writer::new(&mut []);
    let request = measure.open(tag::SEQUENCE);
    info(&mut measure, subject, key);
    signed(&mut measure, &[0xff; 64]);
    measure.close(request);
    if out.len() < measure.len() {
        return Err(Error::BufferTooSmall { needed: measure.len() as u32 });
    }

    let mut writer = Writer::new(out);
    let request = writer.open(tag::SEQUENCE);
    let from = writer.len();
    info(&mut writer, subject, key);
    let signature = sign(writer.written(from))?;
    signed(&mut writer, &signature);
    writer.close(request);
    writer.finish()
}

impl Subject<'_> {
    fn check(&self) -> Result<(), Error> {
        let fits = |attribute: Option<&str>| {
            attribute.is_none_or(|text| {
                // Characters: the bytes that do not continue one.
                let chars = text.bytes().filter(|byte| byte & 0xc0 != 0x80).count();
                (1..=MAX_ATTRIBUTE_CHARS).contains(&chars)
            })
        };
        let printable = self.serial_number.is_none_or(|text| text.bytes().all(is_printable));
        let valid = fits(self.common_name)
            && fits(self.serial_number)
            && fits(self.organization)
            && printable;
        if valid { Ok(()) } else { Err(Error::InvalidArgument) }
    }
}

/// Whether a PrintableString may hold the character (X.680, 41.4).
const fn is_printable(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b' ' | b'\'' | b'(' | b')' | b'+' | b',' | b'-' | b'.' | b'/' | b':' | b'=' | b'?'
        )
}

/// Writes the CertificationRequestInfo, without attributes.
fn info(writer: &mut Writer<'_>, subject: &Subject<'_>, key: &PublicKey) {
    let info = writer.open(tag::SEQUENCE);
    writer.unsigned(&[0]);
    let names = writer.open(tag::SEQUENCE);
    for (kind, string, text) in [
        (attribute::ORGANIZATION, tag::UTF8_STRING, subject.organization),
        (attribute::COMMON_NAME, tag::UTF8_STRING, subject.common_name),
        (attribute::SERIAL_NUMBER, tag::PRINTABLE_STRING, subject.serial_number),
    ] {
        let Some(text) = text else { continue };
        let name = writer.open(tag::SET);
        let attribute = writer.open(tag::SEQUENCE);
        writer.element(tag::OBJECT_IDENTIFIER, &kind);
        writer.element(string, text.as_bytes());
        writer.close(attribute);
        writer.close(name);
    }
    writer.close(names);
    writer.raw(&key.spki());
    writer.element(tag::CONTEXT_0, &[]);
    writer.close(info);
}

/// Writes the signature's algorithm and value.
fn signed(writer: &mut Writer<'_>, signature: &Signature) {
    writer.raw(&ECDSA_WITH_SHA256);
    let bits = writer.open(tag::BIT_STRING);
    writer.raw(&[0]);
    let numbers = writer.open(tag::SEQUENCE);
    for number in signature.chunks_exact(32) {
        writer.unsigned(number);
    }
    writer.close(numbers);
    writer.close(bits);
}
