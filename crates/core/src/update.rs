// SPDX-License-Identifier: Apache-2.0
//! Update commands: what a trust anchor of the device may change in it, locked
//! or not, over any transport. `docs/update.cddl` has the format.
//!
//! A command is a COSE_Sign1 (RFC 9052, 4.2) for one device or one group, under
//! a sequence number that never goes back. The number is committed with the
//! operation where that is a change of state, and after it otherwise: a command
//! that power interrupts may be sent again, one that was applied may not.

use crate::cbor::{Fault, Reader, Reason};
use crate::chain;
use crate::cose::{Envelope, Kind as EnvelopeKind};
use crate::device::Device;
use crate::error::{Error, Item, Refusal};
use crate::instance_id;
use crate::key::Signature;
use crate::layout::{Kind, SlotId};
use crate::limits::MAX_GROUP_LEN;
use crate::platform::Platform;
use crate::state::State;
use crate::store::Held;
use crate::time::UnixTime;
use crate::x509::Certificate;

/// The protected header of every command: `{1: -7, 3: "application/devid-update+cbor"}`.
/// ES256, and a content type that nothing else signed by the same key has.
pub const PROTECTED: &[u8] = b"\xa2\x01\x26\x03\x78\x1dapplication/devid-update+cbor";

/// The keys of a command's map, in the order they stand in it.
mod key {
    pub(super) const TARGET: i64 = 1;
    pub(super) const SEQUENCE: i64 = 2;
    pub(super) const OPERATION: i64 = 3;
    pub(super) const SLOT: i64 = 4;
    pub(super) const VALUE: i64 = 5;
    pub(super) const EXPIRY: i64 = 6;
}

/// A decoded command. Its signature has not been checked.
#[derive(Clone, Copy, Debug)]
pub struct Command<'a> {
    /// Whom it is for.
    pub target: Target<'a>,
    /// Its place in the order of all commands, from 1.
    pub sequence: u64,
    /// What it asks for; `None` for an operation that is not known here.
    pub operation: Option<Operation<'a>>,
    /// The last second at which it may be applied.
    pub expiry: Option<UnixTime>,
    envelope: Envelope<'a>,
}

/// Whom a command is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// The device of that instance id.
    Device(&'a [u8; instance_id::LEN]),
    /// All devices of that group.
    Group(&'a str),
}

/// What a command asks for; the numbers are those on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Operation<'a> {
    /// Replaces the value of a data or chain slot.
    Write(SlotId, &'a [u8]) = 1,
    /// Installs an identity's chain: over its pending key where it has one,
    /// else over the active key.
    Install(SlotId, &'a [u8]) = 2,
    /// Writes a trust anchor, over the one that the slot holds.
    AddAnchor(SlotId, &'a [u8]) = 3,
    /// Removes a trust anchor that is not the last one.
    RevokeAnchor(SlotId) = 4,
    /// Returns to the factory's identity.
    Reset = 5,
    /// Makes an identity's pending key and chain the active ones.
    Activate(SlotId) = 6,
}

/// What [`Device::update`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The sequence number of the command, now the device's.
    pub sequence: u64,
    /// Whether the command's expiry was checked: it was if the command has one
    /// and a time was given.
    pub expiry_checked: bool,
}

impl<'a> Command<'a> {
    /// Decodes a command that fills `input`.
    pub fn decode(input: &'a [u8]) -> Result<Self, Fault> {
        let envelope = Envelope::decode(input)?;
        let mut reader = envelope.content();
        if envelope.kind != EnvelopeKind::Sign1 || envelope.protected != PROTECTED {
            return Err(Fault { reason: Reason::Value, at: 0 });
        }
        let missing = reader.fault(Reason::Missing);
        let (mut target, mut slot, mut value) = (None, None, None);
        let (mut sequence, mut operation, mut expiry) = (None, None, None);
        let mut last = 0;
        for _ in 0..reader.map()? {
            let start = reader;
            let key = reader.int()?;
            if key <= last {
                // Repeated or out of order.
                return Err(start.fault(Reason::Duplicate));
            }
            last = key;
            match key {
                key::TARGET => target = Some(Target::decode(&mut reader)?),
                key::SEQUENCE => sequence = Some(positive(&mut reader)?),
                key::OPERATION => operation = Some(positive(&mut reader)?),
                key::SLOT => slot = Some(self::slot(&mut reader)?),
                key::VALUE => value = Some(self::value(&mut reader)?),
                key::EXPIRY => expiry = Some(UnixTime(positive(&mut reader)?)),
                _ => return Err(start.fault(Reason::Value)),
            }
        }
        reader.finish()?;
        let (Some(target), Some(sequence), Some(operation)) = (target, sequence, operation) else {
            return Err(missing);
        };
        let operation = match (operation, slot, value) {
            (1, Some(slot), Some(value)) => Some(Operation::Write(slot, value)),
            (2, Some(slot), Some(value)) => Some(Operation::Install(slot, value)),
            (3, Some(slot), Some(value)) => Some(Operation::AddAnchor(slot, value)),
            (4, Some(slot), None) => Some(Operation::RevokeAnchor(slot)),
            (5, None, None) => Some(Operation::Reset),
            (6, Some(slot), None) => Some(Operation::Activate(slot)),
            (1..=6, ..) => return Err(missing),
            _ => None,
        };
        Ok(Self { target, sequence: sequence as u64, operation, expiry, envelope })
    }
}

impl<'a> Target<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Fault> {
        let start = *reader;
        let bad_length = start.fault(Reason::Length);
        if reader.is_bytes() {
            return reader.bytes()?.try_into().map(Self::Device).map_err(|_| bad_length);
        }
        match reader.text()? {
            group if (1..=MAX_GROUP_LEN).contains(&group.len()) => Ok(Self::Group(group)),
            _ => Err(bad_length),
        }
    }
}

