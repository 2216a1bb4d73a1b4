// SPDX-License-Identifier: Apache-2.0
//! Names, compared as RFC 5280, 7.1 wants it: without regard to case, to the
//! string type, and to white space around and within.

use unicode_normalization::UnicodeNormalization;

use crate::der::{Element, Malformed, Reader, tag};

/// A Name, ready to be compared: its RelativeDistinguishedNames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name(Vec<Vec<Attribute>>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Attribute {
    /// The contents of its object identifier.
    kind: Vec<u8>,
    value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    /// Folded.
    Text(String),
    /// As encoded.
    Other(Vec<u8>),
}

/// pkcs-9-at-emailAddress, 1.2.840.113549.1.9.1
const EMAIL_ADDRESS: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1];

const NUMERIC_STRING: u8 = 0x12;
const TELETEX_STRING: u8 = 0x14;
const IA5_STRING: u8 = 0x16;
const VISIBLE_STRING: u8 = 0x1a;
const UNIVERSAL_STRING: u8 = 0x1c;
const BMP_STRING: u8 = 0x1e;

impl Name {
    /// Reads a Name, whole.
    pub(super) fn read(der: &[u8]) -> Result<Self, Malformed> {
        let mut name = Reader::sequence(der)?;
        let mut read = Self(Vec::new());
        while !name.is_at_end() {
            read.push(name.contents(tag::SET)?)?;
        }
        Ok(read)
    }

    /// Puts the contents of one more RelativeDistinguishedName behind it.
    pub(super) fn push(&mut self, relative: &[u8]) -> Result<(), Malformed> {
        let mut set = Reader::new(relative);
        let mut attributes = Vec::new();
        while !set.is_at_end() {
            let mut fields = set.within(tag::SEQUENCE)?;
            let kind = fields.contents(tag::OBJECT_IDENTIFIER)?.to_vec();
            let value = Value::of(fields.any()?);
            fields.finish()?;
            attributes.push(Attribute { kind, value });
        }
        if attributes.is_empty() {
            return Err(Malformed);
        }
        attributes.sort();
        self.0.push(attributes);
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the name is that one or lies below it.
    pub(super) fn is_within(&self, subtree: &Self) -> bool {
        self.0.starts_with(&subtree.0)
    }
}

/// Whether two Names, whole, are the same.
pub(super) fn is_same(one: &[u8], other: &[u8]) -> bool {
    one == other
        || matches!((Name::read(one), Name::read(other)), (Ok(one), Ok(other)) if one == other)
}

/// The e-mail addresses among a Name's attributes.
pub(super) fn email_addresses(der: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    let mut found = Vec::new();
    let mut name = Reader::sequence(der)?;
    while !name.is_at_end() {
        let mut set = name.within(tag::SET)?;
        while !set.is_at_end() {
            let mut fields = set.within(tag::SEQUENCE)?;
            let kind = fields.contents(tag::OBJECT_IDENTIFIER)?;
            let value = fields.any()?;
            if kind == EMAIL_ADDRESS {
                found.push(value.contents);
            }
        }
    }
    Ok(found)
}

impl Value {
    fn of(element: Element<'_>) -> Self {
        let contents = element.contents;
        let text: Option<String> = match element.tag {
            tag::UTF8_STRING => str::from_utf8(contents).ok().map(str::to_owned),
            tag::PRINTABLE_STRING | NUMERIC_STRING | IA5_STRING | VISIBLE_STRING => {
                str::from_utf8(contents).ok().filter(|text| text.is_ascii()).map(str::to_owned)
            }
            // In practice it is Latin-1.
            TELETEX_STRING => Some(contents.iter().copied().map(char::from).collect()),
            BMP_STRING => match contents.as_chunks() {
                (units, []) => char::decode_utf16(units.iter().copied().map(u16::from_be_bytes))
                    .collect::<Result<_, _>>()
                    .ok(),
                _ => None,
            },
            UNIVERSAL_STRING => match contents.as_chunks() {
                (units, []) => units
                    .iter()
                    .copied()
                    .map(|unit| char::from_u32(u32::from_be_bytes(unit)))
                    .collect(),
                _ => None,
            },
            _ => None,
        };
        text.map_or_else(|| Self::Other(element.whole.to_vec()), |text| Self::Text(fold(&text)))
    }
}

/// Text as it is compared (RFC 4518): normalised, in one case, without white
/// space around it, and one space where there are several.
fn fold(text: &str) -> String {
    let folded: String = match text.is_ascii() {
        true => text.to_ascii_lowercase(),
        // Twice: some letters have no one counterpart in the other case.
        false => text.nfkc().collect::<String>().to_uppercase().to_lowercase().nfkc().collect(),
    };
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(kind: u8, text: &[u8]) -> Vec<u8> {
        let attribute = [&[0x06, 3, 0x55, 4, 3, kind, text.len() as u8], text].concat();
        [0x30, 0x31, 0x30]
            .iter()
            .rfold(attribute, |inner, &tag| [&[tag, inner.len() as u8], &inner[..]].concat())
    }

    #[test]
    fn compares_without_case_type_and_white_space() {
        let plain = name(tag::PRINTABLE_STRING, b"Acme Inc");
        for other in [
            name(tag::UTF8_STRING, b"Acme Inc"),
            name(tag::UTF8_STRING, b"  ACME   inc "),
            name(TELETEX_STRING, b"acme inc"),
            name(BMP_STRING, b"\0A\0C\0M\0E\0 \0i\0n\0c"),
        ] {
            assert!(is_same(&plain, &other), "{other:x?}");
        }
        for other in [
            name(tag::UTF8_STRING, b"AcmeInc"),
            name(tag::UTF8_STRING, b"Acme Inc."),
            name(tag::OCTET_STRING, b"Acme Inc"),
            name(tag::UTF8_STRING, b"Acme\xff Inc"),
            vec![0x30, 0],
        ] {
            assert!(!is_same(&plain, &other), "{other:x?}");
        }
        // Composed and decomposed; sharp s and ss.
        let composed = name(tag::UTF8_STRING, "Gr\u{fc}\u{df}e".as_bytes());
        assert!(is_same(&composed, &name(tag::UTF8_STRING, "GRU\u{308}SSE".as_bytes())));
        assert!(is_same(&composed, &name(TELETEX_STRING, b"gr\xfc\xdfe")));
    }
}
