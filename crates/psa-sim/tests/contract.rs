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
    // As tests/contract/src/main.c prints it on a target.
    println!("contract: {} of {} cases hold", cases.len() - broken.len(), cases.len());
    let written = include_str!("../../../tests/contract/src/cases.inc");
    assert_eq!(cases.len(), written.matches("\nCASE(").count(), "the table is not linked whole");
    assert!(broken.is_empty(), "broken: {broken:?}");
}

#[test]
fn calls_from_within_are_refused() {
    let nested = devid::with(|_| Ok(devid::with(|_| Ok(()))));
    assert_eq!(nested, Ok(Err(devid::Error::NotSupported)));
}
