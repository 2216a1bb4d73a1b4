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
#[derive(Clone, Copy)]
enum Found {
    Nothing,
    /// The beginning of a record whose writing was cut off.
    Torn,
    Bad,
    /// Storage did not give it now; it may hold a value.
    Unread,
    Good(Header),
}

impl Found {
    /// The first part of the bank that there may be to sweep.
    fn first_part(&self) -> usize {
        usize::from(matches!(self, Self::Nothing))
    }
}

/// The slots' values over a platform.
pub(crate) struct Store<'a, P> {
    pub(crate) platform: P,
    pub(crate) layout: Layout<'a>,
    /// Long enough for any record of the layout; every value passes through it.
    pub(crate) scratch: &'a mut [u8],
    /// Whether a change was begun: set with the first write or removal.
    pub(crate) was_touched: bool,
    /// Whether storage did not give something that it may give another time.
    pub(crate) has_unread: bool,
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
        Ok(Self {
            platform,
            layout,
            scratch,
            was_touched: false,
            has_unread: false,
            held: Vec::new(),
        })
    }

    /// Finds every slot's value, and sweeps what interrupted writes left where
    /// that is wanted. Tells whether there is anything at all.
    pub(crate) fn mount(&mut self, sweeps: bool) -> Result<bool, Error> {
        self.held.clear();
        let mut has_traces = false;
        for def in self.layout.records() {
            let banks = Bank::BOTH.map(|bank| self.find_bank(&def, bank, 0));
            has_traces |= !matches!(banks, [Found::Nothing, Found::Nothing]);
            let held = self.judge(&def, banks, sweeps);
            self.held.push(held).map_err(|_| Error::InvalidArgument)?;
        }
        Ok(has_traces)
    }

    pub(crate) fn held(&self, slot: SlotId) -> Result<Held, Error> {
        let (place, _) = self.find(slot)?;
        self.held.get(place).copied().ok_or(Error::UnknownSlot)
    }

    /// Whether a slot has no value, nor what is left of one.
    pub(crate) fn is_empty(&self, slot: SlotId) -> Result<bool, Error> {
        self.held(slot).map(|held| matches!(held, Held::Empty))
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
        if self.has_unread && self.held(slot)? == Held::Corrupt {
            // Storage did not give it then; it may now.
            let banks = Bank::BOTH.map(|bank| self.find_bank(&def, bank, at));
            let held = self.judge(&def, banks, false);
            self.set_held(slot, held);
        }
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
            return Err(Error::TooLarge { limit: def.max_len });
        }
        let before = self.held(slot)?;
        let (bank, generation) = match before {
            Held::Value { bank, header } => (bank.other(), next_generation(header.generation)),
            Held::Empty | Held::Corrupt => (Bank::A, 1),
        };
        let header = self.seal(&def, generation, value)?;
        let bank = match self.write_bank(&def, bank, &header) {
            // The bank is broken for good. The other one will do, where the
            // value there is replaced whole.
            Err(Error::Corrupt) if self.is_replaceable(before, &header) => {
                self.write_bank(&def, bank.other(), &header)?;
                bank.other()
            }
            result => result.map(|()| bank)?,
        };
        self.set_held(slot, Held::Value { bank, header });

        // Past the commit: a removal that fails is made good by the next write
        // to that bank, or when the store opens.
        match before {
            Held::Empty => {}
            Held::Value { bank: old, .. } if old == bank => {}
            Held::Value { .. } | Held::Corrupt => {
                let _ = self.platform.remove(self.layout.asset(slot, bank.other(), 0));
                if before == Held::Corrupt {
                    self.sweep(slot, bank.other(), 1);
                }
            }
        }
        Ok(())
    }

    /// Puts a record together in the scratch buffer.
    fn seal(&mut self, def: &SlotDef<'_>, generation: u32, value: &[u8]) -> Result<Header, Error> {
        let header = Header {
            kind: def.kind,
            slot: def.id,
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
        Ok(header)
    }

    /// Writes the record in the scratch buffer to a bank. The head comes last:
    /// it is the commit.
    fn write_bank(&mut self, def: &SlotDef<'_>, bank: Bank, header: &Header) -> Result<(), Error> {
        self.was_touched = true;
        let record = self.scratch.get(..HEADER_LEN + header.len as usize).unwrap_or_default();
        let piece = self.platform.max_asset_len().max(1);
        for (part, bytes) in record.chunks(piece).enumerate().rev() {
            self.platform.set(self.layout.asset(def.id, bank, part), bytes)?;
        }
        Ok(())
    }

    /// Whether a record can be written over what its slot holds, in one step.
    fn is_replaceable(&self, before: Held, header: &Header) -> bool {
        match before {
            Held::Empty | Held::Corrupt => true,
            Held::Value { header: old, .. } => old.parts == 1 && header.parts == 1,
        }
    }

    /// Removes a slot's value, or what is left of it.
    pub(crate) fn erase(&mut self, slot: SlotId) -> Result<(), Error> {
        let (_, def) = self.find(slot)?;
        let (last, generation) = match self.held(slot)? {
            Held::Empty => return Err(Error::NotFound),
            Held::Corrupt => (Bank::A, 0),
            Held::Value { bank, header } => (bank, header.generation),
        };
        self.was_touched = true;
        // The older bank first, should it still be there: it must not come back.
        for bank in [last.other(), last] {
            match self.platform.remove(self.layout.asset(slot, bank, 0)) {
                // The bank is broken for good: a record without a value in the
                // other says that there is none.
                Err(Error::Corrupt) => {
                    let header = self.seal(&def, next_generation(generation), &[])?;
                    self.write_bank(&def, bank.other(), &header)?;
                    break;
                }
                result => result?,
            }
        }
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

    fn find_bank(&mut self, def: &SlotDef<'_>, bank: Bank, at: usize) -> Found {
        self.read_bank(def, bank, at).unwrap_or_else(|_| {
            self.has_unread = true;
            Found::Unread
        })
    }

    fn judge(&mut self, def: &SlotDef<'_>, [a, b]: [Found; 2], sweeps: bool) -> Held {
        let (bank, header) = match (a, b) {
            (Found::Good(a), Found::Good(b)) if is_newer(b.generation, a.generation) => {
                (Bank::B, b)
            }
            (Found::Good(header), _) => (Bank::A, header),
            (_, Found::Good(header)) => (Bank::B, header),
            (Found::Bad | Found::Unread, _) | (_, Found::Bad | Found::Unread) => {
                return Held::Corrupt;
            }
            (Found::Nothing | Found::Torn, Found::Nothing | Found::Torn) => {
                if sweeps {
                    for (bank, found) in [(Bank::A, a), (Bank::B, b)] {
                        self.sweep(def.id, bank, found.first_part());
                    }
                }
                return Held::Empty;
            }
        };
        let other = if bank == Bank::A { b } else { a };
        // What is unread may be the newer value: it is not swept.
        if sweeps && !matches!(other, Found::Unread) {
            self.sweep(def.id, bank.other(), other.first_part());
            self.sweep(def.id, bank, usize::from(header.parts));
        }
        if header.len == 0 { Held::Empty } else { Held::Value { bank, header } }
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
            return if room.len() < len { Err(Error::needs(at + len)) } else { Ok(Found::Torn) };
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
