// SPDX-License-Identifier: Apache-2.0
//! Identities: a key that never leaves the platform and the chain over it.
//!
//! An identity has two halves, each with room for a key and a chain; the
//! device's state says which are active. The others are its *pending bank*
//! ([`SlotId::pending`]), where a rotation prepares the next key and chain, or a
//! renewal the next chain over the same key:
//!
//! ```text
//!            generate, install            activate             confirm
//!  Settled -------------------> Pending ------------> Activated -------> Settled
//!                               rollback: Settled     rollback: Settled, as before
//! ```
//!
//! Each arrow is one commit, and what destroys something commits its intent
//! first. What an interruption or an error leaves is finished at the next start
//! ([`Device::mount`]), or before the identity changes again; until `confirm`
//! the old key and chain stand.

use crate::chain::{self, Checked};
use crate::csr::{self, Evidence, Subject};
use crate::device::Device;
use crate::error::{Error, Refusal};
use crate::key::PublicKey;
use crate::layout::{Half, Kind, SlotDef, SlotId};
use crate::platform::{KeyId, Platform};
use crate::state::{Activated, Active, State, Unfinished};
use crate::time::UnixTime;
use crate::token::TokenIds;
use crate::x509::stored_key;

/// Where an identity stands in a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// In none: the pending bank is empty.
    Settled = 0,
    /// A key or a chain is pending; the active ones are in use.
    Pending = 1,
    /// The new ones are active and the old ones kept until they are confirmed.
    Activated = 2,
}

/// One bank of an identity.
struct Bank<'a> {
    def: &'a SlotDef<'a>,
    key: KeyId,
    /// The record that holds the chain.
    record: SlotId,
}

impl<'a, P: Platform> Device<'a, P> {
    /// Makes an identity's key, or the pending bank's for a rotation.
    ///
    /// - [`Error::AlreadyExists`]: there is one; erase it first.
    /// - [`Error::NotFound`]: a pending key needs an active one.
    /// - [`Error::Busy`]: the pending bank holds a renewal, or what was replaced.
    /// - [`Error::Denied`]: a factory identity of a locked device.
    pub fn generate(&mut self, slot: SlotId) -> Result<PublicKey, Error> {
        self.change(|device| {
            let identity = device.store.layout.find(slot)?.id;
            device.finish(identity)?;
            let bank = device.bank(slot)?;
            device.check_policy(bank.def)?;
            let is_broken = match device.store.platform.public_key(bank.key) {
                Ok(None) => false,
                Ok(Some(_)) => return Err(Error::AlreadyExists),
                Err(Error::Corrupt) => true,
                Err(error) => return Err(error),
            };
            let holds_chain = !device.store.is_empty(bank.record)?;
            if slot.is_pending() {
                device.public_key(slot.settled())?;
                if holds_chain {
                    return Err(Error::Busy);
                }
            }
            let mut unchanged = device.state;
            device.commit(&mut unchanged)?;
            if holds_chain {
                // Its key is lost; the new one never had a chain.
                device.store.erase(bank.record)?;
            }
            device.store.was_touched = true;
            if is_broken {
                device.store.platform.destroy(bank.key)?;
            }
            device.store.platform.generate(bank.key)?;
            device.public_key(slot)
        })
    }

    /// The public half of an identity's key.
    pub fn public_key(&mut self, slot: SlotId) -> Result<PublicKey, Error> {
        let key = self.bank(slot)?.key;
        self.store.platform.public_key(key)?.ok_or(Error::NotFound)
    }

    /// The PSA id of an identity's key, for those who compute with it: a TLS
    /// stack. It changes with a rotation.
    pub fn key_id(&self, slot: SlotId) -> Result<KeyId, Error> {
        Ok(self.bank(slot)?.key)
    }

    /// A PKCS#10 certification request (RFC 2986) in DER, signed by the
    /// identity's key: the proof that it is there.
    pub fn csr(&mut self, slot: SlotId, subject: &Subject<'_>) -> Result<&[u8], Error> {
        let public_key = self.public_key(slot)?;
        self.signed_csr(slot, subject, &public_key, None)
    }

