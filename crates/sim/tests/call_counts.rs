// SPDX-License-Identifier: Apache-2.0
//! What each operation costs in PSA calls.

mod common;

use common::command::*;
use common::*;
use devid_core::csr::Subject;
use devid_core::device::Device;
use devid_core::layout::STANDARD;
use devid_sim::ca::ThrowAwayCa;
use devid_sim::{Config, Counts, Sim};

/// Runs an operation and prints what it cost.
fn cost<'a>(
    name: &str,
    device: &mut Device<'a, Sim>,
    operation: impl FnOnce(&mut Device<'a, Sim>),
) -> Counts {
    let before = device.platform().counts();
    operation(device);
    let made = device.platform().counts() - before;
    println!(
        "{name:<40} storage {} (get {} set {} remove {}) keys {} crypto {} attestation {}",
        made.storage(),
        made.gets,
        made.sets,
        made.removes,
        made.keys,
        made.crypto,
        made.attestation
    );
    made
}

#[test]
fn reads_writes_and_evidence_keep_their_budgets() {
    let mut device = open(Sim::in_memory(SEEDED), STANDARD).unwrap();
    cost("start, empty", &mut device, |device| {
        device.mount().unwrap();
    });
    let write = |device: &mut Device<'_, Sim>| device.write(SERIAL, &[1; 64]).unwrap();
    // The first write of all commits the state, in two copies, before the value.
    assert!(cost("first write", &mut device, write).storage() <= 3 + 2);
    assert!(cost("write", &mut device, write).storage() <= 3);
    let read = |device: &mut Device<'_, Sim>| _ = device.read(SERIAL).unwrap();
    assert!(cost("read", &mut device, read).storage() <= 2);

    let generated = cost("generate", &mut device, |device| _ = device.generate(IDEVID).unwrap());
    assert_eq!(generated.storage(), 0);
    let requested = cost("csr", &mut device, |device| {
        device.csr(IDEVID, &Subject::default()).unwrap();
    });
    assert_eq!((requested.storage(), requested.attestation), (0, 0));
    let ca = ThrowAwayCa::new(NOW);
    let chain = ca.certify(&device.public_key(IDEVID).unwrap(), "device");
    let installed = cost("install", &mut device, |device| {
        device.install(IDEVID, &chain, Some(NOW)).unwrap();
    });
    assert!(installed.storage() <= 3);

    let evidence = |device: &mut Device<'_, Sim>| _ = device.evidence(&[1; 32]).unwrap();
    let bare = cost("evidence without a chain", &mut device, evidence);
    assert!(bare.attestation <= 2);
    let chain = ca.certify(&device.iak_public_key().unwrap(), "IAK");
    device.write(IAK, &chain).unwrap();
    let with_chain = cost("evidence with the chain", &mut device, evidence);
    assert!(with_chain.attestation <= 2 && with_chain.storage() <= 2);

    cost("erase", &mut device, |device| device.erase(SERIAL).unwrap());
    cost("erase the identity", &mut device, |device| device.erase(IDEVID).unwrap());
    let mut sim = device.close();
    sim.reboot();
    let mut device = open(sim, STANDARD).unwrap();
    cost("start, one value", &mut device, |device| {
        device.mount().unwrap();
    });
}

#[test]
fn a_rotation_writes_a_chain_and_three_states_and_holds_two_keys_and_two_chains() {
    let mut device = open(Sim::in_memory(SEEDED), STANDARD).unwrap();
    let ca = ThrowAwayCa::new(NOW);
    enrol(&mut device, &ca, LDEVID);
    // Two of them are the copies of the state.
    for _ in 0..3 {
        let before = device.platform().counts();
        enrol(&mut device, &ca, LDEVID.pending());
        assert_eq!(device.platform().assets().unwrap().len(), 4, "two chains");
        device.activate(LDEVID).unwrap();
        assert_eq!(device.platform().assets().unwrap().len(), 4);
        device.confirm(LDEVID).unwrap();
        assert_eq!(device.platform().assets().unwrap().len(), 3, "one chain");
        let made = device.platform().counts() - before;
        println!(
            "a rotation: sets {} removes {} gets {} keys {}",
            made.sets, made.removes, made.gets, made.keys
        );
        // The chain; then the state, three times in two copies: activated,
        // being emptied, done.
        assert_eq!(made.sets, 7);
    }
}

/// What the state in two copies costs changes, against storage calls counted at
/// commit 7b4b546, which had it once.
#[test]
fn changes_cost_at_most_six_calls_more_than_with_one_copy_of_the_state() {
    let mut device = open(Sim::in_memory(SEEDED), STANDARD).unwrap();
    let ca = ThrowAwayCa::new(NOW);
    let judge = |name: &str, before: u64, made: Counts| {
        println!("{name:<40} before {before} after {}", made.storage());
        assert!(u64::from(made.storage()) <= before + 6, "{name}");
    };
    let generate = |device: &mut Device<'_, Sim>| _ = device.generate(IDEVID).unwrap();
    judge("first generate", 0, cost("first generate", &mut device, generate));
    let chain = ca.certify(&device.public_key(IDEVID).unwrap(), "device");
    device.install(IDEVID, &chain, None).unwrap();
    device.write(SERIAL, b"SN-1").unwrap();
    let mut anchor = None;
    for (name, before) in [("write an anchor", 1), ("replace an anchor", 2)] {
        let give = |device: &mut Device<'_, Sim>| anchor = Some(give_anchor(device));
        judge(name, before, cost(name, &mut device, give));
    }
    let anchor = anchor.unwrap();
    device.set_time(NOW).unwrap();
    judge("lock", 2, cost("lock", &mut device, |device| device.lock().unwrap()));
    let me = bytes(&device.instance_id().unwrap());
    let command = Template::new(&me, 1, WRITE).slot(SERIAL).value(b"SN-2").sign(&anchor);
    let update = |device: &mut Device<'_, Sim>| _ = device.update(&command).unwrap();
    judge("update: write", 5, cost("update: write", &mut device, update));
    enrol(&mut device, &ca, LDEVID);
    let rotate = |device: &mut Device<'_, Sim>| {
        enrol(device, &ca, LDEVID.pending());
        device.activate(LDEVID).unwrap();
        device.confirm(LDEVID).unwrap();
    };
    judge("a rotation", 8, cost("a rotation", &mut device, rotate));
}

#[test]
fn each_further_chunk_costs_one_call_more() {
    let config = Config { max_asset_len: 512, max_assets: 40, ..SEEDED };
    for (len, parts) in [(460, 1), (461, 2), (972, 2), (973, 3), (1600, 4)] {
        let mut device = open(Sim::in_memory(config), DATA).unwrap();
        let value = vec![1; len];
        device.write(LONG, &value).unwrap();
        let name = format!("write of {parts} chunks");
        let write = cost(&name, &mut device, |device| device.write(LONG, &value).unwrap());
        assert!(write.storage() <= 3 + (parts - 1), "{len} bytes");
        let name = format!("read of {parts} chunks");
        let read = cost(&name, &mut device, |device| {
            assert_eq!(device.read(LONG).unwrap(), value);
        });
        assert!(read.storage() <= 2 + (parts - 1), "{len} bytes");
    }
}
