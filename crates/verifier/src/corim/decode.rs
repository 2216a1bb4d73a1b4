// SPDX-License-Identifier: Apache-2.0
//! The CBOR of CoRIMs and CoMIDs, read whole, whatever the profile. What no
//! profile of PSA's uses is passed over.

use devid_core::cbor::{self, Key, Reader, Reason, UnknownKeys};
use devid_core::cose::Envelope;

use crate::document::Validity;

/// Why a CoRIM is refused.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) String);

type Result<T> = std::result::Result<T, Refusal>;

/// CBOR tags (draft-ietf-rats-corim, 12.1), and of the profile before, PSA's.
pub(super) mod tag {
    pub(super) const EPOCH_TIME: u64 = 1;
    pub(super) const COSE_SIGN1: u64 = 18;
    pub(super) const URI: u64 = 32;
    pub(super) const FIRST_CORIM: u64 = 500;
    pub(super) const UNSIGNED_CORIM: u64 = 501;
    pub(super) const FIRST_SIGNED_CORIM: u64 = 502;
    pub(super) const COMID: u64 = 506;
    pub(in super::super) const UEID: u64 = 550;
    pub(in super::super) const PKIX_KEY: u64 = 554;
    pub(in super::super) const PKIX_CERTIFICATE: u64 = 555;
    pub(in super::super) const PKIX_PATH: u64 = 556;
    pub(in super::super) const BYTES: u64 = 560;
    pub(in super::super) const PSA_IMPLEMENTATION_ID: u64 = 600;
    pub(super) const PSA_REFERENCE_VALUE_ID: u64 = 601;
}

/// A document, down to what is signed or not.
pub(super) enum Wrapping<'a> {
    Signed(Envelope<'a>),
    Unsigned(Manifest<'a>),
}

/// What the protected header says of the signature.
pub(super) struct Header {
    pub(super) validity: Validity,
}

/// A `corim-map`.
pub(super) struct Manifest<'a> {
    pub(super) profile: Option<&'a str>,
    pub(super) validity: Option<Validity>,
    pub(super) comids: Vec<Comid<'a>>,
    /// Tags that are no CoMID.
    pub(super) other_tags: usize,
}

/// A `concise-mid-tag`.
#[derive(Default)]
pub(super) struct Comid<'a> {
    pub(super) references: Vec<ReferenceTriple<'a>>,
    pub(super) identity_keys: Vec<KeyTriple<'a>>,
    pub(super) attest_keys: Vec<KeyTriple<'a>>,
    /// Triples of other kinds.
    pub(super) other_triples: usize,
}

/// A `reference-triple-record`.
pub(super) struct ReferenceTriple<'a> {
    pub(super) environment: Environment<'a>,
    pub(super) measurements: Vec<Measurement<'a>>,
}

/// An `attest-key-triple-record` or `identity-triple-record`.
pub(super) struct KeyTriple<'a> {
    pub(super) environment: Environment<'a>,
    pub(super) keys: Vec<CryptoKey<'a>>,
    pub(super) has_conditions: bool,
}

/// An `environment-map`.
#[derive(Default)]
pub(super) struct Environment<'a> {
    pub(super) class_id: Option<Tagged<'a>>,
    pub(super) instance: Option<Tagged<'a>>,
    pub(super) has_group: bool,
}

/// A tagged string, or something else under a tag.
#[derive(Clone, Copy)]
pub(super) struct Tagged<'a> {
    pub(super) tag: u64,
    pub(super) value: Content<'a>,
}

