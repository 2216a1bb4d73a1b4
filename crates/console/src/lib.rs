// SPDX-License-Identifier: Apache-2.0
//! The device's commands: one parser and one set of handlers for the Zephyr
//! shell and for `devid sim`.
//!
//! Words come in, lines go out. A command's output goes to the writer it is
//! given; its failure is returned, to be printed where the caller prints
//! errors. Binary comes out as lines of base64, 48 bytes each, under a prefix
//! (`CSR: ...`), closed by `CSR-END: <length> <sha256>`.
//!
//! A value goes in as `hex:...`, `base64:...` or `text:...`; challenges and
//! loaded pieces are hex where nothing else is said. What does not fit a line
//! is loaded in pieces and then named `-`:
//!
//! ```text
//! load begin 1016 5891b5b5...
//! load data base64:MIIB...
//! id install idevid -
//! ```
//!
//! Secrets are never shown: length and digest stand for them.
//!
//! With the feature `smp` the same commands are an mcumgr group, in [`smp`].
#![no_std]
#![forbid(unsafe_code)]

mod command;
mod failure;
mod load;
mod show;
#[cfg(feature = "smp")]
pub mod smp;
mod status;
mod text;

use core::fmt::{self, Write};

use devid_core::Error;
use devid_core::csr::Subject;
use devid_core::device::{Device, SlotInfo, SlotState};
use devid_core::identity::Phase;
use devid_core::key::PublicKey;
use devid_core::layout::{Kind, Policy, SlotId};
use devid_core::limits::MAX_CHAIN_CERTS;
use devid_core::platform::{Digest, Platform};
use devid_core::time::UnixTime;
use devid_core::x509::Certificate;

pub use command::{COMMANDS, Command};
pub use failure::Failure;
pub use text::{BadText, Base64, Escaped, Hex};

use command::Verb;
use load::Load;

/// Longest value given in one word, in bytes; `text:` may be longer.
pub const MAX_WORD_VALUE_LEN: usize = 192;

/// Bytes on one line of base64.
const LINE_LEN: usize = 48;

/// The commands' state: the value being loaded.
pub struct Console<'b> {
    load: Load<'b>,
}

/// Whether a value without a prefix is hex or refused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bare {
    Hex,
    Refused,
}

impl<'b> Console<'b> {
    /// `buffer` bounds what can be loaded: the layout's longest value fits when
    /// it has [`devid_core::layout::Layout::max_value_len`] bytes.
    pub fn new(buffer: &'b mut [u8]) -> Self {
        Self { load: Load::new(buffer) }
    }

