// SPDX-License-Identifier: Apache-2.0
//! The C cases of `tests/contract` and what they need of a host.

use std::ffi::{CStr, c_char, c_int, c_uint};
use std::sync::LazyLock;

use devid_core::platform::{Crypto, KeyId, Keys};
use p256::ecdsa::signature::{Signer, Verifier};
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};

use super::{World, bytes, psa_export_key};

/// `CONTRACT_KEYS` of `contract.h`.
const KEYS: usize = 3;

/// One claim about `devid.h`: `struct contract_case`.
#[repr(C)]
pub struct Case {
    name: *const c_char,
    run: extern "C" fn() -> bool,
}

// SAFETY: a case is a constant of two constants.
unsafe impl Sync for Case {}

impl Case {
    /// The claim.
    pub fn name(&self) -> &'static str {
        // SAFETY: a string literal in cases.c.
        let name = unsafe { CStr::from_ptr(self.name) };
        name.to_str().unwrap_or("?")
    }

    /// Empties every slot and runs the case; whether the claim holds.
    pub fn run(&self) -> bool {
        // SAFETY: a case of the table, as the function wants it.
        unsafe { contract_run(self) }
    }
}

/// The whole table.
pub fn cases() -> &'static [Case] {
    let first = &raw const contract_cases;
    // SAFETY: a constant of cases.c.
    let count = unsafe { contract_case_count };
    // SAFETY: cases.c defines a constant table of that many cases.
    unsafe { std::slice::from_raw_parts(first.cast(), count) }
}

unsafe extern "C" {
    static contract_cases: Case;
    static contract_case_count: usize;
    fn contract_run(case: *const Case) -> bool;
}

// `with` links the C API that the cases call.
static TEST_KEYS: LazyLock<[SigningKey; KEYS]> = LazyLock::new(|| {
    let scalars: [u8; KEYS] = [0x11, 0x22, 0x33];
    scalars.map(|byte| SigningKey::from_slice(&[byte; 32]).expect("a small scalar is a key"))
});

#[unsafe(no_mangle)]
static contract_attests: bool = true;

/// The standard layout has none.
#[unsafe(no_mangle)]
static contract_group: [u8; 1] = [0];

#[unsafe(no_mangle)]
unsafe extern "C" fn contract_failed(file: *const c_char, line: c_int, expectation: *const c_char) {
    // SAFETY: a string literal in cases.c.
    let file = unsafe { CStr::from_ptr(file) };
    // SAFETY: a string literal in cases.c.
    let expectation = unsafe { CStr::from_ptr(expectation) };
    eprintln!("{}:{line}: {}", file.to_string_lossy(), expectation.to_string_lossy());
}

#[unsafe(no_mangle)]
unsafe extern "C" fn contract_key_point(key: c_uint, point: *mut u8) -> bool {
    let Some(key) = TEST_KEYS.get(key as usize) else { return false };
    let public = key.verifying_key().to_sec1_point(false);
    // SAFETY: contract.h asks for 65 bytes, and an uncompressed point has them.
    unsafe { hand_out(public.as_bytes(), point) };
    true
}

#[unsafe(no_mangle)]
unsafe extern "C" fn contract_key_sign(
    key: c_uint,
    data: *const u8,
    len: usize,
    signature: *mut u8,
) -> bool {
    let Some(key) = TEST_KEYS.get(key as usize) else { return false };
    // SAFETY: contract.h: `len` bytes at `data`.
    let data = unsafe { bytes(data, len) };
    let made: Signature = key.sign(data);
    // SAFETY: contract.h asks for 64 bytes, and a P-256 signature has them.
    unsafe { hand_out(&made.to_bytes(), signature) };
    true
}

#[unsafe(no_mangle)]
unsafe extern "C" fn contract_verify(
    point: *const u8,
    data: *const u8,
    len: usize,
    signature: *const u8,
) -> bool {
    // SAFETY: contract.h: 65 bytes at `point`.
    let key = VerifyingKey::from_sec1_bytes(unsafe { bytes(point, 65) });
    // SAFETY: contract.h: `len` bytes at `data`.
    let data = unsafe { bytes(data, len) };
    // SAFETY: contract.h: 64 bytes at `signature`.
    let signature = Signature::from_slice(unsafe { bytes(signature, 64) });
    key.and_then(|key| key.verify(data, &signature?)).is_ok()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn contract_sha256(data: *const u8, len: usize, digest: *mut u8) -> bool {
    // SAFETY: contract.h: `len` bytes at `data`.
    let data = unsafe { bytes(data, len) };
    let Ok(made) = World::enter().sim.sha256(&[data]) else { return false };
    // SAFETY: contract.h asks for 32 bytes, and a SHA-256 digest has them.
    unsafe { hand_out(&made, digest) };
    true
}

#[unsafe(no_mangle)]
unsafe extern "C" fn contract_psa_point(id: u32, point: *mut u8) -> bool {
    let Ok(Some(key)) = World::enter().sim.public_key(KeyId(id)) else { return false };
    // SAFETY: contract.h asks for 65 bytes, and an uncompressed point has them.
    unsafe { hand_out(key.point(), point) };
    true
}

#[unsafe(no_mangle)]
extern "C" fn contract_psa_seals(id: u32) -> bool {
    let (mut scalar, mut len) = ([0; 32], 0);
    // SAFETY: `scalar` takes as many bytes as told, and `len` a length.
    let status = unsafe { psa_export_key(id, scalar.as_mut_ptr(), scalar.len(), &mut len) };
    status == devid_psa_sys::PSA_ERROR_NOT_PERMITTED
}

/// # Safety
///
/// As many bytes as `value` has must be writable at `out`.
unsafe fn hand_out(value: &[u8], out: *mut u8) {
    // SAFETY: by this function's contract.
    unsafe { out.copy_from_nonoverlapping(value.as_ptr(), value.len()) };
}
