// SPDX-License-Identifier: Apache-2.0
//! Compiles the contract's C cases, as Twister does for the target, and the
//! attributes of devid's keys, as zephyr/ does.

use std::path::Path;

fn main() {
    let root = Path::new("../..");
    let contract = root.join("tests/contract/src");
    let (include, zephyr) = (root.join("include"), root.join("zephyr"));
    let port = root.join("crates/psa-sys");
    for path in [&contract, &include, &zephyr.join("keys.c"), &port.join("port.h")] {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    println!("cargo::rerun-if-changed=include");
    cc::Build::new()
        .std("c11")
        .warnings_into_errors(true)
        .extra_warnings(true)
        .include(include)
        .files(["cases.c", "cases_life.c", "command.c", "issuer.c"].map(|file| contract.join(file)))
        .compile("devid-contract");
    cc::Build::new()
        .std("c11")
        .warnings_into_errors(true)
        .extra_warnings(true)
        .include("include")
        .include(port)
        .file(zephyr.join("keys.c"))
        .compile("devid-keys");
}
