// SPDX-License-Identifier: Apache-2.0
//! Packets for the mcumgr commands of a device that has just been made: none may
//! panic, and every response is one whole CBOR map within its buffer.
#![no_main]

use devid_console::access::Rules;
use devid_console::smp::{Config, Packet, Smp};
use devid_core::cbor::Reader;
use devid_core::device::{Device, scratch_len};
use devid_core::layout::STANDARD;
use devid_sim::Sim;
use libfuzzer_sys::fuzz_target;

/// Packets in one run.
const MAX_PACKETS: usize = 8;

/// The packets follow each other: command and direction, room, length, payload.
fn packet(input: &[u8]) -> Option<(Packet<'_>, usize, &[u8])> {
    let (&[command, room, len], rest) = input.split_first_chunk()?;
    let (payload, rest) = rest.split_at_checked(usize::from(len))?;
    let write = command & 0x80 != 0;
    let packet = Packet { version: 1, write, command: command & 0x1f, payload };
    Some((packet, usize::from(room), rest))
}

fuzz_target!(|input: &[u8]| {
    let config = devid_sim::Config { seed: Some([7; 32]), ..Default::default() };
    let mut scratch = vec![0; scratch_len(&STANDARD)];
    let mut device = Device::open(Sim::in_memory(config), STANDARD, &mut scratch).unwrap();
    let mut buffer = vec![0; scratch_len(&STANDARD)];
    let mut smp = Smp::new(Config { group: 64, rules: Rules { console: false, peer: false } }, &mut buffer);
    let mut rest = input;
    for _ in 0..MAX_PACKETS {
        let Some((packet, room, after)) = packet(rest) else { break };
        rest = after;
        let mut out = vec![0xa5; room + 1];
        if let Ok(len) = smp.run(Ok(&mut device), &packet, &mut out[..room]) {
            let mut reader = Reader::new(&out[..len]);
            assert!(reader.skip().is_ok() && reader.finish().is_ok());
        }
        assert_eq!(out[room], 0xa5);
    }
});