#[derive(Clone, Copy)]
pub(super) enum Content<'a> {
    Bytes(&'a [u8]),
    Text(&'a str),
    Other,
}

/// A key.
#[derive(Clone, Copy)]
pub(super) enum CryptoKey<'a> {
    Tagged(Tagged<'a>),
    /// A map with the key as text under 0, before there were tags.
    First(&'a str),
}

/// A `measurement-map`.
#[derive(Default)]
pub(super) struct Measurement<'a> {
    pub(super) element: Element<'a>,
    pub(super) version: Option<&'a str>,
    pub(super) has_version_scheme: bool,
    pub(super) digests: Vec<Digest<'a>>,
    pub(super) name: Option<&'a str>,
    pub(super) keys: Vec<CryptoKey<'a>>,
    pub(super) is_authorized: bool,
    /// Whether it holds values that are not read here.
    pub(super) has_others: bool,
}

/// What was measured, a `$measured-element-type-choice`.
#[derive(Default)]
pub(super) enum Element<'a> {
    #[default]
    None,
    Text(&'a str),
    /// PSA's reference value id, before the profile of 2025.
    Psa {
        name: Option<&'a str>,
        version: Option<&'a str>,
        signer_id: Option<&'a [u8]>,
    },
    Other,
}

/// A digest under an algorithm of the Named Information registry.
pub(super) struct Digest<'a> {
    pub(super) algorithm: Algorithm<'a>,
    pub(super) value: &'a [u8],
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm<'a> {
    Number(i64),
    Name(&'a str),
}

impl<'a> Wrapping<'a> {
    pub(super) fn read(document: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(document);
        if peek_tag(&reader) == Some(tag::FIRST_CORIM) {
            reader.tag()?;
        }
        if peek_tag(&reader) == Some(tag::FIRST_SIGNED_CORIM) {
            reader.tag()?;
        }
        match peek_tag(&reader) {
            Some(tag::COSE_SIGN1) => {
                let at = reader.at();
                let envelope = Envelope::decode(document.get(at..).unwrap_or_default());
                Ok(Self::Signed(envelope.map_err(|mut fault| {
                    fault.at = fault.at.saturating_add(at as u32);
                    fault
                })?))
            }
            _ => {
                let manifest = Manifest::read(&mut reader)?;
                reader.finish()?;
                Ok(Self::Unsigned(manifest))
            }
        }
    }

    pub(super) fn read_payload(envelope: &Envelope<'a>) -> Result<Manifest<'a>> {
        let mut reader = envelope.content();
        let manifest = Manifest::read(&mut reader)?;
        reader.finish()?;
        Ok(manifest)
    }
}

impl Header {
    /// The protected header (draft-ietf-rats-corim, 4.2.1): the content type,
    /// and who signed and for how long, in `corim-meta`, CWT claims or both.
    pub(super) fn read(envelope: &Envelope<'_>) -> Result<Self> {
        const CONTENT_TYPES: [&str; 2] =
            ["application/rim+cbor", "application/corim-unsigned+cbor"];
        let mut reader = Reader::new(envelope.protected);
        let (mut has_type, mut meta, mut claims) = (false, None, None);
        entries(&mut reader, |key, value| {
            match key {
                Key::Int(3) => {
                    if !CONTENT_TYPES.contains(&value.text()?) {
                        return refuse("the content type is not that of a CoRIM");
                    }
                    has_type = true;
                }
                Key::Int(8) => {
                    let (_, mut inner) = value.embedded()?;
                    meta = Some(read_meta(&mut inner).map_err(|e| e.within("corim-meta"))?);
                    inner.finish()?;
                }
                Key::Int(15) => {
                    claims = Some(read_cwt_claims(value).map_err(|e| e.within("CWT claims"))?);
                }
                _ => {}
            }
            Ok(())
        })
        .map_err(|e| e.within("protected header"))?;
        if !has_type {
            return refuse("the protected header has no content type");
        }
        match (meta, claims) {
            (None, None) => refuse("the protected header does not say who signed"),
            (Some(meta), Some(claims)) if meta != claims => {
                refuse("corim-meta and the CWT claims contradict each other")
            }
            (Some((_, validity)), _) | (None, Some((_, validity))) => Ok(Self { validity }),
        }
    }
}

fn read_meta<'a>(reader: &mut Reader<'a>) -> Result<(&'a str, Validity)> {
    let (mut signer, mut validity) = (None, Validity::default());
    entries(reader, |key, value| {
        match key {
            Key::Int(0) => entries(value, |key, value| {
                if key == Key::Int(0) {
                    signer = Some(value.text()?);
                }
                Ok(())
            })?,
            Key::Int(1) => validity = read_validity(value)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((signer.ok_or(Refusal("no signer".into()))?, validity))
}

fn read_cwt_claims<'a>(reader: &mut Reader<'a>) -> Result<(&'a str, Validity)> {
    let (mut issuer, mut validity) = (None, Validity::default());
    entries(reader, |key, value| {
        match key {
            Key::Int(1) => issuer = Some(value.text()?),
            Key::Int(4) => validity.not_after = Some(value.int()?),
            Key::Int(5) => validity.not_before = Some(value.int()?),
            _ => {}
        }
        Ok(())
    })?;
    Ok((issuer.ok_or(Refusal("no issuer".into()))?, validity))
}

fn read_validity(reader: &mut Reader<'_>) -> Result<Validity> {
    let mut validity = Validity::default();
    let time = |value: &mut Reader<'_>| {
        expect_tag(value, tag::EPOCH_TIME, "a time without its tag")?;
        Ok::<_, Refusal>(Some(value.int()?))
    };
    entries(reader, |key, value| {
        match key {
            Key::Int(0) => validity.not_before = time(value)?,
            Key::Int(1) => validity.not_after = time(value)?,
            _ => {}
        }
        Ok(())
    })
    .map_err(|e| e.within("validity"))?;
    match (validity.not_before, validity.not_after) {
        (_, None) => refuse("validity: no end"),
        (Some(start), Some(end)) if end < start => refuse("validity: it ends before it starts"),
        _ => Ok(validity),
    }
}

impl<'a> Manifest<'a> {
    /// A `corim-map`, with its tag or, in the first drafts, without.
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        if peek_tag(reader).is_some() {
            expect_tag(reader, tag::UNSIGNED_CORIM, "not tagged as a CoRIM")?;
        }
        let (mut has_id, mut profile, mut validity) = (false, None, None);
        let (mut comids, mut other_tags) = (Vec::new(), 0);
        entries(reader, |key, value| {
            match key {
                Key::Int(0) => {
                    read_id(value)?;
                    has_id = true;
                }
                Key::Int(1) => items(value, |item| {
                    match read_comid(item)? {
                        Some(comid) => comids.push(comid),
                        None => other_tags += 1,
                    }
                    Ok(())
                })?,
                Key::Int(3) => profile = Some(read_profile(value)?),
                Key::Int(4) => validity = Some(read_validity(value)?),
                _ => {}
            }
            Ok(())
        })?;
        match (has_id, comids.len() + other_tags) {
            (false, _) => refuse("a CoRIM without an id"),
            (_, 0) => refuse("a CoRIM without tags"),
            _ => Ok(Self { profile, validity, comids, other_tags }),
        }
    }
}

/// One of a CoRIM's tags, if it is a CoMID: its tag around a byte string or, in
/// the first drafts, inside it.
fn read_comid<'a>(reader: &mut Reader<'a>) -> Result<Option<Comid<'a>>> {
    let is_first = reader.is_bytes();
    let mut inner;
    let tag = if is_first {
        inner = reader.embedded()?.1;
        inner.tag()?
    } else {
        let tag = reader.tag()?;
        inner = reader.embedded()?.1;
        tag
    };
    match tag {
        tag::COMID => {
            let comid = Comid::read(&mut inner).map_err(|e| e.within("CoMID"))?;
            inner.finish()?;
            Ok(Some(comid))
        }
        _ => Ok(None),
    }
}

