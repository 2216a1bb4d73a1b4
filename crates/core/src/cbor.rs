// SPDX-License-Identifier: Apache-2.0
//! A strict, bounded CBOR reader (RFC 8949): definite lengths only, borrowed
//! results, no recursion. Non-preferred heads are tolerated, as RFC 9783, 4.1
//! asks of a receiver.

use core::fmt;

/// Deepest nesting skipped in a value that nobody asked for.
pub const MAX_DEPTH: usize = 16;

/// Most unknown keys in one map: 256, on a device 32. They are kept only to
/// refuse repeats, on the stack.
pub const MAX_UNKNOWN_KEYS: usize = if cfg!(target_os = "none") { 32 } else { 256 };

/// What is wrong with the input, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub reason: Reason,
    /// Offset of the first offending byte, from the start of the document.
    pub at: u32,
}

/// Why bytes are not the token they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// The input ends inside an item.
    Truncated = 1,
    /// Bytes follow the item.
    Trailing = 2,
    /// A reserved or otherwise ill-formed head (RFC 8949, appendix F).
    IllFormed = 3,
    /// An indefinite length.
    Indefinite = 4,
    /// Nested deeper than [`MAX_DEPTH`].
    TooDeep = 5,
    /// More entries than are read.
    TooMany = 6,
    /// A key stands twice in a map, or in both header maps.
    Duplicate = 7,
    /// Text that is not UTF-8.
    Utf8 = 8,
    /// Another type than is wanted here.
    Type = 9,
    /// An integer outside its range.
    Range = 10,
    /// Not tagged as COSE_Sign1 (18) or COSE_Mac0 (17).
    Tag = 11,
    /// The payload is detached.
    Detached = 12,
    /// `crit` names a header that is not understood, or stands where it must not.
    Critical = 13,
    /// The profile is none of those known, or contradicts the claim keys.
    UnknownProfile = 14,
    /// Claim keys of two generations.
    MixedGenerations = 15,
    /// A mandatory claim is missing.
    Missing = 16,
    /// A string of a length that is not allowed.
    Length = 17,
    /// A value that is not allowed.
    Value = 18,
}

impl Reason {
    /// The reason in words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Trailing => "trailing bytes",
            Self::IllFormed => "ill-formed CBOR",
            Self::Indefinite => "indefinite length",
            Self::TooDeep => "nested too deep",
            Self::TooMany => "too many entries",
            Self::Duplicate => "duplicate key",
            Self::Utf8 => "not UTF-8",
            Self::Type => "wrong type",
            Self::Range => "integer out of range",
            Self::Tag => "neither COSE_Sign1 nor COSE_Mac0",
            Self::Detached => "detached payload",
            Self::Critical => "critical header not understood",
            Self::UnknownProfile => "unknown profile",
            Self::MixedGenerations => "claim keys of two generations",
            Self::Missing => "missing",
            Self::Length => "wrong length",
            Self::Value => "value not allowed",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.reason.name(), self.at)
    }
}

/// Reads items one after the other. Offsets count from the start of the
/// document, also in a reader of an embedded one.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    input: &'a [u8],
    at: usize,
}

/// The key of a map entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    /// An integer.
    Int(i64),
    /// Text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Anything else, as encoded.
    Other(&'a [u8]),
}

/// The unknown keys met so far in a map, by offset.
#[derive(Clone, Copy, Debug)]
pub struct UnknownKeys {
    at: [u32; MAX_UNKNOWN_KEYS],
    len: usize,
}

impl Default for UnknownKeys {
    fn default() -> Self {
        Self { at: [0; MAX_UNKNOWN_KEYS], len: 0 }
    }
}

/// Major type and argument (RFC 8949, 3).
struct Head {
    major: u8,
    value: u64,
}

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;
const SIMPLE: u8 = 7;

impl<'a> Reader<'a> {
    /// Reads from the start.
    pub const fn new(input: &'a [u8]) -> Self {
        Self { input, at: 0 }
    }

    /// Reads from an offset.
    pub const fn starting_at(input: &'a [u8], at: usize) -> Self {
        Self { input, at }
    }

    /// Where the next item starts.
    pub const fn at(&self) -> usize {
        self.at
    }

    /// A fault at the next item.
    pub const fn fault(&self, reason: Reason) -> Fault {
        Fault { reason, at: self.at as u32 }
    }

