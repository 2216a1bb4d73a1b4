// SPDX-License-Identifier: Apache-2.0
//! From errors to negative errno values, and the record of the last one.

use core::ffi::c_int;

use devid_core::Error;
use devid_core::error::Errno;
use devid_psa::lock::Locked;
use devid_psa_sys::errno;

use super::devid_error;
use super::ptr::Place;

static LAST: Locked<Option<Error>> = Locked::new(None);

/// 0, or a negative errno with the error kept for `devid_last_error`.
pub(super) fn report(result: Result<(), Error>) -> c_int {
    match result {
        Ok(()) => 0,
        Err(error) => {
            // Not kept where the lock refuses: there is nobody to ask for it.
            let _ = LAST.with(|last| *last = Some(error));
            -number(error.errno())
        }
    }
}

/// Serves `devid_last_error` itself: its own failure is not recorded.
pub(super) fn report_last(place: Result<Place<devid_error>, Error>) -> c_int {
    let written = place.and_then(|place| {
        let (code, detail) =
            LAST.with(|last| last.map_or((0, 0), |error| (error.code(), error.detail())))?;
        place.put(devid_error { code, detail });
        Ok(())
    });
    match written {
        Ok(()) => 0,
        Err(error) => -number(error.errno()),
    }
}

/// The C library's number for an errno.
pub(crate) fn number(name: Errno) -> c_int {
    let number = match name {
        Errno::EINVAL => errno::EINVAL,
        Errno::ENOENT => errno::ENOENT,
        Errno::ENXIO => errno::ENXIO,
        Errno::EEXIST => errno::EEXIST,
        Errno::EFBIG => errno::EFBIG,
        Errno::ENOBUFS => errno::ENOBUFS,
        Errno::EACCES => errno::EACCES,
        Errno::ENOTSUP => errno::ENOTSUP,
        Errno::EILSEQ => errno::EILSEQ,
        Errno::ENOSPC => errno::ENOSPC,
        Errno::EBADMSG => errno::EBADMSG,
        Errno::EPERM => errno::EPERM,
        Errno::EIO => errno::EIO,
        Errno::EBUSY => errno::EBUSY,
    };
    number as c_int
}
