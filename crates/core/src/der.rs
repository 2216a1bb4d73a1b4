// SPDX-License-Identifier: Apache-2.0
//! The DER (X.690) that certificates and requests need: a strict reader that
//! borrows, and a writer into a slice.

use crate::error::{Error, Item};

/// Tag octets, class and constructed bit included.
pub mod tag {
    #![allow(missing_docs, reason = "the names are ASN.1's")]
    pub const BOOLEAN: u8 = 0x01;
    pub const INTEGER: u8 = 0x02;
    pub const BIT_STRING: u8 = 0x03;
    pub const OCTET_STRING: u8 = 0x04;
    pub const OBJECT_IDENTIFIER: u8 = 0x06;
    pub const UTF8_STRING: u8 = 0x0c;
    pub const PRINTABLE_STRING: u8 = 0x13;
    pub const UTC_TIME: u8 = 0x17;
    pub const GENERALIZED_TIME: u8 = 0x18;
    pub const SEQUENCE: u8 = 0x30;
    pub const SET: u8 = 0x31;
    pub const CONTEXT_0: u8 = 0xa0;
    pub const CONTEXT_3: u8 = 0xa3;
}

/// Reads elements one after another and knows where in the whole input it is.
///
/// Lengths are definite, minimal and below 2^16; tag numbers are below 31.
/// Errors are [`Error::Malformed`] with [`Item::Certificate`]; a bad length is
/// reported at its first octet, anything else where the wrong element starts.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    at: usize,
}

/// One element.
#[derive(Clone, Copy, Debug)]
pub struct Element<'a> {
    /// Its tag octet.
    pub tag: u8,
    /// All its octets.
    pub der: &'a [u8],
    /// A reader over its contents.
    pub value: Reader<'a>,
}

impl<'a> Reader<'a> {
    /// Reads from the start of the whole input.
    pub const fn new(input: &'a [u8]) -> Self {
        Self { rest: input, at: 0 }
    }

    /// What has not been read yet.
    pub const fn bytes(&self) -> &'a [u8] {
        self.rest
    }

    /// Offset into the whole input of what comes next.
    pub const fn at(&self) -> usize {
        self.at
    }

    /// The error that blames what comes next.
    pub const fn malformed(&self) -> Error {
        Error::Malformed { item: Item::Certificate, at: self.at as u32 }
    }

    /// Whether the next element has that tag.
    pub fn is_next(&self, tag: u8) -> bool {
        self.rest.first() == Some(&tag)
    }

    /// Reads an element of any tag.
    pub fn any(&mut self) -> Result<Element<'a>, Error> {
        let (tag, header_len, len) = match *self.rest {
            [tag, ..] if tag & 0x1f == 0x1f => return Err(self.malformed()),
            [tag, len @ ..=0x7f, ..] => (tag, 2, usize::from(len)),
            [tag, 0x81, len @ 0x80..=0xff, ..] => (tag, 3, usize::from(len)),
            [tag, 0x82, high @ 1..=0xff, low, ..] => {
                (tag, 4, usize::from(high) << 8 | usize::from(low))
            }
            [] => return Err(self.malformed()),
            _ => return Err(self.bad_length()),
        };
        let Some((der, rest)) = self.rest.split_at_checked(header_len + len) else {
            return Err(self.bad_length());
        };
        let (_, contents) = der.split_at_checked(header_len).unwrap_or_default();
        let value = Reader { rest: contents, at: self.at + header_len };
        *self = Reader { rest, at: self.at + der.len() };
        Ok(Element { tag, der, value })
    }

    /// Reads an element that must have that tag.
    pub fn element(&mut self, tag: u8) -> Result<Element<'a>, Error> {
        if self.is_next(tag) { self.any() } else { Err(self.malformed()) }
    }

    /// Reads an element that must have that tag; a reader over its contents.
    pub fn contents(&mut self, tag: u8) -> Result<Reader<'a>, Error> {
        Ok(self.element(tag)?.value)
    }

    /// Reads an INTEGER that is not negative, as big-endian bytes: one to
    /// `max_len` of them, without leading zeros except for the number 0.
    pub fn unsigned(&mut self, max_len: usize) -> Result<&'a [u8], Error> {
        let value = self.contents(tag::INTEGER)?;
        let magnitude = match value.rest {
            [0, magnitude @ ..] if matches!(magnitude, [0x80..=0xff, ..]) => magnitude,
            [0] | [1..=0x7f, ..] => value.rest,
            _ => return Err(value.malformed()),
        };
        if magnitude.len() <= max_len { Ok(magnitude) } else { Err(value.malformed()) }
    }

    /// Reads a BIT STRING of whole octets; a reader over these.
    pub fn octets(&mut self) -> Result<Reader<'a>, Error> {
        let value = self.contents(tag::BIT_STRING)?;
        match value.rest {
            [0, rest @ ..] => Ok(Reader { rest, at: value.at + 1 }),
            _ => Err(value.malformed()),
        }
    }

    /// Reads a BOOLEAN with DEFAULT FALSE, which DER omits unless it is TRUE.
    pub fn default_false(&mut self) -> Result<bool, Error> {
        if !self.is_next(tag::BOOLEAN) {
            return Ok(false);
        }
        let value = self.contents(tag::BOOLEAN)?;
        if value.rest == [0xff] { Ok(true) } else { Err(value.malformed()) }
    }

    /// Refuses anything left over.
    pub const fn finish(&self) -> Result<(), Error> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.malformed()) }
    }

    const fn bad_length(&self) -> Error {
        Error::Malformed { item: Item::Certificate, at: self.at as u32 + 1 }
    }
}