    /// Runs one command, given as its words.
    pub fn run<P: Platform>(
        &mut self,
        device: &mut Device<'_, P>,
        words: &[&str],
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let (command, args) = Command::find(words).ok_or(Failure::UnknownCommand)?;
        if !command.takes(args.len()) {
            return Err(Failure::Arguments(command));
        }
        let mut args = args.iter().copied();
        // The count was checked, so the mandatory ones are there.
        let first = args.next().unwrap_or("");
        match command.verb {
            Verb::Help => help(out),
            Verb::Status => {
                let now = args_time(Some(first).filter(|first| !first.is_empty()))?;
                status::list(device, now, out)
            }
            Verb::Info => status::info(device, out),
            Verb::SlotList => slot_list(device, out),
            Verb::SlotInfo => slot_info(device, find(device, first)?, out),
            Verb::SlotRead => slot_read(device, find(device, first)?, out),
            Verb::SlotWrite => {
                let slot = data_slot(device, first)?;
                self.consume(device, args.next(), |device, value| Ok(device.write(slot, value)?))?;
                ok(out)
            }
            Verb::SlotErase => {
                let slot = data_slot(device, first)?;
                device.erase(slot)?;
                ok(out)
            }
            Verb::IdGen => {
                let slot = find(device, first)?;
                let key = device.generate(slot)?;
                public_key(device, &key, "SPKI", out)
            }
            Verb::IdPub => {
                let slot = find(device, first)?;
                let key = device.public_key(slot)?;
                public_key(device, &key, "SPKI", out)
            }
            Verb::IdCsr => {
                let slot = find(device, first)?;
                let (subject, challenge) =
                    request(args).ok_or(Failure::UnknownArgument(command))?;
                let len = match challenge {
                    None => device.csr(slot, &subject)?.len(),
                    Some(challenge) => self.challenge(device, challenge, |device, challenge| {
                        Ok(device.csr_with_evidence(slot, &subject, challenge)?.len())
                    })?,
                };
                returned(device, len, "CSR", out)
            }
            Verb::IdInstall => {
                let slot = find(device, first)?;
                let value = args.next();
                let now = args_time(args.next())?;
                let checked = self.consume(device, value, |device, chain| {
                    Ok(device.install(slot, chain, now)?)
                })?;
                let validity = if checked.validity_checked { "checked" } else { "not-checked" };
                writeln!(out, "OK: certificates={} validity={validity}", checked.certificates)?;
                Ok(())
            }
            Verb::IdCert => {
                let slot = find(device, first)?;
                let index: u8 = args.next().map(number).transpose()?.unwrap_or(0);
                let len = device.certificate(slot, usize::from(index))?.len();
                returned(device, len, "CERT", out)
            }
            Verb::IdChain => {
                let slot = find(device, first)?;
                let len = device.chain(slot)?.len();
                returned(device, len, "CHAIN", out)
            }
            Verb::IdErase => {
                let slot = find(device, first)?;
                if device.slot(slot)?.def.kind != Kind::Identity {
                    return Err(Error::NotSupported.into());
                }
                device.erase(slot)?;
                ok(out)
            }
            Verb::IdPhase => {
                let phase = match device.phase(find(device, first)?)? {
                    Phase::Settled => "settled",
                    Phase::Pending => "pending",
                    Phase::Activated => "activated",
                };
                writeln!(out, "PHASE: {phase}")?;
                Ok(())
            }
            Verb::IdActivate => {
                let slot = find(device, first)?;
                device.activate(slot)?;
                ok(out)
            }
            Verb::IdConfirm => {
                let slot = find(device, first)?;
                device.confirm(slot)?;
                ok(out)
            }
            Verb::IdRollback => {
                let slot = find(device, first)?;
                device.rollback(slot)?;
                ok(out)
            }
            Verb::IdEvidence => {
                let slot = find(device, first)?;
                let challenge = args.next().unwrap_or("");
                let len = self.challenge(device, challenge, |device, challenge| {
                    Ok(device.bound_evidence(slot, challenge)?.len())
                })?;
                returned(device, len, "EVIDENCE", out)
            }
            Verb::Lock => {
                meant(first)?;
                device.lock()?;
                ok(out)
            }
            Verb::Reset => {
                meant(first)?;
                device.reset()?;
                ok(out)
            }
            Verb::Update => {
                let now = args_time(args.next())?;
                let applied = self.consume(device, Some(first), |device, command| {
                    Ok(device.update(command, now)?)
                })?;
                let expiry = if applied.expiry_checked { "checked" } else { "not-checked" };
                writeln!(out, "APPLIED: sequence={} expiry={expiry}", applied.sequence)?;
                Ok(())
            }
            Verb::TokenGet => {
                let len = self.challenge(device, first, |device, challenge| {
                    Ok(device.token(challenge)?.len())
                })?;
                returned(device, len, "TOKEN", out)
            }
            Verb::TokenShow => self.challenge(device, first, |device, challenge| {
                show::token(device.token(challenge)?, out)
            }),
            Verb::TokenSize => {
                let challenge_len = if first.is_empty() { 32 } else { number(first)? };
                check_challenge(challenge_len)?;
                writeln!(out, "TOKEN-SIZE: {}", device.token_len(challenge_len)?)?;
                Ok(())
            }
            Verb::Evidence => {
                let len = self.challenge(device, first, |device, challenge| {
                    Ok(device.evidence(challenge)?.len())
                })?;
                returned(device, len, "EVIDENCE", out)
            }
            Verb::Iak => {
                let key = device.iak_public_key()?;
                public_key(device, &key, "IAK", out)
            }
            Verb::LoadBegin => {
                let digest = load::parse_digest(args.next().unwrap_or(""))?;
                self.load.begin(number(first)?, digest)?;
                self.progress(out)
            }
            Verb::LoadData => {
                let mut room = [0; MAX_WORD_VALUE_LEN];
                self.load.data(word_value(first, &mut room, Bare::Hex)?)?;
                self.progress(out)
            }
            Verb::LoadStatus => self.progress(out),
            Verb::LoadAbort => {
                self.load.abort();
                ok(out)
            }
        }
    }

