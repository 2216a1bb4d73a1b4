// SPDX-License-Identifier: Apache-2.0
//! What errors do that are no power cuts: storage that does not answer, one
//! broken object, a full service.

mod common;

use common::{
    ENDPOINT, IDEVID, LDEVID, NOW, SEEDED, SERIAL, STATE_COPIES, enrol, give_anchor, open,
};
use devid_core::device::Device;
use devid_core::error::Error;
use devid_core::identity::Phase;
use devid_core::layout::{STANDARD, SlotId};
use devid_core::platform::{AssetId, KeyId, Service, Storage};
use devid_core::status::Problem;
use devid_sim::ca::ThrowAwayCa;
use devid_sim::{Fault, FaultPlan, Object, Sim};

/// Storage does not answer (`PSA_ERROR_STORAGE_FAILURE`).
const DOWN: Error = Error::Platform(-146);

/// A locked device with both identities.
fn locked() -> (Sim, ThrowAwayCa) {
    let ca = ThrowAwayCa::new(NOW);
    let mut device = open(Sim::in_memory(SEEDED), STANDARD).unwrap();
    enrol(&mut device, &ca, IDEVID);
    enrol(&mut device, &ca, LDEVID);
    give_anchor(&mut device);
    device.write(SERIAL, b"SN-1").unwrap();
    device.write(ENDPOINT, b"coap://a").unwrap();
    device.lock().unwrap();
    (device.close(), ca)
}

fn record(slot: SlotId) -> Object {
    let uid = STANDARD.asset_base + u32::from(slot.0) * 16;
    Object::Asset(AssetId { service: Service::Ps, uid })
}

fn key(slot: SlotId, second: bool) -> Object {
    Object::Key(KeyId(STANDARD.key_base + u32::from(slot.0) * 2 + u32::from(second)))
}

fn problems(device: &mut Device<'_, Sim>) -> Vec<Problem> {
    let mut problems = Vec::new();
    device.status(Some(NOW), &mut |finding| problems.push(finding.problem)).unwrap();
    problems
}

#[test]
fn a_state_that_cannot_be_read_now_is_no_lost_one() {
    let (mut sim, ca) = locked();
    let before = sim.fingerprint().unwrap();
    for copy in STATE_COPIES {
        sim.spoil(Object::Asset(copy), DOWN);
    }
    let mut device = open(sim, STANDARD).unwrap();
    assert!(device.is_locked());
    assert_eq!(device.write(ENDPOINT, b"coap://b"), Err(Error::Busy));
    assert_eq!(device.generate(LDEVID.pending()), Err(Error::Busy));
    assert_eq!(device.reset(), Err(Error::Busy));
    assert!(!problems(&mut device).contains(&Problem::StateCorrupt));
    // What works without it goes on.
    assert_eq!(device.read(SERIAL).unwrap(), b"SN-1");
    device.chain(IDEVID).unwrap();

    assert_eq!(device.platform().fingerprint().unwrap(), before, "nothing was changed");
    device.platform().heal();
    device.write(ENDPOINT, b"coap://b").unwrap();
    enrol(&mut device, &ca, LDEVID.pending());
    assert!(device.is_locked());
}

#[test]
fn a_state_known_before_stands_while_storage_is_down() {
    let (sim, _) = locked();
    let mut device = open(sim, STANDARD).unwrap();
    for copy in STATE_COPIES {
        let spare = AssetId { uid: copy.uid + 2, ..copy };
        device.platform().spoil(Object::Asset(copy), DOWN);
        device.platform().spoil(Object::Asset(spare), DOWN);
    }
    assert!(device.reset().is_err());
    assert_eq!(device.reset(), Err(Error::Busy));
    device.public_key(LDEVID).unwrap();
    device.platform().heal();
    device.reset().unwrap();
    assert_eq!(device.public_key(LDEVID), Err(Error::NotFound));
    assert!(device.is_locked());
}

#[test]
fn a_value_is_readable_once_storage_answers_again() {
    let (mut sim, _) = locked();
    sim.spoil(record(ENDPOINT), DOWN);
    let mut device = open(sim, STANDARD).unwrap();
    assert!(device.read(ENDPOINT).is_err());
    assert_eq!(device.read(SERIAL).unwrap(), b"SN-1");
    device.platform().heal();
    assert_eq!(device.read(ENDPOINT).unwrap(), b"coap://a");
}

