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
//! Each arrow is one commit. What power interrupts is found at the next start
//! and finished or undone ([`Device::mount`]); until `confirm` the old key and
//! chain stand.

use crate::chain::{self, Checked};
use crate::csr::{self, Evidence, Subject};
use crate::der::Reader;
use crate::device::Device;
use crate::error::{Error, Refusal};
use crate::key::PublicKey;
use crate::layout::{Half, Kind, SlotDef, SlotId};
use crate::platform::{KeyId, Platform};
use crate::state::{Activated, Active, State};
use crate::store::Held;
use crate::time::UnixTime;
use crate::token::TokenIds;
use crate::x509::Certificate;

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
        let bank = self.bank(slot)?;
        self.check_policy(bank.def)?;
        if self.store.platform.public_key(bank.key)?.is_some() {
            return Err(Error::AlreadyExists);
        }
        if slot.is_pending() {
            self.public_key(slot.settled())?;
            if self.store.held(bank.record)? != Held::Empty {
                return Err(Error::Busy);
            }
        } else {
            self.recover(slot)?;
        }
        self.store.platform.generate(bank.key)?;
        self.public_key(slot)
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
    /// signed by the next, a CA. Validity is checked when `now` is given.
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
        self.check_policy(self.bank(slot)?.def)?;
        self.install_authorised(slot, chain, now)
    }

    /// An installation for which the policy was checked, or that an update
    /// commands.
    pub(crate) fn install_authorised(
        &mut self,
        slot: SlotId,
        chain: &[u8],
        now: Option<UnixTime>,
    ) -> Result<Checked, Error> {
        let bank = self.bank(slot)?;
        let limit = bank.def.max_len;
        if chain.len() > usize::from(limit) {
            return Err(Error::TooLarge { limit: u32::from(limit) });
        }
        let public_key = match self.store.platform.public_key(bank.key)? {
            Some(key) => key,
            None if slot.is_pending() => {
                let active = self.bank(slot.settled())?.record;
                if self.store.held(active)? == Held::Empty {
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
        if slot.is_pending() && self.store.held(bank.record)? != Held::Empty {
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
        if self.active(slot.settled())?.activated().is_some() {
            return Ok(Phase::Activated);
        }
        let pending = self.bank(slot.pending())?;
        let is_empty = self.store.held(pending.record)? == Held::Empty
            && self.store.platform.public_key(pending.key)?.is_none();
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
        self.check_policy(self.bank(slot)?.def)?;
        self.activate_authorised(slot, self.state.sequence)
    }

    /// Activates together with a sequence number's step.
    pub(crate) fn activate_authorised(&mut self, slot: SlotId, sequence: u64) -> Result<(), Error> {
        let active = self.active(slot)?;
        let pending = self.bank(slot.pending())?;
        let (what, key) = match self.store.platform.public_key(pending.key)? {
            Some(key) => (Activated::Rotation, key),
            None => (Activated::Renewal, self.public_key(slot)?),
        };
        if leaf_key(self.store.read(pending.record)?)? != key {
            return Err(Error::Refused(Refusal::KeyMismatch));
        }
        let mut state = State { sequence, ..self.state };
        state.set_active(slot, active.activate(what));
        self.commit(state)
    }

    /// Ends a rotation: destroys the old key and removes the old chain.
    ///
    /// [`Error::NotFound`] where nothing was activated.
    pub fn confirm(&mut self, slot: SlotId) -> Result<(), Error> {
        let active = self.active(slot)?;
        let what = active.activated().ok_or(Error::NotFound)?;
        let (key, record) = self.idle(slot, active);
        // The first of these is the commit: from then on there is no way back,
        // and the next start goes on from here.
        if what == Activated::Rotation {
            self.store.platform.destroy(key)?;
        }
        self.remove_record(record)?;
        self.set_active(slot, active.confirmed())
    }

    /// Undoes a rotation as far as it went: an activated identity becomes again
    /// what it was, and what was new is dropped.
    ///
    /// [`Error::NotFound`] where there is no rotation.
    pub fn rollback(&mut self, slot: SlotId) -> Result<(), Error> {
        match self.phase(slot)? {
            Phase::Settled => return Err(Error::NotFound),
            Phase::Pending => {}
            Phase::Activated => {
                let before = self.active(slot)?.previous();
                self.set_active(slot, before)?;
            }
        }
        self.drop_idle(slot)
    }

    /// Erases a whole identity that is in no rotation, or its pending bank.
    pub(crate) fn erase_identity(&mut self, slot: SlotId) -> Result<(), Error> {
        if slot.is_pending() {
            return match self.phase(slot)? {
                Phase::Settled => Err(Error::NotFound),
                Phase::Pending => self.drop_idle(slot.settled()),
                Phase::Activated => Err(Error::Busy),
            };
        }
        if self.phase(slot)? != Phase::Settled {
            return Err(Error::Busy);
        }
        let bank = self.bank(slot)?;
        let had_key = self.store.platform.public_key(bank.key)?.is_some();
        if had_key {
            self.store.platform.destroy(bank.key)?;
        }
        match self.store.erase(bank.record) {
            Err(Error::NotFound) if had_key => Ok(()),
            result => result,
        }
    }

    /// Removes all of an identity, whatever its phase.
    pub(crate) fn wipe(&mut self, slot: SlotId) -> Result<(), Error> {
        for half in Half::BOTH {
            self.store.platform.destroy(self.store.layout.key(slot, half))?;
            self.remove_record(half.of(slot))?;
        }
        Ok(())
    }

    /// Finishes or undoes what power interrupted in an identity.
    pub(crate) fn recover(&mut self, slot: SlotId) -> Result<(), Error> {
        let active = self.active(slot)?;
        match active.activated() {
            Some(what) => {
                let (key, record) = self.idle(slot, active);
                let confirming = match what {
                    Activated::Rotation => self.store.platform.public_key(key)?.is_none(),
                    Activated::Renewal => self.store.held(record)? == Held::Empty,
                };
                if confirming { self.confirm(slot) } else { Ok(()) }
            }
            None => {
                // A chain that an erase left without its key.
                let bank = self.bank(slot)?;
                let orphan = matches!(self.store.held(bank.record)?, Held::Value { .. })
                    && self.store.platform.public_key(bank.key)?.is_none();
                if orphan { self.store.erase(bank.record) } else { Ok(()) }
            }
        }
    }

    /// The halves that make a whole identity, where the state does not say.
    pub(crate) fn find_active(&mut self, slot: SlotId) -> Result<Active, Error> {
        for key in Half::BOTH {
            let id = self.store.layout.key(slot, key);
            let Some(public_key) = self.store.platform.public_key(id)? else { continue };
            for chain in Half::BOTH {
                let is_over_key = match self.store.read(chain.of(slot)) {
                    Ok(der) => leaf_key(der)? == public_key,
                    Err(Error::NotFound | Error::Corrupt) => false,
                    Err(error) => return Err(error),
                };
                if is_over_key {
                    return Ok(Active::settled(key, chain));
                }
            }
        }
        Ok(Active::default())
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
        if active.activated().is_some() {
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
        self.commit(state)
    }

    /// The key and the chain that are not the active ones.
    fn idle(&self, slot: SlotId, active: Active) -> (KeyId, SlotId) {
        (self.store.layout.key(slot, active.key().other()), active.chain().other().of(slot))
    }

    /// Empties the pending bank. The chain first: a key without one is a
    /// rotation begun, a chain without its key would be nothing.
    fn drop_idle(&mut self, slot: SlotId) -> Result<(), Error> {
        let (key, record) = self.idle(slot, self.active(slot)?);
        self.remove_record(record)?;
        self.store.platform.destroy(key)
    }

    fn remove_record(&mut self, record: SlotId) -> Result<(), Error> {
        match self.store.erase(record) {
            Err(Error::NotFound) => Ok(()),
            result => result,
        }
    }
}

/// The key of a stored chain's leaf.
fn leaf_key(chain: &[u8]) -> Result<PublicKey, Error> {
    Ok(Certificate::read(&mut Reader::new(chain))?.public_key)
}