impl<P: Platform> Device<'_, P> {
    /// Sequence number of the last update applied; 0 before the first.
    pub fn sequence(&self) -> u64 {
        self.state.sequence
    }

    /// Checks an update command and applies it, whole or not at all. Policies
    /// and the lock do not bind it: the anchor's signature does.
    ///
    /// A certificate's validity and the command's expiry are checked when `now`
    /// is given.
    ///
    /// - [`Error::Malformed`]: not an update command.
    /// - [`Refusal::UnknownSigner`], [`Refusal::KeyUsage`], [`Refusal::Expired`],
    ///   [`Refusal::NotYetValid`]: no anchor of this device signed it, or one
    ///   that may not.
    /// - [`Refusal::Target`], [`Refusal::Sequence`], [`Refusal::Expired`],
    ///   [`Refusal::Operation`], [`Refusal::LastAnchor`].
    /// - [`Error::Corrupt`]: the device has lost its state, and takes no update.
    /// - Errors of what it asks for: [`Device::write`], [`Device::install`],
    ///   [`Device::activate`], [`Device::erase`]; its number is not used up then.
    pub fn update(&mut self, command: &[u8], now: Option<UnixTime>) -> Result<Applied, Error> {
        if self.state.lost {
            return Err(Error::Corrupt);
        }
        let command = Command::decode(command)
            .map_err(|fault| Error::Malformed { item: Item::Update, at: fault.at })?;
        self.check_signer(&command, now)?;
        self.check_target(&command.target)?;
        let sequence = command.sequence;
        if sequence <= self.state.sequence {
            return Err(Error::Refused(Refusal::Sequence));
        }
        let expired = |expiry| now.is_some_and(|now| now > expiry);
        if command.expiry.is_some_and(expired) {
            return Err(Error::Refused(Refusal::Expired));
        }
        match command.operation.ok_or(Error::Refused(Refusal::Operation))? {
            Operation::Write(slot, value) => {
                if self.store.layout.find(slot)?.kind == Kind::Anchor {
                    return Err(Error::NotSupported);
                }
                self.write_authorised(slot, value)?;
            }
            Operation::Install(slot, chain) => {
                let bank = self.bank_to_certify(slot)?;
                self.install_authorised(bank, chain, now)?;
            }
            Operation::AddAnchor(slot, anchor) => {
                self.check_anchor_slot(slot)?;
                self.write_authorised(slot, anchor)?;
            }
            Operation::RevokeAnchor(slot) => {
                self.check_anchor_slot(slot)?;
                let others = self.anchors().filter(|anchor| *anchor != slot).count();
                if others == 0 {
                    return Err(Error::Refused(Refusal::LastAnchor));
                }
                self.store.erase(slot)?;
            }
            Operation::Reset => self.begin_reset(sequence)?,
            Operation::Activate(slot) => self.activate_authorised(slot, sequence)?,
        }
        // Committed already where the operation is a change of state.
        self.commit(State { sequence, ..self.state })?;
        let expiry_checked = command.expiry.is_some() && now.is_some();
        Ok(Applied { sequence, expiry_checked })
    }

    /// Finds the anchor that signed a command, and whether it may.
    fn check_signer(&mut self, command: &Command<'_>, now: Option<UnixTime>) -> Result<(), Error> {
        let unknown = Err(Error::Refused(Refusal::UnknownSigner));
        let Ok(signature) = Signature::try_from(command.envelope.signature) else { return unknown };
        let digest = self.store.platform.sha256(&command.envelope.to_be_signed().parts())?;
        for def in self.store.layout.slots.iter().filter(|def| def.kind == Kind::Anchor) {
            let anchor = match self.store.read(def.id) {
                Ok(der) => Certificate::parse(der)?,
                Err(Error::NotFound | Error::Corrupt) => continue,
                Err(error) => return Err(error),
            };
            let key = anchor.public_key;
            let may_sign = chain::check_signer(&anchor, now);
            if self.store.platform.verify(&key, &digest, &signature)? {
                return may_sign;
            }
        }
        unknown
    }

    fn check_target(&mut self, target: &Target<'_>) -> Result<(), Error> {
        let is_meant = match *target {
            Target::Device(id) => self.instance_id()? == *id,
            Target::Group(group) => self.store.layout.group == group,
        };
        if is_meant { Ok(()) } else { Err(Error::Refused(Refusal::Target)) }
    }

    fn check_anchor_slot(&self, slot: SlotId) -> Result<(), Error> {
        match self.store.layout.find(slot)?.kind {
            Kind::Anchor => Ok(()),
            _ => Err(Error::NotSupported),
        }
    }

    /// The slots that hold an anchor.
    pub(crate) fn anchors(&self) -> impl Iterator<Item = SlotId> + '_ {
        let anchors = self.store.layout.slots.iter().filter(|def| def.kind == Kind::Anchor);
        anchors
            .map(|def| def.id)
            .filter(|slot| matches!(self.store.held(*slot), Ok(Held::Value { .. })))
    }
}

fn positive(reader: &mut Reader<'_>) -> Result<i64, Fault> {
    let start = *reader;
    match reader.int()? {
        number if number > 0 => Ok(number),
        _ => Err(start.fault(Reason::Range)),
    }
}

fn slot(reader: &mut Reader<'_>) -> Result<SlotId, Fault> {
    let start = *reader;
    match u8::try_from(reader.int()?).map(SlotId) {
        Ok(slot) if !slot.is_pending() => Ok(slot),
        _ => Err(start.fault(Reason::Range)),
    }
}

fn value<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Fault> {
    let start = *reader;
    match reader.bytes()? {
        [] => Err(start.fault(Reason::Length)),
        value => Ok(value),
    }
}
