// SPDX-License-Identifier: Apache-2.0
//! PKCS#10 certification requests (RFC 2986) for P-256 keys.

use crate::bytes::move_up;
use crate::cbor::HeadBytes;
use crate::der::{Writer, tag};
use crate::error::Error;
use crate::key::{PublicKey, Signature};
use crate::x509::{ECDSA_WITH_SHA256, attribute};

/// Most characters in any of a subject's attributes (X.520: ub-common-name,
/// ub-serial-number, ub-organization-name).
pub const MAX_ATTRIBUTE_CHARS: usize = 64;

/// Length of the longest request without evidence, in bytes.
pub const MAX_LEN: usize = max_len(0);

/// What the attribute adds at most to a request beside the evidence itself, in
/// bytes.
pub const EVIDENCE_OVERHEAD: usize = {
    let evidence_len = u16::MAX as usize - 2 * MAX_LEN;
    max_len(evidence_len) - MAX_LEN - evidence_len
};

/// What the same request can grow by with another signature, in bytes: DER
/// drops the leading zeros of its two numbers, and a head can be a byte longer.
pub const SIGNATURE_SPREAD: usize = tlv(MAX_SIGNATURE_LEN) - tlv(tlv(1) + tlv(1)) + 1;

/// Most bytes of a signature's SEQUENCE: each number may need a sign octet.
const MAX_SIGNATURE_LEN: usize = 2 * tlv(33);

/// Most bytes of a character in UTF-8.
const MAX_CHAR_LEN: usize = 4;

/// CoAP content format of evidence by RFC 9783's profile.
pub const CONTENT_FORMAT_RFC9783: u16 = 10003;

/// CoAP content format of evidence by the profiles before it.
pub const CONTENT_FORMAT_LEGACY: u16 = 10004;

/// id-aa-attestation, 1.2.840.113549.1.9.16.2.59.
const AA_ATTESTATION: [u8; 11] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 59];

/// tcg-attest-cmw, 2.23.133.5.4.9: the type of a statement that is a CMW.
const CMW: [u8; 6] = [0x67, 0x81, 0x05, 0x05, 0x04, 9];

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

/// Evidence for a request's attribute id-aa-attestation
/// (draft-ietf-lamps-csr-attestation).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Its length: it fills the start of the buffer that the request is
    /// written to.
    pub len: usize,
    /// Its CoAP content format, by which its CMW record (RFC 9999) names it.
    pub content_format: u16,
}

/// Writes a request for a certificate over `key`, with evidence as an attribute
/// where there is some.
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
    evidence: Option<Evidence>,
    sign: impl FnOnce(&[u8]) -> Result<Signature, Error>,
) -> Result<&'s [u8], Error> {
    subject.check()?;
    let mut measure = Writer::new(&mut []);
    let request = measure.open(tag::SEQUENCE);
    info(&mut measure, subject, key, evidence, 0);
    signed(&mut measure, &[0xff; 64]);
    measure.close(request);
    if out.len() < measure.len() {
        return Err(Error::needs(measure.len()));
    }

    // The evidence waits at the end of the buffer until its turn comes.
    let evidence_len = evidence.map_or(0, |evidence| evidence.len);
    let evidence_at = out.len().saturating_sub(evidence_len);
    move_up(out, 0, evidence_at, evidence_len);

    let mut writer = Writer::new(out);
    let request = writer.open(tag::SEQUENCE);
    let from = writer.len();
    info(&mut writer, subject, key, evidence, evidence_at);
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

/// Length of a DER element with so many bytes of contents, fewer than 2^16.
const fn tlv(contents: usize) -> usize {
    match contents {
        ..0x80 => 2 + contents,
        0x80..0x100 => 3 + contents,
        _ => 4 + contents,
    }
}

/// Length of the longest request with evidence of that length, or with none
/// for 0, in bytes: [`write`] with the longest subject and signature.
const fn max_len(evidence_len: usize) -> usize {
    const fn name(text_len: usize) -> usize {
        tlv(tlv(tlv(attribute::COMMON_NAME.len()) + tlv(text_len)))
    }
    let names = tlv(2 * name(MAX_ATTRIBUTE_CHARS * MAX_CHAR_LEN) + name(MAX_ATTRIBUTE_CHARS));
    let attributes = if evidence_len == 0 {
        0
    } else {
        // An array of two: the content format and the evidence as a byte string.
        let record = tlv(1 + 3 + 3 + evidence_len);
        tlv(tlv(AA_ATTESTATION.len()) + tlv(tlv(tlv(tlv(tlv(CMW.len()) + record)))))
    };
    let info = tlv(tlv(1) + names + PublicKey::SPKI_LEN + tlv(attributes));
    tlv(info + ECDSA_WITH_SHA256.len() + tlv(1 + tlv(MAX_SIGNATURE_LEN)))
}

/// Writes the CertificationRequestInfo; the evidence lies at `evidence_at`.
fn info(
    writer: &mut Writer<'_>,
    subject: &Subject<'_>,
    key: &PublicKey,
    evidence: Option<Evidence>,
    evidence_at: usize,
) {
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
    let attributes = writer.open(tag::CONTEXT_0);
    if let Some(evidence) = evidence {
        attestation(writer, evidence, evidence_at);
    }
    writer.close(attributes);
    writer.close(info);
}

/// Writes the attribute id-aa-attestation: an AttestationBundle of one statement,
/// a CMW record.
fn attestation(writer: &mut Writer<'_>, evidence: Evidence, evidence_at: usize) {
    let attribute = writer.open(tag::SEQUENCE);
    writer.element(tag::OBJECT_IDENTIFIER, &AA_ATTESTATION);
    let values = writer.open(tag::SET);
    let bundle = writer.open(tag::SEQUENCE);
    let attestations = writer.open(tag::SEQUENCE);
    let statement = writer.open(tag::SEQUENCE);
    writer.element(tag::OBJECT_IDENTIFIER, &CMW);
    let record = writer.open(tag::OCTET_STRING);
    let [high, low] = evidence.content_format.to_be_bytes();
    writer.raw(&[0x82, 0x19, high, low]);
    writer.raw(HeadBytes::bytes(evidence.len).as_slice());
    writer.take(evidence_at, evidence.len);
    for element in [record, statement, attestations, bundle, values, attribute] {
        writer.close(element);
    }
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
