// SPDX-License-Identifier: Apache-2.0
//! The project's own chores. `cargo xtask ci` is the whole gate.

mod bench_service;
mod bench_verify;
mod ci;
mod deny;
mod header;
mod powercut;
mod size;
mod tool;
mod twister;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own chores", version)]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Runs the whole gate.
    Ci,
    /// Makes include/devid/devid.h from src/capi.
    Header {
        /// Fails where the committed header differs, and writes nothing.
        #[arg(long)]
        check: bool,
    },
    /// Reports flash, RAM and panics of the device's code against the budget.
    Size,
    /// Checks licences and sources of all dependencies against deny.toml.
    Deny,
    /// Runs the Twister suites in the Zephyr workspace found.
    Twister {
        /// Only the test suites below this folder.
        #[arg(long)]
        only: Option<String>,
    },
    /// Cuts the power at every operation of every change of a device, and again
    /// in every recovery, and fails where anything is lost.
    Powercut,
    /// Measures against the targets, and fails where one is missed.
    #[command(subcommand)]
    Bench(Bench),
}

#[derive(Subcommand)]
enum Bench {
    /// The service under load, with registries of three sizes.
    Service {
        /// A minute of load with hostile clients in it instead.
        #[arg(long)]
        mixed: bool,
        /// Prints one JSON object, and judges nothing.
        #[arg(long)]
        json: bool,
    },
    /// Verification against the bare signature check.
    Verify {
        /// Prints one JSON object, and judges nothing.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let result = match Cli::parse().chore {
        Chore::Ci => ci::run_all(),
        Chore::Header { check: true } => header::check(),
        Chore::Header { check: false } => header::write(),
        Chore::Size => size::report(),
        Chore::Deny => deny::check(),
        Chore::Bench(Bench::Service { mixed: true, .. }) => bench_service::run_mixed(),
        Chore::Bench(Bench::Service { mixed: false, json }) => bench_service::run_all(json),
        Chore::Bench(Bench::Verify { json }) => bench_verify::run_all(json),
        Chore::Powercut => powercut::explore(),
        Chore::Twister { only } => twister::run(only.as_deref()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
