// SPDX-License-Identifier: Apache-2.0
//! mcumgr's way in: `zephyr/smp.c` forwards a request's payload here.

use core::ffi::c_int;

use devid_console::smp::{Packet, Smp};
use devid_core::Error;
use devid_psa::lock::TakeOnce;

use super::ptr::{Place, buffer, payload};
use crate::limits::SMP;
use crate::{SCRATCH_LEN, STATE};

/// mcumgr's `MGMT_ERR_EUNKNOWN`.
const EUNKNOWN: c_int = 1;

/// Whatever the device returns fits.
static TRANSFER: TakeOnce<[u8; SCRATCH_LEN]> = TakeOnce::new([0; SCRATCH_LEN]);

/// Answers one request: its response's payload goes to `out`, the length to
/// `out_len`.
///
/// Returns 0, or the code of mcumgr's own that its server is to answer with.
///
/// # Safety
///
/// `request` must be readable for `request_len` bytes and `out` writable for
/// `out_size`, and nobody else's, until the call returns; `out_len` must be
/// writable; none of them may share memory.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn devid_smp_run(
    version: u8,
    write: bool,
    command: u8,
    request: *const u8,
    request_len: usize,
    out: *mut u8,
    out_size: usize,
    out_len: *mut usize,
) -> c_int {
    // SAFETY: as this function's contract says.
    let request = unsafe { payload(request, request_len) };
    // SAFETY: as this function's contract says.
    let out = unsafe { buffer(out, out_size) };
    // SAFETY: as this function's contract says.
    let place = unsafe { Place::new(out_len) };
    let (Ok(payload), Ok(out), Ok(place)) = (request, out, place) else { return EUNKNOWN };
    match run(&Packet { version, write, command, payload }, out) {
        Ok(Ok(len)) => {
            place.put(len);
            0
        }
        Ok(Err(code)) => code.into(),
        Err(_) => EUNKNOWN,
    }
}

fn run(packet: &Packet<'_>, out: &mut [u8]) -> Result<Result<usize, u8>, Error> {
    STATE.with(|state| {
        let mut smp = match state.smp.take() {
            Some(smp) => smp,
            None => Smp::new(SMP, TRANSFER.take().ok_or(Error::InvalidArgument)?),
        };
        let answered = smp.run(state.device(), packet, out);
        state.smp = Some(smp);
        Ok(answered)
    })?
}
