// SPDX-License-Identifier: Apache-2.0
//! Update commands: what they do, and every reason to refuse one. The commands
//! are written here by hand, as `docs/update.cddl` has them.

mod common;

use common::command::*;
use common::*;
use devid_core::chain::Chain;
use devid_core::csr::Subject;
use devid_core::device::{Device, SlotState};
use devid_core::error::{Error, Item, Refusal};
use devid_core::identity::Phase;
use devid_core::layout::{Layout, STANDARD, SlotId};
use devid_core::update::Applied;
use devid_sim::ca::{ThrowAwayAnchor, ThrowAwayCa};
use devid_sim::{Fault, FaultPlan, Sim};

type Sims = Device<'static, Sim>;

const ANCHOR0: SlotId = SlotId(0x20);
const ANCHOR1: SlotId = SlotId(0x21);
const GROUP: &str = "meters";
const LAYOUT: Layout<'static> = Layout { group: GROUP, ..STANDARD };

/// A locked device in the field, with one anchor of two slots.
struct Field {
    device: Sims,
    ca: ThrowAwayCa,
    anchor: ThrowAwayAnchor,
    /// The device's instance id as target.
    me: Vec<u8>,
}

impl Field {
    fn new() -> Self {
        let mut device = open(Sim::in_memory(SEEDED), LAYOUT).unwrap();
        let ca = ThrowAwayCa::new(NOW);
        let anchor = ThrowAwayAnchor::new("anchor", NOW, true);
        enrol(&mut device, &ca, IDEVID);
        device.write(SERIAL, b"SN-1").unwrap();
        device.write(ANCHOR0, anchor.certificate()).unwrap();
        device.set_time(NOW).unwrap();
        device.lock().unwrap();
        let me = bytes(&device.instance_id().unwrap());
        Self { device, ca, anchor, me }
    }

    fn command(&self, sequence: u64, operation: u64) -> Template {
        Template::new(&self.me, sequence, operation)
    }

    /// A command that a device in the field takes.
    fn good(&self, sequence: u64) -> Template {
        self.command(sequence, WRITE).slot(SERIAL).value(b"SN-2")
    }

    fn apply(&mut self, command: &Template) -> Result<Applied, Error> {
        self.device.update(&command.sign(&self.anchor))
    }

    #[track_caller]
    fn refuses(&mut self, command: &[u8], error: Error) {
        let sequence = self.device.sequence();
        assert_eq!(self.device.update(command), Err(error));
        self.is_untouched(sequence);
    }

    /// Nothing changed, the sequence number included, also after a start.
    #[track_caller]
    fn is_untouched(&mut self, sequence: u64) {
        assert_eq!(self.device.sequence(), sequence);
        assert_eq!(value(&mut self.device, SERIAL).unwrap().unwrap(), b"SN-1");
        assert_eq!(value(&mut self.device, ANCHOR0).unwrap().unwrap(), self.anchor.certificate());
    }
}

/// Makes a key in a bank and installs a chain over it.
fn enrol(device: &mut Sims, ca: &ThrowAwayCa, bank: SlotId) -> Vec<u8> {
    device.generate(bank).unwrap();
    let chain = ca.issue(device.csr(bank, &Subject::default()).unwrap()).unwrap();
    device.install(bank, &chain, Some(NOW)).unwrap();
    chain
}

fn restart(device: Sims) -> Sims {
    let mut sim = device.close();
    sim.reboot();
    open(sim, LAYOUT).unwrap()
}

fn refused(refusal: Refusal) -> Error {
    Error::Refused(refusal)
}

#[test]
fn writes_what_the_lock_protects() {
    let mut field = Field::new();
    assert_eq!(field.device.write(SERIAL, b"SN-2"), Err(Error::Denied));
    let applied = field.apply(&field.good(7)).unwrap();
    assert_eq!(applied, Applied { sequence: 7, already: false });
    let mut device = restart(field.device);
    assert_eq!(value(&mut device, SERIAL).unwrap().unwrap(), b"SN-2");
    assert_eq!(device.sequence(), 7);
    assert!(device.is_locked());
}

#[test]
fn takes_commands_for_its_group() {
    let mut field = Field::new();
    let command = Template { target: text(GROUP), ..field.good(1) };
    field.apply(&command).unwrap();
    assert_eq!(value(&mut field.device, SERIAL).unwrap().unwrap(), b"SN-2");
}

