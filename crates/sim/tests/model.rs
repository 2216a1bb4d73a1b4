// SPDX-License-Identifier: Apache-2.0
//! Whatever is done in whatever order, with power cuts in between: a slot holds
//! what a simple model says it may.

mod common;

use common::*;
use devid_core::Error;
use devid_core::device::{Device, SlotState};
use devid_core::layout::SlotId;
use devid_sim::{Config, Fault, FaultPlan, Sim};
use proptest::prelude::*;

const SLOT_IDS: [SlotId; 3] = [SERIAL, ENDPOINT, LONG];

#[derive(Clone, Debug)]
enum Step {
    Write {
        slot: usize,
        len: usize,
        fill: u8,
    },
    Erase {
        slot: usize,
    },
    Read {
        slot: usize,
    },
    Reboot,
    /// A cut in one of the operations that follow.
    Arm {
        operation: u32,
        fault: Fault,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let fault = prop_oneof![
        Just(Fault::CutBefore),
        Just(Fault::CutAfter),
        (0..600usize).prop_map(|kept| Fault::Torn { kept }),
        Just(Fault::Fail(Error::StorageFull)),
    ];
    prop_oneof![
        6 => (0..3usize, 1..=1600usize, any::<u8>())
            .prop_map(|(slot, len, fill)| Step::Write { slot, len, fill }),
        2 => (0..3usize).prop_map(|slot| Step::Erase { slot }),
        2 => (0..3usize).prop_map(|slot| Step::Read { slot }),
        1 => Just(Step::Reboot),
        3 => (1..12u32, fault).prop_map(|(operation, fault)| Step::Arm { operation, fault }),
    ]
}

/// The device, and each slot's values that may be found.
struct Tested {
    device: Option<Device<'static, Sim>>,
    allowed: [Vec<Option<Vec<u8>>>; 3],
}

impl Tested {
    fn device(&mut self) -> &mut Device<'static, Sim> {
        self.device.as_mut().expect("it is there between steps")
    }

    fn reboot(&mut self) {
        let mut sim = self.device.take().expect("it is there between steps").close();
        sim.reboot();
        self.device = Some(open(sim, DATA).expect("a device starts whatever happened"));
        for slot in 0..3 {
            self.read(slot);
        }
    }

    /// Reads a slot; from then on it holds what was found.
    fn read(&mut self, slot: usize) {
        match value(self.device(), SLOT_IDS[slot]) {
            Ok(found) => {
                assert!(
                    self.allowed[slot].contains(&found),
                    "slot {slot} holds {:?}, allowed are lengths {:?}",
                    found.map(|value| value.len()),
                    self.allowed[slot].iter().map(|v| v.as_ref().map(Vec::len)).collect::<Vec<_>>()
                );
                self.allowed[slot] = vec![found];
            }
            Err(error) => self.failed(error),
        }
    }

    /// Only what was armed may make an operation fail, other than for cause.
    fn failed(&mut self, error: Error) {
        let powered = self.device().platform().is_powered();
        assert!(!powered || error == Error::StorageFull, "{error}");
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Write { slot, len, fill } => {
                let id = SLOT_IDS[slot];
                let new = vec![fill; len];
                match self.device().write(id, &new) {
                    Ok(()) => self.allowed[slot] = vec![Some(new)],
                    Err(Error::TooLarge { limit }) => assert!(len > limit as usize),
                    Err(error) => {
                        self.failed(error);
                        if !self.device().platform().is_powered() {
                            self.allowed[slot].push(Some(new));
                        }
                    }
                }
            }
            Step::Erase { slot } => match self.device().erase(SLOT_IDS[slot]) {
                Ok(()) => self.allowed[slot] = vec![None],
                Err(Error::NotFound) => assert!(self.allowed[slot].contains(&None)),
                Err(error) => {
                    self.failed(error);
                    self.allowed[slot].push(None);
                }
            },
            Step::Read { slot } => self.read(slot),
            Step::Reboot => self.reboot(),
            Step::Arm { operation, fault } => {
                self.device().platform().arm(FaultPlan { operation, fault });
            }
        }
        if !self.device().platform().is_powered() {
            self.reboot();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn slots_hold_what_the_model_allows(
        steps in prop::collection::vec(step(), 1..60),
        max_asset_len in prop::sample::select(vec![512, 700, 1024, 2048]),
    ) {
        let config = Config { max_asset_len, max_assets: 64, ..SEEDED };
        let device = open(Sim::in_memory(config), DATA).unwrap();
        let mut tested =
            Tested { device: Some(device), allowed: [vec![None], vec![None], vec![None]] };
        for step in &steps {
            tested.step(step);
        }
        tested.reboot();
        // Nothing is left behind: at most the parts of one record a slot.
        let device = tested.device();
        let mut expected = 0;
        for slot in SLOT_IDS {
            if let SlotState::Present { len, .. } = device.slot(slot).unwrap().state {
                expected += (52 + len as usize).div_ceil(max_asset_len);
            }
        }
        let mut assets = device.platform().assets().unwrap();
        assets.retain(|id| !STATE_COPIES.contains(id));
        prop_assert_eq!(assets.len(), expected);
    }
}
