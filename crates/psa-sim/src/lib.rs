// SPDX-License-Identifier: Apache-2.0
//! The PSA functions that `devid-psa` calls, with the C ABI, over one
//! process-wide [`Sim`]: the device crates and their C API run on the host as
//! they do on the target. `tests/contract.rs` runs the C cases this way.
//!
//! Pointers are taken as `devid-psa` and the C cases pass them: valid for the
//! lengths told. Never part of a firmware image.

mod contract;
mod keys;

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use devid_core::Error;
use devid_core::platform::{AssetId, Attestation, Clock, Crypto, Keys, Service, Storage};
use devid_psa_sys::{
    PSA_ERROR_ALREADY_EXISTS, PSA_ERROR_BUFFER_TOO_SMALL, PSA_ERROR_DATA_CORRUPT,
    PSA_ERROR_DOES_NOT_EXIST, PSA_ERROR_INSUFFICIENT_STORAGE, PSA_ERROR_INVALID_ARGUMENT,
    PSA_ERROR_NOT_SUPPORTED, PSA_SUCCESS, psa_hash_operation_t, psa_status_t,
};
use devid_sim::{Config, Sim};

pub use contract::{Case, cases};
use keys::KeyStore;
pub use keys::psa_export_key;

/// What stands for TF-M in this process.
struct World {
    sim: Sim,
    keys: KeyStore,
    hashes: HashMap<u64, Vec<u8>>,
    next: u32,
}

static WORLD: LazyLock<Mutex<World>> = LazyLock::new(|| {
    Mutex::new(World {
        sim: Sim::in_memory(Config::default()),
        keys: KeyStore::default(),
        hashes: HashMap::new(),
        next: 0,
    })
});

impl World {
    fn enter() -> MutexGuard<'static, Self> {
        WORLD.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&mut self) -> u32 {
        self.next += 1;
        self.next
    }
}

/// The PSA status of an error, as TF-M would give it.
fn status(result: Result<(), Error>) -> psa_status_t {
    match result {
        Ok(()) => PSA_SUCCESS,
        Err(Error::NotFound) => PSA_ERROR_DOES_NOT_EXIST,
        Err(Error::AlreadyExists) => PSA_ERROR_ALREADY_EXISTS,
        Err(Error::StorageFull) => PSA_ERROR_INSUFFICIENT_STORAGE,
        Err(Error::NotSupported) => PSA_ERROR_NOT_SUPPORTED,
        Err(Error::BufferTooSmall { .. }) => PSA_ERROR_BUFFER_TOO_SMALL,
        Err(Error::Corrupt) => PSA_ERROR_DATA_CORRUPT,
        Err(Error::Platform(status)) => i32::from(status),
        Err(_) => PSA_ERROR_INVALID_ARGUMENT,
    }
}

/// # Safety
///
/// `len` bytes at `data` must be readable while the result lives.
unsafe fn bytes<'a>(data: *const u8, len: usize) -> &'a [u8] {
    if len == 0 {
        return &[];
    }
    // SAFETY: by this function's contract.
    unsafe { std::slice::from_raw_parts(data, len) }
}

/// Copies a result out.
///
/// # Safety
///
/// `size` bytes at `out` and the `size_t` at `len` must be writable.
unsafe fn hand_out(value: &[u8], out: *mut u8, size: usize, len: *mut usize) -> psa_status_t {
    if value.len() > size {
        return PSA_ERROR_BUFFER_TOO_SMALL;
    }
    // SAFETY: `value.len()` bytes fit; writable by this function's contract.
    unsafe { out.copy_from_nonoverlapping(value.as_ptr(), value.len()) };
    // SAFETY: writable by this function's contract.
    unsafe { len.write(value.len()) };
    PSA_SUCCESS
}

//
// devid's port: the lock and the storage that Kconfig chose.
//

/// Zephyr's mutex, made of what a host has. One thread holds it at a time, and
/// a thread that holds it is refused.
static LOCK: Mutex<()> = Mutex::new(());

thread_local! {
    static HELD: Cell<Option<MutexGuard<'static, ()>>> = const { Cell::new(None) };
}

#[unsafe(no_mangle)]
extern "C" fn devid_reference_lock() -> bool {
    let held = HELD.take();
    if held.is_some() {
        HELD.set(held);
        return false;
    }
    HELD.set(Some(LOCK.lock().unwrap_or_else(PoisonError::into_inner)));
    true
}

#[unsafe(no_mangle)]
extern "C" fn devid_reference_unlock() {
    drop(HELD.take());
}

fn asset(its: bool, uid: u32) -> AssetId {
    AssetId { service: if its { Service::Its } else { Service::Ps }, uid }
}

