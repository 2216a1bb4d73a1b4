// SPDX-License-Identifier: Apache-2.0
//! Errors that are no power cuts: at every operation of every change one that
//! had no effect, one that had, and want of room. In the same boot something
//! else follows; then the device restarts.

use devid_core::device::{Device, scratch_len};
use devid_core::error::Error;
use devid_core::layout::{Policy, SlotId};
use devid_core::platform::{AssetId, KeyId, Keys, Storage};
use devid_sim::{Fault, FaultPlan, Sim};

use crate::factory::{Case, ENDPOINT, Factory, IDENTITIES, LAYOUT, LDEVID, SLOTS, prepare};
use crate::view::View;
use crate::{Tally, run};

/// Storage fails (`PSA_ERROR_STORAGE_FAILURE`).
pub(crate) const DOWN: Error = Error::Platform(-146);

const FAULTS: [Fault; 3] =
    [Fault::Fail(DOWN), Fault::FailAfter(DOWN), Fault::Fail(Error::StorageFull)];

/// What a value is written over with.
const NEXT_VALUE: &[u8] = b"coap://c";

/// What follows the change in the same boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Nothing,
    Retry,
    Rollback,
    Confirm,
    Reset,
    Write,
}

const NEXT: [Next; 6] =
    [Next::Nothing, Next::Retry, Next::Rollback, Next::Confirm, Next::Reset, Next::Write];

/// What fails twice: the first error had an effect, the second had none.
const PAIR: [Fault; 2] = [Fault::FailAfter(DOWN), Fault::Fail(DOWN)];

/// Tries all faults of a change and all that may follow; and where the same is
/// tried again, a second fault at each of its operations.
pub(crate) fn explore(case: &Case<'_>) -> Tally {
    let mut explorer = Explorer::new(case);
    for operation in 1.. {
        let mut was_reached = false;
        for fault in FAULTS {
            let first = FaultPlan { operation, fault };
            for next in NEXT {
                was_reached |= explorer.attempt(first, next, None);
            }
        }
        if !was_reached {
            break;
        }
        let [first, second] = PAIR.map(|fault| FaultPlan { operation, fault });
        for operation in 1.. {
            if !explorer.attempt(first, Next::Retry, Some(FaultPlan { operation, ..second })) {
                break;
            }
        }
    }
    explorer.tally
}

struct Explorer<'c> {
    case: &'c Case<'c>,
    before: View,
    after: View,
    tally: Tally,
    tamper: Option<&'c Tamper<'c>>,
}

/// Spoils a device behind its back.
type Tamper<'t> = dyn Fn(&mut Sim) + 't;

impl<'c> Explorer<'c> {
    fn new(case: &'c Case<'c>) -> Self {
        let before = View::of(&case.from).expect("the prepared device is whole");
        let (done, result) = run(&case.from, None, &*case.change);
        assert_eq!(result, Ok(()), "{}: without a fault it succeeds", case.name);
        let after = View::of(&done).expect("the changed device is whole");
        Self { case, before, after, tally: Tally::default(), tamper: None }
    }

    /// Makes the change with a fault, and what follows with another. False if
    /// there is no such operation in the one or the other.
    fn attempt(&mut self, first: FaultPlan, next: Next, second: Option<FaultPlan>) -> bool {
        let mut scratch = vec![0; scratch_len(&LAYOUT)];
        let sim = self.case.from.snapshot().unwrap();
        let mut device = Device::open(sim, LAYOUT, &mut scratch).expect("it starts");
        device.platform().arm(first);
        let result = (self.case.change)(&mut device);
        if device.platform().is_armed() {
            return false;
        }
        if let Some(second) = second {
            device.platform().arm(second);
        }
        let followed = self.follow(&mut device, next);
        if device.platform().is_armed() {
            return false;
        }
        self.tally.transitions += 1 + u64::from(next != Next::Nothing);
        if let Some(tamper) = self.tamper {
            tamper(device.platform());
        }
        let followed = second.is_none().then_some(followed);
        let found = self.judge(&mut device, next, result, followed);
        if let Err(problem) = found {
            self.tally.lost += 1;
            if self.tamper.is_none() {
                eprintln!("LOST in {}, {first:?}, {next:?}, {second:?}: {problem}", self.case.name);
            }
        }
        true
    }

    fn follow(&self, device: &mut Device<'_, Sim>, next: Next) -> Result<(), Error> {
        match next {
            Next::Nothing => Ok(()),
            Next::Retry => (self.case.change)(device),
            Next::Rollback => device.rollback(LDEVID),
            Next::Confirm => device.confirm(LDEVID),
            Next::Reset => device.reset(),
            Next::Write => device.write(ENDPOINT, NEXT_VALUE),
        }
    }

