// SPDX-License-Identifier: Apache-2.0
//! Power fails at every operation of every change, and once more while the
//! device recovers: the old state stands or the new one.

mod common;

use common::*;
use devid_core::Error;
use devid_core::csr::Subject;
use devid_core::device::{Device, SlotState};
use devid_core::layout::{Layout, STANDARD};
use devid_core::platform::{AssetId, Storage};
use devid_sim::ca::ThrowAwayCa;
use devid_sim::{Config, Fault, FaultPlan, POWERED_OFF, Sim};

type Sims<'a> = Device<'a, Sim>;

/// What the `set` that is cut leaves, besides nothing and everything: pieces of
/// the header, the header alone, and pieces of the value.
const TEARS: [usize; 8] = [0, 1, 19, 20, 51, 52, 53, 511];

/// One change and what may be found after it was cut.
struct Case<'c> {
    config: Config,
    layout: Layout<'static>,
    prepare: &'c dyn Fn(&mut Sims<'_>),
    change: &'c dyn Fn(&mut Sims<'_>) -> Result<(), Error>,
    /// Fails unless the device is in the old state or the new one; told
    /// whether the change reported success.
    check: &'c dyn Fn(&mut Sims<'_>, bool, &str),
}

impl Case<'_> {
    /// Cuts at every operation and returns how many cuts there were.
    fn run(&self) -> u32 {
        let tears = TEARS.map(|kept| Fault::Torn { kept });
        let mut cuts = 0;
        for fault in [Fault::CutBefore, Fault::CutAfter].into_iter().chain(tears) {
            for operation in 1.. {
                if !self.cut(operation, fault, 0, &mut cuts) {
                    assert!(operation > 1, "the change does something");
                    break;
                }
                for again in 1.. {
                    if !self.cut(operation, fault, again, &mut cuts) {
                        break;
                    }
                }
            }
        }
        cuts
    }

    /// Cuts at one operation of the change and, unless `again` is 0, at that of
    /// the recovery. Tells whether the (second) cut took place.
    fn cut(&self, operation: u32, fault: Fault, again: u32, cuts: &mut u32) -> bool {
        let when = format!("{fault:?} at operation {operation}, then at {again} of the recovery");
        let mut device = open(Sim::in_memory(self.config), self.layout).unwrap();
        (self.prepare)(&mut device);
        device.platform().arm(FaultPlan { operation, fault });
        let changed = (self.change)(&mut device);
        let mut happened = !device.platform().is_powered();
        if !happened {
            assert_eq!(changed, Ok(()), "without a cut the change succeeds");
        }
        let mut sim = device.close();
        sim.reboot();
        if again > 0 {
            sim.arm(FaultPlan { operation: again, fault: Fault::CutAfter });
            let (back, opened) = reopen(sim, self.layout);
            sim = back;
            happened = !sim.is_powered();
            // What it sweeps is swept again: a cut in there need not show.
            assert!(opened.is_ok() || happened, "{when}: {opened:?}");
            sim.reboot();
        }
        *cuts += u32::from(happened);
        let mut device = open(sim, self.layout).unwrap_or_else(|e| panic!("{when}: {e}"));
        (self.check)(&mut device, changed.is_ok(), &when);
        happened
    }
}

/// Opens a device and keeps the platform, whatever comes of it.
fn reopen(sim: Sim, layout: Layout<'static>) -> (Sim, Result<(), Error>) {
    let scratch = vec![0; devid_core::device::scratch_len(&layout)].leak();
    let mut device = Device::closed(sim, layout, scratch).unwrap();
    let mounted = device.mount();
    (device.close(), mounted)
}

