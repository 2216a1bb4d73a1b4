// SPDX-License-Identifier: Apache-2.0
//! An identity's calls in any order: each does, or refuses with the error, what
//! a small reference model says, and what is there afterwards is the model's.

mod common;

use common::*;
use devid_core::device::Device;
use devid_core::error::{Error, Refusal};
use devid_core::identity::Phase;
use devid_core::key::PublicKey;
use devid_core::layout::{STANDARD, SlotId};
use devid_sim::Sim;
use devid_sim::ca::ThrowAwayCa;
use proptest::prelude::*;

const SLOTS: [SlotId; 2] = [IDEVID, LDEVID];

#[derive(Clone, Copy, Debug)]
enum Step {
    Generate {
        pending: bool,
    },
    /// A chain over the key of that bank, whichever bank it is installed in.
    Install {
        pending: bool,
        over_pending: bool,
    },
    Activate,
    Confirm,
    Rollback,
    Erase {
        pending: bool,
    },
    Reset,
    Lock,
    Reboot,
}

fn step() -> impl Strategy<Value = (usize, Step)> {
    let step = prop_oneof![
        4 => any::<bool>().prop_map(|pending| Step::Generate { pending }),
        6 => any::<(bool, bool)>()
            .prop_map(|(pending, over_pending)| Step::Install { pending, over_pending }),
        4 => Just(Step::Activate),
        3 => Just(Step::Confirm),
        3 => Just(Step::Rollback),
        2 => any::<bool>().prop_map(|pending| Step::Erase { pending }),
        1 => Just(Step::Reset),
        1 => Just(Step::Lock),
        2 => Just(Step::Reboot),
    ];
    // The operational identity has more to tell.
    (prop_oneof![1 => Just(0usize), 3 => Just(1usize)], step)
}

/// A key and the chain beside it.
#[derive(Clone, Debug, Default, PartialEq)]
struct Bank {
    key: Option<PublicKey>,
    chain: Option<Vec<u8>>,
}

/// What an identity should be.
#[derive(Clone, Debug, Default)]
struct Identity {
    active: Bank,
    pending: Bank,
    /// What the last activation replaced.
    previous: Option<Bank>,
}

impl Identity {
    fn phase(&self) -> Phase {
        match (&self.previous, self.pending == Bank::default()) {
            (Some(_), _) => Phase::Activated,
            (None, false) => Phase::Pending,
            (None, true) => Phase::Settled,
        }
    }
}

#[derive(Default)]
struct Model {
    identities: [Identity; 2],
    is_locked: bool,
}

impl Model {
    /// What the call should answer. A key is `made` by the device.
    fn step(
        &mut self,
        place: usize,
        step: Step,
        made: Option<PublicKey>,
        installed: Option<(PublicKey, Vec<u8>)>,
    ) -> Result<(), Error> {
        let denied = self.is_locked && SLOTS[place] == IDEVID;
        let identity = &mut self.identities[place];
        let phase = identity.phase();
        match step {
            Step::Generate { pending: true } if phase == Phase::Activated => Err(Error::Busy),
            Step::Install { pending: true, .. } if phase == Phase::Activated => Err(Error::Busy),
            Step::Generate { .. } | Step::Install { .. } | Step::Activate | Step::Erase { .. }
                if denied =>
            {
                Err(Error::Denied)
            }
            Step::Generate { pending: false } => match identity.active.key {
                Some(_) => Err(Error::AlreadyExists),
                None => {
                    identity.active.key = made;
                    Ok(())
                }
            },
            Step::Generate { pending: true } => {
                if identity.pending.key.is_some() {
                    return Err(Error::AlreadyExists);
                }
                identity.active.key.ok_or(Error::NotFound)?;
                if identity.pending.chain.is_some() {
                    return Err(Error::Busy);
                }
                identity.pending.key = made;
                Ok(())
            }
            Step::Install { pending, .. } => {
                let (over, chain) = installed.expect("a chain is given");
                let key = match (pending, identity.pending.key) {
                    (true, Some(key)) => key,
                    (true, None) => {
                        identity.active.chain.as_ref().ok_or(Error::NotFound)?;
                        identity.active.key.ok_or(Error::NotFound)?
                    }
                    (false, _) => identity.active.key.ok_or(Error::NotFound)?,
                };
                if !pending && phase != Phase::Settled {
                    return Err(Error::Busy);
                }
                if over != key {
                    return Err(Error::Refused(Refusal::KeyMismatch));
                }
                let bank = if pending { &mut identity.pending } else { &mut identity.active };
                bank.chain = Some(chain);
                Ok(())
            }
            Step::Activate => {
                if phase == Phase::Activated {
                    return Err(Error::Busy);
                }
                if identity.pending.key.is_none() {
                    identity.active.key.ok_or(Error::NotFound)?;
                }
                let chain = identity.pending.chain.take().ok_or(Error::NotFound)?;
                let key = identity.pending.key.take().or(identity.active.key);
                let new = Bank { key, chain: Some(chain) };
                identity.previous = Some(std::mem::replace(&mut identity.active, new));
                Ok(())
            }
            Step::Confirm => identity.previous.take().map(drop).ok_or(Error::NotFound),
            Step::Rollback => {
                if phase == Phase::Settled {
                    return Err(Error::NotFound);
                }
                identity.pending = Bank::default();
                if let Some(previous) = identity.previous.take() {
                    identity.active = previous;
                }
                Ok(())
            }
            Step::Erase { pending } => match (pending, phase) {
                (_, Phase::Activated) | (false, Phase::Pending) => Err(Error::Busy),
                (true, Phase::Settled) => Err(Error::NotFound),
                (true, Phase::Pending) => {
                    identity.pending = Bank::default();
                    Ok(())
                }
                (false, Phase::Settled) if identity.active == Bank::default() => {
                    Err(Error::NotFound)
                }
                (false, Phase::Settled) => {
                    identity.active = Bank::default();
                    Ok(())
                }
            },
            Step::Reset => {
                self.identities[1] = Identity::default();
                Ok(())
            }
            Step::Lock if self.is_locked => Ok(()),
            Step::Lock => {
                let factory = &self.identities[0];
                if factory.phase() != Phase::Settled {
                    return Err(Error::Busy);
                }
                factory.active.key.ok_or(Error::NotFound)?;
                factory.active.chain.as_ref().ok_or(Error::NotFound)?;
                self.is_locked = true;
                Ok(())
            }
            Step::Reboot => Ok(()),
        }
    }
}

