// SPDX-License-Identifier: Apache-2.0
//! Evidence, out of whatever it travels in. Its form says what it is.

use std::borrow::Cow;

use devid_core::cbor::{Fault, Key, Reader, UnknownKeys};
use devid_core::token::Profile;

use crate::cca;
use crate::cmw::{Collection, FORMAT_TAGS, Item, KEY_ATTESTATION, MAX_DEPTH, Media, Record};
use crate::csr::{self, Refused, Request};

/// What is to be verified.
#[derive(Clone, Debug)]
pub(crate) enum Evidence<'t> {
    /// One COSE envelope, or what should be one.
    Token {
        token: &'t [u8],
        /// The profiles that a media type around it allows.
        profiles: Option<&'static [Profile]>,
    },
    /// A CCA token's two envelopes.
    Cca { platform: &'t [u8], realm: &'t [u8] },
    /// A key attestation token, and the evidence that it is bound to.
    KeyAttestation { kat: &'t [u8], platform: Box<Evidence<'t>> },
    /// A certification request, and the evidence that is bound to its key.
    Request { request: Request<'t>, evidence: Box<Evidence<'t>> },
    /// A collection of several, under their labels.
    Several(Vec<(String, Evidence<'t>)>),
}

/// Why there is no evidence.
pub(crate) struct NoEvidence(pub(crate) Cow<'static, str>);

impl From<Fault> for NoEvidence {
    fn from(fault: Fault) -> Self {
        Self(fault.to_string().into())
    }
}

impl From<&'static str> for NoEvidence {
    fn from(reason: &'static str) -> Self {
        Self(reason.into())
    }
}

impl From<Refused> for NoEvidence {
    fn from(refused: Refused) -> Self {
        Self(match refused {
            Refused::For(reason) => reason.into(),
            Refused::Malformed(at) => {
                format!("malformed certification request at byte {at}").into()
            }
        })
    }
}

/// The initial bytes of arrays, maps and tags.
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;

impl<'t> Evidence<'t> {
    /// Takes evidence that fills `input`.
    pub(crate) fn decode(input: &'t [u8]) -> Result<Self, NoEvidence> {
        match input.first() {
            Some(&csr::INITIAL_BYTE) => Self::from_request(input),
            _ => Self::within(input, 0),
        }
    }

    fn from_request(der: &'t [u8]) -> Result<Self, NoEvidence> {
        let request = Request::read(der)?;
        let mut found = Vec::new();
        for (index, wrapper) in request.wrappers.iter().enumerate() {
            found.push((format!("statement {index}"), Self::from_wrapper(wrapper)?));
        }
        let evidence = match <[_; 1]>::try_from(found) {
            Ok([(_, one)]) => one,
            Err(several) => Self::Several(several),
        };
        Ok(Self::Request { request, evidence: Box::new(evidence) })
    }

    /// Takes a CMW, and no bare token.
    fn from_wrapper(input: &'t [u8]) -> Result<Self, NoEvidence> {
        let is_wrapper = match input.first().map(|initial| initial >> 5) {
            Some(ARRAY | MAP) => true,
            Some(TAG) => Reader::new(input).tag().is_ok_and(|tag| FORMAT_TAGS.contains(&tag)),
            _ => false,
        };
        if is_wrapper {
            Self::within(input, 0)
        } else {
            Err("a statement is not a CMW in CBOR".into())
        }
    }

    fn within(input: &'t [u8], depth: usize) -> Result<Self, NoEvidence> {
        if depth > MAX_DEPTH {
            return Err("wrapped too deep".into());
        }
        let mut reader = Reader::new(input);
        let evidence = match input.first().map(|initial| initial >> 5) {
            Some(ARRAY) => Self::from_record(Record::read(&mut reader)?, depth)?,
            Some(MAP) => Self::from_collection(&mut reader, depth)?,
            Some(TAG) => match reader.clone().tag() {
                Ok(cca::LEGACY_TAG) => {
                    reader.tag()?;
                    Self::from_legacy_cca(&mut reader)?
                }
                Ok(cca::TAG) => {
                    reader.tag()?;
                    match Self::from_collection(&mut reader, depth)? {
                        cca @ Self::Cca { .. } => cca,
                        _ => return Err("tag 907 without platform and realm".into()),
                    }
                }
                Ok(_) => match Record::read_tagged(&mut reader) {
                    Ok(Some(record)) => Self::from_record(record, depth)?,
                    _ => return Ok(Self::Token { token: input, profiles: None }),
                },
                Err(_) => return Ok(Self::Token { token: input, profiles: None }),
            },
            _ => return Ok(Self::Token { token: input, profiles: None }),
        };
        reader.finish()?;
        Ok(evidence)
    }

    fn from_record(record: Record<'t>, depth: usize) -> Result<Self, NoEvidence> {
        if !record.is_evidence {
            return Err("the CMW holds no evidence".into());
        }
        match (record.media, Self::within(record.value, depth + 1)?) {
            (Media::Other, _) => Err("a media type that is not verified here".into()),
            (Media::Psa(profiles), Self::Token { token, profiles: None }) => {
                Ok(Self::Token { token, profiles: Some(profiles) })
            }
            (Media::Eat, token @ Self::Token { .. }) => Ok(token),
            (Media::Collection, several) if !matches!(several, Self::Token { .. }) => Ok(several),
            _ => Err("the CMW's type does not go with its value".into()),
        }
    }

    fn from_collection(reader: &mut Reader<'t>, depth: usize) -> Result<Self, NoEvidence> {
        if depth > MAX_DEPTH {
            return Err("wrapped too deep".into());
        }
        let collection = Collection::read(reader)?;
        if collection.kind == Some(KEY_ATTESTATION) {
            return Self::from_key_attestation(&collection, depth);
        }
        let mut found = Vec::new();
        for member in &collection.members {
            let evidence = match member.item {
                Item::Record(record) if !record.is_evidence => continue,
                Item::Record(record) => Self::from_record(record, depth)?,
                Item::Collection(mut inner) => Self::from_collection(&mut inner, depth + 1)?,
            };
            found.push((member.label, evidence));
        }
        match found.as_slice() {
            [] => Err("the CMW holds no evidence".into()),
            [
                (Key::Int(a), Self::Token { token: first, profiles: None }),
                (Key::Int(b), Self::Token { token: second, profiles: None }),
            ] if matches!((*a, *b), (cca::PLATFORM, cca::REALM) | (cca::REALM, cca::PLATFORM)) => {
                let (platform, realm) = match *a {
                    cca::PLATFORM => (first, second),
                    _ => (second, first),
                };
                Ok(Self::Cca { platform, realm })
            }
            [(_, one)] => Ok(one.clone()),
            _ => Ok(Self::Several(
                found.into_iter().map(|(label, evidence)| (name(&label), evidence)).collect(),
            )),
        }
    }

    fn from_key_attestation(collection: &Collection<'t>, depth: usize) -> Result<Self, NoEvidence> {
        let [Some(kat), Some(platform)] = ["kat", "pat"].map(|label| collection.record(label))
        else {
            return Err("a key attestation bundle has a kat and a pat".into());
        };
        if collection.members.len() != 2 {
            return Err("a key attestation bundle has nothing but kat and pat".into());
        }
        if !kat.is_evidence || kat.media != Media::Eat {
            return Err("the kat's type is not that of one".into());
        }
        let platform = Box::new(Self::from_record(platform, depth)?);
        Ok(Self::KeyAttestation { kat: kat.value, platform })
    }

    /// A map of two byte strings.
    fn from_legacy_cca(reader: &mut Reader<'t>) -> Result<Self, NoEvidence> {
        let (mut platform, mut realm) = (None, None);
        let mut unknown = UnknownKeys::default();
        for _ in 0..reader.map()? {
            let at = reader.at();
            let repeated = match reader.key()? {
                Key::Int(cca::PLATFORM) => platform.replace(reader.bytes()?).is_some(),
                Key::Int(cca::REALM) => realm.replace(reader.bytes()?).is_some(),
                key => {
                    unknown.skip(reader, key, at)?;
                    false
                }
            };
            if repeated {
                return Err("a CCA token with two of a kind".into());
            }
        }
        match (platform, realm) {
            (Some(platform), Some(realm)) => Ok(Self::Cca { platform, realm }),
            _ => Err("a CCA token has a platform and a realm token".into()),
        }
    }
}

fn name(label: &Key<'_>) -> String {
    match label {
        Key::Int(number) => number.to_string(),
        Key::Text(text) => (*text).to_owned(),
        _ => String::new(),
    }
}
