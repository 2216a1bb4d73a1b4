// SPDX-License-Identifier: Apache-2.0
//! The device: slots, identities and evidence over a platform.
//!
//! Calls that read return slices of one scratch buffer, valid until the next
//! call; nothing is copied twice and no caller's buffer is touched on failure.

use crate::chain::{self, Chain};
use crate::error::{Error, Item};
use crate::key::PublicKey;
use crate::layout::{Kind, Layout, SlotDef, SlotId};
use crate::limits::MAX_TOKEN_LEN;
use crate::platform::{Digest, Platform};
use crate::record::HEADER_LEN;
use crate::store::{Held, Store};

/// A device over a platform and a layout.
pub struct Device<'a, P> {
    pub(crate) store: Store<'a, P>,
}

/// What is known of a slot without touching storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotInfo<'a> {
    /// The slot as the layout has it.
    pub def: &'a SlotDef<'a>,
    /// What it holds.
    pub state: SlotState,
}

/// What a slot holds. For an identity this is the chain; the key is another
/// matter ([`Device::public_key`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotState {
    /// Nothing.
    Empty,
    /// A value.
    Present {
        /// Its length in bytes.
        len: u32,
        /// How often the slot was written since it was last empty.
        generation: u32,
    },
    /// A record that fails its digest. Writing or erasing repairs the slot.
    Corrupt,
}

/// Length of the scratch buffer a layout needs, in bytes: its longest record,
/// and the longest token beside its longest `iak` chain.
pub const fn scratch_len(layout: &Layout<'_>) -> usize {
    HEADER_LEN + layout.max_value_len() + MAX_TOKEN_LEN
}

impl<'a, P: Platform> Device<'a, P> {
    /// Opens the device; `scratch` needs [`scratch_len`] bytes.
    pub fn open(platform: P, layout: Layout<'a>, scratch: &'a mut [u8]) -> Result<Self, Error> {
        let mut device = Self::closed(platform, layout, scratch)?;
        device.mount()?;
        Ok(device)
    }

    /// A device that has not looked at its storage yet: it knows no slot until
    /// [`Device::mount`] succeeds. For those who must keep `scratch` when
    /// storage fails.
    pub fn closed(platform: P, layout: Layout<'a>, scratch: &'a mut [u8]) -> Result<Self, Error> {
        if scratch.len() < scratch_len(&layout) {
            return Err(Error::BufferTooSmall { needed: scratch_len(&layout) as u32 });
        }
        Ok(Self { store: Store::new(platform, layout, scratch)? })
    }

    /// Finds every value and finishes what a power cut interrupted.
    pub fn mount(&mut self) -> Result<(), Error> {
        self.store.mount()?;
        for def in self.store.layout.slots.iter().filter(|def| def.kind == Kind::Identity) {
            self.finish_identity_erase(def.id)?;
        }
        Ok(())
    }

    /// The platform, for what is not the device's business.
    pub fn platform(&mut self) -> &mut P {
        &mut self.store.platform
    }

    /// The first `len` bytes of what the last call returned, with their SHA-256,
    /// for callers that hand out both. Every slice that a call returns begins
    /// where the scratch buffer does.
    pub fn returned(&mut self, len: usize) -> Result<(&[u8], Digest), Error> {
        let bytes = self.store.scratch.get(..len).ok_or(Error::InvalidArgument)?;
        let digest = self.store.platform.sha256(&[bytes])?;
        Ok((bytes, digest))
    }

    /// Gives the platform back.
    pub fn close(self) -> P {
        self.store.platform
    }

    /// All slots, in the layout's order.
    pub fn slots(&self) -> impl Iterator<Item = SlotInfo<'a>> + '_ {
        self.store.layout.slots.iter().filter_map(|def| self.slot(def.id).ok())
    }