#[test]
fn installs_over_the_pending_key_and_activates() {
    let mut field = Field::new();
    let old = field.device.public_key(IDEVID).unwrap();
    let renewed = field.ca.certify(&old, "renewed");
    let renewal = field.command(1, INSTALL).slot(IDEVID).value(&renewed);
    field.apply(&renewal).unwrap();
    assert_eq!(field.device.chain(IDEVID), Ok(&renewed[..]), "no key is pending");

    enrol(&mut field.device, &field.ca, LDEVID);
    let new = field.device.generate(LDEVID.pending()).unwrap();
    let chain = field.ca.certify(&new, "new");
    let install = field.command(2, INSTALL).slot(LDEVID).value(&chain);
    field.apply(&install).unwrap();
    assert_eq!(field.device.chain(LDEVID.pending()), Ok(&chain[..]));
    assert_ne!(field.device.chain(LDEVID), Ok(&chain[..]));
    let activate = field.command(3, ACTIVATE).slot(LDEVID);
    field.apply(&activate).unwrap();
    assert_eq!(field.device.phase(LDEVID), Ok(Phase::Activated));
    assert_eq!(field.device.public_key(LDEVID), Ok(new));
    field.refuses(&field.good(3).sign(&field.anchor), refused(Refusal::Sequence));
}

#[test]
fn resets_to_the_factory_identity() {
    let mut field = Field::new();
    enrol(&mut field.device, &field.ca, LDEVID);
    let idevid = field.device.chain(IDEVID).unwrap().to_vec();
    field.apply(&field.command(1, RESET)).unwrap();
    assert_eq!(field.device.public_key(LDEVID), Err(Error::NotFound));
    assert_eq!(field.device.chain(IDEVID), Ok(&idevid[..]));
    assert_eq!(field.device.sequence(), 1);
    assert!(field.device.is_locked());
}

#[test]
fn an_anchor_hands_over_to_another_and_is_dead_at_once() {
    let mut field = Field::new();
    let next = ThrowAwayAnchor::new("next", NOW, true);
    let unknown = field.good(9).sign(&next);
    field.refuses(&unknown, refused(Refusal::UnknownSigner));

    let add = field.command(1, ADD_ANCHOR).slot(ANCHOR1).value(next.certificate());
    field.apply(&add).unwrap();
    let revoke = field.command(2, REVOKE_ANCHOR).slot(ANCHOR0);
    field.device.update(&revoke.sign(&next)).unwrap();
    let late = field.good(3);
    for _ in 0..2 {
        assert_eq!(field.apply(&late), Err(refused(Refusal::UnknownSigner)));
        field.device = restart(field.device);
    }
    field.device.update(&late.sign(&next)).unwrap();

    // Replacing is revoking too.
    let last = ThrowAwayAnchor::new("last", NOW, true);
    let replace = field.command(4, ADD_ANCHOR).slot(ANCHOR1).value(last.certificate());
    field.device.update(&replace.sign(&next)).unwrap();
    let late = field.good(5);
    let answer = field.device.update(&late.sign(&next));
    assert_eq!(answer, Err(refused(Refusal::UnknownSigner)));
    field.device.update(&late.sign(&last)).unwrap();
}

#[test]
fn a_storage_error_is_not_called_an_unknown_signer() {
    const ERROR: Error = Error::Platform(-146);
    let mut field = Field::new();
    for operation in 1.. {
        let command = field.good(u64::from(operation)).sign(&field.anchor);
        field.device.platform().arm(FaultPlan { operation, fault: Fault::Fail(ERROR) });
        let answer = field.device.update(&command);
        field.device.platform().disarm();
        match answer {
            Ok(_) => break,
            Err(error) => assert_eq!(error, ERROR, "at operation {operation}"),
        }
        // The sender tries again.
        field.device.update(&command).unwrap();
    }
}

