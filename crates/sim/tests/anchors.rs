// SPDX-License-Identifier: Apache-2.0
//! Somebody holds the key of one of a device's two anchors. He commands the
//! device, and that is all: he silences nobody, and once revoked stays away.

mod common;

use common::command::*;
use common::*;
use devid_core::device::Device;
use devid_core::error::{Error, Refusal};
use devid_core::layout::{Layout, Purpose, STANDARD, SlotDef, SlotId};
use devid_core::platform::{AssetId, Service, Storage};
use devid_core::update::Applied;
use devid_sim::Sim;
use devid_sim::ca::{ThrowAwayAnchor, ThrowAwayCa};

type Sims = Device<'static, Sim>;

const ANCHOR0: SlotId = SlotId(0x20);
const ANCHOR1: SlotId = SlotId(0x21);
/// The two places of ANCHOR1's record.
const RECORDS: [AssetId; 2] = [
    AssetId { service: Service::Ps, uid: 0x2c00_4210 },
    AssetId { service: Service::Ps, uid: 0x2c00_4218 },
];

/// A locked device whose second anchor's key was stolen.
struct Fleet {
    device: Sims,
    owner: ThrowAwayAnchor,
    thief: ThrowAwayAnchor,
    /// The device's instance id as target.
    me: Vec<u8>,
}

impl Fleet {
    fn new() -> Self {
        Self::over(STANDARD)
    }

    fn over(layout: Layout<'static>) -> Self {
        let mut device = open(Sim::in_memory(SEEDED), layout).unwrap();
        let key = device.generate(IDEVID).unwrap();
        device.install(IDEVID, &ThrowAwayCa::new(NOW).certify(&key, "device"), None).unwrap();
        let [owner, thief] = ["owner", "thief"].map(|name| ThrowAwayAnchor::new(name, NOW, true));
        device.write(ANCHOR0, owner.certificate()).unwrap();
        device.write(ANCHOR1, thief.certificate()).unwrap();
        device.write(SERIAL, b"SN-1").unwrap();
        device.lock().unwrap();
        let me = bytes(&device.instance_id().unwrap());
        Self { device, owner, thief, me }
    }

    fn serial(&self, sequence: u64) -> Template {
        Template::new(&self.me, sequence, WRITE).slot(SERIAL).value(b"SN-2")
    }

    fn revoke_thief(&mut self, sequence: u64) -> Applied {
        let revoke = Template::new(&self.me, sequence, REVOKE_ANCHOR).slot(ANCHOR1);
        self.device.update(&revoke.sign(&self.owner)).unwrap()
    }
}

fn refused(refusal: Refusal) -> Result<Applied, Error> {
    Err(Error::Refused(refusal))
}

#[test]
fn the_highest_number_silences_nobody_else() {
    let mut fleet = Fleet::new();
    let highest = fleet.serial(i64::MAX as u64).sign(&fleet.thief);
    fleet.device.update(&highest).unwrap();
    assert_eq!(fleet.revoke_thief(1), Applied { sequence: 1, already: false });
    let late = fleet.serial(2).sign(&fleet.thief);
    assert_eq!(fleet.device.update(&late), refused(Refusal::UnknownSigner));
}

#[test]
fn a_revoked_anchor_does_not_command_from_a_record_put_back() {
    let mut fleet = Fleet::new();
    let mut stolen = [None, None];
    for (record, stolen) in RECORDS.iter().zip(&mut stolen) {
        let mut out = vec![0; 2048];
        let len = fleet.device.platform().get(*record, &mut out).unwrap();
        *stolen = len.map(|len| out[..len].to_vec());
    }
    fleet.revoke_thief(1);
    assert!(stolen.iter().any(Option::is_some));
    for (record, stolen) in RECORDS.iter().zip(&stolen) {
        if let Some(stolen) = stolen {
            fleet.device.platform().set(*record, stolen).unwrap();
        }
    }
    let mut device = open(fleet.device.close(), STANDARD).unwrap();
    // The control: the certificate is there again.
    assert_eq!(device.read(ANCHOR1).unwrap(), fleet.thief.certificate());
    let command = Template::new(&fleet.me, 9, WRITE).slot(SERIAL).value(b"x").sign(&fleet.thief);
    assert_eq!(device.update(&command), refused(Refusal::UnknownSigner));
    assert_eq!(value(&mut device, SERIAL).unwrap().unwrap(), b"SN-1");
}

#[test]
fn one_that_comes_back_goes_on_where_it_stood() {
    let mut fleet = Fleet::new();
    let fifth = fleet.serial(5).sign(&fleet.thief);
    fleet.device.update(&fifth).unwrap();
    fleet.revoke_thief(1);
    let add = Template::new(&fleet.me, 2, ADD_ANCHOR).slot(ANCHOR1);
    let add = add.value(fleet.thief.certificate()).sign(&fleet.owner);
    fleet.device.update(&add).unwrap();
    let fourth = fleet.serial(4).sign(&fleet.thief);
    assert_eq!(fleet.device.update(&fourth), refused(Refusal::Sequence));
    let sixth = fleet.serial(6).sign(&fleet.thief);
    fleet.device.update(&sixth).unwrap();
}

/// A peer's nonce is no secret, so he can answer one: for himself alone.
#[test]
fn a_recovery_of_a_sound_device_sets_the_signers_own_number_alone() {
    const RECOVER: u64 = 7;
    let mut fleet = Fleet::new();
    let ninth = fleet.serial(9).sign(&fleet.owner);
    fleet.device.update(&ninth).unwrap();
    let nonce = fleet.device.recovery_nonce().unwrap();
    let mut command = Template::new(&fleet.me, 1, RECOVER);
    command.nonce = Some(nonce.to_vec());
    fleet.device.update(&command.sign(&fleet.thief)).unwrap();
    let eighth = fleet.serial(8).sign(&fleet.owner);
    assert_eq!(fleet.device.update(&eighth), refused(Refusal::Sequence));
    assert!(fleet.device.is_locked());
    // The nonce is used up.
    command.sequence = 2;
    let again = fleet.device.update(&command.sign(&fleet.thief));
    assert_eq!(again, refused(Refusal::Nonce));
}

/// The CA of a broker.
#[test]
fn an_anchor_for_tls_commands_nothing() {
    const SLOTS: [SlotDef<'static>; STANDARD.slots.len()] = {
        let mut slots = [STANDARD.slots[0]; STANDARD.slots.len()];
        let mut at = 0;
        while at < slots.len() {
            slots[at] = STANDARD.slots[at];
            if slots[at].id.0 == ANCHOR1.0 {
                slots[at] = slots[at].purpose(Purpose::Tls);
            }
            at += 1;
        }
        slots
    };
    let mut fleet = Fleet::over(Layout { slots: &SLOTS, ..STANDARD });
    let command = fleet.serial(1).sign(&fleet.thief);
    assert_eq!(fleet.device.update(&command), refused(Refusal::UnknownSigner));
    let command = fleet.serial(1).sign(&fleet.owner);
    fleet.device.update(&command).unwrap();
}
