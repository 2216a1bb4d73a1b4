// SPDX-License-Identifier: Apache-2.0
//! The attributes of keys, and what PSA refuses by them: zephyr/keys.c sets
//! them here as it does on a target.

use std::collections::HashMap;

use devid_core::key::{PublicKey, Signature};
use devid_core::platform::{Attestation, Crypto, Digest, KeyId, Keys};
use devid_psa_sys::{
    IAK_KEY_ID, PSA_ERROR_INVALID_ARGUMENT, PSA_ERROR_INVALID_HANDLE, PSA_ERROR_INVALID_SIGNATURE,
    PSA_ERROR_NOT_PERMITTED, PSA_ERROR_NOT_SUPPORTED, PSA_SUCCESS, psa_algorithm_t,
    psa_key_attributes_t, psa_key_id_t, psa_status_t,
};
use p256::SecretKey;
use p256::elliptic_curve::sec1::ToSec1Point;

use crate::{World, bytes, hand_out, status};

/// First id of volatile keys, where PSA implementations choose them.
const VOLATILE: u32 = 0x4000_0000;

const ECC_KEY_PAIR: u16 = 0x7112;
const ECC_PUBLIC_KEY: u16 = 0x4112;
const PERSISTENT: u32 = 1;
const USAGE_EXPORT: u32 = 0x1;
const USAGE_SIGN_HASH: u32 = 0x1000;
const USAGE_VERIFY_HASH: u32 = 0x2000;
const ECDSA: u32 = 0x0600_0600;
const HASH: u32 = 0xff;
const ANY_HASH: u32 = 0xff;

/// As include/psa/crypto.h lays them out.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Attributes {
    kind: u16,
    bits: u16,
    lifetime: u32,
    id: u32,
    usage: u32,
    alg: u32,
}

const _: () = assert!(size_of::<Attributes>() <= size_of::<psa_key_attributes_t>());

/// What a key was made with, and its material where that is not the simulator's.
struct Key {
    attributes: Attributes,
    material: Material,
}

enum Material {
    /// A key of the simulated device's own.
    Persistent,
    Volatile(SecretKey),
    Public(PublicKey),
}

/// All keys that PSA knows.
#[derive(Default)]
pub(crate) struct KeyStore {
    keys: HashMap<psa_key_id_t, Key>,
    volatile: u32,
}

impl KeyStore {
    fn add(&mut self, attributes: Attributes, material: Material) -> psa_key_id_t {
        let id = match material {
            Material::Persistent => attributes.id,
            _ => {
                self.volatile += 1;
                VOLATILE + self.volatile
            }
        };
        self.keys.insert(id, Key { attributes, material });
        id
    }

    /// A key's material, where its attributes permit that use by that algorithm.
    fn permitted(
        &self,
        id: psa_key_id_t,
        usage: u32,
        alg: psa_algorithm_t,
    ) -> Result<&Material, psa_status_t> {
        match self.keys.get(&id) {
            None => Err(PSA_ERROR_INVALID_HANDLE),
            Some(key) if key.attributes.permit(usage, alg) => Ok(&key.material),
            Some(_) => Err(PSA_ERROR_NOT_PERMITTED),
        }
    }
}

impl Attributes {
    /// # Safety
    ///
    /// `attributes` must be readable, and what the macros of
    /// include/psa/crypto.h made of zeroes.
    unsafe fn read(attributes: *const psa_key_attributes_t) -> Self {
        // SAFETY: by this function's contract; the assertion above has the size.
        unsafe { attributes.cast::<Self>().read() }
    }

