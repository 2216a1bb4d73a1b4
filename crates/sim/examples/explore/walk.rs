// SPDX-License-Identifier: Apache-2.0
//! Changes in any order, with faults, cuts, restarts, wipes and decay: what no
//! list of cases holds.

use devid_core::device::{Device, scratch_len};
use devid_core::error::Error;
use devid_core::identity::Phase;
use devid_core::layout::SlotId;
use devid_core::platform::{AssetId, KeyId, Keys, Service, Storage};
use devid_core::time::UnixTime;
use devid_core::x509::Certificate;
use devid_sim::{Fault, FaultPlan, Sim};

use crate::Tally;
use crate::factory::{
    ANCHORS, ENDPOINT, Factory, IDEVID, LAYOUT, LDEVID, NOW, SERIAL, enrol, prepare,
};
use crate::faults::{DOWN, state_copies};

/// Everything follows from this.
pub(crate) const SEED: u64 = 0x6465_7669_6420_2026;

/// Transitions of a walk in the gate.
pub(crate) const SHORT: u64 = 6_000;

/// The update operation that empties the operational identities.
const RESET: u8 = 5;

/// Bytes of a copy of the state.
const STATE_LEN: usize = 268;

/// Transitions from one device fresh from the factory to the next.
const STEPS: u32 = 60;

/// Walks over devices until there were so many transitions.
pub(crate) fn explore(factory: &Factory, transitions: u64) -> Tally {
    let mut tally = Tally::default();
    let mut random = Random(SEED);
    while tally.transitions < transitions {
        let mut walk = Walk::new(factory, &mut random, &mut tally);
        if let Err(problem) = walk.run() {
            let steps = walk.steps.join("\n  ");
            eprintln!("LOST in a walk: {problem}\n  {steps}");
            tally.lost += 1;
        }
    }
    tally
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_in(&mut self, chance: u64) -> bool {
        self.below(chance) == 0
    }
}

/// What may be done to a device.
#[derive(Clone, Copy, Debug)]
enum Step {
    Write,
    Generate,
    Install,
    Activate,
    Confirm,
    Rollback,
    ErasePending,
    Enrol,
    Reset,
    Lock,
    Command,
    Resend,
    Older,
    CommandReset,
    CommandActivate,
    AddAnchor,
    RevokeAnchor,
    Status,
    Time,
    Nonce,
}

const STEPS_TO_TAKE: [Step; 20] = [
    Step::Write,
    Step::Generate,
    Step::Install,
    Step::Activate,
    Step::Confirm,
    Step::Rollback,
    Step::ErasePending,
    Step::Enrol,
    Step::Reset,
    Step::Lock,
    Step::Command,
    Step::Resend,
    Step::Older,
    Step::CommandReset,
    Step::CommandActivate,
    Step::AddAnchor,
    Step::RevokeAnchor,
    Step::Status,
    Step::Time,
    Step::Nonce,
];

/// One device's way, and what it must keep to.
struct Walk<'w> {
    factory: &'w Factory,
    random: &'w mut Random,
    tally: &'w mut Tally,
    sim: Option<Sim>,
    /// Once locked, for ever.
    was_locked: bool,
    /// Identities that worked when they were last looked at.
    worked: [bool; 2],
    /// Whether they worked before their last activation: a rollback gives that
    /// back, and it may be a key that has no chain yet.
    worked_before: [bool; 2],
    /// The number of the last command written to the serial's slot.
    latest: u64,
    /// The last command, its number, and whether it may yet empty identities: one
    /// that was answered is not applied again.
    command: Vec<u8>,
    number: u64,
    may_reset: bool,
    /// A wipe or decay happened: what it took may be missing.
    is_damaged: bool,
    steps: Vec<String>,
}