    /// `followed` is what came of the next call where nothing failed in it.
    fn judge(
        &mut self,
        device: &mut Device<'_, Sim>,
        next: Next,
        result: Result<(), Error>,
        followed: Option<Result<(), Error>>,
    ) -> Result<(), String> {
        let state = device.platform().snapshot().unwrap();
        self.tally.states += 1;
        let live = View::look(device, &state)?;
        let found = View::of(&state)?;
        if live != found {
            return Err(format!("it shows {live:?}, and after a restart {found:?}"));
        }
        if self.before.is_locked && !found.is_locked {
            return Err("it is not locked any more".into());
        }
        if found.sequence < self.before.sequence {
            return Err(format!("its number went back to {}", found.sequence));
        }
        for slot in IDENTITIES {
            self.judge_identity(slot, &found, next)?;
        }
        for slot in SLOTS.iter().filter(|slot| !IDENTITIES.contains(&slot.id)) {
            let value = found.values.get(&slot.id.0);
            let known = [&self.before, &self.after].map(|view| view.values.get(&slot.id.0));
            let is_next = next == Next::Write && value.is_some_and(|value| value == NEXT_VALUE);
            if !known.contains(&value) && !is_next {
                return Err(format!("slot {} has {value:?}", slot.name));
            }
        }
        let is_update = self.case.name.starts_with("update: ");
        match next {
            Next::Nothing if result.is_ok() && found != self.after => {
                Err("it said that all was done".into())
            }
            Next::Nothing if result.is_err() && !self.may_stand(&found) => {
                Err(format!("it stopped between: {found:?}"))
            }
            Next::Retry if is_update => match followed {
                Some(followed) if followed.is_err() || found != self.after => {
                    Err(format!("the command was not completed: {followed:?}"))
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Whether an interrupted change may leave a device so: as a cut may.
    fn may_stand(&self, found: &View) -> bool {
        let mut allowed = [&self.before, &self.after].into_iter().chain(&self.case.also);
        allowed.any(|view| {
            view == found || View { sequence: self.after.sequence, ..view.clone() } == *found
        })
    }

    /// An identity that worked works, unless something was to destroy it.
    fn judge_identity(&self, slot: SlotId, found: &View, next: Next) -> Result<(), String> {
        let of = |view: &View| view.identities[usize::from(slot.0)].clone();
        let (before, after, now) = (of(&self.before), of(&self.after), of(found));
        let is_whole = |bank: &crate::view::Bank| bank.key.is_some() && bank.chain.is_some();
        let is_operational =
            SLOTS.iter().any(|def| def.id == slot && def.policy == Policy::Operational);
        let may_go = !is_whole(&after.active) || (next == Next::Reset && is_operational);
        if is_whole(&before.active) && !is_whole(&now.active) && !may_go {
            return Err(format!("identity {} does not work", slot.0));
        }
        let known = [
            Some(&before.active),
            Some(&before.pending),
            before.previous.as_ref(),
            Some(&after.active),
            Some(&after.pending),
        ];
        let is_known = known.into_iter().flatten().any(|bank| bank.key == now.active.key);
        // A first key that is made again is another.
        let is_first = before.active.key.is_none();
        if now.active.key.is_some() && !is_known && !is_first {
            return Err(format!("identity {} has a key of nowhere", slot.0));
        }
        Ok(())
    }
}

/// The properties' controls: what a device shows when it is spoiled behind its
/// back must be found out.
pub(crate) fn controls(factory: &Factory) -> Vec<(&'static str, u64)> {
    let cases = factory.cases();
    let named = |name: &str| cases.iter().find(|case| case.name == name).expect("there is one");
    let lost = |case, tamper: &Tamper<'_>| {
        let mut explorer = Explorer { tamper: Some(tamper), ..Explorer::new(case) };
        let first = FaultPlan { operation: 1, fault: Fault::Fail(DOWN) };
        explorer.attempt(first, Next::Nothing, None);
        explorer.tally.lost
    };
    let update = named("update: write");
    let unlocked = &factory.whole;
    let restore = |sim: &mut Sim| {
        let mut bytes = [0; 512];
        for copy in state_copies() {
            let mut old = unlocked.snapshot().unwrap();
            if let Some(len) = old.get(copy, &mut bytes).unwrap() {
                sim.set(copy, &bytes[..len]).unwrap();
            }
        }
    };
    let locked_once = prepare(unlocked, |device| device.lock());
    let locked = Case {
        name: "a locked device",
        from: locked_once,
        change: Box::new(|device| device.write(ENDPOINT, b"coap://b")),
        also: vec![],
    };
    let key = KeyId(LAYOUT.key_base + u32::from(LDEVID.0) * 2);
    let endpoint =
        AssetId { service: LAYOUT.storage, uid: LAYOUT.asset_base + u32::from(ENDPOINT.0) * 16 };
    vec![
        ("an older state, both copies", lost(&locked, &restore)),
        ("a lower number", {
            let mut explorer = Explorer { tamper: Some(&restore), ..Explorer::new(update) };
            explorer.before.is_locked = false;
            explorer.before.sequence = 1;
            let first = FaultPlan { operation: 1, fault: Fault::Fail(DOWN) };
            explorer.attempt(first, Next::Nothing, None);
            explorer.tally.lost
        }),
        ("the active key destroyed", lost(update, &move |sim| sim.destroy(key).unwrap())),
        ("a value removed", lost(update, &move |sim| sim.remove(endpoint).unwrap())),
    ]
}

/// All places of the state's copies.
pub(crate) fn state_copies() -> Vec<AssetId> {
    LAYOUT
        .state
        .iter()
        .enumerate()
        .flat_map(|(copy, service)| {
            [0, 2].map(|spare| AssetId {
                service: *service,
                uid: LAYOUT.asset_base + 0xf20 + spare + copy as u32,
            })
        })
        .collect()
}
