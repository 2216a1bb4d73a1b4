// SPDX-License-Identifier: Apache-2.0
//! The Zephyr shell's way in: `zephyr/shell.c` forwards a command's words here.

use core::ffi::{c_char, c_int, c_void};
use core::fmt::{self, Write};

use devid_console::access::Caller;
use devid_console::{Answer, Console, Failure};
use devid_core::Error;
use devid_psa::lock::TakeOnce;
use heapless::Vec;

use super::ptr::text;
use super::status::number;
use crate::limits::RULES;
use crate::{SCRATCH_LEN, STATE};

/// Most words of a command, `devid` left out.
const MAX_WORDS: usize = 8;

/// Longest word, in bytes: longer than a line of Zephyr's shell.
const MAX_WORD_LEN: usize = 1024;

/// Whatever the device returns fits.
static BUFFER: TakeOnce<[u8; SCRATCH_LEN]> = TakeOnce::new([0; SCRATCH_LEN]);

/// Prints `len` bytes of UTF-8 at `text`.
type Print = extern "C" fn(context: *mut c_void, text: *const c_char, len: usize);

/// Runs one command given as its words, `devid` left out. `is_peer` says that
/// it comes from afar.
///
/// Returns 0, or a negative errno after an `error:` line.
///
/// # Safety
///
/// `argv` must point to `argc` C strings that stay until the call returns;
/// `print` must take `context`.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn devid_console_run(
    is_peer: bool,
    argc: usize,
    argv: *const *const c_char,
    print: Print,
    context: *mut c_void,
) -> c_int {
    let mut out = Printer { print, context };
    // SAFETY: as this function's contract says.
    let words = unsafe { words(argc, argv) };
    let caller = if is_peer { Caller::Peer } else { Caller::Console };
    match words.map_err(Failure::Device).and_then(|words| run(caller, &words, &mut out)) {
        Ok(()) => 0,
        Err(failure) => {
            // Where the output is gone there is nobody to tell.
            let _ = writeln!(out, "{failure}");
            -number(failure.errno())
        }
    }
}

/// Prints when the device is free for others again: a terminal that stalls
/// stops nobody else.
fn run(caller: Caller, words: &[&str], out: &mut Printer) -> Result<(), Failure> {
    let (console, answer) = STATE.with(|state| {
        let mut console = match state.console.take() {
            Some(console) => console,
            None => Console::new(RULES, BUFFER.take().ok_or(Failure::Occupied)?),
        };
        let answer = match state.device() {
            Ok(device) => console.run(device, caller, words),
            Err(error) => Err(error.into()),
        };
        Ok::<_, Failure>((console, answer))
    })??;
    let printed = answer.and_then(|answer| print(&console, &answer, out));
    STATE.with(|state| state.console = Some(console))?;
    printed
}

#[inline(never)]
fn print(console: &Console<'_>, answer: &Answer<'_>, out: &mut Printer) -> Result<(), Failure> {
    console.print(answer, out)
}

/// # Safety
///
/// As [`devid_console_run`].
unsafe fn words<'a>(
    argc: usize,
    argv: *const *const c_char,
) -> Result<Vec<&'a str, MAX_WORDS>, Error> {
    let mut words = Vec::new();
    for place in 0..argc {
        // SAFETY: one of the `argc` pointers, by the contract.
        let word = unsafe { *argv.wrapping_add(place) };
        // SAFETY: a C string, by the contract.
        let word = unsafe { text(word, MAX_WORD_LEN) }?.ok_or(Error::InvalidArgument)?;
        words.push(word).map_err(|_| Error::InvalidArgument)?;
    }
    Ok(words)
}

/// The shell as a writer.
struct Printer {
    print: Print,
    context: *mut c_void,
}

impl Write for Printer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        (self.print)(self.context, text.as_ptr().cast(), text.len());
        Ok(())
    }
}
