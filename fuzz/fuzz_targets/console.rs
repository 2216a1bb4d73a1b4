// SPDX-License-Identifier: Apache-2.0
//! Lines typed at the shell of a device that has just been made: none may
//! panic, and every refusal is one printable line.
#![no_main]

#[path = "console/quick.rs"]
mod quick;

use devid_console::Console;
use devid_console::access::{Caller, Rules};
use devid_core::device::{Device, scratch_len};
use devid_core::layout::STANDARD;
use libfuzzer_sys::fuzz_target;
use quick::Quick;

/// Commands in one run.
const MAX_LINES: usize = 8;

fuzz_target!(|script: &str| {
    let mut scratch = vec![0; scratch_len(&STANDARD)];
    let mut device = Device::open(Quick::default(), STANDARD, &mut scratch).unwrap();
    let mut buffer = vec![0; scratch_len(&STANDARD)];
    let mut console = Console::new(Rules { console: true, peer: false }, &mut buffer);
    for line in script.lines().take(MAX_LINES) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let mut out = String::new();
        let answer = console.run(&mut device, Caller::Console, &words);
        if let Err(failure) = answer.and_then(|answer| console.print(&answer, &mut out)) {
            assert!(!failure.to_string().contains(char::is_control));
        }
    }
});
