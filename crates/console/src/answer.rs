// SPDX-License-Identifier: Apache-2.0
//! What a command found, and its lines.

use core::fmt::{self, Write};

use devid_core::chain::Checked;
use devid_core::device::{SlotInfo, SlotState};
use devid_core::identity::Phase;
use devid_core::layout::{Kind, Layout, Policy};
use devid_core::limits::{MAX_CHAIN_CERTS, MAX_SLOTS};
use devid_core::platform::Digest;
use devid_core::status::Finding;
use devid_core::update::{Applied, Nonce};
use heapless::Vec;

use crate::command::COMMANDS;
use crate::failure::Failure;
use crate::show;
use crate::status::{self, About};
use crate::text::{Base64, Hex};

/// Most findings that are listed; the core reports fewer.
const MAX_FINDINGS: usize = 2 * MAX_SLOTS + 8;

/// Bytes on one line of base64.
const LINE_LEN: usize = 48;

/// What a command found. Longer values wait in the console's buffer.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "one at a time, and there is no heap")]
pub enum Answer<'a> {
    /// It is done.
    Done,
    /// The list of commands.
    Help,
    /// What is missing or wrong.
    Findings(Vec<Finding, MAX_FINDINGS>, Layout<'a>),
    /// The device itself.
    About(About<'a>),
    /// All slots.
    Slots(Vec<SlotInfo<'a>, MAX_SLOTS>),
    /// One slot, its certificates in the buffer.
    Slot(SlotInfo<'a>),
    /// The value in the buffer, under a prefix.
    Value(&'static str, Digest),
    /// Length and digest of a secret.
    Secret(usize, Digest),
    /// The claims of the token in the buffer.
    Claims,
    /// What was checked of a chain.
    Installed(Checked),
    /// Where an identity stands.
    Phase(Phase),
    /// What became of an update.
    Applied(Applied),
    /// What a recovery command has to answer.
    Nonce(Nonce),
    /// Length of a token.
    TokenSize(usize),
    /// How much of a value is loaded.
    Loaded {
        /// Bytes taken.
        taken: usize,
        /// Bytes announced.
        len: usize,
    },
}

impl Answer<'_> {
    /// Prints the answer; `kept` is what the buffer holds of it.
    pub(crate) fn print(&self, kept: &[u8], out: &mut dyn Write) -> Result<(), Failure> {
        match self {
            Self::Done => out.write_str("OK\n")?,
            Self::Help => help(out)?,
            Self::Findings(findings, layout) => status::list(findings, layout, out)?,
            Self::About(about) => about.print(out)?,
            Self::Slots(slots) => {
                for slot in slots {
                    slot_line(slot, out)?;
                }
            }
            Self::Slot(slot) => {
                slot_line(slot, out)?;
                let certificates = show::certificates(kept).take(MAX_CHAIN_CERTS);
                for (index, certificate) in certificates.enumerate() {
                    show::certificate(index, &certificate, out)?;
                }
            }
            Self::Value(prefix, digest) => block(prefix, kept, digest, out)?,
            Self::Secret(len, digest) => writeln!(out, "SECRET: {len} {}", Hex(digest))?,
            Self::Claims => return show::token(kept, out),
            Self::Installed(checked) => {
                let validity = if checked.validity_checked { "checked" } else { "not-checked" };
                writeln!(out, "OK: certificates={} validity={validity}", checked.certificates)?;
            }
            Self::Phase(phase) => {
                let phase = match phase {
                    Phase::Settled => "settled",
                    Phase::Pending => "pending",
                    Phase::Activated => "activated",
                };
                writeln!(out, "PHASE: {phase}")?;
            }
            Self::Applied(applied) => {
                let already = if applied.already { "yes" } else { "no" };
                writeln!(out, "APPLIED: sequence={} already={already}", applied.sequence)?;
            }
            Self::Nonce(nonce) => writeln!(out, "NONCE: {}", Hex(nonce))?,
            Self::TokenSize(len) => writeln!(out, "TOKEN-SIZE: {len}")?,
            Self::Loaded { taken, len } => writeln!(out, "LOADED: {taken} of {len}")?,
        }
        Ok(())
    }
}

fn help(out: &mut dyn Write) -> fmt::Result {
    for command in COMMANDS {
        writeln!(out, "{command}\n    {}", command.help)?;
    }
    out.write_str(
        "<slot> is a name or 0x id, <name>/pending its pending bank; <value> is hex:..., base64:... or text:..., or - for what was loaded\n",
    )
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

fn block(prefix: &str, bytes: &[u8], digest: &Digest, out: &mut dyn Write) -> fmt::Result {
    for line in bytes.chunks(LINE_LEN) {
        writeln!(out, "{prefix}: {}", Base64(line))?;
    }
    writeln!(out, "{prefix}-END: {} {}", bytes.len(), Hex(digest))
}
