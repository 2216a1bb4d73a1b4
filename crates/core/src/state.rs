// SPDX-License-Identifier: Apache-2.0
//! What a device knows of itself beyond its slots: whether it is locked, which
//! half of each identity is the active one, who may command it and up to which
//! number each did, and the time before which it cannot be.
//!
//! It is one value, so that whatever changes in it changes in one commit.
//! [`copies`](crate::copies) keeps it. Integers are little-endian.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic `DVST` |
//! | 4 | 1 | format version, 2 |
//! | 5 | 1 | bit 0: locked |
//! | 6 | 2 | zero |
//! | 8 | 4 | generation, from 1 |
//! | 12 | 4 | identities 0 to 3 ([`Active`]) |
//! | 16 | 8 | time floor, seconds since 1970 |
//! | 24 | 8 | latest time a command was issued at |
//! | 32 | 6 × 34 | signers ([`Signer`]) |
//! | 236 | 32 | SHA-256 of bytes 0 to 235 |

use zerocopy::little_endian::{I64, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, TryFromBytes, Unaligned};

use crate::error::Error;
use crate::layout::{Half, SlotId};
use crate::limits::{MAX_IDENTITIES, MAX_SIGNERS};
use crate::time::UnixTime;

/// Length of the state as it is stored, in bytes, the digest included.
pub(crate) const LEN: usize = size_of::<State>() + 32;

const MAGIC: [u8; 4] = *b"DVST";
const VERSION: u8 = 2;

/// The device's state, in memory as in storage.
#[derive(Clone, Copy, Debug, TryFromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct State {
    magic: [u8; 4],
    version: u8,
    pub(crate) locked: bool,
    zero: U16,
    generation: U32,
    identities: [Active; MAX_IDENTITIES],
    floor: I64,
    issued: I64,
    pub(crate) signers: [Signer; MAX_SIGNERS],
}

/// Which halves of an identity are the active ones, and what is under way.
///
/// Bit 0: the active key's half; bit 1: the active chain's; bit 2: activated and
/// not confirmed; bit 3: with the key it had; bit 4: the idle halves are being
/// emptied; bit 5: the whole identity is.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(transparent)]
pub(crate) struct Active(u8);

const KEY: u8 = 0b00_0001;
const CHAIN: u8 = 0b00_0010;
const ACTIVATED: u8 = 0b00_0100;
const SAME_KEY: u8 = 0b00_1000;
const EMPTYING: u8 = 0b01_0000;
const ERASING: u8 = 0b10_0000;

/// What was activated and not confirmed yet. The halves that are not active
/// hold what it replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activated {
    /// Key and chain.
    Rotation,
    /// The chain over the same key.
    Renewal,
}

/// What has to be finished before an identity changes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfinished {
    /// The idle halves are being emptied.
    Emptying,
    /// All halves are.
    Erasing,
}

/// The first half of a key's SHA-256 over its SubjectPublicKeyInfo. To find
/// another key with the same takes 2^128 attempts, as many as to find the key
/// itself.
pub(crate) type SignerId = [u8; 16];

/// The beginning of the SHA-256 of a whole command, its signature included: it
/// tells a command from another of the same signer and number.
pub(crate) type CommandId = [u8; 8];

/// A key that commands, or commanded, this device.
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 16 | [`SignerId`] |
/// | 16 | 8 | number of its last command |
/// | 24 | 8 | [`CommandId`] of that command |
/// | 32 | 1 | the slot of its certificate |
/// | 33 | 1 | bits 0 to 2: [`Standing`]; bit 3: the last command is unfinished |
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(C)]
pub(crate) struct Signer {
    pub(crate) id: SignerId,
    number: U64,
    pub(crate) command: CommandId,
    slot: u8,
    bits: u8,
}

/// Where a signer stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Standing {
    /// The entry is free.
    #[default]
    None = 0,
    /// It may command, with the certificate in its slot.
    Active = 1,
    /// Its certificate is being written to its slot, over another's.
    Arriving = 2,
    /// It may not command any more; its certificate is being removed.
    Leaving = 3,
    /// It may not command any more. Its number stays, should it come back.
    Gone = 4,
}

const UNFINISHED: u8 = 0b1000;

