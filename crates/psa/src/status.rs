// SPDX-License-Identifier: Apache-2.0
//! From PSA status codes to errors.

use devid_core::Error;
use devid_psa_sys as sys;

/// The one table for every call; a status without a line here is kept as it came.
pub(crate) fn check(status: i32) -> Result<(), Error> {
    match status {
        sys::PSA_SUCCESS => Ok(()),
        sys::PSA_ERROR_NOT_SUPPORTED => Err(Error::NotSupported),
        sys::PSA_ERROR_INVALID_HANDLE | sys::PSA_ERROR_DOES_NOT_EXIST => Err(Error::NotFound),
        sys::PSA_ERROR_ALREADY_EXISTS => Err(Error::AlreadyExists),
        sys::PSA_ERROR_INSUFFICIENT_STORAGE => Err(Error::StorageFull),
        // What protects the storage found it changed, or its layout unknown.
        sys::PSA_ERROR_DATA_CORRUPT
        | sys::PSA_ERROR_DATA_INVALID
        | sys::PSA_ERROR_INVALID_SIGNATURE => Err(Error::Corrupt),
        status => Err(Error::platform(status)),
    }
}

/// Like [`check`]; `None` where the thing does not exist.
pub(crate) fn exists(status: i32) -> Result<Option<()>, Error> {
    match check(status) {
        Ok(()) => Ok(Some(())),
        Err(Error::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_error() {
        assert_eq!(check(0), Ok(()));
        let table = [
            (-134, Error::NotSupported),
            (-136, Error::NotFound),
            (-140, Error::NotFound),
            (-139, Error::AlreadyExists),
            (-142, Error::StorageFull),
            (-149, Error::Corrupt),
            (-152, Error::Corrupt),
            (-153, Error::Corrupt),
            (-132, Error::Platform(-132)),
            (-146, Error::Platform(-146)),
            (i32::MIN, Error::Platform(i16::MIN)),
            (1, Error::Platform(1)),
        ];
        for (status, error) in table {
            assert_eq!(check(status), Err(error), "{status}");
        }
    }

    #[test]
    fn what_does_not_exist_is_none() {
        assert_eq!(exists(0), Ok(Some(())));
        assert_eq!(exists(-140), Ok(None));
        assert_eq!(exists(-136), Ok(None));
        assert_eq!(exists(-132), Err(Error::Platform(-132)));
    }
}
