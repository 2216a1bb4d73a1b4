// SPDX-License-Identifier: Apache-2.0
//! The command table: names, arguments and help, as data.
//!
//! `help`, the argument counts and the Zephyr shell's own table follow from it.

use core::fmt;

use crate::access::Act;

/// One command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    /// The first word; empty where the command has one word alone.
    pub group: &'static str,
    /// The last word.
    pub name: &'static str,
    /// The arguments, `[]` around those that may be left out.
    pub args: &'static str,
    /// Fewest arguments.
    pub min: u8,
    /// Most arguments.
    pub max: u8,
    /// What it does, in one line.
    pub help: &'static str,
    /// What it does in the [access table](crate::access).
    pub act: Act,
    pub(crate) verb: Verb,
}

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Help,
    Status,
    Info,
    SlotList,
    SlotInfo,
    SlotRead,
    SlotWrite,
    SlotErase,
    IdGen,
    IdPub,
    IdCsr,
    IdInstall,
    IdCert,
    IdChain,
    IdErase,
    IdPhase,
    IdActivate,
    IdConfirm,
    IdRollback,
    IdEvidence,
    Lock,
    Reset,
    Update,
    Nonce,
    TokenGet,
    TokenShow,
    TokenSize,
    Evidence,
    Iak,
    LoadBegin,
    LoadData,
    LoadStatus,
    LoadAbort,
}

/// All commands, in the order `help` lists them.
#[rustfmt::skip]
pub const COMMANDS: &[Command] = &[
    command("", "help", "", 0, 0, "list the commands", Act::Look, Verb::Help),
    command("", "status", "[unix-time]", 0, 1, "list what is missing or wrong; validity is checked at the time given", Act::Work, Verb::Status),
    command("", "info", "", 0, 0, "tell the device's id, lock, group and last update", Act::Look, Verb::Info),
    command("slot", "list", "", 0, 0, "list the slots", Act::Look, Verb::SlotList),
    command("slot", "info", "<slot>", 1, 1, "tell about one slot", Act::Look, Verb::SlotInfo),
    command("slot", "read", "<slot>", 1, 1, "print a slot's value; of a secret its digest", Act::Look, Verb::SlotRead),
    command("slot", "write", "<slot> <value> [length]", 2, 3, "replace a slot's value; a typed one comes with its length in bytes", Act::Operate, Verb::SlotWrite),
    command("slot", "erase", "<slot>", 1, 1, "empty a slot that is no identity", Act::Operate, Verb::SlotErase),
    command("id", "gen", "<slot>", 1, 1, "make an identity's key", Act::Operate, Verb::IdGen),
    command("id", "pub", "<slot>", 1, 1, "print an identity's public key", Act::Look, Verb::IdPub),
    command("id", "csr", "<slot> [cn=<text>] [serial=<text>] [o=<text>] [challenge=<hex>]", 1, 5, "print a certification request, with evidence for its key where a challenge is given", Act::Work, Verb::IdCsr),
    command("id", "install", "<slot> <value> [unix-time]", 2, 3, "install the chain, leaf first; validity is checked at the time given", Act::Operate, Verb::IdInstall),
    command("id", "cert", "<slot> [index]", 1, 2, "print one certificate; 0 is the leaf", Act::Look, Verb::IdCert),
    command("id", "chain", "<slot>", 1, 1, "print the chain, leaf first", Act::Look, Verb::IdChain),
    command("id", "erase", "<slot>", 1, 1, "destroy an identity's key and chain", Act::Operate, Verb::IdErase),
    command("id", "phase", "<slot>", 1, 1, "tell where an identity stands in a rotation", Act::Look, Verb::IdPhase),
    command("id", "activate", "<slot>", 1, 1, "make the pending key and chain the active ones", Act::Operate, Verb::IdActivate),
    command("id", "confirm", "<slot>", 1, 1, "end a rotation: destroy the old key and chain", Act::Operate, Verb::IdConfirm),
    command("id", "rollback", "<slot>", 1, 1, "undo a rotation as far as it went", Act::Operate, Verb::IdRollback),
    command("id", "evidence", "<slot> <challenge>", 2, 2, "print evidence that vouches for an identity's key", Act::Attest, Verb::IdEvidence),
    command("", "lock", "<yes>", 1, 1, "make the factory's slots final; nothing undoes this", Act::Lock, Verb::Lock),
    command("", "reset", "<yes>", 1, 1, "return to the factory's identity; destroy the operational ones", Act::Operate, Verb::Reset),
    command("", "update", "<value>", 1, 1, "apply a command signed by a trust anchor", Act::Update, Verb::Update),
    command("", "nonce", "", 0, 0, "print what a recovery command has to answer", Act::Update, Verb::Nonce),
    command("token", "get", "<challenge>", 1, 1, "print an attestation token", Act::Attest, Verb::TokenGet),
    command("token", "show", "<challenge>", 1, 1, "print a token's claims, unchecked", Act::Attest, Verb::TokenShow),
    command("token", "size", "[challenge-length]", 0, 1, "tell how long a token is", Act::Look, Verb::TokenSize),
    command("", "evidence", "<challenge>", 1, 1, "print a token with the IAK's certificate chain", Act::Attest, Verb::Evidence),
    command("", "iak", "", 0, 0, "print the attestation key's public half", Act::Look, Verb::Iak),
    command("load", "begin", "<length> <sha256>", 2, 2, "announce a long value, then used as '-'", Act::Look, Verb::LoadBegin),
    command("load", "data", "<value>", 1, 1, "take its next piece", Act::Look, Verb::LoadData),
    command("load", "status", "", 0, 0, "tell how much of it is there", Act::Look, Verb::LoadStatus),
    command("load", "abort", "", 0, 0, "drop it", Act::Look, Verb::LoadAbort),
];