/// The bank as the device shows it.
fn bank(device: &mut Device<'static, Sim>, slot: SlotId) -> Bank {
    let there = |error| assert_eq!(error, Error::NotFound);
    Bank {
        key: device.public_key(slot).map_err(there).ok(),
        chain: device.chain(slot).map(<[u8]>::to_vec).map_err(there).ok(),
    }
}

fn bank_of(slot: SlotId, pending: bool) -> SlotId {
    if pending { slot.pending() } else { slot }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn calls_in_any_order_do_what_the_model_says(steps in prop::collection::vec(step(), 1..50)) {
        let ca = ThrowAwayCa::new(NOW);
        let stranger = open(Sim::in_memory(Default::default()), STANDARD).unwrap().generate(IDEVID);
        let mut device = open(Sim::in_memory(SEEDED), STANDARD).unwrap();
        give_anchor(&mut device);
        let mut model = Model::default();
        for (place, step) in steps {
            let slot = SLOTS[place];
            let mut made = None;
            let mut installed = None;
            let result = match step {
                Step::Generate { pending } => {
                    device.generate(bank_of(slot, pending)).map(|key| made = Some(key))
                }
                Step::Install { pending, over_pending } => {
                    let key = device.public_key(bank_of(slot, over_pending));
                    let key = key.or(stranger).unwrap();
                    let chain = ca.certify(&key, "device");
                    installed = Some((key, chain.clone()));
                    device.install(bank_of(slot, pending), &chain, None).map(drop)
                }
                Step::Activate => device.activate(slot),
                Step::Confirm => device.confirm(slot),
                Step::Rollback => device.rollback(slot),
                Step::Erase { pending } => device.erase(bank_of(slot, pending)),
                Step::Reset => device.reset(),
                Step::Lock => device.lock(),
                Step::Reboot => {
                    let mut sim = device.close();
                    sim.reboot();
                    device = open(sim, STANDARD).unwrap();
                    Ok(())
                }
            };
            prop_assert_eq!(result, model.step(place, step, made, installed), "{:?}", step);

            prop_assert_eq!(device.is_locked(), model.is_locked);
            for (slot, expected) in SLOTS.into_iter().zip(&model.identities) {
                prop_assert_eq!(device.phase(slot), Ok(expected.phase()), "after {:?}", step);
                prop_assert_eq!(bank(&mut device, slot), expected.active.clone(), "after {:?}", step);
                if expected.previous.is_none() {
                    let pending = bank(&mut device, slot.pending());
                    prop_assert_eq!(pending, expected.pending.clone(), "after {:?}", step);
                }
            }
        }
    }
}
