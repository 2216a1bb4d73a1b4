// SPDX-License-Identifier: Apache-2.0
//! Update commands to a device that knows the anchor: nothing that it did not
//! sign is applied, and what decodes does not cut short.
#![no_main]

use std::cell::RefCell;

use devid_core::device::{Device, scratch_len};
use devid_core::error::{Error, Item};
use devid_core::layout::STANDARD;
use devid_core::update::Command;
use devid_sim::{Config, Sim};
use libfuzzer_sys::fuzz_target;

thread_local! {
    /// Made once: what is refused leaves it as it is.
    static DEVICE: RefCell<Device<'static, Sim>> = RefCell::new({
        let scratch = Box::leak(vec![0; scratch_len(&STANDARD)].into_boxed_slice());
        let sim = Sim::in_memory(Config { seed: Some([7; 32]), ..Config::default() });
        let mut device = Device::open(sim, STANDARD, scratch).unwrap();
        let anchor = device.find("anchor0").unwrap();
        device.write(anchor, include_bytes!("../../vectors/update/anchor.der")).unwrap();
        device
    });
}

fuzz_target!(|input: &[u8]| {
    DEVICE.with_borrow_mut(|device| {
        // No command of the vectors is for this device, and a fuzzer signs none.
        let refused = device.update(input).unwrap_err();
        let is_malformed = matches!(refused, Error::Malformed { item: Item::Update, .. });
        match Command::decode(input) {
            Ok(_) => {
                assert!(!is_malformed);
                assert!(Command::decode(&input[..input.len() - 1]).is_err());
            }
            Err(_) => assert!(is_malformed),
        }
        assert_eq!(device.sequence(), 0);
    });
});
