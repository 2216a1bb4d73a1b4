// SPDX-License-Identifier: Apache-2.0
//! Devices to test on.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod command;

use devid_core::Error;
use devid_core::device::{Device, scratch_len};
use devid_core::layout::{Kind, Layout, Policy, STANDARD, SlotDef, SlotId, slot};
use devid_core::platform::{AssetId, Service};
use devid_core::time::UnixTime;
use devid_core::token::Profile;
use devid_sim::ca::{ThrowAwayAnchor, ThrowAwayCa};
use devid_sim::{Config, Sim};

pub(crate) const NOW: UnixTime = UnixTime(1_795_000_000);

/// As [`Config::default`], and the same in every run.
pub(crate) const SEEDED: Config =
    Config { profile: Profile::Rfc9783, max_asset_len: 2048, max_assets: 20, seed: Some([7; 32]) };

/// As TF-M's ITS: a long value takes several assets.
pub(crate) const CHUNKED: Config = Config { max_asset_len: 512, max_assets: 40, ..SEEDED };

pub(crate) const IDEVID: SlotId = SlotId(0x00);
pub(crate) const LDEVID: SlotId = SlotId(0x01);
pub(crate) const IAK: SlotId = SlotId(0x10);
pub(crate) const SERIAL: SlotId = SlotId(0x30);
pub(crate) const ENDPOINT: SlotId = SlotId(0x31);
pub(crate) const LONG: SlotId = SlotId(0x33);

const SLOTS: [SlotDef<'static>; 3] = [
    slot(0x30, "serial", Kind::Data, Policy::Factory, false, 64),
    slot(0x31, "endpoint", Kind::Data, Policy::Operational, false, 256),
    slot(0x33, "long", Kind::Data, Policy::Operational, false, 1600),
];

/// Three data slots, one of them long.
pub(crate) const DATA: Layout<'static> = Layout { slots: &SLOTS, ..STANDARD };

pub(crate) fn open(sim: Sim, layout: Layout<'static>) -> Result<Device<'static, Sim>, Error> {
    // A test's few kilobytes are not worth a lifetime in every signature.
    Device::open(sim, layout, vec![0; scratch_len(&layout)].leak())
}

/// Where the copies of the state are.
pub(crate) const STATE_COPIES: [AssetId; 2] = [
    AssetId { service: Service::Its, uid: 0x2c00_4f20 },
    AssetId { service: Service::Ps, uid: 0x2c00_4f21 },
];

/// Makes a key in a bank and installs a chain over it.
pub(crate) fn enrol(device: &mut Device<'_, Sim>, ca: &ThrowAwayCa, slot: SlotId) {
    let key = device.generate(slot).unwrap();
    device.install(slot, &ca.certify(&key, "device"), Some(NOW)).unwrap();
}

/// Gives a device an anchor that may command it, as a lock needs.
pub(crate) fn give_anchor(device: &mut Device<'_, Sim>) -> ThrowAwayAnchor {
    let anchor = ThrowAwayAnchor::new("anchor", NOW, true);
    device.write(device.find("anchor0").unwrap(), anchor.certificate()).unwrap();
    anchor
}

/// A value of a slot, and `None` where it is empty.
pub(crate) fn value(device: &mut Device<'_, Sim>, slot: SlotId) -> Result<Option<Vec<u8>>, Error> {
    match device.read(slot) {
        Ok(value) => Ok(Some(value.to_vec())),
        Err(Error::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}
