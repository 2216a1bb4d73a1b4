// SPDX-License-Identifier: Apache-2.0
//! Internal Trusted Storage and Protected Storage.

use devid_core::Error;
use devid_core::platform::{AssetId, Service, Storage};
use devid_psa_sys as sys;

use crate::Psa;
use crate::status::{check, exists};

impl Storage for Psa {
    fn max_asset_len(&self) -> usize {
        sys::ASSET_MAX_LEN as usize
    }

    fn get(&mut self, id: AssetId, out: &mut [u8]) -> Result<Option<usize>, Error> {
        let mut len = 0;
        // SAFETY: `out` takes `out.len()` bytes, and the callee keeps neither pointer.
        let status = unsafe {
            sys::devid_port_storage_get(its(id), id.uid, out.as_mut_ptr(), out.len(), &mut len)
        };
        Ok(exists(status)?.map(|()| len.min(out.len())))
    }

    fn set(&mut self, id: AssetId, data: &[u8]) -> Result<(), Error> {
        // SAFETY: `data` holds `data.len()` bytes, and the callee does not keep the pointer.
        check(unsafe { sys::devid_port_storage_set(its(id), id.uid, data.as_ptr(), data.len()) })
    }

    fn remove(&mut self, id: AssetId) -> Result<(), Error> {
        // SAFETY: takes no pointer.
        exists(unsafe { sys::devid_port_storage_remove(its(id), id.uid) }).map(|_| ())
    }
}

fn its(id: AssetId) -> bool {
    id.service == Service::Its
}
