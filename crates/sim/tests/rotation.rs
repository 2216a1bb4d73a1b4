// SPDX-License-Identifier: Apache-2.0
//! An identity's life: rotation, renewal, lock and reset.

mod common;

use common::*;
use devid_core::csr::Subject;
use devid_core::device::{Device, SlotState};
use devid_core::error::{Error, Refusal};
use devid_core::identity::Phase;
use devid_core::key::PublicKey;
use devid_core::layout::{STANDARD, SlotId};
use devid_core::platform::{Service, Storage};
use devid_core::status::Problem;
use devid_core::time::UnixTime;
use devid_sim::Sim;
use devid_sim::ca::ThrowAwayCa;

type Sims = Device<'static, Sim>;

fn fresh() -> (Sims, ThrowAwayCa) {
    (open(Sim::in_memory(SEEDED), STANDARD).unwrap(), ThrowAwayCa::new(NOW))
}

/// Makes a key in a bank and installs a chain over it, as a factory does.
fn enrol(device: &mut Sims, ca: &ThrowAwayCa, bank: SlotId) -> (PublicKey, Vec<u8>) {
    device.generate(bank).unwrap();
    let chain = ca.issue(device.csr(bank, &Subject::default()).unwrap()).unwrap();
    device.install(bank, &chain, Some(NOW)).unwrap();
    (device.public_key(bank).unwrap(), chain)
}

fn whole(device: &mut Sims, bank: SlotId) -> (PublicKey, Vec<u8>) {
    (device.public_key(bank).unwrap(), device.chain(bank).unwrap().to_vec())
}

fn restart(device: Sims) -> Sims {
    let mut sim = device.close();
    sim.reboot();
    open(sim, STANDARD).unwrap()
}

fn problems(device: &mut Sims, now: Option<UnixTime>) -> Vec<(Problem, Option<SlotId>)> {
    let mut found = Vec::new();
    device.status(now, &mut |finding| found.push((finding.problem, finding.slot))).unwrap();
    found
}

#[test]
fn a_rotation_goes_through_its_phases_and_ends_with_the_new_identity_alone() {
    for slot in [IDEVID, LDEVID] {
        let (mut device, ca) = fresh();
        for round in 0..3 {
            let old = match round {
                0 => enrol(&mut device, &ca, slot),
                _ => whole(&mut device, slot),
            };
            let old_key = device.key_id(slot).unwrap();
            assert_eq!(device.phase(slot), Ok(Phase::Settled));
            let new = enrol(&mut device, &ca, slot.pending());
            assert_ne!(new.0, old.0);
            assert_eq!(device.phase(slot), Ok(Phase::Pending));
            assert_eq!(whole(&mut device, slot), old, "the active one is untouched");

            device.activate(slot).unwrap();
            assert_eq!(device.phase(slot), Ok(Phase::Activated));
            assert_eq!(whole(&mut device, slot), new);
            assert_ne!(device.key_id(slot), Ok(old_key));
            device = restart(device);
            assert_eq!(device.phase(slot), Ok(Phase::Activated), "a start does not confirm");
            assert_eq!(whole(&mut device, slot), new);

            device.confirm(slot).unwrap();
            assert_eq!(device.phase(slot), Ok(Phase::Settled));
            assert_eq!(whole(&mut device, slot), new);
            assert_eq!(device.public_key(slot.pending()), Err(Error::NotFound));
            device = restart(device);
            assert_eq!(whole(&mut device, slot), new);
        }
    }
}

#[test]
fn a_rollback_returns_to_what_was_there() {
    let (mut device, ca) = fresh();
    let old = enrol(&mut device, &ca, LDEVID);
    for activated in [false, true] {
        enrol(&mut device, &ca, LDEVID.pending());
        if activated {
            device.activate(LDEVID).unwrap();
        }
        device.rollback(LDEVID).unwrap();
        assert_eq!(device.phase(LDEVID), Ok(Phase::Settled));
        assert_eq!(whole(&mut device, LDEVID), old);
        device = restart(device);
        assert_eq!(device.phase(LDEVID), Ok(Phase::Settled));
        assert_eq!(whole(&mut device, LDEVID), old);
    }
}