    /// Refuses bytes after the last item.
    pub fn finish(&self) -> Result<(), Fault> {
        if self.at < self.input.len() { Err(self.fault(Reason::Trailing)) } else { Ok(()) }
    }

    /// A byte string.
    pub fn bytes(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.expect(BYTES)?;
        self.take(length)
    }

    /// A byte string that itself holds CBOR: its content, and a reader for it.
    pub fn embedded(&mut self) -> Result<(&'a [u8], Reader<'a>), Fault> {
        let content = self.bytes()?;
        let input = self.input.get(..self.at).unwrap_or(self.input);
        Ok((content, Reader { input, at: self.at.saturating_sub(content.len()) }))
    }

    /// A text string.
    pub fn text(&mut self) -> Result<&'a str, Fault> {
        let length = self.expect(TEXT)?;
        self.utf8(length)
    }

    /// An integer.
    #[inline(never)]
    pub fn int(&mut self) -> Result<i64, Fault> {
        let start = *self;
        let Head { major, value } = self.head()?;
        let value = i64::try_from(value).map_err(|_| start.fault(Reason::Range))?;
        match major {
            UNSIGNED => Ok(value),
            NEGATIVE => Ok(!value),
            _ => Err(start.fault(Reason::Type)),
        }
    }

    /// A truth value.
    pub fn bool(&mut self) -> Result<bool, Fault> {
        let start = *self;
        // A number as wide as 21 is a float, so the head alone does not tell.
        let first = self.input.get(self.at).copied();
        self.head()?;
        match first {
            Some(0xf4) => Ok(false),
            Some(0xf5) => Ok(true),
            _ => Err(start.fault(Reason::Type)),
        }
    }

    /// An array's head: the number of items that follow.
    pub fn array(&mut self) -> Result<u64, Fault> {
        self.expect(ARRAY)
    }

    /// A map's head: the number of key-value pairs that follow.
    pub fn map(&mut self) -> Result<u64, Fault> {
        self.expect(MAP)
    }

    /// A tag.
    pub fn tag(&mut self) -> Result<u64, Fault> {
        self.expect(TAG)
    }

    /// A map's key.
    pub fn key(&mut self) -> Result<Key<'a>, Fault> {
        let start = *self;
        let Head { major, value } = self.head()?;
        Ok(match (major, i64::try_from(value)) {
            (UNSIGNED, Ok(value)) => Key::Int(value),
            (NEGATIVE, Ok(value)) => Key::Int(!value),
            (BYTES, _) => Key::Bytes(self.take(value)?),
            (TEXT, _) => Key::Text(self.utf8(value)?),
            _ => {
                *self = start;
                self.skip()?;
                Key::Other(self.input.get(start.at..self.at).unwrap_or_default())
            }
        })
    }

    /// Whether the next item is a byte string.
    pub fn is_bytes(&self) -> bool {
        self.next_major() == Some(BYTES)
    }

    /// Whether the next item is text.
    pub fn is_text(&self) -> bool {
        self.next_major() == Some(TEXT)
    }

    /// Whether the next item is an array.
    pub fn is_array(&self) -> bool {
        self.next_major() == Some(ARRAY)
    }

    /// Whether the next item is `null`.
    pub fn is_null(&self) -> bool {
        self.input.get(self.at) == Some(&0xf6)
    }

    /// Passes over one item, whatever it holds, [`MAX_DEPTH`] deep at most.
    pub fn skip(&mut self) -> Result<(), Fault> {
        self.pass(|reader, length| reader.utf8(length).map(|_| ()))
    }

    /// The same for an item whose text is read later, or by nobody here.
    pub(crate) fn skip_unread(&mut self) -> Result<(), Fault> {
        self.pass(|reader, length| reader.take(length).map(|_| ()))
    }

    fn pass(&mut self, text: fn(&mut Self, u64) -> Result<(), Fault>) -> Result<(), Fault> {
        // Items still to come at each open level.
        let mut open = [0u64; MAX_DEPTH];
        let mut depth = 0usize;
        loop {
            let start = *self;
            let Head { major, value } = self.head()?;
            let items = match major {
                BYTES => self.take(value).map(|_| 0)?,
                TEXT => text(self, value).map(|()| 0)?,
                ARRAY => value,
                // Cannot wrap: `head` bounds counts by the bytes left.
                MAP => value.saturating_mul(2),
                TAG => 1,
                _ => 0,
            };
            if items > 0 {
                *open.get_mut(depth).ok_or_else(|| start.fault(Reason::TooDeep))? = items;
                depth = depth.saturating_add(1);
                continue;
            }
            // The item is complete, and with it perhaps those around it.
            loop {
                let Some(left) = depth.checked_sub(1).and_then(|top| open.get_mut(top)) else {
                    return Ok(());
                };
                *left = left.saturating_sub(1);
                if *left > 0 {
                    break;
                }
                depth = depth.saturating_sub(1);
            }
        }
    }

    fn next_major(&self) -> Option<u8> {
        self.input.get(self.at).map(|initial| initial >> 5)
    }

    fn expect(&mut self, major: u8) -> Result<u64, Fault> {
        let start = *self;
        let head = self.head()?;
        if head.major == major { Ok(head.value) } else { Err(start.fault(Reason::Type)) }
    }

    fn head(&mut self) -> Result<Head, Fault> {
        let start = *self;
        let truncated = start.fault(Reason::Truncated);
        let rest = self.input.get(self.at..).unwrap_or_default();
        let (&initial, rest) = rest.split_first().ok_or(truncated)?;
        let (major, info) = (initial >> 5, initial & 0x1f);
        let width = match info {
            0..=23 => 0,
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            31 => return Err(start.fault(Reason::Indefinite)),
            _ => return Err(start.fault(Reason::IllFormed)),
        };
        let (argument, rest) = rest.split_at_checked(width).ok_or(truncated)?;
        let value = match width {
            0 => u64::from(info),
            _ => argument.iter().fold(0, |value, &byte| value << 8 | u64::from(byte)),
        };
        // Every item takes a byte at least: no count can exceed the bytes left.
        let least = match major {
            ARRAY => value,
            MAP => value.saturating_mul(2),
            TAG => 1,
            SIMPLE if info == 24 && value < 32 => return Err(start.fault(Reason::IllFormed)),
            _ => 0,
        };
        if least > rest.len() as u64 {
            return Err(truncated);
        }
        self.at = self.input.len().saturating_sub(rest.len());
        Ok(Head { major, value })
    }

    #[inline(never)]
    fn take(&mut self, length: u64) -> Result<&'a [u8], Fault> {
        let taken = usize::try_from(length)
            .ok()
            .and_then(|length| self.input.get(self.at..)?.get(..length))
            .ok_or(self.fault(Reason::Truncated))?;
        self.at = self.at.saturating_add(taken.len());
        Ok(taken)
    }

    fn utf8(&mut self, length: u64) -> Result<&'a str, Fault> {
        let fault = self.fault(Reason::Utf8);
        core::str::from_utf8(self.take(length)?).map_err(|_| fault)
    }
}