#[unsafe(no_mangle)]
extern "C" fn devid_port_uptime() -> u32 {
    World::enter().sim.uptime()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn psa_generate_random(output: *mut u8, output_size: usize) -> psa_status_t {
    let mut bytes = vec![0; output_size];
    let result = World::enter().sim.random(&mut bytes);
    // SAFETY: `output_size` bytes at `output` are the caller's, as told.
    unsafe { output.copy_from_nonoverlapping(bytes.as_ptr(), output_size) };
    status(result)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn devid_port_storage_get(
    its: bool,
    uid: u32,
    data: *mut u8,
    size: usize,
    len: *mut usize,
) -> psa_status_t {
    let mut read = vec![0; size];
    match World::enter().sim.get(asset(its, uid), &mut read) {
        // SAFETY: `data` and `len` are the caller's, as told.
        Ok(Some(count)) => unsafe { hand_out(&read[..count], data, size, len) },
        Ok(None) => PSA_ERROR_DOES_NOT_EXIST,
        Err(error) => status(Err(error)),
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn devid_port_storage_set(
    its: bool,
    uid: u32,
    data: *const u8,
    len: usize,
) -> psa_status_t {
    // SAFETY: `data` is the caller's, as told.
    let data = unsafe { bytes(data, len) };
    status(World::enter().sim.set(asset(its, uid), data))
}

#[unsafe(no_mangle)]
extern "C" fn devid_port_storage_remove(its: bool, uid: u32) -> psa_status_t {
    let mut world = World::enter();
    match world.sim.get(asset(its, uid), &mut []) {
        Ok(Some(_)) => status(world.sim.remove(asset(its, uid))),
        Ok(None) => PSA_ERROR_DOES_NOT_EXIST,
        Err(error) => status(Err(error)),
    }
}

//
// PSA Crypto; the keys are in keys.rs.
//

#[unsafe(no_mangle)]
unsafe extern "C" fn psa_hash_setup(
    operation: *mut psa_hash_operation_t,
    _alg: u32,
) -> psa_status_t {
    let mut world = World::enter();
    let number = u64::from(world.next());
    world.hashes.insert(number, Vec::new());
    // SAFETY: `operation` is the caller's, and aligned.
    unsafe { (*operation).opaque[0] = number };
    PSA_SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn psa_hash_update(
    operation: *mut psa_hash_operation_t,
    input: *const u8,
    input_length: usize,
) -> psa_status_t {
    // SAFETY: `operation` is the caller's, and aligned.
    let number = unsafe { (*operation).opaque[0] };
    // SAFETY: `input` is the caller's, as told.
    let input = unsafe { bytes(input, input_length) };
    match World::enter().hashes.get_mut(&number) {
        Some(hashed) => {
            hashed.extend_from_slice(input);
            PSA_SUCCESS
        }
        None => devid_psa_sys::PSA_ERROR_INVALID_HANDLE,
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn psa_hash_finish(
    operation: *mut psa_hash_operation_t,
    hash: *mut u8,
    hash_size: usize,
    hash_length: *mut usize,
) -> psa_status_t {
    // SAFETY: `operation` is the caller's, and aligned.
    let number = unsafe { (*operation).opaque[0] };
    let mut world = World::enter();
    let Some(hashed) = world.hashes.remove(&number) else {
        return devid_psa_sys::PSA_ERROR_INVALID_HANDLE;
    };
    match world.sim.sha256(&[&hashed]) {
        // SAFETY: the hash's buffer and length are the caller's, as told.
        Ok(digest) => unsafe { hand_out(&digest, hash, hash_size, hash_length) },
        Err(error) => status(Err(error)),
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn psa_hash_abort(operation: *mut psa_hash_operation_t) -> psa_status_t {
    // SAFETY: `operation` is the caller's, and aligned.
    let number = unsafe { (*operation).opaque[0] };
    World::enter().hashes.remove(&number);
    PSA_SUCCESS
}

//
// PSA initial attestation.
//

/// How many bytes tokens are longer than the simulator's.
static TOKEN_EXCESS: AtomicUsize = AtomicUsize::new(0);

/// Makes a platform of tokens that much longer, as far as their length goes: a
/// buffer that is shorter is refused.
pub fn lengthen_tokens(bytes: usize) {
    TOKEN_EXCESS.store(bytes, Ordering::Relaxed);
}

#[unsafe(no_mangle)]
unsafe extern "C" fn psa_initial_attest_get_token(
    auth_challenge: *const u8,
    challenge_size: usize,
    token_buf: *mut u8,
    token_buf_size: usize,
    token_size: *mut usize,
) -> psa_status_t {
    // SAFETY: `auth_challenge` is the caller's, as told.
    let challenge = unsafe { bytes(auth_challenge, challenge_size) };
    let excess = TOKEN_EXCESS.load(Ordering::Relaxed);
    let Some(room) = token_buf_size.checked_sub(excess) else { return PSA_ERROR_BUFFER_TOO_SMALL };
    let mut token = vec![0; room];
    match World::enter().sim.token(challenge, &mut token) {
        // SAFETY: `token_buf` and `token_size` are the caller's, as told.
        Ok(len) => unsafe { hand_out(&token[..len], token_buf, token_buf_size, token_size) },
        Err(error) => status(Err(error)),
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn psa_initial_attest_get_token_size(
    challenge_size: usize,
    token_size: *mut usize,
) -> psa_status_t {
    match World::enter().sim.token_len(challenge_size) {
        Ok(len) => {
            // SAFETY: `token_size` is the caller's.
            unsafe { token_size.write(len + TOKEN_EXCESS.load(Ordering::Relaxed)) };
            PSA_SUCCESS
        }
        Err(error) => status(Err(error)),
    }
}
