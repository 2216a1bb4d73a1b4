// SPDX-License-Identifier: Apache-2.0
//! Update commands: what a trust anchor of the device may change in it, locked
//! or not, over any transport. `docs/update.cddl` has the format.
//!
//! A command is a COSE_Sign1 (RFC 9052, 4.2) for one device or one group, under
//! a number that never goes back for its signer. Number and digest are committed
//! before the operation: a command that was interrupted may be sent again and is
//! completed, one that was applied is answered and not repeated, and one before
//! it is refused.
//!
//! Commands of several signers are applied in the order in which they come: what
//! the last one wrote stands.

use crate::anchor::{Commander, Moment, may_command, signer_id};
use crate::cbor::{Fault, Reader, Reason};
use crate::chain;
use crate::cose::{Frame, Kind as EnvelopeKind};
use crate::device::{Condition, Device};
use crate::error::{Error, Item, Refusal};
use crate::instance_id;
use crate::key::Signature;
use crate::layout::{Kind, SlotId};
use crate::limits::MAX_GROUP_LEN;
use crate::platform::Platform;
use crate::state::{CommandId, Signer, SignerId, State};
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
    pub(super) const ISSUED: i64 = 7;
    pub(super) const NONCE: i64 = 8;
}

/// Length of a recovery nonce, in bytes.
pub const NONCE_LEN: usize = 16;

/// What a recovery command answers.
pub type Nonce = [u8; NONCE_LEN];

/// A decoded command. Its signature has not been checked.
#[derive(Clone, Copy, Debug)]
pub struct Command<'a> {
    /// Whom it is for.
    pub target: Target<'a>,
    /// Its place in the order of its signer's commands, from 1.
    pub sequence: u64,
    /// What it asks for; `None` for an operation that is not known here.
    pub operation: Option<Operation<'a>>,
    /// The last second at which it may be applied.
    pub expiry: Option<UnixTime>,
    /// When it was issued: the device's time is not before that.
    pub issued: Option<UnixTime>,
    envelope: Frame<'a>,
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
    /// Gives a device its state back, or a lost anchor: answers a nonce.
    Recover(&'a Nonce, Option<(SlotId, &'a [u8])>) = 7,
}

/// What [`Device::update`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The number of the command, now its signer's last.
    pub sequence: u64,
    /// The command had been applied before; this time nothing was changed.
    pub already: bool,
}

