// SPDX-License-Identifier: Apache-2.0
//! The device's commands: one parser and one set of handlers for the Zephyr
//! shell and for `devid sim`.
//!
//! Words come in, an [`Answer`] goes out; it is printed once the device is free
//! for others. A command's failure is returned, to be printed where the caller
//! prints errors. Binary comes out as lines of base64, 48 bytes each, under a
//! prefix (`CSR: ...`), closed by `CSR-END: <length> <sha256>`.
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
//! Secrets are never shown: length and digest stand for them, until the device
//! is locked. Who may do what is in [`access`].
//!
//! With the feature `smp` the same commands are an mcumgr group, in [`smp`].
#![no_std]
#![forbid(unsafe_code)]

pub mod access;
mod answer;
mod command;
mod failure;
mod load;
mod show;
#[cfg(feature = "smp")]
pub mod smp;
mod status;
mod text;

use core::fmt::Write;

use devid_core::Error;
use devid_core::csr::Subject;
use devid_core::device::Device;
use devid_core::key::PublicKey;
use devid_core::layout::{Kind, SlotId};
use devid_core::platform::Platform;
use devid_core::time::UnixTime;
use heapless::Vec;

pub use answer::Answer;
pub use command::{COMMANDS, Command};
pub use failure::Failure;
pub use text::{BadText, Base64, Escaped, Hex};

use access::{Act, Caller, Rules};
use command::Verb;
use load::Load;

/// Longest value given in one word, in bytes; `text:` may be longer.
pub const MAX_WORD_VALUE_LEN: usize = 192;

/// The commands' state: the value being loaded, and the one to be printed.
pub struct Console<'b> {
    rules: Rules,
    load: Load<'b>,
}

/// Whether a value without a prefix is hex or refused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bare {
    Hex,
    Refused,
}

impl<'b> Console<'b> {
    /// `buffer` bounds what can be loaded, and what can be printed beside it:
    /// with [`devid_core::device::scratch_len`] bytes it holds anything.
    pub fn new(rules: Rules, buffer: &'b mut [u8]) -> Self {
        Self { rules, load: Load::new(buffer) }
    }

    /// Prints an answer of the last [`run`](Self::run).
    pub fn print(&self, answer: &Answer<'_>, out: &mut dyn Write) -> Result<(), Failure> {
        answer.print(self.load.kept(), out)
    }

