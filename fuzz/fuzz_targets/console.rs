// SPDX-License-Identifier: Apache-2.0
//! Lines typed at the shell of a device that has just been made: none may
//! panic, and every refusal is one printable line.
#![no_main]

use devid_console::Console;
use devid_core::device::{Device, scratch_len};
use devid_core::layout::STANDARD;
use devid_sim::{Config, Sim};
use libfuzzer_sys::fuzz_target;

/// Commands in one run.
const MAX_LINES: usize = 8;

fuzz_target!(|script: &str| {
    let sim = Sim::in_memory(Config { seed: Some([7; 32]), ..Config::default() });
    let mut scratch = vec![0; scratch_len(&STANDARD)];
    let mut device = Device::open(sim, STANDARD, &mut scratch).unwrap();
    let mut buffer = vec![0; STANDARD.max_value_len()];
    let mut console = Console::new(&mut buffer);
    for line in script.lines().take(MAX_LINES) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let mut out = String::new();
        if let Err(failure) = console.run(&mut device, &words, &mut out) {
            assert!(!failure.to_string().contains(char::is_control));
        }
    }
});
