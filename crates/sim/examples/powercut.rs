// SPDX-License-Identifier: Apache-2.0
//! Explores what power cuts do to a device: `cargo xtask powercut`.
//!
//! Every change of a device with four identities is cut at every storage and
//! every key operation: before it, after it, and where it writes, inside, with
//! each length of what remains. From every state that this leaves, the recovery
//! at the next start is cut in the same ways. In each state the device must
//! start, with each identity whole, as it was or as the change makes it; the
//! old one must be there until it is confirmed.
//!
//! States are told apart by what survives a cut, assets and keys; each is looked
//! at once. The last line counts them.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashSet};
use std::process::ExitCode;

use devid_core::cose::Envelope;
use devid_core::csr::Subject;
use devid_core::device::{Device, scratch_len};
use devid_core::error::Error;
use devid_core::identity::Phase;
use devid_core::key::PublicKey;
use devid_core::layout::{Kind, Layout, Policy, STANDARD, SlotDef, SlotId, slot};
use devid_core::time::UnixTime;
use devid_core::token::Profile;
use devid_core::update::PROTECTED;
use devid_core::x509::Certificate;
use devid_sim::ca::{ThrowAwayAnchor, ThrowAwayCa};
use devid_sim::{Config, Fault, FaultPlan, Sim};
use minicbor::Encoder;
use minicbor::data::Tag;
use p256::ecdsa::Signature;
use p256::ecdsa::signature::Signer;

const NOW: UnixTime = UnixTime(1_795_000_000);

const IDEVID: SlotId = SlotId(0);
const LDEVID: SlotId = SlotId(1);
const IDENTITIES: [SlotId; 4] = [IDEVID, LDEVID, SlotId(2), SlotId(3)];
const IAK: SlotId = SlotId(0x10);
const ANCHORS: [SlotId; 2] = [SlotId(0x20), SlotId(0x21)];
const SERIAL: SlotId = SlotId(0x30);
const ENDPOINT: SlotId = SlotId(0x31);

const SLOTS: [SlotDef<'static>; 9] = [
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
const GROUP: &str = "powercut";
const LAYOUT: Layout<'static> = Layout { slots: &SLOTS, group: GROUP, ..STANDARD };

/// Assets of 512 bytes, as TF-M's ITS has: a chain takes two of them.
const CONFIG: Config =
    Config { profile: Profile::Rfc9783, max_asset_len: 512, max_assets: 80, seed: Some([7; 32]) };

/// What remains of a write that power tears: every length up to beyond a whole
/// state record, and then some; and the few that are tried where cuts come in pairs.
const TEARS: [std::ops::Range<usize>; 2] = [0..80, 500..512];
const TEARS_OF_PAIRS: [usize; 9] = [0, 1, 19, 20, 51, 52, 53, 67, 511];

type Change<'c> = dyn Fn(&mut Device<'_, Sim>) -> Result<(), Error> + 'c;

fn main() -> ExitCode {
    let mut explorer = Explorer::default();
    let factory = Factory::new();
    for case in factory.cases() {
        let before = explorer.states;
        explorer.explore(&case);
        println!("{:<52} {:>5} states", case.name, explorer.states - before);
    }
    let mut control = Explorer { is_control: true, ..Explorer::default() };
    control.explore(&factory.control());
    println!(
        "{:<52} {:>5} states lost, as it must",
        "control: erase, then make anew", control.lost
    );
    println!("powercut: {} states explored, {} states lost", explorer.states, explorer.lost);
    if explorer.lost == 0 && control.lost > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A change to be cut.
struct Case<'c> {
    name: &'static str,
    /// The device before it.
    from: Sim,
    change: Box<Change<'c>>,
    /// What else than before and after a cut may leave.
    also: Vec<View>,
}

/// Counts the states, and those in which something is lost.
#[derive(Default)]
struct Explorer {
    states: u64,
    lost: u64,
    /// Losses are expected, and only counted.
    is_control: bool,
}

impl Explorer {
    fn explore(&mut self, case: &Case<'_>) {
        let before = View::of(&case.from).expect("the prepared device is whole");
        let (done, result) = run(&case.from, None, &*case.change);
        assert_eq!(result, Ok(()), "{}: without a cut it succeeds", case.name);
        let after = [View::of(&done).expect("the changed device is whole")];
        let allowed = [&[before], case.also.as_slice(), &after].concat();

        let mut seen = HashSet::new();
        for Cut { state, succeeded, in_pairs } in cuts(&case.from, &*case.change) {
            let allowed = if succeeded { &after[..] } else { &allowed };
            if !seen.insert((state.fingerprint().unwrap(), succeeded)) {
                continue;
            }
            self.check(case, &state, allowed);
            if in_pairs {
                self.explore_recovery(case, &state, allowed);
            }
        }
    }

