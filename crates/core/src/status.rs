// SPDX-License-Identifier: Apache-2.0
//! Readiness: what is missing or wrong with a device, as a numbered list.

use crate::chain::{self, Chain};
use crate::device::Device;
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
    /// The device's own state is corrupt: it counts as locked and takes no update.
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
    /// A certificate expires within 30 days.
    ExpiresSoon = 64,
    /// No time was given: the validity of certificates was not checked.
    ValidityNotChecked = 65,
    /// There is no trust anchor: no update can be authorised.
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
            Self::StateCorrupt => "the device's state is corrupt",
            Self::RecordCorrupt => "the record is corrupt",
            Self::NoKey => "no key",
            Self::NoChain => "no certificate",
            Self::KeyMismatch => "the chain certifies another key",
            Self::ChainBroken => "the chain does not hold together",
            Self::Expired => "a certificate has expired",
            Self::NotYetValid => "a certificate is not valid yet",
            Self::ExpiresSoon => "a certificate expires within 30 days",
            Self::ValidityNotChecked => "validity not checked, for no time was given",
            Self::NoAnchor => "no trust anchor",
            Self::Unlocked => "not locked",
            Self::DummyProvisioning => "TF-M's dummy provisioning",
            Self::DevelopmentIak => "a development attestation key",
            Self::StorageHeadroom => "no room for a rotation",
            Self::NotConfirmed => "activated and not confirmed",
            Self::NoAttestation => "no attestation",
            Self::NoIakChain => "no chain over the attestation key",
        }
    }
}

