// SPDX-License-Identifier: Apache-2.0
//! The contract of `devid.h` over the simulator: the table that Twister runs.

// The C cases call the C API.
use devid as _;

#[test]
fn the_c_api_keeps_its_contract() {
    let cases = devid_psa_sim::cases();
    let mut broken = Vec::new();
    for case in cases {
        if !case.run() {
            broken.push(case.name());
        }
    }
    println!("contract: {} cases, {} hold", cases.len(), cases.len() - broken.len());
    assert!(cases.len() > 20, "the table is not linked whole");
    assert!(broken.is_empty(), "broken: {broken:?}");
}

#[test]
fn calls_from_within_are_refused() {
    let nested = devid::with(|_| Ok(devid::with(|_| Ok(()))));
    assert_eq!(nested, Ok(Err(devid::Error::NotSupported)));
}
