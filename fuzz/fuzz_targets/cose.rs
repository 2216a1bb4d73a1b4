// SPDX-License-Identifier: Apache-2.0
//! Envelopes, and certificate chains put into them: nothing else may change.
#![no_main]

use devid_core::cose::Envelope;
use devid_core::x5chain;
use libfuzzer_sys::fuzz_target;

/// The smallest thing that is like a certificate.
const CHAIN: &[u8] = &[0x30, 3, 1, 2, 3, 0x30, 0];

fuzz_target!(|input: &[u8]| {
    let Ok(envelope) = Envelope::decode(input) else { return };
    let signed = envelope.to_be_signed().parts().concat();
    assert!(envelope.x5chain.into_iter().flatten().count() <= devid_core::limits::MAX_CHAIN_CERTS);

    let mut buffer = [input, CHAIN].concat();
    buffer.resize(buffer.len() + 64, 0);
    let before = buffer.clone();
    match x5chain::insert(&mut buffer, input.len(), CHAIN.len()) {
        Err(_) => assert_eq!(buffer, before),
        Ok(length) => {
            assert_eq!(x5chain::inserted_len(input, CHAIN), Ok(length));
            let with_chain = Envelope::decode(&buffer[..length]).unwrap();
            assert_eq!(with_chain.to_be_signed().parts().concat(), signed);
            assert_eq!(with_chain.signature, envelope.signature);
            assert_eq!(with_chain.kid, envelope.kid);
            assert_eq!(with_chain.x5chain.unwrap().collect::<Vec<_>>().concat(), CHAIN);
        }
    }
});
