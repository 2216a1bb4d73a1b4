// SPDX-License-Identifier: Apache-2.0
//! C pointers, checked and turned into Rust values: all pointer handling of the
//! C API is here.

use core::ffi::c_char;
use core::ptr::NonNull;

use devid_core::Error;

/// Bytes that a C caller lends for reading.
///
/// # Safety
///
/// Where `data` is not null, `len` bytes from it must be readable and must not
/// change until the C call returns.
pub(super) unsafe fn bytes<'a>(data: *const u8, len: usize) -> Result<&'a [u8], Error> {
    if data.is_null() || len == 0 || !spans(data, len) {
        return Err(Error::InvalidArgument);
    }
    // SAFETY: not null and no wrap-around, checked above; readable and
    // unchanging by this function's contract; u8 has no alignment.
    Ok(unsafe { core::slice::from_raw_parts(data, len) })
}

/// As [`bytes`], with none as an empty slice.
///
/// # Safety
///
/// As [`bytes`].
#[cfg(feature = "smp")]
pub(super) unsafe fn payload<'a>(data: *const u8, len: usize) -> Result<&'a [u8], Error> {
    if len == 0 {
        return Ok(&[]);
    }
    // SAFETY: by this function's contract.
    unsafe { bytes(data, len) }
}

/// Bytes that a C caller lends for writing; they must have been initialised.
///
/// # Safety
///
/// Where `data` is not null, `len` bytes from it must be readable and writable,
/// and nobody else's, until the C call returns.
#[cfg(feature = "smp")]
pub(super) unsafe fn buffer<'a>(data: *mut u8, len: usize) -> Result<&'a mut [u8], Error> {
    if data.is_null() || !spans(data, len) {
        return Err(Error::InvalidArgument);
    }
    // SAFETY: not null and no wrap-around, checked above; exclusive by this
    // function's contract; u8 has no alignment.
    Ok(unsafe { core::slice::from_raw_parts_mut(data, len) })
}

/// A C string of at most `max` bytes before its NUL, in UTF-8; `None` for null.
///
/// # Safety
///
/// As [`string`].
pub(super) unsafe fn text<'a>(text: *const c_char, max: usize) -> Result<Option<&'a str>, Error> {
    // SAFETY: a C string or null by this function's contract.
    let string = unsafe { string(text, max) }?;
    string.map(core::str::from_utf8).transpose().map_err(|_| Error::InvalidArgument)
}

/// A C string of at most `max` bytes before its NUL; `None` for null.
///
/// # Safety
///
/// Where `text` is not null, bytes from it up to and including a NUL, or
/// `max + 1` of them, must be readable and unchanging until the C call returns.
pub(super) unsafe fn string<'a>(
    text: *const c_char,
    max: usize,
) -> Result<Option<&'a [u8]>, Error> {
    if text.is_null() {
        return Ok(None);
    }
    let mut len = 0;
    loop {
        // SAFETY: no NUL stood before this offset and it is at most `max`, so
        // the byte is readable by this function's contract.
        let byte = unsafe { *text.wrapping_add(len) };
        if byte == 0 {
            break;
        }
        len += 1;
        if len > max {
            return Err(Error::InvalidArgument);
        }
    }
    // SAFETY: the loop above read these bytes; unchanging by the contract.
    Ok(Some(unsafe { core::slice::from_raw_parts(text.cast(), len) }))
}

/// A C caller's buffer for a result: room for `size` items at `data`, bytes
/// where nothing else is said, their count to `len`.
///
/// Null with size 0 asks for the count alone.
pub(super) struct Buffer<T = u8> {
    data: *mut T,
    size: usize,
    len: NonNull<usize>,
}

impl<T: Copy> Buffer<T> {
    /// # Safety
    ///
    /// Where they are not null, `size` items at `data` and the `size_t` at `len`
    /// must be writable until the C call returns, and nobody else's.
    pub(super) unsafe fn new(data: *mut T, size: usize, len: *mut usize) -> Result<Self, Error> {
        let len = aligned(len)?;
        let null_but_sized = data.is_null() && size != 0;
        let bytes = size.checked_mul(size_of::<T>()).ok_or(Error::InvalidArgument)?;
        if null_but_sized
            || !data.is_aligned()
            || !spans(data.cast(), bytes)
            || overlap(data.cast(), bytes, len.as_ptr().cast(), size_of::<usize>())
        {
            return Err(Error::InvalidArgument);
        }
        Ok(Self { data, size, len })
    }

    /// Refuses an input that shares memory with this buffer or its length.
    pub(super) fn apart_from(&self, input: &[u8]) -> Result<(), Error> {
        let len = self.len.as_ptr().cast();
        let bytes = self.size * size_of::<T>();
        if overlap(self.data.cast(), bytes, input.as_ptr(), input.len())
            || overlap(len, size_of::<usize>(), input.as_ptr(), input.len())
        {
            return Err(Error::InvalidArgument);
        }
        Ok(())
    }

    /// Hands the value over whole, or with [`Error::BufferTooSmall`] the size
    /// needed alone: its length and `spread`, by which another call's value can
    /// be longer.
    pub(super) fn fill(self, value: &[T], spread: usize) -> Result<(), Error> {
        let fits = value.len() <= self.size;
        let len = if fits { value.len() } else { value.len() + spread };
        // SAFETY: not null and aligned, checked by `new`; writable by its contract.
        unsafe { self.len.write(len) };
        if !fits {
            return Err(Error::needs(len));
        }
        // SAFETY: `value.len()` items fit, checked above; writable by the contract
        // of `new`; the value lies in devid's own memory, never in the caller's.
        unsafe { self.data.copy_from_nonoverlapping(value.as_ptr(), value.len()) };
        Ok(())
    }
}

/// A place for one C value.
pub(super) struct Place<T>(NonNull<T>);

impl<T> Place<T> {
    /// # Safety
    ///
    /// Where it is not null, `place` must be writable for a `T` until the C call
    /// returns, and nobody else's.
    pub(super) unsafe fn new(place: *mut T) -> Result<Self, Error> {
        aligned(place).map(Self)
    }

    /// As [`Place::new`], with null for "not wanted".
    ///
    /// # Safety
    ///
    /// As [`Place::new`].
    pub(super) unsafe fn optional(place: *mut T) -> Result<Option<Self>, Error> {
        if place.is_null() { Ok(None) } else { aligned(place).map(|place| Some(Self(place))) }
    }

    pub(super) fn put(self, value: T) {
        // SAFETY: not null and aligned, checked by `new`; writable by its contract.
        unsafe { self.0.write(value) };
    }
}

fn aligned<T>(pointer: *mut T) -> Result<NonNull<T>, Error> {
    NonNull::new(pointer).filter(|pointer| pointer.is_aligned()).ok_or(Error::InvalidArgument)
}

/// Whether `len` bytes from `data` stay inside the address space.
fn spans(data: *const u8, len: usize) -> bool {
    isize::try_from(len).is_ok() && data.addr().checked_add(len).is_some()
}

fn overlap(a: *const u8, a_len: usize, b: *const u8, b_len: usize) -> bool {
    a_len != 0
        && b_len != 0
        && a.addr() < b.addr().saturating_add(b_len)
        && b.addr() < a.addr().saturating_add(a_len)
}
