// SPDX-License-Identifier: Apache-2.0
//! Which slots a device has. Ids never change their meaning after a release.

use crate::error::Error;
use crate::platform::{AssetId, KeyId};

/// A slot's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(pub u8);

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A key in TF-M and the certificate chain over it.
    Identity = 1,
    /// The chain over a key held elsewhere: the IAK's certificate.
    Chain = 2,
    /// A trust anchor: one CA certificate.
    Anchor = 3,
    /// Bytes whose meaning is the application's.
    Data = 4,
}

/// Who may change a slot, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Policy {
    /// Written in the factory; fixed once the device is locked.
    Factory = 1,
    /// Changes during the device's life.
    Operational = 2,
}

/// One slot of a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotDef<'a> {
    /// Its id, unique in the layout.
    pub id: SlotId,
    /// Its name, unique in the layout: lower case, digits and hyphens.
    pub name: &'a str,
    /// What it holds.
    pub kind: Kind,
    /// Who may change it.
    pub policy: Policy,
    /// Whether the console must not show the value.
    pub secret: bool,
    /// Longest value, in bytes.
    pub max_len: u16,
}

/// A device's slots and where their assets and keys live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout<'a> {
    /// The slots, in the order they are listed.
    pub slots: &'a [SlotDef<'a>],
    /// First storage uid; the layout uses the 4096 from there.
    pub asset_base: u32,
    /// First key id; the layout uses the 512 from there.
    pub key_base: u32,
}

/// The slots that Kconfig's defaults give, and the simulator's.
pub const STANDARD: Layout<'static> = Layout {
    slots: &[
        slot(0x00, "idevid", Kind::Identity, Policy::Factory, false, 1536),
        slot(0x10, "iak", Kind::Chain, Policy::Factory, false, 1536),
        slot(0x20, "anchor0", Kind::Anchor, Policy::Factory, false, 768),
        slot(0x21, "anchor1", Kind::Anchor, Policy::Factory, false, 768),
        slot(0x30, "serial", Kind::Data, Policy::Factory, false, 64),
        slot(0x31, "endpoint", Kind::Data, Policy::Operational, false, 256),
        slot(0x32, "secret", Kind::Data, Policy::Operational, true, 256),
    ],
    asset_base: 0x2c00_4000,
    key_base: 0x3000_4000,
};

/// A [`SlotDef`] in one line.
pub const fn slot(
    id: u8,
    name: &str,
    kind: Kind,
    policy: Policy,
    secret: bool,
    max_len: u16,
) -> SlotDef<'_> {
    SlotDef { id: SlotId(id), name, kind, policy, secret, max_len }
}

impl<'a> Layout<'a> {
    /// The slot with that id, and its place in the layout.
    pub(crate) fn find(&self, id: SlotId) -> Result<(usize, &'a SlotDef<'a>), Error> {
        let slots = self.slots;
        slots.iter().enumerate().find(|(_, def)| def.id == id).ok_or(Error::UnknownSlot)
    }

    /// The longest value any slot takes, in bytes.
    pub const fn max_value_len(&self) -> usize {
        let mut longest = 0;
        let mut slots = self.slots;
        while let [first, rest @ ..] = slots {
            if first.max_len as usize > longest {
                longest = first.max_len as usize;
            }
            slots = rest;
        }
        longest
    }

    /// Asset of part `part` of bank `bank` of a slot.
    pub(crate) fn asset(&self, slot: SlotId, bank: Bank, part: usize) -> AssetId {
        AssetId(self.asset_base + u32::from(slot.0) * 16 + bank as u32 * 8 + part as u32)
    }

    /// Key of an identity slot.
    pub(crate) fn key(&self, slot: SlotId) -> KeyId {
        KeyId(self.key_base + u32::from(slot.0) * 2)
    }
}

/// One of a slot's two places for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Bank {
    A = 0,
    B = 1,
}

impl Bank {
    pub(crate) const BOTH: [Self; 2] = [Self::A, Self::B];

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}