#[test]
fn a_renewal_keeps_the_key_and_can_be_rolled_back() {
    let (mut device, ca) = fresh();
    let (key, old) = enrol(&mut device, &ca, LDEVID);
    let renewed = ca.certify(&key, "renewed");
    for confirmed in [false, true] {
        device.install(LDEVID.pending(), &renewed, Some(NOW)).unwrap();
        assert_eq!(device.phase(LDEVID), Ok(Phase::Pending));
        assert_eq!(device.generate(LDEVID.pending()), Err(Error::Busy));
        device.activate(LDEVID).unwrap();
        device = restart(device);
        assert_eq!(whole(&mut device, LDEVID), (key, renewed.clone()));
        if confirmed {
            device.confirm(LDEVID).unwrap();
        } else {
            device.rollback(LDEVID).unwrap();
        }
        device = restart(device);
        assert_eq!(device.phase(LDEVID), Ok(Phase::Settled));
        let expected = if confirmed { &renewed } else { &old };
        assert_eq!(whole(&mut device, LDEVID), (key, expected.clone()));
    }
    // Key and chain lie in different halves now; the next rotation copes.
    let new = enrol(&mut device, &ca, LDEVID.pending());
    device.activate(LDEVID).unwrap();
    device.confirm(LDEVID).unwrap();
    assert_eq!(whole(&mut device, LDEVID), new);
}

#[test]
fn steps_out_of_order_are_refused_and_change_nothing() {
    let (mut device, ca) = fresh();
    assert_eq!(device.generate(LDEVID.pending()), Err(Error::NotFound), "no key to replace");
    assert_eq!(device.activate(LDEVID), Err(Error::NotFound));
    assert_eq!(device.confirm(LDEVID), Err(Error::NotFound));
    assert_eq!(device.rollback(LDEVID), Err(Error::NotFound));
    let old = enrol(&mut device, &ca, LDEVID);
    assert_eq!(device.activate(LDEVID), Err(Error::NotFound));

    let pending = device.generate(LDEVID.pending()).unwrap();
    assert_eq!(device.activate(LDEVID), Err(Error::NotFound), "no chain yet");
    let other = ca.certify(&old.0, "the active key");
    assert_eq!(
        device.install(LDEVID.pending(), &other, None),
        Err(Error::Refused(Refusal::KeyMismatch))
    );
    assert_eq!(device.install(LDEVID, &other, None), Err(Error::Busy));
    assert_eq!(device.erase(LDEVID), Err(Error::Busy));
    let chain = ca.certify(&pending, "new");
    device.install(LDEVID.pending(), &chain, None).unwrap();
    assert_eq!(device.confirm(LDEVID), Err(Error::NotFound));

    device.activate(LDEVID).unwrap();
    assert_eq!(device.activate(LDEVID), Err(Error::Busy));
    for refused in [
        device.generate(LDEVID.pending()).err(),
        device.install(LDEVID.pending(), &chain, None).err(),
        device.erase(LDEVID.pending()).err(),
        device.erase(LDEVID).err(),
        device.install(LDEVID, &chain, None).err(),
    ] {
        assert_eq!(refused, Some(Error::Busy));
    }
    assert_eq!(whole(&mut device, LDEVID), (pending, chain));
}

#[test]
fn a_pending_bank_is_no_slot_of_another_kind() {
    let (mut device, _) = fresh();
    for slot in [IAK, SERIAL, SlotId(0x7f)] {
        assert_eq!(device.slot(slot.pending()).err(), Some(Error::UnknownSlot));
        assert_eq!(device.read(slot.pending()), Err(Error::UnknownSlot));
    }
    assert_eq!(device.find("ldevid0/pending"), Ok(LDEVID.pending()));
    assert_eq!(device.find("serial/pending"), Err(Error::UnknownSlot));
    assert_eq!(device.slot(LDEVID.pending()).unwrap().state, SlotState::Empty);
}

#[test]
fn a_locked_device_keeps_what_the_factory_wrote() {
    let (mut device, ca) = fresh();
    device.write(SERIAL, b"SN-1").unwrap();
    assert_eq!(device.lock(), Err(Error::NotFound), "there is no factory identity yet");
    let idevid = enrol(&mut device, &ca, IDEVID);
    device.generate(IDEVID.pending()).unwrap();
    assert_eq!(device.lock(), Err(Error::Busy));
    device.rollback(IDEVID).unwrap();
    assert_eq!(device.lock(), Err(Error::Refused(Refusal::NoCommander)), "nor an anchor");
    give_anchor(&mut device);
    assert!(!device.is_locked());
    device.lock().unwrap();
    device.lock().unwrap();

    for start in 0..2 {
        assert!(device.is_locked(), "after {start} starts");
        for refused in [
            device.write(SERIAL, b"SN-2").err(),
            device.erase(SERIAL).err(),
            device.write(IAK, &idevid.1).err(),
            device.erase(IDEVID).err(),
            device.generate(IDEVID.pending()).err(),
            device.install(IDEVID, &idevid.1, None).err(),
            device.install(IDEVID.pending(), &idevid.1, None).err(),
            device.activate(IDEVID).err(),
        ] {
            assert_eq!(refused, Some(Error::Denied));
        }
        device = restart(device);
    }
    assert_eq!(whole(&mut device, IDEVID), idevid);
    assert_eq!(value(&mut device, SERIAL).unwrap().unwrap(), b"SN-1");
    device.write(ENDPOINT, b"coap://a").unwrap();
    enrol(&mut device, &ca, LDEVID);
}

