// SPDX-License-Identifier: Apache-2.0
//! A request's map, read strictly: each key known, there once, of its type.

use devid_core::Error;
use devid_core::cbor::{Fault, Reader, Reason};
use devid_core::device::Device;
use devid_core::layout::SlotId;
use devid_core::platform::{Digest, Platform};
use devid_core::time::UnixTime;

use super::failure::Failure;

/// A set of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keys(u16);

impl Keys {
    pub(super) const NONE: Self = Self(0);
    pub(super) const SLOT: Self = Self(1);
    pub(super) const VALUE: Self = Self(1 << 1);
    pub(super) const SHA: Self = Self(1 << 2);
    pub(super) const OFF: Self = Self(1 << 3);
    pub(super) const LEN: Self = Self(1 << 4);
    pub(super) const DATA: Self = Self(1 << 5);
    pub(super) const NOW: Self = Self(1 << 6);
    pub(super) const CHALLENGE: Self = Self(1 << 7);
    pub(super) const CN: Self = Self(1 << 8);
    pub(super) const SERIAL: Self = Self(1 << 9);
    pub(super) const O: Self = Self(1 << 10);
    pub(super) const INDEX: Self = Self(1 << 11);
    pub(super) const YES: Self = Self(1 << 12);
    pub(super) const SESSION: Self = Self(1 << 13);

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` are among these.
    pub(super) const fn contain(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "slot" => Self::SLOT,
            "value" => Self::VALUE,
            "sha" => Self::SHA,
            "off" => Self::OFF,
            "len" => Self::LEN,
            "data" => Self::DATA,
            "now" => Self::NOW,
            "challenge" => Self::CHALLENGE,
            "cn" => Self::CN,
            "serial" => Self::SERIAL,
            "o" => Self::O,
            "index" => Self::INDEX,
            "yes" => Self::YES,
            "session" => Self::SESSION,
            _ => return None,
        })
    }
}

/// A slot as a request names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot<'r> {
    Id(i64),
    Name(&'r str),
}

/// What a request holds. What it does not is empty or 0: [`Request::keys`] says
/// what is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'r> {
    pub(super) keys: Keys,
    slot: Slot<'r>,
    pub(super) value: &'r [u8],
    pub(super) sha: Digest,
    pub(super) off: usize,
    pub(super) len: usize,
    pub(super) data: &'r [u8],
    now: i64,
    pub(super) challenge: &'r [u8],
    cn: &'r str,
    serial: &'r str,
    o: &'r str,
    pub(super) index: usize,
    /// The session that a value belongs to; 0 for a client that names none.
    pub(super) session: u64,
}

/// The byte that ends a map of indefinite length.
const BREAK: u8 = 0xff;

/// The head of such a map.
const INDEFINITE_MAP: u8 = 0xbf;

impl<'r> Request<'r> {
    /// Reads a request's payload: one map, and nothing after it.
    ///
    /// The map itself may be of indefinite length, as Zephyr's client and
    /// Android's send it; nothing inside may.
    pub(super) fn decode(payload: &'r [u8]) -> Result<Self, Failure> {
        let mut request = Self {
            keys: Keys::NONE,
            slot: Slot::Id(0),
            value: &[],
            sha: [0; 32],
            off: 0,
            len: 0,
            data: &[],
            now: 0,
            challenge: &[],
            cn: "",
            serial: "",
            o: "",
            index: 0,
            session: 0,
        };
        if payload.first() == Some(&INDEFINITE_MAP) {
            let mut reader = Reader::starting_at(payload, 1);
            while payload.get(reader.at()) != Some(&BREAK) {
                request.entry(&mut reader)?;
            }
            Reader::starting_at(payload, reader.at().saturating_add(1)).finish()?;
        } else {
            let mut reader = Reader::new(payload);
            for _ in 0..reader.map()? {
                request.entry(&mut reader)?;
            }
            reader.finish()?;
        }
        Ok(request)
    }

    fn entry(&mut self, reader: &mut Reader<'r>) -> Result<(), Failure> {
        let at = reader.at();
        let key = Keys::named(reader.text()?).ok_or(Failure::UnknownKey(at))?;
        if self.keys.contain(key) {
            return Err(Fault { reason: Reason::Duplicate, at: at as u32 }.into());
        }
        self.keys = self.keys.and(key);
        match key {
            Keys::SLOT => {
                self.slot = if reader.is_text() {
                    Slot::Name(reader.text()?)
                } else {
                    Slot::Id(reader.int()?)
                };
            }
            Keys::VALUE => self.value = reader.bytes()?,
            Keys::SHA => {
                let fault = reader.fault(Reason::Length);
                self.sha = reader.bytes()?.try_into().map_err(|_| fault)?;
            }
            Keys::OFF => self.off = size(reader)?,
            Keys::LEN => self.len = size(reader)?,
            Keys::DATA => self.data = reader.bytes()?,
            Keys::NOW => self.now = reader.int()?,
            Keys::CHALLENGE => self.challenge = reader.bytes()?,
            Keys::CN => self.cn = reader.text()?,
            Keys::SERIAL => self.serial = reader.text()?,
            Keys::O => self.o = reader.text()?,
            Keys::YES => {
                let fault = reader.fault(Reason::Value);
                if !reader.bool()? {
                    return Err(fault.into());
                }
            }
            Keys::SESSION => {
                let fault = reader.fault(Reason::Range);
                self.session = u64::try_from(reader.int()?).map_err(|_| fault)?;
            }
            _ => self.index = size(reader)?,
        }
        Ok(())
    }

    /// Checks that the keys are those a command asks for.
    pub(super) fn check(&self, needs: Keys, takes: Keys) -> Result<(), Failure> {
        if !self.keys.contain(needs) {
            return Err(Failure::MissingKey);
        }
        if !needs.and(takes).contain(self.keys) {
            return Err(Failure::UnknownKey(0));
        }
        Ok(())
    }

    /// The slot that the request names, if the device has it.
    pub(super) fn slot<P: Platform>(&self, device: &Device<'_, P>) -> Result<SlotId, Failure> {
        let slot = match self.slot {
            Slot::Name(name) => device.find(name)?,
            Slot::Id(id) => SlotId(u8::try_from(id).map_err(|_| Error::UnknownSlot)?),
        };
        Ok(device.slot(slot).map(|_| slot)?)
    }

    /// The time given, if one is.
    pub(super) fn now(&self) -> Option<UnixTime> {
        self.keys.contain(Keys::NOW).then_some(UnixTime(self.now))
    }

    /// An attribute given, if it is.
    pub(super) fn attribute(&self, key: Keys) -> Option<&'r str> {
        let text = match key {
            Keys::CN => self.cn,
            Keys::SERIAL => self.serial,
            _ => self.o,
        };
        self.keys.contain(key).then_some(text)
    }
}

fn size(reader: &mut Reader<'_>) -> Result<usize, Failure> {
    let fault = reader.fault(Reason::Range);
    Ok(usize::try_from(reader.int()?).map_err(|_| fault)?)
}
