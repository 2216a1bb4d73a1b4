// SPDX-License-Identifier: Apache-2.0
//! Storage that the first format wrote is read, whatever came after.

mod common;

use std::fs;
use std::path::Path;

use common::*;
use devid_core::chain;
use devid_core::csr::Subject;
use devid_core::device::{Device, SlotState};
use devid_core::error::Error;
use devid_core::identity::Phase;
use devid_core::layout::STANDARD;
use devid_core::platform::{AssetId, KeyId, Service, Storage};
use devid_core::status::Problem;
use devid_sim::{Config, Sim};

/// A device with the storage in `vectors/storage-v1`, which has no state of the
/// second format.
fn first_format() -> Device<'static, Sim> {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/storage-v1");
    let copy = tempfile::tempdir().unwrap();
    drop(Sim::open(copy.path(), Config::default()).unwrap());
    for (from, to) in [("assets", "ps"), ("keys", "keys")] {
        for entry in fs::read_dir(vectors.join(from)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), copy.path().join(to).join(entry.file_name())).unwrap();
        }
    }
    let sim = Sim::open(copy.path(), Config::default()).unwrap();
    open(sim.snapshot().unwrap(), STANDARD).unwrap()
}

#[test]
fn every_record_of_the_first_format_is_read() {
    let mut device = first_format();
    let anchor = device.find("anchor0").unwrap();
    let secret = device.find("secret").unwrap();
    assert_eq!(value(&mut device, SERIAL).unwrap().unwrap(), b"SN-0003");
    assert_eq!(value(&mut device, ENDPOINT).unwrap().unwrap(), b"coap://verifier.example");
    assert_eq!(value(&mut device, secret).unwrap().unwrap(), [0x00, 0x11, 0x22, 0x33, 0x44]);
    let present = |len, generation| SlotState::Present { len, generation };
    for (slot, state) in [
        (IDEVID, present(778, 2)),
        (IAK, present(798, 1)),
        (anchor, present(425, 1)),
        (SERIAL, present(7, 3)),
    ] {
        assert_eq!(device.slot(slot).unwrap().state, state);
    }

    let key = device.public_key(IDEVID).unwrap();
    let idevid = device.chain(IDEVID).unwrap().to_vec();
    chain::check(device.platform(), &idevid, Some(&key), None).unwrap();
    assert_eq!(device.phase(IDEVID), Ok(Phase::Settled));
    device.csr(IDEVID, &Subject::default()).unwrap();
}

#[test]
fn a_device_of_the_first_format_is_locked_and_keeps_its_identity() {
    let mut device = first_format();
    assert!(device.is_locked());
    let mut problems = Vec::new();
    device.status(None, &mut |finding| problems.push(finding.problem)).unwrap();
    assert!(problems.contains(&Problem::StateCorrupt));
    assert_eq!(device.write(SERIAL, b"SN-0004"), Err(Error::Denied));
    assert_eq!(device.generate(IDEVID.pending()), Err(Error::Denied));
    assert_eq!(device.generate(LDEVID), Err(Error::Corrupt));
    device.csr(IDEVID, &Subject::default()).unwrap();
    device.write(ENDPOINT, b"coap://b").unwrap();
    assert_eq!(value(&mut device, SERIAL).unwrap().unwrap(), b"SN-0003");
}

/// A value that docs/storage-format.md shows, and the first copy of a state.
const VALUE: AssetId = AssetId { service: Service::Ps, uid: 0x2c00_4300 };
const STATE: AssetId = STATE_COPIES[0];

fn documented(asset: AssetId) -> Vec<u8> {
    let document = include_str!("../../../docs/storage-format.md");
    let (_, rest) = document.split_once(&format!("{:#010x}", asset.uid)).unwrap();
    let block = rest.split("```").nth(1).unwrap();
    let byte = |digits| u8::from_str_radix(digits, 16).unwrap();
    block.split_whitespace().map(byte).collect()
}

#[test]
fn a_device_reads_the_documented_value_and_state() {
    let mut sim = Sim::in_memory(SEEDED);
    for asset in [VALUE, STATE] {
        sim.set(asset, &documented(asset)).unwrap();
    }
    let mut device = open(sim, STANDARD).unwrap();
    assert_eq!(device.read(SERIAL), Ok(b"SN-1".as_slice()));
    assert_eq!((device.is_locked(), device.sequence()), (true, 7));
    assert_eq!(device.time_floor(), NOW);
    assert_eq!(device.key_id(IDEVID), Ok(KeyId(STANDARD.key_base + 1)));
}

#[test]
fn a_device_writes_the_documented_record() {
    let mut device = open(Sim::in_memory(SEEDED), STANDARD).unwrap();
    device.write(SERIAL, b"SN-1").unwrap();
    let mut bytes = [0; 64];
    let len = device.close().get(VALUE, &mut bytes).unwrap().unwrap();
    assert_eq!(bytes[..len], documented(VALUE));
}
