// SPDX-License-Identifier: Apache-2.0
//! Certification requests (PKCS#10, RFC 2986) with evidence in the attribute
//! id-aa-attestation (draft-ietf-lamps-csr-attestation-29).
//!
//! Statements that are a CMW are verified. Those of other types are passed over,
//! and the certificates beside them too: a token brings its own.

use std::borrow::Cow;

use devid_core::Error;
use devid_core::der::{Reader, Stop, tag};
use rustls_pki_types::pem::SectionKind;

use crate::crypto::Curve;
use crate::keys::PublicKey;
use crate::keys::file::pem_sections;

/// Most attributes of a request.
const MAX_ATTRIBUTES: usize = 16;
/// Most attestation statements of a request.
const MAX_STATEMENTS: usize = 8;
/// Longest coordinate of a signature, in bytes.
const MAX_COORDINATE_LEN: usize = 66;

/// 1.2.840.113549.1.9.16.2.59
const ID_AA_ATTESTATION: [u8; 11] =
    [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x3b];
/// 2.23.133.5.4.9: a CMW in an OCTET STRING.
const TCG_DICE_CMW: [u8; 6] = [0x67, 0x81, 0x05, 0x05, 0x04, 0x09];

/// What begins a request in DER, and no other evidence.
pub(crate) const INITIAL_BYTE: u8 = tag::SEQUENCE;

/// A request that was read. Nothing in it has been verified.
#[derive(Clone, Debug)]
pub(crate) struct Request<'a> {
    /// What is signed.
    info: &'a [u8],
    /// The key that a certificate is wanted for, in DER.
    pub(crate) spki: &'a [u8],
    /// Every CMW, in order: at least one.
    pub(crate) wrappers: Vec<&'a [u8]>,
    /// How many statements of other types stand beside them.
    pub(crate) others: usize,
    /// The contents of signatureAlgorithm.
    algorithm: &'a [u8],
    /// `r` and `s`, without leading zeros.
    signature: [&'a [u8]; 2],
}

/// Why bytes are no request with evidence.
pub(crate) enum Refused {
    /// Not the DER of one, from that byte on.
    Malformed(u32),
    /// For that reason.
    For(&'static str),
}

impl<'a> Request<'a> {
    /// Reads the request that fills `der`.
    pub(crate) fn read(der: &'a [u8]) -> Result<Self, Refused> {
        let mut reader = Reader::new(der);
        let read =
            Self::fields(&mut reader).map_err(|problem| match (problem, reader.error()) {
                (Problem::Reason(reason), _) => Refused::For(reason),
                (Problem::Stop, Error::Malformed { at, .. }) => Refused::Malformed(u32::from(at)),
                (Problem::Stop, _) => Refused::Malformed(0),
            })?;
        match reader.is_at_end() {
            true => Ok(read),
            false => Err(Refused::Malformed(reader.at() as u32)),
        }
    }

    fn fields(reader: &mut Reader<'a>) -> Result<Self, Problem> {
        let request = reader.enter(tag::SEQUENCE)?;
        let info_at = reader.at();
        let info = reader.enter(tag::SEQUENCE)?;
        if reader.contents(tag::INTEGER)? != [0] {
            return Err(Problem::Reason("not a certification request of version 1"));
        }
        reader.element(tag::SEQUENCE)?; // subject
        let spki = reader.element(tag::SEQUENCE)?;
        let bundle = Self::attributes(reader)?;
        reader.leave(info)?;
        let info = reader.since(info_at);
        let algorithm = reader.contents(tag::SEQUENCE)?;
        let bits = reader.enter_bits()?;
        let numbers = reader.enter(tag::SEQUENCE)?;
        let signature =
            [reader.unsigned(MAX_COORDINATE_LEN)?, reader.unsigned(MAX_COORDINATE_LEN)?];
        reader.leave(numbers)?;
        reader.leave(bits)?;
        reader.leave(request)?;
        match bundle {
            None => Err(Problem::Reason("a certification request without evidence in it")),
            Some(Bundle { wrappers, .. }) if wrappers.is_empty() => {
                Err(Problem::Reason("no attestation statement of a type that is verified here"))
            }
            Some(Bundle { wrappers, others }) => {
                Ok(Self { info, spki, wrappers, others, algorithm, signature })
            }
        }
    }

