// SPDX-License-Identifier: Apache-2.0
//! Makes an identity at first boot and proves what runs here, from Rust.
#![no_std]

use core::fmt;

use devid::Error;
use devid::csr::Subject;
use zephyr::printkln;

/// What the application's own logic would be, in place of printing.
#[unsafe(no_mangle)]
extern "C" fn rust_main() {
    match identity() {
        Ok(()) => {}
        Err(error) => printkln!("IDENTITY: {error}"),
    }
    // A verifier's, fresh for each evidence; without one this proves nothing of today.
    let challenge = [0; 32];
    match devid::with(|device| device.evidence(&challenge).map(|evidence| evidence.len())) {
        Ok(len) => printkln!("EVIDENCE: {len} bytes"),
        Err(Error::NotSupported) => printkln!("EVIDENCE: none, this build has no attestation"),
        Err(error) => printkln!("EVIDENCE: {error}"),
    }
    printkln!("DONE");
}

/// Generates the key where there is none, and prints what a CA needs to certify it.
fn identity() -> Result<(), Error> {
    devid::with(|device| {
        let idevid = device.find("idevid")?;
        match device.generate(idevid) {
            Ok(_) | Err(Error::AlreadyExists) => {}
            Err(error) => return Err(error),
        }
        let subject = Subject { common_name: Some("device"), ..Subject::default() };
        printkln!("CSR: {}", Hex(device.csr(idevid, &subject)?));
        Ok(())
    })
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