/// Finds the slot's old value or its new one, the other slot's as it was, and a
/// device that can be written.
fn old_or_new<'c>(
    slot: devid_core::layout::SlotId,
    old: Option<&'c [u8]>,
    new: Option<&'c [u8]>,
) -> impl Fn(&mut Sims<'_>, bool, &str) + 'c {
    move |device, succeeded, when| {
        let found = value(device, slot).unwrap_or_else(|e| panic!("{when}: {e}"));
        let found = found.as_deref();
        assert!(found == new || (found == old && !succeeded), "{when}: {found:?}");
        assert_eq!(value(device, SERIAL).unwrap().unwrap(), b"SN-1", "{when}");
        device.write(slot, b"afterwards").unwrap_or_else(|e| panic!("{when}: {e}"));
        assert_eq!(value(device, slot).unwrap().unwrap(), b"afterwards", "{when}");
    }
}

/// A data slot's change, from one value to another.
fn data_change(config: Config, old: Option<&[u8]>, new: Option<&[u8]>) -> u32 {
    let cuts = Case {
        config,
        layout: DATA,
        prepare: &|device| {
            device.write(SERIAL, b"SN-1").unwrap();
            if let Some(old) = old {
                // Twice, so that either bank is the one to write to.
                device.write(LONG, b"before").unwrap();
                device.write(LONG, old).unwrap();
            }
        },
        change: &|device| match new {
            Some(new) => device.write(LONG, new),
            None => device.erase(LONG),
        },
        check: &old_or_new(LONG, old, new),
    }
    .run();
    let len = |value: Option<&[u8]>| value.map_or(0, <[u8]>::len);
    println!("{cuts} cuts: {} to {} bytes, assets of {}", len(old), len(new), config.max_asset_len);
    cuts
}

#[test]
fn a_write_leaves_the_old_value_or_the_new() {
    for config in [SEEDED, CHUNKED] {
        for old in [None, Some([1; 300].as_slice()), Some(&[1; 1600])] {
            for new in [[2; 10].as_slice(), &[2; 1600]] {
                assert!(data_change(config, old, Some(new)) >= 10);
            }
        }
    }
}

#[test]
fn an_erase_leaves_the_value_or_nothing() {
    for config in [SEEDED, CHUNKED] {
        for old in [[1; 10].as_slice(), &[1; 1600]] {
            assert!(data_change(config, Some(old), None) >= 10);
        }
    }
}

#[test]
fn a_write_over_a_corrupt_record_leaves_no_value_or_the_new() {
    let cuts = Case {
        config: SEEDED,
        layout: DATA,
        prepare: &|device| {
            device.write(SERIAL, b"SN-1").unwrap();
            device.write(LONG, &[1; 100]).unwrap();
            corrupt_last_asset(device.platform());
            assert_eq!(device.read(LONG), Err(Error::Corrupt));
        },
        change: &|device| device.write(LONG, b"new"),
        check: &|device, succeeded, when| {
            match device.read(LONG) {
                Ok(value) => assert_eq!(value, b"new", "{when}"),
                // Torn before its header was complete, the record is gone: there
                // was no value to keep.
                Err(Error::Corrupt | Error::NotFound) if !succeeded => {}
                Err(error) => panic!("{when}: {error}"),
            }
            assert_eq!(value(device, SERIAL).unwrap().unwrap(), b"SN-1", "{when}");
            device.write(LONG, b"afterwards").unwrap();
        },
    }
    .run();
    assert!(cuts >= 10);
}

/// The last asset that holds a value.
fn last_value(sim: &Sim) -> AssetId {
    let assets = sim.assets().unwrap();
    *assets.iter().rfind(|id| !STATE_COPIES.contains(id)).unwrap()
}

fn corrupt_last_asset(sim: &mut Sim) {
    let id = last_value(sim);
    let mut bytes = [0; 2048];
    let len = sim.get(id, &mut bytes).unwrap().unwrap();
    bytes[len - 1] ^= 1;
    sim.set(id, &bytes[..len]).unwrap();
}

#[test]
fn generate_leaves_no_key_or_a_whole_one() {
    let cuts = Case {
        config: SEEDED,
        layout: STANDARD,
        prepare: &|_| {},
        change: &|device| device.generate(IDEVID).map(drop),
        check: &|device, succeeded, when| {
            match device.public_key(IDEVID) {
                Err(Error::NotFound) if !succeeded => _ = device.generate(IDEVID).unwrap(),
                found => assert!(found.is_ok(), "{when}: {found:?}"),
            }
            device.csr(IDEVID, &Subject::default()).unwrap_or_else(|e| panic!("{when}: {e}"));
        },
    }
    .run();
    assert!(cuts >= 10);
}

#[test]
fn install_leaves_the_old_chain_or_the_new_and_the_key() {
    // The seed makes every device's key the same.
    let mut device = open(Sim::in_memory(SEEDED), STANDARD).unwrap();
    let key = device.generate(IDEVID).unwrap();
    let request = device.csr(IDEVID, &Subject::default()).unwrap();
    let ca = ThrowAwayCa::new(NOW);
    let [old, new] = [0; 2].map(|_| ca.issue(request).unwrap());
    assert_ne!(old, new);

    for before in [None, Some(&old)] {
        let cuts = Case {
            config: SEEDED,
            layout: STANDARD,
            prepare: &|device| {
                device.write(SERIAL, b"SN-1").unwrap();
                device.generate(IDEVID).unwrap();
                if let Some(old) = before {
                    device.install(IDEVID, old, Some(NOW)).unwrap();
                }
            },
            change: &|device| device.install(IDEVID, &new, Some(NOW)).map(drop),
            check: &|device, succeeded, when| {
                let found = value(device, IDEVID).unwrap();
                assert!(found.as_ref() == Some(&new) || (found.as_ref() == before && !succeeded));
                assert_eq!(device.public_key(IDEVID), Ok(key), "{when}");
                assert_eq!(value(device, SERIAL).unwrap().unwrap(), b"SN-1", "{when}");
                device.install(IDEVID, &old, None).unwrap_or_else(|e| panic!("{when}: {e}"));
            },
        }
        .run();
        assert!(cuts >= 10);
    }
}

#[test]
fn erasing_an_identity_leaves_all_of_it_or_nothing() {
    let mut device = open(Sim::in_memory(SEEDED), STANDARD).unwrap();
    let key = device.generate(IDEVID).unwrap();
    let chain = ThrowAwayCa::new(NOW).certify(&key, "device");
    let cuts = Case {
        config: SEEDED,
        layout: STANDARD,
        prepare: &|device| {
            device.write(SERIAL, b"SN-1").unwrap();
            device.generate(IDEVID).unwrap();
            device.install(IDEVID, &chain, Some(NOW)).unwrap();
        },
        change: &|device| device.erase(IDEVID),
        check: &|device, succeeded, when| {
            let found = (device.public_key(IDEVID), value(device, IDEVID).unwrap());
            let whole = found == (Ok(key), Some(chain.clone()));
            let nothing = found == (Err(Error::NotFound), None);
            assert!(nothing || (whole && !succeeded), "{when}");
            assert_eq!(value(device, SERIAL).unwrap().unwrap(), b"SN-1", "{when}");
            if nothing {
                device.generate(IDEVID).unwrap_or_else(|e| panic!("{when}: {e}"));
            }
        },
    }
    .run();
    assert!(cuts >= 10);
}

#[test]
fn an_operation_that_fails_without_a_cut_does_no_harm_either() {
    for config in [SEEDED, CHUNKED] {
        for operation in 1.. {
            let mut device = open(Sim::in_memory(config), DATA).unwrap();
            device.write(SERIAL, b"SN-1").unwrap();
            device.write(LONG, &[1; 1600]).unwrap();
            let fault = Fault::Fail(Error::StorageFull);
            let before = device.platform().counts();
            device.platform().arm(FaultPlan { operation, fault });
            let written = device.write(LONG, &[2; 1500]);
            let made = (device.platform().counts() - before).operations();
            let expected = if written.is_ok() { vec![2; 1500] } else { vec![1; 1600] };
            if made >= operation {
                assert_eq!(value(&mut device, LONG).unwrap().unwrap(), expected);
            }
            // What the failure left behind does not come back.
            let mut sim = device.close();
            sim.reboot();
            let mut device = open(sim, DATA).unwrap();
            assert_eq!(value(&mut device, LONG).unwrap().unwrap(), expected);
            assert_eq!(value(&mut device, SERIAL).unwrap().unwrap(), b"SN-1");
            if made < operation {
                assert!(written.is_ok() && operation > 2);
                break;
            }
        }
    }
}

#[test]
fn a_full_storage_refuses_and_keeps_what_it_has() {
    let mut device = open(Sim::in_memory(Config { max_assets: 3, ..SEEDED }), DATA).unwrap();
    device.write(SERIAL, b"SN-1").unwrap();
    device.write(ENDPOINT, b"coap://a").unwrap();
    assert_eq!(device.write(LONG, b"x"), Err(Error::StorageFull));
    assert_eq!(device.write(ENDPOINT, b"coap://b"), Err(Error::StorageFull));
    assert_eq!(value(&mut device, ENDPOINT).unwrap().unwrap(), b"coap://a");
    assert_eq!(value(&mut device, LONG).unwrap(), None);
    device.erase(SERIAL).unwrap();
    device.write(ENDPOINT, b"coap://b").unwrap();
}

#[test]
fn the_standard_layout_fits_the_default_storage_twice_over_one_slot() {
    let mut device = open(Sim::in_memory(SEEDED), DATA).unwrap();
    for round in 0..3 {
        for slot in [SERIAL, ENDPOINT, LONG] {
            device.write(slot, &[round; 64]).unwrap();
        }
    }
    assert_eq!(device.platform().assets().unwrap().len(), 5, "the old banks are gone");
}

#[test]
fn every_corrupt_byte_is_noticed_and_hides_nothing() {
    let written = [0x55; 40];
    for byte in 0..92 {
        let mut device = open(Sim::in_memory(SEEDED), DATA).unwrap();
        device.write(SERIAL, b"SN-1").unwrap();
        device.write(LONG, &written).unwrap();
        let mut sim = device.close();
        let id = last_value(&sim);
        let mut bytes = [0; 128];
        assert_eq!(sim.get(id, &mut bytes).unwrap(), Some(92));
        bytes[byte] ^= 0x10;
        sim.set(id, &bytes[..92]).unwrap();

        let mut device = open(sim, DATA).unwrap();
        assert_eq!(device.slot(LONG).unwrap().state, SlotState::Corrupt, "byte {byte}");
        assert_eq!(device.read(LONG), Err(Error::Corrupt), "byte {byte}");
        assert_eq!(value(&mut device, SERIAL).unwrap().unwrap(), b"SN-1");
        if byte % 2 == 0 {
            device.write(LONG, b"repaired").unwrap();
            assert_eq!(value(&mut device, LONG).unwrap().unwrap(), b"repaired");
        } else {
            device.erase(LONG).unwrap();
            assert_eq!(value(&mut device, LONG).unwrap(), None);
        }
        assert_eq!(value(&mut device, SERIAL).unwrap().unwrap(), b"SN-1");
    }
}

#[test]
fn the_older_bank_serves_where_the_newer_is_corrupt() {
    let mut device = open(Sim::in_memory(SEEDED), DATA).unwrap();
    device.write(LONG, b"old").unwrap();
    // The new value is complete, the old one not yet removed.
    device.platform().arm(FaultPlan { operation: 2, fault: Fault::CutBefore });
    assert_eq!(device.write(LONG, b"new"), Ok(()), "past the commit");
    let mut sim = device.close();
    sim.reboot();
    assert_eq!(sim.assets().unwrap().len(), 4);
    corrupt_last_asset(&mut sim);
    let mut device = open(sim, DATA).unwrap();
    assert_eq!(value(&mut device, LONG).unwrap().unwrap(), b"old");
}

#[test]
fn a_device_without_power_says_so() {
    let mut device = open(Sim::in_memory(SEEDED), STANDARD).unwrap();
    device.platform().arm(FaultPlan { operation: 1, fault: Fault::CutBefore });
    assert_eq!(device.write(SERIAL, b"x"), Err(POWERED_OFF));
    assert_eq!(device.iak_public_key(), Err(POWERED_OFF));
    assert_eq!(device.token(&[0; 32]), Err(POWERED_OFF));
}
