// SPDX-License-Identifier: Apache-2.0
//! The DER (X.690) that certificates and requests need: a strict reader that
//! borrows, and a writer into a slice.

use core::mem;

use crate::bytes::{copy, move_down, move_up};
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

/// Reads elements one after another, descends into them, and knows where in the
/// whole input it is.
///
/// Lengths are definite, minimal and below 2^16; tag numbers are below 31. A
/// reader that stopped keeps the reason, so that the many small steps of a parser
/// return in registers; `docs/adr/0002-own-der.md` has the figures.
#[derive(Debug)]
pub struct Reader<'a> {
    input: &'a [u8],
    at: usize,
    end: usize,
    error: Error,
}

/// A reader met an error; [`Reader::error`] says which.
#[derive(Clone, Copy, Debug)]
pub struct Stop;

/// An element that was entered: where the one around it ends.
#[derive(Debug)]
#[must_use = "an element must be left"]
pub struct Outer {
    end: usize,
}

impl<'a> Reader<'a> {
    /// Reads from the start of the whole input.
    #[inline(never)]
    pub const fn new(input: &'a [u8]) -> Self {
        Self { input, at: 0, end: input.len(), error: malformed(0) }
    }

    /// Why reading stopped: [`Error::Malformed`] with [`Item::Certificate`], or
    /// what was given to [`Reader::refuse`]. A bad length is reported at its first
    /// octet, anything else where the wrong element or contents start.
    pub const fn error(&self) -> Error {
        self.error
    }

    /// Stops for a reason of the caller's.
    pub const fn refuse(&mut self, error: Error) -> Stop {
        self.error = error;
        Stop
    }

    /// Stops because of what stands at that offset.
    pub const fn malformed(&mut self, at: usize) -> Stop {
        self.refuse(malformed(at))
    }

    /// Offset into the whole input of what comes next.
    pub const fn at(&self) -> usize {
        self.at
    }

    /// How much of the element at hand was not read yet, in bytes.
    pub const fn remaining(&self) -> usize {
        self.end.saturating_sub(self.at)
    }

    /// Whether the element at hand was read to its end.
    pub const fn is_at_end(&self) -> bool {
        self.remaining() == 0
    }

    /// Passes over what remains of the element at hand.
    pub const fn skip(&mut self) {
        self.at = self.end;
    }

    /// Whether the next element has that tag.
    pub fn is_next(&self, tag: u8) -> bool {
        self.rest().first() == Some(&tag)
    }

    /// Starts to read within the next element, which must have that tag.
    pub fn enter(&mut self, tag: u8) -> Result<Outer, Stop> {
        let end = self.header(tag)?;
        Ok(Outer { end: mem::replace(&mut self.end, end) })
    }

    /// Ends reading within an element, and refuses anything left over in it.
    pub const fn leave(&mut self, outer: Outer) -> Result<(), Stop> {
        if !self.is_at_end() {
            return Err(self.malformed(self.at));
        }
        self.end = outer.end;
        Ok(())
    }

    /// Enters a BIT STRING of whole octets.
    pub fn enter_bits(&mut self) -> Result<Outer, Stop> {
        let outer = self.enter(tag::BIT_STRING)?;
        if !self.is_next(0) {
            return Err(self.malformed(self.at));
        }
        self.at += 1;
        Ok(outer)
    }

    /// Refuses anything left over in the whole input.
    pub const fn finish(&self) -> Result<(), Error> {
        if self.is_at_end() { Ok(()) } else { Err(malformed(self.at)) }
    }

    /// Reads an element, which must have that tag: all its octets.
    pub fn element(&mut self, tag: u8) -> Result<&'a [u8], Stop> {
        let from = self.at;
        self.at = self.header(tag)?;
        Ok(self.since(from))
    }

    /// Reads an element, which must have that tag: its contents.
    pub fn contents(&mut self, tag: u8) -> Result<&'a [u8], Stop> {
        let end = self.header(tag)?;
        let from = mem::replace(&mut self.at, end);
        Ok(self.since(from))
    }

    /// Reads an element of any tag: tag and contents.
    pub fn any(&mut self) -> Result<(u8, &'a [u8]), Stop> {
        match self.rest().first() {
            Some(&tag) if tag & 0x1f != 0x1f => Ok((tag, self.contents(tag)?)),
            _ => Err(self.malformed(self.at)),
        }
    }

    /// The octets read from that offset on.
    pub fn since(&self, from: usize) -> &'a [u8] {
        self.input.get(from..self.at).unwrap_or_default()
    }

    /// Reads an INTEGER that is not negative, as big-endian bytes: one to
    /// `max_len` of them, without leading zeros except for the number 0.
    pub fn unsigned(&mut self, max_len: usize) -> Result<&'a [u8], Stop> {
        let value = self.contents(tag::INTEGER)?;
        let magnitude = match value {
            [0, magnitude @ ..] if matches!(magnitude, [0x80..=0xff, ..]) => magnitude,
            [0] | [1..=0x7f, ..] => value,
            _ => &[],
        };
        if (1..=max_len).contains(&magnitude.len()) {
            Ok(magnitude)
        } else {
            Err(self.malformed(self.at - value.len()))
        }
    }

    /// Reads a BOOLEAN with DEFAULT FALSE, which DER omits unless it is TRUE.
    pub fn default_false(&mut self) -> Result<bool, Stop> {
        if !self.is_next(tag::BOOLEAN) {
            return Ok(false);
        }
        match self.contents(tag::BOOLEAN)? {
            [0xff] => Ok(true),
            value => Err(self.malformed(self.at - value.len())),
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.input.get(self.at..self.end).unwrap_or_default()
    }

    /// Reads a tag, which must be that one, and a length. Returns where the
    /// contents end.
    fn header(&mut self, tag: u8) -> Result<usize, Stop> {
        let rest = self.rest();
        if rest.first() != Some(&tag) {
            return Err(self.malformed(self.at));
        }
        let (header_len, len) = match *rest {
            [_, len @ ..=0x7f, ..] => (2, usize::from(len)),
            [_, 0x81, len @ 0x80..=0xff, ..] => (3, usize::from(len)),
            [_, 0x82, high @ 1..=0xff, low, ..] => (4, usize::from(high) << 8 | usize::from(low)),
            _ => (usize::MAX, 0),
        };
        if rest.len().checked_sub(header_len).is_none_or(|room| room < len) {
            return Err(self.malformed(self.at + 1));
        }
        self.at += header_len;
        Ok(self.at + len)
    }
}

const fn malformed(at: usize) -> Error {
    Error::malformed(Item::Certificate, at)
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
        let out: &'s [u8] = self.out;
        out.get(..self.len).ok_or(Error::needs(self.len))
    }

    /// Writes bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        let from = self.len;
        self.len += bytes.len();
        if let Some(room) = self.out.get_mut(from..self.len) {
            copy(room, bytes);
        }
    }

    /// Writes `len` bytes that lie further behind in the same slice, at `from`.
    pub(crate) fn take(&mut self, from: usize, len: usize) {
        move_down(self.out, from, self.len, len);
        self.len += len;
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
            move_up(room, 1, length.len(), contents.len());
            copy(room, length);
        }
    }
}
