// SPDX-License-Identifier: Apache-2.0
//! Devices in every phase of their lives, and the changes that are tried on them.

use std::cell::Cell;

use devid_core::cose::Envelope;
use devid_core::device::Device;
use devid_core::error::Error;
use devid_core::layout::{Kind, Layout, Policy, STANDARD, SlotDef, SlotId, slot};
use devid_core::time::UnixTime;
use devid_core::token::Profile;
use devid_core::update::PROTECTED;
use devid_sim::ca::{ThrowAwayAnchor, ThrowAwayCa};
use devid_sim::{Config, Sim};
use minicbor::Encoder;
use minicbor::data::Tag;
use p256::ecdsa::Signature;
use p256::ecdsa::signature::Signer;

use crate::run;
use crate::view::View;

pub(crate) const NOW: UnixTime = UnixTime(1_795_000_000);

pub(crate) const IDEVID: SlotId = SlotId(0);
pub(crate) const LDEVID: SlotId = SlotId(1);
pub(crate) const IDENTITIES: [SlotId; 4] = [IDEVID, LDEVID, SlotId(2), SlotId(3)];
pub(crate) const IAK: SlotId = SlotId(0x10);
pub(crate) const ANCHORS: [SlotId; 2] = [SlotId(0x20), SlotId(0x21)];
pub(crate) const SERIAL: SlotId = SlotId(0x30);
pub(crate) const ENDPOINT: SlotId = SlotId(0x31);

pub(crate) const SLOTS: [SlotDef<'static>; 9] = [
    slot(0, "idevid", Kind::Identity, Policy::Factory, false, 1536),
    slot(1, "ldevid0", Kind::Identity, Policy::Operational, false, 1536),
    slot(2, "ldevid1", Kind::Identity, Policy::Operational, false, 1536),
    slot(3, "ldevid2", Kind::Identity, Policy::Operational, false, 1536),
    slot(0x10, "iak", Kind::Chain, Policy::Factory, false, 1536),
    slot(0x20, "anchor0", Kind::Anchor, Policy::Factory, false, 768),
    slot(0x21, "anchor1", Kind::Anchor, Policy::Factory, false, 768),
    slot(0x30, "serial", Kind::Data, Policy::Factory, false, 64),
    slot(0x31, "endpoint", Kind::Data, Policy::Operational, false, 256),
];
pub(crate) const GROUP: &str = "powercut";
pub(crate) const LAYOUT: Layout<'static> = Layout { slots: &SLOTS, group: GROUP, ..STANDARD };

/// Assets of 512 bytes, as TF-M's ITS has: a chain takes two of them.
pub(crate) const CONFIG: Config =
    Config { profile: Profile::Rfc9783, max_asset_len: 512, max_assets: 80, seed: Some(SEED) };

const SEED: [u8; 32] = [7; 32];

pub(crate) type Change<'c> = dyn Fn(&mut Device<'_, Sim>) -> Result<(), Error> + 'c;

/// A change to be cut.
pub(crate) struct Case<'c> {
    pub(crate) name: &'static str,
    /// The device before it.
    pub(crate) from: Sim,
    pub(crate) change: Box<Change<'c>>,
    /// What else than before and after a cut may leave.
    pub(crate) also: Vec<View>,
}

/// Prepares devices and their changes.
pub(crate) struct Factory {
    pub(crate) ca: ThrowAwayCa,
    pub(crate) anchors: [ThrowAwayAnchor; 2],
    /// Four identities, two anchors, values; nothing under way.
    pub(crate) whole: Sim,
}

impl Factory {
    pub(crate) fn new() -> Self {
        let ca = ThrowAwayCa::seeded(NOW, SEED);
        let anchors = ["one", "two"].map(|name| ThrowAwayAnchor::seeded(name, NOW, true, SEED));
        let fresh = Sim::in_memory(CONFIG);
        let whole = prepare(&fresh, |device| {
            for slot in IDENTITIES {
                enrol(device, &ca, slot)?;
            }
            let iak = ca.certify(&device.iak_public_key()?, "IAK");
            device.write(IAK, &iak)?;
            device.write(ANCHORS[0], anchors[0].certificate())?;
            device.write(SERIAL, b"SN-1")?;
            device.write(ENDPOINT, b"coap://a")
        });
        Self { ca, anchors, whole }
    }

