// SPDX-License-Identifier: Apache-2.0
//! What is missing or wrong with a device, and what to do about it.

use core::fmt::{self, Write};

use devid_core::device::Device;
use devid_core::error::Error;
use devid_core::instance_id;
use devid_core::layout::{Layout, SlotId};
use devid_core::platform::Platform;
use devid_core::status::{Finding, Problem, Severity};

use crate::answer::Answer;
use crate::failure::Failure;
use crate::text::{Escaped, Hex};

/// One line a finding: its number, its weight, the slot, what to do. Then how
/// many there are.
pub(crate) fn list(findings: &[Finding], layout: &Layout<'_>, out: &mut dyn Write) -> fmt::Result {
    let mut errors = 0;
    for Finding { problem, slot } in findings {
        let severity = match problem.severity() {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        errors += usize::from(problem.severity() == Severity::Error);
        write!(out, "STATUS: {} {severity}", *problem as u8)?;
        if let Some(slot) = slot {
            write!(out, " {}", name(layout, *slot))?;
        }
        writeln!(out, ": {}{}", problem.name(), advice(*problem))?;
    }
    writeln!(out, "STATUS-END: errors={errors} warnings={}", findings.len() - errors)
}

fn name<'a>(layout: &Layout<'a>, slot: SlotId) -> &'a str {
    layout.slots.iter().find(|def| def.id == slot).map_or("", |def| def.name)
}

/// The device itself.
#[derive(Debug)]
pub struct About<'a> {
    is_locked: bool,
    sequence: u64,
    group: &'a str,
    instance_id: Option<[u8; instance_id::LEN]>,
}

pub(crate) fn info<'a, P: Platform>(device: &mut Device<'a, P>) -> Result<Answer<'a>, Failure> {
    let instance_id = match device.instance_id() {
        Ok(id) => Some(id),
        Err(Error::NotFound) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(Answer::About(About {
        is_locked: device.is_locked(),
        sequence: device.sequence(),
        group: device.group(),
        instance_id,
    }))
}

impl About<'_> {
    /// One line.
    pub(crate) fn print(&self, out: &mut dyn Write) -> fmt::Result {
        let locked = if self.is_locked { "yes" } else { "no" };
        write!(out, "DEVICE: locked={locked} sequence={}", self.sequence)?;
        write!(out, " group=\"{}\"", Escaped(self.group))?;
        match &self.instance_id {
            Some(id) => writeln!(out, " instance-id={}", Hex(id)),
            None => writeln!(out, " instance-id=none"),
        }
    }
}

/// What to do about a problem, as the end of its line.
const fn advice(problem: Problem) -> &'static str {
    match problem {
        Problem::StateCorrupt => "; send it a recovery command, or erase all of its storage",
        Problem::RecordCorrupt => "; erase it or write it anew",
        Problem::NoKey => "; 'id gen'",
        Problem::NoChain => "; 'id csr', then 'id install'",
        Problem::KeyMismatch | Problem::ChainBroken => "; have a chain issued over its key",
        Problem::Expired | Problem::ExpiresSoon => "; renew or rotate it",
        Problem::NotYetValid => "; check the clock",
        Problem::ValidityNotChecked => "; 'status <unix-time>'",
        Problem::NoAnchor => "; 'slot write' one to have updates",
        Problem::Unlocked => "; 'lock' it before it leaves the factory",
        Problem::DummyProvisioning | Problem::DevelopmentIak => "; never ship such a device",
        Problem::StorageHeadroom => "; erase a slot, or raise the storage's limits",
        Problem::NotConfirmed => "; 'id confirm' or 'id rollback'",
        Problem::NoAttestation => "",
        Problem::NoIakChain => "; 'slot write iak -'",
        Problem::KeyCorrupt => "; erase the identity, and make another",
        Problem::NoCommander => "; send it a recovery command that brings its anchor",
        Problem::TooLong => "; write a shorter one when it is replaced",
        Problem::StateRepaired => "; look for what damages the storage",
        Problem::Unfinished => "; restart the device, and look at the log",
    }
}
