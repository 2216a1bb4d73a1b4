// SPDX-License-Identifier: Apache-2.0
//! devid on the device: an identity that others can check, over TF-M.
//!
//! Everything goes through [`with`], which hands out the one
//! [`Device`] of the image:
//!
//! ```no_run
//! # fn main() -> Result<(), devid::Error> {
//! let evidence_len = devid::with(|device| Ok(device.evidence(&[7; 32])?.len()))?;
//! # Ok(())
//! # }
//! ```
//!
//! Calls are serialised by one lock and may sleep: call from threads, never
//! from interrupts. C has the same in `devid/devid.h`, made from `capi`.
#![no_std]
#![deny(unsafe_code)]

pub mod capi;
pub mod limits;

use devid_core::device::{Device, scratch_len};
pub use devid_core::{Error, csr, device, error, key, layout, time};
use devid_psa::Psa;
use devid_psa::lock::{Locked, TakeOnce};

use limits::LAYOUT;

const SCRATCH_LEN: usize = scratch_len(&LAYOUT);

static SCRATCH: TakeOnce<[u8; SCRATCH_LEN]> = TakeOnce::new([0; SCRATCH_LEN]);
static STATE: Locked<State> = Locked::new(State {
    device: Lazy::Unmade,
    is_open: false,
    #[cfg(feature = "shell")]
    console: None,
    #[cfg(feature = "smp")]
    smp: None,
});

/// What is behind the lock.
struct State {
    device: Lazy,
    is_open: bool,
    #[cfg(feature = "shell")]
    console: Option<devid_console::Console<'static>>,
    #[cfg(feature = "smp")]
    smp: Option<devid_console::smp::Smp<'static>>,
}

/// As an `Option`, but all zero at first, whatever is in it: so the image holds
/// no initial value of some 400 bytes.
#[repr(u8)]
#[allow(clippy::large_enum_variant, reason = "the one value of it is static")]
enum Lazy {
    Unmade = 0,
    Made(Device<'static, Psa>),
}

impl State {
    /// The device, opened first where it was not yet.
    fn device(&mut self) -> Result<&mut Device<'static, Psa>, Error> {
        if let Lazy::Unmade = self.device {
            let scratch = SCRATCH.take().ok_or(Error::InvalidArgument)?;
            self.device = Lazy::Made(Device::closed(Psa, LAYOUT, scratch)?);
        }
        let Lazy::Made(device) = &mut self.device else { return Err(Error::InvalidArgument) };
        if !self.is_open {
            device.mount()?;
            self.is_open = true;
        }
        Ok(device)
    }
}

/// Calls `f` with the device, opened first where it was not yet; should that
/// fail, the next call tries again. Waits for other callers.
///
/// [`Error::NotSupported`] from interrupts, and from within `f` itself.
pub fn with<R>(f: impl FnOnce(&mut Device<'static, Psa>) -> Result<R, Error>) -> Result<R, Error> {
    STATE.with(|state| f(state.device()?))?
}
