// SPDX-License-Identifier: Apache-2.0
//! PSA initial attestation, where the image has it.

use devid_core::Error;
use devid_core::key::PublicKey;
use devid_core::platform::Attestation;
use devid_psa_sys as sys;

use crate::Psa;
use crate::keys;
use crate::status::check;

const NOT_PERMITTED: Error = Error::platform(sys::PSA_ERROR_NOT_PERMITTED);
const INVALID: Error = Error::platform(sys::PSA_ERROR_INVALID_ARGUMENT);

impl Attestation for Psa {
    fn token_len(&mut self, challenge_len: usize) -> Result<usize, Error> {
        let mut len = 0;
        // SAFETY: the callee does not keep the pointer.
        check(unsafe { sys::psa_initial_attest_get_token_size(challenge_len, &mut len) })?;
        Ok(len)
    }

    fn token(&mut self, challenge: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        let mut len = 0;
        // SAFETY: both buffers are as long as told, and the callee keeps no pointer.
        let status = unsafe {
            sys::psa_initial_attest_get_token(
                challenge.as_ptr(),
                challenge.len(),
                out.as_mut_ptr(),
                out.len(),
                &mut len,
            )
        };
        check(status)?;
        Ok(len.min(out.len()))
    }

    fn iak_public_key(&mut self) -> Result<PublicKey, Error> {
        match sys::IAK_KEY_ID {
            0 => Err(Error::NotSupported),
            id => match keys::export(id as u32) {
                // A symmetric IAK has no public half; some ports hide theirs.
                Ok(None) | Err(NOT_PERMITTED | INVALID) => Err(Error::NotSupported),
                Ok(Some(key)) => Ok(key),
                Err(error) => Err(error),
            },
        }
    }
}
