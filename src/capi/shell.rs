// SPDX-License-Identifier: Apache-2.0
//! The Zephyr shell's way in: `zephyr/shell.c` forwards a command's words here.

use core::ffi::{c_char, c_int, c_void};
use core::fmt::{self, Write};

use devid_console::{Console, Failure};
use devid_core::Error;
use devid_psa::lock::TakeOnce;
use heapless::Vec;

use super::ptr::text;
use super::status::number;
use crate::STATE;
use crate::limits::LOAD_LEN;

/// Most words of a command, `devid` left out.
const MAX_WORDS: usize = 8;

/// Longest word, in bytes: longer than a line of Zephyr's shell.
const MAX_WORD_LEN: usize = 1024;

static LOAD: TakeOnce<[u8; LOAD_LEN]> = TakeOnce::new([0; LOAD_LEN]);

/// Prints `len` bytes of UTF-8 at `text`.
type Print = extern "C" fn(context: *mut c_void, text: *const c_char, len: usize);

/// Runs one command given as its words, `devid` left out.
///
/// Returns 0, or a negative errno after an `error:` line.
///
/// # Safety
///
/// `argv` must point to `argc` C strings that stay until the call returns;
/// `print` must take `context`.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn devid_console_run(
    argc: usize,
    argv: *const *const c_char,
    print: Print,
    context: *mut c_void,
) -> c_int {
    let mut out = Printer { print, context };
    // SAFETY: as this function's contract says.
    let words = unsafe { words(argc, argv) };
    match words.map_err(Failure::Device).and_then(|words| run(&words, &mut out)) {
        Ok(()) => 0,
        Err(failure) => {
            // Where the output is gone there is nobody to tell.
            let _ = writeln!(out, "{failure}");
            -number(failure.errno())
        }
    }
}

fn run(words: &[&str], out: &mut Printer) -> Result<(), Failure> {
    STATE.with(|state| {
        let mut console = match state.console.take() {
            Some(console) => console,
            None => Console::new(LOAD.take().ok_or(Error::InvalidArgument)?),
        };
        let result = match state.device() {
            Ok(device) => console.run(device, words, out),
            Err(error) => Err(error.into()),
        };
        state.console = Some(console);
        result
    })?
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
