// SPDX-License-Identifier: Apache-2.0
//! Bytes as text and back: hex and base64 (RFC 4648, 4 and 8).
//!
//! Written here because base64ct costs 1.5 KB on the device and keeps panics.

use core::fmt::{self, Write};

/// Prints bytes as lower-case hex.
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            for digit in [byte >> 4, byte & 0xf] {
                f.write_char(char::from(if digit < 10 {
                    b'0' + digit
                } else {
                    b'a' - 10 + digit
                }))?;
            }
        }
        Ok(())
    }
}

/// Prints bytes as base64 with padding.
pub struct Base64<'a>(pub &'a [u8]);

impl fmt::Display for Base64<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for group in self.0.chunks(3) {
            let (a, b, c) = match *group {
                [a, b, c] => (a, Some(b), Some(c)),
                [a, b] => (a, Some(b), None),
                [a] => (a, None, None),
                _ => return Ok(()),
            };
            let (second, third) = (b.unwrap_or(0), c.unwrap_or(0));
            f.write_char(base64_digit(a >> 2))?;
            f.write_char(base64_digit((a << 4) | (second >> 4)))?;
            f.write_char(b.map_or('=', |b| base64_digit((b << 2) | (third >> 6))))?;
            f.write_char(c.map_or('=', base64_digit))?;
        }
        Ok(())
    }
}

/// Prints text from elsewhere: quotes and what is not printable ASCII stand as
/// `\xNN`, so that it can neither command a terminal nor end its quotes.
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            match byte {
                b'\\' => f.write_str("\\\\")?,
                b' '..=b'~' if byte != b'"' => f.write_char(char::from(byte))?,
                _ => write!(f, "\\x{}", Hex(&[byte]))?,
            }
        }
        Ok(())
    }
}

/// Why text is not a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadText {
    /// An odd number of hex digits.
    OddHex,
    /// A character that is no hex digit, counted from 1.
    NotHex(usize),
    /// Base64 comes in groups of four characters, padding included.
    TruncatedBase64,
    /// A character that is not base64's, counted from 1.
    NotBase64(usize),
    /// More bytes than there is room for.
    TooLong(usize),
}

/// What stands before and after the first `separator`, an ASCII character. As
/// `str::split_once`, whose search links a panic.
pub(crate) fn split(text: &str, separator: u8) -> Option<(&str, &str)> {
    let at = text.bytes().position(|byte| byte == separator)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// Decodes hex of either case to the front of `out`; returns the length.
pub(crate) fn decode_hex(text: &str, out: &mut [u8]) -> Result<usize, BadText> {
    let text = text.as_bytes();
    if let Some(at) = text.iter().position(|c| hex_value(*c).is_none()) {
        return Err(BadText::NotHex(at + 1));
    }
    if !text.len().is_multiple_of(2) {
        return Err(BadText::OddHex);
    }
    let len = text.len() / 2;
    let room = out.len();
    let out = out.get_mut(..len).ok_or(BadText::TooLong(room))?;
    for (to, pair) in out.iter_mut().zip(text.chunks(2)) {
        *to = pair.iter().filter_map(|c| hex_value(*c)).fold(0, |byte, digit| (byte << 4) | digit);
    }
    Ok(len)
}

/// Decodes base64 with padding to the front of `out`; returns the length.
/// Bits that the padding leaves over must be zero.
pub(crate) fn decode_base64(text: &str, out: &mut [u8]) -> Result<usize, BadText> {
    let text = text.as_bytes();
    let digits = match text {
        [rest @ .., b'=', b'='] | [rest @ .., b'='] => rest,
        _ => text,
    };
    if let Some(at) = digits.iter().position(|c| base64_value(*c).is_none()) {
        return Err(BadText::NotBase64(at + 1));
    }
    if !text.len().is_multiple_of(4) {
        return Err(BadText::TruncatedBase64);
    }
    let len = digits.len() * 3 / 4;
    let room = out.len();
    let out = out.get_mut(..len).ok_or(BadText::TooLong(room))?;
    let mut rest = out.iter_mut();
    for group in digits.chunks(4) {
        let bits = group.iter().chain(core::iter::repeat(&b'A')).take(4);
        let bits = bits.fold(0, |bits, c| (bits << 6) | u32::from(base64_value(*c).unwrap_or(0)));
        let [_, bytes @ ..] = bits.to_be_bytes();
        let whole = group.len() * 3 / 4;
        for (place, byte) in bytes.into_iter().enumerate() {
            if place < whole {
                if let Some(to) = rest.next() {
                    *to = byte;
                }
            } else if byte != 0 {
                return Err(BadText::NotBase64(digits.len()));
            }
        }
    }
    Ok(len)
}

const fn hex_value(c: u8) -> Option<u8> {
    match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        b'A'..=b'F' => Some(c - b'A' + 10),
        _ => None,
    }
}