#[test]
fn refuses_to_remove_the_last_anchor() {
    let mut field = Field::new();
    let revoke = field.command(1, REVOKE_ANCHOR).slot(ANCHOR0).sign(&field.anchor);
    field.refuses(&revoke, refused(Refusal::LastAnchor));
    let empty = field.command(1, REVOKE_ANCHOR).slot(ANCHOR1).sign(&field.anchor);
    field.refuses(&empty, Error::NotFound);
    let next = ThrowAwayAnchor::new("next", NOW, true);
    field.apply(&field.command(1, ADD_ANCHOR).slot(ANCHOR1).value(next.certificate())).unwrap();
    field.device.update(&revoke_number(&field, 2)).unwrap();
    assert_eq!(field.device.slot(ANCHOR0).unwrap().state, SlotState::Empty);
    let other = field.command(3, REVOKE_ANCHOR).slot(ANCHOR1).sign(&next);
    assert_eq!(field.device.update(&other), Err(refused(Refusal::LastAnchor)));
}

fn revoke_number(field: &Field, sequence: u64) -> Vec<u8> {
    field.command(sequence, REVOKE_ANCHOR).slot(ANCHOR0).sign(&field.anchor)
}

#[test]
fn refuses_a_replay_and_an_older_number() {
    let mut field = Field::new();
    let endpoint = |sequence| field.command(sequence, WRITE).slot(ENDPOINT).value(b"coap://a");
    let (fifth, fourth) = (endpoint(5), endpoint(4));
    field.apply(&fifth).unwrap();
    assert_eq!(field.apply(&fifth), Ok(Applied { sequence: 5, already: true }));
    for command in [fourth, field.good(5), field.good(1)] {
        field.refuses(&command.sign(&field.anchor), refused(Refusal::Sequence));
    }
    field.device = restart(field.device);
    field.refuses(&field.good(5).sign(&field.anchor), refused(Refusal::Sequence));
    field.apply(&field.good(6)).unwrap();
    field.apply(&Template { sequence: i64::MAX as u64, ..field.good(7) }).unwrap();
    assert_eq!(field.apply(&field.good(8)), Err(refused(Refusal::Sequence)));
}

#[test]
fn refuses_what_is_meant_for_others() {
    let mut field = Field::new();
    let mut other = field.device.instance_id().unwrap();
    other[32] ^= 1;
    let targets = [bytes(&other), text("heaters"), text("meter"), text("meters2")];
    for target in targets {
        let command = Template { target, ..field.good(1) };
        field.refuses(&command.sign(&field.anchor), refused(Refusal::Target));
    }
    // A device without a group is in none.
    let mut sim = field.device.close();
    sim.reboot();
    field.device = open(sim, STANDARD).unwrap();
    let command = Template { target: text(GROUP), ..field.good(1) };
    field.refuses(&command.sign(&field.anchor), refused(Refusal::Target));
}

#[test]
fn refuses_an_anchor_that_may_not_sign_commands() {
    let mut field = Field::new();
    let issuer = ThrowAwayAnchor::new("issuer", NOW, false);
    let add = field.command(1, ADD_ANCHOR).slot(ANCHOR1).value(issuer.certificate());
    field.apply(&add).unwrap();
    field.refuses(&field.good(2).sign(&issuer), refused(Refusal::KeyUsage));
}

#[test]
fn refuses_an_expired_command_where_it_knows_the_time() {
    let mut field = Field::new();
    let expired = field.good(1).expiry(NOW.0 - 1);
    field.refuses(&expired.sign(&field.anchor), refused(Refusal::Expired));
    field.device.platform().advance(1);
    let just_expired = field.good(1).expiry(NOW.0).sign(&field.anchor);
    field.refuses(&just_expired, refused(Refusal::Expired));
    field.apply(&field.good(1).expiry(NOW.0 + 1)).unwrap();
}

#[test]
fn refuses_a_command_that_expires_where_nobody_told_the_time() {
    let mut field = Field::new();
    field.device = restart(field.device);
    let command = field.good(1).expiry(NOW.0 + 1);
    field.refuses(&command.sign(&field.anchor), refused(Refusal::NoTime));
    // What it knows is enough to tell that this one has expired.
    let expired = field.good(1).expiry(NOW.0 - 1);
    field.refuses(&expired.sign(&field.anchor), refused(Refusal::Expired));
    field.device.set_time(NOW).unwrap();
    field.apply(&command).unwrap();
}

#[test]
fn refuses_an_anchor_outside_its_validity_where_it_knows_the_time() {
    let mut field = Field::new();
    let command = field.good(1).sign(&field.anchor);
    field.device.platform().advance(31 * 86_400);
    field.refuses(&command, refused(Refusal::Expired));
    // Without a time, a certificate is not known to have expired.
    field.device = restart(field.device);
    field.device.update(&command).unwrap();
}

