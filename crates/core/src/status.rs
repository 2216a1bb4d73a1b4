// SPDX-License-Identifier: Apache-2.0
//! Readiness: what is missing or wrong with a device, as a numbered list.

use crate::chain::{self, Chain};
use crate::device::{Condition, Device};
use crate::error::{Error, Refusal};
use crate::identity::Phase;
use crate::key::PublicKey;
use crate::layout::{Bank, Kind, PROBE, Policy, SlotDef, SlotId};
use crate::limits::EXPIRES_SOON_SECONDS;
use crate::platform::Platform;
use crate::record::HEADER_LEN;
use crate::store::Held;
use crate::time::UnixTime;
use crate::token::TokenIds;

/// One thing that is missing or wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub problem: Problem,
    /// The slot it concerns; `None` for the device.
    pub slot: Option<SlotId>,
}

/// What can be missing or wrong. The numbers never change their meaning:
/// errors are below 64, warnings from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Problem {
    /// The device has lost its state: it is locked, and takes a recovery alone.
    StateCorrupt = 1,
    /// A record fails its digest.
    RecordCorrupt = 2,
    /// A factory identity has no key.
    NoKey = 3,
    /// An identity has a key and no chain.
    NoChain = 4,
    /// The leaf certifies another key.
    KeyMismatch = 5,
    /// The chain does not hold together.
    ChainBroken = 6,
    /// A certificate has expired.
    Expired = 7,
    /// A certificate is not valid yet.
    NotYetValid = 8,
    /// An identity's key cannot be read.
    KeyCorrupt = 9,
    /// The device is locked, and no anchor may command it at this time.
    NoCommander = 10,
    /// A certificate expires within 30 days.
    ExpiresSoon = 64,
    /// No time was given: the validity of certificates was not checked.
    ValidityNotChecked = 65,
    /// No trust anchor may command the device at this time: it cannot be locked.
    NoAnchor = 66,
    /// The factory's slots can still be written.
    Unlocked = 67,
    /// TF-M was provisioned with its dummy values.
    DummyProvisioning = 68,
    /// The attestation key is one whose private half everybody has.
    DevelopmentIak = 69,
    /// The storage has no room for a rotation.
    StorageHeadroom = 70,
    /// An identity was activated and is not confirmed yet.
    NotConfirmed = 71,
    /// There is no attestation here.
    NoAttestation = 72,
    /// The attestation key has no chain: a verifier needs a record of the device.
    NoIakChain = 73,
    /// The value is longer than the slot's limit is now.
    TooLong = 74,
    /// A copy of the device's state decayed, was removed or was put back by
    /// somebody; it was written again.
    StateRepaired = 75,
    /// A change of the identity was begun and cannot be finished.
    Unfinished = 76,
}

/// How much a problem matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Severity {
    /// Something does not work.
    Error = 1,
    /// It works, and someone should look at it.
    Warning = 2,
}

impl Problem {
    /// How much it matters.
    pub const fn severity(self) -> Severity {
        if (self as u8) < 64 { Severity::Error } else { Severity::Warning }
    }

    /// The problem in words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StateCorrupt => "the device has lost its state",
            Self::RecordCorrupt => "the record is corrupt",
            Self::NoKey => "no key",
            Self::NoChain => "no certificate",
            Self::KeyMismatch => "the chain certifies another key",
            Self::ChainBroken => "the chain does not hold together",
            Self::Expired => "a certificate has expired",
            Self::NotYetValid => "a certificate is not valid yet",
            Self::ExpiresSoon => "a certificate expires within 30 days",
            Self::ValidityNotChecked => "validity not checked, for no time was given",
            Self::KeyCorrupt => "the key cannot be read",
            Self::NoCommander => "locked, and no trust anchor may command",
            Self::NoAnchor => "no trust anchor may command",
            Self::Unlocked => "not locked",
            Self::DummyProvisioning => "TF-M's dummy provisioning",
            Self::DevelopmentIak => "a development attestation key",
            Self::StorageHeadroom => "no room for a rotation",
            Self::NotConfirmed => "activated and not confirmed",
            Self::NoAttestation => "no attestation",
            Self::NoIakChain => "no chain over the attestation key",
            Self::TooLong => "longer than the slot's limit",
            Self::StateRepaired => "a copy of the state was damaged and is repaired",
            Self::Unfinished => "a change was begun and is not finished",
        }
    }
}