    /// As [`Device::csr`], with [bound evidence](Device::bound_evidence) for the
    /// request's own key in the attribute id-aa-attestation, so that a CA sees
    /// whose key it certifies. `challenge` is the CA's.
    pub fn csr_with_evidence(
        &mut self,
        slot: SlotId,
        subject: &Subject<'_>,
        challenge: &[u8],
    ) -> Result<&[u8], Error> {
        let public_key = self.public_key(slot)?;
        let len = self.bound_evidence_in_scratch(&public_key, challenge)?;
        let content_format = if TokenIds::decode(self.scratch(len)?)?.is_rfc9783 {
            csr::CONTENT_FORMAT_RFC9783
        } else {
            csr::CONTENT_FORMAT_LEGACY
        };
        self.signed_csr(slot, subject, &public_key, Some(Evidence { len, content_format }))
    }

    fn signed_csr(
        &mut self,
        slot: SlotId,
        subject: &Subject<'_>,
        public_key: &PublicKey,
        evidence: Option<Evidence>,
    ) -> Result<&[u8], Error> {
        let key = self.bank(slot)?.key;
        let platform = &mut self.store.platform;
        csr::write(self.store.scratch, subject, public_key, evidence, |info| {
            let digest = platform.sha256(&[info])?;
            platform.sign(key, &digest)
        })
    }

    /// Installs the chain over an identity's key, as concatenated DER, leaf
    /// first; it replaces a chain already there. In the pending bank it waits
    /// for [`Device::activate`]; without a pending key it is a renewal, over
    /// the active key.
    ///
    /// Refused unless the leaf certifies the key and each certificate is
    /// signed by the next, a CA. Validity is checked at the [time that the
    /// application told](Device::set_time), else at `now`, else not at all.
    ///
    /// - [`Error::NotFound`]: there is no key, or for a renewal no chain either.
    /// - [`Error::Busy`]: an active chain is not replaced in a rotation.
    /// - [`Error::Denied`]: a factory identity of a locked device.
    pub fn install(
        &mut self,
        slot: SlotId,
        chain: &[u8],
        now: Option<UnixTime>,
    ) -> Result<Checked, Error> {
        self.change(|device| {
            let identity = device.store.layout.find(slot)?.id;
            device.finish(identity)?;
            device.check_policy(device.bank(slot)?.def)?;
            let mut intent = device.state;
            device.install_with(slot, chain, now, &mut intent)
        })
    }

    /// An installation for which the policy was checked, or that an update
    /// commands, with what else is to change in the state before it.
    pub(crate) fn install_with(
        &mut self,
        slot: SlotId,
        chain: &[u8],
        now: Option<UnixTime>,
        intent: &mut State,
    ) -> Result<Checked, Error> {
        let now = self.now().or(now);
        let bank = self.bank(slot)?;
        let limit = bank.def.max_len;
        if chain.len() > usize::from(limit) {
            return Err(Error::TooLarge { limit });
        }
        let public_key = match self.store.platform.public_key(bank.key)? {
            Some(key) => key,
            None if slot.is_pending() => {
                let active = self.bank(slot.settled())?.record;
                if self.store.is_empty(active)? {
                    return Err(Error::NotFound);
                }
                self.public_key(slot.settled())?
            }
            None => return Err(Error::NotFound),
        };
        if !slot.is_pending() && self.phase(slot)? != Phase::Settled {
            return Err(Error::Busy);
        }
        let checked = chain::check(&mut self.store.platform, chain, Some(&public_key), now)?;
        self.commit(intent)?;
        if slot.is_pending() && !self.store.is_empty(bank.record)? {
            // An identity takes two banks of storage, never three.
            self.store.erase(bank.record)?;
        }
        self.store.write(bank.record, chain)?;
        Ok(checked)
    }

    /// An identity's chain as concatenated DER, leaf first.
    pub fn chain(&mut self, slot: SlotId) -> Result<&[u8], Error> {
        let record = self.bank(slot)?.record;
        self.store.read(record)
    }

    /// Where an identity stands in a rotation.
    pub fn phase(&mut self, slot: SlotId) -> Result<Phase, Error> {
        let active = self.active(slot.settled())?;
        if active.activated().is_some() {
            return Ok(Phase::Activated);
        }
        if active.unfinished().is_some() {
            return Ok(Phase::Settled);
        }
        let pending = self.bank(slot.pending())?;
        let is_empty = self.store.is_empty(pending.record)?
            && !matches!(self.store.platform.public_key(pending.key), Ok(Some(_)));
        Ok(if is_empty { Phase::Settled } else { Phase::Pending })
    }