impl UnknownKeys {
    /// Passes over the value of an unknown key that started at `at`, and
    /// refuses the key where it was met before.
    pub fn skip(&mut self, reader: &mut Reader<'_>, key: Key<'_>, at: usize) -> Result<(), Fault> {
        let fault = |reason| Fault { reason, at: at as u32 };
        for &earlier in self.at.iter().take(self.len) {
            let earlier = Reader { input: reader.input, at: earlier as usize }.key()?;
            if earlier == key {
                return Err(fault(Reason::Duplicate));
            }
        }
        *self.at.get_mut(self.len).ok_or(fault(Reason::TooMany))? = at as u32;
        self.len = self.len.saturating_add(1);
        reader.skip()
    }
}

/// Puts a value where none was; two are a duplicate key.
pub(crate) fn set_once<T>(slot: &mut Option<T>, value: T, at: usize) -> Result<(), Fault> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Fault { reason: Reason::Duplicate, at: at as u32 }),
    }
}

/// The head of a byte string or array of that length, preferred encoding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadBytes {
    bytes: [u8; 5],
    len: u8,
}

impl HeadBytes {
    pub(crate) fn bytes(length: usize) -> Self {
        Self::new(BYTES, length)
    }

    pub(crate) fn array(length: usize) -> Self {
        Self::new(ARRAY, length)
    }

