// SPDX-License-Identifier: Apache-2.0
//! Declarations of the PSA interfaces of the build at hand, nothing more.
//!
//! In a Zephyr build (feature `zephyr`) bindgen reads that build's own headers:
//! key attributes and operations differ between releases and configurations.
//! Without one there are [reference declarations](mod@reference) written from
//! the PSA specifications, so that all this runs over the simulator on a host.
//!
//! `port.h` is the C side: the lock, the storage, PSA's macros.
#![no_std]

pub mod reference;

#[cfg(feature = "zephyr")]
mod build {
    #![allow(
        clashing_extern_declarations,
        reason = "the reference declarations know PSA's structures as opaque"
    )]
    #![allow(
        missing_docs,
        non_camel_case_types,
        unreachable_pub,
        clippy::all,
        reason = "bindgen's text; the C headers document it"
    )]
    include!(concat!(env!("OUT_DIR"), "/psa.rs"));
}

#[cfg(feature = "zephyr")]
pub use build::*;
#[cfg(not(feature = "zephyr"))]
pub use reference::*;

/// The C library's error numbers.
pub mod errno {
    pub use crate::{
        EACCES, EBADMSG, EBUSY, EEXIST, EFBIG, EILSEQ, EINVAL, EIO, ENOBUFS, ENOENT, ENOSPC,
        ENOTSUP, ENXIO, EPERM,
    };
}

#[cfg(not(initial_attestation))]
pub use no_attestation::*;

/// Where initial attestation is not built in, its functions say so.
#[cfg(not(initial_attestation))]
mod no_attestation {
    use crate::PSA_ERROR_NOT_SUPPORTED;

    /// Refuses.
    ///
    /// # Safety
    /// None needed; the signature is PSA's.
    pub unsafe fn psa_initial_attest_get_token(
        _: *const u8,
        _: usize,
        _: *mut u8,
        _: usize,
        _: *mut usize,
    ) -> i32 {
        PSA_ERROR_NOT_SUPPORTED
    }

    /// Refuses.
    ///
    /// # Safety
    /// None needed; the signature is PSA's.
    pub unsafe fn psa_initial_attest_get_token_size(_: usize, _: *mut usize) -> i32 {
        PSA_ERROR_NOT_SUPPORTED
    }
}

/// The reference declarations agree with the headers of every Zephyr build.
#[cfg(feature = "zephyr")]
mod agreement {
    use crate::{build, reference};

    macro_rules! same_numbers {
        ($($name:ident)*) => { $(const _: () = assert!(build::$name == reference::$name);)* };
    }
    same_numbers! {
        PSA_SUCCESS PSA_ERROR_NOT_PERMITTED PSA_ERROR_NOT_SUPPORTED PSA_ERROR_INVALID_ARGUMENT
        PSA_ERROR_INVALID_HANDLE PSA_ERROR_BUFFER_TOO_SMALL PSA_ERROR_ALREADY_EXISTS
        PSA_ERROR_DOES_NOT_EXIST PSA_ERROR_INSUFFICIENT_STORAGE PSA_ERROR_INVALID_SIGNATURE
        PSA_ERROR_DATA_INVALID PSA_ERROR_DATA_CORRUPT PSA_ALG_SHA_256 PSA_ALG_ECDSA_SHA_256
    }
    #[cfg(initial_attestation)]
    same_numbers! { IAK_KEY_ID }

    macro_rules! same_types {
        ($($name:ident($($argument:ty),*) -> $result:ty;)*) => { $(
            const _: unsafe extern "C" fn($($argument),*) -> $result = build::$name;
            const _: unsafe extern "C" fn($($argument),*) -> $result = reference::$name;
        )* };
    }
    same_types! {
        devid_port_lock() -> bool;
        devid_port_uptime() -> u32;
        devid_port_storage_get(bool, u32, *mut u8, usize, *mut usize) -> i32;
        devid_port_storage_set(bool, u32, *const u8, usize) -> i32;
        devid_port_storage_remove(bool, u32) -> i32;
        psa_generate_random(*mut u8, usize) -> i32;
        psa_destroy_key(u32) -> i32;
        psa_export_public_key(u32, *mut u8, usize, *mut usize) -> i32;
        psa_sign_hash(u32, u32, *const u8, usize, *mut u8, usize, *mut usize) -> i32;
        psa_verify_hash(u32, u32, *const u8, usize, *const u8, usize) -> i32;
    }
    #[cfg(initial_attestation)]
    same_types! {
        psa_initial_attest_get_token(*const u8, usize, *mut u8, usize, *mut usize) -> i32;
        psa_initial_attest_get_token_size(usize, *mut usize) -> i32;
    }

    /// The reference leaves room enough for the build's own structures.
    const _: () = {
        assert!(
            size_of::<build::psa_key_attributes_t>()
                <= size_of::<reference::psa_key_attributes_t>()
        );
        assert!(
            size_of::<build::psa_hash_operation_t>()
                <= size_of::<reference::psa_hash_operation_t>()
        );
    };
}