#[test]
fn evidence_takes_a_chain_that_storage_gives_later() {
    let (sim, ca) = locked();
    let mut device = open(Sim::in_memory(SEEDED), STANDARD).unwrap();
    drop(sim);
    let iak = SlotId(0x10);
    let chain = ca.certify(&device.iak_public_key().unwrap(), "IAK");
    device.write(iak, &chain).unwrap();
    let mut sim = device.close();
    sim.spoil(record(iak), DOWN);
    let mut device = open(sim, STANDARD).unwrap();
    assert!(device.evidence(&[1; 32]).is_err());
    device.platform().heal();
    let evidence = device.evidence(&[1; 32]).unwrap();
    assert!(evidence.windows(256).any(|part| chain.starts_with(part)));
}

/// An identity that is activated and not confirmed.
fn activated() -> Sim {
    let (sim, ca) = locked();
    let mut device = open(sim, STANDARD).unwrap();
    enrol(&mut device, &ca, LDEVID.pending());
    device.activate(LDEVID).unwrap();
    device.close()
}

#[test]
fn no_way_back_to_what_is_broken() {
    for broken in [key(LDEVID, false), record(LDEVID)] {
        let mut sim = activated();
        sim.spoil(broken, Error::Corrupt);
        let mut device = open(sim, STANDARD).unwrap();
        let working = device.public_key(LDEVID).unwrap();
        assert_eq!(device.rollback(LDEVID), Err(Error::Corrupt));
        assert_eq!(device.phase(LDEVID), Ok(Phase::Activated));
        assert_eq!(device.public_key(LDEVID), Ok(working));
        device.confirm(LDEVID).unwrap();
        assert_eq!(device.public_key(LDEVID), Ok(working));
        device.chain(LDEVID).unwrap();
    }
}

#[test]
fn what_is_broken_is_not_confirmed() {
    // The second half's chain is a record of its own.
    for broken in [key(LDEVID, true), record(SlotId(LDEVID.0 | 0x80))] {
        let mut sim = activated();
        sim.spoil(broken, Error::Corrupt);
        let mut device = open(sim, STANDARD).unwrap();
        assert_eq!(device.confirm(LDEVID), Err(Error::Corrupt));
        device.rollback(LDEVID).unwrap();
        device.public_key(LDEVID).unwrap();
        device.chain(LDEVID).unwrap();
    }
}

/// Where the second copy of the state finds no room, the call fails and has no
/// effect: not now, and not after a restart.
#[test]
fn what_is_refused_for_want_of_room_has_no_effect() {
    let (sim, _) = locked();
    let whole = sim.fingerprint().unwrap();
    // A reset begins with the two copies.
    for operation in [1, 2] {
        let mut device = open(sim.snapshot().unwrap(), STANDARD).unwrap();
        device.platform().arm(FaultPlan { operation, fault: Fault::Fail(Error::StorageFull) });
        assert_eq!(device.reset(), Err(Error::StorageFull));
        assert_eq!(device.platform().fingerprint().unwrap(), whole, "copy {operation}");
        device.public_key(LDEVID).unwrap();
    }
}

#[test]
fn a_first_state_without_room_for_its_second_copy_leaves_a_new_device() {
    let mut device = open(Sim::in_memory(SEEDED), STANDARD).unwrap();
    let fresh = device.platform().fingerprint().unwrap();
    device.platform().spoil(Object::Asset(STATE_COPIES[1]), Error::StorageFull);
    assert_eq!(device.write(SERIAL, b"SN-1"), Err(Error::StorageFull));
    assert_eq!(device.platform().fingerprint().unwrap(), fresh);
    device.platform().heal();
    device.write(SERIAL, b"SN-1").unwrap();
}

#[test]
fn a_pending_bank_is_erased_where_storage_is_full() {
    let (sim, ca) = locked();
    let mut device = open(sim, STANDARD).unwrap();
    enrol(&mut device, &ca, LDEVID.pending());
    for copy in STATE_COPIES {
        // The state cannot be read either, but nobody asks.
        device.platform().spoil(Object::Asset(copy), Error::StorageFull);
    }
    device.erase(LDEVID.pending()).unwrap();
    assert_eq!(device.phase(LDEVID), Ok(Phase::Settled));
    assert_eq!(device.public_key(LDEVID.pending()), Err(Error::NotFound));
}

/// The storage trait reaches the spoiled object, too: the tests above try what
/// they say.
#[test]
fn a_spoiled_object_answers_nothing() {
    let (mut sim, _) = locked();
    sim.spoil(Object::Asset(STATE_COPIES[0]), DOWN);
    assert_eq!(sim.get(STATE_COPIES[0], &mut [0; 8]), Err(DOWN));
    assert_eq!(sim.set(STATE_COPIES[0], &[0; 8]), Err(DOWN));
    assert_eq!(sim.get(STATE_COPIES[1], &mut [0; 8]), Ok(Some(8)));
}
