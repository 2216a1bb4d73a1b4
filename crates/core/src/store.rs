// SPDX-License-Identifier: Apache-2.0
//! Two-bank storage of slot values.
//!
//! A write goes to the bank that does not hold the value, under the next
//! generation. The complete head there, digest right, is the commit; then the
//! old bank's head is removed. At every instant a reader finds the old value or
//! the new one. What a power cut leaves behind is swept when the store opens.
//!
//! Costs, in storage calls: a read takes one and one more for each further
//! part; a write two and one more for each further part. Further parts of the
//! old bank stay until they are overwritten, erased or swept.

use heapless::Vec;

use crate::bytes::{copy, move_down};
use crate::error::Error;
use crate::layout::{Bank, Layout, SlotDef, SlotId};
use crate::limits::{MAX_PARTS, MAX_RECORDS, MAX_VALUE_LEN};
use crate::platform::{Crypto, Storage};
use crate::record::{HEADER_LEN, Header, HeaderRead};

/// What a slot's storage holds, known without asking it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    Empty,
    Value { bank: Bank, header: Header },
    Corrupt,
}

/// What one bank holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    /// The beginning of a record whose writing was cut off.
    Torn,
    Bad,
    Good(Header),
}

/// The slots' values over a platform.
pub(crate) struct Store<'a, P> {
    pub(crate) platform: P,
    pub(crate) layout: Layout<'a>,
    /// Long enough for any record of the layout; every value passes through it.
    pub(crate) scratch: &'a mut [u8],
    /// In the order of [`Layout::records`].
    held: Vec<Held, MAX_RECORDS>,
}

impl<'a, P: Storage + Crypto> Store<'a, P> {
    /// A store that knows nothing yet: [`Store::mount`] comes next.
    pub(crate) fn new(
        platform: P,
        layout: Layout<'a>,
        scratch: &'a mut [u8],
    ) -> Result<Self, Error> {
        let longest = layout.max_value_len();
        let parts = (HEADER_LEN + longest).div_ceil(platform.max_asset_len().max(1));
        if longest > MAX_VALUE_LEN || scratch.len() < HEADER_LEN + longest || parts > MAX_PARTS {
            return Err(Error::InvalidArgument);
        }
        Ok(Self { platform, layout, scratch, held: Vec::new() })
    }

    /// Finds every slot's value and sweeps what interrupted writes left.
    pub(crate) fn mount(&mut self) -> Result<(), Error> {
        self.held.clear();
        for def in self.layout.records() {
            let held = self.mount_slot(&def)?;
            self.held.push(held).map_err(|_| Error::InvalidArgument)?;
        }
        Ok(())
    }

    pub(crate) fn held(&self, slot: SlotId) -> Result<Held, Error> {
        let (place, _) = self.find(slot)?;
        self.held.get(place).copied().ok_or(Error::UnknownSlot)
    }

    /// Reads a slot's value.
    pub(crate) fn read(&mut self, slot: SlotId) -> Result<&[u8], Error> {
        let len = self.read_at(slot, 0)?;
        self.scratch.get(..len).ok_or(Error::Corrupt)
    }

    /// Reads a slot's value to offset `at` of the scratch buffer and returns
    /// its length. Needs room for the record's header too.
    pub(crate) fn read_at(&mut self, slot: SlotId, at: usize) -> Result<usize, Error> {
        let (_, def) = self.find(slot)?;
        let bank = match self.held(slot)? {
            Held::Empty => return Err(Error::NotFound),
            Held::Corrupt => return Err(Error::Corrupt),
            Held::Value { bank, .. } => bank,
        };
        let Found::Good(header) = self.read_bank(&def, bank, at)? else {
            self.set_held(slot, Held::Corrupt);
            return Err(Error::Corrupt);
        };
        let len = header.len as usize;
        move_down(self.scratch, at + HEADER_LEN, at, len);
        Ok(len)
    }

    /// Part of what was read, moved to the front of the scratch buffer.
    pub(crate) fn front(&mut self, start: usize, len: usize) -> Result<&[u8], Error> {
        move_down(self.scratch, start, 0, len);
        self.scratch.get(..len).ok_or(Error::InvalidArgument)
    }

    /// Replaces a slot's value.
    pub(crate) fn write(&mut self, slot: SlotId, value: &[u8]) -> Result<(), Error> {
        let (_, def) = self.find(slot)?;
        if value.is_empty() {
            return Err(Error::InvalidArgument);
        }
        if value.len() > usize::from(def.max_len) {
            return Err(Error::TooLarge { limit: u32::from(def.max_len) });
        }
        let before = self.held(slot)?;
        let (bank, generation) = match before {
            Held::Value { bank, header } => (bank.other(), next_generation(header.generation)),
            Held::Empty | Held::Corrupt => (Bank::A, 1),
        };
        let header = Header {
            kind: def.kind,
            slot,
            parts: self.parts(value.len()) as u8,
            generation,
            len: value.len() as u32,
        };
        let digest = header.digest(&mut self.platform, value)?;
        let (record, _) = self
            .scratch
            .split_at_mut_checked(HEADER_LEN + value.len())
            .ok_or(Error::InvalidArgument)?;
        let (head, body) = record.split_at_mut(HEADER_LEN);
        copy(head, &header.encode(&digest));
        copy(body, value);

        // The head comes last: it is the commit.
        let piece = self.platform.max_asset_len();
        for (part, bytes) in record.chunks(piece).enumerate().rev() {
            if let Err(error) = self.platform.set(self.layout.asset(slot, bank, part), bytes) {
                self.sweep(slot, bank, 1);
                return Err(error);
            }
        }
        self.set_held(slot, Held::Value { bank, header });

        // Past the commit: a removal that fails is made good by the next write
        // to that bank, or when the store opens.
        match before {
            Held::Empty => {}
            Held::Value { bank, .. } => {
                let _ = self.platform.remove(self.layout.asset(slot, bank, 0));
            }
            Held::Corrupt => {
                let _ = self.platform.remove(self.layout.asset(slot, bank.other(), 0));
                self.sweep(slot, bank.other(), 1);
            }
        }
        Ok(())
    }

