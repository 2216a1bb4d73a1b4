// SPDX-License-Identifier: Apache-2.0
//! The commands as an mcumgr group. `docs/smp.md` describes it for clients,
//! `docs/smp.cddl` to the byte.
//!
//! A request's payload comes in, a response's goes out; header, framing and
//! transport are mcumgr's. A value longer than a packet is taken and handed out
//! in pieces, under its SHA-256, through one buffer.

mod command;
mod failure;
mod reply;
mod request;
mod transfer;

use devid_core::Error;
use devid_core::csr::Subject;
use devid_core::device::{Device, SlotState};
use devid_core::key::PublicKey;
use devid_core::layout::{Kind, Policy, SlotId};
use devid_core::limits::MAX_SLOTS;
use devid_core::platform::{Digest, Platform};
use devid_core::status::Finding;
use devid_core::time::UnixTime;
use heapless::Vec;

use crate::access::{Act, Caller, Rules};
use command::{Command, Verb};
use failure::Failure;
use reply::{Reply, Value};
use request::{Keys, Request};
use transfer::Transfer;

/// Most findings of a status: two a slot, and the device's own.
const MAX_FINDINGS: usize = 2 * MAX_SLOTS + 8;

/// A request as mcumgr passes it on.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'p> {
    /// The protocol's version in the header: 0 for version 1, 1 for version 2.
    pub version: u8,
    /// Whether the operation is a write; else it is a read.
    pub write: bool,
    /// The command's id in the group.
    pub command: u8,
    /// The payload: one CBOR map.
    pub payload: &'p [u8],
}

/// What the product chose.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The group's id.
    pub group: u16,
    /// Who may what once the device is locked.
    pub rules: Rules,
}

/// The group's state: the long value under way, and the last refusal.
pub struct Smp<'b> {
    config: Config,
    transfer: Transfer<'b>,
    last: Option<Failure>,
}

impl<'b> Smp<'b> {
    /// `buffer` bounds the values taken or handed out in pieces.
    pub fn new(config: Config, buffer: &'b mut [u8]) -> Self {
        Self { config, transfer: Transfer::new(buffer), last: None }
    }

    /// Answers a request, also where the device does not open: writes the
    /// response's payload to `out` and returns its length.
    ///
    /// An error is one of mcumgr's own codes, for its server to answer with:
    /// where the response does not fit `out`, where there is no such command,
    /// and to a client of version 1 whatever the error.
    pub fn run<P: Platform>(
        &mut self,
        device: Result<&mut Device<'_, P>, Error>,
        packet: &Packet<'_>,
        out: &mut [u8],
    ) -> Result<usize, u8> {
        let size = out.len();
        let mut reply = Reply::new(&mut *out);
        let answered = device
            .map_err(Failure::Device)
            .and_then(|device| self.answer(device, packet, &mut reply));
        let Err(failure) = answered else { return Ok(size.saturating_sub(reply.room())) };
        self.last = Some(failure);
        if packet.version == 0 || matches!(failure, Failure::Full | Failure::Unsupported) {
            return Err(failure.mgmt());
        }
        let mut reply = Reply::new(out);
        reply.refusal(self.config.group, failure.rc()).map_err(Failure::mgmt)?;
        Ok(size.saturating_sub(reply.room()))
    }

    fn answer<P: Platform>(
        &mut self,
        device: &mut Device<'_, P>,
        packet: &Packet<'_>,
        reply: &mut Reply<'_>,
    ) -> Result<(), Failure> {
        let command = Command::find(packet.command, packet.write).ok_or(Failure::Unsupported)?;
        let request = Request::decode(packet.payload)?;
        request.check(command.needs, command.takes)?;
        self.admit(device, command.act)?;
        self.execute(device, command.verb, &request, reply)
    }

    /// Refuses what is not for SMP once the device is locked.
    fn admit<P: Platform>(&self, device: &Device<'_, P>, act: Act) -> Result<(), Failure> {
        if self.config.rules.allow(Caller::Peer, act, device.is_locked()) {
            Ok(())
        } else {
            Err(Failure::Locked)
        }
    }