/// A CoRIM's or a CoMID's id: text or a UUID.
fn read_id(reader: &mut Reader<'_>) -> Result<()> {
    match reader.is_bytes() {
        true if reader.bytes()?.len() == 16 => Ok(()),
        true => refuse("an id that is neither text nor a UUID"),
        false => Ok(reader.text().map(drop)?),
    }
}

/// A URI; in the first drafts an array of them, of which PSA used one. An object
/// identifier is a profile that is not known here.
fn read_profile<'a>(reader: &mut Reader<'a>) -> Result<&'a str> {
    if reader.is_array() {
        let mut name = None;
        items(reader, |item| match name.replace(read_profile(item)?) {
            None => Ok(()),
            Some(_) => refuse("more than one profile"),
        })?;
        return name.ok_or(Refusal("no profile in the profile's list".into()));
    }
    match read_tagged(reader)? {
        Some(Tagged { tag: tag::URI, value: Content::Text(name) }) => Ok(name),
        Some(Tagged { value: Content::Bytes(_), .. }) => Ok("an object identifier"),
        Some(_) => refuse("a profile that is neither a URI nor an object identifier"),
        None => Ok(reader.text()?),
    }
}

impl<'a> Comid<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let (mut comid, mut has_identity, mut has_triples) = (Self::default(), false, false);
        entries(reader, |key, value| {
            match key {
                Key::Int(1) => {
                    let mut has_id = false;
                    entries(value, |key, value| {
                        if key == Key::Int(0) {
                            read_id(value)?;
                            has_id = true;
                        }
                        Ok(())
                    })?;
                    has_identity = has_id;
                }
                Key::Int(4) => {
                    has_triples = comid.read_triples(value).map_err(|e| e.within("triples"))?;
                }
                _ => {}
            }
            Ok(())
        })?;
        match (has_identity, has_triples) {
            (false, _) => refuse("no tag-identity"),
            (_, false) => refuse("no triples"),
            _ => Ok(comid),
        }
    }

    /// Whether there are any.
    fn read_triples(&mut self, reader: &mut Reader<'a>) -> Result<bool> {
        let mut any = false;
        entries(reader, |key, value| {
            any = true;
            match key {
                Key::Int(0) => items(value, |item| {
                    let triple = ReferenceTriple::read(item);
                    self.references.push(triple.map_err(|e| e.within("reference triple"))?);
                    Ok(())
                }),
                Key::Int(2) => items(value, |item| {
                    let triple = KeyTriple::read(item);
                    self.identity_keys.push(triple.map_err(|e| e.within("identity triple"))?);
                    Ok(())
                }),
                Key::Int(3) => items(value, |item| {
                    let triple = KeyTriple::read(item);
                    self.attest_keys.push(triple.map_err(|e| e.within("attest-key triple"))?);
                    Ok(())
                }),
                _ => items(value, |item| {
                    self.other_triples += 1;
                    Ok(item.skip()?)
                }),
            }
        })?;
        Ok(any)
    }
}

