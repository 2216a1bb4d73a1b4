// SPDX-License-Identifier: Apache-2.0
//! The program devid.
#![forbid(unsafe_code)]

mod anchors;
mod appraisal;
mod batch;
mod corim;
mod demo;
mod document;
mod ear;
mod input;
#[cfg(feature = "service")]
mod registry;
mod secret;
#[cfg(feature = "service")]
mod serve;
mod sim;
mod token;
mod update;
mod verify;

use std::io;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

/// Device identity that others can check.
#[derive(Parser)]
#[command(version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::Args),
    Sim(sim::Args),
    Verify(Box<verify::Args>),
    #[command(subcommand)]
    Token(token::Command),
    #[command(subcommand)]
    Corim(corim::Command),
    #[command(subcommand)]
    Ear(ear::Command),
    #[command(subcommand)]
    Update(Box<update::Command>),
    #[cfg(feature = "service")]
    Serve(Box<serve::Args>),
    #[cfg(feature = "service")]
    #[command(subcommand)]
    Registry(registry::Command),
}

/// How a command ended. The numbers are documented in each command's help.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
enum Exit {
    #[default]
    Success = 0,
    /// A verdict is fail, or a command could not do what it should.
    Failure = 1,
    /// A file could not be read, or the output not be written.
    Unreadable = 3,
}

/// The exit status of commands that end in verdicts.
const VERDICT_EXIT_STATUS: &str = "\
Exit status:
  0  every verdict is pass
  1  at least one verdict is fail
  2  wrong usage
  3  a file or key could not be read (outranks 1)";

/// Ends the program as clap does where arguments do not go together.
fn wrong_usage(message: &str) -> ! {
    Cli::command().error(ErrorKind::ArgumentConflict, message).exit()
}

fn main() -> ExitCode {
    // clap itself exits with 2 on wrong usage.
    let result = match Cli::parse().command {
        Command::Demo(args) => demo::run(&args),
        Command::Sim(args) => sim::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Token(command) => token::run(&command),
        Command::Corim(command) => corim::run(&command),
        Command::Ear(command) => ear::run(&command),
        Command::Update(command) => update::run(&command),
        #[cfg(feature = "service")]
        Command::Serve(args) => serve::run(&args),
        #[cfg(feature = "service")]
        Command::Registry(command) => registry::run(&command),
    };
    let exit = result.unwrap_or_else(|error| {
        // A reader that has seen enough closes the pipe; there is nobody to tell.
        if error.kind() != io::ErrorKind::BrokenPipe {
            eprintln!("devid: {error}");
        }
        Exit::Unreadable
    });
    ExitCode::from(exit as u8)
}
