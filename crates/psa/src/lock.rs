// SPDX-License-Identifier: Apache-2.0
//! Values behind the one lock of the image.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

use devid_core::Error;
use devid_psa_sys as sys;

/// A value that callers take turns with. Every `Locked` shares the one lock.
pub struct Locked<T>(UnsafeCell<T>);

// SAFETY: `with` alone reaches the value, and hands it to one thread at a time.
unsafe impl<T: Send> Sync for Locked<T> {}

impl<T> Locked<T> {
    /// Puts a value behind the lock.
    pub const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// Calls `f` with the value, once no other thread has it.
    ///
    /// [`Error::NotSupported`] from interrupts, and from within another `with`.
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> Result<R, Error> {
        let _guard = Guard::take()?;
        // SAFETY: the guard is the only one until it is dropped, and so is this reference.
        Ok(f(unsafe { &mut *self.0.get() }))
    }
}

/// The lock, held.
struct Guard(());

impl Guard {
    fn take() -> Result<Self, Error> {
        // SAFETY: takes no pointer; refuses where it may not wait or the lock is this thread's.
        match unsafe { sys::devid_port_lock() } {
            true => Ok(Self(())),
            false => Err(Error::NotSupported),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // SAFETY: takes no pointer; this thread took the lock when the guard was made.
        unsafe { sys::devid_port_unlock() };
    }
}

/// A static buffer that is given away once, for good.
pub struct TakeOnce<T> {
    value: UnsafeCell<T>,
    taken: AtomicBool,
}

// SAFETY: `take` alone reaches the value, and lets one caller have it.
unsafe impl<T: Send> Sync for TakeOnce<T> {}

impl<T> TakeOnce<T> {
    /// Wraps a value for a static.
    pub const fn new(value: T) -> Self {
        Self { value: UnsafeCell::new(value), taken: AtomicBool::new(false) }
    }

    /// The value, to the first caller.
    #[allow(clippy::mut_from_ref, reason = "only one caller ever gets it")]
    pub fn take(&'static self) -> Option<&'static mut T> {
        match self.taken.swap(true, Ordering::AcqRel) {
            true => None,
            // SAFETY: no one came before, and no one will come after.
            false => Some(unsafe { &mut *self.value.get() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_taken_once() {
        static BUFFER: TakeOnce<[u8; 4]> = TakeOnce::new([7; 4]);
        assert_eq!(BUFFER.take(), Some(&mut [7; 4]));
        assert_eq!(BUFFER.take(), None);
    }
}