    fn new(major: u8, length: usize) -> Self {
        let major = major << 5;
        let [a, b, c, d] = (length as u32).to_be_bytes();
        let (bytes, len) = match length {
            0..=23 => ([major | d, 0, 0, 0, 0], 1),
            24..=0xff => ([major | 24, d, 0, 0, 0], 2),
            0x100..=0xffff => ([major | 25, c, d, 0, 0], 3),
            _ => ([major | 26, a, b, c, d], 5),
        };
        Self { bytes, len }
    }

    #[inline(never)]
    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        usize::from(self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skip(input: &[u8]) -> Result<usize, Reason> {
        let mut reader = Reader::new(input);
        reader.skip().map_err(|fault| fault.reason)?;
        Ok(reader.at())
    }

    #[test]
    fn skips_exactly_one_item() {
        for item in [
            &[0x00][..],
            &[0x1b, 0, 0, 0, 0, 0, 0, 0, 1],
            &[0x42, 1, 2],
            &[0x62, b'a', b'b'],
            &[0x82, 0x80, 0xa1, 0x01, 0x02],
            &[0xc1, 0xc2, 0x40],
            &[0xf9, 0, 0],
            &[0xf8, 32],
            &[0xf6],
        ] {
            assert_eq!(skip(item), Ok(item.len()));
            let mut followed = [0xff; 16];
            followed[..item.len()].copy_from_slice(item);
            assert_eq!(skip(&followed), Ok(item.len()));
            for end in 0..item.len() {
                assert_eq!(skip(&item[..end]), Err(Reason::Truncated));
            }
        }
    }

    #[test]
    fn refuses_one_level_too_many() {
        let mut nested = [0x81; MAX_DEPTH + 1];
        nested[MAX_DEPTH] = 0;
        assert_eq!(skip(&nested), Ok(MAX_DEPTH + 1));
        let mut deeper = [0x81; MAX_DEPTH + 2];
        deeper[MAX_DEPTH + 1] = 0;
        assert_eq!(skip(&deeper), Err(Reason::TooDeep));
        assert_eq!(skip(&[0xc1; 4096]), Err(Reason::TooDeep));
    }

    #[test]
    fn refuses_lengths_beyond_the_input() {
        for bomb in [
            [0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            [0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            [0xbb, 0x80, 0, 0, 0, 0, 0, 0, 0],
        ] {
            assert_eq!(skip(&bomb), Err(Reason::Truncated));
        }
    }

    #[test]
    fn refuses_indefinite_and_reserved_heads() {
        assert_eq!(skip(&[0x9f, 0xff]), Err(Reason::Indefinite));
        assert_eq!(skip(&[0xff]), Err(Reason::Indefinite));
        assert_eq!(skip(&[0x1c]), Err(Reason::IllFormed));
        assert_eq!(skip(&[0xf8, 31]), Err(Reason::IllFormed));
        assert_eq!(skip(&[0x61, 0x80]), Err(Reason::Utf8));
    }

    #[test]
    fn reads_integers_in_any_width_and_to_the_limits() {
        assert_eq!(Reader::new(&[0x18, 5]).int(), Ok(5));
        assert_eq!(Reader::new(&[0x3a, 0, 1, 0x24, 0xf7]).int(), Ok(-75000));
        let least = [0x3b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(Reader::new(&least).int(), Ok(i64::MIN));
        let below = [0x3b, 0x80, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(Reader::new(&below).int().unwrap_err().reason, Reason::Range);
    }

    #[test]
    fn truth_values_are_not_numbers() {
        assert_eq!(Reader::new(&[0xf4]).bool(), Ok(false));
        assert_eq!(Reader::new(&[0xf5]).bool(), Ok(true));
        for other in [&[0xf6][..], &[0x15], &[0xf8, 0x21], &[0xf9, 0x00, 0x15]] {
            assert_eq!(Reader::new(other).bool().unwrap_err().reason, Reason::Type);
        }
    }

    #[test]
    fn refuses_an_unknown_key_twice_in_another_width() {
        let input = [0x05, 0x00, 0x18, 0x05, 0x00];
        let mut reader = Reader::new(&input);
        let mut unknown = UnknownKeys::default();
        let key = reader.key().unwrap();
        assert_eq!(unknown.skip(&mut reader, key, 0), Ok(()));
        let at = reader.at();
        let key = reader.key().unwrap();
        let fault = unknown.skip(&mut reader, key, at).unwrap_err();
        assert_eq!(fault, Fault { reason: Reason::Duplicate, at: 2 });
    }
}