const fn base64_value(c: u8) -> Option<u8> {
    match c {
        b'A'..=b'Z' => Some(c - b'A'),
        b'a'..=b'z' => Some(c - b'a' + 26),
        b'0'..=b'9' => Some(c - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

/// The digit of the low six bits.
const fn base64_digit(value: u8) -> char {
    let value = value & 0x3f;
    (match value {
        0..26 => b'A' + value,
        26..52 => b'a' + (value - 26),
        52..62 => b'0' + (value - 52),
        62 => b'+',
        _ => b'/',
    }) as char
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;
    use std::vec::Vec;

    /// RFC 4648, 10, and one with the last two digits.
    const KNOWN: [(&[u8], &str); 8] = [
        (b"", ""),
        (b"f", "Zg=="),
        (b"fo", "Zm8="),
        (b"foo", "Zm9v"),
        (b"foob", "Zm9vYg=="),
        (b"fooba", "Zm9vYmE="),
        (b"foobar", "Zm9vYmFy"),
        (&[0xfb, 0xff, 0xbf], "+/+/"),
    ];

    #[test]
    fn base64_is_the_rfcs() {
        for (bytes, text) in KNOWN {
            assert_eq!(Base64(bytes).to_string(), text);
            let mut out = [0; 8];
            let len = decode_base64(text, &mut out).unwrap();
            assert_eq!(&out[..len], bytes);
        }
    }

    #[test]
    fn every_byte_reads_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        for start in 0..3 {
            let bytes = &bytes[start..];
            let mut out = [0; 256];
            let len = decode_base64(&Base64(bytes).to_string(), &mut out).unwrap();
            assert_eq!(&out[..len], bytes);
            let len = decode_hex(&Hex(bytes).to_string().to_uppercase(), &mut out).unwrap();
            assert_eq!(&out[..len], bytes);
        }
    }

    #[test]
    fn refuses_base64_that_is_not_whole() {
        let decode = |text| decode_base64(text, &mut [0; 16]);
        for text in ["Z", "Zg", "Zg=", "Zm9vY", "Zm9vYg", "=", "==", "Zg==="] {
            assert!(decode(text).is_err(), "{text}");
        }
        assert_eq!(decode("Zm9"), Err(BadText::TruncatedBase64));
    }

    #[test]
    fn refuses_base64_with_other_characters() {
        let decode = |text| decode_base64(text, &mut [0; 16]);
        assert_eq!(decode("Zm-v"), Err(BadText::NotBase64(3)));
        assert_eq!(decode("Zg==Zg=="), Err(BadText::NotBase64(3)));
        assert_eq!(decode("===="), Err(BadText::NotBase64(1)));
        assert_eq!(decode("Zm9v\n"), Err(BadText::NotBase64(5)));
    }

    #[test]
    fn refuses_base64_with_bits_left_over() {
        assert_eq!(decode_base64("Zh==", &mut [0; 16]), Err(BadText::NotBase64(2)));
        assert_eq!(decode_base64("Zm9=", &mut [0; 16]), Err(BadText::NotBase64(3)));
    }

    #[test]
    fn refuses_hex_that_is_odd_or_none() {
        assert_eq!(decode_hex("abc", &mut [0; 16]), Err(BadText::OddHex));
        assert_eq!(decode_hex("abcg", &mut [0; 16]), Err(BadText::NotHex(4)));
        assert_eq!(decode_hex("ä0", &mut [0; 16]), Err(BadText::NotHex(1)));
    }

    #[test]
    fn refuses_one_byte_more_than_there_is_room_for() {
        assert_eq!(decode_hex("0102", &mut [0; 2]), Ok(2));
        assert_eq!(decode_hex("010203", &mut [0; 2]), Err(BadText::TooLong(2)));
        assert_eq!(decode_base64("AQI=", &mut [0; 2]), Ok(2));
        assert_eq!(decode_base64("AQID", &mut [0; 2]), Err(BadText::TooLong(2)));
    }

    #[test]
    fn text_cannot_command_a_terminal() {
        assert_eq!(Escaped("a\\b\x1b[2J\u{9b}\n\"").to_string(), r"a\\b\x1b[2J\xc2\x9b\x0a\x22");
    }
}
