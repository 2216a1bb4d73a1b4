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
use devid_core::platform::{AssetId, KeyId, Storage};
use devid_sim::ca::ThrowAwayCa;
use devid_sim::{Config, Sim};

/// A copy of `vectors/storage-v1`, opened.
fn first_format() -> (tempfile::TempDir, Device<'static, Sim>) {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/storage-v1");
    let copy = tempfile::tempdir().unwrap();
    for part in ["assets", "keys", "."] {
        fs::create_dir_all(copy.path().join(part)).unwrap();
        for entry in fs::read_dir(vectors.join(part)).unwrap() {
            let entry = entry.unwrap();
            let is_text = entry.path().extension().is_some_and(|extension| extension == "md");
            if entry.file_type().unwrap().is_file()
                && !is_text
                && entry.file_name() != ".gitattributes"
            {
                fs::copy(entry.path(), copy.path().join(part).join(entry.file_name())).unwrap();
            }
        }
    }
    let sim = Sim::open(copy.path(), Config::default()).unwrap();
    (copy, open(sim, STANDARD).unwrap())
}

#[test]
fn every_record_of_the_first_format_is_read() {
    let (_copy, mut device) = first_format();
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
    assert_eq!((device.is_locked(), device.sequence()), (false, 0));

    let key = device.public_key(IDEVID).unwrap();
    let idevid = device.chain(IDEVID).unwrap().to_vec();
    chain::check(device.platform(), &idevid, Some(&key), None).unwrap();
    assert_eq!(device.phase(IDEVID), Ok(Phase::Settled));
    device.csr(IDEVID, &Subject::default()).unwrap();
}

#[test]
fn a_device_of_the_first_format_goes_on_to_rotate_and_lock() {
    let (_copy, mut device) = first_format();
    let old = device.public_key(IDEVID).unwrap();
    let new = device.generate(IDEVID.pending()).unwrap();
    let chain = ThrowAwayCa::new(NOW).certify(&new, "rotated");
    device.install(IDEVID.pending(), &chain, Some(NOW)).unwrap();
    device.activate(IDEVID).unwrap();
    assert_eq!(device.public_key(IDEVID), Ok(new));
    device.rollback(IDEVID).unwrap();
    assert_eq!(device.public_key(IDEVID), Ok(old));
    device.lock().unwrap();
    assert_eq!(device.write(SERIAL, b"SN-0004"), Err(Error::Denied));
    assert_eq!(value(&mut device, SERIAL).unwrap().unwrap(), b"SN-0003");
}

/// Two assets that docs/storage-format.md shows.
const VALUE: AssetId = AssetId(0x2c00_4300);
const STATE: AssetId = AssetId(0x2c00_4f00);

fn documented(asset: AssetId) -> Vec<u8> {
    let document = include_str!("../../../docs/storage-format.md");
    let (_, rest) = document.split_once(&format!("{:#010x}", asset.0)).unwrap();
    let block = rest.split("```").nth(1).unwrap();
    let byte = |digits| u8::from_str_radix(digits, 16).unwrap();
    block.split_whitespace().map(byte).collect()
}

#[test]
fn a_device_reads_the_documented_records() {
    let mut sim = Sim::in_memory(SEEDED);
    for asset in [VALUE, STATE] {
        sim.set(asset, &documented(asset)).unwrap();
    }
    let mut device = open(sim, STANDARD).unwrap();
    assert_eq!(device.read(SERIAL), Ok(b"SN-1".as_slice()));
    assert_eq!((device.is_locked(), device.sequence()), (true, 7));
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