    /// Whether a use is allowed, and by that algorithm: the key's own, or one of
    /// its family where it leaves the hash open (Crypto API, 9.7 and 10.7).
    fn permit(&self, usage: u32, alg: psa_algorithm_t) -> bool {
        let leaves_hash_open = self.alg == ECDSA | ANY_HASH && alg & !HASH == ECDSA;
        let by_algorithm = usage == USAGE_EXPORT
            || alg & HASH != ANY_HASH && (self.alg == alg || leaves_hash_open);
        self.usage & usage != 0 && by_algorithm
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn psa_generate_key(
    attributes: *const psa_key_attributes_t,
    key: *mut psa_key_id_t,
) -> psa_status_t {
    // SAFETY: `attributes` is the caller's, set by C code.
    let attributes = unsafe { Attributes::read(attributes) };
    if attributes.kind != ECC_KEY_PAIR || attributes.bits != 256 {
        return PSA_ERROR_NOT_SUPPORTED;
    }
    let mut world = World::enter();
    let material = if attributes.lifetime == PERSISTENT {
        if let Err(error) = world.sim.generate(KeyId(attributes.id)) {
            return status(Err(error));
        }
        Material::Persistent
    } else {
        // Nothing hangs on such a key: any scalar will do.
        match SecretKey::from_slice(&[0x44; 32]) {
            Ok(key) => Material::Volatile(key),
            Err(_) => return PSA_ERROR_NOT_SUPPORTED,
        }
    };
    let id = world.keys.add(attributes, material);
    // SAFETY: `key` is the caller's.
    unsafe { key.write(id) };
    PSA_SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn psa_import_key(
    attributes: *const psa_key_attributes_t,
    data: *const u8,
    data_length: usize,
    key: *mut psa_key_id_t,
) -> psa_status_t {
    // SAFETY: `attributes` is the caller's, set by C code.
    let attributes = unsafe { Attributes::read(attributes) };
    // SAFETY: `data` is the caller's, as told.
    let point = unsafe { bytes(data, data_length) };
    let is_for_points = attributes.kind == ECC_PUBLIC_KEY && attributes.lifetime != PERSISTENT;
    if !is_for_points || !matches!(attributes.bits, 0 | 256) {
        return PSA_ERROR_NOT_SUPPORTED;
    }
    if p256::PublicKey::from_sec1_bytes(point).is_err() {
        return PSA_ERROR_INVALID_ARGUMENT;
    }
    let Ok(public_key) = PublicKey::from_point(point) else { return PSA_ERROR_INVALID_ARGUMENT };
    let id = World::enter().keys.add(attributes, Material::Public(public_key));
    // SAFETY: `key` is the caller's.
    unsafe { key.write(id) };
    PSA_SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn psa_destroy_key(key: psa_key_id_t) -> psa_status_t {
    let mut world = World::enter();
    let destroyed = match world.keys.keys.get(&key) {
        None => return PSA_ERROR_INVALID_HANDLE,
        Some(Key { material: Material::Persistent, .. }) => world.sim.destroy(KeyId(key)),
        Some(_) => Ok(()),
    };
    if destroyed.is_ok() {
        world.keys.keys.remove(&key);
    }
    status(destroyed)
}

/// Hands out a private key where its attributes let it go.
///
/// # Safety
///
/// `data` must be writable for `data_size` bytes, and `data_length`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn psa_export_key(
    key: psa_key_id_t,
    data: *mut u8,
    data_size: usize,
    data_length: *mut usize,
) -> psa_status_t {
    let world = World::enter();
    match world.keys.permitted(key, USAGE_EXPORT, 0) {
        Err(refused) => refused,
        Ok(Material::Volatile(key)) => {
            // SAFETY: by this function's contract.
            unsafe { hand_out(&key.to_bytes(), data, data_size, data_length) }
        }
        // The simulator has no way out for a key of a device.
        Ok(_) => PSA_ERROR_NOT_SUPPORTED,
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn psa_export_public_key(
    key: psa_key_id_t,
    data: *mut u8,
    data_size: usize,
    data_length: *mut usize,
) -> psa_status_t {
    let world = &mut *World::enter();
    // The public half needs no permission (Crypto API, 9.4).
    let public_key = match world.keys.keys.get(&key).map(|key| &key.material) {
        Some(Material::Volatile(key)) => {
            PublicKey::from_point(key.public_key().to_sec1_point(false).as_bytes()).map(Some)
        }
        Some(Material::Public(key)) => Ok(Some(*key)),
        Some(Material::Persistent) => world.sim.public_key(KeyId(key)),
        None if key == IAK_KEY_ID as u32 => world.sim.iak_public_key().map(Some),
        None => Ok(None),
    };
    match public_key {
        // SAFETY: `data` and `data_length` are the caller's, as told.
        Ok(Some(key)) => unsafe { hand_out(key.point(), data, data_size, data_length) },
        Ok(None) => PSA_ERROR_INVALID_HANDLE,
        Err(error) => status(Err(error)),
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn psa_sign_hash(
    key: psa_key_id_t,
    alg: psa_algorithm_t,
    hash: *const u8,
    hash_length: usize,
    signature: *mut u8,
    signature_size: usize,
    signature_length: *mut usize,
) -> psa_status_t {
    // SAFETY: `hash` is the caller's, as told.
    let digest = Digest::try_from(unsafe { bytes(hash, hash_length) });
    let world = &mut *World::enter();
    let made = match world.keys.permitted(key, USAGE_SIGN_HASH, alg) {
        Err(refused) => return refused,
        Ok(Material::Persistent) => digest.map(|digest| world.sim.sign(KeyId(key), &digest)),
        Ok(_) => return PSA_ERROR_NOT_SUPPORTED,
    };
    match made {
        // SAFETY: the signature's buffer and length are the caller's, as told.
        Ok(Ok(made)) => unsafe { hand_out(&made, signature, signature_size, signature_length) },
        Ok(Err(error)) => status(Err(error)),
        Err(_) => PSA_ERROR_INVALID_ARGUMENT,
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn psa_verify_hash(
    key: psa_key_id_t,
    alg: psa_algorithm_t,
    hash: *const u8,
    hash_length: usize,
    signature: *const u8,
    signature_length: usize,
) -> psa_status_t {
    // SAFETY: `hash` is the caller's, as told.
    let digest = Digest::try_from(unsafe { bytes(hash, hash_length) });
    // SAFETY: `signature` is the caller's, as told.
    let signature = Signature::try_from(unsafe { bytes(signature, signature_length) });
    let world = &mut *World::enter();
    let verified = match (world.keys.permitted(key, USAGE_VERIFY_HASH, alg), digest, signature) {
        (Err(refused), ..) => return refused,
        (Ok(Material::Public(key)), Ok(digest), Ok(signature)) => {
            world.sim.verify(key, &digest, &signature)
        }
        _ => return PSA_ERROR_INVALID_ARGUMENT,
    };
    match verified {
        Ok(true) => PSA_SUCCESS,
        Ok(false) => PSA_ERROR_INVALID_SIGNATURE,
        Err(error) => status(Err(error)),
    }
}
