// SPDX-License-Identifier: Apache-2.0
//! Zephyr's uptime.

use devid_core::platform::Clock;
use devid_psa_sys as sys;

use crate::Psa;

impl Clock for Psa {
    fn uptime(&mut self) -> u32 {
        // SAFETY: takes no pointer.
        unsafe { sys::devid_port_uptime() }
    }
}
