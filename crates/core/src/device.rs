// SPDX-License-Identifier: Apache-2.0
//! The device: slots, identities and evidence over a platform.
//!
//! Calls that read return slices of one scratch buffer, valid until the next
//! call; nothing is copied twice and no caller's buffer is touched on failure.

use crate::bound::PlainChallenge;
use crate::chain::{self, Chain};
use crate::copies::Found;
use crate::csr;
use crate::error::{Error, Item, Refusal};
use crate::identity::Phase;
use crate::key::PublicKey;
use crate::layout::{Half, Kind, Layout, Policy, SlotDef, SlotId};
use crate::limits::{MAX_GROUP_LEN, MAX_IDENTITIES, MAX_TOKEN_LEN};
use crate::platform::{Digest, Platform};
use crate::state::State;
use crate::store::{Held, Store};
use crate::time::UnixTime;
use crate::token::TokenIds;
use crate::update::Nonce;
use crate::{instance_id, x5chain};

/// A device over a platform and a layout.
pub struct Device<'a, P> {
    pub(crate) store: Store<'a, P>,
    pub(crate) state: State,
    pub(crate) condition: Condition,
    /// Storage may differ from what is known here: a change failed.
    pub(crate) in_doubt: bool,
    /// A copy of the state was damaged and is written again.
    pub(crate) was_repaired: bool,
    /// The time that the application told, and the uptime when it did.
    clock: Option<(UnixTime, u32)>,
    /// Asked of a recovery command.
    pub(crate) nonce: Option<Nonce>,
}