/// Field by field takes a fifth of a kilobyte.
impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            magic: MAGIC,
            version: VERSION,
            locked: false,
            zero: U16::ZERO,
            generation: U32::ZERO,
            identities: [Active(0); MAX_IDENTITIES],
            floor: I64::ZERO,
            issued: I64::ZERO,
            signers: [Signer::default(); MAX_SIGNERS],
        }
    }
}

impl State {
    /// A device that knows nothing of itself but that it is locked.
    pub(crate) fn lost() -> Self {
        Self { locked: true, ..Self::default() }
    }

    /// The state in these bytes; `None` for any that this version does not
    /// write. The digest is for others to check.
    pub(crate) fn read(bytes: &[u8]) -> Option<&Self> {
        Self::try_ref_from_bytes(bytes).ok().filter(|state| {
            (state.magic, state.version, state.zero) == (MAGIC, VERSION, U16::ZERO)
                && state.identities.iter().all(|active| active.is_known())
                && state.signers.iter().all(|signer| signer.bits & !UNFINISHED <= 4)
        })
    }

    /// How often the state was committed; 0 before the first time.
    pub(crate) fn generation(&self) -> u32 {
        self.generation.get()
    }

    /// Makes this the state that follows another.
    pub(crate) fn follow(&mut self, before: &Self) {
        self.generation = (before.generation() + 1).into();
    }

    /// The device knows that it is not earlier than this.
    pub(crate) fn floor(&self) -> UnixTime {
        UnixTime(self.floor.get())
    }

    pub(crate) fn set_floor(&mut self, floor: UnixTime) {
        self.floor = floor.0.into();
    }

    /// When the latest command was issued that said so.
    pub(crate) fn issued(&self) -> UnixTime {
        UnixTime(self.issued.get())
    }

    pub(crate) fn set_issued(&mut self, issued: UnixTime) {
        self.issued = issued.0.into();
    }

    pub(crate) fn active(&self, identity: SlotId) -> Active {
        self.identities.get(usize::from(identity.0)).copied().unwrap_or_default()
    }

    pub(crate) fn set_active(&mut self, identity: SlotId, active: Active) {
        if let Some(place) = self.identities.get_mut(usize::from(identity.0)) {
            *place = active;
        }
    }

    /// The entry of a signer.
    pub(crate) fn signer_mut(&mut self, id: &SignerId) -> Option<&mut Signer> {
        self.signers.iter_mut().find(|signer| signer.is_known() && signer.id == *id)
    }

    /// The signer whose certificate is in a slot.
    pub(crate) fn signer_in(&self, slot: SlotId) -> Option<&Signer> {
        self.signers.iter().find(|signer| signer.is_active_in(slot))
    }

    /// The same, to change it.
    pub(crate) fn signer_in_mut(&mut self, slot: SlotId) -> Option<&mut Signer> {
        self.signers.iter_mut().find(|signer| signer.is_active_in(slot))
    }

    /// Notes that a signer's last command is done.
    pub(crate) fn finish_command(&mut self, id: &SignerId) {
        if let Some(signer) = self.signer_mut(id) {
            signer.set_unfinished(false);
        }
    }

    /// Gives up an unfinished command of the signer in a slot, which another
    /// removes: nobody can complete it.
    pub(crate) fn forget_command_in(&mut self, slot: SlotId, by: &SignerId) {
        if let Some(removed) = self.signer_in_mut(slot)
            && removed.id != *by
            && removed.is_unfinished()
        {
            removed.command = CommandId::default();
            removed.set_unfinished(false);
        }
    }

    /// Takes the slot from the signer that has it, for the one that arrived.
    pub(crate) fn retire(&mut self, slot: SlotId) {
        if let Some(replaced) = self.signer_in_mut(slot) {
            replaced.leave();
        }
    }

