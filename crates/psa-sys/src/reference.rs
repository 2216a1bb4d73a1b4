// SPDX-License-Identifier: Apache-2.0
//! Reference declarations, from the PSA Certified Crypto API 1.1, Secure Storage
//! API 1.0 and Attestation API 1.0, for builds without Zephyr.
//!
//! They never enter a firmware image: the lock goes by another name here, which
//! no image defines, so that linking one fails. A Zephyr build checks that they
//! agree with its headers.
#![allow(non_camel_case_types, reason = "the names are PSA's")]
#![allow(missing_docs, reason = "the PSA specifications and port.h document these")]

pub type psa_status_t = i32;
pub type psa_key_id_t = u32;
pub type psa_algorithm_t = u32;

pub const PSA_SUCCESS: psa_status_t = 0;
pub const PSA_ERROR_NOT_PERMITTED: psa_status_t = -133;
pub const PSA_ERROR_NOT_SUPPORTED: psa_status_t = -134;
pub const PSA_ERROR_INVALID_ARGUMENT: psa_status_t = -135;
pub const PSA_ERROR_INVALID_HANDLE: psa_status_t = -136;
pub const PSA_ERROR_BUFFER_TOO_SMALL: psa_status_t = -138;
pub const PSA_ERROR_ALREADY_EXISTS: psa_status_t = -139;
pub const PSA_ERROR_DOES_NOT_EXIST: psa_status_t = -140;
pub const PSA_ERROR_INSUFFICIENT_STORAGE: psa_status_t = -142;
pub const PSA_ERROR_INVALID_SIGNATURE: psa_status_t = -149;
pub const PSA_ERROR_DATA_CORRUPT: psa_status_t = -152;
pub const PSA_ERROR_DATA_INVALID: psa_status_t = -153;

pub const PSA_ALG_SHA_256: i32 = 0x0200_0009;
pub const PSA_ALG_ECDSA_SHA_256: i32 = 0x0600_0609;

/// TF-M's builtin key id of the initial attestation key.
pub const IAK_KEY_ID: i32 = 0x7fff_815d;
/// Kconfig's default.
pub const ASSET_MAX_LEN: i32 = 2048;
/// Kconfig's default.
pub const UPDATES: i32 = 1;

// Linux's, for tests on a host.
pub const EPERM: i32 = 1;
pub const ENOENT: i32 = 2;
pub const EIO: i32 = 5;
pub const ENXIO: i32 = 6;
pub const EACCES: i32 = 13;
pub const EBUSY: i32 = 16;
pub const EEXIST: i32 = 17;
pub const EINVAL: i32 = 22;
pub const EFBIG: i32 = 27;
pub const ENOSPC: i32 = 28;
pub const EBADMSG: i32 = 74;
pub const EILSEQ: i32 = 84;
pub const ENOTSUP: i32 = 95;
pub const ENOBUFS: i32 = 105;

/// Opaque; all zero is a valid initial value (Crypto API, 9.1).
#[repr(C)]
pub struct psa_key_attributes_t {
    pub opaque: [u64; 8],
}

/// Opaque; all zero is a valid initial value (Crypto API, 10.2).
#[repr(C)]
pub struct psa_hash_operation_t {
    pub opaque: [u64; 64],
}

unsafe extern "C" {
    #[link_name = "devid_reference_lock"]
    pub fn devid_port_lock() -> bool;
    #[link_name = "devid_reference_unlock"]
    pub fn devid_port_unlock();
    pub fn devid_port_panic() -> !;
    pub fn devid_port_uptime() -> u32;
    pub fn devid_port_storage_get(
        its: bool,
        uid: u32,
        data: *mut u8,
        size: usize,
        len: *mut usize,
    ) -> psa_status_t;
    pub fn devid_port_storage_set(its: bool, uid: u32, data: *const u8, len: usize)
    -> psa_status_t;
    pub fn devid_port_storage_remove(its: bool, uid: u32) -> psa_status_t;
    pub fn devid_port_signing_key(attributes: *mut psa_key_attributes_t, id: u32);
    pub fn devid_port_verifying_key(attributes: *mut psa_key_attributes_t);

    pub fn psa_generate_random(output: *mut u8, output_size: usize) -> psa_status_t;
    pub fn psa_generate_key(
        attributes: *const psa_key_attributes_t,
        key: *mut psa_key_id_t,
    ) -> psa_status_t;
    pub fn psa_import_key(
        attributes: *const psa_key_attributes_t,
        data: *const u8,
        data_length: usize,
        key: *mut psa_key_id_t,
    ) -> psa_status_t;
    pub fn psa_destroy_key(key: psa_key_id_t) -> psa_status_t;
    pub fn psa_export_public_key(
        key: psa_key_id_t,
        data: *mut u8,
        data_size: usize,
        data_length: *mut usize,
    ) -> psa_status_t;
    pub fn psa_sign_hash(
        key: psa_key_id_t,
        alg: psa_algorithm_t,
        hash: *const u8,
        hash_length: usize,
        signature: *mut u8,
        signature_size: usize,
        signature_length: *mut usize,
    ) -> psa_status_t;
    pub fn psa_verify_hash(
        key: psa_key_id_t,
        alg: psa_algorithm_t,
        hash: *const u8,
        hash_length: usize,
        signature: *const u8,
        signature_length: usize,
    ) -> psa_status_t;

    pub fn psa_hash_setup(
        operation: *mut psa_hash_operation_t,
        alg: psa_algorithm_t,
    ) -> psa_status_t;
    pub fn psa_hash_update(
        operation: *mut psa_hash_operation_t,
        input: *const u8,
        input_length: usize,
    ) -> psa_status_t;
    pub fn psa_hash_finish(
        operation: *mut psa_hash_operation_t,
        hash: *mut u8,
        hash_size: usize,
        hash_length: *mut usize,
    ) -> psa_status_t;
    pub fn psa_hash_abort(operation: *mut psa_hash_operation_t) -> psa_status_t;

    pub fn psa_initial_attest_get_token(
        auth_challenge: *const u8,
        challenge_size: usize,
        token_buf: *mut u8,
        token_buf_size: usize,
        token_size: *mut usize,
    ) -> psa_status_t;
    pub fn psa_initial_attest_get_token_size(
        challenge_size: usize,
        token_size: *mut usize,
    ) -> psa_status_t;
}
