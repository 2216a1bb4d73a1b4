// SPDX-License-Identifier: Apache-2.0
//! Conceptual message wrappers (RFC 9999): what evidence travels in.
//!
//! A record is `[type, value, ?indicator]`, a collection a map of records and
//! collections; a tag of RFC 9277 can stand for a record's type. CBOR is read in
//! place. JSON is turned into CBOR first, by [`to_cbor`], once, at the edge.

use std::borrow::Cow;

use data_encoding::{BASE64URL, BASE64URL_NOPAD};
use devid_core::cbor::{Fault, Key, Reader, Reason};
use devid_core::token::Profile;
use minicbor::Encoder;

use crate::ear::tree::{Label, Tree};

/// Deepest nesting of collections.
pub(crate) const MAX_DEPTH: usize = 4;
/// Most members of one collection.
const MAX_MEMBERS: u64 = 16;

/// The label under which a collection says what it is.
const COLLECTION_TYPE: &str = "__cmwc_t";
/// The type of the key attestation bundle.
pub(crate) const KEY_ATTESTATION: &str = "tag:ietf.org,2024-02-29:rats/kat";

/// The tags that stand for CoAP content formats (RFC 9277, 4.3).
pub(crate) const FORMAT_TAGS: std::ops::RangeInclusive<u64> = 1_668_546_817..=1_668_612_095;

/// Indicator bit: the value is evidence.
const EVIDENCE: i64 = 1 << 2;

/// A record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) media: Media,
    /// Whether the indicator, where present, says evidence.
    pub(crate) is_evidence: bool,
    pub(crate) value: &'a [u8],
}

/// What a record's type says of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    /// An EAT in a CWT, of any profile.
    Eat,
    /// One of these PSA profiles.
    Psa(&'static [Profile]),
    /// A map of EATs, as CCA's.
    Collection,
    /// Something that is not verified here.
    Other,
}

/// A member of a collection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member<'a> {
    pub(crate) label: Key<'a>,
    pub(crate) item: Item<'a>,
}

/// What a member is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Item<'a> {
    Record(Record<'a>),
    /// As encoded.
    Collection(Reader<'a>),
}

/// A collection.
#[derive(Clone, Debug)]
pub(crate) struct Collection<'a> {
    pub(crate) kind: Option<&'a str>,
    pub(crate) members: Vec<Member<'a>>,
}

impl<'a> Record<'a> {
    /// Reads `[type, value, ?indicator]`.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, Fault> {
        let start = *reader;
        let length = reader.array()?;
        if !(2..=3).contains(&length) {
            return Err(start.fault(Reason::Type));
        }
        let at = *reader;
        let media = match reader.key()? {
            Key::Int(format) => Media::from_format(format),
            Key::Text(name) => Media::from_name(name),
            _ => return Err(at.fault(Reason::Type)),
        };
        let value = reader.bytes()?;
        let mut is_evidence = true;
        if length == 3 {
            let at = *reader;
            match reader.int()? {
                indicator @ 1.. => is_evidence = indicator & EVIDENCE != 0,
                _ => return Err(at.fault(Reason::Value)),
            }
        }
        Ok(Self { media, is_evidence, value })
    }

    /// Reads a byte string under a tag that stands for its type; `None` where
    /// the tag does not.
    pub(crate) fn read_tagged(reader: &mut Reader<'a>) -> Result<Option<Self>, Fault> {
        let tag = reader.tag()?;
        if !FORMAT_TAGS.contains(&tag) {
            return Ok(None);
        }
        let media = Media::from_format((tag - FORMAT_TAGS.start()) as i64);
        Ok(Some(Self { media, is_evidence: true, value: reader.bytes()? }))
    }
}

impl Media {
    const PSA: Self = Self::Psa(&[Profile::Rfc9783]);
    const LEGACY_PSA: Self = Self::Psa(&[Profile::Psa1, Profile::Psa2]);

    fn from_format(format: i64) -> Self {
        match format {
            263 => Self::Eat,
            266 => Self::Collection,
            10003 => Self::PSA,
            10004 => Self::LEGACY_PSA,
            _ => Self::Other,
        }
    }

    /// A media type, whose `eat_profile` is the only parameter that counts.
    fn from_name(name: &str) -> Self {
        let mut parts = name.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
        let profile = parts.find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            let is_profile =
                matches!(name.to_ascii_lowercase().as_str(), "eat_profile" | "profile");
            is_profile.then(|| value.trim_matches('"'))
        });
        match (essence.as_str(), profile) {
            ("application/eat+cwt", Some("tag:psacertified.org,2023:psa#tfm")) => Self::PSA,
            ("application/eat+cwt", Some("tag:psacertified.org,2019:psa#legacy"))
            | ("application/psa-attestation-token", _) => Self::LEGACY_PSA,
            ("application/eat+cwt" | "application/eat-cwt" | "application/kat+cwt", _) => Self::Eat,
            (
                "application/eat-collection"
                | "application/vnd.veraison.cca-token"
                | "application/cmw+cbor"
                | "application/cmw",
                _,
            ) => Self::Collection,
            _ => Self::Other,
        }
    }
}

