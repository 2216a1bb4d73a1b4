// SPDX-License-Identifier: Apache-2.0
//! What a device shows of itself, to be held against what it should.

use std::cell::RefCell;
use std::collections::BTreeMap;

use devid_core::csr::Subject;
use devid_core::device::Device;
use devid_core::error::Error;
use devid_core::identity::Phase;
use devid_core::key::PublicKey;
use devid_core::layout::{Kind, SlotId};
use devid_core::x509::Certificate;
use devid_sim::Sim;

use crate::factory::{IDENTITIES, SLOTS};
use crate::{nothing, run};

/// All that a device shows of itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct View {
    pub(crate) is_locked: bool,
    pub(crate) sequence: u64,
    pub(crate) identities: [IdentityView; 4],
    pub(crate) values: BTreeMap<u8, Vec<u8>>,
}

/// An identity, its pending bank, and what a rollback would return to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct IdentityView {
    pub(crate) phase: Phase,
    pub(crate) active: Bank,
    pub(crate) pending: Bank,
    pub(crate) previous: Option<Bank>,
}

/// A key and the chain beside it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Bank {
    pub(crate) key: Option<PublicKey>,
    pub(crate) chain: Option<Vec<u8>>,
}

impl View {
    /// Starts a device and looks; an error says what is broken.
    pub(crate) fn of(state: &Sim) -> Result<Self, String> {
        let view = RefCell::new(Err("it did not start".to_owned()));
        let look = |device: &mut Device<'_, Sim>| {
            *view.borrow_mut() = Self::look(device, state);
            Ok(())
        };
        let (started, result) = run(state, None, &look);
        result.map_err(|error| format!("the start failed: {error}"))?;
        // What was recovered stays as it is.
        let fingerprint = started.fingerprint();
        let (again, _) = run(&started, None, &nothing);
        if again.fingerprint() != fingerprint {
            return Err("the second start changes something".into());
        }
        view.into_inner()
    }

    pub(crate) fn look(device: &mut Device<'_, Sim>, state: &Sim) -> Result<Self, String> {
        let identities = IDENTITIES.map(|slot| IdentityView::look(device, state, slot));
        let [a, b, c, d] = identities;
        let mut values = BTreeMap::new();
        for slot in SLOTS.iter().filter(|slot| slot.kind != Kind::Identity) {
            match device.read(slot.id) {
                Ok(value) => _ = values.insert(slot.id.0, value.to_vec()),
                Err(Error::NotFound) => {}
                Err(error) => return Err(format!("slot {}: {error}", slot.name)),
            }
        }
        Ok(Self {
            is_locked: device.is_locked(),
            sequence: device.sequence(),
            identities: [a?, b?, c?, d?],
            values,
        })
    }
}

impl IdentityView {
    fn look(device: &mut Device<'_, Sim>, state: &Sim, slot: SlotId) -> Result<Self, String> {
        let failed = |error: Error| format!("identity {}: {error}", slot.0);
        let phase = device.phase(slot).map_err(failed)?;
        let active = Bank::look(device, slot).map_err(failed)?;
        active.check(device, slot)?;
        let mut pending = Bank::default();
        let mut previous = None;
        if phase == Phase::Activated {
            // On a copy, to see that the way back is there.
            let back = RefCell::new(Err(Error::NotFound));
            let rollback = |device: &mut Device<'_, Sim>| {
                device.rollback(slot)?;
                *back.borrow_mut() = Bank::look(device, slot);
                Ok(())
            };
            run(state, None, &rollback).1.map_err(failed)?;
            previous = Some(back.into_inner().map_err(failed)?);
        } else {
            pending = Bank::look(device, slot.pending()).map_err(failed)?;
        }
        Ok(Self { phase, active, pending, previous })
    }
}

impl Bank {
    fn look(device: &mut Device<'_, Sim>, slot: SlotId) -> Result<Self, Error> {
        let there = |result: Result<_, Error>| match result {
            Err(Error::NotFound) => Ok(None),
            result => result.map(Some),
        };
        Ok(Self {
            key: there(device.public_key(slot))?,
            chain: match device.chain(slot) {
                Ok(chain) => Some(chain.to_vec()),
                Err(Error::NotFound) => None,
                Err(error) => return Err(error),
            },
        })
    }

    /// An active identity with a chain works: the chain is over its key, which signs.
    fn check(&self, device: &mut Device<'_, Sim>, slot: SlotId) -> Result<(), String> {
        let Some(chain) = &self.chain else { return Ok(()) };
        let leaf = device.certificate(slot, 0).map_err(|error| error.to_string())?;
        let certified = Certificate::parse(leaf).map_err(|error| error.to_string())?.public_key;
        if Some(certified) != self.key || chain.is_empty() {
            return Err(format!("identity {}: the chain is over another key", slot.0));
        }
        device.csr(slot, &Subject::default()).map(drop).map_err(|error| error.to_string())
    }
}
