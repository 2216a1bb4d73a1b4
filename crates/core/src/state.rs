// SPDX-License-Identifier: Apache-2.0
//! What a device knows of itself beyond its slots: whether it is locked, the
//! last update, and which half of each identity is the active one.
//!
//! It is one record, so that whatever changes in it changes in one commit.
//! Where there is none, all is as in a new device. Integers are little-endian.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 1 | bit 0: locked; bit 1: a reset is under way |
//! | 1 | 3 | zero |
//! | 4 | 4 | identities 0 to 3: bit 0 the active key's half, bit 1 the active chain's, bit 2 activated and not confirmed, bit 3 with the key it had |
//! | 8 | 8 | sequence number of the last update applied |

use crate::layout::{Half, SlotId};
use crate::limits::MAX_IDENTITIES;

/// Length of the record's value, in bytes.
pub(crate) const LEN: usize = 16;

const LOCKED: u8 = 1;
const RESETTING: u8 = 2;

/// The device's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) locked: bool,
    /// A reset has begun and is finished before anything else.
    pub(crate) resetting: bool,
    /// The record cannot be read. A device in doubt is locked and takes no
    /// update.
    pub(crate) lost: bool,
    pub(crate) identities: [Active; MAX_IDENTITIES],
    /// Sequence number of the last update applied; 0 before the first.
    pub(crate) sequence: u64,
}

/// Which halves of an identity are the active ones, as the record has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Active(u8);

const KEY: u8 = 0b0001;
const CHAIN: u8 = 0b0010;
const ACTIVATED: u8 = 0b0100;
const SAME_KEY: u8 = 0b1000;

/// What was activated and not confirmed yet. The halves that are not active
/// hold what it replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activated {
    /// Key and chain.
    Rotation,
    /// The chain over the same key.
    Renewal,
}

impl State {
    /// The state of a device whose record is corrupt.
    pub(crate) fn lost() -> Self {
        Self { locked: true, lost: true, ..Self::default() }
    }

    pub(crate) fn active(&self, identity: SlotId) -> Active {
        self.identities.get(usize::from(identity.0)).copied().unwrap_or_default()
    }

    pub(crate) fn set_active(&mut self, identity: SlotId, active: Active) {
        if let Some(place) = self.identities.get_mut(usize::from(identity.0)) {
            *place = active;
        }
    }

    pub(crate) fn encode(&self) -> [u8; LEN] {
        let flags = (u8::from(self.locked) * LOCKED) | (u8::from(self.resetting) * RESETTING);
        let [i0, i1, i2, i3] = self.identities.map(|active| active.0);
        let [s0, s1, s2, s3, s4, s5, s6, s7] = self.sequence.to_le_bytes();
        [flags, 0, 0, 0, i0, i1, i2, i3, s0, s1, s2, s3, s4, s5, s6, s7]
    }

    /// `None` for anything that [`State::encode`] does not give.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; LEN] = bytes.try_into().ok()?;
        let [flags, _, _, _, i0, i1, i2, i3, sequence @ ..] = *bytes;
        let state = Self {
            locked: flags & LOCKED != 0,
            resetting: flags & RESETTING != 0,
            lost: false,
            identities: [i0, i1, i2, i3].map(Active),
            sequence: u64::from_le_bytes(sequence),
        };
        let is_known = state.identities.iter().all(|active| active.is_known());
        (is_known && state.encode() == *bytes).then_some(state)
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

    /// After an activation: key and chain change halves, or the chain alone.
    pub(crate) fn activate(self, what: Activated) -> Self {
        match what {
            Activated::Rotation => Self((self.0 ^ (KEY | CHAIN)) | ACTIVATED),
            Activated::Renewal => Self((self.0 ^ CHAIN) | ACTIVATED | SAME_KEY),
        }
    }

    /// The same halves, with nothing left to confirm.
    pub(crate) fn confirmed(self) -> Self {
        Self(self.0 & (KEY | CHAIN))
    }

    /// What stood before the activation.
    pub(crate) fn previous(self) -> Self {
        match self.activated() {
            None => self,
            Some(Activated::Rotation) => Self(self.confirmed().0 ^ (KEY | CHAIN)),
            Some(Activated::Renewal) => Self(self.confirmed().0 ^ CHAIN),
        }
    }

    fn is_known(self) -> bool {
        self.0 <= (KEY | CHAIN | ACTIVATED | SAME_KEY)
            && self.0 & (ACTIVATED | SAME_KEY) != SAME_KEY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_reads_back() {
        for byte in 0..=u8::MAX {
            let mut bytes = State::default().encode();
            bytes[5] = byte;
            let known = byte < 0x10 && byte & 0b1100 != 0b1000;
            let state = State::decode(&bytes);
            assert_eq!(state.is_some(), known, "{byte:#x}");
            assert!(state.is_none_or(|state| state.encode() == bytes));
        }
        let state = State { locked: true, sequence: u64::MAX - 1, ..State::default() };
        assert_eq!(State::decode(&state.encode()), Some(state));
    }

    #[test]
    fn what_this_version_does_not_know_is_refused() {
        for (offset, byte) in [(0, 4), (0, 0x80), (1, 1), (3, 1)] {
            let mut bytes = State::default().encode();
            bytes[offset] = byte;
            assert_eq!(State::decode(&bytes), None, "{byte} at {offset}");
        }
        assert_eq!(State::decode(&[0; LEN - 1]), None);
        assert_eq!(State::decode(&[0; LEN + 1]), None);
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
}
