// SPDX-License-Identifier: Apache-2.0
//! Persistent keys of the PSA Crypto API.

use core::mem::MaybeUninit;

use devid_core::Error;
use devid_core::key::{PublicKey, Signature};
use devid_core::platform::{Digest, KeyId, Keys};
use devid_psa_sys as sys;

use crate::Psa;
use crate::status::{check, exists};

impl Keys for Psa {
    fn generate(&mut self, id: KeyId) -> Result<(), Error> {
        let mut attributes = MaybeUninit::zeroed();
        // SAFETY: all zero is a valid value of the attributes (Crypto API, 9.1).
        unsafe { sys::devid_port_signing_key(attributes.as_mut_ptr(), id.0) };
        let mut key = 0;
        // SAFETY: the attributes were set just now; the callee keeps neither pointer.
        match check(unsafe { sys::psa_generate_key(attributes.as_ptr(), &mut key) }) {
            // Mbed TLS says PSA_ERROR_DATA_INVALID of a key it could not store.
            Err(Error::Corrupt) => Err(Error::StorageFull),
            result => result,
        }
    }

    fn public_key(&mut self, id: KeyId) -> Result<Option<PublicKey>, Error> {
        export(id.0)
    }

    fn sign(&mut self, id: KeyId, digest: &Digest) -> Result<Signature, Error> {
        let mut signature = [0; 64];
        let mut len = 0;
        // SAFETY: both buffers are as long as told, and the callee keeps no pointer.
        check(unsafe {
            sys::psa_sign_hash(
                id.0,
                sys::PSA_ALG_ECDSA_SHA_256 as u32,
                digest.as_ptr(),
                digest.len(),
                signature.as_mut_ptr(),
                signature.len(),
                &mut len,
            )
        })?;
        Ok(signature)
    }

    fn destroy(&mut self, id: KeyId) -> Result<(), Error> {
        // SAFETY: takes no pointer.
        exists(unsafe { sys::psa_destroy_key(id.0) }).map(|_| ())
    }

    fn random(&mut self, out: &mut [u8]) -> Result<(), Error> {
        // SAFETY: `out` takes `out.len()` bytes, and the callee does not keep the pointer.
        check(unsafe { sys::psa_generate_random(out.as_mut_ptr(), out.len()) })
    }
}

/// The public half of a key, or `None` where there is no such key.
pub(crate) fn export(id: u32) -> Result<Option<PublicKey>, Error> {
    let mut point = [0; PublicKey::LEN];
    let mut len = 0;
    // SAFETY: `point` is as long as told, and the callee keeps no pointer.
    let status =
        unsafe { sys::psa_export_public_key(id, point.as_mut_ptr(), point.len(), &mut len) };
    match exists(status)? {
        Some(()) => PublicKey::from_point(point.get(..len).unwrap_or(&[])).map(Some),
        None => Ok(None),
    }
}
