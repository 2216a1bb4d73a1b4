// SPDX-License-Identifier: Apache-2.0
//! Safe wrappers over the PSA interfaces that implement devid-core's platform
//! traits, and the lock that serialises their callers.
#![no_std]

mod attestation;
mod clock;
mod crypto;
mod keys;
pub mod lock;
mod status;
mod storage;

use devid_core::platform::Platform;
use devid_psa_sys as sys;

/// The PSA implementation of the image: TF-M's, or Mbed TLS's with Zephyr's
/// secure storage.
///
/// PSA serialises its callers itself; only sequences of calls need the
/// [`lock`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Psa;

impl Platform for Psa {
    const UPDATES: bool = sys::UPDATES != 0;
}
