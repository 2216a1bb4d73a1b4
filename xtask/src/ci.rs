// SPDX-License-Identifier: Apache-2.0
//! The gate: every check, in order, nothing silent.

use std::time::Instant;

use anyhow::{Context, Result};

use crate::tool::{cargo, run};
use crate::twister::Workspace;
use crate::{deny, header, powercut, size, twister};

type Step = (&'static str, fn() -> Result<()>);

const HOST: &[Step] = &[
    ("formatting", || run(&mut cargo(&["fmt", "--all", "--check"]))),
    ("clippy", || {
        run(&mut cargo(&["clippy", "--workspace", "--all-targets", "--", "--deny=warnings"]))
    }),
    ("tests", || run(&mut cargo(&["test", "--workspace"]))),
    ("tests without a C compiler's crypto", || {
        run(&mut cargo(&[
            "test",
            "--package=devid-verifier",
            "--no-default-features",
            "--features=p256",
        ]))
    }),
    ("documentation", || {
        run(cargo(&["doc", "--workspace", "--no-deps", "--quiet"])
            .env("RUSTDOCFLAGS", "--deny=warnings"))
    }),
    ("demo", || run(&mut cargo(&["run", "--release", "--quiet", "--", "demo"]))),
    ("power cuts", powercut::explore),
    ("header is up to date", header::check),
    ("header compiles as C11 and C++17", header::compile),
    ("licences and sources", deny::check),
    ("size and panics on the device", size::report),
];

/// Runs every step; the first failure ends the gate.
pub(crate) fn run_all() -> Result<()> {
    let start = Instant::now();
    for (name, step) in HOST {
        println!("\n=== {name}");
        step().with_context(|| format!("gate: {name}"))?;
    }
    let target = match Workspace::find() {
        Some(workspace) => {
            println!("\n=== Twister in {}", workspace.base().display());
            twister::run_in(&workspace, None).context("gate: Twister")?.to_string()
        }
        None => "TARGET TESTS DID NOT RUN: no Zephyr workspace (ZEPHYR_BASE or ~/zephyrproject)"
            .to_owned(),
    };
    println!("\n=== The gate passed in {} s", start.elapsed().as_secs());
    println!("{target}");
    Ok(())
}
