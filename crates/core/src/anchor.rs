// SPDX-License-Identifier: Apache-2.0
//! Who may command the device: the anchors, and the signers that the state
//! names.
//!
//! A slot holds an anchor's certificate; the state names its key. Both are
//! needed to command, so that neither a certificate put back into storage nor
//! an entry without its certificate is enough.

use crate::chain;
use crate::device::{Condition, Device};
use crate::error::{Error, Refusal};
use crate::key::PublicKey;
use crate::layout::{Kind, SlotDef, SlotId};
use crate::platform::{Crypto, Platform};
use crate::state::{SignerId, Standing, State};
use crate::time::UnixTime;
use crate::x509::{Certificate, stored_key};

/// An anchor that the device has for commands.
#[derive(Clone, Copy)]
pub(crate) struct Commander {
    pub(crate) id: SignerId,
    pub(crate) key: PublicKey,
    /// Whether it may command at the moment that was asked about.
    pub(crate) may: Result<(), Error>,
}

/// When "may command" is asked.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    /// The time, where it is known.
    pub(crate) now: Option<UnixTime>,
    /// It is not earlier than this.
    pub(crate) floor: UnixTime,
    /// When the command says it was issued.
    pub(crate) issued: Option<UnixTime>,
}

impl Moment {
    /// The earliest that it can be.
    pub(crate) fn earliest(self) -> UnixTime {
        self.now.unwrap_or(self.floor).max(self.floor)
    }
}

impl<P: Platform> Device<'_, P> {
    pub(crate) fn moment(&mut self) -> Moment {
        Moment { now: self.now(), floor: self.state.floor(), issued: None }
    }

    /// Whether what a slot holds may command the device.
    pub(crate) fn commands(def: &SlotDef<'_>) -> bool {
        P::UPDATES && def.kind == Kind::Anchor && def.purpose.commands()
    }

    /// Whether an anchor may command the device now, that in slot `except` not
    /// counted.
    pub(crate) fn has_commander(&mut self, except: Option<SlotId>) -> bool {
        let moment = self.moment();
        let slots = self.store.layout.slots;
        let mut others = slots.iter().filter(|def| Self::commands(def) && Some(def.id) != except);
        others.any(|def| match self.commander(def.id, moment) {
            Ok(Some(found)) => found.may.is_ok(),
            _ => false,
        })
    }

    /// The anchor in a slot for commands; `None` where the slot has no sound one,
    /// or one that the state does not name.
    pub(crate) fn commander(
        &mut self,
        slot: SlotId,
        moment: Moment,
    ) -> Result<Option<Commander>, Error> {
        let der = match self.store.read(slot) {
            Ok(der) => der,
            Err(error @ Error::Platform(_)) => return Err(error),
            Err(_) => return Ok(None),
        };
        let Ok(anchor) = Certificate::parse(der) else { return Ok(None) };
        let (key, may) = (anchor.public_key, may_command(&anchor, moment));
        let id = signer_id(&mut self.store.platform, &key)?;
        let is_named = self.state.signer_in(slot).is_some_and(|signer| signer.id == id);
        let commands = is_named || self.condition == Condition::Lost;
        Ok(commands.then_some(Commander { id, key, may }))
    }

    /// Writes an anchor that commands. The state names it first; what it
    /// replaces commands until it is there.
    pub(crate) fn write_commander(
        &mut self,
        slot: SlotId,
        der: &[u8],
        intent: &mut State,
    ) -> Result<(), Error> {
        let key = Certificate::parse(der)?.public_key;
        let id = signer_id(&mut self.store.platform, &key)?;
        intent.add_signer(&id, slot)?;
        self.commit(intent)?;
        self.store.write(slot, der)?;
        self.finish_anchors()
    }

    /// Removes an anchor that commands. The state stops naming it first.
    pub(crate) fn erase_commander(
        &mut self,
        slot: SlotId,
        intent: &mut State,
    ) -> Result<(), Error> {
        match intent.signer_in_mut(slot) {
            Some(signer) => {
                signer.set_standing(Standing::Leaving);
                self.commit(intent)?;
                self.finish_anchors()
            }
            None => self.store.erase(slot),
        }
    }

    /// Finishes what an interruption left of writing or removing an anchor.
    pub(crate) fn finish_anchors(&mut self) -> Result<(), Error> {
        if !P::UPDATES {
            return Ok(());
        }
        let mut state = self.state;
        for signer in self.state.signers {
            match signer.standing() {
                Standing::Arriving => {
                    let standing = match self.anchor_in(signer.slot())? {
                        Some(id) if id == signer.id => {
                            state.retire(signer.slot());
                            Standing::Active
                        }
                        _ => Standing::Gone,
                    };
                    if let Some(arrived) = state.signer_mut(&signer.id) {
                        arrived.set_standing(standing);
                    }
                }
                Standing::Leaving => {
                    if self.anchor_in(signer.slot())?.is_none_or(|id| id == signer.id)
                        && !self.store.is_empty(signer.slot())?
                    {
                        self.store.erase(signer.slot())?;
                    }
                    if let Some(left) = state.signer_mut(&signer.id) {
                        left.leave();
                    }
                }
                Standing::None | Standing::Active | Standing::Gone => {}
            }
        }
        if state == self.state { Ok(()) } else { self.commit(&mut state) }
    }

    /// Whose certificate is in a slot; `None` where there is none to be read.
    pub(crate) fn anchor_in(&mut self, slot: SlotId) -> Result<Option<SignerId>, Error> {
        let key = match self.store.read(slot) {
            Ok(der) => match stored_key(der) {
                Ok(key) => key,
                Err(_) => return Ok(None),
            },
            Err(Error::NotFound | Error::Corrupt | Error::UnknownSlot) => return Ok(None),
            Err(error) => return Err(error),
        };
        signer_id(&mut self.store.platform, &key).map(Some)
    }

    /// Refuses a slot that is for no anchor.
    pub(crate) fn check_anchor_slot(&self, slot: SlotId) -> Result<(), Error> {
        match self.store.layout.find(slot)?.kind {
            Kind::Anchor => Ok(()),
            _ => Err(Error::NotSupported),
        }
    }
}

/// The one place that says which anchor may command at what moment.
///
/// - [`Refusal::KeyUsage`]: without a keyUsage that has digitalSignature it may
///   not.
/// - [`Refusal::Expired`], [`Refusal::NotYetValid`].
pub(crate) fn may_command(anchor: &Certificate<'_>, moment: Moment) -> Result<(), Error> {
    let signs = anchor.key_usage.is_some_and(|usage| usage.digital_signature());
    if !signs {
        return Err(Error::Refused(Refusal::KeyUsage));
    }
    chain::check_validity(anchor, moment.now)?;
    // An anchor speaks of no time but its own.
    chain::check_validity(anchor, moment.issued)?;
    if anchor.not_after < moment.earliest() {
        return Err(Error::Refused(Refusal::Expired));
    }
    Ok(())
}

/// What names a signer in the state and in a recovery command.
pub(crate) fn signer_id(crypto: &mut impl Crypto, key: &PublicKey) -> Result<SignerId, Error> {
    let digest = crypto.sha256(&[&key.spki()])?;
    digest.first_chunk().copied().ok_or(Error::InvalidArgument)
}
