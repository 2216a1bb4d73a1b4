// SPDX-License-Identifier: Apache-2.0
//! What is missing or wrong with a device, and what to do about it.

use core::fmt::Write;

use devid_core::device::Device;
use devid_core::error::Error;
use devid_core::layout::SlotId;
use devid_core::platform::Platform;
use devid_core::status::{Finding, Problem, Severity};
use devid_core::time::UnixTime;

use crate::failure::Failure;
use crate::text::{Escaped, Hex};

/// Most findings that are listed; the core reports fewer.
const MAX_FINDINGS: usize = 32;

/// One line a finding: its number, its weight, the slot, what to do. Then how
/// many there are.
pub(crate) fn list<P: Platform>(
    device: &mut Device<'_, P>,
    now: Option<UnixTime>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut findings = heapless::Vec::<Finding, MAX_FINDINGS>::new();
    device.status(now, &mut |finding| _ = findings.push(finding))?;
    let mut errors = 0;
    for Finding { problem, slot } in &findings {
        let severity = match problem.severity() {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        errors += usize::from(problem.severity() == Severity::Error);
        write!(out, "STATUS: {} {severity}", *problem as u8)?;
        if let Some(slot) = slot {
            write!(out, " {}", name(device, *slot))?;
        }
        writeln!(out, ": {}{}", problem.name(), advice(*problem))?;
    }
    writeln!(out, "STATUS-END: errors={errors} warnings={}", findings.len() - errors)?;
    Ok(())
}

/// One line about the device itself.
pub(crate) fn info<P: Platform>(
    device: &mut Device<'_, P>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let locked = if device.is_locked() { "yes" } else { "no" };
    write!(out, "DEVICE: locked={locked} sequence={}", device.sequence())?;
    write!(out, " group=\"{}\"", Escaped(device.group()))?;
    match device.instance_id() {
        Ok(id) => writeln!(out, " instance-id={}", Hex(&id))?,
        Err(Error::NotFound) => writeln!(out, " instance-id=none")?,
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

fn name<'a, P: Platform>(device: &Device<'a, P>, slot: SlotId) -> &'a str {
    device.slot(slot).map_or("", |slot| slot.def.name)
}

/// What to do about a problem, as the end of its line.
const fn advice(problem: Problem) -> &'static str {
    match problem {
        Problem::StateCorrupt => "; erase the secure storage and provision anew",
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
    }
}