    /// Gives a signer a slot; one that was here before keeps its number. It
    /// arrives where another's certificate is in the slot.
    ///
    /// - [`Error::AlreadyExists`]: its certificate is in another slot.
    /// - [`Error::StorageFull`]: as many signers as can be remembered are in use.
    pub(crate) fn add_signer(&mut self, id: &SignerId, slot: SlotId) -> Result<(), Error> {
        let standing = match self.signer_in(slot) {
            Some(other) if other.id != *id => Standing::Arriving,
            _ => Standing::Active,
        };
        let entry = match self.signer_mut(id) {
            Some(known) => known,
            None => {
                // A free entry; else of those gone the one of the least number.
                let reusable = |signer: &&mut Signer| {
                    matches!(signer.standing(), Standing::None | Standing::Gone)
                };
                let entries = self.signers.iter_mut().filter(reusable);
                let entry = entries
                    .min_by_key(|signer| (signer.standing() as u8, signer.number()))
                    .ok_or(Error::StorageFull)?;
                *entry = Signer { id: *id, ..Signer::default() };
                entry
            }
        };
        match entry.standing() {
            Standing::None | Standing::Gone => {}
            _ if entry.slot() == slot => {}
            _ => return Err(Error::AlreadyExists),
        }
        entry.slot = slot.0;
        entry.set_standing(standing);
        Ok(())
    }
}

impl Signer {
    pub(crate) fn number(&self) -> u64 {
        self.number.get()
    }

    pub(crate) fn set_number(&mut self, number: u64) {
        self.number = number.into();
    }

    pub(crate) fn slot(&self) -> SlotId {
        SlotId(self.slot)
    }

    pub(crate) fn standing(&self) -> Standing {
        match self.bits & !UNFINISHED {
            0 => Standing::None,
            1 => Standing::Active,
            2 => Standing::Arriving,
            3 => Standing::Leaving,
            _ => Standing::Gone,
        }
    }

    pub(crate) fn set_standing(&mut self, standing: Standing) {
        self.bits = (self.bits & UNFINISHED) | standing as u8;
    }

    pub(crate) fn is_unfinished(&self) -> bool {
        self.bits & UNFINISHED != 0
    }

    pub(crate) fn set_unfinished(&mut self, is_unfinished: bool) {
        self.bits = (self.bits & !UNFINISHED) | (u8::from(is_unfinished) * UNFINISHED);
    }

    /// Whether the entry is anyone's.
    pub(crate) fn is_known(&self) -> bool {
        self.standing() != Standing::None
    }

    fn is_active_in(&self, slot: SlotId) -> bool {
        self.standing() == Standing::Active && self.slot == slot.0
    }

    /// It may not command any more, and cannot send a command again. If its
    /// last command is unfinished, it is the one that removed the signer, and
    /// has done so.
    pub(crate) fn leave(&mut self) {
        self.bits = Standing::Gone as u8;
    }
}

impl Active {
    /// Key and chain in these halves, and nothing to confirm.
    pub(crate) fn settled(key: Half, chain: Half) -> Self {
        Self((key as u8 * KEY) | (chain as u8 * CHAIN))
    }

    pub(crate) fn key(self) -> Half {
        if self.0 & KEY == 0 { Half::First } else { Half::Second }
    }

    pub(crate) fn chain(self) -> Half {
        if self.0 & CHAIN == 0 { Half::First } else { Half::Second }
    }

    /// What was activated and not confirmed yet.
    pub(crate) fn activated(self) -> Option<Activated> {
        match self.0 & (ACTIVATED | SAME_KEY) {
            0 => None,
            ACTIVATED => Some(Activated::Rotation),
            _ => Some(Activated::Renewal),
        }
    }

    /// What has to be finished first.
    pub(crate) fn unfinished(self) -> Option<Unfinished> {
        match self.0 & (EMPTYING | ERASING) {
            0 => None,
            EMPTYING => Some(Unfinished::Emptying),
            _ => Some(Unfinished::Erasing),
        }
    }

    /// After an activation: key and chain change halves, or the chain alone.
    pub(crate) fn activate(self, what: Activated) -> Self {
        match what {
            Activated::Rotation => Self((self.0 ^ (KEY | CHAIN)) | ACTIVATED),
            Activated::Renewal => Self((self.0 ^ CHAIN) | ACTIVATED | SAME_KEY),
        }
    }

    /// The same halves, with nothing left to confirm and nothing to finish.
    pub(crate) fn confirmed(self) -> Self {
        Self(self.0 & (KEY | CHAIN))
    }

    /// What stood before the activation.
    pub(crate) fn previous(self) -> Self {
        match self.activated() {
            None => self.confirmed(),
            Some(Activated::Rotation) => Self(self.confirmed().0 ^ (KEY | CHAIN)),
            Some(Activated::Renewal) => Self(self.confirmed().0 ^ CHAIN),
        }
    }

    /// With the intent to empty the idle halves.
    pub(crate) fn emptying(self) -> Self {
        Self(self.confirmed().0 | EMPTYING)
    }