    /// One slot.
    pub fn slot(&self, slot: SlotId) -> Result<SlotInfo<'a>, Error> {
        let (_, def) = self.store.layout.find(slot)?;
        let state = match self.store.held(slot)? {
            Held::Empty => SlotState::Empty,
            Held::Value { header, .. } => {
                SlotState::Present { len: header.len, generation: header.generation }
            }
            Held::Corrupt => SlotState::Corrupt,
        };
        Ok(SlotInfo { def, state })
    }

    /// The slot of that name.
    pub fn find(&self, name: &str) -> Result<SlotId, Error> {
        let mut slots = self.store.layout.slots.iter();
        slots.find(|def| def.name == name).map(|def| def.id).ok_or(Error::UnknownSlot)
    }

    /// A slot's value; for identities and chains the concatenated DER
    /// certificates, leaf first.
    pub fn read(&mut self, slot: SlotId) -> Result<&[u8], Error> {
        self.store.read(slot)
    }

    /// Replaces a slot's value, whole or not at all.
    ///
    /// A chain must follow itself link by link and, where the platform exports
    /// it, certify the IAK; an anchor must be one CA certificate. Certificates
    /// come to an identity by [`Device::install`] alone.
    pub fn write(&mut self, slot: SlotId, value: &[u8]) -> Result<(), Error> {
        let (_, def) = self.store.layout.find(slot)?;
        if value.len() > usize::from(def.max_len) {
            return Err(Error::TooLarge { limit: u32::from(def.max_len) });
        }
        match def.kind {
            Kind::Identity => return Err(Error::NotSupported),
            Kind::Chain => {
                let iak = match self.store.platform.iak_public_key() {
                    Ok(key) => Some(key),
                    // A symmetric IAK, or none: there is no key to compare.
                    Err(Error::NotSupported) => None,
                    Err(error) => return Err(error),
                };
                chain::check(&mut self.store.platform, value, iak.as_ref(), None)?;
            }
            Kind::Anchor => {
                chain::check_anchor(&mut self.store.platform, value, None)?;
            }
            Kind::Data => {}
        }
        self.store.write(slot, value)
    }

    /// Empties a slot. An identity loses its key too, and that first: a chain
    /// without its key is worth nothing, and is removed at the next start
    /// should power fail in between.
    pub fn erase(&mut self, slot: SlotId) -> Result<(), Error> {
        let (_, def) = self.store.layout.find(slot)?;
        if def.kind != Kind::Identity {
            return self.store.erase(slot);
        }
        let had_key = self.destroy_key(slot)?;
        match self.store.erase(slot) {
            Err(Error::NotFound) if had_key => Ok(()),
            result => result,
        }
    }

    /// One certificate of an identity, chain or anchor, leaf at index 0.
    pub fn certificate(&mut self, slot: SlotId, index: usize) -> Result<&[u8], Error> {
        let (_, def) = self.store.layout.find(slot)?;
        if def.kind == Kind::Data {
            return Err(Error::NotSupported);
        }
        let chain = Chain::parse(self.store.read(slot)?)?;
        let len = chain.get(index).ok_or(Error::NotFound)?.len();
        let start = (0..index).filter_map(|before| chain.get(before)).map(<[u8]>::len).sum();
        self.store.front(start, len)
    }

    /// The initial attestation key's public half.
    pub fn iak_public_key(&mut self) -> Result<PublicKey, Error> {
        self.store.platform.iak_public_key()
    }

    /// Length of the token for a challenge of 32, 48 or 64 bytes.
    pub fn token_len(&mut self, challenge_len: usize) -> Result<usize, Error> {
        check_challenge(challenge_len)?;
        self.store.platform.token_len(challenge_len)
    }

    /// The PSA attestation token for a challenge of 32, 48 or 64 bytes.
    pub fn token(&mut self, challenge: &[u8]) -> Result<&[u8], Error> {
        let len = self.token_in_scratch(challenge)?;
        self.scratch(len)
    }

    /// The token for a challenge with the chain of the first `chain` slot, when
    /// it holds one, as `x5chain` (RFC 9360) in the unprotected header.
    ///
    /// A corrupt chain fails the call: ask for the [`Device::token`] alone then.
    pub fn evidence(&mut self, challenge: &[u8]) -> Result<&[u8], Error> {
        let mut len = self.token_in_scratch(challenge)?;
        let chain = self.slots().find(|slot| slot.def.kind == Kind::Chain);
        if let Some(chain) = chain.filter(|chain| chain.state != SlotState::Empty) {
            let chain_len = self.store.read_at(chain.def.id, len)?;
            len = crate::x5chain::insert(self.store.scratch, len, chain_len)?;
        }
        self.scratch(len)
    }

    fn token_in_scratch(&mut self, challenge: &[u8]) -> Result<usize, Error> {
        check_challenge(challenge.len())?;
        self.store.platform.token(challenge, self.store.scratch)
    }

    pub(crate) fn scratch(&self, len: usize) -> Result<&[u8], Error> {
        self.store.scratch.get(..len).ok_or(Error::Malformed { item: Item::Token, at: 0 })
    }
}

/// PSA takes challenges of these sizes alone.
fn check_challenge(len: usize) -> Result<(), Error> {
    match len {
        32 | 48 | 64 => Ok(()),
        _ => Err(Error::InvalidArgument),
    }
}