impl<'a> Collection<'a> {
    /// Reads a map of records and collections.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, Fault> {
        let start = *reader;
        let count = reader.map()?;
        if count > MAX_MEMBERS + 1 {
            return Err(start.fault(Reason::TooMany));
        }
        let mut collection = Self { kind: None, members: Vec::new() };
        for _ in 0..count {
            let at = *reader;
            let label = reader.key()?;
            let is_known = collection.members.iter().any(|member| member.label == label);
            match label {
                _ if is_known => return Err(at.fault(Reason::Duplicate)),
                Key::Text(COLLECTION_TYPE) if collection.kind.is_some() => {
                    return Err(at.fault(Reason::Duplicate));
                }
                Key::Text(COLLECTION_TYPE) => collection.kind = Some(reader.text()?),
                Key::Text(_) | Key::Int(_) => {
                    let item = match reader.is_array() {
                        true => Item::Record(Record::read(reader)?),
                        false => {
                            let inner = *reader;
                            reader.clone().map()?;
                            reader.skip()?;
                            Item::Collection(inner)
                        }
                    };
                    collection.members.push(Member { label, item });
                }
                _ => return Err(at.fault(Reason::Type)),
            }
        }
        if collection.members.is_empty() {
            return Err(start.fault(Reason::Missing));
        }
        Ok(collection)
    }

    /// The record under a text label.
    pub(crate) fn record(&self, label: &str) -> Option<Record<'a>> {
        self.members.iter().find_map(|member| match member.item {
            Item::Record(record) if member.label == Key::Text(label) => Some(record),
            _ => None,
        })
    }
}

/// Turns a wrapper in JSON into one in CBOR, and leaves everything else as it
/// is: no evidence begins like JSON.
///
/// The error says what is wrong with the JSON.
pub fn to_cbor(content: Cow<'_, [u8]>) -> Result<Cow<'_, [u8]>, String> {
    if !matches!(content.trim_ascii_start().first(), Some(b'{' | b'[')) {
        return Ok(content);
    }
    // One label twice is two messages for two readers: it is refused there.
    let value = Tree::from_json(&content).map_err(|error| format!("broken JSON: {error}"))?;
    let mut out = Encoder::new(Vec::with_capacity(content.len()));
    encode(&value, 0, &mut out)?;
    Ok(out.into_writer().into())
}

fn encode(value: &Tree, depth: usize, out: &mut Encoder<Vec<u8>>) -> Result<(), String> {
    let full = |error: minicbor::encode::Error<_>| -> String { error.to_string() };
    match value {
        Tree::Map(_) if depth > MAX_DEPTH => {
            return Err("a CMW collection nested too deep".into());
        }
        Tree::Map(members) => {
            out.map(members.len() as u64).map_err(full)?;
            for (label, member) in members {
                let Label::Text(label) = label else { return Err("a label is not text".into()) };
                out.str(label).map_err(full)?;
                match member {
                    Tree::Text(kind) if label == COLLECTION_TYPE => {
                        out.str(kind).map_err(full)?;
                    }
                    member => encode(member, depth + 1, out)?,
                }
            }
        }
        Tree::Array(record) => {
            let ([media, value] | [media, value, _]) = record.as_slice() else {
                return Err("a CMW record has two or three elements".into());
            };
            out.array(record.len() as u64).map_err(full)?;
            match media {
                Tree::Int(format @ 0..) => out.i64(*format).map_err(full)?,
                Tree::Text(name) => out.str(name).map_err(full)?,
                _ => return Err("a CMW record's type is neither a number nor text".into()),
            };
            let value = match value {
                // The drafts' examples had padding; RFC 9999 has none.
                Tree::Text(text) if text.ends_with('=') => BASE64URL.decode(text.as_bytes()).ok(),
                Tree::Text(text) => BASE64URL_NOPAD.decode(text.as_bytes()).ok(),
                _ => None,
            };
            out.bytes(&value.ok_or("a CMW record's value is not base64url")?).map_err(full)?;
            match record.get(2) {
                None => {}
                Some(Tree::Int(indicator @ 0..)) => {
                    out.i64(*indicator).map_err(full)?;
                }
                Some(_) => return Err("a CMW indicator is not a number".into()),
            }
        }
        _ => return Err("neither a CMW record nor a collection".into()),
    }
    Ok(())
}