    /// Cuts the start that follows a cut, where it changes anything.
    fn explore_recovery(&mut self, case: &Case<'_>, from: &Sim, allowed: &[View]) {
        let (recovered, result) = run(from, None, &nothing);
        assert_eq!(result, Ok(()), "{}: a device starts", case.name);
        let mut seen = HashSet::from([from.fingerprint().unwrap()]);
        if seen.contains(&recovered.fingerprint().unwrap()) {
            return;
        }
        for Cut { state, .. } in cuts(from, &nothing) {
            if seen.insert(state.fingerprint().unwrap()) {
                self.check(case, &state, allowed);
            }
        }
    }

    fn check(&mut self, case: &Case<'_>, state: &Sim, allowed: &[View]) {
        self.states += 1;
        let problem = match View::of(state) {
            Err(problem) => problem,
            Ok(view) if allowed.contains(&view) => return,
            Ok(view) => format!("found {view:?}"),
        };
        self.lost += 1;
        if !self.is_control {
            eprintln!("LOST in {}: {problem}", case.name);
        }
    }
}

/// What a cut leaves.
struct Cut {
    state: Sim,
    /// Whether the change reported success before it.
    succeeded: bool,
    /// Whether the recovery from it is cut, too.
    in_pairs: bool,
}

/// Every cut in a start and the change after it.
fn cuts(from: &Sim, change: &Change<'_>) -> Vec<Cut> {
    let mut cuts = Vec::new();
    // What is cut before an operation was cut after the one before it.
    let mut before = from.fingerprint().unwrap();
    for operation in 1.. {
        let cut = |fault, in_pairs| {
            let (state, result) = run(from, Some(FaultPlan { operation, fault }), change);
            (!state.is_powered()).then(|| Cut {
                state: state.snapshot().unwrap(),
                succeeded: result.is_ok(),
                in_pairs,
            })
        };
        let Some(whole) = cut(Fault::CutAfter, true) else { break };
        let after = whole.state.fingerprint().unwrap();
        if after != before {
            // Of anything but a write a part is all, and no state of its own.
            let tears = TEARS.into_iter().flatten();
            cuts.extend(
                tears.filter_map(|kept| cut(Fault::Torn { kept }, TEARS_OF_PAIRS.contains(&kept))),
            );
        }
        cuts.push(whole);
        before = after;
    }
    cuts
}

/// Starts a device, with a fault from then on, and makes the change.
fn run(from: &Sim, plan: Option<FaultPlan>, change: &Change<'_>) -> (Sim, Result<(), Error>) {
    let mut sim = from.snapshot().unwrap();
    if let Some(plan) = plan {
        sim.arm(plan);
    }
    let mut scratch = vec![0; scratch_len(&LAYOUT)];
    let mut device = Device::closed(sim, LAYOUT, &mut scratch).expect("the layout is well formed");
    let result = device.mount().and_then(|()| change(&mut device));
    (device.close(), result)
}

/// All that a device shows of itself.
#[derive(Clone, Debug, PartialEq)]
struct View {
    is_locked: bool,
    sequence: u64,
    identities: [IdentityView; 4],
    values: BTreeMap<u8, Vec<u8>>,
}

/// An identity, its pending bank, and what a rollback would return to.
#[derive(Clone, Debug, PartialEq)]
struct IdentityView {
    phase: Phase,
    active: Bank,
    pending: Bank,
    previous: Option<Bank>,
}

/// A key and the chain beside it.
#[derive(Clone, Debug, Default, PartialEq)]
struct Bank {
    key: Option<PublicKey>,
    chain: Option<Vec<u8>>,
}

impl View {
    /// Starts a device and looks; an error says what is broken.
    fn of(state: &Sim) -> Result<Self, String> {
        let view = RefCell::new(Err("it did not start".to_owned()));
        let look = |device: &mut Device<'_, Sim>| {
            *view.borrow_mut() = Self::look(device, state);
            Ok(())
        };
        let (started, result) = run(state, None, &look);
        result.map_err(|error| format!("the start failed: {error}"))?;
        // What was recovered stays as it is.
        let fingerprint = started.fingerprint();
        let (again, _) = run(&started, None, &nothing);
        if again.fingerprint() != fingerprint {
            return Err("the second start changes something".into());
        }
        view.into_inner()
    }

    fn look(device: &mut Device<'_, Sim>, state: &Sim) -> Result<Self, String> {
        let identities = IDENTITIES.map(|slot| IdentityView::look(device, state, slot));
        let [a, b, c, d] = identities;
        let mut values = BTreeMap::new();
        for slot in SLOTS.iter().filter(|slot| slot.kind != Kind::Identity) {
            match device.read(slot.id) {
                Ok(value) => _ = values.insert(slot.id.0, value.to_vec()),
                Err(Error::NotFound) => {}
                Err(error) => return Err(format!("slot {}: {error}", slot.name)),
            }
        }
        Ok(Self {
            is_locked: device.is_locked(),
            sequence: device.sequence(),
            identities: [a?, b?, c?, d?],
            values,
        })
    }
}