impl<'a> Command<'a> {
    /// Decodes a command that fills `input`.
    pub fn decode(input: &'a [u8]) -> Result<Self, Fault> {
        let envelope = Frame::decode(input)?;
        let mut reader = envelope.content;
        let is_plain = envelope.protected == PROTECTED && envelope.unprotected_count == 0;
        if envelope.kind != EnvelopeKind::Sign1 || !is_plain {
            return Err(Fault { reason: Reason::Value, at: 0 });
        }
        let missing = reader.fault(Reason::Missing);
        let (mut target, mut slot, mut value) = (None, None, None);
        let (mut sequence, mut operation, mut expiry) = (None, None, None);
        let (mut issued, mut nonce) = (None, None);
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
                key::ISSUED => issued = Some(UnixTime(positive(&mut reader)?)),
                key::NONCE => nonce = Some(self::nonce(&mut reader)?),
                _ => return Err(start.fault(Reason::Value)),
            }
        }
        reader.finish()?;
        let (Some(target), Some(sequence), Some(operation)) = (target, sequence, operation) else {
            return Err(missing);
        };
        let operation = match (operation, slot, value, nonce) {
            (1, Some(slot), Some(value), None) => Some(Operation::Write(slot, value)),
            (2, Some(slot), Some(value), None) => Some(Operation::Install(slot, value)),
            (3, Some(slot), Some(value), None) => Some(Operation::AddAnchor(slot, value)),
            (4, Some(slot), None, None) => Some(Operation::RevokeAnchor(slot)),
            (5, None, None, None) => Some(Operation::Reset),
            (6, Some(slot), None, None) => Some(Operation::Activate(slot)),
            (7, None, None, Some(nonce)) => Some(Operation::Recover(nonce, None)),
            (7, Some(slot), Some(value), Some(nonce)) => {
                Some(Operation::Recover(nonce, Some((slot, value))))
            }
            (1..=7, ..) => return Err(missing),
            _ => None,
        };
        Ok(Self { target, sequence: sequence as u64, operation, expiry, issued, envelope })
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
    /// The highest number of a command of any signer; 0 before the first.
    pub fn sequence(&self) -> u64 {
        self.state.signers.iter().map(Signer::number).max().unwrap_or(0)
    }

    /// Checks an update command and applies it, whole or not at all. Policies
    /// and the lock do not bind it: the anchor's signature does. A command that
    /// was applied before is answered and not applied again.
    ///
    /// Validity and expiry are checked at the [time that the application
    /// told](Device::set_time), and against the time floor.
    ///
    /// - [`Error::Malformed`]: not an update command.
    /// - [`Refusal::UnknownSigner`], [`Refusal::KeyUsage`], [`Refusal::Expired`],
    ///   [`Refusal::NotYetValid`]: no anchor of this device signed it, or one
    ///   that may not command.
    /// - [`Refusal::Target`], [`Refusal::Sequence`], [`Refusal::Expired`],
    ///   [`Refusal::NoTime`], [`Refusal::Operation`], [`Refusal::LastAnchor`],
    ///   [`Refusal::Nonce`].
    /// - [`Error::Corrupt`]: the device has lost its state, and takes a recovery
    ///   alone.
    /// - [`Error::NotSupported`]: this build takes no updates.
    /// - Errors of what it asks for: [`Device::write`], [`Device::install`],
    ///   [`Device::activate`], [`Device::erase`]. Its number is used up if the
    ///   change had begun; it can be sent again.
    pub fn update(&mut self, command: &[u8]) -> Result<Applied, Error> {
        if !P::UPDATES {
            return Err(Error::NotSupported);
        }
        self.change(|device| device.apply(command))
    }

    /// A nonce for one recovery command. It is the same until a recovery used
    /// it, or until the next start: whoever asks again takes it from nobody.
    pub fn recovery_nonce(&mut self) -> Result<Nonce, Error> {
        if !P::UPDATES {
            return Err(Error::NotSupported);
        }
        if let Some(nonce) = self.nonce {
            return Ok(nonce);
        }
        let mut nonce = [0; NONCE_LEN];
        self.store.platform.random(&mut nonce)?;
        self.nonce = Some(nonce);
        Ok(nonce)
    }

    fn apply(&mut self, command: &[u8]) -> Result<Applied, Error> {
        let whole = self.store.platform.sha256(&[command])?;
        let (id, _) = whole.split_first_chunk().ok_or(Error::InvalidArgument)?;
        let command = Command::decode(command)
            .map_err(|fault| Error::malformed(Item::Update, fault.at as usize))?;
        let sequence = command.sequence;
        let digest = self.store.platform.sha256(&command.envelope.to_be_signed().parts())?;
        // Before the signature: its signer may be gone, by this very command.
        let is_this = |signer: &&Signer| {
            signer.is_known() && signer.number() == sequence && signer.command == *id
        };
        let last = self.state.signers.iter().find(is_this);
        if last.is_some_and(|signer| !signer.is_unfinished()) {
            return Ok(Applied { sequence, already: true });
        }
        self.finish_anchors_unless_lost()?;
        let lost = self.condition == Condition::Lost;
        let recovers = matches!(command.operation, Some(Operation::Recover(..)));
        if lost && !recovers {
            return Err(Error::Corrupt);
        }
        let brought = match command.operation {
            Some(Operation::Recover(_, brought)) if !lost => brought,
            _ => None,
        };
        let mut moment = self.moment();
        moment.issued = command.issued;
        if recovers {
            // A recovery can lower a floor that a wrong clock raised.
            moment.floor = UnixTime::default();
        }
        let signer = self.check_signer(&command, &digest, brought, moment)?;
        self.check_target(&command.target)?;
        check_expiry(&command, moment)?;

        let operation = command.operation.ok_or(Error::Refused(Refusal::Operation))?;
        if let Operation::Recover(nonce, _) = operation {
            self.recover(&command, nonce, brought, &signer, *id)?;
            return Ok(Applied { sequence, already: false });
        }
        let mut intent = self.state;
        let entry = intent.signer_mut(&signer).ok_or(Error::Refused(Refusal::UnknownSigner))?;
        let resumes = entry.is_unfinished() && entry.number() == sequence && entry.command == *id;
        if sequence <= entry.number() && !resumes {
            return Err(Error::Refused(Refusal::Sequence));
        }
        entry.set_number(sequence);
        entry.command = *id;
        entry.set_unfinished(true);
        if let Some(issued) = command.issued {
            intent.set_issued(issued.max(intent.issued()));
            intent.set_floor(issued.max(intent.floor()));
        }
        self.carry_out(operation, &mut intent, &signer, resumes)?;
        intent = self.state;
        intent.finish_command(&signer);
        self.commit(&mut intent)?;
        Ok(Applied { sequence, already: false })
    }

    fn carry_out(
        &mut self,
        operation: Operation<'_>,
        intent: &mut State,
        signer: &SignerId,
        resumes: bool,
    ) -> Result<(), Error> {
        match operation {
            Operation::Write(slot, value) => {
                if self.store.layout.find(slot)?.kind == Kind::Anchor {
                    return Err(Error::NotSupported);
                }
                self.write_with(slot, value, intent)
            }
            Operation::Install(slot, chain) => {
                self.finish(slot)?;
                let bank = self.bank_to_certify(slot)?;
                self.install_with(bank, chain, None, intent).map(|_| ())
            }
            Operation::AddAnchor(slot, der) => {
                self.check_anchor_slot(slot)?;
                let moment = self.moment();
                let commands = Self::commands(self.store.layout.find(slot)?);
                // What cannot be read is refused further down.
                let may = Certificate::parse(der)
                    .map_or(true, |new| commands && may_command(&new, moment).is_ok());
                if !may && !self.has_commander(Some(slot)) {
                    return Err(Error::Refused(Refusal::LastAnchor));
                }
                intent.forget_command_in(slot, signer);
                self.write_with(slot, der, intent)
            }
            Operation::RevokeAnchor(slot) => {
                self.check_anchor_slot(slot)?;
                if !self.has_commander(Some(slot)) {
                    return Err(Error::Refused(Refusal::LastAnchor));
                }
                intent.forget_command_in(slot, signer);
                match self.erase_commander(slot, intent) {
                    // It was removed before the interruption.
                    Err(Error::NotFound) if resumes => Ok(()),
                    result => result,
                }
            }
            // These commit once, and are done with that.
            Operation::Reset => {
                intent.finish_command(signer);
                self.reset_with(intent)
            }
            Operation::Activate(slot) => {
                self.finish(slot)?;
                intent.finish_command(signer);
                self.activate_with(slot, intent)
            }
            Operation::Recover(..) => Ok(()),
        }
    }

    /// Gives the device a state again, or sets the signer's number in the one it
    /// has.
    fn recover(
        &mut self,
        command: &Command<'_>,
        nonce: &Nonce,
        brought: Option<(SlotId, &[u8])>,
        signer: &SignerId,
        id: CommandId,
    ) -> Result<(), Error> {
        if !matches!(command.target, Target::Device(_)) {
            return Err(Error::Refused(Refusal::Target));
        }
        if self.nonce != Some(*nonce) {
            return Err(Error::Refused(Refusal::Nonce));
        }
        self.nonce = None;
        let mut state = self.state;
        if self.condition == Condition::Lost {
            let slots = self.store.layout.slots;
            for def in slots.iter().filter(|def| Self::commands(def)) {
                if let Some(found) = self.anchor_in(def.id)? {
                    // The same certificate in two slots counts once.
                    let _ = state.add_signer(&found, def.id);
                }
            }
        }
        for entry in state.signers.iter_mut().filter(|entry| entry.is_known()) {
            // Where the others' numbers are lost, none of their old commands
            // may come again; where they are known, they are not this signer's.
            if entry.id == *signer || self.condition == Condition::Lost {
                entry.set_number(command.sequence);
                entry.set_unfinished(false);
            }
        }
        if let Some(entry) = state.signer_mut(signer) {
            entry.command = id;
        }
        if let Some(issued) = command.issued {
            state.set_floor(issued);
            state.set_issued(issued);
        }
        self.commit_anew(&mut state)?;
        match brought {
            Some((slot, der)) => self.store.write(slot, der),
            None => Ok(()),
        }
    }

    /// Finds the anchor that signed a command, and whether it may.
    fn check_signer(
        &mut self,
        command: &Command<'_>,
        digest: &[u8; 32],
        brought: Option<(SlotId, &[u8])>,
        moment: Moment,
    ) -> Result<SignerId, Error> {
        let mut unknown = Err(Error::Refused(Refusal::UnknownSigner));
        let Ok(signature) = Signature::try_from(command.envelope.signature) else { return unknown };
        for def in self.store.layout.slots.iter().filter(|def| Self::commands(def)) {
            let Commander { id, key, may } = match self.commander(def.id, moment) {
                Ok(Some(commander)) => commander,
                Ok(None) => continue,
                // The signer may be the one that could not be read.
                Err(error) => {
                    unknown = Err(error);
                    continue;
                }
            };
            if self.store.platform.verify(&key, digest, &signature)? {
                return may.map(|()| id);
            }
        }
        let Some((slot, der)) = brought else { return unknown };
        // An anchor that storage lost and the state names comes with its command.
        let anchor = Certificate::parse(der)?;
        may_command(&anchor, moment)?;
        chain::check_anchor(&mut self.store.platform, der, moment.now)?;
        let id = signer_id(&mut self.store.platform, &anchor.public_key)?;
        let is_named = self.state.signer_in(slot).is_some_and(|signer| signer.id == id);
        if is_named && self.store.platform.verify(&anchor.public_key, digest, &signature)? {
            return Ok(id);
        }
        unknown
    }

    fn check_target(&mut self, target: &Target<'_>) -> Result<(), Error> {
        let is_meant = match *target {
            Target::Group(group) => self.store.layout.group == group,
            Target::Device(id) => match self.store.platform.iak_public_key() {
                // TF-M 2.1 and 2.2 derive different ids from the same key.
                Ok(key) => {
                    let crypto = &mut self.store.platform;
                    instance_id::from_point(crypto, &key)? == *id
                        || instance_id::from_cose_key(crypto, &key)? == *id
                }
                Err(_) => self.instance_id()? == *id,
            },
        };
        if is_meant { Ok(()) } else { Err(Error::Refused(Refusal::Target)) }
    }

    fn finish_anchors_unless_lost(&mut self) -> Result<(), Error> {
        if self.condition == Condition::Lost { Ok(()) } else { self.finish_anchors() }
    }
}

fn check_expiry(command: &Command<'_>, moment: Moment) -> Result<(), Error> {
    match (command.expiry, moment.now) {
        (None, _) => Ok(()),
        (Some(expiry), _) if moment.earliest() > expiry => Err(Error::Refused(Refusal::Expired)),
        (Some(_), Some(_)) => Ok(()),
        (Some(_), None) => Err(Error::Refused(Refusal::NoTime)),
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

fn nonce<'a>(reader: &mut Reader<'a>) -> Result<&'a Nonce, Fault> {
    let start = *reader;
    reader.bytes()?.try_into().map_err(|_| start.fault(Reason::Length))
}
