// SPDX-License-Identifier: Apache-2.0
//! The table of commands: id, direction, what a request holds, what it does.
//!
//! Ids are never used again for something else; a new command takes the next.

use super::request::Keys;
use crate::access::Act;

/// One command in one direction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Command {
    pub(super) id: u8,
    pub(super) write: bool,
    pub(super) verb: Verb,
    /// What it does in the [access table](crate::access).
    pub(super) act: Act,
    /// The keys that a request must have.
    pub(super) needs: Keys,
    /// The keys that it may have.
    pub(super) takes: Keys,
}

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Status,
    SlotIds,
    SlotInfo,
    SlotRead,
    SlotWrite,
    SlotErase,
    KeyRead,
    KeyGenerate,
    Csr,
    ChainRead,
    ChainInstall,
    Certificate,
    IdentityErase,
    Phase,
    Activate,
    Confirm,
    Rollback,
    Lock,
    Reset,
    Update,
    Token,
    TokenSize,
    Evidence,
    Iak,
    Info,
    LoadProgress,
    LoadPiece,
    Abort,
    Result,
    LastError,
    Nonce,
}

const NONE: Keys = Keys::NONE;
const SLOT: Keys = Keys::SLOT;
const VALUE: Keys = Keys::VALUE.and(Keys::SHA).and(Keys::SESSION);
const SUBJECT: Keys = Keys::CN.and(Keys::SERIAL).and(Keys::O);

/// All commands.
#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    // It tries whether there is room for a rotation: not for everyone to repeat.
    read(0, Verb::Status, Act::Work, NONE, Keys::NOW),
    read(1, Verb::SlotIds, Act::Look, NONE, NONE),
    read(2, Verb::SlotInfo, Act::Look, SLOT, NONE),
    read(3, Verb::SlotRead, Act::Look, SLOT, NONE),
    write(3, Verb::SlotWrite, Act::Operate, SLOT, VALUE),
    write(4, Verb::SlotErase, Act::Operate, SLOT, NONE),
    read(5, Verb::KeyRead, Act::Look, SLOT, NONE),
    write(5, Verb::KeyGenerate, Act::Operate, SLOT, NONE),
    read(6, Verb::Csr, Act::Work, SLOT, SUBJECT.and(Keys::CHALLENGE)),
    read(7, Verb::ChainRead, Act::Look, SLOT, NONE),
    write(7, Verb::ChainInstall, Act::Operate, SLOT, VALUE.and(Keys::NOW)),
    read(8, Verb::Certificate, Act::Look, SLOT, Keys::INDEX),
    write(9, Verb::IdentityErase, Act::Operate, SLOT, NONE),
    read(10, Verb::Phase, Act::Look, SLOT, NONE),
    write(11, Verb::Activate, Act::Operate, SLOT, NONE),
    write(12, Verb::Confirm, Act::Operate, SLOT, NONE),
    write(13, Verb::Rollback, Act::Operate, SLOT, NONE),
    write(14, Verb::Lock, Act::Lock, Keys::YES, NONE),
    write(15, Verb::Reset, Act::Operate, Keys::YES, NONE),
    write(16, Verb::Update, Act::Update, NONE, VALUE),
    read(17, Verb::Token, Act::Attest, Keys::CHALLENGE, NONE),
    read(18, Verb::TokenSize, Act::Look, NONE, Keys::LEN),
    read(19, Verb::Evidence, Act::Attest, Keys::CHALLENGE, SLOT),
    read(20, Verb::Iak, Act::Look, NONE, NONE),
    read(21, Verb::Info, Act::Look, NONE, NONE),
    read(22, Verb::LoadProgress, Act::Look, NONE, Keys::SESSION),
    write(22, Verb::LoadPiece, Act::Look, Keys::OFF.and(Keys::SHA).and(Keys::DATA), Keys::LEN.and(Keys::SESSION)),
    write(23, Verb::Abort, Act::Look, NONE, Keys::SESSION),
    read(24, Verb::Result, Act::Look, Keys::OFF.and(Keys::SHA), NONE),
    read(25, Verb::LastError, Act::Look, NONE, NONE),
    read(26, Verb::Nonce, Act::Update, NONE, NONE),
];

const fn read(id: u8, verb: Verb, act: Act, needs: Keys, takes: Keys) -> Command {
    Command { id, write: false, verb, act, needs, takes }
}

const fn write(id: u8, verb: Verb, act: Act, needs: Keys, takes: Keys) -> Command {
    Command { id, write: true, verb, act, needs, takes }
}

impl Command {
    pub(super) fn find(id: u8, write: bool) -> Option<&'static Self> {
        COMMANDS.iter().find(|command| command.id == id && command.write == write)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_is_used_twice_in_one_direction() {
        for (place, command) in COMMANDS.iter().enumerate() {
            let same = |other: &&Command| other.id == command.id && other.write == command.write;
            assert_eq!(COMMANDS.iter().skip(place + 1).find(same).map(|twice| twice.id), None);
        }
    }

    #[test]
    fn zephyr_registers_every_id_and_none_is_missing() {
        assert!(COMMANDS.windows(2).all(|two| two[1].id - two[0].id <= 1));
        let registered = include_str!("../../../../zephyr/smp.c")
            .lines()
            .find_map(|line| line.strip_prefix("#define COMMANDS "))
            .unwrap();
        assert_eq!(registered.parse(), Ok(COMMANDS.last().unwrap().id + 1));
    }
}