    /// Makes the pending key and chain, or the pending chain over the same key,
    /// the active ones, in one write. The old ones are kept.
    ///
    /// - [`Error::NotFound`]: no chain is pending.
    /// - [`Error::Busy`]: the last activation is neither confirmed nor rolled back.
    /// - [`Refusal::KeyMismatch`]: the pending chain is over another key.
    /// - [`Error::Denied`]: a factory identity of a locked device.
    pub fn activate(&mut self, slot: SlotId) -> Result<(), Error> {
        self.change(|device| {
            let identity = device.store.layout.find(slot)?.id;
            device.finish(identity)?;
            device.check_policy(device.bank(slot)?.def)?;
            let mut intent = device.state;
            device.activate_with(slot, &mut intent)
        })
    }

    /// Activates, with what else is to change in the state.
    pub(crate) fn activate_with(&mut self, slot: SlotId, intent: &mut State) -> Result<(), Error> {
        let active = self.active(slot)?;
        let pending = self.bank(slot.pending())?;
        let (what, key) = match self.store.platform.public_key(pending.key)? {
            Some(key) => (Activated::Rotation, key),
            None => (Activated::Renewal, self.public_key(slot)?),
        };
        if stored_key(self.store.read(pending.record)?)? != key {
            return Err(Error::Refused(Refusal::KeyMismatch));
        }
        intent.set_active(slot, active.activate(what));
        self.commit(intent)
    }

    /// Ends a rotation: destroys the old key and removes the old chain. Once its
    /// intent is committed there is no way back; what remains to be done is done
    /// by the next start, or before the identity changes again.
    ///
    /// - [`Error::NotFound`]: nothing was activated.
    /// - [`Error::Corrupt`]: the new key or chain is broken, and the old one is
    ///   all there is: roll back.
    pub fn confirm(&mut self, slot: SlotId) -> Result<(), Error> {
        self.change(|device| {
            device.finish(slot)?;
            let active = device.active(slot)?;
            active.activated().ok_or(Error::NotFound)?;
            device.check_whole(slot, active)?;
            device.set_active(slot, active.emptying())?;
            device.finish(slot)
        })
    }

    /// Undoes a rotation as far as it went: an activated identity becomes again
    /// what it was, and what was new is dropped.
    ///
    /// - [`Error::NotFound`]: there is no rotation.
    /// - [`Error::Corrupt`]: the old key or chain is broken, and the new one is
    ///   all there is: confirm.
    pub fn rollback(&mut self, slot: SlotId) -> Result<(), Error> {
        self.change(|device| {
            device.finish(slot)?;
            if device.phase(slot)? == Phase::Settled {
                return Err(Error::NotFound);
            }
            let active = device.active(slot)?;
            let before = active.previous();
            if active.activated().is_some() {
                device.check_whole(slot, before)?;
            }
            device.set_active(slot, before.emptying())?;
            device.finish(slot)
        })
    }

    /// Refuses halves that are broken: the others must stay then. A key may have
    /// no chain yet.
    fn check_whole(&mut self, slot: SlotId, active: Active) -> Result<(), Error> {
        let id = self.store.layout.key(slot, active.key());
        let key = self.store.platform.public_key(id)?.ok_or(Error::Corrupt)?;
        match self.store.read(active.chain().of(slot)).and_then(stored_key) {
            Err(Error::NotFound) => Ok(()),
            Ok(certified) if certified == key => Ok(()),
            Ok(_) => Err(Error::Corrupt),
            Err(error) => Err(error),
        }
    }

    /// Erases a whole identity that is in no rotation, or its pending bank.
    pub(crate) fn erase_identity(&mut self, slot: SlotId) -> Result<(), Error> {
        let identity = slot.settled();
        self.finish(identity)?;
        let active = self.active(identity)?;
        match (slot.is_pending(), self.phase(identity)?) {
            (true, Phase::Settled) => return Err(Error::NotFound),
            // Each step leaves less of a pending bank. So this needs no intent
            // first, nor the room to write one.
            (true, Phase::Pending) => {
                let mut unchanged = self.state;
                self.commit(&mut unchanged)?;
                return self.empty(identity, active.key().other(), active.chain().other());
            }
            (false, Phase::Settled) => {
                let bank = self.bank(slot)?;
                let is_empty = self.store.is_empty(bank.record)?
                    && matches!(self.store.platform.public_key(bank.key), Ok(None));
                if is_empty {
                    return Err(Error::NotFound);
                }
                self.set_active(identity, active.erasing())?;
            }
            (true, Phase::Activated) | (false, Phase::Pending | Phase::Activated) => {
                return Err(Error::Busy);
            }
        }
        self.finish(identity)
    }