impl<'w> Walk<'w> {
    fn new(factory: &'w Factory, random: &'w mut Random, tally: &'w mut Tally) -> Self {
        let is_locked = random.one_in(2);
        let sim = prepare(&factory.whole, |device| if is_locked { device.lock() } else { Ok(()) });
        Self {
            factory,
            random,
            tally,
            sim: Some(sim),
            was_locked: is_locked,
            worked: [true; 2],
            worked_before: [true; 2],
            latest: 1,
            command: Vec::new(),
            number: 1,
            may_reset: false,
            is_damaged: false,
            steps: Vec::new(),
        }
    }

    fn run(&mut self) -> Result<(), String> {
        let mut left = STEPS;
        while left > 0 {
            left = self.boot(left)?;
            if self.random.one_in(12) {
                self.damage();
            }
        }
        Ok(())
    }

    /// Starts the device and has it do some things.
    fn boot(&mut self, mut left: u32) -> Result<u32, String> {
        let mut sim = self.sim.take().expect("a walk has its device");
        let mut scratch = vec![0; scratch_len(&LAYOUT)];
        if self.random.one_in(6) {
            let plan = self.plan();
            self.note(format!("a start with {plan:?}"));
            sim.arm(plan);
        }
        let mut device = Device::closed(sim, LAYOUT, &mut scratch).expect("well formed");
        let started = device.mount();
        if device.platform().is_powered() && started.is_err() && !device.platform().is_armed() {
            // A single fault may fail the start; the next one succeeds.
            self.note("the start failed".into());
        }
        self.judge(&mut device)?;
        for _ in 0..=self.random.below(5) {
            if left == 0 || !device.platform().is_powered() {
                break;
            }
            left -= 1;
            self.step(&mut device);
            self.judge(&mut device)?;
        }
        let mut sim = device.close();
        sim.reboot();
        self.sim = Some(sim);
        Ok(left)
    }

    fn plan(&mut self) -> FaultPlan {
        let fault = match self.random.below(6) {
            0 => Fault::Fail(DOWN),
            1 => Fault::FailAfter(DOWN),
            2 => Fault::Fail(Error::StorageFull),
            3 => Fault::CutBefore,
            4 => Fault::CutAfter,
            _ => Fault::Torn { kept: self.random.below(520) as usize },
        };
        FaultPlan { operation: 1 + self.random.below(24) as u32, fault }
    }

    fn step(&mut self, device: &mut Device<'_, Sim>) {
        let step = STEPS_TO_TAKE[self.random.below(STEPS_TO_TAKE.len() as u64) as usize];
        let plan = self.random.one_in(2).then(|| self.plan());
        if let Some(plan) = plan {
            device.platform().arm(plan);
        }
        self.tally.transitions += 1;
        let result = self.take(device, step);
        if device.platform().is_powered() {
            device.platform().disarm();
        }
        self.note(format!("{step:?} with {plan:?}: {result:?}"));
    }

