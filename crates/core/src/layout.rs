// SPDX-License-Identifier: Apache-2.0
//! Which slots a device has. Ids never change their meaning after a release.

use crate::error::Error;
use crate::platform::{AssetId, KeyId, Service};
use crate::time::UnixTime;

/// A slot's id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(pub u8);

/// Set in the id of an identity's pending bank, and of its second half in
/// storage.
const SECOND: u8 = 0x80;

impl SlotId {
    /// The identity's pending bank: the key and the chain that a rotation
    /// prepares. It is addressed like a slot of its own and not listed.
    pub const fn pending(self) -> Self {
        Self(self.0 | SECOND)
    }

    /// Whether this is an identity's pending bank.
    pub const fn is_pending(self) -> bool {
        self.0 & SECOND != 0
    }

    /// The slot itself, whichever bank of it this is.
    pub const fn settled(self) -> Self {
        Self(self.0 & !SECOND)
    }
}

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

/// What a trust anchor is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Purpose {
    /// It commands the device: it signs updates.
    #[default]
    Commands = 1,
    /// It certifies the peers of TLS connections.
    Tls = 2,
    /// Both.
    Both = 3,
}

impl Purpose {
    /// Whether the anchor commands the device.
    pub const fn commands(self) -> bool {
        matches!(self, Self::Commands | Self::Both)
    }

    /// Whether the anchor certifies TLS peers.
    pub const fn tls(self) -> bool {
        matches!(self, Self::Tls | Self::Both)
    }
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
    /// What an anchor is for; nothing elsewhere.
    pub purpose: Purpose,
}

impl SlotDef<'_> {
    /// The same slot for an anchor of that purpose.
    pub const fn purpose(self, purpose: Purpose) -> Self {
        Self { purpose, ..self }
    }
}

/// A device's slots and where their assets and keys live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout<'a> {
    /// The slots, in the order they are listed.
    pub slots: &'a [SlotDef<'a>],
    /// The service that keeps the slots' values.
    pub storage: Service,
    /// The services that keep the two copies of the device's state: ITS and PS
    /// where there are both.
    pub state: [Service; 2],
    /// First storage uid; the layout uses the 4096 from there.
    pub asset_base: u32,
    /// First key id; the layout uses the 512 from there.
    pub key_base: u32,
    /// The group that updates may name instead of this one device; empty for
    /// none.
    pub group: &'a str,
    /// When the firmware was built.
    pub built: UnixTime,
    /// How far beyond the build, or the latest command, the application's time
    /// can raise the [time floor](crate::device::Device::set_time), in seconds.
    pub time_bound: u32,
}

/// The slots that Kconfig's defaults give, and the simulator's.
pub const STANDARD: Layout<'static> = Layout {
    slots: &[
        slot(0x00, "idevid", Kind::Identity, Policy::Factory, false, 1536),
        slot(0x01, "ldevid0", Kind::Identity, Policy::Operational, false, 1536),
        slot(0x10, "iak", Kind::Chain, Policy::Factory, false, 1536),
        slot(0x20, "anchor0", Kind::Anchor, Policy::Factory, false, 768),
        slot(0x21, "anchor1", Kind::Anchor, Policy::Factory, false, 768),
        slot(0x30, "serial", Kind::Data, Policy::Factory, false, 64),
        slot(0x31, "endpoint", Kind::Data, Policy::Operational, false, 256),
        slot(0x32, "secret", Kind::Data, Policy::Operational, true, 256),
    ],
    storage: Service::Ps,
    state: [Service::Its, Service::Ps],
    asset_base: 0x2c00_4000,
    key_base: 0x3000_4000,
    group: "",
    built: UnixTime(1_790_000_000),
    time_bound: 2 * 365 * 86_400,
};

/// First uid of the copies of the device's state, from the layout's first. The
/// first format had its records of the state at 0xf00 and 0xf08.
const STATE: u32 = 0xf20;

/// Where [`Device::status`](crate::device::Device::status) tries whether
/// there is room.
pub(crate) const PROBE: SlotId = SlotId(0xf1);

/// A [`SlotDef`] in one line.
pub const fn slot(
    id: u8,
    name: &str,
    kind: Kind,
    policy: Policy,
    secret: bool,
    max_len: u16,
) -> SlotDef<'_> {
    SlotDef { id: SlotId(id), name, kind, policy, secret, max_len, purpose: Purpose::Commands }
}

impl<'a> Layout<'a> {
    /// The slot with that id; of a pending bank, the identity it belongs to.
    pub(crate) fn find(&self, id: SlotId) -> Result<&'a SlotDef<'a>, Error> {
        let slots = self.slots;
        let def = slots.iter().find(|def| def.id == id.settled()).ok_or(Error::UnknownSlot)?;
        if id.is_pending() && def.kind != Kind::Identity {
            return Err(Error::UnknownSlot);
        }
        Ok(def)
    }

    /// The identities.
    pub(crate) fn identities(&self) -> impl Iterator<Item = &'a SlotDef<'a>> + use<'a> {
        self.slots.iter().filter(|def| def.kind == Kind::Identity)
    }

    /// All that is stored as records: the slots in the layout's order and the
    /// identities' second halves.
    pub(crate) fn records(&self) -> impl Iterator<Item = SlotDef<'a>> + use<'a> {
        let second = |def: &SlotDef<'a>| SlotDef { id: Half::Second.of(def.id), ..*def };
        self.slots.iter().copied().chain(self.identities().map(second))
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
        let uid = self.asset_base + u32::from(slot.0) * 16 + bank as u32 * 8 + part as u32;
        AssetId { service: self.storage, uid }
    }

    /// Asset of a copy of the device's state, or the spare place of that copy.
    pub(crate) fn state_copy(&self, copy: usize, spare: bool) -> AssetId {
        let service = if copy == 0 { self.state[0] } else { self.state[1] };
        let place = 2 * u32::from(spare) + copy as u32;
        AssetId { service, uid: self.asset_base + STATE + place }
    }

    /// Key of one half of an identity.
    pub(crate) fn key(&self, identity: SlotId, half: Half) -> KeyId {
        KeyId(self.key_base + u32::from(identity.0) * 2 + half as u32)
    }

    /// The key by which is tried whether there is room.
    pub(crate) fn probe_key(&self) -> KeyId {
        KeyId(self.key_base + 511)
    }
}

/// One of an identity's two places for a key, and for a chain. Which of them is
/// the active one is the device's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Half {
    #[default]
    First = 0,
    Second = 1,
}

impl Half {
    pub(crate) const BOTH: [Self; 2] = [Self::First, Self::Second];

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    /// The record that holds an identity's chain in this half.
    pub(crate) const fn of(self, identity: SlotId) -> SlotId {
        match self {
            Self::First => identity,
            Self::Second => SlotId(identity.0 | SECOND),
        }
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
