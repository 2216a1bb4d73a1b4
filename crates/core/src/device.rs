// SPDX-License-Identifier: Apache-2.0
//! The device: slots, identities and evidence over a platform.
//!
//! Calls that read return slices of one scratch buffer, valid until the next
//! call; nothing is copied twice and no caller's buffer is touched on failure.

use crate::chain::{self, Chain};
use crate::csr;
use crate::error::{Error, Item};
use crate::identity::Phase;
use crate::key::PublicKey;
use crate::layout::{Kind, Layout, Policy, STATE, SlotDef, SlotId};
use crate::limits::{MAX_GROUP_LEN, MAX_IDENTITIES, MAX_TOKEN_LEN};
use crate::platform::{Digest, Platform};
use crate::state::{Active, State};
use crate::store::{Held, Store};
use crate::token::TokenIds;
use crate::{bound, instance_id};

/// A device over a platform and a layout.
pub struct Device<'a, P> {
    pub(crate) store: Store<'a, P>,
    pub(crate) state: State,
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

/// Length of the scratch buffer a layout needs, in bytes: the longest
/// certification request around the longest token with the longest chain, which
/// is more than the longest record.
pub const fn scratch_len(layout: &Layout<'_>) -> usize {
    layout.max_value_len() + MAX_TOKEN_LEN + csr::MAX_LEN + csr::EVIDENCE_OVERHEAD
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
        let well_formed = layout.identities().all(|def| usize::from(def.id.0) < MAX_IDENTITIES)
            && layout.slots.iter().all(|def| !def.id.is_pending())
            && layout.group.len() <= MAX_GROUP_LEN;
        if !well_formed {
            return Err(Error::InvalidArgument);
        }
        Ok(Self { store: Store::new(platform, layout, scratch)?, state: State::default() })
    }

    /// Finds every value and finishes what a power cut interrupted.
    pub fn mount(&mut self) -> Result<(), Error> {
        self.store.mount()?;
        self.state = match self.store.read(STATE.id) {
            Ok(value) => State::decode(value).unwrap_or_else(State::lost),
            Err(Error::NotFound) => State::default(),
            Err(Error::Corrupt) => State::lost(),
            Err(error) => return Err(error),
        };
        self.end_probe()?;
        if self.state.resetting {
            self.finish_reset()?;
        }
        for def in self.store.layout.identities() {
            if self.state.lost {
                let active = self.find_active(def.id)?;
                self.state.set_active(def.id, active);
            } else {
                self.recover(def.id)?;
            }
        }
        Ok(())
    }

    /// Makes the factory's slots final: from now on they change by an authorised
    /// [`update`](Device::update) alone. There is no way back but a full erase
    /// of the secure storage. Locking a locked device does nothing.
    ///
    /// - [`Error::NotFound`]: a factory identity has no key or no chain, which
    ///   could not be made good any more.
    /// - [`Error::Busy`]: a factory identity is in a rotation.
    pub fn lock(&mut self) -> Result<(), Error> {
        if self.state.locked {
            return Ok(());
        }
        let identities = self.store.layout.identities();
        for def in identities.filter(|def| def.policy == Policy::Factory) {
            if self.phase(def.id)? != Phase::Settled {
                return Err(Error::Busy);
            }
            self.public_key(def.id)?;
            self.chain(def.id)?;
        }
        self.commit(State { locked: true, ..self.state })
    }

    /// Whether the device is locked; one whose state is corrupt is.
    pub fn is_locked(&self) -> bool {
        self.state.locked
    }

    /// Returns to the factory's identity: destroys the keys and chains of the
    /// operational ones. Data slots stay. A reset that power interrupts is
    /// finished at the next start.
    pub fn reset(&mut self) -> Result<(), Error> {
        self.begin_reset(self.state.sequence)
    }

    /// Begins a reset together with a sequence number's step, and finishes it.
    pub(crate) fn begin_reset(&mut self, sequence: u64) -> Result<(), Error> {
        self.commit(State { resetting: true, sequence, ..self.state })?;
        self.finish_reset()
    }

    fn finish_reset(&mut self) -> Result<(), Error> {
        let mut state = State { resetting: false, ..self.state };
        let identities = self.store.layout.identities();
        for def in identities.filter(|def| def.policy == Policy::Operational) {
            self.wipe(def.id)?;
            state.set_active(def.id, Active::default());
        }
        self.commit(state)
    }

    /// Makes a state the device's, in one write.
    pub(crate) fn commit(&mut self, state: State) -> Result<(), Error> {
        if self.state.lost {
            return Err(Error::Corrupt);
        }
        let value = state.encode();
        if value != self.state.encode() {
            self.store.write(STATE.id, &value)?;
            self.state = state;
        }
        Ok(())
    }

    /// Refuses what the factory alone may write once the device is locked.
    pub(crate) fn check_policy(&self, def: &SlotDef<'_>) -> Result<(), Error> {
        match def.policy {
            Policy::Factory if self.state.locked => Err(Error::Denied),
            _ => Ok(()),
        }
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

    /// The group that updates may name; empty for none.
    pub fn group(&self) -> &'a str {
        self.store.layout.group
    }

    /// All slots, in the layout's order.
    pub fn slots(&self) -> impl Iterator<Item = SlotInfo<'a>> + '_ {
        self.store.layout.slots.iter().filter_map(|def| self.slot(def.id).ok())
    }

    /// One slot, or an identity's pending bank: then what that holds.
    pub fn slot(&self, slot: SlotId) -> Result<SlotInfo<'a>, Error> {
        let def = self.store.layout.find(slot)?;
        let state = match self.store.held(self.record(slot)?)? {
            Held::Empty => SlotState::Empty,
            Held::Value { header, .. } => {
                SlotState::Present { len: header.len, generation: header.generation }
            }
            Held::Corrupt => SlotState::Corrupt,
        };
        Ok(SlotInfo { def, state })
    }

    /// The slot of that name; `<name>/pending` is an identity's pending bank.
    pub fn find(&self, name: &str) -> Result<SlotId, Error> {
        let (name, pending) = match name.strip_suffix("/pending") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let mut slots = self.store.layout.slots.iter();
        let id = slots.find(|def| def.name == name).map(|def| def.id).ok_or(Error::UnknownSlot)?;
        let id = if pending { id.pending() } else { id };
        self.store.layout.find(id).map(|_| id)
    }

    /// A slot's value; for identities and chains the concatenated DER
    /// certificates, leaf first.
    pub fn read(&mut self, slot: SlotId) -> Result<&[u8], Error> {
        let record = self.record(slot)?;
        self.store.read(record)
    }

    /// Replaces a slot's value, whole or not at all.
    ///
    /// A chain must follow itself link by link and, where the platform exports
    /// it, certify the IAK; an anchor must be one CA certificate. Certificates
    /// come to an identity by [`Device::install`] alone.
    ///
    /// [`Error::Denied`] for the factory's slots once the device is locked.
    pub fn write(&mut self, slot: SlotId, value: &[u8]) -> Result<(), Error> {
        self.check_policy(self.store.layout.find(slot)?)?;
        self.write_authorised(slot, value)
    }

    /// A write for which the policy was checked, or that an update commands.
    pub(crate) fn write_authorised(&mut self, slot: SlotId, value: &[u8]) -> Result<(), Error> {
        let def = self.store.layout.find(slot)?;
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
    /// should power fail in between. A pending bank loses what a rotation
    /// prepared.
    ///
    /// - [`Error::Denied`] for the factory's slots once the device is locked.
    /// - [`Error::Busy`] for an identity in a rotation.
    pub fn erase(&mut self, slot: SlotId) -> Result<(), Error> {
        let def = self.store.layout.find(slot)?;
        self.check_policy(def)?;
        match def.kind {
            Kind::Identity => self.erase_identity(slot),
            _ => self.store.erase(slot),
        }
    }

    /// One certificate of an identity, chain or anchor, leaf at index 0.
    pub fn certificate(&mut self, slot: SlotId, index: usize) -> Result<&[u8], Error> {
        if self.store.layout.find(slot)?.kind == Kind::Data {
            return Err(Error::NotSupported);
        }
        let place = Chain::parse(self.read(slot)?)?.place(index).ok_or(Error::NotFound)?;
        self.store.front(place.start, place.len())
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
        let len = self.evidence_in_scratch(challenge)?;
        self.scratch(len)
    }

    /// Evidence that vouches for an identity's key: its challenge is the digest
    /// of the verifier's challenge and that key ([`crate::bound`]).
    pub fn bound_evidence(&mut self, slot: SlotId, challenge: &[u8]) -> Result<&[u8], Error> {
        let key = self.public_key(slot)?;
        let len = self.bound_evidence_in_scratch(&key, challenge)?;
        self.scratch(len)
    }

    pub(crate) fn bound_evidence_in_scratch(
        &mut self,
        key: &PublicKey,
        challenge: &[u8],
    ) -> Result<usize, Error> {
        check_challenge(challenge.len())?;
        let spki = key.spki();
        let bound = self.store.platform.sha256(&bound::challenge_parts(challenge, &spki))?;
        self.evidence_in_scratch(&bound)
    }

    fn evidence_in_scratch(&mut self, challenge: &[u8]) -> Result<usize, Error> {
        let mut len = self.token_in_scratch(challenge)?;
        let chain = self.slots().find(|slot| slot.def.kind == Kind::Chain);
        if let Some(chain) = chain.filter(|chain| chain.state != SlotState::Empty) {
            let chain_len = self.store.read_at(chain.def.id, len)?;
            len = crate::x5chain::insert(self.store.scratch, len, chain_len)?;
        }
        Ok(len)
    }

    /// What names this device: the token's instance id, or where there is no
    /// attestation what TF-M would derive from the first identity's key.
    pub fn instance_id(&mut self) -> Result<[u8; instance_id::LEN], Error> {
        match self.token_in_scratch(&[0; 32]) {
            Ok(len) => Ok(*TokenIds::decode(self.scratch(len)?)?.instance_id),
            Err(Error::NotSupported) => {
                let identity = self.store.layout.identities().next().ok_or(Error::NotFound)?;
                let key = self.public_key(identity.id)?;
                instance_id::from_point(&mut self.store.platform, &key)
            }
            Err(error) => Err(error),
        }
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