    /// Gives a value to an operation; a loaded one is dropped once it succeeds.
    fn consume<P: Platform, T>(
        &mut self,
        device: &mut Device<'_, P>,
        value: Option<&str>,
        operation: impl FnOnce(&mut Device<'_, P>, &[u8]) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let value = value.unwrap_or("");
        if value != "-" {
            let mut room = [0; MAX_WORD_VALUE_LEN];
            return operation(device, word_value(value, &mut room, Bare::Refused)?);
        }
        let bytes = self.load.bytes(device.platform())?;
        let done = operation(device, bytes)?;
        self.load.abort();
        Ok(done)
    }

    /// Gives a challenge to an operation.
    fn challenge<P: Platform, T>(
        &mut self,
        device: &mut Device<'_, P>,
        challenge: &str,
        operation: impl FnOnce(&mut Device<'_, P>, &[u8]) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut room = [0; MAX_WORD_VALUE_LEN];
        let challenge = word_value(challenge, &mut room, Bare::Hex)?;
        check_challenge(challenge.len())?;
        operation(device, challenge)
    }

    fn progress(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let (taken, len) = self.load.progress().ok_or(Failure::NoLoad)?;
        writeln!(out, "LOADED: {taken} of {len}")?;
        Ok(())
    }
}

/// Decodes a value given in one word.
fn word_value<'v>(
    word: &'v str,
    room: &'v mut [u8; MAX_WORD_VALUE_LEN],
    bare: Bare,
) -> Result<&'v [u8], Failure> {
    let len = match text::split(word, b':') {
        Some(("text", text)) => return Ok(text.as_bytes()),
        Some(("hex", digits)) => text::decode_hex(digits, room)?,
        Some(("base64", digits)) => text::decode_base64(digits, room)?,
        None if bare == Bare::Hex => text::decode_hex(word, room)?,
        _ => return Err(Failure::NoEncoding),
    };
    Ok(room.get(..len).unwrap_or_default())
}

fn number<T: core::str::FromStr>(text: &str) -> Result<T, Failure> {
    text.parse().map_err(|_| Failure::NotANumber)
}

fn args_time(text: Option<&str>) -> Result<Option<UnixTime>, Failure> {
    Ok(text.map(number).transpose()?.map(UnixTime))
}

/// Asks for a word more before what cannot be undone.
fn meant(word: &str) -> Result<(), Failure> {
    if word == "yes" { Ok(()) } else { Err(Failure::NotMeant) }
}

/// PSA takes challenges of these sizes alone.
fn check_challenge(len: usize) -> Result<(), Failure> {
    if matches!(len, 32 | 48 | 64) { Ok(()) } else { Err(Failure::ChallengeLength(len)) }
}

/// The slot of that name, or of that id as `0x..`.
fn find<P: Platform>(device: &Device<'_, P>, text: &str) -> Result<SlotId, Failure> {
    let Some(digits) = text.strip_prefix("0x") else { return Ok(device.find(text)?) };
    let id = SlotId(u8::from_str_radix(digits, 16).map_err(|_| Error::UnknownSlot)?);
    Ok(device.slot(id).map(|_| id)?)
}

/// The slot, unless it is an identity: those have commands of their own, and a
/// key is not to be lost to a slip.
fn data_slot<P: Platform>(device: &Device<'_, P>, text: &str) -> Result<SlotId, Failure> {
    let slot = find(device, text)?;
    match device.slot(slot)?.def.kind {
        Kind::Identity => Err(Failure::Identity),
        _ => Ok(slot),
    }
}