#[test]
fn a_reset_returns_to_the_factory_identity() {
    let (mut device, ca) = fresh();
    let idevid = enrol(&mut device, &ca, IDEVID);
    give_anchor(&mut device);
    device.lock().unwrap();
    for steps in 0..3 {
        enrol(&mut device, &ca, LDEVID);
        if steps > 0 {
            enrol(&mut device, &ca, LDEVID.pending());
        }
        if steps > 1 {
            device.activate(LDEVID).unwrap();
        }
        device.reset().unwrap();
        assert_eq!(device.public_key(LDEVID), Err(Error::NotFound));
        assert_eq!(device.chain(LDEVID), Err(Error::NotFound));
        assert_eq!(device.phase(LDEVID), Ok(Phase::Settled));
        assert_eq!(whole(&mut device, IDEVID), idevid);
        assert!(device.is_locked());
        device = restart(device);
    }
}

#[test]
fn a_device_that_lost_its_state_is_locked_and_works_with_what_it_has() {
    let (mut device, ca) = fresh();
    enrol(&mut device, &ca, IDEVID);
    enrol(&mut device, &ca, LDEVID);
    let new = enrol(&mut device, &ca, LDEVID.pending());
    device.activate(LDEVID).unwrap();
    device.confirm(LDEVID).unwrap();
    let mut sim = device.close();
    for copy in STATE_COPIES {
        sim.set(copy, &[0; 68]).unwrap();
    }

    let mut device = open(sim, STANDARD).unwrap();
    assert!(device.is_locked());
    assert_eq!(whole(&mut device, LDEVID), new, "found by its certificate");
    assert!(problems(&mut device, Some(NOW)).contains(&(Problem::StateCorrupt, None)));
    assert_eq!(device.reset(), Err(Error::Corrupt));
    assert_eq!(device.lock(), Err(Error::Corrupt));
}

#[test]
fn status_lists_what_is_missing_and_nothing_else() {
    let (mut device, ca) = fresh();
    let iak = Some(IAK);
    assert_eq!(
        problems(&mut device, None),
        [
            (Problem::NoKey, Some(IDEVID)),
            (Problem::NoIakChain, iak),
            (Problem::NoAnchor, None),
            (Problem::Unlocked, None),
            (Problem::DevelopmentIak, None),
        ]
    );
    device.generate(IDEVID).unwrap();
    assert_eq!(problems(&mut device, None)[0], (Problem::NoChain, Some(IDEVID)));
    let key = device.public_key(IDEVID).unwrap();
    device.install(IDEVID, &ca.certify(&key, "device"), Some(NOW)).unwrap();
    let chain = ca.certify(&device.iak_public_key().unwrap(), "IAK");
    device.write(IAK, &chain).unwrap();
    give_anchor(&mut device);
    device.lock().unwrap();
    assert_eq!(
        problems(&mut device, None),
        [(Problem::ValidityNotChecked, None), (Problem::DevelopmentIak, None)]
    );
    assert_eq!(problems(&mut device, Some(NOW)), [(Problem::DevelopmentIak, None)]);

    enrol(&mut device, &ca, LDEVID);
    enrol(&mut device, &ca, LDEVID.pending());
    device.activate(LDEVID).unwrap();
    assert_eq!(problems(&mut device, Some(NOW))[0], (Problem::NotConfirmed, Some(LDEVID)));
    device.confirm(LDEVID).unwrap();

    let before = UnixTime(NOW.0 - 100 * 86_400);
    let after = UnixTime(NOW.0 + 100 * 365 * 86_400);
    for (now, problem) in [(before, Problem::NotYetValid), (after, Problem::Expired)] {
        let found = problems(&mut device, Some(now));
        assert_eq!(found[0], (problem, Some(IDEVID)), "{found:?}");
    }
}

#[test]
fn status_tries_for_room_and_leaves_nothing_behind() {
    let (mut device, ca) = fresh();
    enrol(&mut device, &ca, IDEVID);
    let before = device.platform().assets().unwrap();
    assert!(!problems(&mut device, None).contains(&(Problem::StorageHeadroom, None)));
    assert_eq!(device.platform().assets().unwrap(), before);

    let in_ps = before.iter().filter(|asset| asset.service == Service::Ps).count();
    let full = devid_sim::Config { max_assets: in_ps, ..SEEDED };
    let mut device = open(Sim::in_memory(full), STANDARD).unwrap();
    enrol(&mut device, &ca, IDEVID);
    assert!(problems(&mut device, None).contains(&(Problem::StorageHeadroom, None)));
}