#[test]
fn refuses_an_unknown_operation() {
    let mut field = Field::new();
    for operation in [8, 255, i64::MAX as u64] {
        let command = field.command(1, operation);
        field.refuses(&command.sign(&field.anchor), refused(Refusal::Operation));
        let command = Template { operation, ..field.good(1) };
        field.refuses(&command.sign(&field.anchor), refused(Refusal::Operation));
    }
}

#[test]
fn refuses_a_value_over_the_slots_limit() {
    let mut field = Field::new();
    let fitting = field.command(1, WRITE).slot(ENDPOINT).value(&[b'x'; 256]);
    field.apply(&fitting).unwrap();
    let long = field.command(2, WRITE).slot(SERIAL).value(&[b'x'; 65]);
    field.refuses(&long.sign(&field.anchor), Error::TooLarge { limit: 64 });
    let chain = field.device.chain(IDEVID).unwrap().to_vec().repeat(4);
    let long = field.command(2, INSTALL).slot(IDEVID).value(&chain);
    field.refuses(&long.sign(&field.anchor), Error::TooLarge { limit: 1536 });
    let long = field.command(2, ADD_ANCHOR).slot(ANCHOR1).value(&chain);
    field.refuses(&long.sign(&field.anchor), Error::TooLarge { limit: 768 });
}

#[test]
fn refuses_an_operation_on_another_kind_of_slot_or_none() {
    let mut field = Field::new();
    let anchor = field.anchor.certificate().to_vec();
    for (operation, slot, value, error) in [
        (WRITE, ANCHOR0, Some(&anchor[..]), Error::NotSupported),
        (WRITE, IDEVID, Some(b"x"), Error::NotSupported),
        (INSTALL, SERIAL, Some(b"x"), Error::NotSupported),
        (INSTALL, ANCHOR1, Some(&anchor), Error::NotSupported),
        (ADD_ANCHOR, SERIAL, Some(&anchor), Error::NotSupported),
        (REVOKE_ANCHOR, SERIAL, None, Error::NotSupported),
        (ACTIVATE, SERIAL, None, Error::NotSupported),
        (WRITE, SlotId(0x7f), Some(b"x"), Error::UnknownSlot),
        (INSTALL, SlotId(0x7f), Some(b"x"), Error::UnknownSlot),
        (ADD_ANCHOR, SlotId(0x7f), Some(&anchor), Error::UnknownSlot),
        (REVOKE_ANCHOR, SlotId(0x7f), None, Error::UnknownSlot),
        (ACTIVATE, SlotId(0x7f), None, Error::UnknownSlot),
    ] {
        let command = field.command(1, operation).slot(slot);
        let command = Template { value: value.map(<[u8]>::to_vec), ..command };
        field.refuses(&command.sign(&field.anchor), error);
    }
}

#[test]
fn refuses_certificates_that_do_not_belong_there() {
    let mut field = Field::new();
    let stranger = field.ca.certify(&field.device.iak_public_key().unwrap(), "IAK");
    let install = field.command(1, INSTALL).slot(IDEVID).value(&stranger);
    field.refuses(&install.sign(&field.anchor), refused(Refusal::KeyMismatch));
    let leaf = Chain::parse(&stranger).unwrap().get(0).unwrap().to_vec();
    let add = field.command(1, ADD_ANCHOR).slot(ANCHOR1).value(&leaf);
    field.refuses(&add.sign(&field.anchor), refused(Refusal::NotCa));
    let nothing = field.command(1, ACTIVATE).slot(IDEVID);
    field.refuses(&nothing.sign(&field.anchor), Error::NotFound);
}

#[test]
fn refuses_a_command_with_any_bit_flipped() {
    let mut field = Field::new();
    let good = field.good(1).expiry(NOW.0).sign(&field.anchor);
    for bit in 0..good.len() * 8 {
        let mut flipped = good.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(field.device.update(&flipped).is_err(), "bit {bit}");
        field.is_untouched(0);
    }
    field.device.update(&good).unwrap();
}

