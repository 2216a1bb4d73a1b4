// SPDX-License-Identifier: Apache-2.0
//! SHA-256 and ECDSA verification by the PSA Crypto API.

use core::mem::MaybeUninit;

use devid_core::error::{Error, Item};
use devid_core::key::{PublicKey, Signature};
use devid_core::platform::{Crypto, Digest};
use devid_psa_sys as sys;

use crate::Psa;
use crate::status::check;

impl Crypto for Psa {
    fn sha256(&mut self, parts: &[&[u8]]) -> Result<Digest, Error> {
        let mut hash = Hash::begin()?;
        for part in parts {
            hash.update(part)?;
        }
        hash.finish()
    }

    fn verify(
        &mut self,
        key: &PublicKey,
        digest: &Digest,
        signature: &Signature,
    ) -> Result<bool, Error> {
        let key = Imported::new(key)?;
        // SAFETY: both buffers are as long as told, and the callee keeps no pointer.
        let status = unsafe {
            sys::psa_verify_hash(
                key.0,
                sys::PSA_ALG_ECDSA_SHA_256 as u32,
                digest.as_ptr(),
                digest.len(),
                signature.as_ptr(),
                signature.len(),
            )
        };
        match status {
            sys::PSA_ERROR_INVALID_SIGNATURE => Ok(false),
            status => check(status).map(|()| true),
        }
    }
}

/// A hash under way; given back to PSA when dropped, finished or not.
struct Hash(MaybeUninit<sys::psa_hash_operation_t>);

impl Hash {
    fn begin() -> Result<Self, Error> {
        // All zero is a valid operation, not set up (Crypto API, 10.2).
        let mut hash = Self(MaybeUninit::zeroed());
        // SAFETY: the operation is valid and not set up.
        check(unsafe { sys::psa_hash_setup(hash.0.as_mut_ptr(), sys::PSA_ALG_SHA_256 as u32) })?;
        Ok(hash)
    }

    fn update(&mut self, part: &[u8]) -> Result<(), Error> {
        // SAFETY: the operation is set up, and `part` is as long as told.
        check(unsafe { sys::psa_hash_update(self.0.as_mut_ptr(), part.as_ptr(), part.len()) })
    }

    fn finish(mut self) -> Result<Digest, Error> {
        let mut digest = [0; 32];
        let mut len = 0;
        let out = digest.as_mut_ptr();
        // SAFETY: the operation is set up, and `out` takes 32 bytes.
        check(unsafe { sys::psa_hash_finish(self.0.as_mut_ptr(), out, 32, &mut len) })?;
        Ok(digest)
    }
}

impl Drop for Hash {
    fn drop(&mut self) {
        // SAFETY: the operation is valid; aborting one that ended does nothing.
        unsafe { sys::psa_hash_abort(self.0.as_mut_ptr()) };
    }
}

/// A public key in PSA's volatile memory for as long as this lives.
struct Imported(sys::psa_key_id_t);

impl Imported {
    fn new(key: &PublicKey) -> Result<Self, Error> {
        let mut attributes = MaybeUninit::zeroed();
        // SAFETY: all zero is a valid value of the attributes (Crypto API, 9.1).
        unsafe { sys::devid_port_verifying_key(attributes.as_mut_ptr()) };
        let point = key.point();
        let mut id = 0;
        // SAFETY: the attributes were set just now, and `point` is as long as told.
        let status = unsafe {
            sys::psa_import_key(attributes.as_ptr(), point.as_ptr(), point.len(), &mut id)
        };
        match status {
            // The point does not lie on the curve.
            sys::PSA_ERROR_INVALID_ARGUMENT => {
                Err(Error::Malformed { item: Item::PublicKey, at: 0 })
            }
            status => check(status).map(|()| Self(id)),
        }
    }
}

impl Drop for Imported {
    fn drop(&mut self) {
        // SAFETY: takes no pointer; the key is this value's own.
        unsafe { sys::psa_destroy_key(self.0) };
    }
}