    pub(crate) fn cases(&self) -> Vec<Case<'_>> {
        let ca = &self.ca;
        let whole = &self.whole;
        let fresh = Sim::in_memory(CONFIG);
        let keyed = prepare(&fresh, |device| device.generate(LDEVID).map(drop));
        // The seed makes the pending key the same each time.
        let generated = prepare(whole, |device| device.generate(LDEVID.pending()).map(drop));
        let chain = self.chain_over(&generated, LDEVID.pending());
        let pending = prepare(&generated, |d| d.install(LDEVID.pending(), &chain, None).map(drop));
        let activated = prepare(&pending, |device| device.activate(LDEVID));
        let renewal_chain = self.chain_over(whole, LDEVID);
        let renewal =
            prepare(whole, |d| d.install(LDEVID.pending(), &renewal_chain, None).map(drop));
        let renewed = prepare(&renewal, |device| device.activate(LDEVID));
        // Each identity elsewhere in its life, and the device locked.
        let mixed = prepare(whole, |device| {
            device.lock()?;
            enrol(device, ca, LDEVID.pending())?;
            enrol(device, ca, IDENTITIES[2].pending())?;
            device.activate(IDENTITIES[2])?;
            device.generate(IDENTITIES[3].pending()).map(drop)
        });
        let view = |sim: &Sim| View::of(sim).expect("a prepared device is whole");
        let install = |name, from: &Sim, bank: SlotId, also| {
            let chain = self.chain_over(from, bank);
            case(name, from, also, move |device| device.install(bank, &chain, None).map(drop))
        };