impl<'a> ReferenceTriple<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        if reader.array()? != 2 {
            return refuse("not a pair");
        }
        let environment = Environment::read(reader)?;
        let mut measurements = Vec::new();
        items(reader, |item| {
            measurements.push(Measurement::read(item).map_err(|e| e.within("measurement"))?);
            Ok(())
        })?;
        Ok(Self { environment, measurements })
    }
}

impl<'a> KeyTriple<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let length = reader.array()?;
        if !matches!(length, 2 | 3) {
            return refuse("neither a pair nor one with conditions");
        }
        let environment = Environment::read(reader)?;
        let keys = read_keys(reader)?;
        let has_conditions = length == 3;
        if has_conditions {
            reader.skip()?;
        }
        Ok(Self { environment, keys, has_conditions })
    }
}

impl<'a> Environment<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let mut environment = Self::default();
        let mut any = false;
        entries(reader, |key, value| {
            any = true;
            match key {
                Key::Int(0) => entries(value, |key, value| {
                    match key {
                        Key::Int(0) => environment.class_id = Some(read_must_be_tagged(value)?),
                        Key::Int(1 | 2) => drop(value.text()?),
                        Key::Int(3 | 4) => drop(value.int()?),
                        _ => {}
                    }
                    Ok(())
                })?,
                Key::Int(1) => environment.instance = Some(read_must_be_tagged(value)?),
                Key::Int(2) => environment.has_group = true,
                _ => {}
            }
            Ok(())
        })
        .map_err(|e| e.within("environment"))?;
        if any { Ok(environment) } else { refuse("an empty environment") }
    }
}

impl<'a> Measurement<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        let (mut measurement, mut any) = (Self::default(), false);
        entries(reader, |key, value| {
            match key {
                Key::Int(0) => measurement.element = Element::read(value)?,
                Key::Int(1) => entries(value, |key, value| {
                    any = true;
                    measurement.read_value(key, value)
                })?,
                Key::Int(2) => measurement.is_authorized = true,
                _ => measurement.has_others = true,
            }
            Ok(())
        })?;
        if any { Ok(measurement) } else { refuse("no values") }
    }

    fn read_value(&mut self, key: Key<'a>, value: &mut Reader<'a>) -> Result<()> {
        match key {
            Key::Int(0) => entries(value, |key, value| {
                match key {
                    Key::Int(0) => self.version = Some(value.text()?),
                    _ => self.has_version_scheme = true,
                }
                Ok(())
            })?,
            Key::Int(2) => items(value, |item| {
                self.digests.push(Digest::read(item).map_err(|e| e.within("digest"))?);
                Ok(())
            })?,
            Key::Int(11) => self.name = Some(value.text()?),
            Key::Int(13) => self.keys = read_keys(value)?,
            _ => self.has_others = true,
        }
        Ok(())
    }
}

