// SPDX-License-Identifier: Apache-2.0
//! `devid sim`: the shell of a simulated device.

mod smp;

use std::io::{self, BufRead, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use devid_console::Console;
use devid_console::access::{Caller, Rules};
use devid_core::device::{Device, scratch_len};
use devid_core::layout::STANDARD;
use devid_core::token;
use devid_sim::{Config, Sim};
use rustyline::error::ReadlineError;

use crate::Exit;
use crate::input::printable;

/// Open a simulated device's shell
///
/// The commands are those of `devid` in the Zephyr shell; `help` lists them.
/// From a pipe, commands are read one a line; `#` begins a comment. The device
/// is for development: its keys lie in clear, and its tokens are signed by a
/// key that everybody has.
#[derive(clap::Args)]
#[command(after_help = "\
Exit status:
  0  every command succeeded, or the shell was interactive
  1  a command failed; standard error says on which line
  2  wrong usage
  3  the directory cannot hold a simulated device")]
pub(crate) struct Args {
    /// Where the device is kept, made where missing [default: in memory]
    #[arg(long, value_name = "DIRECTORY")]
    dir: Option<PathBuf>,

    /// The generation of its attestation tokens
    #[arg(long, value_enum, default_value_t = Profile::Rfc9783)]
    profile: Profile,

    /// Serve its mcumgr commands over UDP, in place of the shell
    #[arg(long, value_name = "ADDRESS:PORT")]
    smp: Option<SocketAddr>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Profile {
    /// PSA_IOT_PROFILE_1
    #[value(name = "psa-1")]
    Psa1,
    /// http://arm.com/psa/2.0.0
    #[value(name = "psa-2.0.0")]
    Psa2,
    /// tag:psacertified.org,2023:psa#tfm
    #[value(name = "rfc9783")]
    Rfc9783,
}

/// As Kconfig's defaults.
pub(crate) const RULES: Rules = Rules { console: true, peer: false };

/// Runs the shell until its input ends.
pub(crate) fn run(args: &Args) -> io::Result<Exit> {
    let profile = match args.profile {
        Profile::Psa1 => token::Profile::Psa1,
        Profile::Psa2 => token::Profile::Psa2,
        Profile::Rfc9783 => token::Profile::Rfc9783,
    };
    let sim = match open(args.dir.as_deref(), Config { profile, ..Config::default() }) {
        Ok(sim) => sim,
        Err(error) => {
            eprintln!("devid: {}", printable(&error));
            return Ok(Exit::Unreadable);
        }
    };
    let mut scratch = vec![0; scratch_len(&STANDARD)];
    let mut device = match Device::open(sim, STANDARD, &mut scratch) {
        Ok(device) => device,
        Err(error) => {
            eprintln!("devid: the device does not start: {error}");
            return Ok(Exit::Failure);
        }
    };
    if let Some(address) = args.smp {
        return smp::serve(&mut device, address);
    }
    let mut buffer = vec![0; scratch_len(&STANDARD)];
    let shell = Shell { device, console: Console::new(RULES, &mut buffer) };
    if io::stdin().is_terminal() { shell.interactive(args.dir.as_deref()) } else { shell.script() }
}

fn open(dir: Option<&Path>, config: Config) -> Result<Sim, String> {
    match dir {
        Some(dir) => Sim::open(dir, config).map_err(|error| error.to_string()),
        None => Ok(Sim::in_memory(config)),
    }
}

struct Shell<'s> {
    device: Device<'s, Sim>,
    console: Console<'s>,
}

impl Shell<'_> {
    /// Reads lines with editing and history. The history is not kept: lines can
    /// hold secrets.
    fn interactive(mut self, dir: Option<&Path>) -> io::Result<Exit> {
        let place = dir.map_or_else(
            || "in memory, gone at the end".to_owned(),
            |dir| format!("in {}", printable(&dir.to_string_lossy())),
        );
        eprintln!("A simulated device for development, {place}. 'help' lists the commands.");
        let mut editor = rustyline::DefaultEditor::new().map_err(io::Error::other)?;
        loop {
            let line = match editor.readline("devid> ") {
                Ok(line) => line,
                Err(ReadlineError::Interrupted) => continue,
                Err(ReadlineError::Eof) => return Ok(Exit::Success),
                Err(error) => return Err(io::Error::other(error)),
            };
            if matches!(line.trim(), "exit" | "quit") {
                return Ok(Exit::Success);
            }
            editor.add_history_entry(&line).map_err(io::Error::other)?;
            if let Err(error) = self.line(&line)? {
                eprintln!("{error}");
            }
        }
    }

    /// Runs every line, whatever becomes of the others, as the device's own
    /// shell does.
    fn script(mut self) -> io::Result<Exit> {
        let mut exit = Exit::Success;
        for (number, line) in io::stdin().lock().lines().enumerate() {
            if let Err(error) = self.line(&line?)? {
                eprintln!("line {}: {error}", number + 1);
                exit = Exit::Failure;
            }
        }
        Ok(exit)
    }

    /// Runs one line; what it printed before it failed is printed too.
    fn line(&mut self, line: &str) -> io::Result<Result<(), String>> {
        let Some(words) = shlex::split(line) else {
            return Ok(Err("error: EINVAL: a quote is not closed; close it".to_owned()));
        };
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        // A line copied from the Zephyr shell begins with the root command.
        let words = words.strip_prefix(&["devid"]).unwrap_or(&words);
        if words.is_empty() {
            return Ok(Ok(()));
        }
        let mut out = String::new();
        let answer = self.console.run(&mut self.device, Caller::Console, words);
        let result = answer.and_then(|answer| self.console.print(&answer, &mut out));
        let mut stdout = io::stdout().lock();
        stdout.write_all(out.as_bytes())?;
        stdout.flush()?;
        Ok(result.map_err(|failure| failure.to_string()))
    }
}
