// SPDX-License-Identifier: Apache-2.0
//! DER (X.690) as large as files are: CRLs pass the 64 KB that the device's
//! reader takes. Lengths are definite, minimal and below 2^32; tag numbers are
//! below 31.

pub(crate) use devid_core::der::tag;

/// The bytes are not the DER that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Reads elements one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

/// One element.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) contents: &'a [u8],
    /// Tag, length and contents.
    pub(crate) whole: &'a [u8],
}

/// A context-specific tag of a primitive type.
pub(crate) const fn primitive(number: u8) -> u8 {
    0x80 | number
}

/// A context-specific tag of a constructed type.
pub(crate) const fn constructed(number: u8) -> u8 {
    0xa0 | number
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(input: &'a [u8]) -> Self {
        Self { rest: input }
    }

    pub(crate) const fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Refuses bytes after the last element.
    pub(crate) const fn finish(&self) -> Result<(), Malformed> {
        if self.is_at_end() { Ok(()) } else { Err(Malformed) }
    }

    pub(crate) fn is_next(&self, tag: u8) -> bool {
        self.rest.first() == Some(&tag)
    }

    /// An element of any tag.
    pub(crate) fn any(&mut self) -> Result<Element<'a>, Malformed> {
        let (&tag, after_tag) = self.rest.split_first().ok_or(Malformed)?;
        if tag & 0x1f == 0x1f {
            return Err(Malformed);
        }
        let (&first, mut after_length) = after_tag.split_first().ok_or(Malformed)?;
        let length = match first {
            0..=0x7f => usize::from(first),
            0x81..=0x84 => {
                let octets;
                (octets, after_length) =
                    after_length.split_at_checked(usize::from(first & 0x7f)).ok_or(Malformed)?;
                let length =
                    octets.iter().fold(0, |length, &octet| length << 8 | usize::from(octet));
                // Minimal: the first octet counts, and the short form would not do.
                if octets.first() == Some(&0) || length < 0x80 {
                    return Err(Malformed);
                }
                length
            }
            _ => return Err(Malformed),
        };
        let (contents, rest) = after_length.split_at_checked(length).ok_or(Malformed)?;
        let whole = &self.rest[..self.rest.len() - rest.len()];
        self.rest = rest;
        Ok(Element { tag, contents, whole })
    }

    /// An element of that tag: all its octets.
    pub(crate) fn whole(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        self.expect(tag).map(|element| element.whole)
    }

    /// An element of that tag: its contents.
    pub(crate) fn contents(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        self.expect(tag).map(|element| element.contents)
    }

    /// An element of that tag: a reader for its contents.
    pub(crate) fn within(&mut self, tag: u8) -> Result<Self, Malformed> {
        self.contents(tag).map(Self::new)
    }

    /// The contents of an element that may be missing.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, Malformed> {
        if self.is_next(tag) { self.contents(tag).map(Some) } else { Ok(None) }
    }

    /// A SEQUENCE that fills the input.
    pub(crate) fn sequence(input: &'a [u8]) -> Result<Self, Malformed> {
        let mut outer = Self::new(input);
        let contents = outer.within(tag::SEQUENCE)?;
        outer.finish()?;
        Ok(contents)
    }

    /// A BOOLEAN with DEFAULT FALSE, under that tag.
    pub(crate) fn default_false(&mut self, tag: u8) -> Result<bool, Malformed> {
        match self.optional(tag)? {
            None => Ok(false),
            Some([0xff]) => Ok(true),
            Some(_) => Err(Malformed),
        }
    }

    /// A BIT STRING of whole octets.
    pub(crate) fn octet_bits(&mut self) -> Result<&'a [u8], Malformed> {
        self.contents(tag::BIT_STRING)?.strip_prefix(&[0]).ok_or(Malformed)
    }

    fn expect(&mut self, tag: u8) -> Result<Element<'a>, Malformed> {
        if self.is_next(tag) { self.any() } else { Err(Malformed) }
    }
}

/// The contents of an INTEGER that is not negative, as a count. What is larger
/// than any count is as large as one can be.
pub(crate) fn count(integer: &[u8]) -> Result<u64, Malformed> {
    let magnitude = match integer {
        [] | [0x80..=0xff, ..] | [0, 0..=0x7f, ..] => return Err(Malformed),
        [0, magnitude @ ..] => magnitude,
        magnitude => magnitude,
    };
    Ok(match magnitude.len() {
        0..=8 => magnitude.iter().fold(0, |value, &octet| value << 8 | u64::from(octet)),
        _ => u64::MAX,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lengths_of_every_form_and_no_other() {
        for length in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000] {
            let octets: &[u8] = &(length as u32).to_be_bytes();
            let short =
                octets.iter().position(|&octet| octet != 0).map_or(&[][..], |at| &octets[at..]);
            for (head, is_minimal) in [
                (vec![0x04, length as u8], length < 0x80),
                ([&[0x04, 0x80 | short.len() as u8], short].concat(), length >= 0x80),
                ([&[0x04, 0x84], octets].concat(), length > 0xff_ffff),
            ] {
                let mut whole = head.clone();
                whole.resize(head.len() + length, 7);
                let read = Reader::new(&whole).any();
                let is_short = head.len() == 2 && head[1] < 0x80;
                if is_minimal {
                    assert_eq!(read.unwrap().contents.len(), length);
                    assert!(Reader::new(&whole[..whole.len() - 1]).any().is_err());
                } else if !is_short {
                    assert!(read.is_err(), "{head:x?}");
                }
            }
        }
        assert!(Reader::new(&[0x30, 0x80, 0, 0]).any().is_err(), "indefinite");
        assert!(Reader::new(&[0x1f, 0x81, 0x01, 0]).any().is_err(), "a high tag number");
        assert!(Reader::new(&[0x04, 0x84, 0xff, 0xff, 0xff, 0xff]).any().is_err());
        assert!(Reader::new(&[0x04]).any().is_err());
    }

    #[test]
    fn counts_saturate_and_are_never_negative() {
        assert_eq!(count(&[0]), Ok(0));
        assert_eq!(count(&[0x7f]), Ok(0x7f));
        assert_eq!(count(&[0, 0x80]), Ok(0x80));
        assert_eq!(count(&[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), Ok(u64::MAX));
        assert_eq!(count(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Ok(u64::MAX));
        for wrong in [&[][..], &[0x80], &[0, 1], &[0xff, 0xff]] {
            assert_eq!(count(wrong), Err(Malformed), "{wrong:x?}");
        }
    }
}