impl<'a> Element<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        match peek_tag(reader) {
            None => Ok(reader.text().map_or(Self::Other, Self::Text)),
            Some(tag::PSA_REFERENCE_VALUE_ID) => {
                reader.tag()?;
                let (mut name, mut version, mut signer_id) = (None, None, None);
                entries(reader, |key, value| {
                    match key {
                        Key::Int(1) => name = Some(value.text()?),
                        Key::Int(4) => version = Some(value.text()?),
                        Key::Int(5) => signer_id = Some(value.bytes()?),
                        _ => return refuse("an unknown part of a reference value id"),
                    }
                    Ok(())
                })?;
                Ok(Self::Psa { name, version, signer_id })
            }
            Some(_) => Ok(Self::Other),
        }
    }
}

impl<'a> Digest<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self> {
        if reader.array()? != 2 {
            return refuse("not a pair");
        }
        let algorithm = match reader.key()? {
            Key::Int(number) => Algorithm::Number(number),
            Key::Text(name) => Algorithm::Name(name),
            _ => return refuse("an algorithm that is neither a number nor a name"),
        };
        Ok(Self { algorithm, value: reader.bytes()? })
    }
}

fn read_keys<'a>(reader: &mut Reader<'a>) -> Result<Vec<CryptoKey<'a>>> {
    let mut keys = Vec::new();
    items(reader, |item| {
        keys.push(match read_tagged(item)? {
            Some(tagged) => CryptoKey::Tagged(tagged),
            None => {
                let mut text = None;
                entries(item, |key, value| {
                    if key == Key::Int(0) {
                        text = Some(value.text()?);
                    }
                    Ok(())
                })?;
                CryptoKey::First(text.ok_or(Refusal("a key that is none".into()))?)
            }
        });
        Ok(())
    })
    .map_err(|e| e.within("keys"))?;
    Ok(keys)
}

fn read_must_be_tagged<'a>(reader: &mut Reader<'a>) -> Result<Tagged<'a>> {
    read_tagged(reader)?.ok_or(Refusal("an id without a tag".into()))
}

/// What stands under a tag, if there is one.
fn read_tagged<'a>(reader: &mut Reader<'a>) -> Result<Option<Tagged<'a>>> {
    let Some(tag) = peek_tag(reader) else { return Ok(None) };
    reader.tag()?;
    let (mut text, mut bytes) = (*reader, *reader);
    reader.skip()?;
    let value = match (bytes.bytes(), text.text()) {
        (Ok(bytes), _) => Content::Bytes(bytes),
        (_, Ok(text)) => Content::Text(text),
        _ => Content::Other,
    };
    Ok(Some(Tagged { tag, value }))
}

fn peek_tag(reader: &Reader<'_>) -> Option<u64> {
    let mut probe = *reader;
    probe.tag().ok()
}

fn expect_tag(reader: &mut Reader<'_>, tag: u64, otherwise: &str) -> Result<()> {
    if reader.tag()? == tag { Ok(()) } else { refuse(otherwise) }
}

/// Reads a map entry by entry and refuses a key that stands twice. What `read`
/// leaves of a value is passed over.
fn entries<'a>(
    reader: &mut Reader<'a>,
    mut read: impl FnMut(Key<'a>, &mut Reader<'a>) -> Result<()>,
) -> Result<()> {
    let mut seen = UnknownKeys::default();
    for _ in 0..reader.map()? {
        let at = reader.at();
        let key = reader.key()?;
        let mut value = *reader;
        seen.skip(reader, key, at)?;
        read(key, &mut value)?;
    }
    Ok(())
}

/// Reads an array of at least one item.
fn items<'a>(
    reader: &mut Reader<'a>,
    mut read: impl FnMut(&mut Reader<'a>) -> Result<()>,
) -> Result<()> {
    let start = *reader;
    let count = reader.array()?;
    if count == 0 {
        return Err(start.fault(Reason::Missing).into());
    }
    (0..count).try_for_each(|_| read(reader))
}

fn refuse<T>(reason: &str) -> Result<T> {
    Err(Refusal(reason.into()))
}

impl Refusal {
    pub(super) fn within(self, place: &str) -> Self {
        Self(format!("{place}: {}", self.0))
    }
}

impl From<cbor::Fault> for Refusal {
    fn from(fault: cbor::Fault) -> Self {
        Self(fault.to_string())
    }
}