    /// Runs one command, given as its words.
    pub fn run<'a, P: Platform>(
        &mut self,
        device: &mut Device<'a, P>,
        caller: Caller,
        words: &[&str],
    ) -> Result<Answer<'a>, Failure> {
        let (command, args) = Command::find(words).ok_or(Failure::UnknownCommand)?;
        if !command.takes(args.len()) {
            return Err(Failure::Arguments(command));
        }
        self.admit(device, caller, command.act)?;
        let mut args = args.iter().copied();
        // The count was checked, so the mandatory ones are there.
        let first = args.next().unwrap_or("");
        match command.verb {
            Verb::Help => Ok(Answer::Help),
            Verb::Status => {
                let now = args_time(Some(first).filter(|first| !first.is_empty()))?;
                let mut findings = Vec::new();
                device.status(now, &mut |finding| _ = findings.push(finding))?;
                Ok(Answer::Findings(findings, device.layout()))
            }
            Verb::Info => status::info(device),
            Verb::SlotList => {
                let mut slots = Vec::new();
                device.slots().for_each(|slot| _ = slots.push(slot));
                Ok(Answer::Slots(slots))
            }
            Verb::SlotInfo => self.slot_info(device, find(device, first)?),
            Verb::SlotRead => {
                let slot = find(device, first)?;
                if !device.slot(slot)?.def.secret {
                    let len = device.read(slot)?.len();
                    return self.returned(device, len, "VALUE");
                }
                self.admit(device, caller, Act::Secret)?;
                let len = device.read(slot)?.len();
                Ok(Answer::Secret(len, device.returned(len)?.1))
            }
            Verb::SlotWrite => {
                let slot = data_slot(device, first)?;
                let value = args.next();
                let told = args.next().map(number).transpose()?;
                self.consume(device, value, |device, bytes| {
                    check_length(value, bytes, told)?;
                    Ok(device.write(slot, bytes)?)
                })?;
                Ok(Answer::Done)
            }
            Verb::SlotErase => {
                let slot = data_slot(device, first)?;
                device.erase(slot)?;
                Ok(Answer::Done)
            }
            Verb::IdGen => {
                let key = device.generate(find(device, first)?)?;
                self.public_key(device, &key, "SPKI")
            }
            Verb::IdPub => {
                let key = device.public_key(find(device, first)?)?;
                self.public_key(device, &key, "SPKI")
            }
            Verb::IdCsr => {
                let slot = find(device, first)?;
                let (subject, challenge) =
                    request(args).ok_or(Failure::UnknownArgument(command))?;
                let len = match challenge {
                    None => device.csr(slot, &subject)?.len(),
                    Some(challenge) => with_challenge(challenge, |challenge| {
                        Ok(device.csr_with_evidence(slot, &subject, challenge)?.len())
                    })?,
                };
                self.returned(device, len, "CSR")
            }
            Verb::IdInstall => {
                let slot = find(device, first)?;
                let value = args.next();
                let now = args_time(args.next())?;
                let checked = self.consume(device, value, |device, chain| {
                    Ok(device.install(slot, chain, now)?)
                })?;
                Ok(Answer::Installed(checked))
            }
            Verb::IdCert => {
                let slot = find(device, first)?;
                let index: u8 = args.next().map(number).transpose()?.unwrap_or(0);
                let len = device.certificate(slot, usize::from(index))?.len();
                self.returned(device, len, "CERT")
            }
            Verb::IdChain => {
                let len = device.chain(find(device, first)?)?.len();
                self.returned(device, len, "CHAIN")
            }
            Verb::IdErase => {
                let slot = find(device, first)?;
                if device.slot(slot)?.def.kind != Kind::Identity {
                    return Err(Error::NotSupported.into());
                }
                device.erase(slot)?;
                Ok(Answer::Done)
            }
            Verb::IdPhase => Ok(Answer::Phase(device.phase(find(device, first)?)?)),
            Verb::IdActivate => {
                device.activate(find(device, first)?)?;
                Ok(Answer::Done)
            }
            Verb::IdConfirm => {
                device.confirm(find(device, first)?)?;
                Ok(Answer::Done)
            }
            Verb::IdRollback => {
                device.rollback(find(device, first)?)?;
                Ok(Answer::Done)
            }
            Verb::IdEvidence => {
                let slot = find(device, first)?;
                let len = with_challenge(args.next().unwrap_or(""), |challenge| {
                    Ok(device.bound_evidence(slot, challenge)?.len())
                })?;
                self.returned(device, len, "EVIDENCE")
            }
            Verb::Lock => {
                meant(first)?;
                device.lock()?;
                Ok(Answer::Done)
            }
            Verb::Reset => {
                meant(first)?;
                device.reset()?;
                Ok(Answer::Done)
            }
            Verb::Update => Ok(Answer::Applied(self.consume(
                device,
                Some(first),
                |device, command| Ok(device.update(command)?),
            )?)),
            Verb::Nonce => Ok(Answer::Nonce(device.recovery_nonce()?)),
            Verb::TokenGet => {
                let len = with_challenge(first, |challenge| Ok(device.token(challenge)?.len()))?;
                self.returned(device, len, "TOKEN")
            }
            Verb::TokenShow => {
                let len = with_challenge(first, |challenge| Ok(device.token(challenge)?.len()))?;
                self.load.keep(device.returned(len)?.0)?;
                Ok(Answer::Claims)
            }
            Verb::TokenSize => {
                let challenge_len = if first.is_empty() { 32 } else { number(first)? };
                check_challenge(challenge_len)?;
                Ok(Answer::TokenSize(device.token_len(challenge_len)?))
            }
            Verb::Evidence => {
                let len = with_challenge(first, |challenge| Ok(device.evidence(challenge)?.len()))?;
                self.returned(device, len, "EVIDENCE")
            }
            Verb::Iak => {
                let key = device.iak_public_key()?;
                self.public_key(device, &key, "IAK")
            }
            Verb::LoadBegin => {
                let digest = load::parse_digest(args.next().unwrap_or(""))?;
                self.load.begin(number(first)?, digest)?;
                self.progress()
            }
            Verb::LoadData => {
                let mut room = [0; MAX_WORD_VALUE_LEN];
                self.load.data(word_value(first, &mut room, Bare::Hex)?)?;
                self.progress()
            }
            Verb::LoadStatus => self.progress(),
            Verb::LoadAbort => {
                self.load.abort();
                Ok(Answer::Done)
            }
        }
    }

    /// Refuses what is not for the caller.
    fn admit<P: Platform>(
        &self,
        device: &Device<'_, P>,
        caller: Caller,
        act: Act,
    ) -> Result<(), Failure> {
        if self.rules.allow(caller, act, device.is_locked()) {
            Ok(())
        } else {
            Err(Error::Denied.into())
        }
    }

    fn slot_info<'a, P: Platform>(
        &mut self,
        device: &mut Device<'a, P>,
        slot: SlotId,
    ) -> Result<Answer<'a>, Failure> {
        let info = device.slot(slot)?;
        let len = match device.read(slot) {
            Ok(value) if info.def.kind != Kind::Data => value.len(),
            Ok(_) | Err(Error::NotFound | Error::Corrupt) => 0,
            Err(error) => return Err(error.into()),
        };
        self.load.keep(device.returned(len)?.0)?;
        Ok(Answer::Slot(info))
    }

    fn public_key<'a, P: Platform>(
        &mut self,
        device: &mut Device<'a, P>,
        key: &PublicKey,
        prefix: &'static str,
    ) -> Result<Answer<'a>, Failure> {
        let spki = key.spki();
        self.load.keep(&spki)?;
        Ok(Answer::Value(prefix, device.platform().sha256(&[&spki])?))
    }

    /// What the device's last call returned.
    fn returned<'a, P: Platform>(
        &mut self,
        device: &mut Device<'a, P>,
        len: usize,
        prefix: &'static str,
    ) -> Result<Answer<'a>, Failure> {
        let (bytes, digest) = device.returned(len)?;
        self.load.keep(bytes)?;
        Ok(Answer::Value(prefix, digest))
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

    fn progress<'a>(&self) -> Result<Answer<'a>, Failure> {
        let (taken, len) = self.load.progress().ok_or(Failure::NoLoad)?;
        Ok(Answer::Loaded { taken, len })
    }
}

/// Gives a challenge to an operation.
fn with_challenge<T>(
    challenge: &str,
    operation: impl FnOnce(&[u8]) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut room = [0; MAX_WORD_VALUE_LEN];
    let challenge = word_value(challenge, &mut room, Bare::Hex)?;
    check_challenge(challenge.len())?;
    operation(challenge)
}

/// Refuses a typed value of another length than was told: a terminal can lose
/// characters, and nobody would know.
fn check_length(word: Option<&str>, value: &[u8], told: Option<usize>) -> Result<(), Failure> {
    if told == Some(value.len()) || (told.is_none() && word == Some("-")) {
        Ok(())
    } else {
        Err(Failure::Length(value.len()))
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