#[allow(clippy::too_many_arguments, reason = "the columns of the table")]
const fn command(
    group: &'static str,
    name: &'static str,
    args: &'static str,
    min: u8,
    max: u8,
    help: &'static str,
    act: Act,
    verb: Verb,
) -> Command {
    Command { group, name, args, min, max, help, act, verb }
}

impl Command {
    /// The command that the words begin with, and the words after it.
    pub fn find<'w>(words: &'w [&'w str]) -> Option<(&'static Self, &'w [&'w str])> {
        COMMANDS.iter().find_map(|command| match (command.group, words) {
            ("", [name, args @ ..]) if *name == command.name => Some((command, args)),
            (group, [first, name, args @ ..])
                if !group.is_empty() && *first == group && *name == command.name =>
            {
                Some((command, args))
            }
            _ => None,
        })
    }

    /// Whether the command takes so many arguments.
    pub(crate) fn takes(&self, count: usize) -> bool {
        (usize::from(self.min)..=usize::from(self.max)).contains(&count)
    }
}

/// The command as it is typed.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (word, separator) in [(self.group, " "), (self.name, ""), (self.args, "")] {
            if !word.is_empty() {
                if word == self.args {
                    f.write_str(" ")?;
                }
                f.write_str(word)?;
                f.write_str(separator)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    #[test]
    fn every_command_is_found_by_its_words_alone() {
        for command in COMMANDS {
            let words: std::vec::Vec<&str> =
                [command.group, command.name, "x"].into_iter().filter(|w| !w.is_empty()).collect();
            let (found, args) = Command::find(&words).unwrap();
            assert_eq!(found, command);
            assert_eq!(args, ["x"]);
        }
    }

    #[test]
    fn argument_counts_agree_with_the_usage() {
        for command in COMMANDS {
            let optional = command.args.matches('[').count();
            let mandatory = command.args.matches('<').count() - command.args.matches("=<").count();
            assert_eq!(usize::from(command.min), mandatory, "{command}");
            assert_eq!(usize::from(command.max), mandatory + optional, "{command}");
        }
    }

    #[test]
    fn a_command_prints_as_it_is_typed() {
        let (read, _) = Command::find(&["slot", "read"]).unwrap();
        assert_eq!(read.to_string(), "slot read <slot>");
        let (help, _) = Command::find(&["help"]).unwrap();
        assert_eq!(help.to_string(), "help");
    }
}