impl IdentityView {
    fn look(device: &mut Device<'_, Sim>, state: &Sim, slot: SlotId) -> Result<Self, String> {
        let failed = |error: Error| format!("identity {}: {error}", slot.0);
        let phase = device.phase(slot).map_err(failed)?;
        let active = Bank::look(device, slot).map_err(failed)?;
        active.check(device, slot)?;
        let mut pending = Bank::default();
        let mut previous = None;
        if phase == Phase::Activated {
            // On a copy, to see that the way back is there.
            let back = RefCell::new(Err(Error::NotFound));
            let rollback = |device: &mut Device<'_, Sim>| {
                device.rollback(slot)?;
                *back.borrow_mut() = Bank::look(device, slot);
                Ok(())
            };
            run(state, None, &rollback).1.map_err(failed)?;
            previous = Some(back.into_inner().map_err(failed)?);
        } else {
            pending = Bank::look(device, slot.pending()).map_err(failed)?;
        }
        Ok(Self { phase, active, pending, previous })
    }
}

impl Bank {
    fn look(device: &mut Device<'_, Sim>, slot: SlotId) -> Result<Self, Error> {
        let there = |result: Result<_, Error>| match result {
            Err(Error::NotFound) => Ok(None),
            result => result.map(Some),
        };
        Ok(Self {
            key: there(device.public_key(slot))?,
            chain: match device.chain(slot) {
                Ok(chain) => Some(chain.to_vec()),
                Err(Error::NotFound) => None,
                Err(error) => return Err(error),
            },
        })
    }

    /// An active identity with a chain works: the chain is over its key, which signs.
    fn check(&self, device: &mut Device<'_, Sim>, slot: SlotId) -> Result<(), String> {
        let Some(chain) = &self.chain else { return Ok(()) };
        let leaf = device.certificate(slot, 0).map_err(|error| error.to_string())?;
        let certified = Certificate::parse(leaf).map_err(|error| error.to_string())?.public_key;
        if Some(certified) != self.key || chain.is_empty() {
            return Err(format!("identity {}: the chain is over another key", slot.0));
        }
        device.csr(slot, &Subject::default()).map(drop).map_err(|error| error.to_string())
    }
}

/// Prepares devices and their changes.
struct Factory {
    ca: ThrowAwayCa,
    anchors: [ThrowAwayAnchor; 2],
    /// Four identities, two anchors, values; nothing under way.
    whole: Sim,
}

impl Factory {
    fn new() -> Self {
        let ca = ThrowAwayCa::new(NOW);
        let anchors = ["one", "two"].map(|name| ThrowAwayAnchor::new(name, NOW, true));
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

    fn cases(&self) -> Vec<Case<'_>> {
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
    fn control(&self) -> Case<'_> {
        case("control", &self.whole, vec![], |device| {
            device.erase(LDEVID)?;
            enrol(device, &self.ca, LDEVID)
        })
    }

    fn updates<'c>(&self, generated: &Sim, pending: &Sim) -> Vec<Case<'c>> {
        let locked = prepare(&self.whole, |device| device.lock());
        let second = self.anchors[1].certificate();
        let add = self.command(1, 3, Some(ANCHORS[1]), Some(second));
        let two = prepare(&locked, |device| device.update(&add, None).map(drop));
        let renewal = self.chain_over(&locked, IDEVID);
        let chain = self.chain_over(generated, LDEVID.pending());
        let replacement = ThrowAwayAnchor::new("three", NOW, true);
        let update = |name, from: &Sim, operation, slot: Option<SlotId>, value: Option<&[u8]>| {
            let command = self.command(2, operation, slot, value);
            let change =
                move |device: &mut Device<'_, Sim>| device.update(&command, Some(NOW)).map(drop);
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

    fn chain_over(&self, sim: &Sim, bank: SlotId) -> Vec<u8> {
        let key = Cell::new(None);
        prepare(sim, |device| {
            key.set(Some(device.public_key(bank)?));
            Ok(())
        });
        self.ca.certify(&key.take().expect("there is a key"), "another")
    }

    /// A command of the first anchor, as `docs/update.cddl` has it.
    fn command(
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

fn case<'c>(
    name: &'static str,
    from: &Sim,
    also: Vec<View>,
    change: impl Fn(&mut Device<'_, Sim>) -> Result<(), Error> + 'c,
) -> Case<'c> {
    let from = from.snapshot().expect("it is in memory");
    Case { name, from, change: Box::new(change), also }
}

/// The device after a change that is not cut.
fn prepare<'c>(from: &Sim, change: impl Fn(&mut Device<'_, Sim>) -> Result<(), Error> + 'c) -> Sim {
    let (sim, result) = run(from, None, &change);
    assert_eq!(result, Ok(()), "a device is prepared");
    sim
}

fn nothing(_: &mut Device<'_, Sim>) -> Result<(), Error> {
    Ok(())
}

/// Makes a key in a bank and installs a chain over it.
fn enrol(device: &mut Device<'_, Sim>, ca: &ThrowAwayCa, bank: SlotId) -> Result<(), Error> {
    let key = device.generate(bank)?;
    device.install(bank, &ca.certify(&key, "device"), None).map(drop)
}
