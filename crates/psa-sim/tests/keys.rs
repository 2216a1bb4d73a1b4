// SPDX-License-Identifier: Apache-2.0
//! The simulated PSA refuses what a key's attributes do not allow.

// The C cases that the library holds call the C API.
use devid as _;
use devid_psa_sim::psa_export_key;
use devid_psa_sys::{
    PSA_ALG_ECDSA_SHA_256, PSA_ERROR_NOT_PERMITTED, PSA_SUCCESS, devid_port_signing_key,
    devid_port_verifying_key, psa_destroy_key, psa_export_public_key, psa_generate_key,
    psa_import_key, psa_key_attributes_t, psa_key_id_t, psa_sign_hash, psa_status_t,
    psa_verify_hash,
};

const ALG: u32 = PSA_ALG_ECDSA_SHA_256 as u32;
const ALG_SHA_384: u32 = ALG + 1;
const ALG_ANY_HASH: u32 = ALG | 0xff;

/// Words of the structure in include/psa/crypto.h.
const LIFETIME_AND_TYPE: usize = 0;
const ID_AND_USAGE: usize = 1;
const ALGORITHM: usize = 2;

fn none() -> psa_key_attributes_t {
    psa_key_attributes_t { opaque: [0; 8] }
}

/// The attributes of an identity's key.
fn signing(id: u32) -> psa_key_attributes_t {
    let mut attributes = none();
    // SAFETY: the attributes are this function's own.
    unsafe { devid_port_signing_key(&mut attributes, id) };
    attributes
}

fn generate(attributes: &psa_key_attributes_t) -> psa_key_id_t {
    let mut key = 0;
    // SAFETY: both pointers are to values of the right type.
    assert_eq!(unsafe { psa_generate_key(attributes, &mut key) }, PSA_SUCCESS);
    key
}

fn export(key: psa_key_id_t) -> psa_status_t {
    let (mut scalar, mut len) = ([0; 32], 0);
    // SAFETY: the buffer has the size told.
    unsafe { psa_export_key(key, scalar.as_mut_ptr(), scalar.len(), &mut len) }
}

fn sign(key: psa_key_id_t, alg: u32) -> psa_status_t {
    let (digest, mut signature, mut len) = ([7; 32], [0; 64], 0);
    // SAFETY: the buffers have the sizes told.
    unsafe { psa_sign_hash(key, alg, digest.as_ptr(), 32, signature.as_mut_ptr(), 64, &mut len) }
}

#[test]
fn refuses_to_export_an_identitys_private_key() {
    let key = generate(&signing(0x3000_4f00));
    assert_eq!(export(key), PSA_ERROR_NOT_PERMITTED);
    // SAFETY: takes no pointer.
    assert_eq!(unsafe { psa_destroy_key(key) }, PSA_SUCCESS);
}

/// The control: the attributes are what keeps a key inside.
#[test]
fn a_key_made_to_be_exported_is() {
    let mut attributes = signing(0);
    attributes.opaque[LIFETIME_AND_TYPE] &= 0xffff_ffff;
    attributes.opaque[ID_AND_USAGE] |= 1 << 32;
    assert_eq!(export(generate(&attributes)), PSA_SUCCESS);
}

#[test]
fn refuses_another_use_than_the_attributes_name() {
    let key = generate(&signing(0x3000_4f01));
    let signature = [1; 64];
    // SAFETY: the buffers have the sizes told.
    let verified =
        unsafe { psa_verify_hash(key, ALG, [7; 32].as_ptr(), 32, signature.as_ptr(), 64) };
    assert_eq!(verified, PSA_ERROR_NOT_PERMITTED, "a signing key verifies nothing");

    let (mut point, mut len, mut public) = ([0; 65], 0, 0);
    // SAFETY: the buffer has the size told.
    let exported = unsafe { psa_export_public_key(key, point.as_mut_ptr(), 65, &mut len) };
    assert_eq!((exported, len), (PSA_SUCCESS, 65), "a public half is free");
    let mut attributes = none();
    // SAFETY: the attributes are this function's own.
    unsafe { devid_port_verifying_key(&mut attributes) };
    // SAFETY: the buffer has the size told.
    let imported = unsafe { psa_import_key(&attributes, point.as_ptr(), 65, &mut public) };
    assert_eq!(imported, PSA_SUCCESS);
    assert_eq!(sign(public, ALG), PSA_ERROR_NOT_PERMITTED, "a verifying key signs nothing");
    assert_eq!(export(public), PSA_ERROR_NOT_PERMITTED);
}

/// A TLS handshake may negotiate SHA-384.
#[test]
fn an_identitys_key_leaves_the_hash_open() {
    let key = generate(&signing(0x3000_4f04));
    assert_eq!(sign(key, ALG), PSA_SUCCESS);
    assert_ne!(sign(key, ALG_SHA_384), PSA_ERROR_NOT_PERMITTED);
    // SAFETY: takes no pointer.
    assert_eq!(unsafe { psa_destroy_key(key) }, PSA_SUCCESS);
}

#[test]
fn refuses_another_algorithm_than_the_attributes_name() {
    let mut attributes = signing(0x3000_4f02);
    attributes.opaque[ALGORITHM] = ALG.into();
    let one = generate(&attributes);
    assert_eq!(sign(one, ALG), PSA_SUCCESS);
    assert_eq!(sign(one, ALG_SHA_384), PSA_ERROR_NOT_PERMITTED);

    let mut attributes = signing(0x3000_4f03);
    attributes.opaque[ALGORITHM] = ALG_ANY_HASH.into();
    let any = generate(&attributes);
    assert_eq!(sign(any, ALG), PSA_SUCCESS);
    assert_ne!(sign(any, ALG_SHA_384), PSA_ERROR_NOT_PERMITTED);
    assert_eq!(sign(any, ALG_ANY_HASH), PSA_ERROR_NOT_PERMITTED, "a policy is no algorithm");
}
