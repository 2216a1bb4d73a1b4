// SPDX-License-Identifier: Apache-2.0
//! What Kconfig chose: the slots, their limits, where their assets and keys live.

#[cfg(any(feature = "shell", feature = "smp"))]
use devid_console::access::Rules;
#[cfg(feature = "smp")]
use devid_console::smp;
use devid_core::layout::{Kind, Layout, Policy, Purpose, slot};
use devid_core::limits::{MAX_GROUP_LEN, MAX_SLOTS, MAX_VALUE_LEN};
use devid_core::platform::Service;
use devid_core::time::UnixTime;

include!(concat!(env!("OUT_DIR"), "/kconfig.rs"));

/// Who may still change what is operational once the device is locked.
#[cfg(any(feature = "shell", feature = "smp"))]
pub const RULES: Rules = Rules { console: SHELL_OPERATIONAL, peer: SMP_OPERATIONAL };

/// The group of mcumgr commands.
#[cfg(feature = "smp")]
pub const SMP: smp::Config = smp::Config { group: SMP_GROUP, rules: RULES };

const _: () = assert!(LAYOUT.slots.len() <= MAX_SLOTS, "Kconfig asks for too many slots");
const _: () = assert!(LAYOUT.max_value_len() <= MAX_VALUE_LEN, "a slot's limit is too long");
const _: () = assert!(LAYOUT.group.len() <= MAX_GROUP_LEN, "CONFIG_DEVID_GROUP is too long");

#[cfg(test)]
mod tests {
    #[test]
    fn the_defaults_are_the_standard_layout() {
        assert_eq!(super::LAYOUT, devid_core::layout::STANDARD);
    }
}
