// SPDX-License-Identifier: Apache-2.0
//! Compiles the contract's C cases, as Twister does for the target.

use std::path::Path;

fn main() {
    let root = Path::new("../..");
    let contract = root.join("tests/contract/src");
    for folder in [&contract, &root.join("include")] {
        println!("cargo::rerun-if-changed={}", folder.display());
    }
    cc::Build::new()
        .std("c11")
        .warnings_into_errors(true)
        .extra_warnings(true)
        .include(root.join("include"))
        .files(["cases.c", "cases_life.c", "command.c", "issuer.c"].map(|file| contract.join(file)))
        .compile("devid-contract");
}