    fn take(&mut self, device: &mut Device<'_, Sim>, step: Step) -> Result<(), Error> {
        let slot = if self.random.one_in(4) { IDEVID } else { LDEVID };
        match step {
            Step::Write => {
                let value = format!("coap://{}", self.random.below(100));
                device.write(ENDPOINT, value.as_bytes())
            }
            Step::Generate => device.generate(slot.pending()).map(drop),
            Step::Install => {
                let key = match device.public_key(slot.pending()) {
                    Ok(key) => key,
                    Err(_) => device.public_key(slot)?,
                };
                let chain = self.factory.ca.certify(&key, "walk");
                device.install(slot.pending(), &chain, None).map(drop)
            }
            Step::Activate => device.activate(slot),
            Step::Confirm => device.confirm(slot),
            Step::Rollback => {
                let place = usize::from(slot == LDEVID);
                self.worked[place] &= self.worked_before[place];
                device.rollback(slot)
            }
            Step::ErasePending => device.erase(slot.pending()),
            Step::Enrol => enrol(device, &self.factory.ca, LDEVID),
            Step::Reset => {
                self.worked[1] = false;
                device.reset()
            }
            Step::Lock => device.lock(),
            Step::Command => {
                let value = format!("SN-{}", self.next_number(device));
                self.command(device, 1, Some(SERIAL), Some(value.as_bytes()))
            }
            Step::Resend => {
                self.worked[1] &= !self.may_reset;
                self.send(device)
            }
            Step::Older => {
                if device.sequence() == 0 {
                    return Err(Error::NotFound);
                }
                let number = 1 + self.random.below(device.sequence());
                let command = self.factory.command(number, 1, Some(SERIAL), Some(b"SN-0"));
                device.update(&command).map(drop)
            }
            Step::CommandReset => {
                self.worked[1] = false;
                self.command(device, RESET, None, None)
            }
            Step::CommandActivate => self.command(device, 6, Some(slot), None),
            Step::AddAnchor => {
                let anchor = self.factory.anchors[1].certificate();
                self.command(device, 3, Some(ANCHORS[1]), Some(anchor))
            }
            Step::RevokeAnchor => self.command(device, 4, Some(ANCHORS[1]), None),
            Step::Status => device.status(Some(NOW), &mut |_| {}),
            Step::Time => device.set_time(UnixTime(NOW.0 + self.random.below(1000) as i64)),
            Step::Nonce => device.recovery_nonce().map(drop),
        }
    }

    fn next_number(&self, device: &Device<'_, Sim>) -> u64 {
        self.number.max(device.sequence()) + 1
    }

    fn command(
        &mut self,
        device: &mut Device<'_, Sim>,
        operation: u8,
        slot: Option<SlotId>,
        value: Option<&[u8]>,
    ) -> Result<(), Error> {
        self.number = self.next_number(device);
        self.may_reset = operation == RESET;
        self.command = self.factory.command(self.number, operation, slot, value);
        self.send(device)
    }

    fn send(&mut self, device: &mut Device<'_, Sim>) -> Result<(), Error> {
        let result = device.update(&self.command).map(drop);
        self.may_reset &= result.is_err();
        result
    }

    /// Wipes a service, or lets one object decay.
    fn damage(&mut self) {
        let Some(sim) = &mut self.sim else { return };
        self.is_damaged = true;
        let assets = sim.assets().expect("it is in memory");
        let told = match self.random.below(3) {
            0 => {
                let service = if self.random.one_in(2) { Service::Its } else { Service::Ps };
                for id in assets.iter().filter(|id| id.service == service) {
                    sim.remove(*id).expect("it is in memory");
                }
                if service == Service::Its {
                    for key in 0..8 {
                        sim.destroy(KeyId(LAYOUT.key_base + key)).expect("it is in memory");
                    }
                }
                format!("a wipe of {service:?}")
            }
            1 if !assets.is_empty() => {
                let id = assets[self.random.below(assets.len() as u64) as usize];
                decay(sim, id, self.random);
                format!("decay of {id:?}")
            }
            _ => {
                let key = KeyId(LAYOUT.key_base + self.random.below(4) as u32);
                sim.destroy(key).expect("it is in memory");
                format!("loss of {key:?}")
            }
        };
        if is_blank(sim) {
            // One service after the other, the second before the first was
            // repaired: a blank chip is new.
            self.was_locked = false;
        }
        self.note(told);
    }

    fn note(&mut self, step: String) {
        self.steps.push(step);
    }

