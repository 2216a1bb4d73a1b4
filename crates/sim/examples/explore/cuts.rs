// SPDX-License-Identifier: Apache-2.0
//! Power cuts: every change of a device is cut at every operation, before it,
//! after it, and where it writes, inside, with each length of what remains. From
//! every state that this leaves, the start that follows is cut in the same ways.

use std::collections::HashSet;

use devid_sim::{Fault, FaultPlan, Sim};

use crate::factory::{Case, Change, Factory};
use crate::view::View;
use crate::{Tally, nothing, run};

/// What remains of a write that power tears: around nothing, a record's header, a
/// whole state, a whole asset; and the few that are tried where cuts come in pairs.
const TEARS: [std::ops::Range<usize>; 4] = [0..2, 51..54, 266..269, 510..512];
const TEARS_OF_PAIRS: [usize; 4] = [0, 52, 267, 511];

/// Cuts a change at every operation.
pub(crate) fn explore(case: &Case<'_>) -> Tally {
    let mut explorer = Explorer::default();
    explorer.explore(case);
    explorer.tally
}

/// How a key is replaced without a rotation: an explorer that finds no loss in
/// this finds none anywhere.
pub(crate) fn controls(factory: &Factory) -> Vec<(&'static str, u64)> {
    let mut explorer = Explorer { is_control: true, ..Explorer::default() };
    explorer.explore(&factory.control());
    vec![("erase an identity, then make it anew", explorer.tally.lost)]
}

#[derive(Default)]
struct Explorer {
    tally: Tally,
    /// Losses are expected, and only counted.
    is_control: bool,
}

impl Explorer {
    fn explore(&mut self, case: &Case<'_>) {
        let before = View::of(&case.from).expect("the prepared device is whole");
        let (done, result) = run(&case.from, None, &*case.change);
        assert_eq!(result, Ok(()), "{}: without a cut it succeeds", case.name);
        let after = [View::of(&done).expect("the changed device is whole")];
        let mut allowed = [&[before], case.also.as_slice(), &after].concat();
        // A command's number is committed before what it asks for.
        let numbered = allowed.clone().into_iter();
        allowed.extend(numbered.map(|view| View { sequence: after[0].sequence, ..view }));

        let mut seen = HashSet::new();
        for Cut { state, succeeded, in_pairs } in cuts(&case.from, &*case.change) {
            let allowed = if succeeded { &after[..] } else { &allowed };
            if !seen.insert((state.fingerprint().unwrap(), succeeded)) {
                continue;
            }
            self.check(case, &state, allowed);
            if in_pairs {
                self.explore_recovery(case, &state, allowed);
            }
        }
    }

    /// Cuts the start that follows a cut, where it changes anything.
    fn explore_recovery(&mut self, case: &Case<'_>, from: &Sim, allowed: &[View]) {
        let (recovered, result) = run(from, None, &nothing);
        assert_eq!(result, Ok(()), "{}: a device starts", case.name);
        let mut seen = HashSet::from([from.fingerprint().unwrap()]);
        if seen.contains(&recovered.fingerprint().unwrap()) {
            return;
        }
        for Cut { state, .. } in cuts(from, &nothing) {
            if seen.insert(state.fingerprint().unwrap()) {
                self.check(case, &state, allowed);
            }
        }
    }

    fn check(&mut self, case: &Case<'_>, state: &Sim, allowed: &[View]) {
        self.tally.states += 1;
        self.tally.transitions += 1;
        let problem = match View::of(state) {
            Err(problem) => problem,
            Ok(view) if allowed.contains(&view) => return,
            Ok(view) => format!("found {view:?}"),
        };
        self.tally.lost += 1;
        if !self.is_control {
            eprintln!("LOST in {}: {problem}", case.name);
        }
    }
}

/// What a cut leaves.
struct Cut {
    state: Sim,
    /// Whether the change reported success before it.
    succeeded: bool,
    /// Whether the recovery from it is cut, too.
    in_pairs: bool,
}

/// Every cut in a start and the change after it.
fn cuts(from: &Sim, change: &Change<'_>) -> Vec<Cut> {
    let mut cuts = Vec::new();
    // What is cut before an operation was cut after the one before it.
    let mut before = from.fingerprint().unwrap();
    for operation in 1.. {
        let cut = |fault, in_pairs| {
            let (state, result) = run(from, Some(FaultPlan { operation, fault }), change);
            (!state.is_powered()).then(|| Cut {
                state: state.snapshot().unwrap(),
                succeeded: result.is_ok(),
                in_pairs,
            })
        };
        let Some(whole) = cut(Fault::CutAfter, true) else { break };
        let after = whole.state.fingerprint().unwrap();
        if after != before {
            // Of anything but a write a part is all, and no state of its own.
            let tears = TEARS.into_iter().flatten();
            cuts.extend(
                tears.filter_map(|kept| cut(Fault::Torn { kept }, TEARS_OF_PAIRS.contains(&kept))),
            );
        }
        cuts.push(whole);
        before = after;
    }
    cuts
}