        let mut cases = vec![
            case("generate: the first key", &fresh, vec![], |d| d.generate(LDEVID).map(drop)),
            case("generate: a pending key", whole, vec![], |d| {
                d.generate(LDEVID.pending()).map(drop)
            }),
            install("install: the first chain", &keyed, LDEVID, vec![]),
            install("install: another chain", whole, LDEVID, vec![]),
            install("install: a pending chain", &generated, LDEVID.pending(), vec![]),
            install(
                "install: another pending chain",
                &pending,
                LDEVID.pending(),
                vec![view(&generated)],
            ),
            case("install: a renewal", whole, vec![], move |d| {
                d.install(LDEVID.pending(), &renewal_chain, None).map(drop)
            }),
            case("activate: a rotation", &pending, vec![], |d| d.activate(LDEVID)),
            case("activate: a renewal", &renewal, vec![], |d| d.activate(LDEVID)),
            case("confirm: a rotation", &activated, vec![], |d| d.confirm(LDEVID)),
            case("confirm: a renewal", &renewed, vec![], |d| d.confirm(LDEVID)),
            case("rollback: a pending key", &generated, vec![], |d| d.rollback(LDEVID)),
            case("rollback: a pending rotation", &pending, vec![view(&generated)], |d| {
                d.rollback(LDEVID)
            }),
            case("rollback: a pending renewal", &renewal, vec![], |d| d.rollback(LDEVID)),
            case(
                "rollback: an activated rotation",
                &activated,
                vec![view(&pending), view(&generated)],
                |d| d.rollback(LDEVID),
            ),
            case("rollback: an activated renewal", &renewed, vec![view(&renewal)], |d| {
                d.rollback(LDEVID)
            }),
            case("erase: an identity", whole, vec![], |d| d.erase(LDEVID)),
            case("erase: a pending bank", &pending, vec![view(&generated)], |d| {
                d.erase(LDEVID.pending())
            }),
            case("lock", whole, vec![], |d| d.lock()),
            case("reset: all settled", whole, vec![], |d| d.reset()),
            case("reset: each in another phase", &mixed, vec![], |d| d.reset()),
            case("status", whole, vec![], |d| d.status(Some(NOW), &mut |_| {})),
            case("write: a value", whole, vec![], |d| d.write(ENDPOINT, b"coap://b")),
            case("erase: a value", whole, vec![], |d| d.erase(ENDPOINT)),
        ];
        let steps = [&generated, &pending, &activated].map(view).to_vec();
        cases.push(case("a whole rotation", whole, steps, move |d| {
            d.generate(LDEVID.pending())?;
            d.install(LDEVID.pending(), &chain, None)?;
            d.activate(LDEVID)?;
            d.confirm(LDEVID)
        }));
        cases.extend(self.updates(&generated, &pending));
        cases
    }

    /// How a key is replaced without a rotation: an explorer that finds no loss
    /// in this finds none anywhere.
    pub(crate) fn control(&self) -> Case<'_> {
        case("control", &self.whole, vec![], |device| {
            device.erase(LDEVID)?;
            enrol(device, &self.ca, LDEVID)
        })
    }

    fn updates<'c>(&self, generated: &Sim, pending: &Sim) -> Vec<Case<'c>> {
        let locked = prepare(&self.whole, |device| device.lock());
        let second = self.anchors[1].certificate();
        let add = self.command(1, 3, Some(ANCHORS[1]), Some(second));
        let two = prepare(&locked, |device| device.update(&add).map(drop));
        let renewal = self.chain_over(&locked, IDEVID);
        let chain = self.chain_over(generated, LDEVID.pending());
        let replacement = ThrowAwayAnchor::seeded("three", NOW, true, SEED);
        let update = |name, from: &Sim, operation, slot: Option<SlotId>, value: Option<&[u8]>| {
            let command = self.command(2, operation, slot, value);
            let change = move |device: &mut Device<'_, Sim>| device.update(&command).map(drop);
            let mut case = case(name, from, vec![], change);
            // What is no change of state is there before its number is: it may
            // be sent again.
            if operation < 5 {
                let (done, _) = run(from, None, &*case.change);
                let sequence = View::of(from).expect("whole").sequence;
                case.also.push(View { sequence, ..View::of(&done).expect("whole") });
            }
            case
        };
        vec![
            update("update: write", &locked, 1, Some(SERIAL), Some(b"SN-2")),
            update("update: install over the active key", &locked, 2, Some(IDEVID), Some(&renewal)),
            update("update: install over a pending key", generated, 2, Some(LDEVID), Some(&chain)),
            update("update: add an anchor", &locked, 3, Some(ANCHORS[1]), Some(second)),
            update(
                "update: replace the anchor that signs",
                &locked,
                3,
                Some(ANCHORS[0]),
                Some(replacement.certificate()),
            ),
            update("update: revoke an anchor", &two, 4, Some(ANCHORS[1]), None),
            update("update: revoke the anchor that signs", &two, 4, Some(ANCHORS[0]), None),
            update("update: reset", pending, 5, None, None),
            update("update: activate", pending, 6, Some(LDEVID), None),
        ]
    }

    pub(crate) fn chain_over(&self, sim: &Sim, bank: SlotId) -> Vec<u8> {
        let key = Cell::new(None);
        prepare(sim, |device| {
            key.set(Some(device.public_key(bank)?));
            Ok(())
        });
        self.ca.certify(&key.take().expect("there is a key"), "another")
    }

    /// A command of the first anchor, as `docs/update.cddl` has it.
    pub(crate) fn command(
        &self,
        sequence: u64,
        operation: u8,
        slot: Option<SlotId>,
        value: Option<&[u8]>,
    ) -> Vec<u8> {
        let mut payload = Encoder::new(Vec::new());
        let fields = 3 + u64::from(slot.is_some()) + u64::from(value.is_some());
        let mut encode = || {
            payload.map(fields)?.u8(1)?.str(GROUP)?.u8(2)?.u64(sequence)?.u8(3)?.u8(operation)?;
            if let Some(slot) = slot {
                payload.u8(4)?.u8(slot.0)?;
            }
            if let Some(value) = value {
                payload.u8(5)?.bytes(value)?;
            }
            Ok::<_, minicbor::encode::Error<core::convert::Infallible>>(())
        };
        encode().expect("a vector takes it");
        let payload = payload.into_writer();
        let sign1 = |signature: &[u8]| {
            let mut out = Encoder::new(Vec::new());
            out.tag(Tag::new(18))
                .and_then(|out| {
                    out.array(4)?.bytes(PROTECTED)?.map(0)?.bytes(&payload)?.bytes(signature)
                })
                .expect("a vector takes it");
            out.into_writer()
        };
        let unsigned = sign1(&[]);
        let envelope = Envelope::decode(&unsigned).expect("it is well formed");
        let signed = envelope.to_be_signed().parts().concat();
        let signature: Signature = self.anchors[0].signing_key().sign(&signed);
        sign1(&signature.to_bytes())
    }
}

pub(crate) fn case<'c>(
    name: &'static str,
    from: &Sim,
    also: Vec<View>,
    change: impl Fn(&mut Device<'_, Sim>) -> Result<(), Error> + 'c,
) -> Case<'c> {
    let from = from.snapshot().expect("it is in memory");
    Case { name, from, change: Box::new(change), also }
}

/// The device after a change that is not cut.
pub(crate) fn prepare<'c>(
    from: &Sim,
    change: impl Fn(&mut Device<'_, Sim>) -> Result<(), Error> + 'c,
) -> Sim {
    let (sim, result) = run(from, None, &change);
    assert_eq!(result, Ok(()), "a device is prepared");
    sim
}

/// Makes a key in a bank and installs a chain over it.
pub(crate) fn enrol(
    device: &mut Device<'_, Sim>,
    ca: &ThrowAwayCa,
    bank: SlotId,
) -> Result<(), Error> {
    let key = device.generate(bank)?;
    device.install(bank, &ca.certify(&key, "device"), None).map(drop)
}