    /// What holds at every moment.
    fn judge(&mut self, device: &mut Device<'_, Sim>) -> Result<(), String> {
        self.tally.states += 1;
        if self.was_locked && !device.is_locked() {
            return Err("it is not locked any more".into());
        }
        if !device.platform().is_powered() {
            return Ok(());
        }
        // A change that failed is looked into before the next: as a restart does.
        self.was_locked |= device.is_locked();
        match device.read(SERIAL).map(number_of) {
            Ok(number) if number < self.latest => {
                return Err(format!("command {number} was applied after {}", self.latest));
            }
            Ok(number) => self.latest = number,
            Err(_) if self.is_damaged => {}
            Err(Error::Busy) => {}
            Err(error) => return Err(format!("the serial number: {error}")),
        }
        for (place, slot) in [IDEVID, LDEVID].into_iter().enumerate() {
            let works = works(device, slot);
            if self.worked[place]
                && !self.is_damaged
                && let Err(error) = works
            {
                return Err(format!("identity {}: {error}", slot.0));
            }
            self.worked[place] = works.is_ok();
            if works != Ok(Phase::Activated) {
                self.worked_before[place] = works.is_ok();
            }
        }
        Ok(())
    }
}

/// The phase of an identity that has a key and a chain over it.
fn works(device: &mut Device<'_, Sim>, slot: SlotId) -> Result<Phase, Error> {
    let key = device.public_key(slot)?;
    let chain = device.certificate(slot, 0)?;
    let certified = Certificate::parse(chain)?.public_key;
    let phase = device.phase(slot)?;
    if certified == key { Ok(phase) } else { Err(Error::Corrupt) }
}

/// The number in `SN-<number>`.
fn number_of(value: &[u8]) -> u64 {
    let text = core::str::from_utf8(value).unwrap_or_default();
    text.strip_prefix("SN-").and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Whether nothing is left but the beginning of a state that was being repaired.
fn is_blank(sim: &mut Sim) -> bool {
    let assets = sim.assets().expect("it is in memory");
    let mut bytes = [0; 512];
    assets.iter().all(|id| {
        let len = sim.get(*id, &mut bytes).expect("it is in memory").unwrap_or(0);
        state_copies().contains(id) && len < STATE_LEN
    }) && (0..8).all(|key| {
        let key = sim.public_key(KeyId(LAYOUT.key_base + key));
        matches!(key, Ok(None))
    })
}

fn decay(sim: &mut Sim, id: AssetId, random: &mut Random) {
    let mut bytes = [0; 512];
    let len = sim.get(id, &mut bytes).expect("it is in memory").unwrap_or(0);
    match random.below(3) {
        0 => sim.set(id, &bytes[..random.below(len as u64 + 1) as usize]),
        1 => sim.remove(id),
        _ if len > 0 => {
            bytes[random.below(len as u64) as usize] ^= 1 << random.below(8);
            sim.set(id, &bytes[..len])
        }
        _ => Ok(()),
    }
    .expect("it is in memory");
}

/// A device that is rolled back as a whole, or whose key is gone, must be found.
pub(crate) fn controls(factory: &Factory) -> Vec<(&'static str, u64)> {
    let mut random = Random(SEED);
    let mut tally = Tally::default();
    let mut walk = Walk::new(factory, &mut random, &mut tally);
    let mut judged = |prepare: &dyn Fn(&mut Walk<'_>, &mut Sim)| {
        let mut sim = factory.whole.snapshot().expect("it is in memory");
        (walk.was_locked, walk.worked, walk.latest, walk.is_damaged) = (false, [true; 2], 1, false);
        prepare(&mut walk, &mut sim);
        let mut scratch = vec![0; scratch_len(&LAYOUT)];
        let mut device = Device::open(sim, LAYOUT, &mut scratch).expect("it starts");
        u64::from(walk.judge(&mut device).is_err())
    };
    vec![
        ("unlocked again", judged(&|walk, _| walk.was_locked = true)),
        ("a later command undone", judged(&|walk, _| walk.latest = 2)),
        (
            "no key any more",
            judged(&|_, sim| {
                sim.destroy(KeyId(LAYOUT.key_base + u32::from(LDEVID.0) * 2)).expect("in memory");
            }),
        ),
        (
            "no state any more, and nobody says so",
            judged(&|walk, sim| {
                for copy in state_copies() {
                    sim.remove(copy).expect("in memory");
                }
                // It is lost and locked, which the walk must not take for new.
                walk.latest = 2;
            }),
        ),
    ]
}