    /// Finishes what was begun with an identity, if anything was.
    pub(crate) fn finish(&mut self, slot: SlotId) -> Result<(), Error> {
        let active = self.active(slot)?;
        match active.unfinished() {
            None => Ok(()),
            Some(Unfinished::Emptying) => {
                self.empty(slot, active.key().other(), active.chain().other())?;
                self.set_active(slot, active.confirmed())
            }
            Some(Unfinished::Erasing) => {
                let mut left = Active::default();
                for half in Half::BOTH {
                    self.empty(slot, half, half)?;
                }
                let first = self.store.layout.key(slot, Half::First);
                if !matches!(self.store.platform.public_key(first), Ok(None)) {
                    // A broken key that cannot be destroyed: its place stays taken.
                    left = Active::settled(Half::Second, Half::First);
                }
                self.set_active(slot, left)
            }
        }
    }

    /// Empties halves of an identity. The chain first: a key without one is a
    /// rotation begun, a chain without its key would be nothing.
    fn empty(&mut self, slot: SlotId, key: Half, chain: Half) -> Result<(), Error> {
        self.store.was_touched = true;
        match self.store.erase(chain.of(slot)) {
            Ok(()) | Err(Error::NotFound) => {}
            Err(error) => return Err(error),
        }
        match self.store.platform.destroy(self.store.layout.key(slot, key)) {
            // Nobody can use it, nor could before.
            Err(Error::Corrupt) => Ok(()),
            result => result,
        }
    }

    /// The halves that make a whole identity, where the state does not say.
    pub(crate) fn find_active(&mut self, slot: SlotId) -> Active {
        for key in Half::BOTH {
            let id = self.store.layout.key(slot, key);
            let Ok(Some(public_key)) = self.store.platform.public_key(id) else { continue };
            for chain in Half::BOTH {
                let certified = self.store.read(chain.of(slot)).and_then(stored_key);
                if certified == Ok(public_key) {
                    return Active::settled(key, chain);
                }
            }
        }
        Active::default()
    }

    /// The bank whose key waits for a chain: the pending one where it has a key.
    pub(crate) fn bank_to_certify(&mut self, slot: SlotId) -> Result<SlotId, Error> {
        let active = self.active(slot)?;
        let (key, _) = self.idle(slot, active);
        let is_pending =
            active.activated().is_none() && self.store.platform.public_key(key)?.is_some();
        Ok(if is_pending { slot.pending() } else { slot })
    }

    /// The record that holds a slot's value.
    pub(crate) fn record(&self, slot: SlotId) -> Result<SlotId, Error> {
        match self.bank(slot) {
            Ok(bank) => Ok(bank.record),
            Err(Error::NotSupported) => Ok(slot),
            Err(error) => Err(error),
        }
    }

    fn bank(&self, slot: SlotId) -> Result<Bank<'a>, Error> {
        let def = self.store.layout.find(slot)?;
        let active = self.active(def.id)?;
        if !slot.is_pending() {
            let key = self.store.layout.key(def.id, active.key());
            return Ok(Bank { def, key, record: active.chain().of(def.id) });
        }
        if active.activated().is_some() || active.unfinished().is_some() {
            return Err(Error::Busy);
        }
        let (key, record) = self.idle(def.id, active);
        Ok(Bank { def, key, record })
    }

    fn active(&self, slot: SlotId) -> Result<Active, Error> {
        match self.store.layout.find(slot)? {
            def if def.kind == Kind::Identity && !slot.is_pending() => {
                Ok(self.state.active(def.id))
            }
            _ => Err(Error::NotSupported),
        }
    }

    fn set_active(&mut self, slot: SlotId, active: Active) -> Result<(), Error> {
        let mut state = self.state;
        state.set_active(slot, active);
        self.commit(&mut state)
    }

    /// The key and the chain that are not the active ones.
    fn idle(&self, slot: SlotId, active: Active) -> (KeyId, SlotId) {
        (self.store.layout.key(slot, active.key().other()), active.chain().other().of(slot))
    }
}