/// How much a device knows of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Nothing was ever stored.
    New,
    /// The state is what storage holds.
    Known,
    /// There was a state and it cannot be read, or a trace of an earlier life
    /// without one. A device in doubt is locked.
    Lost,
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
    let evidence = MAX_TOKEN_LEN + layout.max_value_len() + x5chain::OVERHEAD;
    evidence + csr::EVIDENCE_OVERHEAD + csr::MAX_LEN
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
            return Err(Error::needs(scratch_len(&layout)));
        }
        let well_formed = layout.identities().all(|def| usize::from(def.id.0) < MAX_IDENTITIES)
            && layout.slots.iter().all(|def| !def.id.is_pending())
            && layout.group.len() <= MAX_GROUP_LEN;
        if !well_formed {
            return Err(Error::InvalidArgument);
        }
        Ok(Self {
            store: Store::new(platform, layout, scratch)?,
            // Locked, until storage says otherwise.
            state: State::lost(),
            condition: Condition::Lost,
            in_doubt: true,
            was_repaired: false,
            clock: None,
            nonce: None,
        })
    }

    /// Finds the state and every value, and finishes what an interruption or an
    /// error left half done. What is broken is left alone and reported by
    /// [`status`](Device::status).
    ///
    /// An error means that the platform does not answer.
    #[inline(never)]
    pub fn mount(&mut self) -> Result<(), Error> {
        // In doubt until this succeeds.
        self.in_doubt = true;
        self.store.has_unread = false;
        let found = self.store.find_state()?;
        if let Found::State(place, _) = found {
            self.state = *self.store.state_in(place).ok_or(Error::Corrupt)?;
        }
        let has_traces = self.store.mount(matches!(found, Found::State(..)))?;
        self.in_doubt = false;
        match found {
            Found::State(_, repair) => {
                self.condition = Condition::Known;
                if let Some(repair) = repair {
                    self.was_repaired |= repair.damaged;
                    // Nothing changes before both copies hold.
                    if self.store.repair_state(&self.state, repair).is_err() {
                        self.in_doubt = true;
                        return Ok(());
                    }
                }
                // What cannot be finished is refused later, where it matters.
                let _ = self.finish_anchors();
                for def in self.store.layout.identities() {
                    let _ = self.finish(def.id);
                }
            }
            Found::Nothing if !has_traces && !self.has_keys() => {
                self.state = State::default();
                self.condition = Condition::New;
            }
            // What is known of it stands, and nothing changes.
            Found::Unread if self.condition == Condition::Known => self.in_doubt = true,
            Found::Nothing | Found::Broken | Found::Unread => {
                self.in_doubt = found == Found::Unread;
                self.state = State::lost();
                self.condition = Condition::Lost;
                for def in self.store.layout.identities() {
                    let active = self.find_active(def.id);
                    self.state.set_active(def.id, active);
                }
            }
        }
        Ok(())
    }

    /// Whether any identity has a key, or what is left of one.
    fn has_keys(&mut self) -> bool {
        let layout = self.store.layout;
        layout.identities().any(|def| {
            Half::BOTH.iter().any(|half| {
                let key = layout.key(def.id, *half);
                !matches!(self.store.platform.public_key(key), Ok(None))
            })
        })
    }

    /// Runs one change. After an error the device finds anew what storage
    /// holds, as a restart would, before it takes the next change.
    pub(crate) fn change<T>(
        &mut self,
        change: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.settle()?;
        let result = change(self);
        if let Err(error) = result {
            self.look_again(error);
        }
        result
    }

    /// Finds anew what storage holds, if the change that failed had begun.
    #[inline(never)]
    fn look_again(&mut self, error: Error) {
        if self.store.was_touched {
            if error == Error::StorageFull {
                let _ = self.end_probe();
            }
            // What fails here is tried again by the next change.
            self.in_doubt = true;
            let _ = self.mount();
        }
    }

    /// Looks at storage again after a failure, or where it did not give all. A
    /// value that it still does not give is broken, and concerns nothing else.
    #[inline(never)]
    fn settle(&mut self) -> Result<(), Error> {
        if self.in_doubt || self.store.has_unread {
            self.mount()?;
        }
        self.store.was_touched = false;
        if self.in_doubt { Err(Error::Busy) } else { Ok(()) }
    }

    /// Makes the factory's slots final: from now on they change by an authorised
    /// [`update`](Device::update) alone. There is no way back but a full erase
    /// of the secure storage. Locking a locked device does nothing.
    ///
    /// - [`Error::NotFound`]: a factory identity has no key or no chain, which
    ///   could not be made good any more.
    /// - [`Error::Busy`]: a factory identity is in a rotation.
    /// - [`Error::Corrupt`]: the device has lost its state; it is locked, until a
    ///   recovery.
    /// - [`Refusal::NoCommander`]: no anchor may command the device, so nothing
    ///   could ever be updated.
    pub fn lock(&mut self) -> Result<(), Error> {
        self.change(|device| {
            if device.condition == Condition::Lost {
                return Err(Error::Corrupt);
            }
            if device.state.locked {
                return Ok(());
            }
            let identities = device.store.layout.identities();
            for def in identities.filter(|def| def.policy == Policy::Factory) {
                device.finish(def.id)?;
                if device.phase(def.id)? != Phase::Settled {
                    return Err(Error::Busy);
                }
                device.public_key(def.id)?;
                device.chain(def.id)?;
            }
            device.finish_anchors()?;
            if P::UPDATES && !device.has_commander(None) {
                return Err(Error::Refused(Refusal::NoCommander));
            }
            let mut state = device.state;
            state.locked = true;
            device.commit(&mut state)
        })
    }

    /// Whether the device is locked; one that has lost its state is.
    pub fn is_locked(&self) -> bool {
        self.state.locked
    }

    /// Returns to the factory's identity: destroys the keys and chains of the
    /// operational ones. Data slots stay. One that cannot be finished now is
    /// finished at the next start, or before that identity changes again.
    pub fn reset(&mut self) -> Result<(), Error> {
        self.change(|device| {
            let mut intent = device.state;
            device.reset_with(&mut intent)
        })
    }

    /// Resets, with what else is to change in the state.
    pub(crate) fn reset_with(&mut self, intent: &mut State) -> Result<(), Error> {
        let operational = |def: &&SlotDef<'_>| def.policy == Policy::Operational;
        for def in self.store.layout.identities().filter(operational) {
            intent.set_active(def.id, self.state.active(def.id).erasing());
        }
        self.commit(intent)?;
        let mut result = Ok(());
        for def in self.store.layout.identities().filter(operational) {
            result = result.and(self.finish(def.id));
        }
        result
    }

    /// Makes a state the device's. The first one is written even if nothing in
    /// it changed, so that no object is older than the state.
    pub(crate) fn commit(&mut self, state: &mut State) -> Result<(), Error> {
        match self.condition {
            Condition::Lost => return Err(Error::Corrupt),
            Condition::Known if *state == self.state => return Ok(()),
            Condition::Known | Condition::New => {}
        }
        self.commit_anew(state)
    }

    /// Commits a state whatever was known before.
    #[inline(never)]
    pub(crate) fn commit_anew(&mut self, state: &mut State) -> Result<(), Error> {
        state.follow(&self.state);
        self.store.was_touched = true;
        let before = (self.state.generation() != 0).then_some(&self.state);
        self.store.write_state(state, before)?;
        self.state = *state;
        self.condition = Condition::Known;
        Ok(())
    }

    /// Tells the device what time it is. Only the application can: no transport
    /// does. Time then passes with the platform's uptime, until the next start.
    ///
    /// The device remembers that it cannot be earlier. That *time floor* rises
    /// at most once a day, and not further than the layout's `time_bound` beyond
    /// the firmware's build or the latest command: a wrong answer of a time
    /// server must not make every certificate look expired for good.
    ///
    /// - [`Refusal::TimeFloor`]: the time is before the floor.
    pub fn set_time(&mut self, now: UnixTime) -> Result<(), Error> {
        const DAY: i64 = 86_400;
        self.change(|device| {
            let floor = device.state.floor();
            if now < floor {
                return Err(Error::Refused(Refusal::TimeFloor));
            }
            device.clock = Some((now, device.store.platform.uptime()));
            let latest = device.state.issued().max(device.store.layout.built);
            let ceiling = latest.0.saturating_add(i64::from(device.store.layout.time_bound));
            let is_due = now.0.saturating_sub(floor.0) >= DAY && now.0 <= ceiling;
            if is_due && device.condition == Condition::Known {
                let mut state = device.state;
                state.set_floor(now);
                return device.commit(&mut state);
            }
            Ok(())
        })
    }

    /// The time, where the application told it since the start.
    pub fn now(&mut self) -> Option<UnixTime> {
        let (told, at) = self.clock?;
        let passed = self.store.platform.uptime().saturating_sub(at);
        Some(UnixTime(told.0.saturating_add(i64::from(passed))))
    }

    /// The time before which it cannot be; 1970 where nothing is known.
    pub fn time_floor(&self) -> UnixTime {
        self.state.floor()
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

    /// Its layout.
    pub fn layout(&self) -> Layout<'a> {
        self.store.layout
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
    pub fn find(&self, name: impl AsRef<[u8]>) -> Result<SlotId, Error> {
        self.find_name(name.as_ref())
    }

    fn find_name(&self, name: &[u8]) -> Result<SlotId, Error> {
        let (name, pending) = match name.strip_suffix(b"/pending") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let mut slots = self.store.layout.slots.iter();
        let found = slots.find(|def| def.name.as_bytes() == name);
        let id = found.map(|def| def.id).ok_or(Error::UnknownSlot)?;
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
    /// - [`Error::Denied`] for the factory's slots once the device is locked.
    /// - [`Error::AlreadyExists`]: the anchor's key is in another slot.
    pub fn write(&mut self, slot: SlotId, value: &[u8]) -> Result<(), Error> {
        self.change(|device| {
            device.check_policy(device.store.layout.find(slot)?)?;
            let mut intent = device.state;
            device.write_with(slot, value, &mut intent)
        })
    }

    /// A write for which the policy was checked, or that an update commands,
    /// with what else is to change in the state before it.
    pub(crate) fn write_with(
        &mut self,
        slot: SlotId,
        value: &[u8],
        intent: &mut State,
    ) -> Result<(), Error> {
        let def = self.store.layout.find(slot)?;
        if value.is_empty() {
            return Err(Error::InvalidArgument);
        }
        if value.len() > usize::from(def.max_len) {
            return Err(Error::TooLarge { limit: def.max_len });
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
                if Self::commands(def) {
                    return self.write_commander(slot, value, intent);
                }
            }
            Kind::Data => {}
        }
        // A device that lost its state can still take operational data.
        if self.condition != Condition::Lost {
            self.commit(intent)?;
        }
        self.store.write(slot, value)
    }

    /// Empties a slot. An identity loses its key, too. A pending bank loses what
    /// a rotation prepared.
    ///
    /// - [`Error::Denied`] for the factory's slots once the device is locked.
    /// - [`Error::Busy`] for an identity in a rotation.
    pub fn erase(&mut self, slot: SlotId) -> Result<(), Error> {
        self.change(|device| {
            let def = device.store.layout.find(slot)?;
            device.check_policy(def)?;
            match def.kind {
                Kind::Identity => device.erase_identity(slot),
                Kind::Anchor if Self::commands(def) => {
                    let mut intent = device.state;
                    device.erase_commander(slot, &mut intent)
                }
                _ => device.store.erase(slot),
            }
        })
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
        if !matches!(challenge_len, 32 | 48 | 64) {
            return Err(Error::InvalidArgument);
        }
        self.store.platform.token_len(challenge_len)
    }

    /// The PSA attestation token for a [plain challenge](PlainChallenge).
    ///
    /// [`Error::InvalidArgument`] for a challenge of another length than 32, 48
    /// or 64 bytes, or of the form of those that vouch for a key.
    pub fn token(&mut self, challenge: &[u8]) -> Result<&[u8], Error> {
        let len = self.token_in_scratch(PlainChallenge::parse(challenge)?.as_bytes())?;
        self.scratch(len)
    }

    /// The token for a plain challenge with the chain of the first `chain` slot, when
    /// it holds one, as `x5chain` (RFC 9360) in the unprotected header.
    ///
    /// - [`Error::InvalidArgument`]: as for [`Device::token`].
    /// - A corrupt chain fails the call: ask for the [`Device::token`] alone then.
    pub fn evidence(&mut self, challenge: &[u8]) -> Result<&[u8], Error> {
        let len = self.evidence_in_scratch(PlainChallenge::parse(challenge)?.as_bytes())?;
        self.scratch(len)
    }

    /// Evidence that vouches for an identity's key: its nonce is made of the
    /// verifier's plain challenge and that key ([`crate::bound`]).
    ///
    /// [`Error::InvalidArgument`]: as for [`Device::token`].
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
        let challenge = PlainChallenge::parse(challenge)?;
        let platform = &mut self.store.platform;
        let nonce = challenge.bind(&key.spki(), |parts| platform.sha256(parts))?;
        self.evidence_in_scratch(&nonce)
    }

    /// Evidence under any nonce: whoever calls has made it, or parsed it.
    fn evidence_in_scratch(&mut self, nonce: &[u8]) -> Result<usize, Error> {
        let mut len = self.token_in_scratch(nonce)?;
        let chain = self.slots().find(|slot| slot.def.kind == Kind::Chain);
        if let Some(chain) = chain.filter(|chain| chain.state != SlotState::Empty) {
            let chain_len = self.store.read_at(chain.def.id, len)?;
            len = x5chain::insert(self.store.scratch, len, chain_len)?;
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

    fn token_in_scratch(&mut self, nonce: &[u8]) -> Result<usize, Error> {
        self.store.platform.token(nonce, self.store.scratch)
    }

    pub(crate) fn scratch(&self, len: usize) -> Result<&[u8], Error> {
        self.store.scratch.get(..len).ok_or(Error::Malformed { item: Item::Token, at: 0 })
    }
}