    fn execute<P: Platform>(
        &mut self,
        device: &mut Device<'_, P>,
        verb: Verb,
        request: &Request<'_>,
        reply: &mut Reply<'_>,
    ) -> Result<(), Failure> {
        match verb {
            Verb::Status => status(device, request.now(), reply),
            Verb::SlotIds => slot_ids(device, reply),
            Verb::SlotInfo => slot_info(device, request.slot(device)?, reply),
            Verb::SlotRead => {
                let slot = request.slot(device)?;
                let is_secret = device.slot(slot)?.def.secret;
                if is_secret {
                    self.admit(device, Act::Secret)?;
                }
                let len = device.read(slot)?.len();
                if is_secret {
                    let (_, digest) = device.returned(len)?;
                    return reply.map(&[number("len", len), ("sha", Value::Bytes(&digest))]);
                }
                self.returned(device, len, reply)
            }
            Verb::SlotWrite => {
                let slot = data_slot(device, request)?;
                self.consume(device, request, |device, value| device.write(slot, value))?;
                reply.map(&[])
            }
            Verb::SlotErase => {
                let slot = data_slot(device, request)?;
                device.erase(slot)?;
                reply.map(&[])
            }
            Verb::KeyRead => {
                let key = device.public_key(request.slot(device)?)?;
                self.public_key(device, &key, reply)
            }
            Verb::KeyGenerate => {
                let key = device.generate(request.slot(device)?)?;
                self.public_key(device, &key, reply)
            }
            Verb::Csr => {
                let subject = Subject {
                    common_name: request.attribute(Keys::CN),
                    serial_number: request.attribute(Keys::SERIAL),
                    organization: request.attribute(Keys::O),
                };
                let slot = request.slot(device)?;
                let csr = if request.keys.contain(Keys::CHALLENGE) {
                    device.csr_with_evidence(slot, &subject, request.challenge)?
                } else {
                    device.csr(slot, &subject)?
                };
                let len = csr.len();
                self.returned(device, len, reply)
            }
            Verb::ChainRead => {
                let len = device.chain(request.slot(device)?)?.len();
                self.returned(device, len, reply)
            }
            Verb::ChainInstall => {
                let slot = request.slot(device)?;
                let checked = self.consume(device, request, |device, chain| {
                    device.install(slot, chain, request.now())
                })?;
                reply.map(&[
                    number("certificates", checked.certificates.into()),
                    ("validity", Value::Bool(checked.validity_checked)),
                ])
            }
            Verb::Certificate => {
                let len = device.certificate(request.slot(device)?, request.index)?.len();
                self.returned(device, len, reply)
            }
            Verb::IdentityErase => {
                let slot = request.slot(device)?;
                if device.slot(slot)?.def.kind != Kind::Identity {
                    return Err(Failure::Kind);
                }
                device.erase(slot)?;
                reply.map(&[])
            }
            Verb::Phase => {
                let phase = device.phase(request.slot(device)?)?;
                reply.map(&[number("phase", phase as usize)])
            }
            Verb::Activate => {
                device.activate(request.slot(device)?)?;
                reply.map(&[])
            }
            Verb::Confirm => {
                device.confirm(request.slot(device)?)?;
                reply.map(&[])
            }
            Verb::Rollback => {
                device.rollback(request.slot(device)?)?;
                reply.map(&[])
            }
            Verb::Lock => {
                device.lock()?;
                reply.map(&[])
            }
            Verb::Reset => {
                device.reset()?;
                reply.map(&[])
            }
            Verb::Update => {
                let applied =
                    self.consume(device, request, |device, command| device.update(command))?;
                reply.map(&[
                    ("seq", Value::Number(applied.sequence)),
                    ("already", Value::Bool(applied.already)),
                ])
            }
            Verb::Token => {
                let len = device.token(request.challenge)?.len();
                self.returned(device, len, reply)
            }
            Verb::TokenSize => {
                let challenge = if request.keys.contain(Keys::LEN) { request.len } else { 32 };
                reply.map(&[number("len", device.token_len(challenge)?)])
            }
            Verb::Evidence => {
                let evidence = if request.keys.contain(Keys::SLOT) {
                    device.bound_evidence(request.slot(device)?, request.challenge)?
                } else {
                    device.evidence(request.challenge)?
                };
                let len = evidence.len();
                self.returned(device, len, reply)
            }
            Verb::Iak => {
                let key = device.iak_public_key()?;
                self.public_key(device, &key, reply)
            }
            Verb::Info => info(device, reply),
            Verb::LoadProgress => {
                let progress = self.transfer.progress(request.session);
                let (taken, len, digest) = progress.ok_or(Failure::Stale)?;
                reply.map(&[
                    number("len", len),
                    ("sha", Value::Bytes(&digest)),
                    number("off", taken),
                ])
            }
            Verb::LoadPiece => {
                let Request { session, sha, off, data, .. } = request;
                if *off == 0 {
                    if !request.keys.contain(Keys::LEN) {
                        return Err(Failure::MissingKey);
                    }
                    self.transfer.begin(*session, request.len, *sha, device.platform())?;
                }
                let next = self.transfer.piece(*session, sha, *off, data, device.platform())?;
                reply.map(&[number("off", next)])
            }
            Verb::Abort => {
                self.transfer.abort(request.session);
                reply.map(&[])
            }
            Verb::Result => {
                let rest = self.transfer.result(&request.sha, request.off)?;
                reply.piece(rest, request.off)
            }
            Verb::LastError => {
                let last = self.last.map_or((0, 0), |last| (last.rc(), last.detail()));
                reply.map(&[number("code", last.0.into()), ("detail", Value::Signed(last.1))])
            }
            Verb::Nonce => {
                let nonce = device.recovery_nonce()?;
                reply.map(&[("nonce", Value::Bytes(&nonce))])
            }
        }
    }