    /// Removes a slot's value, or what is left of it.
    pub(crate) fn erase(&mut self, slot: SlotId) -> Result<(), Error> {
        let last = match self.held(slot)? {
            Held::Empty => return Err(Error::NotFound),
            Held::Corrupt => Bank::A,
            Held::Value { bank, .. } => bank,
        };
        // The older bank first, should it still be there: it must not come back.
        self.platform.remove(self.layout.asset(slot, last.other(), 0))?;
        self.platform.remove(self.layout.asset(slot, last, 0))?;
        self.set_held(slot, Held::Empty);
        for bank in Bank::BOTH {
            self.sweep(slot, bank, 1);
        }
        Ok(())
    }

    /// A record's definition, and its place among all.
    fn find(&self, slot: SlotId) -> Result<(usize, SlotDef<'a>), Error> {
        let mut records = self.layout.records().enumerate();
        records.find(|(_, def)| def.id == slot).ok_or(Error::UnknownSlot)
    }

    fn set_held(&mut self, slot: SlotId, held: Held) {
        if let Ok((place, _)) = self.find(slot)
            && let Some(entry) = self.held.get_mut(place)
        {
            *entry = held;
        }
    }

    fn mount_slot(&mut self, def: &SlotDef<'_>) -> Result<Held, Error> {
        let a = self.read_bank(def, Bank::A, 0)?;
        let b = self.read_bank(def, Bank::B, 0)?;
        let (bank, header) = match (a, b) {
            (Found::Good(a), Found::Good(b)) if is_newer(b.generation, a.generation) => {
                (Bank::B, b)
            }
            (Found::Good(header), _) => (Bank::A, header),
            (_, Found::Good(header)) => (Bank::B, header),
            (Found::Bad, _) | (_, Found::Bad) => return Ok(Held::Corrupt),
            (Found::Nothing | Found::Torn, Found::Nothing | Found::Torn) => {
                for (bank, found) in [(Bank::A, a), (Bank::B, b)] {
                    self.sweep(def.id, bank, if found == Found::Torn { 0 } else { 1 });
                }
                return Ok(Held::Empty);
            }
        };
        let other = if bank == Bank::A { b } else { a };
        self.sweep(def.id, bank.other(), if other == Found::Nothing { 1 } else { 0 });
        self.sweep(def.id, bank, usize::from(header.parts));
        Ok(Held::Value { bank, header })
    }

    /// Removes a bank's parts from `first` on. Best effort: what stays is
    /// unreachable and is swept again when the store opens.
    fn sweep(&mut self, slot: SlotId, bank: Bank, first: usize) {
        let Ok((_, def)) = self.find(slot) else { return };
        for part in first..self.parts(usize::from(def.max_len)) {
            let _ = self.platform.remove(self.layout.asset(slot, bank, part));
        }
    }

    /// Parts that a value of that length takes.
    fn parts(&self, value_len: usize) -> usize {
        (HEADER_LEN + value_len).div_ceil(self.platform.max_asset_len().max(1))
    }

    /// Reads a bank's record to offset `at` of the scratch buffer and judges it.
    fn read_bank(&mut self, def: &SlotDef<'_>, bank: Bank, at: usize) -> Result<Found, Error> {
        let room = self.scratch.get_mut(at..).ok_or(Error::InvalidArgument)?;
        let mut filled = match self.platform.get(self.layout.asset(def.id, bank, 0), room) {
            Ok(Some(len)) => len,
            Ok(None) => return Ok(Found::Nothing),
            // The platform's own integrity check failed: this record alone is lost.
            Err(Error::Corrupt) => return Ok(Found::Bad),
            Err(error) => return Err(error),
        };
        let (header, digest) = match Header::decode(room.get(..filled).unwrap_or(&[]), def) {
            HeaderRead::Good(header, digest) => (header, digest),
            HeaderRead::Torn => return Ok(Found::Torn),
            HeaderRead::Bad => return Ok(Found::Bad),
        };
        for part in 1..usize::from(header.parts) {
            let rest = room.get_mut(filled..).unwrap_or_default();
            match self.platform.get(self.layout.asset(def.id, bank, part), rest) {
                Ok(Some(len)) => filled += len,
                Ok(None) | Err(Error::Corrupt) => return Ok(Found::Bad),
                Err(error) => return Err(error),
            }
        }
        let len = HEADER_LEN + header.len as usize;
        if filled < len {
            // Further parts are complete before the head is begun, so it is the
            // head that was cut off. Not enough room looks the same: refuse that.
            return if room.len() < len {
                Err(Error::BufferTooSmall { needed: (at + len) as u32 })
            } else {
                Ok(Found::Torn)
            };
        }
        let Some(value) = room.get(HEADER_LEN..filled) else { return Ok(Found::Bad) };
        if filled == len && header.digest(&mut self.platform, value)? == digest {
            Ok(Found::Good(header))
        } else {
            Ok(Found::Bad)
        }
    }
}

/// Generations count on from 1 and skip 0 when they wrap.
const fn next_generation(generation: u32) -> u32 {
    match generation.wrapping_add(1) {
        0 => 1,
        next => next,
    }
}

/// Serial-number comparison: a write is never 2^31 generations behind.
const fn is_newer(generation: u32, than: u32) -> bool {
    (generation.wrapping_sub(than) as i32) > 0
}
