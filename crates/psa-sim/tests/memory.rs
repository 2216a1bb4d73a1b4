// SPDX-License-Identifier: Apache-2.0
//! A platform whose tokens are longer than devid's memory: -ENOBUFS is about
//! the caller's buffer, and no caller can enlarge this one.

use devid::capi::life::{devid_bound_evidence, devid_id_csr_with_evidence, devid_instance_id};
use devid::capi::{devid_evidence, devid_id_generate, devid_token};
use devid_psa_sys::PSA_ERROR_BUFFER_TOO_SMALL;
use devid_psa_sys::errno::EIO;

#[test]
fn a_token_too_long_for_devid_is_never_a_buffer_too_small() {
    const IDEVID: u8 = 0;
    assert_eq!(devid_id_generate(IDEVID), 0);
    devid_psa_sim::lengthen_tokens(8192);
    let (challenge, mut out, mut len) = ([7; 32], [0; 4096], 7);
    let (ask, size, buf) = (challenge.as_ptr(), out.len(), out.as_mut_ptr());
    // SAFETY: all buffers have the sizes told.
    let token = unsafe { devid_token(ask, 32, buf, size, &mut len) };
    // SAFETY: as above.
    let evidence = unsafe { devid_evidence(ask, 32, buf, size, &mut len) };
    // SAFETY: as above.
    let bound = unsafe { devid_bound_evidence(IDEVID, ask, 32, buf, size, &mut len) };
    // SAFETY: as above; no subject is an empty one.
    let request = unsafe {
        devid_id_csr_with_evidence(IDEVID, std::ptr::null(), ask, 32, buf, size, &mut len)
    };
    // SAFETY: as above.
    let id = unsafe { devid_instance_id(buf, size, &mut len) };
    assert_eq!([token, evidence, bound, request, id], [-EIO; 5]);
    assert_eq!(len, 7, "no size is told where none would do");

    let mut error = devid::capi::devid_error { code: 0, detail: 0 };
    // SAFETY: `error` is writable.
    assert_eq!(unsafe { devid::capi::devid_last_error(&mut error) }, 0);
    assert_eq!(error.detail, PSA_ERROR_BUFFER_TOO_SMALL);
}