/// The subject's attributes and a challenge, each at most once.
fn request<'w>(words: impl Iterator<Item = &'w str>) -> Option<(Subject<'w>, Option<&'w str>)> {
    let mut subject = Subject::default();
    let mut challenge = None;
    for word in words {
        let (name, text) = text::split(word, b'=')?;
        let attribute = match name {
            "cn" => &mut subject.common_name,
            "serial" => &mut subject.serial_number,
            "o" => &mut subject.organization,
            "challenge" => &mut challenge,
            _ => return None,
        };
        if attribute.replace(text).is_some() {
            return None;
        }
    }
    Some((subject, challenge))
}

fn ok(out: &mut dyn Write) -> Result<(), Failure> {
    Ok(out.write_str("OK\n")?)
}

fn help(out: &mut dyn Write) -> Result<(), Failure> {
    for command in COMMANDS {
        writeln!(out, "{command}\n    {}", command.help)?;
    }
    out.write_str(
        "<slot> is a name or 0x id, <name>/pending its pending bank; <value> is hex:..., base64:... or text:..., or - for what was loaded\n",
    )?;
    Ok(())
}

fn slot_list<P: Platform>(device: &Device<'_, P>, out: &mut dyn Write) -> Result<(), Failure> {
    for slot in device.slots() {
        slot_line(&slot, out)?;
    }
    Ok(())
}

fn slot_info<P: Platform>(
    device: &mut Device<'_, P>,
    slot: SlotId,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let info = device.slot(slot)?;
    slot_line(&info, out)?;
    if info.def.kind == Kind::Data || !matches!(info.state, SlotState::Present { .. }) {
        return Ok(());
    }
    for index in 0..MAX_CHAIN_CERTS {
        match device.certificate(slot, index) {
            Ok(der) => show::certificate(index, &Certificate::parse(der)?, out)?,
            Err(Error::NotFound) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn slot_line(slot: &SlotInfo<'_>, out: &mut dyn Write) -> fmt::Result {
    let def = slot.def;
    let kind = match def.kind {
        Kind::Identity => "identity",
        Kind::Chain => "chain",
        Kind::Anchor => "anchor",
        Kind::Data => "data",
    };
    let policy = match def.policy {
        Policy::Factory => "factory",
        Policy::Operational => "operational",
    };
    let secrecy = if def.secret { "secret" } else { "public" };
    write!(out, "SLOT: id=0x{:02x} name={} kind={kind} policy={policy}", def.id.0, def.name)?;
    write!(out, " secrecy={secrecy} limit={} ", def.max_len)?;
    match slot.state {
        SlotState::Empty => writeln!(out, "state=empty"),
        SlotState::Present { len, generation } => {
            writeln!(out, "state=present length={len} generation={generation}")
        }
        SlotState::Corrupt => writeln!(out, "state=corrupt"),
    }
}

fn slot_read<P: Platform>(
    device: &mut Device<'_, P>,
    slot: SlotId,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let secret = device.slot(slot)?.def.secret;
    let len = device.read(slot)?.len();
    if !secret {
        return returned(device, len, "VALUE", out);
    }
    let (_, digest) = device.returned(len)?;
    writeln!(out, "SECRET: {len} {}", Hex(&digest))?;
    Ok(())
}

fn public_key<P: Platform>(
    device: &mut Device<'_, P>,
    key: &PublicKey,
    prefix: &str,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let spki = key.spki();
    let digest = device.platform().sha256(&[&spki])?;
    Ok(block(prefix, &spki, &digest, out)?)
}

/// Prints what the device's last call returned.
fn returned<P: Platform>(
    device: &mut Device<'_, P>,
    len: usize,
    prefix: &str,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let (bytes, digest) = device.returned(len)?;
    Ok(block(prefix, bytes, &digest, out)?)
}

fn block(prefix: &str, bytes: &[u8], digest: &Digest, out: &mut dyn Write) -> fmt::Result {
    for line in bytes.chunks(LINE_LEN) {
        writeln!(out, "{prefix}: {}", Base64(line))?;
    }
    writeln!(out, "{prefix}-END: {} {}", bytes.len(), Hex(digest))
}