impl<P: Platform> Device<'_, P> {
    /// Looks for all that is missing or wrong and reports it, in the layout's
    /// order and the device's own last. Validity is checked at `now`, else at the
    /// [time that the application told](Device::set_time), else not at all.
    ///
    /// Whether there is room for a rotation is tried, by a record and a key that
    /// are removed again: not something to call in a loop.
    ///
    /// An error means that the platform failed, not that something was found.
    pub fn status(
        &mut self,
        now: Option<UnixTime>,
        report: &mut dyn FnMut(Finding),
    ) -> Result<(), Error> {
        let now = now.or_else(|| self.now());
        let mut has_certificates = false;
        let mut in_rotation = false;
        for def in self.store.layout.slots {
            let mut found = |problem| report(Finding { problem, slot: Some(def.id) });
            let held = self.store.held(self.record(def.id)?)?;
            has_certificates |= def.kind != Kind::Data && matches!(held, Held::Value { .. });
            if let Some(problem) = self.slot_problem(def, held, now)? {
                found(problem);
            }
            if def.kind == Kind::Identity {
                let phase = self.phase(def.id)?;
                in_rotation |= phase != Phase::Settled;
                if phase == Phase::Activated {
                    found(Problem::NotConfirmed);
                }
                if self.state.active(def.id).unfinished().is_some() {
                    found(Problem::Unfinished);
                }
            }
        }
        let mut found = |problem| report(Finding { problem, slot: None });
        if self.in_doubt {
            found(Problem::Unfinished);
        } else if self.condition == Condition::Lost {
            found(Problem::StateCorrupt);
        }
        if self.was_repaired {
            found(Problem::StateRepaired);
        }
        if has_certificates && now.is_none() {
            found(Problem::ValidityNotChecked);
        }
        if P::UPDATES && !self.has_commander(None) {
            found(if self.state.locked { Problem::NoCommander } else { Problem::NoAnchor });
        }
        if !self.state.locked {
            found(Problem::Unlocked);
        }
        match self.token(&[0; 32]) {
            Ok(token) => {
                let ids = TokenIds::decode(token)?;
                if *ids.implementation_id == DUMMY_IMPLEMENTATION_ID {
                    found(Problem::DummyProvisioning);
                }
                let [_, hash @ ..] = ids.instance_id;
                if DEVELOPMENT_INSTANCES.iter().any(|known| hash.starts_with(known)) {
                    found(Problem::DevelopmentIak);
                }
            }
            Err(Error::NotSupported) => found(Problem::NoAttestation),
            Err(error) => return Err(error),
        }
        // A rotation under way holds already what is to be tried; a device that
        // was never written to stays so.
        let has_lived = self.condition != Condition::New;
        if has_lived && !in_rotation && !self.has_headroom()? {
            found(Problem::StorageHeadroom);
        }
        Ok(())
    }

    /// What is wrong with a slot.
    fn slot_problem(
        &mut self,
        def: &SlotDef<'_>,
        held: Held,
        now: Option<UnixTime>,
    ) -> Result<Option<Problem>, Error> {
        let key = match def.kind {
            Kind::Identity => match self.public_key(def.id) {
                Ok(key) => Some(key),
                // Operational identities come and go.
                Err(Error::NotFound) if def.policy == Policy::Factory => {
                    return Ok(Some(Problem::NoKey));
                }
                Err(Error::NotFound) if held == Held::Empty => return Ok(None),
                Err(Error::NotFound) => return Ok(Some(Problem::NoKey)),
                Err(_) => return Ok(Some(Problem::KeyCorrupt)),
            },
            Kind::Chain => self.store.platform.iak_public_key().ok(),
            Kind::Anchor | Kind::Data => None,
        };
        Ok(match (held, def.kind) {
            (Held::Corrupt, _) => Some(Problem::RecordCorrupt),
            (Held::Empty, Kind::Identity) => Some(Problem::NoChain),
            (Held::Empty, Kind::Chain) => Some(Problem::NoIakChain),
            (Held::Value { header, .. }, _) if header.len > u32::from(def.max_len) => {
                Some(Problem::TooLong)
            }
            (Held::Empty, _) | (Held::Value { .. }, Kind::Data) => None,
            (Held::Value { .. }, kind) => {
                return self.certificates_problem(def.id, kind, key.as_ref(), now);
            }
        })
    }

    fn certificates_problem(
        &mut self,
        slot: SlotId,
        kind: Kind,
        key: Option<&PublicKey>,
        now: Option<UnixTime>,
    ) -> Result<Option<Problem>, Error> {
        let len = match self.read(slot) {
            Ok(value) => value.len(),
            Err(_) => return Ok(Some(Problem::RecordCorrupt)),
        };
        let der = self.store.scratch.get(..len).unwrap_or_default();
        let platform = &mut self.store.platform;
        let checked = match kind {
            Kind::Anchor => chain::check_anchor(platform, der, now),
            _ => chain::check(platform, der, key, now),
        };
        match checked {
            Ok(_) => {}
            Err(Error::Refused(Refusal::KeyMismatch)) => return Ok(Some(Problem::KeyMismatch)),
            Err(Error::Refused(Refusal::Expired)) => return Ok(Some(Problem::Expired)),
            Err(Error::Refused(Refusal::NotYetValid)) => return Ok(Some(Problem::NotYetValid)),
            Err(Error::Refused(_) | Error::Malformed { .. }) => {
                return Ok(Some(Problem::ChainBroken));
            }
            Err(error) => return Err(error),
        }
        let expires_soon = now.is_some_and(|now| {
            Chain::parse(der).is_ok_and(|chain| {
                chain
                    .certificates()
                    .any(|each| each.not_after.0.saturating_sub(now.0) < EXPIRES_SOON_SECONDS)
            })
        });
        Ok(expires_soon.then_some(Problem::ExpiresSoon))
    }

    /// Tries whether another identity's chain and key find room.
    fn has_headroom(&mut self) -> Result<bool, Error> {
        self.end_probe()?;
        let tried = self.probe();
        self.end_probe()?;
        match tried {
            Ok(()) => Ok(true),
            Err(Error::StorageFull) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn probe(&mut self) -> Result<(), Error> {
        for part in 0..self.probe_parts() {
            let len = self.store.platform.max_asset_len().min(self.longest_chain_record());
            let bytes = self.store.scratch.get(..len).unwrap_or_default();
            self.store.platform.set(self.store.layout.asset(PROBE, Bank::A, part), bytes)?;
        }
        self.store.platform.generate(self.store.layout.probe_key())
    }

    /// Removes what [`Device::status`] tried.
    pub(crate) fn end_probe(&mut self) -> Result<(), Error> {
        for part in 0..self.probe_parts() {
            self.store.platform.remove(self.store.layout.asset(PROBE, Bank::A, part))?;
        }
        self.store.platform.destroy(self.store.layout.probe_key())
    }

    /// Assets that the longest chain takes, the last one whole.
    fn probe_parts(&self) -> usize {
        self.longest_chain_record().div_ceil(self.store.platform.max_asset_len().max(1))
    }

    fn longest_chain_record(&self) -> usize {
        let longest = self.store.layout.identities().map(|def| def.max_len).max();
        HEADER_LEN + usize::from(longest.unwrap_or(0))
    }
}

/// The implementation id of TF-M's dummy provisioning.
const DUMMY_IMPLEMENTATION_ID: [u8; 32] = {
    let mut id = [0; 32];
    let mut at = 0;
    while at < id.len() {
        id[at] = [0xaa, 0xbb, 0xcc, 0xdd][at / 8];
        at += 1;
    }
    id
};

/// How the instance ids begin, after the type, that derive from keys whose
/// private half everybody has: TF-M's dummy IAK (from the point and from the
/// COSE_Key) and its symmetric one, and the devid simulator's.
const DEVELOPMENT_INSTANCES: [[u8; 8]; 5] = [
    [0xfa, 0x58, 0x75, 0x5f, 0x65, 0x86, 0x27, 0xce],
    [0x07, 0x8c, 0x18, 0xf1, 0x10, 0xf4, 0x32, 0xff],
    [0xbf, 0xe8, 0xa9, 0x9b, 0x25, 0xd9, 0x5c, 0xa8],
    [0xf2, 0x19, 0x94, 0x62, 0xbd, 0x94, 0xcf, 0x8e],
    [0x2e, 0xe6, 0x0a, 0x15, 0x6f, 0xa8, 0xb3, 0x8d],
];