    /// Gives a value to an operation; a loaded one is dropped once it succeeds.
    fn consume<P: Platform, T>(
        &mut self,
        device: &mut Device<'_, P>,
        request: &Request<'_>,
        operation: impl FnOnce(&mut Device<'_, P>, &[u8]) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        match (request.keys.contain(Keys::VALUE), request.keys.contain(Keys::SHA)) {
            (true, false) => Ok(operation(device, request.value)?),
            (false, true) => {
                let session = request.session;
                let value = self.transfer.value(session, &request.sha, device.platform())?;
                let done = operation(device, value)?;
                self.transfer.use_up(session);
                Ok(done)
            }
            (false, false) => Err(Failure::MissingKey),
            (true, true) => Err(Failure::UnknownKey(0)),
        }
    }

    /// Answers with what the device's last call returned.
    fn returned<P: Platform>(
        &mut self,
        device: &mut Device<'_, P>,
        len: usize,
        reply: &mut Reply<'_>,
    ) -> Result<(), Failure> {
        let now = device.platform().uptime();
        let (bytes, digest) = device.returned(len)?;
        self.value(bytes, digest, now, reply)
    }

    fn public_key<P: Platform>(
        &mut self,
        device: &mut Device<'_, P>,
        key: &PublicKey,
        reply: &mut Reply<'_>,
    ) -> Result<(), Failure> {
        let spki = key.spki();
        let digest = device.platform().sha256(&[&spki])?;
        self.value(&spki, digest, device.platform().uptime(), reply)
    }

    /// Answers with a value, whole or as its first piece; what does not fit is
    /// kept to be fetched.
    fn value(
        &mut self,
        value: &[u8],
        digest: Digest,
        now: u32,
        reply: &mut Reply<'_>,
    ) -> Result<(), Failure> {
        if !reply.value(value, &digest)? {
            self.transfer.keep(value, digest, now)?;
        }
        Ok(())
    }
}

/// All commands, for the documents: id, whether it writes, what it does.
#[cfg(test)]
pub(crate) fn commands() -> impl Iterator<Item = (u8, bool, Act)> {
    command::COMMANDS.iter().map(|command| (command.id, command.write, command.act))
}

/// The slot, unless it is an identity: those have commands of their own, and a
/// key is not to be lost to a slip.
fn data_slot<P: Platform>(
    device: &Device<'_, P>,
    request: &Request<'_>,
) -> Result<SlotId, Failure> {
    let slot = request.slot(device)?;
    match device.slot(slot)?.def.kind {
        Kind::Identity => Err(Failure::Kind),
        _ => Ok(slot),
    }
}

fn status<P: Platform>(
    device: &mut Device<'_, P>,
    now: Option<UnixTime>,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let mut findings = Vec::<Finding, MAX_FINDINGS>::new();
    let mut is_full = false;
    device.status(now, &mut |finding| is_full |= findings.push(finding).is_err())?;
    if is_full {
        return Err(Failure::Full);
    }
    reply.map(&[("findings", Value::Findings(&findings))])
}

fn info<P: Platform>(device: &mut Device<'_, P>, reply: &mut Reply<'_>) -> Result<(), Failure> {
    // Without attestation it is the IDevID's, once there is one.
    let id = match device.instance_id() {
        Ok(id) => Some(id),
        Err(Error::NotFound) => None,
        Err(error) => return Err(error.into()),
    };
    let group = device.group();
    reply.map(&[
        ("id", id.as_ref().map_or(Value::Absent, |id| Value::Bytes(id))),
        ("group", if group.is_empty() { Value::Absent } else { Value::Text(group) }),
        ("locked", Value::Bool(device.is_locked())),
        ("seq", Value::Number(device.sequence())),
    ])
}

fn slot_ids<P: Platform>(device: &Device<'_, P>, reply: &mut Reply<'_>) -> Result<(), Failure> {
    let mut ids = [0; MAX_SLOTS];
    let count = ids.iter_mut().zip(device.slots()).map(|(id, slot)| *id = slot.def.id.0).count();
    reply.map(&[("slots", Value::Numbers(ids.get(..count).unwrap_or_default()))])
}

fn slot_info<P: Platform>(
    device: &Device<'_, P>,
    slot: SlotId,
    reply: &mut Reply<'_>,
) -> Result<(), Failure> {
    let info = device.slot(slot)?;
    let (state, len, generation) = match info.state {
        SlotState::Empty => (0, Value::Absent, Value::Absent),
        SlotState::Present { len, generation } => {
            (1, Value::Number(len.into()), Value::Number(generation.into()))
        }
        SlotState::Corrupt => (2, Value::Absent, Value::Absent),
    };
    reply.map(&[
        number("slot", slot.0.into()),
        ("name", Value::Text(info.def.name)),
        number("kind", info.def.kind as usize),
        ("operational", Value::Bool(info.def.policy == Policy::Operational)),
        ("secret", Value::Bool(info.def.secret)),
        number("max", info.def.max_len.into()),
        number("state", state),
        ("len", len),
        ("generation", generation),
    ])
}

const fn number(key: &str, value: usize) -> (&str, Value<'_>) {
    (key, Value::Number(value as u64))
}
