// SPDX-License-Identifier: Apache-2.0
//! The power supply: counts every call and lets the planned one fail.

use devid_core::Error;

/// What every call returns while the power is off
/// (`PSA_ERROR_COMMUNICATION_FAILURE`).
pub const POWERED_OFF: Error = Error::Platform(-145);

/// Which call goes wrong, and how.
///
/// Storage, key and attestation operations are counted, reads and random bytes
/// included, from the moment the plan is armed. Computations on public values
/// are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultPlan {
    /// The operation that goes wrong; 1 is the next one.
    pub operation: u32,
    /// What happens in it.
    pub fault: Fault,
}

/// What happens in an operation that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It changes nothing and returns this; the operations after it work.
    Fail(Error),
    /// It is complete and returns this all the same; the operations after it work.
    FailAfter(Error),
    /// The power goes off before it has an effect.
    CutBefore,
    /// The power goes off when it is complete, before the caller learns so.
    CutAfter,
    /// The power goes off inside: of a `set`, the asset holds the first `kept`
    /// bytes of the new value; any other operation is complete.
    Torn {
        /// Bytes of the new value that remain.
        kept: usize,
    },
}

/// How often each kind of call was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Storage reads.
    pub gets: u32,
    /// Storage writes.
    pub sets: u32,
    /// Storage removals.
    pub removes: u32,
    /// Key operations: generate, public key, sign, destroy, random bytes, the
    /// IAK's public key.
    pub keys: u32,
    /// Computations on public values: hash, verify.
    pub crypto: u32,
    /// Attestation calls: token length, token.
    pub attestation: u32,
}

impl Counts {
    /// Storage calls of all kinds.
    pub fn storage(&self) -> u32 {
        self.gets + self.sets + self.removes
    }

    /// The calls that [`FaultPlan::operation`] counts.
    pub fn operations(&self) -> u32 {
        self.storage() + self.keys + self.attestation
    }
}

impl core::ops::Sub for Counts {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            gets: self.gets - earlier.gets,
            sets: self.sets - earlier.sets,
            removes: self.removes - earlier.removes,
            keys: self.keys - earlier.keys,
            crypto: self.crypto - earlier.crypto,
            attestation: self.attestation - earlier.attestation,
        }
    }
}

/// The kinds of call that are counted.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Get,
    Set,
    Remove,
    Key,
    Crypto,
    Attestation,
}

/// What is to come of an operation.
#[derive(Clone, Copy)]
pub(crate) enum Outcome {
    Whole,
    Torn { kept: usize },
}

/// Power, counters and the plan.
#[derive(Default)]
pub(crate) struct Supply {
    off: bool,
    counts: Counts,
    plan: Option<FaultPlan>,
}

impl Supply {
    pub(crate) fn arm(&mut self, plan: FaultPlan) {
        self.plan = Some(plan);
    }

    pub(crate) fn disarm(&mut self) {
        self.plan = None;
    }

    pub(crate) fn is_armed(&self) -> bool {
        self.plan.is_some()
    }

    pub(crate) fn restore(&mut self) {
        self.off = false;
        self.plan = None;
    }

    pub(crate) fn is_on(&self) -> bool {
        !self.off
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// Runs one operation, or what the plan leaves of it.
    pub(crate) fn run<T>(
        &mut self,
        kind: Kind,
        operation: impl FnOnce(Outcome) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.off {
            return Err(POWERED_OFF);
        }
        self.count(kind);
        match self.due(kind) {
            None => operation(Outcome::Whole),
            Some(Fault::Fail(error)) => Err(error),
            Some(Fault::FailAfter(error)) => {
                drop(operation(Outcome::Whole));
                Err(error)
            }
            Some(cut) => {
                self.off = true;
                match cut {
                    Fault::Torn { kept } => drop(operation(Outcome::Torn { kept })),
                    Fault::CutAfter => drop(operation(Outcome::Whole)),
                    _ => {}
                }
                Err(POWERED_OFF)
            }
        }
    }

    fn count(&mut self, kind: Kind) {
        let counts = &mut self.counts;
        *match kind {
            Kind::Get => &mut counts.gets,
            Kind::Set => &mut counts.sets,
            Kind::Remove => &mut counts.removes,
            Kind::Key => &mut counts.keys,
            Kind::Crypto => &mut counts.crypto,
            Kind::Attestation => &mut counts.attestation,
        } += 1;
    }

    /// The fault to happen now, if this is the planned operation.
    fn due(&mut self, kind: Kind) -> Option<Fault> {
        if matches!(kind, Kind::Crypto) {
            return None;
        }
        let plan = self.plan.as_mut()?;
        plan.operation = plan.operation.saturating_sub(1);
        if plan.operation > 0 {
            return None;
        }
        self.plan.take().map(|plan| plan.fault)
    }
}