    /// Finds the one id-aa-attestation among the attributes.
    fn attributes(reader: &mut Reader<'a>) -> Result<Option<Bundle<'a>>, Problem> {
        let mut known = Vec::new();
        let mut bundle = None;
        let attributes = reader.enter(tag::CONTEXT_0)?;
        while !reader.is_at_end() {
            let attribute = reader.enter(tag::SEQUENCE)?;
            let id = reader.contents(tag::OBJECT_IDENTIFIER)?;
            if known.contains(&id) {
                return Err(Problem::Reason("an attribute stands twice in the request"));
            }
            if known.len() == MAX_ATTRIBUTES {
                return Err(Problem::Reason("too many attributes in the request"));
            }
            known.push(id);
            let values = reader.enter(tag::SET)?;
            if id == ID_AA_ATTESTATION {
                bundle = Some(Bundle::read(reader)?);
                if !reader.is_at_end() {
                    return Err(Problem::Reason("more than one AttestationBundle"));
                }
            }
            reader.skip();
            reader.leave(values)?;
            reader.leave(attribute)?;
        }
        reader.leave(attributes)?;
        Ok(bundle)
    }

    /// Whether the key that the request names has signed it.
    pub(crate) fn check_possession(&self, key: &PublicKey) -> Result<&'static str, &'static str> {
        let (algorithm, name) = match key.curve() {
            Curve::P256 => (2, "ECDSA with SHA-256"),
            Curve::P384 => (3, "ECDSA with SHA-384"),
            Curve::P521 => (4, "ECDSA with SHA-512"),
        };
        // ecdsa-with-SHA2 n (RFC 5758, 3.2), without parameters.
        if self.algorithm
            != [tag::OBJECT_IDENTIFIER, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, algorithm]
        {
            return Err("its signature algorithm does not go with its key");
        }
        const NO_PROOF: &str = "not signed by the key it names: no proof of possession";
        let length = key.curve().coordinate_len();
        let mut signature = Vec::with_capacity(2 * length);
        for number in self.signature {
            let zeros = length.checked_sub(number.len()).ok_or(NO_PROOF)?;
            signature.resize(signature.len() + zeros, 0);
            signature.extend_from_slice(number);
        }
        if key.is_valid(&[self.info], &signature) { Ok(name) } else { Err(NO_PROOF) }
    }
}

/// An AttestationBundle.
struct Bundle<'a> {
    wrappers: Vec<&'a [u8]>,
    others: usize,
}

impl<'a> Bundle<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Problem> {
        let mut read = Self { wrappers: Vec::new(), others: 0 };
        let bundle = reader.enter(tag::SEQUENCE)?;
        let statements = reader.enter(tag::SEQUENCE)?;
        while !reader.is_at_end() {
            if read.wrappers.len() + read.others == MAX_STATEMENTS {
                return Err(Problem::Reason("too many attestation statements"));
            }
            let statement = reader.enter(tag::SEQUENCE)?;
            if reader.contents(tag::OBJECT_IDENTIFIER)? == TCG_DICE_CMW {
                read.wrappers.push(reader.contents(tag::OCTET_STRING)?);
            } else {
                reader.any()?;
                read.others += 1;
            }
            reader.leave(statement)?;
        }
        reader.leave(statements)?;
        if !reader.is_at_end() {
            reader.element(tag::SEQUENCE)?; // certs
        }
        reader.leave(bundle)?;
        Ok(read)
    }
}

/// Why reading ended; the reader knows where it stopped.
enum Problem {
    Stop,
    Reason(&'static str),
}

impl From<Stop> for Problem {
    fn from(_: Stop) -> Self {
        Self::Stop
    }
}

/// Takes the DER out of a request in PEM, and leaves everything else as it is:
/// no evidence begins like PEM.
///
/// The error says what is wrong with the PEM.
pub fn from_pem(content: Cow<'_, [u8]>) -> Result<Cow<'_, [u8]>, String> {
    if !content.trim_ascii_start().starts_with(b"-----BEGIN ") {
        return Ok(content);
    }
    let sections = pem_sections(&content).map_err(|error| error.to_string())?;
    match <[_; 1]>::try_from(sections) {
        Ok([(SectionKind::Csr, der)]) => Ok(der.into()),
        _ => Err("PEM that is not one certification request".into()),
    }
}