#[test]
fn refuses_a_command_cut_anywhere_or_followed_by_more() {
    let mut field = Field::new();
    let good = field.good(1).sign(&field.anchor);
    let is_malformed = |answer| matches!(answer, Err(Error::Malformed { item: Item::Update, .. }));
    for end in 0..good.len() {
        assert!(is_malformed(field.device.update(&good[..end])), "cut at {end}");
    }
    assert!(is_malformed(field.device.update(&[&good[..], &[0]].concat())));
    field.is_untouched(0);
}

#[test]
fn refuses_any_other_map() {
    let mut field = Field::new();
    let good = field.good(1).expiry(NOW.0);
    let entries = good.entries();
    let signed = |entries: &[Vec<u8>]| sign(&field.anchor, &good.protected, &map(entries));
    let mut wrong: Vec<Vec<u8>> = Vec::new();
    for missing in 0..5 {
        let mut rest = entries.clone();
        rest.remove(missing);
        wrong.push(signed(&rest));
    }
    for at in 1..entries.len() {
        let mut swapped = entries.clone();
        swapped.swap(at - 1, at);
        wrong.push(signed(&swapped));
        let mut repeated = entries.clone();
        repeated.insert(at, entries[at - 1].clone());
        wrong.push(signed(&repeated));
    }
    wrong.push(signed(&[&entries[..], &[vec![7, 0]]].concat()));
    wrong.push(sign(&field.anchor, &good.protected, &[&map(&entries)[..], &[0]].concat()));
    let with = |at: usize, entry: Vec<u8>| {
        let mut changed = entries.clone();
        changed[at] = entry;
        signed(&changed)
    };
    let group = |name: &str| [&[1], &text(name)[..]].concat();
    wrong.extend([
        with(0, [&[1], &bytes(&[1; 32])[..]].concat()),
        with(0, [&[1], &bytes(&[1; 34])[..]].concat()),
        with(0, group("")),
        with(0, group(&"x".repeat(33))),
        with(0, vec![1, 0]),
        with(1, vec![2, 0]),
        with(1, vec![2, 0x20]),
        with(1, [&[2, 0x1b, 0x80][..], &[0; 7]].concat()),
        with(2, vec![3, 0]),
        with(3, vec![4, 0x18, 0x80]),
        with(3, vec![4, 0x19, 1, 0x30]),
        with(4, vec![5, 0x40]),
        with(4, [&[5], &text("SN-2")[..]].concat()),
        with(4, vec![5, 0x5f, 0x41, b'x', 0xff]),
        with(5, vec![6, 0]),
    ]);
    for (index, command) in wrong.iter().enumerate() {
        let answer = field.device.update(command);
        assert!(
            matches!(answer, Err(Error::Malformed { item: Item::Update, .. })),
            "{index}: {answer:?}"
        );
    }
    field.is_untouched(0);
    field.apply(&good).unwrap();
}

#[test]
fn refuses_what_the_anchor_signed_for_another_purpose() {
    let mut field = Field::new();
    let good = field.good(1);
    let header = |name: &str| encoded(|e| e.map(2)?.u8(1)?.i8(-7)?.u8(3)?.str(name)?.ok());
    let alone = encoded(|e| e.map(1)?.u8(1)?.i8(-7)?.ok());
    let swapped = [&[0xa2], &good.protected[3..], &good.protected[1..3]].concat();
    let es384 =
        encoded(|e| e.map(2)?.u8(1)?.i8(-35)?.u8(3)?.str("application/devid-update+cbor")?.ok());
    for protected in [header("application/cwt"), alone, swapped, es384, vec![]] {
        let command = Template { protected, ..good.clone() }.sign(&field.anchor);
        let answer = field.device.update(&command);
        assert!(matches!(answer, Err(Error::Malformed { item: Item::Update, .. })), "{answer:?}");
    }
    field.is_untouched(0);
}

#[test]
fn a_device_without_an_anchor_takes_no_command() {
    let mut device = open(Sim::in_memory(SEEDED), LAYOUT).unwrap();
    let anchor = ThrowAwayAnchor::new("anchor", NOW, true);
    let target = bytes(&device.instance_id().unwrap());
    let command = Template::new(&target, 1, WRITE).slot(ENDPOINT).value(b"x").sign(&anchor);
    assert_eq!(device.update(&command), Err(refused(Refusal::UnknownSigner)));
    device.write(ANCHOR1, anchor.certificate()).unwrap();
    device.update(&command).unwrap();
}