/// Writes elements into a slice.
///
/// Past the slice's end it only counts, so that a run over an empty slice
/// tells the length needed. Bodies are at most 2^16 - 1 bytes long.
#[derive(Debug)]
pub struct Writer<'s> {
    out: &'s mut [u8],
    len: usize,
}

/// An element whose contents are being written.
#[derive(Debug)]
#[must_use = "an element must be closed"]
pub struct Open {
    contents: usize,
}

impl<'s> Writer<'s> {
    /// Writes from the start of `out`.
    pub const fn new(out: &'s mut [u8]) -> Self {
        Self { out, len: 0 }
    }

    /// Bytes written, or that would have been written had there been room.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was written yet.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What was written from offset `from` on; nothing if it did not fit.
    pub fn written(&self, from: usize) -> &[u8] {
        self.out.get(from..self.len).unwrap_or_default()
    }

    /// All that was written, for as long as the slice lives, or
    /// [`Error::BufferTooSmall`] with the length needed.
    pub fn finish(self) -> Result<&'s [u8], Error> {
        let needed = self.len as u32;
        let out: &'s [u8] = self.out;
        out.get(..self.len).ok_or(Error::BufferTooSmall { needed })
    }

    /// Writes bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        let from = self.len;
        self.len += bytes.len();
        if let Some(room) = self.out.get_mut(from..self.len) {
            copy(room, bytes);
        }
    }

    /// Writes an element.
    pub fn element(&mut self, tag: u8, contents: &[u8]) {
        let element = self.open(tag);
        self.raw(contents);
        self.close(element);
    }

    /// Writes an INTEGER that is not negative, from big-endian bytes.
    pub fn unsigned(&mut self, number: &[u8]) {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        let magnitude = number.get(zeros..).unwrap_or_default();
        let element = self.open(tag::INTEGER);
        // A sign octet, which is also the number 0 itself.
        if magnitude.first().is_none_or(|byte| *byte >= 0x80) {
            self.raw(&[0]);
        }
        self.raw(magnitude);
        self.close(element);
    }

    /// Starts an element; what is written until [`Writer::close`] is its contents.
    pub fn open(&mut self, tag: u8) -> Open {
        self.raw(&[tag, 0]);
        Open { contents: self.len }
    }

    /// Ends an element: writes its length and moves its contents where that
    /// takes more than the one octet left for it.
    pub fn close(&mut self, element: Open) {
        let contents = element.contents..self.len;
        let [high, low] = (contents.len() as u16).to_be_bytes();
        let long = [0x80 | if high == 0 { 1 } else { 2 }, high, low];
        let length: &[u8] = match long {
            [_, 0, ..=0x7f] => &[low],
            [_, 0, _] => &[0x81, low],
            _ => &long,
        };
        self.len += length.len() - 1;
        if let Some(room) = self.out.get_mut(element.contents - 1..self.len) {
            // Backwards, as the contents move up into themselves.
            for to in (length.len()..room.len()).rev() {
                let moved = room.get(to + 1 - length.len()).copied().unwrap_or_default();
                if let Some(byte) = room.get_mut(to) {
                    *byte = moved;
                }
            }
            copy(room, length);
        }
    }
}

/// Copies as much as both have; unlike `copy_from_slice`, it cannot panic.
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}
