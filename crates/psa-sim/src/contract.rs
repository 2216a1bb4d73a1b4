// SPDX-License-Identifier: Apache-2.0
//! The C cases of `tests/contract` and what they need of a host.

use std::ffi::{CStr, c_char, c_int, c_uint};
use std::sync::LazyLock;

use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};

/// `CONTRACT_KEYS` of `contract.h`.
const KEYS: usize = 2;

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
    let scalars: [u8; KEYS] = [0x11, 0x22];
    scalars.map(|byte| SigningKey::from_slice(&[byte; 32]).expect("a small scalar is a key"))
});

#[unsafe(no_mangle)]
static contract_attests: bool = true;

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
    let from = public.as_bytes();
    // SAFETY: contract.h asks for 65 bytes, and an uncompressed point has them.
    unsafe { point.copy_from_nonoverlapping(from.as_ptr(), from.len()) };
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
    let data = unsafe { super::bytes(data, len) };
    let made: Signature = key.sign(data);
    let made = made.to_bytes();
    // SAFETY: contract.h asks for 64 bytes, and a P-256 signature has them.
    unsafe { signature.copy_from_nonoverlapping(made.as_ptr(), made.len()) };
    true
}