impl<P: Platform> Device<'_, P> {
    /// Looks for all that is missing or wrong and reports it, in the layout's
    /// order and the device's own last. Validity is checked when `now` is given.
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
        let mut has_certificates = false;
        let mut in_rotation = false;
        for def in self.store.layout.slots {
            let mut found = |problem| report(Finding { problem, slot: Some(def.id) });
            match self.slot_problem(def, now)? {
                Ok(held) => has_certificates |= held && def.kind != Kind::Data,
                Err(problem) => found(problem),
            }
            if def.kind == Kind::Identity {
                let phase = self.phase(def.id)?;
                in_rotation |= phase != Phase::Settled;
                if phase == Phase::Activated {
                    found(Problem::NotConfirmed);
                }
            }
        }
        let mut found = |problem| report(Finding { problem, slot: None });
        if self.state.lost {
            found(Problem::StateCorrupt);
        }
        if has_certificates && now.is_none() {
            found(Problem::ValidityNotChecked);
        }
        if self.anchors().next().is_none() {
            found(Problem::NoAnchor);
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
                if DEVELOPMENT_INSTANCES.contains(ids.instance_id) {
                    found(Problem::DevelopmentIak);
                }
            }
            Err(Error::NotSupported) => found(Problem::NoAttestation),
            Err(error) => return Err(error),
        }
        // A rotation under way holds already what is to be tried.
        if !in_rotation && !self.has_headroom()? {
            found(Problem::StorageHeadroom);
        }
        Ok(())
    }

    /// What is wrong with a slot; else whether it holds a value.
    fn slot_problem(
        &mut self,
        def: &SlotDef<'_>,
        now: Option<UnixTime>,
    ) -> Result<Result<bool, Problem>, Error> {
        let held = self.store.held(self.record(def.id)?)?;
        let key = match def.kind {
            Kind::Identity => match self.public_key(def.id) {
                Ok(key) => Some(key),
                Err(Error::NotFound) if def.policy == Policy::Factory => {
                    return Ok(Err(Problem::NoKey));
                }
                // Operational identities come and go.
                Err(Error::NotFound) => return Ok(Ok(false)),
                Err(error) => return Err(error),
            },
            Kind::Chain => self.store.platform.iak_public_key().ok(),
            Kind::Anchor | Kind::Data => None,
        };
        match (held, def.kind) {
            (Held::Corrupt, _) => Ok(Err(Problem::RecordCorrupt)),
            (Held::Empty, Kind::Identity) => Ok(Err(Problem::NoChain)),
            (Held::Empty, Kind::Chain) => Ok(Err(Problem::NoIakChain)),
            (Held::Empty, _) => Ok(Ok(false)),
            (Held::Value { .. }, Kind::Data) => Ok(Ok(true)),
            (Held::Value { .. }, kind) => {
                let problem = self.certificates_problem(def.id, kind, key.as_ref(), now)?;
                Ok(problem.map_or(Ok(true), Err))
            }
        }
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
            Err(Error::Corrupt) => return Ok(Some(Problem::RecordCorrupt)),
            Err(error) => return Err(error),
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
        let longest = self.store.layout.identities().map(|def| usize::from(def.max_len)).max();
        let Some(longest) = longest else { return Ok(true) };
        let record = self.store.scratch.get(..HEADER_LEN + longest).unwrap_or_default();
        let mut tried = Ok(());
        let piece = self.store.platform.max_asset_len().max(1);
        for (part, bytes) in record.chunks(piece).enumerate() {
            let asset = self.store.layout.asset(PROBE, Bank::A, part);
            tried = tried.and_then(|()| self.store.platform.set(asset, bytes));
        }
        let key = self.store.layout.probe_key();
        let tried = tried.and_then(|()| self.store.platform.generate(key));
        self.end_probe()?;
        match tried {
            Ok(()) => Ok(true),
            Err(Error::StorageFull) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes what [`Device::status`] tried.
    pub(crate) fn end_probe(&mut self) -> Result<(), Error> {
        let longest = self.store.layout.identities().map(|def| usize::from(def.max_len)).max();
        let piece = self.store.platform.max_asset_len().max(1);
        for part in 0..(HEADER_LEN + longest.unwrap_or(0)).div_ceil(piece) {
            self.store.platform.remove(self.store.layout.asset(PROBE, Bank::A, part))?;
        }
        self.store.platform.destroy(self.store.layout.probe_key())
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

/// The instance ids that derive from keys whose private half everybody has:
/// TF-M's dummy IAK (from the point and from the COSE_Key) and its symmetric
/// one, and the devid simulator's.
const DEVELOPMENT_INSTANCES: [[u8; 33]; 5] = [
    [
        0x01, 0xfa, 0x58, 0x75, 0x5f, 0x65, 0x86, 0x27, 0xce, 0x54, 0x60, 0xf2, 0x9b, 0x75, 0x29,
        0x67, 0x13, 0x24, 0x8c, 0xae, 0x7a, 0xd9, 0xe2, 0x98, 0x4b, 0x90, 0x28, 0x0e, 0xfc, 0xbc,
        0xb5, 0x02, 0x48,
    ],
    [
        0x01, 0x07, 0x8c, 0x18, 0xf1, 0x10, 0xf4, 0x32, 0xff, 0x78, 0x0c, 0xd8, 0xda, 0xe5, 0x80,
        0x69, 0xa2, 0xa0, 0xd8, 0x22, 0x77, 0xcb, 0xc6, 0x64, 0x50, 0xc8, 0x58, 0x1d, 0xd4, 0x7d,
        0x96, 0xa2, 0x2e,
    ],
    [
        0x01, 0xbf, 0xe8, 0xa9, 0x9b, 0x25, 0xd9, 0x5c, 0xa8, 0x42, 0x25, 0x6b, 0xef, 0x14, 0x7a,
        0x59, 0x22, 0xb6, 0x9f, 0xbc, 0x78, 0xfa, 0xa9, 0xef, 0x9f, 0x94, 0x11, 0x3d, 0x18, 0x2a,
        0xaf, 0x7c, 0x6f,
    ],
    [
        0x01, 0xf2, 0x19, 0x94, 0x62, 0xbd, 0x94, 0xcf, 0x8e, 0x89, 0x04, 0x1a, 0xa0, 0xc5, 0x6e,
        0x8b, 0x69, 0x2c, 0x0c, 0xac, 0x19, 0x88, 0xfa, 0x2a, 0x9f, 0xdf, 0xe0, 0xe1, 0x13, 0x98,
        0xf1, 0xcf, 0xa9,
    ],
    [
        0x01, 0x2e, 0xe6, 0x0a, 0x15, 0x6f, 0xa8, 0xb3, 0x8d, 0x18, 0x40, 0xe3, 0xf5, 0x6d, 0x41,
        0x51, 0xc7, 0x25, 0xf6, 0x0f, 0x87, 0x78, 0x00, 0x89, 0xb5, 0x5a, 0x6f, 0x7c, 0x9c, 0x26,
        0x64, 0xff, 0x36,
    ],
];
