// SPDX-License-Identifier: Apache-2.0
//! Explores what cuts, faults, wipes and decay do to a device: `cargo xtask
//! powercut`.
//!
//! - [`cuts`]: power cuts at every operation of every change, and at every
//!   operation of the start that follows.
//! - [`faults`]: errors at every operation of every change, with and without
//!   effect; then, in the same boot, something else.
//! - [`walk`]: changes, faults, restarts, wipes and decay in any order.
//!
//! In each state a device must start, with each identity whole, as it was or as
//! a change makes it; the old one must be there until it is confirmed. Each
//! property has a control, in which it must be found violated. The last line
//! counts; the same in every run, for everything follows from [`walk::SEED`].
//!
//! `--long N` walks on until there were N transitions.

mod cuts;
mod factory;
mod faults;
mod view;
mod walk;

use std::process::ExitCode;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;

use devid_core::device::{Device, scratch_len};
use devid_core::error::Error;
use devid_sim::{FaultPlan, Sim};

use factory::{Change, Factory, LAYOUT};

/// What was tried, and how often a property did not hold.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Changes made, whatever became of them.
    pub(crate) transitions: u64,
    /// States of storage and keys that were looked at.
    pub(crate) states: u64,
    pub(crate) lost: u64,
}

impl core::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.transitions += other.transitions;
        self.states += other.states;
        self.lost += other.lost;
    }
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let long = match (args.next().as_deref(), args.next().map(|number| number.parse())) {
        (None, _) => None,
        (Some("--long"), Some(Ok(number))) => Some(number),
        _ => {
            eprintln!("usage: explore [--long TRANSITIONS]");
            return ExitCode::from(2);
        }
    };
    let mut all = Tally::default();
    for (name, tally) in explore(long.unwrap_or(walk::SHORT)) {
        println!("{name:<52} {:>7} transitions {:>6} states", tally.transitions, tally.states);
        all += tally;
    }

    let factory = Factory::new();
    let mut is_blind = false;
    for (name, lost) in cuts::controls(&factory)
        .into_iter()
        .chain(faults::controls(&factory))
        .chain(walk::controls(&factory))
    {
        println!("control: {name:<43} {lost:>7} violations, as it must");
        is_blind |= lost == 0;
    }
    println!(
        "powercut: {} transitions, {} states, {} violations, seed {:#x}",
        all.transitions,
        all.states,
        all.lost,
        walk::SEED
    );
    if all.lost == 0 && !is_blind { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Explores on all cores: cuts of each case, faults of each, and the walk, which
/// takes longest and is begun first. The results are always in the same order.
fn explore(walk_len: u64) -> Vec<(String, Tally)> {
    let count = Factory::new().cases().len();
    let next = AtomicUsize::new(0);
    let mut results: Vec<(usize, String, Tally)> = thread::scope(|scope| {
        let worker = || {
            let factory = Factory::new();
            let cases = factory.cases();
            let mut done = Vec::new();
            loop {
                let job = next.fetch_add(1, Relaxed);
                let (place, name, tally) = match job.checked_sub(1) {
                    None => (2 * count, "walk".into(), walk::explore(&factory, walk_len)),
                    Some(at) if at < count => {
                        (at, cases[at].name.into(), cuts::explore(&cases[at]))
                    }
                    Some(at) if at < 2 * count => {
                        let case = &cases[at - count];
                        (at, format!("faults: {}", case.name), faults::explore(case))
                    }
                    Some(_) => return done,
                };
                done.push((place, name, tally));
            }
        };
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("it explores")).collect()
    });
    results.sort_by_key(|(place, ..)| *place);
    results.into_iter().map(|(_, name, tally)| (name, tally)).collect()
}

/// Starts a device, with a fault from then on, and makes the change.
pub(crate) fn run(
    from: &Sim,
    plan: Option<FaultPlan>,
    change: &Change<'_>,
) -> (Sim, Result<(), Error>) {
    let mut sim = from.snapshot().unwrap();
    if let Some(plan) = plan {
        sim.arm(plan);
    }
    let mut scratch = vec![0; scratch_len(&LAYOUT)];
    let mut device = Device::closed(sim, LAYOUT, &mut scratch).expect("the layout is well formed");
    let result = device.mount().and_then(|()| change(&mut device));
    (device.close(), result)
}

/// A change that is none.
pub(crate) fn nothing(_: &mut Device<'_, Sim>) -> Result<(), Error> {
    Ok(())
}
