// SPDX-License-Identifier: Apache-2.0
//! The self-describing record that a slot's value is stored in.
//!
//! A record is a header and a value. Where both fit one storage asset, that
//! asset is the record; otherwise the rest of the value lies in further parts,
//! written before the head. Integers are little-endian.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic `DVID` |
//! | 4 | 1 | format version, 1 |
//! | 5 | 1 | kind of the slot ([`Kind`]) |
//! | 6 | 1 | slot id |
//! | 7 | 1 | parts the record is spread over, 1 to [`MAX_PARTS`] |
//! | 8 | 4 | generation, from 1 |
//! | 12 | 4 | value length in bytes |
//! | 16 | 4 | CRC-32 of bytes 0 to 15 |
//! | 20 | 32 | SHA-256 of bytes 0 to 15 and the value |
//! | 52 | | value |
//!
//! The CRC tells a head that storage tore off while it was first written from
//! one that decayed later: only the former may pass as "never written".

use crate::error::Error;
use crate::layout::{Kind, SlotDef, SlotId};
use crate::limits::{MAX_PARTS, MAX_VALUE_LEN};
use crate::platform::{Crypto, Digest};

/// Length of a record's header, in bytes.
pub(crate) const HEADER_LEN: usize = 52;

const MAGIC: [u8; 4] = *b"DVID";
const VERSION: u8 = 1;

/// What a record says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) slot: SlotId,
    pub(crate) parts: u8,
    pub(crate) generation: u32,
    pub(crate) len: u32,
}

/// Header bytes as they were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderRead {
    /// Shorter than a header: storage tore it off.
    Torn,
    /// Not a header of this format, or one that decayed.
    Bad,
    /// A header of another slot or kind cannot be this slot's value.
    Good(Header, Digest),
}

impl Header {
    fn fields(&self) -> [u8; 16] {
        let [m0, m1, m2, m3] = MAGIC;
        let [g0, g1, g2, g3] = self.generation.to_le_bytes();
        let [l0, l1, l2, l3] = self.len.to_le_bytes();
        let kind = self.kind as u8;
        [m0, m1, m2, m3, VERSION, kind, self.slot.0, self.parts, g0, g1, g2, g3, l0, l1, l2, l3]
    }

    /// The digest that seals this header and its value.
    pub(crate) fn digest(&self, crypto: &mut impl Crypto, value: &[u8]) -> Result<Digest, Error> {
        crypto.sha256(&[&self.fields(), value])
    }

    pub(crate) fn encode(&self, digest: &Digest) -> [u8; HEADER_LEN] {
        let fields = self.fields();
        let mut out = [0; HEADER_LEN];
        let crc = crc32(&fields).to_le_bytes();
        let sources = fields.iter().chain(&crc).chain(digest);
        for (to, from) in out.iter_mut().zip(sources) {
            *to = *from;
        }
        out
    }

    /// Reads the header of a record of slot `def`.
    pub(crate) fn decode(bytes: &[u8], def: &SlotDef<'_>) -> HeaderRead {
        let Some(head) = bytes.first_chunk::<HEADER_LEN>() else { return HeaderRead::Torn };
        let (Some(fields), Some(digest)) = (head.first_chunk::<16>(), head.last_chunk::<32>())
        else {
            return HeaderRead::Bad;
        };
        let [_, _, _, _, _, _, _, parts, g0, g1, g2, g3, l0, l1, l2, l3] = *fields;
        let header = Self {
            kind: def.kind,
            slot: def.id,
            parts,
            generation: u32::from_le_bytes([g0, g1, g2, g3]),
            len: u32::from_le_bytes([l0, l1, l2, l3]),
        };
        // What encodes to the same bytes is the same header: magic, version,
        // kind, slot and CRC are all compared at once.
        let sound = header.encode(digest) == *head
            && (1..=MAX_PARTS).contains(&usize::from(parts))
            && header.generation != 0
            // A slot's limit may have been higher when it was written.
            && header.len <= MAX_VALUE_LEN as u32;
        if sound { HeaderRead::Good(header, *digest) } else { HeaderRead::Bad }
    }
}

/// CRC-32 (IEEE 802.3), bit by bit: 16 bytes a header do not earn a table.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{Policy, slot};

    const DEF: SlotDef<'static> = slot(0x30, "serial", Kind::Data, Policy::Factory, false, 64);
    const HEADER: Header =
        Header { kind: Kind::Data, slot: SlotId(0x30), parts: 1, generation: 7, len: 5 };

    #[test]
    fn crc_of_the_check_string_is_the_published_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_header_reads_back() {
        let bytes = HEADER.encode(&[9; 32]);
        assert_eq!(Header::decode(&bytes, &DEF), HeaderRead::Good(HEADER, [9; 32]));
    }

    #[test]
    fn every_truncation_is_torn() {
        let bytes = HEADER.encode(&[9; 32]);
        for len in 0..HEADER_LEN {
            assert_eq!(Header::decode(&bytes[..len], &DEF), HeaderRead::Torn);
        }
    }

    #[test]
    fn every_bit_flip_in_the_fields_is_bad() {
        let bytes = HEADER.encode(&[9; 32]);
        for bit in 0..20 * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&flipped, &DEF), HeaderRead::Bad, "bit {bit}");
        }
    }

    #[test]
    fn a_header_of_another_slot_is_bad() {
        let other = SlotDef { id: SlotId(0x31), ..DEF };
        let bytes = HEADER.encode(&[9; 32]);
        assert_eq!(Header::decode(&bytes, &other), HeaderRead::Bad);
    }

    #[test]
    fn a_length_beyond_the_slots_limit_is_read_and_one_beyond_all_limits_is_bad() {
        let long = Header { len: 65, ..HEADER };
        assert_eq!(Header::decode(&long.encode(&[9; 32]), &DEF), HeaderRead::Good(long, [9; 32]));
        let bytes = Header { len: MAX_VALUE_LEN as u32 + 1, ..HEADER }.encode(&[9; 32]);
        assert_eq!(Header::decode(&bytes, &DEF), HeaderRead::Bad);
    }
}
