// SPDX-License-Identifier: Apache-2.0
//! The static library for C applications: panic handler and re-export, nothing else.
#![no_std]

// Its C functions are the archive's symbols.
use devid as _;

// On a host, std brings the panic handler.
#[cfg(not(target_os = "none"))]
extern crate std;

#[cfg(target_os = "none")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: takes no pointer and does not return.
    unsafe { devid_psa_sys::devid_port_panic() }
}