    /// With the intent to erase the identity.
    pub(crate) fn erasing(self) -> Self {
        Self(self.confirmed().0 | ERASING)
    }

    fn is_known(self) -> bool {
        matches!(self.0 & !(KEY | CHAIN), 0 | ACTIVATED | EMPTYING | ERASING)
            || self.0 & !(KEY | CHAIN) == ACTIVATED | SAME_KEY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(state: &State) -> Option<&State> {
        State::read(state.as_bytes())
    }

    #[test]
    fn the_state_has_no_gaps() {
        assert_eq!(LEN, 268);
        assert_eq!(size_of::<Signer>(), 34);
    }

    #[test]
    fn every_identity_reads_back_or_is_refused() {
        for byte in 0..=u8::MAX {
            let mut state = State::default();
            state.identities[1] = Active(byte);
            let known = [0, ACTIVATED, ACTIVATED | SAME_KEY, EMPTYING, ERASING];
            let expected = known.contains(&(byte & !(KEY | CHAIN))).then_some(&state);
            assert_eq!(read(&state), expected, "{byte:#x}");
        }
    }

    #[test]
    fn every_standing_reads_back_or_is_refused() {
        for byte in 0..=u8::MAX {
            let mut state = State::default();
            state.signers[0].bits = byte;
            let is_known = byte <= 4 || (8..=12).contains(&byte);
            assert_eq!(read(&state).is_some(), is_known, "{byte:#x}");
            if is_known {
                let mut again = Signer::default();
                again.set_standing(state.signers[0].standing());
                again.set_unfinished(state.signers[0].is_unfinished());
                assert_eq!(again.bits, byte);
            }
        }
    }

    #[test]
    fn what_this_version_does_not_know_is_refused() {
        for (offset, byte) in [(0, 4), (4, 1), (5, 2), (6, 1), (7, 1), (65, 5), (65, 0x10)] {
            let mut bytes = [0; size_of::<State>()];
            bytes.copy_from_slice(State::default().as_bytes());
            assert!(State::read(&bytes).is_some());
            bytes[offset] = byte;
            assert_eq!(State::read(&bytes), None, "{byte} at {offset}");
        }
    }

    #[test]
    fn going_back_from_an_activation_finds_what_was_there() {
        for what in [Activated::Rotation, Activated::Renewal] {
            let before = Active::settled(Half::Second, Half::First);
            let after = before.activate(what);
            assert_eq!(after.activated(), Some(what));
            assert_eq!(after.previous(), before);
            assert_eq!(after.confirmed().activated(), None);
            assert_ne!(after.chain(), before.chain());
            assert_eq!(after.key() == before.key(), what == Activated::Renewal);
        }
    }

    #[test]
    fn a_signer_that_comes_back_keeps_its_number() {
        let (a, b) = ([1; 16], [2; 16]);
        let mut state = State::default();
        state.add_signer(&a, SlotId(0x20)).unwrap();
        state.signer_mut(&a).unwrap().set_number(9);
        assert_eq!(state.add_signer(&a, SlotId(0x21)), Err(Error::AlreadyExists));
        state.add_signer(&b, SlotId(0x20)).unwrap();
        assert_eq!(state.signer_mut(&b).unwrap().standing(), Standing::Arriving);
        state.signer_mut(&a).unwrap().set_standing(Standing::Gone);
        state.add_signer(&a, SlotId(0x21)).unwrap();
        assert_eq!(state.signer_mut(&a).unwrap().number(), 9);
    }

    #[test]
    fn the_signer_gone_with_the_least_number_is_forgotten_first() {
        let mut state = State::default();
        for n in 1..=MAX_SIGNERS as u8 {
            state.add_signer(&[n; 16], SlotId(n)).unwrap();
            state.signer_mut(&[n; 16]).unwrap().set_number(u64::from(n));
        }
        assert_eq!(state.add_signer(&[99; 16], SlotId(99)), Err(Error::StorageFull));
        for n in [2, 1] {
            state.signer_mut(&[n; 16]).unwrap().set_standing(Standing::Gone);
        }
        state.add_signer(&[99; 16], SlotId(99)).unwrap();
        assert_eq!(state.signer_mut(&[1; 16]), None);
        assert_eq!(state.signer_mut(&[99; 16]).unwrap().number(), 0);
    }
}
